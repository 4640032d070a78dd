// SPDX-License-Identifier: Apache-2.0
//
// One pack of chosen objects, out of packs that hold them: every entry is copied as it lies there,
// so that neither memory nor time depend on how large a history is. A delta keeps its base, by a
// shorter way or by its name; what stands on an object that is not wanted is made anew.
//
// Objects are taken from the first pack that has them. Their order there puts bases first, and a
// base that was taken from an earlier pack is named: no delta leads back to itself.
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "source/gitproof.h"
#include "source/gitrepo.h"

#define OID_BYTES 20
#define FANOUT_AT 8
#define OIDS_AT (FANOUT_AT + 256 * 4)
#define SUMS_BYTES 40
#define MAX_ENTRY_HEAD 32 // of the bytes before the compressed ones
#define CHUNK (256U << 10)
enum { ENTRY_OFS = 6, ENTRY_REF = 7 };

struct chosen {
    git_oid id;
    uint32_t pack; // 1 + which one it is taken from; 0: none yet
};

struct place {
    uint64_t at;  // in the pack
    uint32_t pos; // in its index
    uint64_t out; // in what is written; 0: not written from here
};

struct pack {
    int fd;
    uint64_t end; // of the last entry
    const uint8_t *index;
    size_t index_size, n;
    struct place *places; // by `at`
};

struct compose {
    struct git_proof *p;
    struct strv packs; // index files
    struct chosen *v;
    size_t n;
    // what is written
    int fd;
    struct buf out;
    uint64_t written;
    EVP_MD_CTX *sum;
};

// ---- a pack with its index ----
static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static const uint8_t *oid_at(const struct pack *k, size_t pos)
{
    return k->index + OIDS_AT + pos * OID_BYTES;
}

static bool offset_at(const struct pack *k, size_t pos, uint64_t *out)
{
    const uint8_t *small = k->index + OIDS_AT + k->n * (OID_BYTES + 4) + pos * 4;
    const uint8_t *large = k->index + OIDS_AT + k->n * (OID_BYTES + 8);
    uint32_t v = be32(small);
    *out = v;
    if (v & 0x80000000U) {
        size_t i = v & 0x7fffffffU;
        if ((size_t)(k->index + k->index_size - SUMS_BYTES - large) / 8 <= i)
            return false;
        *out = (uint64_t)be32(large + i * 8) << 32 | be32(large + i * 8 + 4);
    }
    return *out >= 12 && *out < k->end;
}

static int by_place(const void *a, const void *b)
{
    const struct place *x = a;
    const struct place *y = b;
    return (x->at > y->at) - (x->at < y->at);
}

static void pack_clear(struct pack *k)
{
    if (k->index)
        munmap((void *)k->index, k->index_size);
    fd_closep(&k->fd);
    free(k->places);
    *k = (struct pack){.fd = -1};
}

static bool map_index(struct pack *k, const char *path, struct err *err)
{
    int fd CLEANUP(fd_closep) = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st = {0};
    int errnum = errno;
    if (fd < 0 || fstat(fd, &st) != 0)
        return err_set_errno(err, errnum, "read %s", path);
    k->index_size = (size_t)st.st_size;
    if (k->index_size < OIDS_AT + SUMS_BYTES)
        return err_set(err, ERR_CORRUPT, "%s is no index of a pack", path);
    void *p = mmap(NULL, k->index_size, PROT_READ, MAP_PRIVATE, fd, 0);
    errnum = errno;
    if (p == MAP_FAILED)
        return err_set_errno(err, errnum, "read %s", path);
    k->index = p;
    k->n = be32(k->index + FANOUT_AT + 255 * 4);
    if (memcmp(k->index, "\377tOc\0\0\0\2", 8) != 0 ||
        k->index_size < OIDS_AT + SUMS_BYTES + k->n * (OID_BYTES + 8))
        return err_set(err, ERR_CORRUPT, "%s is no index of a pack", path);
    return true;
}

static bool pack_open(struct pack *k, const char *index, struct err *err)
{
    CLEANUP(str_freep) char *path = str_printf("%.*s.pack", (int)(strlen(index) - 4), index);
    struct stat st = {0};
    *k = (struct pack){.fd = open(path, O_RDONLY | O_CLOEXEC)};
    int errnum = errno;
    if (k->fd < 0 || fstat(k->fd, &st) != 0)
        return err_set_errno(err, errnum, "read %s", path);
    if (st.st_size < 12 + OID_BYTES)
        return err_set(err, ERR_CORRUPT, "%s is no pack", path);
    k->end = (uint64_t)st.st_size - OID_BYTES;
    if (!map_index(k, index, err))
        return false;
    k->places = mem_realloc(NULL, k->n + 1, sizeof(*k->places));
    for (size_t i = 0; i < k->n; i++) {
        k->places[i] = (struct place){.pos = (uint32_t)i};
        if (!offset_at(k, i, &k->places[i].at))
            return err_set(err, ERR_CORRUPT, "%s names places that its pack has not", index);
    }
    qsort(k->places, k->n, sizeof(*k->places), by_place);
    return true;
}

// ---- what is wanted ----
static int by_id(const void *a, const void *b)
{
    return git_oid_cmp(a, b); // first member of both
}

static struct chosen *find(const struct compose *c, const uint8_t *oid)
{
    return c->n ? bsearch(oid, c->v, c->n, sizeof(*c->v), by_id) : NULL;
}

// Both are sorted.
static bool choose_from(struct compose *c, uint32_t which, struct err *err)
{
    struct pack k;
    bool ok = pack_open(&k, c->packs.v[which], err);
    for (size_t i = 0, j = 0; ok && i < k.n && j < c->n;) {
        int d = memcmp(oid_at(&k, i), c->v[j].id.id, OID_BYTES);
        if (d == 0 && !c->v[j].pack)
            c->v[j].pack = which + 1;
        i += d <= 0;
        j += d >= 0;
    }
    pack_clear(&k);
    return ok;
}

static bool choose(struct compose *c, struct err *err)
{
    for (size_t i = 0; i < c->n; i++)
        c->v[i].pack = 0;
    for (uint32_t i = 0; i < c->packs.len; i++)
        if (!choose_from(c, i, err))
            return false;
    for (size_t i = 0; i < c->n; i++) {
        char hex[41];
        git_oid_tostr(hex, sizeof(hex), &c->v[i].id);
        if (!c->v[i].pack)
            return err_set(err, ERR_CORRUPT, "object %s is in no pack", hex);
    }
    return true;
}

// ---- entries ----
struct entry_head {
    uint8_t bytes[MAX_ENTRY_HEAD]; // type and size, as they are
    size_t len;                    // of these
    unsigned type;
    uint64_t base;       // ENTRY_OFS: where it lies
    const uint8_t *name; // a delta: of its base
    uint64_t data;       // where the compressed bytes begin
    uint8_t kept[OID_BYTES];
};

static struct place *place_at(const struct pack *k, uint64_t at)
{
    struct place key = {.at = at};
    return bsearch(&key, k->places, k->n, sizeof(*k->places), by_place);
}

static bool damaged(struct err *err)
{
    return err_set(err, ERR_CORRUPT, "a pack whose entries cannot be read");
}

// The way back to the base of an ENTRY_OFS, from p; 0: it cannot be read.
static size_t read_way(const uint8_t *p, size_t len, uint64_t *out)
{
    size_t i = 0;
    uint64_t v = p[0] & 0x7f;
    while (p[i] & 0x80) {
        if (++i >= len || i > 8)
            return 0;
        v = ((v + 1) << 7) | (p[i] & 0x7f);
    }
    *out = v;
    return i + 1;
}

static bool read_head(const struct pack *k, const struct place *x, struct entry_head *h,
                      struct err *err)
{
    uint8_t b[2 * MAX_ENTRY_HEAD] = {0};
    size_t want = k->end - x->at < sizeof(b) ? (size_t)(k->end - x->at) : sizeof(b);
    ssize_t n = pread(k->fd, b, want, (off_t)x->at);
    size_t i = 0;
    *h = (struct entry_head){0};
    if (n < 2)
        return damaged(err);
    h->type = b[0] >> 4 & 7;
    while (b[i] & 0x80)
        if (++i >= 12)
            return damaged(err);
    h->len = ++i;
    memcpy(h->bytes, b, i);
    if (h->type == ENTRY_OFS) {
        uint64_t way = 0;
        size_t used = read_way(b + i, sizeof(b) - i, &way);
        const struct place *base = used && way < x->at ? place_at(k, x->at - way) : NULL;
        if (!base)
            return damaged(err);
        h->base = base->at;
        h->name = oid_at(k, base->pos);
        i += used;
    } else if (h->type == ENTRY_REF) {
        memcpy(h->kept, b + i, OID_BYTES);
        h->name = h->kept;
        i += OID_BYTES;
    } else if (h->type < GIT_OBJECT_COMMIT || h->type > GIT_OBJECT_TAG) {
        return damaged(err);
    }
    h->data = x->at + i;
    return (ssize_t)i <= n || damaged(err);
}

// ---- what has to be made anew ----
struct loners {
    VEC(git_oid) v;
};

static bool find_loners(struct compose *c, uint32_t which, struct loners *out, struct err *err)
{
    struct pack k;
    bool ok = pack_open(&k, c->packs.v[which], err);
    for (size_t i = 0; ok && i < k.n; i++) {
        struct entry_head h;
        const struct chosen *x = find(c, oid_at(&k, k.places[i].pos));
        if (!x || x->pack != which + 1)
            continue;
        ok = read_head(&k, &k.places[i], &h, err);
        if (ok && h.name && !find(c, h.name))
            *vec_push(&out->v) = x->id;
    }
    pack_clear(&k);
    return ok;
}

struct feeding {
    struct git_proof *p;
    struct err *err;
};

static int feed(void *p, size_t len, void *ctx)
{
    struct feeding *f = ctx;
    return git_proof_add(f->p, p, len, f->err) ? 0 : -1;
}

static bool pack_loners(struct compose *c, const struct loners *l, struct err *err)
{
    git_packbuilder *pb = NULL;
    git_repository *r = NULL;
    struct feeding f = {c->p, err};
    char *index = NULL;
    if (!git_proof_repository(c->p, &r, err) || !git_proof_begin(c->p, err))
        return false;
    int rc = git_packbuilder_new(&pb, r);
    if (rc == 0)
        git_packbuilder_set_threads(pb, 1);
    for (size_t i = 0; rc == 0 && i < l->v.len; i++)
        rc = git_packbuilder_insert(pb, &l->v.v[i], NULL);
    if (rc == 0)
        rc = git_packbuilder_foreach(pb, feed, &f);
    git_packbuilder_free(pb);
    if (rc != 0 && !err_is_set(err))
        gitrepo_err(rc, err, "pack what stands on other objects");
    if (rc != 0 || !git_proof_end(c->p, &index, err))
        return false;
    struct strv before = c->packs;
    c->packs = (struct strv){0};
    strv_push_take(&c->packs, index); // the first: what is in it is taken from it
    for (size_t i = 0; i < before.len; i++)
        strv_push(&c->packs, before.v[i]);
    strv_clear(&before);
    return choose(c, err);
}

static bool settle_loners(struct compose *c, struct err *err)
{
    struct loners l = {0};
    bool ok = true;
    for (uint32_t i = 0; ok && i < c->packs.len; i++)
        ok = find_loners(c, i, &l, err);
    ok = ok && (!l.v.len || pack_loners(c, &l, err));
    vec_clear(&l.v);
    return ok;
}

// ---- writing ----
static bool flush(struct compose *c, struct err *err)
{
    bool ok = EVP_DigestUpdate(c->sum, c->out.p, c->out.len) == 1 ||
              err_set(err, ERR_INTERNAL, "SHA-1 of a pack");
    ok = ok && file_write_fd(c->fd, "the pack", c->out.p, c->out.len, err);
    buf_reset(&c->out);
    return ok;
}

static bool put(struct compose *c, const void *p, size_t len, struct err *err)
{
    buf_append(&c->out, p, len);
    c->written += len;
    return c->out.len < CHUNK || flush(c, err);
}

static size_t write_way(uint64_t way, uint8_t out[10])
{
    uint8_t b[10];
    size_t i = sizeof(b);
    b[--i] = way & 0x7f;
    while (way >>= 7)
        b[--i] = (uint8_t)(0x80 | (--way & 0x7f));
    memcpy(out, b + i, sizeof(b) - i);
    return sizeof(b) - i;
}

static bool copy_bytes(struct compose *c, const struct pack *k, uint64_t at, uint64_t end,
                       struct err *err)
{
    uint8_t chunk[16384];
    while (at < end) {
        size_t want = end - at < sizeof(chunk) ? (size_t)(end - at) : sizeof(chunk);
        ssize_t n = pread(k->fd, chunk, want, (off_t)at);
        int errnum = errno;
        if (n < 0 && errnum == EINTR)
            continue;
        if (n <= 0)
            return n ? err_set_errno(err, errnum, "read a pack") : damaged(err);
        if (!put(c, chunk, (size_t)n, err))
            return false;
        at += (uint64_t)n;
    }
    return true;
}

static bool copy_entry(struct compose *c, struct pack *k, struct place *x, uint64_t end,
                       struct err *err)
{
    struct entry_head h;
    uint8_t way[10];
    uint64_t here = c->written;
    if (!read_head(k, x, &h, err))
        return false;
    const struct place *base = h.type == ENTRY_OFS ? place_at(k, h.base) : NULL;
    bool is_near = base && base->out;
    unsigned type = h.name ? (is_near ? ENTRY_OFS : ENTRY_REF) : h.type;
    h.bytes[0] = (uint8_t)((h.bytes[0] & 0x8f) | type << 4);
    x->out = here;
    if (!put(c, h.bytes, h.len, err))
        return false;
    if (is_near && !put(c, way, write_way(here - base->out, way), err))
        return false;
    if (h.name && !is_near && !put(c, h.name, OID_BYTES, err))
        return false;
    return copy_bytes(c, k, h.data, end, err);
}

static bool copy_from(struct compose *c, uint32_t which, const struct loop *stop, struct err *err)
{
    struct pack k;
    bool ok = pack_open(&k, c->packs.v[which], err);
    for (size_t i = 0; ok && i < k.n; i++) {
        const struct chosen *x = find(c, oid_at(&k, k.places[i].pos));
        if (!x || x->pack != which + 1)
            continue;
        if (stop && loop_stopping(stop))
            ok = err_set(err, ERR_CANCELLED, "interrupted");
        ok = ok && copy_entry(c, &k, &k.places[i], i + 1 < k.n ? k.places[i + 1].at : k.end, err);
    }
    pack_clear(&k);
    return ok;
}

static bool write_all(struct compose *c, const struct loop *stop, struct err *err)
{
    uint8_t head[12] = {'P', 'A', 'C', 'K', 0, 0, 0, 2};
    uint8_t sum[EVP_MAX_MD_SIZE];
    for (int i = 0; i < 4; i++)
        head[8 + i] = (uint8_t)(c->n >> (24 - 8 * i));
    c->sum = EVP_MD_CTX_new();
    bool ok = EVP_DigestInit_ex(c->sum, EVP_sha1(), NULL) == 1 ||
              err_set(err, ERR_INTERNAL, "SHA-1 of a pack");
    ok = ok && put(c, head, sizeof(head), err);
    for (uint32_t i = 0; ok && i < c->packs.len; i++)
        ok = copy_from(c, i, stop, err);
    ok = ok && flush(c, err) &&
         (EVP_DigestFinal_ex(c->sum, sum, NULL) == 1 ||
          err_set(err, ERR_INTERNAL, "SHA-1 of a pack")) &&
         file_write_fd(c->fd, "the pack", sum, OID_BYTES, err);
    EVP_MD_CTX_free(c->sum);
    return ok;
}

bool git_proof_pack(struct git_proof *p, const struct strv *tips, const struct strv *less, int fd,
                    uint64_t *objects, struct err *err)
{
    struct compose c = {.p = p, .fd = fd};
    git_oid *ids = NULL;
    bool ok = git_proof_between(p, tips, less, &ids, &c.n, err);
    if (ok && c.n > UINT32_MAX)
        ok = err_set(err, ERR_INVALID, "more objects than a pack can hold");
    if (ok) {
        c.v = mem_realloc(NULL, c.n + 1, sizeof(*c.v));
        for (size_t i = 0; i < c.n; i++)
            c.v[i] = (struct chosen){.id = ids[i]};
        if (c.n)
            qsort(c.v, c.n, sizeof(*c.v), by_id);
        for (size_t i = 0; i < git_proof_used(p)->len; i++)
            strv_push(&c.packs, git_proof_used(p)->v[i]);
    }
    free(ids);
    ok = ok && choose(&c, err) && settle_loners(&c, err) && write_all(&c, git_proof_stop(p), err);
    *objects = c.n;
    strv_clear(&c.packs);
    buf_clear(&c.out);
    free(c.v);
    return ok;
}
