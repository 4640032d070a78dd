// SPDX-License-Identifier: Apache-2.0
//
// A repository in a folder: the contract on a real file system; what is owed after a power cut at
// any step, and after any call that fails.
#include "snapshot/store_folder.h"

#include <errno.h>

#include "base/file.h"
#include "tests/snapshot/contract.h"
#include "tests/snapshot/powercut.h"
#include "tests/test.h"

static void real_folder(void **state)
{
    CLEANUP(dir_temp_cleanup) char *dir = NULL;
    struct err err = {0};
    (void)state;
    assert_true(dir_make_temp("regrow-test", &dir, &err));
    CLEANUP(str_freep) char *sub = path_join(dir, "a/new/folder");
    struct store *s = store_folder_new(sub, folder_fs_real());
    store_contract(s);
    store_free(s);
}

static void simulated_folder(void **state)
{
    (void)state;
    struct powercut *p = powercut_new(1);
    struct store *s = store_folder_new("/repo", powercut_fs(p));
    struct err err = {0};
    bool made = false;
    assert_true(store_create(s, "trust/0001", "x", 1, NULL, &made, &err));
    assert_true(made);
    store_free(s);
    powercut_free(p);
}

static void probed(void **state)
{
    CLEANUP(dir_temp_cleanup) char *dir = NULL;
    struct err err = {0};
    struct store_guarantees g = {0};
    (void)state;
    assert_true(dir_make_temp("regrow-test", &dir, &err));
    struct store_opts o = {.url = dir};
    struct store *s = NULL;
    assert_true(store_open(&o, &s, &err));
    assert_true(store_probe(s, &o, &g, &err));
    assert_true(g.atomic_create && g.list_after_create);
    struct store_items items = {0};
    assert_true(store_list(s, "", &items, &err));
    assert_int_equal(items.v.len, 0); // nothing is left behind
    store_items_clear(&items);
    store_free(s);
}

// What `create` reported as made is there after the cut, whole; anything else is whole or absent.
static void expect_owed(struct store *s, const char *name, const char *bytes, bool reported)
{
    struct err err = {0};
    struct buf b = {0};
    bool found = false;
    assert_true(store_get(s, name, 100, &b, &found, &err));
    if (reported && !found)
        fail_msg("%s was reported and is gone", name);
    if (found) {
        assert_int_equal(b.len, strlen(bytes));
        assert_memory_equal(b.p, bytes, b.len);
    }
    buf_clear(&b);
}

static const char *const files[][2] = {
    {"trust/0001", "the first trust"},
    {"chains/prod/packs/aa", "a pack that is longer than the others"},
    {"chains/prod/packs/bb", "b"},
    {"chains/prod/index/cc", "an index"},
    {"chains/prod/log/0000000001", "entry"},
};

static unsigned write_all(struct store *s, bool *reported)
{
    unsigned n = 0;
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct err err = {0};
        bool made = false;
        reported[i] =
            store_create(s, files[i][0], files[i][1], strlen(files[i][1]), NULL, &made, &err);
        n += reported[i];
        err_clear(&err);
    }
    return n;
}

static void power_cuts(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 400; seed++) {
        struct powercut *p = powercut_new(seed);
        struct store *s = store_folder_new("/repo", powercut_fs(p));
        bool reported[ARRAY_LEN(files)];
        powercut_at(p, 1 + (unsigned)(seed % 60));
        write_all(s, reported);
        powercut_reboot(p);
        for (size_t i = 0; i < ARRAY_LEN(files); i++)
            expect_owed(s, files[i][0], files[i][1], reported[i]);
        // The same again completes it.
        assert_int_equal(write_all(s, reported), ARRAY_LEN(files));
        for (size_t i = 0; i < ARRAY_LEN(files); i++)
            expect_owed(s, files[i][0], files[i][1], true);
        store_free(s);
        powercut_free(p);
    }
}

static void failing_calls(void **state)
{
    static const int errnos[] = {EIO, ENOSPC, EACCES, EROFS, EMFILE};
    (void)state;
    for (size_t e = 0; e < ARRAY_LEN(errnos); e++) {
        for (unsigned step = 1; step < 60; step++) {
            struct powercut *p = powercut_new(step);
            struct store *s = store_folder_new("/repo", powercut_fs(p));
            bool reported[ARRAY_LEN(files)];
            powercut_fail(p, step, errnos[e]);
            write_all(s, reported);
            powercut_fail(p, 0, 0);
            for (size_t i = 0; i < ARRAY_LEN(files); i++)
                expect_owed(s, files[i][0], files[i][1], reported[i]);
            // Once it works again the same completes it, for another process too; and what it
            // reports survives a power cut right afterwards.
            store_free(s);
            s = store_folder_new("/repo", powercut_fs(p));
            assert_int_equal(write_all(s, reported), ARRAY_LEN(files));
            powercut_reboot(p);
            for (size_t i = 0; i < ARRAY_LEN(files); i++)
                expect_owed(s, files[i][0], files[i][1], true);
            store_free(s);
            powercut_free(p);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_folder), cmocka_unit_test(simulated_folder), cmocka_unit_test(probed),
        cmocka_unit_test(power_cuts),  cmocka_unit_test(failing_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
