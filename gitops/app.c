// SPDX-License-Identifier: Apache-2.0
#include "gitops/app.h"

#include <stdlib.h>
#include <string.h>

#include "gitops/ignored.h"
#include "gitops/json.h"
#include "gitops/names.h"
#include "gitops/sync_marks.h"
#include "gitops/unheeded.h"

#define CONTROL_PLANE_NAMESPACE "argocd"
#define MAX_SOURCES 100

bool argo_is(const json_t *doc, const char *kind)
{
    const char *av = json_dot_str(doc, "apiVersion");
    return av && str_starts(av, "argoproj.io/") && str_eq(json_dot_str(doc, "kind"), kind);
}

bool argo_is_own(const struct object_id *id)
{
    return !strcmp(id->group, "argoproj.io") &&
           (!strcmp(id->kind, "Application") || !strcmp(id->kind, "ApplicationSet") ||
            !strcmp(id->kind, "AppProject"));
}

static bool is_zero(const json_t *v)
{
    const char *key;
    json_t *x;
    if (json_is_object(v)) {
        json_object_foreach((json_t *)v, key, x)
        {
            // valuesObject, commonLabels and the like are maps: whatever is in them counts.
            bool is_map = json_is_object(x) && strcmp(key, "jsonnet") != 0;
            if (is_map ? json_object_size(x) > 0 : !is_zero(x))
                return false;
        }
        return true;
    }
    if (json_is_string(v))
        return !json_string_length(v);
    if (json_is_array(v))
        return !json_array_size(v);
    if (json_is_number(v))
        return json_number_value(v) == 0;
    return !json_is_true(v);
}

// Zero-valued blocks do not count (Argo CD normalises them to nil first).
static const json_t *block(const json_t *source, const char *key)
{
    const json_t *b = json_object_get(source, key);
    return json_is_object(b) && !is_zero(b) ? b : NULL;
}

static bool invalid(const struct application *a, struct err *err, const char *what)
{
    CLEANUP(str_freep) char *where = origin_text(&a->origin);
    return err_set(err, ERR_INVALID, "application %s (%s): %s", a->name, where, what);
}

static bool ref_is_valid(const char *ref)
{
    for (const char *s = ref; *s; s++)
        if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') ||
              *s == '_' || *s == '-'))
            return false;
    return *ref != 0;
}

static bool check_source(const struct application *a, const struct app_source *s, struct err *err)
{
    if (!*s->repo_url)
        return invalid(a, err, "spec.source.repoURL is required");
    if (!*s->path && !s->chart && !s->ref)
        return invalid(a, err, "spec.source.path, chart or ref is required");
    if (s->chart && !*s->target_revision)
        return invalid(a, err,
                       "spec.source.targetRevision is required if the manifest source "
                       "is a helm chart");
    if (s->chart && s->ref)
        return invalid(a, err, "a source cannot have both chart and ref");
    if (s->ref && !ref_is_valid(s->ref))
        return invalid(a, err, "source ref must match ^[a-zA-Z0-9_-]+$");
    return true;
}

// Fields of a source and its blocks, each with its type: text, bool, list, map, number. What is not
// among them would be dropped by Argo CD's definition, or is newer than this list.
static const struct fields {
    const char *block, *fields;
} source_fields[] =
    {
        {"",
         " repoURL:t path:t targetRevision:t chart:t ref:t name:t tagPrefix:t helm:m kustomize:m "
         "directory:m plugin:m "},
        {"directory", " recurse:b include:t exclude:t jsonnet:m disableExtensionFilter:b "},
        {"helm",
         " valueFiles:l parameters:l releaseName:t values:t fileParameters:l version:t "
         "passCredentials:b ignoreMissingValueFiles:b skipCrds:b valuesObject:m namespace:t "
         "kubeVersion:t apiVersions:l skipTests:b skipSchemaValidation:b "},
        {"kustomize",
         " namePrefix:t nameSuffix:t images:l commonLabels:m version:t "
         "commonAnnotations:m forceCommonLabels:b forceCommonAnnotations:b namespace:t "
         "commonAnnotationsEnvsubst:b replicas:l patches:l components:l "
         "ignoreMissingComponents:b labelWithoutSelector:b kubeVersion:t apiVersions:l "
         "labelIncludeTemplates:b "},
},
  spec_fields[] = {
      {"spec", " project:t source:m sources:l destination:m syncPolicy:m ignoreDifferences:l "},
      {"spec.destination", " server:t name:t namespace:t "},
      {"spec.syncPolicy", " automated:m syncOptions:l managedNamespaceMetadata:m "},
      {"spec.syncPolicy.automated", " prune:b selfHeal:b allowEmpty:b enabled:b "},
      {"spec.syncPolicy.managedNamespaceMetadata", " labels:m annotations:m "},
};

// The type's letter; 0: there is no such field.
static char type_of(const char *fields, const char *key)
{
    CLEANUP(str_freep) char *word = str_printf(" %s:", key);
    const char *at = strstr(fields, word);
    return at ? at[strlen(word)] : 0;
}

// The API server would have refused it: in Git it would be taken for absent.
static bool has_type(const json_t *v, char type, const char **wanted)
{
    static const struct {
        char type;
        const char *words;
    } types[] = {
        {'t', "text; put it in quotes"}, {'b', "true or false"}, {'l', "a list"}, {'m', "a map"}};
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (types[i].type == type)
            *wanted = types[i].words;
    return !type || json_is_null(v) || (type == 't' && json_is_string(v)) ||
           (type == 'b' && json_is_boolean(v)) || (type == 'l' && json_is_array(v)) ||
           (type == 'm' && json_is_object(v));
}

static bool check_types(const json_t *doc, const struct fields *f, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        const char *dot = *f[i].block ? "." : "";
        const char *key;
        const char *wanted = "";
        json_t *v;
        json_object_foreach(json_dot(doc, f[i].block), key, v)
        {
            if (!has_type(v, type_of(f[i].fields, key), &wanted))
                return err_set(err, ERR_INVALID, "%s%s%s is not %s", f[i].block, dot, key, wanted);
        }
    }
    return true;
}

bool app_source_blocks(struct app_source *s, const json_t *src, struct err *err)
{
    if (!check_types(src, source_fields, ARRAY_LEN(source_fields), err))
        return err_wrap(err, "a source");
    s->json = src;
    s->directory = block(src, "directory");
    s->kustomize = block(src, "kustomize");
    s->helm = block(src, "helm");
    if (json_is_object(json_object_get(src, "plugin"))) // an empty one asks for discovery
        return err_set(err, ERR_INVALID,
                       "config management plugins are not supported by regrow; render to plain "
                       "manifests, kustomize or helm instead");
    if ((s->directory != NULL) + (s->kustomize != NULL) + (s->helm != NULL) > 1)
        return err_set(err, ERR_INVALID,
                       "multiple application sources defined: only one of directory, kustomize, "
                       "helm may be set");
    if (!is_zero(json_dot(s->directory, "jsonnet")))
        return err_set(err, ERR_INVALID, "jsonnet is not supported by regrow");
    const char *version = json_dot_str(s->kustomize, "version");
    if (!str_is_empty(version))
        return err_set(err, ERR_INVALID,
                       "kustomize version %.40s is not registered; choosing a version is not "
                       "supported by regrow",
                       version);
    return true;
}

// A sentence for each: people should know that it does nothing here.
void app_source_unknown(const json_t *src, struct strv *out)
{
    for (size_t i = 0; i < ARRAY_LEN(source_fields); i++) {
        const struct fields *f = &source_fields[i];
        const char *key;
        json_t *v;
        json_object_foreach(json_dot(src, f->block), key, v)
        {
            if (!type_of(f->fields, key))
                strv_push_take(out, str_printf("the field %s%s%s of a source is not known and was "
                                               "passed over",
                                               f->block, *f->block ? "." : "", key));
        }
    }
}

static bool parse_source(struct application *a, const json_t *src, struct err *err)
{
    if (!json_is_object(src))
        return invalid(a, err, "a source is not a map");
    struct app_source *s = vec_push(&a->sources);
    const char *url = json_dot_str(src, "repoURL");
    const char *path = json_dot_str(src, "path");
    const char *revision = json_dot_str(src, "targetRevision");
    const char *chart = json_dot_str(src, "chart");
    const char *ref = json_dot_str(src, "ref");
    const char *prefix = json_dot_str(src, "tagPrefix");
    s->repo_url = str_dup(url ? url : "");
    s->path = str_dup(path ? path : "");
    s->target_revision = str_dup(revision ? revision : "");
    s->chart = str_is_empty(chart) ? NULL : str_dup(chart);
    s->ref = str_is_empty(ref) ? NULL : str_dup(ref);
    s->tag_prefix = str_is_empty(prefix) ? NULL : str_dup(prefix);
    s->kind = str_starts(s->repo_url, "oci://") ? APP_SOURCE_OCI
              : s->chart                        ? APP_SOURCE_HELM_REPO
                                                : APP_SOURCE_GIT;
    app_source_unknown(src, &a->warnings);
    struct err blocks = {0};
    if (app_source_blocks(s, src, &blocks))
        return check_source(a, s, err);
    invalid(a, err, blocks.msg);
    err_clear(&blocks);
    return false;
}

static bool parse_sources(struct application *a, const json_t *spec, struct err *err)
{
    const json_t *list = json_object_get(spec, "sources");
    if (json_object_size(json_object_get(spec, "sourceHydrator")))
        return invalid(a, err, "spec.sourceHydrator is not supported by regrow");
    if (json_array_size(list) > MAX_SOURCES)
        return invalid(a, err, "more than 100 sources");
    if (json_array_size(list) > 0) {
        size_t i;
        json_t *src;
        json_array_foreach(list, i, src)
        {
            if (!parse_source(a, src, err))
                return false;
        }
    } else if (json_object_get(spec, "source")) {
        if (!parse_source(a, json_object_get(spec, "source"), err))
            return false;
    } else {
        return invalid(a, err, "spec.source or spec.sources is required");
    }
    for (size_t i = 0; i < a->sources.len; i++)
        for (size_t j = 0; j < i; j++)
            if (a->sources.v[i].ref && str_eq(a->sources.v[i].ref, a->sources.v[j].ref))
                return invalid(a, err, "two sources have the same ref");
    return true;
}

static bool parse_destination(struct application *a, const json_t *spec, struct err *err)
{
    const json_t *d = json_object_get(spec, "destination");
    const char *server = json_dot_str(d, "server");
    const char *name = json_dot_str(d, "name");
    const char *ns = json_dot_str(d, "namespace");
    if (!str_is_empty(server) && !str_is_empty(name))
        return invalid(a, err, "application destination can't have both name and server defined");
    if (!str_is_empty(server)) {
        a->dest_server = str_dup(server);
        size_t n = strlen(a->dest_server);
        while (n && a->dest_server[n - 1] == '/')
            a->dest_server[--n] = 0;
    }
    a->dest_name = str_is_empty(name) ? NULL : str_dup(name);
    a->dest_namespace = str_is_empty(ns) ? NULL : str_dup(ns);
    return true;
}

static bool is_on(const json_t *options, const char *name)
{
    return str_eq(sync_option(options, name), "true");
}

static bool is_value(const json_t *options, const char *name, const char *value)
{
    return str_eq(sync_option(options, name), value);
}

static void parse_options(struct application *a, const json_t *o)
{
    a->sync_options = o;
    sync_options_unknown(o, &a->warnings);
    a->create_namespace = is_on(o, "CreateNamespace");
    a->options = (is_on(o, "Replace") ? SYNC_REPLACE : 0U) | (is_on(o, "Force") ? SYNC_FORCE : 0U) |
                 (str_eq(sync_option(o, "Validate"), "false") ? SYNC_NO_VALIDATE : 0U) |
                 (is_on(o, "ServerSideApply") ? SYNC_SERVER_SIDE : 0U);
    a->prune_never = is_value(o, "Prune", "false");
    a->prune_confirm = is_value(o, "Prune", "confirm");
    a->delete_never = is_value(o, "Delete", "false");
    a->delete_confirm = is_value(o, "Delete", "confirm");
    a->fail_on_shared = is_on(o, "FailOnSharedResource");
    a->respect_ignore_differences = is_on(o, "RespectIgnoreDifferences");
    a->no_migration = str_eq(sync_option(o, "ClientSideApplyMigration"), "false");
}

struct application *application_vary(const struct application *a, const json_t *options, bool prune)
{
    struct application *v = mem_alloc(sizeof(*v));
    json_t *list =
        json_is_array(a->sync_options) ? json_copy((json_t *)a->sync_options) : json_array();
    *v = *a;
    v->warnings = (struct strv){0};
    if (json_is_array(options))
        json_array_extend(list, (json_t *)options);
    parse_options(v, list);
    v->prune |= prune;
    v->allow_empty |= prune; // it is said that it is meant
    return v;
}

void application_vary_free(struct application *variant)
{
    if (!variant)
        return;
    json_decref((json_t *)variant->sync_options);
    strv_clear(&variant->warnings);
    free(variant);
}

static void parse_policy(struct application *a, const json_t *spec)
{
    const json_t *p = json_object_get(spec, "syncPolicy");
    const json_t *automated = json_object_get(p, "automated");
    a->has_automated = json_is_object(automated) && json_dot_bool(automated, "enabled", true);
    a->prune = a->has_automated && json_dot_bool(automated, "prune", false);
    a->self_heal = a->has_automated && json_dot_bool(automated, "selfHeal", false);
    a->allow_empty = json_dot_bool(automated, "allowEmpty", false);
    parse_options(a, json_object_get(p, "syncOptions"));
    a->managed_namespace_metadata = block(p, "managedNamespaceMetadata");
    const json_t *ignore = json_object_get(spec, "ignoreDifferences");
    a->ignore_differences = json_array_size(ignore) ? ignore : NULL;
    ignored_faults(ignore, &a->warnings);
}

static void parse_finalizers(struct application *a, const json_t *doc)
{
    static const struct {
        const char *name;
        bool is_background;
    } cascading[] = {{RESOURCES_FINALIZER, false},
                     {RESOURCES_FINALIZER "/foreground", false},
                     {RESOURCES_FINALIZER "/background", true}};
    size_t i;
    json_t *f;
    json_array_foreach(json_dot(doc, "metadata.finalizers"), i, f)
    {
        for (size_t k = 0; k < ARRAY_LEN(cascading) && !a->has_finalizer; k++) {
            if (!str_eq(json_string_value(f), cascading[k].name))
                continue;
            a->has_finalizer = true;
            a->is_background = cascading[k].is_background;
        }
    }
}

static void parse_depends_on(struct application *a, const json_t *doc)
{
    const char *list = json_annotation(doc, "regrow.dev/depends-on");
    struct strv parts = {0};
    if (list)
        strv_split(&parts, list, ',');
    for (size_t i = 0; i < parts.len; i++) {
        const char *s = parts.v[i] + strspn(parts.v[i], " \t");
        CLEANUP(str_freep) char *name = str_ndup(s, strcspn(s, " \t"));
        if (*name && !strv_has(&a->depends_on, name))
            strv_push(&a->depends_on, name);
    }
    strv_clear(&parts);
}

char *application_tracking_name(const char *ns, const char *name)
{
    return !ns || !strcmp(ns, CONTROL_PLANE_NAMESPACE) ? str_dup(name)
                                                       : str_printf("%s_%s", ns, name);
}

static struct application *new_named(const char *name, const char *ns)
{
    struct application *a = mem_alloc(sizeof(*a));
    a->name = str_dup(name);
    a->namespace = str_dup(ns);
    a->tracking_name = application_tracking_name(ns, name);
    a->parent = -1;
    return a;
}

struct application *application_new_root(const char *name)
{
    struct application *a = new_named(name, CONTROL_PLANE_NAMESPACE);
    a->project = str_dup("default");
    a->has_automated = a->prune = a->self_heal = true;
    a->has_finalizer = true; // what replaces it replaces its objects
    return a;
}

struct application *application_new_unknown(const char *name, const char *ns)
{
    struct application *a = new_named(str_is_empty(name) ? "(no name)" : name,
                                      str_is_empty(ns) ? CONTROL_PLANE_NAMESPACE : ns);
    a->project = str_dup("default");
    a->state = APP_UNKNOWN;
    return a;
}

// Argo CD's could not be made either: the API server refuses it.
static bool check_names(const struct application *a, const json_t *doc, struct err *err)
{
    struct err e = {0};
    const json_t *ns = json_dot(doc, "metadata.namespace");
    size_t len = json_string_length(ns);
    bool ok = name_check(doc, "argoproj.io", "Application", &e);
    if (ok && len && !name_is_label(json_string_value(ns), len))
        ok = err_set(&e, ERR_INVALID, "\"%.80s\" is no namespace", json_string_value(ns));
    if (!ok)
        invalid(a, err, e.msg);
    err_clear(&e);
    return ok;
}

bool application_parse(json_t *doc, const struct origin *where, struct application **out,
                       struct err *err)
{
    const char *name = json_dot_str(doc, "metadata.name");
    const char *ns = json_dot_str(doc, "metadata.namespace");
    const json_t *spec = json_object_get(doc, "spec");
    if (str_is_empty(name)) {
        CLEANUP(str_freep) char *w = origin_text(where);
        return err_set(err, ERR_INVALID, "an Application (%s) has no metadata.name", w);
    }
    struct application *a CLEANUP(application_freep) =
        new_named(name, str_is_empty(ns) ? CONTROL_PLANE_NAMESPACE : ns);
    a->origin = origin_dup(where);
    a->doc = json_incref(doc);
    if (!check_names(a, doc, err))
        return false;
    if (!json_is_object(spec))
        return invalid(a, err, "spec is required");
    struct err type = {0};
    if (!check_types(doc, spec_fields, ARRAY_LEN(spec_fields), &type)) {
        invalid(a, err, type.msg);
        err_clear(&type);
        return false;
    }
    const char *project = json_dot_str(spec, "project");
    a->project = str_dup(str_is_empty(project) ? "default" : project);
    if (!parse_sources(a, spec, err) || !parse_destination(a, spec, err))
        return false;
    parse_policy(a, spec);
    parse_finalizers(a, doc);
    a->marks = object_deletion_marks(doc);
    parse_depends_on(a, doc);
    unheeded_app(doc, &a->warnings);
    a->wave = sync_wave_of(doc);
    *out = TAKE(a);
    return true;
}

void application_mark(const struct application *a, json_t *doc, const struct object *o)
{
    if (!strcmp(o->id.kind, "CustomResourceDefinition")) {
        json_set_annotation(doc, OWNER_ANNOTATION, a->tracking_name);
        return;
    }
    const char *ns = o->id.namespace ? o->id.namespace : a->dest_namespace ? a->dest_namespace : "";
    CLEANUP(str_freep)
    char *id =
        str_printf("%s:%s/%s:%s/%s", a->tracking_name, o->id.group, o->id.kind, ns, o->id.name);
    json_set_annotation(doc, TRACKING_ANNOTATION, id);
}

bool application_cascades(const struct application *a)
{
    return a->has_finalizer && !a->is_preserved && !a->delete_never;
}

struct application *application_share(struct application *a)
{
    struct application *x = mem_alloc(sizeof(*x));
    if (!a->sharers) {
        a->sharers = mem_alloc(sizeof(*a->sharers));
        *a->sharers = 1;
    }
    ++*a->sharers;
    *x = *a;
    json_incref(x->doc);
    x->origin.revision = NULL;
    origin_share_revision(&x->origin, &a->origin);
    x->parent = -1;
    x->state = APP_KNOWN;
    x->is_passing = false;
    x->problem = (struct err){0};
    x->revision_text = NULL;
    x->revisions = (struct strv){0};
    x->warnings = (struct strv){0};
    for (size_t i = 0; i < a->warnings.len; i++)
        strv_push(&x->warnings, a->warnings.v[i]);
    if (x->rules) { // of the state it was in
        const json_t *own = json_dot(x->doc, "spec.ignoreDifferences");
        x->ignore_differences = json_array_size(own) ? own : NULL;
        x->rules = NULL;
    }
    return x;
}

// What all that share them have: freed by the last.
static void free_texts(struct application *a)
{
    for (size_t i = 0; i < a->sources.len; i++) {
        struct app_source *s = &a->sources.v[i];
        free(s->repo_url);
        free(s->path);
        free(s->chart);
        free(s->target_revision);
        free(s->tag_prefix);
        free(s->ref);
    }
    vec_clear(&a->sources);
    free(a->name);
    free(a->namespace);
    free(a->project);
    free(a->tracking_name);
    free(a->dest_server);
    free(a->dest_name);
    free(a->dest_namespace);
    free(a->origin.repo);
    free(a->origin.file);
    strv_clear(&a->depends_on);
    free(a->set_name);
    free(a->sharers);
}

void application_free(struct application *a)
{
    if (!a)
        return;
    origin_set_revision(&a->origin, NULL);
    if (!a->sharers || --*a->sharers == 0)
        free_texts(a);
    json_decref(a->doc);
    json_decref(a->rules);
    err_clear(&a->problem);
    free(a->revision_text);
    strv_clear(&a->revisions);
    strv_clear(&a->warnings);
    free(a);
}
