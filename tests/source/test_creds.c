// SPDX-License-Identifier: Apache-2.0
//
// Which credentials there are for a URL, and in which order they are tried.
#include "source/creds.h"

#include "source/http.h"
#include "tests/test.h"

static json_t *secret(const char *name, const char *type, const char *fields)
{
    CLEANUP(str_freep)
    char *text = str_printf("apiVersion: v1\nkind: Secret\nmetadata: {name: %s, namespace: argocd, "
                            "labels: {argocd.argoproj.io/secret-type: %s}}\nstringData: {%s}\n",
                            name, type, fields);
    return doc_of(text);
}

static bool add(struct creds *c, const char *type, const char *fields, enum cred_rank rank)
{
    json_t *doc = secret("s", type, fields);
    bool news = creds_add_doc(c, doc, rank);
    json_decref(doc);
    return news;
}

// The passwords that are tried, one after the other.
static void assert_tries(struct creds *c, const char *url, const char *project, const char *want)
{
    struct buf b CLEANUP(buf_clear) = {0};
    const struct cred_list *l = creds_for(c, url, project);
    buf_str(&b, "");
    for (size_t i = 0; i < l->v.len; i++)
        buf_printf(&b, "%s%s", i ? " " : "", l->v.v[i]->password ? l->v.v[i]->password : "-");
    assert_string_equal(b.p ? b.p : "", want);
}

static void prefixes_end_at_hosts(void **s)
{
    static const struct {
        const char *prefix, *url;
        bool covers;
    } rows[] = {
        {"https://git.example.com", "https://git.example.com/a/b", true},
        {"https://git.example.com", "https://git.example.com.evil.org/a/b", false},
        {"https://git.example.com", "https://git.example.community/a", false},
        {"https://git.example.com", "https://git.example.com:8443/a", false},
        {"https://git.example.com/", "https://git.example.com/a", true},
        {"https://git.example.com/team", "https://git.example.com/team/x", true},
        {"https://git.example.com/team", "https://git.example.com/team-b/x", true}, // as Argo CD
        {"https://git.example.com/team", "https://git.example.com/tea", false},
        {"http://git.example.com", "https://git.example.com/a", false},
        {"https://", "https://git.example.com/a", false},
        {"", "https://git.example.com/a", false},
        {"git@github.com:org", "git@github.com:org/x.git", true},
        {"git@github.com:org", "ssh://git@github.com/org/x", true},
        {"registry.example.com/charts", "oci://registry.example.com/charts/web", true},
        {"https://example.com", "https://user@example.com/a", true},
        {"https://EXAMPLE.com/A", "https://example.com/a.git", true},
    };
    (void)s;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(str_freep) char *p = cred_url_normal(rows[i].prefix);
        CLEANUP(str_freep) char *u = cred_url_normal(rows[i].url);
        if (cred_prefix_covers(p, u) != rows[i].covers)
            fail_msg("%s and %s", rows[i].prefix, rows[i].url);
    }
}

static void ranks_come_in_order(void **s)
{
    (void)s;
    const struct source_cred given[] = {
        {.rank = CRED_ENV, .url = (char *)"https://h", .password = (char *)"env"},
        {.rank = CRED_FILE, .url = (char *)"https://h/a", .password = (char *)"file"},
        {.rank = CRED_FILE, .url = (char *)"https://h", .password = (char *)"file-short"},
    };
    struct creds *c = creds_new(given, ARRAY_LEN(given));
    assert_true(add(c, "repo-creds", "url: https://h, password: desired", CRED_DESIRED));
    assert_true(add(c, "repo-creds", "url: https://h, password: cluster", CRED_CLUSTER));
    assert_tries(c, "https://h/a/b", NULL, "file env cluster desired");
    assert_tries(c, "https://h/b", NULL, "file-short env cluster desired");
    assert_tries(c, "https://other/b", NULL, "");
    // What a run has read from the cluster already is no news when it stands in Git as well.
    assert_false(add(c, "repo-creds", "url: https://h, password: cluster", CRED_CLUSTER));
    assert_true(add(c, "repo-creds", "url: https://h/x, password: cluster", CRED_DESIRED));
    assert_tries(c, "https://h/x/y", NULL, "file-short env cluster");
    creds_free(c);
}

static void a_repository_goes_before_prefixes(void **s)
{
    (void)s;
    struct creds *c = creds_new(NULL, 0);
    add(c, "repo-creds", "url: https://h, password: short", CRED_CLUSTER);
    add(c, "repo-creds", "url: https://h/team, password: long", CRED_CLUSTER);
    add(c, "repository", "url: https://h/team/own.git, password: own", CRED_CLUSTER);
    add(c, "repository", "url: https://h/team/bare, insecure: \"true\"", CRED_CLUSTER);
    assert_tries(c, "https://h/x", NULL, "short");
    assert_tries(c, "https://h/team/x", NULL, "long");
    assert_tries(c, "https://h/team/own", NULL, "own");
    assert_tries(c, "https://h/team/own/more", NULL, "long");
    // A Secret without a credential takes the prefix's, and keeps its ways.
    assert_tries(c, "https://h/team/bare", NULL, "long");
    assert_true(creds_for(c, "https://h/team/bare", NULL)->v.v[0]->insecure);
    assert_false(creds_for(c, "https://h/team/x", NULL)->v.v[0]->insecure);
    creds_free(c);
}

static void projects_keep_theirs(void **s)
{
    (void)s;
    struct creds *c = creds_new(NULL, 0);
    add(c, "repository", "url: https://h/r, project: a, password: of-a", CRED_CLUSTER);
    add(c, "repository", "url: https://h/r, password: of-all", CRED_CLUSTER);
    add(c, "repository", "url: https://h/s, project: a, password: only-a", CRED_CLUSTER);
    assert_tries(c, "https://h/r", "a", "of-a");
    assert_tries(c, "https://h/r", "b", "of-all");
    assert_tries(c, "https://h/r", NULL, "of-all");
    assert_tries(c, "https://h/s", "a", "only-a");
    assert_tries(c, "https://h/s", "b", "");
    assert_string_equal(creds_scope(c, "https://h/s.git", "a"), "a");
    assert_string_equal(creds_scope(c, "https://h/s.git", "b"), "");
    assert_string_equal(creds_scope(c, "https://h/t", "a"), "");
    creds_free(c);
}

static void every_kind_is_read(void **s)
{
    (void)s;
    struct creds *c = creds_new(NULL, 0);
    json_t *doc = doc_of("apiVersion: v1\nkind: Secret\nmetadata: {name: x, namespace: argocd, "
                         "labels: {argocd.argoproj.io/secret-type: repository}}\n"
                         "data: {url: aHR0cHM6Ly9oL3I=, password: Y29kZWQ=, username: dQ==}\n");
    assert_true(creds_add_doc(c, doc, CRED_CLUSTER));
    json_decref(doc);
    add(c, "repository", "url: \"git@h:r.git\", sshPrivateKey: key", CRED_CLUSTER);
    add(c, "repository",
        "url: registry.h/charts, type: helm, enableOCI: \"true\", username: u, password: p",
        CRED_CLUSTER);
    add(c, "repository",
        "url: https://h/tls, tlsClientCertData: c, tlsClientCertKey: k, proxy: \"http://p:1\"",
        CRED_CLUSTER);
    add(c, "repository", "url: https://h/b, bearerToken: t", CRED_CLUSTER);
    assert_tries(c, "https://h/r", NULL, "coded");
    assert_string_equal(creds_for(c, "ssh://git@h/r", NULL)->v.v[0]->ssh_key_pem, "key");
    assert_true(creds_for(c, "registry.h/charts", NULL)->v.v[0]->enable_oci);
    assert_string_equal(creds_for(c, "https://h/tls", NULL)->v.v[0]->key_pem, "k");
    assert_string_equal(creds_for(c, "https://h/tls", NULL)->v.v[0]->proxy, "http://p:1");
    assert_string_equal(creds_for(c, "https://h/b", NULL)->v.v[0]->bearer, "t");
    // A key is nothing to https, a password nothing to ssh.
    add(c, "repo-creds", "url: \"ssh://git@h\", password: p", CRED_DESIRED);
    add(c, "repo-creds", "url: https://h, sshPrivateKey: k", CRED_DESIRED);
    assert_int_equal(creds_for(c, "git@h:r.git", NULL)->v.len, 1);
    assert_int_equal(creds_for(c, "https://h/none", NULL)->v.len, 0);
    creds_free(c);
}

static void only_argocds_own(void **s)
{
    (void)s;
    struct creds *c = creds_new(NULL, 0);
    static const char *const docs[] = {
        "apiVersion: v1\nkind: Secret\nmetadata: {name: x, namespace: other, labels: "
        "{argocd.argoproj.io/secret-type: repository}}\nstringData: {url: https://h, password: p}",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: x, namespace: argocd}\n"
        "stringData: {url: https://h, password: p}",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: x, namespace: argocd, labels: "
        "{argocd.argoproj.io/secret-type: cluster}}\nstringData: {url: https://h, password: p}",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: x, namespace: argocd, labels: "
        "{argocd.argoproj.io/secret-type: repository}}\nstringData: {password: p}",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-tls-certs-cm, namespace: o}\n"
        "data: {h: pem}",
    };
    for (size_t i = 0; i < ARRAY_LEN(docs); i++) {
        json_t *doc = doc_of(docs[i]);
        assert_false(creds_add_doc(c, doc, CRED_CLUSTER));
        json_decref(doc);
    }
    assert_int_equal(creds_generation(c), 0);
    creds_free(c);
}

static void hosts_and_roots(void **s)
{
    (void)s;
    struct creds *c = creds_new(NULL, 0);
    json_t *hosts = doc_of("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "
                           "argocd-ssh-known-hosts-cm, namespace: argocd}\n"
                           "data: {ssh_known_hosts: h ssh-ed25519 AAAA}");
    json_t *roots = doc_of("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "
                           "argocd-tls-certs-cm, namespace: argocd}\ndata: {git.h: one}");
    assert_null(creds_known_hosts(c));
    assert_true(creds_add_doc(c, hosts, CRED_CLUSTER));
    assert_false(creds_add_doc(c, hosts, CRED_DESIRED));
    assert_non_null(strstr(creds_known_hosts(c), "h ssh-ed25519 AAAA"));
    assert_true(creds_add_doc(c, roots, CRED_CLUSTER));
    assert_string_equal(creds_tls_roots(c, "https://git.h/x"), "one");
    assert_string_equal(creds_tls_roots(c, "https://GIT.h:8443/x"), "one");
    assert_string_equal(creds_tls_roots(c, "oci://git.h:5000/x"), "one");
    assert_null(creds_tls_roots(c, "https://h/x"));
    json_decref(hosts);
    json_decref(roots);
    creds_free(c);
}

static void urls(void **s)
{
    (void)s;
    static const struct {
        const char *url, *origin, *shown;
    } rows[] = {
        {"https://u:p@H.example/x", "https://h.example:443", "https://H.example/x"},
        {"http://h:8080/x?a=b@c", "http://h:8080", "http://h:8080/x?a=b@c"},
        {"https://token@h/x", "https://h:443", "https://h/x"},
        {"git@h:a/b", "ssh://h", "git@h:a/b"},
        {"ssh://git@h:22/a", "ssh://h:22", "ssh://git@h:22/a"},
        {"https://[::1]/x", "https://[::1]:443", "https://[::1]/x"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(str_freep) char *origin = url_origin(rows[i].url);
        CLEANUP(str_freep) char *shown = url_redacted(rows[i].url);
        assert_string_equal(origin, rows[i].origin);
        assert_string_equal(shown, rows[i].shown);
    }
    assert_true(url_same_host("https://h/a", "https://H:443/b"));
    assert_false(url_same_host("https://h/a", "http://h/a"));
    assert_false(url_same_host("https://h/a", "https://h.evil/a"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prefixes_end_at_hosts),
        cmocka_unit_test(ranks_come_in_order),
        cmocka_unit_test(a_repository_goes_before_prefixes),
        cmocka_unit_test(projects_keep_theirs),
        cmocka_unit_test(every_kind_is_read),
        cmocka_unit_test(only_argocds_own),
        cmocka_unit_test(hosts_and_roots),
        cmocka_unit_test(urls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
