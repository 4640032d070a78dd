// SPDX-License-Identifier: Apache-2.0
//
// What is told of manifests that were rendered again, and what of them stays as it was frozen.
#include "restore/sources.h"

#include "tests/test.h"

static void add(struct desired *d, const char *text)
{
    struct err err = {0};
    struct object o = {.is_namespaced = true};
    CLEANUP(json_freep) json_t *doc = doc_of(text);
    if (!object_id_of(doc, &o.id, &o.version, &err))
        fail_msg("%s", err.msg);
    object_set_body(&o, doc);
    desired_add_object_take(d, &o);
}

static struct desired *state(const char *const *texts)
{
    struct err err = {0};
    struct desired *d = desired_new();
    desired_add_app_take(d, application_new_root("root"));
    for (; *texts; texts++)
        add(d, *texts);
    if (!desired_finish(d, &err))
        fail_msg("%s", err.msg);
    return d;
}

#define CM "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "
#define HOOKS                                                                                      \
    "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\n"          \
    "metadata: {name: "

static void what_came_out(void **state_)
{
    (void)state_;
    static const char *const was[] = {
        CM "same}\ndata: {a: b}\n",
        CM "other}\ndata: {a: b}\n",
        CM "gone}\n",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: made-up}\ndata: {a: eA==}\n",
        HOOKS "trusts}\nwebhooks: [{clientConfig: {caBundle: eA==}}]\n",
        HOOKS "trusts-not}\nwebhooks: [{clientConfig: {}}]\n",
        NULL};
    static const char *const now[] = {
        CM "same}\ndata: {a: b}\n",
        CM "other}\ndata: {a: c}\n",
        CM "new}\n",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: made-up}\ndata: {a: eQ==}\n",
        HOOKS "trusts}\nwebhooks: [{clientConfig: {caBundle: eQ==}}]\n",
        HOOKS "trusts-not}\nwebhooks: [{clientConfig: {}, name: x}]\n",
        NULL};
    struct desired *a = state(was);
    struct desired *b = state(now);
    struct rendered_anew anew;
    rendered_anew_of(a, b, &anew);
    assert_int_equal(anew.changed.len, 2);
    assert_true(strv_has(&anew.changed, "ConfigMap other"));
    assert_true(strv_has(&anew.changed, "ValidatingWebhookConfiguration trusts-not"));
    assert_int_equal(anew.added.len, 1);
    assert_string_equal(anew.added.v[0], "ConfigMap new");
    assert_int_equal(anew.removed.len, 1);
    assert_string_equal(anew.removed.v[0], "ConfigMap gone");
    assert_int_equal(anew.kept.len, 2);
    assert_true(strv_has(&anew.kept, "Secret made-up"));
    assert_true(strv_has(&anew.kept, "ValidatingWebhookConfiguration trusts"));
    for (size_t i = 0; i < b->objects.len; i++) {
        if (!strcmp(b->objects.v[i].id.kind, "Secret"))
            assert_non_null(strstr(b->objects.v[i].body, "eA=="));
    }
    rendered_anew_clear(&anew);
    desired_free(a);
    desired_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_came_out)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
