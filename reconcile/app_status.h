// SPDX-License-Identifier: Apache-2.0
//
// The `.status` of an Application object in Argo CD's shape, from what the controller knows, so
// that `kubectl get applications` and dashboards work. Pure: the time is in the report, and equal
// reports give equal documents.
//
// All pointers of a report are lent. Times are Unix seconds; 0: it has not happened.
#ifndef RECONCILE_APP_STATUS_H
#define RECONCILE_APP_STATUS_H

#include "base/vec.h"
#include "gitops/gitops.h"
#include "reconcile/health.h"

enum sync_code { SYNC_UNKNOWN, SYNC_SYNCED, SYNC_OUT_OF_SYNC };
const char *sync_code_name(enum sync_code s); // "Unknown", "Synced", "OutOfSync"

struct report_resource {
    const struct object_id *id;
    const char *version;
    enum sync_code sync;
    enum health health; // HEALTH_NONE: no check, none is told
    const char *health_message;
    int wave;
    bool is_hook, requires_pruning, requires_confirmation; // hooks have no sync status
};

enum operation_phase {
    OPERATION_NONE, // there was none
    OPERATION_RUNNING,
    OPERATION_TERMINATING,
    OPERATION_FAILED, // the cluster said no
    OPERATION_ERROR,  // it could not be done
    OPERATION_SUCCEEDED
};
const char *operation_phase_name(enum operation_phase p);

// What an operation did with one object. status: "Synced", "SyncFailed", "Pruned", "PruneSkipped".
struct report_result {
    const struct object_id *id;
    const char *version, *status, *message;
    enum phase sync_phase;
    const char *hook_phase; // "Running", "Succeeded", "Failed", "Error"; NULL: no hook
    const char *hook_type;  // "PreSync", ...; NULL: no hook
};

struct report_operation {
    enum operation_phase phase;
    const char *message;
    int64_t started_unix_s, finished_unix_s;
    long long retry_count;
    // What was asked for: .operation as a person wrote it; NULL: a sync of our own accord.
    const json_t *asked;
    bool prune;                   // of one of our own accord
    const struct strv *revisions; // it goes to; one for each source
    const struct report_result *results;
    size_t n_results;
};

struct report_condition {
    const char *type, *message; // CONDITION_*
};
#define CONDITION_COMPARISON_ERROR "ComparisonError"
#define CONDITION_INVALID_SPEC "InvalidSpecError"
#define CONDITION_SYNC_ERROR "SyncError"
#define CONDITION_DELETION_ERROR "DeletionError"
#define CONDITION_UNKNOWN_ERROR "UnknownError"
#define CONDITION_SHARED_RESOURCE "SharedResourceWarning"
#define CONDITION_REPEATED_RESOURCE "RepeatedResourceWarning"
#define CONDITION_EXCLUDED_RESOURCE "ExcludedResourceWarning"
#define CONDITION_WINDOW "SyncWindowWarning" // Argo CD has none of that name
#define CONDITION_ORPHANED_RESOURCE "OrphanedResourceWarning"

struct app_report {
    const struct application *app; // its document is what was compared
    int64_t now_unix_s;
    enum sync_code sync;
    const struct strv *revisions; // exact, one for each source
    enum health health;
    const char *health_message;
    const struct report_resource *resources;
    size_t n_resources;
    struct report_operation operation;
    bool is_abandoned; // what is told to be under way is so no more: whoever did it is gone
    // This operation is done, was full and no dry run: it becomes an entry of the history.
    bool is_deployed;
    const char *deployed_by; // user name; NULL: automated
    const struct report_condition *conditions;
    size_t n_conditions;
    const struct strv *source_types; // "Helm", "Kustomize", "Directory", one for each source
    const struct strv *images;       // of the live workloads; any order, repeated or not
    const char *controller_namespace;
    bool is_suspended; // automated sync is held by annotation or by a person
    // Differences of objects, [{"group", "kind", "namespace", "name", "drift": [...]}], or NULL.
    // They are told under status.regrow.drift, which Argo CD does not have.
    const json_t *drift;
    const json_t *awaits; // {since, objects, first}: deletions that wait for an approval, or NULL
};

// The document; owned. before: the status as it is in the cluster, or NULL. What did not change
// keeps its time of change, the history grows by what was deployed and is cut at
// revisionHistoryLimit, and what others keep in the status stays. The whole is equal to `before`,
// times included, when nothing has changed but the time of looking.
json_t *app_status_json(const struct app_report *r, const json_t *before);

// The JSON merge patch of `.status` that makes `after` of `before` (NULL: there is none); NULL when
// they are equal. Owned.
json_t *app_status_patch(const json_t *before, const json_t *after);

// Kubernetes events for what has changed between two statuses, in Argo CD's reasons: an array of
// {reason, type: "Normal"|"Warning", message}. Owned.
json_t *app_status_events(const json_t *before, const json_t *after);

#endif
