// SPDX-License-Identifier: Apache-2.0
//
// What a killed process leaves of its temporary folders goes; what is needed, or somebody else's,
// stays.
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/test.h"

static const char *const swept[] = {"regrow-a", "regrow-b", NULL};
static char *dir;

static bool is_there(const char *name)
{
    CLEANUP(str_freep) char *path = path_join(dir, name);
    return file_exists(path);
}

static void sweep(void)
{
    dir_temp_sweep(swept);
}

// A process with a folder in which a file lies; *name is that of the folder.
static pid_t somebody(char **name)
{
    int fds[2];
    char path[200] = "";
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        char *made = NULL;
        struct err err = {0};
        if (!dir_make_temp("regrow-a", &made, &err))
            _exit(1);
        CLEANUP(str_freep) char *file = path_join(made, "values.yaml");
        if (!file_put(file, "x", 1, 0600, &err) || write(fds[1], made, strlen(made)) < 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(fds[1]);
    assert_true(read(fds[0], path, sizeof(path) - 1) > 0);
    close(fds[0]);
    *name = str_dup(path_base(path));
    return pid;
}

static void of_the_dead(void **s)
{
    (void)s;
    char *name = NULL;
    pid_t pid = somebody(&name);
    sweep();
    assert_true(is_there(name));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    sweep();
    assert_false(is_there(name));
    free(name);
}

static void of_the_living(void **s)
{
    (void)s;
    struct err err = {0};
    char *one = NULL;
    char *two = NULL;
    assert_true(dir_make_temp("regrow-a", &one, &err) && dir_make_temp("regrow-b", &two, &err));
    CLEANUP(str_freep) char *first = str_dup(path_base(one));
    CLEANUP(str_freep) char *second = str_dup(path_base(two));
    sweep();
    assert_true(is_there(first) && is_there(second));
    dir_temp_cleanup(&one);
    assert_null(one);
    assert_false(is_there(first));
    sweep();
    assert_true(is_there(second));
    dir_temp_cleanup(&two);
    assert_false(is_there(second));
}

static void of_others(void **s)
{
    (void)s;
    static const char *const names[] = {"regrow-c.backup",   "regrow-ab.backup", "regrow-a",
                                        "x.regrow-a.backup", "regrow-a.old",     "regrow-a.backups",
                                        "regrow-a.2026-1",   "regrow-a.backup"};
    struct err err = {0};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        CLEANUP(str_freep) char *path = path_join(dir, names[i]);
        assert_true(dir_make(path, i + 1 < ARRAY_LEN(names) ? 0700 : 0755, &err));
    }
    CLEANUP(str_freep) char *link = path_join(dir, "regrow-a.link");
    CLEANUP(str_freep) char *file = path_join(dir, "regrow-a.file");
    assert_int_equal(symlink("regrow-c.backup", link), 0);
    assert_true(file_put(file, "x", 1, 0600, &err));
    sweep();
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_true(is_there(names[i]));
    assert_true(file_exists(link) && file_exists(file));
}

static int setup(void **s)
{
    (void)s;
    struct err err = {0};
    return dir_make_temp("test-tempdir", &dir, &err) && setenv("TMPDIR", dir, 1) == 0 ? 0 : -1;
}

static int teardown(void **s)
{
    (void)s;
    dir_temp_cleanup(&dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_the_dead),
        cmocka_unit_test(of_the_living),
        cmocka_unit_test(of_others),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
