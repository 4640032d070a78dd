// SPDX-License-Identifier: Apache-2.0
//
// The bare pipelined writer that is told the order beforehand: what a bring-up cannot undercut by
// much. It renders nothing, plans nothing, lists nothing it does not watch, keeps no inventory and
// holds no lock; it sends each object once, on one connection, as soon as what scripts/bench-order
// wrote down for it holds, waits by watch, and ends when everything is healthy.
//
// ordered FILE WINDOW CRDS: FILE is {"objects": [document], "after": [[[index, "applied" or
// "ready"]]], "gate": [index or null], "gates": [{"configs": [name], "services": ["ns/name"]}]},
// with one entry of "after" and "gate" for each object. WINDOW requests are in flight at most, and
// CRDS more for definitions, which go in their order.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/vec.h"
#include "kube/kube.h"
#include "reconcile/health.h"

#define PROBE_MS 50
#define LIMIT_MS 300000

struct wait {
    unsigned item;
    bool needs_ready;
};

struct item {
    struct object_id id;
    char *version, *path;
    struct buf body;
    bool is_crd, is_checked; // is_checked: its health has to be watched
    bool is_sent, is_applied, is_ready, is_queued;
    unsigned pending;
    int gate;
    VEC(struct wait) behind; // who waits for this one
};

struct gate {
    const json_t *configs, *services;
    bool is_open, is_probing;
    int64_t next_ms;
};

struct watched {
    char *group, *kind;
};

struct writer {
    struct loop *loop;
    struct kube *k;
    struct kinds *kinds;
    struct item *items;
    size_t n;
    VEC(struct gate) gates;
    VEC(struct watched) watched;
    VEC(unsigned) queue, crds;
    json_t *by_key;  // object key -> index
    json_t *has_ca;  // name of a webhook configuration -> true
    json_t *answers; // "namespace/service" -> true: an endpoint is ready
    unsigned window, crd_window, in_flight, crds_in_flight;
    size_t crd_at, left, refused, probes;
};

struct call {
    struct writer *w;
    unsigned item;
};

static void watch_kind(struct writer *w, const char *group, const char *version, const char *kind);

static void queue(struct writer *w, unsigned i)
{
    struct item *x = &w->items[i];
    if (x->pending || x->is_queued || (x->gate >= 0 && !w->gates.v[x->gate].is_open))
        return;
    x->is_queued = true;
    if (x->is_crd)
        *vec_push(&w->crds) = i;
    else
        *vec_push(&w->queue) = i;
}

static void release(struct writer *w, unsigned i, bool ready)
{
    for (size_t k = 0; k < w->items[i].behind.len; k++) {
        const struct wait *b = &w->items[i].behind.v[k];
        if (b->needs_ready != ready)
            continue;
        w->items[b->item].pending--;
        queue(w, b->item);
    }
}

static void set_ready(struct writer *w, unsigned i)
{
    if (w->items[i].is_ready)
        return;
    w->items[i].is_ready = true;
    w->left--;
    release(w, i, true);
}

static void judge(struct writer *w, unsigned i, const json_t *doc)
{
    struct health_result h = {0};
    if (!w->items[i].is_applied || w->items[i].is_ready)
        return;
    health_of(NULL, doc, &h);
    if (health_verdict(&h, false, false) == HEALTH_DONE)
        set_ready(w, i);
    health_result_clear(&h);
}

static void on_event(void *ctx, enum kube_event ev, json_t *doc)
{
    struct writer *w = ctx;
    struct object_id id = {0};
    struct err err = {0};
    CLEANUP(str_freep) char *version = NULL;
    if (ev == KUBE_SYNCED || ev == KUBE_GONE || ev == KUBE_DELETED ||
        !object_id_of(doc, &id, &version, &err)) {
        err_clear(&err);
        return;
    }
    CLEANUP(str_freep) char *key = object_key(&id);
    const json_t *at = json_object_get(w->by_key, key);
    if (at)
        judge(w, (unsigned)json_integer_value(at), doc);
    if (str_ends(id.kind, "WebhookConfiguration")) {
        bool all = true;
        size_t i;
        json_t *h;
        json_array_foreach(json_object_get(doc, "webhooks"), i, h)
        {
            all &= !str_is_empty(json_dot_str(h, "clientConfig.caBundle"));
        }
        if (all)
            json_object_set_new(w->has_ca, id.name, json_true());
    }
    const char *svc = json_label(doc, "kubernetes.io/service-name");
    size_t i;
    json_t *e;
    json_array_foreach(json_object_get(doc, "endpoints"), i, e)
    {
        CLEANUP(str_freep) char *name = str_printf("%s/%s", id.namespace, svc ? svc : "");
        if (json_dot_bool(e, "conditions.ready", true))
            json_object_set_new(w->answers, name, json_true());
    }
    object_id_clear(&id);
}

static void watch_kind(struct writer *w, const char *group, const char *version, const char *kind)
{
    for (size_t i = 0; i < w->watched.len; i++)
        if (!strcmp(w->watched.v[i].group, group) && !strcmp(w->watched.v[i].kind, kind))
            return;
    const struct kind_info *k = kinds_find(w->kinds, group, version, kind);
    if (!k)
        return;
    *vec_push(&w->watched) = (struct watched){str_dup(group), str_dup(kind)};
    struct kube_watch_opts o = {.kind = k, .light_changes = true, .event = on_event, .ctx = w};
    kube_watch(w->k, &o);
}

static void on_reply(void *ctx, const struct kube_reply *r)
{
    struct call *c = ctx;
    struct writer *w = c->w;
    struct item *x = &w->items[c->item];
    struct err err = {0};
    CLEANUP(json_freep) json_t *doc = NULL;
    if (x->is_crd)
        w->crds_in_flight--;
    else
        w->in_flight--;
    if (r->cls == KUBE_RETRY || r->cls == KUBE_THROTTLED || r->cls == KUBE_LOST) {
        x->is_queued = false; // the server's own trouble, not the order's
        queue(w, c->item);
        free(c);
        return;
    }
    if (r->cls != KUBE_OK || !canon_read(r->body, r->body_len, &doc, &err)) {
        fprintf(stderr, "ordered: %s %s: %s\n", x->id.kind, x->id.name, r->message);
        err_clear(&err);
        w->refused++;
        free(c);
        return;
    }
    x->is_applied = true;
    release(w, c->item, false);
    if (!x->is_checked) {
        set_ready(w, c->item);
    } else {
        watch_kind(w, x->id.group, x->version, x->id.kind);
        judge(w, c->item, doc);
    }
    free(c);
}

static void send(struct writer *w, unsigned i, bool dry_run, kube_done_fn done)
{
    struct item *x = &w->items[i];
    struct kube_apply_opts o = {.manager = "bench", .dry_run = dry_run};
    struct call *c = mem_alloc(sizeof(*c));
    *c = (struct call){w, i};
    kube_apply(w->k, x->path, x->body.p, x->body.len, &o, done, c);
}

static void pump(struct writer *w)
{
    while (w->crd_at < w->crds.len && w->crds_in_flight < w->crd_window) {
        w->crds_in_flight++;
        send(w, w->crds.v[w->crd_at++], false, on_reply);
    }
    size_t at = 0;
    while (at < w->queue.len && w->in_flight < w->window) {
        w->in_flight++;
        send(w, w->queue.v[at++], false, on_reply);
    }
    w->queue.len -= at;
    memmove(w->queue.v, w->queue.v + at, w->queue.len * sizeof(*w->queue.v));
}

// ---- webhooks ----
static void on_probe(void *ctx, const struct kube_reply *r)
{
    struct call *c = ctx;
    struct writer *w = c->w;
    int gate = w->items[c->item].gate;
    struct gate *g = &w->gates.v[gate];
    free(c);
    g->is_probing = false;
    g->next_ms = clock_mono_ms() + PROBE_MS;
    w->probes++;
    if (r->cls != KUBE_OK)
        return;
    g->is_open = true;
    for (unsigned i = 0; i < w->n; i++)
        if (w->items[i].gate == gate)
            queue(w, i);
}

static bool all_known(const json_t *names, const json_t *known)
{
    size_t i;
    json_t *v;
    json_array_foreach(names, i, v)
    {
        if (!json_object_get(known, json_string_value(v)))
            return false;
    }
    return true;
}

// One dry run of the first object behind it says whether a webhook answers.
static void probe(struct writer *w, int gate)
{
    struct gate *g = &w->gates.v[gate];
    if (g->is_open || g->is_probing || g->next_ms > clock_mono_ms() ||
        !all_known(g->configs, w->has_ca) || !all_known(g->services, w->answers))
        return;
    for (unsigned i = 0; i < w->n; i++) {
        if (w->items[i].gate != gate || w->items[i].pending)
            continue;
        g->is_probing = true;
        send(w, i, true, on_probe);
        return;
    }
}

// ---- the file ----
static bool read_item(struct writer *w, unsigned i, const json_t *doc, struct err *err)
{
    struct item *x = &w->items[i];
    if (!object_id_of(doc, &x->id, &x->version, err))
        return false;
    const struct kind_info *k = kinds_find(w->kinds, x->id.group, x->version, x->id.kind);
    if (!k)
        return err_set(err, ERR_INVALID, "unknown kind %s", x->id.kind);
    x->path = kind_path(k, x->id.namespace, x->id.name);
    x->is_crd = !strcmp(x->id.kind, "CustomResourceDefinition");
    x->is_checked = health_has_check(NULL, x->id.group, x->id.kind);
    canon_write(doc, &x->body);
    CLEANUP(str_freep) char *key = object_key(&x->id);
    json_object_set_new(w->by_key, key, json_integer(i));
    return true;
}

static bool read_waits(struct writer *w, unsigned i, const json_t *after, struct err *err)
{
    size_t k;
    json_t *e;
    json_array_foreach(after, k, e)
    {
        size_t to = (size_t)json_integer_value(json_array_get(e, 0));
        const char *need = json_string_value(json_array_get(e, 1));
        if (to >= w->n || !need)
            return err_set(err, ERR_INVALID, "object %u waits for something unknown", i);
        *vec_push(&w->items[to].behind) = (struct wait){i, !strcmp(need, "ready")};
        w->items[i].pending++;
    }
    return true;
}

static bool read_file(struct writer *w, const json_t *file, struct err *err)
{
    const json_t *objects = json_object_get(file, "objects");
    w->n = w->left = json_array_size(objects);
    w->items = mem_alloc((w->n + 1) * sizeof(*w->items));
    size_t i;
    json_t *v;
    json_array_foreach(objects, i, v)
    {
        if (str_eq(json_dot_str(v, "kind"), "CustomResourceDefinition"))
            kinds_add_crd(w->kinds, v);
    }
    json_array_foreach(objects, i, v)
    {
        if (!read_item(w, (unsigned)i, v, err))
            return false;
    }
    json_array_foreach(json_object_get(file, "gates"), i, v)
    {
        struct gate *g = vec_push(&w->gates);
        g->configs = json_object_get(v, "configs");
        g->services = json_object_get(v, "services");
    }
    for (i = 0; i < w->n; i++) {
        const json_t *g = json_array_get(json_object_get(file, "gate"), i);
        w->items[i].gate = json_is_integer(g) ? (int)json_integer_value(g) : -1;
        if (!read_waits(w, (unsigned)i, json_array_get(json_object_get(file, "after"), i), err))
            return false;
    }
    return true;
}

static bool run(struct writer *w, struct err *err)
{
    int64_t start = clock_mono_ms();
    if (w->gates.len) {
        watch_kind(w, "admissionregistration.k8s.io", "v1", "MutatingWebhookConfiguration");
        watch_kind(w, "admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration");
        watch_kind(w, "discovery.k8s.io", "v1", "EndpointSlice");
    }
    for (unsigned i = 0; i < w->n; i++)
        queue(w, i);
    while (w->left) {
        pump(w);
        for (size_t i = 0; i < w->gates.len; i++)
            probe(w, (int)i);
        if (w->refused)
            return err_set(err, ERR_CONFLICT, "the order was wrong");
        if (clock_mono_ms() - start > LIMIT_MS)
            return err_set(err, ERR_TIMEOUT, "%zu objects are not ready", w->left);
        loop_run_once(w->loop, 20);
    }
    printf("{\"objects\": %zu, \"probes\": %zu, \"ms\": %lld}\n", w->n, w->probes,
           (long long)(clock_mono_ms() - start));
    return true;
}

static void writer_clear(struct writer *w)
{
    for (size_t i = 0; i < w->n; i++) {
        object_id_clear(&w->items[i].id);
        free(w->items[i].version);
        free(w->items[i].path);
        buf_clear(&w->items[i].body);
        vec_clear(&w->items[i].behind);
    }
    for (size_t i = 0; i < w->watched.len; i++) {
        free(w->watched.v[i].group);
        free(w->watched.v[i].kind);
    }
    free(w->items);
    vec_clear(&w->gates);
    vec_clear(&w->watched);
    vec_clear(&w->queue);
    vec_clear(&w->crds);
    json_decref(w->by_key);
    json_decref(w->has_ca);
    json_decref(w->answers);
}

static bool begin(char **argv, struct err *err)
{
    struct loop *l CLEANUP(loop_freep) = loop_new(NULL);
    struct kubeconfig *c CLEANUP(kubeconfig_freep) = NULL;
    struct kube *k CLEANUP(kube_freep) = NULL;
    struct kinds *kinds CLEANUP(kinds_freep) = kinds_new();
    struct kubeconfig_opts co = {0};
    struct kube_opts ko = {.user_agent = "bench/1"};
    struct buf b CLEANUP(buf_clear) = {0};
    CLEANUP(json_freep) json_t *file = NULL;
    if (!file_read(argv[1], 256U << 20, &b, err) || !canon_read(b.p, b.len, &file, err) ||
        !kubeconfig_load(&co, &c, err))
        return false;
    k = kube_new(l, c, &ko);
    if (!kube_connect(k, 0, kinds, err))
        return false;
    struct writer w = {.loop = l,
                       .k = k,
                       .kinds = kinds,
                       .by_key = json_object(),
                       .has_ca = json_object(),
                       .answers = json_object(),
                       .window = (unsigned)atoi(argv[2]),
                       .crd_window = (unsigned)atoi(argv[3])};
    bool ok = read_file(&w, file, err) && run(&w, err);
    writer_clear(&w);
    return ok;
}

int main(int argc, char **argv)
{
    struct err err = {0};
    if (argc != 4) {
        fprintf(stderr, "usage: ordered FILE WINDOW CRDS\n");
        return 2;
    }
    if (!begin(argv, &err)) {
        fprintf(stderr, "ordered: %s\n", err.msg);
        return 1;
    }
    return 0;
}
