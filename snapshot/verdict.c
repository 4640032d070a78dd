// SPDX-License-Identifier: Apache-2.0
#include "snapshot/verdict.h"

#define MAX_TRIES 20 // others keep committing meanwhile

static bool is_said(const struct log *l, const struct entry *e, enum verdict v)
{
    const struct entry *good = log_verdict(l, e, VERDICT_GOOD);
    const struct entry *bad = log_verdict(l, e, VERDICT_BAD);
    uint64_t of_good = good ? good->seq : 0;
    uint64_t of_bad = bad ? bad->seq : 0;
    if (log_is_in_doubt(l, e))
        return false; // something else may have been said since, and lost
    return (v == VERDICT_GOOD && of_good > of_bad) || (v == VERDICT_BAD && of_bad > of_good);
}

// What a registry must keep with the entry.
static void needs_of(const struct log *l, const struct judgement *j, struct strv *out)
{
    CLEANUP(str_freep) char *hex = hex_encode(j->report.b, sizeof(j->report.b));
    if (j->has_report)
        strv_push_take(out, chain_file(l->chain, "packs", hex));
}

static bool judge_once(struct repo *r, struct log *l, const struct credential *judge,
                       const struct judgement *j, uint64_t *seq, bool *again, struct err *err)
{
    const struct entry *e = log_find(l, j->seq);
    struct strv needs = {0};
    bool made = false;
    *again = false;
    if (!e || e->kind != ENTRY_SNAPSHOT || log_standing(l, e) == STANDING_DEAD)
        return err_set(err, ERR_NOT_FOUND, "there is no snapshot %llu of %s",
                       (unsigned long long)j->seq, l->chain);
    if (!j->has_report && is_said(l, e, j->verdict))
        return true;
    struct entry verdict = {.kind = ENTRY_VERDICT};
    verdict.verdict.of = (struct seq_hash){.seq = e->seq, .hash = e->hash};
    verdict.verdict.verdict = j->verdict;
    verdict.verdict.why = str_dup_or_null(j->why);
    verdict.verdict.report = j->report;
    verdict.verdict.has_report = j->has_report;
    needs_of(l, j, &needs);
    bool ok = log_append(r, l, &verdict, &judge->signer, needs.len ? &needs : NULL, &made, err);
    *seq = made ? verdict.seq : 0;
    entry_clear(&verdict);
    strv_clear(&needs);
    *again = ok && !made;
    return ok;
}

bool repo_judge_by(struct repo *r, const char *chain, const struct credential *judge,
                   const struct judgement *j, uint64_t *seq, struct err *err)
{
    bool again = true;
    bool ok = trust_check_flags(trust_now(&r->trust), true, false, err);
    *seq = 0;
    for (int i = 0; ok && again; i++) {
        struct log_opts lo = {0};
        struct log l = {.checkpoint = -1};
        if (i == MAX_TRIES)
            return err_set(err, ERR_CONFLICT, "others wrote to chain %s all the while", chain);
        ok = log_read(r, chain, &lo, &l, err) && judge_once(r, &l, judge, j, seq, &again, err);
        log_clear(&l);
    }
    return ok;
}

bool repo_judge(struct repo *r, const char *chain, const struct credential *judge, uint64_t seq,
                enum verdict v, const char *why, bool *made, struct err *err)
{
    struct judgement j = {.seq = seq, .verdict = v, .why = why};
    uint64_t entry = 0;
    bool ok = repo_judge_by(r, chain, judge, &j, &entry, err);
    *made = entry != 0;
    return ok;
}
