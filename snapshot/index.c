// SPDX-License-Identifier: Apache-2.0
#include "snapshot/index.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "snapshot/members.h"
#include "snapshot/zstream.h"

#define PREFIX "{\"type\":\"regrow index v1\","
#define PREFIX_ZSTD "{\"type\":\"regrow index v2\"," // its records are zstd frames
#define PREFIX_STREAM                                                                              \
    "{\"type\":\"regrow index v3\"," // and so is this line, the box behind it skipped
#define SALT_BYTES 16
#define BOX_EXTRA_BYTES (SALT_BYTES + TAG_BYTES)
#define RECORD_BYTES 24
#define LINE_MAX_BYTES (1U << 20) // 4,096 packs and 64 names take 480 KB
#define GIT_MAX 65535             // Git packs of one batch
#define COUNT_MAX 262144          // objects an application's record may claim

static const char *const sets[] = {"objects", "git"};
static const char *const classes[] = {"o", "f", "s", "g"};

void index_clear(struct index *i)
{
    free(i->chain);
    vec_clear(&i->over);
    vec_clear(&i->packs);
    vec_clear(&i->records);
    *i = (struct index){0};
}

#define COPY(from, to)                                                                             \
    do {                                                                                           \
        vec_reserve(to, (from)->len);                                                              \
        if ((from)->len)                                                                           \
            memcpy((to)->v, (from)->v, (from)->len * sizeof(*(to)->v));                            \
        (to)->len = (from)->len;                                                                   \
    } while (0)

void index_copy(const struct index *from, struct index *to)
{
    memcpy(to->repo, from->repo, sizeof(to->repo));
    to->chain = str_dup(from->chain);
    to->is_git = from->is_git;
    to->has_records = from->has_records;
    to->version = from->version;
    to->size = from->size;
    COPY(&from->over, &to->over);
    COPY(&from->packs, &to->packs);
    COPY(&from->records, &to->records);
}

// ---- what both sides must keep to ----

static int by_hash(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct sha256));
}

static bool has_twice(const struct sha256 *names, size_t n)
{
    struct sha256 *sorted = mem_realloc(NULL, n, sizeof(*sorted));
    if (n)
        memcpy(sorted, names, n * sizeof(*sorted));
    qsort(sorted, n, sizeof(*sorted), by_hash);
    bool is_twice = false;
    for (size_t i = 1; i < n; i++)
        is_twice |= sha256_eq(&sorted[i - 1], &sorted[i]);
    free(sorted);
    return is_twice;
}

static bool is_unique(const struct index *x)
{
    VEC(struct sha256) ids = {0};
    for (size_t i = 0; i < x->packs.len; i++)
        *vec_push(&ids) = x->packs.v[i].id;
    bool ok = !has_twice(ids.v, ids.len) && !has_twice(x->over.v, x->over.len);
    vec_clear(&ids);
    return ok;
}

static const char *wrong_pack(const struct index *x, const struct index_pack *p)
{
    if (p->size == 0 || p->size > PACK_MAX_BYTES)
        return "a pack out of its bounds";
    if ((p->class == 'g') != x->is_git)
        return "a pack of a class that is not of its set";
    if ((p->git >= 0) != x->is_git || p->git > GIT_MAX)
        return "a Git pack's number where none belongs, or none where one does";
    return NULL;
}

static const char *wrong_packs(const struct index *x)
{
    if (x->over.len > INDEX_MAX_OVER || x->packs.len > INDEX_MAX_PACKS)
        return "too many batches or packs";
    if (!is_unique(x))
        return "a name twice";
    for (size_t i = 0; i < x->packs.len; i++) {
        const char *why = wrong_pack(x, &x->packs.v[i]);
        if (why)
            return why;
        // Its pieces are read in the order in which they stand here.
        if (x->is_git && i > 0 && x->packs.v[i].git < x->packs.v[i - 1].git)
            return "Git packs out of order";
    }
    return NULL;
}

// A name's record: an application (or another list that must be found again), followed by its
// list's; or a Git tip.
static const char *wrong_name(const struct index *x, size_t i)
{
    const struct index_record *r = &x->records.v[i];
    const struct index_record *next = i + 1 < x->records.len ? r + 1 : NULL;
    if (r->kind != (x->is_git ? 't' : 'n') || r->pack != INDEX_NO_PACK)
        return "a record of a kind that does not belong here";
    if (r->kind == 't' ? r->len != 0 : r->len > COUNT_MAX)
        return "a record out of its bounds";
    if (r->kind == 'n' && (!next || next->kind != 'l'))
        return "a name without its list";
    return NULL;
}

static const char *wrong_records(const struct index *x)
{
    uint64_t content = 0; // of the pack the last record was in
    uint16_t pack = 0;
    for (size_t i = 0; i < x->records.len; i++) {
        const struct index_record *r = &x->records.v[i];
        if (!blob_kind_is_valid(r->kind)) {
            const char *why = wrong_name(x, i);
            if (why)
                return why;
            continue;
        }
        if (r->pack >= x->packs.len || r->pack < pack)
            return "a record out of order";
        if (blob_class(r->kind) != x->packs.v[r->pack].class)
            return "a record of a class that is not of its pack";
        content = r->pack == pack ? content + r->len : r->len;
        pack = r->pack;
        if (r->len == 0 || content > BLOB_MAX_BYTES)
            return "a record out of its bounds";
    }
    return NULL;
}

// ---- writing ----

static void write_hex(struct buf *b, const void *p, size_t len)
{
    CLEANUP(str_freep) char *hex = hex_encode(p, len);
    buf_str(b, hex);
}

static void write_line(const struct index *x, const char *prefix, size_t box, struct buf *out)
{
    buf_str(out, prefix);
    if (box)
        buf_printf(out, "\"box\":%zu,", box);
    buf_str(out, "\"repo\":\"");
    write_hex(out, x->repo, sizeof(x->repo));
    buf_printf(out, "\",\"chain\":\"%s\",\"set\":\"%s\",\"over\":[", x->chain, sets[x->is_git]);
    for (size_t i = 0; i < x->over.len; i++) {
        buf_str(out, i ? ",\"" : "\"");
        write_hex(out, x->over.v[i].b, sizeof(x->over.v[i].b));
        buf_char(out, '"');
    }
    buf_str(out, "],\"packs\":[");
    for (size_t i = 0; i < x->packs.len; i++) {
        const struct index_pack *p = &x->packs.v[i];
        buf_str(out, i ? ",{\"id\":\"" : "{\"id\":\"");
        write_hex(out, p->id.b, sizeof(p->id.b));
        buf_printf(out, "\",\"size\":%llu,\"class\":\"%c\"", (unsigned long long)p->size, p->class);
        if (p->git >= 0)
            buf_printf(out, ",\"git\":%d", p->git);
        buf_char(out, '}');
    }
    buf_str(out, "]}\n");
}

static void write_record(const struct index_record *r, struct buf *out)
{
    uint8_t b[RECORD_BYTES] = {0};
    memcpy(b, r->id.b, sizeof(r->id.b));
    for (unsigned i = 0; i < 4; i++)
        b[16 + i] = (uint8_t)(r->len >> 8 * i);
    b[20] = (uint8_t)r->pack;
    b[21] = (uint8_t)(r->pack >> 8);
    b[22] = (uint8_t)r->kind;
    buf_append(out, b, sizeof(b));
}

static const uint8_t nonce_zero[NONCE_BYTES]; // the key is used once

// Behind what out has from `from` on, which it is bound to.
static void seal_box(const struct chain_keys *k, size_t from, const struct buf *records,
                     struct buf *out)
{
    struct buf box CLEANUP(buf_clear) = {0};
    uint8_t salt[SALT_BYTES];
    uint8_t key[KEY_BYTES];
    crypto_random(salt, sizeof(salt));
    chain_index_key(k, salt, SALT_BYTES, key);
    aead_seal(key, nonce_zero, out->p + from, out->len - from, records->p, records->len, &box);
    crypto_wipe(key, sizeof(key));
    buf_append(out, salt, sizeof(salt));
    buf_append(out, box.p, box.len);
}

// Both give the length of the line.
static size_t write_plain(const struct index *i, const struct chain_keys *k,
                          const struct buf *records, struct buf *out)
{
    struct buf packed CLEANUP(buf_clear) = {0};
    size_t from = out->len;
    if (i->version == 2)
        zstream_rows(records->p, records->len, &packed);
    bool is_packed = packed.len && packed.len < records->len;
    write_line(i, is_packed ? PREFIX_ZSTD : PREFIX, 0, out);
    size_t line = out->len - from;
    seal_box(k, from, is_packed ? &packed : records, out);
    return line;
}

static size_t write_stream(const struct index *i, const struct chain_keys *k,
                           const struct buf *records, struct buf *out)
{
    struct buf line CLEANUP(buf_clear) = {0};
    struct buf packed CLEANUP(buf_clear) = {0};
    size_t from = out->len;
    zstream_rows(records->p, records->len, &packed);
    size_t box = packed.len + BOX_EXTRA_BYTES;
    write_line(i, PREFIX_STREAM, box, &line);
    zstream_rows(line.p, line.len, out);
    zstream_skip_header(box, out);
    seal_box(k, from, &packed, out);
    return line.len;
}

bool index_write(const struct index *i, const struct chain_keys *k, struct buf *out,
                 struct sha256 *name, struct err *err)
{
    struct buf records CLEANUP(buf_clear) = {0};
    const char *why = wrong_packs(i);
    if (!why)
        why = wrong_records(i);
    if (why)
        return err_set(err, ERR_INVALID, "an index with %s", why);
    for (size_t n = 0; n < i->records.len; n++)
        write_record(&i->records.v[n], &records);
    size_t from = out->len;
    size_t line = (i->version == 3 ? write_stream : write_plain)(i, k, &records, out);
    // Opened it must not be larger either.
    if (records.len > INDEX_MAX_BYTES - BOX_EXTRA_BYTES - line ||
        out->len - from > INDEX_MAX_BYTES) {
        out->len = from;
        return err_set(err, ERR_INVALID, "an index of %zu records, more than %u bytes",
                       i->records.len, INDEX_MAX_BYTES);
    }
    *name = sha256_of(out->p + from, out->len - from);
    return true;
}

// ---- reading ----

static void read_over(struct members *m, struct index *x)
{
    const json_t *over = member_array(m, "over", INDEX_MAX_OVER);
    for (size_t i = 0; i < json_array_size(over); i++)
        if (!hex_decode_lower(json_string_value(json_array_get(over, i)), vec_push(&x->over)->b,
                              sizeof(struct sha256)))
            member_bad(m, "over", "not a list of names");
}

static bool read_pack(const json_t *o, struct index_pack *p, struct err *err)
{
    struct members m = members_of(o, err);
    member_hex(&m, "id", p->id.b, sizeof(p->id.b));
    p->size = member_uint(&m, "size", 1, PACK_MAX_BYTES);
    p->class = classes[member_choice(&m, "class", classes, ARRAY_LEN(classes))][0];
    p->git = json_object_get(o, "git") ? (int)member_uint(&m, "git", 0, GIT_MAX) : -1;
    return !m.is_bad;
}

static bool read_members(const json_t *o, struct index *x, struct err *err)
{
    struct members m = members_of(o, err);
    member_hex(&m, "repo", x->repo, sizeof(x->repo));
    str_set(&x->chain, member_text(&m, "chain", 63));
    x->is_git = member_choice(&m, "set", sets, ARRAY_LEN(sets));
    read_over(&m, x);
    const json_t *packs = member_array(&m, "packs", INDEX_MAX_PACKS);
    for (size_t i = 0; !m.is_bad && i < json_array_size(packs); i++)
        if (!read_pack(json_array_get(packs, i), vec_push(&x->packs), err))
            return err_wrap(err, "pack %zu", i);
    return !m.is_bad;
}

// Where what lies, in a file or in what it opens to.
struct parts {
    unsigned version;
    struct buf opened; // the line of version 3
    const char *line;  // with its \n
    size_t line_len;
    const uint8_t *box; // bound to all that is before it
    size_t box_len;
};

static void parts_clear(struct parts *f)
{
    buf_clear(&f->opened);
}

static bool begins(const char *p, size_t len, const char *prefix)
{
    return len >= strlen(prefix) && !memcmp(p, prefix, strlen(prefix));
}

static bool split_stream(const char *p, size_t len, struct parts *f, struct err *err)
{
    struct zstream_tail tail;
    if (!zstream_open(p, len, LINE_MAX_BYTES, &f->opened, &tail, err))
        return false;
    f->version = 3;
    f->line = f->opened.p;
    f->line_len = f->opened.len;
    f->box = tail.p;
    f->box_len = tail.len;
    return (begins(f->line, f->line_len, PREFIX_STREAM) &&
            memchr(f->line, '\n', f->line_len) == f->line + f->line_len - 1) ||
           err_set(err, ERR_CORRUPT, "not an index of version 3");
}

static bool split_plain(const char *p, size_t len, struct parts *f, struct err *err)
{
    f->version = begins(p, len, PREFIX_ZSTD) ? 2 : 1;
    if (f->version == 1 && !begins(p, len, PREFIX))
        return err_set(err, ERR_CORRUPT, "not an index of version 1, 2 or 3");
    const char *end = memchr(p, '\n', len < LINE_MAX_BYTES ? len : LINE_MAX_BYTES);
    if (!end)
        return err_set(err, ERR_CORRUPT, "a line above %u bytes", LINE_MAX_BYTES);
    f->line = p;
    f->line_len = (size_t)(end + 1 - p);
    f->box = (const uint8_t *)end + 1;
    f->box_len = len - f->line_len;
    return true;
}

static bool split(const char *p, size_t len, struct parts *f, struct err *err)
{
    if (len > INDEX_MAX_BYTES)
        return err_set(err, ERR_CORRUPT, "%zu bytes, more than %u", len, INDEX_MAX_BYTES);
    if (!(len && *p != '{' ? split_stream : split_plain)(p, len, f, err))
        return false;
    if (f->box_len < BOX_EXTRA_BYTES ||
        (f->version == 1 && (f->box_len - BOX_EXTRA_BYTES) % RECORD_BYTES))
        return err_set(err, ERR_CORRUPT, "a box that is cut off");
    return true;
}

// By hand the box is found by its length: it has to be what it is.
static bool read_box_length(const json_t *o, const struct parts *f, struct err *err)
{
    struct members m = members_of(o, err);
    if (f->version == 3 && member_uint(&m, "box", 0, INDEX_MAX_BYTES) != f->box_len)
        member_bad(&m, "box", "not the length of what is skipped");
    return !m.is_bad;
}

static bool read_clear(const void *p, size_t len, const uint8_t repo[16], const char *chain,
                       struct index *out, struct parts *f, struct err *err)
{
    json_auto_t *o = NULL;
    if (!split(p, len, f, err) || !bounded_json(f->line, f->line_len, &o, err) ||
        !read_box_length(o, f, err) || !read_members(o, out, err))
        return false;
    if (memcmp(out->repo, repo, sizeof(out->repo)) || !str_eq(out->chain, chain))
        return err_set(err, ERR_CORRUPT, "of another repository or chain");
    const char *why = wrong_packs(out);
    out->size = len;
    out->version = f->version;
    return !why || err_set(err, ERR_CORRUPT, "%s", why);
}

bool index_read_clear(const void *p, size_t len, const uint8_t repo[16], const char *chain,
                      struct index *out, struct err *err)
{
    struct parts f CLEANUP(parts_clear) = {0};
    if (read_clear(p, len, repo, chain, out, &f, err))
        return true;
    index_clear(out);
    return err_wrap(err, "index");
}

static bool read_records(const struct buf *box, struct index *x, struct err *err)
{
    size_t n = box->len / RECORD_BYTES;
    vec_reserve(&x->records, n);
    for (size_t i = 0; i < n; i++) {
        const uint8_t *b = (const uint8_t *)box->p + i * RECORD_BYTES;
        struct index_record *r = vec_push(&x->records);
        memcpy(r->id.b, b, sizeof(r->id.b));
        r->len =
            (uint32_t)b[16] | (uint32_t)b[17] << 8 | (uint32_t)b[18] << 16 | (uint32_t)b[19] << 24;
        r->pack = (uint16_t)(b[20] | b[21] << 8);
        r->kind = (char)b[22];
        if (b[23])
            return err_set(err, ERR_CORRUPT, "a record with a reserved byte");
    }
    const char *why = wrong_records(x);
    x->has_records = true;
    return !why || err_set(err, ERR_CORRUPT, "%s", why);
}

// Frames of whole records, and nothing behind them. Of no records there is no frame, which is of
// version 3 alone.
static bool unpack(const struct buf *box, const struct parts *f, struct buf *records,
                   struct err *err)
{
    size_t max = INDEX_MAX_BYTES - BOX_EXTRA_BYTES - f->line_len;
    size_t used = 0;
    bool is_empty = f->version == 3 && !box->len;
    if (!is_empty && !zstream_frames(box->p, box->len, max, records, &used, err))
        return false;
    return (used == box->len && records->len % RECORD_BYTES == 0) ||
           err_set(err, ERR_CORRUPT, "a box that is cut off");
}

static bool open_box(const char *p, const struct parts *f, const struct chain_keys *k,
                     struct index *out, struct err *err)
{
    struct buf box CLEANUP(buf_clear) = {0};
    struct buf records CLEANUP(buf_clear) = {0};
    uint8_t key[KEY_BYTES];
    chain_index_key(k, f->box, SALT_BYTES, key);
    bool ok = aead_open(key, nonce_zero, p, (size_t)((const char *)f->box - p), f->box + SALT_BYTES,
                        f->box_len - SALT_BYTES, &box);
    crypto_wipe(key, sizeof(key));
    if (!ok)
        return err_set(err, ERR_CORRUPT, "the box does not open with this chain's key");
    if (f->version == 1)
        return read_records(&box, out, err);
    return unpack(&box, f, &records, err) && read_records(&records, out, err);
}

bool index_read(const void *p, size_t len, const uint8_t repo[16], const char *chain,
                const struct chain_keys *k, struct index *out, struct err *err)
{
    struct parts f CLEANUP(parts_clear) = {0};
    if (read_clear(p, len, repo, chain, out, &f, err) && open_box(p, &f, k, out, err))
        return true;
    index_clear(out);
    return err_wrap(err, "index");
}
