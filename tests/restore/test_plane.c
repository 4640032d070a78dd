// SPDX-License-Identifier: Apache-2.0
//
// A throw-away control plane: what its program started is gone afterwards, however it ends, and so
// is its folder.
#include "restore/plane.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "tests/test.h"

static char *dir; // of the tests

// A program whose `up` leaves a process in a session of its own, as daemons do.
static char *program(const char *name, const char *body)
{
    struct err err = {0};
    char *path = path_join(dir, name);
    CLEANUP(str_freep) char *text = str_printf("#!/bin/sh\n%s\n", body);
    if (!file_replace(path, text, strlen(text), 0700, &err))
        fail_msg("%s", err.msg);
    return path;
}

static const char daemons[] = "mkdir -p \"$2\"; setsid sleep 600 & echo $! >\"$2/pid\"\n"
                              "echo config >\"$2/kubeconfig\"";

static pid_t daemon_of(const struct plane *p)
{
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    CLEANUP(str_freep) char *at = str_dup(plane_kubeconfig(p));
    *strrchr(at, '/') = 0;
    CLEANUP(str_freep) char *file = path_join(at, "pid");
    if (!file_read(file, 100, &b, &err))
        fail_msg("%s", err.msg);
    return (pid_t)strtol(b.p, NULL, 10);
}

static bool is_gone(pid_t pid)
{
    for (int i = 0; i < 500; i++) {
        if (kill(pid, 0) != 0)
            return true;
        usleep(10000);
    }
    return false;
}

static bool is_empty(const char *folder)
{
    CLEANUP(str_freep) char *command = str_printf("test -z \"$(ls '%s')\"", folder);
    for (int i = 0; i < 500; i++) {
        if (system(command) == 0)
            return true;
        usleep(10000);
    }
    return false;
}

static void ends_all(void **state)
{
    (void)state;
    struct err err = {0};
    CLEANUP(loop_freep) struct loop *l = loop_new(NULL);
    CLEANUP(str_freep) char *path = program("good", daemons);
    struct plane *p = NULL;
    assert_true(plane_new(path, &p, &err));
    if (!plane_start(p, l, &err))
        fail_msg("%s", err.msg);
    assert_true(file_exists(plane_kubeconfig(p)));
    pid_t pid = daemon_of(p);
    assert_int_equal(kill(pid, 0), 0);
    plane_free(p);
    assert_true(is_gone(pid));
    CLEANUP(str_freep) char *tmp = path_join(dir, "tmp");
    assert_true(is_empty(tmp));
}

static void fails(void **state)
{
    (void)state;
    struct err err = {0};
    CLEANUP(loop_freep) struct loop *l = loop_new(NULL);
    CLEANUP(str_freep) char *path = program("bad", "echo first; echo 'no etcd here' >&2; exit 3");
    CLEANUP(plane_freep) struct plane *p = NULL;
    assert_true(plane_new(path, &p, &err));
    assert_false(plane_start(p, l, &err));
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    assert_non_null(strstr(err.msg, "ended with 3: no etcd here"));
    err_clear(&err);
}

// `up` is under way, and there is nobody any more who waits for it.
static void killed(void **state)
{
    (void)state;
    int pipes[2];
    pid_t pid = 0;
    CLEANUP(str_freep) char *tmp = path_join(dir, "tmp");
    CLEANUP(str_freep)
    char *path = program("slow", "mkdir -p \"$2\"; setsid sleep 600 & echo $! >\"$2/pid\"\n"
                                 "mv \"$2/pid\" \"$2/../../../slow.pid\"; sleep 600");
    CLEANUP(str_freep) char *pid_file = path_join(dir, "slow.pid");
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    if (!child) {
        struct err err = {0};
        struct loop *l = loop_new(NULL);
        struct plane *p = NULL;
        if (plane_new(path, &p, &err))
            (void)!plane_start(p, l, &err);
        _exit(1);
    }
    for (int i = 0; i < 1000 && !file_exists(pid_file); i++)
        usleep(10000);
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    assert_true(file_read(pid_file, 100, &b, &err));
    pid = (pid_t)strtol(b.p, NULL, 10);
    assert_int_equal(kill(pid, 0), 0);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_true(is_gone(pid));
    assert_true(is_empty(tmp));
}

static int set_up(void **state)
{
    struct err err = {0};
    (void)state;
    if (!dir_make_temp("test-plane", &dir, &err))
        return -1;
    CLEANUP(str_freep) char *tmp = path_join(dir, "tmp");
    return dir_make(tmp, 0700, &err) && setenv("TMPDIR", tmp, 1) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    dir_temp_cleanup(&dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_all),
        cmocka_unit_test(fails),
        cmocka_unit_test(killed),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
