// SPDX-License-Identifier: Apache-2.0
#include "tests/snapshot/snapkit.h"

#include "base/file.h"
#include "tests/test.h"

struct credential snap_kit_job(const char *seed)
{
    struct credential c = {.kind = CREDENTIAL_JOB, .signer = kit_signer(seed), .epoch = 1};
    struct age_identity id = kit_identity(1);
    struct chain_keys keys;
    kit_repo(c.repo);
    c.chain = str_dup(PROD);
    memcpy(c.recipient, id.public, KEY_BYTES);
    chain_keys_derive(&id, c.repo, PROD, &keys);
    memcpy(c.k, keys.k, KEY_BYTES);
    return c;
}

static char *object_text(unsigned app, unsigned object, unsigned version)
{
    return str_printf("{\"apiVersion\":\"v1\",\"data\":{\"v\":\"%u\"},\"kind\":\"ConfigMap\","
                      "\"metadata\":{\"name\":\"app-%u-object-%u\"}}\n",
                      app == 0 ? version : 0, app, object);
}

static struct blob_id add_json(struct writer *w, char kind, json_t *v_take)
{
    char *text = json_dumps(v_take, JSON_SORT_KEYS | JSON_COMPACT);
    CLEANUP(str_freep) char *line = str_printf("%s\n", text);
    struct blob_id id = writer_add(w, kind, line, strlen(line));
    free(text);
    json_decref(v_take);
    return id;
}

static json_t *hex_of(const struct blob_id *id)
{
    char hex[33];
    blob_id_hex(id, hex);
    return json_string(hex);
}

static struct blob_id add_app(struct writer *w, const struct snap_state *s, unsigned app)
{
    json_t *rows = json_array();
    for (unsigned i = 0; i < s->objects; i++) {
        CLEANUP(str_freep) char *text = object_text(app, i, s->version);
        struct blob_id id = writer_add(w, 'o', text, strlen(text));
        json_array_append_new(rows, json_pack("{s:o}", "blob", hex_of(&id)));
    }
    CLEANUP(str_freep) char *name = str_printf("app-%u", app);
    struct blob_id list = add_json(w, 'l', json_pack("{s:s, s:o}", "name", name, "objects", rows));
    writer_note_list(w, name, &list, s->objects);
    return list;
}

static bool fill(struct writer *w, const struct snap_state *s, struct snapshot_entry *e,
                 struct err *err)
{
    json_t *apps = json_array();
    for (unsigned i = 0; i < s->apps; i++) {
        struct blob_id list = add_app(w, s, i);
        json_array_append_new(apps, hex_of(&list));
    }
    json_t *root = json_pack("{s:s, s:o}", "type", "regrow root v1", "blobs", apps);
    if (s->has_secret) {
        struct blob_id secret = writer_add(w, 's', "{\"kind\":\"Secret\"}\n", 18);
        json_object_set_new(root, "secrets", json_pack("[o]", hex_of(&secret)));
    }
    if (s->file) {
        json_t *file = NULL;
        if (!writer_add_file(w, s->file, 0, NULL, &file, err)) {
            json_decref(root);
            return false;
        }
        json_object_set_new(root, "file", file);
        writer_note_tip(w, "1111111111111111111111111111111111111111");
    }
    e->root = add_json(w, 'r', root);
    e->is_good = !s->unknown;
    if (s->unknown)
        strv_push(&e->why, "unknown-source");
    e->cluster = str_dup_or_null(s->cluster);
    e->counts.apps = s->apps;
    e->counts.objects = s->apps * s->objects;
    e->counts.sources = 1;
    e->counts.unknown = s->unknown;
    e->counts.secrets = s->has_secret;
    return true;
}

bool snap_kit_write(struct repo *r, const struct credential *job, const struct snap_state *s,
                    const struct writer_opts *more, struct entry *out, struct err *err)
{
    CLEANUP(writer_freep) struct writer *w = NULL;
    struct writer_opts o = {0};
    struct entry e = {.kind = ENTRY_SNAPSHOT}; // so that what is left of it is freed
    if (more)
        o = *more;
    o.job = job;
    o.cluster = s->cluster;
    bool ok = writer_begin(r, &o, &w, err) && fill(w, s, &e.snapshot, err) &&
              writer_commit(w, &e.snapshot, out, err);
    entry_clear(&e);
    return ok;
}

static char *wrong(struct err *err, const char *what)
{
    char *text = str_printf("%s: %s", what, err_is_set(err) ? err->msg : "other content");
    err_clear(err);
    return text;
}

static char *app_problem(struct reader *r, const char *hex, const struct snap_state *s,
                         unsigned app)
{
    struct blob_id id;
    struct err err = {0};
    CLEANUP(json_freep) json_t *list = NULL;
    if (!blob_id_parse(hex, &id) || !reader_json(r, &id, 'l', &list, &err))
        return wrong(&err, "list");
    const json_t *rows = json_object_get(list, "objects");
    if (json_array_size(rows) != s->objects)
        return str_dup("another number of objects");
    for (unsigned i = 0; i < s->objects; i++) {
        struct buf b CLEANUP(buf_clear) = {0};
        CLEANUP(str_freep) char *want = object_text(app, i, s->version);
        const char *row = json_dot_str(json_array_get(rows, i), "blob");
        if (!row || !blob_id_parse(row, &id) || !reader_blob(r, &id, NULL, &b, &err) ||
            b.len != strlen(want) || memcmp(b.p, want, b.len) != 0)
            return wrong(&err, "object");
    }
    return NULL;
}

static bool append(void *ctx, const void *p, size_t len, struct err *err)
{
    (void)err;
    buf_append(ctx, p, len);
    return true;
}

static char *file_problem(struct reader *r, const json_t *file, const char *path)
{
    struct buf got CLEANUP(buf_clear) = {0};
    struct buf want CLEANUP(buf_clear) = {0};
    struct err err = {0};
    if (!file_read(path, 100 << 20, &want, &err) || !reader_file(r, file, append, &got, &err) ||
        got.len != want.len || memcmp(got.p, want.p, got.len) != 0)
        return wrong(&err, "file");
    return NULL;
}

char *snap_kit_problem(struct repo *r, const struct entry *e, const struct snap_state *s)
{
    struct age_identity id = kit_identity(1);
    struct err err = {0};
    CLEANUP(reader_freep) struct reader *rd = NULL;
    CLEANUP(json_freep) json_t *root = NULL;
    if (!reader_open(r, PROD, e, &id, &rd, &err) || !reader_root(rd, &root, &err))
        return wrong(&err, "root");
    const json_t *apps = json_object_get(root, "blobs");
    if (json_array_size(apps) != s->apps)
        return str_dup("another number of applications");
    for (unsigned i = 0; i < s->apps; i++) {
        char *problem = app_problem(rd, json_string_value(json_array_get(apps, i)), s, i);
        if (problem)
            return problem;
    }
    if (s->file)
        return file_problem(rd, json_object_get(root, "file"), s->file);
    return NULL;
}

void snap_kit_verify(struct repo *r, struct verify_result *v)
{
    struct age_identities ids = {0};
    struct verify_opts o = {.identities = &ids};
    struct log_opts lo = {0};
    struct log l = {0};
    struct err err = {0};
    *v = (struct verify_result){0};
    *vec_push(&ids.v) = kit_identity(1);
    if (!log_read(r, PROD, &lo, &l, &err) || !repo_verify(r, &l, &o, v, &err))
        fail_msg("%s", err.msg);
    if (v->problems.len)
        fail_msg("%s", v->problems.v[0]);
    log_clear(&l);
    age_identities_clear(&ids);
}
