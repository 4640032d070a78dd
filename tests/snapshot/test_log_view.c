// SPDX-License-Identifier: Apache-2.0
//
// What verdicts make of a snapshot.
#include "snapshot/repo.h"

#include "tests/snapshot/logkit.h"
#include "tests/test.h"

// Verdicts upon one snapshot, oldest first: g good, b bad, v verified, d drilled.
static void goodness(void **s)
{
    (void)s;
    static const struct {
        bool is_good; // the writer's word
        const char *verdicts;
        enum goodness want;
    } rows[] = {
        {true, "", SNAP_GOOD},        {false, "", SNAP_SUSPECT},    {true, "v", SNAP_VERIFIED},
        {true, "d", SNAP_DRILLED},    {true, "dv", SNAP_DRILLED},   {true, "vd", SNAP_DRILLED},
        {true, "b", SNAP_BAD},        {true, "vdb", SNAP_BAD},      {true, "bv", SNAP_BAD},
        {true, "bg", SNAP_GOOD},      {true, "vbg", SNAP_GOOD},     {true, "dbg", SNAP_GOOD},
        {true, "bgv", SNAP_VERIFIED}, {true, "bvg", SNAP_VERIFIED}, {true, "bgb", SNAP_BAD},
        {false, "g", SNAP_GOOD},      {false, "v", SNAP_SUSPECT},   {false, "d", SNAP_SUSPECT},
        {false, "gv", SNAP_VERIFIED}, {false, "dg", SNAP_DRILLED},  {false, "gb", SNAP_BAD},
        {false, "b", SNAP_BAD},
    };
    static const char letters[] = "gbvd";
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct repo r;
        struct log l = {0};
        log_kit_open(log_kit_store(true), &r);
        log_kit_read(&r, &l);
        struct entry e = kit_snapshot(rows[i].is_good);
        log_kit_append(&r, &l, &e);
        log_kit_snapshot(&r, &l); // another one, which nothing is said of
        for (const char *v = rows[i].verdicts; *v; v++) {
            e = kit_verdict(&l.v.v[0], (enum verdict)(strchr(letters, *v) - letters));
            log_kit_append(&r, &l, &e);
        }
        log_kit_read(&r, &l);
        enum goodness got = log_goodness(&l, &l.v.v[0]);
        if (got != rows[i].want)
            fail_msg("row %zu: %s", i, goodness_name(got));
        assert_int_equal(log_goodness(&l, &l.v.v[1]), SNAP_GOOD);
        assert_true(log_latest_good(&l) == &l.v.v[1]);
        log_clear(&l);
        repo_close(&r);
    }
}

static void the_newest_verdict(void **s)
{
    (void)s;
    struct repo r;
    struct log l = {0};
    log_kit_open(log_kit_store(true), &r);
    log_kit_read(&r, &l);
    log_kit_snapshot(&r, &l);
    assert_null(log_verdict(&l, &l.v.v[0], VERDICT_VERIFIED));
    for (unsigned i = 0; i < 2; i++) {
        struct entry e = kit_verdict(&l.v.v[0], VERDICT_VERIFIED);
        log_kit_append(&r, &l, &e);
    }
    struct entry other = {.seq = 1, .hash = {.b = {1}}}; // of another entry at that number
    struct entry e = kit_verdict(&other, VERDICT_VERIFIED);
    log_kit_append(&r, &l, &e);
    assert_true(log_verdict(&l, &l.v.v[0], VERDICT_VERIFIED)->seq == 3);
    assert_null(log_verdict(&l, &l.v.v[0], VERDICT_DRILLED));
    log_clear(&l);
    repo_close(&r);
}

// "latest" steps back over what is suspect, bad, waiting or void.
static void latest(void **s)
{
    (void)s;
    struct repo r;
    struct log l = {0};
    log_kit_open(log_kit_store(true), &r);
    log_kit_read(&r, &l);
    for (unsigned i = 0; i < 4; i++)
        log_kit_snapshot(&r, &l);
    struct entry e = kit_snapshot(false);
    e.snapshot.counts.unknown = 1;
    log_kit_append(&r, &l, &e); // 5
    assert_true(log_latest_good(&l)->seq == 4);
    assert_true(log_newest_snapshot(&l)->seq == 5);
    assert_true(log_newest_known(&l)->seq == 4);
    e = kit_verdict(&l.v.v[3], VERDICT_BAD);
    log_kit_append(&r, &l, &e); // 6
    assert_true(log_latest_good(&l)->seq == 3);
    e = kit_checkpoint();
    kit_keep(&e, &l.v.v[0]);
    kit_keep(&e, &l.v.v[4]);
    kit_wait(&e, &l.v.v[2], 7);
    log_kit_append(&r, &l, &e); // 7
    assert_true(log_latest_good(&l)->seq == 1);
    assert_true(log_newest_snapshot(&l)->seq == 5);
    assert_int_equal(log_standing(&l, &l.v.v[2]), STANDING_WAITING);
    assert_int_equal(log_standing(&l, &l.v.v[3]), STANDING_DEAD);
    log_kit_revoke(&r, "writer", 0);
    log_kit_read(&r, &l);
    assert_null(log_latest_good(&l));
    assert_null(log_newest_snapshot(&l));
    log_clear(&l);
    repo_close(&r);
}

static void names(void **s)
{
    (void)s;
    assert_string_equal(goodness_name(SNAP_SUSPECT), "suspect");
    assert_string_equal(goodness_name(SNAP_BAD), "bad");
    assert_string_equal(goodness_name(SNAP_GOOD), "good");
    assert_string_equal(goodness_name(SNAP_VERIFIED), "verified");
    assert_string_equal(goodness_name(SNAP_DRILLED), "drilled");
    assert_string_equal(verdict_name(VERDICT_DRILLED), "drilled");
    assert_string_equal(entry_kind_name(ENTRY_CHECKPOINT), "checkpoint");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goodness),
        cmocka_unit_test(the_newest_verdict),
        cmocka_unit_test(latest),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests_name("snapshot log view", tests, NULL, NULL);
}
