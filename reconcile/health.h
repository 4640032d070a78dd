// SPDX-License-Identifier: Apache-2.0
//
// Health of one object: a function of its document alone, in Argo CD's vocabulary, by its rules and
// in its words (spec argo-cd section 4). The rules of some 250 kinds are built in
// (health_rules.inc); a user's own, the Lua scripts of argocd-cm, come before them (`struct
// health_custom`).
//
// An object on its way out is Progressing, "Pending deletion", or what its rule says it waits for,
// unless the hook finalizer of Argo CD holds it: then it is judged like any other.
#ifndef RECONCILE_HEALTH_H
#define RECONCILE_HEALTH_H

#include <jansson.h>

#include "base/attr.h"
#include "base/err.h"

// HEALTH_NONE: the kind has no check; HEALTH_BLANK: it has one, which gave no answer. Both have no
// name and make no application worse. The others go from best to worst.
enum health {
    HEALTH_NONE,
    HEALTH_BLANK,
    HEALTH_HEALTHY,
    HEALTH_SUSPENDED,
    HEALTH_PROGRESSING,
    HEALTH_MISSING,
    HEALTH_DEGRADED,
    HEALTH_UNKNOWN,
};

struct health_result {
    enum health status;
    char *message; // owned, never NULL after health_of ("" when there is nothing to say)
    bool is_error; // the check itself could not be done; the status is Unknown
};
void health_result_clear(struct health_result *r);

// A user's checks, and the process in which they run. For one thread.
struct health_custom;

// Reads argocd-cm: the keys resource.customizations and resource.customizations.{health,
// useOpenLibs}.<group>_<Kind>. INVALID when a key, or the map, is not what it must be; *out is NULL
// when there is no script in it.
MUST_CHECK bool health_custom_new(const json_t *config_map, struct health_custom **out,
                                  struct err *err);
void health_custom_free(struct health_custom *c);
CLEANUP_FN(struct health_custom, health_custom_free, health_custom_freep);
// Is this the ConfigMap in which Argo CD itself would look: argocd-cm, in that namespace, with its
// label?
bool health_custom_is_config(const json_t *doc);
// Applications are judged by what is in them, not by a script of the user's (the one the manual
// of Argo CD recommends waits for an Argo CD that may not be there).
void health_custom_skip_applications(struct health_custom *c);

// `c` may be NULL: the built-in rules alone.
void health_of(struct health_custom *c, const json_t *obj, struct health_result *out);
const char *health_name(enum health h); // "Healthy", ...; "" for HEALTH_NONE and HEALTH_BLANK
bool health_parse(const char *name, enum health *out);
// Has this kind a check at all? Kinds without one need no watch.
bool health_has_check(const struct health_custom *c, const char *group, const char *kind);

// What a wave makes of an answer (spec argo-cd section 2.3). Two things are softer than there, for
// a run does not give up what can still recover: something plain that is Degraded is waited for
// (Argo CD fails the operation, then tries again), and something plain that is Suspended needs a
// person, not time, and counts as done. What runs once, hooks and Jobs, is judged as there.
enum health_verdict { HEALTH_WAITS, HEALTH_DONE, HEALTH_FAILED };
enum health_verdict health_verdict(const struct health_result *r, bool is_hook, bool runs_once);

#endif
