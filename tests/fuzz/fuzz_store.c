// SPDX-License-Identifier: Apache-2.0
//
// What stores answer, and small files that lie beside them: the first byte says which, the rest is
// it. S3's and STS's XML, notes of what was read, docker's config.json, AWS's file of keys, and
// what a registry answers.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "snapshot/oci_answer.h"
#include "snapshot/proofs.h"
#include "snapshot/s3_creds.h"
#include "snapshot/s3_xml.h"
#include "snapshot/store_oci.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void texts(const char *p, size_t size)
{
    static const char *const names[] = {
        "Key",         "Size", "LastModified", "NextContinuationToken",
        "AccessKeyId", "Code", "Expiration",   "RetainUntilDate"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        CLEANUP(str_freep) char *text = xml_text(p, size, names[i]);
        if (text && strlen(text) > size)
            abort();
    }
}

static void xml(const char *p, size_t size)
{
    size_t at = 0;
    size_t before = 0;
    const char *content;
    size_t len;
    texts(p, size);
    while (xml_next(p, size, &at, "Contents", &content, &len)) {
        if (at <= before || at > size || content < p + before || content + len > p + at)
            abort();
        texts(content, len);
        before = at;
    }
}

// What was understood is written so that it is understood again.
static void proofs(const char *p, size_t size)
{
    struct proofs a = {0};
    struct proofs b = {0};
    struct buf one CLEANUP(buf_clear) = {0};
    struct buf two CLEANUP(buf_clear) = {0};
    proofs_parse(p, size, &a);
    proofs_write(&a, &one);
    proofs_parse(one.p ? one.p : "", one.len, &b);
    proofs_write(&b, &two);
    if (a.v.len != b.v.len || one.len != two.len)
        abort();
    for (size_t i = 0; i < a.v.len; i++)
        if (proofs_find(&a, &a.v.v[i].name, a.v.v[i].size, a.v.v[i].stored_at_ms, INT64_MAX) < 0)
            abort();
    proofs_clear(&a);
    proofs_clear(&b);
}

static void docker(const char *p, size_t size)
{
    CLEANUP(str_freep) char *text = str_ndup(p, size);
    CLEANUP(str_freep) char *user = NULL;
    CLEANUP(str_freep) char *password = NULL;
    bool found = oci_docker_auth(text, "registry.example.com", &user, &password);
    if (found != (user != NULL) || found != (password != NULL))
        abort();
}

// As an answer's body and, its first line, as a header.
static void registry(const char *p, size_t size)
{
    CLEANUP(str_freep) char *text = str_ndup(p, size);
    text[strcspn(text, "\r\n")] = 0;
    CLEANUP(str_freep) char *realm = oci_challenge_value(text, "realm");
    CLEANUP(str_freep) char *page = oci_next_page(text);
    CLEANUP(str_freep) char *token = oci_token(p, size);
    CLEANUP(str_freep) char *code = oci_error_code(p, size);
    struct strv tags = {0};
    struct err err = {0};
    if (token && strpbrk(token, "\r\n \t"))
        abort();
    if (!oci_read_tags(p, size, &tags, &err) && err.kind != ERR_UNAVAILABLE)
        abort();
    err_clear(&err);
    strv_push(&tags, text);
    for (size_t i = 0; i < tags.len; i++) {
        CLEANUP(str_freep) char *name = store_oci_name(tags.v[i]);
        if (name && (strstr(name, "..") == name || *name == '/'))
            abort();
    }
    strv_clear(&tags);
}

static void keys(const char *p, size_t size)
{
    CLEANUP(str_freep) char *text = str_ndup(p, size);
    struct s3_keys k = {0};
    if (s3_keys_parse(text, "default", &k) != (k.access && k.secret))
        abort();
    s3_keys_clear(&k);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const of[])(const char *, size_t) = {xml, proofs, docker, keys, registry};
    if (size)
        of[(uint8_t)(data[0] - '0') % ARRAY_LEN(of)]((const char *)data + 1, size - 1);
    return 0;
}
