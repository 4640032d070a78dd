// SPDX-License-Identifier: Apache-2.0
//
// AppProject rules (spec argo-cd section 7), in the order in which Argo CD reports violations.
// A violation is DENIED and names project, rule and what broke it. `project` NULL means the
// project does not exist: DENIED, except for "default", which then allows everything.
#ifndef GITOPS_PROJECT_H
#define GITOPS_PROJECT_H

#include "gitops/app.h"

MUST_CHECK bool project_permits_app(const json_t *project, const struct application *app,
                                    struct err *err);
MUST_CHECK bool project_permits_object(const json_t *project, const struct application *app,
                                       const struct object *o, struct err *err);
// Repository URLs as Argo CD compares them: lower case, ".git" and trailing "/" off, ssh forms
// unified ("git@host:a/b" = "ssh://git@host/a/b"). Owned.
char *repo_url_normal(const char *url);

#endif
