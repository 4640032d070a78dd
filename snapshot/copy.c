// SPDX-License-Identifier: Apache-2.0
#include "snapshot/copy.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "gitops/gitops.h"
#include "snapshot/capture_int.h"
#include "snapshot/lists.h"
#include "snapshot/rename.h"

struct copy {
    struct reader *r;
    struct writer *w;
    const char *scope; // what names begin with; NULL: nothing
    struct renaming names;
    struct workdir work;
    struct entry e; // as far as it is known
    uint64_t kept;  // bytes of files and objects in memory
    char *aside_path;
    int aside_fd;
    uint64_t aside; // bytes in it
};

#define MAX_KEPT_BYTES (16U << 20)

// ---- which ----

// "<repo> <chain> <seq>" of the format; with seq 0 the part before it.
static char *origin_of(const uint8_t *repo, const char *chain, uint64_t seq)
{
    CLEANUP(str_freep) char *hex = hex_encode(repo, REPO_ID_BYTES);
    return seq ? str_printf("%s %s %llu", hex, chain, (unsigned long long)seq)
               : str_printf("%s %s ", hex, chain);
}

bool copy_check(const struct log *to, const struct entry *snapshot, bool *is_there, struct err *err)
{
    CLEANUP(str_freep) char *ours = origin_of(snapshot->repo, snapshot->chain, 0);
    uint64_t newest = 0;
    *is_there = false;
    for (size_t i = 0; i < to->v.len; i++) {
        const struct entry *e = &to->v.v[i];
        const char *origin = e->snapshot.origin ? e->snapshot.origin : "";
        long long seq = 0;
        if (e->kind != ENTRY_SNAPSHOT || e->is_void)
            continue;
        if (!str_starts(origin, ours) || !str_to_int(origin + strlen(ours), 1, ENTRY_MAX_SEQ, &seq))
            return err_set(err, ERR_CONFLICT,
                           "chain %s there has snapshots of its own: a copy on top of them would "
                           "be what latest means",
                           to->chain);
        *is_there |= (uint64_t)seq == snapshot->seq;
        newest = (uint64_t)seq > newest ? (uint64_t)seq : newest;
    }
    return *is_there || newest < snapshot->seq ||
           err_set(err, ERR_CONFLICT,
                   "snapshot %llu is there already: an older one on top of it would be what latest "
                   "means",
                   (unsigned long long)newest);
}

// ---- blobs ----

static bool write_bytes(void *ctx, const void *p, size_t len, struct err *err)
{
    const int *fd = ctx;
    const char *at = p;
    while (len) {
        ssize_t n = write(*fd, at, len);
        if (n <= 0)
            return err_set(err, ERR_UNAVAILABLE, "it cannot be written to disk: %m");
        at += n;
        len -= (size_t)n;
    }
    return true;
}

// Charts and files may be more than memory holds: what does not fit lies in the private folder. No
// Secret does.
static bool put_aside(struct copy *c, const void *p, size_t len, struct err *err)
{
    if (!c->aside_path)
        c->aside_path = str_printf("%s/blobs", c->work.path);
    if (c->aside_fd < 0)
        c->aside_fd = open(c->aside_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (c->aside_fd < 0)
        return err_set(err, ERR_UNAVAILABLE, "make %s: %m", c->aside_path);
    return write_bytes(&c->aside_fd, p, len, err);
}

static bool add_blob(void *ctx, char kind, const void *p, size_t len, struct blob_id *id,
                     struct err *err)
{
    struct copy *c = ctx;
    bool is_salted = kind == 'h' && len > BLOB_SALT_BYTES;
    if (is_salted && !writer_may_salt(c->w)) {
        p = blob_of_file(kind, p, &len);
        kind = 'f';
    }
    bool may_lie = kind == 'f' || kind == 'h' || kind == 'o';
    if (!may_lie || c->kept + len <= MAX_KEPT_BYTES) {
        c->kept += may_lie ? len : 0;
        *id = writer_add(c->w, kind, p, len);
        return true;
    }
    if (!put_aside(c, p, len, err))
        return false;
    *id = writer_add_lying(c->w, kind, p, len, c->aside_path, c->aside);
    c->aside += len;
    return true;
}

// ---- Git packs, through files: they may be large ----

static bool copy_git(struct copy *c, struct err *err)
{
    for (size_t i = 0; i < reader_git_count(c->r); i++) {
        CLEANUP(str_freep) char *path = str_printf("%s/%zu.pack", c->work.path, i);
        json_t *file = NULL;
        int fd CLEANUP(fd_closep) = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0)
            return err_set(err, ERR_UNAVAILABLE, "make %s: %m", path);
        if (!reader_git_pack(c->r, i, write_bytes, &fd, err) ||
            !writer_add_file(c->w, path, (int)i, NULL, &file, err))
            return false;
        json_decref(file);
    }
    return true;
}

// ---- names, by which the next run finds what it cannot read ----

static void note_id(struct copy *c, const char *name, const struct blob_id *id, uint64_t count)
{
    CLEANUP(str_freep) char *full = c->scope ? str_printf("%s: %s", c->scope, name) : str_dup(name);
    writer_note_list(c->w, full, id, (uint32_t)count);
}

static bool note(struct copy *c, const char *name, const json_t *ref, uint64_t count)
{
    struct blob_id old;
    struct blob_id new;
    const char *hex = json_dot_str(ref, "blob");
    if (!hex || !blob_id_parse(hex, &old) || !renamed(&c->names, &old, &new))
        return false;
    note_id(c, name, &new, count);
    return true;
}

// Noted as of all there is: of the newest snapshot that knew all, if this one did not.
static void note_all(struct copy *c, const json_t *root, const char *member, const char *name,
                     uint64_t count)
{
    CLEANUP(str_freep) char *before = str_printf("%sBefore", member);
    if (!note(c, name, json_object_get(root, before), count))
        (void)note(c, name, json_object_get(root, member), count);
}

struct noting {
    struct copy *c;
    size_t n;
};

static bool note_app(void *ctx, const json_t *row, struct err *err)
{
    struct noting *x = ctx;
    CLEANUP(json_freep) json_t *app = NULL;
    if (!list_read(x->c->r, row, "objects", &app, err))
        return false;
    x->n++;
    (void)note(x->c, json_dot_str(row, "name"), row,
               json_array_size(json_object_get(app, "objects")));
    return true;
}

static bool note_apps(struct copy *c, const json_t *root, struct err *err)
{
    const json_t *shards = json_dot(root, "shards.blobs");
    json_t *blobs = json_array();
    CLEANUP(json_freep)
    json_t *all = json_pack("{s:s, s:o}", "type", "regrow applications v1", "blobs", blobs);
    struct noting x = {.c = c};
    size_t i;
    json_t *hex;
    json_array_foreach(shards, i, hex)
    {
        struct blob_id old;
        struct blob_id new;
        const char *name = json_string_value(hex);
        if (!name || !blob_id_parse(name, &old) || !renamed(&c->names, &old, &new))
            return err_set(err, ERR_CORRUPT, "a reference that is no blob's name");
        json_array_append_new(blobs, capture_id(&new));
    }
    if (!list_each_app(c->r, shards, note_app, &x, err))
        return false;
    if (note(c, "all applications", json_object_get(root, "before"), x.n))
        return true;
    struct buf b CLEANUP(buf_clear) = {0};
    canon_write(all, &b);
    buf_char(&b, '\n');
    struct blob_id id = writer_add(c->w, 'l', b.p, b.len);
    note_id(c, "all applications", &id, x.n);
    return true;
}

// The last of several is the one that had them all.
static void note_secrets(struct copy *c, const json_t *root, uint64_t count)
{
    const json_t *pools = json_object_get(root, "secrets");
    (void)note(c, "all secrets", json_array_get(pools, json_array_size(pools) - 1), count);
}

static bool note_cluster(struct copy *c, const json_t *row, struct err *err)
{
    CLEANUP(json_freep) json_t *cluster = NULL;
    CLEANUP(str_freep)
    char *scope = list_cluster_scope(json_dot_str(row, "server"), json_dot_str(row, "name"));
    if (!list_open(c->r, row, &cluster, err))
        return false;
    (void)note(c, scope, row, 0);
    if (!cluster)
        return true;
    c->scope = scope;
    note_secrets(c, cluster, 0);
    bool ok = note_apps(c, cluster, err);
    c->scope = NULL;
    return ok;
}

static bool note_clusters(struct copy *c, const json_t *root, struct err *err)
{
    CLEANUP(json_freep) json_t *rows = NULL;
    size_t i;
    json_t *row;
    if (!list_clusters(c->r, root, &rows, err))
        return false;
    json_array_foreach(rows, i, row)
    {
        if (!note_cluster(c, row, err))
            return false;
    }
    note_all(c, root, "clusters", "all clusters", json_array_size(rows));
    return true;
}

static bool note_sources(struct copy *c, const json_t *root, struct err *err)
{
    CLEANUP(json_freep) json_t *rows = NULL;
    size_t i;
    json_t *row;
    if (!list_read_all(c->r, root, "sources", "sources", &rows, err))
        return false;
    json_array_foreach(rows, i, row)
    {
        const char *const parts[] = {json_dot_str(row, "kind"), json_dot_str(row, "url"),
                                     json_dot_str(row, "chart"), json_dot_str(row, "target")};
        struct buf name CLEANUP(buf_clear) = {0};
        buf_str(&name, "source");
        for (size_t k = 0; k < ARRAY_LEN(parts); k++)
            buf_printf(&name, " %s", parts[k] ? parts[k] : "");
        (void)note(c, name.p, row, 0);
    }
    note_all(c, root, "sources", "all sources", json_array_size(rows));
    return true;
}

static bool note_git(struct copy *c, const json_t *root, struct err *err)
{
    CLEANUP(json_freep) json_t *rows = NULL;
    uint64_t n = 0;
    size_t i;
    size_t k;
    json_t *row;
    json_t *ref;
    if (!list_read_all(c->r, root, "git", "repositories", &rows, err))
        return false;
    json_array_foreach(rows, i, row)
    {
        CLEANUP(json_freep) json_t *repo = NULL;
        const char *url = json_dot_str(row, "url");
        CLEANUP(str_freep) char *name = str_printf("repository %s", url ? url : "");
        if (!list_read(c->r, row, "refs", &repo, err))
            return false;
        json_array_foreach(json_object_get(repo, "refs"), k, ref)
        {
            const char *id = json_dot_str(ref, "id");
            if (id)
                writer_note_tip(c->w, id);
        }
        n += k;
        (void)note(c, name, row, k);
    }
    note_all(c, root, "git", "all repositories", n);
    return true;
}

static bool note_names(struct copy *c, const json_t *root, const struct entry *snapshot,
                       struct err *err)
{
    const json_t *live = json_object_get(root, "live");
    CLEANUP(json_freep) json_t *list = NULL;
    note_secrets(c, root, snapshot->snapshot.counts.secrets);
    if (!list_read(c->r, live, "objects", &list, err))
        return false;
    (void)note(c, "live objects", live, json_array_size(json_object_get(list, "objects")));
    return note_apps(c, root, err) && note_clusters(c, root, err) && note_sources(c, root, err) &&
           note_git(c, root, err);
}

// ---- the whole ----

static bool copy_all(struct copy *c, const struct entry *snapshot, struct err *err)
{
    CLEANUP(json_freep) json_t *doc = NULL;
    struct blob_id *root = &c->e.snapshot.root;
    return rename_blob(&c->names, &snapshot->snapshot.root, root, err) && copy_git(c, err) &&
           reader_root(c->r, &doc, err) && note_names(c, doc, snapshot, err);
}

static void describe(const struct entry *from, const struct copy_opts *o, char *origin_take,
                     struct snapshot_entry *to)
{
    const struct snapshot_entry *s = &from->snapshot;
    size_t n = o->doubts ? o->doubts->len : 0;
    to->cluster = str_dup_or_null(s->cluster);
    to->is_good = s->is_good && !n;
    for (size_t i = 0; i < s->why.len; i++)
        strv_push(&to->why, s->why.v[i]);
    for (size_t i = 0; i < n; i++)
        if (!strv_has(&to->why, o->doubts->v[i]))
            strv_push(&to->why, o->doubts->v[i]);
    to->counts = s->counts;
    to->origin = origin_take;
    to->taken_unix_s = entry_taken_s(from);
    to->has_export = o->export != NULL;
    if (o->export)
        to->export = *o->export;
}

void copy_free(struct copy *c)
{
    if (!c)
        return;
    writer_free(c->w);
    renaming_clear(&c->names);
    entry_clear(&c->e);
    fd_closep(&c->aside_fd);
    free(c->aside_path);
    workdir_remove(&c->work);
    free(c);
}

bool copy_begin(struct reader *r, const struct entry *snapshot, struct repo *to,
                const struct copy_opts *o, struct copy **out, struct err *err)
{
    CLEANUP(copy_freep) struct copy *c = mem_alloc(sizeof(*c));
    struct writer_opts wo = {.job = o->job,
                             .cluster = snapshot->snapshot.cluster,
                             .adopt_chain = true, // as the chain it comes from did
                             .index_cache = o->index_cache};
    c->r = r;
    c->e.kind = ENTRY_SNAPSHOT;
    c->work.fd = c->aside_fd = -1;
    c->names = (struct renaming){.r = r, .loop = to->loop, .put = add_blob, .ctx = c};
    describe(snapshot, o, origin_of(snapshot->repo, snapshot->chain, snapshot->seq),
             &c->e.snapshot);
    if (!workdir_make(o->work, &c->work, err) || !writer_begin(to, &wo, &c->w, err))
        return false;
    c->names.joins_pages = !writer_may_page(c->w);
    if (!copy_all(c, snapshot, err))
        return false;
    *out = TAKE(c);
    return true;
}

const struct snapshot_entry *copy_result(const struct copy *c)
{
    return &c->e.snapshot;
}

bool copy_commit(struct copy *c, struct entry *out, struct err *err)
{
    return writer_commit(c->w, &c->e.snapshot, out, err);
}

bool snapshot_copy(struct reader *r, const struct entry *snapshot, struct repo *to,
                   const struct copy_opts *o, struct entry *out, struct err *err)
{
    CLEANUP(copy_freep) struct copy *c = NULL;
    return copy_begin(r, snapshot, to, o, &c, err) && copy_commit(c, out, err);
}
