// SPDX-License-Identifier: Apache-2.0
//
// plan: the applications as a tree, the order, what each waits for, and what would change.
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/cli.h"

struct planning {
    struct cli *c;
    const struct desired *d;
    const struct graph *g;
    struct graph *own; // without a cluster
    struct run *run;   // with one
    size_t *objects;   // per application, the virtual ones left out
    // Node indices by application: those of one begin at first[app], and end where the next begin.
    unsigned *nodes, *first;
};

static void index_apps(struct planning *p)
{
    size_t n_apps = p->d->apps.len;
    p->objects = mem_alloc((n_apps + 1) * sizeof(*p->objects));
    for (size_t i = 0; i < p->d->objects.len; i++)
        p->objects[p->d->objects.v[i].app] += !p->d->objects.v[i].is_virtual;
    p->first = mem_alloc((n_apps + 2) * sizeof(*p->first));
    for (size_t i = 0; i < p->g->nodes.len; i++)
        p->first[p->g->nodes.v[i].app + 1]++;
    for (size_t i = 0; i < n_apps; i++)
        p->first[i + 1] += p->first[i];
    p->nodes = mem_alloc((p->g->nodes.len + 1) * sizeof(*p->nodes));
    unsigned *at = mem_alloc((n_apps + 1) * sizeof(*at));
    for (unsigned i = 0; i < p->g->nodes.len; i++) {
        unsigned app = p->g->nodes.v[i].app;
        p->nodes[p->first[app] + at[app]++] = i;
    }
    free(at);
}

static void planning_clear(struct planning *p)
{
    free(p->objects);
    free(p->first);
    free(p->nodes);
}

static size_t all_objects(const struct planning *p)
{
    size_t n = 0;
    for (size_t i = 0; i < p->d->apps.len; i++)
        n += p->objects[i];
    return n;
}

static unsigned deepest(const struct graph *g)
{
    unsigned max = 0;
    for (size_t i = 0; i < g->nodes.len; i++)
        max = g->nodes.v[i].depth > max ? g->nodes.v[i].depth : max;
    return max;
}

static void waits_of_node(const struct planning *p, unsigned n, struct strv *out)
{
    const struct graph *g = p->g;
    const struct node *from = &g->nodes.v[n];
    unsigned app = from->app;
    for (unsigned i = 0; i < from->n_out; i++) {
        const struct edge *e = &g->edges.v[from->first_out + i];
        const struct node *to = &g->nodes.v[e->to];
        if (e->is_dropped)
            continue;
        CLEANUP(str_freep) char *text = NULL;
        if (to->kind == NODE_WEBHOOK || to->kind == NODE_EXTERNAL)
            text = str_dup(to->label);
        else if (to->kind == NODE_OBJECT && to->app != app && !p->d->objects.v[e->to].is_virtual &&
                 e->why != WHY_NAMESPACE)
            text = str_printf("%s (%s)", to->label, p->d->apps.v[to->app]->name);
        else if (to->kind == NODE_APP_END && to->app != app && e->why == WHY_DEPENDS_ON)
            text = str_dup(p->d->apps.v[to->app]->name);
        else if (to->kind == NODE_BARRIER && from->kind == NODE_APP_START)
            text = str_dup(to->label);
        if (text && !strv_has(out, text))
            strv_push(out, text);
    }
}

// Applications, gates and external things that something of this application waits for.
static void waits_of(const struct planning *p, unsigned app, struct strv *out)
{
    for (unsigned i = p->first[app]; i < p->first[app + 1]; i++) {
        const struct node *n = &p->g->nodes.v[p->nodes[i]];
        bool own = n->kind == NODE_OBJECT ? !p->d->objects.v[p->nodes[i]].is_virtual
                                          : n->kind == NODE_APP_START || n->kind == NODE_BARRIER;
        if (own)
            waits_of_node(p, p->nodes[i], out);
    }
}

static void print_waits(const struct strv *w, bool all)
{
    size_t n = all || w->len <= 3 ? w->len : 3;
    for (size_t i = 0; i < n; i++)
        printf("%s%s", i ? ", " : "  waits for  ", w->v[i]);
    if (n < w->len)
        printf(" and %zu more", w->len - n);
}

static const char *branch(bool last)
{
    return last ? "└─ " : "├─ ";
}

static void print_objects(const struct planning *p, unsigned app, const char *indent)
{
    for (unsigned i = 0; i < p->d->objects.len; i++) {
        const struct object *o = &p->d->objects.v[i];
        if (o->app != app || o->is_virtual)
            continue;
        CLEANUP(str_freep) char *name = object_name(&o->id);
        CLEANUP(str_freep) char *where = origin_text(&o->origin);
        const char *action = p->run ? action_name(run_plan(p->run)->items.v[i].action) : "";
        printf("%s   %s%s%s  %s%s%s\n", indent, action, *action ? "  " : "", name,
               paint(p->c, "dim"), where, paint(p->c, ""));
        const struct node *n = &p->g->nodes.v[i];
        for (unsigned k = 0; k < n->n_out; k++) {
            const struct edge *e = &p->g->edges.v[n->first_out + k];
            if (e->why == WHY_START || e->why == WHY_NAMESPACE || e->is_dropped)
                continue;
            CLEANUP(str_freep) char *why = edge_text(p->g, e);
            printf("%s      %s\n", indent, why);
        }
    }
}

static void print_app(const struct planning *p, unsigned app, const char *indent, bool last,
                      int width)
{
    const struct application *a = p->d->apps.v[app];
    struct strv waits = {0};
    CLEANUP(str_freep) char *head = str_printf("%s%s%s", indent, branch(last), a->name);
    int pad = width - display_width(head);
    printf("%s%*s %5zu   ", head, pad > 0 ? pad : 0, "", p->objects[app]);
    if (a->state == APP_UNKNOWN)
        printf("%s✗ %s%s", paint(p->c, "red"), a->problem.msg, paint(p->c, ""));
    else if (a->state == APP_OTHER_CLUSTER)
        printf("for another cluster: %s", a->dest_server ? a->dest_server : a->dest_name);
    else
        printf("%s", a->revision_text ? a->revision_text : "");
    waits_of(p, app, &waits);
    print_waits(&waits, p->c->o.verbose);
    printf("\n");
    strv_clear(&waits);
    CLEANUP(str_freep) char *deeper = str_printf("%s%s", indent, last ? "   " : "│  ");
    if (p->c->o.verbose)
        print_objects(p, app, deeper);
    int final = -1;
    for (unsigned i = app + 1; i < p->d->apps.len; i++)
        if (p->d->apps.v[i]->parent == (int)app)
            final = (int)i;
    for (unsigned i = app + 1; i < p->d->apps.len; i++)
        if (p->d->apps.v[i]->parent == (int)app)
            print_app(p, i, deeper, (int)i == final, width);
}

static int tree_width(const struct desired *d)
{
    int width = 20;
    for (size_t i = 1; i < d->apps.len; i++) {
        int depth = 0;
        for (int a = (int)i; a > 0; a = d->apps.v[a]->parent)
            depth++;
        int w = 2 + depth * 3 + display_width(d->apps.v[i]->name);
        width = w > width ? w : width;
    }
    return width < 48 ? width : 48;
}

static void print_chain(const struct planning *p)
{
    unsigned *path = NULL;
    size_t n = graph_longest(p->g, &path);
    struct strv names = {0};
    for (size_t i = 0; i < n; i++) {
        const struct node *x = &p->g->nodes.v[path[i]];
        bool own = x->kind == NODE_WEBHOOK || x->kind == NODE_EXTERNAL ||
                   (x->kind == NODE_OBJECT && !p->d->objects.v[path[i]].is_virtual);
        if (own)
            strv_push(&names, x->label);
    }
    free(path);
    if (names.len > 1) {
        printf("\nLongest chain: ");
        for (size_t i = 0; i < names.len; i++) {
            if (names.len > 8 && i == 4) {
                printf(" → … %zu more …", names.len - 8);
                i = names.len - 4;
            }
            printf("%s%s", i ? " → " : "", names.v[i]);
        }
        printf("\n");
    }
    strv_clear(&names);
}

static void print_warnings(const struct planning *p)
{
    size_t n = 0;
    for (size_t i = 0; i < p->g->warnings.len; i++, n++)
        printf("%s! %s%s\n", paint(p->c, "yellow"), p->g->warnings.v[i], paint(p->c, ""));
    for (size_t i = 0; i < p->d->apps.len; i++)
        for (size_t k = 0; k < p->d->apps.v[i]->warnings.len; k++, n++)
            if (p->c->o.verbose)
                printf("! %s: %s\n", p->d->apps.v[i]->name, p->d->apps.v[i]->warnings.v[k]);
    if (n && !p->c->o.verbose)
        printf("%zu warning%s; -v shows %s.\n", n, n == 1 ? "" : "s", n == 1 ? "it" : "all");
}

static void print_counts(const struct planning *p)
{
    const size_t *n = run_plan(p->run)->counts;
    printf("\nAgainst this cluster: %zu to create, %zu to change, %zu to prune, %zu unchanged",
           n[ACTION_CREATE], n[ACTION_CHANGE] + n[ACTION_REPLACE] + n[ACTION_RECREATE],
           n[ACTION_PRUNE], n[ACTION_NONE] + n[ACTION_HOOK_DONE]);
    if (n[ACTION_CHECK])
        printf(", %zu that could not be compared", n[ACTION_CHECK]);
    if (n[ACTION_KEEP])
        printf(", %zu kept", n[ACTION_KEEP]);
    printf(".\n");
}

static void print_text(const struct planning *p)
{
    const struct desired *d = p->d;
    size_t n_apps = d->apps.len - 1;
    printf("%s%s%s", paint(p->c, "bold"), d->root_name, paint(p->c, ""));
    if (d->root_revision)
        printf(" @ %s", d->root_revision);
    if (d->root_ref)
        printf(" (%s)", d->root_ref);
    printf("   %zu application%s   %zu objects   order: %u steps deep\n\n", n_apps,
           n_apps == 1 ? "" : "s", all_objects(p), deepest(p->g));
    int width = tree_width(d);
    printf("  root%*s %5zu\n", width - 6, "", p->objects[0]);
    if (p->c->o.verbose)
        print_objects(p, 0, "  ");
    int final = -1;
    for (unsigned i = 1; i < d->apps.len; i++)
        if (d->apps.v[i]->parent == 0)
            final = (int)i;
    for (unsigned i = 1; i < d->apps.len; i++)
        if (d->apps.v[i]->parent == 0)
            print_app(p, i, "  ", (int)i == final, width);
    if (p->run)
        print_counts(p);
    print_chain(p);
    print_warnings(p);
}

static json_t *object_json(const struct planning *p, unsigned i)
{
    const struct object *o = &p->d->objects.v[i];
    const struct node *n = &p->g->nodes.v[i];
    CLEANUP(str_freep) char *where = origin_text(&o->origin);
    json_t *waits = json_array();
    for (unsigned k = 0; k < n->n_out; k++) {
        const struct edge *e = &p->g->edges.v[n->first_out + k];
        CLEANUP(str_freep) char *text = edge_text(p->g, e);
        if (!e->is_dropped)
            json_array_append_new(waits, json_pack("{s:s, s:s, s:s, s:b, s:s}", "on",
                                                   p->g->nodes.v[e->to].label, "why",
                                                   edge_why_name(e->why), "need",
                                                   e->need == NEED_READY ? "ready" : "applied",
                                                   "hard", (int)e->is_hard, "text", text));
    }
    return json_pack("{s:s, s:s, s:s, s:s, s:s*, s:s, s:s, s:i, s:o, s:s*}", "application",
                     p->d->apps.v[o->app]->name, "group", o->id.group, "version", o->version,
                     "kind", o->id.kind, "namespace", o->id.namespace, "name", o->id.name, "origin",
                     where, "depth", (int)n->depth, "waitsFor", waits, "action",
                     p->run ? action_name(run_plan(p->run)->items.v[i].action) : NULL);
}

static void print_plan_json(const struct planning *p)
{
    CLEANUP(json_freep)
    json_t *out = json_pack("{s:i, s:s, s:s*, s:s*, s:[], s:[], s:[]}", "version", 1, "root",
                            p->d->root_name, "revision", p->d->root_commit, "ref", p->d->root_ref,
                            "applications", "objects", "warnings");
    for (unsigned i = 0; i < p->d->apps.len; i++) {
        const struct application *a = p->d->apps.v[i];
        struct strv w = {0};
        json_t *waits = json_array();
        waits_of(p, i, &w);
        for (size_t k = 0; k < w.len; k++)
            json_array_append_new(waits, json_string(w.v[k]));
        strv_clear(&w);
        json_array_append_new(
            json_object_get(out, "applications"),
            json_pack("{s:s, s:s*, s:s, s:s*, s:I, s:o, s:s*}", "name", a->name, "parent",
                      a->parent < 0 ? NULL : p->d->apps.v[a->parent]->name, "state",
                      a->state == APP_KNOWN     ? "known"
                      : a->state == APP_UNKNOWN ? "unknown"
                                                : "other-cluster",
                      "revision", a->revision_text, "objects", (json_int_t)p->objects[i],
                      "waitsFor", waits, "problem", a->problem.msg));
    }
    for (unsigned i = 0; i < p->d->objects.len; i++)
        if (!p->d->objects.v[i].is_virtual)
            json_array_append_new(json_object_get(out, "objects"), object_json(p, i));
    for (size_t i = 0; i < p->g->warnings.len; i++)
        json_array_append_new(json_object_get(out, "warnings"), json_string(p->g->warnings.v[i]));
    print_json(out, stdout);
}

static void print_dot(const struct planning *p)
{
    printf("digraph regrow {\n  rankdir=LR;\n  node [shape=box, fontsize=10];\n");
    for (size_t i = 0; i < p->g->nodes.len; i++)
        printf("  n%zu [label=\"%s\"];\n", i, p->g->nodes.v[i].label);
    for (size_t i = 0; i < p->g->edges.len; i++) {
        const struct edge *e = &p->g->edges.v[i];
        if (!e->is_dropped && e->why != WHY_START)
            printf("  n%u -> n%u [label=\"%s\"%s];\n", e->from, e->to, edge_why_name(e->why),
                   e->is_hard ? "" : ", style=dashed");
    }
    printf("}\n");
}

static bool has_changes(const struct planning *p)
{
    const size_t *n = run_plan(p->run)->counts;
    return n[ACTION_CREATE] + n[ACTION_CHANGE] + n[ACTION_PRUNE] + n[ACTION_REPLACE] +
               n[ACTION_RECREATE] + n[ACTION_CHECK] >
           0;
}

int cmd_plan(struct cli *c, struct err *err)
{
    const char *root = cli_root(c, 0, err);
    struct session *s CLEANUP(session_closep) = NULL;
    struct run *run CLEANUP(run_freep) = NULL;
    struct graph *own CLEANUP(graph_freep) = NULL;
    if (!root || !cli_session(c, root, c->o.use_cluster, &s, err))
        return 0;
    struct planning p = {.c = c, .d = s->desired};
    if (c->o.use_cluster) {
        run = cli_run(c, s, true, root);
        if (!run_prepare(run, err) || !run_resolve_checks(run, err))
            return 0;
        p.run = run;
        p.g = run_graph(run);
    } else {
        struct graph_opts go = {.ignore_declared = str_eq(c->o.order, "inferred"),
                                .ignore_inferred = str_eq(c->o.order, "declared"),
                                .break_declared = c->o.break_declared};
        if (!graph_build(s->desired, NULL, &go, &own, err))
            return 0;
        p.g = own;
    }
    index_apps(&p);
    if (c->o.output == OUT_JSON)
        print_plan_json(&p);
    else if (c->o.output == OUT_DOT)
        print_dot(&p);
    else
        print_text(&p);
    planning_clear(&p);
    for (size_t i = 0; i < s->desired->apps.len; i++)
        if (s->desired->apps.v[i]->state == APP_UNKNOWN)
            return err_exit_code(ERR_PARTIAL);
    return c->o.exit_code && (!p.run || has_changes(&p)) ? 20 : 0;
}

// Objects in the order in which they could be applied.
struct ranked {
    unsigned object, depth;
};

static int cmp_ranked(const void *a, const void *b)
{
    const struct ranked *x = a;
    const struct ranked *y = b;
    return x->depth != y->depth ? (x->depth < y->depth ? -1 : 1)
                                : (x->object > y->object) - (x->object < y->object);
}

static bool is_wanted(const struct cli *c, const struct desired *d, const struct object *o)
{
    if (o->is_virtual)
        return false;
    return c->o.args.len < 2 || str_eq(d->apps.v[o->app]->name, c->o.args.v[1]);
}

static bool check_known(const struct cli *c, const struct desired *d, struct err *err)
{
    if (c->o.args.len > 1 && desired_find_app(d, c->o.args.v[1]) < 0)
        return err_set(err, ERR_NOT_FOUND, "there is no application %s", c->o.args.v[1]);
    for (size_t i = 0; i < d->apps.len; i++) {
        const struct application *a = d->apps.v[i];
        if (a->state != APP_UNKNOWN || (c->o.args.len > 1 && !str_eq(a->name, c->o.args.v[1])))
            continue;
        err_copy(err, &a->problem);
        return err_wrap(err, "application %s", a->name);
    }
    return true;
}

int cmd_render(struct cli *c, struct err *err)
{
    const char *root = cli_root(c, 0, err);
    struct session *s CLEANUP(session_closep) = NULL;
    struct graph *g CLEANUP(graph_freep) = NULL;
    struct graph_opts go = {.break_declared = c->o.break_declared};
    if (!root || !cli_session(c, root, c->o.use_cluster, &s, err) ||
        !check_known(c, s->desired, err) || !graph_build(s->desired, NULL, &go, &g, err))
        return 0;
    const struct desired *d = s->desired;
    VEC(struct ranked) order = {0};
    for (unsigned i = 0; i < d->objects.len; i++)
        if (is_wanted(c, d, &d->objects.v[i]))
            *vec_push(&order) = (struct ranked){i, g->nodes.v[i].depth};
    if (order.len)
        qsort(order.v, order.len, sizeof(*order.v), cmp_ranked);
    CLEANUP(json_freep) json_t *all = json_array();
    for (size_t i = 0; i < order.len; i++) {
        const struct object *o = &d->objects.v[order.v[i].object];
        CLEANUP(json_freep) json_t *doc = object_doc(o);
        if (c->o.output == OUT_JSON) {
            json_array_append(all, doc);
            continue;
        }
        struct buf b CLEANUP(buf_clear) = {0};
        CLEANUP(str_freep) char *where = origin_text(&o->origin);
        yaml_write(doc, &b);
        printf("---\n# %s, application %s\n%s", where, d->apps.v[o->app]->name, b.p);
    }
    if (c->o.output == OUT_JSON)
        print_json(all, stdout);
    vec_clear(&order);
    return 0;
}
