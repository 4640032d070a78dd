// SPDX-License-Identifier: Apache-2.0
//
// From the identity to the keys of a chain, slots, and what slots must not be believed.
#include "snapshot/keys.h"

#include "tests/snapshot/bytes.h"
#include "tests/snapshot/vectors.h"
#include "tests/test.h"

static struct slot_content content_of_slot(void)
{
    struct slot_content c = {.epoch = 3, .pin = sha256_of("trust", 5)};
    uint8_t raw[KEY_BYTES];
    fixed_key("identity", raw);
    age_identity_from_raw(raw, &c.identity);
    fixed_key("repo", raw);
    memcpy(c.repo, raw, sizeof(c.repo));
    return c;
}

static void set_hex(json_t *o, const char *name, const void *p, size_t len)
{
    CLEANUP(str_freep) char *hex = hex_encode(p, len);
    json_object_set_new(o, name, json_string(hex));
}

// tests/snapshot/test_interop.sh computes the same with openssl.
static void derives(void **s)
{
    (void)s;
    struct slot_content c = content_of_slot();
    struct chain_keys k;
    struct chain_keys again;
    uint8_t salt[16];
    uint8_t index_key[KEY_BYTES];
    CLEANUP(str_freep) char *recipient = age_recipient_text(c.identity.public);
    memcpy(salt, c.pin.b, sizeof(salt));
    chain_keys_derive(&c.identity, c.repo, "prod", &k);
    chain_index_key(&k, salt, sizeof(salt), index_key);
    json_auto_t *o = json_pack("{s:s, s:s}", "chain", "prod", "recipient", recipient);
    set_hex(o, "raw", c.identity.secret, KEY_BYTES);
    set_hex(o, "repo", c.repo, sizeof(c.repo));
    set_hex(o, "K", k.k, KEY_BYTES);
    set_hex(o, "id_key", k.id_key, KEY_BYTES);
    set_hex(o, "index_salt", salt, sizeof(salt));
    set_hex(o, "index_key", index_key, KEY_BYTES);
    char *text = json_dumps(o, JSON_SORT_KEYS | JSON_INDENT(1));
    assert_vector("keys/chain.json", text, strlen(text));
    free(text);

    chain_keys_from_k(k.k, &again);
    assert_memory_equal(&k, &again, sizeof(k));
    chain_keys_derive(&c.identity, c.repo, "prod2", &again);
    assert_memory_not_equal(k.k, again.k, KEY_BYTES);
    c.repo[0] ^= 1;
    chain_keys_derive(&c.identity, c.repo, "prod", &again);
    assert_memory_not_equal(k.k, again.k, KEY_BYTES);
    chain_keys_wipe(&again);
}

static void chain_names(void **s)
{
    (void)s;
    char name[65];
    const char *const good[] = {"a", "0", "prod-eu.1", "a..b", "a-"};
    const char *const bad[] = {"", "-a", ".a", "A", "a_b", "a/b", "a b", "\xc3\xa4", "a\n"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(chain_name_is_valid(good[i]));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(chain_name_is_valid(bad[i]));
    memset(name, 'a', sizeof(name));
    name[63] = '\0';
    assert_true(chain_name_is_valid(name));
    name[63] = 'a';
    name[64] = '\0';
    assert_false(chain_name_is_valid(name));
}

static bool same(const struct slot_content *a, const struct slot_content *b)
{
    return !memcmp(a->repo, b->repo, sizeof(a->repo)) && a->epoch == b->epoch &&
           sha256_eq(&a->pin, &b->pin) &&
           !memcmp(a->identity.secret, b->identity.secret, KEY_BYTES) &&
           !memcmp(a->identity.public, b->identity.public, KEY_BYTES);
}

static void slot_round_trip(void **s)
{
    (void)s;
    struct slot_content c = content_of_slot();
    struct slot_content back;
    struct age_identities ids = {0};
    struct err err = {0};
    struct buf text CLEANUP(buf_wipe) = {0};
    slot_text(&c, &text);
    assert_true(slot_parse(text.p, text.len, &back, &err));
    assert_true(same(&c, &back));
    // It is an identity file as well.
    assert_true(age_identities_read(text.p, text.len, &ids, &err));
    assert_int_equal(ids.v.len, 1);
    assert_memory_equal(&ids.v.v[0], &c.identity, sizeof(c.identity));
    age_identities_clear(&ids);
    slot_content_wipe(&back);
    assert_int_equal(back.epoch, 0);
}

static enum err_kind parse_kind(const char *text, size_t len)
{
    struct slot_content c;
    struct err err = {0};
    enum err_kind kind = slot_parse(text, len, &c, &err) ? ERR_NONE : err.kind;
    if (kind != ERR_NONE) // and nothing of it is left
        assert_memory_equal(c.identity.secret, (uint8_t[KEY_BYTES]){0}, KEY_BYTES);
    err_clear(&err);
    return kind;
}

// What stands in one place of the good text is replaced; NULL: a line more behind it.
static void slots_refused(void **s)
{
    (void)s;
    struct slot_content c = content_of_slot();
    struct buf good CLEANUP(buf_clear) = {0};
    slot_text(&c, &good);
    const struct {
        const char *old, *new;
        enum err_kind kind;
    } rows[] = {
        {NULL, "# another comment\n\n", ERR_NONE},
        {"# raw", "# rew", ERR_CORRUPT},
        {"# trust", "# tryst", ERR_CORRUPT},
        {"# regrow", "# regret", ERR_CORRUPT},
        {"epoch 3", "epoch 0", ERR_CORRUPT},
        {"epoch 3", "epoch -3", ERR_CORRUPT},
        {"epoch 3", "epoch 03", ERR_CORRUPT},
        {"epoch 3", "epoch 3 ", ERR_CORRUPT},
        {"epoch 3", "epoch 999999", ERR_NONE},
        {"epoch 3", "epoch 1000000", ERR_CORRUPT},
        {" epoch 3", "", ERR_CORRUPT},
        {"AGE-SECRET-KEY-1", "AGE-SECRET-KEY-1Q", ERR_CORRUPT},
        {"AGE-SECRET-KEY-1", "#", ERR_CORRUPT},
        {"AGE-SECRET-KEY-1", "#\n\n\nAGE-SECRET-KEY-1", ERR_NONE},
        {NULL, "# trust e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n",
         ERR_CORRUPT},
        {NULL, "# raw e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n",
         ERR_CORRUPT},
        {NULL, "more\n", ERR_CORRUPT},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *at = rows[i].old ? strstr(good.p, rows[i].old) : good.p + good.len;
        assert_non_null(at);
        CLEANUP(str_freep)
        char *text = str_printf("%.*s%s%s", (int)(at - good.p), good.p, rows[i].new,
                                at + (rows[i].old ? strlen(rows[i].old) : 0));
        assert_int_equal(parse_kind(text, strlen(text)), rows[i].kind);
    }
    // Two identities, and an identity that is not the raw one.
    struct slot_content other = content_of_slot();
    struct buf text CLEANUP(buf_clear) = {0};
    char secret[AGE_TEXT_CHARS + 1];
    age_identity_new(&other.identity);
    age_identity_text(&other.identity, secret);
    buf_printf(&text, "%s%s\n", good.p, secret);
    assert_int_equal(parse_kind(text.p, text.len), ERR_CORRUPT);
    memcpy(strstr(good.p, "AGE-SECRET-KEY-1"), secret, AGE_TEXT_CHARS);
    assert_int_equal(parse_kind(good.p, good.len), ERR_CORRUPT);
    assert_int_equal(parse_kind("", 0), ERR_CORRUPT);
    buf_append(&good, "#\0", 2);
    assert_int_equal(parse_kind(good.p, good.len), ERR_CORRUPT);
}

static void bounds(void **s)
{
    (void)s;
    struct slot_content c = content_of_slot();
    struct buf text CLEANUP(buf_clear) = {0};
    slot_text(&c, &text);
    while (text.len < SLOT_MAX_BYTES)
        buf_str(&text, "#");
    assert_int_equal(parse_kind(text.p, SLOT_MAX_BYTES), ERR_NONE);
    buf_str(&text, "#");
    assert_int_equal(parse_kind(text.p, SLOT_MAX_BYTES + 1), ERR_CORRUPT);
    struct age_keys keys = {.passphrase = "x"};
    struct err err = {0};
    assert_false(slot_open(&keys, text.p, SLOT_MAX_BYTES + 1, &c, &err));
    assert_int_equal(err.kind, ERR_CORRUPT);
    err_clear(&err);
}

static void slots_open(void **s)
{
    (void)s;
    struct slot_content c = content_of_slot();
    struct slot_content back;
    struct age_identity own;
    struct age_identities ids = {0};
    struct err err = {0};
    struct buf text CLEANUP(buf_wipe) = {0};
    struct buf file CLEANUP(buf_clear) = {0};
    uint8_t to[1][KEY_BYTES];
    slot_text(&c, &text);
    assert_true(age_seal_passphrase("open sesame", 10, text.p, text.len, &file, &err));
    struct age_keys keys = {.passphrase = "open sesame"};
    assert_true(slot_open(&keys, file.p, file.len, &back, &err));
    assert_true(same(&c, &back) && back.is_passphrase);
    keys.passphrase = "open barley";
    assert_false(slot_open(&keys, file.p, file.len, &back, &err));
    assert_int_equal(err.kind, ERR_DENIED);
    err_clear(&err);

    // Sealed to a person's key, as anyone could have done.
    age_identity_new(&own);
    *vec_push(&ids.v) = own;
    memcpy(to[0], own.public, KEY_BYTES);
    buf_reset(&file);
    assert_true(age_seal((const uint8_t(*)[KEY_BYTES])to, 1, text.p, text.len, &file, NULL, &err));
    keys = (struct age_keys){.identities = &ids};
    assert_true(slot_open(&keys, file.p, file.len, &back, &err));
    assert_true(same(&c, &back) && !back.is_passphrase);
    age_identities_clear(&ids);
}

// Slots written once are opened for ever.
static void old_slots(void **s)
{
    (void)s;
    struct slot_content c = content_of_slot();
    struct slot_content back;
    struct err err = {0};
    struct buf text CLEANUP(buf_wipe) = {0};
    struct buf file CLEANUP(buf_clear) = {0};
    struct fixed_random r = {.seed = "slot"};
    struct age_random random = {.fn = fixed_random_fn, .ctx = &r};
    struct age_keys keys = {.passphrase = "open sesame"};
    slot_text(&c, &text);
    assert_true(
        age_seal_passphrase_with(&random, "open sesame", 10, text.p, text.len, &file, &err));
    assert_vector("keys/slot", file.p, file.len);
    buf_reset(&file);
    vector_read("keys/slot", &file);
    assert_true(slot_open(&keys, file.p, file.len, &back, &err));
    assert_true(same(&c, &back));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(derives),         cmocka_unit_test(chain_names),
        cmocka_unit_test(slot_round_trip), cmocka_unit_test(slots_refused),
        cmocka_unit_test(bounds),          cmocka_unit_test(slots_open),
        cmocka_unit_test(old_slots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
