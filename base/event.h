// SPDX-License-Identifier: Apache-2.0
//
// Events: the one stream from which progress view, logs, NDJSON output, metrics and the web page
// are drawn. A room emits, never prints. An event is a JSON object with at least `type` (such as
// "object.applied"); the shapes are in docs/events.md and are versioned. Nothing secret goes in.
#ifndef BASE_EVENT_H
#define BASE_EVENT_H

#include <jansson.h>

struct event_sink {
    void (*emit)(void *ctx, const json_t *event); // event is lent for the call
    void *ctx;
};

// Emits {"type": type, "at": RFC 3339 with microseconds, ...}; fmt and the rest are json_pack's,
// for an object ("{s:s, s:i}"), or NULL for none. Where they cannot be packed, as with a
// text that is not UTF-8, the event goes out with `fields_lost` in their place. A sink that is NULL
// or has no emit swallows it.
void event_emit(const struct event_sink *sink, const char *type, const char *fmt, ...);

#endif
