// SPDX-License-Identifier: Apache-2.0
//
// Drills in the log: a verdict with its report, sealed; every drill an entry; who may, and who can
// read it; forgotten with its snapshot, and no sooner.
#include "snapshot/drill_log.h"

#include "snapshot/verdict.h"
#include "tests/snapshot/snapkit.h"
#include "tests/test.h"

static struct credential key_of(const char *seed)
{
    struct credential c = {.kind = CREDENTIAL_JUDGE, .signer = kit_signer(seed)};
    kit_repo(c.repo);
    return c;
}

static const struct snap_state small = {.apps = 2, .objects = 2};

static struct entry written(struct repo *r)
{
    struct credential job = snap_kit_job("writer");
    struct entry e = {0};
    struct err err = {0};
    if (!snap_kit_write(r, &job, &small, NULL, &e, &err))
        fail_msg("%s", err.msg);
    credential_clear(&job);
    return e;
}

static uint64_t note(struct repo *r, const struct entry *e, enum verdict v, int findings)
{
    struct credential judge = key_of("judge");
    struct err err = {0};
    uint64_t seq = 0;
    CLEANUP(json_freep) json_t *report = json_pack("{s:s, s:i}", "kind", "drill", "n", findings);
    if (!drill_note(r, PROD, &judge, e, v, "drill", report, &seq, &err))
        fail_msg("%s", err.msg);
    credential_clear(&judge);
    return seq;
}

static void noted_and_read(void **state)
{
    (void)state;
    struct repo r;
    struct log l = {0};
    struct err err = {0};
    struct age_identity id = kit_identity(1);
    struct age_identity other = kit_identity(2);
    log_kit_open(log_kit_store(true), &r);
    struct entry e = written(&r);
    uint64_t first = note(&r, &e, VERDICT_DRILLED, 1);
    uint64_t second = note(&r, &e, VERDICT_DRILLED, 2); // said again: another drill all the same
    assert_int_equal(second, first + 1);
    log_kit_read(&r, &l);
    assert_int_equal(log_goodness(&l, log_find(&l, e.seq)), SNAP_DRILLED);
    for (int i = 1; i <= 2; i++) {
        CLEANUP(json_freep) json_t *report = NULL;
        const struct entry *v = log_find(&l, first + (uint64_t)i - 1);
        assert_true(v->verdict.has_report);
        if (!drill_report(&r, PROD, v, &id, &report, &err))
            fail_msg("%s", err.msg);
        assert_int_equal(json_dot_int(report, "n", 0), i);
    }
    CLEANUP(json_freep) json_t *none = NULL;
    assert_false(drill_report(&r, PROD, log_find(&l, first), &other, &none, &err));
    assert_int_equal(err.kind, ERR_DENIED);
    err_clear(&err);
    struct verify_result v = {0};
    snap_kit_verify(&r, &v);
    verify_result_clear(&v);
    log_clear(&l);
    entry_clear(&e);
    repo_close(&r);
}

static struct verify_result verify(struct repo *r, bool with_key, bool quick, bool is_restore)
{
    struct age_identities ids = {0};
    struct verify_opts o = {
        .identities = with_key ? &ids : NULL, .quick = quick, .is_restore = is_restore};
    struct verify_result v = {0};
    struct log l = {0};
    struct err err = {0};
    *vec_push(&ids.v) = kit_identity(1);
    log_kit_read(r, &l);
    if (!repo_verify(r, &l, &o, &v, &err))
        fail_msg("%s", err.msg);
    log_clear(&l);
    age_identities_clear(&ids);
    return v;
}

static void expect_told(struct repo *r, bool with_key, bool quick, bool is_told)
{
    struct verify_result v = verify(r, with_key, quick, false);
    assert_int_equal(v.problems.len, is_told);
    assert_int_equal(v.harmed.len, 0);
    if (is_told)
        assert_true(str_starts(v.problems.v[0], "report of a drill of snapshot 1 (log entry 2)"));
    verify_result_clear(&v);
}

// Every byte of it changed, cut, and gone: verify tells, no snapshot is harmed, and who restores
// never asks for it.
static void damage_is_told(void **state)
{
    (void)state;
    struct repo r;
    struct log l = {0};
    log_kit_open(log_kit_store(true), &r);
    struct entry e = written(&r);
    uint64_t seq = note(&r, &e, VERDICT_DRILLED, 1);
    log_kit_read(&r, &l);
    CLEANUP(str_freep) char *hex = hex_encode(log_find(&l, seq)->verdict.report.b, 32);
    CLEANUP(str_freep) char *name = chain_file(PROD, "packs", hex);
    struct buf was CLEANUP(buf_clear) = {0};
    buf_append(&was, memstore_file(r.store, name)->p, memstore_file(r.store, name)->len);
    expect_told(&r, true, false, false);
    for (size_t i = 0; i < was.len; i++) {
        was.p[i] ^= 1;
        memstore_put(r.store, name, was.p, was.len);
        expect_told(&r, i % 2, false, true);
        was.p[i] ^= 1;
    }
    memstore_put(r.store, name, was.p, was.len - 1);
    expect_told(&r, true, false, true);
    memstore_drop(r.store, name);
    expect_told(&r, true, false, true);
    expect_told(&r, false, false, true);
    expect_told(&r, true, true, true);
    struct verify_result v = verify(&r, true, false, true);
    assert_int_equal(v.problems.len, 0);
    verify_result_clear(&v);
    log_clear(&l);
    entry_clear(&e);
    repo_close(&r);
}

// A judge who seals it to somebody else: the bytes are those of the name, and nobody opens them.
static void sealed_to_another(void **state)
{
    (void)state;
    struct repo r;
    struct err err = {0};
    struct buf pack CLEANUP(buf_clear) = {0};
    struct age_identity other = kit_identity(2);
    struct credential judge = key_of("judge");
    struct judgement j = {.verdict = VERDICT_DRILLED, .has_report = true};
    bool made = false;
    uint64_t seq = 0;
    log_kit_open(log_kit_store(true), &r);
    struct entry e = written(&r);
    CLEANUP(pack_builder_freep) struct pack_builder *b = pack_builder_new('f');
    pack_add(b, 'f', "{}\n", 3);
    assert_true(pack_seal(b, other.public, &pack, &j.report, &err));
    CLEANUP(str_freep) char *hex = hex_encode(j.report.b, 32);
    CLEANUP(str_freep) char *name = chain_file(PROD, "packs", hex);
    j.seq = e.seq;
    assert_true(store_create(r.store, name, pack.p, pack.len, NULL, &made, &err));
    assert_true(repo_judge_by(&r, PROD, &judge, &j, &seq, &err));
    expect_told(&r, false, false, false);
    expect_told(&r, true, false, true);
    credential_clear(&judge);
    entry_clear(&e);
    repo_close(&r);
}

static void bad_counts(void **state)
{
    (void)state;
    struct repo r;
    struct log l = {0};
    log_kit_open(log_kit_store(true), &r);
    struct entry e = written(&r);
    note(&r, &e, VERDICT_BAD, 3);
    log_kit_read(&r, &l);
    assert_int_equal(log_goodness(&l, log_find(&l, e.seq)), SNAP_BAD);
    assert_null(log_latest_good(&l));
    note(&r, &e, VERDICT_VERIFIED, 0); // judges nothing
    log_kit_read(&r, &l);
    assert_int_equal(log_goodness(&l, log_find(&l, e.seq)), SNAP_BAD);
    log_clear(&l);
    entry_clear(&e);
    repo_close(&r);
}

static void not_by_a_writer(void **state)
{
    (void)state;
    struct repo r;
    struct err err = {0};
    uint64_t seq = 0;
    struct credential writer = key_of("writer");
    CLEANUP(json_freep) json_t *report = json_object();
    log_kit_open(log_kit_store(true), &r);
    struct entry e = written(&r);
    assert_false(drill_note(&r, PROD, &writer, &e, VERDICT_DRILLED, NULL, report, &seq, &err));
    assert_int_equal(err.kind, ERR_DENIED);
    assert_int_equal(seq, 0);
    err_clear(&err);
    credential_clear(&writer);
    entry_clear(&e);
    repo_close(&r);
}

static void bounded(void **state)
{
    (void)state;
    struct repo r;
    struct err err = {0};
    uint64_t seq = 0;
    struct credential judge = key_of("judge");
    CLEANUP(str_freep) char *text = mem_alloc(REPORT_MAX_BYTES + 1);
    memset(text, 'x', REPORT_MAX_BYTES);
    CLEANUP(json_freep) json_t *report = json_pack("{s:s}", "long", text);
    log_kit_open(log_kit_store(true), &r);
    struct entry e = written(&r);
    assert_false(drill_note(&r, PROD, &judge, &e, VERDICT_DRILLED, NULL, report, &seq, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    err_clear(&err);
    credential_clear(&judge);
    entry_clear(&e);
    repo_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(noted_and_read),    cmocka_unit_test(damage_is_told),
        cmocka_unit_test(sealed_to_another), cmocka_unit_test(bad_counts),
        cmocka_unit_test(not_by_a_writer),   cmocka_unit_test(bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
