// SPDX-License-Identifier: Apache-2.0
#include "cli/status.h"

#include <stdlib.h>
#include <string.h>

// Ours, and no longer in Git: of an application that is there, or of one that left.
static void count_gone(struct status *st, const struct run *r, size_t item, bool is_awaiting)
{
    const char *name;
    const struct object_id *id = run_item_id(r, item, &name);
    int app = desired_tracked_app(run_desired(r), name);
    if (app >= 0 && is_awaiting)
        st->apps[app].awaiting++;
    else if (app >= 0)
        st->apps[app].pruning++;
    else if (!st->n_leaving++)
        st->one_leaving = object_name(id);
}

static void count_items(struct status *st, const struct run *r)
{
    const struct plan *p = run_plan(r);
    for (size_t i = 0; i < p->items.len; i++) {
        const struct plan_item *it = &p->items.v[i];
        if (it->object < 0) {
            if (it->action == ACTION_PRUNE || it->awaits)
                count_gone(st, r, i, it->action != ACTION_PRUNE);
            continue;
        }
        struct app_status *a = &st->apps[run_desired(r)->objects.v[it->object].app];
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

static void judge(struct status *st, const struct run *r, unsigned i)
{
    const struct application *a = run_desired(r)->apps.v[i];
    struct app_status *x = &st->apps[i];
    struct app_view v;
    run_app(r, i, &v);
    bool same = !x->missing && !x->differing && !x->not_comparable && !x->pruning && !x->awaiting;
    x->name = str_dup(a->name);
    x->key = str_dup(a->tracking_name);
    x->total = v.total;
    x->ready = v.ready;
    x->is_healthy = v.health == HEALTH_HEALTHY || v.health == HEALTH_SUSPENDED;
    x->is_known = a->state != APP_UNKNOWN;
    x->is_shown = (i > 0 || v.total > 0) && a->state != APP_OTHER_CLUSTER;
    x->is_synced = same && a->state == APP_KNOWN;
    x->is_good = x->is_healthy && x->is_synced;
    x->is_bad = !x->is_good && (v.health == HEALTH_DEGRADED || !x->is_known);
    x->health = a->state == APP_KNOWN ? health_name(v.health) : "Unknown";
    x->sync = a->state != APP_KNOWN ? "Unknown" : same ? "Synced" : "OutOfSync";
    x->revision = str_dup_or_null(a->revision_text);
    x->problem = str_dup_or_null(a->problem.msg);
    x->waits_for = TAKE(v.waits_for);
    x->chain = x->is_shown && !x->is_good ? chain_words(r, i) : str_dup("");
    st->n_shown += x->is_shown;
    st->n_good += x->is_shown && x->is_good;
    st->n_healthy += x->is_shown && x->is_healthy && a->state == APP_KNOWN;
    st->n_synced += x->is_shown && x->is_synced;
    app_view_clear(&v);
}

static char *root_words(const struct desired *d)
{
    struct buf b = {0};
    buf_str(&b, d->root_name);
    if (d->root_revision)
        buf_printf(&b, " @ %s", d->root_revision);
    if (d->root_ref)
        buf_printf(&b, " (%s)", d->root_ref);
    return buf_take(&b);
}

void status_read(struct status *st, const struct session *s, const struct run *r)
{
    const struct desired *d = run_desired(r);
    *st = (struct status){.n = d->apps.len, .then = s->then, .root = root_words(d)};
    st->apps = mem_alloc((st->n + 1) * sizeof(*st->apps));
    count_items(st, r);
    for (unsigned i = 0; i < st->n; i++)
        judge(st, r, i);
}

void status_clear(struct status *st)
{
    for (size_t i = 0; i < st->n; i++) {
        free(st->apps[i].name);
        free(st->apps[i].key);
        free(st->apps[i].revision);
        free(st->apps[i].problem);
        free(st->apps[i].waits_for);
        free(st->apps[i].chain);
    }
    free(st->apps);
    free(st->one_leaving);
    free(st->root);
    *st = (struct status){0};
}

bool status_is_good(const struct status *st)
{
    return st->n_good == st->n_shown && !st->n_leaving;
}

char *status_head(const struct status *st)
{
    struct buf b = {0};
    if (status_is_good(st))
        buf_printf(&b, "%zu application%s healthy and in sync with ", st->n_shown,
                   st->n_shown == 1 ? "" : "s");
    else
        buf_printf(&b, "%zu of %zu applications healthy, %zu in sync with ", st->n_healthy,
                   st->n_shown, st->n_synced);
    buf_str(&b, st->root);
    if (hand_over_is_away(st->then))
        buf_printf(&b, ", handed over to %s", hand_over_title(st->then));
    return buf_take(&b);
}

char *status_sync(const struct app_status *a)
{
    struct buf b = {0};
    buf_str(&b, a->sync);
    const char *sep = ": ";
    const struct {
        size_t n;
        const char *what;
    } parts[] = {{a->missing, "missing"},
                 {a->differing, a->differing == 1 ? "differs" : "differ"},
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

char *status_leaving(const struct status *st)
{
    if (!st->n_leaving)
        return NULL;
    CLEANUP(str_freep)
    char *more = st->n_leaving > 1 ? str_printf(", and %zu more", st->n_leaving - 1) : str_dup("");
    return str_printf("of applications that left Git, still there and to be deleted: %s%s",
                      st->one_leaving, more);
}

enum node_state status_looks(const struct app_status *a)
{
    return a->is_good ? NODE_READY : a->is_bad ? NODE_FAILED : NODE_APPLIED;
}

json_t *status_row(const struct app_status *a)
{
    return json_pack("{s:s, s:b, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s*, s:s*, s:s}",
                     "name", a->name, "good", (int)a->is_good, "health", a->health, "sync", a->sync,
                     "objects", (json_int_t)a->total, "ready", (json_int_t)a->ready, "missing",
                     (json_int_t)a->missing, "differing", (json_int_t)a->differing, "notComparable",
                     (json_int_t)a->not_comparable, "pruning", (json_int_t)a->pruning, "awaiting",
                     (json_int_t)a->awaiting, "revision", a->revision, "problem", a->problem,
                     "waitsFor", a->waits_for ? a->waits_for : "");
}
