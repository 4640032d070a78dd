// SPDX-License-Identifier: Apache-2.0
//
// Applications whose place in the order cannot be found (graph_unordered): what they need by name
// is not there, or waits for them. They stay as they are, and are told by name; all others go on.
#include <string.h>

#include "reconcile/controller_int.h"

const char *order_problem(const struct controller *c, const char *app)
{
    return json_string_value(json_object_get(c->unordered, app));
}

void order_note(struct controller *c)
{
    CLEANUP(json_freep) json_t *was = c->unordered;
    const char *app;
    json_t *why;
    void *next;
    c->unordered = graph_unordered(c->desired, &c->run_opts.graph);
    json_object_foreach_safe(c->unordered, next, app, why)
    {
        if (!tracked_find(c, app)) // it goes to another cluster, whose session tells of it
            json_object_del(c->unordered, app);
    }
    json_object_foreach(was, app, why)
    {
        if (!order_problem(c, app))
            report_news(c, app);
    }
    json_object_foreach(c->unordered, app, why)
    {
        if (json_equal(json_object_get(was, app), why))
            continue;
        report_news(c, app);
        event_emit(c->o.events, "sync.failed", "{s:s, s:s, s:i, s:i}", "app", app, "message",
                   json_string_value(why), "tries", 0, "retryInMs", -1);
    }
}

void order_refuse(struct controller *c)
{
    const char *app;
    json_t *why;
    json_object_foreach(c->unordered, app, why)
    {
        struct tracked *t = tracked_find(c, app);
        if (!t || !(t->triggers & TRIGGER_REQUEST))
            continue;
        t->triggers &= ~(unsigned)TRIGGER_REQUEST;
        if (!t->asked || t->is_over)
            continue;
        if (t->pins.len && t->op.revisions.len)
            operation_pin(c, t, NULL); // for which it was to be read
        str_set(&t->refusal, json_string_value(why));
        operation_settle(c, t, OPERATION_ERROR, t->refusal);
    }
}

// As desired_find_app would find it.
static bool is_named(const char *name, const char *app)
{
    const char *own = strchr(app, '_');
    return !strcmp(name, app) || (own && !strcmp(name, own + 1));
}

bool order_needs(const struct controller *c, const char *app)
{
    for (size_t i = 0; i < c->desired->apps.len && !c->run_opts.graph.ignore_declared; i++) {
        const struct strv *names = &c->desired->apps.v[i]->depends_on;
        for (size_t k = 0; k < names->len; k++)
            if (is_named(names->v[k], app) && desired_find_app(c->desired, names->v[k]) < 0)
                return true;
    }
    return false;
}
