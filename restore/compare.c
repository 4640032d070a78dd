// SPDX-License-Identifier: Apache-2.0
#include "restore/compare.h"

#include <stdlib.h>
#include <string.h>

#define MAX_CHANGES 100 // of one object: more tell nothing
#define MAX_VALUE 400   // of a value, as text
#define HIDDEN "(secret)"

struct comparing {
    enum compare_how how;
    bool is_secret;
    json_t *out;
};

// ---- what is made anew in every cluster ----
// "*" stands for one member.
static const struct {
    const char *kind; // NULL: any
    const char *path;
} made[] = {
    {NULL, "/status"},
    {NULL, "/metadata/uid"},
    {NULL, "/metadata/resourceVersion"},
    {NULL, "/metadata/generation"},
    {NULL, "/metadata/creationTimestamp"},
    {NULL, "/metadata/deletionTimestamp"},
    {NULL, "/metadata/deletionGracePeriodSeconds"},
    {NULL, "/metadata/managedFields"},
    {NULL, "/metadata/ownerReferences"},
    {NULL, "/metadata/finalizers"},
    {NULL, "/metadata/selfLink"},
    {NULL, "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration"},
    {NULL, "/metadata/annotations/deployment.kubernetes.io~1revision"},
    {NULL, "/metadata/annotations/deprecated.daemonset.template.generation"},
    {NULL, "/metadata/annotations/regrow.dev~1hook-run"},
    {"Namespace", "/spec/finalizers"},
    {"Namespace", "/metadata/labels/kubernetes.io~1metadata.name"},
    {"Service", "/spec/clusterIP"},
    {"Service", "/spec/clusterIPs"},
    {"Service", "/spec/healthCheckNodePort"},
    {"Service", "/spec/ports/*/nodePort"},
    {"ServiceAccount", "/secrets"},
    {"PersistentVolumeClaim", "/spec/volumeName"},
    {"PersistentVolumeClaim", "/metadata/annotations/*"},
    {"Job", "/spec/selector"},
    {"Job", "/metadata/labels/controller-uid"},
    {"Job", "/metadata/labels/batch.kubernetes.io~1controller-uid"},
    {"Job", "/spec/template/metadata/labels/controller-uid"},
    {"Job", "/spec/template/metadata/labels/batch.kubernetes.io~1controller-uid"},
    {"ValidatingWebhookConfiguration", "/webhooks/*/clientConfig/caBundle"},
    {"MutatingWebhookConfiguration", "/webhooks/*/clientConfig/caBundle"},
    {"CustomResourceDefinition", "/spec/conversion/webhook/clientConfig/caBundle"},
    {"APIService", "/spec/caBundle"},
};

static bool fits(const char *pattern, const char *path)
{
    while (*pattern) {
        if (*pattern == '*') {
            path += strcspn(path, "/");
            pattern++;
        } else if (*pattern++ != *path++) {
            return false;
        }
    }
    return !*path;
}

static bool is_made(const char *kind, const char *path)
{
    for (size_t i = 0; i < ARRAY_LEN(made); i++)
        if ((!made[i].kind || str_eq(made[i].kind, kind)) && fits(made[i].path, path))
            return true;
    return false;
}

// ---- values ----
static bool is_nothing(const json_t *v)
{
    return !v || json_is_null(v) || (json_is_object(v) && !json_object_size(v)) ||
           (json_is_array(v) && !json_array_size(v)) || json_is_false(v) ||
           (json_is_string(v) && !json_string_length(v)) ||
           (json_is_integer(v) && !json_integer_value(v));
}

static bool is_same(const json_t *a, const json_t *b)
{
    return json_equal((json_t *)a, (json_t *)b) || (is_nothing(a) && is_nothing(b));
}

static json_t *shown(const struct comparing *c, const char *path, const json_t *v)
{
    // Only what is known to be none of its values: a label, an annotation (kubectl's is never
    // told).
    bool is_plain =
        !strcmp(path, "/type") || (str_starts(path, "/metadata/") && !json_is_object(v));
    bool is_hidden = c->is_secret && !is_plain;
    if (!v)
        return json_null();
    if (is_hidden)
        return json_string(HIDDEN);
    char *text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
    bool is_long = text && strlen(text) > MAX_VALUE;
    CLEANUP(str_freep) char *cut = is_long ? str_printf("%.*s…", MAX_VALUE, text) : NULL;
    free(text);
    json_t *out = cut ? json_string(cut) : json_deep_copy(v);
    return out ? out : json_string("(long)"); // cut within a letter
}

static void add(struct comparing *c, const char *path, const json_t *a, const json_t *b)
{
    if (json_array_size(c->out) < MAX_CHANGES)
        json_array_append_new(c->out,
                              json_pack("{s:s, s:o, s:o}", "pointer", *path ? path : "/",
                                        "expected", shown(c, path, a), "found", shown(c, path, b)));
}

static void compare(struct comparing *c, const char *kind, const char *path, const json_t *a,
                    const json_t *b);

static void compare_members(struct comparing *c, const char *kind, const char *path,
                            const json_t *a, const json_t *b)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)a, key, v)
    {
        CLEANUP(str_freep) char *p = json_pointer_under(path, key);
        compare(c, kind, p, v, json_object_get(b, key));
    }
    json_object_foreach((json_t *)b, key, v)
    {
        CLEANUP(str_freep) char *p = json_pointer_under(path, key);
        if (c->how == COMPARE_WHOLE && !json_object_get(a, key))
            compare(c, kind, p, NULL, v);
    }
}

// Items that have names stand for each other by these, whatever their order.
static const json_t *item_named(const json_t *list, const json_t *item)
{
    static const char *const keys[] = {"name", "mountPath", "containerPort", "port", "ip", "type"};
    size_t i;
    json_t *x;
    for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
        const json_t *name = json_object_get(item, keys[k]);
        if (!name)
            continue;
        json_array_foreach((json_t *)list, i, x)
        {
            if (json_equal(json_object_get(x, keys[k]), (json_t *)name))
                return x;
        }
        return NULL;
    }
    return NULL;
}

static bool has_value(const json_t *list, const json_t *v)
{
    size_t i;
    json_t *x;
    json_array_foreach((json_t *)list, i, x)
    {
        if (is_same(x, v))
            return true;
    }
    return false;
}

static void compare_items(struct comparing *c, const char *kind, const char *path, const json_t *a,
                          const json_t *b)
{
    bool same_size = json_array_size(a) == json_array_size(b);
    size_t i;
    json_t *v;
    if (c->how == COMPARE_WHOLE && !same_size) {
        add(c, path, a, b);
        return;
    }
    json_array_foreach((json_t *)a, i, v)
    {
        CLEANUP(str_freep) char *p = str_printf("%s/%zu", path, i);
        const json_t *other = json_array_get(b, i);
        if (json_is_object(v) && item_named(b, v))
            other = item_named(b, v);
        else if (!json_is_object(v) && has_value(b, v))
            other = v;
        compare(c, kind, p, v, other);
    }
}

// Depth is bounded by whoever read them.
static void compare(struct comparing *c, const char *kind, const char *path, const json_t *a,
                    const json_t *b)
{
    if (is_same(a, b) || is_made(kind, path))
        return;
    // What is missing as a whole is told member by member, so that what is made anew is left out.
    if ((json_is_object(a) || !a) && (json_is_object(b) || !b))
        compare_members(c, kind, path, a, b);
    else if (json_is_array(a) && json_is_array(b))
        compare_items(c, kind, path, a, b);
    else
        add(c, path, a, b);
}

void compare_objects(const json_t *expected, const json_t *found, enum compare_how how, json_t *out)
{
    const char *kind = json_dot_str(expected, "kind");
    struct comparing c = {.how = how, .is_secret = str_eq(kind, "Secret"), .out = out};
    compare(&c, kind, "", expected, found);
}

// ---- against what is live ----
// Kinds into which nobody but people writes, and whoever reconciles for them.
static bool is_plain(const json_t *doc)
{
    static const char *const plain[] = {"ConfigMap",    "Secret",      "Role",
                                        "RoleBinding",  "ClusterRole", "ClusterRoleBinding",
                                        "NetworkPolicy"};
    for (size_t i = 0; i < ARRAY_LEN(plain); i++)
        if (str_eq(json_dot_str(doc, "kind"), plain[i]))
            return true;
    return false;
}

// One is the other, or within it.
static bool is_about(const char *a, const char *b)
{
    size_t n = strlen(a) < strlen(b) ? strlen(a) : strlen(b);
    return !strncmp(a, b, n) && (!a[n] || a[n] == '/') && (!b[n] || b[n] == '/');
}

static bool concerns(const json_t *asked, const char *path)
{
    size_t i;
    json_t *x;
    json_array_foreach((json_t *)asked, i, x)
    {
        if (is_about(json_dot_str(x, "pointer"), path))
            return true;
    }
    return false;
}

void compare_with_live(const json_t *desired, const json_t *live, const json_t *drilled,
                       json_t *out)
{
    CLEANUP(json_freep) json_t *asked = json_array();
    CLEANUP(json_freep) json_t *all = json_array();
    size_t i;
    json_t *x;
    compare_objects(desired, live, COMPARE_WANTED, asked);
    compare_objects(live, drilled, COMPARE_WHOLE, all);
    json_array_foreach(all, i, x)
    {
        const char *path = json_dot_str(x, "pointer");
        if (concerns(asked, path) || (is_plain(desired) && !str_starts(path, "/metadata")))
            json_array_append(out, x);
    }
}
