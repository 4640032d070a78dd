// SPDX-License-Identifier: Apache-2.0
//
// Verifying a repository: what is whole is told apart from what is not, at each level, and every
// snapshot a damage harms is named.
#include "snapshot/reader.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "gitops/gitops.h"
#include "tests/snapshot/snapkit.h"
#include "tests/test.h"

static const struct snap_state states[] = {
    {.apps = 4, .objects = 5, .version = 1, .has_secret = true},
    {.apps = 4, .objects = 5, .version = 2, .has_secret = true},
    {.apps = 3, .objects = 5, .version = 2, .has_secret = true},
};

static void build(struct repo *r)
{
    struct credential job = snap_kit_job("writer");
    log_kit_open(log_kit_store(true), r);
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        struct entry e = {0};
        struct err err = {0};
        if (!snap_kit_write(r, &job, &states[i], NULL, &e, &err))
            fail_msg("%s", err.msg);
        entry_clear(&e);
    }
    credential_clear(&job);
}

static struct verify_result verify(struct repo *r, bool with_identity, bool with_k, bool quick,
                                   uint64_t only)
{
    struct age_identities ids = {0};
    struct chain_keys keys;
    struct log l = {0};
    struct verify_result out = {0};
    struct err err = {0};
    uint8_t repo[REPO_ID_BYTES];
    struct age_identity id = kit_identity(1);
    kit_repo(repo);
    chain_keys_derive(&id, repo, PROD, &keys);
    *vec_push(&ids.v) = id;
    log_kit_read(r, &l);
    struct verify_opts o = {.identities = with_identity ? &ids : NULL,
                            .k = with_k ? &keys : NULL,
                            .quick = quick,
                            .only_seq = only};
    if (!repo_verify(r, &l, &o, &out, &err))
        fail_msg("%s", err.msg);
    age_identities_clear(&ids);
    log_clear(&l);
    return out;
}

static void whole(void **state)
{
    (void)state;
    struct repo r;
    build(&r);
    struct verify_result v = verify(&r, false, false, false, 0);
    assert_int_equal(v.level, VERIFY_CHAIN);
    assert_int_equal(v.problems.len, 0);
    assert_int_equal(v.snapshots, 3);
    uint64_t files = v.files;
    verify_result_clear(&v);
    v = verify(&r, false, true, false, 0);
    assert_int_equal(v.level, VERIFY_INDEX);
    assert_int_equal(v.problems.len, 0);
    verify_result_clear(&v);
    v = verify(&r, true, false, false, 0);
    assert_int_equal(v.level, VERIFY_CONTENT);
    if (v.problems.len)
        fail_msg("%s", v.problems.v[0]);
    assert_int_equal(v.files, files);
    assert_true(v.packs >= 3 && v.blobs > 30);
    verify_result_clear(&v);
    v = verify(&r, true, false, true, 2);
    assert_int_equal(v.level, VERIFY_CHAIN);
    assert_int_equal(v.snapshots, 1);
    assert_int_equal(v.problems.len, 0);
    verify_result_clear(&v);
    repo_close(&r);
}

static bool needs(struct repo *r, const struct log *l, const struct entry *e, const char *name)
{
    struct strv all = {0};
    struct err err = {0};
    assert_true(snapshot_needs(r, l, e, &all, &err));
    bool found = strv_has(&all, name);
    strv_clear(&all);
    return found;
}

static bool is_harmed(const struct verify_result *v, uint64_t seq)
{
    for (size_t i = 0; i < v->harmed.len; i++)
        if (v->harmed.v[i] == seq)
            return true;
    return false;
}

// How many problems of a snapshot name the file.
static size_t times_told(const struct verify_result *v, uint64_t seq, const char *name)
{
    CLEANUP(str_freep) char *front = str_printf("snapshot %llu: ", (unsigned long long)seq);
    size_t n = 0;
    for (size_t i = 0; i < v->problems.len; i++)
        n += str_starts(v->problems.v[i], front) &&
             strstr(v->problems.v[i], strrchr(name, '/') + 1) != NULL;
    return n;
}

// Every pack and index file in turn is lost, or has one other byte: exactly those snapshots that
// need it are named, each once.
static void damage(void **state)
{
    (void)state;
    struct repo r;
    struct log l = {0};
    struct store_items items = {0};
    struct err err = {0};
    build(&r);
    log_kit_read(&r, &l);
    assert_true(store_list(r.store, "chains/prod/", &items, &err));
    for (size_t i = 0; i < items.v.len; i++) {
        const char *name = items.v.v[i].name;
        if (strstr(name, "/log/"))
            continue;
        for (int lost = 0; lost < 2; lost++) {
            struct repo t;
            struct store *copy = memstore_clone(r.store);
            const struct buf *b = memstore_file(copy, name);
            CLEANUP(str_freep) char *bytes = mem_dup(b->p, b->len);
            bytes[b->len / 2] ^= 4;
            if (lost)
                memstore_drop(copy, name);
            else
                memstore_put(copy, name, bytes, b->len);
            log_kit_open(copy, &t);
            for (int with_key = 0; with_key < 2; with_key++) {
                struct verify_result v = verify(&t, with_key, false, false, 0);
                assert_true(v.problems.len > 0);
                for (size_t k = 0; k < l.v.len; k++) {
                    bool is_needed = needs(&r, &l, &l.v.v[k], name);
                    assert_int_equal(is_harmed(&v, l.v.v[k].seq), is_needed);
                    assert_int_equal(times_told(&v, l.v.v[k].seq, name), is_needed);
                }
                verify_result_clear(&v);
            }
            repo_close(&t);
        }
    }
    store_items_clear(&items);
    log_clear(&l);
    repo_close(&r);
}

// A snapshot whose root names what is in no pack: only the key shows it.
static void dangling(void **state)
{
    (void)state;
    struct repo r;
    struct credential job = snap_kit_job("writer");
    struct writer_opts o = {.job = &job};
    struct writer *w = NULL;
    struct snapshot_entry s = {.is_good = true};
    struct entry e = {0};
    struct err err = {0};
    log_kit_open(log_kit_store(true), &r);
    assert_true(writer_begin(&r, &o, &w, &err));
    static const char root[] = "{\"blobs\":[\"00112233445566778899aabbccddeeff\"],"
                               "\"type\":\"regrow root v1\"}\n";
    s.root = writer_add(w, 'r', root, sizeof(root) - 1);
    if (!writer_commit(w, &s, &e, &err))
        fail_msg("%s", err.msg);
    struct verify_result v = verify(&r, false, true, false, 0);
    assert_int_equal(v.problems.len, 0);
    verify_result_clear(&v);
    v = verify(&r, true, false, false, 0);
    assert_int_equal(v.problems.len, 1);
    assert_non_null(strstr(v.problems.v[0], "00112233445566778899aabbccddeeff"));
    verify_result_clear(&v);
    entry_clear(&e);
    writer_free(w);
    credential_clear(&job);
    repo_close(&r);
}

static void none_of_that_number(void **state)
{
    (void)state;
    struct repo r;
    struct log l = {0};
    struct verify_result out = {0};
    struct verify_opts o = {.only_seq = 17};
    struct err err = {0};
    build(&r);
    log_kit_read(&r, &l);
    assert_false(repo_verify(&r, &l, &o, &out, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    err_clear(&err);
    verify_result_clear(&out);
    log_clear(&l);
    repo_close(&r);
}

// ---- Git: the packs are indexed, and the refs followed through them ----

static const char make_git[] =
    "set -e; cd '%s'; export HOME=$PWD GIT_CONFIG_NOSYSTEM=1; git init -q -b main r; cd r\n"
    "for i in 1 2 3; do echo $i >$i; git add .; git -c user.name=t -c user.email=t@example.com "
    "commit -qm $i; git rev-parse HEAD >../$i; done\n"
    "git rev-list --all --objects | cut -d' ' -f1 | git pack-objects -q --stdout >../whole.pack\n"
    "git rev-list --all --objects | cut -d' ' -f1 | grep -v $(git rev-parse HEAD:2) | "
    "git pack-objects -q --stdout >../holes.pack\n"
    "head -c 200 ../whole.pack >../cut.pack\n";

struct git_case {
    const char *pack; // a file in dir
    const char *tip;  // a file with an id, or the id itself
    const char *says; // NULL: nothing is wrong
};

static void tip_of(const char *dir, const char *tip, char hex[41])
{
    CLEANUP(str_freep) char *path = path_join(dir, tip);
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    if (strlen(tip) < 40 && file_read(path, 100, &b, &err))
        tip = b.p;
    err_clear(&err);
    snprintf(hex, 41, "%.40s", tip);
}

static struct blob_id add_list(struct writer *w, char kind, json_t *v_take)
{
    struct buf b CLEANUP(buf_clear) = {0};
    canon_write(v_take, &b);
    buf_char(&b, '\n');
    json_decref(v_take);
    return writer_add(w, kind, b.p, b.len);
}

static json_t *ref_to(const struct blob_id *id)
{
    char hex[33];
    blob_id_hex(id, hex);
    return json_pack("{s:s, s:s}", "url", "x", "blob", hex);
}

static void write_git(struct repo *r, const char *dir, const struct git_case *g)
{
    struct credential job = snap_kit_job("writer");
    struct writer_opts o = {.job = &job};
    struct entry e = {.kind = ENTRY_SNAPSHOT};
    struct entry out = {0};
    struct err err = {0};
    char tip[41];
    json_t *file = NULL;
    CLEANUP(writer_freep) struct writer *w = NULL;
    CLEANUP(str_freep) char *pack = path_join(dir, g->pack);
    tip_of(dir, g->tip, tip);
    if (!writer_begin(r, &o, &w, &err) || !writer_add_file(w, pack, 0, NULL, &file, &err))
        fail_msg("%s", err.msg);
    json_decref(file);
    struct blob_id list =
        add_list(w, 'l',
                 json_pack("{s:s, s:s, s:s, s:[{s:s, s:s}]}", "type", "regrow repository v1", "url",
                           "x", "format", "sha1", "refs", "name", "refs/heads/main", "id", tip));
    list = add_list(
        w, 'l',
        json_pack("{s:s, s:[o]}", "type", "regrow repositories v1", "repositories", ref_to(&list)));
    e.snapshot.root =
        add_list(w, 'r', json_pack("{s:s, s:o}", "type", "regrow root v1", "git", ref_to(&list)));
    e.snapshot.is_good = true;
    if (!writer_commit(w, &e.snapshot, &out, &err))
        fail_msg("%s", err.msg);
    entry_clear(&e);
    entry_clear(&out);
    credential_clear(&job);
}

// Several in one chain: what the first has proved does not hide what the next one lacks.
static void git_connects(void **state)
{
    (void)state;
    static const struct git_case cases[] = {
        {"whole.pack", "2", NULL},
        {"whole.pack", "3", NULL},
        {"holes.pack", "1", NULL},
        {"whole.pack", "1111111111111111111111111111111111111111", "is not there"},
        {"whole.pack", "no id", "is no object id"},
    };
    static const struct git_case bad[] = {
        {"holes.pack", "3", "is not there"},
        {"cut.pack", "3", "Git pack 0"},
    };
    struct err err = {0};
    struct repo r;
    char *dir CLEANUP(dir_temp_cleanup) = NULL;
    assert_true(dir_make_temp("regrow-verify-test", &dir, &err));
    CLEANUP(str_freep) char *script = str_printf(make_git, dir);
    assert_int_equal(system(script), 0);
    log_kit_open(log_kit_store(true), &r);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        write_git(&r, dir, &cases[i]);
    struct verify_result v = verify(&r, true, false, false, 0);
    assert_int_equal(v.git_objects, 9 + 8);
    assert_int_equal(v.problems.len, 2);
    assert_non_null(strstr(v.problems.v[0], "snapshot 4: x: refs/heads/main: object 11111"));
    assert_non_null(strstr(v.problems.v[1], "snapshot 5"));
    verify_result_clear(&v);
    repo_close(&r);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        log_kit_open(log_kit_store(true), &r);
        write_git(&r, dir, &bad[i]);
        v = verify(&r, true, false, false, 0);
        assert_int_equal(v.problems.len, 1);
        if (!strstr(v.problems.v[0], bad[i].says))
            fail_msg("%s", v.problems.v[0]);
        verify_result_clear(&v);
        repo_close(&r);
    }
}

// A checkpoint leaves out what a judge said, and whoever wrote since remembers it.
static void verdict_left_out(void **state)
{
    (void)state;
    struct repo r;
    struct log l = {0};
    build(&r);
    log_kit_read(&r, &l);
    struct entry e = kit_verdict(&l.v.v[0], VERDICT_BAD);
    log_kit_append(&r, &l, &e);
    struct credential job = snap_kit_job("writer");
    struct err err = {0};
    if (!snap_kit_write(&r, &job, &states[0], NULL, &e, &err))
        fail_msg("%s", err.msg);
    entry_clear(&e);
    credential_clear(&job);
    log_kit_read(&r, &l);
    e = kit_checkpoint();
    for (size_t i = 0; i < l.v.len; i++)
        if (l.v.v[i].kind == ENTRY_SNAPSHOT)
            kit_keep(&e, &l.v.v[i]);
    log_kit_append(&r, &l, &e);
    log_kit_drop(&r, 4);
    struct verify_result v = verify(&r, false, false, false, 0);
    assert_int_equal(v.problems.len, 1);
    assert_non_null(strstr(v.problems.v[0], "snapshot 1: log entry 4 called it bad"));
    verify_result_clear(&v);
    log_clear(&l);
    repo_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole),        cmocka_unit_test(damage),
        cmocka_unit_test(dangling),     cmocka_unit_test(none_of_that_number),
        cmocka_unit_test(git_connects), cmocka_unit_test(verdict_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
