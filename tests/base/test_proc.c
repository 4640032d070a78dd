// SPDX-License-Identifier: Apache-2.0
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "tests/test.h"

static const char *const plain_env[] = {"PATH=/usr/bin:/bin", NULL};

// Runs `sh -c script`; the result and the error are the caller's to clear.
static bool run_sh(const char *script, struct proc_opts o, struct proc_result *r, struct err *err)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    o.argv = argv;
    o.env = o.env ? o.env : plain_env;
    return proc_run(&o, r, err);
}

// The same for a script that must end well; returns its output, owned.
static char *output_of(const char *script, struct proc_opts o)
{
    struct proc_result r = {0};
    struct err err = {0};
    if (!run_sh(script, o, &r, &err))
        fail_msg("%s: %s", script, err.msg);
    if (r.exit_code)
        fail_msg("%s: exit code %d, %s", script, r.exit_code, r.err_text.p ? r.err_text.p : "");
    char *out = buf_take(&r.out);
    proc_result_clear(&r);
    return out;
}

static void expect_failure(const char *script, struct proc_opts o, enum err_kind kind)
{
    struct proc_result r = {0};
    struct err err = {0};
    assert_false(run_sh(script, o, &r, &err));
    assert_int_equal(err.kind, kind);
    err_clear(&err);
    proc_result_clear(&r);
}

static void streams_and_exit_code(void **s)
{
    (void)s;
    struct proc_result r = {0};
    struct err err = {0};
    assert_true(
        run_sh("cat; echo bad >&2; exit 3", (struct proc_opts){.in = "in", .in_len = 2}, &r, &err));
    assert_int_equal(r.exit_code, 3);
    assert_string_equal(r.out.p, "in");
    assert_string_equal(r.err_text.p, "bad\n");
    proc_result_clear(&r);
    assert_true(run_sh("kill -TERM $$", (struct proc_opts){0}, &r, &err));
    assert_int_equal(r.exit_code, 128 + SIGTERM);
    proc_result_clear(&r);
}

static void large_input_and_output(void **s)
{
    (void)s;
    size_t len = 5 << 20;
    char *in = mem_alloc(len);
    for (size_t i = 0; i < len; i++)
        in[i] = (char)('a' + i % 23);
    struct proc_result r = {0};
    struct err err = {0};
    assert_true(run_sh("cat", (struct proc_opts){.in = in, .in_len = len}, &r, &err));
    assert_int_equal(r.out.len, len);
    assert_memory_equal(r.out.p, in, len);
    proc_result_clear(&r);
    // A child that does not read it is no reason to die by SIGPIPE.
    assert_true(
        run_sh("exec 0<&-; echo no", (struct proc_opts){.in = in, .in_len = len}, &r, &err));
    assert_string_equal(r.out.p, "no\n");
    proc_result_clear(&r);
    free(in);
}

static void output_is_bounded(void **s)
{
    (void)s;
    int64_t start = clock_mono_ms();
    expect_failure("yes", (struct proc_opts){.max_out_bytes = 1000}, ERR_INVALID);
    assert_true(clock_mono_ms() - start < 5000);
    char *exact CLEANUP(str_freep) =
        output_of("head -c 1000 /dev/zero | tr '\\0' x", (struct proc_opts){.max_out_bytes = 1000});
    assert_int_equal(strlen(exact), 1000);
    // Of standard error the end is kept.
    struct proc_result r = {0};
    struct err err = {0};
    assert_true(run_sh("head -c 1000000 /dev/zero | tr '\\0' x >&2; echo the end >&2",
                       (struct proc_opts){0}, &r, &err));
    assert_int_equal(r.err_text.len, 65536);
    assert_true(str_ends(r.err_text.p, "x"
                                       "the end\n"));
    proc_result_clear(&r);
}

// Whether a process is there and no zombie.
static bool is_alive(int pid)
{
    CLEANUP(str_freep) char *path = str_printf("/proc/%d/stat", pid);
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    if (!file_read(path, 4096, &b, &err)) {
        err_clear(&err);
        return false;
    }
    const char *after = strrchr(b.p, ')');
    return after && after[2] != 'Z' && after[2] != 'X';
}

static void wait_until_gone(int pid)
{
    for (int i = 0; i < 500 && is_alive(pid); i++)
        usleep(10000);
    assert_false(is_alive(pid));
}

static void a_timeout_kills_the_whole_group(void **s)
{
    (void)s;
    struct proc_result r = {0};
    struct err err = {0};
    int64_t start = clock_mono_ms();
    assert_false(run_sh("trap '' TERM; sleep 60 & echo $!; echo $$; wait; sleep 60",
                        (struct proc_opts){.timeout_ms = 300}, &r, &err));
    assert_in_range(clock_mono_ms() - start, 300, 5000);
    assert_int_equal(err.kind, ERR_TIMEOUT);
    err_clear(&err);
    int grandchild = 0;
    int child = 0;
    assert_int_equal(sscanf(r.out.p, "%d %d", &grandchild, &child), 2);
    wait_until_gone(grandchild);
    wait_until_gone(child);
    proc_result_clear(&r);
}

static bool pass_on(void *ctx, const char *p, size_t len)
{
    int *to = ctx;
    bool ok = write(*to, p, len) == (ssize_t)len;
    close(*to);
    *to = -1;
    return ok;
}

static void not_done(void *ctx, struct proc_result *r, struct err *err)
{
    (void)ctx;
    (void)r;
    (void)err;
}

// As at a second Ctrl-C: what a child of ours started goes with it.
static void all_are_killed_at_once(void **s)
{
    (void)s;
    int fds[2];
    int grandchild = 0;
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        static int out;
        const char *const argv[] = {"sh", "-c", "sleep 60 & echo $!; wait", NULL};
        struct loop *l = loop_new(NULL);
        out = fds[1];
        struct proc_opts o = {.argv = argv, .env = plain_env, .on_out = pass_on, .out_ctx = &out};
        proc_start(l, &o, not_done, NULL);
        for (int i = 0; i < 100 && out >= 0; i++)
            loop_run_once(l, 100);
        proc_kill_all();
        _exit(out < 0 ? 0 : 1);
    }
    close(fds[1]);
    FILE *f = fdopen(fds[0], "r");
    assert_int_equal(fscanf(f, "%d", &grandchild), 1);
    fclose(f);
    int status = 1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    wait_until_gone(grandchild);
}

static void what_the_child_leaves_behind_is_killed(void **s)
{
    (void)s;
    int64_t start = clock_mono_ms();
    CLEANUP(str_freep) char *out = output_of("sleep 60 & echo $!", (struct proc_opts){0});
    assert_true(clock_mono_ms() - start < 5000);
    wait_until_gone(atoi(out));
}

// One that leaves the group keeps the pipes open; the answer does not wait for it.
static void one_that_leaves_the_group_is_not_waited_for(void **s)
{
    (void)s;
    int64_t start = clock_mono_ms();
    char *out CLEANUP(str_freep) = output_of(
        "setsid sh -c 'echo $$; exec sleep 60' & sleep 0.3; echo last", (struct proc_opts){0});
    assert_true(clock_mono_ms() - start < 8000);
    assert_true(str_ends(out, "last\n"));
    int pid = atoi(out);
    assert_true(pid > 1);
    kill(pid, SIGKILL);
}

static void the_environment_is_only_the_given_one(void **s)
{
    (void)s;
    setenv("REGROW_TEST_SECRET", "x", 1);
    const char *const env[] = {"PATH=/usr/bin:/bin", "A=b c", NULL};
    char *out CLEANUP(str_freep) = output_of("env | grep -v -e ^PWD= -e ^SHLVL= -e ^_= | sort",
                                             (struct proc_opts){.env = env});
    assert_string_equal(out, "A=b c\nPATH=/usr/bin:/bin\n");
    unsetenv("REGROW_TEST_SECRET");
    const char *const argv[] = {"/usr/bin/env", NULL};
    struct proc_result r = {0};
    struct err err = {0};
    assert_true(proc_run(&(struct proc_opts){.argv = argv}, &r, &err));
    assert_int_equal(r.out.len, 0);
    proc_result_clear(&r);
}

static void no_descriptor_is_inherited(void **s)
{
    (void)s;
    int open_fd CLEANUP(fd_closep) = open("/dev/null", O_RDONLY); // without O_CLOEXEC
    int high = fcntl(open_fd, F_DUPFD, 200);
    CLEANUP(str_freep) char *out = output_of("exec ls /proc/self/fd", (struct proc_opts){0});
    close(high);
    // 0, 1, 2, and the one that ls reads the folder with.
    assert_string_equal(out, "0\n1\n2\n3\n");
}

static void signals_and_limits_are_set(void **s)
{
    (void)s;
    signal(SIGPIPE, SIG_IGN);
    // Not the shell's own state: it blocks signals for moments.
    char *out CLEANUP(str_freep) =
        output_of("ulimit -c; ulimit -d; ulimit -t; exec grep -E '^Sig(Ign|Blk)' /proc/self/status",
                  (struct proc_opts){.max_data_bytes = 300 << 20, .timeout_ms = 9000});
    unsigned long long blocked = 1;
    unsigned long long ignored = ~0ULL;
    assert_int_equal(sscanf(out, "0 307200 40 SigBlk: %llx SigIgn: %llx", &blocked, &ignored), 2);
    assert_int_equal(blocked, 0);
    assert_int_equal(ignored & 1ULL << (SIGPIPE - 1), 0);
    signal(SIGPIPE, SIG_DFL);
}

static void it_has_its_own_group_and_folder(void **s)
{
    (void)s;
    char *out CLEANUP(str_freep) =
        output_of("pwd; cut -d' ' -f5 /proc/$$/stat; echo $$", (struct proc_opts){.cwd = "/usr"});
    struct strv lines = {0};
    strv_split(&lines, out, '\n');
    assert_string_equal(lines.v[0], "/usr");
    assert_string_equal(lines.v[1], lines.v[2]);
    assert_int_not_equal(atoi(lines.v[1]), (int)getpgrp());
    strv_clear(&lines);
}

static void without_network_there_is_only_an_idle_loopback(void **s)
{
    (void)s;
    char *out CLEANUP(str_freep) =
        output_of("tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '; readlink /proc/self/ns/net",
                  (struct proc_opts){.no_network = true});
    char ours[64] = {0};
    assert_true(readlink("/proc/self/ns/net", ours, sizeof(ours) - 1) > 0);
    if (strstr(out, ours)) { // the kernel refused both ways; the child has run all the same
        print_message("no network namespaces here\n");
        skip();
    }
    assert_true(str_starts(out, "lo\nnet:["));
}

// Whatever is named; and writes nowhere else, whoever it is.
static void one_that_is_confined_sees_its_folders_alone(void **s)
{
    (void)s;
    struct err err = {0};
    char *read CLEANUP(dir_temp_cleanup) = NULL;
    char *write CLEANUP(dir_temp_cleanup) = NULL;
    char *other CLEANUP(dir_temp_cleanup) = NULL;
    if (!confine_is_offered()) {
        print_message("no Landlock here\n");
        skip();
    }
    assert_true(dir_make_temp("regrow-test", &read, &err) &&
                dir_make_temp("regrow-test", &write, &err) &&
                dir_make_temp("regrow-test", &other, &err));
    const char *const dirs[] = {read, write, other};
    for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
        CLEANUP(str_freep) char *file = path_join(dirs[i], "f");
        assert_true(file_replace(file, "x", 1, 0600, &err));
    }
    CLEANUP(str_freep)
    char *script = str_printf("for d in %s %s %s; do cat $d/f && echo -r; echo y >$d/g && echo -w; "
                              "mkdir $d/d && mv $d/g $d/d && echo -m; done 2>/dev/null; true",
                              read, write, other);
    const char *const reads[] = {read, "/nonexistent", NULL};
    const struct confine c = {.reads = reads, .writes = write};
    char *out CLEANUP(str_freep) = output_of(script, (struct proc_opts){.confine = &c});
    assert_string_equal(out, "x-r\nx-r\n-w\n-m\n");
}

static void programs_are_found_in_the_given_path(void **s)
{
    (void)s;
    struct err err = {0};
    char *dir CLEANUP(dir_temp_cleanup) = NULL;
    assert_true(dir_make_temp("regrow-test", &dir, &err));
    CLEANUP(str_freep) char *tool = path_join(dir, "only-here");
    assert_true(file_replace(tool, "#!/bin/sh\necho found\n", 21, 0755, &err));
    CLEANUP(str_freep) char *path = str_printf("PATH=/nonexistent:%s", dir);
    const char *const env[] = {path, NULL};
    const char *const argv[] = {"only-here", NULL};
    struct proc_result r = {0};
    assert_true(proc_run(&(struct proc_opts){.argv = argv, .env = env, .cwd = "/"}, &r, &err));
    assert_string_equal(r.out.p, "found\n");
    proc_result_clear(&r);

    assert_null(proc_find("only-here"));
    CLEANUP(str_freep) char *by_path = proc_find(tool);
    assert_string_equal(by_path, tool);
    assert_null(proc_find(dir)); // a folder is not a program
    CLEANUP(str_freep) char *sh = proc_find("sh");
    assert_true(sh && str_ends(sh, "/sh"));
}

static void failures_to_start_are_told_apart(void **s)
{
    (void)s;
    struct err err = {0};
    struct proc_result r = {0};
    const char *const none[] = {"no-such-program", NULL};
    assert_false(proc_run(&(struct proc_opts){.argv = none}, &r, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_non_null(strstr(err.msg, "no-such-program"));
    err_clear(&err);
    proc_result_clear(&r);

    expect_failure("true", (struct proc_opts){.cwd = "/no/such/folder"}, ERR_NOT_FOUND);

    char *dir CLEANUP(dir_temp_cleanup) = NULL;
    assert_true(dir_make_temp("regrow-test", &dir, &err));
    CLEANUP(str_freep) char *bad = path_join(dir, "bad");
    assert_true(file_replace(bad, "#!/no/interpreter\n", 18, 0755, &err));
    const char *const argv[] = {bad, NULL};
    assert_false(proc_run(&(struct proc_opts){.argv = argv}, &r, &err));
    assert_non_null(strstr(err.msg, "run the program"));
    err_clear(&err);
    proc_result_clear(&r);
}

struct waiting {
    int done;
    enum err_kind kind;
};

static void on_done(void *ctx, struct proc_result *r, struct err *err)
{
    struct waiting *w = ctx;
    (void)r;
    w->done++;
    w->kind = err->kind;
}

static void many_at_once_and_cancelled(void **s)
{
    (void)s;
    struct loop *l CLEANUP(loop_freep) = loop_new(NULL);
    const char *const quick[] = {"true", NULL};
    const char *const slow[] = {"sleep", "60", NULL};
    struct waiting w[20] = {0};
    struct proc *running[20];
    for (size_t i = 0; i < ARRAY_LEN(w); i++) {
        struct proc_opts o = {.argv = i % 2 ? slow : quick, .env = plain_env};
        running[i] = proc_start(l, &o, on_done, &w[i]);
        assert_int_equal(w[i].done, 0); // never before it returns
    }
    for (size_t i = 1; i < ARRAY_LEN(w); i += 2)
        proc_cancel(running[i]);
    int64_t end = clock_mono_ms() + 10000;
    for (size_t done = 0; done < ARRAY_LEN(w) && clock_mono_ms() < end;) {
        loop_run_once(l, 100);
        done = 0;
        for (size_t i = 0; i < ARRAY_LEN(w); i++)
            done += (size_t)w[i].done;
    }
    for (size_t i = 0; i < ARRAY_LEN(w); i++) {
        assert_int_equal(w[i].done, 1);
        assert_int_equal(w[i].kind, i % 2 ? ERR_CANCELLED : ERR_NONE);
    }
}

// Nobody knows what it needs.
static void a_script_is_not_confined(void **s)
{
    (void)s;
    struct err err = {0};
    char *dir CLEANUP(dir_temp_cleanup) = NULL;
    assert_true(dir_make_temp("regrow-test", &dir, &err));
    CLEANUP(str_freep) char *program = path_join(dir, "p");
    CLEANUP(str_freep) char *script = str_printf("#!/bin/sh\necho y >%s/seen\n", dir);
    assert_true(file_replace(program, script, strlen(script), 0700, &err));
    assert_true(proc_is_script(program));
    assert_false(proc_is_script("/bin/sh"));
    assert_false(proc_is_script("/no/such"));
    const char *const argv[] = {program, NULL};
    const struct confine nothing = {0};
    struct proc_result r = {0};
    assert_true(proc_run(&(struct proc_opts){.argv = argv, .confine = &nothing}, &r, &err));
    assert_int_equal(r.exit_code, 0);
    CLEANUP(str_freep) char *seen = path_join(dir, "seen");
    assert_true(file_exists(seen));
    proc_result_clear(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_and_exit_code),
        cmocka_unit_test(large_input_and_output),
        cmocka_unit_test(output_is_bounded),
        cmocka_unit_test(a_timeout_kills_the_whole_group),
        cmocka_unit_test(all_are_killed_at_once),
        cmocka_unit_test(what_the_child_leaves_behind_is_killed),
        cmocka_unit_test(one_that_leaves_the_group_is_not_waited_for),
        cmocka_unit_test(the_environment_is_only_the_given_one),
        cmocka_unit_test(no_descriptor_is_inherited),
        cmocka_unit_test(signals_and_limits_are_set),
        cmocka_unit_test(it_has_its_own_group_and_folder),
        cmocka_unit_test(without_network_there_is_only_an_idle_loopback),
        cmocka_unit_test(one_that_is_confined_sees_its_folders_alone),
        cmocka_unit_test(a_script_is_not_confined),
        cmocka_unit_test(programs_are_found_in_the_given_path),
        cmocka_unit_test(failures_to_start_are_told_apart),
        cmocka_unit_test(many_at_once_and_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
