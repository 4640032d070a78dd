// SPDX-License-Identifier: Apache-2.0
//
// Is all of it as Git says, and healthy: what a snapshot is worth being taken of.
#include "reconcile/controller_int.h"

static bool is_idle(const struct controller *c)
{
    return controller_leads(c) && c->desired && !err_is_set(&c->load_problem) && !c->must_load &&
           !c->is_loading && !c->run && !c->breaker && !c->has_gone && !c->gone_is_held;
}

// Of one that is synced by hand, or suspended, what was sent last counts, as long as nobody has
// changed it.
static bool is_as_said(const struct controller *c, const struct tracked *t, unsigned app)
{
    bool rests = !t->is_automated || t->is_suspended;
    return (!t->triggers && report_is_synced(c, app)) ||
           (rests && !t->problem && !t->pins.len && report_is_as_recorded(c, app));
}

static bool all_synced(const struct controller *c)
{
    if (json_object_size(c->unordered))
        return false;
    for (unsigned i = 0; i < c->desired->apps.len; i++) {
        const struct application *a = c->desired->apps.v[i];
        const struct tracked *t = tracked_of(c, i);
        if (t && (tracked_is_owed(t, a) || !t->is_known || !is_as_said(c, t, i)))
            return false;
    }
    return true;
}

static bool is_good(const struct controller *c, const struct object *o)
{
    const struct live_fact *f = o->is_bare ? NULL : informers_fact(c->informers, &o->id);
    if (o->is_virtual || o->is_hook)
        return true;
    return o->is_bare ? informers_exists(c->informers, &o->id)
                      : f && f->exists && f->health.status <= HEALTH_SUSPENDED;
}

// One of another cluster has no application here.
static bool counts(const void *ctx, const struct object_id *id)
{
    const struct controller *c = ctx;
    const struct object *o = desired_find(c->desired, id);
    return o && !is_good(c, o) && tracked_of(c, o->app);
}

// Of what is synced all is kept: nothing has to be looked up to see that all of it is well.
static bool all_healthy(const struct controller *c)
{
    return !informers_any_bad(c->informers, counts, c);
}

bool report_is_healthy(const struct controller *c, unsigned app)
{
    const unsigned *of = NULL;
    size_t n = desired_objects_of(c->desired, app, &of);
    for (size_t i = 0; i < n; i++)
        if (!is_good(c, &c->desired->objects.v[of[i]]))
            return false;
    return true;
}

static struct sha256 revision_of(const struct controller *c)
{
    struct sha256_ctx *sum = sha256_begin();
    sha256_add_str(sum, c->desired->root_commit ? c->desired->root_commit : "");
    for (size_t i = 0; i < c->apps.len; i++) {
        const struct tracked *t = &c->apps.v[i];
        sha256_add_str(sum, t->name);
        sha256_add(sum, t->digest.b, sizeof(t->digest.b));
    }
    return sha256_end(sum);
}

bool controller_is_settled(const struct controller *c, const struct sha256 *seen,
                           struct sha256 *revision)
{
    if (!is_idle(c))
        return false;
    *revision = revision_of(c);
    return !(seen && sha256_eq(seen, revision)) && all_synced(c) && all_healthy(c);
}

const char *controller_commit(const struct controller *c)
{
    return c->desired ? c->desired->root_commit : NULL;
}
