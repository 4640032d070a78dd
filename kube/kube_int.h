// SPDX-License-Identifier: Apache-2.0
//
// Private to kube:
//
//   kubeconfig.c  files to one resolved context
//   exec.c        credential plugins
//   transport.c   curl in the loop: multi handles, transfers, the lost server
//   request.c     one request: retries, answers, counters
//   classify.c    what an answer means
//   discovery.c   version, kinds, the cluster's name
//   split.c       LIST item by item
//   watch.c       LIST, then WATCH, for ever
#ifndef KUBE_KUBE_INT_H
#define KUBE_KUBE_INT_H

#include <curl/curl.h>

#include "base/clock.h"
#include "base/vec.h"
#include "kube/kube.h"

#define KUBE_WATCHES_PER_CONNECTION 90

struct exec_plugin {
    json_t *spec; // command, args, env, apiVersion, provideClusterInfo, interactiveMode
    json_t *cluster_info;
};

struct kubeconfig {
    char *context, *server, *namespace;
    struct buf ca, cert, key; // PEM
    char *token, *token_file, *username, *password;
    char *proxy_url, *tls_server_name, *as_user;
    struct exec_plugin *exec;
    int64_t expires_unix_ms; // of what the plugin gave; 0: never
    bool insecure;
};

// Fetches (again) what a plugin or token file gives. True when there was something to fetch.
bool credentials_refresh(struct kubeconfig *c, bool *changed, struct err *err);
bool exec_plugin_run(struct kubeconfig *c, struct err *err);

// ---- transport ----
struct multi {
    struct kube *k;
    CURLM *m;
    struct loop_timer *timer;
    unsigned running;
    bool is_retired, is_watching;
    struct multi *next_retired;
};

// One exchange on the wire.
struct transfer {
    struct kube *k;
    struct multi *multi;
    CURL *easy;
    struct curl_slist *headers;
    char error[CURL_ERROR_SIZE];
    int64_t retry_after_ms;
    char *content_type, *warning;
    size_t (*on_data)(struct transfer *t, const char *p, size_t len);
    void (*on_end)(struct transfer *t, CURLcode code, long http);
    bool is_added;
};

struct kube {
    struct loop *loop;
    const struct kubeconfig *config;
    struct kube_opts opts;
    char *user_agent, *manager;
    struct multi *work, *watch, *retired;
    struct loop_timer *retire_timer;
    VEC(CURL *) idle; // handles kept for reuse
    struct curl_slist *resolve_to;
    char *base_url, *auth_header, *host_header;
    struct kube_stats stats;
    bool is_down, is_freeing;
    struct transfer *probe; // of /readyz, under way
    struct loop_timer *probe_timer;
    int64_t probe_backoff_ms;
    CURLcode last_code;
    char *version, *cluster_uid;
    int minor;
    struct strv stale_groups;
    VEC(struct kube_request *) requests; // those under way
    VEC(struct kube_watch *) watches;
    unsigned lists_in_flight;
    json_t *lists_done;
};

bool transport_open(struct kube *k, struct err *err);
void transport_close(struct kube *k);
// Fills a transfer's easy handle for method and path; the caller adds body and starts it.
void transfer_init(struct transfer *t, struct kube *k, const char *method, const char *path,
                   const char *accept, const char *content_type);
void transfer_start(struct transfer *t, struct multi *m);
void transfer_clear(struct transfer *t); // stops it if it runs
void kube_lost(struct kube *k);          // the server does not answer: wait for /readyz
// Is this a failure after which an idempotent request may simply be sent again?
bool is_connection_error(CURLcode c);

// ---- classification ----
// Fills cls and the texts of a reply from its http code and body. Texts live in *store.
void classify(struct kube_reply *r, const char *content_type, struct buf *store);

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

#endif
