// SPDX-License-Identifier: Apache-2.0
//
// Applications as groups: starts and ends, children, phases and waves with their barriers,
// depends-on, projects.
#include <stdlib.h>
#include <string.h>

#include "gitops/graph_int.h"
#include "gitops/json.h"

// A thing that takes part in its application's waves: an object, or a child application.
struct member {
    enum phase phase;
    int wave;
    unsigned node;  // what the barrier waits for
    unsigned entry; // what is held back
};

struct members {
    VEC(struct member) all;
};

static bool takes_over(enum phase p1, int w1, enum phase p2, int w2)
{
    return p1 < p2 || (p1 == p2 && w1 < w2);
}

// A Namespace or CRD of the same application may not come later than what needs it: it takes over
// the phase and wave of the first of those (spec argo-cd section 2.2).
static void bubble(struct builder *b)
{
    for (size_t i = 0; i < b->d->objects.len; i++) {
        b->phase[i] = b->d->objects.v[i].phase;
        b->wave[i] = b->d->objects.v[i].wave;
    }
    for (size_t i = 0; i < b->g->edges.len; i++) {
        const struct edge *e = &b->g->edges.v[i];
        if ((e->why != WHY_NAMESPACE && e->why != WHY_CRD) || e->to >= b->d->objects.len)
            continue;
        const struct object *from = &b->d->objects.v[e->from];
        if (from->app != b->d->objects.v[e->to].app || from->phase == PHASE_SYNCFAIL)
            continue;
        if (takes_over(b->phase[e->from], b->wave[e->from], b->phase[e->to], b->wave[e->to])) {
            b->phase[e->to] = b->phase[e->from];
            b->wave[e->to] = b->wave[e->from];
        }
    }
}

// The wave of a child in its parent: of its Application object, or of the ApplicationSet that
// generated it (a wave on the template orders nothing).
static int child_wave(const struct builder *b, const struct application *a)
{
    const struct desired *all = desired_whole(b->d); // a part may be without its parent
    const unsigned *of = NULL;
    if (!a->set_name)
        return a->wave;
    size_t n = desired_objects_of(all, (unsigned)a->parent, &of);
    for (size_t i = 0; i < n; i++) {
        const struct object *o = &all->objects.v[of[i]];
        if (!strcmp(o->id.kind, "ApplicationSet") && !strcmp(o->id.name, a->set_name))
            return o->wave;
    }
    return 0;
}

static int cmp_member(const void *a, const void *b)
{
    const struct member *x = a;
    const struct member *y = b;
    if (x->phase != y->phase)
        return x->phase < y->phase ? -1 : 1;
    if (x->wave != y->wave)
        return x->wave < y->wave ? -1 : 1;
    return (x->node > y->node) - (x->node < y->node);
}

const char *phase_name(enum phase p)
{
    static const char *const names[] = {"PreSync", "Sync", "PostSync", "SyncFail"};
    return names[p];
}

static void wave_edge(struct builder *b, unsigned from, unsigned barrier, enum edge_why why)
{
    edge_add(b, from, barrier, NEED_READY, why, true, NULL)->is_declared = true;
}

// Members of each (phase, wave) wait for the barrier of the one before.
static void barriers(struct builder *b, unsigned app, const struct members *m)
{
    int previous = -1;
    enum phase previous_phase = PHASE_PRESYNC;
    for (size_t i = 0; i < m->all.len;) {
        const struct member *first = &m->all.v[i];
        size_t end = i;
        while (end < m->all.len && m->all.v[end].phase == first->phase &&
               m->all.v[end].wave == first->wave)
            end++;
        bool is_last = end == m->all.len;
        int barrier = -1;
        if (!is_last) {
            barrier = (int)node_add(b, NODE_BARRIER, app,
                                    str_printf("%s wave %d of %s", phase_name(first->phase),
                                               first->wave, b->d->apps.v[app]->name));
            b->g->nodes.v[barrier].phase = first->phase;
            b->g->nodes.v[barrier].wave = first->wave;
        }
        for (size_t j = i; j < end; j++) {
            const struct member *x = &m->all.v[j];
            if (barrier >= 0)
                edge_add(b, (unsigned)barrier, x->node, NEED_READY, WHY_MEMBER, true, NULL)
                    ->is_declared = true;
            if (previous >= 0)
                wave_edge(b, x->entry, (unsigned)previous,
                          x->entry != x->node              ? WHY_PARENT
                          : previous_phase != first->phase ? WHY_PHASE
                                                           : WHY_WAVE);
        }
        previous = barrier;
        previous_phase = first->phase;
        i = end;
    }
}

// A Namespace that several applications want made belongs to one of them, which may be a late one:
// then it is made before that application begins.
static bool may_begin_early(const struct builder *b, unsigned node)
{
    return node < b->d->objects.len && b->d->objects.v[node].is_made;
}

static void app_order(struct builder *b, unsigned app, struct members *m)
{
    struct graph *g = b->g;
    for (size_t i = 0; i < m->all.len; i++) {
        const struct member *x = &m->all.v[i];
        edge_add(b, g->app_end[app], x->node, NEED_READY, WHY_MEMBER, true, NULL);
        edge_add(b, x->entry, g->app_start[app], NEED_READY, WHY_START,
                 !may_begin_early(b, x->entry), NULL);
    }
    edge_add(b, g->app_end[app], g->app_start[app], NEED_READY, WHY_START, true, NULL);
    if (b->o->ignore_declared || m->all.len == 0)
        return;
    qsort(m->all.v, m->all.len, sizeof(*m->all.v), cmp_member);
    barriers(b, app, m);
}

// The Application document's own object, when it is only read: it is healthy when its content is.
static void argo_object_edge(struct builder *b, unsigned app)
{
    const struct application *a = b->d->apps.v[app];
    const char *kind = a->set_name ? "ApplicationSet" : "Application";
    const char *name = a->set_name ? a->set_name : a->name;
    for (unsigned i = 0; i < b->d->objects.len; i++) {
        const struct object *o = &b->d->objects.v[i];
        if (o->is_virtual && (int)o->app == a->parent && !strcmp(o->id.kind, kind) &&
            !strcmp(o->id.name, name))
            edge_add(b, i, b->g->app_end[app], NEED_READY, WHY_ARGO_OBJECT, true, NULL);
    }
}

static bool app_depends_on(struct builder *b, unsigned app, struct err *err)
{
    const struct application *a = b->d->apps.v[app];
    if (!desired_takes(b->d, app)) // what it waits for is seen to when it has its turn
        return true;
    for (size_t i = 0; i < a->depends_on.len && !b->o->ignore_declared; i++) {
        int to = desired_find_app(b->d, a->depends_on.v[i]);
        CLEANUP(str_freep) char *where = origin_text(&a->origin);
        if (to < 0 && b->o->skip_unfound)
            continue;
        if (to < 0)
            return err_set(err, ERR_INVALID,
                           "application %s (%s): regrow.dev/depends-on names %s, which is no "
                           "application of this root",
                           a->name, where, a->depends_on.v[i]);
        edge_add(b, b->g->app_start[app], b->g->app_end[to], NEED_READY, WHY_DEPENDS_ON, true,
                 where)
            ->is_declared = true;
    }
    return true;
}

// Nobody but whoever reads the repository asks for the project, so this is only good order: a wave
// may put the project after its user. It stands where Argo CD runs, wherever the application does.
static void project_edge(struct builder *b, unsigned app)
{
    const struct application *a = b->d->apps.v[app];
    struct object_id id = {(char *)"argoproj.io", (char *)"AppProject", (char *)"argocd",
                           a->project};
    const struct object *o = desired_find(b->d, &id);
    if (o)
        edge_add(b, b->g->app_start[app], (unsigned)(o - b->d->objects.v), NEED_APPLIED,
                 WHY_PROJECT, false, "spec.project");
}

// The phases of one hook run one after another even where waves and phases do not count: they are
// one object of the cluster.
static void hook_edge(struct builder *b, unsigned object)
{
    const struct object *o = &b->d->objects.v[object];
    unsigned all[DESIRED_MAX_PHASES];
    if (!o->is_hook || !(o->phases & (o->phases - 1)))
        return;
    size_t n = desired_find_all(b->d, &o->id, all);
    for (size_t i = 1; i < n; i++)
        if (all[i] == object)
            edge_add(b, object, all[i - 1], NEED_READY, WHY_PHASE, true, NULL);
}

bool order_edges(struct builder *b, struct err *err)
{
    size_t n_apps = b->d->apps.len;
    struct members *m = mem_alloc((n_apps + 1) * sizeof(*m));
    bubble(b);
    for (unsigned i = 0; i < b->d->objects.len; i++) {
        const struct object *o = &b->d->objects.v[i];
        if (o->phase == PHASE_SYNCFAIL) {
            edge_add(b, i, b->g->app_start[o->app], NEED_READY, WHY_START, true, NULL);
            continue;
        }
        hook_edge(b, i);
        *vec_push(&m[o->app].all) = (struct member){b->phase[i], b->wave[i], i, i};
    }
    bool ok = true;
    for (unsigned i = 0; ok && i < n_apps; i++) {
        const struct application *a = b->d->apps.v[i];
        if (a->parent >= 0) {
            *vec_push(&m[a->parent].all) =
                (struct member){PHASE_SYNC, child_wave(b, a), b->g->app_end[i], b->g->app_start[i]};
            argo_object_edge(b, i);
        }
        project_edge(b, i);
        ok = app_depends_on(b, i, err);
    }
    for (unsigned i = 0; i < n_apps; i++) {
        if (ok)
            app_order(b, i, &m[i]);
        vec_clear(&m[i].all);
    }
    free(m);
    return ok;
}
