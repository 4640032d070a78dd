// SPDX-License-Identifier: Apache-2.0
//
// Is what would be done now what was planned? If not: what has changed, object by object.
#include "cli/planfile.h"

#include <string.h>

#define SHOWN_CHANGES 20
#define MOST_ASKED 2000 // dry runs, of objects that are not as they were

static const char *fields_of(const struct planfile *f, const json_t *change)
{
    size_t i;
    json_t *v;
    json_array_foreach(json_object_get(f->doc, "objects"), i, v)
    {
        if (str_eq(json_dot_str(v, "group"), json_dot_str(change, "group")) &&
            str_eq(json_dot_str(v, "kind"), json_dot_str(change, "kind")) &&
            str_eq(json_dot_str(v, "namespace"), json_dot_str(change, "namespace")) &&
            str_eq(json_dot_str(v, "name"), json_dot_str(change, "name")) &&
            str_eq(json_dot_str(v, "phase"), json_dot_str(change, "phase")))
            return json_dot_str(v, "fields");
    }
    return NULL;
}

// Which fields it is: the server is asked for so many as are shown.
static void add_fields(struct cli *c, const struct planfile *f, struct run *r, json_t *changes)
{
    size_t i;
    json_t *v;
    size_t n = c->o.verbose ? SIZE_MAX : SHOWN_CHANGES;
    json_array_foreach(changes, i, v)
    {
        if (i >= n)
            break;
        CLEANUP(json_freep) json_t *fields = run_changed_fields(r, v, fields_of(f, v));
        if (json_array_size(fields))
            json_object_set(v, "fields", fields);
    }
}

// ---- telling ----
static char *name_of(const json_t *change)
{
    struct object_id id = {
        (char *)json_dot_text(change, "group"), (char *)json_dot_text(change, "kind"),
        (char *)json_dot_str(change, "namespace"), (char *)json_dot_text(change, "name")};
    return *id.kind ? object_name(&id) : str_dup(id.name);
}

static void print_one(const struct cli *c, const json_t *change)
{
    const json_t *fields = json_object_get(change, "fields");
    CLEANUP(str_freep) char *name = name_of(change);
    size_t i;
    json_t *v;
    printf("  %s ", state_symbol(c, NODE_FAILED));
    CLEANUP(str_freep) char *line = str_printf("%s: %s", name, json_dot_text(change, "message"));
    print_wrapped(stdout, line, 4, 6);
    json_array_foreach(fields, i, v)
    {
        printf("      ");
        print_wrapped(stdout, json_string_value(v), 6, 8);
    }
}

static void print_text(const struct cli *c, const json_t *changes)
{
    size_t n = json_array_size(changes);
    size_t shown = c->o.verbose || n <= SHOWN_CHANGES + 1 ? n : SHOWN_CHANGES;
    printf("%zu thing%s not as %s says:\n", n, n == 1 ? " is" : "s are", c->o.plan_file);
    for (size_t i = 0; i < shown; i++)
        print_one(c, json_array_get(changes, i));
    if (shown < n)
        printf("  and %zu more; -v shows them\n", n - shown);
}

static void print_events(const struct cli *c, const json_t *changes)
{
    size_t i;
    json_t *v;
    json_array_foreach(changes, i, v)
    {
        json_t *fields = json_object_get(v, "fields");
        CLEANUP(json_freep) json_t *list = fields ? json_incref(fields) : json_array();
        event_emit(&c->events, "plan.differs", "{s:s, s:s*, s:s*, s:s*, s:s*, s:s, s:s, s:O}",
                   "what", json_dot_str(v, "what"), "app", json_dot_str(v, "application"), "group",
                   json_dot_str(v, "group"), "kind", json_dot_str(v, "kind"), "namespace",
                   json_dot_str(v, "namespace"), "name", json_dot_text(v, "name"), "message",
                   json_dot_text(v, "message"), "fields", list);
    }
}

static bool refuse(struct cli *c, const struct session *s, json_t *changes, struct err *err)
{
    size_t n = json_array_size(changes);
    CLEANUP(json_freep) json_t *out = doc_new("plan-differs", s);
    json_object_set_new(out, "planFile", json_string(c->o.plan_file));
    json_object_set(out, "changes", changes);
    if (wants_doc(c))
        print_doc(c, out);
    else if (c->o.output == OUT_NDJSON)
        print_events(c, changes);
    else
        print_text(c, changes);
    err_set(err, ERR_CONFLICT, "the plan in %s does not hold any more: %zu thing%s changed since",
            c->o.plan_file, n, n == 1 ? " has" : "s have");
    CLEANUP(str_freep) char *again = shell_words("regrow plan --out", c->o.plan_file);
    return err_hint(err, "No object was written. Plan again, and look at it: %s", again);
}

// What a run wrote that was killed before it recorded it is as it should be, and nobody's change.
static void drop_carried_out(struct run *r, json_t *changes)
{
    size_t asked = 0;
    for (size_t i = 0; i < json_array_size(changes) && asked < MOST_ASKED;) {
        json_t *v = json_array_get(changes, i);
        asked += !strcmp(json_dot_text(v, "what"), "live");
        if (run_is_carried_out(r, v))
            json_array_remove(changes, i);
        else
            i++;
    }
}

static bool hold(struct cli *c, const struct session *s, const struct planfile *f, struct run *r,
                 const json_t *now, struct err *err)
{
    CLEANUP(json_freep) json_t *changes = plan_file_changes(f->doc, now);
    drop_carried_out(r, changes);
    if (!json_array_size(changes))
        return true;
    add_fields(c, f, r, changes);
    return refuse(c, s, changes, err);
}

// A run that writes asks about an object when its turn comes, not before: what a dry run has said
// of it a moment ago counts.
bool planfile_check_run(struct cli *c, struct session *s, const struct planfile *f, struct run *r,
                        struct err *err)
{
    if (!f->doc)
        return true;
    CLEANUP(json_freep) json_t *now = planfile_doc(c, s, r);
    plan_file_settle(now, f->seen);
    return hold(c, s, f, r, now, err);
}

// What a run of its own would say of applications is said again by the one that does it.
bool planfile_check(struct cli *c, struct session *s, struct planfile *f, struct err *err)
{
    struct run *r CLEANUP(run_freep) = NULL;
    struct event_sink events = c->events;
    if (!f->doc)
        return true;
    for (size_t i = 0; i < s->desired->apps.len; i++)
        if (s->desired->apps.v[i]->state == APP_UNKNOWN) {
            const struct application *a = s->desired->apps.v[i];
            err_set(err, a->problem.kind,
                    "%s could be read when it was planned, and cannot now: %s", a->name,
                    a->problem.msg);
            return err_hint(err,
                            "Make it readable and run this again, or plan anew with regrow plan "
                            "--out FILE. Nothing was written.");
        }
    c->events.emit = NULL;
    bool ok =
        cli_run(c, s, true, &r, err) && run_planned_is_seen(r, err) && run_resolve_checks(r, err);
    c->events = events;
    f->seen = ok ? planfile_doc(c, s, r) : NULL;
    return ok && hold(c, s, f, r, f->seen, err);
}
