// SPDX-License-Identifier: Apache-2.0
#include "bootstrap/bootstrap.h"

#include <stdlib.h>
#include <string.h>

static bool kind_served(void *ctx, const char *group, const char *kind)
{
    const struct kind_info *k = kinds_find(ctx, group, NULL, kind);
    return k && k->is_served;
}

// "v1.37.2" without the v, as charts compare it.
static const char *plain_version(const struct kube *k)
{
    const char *v = kube_version(k);
    return *v == 'v' ? v + 1 : v;
}

static bool connect_cluster(struct loop *l, const struct session_opts *o, struct session *s,
                            struct err *err)
{
    struct kube_opts ko = {.user_agent = "regrow/" REGROW_VERSION " (linux)", .events = o->events};
    struct kubeconfig_opts which = o->kube;
    which.loop = l;
    if (!kubeconfig_load(&which, &s->config, err))
        return false;
    s->kube = kube_new(l, s->config, &ko);
    s->kinds = kinds_new();
    return kube_connect(s->kube, o->wait_cluster_ms, s->kinds, err);
}

// ---- what Argo CD keeps in the cluster ----
static void add_docs(json_t *out, const struct kube_reply *r, const char *kind)
{
    CLEANUP(json_freep) json_t *doc = NULL;
    struct err err = {0};
    size_t i;
    json_t *item;
    if (!canon_read(r->body, r->body_len, &doc, &err)) {
        err_clear(&err);
        return;
    }
    json_t *items = json_object_get(doc, "items");
    if (!items) {
        json_array_append(out, doc);
        return;
    }
    json_array_foreach(items, i, item)
    {
        json_object_set_new(item, "apiVersion", json_string("v1")); // items of a LIST lack both
        json_object_set_new(item, "kind", json_string(kind));
        json_array_append(out, item);
    }
}

// False when the rest need not be asked for.
static bool read_kept(struct session *s, const char *path, const char *kind)
{
    struct kube_call call = {.method = "GET", .path = path, .patience_ms = KUBE_PATIENCE_MS};
    struct kube_reply r;
    struct buf store CLEANUP(buf_clear) = {0};
    kube_send_wait(s->kube, &call, &r, &store);
    if (r.cls == KUBE_OK)
        add_docs(s->argocd, &r, kind);
    else if (r.cls != KUBE_ABSENT && r.cls != KUBE_NO_NAMESPACE) {
        struct err err = {0};
        kube_reply_err(&r, &err, "read Argo CD's Secrets");
        event_emit(s->events, "run.warning", "{s:s}", "message", err.msg);
        err_clear(&err);
    }
    if (store.p)
        explicit_bzero(store.p, store.len);
    return r.cls == KUBE_OK || r.cls == KUBE_ABSENT;
}

// Read only, and only what carries Argo CD's marks; who may not read them goes on without.
static void read_argocd(struct session *s)
{
    static const char ns[] = "/api/v1/namespaces/" ARGOCD_NAMESPACE;
    CLEANUP(str_freep)
    char *secrets = str_printf("%s/secrets?labelSelector=%s", ns,
                               "argocd.argoproj.io%2Fsecret-type%20in%20%28repository%2Crepo-creds"
                               "%2Ccluster%29");
    CLEANUP(str_freep) char *hosts = str_printf("%s/configmaps/%s", ns, ARGOCD_KNOWN_HOSTS);
    CLEANUP(str_freep) char *certs = str_printf("%s/configmaps/%s", ns, ARGOCD_TLS_CERTS);
    s->argocd = json_array();
    if (read_kept(s, secrets, "Secret") && read_kept(s, hosts, "ConfigMap"))
        (void)read_kept(s, certs, "ConfigMap");
}

bool session_open(struct loop *l, const struct session_opts *o, struct session **out,
                  struct err *err)
{
    struct session *s CLEANUP(session_closep) = mem_alloc(sizeof(*s));
    s->loop = l;
    s->events = o->events;
    if (o->use_cluster && !connect_cluster(l, o, s, err))
        return false;
    *out = TAKE(s);
    return true;
}

// What is wrong with jq expressions of ignoreDifferences: it takes a process to know.
static void check_filters(struct desired *d)
{
    CLEANUP(jq_filters_freep) struct jq_filters *jq = NULL;
    for (size_t i = 0; i < d->apps.len; i++) {
        struct application *a = d->apps.v[i];
        if (!ignored_has_jq(a->ignore_differences))
            continue;
        jq = jq ? jq : jq_filters_new();
        ignored_jq_faults(a->ignore_differences, jq, &a->warnings);
    }
}

void session_sources(struct session *s, const char *root, const struct source_opts *o)
{
    char *text = root_text(root, o->root_revision);
    free(s->root);
    s->root = text;
    s->source_opts = *o;
    if (s->kube) {
        // The list kept by the emulated minor decides, not the binary's own version.
        str_set(&s->version, plain_version(s->kube));
        s->source_opts.kube_version = s->version;
        s->source_opts.known_kinds = s->kinds;
        s->source_opts.kind_served = kind_served;
        s->source_opts.ctx = s->kinds;
        if (!o->cluster_server)
            s->source_opts.cluster_server = kubeconfig_server(s->config);
        if (!o->argocd)
            read_argocd(s);
        s->source_opts.argocd = o->argocd ? o->argocd : s->argocd;
    }
    s->source_opts.events = s->events;
}

bool session_load(struct session *s, const char *root, const struct source_opts *o, struct err *err)
{
    session_sources(s, root, o);
    str_set(&s->given, root);
    s->source = source_new(s->loop, &s->source_opts);
    if (!source_load(s->source, root, &s->desired, err))
        return false;
    check_filters(s->desired);
    return true;
}

bool session_load_again(struct session *s, const char *root, bool polled, struct err *err)
{
    const struct source_now now = {.ask_all = !polled};
    struct desired *next = NULL;
    if (!s->source)
        s->source = source_new(s->loop, &s->source_opts);
    if (!source_load_again(s->source, root, &next, &now, NULL, err))
        return false;
    check_filters(next);
    struct desired *before = s->desired;
    s->desired = next;
    if (!session_hand_over(s, err)) { // without its marks everything would seem to differ
        s->desired = before;
        desired_free(next);
        return false;
    }
    desired_free(before);
    return true;
}

bool session_load_more(struct session *s, struct err *err)
{
    return session_load_again(s, s->given, true, err);
}

void session_close(struct session *s)
{
    if (!s)
        return;
    unread_free(s->unread);
    desired_free(s->desired);
    source_free(s->source);
    kube_free(s->kube);
    kubeconfig_free(s->config);
    kinds_free(s->kinds);
    json_decref(s->argocd);
    free(s->version);
    free(s->given);
    free(s->root);
    free(s->remembered);
    free(s);
}
