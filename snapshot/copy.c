// SPDX-License-Identifier: Apache-2.0
#include "snapshot/copy.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "gitops/gitops.h"
#include "snapshot/capture_int.h"
#include "snapshot/idmap.h"
#include "snapshot/lists.h"

#define MAX_DEPTH 1000 // of lists that name lists

struct copying {
    struct reader *r;
    struct writer *w;
    struct loop *loop;
    struct workdir work;
    struct idmap map; // id -> position in ids
    VEC(struct blob_id) ids;
};

// ---- which ----

// "<repo> <chain> <seq>" of the format; with seq 0 the part before it.
static char *origin_of(const struct repo *from, const char *chain, uint64_t seq)
{
    CLEANUP(str_freep) char *repo = hex_encode(from->marker.repo, REPO_ID_BYTES);
    return seq ? str_printf("%s %s %llu", repo, chain, (unsigned long long)seq)
               : str_printf("%s %s ", repo, chain);
}

bool copy_check(const struct log *to, const struct repo *from, const char *chain,
                const struct entry *snapshot, bool *is_there, struct err *err)
{
    CLEANUP(str_freep) char *ours = origin_of(from, chain, 0);
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

static bool copy_blob(struct copying *c, const struct blob_id *old, struct blob_id *out,
                      unsigned depth, struct err *err);

static bool new_name(struct copying *c, const json_t *hex, json_t **out, unsigned depth,
                     struct err *err)
{
    struct blob_id old;
    struct blob_id new;
    char text[33];
    const char *s = json_string_value(hex);
    if (!s || !blob_id_parse(s, &old))
        return err_set(err, ERR_CORRUPT, "a reference that is no blob's name");
    if (!copy_blob(c, &old, &new, depth, err))
        return false;
    blob_id_hex(&new, text);
    *out = json_string(text);
    return true;
}

// Members "blob" and "blobs" are references wherever they stand, and nothing else is.
static bool rename_refs(struct copying *c, json_t *v, unsigned depth, struct err *err)
{
    const char *key;
    json_t *x;
    size_t i;
    if (json_is_array(v)) {
        json_array_foreach(v, i, x)
        {
            if (!rename_refs(c, x, depth, err))
                return false;
        }
        return true;
    }
    if (!json_is_object(v))
        return true;
    json_object_foreach(v, key, x)
    {
        json_t *name = NULL;
        if (!strcmp(key, "blob")) {
            if (!new_name(c, x, &name, depth, err))
                return false;
            json_object_set_new(v, "blob", name); // of a key that is there: nothing moves
        } else if (!strcmp(key, "blobs")) {
            for (i = 0; i < json_array_size(x); i++) {
                if (!new_name(c, json_array_get(x, i), &name, depth, err))
                    return false;
                json_array_set_new(x, i, name);
            }
        } else if (!rename_refs(c, x, depth, err)) {
            return false;
        }
    }
    return true;
}

static bool copy_list(struct copying *c, const struct blob_id *old, char kind, struct blob_id *out,
                      unsigned depth, struct err *err)
{
    CLEANUP(json_freep) json_t *doc = NULL;
    struct buf b CLEANUP(buf_clear) = {0};
    if (depth > MAX_DEPTH)
        return err_set(err, ERR_CORRUPT, "lists that name lists, more than %d deep", MAX_DEPTH);
    if (!reader_json(c->r, old, kind, &doc, err) || !rename_refs(c, doc, depth + 1, err))
        return false;
    canon_write(doc, &b);
    buf_char(&b, '\n');
    *out = writer_add(c->w, kind, b.p, b.len);
    return true;
}

static bool copy_bytes(struct copying *c, const struct blob_id *old, char kind, struct blob_id *out,
                       struct err *err)
{
    struct buf b CLEANUP(buf_wipe) = {0};
    if (!reader_blob(c->r, old, NULL, &b, err))
        return false;
    *out = writer_add(c->w, kind, b.p, b.len);
    return true;
}

static bool copy_blob(struct copying *c, const struct blob_id *old, struct blob_id *out,
                      unsigned depth, struct err *err)
{
    uint32_t at;
    char kind = reader_kind(c->r, old);
    if (idmap_get(&c->map, old, &at)) {
        *out = c->ids.v[at];
        return true;
    }
    if (!kind || kind == 'g')
        return err_set(err, ERR_CORRUPT, "a reference to what is not in the snapshot");
    if (c->loop && loop_stopping(c->loop))
        return err_set(err, ERR_CANCELLED, "interrupted while copying");
    bool is_list = kind == 'r' || kind == 'l';
    if (!(is_list ? copy_list(c, old, kind, out, depth, err) : copy_bytes(c, old, kind, out, err)))
        return false;
    idmap_set(&c->map, old, (uint32_t)c->ids.len);
    *vec_push(&c->ids) = *out;
    return true;
}

// ---- Git packs, through files: they may be large ----

static bool write_bytes(void *ctx, const void *p, size_t len, struct err *err)
{
    const int *fd = ctx;
    const char *at = p;
    while (len) {
        ssize_t n = write(*fd, at, len);
        if (n <= 0)
            return err_set(err, ERR_UNAVAILABLE, "a Git pack cannot be written: %m");
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static bool copy_git(struct copying *c, struct err *err)
{
    for (size_t i = 0; i < reader_git_count(c->r); i++) {
        CLEANUP(str_freep) char *path = str_printf("%s/%zu.pack", c->work.path, i);
        json_t *file = NULL;
        int fd CLEANUP(fd_closep) = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0)
            return err_set(err, ERR_UNAVAILABLE, "make %s: %m", path);
        if (!reader_git_pack(c->r, i, write_bytes, &fd, err) ||
            !writer_add_file(c->w, path, (int)i, &file, err))
            return false;
        json_decref(file);
    }
    return true;
}

// ---- names, by which the next run finds what it cannot read ----

static bool note(struct copying *c, const char *name, const json_t *ref, uint64_t count)
{
    struct blob_id old;
    uint32_t at;
    const char *hex = json_dot_str(ref, "blob");
    if (!hex || !blob_id_parse(hex, &old) || !idmap_get(&c->map, &old, &at))
        return false;
    writer_note_list(c->w, name, &c->ids.v[at], (uint32_t)count);
    return true;
}

// Noted as of all there is: of the newest snapshot that knew all, if this one did not.
static void note_all(struct copying *c, const json_t *root, const char *member, const char *name,
                     uint64_t count)
{
    CLEANUP(str_freep) char *before = str_printf("%sBefore", member);
    if (!note(c, name, json_object_get(root, before), count))
        (void)note(c, name, json_object_get(root, member), count);
}

struct noting {
    struct copying *c;
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

static bool note_apps(struct copying *c, const json_t *root, struct err *err)
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
        json_t *name = NULL;
        if (!new_name(c, hex, &name, 0, err))
            return false;
        json_array_append_new(blobs, name);
    }
    if (!list_each_app(c->r, shards, note_app, &x, err))
        return false;
    if (note(c, "all applications", json_object_get(root, "before"), x.n))
        return true;
    struct buf b CLEANUP(buf_clear) = {0};
    canon_write(all, &b);
    buf_char(&b, '\n');
    struct blob_id id = writer_add(c->w, 'l', b.p, b.len);
    writer_note_list(c->w, "all applications", &id, (uint32_t)x.n);
    return true;
}

static bool note_sources(struct copying *c, const json_t *root, struct err *err)
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

static bool note_git(struct copying *c, const json_t *root, struct err *err)
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

static bool note_names(struct copying *c, const json_t *root, const struct entry *snapshot,
                       struct err *err)
{
    const json_t *pools = json_object_get(root, "secrets");
    const json_t *live = json_object_get(root, "live");
    CLEANUP(json_freep) json_t *list = NULL;
    // The last of several is the one that had them all.
    (void)note(c, "all secrets", json_array_get(pools, json_array_size(pools) - 1),
               snapshot->snapshot.counts.secrets);
    if (!list_read(c->r, live, "objects", &list, err))
        return false;
    (void)note(c, "live objects", live, json_array_size(json_object_get(list, "objects")));
    return note_apps(c, root, err) && note_sources(c, root, err) && note_git(c, root, err);
}

// ---- the whole ----

static bool copy_all(struct copying *c, const struct entry *snapshot, struct blob_id *root,
                     struct err *err)
{
    CLEANUP(json_freep) json_t *doc = NULL;
    return copy_blob(c, &snapshot->snapshot.root, root, 0, err) && copy_git(c, err) &&
           reader_root(c->r, &doc, err) && note_names(c, doc, snapshot, err);
}

static void describe(const struct entry *from, const struct copy_opts *o, char *origin_take,
                     struct snapshot_entry *to)
{
    const struct snapshot_entry *s = &from->snapshot;
    to->cluster = str_dup_or_null(s->cluster);
    to->is_good = s->is_good && !o->is_bad;
    for (size_t i = 0; i < s->why.len; i++)
        strv_push(&to->why, s->why.v[i]);
    if (o->is_bad && !strv_has(&to->why, "judged-bad"))
        strv_push(&to->why, "judged-bad");
    to->counts = s->counts;
    to->origin = origin_take;
}

static void copying_clear(struct copying *c)
{
    writer_free(c->w);
    idmap_clear(&c->map);
    vec_clear(&c->ids);
    workdir_remove(&c->work);
}

bool snapshot_copy(struct reader *r, const struct repo *from, const char *chain,
                   const struct entry *snapshot, struct repo *to, const struct copy_opts *o,
                   struct entry *out, struct err *err)
{
    struct copying c CLEANUP(copying_clear) = {.r = r, .loop = to->loop};
    struct writer_opts wo = {.job = o->job,
                             .cluster = snapshot->snapshot.cluster,
                             .adopt_chain = true, // as the chain it comes from did
                             .index_cache = o->index_cache};
    struct entry e = {.kind = ENTRY_SNAPSHOT}; // so that what is left of it is freed
    describe(snapshot, o, origin_of(from, chain, snapshot->seq), &e.snapshot);
    bool ok = workdir_make(o->work, &c.work, err) && writer_begin(to, &wo, &c.w, err) &&
              copy_all(&c, snapshot, &e.snapshot.root, err) &&
              writer_commit(c.w, &e.snapshot, out, err);
    entry_clear(&e);
    return ok;
}
