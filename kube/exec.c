// SPDX-License-Identifier: Apache-2.0
//
// Credential plugins of kubeconfigs (client.authentication.k8s.io v1 and v1beta1) and token files.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/proc.h"
#include "kube/kube_int.h"

#define MAX_TOKEN_BYTES 65536
#define PLUGIN_TIMEOUT_MS 60000

extern char **environ;

static void build_env(const struct exec_plugin *x, const char *info, struct strv *env)
{
    for (char **e = environ; *e; e++)
        if (!str_starts(*e, "KUBERNETES_EXEC_INFO=") && !str_starts(*e, "REGROW_"))
            strv_push(env, *e);
    size_t i;
    json_t *v;
    json_array_foreach(json_object_get(x->spec, "env"), i, v)
    {
        const char *name = json_dot_str(v, "name");
        const char *value = json_dot_str(v, "value");
        if (name)
            strv_push_take(env, str_printf("%s=%s", name, value ? value : ""));
    }
    strv_push_take(env, str_printf("KUBERNETES_EXEC_INFO=%s", info));
    *vec_push(env) = NULL;
}

static char *exec_info(const struct exec_plugin *x)
{
    const char *av = json_dot_str(x->spec, "apiVersion");
    CLEANUP(json_freep)
    json_t *info = json_pack("{s:s, s:s, s:{s:b}}", "apiVersion", av, "kind", "ExecCredential",
                             "spec", "interactive", 0);
    if (json_dot_bool(x->spec, "provideClusterInfo", false) && x->cluster_info)
        json_object_set(json_object_get(info, "spec"), "cluster", x->cluster_info);
    return json_dumps(info, JSON_COMPACT);
}

static bool take_credential(struct kubeconfig *c, const json_t *cred, const char *command,
                            struct err *err)
{
    const char *token = json_dot_str(cred, "status.token");
    const char *cert = json_dot_str(cred, "status.clientCertificateData");
    const char *key = json_dot_str(cred, "status.clientKeyData");
    const char *until = json_dot_str(cred, "status.expirationTimestamp");
    if (!token && !(cert && key))
        return err_set(err, ERR_DENIED, "credential plugin %s gave neither token nor certificate",
                       command);
    str_set(&c->token, token);
    if (cert && key) {
        buf_reset(&c->cert);
        buf_str(&c->cert, cert);
        buf_reset(&c->key);
        buf_str(&c->key, key);
    }
    c->expires_unix_ms = until ? clock_parse_rfc3339_ms(until) : 0;
    return true;
}

bool exec_plugin_run(struct kubeconfig *c, struct err *err)
{
    const struct exec_plugin *x = c->exec;
    const char *command = json_dot_str(x->spec, "command");
    const char *hint = json_dot_str(x->spec, "installHint");
    struct strv argv = {0};
    struct strv env = {0};
    CLEANUP(str_freep) char *info = exec_info(x);
    strv_push(&argv, command);
    size_t i;
    json_t *a;
    json_array_foreach(json_object_get(x->spec, "args"), i, a)
    {
        strv_push(&argv, json_string_value(a) ? json_string_value(a) : "");
    }
    *vec_push(&argv) = NULL;
    build_env(x, info, &env);
    struct proc_opts o = {.argv = (const char *const *)argv.v,
                          .env = (const char *const *)env.v,
                          .max_out_bytes = 1U << 20,
                          .timeout_ms = PLUGIN_TIMEOUT_MS};
    struct proc_result r = {0};
    CLEANUP(json_freep) json_t *cred = NULL;
    bool ok = proc_run(&o, &r, err);
    if (!ok) {
        err_wrap(err, "credential plugin %s", command);
        if (hint)
            err_hint(err, "%.300s", hint);
    } else if (r.exit_code) {
        // What it printed may hold anything; the first line of its errors is what a person needs.
        size_t n = r.err_text.p ? strcspn(r.err_text.p, "\n") : 0;
        ok = err_set(err, ERR_DENIED, "credential plugin %s failed (exit %d): %.*s", command,
                     r.exit_code, (int)(n < 300 ? n : 300), r.err_text.p ? r.err_text.p : "");
    } else {
        struct err bad = {0};
        ok = r.out.p && canon_read(r.out.p, r.out.len, &cred, &bad);
        if (!ok)
            err_set(err, ERR_DENIED, "credential plugin %s did not print an ExecCredential",
                    command);
        err_clear(&bad);
    }
    ok = ok && take_credential(c, cred, command, err);
    proc_result_clear(&r);
    strv_clear(&argv);
    strv_clear(&env);
    return ok;
}

bool credentials_refresh(struct kubeconfig *c, bool *changed, struct err *err)
{
    CLEANUP(str_freep) char *before = str_dup_or_null(c->token);
    *changed = false;
    if (c->exec) {
        if (!exec_plugin_run(c, err))
            return false;
        *changed = !str_eq(before, c->token) || c->cert.len > 0;
    } else if (c->token_file) {
        struct buf b CLEANUP(buf_clear) = {0};
        if (!file_read(c->token_file, MAX_TOKEN_BYTES, &b, err))
            return false;
        while (b.len && strchr(" \r\n\t", b.p[b.len - 1]))
            b.p[--b.len] = 0;
        str_set(&c->token, b.p ? b.p : "");
        *changed = !str_eq(before, c->token);
    }
    return true;
}
