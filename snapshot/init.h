// SPDX-License-Identifier: Apache-2.0
//
// A new repository (docs/repository-format.md section 13). Everything is made in a folder beside
// the admin's key first, sealed as it will lie in the store, and only then brought there, the
// marker last: who kills it anywhere runs it again and it continues, without any secret having been
// written in clear.
#ifndef SNAPSHOT_INIT_H
#define SNAPSHOT_INIT_H

#include "snapshot/slots.h"

#define INIT_MIN_SLOTS 2

struct init_opts {
    const struct store_opts *store;
    const struct slot_way *ways; // at least INIT_MIN_SLOTS, or one with is_single
    size_t n_ways;
    bool is_single;
    const char *admin_file; // where its admin's key goes, sealed to the passphrase or recipients
    bool among_others;      // other files in the store are no obstacle
};
struct init_result {
    struct sha256 pin;
    struct marker marker;
    bool continued; // an earlier run had begun
};
// A repository is there already, another init began there, or something else is there: CONFLICT.
MUST_CHECK bool repo_init(const struct init_opts *o, struct init_result *out, struct err *err);
// Is there an earlier run to continue? Then no passphrase is needed.
bool repo_init_began(const char *admin_file);
// When the pin has been told: removes what a repetition would need.
MUST_CHECK bool repo_init_end(const char *admin_file, struct err *err);
void init_result_clear(struct init_result *r);

#endif
