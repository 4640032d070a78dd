// SPDX-License-Identifier: Apache-2.0
//
// Private to gitops: the wave written on a document.
#ifndef GITOPS_SYNC_MARKS_H
#define GITOPS_SYNC_MARKS_H

#include <jansson.h>

// sync-wave, else helm.sh/hook-weight (even on what is no hook); unparsable counts as 0.
int sync_wave_of(const json_t *doc);

#endif
