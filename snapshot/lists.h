// SPDX-License-Identifier: Apache-2.0
//
// Lists of a snapshot, as docs/repository-format.md section 7 has them: for those who show it,
// compare it, or bring it back.
#ifndef SNAPSHOT_LISTS_H
#define SNAPSHOT_LISTS_H

#include "snapshot/reader.h"

// What {"blob": id} names; NULL where it names nothing.
MUST_CHECK bool list_open(struct reader *r, const json_t *ref, json_t **out, struct err *err);
// A list with the rows of all its parts (its member of that name).
MUST_CHECK bool list_read(struct reader *r, const json_t *ref, const char *rows, json_t **out,
                          struct err *err);
// The rows of its pages go into the list itself, which has none then. CORRUPT: more than a snapshot
// can have.
MUST_CHECK bool list_join_pages(struct reader *r, json_t *list, const char *rows, struct err *err);
// Rows of all of the root's lists of something: "sources" or "git" with that of before, "rows" the
// member. *out: an array, owned; what the newer one has goes first.
MUST_CHECK bool list_read_all(struct reader *r, const json_t *root, const char *member,
                              const char *rows, json_t **out, struct err *err);

// What tells one row of "sources" from another: kind, URL, chart, target. Owned. Of an
// application's source too, which has the same members.
char *list_source_key(const json_t *source);

// Every row of the applications of shards (an array of names of blobs, as in the root). False from
// fn ends it.
typedef bool (*list_row_fn)(void *ctx, const json_t *row, struct err *err);
MUST_CHECK bool list_each_app(struct reader *r, const json_t *shards, list_row_fn fn, void *ctx,
                              struct err *err);
// The same of the root, or of the list of a hub's other cluster; then those of what was there
// before.
MUST_CHECK bool list_each_app_ever(struct reader *r, const json_t *root, list_row_fn fn, void *ctx,
                                   struct err *err);
// All applications by name: {"stale", "list"}; what one that could not be read had before is among
// them. Without "list" it was never read. Owned.
MUST_CHECK bool list_apps(struct reader *r, const json_t *root, json_t **out, struct err *err);
// The document that {"blob": id} names; NULL where it names none. Owned.
MUST_CHECK bool list_document(struct reader *r, const json_t *ref, json_t **out, struct err *err);
// A hub's other clusters: rows {"server", "name", "blob", "stale"}, also those of before. Owned.
MUST_CHECK bool list_clusters(struct reader *r, const json_t *root, json_t **out, struct err *err);
// What names of lists of one begin with. Owned.
char *list_cluster_scope(const char *server, const char *name);

// Every line of the root's pools of Secrets, as text and as the document it is; both are valid in
// fn only. No error of this function's own quotes a line.
typedef bool (*list_secret_fn)(void *ctx, const json_t *line, const char *text, size_t len,
                               struct err *err);
MUST_CHECK bool list_each_secret(struct reader *r, const json_t *root, list_secret_fn fn, void *ctx,
                                 struct err *err);

#endif
