// SPDX-License-Identifier: Apache-2.0
#include "source/git.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "source/gitcache.h"
#include "source/gitrepo.h"
#include "source/links.h"
#include "source/ssh.h"

#define MAX_EXPORT_BYTES (1ULL << 30)
#define MAX_FILE_BYTES (256U << 20)
#define LFS_MARK "version https://git-lfs.github.com/spec/v1"
#define MAX_LFS_POINTER 1024

const char *gitsrc_local_path(const char *url)
{
    if (str_starts(url, "file://"))
        return url + 7;
    return strstr(url, "://") || ssh_is_url(url) ? NULL : url;
}

bool source_may_name(const struct source_ctx *c, const char *folder, struct err *err)
{
    // What is no path and is not there is told as that.
    if (!folder || !c->is_remote_root || (*folder != '/' && *folder != '.' && !file_exists(folder)))
        return true;
    err_set(err, ERR_DENIED, "%s is of this machine, and what names it is not", folder);
    return err_hint(err, "Who writes to a remote repository reads no folder of whoever grows a "
                         "cluster from it. If it is meant: give it a URL there, and --mirror "
                         "URL=FOLDER here.");
}

// ---- life ----
static char *tell_refs(const struct wanted *n)
{
    const struct gitsrc *g =
        (const struct gitsrc *)((const char *)n - offsetof(struct gitsrc, listed));
    return str_printf("the refs of %s", g->shown);
}

static char *tell_commit(const struct wanted *n)
{
    const struct gitcommit *c =
        (const struct gitcommit *)((const char *)n - offsetof(struct gitcommit, need));
    return str_printf("commit %.7s of %s", c->id, c->g->shown);
}

static struct gitsrc *gitsrc_new(struct source_ctx *c, const char *url, const char *project)
{
    struct gitsrc *g = mem_alloc(sizeof(*g));
    gitrepo_init();
    g->c = c;
    g->use_fd = -1;
    g->written = str_dup(url);
    g->project = str_dup(project);
    g->url = source_mirror_url(c->o, url);
    g->listed.start = gitlist_start;
    g->listed.tell = tell_refs;
    size_t n = strlen(g->url);
    while (n > 1 && g->url[n - 1] == '/')
        g->url[--n] = 0;
    g->shown = url_redacted(g->url);
    g->remote = (struct gitremote){.c = c, .url = g->url, .shown = g->shown, .project = g->project};
    if (!gitsrc_local_path(g->url)) {
        struct sha256 h = sha256_of(g->url, n);
        CLEANUP(str_freep) char *hex = hex_encode(h.b, 16);
        g->dir = str_printf("%s/git/%s", c->o->cache_dir, hex);
    }
    return g;
}

void gitask_clear(struct gitask *a)
{
    free(a->target);
    free(a->prefix);
    free(a->id);
    free(a->by);
}

static void asks_free(struct gitsrc *g)
{
    for (size_t i = 0; i < g->asks.len; i++)
        gitask_clear(&g->asks.v[i]);
    vec_clear(&g->asks);
}

void gitsrc_free(struct gitsrc *g)
{
    if (!g)
        return;
    gitlist_free(g);
    for (size_t i = 0; i < g->commits.len; i++)
        gitcommit_free(g->commits.v[i]);
    vec_clear(&g->commits);
    git_repository_free(g->repo);
    fd_closep(&g->use_fd);
    gitremote_clear(&g->remote);
    asks_free(g);
    wanted_clear(&g->listed);
    err_clear(&g->err);
    err_clear(&g->unread);
    free(g->url);
    free(g->shown);
    free(g->written);
    free(g->normal);
    free(g->project);
    free(g->dir);
    free(g);
}

struct gitsrc *gitsrc_of(struct source_ctx *c, const char *url, const char *project)
{
    const char *scope = creds_scope(c->creds, url, project);
    CLEANUP(str_freep) char *normal = repo_url_normal(url);
    for (size_t i = 0; i < c->repos.len; i++) {
        struct gitsrc *g = c->repos.v[i];
        if (!strcmp(g->normal, normal) && !strcmp(g->project, scope))
            return g;
    }
    struct gitsrc *g = gitsrc_new(c, url, scope);
    g->normal = TAKE(normal);
    fixed_git(g);
    *vec_push(&c->repos) = g;
    return g;
}

char *gitsrc_objects(const struct gitsrc *g)
{
    return g->dir ? path_join(g->dir, "tree") : str_dup(gitsrc_local_path(g->url));
}

bool gitsrc_open_repo(const struct gitsrc *g, git_repository **out, struct err *err)
{
    CLEANUP(str_freep) char *path = gitsrc_objects(g);
    return g->dir ? gitrepo_open_cache(path, out, err) : gitrepo_open_local(path, out, err);
}

struct gitcommit *gitcommit_at(struct gitsrc *g, const char *id, unsigned depth)
{
    struct gitcommit *c = NULL;
    for (size_t i = 0; i < g->commits.len && !c; i++)
        if (g->commits.v[i]->depth == depth && !strcmp(g->commits.v[i]->id, id))
            c = g->commits.v[i];
    if (!c) {
        c = mem_alloc(sizeof(*c));
        c->g = g;
        c->depth = depth;
        c->spool = -1;
        c->need.start = gitcommit_start;
        c->need.tell = tell_commit;
        memcpy(c->id, id, 40);
        *vec_push(&g->commits) = c;
    }
    c->used_in = g->c->load;
    g->is_mounted |= depth > 0;
    return c;
}

static struct gitask *ask_of(struct gitsrc *g, const char *target, const char *prefix)
{
    for (size_t i = 0; i < g->asks.len; i++)
        if (!strcmp(g->asks.v[i].target, target) && !strcmp(g->asks.v[i].prefix, prefix))
            return &g->asks.v[i];
    struct gitask *a = vec_push(&g->asks);
    a->target = str_dup(target);
    a->prefix = str_dup(prefix);
    return a;
}

// In the list of refs; one that was not listed is asked for.
static bool look_up(struct gitsrc *g, const char *target, const char *tag_prefix, char **id,
                    char **by, struct err *err)
{
    if (err_is_set(&g->unread)) {
        err_copy(err, &g->unread);
        return false;
    }
    if (g->is_list_old && g->listed.is_settled)
        gitlist_renew(g);
    if (!wanted_wait(&g->listed, &g->c->waits, err))
        return false;
    if (revision_resolve_git(target, tag_prefix, &g->refs, id, by, err))
        return true;
    if (err->kind == ERR_NOT_FOUND && gitlist_has_more(g, target)) {
        err_clear(err);
        if (!gitlist_one(g, target, err))
            return false;
        if (revision_resolve_git(target, tag_prefix, &g->refs, id, by, err))
            return true;
    }
    return err_wrap(err, "%s", g->shown);
}

// The commit a name stands for.
static bool resolve(struct gitsrc *g, const char *target, const char *tag_prefix, char **id,
                    char **by, struct err *err)
{
    if (revision_is_id(target))
        return revision_resolve_git(target, tag_prefix, &g->refs, id, by, err);
    struct gitask *a = ask_of(g, target ? target : "", tag_prefix ? tag_prefix : "");
    a->used_in = g->c->load;
    if (!a->is_current) {
        if (!look_up(g, target, tag_prefix, id, by, err))
            return false;
        str_set(&a->id, *id);
        str_set(&a->by, *by);
        a->is_current = true;
        return true;
    }
    *id = str_dup(a->id);
    *by = str_dup_or_null(a->by);
    return true;
}

bool gitsrc_resolve(struct gitsrc *g, const char *target, const char *tag_prefix,
                    struct gitcommit **commit, char **name, struct err *err)
{
    CLEANUP(str_freep) char *id = NULL;
    CLEANUP(str_freep) char *by = NULL;
    if (!source_may_name(g->c, gitsrc_local_path(g->written), err) ||
        !resolve(g, target, tag_prefix, &id, &by, err))
        return false;
    if (strlen(id) != 40)
        return err_set(err, ERR_INVALID, "%s: \"%.80s\" is no commit id", g->shown, id);
    struct gitcommit *c = gitcommit_at(g, id, 0);
    if (!wanted_wait(&c->need, &g->c->waits, err))
        return false;
    *commit = c;
    *name = TAKE(by);
    return true;
}

bool gitsrc_retry_denied(struct gitsrc *g)
{
    bool any = g->listed.is_settled && g->listed.err.kind == ERR_DENIED;
    if (any)
        wanted_reset(&g->listed);
    any |= gitlist_retry_denied(g);
    for (size_t i = 0; i < g->commits.len; i++) {
        struct wanted *n = &g->commits.v[i]->need;
        if (!n->is_settled || n->err.kind != ERR_DENIED)
            continue;
        wanted_reset(n);
        any = true;
    }
    return any;
}

// ---- reading ----
// On the loop's thread; a file of a submodule lies in another repository.
static bool read_file(const struct git_file *f, size_t max_bytes, struct buf *out, struct err *err)
{
    struct gitsrc *home = f->home;
    if (!home->repo && !gitsrc_open_repo(home, &home->repo, err))
        return false;
    if (gitrepo_read(home->repo, f, max_bytes, out, err))
        return true;
    if (err->kind == ERR_CORRUPT && home->dir) {
        gitcache_mark_damaged(home);
        err_hint(err, "The cache is damaged; the next run fetches the repository again.");
    }
    return false;
}

static bool read_link(void *ctx, const struct git_file *link, struct buf *out, struct err *err)
{
    (void)ctx;
    return read_file(link, LINK_MAX_BYTES, out, err);
}

bool gitcommit_locate(const struct gitcommit *c, const char *path, char **out, struct err *err)
{
    if (!files_are_known(&c->files, path, false, err))
        return false;
    if (files_resolve(&c->files, path, read_link, NULL, out, err))
        return files_are_known(&c->files, *out, false, err);
    return err_wrap(err, "%s", c->g->shown);
}

bool gitcommit_read(const struct gitcommit *c, const char *path, size_t max_bytes, struct buf *out,
                    struct err *err)
{
    CLEANUP(str_freep) char *at = NULL;
    if (!gitcommit_locate(c, path, &at, err))
        return false;
    const struct git_file *f = files_find(&c->files, at);
    size_t before = out->len;
    if (!f)
        return err_set(err, ERR_INVALID, "%s is not a file", path);
    if (!read_file(f, max_bytes, out, err))
        return false;
    if (out->len - before < MAX_LFS_POINTER && out->p && str_starts(out->p + before, LFS_MARK))
        return err_set(err, ERR_INVALID, "%s is a Git LFS pointer; LFS is not supported", path);
    return true;
}

// ---- export ----
struct opened {
    const struct gitsrc *g;
    git_repository *repo;
};

struct export
{
    const struct git_files *files;
    const char *dir;
    uint64_t total;
    VEC(struct opened) repos;
    const char *last_dir; // that is known to be there
    size_t last_len;
};

static git_repository *repo_of(struct export *x, const struct gitsrc *g, struct err *err)
{
    for (size_t i = 0; i < x->repos.len; i++)
        if (x->repos.v[i].g == g)
            return x->repos.v[i].repo;
    git_repository *repo = NULL;
    if (!gitsrc_open_repo(g, &repo, err))
        return NULL;
    *vec_push(&x->repos) = (struct opened){g, repo};
    return repo;
}

static bool read_link_of(void *ctx, const struct git_file *link, struct buf *out, struct err *err)
{
    struct export *x = ctx;
    git_repository *repo = repo_of(x, link->home, err);
    return repo && gitrepo_read(repo, link, LINK_MAX_BYTES, out, err);
}

// The kernel will follow it from where it lies, and through every other link on the way.
static bool write_link(struct export *x, const struct git_file *f, const struct buf *b,
                       const char *to, struct err *err)
{
    if (!files_check_link(x->files, f->path, read_link_of, x, err))
        return false;
    if (symlink(b->p, to) == 0)
        return true;
    int errnum = errno;
    return err_set_errno(err, errnum, "link %s", f->path);
}

static bool write_bytes(const char *to, const struct buf *b, mode_t mode, struct err *err)
{
    int fd CLEANUP(fd_closep) =
        open(to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    size_t at = 0;
    while (fd >= 0 && at < b->len) {
        ssize_t n = write(fd, b->p + at, b->len - at);
        if (n <= 0)
            break;
        at += (size_t)n;
    }
    if (fd >= 0 && at == b->len)
        return true;
    int errnum = errno;
    return err_set_errno(err, errnum, "write %s", to);
}

static bool export_file(struct export *x, const struct git_file *f, struct err *err)
{
    struct buf b CLEANUP(buf_clear) = {0};
    CLEANUP(str_freep) char *to = path_join(x->dir, f->path);
    const char *slash = strrchr(f->path, '/');
    size_t len = slash ? (size_t)(slash - f->path) : 0;
    git_repository *repo = repo_of(x, f->home, err);
    size_t max = f->mode == FILES_MODE_LINK ? LINK_MAX_BYTES : MAX_FILE_BYTES;
    if (!repo || !gitrepo_read(repo, f, max, &b, err))
        return false;
    // Files come in order: the folder is mostly that of the one before.
    if (len && (x->last_len != len || strncmp(x->last_dir, f->path, len) != 0)) {
        CLEANUP(str_freep) char *folder = str_ndup(to, strlen(x->dir) + 1 + len);
        if (!dir_make(folder, 0700, err))
            return false;
        x->last_dir = f->path;
        x->last_len = len;
    }
    x->total += b.len;
    if (x->total > MAX_EXPORT_BYTES)
        return err_set(err, ERR_INVALID, "the repository is larger than 1 GiB");
    return f->mode == FILES_MODE_LINK ? write_link(x, f, &b, to, err)
                                      : write_bytes(to, &b, f->mode & 0111 ? 0700 : 0600, err);
}

bool gitcommit_export(const struct gitcommit *c, const char *dir, struct err *err)
{
    struct export x = {.files = &c->files, .dir = dir};
    bool ok = files_are_known(&c->files, "", true, err);
    for (size_t i = 0; ok && i < c->files.v.len; i++) {
        ok = export_file(&x, &c->files.v.v[i], err);
        if (ok && loop_stopping(c->g->c->loop))
            ok = err_set(err, ERR_CANCELLED, "interrupted");
    }
    for (size_t i = 0; i < x.repos.len; i++)
        git_repository_free(x.repos.v[i].repo);
    vec_clear(&x.repos);
    return ok;
}
