// SPDX-License-Identifier: Apache-2.0
//
// Private to snapshot: one run of the pruner.
//
//   keep.c     which snapshots stay (pure)
//   prune.c    the checkpoint: keep, wait, sweep; undo
//   prune_lost.c  what a person gave up for lost, and what it puts in doubt
//   sweep.c    deletion of what a committed checkpoint lets go
#ifndef SNAPSHOT_PRUNE_INT_H
#define SNAPSHOT_PRUNE_INT_H

#include "snapshot/prune.h"

struct pruning_run {
    struct repo *r;
    const char *chain;
    const struct prune_opts *o;
    struct prune_result *out;
    struct log log;
    int64_t now_ms; // by the store's clock
};

// The newest checkpoint that counts and its number; NULL: there is none.
const struct checkpoint_entry *prune_newest(const struct log *l, uint64_t *seq);
bool prune_is_written_off(const struct pruning_run *p, uint64_t seq);
// Is what was written off lost indeed? Sets out->written_off and out->lost; a second time there is
// nothing left to do.
MUST_CHECK bool lost_check(struct pruning_run *p, struct err *err);
// What a checkpoint, whose keep and wait are set and sorted, must say of them; sets out->doubted.
void lost_note(struct pruning_run *p, struct checkpoint_entry *c);
void prune_sort(struct checkpoint_entry *c); // as the format wants it
// Is a file at that number of the log?
bool prune_number_present(const struct pruning_run *p, uint64_t seq);
// P4-P6: packs, then index files, then entries, then what nobody needs any more.
MUST_CHECK bool sweep_run(struct pruning_run *p, struct err *err);

#endif
