// SPDX-License-Identifier: Apache-2.0
//
// An export back into a repository: the same snapshot comes of it as of a copy, vouched for or
// suspect; whatever was changed in the file is found out before anything is written.
#include "snapshot/import.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "gitops/gitops.h"
#include "snapshot/export.h"
#include "snapshot/import_int.h"
#include "tests/snapshot/smallrepo.h"
#include "tests/snapshot/snapkit.h"
#include "tests/snapshot/tarkit.h"
#include "tests/test.h"

struct fixture {
    struct repo repo; // that is exported
    struct log log;
    struct sha256 pin;
    char *dir, *work, *file;
    struct age_identities ids;
};

static bool export_it(const struct fixture *f, const char *seed, bool secrets, const char *file,
                      struct err *err)
{
    struct age_identity id = kit_identity(1);
    struct signer signer = kit_signer(seed ? seed : "ann");
    struct reader *rd = NULL;
    struct export_result r = {0};
    const struct entry *e = log_find(&f->log, 2);
    struct export_opts o = {.log = &f->log,
                            .entry = e,
                            .recipients = (const uint8_t(*)[KEY_BYTES]) & id.public,
                            .n_recipients = secrets ? 1 : 0,
                            .without_secrets = !secrets,
                            .signer = seed ? &signer : NULL,
                            .work = f->work,
                            .replace = true};
    bool ok = reader_open((struct repo *)&f->repo, PROD, e, &id, &rd, err) &&
              snapshot_export((struct repo *)&f->repo, rd, &o, file, &r, err);
    reader_free(rd);
    export_result_clear(&r);
    return ok;
}

static int setup(void **state)
{
    struct fixture *f = mem_alloc(sizeof(*f));
    struct err err = {0};
    struct age_identity id = kit_identity(1);
    struct store *st = small_repo(true);
    f->pin = kit_pin(st);
    log_kit_open(st, &f->repo);
    log_kit_read(&f->repo, &f->log);
    *vec_push(&f->ids.v) = id;
    assert_true(dir_make_temp("test-import", &f->dir, &err));
    f->work = path_join(f->dir, "work");
    f->file = path_join(f->dir, "whole.tar");
    if (!export_it(f, "ann", true, f->file, &err))
        fail_msg("%s", err.msg);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    log_clear(&f->log);
    repo_close(&f->repo);
    age_identities_clear(&f->ids);
    free(f->work);
    free(f->file);
    dir_temp_cleanup(&f->dir);
    free(f);
    return 0;
}

// ---- where it goes ----

struct target {
    struct repo r;
    struct log l;
    struct credential job;
};

static void target_open(struct target *t)
{
    *t = (struct target){.l = {.checkpoint = -1}};
    log_kit_open(log_kit_store(true), &t->r);
    log_kit_read(&t->r, &t->l);
    t->job = snap_kit_job("writer");
}

static void target_close(struct target *t)
{
    log_clear(&t->l);
    repo_close(&t->r);
    credential_clear(&t->job);
}

struct imported {
    struct import *m;
    struct copy *copy;
    struct entry made;
    bool is_there;
};

static void imported_clear(struct imported *i)
{
    entry_clear(&i->made);
    copy_free(i->copy);
    import_free(i->m);
}

static bool open_it(const struct fixture *f, const char *file, bool pinned, struct import **out,
                    struct err *err)
{
    const struct import_opts o = {.pin = pinned ? &f->pin : NULL, .work = f->work};
    return import_open(file, &o, out, err);
}

static bool import_it(const struct fixture *f, const char *file, bool pinned, struct target *t,
                      struct imported *out, struct err *err)
{
    *out = (struct imported){0};
    log_kit_read(&t->r, &t->l);
    if (!open_it(f, file, pinned, &out->m, err) || !import_read(out->m, &f->ids, err))
        return false;
    const struct import_facts *facts = import_facts(out->m);
    const struct copy_opts o = {
        .job = &t->job, .work = f->work, .doubts = &facts->doubts, .export = &facts->sums};
    return copy_begin(import_reader(out->m), facts->entry, &t->r, &o, &out->copy, err) &&
           import_check(out->m, &t->l, copy_result(out->copy), false, &out->is_there, err) &&
           (out->is_there || copy_commit(out->copy, &out->made, err));
}

static void assert_imported(const struct fixture *f, const char *file, bool pinned,
                            struct target *t, struct imported *out)
{
    struct err err = {0};
    if (!import_it(f, file, pinned, t, out, &err))
        fail_msg("%s", err.msg);
}

static void assert_refused(const struct fixture *f, const char *file, bool pinned,
                           enum err_kind kind, const char *says)
{
    struct target t CLEANUP(target_close) = {0};
    struct imported i CLEANUP(imported_clear) = {0};
    struct err err = {0};
    target_open(&t);
    size_t before = memstore_count(t.r.store, "");
    assert_false(import_it(f, file, pinned, &t, &i, &err));
    if (err.kind != kind || !strstr(err.msg, says))
        fail_msg("%s: %s, not %s", err_kind_name(err.kind), err.msg, says);
    assert_int_equal(memstore_count(t.r.store, ""), before);
    err_clear(&err);
}

static char *codes(const struct strv *why)
{
    struct buf b = {0};
    for (size_t i = 0; i < why->len; i++)
        buf_printf(&b, "%s%s", i ? " " : "", why->v[i]);
    return buf_take(&b);
}

// ---- whole ----

// What comes of the export is what comes of a copy, to the last byte: ids are names of content.
static void the_same_as_a_copy(void **state)
{
    const struct fixture *f = *state;
    struct target a CLEANUP(target_close) = {0};
    struct target b CLEANUP(target_close) = {0};
    struct imported i CLEANUP(imported_clear) = {0};
    struct entry copied CLEANUP(entry_clear) = {0};
    struct age_identity id = kit_identity(1);
    struct reader *rd = NULL;
    struct verify_result v = {0};
    struct err err = {0};
    const struct entry *e = log_find(&f->log, 2);
    target_open(&a);
    target_open(&b);
    const struct copy_opts o = {.job = &b.job, .work = f->work};
    if (!reader_open((struct repo *)&f->repo, PROD, e, &id, &rd, &err) ||
        !snapshot_copy(rd, e, &b.r, &o, &copied, &err))
        fail_msg("%s", err.msg);
    reader_free(rd);
    assert_imported(f, f->file, true, &a, &i);
    assert_true(blob_id_eq(&i.made.snapshot.root, &copied.snapshot.root));
    assert_true(
        blob_id_eq(&i.made.snapshot.root, &e->snapshot.root)); // the same keys, the same ids
    assert_true(i.made.snapshot.is_good);
    assert_int_equal(i.made.snapshot.why.len, 0);
    assert_int_equal(i.made.seq, 1);
    assert_string_equal(i.made.snapshot.origin, copied.snapshot.origin);
    assert_true(str_ends(i.made.snapshot.origin, " prod 2"));
    assert_true(i.made.snapshot.has_export);
    assert_false(copied.snapshot.has_export);
    assert_memory_equal(&i.made.snapshot.counts, &e->snapshot.counts, sizeof(e->snapshot.counts));
    snap_kit_verify(&a.r, &v);
    assert_true(v.git_objects > 0);
    verify_result_clear(&v);
}

static void says_who_vouches(void **state)
{
    const struct fixture *f = *state;
    struct err err = {0};
    CLEANUP(import_freep) struct import *m = NULL;
    assert_true(open_it(f, f->file, true, &m, &err));
    const struct import_facts *x = import_facts(m);
    assert_true(x->is_pinned && x->is_signed && x->has_secrets);
    assert_string_equal(x->role, "admin");
    assert_true(sha256_eq(&x->pin, &f->pin));
    assert_int_equal(x->entry->seq, 2);
    assert_string_equal(x->entry->chain, PROD);
    assert_int_equal(x->doubts.len, 0);
}

static void there_already(void **state)
{
    const struct fixture *f = *state;
    struct target t CLEANUP(target_close) = {0};
    target_open(&t);
    for (unsigned n = 0; n < 2; n++) {
        struct imported i CLEANUP(imported_clear) = {0};
        assert_imported(f, f->file, true, &t, &i);
        assert_int_equal(i.is_there, n);
        log_kit_read(&t.r, &t.l);
        assert_int_equal(t.l.v.len, 1);
    }
}

// Taken unproved it is suspect; once it can be vouched for it is taken again.
static void doubts(void **state)
{
    const struct fixture *f = *state;
    static const struct {
        const char *seed;
        bool secrets, pinned;
        const char *why;
    } rows[] = {
        {"ann", true, false, "unpinned"},
        {NULL, true, true, "unsigned"},
        {NULL, true, false, "unsigned unpinned"},
        {"ann", false, true, "no-secrets"},
        {"writer", true, true, ""},
        {"judge", true, true, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct target t CLEANUP(target_close) = {0};
        struct imported first CLEANUP(imported_clear) = {0};
        struct imported then CLEANUP(imported_clear) = {0};
        struct err err = {0};
        CLEANUP(str_freep) char *file = path_join(f->dir, "doubts.tar");
        target_open(&t);
        if (!export_it(f, rows[i].seed, rows[i].secrets, file, &err))
            fail_msg("%s", err.msg);
        assert_imported(f, file, rows[i].pinned, &t, &first);
        CLEANUP(str_freep) char *why = codes(&first.made.snapshot.why);
        assert_string_equal(why, rows[i].why);
        assert_int_equal(first.made.snapshot.is_good, !*rows[i].why);
        assert_imported(f, f->file, true, &t, &then);
        assert_int_equal(then.is_there, !*rows[i].why);
        log_kit_read(&t.r, &t.l);
        assert_true(log_latest_good(&t.l) != NULL);
    }
}

// It writes and judges nothing.
static void signed_by_a_pruner(void **state)
{
    const struct fixture *f = *state;
    struct err err = {0};
    CLEANUP(str_freep) char *file = path_join(f->dir, "pruner.tar");
    CLEANUP(json_freep) json_t *body = NULL;
    struct tar_kit t CLEANUP(tar_kit_clear) = {0};
    struct signer pruner = kit_signer("pruner");
    struct signer stranger = kit_signer("stranger");
    assert_false(export_it(f, "pruner", true, file, &err));
    assert_int_equal(err.kind, ERR_DENIED);
    err_clear(&err);
    tar_kit_read(f->file, &t);
    struct tar_member *m = tar_kit_find(&t, "/SHA256SUMS.signed");
    body = json_loadb(m->bytes.p, strcspn(m->bytes.p, "\n"), 0, NULL);
    json_object_del(body, "type");
    buf_reset(&m->bytes);
    signed_write("export", body, &pruner, 1, &m->bytes);
    tar_kit_save(&t, file);
    assert_refused(f, file, true, ERR_CORRUPT, "may not vouch");
    buf_reset(&m->bytes);
    signed_write("export", body, &stranger, 1, &m->bytes);
    tar_kit_save(&t, file);
    assert_refused(f, file, true, ERR_CORRUPT, "no key of the repository");
}

// A chain with other snapshots: what was saved long ago would be what latest means.
static void on_others(void **state)
{
    const struct fixture *f = *state;
    struct target t CLEANUP(target_close) = {0};
    struct imported i CLEANUP(imported_clear) = {0};
    struct err err = {0};
    bool is_there = true;
    target_open(&t);
    log_kit_snapshot(&t.r, &t.l);
    assert_false(import_it(f, f->file, true, &t, &i, &err));
    assert_int_equal(err.kind, ERR_CONFLICT);
    err_clear(&err);
    assert_true(import_check(i.m, &t.l, copy_result(i.copy), true, &is_there, &err));
    assert_false(is_there);
}

static void sealed_to_others(void **state)
{
    struct fixture *f = *state;
    struct age_identities ours = f->ids;
    struct age_identities theirs = {0};
    age_identity_new(vec_push(&theirs.v));
    f->ids = theirs;
    assert_refused(f, f->file, true, ERR_DENIED, "import/secrets/0001.age");
    f->ids = (struct age_identities){0};
    assert_refused(f, f->file, true, ERR_DENIED, "nothing was given");
    f->ids = ours;
    age_identities_clear(&theirs);
}

// ---- changed ----

static int copy_of(const struct fixture *f, const char *file, struct buf *bytes)
{
    struct err err = {0};
    assert_true(file_read(f->file, 16U << 20, bytes, &err));
    assert_true(file_replace(file, bytes->p, bytes->len, 0600, &err));
    int fd = open(file, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

// Any byte: it is found out before anything is parsed, or says nothing (times, owners, padding).
static void any_byte(void **state)
{
    const struct fixture *f = *state;
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    CLEANUP(str_freep) char *file = path_join(f->dir, "flipped.tar");
    CLEANUP(import_freep) struct import *whole = NULL;
    unsigned found = 0;
    unsigned harmless = 0;
    assert_true(open_it(f, f->file, true, &whole, &err));
    int fd CLEANUP(fd_closep) = copy_of(f, file, &b);
    for (size_t at = 0; at < b.len; at += 61) {
        CLEANUP(import_freep) struct import *m = NULL;
        char other = (char)(b.p[at] ^ 1);
        assert_int_equal(pwrite(fd, &other, 1, (off_t)at), 1);
        bool ok = open_it(f, file, true, &m, &err);
        assert_int_equal(pwrite(fd, b.p + at, 1, (off_t)at), 1);
        if (ok && (!sha256_eq(&import_facts(m)->sums, &import_facts(whole)->sums) ||
                   !import_facts(m)->is_signed))
            fail_msg("the bit at %zu is not seen", at);
        if (!ok && err.kind != ERR_CORRUPT && err.kind != ERR_INVALID)
            fail_msg("the bit at %zu: %s: %s", at, err_kind_name(err.kind), err.msg);
        found += !ok;
        harmless += ok;
        err_clear(&err);
    }
    assert_true(found > 200 && harmless > 0);
}

static void cut_anywhere(void **state)
{
    const struct fixture *f = *state;
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    CLEANUP(str_freep) char *file = path_join(f->dir, "cut.tar");
    int fd CLEANUP(fd_closep) = copy_of(f, file, &b);
    const char *last = memmem(b.p, b.len, "/SHA256SUMS.signed", 18);
    assert_non_null(last);
    for (size_t n = (size_t)(last - b.p); n > 600; n -= 509) {
        CLEANUP(import_freep) struct import *m = NULL;
        assert_int_equal(ftruncate(fd, (off_t)n), 0);
        if (open_it(f, file, true, &m, &err) && import_facts(m)->is_signed)
            fail_msg("cut at %zu it is taken for whole", n);
        assert_true(!err_is_set(&err) || err.kind == ERR_CORRUPT || err.kind == ERR_INVALID);
        err_clear(&err);
    }
}

// Put together again with sums that fit: only the signature tells.
static void changed_whole(void **state)
{
    const struct fixture *f = *state;
    CLEANUP(str_freep) char *file = path_join(f->dir, "changed.tar");
    struct tar_kit t CLEANUP(tar_kit_clear) = {0};
    struct buf sig CLEANUP(buf_clear) = {0};
    tar_kit_read(f->file, &t);
    const struct tar_member *s = tar_kit_find(&t, "/SHA256SUMS.signed");
    buf_append(&sig, s->bytes.p, s->bytes.len);
    struct tar_member *m = tar_kit_find(&t, "/steps");
    buf_str(&m->bytes, "delete - Namespace/kube-system\n");
    tar_kit_save(&t, file);
    assert_refused(f, file, true, ERR_CORRUPT, "steps is not what was written");
    tar_kit_sum(&t);
    m = tar_kit_add(&t, "prod-2/SHA256SUMS.signed", "");
    buf_append(&m->bytes, sig.p, sig.len);
    tar_kit_save(&t, file);
    assert_refused(f, file, true, ERR_CORRUPT, "another export");
    tar_kit_drop(&t, "/SHA256SUMS.signed"); // the last resort: unsigned, and so suspect
    tar_kit_save(&t, file);
    struct target to CLEANUP(target_close) = {0};
    struct imported i CLEANUP(imported_clear) = {0};
    target_open(&to);
    assert_imported(f, file, true, &to, &i);
    assert_false(i.made.snapshot.is_good);
}

struct change {
    const char *what, *member, *from, *to, *says;
    enum err_kind kind;
};

// Unsigned, with sums that fit: what is in it is looked at all the same.
static void change_one(const struct fixture *f, const struct change *c)
{
    CLEANUP(str_freep) char *file = path_join(f->dir, "one.tar");
    struct tar_kit t CLEANUP(tar_kit_clear) = {0};
    tar_kit_read(f->file, &t);
    if (!c->from) {
        tar_kit_drop(&t, c->member);
    } else {
        struct tar_member *m = tar_kit_find(&t, c->member);
        assert_non_null(m);
        char *at = memmem(m->bytes.p, m->bytes.len, c->from, strlen(c->from));
        if (!at)
            fail_msg("%s: %s is not in it", c->what, c->from);
        assert_int_equal(strlen(c->from), strlen(c->to));
        memcpy(at, c->to, strlen(c->to));
    }
    tar_kit_sum(&t);
    tar_kit_save(&t, file);
    assert_refused(f, file, false, c->kind, c->says);
}

static void wrong_within(void **state)
{
    static const struct change rows[] = {
        {"no entry", "import/entry", NULL, NULL, "made by a version", ERR_INVALID},
        {"an old one", "import/about.json", NULL, NULL, "made by a version", ERR_INVALID},
        {"no root", "import/root", NULL, NULL, "root is missing", ERR_CORRUPT},
        {"no list", "import/lists", NULL, NULL, "not there", ERR_CORRUPT},
        {"no objects", "import/objects", NULL, NULL, "not in the snapshot", ERR_CORRUPT},
        {"no Secrets", "import/secrets/0001.age", NULL, NULL, "not in the snapshot", ERR_CORRUPT},
        {"no Git", "git/platform.bundle", NULL, NULL, "not there", ERR_CORRUPT},
        {"no chart", "sources/podinfo/podinfo-6.9.0.tgz", NULL, NULL, "not in the snapshot",
         ERR_CORRUPT},
        {"another chart", "sources/podinfo/podinfo-6.9.0.tgz", "chart", "shirt",
         "not in the snapshot", ERR_CORRUPT},
        {"another object", "import/objects", "good morning", "good evening", "not in the snapshot",
         ERR_CORRUPT},
        {"no JSON", "import/objects", "{", "[", "import/objects: line 1", ERR_CORRUPT},
        {"another list", "import/lists", "regrow shard v1", "regrow shred v1",
         "not in the snapshot", ERR_CORRUPT},
        {"another entry", "import/entry", "\"seq\":2", "\"seq\":3", "no writer", ERR_CORRUPT},
        {"another trust", "trust/0001", "\"need\":2", "\"need\":1", "trust/0001", ERR_CORRUPT},
        {"a newer form", "import/about.json", "import v1", "import v2", "does not know",
         ERR_INVALID},
        {"a thin bundle", "git/platform.bundle", "PACK", "PUCK", "without a pack", ERR_CORRUPT},
        {"no trust", "trust/0001", NULL, NULL, "trust/0001", ERR_CORRUPT},
        {"another kind of Git", "git/platform.bundle", "v2 git", "v9 git", "no Git bundle",
         ERR_CORRUPT},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        print_message("# %s\n", rows[i].what);
        change_one(*state, &rows[i]);
    }
}

static void of_another_pin(void **state)
{
    struct fixture *f = *state;
    struct sha256 ours = f->pin;
    f->pin.b[0] ^= 1;
    assert_refused(f, f->file, true, ERR_CORRUPT, "another repository");
    f->pin = ours;
}

static void no_export(void **state)
{
    const struct fixture *f = *state;
    CLEANUP(str_freep) char *file = path_join(f->dir, "none.tar");
    CLEANUP(str_freep) char *absent = path_join(f->dir, "absent.tar");
    struct tar_kit t CLEANUP(tar_kit_clear) = {0};
    tar_kit_add(&t, "holiday/photo.jpg", "x");
    tar_kit_save(&t, file);
    assert_refused(f, file, true, ERR_INVALID, "no export of a snapshot");
    assert_refused(f, absent, true, ERR_NOT_FOUND, "absent.tar");
    assert_refused(f, f->dir, true, ERR_INVALID, "a file is wanted");
}

// ---- forms ----

static void forms(void **state)
{
    (void)state;
    static const char *const sums[] = {
        "abc  x\n",
        "\n",
        "x",
        "0000000000000000000000000000000000000000000000000000000000000000 *x\n",
        "0000000000000000000000000000000000000000000000000000000000000000  \n",
        "000000000000000000000000000000000000000000000000000000000000000A  x\n",
        "0000000000000000000000000000000000000000000000000000000000000000  x",
        "0000000000000000000000000000000000000000000000000000000000000000  x\n"
        "0000000000000000000000000000000000000000000000000000000000000000  x\n"};
    static const char *const secrets[] = {"",
                                          "s",
                                          "s 1",
                                          "s 0\n",
                                          "s 2\na",
                                          "x 1\na",
                                          "s -1\na",
                                          "s  1\na",
                                          "s +1\na",
                                          "s 01\na",
                                          "s 99999999999999999999\na",
                                          "s 8388609\na"};
    struct err err = {0};
    for (size_t i = 0; i < ARRAY_LEN(sums); i++) {
        struct import_files files CLEANUP(import_files_clear) = {0};
        assert_false(import_sums_parse(sums[i], strlen(sums[i]), &files, &err));
        assert_int_equal(err.kind, ERR_CORRUPT);
        err_clear(&err);
    }
    for (size_t i = 0; i < ARRAY_LEN(secrets); i++) {
        struct form_secret s;
        size_t at = 0;
        assert_false(form_secret_next(secrets[i], strlen(secrets[i]), &at, &s, &err));
        assert_int_equal(err.kind, ERR_CORRUPT);
        err_clear(&err);
    }
    struct form_secret s;
    size_t at = 0;
    assert_true(form_secret_next("s 2\nabk 1\nc", 11, &at, &s, &err));
    assert_int_equal(s.offset, 4);
    assert_true(form_secret_next("s 2\nabk 1\nc", 11, &at, &s, &err));
    assert_true(s.kind == 'k' && s.offset == 10 && s.len == 1 && at == 11);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_as_a_copy), cmocka_unit_test(says_who_vouches),
        cmocka_unit_test(there_already),      cmocka_unit_test(doubts),
        cmocka_unit_test(signed_by_a_pruner), cmocka_unit_test(on_others),
        cmocka_unit_test(sealed_to_others),   cmocka_unit_test(any_byte),
        cmocka_unit_test(cut_anywhere),       cmocka_unit_test(changed_whole),
        cmocka_unit_test(wrong_within),       cmocka_unit_test(of_another_pin),
        cmocka_unit_test(no_export),          cmocka_unit_test(forms)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
