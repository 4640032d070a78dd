// SPDX-License-Identifier: Apache-2.0
//
// The duties of a store, as tests every implementation has to pass.
#ifndef TESTS_SNAPSHOT_CONTRACT_H
#define TESTS_SNAPSHOT_CONTRACT_H

#include "snapshot/store.h"

// Fails the running test at the first duty that is not met. The store is empty before.
void store_contract(struct store *s);

#endif
