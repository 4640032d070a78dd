// SPDX-License-Identifier: Apache-2.0
//
// Signed lines: one good form, and each way to be refused. Every case is also a file of
// tests/snapshot/vectors/signed, for whoever reads the format with other means.
#include "snapshot/signed.h"

#include "tests/snapshot/bytes.h"
#include "tests/snapshot/vectors.h"
#include "tests/test.h"

#define MAX 4096
#define SIG_LINE 106

static struct signer signer(const char *seed)
{
    struct signer s;
    uint8_t raw[KEY_BYTES];
    fixed_key(seed, raw);
    signer_from_seed(raw, &s);
    return s;
}

// A line signed by as many signers as wanted: "signer 0", "signer 1"…
static void line(unsigned n, struct buf *out)
{
    struct signer s[MAX_SIGNATURES];
    json_auto_t *body =
        json_pack("{s:s, s:i, s:[s,s]}", "zebra", "ä\n\"/", "ant", 7, "list", "b", "a");
    for (unsigned i = 0; i < n; i++) {
        CLEANUP(str_freep) char *seed = str_printf("signer %u", i);
        s[i] = signer(seed);
    }
    signed_write("test", body, s, n, out);
}

static void good(void **s)
{
    (void)s;
    for (unsigned n = 1; n <= MAX_SIGNATURES; n++) {
        struct buf b CLEANUP(buf_clear) = {0};
        struct signed_line l;
        struct err err = {0};
        line(n, &b);
        CLEANUP(str_freep) char *name = str_printf("signed/good-%u", n);
        assert_vector(name, b.p, b.len);
        assert_true(signed_split(b.p, b.len, b.len, "test", &l, &err));
        assert_int_equal(l.n_sigs, n);
        for (unsigned i = 0; i < n; i++) {
            CLEANUP(str_freep) char *seed = str_printf("signer %u", i);
            assert_true(signed_by(&l, signer(seed).public));
        }
        assert_false(signed_by(&l, signer("stranger").public));
        json_t *body = NULL;
        assert_true(signed_json(&l, &body, &err));
        CLEANUP(str_freep) char *text = canon_of(body);
        assert_string_equal(text, "{\"ant\":7,\"list\":[\"b\",\"a\"],\"type\":\"regrow test "
                                  "v1\",\"zebra\":\"ä\\n\\\"/\"}");
        json_decref(body);
    }
}

// How far a reader comes with a file.
enum stage { GRAMMAR, SIGNATURE, PARSER, TAKEN };

static enum stage stage_of(const struct buf *b)
{
    struct signed_line l;
    struct err err = {0};
    json_t *body = NULL;
    // In a copy of exactly its size, so that a read behind it is seen.
    CLEANUP(str_freep) char *exact = mem_realloc(NULL, b->len, 1);
    memcpy(exact, b->p, b->len);
    enum stage stage = GRAMMAR;
    if (signed_split(exact, b->len, MAX, "test", &l, &err))
        stage = !signed_by(&l, signer("signer 0").public) ? SIGNATURE
                : !signed_json(&l, &body, &err)           ? PARSER
                                                          : TAKEN;
    if (stage == GRAMMAR || stage == PARSER)
        assert_int_equal(err.kind, ERR_CORRUPT);
    err_clear(&err);
    json_decref(body);
    return stage;
}

static void expect(const char *name, const struct buf *b, enum stage want)
{
    CLEANUP(str_freep) char *file = str_printf("signed/%s", name);
    assert_vector(file, b->p, b->len);
    if (stage_of(b) != want)
        fail_msg("%s comes to stage %d instead of %d", name, stage_of(b), want);
}

// signer 0 under any bytes.
static void sign_text(const char *text, size_t len, struct buf *out)
{
    struct signer by = signer("signer 0");
    uint8_t sig[SIG_BYTES];
    ed25519_sign(by.seed, text, len, sig);
    buf_append(out, text, len);
    buf_printf(out, "%s ", key_id_of(by.public).hex);
    buf_base64(out, sig, sizeof(sig));
    buf_char(out, '\n');
}

static void other_signatures(void **s)
{
    (void)s;
    struct buf b CLEANUP(buf_clear) = {0};
    char swap[SIG_LINE];
    line(2, &b);
    char *first = b.p + b.len - 2 * SIG_LINE;
    memcpy(swap, first, SIG_LINE);
    memmove(first, first + SIG_LINE, SIG_LINE);
    memcpy(first + SIG_LINE, swap, SIG_LINE);
    expect("swapped", &b, GRAMMAR);
    memcpy(first, first + SIG_LINE, SIG_LINE);
    expect("twice-the-same", &b, GRAMMAR);

    buf_reset(&b);
    line(8, &b);
    memcpy(swap, b.p + b.len - SIG_LINE, SIG_LINE);
    memset(swap, 'f', KEY_ID_HEX);
    buf_append(&b, swap, SIG_LINE);
    expect("nine", &b, GRAMMAR);
    b.len -= 9 * SIG_LINE;
    expect("none", &b, GRAMMAR);

    struct signer stranger = signer("stranger");
    json_auto_t *body = json_pack("{s:i}", "a", 1);
    buf_reset(&b);
    signed_write("test", body, &stranger, 1, &b);
    expect("unknown-key", &b, SIGNATURE);
    // Under the id of a known key: the id proves nothing.
    memcpy(b.p + b.len - SIG_LINE, key_id_of(signer("signer 0").public).hex, KEY_ID_HEX);
    expect("false-key-id", &b, SIGNATURE);
}

static void plus_l(void **s)
{
    (void)s;
    struct buf b CLEANUP(buf_clear) = {0};
    struct buf sig CLEANUP(buf_clear) = {0};
    struct buf text CLEANUP(buf_clear) = {0};
    uint8_t l[KEY_BYTES];
    unsigned carry = 0;
    line(1, &b);
    assert_true(base64_decode(b.p + b.len - 89, 88, &sig));
    unhex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010", l, sizeof(l));
    for (unsigned i = 0; i < KEY_BYTES; i++) {
        carry += (uint8_t)sig.p[32 + i] + l[i];
        sig.p[32 + i] = (char)carry;
        carry >>= 8;
    }
    buf_base64(&text, sig.p, sig.len);
    memcpy(b.p + b.len - 89, text.p, 88);
    expect("s-plus-l", &b, SIGNATURE);
}

static void other_forms(void **s)
{
    (void)s;
    struct buf b CLEANUP(buf_clear) = {0};
    line(1, &b);
    expect("good-1", &b, TAKEN);
    b.p[b.len - 106 + 3] = 'A'; // in the key id
    expect("upper-case-id", &b, GRAMMAR);
    buf_reset(&b);
    line(1, &b);
    b.p[b.len - 2] = 'A'; // instead of padding
    expect("no-padding", &b, GRAMMAR);
    buf_reset(&b);
    line(1, &b);
    buf_str(&b, "\n");
    expect("empty-line-behind", &b, GRAMMAR);
    b.len -= 2;
    expect("cut", &b, GRAMMAR);
    buf_reset(&b);
    line(1, &b);
    b.p[b.len - SIG_LINE + KEY_ID_HEX] = '\t';
    expect("tab", &b, GRAMMAR);
    buf_reset(&b);
    line(1, &b);
    b.p[30] ^= 1;
    expect("changed", &b, SIGNATURE);

    const struct {
        const char *name, *text;
        enum stage stage;
    } rows[] = {
        {"wrong-type", "{\"type\":\"regrow tes v1\",\"a\":1}\n", GRAMMAR},
        {"wrong-version", "{\"type\":\"regrow test v2\",\"a\":1}\n", GRAMMAR},
        {"blank-in-prefix", "{\"type\": \"regrow test v1\",\"a\":1}\n", GRAMMAR},
        {"type-not-first", "{\"a\":1,\"type\":\"regrow test v1\"}\n", GRAMMAR},
        {"only-the-type", "{\"type\":\"regrow test v1\"}\n", GRAMMAR},
        {"empty-line", "\n", GRAMMAR},
        {"not-json", "{\"type\":\"regrow test v1\",\"a\":}\n", PARSER},
        {"more-behind", "{\"type\":\"regrow test v1\",\"a\":1}{}\n", PARSER},
        {"key-twice", "{\"type\":\"regrow test v1\",\"a\":1,\"a\":2}\n", PARSER},
        {"type-twice", "{\"type\":\"regrow test v1\",\"type\":\"regrow trust v1\"}\n", PARSER},
        {"not-utf-8", "{\"type\":\"regrow test v1\",\"a\":\"\xff\"}\n", PARSER},
        {"nul-escaped", "{\"type\":\"regrow test v1\",\"a\":\"\\u0000\"}\n", PARSER},
        {"huge-number", "{\"type\":\"regrow test v1\",\"a\":99999999999999999999}\n", PARSER},
        {"member-unknown", "{\"type\":\"regrow test v1\",\"new\":{\"x\":[]}}\n", TAKEN},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        buf_reset(&b);
        sign_text(rows[i].text, strlen(rows[i].text), &b);
        expect(rows[i].name, &b, rows[i].stage);
    }
    const char nul[] = "{\"type\":\"regrow test v1\",\"a\":\"\0\"}\n";
    buf_reset(&b);
    sign_text(nul, sizeof(nul) - 1, &b);
    expect("nul", &b, PARSER);
}

// A body with a string of `len` and a depth of `depth` objects.
static void deep_body(size_t len, unsigned depth, struct buf *out)
{
    struct buf text CLEANUP(buf_clear) = {0};
    buf_str(&text, "{\"type\":\"regrow test v1\",\"s\":\"");
    for (size_t i = 0; i < len; i++)
        buf_char(&text, 'x');
    buf_str(&text, "\",\"d\":");
    for (unsigned i = 1; i < depth; i++)
        buf_char(&text, '[');
    for (unsigned i = 1; i < depth; i++)
        buf_char(&text, ']');
    buf_str(&text, "}\n");
    sign_text(text.p, text.len, out);
}

static enum err_kind read_deep(size_t len, unsigned depth)
{
    struct buf b CLEANUP(buf_clear) = {0};
    struct signed_line l;
    struct err err = {0};
    json_t *body = NULL;
    deep_body(len, depth, &b);
    assert_true(signed_split(b.p, b.len, b.len, "test", &l, &err));
    enum err_kind kind = signed_json(&l, &body, &err) ? ERR_NONE : err.kind;
    json_decref(body);
    err_clear(&err);
    return kind;
}

static void bounds(void **s)
{
    (void)s;
    assert_int_equal(read_deep(65536, 32), ERR_NONE);
    assert_int_equal(read_deep(65537, 3), ERR_CORRUPT);
    assert_int_equal(read_deep(3, 33), ERR_CORRUPT);
    struct buf b CLEANUP(buf_clear) = {0};
    struct signed_line l;
    struct err err = {0};
    line(2, &b);
    assert_true(signed_split(b.p, b.len, b.len, "test", &l, &err));
    assert_false(signed_split(b.p, b.len, b.len - 1, "test", &l, &err));
    assert_int_equal(err.kind, ERR_CORRUPT);
    err_clear(&err);
}

// Each byte changed, each shorter form: never taken for what it was.
static void damage(void **s)
{
    (void)s;
    struct buf b CLEANUP(buf_clear) = {0};
    line(1, &b);
    for (size_t i = 0; i < b.len; i++) {
        b.p[i] ^= 4;
        assert_true(stage_of(&b) < PARSER);
        b.p[i] ^= 4;
        struct buf cut = {.p = b.p, .len = i};
        assert_int_equal(stage_of(&cut), GRAMMAR);
    }
}

static void new_signers(void **s)
{
    (void)s;
    struct signer a;
    struct signer b;
    signer_new(&a);
    signer_new(&b);
    assert_memory_not_equal(a.seed, b.seed, KEY_BYTES);
    signer_from_seed(a.seed, &b);
    assert_memory_equal(&a, &b, sizeof(a));
    signer_wipe(&a);
    const uint8_t zero[KEY_BYTES] = {0};
    assert_memory_equal(a.seed, zero, KEY_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good),        cmocka_unit_test(other_signatures), cmocka_unit_test(plus_l),
        cmocka_unit_test(other_forms), cmocka_unit_test(bounds),           cmocka_unit_test(damage),
        cmocka_unit_test(new_signers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
