// SPDX-License-Identifier: Apache-2.0
//
// One desired Kubernetes object: identity (group, kind, namespace, name), where it was written,
// and its canonical bytes as they will be sent. The parsed tree is made when needed and dropped
// again: bytes cost a tenth of a jansson tree.
#ifndef GITOPS_OBJECT_H
#define GITOPS_OBJECT_H

#include <jansson.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/str.h"

struct object_id {
    char *group; // "" for core
    char *kind;
    char *namespace; // NULL for cluster-scoped
    char *name;
};

// Where something was written. All strings owned by the origin.
struct origin {
    char *repo;     // display form of repository or chart: "platform", "cert-manager v1.21.2"
    char *revision; // short display revision, or NULL; counted: origin_set_revision
    char *file;     // path inside it, or chart template; NULL when unknown
    unsigned line;  // 1-based; 0 unknown
    // Which of its application's sources, from 1; 0: none of them, it was made for it.
    unsigned source;
};

// Whose an object is, as Argo CD marks it; and as a CRD is marked, which Argo CD leaves alone.
#define TRACKING_ANNOTATION "argocd.argoproj.io/tracking-id"
#define OWNER_ANNOTATION "regrow.dev/application"

// Sync phase of an object; order is the order of execution.
enum phase { PHASE_PRESYNC, PHASE_SYNC, PHASE_POSTSYNC, PHASE_SYNCFAIL };

// When a hook's earlier instance is deleted; bits.
enum { HOOK_BEFORE_CREATION = 1, HOOK_SUCCEEDED = 2, HOOK_FAILED = 4 };

// Of all that have the same texts.
struct object_shares {
    unsigned n;
    unsigned state, rank; // its place among the objects of that state (desired.h)
};

struct object {
    struct object_id id;
    char *version; // API version without the group: "v1"
    struct origin origin;
    unsigned app;     // index into desired.apps: its owner
    enum phase phase; // a hook of several phases is an object for each, of one identity
    unsigned phases;  // bit per phase; the same in all of these
    bool is_hook;
    unsigned hook_delete; // HOOK_* bits
    int wave;
    unsigned options; // SYNC_* of its own and its application's
    bool is_namespaced;
    bool is_scope_guessed;      // its kind was not known: taken for namespaced, as Argo CD does
    bool is_denied_for_cluster; // such a one that its project forbids if it is of the cluster
    bool is_made;    // a Namespace made for an application, written nowhere: never pruned
    bool is_bare;    // and nothing is asked of it but to be there
    bool is_virtual; // Argo CD or Flux kind that this cluster does not serve: read, never sent
    char *body;      // canonical JSON as sent
    size_t body_len;
    struct sha256 hash;           // of body
    struct object_shares *shares; // private: who has its texts (object_share); NULL: it alone
};

void object_id_clear(struct object_id *id);
struct object_id object_id_dup(const struct object_id *id);
int object_id_cmp(const struct object_id *a, const struct object_id *b);
bool object_id_eq(const struct object_id *a, const struct object_id *b);
// Reads apiVersion, kind, metadata.{namespace,name}. Missing or malformed: INVALID.
MUST_CHECK bool object_id_of(const json_t *doc, struct object_id *out, char **version,
                             struct err *err);
// A List of any kind, whose items are the objects that are meant.
bool object_is_list(const json_t *doc);
// "Deployment web/api", "ClusterIssuer le"; owned. What people read.
char *object_name(const struct object_id *id);
// "apps/Deployment/web/api" with "" for what is absent; owned. What machines read.
char *object_key(const struct object_id *id);
// "store.yaml:3 in platform @ 3f9c2e1"; owned.
char *origin_text(const struct origin *o);
struct origin origin_dup(const struct origin *o);
struct origin origin_share(const struct origin *o); // a copy with the very text of its revision
void origin_clear(struct origin *o);
// A revision of its own (copied, NULL allowed), or the very text another one has, which is not
// copied: a commit is the revision of thousands. Nobody writes to that text.
void origin_set_revision(struct origin *o, const char *revision);
void origin_share_revision(struct origin *o, const struct origin *other);
// All that share its text have another one from now on: what they came from says the same in this
// revision. One that is not of the same length is its own alone.
void origin_renew_revision(struct origin *o, const char *revision);

// ---- one object in two states (a load and the one before it) ----
// Another of the same texts, which are not copied; only which origin.revision it has is each one's
// own. Whoever writes to the texts of an object that may be shared calls object_own first;
// object_set_body does.
struct object object_share(struct object *o);
void object_own(struct object *o);

// Takes out what must not be sent (spec kubernetes-api 3.2): status, server-made metadata, nulls,
// empty annotation and label maps, stringData (folded into data), rules beside aggregationRule,
// empty caBundle, ownerReferences. Changes doc in place. INVALID when it cannot be an object, when
// a map key is longer than 1024 bytes, when a keyed list holds duplicates SSA would refuse (env
// names, container and Service ports, mounts), when labels, annotations or the data of ConfigMap
// and Secret hold anything but text, or when its name or a key of these is none (names.h).
MUST_CHECK bool object_normalize(json_t *doc, struct err *err);
// Where its pods' spec stands: "spec.template.spec"; NULL when it has none. Static.
const char *object_pod_spec(const struct object_id *id);
// Sets body, body_len and hash from doc (canonical).
void object_set_body(struct object *o, const json_t *doc);
// Parses the body again; never fails on what object_set_body wrote. Owned.
json_t *object_doc(const struct object *o);
// The same without the schemas of a CustomResourceDefinition, which are nearly all of it. Owned.
json_t *object_outline(const struct object *o);
void object_clear(struct object *o);

#endif
