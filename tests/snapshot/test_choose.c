// SPDX-License-Identifier: Apache-2.0
//
// Which batches a new snapshot stands on.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/str.h"
#include "base/vec.h"
#include "snapshot/writer.h"

struct chain {
    VEC(struct batch_use) v;
    uint64_t written;
    size_t most;
};

// One more run: what goes is written again, together with `bytes` that are new.
static void run_git(struct chain *c, uint64_t bytes)
{
    struct batch_use next = {.bytes = bytes};
    size_t kept = 0;
    for (size_t i = 0; i < c->v.len; i++)
        c->v.v[i].is_drop = false;
    choose_batches(c->v.v, c->v.len, true, true);
    for (size_t i = 0; i < c->v.len; i++) {
        if (c->v.v[i].is_drop)
            next.bytes += c->v.v[i].bytes;
        else
            assert_int_equal(kept++, i); // what goes are the newest
    }
    c->v.len = kept;
    *vec_push(&c->v) = next;
    c->written += next.bytes;
    c->most = c->v.len > c->most ? c->v.len : c->most;
}

// However long a chain grows, it stands on few Git batches, and what was written is not written
// again and again.
static void git_grows_slowly(void **state)
{
    (void)state;
    static const struct {
        uint64_t first, each;
        size_t runs, most;
        unsigned times; // as much is written as there is new
    } rows[] = {{300, 2, 430, 21, 4}, {1, 1, 10000, 29, 6}, {1000000, 1, 100000, 32, 7}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct chain c = {0};
        run_git(&c, rows[i].first);
        for (size_t k = 0; k < rows[i].runs; k++)
            run_git(&c, rows[i].each);
        assert_true(c.v.v[0].bytes == rows[i].first);
        assert_in_range(c.most, 8, rows[i].most);
        uint64_t added = c.written - rows[i].first;
        assert_in_range(added, rows[i].each * rows[i].runs,
                        rows[i].times * rows[i].each * rows[i].runs);
        vec_clear(&c.v);
    }
}

// Sizes of every kind, seeded: never more than 32, whatever comes.
static void git_is_bounded(void **state)
{
    (void)state;
    uint64_t x = 1;
    struct chain c = {0};
    run_git(&c, 1);
    for (size_t k = 0; k < 20000; k++) {
        x = x * 6364136223846793005U + 1442695040888963407U;
        run_git(&c, 1 + ((x >> 11) >> (x >> 58)) % (1U << 30));
    }
    assert_in_range(c.most, 8, 32);
    vec_clear(&c.v);
}

static void few_stay(void **state)
{
    (void)state;
    struct batch_use b[40] = {0};
    for (size_t i = 0; i < ARRAY_LEN(b); i++)
        b[i] = (struct batch_use){.bytes = 10, .needed = 10};
    for (int is_git = 0; is_git < 2; is_git++) {
        choose_batches(b, 12, is_git, true);
        choose_batches(b, 40, is_git, false); // nothing may go
        for (size_t i = 0; i < 40; i++)
            assert_false(b[i].is_drop);
    }
    choose_batches(b, 13, true, true);
    for (size_t i = 0; i < 13; i++)
        assert_int_equal(b[i].is_drop, i >= 1);
}

// Small ones at the end do not take a large one with them.
static void git_large_stays(void **state)
{
    (void)state;
    struct batch_use b[16] = {{.bytes = 5}, {.bytes = 2000}};
    for (size_t i = 2; i < ARRAY_LEN(b); i++)
        b[i].bytes = 100 + i;
    choose_batches(b, 16, true, true);
    for (size_t i = 0; i < 16; i++)
        assert_int_equal(b[i].is_drop, i >= 2);
}

// Each larger than all after it: nothing goes well together, but there is an end to it.
static void falling(void **state)
{
    (void)state;
    struct batch_use b[32] = {0};
    for (size_t i = 0; i < ARRAY_LEN(b); i++)
        b[i].bytes = 1ULL << (40 - i);
    choose_batches(b, 31, true, true);
    for (size_t i = 0; i < 31; i++)
        assert_false(b[i].is_drop);
    choose_batches(b, 32, true, true);
    for (size_t i = 0; i < 32; i++)
        assert_int_equal(b[i].is_drop, i >= 16);
}

// What is damaged is gone already: it neither counts nor stays.
static void git_damaged(void **state)
{
    (void)state;
    struct batch_use b[14] = {{.bytes = 50, .is_drop = true}};
    for (size_t i = 1; i < ARRAY_LEN(b); i++)
        b[i].bytes = 10;
    choose_batches(b, 13, true, true);
    for (size_t i = 1; i < 13; i++)
        assert_false(b[i].is_drop);
    choose_batches(b, 14, true, true);
    assert_true(b[0].is_drop);
    assert_false(b[1].is_drop);
    assert_true(b[13].is_drop);
}

static void objects_little_needed(void **state)
{
    (void)state;
    struct batch_use b[3] = {
        {.bytes = 800, .needed = 100}, {.bytes = 800, .needed = 99}, {.bytes = 0, .needed = 0}};
    choose_batches(b, 3, false, true);
    assert_false(b[0].is_drop);
    assert_true(b[1].is_drop);
    assert_false(b[2].is_drop);
}

// Of objects it is not the newest that go, but those that are needed least.
static void objects_small_go(void **state)
{
    (void)state;
    struct batch_use b[14] = {0};
    for (size_t i = 0; i < ARRAY_LEN(b); i++)
        b[i] = (struct batch_use){.bytes = 90, .needed = 30 + i};
    b[13] = (struct batch_use){.bytes = 900, .needed = 900};
    choose_batches(b, 14, false, true);
    for (size_t i = 0; i < 14; i++)
        assert_int_equal(b[i].is_drop, i < 13);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(git_grows_slowly), cmocka_unit_test(git_is_bounded),
        cmocka_unit_test(few_stay),         cmocka_unit_test(falling),
        cmocka_unit_test(objects_small_go), cmocka_unit_test(git_large_stays),
        cmocka_unit_test(git_damaged),      cmocka_unit_test(objects_little_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
