// SPDX-License-Identifier: Apache-2.0
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <pthread.h>
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
#include "base/vec.h"

#define DEFAULT_OUT_BYTES (64U << 20)
#define DEFAULT_DATA_BYTES (1ULL << 30)
#define MAX_NOTED_GROUPS 64
#define DEFAULT_TIMEOUT_MS 60000
#define ERR_TEXT_BYTES 65536
#define MAX_FILE_BYTES (4ULL << 30) // nothing we start has a reason to write a larger one
#define CPU_PER_SECOND 4            // of the time allowed: children have threads
#define LAST_WORDS_MS 1000          // for output of what outlived the child
#define DRAIN_READS 32              // a full pipe is 16 of the small ones
#define EXIT_CANNOT_RUN 127

struct proc {
    struct loop *loop;
    pid_t pid;
    int pidfd, in_fd, out_fd, err_fd;
    int start_fd; // what failed before the program ran: a struct start_failure
    const char *in;
    size_t in_len;
    size_t max_out, out_bytes;
    bool (*on_out)(void *ctx, const char *p, size_t len);
    void *out_ctx;
    struct loop_timer *timer;
    struct proc_result result;
    struct err err;
    int64_t started_ms;
    bool is_over; // the child has ended
    proc_done_fn done;
    void *ctx;
};

enum start_step { START_PIPES = 1, START_FOLDER, START_CONFINE, START_EXEC };

struct start_failure {
    enum start_step step;
    int errnum;
};

// Everything the child needs, prepared before the fork: after it only async-signal-safe calls.
struct child {
    const char *path;
    const char *cwd;
    char *const *argv;
    char *const *env;
    int in, out, err_out, start;
    pid_t parent;
    rlim_t data_bytes, cpu_s;
    bool no_network;
    int rules; // of confine.h; -1: none
};

void proc_result_clear(struct proc_result *r)
{
    buf_clear(&r->out);
    buf_clear(&r->err_text);
}

static char *find_in(const char *path, const char *name)
{
    struct strv dirs = {0};
    strv_split(&dirs, path, ':');
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

char *proc_find(const char *name)
{
    if (strchr(name, '/'))
        return access(name, X_OK) == 0 && !file_is_dir(name) ? str_dup(name) : NULL;
    const char *path = getenv("PATH");
    return find_in(path ? path : "/usr/bin:/bin", name);
}

// The program for a child with this environment, as a path that also holds in another folder.
static char *find_program(const char *name, const char *const *env)
{
    const char *path = NULL;
    for (; env && *env && !path; env++)
        if (str_starts(*env, "PATH="))
            path = *env + strlen("PATH=");
    char *found = path && !strchr(name, '/') ? find_in(path, name) : proc_find(name);
    if (!found || *found == '/')
        return found;
    CLEANUP(str_freep) char *relative = found;
    return realpath(relative, NULL);
}

bool proc_is_script(const char *path)
{
    char begin[2] = {0};
    CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && read(fd, begin, sizeof(begin)) == sizeof(begin) && !memcmp(begin, "#!", 2);
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

// The groups that run, for proc_kill_all; 0 is a free place. What finds none has the death signal,
// which its own children have not.
static volatile sig_atomic_t groups[MAX_NOTED_GROUPS];

static void replace_group(pid_t from, pid_t to)
{
    for (size_t i = 0; i < MAX_NOTED_GROUPS; i++)
        if (groups[i] == from) {
            groups[i] = to;
            return;
        }
}

void proc_kill_all(void)
{
    for (size_t i = 0; i < MAX_NOTED_GROUPS; i++)
        if (groups[i] > 0)
            kill(-(pid_t)groups[i], SIGKILL);
}

// Reads why the child never became the program, if that is so.
static void learn_start_failure(struct proc *p)
{
    static const char *const steps[] = {
        [START_PIPES] = "connect its input and output",
        [START_FOLDER] = "enter its folder",
        [START_CONFINE] = "be confined to its folders",
        [START_EXEC] = "run the program",
    };
    struct start_failure f;
    if (p->start_fd < 0 || read(p->start_fd, &f, sizeof(f)) != sizeof(f) || err_is_set(&p->err))
        return;
    err_set_errno(&p->err, f.errnum, "%s", steps[f.step]);
}

static void finish(struct proc *p)
{
    learn_start_failure(p);
    fd_closep(&p->start_fd);
    close_fd(p, &p->in_fd);
    close_fd(p, &p->out_fd);
    close_fd(p, &p->err_fd);
    close_fd(p, &p->pidfd);
    loop_timer_free(p->timer);
    p->result.ms = clock_mono_ms() - p->started_ms;
    p->done(p->ctx, &p->result, &p->err);
    proc_result_clear(&p->result);
    err_clear(&p->err);
    free(p);
}

static void finish_if_over(struct proc *p)
{
    if (p->is_over && p->out_fd < 0 && p->err_fd < 0)
        finish(p);
}

static void on_exit_event(void *ctx, uint32_t events)
{
    struct proc *p = ctx;
    (void)events;
    siginfo_t info = {0};
    if (waitid(P_PIDFD, (id_t)p->pidfd, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || !info.si_pid)
        return;
    // Grandchildren would hold the pipes open. Before the child is reaped its number is its own.
    kill_group(p);
    replace_group(p->pid, 0);
    int status = 0;
    waitpid(p->pid, &status, 0);
    p->is_over = true;
    p->result.exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    close_fd(p, &p->pidfd);
    // One that left the group may hold them still; what it has to say is not waited for.
    loop_timer_set(p->timer, LAST_WORDS_MS);
    finish_if_over(p);
}

// Keeps or hands on a piece of output; false when no more of it is wanted.
static bool take_out(struct proc *p, const char *chunk, size_t n)
{
    bool ok = true;
    p->out_bytes += n;
    if (p->out_bytes > p->max_out) {
        if (!err_is_set(&p->err))
            err_set(&p->err, ERR_INVALID, "its output is larger than %zu bytes", p->max_out);
        ok = false;
    } else if (p->on_out) {
        ok = p->on_out(p->out_ctx, chunk, n);
    } else {
        buf_append(&p->result.out, chunk, n);
    }
    if (!ok)
        kill_group(p);
    return ok;
}

// Takes one piece of output; false when there is none now, or never again.
static bool read_out(struct proc *p)
{
    char chunk[65536];
    ssize_t n = p->out_fd >= 0 ? read(p->out_fd, chunk, sizeof(chunk)) : 0;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n > 0 && take_out(p, chunk, (size_t)n))
        return true;
    close_fd(p, &p->out_fd);
    return false;
}

static void on_out(void *ctx, uint32_t events)
{
    struct proc *p = ctx;
    (void)events;
    read_out(p);
    finish_if_over(p);
}

static bool read_err(struct proc *p)
{
    char chunk[4096];
    ssize_t n = p->err_fd >= 0 ? read(p->err_fd, chunk, sizeof(chunk)) : 0;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n <= 0) {
        close_fd(p, &p->err_fd);
        return false;
    }
    struct buf *b = &p->result.err_text;
    buf_append(b, chunk, (size_t)n);
    if (b->len > ERR_TEXT_BYTES) { // the end of it says what went wrong
        size_t cut = b->len - ERR_TEXT_BYTES;
        memmove(b->p, b->p + cut, ERR_TEXT_BYTES + 1);
        b->len = ERR_TEXT_BYTES;
    }
    return true;
}

static void on_err(void *ctx, uint32_t events)
{
    struct proc *p = ctx;
    (void)events;
    read_err(p);
    finish_if_over(p);
}

// write(2) to a pipe whose reader may be gone: EPIPE, and no signal whatever main does about it.
static ssize_t write_quietly(int fd, const void *data, size_t len)
{
    sigset_t pipe_only;
    sigset_t before;
    sigset_t pending;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
    ssize_t n = write(fd, data, len);
    int errnum = errno;
    if (n < 0 && errnum == EPIPE && !sigismember(&pending, SIGPIPE))
        sigtimedwait(&pipe_only, NULL, &(struct timespec){0});
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = errnum;
    return n;
}

static void on_in(void *ctx, uint32_t events)
{
    struct proc *p = ctx;
    (void)events;
    ssize_t n = p->in_len ? write_quietly(p->in_fd, p->in, p->in_len) : 0;
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
    if (p->is_over) { // whatever still holds the pipes is not the child; take what it left there
        for (int i = 0; i < DRAIN_READS && read_out(p); i++)
            ;
        for (int i = 0; i < DRAIN_READS && read_err(p); i++)
            ;
        finish(p);
        return;
    }
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
    setrlimit(what, &r); // refused only where the limit is lower already
}

static NORETURN void give_up(const struct child *c, enum start_step step)
{
    struct start_failure f = {.step = step, .errnum = errno};
    ssize_t n = write(c->start, &f, sizeof(f));
    (void)n; // the exit code says it less well
    _exit(EXIT_CANNOT_RUN);
}

// Puts the three pipe ends at 0, 1 and 2, even where one of them is such a number already.
static bool connect_stdio(const struct child *c)
{
    int in = fcntl(c->in, F_DUPFD_CLOEXEC, 3);
    int out = fcntl(c->out, F_DUPFD_CLOEXEC, 3);
    int err_out = fcntl(c->err_out, F_DUPFD_CLOEXEC, 3);
    return in >= 0 && out >= 0 && err_out >= 0 && dup2(in, 0) == 0 && dup2(out, 1) == 1 &&
           dup2(err_out, 2) == 2;
}

// Nothing else of ours is inherited. The kernels that lack the flag are older than pidfds in use.
static void close_the_rest(const struct child *c)
{
    if (syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
        return;
    for (int fd = 3; fd < 65536; fd++)
        if (fd != c->start && fd != c->rules)
            close(fd);
}

// In the child: only async-signal-safe calls from here to exec.
static NORETURN void run_child(const struct child *c)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != c->parent)
        _exit(EXIT_CANNOT_RUN);
    if (!connect_stdio(c))
        give_up(c, START_PIPES);
    close_the_rest(c);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGXFSZ, SIG_DFL);
    limit(RLIMIT_DATA, c->data_bytes);
    limit(RLIMIT_CPU, c->cpu_s);
    limit(RLIMIT_FSIZE, MAX_FILE_BYTES);
    limit(RLIMIT_CORE, 1); // as the program itself
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    // Where the kernel allows neither, the network stays: what the child is told must do.
    if (c->no_network && unshare(CLONE_NEWNET) != 0)
        unshare(CLONE_NEWUSER | CLONE_NEWNET);
    if (c->cwd && chdir(c->cwd) != 0)
        give_up(c, START_FOLDER);
    if (c->rules >= 0 && !confine_enter(c->rules))
        give_up(c, START_CONFINE);
    execve(c->path, c->argv, c->env);
    give_up(c, START_EXEC);
}

enum { IN, OUT, ERR_OUT, START, N_PIPES };

static bool make_pipes(int fds[N_PIPES][2], struct err *err)
{
    memset(fds, -1, N_PIPES * sizeof(fds[0]));
    for (int i = 0; i < N_PIPES; i++) {
        if (pipe2(fds[i], O_CLOEXEC) == 0)
            continue;
        int errnum = errno;
        for (int k = 0; k < i; k++) {
            fd_closep(&fds[k][0]);
            fd_closep(&fds[k][1]);
        }
        return err_set_errno(err, errnum, "make pipes");
    }
    return true;
}

static int take_nonblocking(int *fd)
{
    int taken = *fd;
    *fd = -1;
    fcntl(taken, F_SETFL, O_NONBLOCK);
    return taken;
}

// Forks, and keeps our ends of the pipes.
static bool fork_child(struct proc *p, struct child *c, struct err *err)
{
    int fds[N_PIPES][2];
    if (!make_pipes(fds, err))
        return false;
    c->in = c->in > 0 ? c->in : fds[IN][0];
    c->out = fds[OUT][1];
    c->err_out = fds[ERR_OUT][1];
    c->start = fds[START][1];
    c->parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        run_child(c);
    int errnum = errno;
    if (pid > 0) {
        setpgid(pid, pid); // whoever comes first
        replace_group(0, pid);
        p->pid = pid;
        p->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        errnum = errno;
        p->in_fd = take_nonblocking(&fds[IN][1]);
        p->out_fd = take_nonblocking(&fds[OUT][0]);
        p->err_fd = take_nonblocking(&fds[ERR_OUT][0]);
        p->start_fd = take_nonblocking(&fds[START][0]);
    }
    for (int i = 0; i < N_PIPES; i++) {
        fd_closep(&fds[i][0]);
        fd_closep(&fds[i][1]);
    }
    if (p->pidfd >= 0)
        return true;
    if (pid > 0) { // no descriptor left to watch it with
        kill(-pid, SIGKILL);
        replace_group(pid, 0);
        waitpid(pid, NULL, 0);
    }
    return err_set_errno(err, errnum, "start a process");
}

// What o->confine has, the program and the folders of its PATH.
static int rules_of(const struct proc_opts *o, const char *program)
{
    struct strv reads = {0};
    struct confine all = *o->confine;
    for (size_t i = 0; all.reads && all.reads[i]; i++)
        strv_push(&reads, all.reads[i]);
    strv_push(&reads, program);
    *vec_push(&reads) = NULL;
    all.reads = (const char *const *)reads.v;
    for (size_t i = 0; o->env && o->env[i]; i++)
        if (str_starts(o->env[i], "PATH="))
            all.path = o->env[i] + strlen("PATH=");
    int rules = confine_new(&all);
    strv_clear(&reads);
    return rules;
}

static bool spawn(struct proc *p, const struct proc_opts *o, struct err *err)
{
    static char *const no_env[] = {NULL};
    CLEANUP(str_freep) char *path = find_program(o->argv[0], o->env);
    if (!path)
        return err_set(err, ERR_NOT_FOUND, "the program %s is not installed", o->argv[0]);
    int64_t timeout_ms = o->timeout_ms ? o->timeout_ms : DEFAULT_TIMEOUT_MS;
    CLEANUP(fd_closep) int rules = o->confine && !proc_is_script(path) ? rules_of(o, path) : -1;
    struct child c = {
        .path = path,
        .cwd = o->cwd,
        .argv = (char *const *)o->argv,
        .env = o->env ? (char *const *)o->env : no_env,
        .data_bytes = o->max_data_bytes ? o->max_data_bytes : DEFAULT_DATA_BYTES,
        .cpu_s = (rlim_t)(timeout_ms / 1000 + 1) * CPU_PER_SECOND,
        .no_network = o->no_network,
        .in = o->in_fd,
        .rules = rules,
    };
    return fork_child(p, &c, err);
}

// A child that could not be started still reports through the loop.
static void on_not_started(void *ctx)
{
    finish(ctx);
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
    p->on_out = o->on_out;
    p->out_ctx = o->out_ctx;
    p->pidfd = p->in_fd = p->out_fd = p->err_fd = p->start_fd = -1;
    p->started_ms = clock_mono_ms();
    if (!spawn(p, o, &p->err)) {
        p->is_over = true;
        p->timer = loop_timer_new(l, on_not_started, p);
        loop_timer_set(p->timer, 0);
        return p;
    }
    p->timer = loop_timer_new(l, on_timeout, p);
    loop_timer_set(p->timer, o->timeout_ms ? o->timeout_ms : DEFAULT_TIMEOUT_MS);
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
