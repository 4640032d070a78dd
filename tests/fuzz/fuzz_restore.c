// SPDX-License-Identifier: Apache-2.0
//
// Documents of any shape, as a restore and a drill meet them: mapped to other names, as a sealed
// Secret with its keys, and as the report of a run.
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "gitops/gitops.h"
#include "restore/fields.h"
#include "restore/mapping.h"
#include "restore/report.h"
#include "restore/sealed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const maps[] = {
    "host=old.example.com=new.example.com",
    "host=*.old.dev=*.new.dev",
    "registry=docker.io=registry.new:5000",
    "registry=old:5000/team=new/team",
    "storageClass=fast=slow",
    "cluster=old=new",
    "cluster=https://old:6443=https://new",
};

static void mapped(const json_t *doc)
{
    struct strv given = {0};
    struct mappings m = {0};
    struct err err = {0};
    for (size_t i = 0; i < ARRAY_LEN(maps); i++)
        strv_push(&given, maps[i]);
    if (!mappings_parse(&given, &m, &err))
        abort();
    struct object_id id = {0};
    const char *version = json_dot_str(doc, "apiVersion");
    const char *slash = version ? strchr(version, '/') : NULL;
    const char *kind = json_dot_str(doc, "kind");
    const char *name = json_dot_str(doc, "metadata.name");
    id.group = slash ? str_ndup(version, (size_t)(slash - version)) : str_dup("");
    id.kind = str_dup(kind ? kind : "");
    id.namespace = str_dup("n");
    id.name = str_dup(name ? name : "");
    CLEANUP(json_freep) json_t *copy = json_deep_copy(doc);
    if (!mappings_change(&m, &id, 0, copy) && !json_equal(doc, copy))
        abort();
    object_id_clear(&id);
    mappings_clear(&m);
    strv_clear(&given);
}

// What a target says of its fields, and an object: both are the document.
static void trimmed(const json_t *doc)
{
    struct strv paths = {0};
    const char *kind = json_dot_str(doc, "kind");
    CLEANUP(json_freep) json_t *copy = json_deep_copy(doc);
    fields_take_out(doc, "example", "v1", kind ? kind : "Thing", copy, &paths);
    if (!paths.len && !json_equal(doc, copy))
        abort();
    strv_clear(&paths);
}

// A key of our own, so that what follows the first padding is reached.
static json_t *own_secret(void)
{
    char *p = NULL;
    struct buf coded CLEANUP(buf_clear) = {0};
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024);
    BIO *bio = BIO_new(BIO_s_mem());
    if (!key || !bio || PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1)
        abort();
    size_t n = (size_t)BIO_get_mem_data(bio, &p);
    buf_base64(&coded, p, n);
    BIO_free(bio);
    EVP_PKEY_free(key);
    return json_pack("{s:{s:s}}", "data", "tls.key", coded.p);
}

static void sealed(const json_t *doc)
{
    static json_t *own;
    struct sealed_keys keys = {0};
    struct strv closed = {0};
    if (!own)
        own = own_secret();
    sealed_keys_add(&keys, own);
    sealed_keys_add(&keys, doc);
    sealed_unopened(&keys, doc, &closed);
    sealed_keys_clear(&keys);
    strv_clear(&closed);
}

static void reported(const json_t *doc)
{
    struct buf html CLEANUP(buf_clear) = {0};
    struct buf svg CLEANUP(buf_clear) = {0};
    struct err err = {0};
    if (!report_html(doc, &html, &err) || !report_svg(doc, &svg, &err))
        err_clear(&err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct yaml_docs docs = {0};
    struct err err = {0};
    struct yaml_opts o = {.name = "fuzz", .warn_only = true, .max_bytes = 65536};
    CLEANUP(str_freep) char *text = mem_dup(data, size);
    if (!yaml_read(text, size, &o, &docs, &err)) {
        err_clear(&err);
        return 0;
    }
    for (size_t i = 0; i < docs.docs.len && i < 4; i++) {
        const json_t *doc = docs.docs.v[i].value;
        mapped(doc);
        trimmed(doc);
        sealed(doc);
        reported(doc);
    }
    yaml_docs_clear(&docs);
    return 0;
}
