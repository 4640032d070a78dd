// SPDX-License-Identifier: Apache-2.0
#include "source/git.h"

#include <errno.h>
#include <fcntl.h>
#include <git2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "source/gitnet.h"
#include "source/http.h"

#define MAX_HAVE 8
#define MAX_ENTRIES 200000
#define MAX_EXPORT_BYTES (1ULL << 30)
#define MAX_LINKS 5
#define OPEN_FOLDERS 8

// Trees of the commit being read stay parsed: libgit2 keeps none that is large, and every look into
// a folder of a thousand would inflate, hash and parse it again.
struct open_folder {
    char *path;
    git_tree *tree;
};

struct gitsrc {
    struct gitsrc_opts o;
    char *url, *dir; // dir: the cache, NULL for a local repository
    git_repository *repo;
    struct git_refs refs;
    struct git_greeting greeting;
    bool has_refs;
    char *open_commit;
    struct open_folder open[OPEN_FOLDERS]; // the first is the root
    unsigned n_open, next_open;
};

void git_entries_clear(struct git_entries *e)
{
    for (size_t i = 0; i < e->v.len; i++)
        free(e->v.v[i].path);
    vec_clear(&e->v);
}

// What libgit2 says about its last failure.
static bool lib_err(int rc, struct err *err, const char *what)
{
    const git_error *e = git_error_last();
    enum err_kind kind = rc == GIT_ENOTFOUND                              ? ERR_NOT_FOUND
                         : rc == GIT_EAMBIGUOUS || rc == GIT_EINVALIDSPEC ? ERR_INVALID
                         : e && (e->klass == GIT_ERROR_ZLIB || e->klass == GIT_ERROR_INDEXER ||
                                 e->klass == GIT_ERROR_OBJECT || e->klass == GIT_ERROR_ODB)
                             ? ERR_CORRUPT
                             : ERR_UNAVAILABLE;
    return err_set(err, kind, "%s: %s", what, e && e->message ? e->message : "libgit2 failed");
}

static void init_library(void)
{
    static bool done;
    if (done)
        return;
    done = true;
    git_libgit2_init();
    // No configuration of this machine or user changes what a repository means.
    for (int level = GIT_CONFIG_LEVEL_PROGRAMDATA; level <= GIT_CONFIG_LEVEL_GLOBAL; level++)
        git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, level, "");
    git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
    git_libgit2_opts(GIT_OPT_SET_MWINDOW_SIZE, (size_t)8 << 20);
    git_libgit2_opts(GIT_OPT_SET_MWINDOW_MAPPED_LIMIT, (size_t)32 << 20);
    git_libgit2_opts(GIT_OPT_SET_MWINDOW_FILE_LIMIT, (size_t)64);
}

static const char *local_path(const char *url)
{
    if (str_starts(url, "file://"))
        return url + 7;
    return strstr(url, "://") || gitnet_is_ssh(url) ? NULL : url;
}

static bool open_local(struct gitsrc *g, const char *path, struct err *err)
{
    int rc = git_repository_open_ext(&g->repo, path, GIT_REPOSITORY_OPEN_NO_SEARCH, NULL);
    if (rc == 0)
        return true;
    lib_err(rc, err, path);
    return err_wrap(err, "Git repository");
}

static bool open_cache(struct gitsrc *g, struct err *err)
{
    struct sha256 h = sha256_of(g->url, strlen(g->url));
    CLEANUP(str_freep) char *hex = hex_encode(h.b, 16);
    g->dir = str_printf("%s/git/%s", g->o.cache_dir, hex);
    CLEANUP(str_freep) char *tree = path_join(g->dir, "tree");
    if (!dir_make(tree, 0700, err))
        return false;
    if (git_repository_open_bare(&g->repo, tree) == 0)
        return true;
    int rc = git_repository_init(&g->repo, tree, 1);
    return rc == 0 || lib_err(rc, err, tree);
}

bool gitsrc_open(const struct gitsrc_opts *o, struct gitsrc **out, struct err *err)
{
    init_library();
    struct gitsrc *g = mem_alloc(sizeof(*g));
    g->o = *o;
    g->url = str_dup(o->url);
    size_t n = strlen(g->url);
    while (n > 1 && g->url[n - 1] == '/')
        g->url[--n] = 0;
    g->o.url = g->url;
    const char *path = local_path(g->url);
    if (path ? open_local(g, path, err) : open_cache(g, err)) {
        *out = g;
        return true;
    }
    gitsrc_free(g);
    return false;
}

static void close_folders(struct gitsrc *g)
{
    for (unsigned i = 0; i < g->n_open; i++) {
        git_tree_free(g->open[i].tree);
        free(g->open[i].path);
    }
    g->n_open = g->next_open = 0;
    str_freep(&g->open_commit);
}

void gitsrc_free(struct gitsrc *g)
{
    if (!g)
        return;
    close_folders(g);
    git_repository_free(g->repo);
    git_refs_clear(&g->refs);
    free(g->url);
    free(g->dir);
    free(g);
}

static int add_local_ref(git_reference *ref, void *ctx)
{
    struct gitsrc *g = ctx;
    git_object *commit = NULL;
    if (git_reference_peel(&commit, ref, GIT_OBJECT_COMMIT) == 0) {
        struct git_ref *r = vec_push(&g->refs.refs);
        char id[41];
        git_oid_tostr(id, sizeof(id), git_object_id(commit));
        r->name = str_dup(git_reference_name(ref));
        r->id = str_dup(id);
    }
    git_object_free(commit);
    git_reference_free(ref);
    return 0;
}

static bool local_refs(struct gitsrc *g, struct err *err)
{
    git_reference *head = NULL;
    git_reference *raw = NULL;
    if (git_repository_head(&head, g->repo) == 0) {
        struct git_ref *r = vec_push(&g->refs.refs);
        char id[41];
        git_oid_tostr(id, sizeof(id), git_reference_target(head));
        r->name = str_dup("HEAD");
        r->id = str_dup(id);
        if (git_reference_lookup(&raw, g->repo, "HEAD") == 0 && git_reference_symbolic_target(raw))
            r->symref = str_dup(git_reference_symbolic_target(raw));
        git_reference_free(raw);
    }
    git_reference_free(head);
    int rc = git_reference_foreach(g->repo, add_local_ref, g);
    return rc == 0 || lib_err(rc, err, "read refs");
}

// The list of the last run, for --offline.
static char *list_path(const struct gitsrc *g)
{
    return path_join(g->dir, "refs");
}

static void keep_list(const struct gitsrc *g)
{
    CLEANUP(str_freep) char *path = list_path(g);
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    for (size_t i = 0; i < g->refs.refs.len; i++) {
        const struct git_ref *r = &g->refs.refs.v[i];
        buf_printf(&b, "%s\t%s\t%s\n", r->id, r->name, r->symref ? r->symref : "");
    }
    if (!file_replace(path, b.p ? b.p : "", b.len, 0600, &err))
        err_clear(&err); // only --offline would have needed it
}

static bool offline_refs(struct gitsrc *g, struct err *err)
{
    CLEANUP(str_freep) char *path = list_path(g);
    struct buf b CLEANUP(buf_clear) = {0};
    if (!file_read(path, 64U << 20, &b, err)) {
        err_clear(err);
        return err_set(err, ERR_NOT_FOUND, "%s is not in the cache, and --offline forbids to ask",
                       g->url);
    }
    struct strv lines = {0};
    strv_split(&lines, b.p, '\n');
    for (size_t i = 0; i < lines.len; i++) {
        struct strv f = {0};
        strv_split(&f, lines.v[i], '\t');
        if (f.len == 3)
            *vec_push(&g->refs.refs) = (struct git_ref){str_dup(f.v[1]), str_dup(f.v[0]),
                                                        *f.v[2] ? str_dup(f.v[2]) : NULL};
        strv_clear(&f);
    }
    strv_clear(&lines);
    return true;
}

static bool need_refs(struct gitsrc *g, struct err *err)
{
    if (g->has_refs)
        return true;
    bool ok = !g->dir        ? local_refs(g, err)
              : g->o.offline ? offline_refs(g, err)
                             : gitnet_refs(&g->o, &g->greeting, &g->refs, err);
    if (!ok)
        return false;
    g->has_refs = true;
    if (g->dir && !g->o.offline)
        keep_list(g);
    return true;
}

static bool has_commit(struct gitsrc *g, const char *id)
{
    git_oid oid;
    git_commit *c = NULL;
    git_tree *t = NULL;
    if (str_eq(g->open_commit, id))
        return true;
    bool ok = git_oid_fromstr(&oid, id) == 0 && git_commit_lookup(&c, g->repo, &oid) == 0 &&
              git_commit_tree(&t, c) == 0;
    git_tree_free(t);
    git_commit_free(c);
    return ok;
}

// Commits that are here already at depth 1; the newest last.
static void read_have(struct gitsrc *g, struct strv *have)
{
    CLEANUP(str_freep) char *path = path_join(g->dir, "have");
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    struct strv lines = {0};
    if (!file_exists(path) || !file_read(path, 1U << 20, &b, &err)) {
        err_clear(&err);
        return;
    }
    strv_split(&lines, b.p, '\n');
    for (size_t i = lines.len > MAX_HAVE + 1 ? lines.len - MAX_HAVE - 1 : 0; i < lines.len; i++)
        if (strlen(lines.v[i]) == 40 && has_commit(g, lines.v[i]))
            strv_push(have, lines.v[i]);
    strv_clear(&lines);
}

static void write_have(struct gitsrc *g, struct strv *have, const char *id)
{
    CLEANUP(str_freep) char *path = path_join(g->dir, "have");
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    for (size_t i = 0; i < have->len; i++)
        if (strcmp(have->v[i], id) != 0)
            buf_printf(&b, "%s\n", have->v[i]);
    buf_printf(&b, "%s\n", id);
    if (!file_replace(path, b.p, b.len, 0600, &err))
        err_clear(&err); // the next fetch is larger than need be
}

struct packing {
    git_odb_writepack *wp;
    git_indexer_progress progress;
};

static bool on_pack(void *ctx, const char *p, size_t len, struct err *err)
{
    struct packing *x = ctx;
    int rc = x->wp->append(x->wp, p, len, &x->progress);
    return rc == 0 || lib_err(rc, err, "store the pack");
}

static bool fetch_locked(struct gitsrc *g, const char *id, struct err *err)
{
    struct strv have = {0};
    git_odb *odb = NULL;
    struct packing x = {0};
    struct fetch_reader f = {.on_pack = on_pack, .ctx = &x};
    read_have(g, &have);
    int rc = git_repository_odb(&odb, g->repo);
    if (rc == 0)
        rc = git_odb_write_pack(&x.wp, odb, NULL, NULL);
    bool ok = rc == 0 || lib_err(rc, err, "store the pack");
    ok = ok && gitnet_fetch(&g->o, &g->greeting, id, &have, &f, err);
    if (ok && !f.saw_pack)
        ok = err_set(err, ERR_UNAVAILABLE, "%s: the server sent no pack", g->url);
    if (ok) {
        rc = x.wp->commit(x.wp, &x.progress);
        ok = rc == 0 || lib_err(rc, err, "the pack is incomplete");
    }
    if (x.wp)
        x.wp->free(x.wp);
    buf_clear(&f.pending);
    git_odb_free(odb);
    if (ok && !has_commit(g, id))
        ok =
            err_set(err, ERR_NOT_FOUND, "%s: commit %s is not in what the server sent", g->url, id);
    if (ok)
        write_have(g, &have, id);
    strv_clear(&have);
    return ok;
}

static bool need_commit(struct gitsrc *g, const char *id, struct err *err)
{
    if (has_commit(g, id))
        return true;
    if (!g->dir)
        return err_set(err, ERR_NOT_FOUND, "commit %s is not in %s", id, g->url);
    if (g->o.offline)
        return err_set(err, ERR_NOT_FOUND, "commit %s of %s is not in the cache", id, g->url);
    if (!need_refs(g, err))
        return false;
    CLEANUP(str_freep) char *path = path_join(g->dir, "lock");
    int lock CLEANUP(fd_closep) = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0 || flock(lock, LOCK_EX) != 0) {
        int errnum = errno;
        return err_set_errno(err, errnum, "lock %s", path);
    }
    int64_t start = clock_mono_ms();
    if (!has_commit(g, id) && !fetch_locked(g, id, err))
        return false;
    CLEANUP(str_freep) char *shown = url_redacted(g->url);
    event_emit(g->o.events, "source.fetched", "{s:s, s:s, s:I}", "repo", shown, "commit", id, "ms",
               (json_int_t)(clock_mono_ms() - start));
    return true;
}

bool gitsrc_resolve(struct gitsrc *g, const char *target, const char *tag_prefix, char **commit,
                    char **name, struct err *err)
{
    bool is_id = strlen(target) == 40 && strspn(target, "0123456789abcdef") == 40;
    if (!is_id && !need_refs(g, err))
        return err_wrap(err, "list refs");
    if (!revision_resolve_git(target, tag_prefix, &g->refs, commit, name, err))
        return err_wrap(err, "%s", g->url);
    if (need_commit(g, *commit, err))
        return true;
    str_freep(commit);
    str_freep(name);
    return false;
}

static bool root_tree(struct gitsrc *g, const char *commit, git_tree **out, struct err *err)
{
    git_oid oid;
    git_commit *c = NULL;
    int rc = git_oid_fromstr(&oid, commit);
    if (rc == 0)
        rc = git_commit_lookup(&c, g->repo, &oid);
    if (rc == 0)
        rc = git_commit_tree(out, c);
    git_commit_free(c);
    return rc == 0 || lib_err(rc, err, commit);
}

int64_t gitsrc_commit_time(struct gitsrc *g, const char *commit)
{
    git_oid oid;
    git_commit *c = NULL;
    int64_t t = 0;
    if (git_oid_fromstr(&oid, commit) == 0 && git_commit_lookup(&c, g->repo, &oid) == 0)
        t = git_commit_time(c);
    git_commit_free(c);
    return t;
}

static git_tree *keep_folder(struct gitsrc *g, const char *path, git_tree *t)
{
    unsigned at = g->n_open;
    if (g->n_open < OPEN_FOLDERS) {
        g->n_open++;
    } else {
        at = 1 + g->next_open++ % (OPEN_FOLDERS - 1);
        git_tree_free(g->open[at].tree);
        free(g->open[at].path);
    }
    g->open[at] = (struct open_folder){str_dup(path), t};
    return t;
}

static bool open_folder(struct gitsrc *g, const char *commit, const char *path, git_tree **out,
                        struct err *err);

// The entry at a path that is not the root; the caller's own.
static bool find(struct gitsrc *g, const char *commit, const char *path, git_tree_entry **out,
                 struct err *err)
{
    const char *slash = strrchr(path, '/');
    CLEANUP(str_freep) char *dir = slash ? str_ndup(path, (size_t)(slash - path)) : str_dup("");
    git_tree *t = NULL;
    bool ok = open_folder(g, commit, dir, &t, err);
    if (!ok && err->kind != ERR_NOT_FOUND)
        return false;
    const git_tree_entry *e =
        ok && *path ? git_tree_entry_byname(t, slash ? slash + 1 : path) : NULL;
    err_clear(err);
    if (!e)
        return err_set(err, ERR_NOT_FOUND, "path \"%s\" does not exist in %s", path, g->url);
    int rc = git_tree_entry_dup(out, e);
    return rc == 0 || lib_err(rc, err, path);
}

// The tree of a folder; borrowed, and only until the next call.
static bool open_folder(struct gitsrc *g, const char *commit, const char *path, git_tree **out,
                        struct err *err)
{
    git_tree *t = NULL;
    git_tree_entry *e = NULL;
    if (!str_eq(g->open_commit, commit)) {
        close_folders(g);
        if (!root_tree(g, commit, &t, err))
            return false;
        g->open_commit = str_dup(commit);
        keep_folder(g, "", t);
    }
    for (unsigned i = 0; i < g->n_open; i++) {
        if (!strcmp(g->open[i].path, path)) {
            *out = g->open[i].tree;
            return true;
        }
    }
    if (!find(g, commit, path, &e, err))
        return false;
    bool ok = git_tree_entry_type(e) == GIT_OBJECT_TREE ||
              err_set(err, ERR_NOT_FOUND, "path \"%s\" is no folder in %s", path, g->url);
    int rc = ok ? git_tree_lookup(&t, g->repo, git_tree_entry_id(e)) : 0;
    git_tree_entry_free(e);
    if (rc != 0)
        return lib_err(rc, err, path);
    if (ok)
        *out = keep_folder(g, path, t);
    return ok;
}

bool gitsrc_tree_id(struct gitsrc *g, const char *commit, const char *path, char out[41],
                    struct err *err)
{
    git_tree *root = NULL;
    git_tree_entry *e = NULL;
    if (!*path) {
        if (!open_folder(g, commit, "", &root, err))
            return false;
        git_oid_tostr(out, 41, git_tree_id(root));
        return true;
    }
    if (!find(g, commit, path, &e, err))
        return false;
    git_oid_tostr(out, 41, git_tree_entry_id(e));
    git_tree_entry_free(e);
    return true;
}

static bool list_tree(struct gitsrc *g, const git_tree *t, const char *prefix, bool recurse,
                      unsigned depth, struct git_entries *out, struct err *err)
{
    bool ok = depth < 100 || err_set(err, ERR_INVALID, "%s: folders nested too deep", prefix);
    for (size_t i = 0; ok && i < git_tree_entrycount(t); i++) {
        const git_tree_entry *e = git_tree_entry_byindex(t, i);
        CLEANUP(str_freep) char *path = path_join(prefix, git_tree_entry_name(e));
        if (git_tree_entry_type(e) == GIT_OBJECT_TREE) {
            git_tree *sub = NULL;
            int rc = recurse ? git_tree_lookup(&sub, g->repo, git_tree_entry_id(e)) : 0;
            if (rc != 0)
                ok = lib_err(rc, err, path);
            else if (recurse)
                ok = list_tree(g, sub, path, true, depth + 1, out, err);
            git_tree_free(sub);
        } else if (out->v.len >= MAX_ENTRIES) {
            ok = err_set(err, ERR_INVALID, "%s holds more than %d files", prefix, MAX_ENTRIES);
        } else {
            struct git_entry *x = vec_push(&out->v);
            x->path = TAKE(path);
            x->mode = git_tree_entry_filemode(e);
            git_oid_tostr(x->id, sizeof(x->id), git_tree_entry_id(e));
        }
    }
    return ok;
}

bool gitsrc_list(struct gitsrc *g, const char *commit, const char *path, bool recurse,
                 struct git_entries *out, struct err *err)
{
    git_tree *t = NULL;
    git_tree_entry *e = NULL;
    if (*path && !find(g, commit, path, &e, err))
        return false;
    bool ok = true;
    if (e && git_tree_entry_type(e) == GIT_OBJECT_BLOB) {
        struct git_entry *x = vec_push(&out->v);
        x->path = str_dup(path);
        x->mode = git_tree_entry_filemode(e);
        git_oid_tostr(x->id, sizeof(x->id), git_tree_entry_id(e));
    } else {
        ok = open_folder(g, commit, path, &t, err) && list_tree(g, t, path, recurse, 0, out, err);
    }
    git_tree_entry_free(e);
    return ok;
}

static bool read_blob(struct gitsrc *g, const git_oid *id, const char *path, size_t max_bytes,
                      struct buf *out, struct err *err)
{
    git_blob *b = NULL;
    int rc = git_blob_lookup(&b, g->repo, id);
    if (rc != 0)
        return lib_err(rc, err, path);
    size_t n = (size_t)git_blob_rawsize(b);
    const char *p = git_blob_rawcontent(b);
    bool ok =
        n <= max_bytes || err_set(err, ERR_INVALID, "%s is larger than %zu bytes", path, max_bytes);
    if (ok && n < 1024 && n > 24 && !memcmp(p, "version https://git-lfs", 23))
        ok = err_set(err, ERR_INVALID, "%s is a Git LFS pointer; LFS is not supported", path);
    if (ok)
        buf_append(out, p, n);
    git_blob_free(b);
    return ok;
}

// The path a link at `path` points to, inside the repository.
static bool follow_link(const char *path, const struct buf *target, char **out, struct err *err)
{
    const char *slash = strrchr(path, '/');
    CLEANUP(str_freep) char *dir = slash ? str_ndup(path, (size_t)(slash - path)) : str_dup("");
    CLEANUP(str_freep) char *joined = path_join(dir, target->p ? target->p : "");
    if (target->p && *target->p != '/' && path_clean(joined, out))
        return true;
    return err_set(err, ERR_INVALID, "%s is a link that leaves the repository", path);
}

static bool read_at(struct gitsrc *g, const char *commit, const char *path, size_t max_bytes,
                    unsigned links, struct buf *out, struct err *err)
{
    git_tree_entry *e = NULL;
    if (!find(g, commit, path, &e, err))
        return false;
    bool ok = true;
    if (git_tree_entry_filemode(e) == GIT_FILEMODE_LINK) {
        struct buf target CLEANUP(buf_clear) = {0};
        CLEANUP(str_freep) char *to = NULL;
        ok = links < MAX_LINKS || err_set(err, ERR_INVALID, "%s: too many links", path);
        ok = ok && read_blob(g, git_tree_entry_id(e), path, 4096, &target, err) &&
             follow_link(path, &target, &to, err) &&
             read_at(g, commit, to, max_bytes, links + 1, out, err);
    } else if (git_tree_entry_type(e) != GIT_OBJECT_BLOB) {
        ok = err_set(err, ERR_INVALID, "%s is not a file", path);
    } else {
        ok = read_blob(g, git_tree_entry_id(e), path, max_bytes, out, err);
    }
    git_tree_entry_free(e);
    return ok;
}

bool gitsrc_read(struct gitsrc *g, const char *commit, const char *path, size_t max_bytes,
                 struct buf *out, struct err *err)
{
    return read_at(g, commit, path, max_bytes, 0, out, err);
}

static bool write_entry(struct gitsrc *g, const struct git_entry *e, const char *dir,
                        uint64_t *total, struct err *err)
{
    CLEANUP(str_freep) char *to = path_join(dir, e->path);
    CLEANUP(str_freep) char *folder = str_ndup(to, (size_t)(strrchr(to, '/') - to));
    struct buf b CLEANUP(buf_clear) = {0};
    git_oid id;
    git_oid_fromstr(&id, e->id);
    if (e->mode == GIT_FILEMODE_COMMIT)
        return true; // a submodule: its content is not part of this repository
    if (!dir_make(folder, 0700, err))
        return false;
    git_blob *blob = NULL;
    int rc = git_blob_lookup(&blob, g->repo, &id);
    if (rc != 0)
        return lib_err(rc, err, e->path);
    buf_append(&b, git_blob_rawcontent(blob), (size_t)git_blob_rawsize(blob));
    git_blob_free(blob);
    *total += b.len;
    if (*total > MAX_EXPORT_BYTES)
        return err_set(err, ERR_INVALID, "%s is larger than 1 GiB", g->url);
    if (e->mode == GIT_FILEMODE_LINK) {
        CLEANUP(str_freep) char *target = NULL;
        if (!follow_link(e->path, &b, &target, err))
            return false;
        if (symlink(b.p, to) != 0) {
            int errnum = errno;
            return err_set_errno(err, errnum, "link %s", e->path);
        }
        return true;
    }
    int fd CLEANUP(fd_closep) =
        open(to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || (b.len && write(fd, b.p, b.len) != (ssize_t)b.len)) {
        int errnum = errno;
        return err_set_errno(err, errnum, "write %s", e->path);
    }
    return true;
}

bool gitsrc_export(struct gitsrc *g, const char *commit, const char *dir, struct err *err)
{
    struct git_entries e = {0};
    uint64_t total = 0;
    bool ok = gitsrc_list(g, commit, "", true, &e, err);
    for (size_t i = 0; ok && i < e.v.len; i++)
        ok = write_entry(g, &e.v.v[i], dir, &total, err);
    git_entries_clear(&e);
    return ok;
}
