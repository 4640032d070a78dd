// SPDX-License-Identifier: Apache-2.0
//
// An application's kustomize options written into a kustomization, as "kustomize edit" would write
// them one after another (spec argo-cd section 1.4; compared with kustomize 5.8.2 itself).
#ifndef SOURCE_KUSTOMIZE_EDIT_H
#define SOURCE_KUSTOMIZE_EDIT_H

#include <jansson.h>

#include "base/err.h"

struct kustomize_edit {
    // Build variables in a text replaced, owned; does a component's folder exist?
    char *(*fill)(void *ctx, const char *text);
    bool (*has_component)(void *ctx, const char *path);
    void *ctx;
};

MUST_CHECK bool kustomize_edit(json_t *kustomization, const json_t *options,
                               const struct kustomize_edit *e, struct err *err);

#endif
