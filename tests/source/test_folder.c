// SPDX-License-Identifier: Apache-2.0
//
// A folder as a tree: the same links are refused as in a commit, nothing is read behind one that
// appears in between, what renders gets a copy of what was hashed.
#include "source/folder.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "source/copy.h"
#include "tests/test.h"

static const char make_tree[] =
    "set -e; cd '%s'; mkdir -p t/app/sub t/lib t/.git out; cd t\n"
    "echo a >app/a; echo b >app-b; echo g >app/sub/g; echo l >lib/l; echo secret >../out/s\n"
    "echo x >.git/x; chmod +x lib/l; ln -s ../lib app/lib; ln -s a app/same; ln -s . app/circle\n"
    "ln -s nowhere app/gone; ln -s self app/self; mkfifo app/pipe\n";

struct fixture {
    char *dir;
    struct loop *loop;
    struct folder *f;
};

static void sh(const struct fixture *f, const char *script)
{
    CLEANUP(str_freep) char *all = str_printf("set -e; cd '%s/t'; %s", f->dir, script);
    assert_int_equal(system(all), 0);
}

static void begin(struct fixture *f)
{
    CLEANUP(str_freep) char *top = path_join(f->dir, "t");
    folder_free(f->f);
    f->f = folder_new(top, f->loop);
}

static int set_up(void **s)
{
    struct fixture *f = mem_alloc(sizeof(*f));
    struct err err = {0};
    if (!dir_make_temp("regrow-test", &f->dir, &err))
        return -1;
    CLEANUP(str_freep) char *script = str_printf(make_tree, f->dir);
    if (system(script) != 0)
        return -1;
    f->loop = loop_new(NULL);
    begin(f);
    *s = f;
    return 0;
}

static int tear_down(void **s)
{
    struct fixture *f = *s;
    folder_free(f->f);
    loop_free(f->loop);
    dir_temp_cleanup(&f->dir);
    free(f);
    return 0;
}

static char *list(struct fixture *f, const char *path, bool recurse)
{
    struct strv files = {0};
    struct buf b = {0};
    struct err err = {0};
    if (!folder_list(f->f, path, recurse, &files, &err))
        fail_msg("%s: %s", path, err.msg);
    for (size_t i = 0; i < files.len; i++)
        buf_printf(&b, "%s%s", i ? " " : "", files.v[i]);
    strv_clear(&files);
    return buf_take(&b);
}

static void assert_lists(struct fixture *f, const char *path, bool recurse, const char *want)
{
    CLEANUP(str_freep) char *have = list(f, path, recurse);
    assert_string_equal(have, want);
}

static void assert_reads(const struct fixture *f, const char *path, const char *want)
{
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    if (!folder_read(f->f, path, 100, &b, &err))
        fail_msg("%s: %s", path, err.msg);
    assert_string_equal(b.p, want);
}

static void assert_refuses(const struct fixture *f, const char *path, const char *why)
{
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    assert_false(folder_read(f->f, path, 100, &b, &err));
    if (!strstr(err.msg, why))
        fail_msg("%s: %s", path, err.msg);
    err_clear(&err);
}

static char *id_of(struct fixture *f, const char *path)
{
    struct err err = {0};
    char *id = NULL;
    begin(f);
    if (!folder_walk(f->f, &err) || !folder_hash(f->f, &err) || !folder_id(f->f, path, &id, &err))
        fail_msg("%s", err.msg);
    return id;
}

#define ALL "app/a app/circle app/gone app/lib app/same app/self app/sub/g app-b lib/l"

static void lists_and_reads(void **s)
{
    struct fixture *f = *s;
    for (int walked = 0; walked < 2; walked++) {
        assert_lists(f, "app", false, "app/a app/circle app/gone app/lib app/same app/self");
        assert_lists(f, "app/sub", true, "app/sub/g");
        assert_lists(f, "app/circle/circle/sub", true, "app/circle/circle/sub/g");
        assert_lists(f, "app/lib", true, "app/lib/l");
        assert_lists(f, "app/a", true, "app/a");
        assert_lists(f, "", false, "app-b");
        if (!walked)
            assert_false(f->f->is_walked);
        assert_lists(f, "", true, ALL); // as folder after folder has them
        assert_true(f->f->is_walked);
    }
    assert_reads(f, "app/same", "a\n");
    assert_reads(f, "app/lib/l", "l\n");
    assert_reads(f, "app/circle/circle/same", "a\n");
    assert_refuses(f, "app/gone", "does not exist");
    assert_refuses(f, "app/self", "too many links");
    assert_refuses(f, "app/sub", "is not a file");
    assert_refuses(f, "app/pipe", "is not a file"); // and is not waited for
    assert_true(folder_is_dir(f->f, "app/lib") && folder_is_dir(f->f, ""));
    assert_false(folder_is_dir(f->f, "app/a") || folder_is_dir(f->f, "app/none"));
}

static void refuses_links_out(void **s)
{
    struct fixture *f = *s;
    static const struct {
        const char *make, *read, *link, *target;
    } cases[] = {
        {"ln -s /etc/hostname app/out", "app/out", "app/out", "/etc/hostname"},
        {"ln -s ../../out app/out", "app/out/s", "app/out", "../../out"},
        {"ln -s \"$PWD\"/app/a app/out", "app/out", "app/out", "/t/app/a"}, // even if it leads back
        {"ln -s lib/../../out app/out", "app/out/s", "app/out", "lib/../../out"},
        {"ln -s circle/../../out/s app/out", "app/out", "app/out", "circle/../../out/s"},
        {"mkdir -p x/y; ln -s ../.. x/y/top; ln -s top/../out app/../x/y/out", "x/y/out/s",
         "x/y/out", "top/../out"},
        {"ln -s /etc z; ln -s ../z app/out", "app/out/passwd", "app/out", "through z"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        CLEANUP(str_freep) char *said = NULL;
        sh(f, cases[i].make);
        begin(f);
        assert_refuses(f, cases[i].read, cases[i].link);
        assert_refuses(f, cases[i].read, cases[i].target);
        assert_refuses(f, cases[i].read, "is a link that leaves the folder");
        // Names can still be told; who wants all of it is refused.
        said = list(f, "", true);
        assert_non_null(strstr(said, cases[i].link));
        assert_false(folder_hash(f->f, &err));
        if (!strstr(err.msg, cases[i].link) || !strstr(err.msg, cases[i].target))
            fail_msg("%s: %s", cases[i].make, err.msg);
        err_clear(&err);
        sh(f, "rm -rf app/out x z");
    }
}

// What Git ignores is not in the tree that others would have, unless it was added.
static void leaves_ignored_links_out(void **s)
{
    struct fixture *f = *s;
    struct err err = {0};
    sh(f, "rm -rf .git; HOME=$PWD GIT_CONFIG_NOSYSTEM=1 git init -q; mkdir venv;"
          "ln -s /usr/bin/env venv/python; echo 'venv/' >.gitignore");
    begin(f);
    assert_true(folder_walk(f->f, &err) && folder_hash(f->f, &err));
    CLEANUP(str_freep) char *all = list(f, "", true);
    assert_null(strstr(all, "venv"));
    assert_refuses(f, "venv/python", "leaves the folder");
    sh(f, "HOME=$PWD GIT_CONFIG_NOSYSTEM=1 git add -f venv/python");
    begin(f);
    assert_true(folder_walk(f->f, &err));
    assert_false(folder_hash(f->f, &err));
    assert_non_null(strstr(err.msg, "venv/python"));
    err_clear(&err);
}

static void knows_content(void **s)
{
    struct fixture *f = *s;
    static const char *const changes[] = {
        "echo aa >app/a",
        "ln -sfn ../app-b app/same",  // a link to another file, of other content or not
        "ln -sfn ../app/sub app/lib", // to another folder
        "mv app/sub/g app/sub/h",
        "rm app/same; cp app/a app/same",
        "chmod +x app/a",
        "touch app/sub/empty",
    };
    CLEANUP(str_freep) char *before = id_of(f, "");
    CLEANUP(str_freep) char *lib = id_of(f, "lib");
    CLEANUP(str_freep) char *again = id_of(f, "");
    assert_string_equal(before, again);
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        sh(f, changes[i]);
        CLEANUP(str_freep) char *after = id_of(f, "");
        if (!strcmp(before, after))
            fail_msg("%s changes nothing", changes[i]);
        free(before);
        before = TAKE(after);
    }
    CLEANUP(str_freep) char *same = id_of(f, "lib");
    assert_string_equal(lib, same);
}

static bool copy(struct fixture *f, const char *part, const char *to, struct err *err)
{
    struct strv parts = {.v = (char **)&part, .len = 1};
    return folder_walk(f->f, err) && folder_hash(f->f, err) && folder_write(f->f, &parts, to, err);
}

static void writes_copies(void **s)
{
    struct fixture *f = *s;
    struct err err = {0};
    CLEANUP(str_freep) char *to = path_join(f->dir, "copy");
    CLEANUP(str_freep) char *kept = path_join(f->dir, "kept");
    CLEANUP(str_freep) char *seen = path_join(f->dir, "seen");
    assert_true(copy(f, "", to, &err));
    sh(f, "rm app/pipe; rm -r .git; diff -r --no-dereference . ../copy; test -x ../copy/lib/l");
    assert_true(folder_clone(to, kept, f->loop, &err) && folder_copy(to, seen, f->loop, &err));
    sh(f, "diff -r --no-dereference ../copy ../kept; test -z \"$(find ../seen -type l)\";"
          "diff -r lib ../seen/app/lib; cmp app/a ../seen/app/same; test ! -e ../seen/app/circle;"
          "test -x ../seen/app/lib/l");
}

// A part comes with all that its links lead to, and with the links on that way, and with no more.
static void writes_parts(void **s)
{
    struct fixture *f = *s;
    static const struct {
        const char *part, *has;
    } cases[] = {
        {"app/sub", "app/sub/g"},
        {"app/sub/g", "app/sub/g"},
        {"none", ""},
        {"lib", "lib/l"},
        {"way", "app/lib lib/l way/in"}, // a link through a link
        {"app/lib", "app/lib lib/l"},
        {"far/one", "app/a far/one far/two"},
    };
    sh(f, "mkdir way far; ln -s ../app/lib/l way/in; ln -s two far/one; ln -s ../app/a far/two");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        CLEANUP(str_freep) char *to = str_printf("%s/copy-%zu", f->dir, i);
        CLEANUP(str_freep)
        char *look =
            str_printf("test \"$(cd ../copy-%zu; find . ! -type d | cut -c3- | sort | xargs)\""
                       " = '%s'",
                       i, cases[i].has);
        begin(f);
        if (!copy(f, cases[i].part, to, &err))
            fail_msg("%s: %s", cases[i].part, err.msg);
        sh(f, look);
    }
}

static void note(void *ctx, const char *path, const struct folder_file *file)
{
    buf_printf(ctx, "%s=%s ", path, file->path);
}

static void shows_what_programs_see(void **s)
{
    struct fixture *f = *s;
    struct err err = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    sh(f, "mkdir two; ln -s ../app two/app; ln -s ../two app/two");
    assert_true(folder_walk(f->f, &err) && folder_each(f->f, note, &b, &err));
    assert_string_equal(b.p, "app/a=app/a app/lib/l=lib/l app/same=app/a app/sub/g=app/sub/g "
                             "app-b=app-b lib/l=lib/l two/app/a=app/a two/app/lib/l=lib/l "
                             "two/app/same=app/a two/app/sub/g=app/sub/g ");
}

// Between hashing and copying somebody writes: nothing is rendered of a mixture.
static void notices_changes(void **s)
{
    struct fixture *f = *s;
    static const char *const changes[] = {
        "echo changed >app/a",
        "rm app/a; ln -s ../../out/s app/a",
        "rm app/a; mkfifo app/a",
        "rm app/a",
        "mv app/sub app/was; ln -s ../../out app/sub",
        "mv app/sub app/was",
    };
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        struct err err = {0};
        CLEANUP(str_freep) char *to = str_printf("%s/copy-%zu", f->dir, i);
        sh(f, "rm -rf app/a app/sub app/was; mkdir app/sub; echo a >app/a; echo g >app/sub/g");
        begin(f);
        assert_true(folder_walk(f->f, &err) && folder_hash(f->f, &err));
        sh(f, changes[i]);
        assert_false(copy(f, "", to, &err));
        assert_int_equal(err.kind, ERR_UNAVAILABLE);
        if (!strstr(err.msg, "was changed while it was read"))
            fail_msg("%s: %s", changes[i], err.msg);
        err_clear(&err);
        sh(f, "! grep -rq secret ../copy-*");
    }
}

static void stops(void **s)
{
    struct fixture *f = *s;
    struct err err = {0};
    assert_true(folder_walk(f->f, &err));
    loop_set_deadline(f->loop, clock_mono_ms());
    assert_false(folder_hash(f->f, &err));
    assert_int_equal(err.kind, ERR_TIMEOUT);
    err_clear(&err);
    begin(f);
    assert_false(folder_walk(f->f, &err));
    assert_int_equal(err.kind, ERR_TIMEOUT);
    err_clear(&err);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lists_and_reads),         TEST(refuses_links_out), TEST(leaves_ignored_links_out),
        TEST(knows_content),           TEST(writes_copies),     TEST(writes_parts),
        TEST(shows_what_programs_see), TEST(notices_changes),   TEST(stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
