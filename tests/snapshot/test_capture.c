// SPDX-License-Identifier: Apache-2.0
//
// From a folder, a chart and a Git repository into a snapshot and out of it again: every object,
// every file and every Git object byte for byte; and what happens when they shrink or go away.
#include "snapshot/capture.h"

#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/proc.h"
#include "snapshot/reader.h"
#include "tests/snapshot/snapkit.h"
#include "tests/test.h"

// A root of two applications: one in a Git repository with refs of every kind, one a chart (where
// helm is there to package it).
static const char make_all[] =
    "set -e; cd '%s'; export HOME=$PWD GIT_CONFIG_NOSYSTEM=1\n"
    "g() { git -c user.name=t -c user.email=t@example.com \"$@\"; }\n"
    "git init -q -b main apps; mkdir apps/web; cd apps\n"
    "for i in 1 2 3 4; do printf 'apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: c%%s}\\n"
    "data: {v: \"%%s\"}\\n' $i $i >web/c$i.yaml; done\n"
    "printf 'apiVersion: v1\\nkind: Secret\\nmetadata: {name: login}\\nstringData: {password: "
    "hunter2}\\n' >web/secret.yaml\n"
    "printf 'apiVersion: v1\\nkind: ServiceAccount\\nmetadata: {name: sa, annotations: "
    "{argocd.argoproj.io/sync-wave: \"-1\"}}\\n' >web/sa.yaml\n"
    "g add .; g commit -qm 1; g tag light; g tag -a -m x annotated; export GIT_CONFIG_COUNT=1 "
    "GIT_CONFIG_KEY_0=advice.nestedTag GIT_CONFIG_VALUE_0=false; g tag -a -m y nested "
    "annotated\n"
    "g tag a-file HEAD:web/c1.yaml; g notes add -m note; g update-ref refs/pull/1/head HEAD\n"
    "g checkout -q -b 'feature/\xc3\xa9\"'; echo >web/empty.yaml; g add .; g commit -qm 2\n"
    "g checkout -q main; cd ..\n"
    "git init -q -b main root; mkdir root/apps; cat >root/apps/web.yaml <<E\n"
    "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: web, namespace: "
    "argocd}\nspec:\n  project: default\n  source: {repoURL: 'file://$PWD/apps', path: web, "
    "targetRevision: main}\n  destination: {server: https://kubernetes.default.svc, namespace: "
    "web}\n  syncPolicy: {syncOptions: [CreateNamespace=true]}\nE\n"
    "command -v helm >helm || exit 0\n"
    "mkdir -p c/templates charts; printf 'apiVersion: v2\\nname: c\\nversion: 1.2.3\\n' "
    ">c/Chart.yaml\n"
    "printf 'apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: of-chart}\\ndata: {r: {{ "
    ".Release.Name }}}\\n' >c/templates/a.yaml\n"
    "helm package -d charts c >log 2>&1; helm repo index charts\n"
    "cat >root/apps/chart.yaml <<E\n"
    "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: chart, namespace: "
    "argocd, annotations: {regrow.dev/depends-on: web}}\nspec:\n  project: default\n  source: "
    "{repoURL: '$PWD/charts', chart: c, targetRevision: 1.2.3}\n  destination: {server: "
    "https://kubernetes.default.svc, namespace: web}\nE\n";

struct fixture {
    char *dir, *work;
    bool has_chart;
    struct repo repo;
    struct loop *loop;
    unsigned runs;
};

static void shell(const struct fixture *f, const char *script)
{
    CLEANUP(str_freep)
    char *text = str_printf("set -e; cd '%s'; export HOME=$PWD GIT_CONFIG_NOSYSTEM=1\n"
                            "g() { git -c user.name=t -c user.email=t@example.com \"$@\"; }\n%s",
                            f->dir, script);
    if (system(text) != 0)
        fail_msg("%s", script);
}

static int set_up(void **state)
{
    struct fixture *f = mem_alloc(sizeof(*f));
    struct err err = {0};
    if (!dir_make_temp("regrow-capture", &f->dir, &err))
        return -1;
    CLEANUP(str_freep) char *script = str_printf(make_all, f->dir);
    if (system(script) != 0)
        return -1;
    CLEANUP(str_freep) char *chart = path_join(f->dir, "root/apps/chart.yaml");
    f->has_chart = file_exists(chart);
    f->loop = loop_new(NULL);
    log_kit_open(log_kit_store(true), &f->repo);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    repo_close(&f->repo);
    loop_free(f->loop);
    dir_temp_cleanup(&f->dir);
    free(f->work);
    free(f);
    return 0;
}

// Reads the root and writes a snapshot of it.
static bool try_snapshot(struct fixture *f, bool full, struct entry *out,
                         struct capture_report *report, struct err *err)
{
    struct credential job = snap_kit_job("writer");
    struct entry e = {.kind = ENTRY_SNAPSHOT};
    CLEANUP(str_freep) char *cache = path_join(f->dir, "cache");
    CLEANUP(str_freep) char *root = path_join(f->dir, "root/apps");
    CLEANUP(str_freep) char *work = str_printf("%s/work-%u", f->dir, f->runs++);
    struct source_opts so = {.cache_dir = cache,
                             .kube_version = "1.37.0",
                             .cluster_server = "https://kubernetes.default.svc"};
    CLEANUP(source_freep) struct source *s = source_new(f->loop, &so);
    CLEANUP(desired_freep) struct desired *d = NULL;
    CLEANUP(writer_freep) struct writer *w = NULL;
    struct writer_opts wo = {.job = &job, .full = full};
    if (!dir_make(work, 0700, err) || !source_load(s, root, &d, err) ||
        !writer_begin(&f->repo, &wo, &w, err))
        fail_msg("%s", err->msg);
    struct capture_opts o = {
        .loop = f->loop, .desired = d, .source = s, .root = root, .work_dir = work};
    o.rules = secret_rules_default(&o.n_rules);
    bool ok =
        capture_run(w, &o, &e.snapshot, report, err) && writer_commit(w, &e.snapshot, out, err);
    entry_clear(&e);
    credential_clear(&job);
    return ok;
}

static struct entry snapshot(struct fixture *f, struct capture_report *report)
{
    struct entry out = {0};
    struct err err = {0};
    if (!try_snapshot(f, false, &out, report, &err))
        fail_msg("%s", err.msg);
    return out;
}

// ---- reading back ----
struct opened {
    struct age_identity id;
    struct reader *r;
    json_t *root;
};

static void open_snapshot(struct fixture *f, const struct entry *e, struct opened *o)
{
    struct err err = {0};
    *o = (struct opened){.id = kit_identity(1)};
    if (!reader_open(&f->repo, PROD, e, &o->id, &o->r, &err) || !reader_root(o->r, &o->root, &err))
        fail_msg("%s", err.msg);
    assert_string_equal(json_dot_str(o->root, "type"), "regrow root v1");
}

static void close_snapshot(struct opened *o)
{
    reader_free(o->r);
    json_decref(o->root);
}

static json_t *list_at(struct opened *o, const json_t *ref)
{
    struct err err = {0};
    struct blob_id id;
    json_t *v = NULL;
    const char *hex = json_dot_str(ref, "blob");
    if (!hex || !blob_id_parse(hex, &id) || !reader_json(o->r, &id, 'l', &v, &err))
        fail_msg("%s", err_is_set(&err) ? err.msg : "no reference");
    return v;
}

// Appends the blobs of a list of references.
static void blobs_of(struct opened *o, const json_t *blobs, struct buf *out)
{
    size_t i;
    json_t *hex;
    json_array_foreach((json_t *)blobs, i, hex)
    {
        struct blob_id id;
        struct err err = {0};
        if (!blob_id_parse(json_string_value(hex), &id) || !reader_blob(o->r, &id, NULL, out, &err))
            fail_msg("%s", err_is_set(&err) ? err.msg : "no id");
    }
}

// {"name", "blob", "stale"} of an application.
static json_t *app_row(struct opened *o, const char *name)
{
    size_t i;
    json_t *hex;
    json_array_foreach(json_dot(o->root, "shards.blobs"), i, hex)
    {
        CLEANUP(json_freep) json_t *ref = json_pack("{s:O}", "blob", hex);
        CLEANUP(json_freep) json_t *shard = list_at(o, ref);
        size_t k;
        json_t *row;
        json_array_foreach(json_object_get(shard, "applications"), k, row)
        {
            if (str_eq(json_dot_str(row, "name"), name))
                return json_incref(row);
        }
    }
    fail_msg("%s is not there", name);
    return NULL;
}

static json_t *app_list(struct opened *o, const char *name)
{
    CLEANUP(json_freep) json_t *row = app_row(o, name);
    return list_at(o, row);
}

static json_t *find_row(const json_t *app, const char *kind, const char *name, size_t *position)
{
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(app, "objects"), i, row)
    {
        if (!str_eq(json_dot_str(row, "kind"), kind) || !str_eq(json_dot_str(row, "name"), name))
            continue;
        if (position)
            *position = i;
        return row;
    }
    fail_msg("no row of %s %s", kind, name);
    return NULL;
}

static bool has_edge(const json_t *graph, const json_t *from, const json_t *to, const char *why)
{
    size_t i;
    json_t *e;
    json_array_foreach(json_object_get(graph, "edges"), i, e)
    {
        if (json_equal(json_array_get(e, 0), from) && json_equal(json_array_get(e, 1), to) &&
            str_eq(json_string_value(json_array_get(e, 3)), why))
            return true;
    }
    return false;
}

// ---- Git, by the git program ----
static bool append(void *ctx, const void *p, size_t len, struct err *err)
{
    (void)err;
    buf_append(ctx, p, len);
    return true;
}

// Every pack in force as a file dir/N.pack; how many.
static unsigned write_packs(struct fixture *f, const struct entry *e, struct opened *o,
                            const char *dir)
{
    struct err err = {0};
    struct batches all = {0};
    struct chain_keys keys;
    uint8_t repo[REPO_ID_BYTES];
    unsigned n = 0;
    kit_repo(repo);
    chain_keys_derive(&o->id, repo, PROD, &keys);
    if (!batches_read(&f->repo, PROD, e, &keys, &all, &err))
        fail_msg("%s", err.msg);
    for (size_t i = 0; i < all.v.len; i++) {
        const struct index *x = &all.v.v[i];
        struct buf pack CLEANUP(buf_clear) = {0};
        for (size_t k = 0; x->is_git && k < x->records.len; k++) {
            const struct index_record *rec = &x->records.v[k];
            if (rec->kind != 'g')
                continue;
            int git = x->packs.v[rec->pack].git;
            if (!reader_blob(o->r, &rec->id, NULL, &pack, &err))
                fail_msg("%s", err.msg);
            bool more = k + 1 < x->records.len && x->records.v[k + 1].kind == 'g' &&
                        x->packs.v[x->records.v[k + 1].pack].git == git;
            if (more)
                continue;
            CLEANUP(str_freep) char *path = str_printf("%s/%u.pack", dir, n++);
            if (!file_replace(path, pack.p, pack.len, 0600, &err))
                fail_msg("%s", err.msg);
            buf_reset(&pack);
        }
    }
    batches_clear(&all);
    return n;
}

// Makes a repository of a snapshot and holds it against the one it was made of.
static void expect_same_git(struct fixture *f, const struct entry *e, struct opened *o)
{
    struct err err = {0};
    CLEANUP(str_freep) char *dir = str_printf("%s/out-%u", f->dir, f->runs++);
    CLEANUP(str_freep) char *refs_file = path_join(dir, "refs");
    CLEANUP(str_freep) char *script = NULL;
    struct buf lines CLEANUP(buf_clear) = {0};
    assert_true(dir_make(dir, 0700, &err));
    CLEANUP(json_freep) json_t *git = list_at(o, json_object_get(o->root, "git"));
    const json_t *rows = json_object_get(git, "repositories");
    assert_int_equal(json_array_size(rows), 1);
    CLEANUP(json_freep) json_t *repository = list_at(o, json_array_get(rows, 0));
    assert_string_equal(json_dot_str(repository, "head"), "refs/heads/main");
    assert_string_equal(json_dot_str(repository, "format"), "sha1");
    size_t i;
    json_t *ref;
    json_array_foreach(json_object_get(repository, "refs"), i, ref)
    {
        buf_printf(&lines, "%s %s\n", json_dot_str(ref, "id"), json_dot_str(ref, "name"));
    }
    assert_int_equal(e->snapshot.counts.refs, i);
    assert_true(file_replace(refs_file, lines.p, lines.len, 0600, &err));
    unsigned packs = write_packs(f, e, o, dir);
    script = str_printf("src=apps; [ -d apps ] || src=gone; cd %s; git init -q --bare -b main r\n"
                        "for n in $(seq 0 %u); do git -C r index-pack --stdin <$n.pack >log; done\n"
                        "while read -r id name; do git -C r update-ref \"$name\" $id; done <refs\n"
                        "git -C r fsck --full --strict >log 2>&1 || { cat log; exit 1; }\n"
                        "for d in r ../$src; do git -C $d for-each-ref --format='%%(objectname) "
                        "%%(refname)' >list-${d##*/}; git -C $d rev-list --all --objects | sort "
                        ">>list-${d##*/}; done\n"
                        "cmp list-r list-$src",
                        dir, packs - 1);
    shell(f, script);
}

// ---- the tests ----
// With the key: every pack, every reference, and Git indexed and followed.
static void expect_verified(struct fixture *f)
{
    struct verify_result v;
    snap_kit_verify(&f->repo, &v);
    assert_int_equal(v.level, VERIFY_CONTENT);
    assert_true(v.git_objects > 10);
    verify_result_clear(&v);
}

static void everything_comes_back(void **state)
{
    struct fixture *f = *state;
    struct capture_report report = {0};
    struct opened o;
    struct err err = {0};
    struct entry e = snapshot(f, &report);
    for (size_t i = 0; i < report.warnings.len; i++)
        print_message("# %s\n", report.warnings.v[i]);
    assert_int_equal(report.warnings.len, 0);
    assert_true(e.snapshot.is_good);
    assert_int_equal(e.snapshot.counts.unknown, 0);
    assert_int_equal(e.snapshot.counts.apps, f->has_chart ? 3 : 2);
    assert_int_equal(e.snapshot.counts.secrets, 1);
    open_snapshot(f, &e, &o);
    CLEANUP(json_freep) json_t *web = app_list(&o, "web");
    // Rows in their order, with where they came from.
    size_t at = 0;
    size_t sa_at = 0;
    const json_t *row = find_row(web, "ConfigMap", "c2", &at);
    struct buf text CLEANUP(buf_clear) = {0};
    CLEANUP(json_freep) json_t *one = json_pack("[O]", json_object_get(row, "blob"));
    blobs_of(&o, one, &text);
    CLEANUP(json_freep) json_t *doc = NULL;
    assert_true(canon_read(text.p, text.len, &doc, &err));
    assert_string_equal(json_dot_str(doc, "data.v"), "2");
    assert_string_equal(json_dot_str(doc, "metadata.namespace"), "web");
    assert_string_equal(json_dot_str(row, "origin.file"), "web/c2.yaml");
    assert_int_equal(json_dot_int(row, "origin.source", -1), 0);
    assert_int_equal(json_dot_int(row, "origin.line", -1), 1);
    assert_int_equal(json_dot_int(find_row(web, "ServiceAccount", "sa", &sa_at), "wave", 0), -1);
    assert_null(json_object_get(find_row(web, "Namespace", "web", NULL), "origin"));
    assert_string_equal(json_dot_str(web, "parent"), "apps");
    assert_string_equal(json_dot_str(json_array_get(json_object_get(web, "sources"), 0), "kind"),
                        "git");
    // A Secret is named, and lies in the pool alone.
    const json_t *secret = find_row(web, "Secret", "login", NULL);
    assert_true(json_is_true(json_object_get(secret, "secret")));
    assert_null(json_object_get(secret, "blob"));
    CLEANUP(json_freep)
    json_t *pool = list_at(&o, json_array_get(json_object_get(o.root, "secrets"), 0));
    struct buf secrets CLEANUP(buf_clear) = {0};
    blobs_of(&o, json_object_get(pool, "blobs"), &secrets);
    assert_non_null(strstr(secrets.p, "\"aHVudGVyMg==\""));
    assert_true(str_starts(secrets.p, "{\"from\":\"desired\",\"object\":"));
    // The order, without anything being rendered.
    CLEANUP(json_freep) json_t *graph = list_at(&o, json_object_get(web, "graph"));
    CLEANUP(json_freep) json_t *me = json_integer((json_int_t)at);
    CLEANUP(json_freep) json_t *barrier = json_string("barrier web Sync -1");
    assert_true(has_edge(graph, me, barrier, "wave"));
    expect_same_git(f, &e, &o);
    expect_verified(f);
    close_snapshot(&o);
    entry_clear(&e);
    capture_report_clear(&report);
}

static json_t *source_of_kind(struct opened *o, const char *kind)
{
    CLEANUP(json_freep) json_t *all = list_at(o, json_object_get(o->root, "sources"));
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(all, "sources"), i, row)
    {
        if (str_eq(json_dot_str(row, "kind"), kind))
            return list_at(o, row);
    }
    fail_msg("no source of kind %s", kind);
    return NULL;
}

static void expect_file(struct opened *o, const json_t *file, const char *path)
{
    struct err err = {0};
    struct buf want CLEANUP(buf_clear) = {0};
    struct buf got CLEANUP(buf_clear) = {0};
    assert_true(file_read(path, 64 << 20, &want, &err));
    if (!reader_file(o->r, file, append, &got, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(got.len, want.len);
    assert_memory_equal(got.p, want.p, got.len);
}

static void sources_come_back(void **state)
{
    struct fixture *f = *state;
    struct capture_report report = {0};
    struct opened o;
    struct entry e = snapshot(f, &report);
    open_snapshot(f, &e, &o);
    CLEANUP(json_freep) json_t *folder = source_of_kind(&o, "folder");
    size_t i;
    json_t *file;
    json_array_foreach(json_object_get(folder, "files"), i, file)
    {
        CLEANUP(str_freep)
        char *path = str_printf("%s/root/%s", f->dir, json_dot_str(file, "path"));
        expect_file(&o, file, path);
    }
    assert_int_equal(i, f->has_chart ? 2 : 1);
    CLEANUP(json_freep) json_t *git = source_of_kind(&o, "git");
    assert_int_equal(strlen(json_dot_str(git, "revision")), 40);
    assert_null(json_object_get(git, "files"));
    if (f->has_chart) {
        CLEANUP(json_freep) json_t *chart = source_of_kind(&o, "helm");
        CLEANUP(str_freep) char *path = path_join(f->dir, "charts/c-1.2.3.tgz");
        expect_file(&o, json_array_get(json_object_get(chart, "files"), 0), path);
        assert_string_equal(json_dot_str(chart, "revision"), "1.2.3");
        assert_true(str_starts(json_dot_str(chart, "digest"), "sha256:"));
        CLEANUP(json_freep) json_t *app = app_list(&o, "chart");
        const json_t *row = find_row(app, "ConfigMap", "of-chart", NULL);
        assert_string_equal(json_dot_str(row, "origin.file"), "c/templates/a.yaml");
    } else {
        print_message("# no helm: charts were not tried\n");
    }
    close_snapshot(&o);
    entry_clear(&e);
    capture_report_clear(&report);
}

// Nothing new adds nothing; a commit adds what it changed, and the whole is there all the same.
static void increments(void **state)
{
    struct fixture *f = *state;
    struct capture_report report = {0};
    struct opened o;
    struct entry a = snapshot(f, &report);
    struct entry b = snapshot(f, &report);
    assert_int_equal(b.snapshot.bytes.added, 0);
    assert_true(sha256_eq(&a.snapshot.git, &b.snapshot.git));
    assert_true(blob_id_eq(&a.snapshot.root, &b.snapshot.root));
    shell(f, "cd apps; sed -i s/2/22/ web/c2.yaml; g commit -qam 3; g checkout -q -b side light; "
             "echo 'kind: x' >x; g add x; g commit -qm 4; g tag -a -m z signed; g branch -D "
             "'feature/\xc3\xa9\"'; g checkout -q main");
    struct entry c = snapshot(f, &report);
    assert_true(c.snapshot.is_good);
    open_snapshot(f, &c, &o);
    // What a deleted branch alone led to may still be in the packs: fsck tells, refs decide.
    CLEANUP(str_freep) char *dir = path_join(f->dir, "packs-of-c");
    struct err err = {0};
    assert_true(dir_make(dir, 0700, &err));
    assert_int_equal(write_packs(f, &c, &o, dir), 2);
    expect_same_git(f, &c, &o);
    close_snapshot(&o);
    struct capture_report none = {0};
    struct entry d = snapshot(f, &none);
    assert_int_equal(d.snapshot.bytes.added, 0);
    entry_clear(&a);
    entry_clear(&b);
    entry_clear(&c);
    entry_clear(&d);
    capture_report_clear(&report);
    capture_report_clear(&none);
}

// The Git host answers nothing: what was there stays, and the snapshot is suspect.
static void host_gone(void **state)
{
    struct fixture *f = *state;
    struct capture_report report = {0};
    struct opened before;
    struct opened after;
    struct entry a = snapshot(f, &report);
    assert_int_equal(report.warnings.len, 0);
    shell(f, "mv apps gone");
    for (int i = 0; i < 3; i++) {
        struct entry b = snapshot(f, &report);
        assert_false(b.snapshot.is_good);
        assert_true(strv_has(&b.snapshot.why, "unknown-source"));
        assert_int_equal(b.snapshot.why.len, 1);
        assert_int_equal(b.snapshot.counts.unknown, 3); // application, source, repository
        assert_int_equal(b.snapshot.counts.objects, a.snapshot.counts.objects);
        assert_int_equal(b.snapshot.counts.refs, a.snapshot.counts.refs);
        assert_int_equal(b.snapshot.counts.secrets, a.snapshot.counts.secrets);
        open_snapshot(f, &a, &before);
        open_snapshot(f, &b, &after);
        CLEANUP(json_freep) json_t *old = app_row(&before, "web");
        CLEANUP(json_freep) json_t *now = app_row(&after, "web");
        assert_true(json_is_true(json_object_get(now, "stale")));
        assert_string_equal(json_dot_str(old, "blob"), json_dot_str(now, "blob"));
        CLEANUP(json_freep) json_t *web = app_list(&after, "web");
        assert_non_null(find_row(web, "ConfigMap", "c2", NULL));
        const json_t *pools = json_object_get(after.root, "secrets");
        assert_int_equal(json_array_size(pools), 2);
        CLEANUP(json_freep) json_t *pool = list_at(&after, json_array_get(pools, 1));
        assert_int_equal(json_array_size(json_object_get(pool, "blobs")), 1);
        CLEANUP(json_freep) json_t *apps = list_at(&after, json_object_get(after.root, "before"));
        assert_true(json_array_size(json_object_get(apps, "blobs")) > 0);
        expect_same_git(f, &b, &after);
        close_snapshot(&before);
        close_snapshot(&after);
        entry_clear(&b);
    }
    shell(f, "mv gone apps");
    struct entry c = snapshot(f, &report);
    assert_true(c.snapshot.is_good);
    assert_true(blob_id_eq(&a.snapshot.root, &c.snapshot.root));
    entry_clear(&a);
    entry_clear(&c);
    capture_report_clear(&report);
}

// A clone that rotted: what is recorded was looked through, so it is unknown; never recorded.
static void git_rotten(void **state)
{
    static const struct {
        const char *damage, *mend, *says;
    } cases[] = {
        {"cd apps; git repack -qad; rm -rf ../kept; cp -r .git/objects ../kept; "
         "p=$(ls .git/objects/pack/*.pack); chmod u+w $p; "
         "printf '!xyz' | dd of=$p bs=1 seek=$(($(stat -c %s $p) - 90)) conv=notrunc 2>log",
         "cd apps; rm -rf .git/objects; cp -r ../kept .git/objects", "apps"},
        {"cd apps; git rev-parse HEAD~0 >.git/shallow", "cd apps; rm .git/shallow", "shallow"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct capture_report report = {0};
        shell(f, cases[i].damage);
        struct entry e = snapshot(f, &report);
        assert_false(e.snapshot.is_good);
        assert_true(strv_has(&e.snapshot.why, "unknown-source"));
        assert_non_null(strstr(report.warnings.v[report.warnings.len - 1], cases[i].says));
        entry_clear(&e);
        capture_report_clear(&report);
        shell(f, cases[i].mend);
        e = snapshot(f, &report);
        if (!e.snapshot.is_good)
            fail_msg("%s", report.warnings.v[0]);
        entry_clear(&e);
        capture_report_clear(&report);
    }
    expect_verified(f);
}

// A repository emptied by mistake: suspect, and suspect still when it stays so.
static void emptied(void **state)
{
    struct fixture *f = *state;
    struct capture_report report = {0};
    struct entry a = snapshot(f, &report);
    assert_true(a.snapshot.is_good);
    shell(f, "cd apps; git rm -q -r web; mkdir web; echo >web/nothing; g add .; g commit -qm 5");
    for (int i = 0; i < 2; i++) {
        struct entry b = snapshot(f, &report);
        assert_false(b.snapshot.is_good);
        assert_true(strv_has(&b.snapshot.why, "shrunk-objects") ||
                    strv_has(&b.snapshot.why, "emptied-application"));
        assert_true(strv_has(&b.snapshot.why, "shrunk-secrets"));
        entry_clear(&b);
    }
    shell(f, "cd apps; g revert --no-edit HEAD >log");
    struct entry c = snapshot(f, &report);
    assert_true(c.snapshot.is_good);
    entry_clear(&a);
    entry_clear(&c);
    capture_report_clear(&report);
}

// A chart that does not render any more: unknown, not empty.
static void chart_broken(void **state)
{
    struct fixture *f = *state;
    struct capture_report report = {0};
    struct opened o;
    if (!f->has_chart)
        skip();
    struct entry a = snapshot(f, &report);
    shell(f, "printf '{{ fail \"no\" }}' >c/templates/b.yaml; sed -i s/1.2.3/1.2.4/ c/Chart.yaml "
             "root/apps/chart.yaml; helm package -d charts c >log; helm repo index charts");
    struct entry b = snapshot(f, &report);
    assert_false(b.snapshot.is_good);
    assert_int_equal(b.snapshot.counts.unknown, 1);
    assert_int_equal(b.snapshot.counts.objects, a.snapshot.counts.objects);
    open_snapshot(f, &b, &o);
    CLEANUP(json_freep) json_t *chart = app_list(&o, "chart");
    assert_non_null(find_row(chart, "ConfigMap", "of-chart", NULL));
    // The chart itself was read, and is kept.
    CLEANUP(json_freep) json_t *source = source_of_kind(&o, "helm");
    assert_string_equal(json_dot_str(source, "revision"), "1.2.4");
    close_snapshot(&o);
    entry_clear(&a);
    entry_clear(&b);
    capture_report_clear(&report);
}

// Batches of Git do not pile up, and none of what they held is lost with those that go.
static void many_commits(void **state)
{
    struct fixture *f = *state;
    struct capture_report report = {0};
    struct opened o;
    struct entry e = snapshot(f, &report);
    for (int i = 0; i < 14; i++) {
        shell(f, "cd apps; date +%N >>web/empty.yaml; g add .; g commit -qm more; "
                 "g update-ref refs/pull/$(git rev-list --count HEAD)/head HEAD");
        entry_clear(&e);
        e = snapshot(f, &report);
        assert_true(e.snapshot.is_good);
    }
    CLEANUP(str_freep) char *dir = path_join(f->dir, "packs-of-many");
    struct err err = {0};
    assert_true(dir_make(dir, 0700, &err));
    open_snapshot(f, &e, &o);
    unsigned packs = write_packs(f, &e, &o, dir);
    assert_in_range(packs, 2, 6); // batches of like size become one (snapshot/choose.c)
    expect_same_git(f, &e, &o);
    expect_verified(f);
    close_snapshot(&o);
    entry_clear(&e);
    capture_report_clear(&report);
}

static void drop_git_packs(struct fixture *f)
{
    struct err err = {0};
    struct log l = {0};
    struct log_opts lo = {0};
    struct batches b = {0};
    assert_true(log_read(&f->repo, PROD, &lo, &l, &err));
    assert_true(batches_read(&f->repo, PROD, log_newest_snapshot(&l), NULL, &b, &err));
    for (size_t i = 0; i < b.v.len; i++)
        for (size_t k = 0; b.v.v[i].is_git && k < b.v.v[i].packs.len; k++) {
            const struct sha256 *id = &b.v.v[i].packs.v[k].id;
            CLEANUP(str_freep) char *hex = hex_encode(id->b, sizeof(id->b));
            CLEANUP(str_freep) char *name = chain_file(PROD, "packs", hex);
            memstore_drop(f->repo.store, name);
        }
    batches_clear(&b);
    log_clear(&l);
}

// The store lost the history: it is captured whole again.
static void git_lost(void **state)
{
    struct fixture *f = *state;
    struct capture_report report = {0};
    struct opened o;
    struct entry a = snapshot(f, &report);
    struct entry b = {0};
    struct err err = {0};
    drop_git_packs(f);
    assert_true(try_snapshot(f, false, &b, &report, &err));
    assert_true(b.snapshot.is_good);
    open_snapshot(f, &b, &o);
    expect_same_git(f, &b, &o);
    close_snapshot(&o);
    entry_clear(&a);
    entry_clear(&b);
    capture_report_clear(&report);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(everything_comes_back),
                                       TEST(sources_come_back),
                                       TEST(increments),
                                       TEST(host_gone),
                                       TEST(git_rotten),
                                       TEST(emptied),
                                       TEST(chart_broken),
                                       TEST(many_commits),
                                       TEST(git_lost)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
