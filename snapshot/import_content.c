// SPDX-License-Identifier: Apache-2.0
//
// What an export holds, by id. Files lie in a private folder under names of ours; what is opened of
// Secrets stays in memory. Ids are computed from the bytes, so that what a list names is what it
// gets.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "gitops/gitops.h"
#include "snapshot/import_int.h"

#define CHUNK (256U << 10)
#define MAX_PLACES 4000000
#define MAX_LISTS_BYTES (256ULL << 20)      // they are put together in memory
#define MAX_OBJECTS_BYTES (2ULL << 30)      // they are held until they are written
#define MAX_BUNDLE_HEAD ((size_t)256 << 20) // its refs, a line each
#define MAX_SEALED_BYTES (FORM_SEALED_MAX + FORM_SEALED_MAX / 1000 + (64U << 10))
#define NONE SIZE_MAX

void import_content_clear(struct import_content *c)
{
    strv_clear(&c->spools);
    vec_clear(&c->places);
    idmap_clear(&c->map);
    buf_wipe(&c->secrets);
    vec_clear(&c->bundles);
    workdir_remove(&c->work);
}

static bool add_place(struct import_content *c, const struct blob_id *id,
                      const struct import_place *p, struct err *err)
{
    if (c->places.len >= MAX_PLACES)
        return err_set(err, ERR_CORRUPT, "more than %d blobs", MAX_PLACES);
    if (idmap_has(&c->map, id))
        return true; // the same bytes again
    idmap_set(&c->map, id, (uint32_t)c->places.len);
    *vec_push(&c->places) = *p;
    return true;
}

// Up to len bytes at offset, fewer at the end; -1 on failure.
static ssize_t read_at(int fd, void *p, size_t len, uint64_t offset)
{
    size_t got = 0;
    while (got < len) {
        ssize_t n = pread(fd, (char *)p + got, len - got, (off_t)(offset + got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        got += (size_t)n;
    }
    return (ssize_t)got;
}

static int open_spool(const struct import_content *c, size_t file, struct err *err)
{
    int fd = open(c->spools.v[file], O_RDONLY | O_CLOEXEC);
    int errnum = errno;
    if (fd < 0)
        err_set_errno(err, errnum, "open %s", c->spools.v[file]);
    return fd;
}

static bool cannot_read(const struct import_content *c, size_t file, struct err *err)
{
    int errnum = errno;
    return err_set_errno(err, errnum, "read %s", c->spools.v[file]);
}

// ---- a text a line ----

static bool add_line(struct import_content *c, char kind, size_t file, uint64_t offset,
                     const char *p, size_t len, struct err *err)
{
    CLEANUP(json_freep) json_t *doc = NULL;
    struct blob_id id = form_id(kind, p, len);
    if (!canon_read(p, len, &doc, err)) {
        err->kind = ERR_CORRUPT;
        return false;
    }
    if (kind == 'r')
        c->root = id;
    return add_place(
        c, &id,
        &(struct import_place){
            .file = (uint32_t)file, .offset = offset, .len = (uint32_t)len, .kind = kind},
        err);
}

static bool add_lines(struct import_content *c, char kind, size_t file, size_t *lines,
                      struct err *err)
{
    struct buf b CLEANUP(buf_clear) = {0};
    CLEANUP(str_freep) char *chunk = mem_alloc(CHUNK);
    int fd CLEANUP(fd_closep) = open_spool(c, file, err);
    uint64_t at = 0;    // of the chunk
    uint64_t begin = 0; // of the line in b
    ssize_t n = -1;
    *lines = 0;
    if (fd < 0)
        return false;
    while ((n = read_at(fd, chunk, CHUNK, at)) > 0) {
        for (const char *p = chunk, *end = chunk + n; p < end;) {
            const char *nl = memchr(p, '\n', (size_t)(end - p));
            const char *stop = nl ? nl + 1 : end;
            if (b.len + (size_t)(stop - p) > BLOB_MAX_BYTES)
                return err_set(err, ERR_CORRUPT, "a line longer than %u MiB", BLOB_MAX_BYTES >> 20);
            buf_append(&b, p, (size_t)(stop - p));
            p = stop;
            if (!nl)
                continue;
            if (!add_line(c, kind, file, begin, b.p, b.len, err))
                return err_wrap(err, "line %zu", *lines + 1);
            begin += b.len;
            buf_reset(&b);
            ++*lines;
        }
        at += (uint64_t)n;
    }
    if (n < 0)
        return cannot_read(c, file, err);
    return !b.len || err_set(err, ERR_CORRUPT, "its last line has no end");
}

// ---- files as they were fetched ----

static bool add_pieces(struct import_content *c, size_t file, struct err *err)
{
    CLEANUP(str_freep) char *piece = mem_alloc(BLOB_MAX_BYTES);
    int fd CLEANUP(fd_closep) = open_spool(c, file, err);
    ssize_t n = -1;
    if (fd < 0)
        return false;
    for (uint64_t at = 0; (n = read_at(fd, piece, BLOB_MAX_BYTES, at)) > 0; at += (uint64_t)n) {
        struct blob_id id = form_id('f', piece, (size_t)n);
        struct import_place p = {
            .file = (uint32_t)file, .offset = at, .len = (uint32_t)n, .kind = 'f'};
        if (!add_place(c, &id, &p, err))
            return false;
    }
    return n == 0 || cannot_read(c, file, err);
}

// ---- bundles ----

bool import_bundle_head(const char *p, size_t len, size_t *head, bool *is_pack, struct err *err)
{
    static const char v2[] = "# v2 git bundle\n";
    static const char v3[] = "# v3 git bundle\n";
    *head = 0;
    *is_pack = true;
    if (len < sizeof(v2) - 1)
        return true;
    if (!memcmp(p, v3, sizeof(v3) - 1)) {
        *is_pack = false;
        return true;
    }
    if (memcmp(p, v2, sizeof(v2) - 1) != 0)
        return err_set(err, ERR_CORRUPT, "no Git bundle");
    const char *end = memmem(p, len, "\n\n", 2);
    if (!end)
        return true;
    size_t n = (size_t)(end + 2 - p);
    if (len - n < 4)
        return true;
    if (memcmp(p + n, "PACK", 4) != 0)
        return err_set(err, ERR_CORRUPT, "a Git bundle without a pack");
    *head = n;
    return true;
}

static bool add_bundle(struct import_content *c, size_t file, struct err *err)
{
    struct buf b CLEANUP(buf_clear) = {0};
    CLEANUP(str_freep) char *chunk = mem_alloc(CHUNK);
    int fd CLEANUP(fd_closep) = open_spool(c, file, err);
    size_t head = 0;
    bool is_pack = true;
    if (fd < 0)
        return false;
    // Looked at again only when it has doubled.
    for (size_t want = CHUNK; !head && is_pack; want *= 2) {
        while (b.len < want) {
            ssize_t n = read_at(fd, chunk, CHUNK, b.len);
            if (n < 0)
                return cannot_read(c, file, err);
            if (n == 0)
                break;
            buf_append(&b, chunk, (size_t)n);
        }
        if (!import_bundle_head(b.p ? b.p : "", b.len, &head, &is_pack, err))
            return false;
        if (!head && is_pack && (b.len < want || want > MAX_BUNDLE_HEAD))
            return err_set(err, ERR_CORRUPT, "a Git bundle without a pack");
    }
    if (!is_pack)
        return add_pieces(c, file, err);
    *vec_push(&c->bundles) = (struct import_bundle){.file = (uint32_t)file, .offset = head};
    return true;
}

// ---- Secrets ----

static bool open_sealed(struct import_content *c, size_t file, struct err *err)
{
    struct buf sealed CLEANUP(buf_clear) = {0};
    struct age_keys keys = {.identities = c->ids};
    buf_wipe(&c->secrets);
    c->opened = NONE;
    if (!file_read(c->spools.v[file], MAX_SEALED_BYTES, &sealed, err)) {
        if (err->kind == ERR_INVALID)
            err->kind = ERR_CORRUPT;
        return false;
    }
    if (!age_open(&keys, sealed.p ? sealed.p : "", sealed.len, FORM_SEALED_MAX, &c->secrets, err))
        return false;
    c->opened = file;
    return true;
}

static bool are_documents(const char *p, size_t len, struct err *err)
{
    for (size_t at = 0; at < len;) {
        CLEANUP(json_freep) json_t *doc = NULL;
        struct err why = {0};
        const char *end = memchr(p + at, '\n', len - at);
        bool ok = end && canon_read(p + at, (size_t)(end - (p + at)), &doc, &why);
        err_clear(&why); // it may quote
        if (!ok)
            return err_set(err, ERR_CORRUPT, "a line of it is no document");
        at = (size_t)(end + 1 - p);
    }
    return true;
}

static bool add_sealed(struct import_content *c, size_t file, struct err *err)
{
    if (!c->ids || !c->ids->v.len)
        return err_set(err, ERR_DENIED, "nothing was given to open it");
    if (!open_sealed(c, file, err))
        return false;
    for (size_t at = 0; at < c->secrets.len;) {
        struct form_secret s;
        if (!form_secret_next(c->secrets.p, c->secrets.len, &at, &s, err) ||
            !are_documents(c->secrets.p + s.offset, s.len, err))
            return false;
        struct blob_id id = form_secret_id(c->n_secrets++);
        struct import_place p = {
            .file = (uint32_t)file, .offset = s.offset, .len = (uint32_t)s.len, .kind = s.kind};
        if (!add_place(c, &id, &p, err))
            return false;
    }
    return true;
}

// ---- what belongs where ----

enum belongs { NOWHERE, LISTS, OBJECTS, ROOT, SECRETS, BUNDLE, FILES };

static enum belongs belongs(const char *name)
{
    if (!strcmp(name, FORM_LISTS))
        return LISTS;
    if (!strcmp(name, FORM_OBJECTS))
        return OBJECTS;
    if (!strcmp(name, FORM_ROOT))
        return ROOT;
    if (str_starts(name, FORM_SECRETS))
        return SECRETS;
    if (str_starts(name, FORM_GIT) || (str_starts(name, "git/") && str_ends(name, ".bundle")))
        return BUNDLE;
    if (str_starts(name, FORM_FILES) ||
        (str_starts(name, "sources/") && strcmp(name, "sources/index.json") != 0))
        return FILES;
    return NOWHERE;
}

bool import_content_wants(const char *name)
{
    return belongs(name) != NOWHERE;
}

uint64_t import_content_limit(const char *name)
{
    enum belongs b = belongs(name);
    return b == LISTS || b == ROOT ? MAX_LISTS_BYTES
           : b == OBJECTS          ? MAX_OBJECTS_BYTES
                                   : UINT64_MAX;
}

bool import_content_add(struct import_content *c, const char *name, char *path_take,
                        struct err *err)
{
    size_t file = c->spools.len;
    size_t lines = 0;
    bool ok = true;
    strv_push_take(&c->spools, path_take);
    switch (belongs(name)) {
    case NOWHERE:
        break;
    case LISTS:
        ok = add_lines(c, 'l', file, &lines, err);
        break;
    case OBJECTS:
        ok = add_lines(c, 'o', file, &lines, err);
        break;
    case ROOT:
        ok = add_lines(c, 'r', file, &lines, err) &&
             (lines == 1 || err_set(err, ERR_CORRUPT, "it has %zu lines", lines));
        break;
    case SECRETS:
        ok = add_sealed(c, file, err);
        break;
    case BUNDLE:
        ok = add_bundle(c, file, err);
        break;
    case FILES:
        ok = add_pieces(c, file, err);
        break;
    }
    return ok || err_wrap(err, "%s", name);
}

// ---- a reader over it ----

static char kind_of(void *ctx, const struct blob_id *id)
{
    const struct import_content *c = ctx;
    uint32_t at;
    return idmap_get(&c->map, id, &at) ? c->places.v[at].kind : 0;
}

static bool read_secret(struct import_content *c, const struct import_place *p, struct buf *out,
                        struct err *err)
{
    if (c->opened != p->file && !open_sealed(c, p->file, err))
        return false;
    if (p->offset > c->secrets.len || p->len > c->secrets.len - p->offset)
        return err_set(err, ERR_CORRUPT, "a file of Secrets has changed");
    buf_append(out, c->secrets.p + p->offset, p->len);
    return true;
}

static bool blob_of(void *ctx, const struct blob_id *id, struct buf *out, struct err *err)
{
    struct import_content *c = ctx;
    uint32_t at;
    if (!idmap_get(&c->map, id, &at))
        return err_set(err, ERR_CORRUPT, "a reference to what is not in the export");
    const struct import_place *p = &c->places.v[at];
    if (p->kind == 'k' || p->kind == 's')
        return read_secret(c, p, out, err);
    size_t before = out->len;
    int fd CLEANUP(fd_closep) = open_spool(c, p->file, err);
    if (fd < 0)
        return false;
    buf_reserve(out, p->len);
    ssize_t n = read_at(fd, out->p + before, p->len, p->offset);
    if (n < 0)
        return cannot_read(c, p->file, err);
    struct blob_id is = form_id(p->kind, out->p + before, (size_t)n);
    if (!blob_id_eq(&is, id))
        return err_set(err, ERR_CORRUPT, "%s has changed", c->spools.v[p->file]);
    out->len = before + (size_t)n;
    out->p[out->len] = '\0';
    return true;
}

// Packs that are there once.
static const struct import_bundle *pack_of(const struct import_content *c, size_t i)
{
    for (size_t k = 0; k < c->bundles.len; k++)
        if (!c->bundles.v[k].is_twice && !i--)
            return &c->bundles.v[k];
    return NULL;
}

static size_t git_count(void *ctx)
{
    const struct import_content *c = ctx;
    size_t n = 0;
    for (size_t k = 0; k < c->bundles.len; k++)
        n += !c->bundles.v[k].is_twice;
    return n;
}

static bool git_pack(void *ctx, size_t i, reader_sink_fn sink, void *sink_ctx, struct err *err)
{
    const struct import_content *c = ctx;
    const struct import_bundle *b = pack_of(c, i);
    CLEANUP(str_freep) char *chunk = mem_alloc(CHUNK);
    int fd CLEANUP(fd_closep) = open_spool(c, b->file, err);
    ssize_t n = -1;
    if (fd < 0)
        return false;
    for (uint64_t at = b->offset; (n = read_at(fd, chunk, CHUNK, at)) > 0; at += (uint64_t)n)
        if (!sink(sink_ctx, chunk, (size_t)n, err))
            return false;
    return n == 0 || cannot_read(c, b->file, err);
}

const struct reader_ops import_reader_ops = {kind_of, blob_of, git_count, git_pack};
