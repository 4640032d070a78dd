// SPDX-License-Identifier: Apache-2.0
//
// Repositories that mean harm: names no file may have, trees that never end, holes.
#include "source/gitrepo.h"

#include "base/file.h"
#include "tests/test.h"

struct fixture {
    char *dir;
    git_repository *repo;
    git_odb *odb;
    git_oid blob;
};

static int set_up(void **s)
{
    struct fixture *f = mem_alloc(sizeof(*f));
    struct err err = {0};
    gitrepo_init();
    if (!dir_make_temp("regrow-test", &f->dir, &err) ||
        !gitrepo_open_cache(f->dir, &f->repo, &err) || git_repository_odb(&f->odb, f->repo) != 0 ||
        git_odb_write(&f->blob, f->odb, "x", 1, GIT_OBJECT_BLOB) != 0)
        return -1;
    *s = f;
    return 0;
}

static int tear_down(void **s)
{
    struct fixture *f = *s;
    git_odb_free(f->odb);
    git_repository_free(f->repo);
    dir_temp_cleanup(&f->dir);
    free(f);
    return 0;
}

static void add_entry(struct buf *b, const char *mode, const char *name, const git_oid *id)
{
    buf_printf(b, "%s %s", mode, name);
    buf_append(b, "", 1);
    buf_append(b, id->id, sizeof(id->id));
}

static git_oid write_object(struct fixture *f, const struct buf *b, git_object_t type)
{
    git_oid id;
    assert_int_equal(git_odb_write(&id, f->odb, b->p, b->len, type), 0);
    return id;
}

static git_oid tree_of(struct fixture *f, const char *mode, const char *name, const git_oid *id)
{
    struct buf b CLEANUP(buf_clear) = {0};
    add_entry(&b, mode, name, id);
    return write_object(f, &b, GIT_OBJECT_TREE);
}

static bool walk_like(struct fixture *f, const git_oid *tree, const struct git_files *like,
                      struct git_files *out, struct err *err)
{
    struct buf b CLEANUP(buf_clear) = {0};
    struct loop *l CLEANUP(loop_freep) = loop_new(NULL);
    char hex[41];
    git_oid_tostr(hex, sizeof(hex), tree);
    buf_printf(&b, "tree %s\nauthor a <a> 0 +0000\ncommitter a <a> 0 +0000\n\nm\n", hex);
    git_oid commit = write_object(f, &b, GIT_OBJECT_COMMIT);
    git_oid_tostr(hex, sizeof(hex), &commit);
    return gitrepo_walk(f->repo, hex, NULL, like, l, out, err);
}

static bool walk(struct fixture *f, const git_oid *tree, struct git_files *out, struct err *err)
{
    return walk_like(f, tree, NULL, out, err);
}

static void refuses(struct fixture *f, const git_oid *tree, enum err_kind kind, const char *what)
{
    struct git_files files = {0};
    struct err err = {0};
    if (walk(f, tree, &files, &err))
        fail_msg("%s was taken", what);
    if (err.kind != kind)
        fail_msg("%s: %s", what, err.msg);
    err_clear(&err);
    files_clear(&files);
}

static void names_that_no_file_may_have(void **s)
{
    static const char *const names[] = {".", "..", ".git", ".GIT", "a/b", "a\nb", "a\x7f"};
    struct fixture *f = *s;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        git_oid t = tree_of(f, "100644", names[i], &f->blob);
        refuses(f, &t, ERR_INVALID, names[i]);
        git_oid in = tree_of(f, "40000", "dir", &t);
        refuses(f, &in, ERR_INVALID, names[i]);
    }
}

static void names_that_are_there_twice(void **s)
{
    struct fixture *f = *s;
    struct buf b CLEANUP(buf_clear) = {0};
    git_oid sub = tree_of(f, "100644", "x", &f->blob);
    add_entry(&b, "100644", "a", &f->blob);
    add_entry(&b, "40000", "a", &sub);
    git_oid t = write_object(f, &b, GIT_OBJECT_TREE);
    refuses(f, &t, ERR_INVALID, "a file that is a folder");
    buf_reset(&b);
    add_entry(&b, "100644", "a", &f->blob);
    add_entry(&b, "100644", "a", &f->blob);
    t = write_object(f, &b, GIT_OBJECT_TREE);
    refuses(f, &t, ERR_INVALID, "a file twice");
}

static void trees_without_end(void **s)
{
    struct fixture *f = *s;
    git_oid t = tree_of(f, "100644", "x", &f->blob);
    for (int i = 0; i < 20; i++) { // 10 to the 20th paths, in twenty objects
        struct buf b CLEANUP(buf_clear) = {0};
        for (char c = '0'; c <= '9'; c++)
            add_entry(&b, "40000", (char[]){c, 0}, &t);
        t = write_object(f, &b, GIT_OBJECT_TREE);
    }
    refuses(f, &t, ERR_INVALID, "a tree of trees");
    t = tree_of(f, "100644", "x", &f->blob);
    for (int i = 0; i < 100; i++)
        t = tree_of(f, "40000", "d", &t);
    refuses(f, &t, ERR_INVALID, "a deep tree");
}

static void holes(void **s)
{
    struct fixture *f = *s;
    git_oid none;
    assert_int_equal(git_oid_fromstr(&none, "0123456789012345678901234567890123456789"), 0);
    git_oid t = tree_of(f, "40000", "gone", &none);
    refuses(f, &t, ERR_CORRUPT, "a tree that is missing");
    // A file is missed when it is read: nothing is taken for empty.
    t = tree_of(f, "100644", "gone", &none);
    struct git_files files = {0};
    struct err err = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    assert_true(walk(f, &t, &files, &err));
    assert_false(gitrepo_read(f->repo, files_find(&files, "gone"), 100, &b, &err));
    assert_int_equal(err.kind, ERR_CORRUPT);
    err_clear(&err);
    files_clear(&files);
}

static void large_files_are_not_unpacked(void **s)
{
    struct fixture *f = *s;
    struct buf big CLEANUP(buf_clear) = {0};
    for (int i = 0; i < 20000; i++)
        buf_str(&big, "0123456789");
    git_oid id = write_object(f, &big, GIT_OBJECT_BLOB);
    git_oid t = tree_of(f, "100644", "big", &id);
    struct git_files files = {0};
    struct err err = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    assert_true(walk(f, &t, &files, &err));
    assert_false(gitrepo_read(f->repo, files_find(&files, "big"), 1000, &b, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    err_clear(&err);
    assert_true(gitrepo_read(f->repo, files_find(&files, "big"), big.len, &b, &err));
    assert_int_equal(b.len, big.len);
    files_clear(&files);
}

// Folders whose names begin alike, in one tree. salt: what lies in the one that changes.
static git_oid alike_tree(struct fixture *f, const char *salt)
{
    struct buf in CLEANUP(buf_clear) = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    git_oid deep = tree_of(f, "100644", "z", &f->blob);
    add_entry(&in, "100644", "f", &f->blob);
    add_entry(&in, "40000", "sub", &deep);
    add_entry(&in, "120000", "to", &f->blob);
    git_oid same = write_object(f, &in, GIT_OBJECT_TREE);
    git_oid other = tree_of(f, "100644", salt, &f->blob);
    add_entry(&b, "40000", "a", &same);
    add_entry(&b, "40000", "a-b", &other);
    add_entry(&b, "100644", "a.yaml", &f->blob);
    add_entry(&b, "40000", "a0", &same);
    add_entry(&b, "40000", salt, &same);
    return write_object(f, &b, GIT_OBJECT_TREE);
}

static char *files_text(const struct git_files *f)
{
    struct buf b = {0};
    for (size_t i = 0; i < f->v.len; i++)
        buf_printf(&b, "%s %o %02x\n", f->v.v[i].path, f->v.v[i].mode, f->v.v[i].id[0]);
    for (size_t i = 0; i < f->dirs.len; i++)
        buf_printf(&b, "%s %02x%02x\n", f->dirs.v[i].path, f->dirs.v[i].id[0], f->dirs.v[i].id[1]);
    buf_printf(&b, "links %d", f->has_links);
    return buf_take(&b);
}

// What is the same in another commit is taken from it, without a look; the rest is as ever.
static void like_another(void **s)
{
    struct fixture *f = *s;
    struct git_files first = {0};
    struct git_files taken = {0};
    struct git_files whole = {0};
    struct err err = {0};
    git_oid one = alike_tree(f, "x");
    git_oid two = alike_tree(f, "y");
    assert_true(walk(f, &one, &first, &err));
    assert_true(walk(f, &two, &whole, &err));
    assert_true(walk_like(f, &two, &first, &taken, &err));
    CLEANUP(str_freep) char *want = files_text(&whole);
    CLEANUP(str_freep) char *is = files_text(&taken);
    assert_string_equal(is, want);
    files_clear(&taken);
    // A hole that is not looked at is not found: it is where it was.
    git_oid none;
    assert_int_equal(git_oid_fromstr(&none, "0123456789012345678901234567890123456789"), 0);
    git_oid hole = tree_of(f, "40000", "a", &none);
    assert_false(walk_like(f, &hole, &first, &taken, &err));
    assert_int_equal(err.kind, ERR_CORRUPT);
    err_clear(&err);
    files_clear(&taken);
    memcpy(first.dirs.v[0].id, none.id, sizeof(none.id));
    assert_string_equal(first.dirs.v[0].path, "a");
    assert_true(walk_like(f, &hole, &first, &taken, &err));
    assert_int_equal(taken.v.len, 3);
    files_clear(&first);
    files_clear(&taken);
    files_clear(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_that_no_file_may_have),
        cmocka_unit_test(names_that_are_there_twice),
        cmocka_unit_test(trees_without_end),
        cmocka_unit_test(holes),
        cmocka_unit_test(large_files_are_not_unpacked),
        cmocka_unit_test(like_another),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
