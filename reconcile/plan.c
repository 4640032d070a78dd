// SPDX-License-Identifier: Apache-2.0
//
// The case table of docs/plan-cases.md as code; rows are cited.
#include "reconcile/plan.h"

#include <stdlib.h>
#include <string.h>

const char *action_name(enum action a)
{
    static const char *const names[] = {"unchanged",
                                        "create",
                                        "change",
                                        "check",
                                        "prune",
                                        "keep",
                                        "replace",
                                        "recreate",
                                        "read-only",
                                        "hook-done",
                                        "wait-for-deletion",
                                        "left"};
    return names[a];
}

void record_clear(struct record *r)
{
    object_id_clear(&r->id);
    str_freep(&r->version);
    str_freep(&r->app);
    str_freep(&r->uid);
}

void live_fact_clear(struct live_fact *f)
{
    object_id_clear(&f->id);
    str_freep(&f->uid);
    str_freep(&f->tracking_app);
    str_freep(&f->resource_version);
    str_freep(&f->hook_run);
    health_result_clear(&f->health);
}

void plan_free(struct plan *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->items.len; i++)
        free(p->items.v[i].reason);
    vec_clear(&p->items);
    err_clear(&p->breaker);
    free(p);
}

static int cmp_hash(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct sha256));
}

// The same from Git and from a snapshot: in whichever order the objects stand.
struct sha256 plan_hook_token(const struct desired *d, unsigned object)
{
    unsigned app = d->objects.v[object].app;
    struct sha256_ctx *c = sha256_begin();
    VEC(struct sha256) all = {0};
    for (size_t i = 0; i < d->objects.len; i++)
        if (d->objects.v[i].app == app)
            *vec_push(&all) = d->objects.v[i].hash;
    qsort(all.v, all.len, sizeof(*all.v), cmp_hash);
    sha256_add(c, all.v, all.len * sizeof(*all.v));
    vec_clear(&all);
    sha256_add(c, d->objects.v[object].hash.b, sizeof(d->objects.v[object].hash.b));
    const char phase = (char)d->objects.v[object].phase;
    sha256_add(c, &phase, 1);
    return sha256_end(c);
}

char *plan_hook_run(const struct desired *d, unsigned object)
{
    struct sha256 token = plan_hook_token(d, object);
    return hex_encode(token.b, 16);
}

// Index in a sorted array whose elements begin with their object_id; -1 when absent.
static int find(const void *base, size_t n, size_t size, const struct object_id *id)
{
    size_t lo = 0;
    size_t hi = n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const struct object_id *x = (const void *)((const char *)base + mid * size);
        int c = object_id_cmp(x, id);
        if (c == 0)
            return (int)mid;
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return -1;
}

struct planning {
    const struct desired *d;
    const struct live_fact *facts;
    size_t n_facts;
    const struct record *records;
    size_t n_records;
    const json_t *notes;
    const struct plan_policy *policy;
    bool any_unknown;
    size_t *n_desired; // objects of each application
};

static void decide(struct plan_item *it, enum action a, const char *row)
{
    it->action = a;
    it->row = row;
}

// A hook of several phases runs in their order: what is known of one is known of those before it.
struct hook_state {
    bool is_recorded; // this phase or a later one has completed, says the inventory
    bool is_past;     // the live object is that of a later phase
    bool is_own;      // or of this one
    bool is_later;    // there is a phase before this one
};

static struct hook_state hook_state(const struct planning *p, unsigned object,
                                    const struct record *r, const struct live_fact *f)
{
    struct hook_state h = {0};
    unsigned all[DESIRED_MAX_PHASES];
    size_t n = desired_find_all(p->d, &p->d->objects.v[object].id, all);
    for (size_t i = 0; i < n; i++) {
        struct sha256 token = plan_hook_token(p->d, all[i]);
        CLEANUP(str_freep) char *run = plan_hook_run(p->d, all[i]);
        bool live = f && str_eq(f->hook_run, run);
        h.is_later |= all[i] < object;
        if (all[i] < object)
            continue;
        h.is_recorded |= r && r->is_hook && !r->is_intent && sha256_eq(&r->sent, &token);
        h.is_past |= live && all[i] > object;
        h.is_own |= live; // or is_past, which goes before it
    }
    return h;
}

static void decide_hook(const struct planning *p, unsigned object, const struct record *r,
                        const struct live_fact *f, struct plan_item *it)
{
    const struct object *o = &p->d->objects.v[object];
    bool anew = o->hook_delete & HOOK_BEFORE_CREATION;
    struct hook_state h = hook_state(p, object, r, f);
    if (h.is_recorded)
        decide(it, ACTION_HOOK_DONE, "H1");
    else if (h.is_past)
        decide(it, ACTION_HOOK_DONE, "H6");
    else if (f && f->is_unknown)
        decide(it, ACTION_CHANGE, "X2");
    else if (f && f->is_terminating)
        decide(it, ACTION_TERMINATING, "H3");
    else if (h.is_own && health_verdict(&f->health, true, true) != HEALTH_FAILED)
        decide(it, ACTION_NONE, "H7");
    else if (h.is_later || f)
        decide(it, anew ? ACTION_RECREATE : ACTION_CHANGE, anew ? "H4" : "H5");
    else
        decide(it, ACTION_CREATE, "H2");
}

struct sha256 plan_left_hash(const struct sha256 *hash)
{
    struct sha256 left = *hash;
    left.b[0] ^= 1;
    return left;
}

// Made by a run that did not come to record it: it has our mark, and fields that we have applied.
static bool is_unrecorded(const struct record *r, const struct live_fact *f)
{
    return !r->is_hook && f->has_projection && str_eq(f->tracking_app, r->app);
}

// Somebody has changed what we sent; Git may say something else since, too. is_recorded: r is of
// the object that is there.
static void note_drift(const struct object *o, const struct record *r, const struct live_fact *f,
                       bool is_recorded, struct plan_item *it)
{
    struct sha256 left = plan_left_hash(&o->hash);
    if (!r || (it->action != ACTION_CHANGE && it->action != ACTION_CHECK))
        return;
    // Of what was sent before nobody knows whether some of it was left to others.
    if (!is_recorded) {
        it->is_drift = it->has_left = is_unrecorded(r, f);
        return;
    }
    bool is_other = !sha256_eq(&r->sent, &o->hash) && !sha256_eq(&r->sent, &left);
    it->is_drift = !is_other || !f->has_projection || !sha256_eq(&r->projection, &f->projection);
    it->has_left = is_other ? it->is_drift : sha256_eq(&r->sent, &left);
}

static void decide_object(const struct planning *p, unsigned object, const struct record *r,
                          const struct live_fact *f, struct plan_item *it)
{
    const struct object *o = &p->d->objects.v[object];
    bool recorded = r && !r->is_intent && !r->is_hook && f && str_eq(r->uid, f->uid);
    bool same = recorded && sha256_eq(&r->sent, &o->hash);
    bool wants_replace = o->options & SYNC_REPLACE;
    if (o->is_virtual)
        decide(it, ACTION_VIRTUAL, "V1");
    else if (o->is_hook)
        decide_hook(p, object, r, f, it);
    else if (!f)
        decide(it, ACTION_CREATE, "C1");
    else if (f->is_unknown)
        decide(it, ACTION_CHECK, "X2");
    else if (f->is_terminating)
        decide(it, ACTION_TERMINATING, "C2");
    else if (o->is_bare)
        decide(it, ACTION_NONE, "N3");
    else if (p->policy->force_all)
        decide(it, wants_replace ? ACTION_REPLACE : ACTION_CHANGE, "D4");
    else if (wants_replace)
        decide(it, same ? ACTION_NONE : ACTION_REPLACE, same ? "N2" : "D3");
    else if (!recorded)
        decide(it, ACTION_CHECK, "X1");
    else if (same && f->has_projection && sha256_eq(&r->projection, &f->projection))
        decide(it, ACTION_NONE, "N1");
    else if (ignored_any(p->d->apps.v[o->app], &o->id))
        decide(it, ACTION_CHECK, "D5");
    else
        decide(it, ACTION_CHANGE, same ? "D2" : "D1");
    note_drift(o, r, f, recorded, it);
}

static void keep(struct plan_item *it, const char *row, const char *reason)
{
    decide(it, ACTION_KEEP, row);
    it->reason = str_dup(reason);
}

static void leave(struct plan_item *it, const char *row, const char *reason)
{
    decide(it, ACTION_LEFT, row);
    it->reason = str_dup(reason);
}

static bool is_asked_for(const struct plan_policy *policy, const char *app)
{
    for (size_t i = 0; i < policy->n_prune_left; i++)
        if (!strcmp(policy->prune_left[i], app))
            return true;
    return false;
}

// asks: the application whose approval it takes, or NULL.
static void prune_or_keep(const struct planning *p, struct plan_item *it, const char *asks)
{
    const struct plan_policy *policy = p->policy;
    if (policy->is_selected &&
        !policy->is_selected(policy->selected_ctx, &p->records[it->record].id)) {
        keep(it, "P15", "it is not among what was asked for");
    } else if (asks && !(policy->is_approved && policy->is_approved(policy->approved_ctx, asks,
                                                                    &p->records[it->record].id))) {
        keep(it, "P16", "it waits until somebody approves of its deletion");
        it->awaits = asks;
    } else if (!policy->prune) {
        keep(it, "P7", "pruning is switched off for this run");
    } else {
        decide(it, ACTION_PRUNE, "P8");
    }
}

// What deletes it is suspended, or a sync window keeps it: that deletion is of its syncs. Or the
// application that is gone is one that may not go yet.
static bool may_not_go(const struct planning *p, const char *app, const json_t *note)
{
    const struct plan_policy *policy = p->policy;
    return policy->is_resting &&
           (policy->is_resting(policy->resting_ctx, app) ||
            cascade_rests(p->d, note, policy->is_resting, policy->resting_ctx));
}

// Has another object taken the name? One that was made anew by a run that did not come to record it
// has another uid than its record, and our mark.
static bool is_other(const struct record *r, const struct live_fact *f)
{
    return !str_eq(f->tracking_app, r->app) && (r->is_intent || !str_eq(r->uid, f->uid));
}

// One of an application that is no longer in Git.
static void decide_orphan(const struct planning *p, const struct record *r,
                          const struct live_fact *f, struct plan_item *it)
{
    const json_t *note = json_object_get(p->notes, r->app);
    bool was_told = json_object_get(note, CASCADE_LEFT) != NULL;
    CLEANUP(str_freep) char *why = NULL;
    if (p->any_unknown)
        keep(it, "P2", "its application is gone, but another could not be read");
    else if (f->is_unknown)
        keep(it, "P9", "its kind could not be read, so nobody knows whether it is there");
    else if (is_other(r, f) || (was_told && !str_eq(f->tracking_app, r->app)))
        decide(it, ACTION_NONE, "P13"); // somebody else's by now: forgotten
    else if (!is_asked_for(p->policy, r->app) && !cascade_takes_along(p->d, note, &why))
        leave(it, "P11", why);
    else if (f->marks & (DELETION_DELETE_OFF | DELETION_KEEP))
        leave(it, "P10", "they ask to stay when their application goes");
    else if (!strcmp(r->id.kind, "CustomResourceDefinition"))
        leave(it, "P12", "definitions never go with an application");
    else if (is_asked_for(p->policy, r->app))
        prune_or_keep(p, it, NULL);
    else if (may_not_go(p, r->app, note))
        keep(it, "P17",
             "its application is gone; what had that may not be synced now, or another needs it");
    else if ((f->marks & DELETION_DELETE_CONFIRM) || json_object_get(note, CASCADE_CONFIRM))
        prune_or_keep(p, it, r->app);
    else
        prune_or_keep(p, it, cascade_asks(p->d, note));
}

// A part says nothing of what is not of it. True: this record is not.
static bool is_left_alone(const struct planning *p, const struct record *r, struct plan_item *it)
{
    const struct desired *d = p->d;
    if (!d->whole)
        return false;
    int at = desired_tracked_app(d, r->app);
    if (at >= 0 && !d->taken[at]) {
        decide(it, ACTION_NONE, "A2");
    } else if (at < 0 && !d->is_with_gone) {
        decide(it, ACTION_NONE, "A3");
    } else if (desired_find(d->whole, &r->id)) {
        // It has moved to an application that has not taken it over yet, or has and could not
        // record it: it bears its mark then, and nobody else would know of it.
        decide(it, ACTION_NONE, "A1");
        it->stays = true;
    }
    return it->row != NULL;
}

// A record whose object is no longer desired and still there.
static void decide_record(const struct planning *p, const struct record *r,
                          const struct live_fact *f, struct plan_item *it)
{
    int at = desired_tracked_app(p->d, r->app);
    const struct application *a = at < 0 ? NULL : p->d->apps.v[at];
    if (!a)
        decide_orphan(p, r, f, it);
    else if (a->state != APP_KNOWN)
        keep(it, "P1", "its application could not be read");
    else if (f->is_unknown)
        keep(it, "P9", "its kind could not be read, so nobody knows whether it is there");
    else if (is_other(r, f))
        keep(it, "P3", "another object has taken its name");
    else if (f->marks & (DELETION_PRUNE_OFF | DELETION_KEEP))
        keep(it, "P4", "it asks to be kept");
    else if (!a->prune)
        keep(it, "P5", "pruning is off for its application");
    else if (a->prune_never && !(f->marks & (DELETION_PRUNE_ASKED | DELETION_PRUNE_CONFIRM)))
        keep(it, "P6", "its application has the sync option Prune=false");
    else if (a->doc && a->has_automated && !a->allow_empty && !p->n_desired[at])
        keep(it, "P14", "nothing is left of its application, and allowEmpty is off");
    else if ((f->marks & DELETION_PRUNE_CONFIRM) ||
             (a->prune_confirm && !(f->marks & DELETION_PRUNE_ASKED)))
        prune_or_keep(p, it, a->tracking_name);
    else
        prune_or_keep(p, it, NULL);
}

// Objects that this plan leaves behind, and none before it did.
static size_t count_left(const struct planning *p, const struct plan *plan)
{
    size_t n = 0;
    for (size_t i = 0; i < plan->items.len; i++) {
        const struct plan_item *it = &plan->items.v[i];
        if (it->action == ACTION_LEFT)
            n += !json_object_get(json_object_get(p->notes, p->records[it->record].app),
                                  CASCADE_LEFT);
    }
    return n;
}

static bool check_breaker(const struct planning *p, const struct plan *out, struct err *err)
{
    size_t n = out->counts[ACTION_PRUNE];
    const struct plan_policy *policy = p->policy;
    size_t all = policy->n_all_records ? policy->n_all_records : p->n_records;
    size_t left = policy->replaced_root && policy->prune ? count_left(p, out) : 0;
    bool many = n > policy->min_prune_count && n * 100 > all * (size_t)policy->max_prune_percent;
    if (policy->allow_mass_prune || (!n && !left) || (!many && !policy->replaced_root))
        return true;
    if (!n)
        err_set(err, ERR_CONFLICT, "this would leave %zu of %zu objects behind", left, all);
    else if (left)
        err_set(err, ERR_CONFLICT, "this would delete %zu of %zu objects, and leave %zu behind", n,
                all, left);
    else
        err_set(err, ERR_CONFLICT, "this would delete %zu of %zu objects", n, all);
    if (policy->replaced_root)
        return err_hint(err,
                        "This cluster was grown from %s. If the new root takes its place, run "
                        "again with --allow-mass-prune; to leave what it had alone, with "
                        "--no-prune.",
                        policy->replaced_root);
    return err_hint(err, "If that is meant, run it with --allow-mass-prune; to leave them alone, "
                         "with --no-prune.");
}

bool plan_make(const struct desired *d, const struct live_fact *facts, size_t n_facts,
               const struct record *records, size_t n_records, const json_t *notes,
               const struct plan_policy *policy, struct plan **out, struct err *err)
{
    struct planning p = {.d = d,
                         .facts = facts,
                         .n_facts = n_facts,
                         .records = records,
                         .n_records = n_records,
                         .notes = notes,
                         .policy = policy,
                         .n_desired = mem_alloc((d->apps.len + 1) * sizeof(size_t))};
    struct plan *plan CLEANUP(plan_freep) = mem_alloc(sizeof(*plan));
    const struct desired *all = desired_whole(d); // has the same applications
    const unsigned *of = NULL;
    for (unsigned i = 0; i < d->apps.len; i++)
        p.n_desired[i] = desired_objects_of(all, i, &of);
    for (size_t i = 0; i < d->apps.len; i++)
        p.any_unknown |= d->apps.v[i]->state == APP_UNKNOWN;
    for (unsigned i = 0; i < d->objects.len; i++) {
        const struct object_id *id = &d->objects.v[i].id;
        struct plan_item *it = vec_push(&plan->items);
        it->object = (int)i;
        it->record = find(records, n_records, sizeof(*records), id);
        it->live = find(facts, n_facts, sizeof(*facts), id);
        decide_object(&p, i, it->record < 0 ? NULL : &records[it->record],
                      it->live < 0 ? NULL : &facts[it->live], it);
    }
    for (unsigned i = 0; i < n_records; i++) {
        int live = find(facts, n_facts, sizeof(*facts), &records[i].id);
        // A hook that was deleted when it had run is remembered all the same.
        bool may_be_gone = records[i].is_hook && d->whole;
        if ((live < 0 && !may_be_gone) || desired_find(d, &records[i].id))
            continue;
        struct plan_item *it = vec_push(&plan->items);
        it->object = -1;
        it->record = (int)i;
        it->live = live;
        if (live < 0) {
            decide(it, ACTION_NONE, "A4");
            it->stays = desired_find(d->whole, &records[i].id) != NULL;
            continue;
        }
        if (is_left_alone(&p, &records[i], it))
            continue;
        if (records[i].is_made)
            decide(it, ACTION_NONE, "M1"); // it stays, and is forgotten
        else
            decide_record(&p, &records[i], &facts[live], it);
    }
    for (size_t i = 0; i < plan->items.len; i++)
        if (plan->items.v[i].object >= 0 || plan->items.v[i].action != ACTION_NONE)
            plan->counts[plan->items.v[i].action]++;
    free(p.n_desired);
    (void)!check_breaker(&p, plan, &plan->breaker);
    if (err_is_set(&plan->breaker) && !policy->is_read) {
        err_move(err, &plan->breaker);
        return false;
    }
    *out = TAKE(plan);
    return true;
}
