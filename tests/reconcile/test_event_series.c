// SPDX-License-Identifier: Apache-2.0
//
// Kubernetes events of an object that flaps: counted, and never more than the bound.
#include <string.h>

#include "reconcile/event_series.h"
#include "tests/test.h"

#define START 1000
#define HOUR_MS 3600000

// An object that turns every second, for an hour: each turn is news, none of them told before.
static void bounded(void **state)
{
    (void)state;
    struct event_series s = {0};
    size_t told = 0;
    for (int64_t ms = 0; ms < HOUR_MS; ms += 1000) {
        CLEANUP(str_freep) char *text = str_printf("ResourceUpdated turn %lld", (long long)ms);
        told += event_series_add(&s, "web", text, START + ms) != NULL;
        assert_true(s.v.len <= EVENTS_REMEMBERED);
        if (ms == 60000)
            assert_int_equal(told, EVENT_BURST);
    }
    assert_true(told >= EVENT_BURST + 10);
    assert_true(told <= EVENT_BURST + HOUR_MS / EVENT_REFILL_MS);
    event_series_clear(&s);
}

// Back and forth between two: two events, counted, and these writes have the same bound.
static void counted(void **state)
{
    (void)state;
    struct event_series s = {0};
    CLEANUP(str_freep) char *first = NULL;
    size_t news = 0;
    size_t writes = 0;
    for (int i = 0; i < 100; i++) {
        const struct event_told *t = event_series_add(
            &s, "web", i % 2 ? "Updated -> Healthy" : "Updated -> Degraded", START + i);
        news += t && t->count == 1;
        writes += t != NULL;
        if (!i)
            first = str_dup(t->name);
        if (t && i % 2 == 0)
            assert_string_equal(t->name, first);
    }
    assert_int_equal(news, 2);
    assert_int_equal(writes, EVENT_BURST);
    assert_int_equal(s.v.v[0].count, (EVENT_BURST + 1) / 2);
    event_series_clear(&s);
}

// What was long ago is an event of its own; what was saved up is no more than a burst.
static void rests(void **state)
{
    (void)state;
    struct event_series s = {0};
    const struct event_told *t = event_series_add(&s, "web", "a", START);
    assert_int_equal(t->count, 1);
    t = event_series_add(&s, "web", "a", START + EVENT_SAME_MS - 1);
    assert_int_equal(t->count, 2);
    t = event_series_add(&s, "web", "a", START + 3 * (int64_t)EVENT_SAME_MS);
    assert_int_equal(t->count, 1);
    size_t told = 0;
    for (int i = 0; i < 100; i++)
        told += event_series_add(&s, "web", "b", START + 1000 * (int64_t)HOUR_MS) != NULL;
    assert_int_equal(told, EVENT_BURST);
    event_series_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(bounded), cmocka_unit_test(counted),
                                       cmocka_unit_test(rests)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
