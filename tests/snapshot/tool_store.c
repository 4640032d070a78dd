// SPDX-License-Identifier: Apache-2.0
//
// The duties of a store, and writing, reading and pruning on it, against the store a URL names:
//
//   tool_store contract URL    the contract, and what it guarantees (printed as JSON)
//   tool_store race URL N [SECONDS]   N writers, as threads with a store each, commit snapshots to
//                              one chain for so long (20) while a pruner works; at the end every
//                              snapshot that was reported is there or was swept, and all are whole
//
// A cmocka program, so that it reports as every test does.
#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "snapshot/prune.h"
#include "tests/snapshot/contract.h"
#include "tests/snapshot/snapkit.h"
#include "tests/test.h"

#define RACE_SECONDS 20
#define MAX_RACE_SECONDS 3600
#define MAX_WRITERS 16
// Writers that never rest leave a pruner no turn: it has to read a log that stands still.
#define ROUND_MS 10000
#define REST_MS 3000

static struct store_opts opts;
static unsigned n_writers;
static int64_t race_ms;

static void contract(void **state)
{
    struct store *s = NULL;
    struct err err = {0};
    (void)state;
    if (!store_open(&opts, &s, &err))
        fail_msg("%s", err.msg);
    store_contract(s);
    store_free(s);
}

static void probed(void **state)
{
    struct store *s = NULL;
    struct store_guarantees g = {0};
    struct err err = {0};
    (void)state;
    if (!store_open(&opts, &s, &err) || !store_probe(s, &opts, &g, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(g.atomic_create, s->ops->traits.may_create_atomic);
    assert_true(g.list_after_create);
    store_free(s);
}

// The repository of the kit, put into the store.
static void seed(struct sha256 *pin)
{
    struct store *s = NULL;
    struct err err = {0};
    if (!store_open(&opts, &s, &err))
        fail_msg("%s", err.msg);
    struct store *mem = log_kit_store(s->ops->traits.may_create_atomic);
    static const char *const names[] = {"trust/0001", "regrow.json"};
    *pin = kit_pin(mem);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const struct buf *b = memstore_file(mem, names[i]);
        bool made = false;
        if (!store_create(s, names[i], b->p, b->len, NULL, &made, &err))
            fail_msg("%s", err.msg);
    }
    store_free(mem);
    store_free(s);
}

struct worker {
    unsigned number;
    bool is_pruner;
    int64_t until_ms;
    struct sha256 pin;
    VEC(struct seq_hash) written;
    VEC(uint64_t) swept;
    struct err err;
};

static bool open_repo(const struct worker *w, struct repo *r, struct err *err)
{
    struct store *s = NULL;
    return store_open(&opts, &s, err) && repo_open_store_take(s, &w->pin, r, err);
}

static bool write_one(struct worker *w, struct repo *r, const struct credential *job)
{
    struct snap_state s = {
        .apps = 3, .objects = 3, .version = w->number * 100000 + (unsigned)w->written.len};
    struct entry e = {0};
    bool ok = snap_kit_write(r, job, &s, NULL, &e, &w->err);
    if (!ok && w->err.kind == ERR_CONFLICT) {
        err_clear(&w->err); // the others were faster all the while: it says so and may come again
        return true;
    }
    if (ok) {
        char *problem = snap_kit_problem(r, &e, &s);
        if (problem)
            err_set(&w->err, ERR_CORRUPT, "%s", problem);
        free(problem);
        *vec_push(&w->written) = (struct seq_hash){.seq = e.seq, .hash = e.hash};
    }
    entry_clear(&e);
    return ok && !err_is_set(&w->err);
}

static bool prune_one(struct worker *w, struct repo *r, const struct credential *pruner)
{
    struct keep_rules rules = {.min_good = 3, .within_ms = 1};
    struct prune_result out = {0};
    struct prune_opts o = {.pruner = pruner, .rules = &rules, .sweep = true, .grace_ms = 1500};
    bool ok = repo_prune(r, PROD, &o, &out, &w->err);
    // Also those of a checkpoint that another one overtook: each is told once it is committed.
    for (size_t i = 0; ok && i < out.swept.len; i++)
        *vec_push(&w->swept) = out.swept.v[i];
    prune_result_clear(&out);
    if (!ok && w->err.kind == ERR_CONFLICT) {
        err_clear(&w->err);
        ok = true;
    }
    return ok;
}

// Writers come together, as jobs on a schedule do.
static void rest(const struct worker *w)
{
    while (!w->is_pruner && clock_mono_ms() < w->until_ms &&
           (w->until_ms - clock_mono_ms()) % ROUND_MS < REST_MS)
        clock_pause_ms(20);
}

static void *work(void *p)
{
    struct worker *w = p;
    struct repo r = {0};
    struct credential job = snap_kit_job("writer");
    struct credential pruner = {.kind = CREDENTIAL_PRUNER, .signer = kit_signer("pruner")};
    kit_repo(pruner.repo);
    bool ok = open_repo(w, &r, &w->err);
    while (ok && clock_mono_ms() < w->until_ms) {
        ok = w->is_pruner ? prune_one(w, &r, &pruner) : write_one(w, &r, &job);
        rest(w);
    }
    if (r.store)
        repo_close(&r);
    credential_clear(&job);
    return NULL;
}

static void expect_whole(struct repo *r, const struct entry *e)
{
    struct age_identity id = kit_identity(1);
    struct reader_stats stats = {0};
    struct reader *rd = NULL;
    struct err err = {0};
    if (!reader_open(r, PROD, e, &id, &rd, &err) || !reader_each(rd, NULL, NULL, &stats, &err))
        fail_msg("snapshot %d: %s", (int)e->seq, err.msg);
    reader_free(rd);
}

static bool was_swept(const struct worker *pruner, uint64_t seq)
{
    for (size_t i = 0; i < pruner->swept.len; i++)
        if (pruner->swept.v[i] == seq)
            return true;
    return false;
}

// What was reported good is there, or the pruner said that it went.
static void expect_none_lost(const struct log *l, const struct worker *writer,
                             const struct worker *pruner)
{
    for (size_t i = 0; i < writer->written.len; i++) {
        const struct seq_hash *w = &writer->written.v[i];
        const struct entry *e = log_find_hash(l, w->seq, &w->hash);
        if ((!e || log_standing(l, e) == STANDING_DEAD) && !was_swept(pruner, w->seq))
            fail_msg("snapshot %d of writer %u is lost", (int)w->seq, writer->number);
    }
}

// How many there are; every one that counts can be read whole.
static unsigned expect_nothing_lost(const struct worker *workers, unsigned n)
{
    struct repo r = {0};
    struct log l = {0};
    struct err err = {0};
    unsigned whole = 0;
    if (!open_repo(&workers[0], &r, &err))
        fail_msg("%s", err.msg);
    log_kit_read(&r, &l);
    for (unsigned i = 0; i < n_writers; i++)
        expect_none_lost(&l, &workers[i], &workers[n - 1]);
    for (size_t i = 0; i < l.v.len; i++) {
        if (l.v.v[i].kind != ENTRY_SNAPSHOT || log_standing(&l, &l.v.v[i]) == STANDING_DEAD)
            continue;
        expect_whole(&r, &l.v.v[i]);
        whole++;
    }
    log_clear(&l);
    repo_close(&r);
    return whole;
}

static bool has_pruner(void) // where names are not claimed one has to be alone
{
    struct store *s = NULL;
    struct err err = {0};
    if (!store_open(&opts, &s, &err))
        fail_msg("%s", err.msg);
    bool prunes = s->ops->traits.may_create_atomic;
    store_free(s);
    return prunes;
}

static void race(void **state)
{
    pthread_t threads[MAX_WRITERS + 1];
    struct worker workers[MAX_WRITERS + 1] = {0};
    struct sha256 pin;
    size_t written = 0;
    (void)state;
    seed(&pin);
    unsigned n = n_writers + has_pruner();
    for (unsigned i = 0; i < n; i++) {
        workers[i].number = i;
        workers[i].is_pruner = i == n_writers;
        workers[i].until_ms = clock_mono_ms() + race_ms;
        workers[i].pin = pin;
        pthread_create(&threads[i], NULL, work, &workers[i]);
    }
    for (unsigned i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < n; i++) {
        if (err_is_set(&workers[i].err))
            fail_msg("%s %u: %s", workers[i].is_pruner ? "pruner" : "writer", i,
                     workers[i].err.msg);
        written += workers[i].written.len;
    }
    unsigned whole = expect_nothing_lost(workers, n);
    size_t swept = workers[n - 1].swept.len;
    print_message("%zu snapshots by %u writers in %d s, %zu swept, %u there and whole\n", written,
                  n_writers, (int)(race_ms / 1000), swept, whole);
    assert_true(written >= n_writers);
    assert_true(n == n_writers ? whole == written : swept > 0 && whole >= 3);
    for (unsigned i = 0; i < n; i++) {
        vec_clear(&workers[i].written);
        vec_clear(&workers[i].swept);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest contract_tests[] = {
        cmocka_unit_test(contract),
        cmocka_unit_test(probed),
    };
    const struct CMUnitTest race_tests[] = {cmocka_unit_test(race)};
    long long n = 8;
    long long seconds = RACE_SECONDS;
    if (argc < 3 || (argc > 3 && !str_to_int(argv[3], 1, MAX_WRITERS, &n)) ||
        (argc > 4 && !str_to_int(argv[4], 1, MAX_RACE_SECONDS, &seconds))) {
        fprintf(stderr, "usage: tool_store contract|race URL [WRITERS [SECONDS]]\n");
        return 2;
    }
    opts = (struct store_opts){.url = argv[2], .ca_file = getenv("REGROW_CA_FILE")};
    n_writers = (unsigned)n;
    race_ms = seconds * 1000;
    return !strcmp(argv[1], "race") ? cmocka_run_group_tests(race_tests, NULL, NULL)
                                    : cmocka_run_group_tests(contract_tests, NULL, NULL);
}
