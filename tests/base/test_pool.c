// SPDX-License-Identifier: Apache-2.0
#include "base/pool.h"

#include <pthread.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/test.h"

struct job {
    pthread_t made_by;
    pthread_t worked_by;
    int worked, done, cancelled;
    int sleep_ms;
    int *total;
};

static void work(void *ctx)
{
    struct job *j = ctx;
    if (j->sleep_ms)
        usleep((useconds_t)j->sleep_ms * 1000);
    j->worked_by = pthread_self();
    j->worked++;
}

static void done(void *ctx, bool cancelled)
{
    struct job *j = ctx;
    assert_true(pthread_equal(pthread_self(), j->made_by));
    j->done++;
    j->cancelled += cancelled;
    if (j->total)
        ++*j->total;
}

static void work_goes_to_threads_and_comes_back(void **s)
{
    (void)s;
    struct loop *l CLEANUP(loop_freep) = loop_new(NULL);
    struct pool *p = pool_new(l, 3);
    struct job jobs[200] = {0};
    int total = 0;
    for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
        jobs[i].made_by = pthread_self();
        jobs[i].total = &total;
        pool_submit(p, work, done, &jobs[i]);
    }
    assert_int_equal(total, 0); // never before the loop runs
    int64_t end = clock_mono_ms() + 10000;
    while (total < (int)ARRAY_LEN(jobs) && clock_mono_ms() < end)
        loop_run_once(l, 100);
    for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
        assert_int_equal(jobs[i].worked, 1);
        assert_int_equal(jobs[i].done, 1);
        assert_int_equal(jobs[i].cancelled, 0);
        assert_false(pthread_equal(jobs[i].worked_by, pthread_self()));
    }
    pool_free(p);
}

// What runs is waited for; what has not begun is cancelled; each hears of it exactly once.
static void freeing_waits_and_cancels(void **s)
{
    (void)s;
    struct loop *l CLEANUP(loop_freep) = loop_new(NULL);
    struct pool *p = pool_new(l, 1);
    struct job jobs[5] = {0};
    for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
        jobs[i].made_by = pthread_self();
        jobs[i].sleep_ms = 100;
        pool_submit(p, work, done, &jobs[i]);
    }
    usleep(30000);
    pool_free(p);
    int cancelled = 0;
    for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
        assert_int_equal(jobs[i].done, 1);
        assert_int_equal(jobs[i].worked, 1 - jobs[i].cancelled);
        cancelled += jobs[i].cancelled;
    }
    assert_in_range(cancelled, 3, 5); // one ran, unless the machine was very slow
    loop_run_once(l, 0);              // and nothing of the pool is left in the loop
}

struct chain {
    struct pool *pool;
    int left;
};

static void nothing(void *ctx)
{
    (void)ctx;
}

static void next_link(void *ctx, bool cancelled)
{
    struct chain *c = ctx;
    if (--c->left > 0 && !cancelled)
        pool_submit(c->pool, nothing, next_link, c);
}

static void completions_may_submit(void **s)
{
    (void)s;
    struct loop *l CLEANUP(loop_freep) = loop_new(NULL);
    struct chain c = {.pool = pool_new(l, 2), .left = 50};
    pool_submit(c.pool, nothing, next_link, &c);
    int64_t end = clock_mono_ms() + 10000;
    while (c.left > 0 && clock_mono_ms() < end)
        loop_run_once(l, 100);
    assert_int_equal(c.left, 0);
    pool_free(c.pool);
}

static void works_without_a_thread(void **s)
{
    (void)s;
    struct loop *l CLEANUP(loop_freep) = loop_new(NULL);
    struct pool *p = pool_new(l, 0);
    struct job j = {.made_by = pthread_self()};
    pool_submit(p, work, done, &j);
    assert_int_equal(j.done, 0);
    int64_t end = clock_mono_ms() + 5000;
    while (!j.done && clock_mono_ms() < end)
        loop_run_once(l, 100);
    assert_int_equal(j.worked, 1);
    pool_free(p);
    pool_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_goes_to_threads_and_comes_back),
        cmocka_unit_test(freeing_waits_and_cancels),
        cmocka_unit_test(completions_may_submit),
        cmocka_unit_test(works_without_a_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
