// SPDX-License-Identifier: Apache-2.0
//
// Kubeconfigs as kubectl reads them: files merged, paths beside their file, what is refused.
#include "tests/test.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "kube/kube_int.h"

static char *dir;

static int set_up(void **s)
{
    (void)s;
    struct err err = {0};
    unsetenv("KUBECONFIG");
    unsetenv("KUBERNETES_SERVICE_HOST");
    return dir_make_temp("regrow-test", &dir, &err) ? 0 : -1;
}

static int tear_down(void **s)
{
    (void)s;
    dir_temp_cleanup(&dir);
    return 0;
}

static char *put(const char *name, const char *text)
{
    struct err err = {0};
    char *path = path_join(dir, name);
    if (!file_replace(path, text, strlen(text), 0700, &err))
        fail_msg("%s", err.msg);
    return path;
}

static struct kubeconfig *load(const struct kubeconfig_opts *o)
{
    struct kubeconfig *c = NULL;
    struct err err = {0};
    if (!kubeconfig_load(o, &c, &err))
        fail_msg("%s", err.msg);
    return c;
}

// One file with this cluster and user.
static char *simple(const char *cluster, const char *user)
{
    CLEANUP(str_freep)
    char *text = str_printf("{current-context: c, contexts: [{name: c, context: {cluster: k, user: "
                            "u}}], clusters: [{name: k, cluster: {%s}}], users: [{name: u, user: "
                            "{%s}}]}",
                            cluster, user);
    return put("config", text);
}

static struct kubeconfig *of(const char *cluster, const char *user)
{
    CLEANUP(str_freep) char *path = simple(cluster, user);
    struct kubeconfig_opts o = {.path = path};
    return load(&o);
}

static void refused(const char *cluster, const char *user, const char *why)
{
    CLEANUP(str_freep) char *path = simple(cluster, user);
    struct kubeconfig_opts o = {.path = path};
    struct kubeconfig *c = NULL;
    struct err err = {0};
    if (kubeconfig_load(&o, &c, &err))
        fail_msg("taken: %s %s", cluster, user);
    if (!strstr(err.msg, why))
        fail_msg("%s", err.msg);
    err_clear(&err);
}

#define SERVER "server: 'https://x:1'"

// The first file that names something wins, as a whole; what nobody else names is added.
static void merged(void **s)
{
    (void)s;
    CLEANUP(str_freep)
    char *one = put("one", "{contexts: [{name: a, context: {cluster: k, user: u}}], clusters: "
                           "[{name: k, cluster: {server: 'https://one:1'}}], users: []}");
    CLEANUP(str_freep)
    char *two = put("two", "{current-context: a, contexts: [{name: a, context: {cluster: other}}, "
                           "{name: b, context: {cluster: k, namespace: nb}}], clusters: [{name: k, "
                           "cluster: {server: 'https://two:1', tls-server-name: t}}], users: "
                           "[{name: u, user: {token: t2}}]}");
    CLEANUP(str_freep) char *list = str_printf("%s:%s/absent::%s", one, dir, two);
    setenv("KUBECONFIG", list, 1);
    struct kubeconfig_opts o = {0};
    struct kubeconfig *c CLEANUP(kubeconfig_freep) = load(&o);
    assert_string_equal(kubeconfig_server(c), "https://one:1");
    assert_null(c->tls_server_name);
    assert_string_equal(kubeconfig_context(c), "a");
    assert_string_equal(kubeconfig_namespace(c), "default");
    assert_string_equal(c->token, "t2");
    o.context = "b";
    struct kubeconfig *b CLEANUP(kubeconfig_freep) = load(&o);
    assert_string_equal(kubeconfig_namespace(b), "nb");
    assert_null(b->token);
    o.namespace = "mine";
    struct kubeconfig *n CLEANUP(kubeconfig_freep) = load(&o);
    assert_string_equal(kubeconfig_namespace(n), "mine");
    o.context = "none";
    struct err err = {0};
    struct kubeconfig *none = NULL;
    assert_false(kubeconfig_load(&o, &none, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_non_null(strstr(err.hint, "a, b"));
    err_clear(&err);
    unsetenv("KUBECONFIG");
}

static void paths(void **s)
{
    (void)s;
    CLEANUP(str_freep) char *ca = put("ca.pem", "the CA");
    CLEANUP(str_freep) char *token = put("token", "  tok en \n");
    struct kubeconfig *c CLEANUP(kubeconfig_freep) =
        of(SERVER ", certificate-authority: ca.pem", "tokenFile: ./token");
    assert_string_equal(c->ca.p, "the CA");
    assert_string_equal(c->token, "  tok en");
    // Data goes before a file, which need not even be there.
    struct kubeconfig *d CLEANUP(kubeconfig_freep) =
        of(SERVER ", certificate-authority: nowhere, certificate-authority-data: \"aGVs\\nbG8=\"",
           "client-certificate-data: YQ==, client-key-data: Yg==, client-key: nowhere");
    assert_string_equal(d->ca.p, "hello");
    assert_string_equal(d->key.p, "b");
    // The file is read again.
    CLEANUP(str_freep) char *next = put("token", "new");
    bool changed;
    struct err err = {0};
    assert_true(token_file_read(c, &changed, &err) && changed);
    assert_string_equal(c->token, "new");
    assert_true(token_file_read(c, &changed, &err) && !changed);
}

static void servers(void **s)
{
    (void)s;
    struct kubeconfig *plain CLEANUP(kubeconfig_freep) = of("server: 'h:8080'", "");
    assert_string_equal(plain->server, "http://h:8080");
    struct kubeconfig *tls CLEANUP(kubeconfig_freep) =
        of("server: 'h:1', insecure-skip-tls-verify: true", "");
    assert_string_equal(tls->server, "https://h:1");
    struct kubeconfig *socks CLEANUP(kubeconfig_freep) =
        of(SERVER ", proxy-url: 'socks5://u:p@p:1'", "");
    assert_string_equal(socks->proxy_url, "socks5h://u:p@p:1");
    struct kubeconfig *http CLEANUP(kubeconfig_freep) = of(SERVER ", proxy-url: 'http://p:1'", "");
    assert_string_equal(http->proxy_url, "http://p:1");
    refused("server: 'ftp://x'", "", "no URL");
    refused("server: ''", "", "no server");
    refused(SERVER ", proxy-url: 'p:1'", "", "proxy-url");
    refused(SERVER ", certificate-authority-data: '*'", "", "not base64");
    refused(SERVER ", certificate-authority-data: YQ==, insecure-skip-tls-verify: true", "",
            "insecure-skip-tls-verify");
}

static void users(void **s)
{
    (void)s;
    struct kubeconfig *c CLEANUP(kubeconfig_freep) =
        of(SERVER, "as: jane, as-uid: u1, as-groups: [g1, g2], as-user-extra: {scopes: [a, b]}");
    assert_string_equal(c->as_user, "jane");
    assert_string_equal(c->as_uid, "u1");
    assert_int_equal(json_array_size(c->as_groups), 2);
    assert_int_equal(json_array_size(json_object_get(c->as_extra, "scopes")), 2);
    refused(SERVER, "as-uid: u1", "need a user");
    refused(SERVER, "as: jane, as-groups: x", "not a list");
    refused(SERVER, "as: jane, as-groups: [\"a\\nb\"]", "not text");
    refused(SERVER, "as: \"a\\nb\"", "one line");
    refused(SERVER, "token: a, username: b", "both a token and a password");
    refused(SERVER, "client-certificate-data: YQ==", "must both be set");
    refused(SERVER, "auth-provider: {name: gcp}", "exec plugin");
    refused(SERVER, "tokenFile: nowhere", "tokenFile");
    refused(SERVER, "token: \"a\\n\"", "the token holds a line break");
    refused(SERVER, "token: \"a\\x7fb\"", "a control character");
    CLEANUP(str_freep) char *path = put("token", "a\rX: y\n");
    refused(SERVER, "tokenFile: token", "holds no token");
}

// A plugin that prints what the test wants, with what it was told in its own files.
static void plugin(const char *prints)
{
    CLEANUP(str_freep)
    char *text = str_printf("#!/bin/sh\nprintf %%s \"$KUBERNETES_EXEC_INFO\" >%s/info\nprintf "
                            "'%%s|' \"$ONE\" \"$TWO\" \"$1\" >%s/seen\ncat <<'E'\n%s\nE\n",
                            dir, dir, prints);
    CLEANUP(str_freep) char *path = put("plugin.sh", text);
    chmod(path, 0700);
}

static void file_is(const char *name, const char *want)
{
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    CLEANUP(str_freep) char *path = path_join(dir, name);
    assert_true(file_read(path, 1U << 20, &b, &err));
    assert_string_equal(b.p, want);
}

#define V1 "client.authentication.k8s.io/v1"
#define EXEC(more)                                                                                 \
    "exec: {apiVersion: " V1 ", command: ./plugin.sh, interactiveMode: Never" more "}"
#define CRED(status) "{\"apiVersion\":\"" V1 "\",\"kind\":\"ExecCredential\",\"status\":" status "}"

static void plugins(void **s)
{
    (void)s;
    setenv("ONE", "ours", 1);
    setenv("TWO", "ours", 1);
    plugin(CRED("{\"token\":\"tok\",\"expirationTimestamp\":\"2999-01-01T00:00:00Z\"}"));
    struct kubeconfig *c CLEANUP(kubeconfig_freep) =
        of(SERVER ", certificate-authority-data: YQ==, extensions: [{name: "
                  "client.authentication.k8s.io/exec, extension: {a: 1}}]",
           EXEC(", provideClusterInfo: true, args: [arg], env: [{name: TWO, value: theirs}]"));
    assert_string_equal(c->token, "tok");
    assert_true(c->expires_unix_ms > clock_unix_ms());
    file_is("seen", "ours|theirs|arg|");
    file_is("info", "{\"apiVersion\":\"" V1 "\",\"kind\":\"ExecCredential\",\"spec\":{"
                    "\"interactive\":false,\"cluster\":{\"server\":\"https://x:1\","
                    "\"certificate-authority-data\":\"YQ==\",\"config\":{\"a\":1}}}}");
    plugin(CRED("{\"clientCertificateData\":\"c\",\"clientKeyData\":\"k\"}"));
    struct kubeconfig *pair CLEANUP(kubeconfig_freep) = of(SERVER, EXEC(""));
    assert_string_equal(pair->key.p, "k");
    assert_null(pair->token);
    assert_int_equal(pair->expires_unix_ms, 0);
    // One that has run out already would be asked for without end.
    plugin(CRED("{\"token\":\"t\",\"expirationTimestamp\":\"2001-01-01T00:00:00Z\"}"));
    struct kubeconfig *old CLEANUP(kubeconfig_freep) = of(SERVER, EXEC(""));
    assert_int_equal(old->expires_unix_ms, 0);
    // With a token at hand nobody is asked.
    plugin("nonsense");
    struct kubeconfig *own CLEANUP(kubeconfig_freep) = of(SERVER, "token: mine, " EXEC(""));
    assert_string_equal(own->token, "mine");
}

static void bad_plugins(void **s)
{
    (void)s;
    static const struct {
        const char *prints, *why;
    } cases[] = {
        {"nonsense", "did not print an ExecCredential"},
        {CRED("{}"), "neither token nor certificate"},
        {CRED("{\"clientKeyData\":\"k\"}"), "half a key pair"},
        {CRED("{\"token\":\"t\\u000aX: y\"}"), "gave a token with a line break"},
        {"{\"apiVersion\":\"client.authentication.k8s.io/v1beta1\",\"kind\":\"ExecCredential\","
         "\"status\":{\"token\":\"t\"}}",
         "ExecCredential of " V1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        plugin(cases[i].prints);
        refused(SERVER, EXEC(""), cases[i].why);
    }
    CLEANUP(str_freep)
    char *path = put("plugin.sh", "#!/bin/sh\necho 'log in first' >&2\nexit 3\n");
    refused(SERVER, EXEC(""), "failed (exit 3): log in first");
    free(path);
    path = put("plugin.sh",
               "#!/bin/sh\nprintf '\\033[1;31mlog\\033[0m\\007 in\\nsecond' >&2\nexit 4\n");
    refused(SERVER, EXEC(""), "failed (exit 4): log in");
    free(path);
    path = put("plugin.sh", "#!/bin/sh\nprintf 'cut \\033[' >&2\nexit 5\n");
    refused(SERVER, EXEC(""), "failed (exit 5): cut ");
    free(path);
    path = put("plugin.sh", "#!/bin/sh\nexit 6\n");
    refused(SERVER, EXEC(""), "failed (exit 6): it does not say why");
    free(path);
    path = put("plugin.sh", "not a program");
    refused(SERVER, EXEC(""), "Exec format error");
    refused(SERVER, "exec: {apiVersion: " V1 ", command: no-such-plugin-anywhere}",
            "no-such-plugin-anywhere");
    refused(SERVER, "exec: {apiVersion: client.authentication.k8s.io/v1alpha1, command: x}",
            "not supported");
    refused(SERVER, "exec: {apiVersion: evil/v1, command: x}", "not supported");
    refused(SERVER, "exec: {apiVersion: " V1 ", command: x, interactiveMode: Always}", "terminal");
    refused(SERVER, "exec: {apiVersion: " V1 "}", "no command");
}

static volatile sig_atomic_t stop;

static void on_alarm(int sig)
{
    (void)sig;
    stop = 1;
}

// Ctrl-C does not wait for a plugin that hangs.
static void stopped(void **s)
{
    (void)s;
    CLEANUP(str_freep) char *plugin = put("plugin.sh", "#!/bin/sh\nexec sleep 100\n");
    CLEANUP(str_freep) char *path = simple(SERVER, EXEC(""));
    struct loop *l CLEANUP(loop_freep) = loop_new(&stop);
    struct kubeconfig_opts o = {.path = path, .loop = l};
    struct kubeconfig *c = NULL;
    struct err err = {0};
    int64_t began = clock_mono_ms();
    signal(SIGALRM, on_alarm);
    alarm(1);
    assert_false(kubeconfig_load(&o, &c, &err));
    assert_int_equal(err.kind, ERR_CANCELLED);
    assert_true(clock_mono_ms() - began < 30000);
    err_clear(&err);
}

// Of a kubeconfig that names nothing to connect to it is said what it lacks, and what to do.
static void names_no_context(void **s)
{
    (void)s;
    static const struct {
        const char *text, *context, *why, *hint;
    } cases[] = {
        {"", NULL, "is empty", "--kubeconfig FILE"},
        {"# nothing\n", NULL, "is empty", "--kubeconfig FILE"},
        {"null\n", NULL, "is empty", "--kubeconfig FILE"},
        {"apiVersion: v1\nkind: Config\n", NULL, "has no contexts", "kubectl config set-context"},
        {"contexts: []\ncurrent-context: a\n", NULL, "has no contexts", "--kubeconfig FILE"},
        {"contexts: null\n", "a", "has no contexts", "--kubeconfig FILE"},
        {"contexts: [{name: a, context: {}}]\n", NULL, "no current-context", "one of: a."},
        {"[a]\n", NULL, "is not a map", "--kubeconfig FILE"},
        {"a: [\n", NULL, "kubeconfig: ", "--kubeconfig FILE"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(str_freep) char *path = put("config", cases[i].text);
        struct kubeconfig_opts o = {.path = path, .context = cases[i].context};
        struct kubeconfig *c = NULL;
        struct err err = {0};
        assert_false(kubeconfig_load(&o, &c, &err));
        assert_int_equal(err.kind, ERR_INVALID);
        if (!strstr(err.msg, cases[i].why) || !err.hint || !strstr(err.hint, cases[i].hint))
            fail_msg("%s: %s; %s", cases[i].text, err.msg, err.hint ? err.hint : "no hint");
        err_clear(&err);
    }
}

// Nor is one that cannot be read at all left without advice.
static void cannot_be_read(void **s)
{
    (void)s;
    CLEANUP(str_freep) char *gone = path_join(dir, "gone");
    const char *const paths[] = {gone, dir};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct kubeconfig_opts o = {.path = paths[i]};
        struct kubeconfig *c = NULL;
        struct err err = {0};
        assert_false(kubeconfig_load(&o, &c, &err));
        assert_non_null(strstr(err.msg, paths[i]));
        assert_non_null(strstr(err.hint, "--kubeconfig FILE"));
        err_clear(&err);
    }
}

static void in_cluster_needs_a_token(void **s)
{
    (void)s;
    setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1", 1);
    setenv("KUBERNETES_SERVICE_PORT", "443", 1);
    setenv("HOME", dir, 1);
    struct kubeconfig_opts o = {0};
    struct kubeconfig *c = NULL;
    struct err err = {0};
    if (!file_exists("/var/run/secrets/kubernetes.io/serviceaccount/token")) {
        assert_false(kubeconfig_load(&o, &c, &err));
        assert_int_equal(err.kind, ERR_NOT_FOUND);
        err_clear(&err);
    }
    unsetenv("KUBERNETES_SERVICE_HOST");
}

// A cluster as Argo CD keeps it: {server, config, what is said of it, or why it is refused}.
static void registered(void **s)
{
    static const struct {
        const char *server, *config, *token, *user, *problem;
    } cases[] = {
        {"https://a:6443", "{\"bearerToken\": \"t\", \"username\": \"u\"}", "t", NULL, NULL},
        {"https://a", "{\"username\": \"u\", \"password\": \"p\", \"awsAuthConfig\": null}", NULL,
         "u", NULL},
        {"https://a", "{\"tlsClientConfig\": {\"insecure\": true, \"serverName\": \"b\"}}", NULL,
         NULL, NULL},
        {"https://a", "{\"execProviderConfig\": {\"command\": \"touch\"}}", NULL, NULL, "program"},
        {"https://a", "{\"tlsClientConfig\": {\"certData\": \"YQ==\"}}", NULL, NULL, "client-key"},
        {"https://a", "{\"tlsClientConfig\": {\"caData\": \"?\"}}", NULL, NULL, "base64"},
        {"https://a", "[]", NULL, NULL, "how to log in"},
        {"file:///etc", "{}", NULL, NULL, "no URL"},
        {"", "{}", NULL, NULL, "no server"},
    };
    (void)s;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(json_freep)
        json_t *doc = json_pack("{s:{s:s, s:s}}", "stringData", "server", cases[i].server, "config",
                                cases[i].config);
        struct kubeconfig *c CLEANUP(kubeconfig_freep) = NULL;
        struct err err = {0};
        bool ok = kubeconfig_of_argocd(doc, &c, &err);
        assert_int_equal(ok, cases[i].problem == NULL);
        if (!ok)
            assert_non_null(strstr(err.msg, cases[i].problem));
        else
            assert_true(str_eq(c->server, cases[i].server) && str_eq(c->token, cases[i].token) &&
                        str_eq(c->username, cases[i].user));
        err_clear(&err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merged),         cmocka_unit_test(paths),
        cmocka_unit_test(servers),        cmocka_unit_test(users),
        cmocka_unit_test(plugins),        cmocka_unit_test(bad_plugins),
        cmocka_unit_test(stopped),        cmocka_unit_test(names_no_context),
        cmocka_unit_test(cannot_be_read), cmocka_unit_test(in_cluster_needs_a_token),
        cmocka_unit_test(registered)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
