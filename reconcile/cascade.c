// SPDX-License-Identifier: Apache-2.0
//
// Does an application that is no longer in Git take its objects along? As Argo CD has it (spec
// argo-cd sections 1.11, 2.9, 2.10): its Application object is deleted if its parent prunes it, its
// set no longer generates it, or its parent is deleted itself and takes it along; and that deletion
// reaches its objects if the Application has the resources-finalizer. By then nobody can read the
// Application any more, so the inventory remembers what it takes to decide.
#include <stdarg.h>
#include <string.h>

#include "reconcile/plan.h"

#define MAX_ANCESTORS 100 // whatever somebody has written into the inventory

static const struct {
    unsigned bit;
    const char *text;
} marks[] = {
    {DELETION_PRUNE_OFF, "Prune=false"},       {DELETION_PRUNE_ASKED, "Prune=true"},
    {DELETION_DELETE_OFF, "Delete=false"},     {DELETION_KEEP, "resource-policy=keep"},
    {DELETION_PRUNE_CONFIRM, "Prune=confirm"}, {DELETION_DELETE_CONFIRM, "Delete=confirm"}};

static json_t *marks_json(unsigned bits)
{
    json_t *list = bits ? json_array() : NULL;
    for (size_t i = 0; i < ARRAY_LEN(marks); i++)
        if (bits & marks[i].bit)
            json_array_append_new(list, json_string(marks[i].text));
    return list;
}

static unsigned marks_of(const json_t *note)
{
    unsigned bits = 0;
    size_t i;
    json_t *m;
    json_array_foreach(json_object_get(note, "marks"), i, m)
    {
        for (size_t k = 0; k < ARRAY_LEN(marks); k++)
            bits |= str_eq(json_string_value(m), marks[k].text) ? marks[k].bit : 0;
    }
    return bits;
}

json_t *cascade_note(const struct desired *d, unsigned app)
{
    const struct application *a = d->apps.v[app];
    json_t *note = json_pack("{s:b}", "cascade", (int)application_cascades(a));
    if (a->is_background)
        json_object_set_new(note, "background", json_true());
    if (a->has_finalizer && !application_cascades(a))
        json_object_set_new(note, "because",
                            json_string(a->delete_never ? "Delete=false" : "ApplicationSet"));
    if (a->delete_confirm)
        json_object_set_new(note, CASCADE_CONFIRM, json_true());
    if (a->marks)
        json_object_set_new(note, "marks", marks_json(a->marks));
    if (a->set_name)
        json_object_set_new(note, "set", json_pack("[s, s]", a->namespace, a->set_name));
    if (a->parent < 0)
        return note;
    json_t *parent = cascade_note(d, (unsigned)a->parent);
    json_object_set_new(parent, "name", json_string(d->apps.v[a->parent]->tracking_name));
    json_object_set_new(note, "parent", parent);
    return note;
}

static bool set_is_there(const struct desired *d, const json_t *note)
{
    const json_t *set = json_object_get(note, "set");
    struct object_id id = {(char *)"argoproj.io", (char *)"ApplicationSet",
                           (char *)json_string_value(json_array_get(set, 0)),
                           (char *)json_string_value(json_array_get(set, 1))};
    return id.namespace && id.name && desired_find(desired_whole(d), &id);
}

PRINTF_LIKE(2, 3) static bool stays(char **why, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    *why = str_vprintf(fmt, ap);
    va_end(ap);
    return false;
}

// Its parent is there, and what it said of the application is not: does it prune that?
static bool parent_prunes(const struct application *p, unsigned bits, char **why)
{
    if (p->state != APP_KNOWN)
        return stays(why, "%s, which had its Application, could not be read", p->name);
    if (bits & (DELETION_PRUNE_OFF | DELETION_KEEP))
        return stays(why, "its Application had Prune=false");
    if (!p->prune || (p->prune_never && !(bits & (DELETION_PRUNE_ASKED | DELETION_PRUNE_CONFIRM))))
        return stays(why, "%s, which had its Application, does not prune", p->name);
    return true;
}

// Is the Application object deleted?
static bool object_goes(const struct desired *d, const json_t *note, char **why)
{
    for (int i = 0; i < MAX_ANCESTORS; i++) {
        const json_t *parent = json_object_get(note, "parent");
        const char *name = json_dot_str(parent, "name");
        unsigned bits = marks_of(note);
        int at = name ? desired_tracked_app(d, name) : -1;
        // The root is no Application: another one has taken its place.
        if (!parent || set_is_there(d, note))
            return true;
        if (at >= 0)
            return parent_prunes(d->apps.v[at], bits, why);
        if (!json_dot_bool(parent, "cascade", false))
            return stays(why, "%s, which had its Application, has left Git without it",
                         name ? name : "its parent");
        if (bits & (DELETION_DELETE_OFF | DELETION_DELETE_CONFIRM | DELETION_KEEP))
            return stays(why, "its Application had %s",
                         bits & DELETION_DELETE_CONFIRM ? "Delete=confirm" : "Delete=false");
        note = parent;
    }
    return stays(why, "its inventory is none");
}

bool cascade_takes_along(const struct desired *d, const json_t *note, char **why)
{
    const char *because = json_dot_str(note, "because");
    if (!note)
        return stays(why, "an older regrow did not note whether they go with it");
    if (json_dot_bool(note, "cascade", false))
        return object_goes(d, note, why);
    if (str_eq(because, "Delete=false"))
        return stays(why, "it had the sync option Delete=false");
    if (because)
        return stays(why, "its %s leaves them", because);
    return stays(why, "its Application had no " RESOURCES_FINALIZER "");
}

const char *cascade_asks(const struct desired *d, const json_t *note)
{
    for (int i = 0; i < MAX_ANCESTORS; i++) {
        const json_t *parent = json_object_get(note, "parent");
        const char *name = json_dot_str(parent, "name");
        int at = name ? desired_tracked_app(d, name) : -1;
        unsigned bits = marks_of(note);
        if (!name || set_is_there(d, note))
            return NULL;
        if (at >= 0)
            return (bits & DELETION_PRUNE_CONFIRM) ||
                           (d->apps.v[at]->prune_confirm && !(bits & DELETION_PRUNE_ASKED))
                       ? name
                       : NULL;
        // It goes with its parent, which asks for itself.
        if (json_object_get(parent, CASCADE_CONFIRM))
            return name;
        note = parent;
    }
    return NULL;
}

bool cascade_rests(const struct desired *d, const json_t *note,
                   bool (*is_resting)(const void *ctx, const char *app), const void *ctx)
{
    int at = -1;
    for (int i = 0; at < 0 && note && i < MAX_ANCESTORS; i++) {
        note = json_object_get(note, "parent");
        const char *name = json_dot_str(note, "name");
        at = name ? desired_tracked_app(d, name) : -1;
        if (name && is_resting(ctx, at < 0 ? name : d->apps.v[at]->tracking_name))
            return true;
    }
    return false;
}
