// SPDX-License-Identifier: Apache-2.0
//
// What stores answer, and small files that lie beside them: the first byte says which, the rest is
// it. S3's and STS's XML, notes of what was read, docker's config.json, AWS's file of keys.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "snapshot/oci_net.h"
#include "snapshot/proofs.h"
#include "snapshot/s3_creds.h"
#include "snapshot/s3_xml.h"

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
    static void (*const of[])(const char *, size_t) = {xml, proofs, docker, keys};
    if (size)
        of[data[0] % ARRAY_LEN(of)]((const char *)data + 1, size - 1);
    return 0;
}
