// SPDX-License-Identifier: Apache-2.0
#include "tests/test.h"

#include <unistd.h>

#include "base/clock.h"
#include "reconcile/windows.h"

static int64_t at(const char *text)
{
    return clock_parse_rfc3339_ms(text) / 1000;
}

static void cron_times(void **s)
{
    (void)s;
    static const struct {
        const char *cron, *after, *next; // next NULL: never
    } cases[] = {
        {"* * * * *", "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"},
        {"* * * * *", "2026-01-01T00:00:59Z", "2026-01-01T00:01:00Z"},
        {"0 22 * * *", "2026-01-01T21:59:59Z", "2026-01-01T22:00:00Z"},
        {"0 22 * * *", "2026-01-01T22:00:00Z", "2026-01-02T22:00:00Z"},
        {"*/15 9-17 * * mon-fri", "2026-11-27T17:45:00Z", "2026-11-30T09:00:00Z"}, // Friday
        {"5/20 * * * *", "2026-01-01T00:26:00Z", "2026-01-01T00:45:00Z"},
        {"0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"},
        {"0 0 30 feb *", "2026-01-01T00:00:00Z", NULL},
        {"0 0 1 JAN,Jul ?", "2026-01-01T00:00:00Z", "2026-07-01T00:00:00Z"},
        // Both kinds of day are told: either will do; with a star the other decides.
        {"0 0 13 * 5", "2026-11-14T00:00:00Z", "2026-11-20T00:00:00Z"},
        {"0 0 13 * *", "2026-11-14T00:00:00Z", "2026-12-13T00:00:00Z"},
        {"0 0 * * 5", "2026-11-14T00:00:00Z", "2026-11-20T00:00:00Z"},
        // A star with a step is no star: the 1st, 3rd, ... or a Monday.
        {"0 0 */2 * 1", "2026-11-15T00:00:00Z", "2026-11-16T00:00:00Z"},
        {"0 0 */1 * 1", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"},
        {"59 23 31 12 *", "2026-12-31T23:59:00Z", "2027-12-31T23:59:00Z"},
        {"  0\t0   1 1 *  ", "2026-06-01T00:00:00Z", "2027-01-01T00:00:00Z"},
        {"0,,30 * * * *", "2026-01-01T00:00:00Z", "2026-01-01T00:30:00Z"},
        {"0 0 * * 0", "1969-12-30T00:00:00Z", "1970-01-04T00:00:00Z"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct cron c;
        struct err err = {0};
        if (!cron_read(cases[i].cron, &c, &err))
            fail_msg("%s: %s", cases[i].cron, err.msg);
        int64_t next = cron_next(&c, at(cases[i].after));
        CLEANUP(str_freep) char *text = clock_rfc3339(next);
        if (next != (cases[i].next ? at(cases[i].next) : 0))
            fail_msg("%s after %s: %s", cases[i].cron, cases[i].after, text);
    }
}

static void no_cron(void **s)
{
    (void)s;
    static const char *const cases[] = {"",
                                        "* * * *",
                                        "* * * * * *",
                                        "@daily",
                                        "60 * * * *",
                                        "* 24 * * *",
                                        "* * 0 * *",
                                        "* * 32 * *",
                                        "* * * 13 *",
                                        "* * * * 7",
                                        "5-1 * * * *",
                                        "1-2-3 * * * *",
                                        "*/0 * * * *",
                                        "1/2/3 * * * *",
                                        "-1 * * * *",
                                        "+1 * * * *",
                                        "a * * * *",
                                        "* * * mon *",
                                        ", * * * *",
                                        "*/ * * * *",
                                        "/5 * * * *",
                                        "1- * * * *",
                                        "** * * * *",
                                        "*-5 * * * *",
                                        "CRON_TZ=UTC * * * * *",
                                        "99999999999999999999 * * * *"};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct cron c;
        struct err err = {0};
        if (cron_read(cases[i], &c, &err))
            fail_msg("%s", cases[i]);
        assert_int_equal(err.kind, ERR_INVALID);
        err_clear(&err);
    }
}

static struct window_verdict ask(const char *windows, const char *when, bool manual, bool running)
{
    CLEANUP(str_freep) char *text = str_printf("{spec: {syncWindows: %s}}", windows);
    CLEANUP(json_freep) json_t *project = doc_of(text);
    struct application a = {.name = (char *)"web-prod",
                            .project = (char *)"shop",
                            .dest_namespace = (char *)"web",
                            .dest_server = (char *)"https://kubernetes.default.svc"};
    struct window_verdict v;
    windows_permit(project, &a, at(when), manual, running, &v);
    return v;
}

#define NIGHT "schedule: '0 22 * * *', duration: 8h, applications: ['*']"

static void decisions(void **s)
{
    (void)s;
    static const struct {
        const char *windows, *when;
        bool manual, running, permitted;
    } cases[] = {
        {"[]", "2026-01-01T12:00:00Z", false, false, true},
        // An allow window: inside, outside, by hand, while it was under way.
        {"[{kind: allow, " NIGHT "}]", "2026-01-01T23:00:00Z", false, false, true},
        {"[{kind: allow, " NIGHT "}]", "2026-01-02T05:59:59Z", false, false, true},
        {"[{kind: allow, " NIGHT "}]", "2026-01-02T06:00:00Z", false, false, false},
        {"[{kind: allow, " NIGHT "}]", "2026-01-01T22:00:00Z", false, false, false},
        {"[{kind: allow, " NIGHT "}]", "2026-01-01T22:00:01Z", false, false, true},
        {"[{kind: allow, " NIGHT "}]", "2026-01-02T12:00:00Z", true, false, false},
        {"[{kind: allow, manualSync: true, " NIGHT "}]", "2026-01-02T12:00:00Z", true, false, true},
        {"[{kind: allow, manualSync: true, " NIGHT "}]", "2026-01-02T12:00:00Z", false, false,
         false},
        {"[{kind: allow, syncOverrun: true, " NIGHT "}]", "2026-01-02T12:00:00Z", false, true,
         true},
        {"[{kind: allow, syncOverrun: true, " NIGHT "}]", "2026-01-02T12:00:00Z", false, false,
         false},
        // All that are closed must have the exception.
        {"[{kind: allow, manualSync: true, " NIGHT "}, {kind: allow, " NIGHT "}]",
         "2026-01-02T12:00:00Z", true, false, false},
        // A deny window, and that it beats an allow.
        {"[{kind: deny, " NIGHT "}]", "2026-01-01T23:00:00Z", false, false, false},
        {"[{kind: deny, " NIGHT "}]", "2026-01-01T12:00:00Z", false, false, true},
        {"[{kind: deny, " NIGHT "}, {kind: allow, " NIGHT "}]", "2026-01-01T23:00:00Z", false,
         false, false},
        {"[{kind: deny, manualSync: true, " NIGHT "}]", "2026-01-01T23:00:00Z", true, false, true},
        {"[{kind: deny, manualSync: true, " NIGHT "}, {kind: deny, " NIGHT "}]",
         "2026-01-01T23:00:00Z", true, false, false},
        {"[{kind: deny, syncOverrun: true, " NIGHT "}]", "2026-01-01T23:00:00Z", false, true, true},
        // A deny window that lets a person through, with an allow that does not and is closed.
        {"[{kind: deny, manualSync: true, " NIGHT "}, {kind: allow, schedule: '0 12 * * *', "
         "duration: 1h, applications: ['*']}]",
         "2026-01-01T23:00:00Z", true, false, true},
        {"[{kind: deny, manualSync: true, " NIGHT "}, {kind: allow, schedule: '0 12 * * *', "
         "duration: 1h, applications: ['*']}]",
         "2026-01-02T10:00:00Z", true, false, false},
        // As Go reads durations.
        {"[{kind: allow, schedule: '0 22 * * *', duration: 1h30m, applications: ['*']}]",
         "2026-01-01T23:29:59Z", false, false, true},
        {"[{kind: allow, schedule: '0 22 * * *', duration: 1h30m, applications: ['*']}]",
         "2026-01-01T23:30:00Z", false, false, false},
        {"[{kind: allow, schedule: '0 22 * * *', duration: 1.5h, applications: ['*']}]",
         "2026-01-01T23:29:59Z", false, false, true},
        {"[{kind: allow, schedule: '0 22 * * *', duration: 5400s, applications: ['*']}]",
         "2026-01-01T23:29:59Z", false, false, true},
        // One of two allow windows is open.
        {"[{kind: allow, " NIGHT "}, {kind: allow, schedule: '0 12 * * *', duration: 1h, "
         "applications: ['*']}]",
         "2026-01-01T12:30:00Z", false, false, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct window_verdict v =
            ask(cases[i].windows, cases[i].when, cases[i].manual, cases[i].running);
        if (v.is_error || v.is_permitted != cases[i].permitted)
            fail_msg("%zu: %s at %s: %s", i, cases[i].windows, cases[i].when, v.why);
        if (!v.is_permitted)
            assert_string_not_equal(v.why, "");
        window_verdict_clear(&v);
    }
}

// All are deny windows that are open: refused means that it matches.
static void matching(void **s)
{
    (void)s;
    static const struct {
        const char *lists;
        bool matches;
    } cases[] = {
        {"applications: ['web-*']", true},
        {"applications: [other, web-prod]", true},
        {"applications: [web]", false},
        {"applications: ['web-{prod,test}']", true},
        {"namespaces: [web]", true},
        {"clusters: ['https://kubernetes.*']", true},
        {"clusters: [in-cluster]", false}, // the destination as it is written
        {"applications: [x], namespaces: [web]", true},
        {"applications: [x], namespaces: [web], andOperator: true", false},
        {"applications: ['*'], namespaces: [web], andOperator: true", true},
        {"applications: ['*'], namespaces: [], andOperator: true", true},
        {"andOperator: true", false},
        {"description: none", false},
        {"applications: [1, {a: b}], clusters: what", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(str_freep)
        char *w =
            str_printf("[{kind: deny, schedule: '* * * * *', duration: 1h, %s}]", cases[i].lists);
        struct window_verdict v = ask(w, "2026-01-01T23:00:00Z", false, false);
        if (v.is_permitted == cases[i].matches)
            fail_msg("%s: %s", cases[i].lists, v.why);
        window_verdict_clear(&v);
    }
}

static void unreadable_blocks(void **s)
{
    (void)s;
    static const struct {
        const char *windows, *says;
    } cases[] = {
        {"[{kind: allow, schedule: '@daily', duration: 1h, applications: ['*']}]", "minute"},
        {"[{kind: deny, schedule: '0 22 * * *', duration: 8, applications: ['*']}]", "duration"},
        {"[{kind: deny, schedule: '0 22 * * *', duration: '8', applications: ['*']}]", "duration"},
        {"[{kind: deny, schedule: '0 22 * * *', duration: -1h, applications: ['*']}]", "duration"},
        {"[{kind: deny, schedule: '0 22 * * *', duration: 99999999h, applications: ['*']}]",
         "duration"},
        {"[{kind: maybe, " NIGHT "}]", "neither"},
        {"[{kind: allow, schedule: '0 0 30 2 *', duration: 1h, applications: ['*']}]", "never"},
        {"[{applications: ['*']}]", "neither"},
        {"[{kind: allow, " NIGHT "}, {kind: deny, applications: [web-prod]}]", "sync window 2"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct window_verdict v = ask(cases[i].windows, "2026-01-01T23:00:00Z", true, true);
        if (v.is_permitted || !v.is_error || !strstr(v.why, cases[i].says))
            fail_msg("%s: %s", cases[i].windows, v.why);
        window_verdict_clear(&v);
    }
    // One that is not for this application is nobody's business here.
    struct window_verdict v =
        ask("[{kind: deny, applications: [x]}]", "2026-01-01T23:00:00Z", 0, 0);
    assert_true(v.is_permitted);
    window_verdict_clear(&v);
}

#define EVENING(zone)                                                                              \
    "[{kind: allow, schedule: '0 20 * * *', duration: 2h, timeZone: " zone ", applications: "      \
    "['*']}]"

static void zones(void **s)
{
    (void)s;
    static const struct {
        const char *windows, *when;
        bool permitted;
    } cases[] = {
        // 20:00 in Berlin is 19:00 UTC in winter, 18:00 in summer.
        {EVENING("Europe/Berlin"), "2026-01-15T18:30:00Z", false},
        {EVENING("Europe/Berlin"), "2026-01-15T19:30:00Z", true},
        {EVENING("Europe/Berlin"), "2026-07-15T18:30:00Z", true},
        {EVENING("Europe/Berlin"), "2026-07-15T20:30:00Z", false},
        {EVENING("Nowhere/Town"), "2026-07-15T20:30:00Z", true}, // as UTC
        // Across a change of the clocks the offset of now counts: what began at 23:00 summer time
        // (21:00 UTC on the 24th) and lasts six hours is over at 04:00 UTC by winter time, not
        // 03:00.
        {"[{kind: allow, schedule: '0 23 24 10 *', duration: 6h, timeZone: Europe/Berlin, "
         "applications: ['*']}]",
         "2026-10-25T03:30:00Z", true},
        {"[{kind: allow, schedule: '0 23 24 10 *', duration: 6h, timeZone: Europe/Berlin, "
         "applications: ['*']}]",
         "2026-10-25T04:00:00Z", false},
    };
    if (access("/usr/share/zoneinfo/Europe/Berlin", R_OK))
        skip();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct window_verdict v = ask(cases[i].windows, cases[i].when, false, false);
        if (v.is_error || v.is_permitted != cases[i].permitted)
            fail_msg("%s at %s: %s", cases[i].windows, cases[i].when, v.why);
        window_verdict_clear(&v);
    }
}

// A zone that the system does not know is told by name; one that is not for this application not.
static void unknown_zones(void **s)
{
    (void)s;
    struct window_verdict v = ask(EVENING("Nowhere/Town"), "2026-07-15T20:30:00Z", false, false);
    assert_true(v.is_permitted && v.warning && strstr(v.warning, "\"Nowhere/Town\""));
    assert_non_null(strstr(v.warning, "project shop"));
    window_verdict_clear(&v);
    assert_null(v.warning);
    v = ask("[{kind: allow, schedule: '0 20 * * *', duration: 2h, timeZone: UTC, applications: "
            "['*']}, {kind: allow, schedule: '0 20 * * *', duration: 2h, timeZone: Nowhere/Town, "
            "applications: [other]}]",
            "2026-07-15T20:30:00Z", false, false);
    assert_null(v.warning);
    window_verdict_clear(&v);
}

// The moment that is told is the first one with another answer.
static void next_changes(void **s)
{
    (void)s;
    static const struct {
        const char *windows, *now, *then;
    } cases[] = {
        {"[]", "2026-01-01T12:00:00Z", NULL},
        {"[{kind: allow, " NIGHT "}]", "2026-01-01T12:00:00Z", "2026-01-01T22:00:01Z"},
        {"[{kind: allow, " NIGHT "}]", "2026-01-01T23:00:00Z", "2026-01-02T06:00:00Z"},
        {"[{kind: deny, " NIGHT "}]", "2026-01-01T12:00:00Z", "2026-01-01T22:00:01Z"},
        // Two that overlap are one stretch.
        {"[{kind: allow, " NIGHT "}, {kind: allow, schedule: '0 5 * * *', duration: 3h, "
         "applications: ['*']}]",
         "2026-01-01T23:00:00Z", "2026-01-02T08:00:00Z"},
        {EVENING("Europe/Berlin"), "2026-07-15T12:00:00Z", "2026-07-15T18:00:01Z"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct window_verdict v = ask(cases[i].windows, cases[i].now, false, false);
        CLEANUP(str_freep) char *text = clock_rfc3339(v.next_change_unix_s);
        if (v.next_change_unix_s != (cases[i].then ? at(cases[i].then) : 0))
            fail_msg("%s at %s: %s", cases[i].windows, cases[i].now, text);
        window_verdict_clear(&v);
    }
    // What never ends is still an answer, in bounded time.
    struct window_verdict v = ask("[{kind: allow, schedule: '* * * * *', duration: 8000h, "
                                  "applications: ['*']}]",
                                  "2026-01-01T00:00:30Z", false, false);
    assert_true(v.is_permitted && v.next_change_unix_s > at("2026-01-01T00:00:30Z"));
    window_verdict_clear(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cron_times),        cmocka_unit_test(no_cron),
        cmocka_unit_test(decisions),         cmocka_unit_test(matching),
        cmocka_unit_test(unreadable_blocks), cmocka_unit_test(zones),
        cmocka_unit_test(next_changes),      cmocka_unit_test(unknown_zones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
