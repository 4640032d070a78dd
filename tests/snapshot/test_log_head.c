// SPDX-License-Identifier: Apache-2.0
//
// What a writer does with a log: reads as little as it needs, remembers, appends.
#include "snapshot/repo.h"

#include "tests/snapshot/logkit.h"
#include "tests/test.h"

struct fixture {
    struct repo r;
    struct log l;
};

static void fixture_clear(struct fixture *f)
{
    log_clear(&f->l);
    repo_close(&f->r);
}

static void open_with(struct fixture *f, unsigned snapshots)
{
    log_kit_open(log_kit_store(true), &f->r);
    log_kit_read(&f->r, &f->l);
    for (unsigned i = 0; i < snapshots; i++)
        log_kit_snapshot(&f->r, &f->l);
}

static void append_snapshot(struct fixture *f, bool is_good, uint64_t unknown)
{
    struct entry e = kit_snapshot(is_good);
    e.snapshot.counts.unknown = unknown;
    log_kit_append(&f->r, &f->l, &e);
}

static void append_verdict(struct fixture *f, uint64_t seq, enum verdict v)
{
    struct entry e = kit_verdict(log_find(&f->l, seq), v);
    log_kit_append(&f->r, &f->l, &e);
}

static void read_head(struct fixture *f, struct log *l)
{
    struct log_opts o = {.only_head = true};
    struct err err = {0};
    log_clear(l);
    memstore_hook(f->r.store, NULL, NULL); // counts anew
    if (!log_read(&f->r, PROD, &o, l, &err))
        fail_msg("%s", err.msg);
}

static void assert_lowest(struct fixture *f, uint64_t lowest)
{
    struct log l CLEANUP(log_clear) = {0};
    read_head(f, &l);
    assert_true(l.v.v[0].seq == lowest);
    assert_true(l.head == f->l.head);
    assert_true(sha256_eq(&l.heads.v[0], &f->l.heads.v[0]));
}

static void one_entry_is_enough(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    struct log l CLEANUP(log_clear) = {0};
    open_with(&f, 50);
    read_head(&f, &l);
    assert_int_equal(l.v.len, 1);
    assert_false(l.is_whole);
    assert_int_equal(memstore_calls(f.r.store, MEM_LIST), 1);
    assert_int_equal(memstore_calls(f.r.store, MEM_GET), 2); // it, and the number after it
}

static void back_to_what_is_needed(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    open_with(&f, 3);
    append_snapshot(&f, false, 0); // 4: suspect
    assert_lowest(&f, 3);
    append_snapshot(&f, false, 2); // 5: and with unknown sources
    assert_lowest(&f, 3);
    append_verdict(&f, 5, VERDICT_GOOD); // 6: promoted; 4 is the newest that knew all
    assert_lowest(&f, 4);
    append_verdict(&f, 4, VERDICT_BAD); // 7
    assert_lowest(&f, 4);
    append_verdict(&f, 5, VERDICT_BAD); // 8: 3 is the newest good one again
    assert_lowest(&f, 3);
    log_kit_snapshot(&f.r, &f.l); // 9
    assert_lowest(&f, 9);
}

// Below a checkpoint it goes on among what that keeps.
static void back_over_a_checkpoint(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    struct log l CLEANUP(log_clear) = {0};
    open_with(&f, 6);
    append_snapshot(&f, false, 1); // 7
    struct entry c = kit_checkpoint();
    kit_keep(&c, log_find(&f.l, 2));
    kit_keep(&c, log_find(&f.l, 4));
    kit_keep(&c, log_find(&f.l, 7));
    log_kit_append(&f.r, &f.l, &c); // 8
    for (uint64_t seq = 1; seq <= 6; seq++)
        if (seq != 2 && seq != 4)
            log_kit_drop(&f.r, seq);
    read_head(&f, &l);
    assert_int_equal(l.v.len, 3); // 4, 7, 8
    assert_true(log_newest_snapshot(&l)->seq == 7);
    assert_true(log_latest_good(&l)->seq == 4);
    assert_true(log_newest_known(&l)->seq == 4);
    assert_true(l.head == 8);
}

static void nothing_good_at_all(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    struct log l CLEANUP(log_clear) = {0};
    open_with(&f, 0);
    append_snapshot(&f, false, 1);
    append_snapshot(&f, false, 1);
    read_head(&f, &l);
    assert_int_equal(l.v.len, 2);
    assert_true(l.is_whole);
    log_kit_drop(&f.r, 1);
    CLEANUP(str_freep) char *got = log_kit_problem(&f.r, &(struct log_opts){.only_head = true});
    assert_non_null(strstr(got, "log entry 1 is missing"));
}

static void a_void_head(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    struct log l CLEANUP(log_clear) = {0};
    open_with(&f, 5);
    log_kit_revoke(&f.r, "writer", 3);
    read_head(&f, &l);
    assert_int_equal(l.v.len, 3); // 3, and the void ones above
    assert_true(log_newest_snapshot(&l)->seq == 3);
    assert_true(l.head == 5);
}

// ---- what someone remembers ----

struct memory {
    const char *want; // NULL: fine
    uint64_t seq;
    uint64_t hash_of; // 0: of nothing
};

// 2, 4 (waiting) and 5 of 6 are kept by the checkpoint 7; 8 stands on it.
static void pruned_log(struct fixture *f)
{
    open_with(f, 6);
    struct entry c = kit_checkpoint();
    kit_keep(&c, log_find(&f->l, 2));
    kit_keep(&c, log_find(&f->l, 5));
    kit_keep(&c, log_find(&f->l, 6));
    kit_wait(&c, log_find(&f->l, 4), 7);
    log_kit_append(&f->r, &f->l, &c);
    log_kit_snapshot(&f->r, &f->l);
}

static void what_is_remembered(void **s)
{
    (void)s;
    static const struct memory rows[] = {
        {NULL, 8, 8},
        {NULL, 7, 7},
        {NULL, 2, 2},
        {NULL, 4, 4}, // waits
        {NULL, 1, 1}, // dropped
        {NULL, 3, 3},
        {NULL, 3, 0}, // what it was nobody can tell any more
        {"entry 9 (000000000000) is remembered", 9, 0},
        {"log entry 8 is not the one that is remembered (000000000000)", 8, 0},
        {"log entry 7 is not the one that is remembered", 7, 0},
        {"log entry 5 is not the one that is remembered", 5, 0},
        {"log entry 4 is not the one that is remembered", 4, 0},
        {"log entry 7 is not the one that is remembered", 7, 6},
    };
    struct fixture f CLEANUP(fixture_clear) = {0};
    struct sha256 hashes[9] = {0};
    pruned_log(&f);
    for (size_t i = 0; i < f.l.v.len; i++)
        hashes[f.l.v.v[i].seq] = f.l.v.v[i].hash;
    log_kit_drop(&f.r, 1);
    log_kit_drop(&f.r, 3);
    for (unsigned head = 0; head < 2; head++)
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
            struct log_opts o = {
                .expect_last = {.seq = rows[i].seq, .hash = hashes[rows[i].hash_of]},
                .only_head = head};
            CLEANUP(str_freep) char *got = log_kit_problem(&f.r, &o);
            if (!rows[i].want && got)
                fail_msg("row %zu: %s", i, got);
            if (rows[i].want && (!got || !strstr(got, rows[i].want)))
                fail_msg("row %zu, head %u: %s", i, head, got ? got : "taken");
        }
}

// A writer remembers the head at its credential's issue: one file more to read, not the log.
static void an_old_memory_is_cheap(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    struct log l CLEANUP(log_clear) = {0};
    open_with(&f, 40);
    struct log_opts o = {.only_head = true, .expect_last = {.seq = 1, .hash = f.l.v.v[0].hash}};
    struct err err = {0};
    memstore_hook(f.r.store, NULL, NULL);
    assert_true(log_read(&f.r, PROD, &o, &l, &err));
    assert_int_equal(memstore_calls(f.r.store, MEM_GET), 3);
    o.expect_last.hash = f.l.v.v[1].hash; // not what stands there: the whole log must tell
    CLEANUP(str_freep) char *got = log_kit_problem(&f.r, &o);
    assert_non_null(strstr(got, "log entry 1 is not the one that is remembered"));
}

// ---- appending ----

static bool append(struct fixture *f, struct log *l, const char *seed, struct entry *e, bool *made,
                   struct err *err)
{
    struct signer s = kit_signer(seed);
    return log_append(&f->r, l, e, &s, NULL, made, err);
}

static void another_was_first(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    struct log mine CLEANUP(log_clear) = {0};
    struct err err = {0};
    bool made;
    open_with(&f, 1);
    log_kit_read(&f.r, &mine);
    log_kit_snapshot(&f.r, &f.l);
    struct entry e CLEANUP(entry_clear) = kit_snapshot(false);
    assert_true(append(&f, &mine, "writer", &e, &made, &err));
    assert_false(made);
    assert_true(mine.head == 1); // nothing of it is believed
    log_kit_read(&f.r, &mine);
    assert_true(append(&f, &mine, "writer", &e, &made, &err));
    assert_true(made);
    assert_true(mine.head == 3);
    log_kit_read(&f.r, &f.l);
    assert_true(sha256_eq(&f.l.head_hash, &mine.head_hash));
    assert_true(sha256_eq(&e.hash, &mine.head_hash));
    bool counts;
    assert_true(log_confirm(&f.r, &e, &counts, &err));
    assert_true(counts);
}

static void lost_answers(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    struct err err = {0};
    bool made;
    open_with(&f, 1);
    struct entry e CLEANUP(entry_clear) = kit_snapshot(true);
    memstore_fault_at(f.r.store, 1, MEM_LOSE); // made, and nobody said so
    assert_true(append(&f, &f.l, "writer", &e, &made, &err));
    assert_true(made);
    assert_true(f.l.head == 2);
    struct entry n CLEANUP(entry_clear) = kit_snapshot(true);
    memstore_fault_at(f.r.store, 1, MEM_FAIL); // not made
    assert_false(append(&f, &f.l, "writer", &n, &made, &err));
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    assert_false(made);
    assert_true(f.l.head == 2);
    err_clear(&err);
    memstore_fault_at(f.r.store, 1, MEM_DIE_AFTER); // made, and nobody can be asked
    assert_false(append(&f, &f.l, "writer", &n, &made, &err));
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    err_clear(&err);
    memstore_hook(f.r.store, NULL, NULL);
    n.time_unix_s++;
    assert_true(append(&f, &f.l, "writer", &n, &made, &err)); // what stands there is not it
    assert_false(made);
    n.time_unix_s--;
    assert_true(append(&f, &f.l, "writer", &n, &made, &err)); // the very same
    assert_true(made);
    log_kit_read(&f.r, &f.l);
    assert_int_equal(f.l.v.len, 3);
}

static void assert_denied(struct fixture *f, const char *seed, struct entry *e_take)
{
    struct err err = {0};
    bool made;
    size_t before = memstore_count(f->r.store, "");
    assert_false(append(f, &f->l, seed, e_take, &made, &err));
    assert_int_equal(err.kind, ERR_DENIED);
    assert_false(made);
    assert_int_equal(memstore_count(f->r.store, ""), before);
    err_clear(&err);
    entry_clear(e_take);
}

static void who_may_not_sign(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    open_with(&f, 2);
    struct entry e = kit_snapshot(true);
    assert_denied(&f, "mallory", &e);
    e = kit_snapshot(true);
    assert_denied(&f, "pruner", &e);
    e = kit_verdict(&f.l.v.v[0], VERDICT_GOOD);
    assert_denied(&f, "writer", &e);
    e = kit_checkpoint();
    assert_denied(&f, "judge", &e);
    log_kit_revoke(&f.r, "writer", 2);
    e = kit_snapshot(true);
    assert_denied(&f, "writer", &e);
    log_kit_read(&f.r, &f.l);
    assert_int_equal(f.l.v.len, 2);
}

static void what_cannot_be_written(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    struct err err = {0};
    bool made;
    open_with(&f, 1);
    struct entry e CLEANUP(entry_clear) = kit_snapshot(true);
    strv_push(&e.snapshot.why, "good, but why");
    assert_false(append(&f, &f.l, "writer", &e, &made, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    assert_int_equal(memstore_count(f.r.store, "chains/"), 1);
    err_clear(&err);
}

// A stale list showed an old end; the numbers after it were freed by a checkpoint.
static void written_into_a_hole(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    struct log stale CLEANUP(log_clear) = {0};
    struct err err = {0};
    bool made;
    bool counts;
    open_with(&f, 2);
    log_kit_read(&f.r, &stale);
    log_kit_snapshot(&f.r, &f.l); // 3
    log_kit_snapshot(&f.r, &f.l); // 4
    struct entry c = kit_checkpoint();
    kit_keep(&c, log_find(&f.l, 4));
    log_kit_append(&f.r, &f.l, &c); // 5
    for (uint64_t seq = 1; seq <= 3; seq++)
        log_kit_drop(&f.r, seq);
    struct entry e CLEANUP(entry_clear) = kit_snapshot(true);
    assert_true(append(&f, &stale, "writer", &e, &made, &err));
    assert_true(made); // as number 3
    assert_true(log_confirm(&f.r, &e, &counts, &err));
    assert_false(counts);
    assert_null(log_kit_problem(&f.r, NULL)); // and harms nobody
}

// Others have committed since: it stands below them.
static void confirmed_below_others(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    struct err err = {0};
    bool made;
    bool counts;
    open_with(&f, 1);
    struct entry e CLEANUP(entry_clear) = kit_snapshot(true);
    assert_true(append(&f, &f.l, "writer", &e, &made, &err));
    log_kit_snapshot(&f.r, &f.l);
    log_kit_snapshot(&f.r, &f.l);
    assert_true(log_confirm(&f.r, &e, &counts, &err));
    assert_true(counts);
}

static void what_it_fills(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    struct err err = {0};
    bool made;
    open_with(&f, 1);
    struct entry e CLEANUP(entry_clear) = kit_snapshot(true);
    e.time_unix_s = 1234567;
    e.tool = str_dup("by hand");
    assert_true(append(&f, &f.l, "writer", &e, &made, &err));
    const struct entry *got = log_find(&f.l, 2);
    assert_true(got->time_unix_s == 1234567);
    assert_string_equal(got->tool, "by hand");
    assert_string_equal(got->chain, PROD);
    assert_int_equal(got->trust, 1);
    assert_string_equal(got->signer.hex, e.signer.hex);
    struct entry n = kit_snapshot(true);
    got = log_kit_append(&f.r, &f.l, &n);
    assert_true(got->time_unix_s > 1700000000);
    assert_string_equal(got->tool, "regrow " REGROW_VERSION);
}

// ---- what a writer does not need, and everybody else does ----

static void flip(struct fixture *f, uint64_t seq)
{
    CLEANUP(str_freep) char *name = log_name(&f->r, PROD, seq, NULL);
    struct buf b CLEANUP(buf_clear) = {0};
    const struct buf *is = memstore_file(f->r.store, name);
    buf_append(&b, is->p, is->len);
    b.p[b.len / 2] ^= 1;
    memstore_put(f->r.store, name, b.p, b.len);
}

static void expect_look(struct fixture *f, uint64_t seq, bool is_there)
{
    struct log l CLEANUP(log_clear) = {0};
    struct err err = {0};
    read_head(f, &l);
    bool ok = log_look(&f->r, &l, &err);
    assert_int_equal(ok, seq == 0);
    if (!ok) {
        assert_int_equal(err.kind, ERR_CORRUPT);
        assert_int_equal(f->r.fault.seq, seq);
        assert_int_equal(f->r.fault.is_there, is_there);
        assert_false(f->r.fault.is_last);
    }
    err_clear(&err);
}

static void damage_below_is_seen(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    open_with(&f, 10);
    expect_look(&f, 0, false);
    flip(&f, 3);
    expect_look(&f, 3, true);
    log_kit_drop(&f.r, 3);
    expect_look(&f, 3, false);
}

// What a checkpoint lets go is nobody's business; what it keeps is, each in one of the next runs.
static void damage_below_a_checkpoint(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    open_with(&f, 70);
    struct entry c = kit_checkpoint();
    for (size_t i = 1; i < f.l.v.len; i++)
        kit_keep(&c, &f.l.v.v[i]);
    log_kit_append(&f.r, &f.l, &c);
    log_kit_snapshot(&f.r, &f.l);
    flip(&f, 1);
    expect_look(&f, 0, false);
    flip(&f, 40);
    unsigned seen = 0;
    for (unsigned i = 0; i < 3; i++) {
        struct log l = {0};
        struct err err = {0};
        read_head(&f, &l);
        if (!log_look(&f.r, &l, &err)) {
            assert_int_equal(f.r.fault.seq, 40);
            seen++;
        }
        err_clear(&err);
        // As the next run would append.
        struct entry e = kit_snapshot(true);
        struct signer by = kit_signer("writer");
        bool made = false;
        assert_true(log_append(&f.r, &l, &e, &by, NULL, &made, &err));
        entry_clear(&e);
        log_clear(&l);
    }
    assert_true(seen >= 1);
}

static void fault_of_the_last(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    struct log l = {0};
    struct log_opts o = {0};
    struct err err = {0};
    open_with(&f, 3);
    flip(&f, 3);
    assert_false(log_read(&f.r, PROD, &o, &l, &err));
    err_clear(&err);
    assert_int_equal(f.r.fault.seq, 3);
    assert_true(f.r.fault.is_last);
    flip(&f, 3);
    assert_true(log_read(&f.r, PROD, &o, &l, &err));
    assert_int_equal(f.r.fault.seq, 0);
    log_clear(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damage_below_is_seen),   cmocka_unit_test(damage_below_a_checkpoint),
        cmocka_unit_test(fault_of_the_last),      cmocka_unit_test(one_entry_is_enough),
        cmocka_unit_test(back_to_what_is_needed), cmocka_unit_test(back_over_a_checkpoint),
        cmocka_unit_test(nothing_good_at_all),    cmocka_unit_test(a_void_head),
        cmocka_unit_test(what_is_remembered),     cmocka_unit_test(an_old_memory_is_cheap),
        cmocka_unit_test(another_was_first),      cmocka_unit_test(lost_answers),
        cmocka_unit_test(who_may_not_sign),       cmocka_unit_test(what_cannot_be_written),
        cmocka_unit_test(written_into_a_hole),    cmocka_unit_test(confirmed_below_others),
        cmocka_unit_test(what_it_fills),
    };
    return cmocka_run_group_tests_name("snapshot log head", tests, NULL, NULL);
}
