// SPDX-License-Identifier: Apache-2.0
//
// How clusters are shared among replicas: the rule alone. That replicas keep to it, and take over
// from one that was killed, the end-to-end test of the fleet shows.
#include "reconcile/shards.h"
#include "tests/test.h"

// Whatever their numbers: there is room for all, and nobody has more than one above another.
static void nobody_has_too_much(void **s)
{
    (void)s;
    for (size_t clusters = 0; clusters <= 201; clusters++)
        for (size_t replicas = 1; replicas <= 9; replicas++) {
            size_t quota = shard_quota(clusters, replicas);
            assert_true(quota * replicas >= clusters);
            assert_true(!quota || (quota - 1) * replicas < clusters);
        }
    assert_int_equal(shard_quota(51, 2), 26);
    assert_int_equal(shard_quota(200, 1), 200);
}

static void a_cluster_has_one_lease(void **s)
{
    (void)s;
    CLEANUP(str_freep) char *a = shard_lease_name("https://10.0.0.1:6443");
    CLEANUP(str_freep) char *again = shard_lease_name("https://10.0.0.1:6443");
    CLEANUP(str_freep) char *b = shard_lease_name("https://10.0.0.1:6444");
    CLEANUP(str_freep) char *other = shard_lease_name("https://10.0.0.1:6443#team-a");
    assert_string_equal(a, again);
    assert_string_not_equal(a, b);
    assert_string_not_equal(a, other);
    assert_int_equal(strlen(a), strlen("cluster-") + 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nobody_has_too_much),
                                       cmocka_unit_test(a_cluster_has_one_lease)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
