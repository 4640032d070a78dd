// SPDX-License-Identifier: Apache-2.0
//
// Objects of the applications of a snapshot, and the edges between these as one order.
#include <stdlib.h>
#include <string.h>

#include "gitops/gitops.h"
#include "snapshot/export_int.h"
#include "snapshot/lists.h"

static struct strv sorted_names(const json_t *of)
{
    struct strv names = {0};
    const char *name;
    json_t *v;
    json_object_foreach((json_t *)of, name, v)
    {
        strv_push(&names, name);
    }
    strv_sort(&names);
    return names;
}

// ---- objects ----

static struct object_id id_of(const json_t *row)
{
    const char *group = json_dot_str(row, "group");
    return (struct object_id){.group = (char *)(group ? group : ""),
                              .kind = (char *)json_dot_str(row, "kind"),
                              .namespace = (char *)json_dot_str(row, "namespace"),
                              .name = (char *)json_dot_str(row, "name")};
}

// "certificates.cert-manager.io" and its spec say which kind it defines.
static bool note_definition(struct export *x, const json_t *row, struct err *err)
{
    struct blob_id id;
    const char *hex = json_dot_str(row, "blob");
    CLEANUP(json_freep) json_t *doc = NULL;
    if (!str_eq(json_dot_str(row, "kind"), "CustomResourceDefinition"))
        return true;
    if (!hex || !blob_id_parse(hex, &id))
        return err_set(err, ERR_CORRUPT, "a definition without content");
    if (!reader_json(x->rd, &id, 'o', &doc, err))
        return false;
    const char *group = json_dot_str(doc, "spec.group");
    const char *kind = json_dot_str(doc, "spec.names.kind");
    CLEANUP(str_freep) char *key = str_printf("%s/%s", group ? group : "", kind ? kind : "");
    json_object_set_new(x->defined, key, json_true());
    return true;
}

static bool add_objects(struct export *x, const char *app, const json_t *list, struct err *err)
{
    const json_t *sources = json_object_get(list, "sources");
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(list, "objects"), i, row)
    {
        struct object_id id = id_of(row);
        const json_t *origin = json_object_get(row, "origin");
        const json_t *at = json_object_get(origin, "source");
        if (!id.kind || !id.name)
            return err_set(err, ERR_CORRUPT, "application %s has an object without a name", app);
        *vec_push(&x->objects) = (struct export_object){
            .row = json_incref(row),
            .app = app,
            .key = object_key(&id),
            .source = at ? json_array_get(sources, (size_t)json_integer_value(at)) : NULL};
        if (!note_definition(x, row, err))
            return err_wrap(err, "application %s", app);
    }
    return true;
}

// Kinds of Argo CD and Flux that nothing here defines are read by those who are there to read them;
// a hook for failures is sent by nobody when nothing fails.
static bool is_sent(const struct export *x, const struct export_object *o)
{
    struct object_id id = id_of(o->row);
    bool is_controllers = str_ends(id.group, "argoproj.io") || str_ends(id.group, "fluxcd.io");
    CLEANUP(str_freep) char *key = str_printf("%s/%s", id.group, id.kind);
    return !str_eq(json_dot_str(o->row, "phase"), "SyncFail") &&
           (!is_controllers || json_object_get(x->defined, key));
}

// ---- edges ----

struct places {
    struct export *x;
    json_t *at;      // text of a place -> node
    size_t first, n; // rows of the application at hand
};

static bool node_of(struct places *p, const json_t *place, unsigned *out, struct err *err)
{
    if (json_is_integer(place)) {
        json_int_t i = json_integer_value(place);
        *out = (unsigned)(p->first + (size_t)i);
        return (i >= 0 && (size_t)i < p->n) ||
               err_set(err, ERR_CORRUPT, "an edge of a row that is not there");
    }
    const char *text = json_string_value(place);
    if (!text)
        return err_set(err, ERR_CORRUPT, "an edge that leads nowhere");
    const json_t *known = json_object_get(p->at, text);
    *out = known ? (unsigned)json_integer_value(known) : (unsigned)p->x->order.nodes.len;
    if (!known) {
        json_object_set_new(p->at, text, json_integer(*out));
        *vec_push(&p->x->order.nodes) = (struct export_node){0};
    }
    return true;
}

static bool add_edge(struct places *p, const json_t *v, struct err *err)
{
    struct export_edge e = {0};
    const char *strength = json_string_value(json_array_get(v, 4));
    if (str_eq(strength, "dropped"))
        return true;
    if (!node_of(p, json_array_get(v, 0), &e.from, err) ||
        !node_of(p, json_array_get(v, 1), &e.to, err))
        return false;
    e.ready = str_eq(json_string_value(json_array_get(v, 2)), "ready");
    e.hard = !str_eq(strength, "soft");
    if (e.from != e.to)
        *vec_push(&p->x->order.edges) = e;
    return true;
}

static bool add_graph(struct places *p, const json_t *list, struct err *err)
{
    CLEANUP(json_freep) json_t *graph = NULL;
    size_t i;
    json_t *v;
    p->n = json_array_size(json_object_get(list, "objects"));
    if (!list_read(p->x->rd, json_object_get(list, "graph"), "edges", &graph, err))
        return false;
    json_array_foreach(json_object_get(graph, "edges"), i, v)
    {
        if (!add_edge(p, v, err))
            return false;
    }
    p->first += p->n;
    return true;
}

static bool add_order(struct export *x, const struct strv *names, struct err *err)
{
    CLEANUP(json_freep) json_t *at = json_object();
    struct places p = {.x = x, .at = at};
    bool ok = true;
    for (size_t i = 0; i < x->objects.len; i++) {
        struct export_object *o = &x->objects.v[i];
        CLEANUP(str_freep) char *text = str_printf("object %s", o->key);
        o->is_sent = is_sent(x, o);
        *vec_push(&x->order.nodes) = (struct export_node){.is_step = o->is_sent};
        if (!json_object_get(at, text))
            json_object_set_new(at, text, json_integer((json_int_t)i));
    }
    for (size_t i = 0; ok && i < names->len; i++) {
        const json_t *app = json_object_get(x->apps, names->v[i]);
        ok = add_graph(&p, json_object_get(app, "list"), err) ||
             err_wrap(err, "application %s", names->v[i]);
    }
    if (ok)
        export_order_find(&x->order);
    return ok;
}

// Does it go to this cluster? Of what goes to others the root only names those that it found; among
// theirs are some that are only parents of what goes there.
static bool is_here(const struct export *x, const char *name, const json_t *list)
{
    if (x->cluster && list)
        return json_object_get(list, "parent") && !json_is_true(json_object_get(list, "elsewhere"));
    return list || !json_object_get(x->elsewhere, name);
}

bool export_apps(struct export *x, struct err *err)
{
    bool ok = list_apps(x->rd, x->root, &x->apps, err);
    struct strv names = sorted_names(x->apps);
    for (size_t i = 0; ok && i < names.len; i++) {
        const json_t *app = json_object_get(x->apps, names.v[i]);
        const json_t *list = json_object_get(app, "list");
        bool counts = is_here(x, names.v[i], list);
        x->out->apps += counts;
        if (!list && counts)
            export_warn(x, "%s was never read: nothing of it is here", names.v[i]);
        else if (json_is_true(json_object_get(app, "stale")))
            export_warn(x,
                        "%s could not be read when the snapshot was made: it is as it was before",
                        names.v[i]);
        ok = add_objects(x, json_object_iter_key(json_object_iter_at(x->apps, names.v[i])), list,
                         err);
    }
    ok = ok && add_order(x, &names, err);
    strv_clear(&names);
    return ok;
}
