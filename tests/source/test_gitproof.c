// SPDX-License-Identifier: Apache-2.0
//
// The proof of Git packs against what real ones look like when they are damaged: every way of not
// being whole is found, and named.
#include "source/gitproof.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "source/gitrepo.h"
#include "tests/test.h"

// A history with tags, a submodule and a merge; "whole.pack" has all of it, "holes.pack" all but
// one file, "thin.pack" the last commit as deltas against the one before.
static const char make_all[] =
    "set -e; cd '%s'; export HOME=$PWD GIT_CONFIG_NOSYSTEM=1\n"
    "g() { git -c user.name=t -c user.email=t@example.com \"$@\"; }\n"
    "git init -q -b main r; cd r\n"
    "seq 2000 >long; mkdir d; echo 1 >d/one; echo keep >d/hole; g add .; g commit -qm 1\n"
    "g update-index --add --cacheinfo 160000,1111111111111111111111111111111111111111,sub\n"
    "g commit -qm 2; g tag -a -m x tagged; g tag -a -m y again tagged 2>/dev/null\n"
    "g checkout -q -b side HEAD~1; echo s >side; g add .; g commit -qm s\n"
    "g checkout -q main; g merge -q -m m side; git rev-parse HEAD >../old\n"
    "seq 2001 >long; echo 2 >d/two; g commit -qam 3; git rev-parse HEAD >../new\n"
    "git rev-parse side:side >../side-file; git rev-parse again >../tag; git rev-parse HEAD:d/hole "
    ">../hole\n"
    "git rev-list --all --objects | cut -d' ' -f1 >../all\n"
    "git pack-objects -q --stdout <../all >../whole.pack\n"
    "grep -v \"$(cat ../hole)\" ../all | git pack-objects -q --stdout >../holes.pack\n"
    "printf '%%s\\n^%%s\\n' HEAD HEAD~1 | git pack-objects -q --revs --thin --stdout "
    ">../thin.pack\n"
    "printf '%%s\\n^%%s\\n' HEAD HEAD~1 | git pack-objects -q --revs --stdout >../increment.pack\n"
    "git rev-list --objects HEAD~1 | cut -d' ' -f1 | git pack-objects -q --stdout >../past.pack\n"
    "git repack -qad; cp .git/objects/pack/*.pack ../kept.pack; cp .git/objects/pack/*.idx "
    "../kept.idx; chmod u+w ../kept.*\n";

struct fixture {
    char *dir, *work;
    struct git_proof *p;
    bool is_light;
};

static char *at(const struct fixture *f, const char *name)
{
    return path_join(f->dir, name);
}

static void id_of(const struct fixture *f, const char *name, char hex[41])
{
    CLEANUP(str_freep) char *path = at(f, name);
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    assert_true(file_read(path, 100, &b, &err));
    assert_true(b.len >= 40);
    memcpy(hex, b.p, 40);
    hex[40] = 0;
}

static int set_up(void **s)
{
    struct fixture *f = mem_alloc(sizeof(*f));
    struct err err = {0};
    if (!dir_make_temp("regrow-proof", &f->dir, &err))
        return -1;
    CLEANUP(str_freep) char *script = str_printf(make_all, f->dir);
    if (system(script) != 0)
        return -1;
    f->work = at(f, "work");
    if (!dir_make(f->work, 0700, &err))
        return -1;
    f->p = git_proof_new(f->work, NULL);
    *s = f;
    return 0;
}

static int set_up_light(void **s)
{
    if (set_up(s) != 0)
        return -1;
    struct fixture *f = *s;
    git_proof_free(f->p);
    f->p = git_proof_new_light(f->work, NULL);
    f->is_light = true;
    return 0;
}

static int tear_down(void **s)
{
    struct fixture *f = *s;
    git_proof_free(f->p);
    dir_temp_cleanup(&f->dir);
    free(f->work);
    free(f);
    return 0;
}

static bool take(struct fixture *f, const char *pack, struct err *err)
{
    CLEANUP(str_freep) char *path = at(f, pack);
    return git_proof_file(f->p, path, err);
}

static bool leads(struct fixture *f, const char *name, struct err *err)
{
    char hex[41];
    id_of(f, name, hex);
    return git_proof_tip(f->p, hex, err);
}

static void whole(void **s)
{
    struct fixture *f = *s;
    struct err err = {0};
    if (!take(f, "whole.pack", &err) || !leads(f, "new", &err) || !leads(f, "tag", &err))
        fail_msg("%s", err.msg);
    assert_true(git_proof_objects(f->p) > 15);
    assert_int_equal(git_proof_is_light(f->p), f->is_light);
    git_proof_restart(f->p); // nothing is there any more
    assert_false(leads(f, "new", &err));
    err_clear(&err);
}

static void with_a_hole(void **s)
{
    struct fixture *f = *s;
    struct err err = {0};
    char hole[41];
    id_of(f, "hole", hole);
    assert_true(take(f, "holes.pack", &err));
    assert_false(leads(f, "new", &err));
    assert_int_equal(err.kind, ERR_CORRUPT);
    assert_non_null(strstr(err.msg, hole));
    err_clear(&err);
}

static void thin(void **s)
{
    struct fixture *f = *s;
    struct err err = {0};
    assert_false(take(f, "thin.pack", &err));
    assert_int_equal(err.kind, ERR_CORRUPT);
    err_clear(&err);
}

static bool knows_old(void *ctx, const char *id)
{
    return !strcmp(ctx, id);
}

// What is known need not be there: the old commit, and what of its files the new one shares.
static void increment(void **s)
{
    struct fixture *f = *s;
    struct err err = {0};
    char old[41];
    git_oid oid;
    git_repository *r = NULL;
    CLEANUP(str_freep) char *path = at(f, "r");
    id_of(f, "old", old);
    assert_true(take(f, "increment.pack", &err));
    git_proof_knows(f->p, knows_old, old);
    assert_false(leads(f, "new", &err));
    err_clear(&err);
    git_proof_restart(f->p);
    assert_true(take(f, "increment.pack", &err));
    assert_int_equal(git_oid_fromstr(&oid, old), 0);
    assert_true(gitrepo_open_local(path, &r, &err));
    if (!git_proof_known_files(f->p, r, &oid, &err) || !leads(f, "new", &err))
        fail_msg("%s", err.msg);
    git_repository_free(r);
}

// Packs that are used no more count for nothing; what was followed without them stays followed.
static void goes_back(void **s)
{
    struct fixture *f = *s;
    struct err err = {0};
    if (!take(f, "past.pack", &err) || !leads(f, "old", &err) || !take(f, "increment.pack", &err) ||
        !leads(f, "new", &err) || !git_proof_back(f->p, 1, &err) || !leads(f, "old", &err) ||
        !take(f, "increment.pack", &err) || !leads(f, "new", &err))
        fail_msg("%s", err.msg);
    assert_true(git_proof_back(f->p, 1, &err));
    assert_false(leads(f, "new", &err));
    assert_int_equal(err.kind, ERR_CORRUPT);
    err_clear(&err);
    git_proof_restart(f->p);
    // The same the other way round: what was there first goes.
    if (!take(f, "increment.pack", &err) || !take(f, "past.pack", &err) || !leads(f, "new", &err) ||
        !git_proof_back(f->p, 1, &err))
        fail_msg("%s", err.msg);
    assert_false(leads(f, "old", &err));
    err_clear(&err);
}

static void flip(const struct fixture *f, const char *name, size_t where)
{
    CLEANUP(str_freep) char *path = at(f, name);
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    assert_true(file_read(path, 1 << 20, &b, &err));
    b.p[where % b.len] ^= 4;
    assert_true(file_replace(path, b.p, b.len, 0600, &err));
}

// Every byte of a pack counts, for the indexer as for the sums.
static void damaged(void **s)
{
    struct fixture *f = *s;
    struct err err = {0};
    CLEANUP(str_freep) char *kept = at(f, "kept.pack");
    if (!git_proof_indexed(f->p, kept, &err) || !leads(f, "new", &err))
        fail_msg("%s", err.msg);
    for (size_t i = 4; i < 2000; i += 97) {
        git_proof_restart(f->p);
        flip(f, "whole.pack", i);
        flip(f, "kept.pack", i);
        if (take(f, "whole.pack", &err))
            fail_msg("byte %zu of the pack may be anything", i);
        assert_int_equal(err.kind, ERR_CORRUPT);
        err_clear(&err);
        assert_false(git_proof_indexed(f->p, kept, &err));
        assert_int_equal(err.kind, ERR_CORRUPT);
        err_clear(&err);
        flip(f, "whole.pack", i);
        flip(f, "kept.pack", i);
    }
    flip(f, "kept.idx", 500);
    assert_false(git_proof_indexed(f->p, kept, &err));
    assert_int_equal(err.kind, ERR_CORRUPT);
    err_clear(&err);
}

// The library is asked about what is damaged, and what it says is said.
static void damaged_light(void **s)
{
    struct fixture *f = *s;
    struct err err = {0};
    for (size_t i = 4; i < 2000; i += 53) {
        git_proof_free(f->p);
        f->p = git_proof_new_light(f->work, NULL);
        flip(f, "whole.pack", i);
        if (take(f, "whole.pack", &err))
            fail_msg("byte %zu of the pack may be anything", i);
        assert_int_equal(err.kind, ERR_CORRUPT);
        err_clear(&err);
        flip(f, "whole.pack", i);
        if (!take(f, "whole.pack", &err) || !leads(f, "new", &err)) // and goes on with others
            fail_msg("%s", err.msg);
    }
}

// An object that nobody needs leads to one that is not there: the refs are followed.
static void loose_ends(void **s)
{
    struct fixture *f = *s;
    struct err err = {0};
    if (!take(f, "holes.pack", &err))
        fail_msg("%s", err.msg);
    assert_true(git_proof_is_light(f->p));
    uint64_t objects = git_proof_objects(f->p);
    if (!leads(f, "side-file", &err))
        fail_msg("%s", err.msg);
    assert_false(git_proof_is_light(f->p));
    assert_int_equal(git_proof_objects(f->p), objects); // counted once
}

static void foreign_index(void **s)
{
    struct fixture *f = *s;
    struct err err = {0};
    CLEANUP(str_freep) char *kept = at(f, "kept.pack");
    CLEANUP(str_freep)
    char *script = str_printf("cd '%s' && cp whole.pack kept.pack && git index-pack -o o.idx "
                              "increment.pack >log && cp -f o.idx kept.idx",
                              f->dir);
    assert_int_equal(system(script), 0);
    assert_false(git_proof_indexed(f->p, kept, &err));
    assert_int_equal(err.kind, ERR_CORRUPT);
    err_clear(&err);
}

// ---- gitrepo_packs proves what it hands out ----
static bool knows_none(void *ctx, const char *id)
{
    (void)ctx;
    (void)id;
    return false;
}

static void packs(struct fixture *f, const char *damage, const char *said)
{
    struct err err = {0};
    struct git_refs refs = {0};
    struct strv files = {0};
    git_repository *r = NULL;
    CLEANUP(str_freep) char *head = NULL;
    CLEANUP(str_freep) char *path = at(f, "r");
    CLEANUP(str_freep) char *new = at(f, "new.pack");
    CLEANUP(str_freep) char *script = str_printf("cd '%s' && %s", path, damage);
    struct loop *l CLEANUP(loop_freep) = loop_new(NULL);
    struct gitpack_opts o = {.is_known = knows_none, .increment = new, .stop = l};
    assert_int_equal(system(script), 0);
    bool ok = gitrepo_open_local(path, &r, &err) && gitrepo_refs_whole(r, &refs, &head, &err) &&
              gitrepo_packs(r, &refs, &o, &files, &err);
    if (!said && !ok)
        fail_msg("%s", err.msg);
    if (said && (ok || !strstr(err.msg, said)))
        fail_msg("%s: %s", damage, ok ? "nothing was said" : err.msg);
    git_repository_free(r);
    git_refs_clear(&refs);
    strv_clear(&files);
    err_clear(&err);
}

static void of_a_repository(void **s)
{
    struct fixture *f = *s;
    packs(f, "true", NULL);
    packs(f,
          "p=$(ls .git/objects/pack/*.pack) && chmod u+w $p && printf '!xyz' | dd of=$p bs=1 "
          "seek=$(($(stat -c %s $p) - 200)) conv=notrunc 2>log", // in a file
          "is damaged");
    packs(f,
          "rm -f .git/objects/pack/* && p=.git/objects/pack/pack-1 && "
          "git index-pack -o $p.idx ../holes.pack >log && cp ../holes.pack $p.pack",
          "is not there");
}

// In a process of its own: the library leaks a little where a repository has extensions.
static void sha256(void **s)
{
    struct fixture *f = *s;
    int status = -1;
    CLEANUP(str_freep) char *path = at(f, "r");
    CLEANUP(str_freep)
    char *script =
        str_printf("cd '%s' && rm -rf .git && git init -q --object-format=sha256 .", path);
    assert_int_equal(system(script), 0);
    pid_t child = fork();
    if (child == 0) {
        struct err err = {0};
        git_repository *r = NULL;
        bool refused = !gitrepo_open_local(path, &r, &err) && strstr(err.msg, "SHA-256");
        _exit(refused ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

// ---- bundles ----
static void add_ref(struct git_refs *refs, const char *name, const char *id)
{
    *vec_push(&refs->refs) = (struct git_ref){.name = str_dup(name), .id = str_dup(id)};
}

static bool bundle(struct fixture *f, const struct git_refs *refs, const char *head,
                   const char *name, struct err *err)
{
    CLEANUP(str_freep) char *path = at(f, name);
    int fd CLEANUP(fd_closep) = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    return git_proof_bundle(f->p, refs, head, fd, err);
}

// git takes it with every ref and all they lead to, tags of tags too; twice it is the same bytes.
static void bundles(void **s)
{
    struct fixture *f = *s;
    struct git_refs refs = {0};
    struct err err = {0};
    char new[41];
    char tag[41];
    id_of(f, "new", new);
    id_of(f, "tag", tag);
    add_ref(&refs, "refs/heads/main", new);
    add_ref(&refs, "refs/pull/7/head", new);
    add_ref(&refs, "refs/tags/again", tag);
    if (!take(f, "whole.pack", &err) || !leads(f, "new", &err) || !leads(f, "tag", &err) ||
        !bundle(f, &refs, "refs/heads/main", "a.bundle", &err) ||
        !bundle(f, &refs, "refs/heads/main", "b.bundle", &err))
        fail_msg("%s", err.msg);
    CLEANUP(str_freep)
    char *script = str_printf(
        "set -e; cd '%s'; export HOME=$PWD GIT_CONFIG_NOSYSTEM=1; cmp a.bundle b.bundle\n"
        "git clone -q --mirror a.bundle c; cd c; git fsck --full --strict >/dev/null 2>&1\n"
        "test \"$(git rev-parse refs/heads/main refs/pull/7/head refs/tags/again)\" = \"$(printf "
        "'%%s\\n' %s %s %s)\"; test \"$(git symbolic-ref HEAD)\" = refs/heads/main\n"
        "test \"$(git rev-list --all --objects | cut -d' ' -f1 | sort)\" = \"$(sort ../all)\"\n",
        f->dir, new, new, tag);
    assert_int_equal(system(script), 0);
    git_refs_clear(&refs);
}

// A name that would be a line of its own, or no ref at all.
static void hostile_refs(void **s)
{
    static const char *const names[] = {"refs/heads/a\nb", "HEAD",     "",
                                        "refs/heads/..",   "refs/a b", "-refs/heads/x"};
    struct fixture *f = *s;
    char new[41];
    struct err err = {0};
    id_of(f, "new", new);
    assert_true(take(f, "whole.pack", &err));
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct git_refs refs = {0};
        add_ref(&refs, names[i], new);
        assert_false(bundle(f, &refs, NULL, "x.bundle", &err));
        assert_int_equal(err.kind, ERR_CORRUPT);
        err_clear(&err);
        git_refs_clear(&refs);
    }
    struct git_refs refs = {0};
    add_ref(&refs, "refs/heads/main", "1111111111111111111111111111111111111111");
    assert_false(bundle(f, &refs, NULL, "x.bundle", &err));
    assert_int_equal(err.kind, ERR_CORRUPT);
    err_clear(&err);
    refs.refs.v[0].id[0] = 'x';
    assert_false(bundle(f, &refs, NULL, "x.bundle", &err));
    err_clear(&err);
    git_refs_clear(&refs);
    assert_false(bundle(f, &refs, NULL, "x.bundle", &err)); // none
    err_clear(&err);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
#define LIGHT(fn) cmocka_unit_test_setup_teardown(fn, set_up_light, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(whole),        TEST(with_a_hole), TEST(thin),          TEST(increment),
        TEST(goes_back),    TEST(damaged),     TEST(foreign_index), TEST(of_a_repository),
        TEST(sha256),       TEST(bundles),     TEST(hostile_refs),  LIGHT(whole),
        LIGHT(with_a_hole), LIGHT(thin),       LIGHT(goes_back),    LIGHT(damaged_light),
        LIGHT(loose_ends)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
