// SPDX-License-Identifier: Apache-2.0
//
// Fields of an object that are not sent, told by the server's refusal: those another manager owns
// and ignoreDifferences leaves to it, and with Validate=false those that no schema has. The rest of
// the object is sent again without them; what others own stays as it is.
#include <stdlib.h>
#include <string.h>

#include "reconcile/run_int.h"

#define UNDECLARED ": field not declared in schema"
#define MAX_LEFT 200 // fields of one object; a refusal that names more is none of these cases

static bool note(struct strv *out, const char *path, size_t len)
{
    CLEANUP(str_freep) char *p = str_ndup(path, len);
    if (*p != '.' || strv_has(out, p))
        return false;
    strv_push(out, p);
    return true;
}

// `conflict with "NAME" using v1`
static char *manager_of(const json_t *cause)
{
    const char *m = json_dot_str(cause, "message");
    const char *open = m ? strchr(m, '"') : NULL;
    return open ? str_ndup(open + 1, strcspn(open + 1, "\"")) : NULL;
}

// The fields of a conflict that the application leaves to their owners.
static void find_ignored(struct run *r, unsigned node, const json_t *status, struct strv *out)
{
    const struct object *o = &r->desired->objects.v[node];
    const struct application *a = r->desired->apps.v[o->app];
    CLEANUP(json_freep) json_t *doc = object_doc(o);
    if (!r->jq && ignored_has_jq(a->ignore_differences))
        r->jq = jq_filters_new();
    CLEANUP(json_freep)
    json_t *marks = ignored_marks(a->ignore_differences, &o->id, doc, NULL, r->jq);
    size_t i;
    json_t *cause;
    json_array_foreach(json_dot(status, "details.causes"), i, cause)
    {
        const char *field = json_dot_str(cause, "field");
        CLEANUP(str_freep) char *manager = manager_of(cause);
        // What another client remembers of its own is its own.
        bool is_memory = field && str_ends(field, "." LAST_APPLIED_ANNOTATION);
        if (str_eq(json_dot_str(cause, "reason"), "FieldManagerConflict") && field &&
            (is_memory || ignored_covers(marks, doc, field) ||
             ignored_manager(a->ignore_differences, &o->id, manager)))
            note(out, field, strlen(field));
    }
}

// "…): .spec.a: field not declared in schema", or a line of its own for each of several.
static void find_undeclared(const char *message, struct strv *out)
{
    const char *line = message;
    for (const char *s = strstr(message, UNDECLARED); s; s = strstr(s + 1, UNDECLARED)) {
        const char *start = s;
        while (start > line && start[-1] != '\n')
            start--;
        const char *close = memmem(start, (size_t)(s - start), "): .", 4);
        start = close ? close + 3 : start + strspn(start, " \t");
        if (start < s)
            note(out, start, (size_t)(s - start));
        line = s;
    }
}

static bool leave_out(struct run *r, unsigned node, const struct strv *fields)
{
    struct node_rt *x = &r->nodes[node];
    bool any = false;
    if (fields->len && !x->left_out)
        x->left_out = mem_alloc(sizeof(*x->left_out));
    for (size_t i = 0; i < fields->len && x->left_out->len < MAX_LEFT; i++)
        any |= note(x->left_out, fields->v[i], strlen(fields->v[i]));
    return any;
}

// --force-conflicts, the sync option, or what somebody has changed is to be as it was.
static bool wants_force(const struct run *r, unsigned node)
{
    int item = r->nodes[node].item;
    return r->opts.force_conflicts || (r->desired->objects.v[node].options & SYNC_SERVER_SIDE) ||
           (r->opts.force_drifted && item >= 0 && r->plan->items.v[item].is_drift);
}

bool leave_to_others(struct run *r, unsigned node, const struct kube_reply *reply)
{
    const struct object *o = &r->desired->objects.v[node];
    struct node_rt *x = &r->nodes[node];
    bool is_conflict = reply->cls == KUBE_CONFLICT;
    bool is_undeclared = reply->cls == KUBE_INVALID && (o->options & SYNC_NO_VALIDATE);
    CLEANUP(json_freep) json_t *status = is_conflict || is_undeclared ? reply_doc(reply) : NULL;
    struct strv fields = {0};
    if (status && is_conflict)
        find_ignored(r, node, status, &fields);
    else if (status && json_dot_str(status, "message"))
        find_undeclared(json_dot_str(status, "message"), &fields);
    bool again = leave_out(r, node, &fields);
    x->leaves_fields |= again && is_conflict;
    // Who forces waits until it is known which fields it must not take.
    again |= is_conflict && wants_force(r, node) && !x->may_force;
    x->may_force |= is_conflict;
    strv_clear(&fields);
    return again;
}

bool may_force(const struct run *r, unsigned node)
{
    const struct object *o = &r->desired->objects.v[node];
    const struct application *a = r->desired->apps.v[o->app];
    int item = r->nodes[node].item;
    // The option is for all that an application has, and its rules say which fields are others'.
    bool has_left =
        (item >= 0 && r->plan->items.v[item].has_left) || (o->options & SYNC_SERVER_SIDE);
    bool asks_first = (a->respect_ignore_differences || (has_left && !r->opts.force_conflicts)) &&
                      ignored_any(a, &o->id);
    return wants_force(r, node) && (r->nodes[node].may_force || !asks_first);
}

void left_out_body(const struct run *r, unsigned node, json_t *doc)
{
    const struct strv *left = r->nodes[node].left_out;
    for (size_t i = 0; left && i < left->len; i++) {
        if (str_ends(left->v[i], "." LAST_APPLIED_ANNOTATION))
            json_object_del(json_dot(doc, "metadata.annotations"), LAST_APPLIED_ANNOTATION);
        else
            field_remove(doc, left->v[i]);
    }
}
