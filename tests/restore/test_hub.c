// SPDX-License-Identifier: Apache-2.0
//
// A hub's snapshot holds what goes to each of its clusters, rendered for that one: the same comes
// out of it; and what cannot be read now stays as it was, wherever it was found.
#include "restore/frozen.h"
#include "tests/snapshot/hubkit.h"
#include "tests/test.h"

// "app=objects parent=P" of what goes there; those that are only parents in brackets.
static char *what_goes_to(struct hub_fixture *f, const char *name)
{
    struct age_identity id = kit_identity(1);
    struct err err = {0};
    struct frozen back = {0};
    struct buf b = {0};
    struct strv words = {0};
    CLEANUP(reader_freep) struct reader *r = NULL;
    CLEANUP(json_freep) json_t *cluster = NULL;
    struct frozen_opts o = {.minor = 37, .server = "https://east.example.com"};
    if (!reader_open(&f->repo, PROD, &f->entry, &id, &r, &err) ||
        !frozen_cluster(r, name, &cluster, &err))
        fail_msg("%s", err.msg);
    if (!cluster)
        return str_dup("nothing");
    o.cluster = cluster;
    if (!frozen_read(r, &o, &back, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(back.zero.len, 0);
    assert_int_equal(back.missing.len, 0);
    assert_string_equal(back.kubernetes, "1.37.0");
    for (unsigned i = 1; i < back.desired->apps.len; i++) {
        const struct application *a = back.desired->apps.v[i];
        bool is_other = a->state == APP_OTHER_CLUSTER;
        strv_push_take(&words, str_printf(is_other ? "(%s=%zu<%s)" : "%s=%zu<%s", a->name,
                                          desired_app_objects(back.desired, i),
                                          back.desired->apps.v[a->parent]->name));
    }
    strv_sort(&words);
    for (size_t i = 0; i < words.len; i++)
        buf_printf(&b, "%s%s", i ? " " : "", words.v[i]);
    if (back.stale.len)
        buf_printf(&b, " stale %zu", back.stale.len);
    strv_clear(&words);
    frozen_clear(&back);
    return buf_take(&b);
}

static void expect(struct hub_fixture *f, const char *cluster, const char *want)
{
    CLEANUP(str_freep) char *got = what_goes_to(f, cluster);
    assert_string_equal(got, want);
}

#define EAST "(teams=0<root) team-1=1<teams team-2=1<teams web=2<root"

static void frozen_for_each(void **state)
{
    struct hub_fixture *f = *state;
    hub_snapshot(f);
    assert_true(f->entry.snapshot.is_good);
    // The root's 2 Applications … are 4 here and 2 of teams; 2 of here; 4 of east and 2 of west.
    assert_int_equal(f->entry.snapshot.counts.secrets, 3);
    expect(f, "east", EAST);
    expect(f, "https://west.example.com", "db=2<root");
    expect(f, "north", "nothing");
}

static void a_secret_is_its_own(void **state)
{
    struct hub_fixture *f = *state;
    struct age_identity id = kit_identity(1);
    struct err err = {0};
    CLEANUP(reader_freep) struct reader *r = NULL;
    CLEANUP(json_freep) json_t *cluster = NULL;
    struct frozen back = {0};
    struct object_id login = {(char *)"", (char *)"Secret", (char *)"web", (char *)"login"};
    if (!reader_open(&f->repo, PROD, &f->entry, &id, &r, &err) ||
        !frozen_cluster(r, "east", &cluster, &err))
        fail_msg("%s", err.msg);
    struct frozen_opts o = {.minor = 37, .cluster = cluster};
    if (!frozen_read(r, &o, &back, &err))
        fail_msg("%s", err.msg);
    const struct object *secret = desired_find(back.desired, &login);
    assert_non_null(secret);
    assert_non_null(strstr(secret->body, "aHVudGVyMg==")); // base64 of hunter2
    frozen_clear(&back);
}

// What it takes is gone from Git: as it was, and the snapshot is suspect.
static void one_that_cannot_be_read(void **state)
{
    struct hub_fixture *f = *state;
    hub_shell(f, "sed -i 's/path: web/path: gone/' root/web.yaml");
    hub_snapshot(f);
    assert_false(f->entry.snapshot.is_good);
    assert_int_equal(f->entry.snapshot.counts.unknown, 1);
    expect(f, "east", EAST " stale 1");
    expect(f, "https://west.example.com", "db=2<root");
    hub_shell(f, "sed -i 's/path: gone/path: web/' root/web.yaml");
}

// An application of the hub that cannot be read may have led there.
static void what_led_there_cannot_be_read(void **state)
{
    struct hub_fixture *f = *state;
    hub_shell(f, "mv more away");
    hub_snapshot(f);
    assert_false(f->entry.snapshot.is_good);
    expect(f, "east", EAST " stale 1");
    expect(f, "https://west.example.com", "db=2<root");
    hub_shell(f, "mv away more");
    hub_snapshot(f);
    assert_true(f->entry.snapshot.is_good);
    expect(f, "east", EAST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frozen_for_each),
        cmocka_unit_test(a_secret_is_its_own),
        cmocka_unit_test(one_that_cannot_be_read),
        cmocka_unit_test(what_led_there_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, hub_set_up, hub_tear_down);
}
