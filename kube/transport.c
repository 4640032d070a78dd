// SPDX-License-Identifier: Apache-2.0
//
// curl inside the loop. Two multi handles: watches hold streams open for ever and would starve
// writes on a shared connection (spec c-libraries section 1.2). A dead peer's multi is thrown away
// as a whole, because curl goes on using its connection.
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "kube/kube_int.h"

// One request has a connection of its own where the server, or a proxy before it, speaks HTTP/1.1.
#define HTTP1_CONNECTIONS 56L
// One carries everything; those the server has said GOAWAY on are open until their last answer.
#define HTTP2_CONNECTIONS 8L

struct sock {
    struct multi *m;
    curl_socket_t fd;
};

static void drain(struct multi *m);

static void act(struct multi *m, curl_socket_t fd, int mask)
{
    int running;
    curl_multi_socket_action(m->m, fd, mask, &running);
    drain(m);
}

static void on_socket(void *ctx, uint32_t events)
{
    struct sock *s = ctx;
    int mask = (events & (EPOLLIN | EPOLLHUP) ? CURL_CSELECT_IN : 0) |
               (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
               (events & EPOLLERR ? CURL_CSELECT_ERR : 0);
    act(s->m, s->fd, mask);
}

static int socket_cb(CURL *easy, curl_socket_t fd, int what, void *ctx, void *sock)
{
    (void)easy;
    struct multi *m = ctx;
    struct sock *s = sock;
    if (what == CURL_POLL_REMOVE) {
        loop_fd_del(m->k->loop, fd);
        free(s);
        return 0;
    }
    if (!s) {
        s = mem_alloc(sizeof(*s));
        s->m = m;
        s->fd = fd;
        curl_multi_assign(m->m, fd, s);
    }
    uint32_t events = (what & CURL_POLL_IN ? (uint32_t)EPOLLIN : 0) |
                      (what & CURL_POLL_OUT ? (uint32_t)EPOLLOUT : 0);
    loop_fd_set(m->k->loop, fd, events, on_socket, s);
    return 0;
}

static int timer_cb(CURLM *cm, long ms, void *ctx)
{
    (void)cm;
    struct multi *m = ctx;
    if (ms < 0)
        loop_timer_stop(m->timer);
    else
        loop_timer_set(m->timer, ms);
    return 0;
}

static void on_timer(void *ctx)
{
    act(ctx, CURL_SOCKET_TIMEOUT, 0);
}

// ---- what runs in a multi ----
static void forget(struct multi *m, const struct transfer *t)
{
    for (size_t i = 0; i < m->running.len; i++) {
        if (m->running.v[i] == t) {
            m->running.v[i] = m->running.v[--m->running.len];
            return;
        }
    }
}

static void drain(struct multi *m)
{
    struct kube *k = m->k;
    if (k->saw_http1 != k->is_http1) {
        k->is_http1 = k->saw_http1;
        multi_apply_limits(k->work);
        multi_apply_limits(k->watch);
    }
    CURLMsg *msg;
    int left;
    while ((msg = curl_multi_info_read(m->m, &left))) {
        if (msg->msg != CURLMSG_DONE)
            continue;
        struct transfer *t = NULL;
        long http = 0;
        CURL *easy = msg->easy_handle;
        CURLcode code = msg->data.result;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&t);
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &http);
        if (!t)
            continue; // an orphan; it is removed when the loop comes to it
        curl_multi_remove_handle(m->m, easy);
        t->is_added = false;
        forget(m, t);
        t->on_end(t, code, http);
    }
}

void multi_apply_limits(struct multi *m)
{
    const struct kube *k = m->k;
    // A watch outlives the GOAWAY on its connection by up to half an hour, so that each may be on
    // one of its own; curl opens no other while one takes more streams.
    long limit = m->is_watching ? (long)m->running.len + 2
                 : k->is_http1  ? HTTP1_CONNECTIONS
                                : HTTP2_CONNECTIONS;
    curl_multi_setopt(m->m, CURLMOPT_MAX_HOST_CONNECTIONS, limit);
    if (k->is_http1) // one that is idle is kept, or every request pays for a new one
        curl_multi_setopt(m->m, CURLMOPT_MAXCONNECTS, limit);
}

static void multi_open(struct multi *m)
{
    m->m = curl_multi_init();
    curl_multi_setopt(m->m, CURLMOPT_SOCKETFUNCTION, socket_cb);
    curl_multi_setopt(m->m, CURLMOPT_SOCKETDATA, m);
    curl_multi_setopt(m->m, CURLMOPT_TIMERFUNCTION, timer_cb);
    curl_multi_setopt(m->m, CURLMOPT_TIMERDATA, m);
    curl_multi_setopt(m->m, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
    curl_multi_setopt(m->m, CURLMOPT_MAX_CONCURRENT_STREAMS, (long)STREAMS_PER_CONNECTION);
    multi_apply_limits(m);
}

static struct multi *multi_new(struct kube *k, bool is_watching)
{
    struct multi *m = mem_alloc(sizeof(*m));
    m->k = k;
    m->is_watching = is_watching;
    m->timer = loop_timer_new(k->loop, on_timer, m);
    multi_open(m);
    return m;
}

static void multi_free(struct multi *m)
{
    if (!m)
        return;
    curl_multi_cleanup(m->m);
    vec_clear(&m->running);
    loop_timer_free(m->timer);
    loop_timer_free(m->ping_timer);
    free(m);
}

// Every connection goes; what ran on them ends like a connection that broke.
static void discard(struct multi *m)
{
    struct transfer **lost = m->running.v;
    size_t n = m->running.len;
    m->running.v = NULL;
    m->running.len = m->running.cap = 0;
    m->is_dead = false;
    for (size_t i = 0; i < n; i++) {
        curl_multi_remove_handle(m->m, lost[i]->easy);
        lost[i]->is_added = false;
    }
    loop_timer_stop(m->timer);
    curl_multi_cleanup(m->m);
    multi_open(m);
    for (size_t i = 0; i < n; i++) {
        strcpy(lost[i]->error, "the connection is dead");
        lost[i]->on_end(lost[i], CURLE_RECV_ERROR, 0);
    }
    free(lost);
}

void multi_kill(struct multi *m)
{
    m->is_dead = true;
    loop_timer_set(m->k->tidy_timer, 0);
}

// ---- starting and stopping ----
static void add(struct transfer *t)
{
    struct multi *m = t->multi;
    t->is_added = true;
    *vec_push(&m->running) = t;
    if (m->is_watching)
        multi_apply_limits(m);
    alive_watch_over(m);
    curl_multi_add_handle(m->m, t->easy);
}

void transfer_start(struct transfer *t, struct multi *m)
{
    struct kube *k = t->k;
    t->multi = m;
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
    *vec_push(&k->orphans) = (struct orphan){e, t->multi->m, t->headers};
    loop_timer_set(k->tidy_timer, 0);
    t->easy = NULL;
    t->headers = NULL;
}

static void bury_orphans(struct kube *k)
{
    for (size_t i = 0; i < k->orphans.len; i++) {
        const struct orphan *o = &k->orphans.v[i];
        curl_multi_remove_handle(o->multi, o->easy);
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
        forget(t->multi, t);
        if (k->in_callback)
            make_orphan(t);
        else
            curl_multi_remove_handle(t->multi->m, t->easy);
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
    struct multi *all[] = {k->work, k->watch};
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
    k->work = multi_new(k, false);
    k->watch = multi_new(k, true);
}

void transport_close(struct kube *k)
{
    bury_orphans(k);
    vec_clear(&k->orphans);
    vec_clear(&k->deferred);
    for (size_t i = 0; i < k->idle.len; i++)
        curl_easy_cleanup(k->idle.v[i]);
    vec_clear(&k->idle);
    multi_free(k->work);
    multi_free(k->watch);
    loop_timer_free(k->tidy_timer);
    curl_slist_free_all(k->resolve_to);
    free(k->base_url);
    free(k->host_header);
}
