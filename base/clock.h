// SPDX-License-Identifier: Apache-2.0
//
// Time. Deadlines and durations are monotonic milliseconds; what a person reads is Unix time.
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

int64_t clock_mono_ms(void);
int64_t clock_mono_us(void);
int64_t clock_boot_ms(void); // as clock_mono_ms, and time asleep counts
int64_t clock_unix_ms(void);
int64_t clock_unix_us(void);
// Sleeps; for short waits where no loop runs.
void clock_pause_ms(int64_t ms);
// RFC 3339 in UTC with six decimals ("2026-11-24T09:00:00.123456Z"), as Lease needs it. Owned.
char *clock_rfc3339_us(int64_t unix_us);
// RFC 3339 in UTC, whole seconds. Owned.
char *clock_rfc3339(int64_t unix_s);
// Parses RFC 3339 ("Z" or offset, optional fraction) to Unix milliseconds; -1 when malformed.
int64_t clock_parse_rfc3339_ms(const char *s);
// "0.4 s", "9.3 s", "12 s", "5:00", "1:02:03": tenths below ten seconds. Owned.
char *clock_duration_text(int64_t ms);

#endif
