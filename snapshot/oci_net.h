// SPDX-License-Identifier: Apache-2.0
//
// Private to snapshot: a registry's API (OCI distribution 1.1): authentication, blobs, manifests,
// tags. One repository. Reads and uploads by digest are repeated when that is safe.
#ifndef SNAPSHOT_OCI_NET_H
#define SNAPSHOT_OCI_NET_H

#include "base/hash.h"
#include "snapshot/web.h"

#define OCI_MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"

struct oci {
    struct web *web;
    char *scheme, *host, *repository;
    char *user, *password; // NULL: anonymous
    char *token;           // bearer, once one was asked for
    int64_t date_ms;       // the registry's clock at the last answer
    bool is_there;         // it has shown something of the repository
};

// GET, HEAD, PUT … on /v2/<repository>/<path>, or on a whole URL. 401 is answered with credentials
// once; 429 and 5xx are repeated when `safe`. False: no answer. Status is the caller's.
MUST_CHECK bool oci_send(struct oci *o, const char *method, const char *path,
                         const struct strv *headers, const void *body, size_t len, size_t max_bytes,
                         bool safe, struct web_reply *r, struct err *err);
// Always false: what a status means.
bool oci_status_err(const struct web_reply *r, struct err *err);

MUST_CHECK bool oci_has_blob(struct oci *o, const char *hex, bool *found, struct err *err);
MUST_CHECK bool oci_get_blob(struct oci *o, const char *hex, size_t max_bytes, struct buf *out,
                             bool *found, struct err *err);
MUST_CHECK bool oci_put_blob(struct oci *o, const char *hex, const void *p, size_t len,
                             struct err *err);
// *missing: a blob it names is not there (upload it again). ref: tag.
MUST_CHECK bool oci_put_manifest(struct oci *o, const char *ref, const char *json, size_t len,
                                 bool *missing, struct err *err);
MUST_CHECK bool oci_get_manifest(struct oci *o, const char *ref, struct buf *out, char **digest,
                                 bool *found, struct err *err);
MUST_CHECK bool oci_delete_manifest(struct oci *o, const char *digest, struct err *err);
// All tags, sorted. A repository that is not there has none; one that was there is not gone.
MUST_CHECK bool oci_tags(struct oci *o, struct strv *out, struct err *err);

#endif
