// SPDX-License-Identifier: Apache-2.0
#include "source/gitlight.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/vec.h"
#include "source/gitscan.h"

struct scanned {
    char *file;
    struct git_scan *scan;
};

struct in_use {
    size_t pack;
    // How many packs must be in use for all that this one names to be there; 0: not looked for.
    size_t needs;
};

struct git_light {
    char *dir;
    const struct loop *stop;
    int fd; // of the pack that is coming in
    char *coming;
    VEC(struct scanned) packs;
    VEC(struct in_use) used;
    uint64_t objects;
};

struct git_light *git_light_new(const char *dir, const struct loop *stop)
{
    struct git_light *l = mem_alloc(sizeof(*l));
    *l = (struct git_light){.dir = str_dup(dir), .stop = stop, .fd = -1};
    return l;
}

void git_light_free(struct git_light *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->packs.len; i++) {
        free(l->packs.v[i].file);
        git_scan_free(l->packs.v[i].scan);
    }
    vec_clear(&l->packs);
    vec_clear(&l->used);
    fd_closep(&l->fd);
    free(l->coming);
    free(l->dir);
    free(l);
}

uint64_t git_light_objects(const struct git_light *l)
{
    return l->objects;
}

// ---- packs ----

bool git_light_begin(struct git_light *l, struct err *err)
{
    CLEANUP(str_freep) char *name = str_printf("light-%zu.pack", l->packs.len);
    fd_closep(&l->fd);
    free(l->coming);
    l->coming = path_join(l->dir, name);
    l->fd = open(l->coming, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int errnum = errno;
    return l->fd >= 0 || err_set_errno(err, errnum, "make %s", l->coming);
}

bool git_light_add(struct git_light *l, const void *p, size_t len, struct err *err)
{
    const char *at = p;
    while (len) {
        ssize_t n = write(l->fd, at, len);
        int errnum = errno;
        if (n < 0 && errnum == EINTR)
            continue;
        if (n <= 0)
            return err_set_errno(err, errnum, "write %s", l->coming);
        at += n;
        len -= (size_t)n;
    }
    return true;
}

bool git_light_end(struct git_light *l, char **file, bool *fine, struct err *err)
{
    struct git_scan *scan = NULL;
    fd_closep(&l->fd);
    if (!git_scan_pack(l->coming, l->stop, &scan, err))
        return false;
    *fine = scan != NULL;
    *file = str_dup(l->coming);
    l->objects += scan ? git_scan_objects(scan) : 0;
    *vec_push(&l->packs) = (struct scanned){TAKE(l->coming), scan};
    return true;
}

void git_light_use(struct git_light *l, const char *file)
{
    for (size_t i = 0; i < l->packs.len; i++)
        if (str_eq(l->packs.v[i].file, file))
            *vec_push(&l->used) = (struct in_use){.pack = i};
}

void git_light_back(struct git_light *l, size_t n)
{
    l->used.len = n < l->used.len ? n : l->used.len;
    for (size_t i = 0; i < l->used.len; i++)
        if (l->used.v[i].needs > n)
            l->used.v[i].needs = 0;
}

// ---- what leads to what ----

// Which pack in use has it, from 1; 0: none.
static size_t find(const struct git_light *l, const git_oid *id, git_object_t *type)
{
    for (size_t i = 0; i < l->used.len; i++) {
        const struct git_scan *s = l->packs.v[l->used.v[i].pack].scan;
        *type = s ? git_scan_type(s, id) : GIT_OBJECT_INVALID;
        if (*type != GIT_OBJECT_INVALID)
            return i + 1;
    }
    return 0;
}

static bool look(const struct git_light *l, struct in_use *u)
{
    const struct git_scan *s = l->packs.v[u->pack].scan;
    const struct git_named *v;
    size_t n = s ? git_scan_outside(s, &v) : 0;
    size_t needs = 1;
    for (size_t i = 0; i < n; i++) {
        git_object_t type;
        size_t at = find(l, &v[i].id, &type);
        if (!at || type != v[i].type)
            return false;
        needs = at > needs ? at : needs;
    }
    u->needs = s ? needs : 0;
    return s != NULL;
}

bool git_light_tip(struct git_light *l, const git_oid *id)
{
    git_object_t type;
    for (size_t i = 0; i < l->used.len; i++)
        if (!l->used.v[i].needs && !look(l, &l->used.v[i]))
            return false;
    return find(l, id, &type) > 0;
}
