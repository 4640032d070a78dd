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

// The message with which a text is refused.
static char *refusal_of(const char *p, size_t len, size_t max_bytes)
{
    struct yaml_docs d = {0};
    struct err err = {0};
    struct yaml_opts o = {.name = "x", .max_bytes = max_bytes};
    assert_false(yaml_read(p, len, &o, &d, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    char *msg = str_dup(err.msg);
    err_clear(&err);
    return msg;
}

static void check_refused(const struct buf *text, size_t max_bytes, const char *want)
{
    CLEANUP(str_freep) char *got = refusal_of(text->p, text->len, max_bytes);
    assert_string_equal(got, want);
}

static void repeat(struct buf *b, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_str(b, s);
}

static void bounds(void **s)
{
    (void)s;
    struct buf b CLEANUP(buf_clear) = {0};
    repeat(&b, "[", 600);
    check_refused(&b, 0, "x:1: nested deeper than 512");
    check_refused(&b, 10, "x: larger than 0 MiB");
    buf_reset(&b);
    for (int i = 0; i <= 10000; i++)
        buf_printf(&b, "- &a%d 1\n", i);
    check_refused(&b, 0, "x:10001: too many anchors");
    buf_reset(&b);
    buf_str(&b, "a: 1\n---\na: \"");
    repeat(&b, "xxxxxxxx", 2U << 20);
    buf_str(&b, "\"\n");
    check_refused(&b, 0, "x:3: the document is larger than 16 MiB");
    buf_str(&b, "# much more\n");
    check_refused(&b, 1U << 20, "x: larger than 1 MiB");
    buf_reset(&b);
    buf_str(&b, "{\"a\":\"");
    repeat(&b, "xxxxxxxx", 2U << 20);
    buf_str(&b, "\"}");
    check_refused(&b, 0, "x:1: the document is larger than 16 MiB");
}

// Few nodes, much text: Go's rule does not see it, memory would.
static void repeated_text(void **s)
{
    (void)s;
    struct buf b CLEANUP(buf_clear) = {0};
    buf_str(&b, "a: &x \"");
    repeat(&b, "xxxxxxxxxxxxxxxx", 65536);
    buf_str(&b, "\"\nb:\n");
    repeat(&b, "- *x\n", 70);
    check_refused(&b, 0, "x:67: aliases repeat more than 64 MiB of text");
}

static void check_message(const char *text, const char *want)
{
    CLEANUP(str_freep) char *got = refusal_of(text, strlen(text), 0);
    assert_string_equal(got, want);
}

static void messages(void **s)
{
    (void)s;
    check_message("a: 1\n---\n1: a\n\"1\": b\n", "x:4: key \"1\" is set twice");
    check_message("a:\n\tb: 1\n", "x:2: a tab cannot indent YAML: found character that cannot "
                                  "start any token, while scanning for the next token");
    check_message("a:\n  b: 1\n  b: 2\n", "x:3: key \"b\" is set twice");
    check_message("{\"a\":1}\n{\"b\":1,\n\"b\":2}", "x:3: a key is set twice in one map");
    check_message("{\"a\":1}\n{\"b\":1}\n---\n", "x:3: not JSON: line 1: invalid token");
    check_message("{\"a\":1}\n---\nb: [\n",
                  "x:4: did not find expected node content, while parsing "
                  "a flow node");
    check_message("a: 1\n...\nb: 2\n", "x:3: text after the end of the document is ignored by "
                                       "kubectl");
    check_message("  a: 1\nb: 2\n",
                  "x:2: text after the end of the document is ignored by kubectl");
    check_message("a: 1\n--- b\n", "x:2: text after \"---\"");
    check_message("a: 1\nb: \x01\n", "x:2: control characters are not allowed");
    check_message("a: !!int secret\n", "x:1: a value is not of its type, !!int");
    check_message("a: *b\n", "x:1: unknown anchor \"b\"");
    check_message("a: &b [*b]\n", "x:1: anchor \"b\" contains itself");
    check_message("a: .inf\n", "x:1: .inf is not a JSON number");
    check_message("a:\n  <<: 1\n", "x:2: a merge needs a map or a list of maps");
    check_message("~: 1\n", "x:1: a map key must be a string, a number or a boolean");
}

static void anchors_are_copied(void **s)
{
    (void)s;
    CLEANUP(json_freep)
    json_t *v = doc_of("a: &x {b: {c: 1}}\nd: *x\ne: {<<: *x}\nf: {<<: [*x]}\n");
    json_object_set_new(json_dot(v, "a.b"), "c", json_integer(2));
    assert_int_equal(json_dot_int(v, "d.b.c", 0), 1);
    assert_int_equal(json_dot_int(v, "e.b.c", 0), 1);
    json_object_set_new(json_dot(v, "e.b"), "c", json_integer(3));
    assert_int_equal(json_dot_int(v, "f.b.c", 0), 1);
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
    assert_string_equal(d.warnings.v[0], "x.yaml:5: key \"b\" is set twice; the last one counts");
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

// Values that a careless writer would change.
static void written_values(void **s)
{
    (void)s;
    static const char *const texts[] = {
        "yes",
        "y",
        "null",
        "~",
        "",
        "0755",
        "1e3",
        ".5",
        ".inf",
        "-",
        "- a",
        "? a",
        "a: b",
        "a:",
        "a #b",
        "#a",
        "<<",
        "=",
        "...",
        "... a",
        "---",
        "--- a",
        "%a",
        "@a",
        "`a",
        "*a",
        "&a",
        "!a",
        "|",
        ">",
        "'a",
        "\"a",
        " a",
        "a ",
        "a\n",
        "a\n\n",
        "\na",
        "a\n b\n",
        "a\n\tb\n",
        "a \nb",
        "a\n  \nb",
        "\ta",
        "a\tb",
        "a\r\nb",
        "\xc3\xa9",
        "a\xe2\x80\xa8"
        "b",
        "\xef\xbb\xbf",
        "a\nb",
        "a\n\nb\n",
        "2001-01-01",
        "1_0",
        "[a",
        "{a",
        ",a",
        "a,b",
        "a]",
        "\x7f",
        "\\",
        "a'b",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        CLEANUP(json_freep)
        json_t *v = json_pack("{s:s, s:[s,[s],{s:s}], s:{s:s}}", "k", texts[i], "l", texts[i],
                              texts[i], texts[i], texts[i], "m", "n", texts[i]);
        json_object_set_new(v, texts[i], json_integer(1));
        struct buf b CLEANUP(buf_clear) = {0};
        yaml_write(v, &b);
        CLEANUP(json_freep) json_t *again = doc_of(b.p);
        if (!json_equal(v, again))
            fail_msg("\"%s\" changed in\n%s", texts[i], b.p);
        buf_reset(&b);
        CLEANUP(json_freep) json_t *alone = json_string(texts[i]);
        yaml_write(alone, &b);
        CLEANUP(json_freep) json_t *back = doc_of(b.p);
        if (!json_equal(alone, back))
            fail_msg("\"%s\" changed alone in\n%s", texts[i], b.p);
    }
    struct buf key CLEANUP(buf_clear) = {0};
    repeat(&key, "long ", 300);
    CLEANUP(json_freep) json_t *v = json_pack("{s:{s:[i,i]}, s:i}", key.p, key.p, 1, 2, "a", 3);
    struct buf b CLEANUP(buf_clear) = {0};
    yaml_write(v, &b);
    CLEANUP(json_freep) json_t *again = doc_of(b.p);
    assert_true(json_equal(v, again));
}

static void layout(void **s)
{
    (void)s;
    CLEANUP(json_freep)
    json_t *v =
        doc_of("{spec: {b: [1, {x: 1, a: [], \"y\": {}}, [2]], a: \"l1\\nl2\\n\"}, metadata: {z: "
               "'1', name: a}, kind: X, apiVersion: v1}");
    struct buf b CLEANUP(buf_clear) = {0};
    yaml_write(v, &b);
    assert_string_equal(b.p, "apiVersion: v1\nkind: X\nmetadata:\n  name: a\n  z: \"1\"\nspec:\n"
                             "  a: |\n    l1\n    l2\n  b:\n  - 1\n  - a: []\n    x: 1\n"
                             "    \"y\": {}\n  -\n    - 2\n");
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
        cmocka_unit_test(traps),           cmocka_unit_test(alias_bomb),
        cmocka_unit_test(bounds),          cmocka_unit_test(repeated_text),
        cmocka_unit_test(messages),        cmocka_unit_test(anchors_are_copied),
        cmocka_unit_test(written_values),  cmocka_unit_test(layout),
        cmocka_unit_test(lines_are_named), cmocka_unit_test(writer_round_trip),
        cmocka_unit_test(canonical_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
