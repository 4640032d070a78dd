// SPDX-License-Identifier: Apache-2.0
#include "reconcile/run.h"

#include <stdlib.h>

#include "reconcile/run_int.h"

struct run *run_new(struct loop *l, struct kube *k, struct desired *d, const struct run_opts *o)
{
    struct run *r = mem_alloc(sizeof(*r));
    r->loop = l;
    r->kube = k;
    r->desired = d;
    r->opts = *o;
    r->lease = o->lease;
    r->old_docs = json_object();
    r->slices = json_object();
    r->stored = json_object();
    r->notes = json_object();
    r->apps = mem_alloc((d->apps.len + 1) * sizeof(*r->apps));
    r->window = (struct window){.size = 8};
    view_index(r);
    return r;
}

void run_owns(struct run *r, struct kube_request *q)
{
    kube_own(q, r);
}

void run_free(struct run *r)
{
    if (!r)
        return;
    lease_keeper_free(r->own_lease);
    observe_free(r);
    // Callbacks still out there point into this run; the loop is driven until they have come back.
    kube_cancel_owned(r->kube, r);
    for (int i = 0; r->pending_calls && i < 600; i++)
        loop_run_once(r->loop, 100);
    lent_end(r);
    loop_timer_free(r->timer);
    json_decref(r->stored);
    json_decref(r->notes);
    vec_clear(&r->left);
    vec_clear(&r->map_calls); // each call has freed its own
    // The breaker ends a run between the graph and the states of its nodes.
    for (size_t i = 0; r->nodes && i < r->graph->nodes.len; i++) {
        free(r->nodes[i].message);
        free(r->nodes[i].uid);
        json_decref(r->nodes[i].early);
        if (r->nodes[i].left_out)
            strv_clear(r->nodes[i].left_out);
        free(r->nodes[i].left_out);
        free(r->nodes[i].respected);
    }
    free(r->nodes);
    graph_free(r->graph);
    plan_free(r->plan);
    for (size_t i = 0; i < r->facts.len; i++)
        live_fact_clear(&r->facts.v[i]);
    vec_clear(&r->facts);
    for (size_t i = 0; i < r->records.len; i++)
        record_clear(&r->records.v[i]);
    vec_clear(&r->records);
    for (size_t i = 0; i < r->webhook_configs.len; i++)
        json_decref(r->webhook_configs.v[i]);
    vec_clear(&r->webhook_configs);
    for (size_t i = 0; i < r->namespaces.len; i++) {
        free(r->namespaces.v[i].name);
        json_decref(r->namespaces.v[i].labels);
    }
    vec_clear(&r->namespaces);
    for (size_t i = 0; i < r->prunings.len; i++)
        json_decref(r->prunings.v[i].doc);
    vec_clear(&r->prunings);
    json_decref(r->old_docs);
    json_decref(r->slices);
    jq_filters_free(r->jq);
    if (r->owns_health)
        health_custom_free(r->health);
    json_decref(r->left_wrong);
    vec_clear(&r->gates);
    vec_clear(&r->queue);
    vec_clear(&r->crd_queue);
    free(r->apps);
    free(r->app_first);
    free(r->app_objects);
    vec_clear(&r->delayed);
    strv_clear(&r->leftovers);
    err_clear(&r->fatal);
    free(r);
}

const struct strv *run_leftovers(const struct run *r)
{
    return &r->leftovers;
}

const struct plan *run_plan(const struct run *r)
{
    return r->plan;
}

const struct graph *run_graph(const struct run *r)
{
    return r->graph;
}

const struct desired *run_desired(const struct run *r)
{
    return r->desired;
}
