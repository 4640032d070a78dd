// SPDX-License-Identifier: Apache-2.0
//
// Plan files: to bytes and back, what is refused, and what counts as the same plan.
#include "tests/test.h"

#include "reconcile/plan.h"
#include "reconcile/plan_file.h"

#define HASH_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HASH_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static json_t *object(const char *action, const char *content, const char *state)
{
    json_t *o =
        doc_of("{application: web, group: apps, kind: Deployment, namespace: web, name: api}");
    json_object_set_new(o, "action", json_string(action));
    if (content)
        json_object_set_new(o, "content", json_string(content));
    if (state)
        json_object_set_new(o, "live", json_pack("{s:s, s:s}", "uid", "u1", "state", state));
    return o;
}

static json_t *plan(json_t *o)
{
    json_t *doc =
        doc_of("{cluster: {uid: u, version: v1.37.2}, options: {order: full}, root: {url: "
               "/srv/apps}, sources: [{kind: folder, url: /srv/apps, target: ''}], "
               "objects: []}");
    if (o)
        json_array_append_new(json_object_get(doc, "objects"), o);
    return doc;
}

static void there_and_back(void **s)
{
    (void)s;
    CLEANUP(json_freep) json_t *doc = plan(object("create", HASH_A, NULL));
    CLEANUP(json_freep) json_t *back = NULL;
    struct buf a CLEANUP(buf_clear) = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    plan_file_write(doc, &a);
    plan_file_write(doc, &b);
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.p, b.p, a.len);
    assert_true(plan_file_read(a.p, a.len, &back, &err));
    assert_true(json_equal(json_object_get(doc, "objects"), json_object_get(back, "objects")));
    CLEANUP(str_freep) char *sum = plan_file_sum(back);
    assert_true(str_starts(sum, "sha256:"));
    assert_int_equal(strlen(sum), 71);
}

static void refused(const char *p, size_t len, enum err_kind kind)
{
    json_t *out = NULL;
    struct err err = {0};
    assert_false(plan_file_read(p, len, &out, &err));
    assert_null(out);
    assert_int_equal(err.kind, kind);
    err_clear(&err);
}

// At whatever byte it is cut off or changed.
static void damaged(void **s)
{
    (void)s;
    CLEANUP(json_freep) json_t *doc = plan(object("create", HASH_A, NULL));
    struct buf b CLEANUP(buf_clear) = {0};
    plan_file_write(doc, &b);
    size_t first = (size_t)(strchr(b.p, '\n') - b.p) + 1;
    refused("", 0, ERR_INVALID);
    for (size_t n = 0; n < b.len; n++)
        refused(b.p, n, n < first - 1 ? ERR_INVALID : ERR_CORRUPT);
    for (size_t i = 0; i < b.len; i++) {
        b.p[i] ^= 1;
        refused(b.p, b.len, i < first - 1 ? ERR_INVALID : ERR_CORRUPT);
        b.p[i] ^= 1;
    }
}

// Whole, with a sum that is right, and not to be believed.
static void hostile(void **s)
{
    (void)s;
    static const char *const patches[] = {
        "{objects: [{application: a, group: '', kind: K, name: n, action: destroy}]}",
        "{objects: [{application: a, group: '', kind: K, name: n, action: create, content: xyz}]}",
        "{objects: [{application: a, group: '', kind: K, name: n, action: create, more: 1}]}",
        "{objects: [{application: a, group: '', kind: K, action: create}]}",
        "{objects: [{application: a, group: '', kind: K, name: n, action: create},"
        " {application: a, group: '', kind: K, name: n, action: prune}]}",
        "{objects: [1]}",
        "{sources: [{kind: git, url: 'https://x/y', target: main, revision: main}]}",
        "{sources: [{kind: git, url: 'https://x/y', target: main}]}",
        "{sources: [{kind: helm, url: 'https://x/y', target: '1', revision: ../../etc}]}",
        "{sources: [{kind: helm, url: 'https://x/y', target: '1', revision: --x}]}",
        "{sources: [{kind: folder, url: /x, target: '', revision: '1'}]}",
        "{sources: [{kind: ftp, url: /x, target: ''}]}",
        "{options: {force: true}}",
        "{options: {noPrune: 'yes'}}",
        "{options: {apps: [1]}}",
        "{root: {}}",
        "{cluster: {uid: '', version: v1}}",
    };
    for (size_t i = 0; i < ARRAY_LEN(patches); i++) {
        CLEANUP(json_freep) json_t *doc = plan(NULL);
        CLEANUP(json_freep) json_t *patch = doc_of(patches[i]);
        struct buf b CLEANUP(buf_clear) = {0};
        json_object_update(doc, patch);
        plan_file_write(doc, &b);
        refused(b.p, b.len, ERR_INVALID);
    }
}

static void verdicts(void **s)
{
    (void)s;
    static const struct {
        const char *was, *was_state, *is, *is_state, *is_content, *what; // NULL: the same plan
    } rows[] = {
        {"create", NULL, "create", NULL, HASH_A, NULL},
        {"create", NULL, "create", NULL, HASH_B, "content"},
        {"create", NULL, "unchanged", "sha256:1", HASH_A, NULL},
        {"create", NULL, "hook-done", NULL, HASH_A, NULL},
        {"create", NULL, "check", "sha256:1", HASH_A, "action"},
        {"create", NULL, "change", "sha256:1", HASH_A, "action"},
        {"create", NULL, "wait-for-deletion", "sha256:1", HASH_A, "action"},
        {"change", "sha256:1", "change", "sha256:1", HASH_A, NULL},
        {"change", "sha256:1", "change", "sha256:2", HASH_A, "live"},
        {"change", "sha256:1", "unchanged", "sha256:2", HASH_A, NULL},
        {"change", "sha256:1", "create", NULL, HASH_A, "gone"},
        {"unchanged", "sha256:1", "unchanged", "sha256:2", HASH_A, NULL},
        {"unchanged", "sha256:1", "change", "sha256:2", HASH_A, "action"},
        {"unchanged", "sha256:1", "create", NULL, HASH_A, "gone"},
        {"unchanged", "sha256:1", "unchanged", "sha256:1", HASH_B, "content"},
        {"wait-for-deletion", "sha256:1", "create", NULL, HASH_A, NULL},
        {"hook-done", NULL, "recreate", "sha256:1", HASH_A, "action"},
        {"prune", "sha256:1", "prune", "sha256:1", HASH_A, NULL},
        {"prune", "sha256:1", "prune", "sha256:2", HASH_A, "live"},
        {"keep", "sha256:1", "keep", "sha256:2", HASH_A, NULL},
        {"keep", "sha256:1", "prune", "sha256:1", HASH_A, "action"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(json_freep) json_t *was = plan(object(rows[i].was, HASH_A, rows[i].was_state));
        CLEANUP(json_freep)
        json_t *is = plan(object(rows[i].is, rows[i].is_content, rows[i].is_state));
        CLEANUP(json_freep) json_t *changes = plan_file_changes(was, is);
        assert_int_equal(json_array_size(changes), rows[i].what != NULL);
        if (rows[i].what)
            assert_string_equal(json_dot_str(json_array_get(changes, 0), "what"), rows[i].what);
    }
}

// What a run that was killed had made already has our mark.
static void made_already(void **s)
{
    (void)s;
    CLEANUP(json_freep) json_t *was = plan(object("create", HASH_A, NULL));
    json_t *o = object("check", HASH_A, "sha256:1");
    json_object_set_new(json_object_get(o, "live"), "application", json_string("web"));
    CLEANUP(json_freep) json_t *is = plan(o);
    CLEANUP(json_freep) json_t *changes = plan_file_changes(was, is);
    assert_int_equal(json_array_size(changes), 0);
}

// What a dry run has said of it holds as long as it is what it was.
static void settled(void **s)
{
    (void)s;
    CLEANUP(json_freep) json_t *before = plan(object("unchanged", HASH_A, "sha256:1"));
    CLEANUP(json_freep) json_t *same = plan(object("check", HASH_A, "sha256:1"));
    CLEANUP(json_freep) json_t *other = plan(object("check", HASH_A, "sha256:2"));
    plan_file_settle(same, before);
    plan_file_settle(other, before);
    CLEANUP(json_freep) json_t *none = plan_file_changes(before, same);
    CLEANUP(json_freep) json_t *one = plan_file_changes(before, other);
    assert_int_equal(json_array_size(none), 0);
    assert_int_equal(json_array_size(one), 1);
}

static void come_and_gone(void **s)
{
    (void)s;
    CLEANUP(json_freep) json_t *none = plan(NULL);
    CLEANUP(json_freep) json_t *one = plan(object("create", HASH_A, NULL));
    CLEANUP(json_freep) json_t *prune = plan(object("prune", NULL, "sha256:1"));
    CLEANUP(json_freep) json_t *new = plan_file_changes(none, one);
    CLEANUP(json_freep) json_t *gone = plan_file_changes(one, none);
    CLEANUP(json_freep) json_t *pruned = plan_file_changes(prune, none);
    assert_string_equal(json_dot_str(json_array_get(new, 0), "what"), "new");
    assert_string_equal(json_dot_str(json_array_get(gone, 0), "what"), "gone");
    assert_int_equal(json_array_size(pruned), 0);
}

static void archives(void **s)
{
    (void)s;
    CLEANUP(json_freep) json_t *was = plan(NULL);
    CLEANUP(json_freep) json_t *is = NULL;
    json_array_append_new(json_object_get(was, "sources"),
                          doc_of("{kind: helm, url: 'https://x', chart: c, target: ^1, revision: "
                                 "1.2.0, digest: 'sha256:" HASH_A "'}"));
    is = json_deep_copy(was);
    json_t *source = json_array_get(json_object_get(is, "sources"), 1);
    json_object_set_new(source, "digest", json_string("sha256:" HASH_B));
    CLEANUP(json_freep) json_t *changes = plan_file_changes(was, is);
    assert_int_equal(json_array_size(changes), 1);
    assert_string_equal(json_dot_str(json_array_get(changes, 0), "what"), "source");
}

static void fields(void **s)
{
    (void)s;
    CLEANUP(json_freep) json_t *was = doc_of("{a: {b: 1, c: [x, y]}, d: {}}");
    CLEANUP(json_freep) json_t *is = doc_of("{a: {b: 2, c: [x, z]}, d: {}, 'e/f': 1}");
    CLEANUP(str_freep) char *hashes = plan_file_fields(was);
    CLEANUP(json_freep) json_t *same = plan_file_other_fields(was, hashes);
    CLEANUP(json_freep) json_t *other = plan_file_other_fields(is, hashes);
    CLEANUP(json_freep) json_t *want = doc_of("[/a/b, /a/c/1, /e~1f]");
    CLEANUP(json_freep) json_t *large = json_array();
    assert_int_equal(json_array_size(same), 0);
    assert_true(json_equal(other, want));
    for (int i = 0; i < 401; i++)
        json_array_append_new(large, json_integer(i));
    assert_null(plan_file_fields(large));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back), cmocka_unit_test(damaged),
        cmocka_unit_test(hostile),        cmocka_unit_test(verdicts),
        cmocka_unit_test(made_already),   cmocka_unit_test(come_and_gone),
        cmocka_unit_test(settled),        cmocka_unit_test(archives),
        cmocka_unit_test(fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
