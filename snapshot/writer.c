// SPDX-License-Identifier: Apache-2.0
//
// Beginning a snapshot, and taking down what it shall hold (docs/repository-format.md section 9,
// steps 1 to 3).
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "snapshot/writer_int.h"

// ---- step 1: may this key write here, and does sealing work? ----

static bool check_right(const struct repo *r, const struct credential *job, struct err *err)
{
    const struct trust *t = trust_now(&r->trust);
    struct key_id key = key_id_of(job->signer.public);
    if (memcmp(job->repo, t->repo, sizeof(t->repo)) != 0)
        return err_set(err, ERR_CORRUPT, "the credential belongs to another repository");
    if (!trust_check_flags(t, true, false, err))
        return false;
    if (!trust_signer_for(t, &key, ROLE_WRITE, job->chain))
        return err_set(err, ERR_DENIED, "key %s may not write to chain %s", key.hex, job->chain);
    const struct trust_epoch *e = trust_open_epoch(t);
    if (!e || e->n != job->epoch)
        return err_set(err, ERR_DENIED,
                       "the credential is of epoch %u, which is closed: issue a new one",
                       job->epoch);
    // The recipient comes from the credential, never from the store: a swapped one would seal
    // everything to a thief.
    if (memcmp(e->recipient, job->recipient, KEY_BYTES) != 0)
        return err_set(err, ERR_CORRUPT,
                       "the repository names another recipient than the credential");
    return true;
}

static bool self_test(struct err *err)
{
    static const char text[] = "sealed and opened again";
    struct age_identity id;
    struct age_identities ids = {0};
    struct buf sealed CLEANUP(buf_clear) = {0};
    struct buf opened CLEANUP(buf_clear) = {0};
    age_identity_new(&id);
    *vec_push(&ids.v) = id;
    struct age_keys keys = {.identities = &ids};
    bool ok = age_seal(&id.public, 1, text, sizeof(text), &sealed, NULL, err) &&
              age_open(&keys, sealed.p, sealed.len, sizeof(text), &opened, err) &&
              opened.len == sizeof(text) && !memcmp(opened.p, text, sizeof(text));
    age_identities_clear(&ids);
    crypto_wipe(&id, sizeof(id));
    if (ok)
        return true;
    err_clear(err);
    return err_set(err, ERR_INTERNAL, "sealing does not work on this machine: nothing is written");
}

// ---- steps 2 and 3: head, and what its index files know ----

const struct entry *writer_newest(const struct writer *w, bool must_be_good)
{
    return must_be_good ? log_latest_good(&w->log) : log_newest_snapshot(&w->log);
}

static bool newest_is_void(const struct log *l)
{
    const struct entry *newest = NULL;
    for (size_t i = 0; i < l->v.len; i++)
        if (l->v.v[i].kind == ENTRY_SNAPSHOT && (!newest || l->v.v[i].seq > newest->seq))
            newest = &l->v.v[i];
    return newest && newest->is_void;
}

static bool check_cluster(const struct writer *w, const struct entry *prev, struct err *err)
{
    const char *theirs = prev ? prev->snapshot.cluster : NULL;
    if (!theirs || !w->o.cluster || str_eq(theirs, w->o.cluster) || w->o.adopt_chain ||
        prev->seq <= w->o.restored_head)
        return true;
    if (w->o.restored_head)
        return err_set(err, ERR_CONFLICT,
                       "since this cluster was restored, the one with uid %s has written snapshot "
                       "%llu of chain %s: two clusters are alive; nothing was written",
                       theirs, (unsigned long long)prev->seq, w->o.job->chain);
    return err_set(err, ERR_CONFLICT,
                   "chain %s belongs to the cluster with uid %s, this one is %s: nothing was "
                   "written",
                   w->o.job->chain, theirs, w->o.cluster);
}

uint64_t writer_batch_bytes(const struct index *x)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < x->records.len; i++)
        if (x->records.v[i].pack != INDEX_NO_PACK)
            bytes += x->records.v[i].len;
    return bytes;
}

// Which Git batches go at commit when all is known depends on how many and how large they are, and
// on what is torn. What they hold is packed again together with what is new, so their tips are not
// known any more.
static void choose_git_now(struct writer *w, struct batch_use *use)
{
    size_t n = w->batches.v.len;
    size_t first = 0;
    while (first < n && !w->batches.v.v[first].is_git)
        first++;
    for (size_t i = first; i < n; i++) {
        use[i].bytes = writer_batch_bytes(&w->batches.v.v[i]);
        use[i].is_drop = w->states.v[i].is_torn;
    }
    choose_batches(use + first, n - first, true, true);
}

// Later batches overrule earlier ones.
static void note_records(struct writer *w)
{
    idmap_clear(&w->lists);
    idmap_clear(&w->tips);
    w->known_lists.len = 0;
    struct batch_use *use = mem_alloc((w->batches.v.len + 1) * sizeof(*use));
    choose_git_now(w, use);
    for (size_t i = 0; i < w->batches.v.len; i++) {
        const struct index *x = &w->batches.v.v[i];
        for (size_t k = 0; k < x->records.len; k++) {
            const struct index_record *rec = &x->records.v[k];
            if (rec->kind == 't' && !use[i].is_drop)
                idmap_set(&w->tips, &rec->id, 0);
            if (rec->kind != 'n')
                continue;
            idmap_set(&w->lists, &rec->id, (uint32_t)w->known_lists.len);
            *vec_push(&w->known_lists) =
                (struct note){.name = rec->id, .list = rec[1].id, .count = rec->len};
        }
    }
    free(use);
}

static bool read_batches(struct writer *w, const struct entry *prev, struct err *err)
{
    batches_clear(&w->batches);
    w->states.len = 0;
    bool stands =
        prev && !w->o.full && !newest_is_void(&w->log) && prev->snapshot.epoch == w->o.job->epoch;
    if (stands && !batches_read(w->r, w->o.job->chain, prev, &w->keys, &w->batches, err)) {
        if (err->kind != ERR_CORRUPT && err->kind != ERR_NOT_FOUND)
            return false;
        // A lost or damaged index file: everything is written anew, and the loss is told.
        strv_push_take(&w->warnings, str_printf("%s: everything is written anew", err->msg));
        w->has_damage = true;
        err_clear(err);
    }
    for (size_t i = 0; i < w->batches.v.len; i++)
        vec_push(&w->states);
    if (!writer_check_stored(w, err))
        return false;
    note_records(w);
    return true;
}

bool writer_read_head(struct writer *w, struct err *err)
{
    struct log_opts lo = {.only_head = true};
    lo.expect_last.seq = w->o.job->head_seq;
    lo.expect_last.hash = w->o.job->head;
    log_clear(&w->log);
    if (!log_read(w->r, w->o.job->chain, &lo, &w->log, err))
        return false;
    const struct entry *prev = writer_newest(w, false);
    w->prev_seq = prev ? prev->seq : 0;
    return check_cluster(w, prev, err) && read_batches(w, prev, err);
}

bool writer_begin(struct repo *r, const struct writer_opts *o, struct writer **out, struct err *err)
{
    struct writer *w CLEANUP(writer_freep) = mem_alloc(sizeof(*w));
    w->r = r;
    w->o = *o;
    w->began_ms = clock_boot_ms();
    w->log.checkpoint = -1;
    r->index_cache = o->index_cache;
    chain_keys_from_k(o->job->k, &w->keys);
    w->namer = blob_namer_new(w->keys.id_key);
    if (!check_right(r, o->job, err) || !self_test(err) || !writer_read_head(w, err))
        return false;
    *out = TAKE(w);
    return true;
}

void writer_free(struct writer *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->blobs.len; i++) {
        if (w->blobs.v[i].bytes)
            crypto_wipe(w->blobs.v[i].bytes, w->blobs.v[i].len);
        free(w->blobs.v[i].bytes);
    }
    vec_clear(&w->blobs);
    for (size_t i = 0; i < w->mine.len; i++)
        vec_clear(&w->mine.v[i].blobs);
    vec_clear(&w->mine);
    vec_clear(&w->states);
    vec_clear(&w->known_lists);
    vec_clear(&w->notes);
    vec_clear(&w->new_tips);
    idmap_clear(&w->wanted);
    idmap_clear(&w->lists);
    idmap_clear(&w->tips);
    idmap_clear(&w->relied);
    batches_clear(&w->batches);
    proofs_clear(&w->proofs);
    log_clear(&w->log);
    vec_clear(&w->salts);
    strv_clear(&w->files);
    strv_clear(&w->warnings);
    free(w->piece);
    blob_namer_free(w->namer);
    crypto_wipe(&w->keys, sizeof(w->keys));
    free(w);
}

const struct entry *writer_previous(const struct writer *w)
{
    return writer_newest(w, false);
}

const struct log *writer_log(const struct writer *w)
{
    return &w->log;
}

const struct entry *writer_last_good(const struct writer *w)
{
    return writer_newest(w, true);
}

const struct entry *writer_yardstick(const struct writer *w)
{
    return log_yardstick(&w->log);
}

const struct entry *writer_last_known(const struct writer *w)
{
    return log_newest_known(&w->log);
}

bool writer_needs_again(const struct writer *w)
{
    return w->needs_again;
}

bool writer_may_page(const struct writer *w)
{
    return trust_has_flag(trust_now(&w->r->trust), TRUST_PAGES);
}

bool writer_may_salt(const struct writer *w)
{
    return trust_has_flag(trust_now(&w->r->trust), TRUST_SALTED_FILES);
}

bool writer_salt(struct writer *w, const void *of, size_t len, struct file_salt *out)
{
    if (!writer_may_salt(w))
        return false;
    blob_salt(w->namer, of, len, out->b);
    return true;
}

bool writer_found_damage(const struct writer *w)
{
    return w->has_damage;
}

const struct strv *writer_warnings(const struct writer *w)
{
    return &w->warnings;
}

bool writer_known_list(const struct writer *w, const char *name, struct blob_id *list,
                       uint32_t *count)
{
    uint32_t at;
    struct blob_id id = blob_name(w->namer, 'n', name, strlen(name));
    if (!idmap_get(&w->lists, &id, &at))
        return false;
    *list = w->known_lists.v[at].list;
    *count = w->known_lists.v[at].count;
    return true;
}

bool writer_known_tip(struct writer *w, const char *hex)
{
    struct blob_id id = blob_name(w->namer, 't', hex, strlen(hex));
    bool known = idmap_has(&w->tips, &id);
    if (known)
        idmap_set(&w->relied, &id, 0);
    return known;
}

// ---- what the snapshot shall hold ----

static struct new_blob *want(struct writer *w, const struct new_blob *b)
{
    uint32_t at;
    if (idmap_get(&w->wanted, &b->id, &at))
        return NULL;
    idmap_set(&w->wanted, &b->id, (uint32_t)w->blobs.len);
    struct new_blob *x = vec_push(&w->blobs);
    *x = *b;
    return x;
}

struct blob_id writer_add(struct writer *w, char kind, const void *p, size_t len)
{
    struct new_blob b = {
        .id = blob_name(w->namer, kind, p, len), .kind = kind, .len = (uint32_t)len, .git = -1};
    struct new_blob *x = want(w, &b);
    if (x)
        x->bytes = mem_dup(p, len);
    return b.id;
}

struct blob_id writer_add_lying(struct writer *w, char kind, const void *p, size_t len,
                                const char *path, uint64_t offset)
{
    if (!w->files.len || !str_eq(w->files.v[w->files.len - 1], path))
        strv_push(&w->files, path);
    struct new_blob b = {.id = blob_name(w->namer, kind, p, len),
                         .kind = kind,
                         .len = (uint32_t)len,
                         .file = (uint32_t)w->files.len - 1,
                         .offset = offset,
                         .git = -1};
    want(w, &b);
    return b.id;
}

static json_t *file_row(uint64_t size, struct sha256_ctx *whole, json_t *blobs)
{
    struct sha256 h = sha256_end(whole);
    CLEANUP(str_freep) char *hex = hex_encode(h.b, sizeof(h.b));
    return json_pack("{s:I, s:s, s:o}", "size", (json_int_t)size, "sha256", hex, "blobs", blobs);
}

static void push_id(json_t *list, const struct blob_id *id)
{
    char hex[33];
    blob_id_hex(id, hex);
    json_array_append_new(list, json_string(hex));
}

// Salt and piece are one blob.
#define PIECE_BYTES (BLOB_MAX_BYTES - BLOB_SALT_BYTES)

json_t *writer_add_bytes(struct writer *w, const void *p, size_t len, const struct file_salt *salt)
{
    struct sha256_ctx *whole = sha256_begin();
    json_t *blobs = json_array();
    size_t most = salt ? PIECE_BYTES : BLOB_MAX_BYTES;
    for (size_t at = 0; at < len; at += most) {
        size_t n = len - at < most ? len - at : most;
        const char *piece = (const char *)p + at;
        struct buf salted CLEANUP(buf_clear) = {0};
        if (salt)
            buf_append(&salted, salt->b, sizeof(salt->b));
        if (salt)
            buf_append(&salted, piece, n);
        struct blob_id id =
            salt ? writer_add(w, 'h', salted.p, salted.len) : writer_add(w, 'f', piece, n);
        sha256_add(whole, piece, n);
        push_id(blobs, &id);
    }
    return file_row(len, whole, blobs);
}

// Reads up to so much; -1 on failure.
static ssize_t read_piece(int fd, char *p, size_t most)
{
    size_t n = 0;
    while (n < most) {
        ssize_t got = read(fd, p + n, most - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        n += (size_t)got;
    }
    return (ssize_t)n;
}

// The pieces of an open file, the last of w->files. False: errno says why.
static bool add_pieces(struct writer *w, int fd, int git, const struct file_salt *salt,
                       json_t **out)
{
    struct sha256_ctx *whole = sha256_begin();
    json_t *blobs = json_array();
    uint64_t offset = 0;
    size_t front = salt ? sizeof(salt->b) : 0;
    ssize_t n;
    if (salt)
        memcpy(w->piece, salt->b, front);
    while ((n = read_piece(fd, w->piece + front, BLOB_MAX_BYTES - front)) > 0) {
        char kind = git >= 0 ? 'g' : salt ? 'h' : 'f';
        size_t len = front + (size_t)n;
        struct new_blob b = {.id = blob_name(w->namer, kind, w->piece, len),
                             .kind = kind,
                             .len = (uint32_t)len,
                             .file = (uint32_t)w->files.len - 1,
                             .offset = offset,
                             .git = git,
                             .is_salted = salt != NULL,
                             .salt = (uint32_t)(w->salts.len - 1)};
        want(w, &b);
        sha256_add(whole, w->piece + front, (size_t)n);
        push_id(blobs, &b.id);
        offset += (uint64_t)n;
    }
    *out = file_row(offset, whole, blobs);
    return n == 0;
}

bool writer_add_file(struct writer *w, const char *path, int git, const struct file_salt *salt,
                     json_t **out, struct err *err)
{
    int fd CLEANUP(fd_closep) = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        int errnum = errno;
        return err_set_errno(err, errnum, "open %s", path);
    }
    if (!w->piece)
        w->piece = mem_alloc(BLOB_MAX_BYTES); // once: clearing it costs more than a small file
    strv_push(&w->files, path);
    if (salt)
        *vec_push(&w->salts) = *salt;
    if (add_pieces(w, fd, git, salt, out))
        return true;
    int errnum = errno;
    json_decref(*out);
    *out = NULL;
    return err_set_errno(err, errnum, "read %s", path);
}

void writer_note_list(struct writer *w, const char *name, const struct blob_id *list,
                      uint32_t count)
{
    *vec_push(&w->notes) = (struct note){
        .name = blob_name(w->namer, 'n', name, strlen(name)), .list = *list, .count = count};
}

void writer_note_tip(struct writer *w, const char *hex)
{
    *vec_push(&w->new_tips) = blob_name(w->namer, 't', hex, strlen(hex));
}
