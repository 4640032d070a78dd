// SPDX-License-Identifier: Apache-2.0
//
// What projects permit, and the Secret of a cluster. A project may be brought by an application
// that is read later than those which use it, and so may the settings of global projects: what is
// not permitted yet waits, and is refused only when nothing is left that could still bring
// something.
#include <stdlib.h>
#include <string.h>

#include "source/load.h"

#define PERMIT_HINT "Let the AppProject permit it, or change the Application."
#define MANAGED_HINT                                                                               \
    "The cluster's Secret says which: namespaces, and clusterResources for what is in none."
#define IN_CLUSTER_SERVER "https://kubernetes.default.svc"
#define IN_CLUSTER_NAME "in-cluster"

// A registered cluster by its server or name; NULL when none is.
static const json_t *registered(const struct source_opts *o, const char *server, const char *name)
{
    size_t i;
    json_t *c;
    json_array_foreach(o->clusters, i, c)
    {
        if ((server && str_eq(json_dot_str(c, "server"), server)) ||
            (name && str_eq(json_dot_str(c, "name"), name)))
            return c;
    }
    return NULL;
}

struct cluster_ref cluster_of(const struct loading *l, const struct application *a)
{
    const struct source_opts *o = &l->s->o;
    struct cluster_ref c = {a->dest_server, a->dest_name, NULL};
    if (!c.server && !c.name)
        c.server = IN_CLUSTER_SERVER;
    const json_t *known = registered(o, c.server, c.name);
    if (known) {
        c.server = json_dot_str(known, "server");
        c.name = json_dot_str(known, "name");
        c.project = json_dot_str(known, "project");
    } else if (str_eq(c.server, IN_CLUSTER_SERVER) || str_eq(c.name, IN_CLUSTER_NAME)) {
        c.server = IN_CLUSTER_SERVER;
        c.name = IN_CLUSTER_NAME;
    } else if ((c.server && str_eq(c.server, o->cluster_server)) ||
               (c.name && str_eq(c.name, o->cluster_name))) {
        // A hub's other cluster that nobody registered has a name alone.
        c.server = o->cluster_server || o->is_spoke ? o->cluster_server : IN_CLUSTER_SERVER;
        c.name = o->cluster_name;
    }
    return c;
}

bool is_other_cluster(const struct loading *l, const struct application *a)
{
    const struct source_opts *o = &l->s->o;
    struct cluster_ref c = cluster_of(l, a);
    if (str_eq(c.server, IN_CLUSTER_SERVER) || (c.server && str_eq(c.server, o->cluster_server)))
        return false;
    return !c.name || !str_eq(c.name, o->cluster_name);
}

bool is_for_target(const struct loading *l, const struct application *a)
{
    struct cluster_ref c = cluster_of(l, a);
    return !l->s->o.is_spoke || (a->doc && !str_eq(c.server, IN_CLUSTER_SERVER));
}

void projects_changed(struct loading *l)
{
    json_object_clear(l->virtual_projects);
}

// The project of that name with what global projects add; borrowed, NULL when there is none.
static bool find_project(struct loading *l, const char *name, const json_t **out, struct err *err)
{
    json_t *known = json_object_get(l->virtual_projects, name);
    *out = known;
    if (known)
        return true;
    for (size_t i = 0; i < l->d->projects.len; i++) {
        json_t *p = l->d->projects.v[i];
        if (!str_eq(json_dot_str(p, "metadata.name"), name))
            continue;
        CLEANUP(json_freep) json_t *all = json_array();
        for (size_t k = 0; k < l->d->projects.len; k++)
            json_array_append(all, l->d->projects.v[k]);
        json_t *with = NULL;
        if (!project_with_globals(p, l->global_projects, all, &with, err))
            return false;
        json_object_set_new(l->virtual_projects, name, with);
        *out = with;
        return true;
    }
    return true;
}

bool judge_app(struct loading *l, const struct application *a, struct err *err)
{
    const json_t *project = NULL;
    struct cluster_ref c = cluster_of(l, a);
    if (!a->doc)
        return true;
    if (!find_project(l, a->project, &project, err))
        return false;
    if (project_permits_app(project, a, &c, err))
        return true;
    return project
               ? err_hint(err, PERMIT_HINT)
               : err_hint(err, "Add the AppProject to the repository, or write project: default.");
}

// Nobody knows yet whether it is of a namespace or of the cluster: that is judged when it is known.
static void judge_for_cluster(const json_t *project, const struct application *a,
                              const struct cluster_ref *c, struct object *o)
{
    struct object of_cluster = *o;
    struct err err = {0};
    of_cluster.is_namespaced = false;
    of_cluster.id.namespace = NULL;
    o->is_denied_for_cluster = !project_permits_object(project, a, c, &of_cluster, &err);
    err_clear(&err);
}

// A Secret may limit which namespaces of its cluster are managed (spec argo-cd section 8.1). As
// with Argo CD an application that has anything else is not synced at all; a namespace that is only
// made for one is not its own.
static bool is_managed(const json_t *cluster, const struct object *o, struct err *err)
{
    const json_t *names = json_object_get(cluster, "namespaces");
    size_t i;
    json_t *name;
    if (o->is_made || o->is_virtual)
        return true;
    if (!o->is_namespaced)
        return json_dot_bool(cluster, "clusterResources", false) ||
               err_set(err, ERR_DENIED,
                       "%s %s is of the whole cluster, of which cluster %s has "
                       "namespaces managed alone",
                       o->id.kind, o->id.name, json_dot_text(cluster, "name"));
    json_array_foreach(names, i, name)
    {
        if (str_eq(json_string_value(name), o->id.namespace))
            return true;
    }
    return err_set(err, ERR_DENIED,
                   "namespace %s of %s %s is not among those that are managed of "
                   "cluster %s",
                   o->id.namespace ? o->id.namespace : "", o->id.kind, o->id.name,
                   json_dot_text(cluster, "name"));
}

static bool judge_managed(const json_t *cluster, struct object *o, size_t n, struct err *err)
{
    if (!json_array_size(json_object_get(cluster, "namespaces")))
        return true; // nearly always
    for (size_t i = 0; i < n; i++) {
        struct object of_cluster = o[i];
        struct err unused = {0};
        if (!is_managed(cluster, &o[i], err)) {
            CLEANUP(str_freep) char *place = origin_text(&o[i].origin);
            err_wrap(err, "%s", place);
            return err_hint(err, MANAGED_HINT);
        }
        of_cluster.is_namespaced = false;
        o[i].is_denied_for_cluster |=
            o[i].is_scope_guessed && !is_managed(cluster, &of_cluster, &unused);
        err_clear(&unused);
    }
    return true;
}

bool judge_objects(struct loading *l, const struct application *a, struct object *o, size_t n,
                   struct err *err)
{
    const json_t *project = NULL;
    struct cluster_ref c = cluster_of(l, a);
    if (!a->doc)
        return true;
    if (!find_project(l, a->project, &project, err))
        return false;
    const json_t *limits = registered(&l->s->o, c.server, c.name);
    for (size_t i = 0; i < n; i++) {
        if (!project_permits_object(project, a, &c, &o[i], err)) {
            CLEANUP(str_freep) char *place = origin_text(&o[i].origin);
            err_wrap(err, "%s", place);
            return err_hint(err, PERMIT_HINT);
        }
        if (o[i].is_scope_guessed)
            judge_for_cluster(project, a, &c, &o[i]);
    }
    return judge_managed(limits, o, n, err);
}
