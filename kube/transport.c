// SPDX-License-Identifier: Apache-2.0
//
// curl inside the loop. Two multi handles: watches hold streams open for ever and would starve
// writes on a shared connection (spec c-libraries section 1.2). A dead peer's multi is retired as
// a whole, because curl goes on using its connection.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "kube/kube_int.h"

#define CONNECT_MS 10000L
#define USER_TIMEOUT_MS 30000
#define MAX_IDLE 64

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

static void on_retire(void *ctx)
{
    struct kube *k = ctx;
    struct multi **at = &k->retired;
    while (*at) {
        struct multi *m = *at;
        if (m->running) {
            at = &m->next_retired;
            continue;
        }
        *at = m->next_retired;
        curl_multi_cleanup(m->m);
        loop_timer_free(m->timer);
        free(m);
    }
}

static void drain(struct multi *m)
{
    CURLMsg *msg;
    int left;
    while ((msg = curl_multi_info_read(m->m, &left))) {
        if (msg->msg != CURLMSG_DONE)
            continue;
        struct transfer *t = NULL;
        long http = 0;
        CURLcode code = msg->data.result;
        curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&t);
        curl_easy_getinfo(msg->easy_handle, CURLINFO_RESPONSE_CODE, &http);
        curl_multi_remove_handle(m->m, msg->easy_handle);
        t->is_added = false;
        m->running--;
        t->on_end(t, code, http);
    }
    if (m->is_retired && !m->running)
        loop_timer_set(m->k->retire_timer, 0);
}

static struct multi *multi_new(struct kube *k, bool is_watching)
{
    struct multi *m = mem_alloc(sizeof(*m));
    m->k = k;
    m->is_watching = is_watching;
    m->m = curl_multi_init();
    m->timer = loop_timer_new(k->loop, on_timer, m);
    curl_multi_setopt(m->m, CURLMOPT_SOCKETFUNCTION, socket_cb);
    curl_multi_setopt(m->m, CURLMOPT_SOCKETDATA, m);
    curl_multi_setopt(m->m, CURLMOPT_TIMERFUNCTION, timer_cb);
    curl_multi_setopt(m->m, CURLMOPT_TIMERDATA, m);
    curl_multi_setopt(m->m, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
    curl_multi_setopt(m->m, CURLMOPT_MAX_CONCURRENT_STREAMS, (long)KUBE_WATCHES_PER_CONNECTION);
    curl_multi_setopt(m->m, CURLMOPT_MAX_HOST_CONNECTIONS, 2L);
    return m;
}

static void retire(struct kube *k, struct multi **slot)
{
    struct multi *m = *slot;
    m->is_retired = true;
    m->next_retired = k->retired;
    k->retired = m;
    *slot = multi_new(k, m->is_watching);
    if (!m->running)
        loop_timer_set(k->retire_timer, 0);
}

bool is_connection_error(CURLcode c)
{
    return c == CURLE_HTTP2 || c == CURLE_PARTIAL_FILE || c == CURLE_GOT_NOTHING ||
           c == CURLE_SEND_ERROR || c == CURLE_RECV_ERROR || c == CURLE_HTTP2_STREAM;
}

static int on_sockopt(void *ctx, curl_socket_t fd, curlsocktype purpose)
{
    (void)ctx;
    (void)purpose;
    unsigned ms = USER_TIMEOUT_MS;
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
    return CURL_SOCKOPT_OK;
}

static size_t on_write(char *p, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    return t->on_data(t, p, size * n);
}

static char *header_value(const char *p, size_t len, const char *name)
{
    size_t n = strlen(name);
    if (len <= n || strncasecmp(p, name, n) != 0)
        return NULL;
    p += n;
    len -= n;
    while (len && (*p == ' ' || *p == '\t')) {
        p++;
        len--;
    }
    while (len && (p[len - 1] == '\r' || p[len - 1] == '\n' || p[len - 1] == ' '))
        len--;
    return str_ndup(p, len < 4096 ? len : 4096);
}

static size_t on_header(char *p, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    char *v;
    long long seconds;
    if ((v = header_value(p, size * n, "retry-after:"))) {
        if (str_to_int(v, 0, 3600, &seconds))
            t->retry_after_ms = seconds * 1000;
        free(v);
    } else if ((v = header_value(p, size * n, "content-type:"))) {
        free(t->content_type);
        t->content_type = v;
    } else if ((v = header_value(p, size * n, "warning:"))) {
        free(t->warning);
        t->warning = v;
    }
    return size * n;
}

static void set_blob(CURL *e, CURLoption opt, const struct buf *b)
{
    if (!b->len)
        return;
    struct curl_blob blob = {.data = b->p, .len = b->len, .flags = CURL_BLOB_NOCOPY};
    curl_easy_setopt(e, opt, &blob);
}

static void set_identity(CURL *e, const struct kube *k)
{
    const struct kubeconfig *c = k->config;
    set_blob(e, CURLOPT_CAINFO_BLOB, &c->ca);
    set_blob(e, CURLOPT_SSLCERT_BLOB, &c->cert);
    set_blob(e, CURLOPT_SSLKEY_BLOB, &c->key);
    if (c->insecure) {
        curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (c->username) {
        curl_easy_setopt(e, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        curl_easy_setopt(e, CURLOPT_USERNAME, c->username);
        curl_easy_setopt(e, CURLOPT_PASSWORD, c->password ? c->password : "");
    }
    if (c->proxy_url)
        curl_easy_setopt(e, CURLOPT_PROXY, c->proxy_url);
    if (k->resolve_to)
        curl_easy_setopt(e, CURLOPT_CONNECT_TO, k->resolve_to);
}

static void add_header(struct transfer *t, const char *name, const char *value)
{
    CLEANUP(str_freep) char *h = str_printf("%s: %s", name, value);
    t->headers = curl_slist_append(t->headers, h);
}

void transfer_init(struct transfer *t, struct kube *k, const char *method, const char *path,
                   const char *accept, const char *content_type)
{
    t->k = k;
    t->retry_after_ms = -1;
    t->easy = k->idle.len ? k->idle.v[--k->idle.len] : curl_easy_init();
    CURL *e = t->easy;
    CLEANUP(str_freep) char *url = str_printf("%s%s", k->base_url, path);
    curl_easy_setopt(e, CURLOPT_URL, url);
    curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(e, CURLOPT_PRIVATE, t);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_write);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->error);
    curl_easy_setopt(e, CURLOPT_SOCKOPTFUNCTION, on_sockopt);
    curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(e, CURLOPT_PIPEWAIT, 1L);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
    curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(e, CURLOPT_USERAGENT, k->user_agent);
    set_identity(e, k);
    add_header(t, "Accept", accept ? accept : "application/json");
    if (content_type)
        add_header(t, "Content-Type", content_type);
    t->headers = curl_slist_append(t->headers, "Expect:");
    if (k->auth_header)
        t->headers = curl_slist_append(t->headers, k->auth_header);
    if (k->host_header)
        t->headers = curl_slist_append(t->headers, k->host_header);
    if (k->config->as_user)
        add_header(t, "Impersonate-User", k->config->as_user);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, t->headers);
}

void transfer_start(struct transfer *t, struct multi *m)
{
    t->multi = m;
    t->is_added = true;
    m->running++;
    if (m->is_watching)
        curl_multi_setopt(m->m, CURLMOPT_MAX_HOST_CONNECTIONS,
                          (long)(m->running / KUBE_WATCHES_PER_CONNECTION + 2));
    curl_multi_add_handle(m->m, t->easy);
}

void transfer_clear(struct transfer *t)
{
    if (!t->easy)
        return;
    if (t->is_added) {
        curl_multi_remove_handle(t->multi->m, t->easy);
        t->multi->running--;
        t->is_added = false;
    }
    if (t->k->idle.len < MAX_IDLE && !t->k->is_freeing) {
        curl_easy_reset(t->easy);
        *vec_push(&t->k->idle) = t->easy;
    } else {
        curl_easy_cleanup(t->easy);
    }
    curl_slist_free_all(t->headers);
    free(t->content_type);
    free(t->warning);
    *t = (struct transfer){0};
}

// ---- the lost server ----
static size_t ignore_data(struct transfer *t, const char *p, size_t len)
{
    (void)t;
    (void)p;
    return len;
}

static void on_probe_end(struct transfer *t, CURLcode code, long http)
{
    struct kube *k = t->k;
    transfer_clear(t);
    free(t);
    k->probe = NULL;
    // 401 and 403 come from a server that is up and does not let us see its health.
    if (code == CURLE_OK && (http == 200 || http == 401 || http == 403)) {
        k->is_down = false;
        event_emit(k->opts.events, "kube.up", NULL);
        watches_wake(k);
        return;
    }
    k->probe_backoff_ms = k->probe_backoff_ms * 2 > 2000 ? 2000 : k->probe_backoff_ms * 2;
    loop_timer_set(k->probe_timer, k->probe_backoff_ms);
}

static void on_probe_timer(void *ctx)
{
    struct kube *k = ctx;
    struct transfer *t = mem_alloc(sizeof(*t));
    transfer_init(t, k, "GET", "/readyz", NULL, NULL);
    curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, 5000L);
    t->on_data = ignore_data;
    t->on_end = on_probe_end;
    k->probe = t;
    transfer_start(t, k->work);
}

void kube_lost(struct kube *k)
{
    if (k->is_down || k->is_freeing)
        return;
    k->is_down = true;
    event_emit(k->opts.events, "kube.down", "{s:s}", "server", k->config->server);
    retire(k, &k->work);
    k->probe_backoff_ms = 100;
    loop_timer_set(k->probe_timer, k->probe_backoff_ms);
}

bool kube_is_down(const struct kube *k)
{
    return k->is_down;
}

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

bool transport_open(struct kube *k, struct err *err)
{
    (void)err;
    k->base_url = str_dup(k->config->server);
    size_t n = strlen(k->base_url);
    while (n && k->base_url[n - 1] == '/')
        k->base_url[--n] = 0;
    set_server_name(k);
    k->retire_timer = loop_timer_new(k->loop, on_retire, k);
    k->probe_timer = loop_timer_new(k->loop, on_probe_timer, k);
    k->work = multi_new(k, false);
    k->watch = multi_new(k, true);
    return true;
}

static void multi_free(struct multi *m)
{
    if (!m)
        return;
    curl_multi_cleanup(m->m);
    loop_timer_free(m->timer);
    free(m);
}

void transport_close(struct kube *k)
{
    if (k->probe) {
        transfer_clear(k->probe);
        free(k->probe);
    }
    for (size_t i = 0; i < k->idle.len; i++)
        curl_easy_cleanup(k->idle.v[i]);
    vec_clear(&k->idle);
    multi_free(k->work);
    multi_free(k->watch);
    while (k->retired) {
        struct multi *m = k->retired;
        k->retired = m->next_retired;
        multi_free(m);
    }
    loop_timer_free(k->retire_timer);
    loop_timer_free(k->probe_timer);
    curl_slist_free_all(k->resolve_to);
    free(k->base_url);
    free(k->host_header);
}
