// SPDX-License-Identifier: Apache-2.0
#include "reconcile/healthy.h"

static bool send(struct kube *k, const json_t *doc, bool is_new, struct err *err)
{
    struct buf body CLEANUP(buf_clear) = {0};
    struct buf store CLEANUP(buf_clear) = {0};
    struct kube_reply reply;
    canon_write(doc, &body);
    struct kube_call call = {.method = "PATCH",
                             .path = is_new ? HEALTHY_PATH "?fieldManager=regrow-status&force=true"
                                            : HEALTHY_PATH "?fieldManager=regrow-status",
                             .body = body.p,
                             .body_len = body.len,
                             .content_type = is_new ? "application/apply-patch+yaml"
                                                    : "application/merge-patch+json",
                             .patience_ms = KUBE_PATIENCE_MS,
                             .is_idempotent = true};
    kube_send_wait(k, &call, &reply, &store);
    return reply.cls == KUBE_OK || kube_reply_err(&reply, err, "note which revisions are healthy");
}

json_t *healthy_document(bool is_new, const json_t *data)
{
    return is_new ? json_pack("{s:s, s:s, s:{s:s}, s:O}", "apiVersion", "v1", "kind", "ConfigMap",
                              "metadata", "name", HEALTHY_MAP, "data", data)
                  : json_pack("{s:O}", "data", data);
}

bool healthy_write(struct kube *k, const struct desired *d, struct err *err)
{
    size_t left_out = 0; // as many as there is room for
    CLEANUP(json_freep) json_t *wanted = healthy_of_all(d, &left_out);
    CLEANUP(json_freep) json_t *is = NULL;
    if (!kube_read(k, HEALTHY_PATH, KUBE_PATIENCE_MS, "read which revisions are healthy", &is, NULL,
                   err))
        return false;
    CLEANUP(json_freep) json_t *patch = healthy_patch(json_object_get(is, "data"), wanted);
    CLEANUP(json_freep) json_t *doc = patch ? healthy_document(!is, patch) : NULL;
    return !doc || send(k, doc, !is, err);
}
