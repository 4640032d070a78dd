// SPDX-License-Identifier: Apache-2.0
//
// The marks of whoever reconciles next.
#include "tests/test.h"

#include "gitops/handover.h"

#define CM "{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: ns}, data: {a: '<1>'}}"
#define KUSTOMIZATION                                                                              \
    "{apiVersion: kustomize.toolkit.fluxcd.io/v1, kind: Kustomization, metadata: {name: all, "     \
    "namespace: f}, spec: {path: ./clusters/prod/}}"

// The root and one application of that spec; the documents go to the application `of`.
static struct desired *world(const char *spec, unsigned of, const char *const *docs)
{
    struct desired *d = desired_new();
    struct err err = {0};
    struct application *a = NULL;
    kinds_add_builtin(d->kinds, 37);
    desired_add_app_take(d, application_new_root("platform"));
    CLEANUP(json_freep) json_t *app = doc_of(spec);
    struct origin here = {.repo = (char *)"r", .file = (char *)"a.yaml", .line = 1};
    if (!application_parse(app, &here, &a, &err))
        fail_msg("%s", err.msg);
    desired_add_app_take(d, a);
    for (; *docs; docs++) {
        struct object o = {.app = of};
        CLEANUP(json_freep) json_t *doc = doc_of(*docs);
        assert_true(object_id_of(doc, &o.id, &o.version, &err));
        application_mark(d->apps.v[of], doc, &o);
        object_set_body(&o, doc);
        desired_add_object_take(d, &o);
    }
    assert_true(desired_finish(d, &err));
    return d;
}

#define APP(policy)                                                                                \
    "{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {name: a, namespace: "        \
    "argocd}, "                                                                                    \
    "spec: {project: default, source: {repoURL: r, "                                               \
    "path: apps/a}, destination: {namespace: ns}" policy "}}"

static void metadata_is(const struct desired *d, size_t at, const char *map, const char *want)
{
    CLEANUP(json_freep) json_t *doc = object_doc(&d->objects.v[at]);
    CLEANUP(json_freep) json_t *expected = want ? doc_of(want) : NULL;
    const json_t *got = json_object_get(json_object_get(doc, "metadata"), map);
    if (!want) {
        assert_null(got);
        return;
    }
    CLEANUP(str_freep) char *a = canon_of(got ? got : json_null());
    CLEANUP(str_freep) char *b = canon_of(expected);
    assert_string_equal(a, b);
}

#define ID "argocd.argoproj.io/tracking-id: 'a:/ConfigMap:ns/c'"

static void argocd_marks(void **s)
{
    (void)s;
    static const char *const docs[] = {CM, NULL};
    static const struct {
        const char *policy, *settings, *annotations, *labels;
    } cases[] = {
        {", syncPolicy: {syncOptions: [ServerSideApply=true]}", "{}", "{" ID "}", NULL},
        {", syncPolicy: {syncOptions: [ServerSideApply=true]}", "{installationID: i}",
         "{" ID ", argocd.argoproj.io/installation-id: i}", NULL},
        {", syncPolicy: {syncOptions: [ServerSideApply=true]}",
         "{application.resourceTrackingMethod: label}", NULL, "{app.kubernetes.io/instance: a}"},
        {", syncPolicy: {syncOptions: [ServerSideApply=true]}",
         "{application.resourceTrackingMethod: annotation+label, application.instanceLabelKey: k}",
         "{" ID "}", "{k: a}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(str_freep) char *spec = str_printf(APP("%s"), cases[i].policy);
        CLEANUP(desired_freep) struct desired *d = world(spec, 1, docs);
        CLEANUP(json_freep) json_t *settings = doc_of(cases[i].settings);
        struct hand_over_opts o = {.then = THEN_ARGOCD, .settings = settings};
        desired_hand_over(d, &o);
        metadata_is(d, 0, "annotations", cases[i].annotations);
        metadata_is(d, 0, "labels", cases[i].labels);
        struct sha256 once = d->objects.v[0].hash;
        desired_hand_over(d, &o);
        assert_true(sha256_eq(&once, &d->objects.v[0].hash));
    }
}

// Byte for byte what kubectl would write, and not itself within itself.
static void remembered(void **s)
{
    (void)s;
    static const char *const docs[] = {CM, NULL};
    CLEANUP(desired_freep) struct desired *d = world(APP(""), 1, docs);
    struct hand_over_opts o = {.then = THEN_ARGOCD};
    for (int i = 0; i < 2; i++) {
        desired_hand_over(d, &o);
        CLEANUP(json_freep) json_t *doc = object_doc(&d->objects.v[0]);
        assert_string_equal(
            json_annotation(doc, LAST_APPLIED_ANNOTATION),
            "{\"apiVersion\":\"v1\",\"data\":{\"a\":\"\\u003c1\\u003e\"},\"kind\":\"ConfigMap\","
            "\"metadata\":{\"annotations\":{\"argocd.argoproj.io/tracking-id\":"
            "\"a:/ConfigMap:ns/c\"},\"name\":\"c\",\"namespace\":\"ns\"}}\n");
    }
}

static void too_large(void **s)
{
    (void)s;
    CLEANUP(str_freep) char *text = mem_alloc(262145);
    memset(text, 'x', 262144);
    CLEANUP(str_freep)
    char *large =
        str_printf("{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: ns}, "
                   "data: {a: %s}}",
                   text);
    const char *docs[] = {large, NULL};
    CLEANUP(desired_freep) struct desired *d = world(APP(""), 1, docs);
    desired_hand_over(d, &(struct hand_over_opts){.then = THEN_ARGOCD});
    metadata_is(d, 0, "annotations", "{" ID "}");
    assert_int_equal(d->warnings.len, 1);
}

static void flux_marks(void **s)
{
    (void)s;
    static const char *const docs[] = {CM, KUSTOMIZATION, NULL};
    static const struct {
        unsigned of;
        const char *root, *labels;
    } cases[] = {
        {1, NULL,
         "{kustomize.toolkit.fluxcd.io/name: a, kustomize.toolkit.fluxcd.io/namespace: "
         "flux-system}"},
        {0, "https://h/r.git//clusters/prod?ref=main",
         "{kustomize.toolkit.fluxcd.io/name: all, kustomize.toolkit.fluxcd.io/namespace: f}"},
        {0, "/srv/platform/clusters/prod",
         "{kustomize.toolkit.fluxcd.io/name: all, kustomize.toolkit.fluxcd.io/namespace: f}"},
        {0, "https://h/r.git//clusters/test",
         "{kustomize.toolkit.fluxcd.io/name: flux-system, kustomize.toolkit.fluxcd.io/namespace: "
         "flux-system}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(desired_freep) struct desired *d = world(APP(""), cases[i].of, docs);
        desired_hand_over(d, &(struct hand_over_opts){.then = THEN_FLUX, .root = cases[i].root});
        metadata_is(d, 0, "annotations", NULL);
        metadata_is(d, 0, "labels", cases[i].labels);
    }
}

static void ours(void **s)
{
    (void)s;
    static const char *const docs[] = {CM, NULL};
    static const enum hand_over then[] = {THEN_REGROW, THEN_NONE};
    for (size_t i = 0; i < ARRAY_LEN(then); i++) {
        CLEANUP(desired_freep) struct desired *d = world(APP(""), 1, docs);
        struct sha256 before = d->objects.v[0].hash;
        desired_hand_over(d, &(struct hand_over_opts){.then = then[i]});
        assert_true(sha256_eq(&before, &d->objects.v[0].hash));
    }
}

static void names(void **s)
{
    (void)s;
    enum hand_over t = THEN_REGROW;
    assert_true(hand_over_parse("argocd", &t));
    assert_int_equal(t, THEN_ARGOCD);
    assert_false(hand_over_parse("Argo", &t));
    assert_false(hand_over_parse(NULL, &t));
    assert_true(hand_over_was("regrow", "argocd-controller"));
    assert_false(hand_over_was("argocd-controller", "argocd-controller"));
    assert_false(hand_over_was("kubectl", "argocd-controller"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(argocd_marks), cmocka_unit_test(remembered),
                                       cmocka_unit_test(too_large),    cmocka_unit_test(flux_marks),
                                       cmocka_unit_test(ours),         cmocka_unit_test(names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
