// SPDX-License-Identifier: Apache-2.0
#include "tests/snapshot/hubkit.h"

#include <stdlib.h>

#include "base/file.h"
#include "snapshot/capture.h"
#include "tests/snapshot/snapkit.h"
#include "tests/test.h"

// Two clusters, one of them by its server. For east one application stands in the root, another
// comes from an application of the hub.
static const char make_all[] =
    "set -e; cd '%s'; export HOME=$PWD GIT_CONFIG_NOSYSTEM=1\n"
    "g() { git -c user.name=t -c user.email=t@example.com \"$@\"; }\n"
    "app() { cat <<E\napiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: $1, "
    "namespace: argocd, annotations: {argocd.argoproj.io/sync-wave: '$4'}}\nspec:\n  project: "
    "default\n  source: {repoURL: 'file://$PWD/$5', path: $2, targetRevision: main}\n  "
    "destination: {$3, namespace: $1}\nE\n}\n"
    "mkdir -p apps/web apps/db more/teams more/t1 root\n"
    "printf 'apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: c}\\n---\\napiVersion: v1\\nkind: "
    "Secret\\nmetadata: {name: login}\\nstringData: {a: hunter2}\\n' | tee apps/web/a.yaml "
    ">apps/db/a.yaml\n"
    "printf 'apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: t}\\n' >more/t1/a.yaml\n"
    "app team-1 t1 'name: east' 3 more >more/teams/1.yaml\n"
    "app team-2 t1 'name: east' 1 more >more/teams/2.yaml\n"
    "for r in apps more; do (cd $r; g init -q -b main; g add .; g commit -qm 1); done\n"
    "app web web 'name: east' 0 apps >root/web.yaml\n"
    "app db db 'server: https://west.example.com' 0 apps >root/db.yaml\n"
    "app here web 'server: https://kubernetes.default.svc' 0 apps >root/here.yaml\n"
    "app teams teams 'server: https://kubernetes.default.svc' 0 more >root/teams.yaml\n";

void hub_shell(const struct hub_fixture *f, const char *script)
{
    CLEANUP(str_freep) char *text = str_printf("set -e; cd '%s'\n%s", f->dir, script);
    if (system(text) != 0)
        fail_msg("%s", script);
}

int hub_set_up(void **state)
{
    struct hub_fixture *f = mem_alloc(sizeof(*f));
    struct err err = {0};
    if (!dir_make_temp("regrow-hub", &f->dir, &err))
        return -1;
    CLEANUP(str_freep) char *script = str_printf(make_all, f->dir);
    if (system(script) != 0)
        return -1;
    f->loop = loop_new(NULL);
    log_kit_open(log_kit_store(true), &f->repo);
    *state = f;
    return 0;
}

int hub_tear_down(void **state)
{
    struct hub_fixture *f = *state;
    entry_clear(&f->entry);
    strv_clear(&f->warnings);
    repo_close(&f->repo);
    loop_free(f->loop);
    dir_temp_cleanup(&f->dir);
    free(f);
    return 0;
}

static void load(struct source *s, const char *root, struct desired **d,
                 struct source_clusters *clusters)
{
    struct err err = {0};
    if (!source_load(s, root, d, &err))
        fail_msg("%s", err.msg);
    source_clusters_of(s, *d, clusters);
    for (size_t i = 0; i < clusters->v.len; i++)
        if (!source_load_cluster(s, *d, &clusters->v.v[i], &err))
            fail_msg("%s", err.msg);
}

void hub_snapshot(struct hub_fixture *f)
{
    struct credential job = snap_kit_job("writer");
    struct entry e = {.kind = ENTRY_SNAPSHOT};
    struct err err = {0};
    CLEANUP(str_freep) char *cache = str_printf("%s/cache-%u", f->dir, f->runs);
    CLEANUP(str_freep) char *root = path_join(f->dir, "root");
    CLEANUP(str_freep) char *work = str_printf("%s/work-%u", f->dir, f->runs++);
    struct source_opts so = {.cache_dir = cache,
                             .kube_version = "1.37.0",
                             .cluster_server = "https://kubernetes.default.svc"};
    CLEANUP(source_freep) struct source *s = source_new(f->loop, &so);
    CLEANUP(desired_freep) struct desired *d = NULL;
    CLEANUP(writer_freep) struct writer *w = NULL;
    struct source_clusters clusters CLEANUP(source_clusters_clear) = {0};
    struct capture_report report = {0};
    struct writer_opts wo = {.job = &job};
    load(s, root, &d, &clusters);
    assert_int_equal(clusters.v.len, 2);
    struct capture_opts o = {
        .loop = f->loop, .desired = d, .source = s, .clusters = &clusters, .work_dir = work};
    o.rules = secret_rules_default(&o.n_rules);
    entry_clear(&f->entry);
    if (!dir_make(work, 0700, &err) || !writer_begin(&f->repo, &wo, &w, &err) ||
        !capture_run(w, &o, &e.snapshot, &report, &err) ||
        !writer_commit(w, &e.snapshot, &f->entry, &err))
        fail_msg("%s", err.msg);
    strv_clear(&f->warnings);
    for (size_t i = 0; i < report.warnings.len; i++)
        strv_push(&f->warnings, report.warnings.v[i]);
    capture_report_clear(&report);
    entry_clear(&e);
    credential_clear(&job);
}
