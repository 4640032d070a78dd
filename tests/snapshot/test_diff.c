// SPDX-License-Identifier: Apache-2.0
//
// What lies between two snapshots of a hub, also of what goes to its other clusters.
#include "snapshot/diff.h"

#include <stdlib.h>

#include "gitops/gitops.h"
#include "tests/snapshot/hubkit.h"
#include "tests/test.h"

// A change of that kind of Git between two snapshots, or none (NULL); what differs.
static json_t *between(struct hub_fixture *f, const char *script)
{
    struct age_identity id = kit_identity(1);
    const struct diff_opts o = {.max_commits = 10};
    struct log l = {0};
    struct err err = {0};
    CLEANUP(reader_freep) struct reader *a = NULL;
    CLEANUP(reader_freep) struct reader *b = NULL;
    json_t *out = NULL;
    uint64_t before = 0;
    hub_snapshot(f);
    before = f->entry.seq;
    if (script)
        hub_shell(f, script);
    hub_snapshot(f);
    log_kit_read(&f->repo, &l);
    if (!reader_open(&f->repo, PROD, log_find(&l, before), &id, &a, &err) ||
        !reader_open(&f->repo, PROD, &f->entry, &id, &b, &err) ||
        !snapshot_diff(a, b, &o, &out, &err))
        fail_msg("%s", err.msg);
    log_clear(&l);
    return out;
}

// "~east web: ~ConfigMap c /data/a; Secret ~login" …
static void add_change(struct buf *b, const json_t *x, const char *name)
{
    const char *change = json_dot_str(x, "change");
    buf_printf(b, "%s%c%s", b->len ? " " : "",
               str_eq(change, "added")     ? '+'
               : str_eq(change, "removed") ? '-'
                                           : '~',
               name);
}

static void add_objects(struct buf *b, const json_t *app)
{
    size_t i;
    size_t k;
    json_t *x;
    json_t *field;
    add_change(b, app, json_dot_text(app, "name"));
    json_array_foreach(json_object_get(app, "objects"), i, x)
    {
        add_change(b, x, json_dot_text(x, "kind"));
        json_array_foreach(json_object_get(x, "fields"), k, field)
        {
            buf_printf(b, ":%s", json_dot_text(field, "path"));
        }
    }
}

static char *of_clusters(const json_t *diff)
{
    struct buf b = {0};
    size_t i;
    size_t k;
    json_t *cluster;
    json_t *x;
    json_array_foreach(json_object_get(diff, "clusters"), i, cluster)
    {
        buf_str(&b, b.len ? "," : "");
        add_change(&b, cluster,
                   json_dot_text(cluster, json_object_get(cluster, "name") ? "name" : "server"));
        json_array_foreach(json_object_get(cluster, "applications"), k, x)
        {
            add_objects(&b, x);
        }
        json_array_foreach(json_object_get(cluster, "secrets"), k, x)
        {
            add_change(&b, x, json_dot_text(x, "name"));
        }
    }
    return buf_take(&b);
}

static void expect(struct hub_fixture *f, const char *script, const char *want)
{
    CLEANUP(json_freep) json_t *diff = between(f, script);
    CLEANUP(str_freep) char *got = of_clusters(diff);
    assert_string_equal(got, want);
    assert_int_equal(snapshot_diff_is_empty(diff), !script);
}

#define COMMIT "git -C apps -c user.name=t -c user.email=t@example.com commit -qam 2\n"

static void nothing(void **state)
{
    expect(*state, NULL, "");
}

static void an_object(void **state)
{
    expect(*state,
           "sed -i s/hunter2/hunter3/ apps/db/a.yaml\n"
           "sed -i 's/{name: c}/{name: c, labels: {x: z}}/' apps/db/a.yaml\n" COMMIT,
           "~https://west.example.com ~db ~ConfigMap:/metadata/labels ~login");
}

// Its value is in no document.
static void a_secret(void **state)
{
    struct hub_fixture *f = *state;
    CLEANUP(json_freep)
    json_t *diff = between(f, "sed -i s/hunter2/hunter3/ apps/web/a.yaml\n" COMMIT);
    CLEANUP(str_freep) char *got = of_clusters(diff);
    char *text = json_dumps(diff, 0);
    assert_string_equal(got, "~east ~login");
    assert_int_equal(json_array_size(json_object_get(diff, "secrets")), 1); // that of here
    assert_null(strstr(text, "hunter3"));
    assert_null(strstr(text, "aHVudGVyM"));
    free(text);
}

// A cluster's change alone is one: what is here is as it was.
static void of_another_alone(void **state)
{
    struct hub_fixture *f = *state;
    CLEANUP(json_freep) json_t *diff = between(f, "sed -i '/^---/,$d' apps/db/a.yaml\n" COMMIT);
    CLEANUP(str_freep) char *got = of_clusters(diff);
    assert_string_equal(got, "~https://west.example.com ~db -Secret");
    assert_int_equal(json_array_size(json_object_get(diff, "applications")), 0);
    assert_int_equal(json_array_size(json_object_get(diff, "live")), 0);
}

static void an_application(void **state)
{
    expect(*state,
           "sed -e 's/name: web,/name: web-2,/' -e 's/namespace: web}/namespace: web-2}/' "
           "root/web.yaml >root/web-2.yaml\n",
           "~east +web-2 +ConfigMap +Secret");
    expect(*state, "rm root/web-2.yaml\n", "~east -web-2 -ConfigMap -Secret");
}

// Nothing but what goes there is told of it: not the applications of the hub that lead there.
static void a_cluster(void **state)
{
    expect(*state, "sed -i s/west/south/ root/db.yaml\n",
           "-https://west.example.com -db -ConfigMap, +https://south.example.com +db +ConfigMap");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing),        cmocka_unit_test(an_object),
        cmocka_unit_test(a_secret),       cmocka_unit_test(of_another_alone),
        cmocka_unit_test(an_application), cmocka_unit_test(a_cluster),
    };
    return cmocka_run_group_tests(tests, hub_set_up, hub_tear_down);
}
