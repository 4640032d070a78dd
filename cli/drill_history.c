// SPDX-License-Identifier: Apache-2.0
//
// What earlier drills said: the verdicts of the log, and their sealed reports where something that
// was given opens them.
#include <stdlib.h>
#include <string.h>

#include "cli/drilling.h"

#define MAX_HISTORY 1000
#define SHOWN_ROWS 30

static bool is_drill(const struct snap *s, const struct entry *e)
{
    return e->kind == ENTRY_VERDICT && !e->is_void && e->verdict.has_report &&
           log_standing(&s->log, e) != STANDING_DEAD;
}

static const char *label_of(const struct snap *s, const struct entry *e)
{
    const struct trust_signer *t =
        trust_signer_for(trust_now(&s->repo.trust), &e->signer, ROLE_JUDGE, s->chain);
    return t && *t->label ? t->label : e->signer.hex;
}

static void copy(json_t *to, const char *name, const json_t *report, const char *path)
{
    json_t *v = json_dot(report, path);
    if (v)
        json_object_set(to, name, v);
}

static void count_kind(json_t *kinds, const char *kind)
{
    size_t i;
    json_t *k;
    if (!kind)
        return;
    json_array_foreach(kinds, i, k)
    {
        if (str_eq(json_dot_str(k, "kind"), kind)) {
            json_object_set_new(k, "count", json_integer(json_dot_int(k, "count", 0) + 1));
            return;
        }
    }
    json_array_append_new(kinds, json_pack("{s:s, s:i}", "kind", kind, "count", 1));
}

// What matters of a report; nothing of one of another shape.
static void add_report(json_t *row, const json_t *report)
{
    json_t *kinds = json_array();
    size_t i;
    json_t *f;
    copy(row, "verdict", report, "verdict");
    copy(row, "rto_ms", report, "rto_ms");
    copy(row, "rpo_seconds", report, "rpo_seconds");
    copy(row, "compared", report, "compared");
    json_array_foreach(json_object_get(report, "findings"), i, f)
    {
        count_kind(kinds, json_dot_str(f, "kind"));
    }
    json_object_set_new(
        row, "findings",
        json_integer((json_int_t)json_array_size(json_object_get(report, "findings"))));
    json_object_set_new(row, "findingKinds", kinds);
}

static void open_report(struct snap *s, const struct entry *e, json_t *row)
{
    for (size_t i = 0; i < s->unlocked.v.len; i++) {
        CLEANUP(json_freep) json_t *report = NULL;
        struct err err = {0};
        bool ok = drill_report(&s->repo, s->chain, e, &s->unlocked.v.v[i].identity, &report, &err);
        if (ok && json_is_object(report)) {
            add_report(row, report);
            return;
        }
        if (err.kind != ERR_DENIED && err.msg)
            json_object_set_new(row, "problem", json_string(err.msg));
        err_clear(&err); // of another epoch, or damaged: verify says which
    }
}

static json_t *row_of(struct snap *s, const struct entry *e, int64_t now_ms)
{
    int64_t at = e->stored_at_ms ? e->stored_at_ms : e->time_unix_s * 1000;
    CLEANUP(str_freep) char *text = clock_rfc3339(at / 1000);
    json_t *row = json_pack(
        "{s:I, s:s, s:I, s:I, s:s, s:s, s:s, s:s*}", "entry", (json_int_t)e->seq, "time", text,
        "ageSeconds", (json_int_t)((now_ms - at) / 1000), "snapshot", (json_int_t)e->verdict.of.seq,
        "verdict",
        e->verdict.verdict == VERDICT_VERIFIED ? "unproven" : verdict_name(e->verdict.verdict),
        "noted", verdict_name(e->verdict.verdict), "by", label_of(s, e), "why", e->verdict.why);
    open_report(s, e, row);
    return row;
}

bool drill_history(struct snap *s, size_t max, json_t **out, struct err *err)
{
    int64_t now_ms = 0;
    if (!store_now(s->repo.store, &now_ms, err))
        return false;
    *out = json_array();
    for (size_t i = s->log.v.len; i-- > 0 && json_array_size(*out) < max;)
        if (is_drill(s, &s->log.v.v[i]))
            json_array_append_new(*out, row_of(s, &s->log.v.v[i], now_ms));
    return true;
}

// ---- the trend ----
static int by_number(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static int64_t median(int64_t *v, size_t n)
{
    qsort(v, n, sizeof(*v), by_number);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

json_t *drill_trend(const json_t *history)
{
    size_t n = json_array_size(history);
    int64_t *rtos = mem_alloc((n + 1) * sizeof(*rtos));
    size_t timed = 0;
    size_t good = 0;
    const json_t *last_good = NULL;
    size_t i;
    json_t *row;
    json_array_foreach(history, i, row)
    {
        if (!str_eq(json_dot_str(row, "verdict"), "drilled"))
            continue; // how long it took until it ended is no time until all was back
        good++;
        if (json_object_get(row, "rto_ms"))
            rtos[timed++] = json_dot_int(row, "rto_ms", 0);
        last_good = last_good ? last_good : row;
    }
    json_t *out = json_pack("{s:I, s:I}", "drills", (json_int_t)n, "good", (json_int_t)good);
    if (last_good)
        json_object_set(out, "lastGood", json_object_get(last_good, "time"));
    if (last_good)
        json_object_set(out, "lastGoodAgeSeconds", json_object_get(last_good, "ageSeconds"));
    if (timed) {
        json_object_set_new(out, "rto_ms_last", json_integer(rtos[0]));
        json_object_set_new(out, "rto_ms_median", json_integer(median(rtos, timed)));
    }
    free(rtos);
    return out;
}

// ---- for people ----
static char *time_cell(const json_t *row, const char *key, bool is_age)
{
    const json_t *v = json_object_get(row, key);
    if (!json_is_integer(v))
        return str_dup("–");
    return is_age ? age_text(json_integer_value(v)) : clock_duration_text(json_integer_value(v));
}

static char *kinds_cell(const json_t *row)
{
    struct buf b = {0};
    size_t i;
    json_t *k;
    json_array_foreach(json_object_get(row, "findingKinds"), i, k)
    {
        buf_printf(&b, "%s%s", i ? ", " : "", json_dot_str(k, "kind"));
        if (json_dot_int(k, "count", 0) > 1)
            buf_printf(&b, " (%lld)", json_dot_int(k, "count", 0));
    }
    if (!b.len)
        buf_str(&b, json_dot_str(row, "problem") ? json_dot_str(row, "problem") : "");
    return buf_take(&b);
}

static void print_rows(const struct cli *c, const json_t *history)
{
    static const char *const names[] = {"ENTRY", "WHEN", "SEQ", "VERDICT", "RTO", "RPO", "FOUND"};
    struct table *t CLEANUP(table_freep) = table_new(c, true, 2);
    size_t i;
    json_t *row;
    for (i = 0; i < ARRAY_LEN(names); i++)
        table_column(t, names[i], i == 6 ? TABLE_WRAP : i == 1 || i == 3 ? 0 : TABLE_RIGHT);
    json_array_foreach(history, i, row)
    {
        if (i == SHOWN_ROWS && !c->o.verbose)
            break;
        const char *at = json_dot_str(row, "time");
        bool is_good = str_eq(json_dot_str(row, "verdict"), "drilled");
        CLEANUP(str_freep) char *entry = str_printf("%lld", json_dot_int(row, "entry", 0));
        CLEANUP(str_freep) char *when = str_printf("%.10s %.5s", at, at + 11);
        CLEANUP(str_freep) char *of = str_printf("%lld", json_dot_int(row, "snapshot", 0));
        CLEANUP(str_freep) char *rto = time_cell(row, "rto_ms", false);
        CLEANUP(str_freep) char *rpo = time_cell(row, "rpo_seconds", true);
        CLEANUP(str_freep) char *kinds = kinds_cell(row);
        const char *cells[] = {entry, when, of, json_dot_str(row, "verdict"), rto, rpo, kinds};
        size_t at_row = table_row(t, -1);
        for (size_t k = 0; k < ARRAY_LEN(cells); k++)
            table_cell(t, at_row, k, k == 3 ? (is_good ? "green" : "red") : NULL, cells[k]);
    }
    table_print(t);
}

static void print_trend(const json_t *trend, const char *chain)
{
    long long age = json_dot_int(trend, "lastGoodAgeSeconds", -1);
    CLEANUP(str_freep) char *ago = age >= 0 ? age_text(age) : NULL;
    CLEANUP(str_freep) char *last = clock_duration_text(json_dot_int(trend, "rto_ms_last", 0));
    CLEANUP(str_freep) char *usual = clock_duration_text(json_dot_int(trend, "rto_ms_median", 0));
    struct buf b CLEANUP(buf_clear) = {0};
    buf_printf(&b, "%lld of %lld drills of %s good.", json_dot_int(trend, "good", 0),
               json_dot_int(trend, "drills", 0), chain);
    if (ago)
        buf_printf(&b, " The last good one %s ago.", ago);
    if (json_object_get(trend, "rto_ms_last"))
        buf_printf(&b, " RTO %s, usually %s.", last, usual);
    print_wrapped(stdout, b.p, 0, 2);
}

static void show(struct cli *c, const struct snap *s, json_t *history)
{
    CLEANUP(json_freep) json_t *trend = drill_trend(history);
    if (wants_doc(c)) {
        CLEANUP(json_freep) json_t *doc = snap_doc("drill-history", s);
        json_object_set(doc, "history", history);
        json_object_set(doc, "trend", trend);
        print_doc(c, doc);
        return;
    }
    if (!json_array_size(history)) {
        printf("%s was never drilled\n", s->chain);
        printf("  next: regrow drill --judge-key FILE\n");
        return;
    }
    if (!c->o.quiet)
        print_rows(c, history);
    print_trend(trend, s->chain);
    if (!s->unlocked.v.len)
        print_wrapped(stdout,
                      "Times and findings are in the reports, which are sealed: --identity or a "
                      "passphrase opens them.",
                      0, 2);
}

bool drill_print_history(struct cli *c, struct err *err)
{
    struct snap s CLEANUP(snap_close) = {0};
    struct snap_want want = {.read = READ_IF_GIVEN, .chain = true};
    CLEANUP(json_freep) json_t *history = NULL;
    if (!snap_open(c, &c->o.snap, &want, &s, err) || !snap_log(&s, err) ||
        !drill_history(&s, MAX_HISTORY, &history, err))
        return false;
    show(c, &s, history);
    return true;
}
