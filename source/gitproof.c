// SPDX-License-Identifier: Apache-2.0
//
// Packs that hold whole histories, proved: indexing computes the name of every object from its
// bytes; then everything that refs lead to is looked for in these packs and nowhere else. The
// library's own check of an index cannot be used: it wants the commits of submodules too.
#include "source/gitproof.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <git2/sys/odb_backend.h>
#include <git2/sys/repository.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "source/gitlight.h"
#include "source/gitrepo.h"
#include "source/oidset.h"

#define CHUNK (1U << 20)
#define SUM_BYTES 20
#define MAX_TREE_BYTES ((size_t)64 << 20) // of one tree, commit or tag: they are held in memory

// ---- a proof ----
struct git_proof {
    char *dir;
    const struct loop *stop;
    bool (*is_known)(void *ctx, const char *id);
    void *ctx;
    git_indexer *indexer;          // of the pack that is coming in …
    git_indexer_progress progress; // … which keeps count here
    git_odb *odb;
    git_repository *repo;    // over odb
    struct strv used;        // index files, in order; or packs, while it is light
    struct git_light *light; // while the library need not be asked
    json_t *indexes;         // {pack: index} of those that it was asked about later
    struct oidset seen;
    uint32_t mark; // what `seen` notes instead of the packs; 0: nothing
    VEC(struct todo {
        git_oid id;
        git_object_t type; // ANY: of a tip
    })
    todo;
    uint64_t indexed;
};

static bool is_stopping(const struct loop *stop)
{
    return stop && loop_stopping(stop);
}

static bool open_odb(struct git_proof *p, struct err *err)
{
    int rc = p->odb ? 0 : git_odb_new(&p->odb);
    if (rc == 0 && !p->repo)
        rc = git_repository_wrap_odb(&p->repo, p->odb);
    return rc == 0 || gitrepo_err(rc, err, "an object store");
}

struct git_proof *git_proof_new(const char *dir, const struct loop *stop)
{
    struct git_proof *p = mem_alloc(sizeof(*p));
    gitrepo_init();
    p->dir = str_dup(dir);
    p->stop = stop;
    return p;
}

struct git_proof *git_proof_new_light(const char *dir, const struct loop *stop)
{
    struct git_proof *p = mem_alloc(sizeof(*p));
    p->dir = str_dup(dir);
    p->stop = stop;
    p->light = git_light_new(dir, stop);
    return p;
}

static void close_odb(struct git_proof *p)
{
    git_repository_free(p->repo);
    git_odb_free(p->odb);
    p->repo = NULL;
    p->odb = NULL;
}

void git_proof_restart(struct git_proof *p)
{
    close_odb(p);
    strv_clear(&p->used);
    oidset_clear(&p->seen);
    p->todo.len = 0;
    if (p->light)
        git_light_back(p->light, 0);
}

void git_proof_free(struct git_proof *p)
{
    if (!p)
        return;
    git_proof_restart(p);
    git_indexer_free(p->indexer);
    git_light_free(p->light);
    json_decref(p->indexes);
    vec_clear(&p->todo);
    free(p->dir);
    free(p);
}

void git_proof_knows(struct git_proof *p, bool (*is_known)(void *ctx, const char *id), void *ctx)
{
    p->is_known = is_known;
    p->ctx = ctx;
}

bool git_proof_is_light(const struct git_proof *p)
{
    return p->light;
}

uint64_t git_proof_objects(const struct git_proof *p)
{
    return p->indexed;
}

// ---- packs ----
static bool damaged(int rc, struct err *err)
{
    gitrepo_err(rc, err, "Git pack");
    if (err->kind != ERR_CANCELLED)
        err->kind = ERR_CORRUPT;
    return false;
}

static int on_progress(const git_indexer_progress *progress, void *ctx)
{
    const struct git_proof *p = ctx;
    (void)progress;
    return is_stopping(p->stop) ? GIT_EUSER : 0;
}

bool git_proof_begin(struct git_proof *p, struct err *err)
{
    if (p->light)
        return git_light_begin(p->light, err);
    git_indexer_options o = {.version = GIT_INDEXER_OPTIONS_VERSION,
                             .progress_cb = on_progress,
                             .progress_cb_payload = p};
    git_indexer_free(p->indexer);
    p->indexer = NULL;
    p->progress = (git_indexer_progress){0};
    // Without a store behind it deltas against objects elsewhere are refused.
    int rc = git_indexer_new(&p->indexer, p->dir, 0600, NULL, &o);
    return rc == 0 || gitrepo_err(rc, err, p->dir);
}

bool git_proof_add(struct git_proof *p, const void *bytes, size_t len, struct err *err)
{
    if (p->light)
        return git_light_add(p->light, bytes, len, err);
    int rc = git_indexer_append(p->indexer, bytes, len, &p->progress);
    return rc == 0 || damaged(rc, err);
}

static bool index_ended(struct git_proof *p, char **index, struct err *err)
{
    int rc = git_indexer_commit(p->indexer, &p->progress);
    if (rc != 0)
        return damaged(rc, err);
    p->indexed += p->progress.indexed_objects;
    CLEANUP(str_freep) char *file = str_printf("pack-%s.idx", git_indexer_name(p->indexer));
    *index = path_join(p->dir, file);
    git_indexer_free(p->indexer);
    p->indexer = NULL;
    return true;
}

static bool index_file(struct git_proof *p, const char *pack, char **index, struct err *err)
{
    int fd CLEANUP(fd_closep) = open(pack, O_RDONLY | O_CLOEXEC);
    CLEANUP(str_freep) char *chunk = mem_alloc(CHUNK);
    ssize_t n = -1;
    bool ok = git_proof_begin(p, err);
    while (ok && fd >= 0 && ((n = read(fd, chunk, CHUNK)) > 0 || (n < 0 && errno == EINTR)))
        ok = n < 0 || git_proof_add(p, chunk, (size_t)n, err);
    int errnum = errno;
    if (ok && n < 0)
        ok = err_set_errno(err, errnum, "read %s", pack);
    return ok && git_proof_end(p, index, err);
}

// The index file of a pack that was gone through without the library; lent.
static const char *index_of(struct git_proof *p, const char *pack, struct err *err)
{
    const char *known = json_string_value(json_object_get(p->indexes, pack));
    CLEANUP(str_freep) char *index = NULL;
    uint64_t indexed = p->indexed; // it was counted
    if (known)
        return known;
    if (!index_file(p, pack, &index, err))
        return NULL;
    p->indexed = indexed;
    if (!p->indexes)
        p->indexes = json_object();
    json_object_set_new(p->indexes, pack, json_string(index));
    return json_string_value(json_object_get(p->indexes, pack));
}

// From here on the library is asked.
static bool leave_light(struct git_proof *p, struct err *err)
{
    struct strv packs = p->used;
    bool ok = true;
    gitrepo_init();
    git_light_free(p->light);
    p->light = NULL;
    p->used = (struct strv){0};
    for (size_t i = 0; ok && i < packs.len; i++)
        ok = git_proof_use(p, packs.v[i], err);
    strv_clear(&packs);
    return ok;
}

static bool end_light(struct git_proof *p, char **pack, struct err *err)
{
    uint64_t before = git_light_objects(p->light);
    bool fine = false;
    if (!git_light_end(p->light, pack, &fine, err))
        return false;
    if (fine) {
        p->indexed += git_light_objects(p->light) - before;
        return true;
    }
    CLEANUP(str_freep) char *file = TAKE(*pack);
    return leave_light(p, err) && index_file(p, file, pack, err);
}

bool git_proof_end(struct git_proof *p, char **index, struct err *err)
{
    return p->light ? end_light(p, index, err) : index_ended(p, index, err);
}

static bool add_pack(struct git_proof *p, const char *index, struct err *err)
{
    git_odb_backend *backend = NULL;
    if (!open_odb(p, err))
        return false;
    int rc = git_odb_backend_one_pack(&backend, index);
    if (rc == 0)
        rc = git_odb_add_backend(p->odb, backend, 1);
    return rc == 0 || damaged(rc, err);
}

bool git_proof_use(struct git_proof *p, const char *index, struct err *err)
{
    if (p->light) {
        git_light_use(p->light, index);
    } else {
        if (str_ends(index, ".pack"))
            index = index_of(p, index, err);
        if (!index || !add_pack(p, index, err))
            return false;
    }
    strv_push(&p->used, index);
    return true;
}

// What was followed while only these were used lies, with all it leads to, in these.
bool git_proof_back(struct git_proof *p, size_t packs, struct err *err)
{
    assert(packs <= p->used.len && !p->todo.len);
    close_odb(p);
    while (p->used.len > packs)
        free(p->used.v[--p->used.len]);
    if (p->seen.len)
        oidset_rebuild(&p->seen, p->seen.cap, (uint32_t)packs + 1);
    if (p->light)
        git_light_back(p->light, packs);
    for (size_t i = 0; !p->light && i < packs; i++)
        if (!add_pack(p, p->used.v[i], err))
            return false;
    return true;
}

bool git_proof_file(struct git_proof *p, const char *pack, struct err *err)
{
    CLEANUP(str_freep) char *index = NULL;
    return index_file(p, pack, &index, err) && git_proof_use(p, index, err);
}

// The SHA-1 that ends a file is that of what is before it: sum, and the 20 bytes before that.
static bool sum_holds(const char *path, uint8_t sum[SUM_BYTES], uint8_t before[SUM_BYTES],
                      const struct loop *stop, struct err *err)
{
    int fd CLEANUP(fd_closep) = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    CLEANUP(str_freep) char *chunk = mem_alloc(CHUNK);
    uint8_t got[EVP_MAX_MD_SIZE];
    if (fd < 0 || fstat(fd, &st) != 0) {
        int errnum = errno;
        return err_set_errno(err, errnum, "read %s", path);
    }
    off_t body = st.st_size - SUM_BYTES;
    bool ok = body >= SUM_BYTES;
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    ok = ok && EVP_DigestInit_ex(md, EVP_sha1(), NULL) == 1;
    for (off_t at = 0; ok && at < body;) {
        size_t want = body - at < (off_t)CHUNK ? (size_t)(body - at) : CHUNK;
        ssize_t n = pread(fd, chunk, want, at);
        ok = n > 0 && EVP_DigestUpdate(md, chunk, (size_t)n) == 1 && !is_stopping(stop);
        at += n > 0 ? n : 0;
    }
    ok = ok && EVP_DigestFinal_ex(md, got, NULL) == 1 &&
         pread(fd, sum, SUM_BYTES, body) == SUM_BYTES &&
         pread(fd, before, SUM_BYTES, body - SUM_BYTES) == SUM_BYTES &&
         !memcmp(got, sum, SUM_BYTES);
    EVP_MD_CTX_free(md);
    if (is_stopping(stop))
        return err_set(err, ERR_CANCELLED, "interrupted");
    return ok || err_set(err, ERR_CORRUPT, "%s is damaged: git fsck tells more", path);
}

bool git_proof_indexed(struct git_proof *p, const char *pack, struct err *err)
{
    uint8_t of_pack[SUM_BYTES];
    uint8_t of_index[SUM_BYTES];
    uint8_t ignored[SUM_BYTES];
    uint8_t named[SUM_BYTES]; // the index ends with the pack's sum, and its own
    CLEANUP(str_freep) char *index = str_printf("%.*s.idx", (int)(strlen(pack) - 5), pack);
    if (!sum_holds(pack, of_pack, ignored, p->stop, err) ||
        !sum_holds(index, of_index, named, p->stop, err))
        return false;
    if (memcmp(named, of_pack, SUM_BYTES) != 0)
        return err_set(err, ERR_CORRUPT, "%s is the index of another pack", index);
    return git_proof_use(p, index, err);
}

bool git_proof_repository(struct git_proof *p, git_repository **out, struct err *err)
{
    bool ok = open_odb(p, err);
    *out = p->repo;
    return ok;
}

// ---- what refs lead to ----
static void push(struct git_proof *p, const git_oid *id, git_object_t type)
{
    if (oidset_add(&p->seen, id, p->mark ? p->mark : (uint32_t)p->used.len + 1))
        *vec_push(&p->todo) = (struct todo){*id, type};
}

static bool missing(const git_oid *id, struct err *err)
{
    char hex[41];
    git_oid_tostr(hex, sizeof(hex), id);
    return err_set(err, ERR_CORRUPT, "object %s, which its history leads to, is not there", hex);
}

static bool add_tree(struct git_proof *p, git_repository *r, const git_oid *id, struct err *err)
{
    git_tree *t = NULL;
    int rc = git_tree_lookup(&t, r, id);
    if (rc != 0)
        return damaged(rc, err);
    for (size_t i = 0; i < git_tree_entrycount(t); i++) {
        const git_tree_entry *e = git_tree_entry_byindex(t, i);
        if (git_tree_entry_type(e) != GIT_OBJECT_COMMIT) // a submodule's is another repository's
            push(p, git_tree_entry_id(e), git_tree_entry_type(e));
    }
    git_tree_free(t);
    return true;
}

static bool add_commit(struct git_proof *p, const git_oid *id, struct err *err)
{
    git_commit *c = NULL;
    int rc = git_commit_lookup(&c, p->repo, id);
    if (rc != 0)
        return damaged(rc, err);
    push(p, git_commit_tree_id(c), GIT_OBJECT_TREE);
    for (unsigned i = 0; i < git_commit_parentcount(c); i++)
        push(p, git_commit_parent_id(c, i), GIT_OBJECT_COMMIT);
    git_commit_free(c);
    return true;
}

static bool add_tag(struct git_proof *p, const git_oid *id, struct err *err)
{
    git_tag *t = NULL;
    int rc = git_tag_lookup(&t, p->repo, id);
    if (rc != 0)
        return damaged(rc, err);
    push(p, git_tag_target_id(t), git_tag_target_type(t));
    git_tag_free(t);
    return true;
}

static bool is_known(const struct git_proof *p, const git_oid *id)
{
    char hex[41];
    git_oid_tostr(hex, sizeof(hex), id);
    return p->is_known && p->is_known(p->ctx, hex);
}

static bool visit(struct git_proof *p, const struct todo *x, struct err *err)
{
    git_object_t type = GIT_OBJECT_INVALID;
    size_t size = 0;
    if (is_stopping(p->stop))
        return err_set(err, ERR_CANCELLED, "interrupted");
    if (x->type == GIT_OBJECT_BLOB)
        return git_odb_exists(p->odb, &x->id) || missing(&x->id, err);
    // Only commits, tags and what refs name can be known: they were tips once.
    if (x->type != GIT_OBJECT_TREE && is_known(p, &x->id))
        return true;
    int rc = git_odb_read_header(&size, &type, p->odb, &x->id);
    if (rc == GIT_ENOTFOUND)
        return missing(&x->id, err);
    if (rc != 0)
        return damaged(rc, err);
    if (x->type != GIT_OBJECT_ANY && type != x->type)
        return err_set(err, ERR_CORRUPT, "an object of a history is of another type than is said");
    if (type != GIT_OBJECT_BLOB && size > MAX_TREE_BYTES)
        return err_set(err, ERR_INVALID, "a commit, tag or tree of %zu bytes", size);
    if (type == GIT_OBJECT_TREE)
        return add_tree(p, p->repo, &x->id, err);
    if (type == GIT_OBJECT_COMMIT)
        return add_commit(p, &x->id, err);
    return type == GIT_OBJECT_BLOB || add_tag(p, &x->id, err);
}

bool git_proof_tip(struct git_proof *p, const char *id, struct err *err)
{
    git_oid oid;
    if (git_oid_fromstr(&oid, id) != 0)
        return err_set(err, ERR_CORRUPT, "%.80s is no object id", id);
    if (p->light && git_light_tip(p->light, &oid))
        return true;
    if (p->light && !leave_light(p, err))
        return false;
    if (!open_odb(p, err))
        return false;
    push(p, &oid, GIT_OBJECT_ANY);
    while (p->todo.len) {
        struct todo x = p->todo.v[--p->todo.len];
        if (!visit(p, &x, err))
            return false;
    }
    return true;
}

// ---- what is to be sent ----
enum { MARK_THERE = 1, MARK_WANTED = 2 };

const struct strv *git_proof_used(const struct git_proof *p)
{
    return &p->used;
}

const struct loop *git_proof_stop(const struct git_proof *p)
{
    return p->stop;
}

bool git_proof_has(struct git_proof *p, const char *id)
{
    git_oid oid;
    struct err err = {0};
    bool ok = git_oid_fromstr(&oid, id) == 0 && open_odb(p, &err) && git_odb_exists(p->odb, &oid);
    err_clear(&err);
    return ok;
}

static bool follow_all(struct git_proof *p, const struct strv *less, const struct strv *tips,
                       struct err *err)
{
    p->mark = MARK_THERE;
    for (size_t i = 0; i < less->len; i++)
        if (git_proof_has(p, less->v[i]) && !git_proof_tip(p, less->v[i], err))
            return false;
    p->mark = MARK_WANTED;
    for (size_t i = 0; i < tips->len; i++)
        if (!git_proof_tip(p, tips->v[i], err))
            return false;
    return true;
}

bool git_proof_between(struct git_proof *p, const struct strv *tips, const struct strv *less,
                       git_oid **out, size_t *n, struct err *err)
{
    struct oidset before = p->seen;
    p->seen = (struct oidset){0};
    bool ok = follow_all(p, less, tips, err);
    *n = 0;
    *out = mem_realloc(NULL, p->seen.len + 1, sizeof(**out));
    for (size_t i = 0; ok && i < p->seen.cap; i++)
        if (p->seen.with[i] == MARK_WANTED)
            (*out)[(*n)++] = p->seen.slots[i];
    oidset_clear(&p->seen);
    p->seen = before;
    p->mark = 0;
    p->todo.len = 0;
    return ok;
}

bool git_proof_is_ancestor(struct git_proof *p, const char *id, const char *of)
{
    git_oid old;
    git_oid new;
    struct err err = {0};
    bool ok = open_odb(p, &err) && git_oid_fromstr(&old, id) == 0 &&
              git_oid_fromstr(&new, of) == 0 && git_odb_exists(p->odb, &old) &&
              (git_oid_equal(&old, &new) || git_graph_descendant_of(p->repo, &new, &old) == 1);
    err_clear(&err);
    return ok;
}

bool git_proof_known_files(struct git_proof *p, git_repository *r, const git_oid *commit,
                           struct err *err)
{
    git_commit *c = NULL;
    int rc = git_commit_lookup(&c, r, commit);
    if (rc != 0)
        return damaged(rc, err);
    push(p, git_commit_tree_id(c), GIT_OBJECT_TREE);
    git_commit_free(c);
    while (p->todo.len) {
        struct todo x = p->todo.v[--p->todo.len];
        if (x.type == GIT_OBJECT_TREE && !add_tree(p, r, &x.id, err))
            return false;
    }
    return true;
}

// ---- what lies between ----
// False: it leads to no commit that is there.
static bool commit_of(const struct git_proof *p, const char *hex, git_oid *out)
{
    git_oid id;
    git_object *o = NULL;
    git_object *commit = NULL;
    bool ok = git_oid_fromstr(&id, hex) == 0 &&
              git_object_lookup(&o, p->repo, &id, GIT_OBJECT_ANY) == 0 &&
              git_object_peel(&commit, o, GIT_OBJECT_COMMIT) == 0;
    if (ok)
        *out = *git_object_id(commit);
    git_object_free(commit);
    git_object_free(o);
    return ok;
}

static int tell(struct git_proof *p, const git_oid *id, git_log_fn fn, void *ctx, bool *more)
{
    git_commit *c = NULL;
    char hex[41];
    int rc = git_commit_lookup(&c, p->repo, id);
    if (rc != 0)
        return rc;
    const git_signature *by = git_commit_author(c);
    const char *subject = git_commit_summary(c);
    git_oid_tostr(hex, sizeof(hex), id);
    *more =
        fn(ctx, hex, git_commit_time(c), by && by->name ? by->name : "", subject ? subject : "");
    git_commit_free(c);
    return 0;
}

bool git_proof_log(struct git_proof *p, const char *from, const char *to, git_log_fn fn, void *ctx,
                   struct err *err)
{
    git_oid first;
    git_oid last;
    git_oid id;
    git_revwalk *walk = NULL;
    bool more = true;
    if (!open_odb(p, err))
        return false;
    if (!commit_of(p, to, &last))
        return true;
    int rc = git_revwalk_new(&walk, p->repo);
    if (rc == 0)
        rc = git_revwalk_sorting(walk, GIT_SORT_TOPOLOGICAL | GIT_SORT_TIME);
    if (rc == 0)
        rc = git_revwalk_push(walk, &last);
    if (rc == 0 && from && commit_of(p, from, &first))
        rc = git_revwalk_hide(walk, &first);
    while (rc == 0 && more && (rc = git_revwalk_next(&id, walk)) == 0)
        rc = tell(p, &id, fn, ctx, &more);
    git_revwalk_free(walk);
    return rc == 0 || rc == GIT_ITEROVER || damaged(rc, err);
}
