// SPDX-License-Identifier: Apache-2.0
//
// HTTP for sources: Git, Helm repositories, OCI registries. Exchanges run side by side in the
// loop, bounded in number for each host (source/hosts.h), in time and in size. Redirects are
// followed, credentials stay with the host they were given for; a server that refuses one
// credential is tried with the next (source/creds.h), at last with what Git's helpers know.
#ifndef SOURCE_HTTP_H
#define SOURCE_HTTP_H

#include "source/creds.h"
#include "source/helper.h"
#include "source/hosts.h"

struct http;

struct http_opts {
    struct loop *loop; // all lent for the client's life
    struct hosts *hosts;
    struct creds *creds;
    struct helper *helper; // NULL: helpers are not asked
    const char *ca_file;   // may be NULL
    int64_t silence_ms;
};
struct http *http_new(const struct http_opts *o);
void http_free(struct http *h); // what still runs is dropped without a word

struct http_request { // copied
    const char *url;
    const char *const *headers; // "Name: value", NULL-terminated; may be NULL
    const void *body;           // NULL: GET, else POST
    size_t body_len;
    int body_fd;          // > 0: POST with this file as it is; lent until `done`
    const char *cred_url; // whose credentials are used; NULL: the URL itself
    const char *project;  // of the application that asks, or NULL
    // Settled already, by an exchange before: only this credential (or none), or a bearer token.
    const struct source_cred *cred;
    bool has_cred;
    const char *bearer;
    size_t max_bytes; // 0: 256 MiB
    // The bytes of a good answer (below 400) as they come; false ends the exchange as if it had
    // been complete. NULL: they are kept in the response.
    bool (*on_data)(void *ctx, const char *p, size_t len);
    void *data_ctx;
    // How much of a file has gone out; never after `done`.
    void (*on_sent)(void *ctx, uint64_t bytes);
    bool may_refuse;  // a status of 400 or more is an answer, not an error
    bool may_be_same; // so is 304: the headers say what is known
};

struct http_response {
    int status;
    struct buf body; // with a NUL behind it
    char *url;       // after redirects
    char *content_type;
    char *auth_challenge;  // WWW-Authenticate
    char *link;            // Link
    char *etag, *modified; // ETag, Last-Modified
    int64_t retry_after_ms;
    const struct source_cred *cred; // the one that was used
};

// err: there was no answer (UNAVAILABLE, TIMEOUT, DENIED for certificates), or none that helps
// (http_status_err). Lent for the call; what is to be kept is taken out.
typedef void (*http_done_fn)(void *ctx, struct http_response *r, struct err *err);

struct exchange;
// `done` is called once, from the loop, never before this returns. 429, 5xx and broken connections
// are tried again a few times.
struct exchange *http_start(struct http *h, const struct http_request *q, http_done_fn done,
                            void *ctx);
void http_cancel(struct exchange *x); // `done` does not come any more; NULL is fine

// Always false: what a status means, with a hint.
bool http_status_err(int status, const char *url, struct err *err);

// A URL fit for printing: user and password taken out. Owned.
char *url_redacted(const char *url);
// Are these two URLs of one server?
bool url_same_host(const char *a, const char *b);

#endif
