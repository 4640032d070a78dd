// SPDX-License-Identifier: Apache-2.0
//
// Which snapshots stay (docs/repository-format.md section 10, P2). Pure: the same log, rules and
// time always give the same decisions.
#include <stdlib.h>
#include <time.h>

#include "snapshot/prune.h"

#define DAY_MS (24 * 3600 * 1000LL)

struct keep_rules keep_rules_default(void)
{
    return (struct keep_rules){.within_ms = 7 * DAY_MS, .min_good = 10, .suspect_ms = 30 * DAY_MS};
}

struct candidate {
    const struct entry *e;
    enum goodness goodness;
    bool in_doubt;
    int64_t at_ms;
    const char *why; // first reason to keep; NULL: none yet
};
struct candidates {
    VEC(struct candidate) v; // oldest first
};

// A store that tells no time leaves only the signer's word.
static int64_t stored_at(const struct entry *e)
{
    return e->stored_at_ms ? e->stored_at_ms : e->time_unix_s * 1000;
}

static int by_age(const void *a, const void *b)
{
    const struct candidate *x = a;
    const struct candidate *y = b;
    if (x->e->seq != y->e->seq)
        return x->e->seq < y->e->seq ? -1 : 1;
    return memcmp(x->e->hash.b, y->e->hash.b, sizeof(x->e->hash.b));
}

static void keep(struct candidate *c, const char *why)
{
    if (!c->why)
        c->why = why;
}

// The newest that is at least as good.
static void keep_newest(struct candidates *c, enum goodness at_least, const char *why)
{
    for (size_t i = c->v.len; i-- > 0;) {
        if (c->v.v[i].goodness < at_least)
            continue;
        keep(&c->v.v[i], why);
        return;
    }
}

static void keep_last_good(struct candidates *c, unsigned n, const char *why)
{
    for (size_t i = c->v.len; i-- > 0 && n;) {
        if (c->v.v[i].goodness < SNAP_GOOD)
            continue;
        keep(&c->v.v[i], why);
        n--;
    }
}

// The period a time falls into, in UTC; weeks begin on Monday (1970-01-01 was a Thursday).
static int64_t period_of(int64_t at_ms, char unit)
{
    time_t s = (time_t)(at_ms / 1000);
    struct tm tm;
    gmtime_r(&s, &tm);
    switch (unit) {
    case 'h':
        return s / 3600;
    case 'd':
        return s / 86400;
    case 'w':
        return (s / 86400 + 3) / 7;
    case 'm':
        return (int64_t)tm.tm_year * 12 + tm.tm_mon;
    default:
        return tm.tm_year;
    }
}

// The newest good one of each of the last n periods that have one.
static void keep_periods(struct candidates *c, unsigned n, char unit, const char *why)
{
    bool has_last = false;
    int64_t last = 0;
    for (size_t i = c->v.len; i-- > 0 && n;) {
        int64_t p = period_of(c->v.v[i].at_ms, unit);
        if (c->v.v[i].goodness < SNAP_GOOD || (has_last && p == last))
            continue;
        keep(&c->v.v[i], why);
        has_last = true;
        last = p;
        n--;
    }
}

static void keep_young(struct candidates *c, int64_t now, int64_t within, bool is_suspect,
                       const char *why)
{
    for (size_t i = 0; i < c->v.len; i++) {
        bool counts = is_suspect == (c->v.v[i].goodness < SNAP_GOOD);
        if (counts && c->v.v[i].at_ms > now - within)
            keep(&c->v.v[i], why);
    }
}

static void collect(const struct log *l, struct candidates *c)
{
    for (size_t i = 0; i < l->v.len; i++) {
        const struct entry *e = &l->v.v[i];
        if (e->kind != ENTRY_SNAPSHOT || log_standing(l, e) != STANDING_LIVE)
            continue;
        *vec_push(&c->v) = (struct candidate){.e = e,
                                              .goodness = log_goodness(l, e),
                                              .in_doubt = log_is_in_doubt(l, e),
                                              .at_ms = stored_at(e)};
    }
    if (c->v.len)
        qsort(c->v.v, c->v.len, sizeof(*c->v.v), by_age);
}

void keep_choose(const struct log *l, const struct keep_rules *r, int64_t now_unix_ms,
                 struct keep_decisions *out)
{
    struct candidates c = {0};
    collect(l, &c);
    // What is always kept, whatever the rules say.
    if (c.v.len)
        keep(&c.v.v[c.v.len - 1], "the newest");
    keep_newest(&c, SNAP_GOOD, "the newest good one");
    keep_newest(&c, SNAP_VERIFIED, "the newest verified one");
    keep_newest(&c, SNAP_DRILLED, "the newest drilled one");
    keep_last_good(&c, r->min_good, "the minimum of good ones");
    // Good perhaps, and no rule counts it: it stays until somebody has looked.
    for (size_t i = 0; i < c.v.len; i++)
        if (c.v.v[i].in_doubt)
            keep(&c.v.v[i], "not judged again yet");
    keep_young(&c, now_unix_ms, r->within_ms, false, "young");
    keep_young(&c, now_unix_ms, r->within_ms, true, "young");
    keep_young(&c, now_unix_ms, r->suspect_ms, true, "suspect, and not old");
    // The rules, which only good ones meet.
    keep_last_good(&c, r->last, "last");
    keep_periods(&c, r->hourly, 'h', "hourly");
    keep_periods(&c, r->daily, 'd', "daily");
    keep_periods(&c, r->weekly, 'w', "weekly");
    keep_periods(&c, r->monthly, 'm', "monthly");
    keep_periods(&c, r->yearly, 'y', "yearly");
    for (size_t i = 0; i < c.v.len; i++)
        *vec_push(&out->v) = (struct keep_decision){.seq = c.v.v[i].e->seq,
                                                    .hash = c.v.v[i].e->hash,
                                                    .keep = c.v.v[i].why != NULL,
                                                    .why = c.v.v[i].why ? c.v.v[i].why : ""};
    vec_clear(&c.v);
}
