// SPDX-License-Identifier: Apache-2.0
//
// Marks of what lies in a tree: in a commit the ids that Git has given it.
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "source/tree.h"

static void mark_id(struct tree_mark *m, bool is_file, const uint8_t id[20])
{
    m->what = is_file ? TREE_FILE : TREE_FOLDER;
    memcpy(m->id, id, 20);
}

// True when the text itself says what lies there, without a look at links.
static bool mark_exact(const struct git_files *f, const char *path, struct tree_mark *out)
{
    const struct git_file *file = *path ? files_find(f, path) : NULL;
    const struct git_dir *dir = *path && !file ? files_find_dir(f, path) : NULL;
    if (!*path)
        mark_id(out, false, f->root_id);
    else if (dir)
        mark_id(out, false, dir->id);
    else if (file && file->mode != FILES_MODE_LINK)
        mark_id(out, true, file->id);
    else
        return !file && !f->has_links;
    return true;
}

static bool mark_commit(struct tree *t, const char *path, struct tree_mark *out)
{
    const struct git_files *f = &t->git->files;
    struct err err = {0};
    CLEANUP(str_freep) char *at = NULL;
    bool ok = !f->mounts.len || files_are_known(f, path, true, &err);
    if (ok && mark_exact(f, path, out))
        return true;
    ok = ok && gitcommit_locate(t->git, path, &at, &err);
    bool is_there = ok;
    ok = ok || err.kind == ERR_NOT_FOUND;
    err_clear(&err);
    return ok && (!is_there || mark_exact(f, at, out));
}

bool tree_marked(struct tree *t, const char *path, struct tree_mark *out)
{
    CLEANUP(str_freep) char *clean = NULL;
    *out = (struct tree_mark){0};
    if (!path_clean(path, &clean))
        return false;
    if (t->git)
        return mark_commit(t, clean, out);
    if (t->is_artifact) { // whoever has its digest knows what is in it
        out->what = TREE_FOLDER;
        return true;
    }
    return false;
}

bool tree_is_plain(const struct tree *t, const char *path)
{
    struct tree_mark m = {0};
    if (!t->git)
        return t->is_artifact;
    const struct git_files *f = &t->git->files;
    return !f->mounts.len && mark_exact(f, path, &m);
}

bool tree_has_links(struct tree *t, const char *dir)
{
    size_t first;
    size_t end;
    if (!t->git)
        return false; // nothing in a folder's copy leads out of it
    const struct git_files *f = &t->git->files;
    if (f->mounts.len)
        return true;
    if (!f->has_links)
        return false;
    if (*dir && !files_find_dir(f, dir))
        return true;
    files_range(f, dir, &first, &end);
    for (size_t i = first; i < end; i++)
        if (f->v.v[i].mode == FILES_MODE_LINK)
            return true;
    return false;
}

bool tree_names_marked(struct tree *t, struct tree_mark *out)
{
    struct strv names = {0};
    struct err err = {0};
    if (!t->git)
        return false;
    if (!t->names) {
        bool ok = tree_list(t, "", true, &names, &err);
        struct sha256_ctx *h = sha256_begin();
        for (size_t i = 0; i < names.len; i++)
            sha256_add(h, names.v[i], strlen(names.v[i]) + 1);
        struct sha256 sum = sha256_end(h);
        strv_clear(&names);
        err_clear(&err);
        if (!ok)
            return false;
        t->names = mem_alloc(sizeof(*t->names));
        t->names->what = TREE_NAMES;
        memcpy(t->names->id, sum.b, sizeof(t->names->id));
    }
    *out = *t->names;
    return true;
}
