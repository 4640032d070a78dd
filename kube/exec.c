// SPDX-License-Identifier: Apache-2.0
//
// Credentials that are fetched: plugins of kubeconfigs (client.authentication.k8s.io v1 and
// v1beta1) and token files.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/proc.h"
#include "kube/kube_int.h"

#define MAX_TOKEN_BYTES 65536
#define PLUGIN_TIMEOUT_MS 60000
#define MAX_SAID_BYTES 300

extern char **environ;

void exec_plugin_free(struct exec_plugin *x)
{
    if (!x)
        return;
    json_decref(x->spec);
    json_decref(x->cluster_info);
    free(x->command);
    free(x);
}

static bool names_variable(const json_t *env, const char *pair)
{
    size_t i;
    json_t *v;
    json_array_foreach(env, i, v)
    {
        const char *name = json_dot_str(v, "name");
        size_t n = name ? strlen(name) : 0;
        if (n && !strncmp(pair, name, n) && pair[n] == '=')
            return true;
    }
    return false;
}

// Ours, without what the entry sets itself and without our own options, and then the entry's.
static void build_env(const struct exec_plugin *x, const char *info, struct strv *env)
{
    const json_t *own = json_object_get(x->spec, "env");
    for (char **e = environ; *e; e++)
        if (!str_starts(*e, "KUBERNETES_EXEC_INFO=") && !str_starts(*e, "REGROW_") &&
            !names_variable(own, *e))
            strv_push(env, *e);
    size_t i;
    json_t *v;
    json_array_foreach(own, i, v)
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

bool token_is_valid(const char *token)
{
    for (; *token; token++)
        if ((unsigned char)*token < ' ' || *token == 0x7f)
            return false;
    return true;
}

static bool take_credential(struct kubeconfig *c, const json_t *cred, struct err *err)
{
    const struct exec_plugin *x = c->exec;
    const char *av = json_dot_str(x->spec, "apiVersion");
    const char *got = json_dot_str(cred, "apiVersion");
    const char *token = json_dot_str(cred, "status.token");
    const char *cert = json_dot_str(cred, "status.clientCertificateData");
    const char *key = json_dot_str(cred, "status.clientKeyData");
    const char *until = json_dot_str(cred, "status.expirationTimestamp");
    if (!str_eq(json_dot_str(cred, "kind"), "ExecCredential") || !str_eq(av, got))
        return err_set(err, ERR_DENIED,
                       "credential plugin %s did not print an ExecCredential of %s", x->command,
                       av);
    if (str_is_empty(cert) != str_is_empty(key))
        return err_set(err, ERR_DENIED, "credential plugin %s gave half a key pair", x->command);
    if (str_is_empty(token) && str_is_empty(cert))
        return err_set(err, ERR_DENIED, "credential plugin %s gave neither token nor certificate",
                       x->command);
    if (token && !token_is_valid(token))
        return err_set(err, ERR_DENIED,
                       "credential plugin %s gave a token with a line break or a control character",
                       x->command);
    str_set(&c->token, str_is_empty(token) ? NULL : token);
    if (!str_is_empty(cert)) {
        buf_reset(&c->cert);
        buf_str(&c->cert, cert);
        buf_reset(&c->key);
        buf_str(&c->key, key);
    }
    int64_t at = until ? clock_parse_rfc3339_ms(until) : 0;
    // One that is over already would have every request wait for the plugin.
    c->expires_unix_ms = at > clock_unix_ms() ? at : 0;
    return true;
}

// What a plugin run needs; lent to it until its end.
struct plugin_call {
    struct kubeconfig *c;
    struct strv argv, env;
    void (*done)(void *ctx, struct err *err);
    void *ctx;
};

static struct proc_opts call_prepare(struct plugin_call *p)
{
    const struct exec_plugin *x = p->c->exec;
    CLEANUP(str_freep) char *info = exec_info(x);
    strv_push(&p->argv, x->command);
    size_t i;
    json_t *a;
    json_array_foreach(json_object_get(x->spec, "args"), i, a)
    {
        strv_push(&p->argv, json_string_value(a) ? json_string_value(a) : "");
    }
    *vec_push(&p->argv) = NULL;
    build_env(x, info, &p->env);
    return (struct proc_opts){.argv = (const char *const *)p->argv.v,
                              .env = (const char *const *)p->env.v,
                              .max_out_bytes = 1U << 20,
                              .timeout_ms = PLUGIN_TIMEOUT_MS};
}

static void call_clear(struct plugin_call *p)
{
    strv_clear(&p->argv);
    strv_clear(&p->env);
}

// The first line of what it said, without what would move a terminal's cursor or colour. Owned.
static char *first_line(const struct buf *text)
{
    struct buf b = {0};
    const char *s = text->p ? text->p : "";
    for (; *s && *s != '\n' && b.len < MAX_SAID_BYTES; s++) {
        if (s[0] == '\033' && s[1] == '[') {
            s += 1 + strcspn(s + 1, "@ABCDEFGHJKSTfhlmnsu\n");
            if (!*s || *s == '\n')
                break;
        } else if ((unsigned char)*s >= ' ' && *s != 0x7f) {
            buf_char(&b, *s);
        }
    }
    buf_char(&b, 0);
    return buf_take(&b);
}

// What the plugin printed becomes the credential; err may be set already.
static bool call_finish(struct plugin_call *p, const struct proc_result *r, struct err *err)
{
    const struct exec_plugin *x = p->c->exec;
    const char *hint = json_dot_str(x->spec, "installHint");
    CLEANUP(json_freep) json_t *cred = NULL;
    if (err_is_set(err)) {
        if (err->kind == ERR_TIMEOUT) {
            err_clear(err);
            err_set(err, ERR_TIMEOUT, "it did not end within %d s", PLUGIN_TIMEOUT_MS / 1000);
        } else if (err->kind == ERR_INVALID) {
            err->kind = ERR_DENIED; // nothing of the user's input is wrong: there is no credential
        }
        err_wrap(err, "credential plugin %s", x->command);
        return hint ? err_hint(err, "%.300s", hint) : false;
    }
    if (r->exit_code) {
        // What it printed may hold anything; the first line of its errors is what a person needs.
        CLEANUP(str_freep) char *said = first_line(&r->err_text);
        return err_set(err, ERR_DENIED, "credential plugin %s failed (exit %d): %s", x->command,
                       r->exit_code, *said ? said : "it does not say why");
    }
    struct err bad = {0};
    bool ok = r->out.p && canon_read(r->out.p, r->out.len, &cred, &bad);
    err_clear(&bad);
    if (!ok)
        return err_set(err, ERR_DENIED, "credential plugin %s did not print an ExecCredential",
                       x->command);
    return take_credential(p->c, cred, err);
}

static void on_plugin(void *ctx, struct proc_result *r, struct err *err)
{
    struct plugin_call *p = ctx;
    struct err own = {0};
    if (err_is_set(err))
        err_copy(&own, err);
    call_finish(p, r, &own);
    p->done(p->ctx, &own);
    err_clear(&own);
    call_clear(p);
    free(p);
}

struct proc *exec_plugin_start(struct loop *l, struct kubeconfig *c,
                               void (*done)(void *ctx, struct err *err), void *ctx)
{
    struct plugin_call *p = mem_alloc(sizeof(*p));
    *p = (struct plugin_call){.c = c, .done = done, .ctx = ctx};
    struct proc_opts o = call_prepare(p);
    return proc_start(l, &o, on_plugin, p);
}

struct waiting {
    struct err *err;
    bool is_done;
};

static void on_first(void *ctx, struct err *err)
{
    struct waiting *w = ctx;
    if (err_is_set(err))
        err_copy(w->err, err);
    w->is_done = true;
}

bool exec_plugin_run(struct kubeconfig *c, struct loop *l, struct err *err)
{
    struct loop *own CLEANUP(loop_freep) = l ? NULL : loop_new(NULL);
    struct loop *loop = l ? l : own;
    struct waiting w = {.err = err};
    struct proc *p = exec_plugin_start(loop, c, on_first, &w);
    while (!w.is_done) {
        if (loop_stopping(loop))
            proc_cancel(p);
        loop_run_once(loop, -1);
    }
    return !err_is_set(err);
}

bool token_file_read(struct kubeconfig *c, bool *changed, struct err *err)
{
    struct buf b CLEANUP(buf_clear) = {0};
    *changed = false;
    c->token_read_ms = clock_mono_ms();
    if (!file_read(c->token_file, MAX_TOKEN_BYTES, &b, err))
        return false;
    while (b.len && strchr(" \r\n\t", b.p[b.len - 1]))
        b.p[--b.len] = 0;
    if (!b.len || memchr(b.p, 0, b.len) || !token_is_valid(b.p))
        return err_set(err, ERR_INVALID, "%s holds no token", c->token_file);
    *changed = !str_eq(c->token, b.p);
    str_set(&c->token, b.p);
    return true;
}
