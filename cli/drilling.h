// SPDX-License-Identifier: Apache-2.0
//
// Private to the drill command: one drill on its way, what it found, how that is told and noted.
//
//   cmd_drill.c      the order of it all
//   drill_find.c     findings and differences, once the restore has run
//   drill_view.c     for people and for programs
//   drill_keep.c     the verdict in the log, signed report, metrics
//   drill_history.c  what earlier drills said
#ifndef CLI_DRILLING_H
#define CLI_DRILLING_H

#include "cli/restoring.h"

struct drilling {
    struct restoring r;  // first: its callbacks get it
    struct plane *plane; // NULL: a cluster that was given
    const struct age_identity *id;
    struct run *run;
    struct outcome o;
    struct simulated simulated;
    struct findings f;
    struct session *live; // --live-kubeconfig
    json_t *differences;  // {"object", "against", "kind", "changes"}
    size_t compared;      // objects
    int64_t plane_ms, compare_ms;
    uint64_t noted; // entry of the log with the verdict; 0: none
    json_t *history;
    json_t *doc; // the report
    struct strv warnings;
};

// ---- drill_find.c ----
// Before the plan: restoring.settle of a drill.
void drill_settle(struct restoring *r);
// The run has ended: what it shows, and object by object whether all is there as it should be.
MUST_CHECK bool drill_find(struct drilling *x, struct err *err);
enum drill_verdict { DRILL_GOOD, DRILL_UNPROVEN, DRILL_BAD };
enum drill_verdict drill_verdict(const struct findings *f);
const char *drill_verdict_name(enum drill_verdict v); // "drilled", "unproven", "bad"

// ---- drill_view.c ----
json_t *drill_doc(const struct drilling *x);
void drill_print(struct drilling *x);

// ---- drill_keep.c ----
// --judge-key: the verdict with the sealed report. --report, --html, --metrics, --push-metrics.
MUST_CHECK bool drill_note_verdict(struct drilling *x, struct err *err);
MUST_CHECK bool drill_write_files(struct drilling *x, struct err *err);
// x NULL: the drill came to no result.
void drill_tell_metrics(struct cli *c, const struct drilling *x, int exit_code,
                        struct strv *warnings);

// ---- drill_history.c ----
// Newest first: {"entry", "at", "ageSeconds", "snapshot", "verdict", "noted", "by", …}; what the
// sealed reports say is there where something given opens them. At most `max`.
MUST_CHECK bool drill_history(struct snap *s, size_t max, json_t **out, struct err *err);
json_t *drill_trend(const json_t *history); // pure; owned
MUST_CHECK bool drill_print_history(struct cli *c, struct err *err);

#endif
