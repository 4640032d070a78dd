// SPDX-License-Identifier: Apache-2.0
//
// What a control plane whose nodes are simulated cannot show, taken out of a desired state before
// it is brought there (pure). No container runs in it: no webhook answers, no aggregated API is
// served, no operator reports on its custom resources or registers kinds.
#ifndef RESTORE_SIMULATED_H
#define RESTORE_SIMULATED_H

#include "restore/apis.h"

struct simulated {
    size_t webhooks;     // configurations left out
    size_t api_services; // left out
    size_t conversions; // definitions whose versions are converted by a webhook: here by name alone
    size_t undefined;  // objects of kinds nobody defines, left out: nobody will come to define them
    struct strv ready; // "KIND.GROUP=applied": kinds that count as healthy once they are applied
    struct strv told;  // a line each, for people
};
void simulated_settle(struct desired *d, const struct api_changes *c, struct simulated *out);
void simulated_clear(struct simulated *s);

#endif
