// SPDX-License-Identifier: Apache-2.0
#include "snapshot/healthy.h"

#include "gitops/gitops.h"
#include "snapshot/lists.h"

bool snapshot_healthy(struct reader *r, const json_t *root, json_t **out, struct err *err)
{
    CLEANUP(json_freep) json_t *list = NULL;
    CLEANUP(json_freep) json_t *all = json_object();
    size_t i;
    json_t *row;
    *out = NULL;
    if (!list_read(r, json_object_get(root, "healthy"), "applications", &list, err))
        return err_wrap(err, "healthy revisions");
    json_array_foreach(json_object_get(list, "applications"), i, row)
    {
        const char *name = json_dot_str(row, "name");
        const char *revision = json_dot_str(row, "revision");
        if (name && revision && healthy_is_revision(revision))
            json_object_set(all, name, json_object_get(row, "revision"));
    }
    *out = json_object_size(all) ? TAKE(all) : NULL; // older ones have a list, and it is empty
    return true;
}
