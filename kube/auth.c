// SPDX-License-Identifier: Apache-2.0
//
// The credential while the client lives: a token file is read again every minute, a plugin is
// asked again when what it gave has run out or is refused. Meanwhile requests wait; the loop does
// not.
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "base/proc.h"
#include "kube/kube_int.h"

#define TOKEN_FILE_MS 60000

static void set_header(struct kube *k)
{
    free(k->auth.header);
    k->auth.header =
        k->config->token ? str_printf("Authorization: Bearer %s", k->config->token) : NULL;
}

void auth_open(struct kube *k)
{
    set_header(k);
}

static void new_generation(struct kube *k)
{
    k->auth.generation++;
    k->auth.was_accepted = false;
    set_header(k);
}

static void on_credential(void *ctx, struct err *err)
{
    struct kube *k = ctx;
    k->auth.plugin = NULL;
    str_set(&k->auth.problem, err->msg);
    new_generation(k);
    requests_pump(k);
}

static void refresh(struct kube *k)
{
    struct kubeconfig *c = k->config;
    if (c->exec) {
        c->expires_unix_ms = 0;
        k->auth.plugin = exec_plugin_start(k->loop, c, on_credential, k);
        return;
    }
    struct err err = {0};
    bool changed = false;
    // A file that cannot be read just now (its volume is being swapped) leaves the old token.
    if (!token_file_read(c, &changed, &err))
        str_set(&k->auth.problem, err.msg);
    err_clear(&err);
    if (changed)
        new_generation(k);
}

bool auth_is_ready(struct kube *k)
{
    const struct kubeconfig *c = k->config;
    if (k->auth.plugin)
        return false;
    if (c->exec && c->expires_unix_ms && clock_unix_ms() >= c->expires_unix_ms)
        refresh(k);
    else if (c->token_file && clock_mono_ms() - c->token_read_ms > TOKEN_FILE_MS)
        refresh(k);
    return !k->auth.plugin;
}

void auth_accepted(struct kube *k, unsigned generation)
{
    if (generation == k->auth.generation)
        k->auth.was_accepted = true;
}

bool auth_refused(struct kube *k, unsigned generation)
{
    if (generation != k->auth.generation || k->auth.plugin)
        return true; // another request has brought a new one meanwhile, or is about to
    // A fresh credential that was never taken is not made better by asking for another.
    if ((!k->config->exec && !k->config->token_file) || (generation > 0 && !k->auth.was_accepted))
        return false;
    refresh(k);
    return k->auth.plugin || generation != k->auth.generation;
}

// "2021-01-01" if the client certificate has ended; owned, else NULL.
static char *ended_on(const struct kubeconfig *c)
{
    BIO *bio = c->cert.len ? BIO_new_mem_buf(c->cert.p, (int)c->cert.len) : NULL;
    X509 *x = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    const ASN1_TIME *end = x ? X509_get0_notAfter(x) : NULL;
    struct tm tm;
    char *day = NULL;
    if (end && X509_cmp_current_time(end) < 0 && ASN1_TIME_to_tm(end, &tm))
        day = str_printf("%04d-%02d-%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
    X509_free(x);
    BIO_free(bio);
    return day;
}

bool auth_explain(const struct kubeconfig *c, struct err *err)
{
    CLEANUP(str_freep) char *day = ended_on(c);
    if (day) {
        err_set(err, ERR_DENIED, "%s: the client certificate of the kubeconfig expired on %s",
                c->server, day);
        return err_hint(err, "Get a new kubeconfig from whoever gave you this one.");
    }
    err_set(err, ERR_DENIED, "%s: the API server does not accept the credentials", c->server);
    return err_hint(err, "Check the user of context %s in the kubeconfig.", c->context);
}

void auth_close(struct kube *k)
{
    if (k->auth.plugin)
        proc_cancel(k->auth.plugin);
    for (int i = 0; k->auth.plugin && i < 100; i++)
        loop_run_once(k->loop, 50);
    free(k->auth.header);
    free(k->auth.problem);
}
