// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"

#include "tests/test.h"

// FIPS 180-2, appendix B.
static void known_answers(void **s)
{
    (void)s;
    const char *const rows[][2] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sha256 h = sha256_of(rows[i][0], strlen(rows[i][0]));
        CLEANUP(str_freep) char *hex = hex_encode(h.b, sizeof(h.b));
        assert_string_equal(hex, rows[i][1]);
    }
}

static void in_pieces(void **s)
{
    (void)s;
    char text[1000];
    memset(text, 'x', sizeof(text));
    struct sha256 whole = sha256_of(text, sizeof(text));
    for (size_t step = 1; step < 200; step += 37) {
        struct sha256_ctx *c = sha256_begin();
        for (size_t at = 0; at < sizeof(text); at += step)
            sha256_add(c, text + at, at + step > sizeof(text) ? sizeof(text) - at : step);
        struct sha256 h = sha256_end(c);
        assert_true(sha256_eq(&h, &whole));
    }
}

static void strings_do_not_run_together(void **s)
{
    (void)s;
    struct sha256_ctx *c = sha256_begin();
    sha256_add_str(c, "ab");
    sha256_add_str(c, "c");
    struct sha256 a = sha256_end(c);
    c = sha256_begin();
    sha256_add_str(c, "a");
    sha256_add_str(c, "bc");
    struct sha256 b = sha256_end(c);
    assert_false(sha256_eq(&a, &b));
    c = sha256_begin();
    sha256_add_str(c, NULL);
    a = sha256_end(c);
    b = sha256_of("", 1);
    assert_true(sha256_eq(&a, &b));
}

static void hex(void **s)
{
    (void)s;
    const uint8_t bytes[] = {0x00, 0x7f, 0xff, 0xa5};
    CLEANUP(str_freep) char *text = hex_encode(bytes, sizeof(bytes));
    assert_string_equal(text, "007fffa5");
    uint8_t back[4] = {0};
    assert_true(hex_decode("007FfFa5", back, sizeof(back)));
    assert_memory_equal(back, bytes, sizeof(bytes));
    assert_false(hex_decode("007fffa", back, sizeof(back)));
    assert_false(hex_decode("007fffa5a", back, sizeof(back)));
    assert_false(hex_decode("007fffag", back, sizeof(back)));
    assert_false(hex_decode(NULL, back, sizeof(back)));
    assert_true(hex_decode("", back, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(in_pieces),
        cmocka_unit_test(strings_do_not_run_together),
        cmocka_unit_test(hex),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
