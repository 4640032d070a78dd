// SPDX-License-Identifier: Apache-2.0
//
// Writes a snapshot of a made-up state into a repository, with the credential of its job:
//
//   tool_write URL KEY APPS OBJECTS VERSION [unknown|secret]
//
// KEY is a file or env:NAME. Application 0 changes with VERSION; "unknown": one source could not be
// read, so that it is suspect. Prints the number it got.
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "tests/snapshot/snapkit.h"

static bool number(const char *text, unsigned *out)
{
    long long n = 0;
    bool ok = str_to_int(text, 0, 1000000, &n);
    *out = (unsigned)n;
    return ok;
}

static bool write_one(const struct store_opts *so, const char *key, const struct snap_state *st,
                      uint64_t *seq, struct err *err)
{
    struct credential job CLEANUP(credential_clear) = {0};
    struct repo r = {0};
    struct entry e = {0};
    if (!credential_load(key, &job, err) || !repo_open(so, &job.pin, &r, err))
        return false;
    bool ok = snap_kit_write(&r, &job, st, NULL, &e, err);
    *seq = e.seq;
    entry_clear(&e);
    repo_close(&r);
    return ok;
}

int main(int argc, char **argv)
{
    struct snap_state st = {0};
    struct store_opts so = {0};
    struct err err = {0};
    uint64_t seq = 0;
    if (argc < 6 || !number(argv[3], &st.apps) || !number(argv[4], &st.objects) ||
        !number(argv[5], &st.version)) {
        fprintf(stderr, "usage: tool_write URL KEY APPS OBJECTS VERSION [unknown|secret]\n");
        return 2;
    }
    so.url = argv[1];
    so.ca_file = getenv("REGROW_CA_FILE");
    st.unknown = argc > 6 && !strcmp(argv[6], "unknown");
    st.has_secret = argc > 6 && !strcmp(argv[6], "secret");
    if (!write_one(&so, argv[2], &st, &seq, &err)) {
        int code = err_exit_code(err.kind);
        fprintf(stderr, "%s\n", err.msg);
        err_clear(&err);
        return code;
    }
    printf("%llu\n", (unsigned long long)seq);
    return 0;
}
