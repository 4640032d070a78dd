// SPDX-License-Identifier: Apache-2.0
//
// A chart's archive is read to its end or not at all: what breaks off is an error, a name that is
// not UTF-8 ends nothing, and no entry is written outside of the folder.
#include "source/chart.h"

#include <locale.h>
#include <stdio.h>
#include <zlib.h>

#include "base/file.h"
#include "tests/test.h"

#define TEMPLATE "{{ .Capabilities.APIVersions.Has \"a/v1\" }}\n"

#define LARGE 65024 // with its header a whole block of what unpacks gzip

static char *dir;

// One member of a tar file.
static void put(struct buf *b, char type, const char *name, const char *p, size_t len)
{
    static const char zeros[512];
    char h[513] = {0};
    unsigned sum = 0;
    snprintf(h, 100, "%s", name);
    snprintf(h + 100, 8, "%07o", 0644);
    snprintf(h + 124, 12, "%011zo", len);
    snprintf(h + 136, 12, "%011o", 0);
    memset(h + 148, ' ', 8);
    h[156] = type;
    memcpy(h + 257, "ustar\00000", 8);
    for (size_t i = 0; i < 512; i++)
        sum += (unsigned char)h[i];
    snprintf(h + 148, 8, "%06o", sum);
    buf_append(b, h, 512);
    buf_append(b, p, len);
    buf_append(b, zeros, (512 - len % 512) % 512);
}

// The gzip of it with the end of an archive, owned path.
static char *packed(struct buf *b)
{
    static const char zeros[1024];
    char *path = path_join(dir, "chart.tgz");
    gzFile z = gzopen(path, "wb");
    buf_append(b, zeros, sizeof(zeros));
    assert_int_equal(gzwrite(z, b->p, (unsigned)b->len), (int)b->len);
    assert_int_equal(gzclose(z), Z_OK);
    return path;
}

static char *packed_files(const char *const *names, size_t n)
{
    struct buf b CLEANUP(buf_clear) = {0};
    for (size_t i = 0; i < n; i++)
        put(&b, '0', names[i], TEMPLATE, strlen(TEMPLATE));
    return packed(&b);
}

// Three files as large as a block, and nothing that gzip could make smaller.
static char *packed_large(void)
{
    static const char *const names[] = {"c/Chart.yaml", "c/templates/a.yaml", "c/templates/b.yaml"};
    struct buf b CLEANUP(buf_clear) = {0};
    char *noise = mem_alloc(LARGE);
    unsigned seed = 7;
    for (size_t i = 0; i < LARGE; i++) {
        seed = seed * 1103515245U + 12345U;
        noise[i] = (char)(seed >> 16);
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        put(&b, '0', names[i], noise, LARGE);
    free(noise);
    return packed(&b);
}

// As a server that breaks off leaves it.
static void cut(const char *path, size_t part, size_t of)
{
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    assert_true(file_read(path, 1U << 20, &b, &err));
    assert_true(file_put(path, b.p, b.len * part / of, 0600, &err));
}

static bool unpacks(const char *archive, struct err *err)
{
    CLEANUP(str_freep) char *to = path_join(dir, "to");
    assert_true(dir_remove(to, err));
    return dir_make(to, 0700, err) && archive_unpack(archive, to, err);
}

static bool is_unpacked(const char *name)
{
    CLEANUP(str_freep) char *to = path_join(dir, "to");
    CLEANUP(str_freep) char *path = path_join(to, name);
    return file_exists(path);
}

static void a_whole_one(void **s)
{
    (void)s;
    static const char *const names[] = {"c/Chart.yaml", "c/templates/a.yaml", "c/templates/b.yaml"};
    CLEANUP(str_freep) char *path = packed_files(names, ARRAY_LEN(names));
    struct err err = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    assert_true(unpacks(path, &err));
    assert_true(is_unpacked("c/templates/a.yaml"));
    assert_true(chart_read(path, "templates/b.yaml", 1000, &b, &err));
    assert_string_equal(b.p, TEMPLATE);
    assert_false(chart_read(path, "templates/c.yaml", 1000, &b, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    err_clear(&err);
}

static void is_corrupt(bool ok, struct err *err)
{
    assert_false(ok);
    assert_int_equal(err->kind, ERR_CORRUPT);
    err_clear(err);
}

static void one_that_breaks_off(void **s)
{
    (void)s;
    for (size_t part = 1; part < 20; part++) {
        CLEANUP(str_freep) char *path = packed_large();
        struct buf b CLEANUP(buf_clear) = {0};
        struct asks asks = {0};
        struct err err = {0};
        cut(path, part, 20);
        is_corrupt(unpacks(path, &err), &err);
        is_corrupt(chart_asks(path, &asks, &err), &err);
        is_corrupt(chart_read(path, "templates/c.yaml", 1000, &b, &err), &err);
        asks_clear(&asks);
    }
}

static void names_that_are_not_utf8(void **s)
{
    (void)s;
    static const char record[] = "27 path=c/templates/\xe4.yaml\n";
    struct buf b CLEANUP(buf_clear) = {0};
    put(&b, '0', "c/Chart.yaml", "a: b\n", 5);
    put(&b, 'x', "c/x", record, sizeof(record) - 1);
    put(&b, '0', "c/templates/_.yaml", "a: b\n", 5);
    put(&b, '0', "c/templates/b.yaml", TEMPLATE, strlen(TEMPLATE));
    CLEANUP(str_freep) char *path = packed(&b);
    struct asks asks = {0};
    struct err err = {0};
    assert_true(unpacks(path, &err));
    assert_true(is_unpacked("c/templates/b.yaml"));
    assert_true(is_unpacked("c/templates/\xe4.yaml"));
    assert_true(chart_asks(path, &asks, &err));
    assert_int_equal(asks.names.len, 1);
    asks_clear(&asks);
}

static void names_that_lead_out(void **s)
{
    (void)s;
    static const char *const bad[] = {"../out.yaml", "c/../../out.yaml", "/c/out.yaml"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        const char *const names[] = {"c/Chart.yaml", bad[i], "c/templates/b.yaml"};
        CLEANUP(str_freep) char *path = packed_files(names, ARRAY_LEN(names));
        CLEANUP(str_freep) char *out = path_join(dir, "out.yaml");
        struct err err = {0};
        assert_false(unpacks(path, &err));
        assert_int_equal(err.kind, ERR_INVALID);
        err_clear(&err);
        assert_false(file_exists(out));
    }
}

static int setup(void **s)
{
    (void)s;
    struct err err = {0};
    return setlocale(LC_CTYPE, "C.UTF-8") && dir_make_temp("test-archive", &dir, &err) ? 0 : -1;
}

static int teardown(void **s)
{
    (void)s;
    dir_temp_cleanup(&dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_one),
        cmocka_unit_test(one_that_breaks_off),
        cmocka_unit_test(names_that_are_not_utf8),
        cmocka_unit_test(names_that_lead_out),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
