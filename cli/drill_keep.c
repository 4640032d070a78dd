// SPDX-License-Identifier: Apache-2.0
//
// What is left of a drill: the judge's word in the log, with the report sealed; files; what
// monitoring is told.
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/drilling.h"

#define MAX_REPORT_FILE (64U << 20) // as many findings as there are objects

// What a later reader can do without, longest first.
static const char *const dispensable[] = {"differences", "history", "apis", "first", "losses"};

// ---- the log ----
// A report that would not fit is cut, and says so.
static json_t *fitting(const json_t *doc)
{
    json_t *out = json_copy((json_t *)doc);
    for (size_t i = 0; i < ARRAY_LEN(dispensable); i++) {
        struct buf b CLEANUP(buf_clear) = {0};
        canon_write(out, &b);
        if (b.len < REPORT_MAX_BYTES)
            return out;
        json_object_set_new(out, dispensable[i], json_array());
        json_object_set_new(out, "cut", json_true());
    }
    return out;
}

// That something was merely not healthy in time is no reason to restore an older snapshot: it was
// proved whole, and that is what is said.
static enum verdict said(enum drill_verdict v)
{
    static const enum verdict verdicts[] = {[DRILL_GOOD] = VERDICT_DRILLED,
                                            [DRILL_UNPROVEN] = VERDICT_VERIFIED,
                                            [DRILL_BAD] = VERDICT_BAD};
    return verdicts[v];
}

static char *why(const struct drilling *x)
{
    struct buf b = {0};
    buf_printf(&b, "drill: %zu finding%s", x->f.v.len, x->f.v.len == 1 ? "" : "s");
    for (int k = 0; k <= FINDING_LIVE_DIFFERENT; k++) {
        size_t n = 0;
        for (size_t i = 0; i < x->f.v.len; i++)
            n += x->f.v.v[i].kind == (enum finding_kind)k;
        if (n)
            buf_printf(&b, ", %zu %s", n, finding_kind_name((enum finding_kind)k));
    }
    return buf_take(&b); // kinds and numbers: the log is readable without a key
}

bool drill_note_verdict(struct drilling *x, struct err *err)
{
    struct snap *s = &x->r.snap;
    if (!s->has_key || s->key.kind != CREDENTIAL_JUDGE)
        return true;
    CLEANUP(json_freep) json_t *report = fitting(x->doc);
    CLEANUP(str_freep) char *text = why(x);
    if (!drill_note(&s->repo, s->chain, &s->key, x->r.e, said(drill_verdict(&x->f)), text, report,
                    &x->noted, err))
        return false;
    json_object_set_new(x->doc, "noted", json_integer((json_int_t)x->noted));
    return true;
}

// ---- files ----
// Beside the report, with the hash of its bytes.
static bool sign_report(const struct drilling *x, struct err *err)
{
    const struct snap *s = &x->r.snap;
    const char *path = x->r.c->o.restore.report;
    struct buf text CLEANUP(buf_clear) = {0};
    struct buf line CLEANUP(buf_clear) = {0};
    if (!path || !s->has_key || s->key.kind != CREDENTIAL_JUDGE)
        return true;
    if (!file_read(path, MAX_REPORT_FILE, &text, err))
        return false;
    struct sha256 sum = sha256_of(text.p ? text.p : "", text.len);
    CLEANUP(str_freep) char *hex = hex_encode(sum.b, sizeof(sum.b));
    CLEANUP(str_freep) char *entry = hex_encode(x->r.e->hash.b, sizeof(x->r.e->hash.b));
    CLEANUP(str_freep) char *repo = hex_encode(x->r.e->repo, sizeof(x->r.e->repo));
    CLEANUP(str_freep) char *file = str_printf("%s.signed", path);
    CLEANUP(json_freep)
    json_t *body = json_pack("{s:s, s:s, s:I, s:s, s:s, s:s}", "repo", repo, "chain", s->chain,
                             "seq", (json_int_t)x->r.e->seq, "entry", entry, "report", hex,
                             "verdict", drill_verdict_name(drill_verdict(&x->f)));
    signed_write("drill", body, &s->key.signer, 1, &line);
    return file_replace(file, line.p, line.len, 0644, err);
}

static bool write_html(const struct drilling *x, struct err *err)
{
    const char *path = x->r.c->o.drill.html;
    struct buf page CLEANUP(buf_clear) = {0};
    if (!path)
        return true;
    return (report_html(x->doc, &page, err) && file_replace(path, page.p, page.len, 0640, err)) ||
           err_wrap(err, "--html");
}

bool drill_write_files(struct drilling *x, struct err *err)
{
    return restoring_save(&x->r, x->doc, err) && sign_report(x, err) && write_html(x, err);
}

// ---- monitoring ----
void drill_tell_metrics(struct cli *c, const struct drilling *x, int exit_code,
                        struct strv *warnings)
{
    bool is_good = x && drill_verdict(&x->f) == DRILL_GOOD;
    double now = (double)(clock_unix_ms() / 1000);
    double rto = x ? (double)json_dot_int(x->doc, "rto_ms", 0) / 1000 : 0;
    double rpo = x ? (double)json_dot_int(x->doc, "rpo_seconds", 0) : 0;
    const struct metric_row rows[] = {
        {"last_run_timestamp_seconds", "When the last drill ended.", now, true},
        {"last_run_exit_code", "How it ended: 0 all comes back, 10 something was found.", exit_code,
         true},
        {"last_good_timestamp_seconds", "When a drill last brought everything back.", now, is_good},
        {"last_good_seq", "Of which snapshot.", x ? (double)x->r.e->seq : 0, is_good},
        {"rto_seconds", "How long the restore took.", rto, x != NULL},
        {"rpo_seconds", "How old the snapshot was.", rpo, x != NULL},
        {"findings", "What was found.", x ? (double)x->f.v.len : 0, x != NULL},
        {"compared_objects", "How many objects were compared.", x ? (double)x->compared : 0,
         x != NULL},
    };
    const char *chain = x ? x->r.snap.chain : c->o.snap.chain;
    struct metric_set set = {"regrow_drill_", chain ? chain : "", rows, ARRAY_LEN(rows)};
    struct err err = {0};
    if (c->o.snap.metrics && !metric_set_write(&set, c->o.snap.metrics, &err))
        strv_push_take(warnings, str_printf("metrics were not written: %s", err.msg));
    err_clear(&err);
    if (c->o.snap.push_metrics &&
        !metric_set_push(&set, c->o.snap.push_metrics, c->loop, c->o.ca_file, &err))
        strv_push_take(warnings, str_printf("metrics were not pushed: %s", err.msg));
    err_clear(&err);
}
