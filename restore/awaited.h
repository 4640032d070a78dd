// SPDX-License-Identifier: Apache-2.0
//
// What a restore waits for that no restore can do, and what it cannot bring back although it
// brought back everything: a certificate authority's answer, an address from a load balancer, a
// secret store, an image that no registry has any more, the content of a volume. Each is
// {"kind", "object", "application", "message"}; object and application where there are such.
#ifndef RESTORE_AWAITED_H
#define RESTORE_AWAITED_H

#include "kube/kube.h"
#include "reconcile/reconcile.h"
#include "restore/partial.h"

// Of a run that has ended (pure). Kinds: certificate, load-balancer, dns, secret-store, volume,
// cloud-resource, external. Owned.
json_t *awaited_find(const struct run *r);
// "a certificate from its authority" for a kind; "" for one that is not known.
const char *awaited_text(const char *kind);
// What holds data that no snapshot has: claims, and sets that make claims. Appended as of kind
// "volume".
void awaited_volumes(const struct desired *d, const struct partial *part, json_t *missing);
// Images that could not be pulled, as pods that are pending say; of kind "image". One list is read.
MUST_CHECK bool awaited_images(struct kube *k, const struct desired *d, json_t *missing,
                               struct err *err);

#endif
