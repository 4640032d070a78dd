// SPDX-License-Identifier: Apache-2.0
//
// Deliveries as the hosts send them (the fields that matter), and their signatures.
#include "tests/test.h"

#include "web/web_int.h"

#define OLD "1111111111111111111111111111111111111111"
#define NEW "2222222222222222222222222222222222222222"
#define ZERO "0000000000000000000000000000000000000000"

static const struct {
    const char *name, *header, *body, *want; // want: NULL refused, "" ignored
} cases[] = {
    {"github", "github push",
     "{\"ref\":\"refs/heads/main\",\"before\":\"" OLD "\",\"after\":\"" NEW
     "\",\"forced\":false,\"repository\":{\"clone_url\":\"https://github.com/o/r.git\",\"ssh_url\":"
     "\"git@github.com:o/r.git\",\"html_url\":\"https://github.com/o/r\",\"url\":\"https://"
     "github.com/o/r\",\"default_branch\":\"main\"},\"commits\":[{\"added\":[\"a\"],\"modified\":"
     "[\"b/c\"],\"removed\":[]}]}",
     "github refs/heads/main 1 2 default https://github.com/o/r.git git@github.com:o/r.git "
     "https://github.com/o/r + a b/c"},
    {"github ping", "github ping", "{\"zen\":\"x\"}", ""},
    {"github, forced", "github push",
     "{\"ref\":\"refs/heads/x\",\"before\":\"" OLD "\",\"after\":\"" NEW
     "\",\"forced\":true,\"repository\":{\"clone_url\":\"u\"},\"commits\":[{\"added\":[\"a\"]}]}",
     "github refs/heads/x 1 2 u"},
    {"github, branch deleted", "github push",
     "{\"ref\":\"refs/heads/x\",\"before\":\"" OLD "\",\"after\":\"" ZERO
     "\",\"repository\":{\"clone_url\":\"u\"},\"commits\":[]}",
     "github refs/heads/x 1 - u"},
    {"gitlab", "gitlab Push Hook",
     "{\"object_kind\":\"push\",\"ref\":\"refs/heads/main\",\"before\":\"" OLD "\",\"after\":\"" NEW
     "\",\"project\":{\"git_http_url\":\"https://gitlab.com/o/r.git\",\"git_ssh_url\":"
     "\"git@gitlab.com:o/r.git\",\"web_url\":\"https://gitlab.com/o/r\",\"default_branch\":"
     "\"main\"},\"commits\":[{\"added\":[],\"modified\":[\"x\"],\"removed\":[]}],"
     "\"total_commits_count\":1}",
     "gitlab refs/heads/main 1 2 default https://gitlab.com/o/r.git git@gitlab.com:o/r.git "
     "https://gitlab.com/o/r + x"},
    {"gitlab, more commits than are told", "gitlab Push Hook",
     "{\"object_kind\":\"push\",\"ref\":\"refs/heads/main\",\"before\":\"" OLD "\",\"after\":\"" NEW
     "\",\"project\":{\"web_url\":\"u\"},\"commits\":[{\"added\":[\"x\"]}],\"total_commits_count\":"
     "21}",
     "gitlab refs/heads/main 1 2 u"},
    {"gitlab tag", "gitlab Tag Push Hook",
     "{\"object_kind\":\"tag_push\",\"ref\":\"refs/tags/v1\",\"before\":\"" ZERO
     "\",\"after\":\"" NEW "\",\"project\":{\"web_url\":\"u\"}}",
     "gitlab refs/tags/v1 - 2 u"},
    {"gitlab system hook", "gitlab System Hook",
     "{\"event_name\":\"push\",\"ref\":\"refs/heads/m\",\"before\":\"" OLD "\",\"after\":\"" NEW
     "\",\"project\":{\"web_url\":\"u\"}}",
     "gitlab refs/heads/m 1 2 u"},
    {"gitlab issue", "gitlab Issue Hook", "{\"object_kind\":\"issue\"}", ""},
    {"gitea", "gitea push",
     "{\"ref\":\"refs/heads/main\",\"before\":\"" OLD "\",\"after\":\"" NEW
     "\",\"repository\":{\"clone_url\":\"https://g/o/r.git\",\"default_branch\":\"dev\"},"
     "\"commits\":[{\"added\":[\"a\"],\"removed\":[\"b\"],\"modified\":[]}],\"total_commits\":1}",
     "gitea refs/heads/main 1 2 https://g/o/r.git + a b"},
    {"gitea create", "gitea create", "{}", ""},
    {"generic", "generic", "{\"repository\":\"https://g/r\",\"ref\":\"refs/heads/main\"}",
     "generic refs/heads/main - - https://g/r"},
    {"form", "form push",
     "x=1&payload=%7B%22ref%22%3A%22refs%2Fheads%2Fm%22%2C%22repository%22%3A%7B%22clone_url%22%3A%"
     "22u%22%7D%7D",
     "github refs/heads/m - - u"},
    {"form without", "form push", "x=1", NULL},
    {"form malformed", "form push", "payload=%7", NULL},
    {"not JSON", "github push", "{", NULL},
    {"an array", "github push", "[]", NULL},
    {"nothing", "github push", "", NULL},
    {"no repository", "github push", "{\"ref\":\"refs/heads/m\"}", NULL},
    {"odd repository", "github push", "{\"ref\":\"refs/heads/m\",\"repository\":[]}", NULL},
    {"url with a line end", "generic", "{\"ref\":\"refs/heads/m\",\"repository\":\"a\\nb\"}", NULL},
    {"a name that is no ref", "generic", "{\"ref\":\"-x\",\"repository\":\"a\"}", NULL},
    {"no commit", "generic",
     "{\"ref\":\"refs/heads/m\",\"repository\":\"a\",\"before\":\"../../etc\",\"after\":7}",
     "generic refs/heads/m - - a"},
    {"files of a wrong kind", "github push",
     "{\"ref\":\"refs/heads/m\",\"repository\":{\"url\":\"u\"},\"before\":\"" OLD "\",\"after\":"
     "\"" NEW "\",\"commits\":[{\"added\":[1]}]}",
     "github refs/heads/m 1 2 u"},
};

static struct push_from from_of(const char *header)
{
    struct push_from f = {.content_type = "application/json"};
    const char *event = strchr(header, ' ');
    event = event ? event + 1 : "";
    if (str_starts(header, "form"))
        f.content_type = "application/x-www-form-urlencoded; charset=utf-8";
    if (str_starts(header, "github") || str_starts(header, "form") || str_starts(header, "gitea"))
        f.github_event = event; // Gitea says so too
    if (str_starts(header, "gitlab"))
        f.gitlab_event = event;
    if (str_starts(header, "gitea"))
        f.gitea_event = event;
    return f;
}

static void write_push(const struct web_push *p, struct buf *b)
{
    buf_printf(b, "%s %s %.1s %.1s%s", p->host, p->ref, p->before ? p->before : "-",
               p->after ? p->after : "-", p->is_default ? " default" : "");
    for (size_t i = 0; i < p->repos.len; i++)
        buf_printf(b, " %s", p->repos.v[i]);
    if (p->has_paths)
        buf_str(b, " +");
    for (size_t i = 0; i < p->paths.len; i++)
        buf_printf(b, " %s", p->paths.v[i]);
}

static void test_payloads(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct push_from f = from_of(cases[i].header);
        struct push_read r;
        struct err err = {0};
        struct buf b CLEANUP(buf_clear) = {0};
        bool is_push;
        bool ok = push_parse(&f, cases[i].body, strlen(cases[i].body), &r, &is_push, &err);
        if (ok != !!cases[i].want)
            fail_msg("%s: %s", cases[i].name, ok ? "taken" : err.msg);
        if (!ok)
            assert_int_equal(err.kind, ERR_INVALID);
        err_clear(&err);
        if (is_push)
            write_push(&r.push, &b);
        if (ok && strcmp(b.p ? b.p : "", cases[i].want) != 0)
            fail_msg("%s: %s", cases[i].name, b.p);
        push_read_clear(&r);
    }
}

// HMAC-SHA-256 of "hello" under "s3cret", by openssl dgst.
#define GOOD "e5a01537481fa0b2c697f787c7aff885412cf0760d08e08502259b39d2d6ae68"

static bool is_signed(const char *hub, const char *gitea, const char *gitlab)
{
    struct strv secrets = {0};
    struct push_from f = {.hub_signature = hub, .gitea_signature = gitea, .gitlab_token = gitlab};
    strv_push(&secrets, "the old one");
    strv_push(&secrets, "s3cret");
    bool yes = push_is_signed(&f, "hello", 5, &secrets);
    strv_clear(&secrets);
    return yes;
}

static void test_signatures(void **state)
{
    (void)state;
    assert_true(is_signed("sha256=" GOOD, NULL, NULL));
    assert_true(is_signed(NULL, GOOD, NULL));
    assert_true(is_signed(NULL, NULL, "s3cret"));
    assert_true(is_signed(NULL, NULL, "the old one"));
    assert_false(is_signed(NULL, NULL, NULL));
    assert_false(is_signed(GOOD, NULL, NULL));
    assert_false(is_signed("sha1=" GOOD, NULL, NULL));
    assert_false(is_signed("sha256=" GOOD "00", NULL, NULL));
    assert_false(is_signed("sha256=", NULL, NULL));
    assert_false(is_signed("sha256=zz" GOOD, NULL, NULL));
    assert_false(is_signed(NULL, "sha256=" GOOD, NULL));
    assert_false(is_signed(NULL, "", ""));
    assert_false(is_signed(NULL, NULL, "s3cre"));
    assert_false(is_signed(NULL, NULL, "s3cret2"));
    assert_false(is_signed(NULL, NULL, GOOD));
    struct strv none = {0};
    struct push_from f = {.gitlab_token = ""};
    assert_false(push_is_signed(&f, "", 0, &none));
}

static void test_secret_files(void **state)
{
    struct strv files = {0}, secrets = {0};
    struct err err = {0};
    CLEANUP(dir_temp_cleanup) char *dir = NULL;
    (void)state;
    assert_true(dir_make_temp("regrow-test", &dir, &err));
    CLEANUP(str_freep) char *a = path_join(dir, "a");
    assert_true(file_replace(a, "one\r\n", 5, 0600, &err));
    strv_push(&files, a);
    assert_true(push_secrets(&files, NULL, &secrets, &err));
    assert_int_equal(secrets.len, 1);
    assert_string_equal(secrets.v[0], "one");
    push_secrets_clear(&secrets);
    assert_true(file_replace(a, "\n", 1, 0600, &err));
    assert_false(push_secrets(&files, NULL, &secrets, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    err_clear(&err);
    strv_push(&files, "/nowhere/at/all");
    assert_true(file_replace(a, "x", 1, 0600, &err));
    assert_false(push_secrets(&files, NULL, &secrets, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    err_clear(&err);
    push_secrets_clear(&secrets);
    strv_clear(&files);
}

// A Secret that is mounted: it may be absent, and is replaced behind names with a dot.
static void test_secret_folder(void **state)
{
    struct strv secrets = {0};
    struct err err = {0};
    CLEANUP(dir_temp_cleanup) char *dir = NULL;
    (void)state;
    assert_true(push_secrets(NULL, "/nowhere/at/all", &secrets, &err));
    assert_true(dir_make_temp("regrow-test", &dir, &err));
    assert_true(push_secrets(NULL, dir, &secrets, &err));
    assert_int_equal(secrets.len, 0);
    CLEANUP(str_freep) char *hidden = path_join(dir, "..data");
    CLEANUP(str_freep) char *a = path_join(dir, "github");
    CLEANUP(str_freep) char *b = path_join(dir, "gitlab");
    assert_true(dir_make(hidden, 0700, &err));
    assert_true(file_replace(a, "one\n", 4, 0600, &err));
    assert_true(file_replace(b, "two", 3, 0600, &err));
    assert_true(push_secrets(NULL, dir, &secrets, &err));
    assert_int_equal(secrets.len, 2);
    push_secrets_clear(&secrets);
    assert_true(file_replace(b, "", 0, 0600, &err));
    assert_false(push_secrets(NULL, dir, &secrets, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    err_clear(&err);
    push_secrets_clear(&secrets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_payloads),
        cmocka_unit_test(test_signatures),
        cmocka_unit_test(test_secret_files),
        cmocka_unit_test(test_secret_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
