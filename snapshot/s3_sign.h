// SPDX-License-Identifier: Apache-2.0
//
// Private to snapshot: AWS Signature Version 4 over OpenSSL, pure. The caller sends exactly the
// path and query that were signed. Traps: spec c-libraries 1.8.
#ifndef SNAPSHOT_S3_SIGN_H
#define SNAPSHOT_S3_SIGN_H

#include <stdint.h>

#include "base/str.h"

struct s3_keys {
    char *access, *secret, *token; // token NULL: none
    int64_t expires_ms;            // Unix; 0: never
};

struct s3_pair {
    char *name, *value;
};
struct s3_pairs {
    struct s3_pair *v;
    size_t len, cap;
};
void s3_pair_add(struct s3_pairs *p, const char *name, const char *value);
void s3_pairs_clear(struct s3_pairs *p);

struct s3_request {
    const char *method;
    const char *host;           // with its port when it is not the scheme's own
    const char *path;           // encoded: "/bucket/key"
    struct s3_pairs query;      // raw names and values
    struct s3_pairs headers;    // lower-case names; host, date, hash and token are added here
    const char *payload_sha256; // hex
};
// The query as it is signed and must be sent: sorted, encoded, "k=" for empty values. Owned.
char *s3_query(const struct s3_pairs *query);
// Adds all headers to be sent ("Name: value"), Authorization last. at: Unix seconds.
void s3_sign(struct s3_request *q, const struct s3_keys *k, const char *region, const char *service,
             int64_t at_unix_s, struct strv *headers);

#endif
