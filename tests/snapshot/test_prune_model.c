// SPDX-License-Identifier: Apache-2.0
//
// The protocol of docs/repository-format.md sections 9 and 10 as a model, searched exhaustively:
// two writers, a pruner that also undoes, each of which may die at any step, on one log. In every
// state that can be reached everything a live or waiting snapshot needs must be there, the log must
// be readable, and what a writer called good must count. Six mistakes, seeded one at a time, must
// be found: a model that finds nothing proves nothing.
#include <stdlib.h>
#include <string.h>

#include "tests/test.h"

#define NUMBERS 5   // of the log
#define SNAPSHOTS 3 // and packs: snapshot i brings pack i
#define WRITERS 2

typedef uint8_t mask; // of snapshots, or of packs

enum mistake {
    NO_MISTAKE,
    COMMIT_WITHOUT_READING,   // a writer that was not first only takes the next number
    STAND_ON_SWEPT,           // a writer stands on what may be deleted already
    BELIEVE_BLINDLY,          // a writer does not look whether its entry counts
    DELETE_BEFORE_CHECKPOINT, // a pruner deletes first and tells afterwards
    FORGET_WAITING,           // what waiting snapshots need is deleted
    UNDO_SWEEP,               // what may be deleted already is taken back
};

enum { ABSENT, SNAPSHOT, CHECKPOINT };
struct entry {
    uint8_t kind;
    uint8_t uid, prev; // who it is, and the entry its maker had read
    uint8_t snapshot;
    mask keep, wait, sweep;
};
enum { W_IDLE, W_PACK, W_COMMIT, W_CONFIRM };
struct writer {
    uint8_t pc, head, head_uid, number, uid, id;
    mask base;
};
enum { P_IDLE, P_COMMIT, P_LOOK, P_DELETE, P_ENTRIES };
struct pruner {
    uint8_t pc, head, head_uid, is_early; // early: deletion comes before the checkpoint
    mask keep, wait, sweep;
    mask packs, entries; // still to be deleted
};
struct state {
    struct entry log[NUMBERS + 2]; // 1-based
    mask need[SNAPSHOTS];
    mask packs;
    uint8_t n_snapshots;
    struct writer w[WRITERS];
    struct pruner p;
    uint8_t is_wrong; // a writer called good what does not count
};

// ---- what a log means ----
static int head_of(const struct state *s)
{
    int h = 0;
    for (int i = 1; i <= NUMBERS; i++)
        if (s->log[i].kind)
            h = i;
    return h;
}

static int checkpoint_of(const struct state *s)
{
    int c = 0;
    for (int i = 1; i <= NUMBERS; i++)
        if (s->log[i].kind == CHECKPOINT)
            c = i;
    return c;
}

static mask present(const struct state *s)
{
    mask m = 0;
    for (int i = 1; i <= NUMBERS; i++)
        if (s->log[i].kind == SNAPSHOT)
            m |= (mask)(1 << s->log[i].snapshot);
    return m;
}

static mask live_of(const struct state *s)
{
    int c = checkpoint_of(s);
    mask m = s->log[c].keep & present(s);
    for (int i = c + 1; i <= NUMBERS; i++)
        if (s->log[i].kind == SNAPSHOT)
            m |= (mask)(1 << s->log[i].snapshot);
    return m;
}

static mask waiting_of(const struct state *s)
{
    return s->log[checkpoint_of(s)].wait & present(s);
}

static int number_of(const struct state *s, int snapshot)
{
    for (int i = 1; i <= NUMBERS; i++)
        if (s->log[i].kind == SNAPSHOT && s->log[i].snapshot == snapshot)
            return i;
    return 0;
}

static int newest_of(const struct state *s, mask of)
{
    int best = -1;
    for (int i = 0; i < SNAPSHOTS; i++)
        if ((of >> i & 1) && (best < 0 || number_of(s, i) > number_of(s, best)))
            best = i;
    return best;
}

static mask needed(const struct state *s, mask of)
{
    mask m = 0;
    for (int i = 0; i < SNAPSHOTS; i++)
        if (of >> i & 1)
            m |= s->need[i];
    return m;
}

static bool holds(const struct state *s)
{
    int c = checkpoint_of(s);
    int h = head_of(s);
    mask counted = live_of(s) | waiting_of(s);
    for (int i = c ? c : 1; i <= h; i++)
        if (!s->log[i].kind)
            return false; // a hole: nobody can read this log
    if ((s->log[c].keep | s->log[c].wait) & ~present(s))
        return false; // the checkpoint names what is gone
    return !(needed(s, counted) & ~s->packs) && !s->is_wrong;
}

// ---- the search ----
struct search {
    enum mistake mistake;
    struct state *v;
    size_t len, cap;
    size_t *table, slots;
    bool found; // a state that does not hold
};

static uint64_t hash_of(const struct state *s)
{
    const uint8_t *p = (const uint8_t *)s;
    uint64_t h = 1469598103934665603ULL;
    for (size_t i = 0; i < sizeof(*s); i++)
        h = (h ^ p[i]) * 1099511628211ULL;
    return h;
}

static void rehash(struct search *x)
{
    x->slots = x->slots ? x->slots * 2 : 1 << 16;
    free(x->table);
    x->table = calloc(x->slots, sizeof(*x->table));
    for (size_t i = 0; i < x->len; i++) {
        size_t at = hash_of(&x->v[i]) & (x->slots - 1);
        while (x->table[at])
            at = (at + 1) & (x->slots - 1);
        x->table[at] = i + 1;
    }
}

static void visit(struct search *x, const struct state *s)
{
    if (x->len * 2 >= x->slots)
        rehash(x);
    size_t at = hash_of(s) & (x->slots - 1);
    for (; x->table[at]; at = (at + 1) & (x->slots - 1))
        if (!memcmp(&x->v[x->table[at] - 1], s, sizeof(*s)))
            return;
    if (x->len == x->cap) {
        x->cap = x->cap ? x->cap * 2 : 4096;
        x->v = realloc(x->v, x->cap * sizeof(*x->v));
    }
    x->v[x->len++] = *s;
    x->table[at] = x->len;
    x->found |= !holds(s);
}

// ---- writers ----

// Reads the head, and stands on the newest snapshot or on nothing.
static void read_head(struct search *x, const struct state *s, int i, uint8_t pc)
{
    mask from = live_of(s);
    if (x->mistake == STAND_ON_SWEPT)
        from |= s->log[checkpoint_of(s)].sweep & present(s);
    for (int choice = 0; choice < 2; choice++) {
        struct state n = *s;
        struct writer *w = &n.w[i];
        w->pc = pc;
        w->head = (uint8_t)head_of(s);
        w->head_uid = s->log[w->head].uid;
        w->base = 0;
        if (choice && x->mistake == STAND_ON_SWEPT) {
            for (int k = 0; k < SNAPSHOTS; k++) {
                w->base = s->need[k];
                if (from >> k & 1)
                    visit(x, &n);
            }
            continue;
        }
        int newest = newest_of(s, from);
        if (choice && newest < 0)
            continue;
        w->base = choice ? s->need[newest] : 0;
        visit(x, &n);
    }
}

static void write_pack(struct search *x, const struct state *s, int i)
{
    struct state n = *s;
    if (n.n_snapshots == SNAPSHOTS)
        return;
    n.w[i].id = n.n_snapshots++;
    n.packs |= (mask)(1 << n.w[i].id);
    n.w[i].pc = W_COMMIT;
    visit(x, &n);
}

static void commit_snapshot(struct search *x, const struct state *s, int i)
{
    struct state n = *s;
    struct writer *w = &n.w[i];
    int number = w->head + 1;
    if (number > NUMBERS)
        return;
    if (n.log[number].kind) { // somebody was first
        if (x->mistake != COMMIT_WITHOUT_READING) {
            read_head(x, s, i, W_COMMIT);
            return;
        }
        w->head = (uint8_t)head_of(s);
        w->head_uid = s->log[w->head].uid;
        visit(x, &n);
        return;
    }
    w->number = (uint8_t)number;
    w->uid = (uint8_t)(1 + w->id);
    w->pc = W_CONFIRM;
    n.need[w->id] = w->base | (mask)(1 << w->id);
    n.log[number] =
        (struct entry){.kind = SNAPSHOT, .uid = w->uid, .prev = w->head_uid, .snapshot = w->id};
    visit(x, &n);
}

// Has this entry ever counted? (It may have been swept since.)
static bool has_counted(const struct state *s, const struct writer *w)
{
    bool known = w->number > checkpoint_of(s);
    for (int k = w->number + 1; k <= NUMBERS; k++)
        if (s->log[k].kind == CHECKPOINT)
            known |= (s->log[k].keep | s->log[k].wait | s->log[k].sweep) >> w->id & 1;
    return known;
}

// Was it written into a number that a checkpoint above had freed? Then it counts for nothing, and
// the writer begins again.
static void confirm(struct search *x, const struct state *s, int i)
{
    struct state n = *s;
    struct writer *w = &n.w[i];
    if (!has_counted(s, w) && x->mistake != BELIEVE_BLINDLY) {
        read_head(x, s, i, W_COMMIT);
        return;
    }
    n.is_wrong = !has_counted(s, w);
    *w = (struct writer){0};
    visit(x, &n);
}

static void step_writer(struct search *x, const struct state *s, int i)
{
    struct state dead = *s;
    switch (s->w[i].pc) {
    case W_IDLE:
        read_head(x, s, i, W_PACK);
        return;
    case W_PACK:
        write_pack(x, s, i);
        break;
    case W_COMMIT:
        commit_snapshot(x, s, i);
        break;
    case W_CONFIRM:
        confirm(x, s, i);
        break;
    }
    dead.w[i] = (struct writer){0};
    visit(x, &dead);
}

// ---- the pruner ----

// Any choice that keeps the newest; any part of what waits has waited long enough.
static void decide(struct search *x, const struct state *s)
{
    mask live = live_of(s);
    mask waiting = waiting_of(s);
    int newest = newest_of(s, live);
    if (newest < 0)
        return;
    for (mask keep = live;; keep = (mask)((keep - 1) & live)) {
        for (mask sweep = waiting;; sweep = (mask)((sweep - 1) & waiting)) {
            struct state n = *s;
            bool early = x->mistake == DELETE_BEFORE_CHECKPOINT && sweep;
            n.p = (struct pruner){.pc = early ? P_LOOK : P_COMMIT,
                                  .head = (uint8_t)head_of(s),
                                  .is_early = early,
                                  .keep = keep,
                                  .wait = (mask)((waiting & ~sweep) | (live & ~keep)),
                                  .sweep = sweep};
            n.p.head_uid = s->log[n.p.head].uid;
            if ((keep >> newest & 1) && (keep != live || sweep))
                visit(x, &n);
            if (!sweep)
                break;
        }
        if (!keep)
            break;
    }
}

static void undo(struct search *x, const struct state *s)
{
    const struct entry *c = &s->log[checkpoint_of(s)];
    mask from = waiting_of(s);
    if (x->mistake == UNDO_SWEEP)
        from |= c->sweep & present(s);
    for (int i = 0; i < SNAPSHOTS; i++) {
        struct state n = *s;
        if (!(from >> i & 1))
            continue;
        n.p = (struct pruner){.pc = P_COMMIT,
                              .head = (uint8_t)head_of(s),
                              .keep = (mask)(live_of(s) | 1 << i),
                              .wait = (mask)(waiting_of(s) & ~(1 << i)),
                              .sweep = (mask)(c->sweep & ~(1 << i))};
        n.p.head_uid = s->log[n.p.head].uid;
        visit(x, &n);
    }
}

static void commit_checkpoint(struct search *x, const struct state *s)
{
    struct state n = *s;
    int number = s->p.head + 1;
    if (number <= NUMBERS && !s->log[number].kind) {
        n.log[number] = (struct entry){.kind = CHECKPOINT,
                                       .uid = (uint8_t)(1 + SNAPSHOTS + number),
                                       .prev = s->p.head_uid,
                                       .keep = s->p.keep,
                                       .wait = s->p.wait,
                                       .sweep = s->p.sweep};
        n.p.pc = P_LOOK;
    } else {
        n.p = (struct pruner){0};
    }
    if (n.p.is_early)
        n.p = (struct pruner){0}; // deleted already
    visit(x, &n);
}

// The log is read again: what may go is computed from what is committed.
static void look(struct search *x, const struct state *s)
{
    struct state n = *s;
    const struct entry *c = &s->log[checkpoint_of(s)];
    mask sweep = s->p.is_early ? s->p.sweep : c->sweep & present(s);
    mask counted = live_of(s) | (x->mistake == FORGET_WAITING ? 0 : waiting_of(s));
    if (s->p.is_early)
        counted = s->p.keep | s->p.wait;
    n.p.packs = (mask)(needed(s, sweep) & ~needed(s, counted));
    n.p.entries = sweep;
    n.p.pc = P_DELETE;
    visit(x, &n);
}

static void delete_some(struct search *x, const struct state *s)
{
    struct state n = *s;
    for (int i = 0; i < SNAPSHOTS; i++) {
        struct state m = *s;
        if (!(s->p.packs >> i & 1))
            continue;
        m.packs &= (mask) ~(1 << i);
        m.p.packs &= (mask) ~(1 << i);
        visit(x, &m);
    }
    if (s->p.packs)
        return;
    n.p.pc = s->p.is_early ? P_COMMIT : P_ENTRIES;
    visit(x, &n);
}

static void delete_entries(struct search *x, const struct state *s)
{
    struct state n = *s;
    int first = -1;
    for (int i = 0; i < SNAPSHOTS; i++)
        if (s->p.entries >> i & 1)
            first = i;
    if (first < 0) {
        n.p = (struct pruner){0};
    } else {
        int number = number_of(s, first);
        n.p.entries &= (mask) ~(1 << first);
        if (number && number < checkpoint_of(s))
            n.log[number] = (struct entry){0};
    }
    visit(x, &n);
}

static void step_pruner(struct search *x, const struct state *s)
{
    struct state dead = *s;
    switch (s->p.pc) {
    case P_IDLE:
        decide(x, s);
        undo(x, s);
        if (s->log[checkpoint_of(s)].sweep & present(s)) { // a sweep that was cut goes on
            struct state n = *s;
            n.p.pc = P_LOOK;
            visit(x, &n);
        }
        return;
    case P_COMMIT:
        commit_checkpoint(x, s);
        break;
    case P_LOOK:
        look(x, s);
        break;
    case P_DELETE:
        delete_some(x, s);
        break;
    case P_ENTRIES:
        delete_entries(x, s);
        break;
    }
    dead.p = (struct pruner){0};
    visit(x, &dead);
}

// True: every state holds. *states: how many there are (up to the first that does not).
static bool search(enum mistake mistake, size_t *states)
{
    struct search x = {.mistake = mistake};
    struct state first;
    memset(&first, 0, sizeof(first));
    visit(&x, &first);
    for (size_t i = 0; i < x.len && !x.found; i++) {
        struct state s = x.v[i]; // x.v may move
        for (int w = 0; w < WRITERS; w++)
            step_writer(&x, &s, w);
        step_pruner(&x, &s);
    }
    *states = x.len;
    free(x.v);
    free(x.table);
    return !x.found;
}

static void holds_everywhere(void **state)
{
    size_t n;
    (void)state;
    assert_true(search(NO_MISTAKE, &n));
    print_message("%zu states\n", n);
    assert_true(n > 100000); // a model that cannot move would hold too
}

static void finds(enum mistake m)
{
    size_t n;
    assert_false(search(m, &n));
    print_message("found after %zu states\n", n);
}

static void finds_commit_without_reading(void **state)
{
    (void)state;
    finds(COMMIT_WITHOUT_READING);
}

static void finds_standing_on_what_is_swept(void **state)
{
    (void)state;
    finds(STAND_ON_SWEPT);
}

static void finds_blind_belief(void **state)
{
    (void)state;
    finds(BELIEVE_BLINDLY);
}

static void finds_deleting_before_checkpoint(void **state)
{
    (void)state;
    finds(DELETE_BEFORE_CHECKPOINT);
}

static void finds_forgetting_waiting(void **state)
{
    (void)state;
    finds(FORGET_WAITING);
}

static void finds_undoing_a_sweep(void **state)
{
    (void)state;
    finds(UNDO_SWEEP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_everywhere),
        cmocka_unit_test(finds_commit_without_reading),
        cmocka_unit_test(finds_standing_on_what_is_swept),
        cmocka_unit_test(finds_blind_belief),
        cmocka_unit_test(finds_deleting_before_checkpoint),
        cmocka_unit_test(finds_forgetting_waiting),
        cmocka_unit_test(finds_undoing_a_sweep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
