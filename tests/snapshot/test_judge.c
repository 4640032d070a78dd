// SPDX-License-Identifier: Apache-2.0
//
// The sanity gate: what is suspect, and by which codes.
#include "snapshot/capture.h"

#include "tests/test.h"

struct counted {
    uint64_t apps, objects, unknown, secrets, refs;
};

static struct snapshot_entry entry_of(const struct counted *c)
{
    struct snapshot_entry e = {0};
    e.counts.apps = c->apps;
    e.counts.objects = c->objects;
    e.counts.unknown = c->unknown;
    e.counts.secrets = c->secrets;
    e.counts.refs = c->refs;
    return e;
}

static const struct counted before = {10, 100, 0, 20, 50};

static const struct {
    const char *what;
    struct counted now;
    bool is_first;       // there is no good one
    const char *emptied; // an application, or NULL
    struct shrink_bounds bounds;
    const char *why; // codes joined by blanks; "": good
} cases[] = {
    {"the same", {10, 100, 0, 20, 50}, false, NULL, {0}, ""},
    {"more", {20, 300, 0, 40, 90}, false, NULL, {0}, ""},
    {"at the bounds", {8, 80, 0, 18, 40}, false, NULL, {0}, ""},
    {"one below each",
     {7, 79, 0, 17, 39},
     false,
     NULL,
     {0},
     "shrunk-objects shrunk-apps shrunk-secrets shrunk-refs"},
    {"a repository emptied by mistake",
     {1, 0, 0, 20, 0},
     false,
     NULL,
     {0},
     "shrunk-objects shrunk-apps shrunk-refs"},
    {"a Git host that answers nothing", {10, 100, 3, 20, 50}, false, NULL, {0}, "unknown-source"},
    {"a chart that renders nothing any more",
     {10, 95, 0, 20, 50},
     false,
     "web",
     {0},
     "emptied-application"},
    {"the first", {1, 1, 0, 0, 0}, true, NULL, {0}, ""},
    {"the first, of nothing", {1, 0, 0, 0, 0}, true, NULL, {0}, "empty"},
    {"the first, of applications without objects", {4, 0, 0, 7, 9}, true, NULL, {0}, "empty"},
    {"the first, of nothing as it should be", {1, 0, 0, 0, 0}, true, NULL, {0, 0, 0, 0, true}, ""},
    {"the first, not whole", {1, 1, 1, 0, 0}, true, NULL, {0}, "unknown-source"},
    {"by wider bounds", {5, 50, 0, 10, 25}, false, NULL, {50, 50, 50, 50, false}, ""},
    {"by narrower ones",
     {10, 99, 0, 20, 50},
     false,
     NULL,
     {100, 100, 100, 100, false},
     "shrunk-objects"},
    {"counts as high as they go",
     {UINT64_MAX, UINT64_MAX, 0, UINT64_MAX, UINT64_MAX},
     false,
     NULL,
     {0},
     ""},
};

static void judged(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct snapshot_entry last = entry_of(&before);
        struct snapshot_entry now = entry_of(&cases[i].now);
        struct strv emptied = {0};
        struct buf why CLEANUP(buf_clear) = {0};
        if (cases[i].emptied)
            strv_push(&emptied, cases[i].emptied);
        capture_judge(&now, cases[i].is_first ? NULL : &last, &cases[i].bounds, &emptied);
        for (size_t k = 0; k < now.why.len; k++)
            buf_printf(&why, "%s%s", k ? " " : "", now.why.v[k]);
        if (!str_eq(why.p ? why.p : "", cases[i].why) || now.is_good != !*cases[i].why)
            fail_msg("%s: %s", cases[i].what, why.p ? why.p : "good");
        strv_clear(&emptied);
        strv_clear(&now.why);
    }
}

// What capture found to be wrong by itself stays, and is said once.
static void keeps_codes(void **state)
{
    (void)state;
    struct snapshot_entry now = entry_of(&before);
    struct shrink_bounds b = {0};
    now.counts.unknown = 1;
    strv_push(&now.why, "unknown-source");
    strv_push(&now.why, "no-order");
    capture_judge(&now, NULL, &b, NULL);
    assert_int_equal(now.why.len, 2);
    assert_false(now.is_good);
    strv_clear(&now.why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(judged), cmocka_unit_test(keeps_codes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
