// SPDX-License-Identifier: Apache-2.0
//
// Pieces of files behind a salt (docs/repository-format.md section 4): the same files again are the
// same blobs; who knows a file, and not all that stands beside it, finds it nowhere; read back it
// is the file; and where the repository does not know them there are none.
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "snapshot/capture.h"
#include "snapshot/lists.h"
#include "tests/snapshot/snapkit.h"
#include "tests/test.h"

#define SECRET                                                                                     \
    "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: default}\nstringData: {a: b}\n"

struct fixture {
    char *dir;
    struct repo repo;
    struct loop *loop;
    unsigned runs;
};

static void set_up(struct fixture *f, bool may_salt)
{
    static const char *const flags[] = {TRUST_SALTED_FILES};
    struct err err = {0};
    struct store *st = log_kit_store(true);
    *f = (struct fixture){.loop = loop_new(NULL)};
    if (!dir_make_temp("regrow-salts", &f->dir, &err))
        fail_msg("%s", err.msg);
    if (may_salt)
        log_kit_allow(st, flags, ARRAY_LEN(flags));
    log_kit_open(st, &f->repo);
}

static void tear_down(struct fixture *f)
{
    repo_close(&f->repo);
    loop_free(f->loop);
    dir_temp_cleanup(&f->dir);
}

static void write_file(struct fixture *f, const char *name, const char *text)
{
    struct err err = {0};
    CLEANUP(str_freep) char *root = path_join(f->dir, "root");
    CLEANUP(str_freep) char *path = path_join(root, name);
    assert_true(dir_make(root, 0700, &err));
    assert_true(file_replace(path, text, strlen(text), 0600, &err));
}

// A snapshot of the folder.
static struct entry snapshot(struct fixture *f)
{
    struct credential job = snap_kit_job("writer");
    struct entry e = {.kind = ENTRY_SNAPSHOT};
    struct entry made = {0};
    struct err err = {0};
    struct capture_report report = {0};
    CLEANUP(str_freep) char *root = path_join(f->dir, "root");
    CLEANUP(str_freep) char *work = str_printf("%s/work-%u", f->dir, f->runs++);
    struct source_opts so = {.cache_dir = work,
                             .kube_version = "1.37.0",
                             .cluster_server = "https://kubernetes.default.svc"};
    CLEANUP(source_freep) struct source *s = source_new(f->loop, &so);
    CLEANUP(desired_freep) struct desired *d = NULL;
    CLEANUP(writer_freep) struct writer *w = NULL;
    struct writer_opts wo = {.job = &job};
    if (!dir_make(work, 0700, &err) || !source_load(s, root, &d, &err) ||
        !writer_begin(&f->repo, &wo, &w, &err))
        fail_msg("%s", err.msg);
    struct capture_opts o = {
        .loop = f->loop, .desired = d, .source = s, .root = root, .work_dir = work};
    o.rules = secret_rules_default(&o.n_rules);
    if (!capture_run(w, &o, &e.snapshot, &report, &err) ||
        !writer_commit(w, &e.snapshot, &made, &err))
        fail_msg("%s", err.msg);
    struct verify_result v = {0};
    snap_kit_verify(&f->repo, &v);
    verify_result_clear(&v);
    capture_report_clear(&report);
    entry_clear(&e);
    credential_clear(&job);
    return made;
}

static struct reader *open_snapshot(struct fixture *f, const struct entry *e)
{
    struct age_identity id = kit_identity(1);
    struct reader *rd = NULL;
    struct err err = {0};
    if (!reader_open(&f->repo, PROD, e, &id, &rd, &err))
        fail_msg("%s", err.msg);
    return rd;
}

// The files of the folder, as rows {"path","blobs",…}; owned.
static json_t *files_of(struct reader *rd)
{
    CLEANUP(json_freep) json_t *root = NULL;
    CLEANUP(json_freep) json_t *sources = NULL;
    CLEANUP(json_freep) json_t *source = NULL;
    struct err err = {0};
    if (!reader_root(rd, &root, &err) ||
        !list_read_all(rd, root, "sources", "sources", &sources, &err) ||
        !list_open(rd, json_array_get(sources, 0), &source, &err))
        fail_msg("%s", err.msg);
    return json_incref(json_object_get(source, "files"));
}

static char kind_of(struct reader *rd, const json_t *file)
{
    struct blob_id id;
    const char *hex = json_string_value(json_array_get(json_object_get(file, "blobs"), 0));
    assert_true(hex && blob_id_parse(hex, &id));
    return reader_kind(rd, &id);
}

// By who holds the key of the job and knows these bytes.
static bool is_guessed(struct reader *rd, const char *bytes)
{
    struct credential job = snap_kit_job("writer");
    struct chain_keys k;
    bool found = false;
    chain_keys_from_k(job.k, &k);
    struct blob_namer *n = blob_namer_new(k.id_key);
    uint8_t salt[BLOB_SALT_BYTES];
    struct buf salted CLEANUP(buf_clear) = {0};
    blob_salt(n, bytes, strlen(bytes), salt);
    buf_append(&salted, salt, sizeof(salt));
    buf_str(&salted, bytes);
    struct blob_id plain = blob_name(n, 'f', bytes, strlen(bytes));
    struct blob_id alone = blob_name(n, 'h', salted.p, salted.len);
    struct blob_id bare = blob_name(n, 'h', bytes, strlen(bytes));
    found = reader_kind(rd, &plain) || reader_kind(rd, &alone) || reader_kind(rd, &bare);
    blob_namer_free(n);
    credential_clear(&job);
    return found;
}

static bool take(void *ctx, const void *p, size_t len, struct err *err)
{
    (void)err;
    buf_append(ctx, p, len);
    return true;
}

static void not_guessed(void **state)
{
    (void)state;
    for (int may_salt = 0; may_salt < 2; may_salt++) {
        struct fixture f;
        struct err err = {0};
        set_up(&f, may_salt);
        write_file(&f, "a.yaml", SECRET);
        write_file(&f, "b.yaml", "# what nobody knows\n");
        struct entry e = snapshot(&f);
        CLEANUP(reader_freep) struct reader *rd = open_snapshot(&f, &e);
        CLEANUP(json_freep) json_t *files = files_of(rd);
        assert_int_equal(json_array_size(files), 2);
        assert_int_equal(kind_of(rd, json_array_get(files, 0)), may_salt ? 'h' : 'f');
        assert_int_equal(is_guessed(rd, SECRET), !may_salt);
        struct buf back CLEANUP(buf_clear) = {0};
        assert_true(reader_file(rd, json_array_get(files, 0), take, &back, &err));
        assert_string_equal(back.p, SECRET);
        entry_clear(&e);
        tear_down(&f);
    }
}

static void the_same_again(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, true);
    write_file(&f, "a.yaml", SECRET);
    write_file(&f, "b.yaml", "# one\n");
    struct entry first = snapshot(&f);
    struct entry again = snapshot(&f);
    assert_true(first.snapshot.bytes.added > 0);
    assert_int_equal(again.snapshot.bytes.added, 0);
    write_file(&f, "b.yaml", "# another\n"); // then all of them are others
    struct entry other = snapshot(&f);
    CLEANUP(reader_freep) struct reader *a = open_snapshot(&f, &first);
    CLEANUP(reader_freep) struct reader *b = open_snapshot(&f, &other);
    CLEANUP(json_freep) json_t *x = files_of(a);
    CLEANUP(json_freep) json_t *y = files_of(b);
    assert_false(json_equal(json_object_get(json_array_get(x, 0), "blobs"),
                            json_object_get(json_array_get(y, 0), "blobs")));
    assert_true(json_equal(json_object_get(json_array_get(x, 0), "sha256"),
                           json_object_get(json_array_get(y, 0), "sha256")));
    entry_clear(&first);
    entry_clear(&again);
    entry_clear(&other);
    tear_down(&f);
}

// More than a blob holds is stored in pieces, as everywhere.
static void large_ones_have_none(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, true);
    CLEANUP(str_freep) char *text = mem_alloc(BLOB_MAX_BYTES);
    memset(text, '#', BLOB_MAX_BYTES - 1);
    write_file(&f, "large.txt", text);
    text[BLOB_MAX_BYTES - BLOB_SALT_BYTES] = 0;
    write_file(&f, "most.txt", text);
    write_file(&f, "small.yaml", SECRET);
    struct entry e = snapshot(&f);
    CLEANUP(reader_freep) struct reader *rd = open_snapshot(&f, &e);
    CLEANUP(json_freep) json_t *files = files_of(rd);
    assert_int_equal(kind_of(rd, json_array_get(files, 0)), 'f');
    assert_int_equal(kind_of(rd, json_array_get(files, 1)), 'h');
    assert_int_equal(json_array_size(json_dot(json_array_get(files, 1), "blobs")), 1);
    assert_int_equal(kind_of(rd, json_array_get(files, 2)), 'h');
    entry_clear(&e);
    tear_down(&f);
}

static void halves(void **state)
{
    (void)state;
    char p[BLOB_SALT_BYTES + 1] = {0};
    size_t len = sizeof(p);
    assert_ptr_equal(blob_of_file('f', p, &len), p);
    assert_int_equal(len, sizeof(p));
    assert_ptr_equal(blob_of_file('h', p, &len), p + BLOB_SALT_BYTES);
    assert_int_equal(len, 1);
    len = BLOB_SALT_BYTES; // a salt of nothing
    assert_null(blob_of_file('h', p, &len));
    assert_null(blob_of_file('o', p, &len));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(not_guessed),
        cmocka_unit_test(the_same_again),
        cmocka_unit_test(large_ones_have_none),
        cmocka_unit_test(halves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
