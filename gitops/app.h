// SPDX-License-Identifier: Apache-2.0
//
// Applications in the shape of Argo CD (spec argo-cd section 1). An application is parsed from an
// Application document, or made for the root. Structural faults are INVALID with Argo CD's words.
// Features that are not built are refused by name, never ignored.
#ifndef GITOPS_APP_H
#define GITOPS_APP_H

#include "base/vec.h"
#include "gitops/object.h"

// Whose presence makes a deletion cascade.
#define RESOURCES_FINALIZER "resources-finalizer.argocd.argoproj.io"

enum app_source_kind { APP_SOURCE_GIT, APP_SOURCE_HELM_REPO, APP_SOURCE_OCI };

struct app_source {
    enum app_source_kind kind;
    char *repo_url;
    char *path;              // "" when absent
    char *chart;             // NULL when absent
    char *target_revision;   // "" when absent (HEAD)
    char *tag_prefix;        // NULL when absent
    char *ref;               // NULL when absent
    const json_t *json;      // the source as written; it and its blocks are borrowed from the
    const json_t *directory; // application's doc; NULL when absent or zero
    const json_t *kustomize;
    const json_t *helm;
};

// Tri-state of the source's ability to be read; a source that cannot be read makes its
// application unknown: it is neither pruned nor taken as empty.
enum app_state { APP_KNOWN, APP_UNKNOWN, APP_OTHER_CLUSTER };

struct application {
    char *name;
    char *namespace;     // of the Application object; "argocd" when absent
    char *project;       // "default" when empty
    char *tracking_name; // name, or <namespace>_<name> outside the control-plane namespace
    char *dest_server, *dest_name, *dest_namespace; // NULL when absent
    VEC(struct app_source) sources;
    json_t *doc; // the Application document; NULL only for the root
    struct origin origin;
    int parent;             // index into desired.apps, -1 for the root
    int wave;               // of the Application object in its parent; generated ones have 0
    struct strv depends_on; // names from regrow.dev/depends-on
    bool has_automated, prune, self_heal, allow_empty;
    // Sync options (docs/sync-options.md):
    const json_t *sync_options; // as written, borrowed from doc; NULL when absent
    unsigned options;           // SYNC_*, of all its objects
    bool create_namespace, fail_on_shared, respect_ignore_differences, no_migration;
    bool prune_never, delete_never;           // Prune, Delete: false
    bool prune_confirm, delete_confirm;       // Prune, Delete: confirm
    const json_t *managed_namespace_metadata; // borrowed from doc; NULL when absent
    const json_t *ignore_differences;  // its own, and those of all (desired_ignore); NULL: none
    json_t *rules;                     // owned: both together; NULL: only its own
    char *set_name;                    // ApplicationSet that made it, or NULL
    bool is_preserved;                 // its objects stay when the set no longer generates it
    bool has_finalizer, is_background; // resources-finalizer.argocd.argoproj.io[/background]
    unsigned marks; // DELETION_* of what makes it in its parent: its document, or that of its set
    // Filled by the loader:
    bool
        is_passing; // (of a state of a hub's other cluster) the hub's own, and none of that cluster
    enum app_state state;
    struct err problem;    // why it is unknown
    char *revision_text;   // what people read: "3f9c2e1", "helm v1.21.2"
    struct strv revisions; // exact, one per source: commit id, chart version, digest
    struct strv warnings;
    unsigned *sharers; // private: how many have its texts (application_share); NULL: it alone
};

// Parses an Application. The document is referenced, not copied. On failure *out stays NULL.
MUST_CHECK bool application_parse(json_t *doc, const struct origin *where, struct application **out,
                                  struct err *err);
// Reads the tool blocks of a source; what is not built is refused by name (INVALID).
MUST_CHECK bool app_source_blocks(struct app_source *s, const json_t *src, struct err *err);
// How an Application of that name and namespace (NULL: Argo CD's) is called in marks and records;
// owned.
char *application_tracking_name(const char *ns, const char *name);
// A sentence for each field of a source and its blocks that is not known.
void app_source_unknown(const json_t *src, struct strv *out);
// An application with a name and nothing else, for the root.
struct application *application_new_root(const char *name);
// One that could not be parsed, under its name and namespace (NULL for what is missing).
struct application *application_new_unknown(const char *name, const char *ns);
void application_free(struct application *a);
// The same application in another state, as it was parsed: its texts, which nobody writes to, are
// not copied. What the loader fills in, its parent and its origin's revision are its own; warnings
// are copied.
struct application *application_share(struct application *a);
// The same application for one operation: some more options, which go before its own of the same
// name (an array, or NULL), and what it no longer has in Git is deleted. All else is borrowed from
// `a`, which must outlive it.
struct application *application_vary(const struct application *a, const json_t *options,
                                     bool prune);
void application_vary_free(struct application *variant);
CLEANUP_FN(struct application, application_vary_free, application_vary_freep);
CLEANUP_FN(struct application, application_free, application_freep);

// Marks an object as the application's. Argo CD marks no definition: it has a mark of its own.
void application_mark(const struct application *a, json_t *doc, const struct object *o);
// Do its objects go when its Application object is deleted? So says its finalizer.
bool application_cascades(const struct application *a);
// Is `doc` an Application, ApplicationSet, AppProject of argoproj.io?
bool argo_is(const json_t *doc, const char *kind);
bool argo_is_own(const struct object_id *id); // one of these three

// Sync phases, wave, hook and delete policies of a rendered object, with Helm's mapping (spec
// 2.5, 2.6). o->phases holds every phase a hook runs in, o->phase the first. *skip is set for
// objects that are never applied (Skip, Helm tests). PreDelete and PostDelete hooks are refused by
// name (INVALID).
MUST_CHECK bool object_sync_marks(const json_t *doc, struct object *o, bool *skip, struct err *err);
// The first of Helm's hook types for deletion the object has, or NULL: regrow runs none of them.
const char *object_helm_delete_hook(const json_t *doc);
// What Argo CD's hook annotation says where it names no type there is: such an object is never
// applied. NULL: it says something else, or nothing.
const char *object_unknown_hook(const json_t *doc);

// ---- sync options ----
enum {
    SYNC_REPLACE = 1,
    SYNC_FORCE = 2,
    SYNC_NO_VALIDATE = 4,
    SYNC_SERVER_SIDE = 8 // as Argo CD applies then: fields that another manager owns are taken over
};
// The value of an application's option, the last one of that name; NULL when absent. Borrowed.
const char *sync_option(const json_t *list, const char *name);
// A sentence for each that is not known.
void sync_options_unknown(const json_t *list, struct strv *out);
// Those of an object as SYNC_* bits: of its annotation, and `app`, its application's, as far as it
// does not say otherwise; faults may be NULL.
unsigned object_sync_options(const json_t *doc, unsigned app, struct strv *faults);
// The value of option "Prune", "Delete", ... in the annotation, borrowed from a copy in *store
// (owned by the caller); NULL when absent.
const char *object_sync_option(const json_t *doc, const char *option, char **store);
// What an object says of its own deletion: Prune=false, Prune=true, Delete=false,
// helm.sh/resource-policy: keep, Prune=confirm, Delete=confirm.
enum {
    DELETION_PRUNE_OFF = 1,
    DELETION_PRUNE_ASKED = 2,
    DELETION_DELETE_OFF = 4,
    DELETION_KEEP = 8,
    DELETION_PRUNE_CONFIRM = 16,
    DELETION_DELETE_CONFIRM = 32
};
unsigned object_deletion_marks(const json_t *doc);

#endif
