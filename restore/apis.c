// SPDX-License-Identifier: Apache-2.0
#include "restore/apis.h"

#include <stdlib.h>
#include <string.h>

#include "restore/deprecated.h"

// Groups that Kubernetes itself serves: what is not served of them will not be, whoever comes up.
// Others belong to definitions and aggregated servers.
static const char *const own_groups[] = {
    "",
    "apps",
    "autoscaling",
    "batch",
    "extensions",
    "policy",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "rbac.authorization.k8s.io",
    "resource.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
    "storagemigration.k8s.io",
};

// Versions of a kind that have the same fields, so that the name of the version is all that
// differs; the best one first. What changed its fields on the way (Ingress, webhook configurations
// and definitions of v1beta1, autoscaling/v2beta1, DeviceClass) is not here.
static const struct same_shape {
    const char *group, *kind, *versions;
} same_shapes[] = {
    {"flowcontrol.apiserver.k8s.io", "FlowSchema", "v1 v1beta3"},
    {"flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration", "v1 v1beta3"},
    {"admissionregistration.k8s.io", "ValidatingAdmissionPolicy", "v1 v1beta1"},
    {"admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding", "v1 v1beta1"},
    {"admissionregistration.k8s.io", "MutatingAdmissionPolicy", "v1 v1beta1 v1alpha1"},
    {"admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding", "v1 v1beta1 v1alpha1"},
    {"apiregistration.k8s.io", "APIService", "v1 v1beta1"},
    {"autoscaling", "HorizontalPodAutoscaler", "v2 v2beta2"},
    {"batch", "CronJob", "v1 v1beta1"},
    {"networking.k8s.io", "IngressClass", "v1 v1beta1"},
    {"networking.k8s.io", "IPAddress", "v1 v1beta1"},
    {"networking.k8s.io", "ServiceCIDR", "v1 v1beta1"},
    {"node.k8s.io", "RuntimeClass", "v1 v1beta1"},
    {"policy", "PodDisruptionBudget", "v1 v1beta1"},
    {"rbac.authorization.k8s.io", "ClusterRole", "v1 v1beta1"},
    {"rbac.authorization.k8s.io", "ClusterRoleBinding", "v1 v1beta1"},
    {"rbac.authorization.k8s.io", "Role", "v1 v1beta1"},
    {"rbac.authorization.k8s.io", "RoleBinding", "v1 v1beta1"},
    {"scheduling.k8s.io", "PriorityClass", "v1 v1beta1"},
    {"storage.k8s.io", "CSIDriver", "v1 v1beta1"},
    {"storage.k8s.io", "StorageClass", "v1 v1beta1"},
    {"storage.k8s.io", "VolumeAttributesClass", "v1 v1beta1"},
};

static bool is_served(const struct kinds *served, const char *group, const char *version,
                      const char *kind)
{
    const struct kind_info *k = kinds_find(served, group, version, kind);
    return k && k->is_served;
}

bool api_is_own_group(const char *group)
{
    for (size_t i = 0; i < ARRAY_LEN(own_groups); i++)
        if (!strcmp(own_groups[i], group))
            return true;
    return false;
}

// A definition of this very state brings it.
static bool is_defined(const struct desired *d, const struct object *o)
{
    const struct kind_info *k = kinds_find(d->kinds, o->id.group, o->version, o->id.kind);
    return k && !k->is_builtin;
}

// Or an aggregated API server does.
static bool is_aggregated(const struct desired *d, const struct object *o)
{
    CLEANUP(str_freep) char *name = str_printf("%s.%s", o->version, o->id.group);
    struct object_id id = {(char *)"apiregistration.k8s.io", (char *)"APIService", NULL, name};
    return desired_find(d, &id) != NULL;
}

// An empty selector of a budget means nothing in v1beta1 and everything in v1.
static bool means_the_same(const struct object *o)
{
    if (strcmp(o->id.kind, "PodDisruptionBudget") != 0)
        return true;
    CLEANUP(json_freep) json_t *doc = object_doc(o);
    return json_object_size(json_dot(doc, "spec.selector")) > 0;
}

// A served version of the same shape; owned, NULL: none.
static char *successor(const struct kinds *served, const struct object *o)
{
    for (size_t i = 0; i < ARRAY_LEN(same_shapes); i++) {
        const struct same_shape *s = &same_shapes[i];
        if (strcmp(s->group, o->id.group) != 0 || strcmp(s->kind, o->id.kind) != 0)
            continue;
        struct strv versions = {0};
        char *found = NULL;
        strv_split(&versions, s->versions, ' ');
        for (size_t k = 0; !found && k < versions.len && strv_has(&versions, o->version); k++)
            if (is_served(served, o->id.group, versions.v[k], o->id.kind))
                found = str_dup(versions.v[k]);
        strv_clear(&versions);
        return found;
    }
    return NULL;
}

static void move(struct object *o, const char *version)
{
    CLEANUP(json_freep) json_t *doc = object_doc(o);
    CLEANUP(str_freep)
    char *text = str_printf("%s%s%s", o->id.group, *o->id.group ? "/" : "", version);
    json_object_set_new(doc, "apiVersion", json_string(text));
    object_set_body(o, doc);
    str_set(&o->version, version);
}

// A version that is served still: whoever keeps it in Git should know before it is gone.
static void note_deprecated(const struct object *o, unsigned i, int minor, struct api_changes *out)
{
    const struct deprecated_api *a = deprecated_find(o->id.group, o->version, o->id.kind);
    if (!a || minor < a->since)
        return;
    struct api_change *c = vec_push(&out->v);
    *c = (struct api_change){.object = i,
                             .fate = API_DEPRECATED,
                             .from = str_dup(o->version),
                             .to = str_dup(a->instead)};
}

static void settle(struct desired *d, const struct kinds *served, unsigned i, int minor,
                   struct api_changes *out)
{
    struct object *o = &d->objects.v[i];
    if (o->is_virtual || is_defined(d, o) || is_aggregated(d, o))
        return;
    if (is_served(served, o->id.group, o->version, o->id.kind)) {
        note_deprecated(o, i, minor, out);
        return;
    }
    char *to = means_the_same(o) ? successor(served, o) : NULL;
    struct api_change *c = vec_push(&out->v);
    *c = (struct api_change){.object = i, .from = str_dup(o->version), .to = to};
    if (to) {
        c->fate = API_MOVED;
        move(o, to);
    } else if (api_is_own_group(o->id.group)) {
        c->fate = API_DROPPED;
        o->is_virtual = true;
    } else {
        c->fate = API_AWAITED;
    }
}

void apis_settle(struct desired *d, const struct kinds *served, int minor, struct api_changes *out)
{
    for (unsigned i = 0; i < d->objects.len; i++)
        settle(d, served, i, minor, out);
}

void api_change_clear(struct api_change *c)
{
    free(c->from);
    free(c->to);
    free(c->field);
    *c = (struct api_change){0};
}

void api_changes_clear(struct api_changes *c)
{
    for (size_t i = 0; i < c->v.len; i++)
        api_change_clear(&c->v.v[i]);
    vec_clear(&c->v);
}

size_t api_changes_count(const struct api_changes *c, enum api_fate fate)
{
    size_t n = 0;
    for (size_t i = 0; i < c->v.len; i++)
        n += c->v.v[i].fate == fate;
    return n;
}

// What is not sent may have a successor, with other fields.
static char *dropped_text(const char *name, const char *api, const struct object *o,
                          const char *from)
{
    const struct deprecated_api *a = deprecated_find(o->id.group, from, o->id.kind);
    if (a)
        return str_printf("%s: %s is not served; %s takes its place, but is not the same: left out",
                          name, api, a->instead);
    return str_printf("%s: %s is not served, and nothing takes its place: left out", name, api);
}

static char *deprecated_text(const char *name, const char *api, const struct object *o,
                             const struct api_change *c)
{
    const struct deprecated_api *a = deprecated_find(o->id.group, c->from, o->id.kind);
    CLEANUP(str_freep)
    char *gone = a && a->gone ? str_printf(", and gone in Kubernetes 1.%d", a->gone) : str_dup("");
    return str_printf("%s: %s is deprecated%s; %s takes its place", name, api, gone, c->to);
}

char *api_change_text(const struct desired *d, const struct api_change *c)
{
    const struct object *o = &d->objects.v[c->object];
    CLEANUP(str_freep) char *name = object_name(&o->id);
    CLEANUP(str_freep)
    char *api = str_printf("%s%s%s", o->id.group, *o->id.group ? "/" : "", c->from);
    switch (c->fate) {
    case API_MOVED:
        return str_printf("%s: %s is not served; written as %s", name, api, c->to);
    case API_DROPPED:
        return dropped_text(name, api, o, c->from);
    case API_DEPRECATED:
        return deprecated_text(name, api, o, c);
    case API_AWAITED:
        return str_printf("%s: no definition of %s is in the snapshot or the cluster; it waits "
                          "for one",
                          name, api);
    case API_TRIMMED:
        return str_printf("%s of application %s: %s of %s is a field that this Kubernetes does not "
                          "know: left out",
                          name, d->apps.v[o->app]->name, c->field, api);
    }
    return NULL;
}
