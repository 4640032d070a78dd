// SPDX-License-Identifier: Apache-2.0
//
// Nothing of what an object holds is printed, whichever way the server repeats it.
#include "tests/test.h"

#include "kube/kube_int.h"

#define SECRET                                                                                     \
    "{\"kind\":\"Secret\",\"data\":{\"a\":\"czNjcjN0\",\"b\":\"bGluZTEKbGluZTI=\"}}" /* s3cr3t */

static char *text_of(int http, const char *sent, const char *body)
{
    struct buf store CLEANUP(buf_clear) = {0};
    struct asked asked = {"PATCH", sent, sent ? strlen(sent) : 0};
    struct kube_reply r = {
        .http = http, .body = body, .body_len = strlen(body), .retry_after_ms = -1};
    classify(&r, &asked, "application/json", &store);
    return str_dup(r.message);
}

static void says(int http, const char *sent, const char *body, const char *want)
{
    CLEANUP(str_freep) char *got = text_of(http, sent, body);
    assert_string_equal(got, want);
}

#define CAUSES(list) "{\"message\":\"s3cr3t\",\"details\":{\"causes\":[" list "]}}"
#define CAUSE(field, message) "{\"field\":\"" field "\",\"message\":\"" message "\"}"

static void validation(void **s)
{
    (void)s;
    says(422, NULL, CAUSES(CAUSE("data", "Invalid value: \\\"c2VjcmV0\\\": bad")), "data: bad");
    // A value that looks like the end of one.
    says(422, NULL, CAUSES(CAUSE("x", "Invalid value: \\\"a\\\\\\\": hidden\\\": bad")), "x: bad");
    says(422, NULL, CAUSES(CAUSE("x", "Invalid value: 7: must be less than 5")),
         "x: must be less than 5");
    says(422, NULL,
         CAUSES(CAUSE("x", "Unsupported value: \\\"s3\\\": supported values: \\\"a\\\"")),
         "x: supported values: \"a\"");
    // Dumps of objects end nowhere in particular.
    says(422, NULL,
         CAUSES(CAUSE("spec.template",
                      "Invalid value: core.PodTemplateSpec{Value:\\\"s3cr3t\\\": x}: field is "
                      "immutable")),
         "spec.template: field is immutable");
    says(422, NULL,
         CAUSES("{\"field\":\"spec\",\"reason\":\"FieldValueInvalid\",\"message\":\"Invalid value: "
                "{\\\"env\\\": \\\"s3cr3t\\\"}: s3cr3t\"}"),
         "spec: FieldValueInvalid");
    says(422, NULL,
         CAUSES(CAUSE("spec", "Forbidden: spec is immutable after creation\\n  Value: s3cr3t")),
         "spec: spec is immutable after creation");
    says(422, NULL, CAUSES(CAUSE("a", "Required value") "," CAUSE("b", "Required value: name it")),
         "a: invalid; b: name it");
}

static void schema(void **s)
{
    (void)s;
    says(500, NULL,
         "{\"message\":\"failed to create typed patch object (n/x; /v1, Kind=Secret): errors:\\n  "
         ".data.a: expected string, got &value.valueUnstructured{Value:12345}\\n  .x: field not "
         "declared in schema\"}",
         ".data.a: expected string; .x: field not declared in schema");
    says(500, NULL,
         "{\"message\":\"failed to create typed patch object (n/x; /v1, Kind=Secret): .x: field "
         "not declared in schema\"}",
         ".x: field not declared in schema");
}

static void layers(void **s)
{
    (void)s;
    says(500, NULL,
         "{\"message\":\"Internal error occurred: failed calling webhook \\\"a.b\\\": failed to "
         "call "
         "webhook: Post \\\"https://a.b.svc:443/x?timeout=10s\\\": dial tcp 10.0.0.1:443: connect: "
         "connection refused\"}",
         "Post \"https://a.b.svc:443/x?timeout=10s\": dial tcp 10.0.0.1:443: connect: connection "
         "refused");
}

static void what_was_sent(void **s)
{
    (void)s;
    says(400, SECRET, "{\"message\":\"cannot read \\\"s3cr3t\\\" or czNjcjN0 or line1\"}",
         "cannot read \"***\" or *** or ***");
    const char *pod =
        "{\"kind\":\"Deployment\",\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"env\":[{"
        "\"name\":\"P\",\"value\":\"s3cr3t\"}],\"args\":[\"--password=hunter2\",\"-v\"]}]}}}}";
    says(403, pod,
         "{\"message\":\"admission webhook \\\"w\\\" denied the request: env s3cr3t, args "
         "--password=hunter2 -v\"}",
         "admission webhook \"w\" denied the request: env ***, args *** -v");
    // A ConfigMap is no secret, and its words stay readable.
    says(403, "{\"kind\":\"ConfigMap\",\"data\":{\"a\":\"quota\"}}",
         "{\"message\":\"exceeded quota: q\"}", "exceeded quota: q");
}

static void conflicts(void **s)
{
    (void)s;
#define OWNED(field, by)                                                                           \
    "{\"reason\":\"FieldManagerConflict\",\"field\":\"" field "\",\"message\":\"conflict with "    \
    "\\\"" by "\\\" using v1\"}"
    says(409, NULL,
         CAUSES(OWNED(".data.a", "kubectl") "," OWNED(".data.b", "kubectl") "," OWNED(".spec.r",
                                                                                      "scaler")),
         ".data.a, .data.b owned by \"kubectl\"; .spec.r owned by \"scaler\"");
}

static void reasons(void **s)
{
    (void)s;
    static const struct {
        const char *message, *reason;
    } cases[] = {
        {NULL, NULL},
        {"Required value", NULL},
        {"Invalid value: \"unclosed", NULL},
        {"Invalid value: null: field is immutable", "field is immutable"},
        {"Invalid value: true: no", "no"},
        {"Invalid value: []string{\"s3cr3t\"}: bad", NULL},
        {"Too long: may not be more than 262144 bytes", "may not be more than 262144 bytes"},
        {"Duplicate value: \"s3cr3t\"", NULL},
        {"s3cr3t", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(str_freep) char *got = safe_reason(cases[i].message);
        if (!str_eq(got, cases[i].reason))
            fail_msg("%s: %s", cases[i].message, got ? got : "(none)");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(validation),    cmocka_unit_test(schema),    cmocka_unit_test(layers),
        cmocka_unit_test(what_was_sent), cmocka_unit_test(conflicts), cmocka_unit_test(reasons)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
