// SPDX-License-Identifier: Apache-2.0
#include "source/gitwire.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_REFS 500000

static int hex4(const char *p)
{
    int v = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (d < 0)
            return -1;
        v = v * 16 + d;
    }
    return v;
}

enum pkt pkt_next(const char *p, size_t len, const char **data, size_t *data_len, size_t *used)
{
    if (len < 4)
        return PKT_MORE;
    int n = hex4(p);
    *used = 4;
    *data_len = 0;
    if (n == 0)
        return PKT_FLUSH;
    if (n == 1)
        return PKT_DELIM;
    if (n == 2)
        return PKT_END;
    if (n < 4)
        return PKT_BAD;
    if (len < (size_t)n)
        return PKT_MORE;
    *data = p + 4;
    *data_len = (size_t)n - 4;
    *used = (size_t)n;
    return PKT_DATA;
}

void pkt_add(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    CLEANUP(str_freep) char *text = str_vprintf(fmt, ap);
    va_end(ap);
    buf_printf(b, "%04zx%s", strlen(text) + 4, text);
}

static bool is_id(const char *s, size_t len)
{
    if (len < 40)
        return false;
    for (int i = 0; i < 40; i++)
        if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f')))
            return false;
    return len == 40 || s[40] == ' ';
}

static bool bad(struct err *err)
{
    return err_set(err, ERR_INVALID, "the server does not speak Git's smart protocol");
}

static bool server_error(const char *data, size_t len, struct err *err)
{
    while (len && strchr("\r\n", data[len - 1]))
        len--;
    bool missing = memmem(data, len, "not our ref", 11) || memmem(data, len, "not found", 9);
    return err_set(err, missing ? ERR_NOT_FOUND : ERR_UNAVAILABLE, "the Git server says: %.*s",
                   (int)(len < 300 ? len : 300), data);
}

static bool has_word(const char *text, size_t len, const char *word)
{
    return memmem(text, len, word, strlen(word)) != NULL;
}

static struct git_ref *add_ref(struct git_refs *refs, const char *name, size_t len, const char *id)
{
    struct git_ref *r = vec_push(&refs->refs);
    r->name = str_ndup(name, len);
    r->id = str_ndup(id, 40);
    return r;
}

// "symref=HEAD:refs/heads/main" among the capabilities of v0.
static void set_symref(struct git_refs *refs, const char *caps, size_t len)
{
    const char *s = memmem(caps, len, "symref=HEAD:", 12);
    if (!s || !refs->refs.len || strcmp(refs->refs.v[0].name, "HEAD") != 0)
        return;
    s += 12;
    size_t n = 0;
    while (s + n < caps + len && s[n] != ' ' && s[n] != '\n')
        n++;
    free(refs->refs.v[0].symref);
    refs->refs.v[0].symref = str_ndup(s, n);
}

static bool v0_line(struct git_greeting *g, struct git_refs *refs, const char *data, size_t len,
                    bool first, bool peel, struct err *err)
{
    while (len && data[len - 1] == '\n')
        len--;
    if (has_word(data, len, "object-format=sha256"))
        return err_set(err, ERR_INVALID, "SHA-256 repositories are not supported");
    if (!is_id(data, len) || len < 42)
        return bad(err);
    const char *name = data + 41;
    size_t rest = len - 41;
    const char *nul = memchr(name, 0, rest);
    size_t name_len = nul ? (size_t)(nul - name) : rest;
    if (refs->refs.len >= MAX_REFS)
        return err_set(err, ERR_INVALID, "the server lists more than %d refs", MAX_REFS);
    // No refs at all; and what a server says of objects that it shares with others.
    bool empty = (name_len == 15 && !memcmp(name, "capabilities^{}", 15)) ||
                 (name_len == 5 && !memcmp(name, ".have", 5));
    if (!empty && name_len > 3 && !memcmp(name + name_len - 3, "^{}", 3)) {
        // A peeled tag: the commit counts.
        if (refs->refs.len && peel)
            memcpy(refs->refs.v[refs->refs.len - 1].id, data, 40);
        return true;
    }
    if (!empty)
        add_ref(refs, name, name_len, data);
    if (first && nul) {
        size_t caps = rest - name_len;
        g->has_shallow = has_word(nul, caps, " shallow");
        g->has_any_sha = has_word(nul, caps, "allow-tip-sha1-in-want") ||
                         has_word(nul, caps, "allow-reachable-sha1-in-want");
        g->has_status = has_word(nul, caps, "report-status");
        g->has_bands = has_word(nul, caps, "side-band-64k");
        set_symref(refs, nul, caps);
    }
    return true;
}

static bool read_greeting(const char *p, size_t len, bool peel, struct git_greeting *g,
                          struct git_refs *refs, struct err *err)
{
    bool first = true;
    *g = (struct git_greeting){0};
    while (len) {
        const char *data = NULL;
        size_t n = 0;
        size_t used = 0;
        enum pkt k = pkt_next(p, len, &data, &n, &used);
        if (k == PKT_BAD || k == PKT_MORE)
            return bad(err);
        p += used;
        len -= used;
        if (k != PKT_DATA || (n > 9 && !memcmp(data, "# service", 9)))
            continue;
        if (n >= 4 && !memcmp(data, "ERR ", 4))
            return server_error(data + 4, n - 4, err);
        if (first && n >= 9 && !memcmp(data, "version 2", 9)) {
            g->is_v2 = true;
        } else if (g->is_v2) {
            if (n > 6 && !memcmp(data, "fetch=", 6)) {
                g->has_shallow = has_word(data, n, "shallow");
                g->has_filter = has_word(data, n, "filter");
            }
            if (has_word(data, n, "object-format=sha256"))
                return err_set(err, ERR_INVALID, "SHA-256 repositories are not supported");
        } else if (n >= 9 && !memcmp(data, "version 1", 9)) {
            continue;
        } else if (!v0_line(g, refs, data, n, first, peel, err)) {
            return false;
        }
        first = false;
    }
    return !first || bad(err);
}

bool greeting_read(const char *p, size_t len, struct git_greeting *g, struct git_refs *refs,
                   struct err *err)
{
    return read_greeting(p, len, true, g, refs, err);
}

bool greeting_read_whole(const char *p, size_t len, struct git_greeting *g, struct git_refs *refs,
                         struct err *err)
{
    return read_greeting(p, len, false, g, refs, err);
}

void ls_refs_request(struct buf *out)
{
    pkt_add(out, "command=ls-refs\n");
    buf_str(out, "0001");
    pkt_add(out, "peel\n");
    pkt_add(out, "symrefs\n");
    pkt_add(out, "ref-prefix HEAD\n");
    pkt_add(out, "ref-prefix refs/heads/\n");
    pkt_add(out, "ref-prefix refs/tags/\n");
    buf_str(out, "0000");
}

void ls_refs_request_some(struct buf *out, const struct strv *prefixes)
{
    pkt_add(out, "command=ls-refs\n");
    buf_str(out, "0001");
    pkt_add(out, "peel\n");
    pkt_add(out, "symrefs\n");
    for (size_t i = 0; i < prefixes->len; i++)
        pkt_add(out, "ref-prefix %s\n", prefixes->v[i]);
    buf_str(out, "0000");
}

void ls_refs_request_one(struct buf *out, const char *name)
{
    pkt_add(out, "command=ls-refs\n");
    buf_str(out, "0001");
    pkt_add(out, "peel\n");
    pkt_add(out, "symrefs\n");
    pkt_add(out, "ref-prefix %s%s\n", str_starts(name, "refs/") ? "" : "refs/", name);
    buf_str(out, "0000");
}

void ls_refs_request_whole(struct buf *out)
{
    pkt_add(out, "command=ls-refs\n");
    buf_str(out, "0001");
    pkt_add(out, "symrefs\n");
    buf_str(out, "0000");
}

static bool ls_line(struct git_refs *refs, const char *data, size_t len, struct err *err)
{
    while (len && data[len - 1] == '\n')
        len--;
    if (!is_id(data, len) || len < 42)
        return len > 6 && !memcmp(data, "unborn", 6) ? true : bad(err);
    if (refs->refs.len >= MAX_REFS)
        return err_set(err, ERR_INVALID, "the server lists more than %d refs", MAX_REFS);
    const char *name = data + 41;
    size_t rest = len - 41;
    const char *sp = memchr(name, ' ', rest);
    struct git_ref *r = add_ref(refs, name, sp ? (size_t)(sp - name) : rest, data);
    while (sp) {
        const char *attr = sp + 1;
        size_t left = (size_t)(data + len - attr);
        sp = memchr(attr, ' ', left);
        size_t n = sp ? (size_t)(sp - attr) : left;
        if (n > 14 && !memcmp(attr, "symref-target:", 14)) {
            free(r->symref);
            r->symref = str_ndup(attr + 14, n - 14);
        }
        if (n == 47 && !memcmp(attr, "peeled:", 7) && is_id(attr + 7, 40))
            memcpy(r->id, attr + 7, 40);
    }
    return true;
}

bool ls_refs_read(const char *p, size_t len, struct git_refs *refs, struct err *err)
{
    while (len) {
        const char *data = NULL;
        size_t n = 0;
        size_t used = 0;
        enum pkt k = pkt_next(p, len, &data, &n, &used);
        if (k == PKT_FLUSH)
            return true;
        if (k != PKT_DATA)
            return bad(err);
        if (n >= 4 && !memcmp(data, "ERR ", 4))
            return server_error(data + 4, n - 4, err);
        if (!ls_line(refs, data, n, err))
            return false;
        p += used;
        len -= used;
    }
    return bad(err);
}

void fetch_request(struct buf *out, const struct git_greeting *g, const char *want,
                   const struct strv *have)
{
    bool known = have->len > 0;
    if (g->is_v2) {
        pkt_add(out, "command=fetch");
        buf_str(out, "0001");
        if (known)
            pkt_add(out, "thin-pack\n");
        pkt_add(out, "ofs-delta\n");
        pkt_add(out, "no-progress\n");
        pkt_add(out, "want %s\n", want);
    } else {
        pkt_add(out, "want %s side-band-64k ofs-delta no-progress%s\n", want,
                known ? " thin-pack" : "");
    }
    for (size_t i = 0; i < have->len; i++)
        pkt_add(out, "shallow %s\n", have->v[i]);
    if (g->has_shallow)
        pkt_add(out, "deepen 1\n");
    if (!g->is_v2)
        buf_str(out, "0000");
    for (size_t i = 0; i < have->len; i++)
        pkt_add(out, "have %s\n", have->v[i]);
    pkt_add(out, "done\n");
    if (g->is_v2)
        buf_str(out, "0000");
}

void fetch_request_whole(struct buf *out, const struct git_greeting *g, const struct strv *want,
                         const struct strv *have)
{
    if (g->is_v2) {
        pkt_add(out, "command=fetch");
        buf_str(out, "0001");
        pkt_add(out, "ofs-delta\n");
        pkt_add(out, "no-progress\n");
    }
    for (size_t i = 0; i < want->len; i++)
        pkt_add(out, "want %s%s\n", want->v[i],
                g->is_v2 || i ? "" : " side-band-64k ofs-delta no-progress");
    if (!g->is_v2)
        buf_str(out, "0000");
    for (size_t i = 0; i < have->len; i++)
        pkt_add(out, "have %s\n", have->v[i]);
    pkt_add(out, "done\n");
    if (g->is_v2)
        buf_str(out, "0000");
}

static bool side_band(struct fetch_reader *f, const char *data, size_t len, struct err *err)
{
    if (!len)
        return true;
    if (data[0] == 3)
        return server_error(data + 1, len - 1, err);
    if (data[0] != 1)
        return true; // progress text
    f->saw_pack = true;
    return f->on_pack(f->ctx, data + 1, len - 1, err);
}

static bool one_packet(struct fetch_reader *f, const char *data, size_t len, struct err *err)
{
    if (len >= 4 && !memcmp(data, "ERR ", 4))
        return server_error(data + 4, len - 4, err);
    if (f->in_pack)
        return side_band(f, data, len, err);
    if (f->is_v2) {
        f->in_pack = len >= 8 && !memcmp(data, "packfile", 8);
        return true;
    }
    // v0: shallow lines, then NAK or ACK, then the bands.
    if (len >= 3 && (!memcmp(data, "NAK", 3) || !memcmp(data, "ACK", 3))) {
        f->in_pack = !memmem(data, len, "continue", 8) && !memmem(data, len, "common", 6);
        return true;
    }
    return true;
}

bool fetch_feed(struct fetch_reader *f, const char *p, size_t len, struct err *err)
{
    buf_append(&f->pending, p, len);
    size_t at = 0;
    for (;;) {
        const char *data = NULL;
        size_t n = 0;
        size_t used = 0;
        enum pkt k = pkt_next(f->pending.p + at, f->pending.len - at, &data, &n, &used);
        if (k == PKT_MORE)
            break;
        if (k == PKT_BAD)
            return bad(err);
        // v0 may send a second ACK where the bands begin; its first byte tells.
        if (k == PKT_DATA && !one_packet(f, data, n, err))
            return false;
        at += used;
    }
    memmove(f->pending.p, f->pending.p + at, f->pending.len - at);
    f->pending.len -= at;
    return true;
}
