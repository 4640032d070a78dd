// SPDX-License-Identifier: Apache-2.0
//
// A tar that anybody may have made, as it is after zstd. What comes out of the reader lies within
// the bounds, has names that lead nowhere else, and comes once.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "gitops/gitops.h"
#include "snapshot/export_form.h"
#include "snapshot/import_tar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct tar_bounds bounds = {.bytes = 1 << 20, .files = 64, .names = 8192};

struct seen {
    const uint8_t *p;
    size_t left;
    json_t *names;
    uint64_t want, got, all;
    size_t files;
    bool is_open;
};

static bool pull(void *ctx, const void **p, size_t *len, struct err *err)
{
    struct seen *s = ctx;
    (void)err;
    *p = s->p;
    *len = s->left < 1000 ? s->left : 1000;
    s->p += *len;
    s->left -= *len;
    return true;
}

static bool on_file(void *ctx, const char *name, uint64_t size, struct err *err)
{
    struct seen *s = ctx;
    CLEANUP(str_freep) char *clean = NULL;
    (void)err;
    if (s->is_open || !form_name_is_plain(name) || !path_clean(name, &clean) ||
        strcmp(clean, name) != 0 || json_object_get(s->names, name) || ++s->files > bounds.files ||
        size > bounds.bytes)
        abort();
    json_object_set_new(s->names, name, json_true());
    s->is_open = true;
    s->want = size;
    s->got = 0;
    return true;
}

static bool on_data(void *ctx, const void *p, size_t len, struct err *err)
{
    struct seen *s = ctx;
    (void)err;
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < len; i++) // every byte may be read
        sum ^= ((const uint8_t *)p)[i];
    s->got += len;
    s->all += len;
    if (!s->is_open || s->got > s->want || s->all > bounds.bytes)
        abort();
    return true;
}

static bool on_done(void *ctx, struct err *err)
{
    struct seen *s = ctx;
    (void)err;
    if (!s->is_open || s->got != s->want)
        abort();
    s->is_open = false;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen s = {.p = data, .left = size, .names = json_object()};
    const struct tar_sink sink = {on_file, on_data, on_done, &s};
    struct err err = {0};
    if (import_tar_read(pull, &s, &bounds, &sink, &err)) {
        if (!s.files && json_object_size(s.names))
            abort();
    } else if (err.kind != ERR_CORRUPT && err.kind != ERR_INVALID) {
        abort();
    }
    json_decref(s.names);
    err_clear(&err);
    return 0;
}
