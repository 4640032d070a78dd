// SPDX-License-Identifier: Apache-2.0
//
// What one cluster entry and one user entry of a kubeconfig say, or the Pod's own ServiceAccount:
// relative paths stand beside the file that names them, data goes before files.
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "kube/kube_int.h"

#define MAX_PEM_BYTES (1U << 20)
#define IN_CLUSTER "/var/run/secrets/kubernetes.io/serviceaccount"
#define MAX_GROUPS 1000

static char *beside(const json_t *entry, const char *path)
{
    return path_join(json_string_value(json_object_get(entry, ENTRY_DIR)), path);
}

// "X-data" (base64) or the file "X" into out; both absent is fine.
static bool read_pem(const json_t *entry, const char *name, struct buf *out, struct err *err)
{
    CLEANUP(str_freep) char *data_key = str_printf("%s-data", name);
    const char *data = json_string_value(json_object_get(entry, data_key));
    const char *file = json_string_value(json_object_get(entry, name));
    if (!str_is_empty(data))
        return base64_decode(data, strlen(data), out) ||
               err_set(err, ERR_INVALID, "kubeconfig: %s is not base64", data_key);
    if (str_is_empty(file))
        return true;
    CLEANUP(str_freep) char *path = beside(entry, file);
    return file_read(path, MAX_PEM_BYTES, out, err) || err_wrap(err, "kubeconfig: %s", name);
}

static char *text_of(const json_t *entry, const char *key)
{
    const char *s = json_dot_str(entry, key);
    return str_is_empty(s) ? NULL : str_dup(s);
}

// ---- cluster ----
static bool has_scheme(const char *url, const char *const *schemes)
{
    for (; *schemes; schemes++) {
        size_t n = strlen(*schemes);
        if (!strncmp(url, *schemes, n) && !strncmp(url + n, "://", 3) && url[n + 3])
            return true;
    }
    return false;
}

// "host:port" alone is what kubectl takes for TLS when the entry says anything about TLS.
static bool set_server(struct kubeconfig *c, const char *server, struct err *err)
{
    static const char *const schemes[] = {"https", "http", NULL};
    bool is_tls = c->insecure || c->ca.len || c->tls_server_name;
    if (has_scheme(server, schemes))
        c->server = str_dup(server);
    else if (!strstr(server, "://") && !strpbrk(server, " \t\r\n@"))
        c->server = str_printf("%s://%s", is_tls ? "https" : "http", server);
    else
        return err_set(err, ERR_INVALID, "kubeconfig: server \"%.200s\" is no URL", server);
    return true;
}

// Go's socks5 leaves names to the proxy, which curl calls socks5h.
static bool set_proxy(struct kubeconfig *c, const char *url, struct err *err)
{
    static const char *const schemes[] = {"http", "https", "socks5", "socks5h", NULL};
    if (str_is_empty(url))
        return true;
    if (!has_scheme(url, schemes))
        return err_set(err, ERR_INVALID,
                       "kubeconfig: proxy-url wants http, https or socks5 before its \"://\"");
    c->proxy_url = str_starts(url, "socks5://") ? str_printf("socks5h%s", url + strlen("socks5"))
                                                : str_dup(url);
    return true;
}

bool entry_read_cluster(struct kubeconfig *c, const json_t *cl, struct err *err)
{
    const char *server = json_dot_str(cl, "server");
    if (str_is_empty(server))
        return err_set(err, ERR_INVALID, "kubeconfig: the cluster of context %s has no server",
                       c->context);
    c->insecure = json_dot_bool(cl, "insecure-skip-tls-verify", false);
    c->tls_server_name = text_of(cl, "tls-server-name");
    if (!read_pem(cl, "certificate-authority", &c->ca, err))
        return false;
    if (c->insecure && c->ca.len)
        return err_set(err, ERR_INVALID,
                       "kubeconfig: insecure-skip-tls-verify stands beside a certificate "
                       "authority, which it would leave unused; take one of them out");
    c->exec_config =
        json_incref(json_at(cl, "extensions", NULL)); // a list; the plugin's part is looked up
    return set_server(c, server, err) && set_proxy(c, json_dot_str(cl, "proxy-url"), err);
}

// ---- user ----
static const json_t *exec_extension(const struct kubeconfig *c)
{
    size_t i;
    json_t *e;
    json_array_foreach(c->exec_config, i, e)
    {
        if (str_eq(json_dot_str(e, "name"), "client.authentication.k8s.io/exec"))
            return json_object_get(e, "extension");
    }
    return NULL;
}

static json_t *cluster_info(const struct kubeconfig *c)
{
    struct buf ca CLEANUP(buf_clear) = {0};
    buf_base64(&ca, c->ca.p, c->ca.len);
    json_t *info = json_pack("{s:s}", "server", c->server);
    if (ca.len)
        json_object_set_new(info, "certificate-authority-data", json_string(ca.p));
    if (c->tls_server_name)
        json_object_set_new(info, "tls-server-name", json_string(c->tls_server_name));
    if (c->insecure)
        json_object_set_new(info, "insecure-skip-tls-verify", json_true());
    if (c->proxy_url)
        json_object_set_new(info, "proxy-url", json_string(c->proxy_url));
    const json_t *config = exec_extension(c);
    if (config)
        json_object_set(info, "config", (json_t *)config);
    return info;
}

static bool is_exec_version(const char *av)
{
    return str_eq(av, "client.authentication.k8s.io/v1") ||
           str_eq(av, "client.authentication.k8s.io/v1beta1");
}

static bool read_exec(struct kubeconfig *c, const json_t *user, json_t *spec, struct err *err)
{
    const char *av = json_dot_str(spec, "apiVersion");
    const char *command = json_dot_str(spec, "command");
    if (!is_exec_version(av))
        return err_set(err, ERR_INVALID, "kubeconfig: exec apiVersion \"%.80s\" is not supported",
                       av ? av : "");
    if (str_is_empty(command))
        return err_set(err, ERR_INVALID, "kubeconfig: exec has no command");
    if (str_eq(json_dot_str(spec, "interactiveMode"), "Always"))
        return err_set(err, ERR_INVALID,
                       "kubeconfig: credential plugin %s wants a terminal, which regrow does not "
                       "give it",
                       command);
    c->exec = mem_alloc(sizeof(*c->exec));
    c->exec->spec = json_incref(spec);
    c->exec->cluster_info = cluster_info(c);
    // A path is one beside the file; a bare name is looked up in PATH.
    c->exec->command = strchr(command, '/') ? beside(user, command) : str_dup(command);
    return exec_plugin_run(c, c->loop, err);
}

static bool read_texts(const json_t *list, const char *what, struct err *err)
{
    size_t i;
    json_t *v;
    if (list && !json_is_array(list))
        return err_set(err, ERR_INVALID, "kubeconfig: %s is not a list", what);
    if (json_array_size(list) > MAX_GROUPS)
        return err_set(err, ERR_INVALID, "kubeconfig: %s is too long", what);
    json_array_foreach(list, i, v)
    {
        // What goes into a header must not end it.
        if (!json_is_string(v) || strpbrk(json_string_value(v), "\r\n"))
            return err_set(err, ERR_INVALID, "kubeconfig: an item of %s is not text", what);
    }
    return true;
}

static bool read_impersonation(struct kubeconfig *c, const json_t *u, struct err *err)
{
    c->as_user = text_of(u, "as");
    c->as_uid = text_of(u, "as-uid");
    c->as_groups = json_incref(json_object_get(u, "as-groups"));
    c->as_extra = json_incref(json_object_get(u, "as-user-extra"));
    if (!read_texts(c->as_groups, "as-groups", err))
        return false;
    const char *key;
    json_t *v;
    json_object_foreach(c->as_extra, key, v)
    {
        if (!read_texts(v, "as-user-extra", err))
            return false;
    }
    if ((c->as_user && strpbrk(c->as_user, "\r\n")) || (c->as_uid && strpbrk(c->as_uid, "\r\n")))
        return err_set(err, ERR_INVALID, "kubeconfig: as and as-uid are one line each");
    if (!c->as_user &&
        (c->as_uid || json_array_size(c->as_groups) || json_object_size(c->as_extra)))
        return err_set(err, ERR_INVALID,
                       "kubeconfig: as-uid, as-groups and as-user-extra need a user in \"as\"");
    return true;
}

bool entry_read_user(struct kubeconfig *c, const json_t *u, struct err *err)
{
    if (!u)
        return true;
    if (json_object_get(u, "auth-provider"))
        return err_set(err, ERR_INVALID,
                       "kubeconfig: auth-provider was removed from Kubernetes in 1.26 and is not "
                       "supported; use an exec plugin");
    if (!read_pem(u, "client-certificate", &c->cert, err) ||
        !read_pem(u, "client-key", &c->key, err))
        return false;
    if ((c->cert.len == 0) != (c->key.len == 0))
        return err_set(err, ERR_INVALID,
                       "kubeconfig: client-certificate and client-key must both be set");
    c->token = text_of(u, "token");
    c->username = text_of(u, "username");
    c->password = text_of(u, "password");
    if (c->token && (c->username || c->password))
        return err_set(err, ERR_INVALID, "kubeconfig: both a token and a password are set");
    if (c->token && !token_is_valid(c->token))
        return err_set(err, ERR_INVALID,
                       "kubeconfig: the token holds a line break or a control character");
    const char *token_file = json_dot_str(u, "tokenFile");
    if (!str_is_empty(token_file)) {
        bool changed;
        c->token_file = beside(u, token_file);
        if (!token_file_read(c, &changed, err))
            return err_wrap(err, "kubeconfig: tokenFile");
    }
    if (!read_impersonation(c, u, err))
        return false;
    // With a token at hand kubectl does not ask a plugin.
    json_t *exec = json_object_get(u, "exec");
    return !json_is_object(exec) || c->token || read_exec(c, u, exec, err);
}

// ---- the Pod's own ServiceAccount ----
bool entry_in_cluster(struct kubeconfig *c, const char *namespace, bool *found, struct err *err)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST");
    const char *port = getenv("KUBERNETES_SERVICE_PORT");
    bool changed;
    *found = host && *host && port && *port && file_exists(IN_CLUSTER "/token");
    if (!*found)
        return true;
    c->context = str_dup("in-cluster");
    c->server = strchr(host, ':') ? str_printf("https://[%s]:%s", host, port)
                                  : str_printf("https://%s:%s", host, port);
    c->token_file = str_dup(IN_CLUSTER "/token");
    struct buf ns CLEANUP(buf_clear) = {0};
    if (!file_read(IN_CLUSTER "/ca.crt", MAX_PEM_BYTES, &c->ca, err) ||
        !token_file_read(c, &changed, err))
        return false;
    if (file_exists(IN_CLUSTER "/namespace") && !file_read(IN_CLUSTER "/namespace", 1024, &ns, err))
        return false;
    c->namespace = str_dup(!str_is_empty(namespace) ? namespace : ns.len ? ns.p : "default");
    return true;
}
