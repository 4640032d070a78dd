// SPDX-License-Identifier: Apache-2.0
#include "web/web_int.h"

#include <assert.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

#define SWEEP_MS 500
#define DRAIN_MS 60000           // an old certificate's connections
#define SILENCE_S 30             // libmicrohttpd's own: neither a byte read nor written
#define MEMORY_BYTES (32U << 10) // of one connection: request's head, answer's head and buffer
#define MAX_FRONTS 8
// Forward secrecy and authenticated encryption only.
#define PRIORITIES                                                                                 \
    "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:-DHE-RSA:-CIPHER-ALL:+AES-256-GCM:"        \
    "+AES-128-GCM:+CHACHA20-POLY1305:%SERVER_PRECEDENCE"

static const struct web_limits defaults = {
    .connections = 256,
    .per_address = 64,
    .streams = 64,
    .body_bytes = 64U << 10,
    .replay_bytes = 1U << 20,
    .header_ms = 10000,
    .body_ms = 20000,
    .answer_ms = 60000,
    .idle_ms = 60000,
    .stream_ms = 600000,
    .heartbeat_ms = 15000,
    .allowed_ms = 60000,
    .denied_ms = 10000,
    .reload_ms = 10000,
};

#define OR_DEFAULT(field) l->field = l->field ? l->field : defaults.field

static void fill_limits(struct web_limits *l)
{
    OR_DEFAULT(connections);
    OR_DEFAULT(per_address);
    OR_DEFAULT(streams);
    OR_DEFAULT(body_bytes);
    OR_DEFAULT(replay_bytes);
    OR_DEFAULT(header_ms);
    OR_DEFAULT(body_ms);
    OR_DEFAULT(answer_ms);
    OR_DEFAULT(idle_ms);
    OR_DEFAULT(stream_ms);
    OR_DEFAULT(heartbeat_ms);
    OR_DEFAULT(allowed_ms);
    OR_DEFAULT(denied_ms);
    OR_DEFAULT(reload_ms);
}

// ---- connections ----

static void sweep_soon(struct web_server *w)
{
    if (!loop_timer_is_set(w->sweep))
        loop_timer_set(w->sweep, SWEEP_MS);
}

static void on_connection(void *ctx, struct MHD_Connection *mhd, void **socket_ctx,
                          enum MHD_ConnectionNotificationCode code)
{
    struct front *f = ctx;
    struct conn *c = *socket_ctx;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *fd =
            MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
        *socket_ctx = c = mem_alloc(sizeof(*c));
        c->front = f;
        c->mhd = mhd;
        c->fd = fd ? fd->connect_fd : -1;
        c->deadline = clock_mono_ms() + f->w->limits.header_ms;
        c->next = f->conns;
        if (c->next)
            c->next->prev = c;
        f->conns = c;
        f->n_conns++;
        sweep_soon(f->w);
        return;
    }
    if (!c)
        return;
    *(c->prev ? &c->prev->next : &f->conns) = c->next;
    if (c->next)
        c->next->prev = c->prev;
    f->n_conns--;
    free(c);
    *socket_ctx = NULL;
}

// The daemon sees the end of its socket, and does the rest.
void web_cut(struct conn *c)
{
    c->deadline = 0;
    c->is_cut = true;
    shutdown(c->fd, SHUT_RDWR);
    c->front->w->counts.cut++;
    if (c->ask)
        web_resume(c->ask);
}

void web_suspend(struct ask *a)
{
    assert(!a->is_suspended);
    a->is_suspended = true;
    MHD_suspend_connection(a->conn->mhd);
}

void web_resume(struct ask *a)
{
    if (!a->is_suspended)
        return;
    a->is_suspended = false;
    if (!a->stream && a->conn->deadline == 0)
        a->conn->deadline = clock_mono_ms() + a->w->limits.body_ms;
    MHD_resume_connection(a->conn->mhd);
    loop_timer_set(a->conn->front->timer, 0);
}

// ---- fronts ----

void web_front_run(struct front *f)
{
    MHD_UNSIGNED_LONG_LONG ms;
    MHD_run(f->mhd);
    if (MHD_get_timeout(f->mhd, &ms) == MHD_YES)
        loop_timer_set(f->timer, ms > 60000 ? 60000 : (int64_t)ms);
    else
        loop_timer_stop(f->timer);
}

static void on_ready(void *ctx, uint32_t events)
{
    (void)events;
    web_front_run(ctx);
}

static void on_timeout(void *ctx)
{
    web_front_run(ctx);
}

// Taken apart by ourselves, once (web/uri.h).
static size_t leave_encoded(void *ctx, struct MHD_Connection *mhd, char *s)
{
    (void)ctx;
    (void)mhd;
    return strlen(s);
}

#define FUNCTION(fn) ((intptr_t)(fn))

static struct MHD_Daemon *start(struct front *f, int fd)
{
    const struct web_limits *l = &f->w->limits;
    struct MHD_OptionItem items[] = {
        {MHD_OPTION_LISTEN_SOCKET, fd, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, (intptr_t)l->connections, NULL},
        {MHD_OPTION_PER_IP_CONNECTION_LIMIT, (intptr_t)l->per_address, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, MEMORY_BYTES, NULL},
        {MHD_OPTION_CONNECTION_TIMEOUT, SILENCE_S, NULL},
        {MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL},
        {MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, NULL},
        {MHD_OPTION_NOTIFY_CONNECTION, FUNCTION(on_connection), f},
        {MHD_OPTION_NOTIFY_COMPLETED, FUNCTION(web_on_completed), f},
        {MHD_OPTION_URI_LOG_CALLBACK, FUNCTION(web_on_uri), f},
        {MHD_OPTION_UNESCAPE_CALLBACK, FUNCTION(leave_encoded), f},
        {MHD_OPTION_END, 0, NULL},
    };
    char priorities[] = PRIORITIES;
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, f->cert},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, f->key},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, priorities},
        {MHD_OPTION_END, 0, NULL},
    };
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | (f->cert ? MHD_USE_TLS : 0U);
    return MHD_start_daemon(flags, 0, NULL, NULL, web_on_request, f, MHD_OPTION_ARRAY, items,
                            MHD_OPTION_ARRAY, f->cert ? tls : tls + 3, MHD_OPTION_END);
}

static void front_free(struct front *f)
{
    struct web_server *w = f->w;
    for (struct front **at = &w->fronts; *at; at = &(*at)->next)
        if (*at == f) {
            *at = f->next;
            break;
        }
    if (f->mhd) {
        loop_fd_del(w->loop, f->epoll);
        MHD_stop_daemon(f->mhd);
    }
    loop_timer_free(f->timer);
    if (f->key)
        OPENSSL_cleanse(f->key, strlen(f->key));
    free(f->key);
    free(f->cert);
    free(f);
}

bool web_front_add(struct web_server *w, char *cert, char *key, struct err *err)
{
    struct front *f = mem_alloc(sizeof(*f));
    f->w = w;
    f->cert = cert;
    f->key = key;
    f->timer = loop_timer_new(w->loop, on_timeout, f);
    int fd = fcntl(w->listen_fd, F_DUPFD_CLOEXEC, 3); // it closes its own
    f->mhd = fd < 0 ? NULL : start(f, fd);
    if (!f->mhd) {
        if (fd >= 0)
            close(fd);
        front_free(f);
        return err_set(err, ERR_INTERNAL, "the server did not start");
    }
    const union MHD_DaemonInfo *epoll = MHD_get_daemon_info(f->mhd, MHD_DAEMON_INFO_EPOLL_FD);
    f->epoll = epoll->epoll_fd;
    f->next = w->fronts;
    w->fronts = f;
    loop_fd_set(w->loop, f->epoll, EPOLLIN, on_ready, f);
    web_front_run(f);
    return true;
}

// It accepts no more, and what it has goes on for a while.
static void retire(struct front *f)
{
    int fd = MHD_quiesce_daemon(f->mhd);
    if (fd >= 0)
        close(fd);
    f->end_at = clock_mono_ms() + DRAIN_MS;
    sweep_soon(f->w);
}

static void sweep_front(struct front *f, int64_t now)
{
    bool is_over = f->end_at && now >= f->end_at;
    for (struct conn *c = f->conns, *next; c; c = next) {
        next = c->next;
        if (is_over || (c->deadline && now >= c->deadline))
            web_cut(c);
    }
    if (f->end_at && !f->n_conns)
        front_free(f);
}

static void on_sweep(void *ctx)
{
    struct web_server *w = ctx;
    int64_t now = clock_mono_ms();
    for (struct front *f = w->fronts, *next; f; f = next) {
        next = f->next;
        sweep_front(f, now);
    }
    for (struct front *f = w->fronts; f; f = f->next)
        if (f->n_conns || f->end_at)
            sweep_soon(w);
}

// ---- the certificate ----

static struct sha256 pair_hash(const struct web_pair *p)
{
    struct sha256_ctx *c = sha256_begin();
    sha256_add_str(c, p->cert);
    sha256_add_str(c, p->key);
    return sha256_end(c);
}

static size_t front_count(const struct web_server *w)
{
    size_t n = 0;
    for (const struct front *f = w->fronts; f; f = f->next)
        n++;
    return n;
}

// The pair's texts go to the new front.
static bool take_pair(struct web_server *w, struct web_pair *p, struct err *err)
{
    struct front *before = w->fronts;
    struct sha256 hash = pair_hash(p);
    if (before && front_count(w) >= MAX_FRONTS) {
        web_pair_clear(p);
        return err_set(err, ERR_CONFLICT, "certificates are changed faster than connections end");
    }
    int64_t expires_s = p->expires_s;
    if (!web_front_add(w, TAKE(p->cert), TAKE(p->key), err))
        return false;
    if (before)
        retire(before);
    w->tls_hash = hash;
    w->tls_expires_s = expires_s;
    return true;
}

// The pair of the files; *has false: there is none, and need not be.
static bool load_pair(const struct web_opts *o, struct web_pair *p, bool *has, struct err *err)
{
    *has = o->tls_cert != NULL;
    if (o->tls_cert)
        return web_pair_load(o->tls_cert, o->tls_key, p, err);
    if (!o->tls_dir)
        return true;
    CLEANUP(str_freep) char *cert = path_join(o->tls_dir, "tls.crt");
    CLEANUP(str_freep) char *key = path_join(o->tls_dir, "tls.key");
    *has = file_exists(cert) || file_exists(key);
    return !*has || web_pair_load(cert, key, p, err);
}

// Half of a pair that is being replaced is not one: the next look finds both. One that is gone
// stays in use.
static void on_reload(void *ctx)
{
    struct web_server *w = ctx;
    struct web_pair p = {0};
    struct err err = {0};
    loop_timer_set(w->reload, w->limits.reload_ms);
    bool has = false;
    bool ok = load_pair(&w->o, &p, &has, &err);
    struct sha256 hash = ok && has ? pair_hash(&p) : (struct sha256){0};
    if (ok && (!has || sha256_eq(&hash, &w->tls_hash))) {
        web_pair_clear(&p);
        str_set(&w->tls_problem, NULL);
        return;
    }
    ok = ok && take_pair(w, &p, &err);
    bool is_told = !ok && str_eq(w->tls_problem, err.msg);
    str_set(&w->tls_problem, ok ? NULL : err.msg);
    if (!is_told)
        event_emit(w->o.events, "web.certificate", "{s:I, s:s*}", "expires",
                   (json_int_t)w->tls_expires_s, "message", w->tls_problem);
    err_clear(&err);
}

static bool start_tls(struct web_server *w, struct err *err)
{
    struct web_pair p = {0};
    bool has = false;
    if (!load_pair(&w->o, &p, &has, err) || (!has && !web_pair_make(&p, err)) ||
        !take_pair(w, &p, err))
        return false;
    if (w->o.tls_cert || w->o.tls_dir) {
        w->reload = loop_timer_new(w->loop, on_reload, w);
        loop_timer_set(w->reload, w->limits.reload_ms);
    }
    return true;
}

// ---- life ----

static bool wants_tls(const struct web_opts *o)
{
    return o->tls_cert || o->tls_dir || o->self_signed;
}

static bool may_listen(const struct web_server *w, struct err *err)
{
    bool has_tls = wants_tls(&w->o);
    if (w->is_loopback || (has_tls && w->o.auth == WEB_AUTH_REVIEW))
        return true;
    return err_set(err, ERR_USAGE, "%s is reached from outside, and without %s it may not be",
                   w->o.listen,
                   has_tls                        ? "authentication"
                   : w->o.auth == WEB_AUTH_REVIEW ? "TLS"
                                                  : "TLS and authentication");
}

bool web_opts_check(const struct web_opts *o, struct err *err)
{
    struct strv secrets = {0};
    struct web_pair pair = {0};
    bool has = false;
    if (!o->tls_cert != !o->tls_key)
        return err_set(err, ERR_USAGE, "a certificate and its key come together");
    bool ok = web_listen_check(o->listen, err) && load_pair(o, &pair, &has, err) &&
              push_secrets(o->webhook_secrets, o->webhook_secret_dir, &secrets, err);
    push_secrets_clear(&secrets);
    web_pair_clear(&pair);
    return ok;
}

static bool begin(struct web_server *w, struct err *err)
{
    if (!web_opts_check(&w->o, err))
        return false;
    if (w->o.auth == WEB_AUTH_REVIEW && !w->o.kube)
        return err_set(err, ERR_USAGE, "authentication needs an API server to ask");
    if (!web_listen(w->o.listen, &w->listen_fd, &w->port, &w->is_loopback, err) ||
        !may_listen(w, err))
        return false;
    bool has_tls = wants_tls(&w->o);
    if (!(has_tls ? start_tls(w, err) : web_front_add(w, NULL, NULL, err)))
        return false;
    event_emit(w->o.events, "web.listening", "{s:i, s:b, s:b}", "port", (int)w->port, "tls",
               has_tls, "auth", w->o.auth == WEB_AUTH_REVIEW);
    return true;
}

bool web_server_new(struct loop *l, const struct web_opts *o, struct web_server **out,
                    struct err *err)
{
    CLEANUP(web_server_freep) struct web_server *w = mem_alloc(sizeof(*w));
    w->loop = l;
    w->o = *o;
    w->limits = o->limits;
    fill_limits(&w->limits);
    w->listen_fd = -1;
    w->codes = json_object();
    w->sweep = loop_timer_new(l, on_sweep, w);
    w->reviews = reviews_new(w);
    w->streams = streams_new(w);
    w->sink = (struct event_sink){.emit = streams_emit, .ctx = w->streams};
    if (!begin(w, err))
        return err_wrap(err, "serve");
    *out = TAKE(w);
    return true;
}

// A daemon does not end while something in it is suspended.
static void end_fronts(struct web_server *w)
{
    for (struct front *f = w->fronts; f; f = f->next) {
        for (struct conn *c = f->conns, *next; c; c = next) {
            next = c->next;
            web_cut(c);
        }
        MHD_run(f->mhd);
    }
    while (w->fronts)
        front_free(w->fronts);
}

void web_server_free(struct web_server *w)
{
    if (!w)
        return;
    w->is_ending = true;
    reviews_free(w->reviews);
    w->reviews = NULL;
    end_fronts(w);
    streams_free(w->streams);
    loop_timer_free(w->sweep);
    loop_timer_free(w->reload);
    fd_closep(&w->listen_fd);
    json_decref(w->codes);
    free(w->tls_problem);
    free(w);
}

unsigned web_server_port(const struct web_server *w)
{
    return w->port;
}

const struct event_sink *web_server_sink(struct web_server *w)
{
    return &w->sink;
}
