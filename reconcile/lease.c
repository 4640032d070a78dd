// SPDX-License-Identifier: Apache-2.0
//
// A holder that died on this very machine is taken over at once; any other one after its lease ran
// out.
#include "reconcile/lease.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "reconcile/run.h"

#define LEASES_OF "/apis/coordination.k8s.io/v1/namespaces/%s/leases"
#define LEASE_NAME "regrow"
#define DURATION_S 15
#define RENEW_MS 5000
#define RELEASE_MS 10000
// A lease that looks run out is watched for one renewal more: its holder's clock may be slow.
#define CONFIRM_MS 6000
// No two clocks are so far apart.
#define SURELY_OVER_MS 600000
#define FUTURE_MS 60000 // a sign of life so far ahead is none
#define SILENT_MS 10000 // two renewals have had no answer

struct lease_keeper {
    struct loop *loop;
    struct kube *kube;
    struct lease_opts opts;
    char *holder;
    char *folder, *path; // of its Lease
    char *namespace_path, *namespace_doc;
    char *resource_version;
    char *since; // when it was taken
    struct loop_timer *timer;
    struct kube_request *request; // the renewal under way, or what follows from its answer
    int64_t deadline_ms;          // of who takes it
    int64_t renewed_ms;           // monotonic: when the last renewal that was accepted was sent
    int64_t sent_ms;
    bool is_held, is_releasing, is_lost;
};

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
char *lease_own_name(void)
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
    CLEANUP(str_freep) char *own = lease_own_name();
    struct strv a = {0};
    struct strv b = {0};
    strv_split(&a, holder, '/');
    strv_split(&b, own, '/');
    bool dead = false;
    long long pid;
    if (a.len >= 4 && b.len == 4 && !strcmp(a.v[0], b.v[0]) && !strcmp(a.v[2], b.v[2]) &&
        str_to_int(a.v[1], 1, 1LL << 22, &pid)) {
        CLEANUP(str_freep) char *start = start_time((long)pid);
        dead = (kill((pid_t)pid, 0) != 0 && errno == ESRCH) || strcmp(start, a.v[3]) != 0;
    }
    strv_clear(&a);
    strv_clear(&b);
    return dead;
}

static json_t *lease_doc(struct lease_keeper *l, bool release)
{
    CLEANUP(str_freep) char *now = clock_rfc3339_us(clock_unix_ms() * 1000);
    if (!l->since)
        l->since = str_dup(now);
    json_t *doc = json_pack("{s:s, s:s, s:{s:s, s:s}, s:{s:s, s:i, s:s, s:s}}", "apiVersion",
                            "coordination.k8s.io/v1", "kind", "Lease", "metadata", "name",
                            LEASE_NAME, "namespace", l->opts.namespace, "spec", "holderIdentity",
                            release ? "" : l->holder, "leaseDurationSeconds",
                            release ? 1 : DURATION_S, "acquireTime", l->since, "renewTime", now);
    if (l->resource_version)
        json_object_set_new(json_object_get(doc, "metadata"), "resourceVersion",
                            json_string(l->resource_version));
    return doc;
}

static int64_t patience(const struct lease_keeper *l)
{
    int64_t left = l->deadline_ms ? l->deadline_ms - clock_mono_ms() : KUBE_PATIENCE_MS;
    return left < 0 ? 0 : left < KUBE_PATIENCE_MS ? left : KUBE_PATIENCE_MS;
}

static void call(struct lease_keeper *l, const char *method, const json_t *doc,
                 struct kube_reply *reply, struct buf *store)
{
    struct buf body CLEANUP(buf_clear) = {0};
    if (doc)
        canon_write(doc, &body);
    struct kube_call c = {.method = method,
                          .path = strcmp(method, "POST") != 0 ? l->path : l->folder,
                          .body = body.p,
                          .body_len = body.len,
                          .timeout_ms = 10000,
                          .patience_ms = l->is_releasing ? RELEASE_MS : patience(l),
                          .is_urgent = true,
                          .ignores_stop = l->is_releasing};
    l->sent_ms = clock_mono_ms();
    kube_send_wait(l->kube, &c, reply, store);
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

static enum claim claim_of(const struct lease_keeper *l, const json_t *live, int64_t *watch_ms)
{
    const char *holder = json_dot_str(live, "spec.holderIdentity");
    const char *renewed = json_dot_str(live, "spec.renewTime");
    long long duration = json_dot_int(live, "spec.leaseDurationSeconds", DURATION_S);
    int64_t at = renewed ? clock_parse_rfc3339_ms(renewed) : 0;
    int64_t over_ms = clock_unix_ms() - at - duration * 1000;
    // Our own: taken by a try whose answer was lost.
    if (str_is_empty(holder) || str_eq(holder, l->holder) || over_ms > SURELY_OVER_MS ||
        is_dead_here(holder))
        return CLAIM_FREE;
    *watch_ms = is_of_the_future(over_ms, duration * 1000) ? duration * 1000 : CONFIRM_MS;
    if (*watch_ms != CONFIRM_MS)
        return CLAIM_DOUBTFUL;
    return over_ms > 0 ? CLAIM_DOUBTFUL : CLAIM_HELD;
}

static bool pause_ms(struct lease_keeper *l, int64_t ms, struct err *err)
{
    int64_t end = clock_mono_ms() + ms;
    while (clock_mono_ms() < end && !loop_stopping(l->loop))
        loop_run_once(l->loop, end - clock_mono_ms());
    return !loop_stopping(l->loop) || loop_stopped(l->loop, err, "waiting for the cluster's lock");
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

static bool note_version(struct lease_keeper *l, const struct kube_reply *reply)
{
    CLEANUP(json_freep) json_t *doc = NULL;
    if (!parse_doc(reply, &doc))
        return false;
    str_set(&l->resource_version, json_dot_str(doc, "metadata.resourceVersion"));
    return true;
}

static void held(struct lease_keeper *l)
{
    l->is_held = true;
    l->renewed_ms = l->sent_ms;
    if (!l->timer)
        l->timer = loop_timer_new(l->loop, on_timer, l);
    // From when it was sent: one that had to be asked twice is due the sooner.
    loop_timer_set(l->timer, l->renewed_ms + RENEW_MS - clock_mono_ms());
}

// The Lease as it is, NULL when there is none.
static bool read_lease(struct lease_keeper *l, json_t **live, struct err *err)
{
    struct kube_reply reply;
    struct buf store CLEANUP(buf_clear) = {0};
    *live = NULL;
    call(l, "GET", NULL, &reply, &store);
    return (reply.cls == KUBE_OK && parse_doc(&reply, live)) || reply.cls == KUBE_ABSENT ||
           kube_reply_err(&reply, err, "take the cluster's lock");
}

// The namespace it lives in, which somebody may have deleted.
static void make_namespace_call(const struct lease_keeper *l, struct kube_call *c)
{
    *c = (struct kube_call){.method = "PATCH",
                            .path = l->namespace_path,
                            .body = l->namespace_doc,
                            .body_len = strlen(l->namespace_doc),
                            .content_type = "application/apply-patch+yaml",
                            .is_idempotent = true,
                            .is_urgent = true};
}

static bool make_namespace(struct lease_keeper *l, struct err *err)
{
    struct kube_call c;
    struct kube_reply reply;
    struct buf store CLEANUP(buf_clear) = {0};
    make_namespace_call(l, &c);
    c.patience_ms = patience(l);
    kube_send_wait(l->kube, &c, &reply, &store);
    return reply.cls == KUBE_OK || kube_reply_err(&reply, err, "make the namespace of the lock");
}

// One that runs out is watched until it is known whether its holder lives. False: it does, or
// *again is set.
static bool may_take(struct lease_keeper *l, const json_t *live, char **doubted, bool *again,
                     struct err *err)
{
    const char *version = json_dot_str(live, "metadata.resourceVersion");
    int64_t watch_ms = 0;
    enum claim claim = live ? claim_of(l, live, &watch_ms) : CLAIM_FREE;
    *again = false;
    if (claim == CLAIM_HELD)
        return held_by_other(live, err);
    if (claim == CLAIM_FREE || str_eq(*doubted, version))
        return true;
    if (*doubted) // renewed meanwhile: its holder lives, with another clock than ours
        return held_by_other(live, err);
    *doubted = str_dup_or_null(version);
    *again = pause_ms(l, watch_ms, err);
    return false;
}

bool lease_keeper_take(struct lease_keeper *l, int64_t deadline_ms, struct err *err)
{
    CLEANUP(str_freep) char *doubted = NULL; // version that looked run out
    l->deadline_ms = deadline_ms;
    l->is_lost = false;
    str_set(&l->since, NULL);
    for (int i = 0; i < 6; i++) {
        struct kube_reply reply;
        struct buf store CLEANUP(buf_clear) = {0};
        CLEANUP(json_freep) json_t *live = NULL;
        bool again;
        if (!read_lease(l, &live, err))
            return false;
        if (!may_take(l, live, &doubted, &again, err)) {
            if (!again)
                return false;
            continue;
        }
        str_set(&l->resource_version, json_dot_str(live, "metadata.resourceVersion"));
        CLEANUP(json_freep) json_t *doc = lease_doc(l, false);
        call(l, live ? "PUT" : "POST", doc, &reply, &store);
        if (reply.cls == KUBE_OK && note_version(l, &reply)) {
            held(l);
            event_emit(l->opts.events, "lease.acquired", "{s:s}", "holder", l->holder);
            return true;
        }
        bool is_homeless = !live && (reply.cls == KUBE_NO_NAMESPACE || reply.cls == KUBE_ABSENT);
        if (is_homeless && !make_namespace(l, err))
            return false;
        if (reply.cls != KUBE_CONFLICT && reply.cls != KUBE_ABSENT && !is_homeless)
            return kube_reply_err(&reply, err, "take the cluster's lock");
    }
    return err_set(err, ERR_CONFLICT, "several regrow processes want this cluster at once");
}

bool lease_keeper_is_good(const struct lease_keeper *l)
{
    return l->is_held && clock_mono_ms() - l->renewed_ms < DURATION_S * 1000;
}

bool lease_keeper_is_lost(const struct lease_keeper *l)
{
    return l->is_lost;
}

static void on_renewed(void *ctx, const struct kube_reply *reply);

static void renew(struct lease_keeper *l)
{
    CLEANUP(json_freep) json_t *doc = lease_doc(l, false);
    struct buf body CLEANUP(buf_clear) = {0};
    canon_write(doc, &body);
    bool is_new = !l->resource_version;
    struct kube_call c = {.method = is_new ? "POST" : "PUT",
                          .path = is_new ? l->folder : l->path,
                          .body = body.p,
                          .body_len = body.len,
                          .timeout_ms = 5000,
                          .is_urgent = true};
    l->sent_ms = clock_mono_ms();
    l->request = kube_send(l->kube, &c, on_renewed, l);
}

// Somebody wrote it: another regrow, or an earlier renewal of ours whose answer was lost.
static void on_looked(void *ctx, const struct kube_reply *reply)
{
    struct lease_keeper *l = ctx;
    CLEANUP(json_freep) json_t *live = NULL;
    l->request = NULL;
    if (!l->is_held)
        return;
    bool is_known = reply->cls == KUBE_OK && parse_doc(reply, &live);
    if (is_known && !str_eq(json_dot_str(live, "spec.holderIdentity"), l->holder)) {
        l->is_held = false;
        l->is_lost = true;
        return;
    }
    if (is_known)
        str_set(&l->resource_version, json_dot_str(live, "metadata.resourceVersion"));
    loop_timer_set(l->timer, is_known ? 0 : 1000);
}

static void on_namespace(void *ctx, const struct kube_reply *reply)
{
    struct lease_keeper *l = ctx;
    l->request = NULL;
    if (l->is_held)
        loop_timer_set(l->timer, reply->cls == KUBE_OK ? 0 : 1000);
}

static void on_renewed(void *ctx, const struct kube_reply *reply)
{
    struct lease_keeper *l = ctx;
    struct kube_call get = {.method = "GET", .path = l->path, .is_urgent = true};
    l->request = NULL;
    if (reply->cls == KUBE_OK)
        note_version(l, reply);
    if (!l->is_held)
        return;
    bool is_absent = reply->cls == KUBE_ABSENT || reply->cls == KUBE_NO_NAMESPACE;
    if (reply->cls == KUBE_OK) {
        held(l);
    } else if (reply->cls == KUBE_CONFLICT) {
        l->request = kube_send(l->kube, &get, on_looked, l);
    } else if (is_absent && l->resource_version) {
        str_set(&l->resource_version, NULL); // deleted by hand
        renew(l);
    } else if (is_absent) {
        struct kube_call make; // its namespace, too
        make_namespace_call(l, &make);
        l->request = kube_send(l->kube, &make, on_namespace, l);
    } else {
        loop_timer_set(l->timer, 1000);
    }
}

static void on_timer(void *ctx)
{
    renew(ctx);
}

struct lease_keeper *lease_keeper_new(struct loop *loop, struct kube *k, const struct lease_opts *o)
{
    struct lease_keeper *l = mem_alloc(sizeof(*l));
    l->loop = loop;
    l->kube = k;
    l->opts = *o;
    if (!o->namespace)
        l->opts.namespace = REGROW_NAMESPACE;
    l->holder = o->holder ? str_dup(o->holder) : lease_own_name();
    l->folder = str_printf(LEASES_OF, l->opts.namespace);
    l->path = str_printf("%s/" LEASE_NAME, l->folder);
    l->namespace_path = str_printf("/api/v1/namespaces/%s?fieldManager=regrow", l->opts.namespace);
    l->namespace_doc = str_printf("{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{"
                                  "\"labels\":{\"app.kubernetes.io/managed-by\":\"regrow\"},"
                                  "\"name\":\"%s\"}}",
                                  l->opts.namespace);
    return l;
}

void lease_keeper_give_up(struct lease_keeper *l)
{
    bool was_held = l->is_held;
    l->is_held = false;
    loop_timer_free(l->timer);
    l->timer = NULL;
    if (was_held && !kube_is_down(l->kube) && kube_unanswered_ms(l->kube) <= SILENT_MS) {
        struct kube_reply reply;
        struct buf store CLEANUP(buf_clear) = {0};
        // A renewal under way would change the version under the release.
        for (int i = 0; l->request && i < 50; i++)
            loop_run_once(l->loop, 20);
        CLEANUP(json_freep) json_t *doc = lease_doc(l, true);
        l->is_releasing = true;
        call(l, "PUT", doc, &reply, &store);
        l->is_releasing = false;
    }
    if (l->request)
        kube_cancel(l->request);
    str_set(&l->resource_version, NULL);
}

void lease_keeper_free(struct lease_keeper *l)
{
    if (!l)
        return;
    lease_keeper_give_up(l);
    free(l->holder);
    free(l->folder);
    free(l->path);
    free(l->namespace_path);
    free(l->namespace_doc);
    free(l->since);
    free(l);
}
