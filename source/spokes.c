// SPDX-License-Identifier: Apache-2.0
//
// A hub's other clusters: which there are, and what goes to each of them, rendered for it. The
// hub's applications were found when the root was loaded; only what they make there is read.
#include <stdlib.h>
#include <string.h>

#include "source/load.h"

void source_clusters_clear(struct source_clusters *c)
{
    for (size_t i = 0; i < c->v.len; i++) {
        struct source_cluster *x = &c->v.v[i];
        free(x->name);
        free(x->server);
        free(x->kube_version);
        free(x->not_asked);
        free(x->rendered_for);
        kinds_free(x->kinds);
        desired_free(x->desired);
        err_clear(&x->problem);
    }
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
    *vec_push(&l->turns) = is_read ? TURN_WAITING : TURN_DONE;
    return at[app];
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
        if (a->state == APP_OTHER_CLUSTER && !is_other_cluster(l, a))
            seed_app(l, hub, at, i);
    }
    free(at);
}

void load_settle(struct loading *l)
{
    for (size_t i = 1; i < l->d->apps.len; i++) {
        struct application *a = l->d->apps.v[i];
        if (a->state == APP_KNOWN && !is_for_target(l, a))
            a->state = APP_OTHER_CLUSTER;
    }
}

static bool is_served_there(void *ctx, const char *group, const char *kind)
{
    const struct kind_info *k = kinds_find(ctx, group, NULL, kind);
    return k && k->is_served;
}

bool source_load_cluster(struct source *s, const struct desired *hub, struct source_cluster *c,
                         struct err *err)
{
    const struct source_opts of_hub = s->o;
    struct memo *memo = TAKE(s->memo); // of what the hub's cluster is told
    s->o.is_spoke = true;
    s->o.cluster_name = c->name;
    s->o.cluster_server = c->server;
    if (c->kinds) {
        s->o.kube_version = c->kube_version;
        s->o.known_kinds = c->kinds;
        s->o.kind_served = is_served_there;
        s->o.ctx = c->kinds;
    }
    str_set(&c->rendered_for, s->o.kube_version);
    bool ok = source_load_all(s, hub, &c->desired, &c->problem);
    s->o = of_hub;
    s->memo = memo;
    if (ok)
        return true;
    desired_free(c->desired);
    c->desired = NULL;
    if (!loop_stopping(s->loop))
        return true;
    err_move(err, &c->problem);
    return false;
}
