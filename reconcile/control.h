// SPDX-License-Identifier: Apache-2.0
//
// What people ask of the controller for one application, pure (docs/control.md). They ask through
// the Application object, as Argo CD's tools do: by annotations and by `.operation`. Where there is
// no such object they ask through an entry of the ConfigMap `control` in regrow-system, which is
// written like the part of an Application it stands for, so that the same functions read both:
//
//     metadata: {annotations: {argocd.argoproj.io/refresh: hard}}
//     operation: {sync: {revision: 3f9c2e1, prune: true}, initiatedBy: {username: anna}}
//
// There the controller answers in `control-answers`: control_answer.
#ifndef RECONCILE_CONTROL_H
#define RECONCILE_CONTROL_H

#include "gitops/gitops.h"

// Where the two ConfigMaps below lie; needs REGROW_NAMESPACE (reconcile/run.h).
#define CONTROL_MAPS_PATH "/api/v1/namespaces/" REGROW_NAMESPACE "/configmaps"
#define CONTROL_MAP "control"
#define CONTROL_ANSWERS "control-answers"
#define CONTROL_REFRESH "argocd.argoproj.io/refresh"
#define CONTROL_SKIP "argocd.argoproj.io/skip-reconcile"
#define CONTROL_APPROVED "argocd.argoproj.io/deletion-approved"
#define CONTROL_MAX_BYTES (64U << 10)    // of an entry
#define CONTROL_ANSWER_MAX (32U << 10)   // of an answer
#define CONTROL_ANSWERS_MAX (700U << 10) // of all of them: a ConfigMap has at most 1 MiB

enum control_refresh { REFRESH_NONE, REFRESH_NORMAL, REFRESH_HARD };

// Pointers are borrowed from the document that was read.
struct app_control {
    bool is_suspended;            // no sync of the controller's own accord
    enum control_refresh refresh; // HARD: rendered again, whatever is cached
    int64_t approved_at_unix_s;   // deletion-approved; 0: not
    const json_t *operation;      // as it was asked for; NULL: nothing was
    struct strv revisions;        // owned; one for each source; none: as the application says
    const json_t *sources;        // an array, or one source: these in place of the application's
                                  // (a rollback); NULL: its own
    const json_t *resources;      // [{group, kind, namespace?, name, exclude?}]; NULL: all
    const json_t *options;        // syncOptions of this operation; NULL: the application's
    const json_t *retry;          // {limit, backoff}; NULL: the application's
    bool prune, dry_run;
    bool is_forced;       // syncStrategy.*.force
    bool is_apply_only;   // syncStrategy.apply: hooks are not run
    bool is_ended;        // status.operationState.phase is Terminating: it is to stop
    const char *began;    // that operation's startedAt, or NULL
    bool is_automated;    // initiatedBy.automated
    const char *username; // initiatedBy.username, or ""
};
void app_control_clear(struct app_control *c);

// doc: a live Application, or an entry of the ConfigMap. INVALID: the operation is not what it must
// be (the rest of *out is filled all the same); it is to be refused and taken out.
MUST_CHECK bool control_read(const json_t *doc, struct app_control *out, struct err *err);
// `.operation` alone, of which *out borrows.
MUST_CHECK bool control_operation(const json_t *operation, struct app_control *out,
                                  struct err *err);
// The entry of an application in the data of the ConfigMap, owned; NULL when there is none. One
// that cannot be read is INVALID.
MUST_CHECK bool control_entry(const json_t *config_map, const char *app, json_t **out,
                              struct err *err);
// What the controller removes once it has taken what was asked: a merge patch of the document that
// was read; NULL when there is nothing to remove. Suspension and approval stay. Owned.
json_t *control_taken(const struct app_control *c);
// Is the object one of those that were asked for?
bool control_selects(const struct app_control *c, const struct object_id *id);
// May what waits for a confirmation (Prune=confirm, Delete=confirm) go, if that began then?
bool control_approves(const struct app_control *c, int64_t began_unix_s);
// What of a status (app_status.h) answers a request where there is no Application object; owned.
json_t *control_answer(const json_t *status);
json_t *control_answer_brief(const json_t *status); // only how the operation stands
// Notes that an application's answer has `len` bytes; names (-> null) of those that are to go for
// it, those told longest ago first. Owned.
json_t *control_answer_room(json_t *sizes, const char *app, size_t len);

// ---- for those who ask ----
// Merge patches of an Application or an entry. Owned.
json_t *control_ask_refresh(enum control_refresh how);
json_t *control_ask_sync(bool prune, const char *username); // all of it, to what Git says
json_t *control_ask_suspend(bool yes);
json_t *control_ask_approval(int64_t at_unix_s);
json_t *control_ask_end(void); // of the operation that is on; as Argo CD has it, in the status
// One entry of --resource: "GROUP:KIND:[NAMESPACE/]NAME", "!" in front leaves it out; owned.
MUST_CHECK bool control_resource(const char *text, json_t **out, struct err *err);
// The operation that brings back an entry of status.history (NULL: the one before the last).
// INVALID: automated sync is on; NOT_FOUND: no such entry. Owned.
MUST_CHECK bool control_rollback(const json_t *application, const char *id, bool is_suspended,
                                 json_t **out, struct err *err);

// How far a request has come. The answer is written no later than the request is taken out, so what
// is told once it is gone is what came of it: times of whole seconds tell two of them not apart.
enum control_progress { CONTROL_WAITING, CONTROL_UNDER_WAY, CONTROL_SUCCEEDED, CONTROL_FAILED };
enum control_progress control_operation_progress(const json_t *doc, const json_t *status);
bool control_is_refreshed(const json_t *doc);

#endif
