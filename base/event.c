// SPDX-License-Identifier: Apache-2.0
#include "base/event.h"

#include <stdarg.h>

#include "base/clock.h"
#include "base/str.h"

void event_emit(const struct event_sink *sink, const char *type, const char *fmt, ...)
{
    if (!sink || !sink->emit)
        return;
    CLEANUP(str_freep) char *at = clock_rfc3339_us(clock_unix_ms() * 1000);
    json_t *more = NULL;
    if (fmt) {
        json_error_t e;
        va_list ap;
        va_start(ap, fmt);
        more = json_vpack_ex(&e, 0, fmt, ap);
        va_end(ap);
    }
    json_t *ev = json_pack("{s:s, s:s}", "type", type, "at", at);
    if (more)
        json_object_update(ev, more);
    sink->emit(sink->ctx, ev);
    json_decref(more);
    json_decref(ev);
}
