// SPDX-License-Identifier: Apache-2.0
//
// curl inside the loop. Two multi handles: watches hold streams open for ever and would starve
// writes on a shared connection (spec c-libraries section 1.2). A dead peer's multi is thrown away
// as a whole, because curl goes on using its connection.
#include <stdlib.h>
#include <string.h>

#include "kube/kube_int.h"

// One request has a connection of its own where the server, or a proxy before it, speaks HTTP/1.1.
#define HTTP1_CONNECTIONS 56L
// One carries everything; those the server has said GOAWAY on are open until their last answer.
#define HTTP2_CONNECTIONS 8L

// ---- what runs in a lane ----
static void forget(struct lane *l, const struct transfer *t)
{
    for (size_t i = 0; i < l->running.len; i++) {
        if (l->running.v[i] == t) {
            l->running.v[i] = l->running.v[--l->running.len];
            return;
        }
    }
}

static void on_done(void *ctx, CURLcode code)
{
    struct transfer *t = ctx;
    long http = 0;
    if (!t)
        return; // an orphan
    struct kube *k = t->k;
    if (k->saw_http1 != k->is_http1) {
        k->is_http1 = k->saw_http1;
        lane_apply_limits(k->work);
        lane_apply_limits(k->watch);
    }
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &http);
    t->is_added = false;
    forget(t->lane, t);
    t->on_end(t, code, http);
}

void lane_apply_limits(struct lane *l)
{
    const struct kube *k = l->k;
    // A watch outlives the GOAWAY on its connection by up to half an hour, so that each may be on
    // one of its own; curl opens no other while one takes more streams.
    long limit = l->is_watching ? (long)l->running.len + 2
                 : k->is_http1  ? HTTP1_CONNECTIONS
                                : HTTP2_CONNECTIONS;
    curl_multi_setopt(multi_curl(l->m), CURLMOPT_MAX_HOST_CONNECTIONS, limit);
    if (k->is_http1) // one that is idle is kept, or every request pays for a new one
        curl_multi_setopt(multi_curl(l->m), CURLMOPT_MAXCONNECTS, limit);
}

static void open_multi(struct lane *l)
{
    l->m = multi_new(l->k->loop, on_done);
    curl_multi_setopt(multi_curl(l->m), CURLMOPT_MAX_CONCURRENT_STREAMS,
                      (long)STREAMS_PER_CONNECTION);
    lane_apply_limits(l);
}

static struct lane *lane_new(struct kube *k, bool is_watching)
{
    struct lane *l = mem_alloc(sizeof(*l));
    l->k = k;
    l->is_watching = is_watching;
    open_multi(l);
    return l;
}

static void lane_free(struct lane *l)
{
    if (!l)
        return;
    multi_free(l->m);
    vec_clear(&l->running);
    loop_timer_free(l->ping_timer);
    free(l);
}

// Every connection goes; what ran on them ends like a connection that broke.
static void discard(struct lane *l)
{
    struct transfer **lost = l->running.v;
    size_t n = l->running.len;
    l->running.v = NULL;
    l->running.len = l->running.cap = 0;
    l->is_dead = false;
    for (size_t i = 0; i < n; i++) {
        multi_remove(l->m, lost[i]->easy);
        lost[i]->is_added = false;
    }
    multi_free(l->m);
    open_multi(l);
    for (size_t i = 0; i < n; i++) {
        strcpy(lost[i]->error, "the connection is dead");
        lost[i]->on_end(lost[i], CURLE_RECV_ERROR, 0);
    }
    free(lost);
}

void lane_kill(struct lane *l)
{
    l->is_dead = true;
    loop_timer_set(l->k->tidy_timer, 0);
}

// ---- starting and stopping ----
static void add(struct transfer *t)
{
    struct lane *l = t->lane;
    t->is_added = true;
    *vec_push(&l->running) = t;
    if (l->is_watching)
        lane_apply_limits(l);
    alive_watch_over(l);
    multi_add(l->m, t->easy);
}

void transfer_start(struct transfer *t, struct lane *l)
{
    struct kube *k = t->k;
    t->lane = l;
    if (!k->in_callback) {
        add(t);
        return;
    }
    // curl refuses new handles while it is calling us.
    t->is_deferred = true;
    *vec_push(&k->deferred) = t;
    loop_timer_set(k->tidy_timer, 0);
}

static size_t swallow(char *p, size_t size, size_t n, void *ctx)
{
    (void)p;
    (void)ctx;
    return size * n;
}

static void make_orphan(struct transfer *t)
{
    struct kube *k = t->k;
    CURL *e = t->easy;
    curl_easy_setopt(e, CURLOPT_PRIVATE, NULL);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, NULL);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, swallow);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, swallow);
    *vec_push(&k->orphans) = (struct orphan){e, t->lane->m, t->headers};
    loop_timer_set(k->tidy_timer, 0);
    t->easy = NULL;
    t->headers = NULL;
}

static void bury_orphans(struct kube *k)
{
    for (size_t i = 0; i < k->orphans.len; i++) {
        const struct orphan *o = &k->orphans.v[i];
        multi_remove(o->multi, o->easy);
        curl_easy_cleanup(o->easy);
        curl_slist_free_all(o->headers);
    }
    k->orphans.len = 0;
}

static void undefer(struct kube *k, const struct transfer *t)
{
    for (size_t i = 0; i < k->deferred.len; i++)
        if (k->deferred.v[i] == t)
            k->deferred.v[i] = NULL;
}

void transfer_clear(struct transfer *t)
{
    struct kube *k = t->k;
    if (!t->easy)
        return;
    if (t->is_deferred)
        undefer(k, t);
    if (t->is_added) {
        forget(t->lane, t);
        if (k->in_callback)
            make_orphan(t);
        else
            multi_remove(t->lane->m, t->easy);
    }
    if (t->easy && k->idle.len < STREAMS_PER_CONNECTION && !k->is_freeing) {
        curl_easy_reset(t->easy);
        *vec_push(&k->idle) = t->easy;
    } else if (t->easy) {
        curl_easy_cleanup(t->easy);
    }
    curl_slist_free_all(t->headers);
    free(t->content_type);
    free(t->warning);
    *t = (struct transfer){.k = k};
}

// What could not be done inside a callback of curl.
static void on_tidy(void *ctx)
{
    struct kube *k = ctx;
    bury_orphans(k);
    for (size_t i = 0; i < k->deferred.len; i++) {
        struct transfer *t = k->deferred.v[i];
        if (!t)
            continue;
        t->is_deferred = false;
        add(t);
    }
    k->deferred.len = 0;
    struct lane *all[] = {k->work, k->watch};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (all[i]->is_dead)
            discard(all[i]);
}

// ---- the client's connections ----
// "https://host:port/base" with tls-server-name in place of the host, and where to connect really.
static void set_server_name(struct kube *k)
{
    const char *name = k->config->tls_server_name;
    const char *sep = strstr(k->base_url, "://");
    if (!name || !sep)
        return;
    const char *host = sep + 3;
    size_t n = strcspn(host, "/");
    CLEANUP(str_freep) char *authority = str_ndup(host, n);
    const char *colon = strrchr(authority, ':');
    bool has_port = colon && !strchr(colon, ']');
    CLEANUP(str_freep)
    char *to = str_printf("::%s%s", authority, has_port ? "" : ":443");
    CLEANUP(str_freep)
    char *url = str_printf("%.*s://%s%s%s", (int)(sep - k->base_url), k->base_url, name,
                           has_port ? colon : "", host + n);
    k->resolve_to = curl_slist_append(NULL, to);
    k->host_header = str_printf("Host: %s", authority);
    str_set(&k->base_url, url);
}

static bool is_loopback(const char *url)
{
    const char *sep = strstr(url, "://");
    const char *host = sep ? sep + 3 : url;
    return str_starts(host, "127.") || str_starts(host, "[::1]") ||
           (str_starts(host, "localhost") && strchr(":/", host[9]));
}

void transport_open(struct kube *k)
{
    k->base_url = str_dup(k->config->server);
    size_t n = strlen(k->base_url);
    while (n && k->base_url[n - 1] == '/')
        k->base_url[--n] = 0;
    k->is_loopback = is_loopback(k->base_url);
    k->is_http1 = k->saw_http1 = str_starts(k->base_url, "http://");
    set_server_name(k);
    k->tidy_timer = loop_timer_new(k->loop, on_tidy, k);
    k->work = lane_new(k, false);
    k->watch = lane_new(k, true);
}

static void drop_idle(struct kube *k)
{
    for (size_t i = 0; i < k->idle.len; i++)
        curl_easy_cleanup(k->idle.v[i]);
    vec_clear(&k->idle);
}

// Each has buffers of some 80 kB.
void kube_tidy(struct kube *k)
{
    drop_idle(k);
    watches_tidy(k);
}

void transport_close(struct kube *k)
{
    bury_orphans(k);
    vec_clear(&k->orphans);
    vec_clear(&k->deferred);
    drop_idle(k);
    lane_free(k->work);
    lane_free(k->watch);
    loop_timer_free(k->tidy_timer);
    curl_slist_free_all(k->resolve_to);
    free(k->base_url);
    free(k->host_header);
}
