// SPDX-License-Identifier: Apache-2.0
//
// Git in a snapshot, with its key: the packs in force are indexed, which computes the name of every
// object, and every ref of every repository is followed through them to the last file. A pack is
// indexed once, and what was followed through the oldest packs is not followed again in the next
// snapshot that has these too.
#include <stdlib.h>

#include "base/file.h"
#include "gitops/gitops.h"
#include "snapshot/verify_int.h"

static bool take_bytes(void *ctx, const void *p, size_t len, struct err *err)
{
    return git_proof_add(ctx, p, len, err);
}

static bool index_pack(struct verifying *v, struct reader *rd, size_t i, struct err *err)
{
    CLEANUP(str_freep) char *index = NULL;
    const char *name = reader_git_name(rd, i);
    if (json_object_get(v->git_index, name))
        return true;
    if (!git_proof_begin(v->proof, err) || !reader_git_pack(rd, i, take_bytes, v->proof, err) ||
        !git_proof_end(v->proof, &index, err))
        return err_wrap(err, "Git pack %zu", i);
    json_object_set_new(v->git_index, name, json_string(index));
    return true;
}

// How many of the packs in use are the first ones in force here: they stay.
static size_t shared_packs(const struct verifying *v, const struct reader *rd)
{
    size_t n = 0;
    while (n < v->git_used.len && n < reader_git_count(rd) &&
           str_eq(v->git_used.v[n], reader_git_name(rd, n)))
        n++;
    return n;
}

static bool use_packs(struct verifying *v, struct reader *rd, struct err *err)
{
    if (!v->proof) {
        if (!dir_make_temp("regrow-verify", &v->git_dir, err))
            return false;
        v->proof = git_proof_new_light(v->git_dir, v->r->loop);
        v->git_index = json_object();
    }
    size_t shared = shared_packs(v, rd);
    if (shared < v->git_used.len && !git_proof_back(v->proof, shared, err))
        return false;
    while (v->git_used.len > shared)
        free(v->git_used.v[--v->git_used.len]);
    for (size_t i = shared; i < reader_git_count(rd); i++) {
        const char *name = reader_git_name(rd, i);
        if (!index_pack(v, rd, i, err) ||
            !git_proof_use(v->proof, json_string_value(json_object_get(v->git_index, name)), err))
            return false;
        strv_push(&v->git_used, name);
    }
    v->out->git_objects = git_proof_objects(v->proof);
    return true;
}

static bool read_list(struct reader *rd, const json_t *row, json_t **out, struct err *err)
{
    struct blob_id id;
    const char *hex = json_dot_str(row, "blob");
    *out = NULL;
    if (!hex)
        return true; // known by name only: it was never read
    if (!blob_id_parse(hex, &id))
        return err_set(err, ERR_CORRUPT, "a reference that is no blob's name");
    return reader_json(rd, &id, 'l', out, err);
}

static bool follow_refs(struct verifying *v, struct reader *rd, const json_t *row, struct err *err)
{
    CLEANUP(json_freep) json_t *repository = NULL;
    size_t i;
    json_t *ref;
    if (!read_list(rd, row, &repository, err))
        return false;
    if (str_eq(json_dot_str(repository, "format"), "sha256"))
        return true; // a bundle, which is a file
    json_array_foreach(json_object_get(repository, "refs"), i, ref)
    {
        const char *id = json_dot_str(ref, "id");
        if (!git_proof_tip(v->proof, id ? id : "", err))
            return err_wrap(err, "%s: %s", json_dot_str(repository, "url"),
                            json_dot_str(ref, "name"));
    }
    return true;
}

static bool follow_all(struct verifying *v, struct reader *rd, const json_t *repositories,
                       struct err *err)
{
    size_t i;
    json_t *row;
    if (!reader_git_count(rd) && !json_array_size(repositories))
        return true;
    if (!use_packs(v, rd, err))
        return false;
    json_array_foreach(repositories, i, row)
    {
        if (!follow_refs(v, rd, row, err))
            return false;
    }
    return true;
}

static bool prove(struct verifying *v, struct reader *rd, struct err *err)
{
    static const char *const members[] = {"git", "gitBefore"};
    CLEANUP(json_freep) json_t *root = NULL;
    if (!reader_root(rd, &root, err))
        return false;
    for (size_t m = 0; m < ARRAY_LEN(members); m++) {
        CLEANUP(json_freep) json_t *list = NULL;
        if (!read_list(rd, json_object_get(root, members[m]), &list, err) ||
            !follow_all(v, rd, json_object_get(list, "repositories"), err))
            return false;
    }
    return true;
}

bool verify_git(struct verifying *v, struct reader *rd, struct err *err)
{
    if (prove(v, rd, err))
        return true;
    // What was under way when it failed is proved for nobody.
    if (v->proof)
        git_proof_restart(v->proof);
    strv_clear(&v->git_used);
    return false;
}

void verify_git_clear(struct verifying *v)
{
    git_proof_free(v->proof);
    json_decref(v->git_index);
    strv_clear(&v->git_used);
    dir_temp_cleanup(&v->git_dir);
}
