// SPDX-License-Identifier: Apache-2.0
//
// The duties of a store, and writing, reading and pruning on it, against the store a URL names:
//
//   tool_store contract URL    the contract, and what it guarantees (printed as JSON)
//   tool_store race URL N      N writers, as threads with a store each, commit snapshots to one
//                              chain while a pruner works; at the end every snapshot is whole
//
// A cmocka program, so that it reports as every test does.
#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "snapshot/prune.h"
#include "tests/snapshot/contract.h"
#include "tests/snapshot/snapkit.h"
#include "tests/test.h"

#define RACE_MS 20000
#define MAX_WRITERS 16

static struct store_opts opts;
static unsigned n_writers;

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
    unsigned number, done;
    bool is_pruner;
    int64_t until_ms;
    struct sha256 pin;
    struct err err;
};

static bool open_repo(const struct worker *w, struct repo *r, struct err *err)
{
    struct store *s = NULL;
    return store_open(&opts, &s, err) && repo_open_store_take(s, &w->pin, r, err);
}

static bool write_one(struct worker *w, struct repo *r, const struct credential *job)
{
    struct snap_state s = {.apps = 3, .objects = 3, .version = w->number * 100000 + w->done};
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
        w->done++;
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
    w->done += (unsigned)out.swept.len;
    prune_result_clear(&out);
    if (!ok && w->err.kind == ERR_CONFLICT) {
        err_clear(&w->err);
        ok = true;
    }
    return ok;
}

static void *work(void *p)
{
    struct worker *w = p;
    struct repo r = {0};
    struct credential job = snap_kit_job("writer");
    struct credential pruner = {.kind = CREDENTIAL_PRUNER, .signer = kit_signer("pruner")};
    kit_repo(pruner.repo);
    bool ok = open_repo(w, &r, &w->err);
    while (ok && clock_mono_ms() < w->until_ms)
        ok = w->is_pruner ? prune_one(w, &r, &pruner) : write_one(w, &r, &job);
    if (r.store)
        repo_close(&r);
    credential_clear(&job);
    return NULL;
}

// Every snapshot that counts can be read whole.
static unsigned expect_all_whole(const struct worker *w)
{
    struct repo r = {0};
    struct log l = {0};
    struct err err = {0};
    struct age_identity id = kit_identity(1);
    unsigned n = 0;
    if (!open_repo(w, &r, &err))
        fail_msg("%s", err.msg);
    log_kit_read(&r, &l);
    for (size_t i = 0; i < l.v.len; i++) {
        struct reader *rd = NULL;
        struct reader_stats stats = {0};
        if (l.v.v[i].kind != ENTRY_SNAPSHOT || log_standing(&l, &l.v.v[i]) == STANDING_DEAD)
            continue;
        if (!reader_open(&r, PROD, &l.v.v[i], &id, &rd, &err) ||
            !reader_each(rd, NULL, NULL, &stats, &err))
            fail_msg("%s", err.msg);
        reader_free(rd);
        n++;
    }
    log_clear(&l);
    repo_close(&r);
    return n;
}

static void race(void **state)
{
    pthread_t threads[MAX_WRITERS + 1];
    struct worker workers[MAX_WRITERS + 1] = {0};
    struct sha256 pin;
    unsigned written = 0;
    (void)state;
    seed(&pin);
    struct store *s = NULL;
    struct err err = {0};
    assert_true(store_open(&opts, &s, &err));
    bool prunes = s->ops->traits.may_create_atomic; // else a pruner has to be alone
    store_free(s);
    for (unsigned i = 0; i < n_writers + prunes; i++) {
        workers[i] = (struct worker){.number = i,
                                     .is_pruner = i == n_writers,
                                     .until_ms = clock_mono_ms() + RACE_MS,
                                     .pin = pin};
        pthread_create(&threads[i], NULL, work, &workers[i]);
    }
    for (unsigned i = 0; i < n_writers + prunes; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < n_writers + prunes; i++) {
        if (err_is_set(&workers[i].err))
            fail_msg("%s %u: %s", workers[i].is_pruner ? "pruner" : "writer", i,
                     workers[i].err.msg);
        if (i < n_writers)
            written += workers[i].done;
    }
    unsigned whole = expect_all_whole(&workers[0]);
    print_message("%u snapshots by %u writers, %u swept, %u there and whole\n", written, n_writers,
                  prunes ? workers[n_writers].done : 0, whole);
    assert_true(written >= n_writers);
    assert_true(whole >= 3 || whole == written);
    assert_true(prunes || whole == written); // nobody deletes: nothing is lost
}

int main(int argc, char **argv)
{
    const struct CMUnitTest contract_tests[] = {
        cmocka_unit_test(contract),
        cmocka_unit_test(probed),
    };
    const struct CMUnitTest race_tests[] = {cmocka_unit_test(race)};
    long long n = 8;
    if (argc < 3 || (argc > 3 && !str_to_int(argv[3], 1, MAX_WRITERS, &n))) {
        fprintf(stderr, "usage: tool_store contract|race URL [WRITERS]\n");
        return 2;
    }
    opts = (struct store_opts){.url = argv[2], .ca_file = getenv("REGROW_CA_FILE")};
    n_writers = (unsigned)n;
    return !strcmp(argv[1], "race") ? cmocka_run_group_tests(race_tests, NULL, NULL)
                                    : cmocka_run_group_tests(contract_tests, NULL, NULL);
}
