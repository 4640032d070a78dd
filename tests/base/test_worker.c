// SPDX-License-Identifier: Apache-2.0
#include "tests/test.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "base/worker.h"

// Does what it is told.
static bool serve(void *ctx, const char *request, size_t len, struct buf *reply)
{
    if (!strcmp(request, "loop"))
        for (;;)
            ;
    if (!strcmp(request, "die"))
        abort();
    if (!strcmp(request, "end"))
        return false;
    if (!strcmp(request, "open")) {
        int fd = open("/etc/passwd", O_RDONLY);
        buf_str(reply, fd < 0 ? "no" : "yes");
        return true;
    }
    if (!strcmp(request, "env"))
        buf_str(reply, getenv("PATH") ? "yes" : "no");
    else if (!strcmp(request, "big"))
        for (int i = 0; i < 2000; i++)
            buf_str(reply, "0123456789");
    else
        buf_printf(reply, "%s %zu %s", (const char *)ctx, len, request);
    return true;
}

static struct worker *start(bool is_sealed)
{
    static const char name[] = "worker";
    const struct worker_opts o = {.serve = serve,
                                  .ctx = (void *)name,
                                  .max_request = 1000,
                                  .max_reply = 10000,
                                  .cpu_ms = 100,
                                  .is_sealed = is_sealed};
    return worker_new(&o);
}

static void expect(struct worker *w, const char *request, enum worker_outcome outcome,
                   const char *reply)
{
    struct buf in CLEANUP(buf_clear) = {0};
    struct buf out CLEANUP(buf_clear) = {0};
    buf_str(&in, request);
    assert_int_equal(worker_ask(w, &in, &out), outcome);
    if (reply)
        assert_string_equal(out.p, reply);
}

static void answers(void **s)
{
    (void)s;
    CLEANUP(worker_freep) struct worker *w = start(false);
    assert_int_equal(worker_pid(w), 0);
    expect(w, "hello", WORKER_DONE, "worker 5 hello");
    pid_t first = worker_pid(w);
    expect(w, "again", WORKER_DONE, "worker 5 again");
    assert_int_equal(worker_pid(w), first);
    expect(w, "env", WORKER_DONE, "yes");
}

// One that loops, dies, ends, or says too much is gone, and the next request has a new process.
static void is_made_anew(void **s)
{
    (void)s;
    static const struct {
        const char *request;
        enum worker_outcome outcome;
    } cases[] = {
        {"loop", WORKER_LATE}, {"die", WORKER_GONE}, {"end", WORKER_GONE}, {"big", WORKER_GONE}};
    CLEANUP(worker_freep) struct worker *w = start(false);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        expect(w, cases[i].request, cases[i].outcome, NULL);
        expect(w, "hello", WORKER_DONE, "worker 5 hello");
    }
    kill(worker_pid(w), SIGKILL);
    expect(w, "hello", WORKER_DONE, "worker 5 hello");
    struct buf big CLEANUP(buf_clear) = {0};
    struct buf out CLEANUP(buf_clear) = {0};
    for (int i = 0; i < 1001; i++)
        buf_char(&big, 'x');
    assert_int_equal(worker_ask(w, &big, &out), WORKER_GONE);
}

static void sealed(void **s)
{
    (void)s;
    CLEANUP(worker_freep) struct worker *w = start(true);
    expect(w, "open", WORKER_DONE, "no");
    expect(w, "env", WORKER_DONE, "no");
    worker_free(TAKE(w));
    w = start(false);
    expect(w, "open", WORKER_DONE, "yes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(answers), cmocka_unit_test(is_made_anew),
                                       cmocka_unit_test(sealed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
