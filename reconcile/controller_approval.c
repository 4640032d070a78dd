// SPDX-License-Identifier: Apache-2.0
//
// Prune=confirm and Delete=confirm: what is so marked is not deleted before somebody has approved
// of it, by an annotation of the Application with a time no earlier than that from which it waits.
// An approval counts for what was told when it was given: what joins is told anew, and takes
// another.
#include <stdlib.h>
#include <string.h>

#include "reconcile/controller_int.h"
#include "reconcile/run_int.h"

#define CLOCKS_DIFFER_S 60 // so far ahead of ours may the clock of somebody be

static int64_t since_of(const json_t *awaited)
{
    const char *since = json_dot_str(awaited, "since");
    int64_t ms = since ? clock_parse_rfc3339_ms(since) : -1;
    return ms > 0 ? ms / 1000 : 0;
}

static bool is_given(const struct controller *c, const char *app)
{
    int64_t since = since_of(json_object_get(c->awaited, app));
    const struct app_control k = {.approved_at_unix_s =
                                      json_integer_value(json_object_get(c->approvals, app))};
    return since && control_approves(&k, since);
}

bool approval_covers(const void *ctx, const char *app, const struct object_id *id)
{
    const struct controller *c = ctx;
    CLEANUP(str_freep) char *key = object_key(id);
    return json_object_get(json_object_get(c->awaiting, app), key) && is_given(c, app);
}

static void go_on(struct controller *c, const char *app)
{
    struct tracked *t = tracked_find(c, app);
    if (t)
        tracked_trigger(t, TRIGGER_UNFINISHED | (t->is_requested ? TRIGGER_REQUEST : 0), 0);
    c->has_gone = true;
    c->gone_due_ms = 0;
}

void approval_take(struct controller *c, const char *app, const json_t *doc)
{
    const json_t *told = json_dot(doc, "status.regrow.awaitsApproval");
    struct app_control k = {0};
    struct err err = {0};
    bool was = is_given(c, app);
    if (!control_read(doc, &k, &err))
        err_clear(&err); // that is for whoever takes the operation
    // A controller that has just begun goes by what the one before it has told.
    if (told && since_of(told) && !json_object_get(c->awaited, app))
        json_object_set_new(c->awaited, app, json_deep_copy(told));
    // Nobody approves today of what waits tomorrow.
    if (k.approved_at_unix_s && k.approved_at_unix_s <= clock_unix_ms() / 1000 + CLOCKS_DIFFER_S)
        json_object_set_new(c->approvals, app, json_integer(k.approved_at_unix_s));
    else
        json_object_del(c->approvals, app);
    app_control_clear(&k);
    if (was || !is_given(c, app))
        return;
    go_on(c, app);
    event_emit(c->o.events, "prune.approved", "{s:s}", "app", app);
}

// {application: {"first": its name, "keys": {key of each object: true}}}
static json_t *found(const struct run *r)
{
    json_t *all = json_object();
    const struct plan *p = run_plan(r);
    for (size_t i = 0; i < p->items.len; i++) {
        const struct plan_item *it = &p->items.v[i];
        if (!it->awaits)
            continue;
        const struct object_id *id = &r->records.v[it->record].id;
        CLEANUP(str_freep) char *key = object_key(id);
        json_t *x = json_object_get(all, it->awaits);
        if (!x) {
            CLEANUP(str_freep) char *name = object_name(id);
            x = json_pack("{s:s, s:{}}", "first", name, "keys");
            json_object_set_new(all, it->awaits, x);
        }
        json_object_set_new(json_object_get(x, "keys"), key, json_true());
    }
    return all;
}

static char *digest_of(const json_t *keys)
{
    struct buf b CLEANUP(buf_clear) = {0};
    canon_write(keys, &b);
    struct sha256 sum = sha256_of(b.p, b.len);
    return hex_encode(sum.b, 8);
}

static bool has_all(const json_t *keys, const json_t *wanted)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)wanted, key, v)
    {
        if (!json_object_get(keys, key))
            return false;
    }
    return true;
}

// Is this turn about everything that this application may have waiting?
static bool is_about(const struct controller *c, const struct run *r, const bool *take,
                     const char *app)
{
    int at = desired_tracked_app(c->desired, app);
    return at >= 0 ? take[at] && !operation_is_partial(tracked_find(c, app))
                   : r->desired->is_with_gone;
}

// Since when it waits. Nothing that was approved before counts for what has joined now.
static int64_t since_when(const struct controller *c, const char *app, const json_t *before,
                          bool is_as_told)
{
    int64_t approved = json_integer_value(json_object_get(c->approvals, app));
    int64_t now = clock_unix_ms() / 1000;
    if (is_as_told)
        return since_of(before);
    int64_t since = approved >= now ? approved + 1 : now;
    return since_of(before) >= since ? since_of(before) + 1 : since; // within the same second, too
}

static void absorb_one(struct controller *c, const char *app, const json_t *x, bool is_whole)
{
    json_t *before = json_incref(json_object_get(c->awaited, app));
    json_t *told = json_object_get(c->awaiting, app);
    CLEANUP(json_freep) json_t *keys = json_copy(json_object_get(x, "keys"));
    if (!is_whole && told)
        json_object_update_missing(keys, told);
    CLEANUP(str_freep) char *digest = digest_of(keys);
    // One that has just begun knows by the digest what the one before it has told.
    bool is_as_told =
        before && (told ? has_all(told, keys) : str_eq(json_dot_str(before, "digest"), digest));
    CLEANUP(str_freep) char *since = clock_rfc3339(since_when(c, app, before, is_as_told));
    json_int_t n = (json_int_t)json_object_size(keys);
    json_object_set_new(c->awaited, app,
                        json_pack("{s:s, s:I, s:s, s:s}", "since", since, "objects", n, "first",
                                  json_dot_text(x, "first"), "digest", digest));
    json_object_set(c->awaiting, app, keys);
    if (!is_as_told)
        event_emit(c->o.events, "prune.awaited", "{s:s, s:I, s:s}", "app", app, "objects", n,
                   "first", json_dot_text(x, "first"));
    else if (is_given(c, app)) // what was approved before it was known what it is about
        go_on(c, app);
    json_object_set_new(c->answering, app, json_true());
    report_news(c, app);
    json_decref(before);
}

// Approved of, and not deleted yet: the turn did not come to it, or was refused. The approval stays
// good. What is on its way out waits for nobody.
static bool is_owed(const struct controller *c, const struct run *r, const char *app)
{
    const json_t *told = json_object_get(c->awaiting, app);
    const struct plan *p = run_plan(r);
    for (size_t i = 0; told && is_given(c, app) && i < p->items.len; i++) {
        const struct plan_item *it = &p->items.v[i];
        if (it->object >= 0 || it->is_pruned || (it->action != ACTION_PRUNE && !it->is_leftover))
            continue;
        const struct object_id *id = &r->records.v[it->record].id;
        const struct live_fact *fact = informers_fact(c->informers, id);
        CLEANUP(str_freep) char *key = object_key(id);
        if (json_object_get(told, key) && fact && !fact->is_terminating)
            return true;
    }
    return false;
}

void approval_absorb(struct controller *c, const struct run *r, const bool *take)
{
    CLEANUP(json_freep) json_t *now = found(r);
    const char *app;
    json_t *x;
    void *next;
    json_object_foreach_safe(c->awaited, next, app, x)
    {
        if (json_object_get(now, app) || !is_about(c, r, take, app) || is_owed(c, r, app))
            continue;
        json_object_del(c->awaiting, app);
        json_object_del(c->awaited, app);
    }
    json_object_foreach(now, app, x) absorb_one(c, app, x, is_about(c, r, take, app));
}

char *approval_text(const struct controller *c, const char *app)
{
    const json_t *x = json_object_get(c->awaited, app);
    long long n = json_dot_int(x, "objects", 0);
    if (!x)
        return NULL;
    return n > 1 ? str_printf("waiting for pruning confirmation of %s and %lld more resources",
                              json_dot_text(x, "first"), n - 1)
                 : str_printf("waiting for pruning confirmation of %s", json_dot_text(x, "first"));
}
