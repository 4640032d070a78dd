// SPDX-License-Identifier: Apache-2.0
//
// Which snapshot is meant: the newest good one of a time, and of which revision one is.
#include "restore/which.h"

#include "tests/snapshot/snapkit.h"
#include "tests/test.h"

static const struct entry *append(struct repo *r, struct log *l, int64_t at, bool good)
{
    struct entry e = kit_snapshot(good);
    e.time_unix_s = at;
    return log_kit_append(r, l, &e);
}

static uint64_t seq_at(const struct log *l, int64_t at)
{
    const struct entry *e = which_at(l, at);
    return e ? e->seq : 0;
}

static void newest_good_of_then_or_before(void **state)
{
    struct repo r = {0};
    struct log l = {0};
    (void)state;
    log_kit_open(log_kit_store(true), &r);
    log_kit_read(&r, &l);
    append(&r, &l, 1000, true);
    append(&r, &l, 2000, false);
    append(&r, &l, 3000, true);
    struct entry bad = kit_verdict(append(&r, &l, 4000, true), VERDICT_BAD);
    log_kit_append(&r, &l, &bad);
    assert_int_equal(seq_at(&l, 999), 0);
    assert_int_equal(seq_at(&l, 1000), 1);
    assert_int_equal(seq_at(&l, 2500), 1); // the second is suspect
    assert_int_equal(seq_at(&l, 3000), 3);
    assert_int_equal(seq_at(&l, 9000), 3); // the last was judged bad
    log_clear(&l);
    repo_close(&r);
}

// Copies that arrived in another order than their originals were taken in.
static void copies_count_as_their_originals(void **state)
{
    struct repo r = {0};
    struct log l = {0};
    (void)state;
    log_kit_open(log_kit_store(true), &r);
    log_kit_read(&r, &l);
    static const int64_t taken[] = {3000, 1000, 2000};
    for (size_t i = 0; i < ARRAY_LEN(taken); i++) {
        struct entry e = kit_snapshot(true);
        e.time_unix_s = 9000 + (int64_t)i;
        e.snapshot.origin = str_printf("/there prod %zu", i + 1);
        e.snapshot.taken_unix_s = taken[i];
        log_kit_append(&r, &l, &e);
    }
    assert_int_equal(seq_at(&l, 999), 0);
    assert_int_equal(seq_at(&l, 1999), 2);
    assert_int_equal(seq_at(&l, 2999), 3);
    assert_int_equal(seq_at(&l, 9999), 1);
    log_clear(&l);
    repo_close(&r);
}

static char *add(struct writer *w, const char *text)
{
    char hex[33];
    struct blob_id id = writer_add(w, 'l', text, strlen(text));
    blob_id_hex(&id, hex);
    return str_dup(hex);
}

#define EXACT "0123456789abcdef0123456789abcdef01234567"
#define GOOD "89abcdef0123456789abcdef0123456789abcdef"

static char *add_healthy(struct writer *w, const char *rows)
{
    if (!rows)
        return str_dup("");
    CLEANUP(str_freep) char *text = str_printf("{\"applications\":[%s]}\n", rows);
    CLEANUP(str_freep) char *id = add(w, text);
    return str_printf(",\"healthy\":{\"blob\":\"%s\"}", id);
}

// The root's name has a blank, which lists write as a dash; another application is read past.
// known: rows of the list of healthy revisions; NULL: there is none.
static void look(const char *known, char **revision, char **healthy)
{
    struct repo r = {0};
    struct err err = {0};
    struct entry e = {.kind = ENTRY_SNAPSHOT};
    struct entry out = {0};
    struct credential job = snap_kit_job("writer");
    struct age_identity id = kit_identity(1);
    struct writer_opts o = {.job = &job};
    struct writer *w = NULL;
    struct reader *rd = NULL;
    log_kit_open(log_kit_store(true), &r);
    assert_true(writer_begin(&r, &o, &w, &err));
    CLEANUP(str_freep)
    char *app =
        add(w, "{\"name\":\"my-root\",\"sources\":[{\"kind\":\"git\",\"url\":\"https://g/x\","
               "\"target\":\"main\"}]}\n");
    CLEANUP(str_freep)
    char *source = add(w, "{\"kind\":\"git\",\"url\":\"https://g/x\",\"target\":\"main\","
                          "\"revision\":\"" EXACT "\"}\n");
    CLEANUP(str_freep)
    char *shard_text =
        str_printf("{\"applications\":[{\"name\":\"a\"},{\"name\":\"my-root\",\"blob\":"
                   "\"%s\"}]}\n",
                   app);
    CLEANUP(str_freep) char *shard = add(w, shard_text);
    CLEANUP(str_freep)
    char *list =
        str_printf("{\"sources\":[{\"kind\":\"git\",\"url\":\"https://g/x\",\"target\":\"v1\"},"
                   "{\"kind\":\"git\",\"url\":\"https://g/x\",\"target\":\"main\",\"blob\":"
                   "\"%s\"}]}\n",
                   source);
    CLEANUP(str_freep) char *sources = add(w, list);
    CLEANUP(str_freep) char *now = add_healthy(w, known);
    CLEANUP(str_freep)
    char *root =
        str_printf("{\"type\":\"regrow root v1\",\"name\":\"my root\",\"shards\":{\"blobs\":["
                   "\"%s\"]},\"sources\":{\"blob\":\"%s\"}%s}\n",
                   shard, sources, now);
    e.snapshot.root = writer_add(w, 'r', root, strlen(root));
    e.snapshot.is_good = true;
    if (!writer_commit(w, &e.snapshot, &out, &err) ||
        !reader_open(&r, PROD, &out, &id, &rd, &err) ||
        !(healthy ? which_healthy(rd, revision, healthy, &err)
                  : which_revision(rd, revision, &err)))
        fail_msg("%s", err.msg);
    reader_free(rd);
    writer_free(w);
    entry_clear(&e);
    entry_clear(&out);
    credential_clear(&job);
    repo_close(&r);
}

static void revision_of_the_root(void **state)
{
    CLEANUP(str_freep) char *revision = NULL;
    (void)state;
    look(NULL, &revision, NULL);
    assert_string_equal(revision, EXACT);
}

#define ROW(name, revision) "{\"name\":\"" name "\",\"revision\":\"" revision "\"}"

static void knows(const char *known, const char *want)
{
    CLEANUP(str_freep) char *revision = NULL;
    CLEANUP(str_freep) char *healthy = NULL;
    look(known, &revision, &healthy);
    assert_string_equal(revision, EXACT);
    if (!str_eq(healthy, want))
        fail_msg("%s, not %s", healthy ? healthy : "nothing", want ? want : "nothing");
}

static void the_commit_that_was_healthy(void **state)
{
    (void)state;
    knows(ROW("a", EXACT) "," ROW("my-root", GOOD), GOOD);
    knows(NULL, NULL);
    knows("", NULL);              // of before there were such lists
    knows(ROW("a", EXACT), NULL); // an application's is not the root's
    knows(ROW("my-root", "main"), NULL);
    knows(ROW("my-root", "\\u001b[31m"), NULL);
    knows("7,{\"name\":7,\"revision\":[]}", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(newest_good_of_then_or_before),
        cmocka_unit_test(copies_count_as_their_originals),
        cmocka_unit_test(revision_of_the_root),
        cmocka_unit_test(the_commit_that_was_healthy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
