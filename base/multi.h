// SPDX-License-Identifier: Apache-2.0
//
// curl's multi handle in the loop: transfers run side by side while the loop goes on. The caller
// owns the easy handles; CURLOPT_PRIVATE of each is what `done` gets. `done` is called from the
// loop, never from multi_add, with the handle removed already.
#ifndef BASE_MULTI_H
#define BASE_MULTI_H

#include <curl/curl.h>

#include "base/err.h"
#include "base/loop.h"

struct multi;

typedef void (*multi_done_fn)(void *private_ptr, CURLcode code);

struct multi *multi_new(struct loop *l, multi_done_fn done);
void multi_free(struct multi *m); // every handle has been removed before
void multi_add(struct multi *m, CURL *easy);
void multi_remove(struct multi *m, CURL *easy); // `done` does not come any more
CURLM *multi_curl(struct multi *m);             // for curl_multi_setopt alone
// Is what TLS says of a certificate about its time? Then the hint is about the clock, which may be
// off as well. False: it is not, and there is none yet.
bool tls_clock_hint(const char *why, struct err *err);

#endif
