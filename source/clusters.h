// SPDX-License-Identifier: Apache-2.0
//
// The clusters that Argo CD's cluster Secrets register, as ApplicationSets and destinations see
// them: name, server, project, labels, annotations; where a Secret says what is managed of it,
// namespaces (a list) and clusterResources. Of their credentials nothing is kept. Private to
// source.
//
// Those of the cluster itself are known from the beginning. One that stands in Git is found while
// applications are read, which may change what was read before: then everything is read once more.
#ifndef SOURCE_CLUSTERS_H
#define SOURCE_CLUSTERS_H

#include "base/str.h"
#include "gitops/gitops.h"

struct clusters {
    json_t *known; // array; what this round goes by
    json_t *found; // array; in Git, so far
};

void clusters_init(struct clusters *c, const json_t *given, const json_t *live_docs);
void clusters_clear(struct clusters *c);
// A document of a namespace of Argo CD; passed over when it is no cluster Secret.
void clusters_note(struct clusters *c, const json_t *doc);
// What was found is known from now on, in place of what was said of the same server. True if that
// is other than what this round went by.
bool clusters_settle(struct clusters *c);

#endif
