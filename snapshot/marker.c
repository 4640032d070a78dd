// SPDX-License-Identifier: Apache-2.0
//
// Regrow.json: that a repository is here, and what its store was proved to guarantee.
#include <stdlib.h>

#include "snapshot/trust_int.h"

#define NAME "regrow.json"
#define TYPE "repository"
#define MAX_KIND 32

void marker_clear(struct marker *m)
{
    free(m->store_kind);
    *m = (struct marker){0};
}

bool marker_write(struct store *s, const struct marker *m, const struct signer *admin,
                  struct err *err)
{
    struct buf file CLEANUP(buf_clear) = {0};
    CLEANUP(str_freep) char *repo = hex_encode(m->repo, sizeof(m->repo));
    json_auto_t *body = json_pack("{s:i, s:s, s:s, s:b, s:b}", "format", REPOSITORY_FORMAT, "repo",
                                  repo, "store", m->store_kind, "atomic_create", m->atomic_create,
                                  "list_after_create", m->list_after_create);
    signed_write(TYPE, body, admin, 1, &file);
    return create_same(s, NAME, &file, err);
}

bool marker_parse(const json_t *body, struct marker *out, struct err *err)
{
    struct members m = members_of(body, err);
    *out = (struct marker){0};
    unsigned format = (unsigned)member_uint(&m, "format", 1, INT32_MAX);
    if (!m.is_bad && format != REPOSITORY_FORMAT) // before the rest, which may be another in it
        return err_set(err, ERR_INVALID, "the repository has format %u, this program knows %d",
                       format, REPOSITORY_FORMAT);
    member_hex(&m, "repo", out->repo, sizeof(out->repo));
    out->atomic_create = member_bool(&m, "atomic_create");
    out->list_after_create = member_bool(&m, "list_after_create");
    out->store_kind = str_dup(member_text(&m, "store", MAX_KIND));
    if (m.is_bad)
        marker_clear(out);
    return !m.is_bad;
}

static bool parse_signed(const struct buf *file, const struct trust_chain *c, struct marker *out,
                         struct err *err)
{
    struct signed_line line;
    json_auto_t *body = NULL;
    if (!signed_split(file->p, file->len, MARKER_MAX_BYTES, TYPE, &line, err))
        return false;
    if (!admins_behind(trust_at(c, 1), &line) && !admins_behind(trust_now(c), &line))
        return err_set(err, ERR_CORRUPT, "no admin has signed it");
    if (!signed_json(&line, &body, err) || !marker_parse(body, out, err))
        return false;
    if (!memcmp(out->repo, trust_now(c)->repo, sizeof(out->repo)))
        return true;
    marker_clear(out);
    return err_set(err, ERR_CORRUPT, "it is another repository's");
}

bool marker_read(struct store *s, const struct trust_chain *c, struct marker *out, bool *found,
                 struct err *err)
{
    struct buf file CLEANUP(buf_clear) = {0};
    *out = (struct marker){0};
    if (!store_get(s, NAME, MARKER_MAX_BYTES, &file, found, err))
        return false;
    return !*found || parse_signed(&file, c, out, err) || err_wrap(err, NAME);
}
