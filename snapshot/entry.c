// SPDX-License-Identifier: Apache-2.0
#include "snapshot/entry.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "snapshot/members.h"
#include "snapshot/trust.h"

#define TRUST_MAX 9999
#define WHY_MAX 64
#define TEXT_MAX 1024
#define NAME_MAX_BYTES 256
#define LIST_MAX 16384   // more rows than an entry has room for
#define SWEEP_MAX 100000 // the numbers a log may have

static const char *const kinds[] = {"snapshot", "checkpoint", "verdict"};
static const char *const states[] = {"suspect", "good"};
static const char *const verdicts[] = {"good", "bad", "verified", "drilled"};

const char *entry_kind_name(enum entry_kind k)
{
    return kinds[k];
}

const char *verdict_name(enum verdict v)
{
    return verdicts[v];
}

void entry_clear(struct entry *e)
{
    free(e->chain);
    free(e->tool);
    vec_clear(&e->prev);
    free(e->snapshot.cluster);
    free(e->snapshot.origin);
    strv_clear(&e->snapshot.why);
    free(e->checkpoint.rule);
    vec_clear(&e->checkpoint.keep);
    vec_clear(&e->checkpoint.wait);
    vec_clear(&e->checkpoint.sweep);
    free(e->verdict.why);
    vec_clear(&e->remembered.bad);
    *e = (struct entry){0};
}

// ---- reading ----

static bool read_hash(const json_t *v, struct sha256 *out)
{
    return hex_decode_lower(json_string_value(v), out->b, sizeof(out->b));
}

static bool read_number(const json_t *v, uint64_t max, uint64_t *out)
{
    if (!json_is_integer(v) || json_integer_value(v) < 1 || (uint64_t)json_integer_value(v) > max)
        return false;
    *out = (uint64_t)json_integer_value(v);
    return true;
}

static void read_prev(struct members *m, struct entry *e)
{
    const json_t *prev = member_array(m, "prev", ENTRY_MAX_PREV);
    size_t n = json_array_size(prev);
    if ((n == 0) != (e->seq == 1))
        member_bad(m, "prev", "not the entry before it");
    for (size_t i = 0; !m->is_bad && i < n; i++) {
        struct sha256 *h = vec_push(&e->prev);
        if (!read_hash(json_array_get(prev, i), h) ||
            (i > 0 && memcmp(h[-1].b, h->b, sizeof(h->b)) >= 0))
            member_bad(m, "prev", "not a list of ascending names");
    }
}

static void read_links(struct members *m, struct entry *e)
{
    member_hex(m, "repo", e->repo, sizeof(e->repo));
    e->chain = str_dup(member_text(m, "chain", 63));
    e->seq = member_uint(m, "seq", 1, ENTRY_MAX_SEQ);
    read_prev(m, e);
    e->trust = (unsigned)member_uint(m, "trust", 1, TRUST_MAX);
    int64_t ms = clock_parse_rfc3339_ms(member_text(m, "time", NAME_MAX_BYTES));
    if (ms < 0)
        member_bad(m, "time", "not a time");
    e->time_unix_s = ms / 1000;
    e->tool = str_dup(member_text(m, "tool", NAME_MAX_BYTES));
}

static void read_why(struct members *m, struct snapshot_entry *s)
{
    const json_t *why = member_array(m, "why", WHY_MAX);
    for (size_t i = 0; !m->is_bad && i < json_array_size(why); i++) {
        const char *code = json_string_value(json_array_get(why, i));
        size_t len = code ? strlen(code) : 0;
        if (len == 0 || len > 64 || strspn(code, "abcdefghijklmnopqrstuvwxyz0123456789-") != len)
            member_bad(m, "why", "not a list of codes");
        else
            strv_push(&s->why, code);
    }
}

// Counts of a snapshot: the object and the member that hold them.
static const struct count_row {
    const char *object, *key;
    size_t at;
} count_rows[] = {
    {"counts", "apps", offsetof(struct snapshot_entry, counts.apps)},
    {"counts", "objects", offsetof(struct snapshot_entry, counts.objects)},
    {"counts", "sources", offsetof(struct snapshot_entry, counts.sources)},
    {"counts", "unknown", offsetof(struct snapshot_entry, counts.unknown)},
    {"counts", "secrets", offsetof(struct snapshot_entry, counts.secrets)},
    {"counts", "refs", offsetof(struct snapshot_entry, counts.refs)},
    {"bytes", "content", offsetof(struct snapshot_entry, bytes.content)},
    {"bytes", "stored", offsetof(struct snapshot_entry, bytes.stored)},
    {"bytes", "added", offsetof(struct snapshot_entry, bytes.added)},
    {"check", "reread", offsetof(struct snapshot_entry, check.reread)},
    {"check", "present", offsetof(struct snapshot_entry, check.present)},
};

static void read_counts(struct members *m, struct snapshot_entry *s)
{
    for (size_t i = 0; i < ARRAY_LEN(count_rows); i++) {
        const struct count_row *row = &count_rows[i];
        struct members in = members_of(json_object_get(m->o, row->object), m->err);
        in.is_bad = m->is_bad;
        uint64_t n = member_uint(&in, row->key, 0, MEMBER_MAX_UINT);
        memcpy((char *)s + row->at, &n, sizeof(n));
        if (in.is_bad && !m->is_bad)
            err_wrap(m->err, "%s", row->object);
        m->is_bad = in.is_bad;
    }
}

static void read_snapshot(struct members *m, struct snapshot_entry *s)
{
    s->epoch = (unsigned)member_uint(m, "epoch", 1, EPOCH_MAX);
    s->cluster = str_dup_or_null(member_text_or_null(m, "cluster", NAME_MAX_BYTES));
    s->is_good = member_choice(m, "state", states, ARRAY_LEN(states));
    read_why(m, s);
    read_counts(m, s);
    member_hex(m, "root", s->root.b, sizeof(s->root.b));
    member_hex(m, "objects", s->objects.b, sizeof(s->objects.b));
    s->has_git = member_hex_or_null(m, "git", s->git.b, sizeof(s->git.b));
    s->origin = str_dup_or_null(member_text_or_null(m, "origin", NAME_MAX_BYTES));
    s->has_export = member_hex_or_null(m, "export", s->export.b, sizeof(s->export.b));
    const char *taken = member_text_or_null(m, "taken", NAME_MAX_BYTES);
    int64_t taken_ms = taken ? clock_parse_rfc3339_ms(taken) : 0;
    if (taken_ms < 0)
        member_bad(m, "taken", "not a time");
    s->taken_unix_s = taken_ms / 1000;
    if (!m->is_bad && s->is_good && s->why.len)
        member_bad(m, "state", "good, but for reasons");
}

static int seq_hash_cmp(const struct seq_hash *a, const struct seq_hash *b)
{
    if (a->seq != b->seq)
        return a->seq < b->seq ? -1 : 1;
    return memcmp(a->hash.b, b->hash.b, sizeof(a->hash.b));
}

// [seq, hash], in wait [seq, hash, since].
static bool read_pair(const json_t *row, uint64_t below, bool has_since, struct seq_hash *p)
{
    return json_array_size(row) == (has_since ? 3 : 2) &&
           read_number(json_array_get(row, 0), below - 1, &p->seq) &&
           read_hash(json_array_get(row, 1), &p->hash) &&
           (!has_since ||
            (read_number(json_array_get(row, 2), below, &p->since) && p->since > p->seq));
}

static void read_pairs(struct members *m, const char *key, uint64_t below, bool has_since,
                       size_t max, struct seq_hashes *out)
{
    const json_t *rows = member_array(m, key, max);
    for (size_t i = 0; !m->is_bad && i < json_array_size(rows); i++) {
        struct seq_hash *p = vec_push(out);
        if (!read_pair(json_array_get(rows, i), below, has_since, p))
            member_bad(m, key, "not a list of entries below it");
        else if (i > 0 && seq_hash_cmp(p - 1, p) >= 0)
            member_bad(m, key, "out of order");
    }
}

static void read_lost(struct members *m, uint64_t seq, uint64_t *out)
{
    const json_t *lost = json_object_get(m->o, "lost");
    if (!m->is_bad && lost && !read_number(lost, seq - 1, out))
        member_bad(m, "lost", "not a number below it");
}

static void read_remembered(struct members *m, uint64_t seq, struct remembered *r)
{
    r->has_bad = json_object_get(m->o, "bad");
    if (r->has_bad)
        read_pairs(m, "bad", seq, true, ENTRY_MAX_BAD, &r->bad);
    read_lost(m, seq, &r->lost);
}

// Nothing is kept and waits; both lists are in order.
static bool are_apart(const struct checkpoint_entry *c)
{
    for (size_t i = 0, k = 0; i < c->keep.len && k < c->wait.len;) {
        int cmp = seq_hash_cmp(&c->keep.v[i], &c->wait.v[k]);
        if (cmp == 0)
            return false;
        i += cmp < 0;
        k += cmp > 0;
    }
    return true;
}

static void read_checkpoint(struct members *m, uint64_t seq, struct checkpoint_entry *c)
{
    read_pairs(m, "keep", seq, false, LIST_MAX, &c->keep);
    read_pairs(m, "wait", seq, true, LIST_MAX, &c->wait);
    const json_t *sweep = member_array(m, "sweep", SWEEP_MAX);
    for (size_t i = 0; !m->is_bad && i < json_array_size(sweep); i++) {
        uint64_t *n = vec_push(&c->sweep);
        if (!read_number(json_array_get(sweep, i), seq - 1, n) || (i > 0 && n[-1] >= *n))
            member_bad(m, "sweep", "not a list of ascending numbers below it");
    }
    read_lost(m, seq, &c->lost);
    c->rule = str_dup(member_text(m, "rule", TEXT_MAX));
    if (!m->is_bad && !are_apart(c))
        member_bad(m, "wait", "also in keep");
}

static void read_verdict(struct members *m, uint64_t seq, struct verdict_entry *v)
{
    if (!read_pair(json_object_get(m->o, "of"), seq, false, &v->of))
        member_bad(m, "of", "not an entry below it");
    v->verdict = (enum verdict)member_choice(m, "verdict", verdicts, ARRAY_LEN(verdicts));
    v->why = str_dup_or_null(member_text_or_null(m, "why", TEXT_MAX));
    v->has_report = member_hex_or_null(m, "report", v->report.b, sizeof(v->report.b));
}

bool entry_split(const void *p, size_t len, enum entry_kind *kind, struct signed_line *out,
                 struct err *err)
{
    static const char begins[] = "{\"type\":\"regrow ";
    *kind = ENTRY_SNAPSHOT;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        size_t end = strlen(begins) + strlen(kinds[i]);
        if (len > end && !memcmp((const char *)p + strlen(begins), kinds[i], strlen(kinds[i])))
            *kind = (enum entry_kind)i;
    }
    return signed_split(p, len, ENTRY_MAX_BYTES, kinds[*kind], out, err);
}

bool entry_parse(enum entry_kind kind, const json_t *body, struct entry *out, struct err *err)
{
    struct members m = members_of(body, err);
    out->kind = kind;
    read_links(&m, out);
    if (!m.is_bad)
        switch (out->kind) {
        case ENTRY_SNAPSHOT:
            read_snapshot(&m, &out->snapshot);
            read_remembered(&m, out->seq, &out->remembered);
            break;
        case ENTRY_CHECKPOINT:
            read_checkpoint(&m, out->seq, &out->checkpoint);
            break;
        case ENTRY_VERDICT:
            read_verdict(&m, out->seq, &out->verdict);
            read_remembered(&m, out->seq, &out->remembered);
            break;
        }
    if (m.is_bad)
        entry_clear(out);
    return !m.is_bad;
}

// ---- writing ----

static json_t *hex_json(const void *p, size_t len)
{
    CLEANUP(str_freep) char *hex = hex_encode(p, len);
    return json_string(hex);
}

static json_t *hash_json(const struct sha256 *h)
{
    return hex_json(h->b, sizeof(h->b));
}

static json_t *number_json(uint64_t n)
{
    return json_integer((json_int_t)n);
}

static json_t *text_json(const char *s)
{
    return s ? json_string(s) : json_null();
}

static json_t *pair_json(const struct seq_hash *p, bool has_since)
{
    json_t *row = json_array();
    json_array_append_new(row, number_json(p->seq));
    json_array_append_new(row, hash_json(&p->hash));
    if (has_since)
        json_array_append_new(row, number_json(p->since));
    return row;
}

static void set_counts(json_t *o, const struct snapshot_entry *s)
{
    for (size_t i = 0; i < ARRAY_LEN(count_rows); i++) {
        const struct count_row *row = &count_rows[i];
        uint64_t n;
        memcpy(&n, (const char *)s + row->at, sizeof(n));
        if (!json_object_get(o, row->object))
            json_object_set_new(o, row->object, json_object());
        json_object_set_new(json_object_get(o, row->object), row->key, number_json(n));
    }
}

static void set_snapshot(json_t *o, const struct snapshot_entry *s)
{
    json_t *why = json_array();
    for (size_t i = 0; i < s->why.len; i++)
        json_array_append_new(why, json_string(s->why.v[i]));
    json_object_set_new(o, "epoch", number_json(s->epoch));
    json_object_set_new(o, "cluster", text_json(s->cluster));
    json_object_set_new(o, "state", json_string(states[s->is_good]));
    json_object_set_new(o, "why", why);
    set_counts(o, s);
    json_object_set_new(o, "root", hex_json(s->root.b, sizeof(s->root.b)));
    json_object_set_new(o, "objects", hash_json(&s->objects));
    json_object_set_new(o, "git", s->has_git ? hash_json(&s->git) : json_null());
    if (s->origin)
        json_object_set_new(o, "origin", json_string(s->origin));
    if (s->has_export)
        json_object_set_new(o, "export", hash_json(&s->export));
    CLEANUP(str_freep) char *taken = s->taken_unix_s ? clock_rfc3339(s->taken_unix_s) : NULL;
    if (taken)
        json_object_set_new(o, "taken", json_string(taken));
}

static json_t *pairs_json(const struct seq_hashes *rows, bool has_since)
{
    json_t *v = json_array();
    for (size_t i = 0; i < rows->len; i++)
        json_array_append_new(v, pair_json(&rows->v[i], has_since));
    return v;
}

static void set_lost(json_t *o, uint64_t lost)
{
    if (lost)
        json_object_set_new(o, "lost", number_json(lost));
}

static void set_remembered(json_t *o, const struct remembered *r)
{
    if (r->has_bad)
        json_object_set_new(o, "bad", pairs_json(&r->bad, true));
    set_lost(o, r->lost);
}

static void set_checkpoint(json_t *o, const struct checkpoint_entry *c)
{
    json_t *sweep = json_array();
    for (size_t i = 0; i < c->sweep.len; i++)
        json_array_append_new(sweep, number_json(c->sweep.v[i]));
    json_object_set_new(o, "keep", pairs_json(&c->keep, false));
    json_object_set_new(o, "wait", pairs_json(&c->wait, true));
    json_object_set_new(o, "sweep", sweep);
    set_lost(o, c->lost);
    json_object_set_new(o, "rule", text_json(c->rule));
}

static void set_verdict(json_t *o, const struct verdict_entry *v)
{
    json_object_set_new(o, "of", pair_json(&v->of, false));
    json_object_set_new(o, "verdict", json_string(verdicts[v->verdict]));
    json_object_set_new(o, "why", text_json(v->why));
    json_object_set_new(o, "report", v->has_report ? hash_json(&v->report) : json_null());
}

static json_t *entry_json(const struct entry *e)
{
    json_t *o = json_object();
    json_t *prev = json_array();
    CLEANUP(str_freep) char *time = clock_rfc3339(e->time_unix_s);
    for (size_t i = 0; i < e->prev.len; i++)
        json_array_append_new(prev, hash_json(&e->prev.v[i]));
    json_object_set_new(o, "repo", hex_json(e->repo, sizeof(e->repo)));
    json_object_set_new(o, "chain", text_json(e->chain));
    json_object_set_new(o, "seq", number_json(e->seq));
    json_object_set_new(o, "prev", prev);
    json_object_set_new(o, "trust", number_json(e->trust));
    json_object_set_new(o, "time", json_string(time));
    json_object_set_new(o, "tool", text_json(e->tool));
    switch (e->kind) {
    case ENTRY_SNAPSHOT:
        set_snapshot(o, &e->snapshot);
        set_remembered(o, &e->remembered);
        break;
    case ENTRY_CHECKPOINT:
        set_checkpoint(o, &e->checkpoint);
        break;
    case ENTRY_VERDICT:
        set_verdict(o, &e->verdict);
        set_remembered(o, &e->remembered);
        break;
    }
    return o;
}

bool entry_write(const struct entry *e, const struct signer *s, struct buf *out,
                 struct sha256 *hash, struct err *err)
{
    json_t *body = entry_json(e);
    struct entry again CLEANUP(entry_clear) = {0};
    size_t from = out->len;
    bool ok = entry_parse(e->kind, body, &again, err);
    if (ok)
        signed_write(kinds[e->kind], body, s, 1, out);
    json_decref(body);
    if (ok && out->len - from > ENTRY_MAX_BYTES)
        ok = err_set(err, ERR_INVALID, "%zu bytes, more than %u", out->len - from, ENTRY_MAX_BYTES);
    if (!ok) {
        err->kind = ERR_INVALID; // nobody's bytes yet
        out->len = from;
        return err_wrap(err, "entry");
    }
    *hash = sha256_of(out->p + from, out->len - from);
    return true;
}

int64_t entry_taken_s(const struct entry *e)
{
    int64_t of_original = e->kind == ENTRY_SNAPSHOT ? e->snapshot.taken_unix_s : 0;
    return of_original ? of_original : e->time_unix_s;
}

int seq_hash_order(const void *a, const void *b)
{
    const struct seq_hash *x = a;
    const struct seq_hash *y = b;
    if (x->seq != y->seq)
        return x->seq < y->seq ? -1 : 1;
    return memcmp(x->hash.b, y->hash.b, sizeof(x->hash.b));
}
