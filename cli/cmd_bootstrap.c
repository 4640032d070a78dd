// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/cli.h"

static void print_path(const struct run *r)
{
    struct path_step *steps = NULL;
    size_t n = run_critical_path(r, &steps);
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        if (steps[i].ms < 50 && n > 6)
            continue; // what took no time explains nothing
        CLEANUP(str_freep) char *t = clock_duration_text(steps[i].ms);
        printf("%s%s %s",
               any ? " → " : "  critical path: ", run_graph(r)->nodes.v[steps[i].node].label, t);
        any = true;
    }
    if (any)
        printf("\n");
    free(steps);
}

static void print_problems(const struct cli *c, const struct run *r)
{
    const struct desired *d = run_desired(r);
    const struct graph *g = run_graph(r);
    for (unsigned i = 0; i < d->apps.len; i++) {
        struct app_view v;
        run_app(r, i, &v);
        if (*v.problem) {
            printf("  %s %s  %s\n", state_symbol(c, NODE_FAILED), d->apps.v[i]->name, v.problem);
            for (unsigned k = 0; k < d->objects.len; k++) {
                struct node_view nv;
                run_node(r, k, &nv);
                if (d->objects.v[k].app != i || nv.state != NODE_FAILED)
                    continue;
                CLEANUP(str_freep) char *where = origin_text(&d->objects.v[k].origin);
                printf("      %s: %s\n", g->nodes.v[k].label, where);
            }
        } else if (v.state != NODE_READY && v.state != NODE_SKIPPED && (i || v.total)) {
            printf("  · %s  waits for %s\n", d->apps.v[i]->name,
                   *v.waits_for ? v.waits_for : "its objects to become healthy");
        }
        app_view_clear(&v);
    }
    for (size_t i = 0; i < run_leftovers(r)->len; i++)
        printf("  %s %s\n", state_symbol(c, NODE_FAILED), run_leftovers(r)->v[i]);
}

static int exit_of(const struct run *r, const struct run_summary *s)
{
    if (s->apps_failed + s->apps_unknown + s->apps_blocked + run_leftovers(r)->len)
        return err_exit_code(ERR_PARTIAL);
    if (!s->is_timed_out)
        return s->apps_waiting ? err_exit_code(ERR_PARTIAL) : 0;
    // What waits at the deadline for something that reports a failure has failed.
    const struct graph *g = run_graph(r);
    for (unsigned i = 0; i < g->nodes.len; i++) {
        struct node_view v;
        run_node(r, i, &v);
        bool gate = g->nodes.v[i].kind == NODE_WEBHOOK && v.tries > 3 && v.state != NODE_READY;
        if (v.health == HEALTH_DEGRADED || gate)
            return err_exit_code(ERR_PARTIAL);
    }
    return err_exit_code(ERR_TIMEOUT);
}

static void print_summary(const struct cli *c, const struct run *r, const char *root, int code)
{
    struct run_summary s;
    run_summary(r, &s);
    CLEANUP(str_freep) char *t = clock_duration_text(s.ms);
    bool ok = code == 0;
    if (ok)
        printf("%s✓%s %zu application%s healthy in %s", paint(c, "green"), paint(c, ""),
               s.apps_healthy, s.apps_healthy == 1 ? "" : "s", t);
    else
        printf("%s✗%s %zu of %zu healthy, %zu failed, %zu blocked, %zu waiting after %s",
               paint(c, "red"), paint(c, ""), s.apps_healthy, s.apps,
               s.apps_failed + s.apps_unknown, s.apps_blocked, s.apps_waiting, t);
    printf("   %zu written, %zu rejected, %zu unchanged", s.written, s.rejected, s.unchanged);
    if (s.pruned)
        printf(", %zu deleted", s.pruned);
    if (s.kept)
        printf(", %zu kept", s.kept);
    if (s.throttled || s.lost)
        printf(", %zu throttled, %zu lost", s.throttled, s.lost);
    printf("%s\n", ok ? "" : code == 8 ? "   (exit 8)" : "   (exit 10)");
    if (ok) {
        print_path(r);
        return;
    }
    print_problems(c, r);
    printf("  next: mend what is marked ✗, then run the same command again; it continues where it "
           "is.\n        regrow why APP %s     shows a chain as it is\n",
           root);
}

static void print_json_summary(const struct run *r, int code)
{
    struct run_summary s;
    run_summary(r, &s);
    CLEANUP(json_freep)
    json_t *out = json_pack(
        "{s:i, s:i, s:I, s:{s:I, s:I, s:I, s:I, s:I, s:I}, s:{s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
        "s:I}, s:[], s:[]}",
        "version", 1, "exitCode", code, "ms", (json_int_t)s.ms, "applications", "total",
        (json_int_t)s.apps, "healthy", (json_int_t)s.apps_healthy, "failed",
        (json_int_t)s.apps_failed, "blocked", (json_int_t)s.apps_blocked, "unknown",
        (json_int_t)s.apps_unknown, "waiting", (json_int_t)s.apps_waiting, "objects", "written",
        (json_int_t)s.written, "unchanged", (json_int_t)s.unchanged, "pruned", (json_int_t)s.pruned,
        "kept", (json_int_t)s.kept, "rejected", (json_int_t)s.rejected, "throttled",
        (json_int_t)s.throttled, "lost", (json_int_t)s.lost, "probes", (json_int_t)s.probes,
        "criticalPath", "problems");
    struct path_step *steps = NULL;
    size_t n = run_critical_path(r, &steps);
    for (size_t i = 0; i < n; i++)
        json_array_append_new(json_object_get(out, "criticalPath"),
                              json_pack("{s:s, s:I}", "node",
                                        run_graph(r)->nodes.v[steps[i].node].label, "ms",
                                        (json_int_t)steps[i].ms));
    free(steps);
    for (unsigned i = 0; i < run_desired(r)->apps.len; i++) {
        struct app_view v;
        run_app(r, i, &v);
        if (*v.problem || *v.waits_for)
            json_array_append_new(json_object_get(out, "problems"),
                                  json_pack("{s:s, s:s, s:s}", "application",
                                            run_desired(r)->apps.v[i]->name, "problem", v.problem,
                                            "waitsFor", v.waits_for));
        app_view_clear(&v);
    }
    for (size_t i = 0; i < run_leftovers(r)->len; i++)
        json_array_append_new(json_object_get(out, "problems"),
                              json_pack("{s:s, s:s, s:s}", "application", "", "problem",
                                        run_leftovers(r)->v[i], "waitsFor", ""));
    print_json(out, stdout);
}

static int interrupted(const struct cli *c, struct err *err, const char *root)
{
    if (err->kind == ERR_CANCELLED)
        err_hint(err, "Nothing is lost: regrow bootstrap %s goes on from here.", root);
    (void)c;
    return 0;
}

int cmd_bootstrap(struct cli *c, struct err *err)
{
    const char *root = cli_root(c, 0, err);
    struct session *s CLEANUP(session_closep) = NULL;
    struct run *run CLEANUP(run_freep) = NULL;
    if (!root)
        return 0;
    struct progress *p = progress_new(c);
    bool ok = cli_session(c, root, true, &s, err);
    if (ok) {
        run = cli_run(c, s, false, root);
        ok = run_prepare(run, err);
    }
    if (ok) {
        progress_attach(p, run, kubeconfig_context(s->config));
        ok = run_execute(run, err);
    }
    progress_free(p);
    if (!ok)
        return interrupted(c, err, root);
    struct run_summary sum;
    run_summary(run, &sum);
    int code = exit_of(run, &sum);
    if (c->o.output == OUT_JSON)
        print_json_summary(run, code);
    else if (c->o.output == OUT_TEXT)
        print_summary(c, run, root, code);
    return code;
}
