// SPDX-License-Identifier: Apache-2.0
//
// The file of a new signing key. It has to be there before trust lists the key, or the key is lost;
// and who is killed in between runs the same command again. So it is written as
// OUT.<key id>.new and gets its name when the key is listed.
#ifndef SNAPSHOT_KEYFILE_H
#define SNAPSHOT_KEYFILE_H

#include "snapshot/trust.h"

// What an earlier run left: a file whose key is listed gets its name (*done, *id says which), one
// whose key is not goes. Something else is at OUT: CONFLICT.
MUST_CHECK bool keyfile_begin(const char *out, const struct trust *t, bool *done, struct key_id *id,
                              struct err *err);
MUST_CHECK bool keyfile_write(const char *out, const struct key_id *id, const struct buf *bytes,
                              struct err *err);
MUST_CHECK bool keyfile_end(const char *out, const struct key_id *id, struct err *err);

// One command at a time makes keys in the folder of that path: held until the descriptor is closed,
// by death too. Another one is at it: CONFLICT.
MUST_CHECK bool key_folder_lock(const char *path, int *fd, struct err *err);

bool trust_lists_key(const struct trust *t, const struct key_id *id); // in any role

#endif
