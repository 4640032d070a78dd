// SPDX-License-Identifier: Apache-2.0
//
// A small repository as a whole: it reads; a file changed, swapped or taken away is found out or
// changes nothing; nothing secret stands in it in clear.
#include "snapshot/repo.h"

#include "tests/snapshot/smallrepo.h"
#include "tests/test.h"

struct fixture {
    struct store *st;
    struct sha256 pin;
    struct sha256 sum; // of what is read when all is well
    struct age_identity identity;
    struct store_items files;
};

static bool read_clone(const struct fixture *f, struct store *clone_take, struct sha256 *sum,
                       struct err *err)
{
    return small_repo_read(clone_take, &f->pin, &f->identity, true, sum, err);
}

static void fixture_init(struct fixture *f, bool atomic_create)
{
    struct err err = {0};
    static const char *const flags[] = {TRUST_PAGES, TRUST_SALTED_FILES, TRUST_ZSTD_INDEX,
                                        TRUST_ZSTD_ROWS};
    *f = (struct fixture){.st = atomic_create ? small_repo_flags(flags, ARRAY_LEN(flags))
                                              : small_repo(false),
                          .identity = kit_identity(1)};
    f->pin = kit_pin(f->st);
    if (!small_repo_read(memstore_clone(f->st), &f->pin, &f->identity, false, &f->sum, &err) ||
        !store_list(f->st, "", &f->files, &err))
        fail_msg("%s", err.msg);
}

static void fixture_clear(struct fixture *f)
{
    store_items_clear(&f->files);
    store_free(f->st);
}

// Made once: naming pools is slow on purpose.
static int setup(void **state)
{
    *state = mem_alloc(sizeof(struct fixture));
    fixture_init(*state, true);
    return 0;
}

static int teardown(void **state)
{
    fixture_clear(*state);
    free(*state);
    return 0;
}

// Either nothing has changed for a reader, or he is told so.
static void assert_safe(const struct fixture *f, struct store *clone_take, const char *what,
                        size_t at)
{
    struct sha256 sum;
    struct err err = {0};
    bool ok = read_clone(f, clone_take, &sum, &err);
    if (ok && !sha256_eq(&sum, &f->sum))
        fail_msg("%s, %zu: something else is read", what, at);
    if (!ok && err.kind != ERR_CORRUPT && err.kind != ERR_NOT_FOUND)
        fail_msg("%s, %zu: %s: %s", what, at, err_kind_name(err.kind), err.msg);
    err_clear(&err);
}

static void without_atomic_create(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    fixture_init(&f, false);
}

static bool is_named_by_hash(const char *name)
{
    return strstr(name, "/packs/") || strstr(name, "/index/");
}

// Whoever asks for it, a file whose name is a hash is given out only as what it is called.
static void any_byte_of_what_a_hash_names(void **s)
{
    const struct fixture *f = *s;
    struct repo r;
    log_kit_open(memstore_clone(f->st), &r);
    for (size_t i = 0; i < f->files.v.len; i++) {
        const char *name = f->files.v.v[i].name;
        struct buf b CLEANUP(buf_clear) = {0};
        const struct buf *file = memstore_file(f->st, name);
        buf_append(&b, file->p, file->len);
        for (size_t at = 0; is_named_by_hash(name) && at < b.len; at++) {
            struct buf got CLEANUP(buf_clear) = {0};
            struct err err = {0};
            b.p[at] = (char)(b.p[at] ^ 1 << at % 8);
            memstore_put(r.store, name, b.p, b.len);
            assert_false(repo_fetch(&r, name, STORE_MAX_FILE_BYTES, &got, &err));
            assert_int_equal(err.kind, ERR_CORRUPT);
            err_clear(&err);
            b.p[at] = (char)(b.p[at] ^ 1 << at % 8);
        }
    }
    repo_close(&r);
}

// Not a byte may differ: with others nothing is read, and it is called damage.
static void assert_found(const struct fixture *f, struct store *clone_take, const char *what,
                         size_t at)
{
    struct sha256 sum;
    struct err err = {0};
    if (read_clone(f, clone_take, &sum, &err))
        fail_msg("%s, %zu: nobody finds it", what, at);
    if (err.kind != ERR_CORRUPT)
        fail_msg("%s, %zu: %s: %s", what, at, err_kind_name(err.kind), err.msg);
    err_clear(&err);
}

// Every byte of what is signed, and of all else enough to see that nobody reads past that.
static void any_byte(void **s)
{
    const struct fixture *f = *s;
    for (size_t i = 0; i < f->files.v.len; i++) {
        const char *name = f->files.v.v[i].name;
        struct buf b CLEANUP(buf_clear) = {0};
        const struct buf *file = memstore_file(f->st, name);
        buf_append(&b, file->p, file->len);
        for (size_t at = 0; at < b.len; at += is_named_by_hash(name) ? 97 : 1) {
            struct store *clone = memstore_clone(f->st);
            b.p[at] = (char)(b.p[at] ^ 1 << at % 8);
            memstore_put(clone, name, b.p, b.len);
            assert_found(f, clone, name, at);
            b.p[at] = (char)(b.p[at] ^ 1 << at % 8);
        }
    }
}

static void any_file_cut_or_gone(void **s)
{
    const struct fixture *f = *s;
    for (size_t i = 0; i < f->files.v.len; i++) {
        const char *name = f->files.v.v[i].name;
        const struct buf *file = memstore_file(f->st, name);
        struct store *clone = memstore_clone(f->st);
        memstore_drop(clone, name);
        struct sha256 sum;
        struct err err = {0};
        // The newest entry apart: only who remembers it misses it.
        bool ok = read_clone(f, clone, &sum, &err);
        if (ok && !sha256_eq(&sum, &f->sum) && !str_ends(name, "log/0000000004"))
            fail_msg("nobody misses %s", name);
        err_clear(&err);
        for (size_t len = 0; len < file->len; len += file->len / 7 + 1) {
            clone = memstore_clone(f->st);
            memstore_put(clone, name, file->p, len);
            assert_safe(f, clone, name, len);
        }
    }
}

// Every file under every other one's name.
static void any_two_swapped(void **s)
{
    const struct fixture *f = *s;
    for (size_t i = 0; i < f->files.v.len; i++)
        for (size_t k = 0; k < f->files.v.len; k++) {
            const struct buf *file = memstore_file(f->st, f->files.v.v[i].name);
            struct store *clone = memstore_clone(f->st);
            memstore_put(clone, f->files.v.v[k].name, file->p, file->len);
            assert_safe(f, clone, f->files.v.v[k].name, i);
        }
}

// A stranger's repository in the same place, whole and well signed, is not the pinned one.
static void another_repository(void **s)
{
    const struct fixture *f = *s;
    struct sha256 sum;
    struct err err = {0};
    struct fixture other = *f;
    other.pin.b[0] ^= 1;
    assert_false(read_clone(&other, memstore_clone(f->st), &sum, &err));
    assert_int_equal(err.kind, ERR_CORRUPT);
    err_clear(&err);
    other.pin.b[0] ^= 1;
    other.identity = kit_identity(2); // the pin is right, the identity is not
    assert_false(read_clone(&other, memstore_clone(f->st), &sum, &err));
    err_clear(&err);
}

static bool holds(const struct buf *b, const char *text)
{
    return memmem(b->p, b->len, text, strlen(text)) != NULL;
}

static void nothing_in_clear(void **s)
{
    static const char *const words[] = {SMALL_SECRET, "git.example.com", "ConfigMap", "8e5e4306",
                                        "podinfo",    "hello",           "login"};
    const struct fixture *f = *s;
    for (size_t i = 0; i < f->files.v.len; i++)
        for (size_t k = 0; k < ARRAY_LEN(words); k++)
            if (holds(memstore_file(f->st, f->files.v.v[i].name), words[k]))
                fail_msg("%s holds \"%s\"", f->files.v.v[i].name, words[k]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_atomic_create),
        cmocka_unit_test(any_byte),
        cmocka_unit_test(any_byte_of_what_a_hash_names),
        cmocka_unit_test(any_file_cut_or_gone),
        cmocka_unit_test(any_two_swapped),
        cmocka_unit_test(another_repository),
        cmocka_unit_test(nothing_in_clear),
    };
    return cmocka_run_group_tests_name("snapshot whole", tests, setup, teardown);
}
