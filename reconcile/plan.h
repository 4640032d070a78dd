// SPDX-License-Identifier: Apache-2.0
//
// The plan, pure: f(desired, live, policy) with no I/O and no clock. For each object one action;
// the case table is docs/plan-cases.md, and plan.c cites its rows. plan.c includes nothing from
// kube or source.
#ifndef RECONCILE_PLAN_H
#define RECONCILE_PLAN_H

#include "gitops/gitops.h"
#include "reconcile/health.h"

enum action {
    ACTION_NONE, // live is what is wanted, by record
    ACTION_CREATE,
    ACTION_CHANGE,
    ACTION_CHECK,       // no record: a dry run decides between NONE and CHANGE
    ACTION_PRUNE,       // ours, no longer desired
    ACTION_KEEP,        // ours, no longer desired, but must stay (policy, unknown application, ...)
    ACTION_REPLACE,     // Replace=true: PUT or create
    ACTION_RECREATE,    // Force=true, or a hook that is to run again: delete, then create
    ACTION_VIRTUAL,     // never sent
    ACTION_HOOK_DONE,   // hook already completed for this content
    ACTION_TERMINATING, // live object is being deleted: wait until it is gone, then create
    ACTION_LEFT,        // its application left Git without it: nobody's now, and remembered
};

// What is known about one live object that is desired, or recorded as ours.
struct live_fact {
    struct object_id id; // borrowed keys are not allowed: owned
    bool exists;
    bool is_unknown; // its kind could not be read: it may or may not be there
    bool is_terminating;
    char *uid;
    char *tracking_app;       // application of its tracking-id when that id names this object
    char *resource_version;   // only where there is nothing else to tell two states apart by
    char *hook_run;           // a hook's mark: which run of which content made it, or NULL
    struct sha256 projection; // of the live object on the fields our manager owns; zero: none
    bool has_projection;
    unsigned marks; // DELETION_*, of the live object
    // For the executor; the plan does not look at them.
    bool is_client_side; // declared by a client that does not apply on the server's side
    bool is_handed;      // applied under the manager of whoever was to go on here before
    struct health_result health;
    bool is_ready; // health_is_ready of the document
    long long generation;
};

// One line of the inventory: what was sent, and what the reply looked like on our fields.
struct record {
    struct object_id id;
    char *version; // API version it was sent in
    char *app;     // tracking name
    char *uid;
    struct sha256 sent, projection;
    bool is_hook;
    bool is_made;   // a Namespace made for an application: it is never pruned
    bool is_intent; // planned by a run that did not record its end
};

struct plan_policy {
    bool prune;                 // false: report, never delete
    bool force_all;             // send everything again
    unsigned max_prune_percent; // breaker: more than this share of the records trips it
    unsigned min_prune_count;   // ... but only above this many
    size_t n_all_records;       // where not all of them are given: how many there are; 0: all are
    bool allow_mass_prune;
    bool is_read; // the plan is only looked at: a tripped breaker is noted in it
    // The root this cluster was grown from, if another takes its place: it may be a mistyped one,
    // so that anything to delete trips the breaker. NULL: the same.
    const char *replaced_root;
    // Applications that left Git and whose objects stayed: they are to go now after all.
    const char *const *prune_left;
    size_t n_prune_left;
    bool is_left_known; // an earlier run has looked whether these are right
    bool is_left_wish;  // one that is not is told, and no failure: nothing of it is there by now
    // Has somebody approved of the deletion of this object, of which this application (tracking
    // name) asks for a confirmation? NULL: nobody has.
    bool (*is_approved)(const void *ctx, const char *app, const struct object_id *id);
    const void *approved_ctx;
    // May this application (tracking name) not be synced now, or, where it is gone, not go? Then
    // what it had stays. NULL: it may.
    bool (*is_resting)(const void *ctx, const char *app);
    const void *resting_ctx;
    // An operation about some objects only: what else is no longer desired stays. NULL: all.
    bool (*is_selected)(const void *ctx, const struct object_id *id);
    const void *selected_ctx;
};

struct plan_item {
    enum action action;
    int object;         // index in desired.objects, -1 for prune and keep
    int record;         // index in the records, -1 when there is none
    int live;           // index in the facts, -1 when absent or unknown
    const char *row;    // row of the case table: "C1", "P4" (static)
    char *reason;       // for KEEP and for what a person wonders about; may be NULL
    bool stays;         // nothing is done about it, and it is remembered all the same
    bool is_leftover;   // it was to be deleted, and could not be
    const char *awaits; // the approval of this application; NULL: none. Borrowed
    bool is_pruned;     // it was deleted, and is gone
    bool is_drift;      // somebody has changed what was sent last; or that is what is wanted, and
                        // is to be sent once more
    bool has_left;      // of what was sent, some fields were left to others, or may have been
};

struct plan {
    VEC(struct plan_item) items; // desired objects in their order, then records no longer desired
    size_t counts[ACTION_LEFT + 1];
    struct err breaker; // set: CONFLICT, what a run that writes is refused with, and what to do
};

// facts and records sorted by id; notes: cascade_note of each application of a record, by its
// tracking name, where there is one. A tripped breaker is CONFLICT and says what to do, unless
// policy.is_read.
MUST_CHECK bool plan_make(const struct desired *d, const struct live_fact *facts, size_t n_facts,
                          const struct record *records, size_t n_records, const json_t *notes,
                          const struct plan_policy *policy, struct plan **out, struct err *err);
// What is remembered of an application for the day it is no longer in Git; owned. And whether its
// objects go then: if not, *why is the reason (owned). Without a note they stay.
json_t *cascade_note(const struct desired *d, unsigned app);
bool cascade_takes_along(const struct desired *d, const json_t *note, char **why);
// Its parent, if that (or what it says of the application) asks for a confirmation first; of one
// whose parent is gone as well that one, or whoever deletes it. Borrowed from the note. NULL: none.
const char *cascade_asks(const struct desired *d, const json_t *note);
// Does that rest which deletes it, the nearest one above it that Git still has, or one in between
// that is gone as well? By tracking names.
bool cascade_rests(const struct desired *d, const json_t *note,
                   bool (*is_resting)(const void *ctx, const char *app), const void *ctx);
// In the note of one that has Delete=confirm itself.
#define CASCADE_CONFIRM "confirm"
// The note has it when it has been told that they stayed: since when, in RFC 3339.
#define CASCADE_LEFT "left"
// What a completed hook is remembered by: a hash over the content of its application and its phase,
// so that hooks run again exactly when something of it changed.
struct sha256 plan_hook_token(const struct desired *d, unsigned object);
// The same as a mark on the hook itself, which holds what was run even if the run that made it did
// not come to write its inventory. Owned.
#define HOOK_RUN_ANNOTATION "regrow.dev/hook-run"
char *plan_hook_run(const struct desired *d, unsigned object);
// What is recorded of an object whose fields were in part left to others: it is looked at anew each
// time, as who owns them may change, and so may the rule.
struct sha256 plan_left_hash(const struct sha256 *hash);
void record_clear(struct record *r);
void live_fact_clear(struct live_fact *f);
void plan_free(struct plan *p);
CLEANUP_FN(struct plan, plan_free, plan_freep);
const char *action_name(enum action a);

// Projection of a live document on one fieldsV1 set (managed fields): only the owned fields, as a
// new tree. NULL when fields is not an object. K section 5.4.
json_t *project_fields(const json_t *live, const json_t *fields_v1);
// Hash of what `manager` owns in a live document, values and field set together; false (and *out
// zero) when it owns nothing there.
bool projection_of(const json_t *live, const char *manager, struct sha256 *out);
// fieldsV1 of the Apply entry of `manager` without subresource; borrowed; NULL when there is none.
const json_t *managed_fields_of(const json_t *live, const char *manager);

#endif
