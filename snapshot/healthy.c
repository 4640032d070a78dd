// SPDX-License-Identifier: Apache-2.0
#include "snapshot/healthy.h"

#include "gitops/gitops.h"
#include "snapshot/lists.h"

static bool add_list(struct reader *r, const json_t *ref, json_t *to, struct err *err)
{
    CLEANUP(json_freep) json_t *list = NULL;
    size_t i;
    json_t *row;
    if (!list_read(r, ref, "applications", &list, err))
        return false;
    json_array_foreach(json_object_get(list, "applications"), i, row)
    {
        const char *name = json_dot_str(row, "name");
        const char *revision = json_dot_str(row, "revision");
        if (name && revision && healthy_is_revision(revision) && !json_object_get(to, name))
            json_object_set(to, name, json_object_get(row, "revision"));
    }
    return true;
}

bool snapshot_healthy(struct reader *r, const json_t *root, json_t **out, bool *is_stale,
                      struct err *err)
{
    const json_t *ref = json_object_get(root, "healthy");
    CLEANUP(json_freep) json_t *all = json_object();
    *out = NULL;
    *is_stale = json_is_true(json_object_get(ref, "stale"));
    if (!add_list(r, ref, all, err) ||
        !add_list(r, json_object_get(root, "healthyBefore"), all, err))
        return err_wrap(err, "healthy revisions");
    *out = json_object_size(all) ? TAKE(all) : NULL; // older ones have a list, and it is empty
    return true;
}
