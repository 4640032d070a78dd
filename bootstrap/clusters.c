// SPDX-License-Identifier: Apache-2.0
//
// A hub's other clusters: what each serves, asked of it where that can be, and what goes there.
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bootstrap/bootstrap.h"

#define ANSWER_MS 5000 // for all of them side by side: a dead one holds a snapshot up no longer

// One that is asked.
struct asking {
    struct kubeconfig *config;
    struct kube *kube;
    bool is_over, is_there;
    char *problem;
};

static bool has_text(const json_t *secret, const char *key, const char *want)
{
    const char *coded = json_string_value(json_object_get(json_object_get(secret, "data"), key));
    struct buf b CLEANUP(buf_clear) = {0};
    if (!want || !coded || !base64_decode(coded, strlen(coded), &b) || !b.len)
        return false;
    while (b.len > 1 && b.p[b.len - 1] == '/')
        b.p[--b.len] = 0; // as the source room knows it
    return !strcmp(b.p, want);
}

// Its Secret, as it is in the cluster; NULL: there is none, or it may not be read.
static const json_t *secret_of(const json_t *docs, const struct source_cluster *c)
{
    size_t i;
    json_t *doc;
    json_array_foreach((json_t *)docs, i, doc)
    {
        bool is_cluster = str_eq(json_label(doc, ARGOCD_SECRET_TYPE), "cluster");
        if (is_cluster &&
            (c->server ? has_text(doc, "server", c->server) : has_text(doc, "name", c->name)))
            return doc;
    }
    return NULL;
}

static void on_version(void *ctx, const struct kube_reply *r)
{
    struct asking *a = ctx;
    a->is_over = true;
    a->is_there = r->cls == KUBE_OK;
    if (a->is_there)
        return;
    struct err err = {0};
    kube_reply_err(r, &err, "it does not answer");
    a->problem = str_dup(err.msg);
    err_clear(&err);
}

static void begin(struct session *s, struct asking *a, const struct source_cluster *c)
{
    struct kube_opts o = {.user_agent = "regrow/" REGROW_VERSION " (linux)",
                          .field_manager = "regrow"};
    struct kube_call call = {.method = "GET", .path = "/version", .timeout_ms = ANSWER_MS};
    struct err err = {0};
    const json_t *secret = secret_of(s->argocd, c);
    a->is_over = true;
    if (!secret) {
        a->problem = str_dup(s->kube ? "no Secret registers it that could be read"
                                     : "no cluster was read, where it is registered");
    } else if (!kubeconfig_of_argocd(secret, &a->config, &err)) {
        a->problem = str_dup(err.msg);
        err_clear(&err);
    } else {
        a->kube = kube_new(s->loop, a->config, &o);
        a->is_over = false;
        kube_send(a->kube, &call, on_version, a);
    }
}

static bool all_over(const struct asking *all, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!all[i].is_over)
            return false;
    return true;
}

static void take_answer(struct asking *a, struct source_cluster *c)
{
    struct err err = {0};
    struct kinds *kinds CLEANUP(kinds_freep) = kinds_new();
    if (a->is_there && kube_connect(a->kube, 0, kinds, &err)) {
        const char *v = kube_version(a->kube);
        c->kube_version = str_dup(*v == 'v' ? v + 1 : v);
        c->kinds = TAKE(kinds);
        return;
    }
    c->not_asked =
        a->problem ? TAKE(a->problem) : str_dup(err.msg ? err.msg : "it does not answer");
    err_clear(&err);
}

static bool ask_all(struct session *s, struct source_clusters *out, struct err *err)
{
    struct asking *all = mem_alloc((out->v.len + 1) * sizeof(*all));
    int64_t end = clock_mono_ms() + ANSWER_MS;
    for (size_t i = 0; i < out->v.len; i++)
        begin(s, &all[i], &out->v.v[i]);
    while (!all_over(all, out->v.len) && clock_mono_ms() < end && !loop_stopping(s->loop))
        loop_run_once(s->loop, 200);
    for (size_t i = 0; i < out->v.len && !loop_stopping(s->loop); i++)
        take_answer(&all[i], &out->v.v[i]);
    for (size_t i = 0; i < out->v.len; i++) {
        kube_free(all[i].kube);
        kubeconfig_free(all[i].config);
        free(all[i].problem);
    }
    free(all);
    return !loop_stopping(s->loop) || loop_stopped(s->loop, err, "reading a hub's clusters");
}

bool session_load_clusters(struct session *s, struct source_clusters *out, struct err *err)
{
    source_clusters_of(s->source, s->desired, out);
    if (!out->v.len)
        return true;
    if (!ask_all(s, out, err))
        return false;
    for (size_t i = 0; i < out->v.len; i++)
        if (!source_load_cluster(s->source, s->desired, &out->v.v[i], err))
            return false;
    return true;
}
