// SPDX-License-Identifier: Apache-2.0
#include "restore/awaited.h"

#include <string.h>

#define MAX_HOSTS 200 // names that must be found in the DNS
#define SHOWN_HOSTS 5
#define MAX_TEXT 300    // of a message that is not ours
#define PODS_PAGE "100" // a pod has some kilobytes
#define MAX_PAGES 10

// Acts of others, by the kind of what shows that they are done. A group that begins with a dot
// stands for all that end so.
static const struct {
    const char *group, *kind; // kind NULL: any
    const char *what;
} acts[] = {
    {"cert-manager.io", NULL, "certificate"},
    {"acme.cert-manager.io", NULL, "certificate"},
    {"", "Service", "load-balancer"},
    {"networking.k8s.io", "Ingress", "load-balancer"},
    {"gateway.networking.k8s.io", "Gateway", "load-balancer"},
    {"externaldns.k8s.io", NULL, "dns"},
    {"external-secrets.io", NULL, "secret-store"},
    {"", "PersistentVolumeClaim", "volume"},
    {".crossplane.io", NULL, "cloud-resource"},
    {".upbound.io", NULL, "cloud-resource"},
};

static const struct {
    const char *kind, *text;
} texts[] = {
    {"certificate", "a certificate authority"},
    {"load-balancer", "an address from the load balancer"},
    {"dns", "the DNS"},
    {"secret-store", "a secret store"},
    {"volume", "a volume"},
    {"cloud-resource", "a resource of the cloud"},
    {"external", "something that nothing here makes"},
};

const char *awaited_text(const char *kind)
{
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (!strcmp(texts[i].kind, kind))
            return texts[i].text;
    return "";
}

static const char *act_of(const struct object_id *id)
{
    for (size_t i = 0; i < ARRAY_LEN(acts); i++) {
        bool same = *acts[i].group == '.' ? str_ends(id->group, acts[i].group)
                                          : !strcmp(id->group, acts[i].group);
        if (same && (!acts[i].kind || !strcmp(id->kind, acts[i].kind)))
            return acts[i].what;
    }
    return NULL;
}

static void add(json_t *list, const char *kind, const char *object, const char *app,
                const char *message)
{
    CLEANUP(str_freep) char *cut = str_ndup(message, strnlen(message, MAX_TEXT));
    json_t *one =
        json_pack("{s:s, s:s*, s:s*}", "kind", kind, "object", object, "application", app);
    json_t *text = json_string(cut);
    // (Cut within a character it is no text: then without it.)
    for (size_t n = strlen(cut); !text && n; text = json_string(cut))
        cut[--n] = 0;
    json_object_set_new(one, "message", text ? text : json_string(""));
    json_array_append_new(list, one);
}

// ---- acts of others ----
static void add_node(const struct run *r, unsigned node, json_t *out)
{
    const struct node *n = &run_graph(r)->nodes.v[node];
    const struct desired *d = run_desired(r);
    struct node_view v;
    run_node(r, node, &v);
    if (v.state == NODE_READY || v.state == NODE_SKIPPED)
        return;
    if (n->kind == NODE_EXTERNAL) {
        add(out, "external", n->label, NULL, *v.message ? v.message : "it is not there");
        return;
    }
    bool is_sent = n->kind == NODE_OBJECT && v.applied_ms && v.state != NODE_FAILED;
    const char *what = is_sent ? act_of(&d->objects.v[node].id) : NULL;
    if (what)
        add(out, what, n->label, d->apps.v[n->app]->name, v.message);
}

// ---- names that must lead to the new cluster ----
static void add_host(json_t *hosts, const json_t *name)
{
    const char *s = json_string_value(name);
    if (s && *s && json_object_size(hosts) < MAX_HOSTS)
        json_object_set_new(hosts, s, json_true());
}

static void add_hosts(const json_t *doc, json_t *hosts)
{
    static const struct {
        const char *list, *field; // field NULL: the items are names
    } where[] = {{"spec.rules", "host"}, {"spec.hostnames", NULL}, {"spec.listeners", "hostname"}};
    for (size_t i = 0; i < ARRAY_LEN(where); i++) {
        size_t k;
        json_t *item;
        json_array_foreach(json_dot(doc, where[i].list), k, item)
            add_host(hosts, where[i].field ? json_object_get(item, where[i].field) : item);
    }
}

static bool has_hosts(const struct object_id *id)
{
    return (!strcmp(id->group, "networking.k8s.io") && !strcmp(id->kind, "Ingress")) ||
           (!strcmp(id->group, "gateway.networking.k8s.io") &&
            (!strcmp(id->kind, "Gateway") || str_ends(id->kind, "Route")));
}

// The one that brings names to the DNS by itself.
static const char *dns_app(const struct desired *d)
{
    for (size_t i = 0; i < d->objects.len; i++) {
        const struct object *o = &d->objects.v[i];
        if (!strcmp(o->id.kind, "Deployment") && strstr(o->id.name, "external-dns"))
            return d->apps.v[o->app]->name;
    }
    return NULL;
}

static void add_dns(const struct run *r, json_t *out)
{
    const struct desired *d = run_desired(r);
    CLEANUP(json_freep) json_t *hosts = json_object();
    struct buf b CLEANUP(buf_clear) = {0};
    const char *app = dns_app(d);
    const char *host;
    json_t *yes;
    size_t shown = 0;
    for (unsigned i = 0; i < d->objects.len; i++) {
        struct node_view v;
        run_node(r, i, &v);
        if (v.state == NODE_SKIPPED || d->objects.v[i].is_virtual ||
            !has_hosts(&d->objects.v[i].id) || strcmp(v.action, "create") != 0)
            continue;
        CLEANUP(json_freep) json_t *doc = object_doc(&d->objects.v[i]);
        add_hosts(doc, hosts);
    }
    size_t n = json_object_size(hosts);
    if (!n)
        return;
    json_object_foreach(hosts, host, yes)
    {
        if (shown++ < SHOWN_HOSTS)
            buf_printf(&b, "%s%.100s", b.len ? ", " : "", host);
    }
    if (n > SHOWN_HOSTS)
        buf_printf(&b, " and %zu more", n - SHOWN_HOSTS);
    buf_printf(&b, " must lead to this cluster%s%s%s", app ? ": application " : "", app ? app : "",
               app ? " sees to it" : "");
    add(out, "dns", NULL, app, b.p);
}

json_t *awaited_find(const struct run *r)
{
    json_t *out = json_array();
    for (unsigned i = 0; i < run_graph(r)->nodes.len; i++)
        add_node(r, i, out);
    add_dns(r, out);
    return out;
}

// ---- data ----
void awaited_volumes(const struct desired *d, const struct partial *part, json_t *missing)
{
    for (size_t i = 0; i < d->objects.len; i++) {
        const struct object *o = &d->objects.v[i];
        bool is_set = !strcmp(o->id.kind, "StatefulSet");
        if (o->is_virtual || !partial_has(part, (unsigned)i) ||
            (!is_set && strcmp(o->id.kind, "PersistentVolumeClaim") != 0))
            continue;
        CLEANUP(json_freep) json_t *doc = is_set ? object_doc(o) : NULL;
        if (is_set && !json_array_size(json_dot(doc, "spec.volumeClaimTemplates")))
            continue;
        CLEANUP(str_freep) char *name = object_name(&o->id);
        add(missing, "volume", name, d->apps.v[o->app]->name,
            is_set ? "its volumes came back empty: the tool that saves them fills them"
                   : "came back empty: the tool that saves volumes fills it");
    }
}

// ---- images ----
static bool is_pull_problem(const char *reason)
{
    static const char *const reasons[] = {"ImagePullBackOff",    "ErrImagePull",
                                          "InvalidImageName",    "ErrImageNeverPull",
                                          "RegistryUnavailable", "ImageInspectError"};
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (str_eq(reason, reasons[i]))
            return true;
    return false;
}

// What a pod belongs to, as far as it is desired: of a ReplicaSet's name the hash is taken off.
static const struct object *owner_of(const struct desired *d, const json_t *pod)
{
    const json_t *ref = json_array_get(json_dot(pod, "metadata.ownerReferences"), 0);
    const char *kind = json_dot_str(ref, "kind");
    const char *name = json_dot_str(ref, "name");
    const char *ns = json_dot_str(pod, "metadata.namespace");
    if (!kind || !name || !ns)
        return NULL;
    bool is_replica_set = !strcmp(kind, "ReplicaSet");
    CLEANUP(str_freep) char *base = str_dup(name);
    char *dash = is_replica_set ? strrchr(base, '-') : NULL;
    if (dash)
        *dash = 0;
    struct object_id id = {(char *)(strcmp(kind, "Job") ? "apps" : "batch"),
                           (char *)(is_replica_set ? "Deployment" : kind), (char *)ns, base};
    return desired_find(d, &id);
}

static void add_image(const struct desired *d, const json_t *pod, const json_t *status,
                      json_t *seen, json_t *missing)
{
    const char *reason = json_dot_str(status, "state.waiting.reason");
    const char *image = json_dot_str(status, "image");
    const char *name = json_dot_str(pod, "metadata.name");
    if (!is_pull_problem(reason) || !name)
        return;
    const struct object *o = owner_of(d, pod);
    const char *ns = json_dot_str(pod, "metadata.namespace");
    CLEANUP(str_freep)
    char *what = o ? object_name(&o->id) : str_printf("Pod %s/%s", ns ? ns : "", name);
    CLEANUP(str_freep) char *key = str_printf("%s %s", what, image ? image : "");
    CLEANUP(str_freep) char *text = str_printf("%s: %s", image ? image : "its image", reason);
    if (!json_object_get(seen, key))
        add(missing, "image", what, o ? d->apps.v[o->app]->name : NULL, text);
    json_object_set_new(seen, key, json_true());
}

static void add_pods(const struct desired *d, const json_t *list, json_t *seen, json_t *missing)
{
    static const char *const fields[] = {"status.initContainerStatuses",
                                         "status.containerStatuses"};
    size_t i;
    json_t *pod;
    json_array_foreach(json_object_get(list, "items"), i, pod)
    {
        for (size_t f = 0; f < ARRAY_LEN(fields); f++) {
            size_t k;
            json_t *status;
            json_array_foreach(json_dot(pod, fields[f]), k, status)
                add_image(d, pod, status, seen, missing);
        }
    }
}

static bool is_token(const char *s)
{
    return s && *s &&
           strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                     "-_=.") == strlen(s);
}

bool awaited_images(struct kube *k, const struct desired *d, json_t *missing, struct err *err)
{
    CLEANUP(json_freep) json_t *seen = json_object();
    CLEANUP(str_freep) char *next = NULL;
    for (int page = 0; page < MAX_PAGES; page++) {
        struct buf store CLEANUP(buf_clear) = {0};
        struct kube_reply reply;
        CLEANUP(str_freep)
        char *path =
            str_printf("/api/v1/pods?fieldSelector=status.phase%%3DPending&limit=" PODS_PAGE "%s%s",
                       next ? "&continue=" : "", next ? next : "");
        struct kube_call call = {.method = "GET", .path = path, .timeout_ms = 10000};
        kube_send_wait(k, &call, &reply, &store);
        if (reply.cls != KUBE_OK)
            return kube_reply_err(&reply, err, "list the pods that are pending");
        CLEANUP(json_freep) json_t *list = json_loadb(reply.body, reply.body_len, 0, NULL);
        add_pods(d, list, seen, missing);
        const char *more = json_dot_str(list, "metadata.continue");
        if (!is_token(more))
            break;
        str_set(&next, more);
    }
    return true;
}
