// SPDX-License-Identifier: Apache-2.0
//
// Which revisions were last healthy: what is noted, what of a note is believed, what a status says.
#include "tests/test.h"

#include "gitops/gitops.h"

#define COMMIT "0123456789abcdef0123456789abcdef01234567"
#define OTHER "89abcdef0123456789abcdef0123456789abcdef"

static struct application *app(const char *name, const char *ns, const char *sources)
{
    struct err err = {0};
    struct application *a = NULL;
    struct origin here = {.repo = (char *)"r", .file = (char *)"a.yaml", .line = 1};
    CLEANUP(str_freep)
    char *text =
        str_printf("{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {name: "
                   "%s, namespace: %s}, spec: {project: default, sources: [%s], "
                   "destination: {namespace: x}}}",
                   name, ns, sources);
    CLEANUP(json_freep) json_t *doc = doc_of(text);
    if (!application_parse(doc, &here, &a, &err))
        fail_msg("%s", err.msg);
    return a;
}

static struct desired *world(void)
{
    struct desired *d = desired_new();
    struct application *web = app("web", "argocd", "{repoURL: g, path: web}");
    struct application *shop = app("shop", "team",
                                   "{repoURL: g, path: s}, {repoURL: h, chart: c, "
                                   "targetRevision: 1.0.0}");
    desired_add_app_take(d, application_new_root("my root"));
    desired_add_app_take(d, web);
    desired_add_app_take(d, shop);
    d->root_commit = str_dup(COMMIT);
    strv_push(&web->revisions, COMMIT);
    strv_push(&shop->revisions, OTHER);
    strv_push(&shop->revisions, "1.0.0");
    return d;
}

static void is_text(const json_t *o, const char *key, const char *want)
{
    const char *have = json_string_value(json_object_get(o, key));
    if (!str_eq(have, want))
        fail_msg("%s: %s, not %s", key, have ? have : "absent", want ? want : "absent");
}

static void all_of_it_is_noted(void **state)
{
    struct desired *d CLEANUP(desired_freep) = world();
    size_t left_out = 1;
    (void)state;
    CLEANUP(json_freep) json_t *all = healthy_of_all(d, &left_out);
    assert_int_equal(left_out, 0);
    assert_int_equal(json_object_size(all), 3);
    is_text(all, "my-root", COMMIT); // a ConfigMap has no key with a blank
    is_text(all, "web", COMMIT);
    is_text(all, "team_shop", OTHER ",1.0.0");
}

static void what_is_not_known_or_not_here_is_not(void **state)
{
    struct desired *d CLEANUP(desired_freep) = world();
    size_t left_out;
    (void)state;
    d->apps.v[1]->state = APP_UNKNOWN;
    d->apps.v[2]->state = APP_OTHER_CLUSTER;
    str_freep(&d->root_commit); // a folder
    CLEANUP(json_freep) json_t *all = healthy_of_all(d, &left_out);
    assert_int_equal(json_object_size(all), 0);
}

// A ConfigMap has 1 MiB: the root goes first, and what has no room is counted.
static void it_is_bounded(void **state)
{
    struct desired *d CLEANUP(desired_freep) = world();
    size_t left_out;
    (void)state;
    for (int i = 0; i < 4000; i++) {
        CLEANUP(str_freep) char *name = str_printf("a%0200d", i);
        struct application *a = app(name, "argocd", "{repoURL: g, path: s}");
        strv_push(&a->revisions, COMMIT);
        desired_add_app_take(d, a);
    }
    CLEANUP(json_freep) json_t *all = healthy_of_all(d, &left_out);
    char *text = json_dumps(all, JSON_COMPACT);
    assert_true(strlen(text) < 1U << 20);
    free(text);
    is_text(all, "my-root", COMMIT);
    assert_int_equal(left_out + json_object_size(all), 4003);
    assert_true(left_out > 0);
}

static void hostile_content_does_not_count(void **state)
{
    struct strv odd = {0};
    (void)state;
    CLEANUP(json_freep)
    json_t *map =
        doc_of("{data: {apps: main, web: '" COMMIT "', b: \"\\e[31m\", c: '../../x', d: 7, "
               "e: '', f: 'a b', g: ',,', h: {}, i: '1.2.3+b,sha256:0a,'}}");
    CLEANUP(json_freep) json_t *all = healthy_read(map, "apps", &odd);
    assert_int_equal(json_object_size(all), 2);
    is_text(all, "web", COMMIT);
    is_text(all, "i", "1.2.3+b,sha256:0a,");
    is_text(all, "apps", NULL); // the root's is a commit, or nothing
    assert_int_equal(odd.len, 5);
    assert_non_null(strstr(odd.v[0], "what stands at apps is no revision"));
    strv_clear(&odd);
    CLEANUP(json_freep) json_t *none = healthy_read(NULL, "apps", &odd);
    assert_int_equal(json_object_size(none), 0);
    CLEANUP(json_freep) json_t *list = doc_of("{data: [a, b]}");
    CLEANUP(json_freep) json_t *not_a_map = healthy_read(list, "apps", &odd);
    assert_int_equal(json_object_size(not_a_map), 0);
    assert_int_equal(odd.len, 0);
}

static void what_a_revision_is(void **state)
{
    char text[400];
    (void)state;
    assert_true(healthy_is_commit(COMMIT));
    assert_false(healthy_is_commit("0123456789ABCDEF0123456789abcdef01234567"));
    assert_false(healthy_is_commit("0123"));
    assert_false(healthy_is_commit(""));
    memset(text, 'a', sizeof(text));
    text[HEALTHY_MAX_REVISION] = '\0';
    assert_true(healthy_is_revision(text));
    text[HEALTHY_MAX_REVISION] = 'a';
    text[HEALTHY_MAX_REVISION + 1] = '\0';
    assert_false(healthy_is_revision(text));
}

static void status_is(const char *status, const char *want)
{
    CLEANUP(str_freep) char *text = str_printf("{status: %s}", status);
    CLEANUP(json_freep) json_t *doc = doc_of(text);
    CLEANUP(str_freep) char *have = healthy_of_status(doc);
    if (!str_eq(have, want))
        fail_msg("%s: %s", status, have ? have : "nothing");
}

static void a_status_counts_when_it_is_good(void **state)
{
    (void)state;
    status_is("{sync: {status: Synced, revision: " COMMIT "}, health: {status: Healthy}}", COMMIT);
    status_is("{sync: {status: Synced, revisions: [" COMMIT ", 1.0.0]}, health: {status: Healthy}}",
              COMMIT ",1.0.0");
    status_is("{sync: {status: OutOfSync, revision: " COMMIT "}, health: {status: Healthy}}", NULL);
    status_is("{sync: {status: Synced, revision: " COMMIT "}, health: {status: Degraded}}", NULL);
    status_is("{sync: {status: Synced, revision: 'a b'}, health: {status: Healthy}}", NULL);
    status_is("{sync: {status: Synced}, health: {status: Healthy}}", NULL);
    status_is("[]", NULL);
}

static void of_git_all_has_to_be_the_same(void **state)
{
    struct desired *d CLEANUP(desired_freep) = world();
    const struct application *web = d->apps.v[1];
    const struct application *shop = d->apps.v[2];
    (void)state;
    assert_true(healthy_is_current(web, COMMIT));
    assert_false(healthy_is_current(web, OTHER));
    assert_false(healthy_is_current(web, COMMIT "0"));
    assert_false(healthy_is_current(web, ""));
    assert_true(healthy_is_current(shop, OTHER ",1.0.0"));
    assert_true(healthy_is_current(shop, OTHER ",sha256:77")); // a chart's: by another name
    assert_false(healthy_is_current(shop, COMMIT ",1.0.0"));
}

static void only_what_differs_is_written(void **state)
{
    (void)state;
    CLEANUP(json_freep) json_t *is = doc_of("{a: x, b: y, c: z}");
    CLEANUP(json_freep) json_t *wanted = doc_of("{a: x, b: w, d: v}");
    CLEANUP(json_freep) json_t *patch = healthy_patch(is, wanted);
    CLEANUP(str_freep) char *text = canon_of(patch);
    assert_string_equal(text, "{\"b\":\"w\",\"c\":null,\"d\":\"v\"}");
    assert_null(healthy_patch(wanted, wanted));
    CLEANUP(json_freep) json_t *all = healthy_patch(NULL, wanted);
    assert_true(json_equal(all, wanted));
    assert_null(healthy_patch(NULL, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_it_is_noted),
        cmocka_unit_test(what_is_not_known_or_not_here_is_not),
        cmocka_unit_test(it_is_bounded),
        cmocka_unit_test(hostile_content_does_not_count),
        cmocka_unit_test(what_a_revision_is),
        cmocka_unit_test(a_status_counts_when_it_is_good),
        cmocka_unit_test(of_git_all_has_to_be_the_same),
        cmocka_unit_test(only_what_differs_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
