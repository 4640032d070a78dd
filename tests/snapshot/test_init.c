// SPDX-License-Identifier: Apache-2.0
//
// A new repository, cut anywhere and run again; and the files of new keys, likewise.
#include "snapshot/init.h"

#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "snapshot/keyfile.h"
#include "snapshot/repo.h"
#include "tests/snapshot/trustkit.h"
#include "tests/test.h"

struct fixture {
    char *temp, *dir, *repo, *admin, *staging;
    struct age_identity own;
    char *recipient;
    struct slot_way ways[2];
    struct store_opts so;
    struct init_opts o;
};

static void begin(struct fixture *f)
{
    struct err err = {0};
    *f = (struct fixture){0};
    assert_true(dir_make_temp("regrow-init", &f->temp, &err));
    f->dir = path_join(f->temp, "at"); // who makes keys locks their folder
    assert_true(dir_make(f->dir, 0700, &err));
    f->repo = path_join(f->dir, "repo");
    f->admin = path_join(f->dir, "admin.age");
    f->staging = path_join(f->dir, "admin.age.init");
    age_identity_new(&f->own);
    f->recipient = age_recipient_text(f->own.public);
    f->ways[0] = f->ways[1] = (struct slot_way){.recipient = f->own.public, .label = f->recipient};
    f->so = (struct store_opts){.url = f->repo};
    f->o =
        (struct init_opts){.store = &f->so, .ways = f->ways, .n_ways = 2, .admin_file = f->admin};
}

static void end(struct fixture *f)
{
    free(f->repo);
    free(f->admin);
    free(f->staging);
    free(f->recipient);
    free(f->dir);
    dir_temp_cleanup(&f->temp);
}

static void init(struct fixture *f, enum err_kind want, bool continued)
{
    struct init_result r = {0};
    struct err err = {0};
    bool ok = repo_init(&f->o, &r, &err);
    if (ok ? want != ERR_NONE : err.kind != want)
        fail_msg("%s", ok ? "it was made" : err.msg);
    if (ok)
        assert_int_equal(r.continued, continued);
    err_clear(&err);
    init_result_clear(&r);
}

// The repository opens, its slots open it, and the admin's key is one.
static void expect_whole(struct fixture *f)
{
    struct repo r = {0};
    struct unlocked u = {0};
    struct age_identities ids = {0};
    struct age_keys keys = {.identities = &ids};
    struct buf sealed CLEANUP(buf_clear) = {0};
    struct buf text CLEANUP(buf_wipe) = {0};
    struct credential admin = {0};
    struct err err = {0};
    *vec_push(&ids.v) = f->own;
    if (!file_read(f->admin, 1 << 16, &sealed, &err) ||
        !age_open(&keys, sealed.p, sealed.len, 1 << 16, &text, &err) ||
        !credential_parse(text.p, text.len, &admin, &err) ||
        !repo_open(&f->so, &admin.pin, &r, &err) ||
        !repo_unlock(r.store, &r.trust, &keys, &u, &err))
        fail_msg("%s", err.msg);
    struct key_id id = key_id_of(admin.signer.public);
    assert_true(trust_lists_key(trust_now(&r.trust), &id));
    assert_int_equal(trust_now(&r.trust)->n, 2);
    assert_int_equal(trust_at(&r.trust, 1)->slots.len, 0);
    assert_true(r.marker.atomic_create);
    unlocked_clear(&u);
    repo_close(&r);
    age_identities_clear(&ids);
    credential_clear(&admin);
}

// No descriptor is left with which to open the folder.
static void end_half_way(struct fixture *f)
{
    struct err err = {0};
    struct rlimit old, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = old;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    bool ended = repo_init_end(f->admin, &err);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_false(ended);
    err_clear(&err);
}

static void made(void **state)
{
    struct fixture f;
    struct err err = {0};
    struct stat st;
    (void)state;
    begin(&f);
    f.o.n_ways = 1;
    init(&f, ERR_USAGE, false);
    f.o.n_ways = 2;
    init(&f, ERR_NONE, false);
    expect_whole(&f);
    assert_int_equal(stat(f.admin, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    init(&f, ERR_NONE, true); // killed before the pin was told
    CLEANUP(str_freep) char *marker = path_join(f.staging, "regrow.json");
    end_half_way(&f); // killed after it, while cleaning up
    assert_false(file_exists(marker));
    assert_true(file_exists(f.staging));
    init(&f, ERR_CONFLICT, false);
    assert_false(file_exists(f.staging));
    assert_true(repo_init_end(f.admin, &err));
    assert_false(file_exists(f.staging));
    init(&f, ERR_CONFLICT, false);
    expect_whole(&f);
    end(&f);
}

// Of what is brought there, only the first n files came to be.
static void cut_while_brought(void **state)
{
    (void)state;
    for (size_t n = 0; n < 6; n++) {
        struct fixture f;
        struct store *s = NULL;
        struct store_items items = {0};
        struct err err = {0};
        begin(&f);
        init(&f, ERR_NONE, false);
        assert_true(store_open(&f.so, &s, &err));
        assert_true(store_list(s, "", &items, &err));
        // In the order of writing: trust/0001, keys, trust/0002, regrow.json.
        static const char *const order[] = {"trust/0001", "keys/", "trust/0002", "regrow.json"};
        size_t at = 0;
        for (size_t k = 0; k < ARRAY_LEN(order); k++)
            for (size_t i = 0; i < items.v.len; i++)
                if (str_starts(items.v.v[i].name, order[k]) && at++ >= n)
                    assert_true(store_remove(s, items.v.v[i].name, &err));
        assert_int_equal(at, 5);
        store_items_clear(&items);
        store_free(s);
        init(&f, ERR_NONE, true);
        expect_whole(&f);
        end(&f);
    }
}

// Cut while it was made: nothing of it was brought anywhere, so it is made anew.
static void cut_while_made(void **state)
{
    struct fixture f;
    struct err err = {0};
    (void)state;
    begin(&f);
    CLEANUP(str_freep) char *trust = path_join(f.staging, "trust");
    CLEANUP(str_freep) char *half = path_join(trust, "0001");
    assert_true(dir_make(trust, 0700, &err));
    assert_true(file_replace(half, "{", 1, 0600, &err));
    init(&f, ERR_NONE, false);
    expect_whole(&f);
    end(&f);
}

static void others_are_left_alone(void **state)
{
    struct fixture f;
    struct err err = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    (void)state;
    begin(&f);
    assert_true(file_replace(f.admin, "mine", 4, 0600, &err));
    init(&f, ERR_CONFLICT, false);
    assert_true(file_read(f.admin, 100, &b, &err));
    assert_string_equal(b.p, "mine");
    assert_false(file_exists(f.repo) && !file_is_dir(f.repo));
    unlink(f.admin);
    // What is left of making another one.
    init(&f, ERR_NONE, false);
    CLEANUP(str_freep) char *other = path_join(f.dir, "other");
    f.so.url = other;
    init(&f, ERR_CONFLICT, true);
    // Somebody began there, and did not end.
    CLEANUP(str_freep) char *second = path_join(f.dir, "second.age");
    CLEANUP(str_freep) char *marker = path_join(f.repo, "regrow.json");
    f.so.url = f.repo;
    f.o.admin_file = second;
    unlink(marker);
    init(&f, ERR_CONFLICT, false);
    assert_false(file_exists(second));
    // One at a time.
    int lock CLEANUP(fd_closep) = -1;
    int again CLEANUP(fd_closep) = -1;
    assert_true(key_folder_lock(f.admin, &lock, &err));
    assert_false(key_folder_lock(f.admin, &again, &err));
    assert_int_equal(err.kind, ERR_CONFLICT);
    err_clear(&err);
    f.o.admin_file = f.admin;
    init(&f, ERR_CONFLICT, false);
    end(&f);
}

// ---- files of new keys ----

static struct trust trust_with(const char *seed)
{
    struct trust t = kit_first();
    kit_add_signer(&t, seed, ROLE_PRUNE);
    return t;
}

static void key_files(void **state)
{
    struct fixture f;
    struct err err = {0};
    struct key_id id;
    bool done = false;
    (void)state;
    begin(&f);
    CLEANUP(str_freep) char *out = path_join(f.dir, "new.key");
    struct trust without = kit_first();
    struct trust with = trust_with("new");
    struct signer s = kit_signer("new");
    struct key_id own = key_id_of(s.public);
    struct buf b CLEANUP(buf_wipe) = {0};
    struct credential c = {.kind = CREDENTIAL_PRUNER, .signer = s};
    kit_repo(c.repo);
    credential_write(&c, &b);
    CLEANUP(str_freep) char *new = str_printf("%s.%s.new", out, own.hex);

    // Killed before trust lists it: it goes. After: it gets its name.
    assert_true(keyfile_write(out, &own, &b, &err));
    assert_true(keyfile_begin(out, &without, &done, &id, &err));
    assert_false(done);
    assert_false(file_exists(new));
    assert_true(keyfile_write(out, &own, &b, &err));
    assert_true(keyfile_begin(out, &with, &done, &id, &err));
    assert_true(done);
    assert_string_equal(id.hex, own.hex);
    assert_true(file_exists(out) && !file_exists(new));
    // Once more: it is there, and is that of a key that is listed.
    assert_true(keyfile_begin(out, &with, &done, &id, &err));
    assert_true(done);
    // Anything else of that name is in the way, and never replaced.
    assert_false(keyfile_begin(out, &without, &done, &id, &err));
    assert_int_equal(err.kind, ERR_CONFLICT);
    err_clear(&err);
    assert_true(keyfile_write(out, &own, &b, &err));
    assert_false(keyfile_end(out, &own, &err));
    assert_int_equal(err.kind, ERR_CONFLICT);
    err_clear(&err);
    trust_clear(&without);
    trust_clear(&with);
    credential_clear(&c);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(made),           cmocka_unit_test(cut_while_brought),
        cmocka_unit_test(cut_while_made), cmocka_unit_test(others_are_left_alone),
        cmocka_unit_test(key_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
