// SPDX-License-Identifier: Apache-2.0
//
// Identity files of age: in clear, or sealed to a passphrase (`age -p`), which is not that of the
// repository, though it may be the same.
#include <string.h>

#include "base/file.h"
#include "cli/pass.h"
#include "cli/snapshot_open.h"

#define MAX_IDENTITY_FILE (64U << 10)
#define MAX_IDENTITIES 100 // of one file

struct opening {
    const struct snapshot_options *o;
    const char *path;
    const struct buf *file; // sealed
    struct buf *text;       // in clear
};

// *opened false: not with this passphrase.
static bool try_pass(const struct opening *x, const struct buf *pass, bool *opened, struct err *err)
{
    struct age_keys keys = {.passphrase = pass->p, .max_log_n = (unsigned)x->o->max_work_factor};
    *opened = age_open(&keys, x->file->p, x->file->len, MAX_IDENTITY_FILE, x->text, err);
    return *opened || err->kind == ERR_DENIED;
}

// One source of a passphrase: not there is no failure (*opened false, *found false).
static bool try_source(const struct opening *x, const struct pass_source *from, bool *found,
                       bool *opened, struct err *err)
{
    struct buf pass CLEANUP(buf_wipe) = {0};
    *opened = false;
    return pass_get(from, &pass, found, err) && (!*found || try_pass(x, &pass, opened, err));
}

// Its own passphrase must open it; that of the repository may; else a person is asked.
static bool open_sealed(const struct opening *x, struct err *err)
{
    CLEANUP(str_freep) char *ask = str_printf("passphrase of %s", x->path);
    const struct pass_source from[] = {
        {.file = x->o->identity_passphrase_file, .env = "REGROW_IDENTITY_PASSPHRASE"},
        {.file = x->o->passphrase_file, .env = "REGROW_PASSPHRASE"},
        {.env = "", .ask = ask}};
    bool by_pass = false;
    bool found = false;
    bool opened = false;
    if (!age_is_passphrase(x->file->p, x->file->len, &by_pass, err))
        return false;
    if (!by_pass)
        return err_set(err, ERR_DENIED,
                       "it is sealed to keys; a passphrase is all that may seal it");
    for (size_t i = 0; i < ARRAY_LEN(from) && !opened; i++) {
        err_clear(err); // of the one before
        if (!try_source(x, &from[i], &found, &opened, err) || (!i && found && !opened))
            return false;
    }
    if (opened || err_is_set(err))
        return opened;
    err_set(err, ERR_DENIED, "it is sealed with a passphrase, and none that opens it was given");
    return err_hint(err, "--identity-passphrase-file FILE or REGROW_IDENTITY_PASSPHRASE; at a "
                         "terminal it is asked for.");
}

// What opens a repository and what signs for it are taken for each other.
static bool refuse_credential(const struct buf *text, struct err *err)
{
    struct credential c CLEANUP(credential_clear) = {0};
    struct err ignored = {0};
    bool is_one = text->len && credential_parse(text->p, text->len, &c, &ignored);
    err_clear(&ignored);
    if (!is_one)
        return true;
    err_set(err, ERR_INVALID,
            "it is a credential of regrow (--key takes it); -i wants an age identity");
    return err_hint(err, "An age identity is what age-keygen made for the one who may open the "
                         "repository.");
}

static bool load_one(const struct snapshot_options *o, const char *path, struct age_identities *out,
                     struct err *err)
{
    struct buf file CLEANUP(buf_wipe) = {0};
    struct buf text CLEANUP(buf_wipe) = {0};
    struct age_identities some CLEANUP(age_identities_clear) = {0};
    struct opening x = {.o = o, .path = path, .file = &file, .text = &text};
    buf_reserve(&file, MAX_IDENTITY_FILE);
    if (!file_read(path, MAX_IDENTITY_FILE, &file, err))
        return false;
    bool sealed = age_is_file(file.p, file.len);
    if (sealed && !open_sealed(&x, err))
        return false;
    const struct buf *clear = sealed ? &text : &file;
    if (!refuse_credential(clear, err) || !age_identities_read(clear->p, clear->len, &some, err))
        return false;
    for (size_t k = 0; k < some.v.len; k++)
        *vec_push(&out->v) = some.v.v[k];
    return true;
}

bool identities_load(const struct snapshot_options *o, struct age_identities *out, struct err *err)
{
    // Growing would leave copies of secrets behind.
    vec_reserve(&out->v, MAX_IDENTITIES * (o->identities.len + 1));
    for (size_t i = 0; i < o->identities.len; i++)
        if (!load_one(o, o->identities.v[i], out, err))
            return err_wrap(err, "--identity %s", o->identities.v[i]);
    return true;
}
