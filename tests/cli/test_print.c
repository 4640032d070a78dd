// SPDX-License-Identifier: Apache-2.0
#include "tests/test.h"

#include <locale.h>

#include "cli/cli.h"

static int use_utf8(void **state)
{
    (void)state;
    return setlocale(LC_CTYPE, "C.UTF-8") ? 0 : -1;
}

static void widths(void **state)
{
    (void)state;
    assert_int_equal(display_width("abc"), 3);
    assert_int_equal(display_width("├─ é"), 4);
    assert_int_equal(display_width("日本"), 4);
    assert_int_equal(display_width("e\xcc\x81"), 1); // a combining accent takes no column
    assert_int_equal(display_width("\xff\xfe"), 2);  // no UTF-8: a "?" each
    assert_int_equal(display_width(""), 0);
}

// What comes from outside can neither move the cursor nor begin a line of its own.
static void cleaned(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"plain", "plain"},
        {"one\ntwo\t three\r\n", "one two  three"},
        {"\033[31mred\033[0m", "?[31mred?[0m"},
        {"a\x07"
         "b\x7f",
         "a?b?"},
        {"a\xc2\x9b"
         "31m",
         "a?31m"}, // C1 CSI
        {"a\xe2\x80\xae"
         "b",
         "a?b"}, // right-to-left override
        {"bad \xff bytes", "bad ? bytes"},
        {"cut \xe2\x82", "cut ??"},
        {"grün 日本", "grün 日本"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(str_freep) char *have = clean(cases[i].text);
        assert_string_equal(have, cases[i].want);
    }
}

static void fitted(void **state)
{
    static const struct {
        const char *text;
        int width;
        const char *want;
    } cases[] = {{"abcdef", 6, "abcdef"},
                 {"abcdef", 5, "abcd…"},
                 {"日本語", 5, "日本…"},
                 {"日本語", 4, "日…"},
                 {"", 3, ""}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(str_freep) char *have = fit(cases[i].text, cases[i].width);
        assert_string_equal(have, cases[i].want);
    }
}

static void wrapped(void **state)
{
    static const struct {
        const char *text;
        int width;
        const char *want;
    } cases[] = {
        {"one two three four five", 0, "one two three four five"},
        {"one two three four five", 20, "one two three four\nfive"},
        {"a-word-that-is-longer-than-the-line", 20, "a-word-that-is-longe\nr-than-the-line"},
        {"before a-word-that-is-longer-than-it", 20, "before\na-word-that-is-longe\nr-than-it"},
        {"exactly twenty chars and more", 20, "exactly twenty chars\nand more"},
        {"what does not part" NBSP "stays", 20, "what does not\npart stays"},
        {"", 20, ""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(str_freep) char *have = wrap_text(cases[i].text, cases[i].width);
        assert_string_equal(have, cases[i].want);
    }
}

static void ages(void **state)
{
    static const struct {
        int64_t seconds;
        const char *want;
    } cases[] = {{-5, "0 s"},   {119, "119 s"},   {120, "2 min"},  {7199, "119 min"},
                 {7200, "2 h"}, {172799, "47 h"}, {172800, "2 d"}, {31536000, "365 d"}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(str_freep) char *have = age_text(cases[i].seconds);
        assert_string_equal(have, cases[i].want);
    }
}

// Of a Secret nothing of what it holds is shown, nor the copy of it that kubectl keeps, also
// where a whole map differs.
static void secrets(void **state)
{
    static const struct {
        const char *path, *value;
    } cases[] = {
        {"/metadata/annotations",
         "{\"a\":\"x\",\"kubectl.kubernetes.io/last-applied-configuration\":\"hush\"}"},
        {"/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration", "\"hush\""},
        {"/metadata", "{\"annotations\":{\"kubectl.kubernetes.io/last-applied-configuration\":"
                      "\"hush\"},\"name\":\"x\"}"},
        {"/data", "{\"k\":\"hush\"}"},
        {"/data/k", "\"hush\""},
        {"", "{\"stringData\":{\"k\":\"hush\"},\"type\":\"x\"}"}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(json_freep) json_t *v = json_loads(cases[i].value, JSON_DECODE_ANY, NULL);
        CLEANUP(json_freep) json_t *shown = secret_masked(cases[i].path, v);
        CLEANUP(str_freep) char *text = json_dumps(shown, JSON_ENCODE_ANY);
        assert_non_null(v);
        assert_null(strstr(text, "hush"));
        assert_non_null(strstr(text, "(secret)"));
        // What else there is, is told.
        assert_int_equal(!strstr(cases[i].value, "\"x\""), !strstr(text, "\"x\""));
    }
}

static void commands(void **state)
{
    static const struct {
        const char *word, *want;
    } cases[] = {{"https://h/r.git//a", "https://h/r.git//a"},
                 {"https://h/r.git//a?ref=main", "'https://h/r.git//a?ref=main'"},
                 {"my file", "'my file'"},
                 {"it's", "'it'\\''s'"},
                 {"", "''"}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(str_freep) char *have = shell_words("x", cases[i].word);
        assert_string_equal(have + 2, cases[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(widths),  cmocka_unit_test(cleaned),
                                       cmocka_unit_test(fitted),  cmocka_unit_test(wrapped),
                                       cmocka_unit_test(ages),    cmocka_unit_test(secrets),
                                       cmocka_unit_test(commands)};
    return cmocka_run_group_tests(tests, use_utf8, NULL);
}
