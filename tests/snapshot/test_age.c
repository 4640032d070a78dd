// SPDX-License-Identifier: Apache-2.0
//
// Age files by us, opened by us; the format's own vectors are in test_age_testkit.c, the age
// program in test_interop.sh.
#include "snapshot/age.h"

#include "snapshot/age_int.h"
#include "tests/snapshot/bytes.h"
#include "tests/snapshot/vectors.h"
#include "tests/test.h"

#define CHUNK AGE_CHUNK_BYTES

static struct age_identity identity(const char *seed)
{
    struct age_identity id;
    uint8_t raw[KEY_BYTES];
    fixed_key(seed, raw);
    age_identity_from_raw(raw, &id);
    return id;
}

static struct age_identities one(const struct age_identity *id)
{
    struct age_identities ids = {0};
    *vec_push(&ids.v) = *id;
    return ids;
}

static char *content(size_t len)
{
    char *p = mem_alloc(len + 1);
    for (size_t i = 0; i < len; i++)
        p[i] = (char)(i * 7 + i / 251);
    return p;
}

static void seal_to(const struct age_identity *id, const void *p, size_t len, struct buf *out)
{
    struct err err = {0};
    uint8_t recipient[1][KEY_BYTES];
    memcpy(recipient[0], id->public, KEY_BYTES);
    assert_true(age_seal((const uint8_t(*)[KEY_BYTES])recipient, 1, p, len, out, NULL, &err));
}

static enum err_kind open_kind(const struct age_keys *keys, const void *p, size_t len, size_t max)
{
    struct buf out CLEANUP(buf_clear) = {0};
    struct err err = {0};
    buf_str(&out, "kept");
    bool ok = age_open(keys, p, len, max, &out, &err);
    enum err_kind kind = ok ? ERR_NONE : err.kind;
    if (!ok)
        assert_string_equal(out.p, "kept");
    err_clear(&err);
    return kind;
}

static const size_t sizes[] = {0,         1,         4095,          CHUNK - 1,     CHUNK,
                               CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1, 3 * CHUNK + 17};

static void round_trip(void **s)
{
    (void)s;
    struct age_identity id = identity("a");
    struct age_identities ids = one(&id);
    struct age_keys keys = {.identities = &ids};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        CLEANUP(str_freep) char *p = content(sizes[i]);
        struct buf sealed CLEANUP(buf_clear) = {0};
        struct buf opened CLEANUP(buf_clear) = {0};
        struct err err = {0};
        buf_str(&sealed, "in front");
        seal_to(&id, p, sizes[i], &sealed);
        const char *file = sealed.p + 8;
        size_t len = sealed.len - 8;
        assert_true(age_open(&keys, file, len, sizes[i], &opened, &err));
        assert_int_equal(opened.len, sizes[i]);
        assert_memory_equal(opened.p, p, sizes[i]);
        if (sizes[i])
            assert_int_equal(open_kind(&keys, file, len, sizes[i] - 1), ERR_CORRUPT);
        assert_int_equal(open_kind(&keys, file, len - 1, SIZE_MAX), ERR_CORRUPT);
    }
    age_identities_clear(&ids);
}

static void by_its_file_key(void **s)
{
    (void)s;
    struct age_identity id = identity("a");
    struct buf sealed CLEANUP(buf_clear) = {0};
    struct buf opened CLEANUP(buf_clear) = {0};
    struct err err = {0};
    uint8_t key[AGE_FILE_KEY_BYTES];
    uint8_t to[1][KEY_BYTES];
    memcpy(to[0], id.public, KEY_BYTES);
    assert_true(age_seal((const uint8_t(*)[KEY_BYTES])to, 1, "text", 4, &sealed, key, &err));
    assert_true(age_open_file_key(key, sealed.p, sealed.len, 4, &opened, &err));
    assert_string_equal(opened.p, "text");
    key[0] ^= 1;
    assert_false(age_open_file_key(key, sealed.p, sealed.len, 4, &opened, &err));
    assert_int_equal(err.kind, ERR_CORRUPT);
    err_clear(&err);
}

// Whatever byte is changed, wherever it is cut: not opened, and nothing given out.
static void damage(void **s)
{
    (void)s;
    struct age_identity id = identity("a");
    struct age_identities ids = one(&id);
    struct age_keys keys = {.identities = &ids};
    struct buf sealed CLEANUP(buf_clear) = {0};
    seal_to(&id, "some text", 9, &sealed);
    for (size_t i = 0; i < sealed.len; i++) {
        for (unsigned bit = 1; bit < 256; bit <<= 1) {
            sealed.p[i] ^= (char)bit;
            enum err_kind k = open_kind(&keys, sealed.p, sealed.len, 100);
            assert_true(k == ERR_CORRUPT || k == ERR_DENIED);
            sealed.p[i] ^= (char)bit;
        }
        // A buffer of exactly that size, so that reading on is seen.
        char *cut = mem_realloc(NULL, i, 1);
        memcpy(cut, sealed.p, i);
        assert_int_equal(open_kind(&keys, cut, i, 100), ERR_CORRUPT);
        free(cut);
    }
    assert_int_equal(open_kind(&keys, sealed.p, sealed.len, 100), ERR_NONE);
    age_identities_clear(&ids);
}

static void several_recipients(void **s)
{
    (void)s;
    uint8_t to[AGE_MAX_STANZAS][KEY_BYTES];
    struct buf sealed CLEANUP(buf_clear) = {0};
    struct err err = {0};
    for (unsigned i = 0; i < AGE_MAX_STANZAS; i++) {
        CLEANUP(str_freep) char *seed = str_printf("r%u", i);
        struct age_identity id = identity(seed);
        memcpy(to[i], id.public, KEY_BYTES);
    }
    assert_true(
        age_seal((const uint8_t(*)[KEY_BYTES])to, AGE_MAX_STANZAS, "text", 4, &sealed, NULL, &err));
    const char *const seeds[] = {"r0", "r31", "r63"};
    for (size_t i = 0; i < ARRAY_LEN(seeds); i++) {
        struct age_identity other = identity("other");
        struct age_identity id = identity(seeds[i]);
        struct age_identities ids = one(&other);
        struct age_keys keys = {.identities = &ids};
        assert_int_equal(open_kind(&keys, sealed.p, sealed.len, 4), ERR_DENIED);
        *vec_push(&ids.v) = id;
        assert_int_equal(open_kind(&keys, sealed.p, sealed.len, 4), ERR_NONE);
        age_identities_clear(&ids);
    }
    memset(to[1], 0, KEY_BYTES); // of low order: nothing must be sealed to it
    size_t before = sealed.len;
    assert_false(age_seal((const uint8_t(*)[KEY_BYTES])to, 2, "text", 4, &sealed, NULL, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    assert_int_equal(sealed.len, before);
    err_clear(&err);
}

static void passphrase(void **s)
{
    (void)s;
    struct age_identity id = identity("a");
    struct age_identities ids = one(&id);
    struct buf sealed CLEANUP(buf_clear) = {0};
    struct err err = {0};
    bool is_passphrase = false;
    assert_true(age_seal_passphrase("open sesame", 10, "text", 4, &sealed, &err));
    assert_true(age_is_passphrase(sealed.p, sealed.len, &is_passphrase, &err));
    assert_true(is_passphrase);

    struct age_keys keys = {.passphrase = "open sesame"};
    assert_int_equal(open_kind(&keys, sealed.p, sealed.len, 4), ERR_NONE);
    keys.max_log_n = 10;
    assert_int_equal(open_kind(&keys, sealed.p, sealed.len, 4), ERR_NONE);
    keys.max_log_n = 9;
    assert_int_equal(open_kind(&keys, sealed.p, sealed.len, 4), ERR_DENIED);
    keys = (struct age_keys){.passphrase = "open barley"};
    assert_int_equal(open_kind(&keys, sealed.p, sealed.len, 4), ERR_DENIED);
    keys = (struct age_keys){.identities = &ids};
    assert_int_equal(open_kind(&keys, sealed.p, sealed.len, 4), ERR_DENIED);

    buf_reset(&sealed);
    seal_to(&id, "text", 4, &sealed);
    assert_true(age_is_passphrase(sealed.p, sealed.len, &is_passphrase, &err));
    assert_false(is_passphrase);
    keys = (struct age_keys){.passphrase = "open sesame"};
    assert_int_equal(open_kind(&keys, sealed.p, sealed.len, 4), ERR_DENIED);
    assert_false(age_is_passphrase("x", 1, &is_passphrase, &err));
    err_clear(&err);
    age_identities_clear(&ids);
}

static void seal_fixed(const char *name, size_t len)
{
    struct age_identity ids[] = {identity("a"), identity("b")};
    uint8_t to[2][KEY_BYTES];
    struct err err = {0};
    struct fixed_random r = {.seed = name};
    struct age_random random = {.fn = fixed_random_fn, .ctx = &r};
    struct buf sealed CLEANUP(buf_clear) = {0};
    CLEANUP(str_freep) char *p = content(len);
    memcpy(to[0], ids[0].public, KEY_BYTES);
    memcpy(to[1], ids[1].public, KEY_BYTES);
    if (strstr(name, "scrypt"))
        assert_true(age_seal_passphrase_with(&random, "open sesame", 10, p, len, &sealed, &err));
    else
        assert_true(age_seal_with(&random, (const uint8_t(*)[KEY_BYTES])to, 2, p, len, &sealed,
                                  NULL, &err));
    assert_vector(name, sealed.p, sealed.len);
}

// The same random bytes give the same file: what others read does not change unseen.
static void fixed_files(void **s)
{
    (void)s;
    seal_fixed("age/empty", 0);
    seal_fixed("age/short", 100);
    seal_fixed("age/scrypt", 100);
    seal_fixed("age/two-chunks", CHUNK + 1);
}

static void keys_as_text(void **s)
{
    (void)s;
    struct age_identity id;
    struct age_identity back;
    uint8_t public[KEY_BYTES];
    struct err err = {0};
    char text[AGE_TEXT_CHARS + 1];
    age_identity_new(&id);
    age_identity_text(&id, text);
    assert_true(str_starts(text, "AGE-SECRET-KEY-1"));
    assert_true(age_identity_parse(text, &back, &err));
    assert_memory_equal(&id, &back, sizeof(id));
    CLEANUP(str_freep) char *recipient = age_recipient_text(id.public);
    assert_true(age_recipient_parse(recipient, public, &err));
    assert_memory_equal(public, id.public, KEY_BYTES);
}

static void refused_keys(void **s)
{
    (void)s;
    struct age_identity id = identity("a");
    char text[AGE_TEXT_CHARS + 1];
    uint8_t zero[KEY_BYTES] = {0};
    CLEANUP(str_freep) char *low = age_recipient_text(zero);
    CLEANUP(str_freep) char *public = age_recipient_text(id.public);
    age_identity_text(&id, text);
    CLEANUP(str_freep) char *cut = str_ndup(text, AGE_TEXT_CHARS - 1);
    CLEANUP(str_freep) char *more = str_printf("%sQ", text);
    CLEANUP(str_freep) char *lower = str_dup(text);
    for (char *p = lower; *p; p++)
        *p = (char)(*p >= 'A' && *p <= 'Z' ? *p - 'A' + 'a' : *p);
    const struct {
        const char *text, *says;
        bool is_identity;
    } rows[] = {
        {"", "malformed", true},
        {cut, "malformed", true},
        {more, "malformed", true},
        {lower, "malformed", true},
        {public, "malformed", true},
        {"AGE-PLUGIN-YUBIKEY-1QQPQQ", "plug-in", true},
        {"AGE-SECRET-KEY-PQ-1QQ", "hybrid", true},
        {"", "malformed", false},
        {text, "malformed", false},
        {low, "low order", false},
        {"age1pq1qqqq", "hybrid", false},
        {"age1yubikey1qqq", "malformed", false},
        {"ssh-ed25519 AAAA", "ssh", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = {0};
        uint8_t key[KEY_BYTES];
        struct age_identity got;
        assert_false(rows[i].is_identity ? age_identity_parse(rows[i].text, &got, &err)
                                         : age_recipient_parse(rows[i].text, key, &err));
        assert_int_equal(err.kind, ERR_INVALID);
        assert_non_null(strstr(err.msg, rows[i].says));
        assert_null(strstr(err.msg, text + 20)); // no secret in it
        err_clear(&err);
    }
}

static void identity_files(void **s)
{
    (void)s;
    struct age_identity id = identity("a");
    struct age_identities ids = {0};
    struct err err = {0};
    char text[AGE_TEXT_CHARS + 1];
    age_identity_text(&id, text);
    struct buf file CLEANUP(buf_clear) = {0};
    buf_printf(&file, "# comment\n\n%s\r\n%s", text, text);
    assert_true(age_identities_read(file.p, file.len, &ids, &err));
    assert_int_equal(ids.v.len, 2);
    assert_memory_equal(&ids.v.v[1], &id, sizeof(id));
    age_identities_clear(&ids);

    buf_str(&file, "\nnonsense");
    assert_false(age_identities_read(file.p, file.len, &ids, &err));
    assert_non_null(strstr(err.msg, "line 5"));
    err_clear(&err);
    age_identities_clear(&ids);
    assert_false(age_identities_read("# none\n", 7, &ids, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    err_clear(&err);

    buf_reset(&file);
    for (unsigned i = 0; i < 101; i++)
        buf_printf(&file, "%s\n", text);
    assert_true(age_identities_read(file.p, file.len - AGE_TEXT_CHARS - 1, &ids, &err));
    assert_int_equal(ids.v.len, 100);
    age_identities_clear(&ids);
    assert_false(age_identities_read(file.p, file.len, &ids, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    err_clear(&err);
    age_identities_clear(&ids);
}

#define MAC "--- AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
#define BODY "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
#define V1 "age-encryption.org/v1\n"

// Headers only: DENIED means that they were understood, and that there is no key.
static void header_bounds(void **s)
{
    (void)s;
    const struct age_keys none = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    buf_str(&b, V1);
    for (unsigned i = 0; i < AGE_MAX_STANZAS; i++)
        buf_str(&b, "-> other\n\n");
    size_t n = b.len;
    buf_str(&b, MAC);
    assert_int_equal(open_kind(&none, b.p, b.len, 1), ERR_DENIED);
    b.len = n;
    buf_str(&b, "-> other\n\n" MAC);
    assert_int_equal(open_kind(&none, b.p, b.len, 1), ERR_CORRUPT);

    for (unsigned more = 0; more < 2; more++) { // the longest header, and one byte more
        buf_reset(&b);
        buf_str(&b, V1 "-> x");
        while (b.len + strlen("\n\n" MAC) < AGE_MAX_HEADER_BYTES + more)
            buf_char(&b, 'x');
        buf_str(&b, "\n\n" MAC);
        assert_int_equal(open_kind(&none, b.p, b.len, 1), more ? ERR_CORRUPT : ERR_DENIED);
    }
    const struct {
        const char *text;
        enum err_kind kind;
    } rows[] = {
        {"-> scrypt AAAAAAAAAAAAAAAAAAAAAA 22\n" BODY MAC, ERR_DENIED},
        {"-> scrypt AAAAAAAAAAAAAAAAAAAAAA 1\n" BODY MAC, ERR_DENIED},
        {"-> scrypt AAAAAAAAAAAAAAAAAAAAAA 23\n" BODY MAC, ERR_CORRUPT},
        {"-> scrypt AAAAAAAAAAAAAAAAAAAAAA 0\n" BODY MAC, ERR_CORRUPT},
        {"-> scrypt AAAAAAAAAAAAAAAAAAAAAA 4294967298\n" BODY MAC, ERR_CORRUPT},
        {"-> scrypt AAAAAAAAAAAAAAAAAAAAAA 10\n" BODY "-> other\n\n" MAC, ERR_CORRUPT},
        {MAC, ERR_CORRUPT},
        {"-> \n\n" MAC, ERR_CORRUPT},
        {"->\n\n" MAC, ERR_CORRUPT},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        buf_reset(&b);
        buf_printf(&b, V1 "%s", rows[i].text);
        assert_int_equal(open_kind(&none, b.p, b.len, 1), rows[i].kind);
    }
}

static void names_unknown_types(void **s)
{
    (void)s;
    const struct age_keys none = {0};
    const char *file = V1 "-> mlkem768x25519 x\n\n-> joint-grease y\n\n-> ssh-ed25519 z\n\n" MAC;
    struct buf out CLEANUP(buf_clear) = {0};
    struct err err = {0};
    assert_false(age_open(&none, file, strlen(file), 1, &out, &err));
    assert_int_equal(err.kind, ERR_DENIED);
    assert_non_null(strstr(err.msg, "mlkem768x25519, ssh-ed25519"));
    assert_null(strstr(err.msg, "grease"));
    err_clear(&err);
}

static void armored(void **s)
{
    (void)s;
    struct age_identity id = identity("a");
    struct age_identities ids = one(&id);
    struct age_keys keys = {.identities = &ids};
    for (size_t len = 0; len < 200; len++) {
        struct buf sealed CLEANUP(buf_clear) = {0};
        struct buf text CLEANUP(buf_clear) = {0};
        struct buf armor CLEANUP(buf_clear) = {0};
        CLEANUP(str_freep) char *p = content(len);
        seal_to(&id, p, len, &sealed);
        buf_base64(&text, sealed.p, sealed.len);
        buf_str(&armor, "\n -----BEGIN AGE ENCRYPTED FILE-----\n");
        for (size_t at = 0; at < text.len; at += 64)
            buf_printf(&armor, "%.64s\n", text.p + at);
        buf_str(&armor, "-----END AGE ENCRYPTED FILE-----\n\n");
        assert_int_equal(open_kind(&keys, armor.p, armor.len, len), ERR_NONE);
        buf_str(&armor, "x");
        assert_int_equal(open_kind(&keys, armor.p, armor.len, len), ERR_CORRUPT);
    }
    age_identities_clear(&ids);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(by_its_file_key),
        cmocka_unit_test(damage),
        cmocka_unit_test(several_recipients),
        cmocka_unit_test(passphrase),
        cmocka_unit_test(fixed_files),
        cmocka_unit_test(keys_as_text),
        cmocka_unit_test(refused_keys),
        cmocka_unit_test(identity_files),
        cmocka_unit_test(header_bounds),
        cmocka_unit_test(names_unknown_types),
        cmocka_unit_test(armored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
