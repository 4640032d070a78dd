// SPDX-License-Identifier: Apache-2.0
//
// What we own of a live object, by its managed fields (spec kubernetes-api sections 3.5, 5.4):
// "f:name" a field, "k:{...}" a list item by its keys, "v:..." one by its value, "i:n" by index,
// "." the item itself; an empty set is a leaf that is owned whole.
#include <string.h>

#include "gitops/gitops.h"
#include "reconcile/plan.h"

const json_t *managed_fields_of(const json_t *live, const char *manager)
{
    size_t i;
    json_t *m;
    json_array_foreach(json_dot(live, "metadata.managedFields"), i, m)
    {
        if (str_eq(json_dot_str(m, "manager"), manager) &&
            str_eq(json_dot_str(m, "operation"), "Apply") &&
            str_is_empty(json_dot_str(m, "subresource")))
            return json_object_get(m, "fieldsV1");
    }
    return NULL;
}

// The list item that a path element names; borrowed.
static const json_t *find_item(const json_t *list, const char *element)
{
    long i = fields_item(list, element);
    return i >= 0 ? json_array_get(list, (size_t)i) : NULL;
}

static json_t *project(const json_t *live, const json_t *fields)
{
    json_t *out = json_object();
    const char *key;
    json_t *sub;
    json_object_foreach((json_t *)fields, key, sub)
    {
        if (!strcmp(key, ".") || strlen(key) < 3)
            continue;
        const json_t *v = key[0] == 'f' ? json_object_get(live, key + 2) : find_item(live, key);
        if (!v)
            json_object_set_new(out, key, json_null());
        else if (json_object_size(sub) == 0 ||
                 (json_object_size(sub) == 1 && json_object_get(sub, ".") && !json_is_object(v) &&
                  !json_is_array(v)))
            json_object_set_new(out, key, json_deep_copy(v));
        else
            json_object_set_new(out, key, project(v, sub));
    }
    return out;
}

json_t *project_fields(const json_t *live, const json_t *fields_v1)
{
    return json_is_object(fields_v1) ? project(live, fields_v1) : NULL;
}

bool projection_of(const json_t *live, const char *manager, struct sha256 *out)
{
    CLEANUP(json_freep) json_t *p = project_fields(live, managed_fields_of(live, manager));
    memset(out, 0, sizeof(*out));
    if (!p)
        return false;
    struct buf b CLEANUP(buf_clear) = {0};
    canon_write(p, &b);
    *out = sha256_of(b.p, b.len);
    return true;
}
