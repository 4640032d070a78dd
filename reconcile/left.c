// SPDX-License-Identifier: Apache-2.0
//
// Applications that left Git and whose objects stayed: nobody's now. It is told once; they are
// remembered, so that they can be named, deleted when somebody asks for it, and are known again if
// their application comes back.
#include <string.h>

#include "reconcile/run_int.h"

static struct left_app *left_of(struct run *r, const char *app)
{
    for (size_t i = 0; i < r->left.len; i++)
        if (!strcmp(r->left.v[i].app, app))
            return &r->left.v[i];
    struct left_app *x = vec_push(&r->left);
    x->app = app;
    x->since = json_dot_str(json_object_get(r->notes, app), CASCADE_LEFT);
    return x;
}

static bool has_record(const struct run *r, const char *app)
{
    for (size_t i = 0; i < r->records.len; i++)
        if (!strcmp(r->records.v[i].app, app))
            return true;
    return false;
}

static bool check_one(const struct run *r, const char *app, struct err *err)
{
    if (desired_tracked_app(r->desired, app) >= 0) {
        err_set(err, ERR_CONFLICT, "application %s is in Git, and its objects with it", app);
        return err_hint(err, "Take it out of Git first.");
    }
    if (!has_record(r, app)) {
        err_set(err, ERR_NOT_FOUND, "no application %s has left anything behind", app);
        return err_hint(err, "regrow status lists those that have.");
    }
    return true;
}

// Who asks for the deletion of what an application left must have it right; but a controller that
// is started again with the same options has done it before.
static bool check_asked(struct run *r, struct err *err)
{
    const struct plan_policy *p = &r->opts.policy;
    r->left_wrong = json_object();
    for (size_t i = 0; i < p->n_prune_left; i++) {
        if (check_one(r, p->prune_left[i], err))
            continue;
        if (!p->is_left_wish)
            return false;
        json_object_set_new(r->left_wrong, p->prune_left[i], json_string(err->msg));
        err_clear(err);
    }
    return true;
}

bool left_find(struct run *r, struct err *err)
{
    for (size_t i = 0; i < r->plan->items.len; i++) {
        const struct plan_item *it = &r->plan->items.v[i];
        if (it->action != ACTION_LEFT)
            continue;
        struct left_app *x = left_of(r, r->records.v[it->record].app);
        x->objects++;
        x->why = x->why ? x->why : it->reason;
        x->can_go |= !strcmp(it->row, "P11");
    }
    // A part without what is gone has not seen it.
    bool is_seen = !r->desired->whole || r->desired->is_with_gone;
    r->is_left_wrong = is_seen && !r->opts.policy.is_left_known && !check_asked(r, err);
    return !r->is_left_wrong;
}

void left_tell(struct run *r)
{
    for (size_t i = 0; i < r->left.len; i++) {
        const struct left_app *x = &r->left.v[i];
        if (!x->since)
            event_emit(r->opts.events, "app.left", "{s:s, s:I, s:s}", "app", x->app, "objects",
                       (json_int_t)x->objects, "message", x->why);
    }
}

size_t run_left(const struct run *r, const struct left_app **out)
{
    *out = r->left.v;
    return r->left.len;
}
