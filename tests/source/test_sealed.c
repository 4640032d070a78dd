// SPDX-License-Identifier: Apache-2.0
#include "source/sealed.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "tests/test.h"

static const char text[] = "kind: Secret, password: hunter2, and a zero \0 too";

static void test_round(void **state)
{
    struct buf a CLEANUP(buf_clear) = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    struct buf out CLEANUP(buf_clear) = {0};
    (void)state;
    assert_true(sealed_write(text, sizeof(text), &a) && sealed_write(text, sizeof(text), &b));
    assert_true(sealed_is(a.p, a.len));
    assert_null(memmem(a.p, a.len, "hunter2", 7));
    assert_false(a.len == b.len && !memcmp(a.p, b.p, a.len)); // what is equal does not show
    assert_true(sealed_read(a.p, a.len, &out));
    assert_int_equal(out.len, sizeof(text));
    assert_memory_equal(out.p, text, sizeof(text));
}

static void test_changed(void **state)
{
    struct buf a CLEANUP(buf_clear) = {0};
    struct buf out CLEANUP(buf_clear) = {0};
    (void)state;
    assert_true(sealed_write(text, sizeof(text), &a));
    for (size_t i = 0; i < a.len; i++) {
        a.p[i] ^= 1;
        assert_false(sealed_read(a.p, a.len, &out));
        a.p[i] ^= 1;
    }
    for (size_t n = 0; n < a.len; n++)
        assert_false(sealed_read(a.p, n, &out));
    assert_int_equal(out.len, 0);
}

static void test_other_key(void **state)
{
    const char *dir = *state;
    struct buf a CLEANUP(buf_clear) = {0};
    struct buf out CLEANUP(buf_clear) = {0};
    struct stat st;
    CLEANUP(str_freep) char *key = str_printf("%s/regrow/cache.key", dir);
    assert_true(sealed_write(text, sizeof(text), &a));
    assert_int_equal(stat(key, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(remove(key), 0);
    assert_false(sealed_read(a.p, a.len, &out)); // and another one is made
    unsetenv("XDG_STATE_HOME");
    unsetenv("HOME");
    assert_false(sealed_write(text, sizeof(text), &a)); // there is no place for one
}

int main(void)
{
    CLEANUP(dir_temp_cleanup) char *dir = NULL;
    struct err err = {0};
    if (!dir_make_temp("regrow-sealed", &dir, &err) || setenv("XDG_STATE_HOME", dir, 1) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round),
        cmocka_unit_test(test_changed),
        cmocka_unit_test_prestate(test_other_key, dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
