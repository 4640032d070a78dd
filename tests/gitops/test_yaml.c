// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "base/file.h"
#include "base/hash.h"
#include "tests/test.h"

#define TABLE "tests/gitops/cases/yaml/traps.txt"

static void unescape(const char *s, struct buf *out)
{
    for (; *s; s++) {
        if (*s != '\\') {
            buf_char(out, *s);
            continue;
        }
        unsigned char byte;
        switch (*++s) {
        case 'n':
            buf_char(out, '\n');
            break;
        case 'r':
            buf_char(out, '\r');
            break;
        case 't':
            buf_char(out, '\t');
            break;
        case 'x': {
            char hex[3] = {s[1], s[2], 0};
            assert_true(hex_decode(hex, &byte, 1));
            buf_char(out, (char)byte);
            s += 2;
            break;
        }
        default:
            assert_int_equal(*s, '\\');
            buf_char(out, '\\');
        }
    }
}

// All documents of a text side by side, or ERROR. Owned.
static char *read_all(const struct buf *text, bool warn_only)
{
    struct yaml_docs d = {0};
    struct err err = {0};
    struct yaml_opts o = {.name = "case", .warn_only = warn_only};
    struct buf b = {0};
    if (!yaml_read(text->p ? text->p : "", text->len, &o, &d, &err)) {
        assert_int_equal(err.kind, ERR_INVALID);
        assert_int_equal(d.docs.len, 0);
        err_clear(&err);
        return str_dup("ERROR");
    }
    for (size_t i = 0; i < d.docs.len; i++) {
        assert_int_equal(d.docs.v[i].index, i);
        if (i)
            buf_char(&b, ' ');
        canon_write(d.docs.v[i].value, &b);
    }
    yaml_docs_clear(&d);
    return buf_take(&b);
}

// The table's JSON as we would write it.
static char *canonical_list(const char *s)
{
    if (!strcmp(s, "ERROR"))
        return str_dup(s);
    struct buf b = {0};
    while (*s) {
        size_t used = 0;
        json_t *v = NULL;
        struct err err = {0};
        if (!canon_read_some(s, strlen(s), &used, &v, &err))
            fail_msg("%s: %s", s, err.msg);
        canon_write(v, &b);
        json_decref(v);
        s += used;
        if (*s == ' ')
            buf_char(&b, *s++);
    }
    return buf_take(&b);
}

static void check_row(size_t line, char *row)
{
    char *input = strsep(&row, "\t");
    char *kubectl = strsep(&row, "\t");
    const char *other = row ? row : "";
    assert_non_null(kubectl);
    struct buf text CLEANUP(buf_clear) = {0};
    unescape(input, &text);
    for (int lax = 0; lax < 2; lax++) {
        const char *want = str_starts(other, "ours=")             ? other + 5
                           : !lax && str_starts(other, "strict=") ? other + 7
                                                                  : kubectl;
        CLEANUP(str_freep) char *w = canonical_list(want);
        CLEANUP(str_freep) char *got = read_all(&text, lax);
        if (strcmp(got, w) != 0)
            fail_msg("%s:%zu: %s (%s)\n  got  %s\n  want %s", TABLE, line, input,
                     lax ? "lax" : "strict", got, w);
    }
}

static void traps(void **s)
{
    (void)s;
    struct buf f CLEANUP(buf_clear) = {0};
    struct err err = {0};
    struct strv lines = {0};
    if (!file_read(TABLE, 1U << 20, &f, &err))
        fail_msg("%s", err.msg);
    strv_split(&lines, f.p, '\n');
    size_t n = 0;
    for (size_t i = 0; i < lines.len; i++) {
        if (!lines.v[i][0] || lines.v[i][0] == '#')
            continue;
        check_row(i + 1, lines.v[i]);
        n++;
    }
    assert_true(n > 280);
    strv_clear(&lines);
}

static void alias_bomb(void **s)
{
    (void)s;
    struct buf b CLEANUP(buf_clear) = {0};
    buf_str(&b, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for (int i = 1; i < 9; i++) {
        buf_printf(&b, "a%d: &a%d [", i, i);
        for (int k = 0; k < 10; k++)
            buf_printf(&b, "%s*a%d", k ? "," : "", i - 1);
        buf_str(&b, "]\n");
    }
    struct yaml_docs d = {0};
    struct err err = {0};
    struct yaml_opts o = {.name = "bomb"};
    assert_false(yaml_read(b.p, b.len, &o, &d, &err));
    assert_non_null(strstr(err.msg, "excessive aliasing"));
    err_clear(&err);
}

static void bounds(void **s)
{
    (void)s;
    struct buf b CLEANUP(buf_clear) = {0};
    for (int i = 0; i < 600; i++)
        buf_str(&b, "[");
    struct yaml_docs d = {0};
    struct err err = {0};
    struct yaml_opts o = {.name = "deep"};
    assert_false(yaml_read(b.p, b.len, &o, &d, &err));
    err_clear(&err);
    o.max_bytes = 10;
    assert_false(yaml_read(b.p, b.len, &o, &d, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    err_clear(&err);
}

static void lines_are_named(void **s)
{
    (void)s;
    const char *text = "a: 1\n---\nb: 1\nc: 2\nb: 3\n";
    struct yaml_docs d = {0};
    struct err err = {0};
    struct yaml_opts o = {.name = "x.yaml"};
    assert_false(yaml_read(text, strlen(text), &o, &d, &err));
    assert_string_equal(err.msg, "x.yaml:5: key \"b\" is set twice");
    err_clear(&err);
    o.warn_only = true;
    assert_true(yaml_read(text, strlen(text), &o, &d, &err));
    assert_int_equal(d.docs.v[1].line, 3);
    assert_int_equal(d.warnings.len, 1);
    yaml_docs_clear(&d);
}

static void writer_round_trip(void **s)
{
    (void)s;
    const char *text = "a: \"yes\"\nb: [1, {c: d, e: []}, [x, y], \"\", \"a: b\", \"# x\"]\n"
                       "m: |\n  one\n\n  two\nn: |-\n  one\n  two\no: {}\np: \"\\u00e9\\u0001\"\n"
                       "\"on\": 'x y'\nq: \" lead\"\nr: \"trail \"\nnum: 1.5\nneg: -3\nz: null\n";
    CLEANUP(json_freep) json_t *v = doc_of(text);
    struct buf b CLEANUP(buf_clear) = {0};
    yaml_write(v, &b);
    CLEANUP(json_freep) json_t *again = doc_of(b.p);
    CLEANUP(str_freep) char *x = canon_of(v);
    CLEANUP(str_freep) char *y = canon_of(again);
    assert_string_equal(x, y);
}

static void canonical_text(void **s)
{
    (void)s;
    // Raw forms that the API server's YAML reader refuses or changes must be escaped.
    json_t *v = json_string("a\x7f\xc2\x85\xe2\x80\xa8\xef\xbb\xbf/\xf0\x9f\x98\x80");
    CLEANUP(str_freep) char *t = canon_of(v);
    assert_string_equal(t, "\"a\\u007f\\u0085\\u2028\\ufeff/\xf0\x9f\x98\x80\"");
    json_decref(v);
    json_t *r = json_real(0.1);
    CLEANUP(str_freep) char *n = canon_of(r);
    assert_string_equal(n, "0.1");
    json_decref(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(traps),
        cmocka_unit_test(alias_bomb),
        cmocka_unit_test(bounds),
        cmocka_unit_test(lines_are_named),
        cmocka_unit_test(writer_round_trip),
        cmocka_unit_test(canonical_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
