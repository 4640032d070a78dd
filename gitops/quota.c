// SPDX-License-Identifier: Apache-2.0
#include "gitops/quota.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gitops/json.h"
#include "gitops/refs.h"

#define MAX_QUANTITY_BYTES 63
#define MAX_NAMED 3

bool quantity_parse(const json_t *v, double *out)
{
    static const struct {
        const char *suffix;
        double factor;
    } suffixes[] = {{"", 1},
                    {"n", 1e-9},
                    {"u", 1e-6},
                    {"m", 1e-3},
                    {"k", 1e3},
                    {"M", 1e6},
                    {"G", 1e9},
                    {"T", 1e12},
                    {"P", 1e15},
                    {"E", 1e18},
                    {"Ki", 1024.0},
                    {"Mi", 1048576.0},
                    {"Gi", 1073741824.0},
                    {"Ti", 1099511627776.0},
                    {"Pi", 1125899906842624.0},
                    {"Ei", 1152921504606846976.0}};
    if (json_is_number(v)) {
        *out = json_number_value(v);
        return true;
    }
    const char *s = json_string_value(v);
    if (!s || !*s || strlen(s) > MAX_QUANTITY_BYTES || !strchr("+-.0123456789", *s))
        return false;
    char *end;
    // strtod would take "0x1" and, in "1E", leave the suffix alone: both are as wanted.
    double number = strtod(s, &end);
    if (end == s || strpbrk(s, "xX"))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        if (!strcmp(end, suffixes[i].suffix)) {
            *out = number * suffixes[i].factor;
            return isfinite(*out);
        }
    }
    return false;
}

// What is asked of one resource of a quota in one namespace, and who does not say.
struct sum {
    const struct desired *d;
    const char *ns;
    const char *resource; // "requests.cpu", "pods", "count/secrets", ...
    const json_t *defaults;
    double asked;
    struct strv silent;
};

// The container default of a LimitRange of the namespace, by "default" or "defaultRequest".
static json_t *container_defaults(const struct desired *d, const char *ns)
{
    json_t *out = json_object();
    for (size_t i = 0; i < d->objects.len; i++) {
        const struct object *o = &d->objects.v[i];
        if (strcmp(o->id.kind, "LimitRange") != 0 || !str_eq(o->id.namespace, ns))
            continue;
        CLEANUP(json_freep) json_t *doc = object_doc(o);
        size_t k;
        json_t *l;
        json_array_foreach(json_dot(doc, "spec.limits"), k, l)
        {
            if (str_eq(json_dot_str(l, "type"), "Container"))
                json_object_update(out, l);
        }
    }
    return out;
}

// What one container asks: its own word, a request's limit, the namespace's default.
static bool container_asks(const struct sum *s, const json_t *c, const char *what, const char *name,
                           double *out)
{
    const json_t *own = json_object_get(json_dot(c, "resources"), what);
    bool is_request = !strcmp(what, "requests");
    const json_t *places[] = {
        own, is_request ? json_dot(c, "resources.limits") : NULL,
        json_object_get(s->defaults, is_request ? "defaultRequest" : "default"),
        is_request ? json_object_get(s->defaults, "default") : NULL};
    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        if (quantity_parse(json_object_get(places[i], name), out))
            return true;
    return false;
}

// One pod: its containers together, or the hungriest of those that go first. False: one is silent.
static bool pod_asks(const struct sum *s, const json_t *spec, const char *what, const char *name,
                     double *out)
{
    double together = 0;
    double first = 0;
    bool all = true;
    size_t i;
    json_t *c;
    json_array_foreach(json_object_get(spec, "containers"), i, c)
    {
        double q = 0;
        all &= container_asks(s, c, what, name, &q);
        together += q;
    }
    json_array_foreach(json_object_get(spec, "initContainers"), i, c)
    {
        double q = 0;
        all &= container_asks(s, c, what, name, &q);
        if (str_eq(json_dot_str(c, "restartPolicy"), "Always"))
            together += q;
        else if (q > first)
            first = q;
    }
    *out = first > together ? first : together;
    return all;
}

// How many pods a workload has at the least.
static double pods_of(const struct object_id *id, const json_t *doc)
{
    double n = 1;
    const json_t *replicas = json_dot(doc, "spec.replicas");
    if (!strcmp(id->kind, "CronJob"))
        return 0; // now and then
    if (!strcmp(id->kind, "Job"))
        replicas = json_dot(doc, "spec.parallelism");
    else if (!strcmp(id->kind, "DaemonSet"))
        replicas = NULL; // a node is the least
    if (json_is_integer(replicas))
        n = (double)json_integer_value(replicas);
    return n;
}

static void add_pods(struct sum *s, const struct object *o, const json_t *doc)
{
    const json_t *tpl = pod_template_of(&o->id, doc);
    double n = tpl ? pods_of(&o->id, doc) : 0;
    const char *dot = strchr(s->resource, '.');
    const char *what = str_starts(s->resource, "limits.") ? "limits" : "requests";
    const char *name =
        dot && (str_starts(s->resource, "limits.") || str_starts(s->resource, "requests."))
            ? dot + 1
            : s->resource;
    double each;
    if (n <= 0)
        return;
    if (!strcmp(s->resource, "pods") || !strcmp(s->resource, "count/pods")) {
        s->asked += n;
    } else if (pod_asks(s, json_object_get(tpl, "spec"), what, name, &each)) {
        s->asked += n * each;
    } else {
        s->asked += n * each;
        strv_push_take(&s->silent, object_name(&o->id));
    }
}

static void add_claim(struct sum *s, const json_t *claim, double n)
{
    double q;
    if (!strcmp(s->resource, "persistentvolumeclaims"))
        s->asked += n;
    else if (quantity_parse(json_dot(claim, "spec.resources.requests.storage"), &q))
        s->asked += n * q;
}

static void add_claims(struct sum *s, const struct object *o, const json_t *doc)
{
    size_t i;
    json_t *t;
    if (!strcmp(o->id.kind, "PersistentVolumeClaim"))
        add_claim(s, doc, 1);
    json_array_foreach(json_dot(doc, "spec.volumeClaimTemplates"), i, t)
    {
        if (!strcmp(o->id.kind, "StatefulSet"))
            add_claim(s, t, pods_of(&o->id, doc));
    }
}

static void add_services(struct sum *s, const struct object *o, const json_t *doc)
{
    const char *type = json_dot_str(doc, "spec.type");
    bool balanced = str_eq(type, "LoadBalancer");
    bool counts =
        !strcmp(s->resource, "services") ||
        (!strcmp(s->resource, "services.loadbalancers") && balanced) ||
        (!strcmp(s->resource, "services.nodeports") && (balanced || str_eq(type, "NodePort")));
    if (counts && !strcmp(o->id.kind, "Service") && !*o->id.group)
        s->asked += 1;
}

// "count/deployments.apps", "secrets": so many objects.
static void add_object(struct sum *s, const struct object *o, const json_t *doc)
{
    (void)doc;
    const struct kind_info *k = kinds_find(s->d->kinds, o->id.group, NULL, o->id.kind);
    if (!k)
        return;
    CLEANUP(str_freep)
    char *counted = str_printf("count/%s%s%s", k->plural, *k->group ? "." : "", k->group);
    bool plain = !*k->group && !strcmp(s->resource, k->plural);
    if (plain || !strcmp(s->resource, counted))
        s->asked += 1;
}

typedef void (*add_fn)(struct sum *s, const struct object *o, const json_t *doc);

static add_fn counter_of(const char *resource)
{
    if (!strcmp(resource, "persistentvolumeclaims") || !strcmp(resource, "requests.storage"))
        return add_claims;
    if (str_starts(resource, "services"))
        return add_services;
    if (!strcmp(resource, "pods") || !strcmp(resource, "count/pods") ||
        str_starts(resource, "requests.") || str_starts(resource, "limits.") ||
        !strcmp(resource, "cpu") || !strcmp(resource, "memory") ||
        !strcmp(resource, "ephemeral-storage"))
        return add_pods;
    return add_object;
}

static void say(const struct object *quota, const struct sum *s, double hard, struct strv *out)
{
    CLEANUP(str_freep) char *name = object_name(&quota->id);
    if (s->asked > hard)
        strv_push_take(out,
                       str_printf("%s allows %.12g of %s, the manifests ask for %.12g: some of "
                                  "them will be refused",
                                  name, hard, s->resource, s->asked));
    if (!s->silent.len)
        return;
    struct buf who CLEANUP(buf_clear) = {0};
    for (size_t i = 0; i < s->silent.len && i < MAX_NAMED; i++)
        buf_printf(&who, "%s%s", i ? ", " : "", s->silent.v[i]);
    if (s->silent.len > MAX_NAMED)
        buf_printf(&who, " and %zu more", s->silent.len - MAX_NAMED);
    strv_push_take(out, str_printf("%s limits %s, which the pods of %s do not set: they will be "
                                   "refused",
                                   name, s->resource, who.p));
}

static void check_resource(const struct desired *d, const struct object *quota,
                           const json_t *defaults, const char *resource, double hard,
                           struct strv *out)
{
    struct sum s = {.d = d, .ns = quota->id.namespace, .resource = resource, .defaults = defaults};
    add_fn add = counter_of(resource);
    for (size_t i = 0; i < d->objects.len; i++) {
        const struct object *o = &d->objects.v[i];
        if (o->is_virtual || !str_eq(o->id.namespace, s.ns))
            continue;
        CLEANUP(json_freep) json_t *doc = object_doc(o);
        add(&s, o, doc);
    }
    say(quota, &s, hard, out);
    strv_clear(&s.silent);
}

void quota_warnings(const struct desired *d, struct strv *out)
{
    for (size_t i = 0; i < d->objects.len; i++) {
        const struct object *o = &d->objects.v[i];
        if (strcmp(o->id.kind, "ResourceQuota") != 0 || *o->id.group || !o->id.namespace)
            continue;
        CLEANUP(json_freep) json_t *doc = object_doc(o);
        // Which pods a scope covers is more than their sums say.
        if (json_array_size(json_dot(doc, "spec.scopes")) ||
            json_object_size(json_dot(doc, "spec.scopeSelector")))
            continue;
        CLEANUP(json_freep) json_t *defaults = container_defaults(d, o->id.namespace);
        const char *resource;
        json_t *v;
        json_object_foreach(json_dot(doc, "spec.hard"), resource, v)
        {
            double hard;
            if (quantity_parse(v, &hard))
                check_resource(d, o, defaults, resource, hard, out);
        }
    }
}
