// SPDX-License-Identifier: Apache-2.0
#include "tests/test.h"

static void constraints(void **s)
{
    (void)s;
    static const struct {
        const char *version, *constraint;
        bool holds;
    } cases[] = {
        {"1.2.3", "^1.2", true},       {"2.0.0", "^1.2", false},
        {"0.2.5", "^0.2.3", true},     {"0.3.0", "^0.2.3", false},
        {"0.0.3", "^0.0.3", true},     {"0.0.4", "^0.0.3", false},
        {"1.2.9", "~1.2.3", true},     {"1.3.0", "~1.2.3", false},
        {"1.9.0", "~1", true},         {"1.5.0", ">=1 <2", true},
        {"2.0.0", ">=1, <2", false},   {"1.3.0", "1.x", true},
        {"1.3.0", "1.2 - 1.4", true},  {"1.4.5", "1.2 - 1.4", true},
        {"1.5.0", "1.2 - 1.4", false}, {"3.0.0", "^1 || ^3", true},
        {"1.0.0-rc1", "^1", false},    {"1.0.0-rc1", ">=1.0.0-0", true},
        {"1.0.0", "*", true},          {"v1.2.3", "1.2.*", true},
        {"1.2.3", "!=1.2.3", false},   {"1.2.4", ">1.2", false},
        {"1.3.0", ">1.2", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (semver_satisfies(cases[i].version, cases[i].constraint) != cases[i].holds)
            fail_msg("%s against %s", cases[i].version, cases[i].constraint);
}

static void order(void **s)
{
    (void)s;
    static const char *const sorted[] = {"1.0.0-alpha",   "1.0.0-alpha.1", "1.0.0-beta.2",
                                         "1.0.0-beta.11", "1.0.0-rc.1",    "1.0.0",
                                         "1.0.1"};
    for (size_t i = 1; i < ARRAY_LEN(sorted); i++)
        assert_true(semver_cmp(sorted[i - 1], sorted[i]) < 0);
    assert_true(semver_is_version("1.0") && !semver_is_constraint("1.0"));
    assert_true(semver_is_constraint("^1") && semver_is_constraint("*"));
    assert_false(semver_is_constraint("main"));
}

static void add(struct git_refs *r, const char *name, char id, const char *symref)
{
    char hex[41];
    memset(hex, id, 40);
    hex[40] = 0;
    *vec_push(&r->refs) =
        (struct git_ref){str_dup(name), str_dup(hex), symref ? str_dup(symref) : NULL};
}

static char resolved(const struct git_refs *r, const char *target, const char *prefix)
{
    CLEANUP(str_freep) char *id = NULL;
    CLEANUP(str_freep) char *name = NULL;
    struct err err = {0};
    if (!revision_resolve_git(target, prefix, r, &id, &name, &err)) {
        assert_int_equal(err.kind, ERR_NOT_FOUND);
        err_clear(&err);
        return '-';
    }
    return id[0];
}

static void refs(void **s)
{
    (void)s;
    struct git_refs r = {0};
    add(&r, "HEAD", 'a', "refs/heads/main");
    add(&r, "refs/heads/main", 'a', NULL);
    add(&r, "refs/heads/dev", 'b', NULL);
    add(&r, "refs/tags/v1.2.0", 'c', NULL);
    add(&r, "refs/tags/v1.10.0", 'd', NULL);
    add(&r, "refs/tags/v2.0.0-rc1", 'e', NULL);
    add(&r, "refs/tags/app-3.0.0", 'f', NULL);
    assert_int_equal(resolved(&r, "", NULL), 'a');
    assert_int_equal(resolved(&r, "dev", NULL), 'b');
    assert_int_equal(resolved(&r, "refs/tags/v1.2.0", NULL), 'c');
    assert_int_equal(resolved(&r, "^1", NULL), 'd');
    assert_int_equal(resolved(&r, "*", NULL), 'd');
    assert_int_equal(resolved(&r, ">=2.0.0-0", NULL), 'e');
    assert_int_equal(resolved(&r, "3.0.0", "app-"), 'f');
    assert_int_equal(resolved(&r, "^3", "app-"), 'f');
    assert_int_equal(resolved(&r, "dddddddd", NULL), 'd');
    assert_int_equal(resolved(&r, "nope", NULL), '-');
    git_refs_clear(&r);
}

// What a name means where several refs have it, where tags have a prefix, where it is neither a
// branch nor a tag.
static void names(void **s)
{
    (void)s;
    static const struct {
        const char *target, *prefix;
        char id;
    } cases[] = {
        {"twice", NULL, 'b'}, // a branch and a tag: the first in the list
        {"^5", NULL, 'd'},    // so is the best tag's name
        {"^5", "app-", 'h'},  // and with a prefix
        {"5.0.0", NULL, 'd'},
        {"5.0.0", "app-", 'h'}, // the branch of that very name comes first
        {"6.0.0", "app-", '-'}, // never the bare tag
        {"6.0.0", NULL, 'i'},
        {"v6.0.0", "app-", '-'},
        {"^6", "app-", '-'},    // no prefixed tag, and no ref called "^6"
        {"twice", "app-", 'b'}, // the prefix is for versions
        {"pull/1/head", NULL, 'j'},
        {"refs/pull/1/head", NULL, 'j'},
        {"1/head", NULL, '-'},
        {"heads/twice", NULL, '-'},
        {"origin/dev", NULL, 'k'},
        {"refs/remotes/origin/dev", NULL, 'k'},
        {"HEAD", NULL, 'g'}, // a branch of that name; only then the symbolic one
        {"BBBBBBB", NULL, 'b'},
        {"BBBBBB", NULL, '-'},
        {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", NULL, 'a'},
    };
    struct git_refs r = {0};
    add(&r, "HEAD", 'a', "refs/heads/twice");
    add(&r, "refs/heads/5.0.0", 'd', NULL);
    add(&r, "refs/heads/HEAD", 'g', NULL);
    add(&r, "refs/heads/app-5.0.0", 'h', NULL);
    add(&r, "refs/heads/twice", 'b', NULL);
    add(&r, "refs/pull/1/head", 'j', NULL);
    add(&r, "refs/remotes/origin/dev", 'k', NULL);
    add(&r, "refs/tags/5.0.0", 'e', NULL);
    add(&r, "refs/tags/6.0.0", 'i', NULL);
    add(&r, "refs/tags/app-5.0.0", 'f', NULL);
    add(&r, "refs/tags/twice", 'c', NULL);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char got = resolved(&r, cases[i].target, cases[i].prefix);
        if (got != cases[i].id)
            fail_msg("%s with %s is %c", cases[i].target,
                     cases[i].prefix ? cases[i].prefix : "no prefix", got);
    }
    git_refs_clear(&r);
    assert_true(revision_is_unlisted("pull/1/head") && revision_is_unlisted("refs/changes/1/2"));
    assert_false(revision_is_unlisted("main") || revision_is_unlisted("refs/heads/a/b"));
    assert_false(revision_is_unlisted("a/b\n0000") || revision_is_unlisted("a/*"));
}

static void globs(void **s)
{
    (void)s;
    static const struct {
        enum glob_dialect d;
        const char *pattern, *text;
        bool yes;
    } cases[] = {
        {GLOB_GOBWAS, "*.yaml", "a/b.yaml", true},
        {GLOB_GOBWAS, "{a,b}.yaml", "b.yaml", true},
        {GLOB_GOBWAS, "{a,b{c,d}}x", "bdx", true},
        {GLOB_GOBWAS, "[!a]b", "cb", true},
        {GLOB_GOBWAS, "[!a]b", "ab", false},
        {GLOB_GOBWAS_SLASH, "https://h/*", "https://h/a", true},
        {GLOB_GOBWAS_SLASH, "https://h/*", "https://h/a/b", false},
        {GLOB_GOBWAS_SLASH, "https://h/**", "https://h/a/b", true},
        {GLOB_PATH, "apps/*", "apps/x", true},
        {GLOB_PATH, "apps/*", "apps/x/y", false},
        {GLOB_PATH, "[^a]x", "bx", true},
        {GLOB_PATHSPEC, "apps/*.json", "apps/x/y.json", true},
        {GLOB_DOUBLESTAR, "a/**/b", "a/b", true},
        {GLOB_DOUBLESTAR, "a/**/b", "a/x/y/b", true},
        {GLOB_DOUBLESTAR, "a/*/b", "a/x/y/b", false},
        {GLOB_GOBWAS, "[", "x", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (glob_match(cases[i].d, cases[i].pattern, cases[i].text) != cases[i].yes)
            fail_msg("%s against %s", cases[i].pattern, cases[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(constraints), cmocka_unit_test(order),
                                       cmocka_unit_test(refs), cmocka_unit_test(names),
                                       cmocka_unit_test(globs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
