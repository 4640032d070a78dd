// SPDX-License-Identifier: Apache-2.0
//
// The index files of a snapshot, and what it needs.
#include "snapshot/repo.h"

#include "base/file.h"
#include "tests/snapshot/smallrepo.h"
#include "tests/test.h"

struct fixture {
    struct repo r;
    struct log l;
    struct chain_keys keys;
};

static int setup(void **state)
{
    struct fixture *f = mem_alloc(sizeof(*f));
    struct age_identity id = kit_identity(1);
    log_kit_open(small_repo(true), &f->r);
    log_kit_read(&f->r, &f->l);
    chain_keys_derive(&id, f->r.marker.repo, PROD, &f->keys);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    log_clear(&f->l);
    repo_close(&f->r);
    free(f);
    return 0;
}

static char *index_of(const struct sha256 *name)
{
    CLEANUP(str_freep) char *hex = hex_encode(name->b, sizeof(name->b));
    return chain_file(PROD, "index", hex);
}

static void in_order(void **s)
{
    struct fixture *f = *s;
    const struct entry *first = log_find(&f->l, 1);
    const struct entry *second = log_find(&f->l, 2);
    for (unsigned keyed = 0; keyed < 2; keyed++) {
        struct batches b CLEANUP(batches_clear) = {0};
        struct err err = {0};
        if (!batches_read(&f->r, PROD, second, keyed ? &f->keys : NULL, &b, &err))
            fail_msg("%s", err.msg);
        assert_int_equal(b.v.len, 4);
        assert_int_equal(b.names.len, 4);
        assert_true(sha256_eq(&b.names.v[0], &first->snapshot.objects));
        assert_true(sha256_eq(&b.names.v[1], &second->snapshot.objects));
        assert_true(sha256_eq(&b.names.v[2], &first->snapshot.git));
        assert_true(sha256_eq(&b.names.v[3], &second->snapshot.git));
        for (size_t i = 0; i < 4; i++) {
            assert_int_equal(b.v.v[i].is_git, i >= 2);
            assert_int_equal(b.v.v[i].has_records, keyed);
            assert_int_equal(b.v.v[i].records.len > 0, keyed);
        }
    }
}

static void what_a_snapshot_needs(void **s)
{
    struct fixture *f = *s;
    struct strv needs = {0};
    struct err err = {0};
    const struct entry *verdict = log_find(&f->l, 3);
    assert_true(snapshot_needs(&f->r, &f->l, log_find(&f->l, 2), &needs, &err));
    assert_int_equal(needs.len, 4 + 2 * 4); // index files, packs of four classes
    for (size_t i = 0; i < needs.len; i++) {
        assert_non_null(memstore_file(f->r.store, needs.v[i]));
        assert_true(i == 0 || strcmp(needs.v[i - 1], needs.v[i]) < 0);
    }
    CLEANUP(str_freep) char *hex = hex_encode(verdict->verdict.report.b, 32);
    CLEANUP(str_freep) char *report = chain_file(PROD, "packs", hex);
    assert_false(strv_has(&needs, report)); // it is read without
    strv_clear(&needs);
    snapshot_reports(&f->l, log_find(&f->l, 2), &needs);
    assert_int_equal(needs.len, 1);
    assert_string_equal(needs.v[0], report);
    strv_clear(&needs);
    snapshot_reports(&f->l, log_find(&f->l, 1), &needs);
    assert_int_equal(needs.len, 0);
    // The first stands on nothing, and nothing was said of it.
    assert_true(snapshot_needs(&f->r, &f->l, log_find(&f->l, 1), &needs, &err));
    assert_int_equal(needs.len, 2 + 4);
    strv_clear(&needs);
}

static void assert_broken(struct fixture *f, const struct entry *e, const char *what)
{
    struct batches b CLEANUP(batches_clear) = {0};
    struct err err = {0};
    assert_false(batches_read(&f->r, PROD, e, NULL, &b, &err));
    if (err.kind != ERR_CORRUPT || !strstr(err.msg, what))
        fail_msg("\"%s\" is not about \"%s\"", err.msg, what);
    assert_true(str_starts(err.msg, "snapshot 2: "));
    assert_int_equal(b.v.len, 0);
    err_clear(&err);
}

static void broken_ones(void **s)
{
    struct fixture *f = *s;
    const struct entry *first = log_find(&f->l, 1);
    const struct entry *second = log_find(&f->l, 2);
    CLEANUP(str_freep) char *below = index_of(&first->snapshot.objects);
    struct buf was CLEANUP(buf_clear) = {0};
    const struct buf *file = memstore_file(f->r.store, below);
    buf_append(&was, file->p, file->len);
    memstore_drop(f->r.store, below);
    assert_broken(f, second, "is missing");
    memstore_put(f->r.store, below, was.p, was.len - 1);
    assert_broken(f, second, "does not hold the bytes of its name");
    memstore_put(f->r.store, below, was.p, was.len);
    // The sets exchanged: whole files, in the wrong place.
    struct entry e = *second;
    e.snapshot.objects = second->snapshot.git;
    assert_broken(f, &e, "an index of the other set");
    e = *second;
    e.snapshot.git = second->snapshot.objects;
    assert_broken(f, &e, "an index of the other set");
}

static void another_chains_key(void **s)
{
    struct fixture *f = *s;
    struct chain_keys other = f->keys;
    struct batches b CLEANUP(batches_clear) = {0};
    struct err err = {0};
    other.k[5] ^= 1;
    assert_false(batches_read(&f->r, PROD, log_find(&f->l, 2), &other, &b, &err));
    assert_int_equal(err.kind, ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "does not open with this chain's key"));
    err_clear(&err);
}

static unsigned gets(struct fixture *f)
{
    struct batches b CLEANUP(batches_clear) = {0};
    struct err err = {0};
    memstore_hook(f->r.store, NULL, NULL);
    if (!batches_read(&f->r, PROD, log_find(&f->l, 2), &f->keys, &b, &err))
        fail_msg("%s", err.msg);
    return memstore_calls(f->r.store, MEM_GET);
}

// What was fetched once is not fetched again; a damaged copy is no obstacle.
static void cached(void **s)
{
    struct fixture *f = *s;
    CLEANUP(dir_temp_cleanup) char *dir = NULL;
    struct err err = {0};
    assert_true(dir_make_temp("regrow-test", &dir, &err));
    f->r.index_cache = dir;
    assert_int_equal(gets(f), 4);
    assert_int_equal(gets(f), 0);
    CLEANUP(str_freep) char *hex = hex_encode(log_find(&f->l, 2)->snapshot.git.b, 32);
    CLEANUP(str_freep) char *copy = path_join(dir, hex);
    assert_true(file_replace(copy, "x", 1, 0600, &err));
    assert_int_equal(gets(f), 1);
    assert_int_equal(gets(f), 0);
    f->r.index_cache = "/nowhere/at/all";
    assert_int_equal(gets(f), 4);
    f->r.index_cache = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_order),    cmocka_unit_test(what_a_snapshot_needs),
        cmocka_unit_test(broken_ones), cmocka_unit_test(another_chains_key),
        cmocka_unit_test(cached),
    };
    return cmocka_run_group_tests_name("snapshot batches", tests, setup, teardown);
}
