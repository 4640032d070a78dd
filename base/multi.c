// SPDX-License-Identifier: Apache-2.0
#include "base/multi.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "base/str.h"

struct multi {
    CURLM *m;
    struct loop *loop;
    struct loop_timer *timer;
    multi_done_fn done;
};

struct sock {
    struct multi *m;
    curl_socket_t fd;
};

static void drain(struct multi *m)
{
    CURLMsg *msg;
    int left;
    while ((msg = curl_multi_info_read(m->m, &left))) {
        if (msg->msg != CURLMSG_DONE)
            continue;
        // The message dies with the handle's removal.
        CURL *easy = msg->easy_handle;
        CURLcode code = msg->data.result;
        char *ctx = NULL;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &ctx);
        curl_multi_remove_handle(m->m, easy);
        m->done(ctx, code);
    }
}

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

static void on_timer(void *ctx)
{
    act(ctx, CURL_SOCKET_TIMEOUT, 0);
}

static int socket_cb(CURL *easy, curl_socket_t fd, int what, void *ctx, void *sock)
{
    (void)easy;
    struct multi *m = ctx;
    struct sock *s = sock;
    if (what == CURL_POLL_REMOVE) {
        loop_fd_del(m->loop, fd);
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
    loop_fd_set(m->loop, fd, events, on_socket, s);
    return 0;
}

// curl must not be called from its own callback: even what is due at once goes through a timer.
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

struct multi *multi_new(struct loop *l, multi_done_fn done)
{
    struct multi *m = mem_alloc(sizeof(*m));
    m->loop = l;
    m->done = done;
    m->m = curl_multi_init();
    m->timer = loop_timer_new(l, on_timer, m);
    curl_multi_setopt(m->m, CURLMOPT_SOCKETFUNCTION, socket_cb);
    curl_multi_setopt(m->m, CURLMOPT_SOCKETDATA, m);
    curl_multi_setopt(m->m, CURLMOPT_TIMERFUNCTION, timer_cb);
    curl_multi_setopt(m->m, CURLMOPT_TIMERDATA, m);
    curl_multi_setopt(m->m, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
    return m;
}

void multi_free(struct multi *m)
{
    if (!m)
        return;
    curl_multi_cleanup(m->m);
    loop_timer_free(m->timer);
    free(m);
}

void multi_add(struct multi *m, CURL *easy)
{
    curl_multi_add_handle(m->m, easy);
}

void multi_remove(struct multi *m, CURL *easy)
{
    curl_multi_remove_handle(m->m, easy);
}

CURLM *multi_curl(struct multi *m)
{
    return m->m;
}

bool tls_clock_hint(const char *why, struct err *err)
{
    if (!strstr(why, "not yet valid") && !strstr(why, "has expired"))
        return false;
    CLEANUP(str_freep) char *now = clock_rfc3339(clock_unix_ms() / 1000);
    err_hint(err,
             "The clock of this machine says %s: set it if that is wrong; else the server needs a "
             "new certificate.",
             now);
    return true;
}
