// SPDX-License-Identifier: Apache-2.0
//
// Parameter sets and a template to Applications (spec argo-cd sections 6.1, 6.3, 6.4).
#include <stdlib.h>
#include <string.h>

#include "gitops/appset_int.h"
#include "gitops/json.h"
#include "gitops/yaml.h"

#define WAVE "argocd.argoproj.io/sync-wave"

struct expansion {
    struct set_reader reader;
    const json_t *doc;
    const char *patch; // templatePatch, or NULL
    struct appset_result *out;
    bool has_wave;
};

static bool is_zero(const json_t *v)
{
    return json_is_null(v) || json_is_false(v) || (json_is_string(v) && !json_string_length(v)) ||
           (json_is_array(v) && !json_array_size(v)) ||
           (json_is_number(v) && json_number_value(v) == 0);
}

// A generator's template over the set's: what is not empty there wins.
static void merge_template(json_t *base, const json_t *over)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)over, key, v)
    {
        json_t *have = json_object_get(base, key);
        if (json_is_object(v) && json_is_object(have))
            merge_template(have, v);
        else if (!is_zero(v))
            json_object_set_new(base, key, json_deep_copy(v));
    }
}

// ---- templatePatch: a strategic merge; the only list of an Application that is merged by it is
// that of its finalizers ----
static void merge_finalizers(json_t *app, json_t *patch)
{
    json_t *theirs = json_dot(patch, "metadata.finalizers");
    const json_t *ours = json_dot(app, "metadata.finalizers");
    if (!json_is_array(theirs))
        return;
    for (size_t i = json_array_size(ours); i > 0; i--) {
        json_t *x = json_array_get(ours, i - 1);
        bool known = false;
        for (size_t k = 0; k < json_array_size(theirs); k++)
            known |= json_equal(x, json_array_get(theirs, k));
        if (!known)
            json_array_insert(theirs, 0, x);
    }
}

static const char *find_directive(const json_t *v)
{
    const char *key;
    json_t *x;
    size_t i;
    const char *found = NULL;
    if (json_is_object(v)) {
        json_object_foreach((json_t *)v, key, x)
        {
            found = *key == '$' ? key : find_directive(x);
            if (found)
                return found;
        }
    } else if (json_is_array(v)) {
        json_array_foreach(v, i, x)
        {
            if ((found = find_directive(x)))
                return found;
        }
    }
    return NULL;
}

static bool apply_patch(const struct expansion *x, json_t *app, const char *text, struct err *err)
{
    CLEANUP(json_freep) json_t *project = json_incref(json_dot(app, "spec.project"));
    struct yaml_docs docs = {0};
    struct yaml_opts o = {.name = "templatePatch", .warn_only = true};
    if (!yaml_read(text, strlen(text), &o, &docs, err))
        return err_wrap(err, "ApplicationSet %s", x->reader.name);
    json_t *patch = docs.docs.len ? docs.docs.v[0].value : NULL;
    const char *directive = find_directive(patch);
    bool ok = true;
    if (patch && !json_is_object(patch)) {
        ok = appset_refuse(&x->reader, "templatePatch is not a map", err);
    } else if (directive) {
        ok = err_set(err, ERR_INVALID,
                     "ApplicationSet %s: %.40s in templatePatch is not supported by regrow",
                     x->reader.name, directive);
    } else if (patch) {
        merge_finalizers(app, patch);
        json_merge_patch(app, patch);
        if (json_is_object(json_object_get(app, "spec")) && project)
            json_object_set(json_object_get(app, "spec"), "project", project);
    }
    yaml_docs_clear(&docs);
    return ok;
}

// ---- one Application ----
// The set's template with that of the generator, which is taken out of the parameters.
static json_t *take_template(const struct expansion *x, json_t *set)
{
    json_t *tpl = json_deep_copy(json_dot(x->doc, "spec.template"));
    const json_t *own = json_object_get(set, TEMPLATE_KEY);
    if (own)
        merge_template(tpl, own);
    json_object_del(set, TEMPLATE_KEY);
    return tpl;
}

// Takes the template as it was filled; patch may be NULL.
static bool make_app(struct expansion *x, json_t *filled_take, const char *patch, json_t **out,
                     struct err *err)
{
    const char *ns = json_dot_str(x->doc, "metadata.namespace");
    CLEANUP(json_freep) json_t *app = filled_take;
    if (!x->out->is_preserved && !json_array_size(json_dot(app, "metadata.finalizers")) &&
        json_is_object(json_object_get(app, "metadata")))
        json_object_set_new(json_object_get(app, "metadata"), "finalizers",
                            json_pack("[s]", RESOURCES_FINALIZER));
    if (patch && !apply_patch(x, app, patch, err))
        return false;
    json_object_set_new(app, "apiVersion", json_string("argoproj.io/v1alpha1"));
    json_object_set_new(app, "kind", json_string("Application"));
    json_t *meta = json_object_get(app, "metadata");
    if (json_is_object(meta)) {
        // A wave on a generated Application orders nothing: the ApplicationSet controller makes
        // them all at once.
        json_t *annotations = json_object_get(meta, "annotations");
        x->has_wave |= json_object_get(annotations, WAVE) != NULL;
        json_object_del(annotations, WAVE);
        json_object_set_new(meta, "namespace", json_string(ns ? ns : "argocd"));
    }
    *out = TAKE(app);
    return true;
}

static bool add_app(struct expansion *x, json_t *filled_take, const char *patch, struct err *err)
{
    json_t *app = NULL;
    if (!make_app(x, filled_take, patch, &app, err))
        return false;
    vec_push(&x->out->apps)->doc = app;
    return true;
}

static bool make_apps(struct expansion *x, json_t *sets, struct err *err)
{
    size_t i;
    json_t *set;
    json_array_foreach(sets, i, set)
    {
        CLEANUP(json_freep) json_t *tpl = take_template(x, set);
        CLEANUP(str_freep) char *patch = x->patch ? params_fill(x->patch, set) : NULL;
        if (!add_app(x, template_fill(tpl, set), patch, err))
            return false;
    }
    return true;
}

// All of them with one run of the program. Without any parameter a template stays as it is.
static bool make_go_apps(struct expansion *x, json_t *sets, struct err *err)
{
    CLEANUP(go_filler_freep) struct go_filler *f = go_filler_new(&x->reader);
    CLEANUP(json_freep) json_t *templates = json_array();
    size_t i;
    json_t *set;
    json_array_foreach(sets, i, set)
    {
        json_t *tpl = take_template(x, set);
        json_array_append_new(templates, tpl);
        go_params(f, set);
        if (json_object_size(set) && !go_ask_tree(f, "/spec/template", tpl, err))
            return false;
        if (x->patch && !go_ask(f, "/spec/templatePatch", x->patch, err))
            return false;
    }
    if (!go_run(f, err))
        return false;
    for (i = 0; i < json_array_size(templates); i++) {
        const char *patch = x->patch ? go_text(f, i, x->patch) : NULL;
        if (!add_app(x, go_tree(f, i, json_array_get(templates, i)), patch, err))
            return false;
    }
    return true;
}

// ---- the whole ----
static bool refuse_features(const json_t *doc, const char *name, struct err *err)
{
    const json_t *spec = json_object_get(doc, "spec");
    const char *what = NULL;
    if (str_eq(json_dot_str(spec, "strategy.type"), "RollingSync"))
        what = "strategy RollingSync";
    if (what)
        return err_set(err, ERR_INVALID, "ApplicationSet %s: %s is not supported by regrow", name,
                       what) ||
               err_hint(err, "Write its Applications out, or leave this set to Argo CD.");
    if (!json_is_object(json_object_get(spec, "template")))
        return err_set(err, ERR_INVALID, "ApplicationSet %s: spec.template is required", name);
    if (!json_array_size(json_object_get(spec, "generators")))
        return err_set(err, ERR_INVALID, "ApplicationSet %s: spec.generators is empty", name);
    return true;
}

// What a set may do to Applications it made before.
static const struct set_policy {
    const char *name;
    bool no_update, no_delete;
} policies[] = {{"sync", false, false},
                {"create-only", true, true},
                {"create-update", false, true},
                {"create-delete", true, false}};

static const struct set_policy *find_policy(const char *name)
{
    for (size_t i = 0; name && i < ARRAY_LEN(policies); i++)
        if (!strcmp(policies[i].name, name))
            return &policies[i];
    return NULL;
}

bool appset_preserves(const json_t *set)
{
    const json_t *p = json_dot(set, "spec.syncPolicy");
    const struct set_policy *policy = find_policy(json_dot_str(p, "applicationsSync"));
    return json_dot_bool(p, "preserveResourcesOnDeletion", false) || (policy && policy->no_delete);
}

// regrow applies each as it is generated now; what is no longer generated is left alone if deletion
// is ruled out.
static bool read_policy(struct expansion *x, struct err *err)
{
    const char *policy = json_dot_str(x->doc, "spec.syncPolicy.applicationsSync");
    const struct set_policy *known = find_policy(policy);
    x->out->is_preserved = appset_preserves(x->doc);
    if (known && known->no_update)
        strv_push_take(&x->out->warnings,
                       str_printf("ApplicationSet %s: applicationsSync %s: regrow applies what is "
                                  "generated now, changed or not",
                                  x->reader.name, policy));
    if (known || str_is_empty(policy))
        return true;
    return err_set(err, ERR_INVALID, "ApplicationSet %s: applicationsSync \"%.40s\" is not known",
                   x->reader.name, policy);
}

static int cmp_app(const void *a, const void *b)
{
    return str_cmp(json_dot_str(((const struct appset_app *)a)->doc, "metadata.name"),
                   json_dot_str(((const struct appset_app *)b)->doc, "metadata.name"));
}

// Applications without a name, or with one that another has, cannot be used; the rest can.
static void judge_names(const char *set_name, struct appset_result *out)
{
    size_t kept = 0;
    if (out->apps.len)
        qsort(out->apps.v, out->apps.len, sizeof(*out->apps.v), cmp_app);
    for (size_t i = 0; i < out->apps.len; i++) {
        struct appset_app a = out->apps.v[i];
        const char *name = json_dot_str(a.doc, "metadata.name");
        struct appset_app *last = kept ? &out->apps.v[kept - 1] : NULL;
        if (!str_is_empty(name) && last && str_eq(name, json_dot_str(last->doc, "metadata.name"))) {
            free(last->problem);
            last->problem = str_printf("ApplicationSet %s contains applications with duplicate "
                                       "name: %s",
                                       set_name, name);
            json_decref(a.doc);
            free(a.problem);
            continue;
        }
        if (str_is_empty(name))
            a.problem =
                str_printf("ApplicationSet %s contains an application with no name", set_name);
        out->apps.v[kept++] = a;
    }
    out->apps.len = kept;
}

static void warn(struct expansion *x)
{
    if (x->has_wave)
        strv_push_take(&x->out->warnings,
                       str_printf("ApplicationSet %s: the sync-wave on its template orders nothing",
                                  x->reader.name));
    if (!x->out->apps.len)
        strv_push_take(&x->out->warnings, str_printf("ApplicationSet %s generates no Application: "
                                                     "nothing matches its generators",
                                                     x->reader.name));
}

bool appset_expand(const json_t *doc, const struct appset_io *io, struct appset_result *out,
                   struct err *err)
{
    const char *name = json_dot_str(doc, "metadata.name");
    struct expansion x = {
        .reader = {.name = name ? name : "?", .io = io, .warnings = &out->warnings},
        .doc = doc,
        .patch = json_dot_str(doc, "spec.templatePatch"),
        .out = out};
    if (str_is_empty(x.patch))
        x.patch = NULL;
    if (!refuse_features(doc, x.reader.name, err) || !read_policy(&x, err) ||
        !go_options(&x.reader, json_object_get(doc, "spec"), err))
        return false;
    size_t i;
    json_t *g;
    bool all = true;
    CLEANUP(json_freep) json_t *sets = json_array();
    json_array_foreach(json_dot(doc, "spec.generators"), i, g)
    {
        if (!generate(&x.reader, g, sets, err) && !set_goes_on(&x.reader, &all, err))
            return false;
    }
    if (!all)
        return set_waits(err);
    if (!(x.reader.is_go ? make_go_apps : make_apps)(&x, sets, err))
        return false;
    judge_names(x.reader.name, out);
    warn(&x);
    return true;
}

void appset_result_clear(struct appset_result *r)
{
    for (size_t i = 0; i < r->apps.len; i++) {
        json_decref(r->apps.v[i].doc);
        free(r->apps.v[i].problem);
    }
    vec_clear(&r->apps);
    strv_clear(&r->warnings);
}
