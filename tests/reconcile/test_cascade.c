// SPDX-License-Identifier: Apache-2.0
//
// Whether an application that is no longer in Git takes its objects along: what was noted of it
// while it was there, against what is there now.
#include "tests/test.h"

#include "reconcile/plan.h"

#define FINALIZER "finalizers: [resources-finalizer.argocd.argoproj.io]"
#define PRUNES "automated: {prune: true}"

static unsigned add(struct desired *d, int parent, const char *meta, const char *policy)
{
    CLEANUP(str_freep)
    char *text = str_printf("{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {%s}, "
                            "spec: {source: {repoURL: u, path: p}, syncPolicy: {%s}}}",
                            meta, policy);
    CLEANUP(json_freep) json_t *doc = doc_of(text);
    struct origin where = {.file = (char *)"f.yaml"};
    struct application *a = NULL;
    struct err err = {0};
    if (!application_parse(doc, &where, &a, &err))
        fail_msg("%s", err.msg);
    a->parent = parent;
    return desired_add_app_take(d, a);
}

static struct desired *new_world(void)
{
    struct desired *d = desired_new();
    kinds_add_builtin(d->kinds, 37);
    desired_add_app_take(d, application_new_root("root"));
    return d;
}

static void add_set(struct desired *d)
{
    CLEANUP(json_freep)
    json_t *doc = doc_of("{apiVersion: argoproj.io/v1alpha1, kind: ApplicationSet, metadata: "
                         "{name: s, namespace: argocd}}");
    struct object o = {.version = str_dup("v1alpha1")};
    o.id = (struct object_id){str_dup("argoproj.io"), str_dup("ApplicationSet"), str_dup("argocd"),
                              str_dup("s")};
    object_set_body(&o, doc);
    desired_add_object_take(d, &o);
}

// why: NULL when its objects go.
static void is(struct desired *after, const json_t *note, const char *words)
{
    struct err err = {0};
    CLEANUP(str_freep) char *why = NULL;
    assert_true(desired_finish(after, &err));
    bool goes = cascade_takes_along(after, note, &why);
    if (goes != !words || (words && !strstr(why, words)))
        fail_msg("%s, wanted %s", goes ? "goes" : why, words ? words : "goes");
}

// An application with these metadata below a root that stays: does it go?
static void alone(const char *meta, const char *policy, const char *words)
{
    struct desired *before CLEANUP(desired_freep) = new_world();
    struct desired *after CLEANUP(desired_freep) = new_world();
    CLEANUP(json_freep) json_t *note = cascade_note(before, add(before, 0, meta, policy));
    is(after, note, words);
}

static void finalizers(void **s)
{
    (void)s;
    alone("name: a", PRUNES, "had no resources-finalizer");
    alone("name: a, finalizers: []", PRUNES, "had no resources-finalizer");
    alone("name: a, finalizers: [foregroundDeletion]", PRUNES, "had no resources-finalizer");
    alone("name: a, finalizers: [post-delete-finalizer.argocd.argoproj.io]", PRUNES, "had no");
    alone("name: a, " FINALIZER, PRUNES, NULL);
    alone("name: a, " FINALIZER, "", NULL); // its own pruning is another matter
    alone("name: a, finalizers: [x, resources-finalizer.argocd.argoproj.io/foreground]", "", NULL);
    alone("name: a, finalizers: [resources-finalizer.argocd.argoproj.io/background]", "", NULL);
    alone("name: a, finalizers: [resources-finalizer.argocd.argoproj.io/else]", "", "had no");
    alone("name: a, " FINALIZER, "syncOptions: [Delete=false]", "Delete=false");
    alone("name: a, " FINALIZER, "syncOptions: [Delete=confirm]",
          NULL); // not before it is approved of
    alone("name: a, " FINALIZER ", annotations: {argocd.argoproj.io/sync-options: Prune=false}", "",
          "its Application had Prune=false");
    alone("name: a, " FINALIZER ", annotations: {helm.sh/resource-policy: keep}", "",
          "its Application had Prune=false");
    // That speaks of the deletion of its parent, which is there.
    alone("name: a, " FINALIZER ", annotations: {argocd.argoproj.io/sync-options: Delete=false}",
          "", NULL);
}

// Who has to approve of the deletion of the Application, before its objects go with it.
static void confirmed(void **s)
{
    (void)s;
    static const struct {
        const char *policy, *marks;
        bool asks;
    } cases[] = {{PRUNES, "", false},
                 {PRUNES, "Prune=confirm", true},
                 {PRUNES ", syncOptions: [Prune=confirm]", "", true},
                 {PRUNES ", syncOptions: [Prune=confirm]", "Prune=true", false}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct desired *before CLEANUP(desired_freep) = new_world();
        struct desired *after CLEANUP(desired_freep) = new_world();
        struct err err = {0};
        CLEANUP(str_freep)
        char *meta = str_printf("name: a, " FINALIZER
                                ", annotations: {argocd.argoproj.io/sync-options: '%s'}",
                                cases[i].marks);
        unsigned apps = add(before, 0, "name: apps", PRUNES);
        CLEANUP(json_freep)
        json_t *note =
            cascade_note(before, add(before, (int)apps, meta, "syncOptions: [Delete=confirm]"));
        add(after, 0, "name: apps", cases[i].policy);
        assert_true(desired_finish(after, &err));
        assert_true(str_eq(cascade_asks(after, note), cases[i].asks ? "apps" : NULL));
        assert_true(json_is_true(json_object_get(note, CASCADE_CONFIRM)));
    }
}

static bool is_it(const void *ctx, const char *app)
{
    return !strcmp(ctx, app);
}

static bool rests(const struct desired *d, const json_t *note, const char *app)
{
    return cascade_rests(d, note, is_it, app);
}

// A whole branch leaves Git: what asks is what was deleted by somebody's hand, not what it had.
static void confirmed_above(void **s)
{
    (void)s;
    static const struct {
        const char *top, *meta, *policy, *asks;
    } cases[] = {{"", "Prune=true", "", NULL},
                 {"", "Prune=confirm", "", "top"},
                 {", syncOptions: [Prune=confirm]", "", "", "top"},
                 {"", "", "syncOptions: [Delete=confirm]", "apps"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct desired *before CLEANUP(desired_freep) = new_world();
        struct desired *after CLEANUP(desired_freep) = new_world();
        struct err err = {0};
        CLEANUP(str_freep) char *policy = str_printf(PRUNES "%s", cases[i].top);
        CLEANUP(str_freep)
        char *meta = str_printf("name: apps, " FINALIZER
                                ", annotations: {argocd.argoproj.io/sync-options: '%s'}",
                                cases[i].meta);
        unsigned top = add(before, 0, "name: top", PRUNES);
        unsigned apps = add(before, (int)top, meta, cases[i].policy);
        CLEANUP(json_freep)
        json_t *note = cascade_note(before, add(before, (int)apps, "name: a, " FINALIZER, ""));
        add(after, 0, "name: top", policy);
        assert_true(desired_finish(after, &err));
        is(after, note, NULL);
        assert_true(str_eq(cascade_asks(after, note), cases[i].asks));
        assert_true(rests(after, note, "top"));  // which deletes it
        assert_true(rests(after, note, "apps")); // gone as well, on the way there
        assert_false(rests(after, note, "platform"));
    }
}

static void old_inventories(void **s)
{
    (void)s;
    static const char *const notes[] = {"{}", "{cascade: 'true'}", "{cascade: false, parent: 7}"};
    struct desired *after CLEANUP(desired_freep) = new_world();
    is(after, NULL, "older regrow");
    for (size_t i = 0; i < ARRAY_LEN(notes); i++) {
        CLEANUP(json_freep) json_t *note = doc_of(notes[i]);
        is(after, note, "had no");
    }
    // As deep as somebody likes.
    CLEANUP(json_freep) json_t *deep = doc_of("{cascade: true}");
    for (int i = 0; i < 1000; i++)
        deep = json_pack("{s:b, s:o}", "cascade", 1, "parent", deep);
    is(after, deep, "its inventory is none");
    assert_false(rests(after, deep, "top"));
    assert_null(cascade_asks(after, deep));
}

// The parent is there: what it says now counts.
static void parents(void **s)
{
    (void)s;
    static const struct {
        const char *policy, *marks, *words;
    } cases[] = {
        {PRUNES, "", NULL},
        {"", "", "apps, which had its Application, does not prune"},
        {"automated: {}", "", "does not prune"},
        {"automated: {prune: true, enabled: false}", "", "does not prune"},
        {PRUNES ", syncOptions: [Prune=false]", "", "does not prune"},
        {PRUNES ", syncOptions: [Prune=false]", "Prune=true", NULL},
        {PRUNES, "Prune=confirm", NULL},
        {PRUNES ", syncOptions: [Prune=false]", "Prune=confirm", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct desired *before CLEANUP(desired_freep) = new_world();
        struct desired *after CLEANUP(desired_freep) = new_world();
        CLEANUP(str_freep)
        char *meta = str_printf("name: a, " FINALIZER
                                ", annotations: {argocd.argoproj.io/sync-options: '%s'}",
                                cases[i].marks);
        unsigned apps = add(before, 0, "name: apps", PRUNES);
        CLEANUP(json_freep) json_t *note = cascade_note(before, add(before, (int)apps, meta, ""));
        apps = add(after, 0, "name: apps", cases[i].policy);
        is(after, note, cases[i].words);
        after->apps.v[apps]->state = APP_OTHER_CLUSTER;
        is(after, note, "apps, which had its Application, could not be read");
    }
}

// The parent is gone as well: its own finalizer decides, and not whether it pruned.
static void ancestors(void **s)
{
    (void)s;
    static const struct {
        const char *top, *parent, *child, *words;
    } cases[] = {
        {FINALIZER, FINALIZER, FINALIZER, NULL},
        {"labels: {}", FINALIZER, FINALIZER, "top, which had its Application, has left Git"},
        {FINALIZER, "labels: {}", FINALIZER, "apps, which had its Application, has left Git"},
        {FINALIZER, FINALIZER, "labels: {}", "had no"},
        {FINALIZER, FINALIZER,
         FINALIZER ", annotations: {argocd.argoproj.io/sync-options: Prune=false}", NULL},
        {FINALIZER, FINALIZER,
         FINALIZER ", annotations: {argocd.argoproj.io/sync-options: Delete=false}",
         "its Application had Delete=false"},
        {FINALIZER, FINALIZER ", annotations: {helm.sh/resource-policy: keep}", FINALIZER,
         "its Application had Delete=false"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct desired *before CLEANUP(desired_freep) = new_world();
        struct desired *after CLEANUP(desired_freep) = new_world();
        CLEANUP(str_freep) char *top = str_printf("name: top, %s", cases[i].top);
        CLEANUP(str_freep) char *parent = str_printf("name: apps, %s", cases[i].parent);
        CLEANUP(str_freep) char *child = str_printf("name: a, %s", cases[i].child);
        unsigned t = add(before, 0, top, "");
        unsigned p = add(before, (int)t, parent, "");
        CLEANUP(json_freep) json_t *note = cascade_note(before, add(before, (int)p, child, ""));
        is(after, note, cases[i].words);
    }
}

// The root is no Application: another one has taken its place.
static void another_root(void **s)
{
    (void)s;
    struct desired *before CLEANUP(desired_freep) = new_world();
    struct desired *after CLEANUP(desired_freep) = desired_new();
    kinds_add_builtin(after->kinds, 37);
    desired_add_app_take(after, application_new_root("another"));
    CLEANUP(json_freep) json_t *root = cascade_note(before, 0);
    CLEANUP(json_freep) json_t *a = cascade_note(before, add(before, 0, "name: a, " FINALIZER, ""));
    CLEANUP(json_freep) json_t *b = cascade_note(before, add(before, 0, "name: b", ""));
    is(after, root, NULL);
    is(after, a, NULL);
    is(after, b, "had no");
}

// A set deletes what it no longer generates whether or not its own parent prunes.
static void sets(void **s)
{
    (void)s;
    struct desired *before CLEANUP(desired_freep) = new_world();
    unsigned apps = add(before, 0, "name: apps", "");
    unsigned one = add(before, (int)apps, "name: a, namespace: argocd, " FINALIZER, "");
    before->apps.v[one]->set_name = str_dup("s");
    CLEANUP(json_freep) json_t *note = cascade_note(before, one);
    before->apps.v[one]->is_preserved = true;
    CLEANUP(json_freep) json_t *preserved = cascade_note(before, one);
    struct desired *after CLEANUP(desired_freep) = new_world();
    add(after, 0, "name: apps", "");
    is(after, note, "does not prune"); // the set is gone, and apps has not deleted it
    add_set(after);
    is(after, note, NULL);
    is(after, preserved, "its ApplicationSet leaves them");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finalizers),      cmocka_unit_test(confirmed),
        cmocka_unit_test(confirmed_above), cmocka_unit_test(old_inventories),
        cmocka_unit_test(parents),         cmocka_unit_test(ancestors),
        cmocka_unit_test(another_root),    cmocka_unit_test(sets)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
