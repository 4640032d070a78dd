// SPDX-License-Identifier: Apache-2.0
//
// A cluster as Argo CD registers it in a Secret: its server, and how to log in. No program that
// such a Secret names is run here: it may be anybody's who can write Secrets.
#include <stdlib.h>
#include <string.h>

#include "kube/kube_int.h"

#define MAX_CONFIG_BYTES (1U << 20)

static bool value_of(const json_t *secret, const char *key, struct buf *out)
{
    const char *coded = json_string_value(json_object_get(json_object_get(secret, "data"), key));
    const char *plain =
        json_string_value(json_object_get(json_object_get(secret, "stringData"), key));
    if (plain)
        buf_str(out, plain);
    else if (!coded || strlen(coded) > MAX_CONFIG_BYTES ||
             !base64_decode(coded, strlen(coded), out))
        return false;
    return out->len && !memchr(out->p, 0, out->len);
}

static void copy_text(json_t *to, const char *key, const json_t *from, const char *field)
{
    const char *s = json_dot_str(from, field);
    if (!str_is_empty(s))
        json_object_set_new(to, key, json_string(s));
}

// The two entries that a kubeconfig would have.
static bool read_entries(struct kubeconfig *c, const json_t *config, const char *server,
                         struct err *err)
{
    CLEANUP(json_freep) json_t *cluster = json_pack("{s:s}", "server", server);
    CLEANUP(json_freep) json_t *user = json_object();
    if (json_is_object(json_object_get(config, "execProviderConfig")) ||
        json_is_object(json_object_get(config, "awsAuthConfig")))
        return err_set(err, ERR_DENIED, "a program would have to log in, which is not run here");
    copy_text(cluster, "certificate-authority-data", config, "tlsClientConfig.caData");
    copy_text(cluster, "tls-server-name", config, "tlsClientConfig.serverName");
    copy_text(cluster, "proxy-url", config, "proxyUrl");
    if (json_dot_bool(config, "tlsClientConfig.insecure", false))
        json_object_set_new(cluster, "insecure-skip-tls-verify", json_true());
    copy_text(user, "client-certificate-data", config, "tlsClientConfig.certData");
    copy_text(user, "client-key-data", config, "tlsClientConfig.keyData");
    copy_text(user, "token", config, "bearerToken");
    if (!json_object_get(user, "token")) {
        copy_text(user, "username", config, "username");
        copy_text(user, "password", config, "password");
    }
    return entry_read_cluster(c, cluster, err) && entry_read_user(c, user, err);
}

bool kubeconfig_of_argocd(const json_t *secret, struct kubeconfig **out, struct err *err)
{
    struct kubeconfig *c CLEANUP(kubeconfig_freep) = mem_alloc(sizeof(*c));
    struct buf server CLEANUP(buf_clear) = {0};
    struct buf text CLEANUP(buf_clear) = {0};
    CLEANUP(json_freep) json_t *config = NULL;
    if (!value_of(secret, "server", &server))
        return err_set(err, ERR_INVALID, "its Secret names no server");
    if (value_of(secret, "config", &text))
        config = json_loadb(text.p, text.len, JSON_REJECT_DUPLICATES, NULL);
    if (text.p)
        explicit_bzero(text.p, text.len);
    if (!json_is_object(config))
        return err_set(err, ERR_INVALID, "its Secret says not how to log in");
    c->context = str_dup(server.p);
    c->namespace = str_dup("default");
    if (!read_entries(c, config, server.p, err))
        return false;
    *out = TAKE(c);
    return true;
}

// ---- the other way round ----

static void add_base64(json_t *to, const char *key, const struct buf *pem)
{
    struct buf b CLEANUP(buf_clear) = {0};
    if (!pem->len)
        return;
    buf_base64(&b, pem->p, pem->len);
    json_object_set_new(to, key, json_string(b.p));
}

static bool may_be_kept(struct kubeconfig *c, struct err *err)
{
    bool changed;
    if (c->exec || c->as_user) {
        err_set(err, ERR_DENIED, "context %s logs in %s", c->context,
                c->exec ? "by a program, which a controller does not run" : "in another's name");
        return err_hint(err, "Make a ServiceAccount there with a Secret of type "
                             "kubernetes.io/service-account-token, and a context with that token.");
    }
    if (c->insecure || !str_starts(c->server, "https://")) {
        err_set(err, ERR_INVALID, "context %s does not verify whom it talks to", c->context);
        return err_hint(err, "Give its cluster a certificate-authority and a server with https.");
    }
    return !c->token_file || token_file_read(c, &changed, err);
}

bool kubeconfig_to_argocd(struct kubeconfig *c, char **config, struct err *err)
{
    if (!may_be_kept(c, err))
        return false;
    bool any = c->token || c->username || c->cert.len;
    if (!any)
        return err_set(err, ERR_DENIED, "context %s has no credentials", c->context);
    json_t *tls = json_pack("{s:b, s:s*}", "insecure", 0, "serverName", c->tls_server_name);
    add_base64(tls, "caData", &c->ca);
    add_base64(tls, "certData", &c->cert);
    add_base64(tls, "keyData", &c->key);
    CLEANUP(json_freep)
    json_t *doc = json_pack("{s:o, s:s*, s:s*, s:s*, s:s*}", "tlsClientConfig", tls, "bearerToken",
                            c->token, "username", c->token ? NULL : c->username, "password",
                            c->token ? NULL : c->password, "proxyUrl", c->proxy_url);
    *config = json_dumps(doc, JSON_COMPACT | JSON_SORT_KEYS);
    return *config ||
           err_set(err, ERR_INVALID, "context %s: its credentials are no text", c->context);
}
