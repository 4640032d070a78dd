// SPDX-License-Identifier: Apache-2.0
//
// The server over real sockets, spoken to byte by byte: both ends turn in one loop.
#include "tests/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "web/web_int.h"

struct world {
    struct loop *loop;
    struct web_server *web;
    struct web_hooks hooks;
    struct strv secrets;
    bool is_ready;
    struct buf did;
};

static json_t *applications(void *ctx)
{
    (void)ctx;
    return json_pack("{s:[{s:s, s:s, s:s}, {s:s, s:s, s:s}]}", "applications", "name", "a", "sync",
                     "Synced", "health", "Healthy", "name", "b\"\n", "sync", "OutOfSync", "health",
                     "Degraded");
}

static json_t *application(void *ctx, const char *name)
{
    (void)ctx;
    return strcmp(name, "a b") ? NULL : json_pack("{s:s}", "name", name);
}

static json_t *fleet(void *ctx)
{
    (void)ctx;
    return json_pack("{s:[]}", "clusters");
}

static bool ready(void *ctx, char **why)
{
    struct world *t = ctx;
    if (!t->is_ready)
        *why = str_dup("sources were not read yet");
    return t->is_ready;
}

static void pushed(void *ctx, const struct web_push *p)
{
    struct world *t = ctx;
    buf_printf(&t->did, "pushed %s %s;", p->repos.v[0], p->ref);
}

static bool act(void *ctx, const char *app, const char *action, const json_t *args, const char *who,
                struct err *err)
{
    struct world *t = ctx;
    buf_printf(&t->did, "%s %s %zu %s;", action, app, json_object_size(args), who);
    if (!strcmp(app, "none"))
        return err_set(err, ERR_NOT_FOUND, "there is no application none");
    return !strcmp(app, "broken") ? err_set(err, ERR_INTERNAL, "a line of /etc/shadow") : true;
}

static struct world *up(struct web_opts o)
{
    struct world *t = mem_alloc(sizeof(*t));
    struct err err = {0};
    t->loop = loop_new(NULL);
    t->hooks = (struct web_hooks){.applications = applications,
                                  .application = application,
                                  .fleet = fleet,
                                  .ready = ready,
                                  .pushed = pushed,
                                  .act = act,
                                  .ctx = t};
    o.hooks = &t->hooks;
    o.listen = "127.0.0.1:0";
    if (!web_server_new(t->loop, &o, &t->web, &err))
        fail_msg("%s", err.msg);
    return t;
}

static void down(struct world *t)
{
    web_server_free(t->web);
    loop_free(t->loop);
    buf_clear(&t->did);
    free(t);
}

static int dial(struct world *t)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)web_server_port(t->web)),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static void turn(struct world *t, int64_t ms)
{
    for (int64_t end = clock_mono_ms() + ms; clock_mono_ms() < end;)
        loop_run_once(t->loop, 5);
}

// Reads until the other side closes (true) or for so long.
static bool drain(struct world *t, int fd, struct buf *out, int64_t ms)
{
    int64_t end = clock_mono_ms() + ms;
    for (;;) {
        char p[4096];
        ssize_t n = recv(fd, p, sizeof(p), 0);
        if (n > 0)
            buf_append(out, p, (size_t)n);
        else if (n == 0 || errno != EAGAIN)
            return true;
        else if (clock_mono_ms() >= end)
            return false;
        else
            loop_run_once(t->loop, 5);
    }
}

// Reads until this has come; a machine that is out of breath has its time.
static void drain_until(struct world *t, int fd, struct buf *out, const char *what)
{
    int64_t end = clock_mono_ms() + 10000;
    while (!(out->p && strstr(out->p, what)) && clock_mono_ms() < end)
        if (drain(t, fd, out, 20))
            break;
    assert_non_null(out->p);
    assert_non_null(strstr(out->p, what));
}

// The server may close before it has read everything.
static void say(struct world *t, int fd, const char *p, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = send(fd, p + at, len - at, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            return;
        at += n > 0 ? (size_t)n : 0;
        loop_run_once(t->loop, 0);
    }
}

static char *talk(struct world *t, const char *request)
{
    struct buf b = {0};
    int fd = dial(t);
    say(t, fd, request, strlen(request));
    if (!drain(t, fd, &b, 3000))
        fail_msg("still open after %s", request);
    close(fd);
    return buf_take(&b);
}

#define HOST "Host: localhost\r\n"
#define END "Connection: close\r\n\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\n" HOST END

static void expect(struct world *t, const char *request, const char *status, const char *part)
{
    CLEANUP(str_freep) char *got = talk(t, request);
    CLEANUP(str_freep) char *line = str_printf("HTTP/1.1 %s ", status);
    if (!str_starts(got, line) || !strstr(got, part))
        fail_msg("%s\nis answered with\n%s\nwanted: %s, %s", request, got, status, part);
}

// What every answer of ours has, whatever it says.
static void test_headers_of_every_answer(void **state)
{
    static const char *const requests[] = {
        GET("/"),
        GET("/metrics"),
        GET("/nowhere"),
        GET("/a/../b"),
        GET("/readyz"),
        "POST /api/webhook HTTP/1.1\r\n" HOST "Content-Length: 2\r\n" END "{}",
        "PUT / HTTP/1.1\r\n" HOST END,
    };
    struct world *t = up((struct web_opts){0});
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        static const char *const wanted[] = {"Content-Security-Policy: default-src 'none';",
                                             "X-Content-Type-Options: nosniff",
                                             "X-Frame-Options: DENY",
                                             "Referrer-Policy: no-referrer",
                                             "Cache-Control: no-",
                                             "Cross-Origin-Resource-Policy: same-origin"};
        CLEANUP(str_freep) char *got = talk(t, requests[i]);
        for (size_t k = 0; k < ARRAY_LEN(wanted); k++)
            if (!strstr(got, wanted[k]))
                fail_msg("%s has no %s:\n%s", requests[i], wanted[k], got);
        assert_null(strstr(got, "Access-Control"));
        assert_null(strstr(got, "Server:"));
    }
    down(t);
}

static void test_documents(void **state)
{
    struct world *t = up((struct web_opts){0});
    (void)state;
    expect(t, GET("/"), "200", "text/html");
    expect(t, GET("/status.js"), "200", "text/javascript");
    expect(t, GET("/status.css"), "200", "text/css");
    expect(t, GET("/healthz"), "200", "\r\n\r\nok\n");
    expect(t, GET("/readyz"), "503", "\r\n\r\nsources were not read yet\n");
    t->is_ready = true;
    expect(t, GET("/readyz"), "200", "ok");
    expect(t, GET("/api/v1/applications"), "200", "\"name\":\"b\\\"\\n\"");
    expect(t, GET("/api/v1/applications?sync=Synced&health=Healthy"), "200",
           "{\"applications\":[{\"name\":\"a\",\"sync\":\"Synced\",\"health\":\"Healthy\"}]}");
    expect(t, GET("/api/v1/applications?sync=x"), "200", "{\"applications\":[]}");
    expect(t, GET("/api/v1/applications?oops=1"), "400", "does not know that parameter");
    expect(t, GET("/api/v1/applications/a%20b"), "200", "{\"name\":\"a b\"}");
    expect(t, GET("/api/v1/applications/c"), "404", "there is no such application");
    expect(t, GET("/api/v1/fleet"), "200", "{\"clusters\":[]}");
    expect(t, GET("/metrics"), "200",
           "regrow_app_info{health_status=\"Degraded\",name=\"b\\\"\\n\"");
    expect(t, GET("/metrics"), "200",
           "regrow_http_requests_total{code=\"404\",path=\"/api/v1/"
           "applications/*\"} 1\n");
    expect(t, "HEAD /healthz HTTP/1.1\r\n" HOST END, "200", "Content-Length: 3\r\n");
    CLEANUP(str_freep) char *head = talk(t, "HEAD /healthz HTTP/1.1\r\n" HOST END);
    assert_true(str_ends(head, "\r\n\r\n"));
    expect(t, "HEAD /api/v1/events HTTP/1.1\r\n" HOST END, "200", "text/event-stream");
    down(t);
}

static void test_what_is_refused(void **state)
{
    static const struct {
        const char *request, *status, *part;
    } rows[] = {
        {"POST /healthz HTTP/1.1\r\n" HOST "Content-Length: 0\r\n" END, "405", "Allow: GET, HEAD"},
        {"GET /api/webhook HTTP/1.1\r\n" HOST END, "405", "Allow: POST"},
        {"OPTIONS /metrics HTTP/1.1\r\n" HOST END, "405", "Allow: GET, HEAD"},
        {"TRACE / HTTP/1.1\r\n" HOST "X-Secret: 1\r\n" END, "405", "Allow"},
        {"FROB / HTTP/1.1\r\n" HOST END, "405", "Allow"},
        {GET("/%ff"), "400", "malformed request target"},
        {GET("/a/%2e%2e"), "400", "malformed"},
        {GET("/x"), "404", "nothing at this path"},
        // Two requests that one reader would take for one.
        {"POST /api/webhook HTTP/1.1\r\n" HOST
         "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n" END "0\r\n\r\n",
         "400", ""},
        {"POST /api/webhook HTTP/1.1\r\n" HOST "Content-Length: 4\r\nContent-Length: 5\r\n" END
         "abcd",
         "400", ""},
        {"POST /api/webhook HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n" END, "400", ""},
        {"GET / HTTP/1.1\r\nHost: localhost\r\nHost: b\r\n" END, "400", ""},
        {"GET / HTTP/1.1\r\n" END, "400", ""},
        {"POST /api/webhook HTTP/1.1\r\n" HOST "Content-Length: 1048577\r\n" END, "413",
         "too large"},
        {"POST /api/webhook HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n" END, "4",
         ""},
        {"POST /api/v1/applications/a/sync HTTP/1.1\r\n" HOST "Content-Length: 70000\r\n" END,
         "413", "too large"},
        // A page elsewhere whose name leads here, and one that sends.
        {"GET /api/v1/applications HTTP/1.1\r\nHost: evil.example\r\n" END, "421",
         "localhost only"},
        {"GET / HTTP/1.1\r\nHost: localhost.evil.example\r\n" END, "421", "localhost only"},
        {"POST /api/v1/applications/a/sync HTTP/1.1\r\n" HOST
         "Origin: https://evil.example\r\nContent-Length: 0\r\n" END,
         "403", "another site"},
        {"POST /api/v1/applications/a/sync HTTP/1.1\r\n" HOST
         "Sec-Fetch-Site: cross-site\r\nContent-Length: 0\r\n" END,
         "403", "another site"},
        {"POST /api/v1/applications/a/sync HTTP/1.1\r\n" HOST
         "Content-Type: text/plain\r\nContent-Length: 2\r\n" END "{}",
         "415", "application/json"},
        {"POST /api/v1/applications/a/sync HTTP/1.1\r\n" HOST
         "Content-Type: application/json\r\nContent-Length: 2\r\n" END "[]",
         "400", "JSON object"},
        {"POST /api/v1/applications/a/sync HTTP/1.1\r\n" HOST
         "Content-Type: application/json\r\nContent-Length: 15\r\n" END "{\"a\":1, \"a\":2} ",
         "400", "JSON object"},
        {"POST /api/webhook HTTP/1.1\r\n" HOST "Content-Length: 2\r\n" END "{}", "403",
         "no webhook secret is configured"},
    };
    struct world *t = up((struct web_opts){0});
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(str_freep) char *got = talk(t, rows[i].request);
        CLEANUP(str_freep) char *line = str_printf("HTTP/1.1 %s", rows[i].status);
        if (!str_starts(got, line) || !strstr(got, rows[i].part))
            fail_msg("%s\nis answered with\n%s\nwanted: %s, %s", rows[i].request, got,
                     rows[i].status, rows[i].part);
    }
    assert_int_equal(t->did.len, 0);
    down(t);
}

static void test_acts(void **state)
{
    struct world *t = up((struct web_opts){0});
    (void)state;
    expect(
        t,
        "POST /api/v1/applications/a%20b/sync HTTP/1.1\r\n" HOST
        "Origin: http://localhost\r\nContent-Type: application/json\r\nContent-Length: 15\r\n" END
        "{\"prune\":false}"
        "",
        "202", "{\"accepted\":true}");
    expect(t, "POST /api/v1/applications/a/refresh HTTP/1.1\r\n" HOST "Content-Length: 0\r\n" END,
           "202", "accepted");
    expect(t,
           "POST /api/v1/applications/a/resume HTTP/1.1\r\n" HOST "Content-Type: application/json"
           "\r\nTransfer-Encoding: chunked\r\n" END "1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
           "202", "accepted");
    expect(t, "POST /api/v1/applications/none/sync HTTP/1.1\r\n" HOST "Content-Length: 0\r\n" END,
           "404", "there is no application none");
    CLEANUP(str_freep)
    char *got = talk(t, "POST /api/v1/applications/broken/sync HTTP/1.1\r\n" HOST
                        "Content-Length: 0\r\n" END);
    assert_true(str_starts(got, "HTTP/1.1 500 "));
    assert_null(strstr(got, "shadow"));
    assert_string_equal(t->did.p, "sync a b 1 anonymous;refresh a 0 anonymous;resume a 0 anonymous;"
                                  "sync none 0 anonymous;sync broken 0 anonymous;");
    down(t);
}

static json_t *nothing(void *ctx)
{
    (void)ctx;
    return NULL;
}

// It knows nothing, says so, and is measured all the same.
static void test_a_replica_that_stands_by(void **state)
{
    struct world *t = up((struct web_opts){0});
    (void)state;
    t->hooks.applications = nothing;
    t->hooks.fleet = nothing;
    expect(t, GET("/api/v1/applications?sync=Synced"), "503", "another one leads");
    expect(t, GET("/api/v1/applications/none"), "503", "another one leads");
    expect(t, GET("/api/v1/fleet"), "503", "another one leads");
    expect(t, GET("/metrics"), "200", "# TYPE regrow_app_info gauge\n# HELP");
    expect(t, GET("/healthz"), "200", "ok");
    down(t);
}

// Answers come in the order of the requests.
static void test_pipelining(void **state)
{
    struct world *t = up((struct web_opts){0});
    (void)state;
    CLEANUP(str_freep)
    char *got = talk(t, "GET /healthz HTTP/1.1\r\n" HOST "\r\nGET /x HTTP/1.1\r\n" HOST
                        "\r\nGET /readyz HTTP/1.1\r\n" HOST END);
    const char *a = strstr(got, "HTTP/1.1 200");
    const char *b = a ? strstr(a, "HTTP/1.1 404") : NULL;
    assert_non_null(b ? strstr(b, "HTTP/1.1 503") : NULL);
    down(t);
}

static void test_a_chunked_body_without_end(void **state)
{
    struct world *t = up((struct web_opts){0});
    struct buf b CLEANUP(buf_clear) = {0};
    CLEANUP(str_freep) char *chunk = mem_alloc(10011);
    (void)state;
    memcpy(chunk, "2710\r\n", 6);
    memset(chunk + 6, 'x', 10000);
    memcpy(chunk + 10006, "\r\n", 2);
    int fd = dial(t);
    const char *head =
        "POST /api/v1/applications/a/sync HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n";
    say(t, fd, head, strlen(head));
    bool is_closed = false;
    for (int i = 0; i < 200 && !is_closed; i++) { // 2 MB of 64 KB
        say(t, fd, chunk, 10008);
        is_closed = drain(t, fd, &b, 0);
    }
    assert_true(is_closed);
    assert_true(t->web->bodies_bytes == 0);
    assert_int_equal(t->did.len, 0);
    close(fd);
    down(t);
}

static void test_large_heads(void **state)
{
    struct world *t = up((struct web_opts){0});
    CLEANUP(str_freep) char *long_text = mem_alloc(200001);
    (void)state;
    static const size_t sizes[] = {5000, 17000, 40000, 200000};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        memset(long_text, 'a', sizes[i]);
        long_text[sizes[i]] = 0;
        CLEANUP(str_freep) char *url = str_printf("GET /%s HTTP/1.1\r\n" HOST END, long_text);
        CLEANUP(str_freep)
        char *header = str_printf("GET /healthz HTTP/1.1\r\n" HOST "X: %s\r\n" END, long_text);
        CLEANUP(str_freep) char *one = talk(t, url);
        CLEANUP(str_freep) char *two = talk(t, header);
        // The largest are cut, with or without a word, before they are there.
        assert_true(!*one || str_starts(one, "HTTP/1.1 4"));
        assert_true(!*two || str_starts(two, sizes[i] < 16384 ? "HTTP/1.1 200" : "HTTP/1.1 4"));
    }
    down(t);
}

// A byte now and then does not keep a connection; and one that says nothing at all.
static void test_slow_ones_are_cut(void **state)
{
    static const char *const begins[] = {
        "", "GET / HTTP/1.1\r\nX: ",
        "POST /api/webhook HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\n",
        "GET /healthz HTTP/1.1\r\n" HOST "\r\nGET /healthz HTTP/1.1\r\nX: "};
    struct world *t = up((struct web_opts){
        .limits = {.header_ms = 300, .body_ms = 300, .idle_ms = 300, .answer_ms = 300}});
    struct buf b CLEANUP(buf_clear) = {0};
    int fds[ARRAY_LEN(begins)];
    bool closed[ARRAY_LEN(begins)] = {0};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(begins); i++) {
        fds[i] = dial(t);
        say(t, fds[i], begins[i], strlen(begins[i]));
    }
    for (int round = 0; round < 40; round++) {
        turn(t, 50);
        for (size_t i = 0; i < ARRAY_LEN(begins); i++) {
            if (i)
                say(t, fds[i], "a", 1);
            closed[i] = closed[i] || drain(t, fds[i], &b, 0);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(begins); i++) {
        if (!closed[i])
            fail_msg("%zu is still open", i);
        close(fds[i]);
    }
    for (int i = 0; t->web->fronts->n_conns && i < 100; i++)
        turn(t, 20);
    assert_int_equal(t->web->fronts->n_conns, 0);
    assert_true(t->web->counts.cut >= ARRAY_LEN(begins));
    expect(t, GET("/healthz"), "200", "ok");
    down(t);
}

static void test_connections_of_one_address(void **state)
{
    struct world *t = up((struct web_opts){.limits = {.per_address = 3}});
    struct buf b CLEANUP(buf_clear) = {0};
    int fds[4];
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        fds[i] = dial(t);
        turn(t, 20);
    }
    assert_true(drain(t, fds[3], &b, 500));
    assert_false(drain(t, fds[0], &b, 20));
    for (size_t i = 0; i < 4; i++)
        close(fds[i]);
    turn(t, 50);
    expect(t, GET("/healthz"), "200", "ok");
    down(t);
}

// ---- events ----

static int follow(struct world *t, const char *last, struct buf *out)
{
    int fd = dial(t);
    CLEANUP(str_freep)
    char *request = str_printf("GET /api/v1/events HTTP/1.1\r\n" HOST "%s%s%s\r\n",
                               last ? "Last-Event-ID: " : "", last ? last : "", last ? "\r\n" : "");
    say(t, fd, request, strlen(request));
    drain(t, fd, out, 50);
    return fd;
}

static void emit(struct world *t, const char *type, int n)
{
    event_emit(web_server_sink(t->web), type, "{s:i}", "n", n);
}

static char *id_of(const struct buf *b)
{
    const char *at = NULL;
    for (const char *p = b->p; (p = strstr(p, "id: ")); p += 4)
        at = p + 4;
    assert_non_null(at);
    return str_ndup(at, strcspn(at, "\n"));
}

static void test_events(void **state)
{
    struct world *t = up((struct web_opts){.limits = {.heartbeat_ms = 100}});
    struct buf b CLEANUP(buf_clear) = {0};
    (void)state;
    emit(t, "before", 0);
    int fd = follow(t, NULL, &b);
    assert_null(strstr(b.p, "before"));
    emit(t, "app.changed", 1);
    emit(t, "bad type\nevent: x", 2); // cannot be told as one, and is not
    drain_until(t, fd, &b, "event: app.changed\ndata: {\"type\":\"app.changed\"");
    drain_until(t, fd, &b, "\n:\n\n"); // a sign of life
    assert_null(strstr(b.p, "bad type"));
    CLEANUP(str_freep) char *id = id_of(&b);
    close(fd);
    emit(t, "missed", 3);
    buf_reset(&b);
    fd = follow(t, id, &b);
    assert_non_null(strstr(b.p, "event: missed"));
    assert_null(strstr(b.p, "app.changed"));
    assert_null(strstr(b.p, "reset"));
    close(fd);
    // Of another process, or of no one.
    static const char *const others[] = {"0000000000000000-1", "x", "-1"};
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        buf_reset(&b);
        fd = follow(t, others[i], &b);
        assert_non_null(strstr(b.p, "event: reset"));
        assert_null(strstr(b.p, "missed"));
        close(fd);
    }
    for (int i = 0; streams_count(t->web->streams) && i < 100; i++)
        turn(t, 50);
    assert_int_equal(streams_count(t->web->streams), 0);
    down(t);
}

static void test_slow_followers_are_dropped(void **state)
{
    struct world *t = up((struct web_opts){.limits = {.replay_bytes = 64 << 10, .streams = 2}});
    struct buf slow CLEANUP(buf_clear) = {0};
    struct buf fast CLEANUP(buf_clear) = {0};
    CLEANUP(str_freep) char *kb = mem_alloc(1025);
    (void)state;
    memset(kb, 'x', 1024);
    int a = follow(t, NULL, &slow);
    int b = follow(t, NULL, &fast);
    CLEANUP(str_freep)
    char *id = id_of(({
        emit(t, "first", 0);
        drain_until(t, b, &fast, "first");
        &fast;
    }));
    expect(t, GET("/api/v1/events"), "503", "as many follow the events as may");
    for (int i = 0; i < 20000; i++) {
        event_emit(web_server_sink(t->web), "flood", "{s:i, s:s}", "n", i, "text", kb);
        if (i % 8 == 0) {
            loop_run_once(t->loop, 0);
            buf_reset(&fast);
            assert_false(drain(t, b, &fast, 0));
        }
    }
    drain_until(t, b, &fast, "\"n\":19999");
    assert_true(drain(t, a, &slow, 10000)); // it gets what was on its way, and then the end
    assert_null(strstr(slow.p, "\"n\":19999"));
    assert_int_equal(t->web->counts.dropped, 1);
    close(a);
    close(b);
    turn(t, 50);
    struct buf late CLEANUP(buf_clear) = {0};
    close(follow(t, id, &late));
    assert_non_null(strstr(late.p, "event: reset"));
    down(t);
}

static void test_a_stream_ends_in_time(void **state)
{
    struct world *t = up((struct web_opts){.limits = {.stream_ms = 200, .heartbeat_ms = 50}});
    struct buf b CLEANUP(buf_clear) = {0};
    (void)state;
    int fd = follow(t, NULL, &b);
    drain_until(t, fd, &b, "\r\n0\r\n\r\n"); // the last chunk: no error
    close(fd);
    down(t);
}

// With followers, half a request and a body under way.
static void test_the_end_comes_at_any_time(void **state)
{
    struct world *t = up((struct web_opts){0});
    struct buf b CLEANUP(buf_clear) = {0};
    (void)state;
    int a = follow(t, NULL, &b);
    int c = dial(t);
    const char *half = "POST /api/webhook HTTP/1.1\r\n" HOST "Content-Length: 100\r\n\r\nabc";
    say(t, c, half, strlen(half));
    turn(t, 20);
    down(t);
    close(a);
    close(c);
}

// ---- start ----

static void test_where_it_may_listen(void **state)
{
    static const struct {
        struct web_opts o;
        enum err_kind kind;
        const char *part;
    } rows[] = {
        {{.listen = "0.0.0.0:0"}, ERR_USAGE, "TLS and authentication"},
        {{.listen = ":0"}, ERR_USAGE, "TLS and authentication"},
        {{.listen = "[::]:0", .self_signed = true}, ERR_USAGE, "authentication"},
        {{.listen = "127.0.0.1"}, ERR_USAGE, "HOST:PORT"},
        {{.listen = "127.0.0.1:x"}, ERR_USAGE, "HOST:PORT"},
        {{.listen = "::1:80"}, ERR_USAGE, "HOST:PORT"},
        {{.listen = "127.0.0.1:70000"}, ERR_USAGE, "HOST:PORT"},
        {{.listen = "192.0.2.1:0"}, ERR_USAGE, "no such address"},
        {{.listen = "127.0.0.1:0", .tls_cert = "x"}, ERR_USAGE, "come together"},
        {{.listen = "127.0.0.1:0", .tls_cert = "/nowhere", .tls_key = "/nowhere"},
         ERR_NOT_FOUND,
         "/nowhere"},
        {{.listen = "127.0.0.1:0", .auth = WEB_AUTH_REVIEW}, ERR_USAGE, "API server"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct loop *l = loop_new(NULL);
        struct web_hooks hooks = {0};
        struct web_opts o = rows[i].o;
        struct web_server *w = NULL;
        struct err err = {0};
        o.hooks = &hooks;
        if (web_server_new(l, &o, &w, &err))
            fail_msg("%zu: it listens", i);
        if (err.kind != rows[i].kind || !strstr(err.msg, rows[i].part))
            fail_msg("%zu: %s", i, err.msg);
        err_clear(&err);
        loop_free(l);
    }
}

// Told before anything is connected to, and by whoever listens.
static void test_taken_port(void **state)
{
    struct loop *l = loop_new(NULL);
    struct web_hooks hooks = {0};
    struct web_opts o = {.listen = "127.0.0.1:0", .hooks = &hooks};
    struct web_server *w = NULL, *second = NULL;
    struct err err = {0};
    (void)state;
    assert_true(web_opts_check(&o, &err) && web_server_new(l, &o, &w, &err));
    CLEANUP(str_freep) char *taken = str_printf("127.0.0.1:%u", web_server_port(w));
    o.listen = taken;
    assert_false(web_opts_check(&o, &err));
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_non_null(strstr(err.msg, taken));
    assert_non_null(err.hint);
    err_clear(&err);
    assert_false(web_server_new(l, &o, &second, &err));
    assert_int_equal(err.kind, ERR_CONFLICT);
    err_clear(&err);
    web_server_free(w);
    assert_true(web_opts_check(&o, &err));
    loop_free(l);
}

static void test_certificates(void **state)
{
    struct web_pair a = {0}, b = {0}, p = {0};
    struct err err = {0};
    CLEANUP(dir_temp_cleanup) char *dir = NULL;
    (void)state;
    assert_true(dir_make_temp("regrow-test", &dir, &err));
    CLEANUP(str_freep) char *cert = path_join(dir, "tls.crt");
    CLEANUP(str_freep) char *key = path_join(dir, "tls.key");
    assert_true(web_pair_make(&a, &err) && web_pair_make(&b, &err));
    assert_string_not_equal(a.key, b.key);
    assert_true(a.expires_s > clock_unix_ms() / 1000 + 300 * 86400);
    assert_true(file_replace(cert, a.cert, strlen(a.cert), 0600, &err));
    assert_true(file_replace(key, a.key, strlen(a.key), 0600, &err));
    assert_true(web_pair_load(cert, key, &p, &err));
    assert_int_equal(p.expires_s, a.expires_s);
    web_pair_clear(&p);
    static const char *const parts[] = {"is not that of the certificate", "no private key",
                                        "is empty"};
    const char *const keys[] = {b.key, "junk", ""};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        assert_true(file_replace(key, keys[i], strlen(keys[i]), 0600, &err));
        assert_false(web_pair_load(cert, key, &p, &err));
        assert_int_equal(err.kind, ERR_INVALID);
        assert_non_null(strstr(err.msg, parts[i]));
        err_clear(&err);
    }
    web_pair_clear(&a);
    web_pair_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers_of_every_answer),
        cmocka_unit_test(test_documents),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_acts),
        cmocka_unit_test(test_a_replica_that_stands_by),
        cmocka_unit_test(test_pipelining),
        cmocka_unit_test(test_a_chunked_body_without_end),
        cmocka_unit_test(test_large_heads),
        cmocka_unit_test(test_slow_ones_are_cut),
        cmocka_unit_test(test_connections_of_one_address),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_slow_followers_are_dropped),
        cmocka_unit_test(test_a_stream_ends_in_time),
        cmocka_unit_test(test_the_end_comes_at_any_time),
        cmocka_unit_test(test_where_it_may_listen),
        cmocka_unit_test(test_taken_port),
        cmocka_unit_test(test_certificates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
