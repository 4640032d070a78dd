// SPDX-License-Identifier: Apache-2.0
#include "snapshot/s3_xml.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

// Where <name> or <name attr…> ends; NULL when text[at] is no such tag.
static const char *open_tag(const char *p, const char *end, const char *name, size_t n)
{
    if ((size_t)(end - p) < n + 2 || memcmp(p + 1, name, n) != 0)
        return NULL;
    const char *after = p + 1 + n;
    if (*after == '>')
        return after + 1;
    if (*after != ' ' && *after != '\t' && *after != '\n' && *after != '\r')
        return NULL;
    const char *gt = memchr(after, '>', (size_t)(end - after));
    return gt && gt[-1] != '/' ? gt + 1 : NULL;
}

bool xml_next(const char *text, size_t len, size_t *at, const char *name, const char **content,
              size_t *content_len)
{
    const char *end = text + len;
    const char *p = text + *at;
    size_t n = strlen(name);
    CLEANUP(str_freep) char *close = str_printf("</%s>", name);
    while (p < end && (p = memchr(p, '<', (size_t)(end - p)))) {
        const char *start = open_tag(p, end, name, n);
        const char *stop =
            start ? memmem(start, (size_t)(end - start), close, strlen(close)) : NULL;
        if (stop) {
            *content = start;
            *content_len = (size_t)(stop - start);
            *at = (size_t)(stop - text) + strlen(close);
            return true;
        }
        if (start)
            return false; // never closed
        p++;
    }
    return false;
}

static size_t decode_entity(const char *s, size_t len, struct buf *out)
{
    static const struct {
        const char *name;
        char c;
    } entities[] = {{"&amp;", '&'},  {"&lt;", '<'},    {"&gt;", '>'},
                    {"&quot;", '"'}, {"&apos;", '\''}, {"&#34;", '"'},
                    {"&#39;", '\''}, {"&#43;", '+'},   {"&#xD;", '\r'}};
    for (size_t i = 0; i < ARRAY_LEN(entities); i++) {
        size_t n = strlen(entities[i].name);
        if (len >= n && !memcmp(s, entities[i].name, n)) {
            buf_char(out, entities[i].c);
            return n;
        }
    }
    buf_char(out, '&');
    return 1;
}

char *xml_text(const char *text, size_t len, const char *name)
{
    size_t at = 0;
    const char *p;
    size_t n;
    if (!text || !xml_next(text, len, &at, name, &p, &n))
        return NULL;
    struct buf b = {0};
    for (size_t i = 0; i < n;) {
        if (p[i] == '&') {
            i += decode_entity(p + i, n - i, &b);
        } else {
            buf_char(&b, p[i]);
            i++;
        }
    }
    return buf_take(&b);
}
