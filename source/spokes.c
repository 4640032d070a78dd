// SPDX-License-Identifier: Apache-2.0
//
// A hub's other clusters: which there are, and what goes to each of them, rendered for it. The
// hub's applications were found when the root was loaded; only what they make there is read.
#include <stdlib.h>
#include <string.h>

#include "source/load.h"
#include "source/memo.h"

void source_cluster_clear(struct source_cluster *c)
{
    free(c->name);
    free(c->server);
    free(c->kube_version);
    free(c->not_asked);
    free(c->rendered_for);
    kinds_free(c->kinds);
    desired_free(c->desired);
    err_clear(&c->problem);
    memo_free(c->memo);
    *c = (struct source_cluster){0};
}

void source_clusters_clear(struct source_clusters *c)
{
    for (size_t i = 0; i < c->v.len; i++)
        source_cluster_clear(&c->v.v[i]);
    vec_clear(&c->v);
}

// ---- which there are ----
static char *text_or_null(const char *s)
{
    return str_is_empty(s) ? NULL : str_dup(s);
}

static bool is_known(const struct source_clusters *all, const struct cluster_ref *c)
{
    for (size_t i = 0; i < all->v.len; i++) {
        const struct source_cluster *x = &all->v.v[i];
        if (str_is_empty(c->server) ? !x->server && str_eq(x->name, c->name)
                                    : str_eq(x->server, c->server))
            return true;
    }
    return false;
}

static int by_place(const void *a, const void *b)
{
    const struct source_cluster *x = a;
    const struct source_cluster *y = b;
    int c = str_cmp(x->server, y->server);
    return c ? c : str_cmp(x->name, y->name);
}

void source_clusters_of(struct source *s, const struct desired *hub, struct source_clusters *out)
{
    const struct loading l = {.s = s};
    for (size_t i = 0; i < hub->apps.len; i++) {
        if (hub->apps.v[i]->state != APP_OTHER_CLUSTER)
            continue;
        struct cluster_ref c = cluster_of(&l, hub->apps.v[i]);
        if (!is_known(out, &c))
            *vec_push(&out->v) = (struct source_cluster){.name = text_or_null(c.name),
                                                         .server = text_or_null(c.server)};
    }
    if (out->v.len)
        qsort(out->v.v, out->v.len, sizeof(*out->v.v), by_place);
}

// ---- what goes there ----
// The same application, read anew: what was found out about it here says nothing of another
// cluster. Those that lead to it are only there for the order of their children.
static unsigned seed_app(struct loading *l, const struct desired *hub, unsigned *at, unsigned app)
{
    const struct application *a = hub->apps.v[app];
    struct application *x = NULL;
    struct err err = {0};
    if (at[app] || a->parent < 0 || !a->doc)
        return at[app]; // 0: the root
    unsigned parent = seed_app(l, hub, at, (unsigned)a->parent);
    if (!application_parse(a->doc, &a->origin, &x, &err)) {
        x = application_new_unknown(a->name, a->namespace); // it was read once: it is none
        err_move(&x->problem, &err);
    }
    x->set_name = str_dup_or_null(a->set_name);
    x->is_preserved = a->is_preserved;
    x->marks = a->marks;
    x->parent = (int)parent;
    at[app] = desired_add_app_take(l->d, x);
    json_object_set_new(l->names, x->tracking_name, json_integer((json_int_t)at[app]));
    bool is_read = a->state == APP_OTHER_CLUSTER;
    x->is_passing = !is_read;
    *vec_push(&l->turns) = is_read ? TURN_WAITING : TURN_DONE;
    return at[app];
}

// What it would make is not known: perhaps applications of this very cluster.
static void seed_unknown(struct loading *l, const struct desired *hub, unsigned *at, unsigned app)
{
    const struct application *a = hub->apps.v[app];
    struct application *x;
    if (!app) { // the root itself; its place is there
        l->d->apps.v[0]->state = APP_UNKNOWN;
        err_copy(&l->d->apps.v[0]->problem, &a->problem);
        return;
    }
    if (!at[app] && a->doc && a->parent >= 0) {
        seed_app(l, hub, at, app);
    } else if (!at[app]) {
        x = application_new_unknown(a->name, a->namespace);
        x->parent = 0;
        x->is_passing = true;
        at[app] = desired_add_app_take(l->d, x);
        *vec_push(&l->turns) = TURN_DONE;
    }
    x = l->d->apps.v[at[app]];
    x->state = APP_UNKNOWN;
    if (!err_is_set(&x->problem))
        err_copy(&x->problem, &a->problem);
}

// Its cluster has a name that nobody registers, or no more: perhaps this very one had it.
static bool is_for_nobody(const struct loading *l, const struct application *a)
{
    return a->state == APP_OTHER_CLUSTER && is_other_cluster(l, a) && !cluster_of(l, a).server;
}

static void seed_for_nobody(struct loading *l, const struct desired *hub, unsigned *at,
                            unsigned app)
{
    const struct application *a = hub->apps.v[app];
    seed_unknown(l, hub, at, app);
    struct application *x = l->d->apps.v[at[app]];
    x->is_passing = true;
    l->turns.v[at[app]] = TURN_DONE;
    if (!err_is_set(&x->problem))
        err_set(&x->problem, ERR_INVALID, "no cluster is registered as %s",
                a->dest_name ? a->dest_name : "its destination");
}

void load_seed(struct loading *l, const struct desired *hub)
{
    struct desired *d = l->d;
    unsigned *at = mem_alloc((hub->apps.len + 1) * sizeof(*at)); // of the hub's: where they are
    str_set(&d->root_name, hub->root_name);
    str_set(&d->root_revision, hub->root_revision);
    str_set(&d->root_commit, hub->root_commit);
    str_set(&d->root_ref, hub->root_ref);
    d->root_time_unix_s = hub->root_time_unix_s;
    for (size_t i = 0; i < hub->projects.len; i++)
        *vec_push(&d->projects) = json_incref(hub->projects.v[i]);
    l->global_projects = str_dup_or_null(l->s->global_projects);
    *vec_push(&l->turns) = TURN_DONE; // the root was read
    for (unsigned i = 0; i < hub->apps.len; i++) {
        const struct application *a = hub->apps.v[i];
        if (l->s->memo && is_for_nobody(l, a))
            seed_for_nobody(l, hub, at, i);
        else if (a->state == APP_OTHER_CLUSTER && !is_other_cluster(l, a))
            seed_app(l, hub, at, i);
        else if (a->state == APP_UNKNOWN && l->s->memo) // who deletes what is gone must know of it
            seed_unknown(l, hub, at, i);
    }
    free(at);
}

void load_settle(struct loading *l)
{
    l->d->apps.v[0]->is_passing = true;
    for (size_t i = 1; i < l->d->apps.len; i++) {
        struct application *a = l->d->apps.v[i];
        if (a->state == APP_KNOWN && (a->is_passing || !is_for_target(l, a)))
            a->state = APP_OTHER_CLUSTER;
    }
}

static bool is_served_there(void *ctx, const char *group, const char *kind)
{
    const struct kind_info *k = kinds_find(ctx, group, NULL, kind);
    return k && k->is_served;
}

// What of the source is another for this cluster.
static void lend(struct source *s, const struct source_cluster *c)
{
    s->o.is_spoke = true;
    s->o.cluster_name = c->name;
    s->o.cluster_server = c->server;
    s->now.pins = c->pins;
    s->now.n_pins = c->n_pins;
    s->now.hard = c->hard;
    s->memo = c->memo;
    s->last_state = c->state;
    if (!c->kinds)
        return;
    s->o.kube_version = c->kube_version;
    s->o.known_kinds = c->kinds;
    s->o.kind_served = is_served_there;
    s->o.ctx = c->kinds;
}

static bool load_for(struct source *s, const struct desired *hub, struct source_cluster *c)
{
    struct desired *next = NULL;
    err_clear(&c->problem);
    if (s->memo)
        memo_begin(s->memo, s->o.kube_version);
    bool ok = source_load_all(s, hub, &next, &c->problem);
    if (ok && s->memo)
        memo_sweep(s->memo, next, s->ctx.load, s->ctx.load);
    c->is_same = false;
    if (ok && c->desired) {
        struct source_changes changes = {0};
        source_compare(c->desired, next, &changes);
        c->is_same = !changes.v.len && str_eq(c->desired->root_commit, next->root_commit);
        source_changes_clear(&changes);
    }
    desired_free(c->desired);
    c->desired = ok ? next : NULL;
    if (!ok)
        desired_free(next);
    return ok;
}

bool source_load_cluster(struct source *s, const struct desired *hub, struct source_cluster *c,
                         struct err *err)
{
    const struct source_opts of_hub = s->o;
    const struct source_now now = s->now;
    struct memo *memo = TAKE(s->memo); // of what the hub's cluster is told
    unsigned last_state = s->last_state;
    if (c->keeps && !c->memo)
        c->memo = memo_new();
    lend(s, c);
    str_set(&c->rendered_for, s->o.kube_version);
    bool ok = load_for(s, hub, c);
    c->state = s->last_state;
    s->o = of_hub;
    s->now = now;
    s->memo = memo;
    s->last_state = last_state;
    if (ok || !loop_stopping(s->loop))
        return true;
    err_move(err, &c->problem);
    return false;
}
