// SPDX-License-Identifier: Apache-2.0
//
// Repositories written by earlier versions (tool_golden.c), one a folder of tests/snapshot/golden:
// they must be read for ever, and give what they gave then.
#include <dirent.h>

#include "base/file.h"
#include "tests/snapshot/smallrepo.h"
#include "tests/test.h"

#define GOLDEN "tests/snapshot/golden"

static void load(struct store *st, const char *dir, const char *prefix)
{
    struct dirent **names = NULL;
    CLEANUP(str_freep) char *here = path_join(dir, prefix);
    int n = scandir(here, &names, NULL, alphasort);
    assert_true(n > 2);
    for (int i = 0; i < n; i++) {
        CLEANUP(str_freep)
        char *name = str_printf("%s%s%s", prefix, *prefix ? "/" : "", names[i]->d_name);
        CLEANUP(str_freep) char *path = path_join(dir, name);
        bool is_dots = names[i]->d_name[0] == '.';
        free(names[i]);
        if (is_dots)
            continue;
        if (file_is_dir(path)) {
            load(st, dir, name);
            continue;
        }
        struct buf b CLEANUP(buf_clear) = {0};
        struct err err = {0};
        if (!file_read(path, STORE_MAX_FILE_BYTES, &b, &err))
            fail_msg("%s", err.msg);
        memstore_put(st, name, b.p, b.len);
    }
    free(names);
}

// The snapshot of which a checkpoint leaves out that it was called bad, and no other.
static void expect_doubts(struct store *st_take, const struct sha256 *pin, uint64_t doubted)
{
    struct repo r;
    struct log l = {0};
    struct err err = {0};
    if (!repo_open_store_take(st_take, pin, &r, &err))
        fail_msg("%s", err.msg);
    log_kit_read(&r, &l);
    for (size_t i = 0; i < l.v.len; i++) {
        const struct entry *e = &l.v.v[i];
        if (e->kind == ENTRY_SNAPSHOT)
            assert_int_equal(log_left_out(&l, e) > 0, e->seq == doubted);
        if (e->seq == doubted)
            assert_int_equal(log_goodness(&l, e), SNAP_SUSPECT);
    }
    log_clear(&l);
    repo_close(&r);
}

static void read_one(const char *facts)
{
    CLEANUP(str_freep) char *path = path_join(GOLDEN, facts);
    CLEANUP(str_freep) char *dir = str_ndup(path, strlen(path) - strlen(".json"));
    json_auto_t *o = json_load_file(path, 0, NULL);
    struct store *st = memstore_new();
    struct age_identity id = kit_identity(1);
    struct sha256 pin;
    struct sha256 sum;
    struct err err = {0};
    assert_true(hex_decode(json_dot_str(o, "pin"), pin.b, sizeof(pin.b)));
    load(st, dir, "");
    expect_doubts(memstore_clone(st), &pin,
                  (uint64_t)json_integer_value(json_object_get(o, "doubted")));
    if (!small_repo_read(st, &pin, &id, false, &sum, &err))
        fail_msg("%s: %s", dir, err.msg);
    CLEANUP(str_freep) char *hex = hex_encode(sum.b, sizeof(sum.b));
    assert_string_equal(hex, json_dot_str(o, "sum"));
}

// Kept and read for ever: none goes, and a new one is named here.
static const char *const kept[] = {"1-left-out.json", "1-pages.json", "1-salted-files.json",
                                   "1-zstd-rows.json", "1.json"};

static void golden(void **s)
{
    (void)s;
    struct dirent **names = NULL;
    int n = scandir(GOLDEN, &names, NULL, alphasort);
    int found = 0;
    for (int i = 0; i < n; i++) {
        if (str_ends(names[i]->d_name, ".json")) {
            assert_in_range(found, 0, (int)ARRAY_LEN(kept) - 1);
            assert_string_equal(names[i]->d_name, kept[found]);
            read_one(names[i]->d_name);
            found++;
        }
        free(names[i]);
    }
    free(names);
    assert_int_equal(found, ARRAY_LEN(kept));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(golden)};
    return cmocka_run_group_tests_name("snapshot golden", tests, NULL, NULL);
}
