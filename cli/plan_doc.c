// SPDX-License-Identifier: Apache-2.0
//
// The plan for programs: JSON and YAML (docs/output.md), DOT.
#include "cli/planning.h"

static const char *state_name(enum app_state s)
{
    switch (s) {
    case APP_KNOWN:
        return "known";
    case APP_UNKNOWN:
        return "unknown";
    case APP_OTHER_CLUSTER:
        return "other-cluster";
    }
    return "";
}

static json_t *strings(const struct strv *v)
{
    json_t *list = json_array();
    for (size_t i = 0; i < v->len; i++)
        json_array_append_new(list, json_string(v->v[i]));
    return list;
}

static json_t *app_doc(const struct planning *p, unsigned i)
{
    const struct application *a = p->d->apps.v[i];
    CLEANUP(str_freep) char *where = a->doc ? origin_text(&a->origin) : NULL;
    return json_pack("{s:s, s:s*, s:s, s:s*, s:s*, s:I, s:o, s:s*}", "name", a->name, "parent",
                     a->parent < 0 ? NULL : p->d->apps.v[a->parent]->name, "state",
                     state_name(a->state), "revision", a->revision_text, "origin", where, "objects",
                     (json_int_t)p->objects[i], "waitsFor", strings(&p->waits[i]), "problem",
                     a->problem.msg);
}

static json_t *wait_doc(const struct planning *p, const struct edge *e)
{
    CLEANUP(str_freep) char *text = edge_text(p->g, e);
    return json_pack("{s:s, s:s, s:s, s:b, s:s}", "on", p->g->nodes.v[e->to].label, "why",
                     edge_why_name(e->why), "need", e->need == NEED_READY ? "ready" : "applied",
                     "hard", (int)e->is_hard, "text", text);
}

static json_t *object_doc_of(const struct planning *p, unsigned i)
{
    const struct object *o = &p->d->objects.v[i];
    const struct node *n = &p->g->nodes.v[i];
    CLEANUP(str_freep) char *where = origin_text(&o->origin);
    json_t *waits = json_array();
    for (unsigned k = 0; k < n->n_out; k++)
        if (!p->g->edges.v[n->first_out + k].is_dropped)
            json_array_append_new(waits, wait_doc(p, &p->g->edges.v[n->first_out + k]));
    return json_pack("{s:s, s:s, s:s, s:s, s:s*, s:s, s:s, s:i, s:o, s:s*}", "application",
                     p->d->apps.v[o->app]->name, "group", o->id.group, "version", o->version,
                     "kind", o->id.kind, "namespace", o->id.namespace, "name", o->id.name, "origin",
                     where, "depth", (int)n->depth, "waitsFor", waits, "action",
                     p->run ? action_name(run_plan(p->run)->items.v[i].action) : NULL);
}

static json_t *summary_doc(const struct planning *p)
{
    const size_t *n = run_plan(p->run)->counts;
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "create",
                     (json_int_t)(n[ACTION_CREATE] + n[ACTION_TERMINATING]), "change",
                     (json_int_t)(n[ACTION_CHANGE] + n[ACTION_REPLACE] + n[ACTION_RECREATE]),
                     "prune", (json_int_t)n[ACTION_PRUNE], "keep", (json_int_t)n[ACTION_KEEP],
                     "unchanged", (json_int_t)(n[ACTION_NONE] + n[ACTION_HOOK_DONE]),
                     "notComparable", (json_int_t)n[ACTION_CHECK]);
}

void print_plan_doc(const struct planning *p)
{
    CLEANUP(json_freep) json_t *out = doc_new("plan", p->s);
    json_t *apps = json_array();
    json_t *objects = json_array();
    json_object_set_new(out, "steps", json_integer(p->steps));
    if (p->run)
        json_object_set_new(out, "summary", summary_doc(p));
    if (p->run) {
        json_object_set_new(out, "left", left_doc(p->run));
        json_object_set_new(out, "removed", removed_doc(p->run));
    }
    if (p->sum)
        json_object_set_new(out, "planFile",
                            json_pack("{s:s, s:s}", "path", p->c->o.plan_out, "sum", p->sum));
    json_object_set_new(out, "longestChain", strings(&p->chain));
    json_object_set_new(out, "warnings", strings(&p->warnings));
    json_object_set_new(out, "applications", apps);
    json_object_set_new(out, "objects", objects);
    for (unsigned i = 0; i < p->d->apps.len; i++)
        if (planning_shows(p, i))
            json_array_append_new(apps, app_doc(p, i));
    for (unsigned i = 0; i < p->d->objects.len; i++)
        if (!p->d->objects.v[i].is_virtual && p->chosen[i])
            json_array_append_new(objects, object_doc_of(p, i));
    print_doc(p->c, out);
}

static void dot_text(const char *s)
{
    CLEANUP(str_freep) char *shown = clean(s);
    putchar('"');
    for (const char *q = shown; *q; q++) {
        if (*q == '"' || *q == '\\')
            putchar('\\');
        putchar(*q);
    }
    putchar('"');
}

void print_plan_dot(const struct planning *p)
{
    printf("digraph regrow {\n  rankdir=LR;\n  node [shape=box, fontsize=10];\n");
    for (size_t i = 0; i < p->g->nodes.len; i++) {
        if (!p->chosen[i])
            continue;
        printf("  n%zu [label=", i);
        dot_text(p->g->nodes.v[i].label);
        printf("];\n");
    }
    for (size_t i = 0; i < p->g->edges.len; i++) {
        const struct edge *e = &p->g->edges.v[i];
        if (!e->is_dropped && e->why != WHY_START && p->chosen[e->from])
            printf("  n%u -> n%u [label=\"%s\"%s];\n", e->from, e->to, edge_why_name(e->why),
                   e->is_hard ? "" : ", style=dashed");
    }
    printf("}\n");
}
