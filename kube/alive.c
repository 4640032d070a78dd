// SPDX-License-Identifier: Apache-2.0
//
// Is the server there, and may its answers be believed? libcurl sends no HTTP/2 PING and goes on
// using a dead connection, so a silent one is asked for /version (spec c-libraries section 1.5).
// After a lost connection /readyz decides: a server that is starting refuses what it will allow
// (spec kubernetes-api section 1.3).
#include <stdlib.h>
#include <string.h>

#include "kube/kube_int.h"

#define IDLE_MS 15000
#define PING_MS 10000
#define PINGS 2
#define PROBE_MS 5000L
#define PROBE_MIN_MS 100
#define PROBE_MAX_MS 2000
// Who may not see /readyz, or has a balancer in front that does not know it, waits so long.
#define NO_READYZ_MS 2000
// A server that answers but never calls itself ready is used all the same after this.
#define NEVER_READY_MS 60000

bool is_connection_error(CURLcode c)
{
    return c == CURLE_HTTP2 || c == CURLE_PARTIAL_FILE || c == CURLE_GOT_NOTHING ||
           c == CURLE_SEND_ERROR || c == CURLE_RECV_ERROR || c == CURLE_HTTP2_STREAM;
}

static bool is_no_connection(CURLcode c)
{
    return c == CURLE_COULDNT_CONNECT || c == CURLE_COULDNT_RESOLVE_HOST ||
           c == CURLE_COULDNT_RESOLVE_PROXY || c == CURLE_SSL_CONNECT_ERROR || c == CURLE_PROXY;
}

static size_t ignore_data(struct transfer *t, const char *p, size_t len)
{
    (void)t;
    (void)p;
    return len;
}

static struct transfer *small_get(struct kube *k, struct lane *l, const char *path, long ms,
                                  void (*on_end)(struct transfer *t, CURLcode code, long http))
{
    struct transfer *t = mem_alloc(sizeof(*t));
    transfer_init(t, k, "GET", path, NULL, NULL);
    curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, ms);
    t->on_data = ignore_data;
    t->on_end = on_end;
    transfer_start(t, l);
    return t;
}

// ---- silent connections ----
static int64_t idle_ms(const struct kube *k)
{
    return k->opts.idle_ms ? k->opts.idle_ms : IDLE_MS;
}

static void ping(struct lane *l);

static void on_ping_end(struct transfer *t, CURLcode code, long http)
{
    struct lane *l = t->lane;
    (void)http;
    transfer_clear(t);
    free(t);
    l->ping = NULL;
    if (code == CURLE_OK) {
        l->pings_lost = 0;
        loop_timer_set(l->ping_timer, idle_ms(l->k));
    } else if (++l->pings_lost < PINGS) {
        ping(l);
    } else {
        l->pings_lost = 0;
        kube_failed(l->k, CURLE_COULDNT_CONNECT);
        lane_kill(l);
    }
}

static void ping(struct lane *l)
{
    int64_t ms = l->k->opts.ping_ms ? l->k->opts.ping_ms : PING_MS;
    l->ping = small_get(l->k, l, "/version", (long)ms, on_ping_end);
}

static void on_ping_timer(void *ctx)
{
    struct lane *l = ctx;
    int64_t left = l->last_byte_ms + idle_ms(l->k) - clock_mono_ms();
    if (!l->running.len || l->ping)
        return;
    if (left > 0)
        loop_timer_set(l->ping_timer, left);
    else
        ping(l);
}

void alive_heard(struct lane *l)
{
    l->last_byte_ms = clock_mono_ms();
    l->k->asked_ms = 0;
}

void alive_watch_over(struct lane *l)
{
    // A watch may say nothing for long; what is asked beside it may not.
    if (!l->is_watching && !l->k->asked_ms)
        l->k->asked_ms = clock_mono_ms();
    if (!l->ping_timer)
        l->ping_timer = loop_timer_new(l->k->loop, on_ping_timer, l);
    if (l->running.len == 1) // silence counts from the first request, not from the last answer
        l->last_byte_ms = clock_mono_ms();
    if (!l->ping && !loop_timer_is_set(l->ping_timer))
        loop_timer_set(l->ping_timer, idle_ms(l->k));
}

// ---- the lost server ----
static void believe(struct kube *k)
{
    bool was_down = k->is_down;
    k->is_trusted = true;
    k->is_down = false;
    if (was_down)
        event_emit(k->opts.events, "kube.up", NULL);
    requests_resume(k);
    watches_wake(k);
}

// Did it say enough for its other answers to count?
static bool is_ready_answer(struct kube *k, CURLcode code, long http)
{
    int64_t now = clock_mono_ms();
    if (code != CURLE_OK || !http) {
        k->answered_ms = 0;
        return false;
    }
    if (!k->answered_ms)
        k->answered_ms = now;
    int64_t since = now - k->answered_ms;
    bool unseen = http == 401 || http == 403 || http == 404;
    return http == 200 || (unseen && since >= NO_READYZ_MS) || since >= NEVER_READY_MS;
}

static void on_probe_end(struct transfer *t, CURLcode code, long http)
{
    struct kube *k = t->k;
    transfer_clear(t);
    free(t);
    k->probe = NULL;
    if (is_ready_answer(k, code, http)) {
        believe(k);
        return;
    }
    if (code == CURLE_OPERATION_TIMEDOUT) {
        // It would be asked again on the same dead connection.
        kube_failed(k, CURLE_COULDNT_CONNECT);
        lane_kill(k->work);
        lane_kill(k->watch);
    }
    kube_failed(k, code);
    k->probe_backoff_ms =
        k->probe_backoff_ms * 2 > PROBE_MAX_MS ? PROBE_MAX_MS : k->probe_backoff_ms * 2;
    loop_timer_set(k->probe_timer, k->probe_backoff_ms);
}

static void on_probe_timer(void *ctx)
{
    struct kube *k = ctx;
    if (!k->probe)
        k->probe = small_get(k, k->work, "/readyz", PROBE_MS, on_probe_end);
}

void kube_failed(struct kube *k, CURLcode c)
{
    if (k->is_freeing || c == CURLE_OK || c == CURLE_WRITE_ERROR)
        return;
    if (is_no_connection(c) && !k->is_down) {
        k->is_down = true;
        k->outages++;
        event_emit(k->opts.events, "kube.down", "{s:s}", "server", k->config->server);
    }
    if (!k->is_trusted)
        return;
    k->is_trusted = false;
    k->answered_ms = 0;
    k->probe_backoff_ms = PROBE_MIN_MS;
    loop_timer_set(k->probe_timer, k->is_down ? PROBE_MIN_MS : 0);
}

bool kube_disbelieves(const struct kube *k, long http)
{
    return !k->is_trusted && (http == 401 || http == 403 || http == 404 || http == 503);
}

bool kube_is_down(const struct kube *k)
{
    return k->is_down;
}

int64_t kube_unanswered_ms(const struct kube *k)
{
    return k->asked_ms ? clock_mono_ms() - k->asked_ms : 0;
}

void alive_open(struct kube *k)
{
    k->probe_timer = loop_timer_new(k->loop, on_probe_timer, k);
    k->probe_backoff_ms = PROBE_MIN_MS;
}

// A cluster that is being made starts its server as one that is made again does.
void alive_begin(struct kube *k)
{
    if (!k->is_trusted && !k->probe && !loop_timer_is_set(k->probe_timer))
        on_probe_timer(k);
}

static void drop(struct transfer *t)
{
    if (!t)
        return;
    transfer_clear(t);
    free(t);
}

void alive_close(struct kube *k)
{
    drop(k->probe);
    drop(k->work->ping);
    drop(k->watch->ping);
    loop_timer_free(k->probe_timer);
}
