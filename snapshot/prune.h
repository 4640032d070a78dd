// SPDX-License-Identifier: Apache-2.0
//
// Forgetting and deleting (docs/repository-format.md section 10). Needs the
// pruner key and the right to delete, no private key. Any number may run; resume is running again.
#ifndef SNAPSHOT_PRUNE_H
#define SNAPSHOT_PRUNE_H

#include "snapshot/repo.h"

struct keep_rules { // 0: rule off
    unsigned last, hourly, daily, weekly, monthly, yearly;
    int64_t within_ms;
    unsigned min_good;
    int64_t suspect_ms;
};
struct keep_rules keep_rules_default(void); // 7 d, 10, 30 d; the others are off
struct keep_decision {
    uint64_t seq;
    struct sha256 hash;
    bool keep;
    const char *why; // "daily", "newest good", "younger than 7 d" …
};
// Pure: which live snapshots stay, by stored-at. now by the store's clock. out has one row a live
// snapshot, oldest first.
struct keep_decisions {
    VEC(struct keep_decision) v;
};
void keep_choose(const struct log *l, const struct keep_rules *rules, int64_t now_unix_ms,
                 struct keep_decisions *out);

struct prune_opts {
    const struct credential *pruner;
    const struct keep_rules *rules; // NULL: nothing new is dropped
    const uint64_t *drop;           // snapshots named by a person
    size_t n_drop;
    // Given up for lost by a person: entries that are not there any more, or snapshots whose index
    // files are not. They are neither kept nor waited for. A whole one: CONFLICT. An entry may have
    // been a verdict: no snapshot before it is good any more until it is judged again.
    const uint64_t *write_off;
    size_t n_write_off;
    bool sweep;        // prune: delete what has waited for the grace
    bool dry_run_only; // decide, change nothing
    bool exclusive;    // stated: no writer runs (stores without atomic create)
    int64_t retain_ms; // object lock of what stays is extended to so long from now; 0: left alone
    int64_t grace_ms;  // 0: PRUNE_GRACE_MS; less is USAGE in a store without atomic create
};
#define PRUNE_GRACE_MS INT64_C(259200000) // 72 h
struct prune_result {
    struct keep_decisions decisions;
    VEC(uint64_t) dropped, swept, written_off;
    VEC(uint64_t) lost;    // of written_off: entries of which nobody knows any more what they were
    VEC(uint64_t) doubted; // good until now; a lost one may have called them bad
    uint64_t deleted_files, deleted_bytes, waiting;
    int64_t next_sweep_unix_ms; // when the grace of the oldest waiting one ends; 0: none
};
void prune_result_clear(struct prune_result *r);
// Since when a forgotten entry waits, by the store's clock; 0: it does not wait, or that cannot be
// told.
int64_t prune_waits_since_ms(const struct log *l, const struct entry *e);
// Probes the store again: one that does not keep writers apart any more, and was found to:
// CONFLICT.
MUST_CHECK bool repo_probe_again(struct repo *r, const struct store_opts *o, struct err *err);
MUST_CHECK bool repo_prune(struct repo *r, const char *chain, const struct prune_opts *o,
                           struct prune_result *out, struct err *err);
// Back from wait to keep; NOT_FOUND when it is not waiting.
MUST_CHECK bool repo_forget_undo(struct repo *r, const char *chain, const struct credential *pruner,
                                 uint64_t seq, struct err *err);
// Deletes an unsigned or forged file at a number of the log.
MUST_CHECK bool repo_remove_untrusted(struct repo *r, const char *chain, uint64_t seq,
                                      struct err *err);

#endif
