// SPDX-License-Identifier: Apache-2.0
//
// The reports of drills: there, with the bytes of their names, and with the key opened. A snapshot
// is read without them, so what is wrong with one harms none.
#include "snapshot/drill_log.h"
#include "snapshot/verify_int.h"

static bool check_listed(struct verifying *v, const char *name, uint64_t *size, struct err *err)
{
    return verify_is_listed(v, name, size) || err_set(err, ERR_CORRUPT, "%s is missing", name);
}

static bool check_bytes(struct verifying *v, const char *name, uint64_t *size, struct err *err)
{
    struct buf bytes CLEANUP(buf_clear) = {0};
    if (!repo_fetch(v->r, name, PACK_MAX_BYTES, &bytes, err))
        return false;
    *size = bytes.len;
    return true;
}

static bool check_opens(struct verifying *v, const struct entry *verdict,
                        const struct age_identity *id, struct err *err)
{
    CLEANUP(json_freep) json_t *report = NULL;
    bool ok = drill_report(v->r, v->l->chain, verdict, id, &report, err);
    if (!ok && err->kind == ERR_DENIED)
        err->kind = ERR_CORRUPT; // the bytes are right, and sealed to somebody else
    return ok;
}

static bool check_report(struct verifying *v, const struct entry *verdict,
                         const struct entry *snapshot, struct err *err)
{
    const struct age_identity *id =
        v->o->identities && !v->o->quick ? verify_identity(v, snapshot) : NULL;
    CLEANUP(str_freep) char *hex = hex_encode(verdict->verdict.report.b, sizeof(struct sha256));
    CLEANUP(str_freep) char *name = chain_file(v->l->chain, "packs", hex);
    uint64_t size = 0;
    bool ok =
        (v->o->quick ? check_listed(v, name, &size, err) : check_bytes(v, name, &size, err)) &&
        (!id || check_opens(v, verdict, id, err));
    if (ok) {
        v->out->files++;
        v->out->stored_bytes += size;
        return true;
    }
    if (err->kind != ERR_CORRUPT && err->kind != ERR_INVALID)
        return false; // the store does not answer
    strv_push_take(&v->out->problems,
                   str_printf("report of a drill of snapshot %llu (log entry %llu): %s",
                              (unsigned long long)snapshot->seq, (unsigned long long)verdict->seq,
                              err->msg));
    err_clear(err);
    return true;
}

bool verify_reports(struct verifying *v, struct err *err)
{
    for (size_t i = 0; i < v->l->v.len; i++) {
        const struct entry *verdict = &v->l->v.v[i];
        const struct entry *snapshot =
            verdict->kind == ENTRY_VERDICT ? log_find(v->l, verdict->verdict.of.seq) : NULL;
        if (snapshot && verify_is_checked(v, snapshot) && verdict_reports(verdict, snapshot) &&
            !check_report(v, verdict, snapshot, err))
            return false;
    }
    return true;
}
