// SPDX-License-Identifier: Apache-2.0
//
// Turns per host; and things that are wanted, once each.
#include "source/hosts.h"

#include "source/wanted.h"
#include "tests/test.h"

struct guest {
    struct turn turn;
    unsigned begun, refused;
};

static void go(void *ctx, const struct err *dead)
{
    struct guest *g = ctx;
    g->begun += !dead;
    g->refused += dead != NULL;
}

static void rounds(struct loop *l)
{
    for (int i = 0; i < 20; i++)
        loop_run_once(l, 1);
}

static unsigned sum(const struct guest *g, size_t n, bool refused)
{
    unsigned all = 0;
    for (size_t i = 0; i < n; i++)
        all += refused ? g[i].refused : g[i].begun;
    return all;
}

static void ask(struct hosts *h, struct guest *g, size_t n, const char *url, unsigned at_once)
{
    for (size_t i = 0; i < n; i++) {
        g[i].turn = (struct turn){.go = go, .ctx = &g[i]};
        turn_ask(h, url, at_once, &g[i].turn);
    }
}

static void as_many_as_allowed(void **s)
{
    (void)s;
    struct loop *l = loop_new(NULL);
    struct hosts *h = hosts_new(l);
    struct guest a[10] = {0};
    struct guest b[10] = {0};
    ask(h, a, 10, "https://a/x", 3);
    ask(h, b, 10, "https://b/x", 4);
    assert_int_equal(sum(a, 10, false), 0); // never before the loop
    rounds(l);
    assert_int_equal(sum(a, 10, false), 3);
    assert_int_equal(sum(b, 10, false), 4);
    turn_end(&a[0].turn, NULL);
    turn_end(&a[9].turn, NULL); // still waits: leaves the queue
    turn_end(&a[3].turn, NULL);
    rounds(l);
    assert_int_equal(sum(a, 10, false), 4);
    assert_int_equal(a[9].begun + a[3].begun, 0);
    for (size_t i = 1; i < 9; i++) {
        turn_end(&a[i].turn, NULL);
        rounds(l);
    }
    assert_int_equal(sum(a, 10, false), 8);
    hosts_free(h);
    loop_free(l);
}

static void the_dead_are_asked_once(void **s)
{
    (void)s;
    struct loop *l = loop_new(NULL);
    struct hosts *h = hosts_new(l);
    struct guest a[10] = {0};
    struct guest b[2] = {0};
    struct err gone = {0};
    err_set(&gone, ERR_UNAVAILABLE, "gone");
    ask(h, a, 10, "https://a/x", 3);
    ask(h, b, 2, "https://a:8443/x", 3); // another port is another host
    rounds(l);
    turn_end(&a[0].turn, &gone);
    rounds(l);
    assert_int_equal(sum(a, 10, true), 7);
    assert_int_equal(sum(b, 2, true), 0);
    turn_end(&a[1].turn, NULL);
    turn_end(&a[2].turn, NULL);
    struct guest late = {0};
    ask(h, &late, 1, "https://A:443/y", 3);
    rounds(l);
    assert_int_equal(late.refused, 1);
    err_clear(&gone);
    hosts_free(h);
    loop_free(l);
}

static void one_failure_kills_no_host_that_works(void **s)
{
    (void)s;
    struct loop *l = loop_new(NULL);
    struct hosts *h = hosts_new(l);
    struct guest a[9] = {0};
    struct err gone = {0};
    err_set(&gone, ERR_TIMEOUT, "silent");
    ask(h, a, 9, "https://a/x", 3);
    rounds(l);
    turn_end(&a[0].turn, NULL);
    turn_end(&a[1].turn, &gone);
    turn_end(&a[2].turn, &gone);
    rounds(l);
    assert_int_equal(sum(a, 9, true), 0);
    assert_int_equal(sum(a, 9, false), 6);
    turn_end(&a[3].turn, &gone); // as many in a row as it is asked at once
    rounds(l);
    assert_int_equal(sum(a, 9, true), 3);
    err_clear(&gone);
    hosts_free(h);
    loop_free(l);
}

struct thing {
    struct wanted wanted;
    unsigned started, told;
};

static void start(struct wanted *w)
{
    ((struct thing *)w)->started++;
}

static void tell(void *ctx)
{
    ((struct thing *)ctx)->told++;
}

static void wanted_things_come_once(void **s)
{
    (void)s;
    struct thing t = {.wanted.start = start};
    struct waits w = {0};
    struct err err = {0};
    struct err bad = {0};
    for (int i = 0; i < 3; i++) {
        assert_false(wanted_wait(&t.wanted, &w, &err));
        err_clear(&err);
    }
    wanted_then(&t.wanted, tell, &t);
    assert_int_equal(t.started, 1);
    assert_int_equal(w.v.len, 3);
    assert_false(waits_over(&w));
    wanted_settle(&t.wanted, &bad);
    assert_int_equal(t.told, 1);
    assert_true(waits_over(&w));
    vec_clear(&w.v);
    assert_true(wanted_wait(&t.wanted, &w, &err));
    assert_int_equal(w.v.len, 0);
    wanted_then(&t.wanted, tell, &t);
    assert_int_equal(t.told, 2);
    wanted_reset(&t.wanted);
    assert_false(wanted_wait(&t.wanted, &w, &err));
    err_clear(&err);
    err_set(&bad, ERR_DENIED, "no");
    wanted_settle(&t.wanted, &bad);
    vec_clear(&w.v);
    assert_false(wanted_wait(&t.wanted, &w, &err));
    assert_int_equal(err.kind, ERR_DENIED);
    assert_int_equal(w.v.len, 0);
    err_clear(&err);
    wanted_clear(&t.wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_many_as_allowed),
        cmocka_unit_test(the_dead_are_asked_once),
        cmocka_unit_test(one_failure_kills_no_host_that_works),
        cmocka_unit_test(wanted_things_come_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
