// SPDX-License-Identifier: Apache-2.0
#include "cli/serving.h"

#include <stdlib.h>
#include <string.h>

static json_t *applications(void *ctx)
{
    struct serving *v = ctx;
    return controller_applications(v->controller);
}

static json_t *application(void *ctx, const char *name)
{
    struct serving *v = ctx;
    return controller_application(v->controller, name);
}

static json_t *fleet(void *ctx)
{
    struct serving *v = ctx;
    struct controller_counts n;
    json_t *doc = controller_fleet(v->controller);
    controller_counts(v->controller, &n);
    if (!doc && !n.is_leading)
        return NULL;
    if (!doc)
        doc = json_pack("{s:[{s:s, s:s, s:b}]}", "clusters", "name",
                        kubeconfig_context(v->session->config), "state",
                        kube_is_down(v->session->kube) ? "unreachable" : "ok", "leader", 1);
    if (v->snapshots)
        json_object_set_new(doc, "snapshots", snapshotting_doc(v->snapshots));
    return doc;
}

static void histogram(struct buf *out, const char *name, const struct prom_histogram *h)
{
    web_metric_family(out, name);
    prom_histogram(out, name, h, NULL, NULL);
}

// A cluster is one of the registered ones, of which there are at most a thousand.
static void cluster_metrics(const struct serving *v, struct buf *out)
{
    static const char *const states[] = {"ok",      "standby",    "unreachable",
                                         "refused", "connecting", "waiting"};
    CLEANUP(json_freep) json_t *doc = fleet((void *)v);
    const json_t *clusters = json_object_get(doc, "clusters");
    unsigned n[ARRAY_LEN(states)] = {0};
    size_t i;
    json_t *x;
    json_array_foreach((json_t *)clusters, i, x)
    {
        for (size_t k = 0; k < ARRAY_LEN(states); k++)
            n[k] += str_eq(json_dot_str(x, "state"), states[k]);
    }
    web_metric_family(out, "regrow_clusters");
    for (size_t k = 0; k < ARRAY_LEN(states); k++)
        prom_sample(out, "regrow_clusters", n[k], "state", states[k], NULL);
    web_metric_family(out, "regrow_cluster_up");
    json_array_foreach((json_t *)clusters, i, x)
    {
        if (json_dot_bool(x, "leader", false))
            prom_sample(out, "regrow_cluster_up", str_eq(json_dot_str(x, "state"), "ok"), "cluster",
                        json_dot_text(x, "name"), NULL);
    }
    web_metric_family(out, "regrow_cluster_applications");
    json_array_foreach((json_t *)clusters, i, x)
    {
        if (json_dot_bool(x, "leader", false))
            prom_sample(out, "regrow_cluster_applications",
                        (double)json_dot_int(x, "applications", 0), "cluster",
                        json_dot_text(x, "name"), NULL);
    }
    if (json_object_get(doc, "replicas"))
        web_metric(out, "regrow_replicas", (double)json_dot_int(doc, "replicas", 1));
}

static void git_metrics(const struct source_counts *n, struct buf *out)
{
    const struct {
        const char *type, *result;
        unsigned long n;
    } rows[] = {{"ls-refs", "ok", n->lists},
                {"ls-refs", "failed", n->failed_lists},
                {"fetch", "ok", n->fetches},
                {"fetch", "failed", n->failed_fetches}};
    web_metric_family(out, "regrow_git_requests_total");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        prom_sample(out, "regrow_git_requests_total", (double)rows[i].n, "request_type",
                    rows[i].type, "result", rows[i].result, NULL);
}

static void metrics(void *ctx, struct buf *out)
{
    struct serving *v = ctx;
    struct controller_counts n;
    controller_counts(v->controller, &n);
    web_metric(out, "regrow_leader", n.is_leading);
    web_metric_family(out, "regrow_app_sync_total");
    prom_sample(out, "regrow_app_sync_total", (double)n.syncs, "phase", "Succeeded", NULL);
    prom_sample(out, "regrow_app_sync_total", (double)n.failed_syncs, "phase", "Failed", NULL);
    prom_sample(out, "regrow_app_sync_total", (double)n.refused_syncs, "phase", "Error", NULL);
    histogram(out, "regrow_app_reconcile_seconds", &n.turn_s);
    histogram(out, "regrow_source_load_seconds", &n.load_s);
    web_metric(out, "regrow_source_load_failures_total", (double)n.load_failures);
    git_metrics(&v->sources, out);
    web_metrics_kube(out, v->session->kube);
    web_metric(out, "regrow_drift_total", (double)n.drifts);
    web_metric(out, "regrow_drift_healed_total", (double)n.heals);
    histogram(out, "regrow_drift_heal_seconds", &n.heal_s);
    web_metric(out, "regrow_pruned_total", (double)n.pruned);
    web_metric(out, "regrow_queue_depth", (double)n.queue);
    web_metric(out, "regrow_breaker_open", n.is_breaker_open);
    if (v->snapshots)
        snapshotting_metrics(v->snapshots, out);
    cluster_metrics(v, out);
    if (n.last_turn_unix_s)
        web_metric(out, "regrow_last_turn_timestamp_seconds", (double)n.last_turn_unix_s);
}

static bool ready(void *ctx, char **why)
{
    const struct serving *v = ctx;
    return controller_is_ready(v->controller, why);
}

static void pushed(void *ctx, const struct web_push *push)
{
    struct serving *v = ctx;
    controller_pushed(v->controller, &push->repos);
}

// What is not known is refused, never dropped.
static bool are_known(const char *action, const json_t *args, struct err *err)
{
    const char *known = !strcmp(action, "sync")      ? "prune"
                        : !strcmp(action, "refresh") ? "hard"
                                                     : NULL;
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)args, key, v)
    {
        if (!str_eq(key, known))
            return err_set(err, ERR_INVALID, "%s does not know \"%.100s\"", action, key);
        if (!json_is_boolean(v))
            return err_set(err, ERR_INVALID, "%s of %s is to be true or false", key, action);
    }
    return true;
}

static json_t *request_of(const char *action, const json_t *args, const char *who)
{
    if (!strcmp(action, "sync"))
        return control_ask_sync(json_dot_bool(args, "prune", false), who ? who : "anonymous");
    if (!strcmp(action, "refresh"))
        return control_ask_refresh(json_dot_bool(args, "hard", false) ? REFRESH_HARD
                                                                      : REFRESH_NORMAL);
    return control_ask_suspend(!strcmp(action, "suspend"));
}

static bool act(void *ctx, const char *app, const char *action, const json_t *args, const char *who,
                struct err *err)
{
    struct serving *v = ctx;
    if (!are_known(action, args, err))
        return false;
    CLEANUP(json_freep) json_t *request = request_of(action, args, who);
    return controller_ask(v->controller, app, request, err);
}

static bool is_loopback(const char *listen)
{
    return str_starts(listen, "127.") || str_starts(listen, "[::1]:") ||
           str_starts(listen, "localhost:");
}

static void fill(const struct reconcile_options *r, struct web_opts *o)
{
    o->listen = r->listen;
    o->tls_cert = r->tls_cert;
    o->tls_key = r->tls_key;
    o->tls_dir = r->tls_dir;
    o->webhook_secrets = &r->webhook_secrets;
    o->webhook_secret_dir = r->webhook_secret_dir;
}

bool serving_check(const struct cli *c, struct err *err)
{
    struct web_opts o = {0};
    fill(&c->o.reconcile, &o);
    if (!o.listen || web_opts_check(&o, err))
        return true;
    return !o.tls_cert != !o.tls_key ? err_hint(err, "Give --tls-cert and --tls-key, or neither.")
                                     : false;
}

bool serving_begin(struct cli *c, struct session *s, struct serving *v, struct err *err)
{
    const struct reconcile_options *r = &c->o.reconcile;
    bool local = is_loopback(r->listen);
    v->session = s;
    v->hooks = (struct web_hooks){.applications = applications,
                                  .application = application,
                                  .fleet = fleet,
                                  .metrics = metrics,
                                  .ready = ready,
                                  .pushed = pushed,
                                  .act = act,
                                  .ctx = v};
    struct web_opts o = {.self_signed = !local && !r->tls_cert,
                         .auth = local ? WEB_AUTH_NONE : WEB_AUTH_REVIEW,
                         .kube = s->kube,
                         .events = &v->own,
                         .hooks = &v->hooks};
    fill(r, &o);
    return web_server_new(c->loop, &o, &v->web, err);
}
