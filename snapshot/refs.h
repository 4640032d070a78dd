// SPDX-License-Identifier: Apache-2.0
//
// What a root or a list names (docs/repository-format.md section 4): members "blob" and "blobs" are
// references wherever they stand, and a map with "sha256" beside "blobs" is a file.
#ifndef SNAPSHOT_REFS_H
#define SNAPSHOT_REFS_H

#include <jansson.h>

#include "base/vec.h"
#include "snapshot/pack.h"

struct list_refs {
    VEC(struct blob_id) ids;
    VEC(json_t *) files; // descriptions of files in it, owned
};
void list_refs_clear(struct list_refs *r);
// Of the text of a list, which is parsed whole. CORRUPT: no JSON, or a reference that is no name.
MUST_CHECK bool list_refs_find(const char *p, size_t len, struct list_refs *out, struct err *err);
// Private to the above and its tests. False: the text is not of the plain form that we write; there
// may be anything in out then.
MUST_CHECK bool list_refs_scan(const char *p, size_t len, struct list_refs *out);

#endif
