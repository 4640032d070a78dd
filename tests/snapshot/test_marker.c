// SPDX-License-Identifier: Apache-2.0
//
// regrow.json, and the repository's first files as an older program would have left them.
#include "snapshot/trust.h"

#include "tests/snapshot/bytes.h"
#include "tests/snapshot/memstore.h"
#include "tests/snapshot/trustkit.h"
#include "tests/snapshot/vectors.h"
#include "tests/test.h"

static struct signer ann, dan;

static int make_people(void **s)
{
    (void)s;
    ann = kit_signer("ann");
    dan = kit_signer("dan");
    return 0;
}

// The files of the vectors, as an older program would have written them.
static void old_files(void **s)
{
    (void)s;
    CLEANUP(store_freep) struct store *st = memstore_new();
    const char *const names[] = {"trust/0001", "trust/0002", "trust/0003", "regrow.json"};
    struct trust_chain c = {0};
    struct marker m;
    bool found = false;
    struct err err = {0};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct buf b CLEANUP(buf_clear) = {0};
        vector_read(names[i], &b);
        memstore_put(st, names[i], b.p, b.len);
    }
    struct sha256 pin = kit_pin(st);
    assert_true(trust_read(st, &pin, &c, &err));
    assert_int_equal(c.v.len, 3);
    assert_true(marker_read(st, &c, &m, &found, &err));
    assert_true(found && m.atomic_create && !m.list_after_create);
    marker_clear(&m);
    trust_chain_clear(&c);
}

static void markers(void **s)
{
    (void)s;
    CLEANUP(store_freep) struct store *st = kit_three();
    struct trust_chain c = {0};
    struct marker got;
    struct err err = {0};
    bool found = true;
    kit_read(st, &c);
    struct marker m = {.atomic_create = true, .store_kind = str_dup("memory")};
    memcpy(m.repo, c.v.v[0].repo, sizeof(m.repo));
    assert_true(marker_read(st, &c, &got, &found, &err));
    assert_false(found);
    assert_true(marker_write(st, &m, &ann, &err));
    assert_true(marker_write(st, &m, &ann, &err)); // the same again
    const struct buf *b = memstore_file(st, "regrow.json");
    assert_vector("regrow.json", b->p, b->len);
    assert_true(marker_read(st, &c, &got, &found, &err));
    assert_true(found && got.atomic_create && !got.list_after_create);
    assert_string_equal(got.store_kind, "memory");
    marker_clear(&got);
    m.list_after_create = true;
    assert_false(marker_write(st, &m, &ann, &err));
    assert_int_equal(err.kind, ERR_CONFLICT);
    err_clear(&err);
    memstore_drop(st, "regrow.json");
    assert_true(marker_write(st, &m, &dan, &err)); // an admin of today
    assert_true(marker_read(st, &c, &got, &found, &err));
    marker_clear(&got);
    marker_clear(&m);
    trust_chain_clear(&c);
}

static void markers_refused(void **s)
{
    (void)s;
    CLEANUP(store_freep) struct store *st = kit_three();
    struct trust_chain c = {0};
    kit_read(st, &c);
    CLEANUP(str_freep) char *repo = hex_encode(c.v.v[0].repo, REPO_ID_BYTES);
    const char *const form = "{s:i, s:s, s:s, s:b, s:b}";
    const struct {
        json_t *body;
        struct signer by;
        enum err_kind kind;
    } rows[] = {
        {json_pack(form, "format", 1, "repo", repo, "store", "s3", "atomic_create", 1,
                   "list_after_create", 1),
         kit_signer("stranger"), ERR_CORRUPT},
        {json_pack(form, "format", 2, "repo", repo, "store", "s3", "atomic_create", 1,
                   "list_after_create", 1),
         ann, ERR_INVALID},
        {json_pack(form, "format", 0, "repo", repo, "store", "s3", "atomic_create", 1,
                   "list_after_create", 1),
         ann, ERR_CORRUPT},
        {json_pack(form, "format", 1, "repo", "00000000000000000000000000000000", "store", "s3",
                   "atomic_create", 1, "list_after_create", 1),
         ann, ERR_CORRUPT},
        {json_pack("{s:i, s:s}", "format", 1, "repo", repo), ann, ERR_CORRUPT},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf b CLEANUP(buf_clear) = {0};
        struct marker m;
        struct err err = {0};
        bool found = false;
        signed_write("repository", rows[i].body, &rows[i].by, 1, &b);
        memstore_put(st, "regrow.json", b.p, b.len);
        assert_false(marker_read(st, &c, &m, &found, &err));
        assert_int_equal(err.kind, rows[i].kind);
        err_clear(&err);
        json_decref(rows[i].body);
    }
    struct buf large CLEANUP(buf_clear) = {0};
    struct marker m;
    struct err err = {0};
    bool found = false;
    while (large.len <= MARKER_MAX_BYTES)
        buf_char(&large, ' ');
    memstore_put(st, "regrow.json", large.p, large.len);
    assert_false(marker_read(st, &c, &m, &found, &err));
    assert_int_equal(err.kind, ERR_CORRUPT);
    err_clear(&err);
    trust_chain_clear(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(markers),
        cmocka_unit_test(markers_refused),
        cmocka_unit_test(old_files),
    };
    return cmocka_run_group_tests(tests, make_people, NULL);
}
