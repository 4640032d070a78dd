// SPDX-License-Identifier: Apache-2.0
//
// {{param}} templates and the Applications they give (spec argo-cd sections 6.3, 6.4).
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "gitops/appset_int.h"
#include "gitops/json.h"

#define MAX_NAME 253

char *name_normalize(const char *s)
{
    struct buf b = {0};
    for (; *s && b.len < MAX_NAME; s++) {
        char c = (char)tolower((unsigned char)*s);
        bool ok = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
        buf_char(&b, ok ? c : '-');
    }
    char *all = buf_take(&b);
    size_t n = strlen(all);
    while (n && strchr("-.", all[n - 1]))
        all[--n] = 0;
    char *out = str_dup(all + strspn(all, "-."));
    free(all);
    return out;
}

char *params_fill(const char *text, const json_t *set)
{
    struct buf b = {0};
    for (;;) {
        const char *open = strstr(text, "{{");
        const char *close = open ? strstr(open, "}}") : NULL;
        if (!close) {
            buf_str(&b, text);
            return buf_take(&b);
        }
        const char *s = open + 2;
        const char *e = close;
        while (s < e && isspace((unsigned char)*s))
            s++;
        while (e > s && isspace((unsigned char)e[-1]))
            e--;
        CLEANUP(str_freep) char *key = str_ndup(s, (size_t)(e - s));
        const char *value = json_string_value(json_object_get(set, key));
        buf_append(&b, text, (size_t)(open - text));
        if (value)
            buf_str(&b, value);
        else
            buf_append(&b, open, (size_t)(close + 2 - open));
        text = close + 2;
    }
}

json_t *template_fill(const json_t *tpl, const json_t *set)
{
    if (json_is_string(tpl)) {
        CLEANUP(str_freep) char *s = params_fill(json_string_value(tpl), set);
        return json_string(s);
    }
    if (json_is_array(tpl)) {
        json_t *list = json_array();
        for (size_t i = 0; i < json_array_size(tpl); i++)
            json_array_append_new(list, template_fill(json_array_get(tpl, i), set));
        return list;
    }
    if (json_is_object(tpl)) {
        json_t *map = json_object();
        const char *key;
        json_t *v;
        json_object_foreach((json_t *)tpl, key, v)
        {
            CLEANUP(str_freep) char *k = params_fill(key, set);
            json_object_set_new(map, k, template_fill(v, set));
        }
        return map;
    }
    return json_deep_copy((json_t *)tpl);
}

// A generator's template over the set's: what is not empty there wins.
static void merge_template(json_t *base, const json_t *over)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)over, key, v)
    {
        json_t *have = json_object_get(base, key);
        bool empty = json_is_null(v) || (json_is_string(v) && !json_string_length(v)) ||
                     (json_is_array(v) && !json_array_size(v));
        if (json_is_object(v) && json_is_object(have))
            merge_template(have, v);
        else if (!empty)
            json_object_set_new(base, key, json_deep_copy(v));
    }
}

static json_t *make_app(const json_t *doc, json_t *set)
{
    CLEANUP(json_freep) json_t *tpl = json_deep_copy(json_dot(doc, "spec.template"));
    const json_t *own = json_object_get(set, TEMPLATE_KEY);
    if (own)
        merge_template(tpl, own);
    json_object_del(set, TEMPLATE_KEY);
    json_t *app = template_fill(tpl, set);
    json_object_set_new(app, "apiVersion", json_string("argoproj.io/v1alpha1"));
    json_object_set_new(app, "kind", json_string("Application"));
    json_t *meta = json_object_get(app, "metadata");
    const char *ns = json_dot_str(doc, "metadata.namespace");
    if (json_is_object(meta)) {
        // A wave on a generated Application orders nothing: the ApplicationSet controller makes
        // them all at once.
        json_object_del(json_object_get(meta, "annotations"), "argocd.argoproj.io/sync-wave");
        json_object_set_new(meta, "namespace", json_string(ns ? ns : "argocd"));
    }
    return app;
}

static bool refuse_features(const json_t *doc, const char *name, struct err *err)
{
    const json_t *spec = json_object_get(doc, "spec");
    const char *what = NULL;
    if (json_dot_bool(spec, "goTemplate", false))
        what = "goTemplate";
    else if (!str_is_empty(json_dot_str(spec, "templatePatch")))
        what = "templatePatch";
    else if (str_eq(json_dot_str(spec, "strategy.type"), "RollingSync"))
        what = "strategy RollingSync";
    if (what)
        return err_set(err, ERR_INVALID, "ApplicationSet %s: %s is not supported by regrow", name,
                       what);
    if (!json_is_object(json_object_get(spec, "template")))
        return err_set(err, ERR_INVALID, "ApplicationSet %s: spec.template is required", name);
    if (!json_array_size(json_object_get(spec, "generators")))
        return err_set(err, ERR_INVALID, "ApplicationSet %s: spec.generators is empty", name);
    return true;
}

static int cmp_app(const void *a, const void *b)
{
    return str_cmp(json_dot_str(*(json_t *const *)a, "metadata.name"),
                   json_dot_str(*(json_t *const *)b, "metadata.name"));
}

static bool check_names(const char *set_name, const struct appset_result *out, struct err *err)
{
    for (size_t i = 0; i < out->apps.len; i++) {
        const char *name = json_dot_str(out->apps.v[i], "metadata.name");
        if (str_is_empty(name))
            return err_set(err, ERR_INVALID,
                           "ApplicationSet %s: a generated Application has no name", set_name);
        if (i && str_eq(name, json_dot_str(out->apps.v[i - 1], "metadata.name")))
            return err_set(err, ERR_INVALID,
                           "ApplicationSet %s contains applications with duplicate name: %s",
                           set_name, name);
    }
    return true;
}

bool appset_expand(const json_t *doc, const struct appset_io *io, struct appset_result *out,
                   struct err *err)
{
    const char *name = json_dot_str(doc, "metadata.name");
    struct set_reader r = {.name = name ? name : "?", .io = io};
    if (!refuse_features(doc, r.name, err))
        return false;
    size_t i;
    json_t *g;
    CLEANUP(json_freep) json_t *sets = json_array();
    json_array_foreach(json_dot(doc, "spec.generators"), i, g)
    {
        if (!generate(&r, g, sets, 0, err))
            return false;
    }
    json_t *set;
    json_array_foreach(sets, i, set)
    {
        *vec_push(&out->apps) = make_app(doc, set);
    }
    if (out->apps.len)
        qsort(out->apps.v, out->apps.len, sizeof(*out->apps.v), cmp_app);
    if (json_dot(doc, "spec.template.metadata.annotations") &&
        json_object_get(json_dot(doc, "spec.template.metadata.annotations"),
                        "argocd.argoproj.io/sync-wave"))
        strv_push_take(
            &out->warnings,
            str_printf("ApplicationSet %s: the sync-wave on its template orders nothing", r.name));
    return check_names(r.name, out, err);
}

void appset_result_clear(struct appset_result *r)
{
    for (size_t i = 0; i < r->apps.len; i++)
        json_decref(r->apps.v[i]);
    vec_clear(&r->apps);
    strv_clear(&r->warnings);
}
