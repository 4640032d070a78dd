// SPDX-License-Identifier: Apache-2.0
//
// Versions of programs: asked once a file, and every time where the file does not say what answers.
#include "snapshot/programs.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/test.h"

// "tool" is a program of its own; "tool-of-many" is a link to one of another name, "script" asks.
static const char make_all[] =
    "set -e; cd '%s'; mkdir bin cache\n"
    "printf '#include <stdio.h>\\nint main(void) { FILE *f = fopen(\"'$PWD'/asked\", \"a\"); "
    "fputs(\"x\", f); fclose(f); puts(\"v1\"); return 0; }\\n' >tool.c; cc -o bin/tool tool.c\n"
    "cp bin/tool bin/many; ln -s many bin/other\n"
    "printf '#!/bin/sh\\nexec '$PWD'/bin/tool\\n' >bin/script; chmod +x bin/script\n";

struct fixture {
    char *dir, *cache, *path;
};

static int set_up(void **state)
{
    struct fixture *f = mem_alloc(sizeof(*f));
    struct err err = {0};
    if (!dir_make_temp("regrow-programs", &f->dir, &err))
        return -1;
    CLEANUP(str_freep) char *script = str_printf(make_all, f->dir);
    if (system(script) != 0)
        return -1;
    f->cache = path_join(f->dir, "cache");
    f->path = str_dup(getenv("PATH"));
    CLEANUP(str_freep) char *path = str_printf("%s/bin:%s", f->dir, f->path);
    setenv("PATH", path, 1);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    setenv("PATH", f->path, 1);
    dir_temp_cleanup(&f->dir);
    free(f->cache);
    free(f->path);
    free(f);
    return 0;
}

// How often it was really asked, so far.
static size_t asked(const struct fixture *f)
{
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    CLEANUP(str_freep) char *path = path_join(f->dir, "asked");
    bool ok = file_read(path, 1000, &b, &err);
    err_clear(&err);
    return ok ? b.len : 0;
}

static void expect_version(const struct fixture *f, const char *name, const char *cache,
                           size_t times)
{
    const char *const argv[] = {name, "version", NULL};
    size_t before = asked(f);
    CLEANUP(str_freep) char *v = program_version(argv, cache);
    assert_string_equal(v, "v1");
    assert_int_equal(asked(f) - before, times);
}

static void once_a_file(void **state)
{
    const struct fixture *f = *state;
    expect_version(f, "tool", f->cache, 1);
    expect_version(f, "tool", f->cache, 0);
    expect_version(f, "tool", NULL, 1);
    // Another file under that name.
    CLEANUP(str_freep) char *cmd = str_printf("cd '%s/bin' && cp tool t && mv t tool", f->dir);
    assert_int_equal(system(cmd), 0);
    expect_version(f, "tool", f->cache, 1);
    expect_version(f, "tool", f->cache, 0);
    // What was noted is damaged.
    CLEANUP(str_freep) char *note = path_join(f->cache, "version-tool");
    struct err err = {0};
    assert_true(file_replace(note, "v2\n", 3, 0600, &err));
    expect_version(f, "tool", f->cache, 1);
}

static void every_time(void **state)
{
    const struct fixture *f = *state;
    static const char *const names[] = {"other", "script"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        expect_version(f, names[i], f->cache, 1);
        expect_version(f, names[i], f->cache, 1);
    }
}

static void absent(void **state)
{
    const struct fixture *f = *state;
    const char *const argv[] = {"no-such-tool-at-all", NULL};
    assert_null(program_version(argv, f->cache));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(once_a_file), TEST(every_time), TEST(absent)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
