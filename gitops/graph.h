// SPDX-License-Identifier: Apache-2.0
//
// Order: a graph over objects, with every edge explained (design section 4, refined by
// spec/order-corrections.md). Pure. An edge says "from waits for to until `need` holds".
//
// Nodes are desired objects (node index = object index, for the first desired.objects.len nodes)
// and then: application starts and ends, wave barriers, webhook gates, external things.
// Hard edges gate. Soft edges gate too as long as their target can still come, and are the ones
// dropped when they close a cycle. Declared edges (waves, phases, depends-on) are hard, but
// `break_declared` may drop those of a cycle. A cycle of hard edges alone is INVALID: the message
// prints every edge with file and line.
#ifndef GITOPS_GRAPH_H
#define GITOPS_GRAPH_H

#include "gitops/desired.h"

enum node_kind {
    NODE_OBJECT,
    NODE_APP_START, // everything of an application waits for it: parent's waves, depends-on
    NODE_APP_END,   // ready when all objects and child applications are ready
    NODE_BARRIER,   // ready when all members of one (application, phase, wave) are ready
    NODE_WEBHOOK,   // ready when a dry run of a judged object passes through the webhook
    NODE_EXTERNAL,  // something no manifest here makes: ready when seen in the cluster
};

// What the target must have reached.
enum need {
    NEED_APPLIED, // accepted by the API server
    NEED_READY,   // healthy; CRD: Established; APIService: Available; gate: open
};

enum edge_why {
    WHY_NAMESPACE,        // object -> its Namespace
    WHY_CRD,              // custom resource -> its CRD
    WHY_APISERVICE,       // object -> aggregated APIService of its group
    WHY_WEBHOOK,          // object -> webhook that judges it
    WHY_POD_WEBHOOK,      // workload -> webhook that judges its pods
    WHY_MUTATING,         // object -> mutating webhook with failurePolicy Ignore (soft)
    WHY_CONVERSION,       // custom resource -> conversion webhook of its CRD
    WHY_WEBHOOK_BACKEND,  // gate -> configuration, Service and Deployment behind it
    WHY_DEPENDS_ON,       // config.kubernetes.io/depends-on, regrow.dev/depends-on
    WHY_WAVE,             // sync wave
    WHY_PHASE,            // PreSync, Sync, PostSync
    WHY_PROJECT,          // application -> its AppProject (soft)
    WHY_PARENT,           // child application -> earlier waves of its parent
    WHY_MEMBER,           // barrier or application end -> its members
    WHY_START,            // object -> start of its application
    WHY_REFERENCE,        // workload -> ServiceAccount, ConfigMap, Secret, PVC, classes it names
    WHY_RBAC,             // workload -> (Cluster)RoleBindings of its ServiceAccount
    WHY_ROLE,             // binding -> its role
    WHY_NAMESPACE_POLICY, // workload -> quota, limits, network policy of its namespace
    WHY_ISSUER,           // Certificate -> Issuer
    WHY_STORE,            // ExternalSecret -> SecretStore
    WHY_PRODUCED,         // consumer -> the object that produces the Secret it reads
    WHY_TARGET,           // HPA, PDB, Ingress, route, monitor -> what it points at
    WHY_METRICS,          // HPA -> metrics APIService
    WHY_POLICY_PARAM,     // object -> parameters of a policy that judges it
    WHY_AGGREGATE,        // aggregated ClusterRole -> the roles it selects
    WHY_CONFIG_BACKEND,   // webhook configuration -> the Deployment behind its Service (soft)
    WHY_UNJUDGED,         // webhook configuration -> what it would judge before it answers (soft)
    WHY_ARGO_OBJECT,      // Application object -> the content it stands for
};

struct node {
    enum node_kind kind;
    unsigned object; // NODE_OBJECT: its index (equals the node's own)
    unsigned app;    // owner; for NODE_APP_*: the application
    char *label;     // owned, but of NODE_APP_*; what people read: "Deployment web/api", "webhook
                     // cert-manager-webhook"
    struct object_id ext; // NODE_EXTERNAL: what is waited for (kind CustomResourceDefinition ...)
    // NODE_WEBHOOK:
    int config;                    // object index of the configuration, -1 when only live
    char *config_name, *hook_name; // configuration object's name, webhook's name within it
    bool is_mutating;
    bool is_conversion;
    char *svc_namespace, *svc_name; // NULL for URL webhooks
    int svc_port;
    bool needs_ca;    // caBundle is empty in the manifest and must be injected
    enum phase phase; // NODE_BARRIER
    int wave;
    unsigned first_out, n_out; // range in graph.edges: what this node waits for
    unsigned first_in, n_in;   // range in graph.in: edges (indices) that wait for this node
    unsigned depth;            // longest hard+soft path from a root, in steps
    double weight;             // longest remaining path: larger goes first
};

struct edge {
    unsigned from, to;
    enum need need;
    enum edge_why why;
    bool is_hard, is_declared;
    bool is_dropped; // soft or declared edge that gave way in a cycle
    char *detail;    // where it was written, or which field: "spec.issuerRef", may be NULL
};

struct graph {
    VEC(struct node) nodes;
    VEC(struct edge) edges;        // sorted by from
    unsigned *in;                  // edge indices sorted by to
    unsigned *app_start, *app_end; // node index per application
    char *app_labels;              // of these nodes, one after the other
    struct strv warnings;          // dropped edges, references nothing produces, quotas
};

// What the live cluster adds; NULL members: nothing known (plan without a cluster).
struct graph_live {
    json_t *const *webhook_configs; // live (Validating|Mutating)WebhookConfiguration documents
    size_t n_webhook_configs;
    // Does it exist live? Used so that references to existing things are no external nodes.
    bool (*exists)(void *ctx, const struct object_id *id);
    // Labels of a live namespace not in the desired state, or NULL. Owned by the caller's ctx.
    const json_t *(*namespace_labels)(void *ctx, const char *name);
    // Does the aggregated API server of this group not answer? What it serves is unknown.
    bool (*is_stale_group)(void *ctx, const char *group);
    void *ctx;
};

struct graph_opts {
    bool ignore_declared; // --order=inferred
    bool ignore_inferred; // --order=declared (identity edges stay: they are no choice)
    bool break_declared;  // --break-declared
    bool skip_unfound;    // depends-on of an application that is not there orders nothing
};

MUST_CHECK bool graph_build(const struct desired *d, const struct graph_live *live,
                            const struct graph_opts *o, struct graph **out, struct err *err);
// Applications whose place in the order cannot be found, whatever the cluster has: what they depend
// on by name is not there, waits for them in turn, or is, as an application above them may be, such
// a one itself. Tracking name -> why; owned. `d` is not a part, and is lent for the call.
json_t *graph_unordered(struct desired *d, const struct graph_opts *o);

void graph_free(struct graph *g);
CLEANUP_FN(struct graph, graph_free, graph_freep);

// One sentence: "waits for webhook cert-manager-webhook", for an edge of this graph. Owned.
char *edge_text(const struct graph *g, const struct edge *e);
const char *edge_why_name(enum edge_why why); // stable name for JSON: "webhook"

// Does the webhook entry (an item of .webhooks) judge this object for that operation ("CREATE",
// "UPDATE", "DELETE")? matchConditions count as "may match". ns_labels: of the object's namespace.
// By its rules alone: could a webhook judge objects of this kind?
bool webhook_may_judge(const json_t *webhook, const struct kind_info *kind, const char *operation);
bool webhook_judges(const json_t *webhook, const struct kind_info *kind, const json_t *doc,
                    const json_t *ns_labels, const char *operation);

// Longest chain of the plan, as node indices from first to last; *out owned.
size_t graph_longest(const struct graph *g, unsigned **out);

#endif
