// SPDX-License-Identifier: Apache-2.0
#include "cli/doctoring.h"

static const char *const names[] = {"ok", "skipped", "warn", "fail"};

static size_t count(const struct doctor *d, enum check_state s)
{
    size_t n = 0;
    for (size_t i = 0; i < d->checks.v.len; i++)
        n += d->checks.v.v[i].state == s;
    return n;
}

json_t *doctor_doc(const struct doctor *d, int code)
{
    json_t *out = doc_new("doctor", NULL);
    json_t *list = json_array();
    for (size_t i = 0; i < d->checks.v.len; i++) {
        const struct check *x = &d->checks.v.v[i];
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s*, s:I}", "check", x->name,
                                              "state", names[x->state], "message", x->text, "next",
                                              x->next, "ms", (json_int_t)x->ms));
    }
    json_object_set_new(out, "exitCode", json_integer(code));
    json_object_set_new(out, "ok", json_integer((json_int_t)count(d, CHECK_OK)));
    json_object_set_new(out, "warnings", json_integer((json_int_t)count(d, CHECK_WARN)));
    json_object_set_new(out, "failures", json_integer((json_int_t)count(d, CHECK_FAIL)));
    json_object_set_new(out, "skipped", json_integer((json_int_t)count(d, CHECK_SKIPPED)));
    json_object_set_new(out, "checks", list);
    return out;
}

static const char *symbol(const struct cli *c, enum check_state s)
{
    switch (s) {
    case CHECK_OK:
        return state_symbol(c, NODE_READY);
    case CHECK_SKIPPED:
        return state_symbol(c, NODE_SKIPPED);
    case CHECK_WARN:
        return c->color ? "\033[33m!\033[0m" : "!";
    case CHECK_FAIL:
        break;
    }
    return state_symbol(c, NODE_FAILED);
}

static void print_one(const struct cli *c, const struct check *x, int width)
{
    bool narrow = is_narrow();
    CLEANUP(str_freep) char *name = clean(x->name);
    printf("  %s %s%*s", symbol(c, x->state), name, narrow ? 0 : width - display_width(name) + 2,
           "");
    if (narrow)
        printf("\n    ");
    print_wrapped(stdout, x->text, narrow ? 4 : width + 6, narrow ? 4 : width + 6);
    if (!x->next)
        return;
    int at = narrow ? 4 : width + 6;
    printf("%*snext: ", at, "");
    print_wrapped(stdout, x->next, at + 6, at + 6);
}

// What is wrong comes first, with what to do about it, and what is as it should be last.
void doctor_print(const struct doctor *d, int code)
{
    size_t bad = count(d, CHECK_FAIL);
    size_t warn = count(d, CHECK_WARN);
    size_t skipped = count(d, CHECK_SKIPPED);
    struct buf b CLEANUP(buf_clear) = {0};
    int width = 0;
    if (bad)
        buf_printf(&b, "%zu of %zu checks failed", bad, d->checks.v.len);
    else
        buf_printf(&b, "nothing is in the way");
    if (warn)
        buf_printf(&b, ", %zu warning%s", warn, warn == 1 ? "" : "s");
    if (skipped)
        buf_printf(&b, ", %zu not looked at", skipped);
    if (code)
        buf_printf(&b, "   (exit" NBSP "%d)", code);
    printf("%s ", state_symbol(d->c, bad ? NODE_FAILED : NODE_READY));
    print_wrapped(stdout, b.p, 2, 2);
    for (size_t i = 0; i < d->checks.v.len; i++) {
        int w = display_width(d->checks.v.v[i].name);
        width = w > width ? w : width;
    }
    static const enum check_state order[] = {CHECK_FAIL, CHECK_WARN, CHECK_SKIPPED, CHECK_OK};
    for (size_t k = 0; k < ARRAY_LEN(order); k++)
        for (size_t i = 0; i < d->checks.v.len; i++)
            if (d->checks.v.v[i].state == order[k])
                print_one(d->c, &d->checks.v.v[i], width);
}
