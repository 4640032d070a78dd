// SPDX-License-Identifier: Apache-2.0
//
// The power goes while snapshots are forgotten and deleted: what stays is whole, what was forgotten
// comes back or is gone, and the same call again completes.
#include "base/clock.h"
#include "snapshot/prune.h"
#include "snapshot/store_folder.h"
#include "tests/snapshot/powercut.h"
#include "tests/snapshot/snapkit.h"
#include "tests/test.h"

#define SEEDS 400
#define SNAPSHOTS 4

static struct credential key_of(const char *seed)
{
    struct credential c = {.kind = CREDENTIAL_PRUNER, .signer = kit_signer(seed)};
    kit_repo(c.repo);
    return c;
}

static void open_folder(const struct store *mem, struct powercut *p, struct repo *r)
{
    struct sha256 pin = kit_pin(mem);
    struct err err = {0};
    if (!repo_open_store_take(store_folder_new("/repo", powercut_fs(p)), &pin, r, &err))
        fail_msg("%s", err.msg);
}

static void begin(const struct store *mem, struct powercut *p, struct repo *r)
{
    static const char *const names[] = {"trust/0001", "regrow.json"};
    struct store *folder = store_folder_new("/repo", powercut_fs(p));
    struct credential job = snap_kit_job("writer");
    struct err err = {0};
    powercut_set_clock(p, clock_unix_ms());
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const struct buf *b = memstore_file(mem, names[i]);
        bool made = false;
        assert_true(store_create(folder, names[i], b->p, b->len, NULL, &made, &err));
    }
    store_free(folder);
    open_folder(mem, p, r);
    for (unsigned i = 1; i <= SNAPSHOTS; i++) {
        struct snap_state s = {.apps = 2, .objects = 3, .version = i};
        struct entry e = {0};
        if (!snap_kit_write(r, &job, &s, NULL, &e, &err))
            fail_msg("%s", err.msg);
        entry_clear(&e);
    }
    credential_clear(&job);
}

static bool run(struct repo *r, bool sweep)
{
    static const struct keep_rules rules = {.min_good = 2, .within_ms = 1};
    struct credential c = key_of("pruner");
    struct prune_result out = {0};
    struct err err = {0};
    struct prune_opts o = {
        .pruner = &c, .rules = sweep ? NULL : &rules, .sweep = sweep, .grace_ms = 1};
    bool ok = repo_prune(r, PROD, &o, &out, &err);
    prune_result_clear(&out);
    err_clear(&err);
    return ok;
}

// How many count; each is whole.
static unsigned whole(struct repo *r)
{
    struct log l = {0};
    unsigned n = 0;
    log_kit_read(r, &l);
    for (size_t i = 0; i < l.v.len; i++) {
        const struct entry *e = &l.v.v[i];
        if (e->kind != ENTRY_SNAPSHOT || log_standing(&l, e) != STANDING_LIVE)
            continue;
        struct snap_state s = {.apps = 2, .objects = 3, .version = (unsigned)e->seq};
        CLEANUP(str_freep) char *problem = snap_kit_problem(r, e, &s);
        if (problem)
            fail_msg("snapshot %d: %s", (int)e->seq, problem);
        n++;
    }
    log_clear(&l);
    return n;
}

static void power_cuts(void **state)
{
    (void)state;
    struct store *mem = log_kit_store(true);
    unsigned cut = 0;
    unsigned steps[2] = {0}; // of a run that is not cut: it forgets, it deletes
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct powercut *p = powercut_new(seed);
        struct repo r;
        bool sweep = seed % 2;
        begin(mem, p, &r);
        powercut_set_clock(p, clock_unix_ms() + 1000);
        if (sweep)
            assert_true(run(&r, false));
        powercut_set_clock(p, clock_unix_ms() + 2000); // the grace is over
        powercut_at(p, steps[sweep] ? 1 + (unsigned)(seed * 7919 % steps[sweep]) : 0);
        bool done = run(&r, sweep);
        cut += powercut_is_off(p);
        assert_true(done || powercut_is_off(p));
        steps[sweep] = powercut_is_off(p) ? steps[sweep] : powercut_steps(p);
        repo_close(&r);
        powercut_reboot(p);
        open_folder(mem, p, &r);
        unsigned n = whole(&r);
        assert_true(n == SNAPSHOTS - 2 || (!done && n == SNAPSHOTS));
        if (n == SNAPSHOTS)
            assert_true(run(&r, false));
        powercut_set_clock(p, clock_unix_ms() + 3000);
        assert_true(run(&r, true));
        assert_int_equal(whole(&r), SNAPSHOTS - 2);
        repo_close(&r);
        powercut_free(p);
    }
    store_free(mem);
    assert_in_range(cut, SEEDS * 9 / 10, SEEDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(power_cuts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
