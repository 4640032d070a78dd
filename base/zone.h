// SPDX-License-Identifier: Apache-2.0
//
// Time zones by their IANA names, from the system's database of compiled files (RFC 8536), read by
// ourselves because the C library knows only one zone at a time, in a global.
#ifndef BASE_ZONE_H
#define BASE_ZONE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

// Seconds that local time in the zone is ahead of UTC at that moment. "" and "UTC" need no
// database. NOT_FOUND: no such zone; INVALID: its file is not what it must be.
MUST_CHECK bool zone_offset(const char *name, int64_t unix_s, int *offset_s, struct err *err);

// The same from the bytes of such a file: for tests and the fuzzer.
MUST_CHECK bool zone_offset_in(const uint8_t *p, size_t len, int64_t unix_s, int *offset_s,
                               struct err *err);

#endif
