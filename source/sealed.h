// SPDX-License-Identifier: Apache-2.0
//
// What is kept in the cache and may hold values of a Secret is sealed (AES-256-GCM) with a key of
// this user, which lies elsewhere: $XDG_STATE_HOME/regrow/cache.key, or ~/.local/state. So a cache
// that is copied, shared or saved by a CI system gives nothing away. It is not kept from whoever
// can read all files of the user.
#ifndef SOURCE_SEALED_H
#define SOURCE_SEALED_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

// Appended to out. False: there is no key and none can be made; then nothing is to be kept.
bool sealed_write(const void *p, size_t len, struct buf *out);
bool sealed_is(const void *p, size_t len);
// False: another key, or not what was sealed; it is as if it were not there.
bool sealed_read(const void *p, size_t len, struct buf *out);

#endif
