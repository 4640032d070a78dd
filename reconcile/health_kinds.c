// SPDX-License-Identifier: Apache-2.0
//
// Kinds whose rule does not fit the table.
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reconcile/health_int.h"

// ---- Argo Rollouts ----

// A controller since 0.10 writes a number; one that is ahead of the object is an older kind of
// mark.
static bool rollout_is_observed(const json_t *o)
{
    const char *text = json_dot_str(o, "status.observedGeneration");
    long long now = json_dot_int(o, "metadata.generation", 0);
    long long n = json_dot_int(o, "status.observedGeneration", 0);
    if (text && !str_to_int(text, LLONG_MIN, LLONG_MAX, &n))
        return true;
    return !health_has(o, "status.observedGeneration") || n >= now;
}

static bool rollout_workload_is_observed(const json_t *o)
{
    const char *want = json_annotation(o, "rollout.argoproj.io/workload-generation");
    const json_t *seen = json_dot(o, "status.workloadObservedGeneration");
    long long a = 0;
    long long b = json_dot_int(o, "status.workloadObservedGeneration", 0);
    if (!health_has(o, "spec.workloadRef") || !health_has(o, "metadata.annotations"))
        return true;
    bool has_want = want && str_to_int(want, LLONG_MIN, LLONG_MAX, &a);
    bool has_seen =
        json_is_number(seen) ||
        (json_is_string(seen) && str_to_int(json_string_value(seen), LLONG_MIN, LLONG_MAX, &b));
    return has_want == has_seen && (!has_want || a == b);
}

static bool rollout_has_failed(const json_t *o, struct health_result *r)
{
    size_t i;
    json_t *c;
    json_array_foreach(json_dot(o, "status.conditions"), i, c)
    {
        const char *type = health_str(c, "type");
        const char *reason = health_str(c, "reason");
        bool stopped =
            !strcmp(reason, "RolloutAborted") || !strcmp(reason, "ProgressDeadlineExceeded");
        if (strcmp(type, "InvalidSpec") != 0 && (strcmp(type, "Progressing") != 0 || !stopped))
            continue;
        health_set(r, HEALTH_DEGRADED, "%s", health_str(c, "message"));
        return true;
    }
    return false;
}

// What the last step of its strategy still waits for; NULL: nothing.
static const char *rollout_waits_for(const json_t *o)
{
    long long updated = json_dot_int(o, "status.updatedReplicas", 0);
    const char *hash = json_dot_str(o, "status.currentPodHash");
    const char *stable = json_dot_str(o, "status.stableRS");
    stable = stable ? stable : json_dot_str(o, "status.canary.stableRS");
    if (updated < json_dot_int(o, "spec.replicas", 1))
        return "Waiting for roll out to finish: More replicas need to be updated";
    if (json_dot_int(o, "status.availableReplicas", 0) < updated)
        return "Waiting for roll out to finish: updated replicas are still becoming available";
    if (health_has(o, "spec.strategy.blueGreen")) {
        if (!str_eq(json_dot_str(o, "status.blueGreen.activeSelector"), hash))
            return "active service cutover pending";
        if (!str_is_empty(stable) && !str_eq(stable, hash))
            return "waiting for analysis to complete";
    } else if (health_has(o, "spec.strategy.canary")) {
        if (json_dot_int(o, "status.replicas", 0) > updated)
            return "Waiting for roll out to finish: old replicas are pending termination";
        if (str_is_empty(stable) || !str_eq(stable, hash))
            return "Waiting for rollout to finish steps";
    }
    return NULL;
}

// Since 1.0 the controller says phase and message itself; before, they are made out.
void health_rollout(const json_t *o, struct health_result *r)
{
    const char *phase = json_dot_str(o, "status.phase");
    if (!health_has(o, "status") || !rollout_is_observed(o) || !rollout_workload_is_observed(o)) {
        health_set(r, HEALTH_PROGRESSING, "Waiting for rollout spec update to be observed");
    } else if (phase) {
        enum health h = HEALTH_SUSPENDED;
        if (strcmp(phase, "Paused") != 0 && !health_parse(phase, &h))
            health_set(r, HEALTH_UNKNOWN, "Lua returned an invalid health status");
        else
            health_set(r, h, "%s", health_str(o, "status.message"));
    } else if (rollout_has_failed(o, r)) {
        return;
    } else if (json_array_size(json_dot(o, "status.pauseConditions")) ||
               json_dot_bool(o, "spec.paused", false)) {
        health_set(r, HEALTH_SUSPENDED, "Rollout is paused");
    } else if (!health_has(o, "status.currentPodHash")) {
        health_set(r, HEALTH_PROGRESSING,
                   "Waiting for rollout to finish: status has not been reconciled.");
    } else {
        const char *waits = rollout_waits_for(o);
        health_set(r, waits ? HEALTH_PROGRESSING : HEALTH_HEALTHY, "%s", waits ? waits : "");
    }
}

// ---- Gateway API ----

static const char *message_or(const json_t *c, const char *other)
{
    const char *m = json_dot_str(c, "message");
    return m ? m : other;
}

// One list of conditions of a gateway, listener or route: False refuses, not yet programmed waits.
static bool judge_gateway(const json_t *conditions, const char *prefix, const char *what,
                          struct health_result *r)
{
    static const char *const refusing[] = {"ResolvedRefs", "Accepted"};
    size_t i;
    json_t *c;
    for (size_t t = 0; t < ARRAY_LEN(refusing); t++) {
        json_array_foreach(conditions, i, c)
        {
            if (strcmp(health_str(c, "type"), refusing[t]) != 0 ||
                strcmp(health_str(c, "status"), "False") != 0)
                continue;
            CLEANUP(str_freep) char *other = str_printf("Failed condition: %s", refusing[t]);
            health_set(r, HEALTH_DEGRADED, "%s%s", prefix, message_or(c, other));
            return true;
        }
    }
    json_array_foreach(conditions, i, c)
    {
        if (strcmp(health_str(c, "type"), "Programmed") != 0 || health_is_true(c))
            continue;
        CLEANUP(str_freep) char *other = str_printf("%s is still being programmed", what);
        health_set(r, HEALTH_PROGRESSING, "%s%s", prefix, message_or(c, other));
        return true;
    }
    return false;
}

void health_gateway(const json_t *o, struct health_result *r)
{
    const json_t *conditions = json_dot(o, "status.conditions");
    const json_t *listeners = json_dot(o, "status.listeners");
    size_t i;
    json_t *l;
    if (judge_gateway(conditions, "", "Gateway", r))
        return;
    json_array_foreach(listeners, i, l)
    {
        if (judge_gateway(json_object_get(l, "conditions"), "Listener: ", "Listener", r))
            return;
    }
    if (json_is_array(conditions) || json_array_size(listeners))
        health_set(r, HEALTH_HEALTHY, "Gateway is healthy");
    else
        health_set(r, HEALTH_PROGRESSING, "Waiting for Gateway status");
}

// Does one of the conditions tell of another generation? Without a number it may (unless strict).
static bool is_stale(const json_t *o, const json_t *conditions, bool strict)
{
    const json_t *now = json_dot(o, "metadata.generation");
    size_t i;
    json_t *c;
    if (!json_is_number(now))
        return false;
    json_array_foreach(conditions, i, c)
    {
        const json_t *seen = json_object_get(c, "observedGeneration");
        if (json_is_number(seen) ? json_number_value(seen) != json_number_value(now) : strict)
            return true;
    }
    return false;
}

// HTTPRoutes look at the generation each parent has seen, GRPCRoutes do not.
void health_route(const json_t *o, struct health_result *r)
{
    const char *kind = health_str(o, "kind");
    bool counts_generation = !strcmp(kind, "HTTPRoute");
    bool has_verdict = false;
    size_t i;
    json_t *p;
    json_array_foreach(json_dot(o, "status.parents"), i, p)
    {
        const json_t *conditions = json_object_get(p, "conditions");
        if (!json_array_size(conditions) || (counts_generation && is_stale(o, conditions, false)))
            continue;
        CLEANUP(str_freep)
        char *prefix = str_printf("Parent %s: ", health_str(p, "parentRef.name"));
        if (judge_gateway(conditions, prefix, "Route", r))
            return;
        has_verdict = true;
    }
    if (has_verdict)
        health_set(r, HEALTH_HEALTHY, "%s is healthy", kind);
    else
        health_set(r, HEALTH_PROGRESSING, "Waiting for %s status", kind);
}

// One ancestor of a policy. False: it refuses, and nothing else counts.
static bool judge_ancestor(const json_t *a, const char *kind, bool must_accept,
                           struct health_result *r)
{
    const char *name = health_str(a, "ancestorRef.name");
    bool is_accepted = false;
    size_t i;
    json_t *c;
    json_array_foreach(json_object_get(a, "conditions"), i, c)
    {
        bool accepts = !strcmp(health_str(c, "type"), "Accepted");
        if (!accepts && strcmp(health_str(c, "type"), "ResolvedRefs") != 0)
            continue;
        if (!health_is_true(c)) {
            health_set(r, HEALTH_DEGRADED, "Ancestor %s: %s", name, health_str(c, "message"));
            return false;
        }
        if (accepts)
            health_set(r, HEALTH_HEALTHY, "%s is healthy", kind);
        is_accepted |= accepts;
    }
    if (must_accept && !is_accepted)
        health_set(r, HEALTH_DEGRADED, "Ancestor %s: %s is not accepted", name, kind);
    return true;
}

// Policies attached to something: BackendTLSPolicy, and the stricter ones of Airlock Microgateway.
void health_policy(const json_t *o, struct health_result *r)
{
    const char *kind = health_str(o, "kind");
    const json_t *ancestors = json_dot(o, "status.ancestors");
    bool strict = strcmp(kind, "BackendTLSPolicy") != 0;
    size_t i;
    json_t *a;
    health_set(r, HEALTH_PROGRESSING, "Waiting for %s status", kind);
    json_array_foreach(ancestors, i, a)
    {
        if (!is_stale(o, json_object_get(a, "conditions"), strict))
            continue;
        health_set(r, HEALTH_PROGRESSING, "Waiting for Ancestor %s to update %s status",
                   health_str(a, "ancestorRef.name"), kind);
        return;
    }
    json_array_foreach(ancestors, i, a)
    {
        if (!judge_ancestor(a, kind, strict, r))
            return;
    }
}

// ---- storage, search ----

// Details of Ceph's health, " (a; b)", in the order of their names; "" when there are none. Owned.
static char *ceph_details(const json_t *o)
{
    struct strv names = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    const json_t *details = json_dot(o, "status.ceph.details");
    const char *name;
    json_t *v;
    json_object_foreach((json_t *)details, name, v)
    {
        if (json_dot_str(v, "message"))
            strv_push(&names, name);
    }
    strv_sort(&names);
    for (size_t i = 0; i < names.len; i++)
        buf_printf(&b, "%s%s", i ? "; " : " (",
                   json_dot_str(json_object_get(details, names.v[i]), "message"));
    if (names.len)
        buf_char(&b, ')');
    strv_clear(&names);
    return buf_take(&b);
}

static void append_part(struct buf *b, const char *part)
{
    if (*part)
        buf_printf(b, "%s%s", b->len ? " - " : "", part);
}

// Ceph's own health first; the operator's state only matters while that is well.
void health_ceph_cluster(const json_t *o, struct health_result *r)
{
    struct buf b CLEANUP(buf_clear) = {0};
    const char *ceph = json_dot_str(o, "status.ceph.health");
    const char *state = json_dot_str(o, "status.state");
    enum health h = HEALTH_PROGRESSING;
    if (ceph) {
        CLEANUP(str_freep) char *details = ceph_details(o);
        buf_printf(&b, "Ceph health is %s%s", ceph, details);
        if (!strcmp(ceph, "HEALTH_OK"))
            h = HEALTH_HEALTHY;
        else if (!strcmp(ceph, "HEALTH_WARN") || !strcmp(ceph, "HEALTH_ERR"))
            h = HEALTH_DEGRADED;
    }
    if (state && h == HEALTH_HEALTHY) {
        buf_printf(&b, " - Ceph cluster state is %s", state);
        if (!strcmp(state, "Error"))
            h = HEALTH_DEGRADED;
        else if (strcmp(state, "Created") != 0 && strcmp(state, "Connected") != 0)
            h = HEALTH_PROGRESSING;
    }
    append_part(&b, health_str(o, "status.message"));
    health_set(r, h, "%s", b.len ? b.p : "");
}

#define ELASTIC_UNKNOWN                                                                            \
    "Elasticsearch Cluster status is unknown. Ensure your ArgoCD is current and then check "       \
    "for/file a bug report: https://github.com/argoproj/argo-cd/issues"

void health_elasticsearch(const json_t *o, struct health_result *r)
{
    static const struct {
        const char *phase, *health;
        enum health status;
        const char *message;
    } all[] = {
        {"Ready", "green", HEALTH_HEALTHY, "Elasticsearch Cluster status is Green"},
        {"Ready", "yellow", HEALTH_PROGRESSING,
         "Elasticsearch Cluster status is Yellow. Check the status of indices, replicas and "
         "shards"},
        {"Ready", "red", HEALTH_DEGRADED,
         "Elasticsearch Cluster status is Red. Check the status of indices, replicas and shards"},
        {"ApplyingChanges", NULL, HEALTH_PROGRESSING, "Elasticsearch phase is ApplyingChanges"},
        {"MigratingData", NULL, HEALTH_PROGRESSING, "Elasticsearch phase is MigratingData"},
        {"Invalid", NULL, HEALTH_DEGRADED, "Elasticsearch phase is Invalid"},
    };
    const char *phase = health_str(o, "status.phase");
    const char *health = json_dot_str(o, "status.health");
    long long available = json_dot_int(o, "status.availableNodes", -1);
    long long wanted = 0;
    size_t i;
    json_t *set;
    json_array_foreach(json_dot(o, "spec.nodeSets"), i, set)
    {
        wanted += health_count(set, "count", 0);
    }
    if (available >= 0 && available < wanted) {
        health_set(r, HEALTH_PROGRESSING,
                   "The desired amount of availableNodes is %lld but the current amount is %lld",
                   wanted, available);
        return;
    }
    for (i = 0; health && available == wanted && i < ARRAY_LEN(all); i++) {
        if (strcmp(all[i].phase, phase) != 0 ||
            (all[i].health && strcmp(all[i].health, health) != 0))
            continue;
        health_set(r, all[i].status, "%s", all[i].message);
        return;
    }
    health_set(r, HEALTH_UNKNOWN, ELASTIC_UNKNOWN);
}

// ---- lists of conditions that tell a story ----

// Everything the conditions say, up to the first that is False.
void health_grafana(const json_t *o, struct health_result *r)
{
    struct buf b CLEANUP(buf_clear) = {0};
    enum health h = HEALTH_PROGRESSING;
    size_t i;
    json_t *c;
    json_array_foreach(json_dot(o, "status.conditions"), i, c)
    {
        const char *reason = json_dot_str(c, "reason");
        const char *type = json_dot_str(c, "type");
        const char *message = json_dot_str(c, "message");
        if (!health_has(c, "status"))
            continue;
        if (b.len)
            buf_str(&b, ", ");
        if (reason)
            buf_printf(&b, "%s%s%s%s%s", reason, type ? " for " : "", type ? type : "",
                       type && message ? " because " : "", type && message ? message : "");
        if (health_is_true(c))
            h = HEALTH_HEALTHY;
        else if (!strcmp(health_str(c, "status"), "False"))
            h = HEALTH_DEGRADED;
        if (h == HEALTH_DEGRADED)
            break;
    }
    health_set(r, h, "%s", b.len ? b.p : "");
}

// Of Ready and HasErrors the one that has been true for longer counts; one without a time is young.
void health_keycloak(const json_t *o, struct health_result *r)
{
    const json_t *oldest = NULL;
    size_t i;
    json_t *c;
    json_array_foreach(json_dot(o, "status.conditions"), i, c)
    {
        const char *type = health_str(c, "type");
        const char *since = json_dot_str(c, "lastTransitionTime");
        const char *before = oldest ? json_dot_str(oldest, "lastTransitionTime") : NULL;
        if (!health_is_true(c) || (strcmp(type, "Ready") != 0 && strcmp(type, "HasErrors") != 0))
            continue;
        if (!oldest || (since && (!before || strcmp(since, before) < 0)))
            oldest = c;
    }
    if (!oldest)
        health_set(r, HEALTH_PROGRESSING, "%s", "");
    else if (!strcmp(health_str(oldest, "type"), "Ready"))
        health_set(r, HEALTH_HEALTHY, "%s", "");
    else
        health_set(r, HEALTH_DEGRADED, "Has Errors: %s", health_str(oldest, "message"));
}

void health_configuration_policy(const json_t *o, struct health_result *r)
{
    struct buf b CLEANUP(buf_clear) = {0};
    bool ok = !strcmp(health_str(o, "status.compliant"), "Compliant");
    size_t i;
    size_t j;
    json_t *d;
    json_t *c;
    json_array_foreach(json_dot(o, "status.compliancyDetails"), i, d)
    {
        json_array_foreach(json_object_get(d, "conditions"), j, c)
        {
            const char *type = json_dot_str(c, "type");
            const char *message = json_dot_str(c, "message");
            if (type && message)
                buf_printf(&b, "%s%s - %s", b.len ? "; " : "", type, message);
        }
    }
    health_set(r, ok ? HEALTH_HEALTHY : HEALTH_DEGRADED, "%s", b.len ? b.p : "");
}

// ---- Operator Lifecycle Manager ----

struct tally {
    int pending, degraded;
    struct buf text;
};

// An upgrade that waits for a person's approval is as it should be.
static bool waits_for_approval(const json_t *o)
{
    size_t i;
    json_t *c;
    if (strcmp(health_str(o, "spec.installPlanApproval"), "Manual") != 0 ||
        !health_has(o, "status.installedCSV"))
        return false;
    json_array_foreach(json_dot(o, "status.conditions"), i, c)
    {
        if (!strcmp(health_str(c, "type"), "InstallPlanPending") && health_is_true(c) &&
            !strcmp(health_str(c, "reason"), "RequiresApproval"))
            return true;
    }
    return false;
}

static void tally_condition(struct tally *t, const json_t *c, size_t number)
{
    const char *type = health_str(c, "type");
    bool missing = !strcmp(type, "InstallPlanMissing") &&
                   strcmp(health_str(c, "reason"), "ReferencedInstallPlanNotFound") != 0;
    bool bad = !strcmp(type, "CatalogSourcesUnhealthy") || !strcmp(type, "InstallPlanFailed") ||
               !strcmp(type, "ResolutionFailed");
    buf_printf(&t->text, "%zu: %s | %s\n", number, type, health_str(c, "status"));
    if (!strcmp(type, "InstallPlanPending"))
        t->pending += health_is_true(c);
    else
        t->degraded += missing || (bad && health_is_true(c));
}

static void tally_state(struct tally *t, const char *state, bool approval)
{
    if (!state) {
        t->pending++;
        buf_str(&t->text, ".status.state not yet known\n");
        return;
    }
    bool upgrade_pending = !strcmp(state, "UpgradePending");
    bool as_it_should_be = upgrade_pending && approval;
    if (!strcmp(state, "UpgradeFailed"))
        t->degraded++;
    else if (!as_it_should_be && (!*state || upgrade_pending || !strcmp(state, "UpgradeAvailable")))
        t->pending++;
    buf_printf(&t->text, ".status.state is '%s'%s\n", state,
               as_it_should_be ? " (manual InstallPlan approval pending; treated as healthy)" : "");
}

void health_subscription(const json_t *o, struct health_result *r)
{
    struct tally t = {0};
    bool approval = waits_for_approval(o);
    size_t i;
    json_t *c;
    json_array_foreach(json_dot(o, "status.conditions"), i, c)
    {
        if (!approval || strcmp(health_str(c, "type"), "InstallPlanPending") != 0)
            tally_condition(&t, c, i + 1);
    }
    tally_state(&t, json_dot_str(o, "status.state"), approval);
    health_set(r,
               t.degraded  ? HEALTH_DEGRADED
               : t.pending ? HEALTH_PROGRESSING
                           : HEALTH_HEALTHY,
               "%s", t.text.p);
    buf_clear(&t.text);
}

// ---- counts ----

// Every router must have admitted it; one that refuses is enough to fail.
void health_openshift_route(const json_t *o, struct health_result *r)
{
    const json_t *ingress = json_dot(o, "status.ingress");
    size_t admitted = 0;
    size_t refused = 0;
    size_t i;
    size_t j;
    json_t *in;
    json_t *c;
    json_array_foreach(ingress, i, in)
    {
        json_array_foreach(json_object_get(in, "conditions"), j, c)
        {
            if (strcmp(health_str(c, "type"), "Admitted") != 0)
                continue;
            admitted += health_is_true(c);
            refused += !strcmp(health_str(c, "status"), "False");
        }
    }
    if (json_is_array(ingress) && admitted == json_array_size(ingress))
        health_set(r, HEALTH_HEALTHY, "Route is healthy");
    else if (refused)
        health_set(r, HEALTH_DEGRADED, "Route is degraded");
    else
        health_set(r, HEALTH_PROGRESSING, "Route is still getting admitted");
}

// "2/3": that many of its replicas are ready.
void health_collector(const json_t *o, struct health_result *r)
{
    const char *replicas = health_str(o, "status.scale.statusReplicas");
    long ready = 0;
    long total = 0;
    size_t skip = strcspn(replicas, "0123456789");
    if (sscanf(replicas + skip, "%9ld/%9ld", &ready, &total) != 2)
        health_set(r, HEALTH_PROGRESSING, "Unable to parse replica status: %s", replicas);
    else if (!ready && !total && !strcmp(health_str(o, "spec.mode"), "daemonset"))
        health_set(r, HEALTH_HEALTHY, "DaemonSet has no eligible nodes (0/0)");
    else if (!ready)
        health_set(r, HEALTH_DEGRADED, "No replicas are ready");
    else if (ready == total)
        health_set(r, HEALTH_HEALTHY, "All replicas are ready");
    else
        health_set(r, HEALTH_PROGRESSING, "Replicas are starting up");
}

// Bounds on the number of executors as Spark's own settings, texts, give them.
static bool spark_conf_range(const json_t *o, const char *prefix, double *min, double *max)
{
    const json_t *conf = json_dot(o, "spec.sparkConf");
    static const char *const names[] = {"enabled", "minExecutors", "maxExecutors"};
    const char *v[ARRAY_LEN(names)];
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        CLEANUP(str_freep) char *key = str_printf("%s.%s", prefix, names[i]);
        v[i] = json_string_value(json_object_get(conf, key));
    }
    if (!str_eq(v[0], "true"))
        return false;
    *min = v[1] ? strtod(v[1], NULL) : 0;
    *max = v[2] ? strtod(v[2], NULL) : HUGE_VAL;
    return true;
}

static bool spark_range(const json_t *o, double *min, double *max)
{
    const json_t *d = json_dot(o, "spec.dynamicAllocation");
    if (json_dot_bool(d, "enabled", false)) {
        const json_t *most = json_object_get(d, "maxExecutors");
        *min = json_number_value(json_object_get(d, "minExecutors"));
        *max = json_is_number(most) ? json_number_value(most) : HUGE_VAL;
        return true;
    }
    return spark_conf_range(o, "spark.streaming.dynamicAllocation", min, max) ||
           spark_conf_range(o, "spark.dynamicAllocation", min, max);
}

// It is RUNNING: as many executors run as were asked for, in one of four ways.
void health_spark(const json_t *o, struct health_result *r)
{
    const json_t *executors = json_dot(o, "status.executorState");
    const json_t *wanted = json_dot(o, "spec.executor.instances");
    double running = 0;
    double min = 0;
    double max = 0;
    for (size_t i = 0; i < health_list_len(executors); i++)
        running += str_eq(json_string_value(health_list_at(executors, i)), "RUNNING");
    bool ok = json_is_number(wanted) && json_number_value(wanted) == running;
    if (!ok && spark_range(o, &min, &max))
        ok = running >= min && running <= max;
    else if (!ok)
        ok = !json_is_number(wanted) && !health_has(o, "spec.dynamicAllocation") && running >= 1;
    if (executors && ok)
        health_set(r, HEALTH_HEALTHY, "SparkApplication is Running");
    else
        health_set(r, HEALTH_PROGRESSING, "Waiting for Executor pods");
}

// "ERROR, what went wrong"
void health_kubernetes_client(const json_t *o, struct health_result *r)
{
    static const char word[] = "ERROR, ";
    struct buf b CLEANUP(buf_clear) = {0};
    const char *s = health_str(o, "status.status");
    for (const char *hit; (hit = strstr(s, word)); s = hit + strlen(word))
        buf_append(&b, s, (size_t)(hit - s));
    buf_str(&b, s);
    health_set(r, HEALTH_DEGRADED, "%s", b.p);
}
