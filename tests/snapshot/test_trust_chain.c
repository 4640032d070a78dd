// SPDX-License-Identifier: Apache-2.0
//
// The chain of trust: 1 -> 2 -> 3 with two of three admins, each way to break it, and what must not
// be written because it could never be taken back.
#include "snapshot/trust.h"

#include "tests/snapshot/bytes.h"
#include "tests/snapshot/memstore.h"
#include "tests/snapshot/trustkit.h"
#include "tests/snapshot/vectors.h"
#include "tests/test.h"

static struct signer ann, ben, cem, dan;

static int make_people(void **s)
{
    (void)s;
    ann = kit_signer("ann");
    ben = kit_signer("ben");
    cem = kit_signer("cem");
    dan = kit_signer("dan");
    return 0;
}

static void one_two_three(void **s)
{
    (void)s;
    CLEANUP(store_freep) struct store *st = kit_three();
    struct trust_chain c = {0};
    struct err err = {0};
    struct sha256 pin = kit_pin(st);
    const char *const names[] = {"trust/0001", "trust/0002", "trust/0003"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const struct buf *b = memstore_file(st, names[i]);
        assert_vector(names[i], b->p, b->len);
    }
    assert_true(trust_read(st, &pin, &c, &err));
    assert_int_equal(c.v.len, 3);
    assert_true(sha256_eq(&c.pin, &pin));
    assert_ptr_equal(trust_now(&c), trust_at(&c, 3));
    assert_null(trust_at(&c, 0));
    assert_null(trust_at(&c, 4));
    assert_string_equal(trust_at(&c, 1)->admins.v[2].label, "Cem Ö.");
    assert_int_equal(trust_at(&c, 2)->slots.len, 1);
    assert_int_equal(trust_open_epoch(trust_at(&c, 2))->n, 1);
    assert_int_equal(trust_open_epoch(trust_now(&c))->n, 2);
    assert_true(sha256_eq(&trust_at(&c, 2)->hash, &trust_at(&c, 3)->prev));
    trust_chain_clear(&c);
}

// ---- chains that must not be believed ----

static void expect_read(struct store *st, const struct sha256 *pin, enum err_kind kind,
                        const char *says)
{
    struct trust_chain c = {0};
    struct err err = {0};
    if (trust_read(st, pin, &c, &err)) {
        trust_chain_clear(&c);
        if (kind != ERR_NONE)
            fail_msg("believed, though: %s", says);
        return;
    }
    assert_int_equal(err.kind, kind);
    if (!strstr(err.msg, says))
        fail_msg("\"%s\" does not say \"%s\"", err.msg, says);
    assert_int_equal(c.v.len, 0);
    err_clear(&err);
}

static void first_refused(void **s)
{
    (void)s;
    CLEANUP(store_freep) struct store *st = kit_three();
    struct sha256 pin = kit_pin(st);
    struct sha256 other = sha256_of("x", 1);
    expect_read(st, &pin, ERR_NONE, "");
    expect_read(st, &other, ERR_CORRUPT, "another repository");
    memstore_drop(st, "trust/0001");
    expect_read(st, &pin, ERR_CORRUPT, "trust/0001 is missing, and trust/0003 is there");
    CLEANUP(store_freep) struct store *none = memstore_new();
    expect_read(none, &pin, ERR_NOT_FOUND, "not a repository");

    // Not signed by two of its own, though its hash is the pin.
    struct trust t = kit_first();
    struct buf b CLEANUP(buf_clear) = {0};
    json_auto_t *body = trust_json(&t);
    signed_write("trust", body, &ann, 1, &b);
    memstore_put(st, "trust/0001", b.p, b.len);
    pin = kit_pin(st);
    expect_read(st, &pin, ERR_CORRUPT, "1 of its own admins, not by 2");
    buf_reset(&b);
    signed_write("snapshot", body, (struct signer[]){ann, ben}, 2, &b);
    memstore_put(st, "trust/0001", b.p, b.len);
    pin = kit_pin(st);
    expect_read(st, &pin, ERR_CORRUPT, "not of the type");
    trust_clear(&t);
}

// Puts trust/0002 as changed by `change`, signed by whom it says, without the writer's care.
static void forge(struct store *st, void (*change)(struct trust *), const struct signer *by,
                  size_t n)
{
    struct trust_chain c = {0};
    struct trust t;
    struct buf b CLEANUP(buf_clear) = {0};
    memstore_drop(st, "trust/0002");
    memstore_drop(st, "trust/0003");
    kit_read(st, &c);
    trust_next(&c, &t);
    change(&t);
    json_auto_t *body = trust_json(&t);
    signed_write("trust", body, by, n, &b);
    memstore_put(st, "trust/0002", b.p, b.len);
    trust_clear(&t);
    trust_chain_clear(&c);
}

static void no_change(struct trust *t)
{
    (void)t;
}

static void other_repo(struct trust *t)
{
    t->repo[0] ^= 1;
}

static void other_prev(struct trust *t)
{
    t->prev.b[0] ^= 1;
}

static void other_number(struct trust *t)
{
    t->n = 3;
}

static void all_needed(struct trust *t)
{
    t->need = 3;
}

static void only_dan(struct trust *t)
{
    trust_clear(&(struct trust){.admins = {t->admins.v, t->admins.len, t->admins.cap}});
    memset(&t->admins, 0, sizeof(t->admins));
    kit_add_admin(t, "dan", "dan");
    t->need = 1;
}

static void second_refused(void **s)
{
    (void)s;
    const struct signer two[] = {ann, cem};
    const struct signer stranger[] = {ann, dan};
    const struct {
        void (*change)(struct trust *);
        const struct signer *by;
        size_t n;
        const char *says; // NULL: believed
    } rows[] = {
        {no_change, two, 2, NULL},
        {no_change, two, 1, "1 of its predecessor's admins, not by 2"},
        {no_change, stranger, 2, "1 of its predecessor's admins"},
        {only_dan, &dan, 1, "0 of its predecessor's admins"},
        {only_dan, stranger, 2, "1 of its predecessor's admins"},
        {only_dan, two, 2, "0 of its own admins, not by 1"},
        {all_needed, two, 2, "2 of its own admins, not by 3"},
        {other_repo, two, 2, "another repository's"},
        {other_prev, two, 2, "does not follow number 1"},
        {other_number, two, 2, "says that it is number 3"},
    };
    CLEANUP(store_freep) struct store *st = memstore_new();
    struct trust_chain c = {0};
    kit_write_first(st, &c);
    trust_chain_clear(&c);
    struct sha256 pin = kit_pin(st);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        forge(st, rows[i].change, rows[i].by, rows[i].n);
        expect_read(st, &pin, rows[i].says ? ERR_CORRUPT : ERR_NONE, rows[i].says);
    }
    // Any byte of it changed.
    forge(st, no_change, two, 2);
    const struct buf *file = memstore_file(st, "trust/0002");
    for (size_t i = 0; i < file->len; i++) {
        file->p[i] ^= 1;
        expect_read(st, &pin, ERR_CORRUPT, "trust/0002");
        file->p[i] ^= 1;
    }
    expect_read(st, &pin, ERR_NONE, NULL);
}

// What is behind a hole is not read; the log notices (its entries name the trust they knew).
static void holes_and_bounds(void **s)
{
    (void)s;
    CLEANUP(store_freep) struct store *st = kit_three();
    struct trust_chain c = {0};
    struct sha256 pin = kit_pin(st);
    memstore_drop(st, "trust/0002");
    expect_read(st, &pin, ERR_CORRUPT, "trust/0002 is missing, and trust/0003 is there");
    memstore_drop(st, "trust/0003"); // the end: who remembers nothing cannot tell
    memstore_put(st, "trust/x002", "junk", 4);
    memstore_put(st, "trust/00020", "junk", 4);
    kit_read(st, &c);
    assert_int_equal(c.v.len, 1);
    trust_chain_clear(&c);
    char *large = mem_alloc(TRUST_MAX_BYTES + 1);
    memset(large, ' ', TRUST_MAX_BYTES + 1);
    memstore_put(st, "trust/0002", large, TRUST_MAX_BYTES + 1);
    expect_read(st, &pin, ERR_CORRUPT, "larger");
    free(large);
}

static void store_faults(void **s)
{
    (void)s;
    CLEANUP(store_freep) struct store *st = kit_three();
    struct sha256 pin = kit_pin(st);
    for (unsigned n = 1; n <= 4; n++) {
        memstore_fault_at(st, n, MEM_FAIL);
        expect_read(st, &pin, ERR_UNAVAILABLE, "does not answer");
        memstore_fault_at(st, n, MEM_LOSE);
        expect_read(st, &pin, ERR_UNAVAILABLE, "does not answer");
        memstore_fault_at(st, n, MEM_FLIP);
        expect_read(st, &pin, n == 4 ? ERR_NONE : ERR_CORRUPT, "trust/000");
        memstore_fault_at(st, n, MEM_SHORT);
        expect_read(st, &pin, n == 4 ? ERR_NONE : ERR_CORRUPT, "trust/000");
    }
}

// ---- what must not be written ----

static void expect_write(struct store *st, const struct trust_chain *c, const struct trust *t,
                         const struct signer *by, size_t n, enum err_kind kind, const char *says)
{
    struct sha256 hash;
    struct err err = {0};
    size_t files = memstore_count(st, "");
    if (trust_write(st, c, t, by, n, &hash, &err))
        fail_msg("written, though: %s", says);
    assert_int_equal(err.kind, kind);
    if (!strstr(err.msg, says))
        fail_msg("\"%s\" does not say \"%s\"", err.msg, says);
    assert_int_equal(memstore_count(st, ""), files);
    err_clear(&err);
}

static void writer_is_admin(struct trust *t)
{
    memcpy(t->signers.v[0].public, ann.public, KEY_BYTES);
}

static void writer_is_judge(struct trust *t)
{
    memcpy(t->signers.v[0].public, t->signers.v[2].public, KEY_BYTES);
}

static void bad_label(struct trust *t)
{
    str_set(&t->signers.v[0].label, "\xff");
}

static void escape_label(struct trust *t)
{
    str_set(&t->signers.v[0].label, "\x1b[2J");
}

static void bad_slot(struct trust *t)
{
    kit_add_slot(t, "x");
    t->slots.v[0].epoch = 9;
}

static void bad_kind(struct trust *t)
{
    kit_add_slot(t, "x");
    str_set(&t->slots.v[0].kind, "plugin");
}

static void two_open(struct trust *t)
{
    kit_add_epoch(t, 2);
}

static void epoch_gone(struct trust *t)
{
    t->epochs.len = 0;
}

static void epoch_changed(struct trust *t)
{
    memcpy(t->epochs.v[0].recipient, ann.public, KEY_BYTES);
}

static void signer_gone(struct trust *t)
{
    trust_clear(&(struct trust){.signers = {t->signers.v, t->signers.len, t->signers.cap}});
    memset(&t->signers, 0, sizeof(t->signers));
}

static void chain_gone(struct trust *t)
{
    str_set(&t->signers.v[0].chains.v[0], "stage");
}

static void all_to_one(struct trust *t)
{
    strv_push(&t->signers.v[1].chains, "prod");
}

static void bad_until(struct trust *t)
{
    t->signers.v[0].until = json_pack("{s:s}", "prod", "17");
}

static void need_nobody(struct trust *t)
{
    t->need = 0;
}

static void twice(struct trust *t)
{
    kit_add_admin(t, "ann", "ann again");
}

static void too_large(struct trust *t)
{
    for (unsigned i = 0; i < 1500; i++) {
        CLEANUP(str_freep) char *seed = str_printf("many %u", i);
        char label[201];
        memset(label, 'x', sizeof(label));
        label[200] = '\0';
        str_set(&kit_add_signer(t, seed, ROLE_WRITE)->label, label);
    }
}

static void writes_refused(void **s)
{
    (void)s;
    const struct signer two[] = {ann, ben};
    const struct signer same[] = {ann, ann};
    const struct {
        void (*change)(struct trust *);
        const struct signer *by;
        size_t n;
        const char *says;
    } rows[] = {
        {no_change, two, 1, "1 of its predecessor's"},
        {no_change, same, 2, "different admins"},
        {no_change, two, 0, "different admins"},
        {all_needed, two, 2, "not by 3"},
        {only_dan, two, 2, "own admins"},
        {other_number, two, 2, "number 3"},
        {other_repo, two, 2, "another repository"},
        {other_prev, two, 2, "follow"},
        {writer_is_admin, two, 2, "is an admin as well"},
        {writer_is_judge, two, 2, "has the role judge as well"},
        {bad_label, two, 2, "UTF-8"},
        {escape_label, two, 2, "signers[0]: label"},
        {bad_slot, two, 2, "slots[0]: epoch is not one of the epochs"},
        {bad_kind, two, 2, "slots[0]: kind is not one that is known"},
        {two_open, two, 2, "2 epochs are open"},
        {epoch_gone, two, 2, "epoch 1 is gone"},
        {epoch_changed, two, 2, "epoch 1 is gone or changed"},
        {signer_gone, two, 2, "signer writer is gone"},
        {chain_gone, two, 2, "lost a chain"},
        {all_to_one, two, 2, "lost a chain"},
        {bad_until, two, 2, "signers[0]: until"},
        {need_nobody, two, 2, "admins: need"},
        {twice, two, 2, "admins: keys[3]: key is there twice"},
        {too_large, two, 2, "larger"},
    };
    CLEANUP(store_freep) struct store *st = memstore_new();
    struct trust_chain c = {0};
    kit_write_first(st, &c);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct trust t;
        trust_next(&c, &t);
        rows[i].change(&t);
        expect_write(st, &c, &t, rows[i].by, rows[i].n, ERR_INVALID, rows[i].says);
        trust_clear(&t);
    }
    trust_chain_clear(&c);
}

static void reopened(struct trust *t)
{
    t->epochs.v[0].is_closed = false;
    t->epochs.v[1].is_closed = true;
}

static void closed_stays_closed(void **s)
{
    (void)s;
    CLEANUP(store_freep) struct store *st = kit_three();
    struct trust_chain c = {0};
    struct trust t;
    kit_read(st, &c);
    trust_next(&c, &t);
    reopened(&t);
    expect_write(st, &c, &t, (struct signer[]){ben, dan}, 2, ERR_INVALID, "epoch 1 is open again");
    trust_clear(&t);
    trust_chain_clear(&c);
}

static void writes_once(void **s)
{
    (void)s;
    CLEANUP(store_freep) struct store *st = memstore_new();
    struct trust_chain c = {0};
    struct trust t;
    struct sha256 hash;
    struct err err = {0};
    const struct signer two[] = {ann, ben};
    kit_write_first(st, &c);
    trust_next(&c, &t);
    // An answer that got lost: the same again is fine, in whatever order they sign.
    memstore_fault_at(st, 1, MEM_LOSE);
    assert_false(trust_write(st, &c, &t, two, 2, &hash, &err));
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    err_clear(&err);
    assert_true(trust_write(st, &c, &t, (struct signer[]){ben, ann}, 2, &hash, &err));
    const struct buf *file = memstore_file(st, "trust/0002");
    struct sha256 is = sha256_of(file->p, file->len);
    assert_true(sha256_eq(&is, &hash));
    // Another admin was faster.
    str_set(&t.admins.v[0].label, "changed");
    expect_write(st, &c, &t, two, 2, ERR_CONFLICT, "another trust/0002");
    // The store says that it is done, and holds something else.
    memstore_drop(st, "trust/0002");
    memstore_fault_at(st, 1, MEM_FLIP);
    assert_false(trust_write(st, &c, &t, two, 2, &hash, &err));
    assert_int_equal(err.kind, ERR_CORRUPT);
    err_clear(&err);
    memstore_drop(st, "trust/0002");
    memstore_fault_at(st, 1, MEM_PRETEND);
    assert_false(trust_write(st, &c, &t, two, 2, &hash, &err));
    assert_int_equal(err.kind, ERR_CORRUPT);
    err_clear(&err);
    trust_clear(&t);
    trust_chain_clear(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_two_three),       cmocka_unit_test(first_refused),
        cmocka_unit_test(second_refused),      cmocka_unit_test(holes_and_bounds),
        cmocka_unit_test(store_faults),        cmocka_unit_test(writes_refused),
        cmocka_unit_test(closed_stays_closed), cmocka_unit_test(writes_once),
    };
    return cmocka_run_group_tests(tests, make_people, NULL);
}
