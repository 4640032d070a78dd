// SPDX-License-Identifier: Apache-2.0
//
// helm template (spec argo-cd section 1.5). Values are in helm_values.c, dependencies in
// helm_deps.c.
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "source/helm_int.h"

static bool check_version(const json_t *helm, struct err *err)
{
    const char *v = json_dot_str(helm, "version");
    if (str_is_empty(v) || !strcmp(v, "v3") || !strcmp(v, "v4"))
        return true;
    return err_set(err, ERR_INVALID, "helm version \"%.40s\" is not known", v);
}

// The APIs a chart is told of, and its cache key: those it asks about, or all when that is unknown.
static void add_apis(struct render_job *j, const json_t *helm, struct sha256_ctx *key)
{
    const json_t *own = json_object_get(helm, "apiVersions");
    struct strv named = {0};
    struct strv told = {0};
    size_t i;
    json_t *x;
    json_array_foreach(own, i, x)
    {
        if (json_is_string(x))
            strv_push(&named, json_string_value(x));
    }
    const struct strv *served = named.len ? &named : j->api_versions;
    for (i = 0; served && j->asks.any && i < served->len; i++)
        strv_push(&told, served->v[i]);
    for (i = 0; !j->asks.any && i < j->asks.names.len; i++) {
        const char *name = j->asks.names.v[i];
        bool is_served = served && strv_has(served, name);
        if (is_served)
            strv_push(&told, name);
        if (!named.len)
            strv_push_take(&j->answers, str_printf("%d%s", (int)is_served, name));
    }
    struct buf b CLEANUP(buf_clear) = {0};
    for (i = 0; i < told.len; i++)
        buf_printf(&b, "%s%s", b.len ? "," : "", told.v[i]);
    if (b.len) {
        strv_push(&j->argv, "--api-versions");
        strv_push(&j->argv, b.p);
        sha256_add_str(key, b.p);
    }
    j->asks.any &= !named.len; // what the application itself names does not change
    strv_clear(&named);
    strv_clear(&told);
}

// Where the chart is, and what identifies it.
static bool find_chart(struct values *v, char **chart, char **id, struct err *err)
{
    struct render_job *j = v->j;
    if (!j->chart.file)
        return helm_chart_folder(v, chart, err) && tree_id(j->tree, "", id, err);
    *chart = str_dup(j->chart.file);
    *id = str_dup(j->chart.digest);
    return chart_asks(j->chart.file, &j->asks, err);
}

static void add_flags(struct render_job *j, const json_t *helm, const char *ns,
                      struct sha256_ctx *key)
{
    const char *kube = json_dot_str(helm, "kubeVersion");
    const struct {
        const char *flag, *value;
    } values[] = {{"--namespace", ns},
                  {"--kube-version", str_is_empty(kube) ? j->ctx->o->kube_version : kube}};
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        if (str_is_empty(values[i].value))
            continue;
        strv_push(&j->argv, values[i].flag);
        strv_push(&j->argv, values[i].value);
        sha256_add_str(key, values[i].value);
    }
    const struct {
        const char *flag;
        bool is_on;
    } switches[] = {
        {"--include-crds", !json_dot_bool(helm, "skipCrds", false)},
        {"--skip-tests", json_dot_bool(helm, "skipTests", false)},
        {"--skip-schema-validation", json_dot_bool(helm, "skipSchemaValidation", false)}};
    for (size_t i = 0; i < ARRAY_LEN(switches); i++) {
        if (!switches[i].is_on)
            continue;
        strv_push(&j->argv, switches[i].flag);
        sha256_add_str(key, switches[i].flag);
    }
}

bool helm_prepare(struct render_job *j, struct sha256_ctx *key, struct err *err)
{
    const json_t *helm = j->src ? j->src->helm : NULL;
    struct values v CLEANUP(values_clear) = {.j = j, .key = key, .merged = json_object()};
    const char *release = json_dot_str(helm, "releaseName");
    const char *ns = json_dot_str(helm, "namespace");
    CLEANUP(str_freep) char *chart = NULL;
    CLEANUP(str_freep) char *id = NULL;
    if (str_is_empty(release))
        release = j->app->name;
    if (str_is_empty(ns))
        ns = j->app->dest_namespace ? j->app->dest_namespace : "default";
    strv_push(&j->argv, "helm");
    strv_push(&j->argv, "template");
    j->ctx->pass_credentials = json_dot_bool(helm, "passCredentials", false);
    if (!check_version(helm, err) || !values_add_all(&v, helm, err) ||
        !find_chart(&v, &chart, &id, err))
        return false;
    add_flags(j, helm, ns, key);
    sha256_add_str(key, id);
    sha256_add_str(key, release);
    add_apis(j, helm, key);
    // Whatever it is called, a release is no option.
    strv_push(&j->argv, "--");
    strv_push(&j->argv, release);
    strv_push(&j->argv, chart);
    return true;
}
