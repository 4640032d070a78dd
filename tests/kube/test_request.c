// SPDX-License-Identifier: Apache-2.0
//
// Requests against a server that answers as it is told: what is sent again, when, and how often.
#include "tests/test.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "kube/kube_int.h"

#define MAX_ASKED 16
#define HEAD "Content-Type: application/json\r\nConnection: close\r\n"
#define OK "HTTP/1.1 200 OK\r\n" HEAD "Content-Length: 2\r\n\r\n{}"
#define BUSY(seconds)                                                                              \
    "HTTP/1.1 429 Too Many Requests\r\n" HEAD "Retry-After: " seconds                              \
    "\r\nContent-Length: 0\r\n\r\n"
#define ETCD                                                                                       \
    "HTTP/1.1 500 Internal Server Error\r\n" HEAD "Content-Length: 67\r\n\r\n"                     \
    "{\"kind\":\"Status\",\"status\":\"Failure\",\"message\":\"etcdserver: no leader\"}"
#define REFUSED "HTTP/1.1 403 Forbidden\r\n" HEAD "Content-Length: 0\r\n\r\n"
#define CLOSE ""  // without a word
#define LATE NULL // OK, after a second

struct seen {
    int n;
    int64_t at_ms[MAX_ASKED];
};

struct server {
    pid_t pid;
    struct seen *seen;
    struct loop *loop;
    struct kube *kube;
    struct kubeconfig config;
    char url[64];
};

static void answer(int fd, const char *text)
{
    if (!text) {
        usleep(1000000);
        text = OK;
    }
    for (size_t left = strlen(text); left;) {
        ssize_t n = write(fd, text + strlen(text) - left, left);
        if (n <= 0)
            return;
        left -= (size_t)n;
    }
}

// One connection after the other, one request on each; readiness is not part of the script.
static void serve(int at, const char *const *script, struct seen *seen)
{
    for (;;) {
        char b[4096];
        size_t len = 0;
        int fd = accept(at, NULL, NULL);
        for (b[0] = 0; len < sizeof(b) - 1 && !strstr(b, "\r\n\r\n"); b[len] = 0) {
            ssize_t n = read(fd, b + len, sizeof(b) - 1 - len);
            if (n <= 0)
                break;
            len += (size_t)n;
        }
        if (str_starts(b, "GET /readyz")) {
            answer(fd, OK);
        } else if (len && seen->n < MAX_ASKED) {
            seen->at_ms[seen->n] = clock_mono_ms();
            answer(fd, script[seen->n++]);
        }
        close(fd);
    }
}

static void start(struct server *s, const char *const *script)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(a);
    int at = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(at, (struct sockaddr *)&a, size), 0);
    assert_int_equal(listen(at, 16), 0);
    assert_int_equal(getsockname(at, (struct sockaddr *)&a, &size), 0);
    *s = (struct server){.loop = loop_new(NULL)};
    s->seen =
        mmap(NULL, sizeof(*s->seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    s->pid = fork();
    if (s->pid == 0) {
        signal(SIGPIPE, SIG_IGN);
        alarm(60);
        serve(at, script, s->seen);
    }
    close(at);
    snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%d", ntohs(a.sin_port));
    s->config.server = s->url;
    s->kube = kube_new(s->loop, &s->config, &(struct kube_opts){0});
    alive_begin(s->kube);
    for (int i = 0; i < 100 && !s->kube->is_trusted; i++)
        loop_run_once(s->loop, 50);
    assert_true(s->kube->is_trusted);
}

static void stop(struct server *s)
{
    kube_free(s->kube);
    loop_free(s->loop);
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
    munmap(s->seen, sizeof(*s->seen));
}

// The class of the final answer to a GET with this much patience.
static enum kube_class ask(struct server *s, int64_t patience_ms)
{
    struct kube_call c = {.method = "GET", .path = "/api/v1/x", .patience_ms = patience_ms};
    struct kube_reply reply;
    struct buf store CLEANUP(buf_clear) = {0};
    kube_send_wait(s->kube, &c, &reply, &store);
    return reply.cls;
}

static void sent_again(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *script[6];
        int64_t patience_ms;
        enum kube_class want;
        int asked;
        int64_t least_ms, most_ms;
    } rows[] = {
        {"waits as told", {BUSY("1"), OK}, 10000, KUBE_OK, 2, 1000, 9000},
        {"more than once", {BUSY("0"), ETCD, BUSY("0"), OK}, 10000, KUBE_OK, 4, 700, 9000},
        {"the first answer counts", {BUSY("1"), OK}, 0, KUBE_THROTTLED, 1, 0, 900},
        {"longer than it has patience", {BUSY("30"), OK}, 5000, KUBE_THROTTLED, 1, 0, 4000},
        {"patience ends", {ETCD, ETCD, ETCD, ETCD, ETCD, ETCD}, 1000, KUBE_RETRY, 4, 0, 4000},
        {"no answer at all", {CLOSE, CLOSE, CLOSE, OK}, 10000, KUBE_OK, 4, 0, 9000},
        {"no answer, once more", {CLOSE, CLOSE, OK}, 0, KUBE_LOST, 2, 0, 900},
        {"a refusal is one", {REFUSED, OK}, 10000, KUBE_DENIED, 1, 0, 4000},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct server s;
        start(&s, rows[i].script);
        int64_t began = clock_mono_ms();
        enum kube_class got = ask(&s, rows[i].patience_ms);
        int64_t took = clock_mono_ms() - began;
        if (got != rows[i].want || s.seen->n != rows[i].asked || took < rows[i].least_ms ||
            took > rows[i].most_ms)
            fail_msg("%s: %s after %d requests and %d ms", rows[i].name, kube_class_name(got),
                     s.seen->n, (int)took);
        stop(&s);
    }
}

static void counted(void **state)
{
    (void)state;
    static const char *const script[] = {BUSY("0"), BUSY("0"), OK};
    struct server s;
    start(&s, script);
    assert_int_equal(ask(&s, 10000), KUBE_OK);
    struct kube_stats stats = kube_stats(s.kube);
    assert_int_equal(stats.requests, 3);
    assert_int_equal(stats.throttled, 2);
    stop(&s);
}

static void on_done(void *ctx, const struct kube_reply *r)
{
    *(int *)ctx = (int)r->cls;
}

// One that waits for its next try can be taken back, and dropped with the client.
static void given_up(void **state)
{
    (void)state;
    static const char *const script[] = {BUSY("5"), BUSY("5"), OK};
    struct server s;
    start(&s, script);
    struct kube_call c = {.method = "GET", .path = "/api/v1/x", .patience_ms = 60000};
    int first = -1;
    int second = -1;
    struct kube_request *q = kube_send(s.kube, &c, on_done, &first);
    kube_send(s.kube, &c, on_done, &second);
    for (int i = 0; i < 100 && kube_stats(s.kube).throttled < 2; i++)
        loop_run_once(s.loop, 50);
    assert_int_equal(first, -1);
    kube_cancel(q);
    assert_int_equal(first, KUBE_CANCELLED);
    stop(&s);
    assert_int_equal(second, -1);
}

static void silence(void **state)
{
    (void)state;
    static const char *const script[] = {LATE, OK};
    struct server s;
    start(&s, script);
    assert_int_equal(kube_unanswered_ms(s.kube), 0);
    struct kube_call c = {.method = "GET", .path = "/api/v1/x", .timeout_ms = 300};
    struct kube_reply reply;
    struct buf store CLEANUP(buf_clear) = {0};
    kube_send_wait(s.kube, &c, &reply, &store);
    assert_int_equal(reply.cls, KUBE_LOST);
    // It is still owed, though nobody waits for it any more.
    assert_true(kube_unanswered_ms(s.kube) >= 300);
    assert_int_equal(ask(&s, 10000), KUBE_OK);
    assert_int_equal(kube_unanswered_ms(s.kube), 0);
    stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sent_again), cmocka_unit_test(counted),
                                       cmocka_unit_test(given_up), cmocka_unit_test(silence)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
