// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/pool.h"
#include "base/proc.h"
#include "tests/test.h"

static void durations(void **s)
{
    (void)s;
    int64_t ms;
    assert_true(str_to_duration_ms("1h30m", &ms) && ms == 5400000);
    assert_true(str_to_duration_ms("500ms", &ms) && ms == 500);
    assert_true(str_to_duration_ms("10", &ms) && ms == 10000);
    assert_false(str_to_duration_ms("soon", &ms));
    CLEANUP(str_freep) char *t = clock_duration_text(300000);
    assert_string_equal(t, "5:00");
}

static void times(void **s)
{
    (void)s;
    assert_int_equal(clock_parse_rfc3339_ms("1970-01-01T00:00:01.500Z"), 1500);
    assert_int_equal(clock_parse_rfc3339_ms("1970-01-01T01:00:00+01:00"), 0);
    assert_int_equal(clock_parse_rfc3339_ms("1970-01-01"), -1);
    CLEANUP(str_freep) char *t = clock_rfc3339_us(1500000);
    assert_string_equal(t, "1970-01-01T00:00:01.500000Z");
}

static void paths(void **s)
{
    (void)s;
    CLEANUP(str_freep) char *p = NULL;
    assert_true(path_clean("a/./b//c/../d", &p));
    assert_string_equal(p, "a/b/d");
    assert_false(path_clean("../x", &p));
    assert_false(path_clean("/x", &p));
}

static void files(void **s)
{
    (void)s;
    struct err err = {0};
    char *dir CLEANUP(dir_temp_cleanup) = NULL;
    assert_true(dir_make_temp("regrow-test", &dir, &err));
    CLEANUP(str_freep) char *f = path_join(dir, "a");
    assert_true(file_replace(f, "hello", 5, 0600, &err));
    struct buf b CLEANUP(buf_clear) = {0};
    assert_true(file_read(f, 5, &b, &err));
    assert_string_equal(b.p, "hello");
    assert_false(file_read(f, 4, &b, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    err_clear(&err);
    // Removal does not follow links.
    CLEANUP(str_freep) char *sub = path_join(dir, "sub");
    CLEANUP(str_freep) char *link = path_join(sub, "l");
    assert_true(dir_make(sub, 0700, &err));
    assert_int_equal(symlink(f, link), 0);
    assert_true(dir_remove(sub, &err));
    assert_true(file_exists(f));
}

static void children(void **s)
{
    (void)s;
    struct err err = {0};
    struct proc_result r = {0};
    const char *argv[] = {"sh", "-c", "cat; echo bad >&2; exit 3", NULL};
    const char *env[] = {"PATH=/usr/bin:/bin", NULL};
    struct proc_opts o = {.argv = argv, .env = env, .in = "in", .in_len = 2};
    assert_true(proc_run(&o, &r, &err));
    assert_int_equal(r.exit_code, 3);
    assert_string_equal(r.out.p, "in");
    assert_string_equal(r.err_text.p, "bad\n");
    proc_result_clear(&r);

    const char *loop[] = {"sh", "-c", "sleep 30 & sleep 30", NULL};
    o = (struct proc_opts){.argv = loop, .env = env, .timeout_ms = 100};
    int64_t start = clock_mono_ms();
    assert_false(proc_run(&o, &r, &err));
    assert_int_equal(err.kind, ERR_TIMEOUT);
    assert_true(clock_mono_ms() - start < 5000);
    err_clear(&err);
    proc_result_clear(&r);

    const char *big[] = {"sh", "-c", "yes | head -c 100000", NULL};
    o = (struct proc_opts){.argv = big, .env = env, .max_out_bytes = 1000};
    assert_false(proc_run(&o, &r, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    err_clear(&err);
    proc_result_clear(&r);

    const char *none[] = {"no-such-program", NULL};
    o = (struct proc_opts){.argv = none, .env = env};
    assert_false(proc_run(&o, &r, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    err_clear(&err);
    proc_result_clear(&r);
}

static void count_up(void *ctx)
{
    ++*(int *)ctx;
}

static void count_done(void *ctx, bool cancelled)
{
    (void)cancelled;
    ++*(int *)ctx;
}

static void loop_and_pool(void **s)
{
    (void)s;
    struct loop *l CLEANUP(loop_freep) = loop_new(NULL);
    int fired = 0;
    struct loop_timer *t = loop_timer_new(l, count_up, &fired);
    loop_timer_set(t, 5);
    for (int i = 0; i < 100 && !fired; i++)
        loop_run_once(l, 20);
    assert_int_equal(fired, 1);
    loop_timer_set(t, 5);
    loop_timer_stop(t);
    loop_run_once(l, 20);
    assert_int_equal(fired, 1);
    loop_timer_free(t);

    int n[8] = {0};
    struct pool *p = pool_new(l, 2);
    for (int i = 0; i < 8; i++)
        pool_submit(p, count_up, count_done, &n[i]);
    for (int i = 0; i < 200; i++) {
        int done = 0;
        for (int k = 0; k < 8; k++)
            done += n[k] == 2;
        if (done == 8)
            break;
        loop_run_once(l, 20);
    }
    pool_free(p);
    for (int k = 0; k < 8; k++)
        assert_int_equal(n[k], 2);
}

static void errors(void **s)
{
    (void)s;
    struct err err = {0};
    assert_false(err_set(&err, ERR_NOT_FOUND, "no %s", "thing"));
    assert_false(err_wrap(&err, "read"));
    assert_string_equal(err.msg, "read: no thing");
    assert_int_equal(err_exit_code(err.kind), 4);
    err_clear(&err);
}

static void base64(void **s)
{
    (void)s;
    struct buf e CLEANUP(buf_clear) = {0};
    struct buf d CLEANUP(buf_clear) = {0};
    buf_base64(&e, "hello", 5);
    assert_string_equal(e.p, "aGVsbG8=");
    assert_true(base64_decode(e.p, e.len, &d));
    assert_string_equal(d.p, "hello");
    assert_false(base64_decode("!!!", 3, &d));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations), cmocka_unit_test(times),    cmocka_unit_test(paths),
        cmocka_unit_test(files),     cmocka_unit_test(children), cmocka_unit_test(loop_and_pool),
        cmocka_unit_test(errors),    cmocka_unit_test(base64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
