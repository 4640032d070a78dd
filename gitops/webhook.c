// SPDX-License-Identifier: Apache-2.0
//
// Which writes a webhook judges (spec kubernetes-api section 6.3).
#include <string.h>

#include "gitops/graph.h"
#include "gitops/json.h"

static bool lists(const json_t *list, const char *value, const char *any)
{
    size_t i;
    json_t *v;
    json_array_foreach(list, i, v)
    {
        const char *s = json_string_value(v);
        if (s && (!strcmp(s, value) || !strcmp(s, any)))
            return true;
    }
    return false;
}

static bool resource_listed(const json_t *list, const char *plural)
{
    // "*" and "*/*" cover the resource itself; "pods/exec" and "*/scale" only subresources.
    return lists(list, plural, "*") || lists(list, "*/*", "*/*");
}

static bool rule_matches(const json_t *webhook, const json_t *rule, const struct kind_info *k,
                         const char *operation)
{
    if (!lists(json_object_get(rule, "operations"), operation, "*") ||
        !lists(json_object_get(rule, "apiGroups"), k->group, "*") ||
        !resource_listed(json_object_get(rule, "resources"), k->plural))
        return false;
    // matchPolicy Equivalent (the default) also matches other versions of the same resource.
    if (str_eq(json_dot_str(webhook, "matchPolicy"), "Exact") &&
        !lists(json_object_get(rule, "apiVersions"), k->version, "*"))
        return false;
    const char *scope = json_dot_str(rule, "scope");
    if (!scope || !strcmp(scope, "*"))
        return true;
    return !strcmp(scope, k->is_namespaced ? "Namespaced" : "Cluster");
}

static bool is_exempt(const struct kind_info *k)
{
    return !strcmp(k->group, "admissionregistration.k8s.io");
}

static bool namespace_selected(const json_t *webhook, const struct kind_info *k, const json_t *doc,
                               const json_t *ns_labels)
{
    const json_t *selector = json_object_get(webhook, "namespaceSelector");
    bool is_namespace = !*k->group && !strcmp(k->kind, "Namespace");
    if (!json_object_size(selector) || (!k->is_namespaced && !is_namespace))
        return true;
    const char *name =
        is_namespace ? json_dot_str(doc, "metadata.name") : json_dot_str(doc, "metadata.namespace");
    const json_t *labels = is_namespace ? json_dot(doc, "metadata.labels") : ns_labels;
    CLEANUP(json_freep) json_t *all = labels ? json_copy((json_t *)labels) : json_object();
    if (name)
        json_object_set_new(all, "kubernetes.io/metadata.name", json_string(name));
    return json_selector_matches(selector, all);
}

bool webhook_may_judge(const json_t *webhook, const struct kind_info *k, const char *operation)
{
    if (is_exempt(k))
        return false;
    size_t i;
    json_t *rule;
    json_array_foreach(json_object_get(webhook, "rules"), i, rule)
    {
        if (rule_matches(webhook, rule, k, operation))
            return true;
    }
    return false;
}

bool webhook_judges(const json_t *webhook, const struct kind_info *k, const json_t *doc,
                    const json_t *ns_labels, const char *operation)
{
    if (!webhook_may_judge(webhook, k, operation) ||
        !namespace_selected(webhook, k, doc, ns_labels))
        return false;
    const json_t *selector = json_object_get(webhook, "objectSelector");
    return !json_object_size(selector) ||
           json_selector_matches(selector, json_dot(doc, "metadata.labels"));
}
