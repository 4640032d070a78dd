// SPDX-License-Identifier: Apache-2.0
//
// Entries of a log. The vectors were written by another program from the specification.
#include "snapshot/entry.h"

#include "tests/snapshot/bytes.h"
#include "tests/snapshot/vectors.h"
#include "tests/test.h"

#define SNAPSHOT_HASH "5990726723b8d6b6b73b590135c9b18334572847319a51de3bffbb04ede0dae6"
#define VERDICT_HASH "bc2c114543183a26ebc42fc182b95f1c751636d40d54e071819e53e0d7ec351f"
#define H0 "0000000000000000000000000000000000000000000000000000000000000000"
#define H1 "1111111111111111111111111111111111111111111111111111111111111111"
#define H2 "2222222222222222222222222222222222222222222222222222222222222222"

static void assert_hash(const struct sha256 *h, const char *hex)
{
    assert_hex(h->b, sizeof(h->b), hex);
}

static json_t *vector_body(enum entry_kind want, const char *seed)
{
    CLEANUP(str_freep) char *name = str_printf("format/entry-%s", entry_kind_name(want));
    struct buf b CLEANUP(buf_clear) = {0};
    struct signed_line line;
    enum entry_kind kind;
    struct signer signer;
    uint8_t raw[KEY_BYTES];
    json_t *body = NULL;
    struct err err = {0};
    vector_read(name, &b);
    fixed_key(seed, raw);
    signer_from_seed(raw, &signer);
    if (!entry_split(b.p, b.len, &kind, &line, &err))
        fail_msg("%s: %s", name, err.msg);
    assert_int_equal(kind, want);
    assert_true(signed_by(&line, signer.public));
    assert_true(signed_json(&line, &body, &err));
    return body;
}

static void read_vector(enum entry_kind kind, const char *seed, struct entry *e)
{
    json_t *body = vector_body(kind, seed);
    struct err err = {0};
    if (!entry_parse(kind, body, e, &err))
        fail_msg("%s", err.msg);
    json_decref(body);
    assert_int_equal(e->kind, kind);
    assert_string_equal(e->chain, "prod");
    assert_int_equal(e->trust, 1);
    assert_string_equal(e->tool, "by hand");
}

static void vector_snapshot(void **s)
{
    (void)s;
    struct entry e CLEANUP(entry_clear) = {0};
    read_vector(ENTRY_SNAPSHOT, "writer", &e);
    assert_int_equal(e.seq, 1);
    assert_int_equal(e.prev.len, 0);
    assert_int_equal(e.time_unix_s, 1767225600);
    assert_int_equal(e.snapshot.epoch, 1);
    assert_null(e.snapshot.cluster);
    assert_true(e.snapshot.is_good);
    assert_int_equal(e.snapshot.counts.secrets, 3);
    assert_int_equal(e.snapshot.bytes.added, 4000);
    assert_int_equal(e.snapshot.check.present, 6);
    assert_hex(e.snapshot.root.b, 16, "99a949f3277520529e317060af08ca39");
    assert_true(e.snapshot.has_git);
    assert_null(e.snapshot.origin);
}

static void vector_others(void **s)
{
    (void)s;
    struct entry v CLEANUP(entry_clear) = {0};
    struct entry c CLEANUP(entry_clear) = {0};
    read_vector(ENTRY_VERDICT, "judge", &v);
    assert_hash(&v.prev.v[0], SNAPSHOT_HASH);
    assert_int_equal(v.verdict.of.seq, 1);
    assert_hash(&v.verdict.of.hash, SNAPSHOT_HASH);
    assert_int_equal(v.verdict.verdict, VERDICT_DRILLED);
    assert_null(v.verdict.why);
    assert_true(v.verdict.has_report);
    read_vector(ENTRY_CHECKPOINT, "pruner", &c);
    assert_int_equal(c.checkpoint.keep.len, 1);
    assert_int_equal(c.checkpoint.keep.v[0].seq, 1);
    assert_int_equal(c.checkpoint.wait.len, 1);
    assert_int_equal(c.checkpoint.wait.v[0].since, 3);
    assert_hash(&c.checkpoint.wait.v[0].hash, VERDICT_HASH);
    assert_int_equal(c.checkpoint.sweep.len, 0);
    assert_string_equal(c.checkpoint.rule, "daily 7");
}

// ---- one member changed ----

struct change {
    enum entry_kind kind;
    bool fine;
    const char *key;   // or "object/key"
    const char *value; // JSON; NULL: taken out
};

static void change(json_t *body, const struct change *c)
{
    CLEANUP(str_freep) char *path = str_dup(c->key);
    char *slash = strchr(path, '/');
    if (slash)
        *slash = '\0';
    json_t *in = slash ? json_object_get(body, path) : body;
    const char *key = slash ? slash + 1 : path;
    if (!c->value) {
        json_object_del(in, key);
        return;
    }
    json_t *v = json_loads(c->value, JSON_DECODE_ANY, NULL);
    assert_non_null(v);
    json_object_set_new(in, key, v);
}

static void assert_change(const struct change *c)
{
    static const char *const seeds[] = {"writer", "pruner", "judge"};
    json_t *body = vector_body(c->kind, seeds[c->kind]);
    struct entry e CLEANUP(entry_clear) = {0};
    struct err err = {0};
    change(body, c);
    bool ok = entry_parse(c->kind, body, &e, &err);
    if (ok != c->fine)
        fail_msg("%s %s = %s: %s", entry_kind_name(c->kind), c->key, c->value ? c->value : "gone",
                 ok ? "taken" : err.msg);
    if (!ok) {
        assert_int_equal(err.kind, ERR_CORRUPT);
        assert_null(e.chain);
    }
    json_decref(body);
    err_clear(&err);
}

#define S ENTRY_SNAPSHOT
#define C ENTRY_CHECKPOINT
#define V ENTRY_VERDICT

static const struct change common[] = {
    {C, false, "repo", NULL},
    {C, false, "repo", "\"9D875571b4aee8f52132e2cbb2f9f8fe\""},
    {C, false, "chain", NULL},
    {C, false, "chain", "7"},
    {C, false, "seq", NULL},
    {C, false, "seq", "0"},
    {C, false, "seq", "3.0"},
    {C, false, "seq", "\"3\""},
    {C, true, "seq", "9999999999"},
    {C, false, "seq", "10000000000"},
    {C, false, "seq", "1"}, // it has a prev
    {C, false, "prev", NULL},
    {C, false, "prev", "[]"},
    {C, false, "prev", "\"" H1 "\""},
    {C, false, "prev", "[\"" H1 "0\"]"},
    {C, true, "prev", "[\"" H1 "\",\"" H2 "\"]"},
    {C, false, "prev", "[\"" H2 "\",\"" H1 "\"]"},
    {C, false, "prev", "[\"" H1 "\",\"" H1 "\"]"},
    {S, false, "prev", "[\"" H1 "\"]"}, // of the first
    {C, false, "trust", "0"},
    {C, true, "trust", "9999"},
    {C, false, "trust", "10000"},
    {C, false, "time", "\"yesterday\""},
    {C, false, "time", "1767225600"},
    {C, false, "tool", NULL},
    {C, false, "tool", "\"\""},
    {C, false, "tool", "\"a\\u001b[2Jb\""},
    {C, true, "later", "{\"a\":[]}"},
};

static const struct change of_snapshot[] = {
    {S, false, "epoch", "0"},
    {S, true, "epoch", "9999"},
    {S, false, "epoch", "10000"},
    {S, true, "cluster", "\"6f1c\""},
    {S, true, "cluster", NULL},
    {S, false, "cluster", "7"},
    {S, false, "cluster", "\"a\\nb\""},
    {S, false, "state", "\"fine\""},
    {S, false, "state", NULL},
    {S, true, "state", "\"suspect\""},
    {S, false, "why", "[\"unknown-source\"]"}, // good, and yet
    {S, false, "why", NULL},
    {S, false, "why", "[\"Not a code\"]"},
    {S, false, "why", "[\"\"]"},
    {S, false, "counts", NULL},
    {S, false, "counts", "[]"},
    {S, false, "counts/objects", NULL},
    {S, true, "counts/objects", "9007199254740992"},
    {S, false, "counts/objects", "9007199254740993"},
    {S, false, "counts/objects", "-1"},
    {S, false, "bytes/stored", NULL},
    {S, false, "check/reread", "\"6\""},
    {S, false, "root", NULL},
    {S, false, "root", "\"" H1 "\""},
    {S, false, "objects", "null"},
    {S, false, "objects", "\"11\""},
    {S, true, "git", "null"},
    {S, true, "git", NULL},
    {S, false, "git", "\"\""},
    {S, true, "origin", "\"" H1 " prod 7\""},
    {S, false, "origin", "7"},
    {S, true, "taken", "\"2026-11-23T02:00:00Z\""},
    {S, false, "taken", "\"yesterday\""},
    {S, false, "taken", "7"},
};

static const struct change of_others[] = {
    {C, true, "keep", "[]"},
    {C, false, "keep", NULL},
    {C, false, "keep", "[[1]]"},
    {C, false, "keep", "[[1,\"" H1 "\",3]]"},
    {C, false, "keep", "[[0,\"" H1 "\"]]"},
    {C, false, "keep", "[[3,\"" H1 "\"]]"}, // itself
    {C, true, "keep", "[[1,\"" H1 "\"],[1,\"" H2 "\"],[2,\"" H0 "\"]]"},
    {C, false, "keep", "[[2,\"" H0 "\"],[1,\"" H1 "\"]]"},
    {C, false, "keep", "[[1,\"" H2 "\"],[1,\"" H1 "\"]]"},
    {C, false, "keep", "[[1,\"" H1 "\"],[1,\"" H1 "\"]]"},
    {C, false, "keep", "[[2,\"" VERDICT_HASH "\"]]"}, // waits, too
    {C, true, "wait", "[[1,\"" H1 "\",2],[2,\"" H1 "\",3]]"},
    {C, false, "wait", "[[1,\"" H1 "\"]]"},
    {C, false, "wait", "[[1,\"" H1 "\",1]]"},
    {C, false, "wait", "[[1,\"" H1 "\",4]]"},
    {C, true, "sweep", "[1,2]"},
    {C, false, "sweep", "[2,1]"},
    {C, false, "sweep", "[1,1]"},
    {C, false, "sweep", "[3]"},
    {C, false, "sweep", "[0]"},
    {C, false, "sweep", NULL},
    {C, true, "lost", "2"},
    {C, false, "lost", "3"},
    {C, false, "lost", "0"},
    {C, false, "lost", "[2]"},
    {C, false, "rule", NULL},
    {V, false, "of", NULL},
    {V, false, "of", "[1]"},
    {V, false, "of", "[2,\"" H1 "\"]"}, // itself
    {V, false, "of", "[1,\"" H1 "\",1]"},
    {V, false, "verdict", "\"fine\""},
    {V, true, "verdict", "\"bad\""},
    {V, true, "why", "\"looked at it\""},
    {V, true, "report", "null"},
    {V, false, "report", "\"\""},
    {S, true, "bad", "[]"},
    {V, true, "bad", "[[1,\"" H1 "\",2],[1,\"" H2 "\",2]]"},
    {V, false, "bad", "[[1,\"" H2 "\",2],[1,\"" H1 "\",2]]"},
    {V, false, "bad", "[[1,\"" H1 "\"]]"},
    {V, false, "bad", "[[1,\"" H1 "\",3]]"},
    {V, false, "bad", "[[2,\"" H1 "\",2]]"},
    {V, false, "bad", "{}"},
    {V, false, "bad", "null"},
    {V, true, "lost", "1"},
    {V, false, "lost", "2"},
};

static void one_member_changed(void **s)
{
    (void)s;
    for (size_t i = 0; i < ARRAY_LEN(common); i++)
        assert_change(&common[i]);
    for (size_t i = 0; i < ARRAY_LEN(of_snapshot); i++)
        assert_change(&of_snapshot[i]);
    for (size_t i = 0; i < ARRAY_LEN(of_others); i++)
        assert_change(&of_others[i]);
}

// ---- our own ----

static void sample(struct entry *e, enum entry_kind kind)
{
    *e = (struct entry){.kind = kind, .seq = 300, .trust = 7, .time_unix_s = 1767225601};
    memset(e->repo, 0xab, sizeof(e->repo));
    e->chain = str_dup("prod");
    e->tool = str_dup("regrow test");
    unhex(H1, vec_push(&e->prev)->b, 32);
    unhex(H2, vec_push(&e->prev)->b, 32);
    switch (kind) {
    case ENTRY_SNAPSHOT:
        e->snapshot.epoch = 3;
        e->snapshot.cluster = str_dup("6f1c9c1e-0000-4000-8000-000000000000");
        strv_push(&e->snapshot.why, "shrunk-objects");
        e->snapshot.counts.unknown = 2;
        e->snapshot.bytes.stored = 9007199254740992;
        e->snapshot.check.present = 9;
        memset(e->snapshot.root.b, 1, 16);
        memset(e->snapshot.objects.b, 2, 32);
        e->snapshot.origin = str_dup("abab other 12");
        e->snapshot.taken_unix_s = 1764000000;
        e->remembered.has_bad = true;
        *vec_push(&e->remembered.bad) = (struct seq_hash){.seq = 3, .since = 290};
        break;
    case ENTRY_CHECKPOINT:
        for (unsigned i = 0; i < 3; i++) {
            *vec_push(&e->checkpoint.keep) = (struct seq_hash){.seq = 10 + i};
            *vec_push(&e->checkpoint.wait) = (struct seq_hash){.seq = 20 + i, .since = 299};
            *vec_push(&e->checkpoint.sweep) = 30 + i;
        }
        e->checkpoint.rule = str_dup("daily 7");
        e->checkpoint.lost = 298;
        break;
    case ENTRY_VERDICT:
        e->verdict.of.seq = 299;
        e->verdict.verdict = VERDICT_BAD;
        e->verdict.why = str_dup("half of it is missing");
        e->remembered.lost = 298;
        break;
    }
}

static bool write_entry(const struct entry *e, struct buf *out, struct sha256 *hash)
{
    struct signer signer;
    struct err err = {0};
    signer_new(&signer);
    bool ok = entry_write(e, &signer, out, hash, &err);
    if (!ok)
        assert_int_equal(err.kind, ERR_INVALID);
    err_clear(&err);
    return ok;
}

static void there_and_back(void **s)
{
    (void)s;
    for (enum entry_kind k = ENTRY_SNAPSHOT; k <= ENTRY_VERDICT; k++) {
        struct entry e CLEANUP(entry_clear) = {0};
        struct entry back CLEANUP(entry_clear) = {0};
        struct buf b CLEANUP(buf_clear) = {0};
        struct buf again CLEANUP(buf_clear) = {0};
        struct sha256 hash;
        struct signed_line line;
        enum entry_kind kind;
        json_t *body = NULL;
        struct err err = {0};
        sample(&e, k);
        assert_true(write_entry(&e, &b, &hash));
        struct sha256 want = sha256_of(b.p, b.len);
        assert_true(sha256_eq(&hash, &want));
        assert_true(entry_split(b.p, b.len, &kind, &line, &err));
        assert_int_equal(kind, k);
        assert_int_equal(line.n_sigs, 1);
        assert_true(signed_json(&line, &body, &err));
        assert_true(entry_parse(kind, body, &back, &err));
        json_decref(body);
        // What was read is written as it stood.
        assert_true(write_entry(&back, &again, &hash));
        assert_memory_equal(again.p, b.p, line.body_len);
        assert_int_equal(back.prev.len, 2);
        assert_int_equal(back.snapshot.bytes.stored, e.snapshot.bytes.stored);
        assert_int_equal(back.checkpoint.wait.len, e.checkpoint.wait.len);
    }
}

// An unchanged run adds only this.
static void a_snapshot_is_small(void **s)
{
    (void)s;
    struct entry e CLEANUP(entry_clear) = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    struct sha256 hash;
    sample(&e, ENTRY_SNAPSHOT);
    assert_true(write_entry(&e, &b, &hash));
    assert_in_range(b.len, 600, 1200);
}

static void not_written(void **s)
{
    (void)s;
    struct entry e CLEANUP(entry_clear) = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    struct sha256 hash;
    sample(&e, ENTRY_CHECKPOINT);
    struct seq_hash first = e.checkpoint.keep.v[0];
    e.checkpoint.keep.v[0] = e.checkpoint.keep.v[1];
    assert_false(write_entry(&e, &b, &hash));
    e.checkpoint.keep.v[0] = first;
    str_set(&e.checkpoint.rule, "a\tb");
    assert_false(write_entry(&e, &b, &hash));
    str_set(&e.checkpoint.rule, NULL);
    assert_false(write_entry(&e, &b, &hash));
    assert_int_equal(b.len, 0);
}

// A mebibyte holds about 14,000 kept entries; what is above is refused, not cut.
static void as_large_as_may_be(void **s)
{
    (void)s;
    struct entry e CLEANUP(entry_clear) = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    struct sha256 hash;
    struct signed_line line;
    enum entry_kind kind;
    struct err err = {0};
    sample(&e, ENTRY_CHECKPOINT);
    e.seq = 100000;
    for (unsigned i = 0; i < 13800; i++)
        *vec_push(&e.checkpoint.keep) = (struct seq_hash){.seq = 1000 + i};
    assert_true(write_entry(&e, &b, &hash));
    assert_true(b.len <= ENTRY_MAX_BYTES);
    assert_true(entry_split(b.p, b.len, &kind, &line, &err));
    b.len = 0;
    for (unsigned i = 0; i < 1000; i++)
        *vec_push(&e.checkpoint.keep) = (struct seq_hash){.seq = 20000 + i};
    assert_false(write_entry(&e, &b, &hash));
    CLEANUP(str_freep) char *large = mem_alloc(ENTRY_MAX_BYTES + 1);
    assert_false(entry_split(large, ENTRY_MAX_BYTES + 1, &kind, &line, &err));
    assert_int_equal(err.kind, ERR_CORRUPT);
    err_clear(&err);
}

static void other_lines(void **s)
{
    (void)s;
    const char *const rows[] = {
        "",
        "{",
        "{\"type\":\"regrow ",
        "{\"type\":\"regrow snapshot",
        "{\"type\":\"regrow snapshot v2\",\"seq\":1}\n0000000000000000 ",
        "{\"type\":\"regrow trust v1\",\"seq\":1}\n0000000000000000 ",
        "{\"seq\":1,\"type\":\"regrow verdict v1\"}\n0000000000000000 ",
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf b CLEANUP(buf_clear) = {0};
        struct signed_line line;
        enum entry_kind kind;
        struct err err = {0};
        buf_str(&b, rows[i]);
        if (str_ends(rows[i], " ")) {
            uint8_t sig[SIG_BYTES] = {0};
            buf_base64(&b, sig, sizeof(sig));
            buf_char(&b, '\n');
        }
        assert_false(entry_split(b.p, b.len, &kind, &line, &err));
        assert_int_equal(err.kind, ERR_CORRUPT);
        err_clear(&err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vector_snapshot),     cmocka_unit_test(vector_others),
        cmocka_unit_test(one_member_changed),  cmocka_unit_test(there_and_back),
        cmocka_unit_test(a_snapshot_is_small), cmocka_unit_test(not_written),
        cmocka_unit_test(as_large_as_may_be),  cmocka_unit_test(other_lines),
    };
    return cmocka_run_group_tests_name("snapshot entry", tests, NULL, NULL);
}
