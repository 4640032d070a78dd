// SPDX-License-Identifier: Apache-2.0
//
// The clock of the RTO: phases follow one another, and a person's time to answer is not in it.
#include "restore/timeline.h"

#include "base/clock.h"
#include "tests/test.h"

static void is_phase(const struct timeline *t, size_t i, const char *name, long long from,
                     long long ms)
{
    CLEANUP(json_freep) json_t *phases = timeline_phases(t);
    const json_t *p = json_array_get(phases, i);
    assert_string_equal(json_dot_str(p, "name"), name);
    assert_int_equal(json_dot_int(p, "from_ms", -1), from);
    assert_int_equal(json_dot_int(p, "ms", -1), ms);
    assert_int_equal(json_dot_bool(p, "counted", true), strcmp(name, PHASE_CONFIRM) != 0);
}

// Of a drill: its own cluster is made, the live one is asked.
static void what_only_a_drill_does_is_not_counted(void **state)
{
    struct timeline t = {0};
    (void)state;
    timeline_enter(&t, "verify", 1000);
    timeline_enter(&t, PHASE_LIVE, 1200);
    timeline_enter(&t, PHASE_PLANE, 11200);
    timeline_enter(&t, "apply", 17200);
    timeline_end(&t, 17500);
    CLEANUP(json_freep) json_t *phases = timeline_phases(&t);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(json_dot_bool(json_array_get(phases, i), "counted", true), !i || i == 3);
    is_phase(&t, 3, "apply", 200, 300);
    assert_int_equal(timeline_total(&t), 500);
    timeline_clear(&t);
}

static void a_person_is_not_counted(void **state)
{
    struct timeline t = {0};
    (void)state;
    timeline_enter(&t, "verify", 1000);
    timeline_enter(&t, "plan", 1300);
    timeline_enter(&t, PHASE_CONFIRM, 1500);
    timeline_enter(&t, "apply", 61500);
    timeline_split(&t, "healthy", 62500);
    timeline_end(&t, 63000);
    timeline_end(&t, 99000); // has ended
    is_phase(&t, 0, "verify", 0, 300);
    is_phase(&t, 1, "plan", 300, 200);
    is_phase(&t, 2, PHASE_CONFIRM, 500, 60000);
    is_phase(&t, 3, "apply", 500, 1000);
    is_phase(&t, 4, "healthy", 1500, 500);
    assert_int_equal(timeline_total(&t), 2000);
    assert_int_equal(timeline_at(&t, 1400), 400);
    assert_int_equal(timeline_at(&t, 31500), 500); // while the person thinks
    assert_int_equal(timeline_at(&t, 900), 0);
    assert_int_equal(timeline_phase_ms(&t, "apply"), 1000);
    assert_int_equal(timeline_phase_ms(&t, "never"), 0);
    assert_in_range(t.began_unix_ms, 1, clock_unix_ms());
    timeline_clear(&t);
}

// Where the last write was accepted before the phase began, all of it is the new one; and a clock
// that is asked before anything began says nothing.
static void at_the_edges(void **state)
{
    struct timeline t = {0};
    CLEANUP(json_freep) json_t *none = timeline_phases(&t);
    (void)state;
    assert_int_equal(json_array_size(none), 0);
    assert_int_equal(timeline_total(&t), 0);
    timeline_split(&t, "healthy", 5);
    timeline_end(&t, 9);
    assert_int_equal(t.v.len, 0);
    timeline_enter(&t, "apply", 1000);
    timeline_split(&t, "healthy", 900);
    timeline_end(&t, 1200);
    is_phase(&t, 0, "apply", 0, 0);
    is_phase(&t, 1, "healthy", 0, 200);
    timeline_clear(&t);
}

// Writes overlap and come in any order; only where none is on its way for long it is waited.
static void gaps(void **state)
{
    struct timeline t = {0};
    struct timeline_span spans[] = {{5000, 5200}, {1000, 1100}, {1050, 3000}, {3500, 3600}};
    (void)state;
    timeline_gaps(&t, "waiting", spans, 4, 1000); // nothing has begun
    assert_int_equal(t.v.len, 0);
    timeline_enter(&t, "apply", 900);
    timeline_gaps(&t, "waiting", spans, 0, 1000);
    timeline_gaps(&t, "waiting", spans, 4, 1000);
    timeline_split(&t, "healthy", 5200);
    timeline_end(&t, 6000);
    assert_int_equal(t.v.len, 4);
    is_phase(&t, 0, "apply", 0, 2700);
    is_phase(&t, 1, "waiting", 2700, 1400);
    is_phase(&t, 2, "apply", 4100, 200);
    is_phase(&t, 3, "healthy", 4300, 800);
    assert_int_equal(timeline_phase_ms(&t, "apply"), 2900);
    assert_int_equal(timeline_total(&t), 5100);
    timeline_clear(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_person_is_not_counted),
        cmocka_unit_test(what_only_a_drill_does_is_not_counted),
        cmocka_unit_test(at_the_edges),
        cmocka_unit_test(gaps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
