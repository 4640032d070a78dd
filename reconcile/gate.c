// SPDX-License-Identifier: Apache-2.0
//
// Webhook gates. A webhook is believed only when a dry run of an object that waits for it passes:
// ready pods say nothing about a certificate the API server does not trust. One dry run at a
// time and gate, the first one only when Service, endpoints and caBundle are there.
#include <stdlib.h>
#include <string.h>

#include "reconcile/run_int.h"

// Probes of one gate are at least this far apart (spec order-corrections section 2).
#define PROBE_MIN_MS 100
#define PROBE_MAX_MS 1000

// The webhook's entry in the live or the desired configuration; borrowed from *store.
static const json_t *find_entry(const json_t *config, const char *hook)
{
    size_t i;
    json_t *w;
    json_array_foreach(json_object_get(config, "webhooks"), i, w)
    {
        if (str_eq(json_dot_str(w, "name"), hook))
            return w;
    }
    return NULL;
}

static const json_t *live_entry(const struct run *r, const struct node *n)
{
    const char *kind =
        n->is_mutating ? "MutatingWebhookConfiguration" : "ValidatingWebhookConfiguration";
    for (size_t i = 0; i < r->webhook_configs.len; i++) {
        const json_t *c = r->webhook_configs.v[i];
        if (str_eq(json_dot_str(c, "kind"), kind) &&
            str_eq(json_dot_str(c, "metadata.name"), n->config_name))
            return find_entry(c, n->hook_name);
    }
    return NULL;
}

void gates_init(struct run *r)
{
    vec_clear(&r->gates);
    for (unsigned i = (unsigned)r->desired->objects.len; i < r->graph->nodes.len; i++) {
        if (r->graph->nodes.v[i].kind != NODE_WEBHOOK)
            continue;
        struct gate_rt *g = vec_push(&r->gates);
        g->node = i;
        g->backoff_ms = PROBE_MIN_MS;
    }
}

static struct gate_rt *gate_of(struct run *r, unsigned node)
{
    for (size_t i = 0; i < r->gates.len; i++)
        if (r->gates.v[i].node == node)
            return &r->gates.v[i];
    return NULL;
}

void gates_recheck(struct run *r)
{
    int64_t now = clock_mono_ms();
    for (size_t i = 0; i < r->gates.len; i++) {
        struct gate_rt *g = &r->gates.v[i];
        int64_t soonest = g->last_probe_ms + PROBE_MIN_MS;
        if (g->next_probe_ms > now && !g->is_probing)
            g->next_probe_ms = soonest > now ? soonest : now;
    }
}

static bool has_endpoints(struct run *r, const struct node *n)
{
    if (!n->svc_name)
        return true; // a URL webhook: nothing in the cluster stands behind it
    observe_slices(r);
    CLEANUP(str_freep) char *key = str_printf("%s/%s", n->svc_namespace, n->svc_name);
    return json_is_true(json_object_get(r->slices, key));
}

static bool has_ca(const struct run *r, const struct node *n)
{
    if (!n->needs_ca || n->is_conversion)
        return true;
    const json_t *w = live_entry(r, n);
    return w && !str_is_empty(json_dot_str(w, "clientConfig.caBundle"));
}

// What must be there before the first dry run is worth its cost.
static bool is_probeable(struct run *r, unsigned node)
{
    const struct node *n = &r->graph->nodes.v[node];
    const char *lacks = r->nodes[node].pending ? NULL
                        : !has_endpoints(r, n) ? "no endpoint is ready"
                        : !has_ca(r, n)        ? "its caBundle has not been injected"
                                               : "";
    if (lacks && *lacks)
        state_message(r, node, lacks);
    return lacks && !*lacks;
}

static bool is_pod_edge(const struct edge *e)
{
    return e->why == WHY_POD_WEBHOOK;
}

// With failurePolicy Ignore a dry run passes whether or not the webhook answers, so nothing can be
// proven: such a gate opens with its preconditions, after those of the same Service that can be.
static bool is_provable(const struct run *r, const struct node *n)
{
    if (n->is_conversion)
        return true;
    const json_t *w = live_entry(r, n);
    const char *policy = w ? json_dot_str(w, "failurePolicy") : NULL;
    return !policy || strcmp(policy, "Ignore") != 0;
}

static bool sibling_is_closed(const struct run *r, const struct node *n)
{
    for (size_t i = 0; i < r->gates.len; i++) {
        unsigned other = r->gates.v[i].node;
        const struct node *o = &r->graph->nodes.v[other];
        if (o != n && !r->nodes[other].is_ready && str_eq(o->svc_name, n->svc_name) &&
            str_eq(o->svc_namespace, n->svc_namespace) && is_provable(r, o))
            return true;
    }
    return false;
}

static void open_gate(struct run *r, unsigned node)
{
    state_applied(r, node);
    state_ready(r, node);
    inventory_write_deferred(r);
}

// Every gate this object's dry run passes through has what it needs.
static bool is_candidate(struct run *r, unsigned object, bool pods)
{
    const struct node_rt *x = &r->nodes[object];
    if (x->state != NODE_WAITING || x->is_probing || x->pending != x->pending_gates)
        return false;
    const struct node *n = &r->graph->nodes.v[object];
    for (unsigned i = 0; i < n->n_out; i++) {
        const struct edge *e = &r->graph->edges.v[n->first_out + i];
        if (!edge_counts(r, e) || edge_holds(r, e) || is_pod_edge(e) != pods)
            continue;
        if (!is_probeable(r, e->to))
            return false;
    }
    return true;
}

// An object whose dry run would prove this gate; -1 when none can be sent yet.
static int find_candidate(struct run *r, unsigned gate, bool *pods)
{
    const struct node *n = &r->graph->nodes.v[gate];
    for (unsigned i = 0; i < n->n_in; i++) {
        const struct edge *e = &r->graph->edges.v[r->graph->in[n->first_in + i]];
        if (!edge_counts(r, e) || !is_object(r, e->from))
            continue;
        if (!is_candidate(r, e->from, is_pod_edge(e)))
            continue;
        *pods = is_pod_edge(e);
        return (int)e->from;
    }
    return -1;
}

// Calls fn for every closed gate of the candidate's probe.
static void each_gate(struct run *r, unsigned object, bool pods,
                      void (*fn)(struct run *r, struct gate_rt *g, const void *arg),
                      const void *arg)
{
    // Opening a gate may rebuild nothing but states: nodes and edges stay where they are.
    const struct node *n = &r->graph->nodes.v[object];
    unsigned first = n->first_out;
    unsigned count = n->n_out;
    for (unsigned i = 0; i < count; i++) {
        const struct edge *e = &r->graph->edges.v[first + i];
        if (!edge_counts(r, e) || is_pod_edge(e) != pods || r->nodes[e->to].is_ready)
            continue;
        struct gate_rt *g = gate_of(r, e->to);
        if (g)
            fn(r, g, arg);
    }
}

static void begin_probe(struct run *r, struct gate_rt *g, const void *arg)
{
    (void)arg;
    g->is_probing = true;
    g->last_probe_ms = clock_mono_ms();
    r->nodes[g->node].tries++;
    event_emit(r->opts.events, "gate.probe", "{s:s, s:i}", "webhook",
               r->graph->nodes.v[g->node].label, "try", (int)r->nodes[g->node].tries);
}

static void end_probe(struct run *r, struct gate_rt *g, const void *arg)
{
    (void)r;
    (void)arg;
    g->is_probing = false;
}

static void open_provable(struct run *r, struct gate_rt *g, const void *arg)
{
    (void)arg;
    if (is_provable(r, &r->graph->nodes.v[g->node]))
        open_gate(r, g->node);
}

static void open_named(struct run *r, struct gate_rt *g, const void *arg)
{
    if (str_eq(r->graph->nodes.v[g->node].hook_name, arg))
        open_gate(r, g->node);
}

static void back_off(struct run *r, struct gate_rt *g, const void *arg)
{
    g->next_probe_ms = clock_mono_ms() + g->backoff_ms;
    g->backoff_ms = g->backoff_ms * 3 / 2 > PROBE_MAX_MS ? PROBE_MAX_MS : g->backoff_ms * 3 / 2;
    state_message(r, g->node, arg);
}

// The object is refused for a reason that is its own: it fails without ever having been written.
static void refuse(struct run *r, unsigned object, const struct kube_reply *reply)
{
    struct err err = {0};
    kube_reply_err(reply, &err, "dry run");
    state_fail(r, object, err.kind, err.msg);
    err_clear(&err);
}

static void on_probe(void *ctx, const struct kube_reply *reply)
{
    struct call_ctx *c = ctx;
    struct run *r = c->run;
    unsigned object = c->node;
    bool pods = c->is_pod_probe;
    bool is_current = c->graph == r->graph;
    r->nodes[object].is_probing = false;
    r->sum.probes++;
    call_end(c);
    if (!is_current)
        return; // the graph was built again meanwhile: the gates have new numbers
    each_gate(r, object, pods, end_probe, NULL);
    switch (reply->cls) {
    case KUBE_OK:
        each_gate(r, object, pods, open_provable, NULL);
        break;
    case KUBE_DENIED:
    case KUBE_INVALID:
    case KUBE_IMMUTABLE:
    case KUBE_CONFLICT:
        if (pods) {
            // The pod of a template need not be valid as it stands; the webhooks have answered.
            each_gate(r, object, pods, open_provable, NULL);
            break;
        }
        if (reply->webhook)
            each_gate(r, object, pods, open_named, reply->webhook);
        refuse(r, object, reply);
        break;
    default:
        each_gate(r, object, pods, back_off, reply->message);
    }
}

// The Pod a workload's controller would make, under a name of its own; NULL when there is none.
static json_t *pod_of(const struct object *o)
{
    CLEANUP(json_freep) json_t *doc = object_doc(o);
    json_t *tpl = json_dot(doc, "spec.template");
    if (!strcmp(o->id.kind, "CronJob"))
        tpl = json_dot(doc, "spec.jobTemplate.spec.template");
    if (!json_is_object(tpl) || !json_is_object(json_object_get(tpl, "spec")))
        return NULL;
    json_t *meta = json_object_get(tpl, "metadata");
    json_t *pod = json_pack("{s:s, s:s, s:o, s:O}", "apiVersion", "v1", "kind", "Pod", "metadata",
                            meta ? json_deep_copy(meta) : json_object(), "spec",
                            json_object_get(tpl, "spec"));
    json_t *m = json_object_get(pod, "metadata");
    json_object_set_new(m, "name", json_sprintf("regrow-probe-%.40s", o->id.name));
    json_object_set_new(m, "namespace", json_string(o->id.namespace));
    return pod;
}

static bool send_pod(struct run *r, unsigned object, struct call_ctx *c)
{
    const struct object *o = &r->desired->objects.v[object];
    CLEANUP(json_freep) json_t *pod = pod_of(o);
    const struct kind_info *k = kinds_find(r->desired->kinds, "", "v1", "Pod");
    if (!pod || !k)
        return false;
    struct buf body CLEANUP(buf_clear) = {0};
    canon_write(pod, &body);
    CLEANUP(str_freep)
    char *path = kind_path(k, o->id.namespace, json_dot_str(pod, "metadata.name"));
    struct kube_apply_opts opts = {.dry_run = true, .manager = run_manager(r)};
    run_owns(r, kube_apply(r->kube, path, body.p, body.len, &opts, on_probe, c));
    return true;
}

static bool send_self(struct run *r, unsigned object, struct call_ctx *c)
{
    const struct object *o = &r->desired->objects.v[object];
    CLEANUP(str_freep) char *path = send_path(r, o);
    if (!path)
        return false;
    struct kube_apply_opts opts = {.dry_run = true,
                                   .force = r->opts.force_conflicts || may_force(r, object),
                                   .manager = run_manager(r)};
    run_owns(r, kube_apply(r->kube, path, o->body, o->body_len, &opts, on_probe, c));
    return true;
}

static void probe(struct run *r, unsigned object, bool pods)
{
    struct call_ctx *c = call_new(r, object);
    c->is_pod_probe = pods;
    c->graph = r->graph;
    if (!(pods ? send_pod(r, object, c) : send_self(r, object, c))) {
        call_end(c);
        each_gate(r, object, pods, pods ? open_provable : back_off, NULL);
        return;
    }
    r->nodes[object].is_probing = true;
    each_gate(r, object, pods, begin_probe, NULL);
}

static void step(struct run *r, struct gate_rt *g, int64_t now)
{
    unsigned node = g->node;
    const struct node *n = &r->graph->nodes.v[node];
    if (r->nodes[node].is_ready || !r->nodes[node].is_selected || r->nodes[node].pending ||
        g->is_probing || g->next_probe_ms > now)
        return;
    if (!is_probeable(r, node)) {
        g->next_probe_ms = now + PROBE_MAX_MS;
        return;
    }
    if (!is_provable(r, n)) {
        if (!sibling_is_closed(r, n))
            open_gate(r, node);
        return;
    }
    bool pods = false;
    int object = find_candidate(r, node, &pods);
    if (object >= 0)
        probe(r, (unsigned)object, pods);
    else
        g->next_probe_ms = now + PROBE_MIN_MS;
}

void gates_step(struct run *r)
{
    if (kube_is_down(r->kube))
        return;
    int64_t now = clock_mono_ms();
    for (size_t i = 0; i < r->gates.len; i++)
        step(r, &r->gates.v[i], now);
}

bool gates_hold_back(struct run *r, const struct kind_info *kind, const json_t *doc,
                     const char *operation)
{
    for (size_t i = 0; i < r->gates.len; i++) {
        unsigned node = r->gates.v[i].node;
        const struct node *n = &r->graph->nodes.v[node];
        if (r->nodes[node].is_ready || n->is_conversion)
            continue;
        const json_t *w = live_entry(r, n);
        const json_t *labels = observe_labels(r, json_dot_str(doc, "metadata.namespace"));
        if (w && webhook_judges(w, kind, doc, labels, operation))
            return true;
    }
    return false;
}
