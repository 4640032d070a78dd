// SPDX-License-Identifier: Apache-2.0
//
// What the cluster holds, watched all the time: each kind is listed once and then followed, its
// documents reduced to facts as they arrive. Runs that are given one (run_opts.informers) list
// nothing, and hand back what they write; whoever keeps the cluster as written is told what has
// changed.
//
// Life: informers_new (watches begin with the first run, and with its kinds), runs, informers_free
// before kube_free. One run at a time. A kind that cannot be read is unknown, never empty, and is
// tried again. It knows no desired state and decides nothing.
#ifndef RECONCILE_INFORMERS_H
#define RECONCILE_INFORMERS_H

#include "base/loop.h"
#include "kube/kube.h"
#include "reconcile/plan.h"

enum informer_change {
    INFORMER_DRIFT,      // what we own of it is not what its record says
    INFORMER_STILL,      // so it was before, and something else of it has changed
    INFORMER_GONE,       // it has a record and is not there any more
    INFORMER_HEALTH,     // its health, or whether it is ready, is another than before
    INFORMER_UNRECORDED, // it carries the mark of an application and has no record
};

struct informers_opts {
    const char *manager;                // field manager of the projections; NULL: "regrow"
    const char *records;                // the namespace of the inventory; NULL: REGROW_NAMESPACE
    const struct ready_override *ready; // kinds that are healthy once they are applied; borrowed
    size_t n_ready;
    const struct event_sink *events;
    // Not for what a run under way has written itself; what others did to the objects of a run is
    // told when it has ended. `app` is the tracking name of the record, or of the mark. Both are
    // lent for the call, in which no run may be begun. NULL: nobody asks.
    void (*changed)(void *ctx, const struct object_id *id, const char *app,
                    enum informer_change change);
    // What a run would see may be another than it was, or can be read at last: comes often, as it
    // is not asked who wrote it. is_record: what a run has noted. No run may be begun in it. NULL:
    // nobody asks.
    void (*moved)(void *ctx, bool is_record);
    // A definition has made a kind served, or is no more. May be told more than once. NULL: nobody
    // asks.
    void (*served)(void *ctx, const char *group, const char *kind, bool is_served);
    void *ctx; // of all three
};

struct informers;
struct informers *informers_new(struct loop *l, struct kube *k, const struct informers_opts *o);
void informers_free(struct informers *f);
CLEANUP_FN(struct informers, informers_free, informers_freep);

// Borrowed until the loop runs. A fact is kept of what is recorded, carries a mark, or is desired
// by a run; NULL for anything else, there or not. The identities in them are not theirs to free.
const struct live_fact *informers_fact(const struct informers *f, const struct object_id *id);
const struct record *informers_record(const struct informers *f, const struct object_id *id);
bool informers_exists(const struct informers *f, const struct object_id *id);
// Is one of those whose facts are kept, and that counts, missing, unknown or worse than suspended?
// Goes through what is kept without looking anything up.
bool informers_any_bad(const struct informers *f,
                       bool (*counts)(const void *ctx, const struct object_id *id),
                       const void *ctx);
// Every record of an application (tracking name; NULL: of all), with its fact: NULL when the object
// is gone or its kind unknown. Intents of a run that did not end are among them.
void informers_each_record(const struct informers *f, const char *app,
                           void (*fn)(void *ctx, const struct record *r,
                                      const struct live_fact *fact, bool is_unknown),
                           void *ctx);
// cascade_note of an application; owned, NULL when there is none.
json_t *informers_note(const struct informers *f, const char *app);

struct informers_stats {
    size_t kinds, kinds_unknown;
    size_t objects; // whose identity is known
    size_t facts, records;
    size_t bytes;         // about what all of it takes
    unsigned long events; // of watches, since the beginning
    unsigned long stale;  // older than what was known, and passed over
};
struct informers_stats informers_stats(const struct informers *f);

#endif
