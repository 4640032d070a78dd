// SPDX-License-Identifier: Apache-2.0
//
// Applications that left Git and whose objects stayed: how it is told.
#include <string.h>

#include "cli/cli.h"

#define SHOWN_LEFT 5

static char *left_text(const struct left_app *x)
{
    CLEANUP(str_freep) char *since = x->since ? str_printf(" on %.10s", x->since) : str_dup("");
    return str_printf("%s left Git%s, and %zu object%s of it stay%s: %s", x->app, since, x->objects,
                      x->objects == 1 ? "" : "s", x->objects == 1 ? "s" : "", x->why);
}

static char *left_next(const char *app)
{
    return str_printf("regrow bootstrap --prune-left %s deletes them; put back into Git, "
                      "%s takes them over again",
                      app, app);
}

const struct left_app *left_named(const struct run *r, const char *app)
{
    const struct left_app *all;
    size_t n = run_left(r, &all);
    for (size_t i = 0; i < n; i++)
        if (!strcmp(all[i].app, app))
            return &all[i];
    return NULL;
}

static json_t *left_row(const struct left_app *x)
{
    return json_pack("{s:s, s:I, s:s, s:s*}", "application", x->app, "objects",
                     (json_int_t)x->objects, "reason", x->why, "since", x->since);
}

void left_print_one(const struct cli *c, const struct session *s, const struct left_app *x)
{
    CLEANUP(str_freep) char *next = x->can_go ? left_next(x->app) : str_dup("");
    if (wants_doc(c)) {
        CLEANUP(json_freep) json_t *out = doc_new("why", s);
        CLEANUP(json_freep)
        json_t *more = json_pack("{s:[], s:[], s:s, s:o}", "chain", "differs", "next", next, "left",
                                 left_row(x));
        json_object_update(out, more);
        print_doc(c, out);
        return;
    }
    CLEANUP(str_freep) char *text = left_text(x);
    printf("! ");
    print_wrapped(stdout, text, 2, 2);
    if (*next) {
        printf("  next: ");
        print_wrapped(stdout, next, 8, 8);
    }
}

void print_left(const struct cli *c, const struct run *r, bool only_new)
{
    const struct left_app *all;
    size_t n = run_left(r, &all);
    size_t found = 0;
    const char *can_go = NULL;
    for (size_t i = 0; i < n; i++) {
        if ((only_new && all[i].since) || (++found > SHOWN_LEFT && !c->o.verbose))
            continue;
        CLEANUP(str_freep) char *text = left_text(&all[i]);
        can_go = can_go || !all[i].can_go ? can_go : all[i].app;
        printf("  ! ");
        print_wrapped(stdout, text, 4, 4);
    }
    if (found > SHOWN_LEFT && !c->o.verbose)
        printf("  ! and %zu more applications; -v shows them\n", found - SHOWN_LEFT);
    if (!can_go)
        return;
    CLEANUP(str_freep) char *next = left_next(can_go);
    printf("    ");
    print_wrapped(stdout, next, 4, 4);
}

json_t *left_doc(const struct run *r)
{
    const struct left_app *all;
    size_t n = run_left(r, &all);
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, left_row(&all[i]));
    return list;
}
