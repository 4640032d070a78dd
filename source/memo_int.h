// SPDX-License-Identifier: Apache-2.0
//
// Private to memo.c and memo_base.c.
#ifndef SOURCE_MEMO_INT_H
#define SOURCE_MEMO_INT_H

#include "source/memo.h"

struct yielded {
    unsigned used_in;    // the last load
    json_t *doc;         // of the Application; NULL for the root
    struct strv commits; // of each source; "" where it has none
    struct witness seen;
    bool has_tool;
    struct strv answers; // "1" or "0" and the API
    bool is_told_all;
    struct sha256 apis; // then: of all that it was told
    unsigned served;    // which of Argo CD's kinds the cluster has
    json_t *clusters;   // that its ApplicationSets were told of; NULL: none asked
    json_t *crds;       // of its plain directories
    VEC(struct kind_seen) kinds;
    bool has_definitions; // among these
    uint64_t fits;        // the sum of kinds to which it did; 0: it was not asked
    uint64_t settled;     // and that of all kinds for which nothing was to be changed
    VEC(struct object) objects;
    struct object made;                 // the Namespace that it wants; no kind: none
    VEC(struct application *) children; // as they were parsed
    VEC(json_t *) projects;
    struct strv warnings;
    char *global_projects;
};

struct variants {
    char *name;
    VEC(struct yielded *) v;
};

// The last state that was read to its end, application by application (memo_base.c).
struct memo_base {
    unsigned state;              // desired.h; 0: there is none
    VEC(struct yielded *) taken; // what each application yielded; NULL: it is not kept
    VEC(unsigned) with_creds;    // those that have credentials or clusters for others
    VEC(unsigned) with_kinds;    // and definitions
    uint64_t kinds;              // the sum of all that was known before it
    json_t *clusters;            // that were known
};

struct memo {
    VEC(struct variants *) apps;
    json_t *index; // name -> where
    char *kube_version;
    struct memo_base base;
};

#endif
