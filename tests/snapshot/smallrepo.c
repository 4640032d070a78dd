// SPDX-License-Identifier: Apache-2.0
#include "tests/snapshot/smallrepo.h"

#include <assert.h>

#include "tests/snapshot/vectors.h"
#include "tests/test.h"

// One batch while it is made: a pack a class, and the records in their order.
struct batch {
    struct repo *r;
    const struct chain_keys *keys;
    struct blob_namer *namer;
    struct pack_builder *builders[4]; // by classes
    VEC(struct index_record) records[4];
    struct index objects, git;
};

static const char classes[] = "ofsg";
static const char epoch_chain[] = PROD;

static void batch_init(struct batch *b, struct repo *r, const struct chain_keys *keys)
{
    *b = (struct batch){.r = r, .keys = keys, .namer = blob_namer_new(keys->id_key)};
    bool may = trust_has_flag(trust_now(&r->trust), TRUST_ZSTD_ROWS);
    for (size_t i = 0; i < 4; i++) {
        b->builders[i] = pack_builder_new(classes[i]);
        pack_zstd_rows(b->builders[i], may);
    }
    b->objects.version = b->git.version = trust_index_version(trust_now(&r->trust));
    memcpy(b->objects.repo, r->marker.repo, sizeof(b->objects.repo));
    memcpy(b->git.repo, r->marker.repo, sizeof(b->git.repo));
    b->objects.chain = str_dup(epoch_chain);
    b->git.chain = str_dup(epoch_chain);
    b->git.is_git = true;
}

static void batch_clear(struct batch *b)
{
    for (size_t i = 0; i < 4; i++) {
        pack_builder_free(b->builders[i]);
        vec_clear(&b->records[i]);
    }
    blob_namer_free(b->namer);
    index_clear(&b->objects);
    index_clear(&b->git);
}

static size_t position(char kind)
{
    return (size_t)(strchr(classes, blob_class(kind)) - classes);
}

static void record(struct batch *b, size_t class, char kind, struct blob_id id, uint32_t len,
                   uint16_t pack)
{
    *vec_push(&b->records[class]) =
        (struct index_record){.id = id, .len = len, .pack = pack, .kind = kind};
}

// Adds a blob; its id as text, owned.
static char *add(struct batch *b, char kind, const void *p, size_t len)
{
    size_t i = position(kind);
    struct blob_id id = blob_name(b->namer, kind, p, len);
    char hex[33];
    pack_add(b->builders[i], kind, p, len);
    record(b, i, kind, id, (uint32_t)len, 0);
    blob_id_hex(&id, hex);
    return str_dup(hex);
}

static char *add_json(struct batch *b, char kind, json_t *v_take)
{
    char *text = json_dumps(v_take, JSON_SORT_KEYS | JSON_COMPACT);
    CLEANUP(str_freep) char *line = str_printf("%s\n", text);
    assert_non_null(text);
    free(text);
    json_decref(v_take);
    return add(b, kind, line, strlen(line));
}

static json_t *ref(char *id_take)
{
    json_t *o = json_pack("{s:s}", "blob", id_take);
    free(id_take);
    return o;
}

// A list that is found again by a name.
static json_t *named_list(struct batch *b, const char *name, uint32_t objects, json_t *list_take)
{
    record(b, position('l'), 'n', blob_name(b->namer, 'n', name, strlen(name)), objects,
           INDEX_NO_PACK);
    return ref(add_json(b, 'l', list_take));
}

static json_t *list(struct batch *b, json_t *list_take)
{
    return ref(add_json(b, 'l', list_take));
}

// ---- content ----

static json_t *object(const char *kind, const char *name, const char *data)
{
    return json_pack("{s:s, s:s, s:{s:s, s:s}, s:{s:s, s:s}}", "apiVersion", "v1", "kind", kind,
                     "metadata", "name", name, "namespace", "web", "data", "greeting", data, "blob",
                     "00000000000000000000000000000000"); // theirs, and no reference
}

static json_t *row(struct batch *b, const char *kind, const char *name, const char *data, int line)
{
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:{s:i, s:s, s:i}}", "version", "v1", "kind", kind,
                          "namespace", "web", "name", name, "origin", "source", 0, "file", "a.yaml",
                          "line", line);
    if (str_eq(kind, "Secret")) {
        json_object_set_new(o, "secret", json_true());
        return o;
    }
    json_t *blob = ref(add_json(b, 'o', object(kind, name, data)));
    json_object_update(o, blob);
    json_decref(blob);
    return o;
}

// Where the flags say so its rows stand in two pages, the last of its own; else in the list.
static json_t *pages_of(struct batch *b, json_t *rows)
{
    json_t *first = json_deep_copy(rows);
    json_t *last = json_pack("[O]", json_array_get(rows, 2));
    json_array_remove(first, 2);
    json_array_clear(rows);
    CLEANUP(str_freep)
    char *x = add_json(b, 'l', json_pack("{s:s, s:o}", "type", "regrow rows v1", "objects", first));
    CLEANUP(str_freep)
    char *y = add_json(b, 'l', json_pack("{s:s, s:o}", "type", "regrow rows v1", "objects", last));
    return json_pack("{s:[s, s]}", "blobs", x, y);
}

static json_t *web(struct batch *b, const char *greeting)
{
    json_t *rows = json_array();
    json_array_append_new(rows, row(b, "ConfigMap", "a", greeting, 1));
    json_array_append_new(rows, row(b, "ConfigMap", "b", "the same", 9));
    json_array_append_new(rows, row(b, "Secret", "login", NULL, 17));
    bool in_pages = trust_has_flag(trust_now(&b->r->trust), TRUST_PAGES);
    json_t *pages = in_pages ? pages_of(b, rows) : NULL;
    json_t *graph =
        list(b, json_pack("{s:s, s:[[i, i, s, s, s], [i, s, s, s, s]]}", "type", "regrow graph v1",
                          "edges", 0, 2, "applied", "reference", "soft", 1,
                          "object /Namespace//web", "applied", "namespace", "hard"));
    json_t *document = ref(add_json(b, 'o', object("Application", "web", "blob")));
    return named_list(
        b, "web", 3,
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:[{s:s, s:s, s:s, s:s}], s:o, s:o, s:o, s:o*}",
                  "type", "regrow application v1", "name", "web", "namespace", "argocd", "project",
                  "default", "parent", "root", "sources", "kind", "git", "url",
                  "https://git.example.com/platform", "path", "clusters", "target", "main",
                  "document", document, "objects", rows, "graph", graph, "pages", pages));
}

static json_t *shards(struct batch *b, const char *greeting)
{
    json_t *w = web(b, greeting);
    json_object_set_new(w, "name", json_string("web"));
    json_t *root = named_list(b, "root", 0,
                              json_pack("{s:s, s:s, s:[], s:[]}", "type", "regrow application v1",
                                        "name", "root", "sources", "objects"));
    json_object_set_new(root, "name", json_string("root"));
    json_t *shard =
        list(b, json_pack("{s:s, s:[o, o]}", "type", "regrow shard v1", "applications", root, w));
    json_t *o = json_pack("{s:[O]}", "blobs", json_object_get(shard, "blob"));
    json_decref(shard);
    return o;
}

// Where the flags say so behind a salt; any will do.
static char *add_piece(struct batch *b, const char *content)
{
    uint8_t salt[BLOB_SALT_BYTES];
    struct buf salted CLEANUP(buf_clear) = {0};
    if (!trust_has_flag(trust_now(&b->r->trust), TRUST_SALTED_FILES))
        return add(b, 'f', content, strlen(content));
    blob_salt(b->namer, content, strlen(content), salt);
    buf_append(&salted, salt, sizeof(salt));
    buf_str(&salted, content);
    return add(b, 'h', salted.p, salted.len);
}

static json_t *file_of(struct batch *b, const char *path, const char *content)
{
    struct sha256 h = sha256_of(content, strlen(content));
    CLEANUP(str_freep) char *hex = hex_encode(h.b, sizeof(h.b));
    CLEANUP(str_freep) char *id = add_piece(b, content);
    return json_pack("{s:s, s:i, s:s, s:[s]}", "path", path, "size", (int)strlen(content), "sha256",
                     hex, "blobs", id);
}

static json_t *sources(struct batch *b, const char *commit)
{
    json_t *git = named_list(b, "source git https://git.example.com/platform  main", 0,
                             json_pack("{s:s, s:s, s:s, s:s, s:s}", "type", "regrow source v1",
                                       "kind", "git", "url", "https://git.example.com/platform",
                                       "target", "main", "revision", commit));
    json_t *helm = named_list(
        b, "source helm https://charts.example.com podinfo 6.x", 0,
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:[o]}", "type", "regrow source v1", "kind",
                  "helm", "url", "https://charts.example.com", "chart", "podinfo", "target", "6.x",
                  "revision", "6.9.0", "files", file_of(b, "podinfo-6.9.0.tgz", "chart bytes")));
    json_object_set_new(git, "kind", json_string("git"));
    json_object_set_new(git, "url", json_string("https://git.example.com/platform"));
    json_object_set_new(git, "target", json_string("main"));
    json_object_set_new(helm, "kind", json_string("helm"));
    json_object_set_new(helm, "url", json_string("https://charts.example.com"));
    json_object_set_new(helm, "chart", json_string("podinfo"));
    json_object_set_new(helm, "target", json_string("6.x"));
    return list(b, json_pack("{s:s, s:[o, o]}", "type", "regrow sources v1", "sources", git, helm));
}

static json_t *repositories(struct batch *b, const char *commit)
{
    json_t *one =
        named_list(b, "repository https://git.example.com/platform", 0,
                   json_pack("{s:s, s:s, s:s, s:s, s:[{s:s, s:s}]}", "type", "regrow repository v1",
                             "url", "https://git.example.com/platform", "format", "sha1", "head",
                             "refs/heads/main", "refs", "name", "refs/heads/main", "id", commit));
    json_object_set_new(one, "url", json_string("https://git.example.com/platform"));
    return list(b,
                json_pack("{s:s, s:[o]}", "type", "regrow repositories v1", "repositories", one));
}

static json_t *secrets(struct batch *b)
{
    const char pool[] = "{\"from\":\"desired\",\"object\":{\"apiVersion\":\"v1\",\"kind\":"
                        "\"Secret\",\"metadata\":{\"name\":\"login\",\"namespace\":\"web\"},"
                        "\"stringData\":{\"password\":\"" SMALL_SECRET "\"}}}\n"
                        "{\"from\":\"live\",\"object\":{\"apiVersion\":\"v1\",\"kind\":\"Secret\","
                        "\"metadata\":{\"name\":\"repo\",\"namespace\":\"argocd\"}}}\n";
    const char tls[] = "{\"from\":\"live\",\"object\":{\"apiVersion\":\"v1\",\"kind\":\"Secret\","
                       "\"metadata\":{\"name\":\"tls\",\"namespace\":\"web\"}}}\n";
    CLEANUP(str_freep) char *k = add(b, 'k', tls, strlen(tls));
    CLEANUP(str_freep) char *s = add(b, 's', pool, strlen(pool));
    return named_list(b, "all secrets", 0,
                      json_pack("{s:s, s:[s, s]}", "type", "regrow secrets v1", "blobs", k, s));
}

static json_t *live(struct batch *b)
{
    return named_list(b, "live objects", 0,
                      json_pack("{s:s, s:[{s:s, s:s, s:s, s:s, s:b, s:s}]}", "type",
                                "regrow live v1", "objects", "version", "v1", "kind", "Secret",
                                "namespace", "web", "name", "tls", "secret", 1, "rule",
                                "TLS certificates"));
}

static struct blob_id root(struct batch *b, const char *greeting, const char *commit)
{
    struct blob_id id;
    json_t *o = json_pack("{s:s, s:s}", "type", "regrow root v1", "name", "root");
    json_object_set_new(o, "shards", shards(b, greeting));
    json_object_set_new(o, "sources", sources(b, commit));
    json_object_set_new(o, "git", repositories(b, commit));
    json_object_set_new(o, "secrets", json_pack("[o]", secrets(b)));
    json_object_set_new(o, "live", live(b));
    json_object_set_new(o, "images",
                        list(b, json_pack("{s:s, s:[]}", "type", "regrow images v1", "images")));
    json_object_set_new(o, "healthy",
                        list(b, json_pack("{s:s, s:[{s:s, s:s}]}", "type", "regrow healthy v1",
                                          "applications", "name", "web", "revision", commit)));
    json_object_set_new(o, "versions",
                        list(b, json_pack("{s:s, s:s, s:s, s:[]}", "type", "regrow versions v1",
                                          "tool", "by hand", "kubernetes", "v1.37.2", "apis")));
    CLEANUP(str_freep) char *hex = add_json(b, 'r', o);
    assert_true(blob_id_parse(hex, &id));
    return id;
}

// ---- files ----

static void put(struct store *st, const char *folder, const struct buf *b, struct sha256 *name)
{
    struct err err = {0};
    bool made;
    *name = sha256_of(b->p, b->len);
    CLEANUP(str_freep) char *hex = hex_encode(name->b, sizeof(name->b));
    CLEANUP(str_freep) char *file = chain_file(PROD, folder, hex);
    if (!store_create(st, file, b->p, b->len, NULL, &made, &err))
        fail_msg("%s", err.msg);
    assert_true(made);
}

static struct sha256 seal(struct batch *b, size_t class, size_t *stored)
{
    struct buf out CLEANUP(buf_clear) = {0};
    struct sha256 name;
    struct err err = {0};
    struct age_identity id = kit_identity(1);
    if (!pack_seal(b->builders[class], id.public, &out, &name, &err))
        fail_msg("%s", err.msg);
    put(b->r->store, "packs", &out, &name);
    *stored = out.len;
    return name;
}

static struct sha256 finish_set(struct batch *b, struct index *x, const char *in)
{
    struct buf out CLEANUP(buf_clear) = {0};
    struct sha256 name;
    struct err err = {0};
    for (const char *c = in; *c; c++) {
        size_t class = (size_t)(strchr(classes, *c) - classes);
        if (!pack_content_bytes(b->builders[class]))
            continue;
        struct index_pack *p = vec_push(&x->packs);
        p->class = *c;
        p->git = *c == 'g' ? 0 : -1;
        p->id = seal(b, class, &p->size);
        for (size_t i = 0; i < b->records[class].len; i++) {
            struct index_record *r = vec_push(&x->records);
            *r = b->records[class].v[i];
            if (r->pack != INDEX_NO_PACK)
                r->pack = (uint16_t)(x->packs.len - 1);
        }
    }
    if (!index_write(x, b->keys, &out, &name, &err))
        fail_msg("%s", err.msg);
    put(b->r->store, "index", &out, &name);
    return name;
}

static struct entry snapshot(struct repo *r, const struct chain_keys *keys, const char *greeting,
                             const char *commit, const char *git_pack, const struct entry *over)
{
    struct entry e = kit_snapshot(true);
    struct buf pack CLEANUP(buf_clear) = {0};
    struct batch b;
    batch_init(&b, r, keys);
    if (over) {
        *vec_push(&b.objects.over) = over->snapshot.objects;
        *vec_push(&b.git.over) = over->snapshot.git;
    }
    e.snapshot.root = root(&b, greeting, commit);
    vector_read(git_pack, &pack);
    CLEANUP(str_freep) char *id = add(&b, 'g', pack.p, pack.len);
    record(&b, position('g'), 't', blob_name(b.namer, 't', commit, strlen(commit)), 0,
           INDEX_NO_PACK);
    e.snapshot.objects = finish_set(&b, &b.objects, "ofs");
    e.snapshot.git = finish_set(&b, &b.git, "g");
    e.snapshot.has_git = true;
    e.time_unix_s = 1767225600;
    e.tool = str_dup("by hand");
    batch_clear(&b);
    return e;
}

static const struct entry *commit_entry(struct repo *r, struct log *l, struct entry *e_take)
{
    if (!e_take->tool)
        e_take->tool = str_dup("by hand");
    e_take->time_unix_s = 1767225600 + (int64_t)l->head;
    memstore_advance(r->store, 3600000);
    return log_kit_append(r, l, e_take);
}

static struct sha256 report(struct repo *r)
{
    struct batch b;
    struct chain_keys none = {0};
    size_t stored;
    batch_init(&b, r, &none);
    CLEANUP(str_freep) char *id = add(&b, 'f', "all came back\n", 14);
    struct sha256 name = seal(&b, position('f'), &stored);
    batch_clear(&b);
    return name;
}

static struct store *fill(struct store *st)
{
    struct repo r;
    struct log l = {.checkpoint = -1};
    struct chain_keys keys;
    struct age_identity identity = kit_identity(1);
    log_kit_open(st, &r);
    chain_keys_derive(&identity, r.marker.repo, PROD, &keys);
    log_kit_read(&r, &l);
    struct entry e = snapshot(&r, &keys, "hello", "2b00218fdc9ea0c01bd181a23aea698b0f37d679",
                              "format/git-1.pack", NULL);
    commit_entry(&r, &l, &e);
    e = snapshot(&r, &keys, "good morning", "8e5e43065c6a16fd00958c4de3f4f6fad8085c6c",
                 "format/git-2.pack", &l.v.v[0]);
    commit_entry(&r, &l, &e);
    e = kit_verdict(&l.v.v[1], VERDICT_DRILLED);
    e.verdict.report = report(&r);
    e.verdict.has_report = true;
    commit_entry(&r, &l, &e);
    e = kit_checkpoint();
    kit_keep(&e, &l.v.v[1]);
    kit_keep(&e, &l.v.v[2]);
    kit_wait(&e, &l.v.v[0], 4);
    commit_entry(&r, &l, &e);
    log_clear(&l);
    r.store = NULL; // ours to give
    repo_close(&r);
    return st;
}

struct store *small_repo(bool atomic_create)
{
    return fill(log_kit_store(atomic_create));
}

struct store *small_repo_flags(const char *const *flags, size_t n)
{
    struct store *st = log_kit_store(true);
    log_kit_allow(st, flags, n);
    return fill(st);
}

// ---- reading ----

struct found {
    struct blob_id id;
    char kind;
    const char *p;
    size_t len;
};
struct walk {
    struct repo *r;
    const struct age_identities *identities;
    struct blob_namer *namer;
    bool fast;
    VEC(struct pack) packs;
    VEC(struct found) blobs;
    struct sha256_ctx *sum;
};

static bool take_pack(struct walk *w, const struct index *x, uint16_t n, struct err *err)
{
    struct buf b CLEANUP(buf_clear) = {0};
    struct age_keys keys = {.identities = w->identities};
    const struct index_pack *ip = &x->packs.v[n];
    CLEANUP(str_freep) char *hex = hex_encode(ip->id.b, sizeof(ip->id.b));
    CLEANUP(str_freep) char *name = chain_file(PROD, "packs", hex);
    struct pack *p = vec_push(&w->packs);
    if (!repo_fetch(w->r, name, PACK_MAX_BYTES, &b, err) || !pack_open(&keys, b.p, b.len, p, err))
        return false;
    if (b.len != ip->size)
        return err_set(err, ERR_CORRUPT, "%s has another size", name);
    size_t at = 0;
    size_t k = 0;
    for (size_t i = 0; i < x->records.len; i++) {
        const struct index_record *rec = &x->records.v[i];
        if (rec->pack != n)
            continue;
        struct blob_id id;
        if (k >= p->entries.len || p->entries.v[k].kind != rec->kind ||
            p->entries.v[k].len != rec->len)
            return err_set(err, ERR_CORRUPT, "%s is not what its index says", name);
        id = rec->kind == 's' && w->fast
                 ? rec->id
                 : blob_name(w->namer, rec->kind, p->content.p + at, rec->len);
        if (!blob_id_eq(&id, &rec->id))
            return err_set(err, ERR_CORRUPT, "%s holds another blob", name);
        *vec_push(&w->blobs) =
            (struct found){.id = id, .kind = rec->kind, .p = p->content.p + at, .len = rec->len};
        sha256_add(w->sum, p->content.p + at, rec->len);
        at += rec->len;
        k++;
    }
    return k == p->entries.len || err_set(err, ERR_CORRUPT, "%s holds more", name);
}

static const struct found *find(const struct walk *w, const char *hex)
{
    struct blob_id id;
    if (!blob_id_parse(hex, &id))
        return NULL;
    for (size_t i = 0; i < w->blobs.len; i++)
        if (blob_id_eq(&w->blobs.v[i].id, &id))
            return &w->blobs.v[i];
    return NULL;
}

static bool follow(struct walk *w, const json_t *v, struct err *err);

static bool follow_id(struct walk *w, const char *hex, struct err *err)
{
    const struct found *f = find(w, hex);
    if (!f)
        return err_set(err, ERR_CORRUPT, "blob %s is missing", hex);
    if (f->kind != 'l' && f->kind != 'r')
        return true; // what users wrote is never looked into
    json_auto_t *o = json_loadb(f->p, f->len, JSON_REJECT_DUPLICATES, NULL);
    if (!o || !json_dot_str(o, "type"))
        return err_set(err, ERR_CORRUPT, "blob %s is no list", hex);
    return follow(w, o, err);
}

// A walker needs no schema: `blob` and `blobs` are references wherever they stand.
static bool follow(struct walk *w, const json_t *v, struct err *err)
{
    const char *key;
    json_t *member;
    size_t i;
    if (json_is_array(v))
        json_array_foreach(v, i, member)
        {
            if (!follow(w, member, err))
                return false;
        }
    json_object_foreach((json_t *)v, key, member)
    {
        if (str_eq(key, "blob") && json_is_string(member)) {
            if (!follow_id(w, json_string_value(member), err))
                return false;
        } else if (str_eq(key, "blobs") && json_is_array(member)) {
            json_t *id;
            json_array_foreach(member, i, id)
            {
                if (!follow_id(w, json_string_value(id), err))
                    return false;
            }
        } else if (!follow(w, member, err)) {
            return false;
        }
    }
    return true;
}

static bool read_snapshot(struct walk *w, const struct chain_keys *keys, const struct log *l,
                          const struct entry *e, struct err *err)
{
    struct batches b CLEANUP(batches_clear) = {0};
    struct strv needs = {0};
    bool ok = batches_read(w->r, PROD, e, keys, &b, err) && snapshot_needs(w->r, l, e, &needs, err);
    strv_clear(&needs);
    for (size_t i = 0; ok && i < b.v.len; i++)
        for (uint16_t n = 0; ok && n < b.v.v[i].packs.len; n++)
            ok = take_pack(w, &b.v.v[i], n, err);
    char hex[33];
    blob_id_hex(&e->snapshot.root, hex);
    return ok && follow_id(w, hex, err);
}

// As verify does: its name is a hash, and what it holds is for people.
static bool read_report(struct walk *w, const struct entry *e, struct err *err)
{
    struct buf b CLEANUP(buf_clear) = {0};
    CLEANUP(str_freep) char *hex = hex_encode(e->verdict.report.b, sizeof(e->verdict.report.b));
    CLEANUP(str_freep) char *name = chain_file(PROD, "packs", hex);
    return repo_fetch(w->r, name, PACK_MAX_BYTES, &b, err);
}

static bool read_all(struct walk *w, const struct age_identity *identity, struct err *err)
{
    struct log l CLEANUP(log_clear) = {.checkpoint = -1};
    struct log_opts o = {0};
    struct chain_keys keys;
    chain_keys_derive(identity, w->r->marker.repo, PROD, &keys);
    w->namer = blob_namer_new(keys.id_key);
    if (!log_read(w->r, PROD, &o, &l, err))
        return false;
    for (size_t i = 0; i < l.v.len; i++) {
        const struct entry *e = &l.v.v[i];
        sha256_add(w->sum, e->hash.b, sizeof(e->hash.b));
        if (e->kind == ENTRY_SNAPSHOT && log_standing(&l, e) != STANDING_DEAD &&
            !read_snapshot(w, &keys, &l, e, err))
            return false;
        if (e->kind == ENTRY_VERDICT && e->verdict.has_report && !read_report(w, e, err))
            return false;
    }
    return true;
}

bool small_repo_read(struct store *st_take, const struct sha256 *pin,
                     const struct age_identity *identity, bool fast, struct sha256 *sum,
                     struct err *err)
{
    struct repo r = {0};
    struct age_identities ids = {0};
    struct walk w = {.r = &r, .identities = &ids, .fast = fast, .sum = sha256_begin()};
    *vec_push(&ids.v) = *identity;
    bool ok = repo_open_store_take(st_take, pin, &r, err) && read_all(&w, identity, err);
    *sum = sha256_end(w.sum);
    for (size_t i = 0; i < w.packs.len; i++)
        pack_clear(&w.packs.v[i]);
    vec_clear(&w.packs);
    vec_clear(&w.blobs);
    blob_namer_free(w.namer);
    age_identities_clear(&ids);
    repo_close(&r);
    return ok;
}
