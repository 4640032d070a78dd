// SPDX-License-Identifier: Apache-2.0
//
// What the controller remembers of applications: when a failed one is tried again, and what a load
// makes of them.
#include <stdlib.h>

#include "reconcile/controller_int.h"
#include "tests/test.h"

static struct application *app_of(const char *name, const char *policy)
{
    struct err err = {0};
    struct application *a = NULL;
    struct origin where = {0};
    CLEANUP(json_freep)
    json_t *doc =
        json_pack("{s:s, s:s, s:{s:s, s:s}, s:{s:s, s:{s:s}, s:{s:s, s:s}, s:o*}}", "apiVersion",
                  "argoproj.io/v1alpha1", "kind", "Application", "metadata", "name", name,
                  "namespace", "argocd", "spec", "project", "default", "destination", "namespace",
                  "web", "source", "repoURL", "https://git.example.com/a.git", "path", "x",
                  "syncPolicy", policy ? json_loads(policy, 0, NULL) : NULL);
    assert_true(application_parse(doc, &where, &a, &err));
    return a;
}

static void retries(void **state)
{
    (void)state;
    static const struct {
        const char *policy;
        int64_t want[4]; // after 1, 2, 3, 9 failures
    } cases[] = {
        {NULL, {5000, 10000, 20000, 180000}},
        {"{\"retry\":{\"limit\":2}}", {5000, 10000, -1, -1}},
        {"{\"retry\":{\"limit\":0}}", {-1, -1, -1, -1}},
        {"{\"retry\":{\"limit\":-1,\"backoff\":{\"duration\":\"1s\",\"factor\":3,"
         "\"maxDuration\":\"5s\"}}}",
         {1000, 3000, 5000, 5000}},
        {"{\"retry\":{\"backoff\":{\"duration\":7,\"factor\":1}}}", {7000, 7000, 7000, 7000}},
        {"{\"retry\":{\"backoff\":{\"duration\":\"nonsense\",\"factor\":-2}}}",
         {5000, 5000, 5000, 5000}},
        {"{\"retry\":{\"backoff\":{\"duration\":\"1h\",\"maxDuration\":\"1m\"}}}",
         {60000, 60000, 60000, 60000}},
    };
    static const unsigned failures[] = {1, 2, 3, 9};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct application *a CLEANUP(application_freep) = app_of("a", cases[i].policy);
        for (size_t k = 0; k < ARRAY_LEN(failures); k++)
            assert_int_equal(retry_delay_ms(a, failures[k]), cases[i].want[k]);
    }
}

static struct desired *state_of(const char *const *names, size_t n, const char *changed)
{
    struct desired *d = desired_new();
    struct err err = {0};
    for (size_t i = 0; i < n; i++) {
        struct application *a = app_of(names[i], "{\"automated\":{}}");
        a->state = APP_KNOWN;
        unsigned at = desired_add_app_take(d, a);
        struct object o = {
            .app = at,
            .version = str_dup("v1"),
            .id = {str_dup(""), str_dup("ConfigMap"), str_dup("web"), str_dup(names[i])}};
        CLEANUP(json_freep)
        json_t *doc = json_pack("{s:b}", "changed", str_eq(names[i], changed));
        object_set_body(&o, doc);
        desired_add_object_take(d, &o);
    }
    assert_true(desired_finish(d, &err));
    return d;
}

static unsigned triggers_of(const struct controller *c, const char *name)
{
    const struct tracked *t = tracked_find(c, name);
    return t ? t->triggers : 0;
}

static void settle(struct controller *c)
{
    for (size_t i = 0; i < c->apps.len; i++)
        c->apps.v[i].triggers = 0;
    c->has_gone = false;
    c->has_loaded = true;
}

// What was loaded before may be the same state.
static bool load(struct controller *c, struct desired *next)
{
    struct source_changes changes CLEANUP(source_changes_clear) = {0};
    source_compare(c->desired, next, &changes);
    c->desired = next;
    return tracked_update(c, &changes);
}

static void loads(void **state)
{
    (void)state;
    static const char *const ab[] = {"b", "a"};
    static const char *const bc[] = {"c", "b"};
    struct controller c = {0};
    struct desired *first CLEANUP(desired_freep) = state_of(ab, 2, NULL);
    struct desired *same CLEANUP(desired_freep) = state_of(ab, 2, NULL);
    struct desired *changed CLEANUP(desired_freep) = state_of(ab, 2, "a");
    struct desired *moved CLEANUP(desired_freep) = state_of(bc, 2, NULL);
    load(&c, first);
    assert_int_equal(triggers_of(&c, "a"), TRIGGER_START);
    assert_int_equal(triggers_of(&c, "b"), TRIGGER_START);
    assert_true(c.has_gone); // whatever others have left before
    settle(&c);
    load(&c, same);
    assert_int_equal(triggers_of(&c, "a") | triggers_of(&c, "b"), 0);
    assert_false(c.has_gone);
    load(&c, changed);
    assert_int_equal(triggers_of(&c, "a"), TRIGGER_COMMIT);
    assert_int_equal(triggers_of(&c, "b"), 0);
    settle(&c);
    load(&c, moved);
    assert_null(tracked_find(&c, "a"));
    assert_int_equal(triggers_of(&c, "b"), 0);
    assert_int_equal(triggers_of(&c, "c"), TRIGGER_COMMIT);
    assert_true(c.has_gone);
    tracked_clear(&c);
}

// One that cannot be read is no reason for anything, until it can be read again.
static void unknown(void **state)
{
    (void)state;
    static const char *const ab[] = {"a", "b"};
    struct controller c = {0};
    struct desired *first CLEANUP(desired_freep) = state_of(ab, 2, NULL);
    struct desired *unread CLEANUP(desired_freep) = state_of(ab, 2, NULL);
    struct desired *again CLEANUP(desired_freep) = state_of(ab, 2, NULL);
    unread->apps.v[0]->state = APP_UNKNOWN;
    load(&c, first);
    settle(&c);
    tracked_find(&c, "a")->is_synced = true;
    load(&c, unread);
    assert_int_equal(triggers_of(&c, "a"), 0);
    assert_false(tracked_find(&c, "a")->is_known);
    assert_false(tracked_find(&c, "a")->is_synced);
    load(&c, again);
    assert_int_equal(triggers_of(&c, "a"), TRIGGER_COMMIT);
    assert_int_equal(triggers_of(&c, "b"), 0);
    tracked_clear(&c);
}

// A parent that cannot be read takes nothing along of what people have asked of its children.
static void unread_parent(void **state)
{
    (void)state;
    static const char *const ab[] = {"a", "b"};
    struct controller c = {0};
    struct desired *first CLEANUP(desired_freep) = state_of(ab, 2, NULL);
    struct desired *unread CLEANUP(desired_freep) = state_of(ab, 1, NULL);
    struct desired *again CLEANUP(desired_freep) = state_of(ab, 2, NULL);
    struct desired *gone CLEANUP(desired_freep) = state_of(ab, 1, NULL);
    unread->apps.v[0]->state = APP_UNKNOWN;
    load(&c, first);
    settle(&c);
    tracked_find(&c, "b")->is_suspended = true;
    strv_push(&tracked_find(&c, "b")->pins, "abc");
    load(&c, unread);
    assert_false(c.has_gone);
    assert_false(tracked_find(&c, "b")->is_known);
    assert_false(load(&c, unread)); // as before
    load(&c, again);
    assert_true(tracked_find(&c, "b")->is_known && tracked_find(&c, "b")->is_suspended);
    assert_string_equal(tracked_find(&c, "b")->pins.v[0], "abc");
    assert_int_equal(triggers_of(&c, "b"), TRIGGER_COMMIT);
    load(&c, gone);
    assert_null(tracked_find(&c, "b"));
    assert_true(c.has_gone);
    tracked_clear(&c);
}

static void due(void **state)
{
    (void)state;
    struct tracked t = {0};
    assert_false(tracked_is_due(&t, 1000));
    tracked_trigger(&t, TRIGGER_RETRY, 5000);
    assert_false(tracked_is_due(&t, 4999));
    assert_true(tracked_is_due(&t, 5000));
    tracked_trigger(&t, TRIGGER_DRIFT, 9000); // does not put off what is due before
    assert_true(tracked_is_due(&t, 5000));
    tracked_trigger(&t, TRIGGER_COMMIT, 0);
    assert_true(tracked_is_due(&t, 1));
    assert_int_equal(t.triggers, TRIGGER_RETRY | TRIGGER_DRIFT | TRIGGER_COMMIT);
}

// What waits for a person is owed no turn, however long it waits.
static void owed(void **state)
{
    (void)state;
    static const char by_hand[] = "{}";
    static const char automated[] = "{\"automated\":{}}";
    static const char healing[] = "{\"automated\":{\"selfHeal\":true}}";
    static const struct {
        const char *policy;
        unsigned triggers;
        bool is_suspended, is_unread, is_held;
        bool want;
    } cases[] = {
        {automated, 0, false, false, false, false},
        {automated, TRIGGER_COMMIT, false, false, false, true},
        {automated, TRIGGER_COMMIT, true, false, false, false},
        {automated, TRIGGER_REQUEST, true, false, false, true},
        {automated, TRIGGER_COMMIT, false, true, false, false},
        {automated, TRIGGER_DRIFT, false, false, false, false},
        {automated, TRIGGER_DRIFT | TRIGGER_COMMIT, false, false, false, true},
        {healing, TRIGGER_DRIFT, false, false, false, true},
        {by_hand, TRIGGER_COMMIT, false, false, false, false},
        {by_hand, TRIGGER_REQUEST, false, false, false, true},
        {automated, TRIGGER_COMMIT, false, false, true, false}, // a sync window
    };
    static const char *const names[] = {"a"};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct controller c = {0};
        struct controller_counts n;
        struct desired *d CLEANUP(desired_freep) = state_of(names, 1, NULL);
        application_freep(&d->apps.v[0]);
        d->apps.v[0] = app_of("a", cases[i].policy);
        d->apps.v[0]->state = APP_KNOWN;
        load(&c, d);
        struct tracked *t = tracked_find(&c, "a");
        d->apps.v[0]->state = cases[i].is_unread ? APP_UNKNOWN : APP_KNOWN;
        t->triggers = cases[i].triggers;
        t->is_suspended = cases[i].is_suspended;
        t->held = cases[i].is_held ? str_dup("a window") : NULL;
        controller_counts(&c, &n);
        assert_int_equal(n.queue, cases[i].want);
        assert_int_equal(tracked_is_owed(t, d->apps.v[0]), cases[i].want || cases[i].is_held);
        tracked_clear(&c);
    }
}

// What is asked for is not begun while it stands in its Application still; what else is owed is.
static void pending(void **state)
{
    (void)state;
    static const struct {
        unsigned triggers;
        bool is_pending, want;
    } cases[] = {
        {TRIGGER_REQUEST, false, true},
        {TRIGGER_REQUEST, true, false},
        {TRIGGER_REQUEST | TRIGGER_COMMIT, true, false},
        {TRIGGER_COMMIT, true, true},
        {0, true, false},
    };
    static const char *const names[] = {"a"};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct controller c = {.alone = -1};
        struct desired *d CLEANUP(desired_freep) = state_of(names, 1, NULL);
        load(&c, d);
        settle(&c);
        struct tracked *t = tracked_find(&c, "a");
        t->is_pending = cases[i].is_pending;
        t->triggers = cases[i].triggers;
        assert_int_equal(controller_is_due(&c), cases[i].want);
        tracked_clear(&c);
    }
}

#define OPEN "{kind: deny, schedule: '* * * * *', duration: 1h, applications: [a]"
#define SHUT "{kind: allow, schedule: '0 0 29 2 *', duration: 1m, applications: [a]"

// By the windows of its project: who gets through, and that it is looked at again.
static void windowed(void **state)
{
    (void)state;
    static const struct {
        const char *windows;
        unsigned triggers;
        bool is_trial, want;
    } cases[] = {
        {"[]", TRIGGER_COMMIT, false, true},
        {"[" OPEN "}]", TRIGGER_COMMIT, false, false},
        {"[" OPEN "}]", TRIGGER_DRIFT, false, false},
        {"[" OPEN "}]", TRIGGER_RETRY, false, false},
        {"[" OPEN "}]", TRIGGER_REQUEST, false, false},
        {"[" OPEN "}]", TRIGGER_REQUEST, true, true}, // it writes nothing
        {"[" OPEN ", manualSync: true}]", TRIGGER_COMMIT, false, false},
        {"[" OPEN ", manualSync: true}]", TRIGGER_REQUEST, false, true},
        {"[" OPEN ", syncOverrun: true}]", TRIGGER_COMMIT, false, false},
        {"[" OPEN ", syncOverrun: true}]", TRIGGER_RETRY, false, true},
        {"[" OPEN ", syncOverrun: true}]", TRIGGER_UNFINISHED, false, true},
        {"[" SHUT "}]", TRIGGER_COMMIT, false, false},
        {"[" SHUT ", manualSync: true}]", TRIGGER_REQUEST, false, true},
        {"[{kind: allow, schedule: nonsense, duration: 1h, applications: [a]}]", TRIGGER_REQUEST,
         false, false},
    };
    static const char *const names[] = {"a"};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct controller c = {.alone = -1};
        struct desired *d CLEANUP(desired_freep) = state_of(names, 1, NULL);
        CLEANUP(json_freep) json_t *asked = json_object();
        CLEANUP(str_freep)
        char *project =
            str_printf("{metadata: {name: default}, spec: {syncWindows: %s}}", cases[i].windows);
        application_freep(&d->apps.v[0]);
        d->apps.v[0] = app_of("a", "{\"automated\":{\"selfHeal\":true}}");
        d->apps.v[0]->state = APP_KNOWN;
        *vec_push(&d->projects) = doc_of(project);
        load(&c, d);
        settle(&c);
        struct tracked *t = tracked_find(&c, "a");
        t->triggers = cases[i].triggers;
        t->asked = cases[i].triggers & TRIGGER_REQUEST ? json_incref(asked) : NULL;
        t->op.dry_run = cases[i].is_trial;
        int64_t now = clock_mono_ms();
        if (controller_is_due(&c) != cases[i].want)
            fail_msg("%zu: %s", i, cases[i].windows);
        assert_int_equal(t->held != NULL, !cases[i].want);
        assert_int_equal(t->due_ms > now, !cases[i].want);
        tracked_clear(&c);
    }
}

static void waiting(void **state)
{
    (void)state;
    static const int64_t waited[] = {0, 4000, 5000, 12000, 90000, 600000, 86400000};
    static const int64_t want[] = {5000, 1000, 5000, 12000, 90000, 600000, 600000};
    for (size_t i = 0; i < ARRAY_LEN(waited); i++)
        assert_int_equal(waiting_again_ms(waited[i]), want[i]);
}

static json_t *kept_doc(const char *kind, const char *name, const char *value)
{
    return json_pack("{s:s, s:{s:s, s:s, s:{s:s}}, s:{s:s}}", "kind", kind, "metadata", "name",
                     name, "resourceVersion", value, "labels", "a", "b", "data", "url", value);
}

// What is read of Argo CD's credentials: a change is a reason to load once, noise is none.
static void credentials(void **state)
{
    (void)state;
    static const struct {
        enum kube_event ev;
        const char *kind, *name, *value;
        bool is_news;
        size_t docs;
    } steps[] = {
        {KUBE_ITEM, "Secret", "git", "a", true, 1},
        {KUBE_MODIFIED, "Secret", "git", "a", false, 1},
        {KUBE_MODIFIED, "Secret", "git", "b", true, 1},
        {KUBE_ADDED, "ConfigMap", "argocd-cm", "b", false, 1},
        {KUBE_ADDED, "ConfigMap", ARGOCD_KNOWN_HOSTS, "b", true, 2},
        {KUBE_ADDED, "ConfigMap", ARGOCD_TLS_CERTS, "b", true, 3},
        {KUBE_DELETED, "Secret", "other", "b", false, 3},
        {KUBE_DELETED, "Secret", "git", "b", true, 2},
    };
    struct controller c = {.loop = loop_new(NULL),
                           .argocd_docs = json_object(),
                           .argocd_listed = json_object(),
                           .argocd_kinds = {{.is_synced = true}, {.is_synced = true}}};
    assert_null(argocd_now(&c, NULL));
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        CLEANUP(json_freep)
        json_t *doc = kept_doc(steps[i].kind, steps[i].name, steps[i].value);
        if (c.argocd_settle)
            loop_timer_stop(c.argocd_settle);
        argocd_take(&c, steps[i].ev, doc);
        assert_int_equal(c.argocd_settle && loop_timer_is_set(c.argocd_settle), steps[i].is_news);
        assert_int_equal(json_object_size(c.argocd_docs), steps[i].docs);
    }
    c.argocd_is_news = true;
    assert_int_equal(json_array_size(argocd_now(&c, NULL)), 2);
    assert_null(argocd_now(&c, NULL)); // as before
    argocd_end(&c);
    json_decref(c.argocd_docs);
    json_decref(c.argocd_listed);
    json_decref(c.argocd_list);
    loop_free(c.loop);
}

static void watched(struct controller *c, enum kube_event ev, const char *name)
{
    CLEANUP(json_freep)
    json_t *doc =
        name ? json_pack("{s:{s:s, s:s}}", "metadata", "namespace", "argocd", "name", name) : NULL;
    report_application(c, ev, doc);
}

static void kept_are(const struct controller *c, bool a, bool b)
{
    CLEANUP(json_freep) json_t *has_a = report_kept(c, "argocd/a");
    CLEANUP(json_freep) json_t *has_b = report_kept(c, "argocd/b");
    assert_int_equal(has_a != NULL, a);
    assert_int_equal(has_b != NULL, b);
}

// An Application that was deleted while its watch was away is not in the next list.
static void listed_anew(void **state)
{
    (void)state;
    struct controller c = {.app_docs = json_object(), .app_listed = json_object()};
    watched(&c, KUBE_ITEM, "a");
    watched(&c, KUBE_SYNCED, NULL);
    watched(&c, KUBE_ADDED, "b");
    kept_are(&c, true, true);
    watched(&c, KUBE_ITEM, "b");
    watched(&c, KUBE_RESTARTED, NULL); // and comes anew
    watched(&c, KUBE_ITEM, "a");
    kept_are(&c, true, true);
    watched(&c, KUBE_SYNCED, NULL);
    kept_are(&c, true, false);
    watched(&c, KUBE_GONE, NULL);
    kept_are(&c, false, false);
    json_decref(c.app_docs);
    json_decref(c.app_listed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retries),     cmocka_unit_test(waiting),  cmocka_unit_test(credentials),
        cmocka_unit_test(loads),       cmocka_unit_test(unknown),  cmocka_unit_test(unread_parent),
        cmocka_unit_test(pending),     cmocka_unit_test(windowed), cmocka_unit_test(due),
        cmocka_unit_test(listed_anew), cmocka_unit_test(owed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
