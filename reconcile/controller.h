// SPDX-License-Identifier: Apache-2.0
//
// The controller: keeps one cluster as Git says, until it is told to stop. The same plan and the
// same executor as a bootstrap, driven by events: what differs between two loads of the sources,
// what a watch says of an object that is ours, a time that has come, a person who asks. Each turn
// is a run about the applications concerned, and no others (desired_part).
//
// Life: controller_new over a connected cluster, controller_run (takes the Lease, drives the loop
// until it stops), controller_free. It emits events (docs/events.md) and prints nothing. An
// application whose source is unknown is left exactly as it is.
#ifndef RECONCILE_CONTROLLER_H
#define RECONCILE_CONTROLLER_H

#include "base/prom.h"
#include "reconcile/run.h"
#include "source/source.h"

// Where a controller has what is desired from, in place of sources of its own, and whom it tells
// how its applications are, in place of Application objects that it could see: that of a hub's
// other cluster. All are called from its loop.
struct controller_feed {
    // What has come since it was asked last, owned; *out NULL: nothing, or (err) it cannot be read.
    // pins: the number of those it was read with.
    void (*take)(void *ctx, struct desired **out, unsigned *pins, struct err *err);
    void (*refresh)(void *ctx, bool hard);
    // From now on applications are read at these revisions: name -> [revision, ...]; taken.
    void (*pin)(void *ctx, json_t *pins, unsigned number);
    void (*kinds)(void *ctx, struct kinds *kinds); // what the cluster serves now; taken
    // status: for its Application object, NULL without one; taken_out: a patch of the rest of that
    // object, or NULL; doc: of docs/serving.md. All are taken.
    void (*report)(void *ctx, const struct application *a, json_t *status, json_t *taken_out,
                   json_t *doc);
    void *ctx;
};

struct fleet_opts;
struct controller_opts {
    struct kinds *kinds;               // what the cluster serves; kept current here
    const struct source_opts *sources; // lent for the controller's life, as is all else
    const char *root;                  // as source_load takes it
    const struct run_opts *run;        // of every run; only_* and deadline_ms are not looked at
    int64_t poll_ms;                   // between two looks at the sources; 0: three minutes
    // The cron form: what is owed is done, its health waited for until the deadline, and that is
    // all. controller_run fails with PARTIAL when something is not healthy or not as Git says.
    bool once;
    int64_t deadline_ms; // of once; monotonic, 0: none
    const struct event_sink *events;
    const struct controller_feed *feed; // NULL: it loads sources and root by itself
    // Of a hub: the clusters that its Secrets register are kept as well (fleet.h); NULL: they are
    // not.
    const struct fleet_opts *fleet;
};

struct controller;
struct controller *controller_new(struct loop *l, struct kube *k, const struct controller_opts *o);
void controller_free(struct controller *c);
CLEANUP_FN(struct controller, controller_free, controller_freep);

// True when the loop was told to stop. Another holder of the Lease is waited for, a server that is
// gone and sources that cannot be read are tried again; only `once` fails by them.
MUST_CHECK bool controller_run(struct controller *c, struct err *err);

// Something was pushed, or somebody asks: the sources are looked at now. `hard`: what is rendered
// is rendered again.
void controller_refresh(struct controller *c, bool hard);

// With a feed: there is something to take.
void controller_fed(struct controller *c);
// With a feed: an Application object as it is now; doc NULL: it is gone.
void controller_asked(struct controller *c, const char *ns, const char *name, json_t *doc);
// Options that change while it runs. The sources are read anew with those that opts.sources has
// now; what those lent before stays as it is until controller_is_renewed.
void controller_set_poll(struct controller *c, int64_t poll_ms);
void controller_renew_sources(struct controller *c);
bool controller_is_renewed(const struct controller *c);

// {"applications": [...]}, and one of them with its drift (docs/serving.md); owned. NULL: this one
// does not lead, nothing has been read yet, or there is none of that name.
json_t *controller_applications(struct controller *c);
json_t *controller_application(struct controller *c, const char *name);

// A push to the repositories of these URLs: those that are in use are asked now.
void controller_pushed(struct controller *c, const struct strv *repos);

struct controller_counts {
    size_t apps, synced, healthy, out_of_sync, unknown, failed;
    size_t queue; // applications that a turn is owed to
    unsigned long turns, loads, load_failures, drifts, heals, writes, pruned;
    unsigned long syncs, failed_syncs, refused_syncs;
    int64_t last_turn_unix_s; // 0: none has ended
    bool is_leading, is_breaker_open;
    struct prom_histogram turn_s, load_s, heal_s; // how long it took
};
// Asks for something as a person would, through the same object (docs/control.md): patch is one of
// control_ask_*. It is accepted, no more: what comes of it is told there, or by request.failed.
// NOT_FOUND: there is none of that name; CONFLICT: another sync was not taken yet; UNAVAILABLE:
// this replica stands by.
MUST_CHECK bool controller_ask(struct controller *c, const char *app, const json_t *patch,
                               struct err *err);
// Is every application known, synced and healthy, with nothing under way or owed, and of another
// revision than `seen` (NULL: of any)? Then *revision is what the sources say, as a hash. What has
// been seen costs little to ask; only the one that leads says so.
bool controller_is_settled(const struct controller *c, const struct sha256 *seen,
                           struct sha256 *revision);
// Is it noted in the cluster that this revision (of controller_is_settled) is healthy? Where it
// cannot be, nobody has to wait for it.
bool controller_has_noted(struct controller *c, const struct sha256 *revision);
// The commit of the root, or NULL. Borrowed until the next load.
const char *controller_commit(const struct controller *c);
// Is it of use to its callers, and if not why (owned)? A replica that stands by is.
bool controller_is_ready(const struct controller *c, char **why);
void controller_counts(const struct controller *c, struct controller_counts *out);
// What is wrong with the names of policy.prune_left here: name -> why. Borrowed; NULL: it has not
// looked yet.
const json_t *controller_left_wrong(const struct controller *c);

#endif
