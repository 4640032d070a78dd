// SPDX-License-Identifier: Apache-2.0
//
// Secrets to blobs: one that holds a private key by itself, since nothing in it can be guessed; all
// others in one, so that a guess must hit them all at once (docs/repository-format.md section 4).
#include <stdlib.h>
#include <string.h>

#include "snapshot/capture_int.h"

void capture_secret(struct capture *c, const char *from, const json_t *object)
{
    struct object_id id = {0};
    char *version = NULL;
    struct err err = {0};
    struct buf b = {0};
    CLEANUP(json_freep)
    json_t *line = json_pack("{s:s, s:O}", "from", from, "object", (json_t *)object);
    if (!object_id_of(object, &id, &version, &err)) {
        err_clear(&err);
        return;
    }
    CLEANUP(str_freep) char *key = object_key(&id);
    json_object_set_new(c->secret_ids, key, json_true());
    canon_write(line, &b);
    buf_char(&b, '\n');
    *vec_push(&c->secrets) = (struct secret_line){
        .text = mem_dup(b.p, b.len), .len = b.len, .kind = secret_blob_kind(object)};
    buf_wipe(&b);
    object_id_clear(&id);
    free(version);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(((const struct secret_line *)a)->text, ((const struct secret_line *)b)->text);
}

static void add_blob(struct capture *c, char kind, const char *p, size_t len, json_t *blobs)
{
    struct blob_id id = writer_add(c->w, kind, p, len);
    json_array_append_new(blobs, capture_id(&id));
}

static bool add_all(struct capture *c, json_t *blobs, struct err *err)
{
    struct buf pool = {0};
    bool ok = true;
    for (size_t i = 0; ok && i < c->secrets.len; i++) {
        const struct secret_line *s = &c->secrets.v[i];
        if (s->len > BLOB_MAX_BYTES) {
            ok = err_set(err, ERR_INVALID, "a Secret is larger than %u MiB", BLOB_MAX_BYTES >> 20);
        } else if (s->kind == 'k') {
            add_blob(c, 'k', s->text, s->len, blobs);
        } else {
            if (pool.len + s->len > BLOB_MAX_BYTES) {
                add_blob(c, 's', pool.p, pool.len, blobs);
                buf_wipe(&pool);
            }
            buf_append(&pool, s->text, s->len);
        }
    }
    if (ok && pool.len)
        add_blob(c, 's', pool.p, pool.len, blobs);
    buf_wipe(&pool);
    return ok;
}

bool capture_pool(struct capture *c, struct err *err)
{
    const struct entry *before = writer_previous(c->w);
    uint64_t known = before ? before->snapshot.counts.secrets : 0;
    struct blob_id id;
    json_t *blobs = json_array();
    json_t *lists = json_array();
    CLEANUP(json_freep)
    json_t *v = json_pack("{s:s, s:o}", "type", "regrow secrets v1", "blobs", blobs);
    json_object_set_new(c->root, "secrets", lists);
    if (c->secrets.len)
        qsort(c->secrets.v, c->secrets.len, sizeof(*c->secrets.v), by_text);
    c->e->counts.secrets = json_object_size(c->secret_ids) + c->clusters_secrets;
    if (c->o->without_secrets)
        return true;
    if (!add_all(c, blobs, err) || !capture_add(c, 'l', v, &id, err))
        return false;
    json_array_append_new(lists, capture_ref(&id));
    if (!c->secrets_unknown) {
        capture_note(c, "all secrets", &id, (uint32_t)c->e->counts.secrets);
        return true;
    }
    // Some could not be read: those of the newest snapshot that had them all stand behind.
    json_t *old = capture_kept(c, "all secrets", NULL);
    if (old)
        json_array_append_new(lists, old);
    if (old && !c->scope && known > c->e->counts.secrets)
        c->e->counts.secrets = known;
    return true;
}
