// SPDX-License-Identifier: Apache-2.0
//
// The desired state, pure: documents, objects, applications, projects, and the dependency graph
// over them. No network, no disk, no clock: the same input always gives the same bytes.
//
// Data flows one way: a root gives applications, applications name sources, rendered sources give
// objects (`struct desired`, filled by the source room), objects give the graph (`struct graph`).
// This header is the room's whole face; the parts have headers of their own.
#ifndef GITOPS_GITOPS_H
#define GITOPS_GITOPS_H

#include "gitops/app.h"
#include "gitops/appset.h"
#include "gitops/canon.h"
#include "gitops/desired.h"
#include "gitops/fields.h"
#include "gitops/glob.h"
#include "gitops/graph.h"
#include "gitops/handover.h"
#include "gitops/healthy.h"
#include "gitops/ignored.h"
#include "gitops/jqfilter.h"
#include "gitops/json.h"
#include "gitops/kinds.h"
#include "gitops/object.h"
#include "gitops/project.h"
#include "gitops/regex.h"
#include "gitops/revision.h"
#include "gitops/unheeded.h"
#include "gitops/yaml.h"

#endif
