// SPDX-License-Identifier: Apache-2.0
#include "snapshot/import.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "snapshot/import_int.h"

#define MAX_KEPT_BYTES ((uint64_t)64 << 20) // of trust files together

// ---- once through: hashes, and what is needed first ----

static const struct keep {
    const char *name; // one that ends in a slash: all below it
    uint64_t max;
} keeps[] = {
    {FORM_SUMS, 128U << 20},       {FORM_SIGNED, 64U << 10},    {FORM_ABOUT, 16U << 10},
    {FORM_ENTRY, ENTRY_MAX_BYTES}, {"trust/", TRUST_MAX_BYTES},
};

static const struct keep *keep_of(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(keeps); i++)
        if (!strcmp(keeps[i].name, name) ||
            (str_ends(keeps[i].name, "/") && str_starts(name, keeps[i].name)))
            return &keeps[i];
    return NULL;
}

struct first {
    struct import *m;
    struct sha256_ctx *hash;
    bool keeps;
    uint64_t kept;
};

static bool first_file(void *ctx, const char *name, uint64_t size, struct err *err)
{
    struct first *f = ctx;
    const struct keep *k = keep_of(name);
    if (k && (size > k->max || (k->max == TRUST_MAX_BYTES && (f->kept += size) > MAX_KEPT_BYTES)))
        return err_set(err, ERR_CORRUPT, "%.200s is larger than it can be", name);
    *vec_push(&f->m->files.v) = (struct import_file){.name = str_dup(name), .size = size};
    f->m->facts.bytes += size;
    f->keeps = k != NULL;
    f->hash = sha256_begin();
    return true;
}

static struct import_file *newest(struct import *m)
{
    return &m->files.v.v[m->files.v.len - 1];
}

static bool first_data(void *ctx, const void *p, size_t len, struct err *err)
{
    struct first *f = ctx;
    (void)err;
    sha256_add(f->hash, p, len);
    if (f->keeps)
        buf_append(&newest(f->m)->kept, p, len);
    return true;
}

static bool first_done(void *ctx, struct err *err)
{
    struct first *f = ctx;
    (void)err;
    newest(f->m)->hash = sha256_end(f->hash);
    f->hash = NULL;
    return true;
}

static bool read_file(struct import *m, const struct tar_sink *sink, struct err *err)
{
    const struct tar_bounds bounds = TAR_BOUNDS;
    const struct tar_file f = {.fd = m->fd, .loop = m->o.loop, .events = m->o.events};
    return import_file_read(&f, &bounds, sink, err);
}

static bool read_first(struct import *m, struct err *err)
{
    struct first f = {.m = m};
    const struct tar_sink sink = {first_file, first_data, first_done, &f};
    bool ok = read_file(m, &sink, err);
    if (f.hash)
        (void)sha256_end(f.hash);
    import_files_sort(&m->files);
    m->facts.files = m->files.v.len;
    return ok;
}

// ---- once more: what it holds, into files of our own ----

struct second {
    struct import *m;
    const struct import_file *file;
    struct sha256_ctx *hash; // NULL: it is not needed
    int fd;
    char **paths; // of m->files
};

static bool has_changed(struct err *err)
{
    return err_set(err, ERR_CORRUPT, "it was changed while it was read");
}

static bool second_file(void *ctx, const char *name, uint64_t size, struct err *err)
{
    struct second *s = ctx;
    s->file = import_files_find(&s->m->files, name);
    if (!s->file || s->file->size != size)
        return has_changed(err);
    if (!import_content_wants(name))
        return true;
    if (size > import_content_limit(name))
        return err_set(err, ERR_CORRUPT, "%.200s is larger than it can be", name);
    size_t at = (size_t)(s->file - s->m->files.v.v);
    s->paths[at] = str_printf("%s/%06zu", s->m->content.work.path, at);
    s->hash = sha256_begin();
    s->fd = open(s->paths[at], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int errnum = errno;
    return s->fd >= 0 || err_set_errno(err, errnum, "make %s", s->paths[at]);
}

static bool second_data(void *ctx, const void *p, size_t len, struct err *err)
{
    struct second *s = ctx;
    if (!s->hash)
        return true;
    sha256_add(s->hash, p, len);
    return file_write_fd(s->fd, s->m->content.work.path, p, len, err);
}

static bool second_done(void *ctx, struct err *err)
{
    struct second *s = ctx;
    if (!s->hash)
        return true;
    struct sha256 h = sha256_end(s->hash);
    s->hash = NULL;
    fd_closep(&s->fd);
    return sha256_eq(&h, &s->file->hash) || has_changed(err);
}

// By name: Secrets are numbered so.
static bool add_all(struct import *m, char **paths, struct err *err)
{
    for (size_t i = 0; i < m->files.v.len; i++) {
        char *path = paths[i];
        paths[i] = NULL;
        if (m->o.loop && loop_stopping(m->o.loop)) {
            free(path);
            return err_set(err, ERR_CANCELLED, "interrupted while reading");
        }
        if (path && !import_content_add(&m->content, m->files.v.v[i].name, path, err))
            return false;
    }
    return true;
}

static bool read_second(struct import *m, struct err *err)
{
    struct second s = {.m = m, .fd = -1};
    const struct tar_sink sink = {second_file, second_data, second_done, &s};
    s.paths = mem_alloc((m->files.v.len + 1) * sizeof(*s.paths));
    bool ok = read_file(m, &sink, err);
    if (s.hash)
        (void)sha256_end(s.hash);
    fd_closep(&s.fd);
    ok = ok && add_all(m, s.paths, err);
    for (size_t i = 0; i < m->files.v.len; i++)
        free(s.paths[i]);
    free(s.paths);
    return ok;
}

// ---- the whole ----

static bool open_file(struct import *m, struct err *err)
{
    struct stat st;
    m->fd = open(m->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK); // a pipe would wait for a writer
    int errnum = errno;
    if (m->fd < 0 || fstat(m->fd, &st) != 0)
        return err_set_errno(err, m->fd < 0 ? errnum : errno, "open");
    return S_ISREG(st.st_mode) || err_set(err, ERR_INVALID, "a file is wanted");
}

bool import_open(const char *file, const struct import_opts *o, struct import **out,
                 struct err *err)
{
    CLEANUP(import_freep) struct import *m = mem_alloc(sizeof(*m));
    m->name = str_dup(file);
    m->o = *o;
    m->fd = -1;
    m->content.work.fd = -1;
    if (!open_file(m, err) || !read_first(m, err) || !import_sums_check(&m->files, err) ||
        !import_vouch(m, err))
        return err_wrap(err, "%s", file);
    *out = TAKE(m);
    return true;
}

void import_free(struct import *m)
{
    if (!m)
        return;
    reader_free(m->reader);
    import_content_clear(&m->content);
    import_files_clear(&m->files);
    trust_chain_clear(&m->trust);
    entry_clear(&m->entry);
    strv_clear(&m->facts.doubts);
    fd_closep(&m->fd);
    free(m->name);
    free(m);
}

const struct import_facts *import_facts(const struct import *m)
{
    return &m->facts;
}

static bool has_root(const struct import *m, struct err *err)
{
    return idmap_has(&m->content.map, &m->content.root) ||
           err_set(err, ERR_CORRUPT, FORM_ROOT " is missing");
}

bool import_read(struct import *m, const struct age_identities *ids, struct err *err)
{
    m->content.ids = ids;
    if (!workdir_make(m->o.work, &m->content.work, err) || !read_second(m, err) ||
        !has_root(m, err))
        return err_wrap(err, "%s", m->name);
    m->reader = reader_over(&import_reader_ops, &m->content, &m->content.root);
    m->entry.snapshot.root = m->content.root; // what it is called in here
    return import_git_prove(&m->content, m->reader, m->o.loop, err) || err_wrap(err, "%s", m->name);
}

struct reader *import_reader(struct import *m)
{
    return m->reader;
}

// ---- what is there already ----

// Can this one be vouched for where that one could not?
static bool is_better(const struct import *m, const struct entry *there)
{
    static const char *const lacks[] = {"unsigned", "unpinned", "no-secrets"};
    for (size_t i = 0; i < ARRAY_LEN(lacks); i++)
        if (strv_has(&there->snapshot.why, lacks[i]) && !strv_has(&m->facts.doubts, lacks[i]))
            return true;
    return false;
}

bool import_check(const struct import *m, const struct log *to, const struct snapshot_entry *result,
                  bool on_top, bool *is_there, struct err *err)
{
    bool was_copied = false;
    *is_there = false;
    for (size_t i = 0; i < to->v.len; i++) {
        const struct entry *e = &to->v.v[i];
        if (e->kind != ENTRY_SNAPSHOT || e->is_void || log_standing(to, e) != STANDING_LIVE ||
            !str_eq(e->snapshot.origin, result->origin) || is_better(m, e))
            continue;
        if (!blob_id_eq(&e->snapshot.root, &result->root))
            return err_set(err, ERR_CONFLICT,
                           "snapshot %llu of chain %s is of the same origin, and other content",
                           (unsigned long long)e->seq, to->chain);
        *is_there = true;
    }
    return *is_there || on_top || copy_check(to, &m->entry, &was_copied, err);
}
