// SPDX-License-Identifier: Apache-2.0
//
// What people ask for, the status and its writer, alone against a server, for end-to-end tests: it
// takes what is asked of each Application and answers as a controller does, without applying
// anything.
//
//   tool_status SECONDS     ends early when a ConfigMap "end" appears in namespace default
//
// An operation to the revision "bad" fails, one to "slow" runs for a second. One line for each
// request that was taken; at the end the writer's counters.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "reconcile/reconcile.h"

struct state {
    struct loop *loop;
    struct kube *kube;
    struct app_writer *writer;
    int64_t end;
    bool is_over;
    struct loop_timer *timer;
    json_t *slow;  // the application whose operation is under way
    json_t *taken; // by name: the operation that was taken and still stands there
};

static const struct object_id web = {(char *)"apps", (char *)"Deployment", (char *)"shop",
                                     (char *)"web"};

static void answer(struct state *s, json_t *live, const struct app_control *c,
                   enum operation_phase phase, const char *message)
{
    struct origin where = {0};
    struct err err = {0};
    struct application *a = NULL;
    struct strv revisions = {0};
    int64_t now = clock_unix_ms() / 1000;
    struct report_resource r = {
        .id = &web, .version = "v1", .sync = SYNC_SYNCED, .health = HEALTH_HEALTHY};
    if (!application_parse(live, &where, &a, &err)) {
        printf("not parsed: %s\n", err.msg);
        err_clear(&err);
        return;
    }
    strv_push(&revisions, c->revisions.len ? c->revisions.v[0] : "head");
    bool is_final = phase != OPERATION_RUNNING;
    struct app_report x = {.app = a,
                           .now_unix_s = now,
                           .sync = SYNC_SYNCED,
                           .revisions = &revisions,
                           .health = HEALTH_HEALTHY,
                           .resources = &r,
                           .n_resources = 1,
                           .operation = {.phase = phase,
                                         .message = message,
                                         .started_unix_s = phase ? now : 0,
                                         .finished_unix_s = phase && is_final ? now : 0,
                                         .asked = c->operation,
                                         .revisions = &revisions},
                           .is_deployed = phase == OPERATION_SUCCEEDED && !c->resources,
                           .deployed_by = *c->username ? c->username : NULL,
                           .controller_namespace = "regrow-system",
                           .is_suspended = c->is_suspended};
    json_t *status = app_status_json(&x, json_object_get(live, "status"));
    CLEANUP(json_freep) json_t *taken = control_taken(c);
    app_writer_set(s->writer, live, status, taken);
    json_decref(status);
    strv_clear(&revisions);
    application_free(a);
}

static void on_slow_end(void *ctx)
{
    struct state *s = ctx;
    struct app_control c;
    struct err err = {0};
    if (control_read(s->slow, &c, &err))
        answer(s, s->slow, &c, OPERATION_SUCCEEDED, "all done");
    err_clear(&err);
    app_control_clear(&c);
    json_decref(s->slow);
    s->slow = NULL;
}

static void take(struct state *s, json_t *live)
{
    struct app_control c;
    struct err err = {0};
    bool ok = control_read(live, &c, &err);
    const char *name = json_dot_text(live, "metadata.name");
    if (c.operation && json_equal(json_object_get(s->taken, name), c.operation)) {
        err_clear(&err);
        app_control_clear(&c);
        return;
    }
    if (c.operation)
        json_object_set_new(s->taken, name, json_deep_copy(c.operation));
    else
        json_object_del(s->taken, name);
    const char *revision = c.revisions.len ? c.revisions.v[0] : "";
    if (c.operation || c.refresh)
        printf("%s:%s%s%s%s%s\n", name, c.refresh == REFRESH_HARD ? " hard" : "",
               c.refresh ? " refresh" : "", c.operation ? " sync " : "", revision,
               c.is_suspended ? " suspended" : "");
    fflush(stdout);
    if (!ok) {
        answer(s, live, &c, OPERATION_ERROR, err.msg);
    } else if (c.operation && !strcmp(revision, "slow") && !s->slow) {
        s->slow = json_deep_copy(live);
        loop_timer_set(s->timer, 1000);
    } else if (c.operation) {
        bool bad = !strcmp(revision, "bad");
        answer(s, live, &c, bad ? OPERATION_FAILED : OPERATION_SUCCEEDED,
               bad ? "one object was refused" : "all done");
    } else {
        answer(s, live, &c, OPERATION_NONE, NULL);
    }
    err_clear(&err);
    app_control_clear(&c);
}

static void on_app(void *ctx, enum kube_event ev, json_t *doc)
{
    struct state *s = ctx;
    if (ev == KUBE_DELETED)
        app_writer_forget(s->writer, json_dot_text(doc, "metadata.namespace"),
                          json_dot_text(doc, "metadata.name"));
    else if (ev == KUBE_ITEM || ev == KUBE_ADDED || ev == KUBE_MODIFIED)
        take(s, doc);
}

static void on_map(void *ctx, enum kube_event ev, json_t *doc)
{
    struct state *s = ctx;
    (void)ev;
    s->is_over |= str_eq(json_dot_str(doc, "metadata.name"), "end");
}

static void on_refused(void *ctx, const struct app_refusal *r)
{
    (void)ctx;
    printf("not written: %s/%s: %s\n", r->ns, r->name, kube_class_name(r->reply->cls));
}

static void serve(struct state *s, const struct kinds *kinds)
{
    const struct kind_info *app = kinds_find(kinds, "argoproj.io", NULL, "Application");
    const struct kind_info *map = kinds_find(kinds, "", "v1", "ConfigMap");
    if (!app || !app->is_served) {
        printf("no kind Application\n");
        return;
    }
    struct app_writer_opts wo = {.kind = app, .refused = on_refused, .instance = "test"};
    struct kube_watch_opts apps = {.kind = app, .event = on_app, .ctx = s};
    struct kube_watch_opts maps = {.kind = map, .namespace = "default", .event = on_map, .ctx = s};
    s->writer = app_writer_new(s->loop, s->kube, &wo);
    s->timer = loop_timer_new(s->loop, on_slow_end, s);
    kube_watch(s->kube, &apps);
    kube_watch(s->kube, &maps);
    while (!s->is_over && clock_mono_ms() < s->end)
        loop_run_once(s->loop, 100);
    bool all = app_writer_drain(s->writer, 5000);
    struct app_writer_stats n = app_writer_stats(s->writer);
    printf("end: %s, %lu writes, %lu failed, %lu events\n", all ? "all written" : "not all written",
           n.writes, n.failed, n.events);
    app_writer_free(s->writer);
    loop_timer_free(s->timer);
}

int main(int argc, char **argv)
{
    struct err err = {0};
    struct state s = {.loop = loop_new(NULL), .taken = json_object()};
    struct kinds *kinds = kinds_new();
    struct kubeconfig_opts co = {0};
    struct kube_opts ko = {.user_agent = "regrow/tool_status", .field_manager = "regrow"};
    struct kubeconfig *config = NULL;
    if (argc < 2)
        return 2;
    s.end = clock_mono_ms() + 1000 * atoi(argv[1]);
    bool ok = kubeconfig_load(&co, &config, &err);
    if (ok) {
        s.kube = kube_new(s.loop, config, &ko);
        ok = kube_connect(s.kube, 0, kinds, &err);
    }
    if (ok)
        serve(&s, kinds);
    else
        printf("error %s: %s\n", err_kind_name(err.kind), err.msg);
    err_clear(&err);
    json_decref(s.slow);
    json_decref(s.taken);
    kube_free(s.kube);
    kubeconfig_free(config);
    kinds_free(kinds);
    loop_free(s.loop);
    return ok ? 0 : 1;
}
