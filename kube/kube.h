// SPDX-License-Identifier: Apache-2.0
//
// The Kubernetes API over libcurl in the event loop: kubeconfig as kubectl reads it, discovery,
// LIST object by object, watches that resume by themselves, server-side apply, and the
// classification of answers (spec kubernetes-api). Two multi handles: watches never starve writes.
//
// Life: kubeconfig_load, kube_new, kube_connect (reads version, discovery and kube-system's uid),
// any number of calls, kube_free (outstanding callbacks are dropped). Transport errors of
// idempotent requests are retried once on a new connection; a lost server is waited for by
// /readyz. A call with patience is sent again while the server is away, starting or busy; any other
// is its caller's to repeat. The room knows no plans, no Git, no graph.
#ifndef KUBE_KUBE_H
#define KUBE_KUBE_H

#include "base/event.h"
#include "base/loop.h"
#include "gitops/gitops.h"

// ---- kubeconfig ----
struct kubeconfig; // one resolved context
struct kubeconfig_opts {
    const char
        *path; // --kubeconfig; NULL: $KUBECONFIG (a list, merged), ~/.kube/config, in-cluster
    const char *context;   // --context; NULL: current-context
    const char *namespace; // -n; NULL: the context's, then "default"
    struct loop *loop;     // its stop flag ends a credential plugin under way; NULL: nothing does
};
MUST_CHECK bool kubeconfig_load(const struct kubeconfig_opts *o, struct kubeconfig **out,
                                struct err *err);
// The cluster that a Secret of Argo CD registers, with the credentials it holds. DENIED: it wants a
// program to log in.
MUST_CHECK bool kubeconfig_of_argocd(const json_t *secret, struct kubeconfig **out,
                                     struct err *err);
// The other way round: how to log in, as such a Secret has it (its key `config`); owned, and
// secret. DENIED: the context does it by a program, or in another's name; INVALID: it verifies
// nothing.
MUST_CHECK bool kubeconfig_to_argocd(struct kubeconfig *c, char **config, struct err *err);
void kubeconfig_free(struct kubeconfig *c);
CLEANUP_FN(struct kubeconfig, kubeconfig_free, kubeconfig_freep);
const char *kubeconfig_server(const struct kubeconfig *c);
const char *kubeconfig_context(const struct kubeconfig *c); // display name of the target
const char *kubeconfig_namespace(const struct kubeconfig *c);

// ---- client ----
struct kube;
struct kube_opts {
    const char *user_agent;    // "regrow/0.1.0 (linux)"; also the audit key
    const char *field_manager; // "regrow"
    const struct event_sink *events;
    int64_t idle_ms, ping_ms; // tests: silence before a connection is asked, and for the answer
};
// The configuration is lent until kube_free, which fetches its credentials again when they run out.
struct kube *kube_new(struct loop *l, struct kubeconfig *c, const struct kube_opts *o);
void kube_free(struct kube *k);
CLEANUP_FN(struct kube, kube_free, kube_freep);

// Version, discovery (into `kinds`, marked served; groups whose backend does not answer are listed
// by kube_stale_groups) and cluster uid. Waits on the loop. wait_ms: how long an unreachable server
// is waited for (0: one try).
MUST_CHECK bool kube_connect(struct kube *k, int64_t wait_ms, struct kinds *kinds, struct err *err);
const char *kube_version(const struct kube *k);     // "v1.37.2"
int kube_minor(const struct kube *k);               // 37 (the emulated one)
const char *kube_cluster_uid(const struct kube *k); // kube-system's uid; NULL when not readable
const struct strv *kube_stale_groups(const struct kube *k);
struct kube_request;
// Discovery again, asynchronously; done(err unset on success).
struct kube_request *kube_rediscover(struct kube *k, struct kinds *kinds,
                                     void (*done)(void *ctx, struct err *err), void *ctx);

// ---- one request ----
enum kube_class {
    KUBE_OK,
    KUBE_ABSENT,       // 404 of an existing kind or path
    KUBE_NO_KIND,      // 404: the kind is not served (any of the four shapes)
    KUBE_NO_NAMESPACE, // 404/403: namespace missing or terminating
    KUBE_INVALID,      // input wrong: 400, 422, SSA's typed 500
    KUBE_IMMUTABLE,    // 422 on an immutable field
    KUBE_CONFLICT,     // field manager conflict, resourceVersion, uid, already exists
    KUBE_DENIED,       // permission, quota, policy, webhook verdict
    KUBE_UNAUTHORIZED, // 401
    KUBE_GATE,         // webhook, conversion webhook or aggregated API cannot be reached (yet)
    KUBE_MISSING_REF,  // 403/404: ServiceAccount, PriorityClass, Role ... not found
    KUBE_THROTTLED,    // 429 flow control
    KUBE_RETRY,        // 503/504/429 "initializing", leader changed
    KUBE_LOST,         // no answer: outcome unknown
    KUBE_CANCELLED,
};
const char *kube_class_name(enum kube_class c);
// Nothing was said of what was asked for: the server is away, starting or busy.
bool kube_may_answer_later(enum kube_class c);

struct kube_reply {
    enum kube_class cls;
    int http;         // 0 when there was no answer
    const char *body; // lent for the call, as is everything below
    size_t body_len;
    const char *reason;  // Status.reason, or ""
    const char *message; // safe to print: causes' fields and short reasons, never object content
    const char *webhook; // KUBE_GATE / KUBE_DENIED by a webhook: its name; else NULL
    const char *conflict_manager; // KUBE_CONFLICT by field managers: the first owner; else NULL
    const char *field;            // first cause's field, or NULL
    const char *warning;          // Warning header text, or NULL
    int64_t retry_after_ms;       // -1 when the server named none
    int64_t ms;                   // from sending to the end
};
// The error kind and message a reply amounts to (always false). `what` goes in front.
bool kube_reply_err(const struct kube_reply *r, struct err *err, const char *what);

typedef void (*kube_done_fn)(void *ctx, const struct kube_reply *r);

struct kube_call {
    const char *method; // "GET", "POST", "PUT", "PATCH", "DELETE"
    const char *path;   // "/api/v1/..." with query, encoded
    const char *body;   // copied
    size_t body_len;
    const char *content_type; // NULL: application/json
    const char *accept;       // NULL: application/json
    int64_t timeout_ms;       // 0: 60 s
    // For so long it is sent again, as it stands, when there is no answer or one that asks to wait
    // (429, 503), not before the time that such an answer names. 0: the first answer counts.
    int64_t patience_ms;
    bool is_idempotent; // may be sent again after a lost connection (GET is always)
    bool is_urgent;     // not held back behind others: the Lease
    bool ignores_stop;  // kube_send_wait goes on when the process has been told to end
};
#define KUBE_PATIENCE_MS 60000
// Starts a request; done is called exactly once, from the loop, never before this returns.
struct kube_request *kube_send(struct kube *k, const struct kube_call *c, kube_done_fn done,
                               void *ctx);
void kube_cancel(struct kube_request *r); // done comes with KUBE_CANCELLED, at once
// Whose it is, for kube_cancel_owned; to be said before the loop runs again.
void kube_own(struct kube_request *r, const void *owner);
// Ends every request of that owner, with KUBE_CANCELLED. Others of this client go on.
void kube_cancel_owned(struct kube *k, const void *owner);
// The same, waiting on the loop. The reply's pointers live until *store is cleared.
void kube_send_wait(struct kube *k, const struct kube_call *c, struct kube_reply *reply,
                    struct buf *store);

// The object at a path, owned, or NULL in *out where there is none, nor its namespace. `what` is
// being done. cls, where it is not NULL, tells how it ended.
MUST_CHECK bool kube_read(struct kube *k, const char *path, int64_t patience_ms, const char *what,
                          json_t **out, enum kube_class *cls, struct err *err);

// Server-side apply of a body at an object path (kind_path).
struct kube_apply_opts {
    bool dry_run, force;
    const char *manager; // NULL: opts.field_manager
    int64_t patience_ms; // as in kube_call
};
struct kube_request *kube_apply(struct kube *k, const char *path, const char *body, size_t len,
                                const struct kube_apply_opts *o, kube_done_fn done, void *ctx);
// DELETE with uid precondition (uid NULL: none) and "Foreground", "Background" or "Orphan".
struct kube_request *kube_delete(struct kube *k, const char *path, const char *uid,
                                 const char *propagation, int64_t patience_ms, kube_done_fn done,
                                 void *ctx);

// ---- lists and watches ----
// One item of a LIST, or one watch event. The document lacks metadata.managedFields unless
// with_managed_fields; apiVersion and kind are always set. Lent for the call.
enum kube_event {
    KUBE_ITEM,
    KUBE_ADDED,
    KUBE_MODIFIED,
    KUBE_DELETED,
    KUBE_RESTARTED,
    KUBE_SYNCED,
    KUBE_GONE
};

struct kube_watch_opts {
    const struct kind_info *kind; // copied
    const char *namespace;        // NULL: all
    const char *labels;           // only with these: a selector, encoded, lent; NULL: all
    bool with_managed_fields;
    // Changes (not KUBE_ITEM) come without managedFields, and definitions without their schemas:
    // who only follows health parses a tenth.
    bool light_changes;
    bool list_only; // no watch after the list
    // Something of the kind was just written: another server that does not know it yet (404) is
    // asked again for a while.
    bool is_expected;
    // Every existing object comes as KUBE_ITEM, then one KUBE_SYNCED (doc NULL), then changes as
    // they happen. After a gap (410, a server that was down) existing objects come again as
    // KUBE_ITEM and another KUBE_SYNCED follows: what was not named in between is gone.
    // KUBE_RESTARTED (doc NULL): the list broke off in the middle, its items will come anew.
    // KUBE_GONE: the kind is no longer served; the watch has ended.
    void (*event)(void *ctx, enum kube_event ev, json_t *doc);
    // The list could not be had (403, 404 at the start, ...): the watch has ended. NULL is allowed.
    void (*failed)(void *ctx, const struct kube_reply *r);
    void *ctx;
};
struct kube_watch;
struct kube_watch *kube_watch(struct kube *k, const struct kube_watch_opts *o);
void kube_watch_stop(struct kube_watch *w); // no callback after it
// One that was to list only goes on to watch, from its list on.
void kube_watch_follow(struct kube_watch *w);
// When (clock_mono_ms) the list of which items come, or have come last, was begun: what has been
// written since may be missing in it.
int64_t kube_watch_list_ms(const struct kube_watch *w);
size_t kube_lists_done(const struct kube *k, const char *group, const char *kind); // for tests

// Counters of this client, for summaries and tests.
struct kube_stats {
    unsigned long requests, writes, probes, rejected, throttled, lost, lists;
};
struct kube_stats kube_stats(const struct kube *k);
// True while the connection is considered lost (writes should be held back).
bool kube_is_down(const struct kube *k);
// How long something has been asked without a single byte coming back; 0 while there are answers.
int64_t kube_unanswered_ms(const struct kube *k);
// Ends every request that is not urgent, with KUBE_CANCELLED: the process has no more time.
void kube_cancel_all(struct kube *k);
// After a burst of requests: lets go of what is kept for the next ones.
void kube_tidy(struct kube *k);

#endif
