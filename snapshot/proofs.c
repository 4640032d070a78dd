// SPDX-License-Identifier: Apache-2.0
#include "snapshot/proofs.h"

#include <stdlib.h>

#include "base/file.h"

#define MAX_BYTES (16U << 20)
#define MAX_PROOFS 131072 // lines of 64 + 3 * 20 bytes at most
#define NAME_DIGITS 64

void proofs_clear(struct proofs *p)
{
    vec_clear(&p->v);
}

static int by_name(const void *a, const void *b)
{
    return memcmp(((const struct proof *)a)->name.b, ((const struct proof *)b)->name.b,
                  sizeof(struct sha256));
}

void proofs_sort(struct proofs *p)
{
    if (p->v.len)
        qsort(p->v.v, p->v.len, sizeof(*p->v.v), by_name);
}

int64_t proofs_find(const struct proofs *p, const struct sha256 *name, uint64_t size,
                    int64_t stored_at_ms, int64_t now_s)
{
    struct proof key = {.name = *name};
    const struct proof *x = p->v.len ? bsearch(&key, p->v.v, p->v.len, sizeof(key), by_name) : NULL;
    bool is_it = x && x->size == size && x->stored_at_ms == stored_at_ms && x->read_s <= now_s;
    return is_it ? x->read_s : 0;
}

// "<64 hex> <size> <stored at, ms> <read, s>"
static bool parse_line(const char *line, size_t len, struct proof *out)
{
    long long n[3];
    if (len <= NAME_DIGITS || len > NAME_DIGITS + 64 || line[NAME_DIGITS] != ' ')
        return false;
    CLEANUP(str_freep) char *hex = str_ndup(line, NAME_DIGITS);
    CLEANUP(str_freep) char *rest = str_ndup(line + NAME_DIGITS + 1, len - NAME_DIGITS - 1);
    char *at = rest;
    if (!hex_decode(hex, out->name.b, sizeof(out->name.b)))
        return false;
    for (size_t i = 0; i < 3; i++) {
        char *end = at + strcspn(at, " ");
        bool is_last = !*end;
        *end = 0;
        if (is_last != (i == 2) || !str_to_int(at, 0, INT64_MAX, &n[i]))
            return false;
        at = end + 1;
    }
    out->size = (uint64_t)n[0];
    out->stored_at_ms = n[1];
    out->read_s = n[2];
    return true;
}

void proofs_parse(const char *text, size_t len, struct proofs *out)
{
    for (size_t at = 0; at < len && out->v.len < MAX_PROOFS;) {
        const char *end = memchr(text + at, '\n', len - at);
        size_t n = end ? (size_t)(end - (text + at)) : len - at;
        struct proof x;
        if (parse_line(text + at, n, &x))
            *vec_push(&out->v) = x;
        at += n + 1;
    }
    proofs_sort(out);
}

void proofs_write(const struct proofs *p, struct buf *out)
{
    for (size_t i = 0; i < p->v.len && i < MAX_PROOFS; i++) {
        const struct proof *x = &p->v.v[i];
        CLEANUP(str_freep) char *hex = hex_encode(x->name.b, sizeof(x->name.b));
        buf_printf(out, "%s %llu %lld %lld\n", hex, (unsigned long long)x->size,
                   (long long)x->stored_at_ms, (long long)x->read_s);
    }
}

// Two stores that show a file of one name differ in where they are, or in when it was stored.
static char *path_of(const char *dir, const char *store_url, const char *chain)
{
    CLEANUP(str_freep) char *where = str_printf("%s\n%s", store_url, chain);
    struct sha256 hash = sha256_of(where, strlen(where));
    CLEANUP(str_freep) char *hex = hex_encode(hash.b, 16);
    CLEANUP(str_freep) char *name = str_printf("read-%s", hex);
    return path_join(dir, name);
}

void proofs_load(const char *dir, const char *store_url, const char *chain, struct proofs *out)
{
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    if (!dir)
        return;
    CLEANUP(str_freep) char *path = path_of(dir, store_url, chain);
    if (file_read(path, MAX_BYTES, &b, &err))
        proofs_parse(b.p ? b.p : "", b.len, out);
    err_clear(&err); // not there: everything is read
}

void proofs_save(const char *dir, const char *store_url, const char *chain, const struct proofs *p)
{
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    if (!dir)
        return;
    CLEANUP(str_freep) char *path = path_of(dir, store_url, chain);
    proofs_write(p, &b);
    if (!file_replace(path, b.p ? b.p : "", b.len, 0600, &err))
        err_clear(&err); // it is read again next time
}
