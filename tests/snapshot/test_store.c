// SPDX-License-Identifier: Apache-2.0
//
// What all stores share, and the store in memory that the other tests stand on.
#include "snapshot/store.h"

#include "tests/snapshot/memstore.h"
#include "tests/test.h"

#define HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define CHAIN63 "a23456789012345678901234567890123456789012345678901234567890123"

static void names(void **s)
{
    (void)s;
    const char *const good[] = {
        "regrow.json",
        "trust/0001",
        "keys/" HASH,
        "chains/" CHAIN63 "/packs/" HASH,
        "chains/a.b-c/log/0000000001-0123456789abcdef",
        "probe/x_1",
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(name_is_valid(good[i]));
    const char *const bad[] = {
        "",         "/",     "/trust",  "trust/", "trust//0001", "../x",  "a/..", "a/./b",
        ".tmp",     "a/.b",  "Trust/1", "a b",    "a\\b",        "a\nb",  "a:b",  "a%2e",
        "\xc3\xa4", "a/b?c", "a*",      "~",      "a/b/../c",    "a\x7f",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(name_is_valid(bad[i]));
    char name[202];
    memset(name, 'a', sizeof(name));
    name[200] = '\0';
    assert_true(name_is_valid(name));
    name[200] = 'a';
    name[201] = '\0';
    assert_false(name_is_valid(name));
}

static bool create(struct store *st, const char *name, const char *text)
{
    struct err err = {0};
    bool made = false;
    if (!store_create(st, name, text, strlen(text), NULL, &made, &err))
        fail_msg("%s", err.msg);
    return made;
}

static char *get(struct store *st, const char *name)
{
    struct err err = {0};
    struct buf b = {0};
    bool found = false;
    if (!store_get(st, name, 100, &b, &found, &err))
        fail_msg("%s", err.msg);
    if (found)
        return buf_take(&b);
    assert_int_equal(b.len, 0);
    buf_clear(&b);
    return NULL;
}

static void creates_once(void **s)
{
    (void)s;
    CLEANUP(store_freep) struct store *st = memstore_new();
    struct err err = {0};
    assert_true(create(st, "a/1", "one"));
    assert_false(create(st, "a/1", "two"));
    CLEANUP(str_freep) char *one = get(st, "a/1");
    assert_string_equal(one, "one");
    assert_null(get(st, "a/2"));
    assert_true(store_remove(st, "a/1", &err));
    assert_true(store_remove(st, "a/1", &err));
    assert_null(get(st, "a/1"));
}

static void lists(void **s)
{
    (void)s;
    CLEANUP(store_freep) struct store *st = memstore_new();
    struct err err = {0};
    struct store_items items = {0};
    int64_t now = 0;
    create(st, "b/2", "22");
    memstore_advance(st, 1000);
    create(st, "b/1", "1");
    create(st, "c/1", "1");
    assert_true(store_list(st, "b/", &items, &err));
    assert_int_equal(items.v.len, 2);
    assert_string_equal(items.v.v[0].name, "b/1");
    assert_int_equal(items.v.v[1].size, 2);
    assert_true(store_now(st, &now, &err));
    assert_int_equal(items.v.v[0].stored_at_ms, now);
    assert_int_equal(items.v.v[1].stored_at_ms, MEMSTORE_START_MS);
    store_items_clear(&items);
    assert_true(store_list(st, "nothing/", &items, &err));
    assert_int_equal(items.v.len, 0);
    // What a store says that is no name of ours is left out.
    memstore_put(st, "b/../../etc/passwd", "x", 1);
    memstore_put(st, "b/.tmp", "x", 1);
    memstore_put(st, "b/Ä", "x", 1);
    assert_true(store_list(st, "", &items, &err));
    assert_int_equal(items.v.len, 3);
    store_items_clear(&items);
}

static void errors_say_where(void **s)
{
    (void)s;
    CLEANUP(store_freep) struct store *st = memstore_new();
    struct err err = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    bool found = false;
    buf_str(&b, "kept");
    memstore_fault_at(st, 1, MEM_FAIL);
    assert_false(store_get(st, "trust/0001", 100, &b, &found, &err));
    assert_string_equal(err.msg, "store memory: get trust/0001: the store does not answer");
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    err_clear(&err);
    assert_false(store_get(st, "../x", 100, &b, &found, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    err_clear(&err);
    create(st, "a/1", "0123456789");
    assert_false(store_get(st, "a/1", 9, &b, &found, &err));
    assert_int_equal(err.kind, ERR_CORRUPT);
    err_clear(&err);
    assert_string_equal(b.p, "kept");
    assert_true(store_retain(st, "a/1", 1, &err)); // a store without retention
}

static void loses_answers(void **s)
{
    (void)s;
    CLEANUP(store_freep) struct store *st = memstore_new();
    struct err err = {0};
    bool made = false;
    memstore_fault_at(st, 1, MEM_LOSE);
    assert_false(store_create(st, "a/1", "x", 1, NULL, &made, &err));
    err_clear(&err);
    assert_non_null(memstore_file(st, "a/1"));
    memstore_fault_at(st, 1, MEM_DIE);
    assert_false(store_create(st, "a/2", "x", 1, NULL, &made, &err));
    err_clear(&err);
    assert_false(store_create(st, "a/2", "x", 1, NULL, &made, &err));
    err_clear(&err);
    assert_int_equal(memstore_calls(st, MEM_CREATE), 2);
    memstore_hook(st, NULL, NULL);
    assert_null(memstore_file(st, "a/2"));
    assert_true(create(st, "a/2", "x"));
}

static void tells_untruths(void **s)
{
    (void)s;
    CLEANUP(store_freep) struct store *st = memstore_new();
    struct err err = {0};
    struct store_items items = {0};
    create(st, "a/1", "text");
    create(st, "a/2", "text");
    const struct {
        enum memstore_fault fault;
        const char *wanted; // of a/2; NULL: not there
    } rows[] = {{MEM_SHORT, "te"}, {MEM_FLIP, "teyt"}, {MEM_STALE, NULL}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        memstore_fault_at(st, 1, rows[i].fault);
        CLEANUP(str_freep) char *got = get(st, "a/2");
        assert_true(str_eq(got, rows[i].wanted));
    }
    memstore_fault_at(st, 1, MEM_STALE);
    assert_true(store_list(st, "a/", &items, &err));
    assert_int_equal(items.v.len, 1);
    assert_string_equal(items.v.v[0].name, "a/1");
    store_items_clear(&items);
    memstore_fault_at(st, 1, MEM_OVERWRITE);
    assert_true(create(st, "a/1", "other"));
    memstore_fault_at(st, 1, MEM_CONTRARY);
    assert_false(create(st, "a/3", "new"));
    memstore_fault_at(st, 1, MEM_PRETEND);
    assert_true(create(st, "a/3", "new"));
    assert_int_equal(memstore_count(st, "a/"), 2);
    CLEANUP(str_freep) char *one = get(st, "a/1");
    assert_string_equal(one, "other");
}

static enum memstore_fault faster(void *ctx, const struct memstore_call *call)
{
    struct store *st = ctx;
    if (call->op == MEM_CREATE)
        create(st, call->name, "by another");
    return MEM_FINE;
}

static void races(void **s)
{
    (void)s;
    for (int atomic = 0; atomic < 2; atomic++) {
        CLEANUP(store_freep) struct store *st = memstore_new();
        memstore_be(st, atomic, true, true);
        memstore_hook(st, faster, st);
        assert_int_equal(create(st, "a/1", "mine"), !atomic);
        CLEANUP(str_freep) char *got = get(st, "a/1");
        assert_string_equal(got, atomic ? "by another" : "mine");
    }
}

static void clones_and_retains(void **s)
{
    (void)s;
    CLEANUP(store_freep) struct store *st = memstore_new();
    struct err err = {0};
    memstore_be(st, true, false, true);
    create(st, "a/1", "x");
    assert_true(store_retain(st, "a/1", MEMSTORE_START_MS + 1000, &err));
    assert_false(store_remove(st, "a/1", &err));
    assert_int_equal(err.kind, ERR_DENIED);
    err_clear(&err);
    CLEANUP(store_freep) struct store *copy = memstore_clone(st);
    assert_int_equal(memstore_retained_ms(copy, "a/1"), MEMSTORE_START_MS + 1000);
    memstore_advance(copy, 2000);
    assert_true(store_remove(copy, "a/1", &err));
    assert_non_null(memstore_file(st, "a/1"));
    memstore_drop(st, "a/1");
    assert_int_equal(memstore_count(st, ""), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),         cmocka_unit_test(creates_once),
        cmocka_unit_test(lists),         cmocka_unit_test(errors_say_where),
        cmocka_unit_test(loses_answers), cmocka_unit_test(tells_untruths),
        cmocka_unit_test(races),         cmocka_unit_test(clones_and_retains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
