// SPDX-License-Identifier: Apache-2.0
//
// Credentials of a workstation: `git credential fill`, which asks the helpers its user has set up.
// One question for each URL and run, never a prompt. What it answers stays in memory.
#ifndef SOURCE_HELPER_H
#define SOURCE_HELPER_H

#include "source/source.h"

struct helper;

struct helper *helper_new(struct loop *l);
void helper_free(struct helper *h); // questions still open are dropped without an answer

// url: of the repository itself, as helpers may tell repositories of a host apart. cred is NULL
// when no helper knows one, and lives as long as the helper.
typedef void (*helper_fn)(void *ctx, const struct source_cred *cred);
struct question;
struct question *helper_ask(struct helper *h, const char *url, helper_fn done, void *ctx);
void helper_cancel(struct question *q); // `done` does not come any more

// The user's own environment without our settings, for programs that act for the user (ssh, git).
// `more` ("K=V", NULL-terminated) is added; the strings are owned by `out`, which ends with NULL.
void user_environment(struct strv *out, const char *const *more);

#endif
