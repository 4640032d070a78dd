// SPDX-License-Identifier: Apache-2.0
//
// Reading a log: what counts, and what is told apart from what is only old.
#include "snapshot/repo.h"

#include "tests/snapshot/logkit.h"
#include "tests/test.h"

// A repository and its log, opened and closed around a test.
struct fixture {
    struct repo r;
    struct log l;
};

static void fixture_clear(struct fixture *f)
{
    log_clear(&f->l);
    repo_close(&f->r);
}

static void open_empty(struct fixture *f)
{
    log_kit_open(log_kit_store(true), &f->r);
    log_kit_read(&f->r, &f->l);
}

static void open_with(struct fixture *f, unsigned snapshots)
{
    open_empty(f);
    for (unsigned i = 0; i < snapshots; i++)
        log_kit_snapshot(&f->r, &f->l);
}

static void assert_problem(struct fixture *f, const char *want)
{
    CLEANUP(str_freep) char *got = log_kit_problem(&f->r, NULL);
    if (!got)
        fail_msg("nothing found, but: %s", want);
    if (!strstr(got, want))
        fail_msg("\"%s\" is not about \"%s\"", got, want);
    assert_true(str_starts(got, "chain prod: "));
}

static void assert_fine(struct fixture *f)
{
    CLEANUP(str_freep) char *got = log_kit_problem(&f->r, NULL);
    if (got)
        fail_msg("%s", got);
}

static void assert_numbers(const struct log *l, const char *want)
{
    struct buf b CLEANUP(buf_clear) = {0};
    buf_str(&b, "");
    for (size_t i = 0; i < l->v.len; i++)
        buf_printf(&b, "%s%llu%s", i ? " " : "", (unsigned long long)l->v.v[i].seq,
                   l->v.v[i].is_void ? "v" : "");
    assert_string_equal(b.p, want);
}

static void an_empty_one(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    open_empty(&f);
    assert_int_equal(f.l.v.len, 0);
    assert_true(f.l.head == 0);
    assert_int_equal(f.l.heads.len, 0);
    assert_int_equal(f.l.checkpoint, -1);
    assert_true(f.l.is_whole);
    assert_null(log_find(&f.l, 1));
    assert_null(log_latest_good(&f.l));
    assert_null(log_newest_snapshot(&f.l));
}

static void entries_in_order(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    open_empty(&f);
    log_kit_snapshot(&f.r, &f.l);
    memstore_advance(f.r.store, 5000);
    const struct entry *second = log_kit_snapshot(&f.r, &f.l);
    struct entry v = kit_verdict(second, VERDICT_VERIFIED);
    log_kit_append(&f.r, &f.l, &v);
    assert_non_null(memstore_file(f.r.store, "chains/prod/log/0000000003"));
    log_kit_read(&f.r, &f.l);
    assert_numbers(&f.l, "1 2 3");
    assert_true(f.l.head == 3);
    assert_int_equal(f.l.heads.len, 1);
    assert_true(sha256_eq(&f.l.heads.v[0], &f.l.v.v[2].hash));
    assert_true(sha256_eq(&f.l.head_hash, &f.l.v.v[2].hash));
    assert_true(sha256_eq(&f.l.v.v[2].prev.v[0], &f.l.v.v[1].hash));
    assert_true(f.l.v.v[0].stored_at_ms == MEMSTORE_START_MS);
    assert_true(f.l.v.v[1].stored_at_ms == MEMSTORE_START_MS + 5000);
    assert_true(log_stored_at_ms(&f.l, 2) == MEMSTORE_START_MS + 5000);
    assert_true(log_stored_at_ms(&f.l, 9) == 0);
    assert_true(log_find(&f.l, 2) == &f.l.v.v[1]);
    assert_true(log_find_hash(&f.l, 2, &f.l.v.v[1].hash) == &f.l.v.v[1]);
    assert_null(log_find_hash(&f.l, 2, &f.l.v.v[0].hash));
}

static void holes(void **s)
{
    (void)s;
    for (unsigned hole = 1; hole <= 3; hole++) {
        struct fixture f CLEANUP(fixture_clear) = {0};
        open_with(&f, 4);
        log_kit_drop(&f.r, hole);
        CLEANUP(str_freep) char *want = str_printf("log entry %u is missing", hole);
        assert_problem(&f, want);
    }
}

// Nobody but those who remember can tell a store that shows less.
static void the_end_is_missing(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    open_with(&f, 4);
    struct log_opts o = {.expect_last = {.seq = 4, .hash = f.l.head_hash}};
    log_kit_drop(&f.r, 4);
    assert_fine(&f);
    CLEANUP(str_freep) char *got = log_kit_problem(&f.r, &o);
    assert_non_null(strstr(got, "rolled back: the log ends at 3, entry 4 ("));
    o.only_head = true;
    CLEANUP(str_freep) char *head = log_kit_problem(&f.r, &o);
    assert_non_null(strstr(head, "rolled back"));
}

static void wrong_links(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    open_with(&f, 4);
    struct sha256 first = f.l.v.v[0].hash;
    struct entry e = kit_snapshot(true);
    log_kit_put(&f.r, &e, 5, &first, "writer");
    assert_problem(&f, "log entry 5: its prev is not the entry before it");
    e = kit_snapshot(true); // one that another stands on is exchanged
    log_kit_drop(&f.r, 5);
    log_kit_put(&f.r, &e, 3, &f.l.v.v[1].hash, "writer");
    assert_problem(&f, "log entry 4: its prev is not the entry before it");
    struct sha256 more;
    memset(more.b, 0xff, sizeof(more.b));
    e = kit_snapshot(true); // two where only one can be
    *vec_push(&e.prev) = f.l.v.v[1].hash;
    log_kit_put(&f.r, &e, 3, &more, "writer");
    assert_problem(&f, "log entry 3: its prev is not the entry before it");
}

static void swapped_files(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    open_with(&f, 3);
    const struct buf *two = memstore_file(f.r.store, "chains/prod/log/0000000002");
    memstore_put(f.r.store, "chains/prod/log/0000000003", two->p, two->len);
    assert_problem(&f, "log entry 3: it has number 2 in itself");
}

static void of_another_chain(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    struct sha256 hash = {0};
    open_empty(&f);
    // A verdict, by a judge of all chains: the only ones who can.
    struct entry snapshot = {.seq = 1};
    struct entry e = kit_verdict(&snapshot, VERDICT_BAD);
    e.chain = str_dup("stage");
    log_kit_bytes(&f.r, &e, 2, &hash, "judge", &b, &hash);
    memstore_put(f.r.store, "chains/prod/log/0000000002", b.p, b.len);
    assert_problem(&f, "log entry 2: it belongs to chain stage");
    b.len = 0;
    e = kit_snapshot(true);
    log_kit_bytes(&f.r, &e, 1, NULL, "writer", &b, &hash);
    memstore_put(f.r.store, "chains/stage/log/0000000001", b.p, b.len);
    struct log l CLEANUP(log_clear) = {0};
    struct log_opts o = {0};
    struct err err = {0};
    assert_false(log_read(&f.r, "stage", &o, &l, &err));
    assert_non_null(strstr(err.msg, "may not sign a snapshot in chain stage"));
    err_clear(&err);
}

static void of_another_repository(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    struct sha256 hash;
    open_empty(&f);
    struct entry e = kit_snapshot(true);
    struct signer writer = kit_signer("writer");
    struct err err = {0};
    e.chain = str_dup(PROD);
    e.tool = str_dup("by hand");
    e.seq = 1;
    e.trust = 1;
    assert_true(entry_write(&e, &writer, &b, &hash, &err));
    entry_clear(&e);
    memstore_put(f.r.store, "chains/prod/log/0000000001", b.p, b.len);
    assert_problem(&f, "log entry 1: it belongs to another repository");
}

static void forged(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    open_with(&f, 1);
    struct sha256 prev = f.l.head_hash;
    struct entry e = kit_snapshot(true);
    log_kit_put(&f.r, &e, 2, &prev, "mallory");
    assert_problem(&f, "log entry 2: key ");
    assert_problem(&f, "may not sign a snapshot");
    e = kit_snapshot(true);
    log_kit_put(&f.r, &e, 2, &prev, "judge");
    assert_problem(&f, "may not sign a snapshot");
    e = kit_verdict(&f.l.v.v[0], VERDICT_GOOD);
    log_kit_put(&f.r, &e, 2, &prev, "writer"); // never its own judge
    assert_problem(&f, "may not sign a verdict");
    e = kit_checkpoint();
    log_kit_put(&f.r, &e, 2, &prev, "writer");
    assert_problem(&f, "may not sign a checkpoint");
    e = kit_snapshot(true);
    e.trust = 2;
    log_kit_put(&f.r, &e, 2, &prev, "writer");
    assert_problem(&f, "log entry 2: it names trust 2, which is missing (the newest is 1)");
    memstore_put(f.r.store, "chains/prod/log/0000000002", "", 0);
    assert_problem(&f, "log entry 2: ");
    memstore_put(f.r.store, "chains/prod/log/0000000002", "{}\n", 3);
    assert_problem(&f, "log entry 2: ");
}

// What is signed by nobody is judged by its signature, whatever it would have meant.
static void nothing_is_parsed_before_its_signature(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    open_with(&f, 1);
    CLEANUP(str_freep) char *name = log_name(&f.r, PROD, 1, NULL);
    struct buf b CLEANUP(buf_clear) = {0};
    const struct buf *file = memstore_file(f.r.store, name);
    buf_append(&b, file->p, file->len);
    const char *end = memchr(b.p, '\n', b.len);
    size_t line = (size_t)(end - b.p);
    for (size_t i = strlen("{\"type\":\"regrow snapshot v1\","); i < line; i++) {
        char was = b.p[i];
        b.p[i] = was == 'x' ? 'y' : 'x';
        memstore_put(f.r.store, name, b.p, b.len);
        assert_problem(&f, "does not hold");
        b.p[i] = was;
    }
    for (size_t i = 0; i < b.len; i++) {
        b.p[i] = (char)(b.p[i] ^ 1 << i % 8);
        memstore_put(f.r.store, name, b.p, b.len);
        assert_problem(&f, "log entry 1: ");
        b.p[i] = (char)(b.p[i] ^ 1 << i % 8);
    }
    for (size_t len = 0; len < b.len; len++) {
        memstore_put(f.r.store, name, b.p, len);
        assert_problem(&f, "log entry 1: ");
    }
    CLEANUP(str_freep) char *signature = str_dup(b.p + line + 1); // twice the same
    buf_str(&b, signature);
    memstore_put(f.r.store, name, b.p, b.len);
    assert_problem(&f, "log entry 1: ");
}

static void two_signatures(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    struct buf one CLEANUP(buf_clear) = {0};
    struct buf two CLEANUP(buf_clear) = {0};
    struct sha256 hash;
    struct signed_line line;
    json_t *body = NULL;
    struct err err = {0};
    enum entry_kind kind;
    open_empty(&f);
    struct entry e = kit_snapshot(true);
    log_kit_bytes(&f.r, &e, 1, NULL, "writer", &one, &hash);
    assert_true(entry_split(one.p, one.len, &kind, &line, &err));
    assert_true(signed_json(&line, &body, &err));
    json_object_del(body, "type");
    struct signer both[2] = {kit_signer("writer"), kit_signer("judge")};
    signed_write("snapshot", body, both, 2, &two);
    json_decref(body);
    memstore_put(f.r.store, "chains/prod/log/0000000001", two.p, two.len);
    assert_problem(&f, "log entry 1: 2 signatures where one belongs");
}

static void names_that_are_none(void **s)
{
    (void)s;
    static const char *const names[] = {
        "chains/prod/log/readme",           "chains/prod/log/3",
        "chains/prod/log/00000000031",      "chains/prod/log/0000000000",
        "chains/prod/log/000000003x",       "chains/prod/log/0000000003-0123456789abcdef",
        "chains/prod/log/0000000003/extra", "chains/prod/log2/0000000003",
    };
    struct fixture f CLEANUP(fixture_clear) = {0};
    open_with(&f, 2);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        memstore_put(f.r.store, names[i], "junk", 4);
    log_kit_read(&f.r, &f.l);
    assert_numbers(&f.l, "1 2");
    struct log_opts o = {0};
    struct err err = {0};
    log_clear(&f.l);
    assert_false(log_read(&f.r, "../prod", &o, &f.l, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    err_clear(&err);
}

static void too_large(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    open_with(&f, 1);
    CLEANUP(str_freep) char *large = mem_alloc(ENTRY_MAX_BYTES + 1);
    memstore_put(f.r.store, "chains/prod/log/0000000002", large, ENTRY_MAX_BYTES + 1);
    assert_problem(&f, "log entry 2: ");
}

// ---- stale lists, and a pruner at work ----

struct script {
    struct fixture *f;
    unsigned lists; // how many are stale
    bool done;
};

static enum memstore_fault stale_lists(void *ctx, const struct memstore_call *call)
{
    struct script *x = ctx;
    return call->op == MEM_LIST && x->lists && x->lists-- ? MEM_STALE : MEM_FINE;
}

static void a_stale_list(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    struct script x = {.f = &f, .lists = 1};
    open_with(&f, 4);
    memstore_hook(f.r.store, stale_lists, &x);
    log_kit_read(&f.r, &f.l);
    assert_numbers(&f.l, "1 2 3 4");
    assert_true(f.l.v.v[2].stored_at_ms == MEMSTORE_START_MS);
    assert_true(f.l.v.v[3].stored_at_ms == 0); // found, but not listed
}

// Commits a checkpoint that keeps only the newest, and deletes the rest, as the first file is read.
static enum memstore_fault prune_meanwhile(void *ctx, const struct memstore_call *call)
{
    struct script *x = ctx;
    if (call->op != MEM_GET || x->done || !str_ends(call->name, "0000000004"))
        return MEM_FINE;
    x->done = true;
    struct entry c = kit_checkpoint();
    kit_keep(&c, &x->f->l.v.v[3]);
    struct sha256 prev = x->f->l.head_hash;
    log_kit_put(&x->f->r, &c, 5, &prev, "pruner");
    for (uint64_t seq = 1; seq <= 3; seq++)
        log_kit_drop(&x->f->r, seq);
    return MEM_FINE;
}

static void a_pruner_is_no_hole(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    struct script x = {.f = &f};
    struct log l CLEANUP(log_clear) = {0};
    open_with(&f, 4);
    memstore_hook(f.r.store, prune_meanwhile, &x);
    log_kit_read(&f.r, &l);
    assert_true(x.done);
    assert_numbers(&l, "4 5");
    assert_int_equal(l.checkpoint, 1);
}

static enum memstore_fault never_there(void *ctx, const struct memstore_call *call)
{
    (void)ctx;
    return call->op == MEM_GET && str_ends(call->name, "0000000002") ? MEM_FAIL : MEM_FINE;
}

// A store that does not answer is not a hole.
static void no_answer(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    struct log_opts o = {0};
    struct err err = {0};
    open_with(&f, 3);
    memstore_hook(f.r.store, never_there, NULL);
    log_clear(&f.l);
    assert_false(log_read(&f.r, PROD, &o, &f.l, &err));
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    assert_non_null(strstr(err.msg, "log entry 2"));
    err_clear(&err);
}

// ---- checkpoints ----

static void checkpoint(struct fixture *f, const char *keep, const char *wait)
{
    struct entry c = kit_checkpoint();
    for (const char *p = keep; *p; p++)
        kit_keep(&c, log_find(&f->l, (uint64_t)(*p - '0')));
    for (const char *p = wait; *p; p++)
        kit_wait(&c, log_find(&f->l, (uint64_t)(*p - '0')), f->l.head + 1);
    log_kit_append(&f->r, &f->l, &c);
}

static void assert_standings(const struct log *l, const char *want)
{
    struct buf b CLEANUP(buf_clear) = {0};
    for (size_t i = 0; i < l->v.len; i++)
        buf_char(&b, "LWD"[log_standing(l, &l->v.v[i])]);
    assert_string_equal(b.p, want);
}

static void what_is_kept(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    open_with(&f, 5);
    checkpoint(&f, "15", "3");
    log_kit_snapshot(&f.r, &f.l);
    log_kit_read(&f.r, &f.l);
    assert_numbers(&f.l, "1 3 5 6 7");
    assert_standings(&f.l, "LWLLL");
    assert_int_equal(f.l.checkpoint, 3);
    // 2 and 4 are nobody's business now, whatever lies there.
    log_kit_drop(&f.r, 2);
    memstore_put(f.r.store, "chains/prod/log/0000000004", "junk", 4);
    log_kit_read(&f.r, &f.l);
    assert_numbers(&f.l, "1 3 5 6 7");
    assert_true(log_stored_at_ms(&f.l, 4) != 0);
    // A late writer makes a deleted number: dead on arrival.
    struct entry late = kit_snapshot(true);
    log_kit_put(&f.r, &late, 2, &f.l.v.v[0].hash, "writer");
    assert_fine(&f);
}

static void what_is_kept_must_be_there(void **s)
{
    (void)s;
    for (unsigned seq = 1; seq <= 3; seq += 2) {
        struct fixture f CLEANUP(fixture_clear) = {0};
        const char *word = seq == 1 ? "keeps" : "lets wait";
        open_with(&f, 5);
        checkpoint(&f, "15", "3");
        struct entry e = kit_snapshot(false);
        struct sha256 prev = f.l.v.v[0].prev.len ? f.l.v.v[0].prev.v[0] : (struct sha256){0};
        log_kit_put(&f.r, &e, seq, seq == 1 ? NULL : &prev, "writer");
        CLEANUP(str_freep)
        char *other = str_printf("log entry %u is not the one that checkpoint 6 %s", seq, word);
        assert_problem(&f, other);
        log_kit_drop(&f.r, seq);
        CLEANUP(str_freep)
        char *gone = str_printf("log entry %u, which checkpoint 6 %s, is missing", seq, word);
        assert_problem(&f, gone);
    }
}

static void above_a_checkpoint_nothing_is_missing(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    open_with(&f, 2);
    checkpoint(&f, "2", "");
    log_kit_snapshot(&f.r, &f.l);
    log_kit_snapshot(&f.r, &f.l);
    log_kit_drop(&f.r, 1);
    assert_fine(&f);
    log_kit_drop(&f.r, 4);
    assert_problem(&f, "log entry 4 is missing");
}

// The newest one decides; what an older one kept is gone.
static void two_checkpoints(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    open_with(&f, 2);
    checkpoint(&f, "12", "");
    log_kit_snapshot(&f.r, &f.l);
    checkpoint(&f, "24", "1");
    log_kit_read(&f.r, &f.l);
    assert_numbers(&f.l, "1 2 4 5");
    assert_standings(&f.l, "WLLL");
    checkpoint(&f, "24", "");
    log_kit_drop(&f.r, 1);
    log_kit_drop(&f.r, 3);
    log_kit_drop(&f.r, 5);
    log_kit_read(&f.r, &f.l);
    assert_numbers(&f.l, "2 4 6");
}

// A real entry lost for good: a person names it, and a checkpoint writes it off.
static void lost_for_good(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    const uint64_t lost[] = {2, 5};
    struct log_opts o = {.lost = lost, .n_lost = 1};
    struct err err = {0};
    open_with(&f, 4);
    log_kit_drop(&f.r, 2);
    assert_problem(&f, "log entry 2 is missing");
    log_clear(&f.l);
    assert_true(log_read(&f.r, PROD, &o, &f.l, &err));
    assert_numbers(&f.l, "1 3 4");
    checkpoint(&f, "134", "");
    assert_fine(&f);
    log_kit_drop(&f.r, 3); // one that is kept
    assert_problem(&f, "log entry 3, which checkpoint 5 keeps, is missing");
    o.lost = (const uint64_t[]){3};
    log_clear(&f.l);
    assert_true(log_read(&f.r, PROD, &o, &f.l, &err));
    assert_numbers(&f.l, "1 4 5");
    checkpoint(&f, "14", "");
    log_kit_read(&f.r, &f.l);
    assert_numbers(&f.l, "1 4 6");
}

// What stands there is never passed over: to be lost is to be gone.
static void lost_is_not_forged(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    struct log_opts o = {.lost = (const uint64_t[]){2}, .n_lost = 1};
    open_with(&f, 3);
    memstore_put(f.r.store, "chains/prod/log/0000000002", "junk", 4);
    CLEANUP(str_freep) char *got = log_kit_problem(&f.r, &o);
    assert_non_null(strstr(got, "log entry 2: "));
}

// Links of what a checkpoint keeps are looked at where both ends are there.
static void links_below_a_checkpoint(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    open_with(&f, 2);
    struct sha256 nothing = {0};
    struct entry e = kit_snapshot(true);
    struct sha256 three = log_kit_put(&f.r, &e, 3, &nothing, "writer");
    struct entry c = kit_checkpoint();
    kit_keep(&c, &f.l.v.v[0]);
    kit_keep(&c, &f.l.v.v[1]);
    *vec_push(&c.checkpoint.keep) = (struct seq_hash){.seq = 3, .hash = three};
    log_kit_put(&f.r, &c, 4, &three, "pruner");
    assert_problem(&f, "log entry 3: its prev is not the entry before it");
}

// ---- revoked keys ----

static void void_entries(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    open_with(&f, 4);
    log_kit_revoke(&f.r, "writer", 2);
    log_kit_read(&f.r, &f.l);
    assert_numbers(&f.l, "1 2 3v 4v");
    assert_standings(&f.l, "LLDD");
    assert_true(log_newest_snapshot(&f.l)->seq == 2);
    assert_true(log_latest_good(&f.l)->seq == 2);
    assert_true(f.l.head == 4); // they keep the links
    log_kit_drop(&f.r, 3);
    assert_problem(&f, "log entry 3 is missing");
}

static void a_void_checkpoint_is_none(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    open_with(&f, 3);
    checkpoint(&f, "3", "");
    log_kit_read(&f.r, &f.l);
    assert_numbers(&f.l, "3 4");
    log_kit_revoke(&f.r, "pruner", 3);
    log_kit_read(&f.r, &f.l);
    assert_numbers(&f.l, "1 2 3 4v");
    assert_int_equal(f.l.checkpoint, -1);
    log_kit_drop(&f.r, 1); // a thief's checkpoint hides nothing
    assert_problem(&f, "log entry 1 is missing");
}

static void a_void_verdict_says_nothing(void **s)
{
    (void)s;
    struct fixture f CLEANUP(fixture_clear) = {0};
    open_with(&f, 1);
    struct entry v = kit_verdict(&f.l.v.v[0], VERDICT_BAD);
    log_kit_append(&f.r, &f.l, &v);
    log_kit_read(&f.r, &f.l);
    assert_null(log_latest_good(&f.l));
    log_kit_revoke(&f.r, "judge", 1);
    log_kit_read(&f.r, &f.l);
    assert_true(log_latest_good(&f.l)->seq == 1);
}

// ---- a log that is too long ----

struct long_store {
    struct store base;
    size_t n;
};

static bool long_get(struct store *s, const char *name, size_t max_bytes, struct buf *out,
                     bool *found, struct err *err)
{
    (void)s;
    (void)name;
    (void)max_bytes;
    (void)out;
    (void)err;
    *found = false;
    return true;
}

static bool long_list(struct store *s, const char *prefix, struct store_items *out, struct err *err)
{
    (void)err;
    for (size_t i = 1; i <= ((struct long_store *)s)->n; i++)
        vec_push(&out->v)->name = str_printf("%s%010zu", prefix, i);
    return true;
}

static void too_long(void **s)
{
    (void)s;
    const struct store_ops ops = {.get = long_get, .list = long_list};
    for (size_t n = 100000; n <= 100001; n++) {
        struct fixture f CLEANUP(fixture_clear) = {0};
        struct long_store many = {.base = {.ops = &ops, .url = (char *)"long"}, .n = n};
        open_empty(&f);
        struct store *own = f.r.store;
        f.r.store = &many.base;
        assert_problem(&f, n == 100000 ? "log entry 100000 is missing" : "more than 100000 log");
        f.r.store = own;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_one),
        cmocka_unit_test(entries_in_order),
        cmocka_unit_test(holes),
        cmocka_unit_test(the_end_is_missing),
        cmocka_unit_test(wrong_links),
        cmocka_unit_test(swapped_files),
        cmocka_unit_test(of_another_chain),
        cmocka_unit_test(of_another_repository),
        cmocka_unit_test(forged),
        cmocka_unit_test(nothing_is_parsed_before_its_signature),
        cmocka_unit_test(two_signatures),
        cmocka_unit_test(names_that_are_none),
        cmocka_unit_test(too_large),
        cmocka_unit_test(a_stale_list),
        cmocka_unit_test(a_pruner_is_no_hole),
        cmocka_unit_test(no_answer),
        cmocka_unit_test(what_is_kept),
        cmocka_unit_test(what_is_kept_must_be_there),
        cmocka_unit_test(above_a_checkpoint_nothing_is_missing),
        cmocka_unit_test(two_checkpoints),
        cmocka_unit_test(lost_for_good),
        cmocka_unit_test(lost_is_not_forged),
        cmocka_unit_test(links_below_a_checkpoint),
        cmocka_unit_test(void_entries),
        cmocka_unit_test(a_void_checkpoint_is_none),
        cmocka_unit_test(a_void_verdict_says_nothing),
        cmocka_unit_test(too_long),
    };
    return cmocka_run_group_tests_name("snapshot log", tests, NULL, NULL);
}
