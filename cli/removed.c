// SPDX-License-Identifier: Apache-2.0
//
// Objects that the inventory has and Git no longer: whose they were, and what the next bootstrap
// does with them.
#include <string.h>

#include "cli/cli.h"

#define SHOWN_REMOVED 10

static const struct plan_item *removed_item(const struct run *r, size_t i)
{
    const struct plan_item *it = &run_plan(r)->items.v[i];
    return it->object < 0 && !it->stays ? it : NULL;
}

static bool is_kept(const struct plan_item *it)
{
    return it->action == ACTION_KEEP || it->action == ACTION_LEFT;
}

// What a bootstrap does with it. Owned.
static char *fate(const struct run *r, const struct plan_item *it)
{
    if (it->action == ACTION_PRUNE)
        return str_dup(bootstrap_refuses(r)
                           ? "would be deleted, but bootstrap refuses to delete so much"
                           : "is deleted by the next bootstrap");
    if (is_kept(it))
        return str_printf("stays: %s", it->reason ? it->reason : "");
    return str_dup(it->live < 0 ? "is not in the cluster any more either"
                                : "stays, and is remembered no longer");
}

static json_t *row_of(const struct run *r, size_t i)
{
    const struct plan_item *it = &run_plan(r)->items.v[i];
    const char *app;
    const struct object_id *id = run_item_id(r, i, &app);
    return json_pack("{s:s, s:s, s:s, s:s*, s:s, s:s, s:s*}", "application", app, "group",
                     id->group, "kind", id->kind, "namespace", id->namespace, "name", id->name,
                     "action", it->action == ACTION_NONE ? "forget" : action_name(it->action),
                     "reason", it->reason);
}

// ---- plan ----
json_t *removed_doc(const struct run *r)
{
    json_t *list = json_array();
    for (size_t i = 0; i < run_plan(r)->items.len; i++) {
        const struct plan_item *it = removed_item(r, i);
        if (it && it->action != ACTION_NONE)
            json_array_append_new(list, row_of(r, i));
    }
    return list;
}

void print_removed(const struct cli *c, const struct run *r)
{
    struct buf b CLEANUP(buf_clear) = {0};
    size_t n = 0;
    for (size_t i = 0; i < run_plan(r)->items.len; i++) {
        const struct plan_item *it = removed_item(r, i);
        const char *app;
        if (!it || it->action != ACTION_PRUNE || (n++ >= SHOWN_REMOVED && !c->o.verbose))
            continue;
        CLEANUP(str_freep) char *name = object_name(run_item_id(r, i, &app));
        buf_printf(&b, "%s%s", b.len ? ", " : "to prune: ", name);
    }
    if (n > SHOWN_REMOVED && !c->o.verbose)
        buf_printf(&b, " and %zu more; -v names all", n - SHOWN_REMOVED);
    if (!b.len)
        return;
    printf("  ");
    print_wrapped(stdout, b.p, 2, 4);
}

// ---- why ----
static char *next_words(const struct session *s, const struct run *r, const struct plan_item *it,
                        const char *app, const char *what)
{
    CLEANUP(str_freep) char *apply = bootstrap_words(s, r);
    if (it->action == ACTION_PRUNE)
        return str_printf("%s deletes %s; put back into Git, %s", apply, what,
                          strcmp(what, "it") ? "they stay" : "it stays");
    if (it->awaits)
        return str_printf("regrow sync %s --approve", it->awaits);
    if (it->action == ACTION_LEFT && !strcmp(it->row, "P11"))
        return str_printf("regrow bootstrap --prune-left %s deletes what it left", app);
    return str_dup("");
}

static void print_next(const char *next)
{
    if (!*next)
        return;
    printf("  next: ");
    print_wrapped(stdout, next, 8, 8);
}

static void print_why_doc(const struct cli *c, const struct session *s, const char *next,
                          json_t *rows)
{
    CLEANUP(json_freep) json_t *out = doc_new("why", s);
    CLEANUP(json_freep)
    json_t *more =
        json_pack("{s:[], s:[], s:s, s:O}", "chain", "differs", "next", next, "removed", rows);
    json_object_update(out, more);
    print_doc(c, out);
}

static void print_object(const struct cli *c, const struct session *s, const struct run *r,
                         size_t i)
{
    const struct plan_item *it = &run_plan(r)->items.v[i];
    const char *app;
    const struct object_id *id = run_item_id(r, i, &app);
    int at = desired_tracked_app(s->desired, app);
    CLEANUP(str_freep) char *name = object_name(id);
    CLEANUP(str_freep) char *what = fate(r, it);
    CLEANUP(str_freep) char *next = next_words(s, r, it, app, "it");
    CLEANUP(json_freep) json_t *rows = json_array();
    json_array_append_new(rows, row_of(r, i));
    if (wants_doc(c)) {
        print_why_doc(c, s, next, rows);
        return;
    }
    CLEANUP(str_freep)
    char *text = str_printf("%s is no longer in Git. It was of %s%s, is in the inventory, and %s.",
                            name, at < 0 ? app : s->desired->apps.v[at]->name,
                            at < 0 ? ", which is not either" : "", what);
    printf("! ");
    print_wrapped(stdout, text, 2, 2);
    print_next(next);
}

static void print_app(const struct cli *c, const struct session *s, const struct run *r,
                      const char *what, const struct plan_item *first)
{
    const struct plan *p = run_plan(r);
    CLEANUP(str_freep) char *next = next_words(s, r, first, what, "them");
    CLEANUP(json_freep) json_t *rows = json_array();
    struct strv lines = {0};
    for (size_t i = 0; i < p->items.len; i++) {
        const struct plan_item *it = removed_item(r, i);
        const char *app;
        const struct object_id *id = it ? run_item_id(r, i, &app) : NULL;
        if (!id || strcmp(app, what) != 0)
            continue;
        CLEANUP(str_freep) char *name = object_name(id);
        CLEANUP(str_freep) char *words = fate(r, it);
        strv_push_take(&lines, str_printf("%s %s", name, words));
        json_array_append_new(rows, row_of(r, i));
    }
    size_t shown = c->o.verbose || lines.len <= SHOWN_REMOVED ? lines.len : SHOWN_REMOVED;
    CLEANUP(str_freep)
    char *text = str_printf("%s is no longer in Git. %zu object%s of it %s in the inventory:", what,
                            lines.len, lines.len == 1 ? "" : "s", lines.len == 1 ? "is" : "are");
    if (wants_doc(c)) {
        print_why_doc(c, s, next, rows);
        strv_clear(&lines);
        return;
    }
    printf("! ");
    print_wrapped(stdout, text, 2, 2);
    for (size_t i = 0; i < shown; i++) {
        printf("  ");
        print_wrapped(stdout, lines.v[i], 2, 4);
    }
    if (shown < lines.len)
        printf("  and %zu more; -v names all\n", lines.len - shown);
    print_next(next);
    strv_clear(&lines);
}

bool removed_why(const struct cli *c, const struct session *s, const struct run *r,
                 const char *what)
{
    const struct plan_item *first = NULL; // of the application: one that says what comes next
    struct named named CLEANUP(named_clear);
    named_read(c, s, what, &named);
    for (size_t i = 0; i < run_plan(r)->items.len; i++) {
        const struct plan_item *it = removed_item(r, i);
        const char *app;
        const struct object_id *id = it ? run_item_id(r, i, &app) : NULL;
        if (id && named_is(&named, id)) {
            print_object(c, s, r, i);
            return true;
        }
        if (id && !strcmp(app, what) && (!first || it->action == ACTION_PRUNE))
            first = it;
    }
    if (!first || desired_tracked_app(s->desired, what) >= 0)
        return false;
    // All of it stayed: that is told as elsewhere.
    const struct left_app *left = first->action == ACTION_PRUNE ? NULL : left_named(r, what);
    if (left)
        left_print_one(c, s, left);
    else
        print_app(c, s, r, what, first);
    return true;
}
