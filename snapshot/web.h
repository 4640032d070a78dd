// SPDX-License-Identifier: Apache-2.0
//
// Private to snapshot: one blocking HTTP exchange with a store, over a reused libcurl handle.
// Bounded in time and size, honours the loop's stop flag, follows no redirects. It says what
// happened and never retries: whether a request may be sent again is the store's knowledge.
#ifndef SNAPSHOT_WEB_H
#define SNAPSHOT_WEB_H

#include "base/err.h"
#include "base/loop.h"
#include "base/str.h"

#define WEB_ERROR_BYTES (64U << 10) // room for what a server says instead

struct web;
struct web *web_new(struct loop *l, const char *ca_file); // both may be NULL
void web_free(struct web *w);
CLEANUP_FN(struct web, web_free, web_freep);

struct web_request {
    const char *method;         // "GET", "PUT", "POST", "DELETE", "HEAD", "PATCH"
    const char *url;            // sent byte for byte
    const struct strv *headers; // "Name: value"; may be NULL
    const void *body;
    size_t body_len;
    size_t max_bytes; // of the answer; 0: 1 MiB
};
struct web_reply {
    int status; // 0: no answer
    struct buf body;
    int64_t date_ms; // the server's clock (Date), Unix; 0 unknown
    char *location, *link, *challenge, *digest, *content_type;
    int64_t retry_after_ms; // -1: none named
};
void web_reply_clear(struct web_reply *r);
// False: no whole answer. TIMEOUT, UNAVAILABLE (connection refused, cut …), DENIED (certificate),
// CORRUPT (larger than max_bytes), CANCELLED. The request may have been carried out all the same.
MUST_CHECK bool web_run(struct web *w, const struct web_request *q, struct web_reply *r,
                        struct err *err);

// Waits with jitter before attempt n (1, 2 …): 0.2 s doubling to 5 s, or what the server named (30
// s at most). False when the loop is stopping.
bool web_pause(struct web *w, unsigned attempt, int64_t retry_after_ms);

// "a/b c" -> "a/b%20c"; with keep_slash false "%2F". Only A-Z a-z 0-9 - . _ ~ stay.
void uri_encode(struct buf *out, const char *s, bool keep_slash);

#endif
