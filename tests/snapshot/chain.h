// SPDX-License-Identifier: Apache-2.0
//
// The keys all vectors of a chain are made with: "prod" of one repository, epoch 1.
#ifndef TESTS_SNAPSHOT_CHAIN_H
#define TESTS_SNAPSHOT_CHAIN_H

#include "snapshot/index.h"
#include "tests/snapshot/bytes.h"

#define CHAIN "prod"

struct test_chain {
    uint8_t repo[16];
    struct age_identity identity;
    struct age_identities identities; // that one
    struct age_keys keys;
    struct chain_keys chain;
    struct blob_namer *namer;
};
void test_chain_init(struct test_chain *c);
void test_chain_clear(struct test_chain *c);

#endif
