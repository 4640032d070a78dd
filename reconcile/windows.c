// SPDX-License-Identifier: Apache-2.0
#include "reconcile/windows.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/zone.h"

#define MAX_SCHEDULE 500
#define DAY_S 86400
#define HORIZON_DAYS (5 * 366) // robfig/cron looks no further
#define MAX_LOOKS 200          // at moments when the answer may change
#define MAX_DURATION_S (366LL * DAY_S)

void window_verdict_clear(struct window_verdict *v)
{
    str_freep(&v->why);
    str_freep(&v->warning);
    *v = (struct window_verdict){0};
}

// ---- cron ----
static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
                                          "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const day_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};

static const struct field {
    const char *name;
    int min, max;
    const char *const *names; // the first one stands for min
} fields[] = {
    {"minute", 0, 59, NULL},
    {"hour", 0, 23, NULL},
    {"day of the month", 1, 31, NULL},
    {"month", 1, 12, month_names},
    {"day of the week", 0, 6, day_names},
};

static bool read_value(const struct field *f, const char *s, size_t n, int *out)
{
    long long v;
    CLEANUP(str_freep) char *text = str_ndup(s, n);
    for (int i = 0; f->names && f->names[i]; i++) {
        if (!strcasecmp(text, f->names[i])) {
            *out = f->min + i;
            return true;
        }
    }
    if (!isdigit((unsigned char)*text) || !str_to_int(text, 0, 1000, &v))
        return false;
    *out = (int)v;
    return true;
}

// One of a list: "*", "5", "1-5", each with "/step". *any: it is a plain star.
static bool read_range(const struct field *f, const char *s, size_t n, uint64_t *bits, bool *any,
                       struct err *err)
{
    const char *slash = memchr(s, '/', n);
    size_t head = slash ? (size_t)(slash - s) : n;
    const char *dash = memchr(s, '-', head);
    long long step = 1;
    int low = f->min;
    int high = f->max;
    bool star = head == 1 && (*s == '*' || *s == '?');
    CLEANUP(str_freep) char *text = str_ndup(s, n);
    CLEANUP(str_freep) char *after = slash ? str_ndup(slash + 1, n - head - 1) : NULL;
    bool ok = star || read_value(f, s, dash ? (size_t)(dash - s) : head, &low);
    if (ok && dash)
        ok = read_value(f, dash + 1, head - (size_t)(dash - s) - 1, &high);
    else if (ok && !star && !slash)
        high = low;
    if (ok && after)
        ok = isdigit((unsigned char)*after) && str_to_int(after, 1, 1000, &step);
    if (!ok || low < f->min || high > f->max || low > high)
        return err_set(err, ERR_INVALID, "%s: \"%s\" is none", f->name, text);
    for (int v = low; v <= high; v += (int)step)
        *bits |= 1ULL << v;
    *any |= star && step == 1;
    return true;
}

static bool read_field(const struct field *f, const char *s, size_t n, uint64_t *bits, bool *any,
                       struct err *err)
{
    bool found = false;
    for (size_t i = 0; i < n;) {
        const char *comma = memchr(s + i, ',', n - i);
        size_t len = comma ? (size_t)(comma - s) - i : n - i;
        // As robfig/cron, which takes fields apart at commas and passes empty ones over.
        if (len && !read_range(f, s + i, len, bits, any, err))
            return false;
        found |= len > 0;
        i += len + 1;
    }
    return found || err_set(err, ERR_INVALID, "%s: nothing is named", f->name);
}

bool cron_read(const char *text, struct cron *out, struct err *err)
{
    struct cron c = {0};
    bool unused = false;
    uint64_t *const bits[] = {&c.minutes, &c.hours, &c.days, &c.months, &c.weekdays};
    bool *const any[] = {&unused, &unused, &c.any_day, &unused, &c.any_weekday};
    const char *blanks = " \t\r\n\v\f";
    const char *s = text + strspn(text, blanks);
    if (strlen(text) > MAX_SCHEDULE)
        return err_set(err, ERR_INVALID, "a schedule of more than %d characters", MAX_SCHEDULE);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        size_t n = strcspn(s, blanks);
        if (!n)
            return err_set(err, ERR_INVALID, "%zu fields where there should be five", i);
        if (!read_field(&fields[i], s, n, bits[i], any[i], err))
            return false;
        s += n + strspn(s + n, blanks);
    }
    if (*s)
        return err_set(err, ERR_INVALID, "more than five fields");
    *out = c;
    return true;
}

struct date {
    int month, day, weekday;
};

static struct date date_of(int64_t days)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    return (struct date){
        .month = (int)(mp < 10 ? mp + 3 : mp - 9),
        .day = (int)(doy - (153 * mp + 2) / 5 + 1),
        .weekday = (int)((days % 7 + 7 + 4) % 7), // 1970-01-01 was a Thursday
    };
}

static bool has_bit(uint64_t bits, int i)
{
    return bits >> i & 1;
}

// Where both kinds of day are told, either will do.
static bool is_day(const struct cron *c, const struct date *d)
{
    bool day = has_bit(c->days, d->day);
    bool weekday = has_bit(c->weekdays, d->weekday);
    if (!has_bit(c->months, d->month))
        return false;
    return c->any_day || c->any_weekday ? day && weekday : day || weekday;
}

int64_t cron_next(const struct cron *c, int64_t after)
{
    int64_t from = (after - ((after % 60) + 60) % 60) / 60 + 1; // minutes
    int64_t today = (from - ((from % 1440) + 1440) % 1440) / 1440;
    int first = (int)(from - today * 1440);
    for (int64_t day = today; day <= today + HORIZON_DAYS; day++, first = 0) {
        struct date d = date_of(day);
        if (!is_day(c, &d))
            continue;
        for (int m = first; m < 1440; m++)
            if (has_bit(c->hours, m / 60) && has_bit(c->minutes, m % 60))
                return (day * 1440 + m) * 60;
    }
    return 0;
}

// ---- windows ----
struct window {
    const json_t *json;
    struct cron cron;
    int64_t duration_s;
    int offset_s; // of its zone, now
    bool is_deny, has_manual, has_overrun, is_zone_unknown;
};
typedef VEC(struct window) window_list;

static bool matches(const json_t *list, const char *text)
{
    size_t i;
    json_t *v;
    json_array_foreach(list, i, v)
    {
        if (text && json_is_string(v) && glob_match(GLOB_GOBWAS, json_string_value(v), text))
            return true;
    }
    return false;
}

static bool is_for(const json_t *w, const struct application *a)
{
    const json_t *clusters = json_object_get(w, "clusters");
    const struct {
        const char *key;
        bool yes;
    } tests[] = {
        {"applications", matches(json_object_get(w, "applications"), a->name)},
        {"namespaces", matches(json_object_get(w, "namespaces"), a->dest_namespace)},
        {"clusters", matches(clusters, a->dest_server) || matches(clusters, a->dest_name)},
    };
    bool all = json_dot_bool(w, "andOperator", false);
    bool any_list = false;
    for (size_t i = 0; i < ARRAY_LEN(tests); i++) {
        if (!json_array_size(json_object_get(w, tests[i].key)))
            continue;
        any_list = true;
        if (tests[i].yes != all)
            return tests[i].yes;
    }
    return all && any_list;
}

// What Go reads, and that is no bare number.
static bool read_duration(const char *s, int64_t *out_s)
{
    long long bare;
    int64_t ms = 0;
    if (str_to_int(s, INT64_MIN, INT64_MAX, &bare) || !str_to_duration_ms(s, &ms))
        return false;
    *out_s = ms / 1000;
    return *out_s > 0 && *out_s <= MAX_DURATION_S;
}

static bool read_window(const json_t *w, int64_t now, struct window *out, struct err *err)
{
    const char *schedule = json_dot_text(w, "schedule");
    const char *duration = json_dot_text(w, "duration");
    const char *kind = json_dot_text(w, "kind");
    struct err zone = {0};
    *out = (struct window){
        .json = w,
        .is_deny = !strcmp(kind, "deny"),
        .has_manual = json_dot_bool(w, "manualSync", false),
        .has_overrun = json_dot_bool(w, "syncOverrun", false),
    };
    if (!out->is_deny && strcmp(kind, "allow") != 0)
        return err_set(err, ERR_INVALID, "kind \"%.50s\" is neither allow nor deny", kind);
    if (!cron_read(schedule, &out->cron, err))
        return err_wrap(err, "schedule \"%.100s\"", schedule);
    if (!read_duration(duration, &out->duration_s))
        return err_set(err, ERR_INVALID, "\"%.50s\" is no duration such as 1h30m", duration);
    // As Argo CD takes a zone it does not know: for UTC.
    out->is_zone_unknown = !zone_offset(json_dot_text(w, "timeZone"), now, &out->offset_s, &zone);
    if (out->is_zone_unknown)
        out->offset_s = 0;
    err_clear(&zone);
    if (!cron_next(&out->cron, now + out->offset_s - out->duration_s))
        return err_set(err, ERR_INVALID, "schedule \"%.100s\" never comes", schedule);
    return true;
}

// The next moment after now - duration at which it begins, in UTC.
static int64_t begins(const struct window *w, int64_t now)
{
    return cron_next(&w->cron, now + w->offset_s - w->duration_s) - w->offset_s;
}

static bool is_active(const struct window *w, int64_t now)
{
    return begins(w, now) < now;
}

// When it may be another than it is.
static int64_t changes(const struct window *w, int64_t now)
{
    int64_t at = begins(w, now);
    return at < now ? at + w->duration_s : at + 1;
}

// ---- the decision ----
struct tally {
    size_t denies, allows, closed; // active ones, and allows that are not
    bool deny_manual, deny_overrun, closed_manual, closed_overrun; // all of those
    const struct window *deny, *allow, *shut;                      // the first of each
};

static struct tally count(const window_list *list, int64_t now)
{
    struct tally t = {
        .deny_manual = true, .deny_overrun = true, .closed_manual = true, .closed_overrun = true};
    for (size_t i = 0; i < list->len; i++) {
        const struct window *w = &list->v[i];
        bool active = is_active(w, now);
        if (active && w->is_deny) {
            t.denies++;
            t.deny_manual &= w->has_manual;
            t.deny_overrun &= w->has_overrun;
            t.deny = t.deny ? t.deny : w;
        } else if (active) {
            t.allows++;
            t.allow = t.allow ? t.allow : w;
        } else if (!w->is_deny) {
            t.closed++;
            t.closed_manual &= w->has_manual;
            t.closed_overrun &= w->has_overrun;
            t.shut = t.shut ? t.shut : w;
        }
    }
    return t;
}

static bool decide(const struct tally *t, bool is_manual, bool is_running)
{
    if (t->denies)
        return (is_manual && t->deny_manual) || (is_running && t->deny_overrun);
    if (t->allows || !t->closed)
        return true;
    return (is_manual && t->closed_manual) || (is_running && t->closed_overrun);
}

// "a deny window (0 22 * * * for 8h, Europe/Berlin)"
static char *window_text(const struct window *w)
{
    const char *zone = json_dot_text(w->json, "timeZone");
    const char *about = json_dot_text(w->json, "description");
    return str_printf("%s window (%s for %s%s%s%s%.100s)", w->is_deny ? "a deny" : "an allow",
                      json_dot_text(w->json, "schedule"), json_dot_text(w->json, "duration"),
                      *zone ? ", " : "", zone, *about ? ": " : "", about);
}

static char *reason(const struct tally *t, bool is_permitted)
{
    const struct window *w = t->denies ? t->deny : t->allows ? t->allow : t->shut;
    if (!w)
        return str_dup("");
    CLEANUP(str_freep) char *text = window_text(w);
    if (is_permitted)
        return str_printf("%s %s", text,
                          w == t->allow  ? "is open"
                          : w == t->deny ? "is open, and has an exception for this"
                                         : "is not open, and has an exception for this");
    return str_printf("%s %s", text, t->denies ? "is open" : "is not open");
}

// The answer is looked at wherever a window may open or close, until it is another.
static int64_t next_change(const window_list *list, int64_t now, bool is_manual, bool is_running)
{
    struct tally t = count(list, now);
    bool is = decide(&t, is_manual, is_running);
    int64_t at = now;
    for (int looks = 0; looks < MAX_LOOKS; looks++) {
        int64_t next = INT64_MAX;
        for (size_t i = 0; i < list->len; i++) {
            int64_t c = changes(&list->v[i], at);
            next = c > at && c < next ? c : next;
        }
        if (next == INT64_MAX)
            return 0;
        at = next;
        t = count(list, at);
        if (decide(&t, is_manual, is_running) != is)
            return at;
    }
    return at;
}

static bool read_windows(const json_t *project, const struct application *a, int64_t now,
                         window_list *list, struct err *err)
{
    size_t i;
    json_t *w;
    json_array_foreach(json_dot(project, "spec.syncWindows"), i, w)
    {
        if (is_for(w, a) && !read_window(w, now, vec_push(list), err))
            return err_wrap(err, "sync window %zu of project %s", i + 1, a->project);
    }
    return true;
}

// The first that names a zone which the system does not know; owned, or NULL.
static char *zone_warning(const window_list *list, const struct application *a)
{
    for (size_t i = 0; i < list->len; i++)
        if (list->v[i].is_zone_unknown)
            return str_printf(
                "a sync window of project %s (%.100s) names time zone \"%.60s\", which "
                "is not known here: it counts in UTC",
                a->project, json_dot_text(list->v[i].json, "schedule"),
                json_dot_text(list->v[i].json, "timeZone"));
    return NULL;
}

void windows_permit(const json_t *project, const struct application *app, int64_t now_unix_s,
                    bool is_manual, bool is_running, struct window_verdict *out)
{
    window_list list = {0};
    struct err err = {0};
    *out = (struct window_verdict){0};
    if (!read_windows(project, app, now_unix_s, &list, &err)) {
        out->is_error = true;
        out->why = TAKE(err.msg);
    } else {
        struct tally t = count(&list, now_unix_s);
        out->warning = zone_warning(&list, app);
        out->is_permitted = decide(&t, is_manual, is_running);
        out->why = reason(&t, out->is_permitted);
        out->next_change_unix_s = next_change(&list, now_unix_s, is_manual, is_running);
    }
    err_clear(&err);
    vec_clear(&list);
}
