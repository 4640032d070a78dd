// SPDX-License-Identifier: Apache-2.0
//
// Private to the controller.
//
//   controller.c        its life: Lease, sources, what the next turn is about
//   controller_apps.c   what it remembers of each application between turns
//   controller_turn.c   a turn: a run about a part, and what has become of it
//   controller_drift.c  what others change: found, told, and mended
//   controller_control.c  what people ask for
//   controller_ask.c    the same, asked for over HTTP
//   controller_wait.c   what a long turn waits for
//   controller_argocd.c  credentials that Argo CD keeps, as they are now
//   controller_order.c  who has no place in the order, and stays as it is
//   controller_settled.c  is all of it as Git says?
//   controller_healthy.c  which revisions were last healthy, noted in the cluster
//   controller_operation.c  what such an operation makes of a turn, and what becomes of it
//   controller_report.c  how it all is: status of Application objects, documents
#ifndef RECONCILE_CONTROLLER_INT_H
#define RECONCILE_CONTROLLER_INT_H

#include "base/clock.h"
#include "base/vec.h"
#include "reconcile/app_status.h"
#include "reconcile/control.h"
#include "reconcile/controller.h"
#include "reconcile/informers.h"

// Why an application is looked at.
enum trigger {
    TRIGGER_START = 1,       // the controller has just begun
    TRIGGER_COMMIT = 2,      // what Git says of it is another than before
    TRIGGER_DRIFT = 4,       // somebody changed an object of it
    TRIGGER_RETRY = 8,       // the last try failed
    TRIGGER_UNFINISHED = 16, // the last turn made way for something else
    TRIGGER_REQUEST = 32,    // a person asks
};

// What an operation did with one object (report_result). The texts without an owner are constants.
struct operation_result {
    struct object_id id;
    char *version, *message;
    const char *status, *hook_type, *hook_phase;
    enum phase phase;
};

struct tracked {
    char *name; // tracking name
    unsigned triggers;
    int64_t due_ms;       // monotonic: not before
    unsigned tries;       // that failed in a row
    unsigned at;          // its place in what is desired
    struct sha256 digest; // of what it says
    char *problem;        // of the last try; NULL: none
    char *zone_warning;   // of its sync windows, or NULL
    char *held;           // why it may not be synced now, by a sync window; NULL: it may
    bool prune_is_held;   // by the breaker
    bool is_requested;    // a person asked for what is not done yet
    int64_t began_unix_s, ended_unix_s;   // of the last try; 0: it has not
    json_t *asked;                        // the operation that was asked for last, or NULL
    struct app_control op;                // as it was read; borrows from `asked`
    json_t *next;                         // one that came during a turn about it, or NULL
    VEC(struct operation_result) results; // of the last operation
    enum operation_phase outcome;         // of it, where the rest does not tell
    bool is_over;                         // nothing more is done about it, it is only told
    char *said;                           // its message, or NULL
    bool is_on;                           // a turn about it is under way
    bool is_ending;                       // the operation is to end before its time
    struct strv pins;   // it is read at these revisions; none: at those that it names
    bool is_pinned;     // the last load has read it so
    bool is_taking;     // what was asked for is being taken out
    char *refusal;      // why it was not done, or NULL
    bool is_heard;      // what its Application object asks for was looked at
    bool is_pending;    // an operation stands in its Application object still: nobody begins it,
                        // or the next process would do it once more
    bool is_refreshing; // that was asked for, and is being taken out
    bool is_automated;  // it asks for syncs of our own accord
    bool is_suspended;  // nothing of our own accord
    bool is_deployed;   // a try came true since it was reported last
    bool is_news;       // there is something to report
    bool is_known, is_synced, is_healthy;
    char *waits;                           // for what, in a turn that takes long; NULL: it does not
    int64_t waits_since_ms, waits_next_ms; // monotonic: since when, and when it is told again
    bool is_listed;                        // while the list is brought up to date: still there
    bool is_other;                         // and: it says something else
};

// An object that is not as we left it, or was not lately.
struct drift_note {
    struct controller *controller;
    char *key; // object_key
    struct object_id id;
    char *app;
    json_t *live; // as it was found; NULL: gone, or it could not be read
    bool is_gone;
    json_t *changes; // drift_of it, as it was told; NULL: none was
    bool is_looking; // requests under way
    bool look_again; // something came meanwhile
    bool is_open;    // to be mended, and not mended yet
    unsigned heals;  // lately
    int64_t found_ms, healed_ms;
};

// A kind of which controller_argocd.c watches some.
struct argocd_kind {
    struct controller *c;
    const char *kind;
    struct kube_watch *watch; // NULL: none is open
    bool is_synced;
};

// The ConfigMap of gitops/healthy.h, which the watch of the ConfigMaps tells of.
struct healthy_note {
    json_t *seen;   // its data; NULL: there is none
    json_t *wanted; // what of it could be believed, and what was seen since; NULL: not known yet
    bool is_known;  // the watch has told of it, or that there is none
    bool is_writing, is_full;
    struct sha256 settled; // the revision of all that is in `wanted`
    char *problem;         // of the last write; NULL: it was taken
    struct loop_timer *look;
};

struct controller {
    struct loop *loop;
    struct kube *kube;
    struct controller_opts o;
    struct run_opts run_opts;
    struct source *source;
    struct desired *desired;
    struct informers *informers;
    struct lease_keeper *lease;
    struct run *run;          // of the turn that is on; NULL between turns
    VEC(struct tracked) apps; // sorted by name
    VEC(unsigned) at_of;      // of each application of `desired` its place there + 1, 0: none
    VEC(struct drift_note *) drifts; // sorted by key
    json_t *unordered;               // graph_unordered of what is desired: these stay as they are
    struct loop_timer *poll, *wake, *tidy;
    struct err load_problem; // of the last load; unset: it was read
    struct fleet *fleet;     // NULL: this cluster alone
    int64_t lead_due_ms;     // monotonic: in a fleet, when its Lease is tried for again
    bool is_lead_told;
    bool has_stray_news; // an application may go to a cluster that nobody registers any more
    bool is_refreshed;   // with a feed: somebody asked for it
    json_t *told_pins;   // with a feed: name -> [revision, ...], as it was told
    unsigned pin_number; // of these
    bool must_load, is_hard, has_loaded, is_leading, is_polling;
    bool is_full_poll; // the poll that is open asks every source
    bool is_from_poll; // the next load is for what a poll found
    bool is_loading, is_ending;
    bool app_is_read, map_is_read; // what people ask for was seen, or cannot be
    bool is_unread_told;           // that it is waited for
    bool gone_was_seen;            // the turn that is on has come to see those
    int64_t kinds_due_ms;          // monotonic: discovery is asked once more; 0: it is not
    bool has_new_kinds;            // definitions were written since discovery was asked last
    bool is_asking_kinds;          // discovery
    char *breaker;                 // why nothing is deleted; NULL: it is not tripped
    bool has_gone;                 // there may be records of applications that Git no longer has
    int64_t gone_due_ms;           // monotonic: not before
    bool gone_rests;               // they stay until what had them may be synced again
    bool gone_waits;               // they stay until what is unknown is known
    bool gone_is_held;             // or by the breaker
    bool is_left_wrong;            // --prune-left names what nobody has left: that ends it
    json_t *left_wrong;            // run.left_wrong, of the first turn that looked
    json_t *awaited;   // application -> {since, objects, first, digest}: deletions that nobody
                       // approved of, as it is told
    json_t *awaiting;  // application -> {key of each such object: true}, as this process told it
    json_t *approvals; // application -> when somebody did, in Unix seconds
    int alone;         // the turn that is on is that of an operation on this application; -1: none
    bool was_alone;    // the one before was
    size_t next_alone; // where the next one is looked for: none waits for another for ever
    int64_t turn_ms;   // when the turn that is on began
    unsigned pending;
    struct jq_filters *jq;     // runs jqPathExpressions; NULL: none was needed yet
    struct app_writer *writer; // of Application objects; NULL: they are not served
    unsigned long denied_at; // that they may not be written was told after so many writes, and one
    struct kube_watch *app_watch;
    struct loop_timer *report;
    size_t next_report;           // where the next ones are looked for, when not all had room
    json_t *app_docs;             // "namespace/name" -> text of an Application
    json_t *app_listed;           // "namespace/name" -> true, while a list of them comes
    struct kube_watch *map_watch; // of the ConfigMap that is asked through
    bool has_answers;             // the ConfigMap of answers is there
    json_t *answering;            // applications that were asked for there -> true
    json_t *left_answers; // application -> an answer that a controller before has left: it was on
    json_t *told;         // application -> the history in its last answer
    json_t *answer_sizes; // of those that this process has given, the oldest first
    struct healthy_note healthy;
    struct controller_counts sum;
    bool is_executing; // the run is prepared, and can be asked
    struct loop_timer *waiting;
    bool must_renew_source;             // its options are others now
    struct argocd_kind argocd_kinds[2]; // Secrets, ConfigMaps
    bool argocd_is_news, argocd_has_first;
    json_t *argocd_docs, *argocd_listed; // "kind/name" -> document; those of the list
    json_t *argocd_list, *argocd_before; // as the last loads had them
    struct loop_timer *argocd_settle;
};

// ---- controller_turn.c ----
void left_warn(const struct controller *c, const json_t *wrong); // of --prune-left

// ---- controller_apps.c ----
struct tracked *tracked_find(const struct controller *c, const char *name);
struct tracked *tracked_of(const struct controller *c, size_t app); // of `desired`; NULL: none
// After a load: what is new, changed or gone.
// True: something is another than before.
bool tracked_update(struct controller *c, const struct source_changes *changes);
void tracked_trigger(struct tracked *t, unsigned why, int64_t due_ms);
bool tracked_is_due(const struct tracked *t, int64_t now_ms);
// Is there to be a turn about it, when it is time and the sync windows let it? Not of what waits
// for a person: what is suspended, not automated, or changed by others where that is not mended.
bool tracked_is_owed(const struct tracked *t, const struct application *a);
void tracked_clear(struct controller *c);
// What the breaker held back is looked at again.
void tracked_release(struct controller *c);
// How long after so many failures in a row it is tried again; -1: not by itself (spec 1.9).
int64_t retry_delay_ms(const struct application *a, unsigned failures);
int64_t retry_delay_of(const json_t *retry, unsigned failures); // by such a strategy
bool is_automated(const struct application *a);
bool heals_itself(const struct application *a);
// May it watch, tell and take requests: is it the one that leads?
bool controller_leads(const struct controller *c);

// ---- controller.c ----
void controller_read_again(struct controller *c); // the next load asks every source

// ---- controller_turn.c ----
// One turn about whatever is due. False: the controller cannot go on.
bool controller_turn(struct controller *c, struct err *err);
bool controller_is_due(struct controller *c); // is there anything for a turn?

bool turn_makes_way(void *ctx);                           // run_opts.is_superseded
void turn_begin(struct controller *c, struct tracked *t); // it is about this one

// ---- controller_drift.c ----
void drift_changed(void *ctx, const struct object_id *id, const char *app,
                   enum informer_change change);
void drift_healed(struct controller *c, const struct run *r); // after a turn: what has been mended
void drift_clear(struct controller *c);
bool drift_is_open(const struct controller *c, const struct object_id *id);
// [{group, kind, namespace, name, drift: [...]}], of what is not mended; owned.
json_t *drift_doc(const struct controller *c, const char *app);
// [{group, kind, namespace, name, pointer, manager, at, healed}], with what was mended lately;
// owned.
json_t *drift_items(const struct controller *c, const char *app);

// ---- controller_order.c ----
void order_note(struct controller *c);   // after a load: who has no place in it, told once
void order_refuse(struct controller *c); // what is asked of them is answered
const char *order_problem(const struct controller *c, const char *app); // NULL: there is none
// Does one that is here depend by name on this one, that is gone?
bool order_needs(const struct controller *c, const char *app);

// ---- controller_wait.c ----
void waiting_begin(struct controller *c); // a run is prepared
void waiting_end(struct controller *c);
void waiting_over(struct tracked *t);
int64_t waiting_again_ms(int64_t waited_ms); // until it is told again

// ---- controller_argocd.c ----
void argocd_watch(struct controller *c);
void argocd_take(struct controller *c, enum kube_event ev, const json_t *doc);
// Clusters as the fleet has them, when it has news of them; NULL: nothing is another than before.
const json_t *argocd_now(struct controller *c, const json_t *of_fleet);
void argocd_end(struct controller *c);

// ---- controller_control.c ----
// Takes what is asked for in an Application object or an entry; the merge patch that takes it out,
// owned, or NULL.
json_t *control_take(struct controller *c, const char *app, const json_t *doc);
void control_watch(struct controller *c);
void control_tell(struct controller *c, const char *app, const json_t *status);
// What the last answer says of what was deployed, as a status; owned, NULL: nothing.
json_t *control_before(const struct controller *c, const char *app);
void control_unwatch(struct controller *c);

void operation_pin(struct controller *c, struct tracked *t, const struct strv *revisions);
void control_begin_next(struct controller *c, struct tracked *t); // what came meanwhile, if any

// ---- controller_operation.c ----
#define OPERATION_ENDED "Operation terminated"
#define OPERATION_NONE_MATCH "none of the resources that were asked for is the application's"
struct operation_tally {
    size_t created, changed, same, failed, pruned, kept;
    size_t matched; // results
};
void operation_clear(struct tracked *t);
// Is it about a part of the application, or a trial? Then what else is owed stays owed.
bool operation_is_partial(const struct tracked *t);
// Does what is asked for need a turn of its own?
bool operation_is_alone(const struct tracked *t);
char *operation_refusal(const struct controller *c, const struct tracked *t); // owned; NULL: none
// Makes the part and the options of a run what the operation asks for. The variant must outlive the
// run; application_vary_free.
void operation_shape(const struct tracked *t, unsigned app, struct desired *part,
                     struct run_opts *o, struct application **variant);
// What a turn did, object by object, added to what the turns before it did.
void operation_note(struct tracked *t, const struct run *r, unsigned app,
                    struct operation_tally *tally);
void operation_settle(struct controller *c, struct tracked *t, enum operation_phase phase,
                      const char *message);
void operation_rehearsed(struct controller *c, struct tracked *t, const struct run *r,
                         unsigned app);
bool operation_is_on(const struct tracked *t);
// It is to begin, and cannot be taken out of its Application object.
void operation_untaken(struct controller *c, struct tracked *t, const char *why);
// It is to end; began: that of this time (RFC 3339), NULL: whichever is on.
void operation_end(struct controller *c, struct tracked *t, const char *began);
bool operation_ended(struct controller *c, struct tracked *t); // was it to? Then it has.
bool operation_ends(void *ctx);                                // run_opts.is_ended

// ---- controller_approval.c ----
// Of that which was told when it was given; plan_policy.is_approved
bool approval_covers(const void *ctx, const char *app, const struct object_id *id);
// What the Application or entry says; app: its tracking name, whether Git still has it or not.
void approval_take(struct controller *c, const char *app, const json_t *doc);
void approval_absorb(struct controller *c, const struct run *r, const bool *take); // after a turn
char *approval_text(const struct controller *c, const char *app); // owned; NULL: nothing waits

// ---- controller_healthy.c ----
void healthy_seen(struct controller *c, enum kube_event ev, const json_t *doc);
void healthy_note_app(struct controller *c, unsigned app); // if it is synced and healthy
void healthy_later(struct controller *c);                  // something is another than before
void healthy_forget(struct controller *c);                 // nothing tells of it any more
void healthy_finish(struct controller *c); // writes it now, and waits a little for the answer
void healthy_end(struct controller *c);

// ---- controller_report.c ----
void report_news(struct controller *c, const char *app); // something of it is another than before
void report_later(struct controller *c);
bool report_is_synced(const struct controller *c, unsigned app);
bool report_is_healthy(const struct controller *c, unsigned app); // all that it has
// The status of an application as it is now; owned. NULL: it is not known.
json_t *report_status(struct controller *c, const char *app, const json_t *before);
// The Application object of that "namespace/name", as it was seen last; owned. NULL: there is none.
// "namespace/name", as Application objects are kept under; owned.
char *report_key(const struct application *a);
json_t *report_kept(const struct controller *c, const char *key);
// What the watch of Application objects says (kube_watch_opts.event).
void report_application(void *ctx, enum kube_event ev, json_t *doc);
// Looks at what is asked of applications that were not known, or not ours, when their objects came.
void report_hear(struct controller *c);
// By what was sent last, is all of it as Git says?
bool report_is_as_recorded(const struct controller *c, unsigned app);
// Begins to watch what people ask through; before the first turn that is waited for.
void report_watch(struct controller *c);
void report_unwatch(struct controller *c);
void report_end(struct controller *c);

#endif
