// SPDX-License-Identifier: Apache-2.0
//
// diff: what a dry run would make of each object, against what is there, field by field as JSON
// pointers. Secret values are never shown.
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

struct differences {
    struct cli *c;
    json_t *list; // of the object at hand: {path, live, desired}
    bool is_secret;
};

static char *pointer(const char *base, const char *key)
{
    struct buf b = {0};
    buf_printf(&b, "%s/", base);
    for (; *key; key++) {
        if (*key == '~')
            buf_str(&b, "~0");
        else if (*key == '/')
            buf_str(&b, "~1");
        else
            buf_char(&b, *key);
    }
    return buf_take(&b);
}

static json_t *masked(const struct differences *d, const char *path, const json_t *v)
{
    bool secret = d->is_secret && (str_starts(path, "/data") || str_starts(path, "/stringData"));
    if (!v)
        return json_null();
    return secret ? json_string("(secret)") : json_deep_copy((json_t *)v);
}

static bool is_server_made(const char *path)
{
    static const char *const paths[] = {"/metadata/resourceVersion", "/metadata/generation",
                                        "/metadata/uid", "/metadata/creationTimestamp", "/status"};
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
            CLEANUP(str_freep) char *p = pointer(path, key);
            compare(d, p, v, json_object_get(want, key));
        }
        json_object_foreach((json_t *)want, key, v)
        {
            CLEANUP(str_freep) char *p = pointer(path, key);
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

static void print_value(const struct cli *c, const char *sign, const char *color, const json_t *v)
{
    if (json_is_null(v))
        return;
    char *text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
    CLEANUP(str_freep) char *shown = fit(text ? text : "", 200);
    printf("      %s%s %s%s\n", paint(c, color), sign, shown, paint(c, ""));
    free(text);
}

static void print_object(struct differences *d, const struct object *o, const char *action,
                         const char *problem)
{
    CLEANUP(str_freep) char *name = object_name(&o->id);
    CLEANUP(str_freep) char *where = origin_text(&o->origin);
    size_t i;
    json_t *x;
    printf("%s%s%s  %s  %s\n", paint(d->c, "bold"), name, paint(d->c, ""), action, where);
    if (problem)
        printf("    ! %s\n", problem);
    json_array_foreach(d->list, i, x)
    {
        printf("    %s\n", json_dot_str(x, "path"));
        print_value(d->c, "-", "red", json_object_get(x, "live"));
        print_value(d->c, "+", "green", json_object_get(x, "desired"));
    }
}

static json_t *object_json(const struct object *o, const char *action, json_t *fields,
                           const char *problem)
{
    return json_pack("{s:s, s:s, s:s*, s:s, s:s, s:O, s:s*}", "group", o->id.group, "kind",
                     o->id.kind, "namespace", o->id.namespace, "name", o->id.name, "action", action,
                     "fields", fields, "problem", problem);
}

static bool is_selected(const struct cli *c, const struct desired *d, const struct object *o)
{
    for (size_t i = 0; i < c->o.apps.len; i++)
        if (!strcmp(d->apps.v[o->app]->name, c->o.apps.v[i]))
            return true;
    return c->o.apps.len == 0;
}

// One object; true when it differs.
static bool diff_one(struct cli *c, struct run *r, const struct plan_item *it, json_t *out)
{
    const struct object *o = &run_desired(r)->objects.v[it->object];
    struct differences d = {.c = c, .list = json_array(), .is_secret = false};
    CLEANUP(json_freep) json_t *live = NULL;
    CLEANUP(json_freep) json_t *want = NULL;
    struct err err = {0};
    d.is_secret = !strcmp(o->id.kind, "Secret");
    bool differs = true;
    if (it->action != ACTION_CREATE) {
        if (run_preview(r, (unsigned)it->object, &live, &want, &err) && live && want) {
            compare(&d, "", live, want);
            differs = json_array_size(d.list) > 0;
        }
    }
    if (differs || err_is_set(&err)) {
        differs = true;
        if (c->o.output == OUT_JSON)
            json_array_append_new(out, object_json(o, action_name(it->action), d.list, err.msg));
        else
            print_object(&d, o, action_name(it->action), err.msg);
    }
    err_clear(&err);
    json_decref(d.list);
    return differs;
}

static size_t diff_pruned(const struct cli *c, const struct run *r)
{
    size_t n = run_plan(r)->counts[ACTION_PRUNE];
    if (n && c->o.output != OUT_JSON && !c->o.apps.len)
        printf("%zu object%s that Git no longer has would be deleted.\n", n, n == 1 ? "" : "s");
    return c->o.apps.len ? 0 : n;
}

int cmd_diff(struct cli *c, struct err *err)
{
    const char *root = cli_root(c, 0, err);
    struct session *s CLEANUP(session_closep) = NULL;
    struct run *r CLEANUP(run_freep) = NULL;
    if (!root || !cli_session(c, root, true, &s, err))
        return 0;
    r = cli_run(c, s, true, root);
    if (!run_prepare(r, err) || !run_resolve_checks(r, err))
        return 0;
    CLEANUP(json_freep) json_t *out = json_array();
    size_t n = 0;
    const struct plan *p = run_plan(r);
    for (size_t i = 0; i < p->items.len; i++) {
        const struct plan_item *it = &p->items.v[i];
        if (it->object < 0 || it->action == ACTION_NONE || it->action == ACTION_VIRTUAL ||
            it->action == ACTION_HOOK_DONE ||
            !is_selected(c, s->desired, &s->desired->objects.v[it->object]))
            continue;
        n += diff_one(c, r, it, out);
    }
    n += diff_pruned(c, r);
    if (c->o.output == OUT_JSON)
        print_json(out, stdout);
    else if (!n)
        printf("%s✓%s no differences\n", paint(c, "green"), paint(c, ""));
    bool unknown = false;
    for (size_t i = 0; i < s->desired->apps.len; i++)
        unknown |= s->desired->apps.v[i]->state == APP_UNKNOWN;
    return unknown ? err_exit_code(ERR_PARTIAL) : n ? 20 : 0;
}
