// SPDX-License-Identifier: Apache-2.0
//
// Changes to who may do what (docs/repository-format.md section 13): each is the next trust file,
// signed by an admin. A change that was made already is none, so that a command that was killed is
// run again. When another change is first, it is decided anew on that one. Where a change takes
// several admins, see struct cosigning: *made is true of one that was only proposed, too.
#ifndef SNAPSHOT_ADMIN_H
#define SNAPSHOT_ADMIN_H

#include "snapshot/init.h"
#include "snapshot/repo.h"

// Another way to open the repository, for each epoch that was unlocked. *added: how many slots
// (those there already are left alone).
MUST_CHECK bool admin_add_slot(struct repo *r, const struct credential *admin,
                               const struct unlocked *u, const struct slot_way *w, size_t *added,
                               struct err *err);
// The slot of an epoch that such a way opens; NULL: there is none. Borrowed.
const struct trust_slot *admin_find_slot(struct repo *r, unsigned epoch, const struct slot_way *w);
// The slots whose file begins with `name`, or whose label it is. Not there: NOT_FOUND. The last of
// an epoch that is open or that a snapshot needs: CONFLICT.
MUST_CHECK bool admin_remove_slot(struct repo *r, const struct credential *admin, const char *name,
                                  size_t *removed, struct err *err);
// A new epoch with a new identity that these ways open; the old one is closed. An open one that
// nothing was written in yet, and that was begun by a rotation, is left as it is (*n is its number,
// *made false) unless `again`.
// Fewer ways than INIT_MIN_SLOTS, without is_single: USAGE.
struct rotate_opts {
    const struct slot_way *ways;
    size_t n_ways;
    bool is_single, again;
};
MUST_CHECK bool admin_rotate(struct repo *r, const struct credential *admin,
                             const struct rotate_opts *o, unsigned *n, bool *made, struct err *err);

// Who may sign: in these roles, or as an admin.
struct signer_new_row {
    uint8_t public[KEY_BYTES];
    bool is_admin;
    enum role role;
    const char *chain; // NULL: all
    const char *label;
};
MUST_CHECK bool admin_add_signer(struct repo *r, const struct credential *admin,
                                 const struct signer_new_row *s, bool *made, struct err *err);
// The key of that label, or whose key id begins so; of several that are believed still, none. An
// admin ceases to be one. Entries it signed are believed up to `last` of a chain (a number it has
// come to), or as far as each chain has come by now where last names none. *until says what was
// written: {chain: seq}, owned.
struct revocation {
    const char *who;
    const json_t *last; // {chain: seq}, or NULL
};
MUST_CHECK bool admin_revoke(struct repo *r, const struct credential *admin,
                             const struct revocation *v, json_t **until, struct err *err);

// How many admins' signatures a change takes from now on: those of now, and as many of then.
MUST_CHECK bool admin_quorum(struct repo *r, const struct credential *admin, unsigned need,
                             bool *made, struct err *err);

// Fills what a job needs to write to a chain: the open epoch, K, the head as it is now. The rest
// (kind, signer) is there.
MUST_CHECK bool admin_issue_job(struct repo *r, const struct unlocked *u, const char *chain,
                                struct credential *job, struct err *err);

#endif
