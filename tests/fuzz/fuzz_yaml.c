// SPDX-License-Identifier: Apache-2.0
//
// Whatever the YAML reader takes must survive both writers: block YAML read again, canonical JSON
// read as JSON and, as the API server does with apply bodies, as YAML.
#include <stdlib.h>
#include <string.h>

#include "gitops/gitops.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void must_equal(const struct buf *a, const struct buf *b)
{
    must(a->len == b->len && !memcmp(a->p, b->p, a->len));
}

static unsigned deepest(const json_t *v)
{
    unsigned most = 0;
    size_t i;
    json_t *x;
    json_array_foreach(v, i, x)
    {
        unsigned d = deepest(x) + 1;
        most = d > most ? d : most;
    }
    for (void *it = json_object_iter((json_t *)v); it;
         it = json_object_iter_next((json_t *)v, it)) {
        unsigned d = deepest(json_object_iter_value(it)) + 1;
        most = d > most ? d : most;
    }
    return most;
}

static size_t longest_key(const json_t *v)
{
    size_t most = 0;
    size_t i;
    json_t *x;
    json_array_foreach(v, i, x)
    {
        size_t n = longest_key(x);
        most = n > most ? n : most;
    }
    for (void *it = json_object_iter((json_t *)v); it;
         it = json_object_iter_next((json_t *)v, it)) {
        size_t n = longest_key(json_object_iter_value(it));
        n = n > json_object_iter_key_len(it) ? n : json_object_iter_key_len(it);
        most = n > most ? n : most;
    }
    return most;
}

// The canonical form of the only document of a text.
static void canonical_of_yaml(const struct buf *text, struct buf *out)
{
    struct yaml_docs docs = {0};
    struct err err = {0};
    struct yaml_opts o = {.name = "again"};
    must(yaml_read(text->p, text->len, &o, &docs, &err));
    must(docs.docs.len == 1);
    canon_write(docs.docs.v[0].value, out);
    yaml_docs_clear(&docs);
}

static void check_value(const json_t *v)
{
    struct buf canon CLEANUP(buf_clear) = {0};
    struct buf again CLEANUP(buf_clear) = {0};
    struct buf text CLEANUP(buf_clear) = {0};
    struct err err = {0};
    json_t *parsed = NULL;
    canon_write(v, &canon);
    must(canon_read(canon.p, canon.len, &parsed, &err));
    canon_write(parsed, &again);
    json_decref(parsed);
    must_equal(&canon, &again);

    yaml_write(v, &text);
    buf_reset(&again);
    canonical_of_yaml(&text, &again);
    must_equal(&canon, &again);

    // A list, so that it is not taken for JSON; keys are escaped to at most six times their size.
    if (deepest(v) > 500 || longest_key(v) > 160)
        return;
    buf_reset(&text);
    buf_printf(&text, "[%s]", canon.p);
    must(strlen(text.p) == text.len);
    buf_reset(&again);
    canonical_of_yaml(&text, &again);
    must(again.len == canon.len + 2 && !memcmp(again.p + 1, canon.p, canon.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int lax = 0; lax < 2; lax++) {
        struct yaml_docs docs = {0};
        struct err err = {0};
        struct yaml_opts o = {.name = "input", .warn_only = lax};
        if (yaml_read((const char *)data, size, &o, &docs, &err)) {
            for (size_t i = 0; i < docs.docs.len; i++)
                check_value(docs.docs.v[i].value);
        } else {
            must(err.kind == ERR_INVALID && docs.docs.len == 0 && docs.warnings.len == 0);
        }
        yaml_docs_clear(&docs);
        err_clear(&err);
    }
    return 0;
}
