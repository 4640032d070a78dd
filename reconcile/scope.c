// SPDX-License-Identifier: Apache-2.0
//
// A kind that nobody knew when the repository was read was taken for namespaced. When the cluster
// serves it at last, it may turn out to be of the cluster: the object is another one then, and its
// project is asked again.
#include <stdlib.h>

#include "reconcile/run_int.h"

static void move_to_cluster(struct run *r, unsigned node)
{
    struct object *o = &r->desired->objects.v[node];
    struct node *n = &r->graph->nodes.v[node];
    CLEANUP(json_freep) json_t *doc = object_doc(o);
    json_object_del(json_object_get(doc, "metadata"), "namespace");
    object_own(o);
    str_set(&o->id.namespace, NULL);
    o->is_namespaced = false;
    application_mark(r->desired->apps.v[o->app], doc, o);
    object_set_body(o, doc);
    desired_changed(r->desired, node);
    free(n->label);
    n->label = object_name(&o->id);
}

bool scope_settle(struct run *r, unsigned node)
{
    struct object *o = &r->desired->objects.v[node];
    const struct kind_info *k = kinds_find(r->desired->kinds, o->id.group, o->version, o->id.kind);
    if (!o->is_scope_guessed || !k)
        return true;
    o->is_scope_guessed = false;
    if (k->is_namespaced)
        return true;
    struct object_id id = o->id;
    id.namespace = NULL;
    const struct application *a = r->desired->apps.v[o->app];
    CLEANUP(str_freep) char *why = NULL;
    if (o->is_denied_for_cluster)
        why = str_printf("%s is a kind of the cluster, which project %s does not permit",
                         o->id.kind, a->project);
    else if (desired_find(r->desired, &id))
        why = str_printf("%s is a kind of the cluster, and there is another of this name",
                         o->id.kind);
    if (!why) {
        move_to_cluster(r, node);
        return true;
    }
    state_fail(r, node, o->is_denied_for_cluster ? ERR_DENIED : ERR_INVALID, why);
    return false;
}
