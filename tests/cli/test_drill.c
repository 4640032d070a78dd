// SPDX-License-Identifier: Apache-2.0
//
// What is made of findings and of earlier drills.
#include "cli/drilling.h"

#include "tests/test.h"

static enum drill_verdict verdict_of(const enum finding_kind *kinds, size_t n)
{
    struct findings f = {0};
    for (size_t i = 0; i < n; i++)
        findings_add(&f, kinds[i], NULL, NULL, "x");
    enum drill_verdict v = drill_verdict(&f);
    findings_clear(&f);
    return v;
}

static void verdicts(void **state)
{
    (void)state;
    const enum finding_kind live[] = {FINDING_LIVE_MISSING, FINDING_LIVE_DIFFERENT};
    const enum finding_kind unwell[] = {FINDING_LIVE_MISSING, FINDING_UNHEALTHY};
    const enum finding_kind broken[] = {FINDING_UNHEALTHY, FINDING_MISSING_CRD};
    assert_int_equal(verdict_of(NULL, 0), DRILL_GOOD);
    assert_int_equal(verdict_of(live, 2), DRILL_GOOD);
    assert_int_equal(verdict_of(unwell, 2), DRILL_UNPROVEN);
    assert_int_equal(verdict_of(broken, 2), DRILL_BAD);
}

static void trend(void **state)
{
    (void)state;
    CLEANUP(json_freep)
    json_t *history = doc_of("[{verdict: bad, rto_ms: 900, time: d, ageSeconds: 1},"
                             " {verdict: drilled, rto_ms: 100, time: c, ageSeconds: 2},"
                             " {verdict: drilled, time: b, ageSeconds: 3},"
                             " {verdict: drilled, rto_ms: 300, time: a, ageSeconds: 4}]");
    CLEANUP(json_freep) json_t *t = drill_trend(history);
    assert_int_equal(json_dot_int(t, "drills", 0), 4);
    assert_int_equal(json_dot_int(t, "good", 0), 3);
    assert_string_equal(json_dot_str(t, "lastGood"), "c");
    assert_int_equal(json_dot_int(t, "lastGoodAgeSeconds", 0), 2);
    assert_int_equal(json_dot_int(t, "rto_ms_last", 0), 100);
    assert_int_equal(json_dot_int(t, "rto_ms_median", 0), 200);
    CLEANUP(json_freep) json_t *none = json_array();
    CLEANUP(json_freep) json_t *empty = drill_trend(none);
    assert_int_equal(json_dot_int(empty, "drills", -1), 0);
    assert_null(json_object_get(empty, "rto_ms_last"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdicts),
        cmocka_unit_test(trend),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
