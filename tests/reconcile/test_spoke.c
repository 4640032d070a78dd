// SPDX-License-Identifier: Apache-2.0
//
// Sessions as threads: what goes in and out of their mailboxes while they run, and that they end
// whenever they are told to. What stands for a cluster is a port where nobody listens; what they do
// on real ones the end-to-end test of the fleet shows. With TSAN=1 whatever they shared by mistake
// would be told.
#include <poll.h>
#include <unistd.h>

#include <sys/eventfd.h>

#include "base/clock.h"
#include "reconcile/spoke.h"
#include "tests/test.h"

#define SPOKES 12
#define LIMIT_MS 20000

struct seen {
    unsigned states, unreachable, refused, events, over;
};

static void on_note(void *ctx, struct spoke_note *n)
{
    struct seen *s = ctx;
    const char *state = n->kind == SPOKE_STATE ? json_dot_str(n->doc, "state") : NULL;
    s->events += n->kind == SPOKE_EVENT;
    s->states += state != NULL;
    s->unreachable += str_eq(state, "unreachable");
    s->refused += str_eq(state, "refused");
    s->over += n->kind == SPOKE_OVER;
}

static struct desired *some_state(void)
{
    struct desired *d = desired_new();
    struct err err = {0};
    assert_true(desired_finish(d, &err));
    return d;
}

static char *secret_of(const char *server)
{
    CLEANUP(json_freep)
    json_t *doc = json_pack("{s:s, s:s, s:{s:s, s:s, s:s}}", "apiVersion", "v1", "kind", "Secret",
                            "stringData", "name", "x", "server", server, "config",
                            "{\"tlsClientConfig\":{\"insecure\":true}}");
    return json_dumps(doc, JSON_COMPACT);
}

static void begin(struct spoke **v, size_t n, const char *server, int out_fd)
{
    CLEANUP(str_freep) char *secret = secret_of(server);
    for (size_t i = 0; i < n; i++) {
        CLEANUP(str_freep) char *name = str_printf("s%zu", i);
        struct spoke_opts o = {
            .name = name, .secret = secret, .holder = "test/1", .server = server, .out_fd = out_fd};
        v[i] = spoke_start(&o);
        assert_non_null(v[i]);
    }
}

static void give(struct spoke *s, unsigned round)
{
    struct err err = {0};
    json_t *doc = json_pack("{s:{s:s, s:s, s:s}}", "metadata", "namespace", "argocd", "name", "web",
                            "resourceVersion", "1");
    spoke_give_state(s, some_state(), round, &err);
    spoke_give_application(s, "argocd", "web", doc);
    spoke_give_application(s, "argocd", "gone", NULL);
    err_set(&err, ERR_UNAVAILABLE, "the sources do not answer");
    spoke_give_state(s, NULL, 0, &err);
    assert_false(err_is_set(&err));
}

static void wait_a_moment(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    uint64_t n;
    if (poll(&p, 1, 20) > 0)
        assert_int_equal(read(fd, &n, sizeof(n)), sizeof(n));
}

static void drain_all(struct spoke **v, struct seen *seen, size_t n)
{
    for (size_t i = 0; i < n; i++)
        spoke_drain(v[i], on_note, &seen[i]);
}

static unsigned sum(const struct seen *seen, size_t n, bool over)
{
    unsigned all = 0;
    for (size_t i = 0; i < n; i++)
        all += over ? seen[i].over : seen[i].unreachable + seen[i].refused > 0;
    return all;
}

// Until each has said what is wrong with its cluster, and then until each is over.
static void sessions_of(const char *server, struct seen *seen)
{
    struct spoke *v[SPOKES];
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int64_t end = clock_mono_ms() + LIMIT_MS;
    begin(v, SPOKES, server, fd);
    for (unsigned round = 1; sum(seen, SPOKES, false) < SPOKES && clock_mono_ms() < end; round++) {
        for (size_t i = 0; i < SPOKES; i++)
            give(v[i], round);
        wait_a_moment(fd);
        drain_all(v, seen, SPOKES);
    }
    for (size_t i = 0; i < SPOKES; i++)
        spoke_stop(v[i]);
    while (sum(seen, SPOKES, true) < SPOKES && clock_mono_ms() < end) {
        give(v[0], 0); // what comes too late is nobody's
        wait_a_moment(fd);
        drain_all(v, seen, SPOKES);
    }
    for (size_t i = 0; i < SPOKES; i++) {
        assert_int_equal(seen[i].over, 1);
        give(v[i], 0);
        spoke_free(v[i]);
    }
    close(fd);
}

static void where_nobody_listens(void **s)
{
    (void)s;
    struct seen seen[SPOKES] = {0};
    sessions_of("https://127.0.0.1:1", seen);
    for (size_t i = 0; i < SPOKES; i++) {
        assert_true(seen[i].unreachable > 0);
        assert_int_equal(seen[i].refused, 0);
    }
}

// A Secret that says nothing of use is refused, not asked again and again as if it might answer.
static void a_secret_without_a_server(void **s)
{
    (void)s;
    struct seen seen[SPOKES] = {0};
    sessions_of("no address at all", seen);
    for (size_t i = 0; i < SPOKES; i++)
        assert_true(seen[i].refused + seen[i].unreachable > 0);
}

// Told to stop before anything has begun, and freed without a word.
static void at_once(void **s)
{
    (void)s;
    struct spoke *v[SPOKES];
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    for (int i = 0; i < 5; i++) {
        begin(v, SPOKES, "https://127.0.0.1:1", fd);
        for (size_t k = 0; k < SPOKES; k++)
            spoke_free(v[k]);
    }
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(where_nobody_listens),
                                       cmocka_unit_test(a_secret_without_a_server),
                                       cmocka_unit_test(at_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
