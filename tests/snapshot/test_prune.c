// SPDX-License-Identifier: Apache-2.0
//
// Forgetting: which snapshots stay; the grace; deletion of exactly what nobody needs; undo;
// whatever the store does wrong, and whoever writes meanwhile.
#include "snapshot/prune.h"

#include "base/clock.h"
#include "snapshot/verdict.h"
#include "tests/snapshot/snapkit.h"
#include "tests/test.h"

#define HOUR_MS (3600 * 1000LL)
#define DAY_MS (24 * HOUR_MS)

static struct credential pruner(void)
{
    struct credential c = {.kind = CREDENTIAL_PRUNER, .signer = kit_signer("pruner")};
    kit_repo(c.repo);
    return c;
}

// The clocks of the store and of this machine must agree within a day.
static void set_clock(struct repo *r, int64_t days_ago)
{
    memstore_set_now(r->store, clock_unix_ms() - days_ago * DAY_MS);
}

static void write_version(struct repo *r, unsigned version)
{
    struct credential job = snap_kit_job("writer");
    struct snap_state s = {.apps = 3, .objects = 4, .version = version};
    struct entry e = {0};
    struct err err = {0};
    if (!snap_kit_write(r, &job, &s, NULL, &e, &err))
        fail_msg("%s", err.msg);
    entry_clear(&e);
    credential_clear(&job);
}

// n snapshots, one a day, the last one today; each of another content. `full` ones share nothing.
static void history(struct repo *r, unsigned n)
{
    log_kit_open(log_kit_store(true), r);
    for (unsigned i = 0; i < n; i++) {
        set_clock(r, n - 1 - i);
        write_version(r, i);
    }
}

static void run(struct repo *r, const struct prune_opts *more, struct prune_result *out)
{
    struct credential c = pruner();
    struct prune_opts o = *more;
    struct err err = {0};
    o.pruner = &c;
    prune_result_clear(out);
    if (!repo_prune(r, PROD, &o, out, &err))
        fail_msg("%s", err.msg);
}

// Every snapshot that counts is whole.
static unsigned expect_whole(struct repo *r)
{
    struct log l = {0};
    unsigned n = 0;
    log_kit_read(r, &l);
    for (size_t i = 0; i < l.v.len; i++) {
        const struct entry *e = &l.v.v[i];
        if (e->kind != ENTRY_SNAPSHOT || log_standing(&l, e) == STANDING_DEAD)
            continue;
        struct snap_state s = {.apps = 3, .objects = 4, .version = (unsigned)e->seq - 1};
        CLEANUP(str_freep) char *problem = snap_kit_problem(r, e, &s);
        if (problem)
            fail_msg("snapshot %d: %s", (int)e->seq, problem);
        n += log_standing(&l, e) == STANDING_LIVE;
    }
    log_clear(&l);
    return n;
}

static void keeps_the_least(void **state)
{
    (void)state;
    struct repo r;
    struct keep_rules rules = {.min_good = 3, .within_ms = 1};
    struct prune_result out = {0};
    history(&r, 8);
    run(&r, &(struct prune_opts){.rules = &rules}, &out);
    assert_int_equal(out.dropped.len, 5);
    assert_int_equal(out.swept.len, 0);
    assert_int_equal(out.deleted_files, 0);
    assert_int_equal(out.waiting, 5);
    assert_int_equal(expect_whole(&r), 3);
    run(&r, &(struct prune_opts){.rules = &rules}, &out); // the same again says nothing new
    assert_int_equal(out.dropped.len, 0);
    prune_result_clear(&out);
    repo_close(&r);
}

struct row {
    struct keep_rules rules;
    const char *kept; // of 40 daily ones, newest first: ages in days
};

static void rules(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {{.min_good = 1, .within_ms = 1}, "0"},
        {{.min_good = 1, .within_ms = 1, .last = 3}, "0 1 2"},
        {{.min_good = 1, .within_ms = 1, .daily = 4}, "0 1 2 3"},
        {{.min_good = 1, .within_ms = 3 * DAY_MS + 1}, "0 1 2 3"},
        {{.min_good = 5, .within_ms = 1, .last = 2}, "0 1 2 3 4"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct repo r;
        struct log l = {0};
        struct keep_decisions d = {0};
        struct buf got = {0};
        int64_t now = 1767225600000 + 12 * HOUR_MS; // noon
        log_kit_open(log_kit_store(true), &r);
        log_kit_read(&r, &l);
        for (unsigned k = 0; k < 40; k++) {
            memstore_set_now(r.store, now - (39 - k) * DAY_MS);
            log_kit_snapshot(&r, &l);
        }
        log_kit_read(&r, &l);
        keep_choose(&l, &rows[i].rules, now, &d);
        for (size_t k = d.v.len; k-- > 0;)
            if (d.v.v[k].keep)
                buf_printf(&got, "%s%zu", got.len ? " " : "", d.v.len - 1 - k);
        assert_string_equal(got.p, rows[i].kept);
        buf_clear(&got);
        vec_clear(&d.v);
        log_clear(&l);
        repo_close(&r);
    }
}

// Weeks and months: one of each, the newest of it.
static void periods(void **state)
{
    (void)state;
    struct repo r;
    struct log l = {0};
    struct keep_rules rules = {.min_good = 1, .within_ms = 1, .weekly = 3, .monthly = 3};
    struct keep_decisions d = {0};
    int64_t now = 1767225600000 + 12 * HOUR_MS;
    unsigned weekly = 0;
    unsigned monthly = 0;
    log_kit_open(log_kit_store(true), &r);
    log_kit_read(&r, &l);
    for (unsigned k = 0; k < 100; k++) {
        memstore_set_now(r.store, now - (99 - k) * DAY_MS);
        log_kit_snapshot(&r, &l);
    }
    log_kit_read(&r, &l);
    keep_choose(&l, &rules, now, &d);
    for (size_t i = 0; i < d.v.len; i++) {
        weekly += str_eq(d.v.v[i].why, "weekly");
        monthly += str_eq(d.v.v[i].why, "monthly");
    }
    assert_int_equal(weekly, 2); // the newest of all stands for its week and month already
    assert_int_equal(monthly, 2);
    vec_clear(&d.v);
    log_clear(&l);
    repo_close(&r);
}

// Suspect ones count for no rule; the newest good one stays however old.
static void suspects(void **state)
{
    (void)state;
    struct repo r;
    struct log l = {0};
    struct keep_rules rules = {.min_good = 1, .within_ms = 1, .last = 2, .suspect_ms = 2 * DAY_MS};
    struct keep_decisions d = {0};
    int64_t now = MEMSTORE_START_MS + 100 * DAY_MS;
    log_kit_open(log_kit_store(true), &r);
    log_kit_read(&r, &l);
    static const bool good[] = {true, true, false, false, false, false};
    for (unsigned i = 0; i < ARRAY_LEN(good); i++) {
        memstore_set_now(r.store, now - (ARRAY_LEN(good) - 1 - i) * DAY_MS);
        struct entry e = kit_snapshot(good[i]);
        log_kit_append(&r, &l, &e);
    }
    log_kit_read(&r, &l);
    keep_choose(&l, &rules, now, &d);
    static const bool want[] = {true, true, false, false, true, true};
    for (unsigned i = 0; i < ARRAY_LEN(want); i++)
        assert_int_equal(d.v.v[i].keep, want[i]);
    assert_string_equal(d.v.v[1].why, "the newest good one");
    vec_clear(&d.v);
    log_clear(&l);
    repo_close(&r);
}

static void grace_then_deletion(void **state)
{
    (void)state;
    struct repo r;
    struct keep_rules rules = {.min_good = 2, .within_ms = 1};
    struct prune_result out = {0};
    history(&r, 10);
    size_t before = memstore_count(r.store, "");
    run(&r, &(struct prune_opts){.rules = &rules, .sweep = true}, &out);
    assert_int_equal(out.waiting, 8);
    assert_int_equal(out.deleted_files, 0);
    assert_true(out.next_sweep_unix_ms == 0 || out.next_sweep_unix_ms > 0);
    memstore_advance(r.store, 20 * HOUR_MS); // not long enough
    run(&r, &(struct prune_opts){.rules = &rules, .sweep = true}, &out);
    assert_int_equal(out.swept.len, 0);
    run(&r, &(struct prune_opts){.rules = &rules, .sweep = true, .grace_ms = 19 * HOUR_MS}, &out);
    assert_int_equal(out.swept.len, 8);
    assert_true(out.deleted_files > 8);
    assert_true(memstore_count(r.store, "") < before);
    assert_int_equal(expect_whole(&r), 2);
    // Nothing that nobody needs is left in packs and index files.
    struct log l = {0};
    struct strv needs = {0};
    struct err err = {0};
    log_kit_read(&r, &l);
    for (size_t i = 0; i < l.v.len; i++)
        if (l.v.v[i].kind == ENTRY_SNAPSHOT)
            assert_true(snapshot_needs(&r, &l, &l.v.v[i], &needs, &err));
    struct strv unique = {0};
    for (size_t i = 0; i < needs.len; i++)
        if (!strv_has(&unique, needs.v[i]))
            strv_push(&unique, needs.v[i]);
    assert_int_equal(memstore_count(r.store, "chains/prod/packs/") +
                         memstore_count(r.store, "chains/prod/index/"),
                     unique.len);
    strv_clear(&unique);
    strv_clear(&needs);
    log_clear(&l);
    write_version(&r, 99); // and the chain goes on
    prune_result_clear(&out);
    repo_close(&r);
}

static void undo(void **state)
{
    (void)state;
    struct repo r;
    struct keep_rules rules = {.min_good = 2, .within_ms = 1};
    struct prune_result out = {0};
    struct credential c = pruner();
    struct err err = {0};
    history(&r, 6);
    run(&r, &(struct prune_opts){.rules = &rules}, &out);
    assert_int_equal(expect_whole(&r), 2);
    assert_true(repo_forget_undo(&r, PROD, &c, 2, &err));
    assert_int_equal(expect_whole(&r), 3);
    assert_false(repo_forget_undo(&r, PROD, &c, 6, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    err_clear(&err);
    memstore_advance(r.store, 20 * HOUR_MS);
    run(&r, &(struct prune_opts){.sweep = true, .grace_ms = HOUR_MS}, &out);
    assert_int_equal(out.swept.len, 3);
    assert_int_equal(expect_whole(&r), 3);
    assert_false(repo_forget_undo(&r, PROD, &c, 3, &err)); // never from a sweep
    err_clear(&err);
    credential_clear(&c);
    prune_result_clear(&out);
    repo_close(&r);
}

static void named(void **state)
{
    (void)state;
    struct repo r;
    struct credential c = pruner();
    struct prune_result out = {0};
    struct err err = {0};
    uint64_t drop = 2;
    uint64_t newest = 12;
    uint64_t none = 17;
    history(&r, 12); // ten good ones always stay
    struct prune_opts o = {.drop = &drop, .n_drop = 1};
    run(&r, &o, &out);
    assert_int_equal(out.dropped.len, 1);
    assert_int_equal(expect_whole(&r), 11);
    struct prune_opts bad = {.pruner = &c, .drop = &newest, .n_drop = 1};
    assert_false(repo_prune(&r, PROD, &bad, &out, &err));
    assert_int_equal(err.kind, ERR_CONFLICT);
    err_clear(&err);
    bad.drop = &none;
    assert_false(repo_prune(&r, PROD, &bad, &out, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    err_clear(&err);
    credential_clear(&c);
    prune_result_clear(&out);
    repo_close(&r);
}

static void refused(struct repo *r, const struct prune_opts *o, enum err_kind want)
{
    struct prune_result out = {0};
    struct err err = {0};
    size_t before = memstore_count(r->store, "");
    assert_false(repo_prune(r, PROD, o, &out, &err));
    assert_int_equal(err.kind, want);
    assert_int_equal(memstore_count(r->store, ""), before);
    err_clear(&err);
    prune_result_clear(&out);
}

static void refusals(void **state)
{
    (void)state;
    struct repo r;
    struct keep_rules rules = {.min_good = 1, .within_ms = 1};
    struct credential c = pruner();
    struct credential writer = {.signer = kit_signer("writer")};
    history(&r, 5);
    refused(&r, &(struct prune_opts){.pruner = &writer, .rules = &rules}, ERR_DENIED);
    memstore_advance(r.store, 30 * HOUR_MS); // clocks apart
    refused(&r, &(struct prune_opts){.pruner = &c, .rules = &rules}, ERR_CONFLICT);
    set_clock(&r, 0);
    // Without its index file it is not known what a snapshot needs.
    struct store_items items = {0};
    struct err err = {0};
    assert_true(store_list(r.store, "chains/prod/index/", &items, &err));
    memstore_drop(r.store, items.v.v[0].name);
    refused(&r, &(struct prune_opts){.pruner = &c, .rules = &rules}, ERR_CORRUPT);
    store_items_clear(&items);
    credential_clear(&c);
    repo_close(&r);
}

static void write_off(struct repo *r, uint64_t seq, enum err_kind want, size_t written_off)
{
    struct credential c = pruner();
    struct prune_result out = {0};
    struct err err = {0};
    struct prune_opts o = {.pruner = &c, .write_off = &seq, .n_write_off = 1};
    bool ok = repo_prune(r, PROD, &o, &out, &err);
    if (ok ? want != ERR_NONE : err.kind != want)
        fail_msg("%d: %s", (int)seq, ok ? "it was written off" : err.msg);
    assert_int_equal(out.written_off.len, written_off);
    err_clear(&err);
    prune_result_clear(&out);
    credential_clear(&c);
}

static unsigned count_live(struct repo *r)
{
    struct log l = {0};
    unsigned n = 0;
    log_kit_read(r, &l);
    for (size_t i = 0; i < l.v.len; i++)
        n += l.v.v[i].kind == ENTRY_SNAPSHOT && log_standing(&l, &l.v.v[i]) == STANDING_LIVE;
    log_clear(&l);
    return n;
}

// An entry whose file is lost for good stops everyone until a person writes it off; so does a
// snapshot whose index file is. What is whole is never written off.
static void given_up_for_lost(void **state)
{
    (void)state;
    struct repo r;
    struct log l = {0};
    struct log_opts none = {0};
    struct err err = {0};
    history(&r, 5);
    write_off(&r, 2, ERR_CONFLICT, 0);
    write_off(&r, 9, ERR_NOT_FOUND, 0);
    log_kit_drop(&r, 2);
    assert_false(log_read(&r, PROD, &none, &l, &err));
    assert_int_equal(err.kind, ERR_CORRUPT);
    err_clear(&err);
    write_off(&r, 2, ERR_NONE, 1);
    assert_int_equal(count_live(&r), 4);
    write_off(&r, 2, ERR_NONE, 0); // the same again
    // The newest index file: only the last snapshot stands on it.
    log_kit_read(&r, &l);
    CLEANUP(str_freep) char *hex = hex_encode(log_find(&l, 5)->snapshot.objects.b, 32);
    CLEANUP(str_freep) char *name = chain_file(PROD, "index", hex);
    memstore_drop(r.store, name);
    write_off(&r, 5, ERR_NONE, 1);
    assert_int_equal(count_live(&r), 3);
    log_clear(&l);
    // Everything goes on: a new snapshot, forgetting, deletion.
    write_version(&r, 7);
    struct prune_result out = {0};
    struct keep_rules rules = {.min_good = 1, .within_ms = 1};
    run(&r, &(struct prune_opts){.rules = &rules, .sweep = true, .grace_ms = 1}, &out);
    memstore_advance(r.store, 10);
    run(&r, &(struct prune_opts){.rules = &rules, .sweep = true, .grace_ms = 1}, &out);
    assert_int_equal(out.swept.len, 2); // and 1 is in doubt
    assert_int_equal(expect_whole(&r), 2);
    prune_result_clear(&out);
    repo_close(&r);
}

static bool judge(struct repo *r, uint64_t seq, enum verdict v)
{
    struct credential c = {.kind = CREDENTIAL_JUDGE, .signer = kit_signer("judge")};
    struct err err = {0};
    bool made = false;
    kit_repo(c.repo);
    if (!repo_judge(r, PROD, &c, seq, v, NULL, &made, &err))
        fail_msg("%s", err.msg);
    credential_clear(&c);
    return made;
}

// "1 good, 2 bad" of all that is live, oldest first.
static void expect_states(struct repo *r, const char *want)
{
    struct log l = {0};
    struct buf b = {0};
    log_kit_read(r, &l);
    for (size_t i = 0; i < l.v.len; i++)
        if (l.v.v[i].kind == ENTRY_SNAPSHOT && log_standing(&l, &l.v.v[i]) == STANDING_LIVE)
            buf_printf(&b, "%s%d %s", b.len ? ", " : "", (int)l.v.v[i].seq,
                       goodness_name(log_goodness(&l, &l.v.v[i])));
    assert_string_equal(b.p, want);
    buf_clear(&b);
    log_clear(&l);
}

static void lose(struct repo *r, uint64_t seq, const uint64_t *doubted, size_t n)
{
    struct prune_result out = {0};
    log_kit_drop(r, seq);
    run(r, &(struct prune_opts){.write_off = &seq, .n_write_off = 1}, &out);
    assert_int_equal(out.written_off.len, 1);
    assert_int_equal(out.lost.len, 1);
    assert_int_equal(out.dropped.len, 0);
    assert_int_equal(out.doubted.len, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(out.doubted.v[i], doubted[i]);
    prune_result_clear(&out);
}

// Of a lost verdict nobody can tell whom it condemned: all before it are in doubt until they are
// judged again, through every checkpoint, and are not forgotten for it.
static void lost_verdict(void **state)
{
    (void)state;
    struct repo r;
    struct prune_result out = {0};
    struct keep_rules rules = {.min_good = 1};
    history(&r, 4);
    assert_true(judge(&r, 2, VERDICT_BAD)); // 5
    assert_true(judge(&r, 1, VERDICT_BAD)); // 6
    write_version(&r, 6);                   // 7
    lose(&r, 5, (uint64_t[]){2, 3, 4}, 3);  // 8; 1 is bad by what is left
    expect_states(&r, "1 bad, 2 suspect, 3 suspect, 4 suspect, 7 good");
    assert_true(judge(&r, 3, VERDICT_GOOD));
    assert_false(judge(&r, 3, VERDICT_GOOD));
    assert_true(judge(&r, 2, VERDICT_BAD));
    expect_states(&r, "1 bad, 2 bad, 3 good, 4 suspect, 7 good");
    run(&r, &(struct prune_opts){.rules = &rules}, &out);
    expect_states(&r, "4 suspect, 7 good");
    struct credential c = pruner();
    struct err err = {0};
    assert_true(repo_forget_undo(&r, PROD, &c, 3, &err));
    expect_states(&r, "3 good, 4 suspect, 7 good");
    uint64_t four = 4;
    run(&r, &(struct prune_opts){.drop = &four, .n_drop = 1}, &out); // but by a person
    expect_states(&r, "3 good, 7 good");
    credential_clear(&c);
    prune_result_clear(&out);
    repo_close(&r);
}

// A verdict that a checkpoint keeps is lost, and no good snapshot is left: a new one is measured by
// those in doubt all the same.
static void lost_below_a_checkpoint(void **state)
{
    (void)state;
    struct repo r;
    struct log l = {0};
    struct prune_result out = {0};
    struct keep_rules rules = {.min_good = 1};
    history(&r, 3);
    assert_true(judge(&r, 3, VERDICT_BAD)); // 4
    run(&r, &(struct prune_opts){.rules = &rules}, &out);
    expect_states(&r, "2 good, 3 bad");
    lose(&r, 4, (uint64_t[]){1, 2, 3}, 3); // 1 waits
    expect_states(&r, "2 suspect, 3 suspect");
    log_kit_read(&r, &l);
    assert_null(log_latest_good(&l));
    assert_int_equal(log_yardstick(&l)->seq, 3);
    log_clear(&l);
    prune_result_clear(&out);
    repo_close(&r);
}

// Where nobody could judge, what is lost was no verdict.
static void lost_and_no_judge(void **state)
{
    (void)state;
    struct repo r;
    history(&r, 4);
    log_kit_revoke(&r, "judge", 2);
    lose(&r, 3, NULL, 0);
    expect_states(&r, "1 good, 2 good, 4 good");
    repo_close(&r);
}

static void without_atomic_create(void **state)
{
    (void)state;
    struct repo r;
    struct credential c = pruner();
    struct keep_rules rules = {.min_good = 1, .within_ms = 1};
    struct prune_result out = {0};
    log_kit_open(log_kit_store(false), &r);
    for (unsigned i = 0; i < 4; i++) {
        set_clock(&r, 3 - i);
        write_version(&r, i);
    }
    refused(&r, &(struct prune_opts){.pruner = &c, .rules = &rules, .sweep = true}, ERR_USAGE);
    run(&r, &(struct prune_opts){.rules = &rules, .sweep = true, .exclusive = true}, &out);
    assert_int_equal(out.dropped.len, 3);
    struct prune_opts o = {.pruner = &c, .rules = &rules, .sweep = true, .exclusive = true};
    o.grace_ms = PRUNE_GRACE_MS - 1;
    refused(&r, &o, ERR_USAGE);
    o.grace_ms = PRUNE_GRACE_MS;
    memstore_advance(r.store, 20 * HOUR_MS);
    run(&r, &o, &out);
    assert_int_equal(out.swept.len, 0);
    memstore_age(r.store, 60 * HOUR_MS); // 80 hours in all
    run(&r, &o, &out);
    assert_int_equal(out.swept.len, 3);
    assert_int_equal(expect_whole(&r), 1);
    credential_clear(&c);
    prune_result_clear(&out);
    repo_close(&r);
}

// Each call fails in each way, then the same command completes.
static void every_call_fails(void **state)
{
    (void)state;
    static const enum memstore_fault faults[] = {MEM_FAIL, MEM_LOSE, MEM_DIE, MEM_DIE_AFTER,
                                                 MEM_STALE};
    struct repo base;
    struct keep_rules rules = {.min_good = 2, .within_ms = 1};
    struct prune_result out = {0};
    struct credential c = pruner();
    history(&base, 5);
    run(&base, &(struct prune_opts){.rules = &rules}, &out);
    memstore_advance(base.store, 20 * HOUR_MS);
    struct prune_opts o = {.pruner = &c, .rules = &rules, .sweep = true, .grace_ms = HOUR_MS};
    for (size_t f = 0; f < ARRAY_LEN(faults); f++) {
        for (unsigned n = 1; n < 100; n++) {
            struct repo r;
            struct err err = {0};
            log_kit_open(memstore_clone(base.store), &r);
            memstore_fault_at(r.store, n, faults[f]);
            bool done = repo_prune(&r, PROD, &o, &out, &err);
            bool was_reached = memstore_calls(r.store, MEM_OPS) >= n;
            err_clear(&err);
            memstore_hook(r.store, NULL, NULL);
            (void)done;
            expect_whole(&r);
            run(&r, &o, &out);
            assert_int_equal(expect_whole(&r), 2);
            write_version(&r, 5);
            repo_close(&r);
            if (!was_reached)
                break;
        }
    }
    credential_clear(&c);
    prune_result_clear(&out);
    repo_close(&base);
}

// A writer commits at every moment of a pruning.
struct other {
    unsigned at;
    struct store *store;
    bool done;
};

static enum memstore_fault writer_comes(void *ctx, const struct memstore_call *call)
{
    struct other *o = ctx;
    if (call->n != o->at || o->done)
        return MEM_FINE;
    o->done = true;
    struct repo r = {0};
    struct err err = {0};
    struct sha256 pin = kit_pin(o->store);
    struct credential job = snap_kit_job("writer");
    struct entry e = {0};
    struct snap_state s = {.apps = 3, .objects = 4, .version = 1}; // stands on an old one's content
    if (!repo_open_store_take(o->store, &pin, &r, &err) ||
        !snap_kit_write(&r, &job, &s, NULL, &e, &err))
        fail_msg("%s", err.msg);
    CLEANUP(str_freep) char *problem = snap_kit_problem(&r, &e, &s);
    assert_null(problem);
    r.store = NULL;
    repo_close(&r);
    entry_clear(&e);
    credential_clear(&job);
    return MEM_FINE;
}

static void a_writer_meanwhile(void **state)
{
    (void)state;
    struct repo base;
    struct keep_rules rules = {.min_good = 2, .within_ms = 1};
    struct prune_result out = {0};
    history(&base, 5);
    run(&base, &(struct prune_opts){.rules = &rules}, &out);
    memstore_advance(base.store, 20 * HOUR_MS);
    for (unsigned n = 1; n < 100; n++) {
        struct repo r;
        log_kit_open(memstore_clone(base.store), &r);
        struct other o = {.at = n, .store = r.store};
        memstore_hook(r.store, writer_comes, &o);
        run(&r, &(struct prune_opts){.rules = &rules, .sweep = true, .grace_ms = HOUR_MS}, &out);
        memstore_hook(r.store, NULL, NULL);
        // All that counts is whole; the newcomer among it.
        struct log l = {0};
        log_kit_read(&r, &l);
        const struct entry *newest = log_newest_snapshot(&l);
        struct snap_state s = {.apps = 3, .objects = 4, .version = o.done ? 1 : 4};
        CLEANUP(str_freep) char *problem = snap_kit_problem(&r, newest, &s);
        if (problem)
            fail_msg("%s", problem);
        log_clear(&l);
        repo_close(&r);
        if (!o.done)
            break;
    }
    prune_result_clear(&out);
    repo_close(&base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_least),
        cmocka_unit_test(rules),
        cmocka_unit_test(periods),
        cmocka_unit_test(suspects),
        cmocka_unit_test(grace_then_deletion),
        cmocka_unit_test(undo),
        cmocka_unit_test(named),
        cmocka_unit_test(refusals),
        cmocka_unit_test(given_up_for_lost),
        cmocka_unit_test(lost_verdict),
        cmocka_unit_test(lost_below_a_checkpoint),
        cmocka_unit_test(lost_and_no_judge),
        cmocka_unit_test(without_atomic_create),
        cmocka_unit_test(every_call_fails),
        cmocka_unit_test(a_writer_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
