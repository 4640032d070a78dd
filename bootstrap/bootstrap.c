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
    struct kube_opts ko = {.user_agent = "regrow/" REGROW_VERSION " (linux)",
                           .field_manager = o->manager,
                           .events = o->events};
    if (!kubeconfig_load(&o->kube, &s->config, err))
        return false;
    s->kube = kube_new(l, s->config, &ko);
    s->kinds = kinds_new();
    return kube_connect(s->kube, o->wait_cluster_ms, s->kinds, err);
}

bool session_open(struct loop *l, const struct session_opts *o, struct session **out,
                  struct err *err)
{
    struct session *s CLEANUP(session_closep) = mem_alloc(sizeof(*s));
    struct source_opts so = o->source;
    if (o->use_cluster && !connect_cluster(l, o, s, err))
        return false;
    if (s->kube) {
        // The list kept by the emulated minor decides, not the binary's own version.
        s->version = str_dup(plain_version(s->kube));
        so.kube_version = s->version;
        so.known_kinds = s->kinds;
        so.kind_served = kind_served;
        so.ctx = s->kinds;
        so.cluster_server = kubeconfig_server(s->config);
    }
    so.events = o->events;
    s->source_opts = so;
    s->source = source_new(l, &s->source_opts);
    if (!source_load(s->source, o->root, &s->desired, err))
        return false;
    *out = TAKE(s);
    return true;
}

void session_close(struct session *s)
{
    if (!s)
        return;
    desired_free(s->desired);
    source_free(s->source);
    kube_free(s->kube);
    kubeconfig_free(s->config);
    kinds_free(s->kinds);
    free(s->version);
    free(s);
}
