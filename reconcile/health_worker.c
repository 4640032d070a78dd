// SPDX-License-Identifier: Apache-2.0
//
// The process in which a user's scripts run: forked when the first is needed, asked over a socket
// pair, killed when it does not answer in time, and then forked again. A script that did not answer
// three times is not run any more, so that one loop in a script cannot hold up a run for ever.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "reconcile/health_int.h"

#define GRACE_MS 500
#define MAX_WALL_MS 20000
#define LOOK_MS 100 // between looks at the child's clock
#define MAX_FAILURES 3
#define MAX_REQUEST (64U << 20)
#define MAX_REPLY (80U << 10)

struct request {
    uint32_t script, len; // of the object's canonical JSON, which follows
};

struct reply {
    uint32_t status, is_error, len; // of the message, which follows
};

static bool send_all(int fd, const void *p, size_t n)
{
    const char *s = p;
    while (n) {
        ssize_t w = send(fd, s, n, MSG_NOSIGNAL);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return false;
        s += w;
        n -= (size_t)w;
    }
    return true;
}

enum outcome { DONE, LATE, GONE };

// How long an answer may take: by the clock of the child's own processor time, because a busy
// machine is no fault of the script's, and by the wall's, in case it sleeps for ever.
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
static enum outcome recv_all(int fd, void *p, size_t n, const struct limit *l)
{
    char *s = p;
    while (n) {
        struct pollfd f = {.fd = fd, .events = POLLIN};
        int rc = poll(&f, 1, l ? LOOK_MS : -1);
        ssize_t got = rc > 0 ? recv(fd, s, n, 0) : 0;
        if (rc == 0 && is_over(l))
            return LATE;
        if (((rc < 0 || got < 0) && errno == EINTR) || rc == 0)
            continue;
        if (got <= 0)
            return GONE;
        s += got;
        n -= (size_t)got;
    }
    return DONE;
}

// ---- in the child ----

static bool serve_one(const struct health_custom *c, int fd)
{
    struct request q;
    struct health_result r = {0};
    struct err err = {0};
    CLEANUP(json_freep) json_t *obj = NULL;
    if (recv_all(fd, &q, sizeof(q), NULL) != DONE || q.len > MAX_REQUEST ||
        q.script >= c->scripts.len)
        return false;
    CLEANUP(str_freep) char *text = mem_alloc((size_t)q.len + 1);
    if (recv_all(fd, text, q.len, NULL) != DONE)
        return false;
    if (canon_read(text, q.len, &obj, &err))
        health_lua_run(&c->scripts.v[q.script], obj, &r);
    else
        health_error(&r, "%s", err.msg);
    err_clear(&err);
    struct reply a = {r.status, r.is_error, (uint32_t)strlen(r.message)};
    bool ok = send_all(fd, &a, sizeof(a)) && send_all(fd, r.message, a.len);
    health_result_clear(&r);
    return ok;
}

// Nothing of the parent's is left open: its sockets, locks and files are not ours to hold.
static NORETURN void run_child(const struct health_custom *c, int fd, pid_t parent)
{
    const struct rlimit none = {0, 0};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    setrlimit(RLIMIT_CORE, &none);
    setrlimit(RLIMIT_FSIZE, &none);
    signal(SIGINT, SIG_IGN); // meant for the parent, whose end is ours
    int sink = open("/dev/null", O_RDWR);
    if (getppid() != parent || dup2(fd, STDIN_FILENO) < 0 || dup2(sink, STDOUT_FILENO) < 0)
        _exit(1);
    closefrom(STDERR_FILENO + 1);
    while (serve_one(c, STDIN_FILENO))
        ;
    _exit(0);
}

// ---- in the parent ----

static bool start(struct health_custom *c)
{
    int fds[2];
    if (c->worker.pid)
        return true;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
        return false;
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        run_child(c, fds[1], parent);
    close(fds[1]);
    if (pid < 0) {
        close(fds[0]);
        return false;
    }
    c->worker.pid = pid;
    c->worker.fd = fds[0];
    return true;
}

void health_worker_stop(struct health_custom *c)
{
    if (!c->worker.pid)
        return;
    close(c->worker.fd);
    kill(c->worker.pid, SIGKILL);
    while (waitpid(c->worker.pid, NULL, 0) < 0 && errno == EINTR)
        ;
    c->worker.pid = 0;
}

static enum outcome ask(struct health_custom *c, size_t script, const struct buf *doc,
                        struct health_result *r)
{
    struct request q = {(uint32_t)script, (uint32_t)doc->len};
    struct reply a;
    int fd = c->worker.fd;
    if (!send_all(fd, &q, sizeof(q)) || !send_all(fd, doc->p, doc->len))
        return GONE;
    struct limit l = {.wall_ms = clock_mono_ms() + MAX_WALL_MS};
    if (clock_getcpuclockid(c->worker.pid, &l.child))
        return GONE;
    l.cpu_ms = clock_ms(l.child) + HEALTH_SCRIPT_MS + GRACE_MS;
    enum outcome got = recv_all(fd, &a, sizeof(a), &l);
    if (got != DONE)
        return got;
    if (a.len > MAX_REPLY || a.status > HEALTH_UNKNOWN)
        return GONE;
    CLEANUP(str_freep) char *message = mem_alloc((size_t)a.len + 1);
    got = recv_all(fd, message, a.len, &l);
    if (got == DONE)
        health_set(r, (enum health)a.status, "%s", message);
    r->is_error = a.is_error;
    return got;
}

void health_worker_run(struct health_custom *c, size_t script, const json_t *obj,
                       struct health_result *r)
{
    struct health_script *s = &c->scripts.v[script];
    struct buf doc CLEANUP(buf_clear) = {0};
    if (s->failures >= MAX_FAILURES) {
        health_error(r, "the script was out of time too often");
        return;
    }
    canon_write(obj, &doc);
    enum outcome got = GONE;
    // A process that was killed meanwhile is no fault of the script's.
    for (int i = 0; i < 2 && got == GONE && doc.len <= MAX_REQUEST && start(c); i++) {
        got = ask(c, script, &doc, r);
        if (got != DONE)
            health_worker_stop(c);
    }
    if (got != DONE)
        health_error(r, got == LATE ? HEALTH_OUT_OF_TIME : "the script cannot be run");
    s->failures += got != DONE || (r->is_error && !strcmp(r->message, HEALTH_OUT_OF_TIME));
}
