// SPDX-License-Identifier: Apache-2.0
//
// What the controller makes of the end of a `snapshot create` of its own, when it tries again, and
// which of its options that one gets.
#include "tests/test.h"

#include "cli/snapshotting.h"

static void expect(int exit_code, const char *out, const char *err_text, enum snapshot_end end,
                   unsigned long long seq, const char *message)
{
    struct buf o CLEANUP(buf_clear) = {0};
    struct buf e CLEANUP(buf_clear) = {0};
    struct snapshot_outcome got;
    buf_str(&o, out);
    buf_str(&e, err_text);
    snapshot_outcome_read(exit_code, &o, &e, &got);
    assert_int_equal(got.end, end);
    assert_int_equal(got.seq, seq);
    if (message)
        assert_string_equal(got.message, message);
    else
        assert_null(got.message);
    snapshot_outcome_clear(&got);
}

static void outcomes(void **state)
{
    (void)state;
    expect(0, "{\"seq\":7,\"changed\":true}\n", "", SNAPSHOT_TAKEN, 7, NULL);
    expect(0, "{\"seq\":7,\"changed\":false}\n", "", SNAPSHOT_SAME, 7, NULL);
    expect(10, "{\"seq\":8,\"changed\":true,\"why\":[\"unknown\",3,\"objects\"]}", "",
           SNAPSHOT_SUSPECT, 8, "snapshot 8 is suspect: unknown, objects");
    expect(10, "{\"seq\":8,\"why\":[\"unknown\"],\"warnings\":[\"shop is unknown: gone\"]}", "",
           SNAPSHOT_SUSPECT, 8, "snapshot 8 is suspect: unknown; shop is unknown: gone");
    expect(7, "", "! a warning\n{\"type\":\"error\",\"message\":\"the store is gone\"}\n",
           SNAPSHOT_FAILED, 0, "the store is gone");
    expect(137, "", "", SNAPSHOT_FAILED, 0, "snapshot create ended with 137");
    expect(7, "", "{\"message\":\"a\\u001b[2Jb\"}", SNAPSHOT_FAILED, 0, "a?[2Jb");
    // What does not say which it is was none.
    expect(0, "", "", SNAPSHOT_FAILED, 0, "snapshot create ended with 0");
    expect(0, "[1]", "x", SNAPSHOT_FAILED, 0, "snapshot create ended with 0");
    expect(0, "{\"seq\":-1}", "", SNAPSHOT_FAILED, 0, "snapshot create ended with 0");
    expect(0, "{\"seq\":", "\n\n", SNAPSHOT_FAILED, 0, "snapshot create ended with 0");
}

static void retries(void **state)
{
    (void)state;
    assert_int_equal(snapshot_retry_ms(1, 300000), 10000); // it may be a moment's trouble
    assert_int_equal(snapshot_retry_ms(2, 300000), 300000);
    assert_int_equal(snapshot_retry_ms(2, 1000), 20000);
    assert_int_equal(snapshot_retry_ms(7, 300000), 640000);
    assert_int_equal(snapshot_retry_ms(4000000, 300000), 1800000);
}

static void shared(void **state)
{
    (void)state;
    static const char *const argv[] = {
        "-vo",          "ndjson",       "--poll",  "30s",           "--key=job.key",
        "--mirror",     "https://a=/b", "--trust", "@pin",          "--no-prune",
        "--ready",      "X=applied",    "--quiet", "--snapshot-to", "s3://x",
        "--no-secrets", "apps/",        "--",      "--key=other"};
    static const char *const want[] = {
        "--verbose",    "--output=ndjson", "--key=job.key", "--mirror=https://a=/b",
        "--trust=@pin", "--quiet",         "--no-secrets"};
    struct strv got = {0};
    options_shared(command_find("reconcile"), command_find("snapshot create"), ARRAY_LEN(argv),
                   argv, &got);
    assert_int_equal(got.len, ARRAY_LEN(want));
    for (size_t i = 0; i < got.len; i++)
        assert_string_equal(got.v[i], want[i]);
    strv_clear(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outcomes),
        cmocka_unit_test(retries),
        cmocka_unit_test(shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
