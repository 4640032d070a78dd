// SPDX-License-Identifier: Apache-2.0
#include "base/loop.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "tests/test.h"

struct seen {
    struct loop *loop;
    int fd;
    int count;
    char order[64];
    uint32_t events;
};

static void until(struct loop *l, const int *count, int wanted)
{
    int64_t end = clock_mono_ms() + 5000;
    while (*count < wanted && clock_mono_ms() < end)
        loop_run_once(l, 50);
    assert_int_equal(*count, wanted);
}

static void on_readable(void *ctx, uint32_t events)
{
    struct seen *s = ctx;
    char c;
    assert_int_equal(read(s->fd, &c, 1), 1);
    s->count++;
    s->events = events;
}

static void never(void *ctx, uint32_t events)
{
    (void)ctx;
    (void)events;
    fail_msg("called for a descriptor that is not watched");
}

static void watches_descriptors(void **state)
{
    (void)state;
    struct loop *l CLEANUP(loop_freep) = loop_new(NULL);
    int p[2];
    assert_int_equal(pipe(p), 0);
    struct seen s = {.fd = p[0]};
    loop_fd_set(l, p[0], EPOLLIN, on_readable, &s);
    loop_run_once(l, 0);
    assert_int_equal(s.count, 0);
    assert_int_equal(write(p[1], "abc", 3), 3);
    until(l, &s.count, 3); // level-triggered
    assert_true(s.events & EPOLLIN);
    assert_int_equal(write(p[1], "d", 1), 1);
    loop_fd_set(l, p[0], EPOLLIN, never, NULL);
    loop_fd_del(l, p[0]);
    loop_fd_del(l, p[0]);
    loop_fd_del(l, 12345);
    loop_fd_del(l, -1);
    loop_run_once(l, 10);
    assert_int_equal(s.count, 3);
    close(p[0]);
    close(p[1]);
}

// Closed without loop_fd_del, and the number used again: the new owner's events arrive.
static void a_number_may_be_used_again(void **state)
{
    (void)state;
    struct loop *l CLEANUP(loop_freep) = loop_new(NULL);
    int a[2];
    int b[2];
    assert_int_equal(pipe(a), 0);
    loop_fd_set(l, a[0], EPOLLIN, never, NULL);
    close(a[0]);
    close(a[1]);
    assert_int_equal(pipe(b), 0);
    assert_int_equal(a[0], b[0]);
    struct seen s = {.fd = b[0]};
    loop_fd_set(l, b[0], EPOLLIN, on_readable, &s);
    assert_int_equal(write(b[1], "x", 1), 1);
    until(l, &s.count, 1);
    loop_fd_del(l, b[0]);
    close(b[0]);
    close(b[1]);
}

struct pair {
    struct loop *loop;
    int fd[2];
    int count;
};

static void takes_the_other_away(void *ctx, uint32_t events)
{
    struct pair *p = ctx;
    (void)events;
    p->count++;
    loop_fd_del(p->loop, p->fd[0]);
    loop_fd_del(p->loop, p->fd[1]);
}

// Both are ready in one round; whichever comes first removes both, and the other stays silent.
static void a_callback_may_remove_itself_and_others(void **state)
{
    (void)state;
    struct loop *l CLEANUP(loop_freep) = loop_new(NULL);
    int a[2];
    int b[2];
    assert_true(pipe(a) == 0 && pipe(b) == 0);
    struct pair p = {.loop = l, .fd = {a[0], b[0]}};
    loop_fd_set(l, a[0], EPOLLIN, takes_the_other_away, &p);
    loop_fd_set(l, b[0], EPOLLIN, takes_the_other_away, &p);
    assert_true(write(a[1], "x", 1) == 1 && write(b[1], "x", 1) == 1);
    for (int i = 0; i < 3; i++)
        loop_run_once(l, 5);
    assert_int_equal(p.count, 1);
    int all[] = {a[0], a[1], b[0], b[1]};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        close(all[i]);
}

static void count_up(void *ctx)
{
    ++*(int *)ctx;
}

static void one_shot_timers(void **state)
{
    (void)state;
    struct loop *l CLEANUP(loop_freep) = loop_new(NULL);
    int fired = 0;
    struct loop_timer *t = loop_timer_new(l, count_up, &fired);
    assert_false(loop_timer_is_set(t));
    int64_t start = clock_mono_ms();
    loop_timer_set(t, 30);
    assert_true(loop_timer_is_set(t));
    until(l, &fired, 1);
    assert_true(clock_mono_ms() - start >= 30);
    assert_false(loop_timer_is_set(t));
    loop_timer_set(t, 1);
    loop_timer_stop(t);
    loop_timer_stop(t);
    loop_run_once(l, 10);
    assert_int_equal(fired, 1);
    loop_timer_set(t, 100000);
    loop_timer_set(t, 1); // the later word counts
    until(l, &fired, 2);
    loop_timer_free(t);
    loop_timer_free(NULL);
}

struct numbered {
    struct seen *seen;
    struct loop_timer *timer;
    int64_t at;
    bool was_stopped;
};

static void note_order(void *ctx)
{
    struct numbered *n = ctx;
    assert_false(n->was_stopped);
    // Later timers fire later: the last one's time is kept in events.
    assert_true(n->at >= n->seen->fd);
    n->seen->fd = (int)n->at;
    n->seen->count++;
}

// A thousand timers with pseudo-random delays, a third of them stopped again: the rest fire, each
// once, in the order of their times.
static void many_timers_keep_their_order(void **state)
{
    (void)state;
    struct loop *l CLEANUP(loop_freep) = loop_new(NULL);
    struct seen s = {0};
    struct numbered *all = mem_realloc(NULL, 1000, sizeof(*all));
    uint32_t seed = 12345;
    int wanted = 0;
    for (int i = 0; i < 1000; i++) {
        seed = seed * 1664525 + 1013904223;
        all[i] = (struct numbered){.seen = &s, .at = (seed >> 16) % 100 * 2};
        all[i].timer = loop_timer_new(l, note_order, &all[i]);
    }
    // In one millisecond's reading of the clock, or they may be one apart: hence steps of two.
    int64_t base = clock_mono_ms();
    for (int i = 0; i < 1000; i++)
        loop_timer_set(all[i].timer, base + 50 + all[i].at - clock_mono_ms());
    for (int i = 0; i < 1000; i++) {
        all[i].was_stopped = i % 3 == 0;
        if (all[i].was_stopped)
            loop_timer_stop(all[i].timer);
        wanted += !all[i].was_stopped;
    }
    until(l, &s.count, wanted);
    for (int i = 0; i < 1000; i++)
        loop_timer_free(all[i].timer);
    free(all);
}

struct rearming {
    struct loop_timer *timer;
    int count;
};

static void again_at_once(void *ctx)
{
    struct rearming *r = ctx;
    r->count++;
    loop_timer_set(r->timer, 0);
}

static void a_timer_that_arms_itself_does_not_hold_the_loop(void **state)
{
    (void)state;
    struct loop *l CLEANUP(loop_freep) = loop_new(NULL);
    struct rearming r = {0};
    r.timer = loop_timer_new(l, again_at_once, &r);
    loop_timer_set(r.timer, 0);
    for (int i = 0; i < 5; i++)
        loop_run_once(l, 10);
    assert_in_range(r.count, 1, 5);
    loop_timer_free(r.timer);
}

static void frees_its_timer(void *ctx)
{
    struct rearming *r = ctx;
    r->count++;
    loop_timer_free(r->timer);
    r->timer = NULL;
}

static void a_timer_may_free_itself(void **state)
{
    (void)state;
    struct loop *l CLEANUP(loop_freep) = loop_new(NULL);
    struct rearming r = {0};
    r.timer = loop_timer_new(l, frees_its_timer, &r);
    loop_timer_set(r.timer, 0);
    until(l, &r.count, 1);
    assert_null(r.timer);
    loop_run_once(l, 0);
}

static volatile sig_atomic_t stop_flag;

static void on_alarm(int number)
{
    (void)number;
    stop_flag = 1;
}

static void a_signal_ends_the_wait(void **state)
{
    (void)state;
    stop_flag = 0;
    struct loop *l CLEANUP(loop_freep) = loop_new(&stop_flag);
    assert_false(loop_stopping(l));
    signal(SIGALRM, on_alarm);
    struct itimerval soon = {.it_value = {.tv_usec = 30000}};
    setitimer(ITIMER_REAL, &soon, NULL);
    int64_t start = clock_mono_ms();
    while (!loop_stopping(l) && clock_mono_ms() - start < 5000)
        loop_run_once(l, -1);
    assert_true(loop_stopping(l));
    assert_in_range(clock_mono_ms() - start, 25, 2000);
    // From now on every wait is short.
    start = clock_mono_ms();
    loop_run_once(l, 60000);
    assert_in_range(clock_mono_ms() - start, 0, 400);
    signal(SIGALRM, SIG_DFL);
}

// A deadline is reached by itself, in a sleep too, and is told from a signal, which goes before it.
static void a_deadline_ends_the_wait(void **state)
{
    (void)state;
    volatile sig_atomic_t stop = 0;
    struct err err = {0};
    struct loop *l CLEANUP(loop_freep) = loop_new(&stop);
    int64_t start = clock_mono_ms();
    loop_set_deadline(l, start + 50);
    assert_false(loop_stopping(l) || loop_is_late(l));
    while (!loop_stopping(l) && clock_mono_ms() - start < 5000)
        loop_run_once(l, -1);
    assert_in_range(clock_mono_ms() - start, 50, 400);
    assert_true(loop_is_late(l));
    assert_false(loop_stopped(l, &err, "waiting"));
    assert_int_equal(err.kind, ERR_TIMEOUT);
    assert_string_equal(err.msg, "timed out while waiting");
    err_clear(&err);
    stop = 1;
    assert_false(loop_is_late(l) || loop_stopped(l, &err, "waiting"));
    assert_int_equal(err.kind, ERR_CANCELLED);
    err_clear(&err);
    stop = 0;
    loop_set_deadline(l, 0);
    assert_false(loop_stopping(l));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(watches_descriptors),
        cmocka_unit_test(a_number_may_be_used_again),
        cmocka_unit_test(a_callback_may_remove_itself_and_others),
        cmocka_unit_test(one_shot_timers),
        cmocka_unit_test(many_timers_keep_their_order),
        cmocka_unit_test(a_timer_that_arms_itself_does_not_hold_the_loop),
        cmocka_unit_test(a_timer_may_free_itself),
        cmocka_unit_test(a_signal_ends_the_wait),
        cmocka_unit_test(a_deadline_ends_the_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
