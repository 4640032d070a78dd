// SPDX-License-Identifier: Apache-2.0
//
// A push on the wire: the request, and reports as servers send them, cut anywhere.
#include "source/pushwire.h"

#include "tests/test.h"

#define ID "1111111111111111111111111111111111111111"
#define OLD "2222222222222222222222222222222222222222"
#define NONE "0000000000000000000000000000000000000000"

static void greeting(const char *list, struct git_greeting *g, struct git_refs *refs)
{
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    pkt_add(&b, "# service=git-receive-pack\n");
    buf_str(&b, "0000");
    size_t nul = strlen(list) + 1; // capabilities follow
    buf_printf(&b, "%04zx", nul + strlen(list + nul) + 4);
    buf_append(&b, list, nul + strlen(list + nul));
    pkt_add(&b, ID " .have\n");
    buf_str(&b, "0000");
    if (!greeting_read_whole(b.p, b.len, g, refs, &err))
        fail_msg("%s", err.msg);
}

static void greetings(void **state)
{
    struct git_greeting g;
    struct git_refs refs = {0};
    (void)state;
    greeting(NONE " capabilities^{}\0 report-status side-band-64k\n", &g, &refs);
    assert_int_equal(refs.refs.len, 0);
    assert_true(g.has_status && g.has_bands && !g.is_v2);
    greeting(ID " refs/heads/main\0 delete-refs\n", &g, &refs);
    assert_int_equal(refs.refs.len, 1); // the other is somebody else's object
    assert_false(g.has_status || g.has_bands);
    git_refs_clear(&refs);
}

static void request(void **state)
{
    struct git_greeting g = {.has_bands = true};
    struct buf b CLEANUP(buf_clear) = {0};
    const char *data;
    size_t n;
    size_t used;
    (void)state;
    push_request_add(&b, &g, "refs/heads/main", "", ID);
    push_request_add(&b, &g, "refs/tags/v1", OLD, ID);
    push_request_end(&b);
    assert_int_equal(pkt_next(b.p, b.len, &data, &n, &used), PKT_DATA);
    assert_string_equal(data, NONE " " ID " refs/heads/main");
    assert_non_null(memmem(data, n, " report-status side-band-64k", 28));
    const char *second = b.p + used;
    assert_int_equal(pkt_next(second, b.len - used, &data, &n, &used), PKT_DATA);
    assert_int_equal(n, strlen(OLD " " ID " refs/tags/v1"));
    assert_memory_equal(data, OLD " " ID " refs/tags/v1", n);
    assert_string_equal(second + used, "0000");
}

static void add_band(struct buf *b, char band, const char *p, size_t len)
{
    buf_printf(b, "%04zx%c", len + 5, band);
    buf_append(b, p, len);
}

// In pieces of `piece` bytes; the report itself is cut between the bands.
static void report(size_t piece, bool bands)
{
    struct buf lines CLEANUP(buf_clear) = {0};
    struct buf all CLEANUP(buf_clear) = {0};
    struct push_report r = {.has_bands = bands};
    struct err err = {0};
    pkt_add(&lines, "unpack ok\n");
    pkt_add(&lines, "ok refs/heads/main\n");
    pkt_add(&lines, "ng refs/pull/7/head deny updating a hidden ref\n");
    buf_str(&lines, "0000");
    if (bands) {
        add_band(&all, 2, "checking\n", 9);
        add_band(&all, 1, lines.p, 7);
        add_band(&all, 2, "no thanks\n", 10);
        add_band(&all, 1, lines.p + 7, lines.len - 7);
        buf_str(&all, "0000");
    } else {
        buf_append(&all, lines.p, lines.len);
    }
    for (size_t at = 0; at < all.len; at += piece)
        assert_true(
            push_report_feed(&r, all.p + at, all.len - at < piece ? all.len - at : piece, &err));
    assert_string_equal(r.unpack, "ok");
    assert_int_equal(r.taken, 1);
    assert_int_equal(r.refused.len, 1);
    assert_string_equal(r.refused.v[0], "refs/pull/7/head deny updating a hidden ref");
    if (bands)
        assert_string_equal(r.said.p, "checking\nno thanks\n");
    push_report_clear(&r);
}

static void reports(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < 40; piece++) {
        report(piece, true);
        report(piece, false);
    }
    report(4096, true);
}

static void hostile(void **state)
{
    static const char *const texts[] = {"zzzz", "0003",
                                        "0009\x03"
                                        "dead",
                                        "0009\x01"
                                        "zzzz"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct push_report r = {.has_bands = true};
        struct err err = {0};
        assert_false(push_report_feed(&r, texts[i], strlen(texts[i]), &err));
        err_clear(&err);
        push_report_clear(&r);
    }
    // What is said without end is kept only in part.
    struct push_report r = {.has_bands = true};
    struct err err = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    char text[1000];
    memset(text, 'x', sizeof(text));
    add_band(&b, 2, text, sizeof(text));
    for (int i = 0; i < 100; i++)
        assert_true(push_report_feed(&r, b.p, b.len, &err));
    assert_true(r.said.len <= 4096);
    push_report_clear(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(greetings), cmocka_unit_test(request),
                                       cmocka_unit_test(reports), cmocka_unit_test(hostile)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
