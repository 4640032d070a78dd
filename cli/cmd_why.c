// SPDX-License-Identifier: Apache-2.0
//
// why: the chain from an application or object down to what holds it up. Nothing is written.
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

#define MAX_TRIES 50 // dry runs of one application
#define MAX_APPS 5   // applications along a chain
#define REFUSED_NEXT "mend what is refused, in Git or where it is refused"
#define CONFLICT_NEXT                                                                              \
    "take the field out of Git, or have it taken over: by a controller with regrow sync APP "      \
    "--force-conflicts, else by a run with --force-conflicts"

static unsigned chain_end(const struct run *r, unsigned node, struct chain_link **chain)
{
    size_t n = run_why(r, node, chain);
    return (*chain)[n - 1].node;
}

static int find_object(const struct cli *c, const struct session *s, const char *text)
{
    struct named named CLEANUP(named_clear);
    named_read(c, s, text, &named);
    for (size_t i = 0; named.kind && i < s->desired->objects.len; i++)
        if (named_is(&named, &s->desired->objects.v[i].id))
            return (int)i;
    return -1;
}

// Since when it has not been as it should: the oldest condition that does not hold, or its birth.
static int64_t unready_since(const json_t *live)
{
    int64_t best = -1;
    size_t i;
    json_t *x;
    json_array_foreach(json_dot(live, "status.conditions"), i, x)
    {
        const char *at = json_dot_str(x, "lastTransitionTime");
        int64_t ms = at ? clock_parse_rfc3339_ms(at) : -1;
        if (str_eq(json_dot_str(x, "status"), "False") && ms >= 0 && (best < 0 || ms < best))
            best = ms;
    }
    const char *born = json_dot_str(live, "metadata.creationTimestamp");
    if (best < 0 && born)
        best = clock_parse_rfc3339_ms(born);
    return best < 0 ? 0 : best / 1000;
}

// Since when the last link waits, by the object itself; 0 unknown.
static int64_t since_of(struct run *r, unsigned node)
{
    struct node_view v;
    struct err err = {0};
    CLEANUP(json_freep) json_t *live = NULL;
    run_node(r, node, &v);
    if (run_graph(r)->nodes.v[node].kind != NODE_OBJECT || v.state == NODE_READY)
        return 0;
    if (!run_live(r, node, &live, &err))
        err_clear(&err); // the chain is worth printing without it
    return live ? unready_since(live) : 0;
}

// What is wrong with the end of a chain, in a word or two.
static const char *state_words(const struct run *r, unsigned node)
{
    const struct node *n = &run_graph(r)->nodes.v[node];
    struct node_view v;
    run_node(r, node, &v);
    if (n->kind == NODE_EXTERNAL)
        return "does not exist";
    if (n->kind == NODE_WEBHOOK)
        return "does not answer yet";
    if (n->kind == NODE_APP_END && v.state == NODE_FAILED)
        return "could not be read";
    if (v.state == NODE_FAILED)
        return n->kind == NODE_OBJECT && v.error != ERR_PARTIAL ? "is refused" : "has failed";
    if (v.health == HEALTH_DEGRADED)
        return "is degraded";
    if (v.state == NODE_APPLIED)
        return "is not ready";
    return "is not there yet";
}

static bool is_bad(const struct run *r, unsigned node)
{
    struct node_view v;
    run_node(r, node, &v);
    return v.state == NODE_FAILED || v.health == HEALTH_DEGRADED;
}

static bool any_so(const json_t *differs, const char *how)
{
    size_t i;
    json_t *o;
    json_array_foreach(differs, i, o)
    {
        if (json_is_true(json_object_get(o, how)))
            return true;
    }
    return false;
}

static bool any_refused(const json_t *differs)
{
    return any_so(differs, "refused");
}

// What can be done about what is refused; "": nothing is.
static const char *refused_next(const json_t *differs)
{
    return any_so(differs, "conflict") ? CONFLICT_NEXT : any_refused(differs) ? REFUSED_NEXT : "";
}

static enum node_state verdict_of(const struct run *r, unsigned first, unsigned last,
                                  const json_t *differs)
{
    struct node_view v;
    run_node(r, first, &v);
    if (v.state == NODE_READY && json_array_size(differs))
        return any_refused(differs) ? NODE_FAILED : NODE_WAITING;
    return v.state == NODE_READY ? NODE_READY : is_bad(r, last) ? NODE_FAILED : NODE_WAITING;
}

static void print_verdict(const struct cli *c, struct run *r, const struct chain_link *chain,
                          size_t n, const json_t *differs)
{
    const struct graph *g = run_graph(r);
    struct node_view first;
    unsigned last = chain[n - 1].node;
    run_node(r, chain[0].node, &first);
    CLEANUP(str_freep) char *what = node_words(g, run_desired(r), chain[0].node);
    CLEANUP(str_freep) char *end = node_words(g, run_desired(r), last);
    struct buf b CLEANUP(buf_clear) = {0};
    if (first.state == NODE_READY)
        buf_printf(&b, "%s is healthy%s", what,
                   any_refused(differs)       ? ", but what Git says now is refused"
                   : json_array_size(differs) ? ", but not yet what Git says"
                                              : "");
    else if (n == 1)
        buf_printf(&b, "%s %s", what, state_words(r, last));
    else
        buf_printf(&b, "%s waits for %s, which %s", what, end, state_words(r, last));
    int64_t since = since_of(r, last);
    if (since) {
        CLEANUP(str_freep) char *age = age_text(clock_unix_ms() / 1000 - since);
        buf_printf(&b, ", for %s now", age);
    }
    buf_str(&b, ".");
    printf("%s ", state_symbol(c, verdict_of(r, chain[0].node, last, differs)));
    print_wrapped(stdout, b.p, 2, 2);
}

// The words of an edge in brackets: "(its issuer, spec.issuerRef)".
static char *edge_words(const struct graph *g, const struct edge *e)
{
    CLEANUP(str_freep) char *text = e ? edge_text(g, e) : NULL;
    const char *words = text ? strrchr(text, '(') : NULL;
    return str_dup(words ? words : "");
}

static void print_links(const struct cli *c, const struct run *r, const struct chain_link *chain,
                        size_t n)
{
    const struct graph *g = run_graph(r);
    struct table *t CLEANUP(table_freep) = table_new(c, false, 2);
    int row = -1;
    table_column(t, "WHAT", TABLE_TREE);
    table_column(t, "WHY", TABLE_WRAP);
    for (size_t i = 0; i < n; i++) {
        struct node_view v;
        run_node(r, chain[i].node, &v);
        CLEANUP(str_freep) char *what = node_words(g, run_desired(r), chain[i].node);
        CLEANUP(str_freep) char *words = edge_words(g, chain[i].edge);
        bool bad = i + 1 == n && is_bad(r, chain[i].node);
        CLEANUP(str_freep)
        char *text = str_printf("%s%s%s%s", words, *words && *v.message ? "  " : "",
                                bad ? "✗ " : "", v.message);
        row = (int)table_row(t, row);
        table_cell(t, (size_t)row, 0, NULL, what);
        table_cell(t, (size_t)row, 1, bad ? "red" : NULL, text);
    }
    table_print(t);
}

// What is healthy may be so as it was before a commit.
static json_t *differences_of(struct run *r, unsigned node)
{
    struct node_view v;
    run_node(r, node, &v);
    return v.state == NODE_READY ? behind(r, node) : json_array();
}

static void print_chain(const struct cli *c, const struct session *s, struct run *r, unsigned node)
{
    struct chain_link *chain = NULL;
    size_t n = run_why(r, node, &chain);
    unsigned last = chain[n - 1].node;
    struct node_view v;
    run_node(r, last, &v);
    CLEANUP(json_freep) json_t *differs = differences_of(r, node);
    CLEANUP(str_freep) char *apply = bootstrap_words(s, r);
    print_verdict(c, r, chain, n, differs);
    if (n > 1 || *v.message)
        print_links(c, r, chain, n);
    if (v.state != NODE_READY) {
        CLEANUP(str_freep) char *where = node_place(r, last);
        CLEANUP(str_freep) char *what = advice(r, last);
        CLEANUP(str_freep) char *next = and_again(what, apply);
        CLEANUP(str_freep) char *written = where ? str_printf("written in %s", where) : NULL;
        if (written) {
            printf("  ");
            print_wrapped(stdout, written, 2, 4);
        }
        printf("  next: ");
        print_wrapped(stdout, next, 8, 8);
    } else if (json_array_size(differs)) {
        behind_print(c, differs);
        CLEANUP(str_freep)
        char *next = and_again(refused_next(differs), apply);
        printf("  next: ");
        print_wrapped(stdout, next, 8, 8);
    }
    free(chain);
}

static void print_chain_doc(const struct cli *c, const struct session *s, struct run *r,
                            unsigned node)
{
    struct chain_link *chain = NULL;
    size_t n = run_why(r, node, &chain);
    CLEANUP(json_freep) json_t *out = doc_new("why", s);
    json_t *list = json_array();
    int64_t at = since_of(r, chain[n - 1].node);
    CLEANUP(str_freep) char *what = advice(r, chain[n - 1].node);
    CLEANUP(str_freep) char *since = at ? clock_rfc3339(at) : NULL;
    json_object_set_new(out, "chain", list);
    CLEANUP(json_freep) json_t *differs = differences_of(r, node);
    json_object_set_new(out, "next",
                        json_string(any_refused(differs) ? refused_next(differs) : what));
    json_object_set(out, "differs", differs);
    for (size_t i = 0; i < n; i++) {
        struct node_view v;
        run_node(r, chain[i].node, &v);
        CLEANUP(str_freep) char *where = node_place(r, chain[i].node);
        json_array_append_new(
            list, json_pack("{s:s, s:s*, s:b, s:b, s:s, s:s, s:s*, s:s*}", "node",
                            run_graph(r)->nodes.v[chain[i].node].label, "why",
                            chain[i].edge ? edge_why_name(chain[i].edge->why) : NULL, "ready",
                            v.state == NODE_READY, "failed", v.state == NODE_FAILED, "health",
                            health_name(v.health), "message", v.message, "since",
                            i + 1 == n ? since : NULL, "origin", where));
    }
    print_doc(c, out);
    free(chain);
}

// Which objects the server would refuse is remembered nowhere: it is asked again, application by
// application along the chain.
static void try_along(struct run *r, unsigned node)
{
    const struct graph *g = run_graph(r);
    unsigned app = g->nodes.v[node].app;
    for (int i = 0; i < MAX_APPS; i++) {
        struct chain_link *chain = NULL;
        run_try(r, app, MAX_TRIES);
        unsigned last = chain_end(r, node, &chain);
        free(chain);
        if (g->nodes.v[last].kind != NODE_OBJECT || g->nodes.v[last].app == app)
            return;
        app = g->nodes.v[last].app;
    }
}

// Of what goes to a registered cluster nothing is on this one, and no bootstrap of it brings it
// there.
static void print_elsewhere(const struct cli *c, struct run *r, unsigned app)
{
    const struct application *a = run_desired(r)->apps.v[app];
    CLEANUP(str_freep) char *where = node_place(r, run_graph(r)->app_end[app]);
    printf("%s %s goes to another cluster: %s.\n", state_symbol(c, NODE_WAITING), a->name,
           a->dest_server ? a->dest_server : a->dest_name);
    if (where) {
        CLEANUP(str_freep) char *written = str_printf("written in %s", where);
        printf("  ");
        print_wrapped(stdout, written, 2, 4);
    }
    printf("  next: regrow cluster list   shows whether it is registered, and who keeps it\n");
}

int cmd_why(struct cli *c, struct err *err)
{
    const char *what = c->o.args.len ? c->o.args.v[0] : NULL;
    struct session *s CLEANUP(session_closep) = NULL;
    struct run *r CLEANUP(run_freep) = NULL;
    if (str_is_empty(what)) {
        err_set(err, ERR_USAGE, "an application, or KIND/[NAMESPACE/]NAME, is missing");
        err_hint(err, "regrow status lists applications.");
        return 0;
    }
    if (!cli_session(c, 1, true, &s, err) || !cli_look(c, s, &r, err))
        return 0;
    int app = desired_find_app(s->desired, what);
    int object = app < 0 ? find_object(c, s, what) : -1;
    if (app < 0 && object < 0 && removed_why(c, s, r, what))
        return 0;
    if (app < 0 && object < 0) {
        err_set(err, ERR_NOT_FOUND, "%s is neither an application nor an object of %s", what,
                s->desired->root_name);
        err_hint(err, "regrow status lists applications; objects are named as in "
                      "deploy/checkout/api.");
        return 0;
    }
    if (app >= 0 && s->desired->apps.v[app]->state == APP_OTHER_CLUSTER && !wants_doc(c)) {
        print_elsewhere(c, r, (unsigned)app);
        return 0;
    }
    unsigned node = app >= 0 ? run_graph(r)->app_end[app] : (unsigned)object;
    try_along(r, node);
    if (wants_doc(c))
        print_chain_doc(c, s, r, node);
    else
        print_chain(c, s, r, node);
    return 0;
}
