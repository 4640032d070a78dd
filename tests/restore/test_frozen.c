// SPDX-License-Identifier: Apache-2.0
//
// What is read from Git, saved, and read from the snapshot is the same desired state: application
// by application, object by object, edge by edge.
#include "restore/frozen.h"

#include <stdio.h>

#include "base/file.h"
#include "reconcile/plan.h"
#include "snapshot/capture.h"
#include "tests/snapshot/snapkit.h"
#include "tests/test.h"

// Waves, hooks of several phases, Secrets, a definition and its resource, a set, a project, a
// namespace with labels, children of children, options.
static const char make_all[] =
    "set -e; cd '%s'; export HOME=$PWD GIT_CONFIG_NOSYSTEM=1\n"
    "g() { git -c user.name=t -c user.email=t@example.com \"$@\"; }\n"
    "app() { cat <<E\napiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: $1, "
    "namespace: ${4:-argocd}, annotations: {$3}}\nspec:\n  project: default\n  source: {repoURL: "
    "'file://$PWD/apps', path: $2, targetRevision: main}\n  destination: {server: "
    "https://kubernetes.default.svc, namespace: $1}\n  syncPolicy: {automated: {prune: true}, "
    "syncOptions: [CreateNamespace=true, Replace=false], managedNamespaceMetadata: {labels: {team: "
    "$1}}}\nE\n}\n"
    "git init -q -b main apps; mkdir -p apps/web apps/crds apps/nested apps/t1 apps/t2\n"
    "cat >apps/web/all.yaml <<E\n"
    "apiVersion: v1\nkind: Secret\nmetadata: {name: login}\nstringData: {password: hunter2}\n---\n"
    "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: sa, annotations: "
    "{argocd.argoproj.io/sync-wave: \"-1\"}}\n---\n"
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, annotations: "
    "{argocd.argoproj.io/sync-options: 'Replace=true,Prune=false'}}\nspec:\n  selector: "
    "{matchLabels: {a: b}}\n  template:\n    metadata: {labels: {a: b}}\n    spec: "
    "{serviceAccountName: sa, containers: [{name: c, image: i, envFrom: [{secretRef: {name: "
    "login}}]}]}\n---\n"
    "apiVersion: batch/v1\nkind: Job\nmetadata: {name: twice, annotations: "
    "{argocd.argoproj.io/hook: 'PreSync,PostSync', argocd.argoproj.io/hook-delete-policy: "
    "HookSucceeded}}\nspec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: "
    "i}]}}}\n---\n"
    "apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: named-, annotations: "
    "{argocd.argoproj.io/hook: SyncFail}}\nspec: {template: {spec: {restartPolicy: Never, "
    "containers: [{name: c, image: i}]}}}\n---\n"
    "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: of-later}\n---\n"
    "apiVersion: nobody.example.com/v1\nkind: Unknown\nmetadata: {name: strange}\nE\n"
    "cat >apps/crds/crd.yaml <<E\n"
    "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: "
    "widgets.example.com}\nspec:\n  group: example.com\n  scope: Cluster\n  names: {kind: Widget, "
    "plural: widgets}\n  versions: [{name: v1, served: true, storage: true, schema: "
    "{openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]\nE\n"
    "app below t1 '' >apps/nested/below.yaml\n"
    "for i in 1 2; do printf 'apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: c}\\n"
    "data: {v: \"%%s\"}\\n' $i >apps/t$i/c.yaml; done\n"
    "cat >apps/nested/set.yaml <<E\n"
    "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {name: tenants, namespace: "
    "argocd, annotations: {argocd.argoproj.io/sync-wave: '3'}}\nspec:\n  generators: [{list: "
    "{elements: [{who: a}, {who: b}]}}]\n  syncPolicy: {preserveResourcesOnDeletion: true}\n  "
    "template: "
    "{metadata: {name: 'tenant-{{who}}'}, spec: {project: default, source: {repoURL: "
    "'file://$PWD/apps', path: t2, targetRevision: main}, destination: {server: "
    "https://kubernetes.default.svc, namespace: 'tenant-{{who}}'}}}\nE\n"
    "cat >apps/nested/project.yaml <<E\n"
    "apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: default, namespace: "
    "argocd}\nspec: {sourceRepos: ['*'], destinations: [{server: '*', namespace: '*'}], "
    "clusterResourceWhitelist: [{group: '*', kind: '*'}]}\nE\n"
    "(cd apps; g add .; g commit -qm 1)\n"
    "mkdir -p root\n"
    "app web web 'regrow.dev/depends-on: nested' >root/a.yaml\n"
    "app crds crds 'argocd.argoproj.io/sync-wave: \"-5\"' >root/b.yaml\n"
    "app nested nested '' >root/c.yaml\n"
    "app other t1 '' other-ns >root/d.yaml\n"
    "printf 'apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: of-root, namespace: default}\\n' "
    ">root/e.yaml\n";

struct fixture {
    char *dir;
    struct repo repo;
    struct loop *loop;
    struct desired *from_git;
    struct entry entry;
};

static void take_snapshot(struct fixture *f, struct source *s)
{
    struct err err = {0};
    struct credential job = snap_kit_job("writer");
    struct entry e = {.kind = ENTRY_SNAPSHOT};
    struct writer_opts wo = {.job = &job};
    struct capture_report report = {0};
    CLEANUP(writer_freep) struct writer *w = NULL;
    CLEANUP(str_freep) char *work = path_join(f->dir, "work");
    struct capture_opts o = {
        .loop = f->loop, .desired = f->from_git, .source = s, .work_dir = work};
    o.rules = secret_rules_default(&o.n_rules);
    if (!dir_make(work, 0700, &err) || !writer_begin(&f->repo, &wo, &w, &err) ||
        !capture_run(w, &o, &e.snapshot, &report, &err) ||
        !writer_commit(w, &e.snapshot, &f->entry, &err))
        fail_msg("%s", err.msg);
    entry_clear(&e);
    credential_clear(&job);
    capture_report_clear(&report);
}

static int set_up(void **state)
{
    struct fixture *f = mem_alloc(sizeof(*f));
    struct err err = {0};
    if (!dir_make_temp("regrow-frozen", &f->dir, &err))
        return -1;
    CLEANUP(str_freep) char *script = str_printf(make_all, f->dir);
    CLEANUP(str_freep) char *cache = path_join(f->dir, "cache");
    CLEANUP(str_freep) char *root = path_join(f->dir, "root");
    if (system(script) != 0)
        return -1;
    f->loop = loop_new(NULL);
    log_kit_open(log_kit_store(true), &f->repo);
    struct source_opts so = {.cache_dir = cache,
                             .kube_version = "1.37.0",
                             .cluster_server = "https://kubernetes.default.svc"};
    CLEANUP(source_freep) struct source *s = source_new(f->loop, &so);
    if (!source_load(s, root, &f->from_git, &err))
        fail_msg("%s", err.msg);
    take_snapshot(f, s);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    desired_free(f->from_git);
    entry_clear(&f->entry);
    repo_close(&f->repo);
    loop_free(f->loop);
    dir_temp_cleanup(&f->dir);
    free(f);
    return 0;
}

static void thaw(struct fixture *f, struct frozen *out)
{
    struct age_identity id = kit_identity(1);
    struct frozen_opts o = {.minor = 37, .server = "https://kubernetes.default.svc"};
    struct reader *r = NULL;
    struct err err = {0};
    if (!reader_open(&f->repo, PROD, &f->entry, &id, &r, &err) || !frozen_read(r, &o, out, &err))
        fail_msg("%s", err.msg);
    reader_free(r);
}

// ---- both as text, in one order ----
static void add_list(struct buf *b, const struct strv *l)
{
    for (size_t i = 0; i < l->len; i++)
        buf_printf(b, " %s", l->v[i]);
}

static char *origin_words(const struct origin *o)
{
    return str_printf("%s@%s %s:%u (%u)", o->repo ? o->repo : "-", o->revision ? o->revision : "-",
                      o->file ? o->file : "-", o->line, o->source);
}

static char *app_words(const struct desired *d, unsigned i)
{
    const struct application *a = d->apps.v[i];
    struct buf b = {0};
    CLEANUP(str_freep) char *where = origin_words(&a->origin);
    buf_printf(&b, "%s %s %s %s parent=%s wave=%d set=%s server=%s name=%s ns=%s", a->tracking_name,
               a->name, a->namespace, a->project,
               a->parent < 0 ? "-" : d->apps.v[a->parent]->tracking_name, a->wave,
               a->set_name ? a->set_name : "-", a->dest_server ? a->dest_server : "-",
               a->dest_name ? a->dest_name : "-", a->dest_namespace ? a->dest_namespace : "-");
    buf_printf(&b, " flags=%d%d%d%d%d%d%d%d%d%d%d options=%u state=%d sources=%zu at=%s",
               a->has_automated, a->prune, a->self_heal, a->allow_empty, a->create_namespace,
               a->fail_on_shared, a->respect_ignore_differences, a->no_migration, a->prune_never,
               a->delete_never, a->is_preserved, a->options, (int)a->state, a->sources.len, where);
    buf_str(&b, " needs");
    add_list(&b, &a->depends_on);
    if (i) { // a folder has no commit, and the root's own revision stands elsewhere
        buf_printf(&b, " is %s:", a->revision_text ? a->revision_text : "-");
        add_list(&b, &a->revisions);
    }
    return buf_take(&b);
}

static char *object_words(const struct desired *d, unsigned i)
{
    const struct object *o = &d->objects.v[i];
    CLEANUP(str_freep) char *run = o->is_hook ? plan_hook_run(d, i) : str_dup("-");
    CLEANUP(str_freep) char *key = object_key(&o->id);
    CLEANUP(str_freep) char *where = origin_words(&o->origin);
    CLEANUP(str_freep) char *hash = hex_encode(o->hash.b, 8);
    return str_printf(
        "%s %s %s phase=%d/%u hook=%d/%u wave=%d options=%u flags=%d%d%d%d%d %zu %s %s %s",
        d->apps.v[o->app]->tracking_name, key, o->version, (int)o->phase, o->phases, o->is_hook,
        o->hook_delete, o->wave, o->options, o->is_namespaced, o->is_scope_guessed, o->is_made,
        o->is_bare, o->is_virtual, o->body_len, hash, where, run);
}

static char *edge_words(const struct graph *g, const struct edge *e)
{
    return str_printf("%s -> %s %d %s %d%d%d %s", g->nodes.v[e->from].label,
                      g->nodes.v[e->to].label, (int)e->need, edge_why_name(e->why), e->is_hard,
                      e->is_declared, e->is_dropped, e->detail ? e->detail : "-");
}

static void apps_of(const struct desired *d, struct strv *out)
{
    for (unsigned i = 0; i < d->apps.len; i++)
        strv_push_take(out, app_words(d, i));
}

static void objects_of(const struct desired *d, struct strv *out)
{
    for (size_t i = 0; i < d->objects.len; i++)
        strv_push_take(out, object_words(d, (unsigned)i));
}

static void edges_of(const struct desired *d, struct strv *out)
{
    CLEANUP(graph_freep) struct graph *g = NULL;
    struct graph_opts o = {0};
    struct err err = {0};
    if (!graph_build(d, NULL, &o, &g, &err))
        fail_msg("%s", err.msg);
    for (size_t i = 0; i < g->edges.len; i++)
        strv_push_take(out, edge_words(g, &g->edges.v[i]));
}

static void expect_same(struct fixture *f, void (*of)(const struct desired *d, struct strv *out),
                        size_t at_least)
{
    struct frozen back = {0};
    struct strv a = {0};
    struct strv b = {0};
    thaw(f, &back);
    of(f->from_git, &a);
    of(back.desired, &b);
    strv_sort(&a);
    strv_sort(&b);
    for (size_t i = 0; i < a.len || i < b.len; i++)
        if (i >= a.len || i >= b.len || strcmp(a.v[i], b.v[i]) != 0)
            fail_msg("from Git:  %s\nfrom the snapshot: %s", i < a.len ? a.v[i] : "nothing",
                     i < b.len ? b.v[i] : "nothing");
    assert_true(a.len >= at_least);
    strv_clear(&a);
    strv_clear(&b);
    frozen_clear(&back);
}

static void applications(void **state)
{
    expect_same(*state, apps_of, 8);
}

static void objects(void **state)
{
    expect_same(*state, objects_of, 24);
}

static void edges(void **state)
{
    expect_same(*state, edges_of, 60);
}

static void root_and_projects(void **state)
{
    struct fixture *f = *state;
    struct frozen back = {0};
    CLEANUP(str_freep) char *root = path_join(f->dir, "root");
    thaw(f, &back);
    assert_string_equal(back.root, root);
    assert_string_equal(back.desired->root_name, f->from_git->root_name);
    assert_int_equal(back.desired->projects.len, f->from_git->projects.len);
    assert_int_equal(back.desired->projects.len, 1);
    assert_int_equal(back.missing.len, 0);
    assert_int_equal(back.zero.len, 0);
    frozen_clear(&back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(applications),
        cmocka_unit_test(objects),
        cmocka_unit_test(edges),
        cmocka_unit_test(root_and_projects),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
