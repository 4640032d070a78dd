// SPDX-License-Identifier: Apache-2.0
//
// One snapshot from beginning to end: a writer, the capture, the commit; and again when what was
// captured leans on something that went meanwhile.
#ifndef SNAPSHOT_CREATE_H
#define SNAPSHOT_CREATE_H

#include "snapshot/capture.h"

struct create_opts {
    struct writer_opts writer;
    struct capture_opts capture; // its work_dir is made here
    const char *work; // folder in which private ones are made; what killed runs left there goes
    // The root could not be read, for this reason: capture.desired knows only that it is there. One
    // that no snapshot of the chain knows fails for that reason, as a mistake.
    const struct err *unread;
    int64_t retain_ms; // what the store was told to lock files for; 0: nothing. Is it locked?
    bool if_changed;   // nothing new, nothing unknown: no entry
};
struct create_result {
    struct entry entry; // as it is stored; not changed: the newest one there is
    bool is_unchanged;
    bool is_mended; // files that the newest one needs were damaged or missing, and are not needed
                    // now
    struct {        // the newest good one before; seq 0: there was none
        uint64_t seq;
        int64_t at_ms; // by the store's clock, else what its writer said
    } last_good;
    // Set: the log behind it is damaged. This run was none the worse, everybody else refuses the
    // chain.
    struct err log_problem;
    struct log_fault log_fault;
    struct capture_report report; // with what the writer had to say
};
void create_result_clear(struct create_result *r);
// A suspect snapshot is a success here: see entry.snapshot. On failure *out holds the warnings.
MUST_CHECK bool snapshot_create(struct repo *r, const struct create_opts *o,
                                struct create_result *out, struct err *err);

// ---- private folders (work.c) ----
// A new folder in `parent`, held by a lock as long as the descriptor is open. Folders there that
// nobody holds were left by killed runs and are removed.
struct workdir {
    char *path;
    int fd;
};
MUST_CHECK bool workdir_make(const char *parent, struct workdir *out, struct err *err);
void workdir_remove(struct workdir *w); // CLEANUP helper; {0} is fine

// What was written is to be locked for so long: why it does not look so, owned; NULL: it does, or
// retain_ms is 0. The last file of a run stands for all: a server may take the wish and lock
// nothing.
char *create_lock_problem(struct repo *r, const char *chain, const struct entry *e,
                          int64_t retain_ms);

#endif
