// SPDX-License-Identifier: Apache-2.0
//
// Slots in a store (docs/repository-format.md section 13): each is one way to open the repository.
// Making one proves that it opens; unlocking tries what a person has.
#ifndef SNAPSHOT_SLOTS_H
#define SNAPSHOT_SLOTS_H

#include "snapshot/trust.h"

struct slot_way { // exactly one of the two
    const char *passphrase;
    const uint8_t *recipient; // of an age key, KEY_BYTES
    const char *label;        // for people
};
// Seals what opens the repository, opens it again, stores it. *out: its row for trust, owned.
MUST_CHECK bool slot_make(struct store *s, const struct slot_content *c, const struct slot_way *w,
                          struct trust_slot *out, struct err *err);
void slot_row_clear(struct trust_slot *s);
// "age1…", the last word of an age slot's label; NULL where that is none. Borrowed.
const char *slot_row_recipient(const struct trust_slot *s);

// What was opened: one identity for each epoch of which some slot opened.
struct unlocked {
    VEC(struct slot_content) v;
    bool by_passphrase; // one of them was, so that the pin it holds can be believed
};
// Tries the slots of the newest trust with what was given. None opens: DENIED, or CORRUPT where one
// that might have is damaged or gone. One opens and is not of this repository and pin: CORRUPT.
MUST_CHECK bool repo_unlock(struct store *s, const struct trust_chain *c,
                            const struct age_keys *keys, struct unlocked *out, struct err *err);
const struct slot_content *unlocked_epoch(const struct unlocked *u, unsigned epoch); // or NULL
void unlocked_clear(struct unlocked *u);                                             // wiped

#endif
