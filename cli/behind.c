// SPDX-License-Identifier: Apache-2.0
//
// What of a healthy application, or object, is not as Git says: what is there works, and what
// should replace it may be refused. The server is asked by dry runs.
#include <string.h>

#include "cli/cli.h"

#define MAX_ASKED 50  // dry runs
#define MAX_REFUSED 3 // a webhook that does not answer takes ten seconds each time

static bool is_written(enum action a)
{
    return a == ACTION_CREATE || a == ACTION_CHANGE || a == ACTION_CHECK || a == ACTION_REPLACE ||
           a == ACTION_RECREATE || a == ACTION_TERMINATING;
}

static json_t *one(struct run *r, const struct plan_item *it)
{
    struct err err = {0};
    CLEANUP(json_freep) json_t *live = NULL;
    CLEANUP(json_freep) json_t *want = NULL;
    CLEANUP(str_freep) char *where = node_place(r, (unsigned)it->object);
    // What is to be made anew is not changed: such a dry run would say nothing.
    bool is_change = it->action == ACTION_CHANGE || it->action == ACTION_CHECK;
    bool is_refused = is_change && !run_preview(r, (unsigned)it->object, &live, &want, &err);
    CLEANUP(str_freep)
    char *conflict = is_change && !is_refused ? run_conflict(r, (unsigned)it->object) : str_dup("");
    json_t *out = json_pack(
        "{s:s, s:s, s:b, s:b, s:s, s:s*}", "node", run_graph(r)->nodes.v[it->object].label,
        "action", action_name(it->action), "refused", is_refused || *conflict, "conflict",
        *conflict != 0, "message", is_refused ? err.msg : conflict, "origin", where);
    err_clear(&err);
    return out;
}

json_t *behind(struct run *r, unsigned node)
{
    const struct plan *p = run_plan(r);
    const struct graph *g = run_graph(r);
    json_t *out = json_array();
    size_t refused = 0;
    for (size_t i = 0; i < p->items.len && json_array_size(out) < MAX_ASKED; i++) {
        const struct plan_item *it = &p->items.v[i];
        if (it->object < 0 || !is_written(it->action) || refused >= MAX_REFUSED)
            continue;
        bool wanted = g->nodes.v[node].kind == NODE_OBJECT
                          ? (unsigned)it->object == node
                          : g->nodes.v[it->object].app == g->nodes.v[node].app;
        if (!wanted)
            continue;
        json_t *o = one(r, it);
        refused += json_is_true(json_object_get(o, "refused"));
        json_array_append_new(out, o);
    }
    return out;
}

void behind_print(const struct cli *c, const json_t *list)
{
    size_t i;
    json_t *o;
    json_array_foreach(list, i, o)
    {
        bool refused = json_is_true(json_object_get(o, "refused"));
        CLEANUP(str_freep)
        char *text = str_printf("%s  %s%s%s", json_dot_str(o, "node"), json_dot_str(o, "action"),
                                refused ? ": " : "", json_dot_str(o, "message"));
        printf("  %s ", state_symbol(c, refused ? NODE_FAILED : NODE_WAITING));
        print_wrapped(stdout, text, 4, 6);
        const char *where = json_dot_str(o, "origin");
        if (!where)
            continue;
        printf("    %s", paint(c, "dim"));
        print_wrapped(stdout, where, 4, 6);
        printf("%s", paint(c, ""));
    }
}
