// SPDX-License-Identifier: Apache-2.0
//
// Snapshots from beginning to end: what heals by itself, what is not written again, what a root or
// a parent that cannot be read leaves as it was, and what killed runs leave behind.
#include "snapshot/create.h"

#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "snapshot/reader.h"
#include "tests/snapshot/snapkit.h"
#include "tests/test.h"

// root -> parent (of the repository "parents") -> child (of "children").
static const char make_all[] =
    "set -e; cd '%s'; export HOME=$PWD GIT_CONFIG_NOSYSTEM=1\n"
    "app() { printf 'apiVersion: argoproj.io/v1alpha1\\nkind: Application\\nmetadata: {name: %%s, "
    "namespace: argocd}\\nspec:\\n  project: default\\n  source: {repoURL: \"file://%%s/%%s\", "
    "path: x, targetRevision: main}\\n  destination: {server: https://kubernetes.default.svc, "
    "namespace: %%s}\\n' $1 $PWD $2 $1; }\n"
    "save() { git -C $1 add -A; git -C $1 -c user.name=t -c user.email=t@example.com commit -qm m; "
    "}\n"
    "for r in parents children; do git init -q -b main $r; mkdir $r/x; done; mkdir root\n"
    "app parent parents >root/parent.yaml; app child children >parents/x/child.yaml\n"
    "for i in 1 2 3 4 5; do printf 'apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: c%%s}\\n' "
    "$i >children/x/$i.yaml; done\n"
    "save parents; save children\n";

struct fixture {
    char *dir;
    struct repo repo;
    struct loop *loop;
};

static int set_up(void **state)
{
    struct fixture *f = mem_alloc(sizeof(*f));
    struct err err = {0};
    if (!dir_make_temp("regrow-create", &f->dir, &err))
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
    repo_close(&f->repo);
    loop_free(f->loop);
    dir_temp_cleanup(&f->dir);
    free(f);
    return 0;
}

static void shell(const struct fixture *f, const char *script)
{
    CLEANUP(str_freep) char *text = str_printf("set -e; cd '%s'; %s", f->dir, script);
    if (system(text) != 0)
        fail_msg("%s", script);
}

static bool create(struct fixture *f, const struct create_opts *more, struct create_result *out,
                   struct err *err)
{
    struct credential job = snap_kit_job("writer");
    struct create_opts o = *more;
    struct err why = {0};
    CLEANUP(str_freep) char *cache = path_join(f->dir, "cache");
    CLEANUP(str_freep) char *root = path_join(f->dir, "root");
    CLEANUP(str_freep) char *work = path_join(f->dir, "work");
    struct source_opts so = {.cache_dir = cache,
                             .kube_version = "1.37.0",
                             .cluster_server = "https://kubernetes.default.svc"};
    CLEANUP(source_freep) struct source *s = source_new(f->loop, &so);
    CLEANUP(desired_freep) struct desired *d = NULL;
    if (!source_load(s, root, &d, &why)) {
        assert_true(source_unread(s, &why, &d));
        o.unread = &why;
    }
    o.work = work;
    o.writer.job = &job;
    o.capture.loop = f->loop;
    o.capture.desired = d;
    o.capture.source = s;
    o.capture.root = root;
    o.capture.rules = secret_rules_default(&o.capture.n_rules);
    bool ok = snapshot_create(&f->repo, &o, out, err);
    err_clear(&why);
    credential_clear(&job);
    return ok;
}

static struct create_result made(struct fixture *f, const struct create_opts *more)
{
    struct create_result r;
    struct err err = {0};
    if (!create(f, more, &r, &err))
        fail_msg("%s", err.msg);
    return r;
}

static void expect_verified(struct fixture *f)
{
    struct verify_result v;
    snap_kit_verify(&f->repo, &v);
    verify_result_clear(&v);
}

static json_t *root_of(struct fixture *f, const struct entry *e)
{
    struct age_identity id = kit_identity(1);
    struct err err = {0};
    json_t *root = NULL;
    CLEANUP(reader_freep) struct reader *r = NULL;
    if (!reader_open(&f->repo, PROD, e, &id, &r, &err) || !reader_root(r, &root, &err))
        fail_msg("%s", err.msg);
    return root;
}

static void if_changed(void **state)
{
    struct fixture *f = *state;
    struct create_opts o = {.if_changed = true};
    struct create_result a = made(f, &o);
    assert_false(a.is_unchanged);
    assert_int_equal(a.last_good.seq, 0);
    struct create_result b = made(f, &o);
    assert_true(b.is_unchanged);
    assert_int_equal(b.entry.seq, 1);
    assert_int_equal(b.last_good.seq, 1);
    shell(f, "printf 'apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: new, namespace: x}\\n' "
             ">root/new.yaml");
    struct create_result c = made(f, &o);
    assert_false(c.is_unchanged);
    assert_int_equal(c.entry.seq, 2);
    create_result_clear(&a);
    create_result_clear(&b);
    create_result_clear(&c);
    expect_verified(f);
}

// The first pack of the newest snapshot's batches of one set.
static char *a_pack(struct fixture *f, bool is_git)
{
    struct log l = {0};
    struct log_opts lo = {0};
    struct batches b CLEANUP(batches_clear) = {0};
    struct err err = {0};
    char *name = NULL;
    assert_true(log_read(&f->repo, PROD, &lo, &l, &err));
    assert_true(batches_read(&f->repo, PROD, log_newest_snapshot(&l), NULL, &b, &err));
    for (size_t i = 0; !name && i < b.v.len; i++) {
        if (b.v.v[i].is_git != is_git)
            continue;
        CLEANUP(str_freep) char *hex = hex_encode(b.v.v[i].packs.v[0].id.b, 32);
        name = chain_file(PROD, "packs", hex);
    }
    log_clear(&l);
    return name;
}

static void flip(struct fixture *f, const char *name)
{
    const struct buf *is = memstore_file(f->repo.store, name);
    struct buf b CLEANUP(buf_clear) = {0};
    buf_append(&b, is->p, is->len);
    b.p[b.len / 2] ^= 1;
    memstore_put(f->repo.store, name, b.p, b.len);
}

// A pack is lost, or has other bytes: all of it is had again, and nobody is asked.
static void heals(void **state)
{
    struct fixture *f = *state;
    struct create_opts o = {0};
    struct create_result r = made(f, &o);
    create_result_clear(&r);
    for (unsigned i = 0; i < 4; i++) {
        CLEANUP(str_freep) char *name = a_pack(f, i % 2);
        if (i < 2)
            memstore_drop(f->repo.store, name);
        else
            flip(f, name);
        r = made(f, &o);
        assert_true(r.is_mended);
        assert_true(r.entry.snapshot.is_good);
        assert_non_null(strstr(r.report.warnings.v[0], "is written anew"));
        CLEANUP(str_freep) char *now = a_pack(f, i % 2);
        assert_string_not_equal(name, now);
        create_result_clear(&r);
        r = made(f, &o);
        assert_false(r.is_mended);
        assert_int_equal(r.entry.snapshot.bytes.added, 0);
        create_result_clear(&r);
    }
}

// A source that cannot be read had something in what is lost: the snapshot says so, and the next
// one that can read it is whole.
static void heals_what_it_can(void **state)
{
    struct fixture *f = *state;
    struct create_opts o = {0};
    struct create_result r = made(f, &o);
    create_result_clear(&r);
    shell(f, "mv children gone; rm -rf cache");
    for (unsigned i = 0; i < 2; i++) {
        CLEANUP(str_freep) char *name = a_pack(f, i);
        flip(f, name);
        r = made(f, &o);
        assert_true(r.is_mended);
        assert_false(r.entry.snapshot.is_good);
        assert_true(strv_has(&r.entry.snapshot.why, "lost-content"));
        create_result_clear(&r);
    }
    shell(f, "mv gone children");
    r = made(f, &o);
    assert_true(r.entry.snapshot.is_good);
    CLEANUP(json_freep) json_t *root = root_of(f, &r.entry);
    assert_null(json_object_get(root, "gitBefore"));
    struct verify_result v = {0};
    struct age_identities ids = {0};
    struct verify_opts vo = {.identities = &ids, .only_seq = r.entry.seq};
    struct log_opts lo = {0};
    struct log l = {0};
    struct err err = {0};
    *vec_push(&ids.v) = kit_identity(1);
    assert_true(log_read(&f->repo, PROD, &lo, &l, &err));
    assert_true(repo_verify(&f->repo, &l, &vo, &v, &err));
    if (v.problems.len)
        fail_msg("%s", v.problems.v[0]);
    verify_result_clear(&v);
    age_identities_clear(&ids);
    log_clear(&l);
    create_result_clear(&r);
}

// Nothing new, but not all of it is there any more: that is a change.
static void unchanged_and_damaged(void **state)
{
    struct fixture *f = *state;
    struct create_opts o = {.if_changed = true};
    struct create_result r = made(f, &o);
    create_result_clear(&r);
    for (unsigned i = 0; i < 2; i++) {
        CLEANUP(str_freep) char *name = a_pack(f, i);
        if (i)
            flip(f, name);
        else
            memstore_drop(f->repo.store, name);
        r = made(f, &o);
        assert_false(r.is_unchanged);
        assert_true(r.entry.snapshot.is_good);
        create_result_clear(&r);
        r = made(f, &o);
        assert_true(r.is_unchanged);
        create_result_clear(&r);
    }
}

static void nothing_at_all(void **state)
{
    struct fixture *f = *state;
    struct create_opts o = {0};
    shell(f, "rm root/*");
    struct create_result r = made(f, &o);
    assert_false(r.entry.snapshot.is_good);
    assert_int_equal(r.entry.snapshot.why.len, 1);
    assert_string_equal(r.entry.snapshot.why.v[0], "empty");
    assert_non_null(strstr(r.report.warnings.v[0], "there is no manifest in "));
    create_result_clear(&r);
    r = made(f, &o); // still: there is no good one yet
    assert_false(r.entry.snapshot.is_good);
    create_result_clear(&r);
    o.capture.bounds.may_be_empty = true;
    r = made(f, &o);
    assert_true(r.entry.snapshot.is_good);
    create_result_clear(&r);
    o.capture.bounds.may_be_empty = false;
    r = made(f, &o);
    assert_true(r.entry.snapshot.is_good);
    create_result_clear(&r);
}

// ---- others write while this one reads ----

static const char commit_one[] = "cd children; date +%N >n; git add .; git -c user.name=t -c "
                                 "user.email=t@example.com commit -qm "
                                 "n; git branch -f b-$(git rev-list --count HEAD)";

// A run that has read everything, and commits only when others were there.
struct slow {
    struct credential job;
    struct source *source;
    struct desired *desired;
    struct writer *w;
    struct entry e;
    struct capture_report report;
};

static void slow_begin(struct fixture *f, struct slow *s)
{
    struct err err = {0};
    CLEANUP(str_freep) char *cache = path_join(f->dir, "slow-cache");
    CLEANUP(str_freep) char *root = path_join(f->dir, "root");
    CLEANUP(str_freep) char *work = path_join(f->dir, "slow-work");
    struct source_opts so = {.cache_dir = cache,
                             .kube_version = "1.37.0",
                             .cluster_server = "https://kubernetes.default.svc"};
    *s = (struct slow){.job = snap_kit_job("writer"), .e.kind = ENTRY_SNAPSHOT};
    struct writer_opts wo = {.job = &s->job};
    s->source = source_new(f->loop, &so);
    struct capture_opts co = {.loop = f->loop, .root = root, .work_dir = work};
    if (!dir_make(work, 0700, &err) || !source_load(s->source, root, &s->desired, &err) ||
        !writer_begin(&f->repo, &wo, &s->w, &err))
        fail_msg("%s", err.msg);
    co.source = s->source;
    co.desired = s->desired;
    co.rules = secret_rules_default(&co.n_rules);
    if (!capture_run(s->w, &co, &s->e.snapshot, &s->report, &err))
        fail_msg("%s", err.msg);
}

static void slow_clear(struct slow *s)
{
    capture_report_clear(&s->report);
    entry_clear(&s->e);
    writer_free(s->w);
    desired_free(s->desired);
    source_free(s->source);
    credential_clear(&s->job);
}

static void others(struct fixture *f, unsigned n)
{
    struct create_opts o = {0};
    for (unsigned i = 0; i < n; i++) {
        shell(f, commit_one);
        struct create_result r = made(f, &o);
        create_result_clear(&r);
    }
}

// Seven batches of Git are all stood on; the eighth, which another run adds, would have half of
// them dropped, and what this run left out for their sake would be lost.
static void overtaken_once(void **state)
{
    struct fixture *f = *state;
    struct slow s;
    struct entry out = {0};
    struct err err = {0};
    others(f, 7);
    shell(f, commit_one);
    slow_begin(f, &s);
    others(f, 1);
    if (!writer_commit(s.w, &s.e.snapshot, &out, &err))
        fail_msg("%s", err.msg);
    entry_clear(&out);
    slow_clear(&s);
    expect_verified(f);
}

// The others have dropped them themselves, and packed only what their refs still lead to.
static void overtaken_twice(void **state)
{
    struct fixture *f = *state;
    struct slow s;
    struct entry out = {0};
    struct err err = {0};
    others(f, 7);
    shell(f,
          "git -C children checkout -q -b away; echo x >children/x/gone.txt; git -C children "
          "add .; git -C children -c user.name=t -c user.email=t@example.com commit -qm away; git "
          "-C children checkout -q main");
    struct create_opts o = {0};
    struct create_result r = made(f, &o); // the eighth
    create_result_clear(&r);
    others(f, 1); // drops
    others(f, 2);
    shell(f, commit_one);
    slow_begin(f, &s);
    shell(f, "git -C children branch -qD away $(git -C children branch --list --format "
             "'%(refname:short)' 'b-*'); git -C children commit-tree -m other 'HEAD^{tree}' "
             ">new-tip 2>log || git -C children -c user.name=t -c user.email=t@example.com "
             "commit-tree -m other 'HEAD^{tree}' </dev/null >new-tip; git -C children update-ref "
             "refs/heads/main $(cat new-tip)");
    others(f, 4);
    bool ok = writer_commit(s.w, &s.e.snapshot, &out, &err);
    if (!ok) {
        assert_int_equal(err.kind, ERR_CONFLICT);
        assert_true(writer_needs_again(s.w));
        err_clear(&err);
    }
    entry_clear(&out);
    slow_clear(&s);
    expect_verified(f);
}

// The parent cannot be read, so nobody knows of the child or of its repository: both stay.
static void parent_unknown(void **state)
{
    struct fixture *f = *state;
    struct create_opts o = {0};
    struct create_result a = made(f, &o);
    assert_int_equal(a.entry.snapshot.counts.apps, 3);
    assert_int_equal(a.entry.snapshot.counts.refs, 2);
    shell(f, "mv parents gone; rm -rf cache");
    struct create_result b = made(f, &o);
    assert_false(b.entry.snapshot.is_good);
    assert_int_equal(b.entry.snapshot.why.len, 1);
    assert_int_equal(b.entry.snapshot.counts.apps, a.entry.snapshot.counts.apps);
    assert_int_equal(b.entry.snapshot.counts.objects, a.entry.snapshot.counts.objects);
    assert_int_equal(b.entry.snapshot.counts.sources, a.entry.snapshot.counts.sources);
    assert_int_equal(b.entry.snapshot.counts.refs, a.entry.snapshot.counts.refs);
    CLEANUP(json_freep) json_t *old = root_of(f, &a.entry);
    CLEANUP(json_freep) json_t *now = root_of(f, &b.entry);
    assert_null(json_object_get(old, "gitBefore"));
    assert_string_equal(json_dot_str(now, "gitBefore.blob"), json_dot_str(old, "git.blob"));
    assert_string_equal(json_dot_str(now, "sourcesBefore.blob"), json_dot_str(old, "sources.blob"));
    assert_true(json_is_true(json_dot(now, "before.stale")));
    expect_verified(f);
    shell(f, "mv gone parents");
    struct create_result c = made(f, &o);
    assert_true(c.entry.snapshot.is_good);
    assert_int_equal(b.last_good.seq, 1);
    assert_int_equal(c.last_good.seq, 1);
    create_result_clear(&a);
    create_result_clear(&b);
    create_result_clear(&c);
}

static void root_unread(void **state)
{
    struct fixture *f = *state;
    struct create_opts o = {0};
    struct create_result r;
    struct err err = {0};
    static const char broken[] =
        "printf 'apiVersion: v1\\nkind: ConfigMap\\nmetadata: [\\n' >root/broken.yaml";
    shell(f, broken);
    // Nobody knows it yet: a mistake.
    assert_false(create(f, &o, &r, &err));
    assert_true(err_is_set(&err));
    err_clear(&err);
    create_result_clear(&r);
    shell(f, "rm root/broken.yaml");
    struct create_result a = made(f, &o);
    shell(f, broken);
    struct create_result b = made(f, &o);
    assert_false(b.entry.snapshot.is_good);
    assert_int_equal(b.entry.snapshot.counts.apps, a.entry.snapshot.counts.apps);
    assert_int_equal(b.entry.snapshot.counts.objects, a.entry.snapshot.counts.objects);
    create_result_clear(&a);
    create_result_clear(&b);
    expect_verified(f);
}

static void cluster_left_out(void **state)
{
    struct fixture *f = *state;
    struct create_opts o = {.writer.cluster = "uid-1"};
    struct create_opts none = {0};
    struct create_result r;
    struct err err = {0};
    // (The capture notes the uid of its own connection: by hand here.)
    struct credential job = snap_kit_job("writer");
    struct snap_state s = {.apps = 1, .objects = 1, .cluster = "uid-1"};
    struct entry e = {0};
    assert_true(snap_kit_write(&f->repo, &job, &s, NULL, &e, &err));
    entry_clear(&e);
    credential_clear(&job);
    assert_false(create(f, &none, &r, &err));
    assert_int_equal(err.kind, ERR_CONFLICT);
    err_clear(&err);
    create_result_clear(&r);
    r = made(f, &o);
    create_result_clear(&r);
}

static unsigned entries(const struct fixture *f, const char *name)
{
    unsigned n = 0;
    CLEANUP(str_freep) char *cmd = str_printf("ls '%s/%s' | wc -l", f->dir, name);
    FILE *p = popen(cmd, "r");
    assert_int_equal(fscanf(p, "%u", &n), 1);
    pclose(p);
    return n;
}

static void work_folders(void **state)
{
    struct fixture *f = *state;
    struct workdir a;
    struct workdir b;
    struct err err = {0};
    CLEANUP(str_freep) char *parent = path_join(f->dir, "w");
    assert_true(workdir_make(parent, &a, &err));
    shell(f, "mkdir w/run-killed; echo x >w/run-killed/new-0.pack; mkdir w/other");
    assert_true(workdir_make(parent, &b, &err));
    assert_int_equal(entries(f, "w"), 3); // a, b, and what is nobody's business
    assert_true(file_is_dir(a.path));
    workdir_remove(&a);
    workdir_remove(&b);
    assert_int_equal(entries(f, "w"), 1);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(if_changed),
                                       TEST(heals),
                                       TEST(nothing_at_all),
                                       TEST(heals_what_it_can),
                                       TEST(unchanged_and_damaged),
                                       TEST(overtaken_once),
                                       TEST(overtaken_twice),
                                       TEST(parent_unknown),
                                       TEST(root_unread),
                                       TEST(cluster_left_out),
                                       TEST(work_folders)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
