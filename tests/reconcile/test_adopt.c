// SPDX-License-Identifier: Apache-2.0
//
// Managed fields of clients that declare without server-side apply become ours.
#include "tests/test.h"

#include "reconcile/run_int.h"

#define ENTRY(manager, op, version, fields)                                                        \
    "{manager: " manager ", operation: " op ", apiVersion: " version                               \
    ", fieldsType: FieldsV1, fieldsV1: " fields "}"
#define OBJECT(entries) "{metadata: {name: a, managedFields: [" entries "]}}"
#define LAST "'f:kubectl.kubernetes.io/last-applied-configuration': {}"

static void becomes(const char *text, const char *want)
{
    CLEANUP(json_freep) json_t *live = doc_of(text);
    CLEANUP(json_freep) json_t *expected = doc_of(want);
    CLEANUP(json_freep) json_t *got = adopted_fields(live, "regrow", false);
    CLEANUP(str_freep) char *a = canon_of(got);
    CLEANUP(str_freep) char *b = canon_of(expected);
    assert_string_equal(a, b);
}

static void found(void **s)
{
    (void)s;
    static const struct {
        const char *text;
        bool yes;
    } cases[] = {
        {OBJECT(ENTRY("kubectl-client-side-apply", "Update", "v1", "{}")), true},
        {OBJECT(ENTRY("argocd-controller", "Update", "v1", "{}")), true},
        {OBJECT(ENTRY("before-first-apply", "Update", "v1", "{}")), true},
        // Server-side apply of another is somebody else's declaration, an edit somebody's will.
        {OBJECT(ENTRY("argocd-controller", "Apply", "v1", "{}")), false},
        {OBJECT(ENTRY("kubectl-edit", "Update", "v1", "{}")), false},
        {OBJECT(ENTRY("kube-controller-manager", "Update", "v1", "{}")), false},
        {"{metadata: {name: a}}", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(json_freep) json_t *live = doc_of(cases[i].text);
        if (is_client_side(live) != cases[i].yes)
            fail_msg("%s", cases[i].text);
    }
}

static void renamed(void **s)
{
    (void)s;
    // The annotation is nobody's, the status stays the controller's.
    becomes(OBJECT(ENTRY("kube-controller-manager", "Update", "v1", "{'f:status': {}}") "," ENTRY(
                "kubectl-client-side-apply", "Update", "v1",
                "{'f:data': {'f:a': {}}, 'f:metadata': {'f:annotations': {" LAST "}}}")),
            "[" ENTRY("kube-controller-manager", "Update", "v1", "{'f:status': {}}") "," ENTRY(
                "regrow", "Apply", "v1", "{'f:data': {'f:a': {}}}") "]");
    becomes(OBJECT(ENTRY("kubectl-client-side-apply", "Update", "v1",
                         "{'f:metadata': {'f:annotations': {'.': {}, 'f:x': {}, " LAST "}}}")),
            "[" ENTRY("regrow", "Apply", "v1",
                      "{'f:metadata': {'f:annotations': {'.': {}, 'f:x': {}}}}") "]");
}

static void united(void **s)
{
    (void)s;
    // With an entry of ours there, and more than one of theirs.
    becomes(
        OBJECT(ENTRY("regrow", "Apply", "v1", "{'f:data': {'f:a': {}}}") "," ENTRY(
            "kubectl-client-side-apply", "Update", "v1",
            "{'f:data': {'f:a': {}, 'f:b': {}}}") "," ENTRY("before-first-apply", "Update", "v1",
                                                            "{'f:type': {}}")),
        "[" ENTRY("regrow", "Apply", "v1", "{'f:data': {'f:a': {}, 'f:b': {}}, 'f:type': {}}") "]");
    // Paths of another version of the kind cannot be mixed with ours.
    becomes(OBJECT(ENTRY("regrow", "Apply", "apps/v1", "{'f:a': {}}") "," ENTRY(
                "kubectl-client-side-apply", "Update", "apps/v1beta1", "{'f:b': {}}")),
            "[" ENTRY("regrow", "Apply", "apps/v1", "{'f:a': {}}") "]");
}

// What was applied for another successor becomes ours whole, its memory with it: the next apply
// says what stays. Others' declarations do not.
static void handed(void **s)
{
    (void)s;
    CLEANUP(json_freep)
    json_t *live =
        doc_of(OBJECT(ENTRY("argocd-controller", "Apply", "v1",
                            "{'f:metadata': {'f:annotations': {" LAST
                            "}}}") "," ENTRY("kubectl", "Apply", "v1", "{'f:data': {}}")));
    CLEANUP(json_freep) json_t *got = adopted_fields(live, "kustomize-controller", true);
    CLEANUP(json_freep)
    json_t *want = doc_of("[" ENTRY("kubectl", "Apply", "v1", "{'f:data': {}}") "," ENTRY(
        "kustomize-controller", "Apply", "v1",
        "{'f:metadata': {'f:annotations': {" LAST "}}}") "]");
    CLEANUP(str_freep) char *a = canon_of(got);
    CLEANUP(str_freep) char *b = canon_of(want);
    assert_string_equal(a, b);
    assert_true(is_handed(live, "kustomize-controller"));
    assert_false(is_handed(live, "argocd-controller"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(found), cmocka_unit_test(renamed),
                                       cmocka_unit_test(united), cmocka_unit_test(handed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
