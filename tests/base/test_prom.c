// SPDX-License-Identifier: Apache-2.0
#include "tests/test.h"

#include <math.h>

#include "base/prom.h"

static void expect(struct buf *b, const char *want)
{
    assert_string_equal(b->p, want);
    buf_reset(b);
}

static void test_heads_and_samples(void **state)
{
    struct buf b CLEANUP(buf_clear) = {0};
    (void)state;
    prom_family(&b, "a_total", "counter", "One\\two\nthree.");
    expect(&b, "# HELP a_total One\\\\two\\nthree.\n# TYPE a_total counter\n");
    prom_sample(&b, "a_total", 3, NULL);
    expect(&b, "a_total 3\n");
    prom_sample(&b, "a_total", 0.5, "x", "1", "none", NULL, "y", "2", NULL);
    expect(&b, "a_total{x=\"1\",y=\"2\"} 0.5\n");
    prom_sample(&b, "a", INFINITY, NULL);
    prom_sample(&b, "a", -INFINITY, NULL);
    prom_sample(&b, "a", NAN, NULL);
    expect(&b, "a +Inf\na -Inf\na NaN\n");
    prom_sample(&b, "a", 1795699112, NULL);
    expect(&b, "a 1795699112\n");
}

static void test_labels_cannot_break_out(void **state)
{
    struct buf b CLEANUP(buf_clear) = {0};
    (void)state;
    prom_sample(&b, "a", 1, "x", "q\"} 9\nb{\\", NULL);
    expect(&b, "a{x=\"q\\\"} 9\\nb{\\\\\"} 1\n");
    prom_sample(&b, "a", 1, "x", "\xff\xc0\xaf\xe2\x82\xac\xed\xa0\x80", NULL);
    expect(&b, "a{x=\"???\xe2\x82\xac???\"} 1\n");
    char long_text[PROM_MAX_LABEL + 10];
    memset(long_text, 'x', sizeof(long_text));
    // The last character that fits is a whole one.
    memcpy(long_text + PROM_MAX_LABEL - 1, "\xc3\xa9", 3);
    prom_sample(&b, "a", 1, "x", long_text, NULL);
    assert_int_equal(b.len, strlen("a{x=\"\"} 1\n") + PROM_MAX_LABEL - 1);
}

static void test_histogram(void **state)
{
    struct buf b CLEANUP(buf_clear) = {0};
    struct prom_histogram h = {0};
    (void)state;
    prom_observe(&h, 0.005);
    prom_observe(&h, 0.3);
    prom_observe(&h, 1000);
    prom_histogram(&b, "s", &h, "app", "x");
    assert_non_null(strstr(b.p, "s_bucket{app=\"x\",le=\"0.005\"} 1\n"));
    assert_non_null(strstr(b.p, "s_bucket{app=\"x\",le=\"0.25\"} 1\n"));
    assert_non_null(strstr(b.p, "s_bucket{app=\"x\",le=\"0.5\"} 2\n"));
    assert_non_null(strstr(b.p, "s_bucket{app=\"x\",le=\"300\"} 2\n"));
    assert_non_null(strstr(b.p, "s_bucket{app=\"x\",le=\"+Inf\"} 3\n"));
    assert_non_null(strstr(b.p, "s_sum{app=\"x\"} 1000.305\n"));
    assert_non_null(strstr(b.p, "s_count{app=\"x\"} 3\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads_and_samples),
        cmocka_unit_test(test_labels_cannot_break_out),
        cmocka_unit_test(test_histogram),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
