// SPDX-License-Identifier: Apache-2.0
//
// diff: what a dry run would make of each object, against what is there, field by field as JSON
// pointers. Secret values are never shown.
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

#define SHOWN_VALUE 400
#define HIDDEN "(secret)"

struct differences {
    json_t *list; // of the object at hand: {path, live, desired}
    bool is_secret;
};

// A difference may be a whole map: what is below it counts too. kubectl's annotation repeats the
// whole object.
json_t *secret_masked(const char *path, const json_t *v)
{
    if (str_starts(path, "/data") || str_starts(path, "/stringData") ||
        strstr(path, "last-applied-configuration"))
        return json_string(HIDDEN);
    if (!json_is_object(v))
        return json_deep_copy(v);
    json_t *out = json_object();
    const char *key;
    json_t *x;
    json_object_foreach((json_t *)v, key, x)
    {
        CLEANUP(str_freep) char *p = json_pointer_under(path, key);
        json_object_set_new(out, key, secret_masked(p, x));
    }
    return out;
}

static json_t *masked(const struct differences *d, const char *path, const json_t *v)
{
    if (!v)
        return json_null();
    return d->is_secret ? secret_masked(path, v) : json_deep_copy(v);
}

static bool is_server_made(const char *path)
{
    static const char *const paths[] = {"/metadata/resourceVersion", "/metadata/generation",
                                        "/metadata/uid", "/metadata/creationTimestamp", "/status",
                                        // What says that it differs is what it remembers.
                                        "/metadata/annotations/kubectl.kubernetes.io~1last-applied-"
                                        "configuration"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        if (!strcmp(path, paths[i]))
            return true;
    return false;
}

static void compare(struct differences *d, const char *path, const json_t *live, const json_t *want)
{
    if (is_server_made(path) || (live && want && json_equal((json_t *)live, (json_t *)want)))
        return;
    const char *key;
    json_t *v;
    if (json_is_object(live) && json_is_object(want)) {
        json_object_foreach((json_t *)live, key, v)
        {
            CLEANUP(str_freep) char *p = json_pointer_under(path, key);
            compare(d, p, v, json_object_get(want, key));
        }
        json_object_foreach((json_t *)want, key, v)
        {
            CLEANUP(str_freep) char *p = json_pointer_under(path, key);
            if (!json_object_get(live, key))
                compare(d, p, NULL, v);
        }
        return;
    }
    if (json_is_array(live) && json_is_array(want) &&
        json_array_size(live) == json_array_size(want)) {
        for (size_t i = 0; i < json_array_size(live); i++) {
            CLEANUP(str_freep) char *p = str_printf("%s/%zu", path, i);
            compare(d, p, json_array_get(live, i), json_array_get(want, i));
        }
        return;
    }
    json_array_append_new(d->list,
                          json_pack("{s:s, s:o, s:o}", "path", path, "live", masked(d, path, live),
                                    "desired", masked(d, path, want)));
}

// ---- as text ----
static void print_object(const struct cli *c, const json_t *o)
{
    const char *ns = json_dot_str(o, "namespace");
    const char *where = json_dot_str(o, "origin");
    const char *problem = json_dot_str(o, "problem");
    size_t i;
    json_t *x;
    CLEANUP(str_freep)
    char *head = str_printf("%s %s%s%s  %s", json_dot_str(o, "kind"), ns ? ns : "", ns ? "/" : "",
                            json_dot_str(o, "name"), json_dot_str(o, "action"));
    printf("  %s", paint(c, "bold"));
    print_wrapped(stdout, head, 2, 4);
    printf("%s", paint(c, ""));
    if (where) {
        printf("    %s", paint(c, "dim"));
        print_wrapped(stdout, where, 4, 6);
        printf("%s", paint(c, ""));
    }
    if (problem) {
        printf("    %s ", state_symbol(c, NODE_FAILED));
        print_wrapped(stdout, problem, 6, 6);
    }
    json_array_foreach(json_object_get(o, "fields"), i, x)
    {
        printf("    ");
        print_wrapped(stdout, json_dot_str(x, "path"), 4, 6);
        const json_t *live = json_object_get(x, "live");
        const json_t *want = json_object_get(x, "desired");
        if (!json_is_null(live))
            print_value(c, "-", "red", live, 8, SHOWN_VALUE);
        if (!json_is_null(want))
            print_value(c, "+", "green", want, 8, SHOWN_VALUE);
    }
}

static void print_next(const struct cli *c, const struct session *s, const struct run *r)
{
    CLEANUP(str_freep) char *apply = bootstrap_words(s, r);
    CLEANUP(str_freep)
    char *text = str_printf(
        c->o.force_conflicts
            ? "%s --force-conflicts   makes the cluster what Git says"
            : "%s   makes the cluster what Git says; with --force-conflicts also where another "
              "manager, such as kubectl scale, owns the field",
        apply);
    printf("  next: ");
    print_wrapped(stdout, text, 8, 8);
}

static void print_text(const struct cli *c, const struct session *s, const struct run *r,
                       const json_t *list)
{
    const struct desired *d = s->desired;
    size_t n = json_array_size(list);
    size_t i;
    json_t *o;
    CLEANUP(str_freep)
    char *text = str_printf("%zu difference%s from %s%s%s%s", n, n == 1 ? "" : "s", d->root_name,
                            d->root_revision ? " @ " : "", d->root_revision ? d->root_revision : "",
                            n ? "   (exit" NBSP "20)" : "");
    printf("%s ", state_symbol(c, n ? NODE_FAILED : NODE_READY));
    print_wrapped(stdout, n ? text : "no differences", 2, 2);
    json_array_foreach(list, i, o)
    {
        print_object(c, o);
    }
    if (n)
        print_next(c, s, r);
}

// ---- what differs ----
static json_t *difference(const struct object_id *id, const char *app, const char *action)
{
    return json_pack("{s:s, s:s, s:s, s:s*, s:s, s:s}", "application", app, "group", id->group,
                     "kind", id->kind, "namespace", id->namespace, "name", id->name, "action",
                     action);
}

static bool is_selected(const struct cli *c, const char *app)
{
    for (size_t i = 0; i < c->o.apps.len; i++)
        if (!strcmp(app, c->o.apps.v[i]))
            return true;
    return c->o.apps.len == 0;
}

static bool is_no_change(enum action a)
{
    return a == ACTION_NONE || a == ACTION_VIRTUAL || a == ACTION_HOOK_DONE || a == ACTION_KEEP ||
           a == ACTION_LEFT;
}

// One object, asked for by a dry run; nothing is added when it does not differ after all.
static void diff_object(struct run *r, const struct plan_item *it, json_t *o, json_t *list)
{
    const struct object *desired = &run_desired(r)->objects.v[it->object];
    struct differences d = {.list = json_array()};
    CLEANUP(json_freep) json_t *live = NULL;
    CLEANUP(json_freep) json_t *want = NULL;
    CLEANUP(str_freep) char *where = origin_text(&desired->origin);
    struct err err = {0};
    d.is_secret = !strcmp(desired->id.kind, "Secret");
    bool differs = true;
    if (it->action != ACTION_CREATE && run_preview(r, (unsigned)it->object, &live, &want, &err) &&
        live && want) {
        compare(&d, "", live, want);
        differs = json_array_size(d.list) > 0;
    }
    json_object_set_new(o, "origin", json_string(where));
    json_object_set_new(o, "fields", d.list);
    if (err_is_set(&err))
        json_object_set_new(o, "problem", json_string(err.msg));
    if (differs || err_is_set(&err))
        json_array_append(list, o);
    err_clear(&err);
}

static void find_differences(const struct cli *c, struct run *r, json_t *list)
{
    const struct plan *p = run_plan(r);
    for (size_t i = 0; i < p->items.len; i++) {
        const struct plan_item *it = &p->items.v[i];
        const char *app;
        const struct object_id *id = run_item_id(r, i, &app);
        if (is_no_change(it->action) || !is_selected(c, app))
            continue;
        CLEANUP(json_freep) json_t *o = difference(id, app, action_name(it->action));
        if (it->object >= 0)
            diff_object(r, it, o, list);
        else
            json_array_append(list, o);
    }
}

static bool check_unknown(const struct session *s)
{
    bool unknown = false;
    for (size_t i = 0; i < s->desired->apps.len; i++) {
        const struct application *a = s->desired->apps.v[i];
        if (a->state != APP_UNKNOWN)
            continue;
        CLEANUP(str_freep)
        char *text = str_printf("%s could not be compared: %s", a->name, a->problem.msg);
        fprintf(stderr, "✗ ");
        print_wrapped(stderr, text, 2, 2);
        unknown = true;
    }
    return unknown;
}

int cmd_diff(struct cli *c, struct err *err)
{
    struct session *s CLEANUP(session_closep) = NULL;
    struct run *r CLEANUP(run_freep) = NULL;
    if (!cli_session(c, 0, true, &s, err) || !cli_look(c, s, &r, err))
        return 0;
    CLEANUP(json_freep) json_t *out = doc_new("diff", s);
    json_t *list = json_array();
    json_object_set_new(out, "differences", list);
    find_differences(c, r, list);
    if (wants_doc(c))
        print_doc(c, out);
    else
        print_text(c, s, r, list);
    bool unknown = check_unknown(s);
    return unknown ? err_exit_code(ERR_PARTIAL) : json_array_size(list) ? CODE_DIFFERS : 0;
}
