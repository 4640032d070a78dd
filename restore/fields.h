// SPDX-License-Identifier: Apache-2.0
//
// Fields that an older target does not know, in kinds that it serves. It would refuse the object
// for one of them, or drop it without a word; here they are taken out of what is sent, and told.
#ifndef RESTORE_FIELDS_H
#define RESTORE_FIELDS_H

#include "kube/kube.h"
#include "restore/apis.h"

// Takes out of doc what the OpenAPI document of its group and version does not know, and adds where
// it stood: "spec.template.spec.containers[0].livenessProbe.httpGet.protocol". A kind that it does
// not describe is left alone. Pure; nothing of the document is believed to be finite.
void fields_take_out(const json_t *openapi, const char *group, const char *version,
                     const char *kind, json_t *doc, struct strv *paths);

// Asks the target for those documents of Kubernetes' own APIs that objects of d need, one after
// another, and changes these: API_TRIMMED. Where a document cannot be had that is one of `unread`,
// and nothing is known. False only when the loop is to stop.
MUST_CHECK bool fields_settle(struct kube *k, const struct loop *l, struct desired *d,
                              struct api_changes *out, struct strv *unread, struct err *err);

#endif
