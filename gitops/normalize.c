// SPDX-License-Identifier: Apache-2.0
//
// What must not be sent, and why, is the table of spec kubernetes-api section 3.2.
#include <string.h>

#include "gitops/json.h"
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

static void drop_empty_ca(json_t *client_config)
{
    const char *ca = json_string_value(json_object_get(client_config, "caBundle"));
    if (ca && !*ca)
        json_object_del(client_config, "caBundle");
}

static void clean_ca_bundles(json_t *doc)
{
    size_t i;
    json_t *w;
    json_array_foreach(json_object_get(doc, "webhooks"), i, w)
    {
        drop_empty_ca(json_object_get(w, "clientConfig"));
    }
    drop_empty_ca(json_object_get(doc, "spec"));
    drop_empty_ca(json_dot(doc, "spec.conversion.webhook.clientConfig"));
}

// Server-side apply keys these lists; two items of one key are refused with an untyped 500.
static bool check_keyed(const json_t *list, const char *k1, const char *k2, const char *what,
                        struct err *err)
{
    CLEANUP(json_freep) json_t *seen = json_object();
    size_t i;
    json_t *x;
    json_array_foreach(list, i, x)
    {
        const json_t *a = json_object_get(x, k1);
        const char *b = k2 ? json_string_value(json_object_get(x, k2)) : NULL;
        CLEANUP(str_freep)
        char *key = json_is_string(a) ? str_printf("%s/%s", json_string_value(a), b ? b : "")
                    : json_is_integer(a)
                        ? str_printf("%lld/%s", (long long)json_integer_value(a), b ? b : "TCP")
                        : NULL;
        if (!key)
            continue;
        if (json_object_get(seen, key)) {
            key[strcspn(key, "/")] = 0;
            return err_set(err, ERR_INVALID,
                           "%s has %s \"%.80s\" twice, which server-side apply refuses", what, k1,
                           key);
        }
        json_object_set_new(seen, key, json_true());
    }
    return true;
}

static bool check_containers(const json_t *spec, const char *field, struct err *err)
{
    size_t i;
    json_t *c;
    json_array_foreach(json_object_get(spec, field), i, c)
    {
        const char *name = json_dot_str(c, "name");
        CLEANUP(str_freep) char *what = str_printf("container %.80s", name ? name : "?");
        if (!check_keyed(json_object_get(c, "env"), "name", NULL, what, err))
            return false;
    }
    return check_keyed(json_object_get(spec, field), "name", NULL, field, err);
}

static bool check_pod_spec(const json_t *spec, struct err *err)
{
    return check_containers(spec, "containers", err) &&
           check_containers(spec, "initContainers", err) &&
           check_keyed(json_object_get(spec, "volumes"), "name", NULL, "the pod's volumes", err);
}

// The pod template of a workload, wherever its kind keeps it; borrowed.
static json_t *pod_template(const json_t *doc, const char *kind)
{
    if (!strcmp(kind, "CronJob"))
        return json_dot(doc, "spec.jobTemplate.spec.template");
    return json_dot(doc, "spec.template");
}

bool object_normalize(json_t *doc, struct err *err)
{
    json_t *meta = json_object_get(doc, "metadata");
    const char *kind = json_dot_str(doc, "kind");
    if (!json_is_object(meta) || !kind)
        return err_set(err, ERR_INVALID, "not a Kubernetes object");
    json_object_del(doc, "status");
    if (!drop_nulls(doc, err))
        return false;
    clean_metadata(meta);
    if (!strcmp(kind, "Secret") && !fold_string_data(doc, err))
        return false;
    if (!strcmp(kind, "ClusterRole") && json_object_get(doc, "aggregationRule"))
        json_object_del(doc, "rules");
    clean_ca_bundles(doc);
    json_t *tpl = pod_template(doc, kind);
    if (json_is_object(tpl)) {
        clean_template(tpl);
        if (!check_pod_spec(json_object_get(tpl, "spec"), err))
            return false;
    }
    if (!strcmp(kind, "Pod") && !check_pod_spec(json_object_get(doc, "spec"), err))
        return false;
    if (!strcmp(kind, "Service") &&
        !check_keyed(json_dot(doc, "spec.ports"), "port", "protocol", "the Service", err))
        return false;
    return true;
}
