// SPDX-License-Identifier: Apache-2.0
//
// What stands in an Application or AppProject and is not heeded here although Argo CD would act by
// it, or means nothing to either: one sentence each. Fields that change nothing of what is applied
// (info, revisionHistoryLimit, roles, orphanedResources …) are passed over in silence.
#ifndef GITOPS_UNHEEDED_H
#define GITOPS_UNHEEDED_H

#include <jansson.h>

#include "base/vec.h"

void unheeded_app(const json_t *doc, struct strv *out);
void unheeded_project(const json_t *doc, struct strv *out);
void unheeded_settings(const json_t *doc, struct strv *out); // of the ConfigMap argocd-cm

#endif
