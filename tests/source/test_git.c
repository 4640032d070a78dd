// SPDX-License-Identifier: Apache-2.0
//
// A local repository: names to commits, reading, links, submodules, damage.
#include "source/load.h"

#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/test.h"

// Two commits over many folders, links, a submodule that nothing describes, and one that is
// described and lies beside.
static const char make_repo[] =
    "set -e; cd '%s'; export HOME=$PWD GIT_CONFIG_NOSYSTEM=1\n"
    "g() { git -c user.name=t -c user.email=t@example.com \"$@\"; }\n"
    "mkdir inner lib; cd inner; git init -q; echo core >core.txt; git add .; g commit -qm i\n"
    "inner=$(git rev-parse HEAD); cd ../lib; git init -q; echo lib >lib.yaml; mkdir d\n"
    "echo deep >d/x; printf '[submodule \"i\"]\\n\\tpath = in\\n\\turl = ../inner\\n' "
    ">.gitmodules\n"
    "git add .; git update-index --add --cacheinfo 160000,$inner,in; g commit -qm l\n"
    "lib=$(git rev-parse HEAD); cd ..; git init -q r; cd r\n"
    "for i in 01 02 03 04 05 06 07 08 09 10 11 12; do mkdir -p apps/a$i/sub;"
    " echo $i >apps/a$i/f.yaml; echo deep >apps/a$i/sub/g; done\n"
    "ln -s a01 apps/link; ln -s ../a02/f.yaml apps/a03/f; ln -s /etc/passwd apps/out\n"
    "ln -s loop apps/loop; ln -s ../../r2 apps/up\n"
    "git add -A; g commit -qm 1; git tag first\n"
    "git update-index --add --cacheinfo 160000,$(git rev-parse first),apps/module\n"
    "git rm -q --cached apps/out apps/up apps/loop; rm apps/out apps/up apps/loop\n"
    "echo new >apps/a01/f.yaml; git add apps/a01; g commit -qm 2; git tag second\n"
    "printf '[submodule \"l\"]\\npath = vendor/lib\\nurl = \"../lib\"\\n"
    "[submodule \"m\"]\\npath = apps/module\\nurl = ../nowhere\\n' >.gitmodules\n"
    "git update-index --add --cacheinfo 160000,$lib,vendor/lib; git add .gitmodules\n"
    "g commit -qm 3; git tag third\n"
    "echo 'version https://git-lfs.github.com/spec/v1' >lfs.yaml; git add lfs.yaml; g commit -qm "
    "4; git tag lfs\n"
    "git rm -rqf .; mkdir -p a/b/c/d; cd a/b/c/d; ln -s ../../../.. top; ln -s top/../../etc out\n"
    "ln -s top/a/b in; git add .; g commit -qm 5; git tag trick\n"
    "git rm -qf out; g commit -qm 6; git tag fine\n";

struct fixture {
    char *dir;
    struct loop *loop;
    struct source *source;
    struct tree *first, *second, *third;
};

static struct tree *tree_at(struct fixture *f, const char *revision)
{
    struct err err = {0};
    struct tree *t = NULL;
    CLEANUP(str_freep) char *url = str_printf("file://%s/r", f->dir);
    while (!source_tree(f->source, url, revision, NULL, &t, &err)) {
        if (!f->source->ctx.waits.v.len)
            fail_msg("%s", err.msg);
        err_clear(&err);
        assert_true(source_wait(f->source, &err));
    }
    return t;
}

static int set_up(void **s)
{
    struct fixture *f = mem_alloc(sizeof(*f));
    struct err err = {0};
    if (!dir_make_temp("regrow-test", &f->dir, &err))
        return -1;
    CLEANUP(str_freep) char *script = str_printf(make_repo, f->dir);
    if (system(script) != 0)
        return -1;
    f->loop = loop_new(NULL);
    f->source = source_new(f->loop, &(struct source_opts){.cache_dir = f->dir});
    f->first = tree_at(f, "first");
    f->second = tree_at(f, "second");
    f->third = tree_at(f, "third");
    *s = f;
    return 0;
}

static int tear_down(void **s)
{
    struct fixture *f = *s;
    source_free(f->source);
    loop_free(f->loop);
    dir_temp_cleanup(&f->dir);
    free(f);
    return 0;
}

static void assert_reads(struct tree *t, const char *path, const char *want)
{
    struct err err = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    if (!tree_read(t, path, 100, &b, &err))
        fail_msg("%s: %s", path, err.msg);
    assert_string_equal(b.p, want);
}

static void assert_no_read(struct tree *t, const char *path, enum err_kind kind)
{
    struct err err = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    assert_false(tree_read(t, path, 100, &b, &err));
    assert_int_equal(err.kind, kind);
    err_clear(&err);
}

static void assert_lists(struct tree *t, const char *path, bool recurse, const char *want)
{
    struct err err = {0};
    struct strv files = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    if (!tree_list(t, path, recurse, &files, &err))
        fail_msg("%s: %s", path, err.msg);
    buf_str(&b, "");
    for (size_t i = 0; i < files.len; i++)
        buf_printf(&b, "%s%s", i ? " " : "", files.v[i]);
    assert_string_equal(b.p ? b.p : "", want);
    strv_clear(&files);
}

static void reads_many_folders(void **s)
{
    const struct fixture *f = *s;
    for (int i = 1; i <= 12; i++) {
        CLEANUP(str_freep) char *path = str_printf("apps/a%02d/f.yaml", i);
        CLEANUP(str_freep) char *deep = str_printf("apps/a%02d/sub/g", i);
        CLEANUP(str_freep) char *want = str_printf("%02d\n", i);
        assert_reads(f->first, path, want);
        assert_reads(f->first, deep, "deep\n");
    }
}

static void keeps_commits_apart(void **s)
{
    const struct fixture *f = *s;
    static const char *const same[] = {"apps/a02", "apps/a02/f.yaml"};
    static const char *const other[] = {"", "apps", "apps/a01", "apps/a01/f.yaml"};
    struct err err = {0};
    assert_reads(f->first, "apps/a01/f.yaml", "01\n");
    assert_reads(f->second, "apps/a01/f.yaml", "new\n");
    for (size_t i = 0; i < ARRAY_LEN(same); i++) {
        CLEANUP(str_freep) char *a = NULL;
        CLEANUP(str_freep) char *b = NULL;
        assert_true(tree_id(f->first, same[i], &a, &err) && tree_id(f->second, same[i], &b, &err));
        assert_string_equal(a, b);
    }
    for (size_t i = 0; i < ARRAY_LEN(other); i++) {
        CLEANUP(str_freep) char *a = NULL;
        CLEANUP(str_freep) char *b = NULL;
        assert_true(tree_id(f->first, other[i], &a, &err) &&
                    tree_id(f->second, other[i], &b, &err));
        assert_string_not_equal(a, b);
    }
}

static void lists_files_and_folders(void **s)
{
    const struct fixture *f = *s;
    struct err err = {0};
    struct strv all = {0};
    assert_lists(f->first, "apps/a04", false, "apps/a04/f.yaml");
    assert_lists(f->first, "apps/a04", true, "apps/a04/f.yaml apps/a04/sub/g");
    assert_lists(f->first, "apps/a04/f.yaml", false, "apps/a04/f.yaml");
    assert_true(tree_list(f->first, "", true, &all, &err));
    assert_int_equal(all.len, 24 + 5);
    strv_clear(&all);
    assert_true(tree_is_dir(f->first, "apps/a04") && tree_is_dir(f->first, ""));
    assert_false(tree_is_dir(f->first, "apps/a04/f.yaml") || tree_is_dir(f->first, "apps/a0"));
    assert_true(tree_has(f->first, "apps/a04/sub/g"));
    assert_false(tree_has(f->first, "apps/a04/sub/h"));
}

// What is not there, or not part of this repository, is an error and never an empty folder.
static void does_not_take_missing_for_empty(void **s)
{
    const struct fixture *f = *s;
    const char *const paths[] = {"apps/none", "none/none/none", "apps/a01/f.yaml/x", "apps/module",
                                 "apps/module/x"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct err err = {0};
        struct strv files = {0};
        assert_false(tree_list(f->second, paths[i], true, &files, &err));
        assert_int_equal(err.kind, ERR_NOT_FOUND);
        err_clear(&err);
        strv_clear(&files);
    }
}

static void follows_links_inside(void **s)
{
    const struct fixture *f = *s;
    assert_reads(f->first, "apps/link/f.yaml", "01\n");
    assert_reads(f->first, "apps/link/../a02/f.yaml", "02\n");
    assert_reads(f->first, "apps/a03/f", "02\n");
    assert_lists(f->first, "apps/link", true, "apps/link/f.yaml apps/link/sub/g");
    assert_no_read(f->first, "apps/out", ERR_INVALID);
    assert_no_read(f->first, "apps/up", ERR_INVALID);
    assert_no_read(f->first, "apps/loop", ERR_INVALID);
    assert_no_read(f->first, "../x", ERR_INVALID);
}

static void mounts_submodules(void **s)
{
    struct fixture *f = *s;
    struct err err = {0};
    struct strv all = {0};
    CLEANUP(str_freep) char *id = NULL;
    assert_reads(f->third, "vendor/lib/lib.yaml", "lib\n");
    assert_reads(f->third, "vendor/lib/d/x", "deep\n");
    assert_reads(f->third, "vendor/lib/in/core.txt", "core\n");
    assert_lists(f->third, "vendor", true,
                 "vendor/lib/.gitmodules vendor/lib/d/x vendor/lib/in/core.txt "
                 "vendor/lib/lib.yaml");
    assert_true(tree_id(f->third, "vendor/lib", &id, &err));
    assert_int_equal(strlen(id), 40);
    // One that cannot be had is an error below it, and for whoever wants all, and nowhere else.
    assert_reads(f->third, "apps/a05/f.yaml", "05\n");
    assert_no_read(f->third, "apps/module/x", ERR_NOT_FOUND);
    assert_false(tree_list(f->third, "apps", true, &all, &err));
    assert_non_null(strstr(err.msg, "submodule apps/module"));
    err_clear(&err);
    strv_clear(&all);
}

static bool view(struct tree *t, const char **dir, struct err *err)
{
    struct strv none = {0};
    return tree_view(t, &none, "", dir, err);
}

static void writes_folders(void **s)
{
    struct fixture *f = *s;
    struct err err = {0};
    const char *dir = NULL;
    while (!view(f->second, &dir, &err)) {
        assert_true(f->source->ctx.waits.v.len);
        err_clear(&err);
        assert_true(source_wait(f->source, &err));
    }
    struct buf b CLEANUP(buf_clear) = {0};
    CLEANUP(str_freep) char *file = path_join(dir, "apps/link/f.yaml");
    assert_true(file_read(file, 100, &b, &err));
    assert_string_equal(b.p, "new\n");
    // Of the others one has a link out of it, the other a submodule that is not there.
    struct tree *const bad[] = {f->first, f->third};
    for (size_t i = 0; i < 2; i++) {
        assert_false(view(bad[i], &dir, &err));
        err_clear(&err);
        assert_true(source_wait(f->source, &err));
        assert_false(view(bad[i], &dir, &err));
        assert_true(err_is_set(&err));
        err_clear(&err);
    }
}

// By their texts these stay inside; where they really lead, through another link, they do not.
static void follows_links_as_they_are(void **s)
{
    struct fixture *f = *s;
    struct tree *trick = tree_at(f, "trick");
    struct tree *fine = tree_at(f, "fine");
    struct err err = {0};
    const char *dir = NULL;
    assert_no_read(trick, "a/b/c/d/out/passwd", ERR_INVALID);
    assert_false(tree_has(trick, "a/b/c/d/out"));
    assert_lists(trick, "a/b/c/d/top/a", true,
                 "a/b/c/d/top/a/b/c/d/in a/b/c/d/top/a/b/c/d/out a/b/c/d/top/a/b/c/d/top");
    assert_false(view(trick, &dir, &err));
    err_clear(&err);
    assert_true(source_wait(f->source, &err));
    assert_false(view(trick, &dir, &err));
    if (!strstr(err.msg, "a/b/c/d/out is a link that leaves the repository"))
        fail_msg("%s", err.msg);
    assert_non_null(strstr(err.msg, "top/../../etc"));
    err_clear(&err);
    assert_false(view(fine, &dir, &err));
    err_clear(&err);
    assert_true(source_wait(f->source, &err) && view(fine, &dir, &err));
}

static void knows_pointers_of_lfs(void **s)
{
    struct fixture *f = *s;
    struct err err = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    assert_false(tree_read(tree_at(f, "lfs"), "lfs.yaml", 1000, &b, &err));
    assert_non_null(strstr(err.msg, "LFS"));
    err_clear(&err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_many_folders),
        cmocka_unit_test(keeps_commits_apart),
        cmocka_unit_test(lists_files_and_folders),
        cmocka_unit_test(does_not_take_missing_for_empty),
        cmocka_unit_test(follows_links_inside),
        cmocka_unit_test(mounts_submodules),
        cmocka_unit_test(writes_folders),
        cmocka_unit_test(follows_links_as_they_are),
        cmocka_unit_test(knows_pointers_of_lfs),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
