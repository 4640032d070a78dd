// SPDX-License-Identifier: Apache-2.0
//
// A hub's snapshot as an export, and back: what goes to its other clusters is in it as what goes to
// its own is.
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "gitops/gitops.h"
#include "snapshot/export.h"
#include "snapshot/import.h"
#include "snapshot/lists.h"
#include "tests/snapshot/hubkit.h"
#include "tests/snapshot/snapkit.h"
#include "tests/snapshot/tarkit.h"
#include "tests/test.h"

// ---- there ----

static void export_it(struct hub_fixture *f, bool secrets, const char *file,
                      struct export_result *out)
{
    struct age_identity id = kit_identity(1);
    struct log l = {0};
    struct err err = {0};
    CLEANUP(reader_freep) struct reader *rd = NULL;
    CLEANUP(str_freep) char *work = path_join(f->dir, "export-work");
    log_kit_read(&f->repo, &l);
    struct export_opts o = {.log = &l,
                            .entry = &f->entry,
                            .recipients = (const uint8_t(*)[KEY_BYTES]) & id.public,
                            .n_recipients = secrets ? 1 : 0,
                            .without_secrets = !secrets,
                            .work = work,
                            .replace = true};
    if (!reader_open(&f->repo, PROD, &f->entry, &id, &rd, &err) ||
        !snapshot_export(&f->repo, rd, &o, file, out, &err))
        fail_msg("%s", err.msg);
    log_clear(&l);
}

static size_t named(const struct tar_kit *t, const char *part)
{
    size_t n = 0;
    for (size_t i = 0; i < t->v.len; i++)
        n += strstr(t->v.v[i].name, part) != NULL;
    return n;
}

// ---- and back ----

// In its repository: with what is in it.
struct returned {
    struct repo r;
    struct log l;
    struct credential job;
    struct import *m;
    struct copy *copy;
    struct entry made;
    struct reader *rd;
    json_t *root, *clusters;
};

static void returned_clear(struct returned *b)
{
    json_decref(b->clusters);
    json_decref(b->root);
    reader_free(b->rd);
    entry_clear(&b->made);
    copy_free(b->copy);
    import_free(b->m);
    credential_clear(&b->job);
    log_clear(&b->l);
    repo_close(&b->r);
}

static void import_it(const struct hub_fixture *f, const char *file, struct returned *b)
{
    struct err err = {0};
    struct age_identity id = kit_identity(1);
    struct age_identities ids = {0};
    CLEANUP(str_freep) char *work = path_join(f->dir, "import-work");
    *vec_push(&ids.v) = id;
    b->l.checkpoint = -1;
    b->job = snap_kit_job("writer");
    log_kit_open(log_kit_store(true), &b->r);
    log_kit_read(&b->r, &b->l);
    const struct import_opts o = {.work = work};
    if (!import_open(file, &o, &b->m, &err) || !import_read(b->m, &ids, &err))
        fail_msg("%s", err.msg);
    const struct import_facts *facts = import_facts(b->m);
    const struct copy_opts co = {
        .job = &b->job, .work = work, .doubts = &facts->doubts, .export = &facts->sums};
    if (!copy_begin(import_reader(b->m), facts->entry, &b->r, &co, &b->copy, &err) ||
        !copy_commit(b->copy, &b->made, &err) ||
        !reader_open(&b->r, PROD, &b->made, &id, &b->rd, &err) ||
        !reader_root(b->rd, &b->root, &err) || !list_clusters(b->rd, b->root, &b->clusters, &err))
        fail_msg("%s", err.msg);
    age_identities_clear(&ids);
}

static bool count_line(void *ctx, const json_t *line, const char *text, size_t len, struct err *err)
{
    (void)line, (void)text, (void)len, (void)err;
    ++*(size_t *)ctx;
    return true;
}

// "NAME APPLICATIONS SECRETS" of each cluster.
static char *what_came_back(const struct returned *b)
{
    struct buf out = {0};
    struct err err = {0};
    size_t i;
    json_t *row;
    json_array_foreach(b->clusters, i, row)
    {
        CLEANUP(json_freep) json_t *cluster = NULL;
        CLEANUP(json_freep) json_t *apps = NULL;
        size_t n = 0;
        if (!list_open(b->rd, row, &cluster, &err) || !list_apps(b->rd, cluster, &apps, &err) ||
            !list_each_secret(b->rd, cluster, count_line, &n, &err))
            fail_msg("%s", err.msg);
        buf_printf(&out, "%s%s %zu %zu", i ? ", " : "",
                   json_dot_str(row, json_object_get(row, "name") ? "name" : "server"),
                   json_object_size(apps), n);
    }
    return buf_take(&out);
}

// ---- cases ----

// Each cluster has a pool of its own.
static void none_without_secrets(void **state)
{
    struct hub_fixture *f = *state;
    struct returned b CLEANUP(returned_clear) = {0};
    struct tar_kit t CLEANUP(tar_kit_clear) = {0};
    struct export_result r CLEANUP(export_result_clear) = {0};
    CLEANUP(str_freep) char *file = path_join(f->dir, "none.tar");
    hub_snapshot(f);
    export_it(f, false, file, &r);
    tar_kit_read(file, &t);
    assert_int_equal(r.secrets, 0);
    assert_int_equal(named(&t, ".age"), 0);
    import_it(f, file, &b);
    assert_true(strv_has(&b.made.snapshot.why, "no-secrets"));
    CLEANUP(str_freep) char *back = what_came_back(&b);
    assert_string_equal(back, "east 5 0, https://west.example.com 2 0");
}

static const char *text_of(struct tar_kit *t, const char *end)
{
    struct tar_member *m = tar_kit_find(t, end);
    if (!m)
        fail_msg("there is no %s", end);
    return m->bytes.len ? m->bytes.p : "";
}

// All manifests of a folder of the export, one after another.
static char *manifests(const struct tar_kit *t, const char *folder)
{
    struct buf b = {0};
    CLEANUP(str_freep) char *part = str_printf("/%s/manifests/", folder);
    for (size_t i = 0; i < t->v.len; i++)
        if (strstr(t->v.v[i].name, part))
            buf_append(&b, t->v.v[i].bytes.p, t->v.v[i].bytes.len);
    buf_char(&b, '\0');
    return buf_take(&b);
}

// What goes there and nothing else, in the layout that the hub's own has at the top.
static void each_cluster_apart(void **state)
{
    struct hub_fixture *f = *state;
    struct tar_kit t CLEANUP(tar_kit_clear) = {0};
    struct export_result r CLEANUP(export_result_clear) = {0};
    CLEANUP(str_freep) char *file = path_join(f->dir, "whole.tar");
    hub_snapshot(f);
    export_it(f, true, file, &r);
    tar_kit_read(file, &t);
    CLEANUP(str_freep) char *east = manifests(&t, "clusters/east");
    CLEANUP(str_freep) char *west = manifests(&t, "clusters/west.example.com");
    assert_int_equal(r.clusters, 2);
    assert_int_equal(r.apps, 3 + 3 + 1); // root, teams, here; web and two of teams; db
    assert_int_equal(r.secrets, 3);
    assert_int_equal(r.secrets, f->entry.snapshot.counts.secrets);
    assert_int_equal(r.warnings.len, 0);
    assert_string_equal(text_of(&t, "/clusters/index"),
                        "east - east\n"
                        "west.example.com https://west.example.com -\n");
    assert_non_null(strstr(east, "# web, web/a.yaml:1"));
    assert_non_null(strstr(east, "# team-1, t1/a.yaml:1"));
    assert_null(strstr(east, "# db,"));
    assert_non_null(strstr(west, "# db, db/a.yaml:1"));
    assert_null(strstr(west, "# web,"));
    assert_int_equal(named(&t, "/clusters/east/secrets/"), 1);
    assert_int_equal(named(&t, "/clusters/west.example.com/secrets/"), 1);
    // The lines of a part lead to its own files.
    assert_non_null(strstr(text_of(&t, "/clusters/east/steps"), "apply manifests/0001.yaml\n"));
    assert_non_null(
        strstr(text_of(&t, "/RESTORE.md"), "-i KEY --cluster east   # Kubernetes 1.37.0\n"));
    assert_non_null(strstr(text_of(&t, "/SHA256SUMS"), "  clusters/east/steps\n"));
}

static void and_back(void **state)
{
    struct hub_fixture *f = *state;
    struct returned b CLEANUP(returned_clear) = {0};
    struct export_result r CLEANUP(export_result_clear) = {0};
    struct verify_result v = {0};
    CLEANUP(str_freep) char *file = path_join(f->dir, "back.tar");
    hub_snapshot(f);
    export_it(f, true, file, &r);
    import_it(f, file, &b);
    CLEANUP(str_freep) char *back = what_came_back(&b);
    assert_string_equal(back, "east 5 1, https://west.example.com 2 1");
    // Keys and content are the same, so everything has the name it had.
    assert_true(blob_id_eq(&b.made.snapshot.root, &f->entry.snapshot.root));
    assert_memory_equal(&b.made.snapshot.counts, &f->entry.snapshot.counts,
                        sizeof(b.made.snapshot.counts));
    snap_kit_verify(&b.r, &v);
    verify_result_clear(&v);
}

// It stands as it was, and that is said of the cluster it is about.
static void one_that_could_not_be_read(void **state)
{
    struct hub_fixture *f = *state;
    struct export_result r CLEANUP(export_result_clear) = {0};
    CLEANUP(str_freep) char *file = path_join(f->dir, "stale.tar");
    hub_snapshot(f);
    hub_shell(f, "sed -i 's/path: web/path: gone/' root/web.yaml");
    hub_snapshot(f);
    export_it(f, true, file, &r);
    hub_shell(f, "sed -i 's/path: gone/path: web/' root/web.yaml");
    assert_int_equal(r.secrets, 3);
    assert_int_equal(r.warnings.len, 1);
    assert_string_equal(r.warnings.v[0],
                        "cluster east: web could not be read when the snapshot was "
                        "made: it is as it was before");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_without_secrets),
        cmocka_unit_test(each_cluster_apart),
        cmocka_unit_test(and_back),
        cmocka_unit_test(one_that_could_not_be_read),
    };
    return cmocka_run_group_tests(tests, hub_set_up, hub_tear_down);
}
