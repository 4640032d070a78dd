// SPDX-License-Identifier: Apache-2.0
#include "snapshot/lists.h"

#include "gitops/gitops.h"

#define MAX_PARTS 100000 // of one list that goes on in others

bool list_open(struct reader *r, const json_t *ref, json_t **out, struct err *err)
{
    struct blob_id id;
    const char *hex = json_dot_str(ref, "blob");
    *out = NULL;
    if (!hex)
        return true;
    return (blob_id_parse(hex, &id) || err_set(err, ERR_CORRUPT, "a reference that is none")) &&
           reader_json(r, &id, 'l', out, err);
}

bool list_read(struct reader *r, const json_t *ref, const char *rows, json_t **out, struct err *err)
{
    if (!list_open(r, ref, out, err))
        return false;
    json_t *next = *out ? json_incref(json_object_get(*out, "more")) : NULL;
    bool ok = true;
    for (size_t i = 0; ok && next; i++) {
        CLEANUP(json_freep) json_t *part = NULL;
        CLEANUP(json_freep) json_t *at = TAKE(next);
        ok = i < MAX_PARTS || err_set(err, ERR_CORRUPT, "a list without end");
        ok = ok && list_open(r, at, &part, err);
        if (!ok || !part)
            break;
        json_array_extend(json_object_get(*out, rows), json_object_get(part, rows));
        next = json_incref(json_object_get(part, "more"));
    }
    json_decref(next);
    return ok;
}

bool list_read_all(struct reader *r, const json_t *root, const char *member, const char *rows,
                   json_t **out, struct err *err)
{
    CLEANUP(str_freep) char *before = str_printf("%sBefore", member);
    const char *const members[] = {member, before};
    *out = json_array();
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        CLEANUP(json_freep) json_t *list = NULL;
        if (!list_read(r, json_object_get(root, members[i]), rows, &list, err))
            return false;
        json_array_extend(*out, json_object_get(list, rows));
    }
    return true;
}
