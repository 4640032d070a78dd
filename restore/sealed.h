// SPDX-License-Identifier: Apache-2.0
//
// Can a SealedSecret be opened with the keys of a snapshot? Tried, not guessed: RSA-OAEP and
// AES-256-GCM as its controller does. What comes out is wiped at once.
#ifndef RESTORE_SEALED_H
#define RESTORE_SEALED_H

#include <jansson.h>

#include "base/str.h"
#include "base/vec.h"

struct evp_pkey_st;
struct sealed_keys {
    VEC(struct evp_pkey_st *) v;
};
// Takes the private key of a Secret (tls.key), where it has one that parses.
void sealed_keys_add(struct sealed_keys *k, const json_t *secret);
void sealed_keys_clear(struct sealed_keys *k);

// Its values that no key opens, by name, sorted; appended to out. A value that is none is among
// them. Pure.
void sealed_unopened(const struct sealed_keys *k, const json_t *sealed_secret, struct strv *out);

#endif
