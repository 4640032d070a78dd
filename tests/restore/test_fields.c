// SPDX-License-Identifier: Apache-2.0
//
// Fields that an OpenAPI document does not know, by the cases of tests/restore/cases/fields.
#include "restore/fields.h"

#include "tests/cases.h"

static void one(const json_t *c, const char *name)
{
    const json_t *object = json_object_get(c, "object");
    const json_t *left = json_object_get(c, "left");
    const json_t *want = json_object_get(c, "unknown");
    CLEANUP(json_freep)
    json_t *openapi =
        json_pack("{s:{s:O}}", "components", "schemas", json_object_get(c, "schemas"));
    CLEANUP(json_freep) json_t *doc = json_deep_copy(object);
    struct strv paths = {0};
    fields_take_out(openapi, "example", "v1", "Thing", doc, &paths);
    if (paths.len != json_array_size(want))
        fail_msg("%s: %zu fields, such as %s", name, paths.len, paths.len ? paths.v[0] : "none");
    for (size_t i = 0; i < paths.len; i++)
        if (!strv_has(&paths, json_string_value(json_array_get(want, i))))
            fail_msg("%s: %s is not wanted", name, paths.v[i]);
    if (!json_equal(doc, (json_t *)(left ? left : object)))
        fail_msg("%s: %s is left", name, json_dumps(doc, JSON_COMPACT));
    strv_clear(&paths);
}

static void cases(void **s)
{
    (void)s;
    cases_each("restore/cases/fields", one);
}

// What a server says may be made to take for ever.
static void bounded(void **s)
{
    (void)s;
    CLEANUP(json_freep)
    json_t *openapi =
        doc_of("{components: {schemas: {T: {x-kubernetes-group-version-kind: [{group: "
               "example, version: v1, kind: Thing}], properties: {a: {type: object, "
               "properties: {b: {type: string}}}}}}}}");
    json_t *many = json_object();
    CLEANUP(json_freep) json_t *doc = json_pack("{s:o}", "a", many);
    for (int i = 0; i < 5000; i++) {
        char key[16];
        snprintf(key, sizeof(key), "f%d", i);
        json_object_set_new(many, key, json_integer(i));
    }
    struct strv paths = {0};
    fields_take_out(openapi, "example", "v1", "Thing", doc, &paths);
    assert_int_equal(paths.len, 200);
    strv_clear(&paths);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(cases), cmocka_unit_test(bounded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
