// SPDX-License-Identifier: Apache-2.0
//
// Files are blobs whose digest is their name; what has no hash for a name, and what must not be
// collected, hangs on a manifest with a tag:
//
//   regrow.json                    regrow
//   trust/0001                     trust.0001.<16 hex of the file's hash>
//   keys/<sha256>                  key.<32 hex>
//   chains/<c>/log/<seq>-<16 hex>  <c>.<seq>.<16 hex>, with every file the entry needs as a layer
//   chains/<c>/packs|index/<sha>   a blob, kept by the entries that name it
#include "snapshot/store_oci.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "snapshot/crypto.h"
#include "snapshot/oci_answer.h"
#include "snapshot/oci_net.h"

#define EMPTY_CONFIG "{}"
#define EMPTY_TYPE "application/vnd.oci.empty.v1+json"
#define ARTIFACT_TYPE "application/vnd.regrow.%s.v1"
#define LAYER_TYPE "application/octet-stream"
#define TITLE "org.opencontainers.image.title"
#define TAG_HEX 16
#define TAG_TRIES 20
#define TAG_PAUSE_MS 50

struct oci_store {
    struct store base;
    struct oci net;
};

static char *sha_hex(const void *p, size_t len)
{
    struct sha256 h = sha256_of(p ? p : "", len);
    return hex_encode(h.b, sizeof(h.b));
}

static bool is_hex(const char *s, size_t n)
{
    return strlen(s) == n && strspn(s, "0123456789abcdef") == n;
}

// "chains/<c>/packs/<sha>" and "chains/<c>/index/<sha>": the hash, borrowed; NULL for other names.
static const char *blob_hash(const char *name)
{
    const char *slash = strrchr(name, '/');
    bool is_blob = str_starts(name, "chains/") && slash &&
                   (strstr(name, "/packs/") || strstr(name, "/index/"));
    return is_blob && is_hex(slash + 1, 64) ? slash + 1 : NULL;
}

// "chains/<c>/log/<seq>-<16 hex>" -> "<c>.<seq>.<16 hex>"; owned, NULL for other names.
static char *log_tag(const char *name)
{
    const char *c = name + strlen("chains/");
    const char *log = str_starts(name, "chains/") ? strstr(c, "/log/") : NULL;
    const char *dash = log ? strchr(log + 5, '-') : NULL;
    if (!dash || !is_hex(dash + 1, TAG_HEX))
        return NULL;
    return str_printf("%.*s.%.*s.%s", (int)(log - c), c, (int)(dash - log - 5), log + 5, dash + 1);
}

// The tag of a file, or what its tag begins with (*is_prefix: the rest is its hash).
static char *tag_of(const char *name, bool *is_prefix)
{
    *is_prefix = false;
    if (!strcmp(name, "regrow.json"))
        return str_dup("regrow");
    if (str_starts(name, "keys/") && is_hex(name + 5, 64))
        return str_printf("key.%.32s", name + 5);
    if (str_starts(name, "trust/")) {
        *is_prefix = true;
        return str_printf("trust.%s.", name + 6);
    }
    return log_tag(name);
}

// The other way round; owned, NULL for tags of others. keys are found whole in their manifest.
char *store_oci_name(const char *tag)
{
    if (!strcmp(tag, "regrow"))
        return str_dup("regrow.json");
    if (str_starts(tag, "trust.") && strlen(tag) == strlen("trust.0000.") + TAG_HEX)
        return str_printf("trust/%.4s", tag + 6);
    const char *last = strrchr(tag, '.');
    if (!last || last == tag || !is_hex(last + 1, TAG_HEX) || last - tag < 12)
        return NULL;
    const char *seq = last - 10;
    if (seq[-1] != '.' || strspn(seq, "0123456789") != 10)
        return NULL;
    return str_printf("chains/%.*s/log/%.10s-%s", (int)(seq - 1 - tag), tag, seq, last + 1);
}

// ---- manifests ----
static json_t *layer(const char *hex, uint64_t size, const char *name)
{
    CLEANUP(str_freep) char *digest = str_printf("sha256:%s", hex);
    return json_pack("{s:s, s:s, s:I, s:{s:s}}", "mediaType", LAYER_TYPE, "digest", digest, "size",
                     (json_int_t)size, "annotations", TITLE, name);
}

static json_t *read_manifest(struct oci_store *s, const char *ref, char **digest, struct err *err)
{
    struct buf b CLEANUP(buf_clear) = {0};
    bool found = false;
    if (!oci_get_manifest(&s->net, ref, &b, digest, &found, err) || !found)
        return NULL;
    json_t *v = json_loadb(b.p, b.len, 0, NULL);
    if (!v)
        err_set(err, ERR_CORRUPT, "manifest %s is not JSON", ref);
    return v;
}

static const char *layer_hex(const json_t *l)
{
    const char *d = json_string_value(json_object_get(l, "digest"));
    return d && str_starts(d, "sha256:") && is_hex(d + 7, 64) ? d + 7 : NULL;
}

static const char *layer_title(const json_t *l)
{
    return json_string_value(json_object_get(json_object_get(l, "annotations"), TITLE));
}

// The tag that begins so, and whether there is another than *tag, which may be given; owned.
static bool look_for_tag(struct oci_store *s, const char *prefix, char **tag, bool *other,
                         struct err *err)
{
    struct strv tags = {0};
    bool ok = oci_tags(&s->net, &tags, err);
    *other = false;
    for (size_t i = 0; ok && i < tags.len; i++) {
        if (!str_starts(tags.v[i], prefix) || (*tag && !strcmp(tags.v[i], *tag)))
            continue;
        *other = *tag != NULL;
        if (!*tag)
            *tag = str_dup(tags.v[i]);
    }
    strv_clear(&tags);
    return ok;
}

// The tag that stands for a file now; owned. NULL with err unset: there is none. Where two claim
// the name one is about to be taken back (take_back).
static char *find_tag(struct oci_store *s, const char *name, struct err *err)
{
    bool is_prefix;
    CLEANUP(str_freep) char *prefix = tag_of(name, &is_prefix);
    if (!prefix || !is_prefix)
        return TAKE(prefix);
    for (unsigned i = 0;; i++) {
        CLEANUP(str_freep) char *tag = NULL;
        bool other;
        if (!look_for_tag(s, prefix, &tag, &other, err))
            return NULL;
        if (!other)
            return TAKE(tag);
        if (i == TAG_TRIES) {
            err_set(err, ERR_CORRUPT, "two files claim the name %s", name);
            return NULL;
        }
        clock_pause_ms(TAG_PAUSE_MS);
    }
}

// A registry shows a tag a moment before its manifest can be had. NULL with err unset: there is
// none.
static json_t *wait_manifest(struct oci_store *s, const char *tag, struct err *err)
{
    for (unsigned i = 0;; i++) {
        json_t *m = read_manifest(s, tag, NULL, err);
        if (m || err_is_set(err) || i == TAG_TRIES)
            return m;
        struct strv tags = {0};
        bool is_shown = oci_tags(&s->net, &tags, err) && strv_has(&tags, tag);
        strv_clear(&tags);
        if (!is_shown)
            return NULL;
        clock_pause_ms(TAG_PAUSE_MS);
    }
}

static bool get_tagged(struct oci_store *s, const char *name, size_t max_bytes, struct buf *out,
                       bool *found, struct err *err)
{
    *found = false;
    CLEANUP(str_freep) char *tag = find_tag(s, name, err);
    if (!tag)
        return !err_is_set(err);
    json_t *m = wait_manifest(s, tag, err);
    if (!m)
        return !err_is_set(err);
    const char *hex = layer_hex(json_array_get(json_object_get(m, "layers"), 0));
    bool ok = hex ? oci_get_blob(&s->net, hex, max_bytes, out, found, err)
                  : err_set(err, ERR_CORRUPT, "the manifest names no file");
    json_decref(m);
    return ok;
}

static bool oci_get(struct store *base, const char *name, size_t max_bytes, struct buf *out,
                    bool *found, struct err *err)
{
    struct oci_store *s = (struct oci_store *)base;
    const char *hex = blob_hash(name);
    return hex ? oci_get_blob(&s->net, hex, max_bytes, out, found, err)
               : get_tagged(s, name, max_bytes, out, found, err);
}

// ---- create ----
static bool create_blob(struct oci_store *s, const char *hex, const void *p, size_t len, bool *made,
                        struct err *err)
{
    bool found = false;
    if (!oci_has_blob(&s->net, hex, &found, err))
        return false;
    *made = !found;
    return found || oci_put_blob(&s->net, hex, p, len, err);
}

// Sizes of files that are needed: asked of the registry, which refuses a manifest that lies.
static bool add_needed(struct oci_store *s, json_t *layers, const char *name, struct err *err)
{
    const char *hex = blob_hash(name);
    if (!hex)
        return true;
    struct buf b CLEANUP(buf_clear) = {0};
    bool found = false;
    if (!oci_get_blob(&s->net, hex, STORE_MAX_FILE_BYTES, &b, &found, err))
        return false;
    if (!found)
        return err_set(err, ERR_NOT_FOUND, "%s is needed and not there", name);
    json_array_append_new(layers, layer(hex, b.len, name));
    return true;
}

static bool put_tagged(struct oci_store *s, const char *tag, const char *name, const void *p,
                       size_t len, const struct strv *needs, struct err *err)
{
    CLEANUP(str_freep) char *hex = sha_hex(p, len);
    CLEANUP(str_freep) char *config = sha_hex(EMPTY_CONFIG, strlen(EMPTY_CONFIG));
    CLEANUP(str_freep) char *config_digest = str_printf("sha256:%s", config);
    CLEANUP(str_freep)
    char *type = str_printf(ARTIFACT_TYPE, str_starts(name, "chains/") ? "entry" : "file");
    bool made;
    if (!create_blob(s, hex, p, len, &made, err) ||
        !create_blob(s, config, EMPTY_CONFIG, strlen(EMPTY_CONFIG), &made, err))
        return false;
    json_t *layers = json_array();
    json_array_append_new(layers, layer(hex, len, name));
    bool ok = true;
    for (size_t i = 0; ok && needs && i < needs->len; i++)
        ok = add_needed(s, layers, needs->v[i], err);
    json_t *m =
        json_pack("{s:i, s:s, s:s, s:{s:s, s:s, s:i}, s:o}", "schemaVersion", 2, "mediaType",
                  OCI_MANIFEST_TYPE, "artifactType", type, "config", "mediaType", EMPTY_TYPE,
                  "digest", config_digest, "size", (int)strlen(EMPTY_CONFIG), "layers", layers);
    char *text = json_dumps(m, JSON_COMPACT);
    bool missing = false;
    ok = ok && oci_put_manifest(&s->net, tag, text, strlen(text), &missing, err);
    free(text);
    json_decref(m);
    return ok;
}

// A registry makes no name for one alone. Whoever sees another file of the name behind its own
// takes its own back: of two that see no other before they write, the later one does, or both.
static bool take_back(struct oci_store *s, const char *prefix, char *tag, bool *made,
                      struct err *err)
{
    CLEANUP(str_freep) char *digest = NULL;
    uint8_t some;
    bool other;
    if (!look_for_tag(s, prefix, &tag, &other, err))
        return false;
    if (!other)
        return true;
    json_t *m = read_manifest(s, tag, &digest, err);
    bool ok = m && oci_delete_manifest(&s->net, digest, err);
    json_decref(m);
    if (!ok && err_is_set(err))
        return err_wrap(err, "another took the name in the same moment; delete tag %s", tag);
    *made = false;
    crypto_random(&some, sizeof(some));
    clock_pause_ms(some); // so that two do not meet again and again
    return true;
}

static bool oci_create(struct store *base, const char *name, const void *p, size_t len,
                       const struct strv *needs, bool *made, struct err *err)
{
    struct oci_store *s = (struct oci_store *)base;
    const char *hex = blob_hash(name);
    if (hex)
        return create_blob(s, hex, p, len, made, err);
    CLEANUP(str_freep) char *there = find_tag(s, name, err);
    if (err_is_set(err))
        return false;
    struct buf b CLEANUP(buf_clear) = {0};
    bool found = false;
    if (there && !get_tagged(s, name, STORE_MAX_FILE_BYTES, &b, &found, err))
        return false;
    *made = !found;
    if (found)
        return true;
    bool is_prefix;
    CLEANUP(str_freep) char *tag = tag_of(name, &is_prefix);
    if (!tag)
        return err_set(err, ERR_INVALID, "%s has no place in a registry", name);
    if (is_prefix) {
        CLEANUP(str_freep) char *hash = sha_hex(p, len);
        CLEANUP(str_freep) char *whole = str_printf("%s%.16s", tag, hash);
        return put_tagged(s, whole, name, p, len, NULL, err) && take_back(s, tag, whole, made, err);
    }
    return put_tagged(s, tag, name, p, len, needs, err);
}

// ---- list ----
static void add_item(struct store_items *out, const char *name, uint64_t size, const char *prefix)
{
    if (!str_starts(name, prefix) || !name_is_valid(name))
        return;
    for (size_t i = out->v.len; i-- > 0;)
        if (!strcmp(out->v.v[i].name, name))
            return;
    struct store_item *x = vec_push(&out->v);
    x->name = str_dup(name);
    x->size = size;
}

// What a manifest's layers are, all of them or the first.
static bool add_layers(struct oci_store *s, const char *tag, bool only_first, const char *prefix,
                       struct store_items *out, struct err *err)
{
    json_t *m = read_manifest(s, tag, NULL, err);
    if (!m)
        return !err_is_set(err); // deleted meanwhile
    size_t i;
    json_t *l;
    json_array_foreach(json_object_get(m, "layers"), i, l)
    {
        const char *title = layer_title(l);
        json_int_t size = json_integer_value(json_object_get(l, "size"));
        if (title && layer_hex(l) && size >= 0 && !(only_first && i))
            add_item(out, title, (uint64_t)size, prefix);
    }
    json_decref(m);
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct store_item *)a)->name, ((const struct store_item *)b)->name);
}

static bool oci_list(struct store *base, const char *prefix, struct store_items *out,
                     struct err *err)
{
    struct oci_store *s = (struct oci_store *)base;
    struct strv tags = {0};
    bool ok = oci_tags(&s->net, &tags, err);
    // Packs and index files are known only from the entries that name them.
    bool wants_blobs = !*prefix || strstr(prefix, "/packs/") || strstr(prefix, "/index/") ||
                       (str_starts(prefix, "chains/") && !strstr(prefix, "/log/"));
    for (size_t i = 0; ok && i < tags.len; i++) {
        CLEANUP(str_freep) char *name = store_oci_name(tags.v[i]);
        bool is_key = str_starts(tags.v[i], "key.");
        if (is_key && (!*prefix || str_starts(prefix, "keys")))
            ok = add_layers(s, tags.v[i], true, prefix, out, err);
        else if (name && str_starts(name, "chains/") && wants_blobs)
            ok = add_layers(s, tags.v[i], false, prefix, out, err);
        if (ok && name)
            add_item(out, name, 0, prefix);
    }
    strv_clear(&tags);
    if (out->v.len)
        qsort(out->v.v, out->v.len, sizeof(*out->v.v), by_name);
    return ok;
}

static bool oci_stranger(struct store *base, char **name, struct err *err)
{
    struct oci_store *s = (struct oci_store *)base;
    struct strv tags = {0};
    bool ok = oci_tags(&s->net, &tags, err);
    if (ok && tags.len)
        *name = str_printf("tag %s", tags.v[0]);
    strv_clear(&tags);
    return ok;
}

// Blobs are collected by the registry once no entry names them.
static bool oci_remove(struct store *base, const char *name, struct err *err)
{
    struct oci_store *s = (struct oci_store *)base;
    if (blob_hash(name))
        return true;
    CLEANUP(str_freep) char *tag = find_tag(s, name, err);
    if (!tag)
        return !err_is_set(err);
    CLEANUP(str_freep) char *digest = NULL;
    json_t *m = read_manifest(s, tag, &digest, err);
    if (!m)
        return !err_is_set(err);
    json_decref(m);
    return oci_delete_manifest(&s->net, digest, err);
}

static bool oci_now(struct store *base, int64_t *unix_ms, struct err *err)
{
    struct oci_store *s = (struct oci_store *)base;
    struct web_reply r = {0};
    bool ok = oci_send(&s->net, "GET", "/v2/", NULL, NULL, 0, 0, true, &r, err);
    if (ok && r.status >= 400)
        ok = oci_status_err(&r, err);
    if (ok && !r.date_ms)
        ok = err_set(err, ERR_UNAVAILABLE, "the registry tells no time");
    *unix_ms = r.date_ms;
    web_reply_clear(&r);
    return ok;
}

static void oci_free(struct store *base)
{
    struct oci_store *s = (struct oci_store *)base;
    web_free(s->net.web);
    free(s->net.scheme);
    free(s->net.host);
    free(s->net.repository);
    free(s->net.user);
    if (s->net.password)
        crypto_wipe(s->net.password, strlen(s->net.password));
    free(s->net.password);
    free(s->net.token);
    free(s->base.url);
    free(s);
}

static const struct store_ops ops = {
    .traits = {.kind = "oci"},
    .create = oci_create,
    .get = oci_get,
    .list = oci_list,
    .stranger = oci_stranger,
    .remove = oci_remove,
    .now = oci_now,
    .free = oci_free,
};

// REGROW_REGISTRY_USERNAME and _PASSWORD, else docker's file (given, or where docker keeps it).
static void find_credentials(struct oci *o, const char *file)
{
    const char *user = getenv("REGROW_REGISTRY_USERNAME");
    const char *password = getenv("REGROW_REGISTRY_PASSWORD");
    if (!file && user && password) {
        o->user = str_dup(user);
        o->password = str_dup(password);
        return;
    }
    const char *dir = getenv("DOCKER_CONFIG");
    const char *home = getenv("HOME");
    CLEANUP(str_freep)
    char *path = file  ? str_dup(file)
                 : dir ? path_join(dir, "config.json")
                       : path_join(home ? home : "/", ".docker/config.json");
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    if (file_exists(path) && file_read(path, 1U << 20, &b, &err))
        oci_docker_auth(b.p, o->host, &o->user, &o->password);
    err_clear(&err); // anonymous then: the registry will say whether that is enough
}

static bool is_loopback(const char *host)
{
    return str_starts(host, "127.") || str_starts(host, "localhost") || str_starts(host, "[::1]");
}

bool store_oci_open(const struct store_opts *o, struct store **out, struct err *err)
{
    struct oci_store *s = mem_alloc(sizeof(*s));
    struct store *base CLEANUP(store_freep) = &s->base;
    const char *rest = o->url + strlen("oci://");
    size_t n = strcspn(rest, "/");
    s->base.ops = &ops;
    s->base.url = str_dup(o->url);
    s->net.host = str_ndup(rest, n);
    s->net.repository = str_dup(rest[n] ? rest + n + 1 : "");
    size_t ok = strspn(s->net.repository, "abcdefghijklmnopqrstuvwxyz0123456789._-/");
    if (!n || !*s->net.repository || s->net.repository[ok] || str_ends(s->net.repository, "/"))
        return err_set(err, ERR_USAGE, "%s is not of the form oci://host/repository", o->url);
    // As every client of registries does: plain HTTP to this machine only.
    s->net.scheme = str_dup(is_loopback(s->net.host) ? "http" : "https");
    find_credentials(&s->net, o->credentials_file);
    s->net.web = web_new(o->loop, o->ca_file);
    *out = TAKE(base);
    return true;
}
