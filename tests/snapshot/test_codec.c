// SPDX-License-Identifier: Apache-2.0
#include "snapshot/codec.h"

#include "tests/snapshot/bytes.h"
#include "tests/test.h"

static void bech32_round_trip(void **s)
{
    (void)s;
    for (unsigned i = 0; i < 200; i++) {
        char text[BECH32_MAX_CHARS + 1];
        uint8_t key[KEY_BYTES];
        uint8_t back[KEY_BYTES];
        CLEANUP(str_freep) char *seed = str_printf("key %u", i);
        fixed_key(seed, key);
        bech32_encode("age", key, text);
        assert_int_equal(strlen(text), 62);
        assert_true(bech32_decode(text, strlen(text), "age", back));
        assert_memory_equal(key, back, KEY_BYTES);
    }
}

// A recipient made by age.
static void bech32_known(void **s)
{
    (void)s;
    uint8_t key[KEY_BYTES];
    char text[BECH32_MAX_CHARS + 1];
    const char *known = "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg";
    assert_true(bech32_decode(known, strlen(known), "age", key));
    bech32_encode("age", key, text);
    assert_string_equal(text, known);
}

static void bech32_refuses(void **s)
{
    (void)s;
    uint8_t key[KEY_BYTES] = {1, 2, 3};
    uint8_t back[KEY_BYTES];
    char good[BECH32_MAX_CHARS + 1];
    bech32_encode("age", key, good);
    size_t n = strlen(good);
    for (size_t i = 0; i < n; i++) { // each character, each shorter form
        char text[BECH32_MAX_CHARS + 1];
        memcpy(text, good, n + 1);
        text[i] = text[i] == 'q' ? 'p' : 'q';
        assert_false(bech32_decode(text, n, "age", back));
        text[i] = '\0';
        assert_false(bech32_decode(text, n, "age", back));
        text[i] = 'b'; // not a digit
        assert_false(bech32_decode(text, n, "age", back));
        assert_false(bech32_decode(good, i, "age", back));
    }
    assert_false(bech32_decode(good, n, "agf", back));
    assert_false(bech32_decode(good, n, "ag", back));
    assert_true(bech32_decode(good, n, "age", back));
    char text[BECH32_MAX_CHARS + 1];
    for (size_t i = 0; i <= n; i++)
        text[i] = (char)(good[i] >= 'a' && good[i] <= 'z' ? good[i] - 'a' + 'A' : good[i]);
    assert_true(bech32_decode(text, n, "age", back)); // all in one case
    text[0] = 'a';
    assert_false(bech32_decode(text, n, "age", back));
    char long_text[1000];
    memset(long_text, 'q', sizeof(long_text));
    assert_false(bech32_decode(long_text, sizeof(long_text), "age", back));
    assert_false(bech32_decode(long_text, 0, "age", back));
}

// Right but for one thing: padding that is not zero, the checksum of Bech32m.
static void bech32_has_one_form(void **s)
{
    (void)s;
    uint8_t key[KEY_BYTES] = {0};
    uint8_t back[KEY_BYTES];
    char text[BECH32_MAX_CHARS + 1];
    const char *padded = "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqpfwgqrs";
    const char *bech32m = "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqpyvemq";
    bech32_encode("age", key, text);
    assert_string_equal(text, "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq5cu47z");
    assert_false(bech32_decode(padded, strlen(padded), "age", back));
    assert_false(bech32_decode(bech32m, strlen(bech32m), "age", back));
}

static void base64(void **s)
{
    (void)s;
    const struct {
        const char *text;
        bool is_padded;
        long len;
        const char *bytes;
    } rows[] = {
        {"", true, 0, ""},
        {"", false, 0, ""},
        {"Zg==", true, 1, "f"},
        {"Zg", false, 1, "f"},
        {"Zm8=", true, 2, "fo"},
        {"Zm8", false, 2, "fo"},
        {"Zm9v", true, 3, "foo"},
        {"Zm9v", false, 3, "foo"},
        {"Zm9vYg==", true, 4, "foob"},
        {"+/+/", true, 3, "\xfb\xff\xbf"},
        {"Zg", true, -1, NULL},
        {"Zg=", true, -1, NULL},
        {"Zg===", true, -1, NULL},
        {"Zg==", false, -1, NULL},
        {"Zm8=", false, -1, NULL},
        {"Z", false, -1, NULL},
        {"Z===", true, -1, NULL},
        {"====", true, -1, NULL},
        {"Zh==", true, -1, NULL},
        {"Zh", false, -1, NULL},
        {"Zm9=", true, -1, NULL},
        {"Zm 9", true, -1, NULL},
        {"Zm9v\n", true, -1, NULL},
        {"Zg==Zg==", true, -1, NULL},
        {"Zm-_", true, -1, NULL},
        {"Zm9\xc3", true, -1, NULL},
        {"=", false, -1, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t len = strlen(rows[i].text);
        uint8_t *out = mem_alloc(base64_room(len));
        assert_int_equal(base64_strict(rows[i].text, len, rows[i].is_padded, out), rows[i].len);
        if (rows[i].len > 0)
            assert_memory_equal(out, rows[i].bytes, (size_t)rows[i].len);
        free(out);
    }
    uint8_t out[base64_room(4)];
    assert_int_equal(base64_strict("Zm\0v", 4, false, out), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bech32_round_trip),
        cmocka_unit_test(bech32_known),
        cmocka_unit_test(bech32_refuses),
        cmocka_unit_test(bech32_has_one_form),
        cmocka_unit_test(base64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
