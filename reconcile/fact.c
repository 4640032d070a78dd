// SPDX-License-Identifier: Apache-2.0
//
// What is kept of a live document: for a run, or for as long as it is watched.
#include <string.h>

#include "reconcile/run_int.h"

// The application of a tracking-id, when that id names this very object (a copied annotation does
// not make a copy ours).
static char *tracking_app(const json_t *doc, const struct object_id *id)
{
    if (!strcmp(id->kind, "CustomResourceDefinition") && json_annotation(doc, OWNER_ANNOTATION))
        return str_dup(json_annotation(doc, OWNER_ANNOTATION));
    const char *t = json_annotation(doc, TRACKING_ANNOTATION);
    const char *colon = t ? strchr(t, ':') : NULL;
    if (!colon)
        return NULL;
    CLEANUP(str_freep) char *want = str_printf("%s/%s:", id->group, id->kind);
    if (!str_starts(colon + 1, want))
        return NULL;
    const char *rest = colon + 1 + strlen(want);
    const char *slash = strchr(rest, '/');
    if (!slash || strcmp(slash + 1, id->name))
        return NULL;
    if (id->namespace &&
        (strncmp(rest, id->namespace, (size_t)(slash - rest)) || id->namespace[slash - rest]))
        return NULL;
    return str_ndup(t, (size_t)(colon - t));
}

bool fact_is_marked(const json_t *doc)
{
    return json_annotation(doc, TRACKING_ANNOTATION) || json_annotation(doc, OWNER_ANNOTATION);
}

void fact_read(struct live_fact *f, const json_t *doc, const char *manager)
{
    f->exists = true;
    f->is_terminating = json_dot(doc, "metadata.deletionTimestamp") != NULL;
    f->uid = str_dup_or_null(json_dot_str(doc, "metadata.uid"));
    f->tracking_app = tracking_app(doc, &f->id);
    f->hook_run = str_dup_or_null(json_annotation(doc, HOOK_RUN_ANNOTATION));
    f->has_projection = projection_of(doc, manager, &f->projection);
    f->is_client_side = is_client_side(doc);
    f->is_handed = is_handed(doc, manager);
    f->marks = object_deletion_marks(doc);
    f->generation = json_dot_int(doc, "metadata.generation", 0);
    bool is_secret = !*f->id.group && !strcmp(f->id.kind, "Secret");
    if (is_secret || (!f->has_projection && !f->generation))
        f->resource_version = str_dup_or_null(json_dot_str(doc, "metadata.resourceVersion"));
}

static bool is_overridden(const struct judging *by, const struct object_id *id)
{
    for (size_t i = 0; i < by->n_ready; i++) {
        const struct ready_override *o = &by->ready[i];
        if (!strcmp(o->kind, id->kind) && (!o->group || !strcmp(o->group, id->group)))
            return true;
    }
    return false;
}

void fact_judge(struct live_fact *f, const struct judging *by, const json_t *doc, bool is_hook)
{
    // What a hook is for is its end: it cannot be left out of account.
    if (is_overridden(by, &f->id))
        f->health = (struct health_result){.status = HEALTH_HEALTHY, .message = str_dup("")};
    else if (!is_hook &&
             str_eq(json_annotation(doc, "argocd.argoproj.io/ignore-healthcheck"), "true"))
        f->health = (struct health_result){.message = str_dup("")};
    else
        health_of(by->checks, doc, &f->health);
    f->is_ready = health_verdict(&f->health, is_hook, false) == HEALTH_DONE;
}

struct live_fact fact_dup(const struct live_fact *f)
{
    struct live_fact c = *f;
    c.id = object_id_dup(&f->id);
    c.uid = str_dup_or_null(f->uid);
    c.tracking_app = str_dup_or_null(f->tracking_app);
    c.resource_version = str_dup_or_null(f->resource_version);
    c.hook_run = str_dup_or_null(f->hook_run);
    c.health.message = str_dup(f->health.message ? f->health.message : "");
    return c;
}

struct record record_dup(const struct record *r)
{
    struct record c = *r;
    c.id = object_id_dup(&r->id);
    c.version = str_dup(r->version);
    c.app = str_dup(r->app);
    c.uid = str_dup_or_null(r->uid);
    return c;
}
