// SPDX-License-Identifier: Apache-2.0
//
// The writer's pages (docs/repository-format.md section 7): which lists have them, that one row
// more changes two of them at most, and that no reader sees a difference.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "snapshot/capture.h"
#include "snapshot/lists.h"
#include "tests/snapshot/snapkit.h"
#include "tests/test.h"

struct fixture {
    char *dir;
    struct repo repo;
    struct loop *loop;
    unsigned runs;
};

static void set_up(struct fixture *f, bool may_page)
{
    static const char *const flags[] = {TRUST_PAGES};
    struct err err = {0};
    struct store *st = log_kit_store(true);
    *f = (struct fixture){.loop = loop_new(NULL)};
    if (!dir_make_temp("regrow-pages", &f->dir, &err))
        fail_msg("%s", err.msg);
    if (may_page)
        log_kit_allow(st, flags, ARRAY_LEN(flags));
    log_kit_open(st, &f->repo);
}

static void tear_down(struct fixture *f)
{
    repo_close(&f->repo);
    loop_free(f->loop);
    dir_temp_cleanup(&f->dir);
}

// n ConfigMaps but one, each in a file of its own: a row says in which line it is written.
static void write_root(const char *root, unsigned n, unsigned without)
{
    struct err err = {0};
    assert_true(dir_make(root, 0700, &err));
    for (unsigned i = 0; i < n; i++) {
        CLEANUP(str_freep) char *file = str_printf("%s/%u.yaml", root, i);
        CLEANUP(str_freep)
        char *text = str_printf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c-%u, "
                                "namespace: default}\n",
                                i);
        (void)unlink(file);
        assert_true(i == without || file_replace(file, text, strlen(text), 0600, &err));
    }
}

// Such a root as a snapshot of which the list of the root is
// given; owned.
static json_t *list_of(struct fixture *f, unsigned n, unsigned without)
{
    struct credential job = snap_kit_job("writer");
    struct age_identity id = kit_identity(1);
    struct entry e = {.kind = ENTRY_SNAPSHOT};
    struct entry made = {0};
    struct err err = {0};
    struct capture_report report = {0};
    CLEANUP(str_freep) char *root = path_join(f->dir, "root");
    CLEANUP(str_freep) char *work = str_printf("%s/work-%u", f->dir, f->runs++);
    CLEANUP(json_freep) json_t *tree = NULL;
    json_t *list = NULL;
    struct source_opts so = {.cache_dir = work,
                             .kube_version = "1.37.0",
                             .cluster_server = "https://kubernetes.default.svc"};
    CLEANUP(source_freep) struct source *s = source_new(f->loop, &so);
    CLEANUP(desired_freep) struct desired *d = NULL;
    CLEANUP(writer_freep) struct writer *w = NULL;
    CLEANUP(reader_freep) struct reader *rd = NULL;
    struct writer_opts wo = {.job = &job};
    write_root(root, n, without);
    if (!dir_make(work, 0700, &err) || !source_load(s, root, &d, &err) ||
        !writer_begin(&f->repo, &wo, &w, &err))
        fail_msg("%s", err.msg);
    struct capture_opts o = {
        .loop = f->loop, .desired = d, .source = s, .root = root, .work_dir = work};
    o.rules = secret_rules_default(&o.n_rules);
    if (!capture_run(w, &o, &e.snapshot, &report, &err) ||
        !writer_commit(w, &e.snapshot, &made, &err) ||
        !reader_open(&f->repo, PROD, &made, &id, &rd, &err) || !reader_root(rd, &tree, &err))
        fail_msg("%s", err.msg);
    CLEANUP(json_freep) json_t *shard = NULL;
    CLEANUP(json_freep)
    json_t *at = json_pack("{s:O}", "blob", json_array_get(json_dot(tree, "shards.blobs"), 0));
    if (!list_open(rd, at, &shard, &err) ||
        !list_open(rd, json_array_get(json_object_get(shard, "applications"), 0), &list, &err))
        fail_msg("%s", err.msg);
    // What readers see.
    CLEANUP(json_freep) json_t *whole = json_deep_copy(list);
    assert_true(list_join_pages(rd, whole, "objects", &err));
    assert_int_equal(json_array_size(json_object_get(whole, "objects")), n - (without < n));
    struct verify_result v = {0};
    snap_kit_verify(&f->repo, &v);
    verify_result_clear(&v);
    capture_report_clear(&report);
    entry_clear(&made);
    entry_clear(&e);
    credential_clear(&job);
    return list;
}

static size_t pages_of(const json_t *list)
{
    return json_array_size(json_dot(list, "pages.blobs"));
}

// Pages of b that are not pages of a.
static unsigned new_pages(const json_t *a, const json_t *b)
{
    unsigned n = 0;
    size_t i;
    size_t k;
    json_t *x;
    json_t *y;
    json_array_foreach(json_dot(b, "pages.blobs"), i, x)
    {
        bool found = false;
        json_array_foreach(json_dot(a, "pages.blobs"), k, y)
        {
            found |= json_equal(x, y);
        }
        n += !found;
    }
    return n;
}

static void short_ones_have_none(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, true);
    CLEANUP(json_freep) json_t *list = list_of(&f, 32, 99);
    assert_null(json_object_get(list, "pages"));
    assert_int_equal(json_array_size(json_object_get(list, "objects")), 32);
    CLEANUP(json_freep) json_t *longer = list_of(&f, 33, 99);
    assert_true(pages_of(longer) > 0);
    assert_int_equal(json_array_size(json_object_get(longer, "objects")), 0);
    tear_down(&f);
}

static void none_without_the_flag(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, false);
    CLEANUP(json_freep) json_t *list = list_of(&f, 300, 999);
    assert_null(json_object_get(list, "pages"));
    assert_int_equal(json_array_size(json_object_get(list, "objects")), 300);
    tear_down(&f);
}

// Rows go and come anywhere.
static void one_row_changes_two(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, true);
    CLEANUP(json_freep) json_t *before = list_of(&f, 400, 999);
    assert_true(pages_of(before) > 8 && pages_of(before) < 100);
    for (unsigned without = 0; without < 400; without += 37) {
        CLEANUP(json_freep) json_t *list = list_of(&f, 400, without);
        assert_in_range(new_pages(before, list), 0, 2);
        assert_in_range(new_pages(list, before), 1, 2);
    }
    CLEANUP(json_freep) json_t *again = list_of(&f, 400, 999);
    assert_true(json_equal(before, again));
    tear_down(&f);
}

// Batches are merged as they become many: pages of what did not change are still there, which
// verify in list_of saw.
static void kept_over_merges(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, true);
    for (unsigned i = 0; i < 40; i++) {
        CLEANUP(json_freep) json_t *list = list_of(&f, 100 + i, 999);
        assert_true(pages_of(list) > 0);
    }
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_ones_have_none),
        cmocka_unit_test(none_without_the_flag),
        cmocka_unit_test(one_row_changes_two),
        cmocka_unit_test(kept_over_merges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
