// SPDX-License-Identifier: Apache-2.0
//
// Whole histories: every ref of a repository, and the packs that hold what they lead to. Packs are
// kept as they were received, never packed again; what came since the last time is one small pack
// of our own, the same bytes whoever makes it (one thread).
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "source/gitproof.h"
#include "source/gitrepo.h"

// So many new commits, and the packs as they are cost less than packing would.
#define MAX_NEW_COMMITS 20000

// ---- refs ----
struct listing {
    git_repository *repo;
    struct git_refs *out;
};

static int add_ref(const char *name, void *ctx)
{
    struct listing *l = ctx;
    git_oid id;
    char hex[41];
    if (git_reference_name_to_id(&id, l->repo, name) != 0)
        return 0; // names nothing
    git_oid_tostr(hex, sizeof(hex), &id);
    *vec_push(&l->out->refs) = (struct git_ref){.name = str_dup(name), .id = str_dup(hex)};
    return 0;
}

bool gitrepo_refs_whole(git_repository *r, struct git_refs *out, char **head, struct err *err)
{
    struct listing l = {r, out};
    git_reference *h = NULL;
    if (git_reference_lookup(&h, r, "HEAD") == 0 && git_reference_symbolic_target(h))
        *head = str_dup(git_reference_symbolic_target(h));
    git_reference_free(h);
    int rc = git_reference_foreach_name(r, add_ref, &l);
    return rc == 0 || gitrepo_err(rc, err, "read refs");
}

void gitrepo_missing(git_repository *r, const struct git_refs *refs, struct strv *out)
{
    git_odb *odb = NULL;
    CLEANUP(json_freep) json_t *seen = json_object();
    if (git_repository_odb(&odb, r) != 0)
        return;
    for (size_t i = 0; i < refs->refs.len; i++) {
        git_oid id;
        const char *hex = refs->refs.v[i].id;
        if (json_object_get(seen, hex) || git_oid_fromstr(&id, hex) != 0)
            continue;
        json_object_set_new(seen, hex, json_true());
        if (!git_odb_exists(odb, &id))
            strv_push(out, hex);
    }
    git_odb_free(odb);
}

// ---- what is new ----
struct oids {
    VEC(git_oid) v;
};

struct news {
    git_repository *repo;
    const struct gitpack_opts *o;
    json_t *seen;
    struct oids tips;   // commits to begin at
    struct oids edges;  // known commits that new ones lead to
    struct oids tags;   // tag objects
    struct oids others; // trees and blobs that refs name
    struct oids todo;
    size_t commits;
};

static void news_clear(struct news *n)
{
    json_decref(n->seen);
    vec_clear(&n->tips.v);
    vec_clear(&n->edges.v);
    vec_clear(&n->tags.v);
    vec_clear(&n->others.v);
    vec_clear(&n->todo.v);
}

static bool first_time(struct news *n, const git_oid *id, char hex[41])
{
    git_oid_tostr(hex, 41, id);
    if (json_object_get(n->seen, hex))
        return false;
    json_object_set_new(n->seen, hex, json_true());
    return true;
}

// A ref leads to a commit, or through tags to anything.
static bool add_tip(struct news *n, git_oid id, struct err *err)
{
    for (int depth = 0; depth < 64; depth++) {
        char hex[41];
        git_object *o = NULL;
        git_oid_tostr(hex, sizeof(hex), &id);
        if (n->o->is_known(n->o->ctx, hex) || !first_time(n, &id, hex))
            return true;
        int rc = git_object_lookup(&o, n->repo, &id, GIT_OBJECT_ANY);
        if (rc != 0) {
            gitrepo_err(rc, err, hex);
            err->kind = ERR_CORRUPT;
            return false;
        }
        git_object_t type = git_object_type(o);
        struct oids *to = type == GIT_OBJECT_TAG      ? &n->tags
                          : type == GIT_OBJECT_COMMIT ? &n->tips
                                                      : &n->others;
        *vec_push(&to->v) = id;
        if (type == GIT_OBJECT_TAG)
            id = *git_tag_target_id((const git_tag *)o);
        git_object_free(o);
        if (type != GIT_OBJECT_TAG)
            return true;
    }
    return err_set(err, ERR_INVALID, "tags of tags, 64 deep");
}

static bool add_parents(struct news *n, const git_oid *id, const char *hex, struct err *err)
{
    git_commit *c = NULL;
    int rc = git_commit_lookup(&c, n->repo, id);
    if (rc != 0) {
        gitrepo_err(rc, err, hex);
        err->kind = ERR_CORRUPT; // a history that is not whole
        return false;
    }
    for (unsigned i = 0; i < git_commit_parentcount(c); i++)
        *vec_push(&n->todo.v) = *git_commit_parent_id(c, i);
    git_commit_free(c);
    return true;
}

// Goes back from the tips to commits that are known; gives up when there are too many new ones.
static bool find_edges(struct news *n, struct err *err)
{
    for (size_t i = 0; i < n->tips.v.len; i++) {
        char hex[41];
        git_oid_tostr(hex, sizeof(hex), &n->tips.v.v[i]);
        n->commits++;
        if (!add_parents(n, &n->tips.v.v[i], hex, err))
            return false;
    }
    while (n->todo.v.len && n->commits <= MAX_NEW_COMMITS) {
        git_oid id = n->todo.v.v[--n->todo.v.len];
        char hex[41];
        if (loop_stopping(n->o->stop))
            return err_set(err, ERR_CANCELLED, "interrupted");
        if (!first_time(n, &id, hex))
            continue;
        if (n->o->is_known(n->o->ctx, hex)) {
            *vec_push(&n->edges.v) = id;
            continue;
        }
        n->commits++;
        if (!add_parents(n, &id, hex, err))
            return false;
    }
    return true;
}

static bool find_news(struct news *n, const struct git_refs *refs, struct err *err)
{
    for (size_t i = 0; i < refs->refs.len; i++) {
        git_oid id;
        if (git_oid_fromstr(&id, refs->refs.v[i].id) != 0)
            return err_set(err, ERR_INVALID, "%s is no object id", refs->refs.v[i].id);
        if (!add_tip(n, id, err))
            return false;
    }
    return find_edges(n, err);
}

// ---- an increment ----
static int write_some(void *p, size_t len, void *ctx)
{
    const char *at = p;
    const int *fd = ctx;
    while (len) {
        ssize_t n = write(*fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

static int insert_all(git_packbuilder *pb, const struct news *n)
{
    git_revwalk *walk = NULL;
    int rc = git_revwalk_new(&walk, n->repo);
    for (size_t i = 0; rc == 0 && i < n->tips.v.len; i++)
        rc = git_revwalk_push(walk, &n->tips.v.v[i]);
    for (size_t i = 0; rc == 0 && i < n->edges.v.len; i++)
        rc = git_revwalk_hide(walk, &n->edges.v.v[i]);
    for (size_t i = 0; rc == 0 && i < n->tags.v.len; i++)
        rc = git_packbuilder_insert(pb, &n->tags.v.v[i], NULL);
    for (size_t i = 0; rc == 0 && i < n->others.v.len; i++)
        rc = git_packbuilder_insert_recur(pb, &n->others.v.v[i], NULL);
    if (rc == 0 && n->tips.v.len)
        rc = git_packbuilder_insert_walk(pb, walk);
    git_revwalk_free(walk);
    return rc;
}

static bool pack_to(const struct news *n, int fd, bool *any, struct err *err)
{
    git_packbuilder *pb = NULL;
    int rc = git_packbuilder_new(&pb, n->repo);
    *any = false;
    if (rc == 0) {
        git_packbuilder_set_threads(pb, 1); // several write other bytes every time
        rc = insert_all(pb, n);
    }
    if (rc == 0 && git_packbuilder_object_count(pb)) {
        *any = true;
        rc = git_packbuilder_foreach(pb, write_some, &fd);
    }
    git_packbuilder_free(pb);
    if (rc == 0)
        return true;
    gitrepo_err(rc, err, "pack what is new");
    if (err->kind == ERR_NOT_FOUND)
        err->kind = ERR_CORRUPT;
    return false;
}

static bool write_pack(const struct news *n, struct strv *files, struct err *err)
{
    bool any = false;
    int fd CLEANUP(fd_closep) =
        open(n->o->increment, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        int errnum = errno;
        return err_set_errno(err, errnum, "make %s", n->o->increment);
    }
    if (!pack_to(n, fd, &any, err))
        return false;
    if (any)
        strv_push(files, n->o->increment);
    return true;
}

static bool nothing_is_known(void *ctx, const char *id)
{
    (void)ctx;
    (void)id;
    return false;
}

bool gitrepo_pack_whole(git_repository *r, const struct git_refs *refs, int fd, struct err *err)
{
    struct gitpack_opts o = {.is_known = nothing_is_known};
    struct news n = {.repo = r, .o = &o, .seen = json_object()};
    bool any = false;
    bool ok = true;
    for (size_t i = 0; ok && i < refs->refs.len; i++) {
        git_oid id;
        ok = git_oid_fromstr(&id, refs->refs.v[i].id) == 0 ||
             err_set(err, ERR_CORRUPT, "%.80s is no object id", refs->refs.v[i].id);
        ok = ok && add_tip(&n, id, err);
    }
    ok = ok && pack_to(&n, fd, &any, err);
    news_clear(&n);
    return ok && (any || err_set(err, ERR_CORRUPT, "its refs lead to nothing"));
}

// ---- packs as they are ----
static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list_packs(const char *objects, struct strv *files)
{
    CLEANUP(str_freep) char *dir = path_join(objects, "pack");
    size_t first = files->len;
    DIR *d = opendir(dir);
    const struct dirent *e;
    while (d && (e = readdir(d)))
        if (str_starts(e->d_name, "pack-") && str_ends(e->d_name, ".pack"))
            strv_push_take(files, path_join(dir, e->d_name));
    if (d)
        closedir(d);
    if (files->len > first)
        qsort(files->v + first, files->len - first, sizeof(*files->v), by_name);
}

// Are there objects that lie in no pack of its own: loose ones, or a neighbour's?
static bool has_objects_elsewhere(const char *objects)
{
    CLEANUP(str_freep) char *alternates = path_join(objects, "info/alternates");
    bool any = file_exists(alternates);
    DIR *d = opendir(objects);
    const struct dirent *e;
    while (!any && d && (e = readdir(d)))
        any = strlen(e->d_name) == 2 && strspn(e->d_name, "0123456789abcdef") == 2;
    if (d)
        closedir(d);
    return any;
}

// ---- proof ----
// What a snapshot is going to hold is looked through before it is called good: the packs are whole,
// and with what is known they hold all that the refs lead to. A pack of our own is indexed; one
// that was indexed when it came has sums. `edges`: commits whose files the increment leaves out.
static bool prove(const struct news *n, const struct git_refs *refs, const struct strv *files,
                  bool is_own, struct err *err)
{
    CLEANUP(str_freep) char *dir = str_printf("%s.check", n->o->increment);
    CLEANUP(git_proof_freep) struct git_proof *p = git_proof_new(dir, n->o->stop);
    struct err ignored = {0};
    bool ok = dir_make(dir, 0700, err);
    for (size_t i = 0; ok && i < files->len; i++)
        ok = is_own ? git_proof_file(p, files->v[i], err) : git_proof_indexed(p, files->v[i], err);
    if (is_own)
        git_proof_knows(p, n->o->is_known, n->o->ctx);
    for (size_t i = 0; ok && is_own && i < n->edges.v.len; i++)
        ok = git_proof_known_files(p, n->repo, &n->edges.v.v[i], err);
    for (size_t i = 0; ok && i < refs->refs.len; i++)
        ok = n->o->is_known(n->o->ctx, refs->refs.v[i].id) ||
             git_proof_tip(p, refs->refs.v[i].id, err);
    if (!dir_remove(dir, &ignored))
        err_clear(&ignored); // in a folder that goes as a whole
    return ok;
}

static bool is_shallow(git_repository *r)
{
    CLEANUP(str_freep) char *path = path_join(git_repository_commondir(r), "shallow");
    return file_exists(path);
}

bool gitrepo_packs(git_repository *r, const struct git_refs *refs, const struct gitpack_opts *o,
                   struct strv *files, struct err *err)
{
    struct news n = {.repo = r, .o = o, .seen = json_object()};
    CLEANUP(str_freep) char *objects = path_join(git_repository_commondir(r), "objects");
    bool ok = !is_shallow(r) ||
              err_set(err, ERR_INVALID, "it is a shallow clone: most of its history is not there");
    ok = ok && find_news(&n, refs, err);
    bool any = n.tips.v.len || n.tags.v.len || n.others.v.len;
    bool many = n.commits > MAX_NEW_COMMITS;
    bool elsewhere = ok && any && has_objects_elsewhere(objects);
    if (ok && elsewhere && many)
        ok = err_set(err, ERR_INVALID,
                     "more than %d commits, and some of their objects lie in no pack: run "
                     "git repack -a -d in it",
                     MAX_NEW_COMMITS);
    // Without anything known it is a first time: what is there goes as it is.
    bool as_is = any && !elsewhere && (many || !n.edges.v.len);
    if (ok && as_is)
        list_packs(objects, files);
    else if (ok && any)
        ok = write_pack(&n, files, err);
    ok = ok && (!any || prove(&n, refs, files, !as_is, err));
    news_clear(&n);
    return ok;
}
