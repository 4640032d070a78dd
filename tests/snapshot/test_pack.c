// SPDX-License-Identifier: Apache-2.0
//
// Blobs and packs. The vectors were written by another program from the specification, with the
// programs age and zstd; test_interop.sh goes the other way.
#include "snapshot/pack.h"

#include <zstd.h>

#include "snapshot/zstream.h"
#include "tests/snapshot/chain.h"
#include "tests/snapshot/vectors.h"
#include "tests/test.h"

#define OBJECT_A                                                                                   \
    "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\",\"namespace\":"    \
    "\"web\"}}\n"
#define LIST "{\"name\":\"web\",\"objects\":[],\"type\":\"regrow application v1\"}\n"
#define ROOT "{\"name\":\"root\",\"shards\":{\"blobs\":[]},\"type\":\"regrow root v1\"}\n"
#define SECRET_LINE(from, name)                                                                    \
    "{\"from\":\"" from "\",\"object\":{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":"   \
    "{\"name\":\"" name "\"}}}\n"
#define POOL SECRET_LINE("desired", "a") SECRET_LINE("live", "b")
#define TLS SECRET_LINE("live", "tls")

static void ids(void **s)
{
    (void)s;
    struct test_chain c CLEANUP(test_chain_clear) = {0};
    test_chain_init(&c);
    uint8_t piece[1000];
    struct fixed_random random = {.seed = "piece"};
    fixed_random_fn(&random, piece, sizeof(piece));
    const struct {
        char kind;
        const void *p;
        size_t len;
        const char *id;
    } rows[] = {
        {'r', ROOT, strlen(ROOT), "99a949f3277520529e317060af08ca39"},
        {'l', LIST, strlen(LIST), "37741dd770f5889cc13864a343b66e2a"},
        {'o', OBJECT_A, strlen(OBJECT_A), "2336f7ccb1da00c82fa903b5f2064bf9"},
        {'f', piece, sizeof(piece), "ad4e4c30da8da939ea6b4e8a6cea4af2"},
        {'k', TLS, strlen(TLS), "c58f6e65290a9bc3c831f6572f3daefc"},
        {'s', POOL, strlen(POOL), "bed8626e30ba4cee24af068ca07ae9dd"},
        {'n', "web", 3, "019624e3add38d6d4498f90da697ef66"},
        {'t', "0123456789abcdef0123456789abcdef01234567", 40, "9bb748567a49fcee8f1e99c9b1316fc5"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct blob_id id = blob_name(c.namer, rows[i].kind, rows[i].p, rows[i].len);
        struct blob_id back;
        char hex[33];
        blob_id_hex(&id, hex);
        assert_string_equal(hex, rows[i].id);
        assert_true(blob_id_parse(hex, &back));
        assert_true(blob_id_eq(&id, &back));
    }
}

static void ids_as_text(void **s)
{
    (void)s;
    struct blob_id id;
    assert_false(blob_id_parse(NULL, &id));
    assert_false(blob_id_parse("", &id));
    assert_false(blob_id_parse("99a949f3277520529e317060af08ca3", &id));
    assert_false(blob_id_parse("99a949f3277520529e317060af08ca399", &id));
    assert_false(blob_id_parse("99A949F3277520529E317060AF08CA39", &id));
    assert_false(blob_id_parse("99a949f3277520529e317060af08ca3g", &id));
}

static void classes(void **s)
{
    (void)s;
    const char rows[][2] = {{'r', 'o'}, {'l', 'o'}, {'o', 'o'}, {'f', 'f'}, {'g', 'g'},
                            {'k', 's'}, {'s', 's'}, {'n', 0},   {'t', 0},   {0, 0},
                            {'O', 0},   {'x', 0},   {'\n', 0},  {-1, 0}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(blob_class(rows[i][0]), rows[i][1]);
        assert_int_equal(blob_kind_is_valid(rows[i][0]), rows[i][1] != 0);
    }
}

static void assert_entry(const struct pack *p, size_t i, char kind, size_t len)
{
    assert_true(i < p->entries.len);
    assert_int_equal(p->entries.v[i].kind, kind);
    assert_int_equal(p->entries.v[i].len, len);
}

static void vectors(void **s)
{
    (void)s;
    struct test_chain c CLEANUP(test_chain_clear) = {0};
    test_chain_init(&c);
    const struct {
        const char *name;
        const char *kinds; // in order
        const char *begins;
    } rows[] = {
        {"format/pack-o", "oolr", OBJECT_A},
        {"format/pack-f", "f", NULL},
        {"format/pack-g", "g", "PACK"},
        {"format/pack-s", "ks", TLS POOL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf b CLEANUP(buf_clear) = {0};
        struct pack p CLEANUP(pack_clear) = {0};
        struct err err = {0};
        vector_read(rows[i].name, &b);
        if (!pack_open(&c.keys, b.p, b.len, &p, &err))
            fail_msg("%s: %s", rows[i].name, err.msg);
        assert_int_equal(p.entries.len, strlen(rows[i].kinds));
        for (size_t k = 0; k < p.entries.len; k++)
            assert_int_equal(p.entries.v[k].kind, rows[i].kinds[k]);
        if (rows[i].begins)
            assert_memory_equal(p.content.p, rows[i].begins, strlen(rows[i].begins));
    }
}

// ---- our own ----

static void seal(struct test_chain *c, struct pack_builder *b, struct buf *out)
{
    struct err err = {0};
    struct sha256 name;
    size_t from = out->len;
    if (!pack_seal(b, c->identity.public, out, &name, &err))
        fail_msg("%s", err.msg);
    struct sha256 hash = sha256_of(out->p + from, out->len - from);
    assert_true(sha256_eq(&name, &hash));
    assert_int_equal(pack_content_bytes(b), 0);
}

static void open_sealed(struct test_chain *c, const struct buf *b, struct pack *out)
{
    struct err err = {0};
    if (!pack_open(&c->keys, b->p, b->len, out, &err))
        fail_msg("%s", err.msg);
}

static void there_and_back(void **s)
{
    (void)s;
    struct test_chain c CLEANUP(test_chain_clear) = {0};
    test_chain_init(&c);
    const char *const kinds[] = {"rlo", "f", "g", "ks", "rlo", "ks"};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct buf sealed CLEANUP(buf_clear) = {0};
        struct pack p CLEANUP(pack_clear) = {0};
        CLEANUP(pack_builder_freep)
        struct pack_builder *b = pack_builder_new(blob_class(kinds[i][0]));
        pack_zstd_rows(b, i > 3);
        buf_str(&sealed, "kept");                      // appended to
        for (unsigned round = 0; round < 2; round++) { // a builder is used again
            sealed.len = 4;
            pack_clear(&p);
            for (unsigned k = 0; k < 500; k++) {
                CLEANUP(str_freep) char *text = str_printf("{\"n\":%u,\"r\":%u}\n", k, round);
                pack_add(b, kinds[i][k % strlen(kinds[i])], text, strlen(text));
            }
            seal(&c, b, &sealed);
            assert_memory_equal(sealed.p, "kept", 4);
            struct buf own = {.p = sealed.p + 4, .len = sealed.len - 4};
            open_sealed(&c, &own, &p);
            assert_int_equal(p.entries.len, 500);
            assert_entry(&p, 0, kinds[i][0], strlen("{\"n\":0,\"r\":0}\n"));
            assert_entry(&p, 499, kinds[i][499 % strlen(kinds[i])],
                         strlen("{\"n\":499,\"r\":0}\n"));
        }
    }
}

// The memory of a pack is used again, whatever was in it before.
static void opened_again(void **s)
{
    (void)s;
    struct test_chain c CLEANUP(test_chain_clear) = {0};
    test_chain_init(&c);
    struct pack p CLEANUP(pack_clear) = {0};
    static const char *const names[] = {"format/pack-s", "format/pack-o", "format/pack-g",
                                        "format/pack-f", "format/pack-s"};
    static const size_t blobs[] = {2, 4, 1, 1, 2};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct buf b CLEANUP(buf_clear) = {0};
        struct err err = {0};
        vector_read(names[i], &b);
        open_sealed(&c, &b, &p);
        assert_int_equal(p.entries.len, blobs[i]);
        size_t sum = 0;
        for (size_t k = 0; k < p.entries.len; k++)
            sum += p.entries.v[k].len;
        assert_int_equal(p.content.len, sum);
        if (i == 2) { // nothing is left of it by one that does not open
            b.p[b.len - 1] ^= 1;
            assert_false(pack_open(&c.keys, b.p, b.len, &p, &err));
            assert_int_equal(p.content.len, 0);
            assert_int_equal(p.entries.len, 0);
            err_clear(&err);
        }
    }
    assert_memory_equal(p.content.p, TLS POOL, strlen(TLS POOL));
}

// Every object of a pool is a frame of its own, and the length says less than it could.
static void secrets_share_no_context(void **s)
{
    (void)s;
    struct test_chain c CLEANUP(test_chain_clear) = {0};
    test_chain_init(&c);
    struct buf sealed CLEANUP(buf_clear) = {0};
    struct buf stream CLEANUP(buf_clear) = {0};
    struct err err = {0};
    CLEANUP(pack_builder_freep) struct pack_builder *b = pack_builder_new('s');
    pack_add(b, 'k', TLS, strlen(TLS));
    pack_add(b, 's', POOL POOL "no line end", strlen(POOL POOL "no line end"));
    seal(&c, b, &sealed);
    assert_true(age_open(&c.keys, sealed.p, sealed.len, PACK_MAX_BYTES, &stream, &err));
    assert_int_equal(stream.len % 4096, 0);
    const size_t want[] = {strlen(TLS),
                           strlen(SECRET_LINE("desired", "a")),
                           strlen(SECRET_LINE("live", "b")),
                           strlen(SECRET_LINE("desired", "a")),
                           strlen(SECRET_LINE("live", "b")),
                           strlen("no line end")};
    size_t at = 0;
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_int_equal(ZSTD_getFrameContentSize(stream.p + at, stream.len - at), want[i]);
        at += ZSTD_findFrameCompressedSize(stream.p + at, stream.len - at);
    }
    assert_memory_equal(stream.p + at, "\x50\x2a\x4d\x18", 4);
    // Lengths of the sealed file are those of whole pages, whatever the Secret.
    size_t before = sealed.len;
    sealed.len = 0;
    pack_add(b, 's', "{\"a\":\"longer than it was, by some\"}\n", 36);
    seal(&c, b, &sealed);
    assert_int_equal(sealed.len, before);
}

// One frame each, so that `zstd -l` and the window tell the same of every pack.
static void one_frame(void **s)
{
    (void)s;
    struct test_chain c CLEANUP(test_chain_clear) = {0};
    test_chain_init(&c);
    for (const char *class = "ofg"; *class; class ++) {
        struct buf sealed CLEANUP(buf_clear) = {0};
        struct buf stream CLEANUP(buf_clear) = {0};
        struct err err = {0};
        CLEANUP(pack_builder_freep) struct pack_builder *b = pack_builder_new(*class);
        pack_add(b, *class, "one\n", 4);
        pack_add(b, *class, "two\n", 4);
        seal(&c, b, &sealed);
        assert_true(age_open(&c.keys, sealed.p, sealed.len, PACK_MAX_BYTES, &stream, &err));
        size_t n = ZSTD_findFrameCompressedSize(stream.p, stream.len);
        assert_int_equal(ZSTD_getFrameContentSize(stream.p, stream.len), 8);
        assert_memory_equal(stream.p + n, "\x50\x2a\x4d\x18", 4);
        assert_int_equal(stream.len - n, 8 + 8 + 2 * 5); // no padding
    }
}

static void fits_to_the_last_byte(void **s)
{
    (void)s;
    struct test_chain c CLEANUP(test_chain_clear) = {0};
    test_chain_init(&c);
    struct buf sealed CLEANUP(buf_clear) = {0};
    struct pack p CLEANUP(pack_clear) = {0};
    CLEANUP(str_freep) char *noise = mem_alloc(BLOB_MAX_BYTES);
    crypto_random(noise, BLOB_MAX_BYTES);
    CLEANUP(pack_builder_freep) struct pack_builder *b = pack_builder_new('g');
    assert_false(pack_fits(b, BLOB_MAX_BYTES + 1));
    assert_true(pack_fits(b, BLOB_MAX_BYTES));
    pack_add(b, 'g', noise, BLOB_MAX_BYTES - 1);
    assert_true(pack_fits(b, 1));
    assert_false(pack_fits(b, 2));
    pack_add(b, 'g', noise, 1);
    assert_false(pack_fits(b, 1));
    seal(&c, b, &sealed);
    assert_in_range(sealed.len, BLOB_MAX_BYTES, PACK_MAX_BYTES);
    open_sealed(&c, &sealed, &p);
    assert_int_equal(p.content.len, BLOB_MAX_BYTES);
    assert_memory_equal(p.content.p, noise, BLOB_MAX_BYTES - 1);
}

static void as_many_as_fit(void **s)
{
    (void)s;
    struct test_chain c CLEANUP(test_chain_clear) = {0};
    test_chain_init(&c);
    struct buf sealed CLEANUP(buf_clear) = {0};
    struct pack p CLEANUP(pack_clear) = {0};
    CLEANUP(pack_builder_freep) struct pack_builder *b = pack_builder_new('f');
    for (unsigned i = 0; i < PACK_MAX_BLOBS; i++) {
        assert_true(pack_fits(b, 1));
        pack_add(b, 'f', "x", 1);
    }
    assert_false(pack_fits(b, 1));
    seal(&c, b, &sealed);
    open_sealed(&c, &sealed, &p);
    assert_int_equal(p.entries.len, PACK_MAX_BLOBS);
}

// A frame a line: what fits by content may not fit sealed, and is refused, not named.
static void too_many_tiny_secrets(void **s)
{
    (void)s;
    struct test_chain c CLEANUP(test_chain_clear) = {0};
    test_chain_init(&c);
    struct buf sealed CLEANUP(buf_clear) = {0};
    struct sha256 name;
    struct err err = {0};
    size_t len = BLOB_MAX_BYTES;
    CLEANUP(str_freep) char *lines = mem_alloc(len);
    crypto_random(lines, len);
    for (size_t i = 0; i < len; i++)
        lines[i] = i % 30 == 29 ? '\n' : (char)(lines[i] | 0x80);
    CLEANUP(pack_builder_freep) struct pack_builder *b = pack_builder_new('s');
    pack_add(b, 's', lines, len);
    assert_false(pack_seal(b, c.identity.public, &sealed, &name, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    assert_int_equal(sealed.len, 0);
    assert_int_equal(pack_content_bytes(b), 0);
    err_clear(&err);
}

static void no_recipient(void **s)
{
    (void)s;
    struct buf sealed CLEANUP(buf_clear) = {0};
    struct sha256 name;
    struct err err = {0};
    const uint8_t zero[KEY_BYTES] = {0};
    CLEANUP(pack_builder_freep) struct pack_builder *b = pack_builder_new('o');
    pack_add(b, 'o', "x", 1);
    assert_false(pack_seal(b, zero, &sealed, &name, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    assert_int_equal(pack_content_bytes(b), 0);
    err_clear(&err);
}

// ---- hostile ones ----

static enum err_kind open_kind(const struct age_keys *keys, const void *p, size_t len)
{
    struct pack out CLEANUP(pack_clear) = {0};
    struct err err = {0};
    bool ok = pack_open(keys, p, len, &out, &err);
    enum err_kind kind = ok ? ERR_NONE : err.kind;
    if (!ok) {
        assert_null(out.content.p);
        assert_null(out.entries.v);
    }
    err_clear(&err);
    return kind;
}

static void any_byte_changed(void **s)
{
    (void)s;
    struct test_chain c CLEANUP(test_chain_clear) = {0};
    test_chain_init(&c);
    struct buf sealed CLEANUP(buf_clear) = {0};
    CLEANUP(pack_builder_freep) struct pack_builder *b = pack_builder_new('o');
    pack_add(b, 'o', OBJECT_A, strlen(OBJECT_A));
    seal(&c, b, &sealed);
    for (size_t i = 0; i < sealed.len; i++) {
        sealed.p[i] = (char)(sealed.p[i] ^ 1 << i % 8);
        enum err_kind k = open_kind(&c.keys, sealed.p, sealed.len);
        assert_true(k == ERR_CORRUPT || k == ERR_DENIED);
        sealed.p[i] = (char)(sealed.p[i] ^ 1 << i % 8);
    }
    for (size_t len = 0; len < sealed.len; len++) {
        enum err_kind k = open_kind(&c.keys, sealed.p, len);
        assert_true(k == ERR_CORRUPT || k == ERR_DENIED);
    }
    buf_char(&sealed, 0);
    assert_int_equal(open_kind(&c.keys, sealed.p, sealed.len), ERR_CORRUPT);
    CLEANUP(str_freep) char *large = mem_alloc(PACK_MAX_BYTES + 1);
    assert_int_equal(open_kind(&c.keys, large, PACK_MAX_BYTES + 1), ERR_CORRUPT);
}

static void another_identity(void **s)
{
    (void)s;
    struct test_chain c CLEANUP(test_chain_clear) = {0};
    test_chain_init(&c);
    struct age_identities others CLEANUP(age_identities_clear) = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    age_identity_new(vec_push(&others.v));
    vector_read("format/pack-o", &b);
    struct age_keys keys = {.identities = &others};
    assert_int_equal(open_kind(&keys, b.p, b.len), ERR_DENIED);
}

// Opens for whoever made it so too: not a pack.
static void second_recipient(void **s)
{
    (void)s;
    struct test_chain c CLEANUP(test_chain_clear) = {0};
    test_chain_init(&c);
    struct buf sealed CLEANUP(buf_clear) = {0};
    struct buf stream CLEANUP(buf_clear) = {0};
    struct buf again CLEANUP(buf_clear) = {0};
    struct err err = {0};
    struct age_identity other;
    uint8_t both[2][KEY_BYTES];
    CLEANUP(pack_builder_freep) struct pack_builder *b = pack_builder_new('o');
    age_identity_new(&other);
    memcpy(both[0], c.identity.public, KEY_BYTES);
    memcpy(both[1], other.public, KEY_BYTES);
    pack_add(b, 'o', OBJECT_A, strlen(OBJECT_A));
    seal(&c, b, &sealed);
    assert_true(age_open(&c.keys, sealed.p, sealed.len, PACK_MAX_BYTES, &stream, &err));
    for (size_t n = 1; n <= 2; n++) {
        buf_reset(&again);
        assert_true(age_seal(both, n, stream.p, stream.len, &again, NULL, &err));
        struct pack p = {0};
        bool ok = pack_open(&c.keys, again.p, again.len, &p, &err);
        assert_int_equal(ok, n == 1);
        assert_true(ok || err.kind == ERR_CORRUPT);
        err_clear(&err);
        pack_clear(&p);
    }
}

// A stream made by hand: frames of what is given, then a table.
struct stream {
    struct buf b;
    struct buf table;
};

static void stream_clear(struct stream *x)
{
    buf_clear(&x->b);
    buf_clear(&x->table);
}

static void frame(struct stream *x, const char *content)
{
    CLEANUP(zstream_writer_freep) struct zstream_writer *w = zstream_writer_new(3);
    zstream_frame(w, content, strlen(content), &x->b);
}

static void u32(struct buf *b, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        buf_char(b, (char)(v >> 8 * i));
}

static void table(struct stream *x, uint32_t count)
{
    x->table.len = 0;
    buf_str(&x->table, "RGT1");
    u32(&x->table, count);
}

static void row(struct stream *x, char kind, uint32_t len)
{
    buf_char(&x->table, kind);
    u32(&x->table, len);
}

static void end(struct stream *x)
{
    zstream_skip_header(x->table.len, &x->b);
    buf_append(&x->b, x->table.p, x->table.len);
}

static void assert_parse(const struct buf *b, const char *why)
{
    struct pack p CLEANUP(pack_clear) = {0};
    struct err err = {0};
    bool ok = pack_parse(b->p, b->len, &p, &err);
    if (why && ok)
        fail_msg("taken, and not refused for: %s", why);
    if (!why && !ok)
        fail_msg("%s", err.msg);
    if (why && !strstr(err.msg, why))
        fail_msg("refused for \"%s\", not for \"%s\"", err.msg, why);
    if (why)
        assert_int_equal(err.kind, ERR_CORRUPT);
    err_clear(&err);
}

static void tables(void **s)
{
    (void)s;
    const struct {
        const char *why; // NULL: fine
        uint32_t count;
        const char *kinds;
        uint32_t lens[4];
        const char *rest;
    } rows[] = {
        {NULL, 2, "oo", {3, 3}, ""},
        {NULL, 3, "rlo", {1, 2, 3}, ""},
        {NULL, 1, "g", {6}, ""},
        {"a table of 0", 0, "", {0}, ""},
        {"not those of the content", 2, "oo", {3, 2}, ""},
        {"not those of the content", 2, "oo", {3, 4}, ""},
        {"not those of the content", 2, "oo", {6, 0}, ""},
        {"not those of the content", 2, "oo", {7, 0xffffffff}, ""},
        {"a table of 3", 3, "oo", {3, 3}, ""},
        {"a table of 262145", 262145, "oo", {3, 3}, ""},
        {"a table of 4294967295", 0xffffffff, "oo", {3, 3}, ""},
        {"unknown kind", 2, "ox", {3, 3}, ""},
        {"unknown kind", 2, "on", {3, 3}, ""},
        {"two classes", 2, "of", {3, 3}, ""},
        {"two classes", 2, "sg", {3, 3}, ""},
        {"padding", 2, "oo", {3, 3}, "\1"},
        {"padding", 2, "ks", {3, 3}, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct stream x CLEANUP(stream_clear) = {0};
        frame(&x, "abc");
        frame(&x, "def");
        table(&x, rows[i].count);
        for (size_t k = 0; k < strlen(rows[i].kinds); k++)
            row(&x, rows[i].kinds[k], rows[i].lens[k]);
        buf_str(&x.table, rows[i].rest);
        end(&x);
        assert_parse(&x.b, rows[i].why);
    }
}

static size_t sealed_len(struct test_chain *c, unsigned n, bool may)
{
    struct buf sealed CLEANUP(buf_clear) = {0};
    CLEANUP(pack_builder_freep) struct pack_builder *b = pack_builder_new('o');
    pack_zstd_rows(b, may);
    for (unsigned i = 0; i < n; i++)
        pack_add(b, 'o', "{}\n", 3);
    seal(c, b, &sealed);
    return sealed.len;
}

static void compressed_where_that_is_shorter(void **s)
{
    (void)s;
    struct test_chain c CLEANUP(test_chain_clear) = {0};
    test_chain_init(&c);
    assert_int_equal(sealed_len(&c, 1, true), sealed_len(&c, 1, false));
    assert_true(sealed_len(&c, 300, true) + 1400 < sealed_len(&c, 300, false));
}

// Tables of frames as a hostile writer may make them.
static void compressed_tables(void **s)
{
    (void)s;
    static const struct {
        const char *why; // NULL: fine
        uint32_t count;
        const char *rows;
        size_t len, less;
        const char *rest;
    } rows[] = {
        {NULL, 2, "o\3\0\0\0o\3\0\0\0", 10, 0, ""},
        {NULL, 3, "o\2\0\0\0o\2\0\0\0o\2\0\0\0", 15, 0, ""},
        {"a table of 3", 3, "o\3\0\0\0o\3\0\0\0", 10, 0, ""},
        {"more than 5 bytes", 1, "o\3\0\0\0o\3\0\0\0", 10, 0, ""},
        {"not those of the content", 2, "o\3\0\0\0o\4\0\0\0", 10, 0, ""},
        {"cut off", 2, "o\3\0\0\0o\3\0\0\0", 10, 1, ""},
        {"not a zstd stream", 1, "", 0, 0, "o\6\0\0\0"},
        {"padding", 2, "o\3\0\0\0o\3\0\0\0", 10, 0, "\1"},
        {"compressed table of Secrets", 2, "k\3\0\0\0s\3\0\0\0", 10, 0, ""},
        {"a table of 262145", 262145, "o\3\0\0\0o\3\0\0\0", 10, 0, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct stream x CLEANUP(stream_clear) = {0};
        frame(&x, "abcdef");
        table(&x, rows[i].count);
        x.table.p[3] = '2';
        zstream_rows(rows[i].rows, rows[i].len, &x.table);
        x.table.len -= rows[i].less;
        buf_str(&x.table, rows[i].rest);
        end(&x);
        assert_parse(&x.b, rows[i].why);
    }
}

static void padding(void **s)
{
    (void)s;
    const struct {
        const char *why;
        char kind;
        size_t whole; // of the stream
        char byte;
    } rows[] = {
        {NULL, 's', 4096, 0},      {"padding", 's', 8192, 0}, // a page too many
        {"padding", 's', 4095, 0}, {"padding", 's', 4097, 0},
        {"padding", 's', 4096, 1}, {"padding", 'o', 4096, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct stream x CLEANUP(stream_clear) = {0};
        frame(&x, "abc");
        table(&x, 1);
        row(&x, rows[i].kind, 3);
        while (x.b.len + 8 + x.table.len < rows[i].whole)
            buf_char(&x.table, 0);
        x.table.p[x.table.len - 1] = rows[i].byte;
        end(&x);
        assert_parse(&x.b, rows[i].why);
    }
}

static void what_ends_a_stream(void **s)
{
    (void)s;
    struct stream x CLEANUP(stream_clear) = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    assert_parse(&b, "not a zstd stream");
    frame(&x, "abc");
    assert_parse(&x.b, "no table");
    table(&x, 1);
    row(&x, 'o', 3);
    size_t frames = x.b.len;
    end(&x);
    assert_parse(&x.b, NULL);
    buf_append(&b, x.b.p, x.b.len);
    buf_char(&b, 0);
    assert_parse(&b, "not the rest");
    b.len = x.b.len - 1;
    assert_parse(&b, "not the rest");
    b.len = frames + 7;
    assert_parse(&b, "no table");
    b.len = 0; // only a table
    buf_append(&b, x.b.p + frames, x.b.len - frames);
    assert_parse(&b, "not a zstd stream");
    b.len = 0; // a table in front
    buf_append(&b, x.b.p + frames, x.b.len - frames);
    buf_append(&b, x.b.p, x.b.len);
    assert_parse(&b, "not a zstd stream");
    b.len = 0; // two
    buf_append(&b, x.b.p, x.b.len);
    buf_append(&b, x.b.p + frames, x.b.len - frames);
    assert_parse(&b, "not the rest");
    b.len = 0; // frames behind it
    buf_append(&b, x.b.p, x.b.len);
    buf_append(&b, x.b.p, x.b.len);
    assert_parse(&b, "not the rest");
    x.b.p[frames] = 0x51; // another skippable frame
    assert_parse(&x.b, "no table");
    x.b.p[frames] = 0x50;
    x.b.p[frames + 8] = 'r';
    assert_parse(&x.b, "no table");
    CLEANUP(str_freep) char *large = mem_alloc(PACK_MAX_BYTES + 1);
    struct buf l = {.p = large, .len = PACK_MAX_BYTES + 1};
    assert_parse(&l, "more than");
}

// Compresses with other settings than ours.
static void stock_frame(struct buf *out, ZSTD_cParameter p, int value, const char *content)
{
    ZSTD_CCtx *ctx = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(ctx, p, value);
    char room[512];
    size_t n = ZSTD_compress2(ctx, room, sizeof(room), content, strlen(content));
    assert_false(ZSTD_isError(n));
    ZSTD_freeCCtx(ctx);
    buf_append(out, room, n);
}

static void bytes_frame(struct buf *out, const char *bytes, size_t len)
{
    buf_append(out, "\x28\xb5\x2f\xfd", 4);
    buf_append(out, bytes, len);
}

#define RAW_ABC "\x19\0\0abc" // last block, raw, 3 bytes

static void frames(void **s)
{
    (void)s;
    static const struct {
        const char *why; // NULL: fine
        const char *bytes;
        size_t len;
    } rows[] = {
        {NULL, "\x20\x03" RAW_ABC, 8},
        {NULL, "\x30\x03" RAW_ABC, 8},                // the unused bit is ignored
        {NULL, "\x80\x68\x03\0\0\0" RAW_ABC, 12},     // window 2^23
        {NULL, "\x20\x03\x1b\0\0a", 6},               // a run
        {"larger", "\x80\x69\x03\0\0\0" RAW_ABC, 12}, // an eighth more
        {"larger", "\x80\xf8\x03\0\0\0" RAW_ABC, 12}, // 2^41
        {"larger", "\xa0\x01\0\x80\0" RAW_ABC, 11},   // 8 MiB + 1, in itself
        {"larger", "\xe0\xff\xff\xff\xff\xff\xff\xff\xff" RAW_ABC, 15},
        {"reserved bit", "\x28\x03" RAW_ABC, 8},
        {"checksum", "\x24\x03" RAW_ABC "\0\0\0\0", 12},
        {"dictionary", "\x21\0\x03" RAW_ABC, 9},
        {"dictionary", "\x23\1\0\0\0\x03" RAW_ABC, 12},
        {"content size", "\0\x68" RAW_ABC, 8},
        {"empty", "\x20\0\1\0\0", 5},
        {"damaged", "\x20\x04" RAW_ABC, 8},    // less than it says
        {"damaged", "\x20\x02" RAW_ABC, 8},    // more
        {"damaged", "\x20\x03\x1f\0\0abc", 8}, // reserved block
        {"damaged",
         "\x20\x03\x09\0\x10"
         "abc",
         8},                                   // block of 128 KiB + 1
        {"damaged", "\x20\x03\x1d\0\0abc", 8}, // no compressed block
        {"cut off", "\x20\x03\x18\0\0abc", 8}, // no last block
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct stream x CLEANUP(stream_clear) = {0};
        bytes_frame(&x.b, rows[i].bytes, rows[i].len);
        table(&x, 1);
        row(&x, 'o', 3);
        if (!rows[i].why || strcmp(rows[i].why, "cut off"))
            end(&x);
        assert_parse(&x.b, rows[i].why);
    }
    struct stream x CLEANUP(stream_clear) = {0};
    stock_frame(&x.b, ZSTD_c_contentSizeFlag, 0, "abc");
    assert_parse(&x.b, "content size");
    x.b.len = 0;
    stock_frame(&x.b, ZSTD_c_checksumFlag, 1, "abc");
    assert_parse(&x.b, "checksum");
}

static void repeat_frame(struct buf *out, size_t times)
{
    // 128 KiB of zeros in 9 bytes behind the magic.
    for (size_t i = 0; i < times; i++)
        bytes_frame(out, "\xa0\0\0\2\0\3\0\x10\0", 9);
}

// 8 MiB of content and not a byte more, however small it is stored.
static void content_is_bounded(void **s)
{
    (void)s;
    for (size_t more = 0; more < 2; more++) {
        struct stream x CLEANUP(stream_clear) = {0};
        repeat_frame(&x.b, 64);
        if (more)
            frame(&x, "a");
        table(&x, 1);
        row(&x, 'f', (uint32_t)(BLOB_MAX_BYTES + more));
        end(&x);
        assert_parse(&x.b, more ? "more than 8388608 bytes of content" : NULL);
    }
    struct stream bomb CLEANUP(stream_clear) = {0};
    repeat_frame(&bomb.b, 700000);
    assert_parse(&bomb.b, "more than 8388608 bytes of content");
}

static void any_byte_of_a_stream(void **s)
{
    (void)s;
    struct stream x CLEANUP(stream_clear) = {0};
    frame(&x, OBJECT_A OBJECT_A OBJECT_A);
    table(&x, 1);
    row(&x, 'o', 3 * strlen(OBJECT_A));
    end(&x);
    for (size_t i = 0; i < x.b.len * 8; i++) {
        struct pack p CLEANUP(pack_clear) = {0};
        struct err err = {0};
        x.b.p[i / 8] = (char)(x.b.p[i / 8] ^ 1 << i % 8);
        // What is authenticated by age may be other content here, but of its size.
        if (pack_parse(x.b.p, x.b.len, &p, &err))
            assert_int_equal(p.content.len, 3 * strlen(OBJECT_A));
        else
            assert_int_equal(err.kind, ERR_CORRUPT);
        err_clear(&err);
        x.b.p[i / 8] = (char)(x.b.p[i / 8] ^ 1 << i % 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids),
        cmocka_unit_test(ids_as_text),
        cmocka_unit_test(classes),
        cmocka_unit_test(vectors),
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(opened_again),
        cmocka_unit_test(secrets_share_no_context),
        cmocka_unit_test(one_frame),
        cmocka_unit_test(fits_to_the_last_byte),
        cmocka_unit_test(as_many_as_fit),
        cmocka_unit_test(too_many_tiny_secrets),
        cmocka_unit_test(no_recipient),
        cmocka_unit_test(any_byte_changed),
        cmocka_unit_test(another_identity),
        cmocka_unit_test(second_recipient),
        cmocka_unit_test(tables),
        cmocka_unit_test(padding),
        cmocka_unit_test(compressed_where_that_is_shorter),
        cmocka_unit_test(compressed_tables),
        cmocka_unit_test(what_ends_a_stream),
        cmocka_unit_test(frames),
        cmocka_unit_test(content_is_bounded),
        cmocka_unit_test(any_byte_of_a_stream),
    };
    return cmocka_run_group_tests_name("snapshot pack", tests, NULL, NULL);
}
