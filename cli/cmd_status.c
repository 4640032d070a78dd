// SPDX-License-Identifier: Apache-2.0
//
// status: every application, how healthy it is and whether it is what Git says. Nothing is
// written.
#include <stdlib.h>
#include <string.h>

#include "cli/status.h"

#define NAMED_WIDTH 40 // beside a longer command nothing stands in a column

struct shown {
    const struct cli *c;
    const struct session *s;
    const struct run *r;
    struct status st;
};

static void print_head(const struct shown *x)
{
    bool all = status_is_good(&x->st);
    CLEANUP(str_freep) char *head = status_head(&x->st);
    CLEANUP(str_freep)
    char *text = str_printf("%s%s", head, all ? "" : "   (exit" NBSP "10)");
    printf("%s ", state_symbol(x->c, all ? NODE_READY : NODE_FAILED));
    print_wrapped(stdout, text, 2, 2);
}

// Where a table has no room.
static void print_list(const struct shown *x)
{
    for (unsigned i = 0; i < x->st.n; i++) {
        const struct app_status *a = &x->st.apps[i];
        if (!a->is_shown)
            continue;
        CLEANUP(str_freep) char *sync = status_sync(a);
        CLEANUP(str_freep)
        char *count = a->is_known ? str_printf(", %zu/%zu", a->ready, a->total) : str_dup("");
        CLEANUP(str_freep) char *text = str_printf("%s: %s%s, %s", a->name, a->health, count, sync);
        printf("  %s ", state_symbol(x->c, status_looks(a)));
        print_wrapped(stdout, text, 4, 6);
    }
}

static void print_table(const struct shown *x)
{
    struct table *t CLEANUP(table_freep) = table_new(x->c, true, 2);
    table_column(t, "", 0);
    table_column(t, "APPLICATION", 0);
    table_column(t, "HEALTH", 0);
    table_column(t, "OBJECTS", TABLE_RIGHT);
    table_column(t, "SYNC", TABLE_WRAP);
    for (unsigned i = 0; i < x->st.n; i++) {
        const struct app_status *a = &x->st.apps[i];
        char count[48];
        if (!a->is_shown)
            continue;
        CLEANUP(str_freep) char *sync = status_sync(a);
        size_t row = table_row(t, -1);
        snprintf(count, sizeof(count), "%zu/%zu", a->ready, a->total);
        table_cell(t, row, 0,
                   a->is_good  ? "green"
                   : a->is_bad ? "red"
                               : "cyan",
                   a->is_good  ? "✓"
                   : a->is_bad ? "✗"
                               : "…");
        table_cell(t, row, 1, NULL, a->name);
        table_cell(t, row, 2, NULL, a->health);
        table_cell(t, row, 3, NULL, a->is_known ? count : "?");
        table_cell(t, row, 4, NULL, sync);
    }
    table_print(t);
}

static void print_leaving(const struct shown *x)
{
    CLEANUP(str_freep) char *text = status_leaving(&x->st);
    if (!text)
        return;
    printf("  %s ", state_symbol(x->c, NODE_WAITING));
    print_wrapped(stdout, text, 4, 6);
}

static void print_awaiting(const struct shown *x)
{
    for (unsigned i = 0; i < x->st.n; i++) {
        const struct app_status *a = &x->st.apps[i];
        if (!a->awaiting)
            continue;
        CLEANUP(str_freep)
        char *text =
            str_printf("%s: %zu object%s that left Git wait%s for a confirmation: regrow sync "
                       "%s --approve",
                       a->name, a->awaiting, a->awaiting == 1 ? "" : "s",
                       a->awaiting == 1 ? "s" : "", a->name);
        printf("  %s ", state_symbol(x->c, NODE_WAITING));
        print_wrapped(stdout, text, 4, 6);
    }
}

static void print_next(const struct shown *x, const char *first)
{
    bool differs = x->st.n_synced < x->st.n_shown || x->st.n_leaving;
    CLEANUP(str_freep) char *about = first ? str_printf("regrow why %s", first) : NULL;
    CLEANUP(str_freep) char *why = about ? again_words(x->s, about) : NULL;
    CLEANUP(str_freep) char *diff = again_words(x->s, "regrow diff");
    CLEANUP(str_freep) char *apply = bootstrap_words(x->s, x->r);
    const struct {
        const char *command, *what;
    } next[] = {{why, "shows what it waits for"},
                {differs ? diff : NULL, "shows what differs"},
                {differs && !hand_over_is_away(x->st.then) ? apply : NULL, "applies it"}};
    int width = 0;
    for (size_t i = 0; i < ARRAY_LEN(next); i++)
        if (next[i].command && display_width(next[i].command) > width)
            width = display_width(next[i].command);
    width = is_narrow() || width > NAMED_WIDTH ? 0 : width;
    bool any = false;
    for (size_t i = 0; i < ARRAY_LEN(next); i++) {
        if (!next[i].command)
            continue;
        int pad = width - display_width(next[i].command);
        CLEANUP(str_freep)
        char *text = str_printf("%s%*s   %s", next[i].command, pad > 0 ? pad : 0, "", next[i].what);
        printf("  %s ", any ? "     " : "next:");
        print_wrapped(stdout, text, 8, 10);
        any = true;
    }
}

// What is not good, each with its reason, and what to do.
static void print_problems(const struct shown *x)
{
    const char *first = NULL;
    for (unsigned i = 0; i < x->st.n; i++) {
        const struct app_status *a = &x->st.apps[i];
        if (!a->is_shown || a->is_good)
            continue;
        first = first || (a->is_healthy && !a->problem) ? first : a->name;
        if (!a->problem && !*a->chain)
            continue;
        CLEANUP(str_freep)
        char *text = str_printf("%s: %s%s", a->name, a->problem ? "" : "waits for ",
                                a->problem ? a->problem : a->chain);
        printf("  %s ", state_symbol(x->c, a->problem ? NODE_FAILED : NODE_WAITING));
        print_wrapped(stdout, text, 4, 6);
    }
    print_leaving(x);
    print_awaiting(x);
    print_next(x, first);
}

static void print_status_doc(const struct shown *x)
{
    CLEANUP(json_freep) json_t *out = doc_new("status", x->s);
    json_t *list = json_array();
    json_object_set_new(out, "good", json_boolean(status_is_good(&x->st)));
    json_object_set_new(out, "then", json_string(hand_over_name(x->st.then)));
    json_object_set_new(out, "applications", list);
    json_object_set_new(out, "left", left_doc(x->r));
    json_object_set_new(out, "leaving", json_integer((json_int_t)x->st.n_leaving));
    for (unsigned i = 0; i < x->st.n; i++)
        if (x->st.apps[i].is_shown)
            json_array_append_new(list, status_row(&x->st.apps[i]));
    print_doc(x->c, out);
}

static void print_status(const struct shown *x)
{
    print_head(x);
    if (!x->c->o.quiet && is_narrow())
        print_list(x);
    else if (!x->c->o.quiet)
        print_table(x);
    print_left(x->c, x->r, false);
    print_problems(x);
}

int cmd_status(struct cli *c, struct err *err)
{
    struct session *s CLEANUP(session_closep) = NULL;
    struct run *r CLEANUP(run_freep) = NULL;
    if (c->o.watch)
        return status_watch(c, err);
    if (!cli_session(c, 0, true, &s, err) || !cli_look(c, s, &r, err))
        return 0;
    struct shown x = {.c = c, .s = s, .r = r};
    status_read(&x.st, s, r);
    if (c->o.output == OUT_NDJSON) {
        CLEANUP(json_freep) json_t *told = json_object();
        status_tell(&c->events, &x.st, told);
    } else if (wants_doc(c)) {
        print_status_doc(&x);
    } else {
        print_status(&x);
    }
    int code = status_is_good(&x.st) ? 0 : err_exit_code(ERR_PARTIAL);
    status_clear(&x.st);
    return code;
}
