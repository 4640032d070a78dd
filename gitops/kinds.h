// SPDX-License-Identifier: Apache-2.0
//
// Which kinds exist, where they live in the URL space, and whether they are namespaced: from a
// built-in table (Kubernetes 1.31 to 1.37), from CRDs of the desired state, and from discovery.
// Later additions replace earlier ones of the same group, version and kind.
#ifndef GITOPS_KINDS_H
#define GITOPS_KINDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

struct kind_info {
    char *group, *version, *kind, *plural;
    bool is_namespaced;
    bool is_served; // the cluster serves it now (discovery), not only promised by a manifest
    bool is_builtin;
    bool can_patch, can_list;
};

struct kinds;
struct kinds *kinds_new(void);
void kinds_free(struct kinds *k);
CLEANUP_FN(struct kinds, kinds_free, kinds_freep);
struct kinds *kinds_dup(const struct kinds *k);

// All built-in kinds of a Kubernetes minor version (31..37; others are clamped).
void kinds_add_builtin(struct kinds *k, int minor);
void kinds_add(struct kinds *k, const char *group, const char *version, const char *kind,
               const char *plural, bool is_namespaced, bool is_served);
// Every served version of a CustomResourceDefinition document; malformed ones add nothing.
void kinds_add_crd(struct kinds *k, const json_t *crd);
// Which verbs discovery named; without it a kind can be patched and listed.
void kinds_set_verbs(struct kinds *k, const char *group, const char *version, const char *kind,
                     bool can_patch, bool can_list);
void kinds_set_served(struct kinds *k, const char *group, const char *kind, bool is_served);

// Exact version, or any version of group+kind when version is NULL. Borrowed until the next add.
const struct kind_info *kinds_find(const struct kinds *k, const char *group, const char *version,
                                   const char *kind);
// By what a person types: kind, plural or "plural.group", case-insensitive; NULL if none.
const struct kind_info *kinds_find_name(const struct kinds *k, const char *name);
size_t kinds_count(const struct kinds *k);
// Of all that was added, in its order: two of the same sum say the same of every kind. Never 0.
uint64_t kinds_sum(const struct kinds *k);
const struct kind_info *kinds_get(const struct kinds *k, size_t i);
// "/apis/apps/v1/namespaces/web/deployments/api"; ns or name NULL leave that part out. Names are
// percent-encoded where needed. Owned.
char *kind_path(const struct kind_info *k, const char *ns, const char *name);
// "group/version" and "group/version/Kind" strings for helm's --api-versions, sorted; fills a strv.
struct strv;
void kinds_api_versions(const struct kinds *k, struct strv *out);

#endif
