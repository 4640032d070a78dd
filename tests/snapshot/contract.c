// SPDX-License-Identifier: Apache-2.0
#include "tests/snapshot/contract.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "tests/test.h"

#define CHAIN "chains/prod"

static char *hash_name(const char *folder, const void *p, size_t len)
{
    struct sha256 h = sha256_of(p, len);
    char *hex = hex_encode(h.b, sizeof(h.b));
    char *name = str_printf(CHAIN "/%s/%s", folder, hex);
    free(hex);
    return name;
}

// An entry's name: where no name is claimed atomically it carries the hash of its bytes.
static char *entry_name(const struct store *s, unsigned seq, const void *p, size_t len)
{
    struct sha256 h = sha256_of(p, len);
    char *hex = hex_encode(h.b, 8);
    char *name = s->ops->traits.may_create_atomic ? str_printf(CHAIN "/log/%010u", seq)
                                                  : str_printf(CHAIN "/log/%010u-%s", seq, hex);
    free(hex);
    return name;
}

static void ok(bool done, struct err *err)
{
    if (!done)
        fail_msg("%s", err->msg);
}

static void create(struct store *s, const char *name, const void *p, size_t len,
                   const struct strv *needs, bool expect_made)
{
    struct err err = {0};
    bool made = !expect_made;
    ok(store_create(s, name, p, len, needs, &made, &err), &err);
    assert_int_equal(made, expect_made);
}

// The same bytes again: whose they are cannot be told, and after an unclear answer a store looks at
// the bytes, so both answers are right.
static void create_again(struct store *s, const char *name, const void *p, size_t len,
                         const struct strv *needs)
{
    struct err err = {0};
    bool made = false;
    ok(store_create(s, name, p, len, needs, &made, &err), &err);
}

static void expect(struct store *s, const char *name, const void *p, size_t len)
{
    struct err err = {0};
    struct buf b = {0};
    bool found = false;
    ok(store_get(s, name, STORE_MAX_FILE_BYTES, &b, &found, &err), &err);
    assert_true(found);
    assert_int_equal(b.len, len);
    if (len)
        assert_memory_equal(b.p, p, len);
    buf_clear(&b);
}

static void expect_absent(struct store *s, const char *name)
{
    struct err err = {0};
    struct buf b = {0};
    bool found = true;
    ok(store_get(s, name, 100, &b, &found, &err), &err);
    assert_false(found);
    assert_int_equal(b.len, 0);
    buf_clear(&b);
}

static bool lists(struct store *s, const char *prefix, const char *name, uint64_t *size)
{
    struct err err = {0};
    struct store_items items = {0};
    ok(store_list(s, prefix, &items, &err), &err);
    bool found = false;
    for (size_t i = 0; i < items.v.len; i++) {
        assert_true(str_starts(items.v.v[i].name, prefix));
        if (i)
            assert_true(strcmp(items.v.v[i - 1].name, items.v.v[i].name) < 0);
        if (!strcmp(items.v.v[i].name, name)) {
            found = true;
            *size = items.v.v[i].size;
        }
    }
    store_items_clear(&items);
    return found;
}

// Is anything there that is no leftover of a probe?
static void expect_stranger(struct store *s, bool want)
{
    struct err err = {0};
    CLEANUP(str_freep) char *name = NULL;
    ok(store_stranger(s, &name, &err), &err);
    if (s->ops->stranger && (name != NULL) != want)
        fail_msg("%s", name ? name : "nothing is there");
}

static void an_empty_store(struct store *s)
{
    uint64_t size;
    assert_false(lists(s, "", "regrow.json", &size));
    assert_false(lists(s, CHAIN "/log/", "x", &size));
    expect_absent(s, "regrow.json");
    expect_absent(s, "trust/0001");
    expect_absent(s, CHAIN "/log/0000000001");
}

static void whole_files(struct store *s)
{
    static const size_t sizes[] = {1, 1000, 65536, 3 << 20};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        char *p = mem_alloc(sizes[i]);
        for (size_t k = 0; k < sizes[i]; k++)
            p[k] = (char)(k * 131 + i);
        char *name = hash_name("packs", p, sizes[i]);
        create(s, name, p, sizes[i], NULL, true);
        expect(s, name, p, sizes[i]);
        create_again(s, name, p, sizes[i], NULL);
        expect(s, name, p, sizes[i]);
        free(name);
        free(p);
    }
}

// A bound that is too small is an error, not half a file.
static void bounded(struct store *s)
{
    struct err err = {0};
    struct buf b = {0};
    bool found = true;
    char *name = hash_name("packs", "0123456789", 10);
    create(s, name, "0123456789", 10, NULL, true);
    assert_false(store_get(s, name, 9, &b, &found, &err));
    assert_int_equal(err.kind, ERR_CORRUPT);
    assert_int_equal(b.len, 0);
    err_clear(&err);
    expect(s, name, "0123456789", 10);
    buf_clear(&b);
    free(name);
}

// What was there first stays.
static void first_wins(struct store *s)
{
    static const char *const names[] = {"regrow.json", "trust/0001"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        create(s, names[i], "first", 5, NULL, true);
        create(s, names[i], "second", 6, NULL, false);
        expect(s, names[i], "first", 5);
    }
}

static void entries(struct store *s)
{
    uint64_t size = 0;
    struct strv needs = {0};
    char *pack = hash_name("packs", "a pack", 6);
    char *index = hash_name("index", "an index", 8);
    create(s, pack, "a pack", 6, NULL, true);
    create(s, index, "an index", 8, NULL, true);
    strv_push(&needs, index);
    strv_push(&needs, pack);
    char *name = entry_name(s, 1, "entry one", 9);
    create(s, name, "entry one", 9, &needs, true);
    create_again(s, name, "entry one", 9, &needs);
    expect(s, name, "entry one", 9);
    assert_true(lists(s, CHAIN "/log/", name, &size));
    assert_true(lists(s, CHAIN "/packs/", pack, &size) && size == 6);
    assert_true(lists(s, CHAIN "/index/", index, &size) && size == 8);
    assert_true(lists(s, "", name, &size));
    assert_false(lists(s, "chains/pro/", name, &size));
    struct err err = {0};
    ok(store_remove(s, name, &err), &err);
    ok(store_remove(s, name, &err), &err); // absent is fine
    expect_absent(s, name);
    assert_false(lists(s, CHAIN "/log/", name, &size));
    strv_clear(&needs);
    free(name);
    free(pack);
    free(index);
}

static void keys(struct store *s)
{
    uint64_t size = 0;
    struct sha256 h = sha256_of("slot", 4);
    char *hex = hex_encode(h.b, sizeof(h.b));
    char *name = str_printf("keys/%s", hex);
    create(s, name, "slot", 4, NULL, true);
    expect(s, name, "slot", 4);
    assert_true(lists(s, "keys/", name, &size));
    free(name);
    free(hex);
}

static void clock_of(struct store *s)
{
    struct err err = {0};
    int64_t now = 0;
    ok(store_now(s, &now, &err), &err);
    int64_t skew = now - clock_unix_ms();
    assert_true(skew > -10000 && skew < 10000); // servers of the tests run on this machine
}

static void names_are_checked(struct store *s)
{
    static const char *const bad[] = {"",   "/etc/passwd", "../x",  "a/../b", "a//b", "a/",
                                      ".x", "a/.tmp-x",    "a b/c", "a\nb",   "ä"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = {0};
        bool made = false;
        assert_false(store_create(s, bad[i], "x", 1, NULL, &made, &err));
        assert_int_equal(err.kind, ERR_INVALID);
        err_clear(&err);
    }
}

void store_contract(struct store *s)
{
    an_empty_store(s);
    expect_stranger(s, false);
    if (s->ops->traits.may_create_atomic)
        create(s, STORE_PROBE "0123-4", "x", 1, NULL, true);
    expect_stranger(s, false);
    whole_files(s);
    bounded(s);
    first_wins(s);
    entries(s);
    keys(s);
    expect_stranger(s, true);
    clock_of(s);
    names_are_checked(s);
}
