// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/test.h"

static char *at(const char *dir, const char *name)
{
    return path_join(dir, name);
}

static int set_up(void **s)
{
    struct err err = {0};
    char *dir = NULL;
    if (!dir_make_temp("regrow-test", &dir, &err))
        return -1;
    *s = dir;
    return 0;
}

static int tear_down(void **s)
{
    char *dir = *s;
    dir_temp_cleanup(&dir);
    return 0;
}

static void replaces_and_reads(void **s)
{
    struct err err = {0};
    CLEANUP(str_freep) char *f = at(*s, "a");
    assert_true(file_replace(f, "first", 5, 0600, &err));
    assert_true(file_replace(f, "hello", 5, 0640, &err));
    struct stat st;
    assert_int_equal(stat(f, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    struct buf b CLEANUP(buf_clear) = {0};
    buf_str(&b, "> ");
    assert_true(file_read(f, 5, &b, &err));
    assert_string_equal(b.p, "> hello");
}

static void reads_within_bounds(void **s)
{
    struct err err = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    CLEANUP(str_freep) char *f = at(*s, "a");
    assert_true(file_replace(f, "", 0, 0600, &err));
    assert_true(file_read(f, 0, &b, &err));
    assert_string_equal(b.p, "");
    assert_true(file_replace(f, "hello", 5, 0600, &err));
    assert_false(file_read(f, 4, &b, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    err_clear(&err);
    CLEANUP(str_freep) char *none = at(*s, "none");
    assert_false(file_read(none, 4, &b, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    err_clear(&err);
    // What has no end is still bounded.
    assert_false(file_read("/dev/zero", 1 << 20, &b, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    err_clear(&err);
    assert_false(file_read(*s, 100, &b, &err));
    assert_true(err_is_set(&err));
    err_clear(&err);
}

static unsigned count_entries(const char *dir)
{
    char *list = str_printf("ls -A '%s' | wc -l", dir);
    FILE *p = popen(list, "r");
    unsigned n = 0;
    assert_int_equal(fscanf(p, "%u", &n), 1);
    pclose(p);
    free(list);
    return n;
}

// A write that fails half-way (here by the limit on a file's size) leaves the old file and nothing
// beside it.
static void a_failed_write_leaves_the_old_file(void **s)
{
    struct err err = {0};
    CLEANUP(str_freep) char *f = at(*s, "a");
    assert_true(file_replace(f, "old", 3, 0600, &err));
    char *big = mem_alloc(1 << 20);
    struct rlimit before;
    getrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit small = {1000, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    bool ok = file_replace(f, big, 1 << 20, 0600, &err);
    setrlimit(RLIMIT_FSIZE, &before);
    free(big);
    assert_false(ok);
    assert_true(err_is_set(&err));
    err_clear(&err);
    struct buf b CLEANUP(buf_clear) = {0};
    assert_true(file_read(f, 10, &b, &err));
    assert_string_equal(b.p, "old");
    assert_int_equal(count_entries(*s), 1);
    CLEANUP(str_freep) char *nowhere = at(*s, "no/such/folder");
    assert_false(file_replace(nowhere, "x", 1, 0600, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    err_clear(&err);
}

static void a_link_is_replaced_and_not_followed(void **s)
{
    struct err err = {0};
    CLEANUP(str_freep) char *f = at(*s, "target");
    CLEANUP(str_freep) char *link = at(*s, "link");
    assert_true(file_replace(f, "target", 6, 0600, &err));
    assert_int_equal(symlink(f, link), 0);
    assert_true(file_replace(link, "new", 3, 0600, &err));
    struct buf b CLEANUP(buf_clear) = {0};
    assert_true(file_read(f, 10, &b, &err));
    assert_string_equal(b.p, "target");
}

// As little as what is replaced; and what is the same stays the very same file.
static void put_and_kept(void **s)
{
    struct err err = {0};
    struct stat a;
    struct stat b;
    struct buf text CLEANUP(buf_clear) = {0};
    CLEANUP(str_freep) char *f = at(*s, "kept");
    CLEANUP(str_freep) char *link = at(*s, "put");
    assert_true(file_keep(f, "first", 5, 0600, &err) && stat(f, &a) == 0);
    assert_true(file_keep(f, "first", 5, 0600, &err) && stat(f, &b) == 0);
    assert_int_equal(a.st_ino, b.st_ino);
    assert_int_equal(symlink(f, link), 0);
    assert_true(file_put(link, "new", 3, 0600, &err));
    assert_true(file_read(f, 10, &text, &err));
    assert_string_equal(text.p, "first");
    static const char *const others[] = {"firs", "first!", "fjrst", ""};
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        buf_reset(&text);
        assert_true(file_keep(f, others[i], strlen(others[i]), 0600, &err));
        assert_true(file_read(f, 10, &text, &err));
        assert_string_equal(text.p ? text.p : "", others[i]);
    }
}

#define WRITERS 4
#define ROUNDS 60

struct keeping {
    char *const *paths;
    ino_t got[ROUNDS];
};

static void *keep_all(void *ctx)
{
    struct keeping *k = ctx;
    for (size_t i = 0; i < ROUNDS; i++) {
        struct err err = {0};
        struct stat st = {0};
        bool ok = file_keep(k->paths[i], "same", 4, 0600, &err) && stat(k->paths[i], &st) == 0;
        k->got[i] = ok ? st.st_ino : 0;
        err_clear(&err);
    }
    return NULL;
}

// What one of several at once was given stays what is there: a child may have been let at it.
static void kept_by_several(void **s)
{
    char *paths[ROUNDS];
    struct keeping k[WRITERS];
    pthread_t threads[WRITERS];
    size_t others = 0;
    for (size_t i = 0; i < ROUNDS; i++) {
        CLEANUP(str_freep) char *name = str_printf("shared-%zu", i);
        paths[i] = at(*s, name);
    }
    for (size_t i = 0; i < WRITERS; i++) {
        k[i].paths = paths;
        assert_int_equal(pthread_create(&threads[i], NULL, keep_all, &k[i]), 0);
    }
    for (size_t i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < ROUNDS; i++) {
        struct stat st;
        assert_int_equal(stat(paths[i], &st), 0);
        assert_int_equal(st.st_nlink, 1);
        for (size_t w = 0; w < WRITERS; w++)
            others += k[w].got[i] != st.st_ino;
        free(paths[i]);
    }
    assert_int_equal(others, 0);
}

static void makes_folders(void **s)
{
    struct err err = {0};
    CLEANUP(str_freep) char *deep = at(*s, "a/b//c/");
    assert_true(dir_make(deep, 0700, &err));
    assert_true(dir_make(deep, 0700, &err));
    assert_true(file_is_dir(deep));
    CLEANUP(str_freep) char *f = at(*s, "a/file");
    assert_true(file_replace(f, "", 0, 0600, &err));
    assert_false(file_is_dir(f));
    assert_true(file_exists(f));
    assert_false(dir_make(f, 0700, &err));
    err_clear(&err);
    CLEANUP(str_freep) char *below = at(f, "x");
    assert_false(dir_make(below, 0700, &err));
    err_clear(&err);
    assert_false(dir_make("", 0700, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    err_clear(&err);
}

static void removal_follows_no_link(void **s)
{
    struct err err = {0};
    CLEANUP(str_freep) char *kept_dir = at(*s, "kept");
    CLEANUP(str_freep) char *kept = at(kept_dir, "file");
    assert_true(dir_make(kept_dir, 0700, &err));
    assert_true(file_replace(kept, "x", 1, 0600, &err));
    CLEANUP(str_freep) char *sub = at(*s, "sub/deep");
    CLEANUP(str_freep) char *to_dir = at(sub, "to-dir");
    CLEANUP(str_freep) char *to_none = at(sub, "to-nothing");
    assert_true(dir_make(sub, 0700, &err));
    assert_int_equal(symlink(kept_dir, to_dir), 0);
    assert_int_equal(symlink("nowhere", to_none), 0);
    assert_int_equal(chmod(sub, 0500), 0); // as a tree that was unpacked read-only
    CLEANUP(str_freep) char *top = at(*s, "sub");
    assert_true(dir_remove(top, &err));
    assert_false(file_exists(top));
    assert_true(file_exists(kept));
    assert_true(dir_remove(top, &err)); // absent is fine
    // A link given itself is removed, and what it points to stays.
    CLEANUP(str_freep) char *link = at(*s, "link");
    assert_int_equal(symlink(kept_dir, link), 0);
    assert_true(dir_remove(link, &err));
    assert_true(file_exists(kept));
}

static void removal_of_a_very_deep_tree_is_bounded(void **s)
{
    struct err err = {0};
    CLEANUP(str_freep) char *top = at(*s, "deep");
    assert_true(dir_make(top, 0700, &err));
    int fd CLEANUP(fd_closep) = open(top, O_RDONLY | O_DIRECTORY);
    for (int i = 0; i < 300; i++) {
        assert_int_equal(mkdirat(fd, "d", 0700), 0);
        int next = openat(fd, "d", O_RDONLY | O_DIRECTORY);
        assert_true(next >= 0);
        close(fd);
        fd = next;
    }
    assert_true(dir_remove(top, &err));
    assert_false(file_exists(top));
}

static void cleans_paths(void **s)
{
    (void)s;
    const char *const rows[][2] = {
        {"a/./b//c/../d", "a/b/d"},
        {"", ""},
        {".", ""},
        {"a/..", ""},
        {"./a/", "a"},
        {"..", NULL},
        {"../x", NULL},
        {"a/../../x", NULL},
        {"/x", NULL},
        {"...", "..."},
        {"a/b/../..", ""},
        {"a..b/..c", "a..b/..c"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(str_freep) char *out = NULL;
        bool ok = path_clean(rows[i][0], &out);
        if (ok != (rows[i][1] != NULL) || !str_eq(out, rows[i][1]))
            fail_msg("%s gives %s", rows[i][0], out ? out : "nothing");
    }
}

static void joins_paths(void **s)
{
    (void)s;
    const char *const rows[][3] = {
        {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"", "b", "b"}, {"a", "", "a"}, {"a", "/b", "/b"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(str_freep) char *p = path_join(rows[i][0], rows[i][1]);
        assert_string_equal(p, rows[i][2]);
    }
    assert_string_equal(path_base("a/b"), "b");
    assert_string_equal(path_base("b"), "b");
    assert_string_equal(path_base("a/"), "");
}

#define IN_FOLDER(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(replaces_and_reads),
        IN_FOLDER(reads_within_bounds),
        IN_FOLDER(a_failed_write_leaves_the_old_file),
        IN_FOLDER(a_link_is_replaced_and_not_followed),
        IN_FOLDER(put_and_kept),
        IN_FOLDER(kept_by_several),
        IN_FOLDER(makes_folders),
        IN_FOLDER(removal_follows_no_link),
        IN_FOLDER(removal_of_a_very_deep_tree_is_bounded),
        cmocka_unit_test(cleans_paths),
        cmocka_unit_test(joins_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
