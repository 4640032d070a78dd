// SPDX-License-Identifier: Apache-2.0
#include "tests/cases.h"

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
    refuses("{source: {repoURL: u, path: p, helm: {releaseName: x}, kustomize: {namePrefix: y-}}}",
            "multiple application sources");
    refuses("{source: {repoURL: u, path: p}, destination: {server: s, name: nn}}",
            "both name and server");
    refuses("{source: {repoURL: u, path: p, directory: {jsonnet: {libs: [x]}}}}", "jsonnet");
    refuses("{sourceHydrator: {drySource: {}}}", "sourceHydrator");
    refuses("{sources: [{repoURL: u, path: p, ref: x}, {repoURL: u, path: q, ref: x}]}",
            "same ref");
    // What is not of its type would be taken for absent: another revision, the open project, …
    refuses("{source: {repoURL: u, path: p, targetRevision: 1.2}}",
            "a source: targetRevision is not text; put it in quotes");
    refuses("{sources: [{repoURL: u, path: p, helm: {valueFiles: prod.yaml}}]}",
            "a source: helm.valueFiles is not a list");
    refuses("{source: {repoURL: u, path: p, helm: {values: {a: b}}}}", "helm.values is not text");
    refuses("{source: {repoURL: u, path: p, directory: {recurse: 'yes'}}}",
            "directory.recurse is not true or false");
    refuses("{project: 7, source: {repoURL: u, path: p}}", "spec.project is not text");
    refuses("{source: {repoURL: u, path: p}, syncPolicy: {automated: {prune: 'true'}}}",
            "spec.syncPolicy.automated.prune is not true or false");
    refuses("{source: {repoURL: u, path: p}, syncPolicy: {syncOptions: Prune=false}}",
            "spec.syncPolicy.syncOptions is not a list");
    refuses("{source: {repoURL: u, path: p}, destination: {namespace: no}}",
            "spec.destination.namespace is not text");
}

// Nothing of that name could be in a cluster.
static void names(void **s)
{
    (void)s;
    static const char *const cases[][2] = {
        {"name: 'A b'", "application A b (f.yaml:3): \"A b\" is no name for it"},
        {"name: '{{n}}'", "\"{{n}}\" is no name for it"},
        {"name: \"a\\0b\"", "\"a\" is no name for it"},
        {"name: a, namespace: A", "application a (f.yaml:3): \"A\" is no namespace"},
    };
    struct origin where = {.file = (char *)"f.yaml", .line = 3};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(str_freep)
        char *text =
            str_printf("{metadata: {%s}, spec: {source: {repoURL: u, path: p}}}", cases[i][0]);
        CLEANUP(json_freep) json_t *doc = doc_of(text);
        struct application *a = NULL;
        struct err err = {0};
        assert_false(application_parse(doc, &where, &a, &err));
        assert_int_equal(err.kind, ERR_INVALID);
        if (!strstr(err.msg, cases[i][1]))
            fail_msg("%s", err.msg);
        err_clear(&err);
    }
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
    assert_true(a->prune && a->create_namespace && a->prune_confirm && !a->prune_never);
}

// Sync options: the last one of a name counts, what is not known is told once.
static void options(void **s)
{
    (void)s;
    struct application *a CLEANUP(application_freep) = NULL;
    struct err err = {0};
    assert_true(parse("{source: {repoURL: u, path: p}, syncPolicy: {syncOptions: [Replace=false, "
                      "Replace=true, Force=true, Validate=false, Delete=confirm, Prune=false, "
                      "RespectIgnoreDifferences=true, ClientSideApplyMigration=false, "
                      "FailOnSharedResource=true, Prune=perhaps, PruneLst=true, PruneLst=true, "
                      "PrunePropagationPolicy=orphan, ServerSideApply=true]}}",
                      &a, &err));
    assert_int_equal(a->options, SYNC_REPLACE | SYNC_FORCE | SYNC_NO_VALIDATE | SYNC_SERVER_SIDE);
    assert_true(a->delete_confirm && !a->delete_never && a->respect_ignore_differences &&
                a->no_migration);
    assert_true(a->fail_on_shared && !a->create_namespace);
    assert_false(a->prune_never); // "perhaps" came last
    assert_int_equal(a->warnings.len, 2);
    assert_non_null(strstr(a->warnings.v[0], "Prune=perhaps has no such value"));
    assert_non_null(strstr(a->warnings.v[1], "PruneLst=true is not known"));
}

// One operation: its options go before those of the application, which is as it was.
static void varied(void **s)
{
    (void)s;
    struct application *a CLEANUP(application_freep) = NULL;
    struct err err = {0};
    assert_true(parse("{source: {repoURL: u, path: p}, ignoreDifferences: [{kind: X, jsonPointers: "
                      "[/a]}], syncPolicy: {automated: {}, syncOptions: [Replace=true, "
                      "Prune=false, RespectIgnoreDifferences=true]}}",
                      &a, &err));
    CLEANUP(json_freep) json_t *options = doc_of("[Replace=false, Force=true, Prune=confirm]");
    struct application *v = application_vary(a, options, true);
    assert_int_equal(v->options, SYNC_FORCE);
    assert_true(v->prune && v->allow_empty && v->prune_confirm && !v->prune_never);
    assert_true(v->respect_ignore_differences && v->ignore_differences == a->ignore_differences);
    application_vary_free(v);
    v = application_vary(a, NULL, false);
    assert_int_equal(v->options, SYNC_REPLACE);
    assert_true(!v->prune && v->prune_never);
    application_vary_free(v);
    assert_int_equal(a->options, SYNC_REPLACE);
    assert_int_equal(json_array_size(a->sync_options), 3);
}

static void deletion_marks(void **s)
{
    (void)s;
    static const struct {
        const char *options;
        unsigned marks;
    } cases[] = {
        {"Prune=false,Delete=false", DELETION_PRUNE_OFF | DELETION_DELETE_OFF},
        {"Prune=confirm", DELETION_PRUNE_CONFIRM},
        {"Delete=confirm,Prune=true", DELETION_DELETE_CONFIRM | DELETION_PRUNE_ASKED},
        {"Prune=Confirm,Delete=yes", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(json_freep) json_t *doc = json_object();
        json_set_annotation(doc, "argocd.argoproj.io/sync-options", cases[i].options);
        assert_int_equal(object_deletion_marks(doc), cases[i].marks);
    }
}

static void object_options(void **s)
{
    (void)s;
    static const struct {
        const char *text;
        unsigned bits;
        const char *prune, *fault;
    } cases[] = {
        {"Replace=true", SYNC_REPLACE, NULL, NULL},
        {" Force=true , Prune=false,", SYNC_FORCE, "false", NULL},
        {"Validate=false,Replace=false", SYNC_NO_VALIDATE, NULL, NULL},
        {"Validate=true,Prune=confirm", 0, "confirm", NULL},
        {"xReplace=true", 0, NULL, "xReplace=true is not known"},
        {"Replace", 0, NULL, "Replace has no such value"},
        {"CreateNamespace=true", 0, NULL, "means something only on an application"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(json_freep) json_t *doc = json_object();
        CLEANUP(str_freep) char *store = NULL;
        struct strv faults = {0};
        json_set_annotation(doc, "argocd.argoproj.io/sync-options", cases[i].text);
        assert_int_equal(object_sync_options(doc, 0, &faults), cases[i].bits);
        assert_true(str_eq(object_sync_option(doc, "Prune", &store), cases[i].prune));
        assert_int_equal(faults.len, cases[i].fault != NULL);
        if (faults.len && !strstr(faults.v[0], cases[i].fault))
            fail_msg("%s", faults.v[0]);
        strv_clear(&faults);
    }
}

// An object's own word goes before its application's, where there is one for both ways.
static void object_and_app_options(void **s)
{
    (void)s;
    static const struct {
        const char *text;
        unsigned app, bits;
    } cases[] = {
        {"", SYNC_SERVER_SIDE | SYNC_FORCE, SYNC_SERVER_SIDE | SYNC_FORCE},
        {"ServerSideApply=false", SYNC_SERVER_SIDE | SYNC_FORCE, SYNC_FORCE},
        {"Replace=true, ServerSideApply=false", SYNC_SERVER_SIDE, SYNC_REPLACE},
        {"ServerSideApply=true", 0, SYNC_SERVER_SIDE},
        {"ServerSideApply=perhaps", SYNC_SERVER_SIDE, SYNC_SERVER_SIDE},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(json_freep) json_t *doc = json_object();
        json_set_annotation(doc, "argocd.argoproj.io/sync-options", cases[i].text);
        assert_int_equal(object_sync_options(doc, cases[i].app, NULL), cases[i].bits);
    }
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

// A case of tests/gitops/cases/marks: the annotations of an object, and what it "is".
static void mark(const json_t *c, const char *name)
{
    static const char *const phases[] = {"PreSync", "Sync", "PostSync", "SyncFail"};
    static const struct {
        const char *name;
        unsigned bit;
    } policies[] = {{"BeforeHookCreation", HOOK_BEFORE_CREATION},
                    {"HookSucceeded", HOOK_SUCCEEDED},
                    {"HookFailed", HOOK_FAILED}};
    CLEANUP(json_freep)
    json_t *doc =
        json_pack("{s:{s:O}}", "metadata", "annotations", json_object_get(c, "annotations"));
    struct object o = {0};
    struct err err = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    struct buf p CLEANUP(buf_clear) = {0};
    bool skip = false;
    const char *unsupported = object_helm_delete_hook(doc);
    const char *unknown = object_unknown_hook(doc);
    if (cases_error(c, name, object_sync_marks(doc, &o, &skip, &err), &err))
        return;
    buf_str(&b, skip ? "skip" : o.is_hook ? "hook" : "");
    for (unsigned i = 0; !skip && i < ARRAY_LEN(phases); i++)
        if (o.phases & 1U << i)
            buf_printf(&b, "%s%s", b.len ? " " : "", phases[i]);
    for (size_t i = 0; i < ARRAY_LEN(policies); i++)
        if (o.hook_delete & policies[i].bit)
            buf_printf(&p, "%s%s", p.len ? " " : "", policies[i].name);
    if (!str_eq(b.p, json_dot_str(c, "is")))
        fail_msg("%s: it is \"%s\"", name, b.p);
    if (json_dot_str(c, "policies") && !str_eq(p.p, json_dot_str(c, "policies")))
        fail_msg("%s: its policies are \"%s\"", name, p.p);
    if (json_object_get(c, "wave") && o.wave != json_dot_int(c, "wave", 0))
        fail_msg("%s: its wave is %d", name, o.wave);
    if (!str_eq(unsupported, json_dot_str(c, "unsupported")))
        fail_msg("%s: not supported: %s", name, unsupported ? unsupported : "nothing");
    if (!str_eq(unknown, json_dot_str(c, "unknown")))
        fail_msg("%s: unknown: %s", name, unknown ? unknown : "nothing");
}

static void hooks(void **s)
{
    (void)s;
    cases_each("gitops/cases/marks", mark);
}

// Whoever goes first, the others have what was parsed, and not what became of it.
static void shared(void **s)
{
    (void)s;
    for (int round = 0; round < 2; round++) {
        struct application *a = NULL;
        struct err err = {0};
        assert_true(parse("{source: {repoURL: u, path: p}, destination: {server: s, namespace: "
                          "web}, ignoreDifferences: [{kind: X, jsonPointers: [/a]}]}",
                          &a, &err));
        origin_set_revision(&a->origin, "1111111");
        struct application *b = application_share(a);
        b->parent = 3;
        b->state = APP_UNKNOWN;
        err_set(&b->problem, ERR_INVALID, "no");
        b->revision_text = str_dup("2222222");
        strv_push(&b->revisions, "2");
        strv_push(&b->warnings, "w");
        origin_set_revision(&b->origin, "2222222");
        b->rules = json_array();
        b->ignore_differences = b->rules;
        struct application *c = application_share(b);
        application_free(round ? a : b);
        assert_string_equal(c->sources.v[0].repo_url, "u");
        assert_string_equal(c->dest_namespace, "web");
        assert_string_equal(c->origin.revision, "2222222");
        assert_string_equal(c->origin.file, "f.yaml");
        assert_int_equal(c->parent, -1);
        assert_int_equal(c->state, APP_KNOWN);
        assert_false(err_is_set(&c->problem));
        assert_null(c->revision_text);
        assert_int_equal(c->revisions.len, 0);
        assert_int_equal(json_array_size(c->ignore_differences), 1);
        if (!round)
            assert_string_equal(a->origin.revision, "1111111");
        application_free(round ? b : a);
        application_free(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(faults),
                                       cmocka_unit_test(names),
                                       cmocka_unit_test(maps_count),
                                       cmocka_unit_test(fields),
                                       cmocka_unit_test(options),
                                       cmocka_unit_test(object_options),
                                       cmocka_unit_test(object_and_app_options),
                                       cmocka_unit_test(varied),
                                       cmocka_unit_test(deletion_marks),
                                       cmocka_unit_test(hooks),
                                       cmocka_unit_test(shared)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
