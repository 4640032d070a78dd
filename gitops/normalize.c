// SPDX-License-Identifier: Apache-2.0
//
// What must not be sent, and why, is the table of spec kubernetes-api section 3.2.
#include <string.h>

#include "gitops/json.h"
#include "gitops/names.h"
#include "gitops/object.h"

#define MAX_KEY_BYTES 1024

static const char *const server_made[] = {"managedFields",
                                          "uid",
                                          "resourceVersion",
                                          "creationTimestamp",
                                          "generation",
                                          "selfLink",
                                          "ownerReferences",
                                          "deletionTimestamp",
                                          "deletionGracePeriodSeconds"};

static bool drop_nulls(json_t *v, struct err *err)
{
    if (json_is_array(v)) {
        size_t i;
        json_t *x;
        json_array_foreach(v, i, x)
        {
            if (!drop_nulls(x, err))
                return false;
        }
        return true;
    }
    if (!json_is_object(v))
        return true;
    const char *key;
    void *tmp;
    json_t *x;
    json_object_foreach_safe(v, tmp, key, x)
    {
        if (strlen(key) > MAX_KEY_BYTES)
            return err_set(err, ERR_INVALID, "a map key is longer than %d bytes", MAX_KEY_BYTES);
        if (json_is_null(x))
            json_object_del(v, key);
        else if (!drop_nulls(x, err))
            return false;
    }
    return true;
}

static void drop_if_empty(json_t *map, const char *key)
{
    json_t *v = json_object_get(map, key);
    if (json_is_object(v) && json_object_size(v) == 0)
        json_object_del(map, key);
}

static void clean_metadata(json_t *meta)
{
    for (size_t i = 0; i < ARRAY_LEN(server_made); i++)
        json_object_del(meta, server_made[i]);
    drop_if_empty(meta, "annotations");
    drop_if_empty(meta, "labels");
    json_t *ann = json_object_get(meta, "annotations");
    json_object_del(ann, "kubectl.kubernetes.io/last-applied-configuration");
    drop_if_empty(meta, "annotations");
}

static void clean_template(json_t *tpl)
{
    json_t *meta = json_object_get(tpl, "metadata");
    if (!json_is_object(meta))
        return;
    json_object_del(meta, "creationTimestamp");
    drop_if_empty(meta, "annotations");
    drop_if_empty(meta, "labels");
}

static bool fold_string_data(json_t *doc, struct err *err)
{
    json_t *sd = json_object_get(doc, "stringData");
    if (!sd)
        return true;
    if (!json_is_object(sd))
        return err_set(err, ERR_INVALID, "stringData is not a map");
    json_t *data = json_object_get(doc, "data");
    if (!json_is_object(data)) {
        data = json_object();
        json_object_set_new(doc, "data", data);
    }
    const char *key;
    json_t *v;
    json_object_foreach(sd, key, v)
    {
        if (!json_is_string(v))
            return err_set(err, ERR_INVALID, "stringData.%.80s is not text", key);
        struct buf b CLEANUP(buf_clear) = {0};
        buf_base64(&b, json_string_value(v), json_string_length(v));
        json_object_set_new(data, key, json_stringn(b.p ? b.p : "", b.len));
    }
    json_object_del(doc, "stringData");
    if (json_object_size(data) == 0)
        json_object_del(doc, "data");
    return true;
}

// Is it this kind of this group, in any version?
static bool is_kind(const json_t *doc, const char *group, const char *kind)
{
    const char *av = json_dot_str(doc, "apiVersion");
    if (!av || !str_eq(json_dot_str(doc, "kind"), kind))
        return false;
    const size_t n = strlen(group);
    return n ? !strncmp(av, group, n) && av[n] == '/' : !strchr(av, '/');
}

static void drop_empty_ca(json_t *client_config)
{
    const char *ca = json_string_value(json_object_get(client_config, "caBundle"));
    if (ca && !*ca)
        json_object_del(client_config, "caBundle");
}

// An empty bundle would be owned by us, and whoever injects the real one would conflict.
static void clean_ca_bundles(json_t *doc)
{
    const char *hooks = "admissionregistration.k8s.io";
    if (is_kind(doc, hooks, "ValidatingWebhookConfiguration") ||
        is_kind(doc, hooks, "MutatingWebhookConfiguration")) {
        size_t i;
        json_t *w;
        json_array_foreach(json_object_get(doc, "webhooks"), i, w)
        {
            drop_empty_ca(json_object_get(w, "clientConfig"));
        }
    } else if (is_kind(doc, "apiregistration.k8s.io", "APIService")) {
        drop_empty_ca(json_object_get(doc, "spec"));
    } else if (is_kind(doc, "apiextensions.k8s.io", "CustomResourceDefinition")) {
        drop_empty_ca(json_dot(doc, "spec.conversion.webhook.clientConfig"));
    }
}

// A list that server-side apply keys by one field, or by a port and its protocol.
struct keyed {
    const char *field, *key;
    bool has_protocol;
};

// Two items of one key are refused by the server with an untyped 500.
static bool check_keyed(const json_t *owner, const struct keyed *k, const char *what,
                        struct err *err)
{
    CLEANUP(json_freep) json_t *seen = json_object();
    size_t i;
    json_t *x;
    json_array_foreach(json_object_get(owner, k->field), i, x)
    {
        const json_t *v = json_object_get(x, k->key);
        if (!json_is_string(v) && !json_is_integer(v))
            continue;
        CLEANUP(str_freep)
        char *value = json_is_string(v) ? str_dup(json_string_value(v))
                                        : str_printf("%lld", (long long)json_integer_value(v));
        const char *protocol =
            k->has_protocol ? json_string_value(json_object_get(x, "protocol")) : NULL;
        CLEANUP(str_freep) char *key = str_printf("%s %s", protocol ? protocol : "TCP", value);
        if (json_object_get(seen, key))
            return err_set(err, ERR_INVALID,
                           "%s has %s \"%.80s\" twice in %s, which server-side apply refuses", what,
                           k->key, value, k->field);
        json_object_set_new(seen, key, json_true());
    }
    return true;
}

static bool check_containers(const json_t *spec, const char *field, struct err *err)
{
    static const struct keyed lists[] = {
        {"env", "name", false},
        {"ports", "containerPort", true},
        {"volumeMounts", "mountPath", false},
    };
    size_t i;
    json_t *c;
    json_array_foreach(json_object_get(spec, field), i, c)
    {
        const char *name = json_dot_str(c, "name");
        CLEANUP(str_freep) char *what = str_printf("container %.80s", name ? name : "?");
        for (size_t k = 0; k < ARRAY_LEN(lists); k++)
            if (!check_keyed(c, &lists[k], what, err))
                return false;
    }
    const struct keyed by_name = {field, "name", false};
    return check_keyed(spec, &by_name, "the pod", err);
}

static bool check_pod_spec(const json_t *spec, struct err *err)
{
    static const struct keyed volumes = {"volumes", "name", false};
    return check_containers(spec, "containers", err) &&
           check_containers(spec, "initContainers", err) &&
           check_keyed(spec, &volumes, "the pod", err);
}

// The pod template of any workload, ours or a custom one; borrowed, NULL when there is none.
static json_t *pod_template(const json_t *doc)
{
    if (is_kind(doc, "batch", "CronJob"))
        return json_dot(doc, "spec.jobTemplate.spec.template");
    return json_dot(doc, "spec.template");
}

// Custom workloads may have lists without keys, so only the built-in ones are judged.
static bool is_builtin_workload(const json_t *doc)
{
    const char *av = json_dot_str(doc, "apiVersion");
    return av && (str_starts(av, "apps/") || str_starts(av, "batch/") || !strchr(av, '/'));
}

static bool check_lists(const json_t *doc, const json_t *tpl, struct err *err)
{
    static const struct keyed ports = {"ports", "port", true};
    if (is_kind(doc, "", "Pod"))
        return check_pod_spec(json_object_get(doc, "spec"), err);
    if (is_kind(doc, "", "Service"))
        return check_keyed(json_object_get(doc, "spec"), &ports, "the Service", err);
    return !tpl || !is_builtin_workload(doc) || check_pod_spec(json_object_get(tpl, "spec"), err);
}

// The server takes no number or boolean where it wants text: `port: 8080` needs quotes.
static bool check_texts(const json_t *owner, const char *field, struct err *err)
{
    const char *key;
    json_t *v;
    json_object_foreach(json_object_get(owner, field), key, v)
    {
        if (!json_is_string(v))
            return err_set(err, ERR_INVALID, "%s.%.80s is not text; put it in quotes", field, key);
    }
    return true;
}

static bool check_metadata(const json_t *meta, struct err *err)
{
    return check_texts(meta, "labels", err) && check_texts(meta, "annotations", err) &&
           name_check_metadata(meta, err);
}

static bool check_name(const json_t *doc, struct err *err)
{
    const char *av = json_dot_str(doc, "apiVersion");
    const char *slash = av ? strchr(av, '/') : NULL;
    CLEANUP(str_freep) char *group = slash ? str_ndup(av, (size_t)(slash - av)) : str_dup("");
    const char *kind = json_dot_str(doc, "kind");
    return name_check(doc, group, kind, err) || err_wrap(err, "%.80s", kind);
}

bool object_normalize(json_t *doc, struct err *err)
{
    json_t *meta = json_object_get(doc, "metadata");
    if (!json_is_object(meta) || !json_dot_str(doc, "kind"))
        return err_set(err, ERR_INVALID, "not a Kubernetes object");
    json_object_del(doc, "status");
    if (!drop_nulls(doc, err))
        return false;
    clean_metadata(meta);
    if (is_kind(doc, "", "Secret") && !fold_string_data(doc, err))
        return false;
    if (is_kind(doc, "rbac.authorization.k8s.io", "ClusterRole") &&
        json_object_get(doc, "aggregationRule"))
        json_object_del(doc, "rules");
    clean_ca_bundles(doc);
    json_t *tpl = pod_template(doc);
    if (json_is_object(tpl))
        clean_template(tpl);
    if ((is_kind(doc, "", "ConfigMap") || is_kind(doc, "", "Secret")) &&
        !check_texts(doc, "data", err))
        return false;
    return check_name(doc, err) && check_metadata(meta, err) && check_lists(doc, tpl, err) &&
           (!is_builtin_workload(doc) || check_metadata(json_object_get(tpl, "metadata"), err));
}
