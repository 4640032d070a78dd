// SPDX-License-Identifier: Apache-2.0
//
// A snapshot onto another cluster, other host names, other storage classes, another registry:
// named fields of known kinds are rewritten, each as a whole value, never a text within a text.
// The data of ConfigMaps is left alone, and of Secrets only where a registered cluster is (its name
// and server). Pure; docs/restore.md has the fields.
#ifndef RESTORE_MAPPING_H
#define RESTORE_MAPPING_H

#include "restore/frozen.h"

enum map_kind { MAP_CLUSTER, MAP_HOST, MAP_STORAGE_CLASS, MAP_REGISTRY };

struct mapping {
    enum map_kind kind;
    char *text; // as it was given: "host=old.example.com=new.example.com"
    char *from, *to;
    size_t places, objects; // that it has changed
};

#define MAPPING_LIVE (-1) // of mapping_hit.object: what no application owns
struct mapping_hit {
    unsigned mapping;
    int object; // index in desired.objects, or MAPPING_LIVE
    struct object_id id;
    char *pointer; // JSON pointer: "/spec/rules/0/host"
    char *from, *to;
};

struct mappings {
    VEC(struct mapping) v;
    VEC(struct mapping_hit) hits; // in the order of objects
};

// KIND=OLD=NEW of each. USAGE for what is none, or says two things of one name.
MUST_CHECK bool mappings_parse(const struct strv *given, struct mappings *out, struct err *err);
// Changes one document; true when anything of it has changed. Each place is mapped once, so that
// two names may change places.
bool mappings_change(struct mappings *m, const struct object_id *id, int object, json_t *doc);
// Everything in f.
void mappings_apply(struct mappings *m, struct frozen *f);
const struct mapping *
mappings_unused(const struct mappings *m); // one that changed nothing, or NULL
void mappings_clear(struct mappings *m);

#endif
