// SPDX-License-Identifier: Apache-2.0
//
// Private to snapshot: a repository in an S3-compatible bucket, s3://bucket[/prefix].
#ifndef SNAPSHOT_STORE_S3_H
#define SNAPSHOT_STORE_S3_H

#include "snapshot/store.h"

MUST_CHECK bool store_s3_open(const struct store_opts *o, struct store **out, struct err *err);

#endif
