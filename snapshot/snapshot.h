// SPDX-License-Identifier: Apache-2.0
//
// Snapshots: what a cluster is grown again from when Git, the chart registries and the cluster are
// gone. Capture, the repository format (docs/repository-format.md) and its stores. This header is
// the room's whole face; the parts have headers of their own.
//
//   crypto age signed          primitives: OpenSSL, age files, signed lines
//   keys trust                 slots, credentials, chain keys; who may sign what
//   slots init admin           ways to open it; a new repository; changes of trust
//   pack index entry           the files of a chain, pure: bytes in, values out
//   store store_*              where files lie: folder, S3, OCI registry
//   repo log                   an opened repository; the verified log of a chain
//   reader verify              content of a snapshot; proving that it is whole
//   writer                     a new snapshot, in crash order
//   prune                      forgetting, grace, deletion, undo
//   capture secrets            from Git and cluster to blobs; create: the whole of one
//   contents lists verdict     what a snapshot holds; what a judge says of it
//   healthy                    which revisions were last healthy, as it knows
//   histories                  its Git repositories, for those who bring them back
//   diff export import copy    what people do with snapshots
//   metrics                    what monitoring is told
//
// It knows how to write and read snapshots, not how to restore them; no command line.
#ifndef SNAPSHOT_SNAPSHOT_H
#define SNAPSHOT_SNAPSHOT_H

#include "snapshot/admin.h"
#include "snapshot/contents.h"
#include "snapshot/copy.h"
#include "snapshot/create.h"
#include "snapshot/diff.h"
#include "snapshot/drill_log.h"
#include "snapshot/export.h"
#include "snapshot/healthy.h"
#include "snapshot/histories.h"
#include "snapshot/import.h"
#include "snapshot/init.h"
#include "snapshot/keyfile.h"
#include "snapshot/lists.h"
#include "snapshot/metrics.h"
#include "snapshot/prune.h"
#include "snapshot/reader.h"
#include "snapshot/verdict.h"
#include "snapshot/writer.h"

#endif
