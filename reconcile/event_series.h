// SPDX-License-Identifier: Apache-2.0
//
// How many Kubernetes events one object may have, pure: whatever it does, at most EVENT_BURST
// writes at once and one more each EVENT_REFILL_MS. The same event within EVENT_SAME_MS is counted
// in the one that was told, which is a write as well. What is over that is dropped: events tell
// people of what a status says anyway.
#ifndef RECONCILE_EVENT_SERIES_H
#define RECONCILE_EVENT_SERIES_H

#include "base/vec.h"

#include <stddef.h>
#include <stdint.h>

#define EVENT_BURST 25
#define EVENT_REFILL_MS 300000
#define EVENT_SAME_MS 600000
#define EVENTS_REMEMBERED 16 // of one object

struct event_told {
    char *text; // reason and message
    char *name; // of its Event
    int64_t first_unix_s, at_ms;
    long long count; // 1: it is a new Event
};

struct event_series {
    VEC(struct event_told) v; // the oldest first
    double tokens;
    int64_t refilled_ms; // 0: nothing was told yet
};

// At now_ms (monotonic) this is to be told of an object of that name: the event that is to be
// written, borrowed until the next call; NULL: not now.
const struct event_told *event_series_add(struct event_series *s, const char *object,
                                          const char *text, int64_t now_ms);
void event_series_clear(struct event_series *s);

#endif
