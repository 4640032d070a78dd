// SPDX-License-Identifier: Apache-2.0
//
// Talking to a Git server: its list of refs, one commit at depth 1, whole histories, a push; over
// HTTP by source/http.h, over ssh by source/ssh.h. Nothing waits here, nothing touches a
// repository.
#ifndef SOURCE_GITNET_H
#define SOURCE_GITNET_H

#include "source/context.h"
#include "source/pushwire.h"

struct gitremote {
    struct source_ctx *c;
    const char *url, *shown, *project; // borrowed
    bool is_whole;                     // every ref, as it is
    bool is_push; // what the server says to who wants to write; is_whole as well
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
// What begins with these, over protocol v2 (others list all there is). After gitnet_list of the
// same remote only, and over HTTP.
struct gitcall *gitnet_list_some(struct gitremote *r, const struct strv *prefixes,
                                 struct git_refs *refs, gitcall_fn done, void *ctx);
// The pack goes to fd as it comes. After gitnet_list of the same remote only.
struct gitcall *gitnet_fetch(struct gitremote *r, const char *want, const struct strv *have, int fd,
                             gitcall_fn done, void *ctx);
// The same with the whole history of these, less what leads to `have`.
struct gitcall *gitnet_fetch_whole(struct gitremote *r, const struct strv *want,
                                   const struct strv *have, int fd, gitcall_fn done, void *ctx);
// What push_request made, and the pack, are in fd. After gitnet_list of the same remote (is_push)
// only. on_sent (may be NULL) hears how much has gone out, over HTTP.
struct gitcall *gitnet_push(struct gitremote *r, int fd, struct push_report *report,
                            void (*on_sent)(void *ctx, uint64_t bytes), gitcall_fn done, void *ctx);
void gitnet_cancel(struct gitcall *c); // `done` does not come any more; NULL is fine

#endif
