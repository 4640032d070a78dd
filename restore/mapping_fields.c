// SPDX-License-Identifier: Apache-2.0
//
// Where the names that a restore may map stand: a table of fields by kind, container images of
// whatever has a pod template, and three places with a form of their own: rules of Traefik, lists
// of host names in an annotation, registered clusters.
#include <stdlib.h>
#include <string.h>

#include "restore/mapping_int.h"

#define NET "networking.k8s.io"
#define GW "gateway.networking.k8s.io"
#define CERT "cert-manager.io"
#define MON "monitoring.coreos.com"
#define ARGO "argoproj.io"
#define ISTIO "networking.istio.io"
#define CLUSTER_LABEL "argocd.argoproj.io/secret-type"
#define DNS_ANNOTATION "metadata.annotations.external-dns~alpha~kubernetes~io/hostname"
#define CLAIM "spec.storageClassName"
#define LEGACY_CLASS "metadata.annotations.volume~beta~kubernetes~io/storage-class"

// How the text at the end of a path is to be read.
enum form { FORM_VALUE, FORM_RULE, FORM_LIST };

// A path as in gitops/refs.c: "[]" is each of a list, '~' in a key stands for '.'.
static const struct field {
    enum map_kind map;
    const char *group, *kind; // "*": any; "*x": whatever ends in x
    const char *path;
    enum form form;
} fields[] = {
    {MAP_HOST, NET, "Ingress", "spec.rules[].host", FORM_VALUE},
    {MAP_HOST, NET, "Ingress", "spec.tls[].hosts[]", FORM_VALUE},
    {MAP_HOST, GW, "Gateway", "spec.listeners[].hostname", FORM_VALUE},
    {MAP_HOST, GW, "ListenerSet", "spec.listeners[].hostname", FORM_VALUE},
    {MAP_HOST, GW, "*Route", "spec.hostnames[]", FORM_VALUE},
    {MAP_HOST, GW, "*Route", "spec.rules[].filters[].requestRedirect.hostname", FORM_VALUE},
    {MAP_HOST, GW, "*Route", "spec.rules[].filters[].urlRewrite.hostname", FORM_VALUE},
    {MAP_HOST, CERT, "Certificate", "spec.dnsNames[]", FORM_VALUE},
    {MAP_HOST, CERT, "Certificate", "spec.commonName", FORM_VALUE},
    {MAP_HOST, "traefik.io", "IngressRoute*", "spec.routes[].match", FORM_RULE},
    {MAP_HOST, "traefik.io", "IngressRoute*", "spec.tls.domains[].main", FORM_VALUE},
    {MAP_HOST, "traefik.io", "IngressRoute*", "spec.tls.domains[].sans[]", FORM_VALUE},
    {MAP_HOST, "traefik.containo.us", "IngressRoute*", "spec.routes[].match", FORM_RULE},
    {MAP_HOST, "traefik.containo.us", "IngressRoute*", "spec.tls.domains[].main", FORM_VALUE},
    {MAP_HOST, "traefik.containo.us", "IngressRoute*", "spec.tls.domains[].sans[]", FORM_VALUE},
    {MAP_HOST, ISTIO, "VirtualService", "spec.hosts[]", FORM_VALUE},
    {MAP_HOST, ISTIO, "Gateway", "spec.servers[].hosts[]", FORM_VALUE},
    {MAP_HOST, "route.openshift.io", "Route", "spec.host", FORM_VALUE},
    {MAP_HOST, "*", "*", DNS_ANNOTATION, FORM_LIST},

    {MAP_STORAGE_CLASS, "", "PersistentVolumeClaim", CLAIM, FORM_VALUE},
    {MAP_STORAGE_CLASS, "", "PersistentVolumeClaim", LEGACY_CLASS, FORM_VALUE},
    {MAP_STORAGE_CLASS, "", "PersistentVolume", CLAIM, FORM_VALUE},
    {MAP_STORAGE_CLASS, "apps", "StatefulSet", "spec.volumeClaimTemplates[]." CLAIM, FORM_VALUE},
    {MAP_STORAGE_CLASS, "apps", "StatefulSet", "spec.volumeClaimTemplates[]." LEGACY_CLASS,
     FORM_VALUE},
    {MAP_STORAGE_CLASS, MON, "*", "spec.storage.volumeClaimTemplate." CLAIM, FORM_VALUE},
    {MAP_STORAGE_CLASS, "postgresql.cnpg.io", "Cluster", "spec.storage.storageClass", FORM_VALUE},
    {MAP_STORAGE_CLASS, "postgresql.cnpg.io", "Cluster", "spec.walStorage.storageClass",
     FORM_VALUE},
    {MAP_STORAGE_CLASS, "elasticsearch.k8s.elastic.co", "Elasticsearch",
     "spec.nodeSets[].volumeClaimTemplates[]." CLAIM, FORM_VALUE},
    {MAP_STORAGE_CLASS, "kafka.strimzi.io", "KafkaNodePool", "spec.storage.class", FORM_VALUE},
    {MAP_STORAGE_CLASS, "kafka.strimzi.io", "KafkaNodePool", "spec.storage.volumes[].class",
     FORM_VALUE},

    {MAP_CLUSTER, ARGO, "Application", "spec.destination.server", FORM_VALUE},
    {MAP_CLUSTER, ARGO, "Application", "spec.destination.name", FORM_VALUE},
    {MAP_CLUSTER, ARGO, "ApplicationSet", "spec.template.spec.destination.server", FORM_VALUE},
    {MAP_CLUSTER, ARGO, "ApplicationSet", "spec.template.spec.destination.name", FORM_VALUE},
    {MAP_CLUSTER, ARGO, "AppProject", "spec.destinations[].server", FORM_VALUE},
    {MAP_CLUSTER, ARGO, "AppProject", "spec.destinations[].name", FORM_VALUE},

    {MAP_REGISTRY, MON, "*", "spec.image", FORM_VALUE},
    {MAP_REGISTRY, "postgresql.cnpg.io", "Cluster", "spec.imageName", FORM_VALUE},
};

// Inside a pod's spec.
static const struct field pod_fields[] = {
    {MAP_REGISTRY, "*", "*", "containers[].image", FORM_VALUE},
    {MAP_REGISTRY, "*", "*", "initContainers[].image", FORM_VALUE},
    {MAP_REGISTRY, "*", "*", "ephemeralContainers[].image", FORM_VALUE},
    {MAP_REGISTRY, "*", "*", "volumes[].image.reference", FORM_VALUE},
    {MAP_STORAGE_CLASS, "*", "*", "volumes[].ephemeral.volumeClaimTemplate." CLAIM, FORM_VALUE},
};

// ---- texts with a form ----
// Host names in quotes within calls of Host and HostSNI: "Host(`a`) && PathPrefix(`/x`)".
static const char *end_of_host_call(const char *s)
{
    static const char *const calls[] = {"Host(", "HostSNI(", "HostHeader("};
    for (size_t i = 0; i < ARRAY_LEN(calls); i++)
        if (str_starts(s, calls[i]))
            return s + strlen(calls[i]);
    return NULL;
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// Copies one quoted text, mapped where it is a host; *s is behind it then.
static void copy_quoted(const struct mappings *m, const char **s, bool is_host, struct buf *out,
                        unsigned *which)
{
    char quote = **s;
    const char *end = strchr(*s + 1, quote);
    size_t n = end ? (size_t)(end - *s) - 1 : strlen(*s + 1);
    CLEANUP(str_freep) char *value = str_ndup(*s + 1, n);
    CLEANUP(str_freep)
    char *to = is_host && end ? mapping_new_value(m, MAP_HOST, value, which) : NULL;
    buf_char(out, quote);
    buf_str(out, to ? to : value);
    if (end)
        buf_char(out, quote);
    *s += n + 1 + (end != NULL);
}

static char *map_rule(const struct mappings *m, const char *rule, unsigned *which)
{
    struct buf b = {0};
    bool in_call = false;
    for (const char *s = rule; *s;) {
        const char *call = s == rule || !is_word(s[-1]) ? end_of_host_call(s) : NULL;
        if (*s == '`' || *s == '"' || *s == '\'') {
            copy_quoted(m, &s, in_call, &b, which);
        } else if (call) {
            buf_append(&b, s, (size_t)(call - s));
            s = call;
            in_call = true;
        } else {
            in_call = in_call && *s != ')';
            buf_char(&b, *s++);
        }
    }
    return buf_take(&b);
}

// "a.example.com, b.example.com".
static char *map_list(const struct mappings *m, const char *list, unsigned *which)
{
    struct buf b = {0};
    for (const char *s = list; *s;) {
        size_t n = strcspn(s, ", ");
        CLEANUP(str_freep) char *value = str_ndup(s, n);
        CLEANUP(str_freep) char *to = n ? mapping_new_value(m, MAP_HOST, value, which) : NULL;
        size_t gap = strspn(s + n, ", ");
        buf_str(&b, to ? to : value);
        buf_append(&b, s + n, gap);
        s += n + gap;
    }
    return buf_take(&b);
}

static char *new_text(const struct changing *c, const struct field *f, const char *value,
                      unsigned *which)
{
    char *to = f->form == FORM_VALUE  ? mapping_new_value(c->m, f->map, value, which)
               : f->form == FORM_RULE ? map_rule(c->m, value, which)
                                      : map_list(c->m, value, which);
    if (to && !strcmp(to, value))
        str_freep(&to);
    return to;
}

// ---- along a path ----
// What a text at the end of it becomes; NULL: it stays. Owned by the caller.
static json_t *map_leaf(struct changing *c, const struct field *f, const json_t *v,
                        const struct buf *pointer)
{
    unsigned which = 0;
    const char *value = json_string_value(v);
    CLEANUP(str_freep) char *to = value ? new_text(c, f, value, &which) : NULL;
    if (!to)
        return NULL;
    mapping_note(c, which, pointer->p, value, to);
    return json_string(to);
}

static void cut(struct buf *pointer, size_t len)
{
    pointer->len = len;
    if (pointer->p)
        pointer->p[len] = 0;
}

static void follow(struct changing *c, const struct field *f, json_t *v, const char *path,
                   struct buf *pointer);

static void follow_list(struct changing *c, const struct field *f, json_t *list, const char *rest,
                        struct buf *pointer)
{
    size_t len = pointer->len;
    for (size_t i = 0; i < json_array_size(list); i++) {
        buf_printf(pointer, "/%zu", i);
        if (*rest) {
            follow(c, f, json_array_get(list, i), rest, pointer);
        } else {
            json_t *to = map_leaf(c, f, json_array_get(list, i), pointer);
            if (to)
                json_array_set_new(list, i, to);
        }
        cut(pointer, len);
    }
}

static void follow(struct changing *c, const struct field *f, json_t *v, const char *path,
                   struct buf *pointer)
{
    size_t len = pointer->len;
    size_t n = strcspn(path, ".[");
    CLEANUP(str_freep) char *key = str_ndup(path, n);
    const char *rest = path + n;
    bool is_list = *rest == '[';
    rest += is_list ? 2 : 0;
    rest += *rest == '.';
    for (char *p = key; *p; p++)
        if (*p == '~')
            *p = '.';
    json_t *next = json_object_get(v, key);
    json_pointer_add(pointer, key);
    if (next && is_list) {
        follow_list(c, f, next, rest, pointer);
    } else if (next && *rest) {
        follow(c, f, next, rest, pointer);
    } else if (next) {
        json_t *to = map_leaf(c, f, next, pointer);
        if (to)
            json_object_set_new(v, key, to);
    }
    cut(pointer, len);
}

// ---- registered clusters ----
// A value of a Secret, coded.
static void map_coded(struct changing *c, const char *key)
{
    unsigned which = 0;
    json_t *data = json_object_get(c->doc, "data");
    const char *coded = json_string_value(json_object_get(data, key));
    struct buf plain CLEANUP(buf_clear) = {0};
    struct buf again CLEANUP(buf_clear) = {0};
    if (!coded || !base64_decode(coded, strlen(coded), &plain) || !plain.len ||
        memchr(plain.p, 0, plain.len))
        return;
    CLEANUP(str_freep) char *to = mapping_new_value(c->m, MAP_CLUSTER, plain.p, &which);
    if (!to)
        return;
    CLEANUP(str_freep) char *pointer = str_printf("/data/%s", key);
    buf_base64(&again, to, strlen(to));
    mapping_note(c, which, pointer, plain.p, to);
    json_object_set_new(data, key, json_string(again.p));
}

static void map_registration(struct changing *c)
{
    if (*c->id->group || strcmp(c->id->kind, "Secret") != 0 ||
        !str_eq(json_label(c->doc, CLUSTER_LABEL), "cluster"))
        return;
    map_coded(c, "server");
    map_coded(c, "name");
}

static bool fits(const char *pattern, const char *text)
{
    size_t n = strlen(pattern);
    if (*pattern == '*')
        return str_ends(text, pattern + 1);
    return pattern[n - 1] == '*' ? !strncmp(pattern, text, n - 1) : !strcmp(pattern, text);
}

void mapping_fields(struct changing *c)
{
    struct buf pointer CLEANUP(buf_clear) = {0};
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        const struct field *f = &fields[i];
        bool same_group = !strcmp(f->group, "*") || !strcmp(f->group, c->id->group);
        if (same_group && fits(f->kind, c->id->kind))
            follow(c, f, c->doc, f->path, &pointer);
    }
    const char *pod = object_pod_spec(c->id);
    for (size_t i = 0; pod && i < ARRAY_LEN(pod_fields); i++) {
        CLEANUP(str_freep) char *path = str_printf("%s.%s", pod, pod_fields[i].path);
        follow(c, &pod_fields[i], c->doc, path, &pointer);
    }
    map_registration(c);
}
