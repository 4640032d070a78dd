// SPDX-License-Identifier: Apache-2.0
//
// How every snapshot command finds its repository and what opens it. Which repository it must be is
// said by the pin: of --trust, else of the credential, else of a slot that a passphrase opened. One
// that only a store says is shown and not believed (exit 9).
//
// Life: snap_open with what the command wants, snap_log for the entries of the chain, snap_close.
#ifndef CLI_SNAPSHOT_OPEN_H
#define CLI_SNAPSHOT_OPEN_H

#include "cli/cli.h"
#include "snapshot/snapshot.h"

enum snap_read {
    READ_NOTHING,  // no identity is asked for
    READ_IF_GIVEN, // one that was given is used, nobody is asked
    READ_MUST,
};
struct snap_want {
    enum snap_read read;
    bool key;                  // --key must be there …
    enum credential_kind kind; // … and of that kind; without `key` any kind, or none
    bool chain;                // one chain must be meant
    bool new_chain;            // … which need not be there yet
    bool unpinned;             // no pin: believed all the same, only to be shown
};
struct snap {
    struct cli *c;
    const struct snapshot_options *o;
    struct repo repo; // open when repo.store is set
    bool is_pinned;
    char *chain; // NULL: none was asked for, or there is none
    struct credential key;
    bool has_key;
    struct age_identities ids; // as given; after snap_need_identities
    struct buf passphrase;     // as given
    struct unlocked unlocked;  // of what was opened; empty when nothing was
    struct log log;
    bool has_log;
    char *index_cache;
    struct signer others[MAX_SIGNATURES]; // of --also-key
    struct cosigning cosigning;           // with these, and with --propose
    struct buf proposal;
};
// Options are c->o.snap, or others of the same shape (the second repository of copy). *out is to be
// closed, on failure too.
MUST_CHECK bool snap_open(struct cli *c, const struct snapshot_options *o,
                          const struct snap_want *want, struct snap *out, struct err *err);
void snap_close(struct snap *s); // everything secret is wiped
// The verified log of s->chain, with --expect-last and the head of a job's credential.
MUST_CHECK bool snap_log(struct snap *s, struct err *err);
// What to do about an entry that ends every reading of the log; NULL: it is not for one. Owned.
char *snap_fault_text(const struct log_fault *f);
// The same as the hint of an error that came of it.
void snap_explain_fault(const struct snap *s, struct err *err);
// What --retain wants of a store that refuses to lock.
void snap_hint_lock(const struct snapshot_options *o, struct err *err);
// "latest", or a number; of what is live or waiting. Borrowed from the log.
MUST_CHECK bool snap_find(struct snap *s, const char *ref, const struct entry **out,
                          struct err *err);
// What opens that snapshot; DENIED when no slot of its epoch was opened. Borrowed.
MUST_CHECK bool snap_identity(const struct snap *s, const struct entry *e,
                              const struct age_identity **out, struct err *err);
// Reads --identity into s->ids, once: one that is sealed asks for its passphrase, so only who needs
// them does.
MUST_CHECK bool snap_need_identities(struct snap *s, struct err *err);

// ---- identities.c ----
// All files of --identity; one that is sealed to a passphrase is opened, asking for it at a
// terminal where none was given. Added to out.
MUST_CHECK bool identities_load(const struct snapshot_options *o, struct age_identities *out,
                                struct err *err);

// ---- parts that commands without a repository need as well ----
struct store_opts snap_store_opts(struct cli *c, const struct snapshot_options *o);
// --repo, or USAGE.
MUST_CHECK bool snap_repo_given(const struct snapshot_options *o, struct err *err);
// "<64 hex>", or "@FILE" that begins with it, given by that option.
MUST_CHECK bool snap_parse_pin(const char *option, const char *text, struct sha256 *out,
                               struct err *err);
// "SEQ:HASH".
MUST_CHECK bool snap_parse_last(const char *text, struct seq_hash *out, struct err *err);

// ---- what they tell monitoring: --metrics, --push-metrics ----
// r: NULL when the run failed. Added to warnings: why it could not be told.
void snap_metrics(const struct cli *c, const struct snap *s, const struct create_result *r,
                  int64_t began_ms, int exit_code, struct strv *warnings);

// ---- what they print ----
json_t *snap_doc(const char *kind, const struct snap *s); // version, kind, repository, pin
char *snap_pin_text(const struct sha256 *pin);            // hex, owned
unsigned long long snap_apps(const struct entry *e);      // applications, without the root
// What is signed and when it was stored are further apart than clocks and long runs explain: the
// repository, or this snapshot, was copied.
bool snap_times_differ(const struct entry *e);
// "2026-11-23 02:00 UTC"; owned.
char *snap_time_text(int64_t unix_ms);
// Of one that was forgotten: until when it can be brought back, and how; owned. NULL: it was not.
char *snap_forgotten_text(const struct snap *s, const struct entry *e);
// "copied from 7 of prod in 9d87…", "imported from …"; owned. NULL: it was made here.
char *snap_origin_text(const struct entry *e);
// "origin" and "export", where they are.
void snap_origin_doc(const struct entry *e, json_t *doc);
// "forgotten": {"since", "until"}, where it was.
void snap_forgotten_doc(const struct snap *s, const struct entry *e, json_t *doc);

#endif
