// SPDX-License-Identifier: Apache-2.0
//
// Informers and runs of parts against a real cluster. Commands on stdin, one a line:
//
//   load          reads the root anew, as it is now
//   whole         a run of everything
//   part APP...   a run of these applications; with "+gone" of what others have left, too
//   heal          a run of the applications of which a change was told
//   wait MS       lets things happen
//   stats         what is known, what it takes, and what has been asked of the server
//
// What is told is printed as it comes: "drift APP KIND NAMESPACE/NAME".
//
// usage: tool_informers ROOT   (the cluster is that of KUBECONFIG)
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "bootstrap/bootstrap.h"

struct tool {
    struct loop *loop;
    struct session *first, *now; // the one with the client; the one with the desired state
    struct informers *informers;
    struct lease_keeper *lease;
    struct event_sink sink;
    const char *root;
    struct strv changed; // applications
};

static const char *const words[] = {"drift", "still", "gone", "health", "unrecorded"};

static void on_change(void *ctx, const struct object_id *id, const char *app,
                      enum informer_change c)
{
    struct tool *t = ctx;
    CLEANUP(str_freep) char *name = object_name(id);
    printf("%s %s %s\n", words[c], app, name);
    fflush(stdout);
    if (c != INFORMER_HEALTH && c != INFORMER_STILL && !strv_has(&t->changed, app))
        strv_push(&t->changed, app);
}

static void on_emitted(void *ctx, const json_t *event)
{
    (void)ctx;
    const char *type = json_dot_str(event, "type");
    if (str_eq(type, "run.warning") || str_eq(type, "object.failed"))
        fprintf(stderr, "%s: %s\n", type, json_dot_text(event, "message"));
}

static int64_t cpu_us(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000LL + u.ru_utime.tv_usec +
           u.ru_stime.tv_usec;
}

static bool load(struct tool *t, struct err *err)
{
    struct session_opts so = {.use_cluster = true, .wait_cluster_ms = 5000, .events = &t->sink};
    struct source_opts o = {0};
    struct session *s = NULL;
    if (!session_open(t->loop, &so, &s, err) || !session_load(s, t->root, &o, err)) {
        session_close(s);
        return false;
    }
    if (t->now != t->first)
        session_close(t->now);
    t->now = s;
    if (!t->first)
        t->first = s;
    return true;
}

// What an application that is not ready waits for.
static void print_open(const struct run *r)
{
    for (unsigned i = 0; i < run_desired(r)->apps.len; i++) {
        struct app_view v;
        if (!desired_takes(run_desired(r), i))
            continue;
        run_app(r, i, &v);
        if (v.state != NODE_READY)
            printf("open: %s: %s%s\n", run_desired(r)->apps.v[i]->name, v.problem, v.waits_for);
        app_view_clear(&v);
    }
}

static bool run_over(struct tool *t, struct desired *d, const char *what, struct err *err)
{
    struct run_opts o = {.policy = {.prune = true, .max_prune_percent = 34, .min_prune_count = 20},
                         .graph = {0},
                         .events = &t->sink,
                         .deadline_ms = clock_mono_ms() + 600000,
                         .lease = t->lease,
                         .force_drifted = true,
                         .root = t->root,
                         .informers = t->informers};
    struct kube_stats before = kube_stats(t->first->kube);
    int64_t cpu = cpu_us();
    int64_t began = clock_mono_ms();
    struct run *r CLEANUP(run_freep) = run_new(t->loop, t->first->kube, d, &o);
    bool ok = run_prepare(r, err) && run_execute(r, err);
    struct kube_stats after = kube_stats(t->first->kube);
    struct run_summary s = {0};
    if (ok)
        run_summary(r, &s);
    if (ok)
        print_open(r);
    printf("%s: %s written %zu unchanged %zu pruned %zu failed %zu waiting %zu healthy %zu lists "
           "%lu requests %lu ms %lld cpu_us %lld\n",
           what, ok ? "done" : "ended", s.written, s.unchanged, s.pruned, s.apps_failed,
           s.apps_waiting, s.apps_healthy, after.lists - before.lists,
           after.requests - before.requests, (long long)(clock_mono_ms() - began),
           (long long)(cpu_us() - cpu));
    fflush(stdout);
    return ok;
}

static bool run_part_of(struct tool *t, const struct strv *apps, struct err *err)
{
    struct desired *d = t->now->desired;
    bool *take = mem_alloc(d->apps.len + 1);
    bool gone = false;
    for (size_t i = 0; i < apps->len; i++) {
        int at = desired_tracked_app(d, apps->v[i]);
        gone |= at < 0 && strcmp(apps->v[i], "part") != 0;
        if (at >= 0)
            take[at] = true;
    }
    struct desired *part CLEANUP(desired_freep) = desired_part(d, take, gone);
    free(take);
    return run_over(t, part, "part", err);
}

static void let_happen(struct tool *t, int64_t ms)
{
    int64_t end = clock_mono_ms() + ms;
    while (clock_mono_ms() < end)
        loop_run_once(t->loop, end - clock_mono_ms());
}

static void print_stats(const struct tool *t)
{
    struct informers_stats s = informers_stats(t->informers);
    struct kube_stats k = kube_stats(t->first->kube);
    long rss = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%*d %ld", &rss) != 1)
        rss = 0;
    if (f)
        fclose(f);
    printf("stats: kinds %zu unknown %zu objects %zu facts %zu records %zu kB %zu events %lu stale "
           "%lu lists %lu writes %lu rss_kB %ld cpu_us %lld\n",
           s.kinds, s.kinds_unknown, s.objects, s.facts, s.records, s.bytes / 1024, s.events,
           s.stale, k.lists, k.writes, rss * 4, (long long)cpu_us());
    fflush(stdout);
}

static bool obey(struct tool *t, const char *line, struct err *err)
{
    struct strv w = {0};
    bool ok = true;
    strv_split(&w, line, ' ');
    if (!strcmp(w.v[0], "load")) {
        ok = load(t, err);
    } else if (!strcmp(w.v[0], "whole")) {
        ok = run_over(t, t->now->desired, "whole", err);
    } else if (!strcmp(w.v[0], "part")) {
        ok = run_part_of(t, &w, err);
    } else if (!strcmp(w.v[0], "heal")) {
        struct strv apps = t->changed;
        memset(&t->changed, 0, sizeof(t->changed));
        ok = run_part_of(t, &apps, err);
        strv_clear(&apps);
    } else if (!strcmp(w.v[0], "wait") && w.len > 1) {
        let_happen(t, atoi(w.v[1]));
    } else if (!strcmp(w.v[0], "stats")) {
        print_stats(t);
    }
    strv_clear(&w);
    return ok;
}

int main(int argc, char **argv)
{
    struct tool t = {.root = argc > 1 ? argv[1] : NULL};
    struct err err = {0};
    if (!t.root)
        return 2;
    t.sink = (struct event_sink){.emit = on_emitted};
    t.loop = loop_new(NULL);
    bool ok = load(&t, &err);
    struct lease_opts lo = {.events = &t.sink};
    struct informers_opts io = {.events = &t.sink, .changed = on_change, .ctx = &t};
    if (ok) {
        t.lease = lease_keeper_new(t.loop, t.first->kube, &lo);
        t.informers = informers_new(t.loop, t.first->kube, &io);
        ok = lease_keeper_take(t.lease, 0, &err);
    }
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    while (ok && (n = getline(&line, &cap, stdin)) > 0) {
        line[strcspn(line, "\n")] = 0;
        if (!obey(&t, line, &err)) {
            printf("error: %s\n", err.msg);
            fflush(stdout);
            err_clear(&err);
        }
    }
    free(line);
    if (!ok)
        fprintf(stderr, "%s\n", err.msg);
    informers_free(t.informers);
    lease_keeper_free(t.lease);
    if (t.now != t.first)
        session_close(t.now);
    session_close(t.first);
    strv_clear(&t.changed);
    loop_free(t.loop);
    err_clear(&err);
    return ok ? 0 : 1;
}
