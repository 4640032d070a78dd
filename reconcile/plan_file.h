// SPDX-License-Identifier: Apache-2.0
//
// A plan as a file (docs/plan-files.md): what was decided, to be carried out later exactly so, or
// refused with what has changed. This part is pure: a document to bytes and back, and one document
// against another. planned.c makes the document's objects of a run.
//
// Nothing secret is in it, and nothing by which a secret could be guessed. Values are there as
// hashes only, and of a Secret not even those: whoever holds the file could try the few values that
// a weak password may have, and a key to the hash would have to travel with the file. A Secret is
// held to what was planned by other means: what it should be, by the exact revision of the source
// that it was rendered from (a folder has none, so a Secret out of one cannot be planned to a
// file); what it is in the cluster, by uid and resourceVersion.
#ifndef RECONCILE_PLAN_FILE_H
#define RECONCILE_PLAN_FILE_H

#include "gitops/gitops.h"

#define PLAN_FILE_MAX_BYTES (256U << 20) // a plan of 500,000 objects
#define PLAN_FILE_MAX_OBJECTS 500000

// doc: cluster, options, root, sources, objects. The same document is always the same bytes.
void plan_file_write(const json_t *doc, struct buf *out);
// Bytes of outside: everything is checked before it is given out. INVALID: it is no plan file, or
// one of a later format; CORRUPT: it is cut off, or was changed after it was written.
MUST_CHECK bool plan_file_read(const char *p, size_t len, json_t **out, struct err *err);
char *plan_file_sum(const json_t *doc); // "sha256:…" of a document that was read; owned

// What differs, as an array (owned) of {what, application?, group?, kind?, namespace?, name?,
// phase?, planned?, now?, message}; empty: the same, or as far as it is not, already done as
// planned.
//   what  "source": a chart's archive; "content": what it should be; "live": what is in the
//   cluster;
//         "action": what would be done; "new", "gone": an object
json_t *plan_file_changes(const json_t *planned, const json_t *now);

// What is still to be compared by a dry run in `now`, and is as it was when `before` was made, is
// what it was found to be then: in place.
void plan_file_settle(json_t *now, const json_t *before);

// The fields of a document as short hashes, to tell later which are other ones. Owned; NULL: too
// many. And of a document those that are not among the hashes, as JSON pointers; owned.
char *plan_file_fields(const json_t *doc);
json_t *plan_file_other_fields(const json_t *doc, const char *fields);

#endif
