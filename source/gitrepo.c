// SPDX-License-Identifier: Apache-2.0
#include "source/gitrepo.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

#define MAX_MODULES_BYTES (1U << 20)
#define STORE_CHUNK (1U << 20)

// Of a failed system call libgit2 keeps nothing but the text it puts last.
static enum err_kind kind_of_os(const char *message)
{
    static const struct {
        int errnum;
        enum err_kind kind;
    } known[] = {{ENOSPC, ERR_UNAVAILABLE},
                 {EDQUOT, ERR_UNAVAILABLE},
                 {EIO, ERR_UNAVAILABLE},
                 {EACCES, ERR_DENIED},
                 {EROFS, ERR_DENIED}};
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_ends(message, strerror(known[i].errnum)))
            return known[i].kind;
    return ERR_INTERNAL;
}

// What libgit2 says about its last failure; rc first, then the class.
bool gitrepo_err(int rc, struct err *err, const char *what)
{
    const git_error *e = git_error_last();
    int klass = e ? e->klass : GIT_ERROR_NONE;
    enum err_kind kind = ERR_INTERNAL;
    if (rc == GIT_EUSER)
        kind = ERR_CANCELLED;
    else if (rc == GIT_ENOTFOUND)
        kind = ERR_NOT_FOUND;
    else if (rc == GIT_EOWNER)
        kind = ERR_DENIED;
    else if (rc == GIT_EAMBIGUOUS || rc == GIT_EINVALIDSPEC || klass == GIT_ERROR_INVALID)
        kind = ERR_INVALID;
    else if (rc == GIT_EMISMATCH || klass == GIT_ERROR_ZLIB || klass == GIT_ERROR_INDEXER ||
             klass == GIT_ERROR_OBJECT || klass == GIT_ERROR_ODB || klass == GIT_ERROR_TREE ||
             klass == GIT_ERROR_NOMEMORY)
        kind = ERR_CORRUPT;
    else if (rc == GIT_ELOCKED)
        kind = ERR_CONFLICT;
    else if (klass == GIT_ERROR_REPOSITORY)
        kind = ERR_INVALID;
    else if (klass == GIT_ERROR_OS && e->message)
        kind = kind_of_os(e->message);
    return err_set(err, kind, "%s: %s", what, e && e->message ? e->message : "libgit2 failed");
}

void gitrepo_init(void)
{
    static bool done;
    if (done)
        return;
    done = true;
    git_libgit2_init();
    // No configuration of this machine or user changes what a repository means.
    for (int level = GIT_CONFIG_LEVEL_PROGRAMDATA; level <= GIT_CONFIG_LEVEL_GLOBAL; level++)
        git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, level, "");
    static const char *extensions[] = {"worktreeconfig"};
    git_libgit2_opts(GIT_OPT_SET_EXTENSIONS, extensions, ARRAY_LEN(extensions));
    git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
    git_libgit2_opts(GIT_OPT_SET_MWINDOW_SIZE, (size_t)8 << 20);
    git_libgit2_opts(GIT_OPT_SET_MWINDOW_MAPPED_LIMIT, (size_t)64 << 20);
    git_libgit2_opts(GIT_OPT_SET_MWINDOW_FILE_LIMIT, (size_t)64);
    git_libgit2_opts(GIT_OPT_SET_CACHE_MAX_SIZE, (ssize_t)32 << 20);
    git_libgit2_opts(GIT_OPT_SET_PACK_MAX_OBJECTS, (size_t)20000000);
    git_libgit2_opts(GIT_OPT_ENABLE_FSYNC_GITDIR, 1);
#ifdef HAVE_PACK_MAX_OBJECT_SIZE // a distribution's patch: no header tells, the Makefile tried
    git_libgit2_opts(GIT_OPT_SET_PACK_MAX_OBJECT_SIZE, (size_t)256 << 20);
#endif
}

bool gitrepo_open_local(const char *path, git_repository **out, struct err *err)
{
    int rc = git_repository_open_ext(out, path, GIT_REPOSITORY_OPEN_NO_SEARCH, NULL);
    if (rc == 0)
        return true;
    const git_error *e = git_error_last();
    if (e && e->message && strstr(e->message, "extensions.objectformat"))
        return err_set(err, ERR_INVALID, "%s: SHA-256 repositories are not supported", path);
    if (!file_exists(path)) // also a repoURL that no tool has filled in
        return err_set(err, ERR_NOT_FOUND, "\"%s\" is neither a URL nor a folder of this machine",
                       path);
    gitrepo_err(rc, err, path);
    return err_wrap(err, "Git repository");
}

bool gitrepo_open_cache(const char *path, git_repository **out, struct err *err)
{
    if (!dir_make(path, 0700, err))
        return false;
    if (git_repository_open_bare(out, path) == 0)
        return true;
    int rc = git_repository_init(out, path, 1);
    return rc == 0 || gitrepo_err(rc, err, path);
}

static int add_ref(git_reference *ref, void *ctx)
{
    struct git_refs *refs = ctx;
    git_object *commit = NULL;
    if (git_reference_peel(&commit, ref, GIT_OBJECT_COMMIT) == 0) {
        struct git_ref *r = vec_push(&refs->refs);
        char id[41];
        git_oid_tostr(id, sizeof(id), git_object_id(commit));
        r->name = str_dup(git_reference_name(ref));
        r->id = str_dup(id);
    }
    git_object_free(commit);
    git_reference_free(ref);
    return 0;
}

static int cmp_ref(const void *a, const void *b)
{
    return strcmp(((const struct git_ref *)a)->name, ((const struct git_ref *)b)->name);
}

bool gitrepo_refs(git_repository *repo, struct git_refs *out, struct err *err)
{
    git_reference *head = NULL;
    git_reference *raw = NULL;
    if (git_repository_head(&head, repo) == 0) {
        struct git_ref *r = vec_push(&out->refs);
        char id[41];
        git_oid_tostr(id, sizeof(id), git_reference_target(head));
        r->name = str_dup("HEAD");
        r->id = str_dup(id);
        if (git_reference_lookup(&raw, repo, "HEAD") == 0 && git_reference_symbolic_target(raw))
            r->symref = str_dup(git_reference_symbolic_target(raw));
        git_reference_free(raw);
    }
    git_reference_free(head);
    size_t first = out->refs.len;
    int rc = git_reference_foreach(repo, add_ref, out);
    // Loose and packed ones come apart; a server lists them by name.
    if (out->refs.len > first)
        qsort(out->refs.v + first, out->refs.len - first, sizeof(*out->refs.v), cmp_ref);
    return rc == 0 || gitrepo_err(rc, err, "read refs");
}

bool gitrepo_has(git_repository *r, const char *id)
{
    git_oid oid;
    git_commit *c = NULL;
    git_tree *t = NULL;
    bool ok = git_oid_fromstr(&oid, id) == 0 && git_commit_lookup(&c, r, &oid) == 0 &&
              git_commit_tree(&t, c) == 0;
    git_tree_free(t);
    git_commit_free(c);
    return ok;
}

// ---- the walk ----
struct walk {
    git_repository *repo;
    struct gitsrc *home;
    const struct git_files *like;
    const struct loop *stop;
    struct git_files *out;
    size_t seen;
};

static bool missing(int rc, struct err *err, const char *path)
{
    gitrepo_err(rc, err, *path ? path : "its tree");
    if (err->kind == ERR_NOT_FOUND) // a hole in what claims to be whole
        err->kind = ERR_CORRUPT;
    return false;
}

static bool walk_tree(struct walk *w, const git_oid *id, const char *dir, unsigned depth,
                      struct err *err);

static bool too_many(struct err *err)
{
    return err_set(err, ERR_INVALID, "the repository holds more than %u files", FILES_MAX);
}

// What lies below a folder, which is the last one found.
static bool walk_below(struct walk *w, const git_oid *id, unsigned depth, struct err *err)
{
    const struct git_dir *d = &w->out->dirs.v[w->out->dirs.len - 1];
    const struct git_dir *known = w->like ? files_find_dir(w->like, d->path) : NULL;
    if (!known || memcmp(known->id, d->id, sizeof(d->id)) != 0)
        return walk_tree(w, id, d->path, depth, err);
    CLEANUP(str_freep) char *path = str_dup(d->path); // the list of folders moves while it grows
    w->seen += files_take_below(w->out, w->like, path, w->home);
    return w->seen <= FILES_MAX || too_many(err);
}

static bool walk_entry(struct walk *w, const git_tree_entry *e, const char *dir, unsigned depth,
                       struct err *err)
{
    const char *name = git_tree_entry_name(e);
    const git_oid *id = git_tree_entry_id(e);
    if (!files_check_name(dir, name, strlen(name), err))
        return false;
    if (++w->seen > FILES_MAX)
        return too_many(err);
    CLEANUP(str_freep) char *path = path_join(dir, name);
    switch (git_tree_entry_filemode(e)) {
    case GIT_FILEMODE_TREE:
    case GIT_FILEMODE_COMMIT: {
        struct git_dir *d = vec_push(&w->out->dirs);
        memcpy(d->id, id->id, sizeof(d->id));
        d->path = TAKE(path);
        if (git_tree_entry_filemode(e) == GIT_FILEMODE_TREE)
            return walk_below(w, id, depth + 1, err);
        struct git_mount *m = vec_push(&w->out->mounts);
        m->path = str_dup(d->path);
        git_oid_tostr(m->commit, sizeof(m->commit), id);
        return true;
    }
    case GIT_FILEMODE_BLOB:
    case GIT_FILEMODE_BLOB_EXECUTABLE:
    case GIT_FILEMODE_LINK:
    case GIT_FILEMODE_UNREADABLE: {
        struct git_file *f = vec_push(&w->out->v);
        f->path = TAKE(path);
        f->mode = git_tree_entry_filemode(e);
        f->home = w->home;
        memcpy(f->id, id->id, sizeof(f->id));
        return true;
    }
    }
    return err_set(err, ERR_INVALID, "%s has a mode Git does not know", path);
}

static bool walk_tree(struct walk *w, const git_oid *id, const char *dir, unsigned depth,
                      struct err *err)
{
    git_tree *t = NULL;
    // The list of folders moves while it grows.
    CLEANUP(str_freep) char *own = str_dup(dir);
    if (depth > FILES_MAX_DEPTH)
        return err_set(err, ERR_INVALID, "folders are nested deeper than %d", FILES_MAX_DEPTH);
    if (loop_stopping(w->stop))
        return err_set(err, ERR_CANCELLED, "interrupted");
    int rc = git_tree_lookup(&t, w->repo, id);
    if (rc != 0)
        return missing(rc, err, own);
    bool ok = true;
    for (size_t i = 0; ok && i < git_tree_entrycount(t); i++)
        ok = walk_entry(w, git_tree_entry_byindex(t, i), own, depth, err);
    git_tree_free(t);
    return ok;
}

bool gitrepo_walk(git_repository *r, const char *commit, struct gitsrc *home,
                  const struct git_files *like, const struct loop *stop, struct git_files *out,
                  struct err *err)
{
    git_oid oid;
    git_commit *c = NULL;
    struct walk w = {.repo = r, .home = home, .like = like, .stop = stop, .out = out};
    int rc = git_oid_fromstr(&oid, commit);
    if (rc == 0)
        rc = git_commit_lookup(&c, r, &oid);
    if (rc != 0)
        return gitrepo_err(rc, err, commit);
    out->time_unix_s = git_commit_time(c);
    memcpy(out->root_id, git_commit_tree_id(c)->id, sizeof(out->root_id));
    bool ok = walk_tree(&w, git_commit_tree_id(c), "", 0, err) && files_finish(out, err);
    git_commit_free(c);
    const struct git_file *m = ok && out->mounts.len ? files_find(out, ".gitmodules") : NULL;
    return ok && (!m || gitrepo_read(r, m, MAX_MODULES_BYTES, &out->modules, err));
}

// ---- packs ----
struct storing {
    const struct loop *stop;
};

static int on_progress(const git_indexer_progress *p, void *ctx)
{
    const struct storing *s = ctx;
    (void)p;
    return loop_stopping(s->stop) ? GIT_EUSER : 0;
}

static bool append_all(git_odb_writepack *wp, int fd, const struct loop *stop, struct err *err)
{
    git_indexer_progress progress = {0};
    CLEANUP(str_freep) char *chunk = mem_alloc(STORE_CHUNK);
    for (;;) {
        ssize_t n = read(fd, chunk, STORE_CHUNK);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int errnum = errno;
            return err_set_errno(err, errnum, "read the pack back");
        }
        if (loop_stopping(stop))
            return err_set(err, ERR_CANCELLED, "interrupted");
        int rc = n ? wp->append(wp, chunk, (size_t)n, &progress) : wp->commit(wp, &progress);
        if (rc != 0)
            return gitrepo_err(rc, err, n ? "store the pack" : "the pack is incomplete");
        if (!n)
            return true;
    }
}

bool gitrepo_store(git_repository *r, int fd, const struct loop *stop, struct err *err)
{
    git_odb *odb = NULL;
    git_odb_writepack *wp = NULL;
    struct storing s = {stop};
    int rc = lseek(fd, 0, SEEK_SET) == 0 ? git_repository_odb(&odb, r) : GIT_ERROR;
    if (rc == 0)
        rc = git_odb_write_pack(&wp, odb, on_progress, &s);
    bool ok = rc == 0 || gitrepo_err(rc, err, "store the pack");
    ok = ok && append_all(wp, fd, stop, err);
    if (wp)
        wp->free(wp);
    git_odb_free(odb);
    return ok;
}

void gitrepo_sweep(const char *path)
{
    static const char *const folders[] = {"objects/pack", "."};
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        CLEANUP(str_freep) char *dir = path_join(path, folders[i]);
        DIR *d = opendir(dir);
        const struct dirent *e;
        while (d && (e = readdir(d))) {
            CLEANUP(str_freep) char *file = path_join(dir, e->d_name);
            if (str_starts(e->d_name, "pack_git2_") || str_ends(e->d_name, ".lock"))
                unlink(file);
        }
        if (d)
            closedir(d);
    }
}

bool gitrepo_read(git_repository *r, const struct git_file *f, size_t max_bytes, struct buf *out,
                  struct err *err)
{
    git_odb *odb = NULL;
    git_odb_object *o = NULL;
    git_oid id;
    size_t size = 0;
    git_object_t type = GIT_OBJECT_INVALID;
    memcpy(id.id, f->id, sizeof(id.id));
    // The size first: what a few bytes unpack to is not ours to choose.
    int rc = git_repository_odb(&odb, r);
    if (rc == 0)
        rc = git_odb_read_header(&size, &type, odb, &id);
    bool ok = rc == 0 || missing(rc, err, f->path);
    if (ok && type != GIT_OBJECT_BLOB)
        ok = err_set(err, ERR_CORRUPT, "%s is not a file", f->path);
    if (ok && size > max_bytes)
        ok = err_set(err, ERR_INVALID, "%s is larger than %zu MiB", f->path, max_bytes >> 20);
    if (ok) {
        rc = git_odb_read(&o, odb, &id);
        ok = rc == 0 || missing(rc, err, f->path);
    }
    if (ok)
        buf_append(out, git_odb_object_data(o), git_odb_object_size(o));
    git_odb_object_free(o);
    git_odb_free(odb);
    return ok;
}
