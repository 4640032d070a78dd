// SPDX-License-Identifier: Apache-2.0
//
// Secrets: each line is hashed and forgotten. What is said is a name, and that it is another one.
#include <string.h>

#include "gitops/gitops.h"
#include "snapshot/diff_int.h"
#include "snapshot/lists.h"

// "from namespace/name" -> hash of its line.
static bool note_line(void *ctx, const json_t *v, const char *line, size_t len, struct err *err)
{
    json_t *out = ctx;
    (void)err;
    const char *from = json_dot_str(v, "from");
    const char *ns = json_dot_str(v, "object.metadata.namespace");
    const char *name = json_dot_str(v, "object.metadata.name");
    CLEANUP(str_freep)
    char *key = str_printf("%s\n%s\n%s", from ? from : "", ns ? ns : "", name ? name : "");
    struct sha256 hash = sha256_of(line, len);
    CLEANUP(str_freep) char *hex = hex_encode(hash.b, sizeof(hash.b));
    if (!json_object_get(out, key)) // the first pool that holds it counts
        json_object_set_new(out, key, json_string(hex));
    return true;
}

// One that is rendered has a row of its application too, which tells when it comes or goes.
static void add(json_t *out, const char *key, const char *change)
{
    struct strv parts = {0};
    if (str_starts(key, "desired\n") && strcmp(change, "changed") != 0)
        return;
    strv_split(&parts, key, '\n');
    json_array_append_new(out, json_pack("{s:s, s:s, s:s, s:s}", "from", parts.v[0], "namespace",
                                         parts.v[1], "name", parts.v[2], "change", change));
    strv_clear(&parts);
}

bool diff_pool(struct diffing *d, struct err *err)
{
    CLEANUP(json_freep) json_t *a = json_object();
    CLEANUP(json_freep) json_t *b = json_object();
    json_t *out = json_array();
    const char *key;
    json_t *v;
    json_object_set_new(d->out, "secrets", out);
    if (!list_each_secret(d->a.r, d->a.root, note_line, a, err) ||
        !list_each_secret(d->b.r, d->b.root, note_line, b, err))
        return false;
    json_object_foreach(a, key, v)
    {
        const json_t *now = json_object_get(b, key);
        if (!now || !json_equal((json_t *)now, v))
            add(out, key, now ? "changed" : "removed");
    }
    json_object_foreach(b, key, v)
    {
        if (!json_object_get(a, key))
            add(out, key, "added");
    }
    return true;
}
