// SPDX-License-Identifier: Apache-2.0
#include "base/event.h"

#include "base/clock.h"
#include "tests/test.h"

static void keep(void *ctx, const json_t *event)
{
    json_t **slot = ctx;
    json_decref(*slot);
    *slot = json_deep_copy(event);
}

static void carries_type_time_and_fields(void **s)
{
    (void)s;
    json_auto_t *got = NULL;
    struct event_sink sink = {keep, &got};
    int64_t before = clock_unix_ms();
    event_emit(&sink, "object.applied", "{s:s, s:i}", "name", "web", "ms", 12);
    assert_string_equal(json_string_value(json_object_get(got, "type")), "object.applied");
    assert_string_equal(json_string_value(json_object_get(got, "name")), "web");
    assert_int_equal(json_integer_value(json_object_get(got, "ms")), 12);
    const char *at = json_string_value(json_object_get(got, "at"));
    assert_int_equal(strlen(at), strlen("2026-11-24T09:00:00.123456Z"));
    assert_in_range(clock_parse_rfc3339_ms(at), before, before + 60000);
    event_emit(&sink, "run.ended", NULL);
    assert_int_equal(json_object_size(got), 2);
}

static void says_when_fields_cannot_be_packed(void **s)
{
    (void)s;
    json_auto_t *got = NULL;
    struct event_sink sink = {keep, &got};
    event_emit(&sink, "object.failed", "{s:s}", "message", "not \xff UTF-8");
    assert_string_equal(json_string_value(json_object_get(got, "type")), "object.failed");
    assert_true(json_is_string(json_object_get(got, "fields_lost")));
}

static void may_have_no_listener(void **s)
{
    (void)s;
    struct event_sink none = {0};
    event_emit(NULL, "x", "{s:i}", "a", 1);
    event_emit(&none, "x", "{s:i}", "a", 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(carries_type_time_and_fields),
        cmocka_unit_test(says_when_fields_cannot_be_packed),
        cmocka_unit_test(may_have_no_listener),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
