// SPDX-License-Identifier: Apache-2.0
//
// Plain HTTP for sources: Git, Helm repositories, OCI registries. One blocking exchange, bounded in
// time and size; redirects are followed, credentials stay with the host they were given for.
#ifndef SOURCE_HTTP_H
#define SOURCE_HTTP_H

#include "base/loop.h"
#include "base/str.h"
#include "source/source.h"

struct http_request {
    const char *url;
    const char *method;         // NULL: GET, or POST when there is a body
    const char *const *headers; // "Name: value", NULL-terminated; may be NULL
    const void *body;
    size_t body_len;
    const struct source_cred *cred; // may be NULL
    const char *bearer;             // overrides the credential's own
    const char *ca_file;            // may be NULL
    size_t max_bytes;               // 0: 256 MiB
    int64_t timeout_ms;             // 0: 10 min in all; 30 s of silence always ends it
    // Bytes as they come; returning false ends the exchange. NULL: they are kept in the response.
    bool (*on_data)(void *ctx, const char *p, size_t len);
    void *ctx;
    struct loop *loop; // its stop flag is honoured
};

struct http_response {
    int status;
    struct buf body;
    char *content_type;
    char *auth_challenge; // WWW-Authenticate
    char *digest;         // Docker-Content-Digest
    int64_t retry_after_ms;
};

// False only when there was no answer (UNAVAILABLE, TIMEOUT, DENIED for certificates).
MUST_CHECK bool http_run(const struct http_request *q, struct http_response *r, struct err *err);
// The same, repeated a few times on 429 and 5xx; a status >= 400 is an error (http_status_err).
MUST_CHECK bool http_get(const struct http_request *q, struct http_response *r, struct err *err);
void http_response_clear(struct http_response *r);
// Always false: what a status means, with a hint.
bool http_status_err(int status, const char *url, struct err *err);

// A URL fit for printing: user and password taken out. Owned.
char *url_redacted(const char *url);
// The URL (or folder) this one is mirrored at, or a copy of it. Owned.
char *source_mirror_url(const struct source_opts *o, const char *url);
// The credential with the longest matching URL prefix, or NULL.
const struct source_cred *source_cred_for(const struct source_opts *o, const char *url);

#endif
