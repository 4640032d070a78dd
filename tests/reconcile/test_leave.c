// SPDX-License-Identifier: Apache-2.0
//
// Whose conflicts are forced: what a run was told, what somebody has changed, and what an
// application or an object asks for by ServerSideApply=true; and which fields stay their owners'.
#include "tests/test.h"

#include "reconcile/run_int.h"

#define CONFLICT                                                                                   \
    "{\"kind\":\"Status\",\"details\":{\"causes\":[{\"reason\":\"FieldManagerConflict\","          \
    "\"message\":"                                                                                 \
    "\"conflict with \\\"hand\\\" using v1\",\"field\":\".data.a\"},{\"reason\":"                  \
    "\"FieldManagerConflict\",\"message\":\"conflict with "                                        \
    "\\\"scaler\\\"\",\"field\":\".data.b\"}]}}"

static const struct kube_reply conflict = {
    .cls = KUBE_CONFLICT, .http = 409, .body = CONFLICT, .body_len = sizeof(CONFLICT) - 1};

// One object of one application, as it was planned.
struct world {
    struct run r;
    struct node_rt node;
};

static void begin(struct world *w, const char *spec, unsigned options)
{
    struct err err = {0};
    struct application *a = NULL;
    struct origin where = {0};
    CLEANUP(str_freep)
    char *text =
        str_printf("{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {name: "
                   "web, namespace: argocd}, spec: {destination: {namespace: web}, source: "
                   "{repoURL: u, path: p}, %s}}",
                   spec);
    CLEANUP(json_freep) json_t *doc = doc_of(text);
    CLEANUP(json_freep)
    json_t *map = doc_of("{apiVersion: v1, kind: ConfigMap, metadata: {name: m, namespace: web}, "
                         "data: {a: x, b: y}}");
    *w = (struct world){0};
    assert_true(application_parse(doc, &where, &a, &err));
    w->r.desired = desired_new();
    desired_add_app_take(w->r.desired, a);
    struct object *o = vec_push(&w->r.desired->objects);
    assert_true(object_id_of(map, &o->id, &o->version, &err));
    object_set_body(o, map);
    o->options = options;
    w->r.nodes = &w->node;
    w->r.plan = mem_alloc(sizeof(*w->r.plan));
    vec_push(&w->r.plan->items)->live = -1;
}

static void end(struct world *w)
{
    if (w->node.left_out)
        strv_clear(w->node.left_out);
    free(w->node.left_out);
    plan_free(w->r.plan);
    desired_free(w->r.desired);
}

static void forced(void **s)
{
    (void)s;
    static const struct {
        unsigned options;
        bool option, controller, drift, forces;
    } cases[] = {
        {0, false, false, false, false},
        {0, false, false, true, false}, // a run does not take what others have changed
        {0, false, true, false, false}, // nor a controller what it never sent
        {0, false, true, true, true},
        {0, true, false, false, true},
        {SYNC_SERVER_SIDE, false, false, false, true},
        {SYNC_SERVER_SIDE, false, true, false, true},
        {SYNC_FORCE | SYNC_REPLACE | SYNC_NO_VALIDATE, false, true, false, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct world w;
        begin(&w, "syncPolicy: {}", cases[i].options);
        w.r.opts.force_conflicts = cases[i].option;
        w.r.opts.force_drifted = cases[i].controller;
        w.r.plan->items.v[0].is_drift = cases[i].drift;
        assert_int_equal(may_force(&w.r, 0), cases[i].forces);
        // Without a rule nothing is left to anybody: what is not forced is refused.
        assert_int_equal(leave_to_others(&w.r, 0, &conflict), cases[i].forces);
        assert_null(w.node.left_out);
        end(&w);
    }
}

// What ignoreDifferences names stays its owner's where an option is for all there is; then the rest
// is taken.
static void rules_first(void **s)
{
    (void)s;
    struct world w;
    begin(&w, "ignoreDifferences: [{kind: ConfigMap, jsonPointers: [/data/b]}]", SYNC_SERVER_SIDE);
    assert_false(may_force(&w.r, 0));
    assert_true(leave_to_others(&w.r, 0, &conflict));
    assert_int_equal(w.node.left_out->len, 1);
    assert_string_equal(w.node.left_out->v[0], ".data.b");
    assert_true(may_force(&w.r, 0));
    CLEANUP(json_freep) json_t *doc = object_doc(&w.r.desired->objects.v[0]);
    left_out_body(&w.r, 0, doc);
    assert_string_equal(json_dot_str(doc, "data.a"), "x");
    assert_null(json_dot(doc, "data.b"));
    end(&w);
    // Whoever begins a run with --force-conflicts means all of it.
    begin(&w, "ignoreDifferences: [{kind: ConfigMap, jsonPointers: [/data/b]}]", SYNC_SERVER_SIDE);
    w.r.opts.force_conflicts = true;
    assert_true(may_force(&w.r, 0));
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(forced), cmocka_unit_test(rules_first)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
