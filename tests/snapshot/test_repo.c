// SPDX-License-Identifier: Apache-2.0
//
// Opening a repository, its files and chains.
#include "snapshot/repo.h"

#include "tests/snapshot/logkit.h"
#include "tests/test.h"

static void opens(void **s)
{
    (void)s;
    struct repo r;
    struct store *st = log_kit_store(true);
    struct sha256 pin = kit_pin(st);
    struct err err = {0};
    assert_true(repo_open_store_take(st, &pin, &r, &err));
    assert_int_equal(r.trust.v.len, 1);
    assert_true(r.marker.atomic_create);
    assert_true(sha256_eq(&r.trust.pin, &pin));
    repo_close(&r);
    assert_null(r.store);
    repo_close(&r); // again is fine
}

static void shows_its_pin(void **s)
{
    (void)s;
    struct repo r;
    struct store *st = log_kit_store(true);
    struct sha256 pin = kit_pin(st);
    struct err err = {0};
    assert_true(repo_open_store_take(st, NULL, &r, &err));
    assert_true(sha256_eq(&r.trust.pin, &pin));
    repo_close(&r);
}

static void assert_refused(struct store *st_take, const struct sha256 *pin, enum err_kind kind,
                           const char *what)
{
    struct repo r;
    struct err err = {0};
    assert_false(repo_open_store_take(st_take, pin, &r, &err));
    if (err.kind != kind || !strstr(err.msg, what))
        fail_msg("%s: %s", err_kind_name(err.kind), err.msg);
    assert_null(r.store); // closed
    err_clear(&err);
}

static void does_not_open(void **s)
{
    (void)s;
    struct sha256 pin = {0};
    assert_refused(memstore_new(), &pin, ERR_NOT_FOUND, "");
    assert_refused(log_kit_store(true), &pin, ERR_CORRUPT, "");

    struct store *st = log_kit_store(true);
    pin = kit_pin(st);
    memstore_drop(st, "regrow.json"); // init was cut off, or never ended
    assert_refused(st, &pin, ERR_NOT_FOUND, "no repository in");

    st = log_kit_store(true);
    memstore_put(st, "regrow.json", "{}\n", 3);
    assert_refused(st, &pin, ERR_CORRUPT, "regrow.json");

    st = log_kit_store(true);
    memstore_fault_at(st, 1, MEM_DIE);
    assert_refused(st, &pin, ERR_UNAVAILABLE, "");
}

// A flag that a later program set: what is not understood is not read.
static void unknown_flags(void **s)
{
    (void)s;
    struct repo r;
    struct trust t;
    struct store *st = log_kit_store(true);
    struct sha256 pin = kit_pin(st);
    log_kit_open(st, &r);
    trust_next(&r.trust, &t);
    strv_push(&t.write_flags, "later");
    kit_write(st, &r.trust, &t, "ann", "ben");
    trust_clear(&t);
    r.store = NULL;
    repo_close(&r);
    log_kit_open(st, &r); // may be read
    trust_next(&r.trust, &t);
    strv_push(&t.read_flags, "later");
    kit_write(st, &r.trust, &t, "ann", "ben");
    trust_clear(&t);
    r.store = NULL;
    repo_close(&r);
    assert_refused(st, &pin, ERR_INVALID, "later");
}

static void names(void **s)
{
    (void)s;
    struct repo r = {.marker.atomic_create = true};
    struct sha256 h = {.b = {0xab, 0xcd}};
    CLEANUP(str_freep) char *file = chain_file("prod", "packs", "x");
    CLEANUP(str_freep) char *plain = log_name(&r, "prod", 42, NULL);
    r.marker.atomic_create = false;
    CLEANUP(str_freep) char *forked = log_name(&r, "prod", 9999999999, &h);
    assert_string_equal(file, "chains/prod/packs/x");
    assert_string_equal(plain, "chains/prod/log/0000000042");
    assert_string_equal(forked, "chains/prod/log/9999999999-abcd000000000000");
}

static void chains(void **s)
{
    (void)s;
    static const char *const files[] = {
        "chains/prod/log/0000000001", "chains/prod/packs/a", "chains/prod-2/log/0000000001",
        "chains/alpha/packs/b",       "chains/_x/packs/b",   "chains-of-others/x/y",
    };
    struct repo r;
    struct strv l = {0};
    struct err err = {0};
    log_kit_open(log_kit_store(true), &r);
    assert_true(repo_chains(&r, &l, &err));
    assert_int_equal(l.len, 0);
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        memstore_put(r.store, files[i], "x", 1);
    assert_true(repo_chains(&r, &l, &err));
    assert_int_equal(l.len, 3);
    assert_string_equal(l.v[0], "alpha");
    assert_string_equal(l.v[1], "prod");
    assert_string_equal(l.v[2], "prod-2");
    strv_clear(&l);
    repo_close(&r);
}

static void files_by_hash(void **s)
{
    (void)s;
    struct repo r;
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    struct sha256 h = sha256_of("bytes", 5);
    CLEANUP(str_freep) char *hex = hex_encode(h.b, sizeof(h.b));
    CLEANUP(str_freep) char *name = chain_file("prod", "packs", hex);
    log_kit_open(log_kit_store(true), &r);
    assert_false(repo_fetch(&r, name, 10, &b, &err));
    assert_int_equal(err.kind, ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "is missing"));
    err_clear(&err);
    memstore_put(r.store, name, "bytes", 5);
    buf_str(&b, "kept");
    assert_true(repo_fetch(&r, name, 10, &b, &err));
    assert_string_equal(b.p, "keptbytes");
    assert_false(repo_fetch(&r, name, 4, &b, &err)); // bound + 1
    assert_int_equal(err.kind, ERR_CORRUPT);
    err_clear(&err);
    memstore_put(r.store, name, "bytez", 5);
    b.len = 4;
    assert_false(repo_fetch(&r, name, 10, &b, &err));
    assert_int_equal(err.kind, ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "does not hold the bytes of its name"));
    assert_int_equal(b.len, 4);
    err_clear(&err);
    memstore_fault_at(r.store, 1, MEM_FAIL);
    assert_false(repo_fetch(&r, name, 10, &b, &err));
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    err_clear(&err);
    repo_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens),         cmocka_unit_test(shows_its_pin),
        cmocka_unit_test(does_not_open), cmocka_unit_test(unknown_flags),
        cmocka_unit_test(names),         cmocka_unit_test(chains),
        cmocka_unit_test(files_by_hash),
    };
    return cmocka_run_group_tests_name("snapshot repo", tests, NULL, NULL);
}
