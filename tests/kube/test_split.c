// SPDX-License-Identifier: Apache-2.0
//
// Lists in pieces, whatever the pieces are.
#include "tests/test.h"

#include "kube/kube_int.h"

struct seen {
    struct buf all;
    unsigned stop_after;
};

static bool on_item(void *ctx, const char *p, size_t len)
{
    struct seen *x = ctx;
    buf_append(&x->all, p, len);
    buf_char(&x->all, '|');
    return !x->stop_after || --x->stop_after;
}

static void lists(void **s)
{
    (void)s;
    static const char *const texts[] = {
        "{\"kind\":\"L\",\"metadata\":{\"items\":[1]},\"items\":[{\"a\":\"]}\\\"\"},{\"b\":[{}]}]}",
        "{ \"items\" : [ {\"a\":\"]}\\\"\"} , {\"b\":[{}]} ] , \"metadata\" : {\"x\":\"items\"} }"};
    for (size_t t = 0; t < ARRAY_LEN(texts); t++) {
        for (size_t piece = 1; piece < 12; piece++) {
            struct seen x = {0};
            struct splitter sp = {.item = on_item, .ctx = &x};
            size_t len = strlen(texts[t]);
            for (size_t at = 0; at < len; at += piece)
                assert_true(split_feed(&sp, texts[t] + at, len - at < piece ? len - at : piece));
            assert_string_equal(x.all.p, "{\"a\":\"]}\\\"\"}|{\"b\":[{}]}|");
            assert_int_equal(sp.depth, 0);
            struct err err = {0};
            json_t *head = NULL;
            assert_true(canon_read(sp.head.p, sp.head.len, &head, &err));
            assert_int_equal(json_array_size(json_object_get(head, "items")), 0);
            json_decref(head);
            split_clear(&sp);
            buf_clear(&x.all);
        }
    }
}

// Feeds a text; true when all of it was taken.
static bool takes(const char *text, struct splitter *sp, struct seen *x)
{
    *sp = (struct splitter){.item = on_item, .ctx = x};
    bool ok = split_feed(sp, text, strlen(text));
    buf_clear(&x->all);
    return ok;
}

static void wrong(void **s)
{
    (void)s;
    static const char *const texts[] = {"}", "{\"items\":[1]}", "{\"items\":[{}]}]",
                                        "{\"items\":[\"x\"]}"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct splitter sp;
        struct seen x = {0};
        if (takes(texts[i], &sp, &x))
            fail_msg("%s was taken", texts[i]);
        assert_non_null(sp.why);
        assert_false(split_feed(&sp, "{", 1)); // once failed, for good
        split_clear(&sp);
    }
    // An answer that was cut shows in the depth.
    struct splitter sp;
    struct seen x = {0};
    assert_true(takes("{\"items\":[{\"a\":1}", &sp, &x));
    assert_int_equal(sp.depth, 2);
    split_clear(&sp);
    // Whoever reads the items can end it.
    x = (struct seen){.stop_after = 1};
    assert_false(takes("{\"items\":[{},{}]}", &sp, &x));
    split_clear(&sp);
}

// An item is bounded, and so is its nesting and what stands around the items.
static void bounds(void **s)
{
    (void)s;
    struct buf big CLEANUP(buf_clear) = {0};
    struct seen x = {0};
    struct splitter sp;
    buf_str(&big, "{\"items\":[{\"a\":\"");
    for (int i = 0; i < 9 << 20; i++)
        buf_char(&big, 'x');
    buf_str(&big, "\"}]}");
    assert_false(takes(big.p, &sp, &x));
    assert_string_equal(sp.why, "an item is larger than 8 MiB");
    assert_true(sp.item_bytes.len <= 8U << 20);
    split_clear(&sp);
    buf_reset(&big);
    for (int i = 0; i < 600; i++)
        buf_char(&big, '[');
    assert_false(takes(big.p, &sp, &x));
    assert_string_equal(sp.why, "nested too deep");
    split_clear(&sp);
    buf_reset(&big);
    buf_str(&big, "{\"metadata\":\"");
    for (int i = 0; i < 2 << 20; i++)
        buf_char(&big, 'x');
    assert_false(takes(big.p, &sp, &x));
    split_clear(&sp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lists), cmocka_unit_test(wrong),
                                       cmocka_unit_test(bounds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
