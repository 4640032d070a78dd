// SPDX-License-Identifier: Apache-2.0
//
// A snapshot after each healthy revision (reconcile --snapshot-to): `snapshot create --if-changed`
// of our own, as a child, so that whatever it does or costs the controller goes on. What fails is
// told, and tried again ever more rarely.
//
// Life: snapshotting_new beside a controller, snapshotting_free before it.
#ifndef CLI_SNAPSHOTTING_H
#define CLI_SNAPSHOTTING_H

#include "cli/cli.h"

struct snapshotting;
// k, root and events are lent for its life.
struct snapshotting *snapshotting_new(struct cli *c, struct controller *k, const char *root,
                                      const struct event_sink *events);
void snapshotting_free(struct snapshotting *s); // one under way is cut; nothing is lost by that
CLEANUP_FN(struct snapshotting, snapshotting_free, snapshotting_freep);

// Of the cron form: takes one now, if there is to be one, and waits for its end.
MUST_CHECK bool snapshotting_finish(struct snapshotting *s, struct err *err);

void snapshotting_metrics(const struct snapshotting *s, struct buf *out);
json_t *snapshotting_doc(const struct snapshotting *s); // {repo, seq, at, ...}; owned

// ---- parts of their own, for tests ----
enum snapshot_end { SNAPSHOT_TAKEN, SNAPSHOT_SAME, SNAPSHOT_SUSPECT, SNAPSHOT_FAILED };
struct snapshot_outcome {
    enum snapshot_end end;
    unsigned long long seq; // 0: there is none
    bool is_partial;        // suspect, since something could not be read
    char *message, *hint;   // of one that is not good; owned
    int64_t ms;
};
// What became of a child, by its exit code and what it wrote; hostile texts are cut and cleaned.
void snapshot_outcome_read(int exit_code, const struct buf *out, const struct buf *err_text,
                           struct snapshot_outcome *o);
void snapshot_outcome_clear(struct snapshot_outcome *o);
// After so many failures in a row, at an interval of so much.
int64_t snapshot_retry_ms(unsigned failures, int64_t interval_ms);

#endif
