// SPDX-License-Identifier: Apache-2.0
//
// What monitoring is told of a run of snapshot create, or of a drill (docs/scheduling.md): text in
// the format of Prometheus, to a file its node exporter reads, or to a Pushgateway.
#ifndef SNAPSHOT_METRICS_H
#define SNAPSHOT_METRICS_H

#include "snapshot/create.h"

struct metrics {
    const char *chain;
    int64_t at_unix_s, duration_ms; // of the end of the run
    int exit_code;
    const struct create_result *result; // NULL: the run failed before there was one
};
// before: what was written the last time, or NULL. What it says of the last success and the last
// good snapshot stays where this run does not know better. Pure.
void metrics_text(const struct metrics *m, const char *before, struct buf *out);
// Whole or not at all, mode 0644.
MUST_CHECK bool metrics_write(const struct metrics *m, const char *file, struct err *err);
// url: of the Pushgateway. There too the last success stays when this run has none.
MUST_CHECK bool metrics_push(const struct metrics *m, const char *url, struct loop *l,
                             const char *ca_file, struct err *err);

// ---- the same of other runs: a drill ----
struct metric_row {
    const char *name, *help; // "rto_seconds"
    double value;
    bool is_known; // else what was written the last time stays
};
struct metric_set {
    const char *prefix; // "regrow_drill_"; also the job at a Pushgateway, without its last sign
    const char *chain;
    const struct metric_row *rows;
    size_t n;
};
void metric_set_text(const struct metric_set *s, const char *before, struct buf *out);
MUST_CHECK bool metric_set_write(const struct metric_set *s, const char *file, struct err *err);
MUST_CHECK bool metric_set_push(const struct metric_set *s, const char *url, struct loop *l,
                                const char *ca_file, struct err *err);

#endif
