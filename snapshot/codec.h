// SPDX-License-Identifier: Apache-2.0
//
// Bytes as text, in the one form they have: Bech32 (BIP 173, not Bech32m, and without its limit of
// 90 characters), as age writes its keys, and the strict base64 of age files and signed lines.
#ifndef SNAPSHOT_CODEC_H
#define SNAPSHOT_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "snapshot/crypto.h"

#define BECH32_MAX_CHARS 90 // of a key of 32 bytes under a prefix of up to 31 characters

// Lower case.
void bech32_encode(const char *prefix, const uint8_t key[KEY_BYTES],
                   char out[BECH32_MAX_CHARS + 1]);
// A text of len characters, all in one case, that holds 32 bytes under the prefix (lower case).
MUST_CHECK bool bech32_decode(const char *text, size_t len, const char *prefix,
                              uint8_t key[KEY_BYTES]);

// Decodes base64 with the standard digits; out has room for base64_room(len) bytes. Returns how
// many there are, or -1 when it is not the canonical form, with padding or without as said.
#define base64_room(len) ((len) / 4 * 3 + 2)
MUST_CHECK long base64_strict(const char *s, size_t len, bool is_padded, uint8_t *out);

#endif
