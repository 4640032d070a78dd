// SPDX-License-Identifier: Apache-2.0
//
// From a snapshot back to a healthy cluster, when Git, registries and the old cluster may be gone.
// This header is the room's whole face; the parts have headers of their own.
//
//   which    which snapshot is meant: the newest good one, one of a time, of a revision
//   frozen   a snapshot as the desired state, and what must be there before it
//   apis     what the target does not serve, and what becomes of it (pure)
//   fields   what it does not know in kinds that it serves
//   mapping  other hosts, storage classes, registries, clusters (pure)
//   sources  what manifests were rendered from, to render them again
//   target   whose cluster is it? the note that it was restored
//   partial  of all that only some applications or namespaces
//   zero     keys and credentials, before everything else
//   timeline how long it took, and what that was spent on
//   awaited  what no restore can do or bring back
//   report   all of that for people: HTML, and a picture (pure)
//   gitback  Git repositories back to a Git host
//
// And of a drill:
//   plane    a control plane that is thrown away; simulated: what such a one cannot show (pure)
//   findings what is wrong with a snapshot, as far as it can be seen without a cluster; sealed: a
//            SealedSecret and the keys there are
//   world    what a cluster really has
//   compare  one object against another (pure)
//
// Order of a restore: verify (snapshot room), frozen_read, apis_settle, target_look, a plan for
// people to see (reconcile), rights_check, and after their word a run, which writes target_note
// and zero_write first of all. It prints nothing, renders nothing, and knows neither a command line
// nor the bootstrap room.
#ifndef RESTORE_RESTORE_H
#define RESTORE_RESTORE_H

#include "restore/apis.h"
#include "restore/awaited.h"
#include "restore/compare.h"
#include "restore/fields.h"
#include "restore/findings.h"
#include "restore/frozen.h"
#include "restore/gitback.h"
#include "restore/mapping.h"
#include "restore/partial.h"
#include "restore/plane.h"
#include "restore/report.h"
#include "restore/simulated.h"
#include "restore/sources.h"
#include "restore/target.h"
#include "restore/timeline.h"
#include "restore/which.h"
#include "restore/world.h"
#include "restore/zero.h"

#endif
