// SPDX-License-Identifier: Apache-2.0
//
// Lists in pages (docs/repository-format.md section 7): read as if they had none, put together
// where they go to a repository that knows none, and bounded.
#include "gitops/gitops.h"
#include "snapshot/lists.h"
#include "snapshot/rename.h"
#include "tests/snapshot/smallrepo.h"
#include "tests/test.h"

struct fixture {
    struct repo r;
    struct log l;
    struct reader *rd;
};

static void fixture_init(struct fixture *f)
{
    static const char *const flags[] = {TRUST_PAGES};
    struct age_identity id = kit_identity(1);
    struct err err = {0};
    *f = (struct fixture){0};
    log_kit_open(small_repo_flags(flags, ARRAY_LEN(flags)), &f->r);
    log_kit_read(&f->r, &f->l);
    if (!reader_open(&f->r, PROD, log_find(&f->l, 2), &id, &f->rd, &err))
        fail_msg("%s", err.msg);
}

static void fixture_clear(struct fixture *f)
{
    reader_free(f->rd);
    log_clear(&f->l);
    repo_close(&f->r);
}

static void read_as_one(void **state)
{
    (void)state;
    struct fixture f CLEANUP(fixture_clear);
    CLEANUP(json_freep) json_t *root = NULL;
    CLEANUP(json_freep) json_t *apps = NULL;
    struct err err = {0};
    fixture_init(&f);
    assert_true(reader_root(f.rd, &root, &err) && list_apps(f.rd, root, &apps, &err));
    const json_t *web = json_dot(apps, "web.list");
    const json_t *rows = json_object_get(web, "objects");
    assert_int_equal(json_array_size(rows), 3);
    assert_null(json_object_get(web, "pages")); // or whoever writes it down has its rows twice
    assert_string_equal(json_dot_str(json_array_get(rows, 0), "name"), "a");
    assert_string_equal(json_dot_str(json_array_get(rows, 2), "name"), "login");
}

// ---- where they go ----

struct taken {
    unsigned lists, with_pages, pages;
    size_t rows; // of the list of "web"
};

static bool take(void *ctx, char kind, const void *p, size_t len, struct blob_id *id,
                 struct err *err)
{
    struct taken *t = ctx;
    struct sha256 sum = sha256_of(p, len);
    CLEANUP(json_freep) json_t *doc = NULL;
    memcpy(id->b, sum.b, sizeof(id->b));
    if (kind != 'l')
        return true;
    if (!canon_read(p, len, &doc, err))
        return false;
    t->lists++;
    t->with_pages += json_object_get(doc, "pages") != NULL;
    t->pages += str_eq(json_dot_str(doc, "type"), "regrow rows v1");
    if (str_eq(json_dot_str(doc, "name"), "web") && json_object_get(doc, "graph"))
        t->rows = json_array_size(json_object_get(doc, "objects"));
    return true;
}

static struct taken carried(bool joins_pages)
{
    struct fixture f CLEANUP(fixture_clear);
    struct taken t = {0};
    struct err err = {0};
    struct blob_id new;
    fixture_init(&f);
    struct renaming n CLEANUP(renaming_clear) = {
        .r = f.rd, .put = take, .ctx = &t, .joins_pages = joins_pages};
    if (!rename_blob(&n, &log_find(&f.l, 2)->snapshot.root, &new, &err))
        fail_msg("%s", err.msg);
    return t;
}

static void joined_on_the_way(void **state)
{
    (void)state;
    struct taken as_is = carried(false);
    struct taken joined = carried(true);
    assert_int_equal(as_is.with_pages, 1);
    assert_int_equal(as_is.pages, 2);
    assert_int_equal(as_is.rows, 0);
    assert_int_equal(joined.with_pages, 0);
    assert_int_equal(joined.pages, 0);
    assert_int_equal(joined.rows, 3);
    assert_int_equal(joined.lists, as_is.lists - 2);
}

// All rows may lie in pages: then they make the list.
static void nothing_of_its_own(void **state)
{
    (void)state;
    struct fixture f CLEANUP(fixture_clear);
    CLEANUP(json_freep) json_t *root = NULL;
    struct err err = {0};
    fixture_init(&f);
    assert_true(reader_root(f.rd, &root, &err));
    CLEANUP(json_freep)
    json_t *list = json_pack("{s:{s:[O]}}", "pages", "blobs",
                             json_object_get(json_object_get(root, "live"), "blob"));
    assert_true(list_join_pages(f.rd, list, "objects", &err));
    assert_int_equal(json_array_size(json_object_get(list, "objects")), 1);
}

// ---- bounds ----

static bool take_any(void *ctx, char kind, const void *p, size_t len, struct blob_id *id,
                     struct err *err)
{
    (void)ctx;
    (void)kind;
    (void)p;
    (void)err;
    assert_true(len <= BLOB_MAX_BYTES);
    *id = (struct blob_id){0};
    return true;
}

// What pages make together may be longer than a blob: told, before anyone is given it.
static void too_long_together(void **state)
{
    (void)state;
    struct fixture f CLEANUP(fixture_clear);
    struct err err = {0};
    struct blob_id id;
    fixture_init(&f);
    CLEANUP(str_freep) char *text = mem_alloc(BLOB_MAX_BYTES + 1);
    memset(text, 'x', BLOB_MAX_BYTES);
    CLEANUP(json_freep) json_t *doc = json_pack("{s:s}", "long", text);
    struct renaming n CLEANUP(renaming_clear) = {.r = f.rd, .put = take_any, .joins_pages = true};
    assert_false(rename_doc(&n, doc, 'l', &id, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    assert_non_null(strstr(err.msg, "longer than 8 MiB without pages"));
    err_clear(&err);
}

// One page may be named any number of times: rows that nobody can have end it, not memory.
static void bounded(void **state)
{
    (void)state;
    struct fixture f CLEANUP(fixture_clear);
    CLEANUP(json_freep) json_t *root = NULL;
    struct err err = {0};
    fixture_init(&f);
    assert_true(reader_root(f.rd, &root, &err));
    const json_t *live = json_object_get(root, "live"); // a list of one row
    for (unsigned n = 999999; n <= 1000000; n++) {
        CLEANUP(json_freep)
        json_t *list = json_pack("{s:[], s:{s:[O]}}", "objects", "pages", "blobs",
                                 json_object_get(live, "blob"));
        for (unsigned i = 0; i < n; i++)
            json_array_append_new(json_object_get(list, "objects"), json_null());
        assert_int_equal(list_join_pages(f.rd, list, "objects", &err), n == 999999);
    }
    assert_int_equal(err.kind, ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "more than 1000000 rows"));
    err_clear(&err);
}

// Pages that are no names, one named twice, none at all: damage, told before any is opened.
static void no_names(void **state)
{
    (void)state;
    struct fixture f CLEANUP(fixture_clear);
    CLEANUP(json_freep) json_t *root = NULL;
    struct err err = {0};
    fixture_init(&f);
    assert_true(reader_root(f.rd, &root, &err));
    const json_t *page = json_object_get(json_object_get(root, "live"), "blob");
    json_t *bad[] = {json_pack("{s:[O,O]}", "blobs", page, page), json_pack("{s:[i]}", "blobs", 5),
                     json_pack("{s:O}", "blobs", page), json_object(), json_array()};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        CLEANUP(json_freep) json_t *list = json_pack("{s:[], s:o}", "objects", "pages", bad[i]);
        assert_false(list_join_pages(f.rd, list, "objects", &err));
        assert_int_equal(err.kind, ERR_CORRUPT);
        err_clear(&err);
    }
    CLEANUP(json_freep) json_t *many = json_array();
    for (unsigned i = 0; i <= 65536; i++)
        json_array_append_new(many, json_string("00000000000000000000000000000000"));
    CLEANUP(json_freep)
    json_t *list = json_pack("{s:[], s:{s:O}}", "objects", "pages", "blobs", many);
    assert_false(list_join_pages(f.rd, list, "objects", &err));
    assert_int_equal(err.kind, ERR_CORRUPT);
    err_clear(&err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_as_one),
        cmocka_unit_test(joined_on_the_way),
        cmocka_unit_test(nothing_of_its_own),
        cmocka_unit_test(too_long_together),
        cmocka_unit_test(bounded),
        cmocka_unit_test(no_names),
    };
    return cmocka_run_group_tests_name("snapshot pages", tests, NULL, NULL);
}
