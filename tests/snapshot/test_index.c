// SPDX-License-Identifier: Apache-2.0
//
// Index files. The vectors were written by another program from the specification.
#include "snapshot/index.h"

#include "snapshot/zstream.h"
#include "tests/snapshot/chain.h"
#include "tests/snapshot/vectors.h"
#include "tests/test.h"

#define HASH_1 "1111111111111111111111111111111111111111111111111111111111111111"
#define HASH_2 "2222222222222222222222222222222222222222222222222222222222222222"

static struct sha256 hash_of_byte(unsigned b)
{
    struct sha256 h;
    memset(h.b, (int)b, sizeof(h.b));
    return h;
}

static struct blob_id id_of_byte(unsigned b)
{
    struct blob_id id;
    memset(id.b, (int)b, sizeof(id.b));
    return id;
}

static void assert_id(const struct index_record *r, const char *hex)
{
    char got[33];
    blob_id_hex(&r->id, got);
    assert_string_equal(got, hex);
}

static void read_vector(const struct test_chain *c, const char *name, struct index *clear,
                        struct index *whole)
{
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    vector_read(name, &b);
    if (!index_read_clear(b.p, b.len, c->repo, CHAIN, clear, &err) ||
        !index_read(b.p, b.len, c->repo, CHAIN, &c->chain, whole, &err))
        fail_msg("%s: %s", name, err.msg);
    assert_false(clear->has_records);
    assert_int_equal(clear->records.len, 0);
    assert_true(whole->has_records);
}

static void vector_objects(void **s)
{
    (void)s;
    struct test_chain c CLEANUP(test_chain_clear) = {0};
    test_chain_init(&c);
    struct index clear CLEANUP(index_clear) = {0};
    struct index x CLEANUP(index_clear) = {0};
    read_vector(&c, "format/index-objects", &clear, &x);
    assert_false(clear.is_git);
    assert_int_equal(clear.over.len, 0);
    assert_int_equal(clear.packs.len, 3);
    assert_string_equal(clear.chain, CHAIN);
    for (size_t i = 0; i < 3; i++) {
        CLEANUP(str_freep) char *name = str_printf("format/pack-%c", "ofs"[i]);
        struct buf pack CLEANUP(buf_clear) = {0};
        vector_read(name, &pack);
        struct sha256 h = sha256_of(pack.p, pack.len);
        assert_true(sha256_eq(&clear.packs.v[i].id, &h));
        assert_int_equal(clear.packs.v[i].size, pack.len);
        assert_int_equal(clear.packs.v[i].class, "ofs"[i]);
        assert_int_equal(clear.packs.v[i].git, -1);
    }
    assert_int_equal(x.records.len, 8);
    const char kinds[] = "oonlrfks";
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(x.records.v[i].kind, kinds[i]);
    assert_id(&x.records.v[2], "019624e3add38d6d4498f90da697ef66");
    assert_int_equal(x.records.v[2].pack, INDEX_NO_PACK);
    assert_id(&x.records.v[4], "99a949f3277520529e317060af08ca39");
    assert_int_equal(x.records.v[5].len, 1000);
    assert_int_equal(x.records.v[5].pack, 1);
}

static void vector_git(void **s)
{
    (void)s;
    struct test_chain c CLEANUP(test_chain_clear) = {0};
    test_chain_init(&c);
    struct index clear CLEANUP(index_clear) = {0};
    struct index x CLEANUP(index_clear) = {0};
    read_vector(&c, "format/index-git", &clear, &x);
    assert_true(x.is_git);
    assert_int_equal(x.over.len, 1);
    struct sha256 over = hash_of_byte(0x11);
    assert_true(sha256_eq(&x.over.v[0], &over));
    assert_int_equal(x.packs.v[0].git, 0);
    assert_int_equal(x.records.len, 2);
    assert_int_equal(x.records.v[1].kind, 't');
    assert_id(&x.records.v[1], "9bb748567a49fcee8f1e99c9b1316fc5");
}

// ---- our own ----

static struct index_pack *add_pack(struct index *x, unsigned id, char class, int git)
{
    struct index_pack *p = vec_push(&x->packs);
    *p = (struct index_pack){.id = hash_of_byte(id), .size = 1000 + id, .class = class, .git = git};
    return p;
}

static void add_record(struct index *x, char kind, uint32_t len, uint16_t pack)
{
    *vec_push(&x->records) = (struct index_record){
        .id = id_of_byte((unsigned)x->records.len), .len = len, .pack = pack, .kind = kind};
}

// Two packs, records of every kind that may stand in the set.
static void sample(struct index *x, const struct test_chain *c, bool is_git)
{
    memcpy(x->repo, c->repo, sizeof(x->repo));
    x->chain = str_dup(CHAIN);
    x->is_git = is_git;
    *vec_push(&x->over) = hash_of_byte(0x11);
    *vec_push(&x->over) = hash_of_byte(0x10);
    if (is_git) {
        add_pack(x, 1, 'g', 0);
        add_pack(x, 2, 'g', 0);
        add_pack(x, 3, 'g', 7);
        add_record(x, 'g', BLOB_MAX_BYTES, 0);
        add_record(x, 'g', 5, 1);
        add_record(x, 'g', 6, 2);
        add_record(x, 't', 0, INDEX_NO_PACK);
        return;
    }
    add_pack(x, 1, 'o', -1);
    add_pack(x, 2, 's', -1);
    add_record(x, 'o', 10, 0);
    add_record(x, 'n', 262144, INDEX_NO_PACK);
    add_record(x, 'l', 20, 0);
    add_record(x, 'r', BLOB_MAX_BYTES - 30, 0);
    add_record(x, 'k', 1, 1);
    add_record(x, 's', BLOB_MAX_BYTES - 1, 1);
}

static bool written(const struct index *x, const struct test_chain *c, struct buf *out)
{
    struct sha256 name;
    struct err err = {0};
    size_t from = out->len;
    bool ok = index_write(x, &c->chain, out, &name, &err);
    if (ok) {
        struct sha256 h = sha256_of(out->p + from, out->len - from);
        assert_true(sha256_eq(&name, &h));
    } else {
        assert_int_equal(err.kind, ERR_INVALID);
        assert_int_equal(out->len, from);
    }
    err_clear(&err);
    return ok;
}

static enum err_kind read_kind(const struct test_chain *c, const void *p, size_t len, bool whole)
{
    struct index x CLEANUP(index_clear) = {0};
    struct err err = {0};
    bool ok = whole ? index_read(p, len, c->repo, CHAIN, &c->chain, &x, &err)
                    : index_read_clear(p, len, c->repo, CHAIN, &x, &err);
    enum err_kind kind = ok ? ERR_NONE : err.kind;
    if (!ok)
        assert_null(x.packs.v);
    err_clear(&err);
    return kind;
}

static void there_and_back(void **s)
{
    (void)s;
    struct test_chain c CLEANUP(test_chain_clear) = {0};
    test_chain_init(&c);
    for (unsigned git = 0; git < 2; git++) {
        struct index x CLEANUP(index_clear) = {0};
        struct index y CLEANUP(index_clear) = {0};
        struct buf b CLEANUP(buf_clear) = {0};
        struct buf again CLEANUP(buf_clear) = {0};
        struct err err = {0};
        sample(&x, &c, git);
        assert_true(written(&x, &c, &b));
        assert_true(written(&x, &c, &again));
        assert_memory_not_equal(b.p + b.len - 16, again.p + b.len - 16, 16); // a salt of its own
        if (!index_read(b.p, b.len, c.repo, CHAIN, &c.chain, &y, &err))
            fail_msg("%s", err.msg);
        assert_int_equal(y.is_git, git);
        assert_int_equal(y.packs.len, x.packs.len);
        assert_memory_equal(y.over.v, x.over.v, 2 * sizeof(*x.over.v));
        for (size_t i = 0; i < x.packs.len; i++) {
            assert_true(sha256_eq(&y.packs.v[i].id, &x.packs.v[i].id));
            assert_int_equal(y.packs.v[i].size, x.packs.v[i].size);
            assert_int_equal(y.packs.v[i].class, x.packs.v[i].class);
            assert_int_equal(y.packs.v[i].git, x.packs.v[i].git);
        }
        assert_int_equal(y.records.len, x.records.len);
        for (size_t i = 0; i < x.records.len; i++) {
            assert_true(blob_id_eq(&y.records.v[i].id, &x.records.v[i].id));
            assert_int_equal(y.records.v[i].len, x.records.v[i].len);
            assert_int_equal(y.records.v[i].pack, x.records.v[i].pack);
            assert_int_equal(y.records.v[i].kind, x.records.v[i].kind);
        }
    }
}

static void expect_same(const struct index *x, const struct index *y)
{
    assert_int_equal(y->records.len, x->records.len);
    for (size_t i = 0; i < x->records.len; i++) {
        assert_true(blob_id_eq(&y->records.v[i].id, &x->records.v[i].id));
        assert_int_equal(y->records.v[i].len, x->records.v[i].len);
        assert_int_equal(y->records.v[i].pack, x->records.v[i].pack);
        assert_int_equal(y->records.v[i].kind, x->records.v[i].kind);
    }
    assert_int_equal(y->over.len, x->over.len);
    assert_int_equal(y->packs.len, x->packs.len);
    for (size_t i = 0; i < x->over.len; i++)
        assert_true(sha256_eq(&y->over.v[i], &x->over.v[i]));
}

// Where the repository's flags allow it the records are zstd frames, if that is shorter, or the
// line is one too.
static void compressed(void **s)
{
    (void)s;
    struct test_chain c CLEANUP(test_chain_clear) = {0};
    test_chain_init(&c);
    struct index x CLEANUP(index_clear) = {0};
    struct buf plain CLEANUP(buf_clear) = {0};
    sample(&x, &c, false);
    for (unsigned i = 0; i < 400000; i++)
        add_record(&x, 's', 1, 1);
    x.records.v[5].len = 1;
    assert_true(written(&x, &c, &plain));
    for (size_t n = x.records.len; n; n = n == 6 ? 0 : 6) { // more than a frame holds, and few
        size_t before = plain.len;
        x.records.len = n;
        for (x.version = 2; x.version <= 3; x.version++) {
            struct index y CLEANUP(index_clear) = {0};
            struct buf b CLEANUP(buf_clear) = {0};
            struct err err = {0};
            assert_true(written(&x, &c, &b));
            if (x.version == 2)
                assert_memory_equal(b.p, "{\"type\":\"regrow index v2\",", 26);
            assert_true(b.len < before);
            before = b.len;
            if (!index_read(b.p, b.len, c.repo, CHAIN, &c.chain, &y, &err))
                fail_msg("%s", err.msg);
            assert_int_equal(y.version, x.version);
            expect_same(&x, &y);
        }
    }
    x.records.len = 0; // nothing to compress
    for (x.version = 2; x.version <= 3; x.version++) {
        struct buf b CLEANUP(buf_clear) = {0};
        assert_true(written(&x, &c, &b));
        assert_int_equal(!memcmp(b.p, "{\"type\":\"regrow index v1\",", 26), x.version == 2);
        assert_int_equal(read_kind(&c, b.p, b.len, true), ERR_NONE);
    }
}

// ---- what is refused on both sides ----

static void two_packs_one_name(struct index *x)
{
    x->packs.v[1].id = x->packs.v[0].id;
}
static void one_batch_twice(struct index *x)
{
    x->over.v[1] = x->over.v[0];
}
static void too_many_over(struct index *x)
{
    for (unsigned i = 0; x->over.len <= INDEX_MAX_OVER; i++)
        *vec_push(&x->over) = hash_of_byte(0x20 + i);
}
static void pack_too_large(struct index *x)
{
    x->packs.v[0].size = PACK_MAX_BYTES + 1;
}
static void pack_of_nothing(struct index *x)
{
    x->packs.v[0].size = 0;
}
static void git_pack_here(struct index *x)
{
    x->packs.v[1].class = 'g';
}
static void git_number_here(struct index *x)
{
    x->packs.v[1].git = 0;
}
static void record_without_pack(struct index *x)
{
    x->records.v[0].pack = 2;
}
static void content_without_pack(struct index *x)
{
    x->records.v[0].pack = INDEX_NO_PACK;
}
static void record_of_other_class(struct index *x)
{
    x->records.v[0].kind = 'k';
}
static void records_out_of_order(struct index *x)
{
    x->records.v[0].pack = 1;
    x->records.v[0].kind = 'k';
}
static void record_of_nothing(struct index *x)
{
    x->records.v[0].len = 0;
}
static void more_than_a_pack(struct index *x)
{
    x->records.v[0].len++;
}
static void unknown_kind(struct index *x)
{
    x->records.v[0].kind = 'z';
}
static void tip_among_objects(struct index *x)
{
    x->records.v[1].kind = 't';
}
static void name_in_a_pack(struct index *x)
{
    x->records.v[1].pack = 0;
}
static void name_too_large(struct index *x)
{
    x->records.v[1].len = 262145;
}
static void name_without_list(struct index *x)
{
    x->records.v[2].kind = 'o';
}
static void name_at_the_end(struct index *x)
{
    add_record(x, 'n', 1, INDEX_NO_PACK);
}

static void refused(void **s)
{
    (void)s;
    static void (*const changes[])(struct index *) = {
        two_packs_one_name,    one_batch_twice,      too_many_over,     pack_too_large,
        pack_of_nothing,       git_pack_here,        git_number_here,   record_without_pack,
        content_without_pack,  record_of_nothing,    more_than_a_pack,  unknown_kind,
        record_of_other_class, records_out_of_order, tip_among_objects, name_in_a_pack,
        name_too_large,        name_without_list,    name_at_the_end,
    };
    struct test_chain c CLEANUP(test_chain_clear) = {0};
    test_chain_init(&c);
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        struct index x CLEANUP(index_clear) = {0};
        struct buf b CLEANUP(buf_clear) = {0};
        sample(&x, &c, false);
        changes[i](&x);
        if (written(&x, &c, &b))
            fail_msg("change %zu is written", i);
    }
}

// What a hostile writer would put into the box: the same, sealed with the right key.
static void box_of(const struct test_chain *c, const char *line, const void *records, size_t len,
                   struct buf *out)
{
    static const uint8_t nonce[NONCE_BYTES];
    const char salt[] = "0123456789abcdef";
    uint8_t key[KEY_BYTES];
    hkdf_sha256(c->chain.k, KEY_BYTES, salt, 16, "regrow/1 index", key);
    buf_str(out, line);
    buf_append(out, salt, 16);
    aead_seal(key, nonce, line, strlen(line), records, len, out);
}

#define REPO "9d875571b4aee8f52132e2cbb2f9f8fe"
#define HEAD                                                                                       \
    "{\"type\":\"regrow index v1\",\"repo\":\"" REPO "\",\"chain\":\"prod\",\"set\":\"objects\","
#define HEAD_ZSTD                                                                                  \
    "{\"type\":\"regrow index v2\",\"repo\":\"" REPO "\",\"chain\":\"prod\",\"set\":\"objects\","
#define ONE_PACK "\"packs\":[{\"id\":\"" HASH_1 "\",\"size\":10,\"class\":\"o\"}]}\n"

static void records_of_others(void **s)
{
    (void)s;
    struct test_chain c CLEANUP(test_chain_clear) = {0};
    test_chain_init(&c);
    static const struct {
        enum err_kind kind;
        uint8_t tail[8]; // length, pack, kind, zero
    } rows[] = {
        {ERR_NONE, {5, 0, 0, 0, 0, 0, 'o', 0}},
        {ERR_CORRUPT, {5, 0, 0, 0, 0, 0, 'o', 1}},
        {ERR_CORRUPT, {5, 0, 0, 0, 1, 0, 'o', 0}},
        {ERR_CORRUPT, {5, 0, 0, 0, 0, 0, 'f', 0}},
        {ERR_CORRUPT, {0, 0, 0, 0, 0, 0, 'o', 0}},
        {ERR_CORRUPT, {0, 0, 0, 0x80, 0, 0, 'o', 0}},
        {ERR_CORRUPT, {5, 0, 0, 0, 0xff, 0xff, 'n', 0}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf b CLEANUP(buf_clear) = {0};
        uint8_t record[24] = {0};
        memcpy(record + 16, rows[i].tail, 8);
        box_of(&c, HEAD "\"over\":[]," ONE_PACK, record, sizeof(record), &b);
        assert_int_equal(read_kind(&c, b.p, b.len, true), rows[i].kind);
        assert_int_equal(read_kind(&c, b.p, b.len, false), ERR_NONE); // no key, no look
    }
}

// Boxes of frames as a hostile writer may make them.
static void frames_of_others(void **s)
{
    (void)s;
    struct test_chain c CLEANUP(test_chain_clear) = {0};
    test_chain_init(&c);
    uint8_t record[24] = {[16] = 5, [22] = 'o'};
    struct buf bomb CLEANUP(buf_clear) = {0};
    struct buf fine CLEANUP(buf_clear) = {0};
    CLEANUP(str_freep) char *zeros = mem_alloc(INDEX_MAX_BYTES);
    zstream_rows(zeros, INDEX_MAX_BYTES, &bomb);
    zstream_rows(record, sizeof(record), &fine);
    const struct {
        enum err_kind kind;
        size_t len; // of the frames
        const char *behind;
    } rows[] = {{ERR_NONE, fine.len, ""},
                {ERR_CORRUPT, fine.len - 1, ""},
                {ERR_CORRUPT, fine.len, "x"},
                {ERR_CORRUPT, 0, ""},
                {ERR_CORRUPT, 0, "a record that is not one"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf box CLEANUP(buf_clear) = {0};
        struct buf b CLEANUP(buf_clear) = {0};
        buf_append(&box, fine.p, rows[i].len);
        buf_str(&box, rows[i].behind);
        box_of(&c, HEAD_ZSTD "\"over\":[]," ONE_PACK, box.p, box.len, &b);
        if (read_kind(&c, b.p, b.len, true) != rows[i].kind)
            fail_msg("row %zu", i);
        assert_int_equal(read_kind(&c, b.p, b.len, false), ERR_NONE);
    }
    struct buf half CLEANUP(buf_clear) = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    zstream_rows(record, sizeof(record) - 1, &half);
    box_of(&c, HEAD_ZSTD "\"over\":[]," ONE_PACK, half.p, half.len, &b);
    assert_int_equal(read_kind(&c, b.p, b.len, true), ERR_CORRUPT);
    buf_reset(&b);
    box_of(&c, HEAD_ZSTD "\"over\":[]," ONE_PACK, bomb.p, bomb.len, &b);
    assert_int_equal(read_kind(&c, b.p, b.len, true), ERR_CORRUPT);
}

static void lines(void **s)
{
    (void)s;
    struct test_chain c CLEANUP(test_chain_clear) = {0};
    test_chain_init(&c);
    static const struct {
        enum err_kind kind;
        const char *line;
    } rows[] = {
        {ERR_NONE, HEAD "\"over\":[]," ONE_PACK},
        {ERR_NONE, HEAD "\"over\":[],\"packs\":[]}\n"},
        {ERR_NONE, HEAD "\"over\":[],\"later\":[{}]," ONE_PACK},
        {ERR_CORRUPT, HEAD "\"over\":[],\"over\":[]," ONE_PACK},
        {ERR_CORRUPT, HEAD ONE_PACK},
        {ERR_CORRUPT, HEAD "\"over\":[]}\n"},
        {ERR_CORRUPT, HEAD "\"over\":{}," ONE_PACK},
        {ERR_CORRUPT, HEAD "\"over\":[\"" HASH_1 "\",\"" HASH_1 "\"]," ONE_PACK},
        {ERR_CORRUPT, HEAD "\"over\":[\"1\"]," ONE_PACK},
        {ERR_CORRUPT, HEAD "\"over\":[7]," ONE_PACK},
        {ERR_CORRUPT, HEAD "\"over\":[],\"packs\":[7]}\n"},
        {ERR_CORRUPT, HEAD "\"over\":[],\"packs\":[{\"id\":\"" HASH_1 "\",\"size\":10}]}\n"},
        {ERR_CORRUPT, HEAD "\"over\":[],\"packs\":[{\"size\":10,\"class\":\"o\"}]}\n"},
        {ERR_CORRUPT,
         HEAD "\"over\":[],\"packs\":[{\"id\":\"" HASH_1 "\",\"size\":10,\"class\":\"x\"}]}\n"},
        {ERR_CORRUPT,
         HEAD "\"over\":[],\"packs\":[{\"id\":\"" HASH_1 "\",\"size\":-1,\"class\":\"o\"}]}\n"},
        {ERR_CORRUPT, HEAD "\"over\":[],\"packs\":[{\"id\":\"" HASH_1
                           "\",\"size\":10485761,\"class\":\"o\"}]}\n"},
        {ERR_CORRUPT, HEAD "\"over\":[],\"packs\":[{\"id\":\"" HASH_1
                           "\",\"size\":10,\"class\":\"o\",\"git\":0}]}\n"},
        {ERR_CORRUPT, HEAD "\"over\":[],\"packs\":[{\"id\":\"" HASH_1
                           "\",\"size\":10,\"class\":\"g\",\"git\":0}]}\n"},
        {ERR_CORRUPT, HEAD "\"over\":[],\"packs\":[]\n"},
        {ERR_CORRUPT, HEAD "\"over\":[],\"packs\":[]} {}\n"},
        {ERR_CORRUPT, HEAD "\"over\":[],\"packs\":[]}"},
        {ERR_CORRUPT, "{\"type\": \"regrow index v1\",\"repo\":\"" REPO
                      "\",\"chain\":\"prod\",\"set\":\"objects\",\"over\":[],\"packs\":[]}\n"},
        {ERR_CORRUPT, "{\"type\":\"regrow index v3\",\"repo\":\"" REPO
                      "\",\"chain\":\"prod\",\"set\":\"objects\",\"over\":[],\"packs\":[]}\n"},
        {ERR_CORRUPT, "{\"type\":\"regrow index v1\",\"repo\":\"" REPO
                      "\",\"chain\":\"prof\",\"set\":\"objects\",\"over\":[],\"packs\":[]}\n"},
        {ERR_CORRUPT, "{\"type\":\"regrow index v1\",\"repo\":\"9D875571b4aee8f52132e2cbb2f9f8fe\""
                      ",\"chain\":\"prod\",\"set\":\"objects\",\"over\":[],\"packs\":[]}\n"},
        {ERR_CORRUPT, "{\"type\":\"regrow index v1\",\"repo\":\"00875571b4aee8f52132e2cbb2f9f8fe\""
                      ",\"chain\":\"prod\",\"set\":\"objects\",\"over\":[],\"packs\":[]}\n"},
        {ERR_CORRUPT, "{\"type\":\"regrow index v1\",\"repo\":\"" REPO
                      "\",\"chain\":\"prod\",\"set\":\"x\",\"over\":[],\"packs\":[]}\n"},
        {ERR_CORRUPT, "\n"},
        {ERR_CORRUPT, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf b CLEANUP(buf_clear) = {0};
        box_of(&c, rows[i].line, "", 0, &b);
        for (unsigned whole = 0; whole < 2; whole++)
            if (read_kind(&c, b.p, b.len, whole) != rows[i].kind)
                fail_msg("row %zu", i);
    }
}

// A line in a frame, and the box of no records behind it.
static void stream_of(const struct test_chain *c, const char *line, size_t len, struct buf *out)
{
    uint8_t key[KEY_BYTES];
    static const uint8_t zero[16];
    struct buf box CLEANUP(buf_clear) = {0};
    chain_index_key(&c->chain, zero, sizeof(zero), key);
    zstream_rows(line, len, out);
    zstream_skip_header(32, out);
    aead_seal(key, zero, out->p, out->len, "", 0, &box);
    buf_append(out, zero, sizeof(zero));
    buf_append(out, box.p, box.len);
}

// What stands in the frame is held to all that a line in clear is.
static void lines_in_frames(void **s)
{
    (void)s;
    struct test_chain c CLEANUP(test_chain_clear) = {0};
    test_chain_init(&c);
#define STREAM(version, members) "{\"type\":\"regrow index v" version "\"," members
#define MEMBERS                                                                                    \
    "\"repo\":\"" REPO "\",\"chain\":\"prod\",\"set\":\"objects\",\"over\":[],\"packs\":[]}"
    static const struct {
        enum err_kind kind;
        const char *line;
    } rows[] = {
        {ERR_NONE, STREAM("3", "\"box\":32," MEMBERS "\n")},
        {ERR_CORRUPT, STREAM("3", "\"box\":33," MEMBERS "\n")},
        {ERR_CORRUPT, STREAM("3", MEMBERS "\n")},
        {ERR_CORRUPT, STREAM("2", "\"box\":32," MEMBERS "\n")},
        {ERR_CORRUPT, STREAM("1", "\"box\":32," MEMBERS "\n")},
        {ERR_CORRUPT, STREAM("3", "\"box\":32," MEMBERS)},
        {ERR_CORRUPT, STREAM("3", "\"box\":32," MEMBERS "\n\n")},
        {ERR_CORRUPT, STREAM("3", "\n\"box\":32," MEMBERS "\n")},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf b CLEANUP(buf_clear) = {0};
        stream_of(&c, rows[i].line, strlen(rows[i].line), &b);
        for (unsigned whole = 0; whole < 2; whole++)
            if (read_kind(&c, b.p, b.len, whole) != rows[i].kind)
                fail_msg("row %zu", i);
    }
    // One that would open to more than a line may be, and one that is not compressed.
    struct buf large CLEANUP(buf_clear) = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    buf_str(&large, STREAM("3", "\"box\":32,\"long\":\""));
    while (large.len < 1U << 20)
        buf_char(&large, 'x');
    buf_str(&large, "\"," MEMBERS "\n");
    stream_of(&c, large.p, large.len, &b);
    assert_int_equal(read_kind(&c, b.p, b.len, false), ERR_CORRUPT);
    buf_reset(&b);
    box_of(&c, rows[0].line, "", 0, &b);
    assert_int_equal(read_kind(&c, b.p, b.len, true), ERR_CORRUPT);
}

static void git_packs_in_order(void **s)
{
    (void)s;
    struct test_chain c CLEANUP(test_chain_clear) = {0};
    test_chain_init(&c);
    static const struct {
        bool fine;
        int git[3];
    } rows[] = {{true, {0, 0, 7}},          {true, {65535, 65535, 65535}},
                {false, {0, 65536, 65536}}, {false, {1, 0, 7}},
                {false, {0, 1, 0}},         {false, {-1, 0, 7}}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct index x CLEANUP(index_clear) = {0};
        struct buf b CLEANUP(buf_clear) = {0};
        sample(&x, &c, true);
        for (size_t k = 0; k < 3; k++)
            x.packs.v[k].git = rows[i].git[k];
        assert_int_equal(written(&x, &c, &b), rows[i].fine);
        if (rows[i].fine)
            assert_int_equal(read_kind(&c, b.p, b.len, true), ERR_NONE);
    }
}

static void any_byte_changed(void **s)
{
    (void)s;
    struct test_chain c CLEANUP(test_chain_clear) = {0};
    test_chain_init(&c);
    struct index x CLEANUP(index_clear) = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    sample(&x, &c, false);
    for (x.version = 1; x.version <= 3; x.version++) {
        buf_reset(&b);
        assert_true(written(&x, &c, &b));
        for (size_t i = 0; i < b.len; i++) {
            b.p[i] = (char)(b.p[i] ^ 1 << i % 8);
            assert_int_equal(read_kind(&c, b.p, b.len, true), ERR_CORRUPT);
            enum err_kind k = read_kind(&c, b.p, b.len, false); // bound by its name, not by itself
            assert_true(k == ERR_NONE || k == ERR_CORRUPT);
            b.p[i] = (char)(b.p[i] ^ 1 << i % 8);
        }
        for (size_t len = 0; len < b.len; len++)
            assert_int_equal(read_kind(&c, b.p, len, true), ERR_CORRUPT);
    }
}

static void another_key(void **s)
{
    (void)s;
    struct test_chain c CLEANUP(test_chain_clear) = {0};
    test_chain_init(&c);
    struct buf b CLEANUP(buf_clear) = {0};
    vector_read("format/index-objects", &b);
    c.chain.k[0] ^= 1;
    assert_int_equal(read_kind(&c, b.p, b.len, true), ERR_CORRUPT);
    assert_int_equal(read_kind(&c, b.p, b.len, false), ERR_NONE);
}

// As many packs and records as there may be; one more is not written.
static void as_many_as_fit(void **s)
{
    (void)s;
    struct test_chain c CLEANUP(test_chain_clear) = {0};
    test_chain_init(&c);
    struct index x CLEANUP(index_clear) = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    struct buf empty CLEANUP(buf_clear) = {0};
    memcpy(x.repo, c.repo, sizeof(x.repo));
    x.chain = str_dup(CHAIN);
    for (uint16_t i = 0; i < INDEX_MAX_PACKS; i++) {
        struct index_pack *p = add_pack(&x, 0, 'f', -1);
        p->id.b[0] = (uint8_t)i;
        p->id.b[1] = (uint8_t)(i >> 8);
    }
    assert_true(written(&x, &c, &empty)); // a batch without records, too
    size_t line = empty.len - 32;
    size_t fits = (INDEX_MAX_BYTES - 32 - line) / 24;
    for (size_t i = 0; i < fits; i++)
        add_record(&x, 'f', 1, (uint16_t)(i * INDEX_MAX_PACKS / fits));
    assert_true(written(&x, &c, &b));
    assert_true(b.len <= INDEX_MAX_BYTES);
    assert_int_equal(read_kind(&c, b.p, b.len, true), ERR_NONE);
    add_record(&x, 'f', 1, INDEX_MAX_PACKS - 1);
    assert_false(written(&x, &c, &b));
    x.records.len = 0;
    add_pack(&x, 7, 'f', -1);
    assert_false(written(&x, &c, &b));
    CLEANUP(str_freep) char *large = mem_alloc(INDEX_MAX_BYTES + 1);
    assert_int_equal(read_kind(&c, large, INDEX_MAX_BYTES + 1, true), ERR_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vector_objects),     cmocka_unit_test(vector_git),
        cmocka_unit_test(there_and_back),     cmocka_unit_test(refused),
        cmocka_unit_test(records_of_others),  cmocka_unit_test(lines),
        cmocka_unit_test(git_packs_in_order), cmocka_unit_test(any_byte_changed),
        cmocka_unit_test(another_key),        cmocka_unit_test(as_many_as_fit),
        cmocka_unit_test(compressed),         cmocka_unit_test(lines_in_frames),
        cmocka_unit_test(frames_of_others),
    };
    return cmocka_run_group_tests_name("snapshot index", tests, NULL, NULL);
}
