// SPDX-License-Identifier: Apache-2.0
//
// Apart from the rest of repo: what works in any store need not know how one is opened.
#include "snapshot/repo.h"

bool repo_open(const struct store_opts *o, const struct sha256 *pin, struct repo *out,
               struct err *err)
{
    struct store *s = NULL;
    if (!store_open(o, &s, err) || !repo_open_store_take(s, pin, out, err))
        return false;
    out->loop = o->loop;
    out->events = o->events;
    return true;
}
