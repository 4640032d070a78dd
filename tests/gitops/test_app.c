// SPDX-License-Identifier: Apache-2.0
#include "tests/test.h"

static bool parse(const char *spec, struct application **out, struct err *err)
{
    CLEANUP(str_freep)
    char *text = str_printf("{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: "
                            "{name: a}, spec: %s}",
                            spec);
    CLEANUP(json_freep) json_t *doc = doc_of(text);
    struct origin where = {.repo = (char *)"r", .file = (char *)"f.yaml", .line = 3};
    return application_parse(doc, &where, out, err);
}

static void refuses(const char *spec, const char *words)
{
    struct application *a = NULL;
    struct err err = {0};
    assert_false(parse(spec, &a, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    if (!strstr(err.msg, words))
        fail_msg("\"%s\" is not in \"%s\"", words, err.msg);
    assert_non_null(strstr(err.msg, "f.yaml:3"));
    err_clear(&err);
}

static void faults(void **s)
{
    (void)s;
    refuses("{destination: {}}", "spec.source or spec.sources is required");
    refuses("{source: {path: x}}", "repoURL is required");
    refuses("{source: {repoURL: u}}", "path, chart or ref is required");
    refuses("{source: {repoURL: u, chart: c}}", "targetRevision is required");
    refuses("{source: {repoURL: u, path: p, plugin: {name: x}}}", "plugins are not supported");
    refuses("{source: {repoURL: u, path: p, helm: {releaseName: x}, kustomize: {namePrefix: y}}}",
            "multiple application sources");
    refuses("{source: {repoURL: u, path: p}, destination: {server: s, name: nn}}",
            "both name and server");
    refuses("{source: {repoURL: u, path: p, directory: {jsonnet: {libs: [x]}}}}", "jsonnet");
    refuses("{sourceHydrator: {drySource: {}}}", "sourceHydrator");
    refuses("{sources: [{repoURL: u, path: p, ref: x}, {repoURL: u, path: q, ref: x}]}",
            "same ref");
}

static void fields(void **s)
{
    (void)s;
    struct application *a CLEANUP(application_freep) = NULL;
    struct err err = {0};
    assert_true(parse("{sources: [{repoURL: u, chart: c, targetRevision: '1', helm: {}}, {repoURL: "
                      "'oci://h/x', path: .}], destination: {server: 'https://k/', namespace: ns}, "
                      "syncPolicy: {automated: {prune: true}, syncOptions: [CreateNamespace=true, "
                      "Prune=confirm]}}",
                      &a, &err));
    assert_int_equal(a->sources.len, 2);
    assert_int_equal(a->sources.v[0].kind, APP_SOURCE_HELM_REPO);
    assert_null(a->sources.v[0].helm); // a zero-valued block does not count
    assert_int_equal(a->sources.v[1].kind, APP_SOURCE_OCI);
    assert_string_equal(a->dest_server, "https://k");
    assert_string_equal(a->project, "default");
    assert_true(a->prune && a->create_namespace && a->prune_confirm);
}

// false, 0 and "" in a map are values, not the absence of any.
static void maps_count(void **s)
{
    (void)s;
    const char *const blocks[] = {"helm: {valuesObject: {crds: {install: false}}}",
                                  "kustomize: {commonLabels: {a: ''}}"};
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++) {
        struct application *a CLEANUP(application_freep) = NULL;
        struct err err = {0};
        CLEANUP(str_freep)
        char *spec = str_printf("{source: {repoURL: u, path: p, %s}}", blocks[i]);
        assert_true(parse(spec, &a, &err));
        assert_true(a->sources.v[0].helm || a->sources.v[0].kustomize);
    }
}

static void marks_of(const char *annotations, struct object *o, bool *skip, bool want_ok)
{
    CLEANUP(str_freep) char *text = str_printf("{metadata: {annotations: {%s}}}", annotations);
    CLEANUP(json_freep) json_t *doc = doc_of(text);
    struct err err = {0};
    assert_int_equal(object_sync_marks(doc, o, skip, &err), want_ok);
    err_clear(&err);
}

static void hooks(void **s)
{
    (void)s;
    struct object o = {0};
    bool skip;
    marks_of("argocd.argoproj.io/hook: PreSync, argocd.argoproj.io/sync-wave: '-2'", &o, &skip,
             true);
    assert_true(o.is_hook && o.phase == PHASE_PRESYNC && o.wave == -2);
    assert_int_equal(o.hook_delete, HOOK_BEFORE_CREATION);
    o = (struct object){0};
    marks_of("helm.sh/hook: 'post-install,post-upgrade', helm.sh/hook-weight: '5', "
             "helm.sh/hook-delete-policy: hook-succeeded",
             &o, &skip, true);
    assert_true(o.is_hook && o.phase == PHASE_POSTSYNC && o.wave == 5);
    assert_int_equal(o.hook_delete, HOOK_SUCCEEDED);
    o = (struct object){0};
    marks_of("helm.sh/hook: test", &o, &skip, true);
    assert_true(skip);
    marks_of("argocd.argoproj.io/hook: Skip", &o, &skip, true);
    assert_true(skip);
    o = (struct object){0};
    marks_of("helm.sh/hook: crd-install", &o, &skip, true);
    assert_true(!skip && !o.is_hook);
    marks_of("argocd.argoproj.io/hook: PreDelete", &o, &skip, false);
    marks_of("argocd.argoproj.io/hook: Sync, helm.sh/hook: pre-install", &o, &skip, true);
    assert_int_equal(o.phase, PHASE_SYNC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(faults), cmocka_unit_test(maps_count),
                                       cmocka_unit_test(fields), cmocka_unit_test(hooks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
