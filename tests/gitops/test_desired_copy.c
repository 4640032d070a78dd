// SPDX-License-Identifier: Apache-2.0
//
// A copy of a desired state says the same and shares nothing.
#include "tests/test.h"

static struct application *app_of(const char *name)
{
    struct err err = {0};
    struct application *a = NULL;
    struct origin where = {.repo = (char *)"platform", .file = (char *)"a.yaml", .line = 3};
    CLEANUP(json_freep)
    json_t *doc = json_pack(
        "{s:s, s:s, s:{s:s, s:s, s:{s:s}}, s:{s:s, s:{s:s}, s:{s:s, s:s}, s:{s:{}}, s:[{s:s}]}}",
        "apiVersion", "argoproj.io/v1alpha1", "kind", "Application", "metadata", "name", name,
        "namespace", "argocd", "annotations", "argocd.argoproj.io/sync-wave", "4", "spec",
        "project", "default", "destination", "name", "c1", "source", "repoURL",
        "https://git.example.com/a.git", "path", "x", "syncPolicy", "automated",
        "ignoreDifferences", "kind", "ConfigMap");
    assert_true(application_parse(doc, &where, &a, &err));
    return a;
}

static void add_object(struct desired *d, unsigned app, const char *name)
{
    struct object o = {.id = {str_dup(""), str_dup("ConfigMap"), str_dup("web"), str_dup(name)},
                       .version = str_dup("v1"),
                       .app = app,
                       .wave = 2,
                       .origin = {.repo = str_dup("platform")}};
    CLEANUP(json_freep)
    json_t *doc = json_pack("{s:s, s:s, s:{s:s, s:s}}", "apiVersion", "v1", "kind", "ConfigMap",
                            "metadata", "name", name, "namespace", "web");
    object_set_body(&o, doc);
    desired_add_object_take(d, &o);
}

static void says_the_same(void **s)
{
    (void)s;
    struct err err = {0};
    struct desired *d = desired_new();
    desired_add_app_take(d, application_new_root("root"));
    struct application *a = app_of("web");
    a->parent = 0;
    a->revision_text = str_dup("3f9c2e1");
    strv_push(&a->revisions, "3f9c2e1aaaa");
    desired_add_app_take(d, a);
    struct application *u = application_new_unknown("broken", NULL);
    u->parent = 0;
    u->is_passing = true;
    err_set(&u->problem, ERR_INVALID, "it is none");
    desired_add_app_take(d, u);
    d->root_name = str_dup("root");
    d->root_commit = str_dup("3f9c2e1aaaa");
    kinds_add(d->kinds, "example.com", "v1", "Thing", "things", true, true);
    kinds_set_verbs(d->kinds, "example.com", "v1", "Thing", false, true);
    *vec_push(&d->projects) = json_pack("{s:s}", "kind", "AppProject");
    add_object(d, 1, "b");
    add_object(d, 1, "a");
    assert_true(desired_finish(d, &err));

    CLEANUP(desired_freep) struct desired *x = desired_dup(d);
    const json_t *borrowed = d->apps.v[1]->doc;
    assert_ptr_not_equal(x->apps.v[1]->doc, borrowed);
    assert_ptr_not_equal(x->projects.v[0], d->projects.v[0]);
    assert_null(x->objects.v[0].shares);
    desired_free(d); // whatever is shared is gone now

    assert_string_equal(x->root_commit, "3f9c2e1aaaa");
    assert_int_equal(x->apps.len, 3);
    assert_int_equal(x->apps.v[0]->parent, -1);
    assert_null(x->apps.v[0]->doc);
    assert_string_equal(x->apps.v[1]->revisions.v[0], "3f9c2e1aaaa");
    assert_int_equal(x->apps.v[1]->wave, 4);
    assert_true(x->apps.v[1]->has_automated);
    assert_string_equal(json_dot_str(json_array_get(x->apps.v[1]->ignore_differences, 0), "kind"),
                        "ConfigMap");
    assert_string_equal(x->apps.v[1]->origin.file, "a.yaml");
    assert_int_equal(x->apps.v[2]->state, APP_UNKNOWN);
    assert_true(x->apps.v[2]->is_passing);
    assert_string_equal(x->apps.v[2]->problem.msg, "it is none");
    struct object_id id = {(char *)"", (char *)"ConfigMap", (char *)"web", (char *)"a"};
    const struct object *o = desired_find(x, &id);
    assert_non_null(o);
    assert_int_equal(o->wave, 2);
    CLEANUP(json_freep) json_t *doc = object_doc(o);
    assert_string_equal(json_dot_str(doc, "metadata.name"), "a");
    const struct kind_info *k = kinds_find(x->kinds, "example.com", "v1", "Thing");
    assert_non_null(k);
    assert_true(k->is_served && k->is_namespaced && !k->can_patch && k->can_list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(says_the_same)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
