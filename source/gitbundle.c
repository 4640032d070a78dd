// SPDX-License-Identifier: Apache-2.0
//
// Git bundles (gitformat-bundle, version 2): a line for each ref, an empty one, and a pack.
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "source/gitproof.h"
#include "source/gitrepo.h"

// A name that would be read as something else in the lines of a bundle.
static bool is_plain(const char *name)
{
    return str_starts(name, "refs/") && git_reference_is_valid_name(name) == 1;
}

static bool add_refs(const struct git_refs *refs, const char *head, struct buf *out,
                     struct err *err)
{
    buf_str(out, "# v2 git bundle\n");
    for (size_t i = 0; i < refs->refs.len; i++) {
        const struct git_ref *r = &refs->refs.v[i];
        git_oid id;
        if (!is_plain(r->name) || git_oid_fromstr(&id, r->id) != 0)
            return err_set(err, ERR_CORRUPT, "ref %.80s has no name or id that Git knows", r->name);
        buf_printf(out, "%s %s\n", r->id, r->name);
    }
    for (size_t i = 0; head && i < refs->refs.len; i++)
        if (!strcmp(refs->refs.v[i].name, head))
            buf_printf(out, "%s HEAD\n", refs->refs.v[i].id);
    buf_char(out, '\n');
    return true;
}

static bool write_all(int fd, const char *p, size_t len, struct err *err)
{
    while (len) {
        ssize_t n = write(fd, p, len);
        int errnum = errno;
        if (n < 0 && errnum != EINTR)
            return err_set_errno(err, errnum, "write a bundle");
        p += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

bool git_proof_bundle(struct git_proof *p, const struct git_refs *refs, const char *head, int fd,
                      struct err *err)
{
    git_repository *r = NULL;
    struct buf lines CLEANUP(buf_clear) = {0};
    return add_refs(refs, head, &lines, err) && git_proof_repository(p, &r, err) &&
           write_all(fd, lines.p, lines.len, err) && gitrepo_pack_whole(r, refs, fd, err);
}
