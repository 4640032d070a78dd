// SPDX-License-Identifier: Apache-2.0
//
// From a snapshot back to a healthy cluster, when Git, registries and the old cluster may be gone.
// This header is the room's whole face; the parts have headers of their own.
//
//   frozen    a snapshot as the desired state, and what must be there before it
//
// It prints nothing, renders nothing, and knows neither a command line nor the bootstrap room.
#ifndef RESTORE_RESTORE_H
#define RESTORE_RESTORE_H

#include "restore/frozen.h"

#endif
