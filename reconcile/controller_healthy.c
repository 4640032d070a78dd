// SPDX-License-Identifier: Apache-2.0
//
// Which revision of each application was last healthy, noted in the cluster (gitops/healthy.h), so
// that a snapshot has it and a person finds it: an application's when it is as Git says and
// healthy, the root's when all is. What stands there is never lost because it could not be read:
// nothing is written before the watch has told what it is.
#include <stdlib.h>

#include "reconcile/controller_int.h"
#include "reconcile/healthy.h"

#define LOOK_MS 300     // what changes together is written once
#define RETRY_MS 30000  // a write that was refused
#define FINISH_MS 10000 // for the answer, when all else is done
#define MAX_ENTRIES (HEALTHY_MAX_BYTES / 128)

static const json_t *data_of(const json_t *doc)
{
    return json_object_get(doc, "data");
}

// ---- what stands there ----

static void take(struct controller *c, const json_t *doc)
{
    json_decref(c->healthy.seen);
    c->healthy.seen = data_of(doc) ? json_deep_copy(data_of(doc)) : json_object();
    healthy_later(c);
}

static void lose(struct controller *c)
{
    json_decref(c->healthy.seen);
    c->healthy.seen = NULL;
    healthy_later(c);
}

static void begin(struct controller *c)
{
    struct healthy_note *h = &c->healthy;
    struct strv odd = {0};
    CLEANUP(json_freep) json_t *doc = json_pack("{s:O*}", "data", h->seen);
    CLEANUP(str_freep)
    char *root = c->desired ? healthy_key(c->desired->apps.v[0]->tracking_name) : NULL;
    h->is_known = true;
    if (!h->wanted)
        h->wanted = healthy_read(doc, root, &odd);
    for (size_t i = 0; i < odd.len; i++)
        event_emit(c->o.events, "run.warning", "{s:s}", "message", odd.v[i]);
    strv_clear(&odd);
    healthy_later(c);
}

void healthy_seen(struct controller *c, enum kube_event ev, const json_t *doc)
{
    bool is_it = str_eq(json_dot_str(doc, "metadata.name"), HEALTHY_MAP);
    switch (ev) {
    case KUBE_ITEM:
    case KUBE_ADDED:
    case KUBE_MODIFIED:
        if (is_it)
            take(c, doc);
        return;
    case KUBE_RESTARTED:
        lose(c);
        c->healthy.is_known = false; // until the list is through
        return;
    case KUBE_DELETED:
        if (is_it)
            lose(c);
        return;
    case KUBE_SYNCED:
        begin(c);
        return;
    case KUBE_GONE:
        healthy_forget(c);
        return;
    }
}

void healthy_forget(struct controller *c)
{
    struct healthy_note *h = &c->healthy;
    json_decref(h->seen);
    json_decref(h->wanted);
    h->seen = h->wanted = NULL;
    h->is_known = false;
    h->settled = (struct sha256){0};
}

// ---- what is to stand there ----

void healthy_note_app(struct controller *c, unsigned app)
{
    const struct application *a = c->desired->apps.v[app];
    struct healthy_note *h = &c->healthy;
    if (!app || !h->wanted || a->state != APP_KNOWN)
        return; // the root's is the commit of all
    CLEANUP(str_freep) char *revision = healthy_revision(&a->revisions);
    CLEANUP(str_freep) char *key = healthy_key(a->tracking_name);
    const json_t *was = json_object_get(h->wanted, key);
    bool is_news = revision && !str_eq(json_string_value(was), revision) &&
                   (was || json_object_size(h->wanted) < MAX_ENTRIES);
    if (is_news && report_is_synced(c, app) && report_is_healthy(c, app))
        json_object_set_new(h->wanted, key, json_string(revision));
}

static void note_all(struct controller *c)
{
    struct healthy_note *h = &c->healthy;
    struct sha256 now;
    size_t left_out = 0;
    if (!controller_is_settled(c, &h->settled, &now))
        return;
    json_decref(h->wanted);
    h->wanted = healthy_of_all(c->desired, &left_out);
    h->settled = now;
    if (left_out && !h->is_full)
        event_emit(c->o.events, "run.warning", "{s:s}", "message",
                   "the ConfigMap " HEALTHY_MAP " has no room for all applications: of some it is "
                   "not noted which revision was last healthy");
    h->is_full = left_out > 0;
}

// ---- writing ----

static void went_wrong(struct controller *c, const struct kube_reply *reply)
{
    struct healthy_note *h = &c->healthy;
    struct err err = {0};
    (void)kube_reply_err(reply, &err, "note which revisions are healthy");
    if (!str_eq(h->problem, err.msg))
        event_emit(c->o.events, "run.warning", "{s:s}", "message", err.msg);
    str_set(&h->problem, err.msg);
    err_clear(&err);
    if (h->look && !c->is_ending)
        loop_timer_set(h->look, RETRY_MS);
}

static void on_written(void *ctx, const struct kube_reply *reply)
{
    struct controller *c = ctx;
    struct healthy_note *h = &c->healthy;
    json_t *doc = NULL;
    c->pending--;
    h->is_writing = false;
    if (c->is_ending)
        return;
    if (reply->cls == KUBE_ABSENT) { // somebody deleted it meanwhile
        lose(c);
        return;
    }
    if (reply->cls != KUBE_OK) {
        went_wrong(c, reply);
        return;
    }
    str_set(&h->problem, NULL);
    if (h->is_known) // the watch says the same a little later
        doc = json_loadb(reply->body, reply->body_len, 0, NULL);
    if (doc)
        take(c, doc);
    json_decref(doc);
}

static void write_data(struct controller *c, const json_t *patch)
{
    struct buf body CLEANUP(buf_clear) = {0};
    bool is_new = !c->healthy.seen;
    CLEANUP(json_freep) json_t *doc = healthy_document(is_new, patch);
    canon_write(doc, &body);
    c->pending++;
    c->healthy.is_writing = true;
    if (is_new) {
        struct kube_apply_opts o = {.manager = "regrow-status", .force = true};
        kube_apply(c->kube, HEALTHY_PATH, body.p, body.len, &o, on_written, c);
        return;
    }
    struct kube_call call = {.method = "PATCH",
                             .path = HEALTHY_PATH "?fieldManager=regrow-status",
                             .body = body.p,
                             .body_len = body.len,
                             .content_type = "application/merge-patch+json",
                             .is_idempotent = true};
    kube_send(c->kube, &call, on_written, c);
}

static void look(struct controller *c)
{
    struct healthy_note *h = &c->healthy;
    if (!h->is_known || !c->desired || !controller_leads(c) || h->is_writing)
        return; // what comes then looks again
    note_all(c);
    CLEANUP(json_freep) json_t *patch = healthy_patch(h->seen, h->wanted);
    if (patch)
        write_data(c, patch);
}

static void on_look(void *ctx)
{
    look(ctx);
}

void healthy_later(struct controller *c)
{
    struct healthy_note *h = &c->healthy;
    if (c->is_ending || c->o.feed)
        return;
    if (!h->look)
        h->look = loop_timer_new(c->loop, on_look, c);
    if (!loop_timer_is_set(h->look))
        loop_timer_set(h->look, LOOK_MS);
}

bool controller_has_noted(struct controller *c, const struct sha256 *revision)
{
    struct healthy_note *h = &c->healthy;
    if (!h->is_known || h->problem)
        return true;
    if (!sha256_eq(&h->settled, revision))
        look(c);
    return sha256_eq(&h->settled, revision) && !h->is_writing;
}

void healthy_finish(struct controller *c)
{
    int64_t end = clock_mono_ms() + FINISH_MS;
    if (c->desired && controller_leads(c))
        for (unsigned i = 1; i < c->desired->apps.len; i++)
            if (tracked_of(c, i))
                healthy_note_app(c, i);
    look(c);
    while (c->healthy.is_writing && clock_mono_ms() < end && !loop_stopping(c->loop))
        loop_run_once(c->loop, 200);
}

void healthy_end(struct controller *c)
{
    loop_timer_free(c->healthy.look);
    c->healthy.look = NULL;
    healthy_forget(c);
    str_set(&c->healthy.problem, NULL);
}
