// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "snapshot/keys.h"
#include "tests/snapshot/bytes.h"
#include "tests/snapshot/vectors.h"
#include "tests/test.h"

#define HASH64 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static struct credential job(void)
{
    struct credential c = {.kind = CREDENTIAL_JOB, .epoch = 2, .head_seq = 41};
    uint8_t raw[KEY_BYTES];
    struct age_identity id;
    fixed_key("repo", raw);
    memcpy(c.repo, raw, sizeof(c.repo));
    fixed_key("job", raw);
    signer_from_seed(raw, &c.signer);
    fixed_key("identity", raw);
    age_identity_from_raw(raw, &id);
    memcpy(c.recipient, id.public, KEY_BYTES);
    fixed_key("K", c.k);
    c.pin = sha256_of("trust", 5);
    c.head = sha256_of("head", 4);
    c.chain = str_dup("prod");
    return c;
}

static void assert_same(const struct credential *a, const struct credential *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_memory_equal(a->repo, b->repo, sizeof(a->repo));
    assert_true(sha256_eq(&a->pin, &b->pin));
    assert_memory_equal(&a->signer, &b->signer, sizeof(a->signer));
    assert_true(str_eq(a->chain, b->chain));
    assert_int_equal(a->epoch, b->epoch);
    assert_memory_equal(a->recipient, b->recipient, KEY_BYTES);
    assert_memory_equal(a->k, b->k, KEY_BYTES);
    assert_int_equal(a->head_seq, b->head_seq);
    assert_true(sha256_eq(&a->head, &b->head));
}

static void round_trip(void **s)
{
    (void)s;
    for (unsigned i = 0; i < 5; i++) {
        struct credential c = job();
        struct credential back;
        struct buf text CLEANUP(buf_wipe) = {0};
        struct err err = {0};
        if (i == 4) { // a chain without entries
            c.head_seq = 0;
            memset(&c.head, 0, sizeof(c.head));
        } else if (i > 0) {
            struct credential other = {.kind = (enum credential_kind)i, .pin = c.pin};
            memcpy(other.repo, c.repo, sizeof(c.repo));
            other.signer = c.signer;
            credential_clear(&c);
            c = other;
        }
        credential_write(&c, &text);
        CLEANUP(str_freep)
        char *name =
            str_printf("keys/credential-%s%s", i == 4 ? "new-" : "", credential_kind_name(c.kind));
        assert_vector(name, text.p, text.len);
        assert_int_equal(strcspn(text.p, "\n"), text.len - 1); // one line
        assert_true(credential_parse(text.p, text.len, &back, &err));
        assert_same(&c, &back);
        credential_clear(&c);
        credential_clear(&back);
        assert_null(back.chain);
    }
}

static enum err_kind parse_kind(const char *text, size_t len)
{
    struct credential c;
    struct err err = {0};
    enum err_kind kind = credential_parse(text, len, &c, &err) ? ERR_NONE : err.kind;
    if (kind != ERR_NONE)
        assert_memory_equal(c.signer.seed, (uint8_t[KEY_BYTES]){0}, KEY_BYTES);
    credential_clear(&c);
    err_clear(&err);
    return kind;
}

static void refused(void **s)
{
    (void)s;
    struct credential c = job();
    struct buf good CLEANUP(buf_clear) = {0};
    credential_write(&c, &good);
    const struct {
        const char *old, *new; // the first one in the text
        enum err_kind kind;
    } rows[] = {
        {"{", " {\n ", ERR_NONE},
        {"\"K\":", "\"K\" :\n ", ERR_NONE},
        {"\"seed\":", "\"new\":[{}],\"seed\" : ", ERR_NONE},
        {"credential v1", "credential v2", ERR_INVALID},
        {"\"kind\":\"job\"", "\"kind\":\"jobs\"", ERR_INVALID},
        {"\"kind\":\"job\"", "\"kind\":\"admin\"", ERR_INVALID}, // which has no K
        {"\"kind\":\"job\",", "", ERR_INVALID},
        {"\"repo\":\"", "\"repo\":\"00", ERR_INVALID},
        {"\"pin\":\"", "\"pin\":\"00", ERR_INVALID},
        {"\"seed\":\"", "\"seed\":\"0", ERR_INVALID},
        {"\"seed\":\"", "\"seed\":\"" HASH64 "\",\"seed\":\"", ERR_INVALID},
        {"\"seed\"", "\"sead\"", ERR_INVALID},
        {"\"K\":\"", "\"K\":\"" HASH64 "\",\"K\":\"", ERR_INVALID},
        {"\"K\"", "\"k\"", ERR_INVALID},
        {"\"chain\":\"prod\"", "\"chain\":\"../x\"", ERR_INVALID},
        {"\"chain\":\"prod\"", "\"chain\":7", ERR_INVALID},
        {"\"epoch\":2", "\"epoch\":0", ERR_INVALID},
        {"\"epoch\":2", "\"epoch\":1000000", ERR_INVALID},
        {"\"epoch\":2", "\"epoch\":\"2\"", ERR_INVALID},
        {"\"recipient\":\"age1", "\"recipient\":\"age1q", ERR_INVALID},
        {"\"head\":[41", "\"head\":[0", ERR_INVALID},
        {"\"head\":[41", "\"head\":[9999999999", ERR_NONE},
        {"\"head\":[41", "\"head\":[10000000000", ERR_INVALID},
        {"\"head\":[41,", "\"head\":[41,\"x\",", ERR_INVALID},
        {"\"head\":[41", "\"heat\":[41", ERR_INVALID},
        {"}", "", ERR_INVALID},
        {"}", "}}", ERR_INVALID},
        {"}", "},", ERR_INVALID},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *at = strstr(good.p, rows[i].old);
        assert_non_null(at);
        CLEANUP(str_freep)
        char *text = str_printf("%.*s%s%s", (int)(at - good.p), good.p, rows[i].new,
                                at + strlen(rows[i].old));
        if (parse_kind(text, strlen(text)) != rows[i].kind)
            fail_msg("row %zu: %s", i, rows[i].new);
    }
    for (size_t i = 0; i < good.len - 1; i++)
        assert_int_equal(parse_kind(good.p, i), ERR_INVALID);
    CLEANUP(str_freep) char *with_nul = mem_dup(good.p, good.len + 1);
    assert_int_equal(parse_kind(with_nul, good.len + 1), ERR_INVALID);
    credential_clear(&c);
}

static void bounds(void **s)
{
    (void)s;
    struct credential c = job();
    struct buf text CLEANUP(buf_clear) = {0};
    credential_write(&c, &text);
    while (text.len <= CREDENTIAL_MAX_BYTES)
        buf_char(&text, '\n');
    assert_int_equal(parse_kind(text.p, CREDENTIAL_MAX_BYTES), ERR_NONE);
    assert_int_equal(parse_kind(text.p, CREDENTIAL_MAX_BYTES + 1), ERR_INVALID);
    credential_clear(&c);
}

static enum err_kind load_kind(const char *where)
{
    struct credential c;
    struct err err = {0};
    enum err_kind kind = credential_load(where, &c, &err) ? ERR_NONE : err.kind;
    if (kind != ERR_NONE)
        assert_non_null(strstr(err.msg, where));
    credential_clear(&c);
    err_clear(&err);
    return kind;
}

static void loads(void **s)
{
    (void)s;
    CLEANUP(dir_temp_cleanup) char *dir = NULL;
    struct credential c = job();
    struct buf text CLEANUP(buf_clear) = {0};
    struct err err = {0};
    credential_write(&c, &text);
    assert_true(dir_make_temp("regrow-test", &dir, &err));
    CLEANUP(str_freep) char *path = path_join(dir, "job");
    CLEANUP(str_freep) char *link = path_join(dir, "link");
    CLEANUP(str_freep) char *fifo = path_join(dir, "fifo");
    assert_true(file_replace(path, text.p, text.len, 0600, &err));
    assert_int_equal(symlink("job", link), 0);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    const struct {
        mode_t mode;
        enum err_kind kind;
    } modes[] = {{0600, ERR_NONE},   {0400, ERR_NONE},   {0440, ERR_NONE},   {0640, ERR_NONE},
                 {0660, ERR_DENIED}, {0604, ERR_DENIED}, {0644, ERR_DENIED}, {0602, ERR_DENIED}};
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        assert_int_equal(chmod(path, modes[i].mode), 0);
        assert_int_equal(load_kind(path), modes[i].kind);
        assert_int_equal(load_kind(link), modes[i].kind);
    }
    assert_int_equal(load_kind(dir), ERR_INVALID);
    assert_int_equal(load_kind(fifo), ERR_INVALID);
    CLEANUP(str_freep) char *absent = path_join(dir, "absent");
    assert_int_equal(load_kind(absent), ERR_NOT_FOUND);

    struct buf large CLEANUP(buf_clear) = {0};
    buf_append(&large, text.p, text.len);
    while (large.len <= CREDENTIAL_MAX_BYTES)
        buf_char(&large, ' ');
    assert_true(file_replace(path, large.p, large.len, 0600, &err));
    assert_int_equal(load_kind(path), ERR_INVALID);

    setenv("REGROW_TEST_CREDENTIAL", text.p, 1);
    assert_int_equal(load_kind("env:REGROW_TEST_CREDENTIAL"), ERR_NONE);
    unsetenv("REGROW_TEST_CREDENTIAL");
    assert_int_equal(load_kind("env:REGROW_TEST_CREDENTIAL"), ERR_NOT_FOUND);
    credential_clear(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(refused),
        cmocka_unit_test(bounds),
        cmocka_unit_test(loads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
