// SPDX-License-Identifier: Apache-2.0
//
// Private to snapshot: one verification.
//
//   verify.c          which files; their bytes; index boxes
//   verify_reports.c  the reports of drills, which no snapshot needs
//   verify_content.c  packs opened, ids computed, references followed, files put together
//   verify_git.c      Git packs indexed, and everything their refs lead to followed
#ifndef SNAPSHOT_VERIFY_INT_H
#define SNAPSHOT_VERIFY_INT_H

#include "snapshot/idmap.h"
#include "snapshot/reader.h"
#include "snapshot/refs.h"
#include "source/source.h"

struct needed_file {
    char *name;
    uint64_t seq; // of a snapshot that needs it; one row each
};
struct verifying {
    struct repo *r;
    const struct log *l;
    const struct verify_opts *o;
    struct verify_result *out;
    VEC(struct needed_file) files; // sorted by name
    struct store_items items;      // what the store has of the chain
    // verify_content.c:
    struct idmap packs_done;    // that were opened
    struct idmap packs_bad;     // those of them that are damaged
    struct idmap lists;         // id of a list -> position in refs
    VEC(struct list_refs) refs; // found once, however many snapshots hold the list
    struct idmap files_done;    // that were put together
    // verify_git.c:
    char *git_dir;           // private: index files of all Git packs
    struct git_proof *proof; // of those of the last snapshot that was looked at
    json_t *git_index;       // name of a Git pack -> its index file
    struct strv git_used;    // names of those the proof uses, in order
};

bool verify_is_checked(const struct verifying *v, const struct entry *e);
// The one that opens this snapshot; NULL: none that was given does.
const struct age_identity *verify_identity(const struct verifying *v, const struct entry *e);
bool verify_is_listed(const struct verifying *v, const char *name, uint64_t *size);
void verify_problem(struct verifying *v, uint64_t seq, const char *text);
bool verify_goes_on(struct verifying *v, uint64_t seq, struct err *err);

// After the files. What is wrong is a problem that harms no snapshot.
MUST_CHECK bool verify_reports(struct verifying *v, struct err *err);

MUST_CHECK bool verify_content(struct verifying *v, const struct entry *e,
                               const struct age_identity *id, struct err *err);
void verify_content_clear(struct verifying *v);

// The Git packs in force hold all that the refs of its repositories lead to.
MUST_CHECK bool verify_git(struct verifying *v, struct reader *rd, struct err *err);
void verify_git_clear(struct verifying *v);

#endif
