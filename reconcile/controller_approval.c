// SPDX-License-Identifier: Apache-2.0
//
// Prune=confirm and Delete=confirm: what is so marked is not deleted before somebody has approved
// of it, by an annotation of the Application with a time no earlier than that from which it waits.
#include <stdlib.h>
#include <string.h>

#include "reconcile/controller_int.h"
#include "reconcile/run_int.h"

#define CLOCKS_DIFFER_S 60 // so far ahead of ours may the clock of somebody be

static int64_t since_of(const json_t *awaited)
{
    const char *since = json_dot_str(awaited, "since");
    int64_t ms = since ? clock_parse_rfc3339_ms(since) : -1;
    return ms > 0 ? ms / 1000 : 0;
}

bool approval_is_given(const void *ctx, const char *app)
{
    const struct controller *c = ctx;
    int64_t since = since_of(json_object_get(c->awaited, app));
    const struct app_control k = {.approved_at_unix_s =
                                      json_integer_value(json_object_get(c->approvals, app))};
    return since && control_approves(&k, since);
}

void approval_take(struct controller *c, const char *app, const json_t *doc)
{
    const json_t *told = json_dot(doc, "status.regrow.awaitsApproval");
    struct app_control k = {0};
    struct err err = {0};
    bool was = approval_is_given(c, app);
    if (!control_read(doc, &k, &err))
        err_clear(&err); // that is for whoever takes the operation
    // A controller that has just begun goes by what the one before it has told.
    if (told && since_of(told) && !json_object_get(c->awaited, app))
        json_object_set_new(c->awaited, app, json_deep_copy(told));
    // Nobody approves today of what waits tomorrow.
    if (k.approved_at_unix_s && k.approved_at_unix_s <= clock_unix_ms() / 1000 + CLOCKS_DIFFER_S)
        json_object_set_new(c->approvals, app, json_integer(k.approved_at_unix_s));
    else
        json_object_del(c->approvals, app);
    app_control_clear(&k);
    if (was || !approval_is_given(c, app))
        return;
    struct tracked *t = tracked_find(c, app);
    if (t)
        tracked_trigger(t, TRIGGER_UNFINISHED | (t->is_requested ? TRIGGER_REQUEST : 0), 0);
    c->has_gone = true;
    c->gone_due_ms = 0;
    event_emit(c->o.events, "prune.approved", "{s:s}", "app", app);
}

static json_t *found(const struct run *r)
{
    json_t *all = json_object();
    const struct plan *p = run_plan(r);
    for (size_t i = 0; i < p->items.len; i++) {
        const struct plan_item *it = &p->items.v[i];
        if (!it->awaits)
            continue;
        json_t *x = json_object_get(all, it->awaits);
        if (!x) {
            CLEANUP(str_freep) char *name = object_name(&r->records.v[it->record].id);
            x = json_pack("{s:i, s:s}", "objects", 0, "first", name);
            json_object_set_new(all, it->awaits, x);
        }
        json_object_set_new(x, "objects",
                            json_integer(json_integer_value(json_object_get(x, "objects")) + 1));
    }
    return all;
}

// Is this turn about everything that this application may have waiting?
static bool is_about(const struct controller *c, const struct run *r, const bool *take,
                     const char *app)
{
    int at = desired_tracked_app(c->desired, app);
    return at >= 0 ? take[at] && !operation_is_partial(tracked_find(c, app))
                   : r->desired->is_with_gone;
}

void approval_absorb(struct controller *c, const struct run *r, const bool *take)
{
    CLEANUP(json_freep) json_t *now = found(r);
    const char *app;
    json_t *x;
    void *next;
    json_object_foreach_safe(c->awaited, next, app, x)
    {
        if (!json_object_get(now, app) && is_about(c, r, take, app))
            json_object_del(c->awaited, app);
    }
    json_object_foreach(now, app, x)
    {
        const json_t *before = json_object_get(c->awaited, app);
        CLEANUP(str_freep) char *since = clock_rfc3339(clock_unix_ms() / 1000);
        json_object_set_new(x, "since",
                            before ? json_deep_copy(json_object_get(before, "since"))
                                   : json_string(since));
        if (!before)
            event_emit(c->o.events, "prune.awaited", "{s:s, s:I, s:s}", "app", app, "objects",
                       (json_int_t)json_dot_int(x, "objects", 0), "first",
                       json_dot_text(x, "first"));
        json_object_set(c->awaited, app, x);
        json_object_set_new(c->answering, app, json_true());
        report_news(c, app);
    }
}

char *approval_text(const struct controller *c, const char *app)
{
    const json_t *x = json_object_get(c->awaited, app);
    long long n = json_dot_int(x, "objects", 0);
    if (!x)
        return NULL;
    return n > 1 ? str_printf("waiting for pruning confirmation of %s and %lld more resources",
                              json_dot_text(x, "first"), n - 1)
                 : str_printf("waiting for pruning confirmation of %s", json_dot_text(x, "first"));
}
