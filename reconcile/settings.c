// SPDX-License-Identifier: Apache-2.0
//
// What argocd-cm says of all applications: a user's own health checks, and the differences that are
// left to others. As the ConfigMap is desired, else as it is in the cluster.
#include <string.h>

#include "reconcile/run_int.h"

const struct object *settings_desired(const struct run *r)
{
    struct object_id id = {(char *)"", (char *)"ConfigMap", (char *)"argocd", (char *)"argocd-cm"};
    return desired_find(desired_whole(r->desired), &id);
}

static void warn_all(struct run *r, struct strv *faults)
{
    struct strv *known = &((struct desired *)desired_whole(r->desired))->warnings;
    for (size_t i = 0; i < faults->len; i++) {
        if (strv_has(known, faults->v[i]))
            continue; // once for each desired state
        strv_push(known, faults->v[i]);
        event_emit(r->opts.events, "run.warning", "{s:s}", "message", faults->v[i]);
    }
    strv_clear(faults);
}

static void take_ignored(struct run *r, const json_t *doc)
{
    struct strv faults = {0};
    CLEANUP(json_freep) json_t *rules = doc ? ignored_system(doc, &faults) : NULL;
    desired_ignore(r->desired, rules);
    warn_all(r, &faults);
}

// The informers judge by those of the cluster; others are the run's own.
static bool are_known(const struct run *r, const json_t *doc)
{
    const struct informers *f = r->opts.informers;
    struct buf b CLEANUP(buf_clear) = {0};
    if (!f)
        return false;
    canon_write(json_object_get(doc, "data"), &b);
    struct sha256 hash = sha256_of(b.p, b.len);
    return sha256_eq(&hash, &f->checks_hash);
}

bool settings_take(struct run *r, const json_t *live, struct err *err)
{
    const struct object *o = settings_desired(r);
    CLEANUP(json_freep) json_t *wanted = o ? object_doc(o) : NULL;
    bool counts = !o || health_custom_is_config(wanted);
    const json_t *doc = o ? wanted : live;
    take_ignored(r, counts ? doc : NULL);
    if (r->opts.informers && (!o || are_known(r, wanted))) {
        r->health = r->opts.informers->checks;
        return true;
    }
    if (!doc || !counts)
        return true;
    r->owns_health = true;
    if (health_custom_new(doc, &r->health, err)) {
        health_custom_skip_applications(r->health);
        return true;
    }
    if (o) {
        CLEANUP(str_freep) char *where = origin_text(&o->origin);
        return err_wrap(err, "%s", where);
    }
    event_emit(r->opts.events, "run.warning", "{s:s}", "message", err->msg);
    err_clear(err);
    return true;
}
