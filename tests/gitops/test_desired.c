// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"
#include "tests/test.h"

static struct object object_of(const char *kind, const char *ns, const char *name, unsigned app,
                               const char *file)
{
    return (struct object){
        .id = {str_dup(""), str_dup(kind), str_dup_or_null(ns), str_dup(name)},
        .version = str_dup("v1"),
        .app = app,
        .origin = {.repo = str_dup("platform"), .file = str_dup(file), .line = 3},
    };
}

static void add(struct desired *d, const char *kind, const char *ns, const char *name, unsigned app,
                const char *file)
{
    struct object o = object_of(kind, ns, name, app, file);
    desired_add_object_take(d, &o);
    assert_null(o.id.name);
}

// An identity that borrows its strings.
static struct object_id id_of(const char *kind, const char *ns, const char *name)
{
    return (struct object_id){(char *)"", (char *)kind, (char *)ns, (char *)name};
}

static void found_by_identity(void **s)
{
    (void)s;
    CLEANUP(desired_freep) struct desired *d = desired_new();
    unsigned root = desired_add_app_take(d, application_new_root("root"));
    unsigned web = desired_add_app_take(d, application_new_root("web"));
    add(d, "Service", "b", "x", root, "a.yaml");
    add(d, "Namespace", NULL, "b", root, "a.yaml");
    add(d, "Service", "a", "x", web, "a.yaml");
    add(d, "ConfigMap", "a", "x", web, "a.yaml");
    struct err err = {0};
    assert_true(desired_finish(d, &err));
    for (size_t i = 0; i < d->objects.len; i++)
        assert_ptr_equal(desired_find(d, &d->objects.v[i].id), &d->objects.v[i]);
    struct object_id id = id_of("Service", "c", "x");
    assert_null(desired_find(d, &id));
    id = id_of("Namespace", NULL, "b");
    assert_int_equal(desired_find(d, &id)->app, root);
    id = (struct object_id){NULL, NULL, NULL, NULL};
    assert_null(desired_find(d, &id));
    assert_int_equal(desired_find_app(d, "web"), web);
    assert_int_equal(desired_find_app(d, "none"), -1);
    assert_int_equal(desired_app_objects(d, root), 2);
    assert_int_equal(desired_app_objects(d, web), 2);
    const unsigned *of = NULL;
    for (unsigned app = 0; app < 2; app++) {
        assert_int_equal(desired_objects_of(d, app, &of), 2);
        assert_true(of[0] < of[1]);
        assert_int_equal(d->objects.v[of[0]].app, app);
        assert_int_equal(d->objects.v[of[1]].app, app);
    }
    assert_int_equal(desired_objects_of(d, 2, &of), 0);
}

static void owned_twice(void **s)
{
    (void)s;
    CLEANUP(desired_freep) struct desired *d = desired_new();
    desired_add_app_take(d, application_new_root("one"));
    desired_add_app_take(d, application_new_root("two"));
    add(d, "ConfigMap", "a", "x", 0, "first.yaml");
    add(d, "ConfigMap", "a", "y", 0, "first.yaml");
    add(d, "ConfigMap", "a", "x", 1, "second.yaml");
    struct err err = {0};
    assert_false(desired_finish(d, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    assert_string_equal(err.msg,
                        "ConfigMap a/x is owned twice: by application one (first.yaml:3 in "
                        "platform) and by application two (second.yaml:3 in platform)");
    assert_non_null(err.hint);
    err_clear(&err);
}

static void empty(void **s)
{
    (void)s;
    CLEANUP(desired_freep) struct desired *d = desired_new();
    struct err err = {0};
    struct object_id id = id_of("Pod", "a", "x");
    assert_null(desired_find(d, &id));
    assert_true(desired_finish(d, &err));
    assert_null(desired_find(d, &id));
    assert_int_equal(desired_find_app(d, "root"), -1);
}

static void many(void **s)
{
    (void)s;
    CLEANUP(desired_freep) struct desired *d = desired_new();
    for (unsigned a = 0; a < 1000; a++) {
        CLEANUP(str_freep) char *name = str_printf("app-%u", a);
        desired_add_app_take(d, application_new_root(name));
    }
    for (unsigned i = 0; i < 15000; i++) {
        CLEANUP(str_freep) char *name = str_printf("object-%u", i * 7919 % 15000);
        add(d, i % 2 ? "ConfigMap" : "Service", "team", name, i % 1000, "a.yaml");
    }
    struct err err = {0};
    int64_t start = clock_mono_ms();
    assert_true(desired_finish(d, &err));
    for (size_t i = 0; i < d->objects.len; i++)
        assert_ptr_equal(desired_find(d, &d->objects.v[i].id), &d->objects.v[i]);
    // Tens of milliseconds; the bound leaves room for sanitizers on a busy machine.
    assert_true(clock_mono_ms() - start < 1500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(found_by_identity),
        cmocka_unit_test(owned_twice),
        cmocka_unit_test(empty),
        cmocka_unit_test(many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
