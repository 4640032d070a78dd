// SPDX-License-Identifier: Apache-2.0
//
// Private to snapshot: a repository in an OCI registry, oci://host[:port]/repository. It cannot
// create a tag only where none is: entry names carry their hash, and prune must be alone.
#ifndef SNAPSHOT_STORE_OCI_H
#define SNAPSHOT_STORE_OCI_H

#include "snapshot/store.h"

MUST_CHECK bool store_oci_open(const struct store_opts *o, struct store **out, struct err *err);
// The name of the file a tag stands for; owned, NULL for tags of others. Pure.
char *store_oci_name(const char *tag);

#endif
