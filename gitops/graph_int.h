// SPDX-License-Identifier: Apache-2.0
//
// Private to the graph's files.
//
//   graph.c        nodes, indexes, putting it together
//   graph_edges.c  edges of one object: identity, references, roles
//   graph_order.c  applications, phases, waves, depends-on
//   graph_gates.c  webhooks and what they judge
//   graph_policies.c  admission policies: their parameters, their mutations
//   graph_knots.c  what cannot be healthy before that which waits for it
//   graph_unordered.c  applications that have no place in the order
//   graph_cycle.c  cycles: what gives way, what is an error; depth and weight
//   graph_text.c   sentences and names
#ifndef GITOPS_GRAPH_INT_H
#define GITOPS_GRAPH_INT_H

#include "gitops/graph.h"

struct workload {
    unsigned object;
    const char *ns;
    json_t *labels; // of its pods
};

// A webhook entry, or a policy in the same shape, and the node that what it judges waits for.
struct hook {
    unsigned gate;
    json_t *entry;
    json_t *narrower; // what else must match: a policy binding's matchResources; or NULL
    enum need need;
    enum edge_why why, why_pods; // the object is judged; the pods it makes are
    bool is_hard;
};

struct service {
    unsigned object;
    const char *ns;
    json_t *labels;
};

struct builder {
    const struct desired *d;
    const struct graph_live *live;
    const struct graph_opts *o;
    struct graph *g;
    VEC(struct workload) workloads;
    VEC(struct hook) hooks;
    VEC(struct service) services;
    VEC(unsigned) classes;    // IngressClasses
    VEC(unsigned) open_ended; // graph_knots.c: whoever can serves them
    // Object indices by name; see graph.c for the keys.
    json_t *crds, *apiservices, *producers, *bindings, *policies, *selectors, *ns_labels;
    json_t *roles;                       // object index -> labels of a ClusterRole, for aggregation
    json_t *externals;                   // key -> node
    json_t *admission, *policy_bindings; // graph_policies.c: specs by key; a list of specs
    int default_class;
    int *wave; // effective phase and wave per object, after bubbling
    enum phase *phase;
};

struct edge *edge_add(struct builder *b, unsigned from, unsigned to, enum need need,
                      enum edge_why why, bool is_hard, const char *detail);
unsigned node_add(struct builder *b, enum node_kind kind, unsigned app, char *label_take);
// The node of something no manifest makes; made at first sight.
unsigned external_node(struct builder *b, const struct object_id *id);
bool exists_live(const struct builder *b, const struct object_id *id);
// Calls fn for each object index in a list of an index ("ns/name" -> [i, ...]).
void each_index(const json_t *index, const char *key, void (*fn)(void *ctx, unsigned i), void *ctx);
void index_push(json_t *index, const char *key, unsigned i);
const json_t *namespace_labels(const struct builder *b, const char *ns);

void edges_of_object(struct builder *b, unsigned object, const json_t *doc);
bool order_edges(struct builder *b, struct err *err);
void gates_collect(struct builder *b, unsigned object, const json_t *doc);
void gates_collect_live(struct builder *b);
void policies_collect(struct builder *b, unsigned object, const json_t *doc);
void policies_to_hooks(struct builder *b);
void gate_edges(struct builder *b);
void knots_collect(struct builder *b, unsigned object, const json_t *doc);
bool knots_untie(struct builder *b); // needs the index; true when edges were added
bool cycles_resolve(struct builder *b, struct err *err);
// Each application that depends by name on what waits for it, once more with what was dropped, and
// the cycle as people read it.
void cycles_declared(const struct desired *d, struct graph *g,
                     void (*tell)(void *ctx, unsigned app, const char *why), void *ctx);
const char *phase_name(enum phase p);
void graph_index(struct graph *g); // first_out/n_out, in, first_in/n_in
void graph_weigh(struct graph *g, const struct desired *d);

#endif
