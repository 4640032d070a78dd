// SPDX-License-Identifier: Apache-2.0
//
// A hub's snapshot holds what goes to each of its clusters, rendered for that one: the same comes
// out of it; and what cannot be read now stays as it was, wherever it was found.
#include <stdio.h>

#include "base/file.h"
#include "restore/frozen.h"
#include "snapshot/capture.h"
#include "snapshot/lists.h"
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

struct fixture {
    char *dir;
    struct repo repo;
    struct loop *loop;
    unsigned runs;
    struct entry entry;
    struct strv warnings;
};

static void shell(const struct fixture *f, const char *script)
{
    CLEANUP(str_freep) char *text = str_printf("set -e; cd '%s'\n%s", f->dir, script);
    if (system(text) != 0)
        fail_msg("%s", script);
}

static int set_up(void **state)
{
    struct fixture *f = mem_alloc(sizeof(*f));
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

static int tear_down(void **state)
{
    struct fixture *f = *state;
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

// Reads all of it and writes a snapshot.
static void snapshot(struct fixture *f)
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

// "app=objects parent=P" of what goes there; those that are only parents in brackets.
static char *what_goes_to(struct fixture *f, const char *name)
{
    struct age_identity id = kit_identity(1);
    struct err err = {0};
    struct frozen back = {0};
    struct buf b = {0};
    struct strv words = {0};
    CLEANUP(reader_freep) struct reader *r = NULL;
    CLEANUP(json_freep) json_t *cluster = NULL;
    struct frozen_opts o = {.minor = 37, .server = "https://east.example.com"};
    if (!reader_open(&f->repo, PROD, &f->entry, &id, &r, &err) ||
        !frozen_cluster(r, name, &cluster, &err))
        fail_msg("%s", err.msg);
    if (!cluster)
        return str_dup("nothing");
    o.cluster = cluster;
    if (!frozen_read(r, &o, &back, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(back.zero.len, 0);
    assert_int_equal(back.missing.len, 0);
    assert_string_equal(back.kubernetes, "1.37.0");
    for (unsigned i = 1; i < back.desired->apps.len; i++) {
        const struct application *a = back.desired->apps.v[i];
        bool is_other = a->state == APP_OTHER_CLUSTER;
        strv_push_take(&words, str_printf(is_other ? "(%s=%zu<%s)" : "%s=%zu<%s", a->name,
                                          desired_app_objects(back.desired, i),
                                          back.desired->apps.v[a->parent]->name));
    }
    strv_sort(&words);
    for (size_t i = 0; i < words.len; i++)
        buf_printf(&b, "%s%s", i ? " " : "", words.v[i]);
    if (back.stale.len)
        buf_printf(&b, " stale %zu", back.stale.len);
    strv_clear(&words);
    frozen_clear(&back);
    return buf_take(&b);
}

static void expect(struct fixture *f, const char *cluster, const char *want)
{
    CLEANUP(str_freep) char *got = what_goes_to(f, cluster);
    assert_string_equal(got, want);
}

#define EAST "(teams=0<root) team-1=1<teams team-2=1<teams web=2<root"

static void frozen_for_each(void **state)
{
    struct fixture *f = *state;
    snapshot(f);
    assert_true(f->entry.snapshot.is_good);
    // The root's 2 Applications … are 4 here and 2 of teams; 2 of here; 4 of east and 2 of west.
    assert_int_equal(f->entry.snapshot.counts.secrets, 3);
    expect(f, "east", EAST);
    expect(f, "https://west.example.com", "db=2<root");
    expect(f, "north", "nothing");
}

static void a_secret_is_its_own(void **state)
{
    struct fixture *f = *state;
    struct age_identity id = kit_identity(1);
    struct err err = {0};
    CLEANUP(reader_freep) struct reader *r = NULL;
    CLEANUP(json_freep) json_t *cluster = NULL;
    struct frozen back = {0};
    struct object_id login = {(char *)"", (char *)"Secret", (char *)"web", (char *)"login"};
    if (!reader_open(&f->repo, PROD, &f->entry, &id, &r, &err) ||
        !frozen_cluster(r, "east", &cluster, &err))
        fail_msg("%s", err.msg);
    struct frozen_opts o = {.minor = 37, .cluster = cluster};
    if (!frozen_read(r, &o, &back, &err))
        fail_msg("%s", err.msg);
    const struct object *secret = desired_find(back.desired, &login);
    assert_non_null(secret);
    assert_non_null(strstr(secret->body, "aHVudGVyMg==")); // base64 of hunter2
    frozen_clear(&back);
}

// What it takes is gone from Git: as it was, and the snapshot is suspect.
static void one_that_cannot_be_read(void **state)
{
    struct fixture *f = *state;
    shell(f, "sed -i 's/path: web/path: gone/' root/web.yaml");
    snapshot(f);
    assert_false(f->entry.snapshot.is_good);
    assert_int_equal(f->entry.snapshot.counts.unknown, 1);
    expect(f, "east", EAST " stale 1");
    expect(f, "https://west.example.com", "db=2<root");
    shell(f, "sed -i 's/path: gone/path: web/' root/web.yaml");
}

// An application of the hub that cannot be read may have led there.
static void what_led_there_cannot_be_read(void **state)
{
    struct fixture *f = *state;
    shell(f, "mv more away");
    snapshot(f);
    assert_false(f->entry.snapshot.is_good);
    expect(f, "east", EAST " stale 1");
    expect(f, "https://west.example.com", "db=2<root");
    shell(f, "mv away more");
    snapshot(f);
    assert_true(f->entry.snapshot.is_good);
    expect(f, "east", EAST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frozen_for_each),
        cmocka_unit_test(a_secret_is_its_own),
        cmocka_unit_test(one_that_cannot_be_read),
        cmocka_unit_test(what_led_there_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
