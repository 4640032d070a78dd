// SPDX-License-Identifier: Apache-2.0
//
// What a trust file says, which of it is needed, and who may do what.
#include "snapshot/trust.h"

#include "tests/snapshot/bytes.h"
#include "tests/snapshot/memstore.h"
#include "tests/snapshot/trustkit.h"
#include "tests/test.h"

static void roles_and_void(void **s)
{
    (void)s;
    CLEANUP(store_freep) struct store *st = kit_three();
    struct trust_chain c = {0};
    struct key_id writer = key_id_of(kit_signer("writer").public);
    struct key_id judge = key_id_of(kit_signer("judge").public);
    kit_read(st, &c);
    const struct trust *t = trust_now(&c);
    const struct trust_signer *w = trust_signer_for(t, &writer, ROLE_WRITE, "prod");
    assert_non_null(w);
    assert_string_equal(w->label, "writer");
    assert_null(trust_signer_for(t, &writer, ROLE_WRITE, "stage"));
    assert_null(trust_signer_for(t, &writer, ROLE_PRUNE, "prod"));
    assert_non_null(trust_signer_for(t, &judge, ROLE_JUDGE, "any"));
    assert_null(trust_signer_for(t, &judge, ROLE_WRITE, "any"));
    struct key_id stranger = key_id_of(kit_signer("dan").public);
    assert_null(trust_signer_for(t, &stranger, ROLE_WRITE, "prod"));
    assert_false(trust_is_void(w, "prod", 17));
    assert_true(trust_is_void(w, "prod", 18));
    assert_true(trust_is_void(w, "stage", 1)); // revoked, and never believed there
    assert_false(trust_is_void(trust_signer_for(t, &judge, ROLE_JUDGE, "any"), "any", 1));
    // As of trust 1 it was not revoked.
    assert_false(
        trust_is_void(trust_signer_for(trust_at(&c, 1), &writer, ROLE_WRITE, "prod"), "prod", 18));
    trust_chain_clear(&c);
}

static void flags(void **s)
{
    (void)s;
    struct trust t = {0};
    struct err err = {0};
    assert_true(trust_check_flags(&t, true, true, &err));
    assert_false(trust_has_flag(&t, TRUST_ZSTD_ROWS));
    assert_int_equal(trust_index_version(&t), 1);
    strv_push(&t.read_flags, TRUST_ZSTD_ROWS);
    assert_int_equal(trust_index_version(&t), 2);
    strv_push(&t.read_flags, TRUST_ZSTD_INDEX);
    assert_int_equal(trust_index_version(&t), 3);
    strv_push(&t.read_flags, TRUST_PAGES);
    assert_true(trust_check_flags(&t, true, true, &err) && trust_has_flag(&t, TRUST_PAGES));
    strv_push(&t.prune_flags, "p");
    assert_true(trust_check_flags(&t, true, false, &err));
    assert_false(trust_check_flags(&t, true, true, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    err_clear(&err);
    strv_push(&t.write_flags, "w");
    assert_true(trust_check_flags(&t, false, false, &err));
    assert_false(trust_check_flags(&t, true, false, &err));
    err_clear(&err);
    strv_push(&t.read_flags, "r");
    assert_false(trust_check_flags(&t, false, false, &err));
    assert_non_null(strstr(err.msg, "\"r\""));
    err_clear(&err);
    trust_clear(&t);
}

// ---- parsing ----

// Sets the member at a dotted path (array positions are numbers) and parses.
static void with_member(const char *path, json_t *value_take, bool ok)
{
    struct trust t = kit_first();
    struct trust got;
    struct err err = {0};
    struct strv parts = {0};
    kit_add_slot(&t, "safe");
    json_auto_t *body = trust_json(&t);
    json_t *at = body;
    strv_split(&parts, path, '.');
    for (size_t i = 0; i < parts.len; i++) {
        bool last = i + 1 == parts.len;
        const char *p = parts.v[i];
        if (json_is_array(at) && last)
            json_array_set_new(at, (size_t)atoi(p), value_take);
        else if (json_is_array(at))
            at = json_array_get(at, (size_t)atoi(p));
        else if (last && value_take)
            json_object_set_new(at, p, value_take);
        else if (last)
            json_object_del(at, p);
        else
            at = json_object_get(at, p);
    }
    bool got_ok = trust_parse(body, &got, &err);
    if (got_ok != ok)
        fail_msg("%s: %s", path, got_ok ? "taken" : err.msg);
    if (!ok)
        assert_int_equal(err.kind, ERR_CORRUPT);
    err_clear(&err);
    trust_clear(&got);
    strv_clear(&parts);
    trust_clear(&t);
}

static json_t *text(size_t len)
{
    CLEANUP(str_freep) char *s = mem_alloc(len + 1);
    memset(s, 'x', len);
    return json_string(s);
}

static void members(void **s)
{
    (void)s;
    const char *const needed[] = {
        "n",
        "repo",
        "prev",
        "features",
        "admins",
        "epochs",
        "slots",
        "signers",
        "admins.need",
        "admins.keys",
        "epochs.0.n",
        "epochs.0.recipient",
        "epochs.0.closed",
        "slots.0.file",
        "slots.0.epoch",
        "slots.0.kind",
        "signers.0.key",
        "signers.0.role",
        "admins.keys.0.key",
    };
    for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
        with_member(needed[i], NULL, false);
        with_member(needed[i], json_real(1.5), false);
    }
    const char *const optional[] = {"features.read",      "features.write",  "features.prune",
                                    "signers.0.chains",   "signers.0.label", "slots.0.label",
                                    "admins.keys.0.label"};
    for (size_t i = 0; i < ARRAY_LEN(optional); i++) {
        with_member(optional[i], NULL, true);
        with_member(optional[i], json_real(1.5), false);
        with_member(optional[i], json_null(), strstr(optional[i], "label"));
    }
    with_member("unknown", json_true(), true);
    with_member("signers.0.unknown", json_true(), true);
}

static void values(void **s)
{
    (void)s;
    with_member("n", json_integer(0), false);
    with_member("n", json_integer(2), false); // with no prev
    with_member("n", json_integer(TRUST_MAX + 1), false);
    with_member("repo", json_string("00"), false);
    with_member("repo", json_string("9D875571B4AEE8F52132E2CBB2F9F8FE"), false);
    with_member("admins.need", json_integer(0), false);
    with_member("admins.need", json_integer(3), true);
    with_member("admins.need", json_integer(4), false);
    with_member("admins.need", json_string("1"), false);
    with_member("admins.keys", json_array(), false);
    with_member("epochs.0.n", json_integer(0), false);
    with_member("epochs.0.n", json_integer(1000000), false);
    with_member("epochs.0.recipient", json_string("age1"), false);
    with_member("epochs.0.closed", json_integer(0), false);
    with_member("slots.0.epoch", json_integer(2), false);
    with_member("slots.0.kind", json_string("ssh"), false);
    with_member("slots.0.kind", json_string("age"), true);
    with_member("slots.0.file", json_string("../x"), false);
    with_member("signers.0.role", json_string("read"), false);
    with_member("signers.0.key", json_string("AAAA"), false);
    with_member("signers.0.chains", json_pack("[s]", "../x"), false);
    with_member("signers.0.chains", json_pack("[i]", 1), false);
    with_member("signers.0.chains", json_array(), true);
    with_member("signers.0.label", text(256), true);
    with_member("signers.0.label", text(257), false);
    with_member("signers.0.until", json_object(), true);
    with_member("signers.0.until", json_null(), false);
    with_member("signers.0.until", json_pack("{s:i}", "prod", 0), true);
    with_member("signers.0.until", json_pack("{s:I}", "prod", (json_int_t)9999999999), true);
    with_member("signers.0.until", json_pack("{s:I}", "prod", (json_int_t)10000000000), false);
    with_member("signers.0.until", json_pack("{s:i}", "prod", -1), false);
    with_member("signers.0.until", json_pack("{s:i}", "No", 1), false);
    with_member("features.read", json_pack("[s]", ""), false);
    with_member("features.read", json_pack("[o]", text(65)), false);
    with_member("features.read", json_pack("[o]", text(64)), true);
}

static void nothing_twice(void **s)
{
    (void)s;
    const char *const lists[][2] = {{"admins", "keys"}, {NULL, "epochs"}, {NULL, "signers"}};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        struct trust t = kit_first();
        struct trust got;
        struct err err = {0};
        json_auto_t *body = trust_json(&t);
        json_t *o = lists[i][0] ? json_object_get(body, lists[i][0]) : body;
        json_t *a = json_object_get(o, lists[i][1]);
        json_t *copy = json_deep_copy(json_array_get(a, 0));
        json_object_set_new(copy, "label", json_string("again"));
        json_array_append_new(a, copy);
        assert_false(trust_parse(body, &got, &err));
        err_clear(&err);
        trust_clear(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roles_and_void), cmocka_unit_test(flags),
        cmocka_unit_test(members),        cmocka_unit_test(values),
        cmocka_unit_test(nothing_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
