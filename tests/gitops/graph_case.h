// SPDX-License-Identifier: Apache-2.0
//
// Desired states and graphs from YAML texts, for the tests of the graph.
#ifndef TESTS_GITOPS_GRAPH_CASE_H
#define TESTS_GITOPS_GRAPH_CASE_H

#include "tests/test.h"

// A desired state of one application from a YAML text; CRDs make their kinds known.
static inline struct desired *state_of(const char *text)
{
    struct desired *d = desired_new();
    struct yaml_docs docs = {0};
    struct err err = {0};
    struct yaml_opts o = {.name = "case"};
    kinds_add_builtin(d->kinds, 37);
    desired_add_app_take(d, application_new_root("app"));
    if (!yaml_read(text, strlen(text), &o, &docs, &err))
        fail_msg("%s", err.msg);
    for (size_t i = 0; i < docs.docs.len; i++) {
        struct object x = {.origin = {.repo = str_dup("r"),
                                      .file = str_dup("f.yaml"),
                                      .line = docs.docs.v[i].line}};
        bool skip;
        json_t *doc = docs.docs.v[i].value;
        if (!object_id_of(doc, &x.id, &x.version, &err) || !object_sync_marks(doc, &x, &skip, &err))
            fail_msg("%s", err.msg);
        kinds_add_crd(d->kinds, doc);
        object_set_body(&x, doc);
        desired_add_object_take(d, &x);
    }
    yaml_docs_clear(&docs);
    if (!desired_finish(d, &err))
        fail_msg("%s", err.msg);
    return d;
}

static inline int node(const struct graph *g, const char *label)
{
    for (size_t i = 0; i < g->nodes.len; i++)
        if (!strcmp(g->nodes.v[i].label, label))
            return (int)i;
    fail_msg("no node %s", label);
    return -1;
}

static inline struct graph *graph_of(const struct desired *d, const struct graph_live *live)
{
    struct graph *g = NULL;
    struct graph_opts o = {0};
    struct err err = {0};
    if (!graph_build(d, live, &o, &g, &err))
        fail_msg("%s", err.msg);
    return g;
}

#endif
