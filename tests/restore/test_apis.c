// SPDX-License-Identifier: Apache-2.0
//
// What a target does not serve: written in another version, left out, or waited for.
#include "restore/apis.h"

#include "tests/test.h"

struct served {
    const char *group, *version, *kind, *plural;
};

static struct kinds *kinds_of(const struct served *s, size_t n)
{
    struct kinds *k = kinds_new();
    for (size_t i = 0; i < n; i++)
        kinds_add(k, s[i].group, s[i].version, s[i].kind, s[i].plural, true, true);
    return k;
}

static void add(struct desired *d, const char *text)
{
    struct err err = {0};
    struct object o = {.is_namespaced = true};
    CLEANUP(json_freep) json_t *doc = NULL;
    if (!canon_read(text, strlen(text), &doc, &err) || !object_id_of(doc, &o.id, &o.version, &err))
        fail_msg("%s", err.msg);
    if (!strcmp(o.id.kind, "CustomResourceDefinition"))
        kinds_add_crd(d->kinds, doc);
    object_set_body(&o, doc);
    desired_add_object_take(d, &o);
}

static struct desired *state(const char *const *texts, size_t n)
{
    struct err err = {0};
    struct desired *d = desired_new();
    desired_add_app_take(d, application_new_root("root"));
    kinds_add_builtin(d->kinds, 37);
    for (size_t i = 0; i < n; i++)
        add(d, texts[i]);
    assert_true(desired_finish(d, &err));
    return d;
}

static const struct served base[] = {
    {"", "v1", "ConfigMap", "configmaps"},
    {"flowcontrol.apiserver.k8s.io", "v1", "FlowSchema", "flowschemas"},
    {"policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets"},
    {"networking.k8s.io", "v1beta1", "ServiceCIDR", "servicecidrs"},
    {"networking.k8s.io", "v1", "Ingress", "ingresses"},
};

static void expect(const char *object, enum api_fate fate, const char *to)
{
    CLEANUP(kinds_freep) struct kinds *served = kinds_of(base, ARRAY_LEN(base));
    CLEANUP(desired_freep) struct desired *d = state(&object, 1);
    struct api_changes changes = {0};
    apis_settle(d, served, 36, &changes);
    assert_int_equal(changes.v.len, 1);
    assert_int_equal(changes.v.v[0].fate, fate);
    assert_int_equal(api_changes_count(&changes, fate), 1);
    assert_int_equal(d->objects.v[0].is_virtual, fate == API_DROPPED);
    if (to) {
        CLEANUP(json_freep) json_t *doc = object_doc(&d->objects.v[0]);
        CLEANUP(str_freep)
        char *want = str_printf("%s/%s", d->objects.v[0].id.group, to);
        assert_string_equal(changes.v.v[0].to, to);
        assert_string_equal(d->objects.v[0].version, to);
        assert_string_equal(json_dot_str(doc, "apiVersion"), want);
        assert_memory_equal(d->objects.v[0].hash.b,
                            sha256_of(d->objects.v[0].body, d->objects.v[0].body_len).b, 32);
    }
    CLEANUP(str_freep) char *text = api_change_text(d, &changes.v.v[0]);
    assert_non_null(strstr(text, d->objects.v[0].id.name));
    api_changes_clear(&changes);
}

static void moved(void **st)
{
    (void)st;
    expect("{\"apiVersion\":\"flowcontrol.apiserver.k8s.io/v1beta3\",\"kind\":\"FlowSchema\","
           "\"metadata\":{\"name\":\"a\"}}",
           API_MOVED, "v1");
    // To an older cluster as well.
    expect("{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"ServiceCIDR\",\"metadata\":{"
           "\"name\":\"a\"}}",
           API_MOVED, "v1beta1");
    expect("{\"apiVersion\":\"policy/v1beta1\",\"kind\":\"PodDisruptionBudget\",\"metadata\":{"
           "\"name\":\"a\"},\"spec\":{\"selector\":{\"matchLabels\":{\"a\":\"b\"}}}}",
           API_MOVED, "v1");
}

static void dropped(void **st)
{
    (void)st;
    expect("{\"apiVersion\":\"policy/v1beta1\",\"kind\":\"PodSecurityPolicy\",\"metadata\":{"
           "\"name\":\"a\"}}",
           API_DROPPED, NULL);
    // Other fields under the new name.
    expect("{\"apiVersion\":\"networking.k8s.io/v1beta1\",\"kind\":\"Ingress\",\"metadata\":{"
           "\"name\":\"a\",\"namespace\":\"b\"}}",
           API_DROPPED, NULL);
    // An empty selector would begin to mean everything.
    expect("{\"apiVersion\":\"policy/v1beta1\",\"kind\":\"PodDisruptionBudget\",\"metadata\":{"
           "\"name\":\"a\"},\"spec\":{\"selector\":{}}}",
           API_DROPPED, NULL);
}

// What takes its place is named, also where it has other fields.
static void dropped_with_a_successor(void **st)
{
    (void)st;
    const char *object = "{\"apiVersion\":\"networking.k8s.io/v1beta1\",\"kind\":\"Ingress\","
                         "\"metadata\":{\"name\":\"a\",\"namespace\":\"b\"}}";
    CLEANUP(kinds_freep) struct kinds *served = kinds_of(base, ARRAY_LEN(base));
    CLEANUP(desired_freep) struct desired *d = state(&object, 1);
    struct api_changes changes = {0};
    apis_settle(d, served, 36, &changes);
    assert_int_equal(changes.v.len, 1);
    CLEANUP(str_freep) char *text = api_change_text(d, &changes.v.v[0]);
    assert_string_equal(text, "Ingress b/a: networking.k8s.io/v1beta1 is not served; v1 takes its "
                              "place, but is not the same: left out");
    api_changes_clear(&changes);
}

// Served, and sent as it is; from the version on that calls it deprecated.
static void deprecated(void **st)
{
    (void)st;
    static const char *const objects[] = {
        "{\"apiVersion\":\"networking.k8s.io/v1beta1\",\"kind\":\"ServiceCIDR\",\"metadata\":{"
        "\"name\":\"a\"}}",
        "{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"Ingress\",\"metadata\":{"
        "\"name\":\"a\",\"namespace\":\"b\"}}",
        "{\"apiVersion\":\"v1\",\"kind\":\"Endpoints\",\"metadata\":{\"name\":\"a\","
        "\"namespace\":\"b\"}}",
    };
    static const struct served more[] = {
        {"", "v1", "Endpoints", "endpoints"},
        {"networking.k8s.io", "v1beta1", "ServiceCIDR", "servicecidrs"},
        {"networking.k8s.io", "v1", "Ingress", "ingresses"},
    };
    static const struct {
        int minor;
        size_t n;
        const char *first;
    } cases[] = {
        {0, 0, NULL}, // not known
        {32, 0, NULL},
        {33, 1,
         "Endpoints b/a: v1 is deprecated; discovery.k8s.io/v1 EndpointSlice takes its place"},
        {34, 2,
         "ServiceCIDR a: networking.k8s.io/v1beta1 is deprecated, and gone in Kubernetes 1.37; v1 "
         "takes its place"},
    };
    CLEANUP(kinds_freep) struct kinds *served = kinds_of(more, ARRAY_LEN(more));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(desired_freep) struct desired *d = state(objects, ARRAY_LEN(objects));
        struct api_changes changes = {0};
        apis_settle(d, served, cases[i].minor, &changes);
        assert_int_equal(changes.v.len, cases[i].n);
        assert_int_equal(api_changes_count(&changes, API_DEPRECATED), cases[i].n);
        CLEANUP(str_freep) char *text = cases[i].n ? api_change_text(d, &changes.v.v[0]) : NULL;
        assert_true(str_eq(text, cases[i].first));
        for (size_t k = 0; k < d->objects.len; k++)
            assert_false(d->objects.v[k].is_virtual);
        api_changes_clear(&changes);
    }
}

static void awaited(void **st)
{
    (void)st;
    expect("{\"apiVersion\":\"example.com/v1\",\"kind\":\"Widget\",\"metadata\":{\"name\":\"a\"}}",
           API_AWAITED, NULL);
}

static void untouched(void **st)
{
    (void)st;
    static const char *const objects[] = {
        "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\",\"namespace\":"
        "\"b\"}}",
        "{\"apiVersion\":\"apiextensions.k8s.io/v1\",\"kind\":\"CustomResourceDefinition\","
        "\"metadata\":{\"name\":\"widgets.example.com\"},\"spec\":{\"group\":\"example.com\","
        "\"scope\":\"Cluster\",\"names\":{\"kind\":\"Widget\",\"plural\":\"widgets\"},\"versions\":"
        "[{\"name\":\"v1\",\"served\":true,\"storage\":true}]}}",
        "{\"apiVersion\":\"example.com/v1\",\"kind\":\"Widget\",\"metadata\":{\"name\":\"a\"}}",
        "{\"apiVersion\":\"apiregistration.k8s.io/v1\",\"kind\":\"APIService\",\"metadata\":{"
        "\"name\":\"v1.agg.example.com\"}}",
        "{\"apiVersion\":\"agg.example.com/v1\",\"kind\":\"Thing\",\"metadata\":{\"name\":\"a\"}}",
    };
    static const struct served more[] = {
        {"", "v1", "ConfigMap", "configmaps"},
        {"apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions"},
        {"apiregistration.k8s.io", "v1", "APIService", "apiservices"},
    };
    CLEANUP(kinds_freep) struct kinds *served = kinds_of(more, ARRAY_LEN(more));
    CLEANUP(desired_freep) struct desired *d = state(objects, ARRAY_LEN(objects));
    struct api_changes changes = {0};
    apis_settle(d, served, 36, &changes);
    assert_int_equal(changes.v.len, 0);
    api_changes_clear(&changes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moved),
        cmocka_unit_test(dropped),
        cmocka_unit_test(dropped_with_a_successor),
        cmocka_unit_test(deprecated),
        cmocka_unit_test(awaited),
        cmocka_unit_test(untouched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
