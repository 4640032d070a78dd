// SPDX-License-Identifier: Apache-2.0
#include "base/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define GRACE_MS 500
#define MAX_WALL_MS 20000
#define LOOK_MS 100 // between looks at the child's clock

struct worker {
    struct worker_opts o;
    pid_t pid; // 0: none
    int fd;
};

struct worker *worker_new(const struct worker_opts *o)
{
    struct worker *w = mem_alloc(sizeof(*w));
    w->o = *o;
    return w;
}

pid_t worker_pid(const struct worker *w)
{
    return w->pid;
}

static bool send_all(int fd, const void *p, size_t n)
{
    const char *s = p;
    while (n) {
        ssize_t done = send(fd, s, n, MSG_NOSIGNAL);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        s += done;
        n -= (size_t)done;
    }
    return true;
}

static bool send_text(int fd, const struct buf *b)
{
    uint64_t len = b->len;
    return send_all(fd, &len, sizeof(len)) && send_all(fd, b->p, b->len);
}

struct limit {
    clockid_t child;
    int64_t cpu_ms, wall_ms;
};

static int64_t clock_ms(clockid_t id)
{
    struct timespec t;
    return clock_gettime(id, &t) ? 0 : t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool is_over(const struct limit *l)
{
    return clock_mono_ms() > l->wall_ms || clock_ms(l->child) > l->cpu_ms;
}

// Reads n bytes; without a limit for as long as it takes.
static enum worker_outcome recv_all(int fd, void *p, size_t n, const struct limit *l)
{
    char *s = p;
    while (n) {
        struct pollfd f = {.fd = fd, .events = POLLIN};
        int rc = poll(&f, 1, l ? LOOK_MS : -1);
        ssize_t got = rc > 0 ? recv(fd, s, n, 0) : 0;
        if (rc == 0 && is_over(l))
            return WORKER_LATE;
        if (((rc < 0 || got < 0) && errno == EINTR) || rc == 0)
            continue;
        if (got <= 0)
            return WORKER_GONE;
        s += got;
        n -= (size_t)got;
    }
    return WORKER_DONE;
}

static enum worker_outcome recv_text(int fd, size_t max, struct buf *out, const struct limit *l)
{
    uint64_t len = 0;
    enum worker_outcome got = recv_all(fd, &len, sizeof(len), l);
    if (got != WORKER_DONE || len > max)
        return got != WORKER_DONE ? got : WORKER_GONE;
    buf_reset(out);
    buf_reserve(out, (size_t)len);
    got = recv_all(fd, out->p, (size_t)len, l);
    out->len = got == WORKER_DONE ? (size_t)len : 0;
    out->p[out->len] = '\0';
    return got;
}

// ---- in the child ----
static void seal(void)
{
    const struct rlimit none = {0, 0};
    const struct rlimit files = {STDERR_FILENO + 1, STDERR_FILENO + 1}; // these, and none more
    clearenv();
    dup2(STDOUT_FILENO, STDERR_FILENO);
    setrlimit(RLIMIT_NOFILE, &files);
    setrlimit(RLIMIT_NPROC, &none);
}

// Nothing of the parent's is left open: its sockets, locks and files are not ours to hold.
static NORETURN void run_child(const struct worker *w, int fd, pid_t parent)
{
    const struct rlimit none = {0, 0};
    const struct rlimit one = {1, 1}; // no core, not even one that is piped to a program
    const struct rlimit data = {w->o.max_data_bytes, w->o.max_data_bytes};
    struct buf request = {0};
    struct buf reply = {0};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    setrlimit(RLIMIT_CORE, &one);
    setrlimit(RLIMIT_FSIZE, &none);
    for (int i = 1; i < 32; i++)
        signal(i, SIG_DFL);  // handlers are the parent's
    signal(SIGINT, SIG_IGN); // meant for the parent, whose end is ours
    int sink = open("/dev/null", O_RDWR);
    if (getppid() != parent || dup2(fd, STDIN_FILENO) < 0 || dup2(sink, STDOUT_FILENO) < 0)
        _exit(1);
    closefrom(STDERR_FILENO + 1);
    if (w->o.is_sealed)
        seal();
#ifndef REGROW_SANITIZED // whose shadow is larger than any bound
    if (w->o.max_data_bytes)
        setrlimit(RLIMIT_DATA, &data);
#endif
    (void)data;
    while (recv_text(STDIN_FILENO, w->o.max_request, &request, NULL) == WORKER_DONE) {
        buf_reset(&reply);
        if (!w->o.serve(w->o.ctx, request.p, request.len, &reply) ||
            !send_text(STDIN_FILENO, &reply))
            break;
    }
    _exit(0);
}

// ---- in the parent ----
static bool start(struct worker *w)
{
    int fds[2];
    if (w->pid)
        return true;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
        return false;
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        run_child(w, fds[1], parent);
    close(fds[1]);
    if (pid < 0) {
        close(fds[0]);
        return false;
    }
    w->pid = pid;
    w->fd = fds[0];
    return true;
}

static void stop(struct worker *w)
{
    if (!w->pid)
        return;
    close(w->fd);
    kill(w->pid, SIGKILL);
    while (waitpid(w->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    w->pid = 0;
}

void worker_free(struct worker *w)
{
    if (!w)
        return;
    stop(w);
    free(w);
}

static enum worker_outcome ask(struct worker *w, const struct buf *request, struct buf *reply)
{
    struct limit l = {.wall_ms = clock_mono_ms() + MAX_WALL_MS};
    if (!send_text(w->fd, request) || clock_getcpuclockid(w->pid, &l.child))
        return WORKER_GONE;
    l.cpu_ms = clock_ms(l.child) + w->o.cpu_ms + GRACE_MS;
    return recv_text(w->fd, w->o.max_reply, reply, &l);
}

enum worker_outcome worker_ask(struct worker *w, const struct buf *request, struct buf *reply)
{
    enum worker_outcome got = WORKER_GONE;
    if (request->len > w->o.max_request)
        return WORKER_GONE;
    // A process that was killed meanwhile is no fault of the work's.
    for (int i = 0; i < 2 && got == WORKER_GONE && start(w); i++) {
        got = ask(w, request, reply);
        if (got != WORKER_DONE)
            stop(w);
    }
    return got;
}
