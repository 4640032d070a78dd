// SPDX-License-Identifier: Apache-2.0
//
// Private to snapshot: where the keys of an S3 store come from, in this order: the environment
// (AWS_ACCESS_KEY_ID …), a web identity (AWS_ROLE_ARN with AWS_WEB_IDENTITY_TOKEN_FILE, exchanged
// at STS and renewed), a credentials file (the one given, AWS_SHARED_CREDENTIALS_FILE, or
// ~/.aws/credentials; profile AWS_PROFILE or "default").
#ifndef SNAPSHOT_S3_CREDS_H
#define SNAPSHOT_S3_CREDS_H

#include "snapshot/s3_sign.h"
#include "snapshot/web.h"

// A file that is given outranks everything else. None found: DENIED, with what was looked for.
MUST_CHECK bool s3_keys_find(struct web *w, const char *file, const char *region,
                             struct s3_keys *out, struct err *err);
void s3_keys_clear(struct s3_keys *k); // wiped
// Keys of one profile of a credentials file. Pure. False: no such profile, or half of it.
bool s3_keys_parse(const char *text, const char *profile, struct s3_keys *out);

#endif
