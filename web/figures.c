// SPDX-License-Identifier: Apache-2.0
#include "web/web_int.h"

#include <assert.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"

static const struct {
    const char *name, *type, *help;
} metrics[] = {
#define METRIC(name, type, help) {name, type, help},
#include "web/metrics.inc"
#undef METRIC
};

void web_metric_family(struct buf *out, const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(metrics); i++)
        if (!strcmp(metrics[i].name, name)) {
            prom_family(out, name, metrics[i].type, metrics[i].help);
            return;
        }
    assert(!"a metric that is not in web/metrics.inc");
}

void web_metric(struct buf *out, const char *name, double value)
{
    web_metric_family(out, name);
    prom_sample(out, name, value, NULL);
}

void web_metrics_kube(struct buf *out, const struct kube *k)
{
    struct kube_stats s = kube_stats(k);
    web_metric(out, "regrow_kube_requests_total", (double)s.requests);
    web_metric(out, "regrow_kube_writes_total", (double)s.writes);
    web_metric(out, "regrow_kube_rejected_total", (double)s.rejected);
    web_metric(out, "regrow_kube_throttled_total", (double)s.throttled);
    web_metric(out, "regrow_kube_lost_total", (double)s.lost);
}

// ---- applications ----

static const char *text_of(const json_t *app, const char *field)
{
    return json_string_value(json_object_get(app, field));
}

static void per_app(const json_t *apps, const char *metric, const char *field, struct buf *out)
{
    size_t i;
    json_t *app;
    web_metric_family(out, metric);
    json_array_foreach(apps, i, app)
        prom_sample(out, metric, (double)json_dot_int(app, field, 0), "cluster",
                    text_of(app, "cluster"), "name", text_of(app, "name"), "namespace",
                    text_of(app, "namespace"), "project", text_of(app, "project"), NULL);
}

static void applications(struct web_server *w, struct buf *out)
{
    const struct web_hooks *h = w->o.hooks;
    json_t *doc = h->applications(h->ctx);
    const json_t *apps = json_object_get(doc, "applications");
    size_t i;
    json_t *app;
    web_metric_family(out, "regrow_app_info");
    json_array_foreach(apps, i, app) prom_sample(
        out, "regrow_app_info", 1, "cluster", text_of(app, "cluster"), "health_status",
        text_of(app, "health"), "name", text_of(app, "name"), "namespace",
        text_of(app, "namespace"), "operation", json_string_value(json_dot(app, "operation.phase")),
        "project", text_of(app, "project"), "suspended",
        json_dot_bool(app, "suspended", false) ? "true" : "false", "sync_status",
        text_of(app, "sync"), NULL);
    per_app(apps, "regrow_app_objects", "objects", out);
    per_app(apps, "regrow_app_differing_objects", "differing", out);
    json_decref(doc);
}

// ---- the server ----

static void requests(const struct web_server *w, struct buf *out)
{
    const char *path, *code;
    json_t *codes, *n;
    web_metric_family(out, "regrow_http_requests_total");
    json_object_foreach(w->codes, path, codes) json_object_foreach(codes, code, n)
        prom_sample(out, "regrow_http_requests_total", (double)json_integer_value(n), "code", code,
                    "path", path, NULL);
}

static void deliveries(const struct web_server *w, struct buf *out)
{
    static const char *const results[] = {"pushed", "ignored", "refused", "malformed"};
    web_metric_family(out, "regrow_webhook_deliveries_total");
    for (int h = 0; h < PUSH_HOSTS; h++)
        for (size_t r = 0; r < ARRAY_LEN(results); r++)
            prom_sample(out, "regrow_webhook_deliveries_total", (double)w->counts.deliveries[h][r],
                        "host", push_host_name(h), "result", results[r], NULL);
}

static void reviews(const struct web_server *w, struct buf *out)
{
    static const char *const kinds[] = {"token", "access"};
    static const char *const results[] = {"allowed", "denied", "failed"};
    web_metric_family(out, "regrow_reviews_total");
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
        for (size_t r = 0; r < ARRAY_LEN(results); r++)
            prom_sample(out, "regrow_reviews_total", (double)w->counts.reviews[k][r], "kind",
                        kinds[k], "result", results[r], NULL);
}

static void server(const struct web_server *w, struct buf *out)
{
    size_t open = 0;
    for (const struct front *f = w->fronts; f; f = f->next)
        open += f->n_conns;
    web_metric_family(out, "regrow_build_info");
    prom_sample(out, "regrow_build_info", 1, "version", REGROW_VERSION, NULL);
    requests(w, out);
    web_metric(out, "regrow_http_connections", (double)open);
    web_metric(out, "regrow_http_cut_total", (double)w->counts.cut);
    web_metric(out, "regrow_event_streams", (double)streams_count(w->streams));
    web_metric(out, "regrow_event_streams_dropped_total", (double)w->counts.dropped);
    deliveries(w, out);
    reviews(w, out);
    if (w->tls_expires_s)
        web_metric(out, "regrow_tls_certificate_expiry_timestamp_seconds",
                   (double)w->tls_expires_s);
}

// ---- the process ----

static size_t open_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    size_t n = 0;
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n > 3 ? n - 3 : 0; // ".", ".." and the folder's own
}

static bool read_text(const char *path, char *to, size_t size)
{
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(to, 1, size - 1, f) : 0;
    if (f)
        fclose(f);
    to[n] = 0;
    return n > 0;
}

// Unix time at which the process began: field 22 counts ticks since the machine did.
static double started_s(void)
{
    char stat[1024];
    const char *p = read_text("/proc/self/stat", stat, sizeof(stat)) ? strrchr(stat, ')') : NULL;
    for (int field = 2; p && field < 22; field++)
        p = strchr(p + 1, ' ');
    double since_boot = p ? strtod(p + 1, NULL) / (double)sysconf(_SC_CLK_TCK) : 0;
    return (double)(clock_unix_ms() - clock_boot_ms()) / 1000 + since_boot;
}

static void figures_process(struct buf *out)
{
    char statm[256];
    struct rusage u = {0};
    struct rlimit fds = {0};
    double page = (double)sysconf(_SC_PAGESIZE);
    char *end = statm;
    getrusage(RUSAGE_SELF, &u);
    getrlimit(RLIMIT_NOFILE, &fds);
    web_metric(out, "process_cpu_seconds_total",
               (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
                   (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
    if (read_text("/proc/self/statm", statm, sizeof(statm))) {
        double all = strtod(statm, &end);
        web_metric(out, "process_virtual_memory_bytes", all * page);
        web_metric(out, "process_resident_memory_bytes", strtod(end, NULL) * page);
    }
    web_metric(out, "process_open_fds", (double)open_fds());
    web_metric(out, "process_max_fds", (double)fds.rlim_cur);
    web_metric(out, "process_start_time_seconds", started_s());
}

void figures_answer(struct ask *a)
{
    struct buf b CLEANUP(buf_clear) = {0};
    const struct web_hooks *h = a->w->o.hooks;
    server(a->w, &b);
    applications(a->w, &b);
    if (h->metrics)
        h->metrics(h->ctx, &b);
    figures_process(&b);
    web_respond(a, 200, "text/plain; version=0.0.4; charset=utf-8", &b);
}
