// SPDX-License-Identifier: Apache-2.0
//
// How long a restore took, and what that was spent on: its phases, one after the other, and what
// the run says of each application. All times are on the clock of the RTO, in milliseconds since
// the restore began; it stands still while a person is asked, because how long that takes says
// nothing of the next restore.
//
// Life: zeroed; timeline_enter for each phase, the first of which begins it; timeline_end;
// timeline_clear. now: clock_mono_ms().
#ifndef RESTORE_TIMELINE_H
#define RESTORE_TIMELINE_H

#include "reconcile/reconcile.h"

// Those that do not count:
#define PHASE_CONFIRM "confirm"     // a person is asked
#define PHASE_PLANE "control-plane" // a drill makes its cluster
#define PHASE_LIVE "live"           // a drill asks the cluster that it compares with

struct restore_phase {
    const char *name; // a literal
    int64_t from_ms;  // monotonic
    int64_t ms;       // -1: it is still going on
};

struct timeline {
    int64_t began_ms;      // monotonic
    int64_t began_unix_ms; // the same moment, for people
    VEC(struct restore_phase) v;
};

void timeline_enter(struct timeline *t, const char *phase, int64_t now); // the one before has ended
// The phase that goes on is another from `at` on, where that lies within it.
void timeline_split(struct timeline *t, const char *phase, int64_t at);
// Where nothing is done for so long between two of `spans` (which are sorted here), the phase that
// goes on is another in between; at most a hundred times.
struct timeline_span {
    int64_t from_ms, to_ms; // monotonic
};
void timeline_gaps(struct timeline *t, const char *phase, struct timeline_span *spans, size_t n,
                   int64_t least_ms);
void timeline_end(struct timeline *t, int64_t now);
void timeline_clear(struct timeline *t);
// Monotonic to the clock of the RTO.
int64_t timeline_at(const struct timeline *t, int64_t mono_ms);
int64_t timeline_total(const struct timeline *t); // RTO; until `now` of timeline_end
int64_t timeline_phase_ms(const struct timeline *t, const char *phase); // 0: it never was

// [{"name", "from_ms", "ms"}], and "counted": false of those that do not count. Owned.
json_t *timeline_phases(const struct timeline *t);
// [{"name", "state", "objects", "from_ms", "ms"}] by their start, those without one last, and what
// each waited for longest: "waited_for", "waited_until_ms". Owned.
json_t *timeline_applications(const struct timeline *t, const struct run *r);
// [{"node", "application", "from_ms", "ms"}] from first to last. Owned.
json_t *timeline_path(const struct timeline *t, const struct run *r);

#endif
