// SPDX-License-Identifier: Apache-2.0
//
// Private to the commands restore and drill: one restore on its way, and how it is shown.
#ifndef CLI_RESTORING_H
#define CLI_RESTORING_H

#include "cli/outcome.h"
#include "cli/snapshot_open.h"
#include "restore/restore.h"

struct restoring {
    struct cli *c;
    struct snap snap;
    const struct entry *e; // of snap.log
    struct verify_result verified;
    struct session *s; // the target; its desired state is that of the snapshot
    struct frozen frozen;
    struct api_changes apis;
    struct strv unread_apis; // of which the target does not tell the fields
    struct target target;
    json_t *images;  // that could not be pulled: of awaited_images, or NULL
    json_t *volumes; // what holds data that no snapshot has: of awaited_volumes
    struct zero_result zero;
    struct frozen_sources sources; // for rendering again, and what came out otherwise
    bool is_anew;                  // --rerender, or nothing was frozen for the cluster of a hub
    struct rendered_anew anew;
    json_t *cluster; // of a hub: the list of what was frozen for it; NULL: none, or not wanted
    struct mappings maps;
    struct partial part;                   // when not all of it is wanted
    size_t counts[ACTION_TERMINATING + 1]; // of the plan
    bool is_adopting;                      // of another: what it had is forgotten, and stays
    struct err breaker;                    // of the plan: it would delete too much
    struct strv changes, deletes;          // of the plan: what is written over, what goes
    bool is_order_broken;                  // declared edges gave way
    bool is_running;                       // the run is prepared
    struct timeline timeline;
    int64_t verify_ms, plan_ms;
    // Of a drill: the target must be empty, and what it cannot show is settled before the plan.
    bool is_drill;
    void (*settle)(struct restoring *x);
    // --push-git:
    bool has_git, is_pushed;
    bool is_put_off; // since the cluster is not up
    bool has_report; // it was asked for, and is written
    struct reader *git_reader;
    struct gitback git;
    struct source_opts git_source;
    json_t *git_argocd; // Secrets of Argo CD in the snapshot
    int64_t git_ms;
};

// ---- cmd_restore.c: the steps in their order ----
// Which snapshot is meant, proved whole; *id is borrowed from x->snap.
MUST_CHECK bool restoring_open(struct restoring *x, const struct age_identity **id,
                               struct err *err);
// ---- restore_ahead.c ----
// Before a cluster is waited for: all that can be read and checked without one.
MUST_CHECK bool restoring_read_ahead(struct restoring *x, const struct age_identity *id,
                                     struct err *err);

// ---- restore_target.c ----
// May it be written to? CONFLICT: it is another's, and --adopt was not given.
MUST_CHECK bool restoring_check_target(struct restoring *x, struct err *err);
// Holding the Lease, before all else: what is restored to it; of one that is adopted nothing is
// remembered from then on.
MUST_CHECK bool restoring_note_target(struct restoring *x, struct target_note *note,
                                      struct err *err);

// ---- cmd_restore.c again ----
// The target and what would be done; nothing is written.
MUST_CHECK bool restoring_plan(struct restoring *x, const struct age_identity *id, struct err *err);
MUST_CHECK bool restoring_run(struct restoring *x, struct run **run, struct err *err);
void restoring_clear(struct restoring *x);

// ---- restore_view.c ----

// "0.2 s", "5 h" and so on are made where they are printed.
int restoring_source_minor(const struct restoring *x); // of the snapshot's Kubernetes; 0: unknown
int64_t restoring_age_s(const struct restoring *x);    // of the snapshot: RPO
// The newest snapshot of the chain, if another cluster wrote it since this one was restored: the
// lost one is alive. NULL: nobody did. Borrowed.
const struct entry *restoring_other_writer(const struct restoring *x);
// The newest snapshot of the chain, if the target wrote to it once and another cluster has since,
// with nothing restored here in between: the lost one has come back. NULL: not so. Borrowed.
const struct entry *restoring_successor(const struct restoring *x);
void restoring_print_plan(const struct restoring *x);
// What cannot come back, a line each; added to *out.
void restoring_losses(const struct restoring *x, struct strv *out);
// "  ! text", wrapped.
void restoring_print_line(const char *symbol, const char *text);
// o: NULL for a dry run, and without a cluster.
json_t *restoring_doc(const struct restoring *x, const struct outcome *o);

// ---- restore_report.c ----
// The run has ended: when its last write was accepted the phase "healthy" began. Where something is
// not healthy, pods are asked for images that could not be pulled.
void restoring_settle(struct restoring *x, const struct outcome *o);
// Phases, applications, critical path, what is missing or awaited, what to do next: added to doc.
void restoring_add_report(const struct restoring *x, const struct outcome *o, json_t *doc);
// report: of restoring_doc.
void restoring_print_times(const json_t *report, bool is_all_well); // RTO by phase, RPO
void restoring_print_end(const struct restoring *x, struct outcome *o, const json_t *report);
// --report, where it is asked for: doc as it is; or of a restore that ended with an error, however
// far it came.
MUST_CHECK bool restoring_save(const struct restoring *x, const json_t *doc, struct err *err);
void restoring_save_failed(struct restoring *x, const struct run *run, const struct err *why);

// ---- restore_map.c ----
MUST_CHECK bool restoring_read_maps(struct restoring *x, struct err *err); // of the options
MUST_CHECK bool restoring_map(struct restoring *x, struct err *err); // changes what was frozen
void restoring_print_maps(const struct restoring *x);
// At the end: what Git says otherwise; NULL: nothing. Owned.
char *restoring_mapped_text(const struct restoring *x);
json_t *restoring_maps_doc(const struct restoring *x);

// ---- restore_render.c ----
// Before the snapshot is read: what was frozen for the cluster that is wanted, if any is.
MUST_CHECK bool restoring_take_cluster(struct restoring *x, struct reader *r, struct err *err);
// --rerender, or a cluster that nothing was frozen for; r: the snapshot.
MUST_CHECK bool restoring_rerender(struct restoring *x, struct reader *r, struct err *err);
const char *restoring_cluster(const struct restoring *x); // of a hub; NULL: the snapshot's own
void restoring_print_rerender(const struct restoring *x);
json_t *restoring_rerender_doc(const struct restoring *x);
json_t *restoring_cluster_doc(const struct restoring *x); // of a hub

// ---- restore_fleet.c ----
bool restoring_is_fleet(const struct cli *c);
int restoring_fleet(struct cli *c, struct err *err); // the exit code, as a command

// ---- restore_part.c ----
void restoring_choose_part(struct restoring *x); // before anything: what the options come to
// r: prepared. NOT_FOUND when nothing is of both, --app and --namespace.
MUST_CHECK bool restoring_take_part(struct restoring *x, const struct run *r, struct err *err);
size_t restoring_applications(const struct restoring *x); // that are asked for, without the root
void restoring_print_part(const struct restoring *x);
json_t *restoring_part_doc(const struct restoring *x);

// ---- restore_git.c ----
// After the root is known.
MUST_CHECK bool restore_git_open(struct restoring *x, const struct age_identity *id,
                                 struct err *err);
// Before anything is written: is something in the way?
MUST_CHECK bool restore_git_look(struct restoring *x, struct err *err);
// The host, or the folder, of the first repository that there is something to push to; owned. NULL:
// there is nothing to push.
char *restore_git_host(const struct restoring *x);
// Waits for the hosts, looks again, pushes.
MUST_CHECK bool restore_git_push(struct restoring *x, struct err *err);
void restore_git_print_plan(const struct restoring *x);
void restore_git_print_end(const struct restoring *x);
char *restore_git_command(const struct restoring *x); // --git-only; owned
// This restore once more, of the same part with the same names; or of the whole. Owned.
char *restore_again_command(const struct restoring *x, bool is_whole);
// The bootstrap that switches back to Git; owned.
char *restore_next_command(const struct restoring *x);
void restoring_print_git_end(const struct restoring *x); // without a cluster
json_t *restore_git_doc(const struct restoring *x);      // owned

#endif
