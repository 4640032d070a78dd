// SPDX-License-Identifier: Apache-2.0
//
// Private to reconcile: the state of one run and the functions its files share.
//
//   observe.c    LIST and watch: live facts, health of what is there
//   inventory.c  records of what is ours, in ConfigMaps; intents of a run that has begun
//   lease.c      the one-writer Lease
//   prepare.c    run_prepare: from nothing to a graph and a plan
//   state.c      node states: what is satisfied, what that releases, what failure blocks
//   execute.c    run_execute: the queue, the window, the end
//   send.c       one object's way to the server: apply, replace, recreate, retry
//   gate.c       webhook gates and changed CRDs: dry runs until they pass
//   prune.c      deletion of what is no longer desired, the graph backwards
//   view.c       what people and machines ask of a run: views, why, critical path
#ifndef RECONCILE_RUN_INT_H
#define RECONCILE_RUN_INT_H

#include "base/clock.h"
#include "base/vec.h"
#include "reconcile/reconcile.h"

#define REGROW_NAMESPACE "regrow-system"

// A node counts its unsatisfied edges; gates are counted apart, because a node whose only
// unsatisfied edges are gates is what the gate's dry run is made of.
struct node_rt {
    enum node_state state;
    enum health health;
    enum err_kind error;
    char *message;
    int64_t since_ms, sent_ms, applied_ms, ready_ms, not_before_ms;
    unsigned pending, pending_gates, tries;
    int item; // its plan item; -1 for everything but objects
    bool is_selected, is_applied, is_ready;
    bool was_sent;           // this run wrote it
    bool needs_proof;        // custom resource of a CRD this run changed: a dry run goes first
    bool is_probing;
    long long generation;    // of the last reply; older watch events are stale
    char *uid;
    struct sha256 projection;
    bool has_projection;
};

struct gate_rt {
    unsigned node;
    bool is_probing, has_endpoints, has_ca;
    int64_t next_probe_ms, backoff_ms;
};

// One kind that is listed, and watched if something waits for its health.
struct kind_watch {
    struct run *run;
    char *group, *version, *kind;
    struct kube_watch *watch;
    bool is_synced, is_gone;
    struct err problem; // the list could not be had
};

struct live_namespace {
    char *name;
    json_t *labels;
};

// A record that is no longer desired, on its way out.
struct pruning {
    unsigned item;
    json_t *doc; // as it was listed; NULL when it was gone
};

struct lease {
    char *holder;
    char *resource_version;
    struct loop_timer *timer;
    bool is_held, is_lost;
    char *lost_to;
};

// In-flight window: grows until latency or 429 says stop.
struct window {
    double size;
    unsigned in_flight, crds_in_flight;
    double best_ms, recent_ms; // smoothed latencies
};

struct run {
    struct loop *loop;
    struct kube *kube;
    struct desired *desired;
    struct run_opts opts;
    struct graph *graph;
    struct plan *plan;
    struct node_rt *nodes;
    VEC(struct gate_rt) gates;
    VEC(struct kind_watch *) watches;
    VEC(struct live_fact) facts; // sorted by id once prepared
    VEC(struct record) records;  // sorted by id once read
    VEC(json_t *) webhook_configs;
    VEC(struct live_namespace) namespaces;
    VEC(struct pruning) prunings;
    VEC(char *) stored_names;  // inventory ConfigMaps as found: names and texts, pairwise
    VEC(char *) stored_texts;
    json_t *old_docs;          // key -> live document of a record that is not desired
    json_t *slices;            // "namespace/service" -> true when an endpoint is ready
    bool is_watching_slices, is_listing, has_new_webhook, is_rediscovering;
    bool *app_recorded;
    VEC(unsigned) queue, crd_queue; // heaps: see execute.c
    struct window window;
    struct lease lease;
    struct loop_timer *timer;
    struct run_summary sum;
    int64_t started_ms, ended_ms;
    unsigned pending_calls;    // callbacks that hold a pointer into the run
    struct err fatal;          // ends the run as a whole
};

// What a request's callback needs to find its way back.
struct call_ctx {
    struct run *run;
    unsigned node;
    bool is_pod_probe, is_crd;
};

// ---- observe.c ----
// Lists a kind (once per run); watches it from then on when `watch`. Known kinds are not repeated.
struct kind_watch *observe_kind(struct run *r, const char *group, const char *version,
                                const char *kind, bool watch);
bool observe_wait(struct run *r, struct err *err); // until every list so far has ended
bool observe_desired_kinds(struct run *r, struct err *err);
void observe_sort(struct run *r);
struct live_fact *observe_fact(const struct run *r, const struct object_id *id);
struct kind_watch *observe_find(const struct run *r, const char *group, const char *kind);
void observe_slices(struct run *r); // begins to watch EndpointSlices
void observe_free(struct run *r);

// ---- inventory.c ----
bool inventory_read(struct run *r, struct err *err); // from the listed ConfigMaps
void inventory_note(struct run *r, const json_t *config_map);
bool inventory_write_intent(struct run *r, struct err *err);
void inventory_write_app(struct run *r, unsigned app); // asynchronous; nothing when unchanged
void inventory_write_rest(struct run *r);              // whatever is left, at the end
void inventory_free(struct run *r);

// ---- lease.c ----
bool lease_take(struct run *r, struct err *err);
void lease_release(struct run *r);

// ---- state.c ----
void state_init(struct run *r);
void state_rebuild(struct run *r); // after the graph was built again: object nodes keep their state
void state_set(struct run *r, unsigned node, enum node_state s);
void state_message(struct run *r, unsigned node, const char *msg);
void state_applied(struct run *r, unsigned node);
void state_ready(struct run *r, unsigned node);
void state_fail(struct run *r, unsigned node, enum err_kind kind, const char *msg);
void state_health(struct run *r, unsigned node, const json_t *doc);
bool state_is_end(enum node_state s); // nothing more will happen to it
bool edge_counts(const struct run *r, const struct edge *e);
bool edge_holds(const struct run *r, const struct edge *e);

// ---- execute.c ----
void queue_push(struct run *r, unsigned node);
void run_wake(struct run *r, int64_t at_ms); // look again at that time

// ---- send.c ----
void send_object(struct run *r, unsigned node);
char *send_path(const struct run *r, const struct object *o); // owned; NULL: kind not known (yet)
struct call_ctx *call_new(struct run *r, unsigned node);
void call_end(struct call_ctx *c);

// ---- gate.c ----
void gates_init(struct run *r);
void gates_step(struct run *r); // sends the dry runs that are due
struct gate_rt *gate_of(struct run *r, unsigned node);
void gates_recheck(struct run *r); // endpoints or configurations changed: try soon

// ---- prune.c ----
void prune_init(struct run *r);
bool prune_execute(struct run *r, struct err *err);

#endif
