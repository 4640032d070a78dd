// SPDX-License-Identifier: Apache-2.0
//
// Objects that cannot become healthy before something which waits for them: a claim that binds with
// its first consumer, an Ingress before its controller, a custom resource before its operator.
// Where a wave or depends-on puts all of what makes such an object healthy behind it, that wait is
// for the object to be applied; its application is healthy only when the object is.
#include <stdlib.h>
#include <string.h>

#include "gitops/graph_int.h"
#include "gitops/json.h"

#define MAX_NESTING 32 // of applications; the loader allows no more

struct list {
    VEC(unsigned) v;
};

// Workloads that give Services of type LoadBalancer their address, by a part of their name.
static const char *const balancers[] = {
    "metallb", "kube-vip", "cloud-controller", "load-balancer-controller",
    "openelb", "purelb",   "loxilb",           "servicelb"};

static bool is_kind(const struct builder *b, unsigned node, const char *group, const char *kind)
{
    if (node >= b->d->objects.len)
        return false;
    const struct object_id *id = &b->d->objects.v[node].id;
    return !strcmp(id->kind, kind) && !strcmp(id->group, group);
}

void knots_collect(struct builder *b, unsigned object, const json_t *doc)
{
    if (is_kind(b, object, "networking.k8s.io", "IngressClass"))
        *vec_push(&b->classes) = object;
    else if (is_kind(b, object, "", "Service") &&
             str_eq(json_dot_str(doc, "spec.type"), "LoadBalancer"))
        *vec_push(&b->open_ended) = object;
    else if (is_kind(b, object, "networking.k8s.io", "Ingress") &&
             !json_dot_str(doc, "spec.ingressClassName") &&
             !json_annotation(doc, "kubernetes.io/ingress.class"))
        *vec_push(&b->open_ended) = object;
}

// Does anybody serve it who can: a Service that wants an address, an Ingress that names no class?
static bool is_open_ended(const struct builder *b, unsigned node)
{
    size_t lo = 0;
    size_t hi = b->open_ended.len; // they came in the order of the objects
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (b->open_ended.v[mid] == node)
            return true;
        if (b->open_ended.v[mid] < node)
            lo = mid + 1;
        else
            hi = mid;
    }
    return false;
}

static bool is_controller(const struct builder *b, unsigned node)
{
    return is_kind(b, node, "apps", "Deployment") || is_kind(b, node, "apps", "StatefulSet") ||
           is_kind(b, node, "apps", "DaemonSet");
}

static void add(struct list *out, unsigned node)
{
    for (size_t i = 0; i < out->v.len; i++)
        if (out->v.v[i] == node)
            return;
    *vec_push(&out->v) = node;
}

static void controllers_of_app(const struct builder *b, unsigned app, struct list *out)
{
    for (size_t i = 0; i < b->workloads.len; i++) {
        unsigned w = b->workloads.v[i].object;
        if (b->d->objects.v[w].app == app && is_controller(b, w))
            add(out, w);
    }
}

static void consumers(const struct builder *b, unsigned claim, struct list *out)
{
    const struct node *n = &b->g->nodes.v[claim];
    for (unsigned i = 0; i < n->n_in; i++) {
        const struct edge *e = &b->g->edges.v[b->g->in[n->first_in + i]];
        if (e->why == WHY_REFERENCE && e->from < b->d->objects.len)
            add(out, e->from);
    }
}

// The controllers of a class: those of the application that has it, else the class stands for them.
static void controllers_of_class(const struct builder *b, unsigned class, struct list *out)
{
    size_t before = out->v.len;
    controllers_of_app(b, b->d->objects.v[class].app, out);
    if (out->v.len == before)
        add(out, class);
}

static void by_class(const struct builder *b, unsigned node, const char *group, const char *kind,
                     struct list *out)
{
    const struct node *n = &b->g->nodes.v[node];
    for (unsigned i = 0; i < n->n_out; i++) {
        unsigned to = b->g->edges.v[n->first_out + i].to;
        if (is_kind(b, to, group, kind))
            controllers_of_class(b, to, out);
    }
    for (size_t i = 0; is_open_ended(b, node) && i < b->classes.len; i++)
        controllers_of_class(b, b->classes.v[i], out);
}

static void load_balancers(const struct builder *b, struct list *out)
{
    for (size_t i = 0; i < b->workloads.len; i++) {
        unsigned w = b->workloads.v[i].object;
        for (size_t k = 0; is_controller(b, w) && k < ARRAY_LEN(balancers); k++)
            if (strstr(b->d->objects.v[w].id.name, balancers[k]))
                add(out, w);
    }
}

// An operator is what comes with the definition.
static void operators(const struct builder *b, unsigned node, struct list *out)
{
    const struct node *n = &b->g->nodes.v[node];
    for (unsigned i = 0; i < n->n_out; i++) {
        const struct edge *e = &b->g->edges.v[n->first_out + i];
        if (e->why == WHY_CRD && e->to < b->d->objects.len)
            controllers_of_app(b, b->d->objects.v[e->to].app, out);
    }
}

// What makes the object healthy; nothing: it needs nobody, or nobody knows whom.
static void makers(const struct builder *b, unsigned node, struct list *out)
{
    if (is_kind(b, node, "", "PersistentVolumeClaim"))
        consumers(b, node, out);
    else if (is_kind(b, node, "networking.k8s.io", "Ingress"))
        by_class(b, node, "networking.k8s.io", "IngressClass", out);
    else if (is_kind(b, node, "gateway.networking.k8s.io", "Gateway"))
        by_class(b, node, "gateway.networking.k8s.io", "GatewayClass", out);
    else if (is_kind(b, node, "gateway.networking.k8s.io", "GatewayClass"))
        controllers_of_app(b, b->d->objects.v[node].app, out);
    else if (is_kind(b, node, "", "Service"))
        load_balancers(b, out);
    else
        operators(b, node, out);
}

static bool may_be_knot(const struct builder *b, unsigned node)
{
    if (node >= b->d->objects.len || b->d->objects.v[node].is_virtual)
        return false;
    if (is_kind(b, node, "", "Service"))
        return is_open_ended(b, node);
    const struct object_id *id = &b->d->objects.v[node].id;
    const struct kind_info *k = kinds_find(b->d->kinds, id->group, NULL, id->kind);
    return !k || !k->is_builtin || is_kind(b, node, "", "PersistentVolumeClaim") ||
           is_kind(b, node, "networking.k8s.io", "Ingress");
}

// ---- what waits ----
struct untying {
    struct builder *b;
    unsigned from;         // a barrier, or the start of an application that depends on others
    char *is_knot;         // per node: this one's wait is for it to be applied
    unsigned char **needs; // per node that makes others healthy: a bit for each node it waits for
    VEC(struct edge) more; // in place of edges to applications that hold knots
};

static bool has_bit(const unsigned char *bits, unsigned i)
{
    return bits[i / 8] >> i % 8 & 1;
}

// All that a node waits for, over hard edges; found once.
static const unsigned char *needs_of(struct untying *u, unsigned node)
{
    const struct graph *g = u->b->g;
    VEC(unsigned) todo = {0};
    if (u->needs[node])
        return u->needs[node];
    unsigned char *bits = u->needs[node] = mem_alloc(g->nodes.len / 8 + 1);
    *vec_push(&todo) = node;
    while (todo.len) {
        const struct node *n = &g->nodes.v[todo.v[--todo.len]];
        for (unsigned i = 0; i < n->n_out; i++) {
            const struct edge *e = &g->edges.v[n->first_out + i];
            if (!e->is_hard || has_bit(bits, e->to))
                continue;
            bits[e->to / 8] |= (unsigned char)(1U << e->to % 8);
            *vec_push(&todo) = e->to;
        }
    }
    vec_clear(&todo);
    return bits;
}

// Does the maker come after what waits? In one application the waves tell: what is not later is
// itself waited for.
static bool is_behind(struct untying *u, unsigned maker)
{
    const struct builder *b = u->b;
    const struct node *from = &b->g->nodes.v[u->from];
    if (from->kind == NODE_BARRIER && b->d->objects.v[maker].app == from->app)
        return b->phase[maker] > from->phase ||
               (b->phase[maker] == from->phase && b->wave[maker] > from->wave);
    return has_bit(needs_of(u, maker), u->from);
}

static void warn(struct untying *u, unsigned node, unsigned maker)
{
    const struct graph *g = u->b->g;
    CLEANUP(str_freep)
    char *tail = str_printf(" needs %s, which comes later: %s waits only until it is applied",
                            g->nodes.v[maker].label, g->nodes.v[u->from].label);
    for (size_t i = 0; i < g->warnings.len; i++)
        if (str_ends(g->warnings.v[i], tail))
            return; // the first stands for all of them
    strv_push_take(&u->b->g->warnings,
                   str_printf("%s cannot become healthy yet; it%s", g->nodes.v[node].label, tail));
}

// Is all of what makes it healthy behind what waits for it?
static bool is_knot(struct untying *u, unsigned node)
{
    struct list m = {0};
    makers(u->b, node, &m);
    bool yes = m.v.len > 0;
    for (size_t i = 0; yes && i < m.v.len; i++)
        yes = is_behind(u, m.v.v[i]);
    if (yes)
        warn(u, node, m.v.v[0]);
    vec_clear(&m.v);
    return yes;
}

// What a node includes is ready when these are: the members of an application's end, and for an
// Application that is only read the end it stands for.
static bool includes(const struct untying *u, unsigned node, const struct edge *e)
{
    const struct builder *b = u->b;
    return b->g->nodes.v[node].kind == NODE_APP_END ||
           (node < b->d->objects.len && b->d->objects.v[node].is_virtual &&
            e->why == WHY_ARGO_OBJECT);
}

// Marks the knots that a node includes, or is.
static bool find_knots(struct untying *u, unsigned node, unsigned depth)
{
    const struct graph *g = u->b->g;
    const struct node *n = &g->nodes.v[node];
    bool any = false;
    if (may_be_knot(u->b, node)) {
        any = is_knot(u, node);
    } else {
        for (unsigned i = 0; depth <= MAX_NESTING && i < n->n_out; i++) {
            const struct edge *e = &g->edges.v[n->first_out + i];
            any |= includes(u, node, e) && find_knots(u, e->to, depth + 1);
        }
    }
    u->is_knot[node] = any;
    return any;
}

// The edges that stand for one to a node which includes knots.
static void expand(struct untying *u, const struct edge *e, unsigned node)
{
    const struct graph *g = u->b->g;
    const struct node *n = &g->nodes.v[node];
    for (unsigned i = 0; i < n->n_out; i++) {
        const struct edge *member = &g->edges.v[n->first_out + i];
        if (!includes(u, node, member))
            continue;
        if (u->is_knot[member->to] && !may_be_knot(u->b, member->to)) {
            expand(u, e, member->to);
            continue;
        }
        struct edge *x = vec_push(&u->more);
        *x = *e;
        x->to = member->to;
        x->detail = str_dup_or_null(e->detail);
        x->need = u->is_knot[member->to] ? NEED_APPLIED : member->need;
    }
}

static bool has_knots(struct untying *u)
{
    const struct node *n = &u->b->g->nodes.v[u->from];
    bool any = false;
    memset(u->is_knot, 0, u->b->g->nodes.len);
    for (unsigned i = 0; i < n->n_out; i++) {
        const struct edge *e = &u->b->g->edges.v[n->first_out + i];
        if (e->need == NEED_READY && e->is_declared)
            any |= find_knots(u, e->to, 0);
    }
    return any;
}

static void untie(struct untying *u)
{
    const struct node *n = &u->b->g->nodes.v[u->from];
    if (!has_knots(u))
        return;
    for (unsigned i = 0; i < n->n_out; i++) {
        struct edge *e = &u->b->g->edges.v[n->first_out + i];
        if (!e->is_declared || !u->is_knot[e->to])
            continue;
        if (may_be_knot(u->b, e->to)) {
            e->need = NEED_APPLIED;
        } else {
            expand(u, e, e->to);
            e->to = e->from; // an edge to itself is taken out
        }
    }
}

static bool waits_declared(const struct graph *g, const struct node *n)
{
    for (unsigned i = 0; i < n->n_out; i++)
        if (g->edges.v[n->first_out + i].is_declared)
            return true;
    return false;
}

bool knots_untie(struct builder *b)
{
    struct graph *g = b->g;
    struct untying u = {.b = b,
                        .is_knot = mem_alloc(g->nodes.len + 1),
                        .needs = mem_alloc((g->nodes.len + 1) * sizeof(*u.needs))};
    for (unsigned i = (unsigned)b->d->objects.len; i < g->nodes.len; i++) {
        const struct node *n = &g->nodes.v[i];
        if ((n->kind != NODE_BARRIER && n->kind != NODE_APP_START) || !n->n_in ||
            !waits_declared(g, n))
            continue;
        u.from = i;
        untie(&u);
    }
    bool any = u.more.len > 0;
    for (size_t i = 0; i < u.more.len; i++)
        *vec_push(&g->edges) = u.more.v[i];
    vec_clear(&u.more);
    for (size_t i = 0; i < g->nodes.len; i++)
        free(u.needs[i]);
    free(u.needs);
    free(u.is_knot);
    return any;
}
