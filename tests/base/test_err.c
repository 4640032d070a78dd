// SPDX-License-Identifier: Apache-2.0
#include "base/err.h"

#include <errno.h>

#include "tests/test.h"

static void wraps_from_the_inside_out(void **s)
{
    (void)s;
    struct err err = {0};
    assert_false(err_is_set(&err));
    assert_false(err_set(&err, ERR_CONFLICT, "409 on %s", ".spec"));
    assert_false(err_wrap(&err, "apply %s", "web/api"));
    assert_false(err_wrap(&err, "restore"));
    assert_string_equal(err.msg, "restore: apply web/api: 409 on .spec");
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_null(err.hint);
    err_hint(&err, "try %d", 1);
    err_hint(&err, "try %d", 2);
    assert_string_equal(err.hint, "try 2");
    err_clear(&err);
    assert_false(err_is_set(&err));
    assert_null(err.msg);
    err_clear(&err); // twice is fine
}

static void moves_and_copies(void **s)
{
    (void)s;
    struct err a = {0};
    struct err b = {0};
    struct err c = {0};
    err_set(&a, ERR_TIMEOUT, "slow");
    err_hint(&a, "wait");
    err_copy(&b, &a);
    assert_string_equal(b.msg, "slow");
    assert_string_equal(b.hint, "wait");
    assert_ptr_not_equal(b.msg, a.msg);
    err_move(&c, &a);
    assert_false(err_is_set(&a));
    assert_int_equal(c.kind, ERR_TIMEOUT);
    err_clear(&b);
    err_clear(&c);
}

static void errno_decides_the_kind(void **s)
{
    (void)s;
    const struct {
        int errnum;
        enum err_kind kind;
    } rows[] = {
        {ENOENT, ERR_NOT_FOUND},
        {ENOTDIR, ERR_NOT_FOUND},
        {EACCES, ERR_DENIED},
        {EPERM, ERR_DENIED},
        {EROFS, ERR_DENIED},
        {ETIMEDOUT, ERR_TIMEOUT},
        {EINTR, ERR_CANCELLED},
        {ENOEXEC, ERR_INVALID},
        {ENOSPC, ERR_UNAVAILABLE},
        {ECONNREFUSED, ERR_UNAVAILABLE},
        {ENETUNREACH, ERR_UNAVAILABLE},
        {EINVAL, ERR_INTERNAL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = {0};
        assert_false(err_set_errno(&err, rows[i].errnum, "open %s", "x"));
        assert_int_equal(err.kind, rows[i].kind);
        assert_true(str_starts(err.msg, "open x: "));
        err_clear(&err);
    }
}

static void exit_codes_are_the_documented_ones(void **s)
{
    (void)s;
    const struct {
        enum err_kind kind;
        int code;
        const char *name;
    } rows[] = {
        {ERR_NONE, 0, "none"},           {ERR_INTERNAL, 1, "internal"},
        {ERR_USAGE, 2, "usage"},         {ERR_INVALID, 3, "invalid"},
        {ERR_NOT_FOUND, 4, "not_found"}, {ERR_DENIED, 5, "denied"},
        {ERR_CONFLICT, 6, "conflict"},   {ERR_UNAVAILABLE, 7, "unavailable"},
        {ERR_TIMEOUT, 8, "timeout"},     {ERR_CORRUPT, 9, "corrupt"},
        {ERR_PARTIAL, 10, "partial"},    {ERR_CANCELLED, 130, "cancelled"},
    };
    assert_int_equal(ARRAY_LEN(rows), ERR_CANCELLED + 1);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(err_exit_code(rows[i].kind), rows[i].code);
        assert_string_equal(err_kind_name(rows[i].kind), rows[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wraps_from_the_inside_out),
        cmocka_unit_test(moves_and_copies),
        cmocka_unit_test(errno_decides_the_kind),
        cmocka_unit_test(exit_codes_are_the_documented_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
