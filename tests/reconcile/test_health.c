// SPDX-License-Identifier: Apache-2.0
//
// What holds for every kind: which check is asked, and what a wave makes of the answer. The rules
// themselves have their cases in tests/reconcile/cases/health.
#include "tests/test.h"

#include "reconcile/health.h"

static struct health_result health_of_text(const char *text)
{
    CLEANUP(json_freep) json_t *doc = doc_of(text);
    struct health_result h = {0};
    health_of(NULL, doc, &h);
    return h;
}

static void expect(const char *text, enum health status, const char *message)
{
    struct health_result h = health_of_text(text);
    if (h.status != status || strcmp(h.message, message) != 0)
        fail_msg("%s: %s \"%s\"", text, health_name(h.status), h.message);
    health_result_clear(&h);
}

static void kinds_without_a_check(void **s)
{
    (void)s;
    expect("{apiVersion: v1, kind: ConfigMap}", HEALTH_NONE, "");
    expect("{apiVersion: v1, kind: Deployment}", HEALTH_NONE, ""); // not in that group
    expect("{apiVersion: argoproj.io/v1alpha1, kind: Application, status: {health: {status: "
           "Degraded}}}",
           HEALTH_NONE, "");
    expect("{}", HEALTH_NONE, "");
    assert_false(health_has_check(NULL, "", "ConfigMap"));
    assert_true(health_has_check(NULL, "apps", "Deployment"));
    assert_true(health_has_check(NULL, "s3.aws.upbound.io", "Bucket"));
    assert_false(health_has_check(NULL, "upbound.io", "Bucket"));
    assert_false(health_has_check(NULL, "astra.netapp.io", "Back")); // half a name in a list
}

// Argo CD cannot read such an object, and its scripts end where they compare a number with a text.
static void fields_of_another_type(void **s)
{
    (void)s;
#define DEPLOYMENT "{apiVersion: apps/v1, kind: Deployment, "
    expect(DEPLOYMENT "spec: {replicas: '3'}}", HEALTH_UNKNOWN,
           "spec.replicas is not a whole number");
    expect(DEPLOYMENT "spec: {replicas: 3.5}}", HEALTH_UNKNOWN,
           "spec.replicas is not a whole number");
    expect(DEPLOYMENT "spec: {paused: 'true'}}", HEALTH_UNKNOWN,
           "spec.paused is not true or false");
    expect(DEPLOYMENT "spec: text}", HEALTH_UNKNOWN, "spec is not a map");
    expect(DEPLOYMENT "status: {conditions: {a: b}}}", HEALTH_UNKNOWN,
           "status.conditions is not a list");
    expect(DEPLOYMENT "status: {conditions: [text]}}", HEALTH_UNKNOWN,
           "status.conditions holds what is not a map");
    expect(DEPLOYMENT "status: {conditions: [{type: 7}]}}", HEALTH_UNKNOWN,
           "status.conditions[].type is not text");
    expect(DEPLOYMENT "metadata: {generation: x}}", HEALTH_UNKNOWN,
           "metadata.generation is not a whole number");
    expect(DEPLOYMENT "spec: null, status: {replicas: null}}", HEALTH_HEALTHY, "");
    expect("{apiVersion: v1, kind: Pod, status: {containerStatuses: [{state: {waiting: x}}]}}",
           HEALTH_UNKNOWN, "status.containerStatuses[].state.waiting is not a map");
    expect("{apiVersion: v1, kind: Service, spec: {type: LoadBalancer}, status: {loadBalancer: "
           "{ingress: x}}}",
           HEALTH_UNKNOWN, "status.loadBalancer.ingress is not a list");
    expect(
        "{apiVersion: batch/v1, kind: CronJob, status: {lastScheduleTime: 7, lastSuccessfulTime: "
        "'2030'}}",
        HEALTH_UNKNOWN, "a number is compared with something else");
    expect("{apiVersion: cert-manager.io/v1, kind: Issuer, status: {conditions: text}}",
           HEALTH_UNKNOWN, "what should be a list is none");
    struct health_result h = health_of_text(DEPLOYMENT "spec: {replicas: '3'}}");
    assert_true(h.is_error);
    health_result_clear(&h);
}

#define LEAVES "deletionTimestamp: '2030-01-01T00:00:00Z'"

static void on_its_way_out(void **s)
{
    (void)s;
    expect("{apiVersion: v1, kind: ConfigMap, metadata: {" LEAVES "}}", HEALTH_PROGRESSING,
           "Pending deletion");
    expect("{apiVersion: v1, kind: Service, metadata: {" LEAVES "}}", HEALTH_PROGRESSING,
           "Pending deletion");
    // The hook finalizer only keeps a hook until its phase is over.
    expect("{apiVersion: v1, kind: Service, metadata: {" LEAVES
           ", finalizers: [argocd.argoproj.io/hook-finalizer]}}",
           HEALTH_HEALTHY, "");
    expect("{apiVersion: v1, kind: Service, metadata: {" LEAVES ", finalizers: [x/y]}}",
           HEALTH_PROGRESSING, "Pending deletion");
    // A rule that knows what it waits for says so.
    expect("{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: "
           "{" LEAVES "}}",
           HEALTH_PROGRESSING, "CRD is terminating");
    expect("{apiVersion: v1, kind: Service, metadata: {deletionTimestamp: null}}", HEALTH_HEALTHY,
           "");
}

static void a_script_that_gives_nothing(void **s)
{
    (void)s;
    struct health_result h = health_of_text("{apiVersion: spot.io/v1, kind: SpotDeployment}");
    assert_int_equal(h.status, HEALTH_BLANK);
    assert_string_equal(health_name(h.status), "");
    health_result_clear(&h);
}

static void text_that_was_cut_stays_text(void **s)
{
    (void)s;
    // Commits are shown by seven bytes; the seventh here is the first half of a letter.
    expect("{apiVersion: promoter.argoproj.io/v1, kind: ChangeTransferPolicy, status: {conditions: "
           "[{type: Ready, status: 'True'}], active: {dry: {sha: aaaaaaé}}, proposed: {dry: {sha: "
           "aaaaaaé}}}}",
           HEALTH_HEALTHY, "Environment is up-to-date on commit aaaaaa\xef\xbf\xbd.");
}

// Spec argo-cd section 2.3; the two departures are said in health.h.
static void verdicts(void **s)
{
    (void)s;
    static const struct {
        enum health status;
        bool is_error;
        enum health_verdict plain, job, hook;
    } all[] = {
        {HEALTH_NONE, false, HEALTH_DONE, HEALTH_DONE, HEALTH_DONE},
        {HEALTH_HEALTHY, false, HEALTH_DONE, HEALTH_DONE, HEALTH_DONE},
        {HEALTH_DEGRADED, false, HEALTH_WAITS, HEALTH_FAILED, HEALTH_FAILED}, // plain: fails there
        {HEALTH_UNKNOWN, false, HEALTH_WAITS, HEALTH_WAITS, HEALTH_FAILED},
        {HEALTH_PROGRESSING, false, HEALTH_WAITS, HEALTH_WAITS, HEALTH_WAITS},
        {HEALTH_SUSPENDED, false, HEALTH_DONE, HEALTH_DONE, HEALTH_WAITS}, // plain: waits there
        {HEALTH_MISSING, false, HEALTH_WAITS, HEALTH_WAITS, HEALTH_DONE},
        {HEALTH_BLANK, false, HEALTH_WAITS, HEALTH_WAITS, HEALTH_DONE},
        {HEALTH_UNKNOWN, true, HEALTH_WAITS, HEALTH_WAITS, HEALTH_FAILED},
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct health_result r = {.status = all[i].status, .is_error = all[i].is_error};
        assert_int_equal(health_verdict(&r, false, false), all[i].plain);
        assert_int_equal(health_verdict(&r, false, true), all[i].job);
        assert_int_equal(health_verdict(&r, true, false), all[i].hook);
    }
}

static void names(void **s)
{
    (void)s;
    enum health h;
    for (int i = HEALTH_HEALTHY; i <= HEALTH_UNKNOWN; i++) {
        assert_true(health_parse(health_name((enum health)i), &h));
        assert_int_equal(h, i);
    }
    assert_false(health_parse("", &h));
    assert_false(health_parse("healthy", &h));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_without_a_check),
        cmocka_unit_test(fields_of_another_type),
        cmocka_unit_test(on_its_way_out),
        cmocka_unit_test(a_script_that_gives_nothing),
        cmocka_unit_test(text_that_was_cut_stays_text),
        cmocka_unit_test(verdicts),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
