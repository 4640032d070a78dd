// SPDX-License-Identifier: Apache-2.0
//
// Talking to a Git server: its list of refs, and one commit at depth 1; over HTTP by
// source/http.h, over ssh by source/ssh.h. Nothing waits here, nothing touches a repository.
#ifndef SOURCE_GITNET_H
#define SOURCE_GITNET_H

#include "source/context.h"
#include "source/gitwire.h"

struct gitremote {
    struct source_ctx *c;
    const char *url, *shown, *project; // borrowed
    bool is_whole;                     // every ref, as it is
    // What listing has learned:
    struct git_greeting greeting;
    char *base; // after redirects; HTTP only
    const struct source_cred *cred;
};
void gitremote_clear(struct gitremote *r);

struct gitcall;
typedef void (*gitcall_fn)(void *ctx, struct err *err); // err lent for the call
struct gitcall *gitnet_list(struct gitremote *r, struct git_refs *refs, gitcall_fn done, void *ctx);
// What is called `name` and was not in the list, over protocol v2 (others list all there is). After
// gitnet_list of the same remote only.
struct gitcall *gitnet_list_one(struct gitremote *r, const char *name, struct git_refs *refs,
                                gitcall_fn done, void *ctx);
// The pack goes to fd as it comes. After gitnet_list of the same remote only.
struct gitcall *gitnet_fetch(struct gitremote *r, const char *want, const struct strv *have, int fd,
                             gitcall_fn done, void *ctx);
// The same with the whole history of these, less what leads to `have`.
struct gitcall *gitnet_fetch_whole(struct gitremote *r, const struct strv *want,
                                   const struct strv *have, int fd, gitcall_fn done, void *ctx);
void gitnet_cancel(struct gitcall *c); // `done` does not come any more; NULL is fine

#endif
