// SPDX-License-Identifier: Apache-2.0
//
// What a stranger may write into an export: the first byte says which form, the rest is it. Lists,
// a line each, the last one the root, are gone through as import, show, export and restore do.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gitops/gitops.h"
#include "restore/frozen.h"
#include "snapshot/contents.h"
#include "snapshot/import_int.h"
#include "snapshot/lists.h"
#include "snapshot/rename.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_LINES 200

// ---- a reader over lines ----

struct line {
    struct blob_id id;
    char kind;
    const char *p;
    size_t len;
};
struct lines {
    struct line v[MAX_LINES];
    size_t n;
};

static const struct line *find(const struct lines *l, const struct blob_id *id)
{
    for (size_t i = 0; i < l->n; i++)
        if (blob_id_eq(&l->v[i].id, id))
            return &l->v[i];
    return NULL;
}

static char kind_of(void *ctx, const struct blob_id *id)
{
    const struct line *l = find(ctx, id);
    return l ? l->kind : 0;
}

static bool blob_of(void *ctx, const struct blob_id *id, struct buf *out, struct err *err)
{
    const struct line *l = find(ctx, id);
    (void)err;
    buf_append(out, l->p, l->len);
    return true;
}

static size_t git_count(void *ctx)
{
    (void)ctx;
    return 0;
}

static bool git_pack(void *ctx, size_t i, reader_sink_fn sink, void *sink_ctx, struct err *err)
{
    (void)ctx;
    (void)i;
    (void)sink;
    (void)sink_ctx;
    (void)err;
    abort();
}

static const struct reader_ops ops = {kind_of, blob_of, git_count, git_pack};

// A line's id is its number in 32 digits, so that a fuzzer can make lists name each other, and
// themselves. Kinds by the first letter of the line: 'k' a pool of Secrets, 'o' an object.
static void cut(const char *p, size_t size, struct lines *l)
{
    for (size_t at = 0; at < size && l->n < MAX_LINES; l->n++) {
        const char *end = memchr(p + at, '\n', size - at);
        size_t len = end ? (size_t)(end + 1 - (p + at)) : size - at;
        struct line *x = &l->v[l->n];
        x->kind = p[at] == 'k' || p[at] == 'o' ? p[at] : 'l';
        x->p = p + at + (x->kind != 'l');
        x->len = len - (x->kind != 'l');
        x->id.b[15] = (uint8_t)((l->n / 10 % 10) << 4 | l->n % 10);
        x->id.b[14] = (uint8_t)(l->n / 100);
        at += len;
    }
    if (l->n)
        l->v[l->n - 1].kind = 'r';
}

static bool put(void *ctx, char kind, const void *p, size_t len, struct blob_id *id,
                struct err *err)
{
    size_t *n = ctx;
    (void)err;
    if (++*n > MAX_LINES)
        abort(); // something twice
    *id = form_id(kind, p, len);
    return true;
}

static bool see_line(void *ctx, const json_t *line, const char *text, size_t len, struct err *err)
{
    (void)ctx;
    (void)text;
    (void)len;
    (void)err;
    return line != NULL;
}

static bool see_row(void *ctx, const json_t *row, struct err *err)
{
    struct reader *rd = ctx;
    CLEANUP(json_freep) json_t *list = NULL;
    return list_read(rd, row, "objects", &list, err);
}

static void expect(bool ok, struct err *err)
{
    if (!ok && err->kind != ERR_CORRUPT && err->kind != ERR_INVALID)
        abort();
    err_clear(err);
}

static void frozen(struct reader *rd)
{
    struct frozen_opts o = {.minor = 33};
    struct frozen f = {0};
    struct err err = {0};
    bool ok = frozen_read(rd, &o, &f, &err);
    expect(ok, &err);
    if (ok)
        frozen_clear(&f);
}

static void lists(const char *p, size_t size)
{
    struct lines l = {0};
    struct err err = {0};
    json_t *doc = NULL;
    json_t *rows = NULL;
    struct blob_id id;
    size_t n = 0;
    cut(p, size, &l);
    if (!l.n)
        return;
    struct reader *rd = reader_over(&ops, &l, &l.v[l.n - 1].id);
    struct renaming names = {.r = rd, .put = put, .ctx = &n};
    expect(rename_blob(&names, &l.v[l.n - 1].id, &id, &err), &err);
    renaming_clear(&names);
    expect(contents_read(rd, &doc, &err), &err);
    json_decref(doc);
    doc = NULL;
    expect(reader_root(rd, &doc, &err), &err);
    expect(list_each_secret(rd, doc, see_line, NULL, &err), &err);
    expect(list_each_app(rd, json_object_get(json_object_get(doc, "shards"), "blobs"), see_row, rd,
                         &err),
           &err);
    expect(list_read_all(rd, doc, "git", "repositories", &rows, &err), &err);
    json_decref(rows);
    json_decref(doc);
    frozen(rd);
    reader_free(rd);
}

// ---- the other forms ----

static void sums(const char *p, size_t size)
{
    struct import_files files = {0};
    struct err err = {0};
    bool ok = import_sums_parse(p, size, &files, &err);
    for (size_t i = 0; ok && i < files.v.len; i++)
        if (!form_name_is_plain(files.v.v[i].name) ||
            (i && strcmp(files.v.v[i - 1].name, files.v.v[i].name) >= 0))
            abort();
    expect(ok, &err);
    import_files_clear(&files);
}

static void secrets(const char *p, size_t size)
{
    struct err err = {0};
    for (size_t at = 0; at < size;) {
        struct form_secret s;
        size_t before = at;
        if (!form_secret_next(p, size, &at, &s, &err))
            break;
        if (at <= before || s.offset + s.len != at || at > size || !s.len)
            abort();
    }
    err_clear(&err);
}

static void about(const char *p, size_t size)
{
    struct form_about a;
    struct err err = {0};
    expect(form_about_parse(p, size, &a, &err), &err);
}

static void bundle(const char *p, size_t size)
{
    struct err err = {0};
    size_t head;
    bool is_pack;
    bool ok = import_bundle_head(p, size, &head, &is_pack, &err);
    if (ok && head && (!is_pack || head + 4 > size || memcmp(p + head, "PACK", 4) != 0))
        abort();
    expect(ok, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const of[])(const char *, size_t) = {lists, sums, secrets, about, bundle};
    if (size)
        of[data[0] % ARRAY_LEN(of)]((const char *)data + 1, size - 1);
    return 0;
}
