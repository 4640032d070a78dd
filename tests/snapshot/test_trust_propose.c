// SPDX-License-Identifier: Apache-2.0
//
// A change that takes two admins, on its way from one to the other.
#include "tests/snapshot/memstore.h"
#include "tests/snapshot/trustkit.h"
#include "tests/test.h"

struct fixture {
    struct store *st;
    struct trust_chain now; // of ann, ben and cem, two of whom are needed
    struct trust next;
    struct buf file;
};

static void begin(struct fixture *f)
{
    *f = (struct fixture){.st = memstore_new()};
    kit_write_first(f->st, &f->now);
    trust_next(&f->now, &f->next);
}

static void end(struct fixture *f)
{
    buf_clear(&f->file);
    trust_clear(&f->next);
    trust_chain_clear(&f->now);
    store_free(f->st);
}

static void expect(bool ok, struct err *err, enum err_kind want)
{
    if (ok ? want != ERR_NONE : err->kind != want)
        fail_msg("%s, not %s", ok ? "it went well" : err->msg, err_kind_name(want));
    err_clear(err);
}

static void propose(struct fixture *f, const char *by, enum err_kind want)
{
    struct signer s = kit_signer(by);
    struct err err = {0};
    buf_clear(&f->file);
    expect(trust_propose(&f->now, &f->next, &s, 1, &f->file, &err), &err, want);
}

static void cosign(struct fixture *f, const char *by, enum err_kind want)
{
    struct signer s = kit_signer(by);
    struct err err = {0};
    expect(trust_cosign(&f->now, &s, &f->file, &err), &err, want);
}

static unsigned missing(struct fixture *f)
{
    struct trust t = {0};
    struct err err = {0};
    unsigned n = 99;
    expect(trust_proposal_read(&f->now, &f->file, &t, &n, &err), &err, ERR_NONE);
    trust_clear(&t);
    return n;
}

static void unreadable(struct fixture *f, enum err_kind want)
{
    struct trust t = {0};
    struct err err = {0};
    unsigned n;
    expect(trust_proposal_read(&f->now, &f->file, &t, &n, &err), &err, want);
}

static void write_it(struct fixture *f, enum err_kind want)
{
    struct err err = {0};
    expect(trust_write_proposal(f->st, &f->now, &f->file, &err), &err, want);
}

static void two_sign(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f);
    kit_add_signer(&f.next, "second judge", ROLE_JUDGE);
    propose(&f, "ann", ERR_NONE);
    assert_int_equal(missing(&f), 1);
    write_it(&f, ERR_INVALID);
    assert_int_equal(memstore_count(f.st, "trust/"), 1);
    cosign(&f, "ann", ERR_NONE); // counts once
    assert_int_equal(missing(&f), 1);
    cosign(&f, "eve", ERR_DENIED);
    cosign(&f, "cem", ERR_NONE);
    assert_int_equal(missing(&f), 0);
    write_it(&f, ERR_NONE);
    write_it(&f, ERR_NONE); // the very same
    kit_read(f.st, &f.now);
    assert_int_equal(trust_now(&f.now)->n, 2);
    unreadable(&f, ERR_CONFLICT); // it is behind now
    cosign(&f, "ben", ERR_CONFLICT);
    end(&f);
}

// Which of the two signs first makes no difference to the bytes.
static void in_any_order(void **state)
{
    struct fixture f;
    struct buf other CLEANUP(buf_clear) = {0};
    (void)state;
    begin(&f);
    kit_add_slot(&f.next, "safe");
    propose(&f, "ben", ERR_NONE);
    cosign(&f, "ann", ERR_NONE);
    buf_append(&other, f.file.p, f.file.len);
    propose(&f, "ann", ERR_NONE);
    cosign(&f, "ben", ERR_NONE);
    assert_int_equal(f.file.len, other.len);
    assert_memory_equal(f.file.p, other.p, other.len);
    end(&f);
}

// A signature that was spoilt on its way keeps its admin from nothing.
static void signed_anew(void **state)
{
    struct fixture f;
    struct buf good CLEANUP(buf_clear) = {0};
    (void)state;
    begin(&f);
    kit_add_slot(&f.next, "safe");
    propose(&f, "ann", ERR_NONE);
    cosign(&f, "cem", ERR_NONE);
    buf_append(&good, f.file.p, f.file.len);
    struct key_id cem = key_id_of(kit_signer("cem").public);
    char *line = strstr(f.file.p, cem.hex);
    assert_non_null(line);
    line[KEY_ID_HEX + 1] = line[KEY_ID_HEX + 1] == 'A' ? 'B' : 'A';
    assert_int_equal(missing(&f), 1);
    cosign(&f, "cem", ERR_NONE);
    assert_int_equal(missing(&f), 0);
    assert_int_equal(f.file.len, good.len);
    assert_memory_equal(f.file.p, good.p, good.len);
    end(&f);
}

// More admins, fewer: those of now and those of then must agree.
static void the_quorum_changes(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f);
    f.next.need = 3;
    propose(&f, "ann", ERR_NONE);
    assert_int_equal(missing(&f), 2);
    cosign(&f, "ben", ERR_NONE);
    write_it(&f, ERR_INVALID);
    cosign(&f, "cem", ERR_NONE);
    write_it(&f, ERR_NONE);
    kit_read(f.st, &f.now);
    trust_clear(&f.next);
    trust_next(&f.now, &f.next);
    f.next.need = 1;
    propose(&f, "ann", ERR_NONE);
    assert_int_equal(missing(&f), 2); // of now
    end(&f);
    // Who comes new may sign, and is not enough.
    begin(&f);
    kit_add_admin(&f.next, "dan", "dan");
    propose(&f, "ann", ERR_NONE);
    cosign(&f, "dan", ERR_NONE);
    assert_int_equal(missing(&f), 1);
    end(&f);
}

static void refused(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f);
    kit_add_slot(&f.next, "safe");
    propose(&f, "eve", ERR_INVALID); // a stranger's is never read
    propose(&f, "ann", ERR_NONE);
    for (size_t i = 0; i < f.file.len; i += 7) {
        struct trust t = {0};
        struct err err = {0};
        unsigned n;
        f.file.p[i] ^= 1;
        bool ok = trust_proposal_read(&f.now, &f.file, &t, &n, &err);
        if (ok || err.kind != ERR_CORRUPT)
            fail_msg("byte %zu: %s", i, ok ? "taken" : err.msg);
        err_clear(&err);
        f.file.p[i] ^= 1;
    }
    buf_clear(&f.file);
    unreadable(&f, ERR_CORRUPT);
    // What no trust may do, whoever signs it.
    memcpy(f.next.epochs.v[0].recipient, kit_identity(7).public, KEY_BYTES);
    propose(&f, "ann", ERR_INVALID);
    end(&f);
}

static size_t n_changes(const struct fixture *f)
{
    struct strv lines = {0};
    trust_changes(trust_now(&f->now), &f->next, &lines);
    for (size_t i = 0; i < lines.len; i++)
        assert_true(str_starts(lines.v[i], "+ ") || str_starts(lines.v[i], "- "));
    size_t n = lines.len;
    strv_clear(&lines);
    return n;
}

// Nothing is signed unseen: every member that differs makes a line.
static void all_is_shown(void **state)
{
    struct fixture f;
    size_t before = 0;
    (void)state;
    begin(&f);
    assert_int_equal(n_changes(&f), 0);
    for (int i = 0; i < 10; i++) {
        struct trust *t = &f.next;
        if (i == 0)
            t->need = 1;
        else if (i == 1)
            str_set(&t->admins.v[0].label, "somebody else");
        else if (i == 2)
            memcpy(t->admins.v[1].public, kit_signer("dan").public, KEY_BYTES);
        else if (i == 3)
            kit_add_epoch(t, 2);
        else if (i == 4)
            t->epochs.v[0].is_closed = true;
        else if (i == 5)
            kit_add_slot(t, "safe");
        else if (i == 6)
            t->signers.v[0].until = json_pack("{s:i}", "prod", 1);
        else if (i == 7)
            strv_push(&t->signers.v[1].chains, "prod");
        else if (i == 8)
            t->signers.v[2].role = ROLE_PRUNE;
        else
            strv_push(&t->write_flags, "later");
        size_t n = n_changes(&f);
        if (n <= before)
            fail_msg("change %d is not shown", i);
        before = n;
    }
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_sign),           cmocka_unit_test(in_any_order),
        cmocka_unit_test(the_quorum_changes), cmocka_unit_test(refused),
        cmocka_unit_test(all_is_shown),       cmocka_unit_test(signed_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
