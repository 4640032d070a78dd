// SPDX-License-Identifier: Apache-2.0
//
// What is said of a disk that is full, or not to be written: which folder, and what to do there.
#include <errno.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "tests/test.h"

static const struct {
    int errnum;
    const char *what; // failed
    const char *want; // is in the hint; NULL: there is none
} rows[] = {
    {ENOSPC, "write /c/regrow/git/x", "The cache, /c/regrow, is on a full disk: make room there"},
    {ENOSPC, "write /c/regrow/git/x", "--cache-dir"},
    {EDQUOT, "cache: make folder /c/regrow", "The cache, /c/regrow, is on a disk of which you may"},
    {EROFS, "cache: make folder /c/regrow", "cannot be written: name another with --cache-dir"},
    {EACCES, "cache: make folder /c/regrow", "is not yours to write: name another"},
    {ENOSPC, "make folder /t/regrow-render.x", "/t, for temporary files, is on a full disk: make"},
    {ENOSPC, "make folder /t/regrow-render.x", "set TMPDIR"},
    {EROFS, "make folder /t/regrow-render.x", "cannot be written: set TMPDIR"},
    {ENOSPC, "probe: store /r: create log/1: write",
     "The repository, /r, is on a full disk: make room"},
    {ENOSPC, "probe: store /r: create log/1: write", "snapshot prune"},
    {EROFS, "store /r: create log/1: write", "The repository, /r, is on a file system that cannot"},
    {ENOSPC, "write /data/x.tar", "It is on a full disk: make room there"},
    {ENOSPC, "write /rest/x.tar", "It is on a full disk"}, // begins like the repository
    {ENOSPC, "write /x/t", "It is on a full disk"},
    {ENOSPC, "write /t/x.tar", "It is on a full disk: make room there"}, // a target of theirs
    {ENOSPC, "report /t/mine/r.html: write /t/mine/r.html", "It is on a full disk"},
    {EACCES, "open /data/x", NULL},
    {ENOENT, "open /c/regrow/x", NULL},
    {0, "write /c/regrow/x", NULL},
};

static void disks(void **state)
{
    const struct cli c = {.o = {.cache_dir = "/c/regrow", .snap = {.repo = "/r"}}};
    (void)state;
    setenv("TMPDIR", "/t", 1);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = {0};
        err_set_errno(&err, rows[i].errnum, "%s", rows[i].what);
        err_wrap(&err, "snapshot");
        CLEANUP(str_freep) char *hint = hint_of_disk(&c, &err);
        if (rows[i].want ? !hint || !strstr(hint, rows[i].want) : hint != NULL)
            fail_msg("%s: %s", err.msg, hint ? hint : "no hint");
        err_clear(&err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(disks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
