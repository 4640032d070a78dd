// SPDX-License-Identifier: Apache-2.0
#include "source/pushwire.h"

#include <stdlib.h>
#include <string.h>

#define NO_ID "0000000000000000000000000000000000000000"
#define MAX_SAID 2048 // what people are told of a refusal
#define BAND_REPORT 1
#define BAND_TEXT 2

void push_request_add(struct buf *out, const struct git_greeting *g, const char *ref,
                      const char *from, const char *to)
{
    bool first = !out->len;
    struct buf line CLEANUP(buf_clear) = {0};
    buf_printf(&line, "%s %s %s", *from ? from : NO_ID, to, ref);
    if (first) {
        buf_char(&line, 0);
        buf_printf(&line, " report-status%s agent=regrow/" REGROW_VERSION,
                   g->has_bands ? " side-band-64k" : "");
    }
    buf_printf(out, "%04zx", line.len + 4);
    buf_append(out, line.p, line.len);
}

void push_request_end(struct buf *out)
{
    buf_str(out, "0000");
}

static bool bad(struct err *err)
{
    return err_set(err, ERR_INVALID, "the server's report on what was pushed cannot be read");
}

// The last lines of what a server or its hooks say.
static void add_said(struct push_report *r, const char *p, size_t len)
{
    buf_append(&r->said, p, len);
    if (r->said.len <= 2 * MAX_SAID)
        return;
    size_t cut = r->said.len - MAX_SAID;
    memmove(r->said.p, r->said.p + cut, MAX_SAID + 1);
    r->said.len = MAX_SAID;
}

static void one_line(struct push_report *r, const char *p, size_t len)
{
    while (len && p[len - 1] == '\n')
        len--;
    if (len > 7 && !memcmp(p, "unpack ", 7)) {
        free(r->unpack);
        r->unpack = str_ndup(p + 7, len - 7);
    } else if (len > 3 && !memcmp(p, "ok ", 3)) {
        r->taken++;
    } else if (len > 3 && !memcmp(p, "ng ", 3)) {
        strv_push_take(&r->refused, str_ndup(p + 3, len - 3));
    }
}

static void drop(struct buf *b, size_t n)
{
    memmove(b->p, b->p + n, b->len - n);
    b->len -= n;
}

// The lines of the report; within the bands they may be cut anywhere.
static bool read_lines(struct push_report *r, struct buf *b, struct err *err)
{
    size_t at = 0;
    for (;;) {
        const char *data = NULL;
        size_t n = 0;
        size_t used = 0;
        enum pkt k = pkt_next(b->p + at, b->len - at, &data, &n, &used);
        if (k == PKT_MORE)
            break;
        if (k == PKT_BAD)
            return bad(err);
        if (k == PKT_DATA)
            one_line(r, data, n);
        at += used;
    }
    if (at)
        drop(b, at);
    return true;
}

static bool one_band(struct push_report *r, const char *data, size_t len, struct err *err)
{
    if (len < 1)
        return true;
    if (data[0] == BAND_TEXT) {
        add_said(r, data + 1, len - 1);
        return true;
    }
    if (data[0] != BAND_REPORT) {
        while (len > 1 && strchr("\r\n", data[len - 1]))
            len--;
        return err_set(err, ERR_UNAVAILABLE, "the Git server says: %.*s",
                       (int)(len - 1 < 300 ? len - 1 : 300), data + 1);
    }
    buf_append(&r->inner, data + 1, len - 1);
    return read_lines(r, &r->inner, err);
}

bool push_report_feed(struct push_report *r, const char *p, size_t len, struct err *err)
{
    buf_append(&r->pending, p, len);
    if (!r->has_bands)
        return read_lines(r, &r->pending, err);
    size_t at = 0;
    for (;;) {
        const char *data = NULL;
        size_t n = 0;
        size_t used = 0;
        enum pkt k = pkt_next(r->pending.p + at, r->pending.len - at, &data, &n, &used);
        if (k == PKT_MORE)
            break;
        if (k == PKT_BAD)
            return bad(err);
        if (k == PKT_DATA && !one_band(r, data, n, err))
            return false;
        at += used;
    }
    if (at)
        drop(&r->pending, at);
    return true;
}

void push_report_clear(struct push_report *r)
{
    strv_clear(&r->refused);
    free(r->unpack);
    buf_clear(&r->said);
    buf_clear(&r->pending);
    buf_clear(&r->inner);
    *r = (struct push_report){.has_bands = r->has_bands};
}
