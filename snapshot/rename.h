// SPDX-License-Identifier: Apache-2.0
//
// Private to snapshot: everything that hangs on the root of a snapshot, each once, what is named
// before what names it, with other ids: those of another repository's keys (copy), or those of an
// export.
#ifndef SNAPSHOT_RENAME_H
#define SNAPSHOT_RENAME_H

#include "snapshot/idmap.h"
#include "snapshot/reader.h"

// Takes a blob with its references named anew; *id is what it is called from now on.
typedef bool (*rename_put_fn)(void *ctx, char kind, const void *p, size_t len, struct blob_id *id,
                              struct err *err);
struct renaming {
    struct reader *r;
    struct loop *loop; // or NULL
    rename_put_fn put;
    void *ctx;
    bool joins_pages;   // what it goes to knows lists without pages only
    bool drops_secrets; // the pools of what has any are emptied: of the root, of a hub's clusters
    struct idmap map;   // old id -> position in ids
    VEC(struct blob_id) ids, todo;
};
void renaming_clear(struct renaming *n);
// A blob and all it leads to. Not there, a Git piece, lists without end: CORRUPT.
MUST_CHECK bool rename_blob(struct renaming *n, const struct blob_id *old, struct blob_id *out,
                            struct err *err);
// A list, or root, that is no blob yet: doc is changed.
MUST_CHECK bool rename_doc(struct renaming *n, json_t *doc, char kind, struct blob_id *out,
                           struct err *err);
// What it was called that is called so now; false: it was not met.
bool renamed(const struct renaming *n, const struct blob_id *old, struct blob_id *out);

#endif
