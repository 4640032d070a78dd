// SPDX-License-Identifier: Apache-2.0
//
// Private to reconcile: the state of one run and the functions its files share.
//
//   observe.c    LIST and watch: live facts, health of what is there
//   inventory.c  records of what is ours, in ConfigMaps; intents of a run that has begun
//   inventory_text.c  the texts in these
//   fact.c       what is kept of a live document
//   lent.c       what a run takes from informers instead of listing, and hands back
//   prepare.c    run_prepare: from nothing to a graph and a plan
//   select.c     which nodes a run is about
//   state.c      node states: what is satisfied, what that releases, what failure blocks
//   rehearse.c   run_rehearse: all of it as a dry run
//   execute.c    run_execute: the queue, the window, the end
//   send.c       one object's way to the server: apply, what each answer leads to
//   settings.c   what argocd-cm says of all applications
//   respect.c    fields that are sent as they are there (RespectIgnoreDifferences)
//   leave.c      fields that are left to others, or that no schema has
//   scope.c      kinds that turn out to be of the cluster
//   shared.c     objects of applications that are not of this root
//   recreate.c   ways of more than one request: replace, recreate, wait for a deletion
//   adopt.c      objects that were made without server-side apply become ours
//   gate.c       webhook gates and changed CRDs: dry runs until they pass
//   cascade.c    whether an application that left Git takes its objects along (pure)
//   planned.c    a plan as a plan file has it
//   left.c       those whose objects stayed
//   prune.c      deletion of what is no longer desired, the graph backwards
//   view.c       what people and machines ask of a run: views, why, critical path
#ifndef RECONCILE_RUN_INT_H
#define RECONCILE_RUN_INT_H

#include "base/clock.h"
#include "base/vec.h"
#include "reconcile/informers_int.h"
#include "reconcile/lease.h"
#include "reconcile/reconcile.h"

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
    bool is_chosen;  // selected for itself, not for what needs it
    bool is_live;    // it was there when the run began
    bool was_sent;   // this run wrote it
    bool is_adopted; // what others declared of it has become ours
    int64_t backoff_ms;
    bool needs_proof; // custom resource of a CRD this run changed: a dry run goes first
    bool is_probing;
    long long generation; // of the last reply; older watch events are stale
    char *uid;
    struct strv *left_out; // fields that are not sent (leave.c); NULL: none
    char *respected;       // what is sent in its place, with live values (respect.c); NULL: nothing
    bool is_respected;     // that has been seen to
    bool leaves_fields;    // some of them to their owners
    bool may_force;        // it is known which fields are left to others
    json_t *early;         // what the watch said of it while its request was under way
    struct sha256 projection;
    bool has_projection;
};

struct gate_rt {
    unsigned node;
    bool is_probing;
    int64_t last_probe_ms, next_probe_ms, backoff_ms;
};

// One kind that is listed, and watched if something waits for its health.
struct kind_watch {
    struct run *run;
    char *group, *version, *kind;
    struct kube_watch *watch;
    struct informer_kind *source; // instead, when the run has informers
    bool is_synced, is_gone, is_watching;
    bool is_unknown;    // what converts or serves it does not answer (yet)
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

// Counters of one application, kept up by state.c.
struct app_rt {
    size_t total, applied, ready, failed, blocked;
    int64_t started_ms;
    bool is_recorded;  // its inventory is what it should be
    bool has_prunings; // written only after them
    bool has_given;    // it names what others have by now (inventory_let_go)
};

// In-flight window: grows until latency or 429 says stop.
struct window {
    double size;
    unsigned in_flight, crds_in_flight;
    double best_ms, recent_ms; // smoothed latencies
    int64_t halved_ms;
    bool has_been_full;
};

typedef VEC(struct left_app) left_list;

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
    json_t *stored;                   // inventory ConfigMaps as found: name -> text
    json_t *notes;                    // cascade_note of applications: tracking name -> note
    VEC(struct map_call *) map_calls; // of the inventory, under way
    bool has_lost_records;            // one of them was refused, or never answered
    bool has_moves;                   // any of the plan's items is one
    bool may_let_go;                  // inventory_let_go
    json_t *old_docs;                 // key -> live document of a record that is not desired
    json_t *slices;                   // "namespace/service" -> true when an endpoint is ready
    struct health_custom *health;     // the user's own checks, NULL when there are none
    struct jq_filters *jq;            // of ignoreDifferences; NULL: none was needed yet
    bool owns_health;                 // they are not the informers'
    bool is_listening;                // to informers
    bool is_watching_slices, is_listing, is_reading_records, has_new_webhook, is_rediscovering;
    struct app_rt *apps;
    unsigned *app_first, *app_objects; // objects by application: a range of the second for each
    size_t open;                       // objects and application nodes that have not ended
    VEC(unsigned) queue, crd_queue, delayed; // two heaps, and what must wait for a time
    struct window window;
    struct lease_keeper *lease; // lent by its caller, or own_lease; NULL: it only looks
    struct lease_keeper *own_lease;
    struct loop_timer *timer;
    int64_t rediscovered_ms;
    struct run_summary sum;
    int64_t started_ms, ended_ms;
    unsigned pending_calls; // callbacks that hold a pointer into the run
    struct strv leftovers;  // what should have been deleted and was not, and why
    left_list left;         // applications that left Git without their objects
    bool is_left_wrong;     // policy.prune_left names what none of them is, and that is a failure
    json_t *left_wrong;     // or it is told: name -> what is wrong with it; NULL: nobody has looked
    struct err fatal;       // ends the run as a whole
};

// What a request's callback needs to find its way back.
struct call_ctx {
    struct run *run;
    unsigned node;
    bool is_pod_probe, is_crd, is_dry_run;
    const struct graph *graph; // gate probes: the graph they were sent under
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
bool observe_is_unknown(const struct kind_watch *w);           // what is there of it is not known
const struct err *observe_problem(const struct kind_watch *w); // why; may not be set
// Something happens while the run is on.
void observe_event(struct run *r, const struct object_id *id, enum kube_event ev, json_t *doc);
// Labels of a live Namespace, borrowed; NULL: none is known.
const json_t *observe_labels(struct run *r, const char *ns);
const struct record *find_record(const struct run *r, const struct object_id *id);
void observe_follow(struct run *r); // from now on there are nodes: watches begin where lists ended
// What a watch says of a node; kept while a request of it is under way.
void observe_node(struct run *r, unsigned node, enum kube_event ev, json_t *doc);
void observe_slices(struct run *r);    // begins to watch EndpointSlices
void observe_externals(struct run *r); // watches for what no manifest makes
void observe_free(struct run *r);

// ---- fact.c ----
// What a document says, health apart; f->id is set. And its health: by the user's checks and the
// built-in ones; none where the object asks to be left out of account.
void fact_read(struct live_fact *f, const json_t *doc, const char *manager);
// Who says how an object is: the user's checks (NULL: none), and for what is healthy once it is
// applied nobody.
struct judging {
    struct health_custom *checks;
    const struct ready_override *ready;
    size_t n_ready;
};
void fact_judge(struct live_fact *f, const struct judging *by, const json_t *doc, bool is_hook);
struct judging run_judging(const struct run *r);
bool fact_is_marked(const json_t *doc); // with anything's mark
struct live_fact fact_dup(const struct live_fact *f);
struct record record_dup(const struct record *r);

// ---- inventory_text.c ----
#define INVENTORY_HEADER "#regrow-inventory/1"
#define INVENTORY_NOTE "#note"
#define INTENT_MAP "intent" // and its parts, "intent-1" ...
#define INVENTORY_THEN "#then"
#define INVENTORY_LABEL "regrow.dev/inventory"
struct inventory_reader {
    void (*record)(void *ctx, const struct record *r); // lent
    void (*note)(void *ctx, const char *app, const char *text, bool is_intent);
    void *ctx;
};
// One ConfigMap. False: it is none of the inventory.
bool inventory_read(const json_t *cm, const struct inventory_reader *rd);
char *inventory_map_name(const char *app, unsigned part); // owned

// ---- lent.c ----
bool lent_read_cluster(struct run *r, struct err *err);
void lent_end(struct run *r);
bool lent_exists(const struct run *r, const struct object_id *id, bool *is_terminating);
void lent_slices(struct run *r); // what is known of them already
// Nothing without informers:
void lent_wrote(struct run *r, json_t *doc); // the answer to a write
void lent_deleted(struct run *r, const struct object_id *id, const char *uid);  // uid NULL: any
void lent_map(struct run *r, const char *name, const struct kube_reply *reply); // NULL: deleted
void lent_old_docs(struct run *r, const unsigned *items, size_t n);

// ---- inventory.c ----
void inventory_note(struct run *r, const json_t *config_map); // one ConfigMap of the LIST
void inventory_forget(struct run *r);                         // the LIST begins anew
void inventory_sort(struct run *r);                           // after the LIST
bool inventory_write_intent(struct run *r, struct err *err);
void inventory_write_app(struct run *r, unsigned app); // asynchronous; nothing when unchanged
void inventory_write_deferred(struct run *r);          // held back by a gate that has opened
void inventory_write_rest(struct run *r);              // whatever is left, at the end
// An object that was another application's at the last run.
bool inventory_is_moved(const struct run *r, const struct plan_item *it);
// When all of that is written: what others have recorded by now, and what is left of applications
// that are gone.
void inventory_let_go(struct run *r);

// ---- select.c ----
void select_nodes(struct run *r);
void select_settle(struct run *r); // the plan of a part: what is not of it is left alone
// Is anything but all of it wanted?
bool select_is_part(const struct run *r);
// Does the application count for itself?
bool select_is_chosen_app(const struct run *r, unsigned app);

// ---- state.c ----
void state_init(struct run *r);
void state_start(struct run *r);                       // releases what waits for nothing
void state_rebuild(struct run *r, struct graph *next); // takes it; object nodes keep their state
void state_set(struct run *r, unsigned node, enum node_state s);
void state_message(struct run *r, unsigned node, const char *msg);
void state_applied(struct run *r, unsigned node);
void state_ready(struct run *r, unsigned node);
void state_fail(struct run *r, unsigned node, enum err_kind kind, const char *msg);
void state_health(struct run *r, unsigned node, const json_t *doc);
size_t state_release_sync_fail(struct run *r); // SyncFail hooks of applications that failed
bool state_is_end(enum node_state s);          // nothing more will happen to it
bool edge_counts(const struct run *r, const struct edge *e);
bool edge_holds(const struct run *r, const struct edge *e);

bool is_object(const struct run *r, unsigned node);
enum action node_action(const struct run *r, unsigned node);

// ---- prepare.c ----
bool graph_of_live(struct run *r, struct graph **out, struct err *err);

// ---- run.c ----
// The request is this run's: it ends with it.
void run_owns(struct run *r, struct kube_request *q);

// ---- execute.c ----
bool lease_is_good(const struct run *r); // may we write?
// What ends the run as a whole has happened: sets err.
bool run_has_failed(const struct run *r, struct err *err);
int64_t run_time_left(const struct run *r); // until the deadline; INT64_MAX without one
int64_t run_patience(const struct run *r);  // kube_call.patience_ms of what a run cannot do without
bool run_is_superseded(struct run *r);
bool run_is_ended(struct run *r); // somebody has ended it
// Nobody answers just now: what is not sent yet had better not be.
bool run_is_cut_off(const struct run *r);
// Nobody has answered for so long that the run ends, or none of its time is left: sets err.
bool run_is_lost(const struct run *r, struct err *err);
void queue_push(struct run *r, unsigned node);
void queue_later(struct run *r, unsigned node, int64_t delay_ms);
void window_reply(struct run *r, const struct call_ctx *c, const struct kube_reply *reply);

// ---- send.c ----
void send_object(struct run *r, unsigned node);
void send_body(const struct run *r, unsigned node, struct buf *out); // what is sent of an object
void send_apply(struct run *r, unsigned node, const char *path, bool dry_run);
char *unserved_text(const struct run *r, const struct object *o); // why it has no path; owned
char *send_path(const struct run *r, const struct object *o); // owned; NULL: kind not known (yet)
const char *run_manager(const struct run *r);
const char *run_records(const struct run *r); // the namespace of Lease and inventory
struct call_ctx *call_new(struct run *r, unsigned node);
void call_end(struct call_ctx *c);
void call_begin(struct call_ctx *c); // in flight, in the window
void call_answered(struct call_ctx *c, const struct kube_reply *reply);
json_t *reply_doc(const struct kube_reply *reply); // NULL: not a document
void on_sent(void *ctx, const struct kube_reply *reply);
void set_action(struct run *r, unsigned node, enum action a);
void try_again(struct run *r, unsigned node, int64_t retry_after_ms);
void fail_with(struct run *r, unsigned node, const struct kube_reply *reply);
void rediscover(struct run *r); // asynchronously, not too often

// ---- leave.c ----
// Is the object to be sent again, without fields that this refusal names?
bool leave_to_others(struct run *r, unsigned node, const struct kube_reply *reply);
bool may_force(const struct run *r, unsigned node); // are conflicts of this object forced now?
void left_out_body(const struct run *r, unsigned node, json_t *doc); // takes those fields out

// ---- respect.c ----
// True: the live values of what is left to others are asked for first, which is under way.
bool respect_first(struct run *r, unsigned node, const char *path);
void respect_live(struct run *r, unsigned node, const json_t *live); // from what is there now

// ---- settings.c ----
// What argocd-cm says: health checks and ignoreDifferences. As it is desired, else `live` (NULL:
// there is none). One that is desired and wrong is for its author to mend.
const struct object *settings_desired(const struct run *r);
bool settings_take(struct run *r, const json_t *live, struct err *err);

// ---- scope.c ----
bool scope_settle(struct run *r, unsigned node); // false: it has failed

// ---- shared.c ----
void shared_check(struct run *r);

// ---- recreate.c ----
#define REPLACE_TRIES 12
// Waits until a terminating object is gone; the watch may not cover its kind, so it is asked for.
void await_gone(struct run *r, unsigned node);
// Replace=true: PUT over the live object, whose resourceVersion must be the latest.
void replace_object(struct run *r, unsigned node, const char *path);
void recreate_object(struct run *r, unsigned node, const char *path);
// What keeps an object that is being deleted: "finalizer x/y"; NULL when it does not say. Owned.
char *deletion_text(const json_t *doc);

// ---- adopt.c ----
// Is there an entry of a client that declares, but does not apply on the server's side?
bool is_client_side(const json_t *live);
// Is there one of whoever was to go on here before, as `manager` is now?
bool is_handed(const json_t *live, const char *manager);
// The managed fields after such entries have become the manager's own. Owned.
json_t *adopted_fields(const json_t *live, const char *manager, bool handed);
// True: the object must be taken over first, which is under way.
bool adopt_first(struct run *r, unsigned node, const char *path);

// ---- gate.c ----
void gates_init(struct run *r);
void gates_step(struct run *r);    // sends the dry runs that are due
void gates_recheck(struct run *r); // endpoints or configurations changed: try soon
// Is a webhook that judges this write still closed?
bool gates_hold_back(struct run *r, const struct kind_info *kind, const json_t *doc,
                     const char *operation);

// ---- view.c ----
void view_index(struct run *r);

// ---- left.c ----
bool left_find(struct run *r, struct err *err); // after the plan: which there are
void left_tell(struct run *r);                  // an event for each that is new

// ---- prune.c ----
void prune_init(struct run *r);
bool prune_execute(struct run *r, struct err *err);
void hooks_cleanup(struct run *r); // HookSucceeded and HookFailed
// Argo CD keeps an Application until what it had is gone; where it is not there, we are the one
// that lets it go. A patch that does; owned, NULL: it is not held by that.
char *finalizer_release(const struct run *r, const struct object_id *id, const json_t *doc);
void finalizer_drop(struct run *r, const char *path, const char *release, kube_done_fn done,
                    void *ctx);

#endif
