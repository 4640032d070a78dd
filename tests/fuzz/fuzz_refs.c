// SPDX-License-Identifier: Apache-2.0
//
// The references in the text of a list: what is gone through as it stands is what the tree of its
// values says.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gitops/gitops.h"
#include "snapshot/refs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t count(const json_t *v, const char *member)
{
    const char *key;
    json_t *x;
    size_t i;
    size_t n = 0;
    bool is_file = !strcmp(member, "sha256");
    if (json_is_array(v)) {
        json_array_foreach(v, i, x) n += count(x, member);
        return n;
    }
    if (!json_is_object(v))
        return 0;
    if (is_file && json_is_string(json_object_get(v, "sha256")) &&
        json_is_array(json_object_get(v, "blobs")))
        n++;
    json_object_foreach((json_t *)v, key, x)
    {
        bool is_ref = !strcmp(key, "blob") || !strcmp(key, "blobs");
        if (!is_ref)
            n += count(x, member);
        else if (!is_file)
            n += json_is_array(x) ? json_array_size(x) : 1;
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct list_refs plain = {0};
    struct list_refs any = {0};
    struct err err = {0};
    const char *text = mem_dup(data, size);
    json_t *doc = NULL;
    bool is_plain = list_refs_scan(text, size, &plain);
    if (is_plain) {
        // In the plain form there is one reading, and that is the parser's.
        if (!canon_read(text, size, &doc, &err) || count(doc, "blob") != plain.ids.len ||
            count(doc, "sha256") != plain.files.len)
            abort();
        json_decref(doc);
    }
    bool ok = list_refs_find(text, size, &any, &err);
    if (is_plain != ok && is_plain)
        abort();
    if (is_plain && (any.ids.len != plain.ids.len ||
                     (plain.ids.len &&
                      memcmp(any.ids.v, plain.ids.v, plain.ids.len * sizeof(*plain.ids.v)) != 0)))
        abort();
    err_clear(&err);
    list_refs_clear(&plain);
    list_refs_clear(&any);
    free((void *)text);
    return 0;
}
