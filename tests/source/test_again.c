// SPDX-License-Identifier: Apache-2.0
//
// Loading again is loading: after every one of many random commits over directories, kustomizations
// with a base elsewhere, charts, ApplicationSets, projects and definitions that change their scope,
// one source that is kept and another that is new read the same, to the last byte and warning.
// REGROW_TEST_COMMITS and REGROW_TEST_SEED choose another walk.
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "source/load.h"
#include "source/memo.h"
#include "tests/source/desired_text.h"

#define URL "https://git.example.com/platform.git"
#define OTHER_URL "https://git.example.com/values.git"

struct world {
    char *dir;
    struct loop *loop;
    struct source_opts o;
    struct source_mirror mirrors[2];
    struct source *kept;
    struct desired *now;
    struct source_changes changes;
    uint64_t seed;
    unsigned commits, good, amended;
};

static unsigned dice(struct world *w, unsigned n)
{
    w->seed = w->seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(w->seed >> 33) % n;
}

static void run(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    CLEANUP(str_freep) char *command = str_vprintf(fmt, ap);
    va_end(ap);
    if (system(command) != 0)
        fail_msg("%s", command);
}

static void put(struct world *w, const char *path, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    CLEANUP(str_freep) char *text = str_vprintf(fmt, ap);
    va_end(ap);
    CLEANUP(str_freep) char *full = str_printf("%s/r/%s", w->dir, path);
    CLEANUP(str_freep) char *folder = str_ndup(full, (size_t)(strrchr(full, '/') - full));
    struct err err = {0};
    if (!dir_make(folder, 0700, &err) || !file_replace(full, text, strlen(text), 0600, &err))
        fail_msg("%s", err.msg);
}

static void take_away(struct world *w, const char *path)
{
    CLEANUP(str_freep) char *full = str_printf("%s/r/%s", w->dir, path);
    struct err err = {0};
    if (!dir_remove(full, &err))
        fail_msg("%s", err.msg);
}

static void commit(struct world *w)
{
    run("cd '%s/r' && git add -A && git -c user.name=t -c user.email=t@example.com commit "
        "--allow-empty -qm %u",
        w->dir, w->commits++);
}

// ---- what is in the repository ----
static void put_app(struct world *w, const char *name, const char *source, const char *more)
{
    CLEANUP(str_freep) char *path = str_printf("root/%s.yaml", name);
    put(w, path,
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: %s\n"
        "  namespace: argocd\nspec:\n  project: %s\n  destination: {server: "
        "https://kubernetes.default.svc, namespace: %s}\n%s%s",
        name, dice(w, 3) ? "default" : "team", dice(w, 2) ? name : "shared", source,
        more ? more : "");
}

static void put_objects(struct world *w, const char *path, unsigned salt)
{
    put(w, path,
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm-%u}\ndata: {v: \"%u\"}\n---\n"
        "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w-%u%s}\nspec: {size: %u}\n",
        salt % 3, dice(w, 1000), salt, dice(w, 3) ? "" : ", namespace: own", dice(w, 1000));
}

static void add_directory(struct world *w, unsigned n)
{
    CLEANUP(str_freep) char *name = str_printf("dir-%u", n);
    CLEANUP(str_freep)
    char *source =
        str_printf("  source: {repoURL: %s, path: dirs/%s, targetRevision: %s%s}\n", URL, name,
                   dice(w, 2) ? "main" : "HEAD", dice(w, 2) ? ", directory: {recurse: true}" : "");
    CLEANUP(str_freep) char *a = str_printf("dirs/%s/a.yaml", name);
    CLEANUP(str_freep) char *b = str_printf("dirs/%s/sub/b.yaml", name);
    put_objects(w, a, n);
    put_objects(w, b, n + 100);
    put_app(w, name, source,
            dice(w, 2) ? "  syncPolicy: {syncOptions: [CreateNamespace=true]}\n" : NULL);
}

static void add_kustomization(struct world *w, unsigned n)
{
    CLEANUP(str_freep) char *name = str_printf("kust-%u", n);
    CLEANUP(str_freep)
    char *source = str_printf("  source: {repoURL: %s, path: kust/%s, targetRevision: main%s}\n",
                              URL, name, dice(w, 3) ? "" : ", kustomize: {namePrefix: p-}");
    CLEANUP(str_freep) char *k = str_printf("kust/%s/kustomization.yaml", name);
    put(w, k, "resources: [../../base]\nnameSuffix: \"-%u\"\n", n);
    put_app(w, name, source, NULL);
}

static void add_chart(struct world *w, unsigned n)
{
    CLEANUP(str_freep) char *name = str_printf("chart-%u", n);
    CLEANUP(str_freep)
    char *source = str_printf(
        "  sources:\n  - {repoURL: %s, path: charts/%u, targetRevision: main, helm: {valueFiles: "
        "[$values/%s.yaml], parameters: [{name: rev, value: \"%s\"}]}}\n"
        "  - {repoURL: %s, targetRevision: HEAD, ref: values}\n",
        URL, n % 2, name, dice(w, 2) ? "$ARGOCD_APP_REVISION" : "fixed", OTHER_URL);
    run("cd '%s/v' && echo 'size: %u' >%s.yaml && git add -A && git -c user.name=t -c "
        "user.email=t@example.com commit -qm v --allow-empty",
        w->dir, dice(w, 100), name);
    put_app(w, name, source, NULL);
}

static void put_chart(struct world *w, unsigned n)
{
    CLEANUP(str_freep) char *c = str_printf("charts/%u/Chart.yaml", n);
    CLEANUP(str_freep) char *t = str_printf("charts/%u/templates/a.yaml", n);
    put(w, c, "apiVersion: v2\nname: c%u\nversion: 1.0.%u\n", n, dice(w, 9));
    put(w, t,
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: \"{{.Release.Name}}\"}\n"
        "data: {size: \"{{.Values.size}}\", rev: \"{{.Values.rev}}\", salt: \"%u\"}\n"
        "{{- if .Capabilities.APIVersions.Has \"example.com/v1\"}}\n---\n"
        "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: of-chart}\n{{- end}}\n",
        dice(w, 9));
}

static void put_crd(struct world *w, const char *file)
{
    bool v2 = dice(w, 3) == 0;
    put(w, file,
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n"
        "metadata: {name: widgets.example.com}\nspec:\n  group: example.com\n  scope: %s\n"
        "  names: {kind: Widget, plural: widgets}\n  versions:\n"
        "  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: "
        "object}}}\n%s",
        dice(w, 2) ? "Namespaced" : "Cluster",
        v2 ? "  - {name: v2, served: true, storage: false, schema: {openAPIV3Schema: {type: "
             "object}}}\n"
           : "");
}

static void put_project(struct world *w)
{
    static const char *const more[] = {
        "", "  namespaceResourceBlacklist: [{group: \"\", kind: ConfigMap}]\n",
        "  sourceRepos: []\n"};
    unsigned which = dice(w, 4);
    put(w, "root/project.yaml",
        "apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: team, namespace: "
        "argocd}\nspec:\n  destinations: [{server: '*', namespace: '*'}]\n%s"
        "  clusterResourceWhitelist: [{group: '*', kind: '*'}]\n%s",
        which == 2 ? "" : "  sourceRepos: ['*']\n", which < 3 ? more[which] : "");
}

static void put_set(struct world *w)
{
    put(w, "root/set.yaml",
        "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {name: set, namespace: "
        "argocd}\nspec:\n  generators:\n  - git: {repoURL: %s, revision: main, directories: "
        "[{path: "
        "'sets/*'}]}\n  - git: {repoURL: %s, revision: main, files: [{path: 'params/*.json'}]}\n"
        "  template:\n    metadata: {name: 'set-{{path.basename}}-{{path[0]}}'}\n    spec:\n"
        "      project: default\n      source: {repoURL: %s, path: 'sets/{{path.basename}}', "
        "targetRevision: main}\n      destination: {server: https://kubernetes.default.svc, "
        "namespace: set-%u}\n",
        URL, URL, URL, dice(w, 2));
}

// ---- what happens to it ----
static void change_base(struct world *w)
{
    put(w, "base/kustomization.yaml", "resources: [a.yaml]\n");
    put_objects(w, "base/a.yaml", 50);
}

static void change_app(struct world *w)
{
    unsigned n = dice(w, 6);
    switch (dice(w, 4)) {
    case 0:
        add_directory(w, n);
        break;
    case 1:
        add_kustomization(w, n % 3);
        break;
    case 2:
        add_chart(w, n % 3);
        break;
    default: {
        CLEANUP(str_freep)
        char *path = str_printf("root/%s-%u.yaml", n % 2 ? "dir" : "kust", dice(w, 3));
        take_away(w, path);
    }
    }
}

static void change_set(struct world *w)
{
    CLEANUP(str_freep) char *dir = str_printf("sets/s%u", dice(w, 4));
    CLEANUP(str_freep) char *file = path_join(dir, "a.yaml");
    CLEANUP(str_freep) char *p = str_printf("params/p%u/x.json", dice(w, 2));
    if (dice(w, 3))
        put_objects(w, file, dice(w, 200) + 300);
    else
        take_away(w, dir);
    if (!dice(w, 3))
        put(w, p, "{\"x\": \"%u\"}", dice(w, 9));
    if (!dice(w, 4))
        put_set(w);
}

// A link, an override, what is no manifest, what cannot be read, something twice, a child below.
static void change_oddly(struct world *w)
{
    CLEANUP(str_freep) char *dir = str_printf("dirs/dir-%u", dice(w, 3));
    CLEANUP(str_freep) char *odd = path_join(dir, "odd.yaml");
    CLEANUP(str_freep) char *over = path_join(dir, ".argocd-source.yaml");
    switch (dice(w, 7)) {
    case 0:
        put(w, odd, "a: [1\n");
        break;
    case 1:
        put(w, odd, "just: values\n");
        break;
    case 2:
        put(w, odd, "kind: ConfigMap\napiVersion: v1\nmetadata: {name: twice, namespace: all}\n");
        break;
    case 3:
        take_away(w, odd);
        take_away(w, over);
        break;
    case 4:
        put(w, over, "directory: {recurse: %s}\n", dice(w, 2) ? "true" : "false");
        break;
    case 5:
        run("cd '%s/r' && mkdir -p dirs/dir-1 && ln -sfn ../../base/a.yaml dirs/dir-1/link.yaml",
            w->dir);
        break;
    default:
        put(w, odd,
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: below, "
            "namespace: argocd}\nspec:\n  project: default\n  source: {repoURL: %s, path: sets/s1, "
            "targetRevision: main}\n  destination: {server: https://kubernetes.default.svc, "
            "namespace: below}\n",
            URL);
    }
}

static void change_kinds(struct world *w)
{
    static const char *const files[] = {"dirs/dir-0/crd.yaml", "dirs/dir-2/crd.yaml"};
    unsigned which = dice(w, 2);
    // In both it would be owned twice, which is an error of the whole.
    take_away(w, files[!which]);
    if (dice(w, 3))
        put_crd(w, files[which]);
    else
        take_away(w, files[which]);
}

static void change(struct world *w)
{
    void (*const changes[])(struct world *) = {change_base,  change_app,   change_app, change_set,
                                               change_oddly, change_kinds, put_project};
    unsigned n = dice(w, 3) + 1;
    for (unsigned i = 0; i < n; i++)
        changes[dice(w, ARRAY_LEN(changes))](w);
    if (!dice(w, 4))
        put_chart(w, dice(w, 2));
}

// ---- reading it ----
static struct desired *read_anew(struct world *w, struct err *err)
{
    struct desired *d = NULL;
    CLEANUP(source_freep) struct source *s = source_new(w->loop, &w->o);
    bool ok = source_load(s, URL "//root?ref=main", &d, err);
    return ok ? d : NULL;
}

struct heard {
    bool is_over;
    size_t same, news, unread;
    struct err problem;
};

static void on_polled(void *ctx, const struct source_polled *p)
{
    struct heard *h = ctx;
    h->is_over = true;
    for (size_t i = 0; i < p->v.len; i++) {
        const struct source_seen *s = &p->v.v[i];
        h->same += s->news == SOURCE_SAME;
        h->news += s->news == SOURCE_NEWS;
        h->unread += s->news == SOURCE_UNREAD;
        if (s->news == SOURCE_UNREAD && !err_is_set(&h->problem))
            err_copy(&h->problem, &s->problem);
    }
}

static struct heard poll_now(struct world *w, const struct strv *only)
{
    struct heard h = {0};
    assert_true(source_poll(w->kept, only, on_polled, &h));
    assert_false(source_poll(w->kept, only, on_polled, &h)); // one at a time
    for (int i = 0; !h.is_over && i < 1000; i++)
        loop_run_once(w->loop, 100);
    assert_true(h.is_over);
    return h;
}

// Both fail, with the same words, or neither; then they have read the same.
static void read_both(struct world *w)
{
    struct err err = {0};
    struct err other = {0};
    CLEANUP(str_freep) char *what = str_printf("after commit %u", w->commits);
    source_changes_clear(&w->changes);
    bool ok = source_load_again(w->kept, URL "//root?ref=main", &w->now, NULL, &w->changes, &err);
    w->amended += ok && w->changes.is_amended;
    struct desired *fresh CLEANUP(desired_freep) = read_anew(w, &other);
    if (ok != (fresh != NULL) || !str_eq(err.msg, other.msg))
        fail_msg("%s: %s; wanted %s", what, ok ? "fine" : err.msg, fresh ? "fine" : other.msg);
    if (ok) {
        assert_same_state(w->now, fresh, what);
        w->good++;
    }
    err_clear(&err);
    err_clear(&other);
}

static int set_up(void **state)
{
    struct world *w = mem_alloc(sizeof(*w));
    struct err err = {0};
    const char *seed = getenv("REGROW_TEST_SEED");
    if (!dir_make_temp("regrow-test", &w->dir, &err))
        return -1;
    w->seed = seed ? strtoull(seed, NULL, 10) : 20;
    run("cd '%s' && for r in r v; do git init -q -b main $r && git -C $r -c user.name=t -c "
        "user.email=t@example.com commit -qm first --allow-empty; done",
        w->dir);
    w->loop = loop_new(NULL);
    w->mirrors[0] = (struct source_mirror){str_dup(URL), str_printf("file://%s/r", w->dir)};
    w->mirrors[1] = (struct source_mirror){str_dup(OTHER_URL), str_printf("file://%s/v", w->dir)};
    w->o = (struct source_opts){
        .cache_dir = w->dir, .mirrors = w->mirrors, .n_mirrors = 2, .kube_version = "1.37.2"};
    w->kept = source_new(w->loop, &w->o);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    source_changes_clear(&w->changes);
    desired_free(w->now);
    source_free(w->kept);
    loop_free(w->loop);
    for (int i = 0; i < 2; i++) {
        free(w->mirrors[i].from);
        free(w->mirrors[i].to);
    }
    dir_temp_cleanup(&w->dir);
    free(w);
    return 0;
}

static void first_world(struct world *w)
{
    change_base(w);
    put_project(w);
    put_set(w);
    put_chart(w, 0);
    put_chart(w, 1);
    for (unsigned i = 0; i < 3; i++)
        add_directory(w, i);
    add_kustomization(w, 0);
    add_chart(w, 0);
    change_set(w);
    commit(w);
}

static void as_if_new(void **state)
{
    struct world *w = *state;
    const char *n = getenv("REGROW_TEST_COMMITS");
    unsigned commits = n ? (unsigned)atoi(n) : 12;
    first_world(w);
    for (unsigned i = 0; i < commits; i++) {
        // With a poll before it a load asks only what that found; without one everything.
        if (i && dice(w, 3)) {
            struct heard h = poll_now(w, NULL);
            assert_int_not_equal(h.news, 0);
            err_clear(&h.problem);
        }
        read_both(w);
        change(w);
        commit(w);
    }
    assert_in_range(w->good, commits / 5, commits); // or it has shown little
    assert_in_range(memo_count(w->kept->memo), 1, 60);
}

static bool has_changed(const struct world *w, const char *app, enum source_change_kind kind)
{
    for (size_t i = 0; i < w->changes.v.len; i++)
        if (!strcmp(w->changes.v.v[i].app, app))
            return w->changes.v.v[i].kind == kind;
    return false;
}

// Names that no other directory has.
static void put_own(struct world *w, unsigned n, const char *file)
{
    CLEANUP(str_freep) char *path = str_printf("dirs/dir-%u/%s.yaml", n, file);
    put(w, path,
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: own-%u-%c}\ndata: {v: \"%u\"}\n---\n"
        "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w-%u-%u}\nspec: {}\n",
        n, file[strlen(file) - 1], dice(w, 9), n, dice(w, 20));
}

// Only what directories, bases and charts hold changes: mostly nobody else has a say in that, and
// the state is amended. What is another is told rightly all the same.
static void change_content(struct world *w)
{
    unsigned n = dice(w, 3);
    CLEANUP(str_freep) char *file = str_printf("dirs/dir-%u/%c.yaml", n, 'a' + (int)dice(w, 3));
    switch (dice(w, 9)) {
    case 0:
        change_base(w);
        break;
    case 1:
        put_chart(w, dice(w, 2));
        break;
    case 2:
        take_away(w, file);
        break;
    case 3:
        put(w, file, "apiVersion: v1\nkind: Namespace\nmetadata: {name: ns-%u}\n", n);
        break;
    case 4:
        put(w, file,
            "apiVersion: v1\nkind: Secret\nmetadata: {name: s-%u, namespace: argocd, labels: "
            "{argocd.argoproj.io/secret-type: cluster}}\nstringData: {name: c-%u, server: "
            "'https://c-%u'}\n",
            n, dice(w, 3), n);
        break;
    default:
        put_own(w, n, dice(w, 2) ? "a" : "c");
    }
}

static void as_if_amended(void **state)
{
    struct world *w = *state;
    const char *n = getenv("REGROW_TEST_COMMITS");
    unsigned commits = n ? (unsigned)atoi(n) : 20;
    first_world(w);
    put_crd(w, "root/crd.yaml");
    for (unsigned i = 0; i < 3; i++) {
        put_own(w, i, "a");
        put_own(w, i, "sub/b");
    }
    commit(w);
    for (unsigned i = 0; i < commits; i++) {
        struct desired *was CLEANUP(desired_freep) = w->now ? desired_dup(w->now) : NULL;
        struct source_changes wanted CLEANUP(source_changes_clear) = {0};
        if (i && dice(w, 3)) {
            struct heard h = poll_now(w, NULL);
            err_clear(&h.problem);
        }
        unsigned good = w->good;
        read_both(w);
        if (w->good > good) {
            source_compare(was, w->now, &wanted);
            assert_int_equal(wanted.v.len, w->changes.v.len);
        }
        for (size_t k = 0; k < wanted.v.len; k++)
            assert_true(has_changed(w, wanted.v.v[k].app, wanted.v.v[k].kind));
        for (unsigned k = dice(w, 2) + 1; k > 0; k--)
            change_content(w);
        commit(w);
    }
    print_message("# amended %u of %u\n", w->amended, commits);
    assert_in_range(w->amended, commits / 4, commits); // or it has shown little
}

static struct desired *again(struct world *w, const struct source_now *now, struct err *err)
{
    source_changes_clear(&w->changes);
    if (!source_load_again(w->kept, URL "//root?ref=main", &w->now, now, &w->changes, err))
        return NULL;
    return w->now;
}

static void must_read(struct world *w, const struct source_now *now)
{
    struct err err = {0};
    if (!again(w, now, &err))
        fail_msg("%s", err.msg);
}

static const struct application *app_of(const struct world *w, const char *name)
{
    int at = desired_find_app(w->now, name);
    assert_true(at >= 0);
    return w->now->apps.v[at];
}

// The smallest root: two folders, and a chart whose values lie elsewhere.
static void small_world(struct world *w)
{
    put_app(w, "one", "  source: {repoURL: " URL ", path: dirs/one, targetRevision: main}\n", NULL);
    put_app(w, "two", "  source: {repoURL: " OTHER_URL ", path: two, targetRevision: HEAD}\n",
            NULL);
    take_away(w, "root/project.yaml");
    put(w, "root/project.yaml",
        "apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: team, namespace: "
        "argocd}\nspec: {sourceRepos: ['*'], destinations: [{server: '*', namespace: '*'}]}\n");
    put(w, "dirs/one/a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n");
    commit(w);
    run("cd '%s/v' && mkdir -p two && printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "
        "b}\n' >two/b.yaml && git add -A && git -c user.name=t -c user.email=t@example.com commit "
        "-qm two",
        w->dir);
}

// What has changed is told by application, and what has not is the very same text.
static void changes(void **state)
{
    struct world *w = *state;
    small_world(w);
    must_read(w, NULL);
    assert_true(has_changed(w, "one", SOURCE_APP_ADDED));
    struct object_id id = {(char *)"", (char *)"ConfigMap", app_of(w, "two")->dest_namespace,
                           (char *)"b"};
    const char *body = desired_find(w->now, &id)->body;
    put(w, "dirs/one/a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a2}\n");
    commit(w);
    must_read(w, NULL);
    assert_int_equal(w->changes.v.len, 1);
    assert_true(has_changed(w, "one", SOURCE_APP_CONTENT));
    assert_ptr_equal(desired_find(w->now, &id)->body, body);
    assert_string_equal(desired_find(w->now, &id)->id.name, "b");
    must_read(w, NULL);
    assert_int_equal(w->changes.v.len, 0);
    take_away(w, "root/two.yaml");
    commit(w);
    must_read(w, NULL);
    assert_true(has_changed(w, "two", SOURCE_APP_REMOVED));
}

// Whatever a host says that is not a repository with refs in it: nothing is taken for gone.
static void unknown_is_not_empty(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    small_world(w);
    must_read(w, NULL);
    struct heard h = poll_now(w, NULL);
    assert_int_equal(h.same, 2);
    // Replaced by an empty one.
    run("cd '%s' && mv v v.away && git init -q -b main v", w->dir);
    h = poll_now(w, NULL);
    assert_int_equal(h.same, 1);
    assert_int_equal(h.unread, 1);
    assert_non_null(strstr(h.problem.msg, "no refs"));
    err_clear(&h.problem);
    must_read(w, NULL);
    assert_int_equal(app_of(w, "two")->state, APP_UNKNOWN);
    assert_true(has_changed(w, "two", SOURCE_APP_CONTENT));
    // The same for the root: then nothing is known, and what was known is still good.
    run("cd '%s' && mv r r.away && git init -q -b main r", w->dir);
    h = poll_now(w, NULL);
    assert_int_equal(h.unread, 2);
    err_clear(&h.problem);
    CLEANUP(str_freep) char *before = desired_text(w->now);
    assert_null(again(w, NULL, &err));
    CLEANUP(str_freep) char *after = desired_text(w->now);
    assert_string_equal(before, after);
    err_clear(&err);
    // Back again: nothing was forgotten.
    run("cd '%s' && rm -rf r v && mv r.away r && mv v.away v", w->dir);
    h = poll_now(w, NULL);
    if (h.unread)
        fail_msg("%s", h.problem.msg);
    must_read(w, NULL);
    assert_int_equal(app_of(w, "two")->state, APP_KNOWN);
}

// What two applications have, and do not agree about, is an error every time: a state that was
// refused is none that the next could begin with.
static void refused_again(void **state)
{
    struct world *w = *state;
    small_world(w);
    must_read(w, NULL);
    put(w, "dirs/one/both.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: both}\ndata: {a: "
        "\"1\"}\n");
    put(w, "dirs/three/both.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: both}\ndata: {a: "
        "\"2\"}\n");
    put_app(w, "three", "  source: {repoURL: " URL ", path: dirs/three, targetRevision: main}\n",
            NULL);
    for (int i = 0; i < 3; i++) {
        struct err err = {0};
        commit(w);
        assert_null(again(w, NULL, &err));
        assert_non_null(strstr(err.msg, "owned twice"));
        err_clear(&err);
    }
    take_away(w, "dirs/one/both.yaml");
    commit(w);
    must_read(w, NULL);
    struct object_id id = {(char *)"", (char *)"ConfigMap", (char *)"both", (char *)"c"};
    assert_non_null(strstr(desired_find(w->now, &id)->body, "\"2\""));
}

// Back to an earlier revision, and forth.
static void pinned(void **state)
{
    struct world *w = *state;
    small_world(w);
    must_read(w, NULL);
    struct strv revisions = {0};
    struct strv hard = {0};
    strv_push(&revisions, app_of(w, "one")->revisions.v[0]);
    strv_push(&hard, "one");
    put(w, "dirs/one/a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: later}\n");
    commit(w);
    struct source_pin pin = {"one", &revisions};
    struct source_now now = {.pins = &pin, .n_pins = 1, .hard = &hard};
    must_read(w, &now);
    assert_string_equal(app_of(w, "one")->revisions.v[0], revisions.v[0]);
    assert_int_equal(w->changes.v.len, 0);
    must_read(w, NULL);
    assert_true(has_changed(w, "one", SOURCE_APP_CONTENT));
    strv_clear(&revisions);
    strv_clear(&hard);
}

// A push names a repository in one of many ways.
static void pushed(void **state)
{
    struct world *w = *state;
    static const char *const same[] = {
        "https://git.example.com/values", "https://user:secret@Git.Example.com/values.git/",
        "git@git.example.com:values.git", "ssh://git@git.example.com:2222/values.git",
        "https://git.example.com:8443/Values.git"};
    static const char *const other[] = {
        "https://git.example.org/values", "values.git", "", "https://git.example.com/team/values",
        "https://git.example.com/",       "git@:values"};
    small_world(w);
    must_read(w, NULL);
    for (size_t i = 0; i < ARRAY_LEN(same); i++) {
        struct strv found = {0};
        source_uses(w->kept, same[i], &found);
        if (found.len != 1 || strcmp(found.v[0], OTHER_URL) != 0)
            fail_msg("%s", same[i]);
        struct heard h = poll_now(w, &found);
        assert_int_equal(h.same, 1);
        assert_int_equal(h.news + h.unread, 0);
        strv_clear(&found);
    }
    for (size_t i = 0; i < ARRAY_LEN(other); i++) {
        struct strv found = {0};
        source_uses(w->kept, other[i], &found);
        if (found.len)
            fail_msg("%s", other[i]);
    }
}

// Nothing is heard of it, and nothing is left of it.
static void cancelled(void **state)
{
    struct world *w = *state;
    struct heard h = {0};
    small_world(w);
    must_read(w, NULL);
    for (int i = 0; i < 3; i++) {
        assert_true(source_poll(w->kept, NULL, on_polled, &h));
        if (i == 1)
            loop_run_once(w->loop, 0);
        h.is_over = false; // it may have been that quick
        source_poll_cancel(w->kept);
        source_poll_cancel(w->kept);
        for (int k = 0; k < 5; k++)
            loop_run_once(w->loop, 10);
        assert_false(h.is_over);
    }
    assert_true(source_poll(w->kept, NULL, on_polled, &h)); // a load ends it
    must_read(w, NULL);
    assert_false(h.is_over);
    assert_true(source_poll(w->kept, NULL, on_polled, &h)); // and so does the end of its source
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(as_if_amended, set_up, tear_down),
        cmocka_unit_test_setup_teardown(changes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unknown_is_not_empty, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refused_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pinned, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pushed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cancelled, set_up, tear_down),
        cmocka_unit_test_setup_teardown(as_if_new, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
