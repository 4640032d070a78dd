// SPDX-License-Identifier: Apache-2.0
//
// Health of one object, pure: a function of its document alone, in Argo CD's vocabulary and rules
// (spec argo-cd section 4), with tables by kind.
#ifndef RECONCILE_HEALTH_H
#define RECONCILE_HEALTH_H

#include <jansson.h>

#include "base/err.h"

// Best to worst; HEALTH_NONE: the kind has no check, which counts as healthy.
enum health {
    HEALTH_NONE,
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
};
void health_result_clear(struct health_result *r);

void health_of(const json_t *obj, struct health_result *out);
const char *health_name(enum health h); // "Healthy", ...; "" for HEALTH_NONE
// Does a dependency on this object hold (NEED_READY)? Healthy, none, and Suspended count; in
// addition CRDs must be Established, Certificates, Issuers, stores their Ready condition.
bool health_is_ready(const json_t *obj, const struct health_result *r);
// Has this kind a check at all? Kinds without one need no watch.
bool health_has_check(const char *group, const char *kind);

#endif
