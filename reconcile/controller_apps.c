// SPDX-License-Identifier: Apache-2.0
//
// What the controller remembers of each application between two turns.
#include <stdlib.h>
#include <string.h>

#include "reconcile/controller_int.h"

// Argo CD's, where an application says nothing (spec argo-cd section 1.9).
#define RETRY_FIRST_MS 5000
#define RETRY_FACTOR 2
#define RETRY_LONGEST_MS 180000

static int cmp_name(const void *key, const void *element)
{
    return strcmp(key, ((const struct tracked *)element)->name);
}

struct tracked *tracked_find(const struct controller *c, const char *name)
{
    if (!c->apps.len || !name)
        return NULL;
    return bsearch(name, c->apps.v, c->apps.len, sizeof(*c->apps.v), cmp_name);
}

struct tracked *tracked_of(const struct controller *c, size_t app)
{
    unsigned at = app < c->at_of.len ? c->at_of.v[app] : 0;
    return at ? &c->apps.v[at - 1] : NULL;
}

void tracked_trigger(struct tracked *t, unsigned why, int64_t due_ms)
{
    if (!t->triggers || due_ms < t->due_ms)
        t->due_ms = due_ms;
    t->triggers |= why;
}

bool tracked_is_due(const struct tracked *t, int64_t now_ms)
{
    return t->triggers && t->due_ms <= now_ms;
}

bool tracked_is_owed(const struct tracked *t, const struct application *a)
{
    if (!t->triggers || a->state != APP_KNOWN)
        return false;
    if (t->pins.len && !t->is_pinned)
        return false; // not before it has been read so
    if (t->triggers & TRIGGER_REQUEST)
        return true;
    if (t->is_suspended || !is_automated(a))
        return false;
    // A change by others alone is mended only where that is asked for.
    return t->triggers != TRIGGER_DRIFT || heals_itself(a);
}

static void clear_one(struct tracked *t)
{
    free(t->name);
    free(t->problem);
    free(t->held);
    free(t->zone_warning);
    operation_clear(t);
    free(t->waits);
    strv_clear(&t->pins);
    json_decref(t->next);
}

void tracked_clear(struct controller *c)
{
    for (size_t i = 0; i < c->apps.len; i++)
        clear_one(&c->apps.v[i]);
    vec_clear(&c->apps);
    vec_clear(&c->at_of);
}

static const json_t *sync_policy(const struct application *a)
{
    return json_dot(a->doc, "spec.syncPolicy");
}

// The root has no Application object; it is what the controller is for.
bool is_automated(const struct application *a)
{
    return !a->doc || a->has_automated;
}

bool heals_itself(const struct application *a)
{
    return !a->doc || (a->has_automated && a->self_heal);
}

static int64_t duration_at(const json_t *v, const char *dotted, int64_t fallback_ms)
{
    const json_t *x = json_dot(v, dotted);
    int64_t ms = fallback_ms;
    if (json_is_integer(x))
        ms = json_integer_value(x) * 1000;
    else if (json_is_string(x) && !str_to_duration_ms(json_string_value(x), &ms))
        ms = fallback_ms;
    return ms > 0 ? ms : fallback_ms;
}

// min(longest, first * factor^(failures - 1)). Argo CD gives up after five tries where nothing is
// said; what can still recover is not given up here unless a limit is written down.
int64_t retry_delay_ms(const struct application *a, unsigned failures)
{
    return retry_delay_of(json_object_get(sync_policy(a), "retry"), failures);
}

int64_t retry_delay_of(const json_t *retry, unsigned failures)
{
    const json_t *limit = json_object_get(retry, "limit");
    int64_t first = duration_at(retry, "backoff.duration", RETRY_FIRST_MS);
    int64_t longest = duration_at(retry, "backoff.maxDuration", RETRY_LONGEST_MS);
    long long factor = json_dot_int(retry, "backoff.factor", RETRY_FACTOR);
    if (json_is_integer(limit) && json_integer_value(limit) >= 0 &&
        failures > json_integer_value(limit))
        return -1;
    int64_t ms = first;
    for (unsigned i = 1; i < failures && ms < longest && factor > 1; i++)
        ms = ms > longest / factor ? longest : ms * factor;
    return ms < longest ? ms : longest;
}

void tracked_release(struct controller *c)
{
    for (size_t i = 0; i < c->apps.len; i++) {
        struct tracked *t = &c->apps.v[i];
        if (t->prune_is_held)
            tracked_trigger(t, TRIGGER_COMMIT, 0);
        t->prune_is_held = false;
    }
    c->has_gone |= c->gone_is_held;
    c->gone_is_held = false;
    str_set(&c->breaker, NULL);
}

// ---- after a load ----

// What is applied of it: its objects, whether it could be read, and what its own document says.
static struct sha256 digest_of(const struct desired *d, unsigned app)
{
    const struct application *a = d->apps.v[app];
    const unsigned *of = NULL;
    size_t n = desired_objects_of(d, app, &of);
    struct sha256_ctx *sum = sha256_begin();
    struct buf doc CLEANUP(buf_clear) = {0};
    if (a->doc)
        canon_write(a->doc, &doc);
    sha256_add(sum, &a->state, sizeof(a->state));
    sha256_add(sum, doc.p ? doc.p : "", doc.len);
    for (size_t i = 0; i < n; i++) {
        const struct object *o = &d->objects.v[of[i]];
        CLEANUP(str_freep) char *key = object_key(&o->id);
        sha256_add_str(sum, key);
        sha256_add(sum, o->hash.b, sizeof(o->hash.b));
        sha256_add(sum, &o->is_virtual, sizeof(o->is_virtual));
    }
    return sha256_end(sum);
}

static int cmp_tracked(const void *a, const void *b)
{
    return strcmp(((const struct tracked *)a)->name, ((const struct tracked *)b)->name);
}

static bool note_app(struct controller *c, const struct desired *d, unsigned app, size_t n_before)
{
    const struct application *a = d->apps.v[app];
    struct tracked *t = NULL;
    if (n_before)
        t = bsearch(a->tracking_name, c->apps.v, n_before, sizeof(*c->apps.v), cmp_name);
    bool is_new = !t;
    if (is_new) {
        t = vec_push(&c->apps);
        t->name = str_dup(a->tracking_name);
    }
    bool is_other = is_new || t->is_other;
    t->is_other = false;
    t->is_listed = true;
    t->is_known = a->state == APP_KNOWN;
    t->is_automated = is_automated(a);
    t->at = app;
    if (is_other)
        t->digest = digest_of(d, app);
    t->is_news |= is_other;
    if (a->state == APP_UNKNOWN)
        t->is_synced = false;
    if (a->state != APP_KNOWN || !is_other)
        return is_other;
    t->tries = 0;
    t->is_synced = false;
    tracked_trigger(t, is_new && !c->has_loaded ? TRIGGER_START : TRIGGER_COMMIT, 0);
    return true;
}

// What could not be read may have had it: unknown is not gone. What people have asked of it stays.
static void keep_unread(struct tracked *t, bool *any)
{
    *any |= t->is_known;
    t->is_known = t->is_synced = t->is_pinned = false;
}

static void note_places(struct controller *c)
{
    c->at_of.len = 0;
    for (size_t i = 0; i < c->desired->apps.len; i++)
        *vec_push(&c->at_of) = 0;
    for (size_t i = 0; i < c->apps.len; i++)
        if (c->apps.v[i].is_listed)
            c->at_of.v[c->apps.v[i].at] = (unsigned)i + 1;
}

// The same applications, in the same order.
static bool update_some(struct controller *c, const struct source_changes *changes)
{
    for (size_t i = 0; i < changes->v.len; i++) {
        const struct tracked *t = tracked_find(c, changes->v.v[i].app);
        if (t)
            (void)note_app(c, c->desired, (unsigned)t->at, c->apps.len);
    }
    return changes->v.len > 0;
}

bool tracked_update(struct controller *c, const struct source_changes *changes)
{
    const struct desired *d = c->desired;
    bool any = false;
    bool any_unknown = false;
    size_t n_before = c->apps.len;
    for (size_t i = 0; i < changes->v.len; i++) {
        struct tracked *t = tracked_find(c, changes->v.v[i].app);
        if (t)
            t->is_other = true;
    }
    c->has_gone |= c->gone_waits || !c->has_loaded;
    c->gone_due_ms = 0;
    c->gone_waits = false;
    if (changes->is_amended)
        return update_some(c, changes);
    for (size_t i = 0; i < n_before; i++)
        c->apps.v[i].is_listed = false;
    for (unsigned i = 0; i < d->apps.len; i++)
        any_unknown |= d->apps.v[i]->state == APP_UNKNOWN;
    for (unsigned i = 0; i < d->apps.len; i++)
        if (d->apps.v[i]->state != APP_OTHER_CLUSTER && !d->apps.v[i]->is_passing)
            any |= note_app(c, d, i, n_before);
    size_t kept = 0;
    for (size_t i = 0; i < c->apps.len; i++) {
        struct tracked *t = &c->apps.v[i];
        bool is_unread = !t->is_listed && any_unknown && desired_tracked_app(d, t->name) < 0;
        if (is_unread)
            keep_unread(t, &any);
        if (t->is_listed || is_unread) {
            c->apps.v[kept++] = *t;
            continue;
        }
        json_object_del(c->told, t->name);
        clear_one(t);
        any = c->has_gone = true;
    }
    bool is_sorted = c->apps.len == n_before; // what was there is, and stays in its order
    c->apps.len = kept;
    if (kept && !is_sorted)
        qsort(c->apps.v, kept, sizeof(*c->apps.v), cmp_tracked);
    note_places(c);
    return any;
}
