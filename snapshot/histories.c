// SPDX-License-Identifier: Apache-2.0
#include "snapshot/histories.h"

#include <stdlib.h>
#include <string.h>

#include "snapshot/lists.h"

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_dot_str(o, key);
    return s ? s : "";
}

void history_refs(const json_t *repository, struct git_refs *out)
{
    size_t i;
    json_t *ref;
    json_array_foreach(json_object_get(repository, "refs"), i, ref)
    {
        *vec_push(&out->refs) = (struct git_ref){.name = str_dup(text_of(ref, "name")),
                                                 .id = str_dup(text_of(ref, "id"))};
    }
}

static bool add(struct histories *out, struct reader *rd, const json_t *row, struct err *err)
{
    CLEANUP(json_freep) json_t *repository = NULL;
    if (!list_read(rd, row, "refs", &repository, err))
        return err_wrap(err, "%s", text_of(row, "url"));
    struct history *h = vec_push(&out->v);
    h->url = str_dup(text_of(row, "url"));
    h->is_stale = json_is_true(json_object_get(row, "stale"));
    h->is_read = repository != NULL;
    h->is_bundle = json_object_get(repository, "bundle") != NULL;
    h->head = str_dup_or_null(json_dot_str(repository, "head"));
    history_refs(repository, &h->refs);
    return true;
}

static int by_url(const void *a, const void *b)
{
    return strcmp(((const struct history *)a)->url, ((const struct history *)b)->url);
}

bool histories_read(struct reader *rd, const json_t *root, struct histories *out, struct err *err)
{
    CLEANUP(json_freep) json_t *rows = NULL;
    CLEANUP(json_freep) json_t *seen = json_object();
    size_t i;
    json_t *row;
    *out = (struct histories){0};
    if (!list_read_all(rd, root, "git", "repositories", &rows, err))
        return false;
    json_array_foreach(rows, i, row)
    {
        if (json_object_get(seen, text_of(row, "url")))
            continue; // as it was before
        json_object_set_new(seen, text_of(row, "url"), json_true());
        if (!add(out, rd, row, err))
            return false;
    }
    if (out->v.len)
        qsort(out->v.v, out->v.len, sizeof(*out->v.v), by_url);
    return true;
}

void histories_clear(struct histories *h)
{
    for (size_t i = 0; i < h->v.len; i++) {
        free(h->v.v[i].url);
        free(h->v.v[i].head);
        git_refs_clear(&h->v.v[i].refs);
    }
    vec_clear(&h->v);
}

static bool take_bytes(void *ctx, const void *p, size_t len, struct err *err)
{
    return git_proof_add(ctx, p, len, err);
}

bool histories_packs(struct reader *rd, struct git_proof *p, struct err *err)
{
    for (size_t i = 0; i < reader_git_count(rd); i++) {
        CLEANUP(str_freep) char *index = NULL;
        if (!git_proof_begin(p, err) || !reader_git_pack(rd, i, take_bytes, p, err) ||
            !git_proof_end(p, &index, err) || !git_proof_use(p, index, err))
            return err_wrap(err, "Git pack %zu", i);
    }
    return true;
}
