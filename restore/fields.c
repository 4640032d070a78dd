// SPDX-License-Identifier: Apache-2.0
#include "restore/fields.h"

#include <stdlib.h>
#include <string.h>

#define REF_PREFIX "#/components/schemas/"
#define MAX_HOPS 16      // from one schema to another before it says anything
#define MAX_MEMBERS 8    // schemas that describe one value together
#define MAX_STEPS 200000 // values of one object
#define MAX_FIELDS 200   // told of one object
#define MAX_PATH_BYTES 900

struct walk {
    const json_t *schemas;
    struct strv *paths;
    size_t found;
    unsigned steps;
};

// ---- what is said of one value ----
struct view {
    const json_t *of[MAX_MEMBERS];
    size_t n;
    bool is_open; // anything may stand there
};

static void view_add(const struct walk *w, struct view *v, const json_t *schema, unsigned hops)
{
    const char *ref = json_string_value(json_object_get(schema, "$ref"));
    const json_t *all = json_object_get(schema, "allOf");
    size_t i;
    json_t *member;
    if (!json_is_object(schema) || hops > MAX_HOPS || v->n == MAX_MEMBERS) {
        v->is_open = true;
        return;
    }
    if (ref) {
        bool is_local = str_starts(ref, REF_PREFIX);
        view_add(w, v, is_local ? json_object_get(w->schemas, ref + strlen(REF_PREFIX)) : NULL,
                 hops + 1);
        return;
    }
    v->of[v->n++] = schema;
    v->is_open |= json_is_true(json_object_get(schema, "x-kubernetes-preserve-unknown-fields")) ||
                  json_is_true(json_object_get(schema, "additionalProperties")) ||
                  json_object_get(schema, "oneOf") || json_object_get(schema, "anyOf");
    json_array_foreach(all, i, member)
    {
        if (v->n == MAX_MEMBERS || i > MAX_MEMBERS) {
            v->is_open = true;
            break;
        }
        view_add(w, v, member, hops + 1);
    }
}

static const json_t *view_find(const struct view *v, const char *part, const char *key)
{
    for (size_t i = 0; i < v->n; i++) {
        const json_t *found = json_object_get(v->of[i], part);
        found = key ? json_object_get(found, key) : found;
        if (json_is_object(found))
            return found;
    }
    return NULL;
}

// ---- from the top of an object to its leaves ----
static void walk(struct walk *w, const json_t *schema, json_t *value, const char *path);

static void walk_members(struct walk *w, const struct view *v, json_t *value, const char *path)
{
    const json_t *others = view_find(v, "additionalProperties", NULL);
    bool is_closed = !v->is_open && !others && view_find(v, "properties", NULL);
    const char *key;
    void *next;
    json_t *member;
    json_object_foreach_safe(value, next, key, member)
    {
        const json_t *schema = view_find(v, "properties", key);
        CLEANUP(str_freep) char *at = str_printf("%s%s%s", path, *path ? "." : "", key);
        if (schema || others) {
            walk(w, schema ? schema : others, member, at);
        } else if (is_closed && !json_is_null(member) && w->found < MAX_FIELDS) {
            w->found++;
            strv_push_take(w->paths, str_ndup(at, MAX_PATH_BYTES));
            json_object_del(value, key);
        }
    }
}

static void walk(struct walk *w, const json_t *schema, json_t *value, const char *path)
{
    struct view v = {0};
    size_t i;
    json_t *item;
    if (w->steps++ > MAX_STEPS)
        return;
    view_add(w, &v, schema, 0);
    if (json_is_object(value)) {
        walk_members(w, &v, value, path);
        return;
    }
    const json_t *items = view_find(&v, "items", NULL);
    json_array_foreach(items ? value : NULL, i, item)
    {
        CLEANUP(str_freep) char *at = str_printf("%s[%zu]", path, i);
        walk(w, items, item, at);
    }
}

static const json_t *schema_of(const json_t *schemas, const char *group, const char *version,
                               const char *kind)
{
    const char *name;
    json_t *schema;
    json_object_foreach((json_t *)schemas, name, schema)
    {
        const json_t *list = json_object_get(schema, "x-kubernetes-group-version-kind");
        size_t i;
        json_t *gvk;
        json_array_foreach(list, i, gvk)
        {
            if (str_eq(json_dot_text(gvk, "group"), group) &&
                str_eq(json_dot_text(gvk, "version"), version) &&
                str_eq(json_dot_text(gvk, "kind"), kind))
                return schema;
        }
    }
    return NULL;
}

void fields_take_out(const json_t *openapi, const char *group, const char *version,
                     const char *kind, json_t *doc, struct strv *paths)
{
    struct walk w = {.schemas = json_dot(openapi, "components.schemas"), .paths = paths};
    const json_t *schema = schema_of(w.schemas, group, version, kind);
    if (schema)
        walk(&w, schema, doc, "");
}

// ---- of a target ----
static bool read_openapi(struct kube *k, const char *group, const char *version, json_t **out,
                         struct err *err)
{
    CLEANUP(str_freep)
    char *path = *group ? str_printf("/openapi/v3/apis/%s/%s", group, version)
                        : str_printf("/openapi/v3/api/%s", version);
    struct kube_call call = {.method = "GET", .path = path, .patience_ms = KUBE_PATIENCE_MS};
    struct kube_reply r;
    struct buf store CLEANUP(buf_clear) = {0};
    kube_send_wait(k, &call, &r, &store);
    if (r.cls != KUBE_OK)
        return kube_reply_err(&r, err, path);
    return canon_read(r.body, r.body_len, out, err) || err_wrap(err, "%s", path);
}

static void trim(struct desired *d, unsigned i, const json_t *openapi, struct api_changes *out)
{
    struct object *o = &d->objects.v[i];
    CLEANUP(json_freep) json_t *doc = object_doc(o);
    struct strv paths = {0};
    fields_take_out(openapi, o->id.group, o->version, o->id.kind, doc, &paths);
    for (size_t k = 0; k < paths.len; k++)
        *vec_push(&out->v) = (struct api_change){.object = i,
                                                 .fate = API_TRIMMED,
                                                 .from = str_dup(o->version),
                                                 .field = str_dup(paths.v[k])};
    if (paths.len)
        object_set_body(o, doc);
    strv_clear(&paths);
}

bool fields_settle(struct kube *k, const struct loop *l, struct desired *d, struct api_changes *out,
                   struct strv *unread, struct err *err)
{
    CLEANUP(json_freep) json_t *done = json_object();
    for (unsigned i = 0; i < d->objects.len; i++) {
        const struct object *o = &d->objects.v[i];
        CLEANUP(str_freep) char *api = str_printf("%s/%s", o->id.group, o->version);
        CLEANUP(json_freep) json_t *openapi = NULL;
        struct err bad = {0};
        if (o->is_virtual || !api_is_own_group(o->id.group) || json_object_get(done, api))
            continue;
        json_object_set_new(done, api, json_true());
        if (!read_openapi(k, o->id.group, o->version, &openapi, &bad)) {
            if (loop_stopping(l)) {
                err_clear(&bad);
                return loop_stopped(l, err, "reading what the target knows");
            }
            strv_push(unread, bad.msg);
            err_clear(&bad);
            continue;
        }
        for (unsigned n = i; n < d->objects.len; n++) {
            const struct object *x = &d->objects.v[n];
            if (!x->is_virtual && !strcmp(x->id.group, o->id.group) &&
                !strcmp(x->version, o->version))
                trim(d, n, openapi, out);
        }
    }
    return true;
}
