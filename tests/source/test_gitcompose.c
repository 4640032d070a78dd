// SPDX-License-Identifier: Apache-2.0
//
// One pack out of several, against git itself: exactly the objects that are wanted are in it, each
// the same, whether deltas keep their base in reach, find it in another pack, or have lost it.
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "source/gitproof.h"
#include "tests/test.h"

// Two packs that overlap; in the second, deltas stand on objects of the first, and in "lost.pack"
// on versions of a file that no ref leads to any more.
static const char make_all[] =
    "set -e; cd '%s'; export HOME=$PWD GIT_CONFIG_NOSYSTEM=1\n"
    "g() { git -c user.name=t -c user.email=t@example.com \"$@\"; }\n"
    "git init -q -b main r; cd r\n"
    "seq 3000 >long; echo a >a; g add .; g commit -qm 1; git rev-parse HEAD >../one\n"
    "(seq 2999; echo x) >long; mkdir d; echo b >d/b; g add .; g commit -qm 2; git rev-parse HEAD "
    ">../two\n"
    "g tag -a -m t1 v1; git rev-parse v1 >../tag\n"
    "(seq 2998; echo y) >long; g commit -qam 3; git rev-parse HEAD >../three\n"
    "list() { git rev-list --objects \"$@\" | cut -d' ' -f1; }\n"
    "list $(cat ../two) | git pack-objects -q --window=50 --stdout >../past.pack\n"
    "list $(cat ../three) ^$(cat ../one) | git pack-objects -q --window=50 --stdout >../over.pack\n"
    "list $(cat ../three) $(cat ../tag) | git pack-objects -q --window=50 --stdout >../all.pack\n"
    "list $(cat ../three) $(cat ../tag) | sort >../want.all\n"
    "list $(cat ../three) ^$(cat ../two) | sort >../want.new\n"
    "git checkout -q --orphan other; g rm -qrf .; (seq 3000; echo end) >long; g add .; g commit "
    "-qm 9\n"
    "git rev-parse HEAD >../other; list HEAD | sort >../want.other\n"
    "{ list $(cat ../three); list HEAD; } | git pack-objects -q --window=50 --stdout "
    ">../lost.pack\n";

struct fixture {
    char *dir, *work;
    struct git_proof *p;
};

static int set_up(void **s)
{
    struct fixture *f = mem_alloc(sizeof(*f));
    struct err err = {0};
    if (!dir_make_temp("regrow-compose", &f->dir, &err))
        return -1;
    CLEANUP(str_freep) char *script = str_printf(make_all, f->dir);
    if (system(script) != 0)
        return -1;
    f->work = path_join(f->dir, "work");
    if (!dir_make(f->work, 0700, &err))
        return -1;
    f->p = git_proof_new(f->work, NULL);
    *s = f;
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

static void take(struct fixture *f, const char *pack)
{
    CLEANUP(str_freep) char *path = path_join(f->dir, pack);
    struct err err = {0};
    if (!git_proof_file(f->p, path, &err))
        fail_msg("%s: %s", pack, err.msg);
}

static char *id_of(struct fixture *f, const char *name)
{
    CLEANUP(str_freep) char *path = path_join(f->dir, name);
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    assert_true(file_read(path, 100, &b, &err));
    return str_ndup(b.p, 40);
}

// What git finds in it is what stands in the file `want`.
static void same_as(struct fixture *f, const char *want, uint64_t objects)
{
    CLEANUP(str_freep)
    char *script = str_printf(
        "cd '%s' && rm -f out.idx && git index-pack --fsck-objects out.pack >log 2>&1 && "
        "git show-index <out.idx | cut -d' ' -f2 | sort >got && "
        "cmp got %s && [ %llu = $(wc -l <got) ]",
        f->dir, want, (unsigned long long)objects);
    if (system(script) != 0)
        fail_msg("%s", want);
}

static void compose(struct fixture *f, const char *a, const char *b, const char *less,
                    const char *want)
{
    CLEANUP(str_freep) char *path = path_join(f->dir, "out.pack");
    struct strv tips = {0};
    struct strv there = {0};
    struct err err = {0};
    uint64_t n = 0;
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    strv_push_take(&tips, id_of(f, a));
    if (b)
        strv_push_take(&tips, id_of(f, b));
    if (less)
        strv_push_take(&there, id_of(f, less));
    strv_push(&there, "0123456789012345678901234567890123456789"); // of somebody else
    if (!git_proof_pack(f->p, &tips, &there, fd, &n, &err))
        fail_msg("%s", err.msg);
    close(fd);
    strv_clear(&tips);
    strv_clear(&there);
    if (want)
        same_as(f, want, n);
    else
        assert_int_equal(n, 0);
}

static void one_pack(void **s)
{
    struct fixture *f = *s;
    take(f, "all.pack");
    compose(f, "three", "tag", NULL, "want.all");
    compose(f, "three", "tag", NULL, "want.all"); // and again
    compose(f, "three", NULL, "two", "want.new");
    compose(f, "two", NULL, "three", NULL);
}

static void two_packs(void **s)
{
    struct fixture *f = *s;
    take(f, "past.pack");
    take(f, "over.pack");
    compose(f, "three", NULL, "two", "want.new");
    compose(f, "three", NULL, "three", NULL);
    take(f, "all.pack");
    compose(f, "three", "tag", NULL, "want.all");
}

static void the_other_way_round(void **s)
{
    struct fixture *f = *s;
    take(f, "over.pack");
    take(f, "past.pack");
    take(f, "all.pack");
    compose(f, "three", "tag", NULL, "want.all");
    compose(f, "three", NULL, "two", "want.new");
}

// Of a pack with two histories only one is wanted: what stood on the other stands alone.
static void bases_that_are_lost(void **s)
{
    struct fixture *f = *s;
    take(f, "lost.pack");
    compose(f, "other", NULL, NULL, "want.other");
    compose(f, "three", NULL, "two", "want.new");
}

static void who_leads_to_whom(void **s)
{
    struct fixture *f = *s;
    take(f, "lost.pack");
    CLEANUP(str_freep) char *one = id_of(f, "one");
    CLEANUP(str_freep) char *three = id_of(f, "three");
    CLEANUP(str_freep) char *other = id_of(f, "other");
    assert_true(git_proof_is_ancestor(f->p, one, three));
    assert_true(git_proof_is_ancestor(f->p, three, three));
    assert_false(git_proof_is_ancestor(f->p, three, one));
    assert_false(git_proof_is_ancestor(f->p, other, three));
    assert_false(git_proof_is_ancestor(f->p, "0123456789012345678901234567890123456789", three));
    assert_true(git_proof_has(f->p, one));
    assert_false(git_proof_has(f->p, "nonsense"));
}

static void a_hole(void **s)
{
    struct fixture *f = *s;
    struct strv tips = {0};
    struct strv none = {0};
    struct err err = {0};
    uint64_t n = 0;
    take(f, "over.pack");
    strv_push_take(&tips, id_of(f, "three"));
    assert_false(git_proof_pack(f->p, &tips, &none, STDERR_FILENO, &n, &err));
    assert_int_equal(err.kind, ERR_CORRUPT);
    err_clear(&err);
    strv_clear(&tips);
}

static int fresh(void **s)
{
    struct fixture *f = *s;
    git_proof_restart(f->p);
    return 0;
}

#define TEST(fn) cmocka_unit_test_setup(fn, fresh)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(one_pack),
                                       TEST(two_packs),
                                       TEST(the_other_way_round),
                                       TEST(bases_that_are_lost),
                                       TEST(who_leads_to_whom),
                                       TEST(a_hole)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
