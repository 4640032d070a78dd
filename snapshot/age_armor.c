// SPDX-License-Identifier: Apache-2.0
//
// Age's armor: strict PEM. Lines of 64 columns, the last one shorter, no headers, no blank lines;
// white space is allowed before and after the whole, and CR LF for LF.
#include "snapshot/age_int.h"

#include <string.h>

#include "snapshot/codec.h"

#define BEGIN "-----BEGIN AGE ENCRYPTED FILE-----"
#define END "-----END AGE ENCRYPTED FILE-----"
#define COLUMNS 64

struct lines {
    const char *at, *end;
};

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void skip_space(struct lines *l)
{
    while (l->at < l->end && is_space(*l->at))
        l->at++;
}

// Without its line end. A last line need not have one.
static bool next_line(struct lines *l, const char **line, size_t *len)
{
    if (l->at == l->end)
        return false;
    const char *nl = memchr(l->at, '\n', (size_t)(l->end - l->at));
    const char *stop = nl ? nl : l->end;
    *line = l->at;
    *len = (size_t)(stop - l->at);
    l->at = nl ? nl + 1 : l->end;
    if (nl && *len && stop[-1] == '\r')
        --*len;
    return true;
}

static bool line_is(const char *line, size_t len, const char *text)
{
    return len == strlen(text) && !memcmp(line, text, len);
}

bool age_is_armored(const char *p, size_t len)
{
    struct lines l = {p, p + len};
    skip_space(&l);
    return (size_t)(l.end - l.at) >= strlen(BEGIN) && !memcmp(l.at, BEGIN, strlen(BEGIN));
}

static bool malformed(struct err *err, const char *what)
{
    return err_set(err, ERR_CORRUPT, "age armor: %s", what);
}

bool age_unarmor(const char *p, size_t len, struct buf *out, struct err *err)
{
    struct lines l = {p, p + len};
    const char *line = NULL;
    size_t n = 0;
    bool is_last = false;
    skip_space(&l);
    if (!next_line(&l, &line, &n) || !line_is(line, n, BEGIN))
        return malformed(err, "malformed first line");
    buf_reserve(out, len / 4 * 3);
    for (;;) {
        if (!next_line(&l, &line, &n))
            return malformed(err, "no last line");
        if (line_is(line, n, END))
            break;
        uint8_t bytes[base64_room(COLUMNS)];
        long got = n && n <= COLUMNS && !is_last ? base64_strict(line, n, true, bytes) : -1;
        if (got < 0)
            return malformed(err, "a line that is not canonical base64 in 64 columns");
        is_last = n < COLUMNS || got < COLUMNS / 4 * 3;
        buf_append(out, bytes, (size_t)got);
    }
    skip_space(&l);
    return l.at == l.end || malformed(err, "text after its last line");
}
