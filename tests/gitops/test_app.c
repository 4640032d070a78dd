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

static bool list_files(void *ctx, const char *url, const char *rev, struct strv *paths,
                       struct err *err)
{
    (void)ctx;
    (void)url;
    (void)rev;
    (void)err;
    static const char *const all[] = {"apps/a/x.yaml",    "apps/b/x.yaml", "apps/.hid/x.yaml",
                                      "apps/skip/x.yaml", "conf/one.json", "conf/two.json"};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        strv_push(paths, all[i]);
    return true;
}

static bool read_file(void *ctx, const char *url, const char *rev, const char *path,
                      struct buf *out, struct err *err)
{
    (void)ctx;
    (void)url;
    (void)rev;
    (void)err;
    buf_printf(out, "{\"cluster\":{\"name\":\"%s\"}}", strstr(path, "one") ? "first" : "second");
    return true;
}

static char *expand(const char *spec, struct err *err)
{
    CLEANUP(str_freep)
    char *text = str_printf("{apiVersion: argoproj.io/v1alpha1, kind: ApplicationSet, metadata: "
                            "{name: set}, spec: %s}",
                            spec);
    CLEANUP(json_freep) json_t *doc = doc_of(text);
    struct appset_io io = {.git_files = list_files, .git_read = read_file};
    struct appset_result r = {0};
    struct buf b = {0};
    bool ok = appset_expand(doc, &io, &r, err);
    for (size_t i = 0; ok && i < r.apps.len; i++)
        buf_printf(&b, "%s%s", i ? " " : "", json_dot_str(r.apps.v[i], "metadata.name"));
    appset_result_clear(&r);
    return buf_take(&b);
}

static void sets(void **s)
{
    (void)s;
    static const struct {
        const char *spec, *names;
    } cases[] = {
        {"{generators: [{list: {elements: [{c: x}, {c: z}]}}], template: {metadata: {name: "
         "'app-{{c}}'}}}",
         "app-x app-z"},
        {"{generators: [{git: {repoURL: u, directories: [{path: 'apps/*'}, {path: apps/skip, "
         "exclude: true}]}}], template: {metadata: {name: '{{path.basename}}'}}}",
         "a b"},
        {"{generators: [{git: {repoURL: u, files: [{path: 'conf/*.json'}]}}], template: "
         "{metadata: {name: '{{cluster.name}}-{{path.filename}}'}}}",
         "first-one.json second-two.json"},
        {"{generators: [{matrix: {generators: [{list: {elements: [{a: '1'}, {a: '2'}]}}, {list: "
         "{elements: [{b: 'x{{a}}'}]}}]}}], template: {metadata: {name: '{{a}}{{b}}'}}}",
         "1x1 2x2"},
        {"{generators: [{merge: {mergeKeys: [k], generators: [{list: {elements: [{k: a, v: one}, "
         "{k: b, v: one}]}}, {list: {elements: [{k: b, v: two}, {k: z, v: z}]}}]}}], template: "
         "{metadata: {name: '{{k}}-{{v}}'}}}",
         "a-one b-two"},
        {"{generators: [{list: {elements: [{k: a}, {k: b}]}, selector: {matchLabels: {k: b}}}], "
         "template: {metadata: {name: '{{k}}'}}}",
         "b"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        CLEANUP(str_freep) char *names = expand(cases[i].spec, &err);
        if (err_is_set(&err))
            fail_msg("%s", err.msg);
        assert_string_equal(names, cases[i].names);
    }
    static const char *const refused[] = {
        "{goTemplate: true, generators: [{list: {}}], template: {}}",
        "{generators: [{scmProvider: {}}], template: {metadata: {name: x}}}",
        "{generators: [{plugin: {}}], template: {metadata: {name: x}}}",
        "{generators: [{list: {elements: [{a: x}, {a: x}]}}], template: {metadata: {name: "
        "'{{a}}'}}}",
    };
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        struct err err = {0};
        CLEANUP(str_freep) char *names = expand(refused[i], &err);
        assert_int_equal(err.kind, ERR_INVALID);
        err_clear(&err);
    }
}

static void projects(void **s)
{
    (void)s;
    CLEANUP(json_freep)
    json_t *p = doc_of("{metadata: {name: team}, spec: {sourceRepos: ['https://h/team/*', "
                       "'!https://h/team/secret'], destinations: [{server: '*', namespace: "
                       "'team-*'}], namespaceResourceBlacklist: [{group: '', kind: Secret}]}}");
    struct application *a CLEANUP(application_freep) = NULL;
    struct application *b CLEANUP(application_freep) = NULL;
    struct err err = {0};
    assert_true(parse("{project: team, source: {repoURL: 'https://h/team/x.git', path: p}, "
                      "destination: {server: 'https://kubernetes.default.svc', namespace: "
                      "team-a}}",
                      &a, &err));
    assert_true(project_permits_app(p, a, &err));
    assert_true(parse("{project: team, source: {repoURL: 'https://h/team/secret', path: p}, "
                      "destination: {server: s, namespace: team-a}}",
                      &b, &err));
    assert_false(project_permits_app(p, b, &err));
    assert_int_equal(err.kind, ERR_DENIED);
    err_clear(&err);
    struct object o = {.id = {(char *)"", (char *)"ConfigMap", (char *)"team-a", (char *)"x"},
                       .is_namespaced = true};
    assert_true(project_permits_object(p, a, &o, &err));
    o.id.kind = (char *)"Secret";
    assert_false(project_permits_object(p, a, &o, &err));
    err_clear(&err);
    o = (struct object){.id = {(char *)"", (char *)"Namespace", NULL, (char *)"x"}};
    assert_false(project_permits_object(p, a, &o, &err)); // nothing cluster-scoped is listed
    err_clear(&err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(faults), cmocka_unit_test(fields),
                                       cmocka_unit_test(hooks), cmocka_unit_test(sets),
                                       cmocka_unit_test(projects)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
