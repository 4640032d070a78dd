// SPDX-License-Identifier: Apache-2.0
#include "snapshot/drill_log.h"

#include <string.h>

#include "gitops/gitops.h"
#include "snapshot/verdict.h"

static bool seal(struct repo *r, const struct entry *snapshot, const json_t *report,
                 struct buf *pack, struct sha256 *name, struct err *err)
{
    const struct trust_epoch *epoch = trust_epoch(trust_now(&r->trust), snapshot->snapshot.epoch);
    CLEANUP(pack_builder_freep) struct pack_builder *b = pack_builder_new('f');
    struct buf text CLEANUP(buf_clear) = {0};
    if (!epoch)
        return err_set(err, ERR_CORRUPT, "its epoch %u is in no trust", snapshot->snapshot.epoch);
    canon_write(report, &text);
    buf_char(&text, '\n');
    if (text.len > REPORT_MAX_BYTES)
        return err_set(err, ERR_INVALID, "the report is larger than %u MiB",
                       REPORT_MAX_BYTES >> 20);
    pack_add(b, 'f', text.p, text.len);
    return pack_seal(b, epoch->recipient, pack, name, err);
}

static bool store(struct repo *r, const char *chain, const struct buf *pack,
                  const struct sha256 *name, struct err *err)
{
    CLEANUP(str_freep) char *hex = hex_encode(name->b, sizeof(name->b));
    CLEANUP(str_freep) char *file = chain_file(chain, "packs", hex);
    struct buf back CLEANUP(buf_clear) = {0};
    bool made = false;
    // What counts is what was read back.
    return store_create(r->store, file, pack->p, pack->len, NULL, &made, err) &&
           repo_fetch(r, file, PACK_MAX_BYTES, &back, err);
}

bool drill_note(struct repo *r, const char *chain, const struct credential *judge,
                const struct entry *snapshot, enum verdict v, const char *why, const json_t *report,
                uint64_t *seq, struct err *err)
{
    struct buf pack CLEANUP(buf_clear) = {0};
    struct judgement j = {.seq = snapshot->seq, .verdict = v, .why = why, .has_report = true};
    return (seal(r, snapshot, report, &pack, &j.report, err) &&
            store(r, chain, &pack, &j.report, err) &&
            repo_judge_by(r, chain, judge, &j, seq, err)) ||
           err_wrap(err, "note the drill");
}

bool drill_report(struct repo *r, const char *chain, const struct entry *verdict,
                  const struct age_identity *id, json_t **out, struct err *err)
{
    struct age_identities ids = {0};
    struct pack p = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    CLEANUP(str_freep) char *hex = hex_encode(verdict->verdict.report.b, sizeof(struct sha256));
    CLEANUP(str_freep) char *file = chain_file(chain, "packs", hex);
    *vec_push(&ids.v) = *id;
    struct age_keys keys = {.identities = &ids};
    bool ok = repo_fetch(r, file, PACK_MAX_BYTES, &b, err) &&
              pack_open(&keys, b.p, b.len, &p, err) &&
              (p.entries.len == 1 || err_set(err, ERR_CORRUPT, "it is no report of a drill")) &&
              canon_read(p.content.p, p.content.len, out, err);
    age_identities_clear(&ids);
    pack_clear(&p);
    return ok || err_wrap(err, "report of entry %llu", (unsigned long long)verdict->seq);
}
