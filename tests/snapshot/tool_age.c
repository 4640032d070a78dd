// SPDX-License-Identifier: Apache-2.0
//
// Age files from the command line, for test_interop.sh:
//   tool_age seal RECIPIENT...     standard input to standard output
//   tool_age lock LOG_N            the same, with the passphrase in REGROW_TEST_PASSPHRASE
//   tool_age open IDENTITY_FILE
//   tool_age unlock                with that passphrase
//   tool_age slot RAW REPO PIN     the text of a slot of epoch 1; all in hex
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "snapshot/keys.h"

#define MAX_IN (64U << 20)

static bool seal(char **names, size_t n, const struct buf *in, struct buf *out, struct err *err)
{
    uint8_t to[AGE_MAX_STANZAS][KEY_BYTES];
    for (size_t i = 0; i < n && i < AGE_MAX_STANZAS; i++)
        if (!age_recipient_parse(names[i], to[i], err))
            return false;
    return age_seal((const uint8_t(*)[KEY_BYTES])to, n, in->p, in->len, out, NULL, err);
}

static bool open_file(const char *path, const struct buf *in, struct buf *out, struct err *err)
{
    struct buf text CLEANUP(buf_wipe) = {0};
    struct age_identities ids = {0};
    struct age_keys keys = {.identities = &ids};
    bool ok = file_read(path, MAX_IN, &text, err) &&
              age_identities_read(text.p, text.len, &ids, err) &&
              age_open(&keys, in->p, in->len, MAX_IN, out, err);
    age_identities_clear(&ids);
    return ok;
}

static bool slot(char **arg, struct buf *out, struct err *err)
{
    struct slot_content c = {.epoch = 1};
    uint8_t raw[KEY_BYTES];
    if (!hex_decode(arg[0], raw, sizeof(raw)) || !hex_decode(arg[1], c.repo, sizeof(c.repo)) ||
        !hex_decode(arg[2], c.pin.b, sizeof(c.pin.b)))
        return err_set(err, ERR_USAGE, "not hex");
    age_identity_from_raw(raw, &c.identity);
    slot_text(&c, out);
    return true;
}

static bool run(int argc, char **argv, struct buf *out, struct err *err)
{
    struct buf in CLEANUP(buf_clear) = {0};
    const char *what = argc > 1 ? argv[1] : "";
    const char *passphrase = getenv("REGROW_TEST_PASSPHRASE");
    struct age_keys keys = {.passphrase = passphrase};
    if (argc == 5 && !strcmp(what, "slot"))
        return slot(argv + 2, out, err);
    if (!file_read_fd(STDIN_FILENO, "standard input", MAX_IN, &in, err))
        return false;
    if (argc > 2 && !strcmp(what, "seal"))
        return seal(argv + 2, (size_t)argc - 2, &in, out, err);
    if (argc == 3 && passphrase && !strcmp(what, "lock"))
        return age_seal_passphrase(passphrase, (unsigned)atoi(argv[2]), in.p, in.len, out, err);
    if (argc == 3 && !strcmp(what, "open"))
        return open_file(argv[2], &in, out, err);
    if (argc == 2 && !strcmp(what, "unlock"))
        return age_open(&keys, in.p, in.len, MAX_IN, out, err);
    return err_set(err, ERR_USAGE, "see the head of tests/snapshot/tool_age.c");
}

int main(int argc, char **argv)
{
    struct buf out CLEANUP(buf_clear) = {0};
    struct err err = {0};
    bool ok = run(argc, argv, &out, &err);
    if (!ok)
        fprintf(stderr, "%s\n", err.msg);
    else if (out.len)
        ok = fwrite(out.p, 1, out.len, stdout) == out.len && fflush(stdout) == 0;
    int code = ok ? 0 : err.kind == ERR_NONE ? 1 : err_exit_code(err.kind);
    err_clear(&err);
    return code;
}
