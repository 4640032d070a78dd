// SPDX-License-Identifier: Apache-2.0
//
// The frozen graph: of each application the edges whose left end it owns. Within it rows are
// numbers; others are called by name, so that a row more in one changes no other's graph.
#include <stdlib.h>
#include <string.h>

#include "snapshot/capture_int.h"

static const char *phase_name(enum phase p)
{
    switch (p) {
    case PHASE_PRESYNC:
        return "PreSync";
    case PHASE_SYNC:
        return "Sync";
    case PHASE_POSTSYNC:
        return "PostSync";
    case PHASE_SYNCFAIL:
        return "SyncFail";
    }
    return "Sync";
}

// Whose graph an edge from this node stands in.
static unsigned owner_of(const struct capture *c, const struct node *n)
{
    switch (n->kind) {
    case NODE_OBJECT:
        return c->d->objects.v[n->object].app;
    case NODE_APP_START:
    case NODE_APP_END:
    case NODE_BARRIER:
        return n->app;
    case NODE_WEBHOOK:
        return n->config >= 0 ? c->d->objects.v[n->config].app : 0;
    case NODE_EXTERNAL:
        break;
    }
    return 0; // the root's
}

static json_t *text_of(char *text_take)
{
    json_t *v = json_string(text_take);
    free(text_take);
    return v;
}

static json_t *place_of(const struct capture *c, unsigned at, unsigned app)
{
    const struct node *n = &c->graph->nodes.v[at];
    switch (n->kind) {
    case NODE_OBJECT: {
        const struct object *o = &c->d->objects.v[n->object];
        if (o->app == app)
            return json_integer(c->position[n->object]);
        CLEANUP(str_freep) char *key = object_key(&o->id);
        return text_of(str_printf("object %s", key));
    }
    case NODE_EXTERNAL: {
        CLEANUP(str_freep) char *key = object_key(&n->ext);
        return text_of(str_printf("external %s", key));
    }
    case NODE_WEBHOOK:
        return text_of(str_printf("webhook %s %s %s",
                                  n->is_conversion ? "CustomResourceDefinition"
                                  : n->is_mutating ? "MutatingWebhookConfiguration"
                                                   : "ValidatingWebhookConfiguration",
                                  n->config_name ? n->config_name : "",
                                  n->hook_name ? n->hook_name : ""));
    case NODE_APP_START:
    case NODE_APP_END:
    case NODE_BARRIER:
        break;
    }
    CLEANUP(str_freep) char *name = capture_app_name(c->d->apps.v[n->app]);
    if (n->kind == NODE_BARRIER)
        return text_of(str_printf("barrier %s %s %d", name, phase_name(n->phase), n->wave));
    return text_of(str_printf("%s %s", n->kind == NODE_APP_START ? "start" : "end", name));
}

static json_t *edge_of(const struct capture *c, const struct edge *e, unsigned app)
{
    json_t *v = json_array();
    json_t *detail = e->detail ? json_string(e->detail) : NULL;
    json_array_append_new(v, place_of(c, e->from, app));
    json_array_append_new(v, place_of(c, e->to, app));
    json_array_append_new(v, json_string(e->need == NEED_READY ? "ready" : "applied"));
    json_array_append_new(v, json_string(edge_why_name(e->why)));
    json_array_append_new(v, json_string(e->is_dropped    ? "dropped"
                                         : e->is_declared ? "declared"
                                         : e->is_hard     ? "hard"
                                                          : "soft"));
    if (detail)
        json_array_append_new(v, detail);
    return v;
}

// Sorts the edges by whose they are; their own order stays.
static void sort_edges(struct capture *c)
{
    size_t n = c->graph->edges.len;
    c->edges = mem_alloc((n + 1) * sizeof(*c->edges));
    c->first_edge = mem_alloc((c->d->apps.len + 2) * sizeof(*c->first_edge));
    for (size_t i = 0; i < n; i++)
        c->first_edge[owner_of(c, &c->graph->nodes.v[c->graph->edges.v[i].from]) + 1]++;
    for (size_t i = 0; i < c->d->apps.len; i++)
        c->first_edge[i + 1] += c->first_edge[i];
    size_t *at = mem_alloc((c->d->apps.len + 1) * sizeof(*at));
    memcpy(at, c->first_edge, c->d->apps.len * sizeof(*at));
    for (size_t i = 0; i < n; i++)
        c->edges[at[owner_of(c, &c->graph->nodes.v[c->graph->edges.v[i].from])]++] = (unsigned)i;
    free(at);
}

bool capture_graph(struct capture *c, unsigned app, struct blob_id *id, struct err *err)
{
    json_t *edges = json_array();
    CLEANUP(json_freep)
    json_t *v = json_pack("{s:s, s:o}", "type", "regrow graph v1", "edges", edges);
    if (c->graph && !c->edges)
        sort_edges(c);
    for (size_t i = c->graph ? c->first_edge[app] : 0; c->graph && i < c->first_edge[app + 1]; i++)
        json_array_append_new(edges, edge_of(c, &c->graph->edges.v[c->edges[i]], app));
    return capture_add(c, 'l', v, id, err);
}
