// SPDX-License-Identifier: Apache-2.0
//
// status: every application, how healthy it is and whether it is what Git says. Nothing is
// written.
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

struct app_status {
    size_t missing, differing, not_comparable, pruning, awaiting;
    bool is_shown; // the root, when it only holds applications, is not
    bool is_good, is_synced;
    const char *health, *sync;
    struct app_view view;
};

struct status {
    struct cli *c;
    const struct session *s;
    const struct run *r;
    struct app_status *apps;
    size_t n, n_shown, n_good, n_healthy, n_synced;
    size_t n_leaving;  // objects of applications that left Git, which are to go
    char *one_leaving; // of them; owned, NULL when there are none
};

// What Prune=confirm and Delete=confirm hold; of one that left, of what is to go.
static void count_awaiting(struct status *st, size_t item)
{
    const char *name;
    const struct object_id *id = run_item_id(st->r, item, &name);
    int app = desired_find_app(run_desired(st->r), name);
    if (app >= 0)
        st->apps[app].awaiting++;
    else if (!st->n_leaving++)
        st->one_leaving = object_name(id);
}

// Ours, and no longer in Git: of an application that is there, or of one that left.
static void count_prune(struct status *st, size_t item)
{
    const char *name;
    const struct object_id *id = run_item_id(st->r, item, &name);
    int app = desired_find_app(run_desired(st->r), name);
    if (app >= 0)
        st->apps[app].pruning++;
    else if (!st->n_leaving++)
        st->one_leaving = object_name(id);
}

static void count_items(struct status *st)
{
    const struct plan *p = run_plan(st->r);
    for (size_t i = 0; i < p->items.len; i++) {
        const struct plan_item *it = &p->items.v[i];
        if (it->object < 0) {
            if (it->action == ACTION_PRUNE)
                count_prune(st, i);
            else if (it->awaits)
                count_awaiting(st, i);
            continue;
        }
        struct app_status *a = &st->apps[run_desired(st->r)->objects.v[it->object].app];
        switch (it->action) {
        case ACTION_CREATE:
            a->missing++;
            break;
        case ACTION_CHECK:
            a->not_comparable++;
            break;
        case ACTION_CHANGE:
        case ACTION_REPLACE:
        case ACTION_RECREATE:
        case ACTION_TERMINATING:
            a->differing++;
            break;
        case ACTION_NONE:
        case ACTION_HOOK_DONE:
        case ACTION_VIRTUAL:
        case ACTION_PRUNE:
        case ACTION_KEEP:
        case ACTION_LEFT:
            break;
        }
    }
}

static void judge(struct status *st, unsigned i)
{
    const struct application *a = run_desired(st->r)->apps.v[i];
    struct app_status *x = &st->apps[i];
    run_app(st->r, i, &x->view);
    bool healthy = x->view.health == HEALTH_HEALTHY || x->view.health == HEALTH_SUSPENDED;
    bool same = !x->missing && !x->differing && !x->not_comparable && !x->pruning && !x->awaiting;
    x->is_shown = (i > 0 || x->view.total > 0) && a->state != APP_OTHER_CLUSTER;
    x->is_synced = same && a->state == APP_KNOWN;
    x->is_good = healthy && x->is_synced;
    x->health = a->state == APP_KNOWN ? health_name(x->view.health) : "Unknown";
    x->sync = a->state != APP_KNOWN ? "Unknown" : same ? "Synced" : "OutOfSync";
    st->n_shown += x->is_shown;
    st->n_good += x->is_shown && x->is_good;
    st->n_healthy += x->is_shown && healthy && a->state == APP_KNOWN;
    st->n_synced += x->is_shown && x->is_synced;
}

static char *sync_text(const struct app_status *a)
{
    struct buf b = {0};
    buf_str(&b, a->sync);
    const char *sep = ": ";
    const struct {
        size_t n;
        const char *what;
    } parts[] = {{a->missing, "missing"},
                 {a->differing, "differ"},
                 {a->pruning, "to prune"},
                 {a->awaiting, "to approve of"},
                 {a->not_comparable, "not comparable"}};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (!parts[i].n)
            continue;
        buf_printf(&b, "%s%zu %s", sep, parts[i].n, parts[i].what);
        sep = ", ";
    }
    return buf_take(&b);
}

static bool is_all_good(const struct status *st)
{
    return st->n_good == st->n_shown && !st->n_leaving;
}

static void print_head(const struct status *st)
{
    struct buf b CLEANUP(buf_clear) = {0};
    const struct desired *d = st->s->desired;
    bool all = is_all_good(st);
    if (all)
        buf_printf(&b, "%zu application%s healthy and in sync with ", st->n_shown,
                   st->n_shown == 1 ? "" : "s");
    else
        buf_printf(&b, "%zu of %zu applications healthy, %zu in sync with ", st->n_healthy,
                   st->n_shown, st->n_synced);
    buf_str(&b, d->root_name);
    if (d->root_revision)
        buf_printf(&b, " @ %s", d->root_revision);
    if (d->root_ref)
        buf_printf(&b, " (%s)", d->root_ref);
    if (hand_over_is_away(st->s->then))
        buf_printf(&b, ", handed over to %s", hand_over_title(st->s->then));
    if (!all)
        buf_str(&b, "   (exit" NBSP "10)");
    printf("%s ", state_symbol(st->c, all ? NODE_READY : NODE_FAILED));
    print_wrapped(stdout, b.p, 2, 2);
}

static const char *symbol_of(const struct status *st, unsigned i)
{
    const struct app_status *a = &st->apps[i];
    bool bad = a->view.health == HEALTH_DEGRADED || st->s->desired->apps.v[i]->state == APP_UNKNOWN;
    return state_symbol(st->c, a->is_good ? NODE_READY : bad ? NODE_FAILED : NODE_APPLIED);
}

// Where a table has no room.
static void print_list(const struct status *st)
{
    for (unsigned i = 0; i < st->n; i++) {
        const struct app_status *a = &st->apps[i];
        const struct application *app = st->s->desired->apps.v[i];
        if (!a->is_shown)
            continue;
        CLEANUP(str_freep) char *sync = sync_text(a);
        CLEANUP(str_freep)
        char *count = app->state == APP_UNKNOWN
                          ? str_dup("")
                          : str_printf(", %zu/%zu", a->view.ready, a->view.total);
        CLEANUP(str_freep)
        char *text = str_printf("%s: %s%s, %s", app->name, a->health, count, sync);
        printf("  %s ", symbol_of(st, i));
        print_wrapped(stdout, text, 4, 6);
    }
}

static void print_table(const struct status *st)
{
    struct table *t CLEANUP(table_freep) = table_new(st->c, true, 2);
    const struct desired *d = st->s->desired;
    table_column(t, "", 0);
    table_column(t, "APPLICATION", 0);
    table_column(t, "HEALTH", 0);
    table_column(t, "OBJECTS", TABLE_RIGHT);
    table_column(t, "SYNC", TABLE_WRAP);
    for (unsigned i = 0; i < st->n; i++) {
        const struct app_status *a = &st->apps[i];
        char count[48];
        if (!a->is_shown)
            continue;
        CLEANUP(str_freep) char *sync = sync_text(a);
        size_t row = table_row(t, -1);
        bool bad = a->view.health == HEALTH_DEGRADED || d->apps.v[i]->state == APP_UNKNOWN;
        snprintf(count, sizeof(count), "%zu/%zu", a->view.ready, a->view.total);
        table_cell(t, row, 0,
                   a->is_good ? "green"
                   : bad      ? "red"
                              : "cyan",
                   a->is_good ? "✓"
                   : bad      ? "✗"
                              : "…");
        table_cell(t, row, 1, NULL, d->apps.v[i]->name);
        table_cell(t, row, 2, NULL, a->health);
        table_cell(t, row, 3, NULL, d->apps.v[i]->state == APP_UNKNOWN ? "?" : count);
        table_cell(t, row, 4, NULL, sync);
    }
    table_print(t);
}

static void print_leaving(const struct status *st)
{
    if (!st->n_leaving)
        return;
    CLEANUP(str_freep)
    char *more = st->n_leaving > 1 ? str_printf(", and %zu more", st->n_leaving - 1) : str_dup("");
    CLEANUP(str_freep)
    char *text = str_printf("of applications that left Git, still there and to be deleted: %s%s",
                            st->one_leaving, more);
    printf("  %s ", state_symbol(st->c, NODE_WAITING));
    print_wrapped(stdout, text, 4, 6);
}

static void print_awaiting(const struct status *st)
{
    for (unsigned i = 0; i < st->n; i++) {
        if (!st->apps[i].awaiting)
            continue;
        CLEANUP(str_freep)
        char *text = str_printf(
            "%s: %zu objects that left Git wait for a confirmation: regrow sync "
            "%s --approve",
            st->s->desired->apps.v[i]->name, st->apps[i].awaiting, st->s->desired->apps.v[i]->name);
        printf("  %s ", state_symbol(st->c, NODE_WAITING));
        print_wrapped(stdout, text, 4, 6);
    }
}

// What is not good, each with its reason, and what to do.
static void print_problems(const struct status *st)
{
    const struct desired *d = st->s->desired;
    const char *first = NULL;
    for (unsigned i = 0; i < st->n; i++) {
        const struct app_status *a = &st->apps[i];
        const char *problem = d->apps.v[i]->problem.msg;
        if (!a->is_shown || a->is_good)
            continue;
        bool healthy = a->view.health == HEALTH_HEALTHY || a->view.health == HEALTH_SUSPENDED;
        first = first || (healthy && !problem) ? first : d->apps.v[i]->name;
        CLEANUP(str_freep) char *chain = chain_words(st->r, i);
        if (!problem && !*chain)
            continue;
        CLEANUP(str_freep)
        char *text = str_printf("%s: %s%s", d->apps.v[i]->name, problem ? "" : "waits for ",
                                problem ? problem : chain);
        printf("  %s ", state_symbol(st->c, problem ? NODE_FAILED : NODE_WAITING));
        print_wrapped(stdout, text, 4, 6);
    }
    print_leaving(st);
    print_awaiting(st);
    bool differs = st->n_synced < st->n_shown || st->n_leaving;
    CLEANUP(str_freep) char *why = first ? str_printf("regrow why %s", first) : NULL;
    const struct {
        const char *command, *what;
    } next[] = {
        {why, "shows what it waits for"},
        {differs ? "regrow diff" : NULL, "shows what differs"},
        {differs && !hand_over_is_away(st->s->then) ? "regrow bootstrap" : NULL, "applies it"}};
    int width = is_narrow() ? 0 : why ? display_width(why) : 16; // of the longest command
    bool any = false;
    for (size_t i = 0; i < ARRAY_LEN(next); i++) {
        if (!next[i].command)
            continue;
        CLEANUP(str_freep)
        char *text = str_printf("%-*s   %s", width, next[i].command, next[i].what);
        printf("  %s ", any ? "     " : "next:");
        print_wrapped(stdout, text, 8, 10);
        any = true;
    }
}

static void print_status_doc(const struct status *st)
{
    CLEANUP(json_freep) json_t *out = doc_new("status", st->s);
    json_t *list = json_array();
    json_object_set_new(out, "good", json_boolean(is_all_good(st)));
    json_object_set_new(out, "then", json_string(hand_over_name(st->s->then)));
    json_object_set_new(out, "applications", list);
    json_object_set_new(out, "left", left_doc(st->r));
    json_object_set_new(out, "leaving", json_integer((json_int_t)st->n_leaving));
    for (unsigned i = 0; i < st->n; i++) {
        const struct app_status *a = &st->apps[i];
        const struct application *app = st->s->desired->apps.v[i];
        if (!a->is_shown)
            continue;
        json_array_append_new(
            list,
            json_pack("{s:s, s:b, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s*, s:s*, s:s}",
                      "name", app->name, "good", (int)a->is_good, "health", a->health, "sync",
                      a->sync, "objects", (json_int_t)a->view.total, "ready",
                      (json_int_t)a->view.ready, "missing", (json_int_t)a->missing, "differing",
                      (json_int_t)a->differing, "notComparable", (json_int_t)a->not_comparable,
                      "pruning", (json_int_t)a->pruning, "awaiting", (json_int_t)a->awaiting,
                      "revision", app->revision_text, "problem", app->problem.msg, "waitsFor",
                      a->view.waits_for));
    }
    print_doc(st->c, out);
}

int cmd_status(struct cli *c, struct err *err)
{
    struct session *s CLEANUP(session_closep) = NULL;
    struct run *r CLEANUP(run_freep) = NULL;
    if (!cli_session(c, 0, true, &s, err) || !cli_run(c, s, true, &r, err) ||
        !run_resolve_checks(r, err))
        return 0;
    struct status st = {.c = c, .s = s, .r = r, .n = s->desired->apps.len};
    st.apps = mem_alloc((st.n + 1) * sizeof(*st.apps));
    count_items(&st);
    for (unsigned i = 0; i < st.n; i++)
        judge(&st, i);
    if (wants_doc(c)) {
        print_status_doc(&st);
    } else {
        print_head(&st);
        if (!c->o.quiet && is_narrow())
            print_list(&st);
        else if (!c->o.quiet)
            print_table(&st);
        print_left(c, r, false);
        print_problems(&st);
    }
    for (unsigned i = 0; i < st.n; i++)
        app_view_clear(&st.apps[i].view);
    free(st.apps);
    str_freep(&st.one_leaving);
    return is_all_good(&st) ? 0 : err_exit_code(ERR_PARTIAL);
}
