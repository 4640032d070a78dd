// SPDX-License-Identifier: Apache-2.0
//
// The table of spec kubernetes-api section 4: answers as a real server gave them, and their class.
#include "tests/test.h"

#include "kube/kube_int.h"

#define JSON "application/json"
#define TEXT "text/plain; charset=utf-8"
#define M(text) "{\"kind\":\"Status\",\"message\":\"" text "\"}"
#define INTERNAL(text) "{\"kind\":\"Status\",\"reason\":\"InternalError\",\"message\":\"" text "\"}"
#define CAUSE(message, field)                                                                      \
    "{\"reason\":\"Invalid\",\"details\":{\"causes\":[{\"reason\":\"FieldValueInvalid\","          \
    "\"message\":\"" message "\",\"field\":\"" field "\"}]}}"

static const struct {
    int http;
    const char *method, *type, *body;
    enum kube_class cls;
} cases[] = {
    {201, "PATCH", JSON, "{}", KUBE_OK},
    // The four shapes of a kind, namespace or object that is not there.
    {404, "PATCH", TEXT, "404 page not found\n", KUBE_NO_KIND},
    {404, "PATCH", JSON,
     "{\"message\":\"the server could not find the requested resource\",\"details\":{}}",
     KUBE_NO_KIND},
    {404, "PATCH", JSON,
     "{\"message\":\"namespaces \\\"x\\\" not found\",\"details\":{\"kind\":\"namespaces\"}}",
     KUBE_NO_NAMESPACE},
    {404, "GET", JSON,
     "{\"message\":\"namespaces \\\"x\\\" not found\",\"details\":{\"kind\":\"namespaces\"}}",
     KUBE_ABSENT},
    {404, "GET", JSON,
     "{\"message\":\"configmaps \\\"x\\\" not found\",\"details\":{\"kind\":\"configmaps\"}}",
     KUBE_ABSENT},
    // A role that is missing: what a binding waits for, but for who asks for it simply absent.
    {404, "PATCH", JSON, M("roles.rbac.authorization.k8s.io \\\"r\\\" not found"),
     KUBE_MISSING_REF},
    {404, "GET", JSON, M("roles.rbac.authorization.k8s.io \\\"r\\\" not found"), KUBE_ABSENT},
    {404, "DELETE", JSON, M("rolebindings.rbac.authorization.k8s.io \\\"r\\\" not found"),
     KUBE_ABSENT},
    // 500 is not "try again".
    {500, "PATCH", JSON,
     INTERNAL("Internal error occurred: failed calling webhook \\\"w\\\": failed to call webhook: "
              "no endpoints available for service \\\"x\\\""),
     KUBE_GATE},
    {500, "PATCH", JSON,
     M("failed to create typed patch object (a; v1): .spec.x: field not declared in schema"),
     KUBE_INVALID},
    {500, "PATCH", JSON,
     M("failed to convert new object (a/b; /v1, Kind=Secret) to smd typed: illegal base64 data"),
     KUBE_INVALID},
    {500, "PATCH", JSON, M("some schema error nobody has seen yet"), KUBE_INVALID},
    {500, "PATCH", JSON, M("conversion webhook for x.io/v1, Kind=T failed: Post"), KUBE_GATE},
    {500, "GET", JSON, M("x \\\"t\\\" object not decodable"), KUBE_GATE},
    {500, "PATCH", JSON, M("etcdserver: request is too large"), KUBE_INVALID},
    {500, "PATCH", JSON, M("rpc error: code = ResourceExhausted desc = trying to send message"),
     KUBE_INVALID},
    {500, "PATCH", JSON, M("etcdserver: leader changed"), KUBE_RETRY},
    {500, "PATCH", JSON, M("etcdserver: request timed out"), KUBE_RETRY},
    {500, "PATCH", JSON, INTERNAL("Internal error occurred: something of the server's own"),
     KUBE_RETRY},
    {500, "GET", TEXT, "oops", KUBE_RETRY},
    {413, "PATCH", TEXT, "", KUBE_INVALID},
    // A webhook's verdict comes with any code its author likes.
    {403, "PATCH", JSON, M("admission webhook \\\"w\\\" denied the request: no"), KUBE_DENIED},
    {400, "PATCH", JSON, M("admission webhook \\\"w\\\" denied the request: no"), KUBE_DENIED},
    {401, "PATCH", JSON, M("admission webhook \\\"w\\\" denied the request: no"), KUBE_DENIED},
    {404, "PATCH", JSON, M("admission webhook \\\"w\\\" denied the request: no"), KUBE_DENIED},
    {418, "PATCH", JSON, M("admission webhook \\\"w\\\" denied the request without explanation"),
     KUBE_DENIED},
    {429, "PATCH", JSON, M("admission webhook \\\"w\\\" denied the request: slow"), KUBE_DENIED},
    {500, "PATCH", JSON, M("admission webhook \\\"w\\\" denied the request: no"), KUBE_DENIED},
    {503, "PATCH", JSON, M("admission webhook \\\"w\\\" denied the request: no"), KUBE_DENIED},
    // A policy's verdict; an invalid policy is not one.
    {422, "PATCH", JSON,
     M("configmaps \\\"a\\\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied "
       "request: no"),
     KUBE_DENIED},
    {401, "PATCH", JSON,
     M("configmaps \\\"a\\\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied "
       "request: no"),
     KUBE_DENIED},
    {422, "PATCH", JSON,
     M("configmaps \\\"a\\\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied "
       "request: failed to configure binding: failed to find resource referenced by paramKind"),
     KUBE_DENIED},
    {422, "PATCH", JSON,
     "{\"message\":\"ValidatingAdmissionPolicy.admissionregistration.k8s.io \\\"p\\\" is "
     "invalid\",\"details\":{\"causes\":[{\"message\":\"Required value\",\"field\":\"spec\"}]}}",
     KUBE_INVALID},
    {403, "PATCH", JSON, M("exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1"),
     KUBE_DENIED},
    {403, "PATCH", JSON, M("failed quota: q: must specify limits.cpu"), KUBE_DENIED},
    {403, "PATCH", JSON, M("pods \\\"a\\\" is forbidden: violates PodSecurity"), KUBE_DENIED},
    {403, "PATCH", JSON, M("status unknown for quota: q, resources: pods"), KUBE_RETRY},
    {403, "PATCH", JSON, M("User \\\"u\\\" cannot patch resource \\\"runtimeclasses\\\""),
     KUBE_DENIED},
    // A bare Pod's references.
    {403, "PATCH", JSON,
     M("pods \\\"a\\\" is forbidden: error looking up service account a/b: serviceaccount "
       "\\\"b\\\" not found"),
     KUBE_MISSING_REF},
    {403, "PATCH", JSON,
     M("pods \\\"a\\\" is forbidden: no PriorityClass with name high was found"), KUBE_MISSING_REF},
    {403, "PATCH", JSON,
     M("pods \\\"a\\\" is forbidden: pod rejected: RuntimeClass \\\"r\\\" not found"),
     KUBE_MISSING_REF},
    // What is being deleted.
    {403, "PATCH", JSON,
     M("configmaps \\\"a\\\" is forbidden: unable to create new content in namespace x because it "
       "is being terminated"),
     KUBE_NO_NAMESPACE},
    {403, "PATCH", JSON, M("create not allowed while custom resource definition is terminating"),
     KUBE_NO_KIND},
    // Conflicts: of fields for good, of versions and sums for a moment.
    {409, "PATCH", JSON,
     "{\"details\":{\"causes\":[{\"reason\":\"FieldManagerConflict\",\"message\":\"conflict with "
     "\\\"kubectl\\\" using v1\",\"field\":\".data.a\"}]}}",
     KUBE_CONFLICT},
    {409, "PATCH", JSON,
     "{\"message\":\"Operation cannot be fulfilled on configmaps \\\"a\\\": the object has been "
     "modified\",\"details\":{\"name\":\"a\",\"kind\":\"configmaps\"}}",
     KUBE_RETRY},
    {409, "POST", JSON,
     "{\"message\":\"Operation cannot be fulfilled on resourcequotas \\\"q\\\"\",\"details\":{"
     "\"name\":\"q\",\"kind\":\"resourcequotas\"}}",
     KUBE_RETRY},
    {409, "PUT", JSON, M("the object has been modified"), KUBE_CONFLICT},
    {409, "POST", JSON, M("leases.coordination.k8s.io \\\"regrow\\\" already exists"),
     KUBE_CONFLICT},
    {409, "DELETE", JSON, M("Precondition failed: UID in precondition: a, UID in object meta: b"),
     KUBE_CONFLICT},
    // Fields that cannot be changed, one per kind of text.
    {422, "PATCH", JSON, CAUSE("Invalid value: \\\"x\\\": field is immutable", "type"),
     KUBE_IMMUTABLE},
    {422, "PATCH", JSON,
     CAUSE("Invalid value: {\\\"metadata\\\":{},\\\"spec\\\":{}}: field is immutable",
           "spec.template"),
     KUBE_IMMUTABLE},
    {422, "PATCH", JSON,
     CAUSE("Invalid value: core.PodTemplateSpec{Spec:core.PodSpec{}}: field is immutable",
           "spec.template"),
     KUBE_IMMUTABLE},
    {422, "PATCH", JSON,
     CAUSE("Invalid value: [\\\"10.96.0.9\\\"]: may not change once set", "spec.clusterIPs[0]"),
     KUBE_IMMUTABLE},
    {422, "PATCH", JSON,
     CAUSE("Forbidden: spec is immutable after creation except resources.requests\\n  "
           "core.PersistentVolumeClaimSpec{",
           "spec"),
     KUBE_IMMUTABLE},
    {422, "PATCH", JSON,
     CAUSE("Forbidden: updates to statefulset spec for fields other than 'replicas' are forbidden",
           "spec"),
     KUBE_IMMUTABLE},
    {422, "PATCH", JSON, CAUSE("Forbidden: may not be changed in an update.", "value"),
     KUBE_IMMUTABLE},
    {422, "PATCH", JSON, CAUSE("Invalid value: \\\"x\\\": cannot change roleRef", "roleRef"),
     KUBE_IMMUTABLE},
    {422, "PATCH", JSON, CAUSE("Forbidden: field is immutable when `immutable` is set", "data"),
     KUBE_IMMUTABLE},
    {422, "PATCH", JSON, CAUSE("Invalid value: null: field is immutable", "provisioner"),
     KUBE_IMMUTABLE},
    // A value that speaks of immutability is still only a value.
    {422, "PATCH", JSON,
     CAUSE("Invalid value: \\\"field is immutable\\\": must be a DNS label", "metadata.name"),
     KUBE_INVALID},
    {400, "PATCH", JSON, M("invalid object type: /v1, Kind=Pod"), KUBE_INVALID},
    // Flow control, and what only looks like it.
    {429, "PATCH", TEXT, "Too many requests, please try again later.\n", KUBE_THROTTLED},
    {429, "GET", JSON, M("storage is (re)initializing"), KUBE_RETRY},
    {429, "GET", JSON,
     M("storage is (re)initializing: failed to list x.io/v1, Kind=T: conversion webhook for "
       "x.io/v1 "
       "failed"),
     KUBE_GATE},
    {503, "PATCH", TEXT, "service unavailable\n", KUBE_GATE},
    {503, "PATCH", JSON,
     M("the request has been made before all known HTTP paths have been "
       "installed"),
     KUBE_RETRY},
    {504, "GET", JSON, M("Too large resource version"), KUBE_RETRY},
    {502, "GET", TEXT, "", KUBE_RETRY},
    {401, "GET", JSON, M("Unauthorized"), KUBE_UNAUTHORIZED},
};

static void classes(void **s)
{
    (void)s;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf store CLEANUP(buf_clear) = {0};
        struct asked asked = {.method = cases[i].method};
        struct kube_reply r = {.http = cases[i].http,
                               .body = cases[i].body,
                               .body_len = strlen(cases[i].body),
                               .retry_after_ms = -1};
        classify(&r, &asked, cases[i].type, &store);
        if (r.cls != cases[i].cls)
            fail_msg("%d %s %s: %s", cases[i].http, cases[i].method, cases[i].body,
                     kube_class_name(r.cls));
    }
}

static void answer(struct kube_reply *r, struct buf *store, int http, const char *body)
{
    struct asked asked = {.method = "PATCH"};
    *r = (struct kube_reply){
        .http = http, .body = body, .body_len = strlen(body), .retry_after_ms = -1};
    classify(r, &asked, JSON, store);
}

static void details(void **s)
{
    (void)s;
    struct buf store CLEANUP(buf_clear) = {0};
    struct kube_reply r;
    answer(&r, &store, 409,
           "{\"reason\":\"Conflict\",\"details\":{\"causes\":[{\"reason\":\"FieldManagerConflict\","
           "\"message\":\"conflict with \\\"scaler\\\" with subresource \\\"scale\\\" using "
           "apps/v1\",\"field\":\".spec.replicas\"}]}}");
    assert_string_equal(r.conflict_manager, "scaler");
    assert_string_equal(r.field, ".spec.replicas");
    assert_string_equal(r.reason, "Conflict");
    buf_reset(&store);
    answer(&r, &store, 500, INTERNAL("failed calling webhook \\\"w.x.io\\\": failed to call"));
    assert_string_equal(r.webhook, "w.x.io");
    buf_reset(&store);
    answer(&r, &store, 418, M("admission webhook \\\"w.x.io\\\" denied the request: tea"));
    assert_string_equal(r.webhook, "w.x.io");
    assert_non_null(strstr(r.message, "denied the request: tea"));
    buf_reset(&store);
    // Of several causes the one that cannot be changed is named.
    answer(&r, &store, 422,
           "{\"details\":{\"causes\":[{\"message\":\"Required value\",\"field\":\"a\"},{"
           "\"message\":\"Invalid value: \\\"x\\\": field is immutable\",\"field\":\"b\"}]}}");
    assert_int_equal(r.cls, KUBE_IMMUTABLE);
    assert_string_equal(r.field, "b");
    buf_reset(&store);
    answer(&r, &store, 503, "{\"message\":\"x\",\"details\":{\"retryAfterSeconds\":5}}");
    assert_int_equal(r.retry_after_ms, 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(classes), cmocka_unit_test(details)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
