// SPDX-License-Identifier: Apache-2.0
//
// Logs in a store without atomic create: two writers may take one number, and both stay valid.
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
    log_kit_open(log_kit_store(false), &f->r);
    log_kit_read(&f->r, &f->l);
    for (unsigned i = 0; i < snapshots; i++)
        log_kit_snapshot(&f->r, &f->l);
}

static struct entry distinct(unsigned n)
{
    struct entry e = kit_snapshot(true);
    e.snapshot.counts.objects = n;
    return e;
}

// Commits onto what l says, as somebody does who saw no more.
static const struct entry *append(struct fixture *f, struct log *l, unsigned n)
{
    struct entry e = distinct(n);
    return log_kit_append(&f->r, l, &e);
}

static void assert_problem(struct fixture *f, const char *want)
{
    CLEANUP(str_freep) char *got = log_kit_problem(&f->r, NULL);
    if (!got || !strstr(got, want))
        fail_msg("\"%s\" is not about \"%s\"", got ? got : "nothing", want);
}

static void assert_numbers(struct fixture *f, const char *want)
{
    struct buf b CLEANUP(buf_clear) = {0};
    log_kit_read(&f->r, &f->l);
    for (size_t i = 0; i < f->l.v.len; i++)
        buf_printf(&b, "%s%llu", i ? " " : "", (unsigned long long)f->l.v.v[i].seq);
    assert_string_equal(b.p, want);
}

static void names_with_hashes(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    open_with(&f, 3);
    CLEANUP(str_freep) char *name = log_name(&f.r, PROD, 3, &f.l.head_hash);
    CLEANUP(str_freep) char *hex = hex_encode(f.l.head_hash.b, 8);
    assert_true(str_ends(name, hex));
    assert_non_null(memstore_file(f.r.store, name));
    assert_numbers(&f, "1 2 3");
    // A file under the name of other bytes, and one without any hash.
    const struct buf *b = memstore_file(f.r.store, name);
    struct buf copy CLEANUP(buf_clear) = {0};
    buf_append(&copy, b->p, b->len);
    memstore_put(f.r.store, "chains/prod/log/0000000004", copy.p, copy.len);
    assert_numbers(&f, "1 2 3");
    memstore_put(f.r.store, "chains/prod/log/0000000003-0123456789abcdef", copy.p, copy.len);
    assert_problem(&f, "log entry 3: its name is not that of its bytes");
}

static void two_at_one_number(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    struct log mine CLEANUP(log_clear) = {0};
    struct log yours CLEANUP(log_clear) = {0};
    open_with(&f, 1);
    log_kit_read(&f.r, &mine);
    log_kit_read(&f.r, &yours);
    append(&f, &mine, 1);
    append(&f, &yours, 2);
    assert_numbers(&f, "1 2 2");
    assert_int_equal(f.l.heads.len, 2);
    assert_true(f.l.head == 2);
    const struct entry *next = append(&f, &f.l, 3);
    assert_true(next->seq == 3);
    assert_int_equal(next->prev.len, 2);
    assert_numbers(&f, "1 2 2 3");
    assert_int_equal(f.l.heads.len, 1);
    assert_true(log_newest_snapshot(&f.l)->seq == 3);
}

// One of them went on: the longer branch gives the number.
static void branches_of_two_lengths(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    struct log mine CLEANUP(log_clear) = {0};
    struct log yours CLEANUP(log_clear) = {0};
    struct log head CLEANUP(log_clear) = {0};
    struct log_opts o = {.only_head = true};
    struct err err = {0};
    open_with(&f, 1);
    log_kit_read(&f.r, &mine);
    log_kit_read(&f.r, &yours);
    append(&f, &mine, 1);
    append(&f, &mine, 2);
    append(&f, &yours, 3);
    assert_numbers(&f, "1 2 2 3");
    assert_int_equal(f.l.heads.len, 2);
    const struct entry *next = append(&f, &f.l, 4);
    assert_true(next->seq == 4);
    assert_numbers(&f, "1 2 2 3 4");
    // Read in part, the shorter branch ends below.
    assert_true(log_read(&f.r, PROD, &o, &head, &err));
    assert_int_equal(head.v.len, 1);
    assert_int_equal(head.heads.len, 1);
    append(&f, &head, 5);
    assert_numbers(&f, "1 2 2 3 4 5");
}

static void wrong_numbers(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    open_with(&f, 3);
    struct entry e = distinct(9);
    log_kit_put(&f.r, &e, 3, &f.l.v.v[0].hash, "writer"); // stands on 1
    assert_problem(&f, "log entry 3: its prev is not the entry before it");
}

static void prev_of_nothing(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    struct sha256 nothing = {.b = {7}};
    open_with(&f, 3);
    struct entry e = distinct(9);
    log_kit_put(&f.r, &e, 4, &nothing, "writer");
    assert_problem(&f, "log entry 4: its prev is not the entry before it");
    struct fixture g CLEANUP(fixture_clear) = {0};
    open_with(&g, 3); // one is real, the other is not
    e = distinct(9);
    *vec_push(&e.prev) = (struct sha256){0};
    log_kit_put(&g.r, &e, 4, &g.l.head_hash, "writer");
    assert_problem(&g, "log entry 4: its prev is not the entry before it");
}

static void a_hole(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    open_with(&f, 3);
    CLEANUP(str_freep) char *name = log_name(&f.r, PROD, 2, &f.l.v.v[1].hash);
    memstore_drop(f.r.store, name);
    assert_problem(&f, "log entry 2 is missing");
}

// A checkpoint and a snapshot at one number: what the checkpoint drops may have been stood on.
static void a_checkpoint_in_a_fork(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    struct log yours CLEANUP(log_clear) = {0};
    open_with(&f, 3);
    log_kit_read(&f.r, &yours);
    struct entry c = kit_checkpoint();
    kit_keep(&c, &f.l.v.v[0]);
    log_kit_append(&f.r, &f.l, &c); // 4: keeps only 1
    append(&f, &yours, 1);          // 4: stands on 3
    CLEANUP(str_freep) char *three = log_name(&f.r, PROD, 3, &f.l.v.v[2].hash);
    CLEANUP(str_freep) char *two = log_name(&f.r, PROD, 2, &f.l.v.v[1].hash);
    memstore_drop(f.r.store, three);
    memstore_drop(f.r.store, two);
    assert_numbers(&f, "1 4 4");
    assert_int_equal(f.l.heads.len, 2);
    assert_true(f.l.checkpoint > 0);
    assert_true(log_newest_snapshot(&f.l)->seq == 4);
    append(&f, &f.l, 2);
    assert_numbers(&f, "1 4 4 5");
    assert_int_equal(f.l.heads.len, 1);
}

// Of two at one number a checkpoint may keep one.
static void one_of_two_is_kept(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    struct log mine CLEANUP(log_clear) = {0};
    struct log yours CLEANUP(log_clear) = {0};
    open_with(&f, 1);
    log_kit_read(&f.r, &mine);
    log_kit_read(&f.r, &yours);
    append(&f, &mine, 1);
    append(&f, &yours, 2);
    log_kit_read(&f.r, &f.l);
    struct entry c = kit_checkpoint();
    kit_keep(&c, &f.l.v.v[0]);
    kit_keep(&c, &f.l.v.v[2]);
    log_kit_append(&f.r, &f.l, &c);
    struct entry dropped = f.l.v.v[1];
    assert_int_equal(log_standing(&f.l, &dropped), STANDING_DEAD);
    assert_int_equal(log_standing(&f.l, &f.l.v.v[2]), STANDING_LIVE);
    assert_numbers(&f, "1 2 3");
    // The one that is not kept is remembered: gone, and that is no rollback.
    struct log_opts o = {.expect_last = {.seq = 2, .hash = mine.head_hash}};
    assert_null(log_kit_problem(&f.r, &o));
    o.expect_last.hash = yours.head_hash;
    assert_null(log_kit_problem(&f.r, &o));
    o.expect_last.seq = 3;
    CLEANUP(str_freep) char *got = log_kit_problem(&f.r, &o);
    assert_non_null(strstr(got, "rolled back"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_with_hashes),       cmocka_unit_test(two_at_one_number),
        cmocka_unit_test(branches_of_two_lengths), cmocka_unit_test(wrong_numbers),
        cmocka_unit_test(prev_of_nothing),         cmocka_unit_test(a_hole),
        cmocka_unit_test(a_checkpoint_in_a_fork),  cmocka_unit_test(one_of_two_is_kept),
    };
    return cmocka_run_group_tests_name("snapshot log fork", tests, NULL, NULL);
}
