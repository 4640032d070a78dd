// SPDX-License-Identifier: Apache-2.0
//
// Private to snapshot: a map from blob ids to small numbers. Ids are keyed hashes already, so their
// first bytes spread evenly and nobody without the key can make them collide.
#ifndef SNAPSHOT_IDMAP_H
#define SNAPSHOT_IDMAP_H

#include "snapshot/pack.h"

struct idmap {
    struct idmap_slot {
        struct blob_id id;
        uint32_t value;
        bool is_used;
    } * slots;
    size_t cap, len;
};
// Sets the value of an id, replacing an earlier one. True: the id is new.
bool idmap_set(struct idmap *m, const struct blob_id *id, uint32_t value);
bool idmap_get(const struct idmap *m, const struct blob_id *id, uint32_t *value);
bool idmap_has(const struct idmap *m, const struct blob_id *id);
void idmap_clear(struct idmap *m);

#endif
