// SPDX-License-Identifier: Apache-2.0
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

#define DEFAULT_OUT_BYTES (64U << 20)
#define DEFAULT_DATA_BYTES (1ULL << 30)
#define DEFAULT_TIMEOUT_MS 60000
#define ERR_TEXT_BYTES 65536
#define CPU_SECONDS 120
#define EXIT_CANNOT_RUN 127

struct proc {
    struct loop *loop;
    pid_t pid;
    int pidfd, in_fd, out_fd, err_fd;
    const char *in;
    size_t in_len;
    size_t max_out;
    struct loop_timer *timer;
    struct proc_result result;
    struct err err;
    int64_t started_ms;
    bool is_over; // the child has ended
    proc_done_fn done;
    void *ctx;
};

void proc_result_clear(struct proc_result *r)
{
    buf_clear(&r->out);
    buf_clear(&r->err_text);
}

char *proc_find(const char *name)
{
    if (strchr(name, '/'))
        return access(name, X_OK) == 0 ? str_dup(name) : NULL;
    const char *path = getenv("PATH");
    struct strv dirs = {0};
    strv_split(&dirs, path ? path : "/usr/bin:/bin", ':');
    char *found = NULL;
    for (size_t i = 0; !found && i < dirs.len; i++) {
        char *p = path_join(dirs.v[i], name);
        if (*dirs.v[i] && access(p, X_OK) == 0 && !file_is_dir(p))
            found = p;
        else
            free(p);
    }
    strv_clear(&dirs);
    return found;
}

static void close_fd(struct proc *p, int *fd)
{
    if (*fd < 0)
        return;
    loop_fd_del(p->loop, *fd);
    close(*fd);
    *fd = -1;
}

static void kill_group(struct proc *p)
{
    if (!p->is_over && p->pid > 0)
        kill(-p->pid, SIGKILL);
}

static void finish_if_over(struct proc *p)
{
    if (!p->is_over || p->out_fd >= 0 || p->err_fd >= 0)
        return;
    close_fd(p, &p->in_fd);
    close_fd(p, &p->pidfd);
    loop_timer_free(p->timer);
    p->result.ms = clock_mono_ms() - p->started_ms;
    p->done(p->ctx, &p->result, &p->err);
    proc_result_clear(&p->result);
    err_clear(&p->err);
    free(p);
}

static void on_exit_event(void *ctx, uint32_t events)
{
    struct proc *p = ctx;
    (void)events;
    int status = 0;
    if (waitpid(p->pid, &status, WNOHANG) != p->pid)
        return;
    // Grandchildren would hold the pipes open.
    kill(-p->pid, SIGKILL);
    p->is_over = true;
    p->result.exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    close_fd(p, &p->pidfd);
    finish_if_over(p);
}

static void on_out(void *ctx, uint32_t events)
{
    struct proc *p = ctx;
    (void)events;
    char chunk[65536];
    ssize_t n = read(p->out_fd, chunk, sizeof(chunk));
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0 && p->result.out.len + (size_t)n > p->max_out) {
        if (!err_is_set(&p->err))
            err_set(&p->err, ERR_INVALID, "its output is larger than %zu bytes", p->max_out);
        kill_group(p);
        n = 0;
    }
    if (n > 0) {
        buf_append(&p->result.out, chunk, (size_t)n);
        return;
    }
    close_fd(p, &p->out_fd);
    finish_if_over(p);
}

static void on_err(void *ctx, uint32_t events)
{
    struct proc *p = ctx;
    (void)events;
    char chunk[4096];
    ssize_t n = read(p->err_fd, chunk, sizeof(chunk));
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0) {
        struct buf *b = &p->result.err_text;
        buf_append(b, chunk, (size_t)n);
        if (b->len > ERR_TEXT_BYTES) { // the end of it says what went wrong
            size_t cut = b->len - ERR_TEXT_BYTES;
            memmove(b->p, b->p + cut, ERR_TEXT_BYTES + 1);
            b->len = ERR_TEXT_BYTES;
        }
        return;
    }
    close_fd(p, &p->err_fd);
    finish_if_over(p);
}

static void on_in(void *ctx, uint32_t events)
{
    struct proc *p = ctx;
    (void)events;
    ssize_t n = p->in_len ? write(p->in_fd, p->in, p->in_len) : 0;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0) {
        p->in += n;
        p->in_len -= (size_t)n;
        if (p->in_len)
            return;
    }
    close_fd(p, &p->in_fd); // all written, or the child does not want more
}

static void on_timeout(void *ctx)
{
    struct proc *p = ctx;
    if (!err_is_set(&p->err))
        err_set(&p->err, ERR_TIMEOUT, "it did not end in time");
    kill_group(p);
}

void proc_cancel(struct proc *p)
{
    if (!err_is_set(&p->err))
        err_set(&p->err, ERR_CANCELLED, "stopped");
    kill_group(p);
}

static void limit(int what, rlim_t value)
{
    struct rlimit r = {value, value};
    setrlimit(what, &r);
}

// In the child: only async-signal-safe calls from here to exec.
static NORETURN void run_child(const struct proc_opts *o, const char *path, int in, int out,
                               int err_out, pid_t parent)
{
    static char *const no_env[] = {NULL};
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_CANNOT_RUN);
    if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err_out, 2) < 0)
        _exit(EXIT_CANNOT_RUN);
    syscall(SYS_close_range, 3U, ~0U, 0U);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    limit(RLIMIT_DATA, o->max_data_bytes ? o->max_data_bytes : DEFAULT_DATA_BYTES);
    limit(RLIMIT_CPU, CPU_SECONDS);
    limit(RLIMIT_CORE, 0);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (o->no_network && unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
        errno = 0; // this kernel does not allow it: the child's own rules must do
    if (o->cwd && chdir(o->cwd) != 0)
        _exit(EXIT_CANNOT_RUN);
    execve(path, (char *const *)o->argv, o->env ? (char *const *)o->env : no_env);
    _exit(EXIT_CANNOT_RUN);
}

static bool make_pipes(int fds[6], struct err *err)
{
    for (int i = 0; i < 6; i++)
        fds[i] = -1;
    for (int i = 0; i < 3; i++) {
        if (pipe2(fds + 2 * (size_t)i, O_CLOEXEC) == 0)
            continue;
        int errnum = errno;
        for (int j = 0; j < 6; j++)
            fd_closep(&fds[j]);
        return err_set_errno(err, errnum, "make pipes");
    }
    return true;
}

static bool spawn(struct proc *p, const struct proc_opts *o, struct err *err)
{
    int fds[6];
    CLEANUP(str_freep) char *path = proc_find(o->argv[0]);
    if (!path)
        return err_set(err, ERR_NOT_FOUND, "the program %s is not installed", o->argv[0]);
    if (!make_pipes(fds, err))
        return false;
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        run_child(o, path, fds[0], fds[3], fds[5], parent);
    int errnum = errno;
    fd_closep(&fds[0]);
    fd_closep(&fds[3]);
    fd_closep(&fds[5]);
    p->in_fd = fds[1];
    p->out_fd = fds[2];
    p->err_fd = fds[4];
    if (pid < 0) {
        fd_closep(&p->in_fd);
        fd_closep(&p->out_fd);
        fd_closep(&p->err_fd);
        return err_set_errno(err, errnum, "start %s", o->argv[0]);
    }
    setpgid(pid, pid);
    p->pid = pid;
    p->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    return true;
}

// A child that could not be started still reports through the loop.
static void on_not_started(void *ctx)
{
    struct proc *p = ctx;
    p->is_over = true;
    finish_if_over(p);
}

struct proc *proc_start(struct loop *l, const struct proc_opts *o, proc_done_fn done, void *ctx)
{
    struct proc *p = mem_alloc(sizeof(*p));
    p->loop = l;
    p->done = done;
    p->ctx = ctx;
    p->in = o->in;
    p->in_len = o->in_len;
    p->max_out = o->max_out_bytes ? o->max_out_bytes : DEFAULT_OUT_BYTES;
    p->pidfd = p->in_fd = p->out_fd = p->err_fd = -1;
    p->started_ms = clock_mono_ms();
    if (!spawn(p, o, &p->err)) {
        p->timer = loop_timer_new(l, on_not_started, p);
        loop_timer_set(p->timer, 0);
        return p;
    }
    p->timer = loop_timer_new(l, on_timeout, p);
    loop_timer_set(p->timer, o->timeout_ms ? o->timeout_ms : DEFAULT_TIMEOUT_MS);
    fcntl(p->in_fd, F_SETFL, O_NONBLOCK);
    fcntl(p->out_fd, F_SETFL, O_NONBLOCK);
    fcntl(p->err_fd, F_SETFL, O_NONBLOCK);
    loop_fd_set(l, p->pidfd, EPOLLIN, on_exit_event, p);
    loop_fd_set(l, p->out_fd, EPOLLIN, on_out, p);
    loop_fd_set(l, p->err_fd, EPOLLIN, on_err, p);
    loop_fd_set(l, p->in_fd, EPOLLOUT, on_in, p);
    return p;
}

struct waiting {
    struct proc_result *result;
    struct err *err;
    bool is_done;
};

static void on_done(void *ctx, struct proc_result *r, struct err *err)
{
    struct waiting *w = ctx;
    *w->result = *r;
    *r = (struct proc_result){0};
    if (err_is_set(err))
        err_move(w->err, err);
    w->is_done = true;
}

bool proc_run(const struct proc_opts *o, struct proc_result *r, struct err *err)
{
    struct loop *loop CLEANUP(loop_freep) = loop_new(NULL);
    struct waiting w = {.result = r, .err = err};
    proc_start(loop, o, on_done, &w);
    while (!w.is_done)
        loop_run_once(loop, -1);
    return !err_is_set(err);
}
