// SPDX-License-Identifier: Apache-2.0
#include "restore/plane.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

#define MAX_LOG_BYTES (64U << 10)
#define END_MS 30000 // until the warden is given up
#define MAX_KILLS 1000
#define GO 'g'

struct plane {
    char *program, *dir, *state, *log, *kubeconfig;
    pid_t warden;
    int order_fd;  // one byte: start; its end: the end of everything
    int answer_fd; // the exit code of `up`, a byte
    bool is_over;  // an answer has come
    int code;
};

// ---- the warden ----
// What is left of ours, in a process that all orphans below it come to.
static void kill_all(void)
{
    for (int i = 0; i < MAX_KILLS; i++) {
        struct buf b CLEANUP(buf_clear) = {0};
        struct err err = {0};
        CLEANUP(str_freep)
        char *path = str_printf("/proc/self/task/%d/children", (int)getpid());
        if (!file_read(path, MAX_LOG_BYTES, &b, &err))
            err_clear(&err);
        for (char *at = b.p; at && *at;) {
            long pid = strtol(at, &at, 10);
            if (pid > 0)
                kill((pid_t)pid, SIGKILL);
            at += strspn(at, " \n");
        }
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        if (waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD)
            return;
        usleep(20000);
    }
}

static pid_t run_up(const struct plane *p)
{
    pid_t pid = fork();
    if (pid)
        return pid;
    int log = open(p->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log >= 0) {
        dup2(log, STDOUT_FILENO);
        dup2(log, STDERR_FILENO);
    }
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    execl(p->program, p->program, "up", p->state, (char *)NULL);
    dprintf(STDERR_FILENO, "%s: %s\n", p->program, strerror(errno));
    _exit(127);
}

static void leave_the_terminal(int order, int answer)
{
    setsid();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    prctl(PR_SET_NAME, "regrow-warden");
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < 3 && null >= 0; fd++)
        dup2(null, fd);
    unsigned low = (unsigned)(order < answer ? order : answer);
    unsigned high = (unsigned)(order < answer ? answer : order);
    syscall(SYS_close_range, 3U, low - 1, 0);
    syscall(SYS_close_range, low + 1, high - 1, 0);
    syscall(SYS_close_range, high + 1, ~0U, 0);
}

// A byte of the order, or its end (0); a child that ended meanwhile is told of.
static ssize_t await_order(int fd, pid_t up, int answer, char *byte)
{
    for (;;) {
        int status = 0;
        for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
            char code = (char)(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
            if (pid == up && write(answer, &code, 1) != 1)
                return 0;
        }
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (poll(&wait, 1, 100) <= 0)
            continue;
        ssize_t n = read(fd, byte, 1);
        if (n >= 0 || errno != EINTR)
            return n;
    }
}

static NORETURN void be_warden(const struct plane *p, int order, int answer)
{
    struct err err = {0};
    pid_t up = 0;
    char byte = 0;
    leave_the_terminal(order, answer);
    while (await_order(order, up, answer, &byte) > 0)
        if (byte == GO && !up)
            up = run_up(p);
    kill_all();
    if (!dir_remove(p->dir, &err))
        err_clear(&err); // nobody is there to be told
    _exit(0);
}

// ---- on our side ----
bool plane_new(const char *program, struct plane **out, struct err *err)
{
    CLEANUP(plane_freep) struct plane *p = mem_alloc(sizeof(*p));
    int order[2];
    int answer[2];
    *p = (struct plane){.order_fd = -1, .answer_fd = -1, .program = str_dup(program)};
    if (!dir_make_temp("regrow-drill", &p->dir, err))
        return false;
    p->state = path_join(p->dir, "cluster");
    p->log = path_join(p->dir, "up.log");
    p->kubeconfig = path_join(p->state, "kubeconfig");
    if (pipe2(order, O_CLOEXEC) != 0)
        return err_set_errno(err, errno, "control plane");
    if (pipe2(answer, O_CLOEXEC) != 0) {
        int errnum = errno;
        close(order[0]);
        close(order[1]);
        return err_set_errno(err, errnum, "control plane");
    }
    pid_t pid = fork();
    int errnum = errno;
    if (pid == 0) {
        close(order[1]); // or its end would never be seen
        be_warden(p, order[0], answer[1]);
    }
    close(order[0]);
    close(answer[1]);
    p->order_fd = order[1];
    p->answer_fd = answer[0];
    p->warden = pid;
    if (pid < 0)
        return err_set_errno(err, errnum, "control plane");
    *out = TAKE(p);
    return true;
}

static void on_answer(void *ctx, uint32_t events)
{
    struct plane *p = ctx;
    unsigned char code = 0;
    (void)events;
    p->is_over = true;
    p->code = read(p->answer_fd, &code, 1) == 1 ? code : 128 + SIGKILL;
}

// The last line of what the program said, as far as it is text.
static char *last_words(const struct plane *p)
{
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    if (!file_read(p->log, MAX_LOG_BYTES, &b, &err))
        err_clear(&err);
    while (b.len && (b.p[b.len - 1] == '\n' || b.p[b.len - 1] == '\r'))
        b.p[--b.len] = 0;
    const char *line = b.len ? strrchr(b.p, '\n') : NULL;
    return str_dup(!b.len ? "it said nothing" : line ? line + 1 : b.p);
}

bool plane_start(struct plane *p, struct loop *l, struct err *err)
{
    int64_t end = clock_mono_ms() + PLANE_READY_MS;
    char go = GO;
    if (write(p->order_fd, &go, 1) != 1)
        return err_set(err, ERR_INTERNAL, "control plane: nobody is there to start it");
    loop_fd_set(l, p->answer_fd, EPOLLIN, on_answer, p);
    while (!p->is_over && !loop_stopping(l) && clock_mono_ms() < end)
        loop_run_once(l, 200);
    loop_fd_del(l, p->answer_fd);
    if (loop_stopping(l))
        return loop_stopped(l, err, "starting the control plane");
    if (!p->is_over)
        return err_set(err, ERR_TIMEOUT, "control plane: %s is not ready after 3 min", p->program);
    if (p->code == 0 && file_exists(p->kubeconfig))
        return true;
    CLEANUP(str_freep) char *words = last_words(p);
    return err_set(err, ERR_UNAVAILABLE, "control plane: %s up ended with %d: %.400s", p->program,
                   p->code, words);
}

const char *plane_kubeconfig(const struct plane *p)
{
    return p->kubeconfig;
}

static void end_warden(struct plane *p)
{
    int64_t end = clock_mono_ms() + END_MS;
    fd_closep(&p->order_fd);
    while (waitpid(p->warden, NULL, WNOHANG) == 0 && clock_mono_ms() < end)
        usleep(10000);
}

void plane_free(struct plane *p)
{
    if (!p)
        return;
    if (p->warden > 0)
        end_warden(p);
    fd_closep(&p->order_fd);
    fd_closep(&p->answer_fd);
    dir_temp_cleanup(&p->dir); // gone by now, unless nobody was there to do it
    free(p->program);
    free(p->state);
    free(p->log);
    free(p->kubeconfig);
    free(p);
}
