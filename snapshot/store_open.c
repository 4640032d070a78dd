// SPDX-License-Identifier: Apache-2.0
//
// From a URL to a store, and what a store really guarantees.
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "snapshot/crypto.h"
#include "snapshot/store_folder.h"
#include "snapshot/store_oci.h"
#include "snapshot/store_s3.h"

#define RACERS 16
#define RACES 10
#define RACE_BYTES 64

bool store_open(const struct store_opts *o, struct store **out, struct err *err)
{
    if (str_starts(o->url, "s3://"))
        return store_s3_open(o, out, err);
    if (str_starts(o->url, "oci://"))
        return store_oci_open(o, out, err);
    if (strstr(o->url, "://") && !str_starts(o->url, "file:///"))
        return err_set(err, ERR_USAGE, "%s: a repository is a folder, s3://… or oci://…", o->url);
    const char *dir = str_starts(o->url, "file://") ? o->url + 7 : o->url;
    if (str_is_empty(dir))
        return err_set(err, ERR_USAGE, "the repository has no name");
    *out = store_folder_new(dir, folder_fs_real());
    return true;
}

struct race {
    const struct store_opts *o;
    pthread_barrier_t start;
    char *names[RACES];
};
struct racer {
    struct race *race;
    unsigned number;
    uint8_t bytes[RACES][RACE_BYTES];
    bool made[RACES];
    struct err err;
};

static void *run_racer(void *p)
{
    struct racer *r = p;
    struct store *s CLEANUP(store_freep) = NULL;
    bool ok = store_open(r->race->o, &s, &r->err);
    for (unsigned i = 0; i < RACES; i++) {
        pthread_barrier_wait(&r->race->start); // even after a failure: the others wait for us
        ok = ok && store_create(s, r->race->names[i], r->bytes[i], RACE_BYTES, NULL, &r->made[i],
                                &r->err);
    }
    return NULL;
}

// Exactly one won, and the bytes that are there are his.
static bool has_one_winner(struct store *s, const char *name, const struct racer *racers,
                           unsigned race, bool *good, struct err *err)
{
    const struct racer *winner = NULL;
    unsigned winners = 0;
    for (unsigned i = 0; i < RACERS; i++) {
        if (!racers[i].made[race])
            continue;
        winner = &racers[i];
        winners++;
    }
    struct buf b CLEANUP(buf_clear) = {0};
    bool found = false;
    if (!store_get(s, name, RACE_BYTES, &b, &found, err))
        return false;
    *good = winners == 1 && found && b.len == RACE_BYTES &&
            !memcmp(b.p, winner->bytes[race], RACE_BYTES);
    return true;
}

static bool run_races(struct race *race, struct racer *racers, struct err *err)
{
    pthread_t threads[RACERS];
    pthread_barrier_init(&race->start, NULL, RACERS);
    for (unsigned i = 0; i < RACERS; i++) {
        racers[i].race = race;
        racers[i].number = i;
        crypto_random(racers[i].bytes, sizeof(racers[i].bytes));
        if (pthread_create(&threads[i], NULL, run_racer, &racers[i]) != 0)
            abort(); // the others would wait at the barrier for ever
    }
    for (unsigned i = 0; i < RACERS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&race->start);
    bool ok = true;
    for (unsigned i = 0; i < RACERS; i++) {
        if (err_is_set(&racers[i].err) && ok) {
            err_move(err, &racers[i].err);
            ok = false;
        }
        err_clear(&racers[i].err);
    }
    return ok;
}

static bool judge_races(struct store *s, const struct race *race, const struct racer *racers,
                        struct store_guarantees *out, struct err *err)
{
    struct store_items items = {0};
    if (!store_list(s, STORE_PROBE, &items, err))
        return false;
    *out = (struct store_guarantees){true, true};
    bool ok = true;
    for (unsigned i = 0; i < RACES && ok; i++) {
        bool good = false;
        bool listed = false;
        for (size_t j = 0; j < items.v.len; j++)
            listed |= !strcmp(items.v.v[j].name, race->names[i]);
        ok = has_one_winner(s, race->names[i], racers, i, &good, err);
        out->atomic_create &= good;
        out->list_after_create &= listed;
    }
    store_items_clear(&items);
    return ok;
}

bool store_probe(struct store *s, const struct store_opts *o, struct store_guarantees *out,
                 struct err *err)
{
    if (!s->ops->traits.may_create_atomic) {
        *out = (struct store_guarantees){false, true};
        return true;
    }
    struct race race = {.o = o};
    struct racer *racers = mem_alloc(RACERS * sizeof(*racers));
    uint8_t r[8];
    crypto_random(r, sizeof(r));
    CLEANUP(str_freep) char *hex = hex_encode(r, sizeof(r));
    for (unsigned i = 0; i < RACES; i++)
        race.names[i] = str_printf(STORE_PROBE "%s-%u", hex, i);
    bool ok = run_races(&race, racers, err) && judge_races(s, &race, racers, out, err);
    for (unsigned i = 0; i < RACES; i++) {
        struct err ignored = {0};
        if (!store_remove(s, race.names[i], &ignored))
            err_clear(&ignored); // who may not delete leaves them to the pruner
        free(race.names[i]);
    }
    free(racers);
    return ok;
}
