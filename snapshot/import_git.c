// SPDX-License-Identifier: Apache-2.0
//
// Git in an export: every pack is indexed, which computes the name of every object, and every ref
// of every repository is followed through them to the last file.
#include "base/file.h"
#include "gitops/gitops.h"
#include "snapshot/import_int.h"
#include "snapshot/lists.h"
#include "source/source.h"

static bool take_bytes(void *ctx, const void *p, size_t len, struct err *err)
{
    return git_proof_add(ctx, p, len, err);
}

// A pack is called after its objects: forks that have the same are there once.
static bool use_packs(struct import_content *c, struct git_proof *p, struct err *err)
{
    CLEANUP(json_freep) json_t *seen = json_object();
    for (size_t i = 0, k = 0; k < c->bundles.len; k++) {
        CLEANUP(str_freep) char *index = NULL;
        if (!git_proof_begin(p, err) || !import_reader_ops.git_pack(c, i, take_bytes, p, err) ||
            !git_proof_end(p, &index, err))
            return err_wrap(err, "Git pack %zu", k);
        c->bundles.v[k].is_twice = json_object_get(seen, index) != NULL;
        if (c->bundles.v[k].is_twice)
            continue;
        i++;
        json_object_set_new(seen, index, json_true());
        if (!git_proof_use(p, index, err))
            return false;
    }
    return true;
}

static bool follow_refs(struct git_proof *p, struct reader *rd, const json_t *row, struct err *err)
{
    CLEANUP(json_freep) json_t *repository = NULL;
    const char *url = json_dot_str(row, "url");
    size_t i;
    json_t *ref;
    if (!list_read(rd, row, "refs", &repository, err))
        return false;
    if (json_object_get(repository, "bundle"))
        return true; // a file
    json_array_foreach(json_object_get(repository, "refs"), i, ref)
    {
        const char *id = json_dot_str(ref, "id");
        if (!git_proof_tip(p, id ? id : "", err))
            return err_wrap(err, "%s: %s", url ? url : "?", json_dot_str(ref, "name"));
    }
    return true;
}

static bool prove(struct import_content *c, struct git_proof *p, struct reader *rd, struct err *err)
{
    CLEANUP(json_freep) json_t *root = NULL;
    CLEANUP(json_freep) json_t *rows = NULL;
    size_t i;
    json_t *row;
    if (!reader_root(rd, &root, err) ||
        !list_read_all(rd, root, "git", "repositories", &rows, err) || !use_packs(c, p, err))
        return false;
    json_array_foreach(rows, i, row)
    {
        if (!follow_refs(p, rd, row, err))
            return false;
    }
    return true;
}

bool import_git_prove(struct import_content *c, struct reader *rd, struct loop *loop,
                      struct err *err)
{
    CLEANUP(str_freep) char *dir = path_join(c->work.path, "git");
    struct err ignored = {0};
    if (!dir_make(dir, 0700, err))
        return false;
    struct git_proof *p = git_proof_new(dir, loop);
    bool ok = prove(c, p, rd, err);
    git_proof_free(p);
    if (!dir_remove(dir, &ignored))
        err_clear(&ignored); // the folder around it goes later
    return ok;
}
