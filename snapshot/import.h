// SPDX-License-Identifier: Apache-2.0
//
// An export back into a repository (docs/export.md): the same snapshot, named and sealed anew by a
// job of it, as copy does.
//
// Life: import_open proves that the file is what was written and finds out who vouches for it;
// nothing in it is parsed before. import_read opens the rest and proves it whole; import_reader is
// what copy_begin copies from. import_free.
#ifndef SNAPSHOT_IMPORT_H
#define SNAPSHOT_IMPORT_H

#include "snapshot/copy.h"

struct import_opts {
    struct loop *loop;
    const struct event_sink *events;
    const struct sha256 *pin;  // trust/0001 it must have: it is pinned then; NULL: any
    const struct sha256 *here; // a pin that is believed if it is the same; NULL: none
    const char *work;          // folder in which a private one is made
};
struct import;
// No export, or one made before there was import: INVALID. Cut, changed, by a key that may not sign
// it, of another pin: CORRUPT.
MUST_CHECK bool import_open(const char *file, const struct import_opts *o, struct import **out,
                            struct err *err);
void import_free(struct import *m);
CLEANUP_FN(struct import, import_free, import_freep);

struct import_facts {
    const struct entry *entry; // as the repository it comes from has it
    struct sha256 sums, pin;
    bool is_pinned, is_signed, has_secrets;
    struct key_id key;        // who signed it …
    const char *role, *label; // … "admin", "writer", "judge", and what it is called
    struct strv doubts;       // as of copy_opts
    uint64_t files, bytes;
};
const struct import_facts *import_facts(const struct import *m); // borrowed

// Secrets that none of the identities opens (NULL: none were given): DENIED.
MUST_CHECK bool import_read(struct import *m, const struct age_identities *ids, struct err *err);
struct reader *import_reader(struct import *m); // borrowed; after import_read

// May it go on top of that log? result: what copy_begin made of it. *is_there: the very same is in
// it, vouched for as well as this. As copy_check otherwise, and another content of that number:
// CONFLICT.
MUST_CHECK bool import_check(const struct import *m, const struct log *to,
                             const struct snapshot_entry *result, bool on_top, bool *is_there,
                             struct err *err);

#endif
