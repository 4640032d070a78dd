// SPDX-License-Identifier: Apache-2.0
#include "tests/snapshot/chain.h"

void test_chain_init(struct test_chain *c)
{
    uint8_t raw[KEY_BYTES];
    uint8_t k[KEY_BYTES];
    struct fixed_random r = {.seed = "repo"};
    *c = (struct test_chain){0};
    fixed_random_fn(&r, c->repo, sizeof(c->repo));
    fixed_key("identity", raw);
    age_identity_from_raw(raw, &c->identity);
    *vec_push(&c->identities.v) = c->identity;
    c->keys.identities = &c->identities;
    // As the specification says; test_keys compares chain_keys_derive.
    hkdf_sha256(raw, KEY_BYTES, c->repo, sizeof(c->repo), "regrow/1 chain " CHAIN, k);
    memcpy(c->chain.k, k, KEY_BYTES);
    hkdf_sha256(k, KEY_BYTES, NULL, 0, "regrow/1 id", c->chain.id_key);
    c->namer = blob_namer_new(c->chain.id_key);
}

void test_chain_clear(struct test_chain *c)
{
    age_identities_clear(&c->identities);
    blob_namer_free(c->namer);
}
