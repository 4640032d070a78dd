// SPDX-License-Identifier: Apache-2.0
#include "source/gitlinks.h"

#include <stdbool.h>
#include <string.h>

#include "base/attr.h"

#define MODE_TREE 0040000
#define MODE_SUBMODULE 0160000
#define MODE_DIGITS 7

struct cursor {
    const char *p, *end;
};

static bool add(struct git_links *l, const git_oid *id, git_object_t type)
{
    return oidset_add(&l->ids, id, (uint32_t)type) || oidset_get(&l->ids, id) == (uint32_t)type;
}

// ---- trees: mode, blank, name, zero, id ----

static bool read_mode(struct cursor *c, unsigned *mode)
{
    const char *start = c->p;
    *mode = 0;
    while (c->p < c->end && *c->p >= '0' && *c->p <= '7' && c->p - start < MODE_DIGITS)
        *mode = *mode << 3 | (unsigned)(*c->p++ - '0');
    return c->p > start && c->p < c->end && *c->p++ == ' ';
}

static bool read_name(struct cursor *c)
{
    const char *zero = c->p < c->end ? memchr(c->p, 0, (size_t)(c->end - c->p)) : NULL;
    bool ok = zero && zero > c->p;
    c->p = ok ? zero + 1 : c->p;
    return ok;
}

static bool add_tree(struct git_links *l, struct cursor c)
{
    while (c.p < c.end) {
        unsigned mode;
        git_oid id;
        if (!read_mode(&c, &mode) || !read_name(&c) || c.end - c.p < GIT_OID_RAWSZ)
            return false;
        memcpy(id.id, c.p, GIT_OID_RAWSZ);
        c.p += GIT_OID_RAWSZ;
        mode &= 0170000;
        if (mode == MODE_SUBMODULE) // another repository's
            continue;
        if (!add(l, &id, mode == MODE_TREE ? GIT_OBJECT_TREE : GIT_OBJECT_BLOB))
            return false;
    }
    return true;
}

// ---- commits and tags: lines ----

static bool skip(struct cursor *c, const char *text)
{
    size_t n = strlen(text);
    if ((size_t)(c->end - c->p) < n || memcmp(c->p, text, n))
        return false;
    c->p += n;
    return true;
}

static bool read_id(struct cursor *c, git_oid *id)
{
    if (c->end - c->p <= GIT_OID_HEXSZ || c->p[GIT_OID_HEXSZ] != '\n' ||
        git_oid_fromstrn(id, c->p, GIT_OID_HEXSZ) != 0)
        return false;
    c->p += GIT_OID_HEXSZ + 1;
    return true;
}

static bool add_commit(struct git_links *l, struct cursor c)
{
    git_oid id;
    if (!skip(&c, "tree ") || !read_id(&c, &id) || !add(l, &id, GIT_OBJECT_TREE))
        return false;
    while (skip(&c, "parent "))
        if (!read_id(&c, &id) || !add(l, &id, GIT_OBJECT_COMMIT))
            return false;
    return skip(&c, "author ");
}

static bool add_tag(struct git_links *l, struct cursor c)
{
    static const struct {
        const char *line;
        git_object_t type;
    } types[] = {{"commit\n", GIT_OBJECT_COMMIT},
                 {"tree\n", GIT_OBJECT_TREE},
                 {"blob\n", GIT_OBJECT_BLOB},
                 {"tag\n", GIT_OBJECT_TAG}};
    git_oid id;
    if (!skip(&c, "object ") || !read_id(&c, &id) || !skip(&c, "type "))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (skip(&c, types[i].line))
            return add(l, &id, types[i].type);
    return false;
}

bool git_links_add(struct git_links *l, git_object_t type, const void *p, size_t len)
{
    struct cursor c = {p, (const char *)p + len};
    if (type == GIT_OBJECT_TREE)
        return add_tree(l, c);
    if (type == GIT_OBJECT_COMMIT)
        return add_commit(l, c);
    return type == GIT_OBJECT_BLOB || add_tag(l, c);
}

void git_links_clear(struct git_links *l)
{
    oidset_clear(&l->ids);
}
