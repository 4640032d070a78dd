// SPDX-License-Identifier: Apache-2.0
#include "snapshot/pack.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "snapshot/zstream.h"

#define TABLE_MAGIC "RGT1"
#define TABLE_MAGIC_ZSTD "RGT2" // its rows are zstd frames
#define TABLE_HEADER_BYTES 8    // magic, count
#define TABLE_ROW_BYTES 5       // kind, length
#define SECRET_PADDING 4096

#define SMALL_BYTES (1U << 20)

// Measured: level 9 is where manifests stop shrinking at a bearable speed; level 19 takes another
// tenth off, at 2 MB/s, which a pack of what one commit changed is worth. Git packs are compressed
// already.
static int level_of(char class, size_t len)
{
    if (class == 'g')
        return 1;
    return class == 'o' && len <= SMALL_BYTES ? 19 : 9;
}

struct pack_builder {
    char class;
    bool may_zstd_rows;
    struct pack pack;
};

struct pack_builder *pack_builder_new(char class)
{
    assert(strchr("ofgs", class) && class);
    struct pack_builder *b = mem_alloc(sizeof(*b));
    b->class = class;
    return b;
}

void pack_builder_free(struct pack_builder *b)
{
    if (!b)
        return;
    pack_clear(&b->pack);
    free(b);
}

void pack_zstd_rows(struct pack_builder *b, bool may)
{
    b->may_zstd_rows = may;
}

bool pack_fits(const struct pack_builder *b, size_t len)
{
    return b->pack.entries.len < PACK_MAX_BLOBS && len <= BLOB_MAX_BYTES &&
           b->pack.content.len <= BLOB_MAX_BYTES - len;
}

size_t pack_content_bytes(const struct pack_builder *b)
{
    return b->pack.content.len;
}

void pack_add(struct pack_builder *b, char kind, const void *p, size_t len)
{
    assert(len > 0 && pack_fits(b, len) && blob_class(kind) == b->class);
    // Growing would leave copies of Secrets in freed memory.
    if (b->class == 's' && b->pack.content.len == 0)
        buf_reserve(&b->pack.content, BLOB_MAX_BYTES);
    buf_append(&b->pack.content, p, len);
    *vec_push(&b->pack.entries) = (struct pack_entry){.kind = kind, .len = (uint32_t)len};
}

void pack_clear(struct pack *p)
{
    buf_wipe(&p->content);
    buf_wipe(&p->stream);
    vec_clear(&p->entries);
}

// ---- sealing ----

// A frame for every object, so that no frame's length says what two of them have in common.
static void write_secret_frames(struct zstream_writer *w, const struct pack *p, struct buf *out)
{
    const char *at = p->content.p;
    buf_reserve(out, PACK_MAX_BYTES);
    for (size_t i = 0; i < p->entries.len; i++) {
        const char *end = at + p->entries.v[i].len;
        while (at < end) {
            const char *line = memchr(at, '\n', (size_t)(end - at));
            size_t len = (size_t)((line ? line + 1 : end) - at);
            zstream_frame(w, at, len, out);
            at += len;
        }
    }
}

static void append_u32(struct buf *b, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        buf_char(b, (char)(v >> 8 * i));
}

static void write_rows(const struct pack *p, struct buf *out)
{
    for (size_t i = 0; i < p->entries.len; i++) {
        buf_char(out, p->entries.v[i].kind);
        append_u32(out, p->entries.v[i].len);
    }
}

// The rows as they are, or compressed, whichever is shorter. Where zeros follow they stay as they
// are: nothing would be gained.
static void write_table(const struct pack_builder *b, const struct pack *p, struct buf *out)
{
    struct buf rows CLEANUP(buf_clear) = {0};
    struct buf packed CLEANUP(buf_clear) = {0};
    write_rows(p, &rows);
    if (b->may_zstd_rows && b->class != 's')
        zstream_rows(rows.p, rows.len, &packed);
    bool is_packed = packed.len && packed.len < rows.len;
    const struct buf *body = is_packed ? &packed : &rows;
    size_t len = TABLE_HEADER_BYTES + body->len;
    size_t whole = out->len + ZSTREAM_SKIP_HEADER_BYTES + len;
    size_t pad = b->class == 's' ? (SECRET_PADDING - whole % SECRET_PADDING) % SECRET_PADDING : 0;
    buf_reserve(out, ZSTREAM_SKIP_HEADER_BYTES + len + pad);
    zstream_skip_header(len + pad, out);
    buf_str(out, is_packed ? TABLE_MAGIC_ZSTD : TABLE_MAGIC);
    append_u32(out, (uint32_t)p->entries.len);
    buf_append(out, body->p, body->len);
    memset(out->p + out->len, 0, pad + 1);
    out->len += pad;
}

static void write_stream(const struct pack_builder *b, const struct pack *p, struct buf *out)
{
    CLEANUP(zstream_writer_freep)
    struct zstream_writer *w = zstream_writer_new(level_of(b->class, p->content.len));
    if (b->class == 's')
        write_secret_frames(w, p, out);
    else
        zstream_frame(w, p->content.p, p->content.len, out);
    write_table(b, p, out);
}

static bool is_same(const struct pack *a, const struct pack *b)
{
    if (a->content.len != b->content.len || a->entries.len != b->entries.len)
        return false;
    for (size_t i = 0; i < a->entries.len; i++)
        if (a->entries.v[i].kind != b->entries.v[i].kind ||
            a->entries.v[i].len != b->entries.v[i].len)
            return false;
    return !memcmp(a->content.p, b->content.p, a->content.len);
}

// Opens what was sealed as a reader would, only with the file key in place of the identity.
static bool check_sealed(const struct pack *p, const void *sealed, size_t len,
                         const uint8_t file_key[AGE_FILE_KEY_BYTES], struct err *err)
{
    struct buf stream CLEANUP(buf_wipe) = {0};
    struct pack again CLEANUP(pack_clear) = {0};
    bool ok = age_open_file_key(file_key, sealed, len, PACK_MAX_BYTES, &stream, err) &&
              pack_parse(stream.p, stream.len, &again, err);
    if (ok && is_same(p, &again))
        return true;
    CLEANUP(str_freep) char *why = ok ? NULL : str_dup(err->msg);
    err_clear(err);
    return err_set(err, ERR_INTERNAL, "a sealed pack does not open to what went in: %s",
                   why ? why : "other content");
}

static bool seal(const struct pack_builder *b, const struct pack *p,
                 const uint8_t recipient[KEY_BYTES], struct buf *out, struct err *err)
{
    struct buf stream CLEANUP(buf_wipe) = {0};
    uint8_t file_key[AGE_FILE_KEY_BYTES];
    uint8_t to[1][KEY_BYTES];
    size_t from = out->len;
    write_stream(b, p, &stream);
    memcpy(to[0], recipient, KEY_BYTES);
    if (!age_seal(to, 1, stream.p, stream.len, out, file_key, err))
        return false;
    size_t len = out->len - from;
    bool ok = len <= PACK_MAX_BYTES ? check_sealed(p, out->p + from, len, file_key, err)
                                    : err_set(err, ERR_INVALID, "a pack of %zu bytes, more than %u",
                                              len, PACK_MAX_BYTES);
    crypto_wipe(file_key, sizeof(file_key));
    return ok;
}

bool pack_seal(struct pack_builder *b, const uint8_t recipient[KEY_BYTES], struct buf *out,
               struct sha256 *name, struct err *err)
{
    struct pack p CLEANUP(pack_clear) = b->pack;
    size_t from = out->len;
    b->pack = (struct pack){0};
    assert(p.entries.len);
    if (!seal(b, &p, recipient, out, err)) {
        out->len = from;
        return false;
    }
    *name = sha256_of(out->p + from, out->len - from);
    return true;
}

// ---- opening ----

static uint32_t u32_at(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static bool read_row(const uint8_t *row, size_t left, struct pack_entry *e, struct err *err)
{
    e->kind = (char)row[0];
    e->len = u32_at(row + 1);
    if (!blob_kind_is_valid(e->kind))
        return err_set(err, ERR_CORRUPT, "a blob of unknown kind %u", row[0]);
    if (e->len == 0 || e->len > left)
        return err_set(err, ERR_CORRUPT, "the lengths in the table are not those of the content");
    return true;
}

static bool is_padding(const uint8_t *p, size_t len, size_t stream_len)
{
    if (len >= SECRET_PADDING || stream_len % SECRET_PADDING)
        return false;
    for (size_t i = 0; i < len; i++)
        if (p[i])
            return false;
    return true;
}

// The rows of a table, which are `count` of them; *used is how long they are as they lie there.
static bool open_rows(const struct zstream_tail *t, uint32_t count, struct buf *unpacked,
                      const uint8_t **rows, size_t *used, struct err *err)
{
    size_t want = (size_t)count * TABLE_ROW_BYTES;
    size_t room = t->len - TABLE_HEADER_BYTES;
    *rows = t->p + TABLE_HEADER_BYTES;
    *used = want;
    if (!memcmp(t->p, TABLE_MAGIC, 4))
        return want <= room || err_set(err, ERR_CORRUPT, "a table of %u blobs", count);
    if (!zstream_frames(*rows, room, want, unpacked, used, err))
        return err_wrap(err, "table");
    *rows = (const uint8_t *)unpacked->p;
    return unpacked->len == want || err_set(err, ERR_CORRUPT, "a table of %u blobs", count);
}

static bool read_rows(const uint8_t *rows, uint32_t count, struct pack *p, struct err *err)
{
    size_t left = p->content.len;
    vec_reserve(&p->entries, count);
    for (uint32_t i = 0; i < count; i++) {
        struct pack_entry *e = vec_push(&p->entries);
        if (!read_row(rows + (size_t)i * TABLE_ROW_BYTES, left, e, err))
            return false;
        if (blob_class(e->kind) != blob_class(p->entries.v[0].kind))
            return err_set(err, ERR_CORRUPT, "blobs of two classes in one pack");
        left -= e->len;
    }
    return !left ||
           err_set(err, ERR_CORRUPT, "the lengths in the table are not those of the content");
}

static bool read_table(const struct zstream_tail *t, size_t stream_len, struct pack *p,
                       struct err *err)
{
    struct buf unpacked CLEANUP(buf_clear) = {0};
    const uint8_t *rows;
    size_t used;
    if (t->len < TABLE_HEADER_BYTES ||
        (memcmp(t->p, TABLE_MAGIC, 4) && memcmp(t->p, TABLE_MAGIC_ZSTD, 4)))
        return err_set(err, ERR_CORRUPT, "no table behind the content");
    uint32_t count = u32_at(t->p + 4);
    if (count == 0 || count > PACK_MAX_BLOBS)
        return err_set(err, ERR_CORRUPT, "a table of %u blobs", count);
    if (!open_rows(t, count, &unpacked, &rows, &used, err) || !read_rows(rows, count, p, err))
        return false;
    used += TABLE_HEADER_BYTES;
    bool is_secret = blob_class(p->entries.v[0].kind) == 's';
    if (is_secret && unpacked.len)
        return err_set(err, ERR_CORRUPT, "a compressed table of Secrets");
    if (is_secret ? !is_padding(t->p + used, t->len - used, stream_len) : used != t->len)
        return err_set(err, ERR_CORRUPT, "wrong padding behind the table");
    return true;
}

static void reset(struct pack *p)
{
    if (p->entries.len && blob_class(p->entries.v[0].kind) == 's') {
        crypto_wipe(p->content.p, p->content.len); // growing would leave it behind
        crypto_wipe(p->stream.p, p->stream.len);
    }
    buf_reset(&p->content);
    buf_reset(&p->stream);
    p->entries.len = 0;
}

static bool parse(const void *p, size_t len, struct pack *out, struct err *err)
{
    struct zstream_tail tail;
    return zstream_open(p, len, BLOB_MAX_BYTES, &out->content, &tail, err) &&
           read_table(&tail, len, out, err);
}

static bool check_size(size_t len, struct err *err)
{
    return len <= PACK_MAX_BYTES ||
           err_set(err, ERR_CORRUPT, "a pack of %zu bytes, more than %u", len, PACK_MAX_BYTES);
}

bool pack_parse(const void *p, size_t len, struct pack *out, struct err *err)
{
    reset(out);
    if (check_size(len, err) && parse(p, len, out, err))
        return true;
    pack_clear(out);
    return false;
}

bool pack_open(const struct age_keys *keys, const void *p, size_t len, struct pack *out,
               struct err *err)
{
    reset(out);
    // Whoever made a pack readable to somebody else too did not make it as the format says.
    if (check_size(len, err) && age_check_single(p, len, err) &&
        age_open(keys, p, len, PACK_MAX_BYTES, &out->stream, err) &&
        parse(out->stream.p, out->stream.len, out, err))
        return true;
    pack_clear(out);
    return false;
}
