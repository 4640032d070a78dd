// SPDX-License-Identifier: Apache-2.0
//
// The room alone, with canned applications, for tests from outside.
//
//   tool_web LISTEN [tls=CERT,KEY] [self-signed] [auth] [namespace=NS] [secret=FILE]...
//            [apps=N] [header_ms=N] [body_ms=N] [idle_ms=N] [answer_ms=N] [stream_ms=N]
//            [heartbeat_ms=N] [reload_ms=N] [allowed_ms=N] [denied_ms=N] [per_address=N]
//            [connections=N] [streams=N] [replay_bytes=N]
//
// On stdout, a line each: "port N", "event TYPE", "push ...", "act ...". On stdin, a line each:
// "emit TYPE TEXT", "flood COUNT" (events of 1 KB), "unready TEXT", "ready", "set APP SYNC HEALTH",
// "quit".
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "kube/kube.h"
#include "web/web.h"

struct state {
    struct loop *loop;
    struct web_server *web;
    json_t *apps;
    char *why;
    bool is_over;
    char input[8192];
    size_t n;
};

static void on_event(void *ctx, const json_t *ev)
{
    (void)ctx;
    printf("event %s %s\n", json_dot_text(ev, "type"), json_dot_text(ev, "message"));
    fflush(stdout);
}

// ---- hooks ----

static json_t *applications(void *ctx)
{
    struct state *s = ctx;
    json_t *doc = json_pack("{s:b, s:O}", "good", 0, "applications", s->apps);
    json_t *copy = json_deep_copy(doc);
    json_decref(doc);
    return copy;
}

static json_t *find(struct state *s, const char *name)
{
    size_t i;
    json_t *app;
    json_array_foreach(s->apps, i, app) if (!strcmp(json_dot_text(app, "name"), name)) return app;
    return NULL;
}

static json_t *application(void *ctx, const char *name)
{
    json_t *app = find(ctx, name);
    if (!app)
        return NULL;
    json_t *copy = json_deep_copy(app);
    json_object_set_new(copy, "drift",
                        json_pack("[{s:s, s:s, s:s, s:s, s:s, s:s}]", "kind", "Deployment", "name",
                                  "api", "namespace", "shop", "pointer", "/spec/replicas",
                                  "manager", "kubectl-scale", "at", "2026-11-26T13:00:00Z"));
    return copy;
}

static json_t *fleet(void *ctx)
{
    (void)ctx;
    return json_pack("{s:[{s:s, s:s, s:b}]}", "clusters", "name", "in-cluster", "state", "ok",
                     "leader", 1);
}

static void metrics(void *ctx, struct buf *out)
{
    struct prom_histogram h = {0};
    (void)ctx;
    prom_observe(&h, 0.02);
    prom_observe(&h, 400);
    web_metric(out, "regrow_leader", 1);
    web_metric_family(out, "regrow_app_reconcile_seconds");
    prom_histogram(out, "regrow_app_reconcile_seconds", &h, NULL, NULL);
    web_metric_family(out, "regrow_app_sync_total");
    prom_sample(out, "regrow_app_sync_total", 3, "phase", "Succeeded", NULL);
}

static bool ready(void *ctx, char **why)
{
    struct state *s = ctx;
    *why = str_dup_or_null(s->why);
    return !s->why;
}

static void pushed(void *ctx, const struct web_push *p)
{
    (void)ctx;
    printf("push %s %s %s->%s default=%d paths=", p->host, p->ref, p->before ? p->before : "-",
           p->after ? p->after : "-", p->is_default);
    for (size_t i = 0; p->has_paths && i < p->paths.len; i++)
        printf("%s%s", i ? "," : "", p->paths.v[i]);
    for (size_t i = 0; i < p->repos.len; i++)
        printf(" %s", p->repos.v[i]);
    printf("\n");
    fflush(stdout);
}

static bool act(void *ctx, const char *app, const char *action, const json_t *args, const char *who,
                struct err *err)
{
    char *text = json_dumps(args, JSON_COMPACT | JSON_SORT_KEYS);
    printf("act %s %s %s %s\n", action, app, who, text);
    fflush(stdout);
    free(text);
    if (!find(ctx, app))
        return err_set(err, ERR_NOT_FOUND, "there is no application %s", app);
    if (json_dot_bool(args, "secretly", false))
        return err_set(err, ERR_INTERNAL, "a line of /etc/shadow");
    return true;
}

static const struct web_hooks hooks_of = {.applications = applications,
                                          .application = application,
                                          .fleet = fleet,
                                          .metrics = metrics,
                                          .ready = ready,
                                          .pushed = pushed,
                                          .act = act};

// ---- stdin ----

static void set(struct state *s, char *name)
{
    char *sync = strchr(name, ' ');
    char *health = sync ? strchr(sync + 1, ' ') : NULL;
    if (!health)
        return;
    *sync++ = *health++ = 0;
    json_t *app = find(s, name);
    json_object_set_new(app, "sync", json_string(sync));
    json_object_set_new(app, "health", json_string(health));
    event_emit(web_server_sink(s->web), "app.changed", "{s:s}", "app", name);
}

static void obey(struct state *s, char *line)
{
    char *rest = strchr(line, ' ');
    if (rest)
        *rest++ = 0;
    if (!strcmp(line, "emit") && rest) {
        char *text = strchr(rest, ' ');
        if (text)
            *text++ = 0;
        event_emit(web_server_sink(s->web), rest, "{s:s}", "text", text ? text : "");
    } else if (!strcmp(line, "flood") && rest) {
        CLEANUP(str_freep) char *kb = mem_alloc(1025);
        memset(kb, 'x', 1024);
        for (int i = atoi(rest); i > 0; i--)
            event_emit(web_server_sink(s->web), "flood", "{s:i, s:s}", "left", i, "text", kb);
    } else if (!strcmp(line, "unready")) {
        str_set(&s->why, rest ? rest : "told so");
    } else if (!strcmp(line, "ready")) {
        str_set(&s->why, NULL);
    } else if (!strcmp(line, "set") && rest) {
        set(s, rest);
    } else if (!strcmp(line, "quit")) {
        s->is_over = true;
    }
}

static void on_stdin(void *ctx, uint32_t events)
{
    struct state *s = ctx;
    (void)events;
    ssize_t n = read(0, s->input + s->n, sizeof(s->input) - 1 - s->n);
    if (n <= 0) {
        s->is_over = true;
        return;
    }
    s->n += (size_t)n;
    s->input[s->n] = 0;
    for (char *end; (end = strchr(s->input, '\n'));) {
        *end = 0;
        obey(s, s->input);
        s->n -= (size_t)(end + 1 - s->input);
        memmove(s->input, end + 1, s->n + 1);
    }
}

// ---- start ----

static json_t *make_apps(long n)
{
    static const char *const syncs[] = {"Synced", "Synced", "OutOfSync", "Synced", "Unknown"};
    static const char *const healths[] = {"Healthy", "Progressing", "Degraded", "Healthy",
                                          "Unknown"};
    json_t *apps = json_array();
    for (long i = 0; i < n; i++) {
        CLEANUP(str_freep) char *name = str_printf("app-%ld", i);
        json_array_append_new(
            apps,
            json_pack("{s:s, s:s, s:s, s:b, s:s, s:s, s:i, s:i, s:i, s:i, s:s, s:s, s:b}", "name",
                      name, "namespace", "argocd", "project", "default", "good", i % 5 == 0, "sync",
                      syncs[i % 5], "health", healths[i % 5], "objects", 12, "ready",
                      i % 5 ? 9 : 12, "missing", 0, "differing", i % 5 == 2 ? 2 : 0, "waitsFor",
                      i % 5 == 1 ? "Secret shop/db (secret-store)" : "", "revision",
                      "3f9c2e1b7f0c9d1a2b3c4d5e6f708192a3b4c5d6", "suspended", i % 7 == 3));
    }
    return apps;
}

static bool number(const char *arg, const char *key, int64_t *out)
{
    size_t n = strlen(key);
    if (strncmp(arg, key, n) != 0 || arg[n] != '=')
        return false;
    *out = atoll(arg + n + 1);
    return true;
}

static void read_arg(char *arg, struct web_opts *o, struct strv *secrets, long *apps)
{
    struct web_limits *l = &o->limits;
    int64_t n = 0;
    struct {
        const char *key;
        int64_t *to;
    } times[] = {{"header_ms", &l->header_ms}, {"body_ms", &l->body_ms},
                 {"idle_ms", &l->idle_ms},     {"answer_ms", &l->answer_ms},
                 {"stream_ms", &l->stream_ms}, {"heartbeat_ms", &l->heartbeat_ms},
                 {"reload_ms", &l->reload_ms}, {"allowed_ms", &l->allowed_ms},
                 {"denied_ms", &l->denied_ms}};
    for (size_t i = 0; i < ARRAY_LEN(times); i++)
        if (number(arg, times[i].key, times[i].to))
            return;
    if (number(arg, "per_address", &n))
        l->per_address = (unsigned)n;
    else if (number(arg, "connections", &n))
        l->connections = (unsigned)n;
    else if (number(arg, "streams", &n))
        l->streams = (unsigned)n;
    else if (number(arg, "replay_bytes", &n))
        l->replay_bytes = (size_t)n;
    else if (number(arg, "apps", &n))
        *apps = (long)n;
    else if (str_starts(arg, "secret="))
        strv_push(secrets, strchr(arg, '=') + 1);
    else if (str_starts(arg, "namespace="))
        o->namespace = strchr(arg, '=') + 1;
    else if (!strcmp(arg, "self-signed"))
        o->self_signed = true;
    else if (!strcmp(arg, "auth"))
        o->auth = WEB_AUTH_REVIEW;
    else if (str_starts(arg, "tls=")) {
        o->tls_cert = strchr(arg, '=') + 1;
        char *comma = strchr(arg, ',');
        if (comma) {
            *comma = 0;
            o->tls_key = comma + 1;
        }
    }
}

static bool serve(struct state *s, struct web_opts *o, struct err *err)
{
    CLEANUP(kubeconfig_freep) struct kubeconfig *config = NULL;
    CLEANUP(kube_freep) struct kube *kube = NULL;
    if (o->auth == WEB_AUTH_REVIEW) {
        struct kubeconfig_opts ko = {.loop = s->loop};
        struct kube_opts opts = {.user_agent = "tool_web", .field_manager = "regrow"};
        if (!kubeconfig_load(&ko, &config, err))
            return false;
        kube = kube_new(s->loop, config, &opts);
    }
    o->kube = kube;
    if (!web_server_new(s->loop, o, &s->web, err))
        return false;
    printf("port %u\n", web_server_port(s->web));
    fflush(stdout);
    loop_fd_set(s->loop, 0, EPOLLIN, on_stdin, s);
    while (!s->is_over)
        loop_run_once(s->loop, -1);
    loop_fd_del(s->loop, 0);
    web_server_free(s->web);
    return true;
}

int main(int argc, char **argv)
{
    struct state s = {0};
    struct strv secrets = {0};
    struct err err = {0};
    struct event_sink sink = {.emit = on_event};
    struct web_hooks hooks = hooks_of;
    long apps = 11;
    hooks.ctx = &s;
    struct web_opts o = {.listen = argc > 1 ? argv[1] : "127.0.0.1:0",
                         .webhook_secrets = &secrets,
                         .events = &sink,
                         .hooks = &hooks};
    for (int i = 2; i < argc; i++)
        read_arg(argv[i], &o, &secrets, &apps);
    s.apps = make_apps(apps);
    s.loop = loop_new(NULL);
    bool ok = serve(&s, &o, &err);
    if (!ok)
        fprintf(stderr, "%s\n", err.msg);
    int code = err_exit_code(err.kind);
    err_clear(&err);
    loop_free(s.loop);
    json_decref(s.apps);
    strv_clear(&secrets);
    free(s.why);
    return code;
}
