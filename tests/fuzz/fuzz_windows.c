// SPDX-License-Identifier: Apache-2.0
//
// Sync windows: the first line is a schedule, the second a duration, the rest the file of a time
// zone. What a schedule names is one of its own times, and later; a verdict is always had.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/zone.h"
#include "reconcile/windows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_cron(const char *text, int64_t now)
{
    struct cron c;
    struct err err = {0};
    if (cron_read(text, &c, &err)) {
        int64_t next = cron_next(&c, now);
        if (next && (next <= now || next % 60 || cron_next(&c, next - 1) != next))
            abort();
    } else if (err.kind != ERR_INVALID) {
        abort();
    }
    err_clear(&err);
}

static void try_window(const char *schedule, const char *duration, int64_t now)
{
    struct application a = {.name = (char *)"web", .project = (char *)"p"};
    struct window_verdict v;
    json_t *project =
        json_pack("{s:{s:[{s:s, s:s, s:s, s:[s]}]}}", "spec", "syncWindows", "kind", "allow",
                  "schedule", schedule, "duration", duration, "applications", "*");
    if (!project)
        return; // no text
    windows_permit(project, &a, now, false, false, &v);
    if (v.is_error ? v.is_permitted : v.next_change_unix_s && v.next_change_unix_s <= now)
        abort();
    window_verdict_clear(&v);
    json_decref(project);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const int64_t now = 1790000000;
    CLEANUP(str_freep) char *text = str_ndup((const char *)data, size);
    char *duration = strchr(text, '\n');
    char *zone = duration ? strchr(duration + 1, '\n') : NULL;
    size_t at = zone ? (size_t)(zone - text) + 1 : size;
    struct err err = {0};
    int offset = 0;
    if (duration)
        *duration++ = '\0';
    if (zone)
        *zone = '\0';
    try_cron(text, now);
    try_window(text, duration ? duration : "1h", now);
    if (at <= size && !zone_offset_in(data + at, size - at, now, &offset, &err))
        err_clear(&err);
    return 0;
}
