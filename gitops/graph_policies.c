// SPDX-License-Identifier: Apache-2.0
//
// Admission policies in the API server itself (spec order-corrections section 4). They have no
// backend, but a validating one refuses what it judges while its parameters are missing, and a
// mutating one that comes late leaves objects unchanged: who is judged waits for parameters, or
// for the binding that puts a mutation into force. What matches is told as webhooks tell it.
#include <stdlib.h>
#include <string.h>

#include "gitops/graph_int.h"
#include "gitops/json.h"

static bool is_mutating(const char *kind)
{
    return str_starts(kind, "Mutating");
}

static char *policy_key(bool mutating, const char *name)
{
    return str_printf("%c/%s", mutating ? 'm' : 'v', name);
}

void policies_collect(struct builder *b, unsigned object, const json_t *doc)
{
    const struct object_id *id = &b->d->objects.v[object].id;
    if (b->o->ignore_inferred || strcmp(id->group, "admissionregistration.k8s.io") != 0)
        return;
    json_t *spec = json_object_get(doc, "spec");
    if (!json_is_object(spec))
        return;
    json_t *copy = json_deep_copy(spec);
    json_object_set_new(copy, "object", json_integer(object));
    if (str_ends(id->kind, "AdmissionPolicy")) {
        CLEANUP(str_freep) char *key = policy_key(is_mutating(id->kind), id->name);
        json_object_set_new(b->admission, key, copy);
    } else if (str_ends(id->kind, "AdmissionPolicyBinding")) {
        json_object_set_new(copy, "mutating", json_boolean(is_mutating(id->kind)));
        json_array_append_new(b->policy_bindings, copy);
    } else {
        json_decref(copy);
    }
}

// matchConstraints or matchResources in the shape of a webhook entry; without rules all is meant.
static json_t *as_entry(const json_t *match)
{
    static const char *const selectors[] = {"namespaceSelector", "objectSelector", "matchPolicy"};
    json_t *e = json_object();
    json_t *rules = json_object_get(match, "resourceRules");
    if (json_array_size(rules))
        json_object_set(e, "rules", rules);
    else
        json_object_set_new(e, "rules",
                            json_pack("[{s:[s], s:[s], s:[s], s:[s]}]", "operations", "*",
                                      "apiGroups", "*", "apiVersions", "*", "resources", "*"));
    for (size_t i = 0; i < ARRAY_LEN(selectors); i++)
        if (json_object_get(match, selectors[i]))
            json_object_set(e, selectors[i], json_object_get(match, selectors[i]));
    return e;
}

static struct hook *add_hook(struct builder *b, unsigned gate, const json_t *policy,
                             const json_t *binding)
{
    const json_t *narrow = json_object_get(binding, "matchResources");
    struct hook *h = vec_push(&b->hooks);
    h->gate = gate;
    h->entry = as_entry(json_object_get(policy, "matchConstraints"));
    h->narrower = json_is_object(narrow) ? as_entry(narrow) : NULL;
    return h;
}

// The object a binding takes its parameters from, else the definition of their kind; -1 when
// neither is desired.
static int parameters(const struct builder *b, const json_t *policy, const json_t *binding,
                      enum need *need)
{
    const char *av = json_dot_str(policy, "paramKind.apiVersion");
    const char *kind = json_dot_str(policy, "paramKind.kind");
    const char *name = json_dot_str(binding, "paramRef.name");
    const char *slash = av ? strchr(av, '/') : NULL;
    if (!av || !kind)
        return -1;
    CLEANUP(str_freep) char *group = slash ? str_ndup(av, (size_t)(slash - av)) : str_dup("");
    CLEANUP(str_freep) char *key = str_printf("%s/%s", group, kind);
    struct object_id id = {group, (char *)kind, (char *)json_dot_str(binding, "paramRef.namespace"),
                           (char *)name};
    const struct object *o = name ? desired_find(b->d, &id) : NULL;
    const json_t *crd = json_object_get(b->crds, key);
    *need = o ? NEED_APPLIED : NEED_READY;
    return o ? (int)(o - b->d->objects.v) : crd ? (int)json_integer_value(crd) : -1;
}

// What a binding in force would refuse while its parameters are missing.
static void validating(struct builder *b, const json_t *policy, const json_t *binding)
{
    enum need need;
    int at = parameters(b, policy, binding, &need);
    if (at < 0 || str_eq(json_dot_str(policy, "failurePolicy"), "Ignore") ||
        str_eq(json_dot_str(binding, "paramRef.parameterNotFoundAction"), "Allow"))
        return;
    struct hook *h = add_hook(b, (unsigned)at, policy, binding);
    h->need = need;
    h->why = h->why_pods = WHY_POLICY_PARAM;
    h->is_hard = true;
}

static void mutating(struct builder *b, const json_t *policy, const json_t *binding)
{
    struct hook *h = add_hook(b, (unsigned)json_integer_value(json_object_get(binding, "object")),
                              policy, binding);
    h->need = NEED_APPLIED;
    h->why = h->why_pods = WHY_MUTATING;
}

void policies_to_hooks(struct builder *b)
{
    size_t i;
    json_t *binding;
    json_array_foreach(b->policy_bindings, i, binding)
    {
        const char *name = json_dot_str(binding, "policyName");
        bool mutates = json_dot_bool(binding, "mutating", false);
        CLEANUP(str_freep) char *key = policy_key(mutates, name ? name : "");
        const json_t *policy = json_object_get(b->admission, key);
        if (!policy)
            continue;
        if (mutates)
            mutating(b, policy, binding);
        else
            validating(b, policy, binding);
    }
}
