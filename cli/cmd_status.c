// SPDX-License-Identifier: Apache-2.0
//
// status and why: the cluster as it is, seen through the desired state. Nothing is written.
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/cli.h"

static bool open_read_only(struct cli *c, const char *root, struct session **s, struct run **run,
                           struct err *err)
{
    if (!cli_session(c, root, true, s, err))
        return false;
    *run = cli_run(c, *s, true, root);
    return run_prepare(*run, err) && run_resolve_checks(*run, err);
}

struct sync {
    size_t create, change, prune, same, unknown;
};

static struct sync sync_of(const struct run *r, unsigned app)
{
    const struct plan *p = run_plan(r);
    struct sync s = {0};
    for (size_t i = 0; i < p->items.len; i++) {
        const struct plan_item *it = &p->items.v[i];
        if (it->object < 0 || run_desired(r)->objects.v[it->object].app != app)
            continue;
        switch (it->action) {
        case ACTION_NONE:
        case ACTION_HOOK_DONE:
            s.same++;
            break;
        case ACTION_CREATE:
            s.create++;
            break;
        case ACTION_CHECK:
            s.unknown++;
            break;
        case ACTION_VIRTUAL:
            break;
        default:
            s.change++;
        }
    }
    return s;
}

static char *sync_text(const struct application *a, const struct sync *s)
{
    if (a->state == APP_UNKNOWN)
        return str_dup("Unknown");
    if (!s->create && !s->change && !s->unknown)
        return str_dup("Synced");
    struct buf b = {0};
    buf_str(&b, "OutOfSync:");
    if (s->create)
        buf_printf(&b, " %zu missing", s->create);
    if (s->change)
        buf_printf(&b, " %zu differ", s->change);
    if (s->unknown)
        buf_printf(&b, " %zu not comparable", s->unknown);
    return buf_take(&b);
}

static int print_status(struct cli *c, const struct run *r)
{
    const struct desired *d = run_desired(r);
    CLEANUP(json_freep) json_t *out = json_pack("{s:i, s:[]}", "version", 1, "applications");
    bool all = true;
    if (c->o.output != OUT_JSON)
        printf("  %-32s %-12s %-10s %s\n", "APPLICATION", "HEALTH", "OBJECTS", "SYNC");
    for (unsigned i = 0; i < d->apps.len; i++) {
        const struct application *a = d->apps.v[i];
        struct app_view v;
        struct sync s = sync_of(r, i);
        run_app(r, i, &v);
        CLEANUP(str_freep) char *sync = sync_text(a, &s);
        bool shown = i > 0 || v.total > 0;
        bool good = (v.health == HEALTH_HEALTHY || v.health == HEALTH_SUSPENDED) &&
                    a->state == APP_KNOWN && !s.create && !s.change;
        const char *health = a->state == APP_UNKNOWN ? "Unknown" : health_name(v.health);
        if (a->state == APP_OTHER_CLUSTER)
            health = "-";
        else if (shown)
            all &= good;
        if (shown && c->o.output == OUT_JSON)
            json_array_append_new(
                json_object_get(out, "applications"),
                json_pack("{s:s, s:s, s:s, s:I, s:I, s:s*, s:s, s:s}", "name", a->name, "health",
                          health, "sync", sync, "objects", (json_int_t)v.total, "ready",
                          (json_int_t)v.ready, "revision", a->revision_text, "problem",
                          a->problem.msg ? a->problem.msg : "", "waitsFor", v.waits_for));
        else if (shown)
            printf("%s %-32s %-12s %-10zu %s%s%s\n",
                   good ? state_symbol(c, NODE_READY) : state_symbol(c, NODE_APPLIED), a->name,
                   health, v.total, sync, a->problem.msg ? "  " : "",
                   a->problem.msg ? a->problem.msg : "");
        app_view_clear(&v);
    }
    if (c->o.output == OUT_JSON)
        print_json(out, stdout);
    return all ? 0 : err_exit_code(ERR_PARTIAL);
}

int cmd_status(struct cli *c, struct err *err)
{
    const char *root = cli_root(c, 0, err);
    struct session *s CLEANUP(session_closep) = NULL;
    struct run *r CLEANUP(run_freep) = NULL;
    if (!root || !open_read_only(c, root, &s, &r, err))
        return 0;
    return print_status(c, r);
}

// "deploy/checkout/api", "deploy/api" (with -n or the context's namespace), "clusterissuer/le".
static int find_object(const struct cli *c, const struct session *s, const char *text)
{
    struct strv p = {0};
    int found = -1;
    strv_split(&p, text, '/');
    const struct kind_info *k =
        p.len >= 2 && p.len <= 3 ? kinds_find_name(s->desired->kinds, p.v[0]) : NULL;
    const char *ns = p.len == 3 ? p.v[1] : c->o.namespace;
    for (size_t i = 0; k && i < s->desired->objects.len; i++) {
        const struct object_id *id = &s->desired->objects.v[i].id;
        if (strcmp(id->kind, k->kind) != 0 || strcmp(id->group, k->group) != 0 ||
            strcmp(id->name, p.v[p.len - 1]) != 0)
            continue;
        if (ns && id->namespace && strcmp(id->namespace, ns) != 0)
            continue;
        found = (int)i;
        break;
    }
    strv_clear(&p);
    return found;
}

static const char *advice(const struct run *r, unsigned node, const struct node_view *v)
{
    const struct node *n = &run_graph(r)->nodes.v[node];
    if (n->kind == NODE_EXTERNAL)
        return "nothing in the repository makes it: install it, or take out what needs it";
    if (n->kind == NODE_WEBHOOK)
        return "look at the pods behind the webhook's Service, and at its caBundle";
    if (n->kind == NODE_APP_END)
        return "mend its source, then run bootstrap again";
    if (v->state == NODE_FAILED)
        return "mend it in Git, then run bootstrap again";
    if (v->health == HEALTH_DEGRADED)
        return "see what the object says about itself, and mend it";
    if (v->state == NODE_READY)
        return "nothing: it is healthy";
    return "run bootstrap: it goes on from here";
}

static void print_chain(const struct cli *c, const struct run *r, unsigned node)
{
    struct chain_link *chain = NULL;
    const struct graph *g = run_graph(r);
    size_t n = run_why(r, node, &chain);
    unsigned last = chain[n - 1].node;
    struct node_view v;
    run_node(r, node, &v);
    if (n == 1 && v.state == NODE_READY)
        printf("%s waits for nothing: it is healthy.\n", g->nodes.v[node].label);
    else
        printf("%s %s.\n", g->nodes.v[node].label,
               v.state == NODE_FAILED ? "has failed" : "is not ready");
    for (size_t i = 0; i < n; i++) {
        run_node(r, chain[i].node, &v);
        CLEANUP(str_freep) char *why = chain[i].edge ? edge_text(g, chain[i].edge) : NULL;
        const char *words = why ? strrchr(why, '(') : NULL;
        printf("  %*s%s%s %s%s%s %s%s\n", (int)(i ? (i - 1) * 3 : 0), "", i ? "└─ " : "",
               g->nodes.v[chain[i].node].label, paint(c, "dim"), words ? words : "", paint(c, ""),
               *v.message ? (i + 1 == n ? "✗ " : "") : "", v.message);
    }
    if (last < run_desired(r)->objects.len) {
        CLEANUP(str_freep) char *where = origin_text(&run_desired(r)->objects.v[last].origin);
        printf("  written in %s\n", where);
    }
    run_node(r, last, &v);
    printf("  next: %s.\n", advice(r, last, &v));
    free(chain);
}

static void print_chain_json(const struct run *r, unsigned node)
{
    struct chain_link *chain = NULL;
    size_t n = run_why(r, node, &chain);
    CLEANUP(json_freep) json_t *out = json_pack("{s:i, s:[]}", "version", 1, "chain");
    for (size_t i = 0; i < n; i++) {
        struct node_view v;
        run_node(r, chain[i].node, &v);
        json_array_append_new(json_object_get(out, "chain"),
                              json_pack("{s:s, s:s*, s:s, s:s, s:b}", "node",
                                        run_graph(r)->nodes.v[chain[i].node].label, "why",
                                        chain[i].edge ? edge_why_name(chain[i].edge->why) : NULL,
                                        "health", health_name(v.health), "message", v.message,
                                        "ready", v.state == NODE_READY));
    }
    print_json(out, stdout);
    free(chain);
}

int cmd_why(struct cli *c, struct err *err)
{
    const char *what = c->o.args.len ? c->o.args.v[0] : NULL;
    const char *root = what ? cli_root(c, 1, err) : NULL;
    struct session *s CLEANUP(session_closep) = NULL;
    struct run *r CLEANUP(run_freep) = NULL;
    if (!what)
        err_set(err, ERR_USAGE, "APP or KIND/[NAMESPACE/]NAME is missing");
    if (!root || !open_read_only(c, root, &s, &r, err))
        return 0;
    int app = desired_find_app(s->desired, what);
    int object = app < 0 ? find_object(c, s, what) : -1;
    if (app < 0 && object < 0) {
        err_set(err, ERR_NOT_FOUND, "%s is neither an application nor an object of this root",
                what);
        return 0;
    }
    unsigned node = app >= 0 ? run_graph(r)->app_end[app] : (unsigned)object;
    if (c->o.output == OUT_JSON)
        print_chain_json(r, node);
    else
        print_chain(c, r, node);
    return 0;
}
