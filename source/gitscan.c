// SPDX-License-Identifier: Apache-2.0
//
// False without an error means everywhere: not by us. Sizes are those the pack tells, and nothing
// is allocated for them above the bounds below.
#include "source/gitscan.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/file.h"
#include "base/vec.h"
#include "source/gitlinks.h"

#define HEAD_BYTES 12
#define MIN_ENTRY_BYTES 9          // a head, and a stream of nothing
#define HELD_MAX_BYTES (64U << 20) // one object, or all that a chain of deltas needs at once
#define KEPT_MAX_BYTES (32U << 20) // deltas kept from the first time they were inflated
#define PIECE_BYTES (1U << 20)     // a longer file is inflated in pieces
#define STOP_EVERY 1024
enum { OFS_DELTA = 6, REF_DELTA = 7 };

struct entry {
    uint64_t start, data; // places in the pack: of its head, of what is compressed
    uint64_t base;        // OFS_DELTA: where its base begins
    size_t size;          // of the object, or of the delta
    uint8_t type;         // 1 to 4, or a delta; of one that was put on its base 0
    git_oid id;           // REF_DELTA: of its base
    uint8_t *kept;        // the delta
};

struct git_scan {
    VEC(struct git_named) has; // sorted
    VEC(struct git_named) outside;
};

struct scan {
    const struct loop *stop;
    const uint8_t *p; // the pack without the sum at its end
    size_t len, mapped;
    z_stream z;
    EVP_MD_CTX *md;
    struct git_scan *out;
    struct git_links links;
    VEC(struct entry) entries;
    VEC(uint32_t) by_place; // deltas, by the place of their base
    VEC(uint32_t) by_name;  // and by its name
    size_t n_deltas, kept, held;
    uint8_t *piece;
};

struct object { // one that others stand on
    uint8_t *data;
    size_t len;
    git_object_t type;
    size_t place, place_end, name, name_end; // those, in the two lists
};

// ---- inflating and naming ----

static size_t at_most_uint(size_t n)
{
    return n < UINT_MAX ? n : UINT_MAX;
}

static void inflate_at(struct scan *s, uint64_t at)
{
    inflateReset(&s->z);
    s->z.next_in = (uint8_t *)s->p + at; // not written to
    s->z.avail_in = (uInt)at_most_uint(s->len - at);
}

// Into `size` + 1 bytes, so that one that is longer is noticed. *end: where the stream ends.
static bool inflate_whole(struct scan *s, uint64_t at, uint8_t *out, size_t size, uint64_t *end)
{
    inflate_at(s, at);
    s->z.next_out = out;
    s->z.avail_out = (uInt)size + 1;
    int rc = inflate(&s->z, Z_FINISH);
    *end = at + s->z.total_in;
    return rc == Z_STREAM_END && s->z.total_out == size;
}

static void name_begin(struct scan *s, git_object_t type, size_t len)
{
    char head[40];
    int n = snprintf(head, sizeof(head), "%s %zu", git_object_type2string(type), len);
    EVP_DigestInit_ex2(s->md, NULL, NULL);
    EVP_DigestUpdate(s->md, head, (size_t)n + 1);
}

static git_oid name_end(struct scan *s)
{
    uint8_t sum[EVP_MAX_MD_SIZE];
    git_oid id;
    EVP_DigestFinal_ex(s->md, sum, NULL);
    memcpy(id.id, sum, sizeof(id.id));
    return id;
}

static git_oid has(struct scan *s, git_object_t type)
{
    git_oid id = name_end(s);
    *vec_push(&s->out->has) = (struct git_named){id, type};
    return id;
}

static bool take_object(struct scan *s, git_object_t type, const uint8_t *data, size_t len,
                        git_oid *id)
{
    name_begin(s, type, len);
    EVP_DigestUpdate(s->md, data, len);
    *id = has(s, type);
    return git_links_add(&s->links, type, data, len);
}

static bool take_long_file(struct scan *s, struct entry *e, uint64_t *end)
{
    size_t done = 0;
    int rc = Z_OK;
    name_begin(s, GIT_OBJECT_BLOB, e->size);
    inflate_at(s, e->data);
    while (rc == Z_OK) {
        s->z.next_out = s->piece;
        s->z.avail_out = PIECE_BYTES;
        rc = inflate(&s->z, Z_NO_FLUSH);
        size_t n = PIECE_BYTES - s->z.avail_out;
        EVP_DigestUpdate(s->md, s->piece, n);
        done += n;
        if (rc == Z_OK && (n == 0 || done > e->size))
            return false;
    }
    *end = e->data + s->z.total_in;
    e->id = has(s, GIT_OBJECT_BLOB);
    return rc == Z_STREAM_END && done == e->size;
}

// ---- entries, from the first to the last ----

static bool read_base(struct scan *s, struct entry *e)
{
    if (e->type == REF_DELTA) {
        if (s->len - e->data < GIT_OID_RAWSZ)
            return false;
        memcpy(e->id.id, s->p + e->data, GIT_OID_RAWSZ);
        e->data += GIT_OID_RAWSZ;
        return true;
    }
    uint64_t back = 0;
    for (unsigned i = 0; i < 9; i++) {
        if (e->data >= s->len)
            return false;
        uint8_t c = s->p[e->data++];
        back = back << 7 | (c & 0x7f);
        if (!(c & 0x80)) {
            e->base = e->start - back;
            return back > 0 && back < e->start;
        }
        back++;
    }
    return false;
}

static bool read_head(struct scan *s, struct entry *e)
{
    uint64_t size = 0;
    uint8_t c = 0;
    for (unsigned shift = 0; shift == 0 || c & 0x80; shift += shift ? 7 : 4) {
        if (e->data >= s->len || shift > 53)
            return false;
        c = s->p[e->data++];
        if (shift == 0)
            e->type = c >> 4 & 7;
        size |= (uint64_t)(c & (shift ? 0x7f : 0x0f)) << shift;
    }
    e->size = size;
    if (e->type == OFS_DELTA || e->type == REF_DELTA)
        return e->size <= HELD_MAX_BYTES && read_base(s, e);
    return e->type >= GIT_OBJECT_COMMIT && e->type <= GIT_OBJECT_TAG &&
           (e->size <= HELD_MAX_BYTES || e->type == GIT_OBJECT_BLOB);
}

static bool take_delta(struct scan *s, struct entry *e, uint32_t i, uint64_t *end)
{
    uint8_t *data = mem_alloc(e->size + 1);
    bool ok = inflate_whole(s, e->data, data, e->size, end);
    if (e->type == OFS_DELTA)
        *vec_push(&s->by_place) = i;
    else
        *vec_push(&s->by_name) = i;
    s->n_deltas++;
    if (ok && s->kept + e->size <= KEPT_MAX_BYTES) {
        e->kept = data;
        s->kept += e->size;
    } else {
        free(data);
    }
    return ok;
}

static bool take_entry(struct scan *s, struct entry *e, uint32_t i, uint64_t *end)
{
    if (e->type == OFS_DELTA || e->type == REF_DELTA)
        return take_delta(s, e, i, end);
    if (e->size < PIECE_BYTES)
        return inflate_whole(s, e->data, s->piece, e->size, end) &&
               take_object(s, (git_object_t)e->type, s->piece, e->size, &e->id);
    if (e->type == GIT_OBJECT_BLOB)
        return take_long_file(s, e, end);
    uint8_t *data = mem_alloc(e->size + 1);
    bool ok = inflate_whole(s, e->data, data, e->size, end) &&
              take_object(s, (git_object_t)e->type, data, e->size, &e->id);
    free(data);
    return ok;
}

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool is_stopping(const struct scan *s)
{
    return s->stop && loop_stopping(s->stop);
}

static bool take_entries(struct scan *s)
{
    uint64_t at = HEAD_BYTES;
    uint32_t n = be32(s->p + 8);
    uint32_t version = be32(s->p + 4);
    if (memcmp(s->p, "PACK", 4) || (version != 2 && version != 3) ||
        n > (s->len - HEAD_BYTES) / MIN_ENTRY_BYTES)
        return false;
    vec_reserve(&s->entries, n);
    for (uint32_t i = 0; i < n; i++) {
        struct entry *e = vec_push(&s->entries);
        e->start = e->data = at;
        if (!read_head(s, e) || !take_entry(s, e, i, &at) ||
            (i % STOP_EVERY == 0 && is_stopping(s)))
            return false;
    }
    return at == s->len;
}

// ---- deltas ----

static bool delta_size(const uint8_t **p, const uint8_t *end, size_t *out)
{
    *out = 0;
    for (unsigned shift = 0; *p < end && shift <= 56; shift += 7) {
        uint8_t c = *(*p)++;
        *out |= (size_t)(c & 0x7f) << shift;
        if (!(c & 0x80))
            return true;
    }
    return false;
}

// The next `bits` say which bytes of a number are there.
static bool delta_number(const uint8_t **p, const uint8_t *end, unsigned bits, unsigned n,
                         size_t *out)
{
    *out = 0;
    for (unsigned i = 0; i < n; i++) {
        if (!(bits >> i & 1))
            continue;
        if (*p == end)
            return false;
        *out |= (size_t) * (*p)++ << 8 * i;
    }
    return true;
}

static bool delta_apply(const struct object *base, const uint8_t *p, const uint8_t *end,
                        uint8_t *out, size_t len)
{
    size_t done = 0;
    while (p < end) {
        uint8_t c = *p++;
        size_t from = 0;
        size_t n = c;
        if (c & 0x80) {
            if (!delta_number(&p, end, c, 4, &from) || !delta_number(&p, end, c >> 4, 3, &n))
                return false;
            n = n ? n : 0x10000;
            if (from > base->len || n > base->len - from || n > len - done)
                return false;
            memcpy(out + done, base->data + from, n);
        } else {
            if (n == 0 || n > (size_t)(end - p) || n > len - done)
                return false;
            memcpy(out + done, p, n);
            p += n;
        }
        done += n;
    }
    return done == len;
}

static bool hold(struct scan *s, size_t len)
{
    if (len > HELD_MAX_BYTES - s->held)
        return false;
    s->held += len;
    return true;
}

// The object that a delta makes of its base; owned, and held.
static bool put_on(struct scan *s, const struct object *base, struct entry *e, struct object *out)
{
    uint64_t end;
    uint8_t *delta = e->kept;
    e->kept = NULL;
    if (!delta) {
        delta = mem_alloc(e->size + 1);
        if (!inflate_whole(s, e->data, delta, e->size, &end)) {
            free(delta);
            return false;
        }
    } else {
        s->kept -= e->size;
    }
    const uint8_t *p = delta;
    size_t base_len;
    bool ok = delta_size(&p, delta + e->size, &base_len) && base_len == base->len &&
              delta_size(&p, delta + e->size, &out->len) && hold(s, out->len);
    if (ok) {
        out->data = mem_alloc(out->len + 1);
        out->type = base->type;
        ok = delta_apply(base, p, delta + e->size, out->data, out->len);
    }
    free(delta);
    return ok;
}

// ---- who stands on whom ----

static int by_place(const void *a, const void *b, void *ctx)
{
    const struct scan *s = ctx;
    uint64_t x = s->entries.v[*(const uint32_t *)a].base;
    uint64_t y = s->entries.v[*(const uint32_t *)b].base;
    return (x > y) - (x < y);
}

static int by_name(const void *a, const void *b, void *ctx)
{
    const struct scan *s = ctx;
    return git_oid_cmp(&s->entries.v[*(const uint32_t *)a].id,
                       &s->entries.v[*(const uint32_t *)b].id);
}

static size_t first_by_place(const struct scan *s, uint64_t base)
{
    size_t lo = 0;
    for (size_t hi = s->by_place.len; lo < hi;) {
        size_t mid = (lo + hi) / 2;
        if (s->entries.v[s->by_place.v[mid]].base < base)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static size_t first_by_name(const struct scan *s, const git_oid *id)
{
    size_t lo = 0;
    for (size_t hi = s->by_name.len; lo < hi;) {
        size_t mid = (lo + hi) / 2;
        if (git_oid_cmp(&s->entries.v[s->by_name.v[mid]].id, id) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

// Finds what stands on an object. False: nothing.
static bool find_deltas(const struct scan *s, uint64_t start, const git_oid *id, struct object *o)
{
    o->place = o->place_end = first_by_place(s, start);
    while (o->place_end < s->by_place.len &&
           s->entries.v[s->by_place.v[o->place_end]].base == start)
        o->place_end++;
    o->name = o->name_end = first_by_name(s, id);
    while (o->name_end < s->by_name.len &&
           git_oid_equal(&s->entries.v[s->by_name.v[o->name_end]].id, id))
        o->name_end++;
    return o->place < o->place_end || o->name < o->name_end;
}

static struct entry *next_delta(struct scan *s, struct object *o)
{
    while (o->place < o->place_end || o->name < o->name_end) {
        uint32_t i = o->place < o->place_end ? s->by_place.v[o->place++] : s->by_name.v[o->name++];
        if (s->entries.v[i].type) // an object that is there twice has them twice
            return &s->entries.v[i];
    }
    return NULL;
}

static void drop(struct scan *s, struct object *o)
{
    s->held -= o->len;
    free(o->data);
}

struct chain {
    VEC(struct object) v; // each stands on the one before
};

static bool go_down(struct scan *s, struct chain *c)
{
    while (c->v.len) {
        struct entry *e = next_delta(s, &c->v.v[c->v.len - 1]);
        if (!e) {
            drop(s, &c->v.v[--c->v.len]);
            continue;
        }
        struct object o = {0};
        git_oid id;
        bool ok = put_on(s, &c->v.v[c->v.len - 1], e, &o);
        e->type = 0;
        s->n_deltas--;
        ok = ok && take_object(s, o.type, o.data, o.len, &id);
        if (ok && find_deltas(s, e->start, &id, &o))
            *vec_push(&c->v) = o;
        else if (o.data)
            drop(s, &o);
        if (!ok || is_stopping(s))
            return false;
    }
    return true;
}

static bool take_deltas_of(struct scan *s, const struct entry *e)
{
    struct object o = {.len = e->size, .type = (git_object_t)e->type};
    struct chain c = {0};
    uint64_t end;
    if (!find_deltas(s, e->start, &e->id, &o))
        return true;
    if (!hold(s, o.len))
        return false;
    o.data = mem_alloc(o.len + 1);
    *vec_push(&c.v) = o;
    bool ok = inflate_whole(s, e->data, o.data, o.len, &end) && go_down(s, &c);
    while (c.v.len)
        drop(s, &c.v.v[--c.v.len]);
    vec_clear(&c.v);
    return ok;
}

static bool take_deltas(struct scan *s)
{
    if (!s->n_deltas)
        return true;
    if (s->by_place.len)
        qsort_r(s->by_place.v, s->by_place.len, sizeof(*s->by_place.v), by_place, s);
    if (s->by_name.len)
        qsort_r(s->by_name.v, s->by_name.len, sizeof(*s->by_name.v), by_name, s);
    for (size_t i = 0; i < s->entries.len; i++) {
        const struct entry *e = &s->entries.v[i];
        if (e->type && e->type <= GIT_OBJECT_TAG && !take_deltas_of(s, e))
            return false;
    }
    return s->n_deltas == 0; // else the base of one is elsewhere
}

// ---- the whole ----

static int by_id(const void *a, const void *b)
{
    return git_oid_cmp(&((const struct git_named *)a)->id, &((const struct git_named *)b)->id);
}

git_object_t git_scan_type(const struct git_scan *s, const git_oid *id)
{
    struct git_named key = {.id = *id};
    const struct git_named *found =
        s->has.len ? bsearch(&key, s->has.v, s->has.len, sizeof(key), by_id) : NULL;
    return found ? found->type : GIT_OBJECT_INVALID;
}

// What is named is there and of that type, or elsewhere.
static bool sort_out(struct scan *s)
{
    const struct oidset *named = &s->links.ids;
    if (s->out->has.len)
        qsort(s->out->has.v, s->out->has.len, sizeof(*s->out->has.v), by_id);
    for (size_t i = 0; i < named->cap; i++) {
        if (!named->with[i])
            continue;
        git_object_t type = git_scan_type(s->out, &named->slots[i]);
        if (type == GIT_OBJECT_INVALID)
            *vec_push(&s->out->outside) =
                (struct git_named){named->slots[i], (git_object_t)named->with[i]};
        else if (type != (git_object_t)named->with[i])
            return false;
    }
    return true;
}

static bool sum_holds(struct scan *s)
{
    EVP_DigestInit_ex2(s->md, NULL, NULL);
    for (size_t at = 0; at < s->len; at += PIECE_BYTES)
        EVP_DigestUpdate(s->md, s->p + at, s->len - at < PIECE_BYTES ? s->len - at : PIECE_BYTES);
    git_oid sum = name_end(s);
    return !memcmp(sum.id, s->p + s->len, GIT_OID_RAWSZ);
}

static bool scan_all(struct scan *s)
{
    EVP_MD *sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
    s->md = EVP_MD_CTX_new();
    s->piece = mem_alloc(PIECE_BYTES + 1);
    s->out = mem_alloc(sizeof(*s->out));
    bool ok = sha1 && EVP_DigestInit_ex2(s->md, sha1, NULL) == 1 && inflateInit(&s->z) == Z_OK;
    EVP_MD_free(sha1);
    return ok && sum_holds(s) && take_entries(s) && take_deltas(s) && sort_out(s);
}

static void scan_clear(struct scan *s)
{
    if (s->p)
        munmap((void *)s->p, s->mapped);
    for (size_t i = 0; i < s->entries.len; i++)
        free(s->entries.v[i].kept);
    vec_clear(&s->entries);
    vec_clear(&s->by_place);
    vec_clear(&s->by_name);
    git_links_clear(&s->links);
    inflateEnd(&s->z);
    EVP_MD_CTX_free(s->md);
    free(s->piece);
    git_scan_free(s->out);
}

// False without an error: nothing that could be a pack.
static bool map_pack(struct scan *s, const char *path, struct err *err)
{
    int fd CLEANUP(fd_closep) = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st = {0};
    if (fd < 0 || fstat(fd, &st) != 0) {
        int errnum = errno;
        return err_set_errno(err, errnum, "read %s", path);
    }
    if (st.st_size < HEAD_BYTES + GIT_OID_RAWSZ)
        return false;
    s->mapped = (size_t)st.st_size;
    void *p = mmap(NULL, s->mapped, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED) {
        int errnum = errno;
        return err_set_errno(err, errnum, "read %s", path);
    }
    s->p = p;
    s->len = s->mapped - GIT_OID_RAWSZ;
    return true;
}

bool git_scan_pack(const char *path, const struct loop *stop, struct git_scan **out,
                   struct err *err)
{
    struct scan s CLEANUP(scan_clear) = {.stop = stop};
    *out = NULL;
    if (!map_pack(&s, path, err))
        return !err_is_set(err);
    if (scan_all(&s))
        *out = TAKE(s.out);
    else if (is_stopping(&s))
        return err_set(err, ERR_CANCELLED, "interrupted");
    return true;
}

void git_scan_free(struct git_scan *s)
{
    if (!s)
        return;
    vec_clear(&s->has);
    vec_clear(&s->outside);
    free(s);
}

size_t git_scan_objects(const struct git_scan *s)
{
    return s->has.len;
}

size_t git_scan_outside(const struct git_scan *s, const struct git_named **out)
{
    *out = s->outside.v;
    return s->outside.len;
}
