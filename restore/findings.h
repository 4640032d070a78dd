// SPDX-License-Identifier: Apache-2.0
//
// What a drill finds wrong with a snapshot before, or without, any cluster: what can be known from
// the snapshot alone (pure, but for reading its lists).
#ifndef RESTORE_FINDINGS_H
#define RESTORE_FINDINGS_H

#include "restore/apis.h"
#include "restore/frozen.h"

enum finding_kind {
    // The snapshot is at fault: what it lacks cannot come back from it.
    FINDING_MISSING_CRD,    // nobody defines the kind of an object
    FINDING_SECRET,         // a secret that nothing in the snapshot decrypts
    FINDING_MISSING_CHART,  // a source names a chart that was not saved
    FINDING_MISSING_SOURCE, // the same of another source
    FINDING_MISSING,        // content that could not be read when it was made
    FINDING_INVALID,        // the API server does not take an object as it is
    FINDING_DIFFERENT,      // it came back otherwise than it is in the snapshot
    // It came back, and something is not as it should be.
    FINDING_REFUSED,        // by policy, permission, another owner
    FINDING_UNSERVED,       // an API that the cluster no longer has
    FINDING_UNHEALTHY,      // an application did not become healthy
    FINDING_LIVE_MISSING,   // the live cluster has it under management, the snapshot has not
    FINDING_LIVE_DIFFERENT, // the live cluster has it otherwise
};
const char *finding_kind_name(enum finding_kind k); // "missing-crd"
bool finding_blames_snapshot(enum finding_kind k);

struct finding {
    enum finding_kind kind;
    char *object;      // "Deployment web/api"; NULL: of a whole application
    char *application; // NULL: of none
    char *message;     // one line; no value of a Secret
};
struct findings {
    VEC(struct finding) v;
};
// All texts are copied; object and application may be NULL.
void findings_add(struct findings *f, enum finding_kind k, const char *object,
                  const char *application, const char *message);
bool findings_has_object(const struct findings *f, const char *object);
bool findings_has_app(const struct findings *f, const char *application);
void findings_clear(struct findings *f);

// SealedSecrets that no saved key opens, SOPS files without their age key, stores whose credentials
// are not in the snapshot.
void findings_of_secrets(const struct frozen *f, struct findings *out);
// Sources without content. Must be able to read the snapshot's lists.
MUST_CHECK bool findings_of_sources(struct reader *r, const struct frozen *f, struct findings *out,
                                    struct err *err);
// Objects of kinds that nobody defines, and of APIs that are gone.
void findings_of_apis(const struct desired *d, const struct api_changes *c, struct findings *out);

#endif
