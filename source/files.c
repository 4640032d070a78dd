// SPDX-License-Identifier: Apache-2.0
#include "source/files.h"

#include <stdlib.h>
#include <strings.h>

#include "base/file.h"
#include "source/links.h"

void files_clear(struct git_files *f)
{
    for (size_t i = 0; i < f->v.len; i++)
        free(f->v.v[i].path);
    for (size_t i = 0; i < f->dirs.len; i++)
        free(f->dirs.v[i].path);
    for (size_t i = 0; i < f->mounts.len; i++) {
        free(f->mounts.v[i].path);
        err_clear(&f->mounts.v[i].err);
    }
    vec_clear(&f->v);
    vec_clear(&f->dirs);
    vec_clear(&f->mounts);
    buf_clear(&f->modules);
    f->has_links = false;
}

bool files_check_name(const char *dir, const char *name, size_t len, struct err *err)
{
    bool ok = len > 0 && !memchr(name, '/', len) && !(len == 1 && name[0] == '.') &&
              !(len == 2 && name[0] == '.' && name[1] == '.') &&
              !(len == 4 && !strncasecmp(name, ".git", 4));
    for (size_t i = 0; ok && i < len; i++)
        ok = (unsigned char)name[i] >= 0x20 && name[i] != 0x7f;
    if (!ok)
        return err_set(err, ERR_INVALID, "the repository holds a name that no file may have%s%s",
                       *dir ? ", in " : "", dir);
    return strlen(dir) + len + 1 < FILES_MAX_PATH ||
           err_set(err, ERR_INVALID, "a path of the repository is longer than %d bytes",
                   FILES_MAX_PATH);
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct git_file *)a)->path, ((const struct git_file *)b)->path);
}

static int dir_by_path(const void *a, const void *b)
{
    return strcmp(((const struct git_dir *)a)->path, ((const struct git_dir *)b)->path);
}

bool files_finish(struct git_files *f, struct err *err)
{
    if (f->v.len)
        qsort(f->v.v, f->v.len, sizeof(*f->v.v), by_path);
    if (f->dirs.len)
        qsort(f->dirs.v, f->dirs.len, sizeof(*f->dirs.v), dir_by_path);
    for (size_t i = 0; i < f->v.len; i++)
        f->has_links |= f->v.v[i].mode == FILES_MODE_LINK;
    for (size_t i = 1; i < f->v.len; i++)
        if (!strcmp(f->v.v[i - 1].path, f->v.v[i].path))
            return err_set(err, ERR_INVALID, "%s is in the repository twice", f->v.v[i].path);
    for (size_t i = 1; i < f->dirs.len; i++)
        if (!strcmp(f->dirs.v[i - 1].path, f->dirs.v[i].path))
            return err_set(err, ERR_INVALID, "%s is in the repository twice", f->dirs.v[i].path);
    for (size_t i = 0; i < f->v.len; i++)
        if (files_find_dir(f, f->v.v[i].path))
            return err_set(err, ERR_INVALID, "%s is in the repository twice", f->v.v[i].path);
    return true;
}

void files_mount(struct git_files *f, const char *at, const struct git_files *sub)
{
    f->has_links |= sub->has_links;
    for (size_t i = 0; i < sub->v.len; i++) {
        struct git_file *x = vec_push(&f->v);
        *x = sub->v.v[i];
        x->path = path_join(at, sub->v.v[i].path);
    }
    for (size_t i = 0; i < sub->dirs.len; i++) {
        struct git_dir *d = vec_push(&f->dirs);
        *d = sub->dirs.v[i];
        d->path = path_join(at, sub->dirs.v[i].path);
    }
    for (size_t i = 0; i < sub->mounts.len; i++) {
        struct git_mount *m = vec_push(&f->mounts);
        *m = sub->mounts.v[i];
        m->path = path_join(at, sub->mounts.v[i].path);
        m->err = (struct err){0};
        if (err_is_set(&sub->mounts.v[i].err))
            err_copy(&m->err, &sub->mounts.v[i].err);
    }
    if (f->v.len)
        qsort(f->v.v, f->v.len, sizeof(*f->v.v), by_path);
    if (f->dirs.len)
        qsort(f->dirs.v, f->dirs.len, sizeof(*f->dirs.v), dir_by_path);
}

const struct git_file *files_find(const struct git_files *f, const char *path)
{
    struct git_file key = {.path = (char *)path};
    return f->v.len ? bsearch(&key, f->v.v, f->v.len, sizeof(*f->v.v), by_path) : NULL;
}

const struct git_dir *files_find_dir(const struct git_files *f, const char *path)
{
    struct git_dir key = {.path = (char *)path};
    return f->dirs.len ? bsearch(&key, f->dirs.v, f->dirs.len, sizeof(*f->dirs.v), dir_by_path)
                       : NULL;
}

// The first file whose path is not less than the text.
static size_t lower_bound(const struct git_files *f, const char *text)
{
    size_t low = 0;
    size_t high = f->v.len;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (strcmp(f->v.v[mid].path, text) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static size_t lower_bound_dir(const struct git_files *f, const char *text)
{
    size_t low = 0;
    size_t high = f->dirs.len;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (strcmp(f->dirs.v[mid].path, text) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

size_t files_take_below(struct git_files *f, const struct git_files *from, const char *dir,
                        struct gitsrc *home)
{
    size_t len = strlen(dir);
    size_t before = f->v.len + f->dirs.len;
    CLEANUP(str_freep) char *bound = mem_alloc(len + 2);
    memcpy(bound, dir, len);
    bound[len] = '/';
    size_t first = lower_bound(from, bound);
    size_t first_dir = lower_bound_dir(from, bound);
    bound[len] = '0'; // it follows '/'
    size_t end = lower_bound(from, bound);
    size_t end_dirs = lower_bound_dir(from, bound);
    for (size_t i = first; i < end; i++) {
        struct git_file *x = vec_push(&f->v);
        *x = from->v.v[i];
        x->path = str_dup(x->path);
        x->home = home;
    }
    for (size_t i = first_dir; i < end_dirs; i++) {
        struct git_dir *d = vec_push(&f->dirs);
        *d = from->dirs.v[i];
        d->path = str_dup(d->path);
    }
    return f->v.len + f->dirs.len - before;
}

void files_range(const struct git_files *f, const char *dir, size_t *first, size_t *end)
{
    *first = 0;
    *end = f->v.len;
    if (!*dir)
        return;
    CLEANUP(str_freep) char *from = str_printf("%s/", dir);
    CLEANUP(str_freep) char *to = str_printf("%s0", dir); // '0' follows '/'
    *first = lower_bound(f, from);
    *end = lower_bound(f, to);
}

static bool is_below(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    return !n || (!strncmp(path, dir, n) && (!path[n] || path[n] == '/'));
}

bool files_are_known(const struct git_files *f, const char *path, bool below, struct err *err)
{
    for (size_t i = 0; i < f->mounts.len; i++) {
        const struct git_mount *m = &f->mounts.v[i];
        if (!err_is_set(&m->err) ||
            !(is_below(path, m->path) || (below && !m->is_left_out && is_below(m->path, path))))
            continue;
        err_copy(err, &m->err);
        return err_wrap(err, "submodule %s", m->path);
    }
    return true;
}

struct reading {
    const struct git_files *f;
    files_link_fn read_link;
    void *ctx;
};

static bool read_link_at(void *ctx, const char *path, bool *is_link, struct buf *text,
                         struct err *err)
{
    const struct reading *r = ctx;
    const struct git_file *x = files_find(r->f, path);
    *is_link = x && x->mode == FILES_MODE_LINK;
    return !*is_link || r->read_link(r->ctx, x, text, err);
}

bool files_resolve(const struct git_files *f, const char *path, files_link_fn read_link, void *ctx,
                   char **out, struct err *err)
{
    struct reading r = {f, read_link, ctx};
    const struct links l = {"repository", read_link_at, &r};
    CLEANUP(str_freep) char *at = NULL;
    if (!links_resolve(&l, path, &at, err))
        return false;
    if (*at && !files_find(f, at) && !files_find_dir(f, at))
        return err_set(err, ERR_NOT_FOUND, "path \"%s\" does not exist", path);
    *out = TAKE(at);
    return true;
}

bool files_check_link(const struct git_files *f, const char *path, files_link_fn read_link,
                      void *ctx, struct err *err)
{
    struct reading r = {f, read_link, ctx};
    const struct links l = {"repository", read_link_at, &r};
    return links_stay(&l, path, err);
}
