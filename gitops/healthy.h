// SPDX-License-Identifier: Apache-2.0
//
// Which revisions were last healthy (docs/reconcile.md): the ConfigMap `healthy` in regrow-system,
// whose data is {application: revision}; the root's entry is the commit at which everything was
// settled. Whoever reconciles writes it, a snapshot keeps it. Where another one reconciles, the
// status of Application objects says as much. Pure.
#ifndef GITOPS_HEALTHY_H
#define GITOPS_HEALTHY_H

#include "gitops/desired.h"

#define HEALTHY_MAP "healthy"
#define HEALTHY_PATH "/api/v1/namespaces/regrow-system/configmaps/" HEALTHY_MAP
// A ConfigMap holds 1 MiB, and the API server notes every key once more.
#define HEALTHY_MAX_BYTES (700U << 10)
#define HEALTHY_MAX_REVISION 255

// What an application is called there: its tracking name, in characters that keys may have; owned.
char *healthy_key(const char *tracking_name);
// Exact revisions, one for each source, as one text, owned; NULL: none of them is known, or nobody
// would believe it.
char *healthy_revision(const struct strv *revisions);
bool healthy_is_revision(const char *s); // commits, versions and digests, with commas between
bool healthy_is_commit(const char *s);

// What is to be written when all is settled: every application that is applied here, the root with
// its commit. Owned. `left_out`: how many had no room.
json_t *healthy_of_all(const struct desired *d, size_t *left_out);
// What of the ConfigMap can be believed, by keys; owned. `odd`: a line each about what cannot.
json_t *healthy_read(const json_t *config_map, const char *root_key, struct strv *odd);
// The merge patch of the data that makes `is` (NULL: nothing) what is wanted; owned. NULL: it is.
json_t *healthy_patch(const json_t *is, const json_t *wanted);
// What an Application's status says, if it is Synced and Healthy; owned. NULL: it is not.
char *healthy_of_status(const json_t *application);
// Is an application that has that revision at what is desired of it? Of Git all of its sources have
// to be the same; of charts and artifacts not every tool gives the same name.
bool healthy_is_current(const struct application *a, const char *revision);

#endif
