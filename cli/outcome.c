// SPDX-License-Identifier: Apache-2.0
#include "cli/outcome.h"

#include <stdlib.h>
#include <string.h>

#define SHOWN_APPS 20   // with problems
#define SHOWN_OBJECTS 5 // that failed, of one application
#define NAME_WIDTH 24
#define SHOWN_WARNINGS 3
#define SHORT_STEP_MS 50 // what took no time explains nothing

// ---- how it ended ----
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

static char *counts_text(const struct run_summary *s)
{
    struct buf b = {0};
    const struct {
        size_t n;
        const char *what;
    } parts[] = {
        {s->pruned, "deleted"}, {s->kept, "kept"}, {s->throttled, "throttled"}, {s->lost, "lost"}};
    buf_printf(&b, "%zu written, %zu rejected, %zu unchanged", s->written, s->rejected,
               s->unchanged);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (parts[i].n)
            buf_printf(&b, ", %zu %s", parts[i].n, parts[i].what);
    return buf_take(&b);
}

static void print_verdict(const struct outcome *x)
{
    const struct run_summary *s = &x->sum;
    struct buf b CLEANUP(buf_clear) = {0};
    CLEANUP(str_freep) char *took = clock_duration_text(s->ms);
    CLEANUP(str_freep) char *counts = counts_text(s);
    const struct {
        size_t n;
        const char *what;
    } parts[] = {{s->apps_failed + s->apps_unknown, "failed"},
                 {s->apps_blocked, "blocked"},
                 {s->apps_waiting, "waiting"},
                 {run_leftovers(x->r)->len, "objects not deleted"}};
    if (x->code == 0) {
        buf_printf(&b, "%zu application%s healthy in %s   %s", s->apps_healthy,
                   s->apps_healthy == 1 ? "" : "s", took, counts);
    } else {
        buf_printf(&b, "%zu of %zu healthy", s->apps_healthy, s->apps);
        for (size_t i = 0; i < ARRAY_LEN(parts); i++)
            if (parts[i].n)
                buf_printf(&b, ", %zu %s", parts[i].n, parts[i].what);
        buf_printf(&b, " after %s   %s   (exit" NBSP "%d)", took, counts, x->code);
    }
    printf("%s ", state_symbol(x->c, x->code ? NODE_FAILED : NODE_READY));
    print_wrapped(stdout, b.p, 2, 2);
}

static void print_path(const struct outcome *x)
{
    struct path_step *steps = NULL;
    size_t n = run_critical_path(x->r, &steps);
    struct buf b CLEANUP(buf_clear) = {0};
    for (size_t i = 0; i < n; i++) {
        if (steps[i].ms < SHORT_STEP_MS)
            continue;
        CLEANUP(str_freep) char *took = clock_duration_text(steps[i].ms);
        CLEANUP(str_freep)
        char *what = node_words(run_graph(x->r), run_desired(x->r), steps[i].node);
        buf_printf(&b, "%s%s %s", b.len ? " → " : "critical path: ", what, took);
    }
    free(steps);
    if (!b.len)
        return;
    printf("  ");
    print_wrapped(stdout, b.p, 2, 4);
}

// What is written but not done as written: `plan` says more.
static void print_warnings(const struct outcome *x)
{
    struct strv w = {0};
    find_warnings(run_desired(x->r), run_graph(x->r), &w);
    for (size_t i = 0; i < w.len && w.len <= SHOWN_WARNINGS; i++) {
        printf("  ! ");
        print_wrapped(stdout, w.v[i], 4, 4);
    }
    if (w.len > SHOWN_WARNINGS)
        printf("  ! %zu warnings%s\n", w.len, x->is_alone ? "" : ": regrow plan -v shows them");
    strv_clear(&w);
}

// Only where somebody has said it: else it is regrow, whenever it is run.
static void print_successor(const struct outcome *x)
{
    if (!x->s || !x->s->has_then || x->s->then == THEN_REGROW)
        return;
    const char *title = hand_over_title(x->s->then);
    CLEANUP(str_freep) char *root = session_hand_over_root(x->s);
    CLEANUP(str_freep)
    char *text =
        x->s->then == THEN_NONE
            ? str_dup("nobody reconciles this cluster from here on: what changes in Git comes when "
                      "the same command is run again")
        : root ? str_printf("handed over to %s; it finds everything as it is when it has, for the "
                            "root, %s",
                            title, root)
               : str_printf("handed over to %s, which finds everything as it is", title);
    printf("  ");
    print_wrapped(stdout, text, 2, 4);
}

// ---- what is wrong, and what to do ----
static bool has_problem(const struct run *r, unsigned app, const struct app_view *v)
{
    if (*v->problem)
        return true;
    return v->state != NODE_READY && v->state != NODE_SKIPPED && (app || v->total) &&
           run_desired(r)->apps.v[app]->state != APP_OTHER_CLUSTER &&
           (app || v->ready < v->total); // the root's end waits for all the others
}

// What is said of an application stands beside its name, or below it where there is no room.
static void print_name(const struct outcome *x, const char *symbol, const char *name)
{
    CLEANUP(str_freep) char *shown = fit(name, NAME_WIDTH);
    if (is_narrow())
        printf("  %s %s\n%*s", symbol, name, x->name_width + 6, "");
    else
        printf("  %s %s%*s  ", symbol, shown, x->name_width - display_width(shown), "");
}

static void print_beside(const struct outcome *x, const char *text)
{
    print_wrapped(stdout, text, x->name_width + 6, x->name_width + 6);
}

static void print_more(const struct outcome *x, const char *text)
{
    printf("%*s", x->name_width + 6, "");
    print_beside(x, text);
}

// The objects of an application that failed, each with its place; the first stands beside the name.
static void print_failed_objects(struct outcome *x, unsigned app)
{
    const unsigned *objects;
    size_t n = run_app_objects(x->r, app, &objects);
    size_t shown = 0;
    size_t failed = 0;
    for (size_t i = 0; i < n; i++) {
        struct node_view v;
        run_node(x->r, objects[i], &v);
        if (v.state != NODE_FAILED || ++failed > SHOWN_OBJECTS)
            continue;
        CLEANUP(str_freep) char *what = node_words(run_graph(x->r), run_desired(x->r), objects[i]);
        CLEANUP(str_freep) char *text = str_printf("%s: %s", what, v.message);
        CLEANUP(str_freep) char *where = node_place(x->r, objects[i]);
        if (shown++)
            print_more(x, text);
        else
            print_beside(x, text);
        print_more(x, where);
        if (!x->next)
            x->next = advice(x->r, objects[i]);
    }
    if (failed > shown) {
        CLEANUP(str_freep) char *rest = str_printf("and %zu more objects", failed - shown);
        print_more(x, rest);
    }
}

static void print_unknown(struct outcome *x, unsigned app, const char *problem)
{
    unsigned end = run_graph(x->r)->app_end[app];
    CLEANUP(str_freep) char *where = node_place(x->r, end);
    print_beside(x, problem);
    if (where && !strstr(problem, where)) {
        CLEANUP(str_freep) char *text = str_printf("its Application: %s", where);
        print_more(x, text);
    }
    if (!x->next)
        x->next = advice(x->r, end);
}

static void print_waiting(struct outcome *x, unsigned app)
{
    CLEANUP(str_freep) char *chain = chain_words(x->r, app);
    CLEANUP(str_freep)
    char *text = str_printf("waits for %s", *chain ? chain : "its objects to become healthy");
    print_beside(x, text);
    if (x->next)
        return;
    struct chain_link *links = NULL;
    size_t n = run_why(x->r, run_graph(x->r)->app_end[app], &links);
    x->next = advice(x->r, links[n - 1].node);
    free(links);
}

static void print_problem(struct outcome *x, unsigned app, const struct app_view *v)
{
    const struct application *a = run_desired(x->r)->apps.v[app];
    bool failed = *v->problem != 0;
    if (x->listed++ >= SHOWN_APPS) {
        x->more++;
        return;
    }
    x->first = x->first ? x->first : a->name;
    print_name(x, state_symbol(x->c, failed ? NODE_FAILED : NODE_WAITING), a->name);
    if (a->state == APP_UNKNOWN)
        print_unknown(x, app, v->problem);
    else if (failed)
        print_failed_objects(x, app);
    else
        print_waiting(x, app);
}

// What failed, then what waits for it; what to do comes last, where the eye is.
static void print_problems(struct outcome *x)
{
    size_t n = run_desired(x->r)->apps.len;
    struct app_view *views = mem_alloc((n + 1) * sizeof(*views));
    for (unsigned i = 0; i < n; i++) {
        run_app(x->r, i, &views[i]);
        int w = display_width(run_desired(x->r)->apps.v[i]->name);
        if (!is_narrow() && has_problem(x->r, i, &views[i]) && w > x->name_width)
            x->name_width = w < NAME_WIDTH ? w : NAME_WIDTH;
    }
    for (int failed = 1; failed >= 0; failed--)
        for (unsigned i = 0; i < n; i++)
            if (has_problem(x->r, i, &views[i]) && (*views[i].problem != 0) == failed)
                print_problem(x, i, &views[i]);
    for (unsigned i = 0; i < n; i++)
        app_view_clear(&views[i]);
    free(views);
    for (size_t i = 0; i < run_leftovers(x->r)->len; i++) {
        printf("  %s ", state_symbol(x->c, NODE_FAILED));
        print_wrapped(stdout, run_leftovers(x->r)->v[i], 4, 6);
    }
    if (x->more)
        printf("  and %zu more application%s%s\n", x->more, x->more == 1 ? "" : "s",
               x->is_alone ? "" : ": regrow status lists them");
    CLEANUP(str_freep)
    char *next =
        and_again(x->next ? x->next : "", "run the same command again: it continues where it is");
    printf("  next: ");
    print_wrapped(stdout, next, 8, 8);
    if (x->first && !x->is_alone) {
        CLEANUP(str_freep)
        char *why = str_printf("regrow why %s     shows the chain as it is now", x->first);
        printf("        ");
        print_wrapped(stdout, why, 8, 10);
    }
    str_freep(&x->next);
}

// ---- for programs ----
static void add_problems(const struct run *r, json_t *list)
{
    for (unsigned i = 0; i < run_desired(r)->apps.len; i++) {
        const struct application *a = run_desired(r)->apps.v[i];
        struct app_view v;
        run_app(r, i, &v);
        if (has_problem(r, i, &v)) {
            CLEANUP(str_freep) char *chain = *v.problem ? str_dup("") : chain_words(r, i);
            json_array_append_new(list,
                                  json_pack("{s:s, s:s, s:s, s:s}", "application", a->name, "state",
                                            a->state == APP_UNKNOWN   ? "unknown"
                                            : *v.problem              ? "failed"
                                            : v.state == NODE_BLOCKED ? "blocked"
                                                                      : "waiting",
                                            "problem", v.problem, "waitsFor", chain));
        }
        app_view_clear(&v);
    }
}

void outcome_add(const struct outcome *x, json_t *out)
{
    const struct run_summary *s = &x->sum;
    json_t *path = json_array();
    json_t *problems = json_array();
    json_t *warnings = json_array();
    struct strv w = {0};
    find_warnings(run_desired(x->r), run_graph(x->r), &w);
    for (size_t i = 0; i < w.len; i++)
        json_array_append_new(warnings, json_string(w.v[i]));
    strv_clear(&w);
    json_object_set_new(out, "exitCode", json_integer(x->code));
    if (x->s)
        json_object_set_new(out, "then", json_string(hand_over_name(x->s->then)));
    json_object_set_new(out, "ms", json_integer(s->ms));
    json_object_set_new(out, "timedOut", json_boolean(s->is_timed_out));
    json_object_set_new(
        out, "applications",
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "total", (json_int_t)s->apps, "healthy",
                  (json_int_t)s->apps_healthy, "failed", (json_int_t)s->apps_failed, "blocked",
                  (json_int_t)s->apps_blocked, "unknown", (json_int_t)s->apps_unknown, "waiting",
                  (json_int_t)s->apps_waiting));
    json_object_set_new(out, "objects",
                        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "written",
                                  (json_int_t)s->written, "unchanged", (json_int_t)s->unchanged,
                                  "pruned", (json_int_t)s->pruned, "kept", (json_int_t)s->kept,
                                  "rejected", (json_int_t)s->rejected, "throttled",
                                  (json_int_t)s->throttled, "lost", (json_int_t)s->lost, "probes",
                                  (json_int_t)s->probes));
    json_object_set_new(out, "criticalPath", path);
    json_object_set_new(out, "problems", problems);
    json_object_set_new(out, "warnings", warnings);
    json_object_set_new(out, "left", left_doc(x->r));
    struct path_step *steps = NULL;
    size_t n = run_critical_path(x->r, &steps);
    for (size_t i = 0; i < n; i++)
        json_array_append_new(path, json_pack("{s:s, s:I}", "node",
                                              run_graph(x->r)->nodes.v[steps[i].node].label, "ms",
                                              (json_int_t)steps[i].ms));
    free(steps);
    add_problems(x->r, problems);
    for (size_t i = 0; i < run_leftovers(x->r)->len; i++)
        json_array_append_new(problems,
                              json_pack("{s:s, s:s, s:s}", "state", "not-deleted", "problem",
                                        run_leftovers(x->r)->v[i], "waitsFor", ""));
}

// Interrupted, or ended as a whole by something else: how far it came, and that nothing is lost.
void outcome_explain(const struct run *r, struct err *err)
{
    struct run_summary s;
    run_summary(r, &s);
    if (err->kind == ERR_CANCELLED || err->kind == ERR_UNAVAILABLE) {
        enum err_kind kind = err->kind;
        CLEANUP(str_freep) char *took = clock_duration_text(s.ms);
        CLEANUP(str_freep) char *msg = str_dup(err->msg);
        CLEANUP(str_freep) char *hint = str_dup_or_null(err->hint);
        err_clear(err);
        err_set(err, kind,
                "%s after %s: %zu of %zu applications healthy, %zu objects "
                "written",
                msg, took, s.apps_healthy, s.apps, s.written);
        if (hint)
            err_hint(err, "%s", hint);
    }
    if (!err->hint)
        err_hint(err, "Nothing is lost: the same command continues where it is.");
}

void outcome_of(struct outcome *x, struct cli *c, const struct run *r)
{
    *x = (struct outcome){.c = c, .r = r};
    run_summary(r, &x->sum);
    x->code = exit_of(r, &x->sum);
}

void outcome_sum(struct run_summary *sum, const struct run_summary *of)
{
    sum->written += of->written;
    sum->pruned += of->pruned;
    sum->rejected += of->rejected;
    sum->throttled += of->throttled;
    sum->lost += of->lost;
    sum->probes += of->probes;
}

void outcome_count(struct outcome *x, const struct run_summary *before)
{
    struct run_summary *s = &x->sum;
    s->unchanged -= before->written < s->unchanged ? before->written : s->unchanged; // since then
    outcome_sum(s, before);
    s->ms += before->ms;
}

void outcome_print(struct outcome *x)
{
    print_verdict(x);
    if (x->below)
        x->below(x->below_ctx);
    print_successor(x);
    print_warnings(x);
    print_left(x->c, x->r, true);
    if (x->code)
        print_problems(x);
    else
        print_path(x);
}

void outcome_note_healthy(const struct outcome *x, const struct session *s)
{
    struct err err = {0};
    if (x->code || x->c->o.apps.len || healthy_write(s->kube, s->desired, &err))
        return;
    event_emit(&x->c->events, "run.warning", "{s:s}", "message", err.msg);
    if (x->c->o.output == OUT_TEXT)
        fprintf(stderr, "! %s\n", err.msg);
    err_clear(&err);
}
