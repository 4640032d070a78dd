// SPDX-License-Identifier: Apache-2.0
//
// A pruner's key in a thief's hands must not make a bad snapshot good: whatever he leaves out of a
// checkpoint and deletes. Every short history of snapshots and verdicts is tried with every choice
// of what he keeps, by what reads a log in earnest; then an honest writer goes on upon what he
// left, and he chooses again. Mistakes, seeded one at a time, must be found.
#include "snapshot/log_int.h"

#include "tests/snapshot/logkit.h"
#include "tests/test.h"

#define EVENTS 5
#define ENTRIES (EVENTS + 3) // and a thief's checkpoint, a writer, a checkpoint again
#define SNAPS 3

enum mistake {
    NO_MISTAKE,
    REMEMBER_NOTHING, // entries as earlier versions wrote them
    FORGET_OTHERS,    // a writer remembers only what it read itself, not what others remember
};

typedef unsigned mask; // of entries of a history

struct history {
    struct entry v[ENTRIES];
    mask knows[ENTRIES]; // what whoever wrote it had read, or had heard of
    size_t n;
};

struct search {
    enum mistake mistake;
    size_t tried, promoted, wrong;
};

static bool is_in(mask m, size_t i)
{
    return m >> i & 1;
}

// What of a history is there: entries are lent.
static struct log view(const struct history *h, mask there)
{
    struct log l = {.checkpoint = -1, .is_whole = true};
    for (size_t i = 0; i < h->n; i++) {
        if (!is_in(there, i))
            continue;
        if (h->v[i].kind == ENTRY_CHECKPOINT)
            l.checkpoint = (int)l.v.len;
        *vec_push(&l.v) = h->v[i];
    }
    return l;
}

// As much as a writer reads: from the head down, below a checkpoint the newest first.
static struct log head_of(const struct history *h, mask there)
{
    for (size_t from = h->n; from-- > 0;) {
        struct log l = view(h, there & ~((1U << from) - 1));
        const struct entry *newest = log_newest_snapshot(&l);
        l.is_whole = from == 0;
        if (from == 0 ||
            (newest && newest->remembered.has_bad && log_newest_known(&l) && log_latest_good(&l)))
            return l;
        vec_clear(&l.v);
    }
    return (struct log){.checkpoint = -1, .is_whole = true};
}

static void drop_remembered(struct log *l)
{
    for (size_t i = 0; i < l->v.len; i++)
        l->v.v[i].remembered = (struct remembered){.has_bad = true};
}

static void append(struct search *x, struct history *h, struct entry e, mask there)
{
    struct log l = e.kind == ENTRY_SNAPSHOT ? head_of(h, there) : view(h, there);
    e.seq = h->n + 1;
    e.hash.b[0] = (uint8_t)e.seq;
    if (x->mistake == FORGET_OTHERS)
        drop_remembered(&l);
    if (e.kind != ENTRY_CHECKPOINT && x->mistake != REMEMBER_NOTHING)
        log_remember(&l, &e.remembered);
    h->knows[h->n] = there;
    for (size_t i = 0; i < h->n; i++)
        if (is_in(there, i) && h->v[i].kind != ENTRY_CHECKPOINT)
            h->knows[h->n] |= h->knows[i];
    h->v[h->n++] = e;
    vec_clear(&l.v);
}

static void take_back(struct history *h)
{
    struct entry *e = &h->v[--h->n];
    vec_clear(&e->remembered.bad);
    vec_clear(&e->checkpoint.keep);
    *e = (struct entry){0};
}

static bool is_about(const struct entry *v, const struct entry *snapshot)
{
    return v->kind == ENTRY_VERDICT && v->verdict.of.seq == snapshot->seq;
}

// The verdict that makes it bad when nothing is left out; ENTRIES: none.
static size_t truly_bad(const struct history *h, size_t snapshot)
{
    size_t bad = ENTRIES;
    for (size_t i = 0; i < h->n; i++)
        if (is_about(&h->v[i], &h->v[snapshot]))
            bad = h->v[i].verdict.verdict == VERDICT_BAD ? i : ENTRIES;
    return bad;
}

static bool somebody_knows(const struct history *h, mask there, size_t what)
{
    for (size_t i = 0; i < h->n; i++)
        if (is_in(there, i) && h->v[i].kind != ENTRY_CHECKPOINT &&
            (i == what || is_in(h->knows[i], what)))
            return true;
    return false;
}

// Is all there that was said about it?
static bool is_honest(const struct history *h, mask there, size_t snapshot)
{
    for (size_t i = 0; i < h->n; i++)
        if (is_about(&h->v[i], &h->v[snapshot]) && !is_in(there, i))
            return false;
    return true;
}

static void look(struct search *x, const struct history *h, mask there)
{
    struct log l = view(h, there);
    x->tried++;
    for (size_t i = 0; i < h->n; i++) {
        if (h->v[i].kind != ENTRY_SNAPSHOT || !is_in(there, i))
            continue;
        size_t bad = truly_bad(h, i);
        enum goodness g = log_goodness(&l, &h->v[i]);
        x->promoted += bad < ENTRIES && g >= SNAP_GOOD && somebody_knows(h, there, bad);
        struct log all = view(h, (1U << h->n) - 1);
        all.checkpoint = -1;
        x->wrong += is_honest(h, there, i) && g != log_goodness(&all, &h->v[i]);
        vec_clear(&all.v);
    }
    vec_clear(&l.v);
}

// Every choice of what stays; then, rounds left, an honest writer and every choice again.
static void steal(struct search *x, struct history *h, mask there, unsigned rounds)
{
    for (mask stays = there;; stays = (stays - 1) & there) {
        struct entry c = {.kind = ENTRY_CHECKPOINT};
        for (size_t i = 0; i < h->n; i++)
            if (is_in(stays, i))
                kit_keep(&c, &h->v[i]);
        append(x, h, c, stays);
        mask now = stays | 1U << (h->n - 1);
        look(x, h, now);
        if (rounds > 1) {
            struct entry e = {.kind = ENTRY_SNAPSHOT, .snapshot.is_good = false};
            append(x, h, e, now);
            steal(x, h, stays | 1U << (h->n - 1), rounds - 1);
            take_back(h);
        }
        take_back(h);
        if (!stays)
            return;
    }
}

static void extend(struct search *x, struct history *h, size_t events, unsigned rounds)
{
    mask all = (1U << h->n) - 1;
    size_t snaps = 0;
    if (h->n)
        steal(x, h, all, rounds);
    if (h->n == events)
        return;
    for (size_t i = 0; i < h->n; i++) {
        if (h->v[i].kind != ENTRY_SNAPSHOT)
            continue;
        snaps++;
        for (int bad = 0; bad < 2; bad++) {
            append(x, h, kit_verdict(&h->v[i], bad ? VERDICT_BAD : VERDICT_GOOD), all);
            extend(x, h, events, rounds);
            take_back(h);
        }
    }
    for (int good = 0; good < 2 && snaps < SNAPS; good++) {
        struct entry e = {.kind = ENTRY_SNAPSHOT, .snapshot.is_good = good};
        append(x, h, e, all);
        extend(x, h, events, rounds);
        take_back(h);
    }
}

static struct search search(enum mistake m, size_t events, unsigned rounds)
{
    struct search x = {.mistake = m};
    struct history h = {.n = 0};
    extend(&x, &h, events, rounds);
    print_message("%zu logs, %zu promoted, %zu wrong\n", x.tried, x.promoted, x.wrong);
    return x;
}

static void no_choice_promotes(void **state)
{
    (void)state;
    struct search x = search(NO_MISTAKE, EVENTS, 1);
    assert_int_equal(x.promoted, 0);
    assert_int_equal(x.wrong, 0);
    assert_true(x.tried > 10000);
    x = search(NO_MISTAKE, EVENTS - 1, 2);
    assert_int_equal(x.promoted, 0);
    assert_int_equal(x.wrong, 0);
    assert_true(x.tried > 10000);
}

static void finds_remembering_nothing(void **state)
{
    (void)state;
    assert_true(search(REMEMBER_NOTHING, EVENTS - 1, 1).promoted > 0);
}

static void finds_forgetting_what_others_remember(void **state)
{
    (void)state;
    assert_true(search(FORGET_OTHERS, EVENTS - 1, 2).promoted > 0);
}

// ---- on a log with signatures ----

// A log with a bad snapshot, a verdict (number 2), a good snapshot; then a checkpoint keeps the
// two.
static void stolen(struct repo *r, struct log *l)
{
    log_kit_open(log_kit_store(true), r);
    log_kit_read(r, l);
    log_kit_snapshot(r, l);
    struct entry e = kit_verdict(&l->v.v[0], VERDICT_BAD);
    log_kit_append(r, l, &e);
    log_kit_snapshot(r, l);
    assert_int_equal(l->v.v[2].remembered.bad.len, 1);
    e = kit_checkpoint();
    kit_keep(&e, &l->v.v[0]);
    kit_keep(&e, &l->v.v[2]);
    log_kit_append(r, l, &e);
    log_kit_drop(r, 2);
    log_kit_read(r, l);
}

static void left_out(void **state)
{
    (void)state;
    struct repo r;
    struct log l = {0};
    stolen(&r, &l);
    assert_int_equal(log_goodness(&l, &l.v.v[0]), SNAP_SUSPECT);
    assert_true(log_is_in_doubt(&l, &l.v.v[0]));
    assert_int_equal(log_left_out(&l, &l.v.v[0]), 2);
    assert_int_equal(log_goodness(&l, &l.v.v[1]), SNAP_GOOD);
    assert_int_equal(log_left_out(&l, &l.v.v[1]), 0);
    // The next ones remember it too.
    log_kit_snapshot(&r, &l);
    assert_int_equal(l.v.v[l.v.len - 1].remembered.bad.len, 1);
    assert_int_equal(l.v.v[l.v.len - 1].remembered.bad.v[0].since, 2);
    // A judge's word ends it, and what is forgotten nobody remembers.
    struct entry e = kit_verdict(&l.v.v[0], VERDICT_GOOD);
    log_kit_append(&r, &l, &e);
    log_kit_read(&r, &l);
    assert_int_equal(log_goodness(&l, &l.v.v[0]), SNAP_GOOD);
    log_kit_snapshot(&r, &l);
    assert_int_equal(l.v.v[l.v.len - 1].remembered.bad.len, 0);
    log_clear(&l);
    repo_close(&r);
}

// A writer who lies is not believed where everything is there, and not at all once he is revoked.
static void false_memory(void **state)
{
    (void)state;
    struct repo r;
    struct log l = {0};
    log_kit_open(log_kit_store(true), &r);
    log_kit_read(&r, &l);
    log_kit_snapshot(&r, &l);
    log_kit_snapshot(&r, &l);
    struct entry e = kit_snapshot(true);
    struct sha256 prev = l.v.v[1].hash;
    *vec_push(&e.remembered.bad) = (struct seq_hash){.seq = 1, .hash = l.v.v[0].hash, .since = 2};
    e.remembered.has_bad = true;
    log_kit_put(&r, &e, 3, &prev, "writer");
    log_kit_read(&r, &l);
    assert_int_equal(log_goodness(&l, &l.v.v[0]), SNAP_GOOD);
    e = kit_checkpoint();
    kit_keep(&e, &l.v.v[0]);
    kit_keep(&e, &l.v.v[2]);
    log_kit_append(&r, &l, &e);
    log_kit_read(&r, &l);
    assert_int_equal(log_goodness(&l, &l.v.v[0]), SNAP_SUSPECT);
    log_kit_revoke(&r, "writer", 2);
    log_kit_read(&r, &l);
    assert_int_equal(log_goodness(&l, &l.v.v[0]), SNAP_GOOD);
    log_clear(&l);
    repo_close(&r);
}

// What was written off is carried by whoever writes next, whatever a later checkpoint says.
static void lost_is_remembered(void **state)
{
    (void)state;
    struct repo r;
    struct log l = {0};
    log_kit_open(log_kit_store(true), &r);
    log_kit_read(&r, &l);
    log_kit_snapshot(&r, &l);
    struct entry e = kit_verdict(&l.v.v[0], VERDICT_BAD);
    log_kit_append(&r, &l, &e);
    e = kit_checkpoint();
    kit_keep(&e, &l.v.v[0]);
    e.checkpoint.lost = 2;
    log_kit_append(&r, &l, &e);
    log_kit_drop(&r, 2);
    log_kit_read(&r, &l);
    log_kit_snapshot(&r, &l); // 4
    assert_int_equal(l.v.v[l.v.len - 1].remembered.lost, 2);
    e = kit_checkpoint();
    kit_keep(&e, &l.v.v[0]);
    kit_keep(&e, &l.v.v[l.v.len - 1]);
    log_kit_append(&r, &l, &e);
    log_kit_read(&r, &l);
    assert_int_equal(log_goodness(&l, &l.v.v[0]), SNAP_SUSPECT);
    assert_int_equal(log_left_out(&l, &l.v.v[0]), 0); // a person knows
    log_clear(&l);
    repo_close(&r);
}

// More than there is room for: the newest.
static void bounded(void **state)
{
    (void)state;
    struct log l = {.checkpoint = -1, .is_whole = true};
    for (uint64_t i = 1; i <= ENTRY_MAX_BAD + 10; i++) {
        struct entry e = {.kind = ENTRY_VERDICT, .seq = 1000 + i};
        e.verdict.verdict = VERDICT_BAD;
        e.verdict.of.seq = i;
        *vec_push(&l.v) = e;
    }
    struct remembered r = {0};
    log_remember(&l, &r);
    assert_int_equal(r.bad.len, ENTRY_MAX_BAD);
    assert_int_equal(r.bad.v[0].seq, 11);
    vec_clear(&r.bad);
    vec_clear(&l.v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_choice_promotes),
        cmocka_unit_test(finds_remembering_nothing),
        cmocka_unit_test(finds_forgetting_what_others_remember),
        cmocka_unit_test(left_out),
        cmocka_unit_test(false_memory),
        cmocka_unit_test(lost_is_remembered),
        cmocka_unit_test(bounded),
    };
    return cmocka_run_group_tests_name("snapshot log doubt", tests, NULL, NULL);
}
