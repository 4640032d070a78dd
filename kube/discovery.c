// SPDX-License-Identifier: Apache-2.0
//
// Version, served kinds and the cluster's name (spec kubernetes-api section 2).
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube/kube_int.h"

#define AWAITED_MS 1000 // before it is said that a server is waited for
#define AWAITED_AGAIN_MS 60000
#define ACCEPT                                                                                     \
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"                        \
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"

const char *kube_version(const struct kube *k)
{
    return k->version ? k->version : "";
}

int kube_minor(const struct kube *k)
{
    return k->minor;
}

const char *kube_cluster_uid(const struct kube *k)
{
    return k->cluster_uid;
}

const struct strv *kube_stale_groups(const struct kube *k)
{
    return &k->stale_groups;
}

static bool has_verb(const json_t *verbs, const char *verb)
{
    size_t i;
    json_t *v;
    json_array_foreach(verbs, i, v)
    {
        if (str_eq(json_string_value(v), verb))
            return true;
    }
    return false;
}

static void add_kind(struct kinds *kinds, const char *group, const char *version, const char *kind,
                     const char *plural, bool is_namespaced, const json_t *verbs)
{
    if (!plural || !kind || strchr(plural, '/'))
        return;
    kinds_add(kinds, group, version, kind, plural, is_namespaced, true);
    kinds_set_verbs(kinds, group, version, kind, has_verb(verbs, "patch"),
                    has_verb(verbs, "list") && has_verb(verbs, "watch"));
}

// The backend of this group does not answer: what it serves is unknown, not absent.
static void note_stale(struct kube *k, const char *group)
{
    if (!strv_has(&k->stale_groups, group))
        strv_push(&k->stale_groups, group);
}

static void add_groups(struct kube *k, struct kinds *kinds, const json_t *list)
{
    size_t i;
    size_t j;
    size_t l;
    json_t *g;
    json_t *v;
    json_t *r;
    json_array_foreach(json_object_get(list, "items"), i, g)
    {
        const char *name = json_dot_str(g, "metadata.name");
        const char *group = name ? name : "";
        json_array_foreach(json_object_get(g, "versions"), j, v)
        {
            const char *version = json_dot_str(v, "version");
            if (!version)
                continue;
            if (str_eq(json_dot_str(v, "freshness"), "Stale"))
                note_stale(k, group);
            json_array_foreach(json_object_get(v, "resources"), l, r)
            {
                add_kind(kinds, group, version, json_dot_str(r, "responseKind.kind"),
                         json_dot_str(r, "resource"),
                         str_eq(json_dot_str(r, "scope"), "Namespaced"),
                         json_object_get(r, "verbs"));
            }
        }
    }
}

static bool get(struct kube *k, const char *path, const char *accept, json_t **out,
                struct kube_reply *reply, struct buf *store, struct err *err)
{
    struct kube_call c = {.method = "GET", .path = path, .accept = accept, .timeout_ms = 20000};
    if (k->version) // who has answered once is waited for; the first answer is wait_version's
        c.patience_ms = KUBE_PATIENCE_MS;
    kube_send_wait(k, &c, reply, store);
    if (reply->cls == KUBE_UNAUTHORIZED)
        return auth_explain(k->config, err);
    if (reply->cls != KUBE_OK)
        return kube_reply_err(reply, err, k->config->server);
    struct err bad = {0};
    if (!canon_read(reply->body, reply->body_len, out, &bad)) {
        err_clear(&bad);
        return err_set(err, ERR_UNAVAILABLE, "%s does not answer like a Kubernetes API server",
                       k->config->server);
    }
    return true;
}

// What curl could not do with a certificate: theirs, or ours.
static bool explain_tls(const struct kube *k, CURLcode code, const char *why, struct err *err)
{
    const struct kubeconfig *c = k->config;
    CLEANUP(str_freep) char *text = str_dup(why);
    err_clear(err);
    if (code == CURLE_SSL_CACERT_BADFILE) {
        err_set(err, ERR_INVALID, "%s: certificate-authority holds no certificate", c->server);
        return err_hint(err, "Check the cluster of context %s in the kubeconfig.", c->context);
    }
    if (code == CURLE_SSL_CERTPROBLEM) {
        err_set(err, c->exec ? ERR_DENIED : ERR_INVALID,
                "%s: the client certificate cannot be used: %s", c->server, text);
        if (c->exec)
            return err_hint(err, "Check what credential plugin %s prints.", c->exec->command);
        return err_hint(err,
                        "Check client-certificate and client-key of context %s: they must "
                        "belong together.",
                        c->context);
    }
    err_set(err, ERR_DENIED, "%s: %s", c->server, text);
    return !tls_clock_hint(text, err) &&
           err_hint(err, "Check certificate-authority and tls-server-name in the kubeconfig.");
}

static bool is_certificate_error(CURLcode c)
{
    return c == CURLE_PEER_FAILED_VERIFICATION || c == CURLE_SSL_CERTPROBLEM ||
           c == CURLE_SSL_CACERT_BADFILE || c == CURLE_SSL_ISSUER_ERROR;
}

static bool read_version(struct kube *k, struct err *err)
{
    struct kube_reply r;
    struct buf store CLEANUP(buf_clear) = {0};
    CLEANUP(json_freep) json_t *v = NULL;
    if (!get(k, "/version", NULL, &v, &r, &store, err)) {
        if (r.cls == KUBE_LOST && is_certificate_error(k->last_code))
            return explain_tls(k, k->last_code, r.message, err);
        return false;
    }
    str_set(&k->version, json_dot_str(v, "gitVersion"));
    const char *minor = json_dot_str(v, "emulationMinor");
    if (str_is_empty(minor))
        minor = json_dot_str(v, "minor");
    k->minor = minor ? atoi(minor) : 0;
    return k->version != NULL ||
           err_set(err, ERR_UNAVAILABLE, "%s does not answer like a Kubernetes API server",
                   k->config->server);
}

// It is being waited for: said soon, and again from time to time, whatever the loop is doing.
struct awaited {
    struct kube *k;
    struct loop_timer *timer;
    int64_t began_ms, wait_ms;
    const char *why; // what the last try said; NULL: there is no answer at all yet
};

static void on_awaited(void *ctx)
{
    const struct awaited *a = ctx;
    event_emit(a->k->opts.events, "kube.awaited", "{s:s, s:s, s:I, s:I, s:s*}", "server",
               a->k->config->server, "context", a->k->config->context, "ms",
               (json_int_t)(clock_mono_ms() - a->began_ms), "wait_ms", (json_int_t)a->wait_ms,
               "message", a->why);
    loop_timer_set(a->timer, AWAITED_AGAIN_MS);
}

// The caller's time is up, or it was told to stop; more time would help where a server is coming
// up.
static bool given_up(const struct kube *k, const char *why, struct err *err)
{
    err_clear(err);
    (void)loop_stopped(k->loop, err, "waiting for the API server");
    if (!loop_is_late(k->loop))
        return false;
    if (why)
        err_wrap(err, "%s", why);
    return err_hint(err,
                    "Check that it is up and can be reached, and that context %s is the one "
                    "you mean; if it is only just coming up, wait longer.",
                    k->config->context ? k->config->context : "(none)");
}

static bool try_version(struct kube *k, struct awaited *a, struct err *err)
{
    int64_t end = a->began_ms + a->wait_ms;
    int64_t pause = 200;
    CLEANUP(str_freep) char *why = NULL;
    for (;;) {
        if (read_version(k, err))
            return true;
        str_set(&why, err->msg);
        a->why = why;
        if (loop_stopping(k->loop))
            return given_up(k, why, err);
        int64_t now = clock_mono_ms();
        if (err->kind != ERR_UNAVAILABLE || now >= end)
            return false;
        err_clear(err);
        int64_t until = now + pause < end ? now + pause : end; // once more when the time is up
        while (clock_mono_ms() < until && !loop_stopping(k->loop))
            loop_run_once(k->loop, until - clock_mono_ms());
        if (loop_stopping(k->loop))
            return given_up(k, why, err);
        pause = pause * 2 > 2000 ? 2000 : pause * 2;
    }
}

static bool wait_version(struct kube *k, int64_t wait_ms, struct err *err)
{
    struct awaited a = {.k = k, .began_ms = clock_mono_ms(), .wait_ms = wait_ms};
    a.timer = loop_timer_new(k->loop, on_awaited, &a);
    if (wait_ms > AWAITED_MS)
        loop_timer_set(a.timer, AWAITED_MS);
    bool ok = try_version(k, &a, err);
    loop_timer_free(a.timer);
    return ok;
}

static bool read_uid(struct kube *k, struct err *err)
{
    struct kube_reply r;
    struct buf store CLEANUP(buf_clear) = {0};
    CLEANUP(json_freep) json_t *ns = NULL;
    if (get(k, "/api/v1/namespaces/kube-system", NULL, &ns, &r, &store, err)) {
        str_set(&k->cluster_uid, json_dot_str(ns, "metadata.uid"));
        return true;
    }
    // Not being allowed to read it only means that the cluster has no name for us; a server that
    // has just started may not have made it yet.
    if (r.cls == KUBE_DENIED || r.cls == KUBE_ABSENT) {
        err_clear(err);
        return true;
    }
    return false;
}

// ---- before aggregated discovery, or behind a proxy that does not pass its Accept header on ----
static bool add_resource_list(struct kube *k, struct kinds *kinds, const char *group,
                              const char *version, struct err *err)
{
    CLEANUP(str_freep)
    char *path =
        *group ? str_printf("/apis/%s/%s", group, version) : str_printf("/api/%s", version);
    struct kube_reply reply;
    struct buf store CLEANUP(buf_clear) = {0};
    CLEANUP(json_freep) json_t *list = NULL;
    if (!get(k, path, NULL, &list, &reply, &store, err)) {
        if (reply.cls != KUBE_GATE && reply.cls != KUBE_RETRY && reply.cls != KUBE_NO_KIND)
            return false;
        err_clear(err);
        if (reply.cls != KUBE_NO_KIND)
            note_stale(k, group);
        return true;
    }
    size_t i;
    json_t *r;
    json_array_foreach(json_object_get(list, "resources"), i, r)
    {
        add_kind(kinds, group, version, json_dot_str(r, "kind"), json_dot_str(r, "name"),
                 json_dot_bool(r, "namespaced", false), json_object_get(r, "verbs"));
    }
    return true;
}

static bool add_old_groups(struct kube *k, struct kinds *kinds, const json_t *list, struct err *err)
{
    size_t i;
    size_t j;
    json_t *g;
    json_t *v;
    json_array_foreach(json_object_get(list, "versions"), i, v)
    {
        if (json_is_string(v) && !add_resource_list(k, kinds, "", json_string_value(v), err))
            return false;
    }
    json_array_foreach(json_object_get(list, "groups"), i, g)
    {
        const char *group = json_dot_str(g, "name");
        json_array_foreach(json_object_get(g, "versions"), j, v)
        {
            const char *version = json_dot_str(v, "version");
            if (group && version && !add_resource_list(k, kinds, group, version, err))
                return false;
        }
    }
    return true;
}

static bool discover(struct kube *k, const char *root, struct kinds *kinds, struct err *err)
{
    struct kube_reply r;
    struct buf store CLEANUP(buf_clear) = {0};
    CLEANUP(json_freep) json_t *list = NULL;
    if (!get(k, root, ACCEPT, &list, &r, &store, err))
        return false;
    const char *kind = json_dot_str(list, "kind");
    if (str_eq(kind, "APIGroupDiscoveryList")) {
        add_groups(k, kinds, list);
        return true;
    }
    if (str_eq(kind, "APIVersions") || str_eq(kind, "APIGroupList"))
        return add_old_groups(k, kinds, list, err);
    return err_set(err, ERR_UNAVAILABLE, "%s does not answer like a Kubernetes API server",
                   k->config->server);
}

bool kube_connect(struct kube *k, int64_t wait_ms, struct kinds *kinds, struct err *err)
{
    alive_begin(k);
    if (!wait_version(k, wait_ms, err))
        return false;
    strv_clear(&k->stale_groups);
    return discover(k, "/api", kinds, err) && discover(k, "/apis", kinds, err) && read_uid(k, err);
}

struct rediscovery {
    struct kube *k;
    struct kinds *kinds;
    void (*done)(void *ctx, struct err *err);
    void *ctx;
};

static void on_groups(void *ctx, const struct kube_reply *r)
{
    struct rediscovery *d = ctx;
    struct err err = {0};
    CLEANUP(json_freep) json_t *list = NULL;
    if (r->cls != KUBE_OK) {
        kube_reply_err(r, &err, "discovery");
    } else if (canon_read(r->body, r->body_len, &list, &err)) {
        strv_clear(&d->k->stale_groups);
        add_groups(d->k, d->kinds, list);
    }
    d->done(d->ctx, &err);
    err_clear(&err);
    free(d);
}

struct kube_request *kube_rediscover(struct kube *k, struct kinds *kinds,
                                     void (*done)(void *ctx, struct err *err), void *ctx)
{
    struct rediscovery *d = mem_alloc(sizeof(*d));
    *d = (struct rediscovery){k, kinds, done, ctx};
    struct kube_call c = {
        .method = "GET", .path = "/apis", .accept = ACCEPT, .patience_ms = KUBE_PATIENCE_MS};
    return kube_send(k, &c, on_groups, d);
}
