// SPDX-License-Identifier: Apache-2.0
//
// SHA256SUMS against what is in the tar.
#include <stdlib.h>
#include <string.h>

#include "snapshot/import_int.h"
#include "snapshot/members.h"

void import_files_clear(struct import_files *f)
{
    for (size_t i = 0; i < f->v.len; i++) {
        free(f->v.v[i].name);
        buf_clear(&f->v.v[i].kept);
    }
    vec_clear(&f->v);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct import_file *)a)->name, ((const struct import_file *)b)->name);
}

void import_files_sort(struct import_files *f)
{
    if (f->v.len)
        qsort(f->v.v, f->v.len, sizeof(*f->v.v), by_name);
}

const struct import_file *import_files_find(const struct import_files *f, const char *name)
{
    const struct import_file key = {.name = (char *)name};
    return f->v.len ? bsearch(&key, f->v.v, f->v.len, sizeof(key), by_name) : NULL;
}

// "<64 hex>  <name>"
static bool parse_line(const char *p, size_t len, struct import_files *out)
{
    struct sha256 h;
    if (len <= SHA256_HEX + 2 || p[SHA256_HEX] != ' ' || p[SHA256_HEX + 1] != ' ' ||
        memchr(p, '\0', len))
        return false;
    CLEANUP(str_freep) char *hex = str_ndup(p, SHA256_HEX);
    if (!hex_decode_lower(hex, h.b, sizeof(h.b)))
        return false;
    CLEANUP(str_freep) char *name = str_ndup(p + SHA256_HEX + 2, len - SHA256_HEX - 2);
    if (!form_name_is_plain(name))
        return false;
    *vec_push(&out->v) = (struct import_file){.name = TAKE(name), .hash = h};
    return true;
}

bool import_sums_parse(const char *p, size_t len, struct import_files *out, struct err *err)
{
    size_t line = 0;
    for (size_t at = 0; at < len;) {
        const char *end = memchr(p + at, '\n', len - at);
        line++;
        if (!end || !parse_line(p + at, (size_t)(end - (p + at)), out))
            return err_set(err, ERR_CORRUPT, FORM_SUMS ":%zu: not as sha256sum writes it", line);
        at = (size_t)(end + 1 - p);
    }
    import_files_sort(out);
    for (size_t i = 1; i < out->v.len; i++)
        if (!strcmp(out->v.v[i - 1].name, out->v.v[i].name))
            return err_set(err, ERR_CORRUPT, FORM_SUMS ": %.200s stands in it twice",
                           out->v.v[i].name);
    return true;
}

static bool is_listed(const char *name)
{
    return strcmp(name, FORM_SUMS) != 0 && strcmp(name, FORM_SIGNED) != 0;
}

static bool compare(const struct import_files *files, const struct import_files *sums,
                    struct err *err)
{
    size_t at = 0;
    for (size_t i = 0; i < files->v.len; i++) {
        const struct import_file *f = &files->v.v[i];
        if (!is_listed(f->name))
            continue;
        const struct import_file *s = at < sums->v.len ? &sums->v.v[at] : NULL;
        int c = s ? strcmp(f->name, s->name) : -1;
        if (c < 0)
            return err_set(err, ERR_CORRUPT, "%.200s is not in " FORM_SUMS, f->name);
        if (c > 0)
            return err_set(err, ERR_CORRUPT, "%.200s is missing", s->name);
        if (!sha256_eq(&f->hash, &s->hash))
            return err_set(err, ERR_CORRUPT, "%.200s is not what was written", f->name);
        at++;
    }
    return at == sums->v.len || err_set(err, ERR_CORRUPT, "%.200s is missing", sums->v.v[at].name);
}

bool import_sums_check(const struct import_files *files, struct err *err)
{
    struct import_files sums CLEANUP(import_files_clear) = {0};
    const struct import_file *f = import_files_find(files, FORM_SUMS);
    if (f)
        return import_sums_parse(f->kept.p ? f->kept.p : "", f->kept.len, &sums, err) &&
               compare(files, &sums, err);
    if (!import_files_find(files, "snapshot.json"))
        return err_set(err, ERR_INVALID, "no export of a snapshot");
    return err_set(err, ERR_CORRUPT, "it is cut off: " FORM_SUMS " is missing");
}
