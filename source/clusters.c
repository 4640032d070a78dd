// SPDX-License-Identifier: Apache-2.0
#include "source/clusters.h"

#include <string.h>

#include "source/source.h"

#define MAX_CLUSTERS 10000
#define MAX_SECRET_BYTES (1U << 20) // as the API server has it
#define LAST_APPLIED "kubectl.kubernetes.io/last-applied-configuration"

char *source_cluster_text(const json_t *doc, const char *key)
{
    const char *plain = json_string_value(json_object_get(json_object_get(doc, "stringData"), key));
    const char *coded = json_string_value(json_object_get(json_object_get(doc, "data"), key));
    struct buf b CLEANUP(buf_clear) = {0};
    if (plain)
        return str_dup(plain);
    if (!coded || strlen(coded) > MAX_SECRET_BYTES || !base64_decode(coded, strlen(coded), &b) ||
        (b.len && memchr(b.p, 0, b.len)))
        return NULL;
    return buf_take(&b);
}

char *source_cluster_server(const json_t *doc)
{
    char *server = source_cluster_text(doc, "server");
    size_t n = server ? strlen(server) : 0;
    while (n > 1 && server[n - 1] == '/')
        server[--n] = 0;
    return server;
}

// Texts alone; the copy that kubectl keeps of the whole Secret is none of a cluster's properties.
static json_t *texts(const json_t *map)
{
    json_t *out = json_object();
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)map, key, v)
    {
        if (json_is_string(v) && strcmp(key, LAST_APPLIED) != 0)
            json_object_set(out, key, v);
    }
    return out;
}

// As Argo CD reads them: names between commas, and whether objects of the whole cluster are meant
// too. Without a name nothing is limited.
static void add_limits(json_t *cluster, const json_t *doc)
{
    CLEANUP(str_freep) char *names = source_cluster_text(doc, "namespaces");
    CLEANUP(str_freep) char *whole = source_cluster_text(doc, "clusterResources");
    CLEANUP(json_freep) json_t *list = json_array();
    for (const char *s = names ? names : ""; *s;) {
        s += strspn(s, ", \t\r\n"); // a name has no blank in it
        size_t n = strcspn(s, ", \t\r\n");
        if (n)
            json_array_append_new(list, json_stringn(s, n));
        s += n;
    }
    if (!json_array_size(list))
        return;
    json_object_set(cluster, "namespaces", list);
    json_object_set_new(cluster, "clusterResources", json_boolean(str_eq(whole, "true")));
}

static json_t *cluster_of_secret(const json_t *doc)
{
    const json_t *meta = json_object_get(doc, "metadata");
    const json_t *labels = json_object_get(meta, "labels");
    if (!str_eq(json_dot_str(doc, "kind"), "Secret") ||
        !str_eq(json_dot_str(meta, "namespace"), ARGOCD_NAMESPACE) ||
        !str_eq(json_string_value(json_object_get(labels, ARGOCD_SECRET_TYPE)), "cluster"))
        return NULL;
    CLEANUP(str_freep) char *name = source_cluster_text(doc, "name");
    CLEANUP(str_freep) char *server = source_cluster_server(doc);
    CLEANUP(str_freep) char *project = source_cluster_text(doc, "project");
    if (str_is_empty(server))
        return NULL;
    json_t *cluster = json_pack("{s:s, s:s, s:s, s:o, s:o}", "name", name ? name : "", "server",
                                server, "project", project ? project : "", "labels", texts(labels),
                                "annotations", texts(json_object_get(meta, "annotations")));
    add_limits(cluster, doc);
    return cluster;
}

// Where the list has this server; its length when nowhere.
static size_t find(const json_t *list, const json_t *cluster)
{
    size_t i = 0;
    for (; i < json_array_size(list); i++)
        if (str_eq(json_dot_str(json_array_get(list, i), "server"),
                   json_dot_str(cluster, "server")))
            break;
    return i;
}

// The first one of a server counts.
static void add_take(json_t *list, json_t *cluster)
{
    if (cluster && json_array_size(list) < MAX_CLUSTERS &&
        find(list, cluster) == json_array_size(list))
        json_array_append(list, cluster);
    json_decref(cluster);
}

void clusters_init(struct clusters *c, const json_t *given, const json_t *live_docs)
{
    size_t i;
    json_t *x;
    c->known = json_array();
    c->found = json_array();
    json_array_foreach((json_t *)given, i, x)
    {
        add_take(c->known, json_incref(x));
    }
    json_array_foreach((json_t *)live_docs, i, x)
    {
        add_take(c->known, cluster_of_secret(x));
    }
}

void clusters_clear(struct clusters *c)
{
    json_decref(c->known);
    json_decref(c->found);
    *c = (struct clusters){0};
}

void clusters_note(struct clusters *c, const json_t *doc)
{
    add_take(c->found, cluster_of_secret(doc));
}

bool clusters_settle(struct clusters *c)
{
    bool news = false;
    size_t i;
    json_t *x;
    json_array_foreach(c->found, i, x)
    {
        size_t at = find(c->known, x);
        const json_t *have = json_array_get(c->known, at);
        if (have && json_equal((json_t *)have, x))
            continue;
        news = true;
        if (have)
            json_array_set(c->known, at, x);
        else
            json_array_append(c->known, x);
    }
    json_array_clear(c->found);
    return news;
}
