// SPDX-License-Identifier: Apache-2.0
//
// Private to collect.c and settle.c: what one application yields, kept apart until all of it is
// known to be good.
#ifndef SOURCE_COLLECT_H
#define SOURCE_COLLECT_H

#include "source/load.h"

// A definition that was added to what is known of kinds (crd), or a kind and what was known of it.
struct kind_seen {
    json_t *crd;
    char *group, *kind;
    bool is_known, is_namespaced;
};
void kind_seen_clear(struct kind_seen *k);

struct yield {
    struct loading *l;
    unsigned app;
    VEC(struct object) objects;
    VEC(struct application *) children; // NULL where a later document of that name took the place
    json_t
        *made; // kind, namespace and name of Argo CD's documents -> [first child, behind the last]
    VEC(json_t *) projects;
    json_t *seen; // object key -> {"doc": its document, "at": its objects}
    unsigned doc; // documents so far
    struct render_job *jobs;
    size_t n_jobs;
    struct sha256 whole; // of all that they rendered; names of hooks are made of it
    bool has_whole;
    bool is_root_twin; // what it renders is what the root renders
    struct strv warnings;
    char *global_projects; // of the ConfigMap argocd-cm, if it is here
    // For the memo (memo.h):
    VEC(struct kind_seen) kinds; // definitions, and what was asked about kinds between them
    struct witness sets;         // what its ApplicationSets asked
    bool saw_clusters, is_fleeting;
    struct yielded *kept;  // what has been read of it, or
    struct yielded *known; // was taken over; NULL: neither
};

// Adds an object of the application. Takes the origin; the document is changed.
struct doc_flags {
    bool is_virtual, is_made;
};
MUST_CHECK bool yield_add_doc(struct yield *y, json_t *doc, struct origin *where,
                              struct doc_flags flags, struct err *err);

// What its jobs rendered, or what is known of it.
MUST_CHECK bool yield_read(struct yield *y, struct app_jobs *j, struct err *err);
void yield_clear(struct yield *y);
bool yield_has_definitions(const struct yield *y);
struct yielded *yield_kept(const struct yield *y); // kept, or known; NULL: neither

// ---- settle.c ----
// Could it be a credential, a cluster or a setting of Argo CD's? Such are noted for what is read
// from then on.
bool settle_may_be_creds(const struct object_id *id);
bool settle_is_namespace(const struct object_id *id);
void settle_creds(struct loading *l, const struct object *o);
// The Namespace that CreateNamespace=true asks for, if nobody has written it.
MUST_CHECK bool yield_add_namespace(struct yield *y, struct err *err);
// Takes everything over into the desired state.
MUST_CHECK bool yield_settle(struct yield *y, struct err *err);

#endif
