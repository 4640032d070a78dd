// SPDX-License-Identifier: Apache-2.0
//
// Changes to who may do what: each is one trust file more, what was done already is done no second
// time, nobody is locked out, and a store that fails at any call leaves the old or the new.
#include "snapshot/admin.h"

#include "snapshot/prune.h"
#include "snapshot/reader.h"
#include "snapshot/verdict.h"
#include "tests/snapshot/snapkit.h"
#include "tests/test.h"

// Of one admin, "ann", and epoch 1 with a slot for her.
struct fixture {
    struct store *st; // of r
    struct repo r;
    struct credential ann;
    struct age_identity own[3]; // of people
    struct age_identities ids;
    struct unlocked u;
};

static struct slot_way way_of(const struct fixture *f, unsigned who)
{
    static char labels[3][AGE_TEXT_CHARS + 1];
    CLEANUP(str_freep) char *to = age_recipient_text(f->own[who].public);
    snprintf(labels[who], sizeof(labels[who]), "%s", to);
    return (struct slot_way){.recipient = f->own[who].public, .label = labels[who]};
}

static void unlock(struct fixture *f)
{
    struct err err = {0};
    struct age_keys keys = {.identities = &f->ids};
    unlocked_clear(&f->u);
    if (!repo_unlock(f->r.store, &f->r.trust, &keys, &f->u, &err))
        fail_msg("%s", err.msg);
}

static void first_trust(struct fixture *f)
{
    struct trust t = {.n = 1, .need = 1};
    struct sha256 hash;
    struct err err = {0};
    kit_repo(t.repo);
    kit_add_admin(&t, "ann", "ann");
    kit_add_epoch(&t, 1);
    strv_push(&kit_add_signer(&t, "writer", ROLE_WRITE)->chains, PROD);
    kit_add_signer(&t, "judge", ROLE_JUDGE);
    struct marker m = {.atomic_create = true, .list_after_create = true};
    kit_repo(m.repo);
    m.store_kind = str_dup("folder");
    if (!trust_write(f->st, NULL, &t, &f->ann.signer, 1, &hash, &err) ||
        !marker_write(f->st, &m, &f->ann.signer, &err))
        fail_msg("%s", err.msg);
    marker_clear(&m);
    trust_clear(&t);
    f->ann.pin = hash;
}

static void first_slot(struct fixture *f)
{
    struct slot_content c = {.epoch = 1, .pin = f->r.trust.pin, .identity = kit_identity(1)};
    struct err err = {0};
    size_t added = 0;
    struct slot_way w = way_of(f, 0);
    kit_repo(c.repo);
    *vec_push(&f->u.v) = c;
    if (!admin_add_slot(&f->r, &f->ann, &f->u, &w, &added, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(added, 1);
}

static void begin(struct fixture *f)
{
    struct err err = {0};
    *f = (struct fixture){.st = memstore_new(), .ann = {.kind = CREDENTIAL_ADMIN}};
    f->ann.signer = kit_signer("ann");
    for (unsigned i = 0; i < 3; i++)
        age_identity_new(&f->own[i]);
    *vec_push(&f->ids.v) = f->own[0];
    first_trust(f);
    if (!repo_open_store_take(f->st, &f->ann.pin, &f->r, &err))
        fail_msg("%s", err.msg);
    first_slot(f);
    unlock(f);
}

static void end(struct fixture *f)
{
    unlocked_clear(&f->u);
    age_identities_clear(&f->ids);
    repo_close(&f->r);
}

static const struct trust *now(const struct fixture *f)
{
    return trust_now(&f->r.trust);
}

static void expect(bool ok, struct err *err, enum err_kind want)
{
    if (ok ? want != ERR_NONE : err->kind != want)
        fail_msg("%s, not %s", ok ? "it went well" : err->msg, err_kind_name(want));
    err_clear(err);
}

static void slots(void **state)
{
    struct fixture f;
    struct err err = {0};
    size_t n = 0;
    (void)state;
    begin(&f);
    struct slot_way ben = way_of(&f, 1);
    expect(admin_add_slot(&f.r, &f.ann, &f.u, &ben, &n, &err), &err, ERR_NONE);
    assert_int_equal(n, 1);
    unsigned trust = now(&f)->n;
    expect(admin_add_slot(&f.r, &f.ann, &f.u, &ben, &n, &err), &err, ERR_NONE);
    assert_int_equal(n, 0); // nothing was changed
    assert_int_equal(now(&f)->n, trust);
    f.ids.v.v[0] = f.own[1];
    unlock(&f); // ben opens it
    assert_memory_equal(f.u.v.v[0].identity.secret, kit_identity(1).secret, KEY_BYTES);
    f.ids.v.v[0] = f.own[2];
    struct age_keys keys = {.identities = &f.ids};
    struct unlocked u = {0};
    expect(repo_unlock(f.r.store, &f.r.trust, &keys, &u, &err), &err, ERR_DENIED);
    expect(admin_remove_slot(&f.r, &f.ann, "nobody", &n, &err), &err, ERR_NOT_FOUND);
    expect(admin_remove_slot(&f.r, &f.ann, ben.label, &n, &err), &err, ERR_NONE);
    struct slot_way ann = way_of(&f, 0);
    expect(admin_remove_slot(&f.r, &f.ann, ann.label, &n, &err), &err, ERR_CONFLICT);
    assert_int_equal(now(&f)->slots.len, 1);
    end(&f);
}

// Ways are counted, not slots, and none that was not tried.
static void which_ways(void **state)
{
    static const char one[] = "the one way to open the repository does not fit what was given";
    static const char of_two[] =
        "the one way to open the repository that takes an identity does not fit what was given";
    struct fixture f;
    struct err err = {0};
    struct unlocked u = {0};
    (void)state;
    begin(&f);
    f.ids.v.v[0] = f.own[2];
    struct age_keys keys = {.identities = &f.ids};
    struct trust *t = &f.r.trust.v.v[f.r.trust.v.len - 1];
    assert_false(repo_unlock(f.r.store, &f.r.trust, &keys, &u, &err));
    assert_string_equal(err.msg, one);
    err_clear(&err);
    kit_add_slot(t, "safe");
    assert_false(repo_unlock(f.r.store, &f.r.trust, &keys, &u, &err));
    assert_string_equal(err.msg, of_two);
    err_clear(&err);
    kit_add_epoch(t, 2); // which both open, too
    for (size_t i = 0; i < 2; i++) {
        struct trust_slot *row = vec_push(&t->slots);
        *row = t->slots.v[i];
        row->epoch = 2;
        row->kind = str_dup(t->slots.v[i].kind);
        row->label = str_dup(t->slots.v[i].label);
    }
    assert_false(repo_unlock(f.r.store, &f.r.trust, &keys, &u, &err));
    assert_string_equal(err.msg, of_two);
    err_clear(&err);
    end(&f);
}

// A slot of another repository, or with another key, under a name that trust lists.
static void foreign_slot(void **state)
{
    struct fixture f;
    struct err err = {0};
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        begin(&f);
        struct slot_content c = {.epoch = 1, .pin = f.r.trust.pin, .identity = kit_identity(1)};
        kit_repo(c.repo);
        if (kind == 0)
            c.repo[0] ^= 1;
        if (kind == 1)
            c.pin.b[0] ^= 1;
        if (kind == 2)
            c.identity = kit_identity(2);
        f.u.v.v[0] = c;
        struct slot_way w = way_of(&f, 1);
        size_t n = 0;
        expect(admin_add_slot(&f.r, &f.ann, &f.u, &w, &n, &err), &err, ERR_NONE);
        f.ids.v.v[0] = f.own[1];
        struct age_keys keys = {.identities = &f.ids};
        unlocked_clear(&f.u);
        expect(repo_unlock(f.r.store, &f.r.trust, &keys, &f.u, &err), &err, ERR_CORRUPT);
        end(&f);
    }
}

static void expect_told(struct fixture *f, const struct age_keys *keys, const char *what)
{
    struct unlocked u = {0};
    struct err err = {0};
    bool ok = repo_unlock(f->r.store, &f->r.trust, keys, &u, &err);
    assert_true(!ok && err.kind == ERR_CORRUPT && strstr(err.msg, "2 ways"));
    assert_non_null(strstr(err.msg, what));
    err_clear(&err);
}

// One lost or damaged slot does not stand before another.
static void lost_slot(void **state)
{
    struct fixture f;
    struct err err = {0};
    size_t n = 0;
    (void)state;
    begin(&f);
    struct slot_way ben = way_of(&f, 1);
    expect(admin_add_slot(&f.r, &f.ann, &f.u, &ben, &n, &err), &err, ERR_NONE);
    *vec_push(&f.ids.v) = f.own[1];
    CLEANUP(str_freep) char *name = str_printf("keys/%s", now(&f)->slots.v[0].file);
    memstore_put(f.st, name, "age-encryption.org/v1\nrubbish", 29);
    unlock(&f);
    memstore_drop(f.st, name);
    unlock(&f);
    assert_int_equal(f.u.v.len, 1);
    f.ids.v.len = 1; // hers alone is lost: that is damage, not a wrong key
    struct age_keys keys = {.identities = &f.ids};
    expect_told(&f, &keys, "is missing");
    memstore_put(f.st, name, "age-encryption.org/v1\nrubbish", 29);
    expect_told(&f, &keys, "is damaged");
    end(&f);
}

// Who opens the later epoch alone: the contents of that one, the bytes of all.
static void verify_with_one(struct fixture *f, size_t problems)
{
    struct err err = {0};
    struct log l = {0};
    struct age_identities ids = {0};
    struct verify_result v = {0};
    struct verify_opts o = {.identities = &ids};
    *vec_push(&ids.v) = unlocked_epoch(&f->u, 2)->identity;
    log_kit_read(&f->r, &l);
    expect(repo_verify(&f->r, &l, &o, &v, &err), &err, ERR_NONE);
    assert_int_equal(v.level, VERIFY_CONTENT);
    assert_int_equal(v.problems.len, problems);
    assert_int_equal(v.unopened.len, 1);
    assert_int_equal(v.unopened.v[0], 1);
    verify_result_clear(&v);
    ids.v.v[0] = kit_identity(7); // of no epoch
    expect(repo_verify(&f->r, &l, &o, &v, &err), &err, ERR_NONE);
    assert_int_equal(v.level, VERIFY_CHAIN);
    assert_int_equal(v.problems.len, problems);
    verify_result_clear(&v);
    age_identities_clear(&ids);
    log_clear(&l);
}

static void spoil_pack_of_first(struct fixture *f)
{
    struct log l = {0};
    struct strv needs = {0};
    struct err err = {0};
    log_kit_read(&f->r, &l);
    expect(snapshot_needs(&f->r, &l, log_find(&l, 1), &needs, &err), &err, ERR_NONE);
    for (size_t i = 0; i < needs.len; i++)
        if (strstr(needs.v[i], "/packs/"))
            memstore_put(f->st, needs.v[i], "other bytes", 11);
    strv_clear(&needs);
    log_clear(&l);
}

static void rotation(void **state)
{
    struct fixture f;
    struct err err = {0};
    unsigned epoch = 0;
    bool made = false;
    size_t n = 0;
    (void)state;
    begin(&f);
    struct slot_way ways[2] = {way_of(&f, 0), way_of(&f, 1)};
    struct rotate_opts o = {.ways = ways, .n_ways = 1};
    expect(admin_rotate(&f.r, &f.ann, &o, &epoch, &made, &err), &err, ERR_USAGE);
    o.n_ways = 2;
    struct credential job = snap_kit_job("writer");
    job.pin = f.r.trust.pin;
    struct snap_state st = {.apps = 2, .objects = 2};
    struct entry e = {0};
    expect(snap_kit_write(&f.r, &job, &st, NULL, &e, &err), &err, ERR_NONE);
    entry_clear(&e);
    expect(admin_rotate(&f.r, &f.ann, &o, &epoch, &made, &err), &err, ERR_NONE);
    assert_int_equal(epoch, 2);
    assert_true(made && trust_epoch(now(&f), 1)->is_closed);
    expect(admin_rotate(&f.r, &f.ann, &o, &epoch, &made, &err), &err, ERR_NONE);
    assert_int_equal(epoch, 2);
    assert_false(made); // nothing was written in it yet
    unlock(&f);
    assert_int_equal(f.u.v.len, 2); // both epochs open to her
    // A job of the old epoch, and the last way to what it wrote.
    expect(snap_kit_write(&f.r, &job, &st, NULL, &e, &err), &err, ERR_DENIED);
    CLEANUP(str_freep) char *old = str_dup(now(&f)->slots.v[0].file);
    expect(admin_remove_slot(&f.r, &f.ann, old, &n, &err), &err, ERR_CONFLICT);
    // A new credential writes in the new one.
    struct credential next = {.kind = CREDENTIAL_JOB, .signer = kit_signer("writer")};
    kit_repo(next.repo);
    next.pin = f.r.trust.pin;
    expect(admin_issue_job(&f.r, &f.u, PROD, &next, &err), &err, ERR_NONE);
    assert_int_equal(next.epoch, 2);
    assert_int_equal(next.head_seq, 1);
    expect(snap_kit_write(&f.r, &next, &st, NULL, &e, &err), &err, ERR_NONE);
    assert_int_equal(e.snapshot.epoch, 2);
    entry_clear(&e);
    verify_with_one(&f, 0);
    spoil_pack_of_first(&f);
    verify_with_one(&f, 1);
    credential_clear(&next);
    credential_clear(&job);
    end(&f);
}

static void revoking(void **state)
{
    struct fixture f;
    struct err err = {0};
    json_t *until = NULL;
    bool made = false;
    (void)state;
    begin(&f);
    struct credential job = snap_kit_job("writer");
    struct snap_state st = {.apps = 2, .objects = 2};
    for (unsigned i = 0; i < 3; i++) {
        struct entry e = {0};
        st.version = i;
        expect(snap_kit_write(&f.r, &job, &st, NULL, &e, &err), &err, ERR_NONE);
        entry_clear(&e);
    }
    struct revocation v = {.who = "writer"};
    expect(admin_revoke(&f.r, &f.ann, &v, &until, &err), &err, ERR_NONE);
    assert_int_equal(json_integer_value(json_object_get(until, PROD)), 3);
    json_decref(until);
    unsigned trust = now(&f)->n;
    expect(admin_revoke(&f.r, &f.ann, &v, &until, &err), &err, ERR_NONE);
    json_decref(until);
    assert_int_equal(now(&f)->n, trust); // it was done
    CLEANUP(json_freep) json_t *two = json_pack("{s:i}", PROD, 2);
    v.last = two;
    expect(admin_revoke(&f.r, &f.ann, &v, &until, &err), &err, ERR_NONE);
    json_decref(until);
    struct log l = {0};
    log_kit_read(&f.r, &l);
    assert_int_equal(log_latest_good(&l)->seq, 2);
    log_clear(&l);
    CLEANUP(json_freep) json_t *three = json_pack("{s:i}", PROD, 3);
    v.last = three;
    expect(admin_revoke(&f.r, &f.ann, &v, &until, &err), &err, ERR_CONFLICT);
    json_decref(until);
    // The key comes in no second time, and the last admin stays.
    struct signer_new_row row = {.role = ROLE_WRITE, .label = "again"};
    memcpy(row.public, kit_signer("writer").public, KEY_BYTES);
    expect(admin_add_signer(&f.r, &f.ann, &row, &made, &err), &err, ERR_CONFLICT);
    v = (struct revocation){.who = "ann"};
    expect(admin_revoke(&f.r, &f.ann, &v, &until, &err), &err, ERR_CONFLICT);
    v.who = "nobody";
    expect(admin_revoke(&f.r, &f.ann, &v, &until, &err), &err, ERR_NOT_FOUND);
    credential_clear(&job);
    end(&f);
}

static void by_admins_alone(void **state)
{
    struct fixture f;
    struct err err = {0};
    bool made = false;
    (void)state;
    begin(&f);
    struct credential eve = {.kind = CREDENTIAL_ADMIN, .signer = kit_signer("eve")};
    struct signer_new_row row = {.role = ROLE_PRUNE, .label = "p"};
    memcpy(row.public, kit_signer("p").public, KEY_BYTES);
    size_t before = memstore_count(f.st, "");
    expect(admin_add_signer(&f.r, &eve, &row, &made, &err), &err, ERR_DENIED);
    assert_int_equal(memstore_count(f.st, ""), before);
    // Two admins, then one of them goes.
    struct signer_new_row ben = {.is_admin = true, .label = "ben"};
    memcpy(ben.public, kit_signer("ben").public, KEY_BYTES);
    expect(admin_add_signer(&f.r, &f.ann, &ben, &made, &err), &err, ERR_NONE);
    struct credential b = {.kind = CREDENTIAL_ADMIN, .signer = kit_signer("ben")};
    json_t *until = NULL;
    struct revocation v = {.who = "ann"};
    expect(admin_revoke(&f.r, &b, &v, &until, &err), &err, ERR_NONE);
    expect(admin_add_signer(&f.r, &f.ann, &row, &made, &err), &err, ERR_DENIED);
    expect(admin_add_signer(&f.r, &b, &row, &made, &err), &err, ERR_NONE);
    end(&f);
}

// Every call of the store fails in turn: trust is the old one or the new one, and the same again
// does what is left.
static void faults(void **state)
{
    static const enum memstore_fault kinds[] = {MEM_FAIL, MEM_LOSE, MEM_DIE, MEM_DIE_AFTER};
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        bool again = true;
        for (unsigned n = 1; again; n++) {
            struct fixture f;
            struct err err = {0};
            unsigned epoch;
            bool made;
            begin(&f);
            struct slot_way ways[2] = {way_of(&f, 0), way_of(&f, 1)};
            struct rotate_opts o = {.ways = ways, .n_ways = 2};
            memstore_fault_at(f.st, n, kinds[k]);
            again = !admin_rotate(&f.r, &f.ann, &o, &epoch, &made, &err);
            err_clear(&err);
            memstore_hook(f.st, NULL, NULL);
            struct repo fresh = {0};
            if (!repo_open_store_take(memstore_clone(f.st), &f.ann.pin, &fresh, &err))
                fail_msg("%s", err.msg);
            expect(admin_rotate(&fresh, &f.ann, &o, &epoch, &made, &err), &err, ERR_NONE);
            assert_int_equal(epoch, 2); // and never a third one
            repo_close(&fresh);
            end(&f);
        }
    }
}

// Another admin's change takes the number just before ours is created.
struct rival {
    struct fixture *f;
    const char *seed;
    unsigned left;
};

static enum memstore_fault rival_first(void *ctx, const struct memstore_call *call)
{
    struct rival *v = ctx;
    struct repo r = {0};
    struct err err = {0};
    bool made = false;
    if (call->op != MEM_CREATE || !str_starts(call->name, "trust/") || !v->left)
        return MEM_FINE;
    v->left--;
    // Inside a hook the store works without faults; it is lent to the rival.
    if (!trust_read(v->f->st, &v->f->ann.pin, &r.trust, &err))
        fail_msg("%s", err.msg);
    r.store = v->f->st;
    CLEANUP(str_freep) char *seed = str_printf("%s %u", v->seed, v->left);
    struct signer_new_row row = {.role = ROLE_JUDGE, .label = seed};
    memcpy(row.public, kit_signer(seed).public, KEY_BYTES);
    expect(admin_add_signer(&r, &v->f->ann, &row, &made, &err), &err, ERR_NONE);
    trust_chain_clear(&r.trust);
    return MEM_FINE;
}

// Who loses the race for a number decides anew on what the other made: both changes are there.
static void others_are_first(void **state)
{
    struct fixture f;
    struct err err = {0};
    bool made = false;
    size_t n = 0;
    unsigned epoch = 0;
    json_t *until = NULL;
    (void)state;
    begin(&f);
    struct rival v = {.f = &f, .seed = "added", .left = 3};
    struct signer_new_row row = {.role = ROLE_PRUNE, .label = "p"};
    memcpy(row.public, kit_signer("p").public, KEY_BYTES);
    memstore_hook(f.st, rival_first, &v);
    expect(admin_add_signer(&f.r, &f.ann, &row, &made, &err), &err, ERR_NONE);
    assert_true(made);
    assert_int_equal(now(&f)->signers.len, 2 + 3 + 1);
    v.seed = "slot", v.left = 1;
    struct slot_way ways[2] = {way_of(&f, 0), way_of(&f, 1)};
    expect(admin_add_slot(&f.r, &f.ann, &f.u, &ways[1], &n, &err), &err, ERR_NONE);
    assert_int_equal(n, 1);
    assert_int_equal(now(&f)->slots.len, 2);
    v.seed = "epoch", v.left = 1;
    struct rotate_opts o = {.ways = ways, .n_ways = 2};
    expect(admin_rotate(&f.r, &f.ann, &o, &epoch, &made, &err), &err, ERR_NONE);
    assert_int_equal(epoch, 2);
    v.seed = "revoked", v.left = 1;
    struct revocation gone = {.who = "p"};
    expect(admin_revoke(&f.r, &f.ann, &gone, &until, &err), &err, ERR_NONE);
    json_decref(until);
    v.seed = "removed", v.left = 1;
    CLEANUP(str_freep) char *file = str_dup(now(&f)->slots.v[3].file);
    expect(admin_remove_slot(&f.r, &f.ann, file, &n, &err), &err, ERR_NONE);
    assert_int_equal(now(&f)->slots.len, 3);
    assert_int_equal(now(&f)->signers.len, 6 + 4);
    v.seed = "always", v.left = 1000; // that has an end
    expect(admin_rotate(&f.r, &f.ann,
                        &(struct rotate_opts){.ways = ways, .n_ways = 2, .again = true}, &epoch,
                        &made, &err),
           &err, ERR_CONFLICT);
    memstore_hook(f.st, NULL, NULL);
    end(&f);
}

static void judging(void **state)
{
    struct fixture f;
    struct err err = {0};
    bool made = false;
    (void)state;
    begin(&f);
    struct credential job = snap_kit_job("writer");
    struct credential judge = {.kind = CREDENTIAL_JUDGE, .signer = kit_signer("judge")};
    struct snap_state st = {.apps = 2, .objects = 2, .unknown = true};
    struct entry e = {0};
    struct log l = {0};
    expect(snap_kit_write(&f.r, &job, &st, NULL, &e, &err), &err, ERR_NONE);
    entry_clear(&e);
    expect(repo_judge(&f.r, PROD, &job, 1, VERDICT_GOOD, NULL, &made, &err), &err, ERR_DENIED);
    expect(repo_judge(&f.r, PROD, &judge, 7, VERDICT_GOOD, NULL, &made, &err), &err, ERR_NOT_FOUND);
    expect(repo_judge(&f.r, PROD, &judge, 1, VERDICT_GOOD, "seen", &made, &err), &err, ERR_NONE);
    assert_true(made);
    expect(repo_judge(&f.r, PROD, &judge, 1, VERDICT_GOOD, NULL, &made, &err), &err, ERR_NONE);
    assert_false(made);
    log_kit_read(&f.r, &l);
    assert_int_equal(log_latest_good(&l)->seq, 1);
    expect(repo_judge(&f.r, PROD, &judge, 1, VERDICT_BAD, NULL, &made, &err), &err, ERR_NONE);
    log_kit_read(&f.r, &l);
    assert_null(log_latest_good(&l));
    log_clear(&l);
    credential_clear(&job);
    end(&f);
}

// A thief signs of a trust that never was: that holds up changes, but not the revocation of his
// key, after which it says nothing.
static void trust_that_never_was(void **state)
{
    struct fixture f;
    struct err err = {0};
    json_t *until = NULL;
    bool made = false;
    (void)state;
    begin(&f);
    struct credential job = snap_kit_job("writer");
    struct snap_state st = {.apps = 2, .objects = 2};
    struct entry first = {0};
    expect(snap_kit_write(&f.r, &job, &st, NULL, &first, &err), &err, ERR_NONE);
    struct entry e = kit_snapshot(true);
    e.trust = 77;
    log_kit_put(&f.r, &e, 2, &first.hash, "writer");
    expect(repo_has_newest_trust(&f.r, NULL, &err), &err, ERR_CORRUPT);
    struct signer_new_row row = {.role = ROLE_JUDGE, .label = "new"};
    memcpy(row.public, kit_signer("another").public, KEY_BYTES);
    expect(admin_add_signer(&f.r, &f.ann, &row, &made, &err), &err, ERR_CORRUPT);
    expect(repo_remove_untrusted(&f.r, PROD, 2, &err), &err, ERR_CORRUPT);
    // Neither does another admin sign a change, but for the one that revokes it.
    struct trust next = {0};
    trust_next(&f.r.trust, &next);
    expect(repo_may_change_to(&f.r, &next, &err), &err, ERR_CORRUPT);
    next.signers.v[1].until = json_pack("{s:i}", PROD, 1);
    expect(repo_may_change_to(&f.r, &next, &err), &err, ERR_CORRUPT);
    next.signers.v[0].until = json_pack("{s:i}", PROD, 1);
    json_decref(next.signers.v[1].until);
    next.signers.v[1].until = NULL;
    expect(repo_may_change_to(&f.r, &next, &err), &err, ERR_NONE);
    trust_clear(&next);
    CLEANUP(json_freep) json_t *one = json_pack("{s:i}", PROD, 1);
    struct revocation v = {.who = "writer", .last = one};
    expect(admin_revoke(&f.r, &f.ann, &v, &until, &err), &err, ERR_NONE);
    json_decref(until);
    expect(repo_has_newest_trust(&f.r, NULL, &err), &err, ERR_NONE);
    expect(admin_add_signer(&f.r, &f.ann, &row, &made, &err), &err, ERR_NONE);
    expect(repo_remove_untrusted(&f.r, PROD, 2, &err), &err, ERR_NONE);
    entry_clear(&first);
    credential_clear(&job);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trust_that_never_was),
        cmocka_unit_test(slots),
        cmocka_unit_test(which_ways),
        cmocka_unit_test(foreign_slot),
        cmocka_unit_test(lost_slot),
        cmocka_unit_test(rotation),
        cmocka_unit_test(revoking),
        cmocka_unit_test(by_admins_alone),
        cmocka_unit_test(faults),
        cmocka_unit_test(judging),
        cmocka_unit_test(others_are_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
