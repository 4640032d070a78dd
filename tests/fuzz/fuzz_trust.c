// SPDX-License-Identifier: Apache-2.0
//
// The JSON of a trust file and of regrow.json, as if their signatures had held. What is taken says
// the same when it is written and read again, and can be asked.
#include <stdlib.h>

#include "snapshot/members.h"
#include "snapshot/trust.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void ask(const struct trust *t)
{
    struct err err = {0};
    must(t->n >= 1 && t->need >= 1 && t->need <= t->admins.len);
    trust_open_epoch(t);
    if (!trust_check_flags(t, true, true, &err))
        err_clear(&err);
    for (size_t i = 0; i < t->signers.len; i++) {
        const struct trust_signer *s = &t->signers.v[i];
        struct key_id id = key_id_of(s->public);
        const char *chain = s->chains.len ? s->chains.v[0] : "any";
        must(trust_signer_for(t, &id, s->role, chain) == s);
        must(!s->until || trust_is_void(s, chain, UINT64_MAX));
    }
}

static void try_trust(const json_t *body)
{
    struct trust t;
    struct trust again;
    struct err err = {0};
    if (!trust_parse(body, &t, &err)) {
        must(err.kind == ERR_CORRUPT);
        err_clear(&err);
        return;
    }
    ask(&t);
    json_auto_t *first = trust_json(&t);
    must(trust_parse(first, &again, &err));
    json_auto_t *second = trust_json(&again);
    must(json_equal(first, second));
    trust_clear(&again);
    trust_clear(&t);
}

static void try_marker(const json_t *body)
{
    struct marker m;
    struct err err = {0};
    if (marker_parse(body, &m, &err))
        marker_clear(&m);
    else
        must(err.kind == ERR_CORRUPT || err.kind == ERR_INVALID);
    err_clear(&err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *body = NULL;
    struct err err = {0};
    if (bounded_json(data, size, &body, &err)) {
        try_trust(body);
        try_marker(body);
        json_decref(body);
    }
    err_clear(&err);
    return 0;
}
