// SPDX-License-Identifier: Apache-2.0
//
// Which options of a controller are taken while it runs, and which take a restart.
#include "tests/test.h"

#include "cli/reloading.h"

static char *joined(const struct strv *v)
{
    struct buf b = {0};
    for (size_t i = 0; i < v->len; i++)
        buf_printf(&b, "%s%s", i ? " " : "", v->v[i]);
    return b.p ? buf_take(&b) : str_dup("");
}

static void expect(const char *const *before, const char *const *now, const char *live,
                   const char *restart)
{
    const struct command *cmd = command_find("reconcile");
    struct options o[2] = {0};
    struct strv lists[2] = {0};
    const char *const *lines[2] = {before, now};
    struct err err = {0};
    for (int i = 0; i < 2; i++) {
        char *argv[8];
        int argc = 0;
        while (lines[i][argc]) {
            argv[argc] = (char *)lines[i][argc];
            argc++;
        }
        assert_true(options_parse(cmd, argc, argv, &o[i], &err));
    }
    reloading_compare(cmd, &o[0], &o[1], &lists[0], &lists[1]);
    CLEANUP(str_freep) char *got_live = joined(&lists[0]);
    CLEANUP(str_freep) char *got_restart = joined(&lists[1]);
    assert_string_equal(got_live, live);
    assert_string_equal(got_restart, restart);
    for (int i = 0; i < 2; i++) {
        options_clear(&o[i]);
        strv_clear(&lists[i]);
    }
}

#define LINE(...) ((const char *const[]){__VA_ARGS__, NULL})

static void compared(void **state)
{
    (void)state;
    expect(LINE("--poll=1s"), LINE("--poll=1000ms"), "", "");
    expect(LINE("--poll=1s"), LINE("--poll=2s"), "poll", "");
    expect(LINE("-v"), LINE("-q"), "verbose quiet", "");
    expect(LINE("--mirror=a=b"), LINE("--mirror=a=b", "--mirror=c=d"), "mirror", "");
    expect(LINE("--webhook-secret=a"), LINE("--webhook-secret=b"), "webhook-secret", "");
    expect(LINE("--credentials=a", "--key=k"), LINE("--credentials=b"), "key credentials", "");
    expect(LINE("--listen=:1", "--jobs=2"), LINE("--listen=:2", "--jobs=3"), "", "listen jobs");
    expect(LINE("--no-prune"), LINE("--snapshot-to=s3://x"), "", "no-prune snapshot-to");
    expect(LINE("--log-format=json"), LINE("--log-format=text"), "log-format", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(compared)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
