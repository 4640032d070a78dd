// SPDX-License-Identifier: Apache-2.0
#include "bootstrap/bootstrap.h"

#define SETTINGS "/api/v1/namespaces/" ARGOCD_NAMESPACE "/configmaps/argocd-cm"

// Who may not read them goes by Argo CD's defaults, and is told.
static bool live_settings(struct session *s, json_t **out, struct err *err)
{
    CLEANUP(json_freep) json_t *doc = NULL;
    enum kube_class cls;
    bool ok = kube_read(s->kube, SETTINGS, KUBE_PATIENCE_MS, "read how Argo CD marks objects", &doc,
                        &cls, err);
    if (cls == KUBE_DENIED) {
        err_clear(err);
        event_emit(s->events, "run.warning", "{s:s}", "message",
                   "argocd-cm may not be read: objects are marked by Argo CD's defaults");
        return true;
    }
    *out = json_incref(json_object_get(doc, "data"));
    return ok;
}

bool session_hand_over(struct session *s, struct err *err)
{
    CLEANUP(json_freep) json_t *settings = NULL;
    if (!hand_over_is_away(s->then))
        return true;
    if (s->then == THEN_ARGOCD) {
        settings = hand_over_settings(s->desired);
        if (!settings && s->kube && !live_settings(s, &settings, err))
            return false;
    }
    struct hand_over_opts o = {.then = s->then, .settings = settings, .root = s->root};
    desired_hand_over(s->desired, &o);
    return true;
}

char *session_hand_over_root(const struct session *s)
{
    struct hand_over_opts o = {.then = s->then, .root = s->root};
    return hand_over_root(s->desired, &o);
}
