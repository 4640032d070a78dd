// SPDX-License-Identifier: Apache-2.0
//
// Exports: steps from edges (pure), and the file: the same bytes for the same snapshot, no Secret
// in it in clear, nothing half.
#include "snapshot/export.h"

#include <dirent.h>
#include <sys/stat.h>

#include "base/file.h"
#include "snapshot/export_int.h"
#include "tests/snapshot/smallrepo.h"
#include "tests/test.h"

// ---- steps ----

static void nodes(struct export_order *o, const char *kinds) // 's' is a step, 'p' stands between
{
    for (; *kinds; kinds++)
        *vec_push(&o->nodes) = (struct export_node){.is_step = *kinds == 's'};
}

static void edge(struct export_order *o, unsigned from, unsigned to, bool ready, bool hard)
{
    *vec_push(&o->edges) = (struct export_edge){from, to, ready, hard};
}

static void layers(void **state)
{
    (void)state;
    struct export_order o = {0};
    nodes(&o, "ssss");
    edge(&o, 0, 1, true, true);
    edge(&o, 1, 2, false, true);
    edge(&o, 0, 2, true, false);
    export_order_find(&o);
    assert_int_equal(o.levels, 3);
    assert_int_equal(o.nodes.v[0].level, 2);
    assert_int_equal(o.nodes.v[1].level, 1);
    assert_int_equal(o.nodes.v[2].level, 0);
    assert_int_equal(o.nodes.v[3].level, 0);
    // 1 must be ready before 0; 2 may be; nobody asks for 3.
    assert_int_equal(o.nodes.v[1].wait, 2);
    assert_true(o.nodes.v[1].is_hard);
    assert_int_equal(o.nodes.v[2].wait, 2);
    assert_false(o.nodes.v[2].is_hard);
    assert_int_equal(o.nodes.v[3].wait, EXPORT_NO_WAIT);
    export_order_clear(&o);
}

// What stands between makes no step, and asks for readiness only when somebody asks it.
static void between(void **state)
{
    (void)state;
    struct export_order o = {0};
    nodes(&o, "sspp");
    edge(&o, 0, 2, true, true);
    edge(&o, 2, 1, true, true);
    edge(&o, 3, 0, true, true); // an end nobody waits for
    export_order_find(&o);
    assert_int_equal(o.levels, 2);
    assert_int_equal(o.nodes.v[1].level, 0);
    assert_int_equal(o.nodes.v[0].level, 1);
    assert_int_equal(o.nodes.v[1].wait, 1);
    assert_int_equal(o.nodes.v[0].wait, EXPORT_NO_WAIT);
    export_order_clear(&o);
}

static void cycles_come_last(void **state)
{
    (void)state;
    struct export_order o = {0};
    nodes(&o, "sssp");
    edge(&o, 0, 1, true, true);
    edge(&o, 1, 0, true, true);
    edge(&o, 3, 0, true, true);
    export_order_find(&o);
    assert_int_equal(o.levels, 2);
    assert_int_equal(o.nodes.v[2].level, 0);
    assert_int_equal(o.nodes.v[0].level, 1);
    assert_int_equal(o.nodes.v[1].level, 1);
    export_order_clear(&o);
}

static void none(void **state)
{
    (void)state;
    struct export_order o = {0};
    export_order_find(&o);
    assert_int_equal(o.levels, 0);
    export_order_clear(&o);
}

// ---- the file ----

struct exported {
    struct export_result r;
    struct err err;
    bool ok;
};

// The same repository for all: what is sealed in it differs from one to the next.
static struct repo repo;

static int open_repo(void **state)
{
    (void)state;
    log_kit_open(small_repo(true), &repo);
    return 0;
}

static int close_repo(void **state)
{
    (void)state;
    repo_close(&repo);
    return 0;
}

static struct exported export_to(const char *dir, const char *name, bool secrets, bool replace)
{
    struct exported x = {0};
    struct log l = {0};
    struct age_identity id = kit_identity(1);
    struct reader *rd = NULL;
    log_kit_read(&repo, &l);
    CLEANUP(str_freep) char *file = path_join(dir, name);
    CLEANUP(str_freep) char *work = path_join(dir, "work");
    const struct entry *e = log_find(&l, 2);
    struct export_opts o = {.log = &l,
                            .entry = e,
                            .recipients = (const uint8_t(*)[KEY_BYTES]) & id.public,
                            .n_recipients = secrets ? 1 : 0,
                            .without_secrets = !secrets,
                            .work = work,
                            .replace = replace};
    x.ok = reader_open(&repo, PROD, e, &id, &rd, &x.err) &&
           snapshot_export(&repo, rd, &o, file, &x.r, &x.err);
    reader_free(rd);
    log_clear(&l);
    return x;
}

static void exported_clear(struct exported *x)
{
    export_result_clear(&x->r);
    err_clear(&x->err);
}

static void read_back(const char *dir, const char *name, struct buf *out)
{
    struct err err = {0};
    CLEANUP(str_freep) char *file = path_join(dir, name);
    buf_reset(out);
    if (!file_read(file, 64U << 20, out, &err))
        fail_msg("%s", err.msg);
}

static bool holds(const struct buf *b, const char *text)
{
    return memmem(b->p, b->len, text, strlen(text)) != NULL;
}

static void same_bytes(void **state)
{
    (void)state;
    CLEANUP(dir_temp_cleanup) char *dir = NULL;
    struct err err = {0};
    struct buf a CLEANUP(buf_clear) = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    assert_true(dir_make_temp("test-export", &dir, &err));
    struct exported x CLEANUP(exported_clear) = export_to(dir, "a.tar", false, false);
    struct exported y CLEANUP(exported_clear) = export_to(dir, "b.tar", false, false);
    if (!x.ok)
        fail_msg("%s", x.err.msg);
    assert_true(y.ok);
    read_back(dir, "a.tar", &a);
    read_back(dir, "b.tar", &b);
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.p, b.p, a.len);
    assert_int_equal(x.r.bytes, a.len);
    assert_int_equal(x.r.secrets, 0);
    assert_true(holds(&a, "good morning")); // a manifest
    assert_true(holds(&a, "restore.sh"));
    assert_false(holds(&a, ".age"));
}

static void secrets_sealed(void **state)
{
    (void)state;
    CLEANUP(dir_temp_cleanup) char *dir = NULL;
    struct err err = {0};
    struct buf a CLEANUP(buf_clear) = {0};
    struct buf b64 CLEANUP(buf_clear) = {0};
    assert_true(dir_make_temp("test-export", &dir, &err));
    struct exported x CLEANUP(exported_clear) = export_to(dir, "a.tar", true, false);
    if (!x.ok)
        fail_msg("%s", x.err.msg);
    assert_int_equal(x.r.secrets, 2);
    read_back(dir, "a.tar", &a);
    buf_base64(&b64, SMALL_SECRET, strlen(SMALL_SECRET));
    assert_false(holds(&a, SMALL_SECRET));
    assert_false(holds(&a, b64.p));
    assert_true(holds(&a, "age-encryption.org/v1"));
}

static void never_over_another(void **state)
{
    (void)state;
    CLEANUP(dir_temp_cleanup) char *dir = NULL;
    struct err err = {0};
    struct stat st;
    assert_true(dir_make_temp("test-export", &dir, &err));
    struct exported x CLEANUP(exported_clear) = export_to(dir, "a.tar", false, false);
    struct exported y CLEANUP(exported_clear) = export_to(dir, "a.tar", false, false);
    struct exported z CLEANUP(exported_clear) = export_to(dir, "a.tar", false, true);
    struct exported zip CLEANUP(exported_clear) = export_to(dir, "a.zip", false, false);
    CLEANUP(str_freep) char *file = path_join(dir, "a.tar");
    assert_true(x.ok);
    assert_false(y.ok);
    assert_int_equal(y.err.kind, ERR_CONFLICT);
    assert_true(z.ok);
    assert_int_equal(zip.err.kind, ERR_USAGE);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    DIR *d = opendir(dir);
    unsigned n = 0;
    for (const struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    assert_int_equal(n, 2); // it, and the folder of work
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(layers),
                                       cmocka_unit_test(between),
                                       cmocka_unit_test(cycles_come_last),
                                       cmocka_unit_test(none),
                                       cmocka_unit_test(same_bytes),
                                       cmocka_unit_test(secrets_sealed),
                                       cmocka_unit_test(never_over_another)};
    return cmocka_run_group_tests(tests, open_repo, close_repo);
}
