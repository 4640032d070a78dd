// SPDX-License-Identifier: Apache-2.0
#include "gitops/gitops.h"
#include "snapshot/diff_int.h"

static void compare(const char *path, const json_t *a, const json_t *b, json_t *out);

static void compare_members(const char *path, const json_t *a, const json_t *b, json_t *out)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)a, key, v)
    {
        CLEANUP(str_freep) char *p = json_pointer_under(path, key);
        compare(p, v, json_object_get(b, key), out);
    }
    json_object_foreach((json_t *)b, key, v)
    {
        CLEANUP(str_freep) char *p = json_pointer_under(path, key);
        if (!json_object_get(a, key))
            compare(p, NULL, v, out);
    }
}

// Depth is bounded by whoever read them.
static void compare(const char *path, const json_t *a, const json_t *b, json_t *out)
{
    if (a && b && json_equal((json_t *)a, (json_t *)b))
        return;
    if (json_is_object(a) && json_is_object(b)) {
        compare_members(path, a, b, out);
        return;
    }
    if (json_is_array(a) && json_is_array(b) && json_array_size(a) == json_array_size(b)) {
        for (size_t i = 0; i < json_array_size(a); i++) {
            CLEANUP(str_freep) char *p = str_printf("%s/%zu", path, i);
            compare(p, json_array_get(a, i), json_array_get(b, i), out);
        }
        return;
    }
    json_t *x = json_pack("{s:s}", "path", path);
    if (a)
        json_object_set(x, "from", (json_t *)a);
    if (b)
        json_object_set(x, "to", (json_t *)b);
    json_array_append_new(out, x);
}

void diff_fields(const json_t *a, const json_t *b, json_t *out)
{
    if (a || b)
        compare("", a, b, out);
}
