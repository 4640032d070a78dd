// SPDX-License-Identifier: Apache-2.0
#include "restore/timeline.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define MAX_GAPS 100
#define SHORT_MS 50 // what was waited for so short a time explains nothing

// ---- phases ----
void timeline_end(struct timeline *t, int64_t now)
{
    struct restore_phase *last = t->v.len ? &t->v.v[t->v.len - 1] : NULL;
    if (last && last->ms < 0)
        last->ms = now > last->from_ms ? now - last->from_ms : 0;
}

void timeline_enter(struct timeline *t, const char *phase, int64_t now)
{
    timeline_end(t, now);
    if (!t->v.len) {
        t->began_ms = now;
        t->began_unix_ms = clock_unix_ms();
    }
    *vec_push(&t->v) = (struct restore_phase){phase, now, -1};
}

void timeline_split(struct timeline *t, const char *phase, int64_t at)
{
    struct restore_phase *last = t->v.len ? &t->v.v[t->v.len - 1] : NULL;
    if (!last || last->ms >= 0)
        return;
    timeline_enter(t, phase, at > last->from_ms ? at : last->from_ms);
}

static int by_from(const void *a, const void *b)
{
    const struct timeline_span *x = a;
    const struct timeline_span *y = b;
    return (x->from_ms > y->from_ms) - (x->from_ms < y->from_ms);
}

void timeline_gaps(struct timeline *t, const char *phase, struct timeline_span *spans, size_t n,
                   int64_t least_ms)
{
    const char *around = t->v.len ? t->v.v[t->v.len - 1].name : NULL;
    size_t found = 0;
    if (!around || !n)
        return;
    qsort(spans, n, sizeof(*spans), by_from);
    int64_t busy = spans[0].to_ms;
    for (size_t i = 1; i < n && found < MAX_GAPS; i++) {
        if (spans[i].from_ms - busy >= least_ms) {
            timeline_split(t, phase, busy);
            timeline_split(t, around, spans[i].from_ms);
            found++;
        }
        busy = spans[i].to_ms > busy ? spans[i].to_ms : busy;
    }
}

void timeline_clear(struct timeline *t)
{
    vec_clear(&t->v);
}

static bool is_counted(const struct restore_phase *p)
{
    return strcmp(p->name, PHASE_CONFIRM) != 0 && strcmp(p->name, PHASE_PLANE) != 0 &&
           strcmp(p->name, PHASE_LIVE) != 0;
}

static int64_t end_of(const struct restore_phase *p)
{
    return p->from_ms + (p->ms > 0 ? p->ms : 0);
}

int64_t timeline_at(const struct timeline *t, int64_t mono_ms)
{
    int64_t at = mono_ms - t->began_ms;
    for (size_t i = 0; i < t->v.len; i++) {
        const struct restore_phase *p = &t->v.v[i];
        int64_t end = end_of(p) < mono_ms ? end_of(p) : mono_ms;
        if (!is_counted(p) && end > p->from_ms)
            at -= end - p->from_ms;
    }
    return at > 0 ? at : 0;
}

int64_t timeline_total(const struct timeline *t)
{
    return t->v.len ? timeline_at(t, end_of(&t->v.v[t->v.len - 1])) : 0;
}

int64_t timeline_phase_ms(const struct timeline *t, const char *phase)
{
    int64_t sum = 0;
    for (size_t i = 0; i < t->v.len; i++)
        if (!strcmp(t->v.v[i].name, phase) && t->v.v[i].ms > 0)
            sum += t->v.v[i].ms;
    return sum;
}

json_t *timeline_phases(const struct timeline *t)
{
    json_t *out = json_array();
    for (size_t i = 0; i < t->v.len; i++) {
        const struct restore_phase *p = &t->v.v[i];
        json_t *one = json_pack("{s:s, s:I, s:I}", "name", p->name, "from_ms",
                                (json_int_t)timeline_at(t, p->from_ms), "ms",
                                (json_int_t)(p->ms > 0 ? p->ms : 0));
        if (!is_counted(p))
            json_object_set_new(one, "counted", json_false());
        json_array_append_new(out, one);
    }
    return out;
}

// ---- applications ----
// One that is shown: not the root when it only holds others, none of another cluster, none that
// was not selected.
static bool is_shown(const struct run *r, unsigned app, const struct app_view *v)
{
    if (run_desired(r)->apps.v[app]->state == APP_OTHER_CLUSTER || v->state == NODE_SKIPPED)
        return false;
    return app || v->total || *v->problem;
}

static const char *state_of(const struct run *r, unsigned app, const struct app_view *v)
{
    if (run_desired(r)->apps.v[app]->state == APP_UNKNOWN)
        return "unknown";
    if (*v->problem)
        return "failed";
    // The root counts by its own objects; its end waits for all the others.
    if (v->state == NODE_READY || (!app && v->ready == v->total))
        return "healthy";
    return v->state == NODE_BLOCKED ? "blocked" : "waiting";
}

// When the last of its own objects was healthy.
static int64_t ready_of(const struct run *r, unsigned app)
{
    const unsigned *objects;
    int64_t last = 0;
    size_t n = run_app_objects(r, app, &objects);
    for (size_t i = 0; i < n; i++) {
        struct node_view v;
        run_node(r, objects[i], &v);
        last = v.ready_ms > last ? v.ready_ms : last;
    }
    return last;
}

// first: when anything of the run began. What was there by then nobody waited for.
static void add_waited(const struct timeline *t, const struct run *r, unsigned app, int64_t first,
                       json_t *one)
{
    int64_t until = 0;
    int node = run_app_waited(r, app, &until);
    if (node < 0 || until < first + SHORT_MS)
        return;
    const struct node *n = &run_graph(r)->nodes.v[node];
    bool is_app = n->kind == NODE_APP_END || n->kind == NODE_APP_START || n->kind == NODE_BARRIER;
    json_object_set_new(one, "waited_for",
                        json_string(is_app ? run_desired(r)->apps.v[n->app]->name : n->label));
    json_object_set_new(one, "waited_until_ms", json_integer(timeline_at(t, until)));
}

static json_t *app_doc(const struct timeline *t, const struct run *r, unsigned app, int64_t first,
                       const struct app_view *v)
{
    const char *state = state_of(r, app, v);
    bool healthy = !strcmp(state, "healthy");
    json_t *one = json_pack("{s:s, s:s, s:I}", "name", run_desired(r)->apps.v[app]->name, "state",
                            state, "objects", (json_int_t)v->total);
    if (v->started_ms) {
        int64_t from = timeline_at(t, v->started_ms);
        int64_t to = healthy ? timeline_at(t, ready_of(r, app)) : timeline_total(t);
        json_object_set_new(one, "from_ms", json_integer(from));
        json_object_set_new(one, "ms", json_integer(to > from ? to - from : 0));
    }
    if (*v->problem)
        json_object_set_new(one, "problem", json_string(v->problem));
    if (*v->waits_for && !healthy)
        json_object_set_new(one, "waits_for", json_string(v->waits_for));
    else
        add_waited(t, r, app, first, one);
    return one;
}

struct sorted {
    int64_t from_ms; // INT64_MAX: it never began
    unsigned app;
    json_t *doc;
};

static int by_start(const void *a, const void *b)
{
    const struct sorted *x = a;
    const struct sorted *y = b;
    if (x->from_ms != y->from_ms)
        return x->from_ms < y->from_ms ? -1 : 1;
    return x->app < y->app ? -1 : x->app > y->app;
}

static int64_t first_start(const struct run *r)
{
    int64_t first = INT64_MAX - SHORT_MS;
    for (unsigned i = 0; i < run_desired(r)->apps.len; i++) {
        struct app_view v;
        run_app(r, i, &v);
        if (v.started_ms && v.started_ms < first)
            first = v.started_ms;
        app_view_clear(&v);
    }
    return first;
}

json_t *timeline_applications(const struct timeline *t, const struct run *r)
{
    size_t n = run_desired(r)->apps.len;
    size_t shown = 0;
    int64_t first = first_start(r);
    struct sorted *all = mem_alloc((n + 1) * sizeof(*all));
    json_t *out = json_array();
    for (unsigned i = 0; i < n; i++) {
        struct app_view v;
        run_app(r, i, &v);
        if (is_shown(r, i, &v))
            all[shown++] = (struct sorted){v.started_ms ? v.started_ms : INT64_MAX, i,
                                           app_doc(t, r, i, first, &v)};
        app_view_clear(&v);
    }
    qsort(all, shown, sizeof(*all), by_start);
    for (size_t i = 0; i < shown; i++)
        json_array_append_new(out, all[i].doc);
    free(all);
    return out;
}

// ---- the critical path ----
json_t *timeline_path(const struct timeline *t, const struct run *r)
{
    struct path_step *steps = NULL;
    size_t n = run_critical_path(r, &steps);
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++) {
        const struct node *node = &run_graph(r)->nodes.v[steps[i].node];
        struct node_view v;
        if (steps[i].ms < SHORT_MS && n > 1)
            continue;
        run_node(r, steps[i].node, &v);
        int64_t end = v.ready_ms ? v.ready_ms : v.applied_ms;
        json_t *one =
            json_pack("{s:s, s:I, s:I}", "node", node->label, "from_ms",
                      (json_int_t)timeline_at(t, end - steps[i].ms), "ms", (json_int_t)steps[i].ms);
        if (node->kind == NODE_OBJECT)
            json_object_set_new(one, "application",
                                json_string(run_desired(r)->apps.v[node->app]->name));
        json_array_append_new(out, one);
    }
    free(steps);
    return out;
}
