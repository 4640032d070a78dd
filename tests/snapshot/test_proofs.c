// SPDX-License-Identifier: Apache-2.0
//
// Notes of which files were read, and when: only of the very file, and never from a later time.
#include "snapshot/proofs.h"

#include <stdlib.h>

#include "base/file.h"
#include "tests/test.h"

static struct sha256 name_of(unsigned i)
{
    char text[16];
    snprintf(text, sizeof(text), "%u", i);
    return sha256_of(text, strlen(text));
}

static void push(struct proofs *p, unsigned i, uint64_t size, int64_t stored, int64_t read)
{
    *vec_push(&p->v) = (struct proof){name_of(i), size, stored, read};
}

static void finds(void **state)
{
    (void)state;
    struct proofs p = {0};
    for (unsigned i = 0; i < 50; i++)
        push(&p, i, 100 + i, 1000 + (int64_t)i, 10 + (int64_t)i);
    proofs_sort(&p);
    struct sha256 seven = name_of(7);
    struct sha256 other = name_of(77);
    assert_int_equal(proofs_find(&p, &seven, 107, 1007, 100), 17);
    assert_int_equal(proofs_find(&p, &seven, 108, 1007, 100), 0); // of another size
    assert_int_equal(proofs_find(&p, &seven, 107, 1008, 100), 0); // put there anew
    assert_int_equal(proofs_find(&p, &seven, 107, 1007, 16), 0);  // read in the future
    assert_int_equal(proofs_find(&p, &other, 107, 1007, 100), 0);
    proofs_clear(&p);
    assert_int_equal(proofs_find(&p, &seven, 107, 1007, 100), 0);
}

static void round_trip(void **state)
{
    (void)state;
    CLEANUP(dir_temp_cleanup) char *dir = NULL;
    struct err err = {0};
    struct proofs p = {0};
    struct proofs back = {0};
    assert_true(dir_make_temp("regrow-test", &dir, &err));
    push(&p, 1, 1, 0, 5);
    push(&p, 2, UINT32_MAX, INT64_C(1767225600123), INT64_C(1767225600));
    proofs_sort(&p);
    proofs_load(dir, "s3://a", "prod", &back); // not there
    assert_int_equal(back.v.len, 0);
    proofs_save(dir, "s3://a", "prod", &p);
    proofs_load(dir, "s3://b", "prod", &back);
    proofs_load(dir, "s3://a", "staging", &back);
    proofs_load(NULL, "s3://a", "prod", &back);
    assert_int_equal(back.v.len, 0);
    proofs_load(dir, "s3://a", "prod", &back);
    assert_int_equal(back.v.len, 2);
    assert_memory_equal(back.v.v, p.v.v, 2 * sizeof(struct proof));
    proofs_save("/nowhere", "s3://a", "prod", &p); // only slower
    proofs_clear(&p);
    proofs_clear(&back);
}

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void odd_lines(void **state)
{
    (void)state;
    static const char *const odd[] = {
        "",
        "\n\n",
        HEX,
        HEX " ",
        HEX " 1 2",
        HEX " 1 2 3 4",
        HEX " 1 2 -3",
        HEX " 1  2 3",
        HEX " x 2 3",
        HEX "0 1 2 3",
        "g" HEX " 1 2 3",
        HEX " 99999999999999999999 2 3",
        HEX " 1 2 3                                                                    ",
    };
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        struct proofs p = {0};
        CLEANUP(str_freep) char *text = str_printf("%s\n" HEX " 1 2 3", odd[i]);
        proofs_parse(text, strlen(text), &p);
        assert_int_equal(p.v.len, 1); // the rest counts
        assert_int_equal(p.v.v[0].read_s, 3);
        proofs_clear(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(finds), cmocka_unit_test(round_trip),
                                       cmocka_unit_test(odd_lines)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
