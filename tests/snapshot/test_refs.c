// SPDX-License-Identifier: Apache-2.0
//
// The references of a list: in the form that is written, and in any other that means the same.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/err.h"
#include "snapshot/refs.h"

#define A "00112233445566778899aabbccddeeff"
#define B "ffeeddccbbaa99887766554433221100"

struct row {
    const char *text;
    bool is_plain;
    int ids, files; // ids -1: refused
};

static const struct row rows[] = {
    {"{\"git\":{\"blob\":\"" A "\"},\"shards\":{\"blobs\":[\"" A "\",\"" B "\"]}}\n", true, 3, 0},
    {"{\"a\":[1,-2,true,false,null,\"x\",[],{}],\"blob\":\"" A "\"}", true, 1, 0},
    {"{\"files\":[{\"blobs\":[\"" A
     "\"],\"sha256\":\"x\",\"size\":3},{\"blobs\":[],\"sha256\":\"\"}]}",
     true, 1, 2},
    {"{\"blobs\":\"" A "\",\"sha256\":\"x\"}", true, 1, 0},
    // What means the same otherwise written.
    {"{ \"blob\": \"" A "\" }", false, 1, 0},
    {"{\"z\":1,\"blob\":\"" A "\"}", false, 1, 0},
    {"{\"\\u0062lob\":\"" A "\"}", false, 1, 0},
    {"{\"n\":\"\xc3\xa9\",\"o\":{\"blob\":\"" A "\"}}", false, 1, 0},
    {"{\"a\":1.5,\"blob\":\"" A "\"}", false, 1, 0},
    {"{\"blob\":\"" A "\",\"blob\":\"" B "\"}", false, 1, 0}, // the last one counts
    // What is none.
    {"{\"blob\":\"0011\"}", false, -1, 0},
    {"{\"blob\":{\"blob\":\"" A "\"}}", false, -1, 0},
    {"{\"blobs\":[[\"" A "\"]]}", false, -1, 0},
    {"{\"blob\":null}", false, -1, 0},
    {"{\"blob\":\"" A "\"", false, -1, 0},
    {"{\"blob\":\"" A "\"}}", false, -1, 0},
    {"{\"a\":01}", false, -1, 0},
    {"{\"a\":-}", false, -1, 0},
    {"{\"a\":tru}", false, -1, 0},
    {"{\"a\":1,}", false, -1, 0},
    {"{\"a\" 1}", false, -1, 0},
    {"[1,]", false, -1, 0},
    {"", false, -1, 0},
    {"{\"a\":\"\x01\"}", false, -1, 0},
    {"{\"a\":\"\xff\"}", false, -1, 0},
};

static void each_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct row *r = &rows[i];
        struct list_refs refs = {0};
        struct list_refs plain = {0};
        struct err err = {0};
        print_message("%s\n", r->text);
        assert_int_equal(list_refs_scan(r->text, strlen(r->text), &plain), r->is_plain);
        bool ok = list_refs_find(r->text, strlen(r->text), &refs, &err);
        assert_int_equal(ok, r->ids >= 0);
        if (ok) {
            assert_int_equal(refs.ids.len, r->ids);
            assert_int_equal(refs.files.len, r->files);
        } else {
            assert_int_equal(err.kind, ERR_CORRUPT);
        }
        err_clear(&err);
        list_refs_clear(&refs);
        list_refs_clear(&plain);
    }
}

// Every byte of one changed to every other: what is taken as plain, the parser takes too.
static void changed(void **state)
{
    (void)state;
    static const char text[] = "{\"a\":[-1,{\"blob\":\"" A "\"}],\"files\":[{\"blobs\":[\"" B
                               "\"],\"sha256\":\"x\"}],\"t\":true}\n";
    size_t taken = 0;
    for (size_t at = 0; at + 1 < sizeof(text); at++) {
        for (int c = 0; c < 256; c++) {
            char copy[sizeof(text)];
            struct list_refs refs = {0};
            struct err err = {0};
            json_t *v = NULL;
            memcpy(copy, text, sizeof(text));
            copy[at] = (char)c;
            if (list_refs_scan(copy, sizeof(text) - 1, &refs)) {
                taken++;
                v = json_loadb(copy, sizeof(text) - 1, JSON_REJECT_DUPLICATES, NULL);
                assert_non_null(v);
                assert_in_range(refs.ids.len, 0, 2);
            }
            json_decref(v);
            err_clear(&err);
            list_refs_clear(&refs);
        }
    }
    assert_true(taken > sizeof(text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row),
        cmocka_unit_test(changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
