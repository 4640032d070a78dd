// SPDX-License-Identifier: Apache-2.0
//
// The executor (design section 5, spec/order-corrections.md). See reconcile.h for its life.
#ifndef RECONCILE_RUN_H
#define RECONCILE_RUN_H

#include "gitops/gitops.h"
#include "kube/kube.h"
#include "reconcile/health.h"
#include "reconcile/plan.h"

struct ready_override { // --ready=Kind[.group]=applied
    char *group, *kind; // group NULL: any
};

struct run_opts {
    struct graph_opts graph;
    struct plan_policy policy;
    const char *const *only_apps; // --app: these, and what they depend on; NULL: all
    size_t n_only_apps;
    const char *const *only_namespaces; // of these (and named applications) only; NULL: of all
    size_t n_only_namespaces;
    // Of a part: what it only needs is made where it is absent, and otherwise left as it is; what
    // merely comes before it by declared order is not needed. Nothing is deleted or forgotten.
    bool keep_needed;
    const struct ready_override *ready;
    size_t n_ready;
    int64_t deadline_ms;        // clock_mono_ms; 0: none
    int64_t lost_ms;            // a silent API server is waited for so long; 0: ten minutes
    const char *expect_cluster; // uid the target must have, or NULL
    bool force_conflicts;
    bool force_drifted;  // of what was sent, and has been changed by others since
                         // (plan_item.is_drift)
    bool read_only;      // plan, diff, status, why: no Lease, no write
    const char *manager; // field manager; NULL: "regrow"
    const char *holder;  // who we are in the Lease: "host/pid"
    const char *records; // the namespace of Lease and inventory; NULL: REGROW_NAMESPACE
    const char *root;    // what is reconciled, kept in the inventory: the root's URL
    const char *then;    // and who goes on afterwards, as it was said; NULL: nobody has said it
    const struct event_sink *events;
    // Called once by a run that writes, when the Lease is held and before anything is listed: what
    // must be there before all else. NULL: nothing.
    bool (*first)(void *ctx, struct err *err);
    void *first_ctx;
    // Is there something newer to do? Asked all the time: when it says so, and nothing is left but
    // to wait for health, for what is missing or for another try, the run ends as after success of
    // what it did. NULL: never.
    bool (*is_superseded)(void *ctx);
    void *superseded_ctx;
    // Is it to end at once? What has not been sent is not; what is under way comes to its end.
    // Asked with the same ctx. NULL: never.
    bool (*is_ended)(void *ctx);
    // We are what Argo CD would be: an Application that is to go is let go, by taking its finalizer
    // out, when all that it had is gone.
    bool drops_finalizers;
    bool leaves_health; // when only health is waited for, the run ends
    // The Lease is held by the caller, over many runs; NULL: the run takes it and gives it up.
    struct lease_keeper *lease;
    // What watches the cluster all the time: nothing is listed. NULL: the run lists for itself.
    struct informers *informers;
};

enum node_state {
    NODE_WAITING,   // something it needs is not there
    NODE_QUEUED,    // may be sent; the window is full
    NODE_IN_FLIGHT, // request under way
    NODE_APPLIED,   // accepted, not ready yet
    NODE_READY,
    NODE_FAILED,  // refused, or its application is unknown
    NODE_BLOCKED, // needs something that failed
    NODE_SKIPPED, // not selected, other cluster, hook done, nothing to do
};

struct run;
struct run *run_new(struct loop *l, struct kube *k, struct desired *d, const struct run_opts *o);
void run_free(struct run *r);
CLEANUP_FN(struct run, run_free, run_freep);

// Everything before the first write of a desired object: Lease (unless read_only), inventory, LIST
// of each kind once, graph, plan, breaker.
MUST_CHECK bool run_prepare(struct run *r, struct err *err);
// Decides every ACTION_CHECK by a dry run, without writing anything: what `plan` and `diff` show.
MUST_CHECK bool run_resolve_checks(struct run *r, struct err *err);
// Asks the server by dry runs about everything that would be sent; needs read_only. What it refuses
// has failed; what cannot be asked about yet says so in its message.
MUST_CHECK bool run_rehearse(struct run *r, struct err *err);
// What one object is and would become: the live document and the answer of a dry run, both without
// managedFields. *live is NULL when absent.
MUST_CHECK bool run_preview(struct run *r, unsigned object, json_t **live, json_t **would_be,
                            struct err *err);
// Which fields other managers own that the next run would be refused for, and who they are: ""
// where there are none. Asks the server. Owned.
char *run_conflict(struct run *r, unsigned object);
// For a run that only looks: tries, by dry runs, at most `max` objects of an application that are
// not there although nothing holds them up; what the server refuses counts as failed.
void run_try(struct run *r, unsigned app, size_t max);
// The live document alone; *live is NULL when absent.
MUST_CHECK bool run_live(struct run *r, unsigned object, json_t **live, struct err *err);
// Carries the plan out. False only for what ends the run as a whole (cancelled, lost Lease, server
// gone past the deadline); failures of single objects are in the result.
MUST_CHECK bool run_execute(struct run *r, struct err *err);

// The ConfigMap that remembers what a cluster is grown from, and run_opts.root out of it (owned;
// NULL when it is not that).
#define REGROW_NAMESPACE "regrow-system"
#define REGROW_ROOT_MAP "root"
#define REGROW_ROOT_PATH "/api/v1/namespaces/" REGROW_NAMESPACE "/configmaps/" REGROW_ROOT_MAP
char *inventory_root(const json_t *config_map);
char *inventory_then(const json_t *config_map); // run_opts.then
// Nothing is remembered any more of what was made here: no run deletes any of it. The caller holds
// the Lease.
MUST_CHECK bool inventory_forget_all(struct kube *k, struct err *err);

// Is there an object that waits to be sent, or to be deleted? And how many of an application's (by
// its tracking name; NULL: of all) should be deleted and are not?
bool run_owes(const struct run *r);
size_t run_unpruned(const struct run *r, const char *app);
size_t run_awaiting(const struct run *r, const char *app); // that wait for an approval

const struct plan *run_plan(const struct run *r);
// planned.c: the plan as a plan file has it (plan_file.h), an array; owned.
json_t *run_planned(const struct run *r);
// Could all kinds of it be listed? If not: why.
bool run_planned_is_seen(const struct run *r, struct err *err);
// A Secret among what this run is about whose values no revision of a source vouches for; NULL:
// there is none.
const struct object *run_planned_secret(const struct run *r);
// Is what plan_file_changes has told (that the live object is another) only that it is by now as it
// should be? Asks the server; false where that cannot be told.
bool run_is_carried_out(struct run *r, const json_t *change);
// The fields of an object that make the difference which plan_file_changes has told, as JSON
// pointers; `fields` is what the plan says of it, or NULL. Asks the server. Owned.
json_t *run_changed_fields(struct run *r, const json_t *change, const char *fields);
// What an item of the plan is about, and whose it is or was; borrowed.
const struct object_id *run_item_id(const struct run *r, size_t item, const char **app);
const struct graph *run_graph(const struct run *r);
const struct desired *run_desired(const struct run *r);

struct node_view {
    enum node_state state;
    enum health health;           // objects only
    const char *message;          // the object's own message or the error's; "" when none; borrowed
    enum err_kind error;          // for NODE_FAILED
    int64_t since_ms;             // monotonic: in this state since
    int64_t sent_ms;              // monotonic: its write, the last one; 0: none
    int64_t applied_ms, ready_ms; // monotonic; 0 not yet
    unsigned tries;               // probes of a gate
    const char *action;           // action_name of its plan item, "" for non-objects
};
void run_node(const struct run *r, unsigned node, struct node_view *out);
enum run_part { PART_NONE, PART_NEEDED, PART_CHOSEN };
enum run_part run_part(const struct run *r, unsigned node); // is it what was asked for?

struct app_view {
    enum node_state state; // of the application as a whole
    enum health health;
    size_t total, applied, ready, failed;
    int64_t started_ms, ready_ms; // monotonic; 0 not yet
    char *waits_for;              // owned; one line: what it waits for now, "" when nothing
    char *problem;                // owned; one line, "" when nothing is wrong
};
void run_app(const struct run *r, unsigned app, struct app_view *out);
void app_view_clear(struct app_view *v);
// The objects of an application, as node indices; borrowed.
size_t run_app_objects(const struct run *r, unsigned app, const unsigned **objects);

// The chain from a node down to its root cause: node indices, and the edge between neighbours.
struct chain_link {
    unsigned node;
    const struct edge *edge; // NULL for the first
};
// Fills out (owned array); at least the node itself.
size_t run_why(const struct run *r, unsigned node, struct chain_link **out);

struct run_summary {
    size_t apps, apps_healthy, apps_failed, apps_blocked, apps_unknown, apps_waiting;
    size_t written, unchanged, pruned, kept, rejected, throttled, lost, probes, overtaken;
    int64_t ms; // of run_execute
    bool is_timed_out, is_superseded;
};
void run_summary(const struct run *r, struct run_summary *out);
// An application that left Git and whose objects stayed.
struct left_app {
    const char *app;   // borrowed, as the others
    const char *why;   // they stayed
    const char *since; // RFC 3339; NULL: it happens in this run
    size_t objects;
    bool can_go; // plan_policy.prune_left would delete them
};
size_t run_left(const struct run *r, const struct left_app **out); // borrowed
// What should have been deleted and was not, a line each with the reason.
const struct strv *run_leftovers(const struct run *r);
// The critical path of the run that ended: nodes from first to last with the time each took.
struct path_step {
    unsigned node;
    int64_t ms;
};
size_t run_critical_path(const struct run *r, struct path_step **out);
// What an application that is ready waited for last that is not its own: a node, and when that was
// there (monotonic). -1: nothing.
int run_app_waited(const struct run *r, unsigned app, int64_t *until_ms);

#endif
