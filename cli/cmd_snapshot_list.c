// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include "cli/snapshot_open.h"

// A chain as it is listed.
struct listing {
    const struct snap *s;
    const struct log *log;
    const char *chain;
    int64_t now_ms; // by the store's clock
};

static const char *state_of(const struct listing *l, const struct entry *e)
{
    if (e->is_void)
        return "void";
    if (log_standing(l->log, e) == STANDING_WAITING)
        return "forgotten";
    return goodness_name(log_goodness(l->log, e));
}

static int64_t stored_ms(const struct entry *e)
{
    return e->stored_at_ms ? e->stored_at_ms : e->time_unix_s * 1000;
}

static int64_t age_s(const struct listing *l, const struct entry *e)
{
    return (l->now_ms - stored_ms(e)) / 1000;
}

static int64_t signed_age_s(const struct listing *l, const struct entry *e)
{
    return l->now_ms / 1000 - entry_taken_s(e);
}

static bool is_listed(const struct listing *l, const struct entry *e)
{
    return e->kind == ENTRY_SNAPSHOT && (e->is_void || log_standing(l->log, e) != STANDING_DEAD);
}

// Why it is not good, as far as that is no judge's word.
static char *reasons(const struct listing *l, const struct entry *e)
{
    const struct strv *v = &e->snapshot.why;
    struct buf b = {0};
    for (size_t i = 0; i < v->len; i++)
        buf_printf(&b, "%s%s", i ? ", " : "", v->v[i]);
    if (!e->is_void && log_is_in_doubt(l->log, e))
        buf_printf(&b, "%snot judged again", b.len ? ", " : "");
    return buf_take(&b);
}

// Where it was made, in a word (the repository is shown by show), and when, if it does not look it.
static char *origin(const struct entry *e)
{
    CLEANUP(str_freep) char *text = snap_origin_text(e);
    CLEANUP(str_freep) char *taken = snap_time_text(entry_taken_s(e) * 1000);
    const char *in = text ? strstr(text, " in ") : NULL;
    struct buf b = {0};
    if (text)
        buf_printf(&b, "%.*s", (int)(in ? in - text : (long)strlen(text)), text);
    if (snap_times_differ(e))
        buf_printf(&b, "%ssigned %s", b.len ? ", " : "", taken);
    CLEANUP(str_freep) char *all = buf_take(&b);
    return *all ? str_printf(" (%s)", all) : str_dup("");
}

// ---- text ----

// A narrow terminal gets what matters most: lines that break say nothing.
static const struct {
    const char *name;
    unsigned flags;
    int least_width;
} columns[] = {
    {"SEQ", TABLE_RIGHT, 0},
    {"TAKEN", 0, 56},
    {"AGE", 0, 0},
    {"APPS", TABLE_RIGHT, 0},
    {"OBJECTS", TABLE_RIGHT, 76},
    {"ADDED", TABLE_RIGHT, 56},
    {"TOTAL", TABLE_RIGHT, 76},
    {"STATE", TABLE_WRAP, 0},
};

static bool has_column(size_t i)
{
    int rows, cols;
    screen_size(stdout, &rows, &cols);
    return !cols || cols >= columns[i].least_width;
}

static void add_row(struct table *t, const struct listing *l, const struct entry *e)
{
    const struct snapshot_entry *s = &e->snapshot;
    const char *state = state_of(l, e);
    bool good = log_goodness(l->log, e) >= SNAP_GOOD && !e->is_void;
    CLEANUP(str_freep) char *why = reasons(l, e);
    CLEANUP(str_freep) char *at = clock_rfc3339(stored_ms(e) / 1000);
    CLEANUP(str_freep) char *taken = str_printf("%.10s %.5s", at, at + 11);
    CLEANUP(str_freep) char *seq = str_printf("%llu", (unsigned long long)e->seq);
    CLEANUP(str_freep) char *age = age_text(age_s(l, e));
    CLEANUP(str_freep) char *apps = str_printf("%llu", snap_apps(e));
    CLEANUP(str_freep) char *objects = str_printf("%llu", (unsigned long long)s->counts.objects);
    CLEANUP(str_freep) char *added = size_text(s->bytes.added);
    CLEANUP(str_freep) char *total = size_text(s->bytes.stored);
    CLEANUP(str_freep) char *from = origin(e);
    CLEANUP(str_freep) char *text = str_printf("%s%s%s%s", state, *why ? ": " : "", why, from);
    const char *const cells[] = {seq, taken, age, apps, objects, added, total, text};
    size_t row = table_row(t, -1);
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(cells); i++)
        if (has_column(i))
            table_cell(t, row, n++, i < 7 ? NULL : good ? "green" : "yellow", cells[i]);
}

// The newest drill of the chain, of whatever snapshot and whatever it said.
static const struct entry *last_drill(const struct listing *l)
{
    const struct entry *last = NULL;
    for (size_t i = 0; i < l->log->v.len; i++) {
        const struct entry *e = &l->log->v.v[i];
        if (e->kind == ENTRY_VERDICT && !e->is_void && (!last || e->seq > last->seq) &&
            (e->verdict.has_report || e->verdict.verdict == VERDICT_DRILLED))
            last = e;
    }
    return last;
}

// good: what would be restored; NULL: nothing.
static void put_last_drill(struct buf *b, const struct listing *l, const struct entry *good)
{
    const struct entry *e = last_drill(l);
    if (!e) {
        buf_str(b, " Never drilled.");
        return;
    }
    CLEANUP(str_freep) char *age = age_text(age_s(l, e));
    CLEANUP(str_freep) char *of = str_printf(" (of %llu)", (unsigned long long)e->verdict.of.seq);
    CLEANUP(str_freep) char *signed_age = age_text(signed_age_s(l, e));
    CLEANUP(str_freep)
    char *by_signature =
        snap_times_differ(e) ? str_printf(" (signed %s ago)", signed_age) : str_dup("");
    bool is_of_good = good && e->verdict.of.seq == good->seq;
    buf_printf(b, " Last drill: %s ago%s%s%s.", age, by_signature, is_of_good ? "" : of,
               e->verdict.verdict == VERDICT_BAD        ? ", it said bad"
               : e->verdict.verdict == VERDICT_VERIFIED ? ", it proved nothing"
                                                        : "");
}

// The age by the store alone would make a copied repository look fresh.
static void put_signed_age(struct buf *b, const struct listing *l, const struct entry *good)
{
    CLEANUP(str_freep) char *age = age_text(signed_age_s(l, good));
    if (snap_times_differ(good))
        buf_printf(b, " since it was stored here, and %s since what it holds was signed", age);
    buf_char(b, '.');
}

static void print_last_line(const struct listing *l)
{
    const struct entry *good = log_latest_good(l->log);
    size_t waiting = 0;
    for (size_t i = 0; i < l->log->v.len; i++)
        waiting += l->log->v.v[i].kind == ENTRY_SNAPSHOT &&
                   log_standing(l->log, &l->log->v.v[i]) == STANDING_WAITING;
    struct buf b CLEANUP(buf_clear) = {0};
    if (good) {
        CLEANUP(str_freep) char *age = age_text(age_s(l, good));
        buf_printf(&b, "Last good: %llu (%s). RPO now %s", (unsigned long long)good->seq,
                   goodness_name(log_goodness(l->log, good)), age);
        put_signed_age(&b, l, good);
    } else {
        buf_str(&b, "There is no good snapshot: nothing would be restored.");
    }
    put_last_drill(&b, l, good);
    if (waiting)
        buf_printf(&b, " %zu forgotten: forget --undo brings back until prune deletes.", waiting);
    print_wrapped(stdout, b.p, 0, 0);
}

static void print_chain(const struct cli *c, const struct listing *l, bool has_name)
{
    struct table *t CLEANUP(table_freep) = table_new(c, true, 2);
    if (has_name)
        printf("%s%s%s\n", paint(c, "bold"), l->chain, paint(c, ""));
    for (size_t i = 0; i < ARRAY_LEN(columns); i++)
        if (has_column(i))
            table_column(t, columns[i].name, columns[i].flags);
    for (size_t i = l->log->v.len; i-- > 0;)
        if (is_listed(l, &l->log->v.v[i]))
            add_row(t, l, &l->log->v.v[i]);
    if (!c->o.quiet)
        table_print(t);
    print_last_line(l);
}

// ---- documents ----

static json_t *snapshot_doc(const struct listing *l, const struct entry *e)
{
    const struct snapshot_entry *s = &e->snapshot;
    CLEANUP(str_freep) char *hash = snap_pin_text(&e->hash);
    CLEANUP(str_freep)
    char *stored = e->stored_at_ms ? clock_rfc3339(e->stored_at_ms / 1000) : NULL;
    CLEANUP(str_freep) char *claimed = clock_rfc3339(e->time_unix_s);
    CLEANUP(str_freep) char *taken = clock_rfc3339(entry_taken_s(e));
    json_t *why = json_array();
    for (size_t i = 0; i < s->why.len; i++)
        json_array_append_new(why, json_string(s->why.v[i]));
    json_t *doc = json_pack(
        "{s:I, s:s, s:s, s:o, s:b, s:s*, s:s, s:I, s:s*, s:I, "
        "s:{s:I, s:I, s:I, s:I, s:I, s:I}, s:{s:I, s:I, s:I}}",
        "seq", (json_int_t)e->seq, "hash", hash, "state", state_of(l, e), "why", why, "inDoubt",
        !e->is_void && log_is_in_doubt(l->log, e), "stored", stored, "claimed", claimed,
        "ageSeconds", (json_int_t)age_s(l, e), "cluster", s->cluster, "epoch", (json_int_t)s->epoch,
        "counts", "apps", (json_int_t)s->counts.apps, "objects", (json_int_t)s->counts.objects,
        "sources", (json_int_t)s->counts.sources, "unknown", (json_int_t)s->counts.unknown,
        "secrets", (json_int_t)s->counts.secrets, "refs", (json_int_t)s->counts.refs, "bytes",
        "content", (json_int_t)s->bytes.content, "stored", (json_int_t)s->bytes.stored, "added",
        (json_int_t)s->bytes.added);
    json_object_set_new(doc, "taken", json_string(taken));
    snap_origin_doc(e, doc);
    return doc;
}

static json_t *chain_doc(const struct listing *l)
{
    const struct entry *good = log_latest_good(l->log);
    CLEANUP(str_freep) char *hash = snap_pin_text(&l->log->head_hash);
    CLEANUP(str_freep)
    char *last =
        l->log->head ? str_printf("%llu:%s", (unsigned long long)l->log->head, hash) : NULL;
    json_t *out = json_pack("{s:s, s:s*}", "chain", l->chain, "last", last);
    json_t *list = json_array();
    if (good) {
        json_object_set_new(out, "lastGood", json_integer((json_int_t)good->seq));
        json_object_set_new(out, "rpoSeconds", json_integer((json_int_t)age_s(l, good)));
        json_object_set_new(out, "rpoSignedSeconds",
                            json_integer((json_int_t)signed_age_s(l, good)));
    }
    for (size_t i = l->log->v.len; i-- > 0;)
        if (is_listed(l, &l->log->v.v[i]))
            json_array_append_new(list, snapshot_doc(l, &l->log->v.v[i]));
    json_object_set_new(out, "snapshots", list);
    return out;
}

static bool list_one(struct snap *s, const char *chain, int64_t now_ms, json_t *docs, bool has_name,
                     struct err *err)
{
    str_set(&s->chain, chain);
    if (!snap_log(s, err))
        return false;
    struct listing l = {.s = s, .log = &s->log, .chain = chain, .now_ms = now_ms};
    if (docs)
        json_array_append_new(docs, chain_doc(&l));
    else
        print_chain(s->c, &l, has_name);
    log_clear(&s->log);
    s->has_log = false;
    return true;
}

static void list_all(struct cli *c, struct snap *s, struct err *err)
{
    struct strv chains = {0};
    int64_t now_ms = 0;
    bool ok = store_now(s->repo.store, &now_ms, err);
    if (ok && s->chain)
        strv_push(&chains, s->chain);
    else
        ok = ok && repo_chains(&s->repo, &chains, err);
    if (ok && chains.len > 1 && c->o.snap.expect_last)
        ok = err_set(err, ERR_USAGE, "--expect-last is of one chain: --chain says of which");
    CLEANUP(json_freep) json_t *doc = wants_doc(c) ? snap_doc("snapshot-list", s) : NULL;
    json_t *docs = doc ? json_array() : NULL;
    for (size_t i = 0; ok && i < chains.len; i++)
        ok = list_one(s, chains.v[i], now_ms, docs, chains.len > 1, err);
    if (doc) {
        json_object_del(doc, "chain");
        json_object_set_new(doc, "chains", docs);
    }
    if (ok && doc)
        print_doc(c, doc);
    else if (ok && !chains.len)
        printf("There are no snapshots yet in %s.\n", s->repo.store->url);
    strv_clear(&chains);
}

int cmd_snapshot_list(struct cli *c, struct err *err)
{
    struct snap s CLEANUP(snap_close) = {0};
    struct snap_want want = {.read = READ_NOTHING};
    if (snap_open(c, &c->o.snap, &want, &s, err))
        list_all(c, &s, err);
    return 0;
}
