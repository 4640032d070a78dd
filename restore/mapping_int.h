// SPDX-License-Identifier: Apache-2.0
//
// Private to restore's mappings: mapping.c knows what becomes of a value, mapping_fields.c where
// values stand.
#ifndef RESTORE_MAPPING_INT_H
#define RESTORE_MAPPING_INT_H

#include "restore/mapping.h"

// One document on its way.
struct changing {
    struct mappings *m;
    const struct object_id *id;
    int object;
    json_t *doc;
    bool is_changed;
};

// What it becomes, and by which mapping; NULL: it stays. Owned.
char *mapping_new_value(const struct mappings *m, enum map_kind kind, const char *value,
                        unsigned *which);
void mapping_note(struct changing *c, unsigned which, const char *pointer, const char *from,
                  const char *to);
void mapping_fields(struct changing *c); // changes c->doc

#endif
