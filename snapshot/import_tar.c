// SPDX-License-Identifier: Apache-2.0
#include "snapshot/import_tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "gitops/gitops.h"
#include "snapshot/export_form.h"

struct reading {
    struct archive *a;
    tar_pull_fn pull;
    void *pull_ctx;
    const struct tar_bounds *b;
    const struct tar_sink *sink;
    struct err *err;
    char *top; // the folder everything lies in; NULL: none was seen yet
    json_t *seen;
    uint64_t bytes; // of files so far
    size_t files, names;
};

static bool corrupt(struct reading *r, const char *name, const char *what)
{
    CLEANUP(str_freep) char *shown = str_ndup(name, strnlen(name, 200));
    for (char *p = shown; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7F)
            *p = '?';
    return err_set(r->err, ERR_CORRUPT, "%s: %s", shown, what);
}

// The library's word on what it cannot read.
static bool failed(struct reading *r, bool has_begun)
{
    if (err_is_set(r->err))
        return false; // of the source, or the sink
    const char *text = archive_error_string(r->a);
    return err_set(r->err, has_begun ? ERR_CORRUPT : ERR_INVALID, "%s: %s",
                   has_begun ? "it is cut off or damaged" : "no tar file",
                   text ? text : "there is nothing in it");
}

static la_ssize_t on_pull(struct archive *a, void *ctx, const void **out)
{
    struct reading *r = ctx;
    size_t len = 0;
    if (r->pull(r->pull_ctx, out, &len, r->err))
        return (la_ssize_t)len;
    archive_set_error(a, EIO, "not read");
    return -1;
}

// ---- names ----

// "top/a/b": the part below the top, which is the same for all. NULL: it is no such name.
static const char *below_top(struct reading *r, const char *path)
{
    CLEANUP(str_freep) char *clean = NULL;
    const char *slash = strchr(path, '/');
    if (!slash || !form_name_is_plain(path) || !path_clean(path, &clean) ||
        strcmp(clean, path) != 0)
        return NULL;
    size_t n = (size_t)(slash - path);
    if (!r->top)
        r->top = str_ndup(path, n);
    return strlen(r->top) == n && !strncmp(r->top, path, n) ? slash + 1 : NULL;
}

static bool take_name(struct reading *r, const char *path, const char **name)
{
    size_t len = strlen(path);
    r->names += len;
    if (++r->files > r->b->files || r->names > r->b->names || len > TAR_MAX_NAME)
        return err_set(r->err, ERR_CORRUPT, "more than %zu files, or names longer than allowed",
                       r->b->files);
    *name = below_top(r, path);
    if (!*name)
        return corrupt(r, path, "a name that leads elsewhere, or is not one line");
    if (json_object_get(r->seen, *name))
        return corrupt(r, path, "it is there twice");
    // jansson's hash is seeded, so that nobody can choose names that collide.
    return json_object_set_new(r->seen, *name, json_true()) == 0 ||
           corrupt(r, path, "its name is not UTF-8");
}

// ---- files ----

static bool take_data(struct reading *r, const char *name, uint64_t size)
{
    uint64_t got = 0;
    const void *p;
    size_t len;
    la_int64_t offset;
    int rc;
    while ((rc = archive_read_data_block(r->a, &p, &len, &offset)) == ARCHIVE_OK) {
        if (offset < 0 || (uint64_t)offset != got || len > size - got)
            return corrupt(r, name, "a file with holes, or longer than it says");
        got += len;
        if (len && !r->sink->data(r->sink->ctx, p, len, r->err))
            return false;
    }
    if (rc != ARCHIVE_EOF)
        return failed(r, true);
    return got == size || corrupt(r, name, "shorter than it says");
}

static bool is_regular(struct archive_entry *e)
{
    return archive_entry_filetype(e) == AE_IFREG && !archive_entry_hardlink(e) &&
           !archive_entry_symlink(e) && archive_entry_size_is_set(e) &&
           archive_entry_size(e) >= 0 && !archive_entry_sparse_count(e);
}

static bool take_entry(struct reading *r, struct archive_entry *e)
{
    const char *path = archive_entry_pathname(e);
    const char *name = NULL;
    if (!path)
        return err_set(r->err, ERR_CORRUPT, "a file without a name");
    // Somebody may have unpacked it and packed it again.
    if (archive_entry_filetype(e) == AE_IFDIR && !archive_entry_hardlink(e))
        return ++r->files <= r->b->files || err_set(r->err, ERR_CORRUPT, "too many folders");
    if (!is_regular(e))
        return corrupt(r, path, "a link, a device, or a file with holes");
    uint64_t size = (uint64_t)archive_entry_size(e);
    if (!take_name(r, path, &name))
        return false;
    if (size > r->b->bytes - r->bytes)
        return corrupt(r, path, "with it there is more than may be");
    r->bytes += size;
    return r->sink->file(r->sink->ctx, name, size, r->err) && take_data(r, path, size) &&
           r->sink->done(r->sink->ctx, r->err);
}

static bool read_all(struct reading *r)
{
    struct archive_entry *e;
    int rc;
    if (archive_read_support_format_tar(r->a) != ARCHIVE_OK ||
        archive_read_open(r->a, r, NULL, on_pull, NULL) != ARCHIVE_OK)
        return failed(r, false);
    while ((rc = archive_read_next_header(r->a, &e)) == ARCHIVE_OK)
        if (!take_entry(r, e))
            return false;
    if (rc != ARCHIVE_EOF)
        return failed(r, r->files > 0);
    return r->files || failed(r, false);
}

bool import_tar_read(tar_pull_fn pull, void *pull_ctx, const struct tar_bounds *b,
                     const struct tar_sink *sink, struct err *err)
{
    struct reading r = {.a = archive_read_new(),
                        .pull = pull,
                        .pull_ctx = pull_ctx,
                        .b = b,
                        .sink = sink,
                        .err = err,
                        .seen = json_object()};
    bool ok = read_all(&r);
    archive_read_free(r.a);
    json_decref(r.seen);
    free(r.top);
    return ok;
}
