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

static json_t *lease_doc(const struct lease *l, bool release)
{
    CLEANUP(str_freep) char *now = clock_rfc3339_us(clock_unix_ms() * 1000);
    json_t *doc = json_pack("{s:s, s:s, s:{s:s, s:s}, s:{s:s, s:i, s:s, s:s}}", "apiVersion",
                            "coordination.k8s.io/v1", "kind", "Lease", "metadata", "name",
                            LEASE_NAME, "namespace", REGROW_NAMESPACE, "spec", "holderIdentity",
                            release ? "" : l->holder, "leaseDurationSeconds",
                            release ? 1 : DURATION_S, "acquireTime", now, "renewTime", now);
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
                          .timeout_ms = 10000};
    kube_send_wait(r->kube, &c, reply, store);
}

static bool parse_doc(const struct kube_reply *reply, json_t **out)
{
    struct err err = {0};
    bool ok = canon_read(reply->body, reply->body_len, out, &err);
    err_clear(&err);
    return ok;
}

static bool is_free(const json_t *live, int64_t *age_ms)
{
    const char *holder = json_dot_str(live, "spec.holderIdentity");
    const char *renewed = json_dot_str(live, "spec.renewTime");
    long long duration = json_dot_int(live, "spec.leaseDurationSeconds", DURATION_S);
    int64_t at = renewed ? clock_parse_rfc3339_ms(renewed) : 0;
    *age_ms = clock_unix_ms() - at;
    return str_is_empty(holder) || *age_ms > duration * 1000 || is_dead_here(holder);
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

static bool taken(struct run *r, const struct kube_reply *reply)
{
    CLEANUP(json_freep) json_t *doc = NULL;
    if (!parse_doc(reply, &doc))
        return false;
    str_set(&r->lease.resource_version, json_dot_str(doc, "metadata.resourceVersion"));
    r->lease.is_held = true;
    if (!r->lease.timer)
        r->lease.timer = loop_timer_new(r->loop, on_timer, r);
    loop_timer_set(r->lease.timer, RENEW_MS);
    return true;
}

bool lease_take(struct run *r, struct err *err)
{
    r->lease.holder = r->opts.holder ? str_dup(r->opts.holder) : own_name();
    for (int i = 0; i < 5; i++) {
        struct kube_reply reply;
        struct buf store CLEANUP(buf_clear) = {0};
        CLEANUP(json_freep) json_t *live = NULL;
        str_set(&r->lease.resource_version, NULL);
        call(r, "GET", NULL, &reply, &store);
        int64_t age;
        if (reply.cls == KUBE_OK && parse_doc(&reply, &live)) {
            if (!is_free(live, &age))
                return held_by_other(live, err);
            str_set(&r->lease.resource_version, json_dot_str(live, "metadata.resourceVersion"));
        } else if (reply.cls != KUBE_ABSENT) {
            return kube_reply_err(&reply, err, "take the cluster's lock");
        }
        CLEANUP(json_freep) json_t *doc = lease_doc(&r->lease, false);
        call(r, live ? "PUT" : "POST", doc, &reply, &store);
        if (reply.cls == KUBE_OK && taken(r, &reply)) {
            event_emit(r->opts.events, "lease.acquired", "{s:s}", "holder", r->lease.holder);
            return true;
        }
        if (reply.cls != KUBE_CONFLICT && reply.cls != KUBE_ABSENT)
            return kube_reply_err(&reply, err, "take the cluster's lock");
    }
    return err_set(err, ERR_CONFLICT, "several regrow processes want this cluster at once");
}

static void on_renewed(void *ctx, const struct kube_reply *reply)
{
    struct call_ctx *c = ctx;
    struct run *r = c->run;
    call_end(c);
    if (!r->lease.is_held)
        return;
    if (reply->cls == KUBE_OK) {
        taken(r, reply);
    } else if (reply->cls == KUBE_CONFLICT) {
        r->lease.is_held = false;
        if (!err_is_set(&r->fatal))
            err_set(&r->fatal, ERR_CONFLICT,
                    "another regrow has taken this cluster over while this one was cut off");
    } else {
        loop_timer_set(r->lease.timer, 1000);
    }
}

static void on_timer(void *ctx)
{
    struct run *r = ctx;
    CLEANUP(json_freep) json_t *doc = lease_doc(&r->lease, false);
    struct buf body CLEANUP(buf_clear) = {0};
    canon_write(doc, &body);
    struct kube_call c = {.method = "PUT",
                          .path = LEASE_PATH "/" LEASE_NAME,
                          .body = body.p,
                          .body_len = body.len,
                          .timeout_ms = 10000};
    kube_send(r->kube, &c, on_renewed, call_new(r, 0));
}

void lease_release(struct run *r)
{
    if (r->lease.is_held && !kube_is_down(r->kube)) {
        struct kube_reply reply;
        struct buf store CLEANUP(buf_clear) = {0};
        r->lease.is_held = false;
        loop_timer_stop(r->lease.timer);
        // A renewal under way would change the version under the release.
        for (int i = 0; r->pending_calls && i < 50; i++)
            loop_run_once(r->loop, 20);
        CLEANUP(json_freep) json_t *doc = lease_doc(&r->lease, true);
        call(r, "PUT", doc, &reply, &store);
    }
    r->lease.is_held = false;
    loop_timer_free(r->lease.timer);
    r->lease.timer = NULL;
    str_set(&r->lease.holder, NULL);
    str_set(&r->lease.resource_version, NULL);
}
