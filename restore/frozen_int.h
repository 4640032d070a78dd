// SPDX-License-Identifier: Apache-2.0
//
// Private to restore: one snapshot on its way to a desired state.
//
//   frozen.c          the whole, applications
//   frozen_objects.c  their objects
//   frozen_zero.c     Secrets, and what no application owns
#ifndef RESTORE_FROZEN_INT_H
#define RESTORE_FROZEN_INT_H

#include "restore/frozen.h"

struct thaw {
    struct reader *r;
    const struct frozen_opts *o;
    struct frozen *out;
    struct desired *d;
    json_t *root;
    json_t *apps;      // name -> {"list", "stale"}
    json_t *at;        // name -> position in d->apps
    json_t *argo;      // "KIND NAMESPACE/NAME" of Applications and sets -> position in d->objects
    json_t *revisions; // "KIND URL CHART TARGET" of a source -> its exact revision
    json_t *secrets;   // object_key -> {"desired", "live"}: canonical text; wiped at the end
};

// "object KEY" pieces of a row; borrowed from it. kind and name are NULL where it lacks them.
struct object_id thaw_id_of(const json_t *row);
// The exact revision of a source, as an application names it; NULL: not known. Borrowed.
const char *thaw_revision(const struct thaw *t, const json_t *source);
// What a source is called in places: "platform" and "3f9c2e1", "traefik 41.3.0" and NULL. Owned.
void thaw_source_words(const struct thaw *t, const json_t *source, char **repo, char **revision);

// ---- frozen_objects.c ----
MUST_CHECK bool thaw_objects(struct thaw *t, unsigned app, const json_t *list, struct err *err);
// When all definitions are known: whose scope is certain.
void thaw_scopes(struct thaw *t);

// ---- frozen_zero.c ----
MUST_CHECK bool thaw_secrets(struct thaw *t, struct err *err); // before the objects
MUST_CHECK bool thaw_zero(struct thaw *t, struct err *err);    // behind them
void thaw_secrets_wipe(struct thaw *t);

#endif
