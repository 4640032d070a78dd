// SPDX-License-Identifier: Apache-2.0
//
// Where the repositories of a snapshot go, and what is to be done there.
#include "restore/gitback.h"

#include "tests/test.h"

struct many {
    struct histories all;
    struct strv given;
    struct git_places out;
};

static void repository(struct many *m, const char *url)
{
    vec_push(&m->all.v)->url = str_dup(url);
}

static bool find(struct many *m, struct err *err)
{
    git_places_clear(&m->out);
    return git_places_find(&m->all, &m->given, &m->out, err);
}

static void end(struct many *m)
{
    git_places_clear(&m->out);
    histories_clear(&m->all);
    strv_clear(&m->given);
}

static void goes(struct many *m, size_t i, const char *to, const char *from, const char *into)
{
    const struct git_place *p = &m->out.v.v[i];
    if (!str_eq(p->to, to) || !str_eq(p->from, from) || !str_eq(p->into, into))
        fail_msg("%s: %s (%s=%s)", p->h->url, p->to ? p->to : "-", p->from ? p->from : "-",
                 p->into ? p->into : "-");
}

static void refuses(struct many *m, enum err_kind kind, const char *hint)
{
    struct err err = {0};
    assert_false(find(m, &err));
    assert_int_equal(err.kind, kind);
    if (hint)
        assert_non_null(strstr(err.hint, hint));
    err_clear(&err);
    strv_clear(&m->given);
}

static void one_repository(void **state)
{
    struct many m = {0};
    struct err err = {0};
    (void)state;
    strv_push(&m.given, "https://new/x.git");
    refuses(&m, ERR_NOT_FOUND, NULL);
    repository(&m, "https://old/team/x.git");
    strv_push(&m.given, "https://new/x.git");
    assert_true(find(&m, &err));
    goes(&m, 0, "https://new/x.git", "https://old/team/x", "https://new/x.git");
    strv_clear(&m.given);
    strv_push(&m.given, "https://old/team"); // where it was
    assert_true(find(&m, &err));
    goes(&m, 0, "https://old/team/x.git", NULL, NULL);
    strv_clear(&m.given);
    strv_push(&m.given, "https://old/team/x=git@new:x.git");
    assert_true(find(&m, &err));
    goes(&m, 0, "git@new:x.git", "https://old/team/x", "git@new:x.git");
    strv_clear(&m.given);
    strv_push(&m.given, "https://new/x.git?a=b"); // no OLD before that "="
    assert_true(find(&m, &err));
    goes(&m, 0, "https://new/x.git?a=b", "https://old/team/x", "https://new/x.git?a=b");
    end(&m);
}

static void several(void **state)
{
    struct many m = {0};
    struct err err = {0};
    (void)state;
    repository(&m, "https://elsewhere/chart.git");
    repository(&m, "https://old/a/x.git");
    repository(&m, "https://old/ab/y");
    strv_push(&m.given, "https://old=https://new/base");
    assert_true(find(&m, &err));
    goes(&m, 0, NULL, NULL, NULL);
    goes(&m, 1, "https://new/base/a/x.git", "https://old", "https://new/base");
    goes(&m, 2, "https://new/base/ab/y", "https://old", "https://new/base");
    strv_push(&m.given, "https://old/a=/srv/git"); // longer, and no part of a name
    assert_true(find(&m, &err));
    goes(&m, 1, "/srv/git/x.git", "https://old/a", "/srv/git");
    goes(&m, 2, "https://new/base/ab/y", "https://old", "https://new/base");
    strv_clear(&m.given);
    strv_push(&m.given, "https://old"); // both where they were
    assert_true(find(&m, &err));
    goes(&m, 0, NULL, NULL, NULL);
    goes(&m, 1, "https://old/a/x.git", NULL, NULL);
    goes(&m, 2, "https://old/ab/y", NULL, NULL);
    strv_clear(&m.given);
    strv_push(&m.given, "https://new/x.git");
    refuses(&m, ERR_USAGE, "https://old/a/x.git");
    strv_push(&m.given, "https://nobody=https://new");
    refuses(&m, ERR_USAGE, "https://old/ab/y");
    strv_push(&m.given, "https://old/a/x=https://new/z");
    strv_push(&m.given, "https://old/ab/y=https://new/z.git");
    refuses(&m, ERR_USAGE, NULL);
    strv_push(&m.given, "=https://new");
    refuses(&m, ERR_USAGE, NULL);
    strv_push(&m.given, "https://old=");
    refuses(&m, ERR_USAGE, NULL);
    end(&m);
}

// ---- what is to be done ----
static void ref(struct git_refs *r, const char *name, char id)
{
    char hex[41] = {0};
    memset(hex, id, 40);
    *vec_push(&r->refs) = (struct git_ref){.name = str_dup(name), .id = str_dup(hex)};
}

// Later letters lead back to earlier ones; "x" is nobody's.
static bool later(void *ctx, const char *id, const char *of)
{
    (void)ctx;
    return *id < *of && *id != 'x' && *of != 'x';
}

static void news(void **state)
{
    struct git_refs ours = {0};
    struct git_refs there = {0};
    struct git_news n;
    (void)state;
    ref(&ours, "refs/heads/a", 'b');
    ref(&ours, "refs/heads/main", 'c');
    ref(&ours, "refs/tags/v1", 'd');
    git_news_find(&ours, &there, "refs/heads/main", later, NULL, &n);
    assert_int_equal(n.create, 3);
    assert_string_equal(n.v.v[0].name, "refs/heads/main"); // the default branch goes first
    assert_string_equal(n.v.v[1].name, "refs/heads/a");
    assert_string_equal(n.v.v[0].from, "");
    git_news_clear(&n);
    ref(&there, "refs/heads/main", 'a');
    ref(&there, "refs/tags/v1", 'd');
    ref(&there, "refs/heads/others", 'e');
    git_news_find(&ours, &there, "refs/heads/main", later, NULL, &n);
    assert_int_equal(n.create, 1);
    assert_int_equal(n.forward, 1);
    assert_int_equal(n.same, 1);
    assert_int_equal(n.besides, 1);
    assert_int_equal(n.in_the_way.len, 0);
    assert_int_equal(*n.v.v[0].from, 'a');
    git_news_clear(&n);
    git_refs_clear(&there);
    ref(&there, "refs/heads/main", 'd'); // ahead of what is wanted
    ref(&there, "refs/heads/a", 'x');
    ref(&there, "refs/tags/v1", 'a'); // a tag does not move
    git_news_find(&ours, &there, NULL, later, NULL, &n);
    assert_int_equal(n.v.len, 0);
    assert_int_equal(n.ahead, 1);
    assert_int_equal(n.in_the_way.len, 2);
    assert_string_equal(n.in_the_way.v[0], "refs/heads/a is at xxxxxxx, and was bbbbbbb");
    git_news_clear(&n);
    git_refs_clear(&ours);
    git_refs_clear(&there);
}

static void counts(void **state)
{
    struct git_refs r = {0};
    size_t branches;
    size_t tags;
    size_t others;
    (void)state;
    ref(&r, "refs/heads/a", 'a');
    ref(&r, "refs/tags/a", 'a');
    ref(&r, "refs/tags/b", 'a');
    ref(&r, "refs/notes/commits", 'a');
    gitback_count(&r, &branches, &tags, &others);
    assert_int_equal(branches, 1);
    assert_int_equal(tags, 2);
    assert_int_equal(others, 1);
    git_refs_clear(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_repository), cmocka_unit_test(several),
                                       cmocka_unit_test(news), cmocka_unit_test(counts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
