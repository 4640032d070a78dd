// SPDX-License-Identifier: Apache-2.0
#include "base/event.h"

#include <stdarg.h>

#include "base/clock.h"
#include "base/str.h"

void event_emit(const struct event_sink *sink, const char *type, const char *fmt, ...)
{
    if (!sink || !sink->emit)
        return;
    CLEANUP(str_freep) char *at = clock_rfc3339_us(clock_unix_us());
    json_t *more = NULL;
    json_error_t e = {0};
    if (fmt) {
        va_list ap;
        va_start(ap, fmt);
        more = json_vpack_ex(&e, 0, fmt, ap);
        va_end(ap);
    }
    json_t *ev = json_pack("{s:s, s:s}", "type", type, "at", at);
    if (more)
        json_object_update(ev, more);
    else if (fmt) // a text that is not UTF-8: better an event without its fields than none
        json_object_set_new(ev, "fields_lost", json_string(e.text));
    sink->emit(sink->ctx, ev);
    json_decref(more);
    json_decref(ev);
}
