// SPDX-License-Identifier: Apache-2.0
//
// The room alone against a server, for end-to-end tests: one line on stdout per thing that happens.
//
//   tool_kube watch SECONDS COPIES KIND...    lists and watches each kind COPIES times; ends early
//                                             when a ConfigMap "end" appears
//   tool_kube send SECONDS COUNT METHOD PATH  COUNT requests at once; "%d" in PATH is the number;
//                                             again and again until the time is over (0: once)
//
// Environment: IDLE_MS and PING_MS, silence before a connection is asked and for the answer.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "kube/kube.h"

struct state {
    struct loop *loop;
    struct kube *kube;
    struct kinds *kinds;
    int64_t began, end;
    unsigned open, synced;
    unsigned long classes[32];
    bool is_over;
};

static int64_t env_ms(const char *name)
{
    const char *v = getenv(name);
    return v ? atoll(v) : 0;
}

static void say(const struct state *s, const char *what, const char *more)
{
    printf("%6" PRId64 " %s %s\n", clock_mono_ms() - s->began, what, more ? more : "");
    fflush(stdout);
}

static void on_sink(void *ctx, const json_t *ev)
{
    say(ctx, "event", json_dot_str(ev, "type"));
}

static void on_event(void *ctx, enum kube_event ev, json_t *doc)
{
    static const char *const names[] = {"item",    "added",  "modified", "deleted",
                                        "restart", "synced", "gone"};
    struct state *s = ctx;
    const char *name = json_dot_str(doc, "metadata.name");
    if (json_dot(doc, "metadata.managedFields"))
        name = "with managed fields";
    s->synced += ev == KUBE_SYNCED;
    if (ev != KUBE_ITEM)
        say(s, names[ev], name);
    if (ev == KUBE_ADDED && str_eq(name, "end"))
        s->is_over = true;
}

static void on_failed(void *ctx, const struct kube_reply *r)
{
    say(ctx, "failed", kube_class_name(r->cls));
}

static void watch(struct state *s, int copies, char **names, int n)
{
    for (int i = 0; i < n * copies; i++) {
        const struct kind_info *k = kinds_find_name(s->kinds, names[i % n]);
        if (!k) {
            say(s, "no kind", names[i % n]);
            continue;
        }
        struct kube_watch_opts o = {.kind = k, .event = on_event, .failed = on_failed, .ctx = s};
        kube_watch(s->kube, &o);
    }
    while (!s->is_over && clock_mono_ms() < s->end)
        loop_run_once(s->loop, 100);
    printf("synced %u\n", s->synced);
}

static void on_reply(void *ctx, const struct kube_reply *r)
{
    struct state *s = ctx;
    s->open--;
    s->classes[r->cls]++;
}

static void send_all(struct state *s, int count, const char *method, const char *format)
{
    const char *hole = strstr(format, "%d");
    for (int i = 0; i < count; i++) {
        CLEANUP(str_freep)
        char *path = hole ? str_printf("%.*s%d%s", (int)(hole - format), format, i, hole + 2)
                          : str_dup(format);
        struct kube_call c = {.method = method, .path = path, .timeout_ms = 30000};
        s->open++;
        kube_send(s->kube, &c, on_reply, s);
    }
    while (s->open)
        loop_run_once(s->loop, 100);
}

static void print_classes(const struct state *s)
{
    for (int i = 0; i <= KUBE_CANCELLED; i++)
        if (s->classes[i])
            printf("%s: %lu\n", kube_class_name((enum kube_class)i), s->classes[i]);
}

int main(int argc, char **argv)
{
    struct err err = {0};
    struct state s = {.loop = loop_new(NULL), .kinds = kinds_new(), .began = clock_mono_ms()};
    struct event_sink sink = {on_sink, &s};
    struct kubeconfig_opts co = {0};
    struct kube_opts ko = {.user_agent = "tool_kube",
                           .events = &sink,
                           .idle_ms = env_ms("IDLE_MS"),
                           .ping_ms = env_ms("PING_MS")};
    struct kubeconfig *config = NULL;
    if (argc < 5)
        return 2;
    bool ok = kubeconfig_load(&co, &config, &err);
    if (ok) {
        s.kube = kube_new(s.loop, config, &ko);
        ok = kube_connect(s.kube, 0, s.kinds, &err);
    }
    s.end = clock_mono_ms() + 1000 * atoi(argv[2]);
    if (!ok) {
        printf("error %s: %s\n", err_kind_name(err.kind), err.msg);
    } else if (!strcmp(argv[1], "watch")) {
        watch(&s, atoi(argv[3]), argv + 4, argc - 4);
    } else if (argc > 5) {
        do
            send_all(&s, atoi(argv[3]), argv[4], argv[5]);
        while (clock_mono_ms() < s.end);
        print_classes(&s);
    }
    err_clear(&err);
    kube_free(s.kube);
    kubeconfig_free(config);
    kinds_free(s.kinds);
    loop_free(s.loop);
    return ok ? 0 : 1;
}
