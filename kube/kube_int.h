// SPDX-License-Identifier: Apache-2.0
//
// Private to kube:
//
//   kubeconfig.c  files to one resolved context
//   kubeentry.c   what a cluster and a user entry say; the Pod's ServiceAccount
//   argocluster.c a cluster as a Secret of Argo CD registers it
//   exec.c        credential plugins and token files
//   auth.c        the credential while the client lives
//   transport.c   curl in the loop: two multi handles and what runs in them
//   transfer.c    one exchange: its curl handle, identity, headers
//   alive.c       dead peers, the lost server, answers that cannot be believed yet
//   request.c     the client; one request: admission, retries, counters
//   classify.c    what an answer means
//   safe_text.c   what may be printed of it
//   discovery.c   version, kinds, the cluster's name
//   split.c       LIST item by item
//   watch.c       LIST, then WATCH, for ever
#ifndef KUBE_KUBE_INT_H
#define KUBE_KUBE_INT_H

#include <curl/curl.h>

#include "base/clock.h"
#include "base/multi.h"
#include "base/vec.h"
#include "kube/kube.h"

// A server gives a connection 100 streams; what is beyond waits in curl without a time-out.
#define STREAMS_PER_CONNECTION 90

// ---- credentials ----
// Key of the folder of its file in an entry of a kubeconfig: no YAML key looks like it.
#define ENTRY_DIR                                                                                  \
    "\x01"                                                                                         \
    "dir"

struct exec_plugin {
    json_t *spec; // command, args, env, apiVersion, provideClusterInfo, interactiveMode
    json_t *cluster_info;
    char *command; // a path beside its file, or a name for PATH
};
void exec_plugin_free(struct exec_plugin *x);

struct kubeconfig {
    char *context, *server, *namespace;
    struct buf ca, cert, key; // PEM
    char *token, *token_file, *username, *password;
    char *proxy_url, *tls_server_name;
    char *as_user, *as_uid;
    json_t *as_groups, *as_extra; // list of text; map of lists of text
    json_t *exec_config;          // extensions of the cluster entry
    struct exec_plugin *exec;
    int64_t expires_unix_ms; // of what the plugin gave; 0: never
    int64_t token_read_ms;   // monotonic
    bool insecure;
    struct loop *loop; // while it is read: kubeconfig_opts.loop
};

bool entry_read_cluster(struct kubeconfig *c, const json_t *cluster, struct err *err);
bool entry_read_user(struct kubeconfig *c, const json_t *user, struct err *err); // NULL: anonymous
bool entry_in_cluster(struct kubeconfig *c, const char *namespace, bool *found, struct err *err);

// Whether it can stand in a header.
bool token_is_valid(const char *token);
bool token_file_read(struct kubeconfig *c, bool *changed, struct err *err);
bool exec_plugin_run(struct kubeconfig *c, struct loop *l, struct err *err); // l may be NULL
struct proc *exec_plugin_start(struct loop *l, struct kubeconfig *c,
                               void (*done)(void *ctx, struct err *err), void *ctx);

struct auth {
    char *header;        // "Authorization: ...", or NULL
    unsigned generation; // which credential; a new one is the next number
    bool was_accepted;   // this generation was, once
    char *problem;       // why the last fetch failed, or NULL
    struct proc *plugin; // under way
};
void auth_open(struct kube *k);
void auth_close(struct kube *k);
bool auth_explain(const struct kubeconfig *c, struct err *err); // a 401; always false
// False while a plugin is at work: wait. Starts it when what we have has run out.
bool auth_is_ready(struct kube *k);
void auth_accepted(struct kube *k, unsigned generation);
// A 401 to a request with this credential. True: there is, or soon will be, a newer one.
bool auth_refused(struct kube *k, unsigned generation);

// ---- transport ----
struct transfer;

// Requests and watches have one each.
struct lane {
    struct kube *k;
    struct multi *m;
    struct loop_timer *ping_timer;
    VEC(struct transfer *) running;
    bool is_watching;
    bool is_dead; // to be thrown away with its connections
    int64_t last_byte_ms;
    struct transfer *ping; // GET /version, under way
    unsigned pings_lost;
};

// One exchange on the wire.
struct transfer {
    struct kube *k;
    struct lane *lane;
    CURL *easy;
    struct curl_slist *headers;
    char error[CURL_ERROR_SIZE];
    int64_t retry_after_ms;
    char *content_type, *warning;
    size_t (*on_data)(struct transfer *t, const char *p, size_t len);
    void (*on_end)(struct transfer *t, CURLcode code, long http);
    unsigned generation; // of the credential it carries
    bool is_added, is_deferred;
};

// A handle that was let go inside one of curl's callbacks, where it cannot be removed.
struct orphan {
    CURL *easy;
    struct multi *multi;
    struct curl_slist *headers;
};

struct kube {
    struct loop *loop;
    struct kubeconfig *config;
    struct kube_opts opts;
    char *user_agent, *manager;
    struct lane *work, *watch;
    VEC(CURL *) idle; // handles kept for reuse
    VEC(struct transfer *) deferred;
    VEC(struct orphan) orphans;
    struct loop_timer *tidy_timer; // for what must not happen inside a callback of curl
    unsigned in_callback;
    struct curl_slist *resolve_to;
    char *base_url, *host_header;
    bool is_loopback, is_http1, saw_http1;
    struct auth auth;
    struct kube_stats stats;
    bool is_freeing;
    // alive.c
    bool is_down, is_trusted;
    int64_t asked_ms;                // of the first request since the last byte; 0: nothing is owed
    int64_t doubted_ms, answered_ms; // since when; when it first answered again, 0 not yet
    unsigned outages;
    struct transfer *probe; // of /readyz, under way
    struct loop_timer *probe_timer;
    int64_t probe_backoff_ms;
    CURLcode last_code;
    char *version, *cluster_uid;
    int minor;
    struct strv stale_groups;
    // request.c
    struct kube_request *requests;          // all of them
    struct kube_request *queue, *queue_end; // not sent yet
    unsigned in_flight;
    unsigned long serial;
    // watch.c
    VEC(struct kube_watch *) watches;
    unsigned lists_in_flight;
    json_t *lists_done;
};

void transport_open(struct kube *k);
void transport_close(struct kube *k);
void lane_apply_limits(struct lane *l); // connections allowed
void lane_kill(struct lane *l);         // soon: its transfers end with CURLE_RECV_ERROR
// Fills a transfer's easy handle for method and path; the caller adds body and starts it.
void transfer_init(struct transfer *t, struct kube *k, const char *method, const char *path,
                   const char *accept, const char *content_type);
void transfer_start(struct transfer *t, struct lane *l);
void transfer_clear(struct transfer *t); // stops it if it runs
long transfer_http(struct transfer *t);  // status so far, 0: none

// ---- alive ----
void alive_open(struct kube *k);
void alive_begin(struct kube *k); // asks whether the server is ready, for the first time
void alive_close(struct kube *k);
void alive_watch_over(struct lane *l); // something runs in it: see that bytes come
void alive_heard(struct lane *l);      // they do
// A transfer ended with this error: doubt the server, or hold it for lost.
void kube_failed(struct kube *k, CURLcode c);
// After a lost connection these say nothing yet: the server may be starting (spec kubernetes-api
// section 1.3).
bool kube_disbelieves(const struct kube *k, long http);
// Is this a failure after which an idempotent request may simply be sent again?
bool is_connection_error(CURLcode c);

// ---- requests ----
void requests_pump(struct kube *k);   // sends what may be sent
void requests_resume(struct kube *k); // those held back while the server was in doubt

// ---- classification ----
// What was asked: answers are read in its light, and what it holds is not printed.
struct asked {
    const char *method;
    const char *body; // as sent; may be NULL
    size_t body_len;
};
// Fills cls and the texts of a reply from its http code and body. Texts live in *store.
void classify(struct kube_reply *r, const struct asked *a, const char *content_type,
              struct buf *store);
// What may be printed of a Status: fields and short reasons, the policy's own words, never what
// the object holds.
void safe_text(const struct kube_reply *r, const json_t *status, const char *message,
               const struct asked *a, struct buf *out);
// The words of a validation error without the value it repeats; NULL when there are none. Owned.
char *safe_reason(const char *cause_message);

// ---- split ----
struct splitter {
    bool (*item)(void *ctx, const char *p, size_t len);
    void *ctx;
    struct buf head; // everything but the items
    struct buf item_bytes;
    unsigned depth;
    bool in_string, escaped, in_items, expect_items, saw_key;
    struct buf key;
    bool failed;
    const char *why;
};
// Feeds bytes of a LIST; false once it cannot be one (why says what).
bool split_feed(struct splitter *s, const char *p, size_t len);
void split_clear(struct splitter *s);

void watches_wake(struct kube *k); // the server is back
void watches_tidy(struct kube *k); // they keep no room for lines

#endif
