// SPDX-License-Identifier: Apache-2.0
//
// Writing snapshots: what is written is read back, what is known is not written again, what is
// damaged is; and whatever the store does wrong, what was reported good stays readable and the next
// run completes.
#include "snapshot/writer.h"

#include <errno.h>
#include <unistd.h>

#include "base/file.h"
#include "snapshot/prune.h"
#include "snapshot/store_folder.h"
#include "tests/snapshot/powercut.h"
#include "tests/snapshot/snapkit.h"
#include "tests/test.h"

static const struct snap_state small = {.apps = 5, .objects = 8, .version = 1};

// A file of bytes that nothing makes smaller, owned.
static char *noise_file(const char *dir, size_t len)
{
    char *path = path_join(dir, "pack");
    struct err err = {0};
    char *bytes = mem_alloc(len);
    uint64_t x = 1;
    for (size_t i = 0; i < len; i++) {
        x = x * 6364136223846793005ULL + 1442695040888963407ULL;
        bytes[i] = (char)(x >> 56);
    }
    assert_true(file_replace(path, bytes, len, 0600, &err));
    free(bytes);
    return path;
}

static struct entry write_ok(struct repo *r, const struct snap_state *s)
{
    struct credential job = snap_kit_job("writer");
    struct entry e = {0};
    struct err err = {0};
    if (!snap_kit_write(r, &job, s, NULL, &e, &err))
        fail_msg("%s", err.msg);
    credential_clear(&job);
    return e;
}

static void expect_readable(struct repo *r, const struct entry *e, const struct snap_state *s)
{
    CLEANUP(str_freep) char *problem = snap_kit_problem(r, e, s);
    if (problem)
        fail_msg("snapshot %d: %s", (int)e->seq, problem);
}

static void read_back(void **state)
{
    (void)state;
    struct repo r;
    struct snap_state s = small;
    s.has_secret = true;
    log_kit_open(log_kit_store(true), &r);
    struct entry e = write_ok(&r, &s);
    assert_int_equal(e.seq, 1);
    assert_true(e.snapshot.bytes.added > 0);
    expect_readable(&r, &e, &s);
    entry_clear(&e);
    repo_close(&r);
}

// The second time only an entry is added.
static void no_change(void **state)
{
    (void)state;
    struct repo r;
    log_kit_open(log_kit_store(true), &r);
    struct entry a = write_ok(&r, &small);
    size_t files = memstore_count(r.store, "");
    struct entry b = write_ok(&r, &small);
    assert_int_equal(b.seq, 2);
    assert_int_equal(memstore_count(r.store, ""), files + 1);
    assert_int_equal(b.snapshot.bytes.added, 0);
    assert_true(sha256_eq(&a.snapshot.objects, &b.snapshot.objects));
    expect_readable(&r, &b, &small);
    entry_clear(&a);
    entry_clear(&b);
    repo_close(&r);
}

// One application of many changes: little is added, all of it is there, and so is the old one.
static void small_change(void **state)
{
    (void)state;
    struct repo r;
    struct snap_state s = {.apps = 100, .objects = 20, .version = 1};
    log_kit_open(log_kit_store(true), &r);
    struct entry a = write_ok(&r, &s);
    struct snap_state changed = s;
    changed.version = 2;
    struct entry b = write_ok(&r, &changed);
    assert_true(b.snapshot.bytes.added * 4 < a.snapshot.bytes.added);
    expect_readable(&r, &a, &s);
    expect_readable(&r, &b, &changed);
    entry_clear(&a);
    entry_clear(&b);
    repo_close(&r);
}

static void many_changes(void **state)
{
    (void)state;
    struct repo r;
    struct snap_state s = small;
    struct entry all[40];
    log_kit_open(log_kit_store(true), &r);
    for (unsigned i = 0; i < ARRAY_LEN(all); i++) {
        s.version = i;
        all[i] = write_ok(&r, &s);
        struct batches b = {0};
        struct err err = {0};
        assert_true(batches_read(&r, PROD, &all[i], NULL, &b, &err));
        assert_true(b.v.len <= 16); // not one more with every change
        batches_clear(&b);
    }
    for (unsigned i = 0; i < ARRAY_LEN(all); i++) {
        s.version = i;
        expect_readable(&r, &all[i], &s);
        entry_clear(&all[i]);
    }
    repo_close(&r);
}

// While a source is unknown nothing may be dropped; the index files do not pile up all the same.
static void unknown_for_long(void **state)
{
    (void)state;
    struct repo r;
    struct snap_state s = small;
    log_kit_open(log_kit_store(true), &r);
    struct entry good = write_ok(&r, &s);
    for (unsigned i = 0; i < 70; i++) {
        s.version = 10 + i;
        s.unknown = true;
        struct entry e = write_ok(&r, &s);
        if (i == 69)
            expect_readable(&r, &e, &s);
        entry_clear(&e);
    }
    expect_readable(&r, &good, &small);
    entry_clear(&good);
    repo_close(&r);
}

static void names_and_tips(void **state)
{
    (void)state;
    struct repo r;
    struct credential job = snap_kit_job("writer");
    struct err err = {0};
    log_kit_open(log_kit_store(true), &r);
    struct entry e = write_ok(&r, &small);
    entry_clear(&e);
    struct writer_opts o = {.job = &job};
    struct writer *w = NULL;
    struct blob_id list;
    uint32_t count = 0;
    assert_true(writer_begin(&r, &o, &w, &err));
    assert_true(writer_known_list(w, "app-3", &list, &count));
    assert_int_equal(count, 8);
    assert_false(writer_known_list(w, "app-9", &list, &count));
    assert_false(writer_known_tip(w, "1111111111111111111111111111111111111111"));
    assert_int_equal(writer_previous(w)->seq, 1);
    writer_free(w);
    credential_clear(&job);
    repo_close(&r);
}

// A list that goes back to an earlier state is found by its name again.
static void back_and_forth(void **state)
{
    (void)state;
    struct repo r;
    struct credential job = snap_kit_job("writer");
    struct writer_opts o = {.job = &job};
    struct snap_state s = small;
    struct blob_id first;
    struct blob_id now;
    uint32_t count;
    struct err err = {0};
    log_kit_open(log_kit_store(true), &r);
    for (unsigned i = 0; i < 3; i++) {
        s.version = i % 2;
        struct entry e = write_ok(&r, &s);
        expect_readable(&r, &e, &s);
        entry_clear(&e);
        struct writer *w = NULL;
        assert_true(writer_begin(&r, &o, &w, &err));
        assert_true(writer_known_list(w, "app-0", i == 0 ? &first : &now, &count));
        if (i)
            assert_int_equal(blob_id_eq(&first, &now), i == 2);
        writer_free(w);
    }
    credential_clear(&job);
    repo_close(&r);
}

// ---- who may write ----
static enum err_kind refused(struct repo *r, const struct credential *job,
                             const struct snap_state *s, const struct writer_opts *o)
{
    struct entry e = {0};
    struct err err = {0};
    size_t before = memstore_count(r->store, "");
    assert_false(snap_kit_write(r, job, s, o, &e, &err));
    assert_int_equal(memstore_count(r->store, ""), before); // nothing was written
    enum err_kind k = err.kind;
    err_clear(&err);
    return k;
}

static void refusals(void **state)
{
    (void)state;
    struct repo r;
    log_kit_open(log_kit_store(true), &r);
    struct credential stranger = snap_kit_job("judge");
    assert_int_equal(refused(&r, &stranger, &small, NULL), ERR_DENIED);
    credential_clear(&stranger);
    struct credential swapped = snap_kit_job("writer");
    swapped.recipient[3] ^= 1;
    assert_int_equal(refused(&r, &swapped, &small, NULL), ERR_CORRUPT);
    credential_clear(&swapped);
    struct credential old = snap_kit_job("writer");
    old.epoch = 2;
    assert_int_equal(refused(&r, &old, &small, NULL), ERR_DENIED);
    credential_clear(&old);
    struct credential elsewhere = snap_kit_job("writer");
    elsewhere.repo[0] ^= 1;
    assert_int_equal(refused(&r, &elsewhere, &small, NULL), ERR_CORRUPT);
    credential_clear(&elsewhere);
    repo_close(&r);
}

static void another_cluster(void **state)
{
    (void)state;
    struct repo r;
    struct credential job = snap_kit_job("writer");
    struct snap_state s = small;
    struct err err = {0};
    log_kit_open(log_kit_store(true), &r);
    s.cluster = "11111111-0000-0000-0000-000000000000";
    struct entry e = write_ok(&r, &s);
    entry_clear(&e);
    s.cluster = "22222222-0000-0000-0000-000000000000";
    assert_int_equal(refused(&r, &job, &s, NULL), ERR_CONFLICT);
    struct writer_opts adopt = {.adopt_chain = true};
    assert_true(snap_kit_write(&r, &job, &s, &adopt, &e, &err));
    uint64_t last = e.seq;
    entry_clear(&e);
    // Restored before the other wrote: both are alive. Restored from what it wrote last: its heir.
    s.cluster = "33333333-0000-0000-0000-000000000000";
    struct writer_opts early = {.restored_head = last - 1}, heir = {.restored_head = last};
    assert_int_equal(refused(&r, &job, &s, &early), ERR_CONFLICT);
    assert_true(snap_kit_write(&r, &job, &s, &heir, &e, &err));
    entry_clear(&e);
    s.cluster = "22222222-0000-0000-0000-000000000000";
    assert_int_equal(refused(&r, &job, &s, NULL), ERR_CONFLICT);
    credential_clear(&job);
    repo_close(&r);
}

// A credential that remembers a later head than the store shows.
static void rolled_back(void **state)
{
    (void)state;
    struct repo r;
    struct credential job = snap_kit_job("writer");
    log_kit_open(log_kit_store(true), &r);
    struct entry a = write_ok(&r, &small);
    struct store *old = memstore_clone(r.store);
    struct entry b = write_ok(&r, &small);
    job.head_seq = b.seq;
    job.head = b.hash;
    repo_close(&r);
    log_kit_open(old, &r);
    assert_int_equal(refused(&r, &job, &small, NULL), ERR_CORRUPT);
    entry_clear(&a);
    entry_clear(&b);
    credential_clear(&job);
    repo_close(&r);
}

// After a key is revoked the next run, by another key, stands on nothing of its later entries.
static void after_a_void_one(void **state)
{
    (void)state;
    struct repo r;
    struct snap_state s = small;
    log_kit_open(log_kit_store(true), &r);
    struct entry a = write_ok(&r, &s);
    s.version = 2;
    struct entry b = write_ok(&r, &s);
    log_kit_revoke(&r, "writer", 1);
    struct trust t;
    struct store *st = r.store;
    trust_next(&r.trust, &t);
    kit_add_signer(&t, "writer 2", ROLE_WRITE);
    kit_write(st, &r.trust, &t, "ann", "ben");
    trust_clear(&t);
    r.store = NULL;
    repo_close(&r);
    log_kit_open(st, &r);
    struct credential job = snap_kit_job("writer 2");
    struct entry c = {0};
    struct err err = {0};
    if (!snap_kit_write(&r, &job, &s, NULL, &c, &err))
        fail_msg("%s", err.msg);
    struct batches batches = {0};
    assert_true(batches_read(&r, PROD, &c, NULL, &batches, &err));
    assert_int_equal(batches.v.len, 1);
    batches_clear(&batches);
    expect_readable(&r, &c, &s);
    entry_clear(&a);
    entry_clear(&b);
    entry_clear(&c);
    credential_clear(&job);
    repo_close(&r);
}

// ---- what the store loses ----

enum damage { LOST, OTHER_BYTES, SHORTER };

static void damage(struct store *st, const char *name, enum damage how)
{
    const struct buf *is = memstore_file(st, name);
    struct buf b CLEANUP(buf_clear) = {0};
    buf_append(&b, is->p, is->len);
    b.p[b.len / 2] ^= 1;
    if (how == LOST)
        memstore_drop(st, name);
    else
        memstore_put(st, name, b.p, how == SHORTER ? b.len - 1 : b.len);
}

static bool is_needed(struct repo *r, const struct entry *e, const char *name)
{
    struct strv needs = {0};
    struct err err = {0};
    struct log l = {0};
    log_kit_read(r, &l);
    assert_true(snapshot_needs(r, &l, e, &needs, &err));
    bool is = strv_has(&needs, name);
    strv_clear(&needs);
    log_clear(&l);
    return is;
}

// Every file that a snapshot needs is damaged or lost in turn: the very next run notices, writes
// again what it held, and does not name it.
static void damage_is_mended(void **state)
{
    (void)state;
    struct repo r;
    struct snap_state s = small;
    log_kit_open(log_kit_store(true), &r);
    struct entry first = write_ok(&r, &s);
    s.version = 2;
    struct entry second = write_ok(&r, &s); // on two batches
    struct strv needs = {0};
    struct err err = {0};
    struct log l = {0};
    log_kit_read(&r, &l);
    assert_true(snapshot_needs(&r, &l, &second, &needs, &err));
    assert_int_equal(needs.len, 4);
    for (size_t i = 0; i < 3 * needs.len; i++) {
        struct store *copy = memstore_clone(r.store);
        struct repo damaged;
        const char *name = needs.v[i / 3];
        damage(copy, name, (enum damage)(i % 3));
        log_kit_open(copy, &damaged);
        struct entry e = write_ok(&damaged, &s);
        expect_readable(&damaged, &e, &s);
        assert_false(is_needed(&damaged, &e, name));
        assert_true(e.snapshot.bytes.added > 0);
        struct entry next = write_ok(&damaged, &s);
        assert_int_equal(next.snapshot.bytes.added, 0);
        entry_clear(&e);
        entry_clear(&next);
        repo_close(&damaged);
    }
    strv_clear(&needs);
    log_clear(&l);
    entry_clear(&first);
    entry_clear(&second);
    repo_close(&r);
}

// More than is read in every run: what was read lately is noted, and not read again; without the
// notes it is.
static void large_is_read_in_turns(void **state)
{
    (void)state;
    CLEANUP(dir_temp_cleanup) char *dir = NULL;
    struct err err = {0};
    struct snap_state s = small;
    struct repo r;
    struct credential job = snap_kit_job("writer");
    assert_true(dir_make_temp("regrow-test", &dir, &err));
    CLEANUP(str_freep) char *path = noise_file(dir, 45U << 20);
    CLEANUP(str_freep) char *cache = path_join(dir, "cache");
    struct writer_opts o = {.index_cache = cache};
    assert_true(dir_make(cache, 0700, &err));
    s.file = path;
    log_kit_open(log_kit_store(true), &r);
    // Six packs of Git, one of objects, two index files. In the third run three large packs fit.
    const struct {
        const char *cache;
        uint64_t reread;
    } runs[] = {{cache, 9}, {cache, 9}, {cache, 7}, {NULL, 9}};
    for (size_t i = 0; i < ARRAY_LEN(runs); i++) {
        struct entry e = {0};
        o.index_cache = runs[i].cache;
        if (!snap_kit_write(&r, &job, &s, &o, &e, &err))
            fail_msg("%s", err.msg);
        assert_int_equal(e.snapshot.check.reread, runs[i].reread);
        assert_int_equal(e.snapshot.check.present, i ? 9 : 0);
        entry_clear(&e);
    }
    credential_clear(&job);
    repo_close(&r);
}

// Of a batch that is damaged in part, what is whole stays where it is.
static void little_is_written_again(void **state)
{
    (void)state;
    struct repo r;
    struct snap_state s = {.apps = 60, .objects = 20, .version = 1, .has_secret = true};
    struct batches b = {0};
    struct err err = {0};
    log_kit_open(log_kit_store(true), &r);
    struct entry first = write_ok(&r, &s);
    assert_true(batches_read(&r, PROD, &first, NULL, &b, &err));
    assert_int_equal(b.v.v[0].packs.len, 2);
    const struct index_pack *secrets = &b.v.v[0].packs.v[1];
    assert_int_equal(secrets->class, 's');
    CLEANUP(str_freep) char *hex = hex_encode(secrets->id.b, sizeof(secrets->id.b));
    CLEANUP(str_freep) char *name = chain_file(PROD, "packs", hex);
    damage(r.store, name, OTHER_BYTES);
    size_t packs = memstore_count(r.store, "chains/prod/packs/");
    struct entry e = write_ok(&r, &s);
    assert_int_equal(memstore_count(r.store, "chains/prod/packs/"), packs + 1);
    assert_false(is_needed(&r, &e, name));
    expect_readable(&r, &e, &s);
    batches_clear(&b);
    entry_clear(&first);
    entry_clear(&e);
    repo_close(&r);
}

// A source is unknown, so that what it had cannot be written again: what is whole is kept, and the
// snapshot says that something may be missing, as long as the source is unknown.
static void damage_beside_unknown(void **state)
{
    (void)state;
    struct repo r;
    struct snap_state s = small;
    struct batches b = {0};
    struct err err = {0};
    log_kit_open(log_kit_store(true), &r);
    struct entry first = write_ok(&r, &s);
    assert_true(batches_read(&r, PROD, &first, NULL, &b, &err));
    CLEANUP(str_freep) char *hex = hex_encode(b.v.v[0].packs.v[0].id.b, 32);
    CLEANUP(str_freep) char *name = chain_file(PROD, "packs", hex);
    damage(r.store, name, OTHER_BYTES);
    s.unknown = true;
    for (unsigned i = 0; i < 2; i++) {
        struct entry e = write_ok(&r, &s);
        assert_false(e.snapshot.is_good);
        assert_true(strv_has(&e.snapshot.why, "lost-content"));
        assert_false(is_needed(&r, &e, name));
        entry_clear(&e);
    }
    s.unknown = false;
    struct entry e = write_ok(&r, &s);
    assert_true(e.snapshot.is_good);
    expect_readable(&r, &e, &s);
    batches_clear(&b);
    entry_clear(&first);
    entry_clear(&e);
    repo_close(&r);
}

// A store that keeps half an entry, or other bytes, breaks its contract. That is seen by everybody,
// nothing was reported, and a person takes the file away.
static void mend_log(struct repo *r, bool reported)
{
    CLEANUP(str_freep) char *problem = log_kit_problem(r, NULL);
    struct err err = {0};
    if (!problem)
        return;
    assert_false(reported);
    if (!repo_remove_untrusted(r, PROD, 2, &err))
        fail_msg("%s", err.msg);
}

// Each call fails in each way. Whatever comes of it, the snapshot before stays readable, one that
// was reported is, and the next run completes.
static void every_call_fails(void **state)
{
    (void)state;
    static const enum memstore_fault faults[] = {MEM_FAIL,  MEM_LOSE, MEM_DIE,   MEM_DIE_AFTER,
                                                 MEM_SHORT, MEM_FLIP, MEM_STALE, MEM_PRETEND};
    struct repo r;
    struct snap_state s = small;
    log_kit_open(log_kit_store(true), &r);
    struct entry first = write_ok(&r, &s);
    s.version = 2;
    for (size_t f = 0; f < ARRAY_LEN(faults); f++) {
        for (unsigned n = 1; n < 60; n++) {
            struct repo t;
            struct credential job = snap_kit_job("writer");
            struct entry e = {0};
            struct err err = {0};
            log_kit_open(memstore_clone(r.store), &t);
            memstore_fault_at(t.store, n, faults[f]);
            bool reported = snap_kit_write(&t, &job, &s, NULL, &e, &err);
            bool was_reached = memstore_calls(t.store, MEM_OPS) >= n;
            err_clear(&err);
            memstore_hook(t.store, NULL, NULL);
            mend_log(&t, reported);
            if (reported)
                expect_readable(&t, &e, &s);
            expect_readable(&t, &first, &small);
            struct entry next = write_ok(&t, &s);
            expect_readable(&t, &next, &s);
            entry_clear(&next);
            entry_clear(&e);
            credential_clear(&job);
            repo_close(&t);
            if (!was_reached)
                break;
        }
    }
    entry_clear(&first);
    repo_close(&r);
}

// Another writer is faster, at every moment.
struct other {
    struct credential job;
    struct snap_state s;
    unsigned at;
    struct store *store;
    bool done;
};

static enum memstore_fault faster(void *ctx, const struct memstore_call *call)
{
    struct other *o = ctx;
    if (call->n != o->at || o->done)
        return MEM_FINE;
    o->done = true;
    struct repo r = {0};
    struct err err = {0};
    struct sha256 pin = kit_pin(o->store);
    struct entry e = {0};
    // The same store, lent: the repository must not close it.
    if (!repo_open_store_take(o->store, &pin, &r, &err) ||
        !snap_kit_write(&r, &o->job, &o->s, NULL, &e, &err))
        fail_msg("%s", err.msg);
    r.store = NULL;
    repo_close(&r);
    entry_clear(&e);
    return MEM_FINE;
}

static void two_writers(void **state)
{
    (void)state;
    struct snap_state mine = {.apps = 4, .objects = 5, .version = 7};
    for (unsigned n = 1; n < 60; n++) {
        struct repo r;
        log_kit_open(log_kit_store(true), &r);
        struct entry first = write_ok(&r, &small);
        struct other o = {.job = snap_kit_job("writer"), .s = small, .at = n, .store = r.store};
        o.s.version = 3;
        memstore_hook(r.store, faster, &o);
        struct entry e = write_ok(&r, &mine);
        memstore_hook(r.store, NULL, NULL);
        struct log l = {0};
        log_kit_read(&r, &l);
        assert_int_equal(l.head, o.done ? 3 : 2);
        for (size_t i = 0; i < l.v.len; i++)
            expect_readable(&r, &l.v.v[i],
                            l.v.v[i].seq == e.seq ? &mine
                            : l.v.v[i].seq == 1   ? &small
                                                  : &o.s);
        log_clear(&l);
        entry_clear(&first);
        entry_clear(&e);
        credential_clear(&o.job);
        repo_close(&r);
        if (!o.done)
            break;
    }
}

// ---- power cuts ----
static void seed_folder(const struct store *mem, struct store *folder)
{
    static const char *const names[] = {"trust/0001", "regrow.json"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const struct buf *b = memstore_file(mem, names[i]);
        struct err err = {0};
        bool made = false;
        assert_true(store_create(folder, names[i], b->p, b->len, NULL, &made, &err));
    }
}

static void open_folder(const struct store *mem, struct powercut *p, struct repo *r)
{
    struct sha256 pin = kit_pin(mem);
    struct err err = {0};
    if (!repo_open_store_take(store_folder_new("/repo", powercut_fs(p)), &pin, r, &err))
        fail_msg("%s", err.msg);
}

// At 1,000 seeded points the power goes during a run: every snapshot reported good before stays
// readable, the one under way is there or not at all, and the next run completes.
static void power_cuts(void **state)
{
    (void)state;
    unsigned cut = 0;
    unsigned steps = 0; // of a run that is not cut
    struct store *mem = log_kit_store(true);
    struct credential job = snap_kit_job("writer");
    for (uint64_t seed = 0; seed < 1001; seed++) {
        struct powercut *p = powercut_new(seed);
        struct store *folder = store_folder_new("/repo", powercut_fs(p));
        struct repo r;
        struct snap_state s = {.apps = 3, .objects = 3, .version = 1};
        seed_folder(mem, folder);
        store_free(folder);
        open_folder(mem, p, &r);
        struct entry first = write_ok(&r, &s);
        struct snap_state next = s;
        next.version = 2;
        struct entry e = {0};
        struct err err = {0};
        powercut_at(p, steps ? 1 + (unsigned)(seed * 7919 % steps) : 0);
        bool reported = snap_kit_write(&r, &job, &next, NULL, &e, &err);
        err_clear(&err);
        cut += powercut_is_off(p);
        // Which reused files are read again depends on their names: some runs have a step less.
        steps = powercut_is_off(p) ? steps : powercut_steps(p);
        repo_close(&r);
        powercut_reboot(p);
        open_folder(mem, p, &r);
        expect_readable(&r, &first, &s);
        if (reported)
            expect_readable(&r, &e, &next);
        struct entry again = write_ok(&r, &next);
        expect_readable(&r, &again, &next);
        entry_clear(&again);
        entry_clear(&first);
        entry_clear(&e);
        repo_close(&r);
        powercut_free(p);
    }
    credential_clear(&job);
    store_free(mem);
    assert_in_range(cut, 990, 1000);
}

// A file of several pieces as a Git pack.
static void large_file(void **state)
{
    (void)state;
    CLEANUP(dir_temp_cleanup) char *dir = NULL;
    struct err err = {0};
    assert_true(dir_make_temp("regrow-test", &dir, &err));
    CLEANUP(str_freep) char *path = noise_file(dir, (17U << 20) + 123);
    struct snap_state s = small;
    s.file = path;
    struct repo r;
    log_kit_open(log_kit_store(true), &r);
    struct entry a = write_ok(&r, &s);
    assert_true(a.snapshot.has_git);
    expect_readable(&r, &a, &s);
    struct entry b = write_ok(&r, &s);
    assert_int_equal(b.snapshot.bytes.added, 0);
    expect_readable(&r, &b, &s);
    entry_clear(&a);
    entry_clear(&b);
    repo_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_back),
        cmocka_unit_test(no_change),
        cmocka_unit_test(small_change),
        cmocka_unit_test(many_changes),
        cmocka_unit_test(unknown_for_long),
        cmocka_unit_test(names_and_tips),
        cmocka_unit_test(back_and_forth),
        cmocka_unit_test(refusals),
        cmocka_unit_test(another_cluster),
        cmocka_unit_test(rolled_back),
        cmocka_unit_test(after_a_void_one),
        cmocka_unit_test(damage_is_mended),
        cmocka_unit_test(every_call_fails),
        cmocka_unit_test(two_writers),
        cmocka_unit_test(power_cuts),
        cmocka_unit_test(large_file),
        cmocka_unit_test(large_is_read_in_turns),
        cmocka_unit_test(little_is_written_again),
        cmocka_unit_test(damage_beside_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
