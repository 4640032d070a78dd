// SPDX-License-Identifier: Apache-2.0
//
// Sync windows of a project (spec argo-cd section 7.3): may an application be synced now, and when
// may the answer change? A function of its arguments; only time zones are looked up in the system's
// database (base/zone.h).
//
// As Argo CD, a window is open from just after it begins until just before it ends, by the offset
// that its time zone has now, so that a window across a change of the clocks is an hour off at its
// far edge. Two things are stricter here: a schedule that never comes (30 February) is an error, as
// one that cannot be read, and blocks; there it would be open always.
#ifndef RECONCILE_WINDOWS_H
#define RECONCILE_WINDOWS_H

#include "gitops/gitops.h"

struct window_verdict {
    bool is_permitted;
    bool is_error; // a window that cannot be read: nothing is synced
    char *warning; // owned; a time zone that the system does not know, or NULL
    char *why;     // owned; one line; "" when it is permitted without a window's leave
    int64_t
        next_change_unix_s; // ask again then, as the answer may be another; 0: never that we know
};
void window_verdict_clear(struct window_verdict *v);

// project may be NULL (no windows). Windows match by the destination as it is written. is_manual: a
// person asked for it; is_running: it is a sync that had begun before (syncOverrun).
void windows_permit(const json_t *project, const struct application *app, int64_t now_unix_s,
                    bool is_manual, bool is_running, struct window_verdict *out);

// ---- cron, for tests and the fuzzer ----
// Five fields as Argo CD reads them: *, ?, lists, ranges, steps, names; 0 is Sunday, 7 is no day.
struct cron {
    uint64_t minutes, hours, days, months, weekdays; // a bit each
    bool any_day, any_weekday;                       // "*": the other one decides alone
};
MUST_CHECK bool cron_read(const char *text, struct cron *out, struct err *err);
// The first minute after `after` it names, within five years; 0 when there is none. Both are local.
int64_t cron_next(const struct cron *c, int64_t after_unix_s);

#endif
