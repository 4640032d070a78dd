// SPDX-License-Identifier: Apache-2.0
#include "source/git.h"

#include <stdio.h>

#include "base/file.h"
#include "tests/test.h"

// Two commits over folders enough that not all of them stay open, and a submodule.
static const char make_repo[] =
    "set -e; cd '%s'; export HOME=$PWD GIT_CONFIG_NOSYSTEM=1; git init -q r; cd r\n"
    "for i in 01 02 03 04 05 06 07 08 09 10 11 12; do mkdir -p apps/a$i/sub;"
    " echo $i >apps/a$i/f.yaml; echo deep >apps/a$i/sub/g; done\n"
    "g() { git -c user.name=t -c user.email=t@example.com -c protocol.file.allow=always \"$@\"; }\n"
    "git add -A; g commit -qm 1; git tag first\n"
    "git update-index --add --cacheinfo 160000,$(git rev-parse first),apps/module\n"
    "echo new >apps/a01/f.yaml; git add apps/a01; g commit -qm 2; git tag second\n";

struct fixture {
    char *dir;
    struct gitsrc *git;
    char *first, *second;
};

static bool resolve(struct gitsrc *g, const char *tag, char **commit)
{
    struct err err = {0};
    CLEANUP(str_freep) char *name = NULL;
    return gitsrc_resolve(g, tag, NULL, commit, &name, &err);
}

static int set_up(void **s)
{
    struct fixture *f = mem_alloc(sizeof(*f));
    struct err err = {0};
    if (!dir_make_temp("regrow-test", &f->dir, &err))
        return -1;
    CLEANUP(str_freep) char *script = str_printf(make_repo, f->dir);
    CLEANUP(str_freep) char *url = path_join(f->dir, "r");
    struct gitsrc_opts o = {.url = url};
    if (system(script) != 0 || !gitsrc_open(&o, &f->git, &err))
        return -1;
    *s = f;
    return resolve(f->git, "first", &f->first) && resolve(f->git, "second", &f->second) ? 0 : -1;
}

static int tear_down(void **s)
{
    struct fixture *f = *s;
    gitsrc_free(f->git);
    dir_temp_cleanup(&f->dir);
    free(f->first);
    free(f->second);
    free(f);
    return 0;
}

static void assert_reads(struct gitsrc *g, const char *commit, const char *path, const char *want)
{
    struct err err = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    if (!gitsrc_read(g, commit, path, 100, &b, &err))
        fail_msg("%s", err.msg);
    assert_string_equal(b.p, want);
}

static void reads_many_folders_in_turn(void **s)
{
    const struct fixture *f = *s;
    for (int round = 0; round < 2; round++) {
        for (int i = 1; i <= 12; i++) {
            CLEANUP(str_freep) char *path = str_printf("apps/a%02d/f.yaml", i);
            CLEANUP(str_freep) char *deep = str_printf("apps/a%02d/sub/g", i);
            CLEANUP(str_freep) char *want = str_printf("%02d\n", i);
            assert_reads(f->git, f->first, path, want);
            assert_reads(f->git, f->first, deep, "deep\n");
        }
    }
}

static void keeps_commits_apart(void **s)
{
    const struct fixture *f = *s;
    struct err err = {0};
    char a[41];
    char b[41];
    for (int i = 0; i < 2; i++) {
        assert_reads(f->git, f->first, "apps/a01/f.yaml", "01\n");
        assert_true(gitsrc_tree_id(f->git, f->first, "apps/a02", a, &err));
        assert_reads(f->git, f->second, "apps/a01/f.yaml", "new\n");
        assert_true(gitsrc_tree_id(f->git, f->second, "apps/a02", b, &err));
        assert_string_equal(a, b);
        assert_true(gitsrc_tree_id(f->git, f->first, "", a, &err));
        assert_true(gitsrc_tree_id(f->git, f->second, "", b, &err));
        assert_string_not_equal(a, b);
    }
}

static void lists_files_and_folders(void **s)
{
    const struct fixture *f = *s;
    struct err err = {0};
    struct git_entries e = {0};
    assert_true(gitsrc_list(f->git, f->first, "apps/a03", false, &e, &err));
    assert_int_equal(e.v.len, 1);
    assert_string_equal(e.v.v[0].path, "apps/a03/f.yaml");
    git_entries_clear(&e);
    assert_true(gitsrc_list(f->git, f->first, "", true, &e, &err));
    assert_int_equal(e.v.len, 24);
    git_entries_clear(&e);
    assert_true(gitsrc_list(f->git, f->first, "apps/a03/f.yaml", false, &e, &err));
    assert_int_equal(e.v.len, 1);
    assert_string_equal(e.v.v[0].path, "apps/a03/f.yaml");
    git_entries_clear(&e);
}

// What is not there, or not part of this repository, is an error and never an empty folder.
static void does_not_take_missing_for_empty(void **s)
{
    const struct fixture *f = *s;
    const char *const paths[] = {"apps/none", "none/none/none", "apps/a01/f.yaml/x", "apps/module"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct err err = {0};
        struct git_entries e = {0};
        assert_false(gitsrc_list(f->git, f->second, paths[i], true, &e, &err));
        assert_int_equal(err.kind, ERR_NOT_FOUND);
        err_clear(&err);
        git_entries_clear(&e);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_many_folders_in_turn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keeps_commits_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lists_files_and_folders, set_up, tear_down),
        cmocka_unit_test_setup_teardown(does_not_take_missing_for_empty, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
