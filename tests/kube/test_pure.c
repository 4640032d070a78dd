// SPDX-License-Identifier: Apache-2.0
//
// What needs no server: answers and their classes, lists in pieces.
#include "tests/test.h"

#include "kube/kube_int.h"

static void classes(void **s)
{
    (void)s;
    static const struct {
        int http;
        const char *type, *body;
        enum kube_class cls;
    } cases[] = {
        {404, "text/plain", "404 page not found", KUBE_NO_KIND},
        {404, "application/json",
         "{\"message\":\"the server could not find the requested resource\",\"details\":{}}",
         KUBE_NO_KIND},
        {404, "application/json",
         "{\"message\":\"namespaces \\\"x\\\" not found\",\"details\":{\"kind\":\"namespaces\"}}",
         KUBE_NO_NAMESPACE},
        {404, "application/json",
         "{\"message\":\"configmaps \\\"x\\\" not found\",\"details\":{\"kind\":\"configmaps\"}}",
         KUBE_ABSENT},
        {500, "application/json",
         "{\"message\":\"Internal error occurred: failed calling webhook \\\"w\\\": failed to call "
         "webhook: no endpoints available\"}",
         KUBE_GATE},
        {500, "application/json",
         "{\"message\":\"failed to create typed patch object (a; v1): .spec.x: field not declared "
         "in schema\"}",
         KUBE_INVALID},
        {403, "application/json",
         "{\"message\":\"admission webhook \\\"w\\\" denied the request: no\"}", KUBE_DENIED},
        {400, "application/json",
         "{\"message\":\"admission webhook \\\"w\\\" denied the request: no\"}", KUBE_DENIED},
        {403, "application/json",
         "{\"message\":\"pods \\\"a\\\" is forbidden: error looking up service account a/b: "
         "serviceaccount \\\"b\\\" not found\"}",
         KUBE_MISSING_REF},
        {403, "application/json", "{\"message\":\"exceeded quota: q\"}", KUBE_DENIED},
        {409, "application/json",
         "{\"details\":{\"causes\":[{\"reason\":\"FieldManagerConflict\",\"message\":\"conflict "
         "with \\\"kubectl\\\" using v1\",\"field\":\".data.a\"}]}}",
         KUBE_CONFLICT},
        {422, "application/json",
         "{\"details\":{\"causes\":[{\"message\":\"Invalid value: \\\"x\\\": field is "
         "immutable\",\"field\":\"type\"}]}}",
         KUBE_IMMUTABLE},
        {429, "text/plain", "Too many requests, please try again later.", KUBE_THROTTLED},
        {429, "application/json", "{\"message\":\"storage is (re)initializing\"}", KUBE_RETRY},
        {503, "text/plain", "service unavailable", KUBE_GATE},
        {503, "application/json", "{\"message\":\"x\"}", KUBE_RETRY},
        {401, "application/json", "{}", KUBE_UNAUTHORIZED},
        {201, "application/json", "{}", KUBE_OK},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf store CLEANUP(buf_clear) = {0};
        struct kube_reply r = {.http = cases[i].http,
                               .body = cases[i].body,
                               .body_len = strlen(cases[i].body),
                               .retry_after_ms = -1};
        classify(&r, cases[i].type, &store);
        if (r.cls != cases[i].cls)
            fail_msg("%s: %s", cases[i].body, kube_class_name(r.cls));
        if (r.cls == KUBE_CONFLICT) {
            assert_string_equal(r.conflict_manager, "kubectl");
            assert_string_equal(r.field, ".data.a");
        }
        if (r.cls == KUBE_GATE && r.http == 500)
            assert_string_equal(r.webhook, "w");
    }
}

static void no_content_in_messages(void **s)
{
    (void)s;
    const char *body = "{\"message\":\"Secret \\\"a\\\" is invalid: data: Invalid value: "
                       "\\\"c2VjcmV0\\\": bad\",\"details\":{\"causes\":[{\"message\":\"Invalid "
                       "value: \\\"c2VjcmV0\\\": bad\",\"field\":\"data\"}]}}";
    struct buf store CLEANUP(buf_clear) = {0};
    struct kube_reply r = {
        .http = 422, .body = body, .body_len = strlen(body), .retry_after_ms = -1};
    classify(&r, "application/json", &store);
    assert_string_equal(r.message, "data: bad");
}

struct seen {
    struct buf all;
};

static bool on_item(void *ctx, const char *p, size_t len)
{
    struct seen *x = ctx;
    buf_append(&x->all, p, len);
    buf_char(&x->all, '|');
    return true;
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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(classes),
                                       cmocka_unit_test(no_content_in_messages),
                                       cmocka_unit_test(lists)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
