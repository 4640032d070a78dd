// SPDX-License-Identifier: Apache-2.0
//
// Private to the commands on keys.
#ifndef CLI_SNAPSHOT_KEYS_H
#define CLI_SNAPSHOT_KEYS_H

#include "cli/snapshot_open.h"

const char *key_role_word(enum role r);    // "writer", "pruner", "judge"
char *key_until_text(const json_t *until); // "revoked after prod 12"; owned, "" when it is not
char *key_chains_text(const struct trust_signer *s); // "prod test", "all"; owned, "" for an admin

// What to do when a change of trust came too late, or is not allowed; always false.
bool key_change_failed(struct err *err);

// Was the change only proposed? Then it is written to --propose and told, and the command is done.
bool key_is_proposed(const struct snap *s);
void key_tell_proposed(const struct snap *s, struct err *err);

// ---- ways to open a repository that a command line names ----
#define MAX_WAYS 32
struct ways {
    struct slot_way v[MAX_WAYS];
    uint8_t recipients[MAX_WAYS][KEY_BYTES];
    struct buf passphrase;
    struct strv labels;
    size_t n;
};
void ways_clear(struct ways *w); // wiped
// One recipient; label: what goes before it in its slot's label, or NULL.
MUST_CHECK bool ways_recipient(struct ways *w, const char *recipient, const char *label,
                               struct err *err);
// All of --recipient.
MUST_CHECK bool ways_recipients(struct ways *w, const struct snapshot_options *o, struct err *err);
// The passphrase in w->passphrase.
void ways_passphrase(struct ways *w, const char *label);

#endif
