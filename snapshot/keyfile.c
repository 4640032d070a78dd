// SPDX-License-Identifier: Apache-2.0
#include "snapshot/keyfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "snapshot/keys.h"

#define SUFFIX ".new"

static bool is_id(const uint8_t public[KEY_BYTES], const struct key_id *id)
{
    return !strcmp(key_id_of(public).hex, id->hex);
}

bool trust_lists_key(const struct trust *t, const struct key_id *id)
{
    for (size_t i = 0; i < t->admins.len; i++)
        if (is_id(t->admins.v[i].public, id))
            return true;
    for (size_t i = 0; i < t->signers.len; i++)
        if (is_id(t->signers.v[i].public, id))
            return true;
    return false;
}

static char *new_path(const char *out, const struct key_id *id)
{
    return str_printf("%s.%s" SUFFIX, out, id->hex);
}

static char *folder_of(const char *path)
{
    size_t n = (size_t)(path_base(path) - path);
    return n ? str_ndup(path, n) : str_dup(".");
}

bool key_folder_lock(const char *path, int *fd, struct err *err)
{
    CLEANUP(str_freep) char *folder = folder_of(path);
    *fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int errnum = errno;
    if (*fd < 0)
        return err_set_errno(err, errnum, "open %s", folder);
    if (flock(*fd, LOCK_EX | LOCK_NB) == 0)
        return true;
    errnum = errno;
    fd_closep(fd);
    *fd = -1;
    if (errnum == EWOULDBLOCK)
        return err_set(err, ERR_CONFLICT, "another command is making a key in %s", folder);
    return err_set_errno(err, errnum, "lock %s", folder);
}

// The next "OUT.<key id>.new" of the folder, *id its key; false: there is none.
static bool next_leftover(DIR *dir, const char *base, struct key_id *id)
{
    size_t n = strlen(base);
    for (const struct dirent *e; (e = readdir(dir));) {
        const char *rest = e->d_name + n + 1;
        if (strlen(e->d_name) != n + 1 + KEY_ID_HEX + strlen(SUFFIX) ||
            strncmp(e->d_name, base, n) != 0 || e->d_name[n] != '.' ||
            strspn(rest, "0123456789abcdef") != KEY_ID_HEX || !str_ends(rest, SUFFIX))
            continue;
        memcpy(id->hex, rest, KEY_ID_HEX);
        id->hex[KEY_ID_HEX] = '\0';
        return true;
    }
    return false;
}

bool keyfile_end(const char *out, const struct key_id *id, struct err *err)
{
    CLEANUP(str_freep) char *from = new_path(out, id);
    CLEANUP(str_freep) char *folder = folder_of(out);
    int errnum = renameat2(AT_FDCWD, from, AT_FDCWD, out, RENAME_NOREPLACE) == 0 ? 0 : errno;
    if (errnum == EINVAL || errnum == ENOSYS) // a file system that cannot say "unless it is there"
        errnum = link(from, out) == 0 ? unlink(from) == 0 ? 0 : errno : errno;
    if (errnum == EEXIST)
        return err_set(err, ERR_CONFLICT, "%s is there already; the new key is in %s", out, from);
    if (errnum)
        return err_set_errno(err, errnum, "name the key's file %s", out);
    int fd CLEANUP(fd_closep) = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && fsync(fd) != 0) {
        errnum = errno;
        return err_set_errno(err, errnum, "sync %s", folder);
    }
    return true;
}

static bool clear_leftovers(const char *out, const struct trust *t, bool *done, struct key_id *id,
                            struct err *err)
{
    CLEANUP(str_freep) char *folder = folder_of(out);
    DIR *dir = opendir(folder);
    int errnum = errno;
    bool ok = true;
    if (!dir)
        return err_set_errno(err, errnum, "open %s", folder);
    while (ok && !*done && next_leftover(dir, path_base(out), id)) {
        CLEANUP(str_freep) char *path = new_path(out, id);
        *done = trust_lists_key(t, id);
        if (*done)
            ok = keyfile_end(out, id, err);
        else
            unlink(path); // nobody knows that key
    }
    closedir(dir);
    return ok;
}

bool keyfile_begin(const char *out, const struct trust *t, bool *done, struct key_id *id,
                   struct err *err)
{
    struct credential c = {0};
    struct err ignored = {0};
    *done = false;
    if (!clear_leftovers(out, t, done, id, err))
        return false;
    if (*done || !file_exists(out))
        return true;
    // The command that made it was run to its end before.
    if (credential_load(out, &c, &ignored)) {
        *id = key_id_of(c.signer.public);
        *done = trust_lists_key(t, id) && !memcmp(c.repo, t->repo, sizeof(c.repo));
        credential_clear(&c);
    }
    err_clear(&ignored); // whatever it is, it is not this key
    return *done || err_set(err, ERR_CONFLICT, "%s is there already", out);
}

bool keyfile_write(const char *out, const struct key_id *id, const struct buf *bytes,
                   struct err *err)
{
    CLEANUP(str_freep) char *path = new_path(out, id);
    return file_replace(path, bytes->p, bytes->len, 0600, err);
}
