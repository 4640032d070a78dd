// SPDX-License-Identifier: Apache-2.0
//
// AppProject rules (spec argo-cd section 7), in the order in which Argo CD reports violations.
// A violation is DENIED and names project, rule and what broke it. `project` NULL means the
// project does not exist: DENIED, except for "default", which then allows everything. Rules that
// ask for what regrow cannot do (signed commits) are INVALID: they are never passed over.
#ifndef GITOPS_PROJECT_H
#define GITOPS_PROJECT_H

#include "gitops/app.h"

// The cluster an application's destination stands for, once it is found. Borrowed.
struct cluster_ref {
    const char *server, *name; // NULL when not known
    const char *project;       // the one its Secret is scoped to, or NULL
};

MUST_CHECK bool project_permits_app(const json_t *project, const struct application *app,
                                    const struct cluster_ref *cluster, struct err *err);
MUST_CHECK bool project_permits_object(const json_t *project, const struct application *app,
                                       const struct cluster_ref *cluster, const struct object *o,
                                       struct err *err);
// The project with the lists of the global projects added whose selector picks it. `settings` is
// the text of globalProjects in the ConfigMap argocd-cm, or NULL; `all` an array of projects.
// *out is owned; it is a new reference to the project itself when nothing is added.
MUST_CHECK bool project_with_globals(json_t *project, const char *settings, const json_t *all,
                                     json_t **out, struct err *err);
// Repository URLs as Argo CD compares them: lower case, ".git" and trailing "/" off, ssh forms
// unified ("git@host:a/b" = "ssh://git@host/a/b"). Owned.
char *repo_url_normal(const char *url);
// Fit for printing: user and password taken out (not the user of ssh). Owned.
char *repo_url_shown(const char *url);

#endif
