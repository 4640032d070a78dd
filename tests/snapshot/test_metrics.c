// SPDX-License-Identifier: Apache-2.0
//
// What monitoring is told: of good, suspect and failed runs, and what stays from the one before.
#include "snapshot/metrics.h"

#include <sys/stat.h>

#include "base/file.h"
#include "tests/test.h"

static char *text(const struct metrics *m, const char *before)
{
    struct buf b = {0};
    metrics_text(m, before, &b);
    return buf_take(&b);
}

static struct create_result result(uint64_t seq, bool is_good)
{
    struct create_result r = {0};
    r.entry.seq = seq;
    r.entry.stored_at_ms = 900000;
    r.entry.snapshot.is_good = is_good;
    r.entry.snapshot.counts.objects = 7;
    r.entry.snapshot.bytes.added = 5;
    r.last_good.seq = 3;
    r.last_good.at_ms = 500000;
    return r;
}

static void expect(const char *text, const char *line)
{
    CLEANUP(str_freep) char *whole = str_printf("\nregrow_snapshot_%s\n", line);
    if (!strstr(text, whole))
        fail_msg("no line %s in:\n%s", line, text);
}

static void good(void **state)
{
    (void)state;
    struct create_result r = result(4, true);
    struct metrics m = {"prod", 1000, 2500, 0, &r};
    CLEANUP(str_freep) char *t = text(&m, NULL);
    expect(t, "last_success_timestamp_seconds{chain=\"prod\"} 1000");
    expect(t, "last_good_timestamp_seconds{chain=\"prod\"} 1000");
    expect(t, "last_good_seq{chain=\"prod\"} 4");
    expect(t, "last_run_duration_seconds{chain=\"prod\"} 2.5");
    expect(t, "suspect{chain=\"prod\"} 0");
    expect(t, "added_bytes{chain=\"prod\"} 5");
    r.is_unchanged = true;
    CLEANUP(str_freep) char *same = text(&m, NULL);
    expect(same, "last_success_timestamp_seconds{chain=\"prod\"} 1000");
    expect(same, "last_good_timestamp_seconds{chain=\"prod\"} 900");
    expect(same, "added_bytes{chain=\"prod\"} 0");
}

static void suspect_then_failed(void **state)
{
    (void)state;
    struct create_result r = result(4, true);
    struct metrics m = {"prod", 1000, 1, 0, &r};
    CLEANUP(str_freep) char *first = text(&m, NULL);
    struct create_result s = result(5, false);
    s.last_good.seq = 4;
    s.last_good.at_ms = 1000000;
    struct metrics n = {"prod", 2000, 1, 10, &s};
    CLEANUP(str_freep) char *second = text(&n, first);
    expect(second, "last_success_timestamp_seconds{chain=\"prod\"} 1000");
    expect(second, "last_good_seq{chain=\"prod\"} 4");
    expect(second, "suspect{chain=\"prod\"} 1");
    struct metrics o = {"prod", 3000, 1, 7, NULL};
    CLEANUP(str_freep) char *third = text(&o, second);
    expect(third, "last_success_timestamp_seconds{chain=\"prod\"} 1000");
    expect(third, "last_good_seq{chain=\"prod\"} 4");
    expect(third, "last_run_exit_code{chain=\"prod\"} 7");
    assert_null(strstr(third, "\nregrow_snapshot_suspect"));
    // Nothing was before: nothing is made up.
    CLEANUP(str_freep) char *alone = text(&o, NULL);
    assert_null(strstr(alone, "success"));
}

static void strange_chain(void **state)
{
    (void)state;
    struct metrics m = {"a\"b\\c\nd", 1, 1, 2, NULL};
    CLEANUP(str_freep) char *t = text(&m, "regrow_snapshot_last_good_seq");
    expect(t, "last_run_exit_code{chain=\"a\\\"b\\\\c\\nd\"} 2");
    assert_null(strstr(t, "last_good_seq"));
}

static void to_a_file(void **state)
{
    (void)state;
    CLEANUP(dir_temp_cleanup) char *dir = NULL;
    struct err err = {0};
    struct stat st;
    struct create_result r = result(4, true);
    struct metrics m = {"prod", 1000, 1, 0, &r};
    struct metrics failed = {"prod", 2000, 1, 7, NULL};
    struct buf b CLEANUP(buf_clear) = {0};
    assert_true(dir_make_temp("test-metrics", &dir, &err));
    CLEANUP(str_freep) char *file = path_join(dir, "x.prom");
    assert_true(metrics_write(&m, file, &err));
    assert_true(metrics_write(&failed, file, &err));
    assert_true(file_read(file, 65536, &b, &err));
    expect(b.p, "last_success_timestamp_seconds{chain=\"prod\"} 1000");
    expect(b.p, "last_run_exit_code{chain=\"prod\"} 7");
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644);
    assert_false(metrics_write(&m, "/nowhere/x.prom", &err));
    err_clear(&err);
    assert_false(metrics_push(&m, "ftp://x", NULL, NULL, &err));
    assert_int_equal(err.kind, ERR_USAGE);
    err_clear(&err);
}

// Of a drill: what this run does not know stays as it was.
static void other_runs(void **state)
{
    (void)state;
    struct metric_row rows[] = {{"at", "When.", 7, true}, {"rto_seconds", "How long.", 1.5, true}};
    struct metric_set s = {"regrow_drill_", "a\"b", rows, 2};
    struct buf first CLEANUP(buf_clear) = {0};
    struct buf then CLEANUP(buf_clear) = {0};
    metric_set_text(&s, NULL, &first);
    assert_non_null(strstr(first.p, "\nregrow_drill_rto_seconds{chain=\"a\\\"b\"} 1.5\n"));
    rows[0].value = 8;
    rows[1] = (struct metric_row){"rto_seconds", "How long.", 0, false};
    metric_set_text(&s, first.p, &then);
    assert_non_null(strstr(then.p, "regrow_drill_at{chain=\"a\\\"b\"} 8\n"));
    assert_non_null(strstr(then.p, "\nregrow_drill_rto_seconds{chain=\"a\\\"b\"} 1.5\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_runs), cmocka_unit_test(good), cmocka_unit_test(suspect_then_failed),
        cmocka_unit_test(strange_chain), cmocka_unit_test(to_a_file)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
