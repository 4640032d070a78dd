// SPDX-License-Identifier: Apache-2.0
//
// Knots of real repositories, by the cases of tests/gitops/cases/knots. A case has "apps" by name,
// the first one the root: each with "docs" (YAML), and if wanted "parent" (else the root), "wave",
// "set" (the ApplicationSet that made it), "project", "depends", "guessed" (kinds whose scope is
// not known). Then what must hold: "waits" and "free" map a node to those it does, or does not,
// wait for over any number of steps; "until" maps "A > B" to what that edge asks for; "says" to its
// sentence; "error" holds all the words that are told when it cannot be; "warnings" are the
// warnings, in their order, by their words. With "break" declared edges may give way.
#include "tests/cases.h"
#include "tests/gitops/graph_case.h"

static void add_doc(struct desired *d, unsigned app, json_t *doc, unsigned line, const json_t *c)
{
    struct object x = {.app = app,
                       .is_namespaced = json_dot_str(doc, "metadata.namespace") != NULL,
                       .origin = {.repo = str_dup("r"),
                                  .file = str_printf("%s.yaml", d->apps.v[app]->name),
                                  .line = line}};
    struct err err = {0};
    bool skip;
    size_t i;
    json_t *kind;
    if (!object_id_of(doc, &x.id, &x.version, &err) || !object_sync_marks(doc, &x, &skip, &err))
        fail_msg("%s", err.msg);
    json_array_foreach(json_object_get(c, "guessed"), i, kind)
    {
        x.is_scope_guessed |= str_eq(json_string_value(kind), x.id.kind);
    }
    x.is_virtual = !strcmp(x.id.group, "argoproj.io");
    kinds_add_crd(d->kinds, doc);
    object_set_body(&x, doc);
    desired_add_object_take(d, &x);
}

// The child's own document, which its parent holds and nobody sends.
static void add_stand_in(struct desired *d, const struct application *a)
{
    struct object x = {
        .id = {str_dup("argoproj.io"), str_dup("Application"), str_dup("argocd"), str_dup(a->name)},
        .version = str_dup("v1alpha1"),
        .app = (unsigned)a->parent,
        .phase = PHASE_SYNC,
        .phases = 1U << PHASE_SYNC,
        .wave = a->wave,
        .is_namespaced = true,
        .is_virtual = true};
    CLEANUP(json_freep) json_t *doc = json_object();
    object_set_body(&x, doc);
    desired_add_object_take(d, &x);
}

static void add_app(struct desired *d, const char *name, const json_t *c)
{
    struct application *a = application_new_root(name);
    const char *parent = json_dot_str(c, "parent");
    const char *text = json_dot_str(c, "docs");
    struct yaml_docs docs = {0};
    struct yaml_opts o = {.name = "case"};
    struct err err = {0};
    size_t i;
    json_t *v;
    a->parent = parent ? desired_find_app(d, parent) : d->apps.len ? 0 : -1;
    a->wave = (int)json_dot_int(c, "wave", 0);
    a->set_name = str_dup_or_null(json_dot_str(c, "set"));
    a->dest_namespace = str_dup_or_null(json_dot_str(c, "namespace"));
    if (json_dot_str(c, "project"))
        str_set(&a->project, json_dot_str(c, "project"));
    a->origin = (struct origin){.repo = str_dup("r"), .file = str_printf("apps/%s.yaml", name)};
    json_array_foreach(json_object_get(c, "depends"), i, v)
    {
        strv_push(&a->depends_on, json_string_value(v));
    }
    unsigned app = desired_add_app_take(d, a);
    if (a->parent >= 0 && !a->set_name)
        add_stand_in(d, a);
    if (text && !yaml_read(text, strlen(text), &o, &docs, &err))
        fail_msg("%s: %s", name, err.msg);
    for (i = 0; i < docs.docs.len; i++)
        add_doc(d, app, docs.docs.v[i].value, docs.docs.v[i].line, c);
    yaml_docs_clear(&docs);
}

static void mark_reached(const struct graph *g, unsigned from, char *reached)
{
    const struct node *n = &g->nodes.v[from];
    reached[from] = 1;
    for (unsigned i = 0; i < n->n_out; i++) {
        const struct edge *e = &g->edges.v[n->first_out + i];
        if (!e->is_dropped && !reached[e->to])
            mark_reached(g, e->to, reached);
    }
}

static void check_reach(const struct graph *g, const json_t *all, bool yes, const char *name)
{
    const char *from;
    json_t *list;
    json_object_foreach((json_t *)all, from, list)
    {
        CLEANUP(str_freep) char *reached = mem_alloc(g->nodes.len);
        size_t i;
        json_t *to;
        mark_reached(g, (unsigned)node(g, from), reached);
        json_array_foreach(list, i, to)
        {
            if (reached[node(g, json_string_value(to))] != yes)
                fail_msg("%s: %s %s for %s", name, from, yes ? "does not wait" : "waits",
                         json_string_value(to));
        }
    }
}

// The edge "A > B".
static const struct edge *edge_named(const struct graph *g, const char *text, const char *name)
{
    const char *sep = strstr(text, " > ");
    assert_non_null(sep);
    CLEANUP(str_freep) char *from = str_ndup(text, (size_t)(sep - text));
    const struct node *n = &g->nodes.v[node(g, from)];
    int to = node(g, sep + 3);
    for (unsigned i = 0; i < n->n_out; i++)
        if ((int)g->edges.v[n->first_out + i].to == to)
            return &g->edges.v[n->first_out + i];
    fail_msg("%s: there is no edge %s", name, text);
    return NULL;
}

static void check_edges(const struct graph *g, const json_t *c, const char *name)
{
    const char *key;
    json_t *v;
    json_object_foreach(json_object_get(c, "until"), key, v)
    {
        const char *need = edge_named(g, key, name)->need == NEED_APPLIED ? "applied" : "ready";
        if (!str_eq(need, json_string_value(v)))
            fail_msg("%s: %s until it is %s", name, key, need);
    }
    json_object_foreach(json_object_get(c, "says"), key, v)
    {
        CLEANUP(str_freep) char *text = edge_text(g, edge_named(g, key, name));
        assert_string_equal(text, json_string_value(v));
    }
}

static void check_warnings(const struct graph *g, const json_t *c, const char *name)
{
    const json_t *want = json_object_get(c, "warnings");
    for (size_t i = 0; i < g->warnings.len; i++) {
        const char *words = json_string_value(json_array_get(want, i));
        if (!words || !strstr(g->warnings.v[i], words))
            fail_msg("%s: warning \"%s\"", name, g->warnings.v[i]);
    }
    if (json_array_size(want) != g->warnings.len)
        fail_msg("%s: %zu warnings", name, g->warnings.len);
}

static void check_error(const json_t *c, const char *name, const struct err *err)
{
    size_t i;
    json_t *words;
    if (!json_object_get(c, "error"))
        fail_msg("%s: %s", name, err->msg);
    json_array_foreach(json_object_get(c, "error"), i, words)
    {
        if (!strstr(err->msg, json_string_value(words)) &&
            !(err->hint && strstr(err->hint, json_string_value(words))))
            fail_msg("%s: \"%s\" is not in: %s (%s)", name, json_string_value(words), err->msg,
                     err->hint ? err->hint : "");
    }
}

static void knot(const json_t *c, const char *name)
{
    struct desired *d CLEANUP(desired_freep) = desired_new();
    struct graph *g CLEANUP(graph_freep) = NULL;
    struct graph_opts o = {.break_declared = json_dot_bool(c, "break", false)};
    struct err err = {0};
    const char *key;
    json_t *app;
    kinds_add_builtin(d->kinds, 37);
    json_object_foreach(json_object_get(c, "apps"), key, app)
    {
        add_app(d, key, app);
    }
    if (!desired_finish(d, &err))
        fail_msg("%s: %s", name, err.msg);
    if (!graph_build(d, NULL, &o, &g, &err)) {
        check_error(c, name, &err);
        err_clear(&err);
        return;
    }
    if (json_object_get(c, "error"))
        fail_msg("%s: it can be", name);
    check_reach(g, json_object_get(c, "waits"), true, name);
    check_reach(g, json_object_get(c, "free"), false, name);
    check_edges(g, c, name);
    check_warnings(g, c, name);
}

static void knots(void **s)
{
    (void)s;
    cases_each("gitops/cases/knots", knot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(knots)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
