// SPDX-License-Identifier: Apache-2.0
#include "tests/snapshot/chain.h"

void test_chain_init(struct test_chain *c)
{
    uint8_t raw[KEY_BYTES];
    struct fixed_random r = {.seed = "repo"};
    *c = (struct test_chain){0};
    fixed_random_fn(&r, c->repo, sizeof(c->repo));
    fixed_key("identity", raw);
    age_identity_from_raw(raw, &c->identity);
    *vec_push(&c->identities.v) = c->identity;
    c->keys.identities = &c->identities;
    chain_keys_derive(&c->identity, c->repo, CHAIN, &c->chain);
    c->namer = blob_namer_new(c->chain.id_key);
}

void test_chain_clear(struct test_chain *c)
{
    age_identities_clear(&c->identities);
    blob_namer_free(c->namer);
}
