// SPDX-License-Identifier: Apache-2.0
//
// The desired state out of a snapshot: the same structure that the source room fills from Git, so
// that graph, plan and executor are those of a bootstrap. Beside it what no application owns and
// must be there before everything else: keys, credentials, certificates.
//
// Life: frozen_read on an opened snapshot, frozen_clear. Nothing is fetched but packs of the
// snapshot, nothing is rendered.
#ifndef RESTORE_FROZEN_H
#define RESTORE_FROZEN_H

#include "gitops/gitops.h"
#include "snapshot/snapshot.h"

// A live object that no application owned; or of an application's Secret what only the cluster had.
struct zero_object {
    struct object_id id;
    char *version;
    char *rule; // why it was taken: "sealed-secrets keys"; NULL for the rest of an owned Secret
    char *body; // canonical JSON; wiped
    size_t body_len;
};

struct frozen_opts {
    const struct kinds *served; // what the target serves; NULL: nothing is known of it
    int minor;                  // its Kubernetes version
    const char *server;         // URL of its API server, or NULL
    const json_t *cluster;      // of a hub's snapshot what went there (frozen_cluster); or NULL
};

struct frozen {
    struct desired *desired;
    VEC(struct zero_object) zero; // sorted by identity
    char *root;                   // what it was grown from, as bootstrap is told it
    char *root_folder;            // the folder's URL in the lists, if it was one; else NULL
    char *root_path;              // inside it
    char *kubernetes, *cluster;   // version and uid of the cluster it was taken of, or NULL
    struct strv stale;            // applications that are as they were before, since not readable
    struct strv missing;          // a line each: what cannot come back, and why
};

// Everything is read and checked before it returns. CORRUPT when lists are not what they must be.
MUST_CHECK bool frozen_read(struct reader *r, const struct frozen_opts *o, struct frozen *out,
                            struct err *err);
void frozen_clear(struct frozen *f);
// The list of a hub's other cluster of that name or server; *out stays NULL when the snapshot has
// none. Owned.
MUST_CHECK bool frozen_cluster(struct reader *r, const char *name, json_t **out, struct err *err);
void zero_object_clear(struct zero_object *z);

#endif
