// SPDX-License-Identifier: Apache-2.0
//
// Objects that carry the mark of an application which is none of this root's (spec argo-cd section
// 3): somebody else reconciles them. They are taken over, and it is said; with
// FailOnSharedResource=true they are not.
#include <stdlib.h>

#include "reconcile/run_int.h"

// The other application, or NULL; borrowed. One of this root has handed the object on.
static const char *other_owner(const struct run *r, unsigned node)
{
    const struct object *o = &r->desired->objects.v[node];
    const struct application *a = r->desired->apps.v[o->app];
    const struct plan_item *it = &r->plan->items.v[r->nodes[node].item];
    const char *mark = it->live < 0 ? NULL : r->facts.v[it->live].tracking_app;
    if (!mark || it->record >= 0 || o->is_virtual || str_eq(mark, a->tracking_name))
        return NULL;
    return desired_tracked_app(r->desired, mark) < 0 ? mark : NULL;
}

void shared_check(struct run *r)
{
    for (unsigned i = 0; i < r->desired->objects.len; i++) {
        const struct object *o = &r->desired->objects.v[i];
        struct application *a = r->desired->apps.v[o->app];
        const char *other = r->nodes[i].item < 0 ? NULL : other_owner(r, i);
        if (!other)
            continue;
        CLEANUP(str_freep) char *name = object_name(&o->id);
        CLEANUP(str_freep)
        char *text = str_printf(
            "%s is marked as that of application %s, which is not of this "
            "root%s",
            name, other, a->fail_on_shared ? "; FailOnSharedResource=true forbids to take it" : "");
        if (!strv_has(&a->warnings, text)) // many runs may be about one desired state
            strv_push(&a->warnings, text);
        if (a->fail_on_shared)
            state_fail(r, i, ERR_CONFLICT, text);
    }
}
