// SPDX-License-Identifier: Apache-2.0
#include "gitops/fields.h"

#include <string.h>

#include "gitops/json.h"

static bool has_keys(const json_t *item, const json_t *keys)
{
    const char *k;
    json_t *v;
    if (!json_is_object(keys))
        return false;
    json_object_foreach((json_t *)keys, k, v)
    {
        if (!json_equal(json_object_get(item, k), v))
            return false;
    }
    return true;
}

static bool is_it(const json_t *item, size_t index, char kind, const json_t *want)
{
    if (kind == 'i')
        return json_is_integer(want) && json_integer_value(want) == (json_int_t)index;
    return kind == 'k' ? has_keys(item, want) : kind == 'v' && json_equal(item, want);
}

static json_t *element_value(const char *element)
{
    bool named = (*element == 'k' || *element == 'v' || *element == 'i') && element[1] == ':';
    return named ? json_loads(element + 2, JSON_DECODE_ANY, NULL) : NULL;
}

bool fields_is_item(const json_t *item, size_t index, const char *element)
{
    CLEANUP(json_freep) json_t *want = element_value(element);
    return want && is_it(item, index, *element, want);
}

long fields_item(const json_t *list, const char *element)
{
    CLEANUP(json_freep) json_t *want = element_value(element);
    size_t i;
    json_t *item;
    if (!want)
        return -1;
    json_array_foreach(list, i, item)
    {
        if (is_it(item, i, *element, want))
            return (long)i;
    }
    return -1;
}

bool fields_is_leaf(const json_t *set)
{
    size_t n = json_object_size(set);
    return n == 0 || (n == 1 && json_object_get(set, "."));
}
