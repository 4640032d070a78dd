// SPDX-License-Identifier: Apache-2.0
//
// The serving side of the controller: metrics, health, a JSON API with server-sent events, pushes
// of Git hosts, the status page; over libmicrohttpd, driven by our own loop, without a thread.
//
// Life: web_server_new binds the socket and starts; from then on everything happens in the loop, by
// the hooks; web_server_free cuts what is open. Who may ask is asked of the API server (TokenReview
// and SubjectAccessReview); without that, or without TLS, only loopback is listened on. The room
// knows no plan and no source: what it shows comes from hooks, as documents (docs/serving.md).
#ifndef WEB_WEB_H
#define WEB_WEB_H

#include "base/event.h"
#include "base/loop.h"
#include "base/prom.h"
#include "kube/kube.h"

// What a Git host says was pushed. All of it is lent for the call.
struct web_push {
    const char *host;   // "github", "gitlab", "gitea" or "generic"
    struct strv repos;  // the URLs by which the host names the repository, at least one
    const char *ref;    // "refs/heads/main", "refs/tags/v1"
    const char *before; // commit, NULL: the ref is new
    const char *after;  // commit, NULL: the ref is gone, or nobody says
    bool is_default;    // the ref is the repository's default branch (what HEAD means)
    bool has_paths;     // `paths` is complete: nothing else was changed
    struct strv paths;  // changed files, from the repository's root
};

// All are called from the loop, and may do nothing but answer: what takes time begins in them.
struct web_hooks {
    // Documents of docs/serving.md, owned by the caller. NULL: this replica stands by and knows
    // none; of application: there is none of that name.
    json_t *(*applications)(void *ctx);
    json_t *(*application)(void *ctx, const char *name);
    json_t *(*fleet)(void *ctx);
    // The controller's families (docs/metrics.md), by web_metric_*. Those about the process, the
    // server itself and about each application (out of `applications`) come from here.
    void (*metrics)(void *ctx, struct buf *out);
    // Whether traffic and an update's next step may come; if not, *why is owned by the caller.
    bool (*ready)(void *ctx, char **why);
    void (*pushed)(void *ctx, const struct web_push *push);
    // "refresh", "sync", "suspend" or "resume"; args is an object, lent. `who` is the user's name.
    // The message of any error but INTERNAL is shown.
    bool (*act)(void *ctx, const char *app, const char *action, const json_t *args, const char *who,
                struct err *err);
    void *ctx;
};

enum web_auth {
    WEB_AUTH_NONE,   // everybody who reaches loopback
    WEB_AUTH_REVIEW, // bearer tokens, asked of the API server
};

// 0 in any of them: what docs/serving.md says.
struct web_limits {
    unsigned connections, per_address, streams;
    size_t body_bytes, replay_bytes;
    int64_t header_ms, body_ms, answer_ms, idle_ms, stream_ms, heartbeat_ms;
    int64_t allowed_ms, denied_ms; // for so long an answer to a review counts
    int64_t reload_ms;             // between two looks at the certificate's files
};

struct web_opts {
    const char *listen;                 // "127.0.0.1:8080", "[::1]:0", ":8443"
    const char *tls_cert, *tls_key;     // PEM files; both or none
    const char *tls_dir;                // or a folder, in which tls.crt and tls.key come to be
    bool self_signed;                   // without files: a certificate of our own, made at start
    const struct strv *webhook_secrets; // files of one secret each
    const char *webhook_secret_dir;     // a folder of such files; without any pushes are refused
    enum web_auth auth;
    struct kube *kube;     // for reviews
    const char *namespace; // of Applications, in reviews; NULL: asked for all namespaces
    struct web_limits limits;
    const struct event_sink *events; // web.* of docs/events.md; never our own sink
    const struct web_hooks *hooks;   // lent, as is all else (kube too), until web_server_free
};

// What can be said of them before anything is connected to: address, certificate, secrets.
MUST_CHECK bool web_opts_check(const struct web_opts *o, struct err *err);

struct web_server;
MUST_CHECK bool web_server_new(struct loop *l, const struct web_opts *o, struct web_server **out,
                               struct err *err);
void web_server_free(struct web_server *w);
CLEANUP_FN(struct web_server, web_server_free, web_server_freep);
unsigned web_server_port(const struct web_server *w);
// What it takes goes out to everybody who follows /api/v1/events.
const struct event_sink *web_server_sink(struct web_server *w);

// Metrics by the list in web/metrics.inc, which docs/metrics.md, dashboard and alert rules are
// held against: a name that is not in it is a programming mistake. A family's head, then its
// samples (prom_sample, prom_histogram), before the next family.
void web_metric_family(struct buf *out, const char *name);
// A family of one sample without labels.
void web_metric(struct buf *out, const char *name, double value);
// The families regrow_kube_*, by what the client counted.
void web_metrics_kube(struct buf *out, const struct kube *k);

#endif
