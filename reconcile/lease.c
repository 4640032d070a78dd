// SPDX-License-Identifier: Apache-2.0
//
// One writer per cluster: a Lease in regrow-system, renewed by a timer. A holder that died on this
// very machine is taken over at once; any other one after its lease ran out.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "reconcile/run_int.h"

#define LEASE_PATH "/apis/coordination.k8s.io/v1/namespaces/" REGROW_NAMESPACE "/leases"
#define LEASE_NAME "regrow"
#define DURATION_S 15
#define RENEW_MS 5000
#define RELEASE_MS 10000
// A lease that looks run out is watched for one renewal more: its holder's clock may be slow.
#define CONFIRM_MS 6000
// No two clocks are so far apart.
#define SURELY_OVER_MS 600000
#define FUTURE_MS 60000 // a sign of life so far ahead is none

static char *first_line(const char *path)
{
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    if (!file_read(path, 4096, &b, &err))
        err_clear(&err);
    return str_ndup(b.p ? b.p : "", b.p ? strcspn(b.p, "\n") : 0);
}

// Field 22 of /proc/PID/stat: when the process began; tells a reused pid.
static char *start_time(long pid)
{
    CLEANUP(str_freep) char *path = str_printf("/proc/%ld/stat", pid);
    CLEANUP(str_freep) char *line = first_line(path);
    const char *s = strrchr(line, ')');
    for (int i = 0; s && i < 20; i++)
        s = strchr(s + 1, ' ');
    return s ? str_ndup(s + 1, strcspn(s + 1, " ")) : str_dup("");
}

static char *boot_id(void)
{
    CLEANUP(str_freep) char *id = first_line("/proc/sys/kernel/random/boot_id");
    return str_ndup(id, 8);
}

// "host/pid/boot/start".
static char *own_name(void)
{
    char host[128] = "?";
    gethostname(host, sizeof(host) - 1);
    CLEANUP(str_freep) char *boot = boot_id();
    CLEANUP(str_freep) char *start = start_time((long)getpid());
    return str_printf("%s/%ld/%s/%s", host, (long)getpid(), boot, start);
}

// Did this holder run on this machine, in this boot, and is it no more?
static bool is_dead_here(const char *holder)
{
    CLEANUP(str_freep) char *own = own_name();
    struct strv a = {0};
    struct strv b = {0};
    strv_split(&a, holder, '/');
    strv_split(&b, own, '/');
    bool dead = false;
    long long pid;
    if (a.len == 4 && b.len == 4 && !strcmp(a.v[0], b.v[0]) && !strcmp(a.v[2], b.v[2]) &&
        str_to_int(a.v[1], 1, 1LL << 22, &pid)) {
        CLEANUP(str_freep) char *start = start_time((long)pid);
        dead = (kill((pid_t)pid, 0) != 0 && errno == ESRCH) || strcmp(start, a.v[3]) != 0;
    }
    strv_clear(&a);
    strv_clear(&b);
    return dead;
}

static json_t *lease_doc(struct lease *l, bool release)
{
    CLEANUP(str_freep) char *now = clock_rfc3339_us(clock_unix_ms() * 1000);
    if (!l->since)
        l->since = str_dup(now);
    json_t *doc = json_pack("{s:s, s:s, s:{s:s, s:s}, s:{s:s, s:i, s:s, s:s}}", "apiVersion",
                            "coordination.k8s.io/v1", "kind", "Lease", "metadata", "name",
                            LEASE_NAME, "namespace", REGROW_NAMESPACE, "spec", "holderIdentity",
                            release ? "" : l->holder, "leaseDurationSeconds",
                            release ? 1 : DURATION_S, "acquireTime", l->since, "renewTime", now);
    if (l->resource_version)
        json_object_set_new(json_object_get(doc, "metadata"), "resourceVersion",
                            json_string(l->resource_version));
    return doc;
}

static void call(struct run *r, const char *method, const json_t *doc, struct kube_reply *reply,
                 struct buf *store)
{
    struct buf body CLEANUP(buf_clear) = {0};
    if (doc)
        canon_write(doc, &body);
    bool post = !strcmp(method, "POST");
    struct kube_call c = {.method = method,
                          .path = post ? LEASE_PATH : LEASE_PATH "/" LEASE_NAME,
                          .body = body.p,
                          .body_len = body.len,
                          .timeout_ms = 10000,
                          .patience_ms = r->lease.is_releasing ? RELEASE_MS : run_patience(r),
                          .is_urgent = true,
                          .ignores_stop = r->lease.is_releasing};
    r->lease.sent_ms = clock_mono_ms();
    kube_send_wait(r->kube, &c, reply, store);
}

static bool parse_doc(const struct kube_reply *reply, json_t **out)
{
    struct err err = {0};
    bool ok = canon_read(reply->body, reply->body_len, out, &err);
    err_clear(&err);
    return ok;
}

enum claim { CLAIM_HELD, CLAIM_DOUBTFUL, CLAIM_FREE };

// A renewal to come is one of a clock that is wrong. Nothing can be told from it but whether it
// changes: watched for as long as its holder may be cut off and still think that it has the lock.
static bool is_of_the_future(int64_t over_ms, int64_t duration_ms)
{
    return -over_ms > duration_ms + FUTURE_MS && duration_ms <= FUTURE_MS;
}

static enum claim claim_of(const struct run *r, const json_t *live, int64_t *watch_ms)
{
    const char *holder = json_dot_str(live, "spec.holderIdentity");
    const char *renewed = json_dot_str(live, "spec.renewTime");
    long long duration = json_dot_int(live, "spec.leaseDurationSeconds", DURATION_S);
    int64_t at = renewed ? clock_parse_rfc3339_ms(renewed) : 0;
    int64_t over_ms = clock_unix_ms() - at - duration * 1000;
    // Our own: taken by a try whose answer was lost.
    if (str_is_empty(holder) || str_eq(holder, r->lease.holder) || over_ms > SURELY_OVER_MS ||
        is_dead_here(holder))
        return CLAIM_FREE;
    *watch_ms = is_of_the_future(over_ms, duration * 1000) ? duration * 1000 : CONFIRM_MS;
    if (*watch_ms != CONFIRM_MS)
        return CLAIM_DOUBTFUL;
    return over_ms > 0 ? CLAIM_DOUBTFUL : CLAIM_HELD;
}

static bool pause_ms(struct run *r, int64_t ms, struct err *err)
{
    int64_t end = clock_mono_ms() + ms;
    while (clock_mono_ms() < end && !loop_stopping(r->loop))
        loop_run_once(r->loop, end - clock_mono_ms());
    return !loop_stopping(r->loop) || loop_stopped(r->loop, err, "waiting for the cluster's lock");
}

static bool held_by_other(const json_t *live, struct err *err)
{
    const char *holder = json_dot_str(live, "spec.holderIdentity");
    const char *since = json_dot_str(live, "spec.acquireTime");
    struct strv part = {0};
    strv_split(&part, holder ? holder : "?", '/');
    err_set(err, ERR_CONFLICT, "another regrow (%s%s%s) has been at work on this cluster since %s",
            part.v[0], part.len > 1 ? ", process " : "", part.len > 1 ? part.v[1] : "",
            since ? since : "?");
    strv_clear(&part);
    return err_hint(err,
                    "Wait until it ends, or stop it; if it is gone, this lock opens by itself "
                    "%d s after its last sign of life.",
                    DURATION_S);
}

static void on_timer(void *ctx);

static bool note_version(struct run *r, const struct kube_reply *reply)
{
    CLEANUP(json_freep) json_t *doc = NULL;
    if (!parse_doc(reply, &doc))
        return false;
    str_set(&r->lease.resource_version, json_dot_str(doc, "metadata.resourceVersion"));
    return true;
}

static void held(struct run *r)
{
    r->lease.is_held = true;
    r->lease.renewed_ms = r->lease.sent_ms;
    if (!r->lease.timer)
        r->lease.timer = loop_timer_new(r->loop, on_timer, r);
    // From when it was sent: one that had to be asked twice is due the sooner.
    loop_timer_set(r->lease.timer, r->lease.renewed_ms + RENEW_MS - clock_mono_ms());
}

// The Lease as it is, NULL when there is none.
static bool read_lease(struct run *r, json_t **live, struct err *err)
{
    struct kube_reply reply;
    struct buf store CLEANUP(buf_clear) = {0};
    *live = NULL;
    call(r, "GET", NULL, &reply, &store);
    return (reply.cls == KUBE_OK && parse_doc(&reply, live)) || reply.cls == KUBE_ABSENT ||
           kube_reply_err(&reply, err, "take the cluster's lock");
}

bool lease_take(struct run *r, struct err *err)
{
    CLEANUP(str_freep) char *doubted = NULL; // version that looked run out
    r->lease.holder = r->opts.holder ? str_dup(r->opts.holder) : own_name();
    for (int i = 0; i < 5; i++) {
        struct kube_reply reply;
        struct buf store CLEANUP(buf_clear) = {0};
        CLEANUP(json_freep) json_t *live = NULL;
        if (!read_lease(r, &live, err))
            return false;
        const char *version = json_dot_str(live, "metadata.resourceVersion");
        int64_t watch_ms = 0;
        enum claim claim = live ? claim_of(r, live, &watch_ms) : CLAIM_FREE;
        if (claim == CLAIM_HELD)
            return held_by_other(live, err);
        if (claim == CLAIM_DOUBTFUL && !str_eq(doubted, version)) {
            if (doubted) // renewed meanwhile: its holder lives, with another clock than ours
                return held_by_other(live, err);
            doubted = str_dup_or_null(version);
            if (!pause_ms(r, watch_ms, err))
                return false;
            continue;
        }
        str_set(&r->lease.resource_version, version);
        CLEANUP(json_freep) json_t *doc = lease_doc(&r->lease, false);
        call(r, live ? "PUT" : "POST", doc, &reply, &store);
        if (reply.cls == KUBE_OK && note_version(r, &reply)) {
            held(r);
            event_emit(r->opts.events, "lease.acquired", "{s:s}", "holder", r->lease.holder);
            return true;
        }
        if (reply.cls != KUBE_CONFLICT && reply.cls != KUBE_ABSENT)
            return kube_reply_err(&reply, err, "take the cluster's lock");
    }
    return err_set(err, ERR_CONFLICT, "several regrow processes want this cluster at once");
}

bool lease_is_good(const struct run *r)
{
    const struct lease *l = &r->lease;
    return !l->is_lost && (!l->is_held || clock_mono_ms() - l->renewed_ms < DURATION_S * 1000);
}

static void on_renewed(void *ctx, const struct kube_reply *reply);

static void renew(struct run *r)
{
    CLEANUP(json_freep) json_t *doc = lease_doc(&r->lease, false);
    struct buf body CLEANUP(buf_clear) = {0};
    canon_write(doc, &body);
    bool is_new = !r->lease.resource_version;
    struct kube_call c = {.method = is_new ? "POST" : "PUT",
                          .path = is_new ? LEASE_PATH : LEASE_PATH "/" LEASE_NAME,
                          .body = body.p,
                          .body_len = body.len,
                          .timeout_ms = 5000,
                          .is_urgent = true};
    r->lease.sent_ms = clock_mono_ms();
    kube_send(r->kube, &c, on_renewed, call_new(r, 0));
}

// Somebody wrote it: another regrow, or an earlier renewal of ours whose answer was lost.
static void on_looked(void *ctx, const struct kube_reply *reply)
{
    struct call_ctx *c = ctx;
    struct run *r = c->run;
    CLEANUP(json_freep) json_t *live = NULL;
    call_end(c);
    if (!r->lease.is_held)
        return;
    bool is_known = reply->cls == KUBE_OK && parse_doc(reply, &live);
    if (is_known && !str_eq(json_dot_str(live, "spec.holderIdentity"), r->lease.holder)) {
        r->lease.is_held = false;
        r->lease.is_lost = true;
        if (!err_is_set(&r->fatal))
            err_set(&r->fatal, ERR_CONFLICT,
                    "another regrow has taken this cluster over while this one was cut off");
        return;
    }
    if (is_known)
        str_set(&r->lease.resource_version, json_dot_str(live, "metadata.resourceVersion"));
    loop_timer_set(r->lease.timer, is_known ? 0 : 1000);
}

static void on_renewed(void *ctx, const struct kube_reply *reply)
{
    struct call_ctx *c = ctx;
    struct run *r = c->run;
    call_end(c);
    if (reply->cls == KUBE_OK)
        note_version(r, reply);
    if (!r->lease.is_held)
        return;
    if (reply->cls == KUBE_OK) {
        held(r);
    } else if (reply->cls == KUBE_CONFLICT) {
        struct kube_call get = {
            .method = "GET", .path = LEASE_PATH "/" LEASE_NAME, .is_urgent = true};
        kube_send(r->kube, &get, on_looked, call_new(r, 0));
    } else if (reply->cls == KUBE_ABSENT && r->lease.resource_version) {
        str_set(&r->lease.resource_version, NULL); // deleted by hand
        renew(r);
    } else {
        loop_timer_set(r->lease.timer, 1000);
    }
}

static void on_timer(void *ctx)
{
    renew(ctx);
}

void lease_release(struct run *r)
{
    if (r->lease.is_held && !run_is_cut_off(r)) {
        struct kube_reply reply;
        struct buf store CLEANUP(buf_clear) = {0};
        r->lease.is_held = false;
        loop_timer_stop(r->lease.timer);
        // A renewal under way would change the version under the release.
        for (int i = 0; r->pending_calls && i < 50; i++)
            loop_run_once(r->loop, 20);
        CLEANUP(json_freep) json_t *doc = lease_doc(&r->lease, true);
        r->lease.is_releasing = true;
        call(r, "PUT", doc, &reply, &store);
    }
    r->lease.is_held = false;
    loop_timer_free(r->lease.timer);
    r->lease.timer = NULL;
    str_set(&r->lease.holder, NULL);
    str_set(&r->lease.since, NULL);
    str_set(&r->lease.resource_version, NULL);
}
