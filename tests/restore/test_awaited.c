// SPDX-License-Identifier: Apache-2.0
//
// What holds data that no snapshot has, and how acts of others are called.
#include "restore/awaited.h"

#include "tests/test.h"

#define OBJECT(api, kind, name, more)                                                              \
    "{\"apiVersion\":\"" api "\",\"kind\":\"" kind "\",\"metadata\":{\"name\":\"" name             \
    "\",\"namespace\":\"shop\"}" more "}"

static struct desired *state(const char *const *texts, size_t n)
{
    struct err err = {0};
    struct desired *d = desired_new();
    desired_add_app_take(d, application_new_root("root"));
    kinds_add_builtin(d->kinds, 37);
    for (size_t i = 0; i < n; i++) {
        struct object o = {.is_namespaced = true};
        CLEANUP(json_freep) json_t *doc = NULL;
        if (!canon_read(texts[i], strlen(texts[i]), &doc, &err) ||
            !object_id_of(doc, &o.id, &o.version, &err))
            fail_msg("%s", err.msg);
        object_set_body(&o, doc);
        desired_add_object_take(d, &o);
    }
    assert_true(desired_finish(d, &err));
    return d;
}

static void volumes(void **st)
{
    static const char *const texts[] = {
        OBJECT("v1", "PersistentVolumeClaim", "data", ",\"spec\":{}"),
        OBJECT("apps/v1", "StatefulSet", "with", ",\"spec\":{\"volumeClaimTemplates\":[{}]}"),
        OBJECT("apps/v1", "StatefulSet", "without", ",\"spec\":{\"replicas\":1}"),
        OBJECT("apps/v1", "Deployment", "web", ",\"spec\":{}"),
        OBJECT("v1", "PersistentVolumeClaim", "not-sent", ",\"spec\":{}"),
    };
    (void)st;
    CLEANUP(desired_freep) struct desired *d = state(texts, ARRAY_LEN(texts));
    CLEANUP(json_freep) json_t *out = json_array();
    struct partial all = {0};
    for (size_t i = 0; i < d->objects.len; i++)
        if (!strcmp(d->objects.v[i].id.name, "not-sent"))
            d->objects.v[i].is_virtual = true;
    awaited_volumes(d, &all, out);
    assert_int_equal(json_array_size(out), 2);
    struct strv names = {0};
    for (size_t i = 0; i < 2; i++) {
        const json_t *one = json_array_get(out, i);
        assert_string_equal(json_dot_str(one, "kind"), "volume");
        assert_string_equal(json_dot_str(one, "application"), "root");
        assert_non_null(strstr(json_dot_str(one, "message"), "came back empty"));
        strv_push(&names, json_dot_str(one, "object"));
    }
    strv_sort(&names);
    assert_string_equal(names.v[0], "PersistentVolumeClaim shop/data");
    assert_string_equal(names.v[1], "StatefulSet shop/with");
    strv_clear(&names);
}

static void words(void **st)
{
    static const char *const kinds[] = {"certificate", "load-balancer",  "dns",     "secret-store",
                                        "volume",      "cloud-resource", "external"};
    (void)st;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (!*awaited_text(kinds[i]))
            fail_msg("%s has no words", kinds[i]);
    assert_string_equal(awaited_text("dns"), "the DNS");
    assert_string_equal(awaited_text("nonsense"), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(volumes),
        cmocka_unit_test(words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
