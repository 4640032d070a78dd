// SPDX-License-Identifier: Apache-2.0
//
// Which live Secrets belong to the secret-zero set: those without which nothing else comes back.
// Pure; docs/secret-zero.md says why each is there.
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "snapshot/capture.h"

#define AGE_KEY "AGE-SECRET-KEY-1"

static const struct secret_rule defaults[] = {
    // Never: what regrow itself signs with would make of a reader a writer.
    {.name = "regrow's own", .namespace = "regrow-system"},
    {.name = "asked not to", .label = "regrow.dev/snapshot=false"},
    {.name = "asked for", .take = true, .label = "regrow.dev/snapshot=true"},
    // Never: bound to a cluster that is gone, or made anew by whoever owns it.
    {.name = "service account tokens", .type = "kubernetes.io/service-account-token"},
    {.name = "bootstrap tokens", .type = "bootstrap.kubernetes.io/token"},
    {.name = "records of Helm", .type = "helm.sh/release.v1"},
    {.name = "webhook of cert-manager", .object = "cert-manager-webhook-ca"},
    {.name = "certificates being renewed", .label = "cert-manager.io/next-private-key=true"},
    {.name = "webhook of external-secrets", .object = "external-secrets-webhook"},
    {.name = "admission certificates", .object = "*-admission", .data_key = "ca"},
    // Keys that open other secrets.
    {.name = "sealed-secrets keys",
     .take = true,
     .label = "sealedsecrets.bitnami.com/sealed-secrets-key"},
    {.name = "sealed-secrets keys",
     .take = true,
     .object = "sealed-secrets-key",
     .type = "kubernetes.io/tls"},
    {.name = "SOPS keys", .take = true, .data_key = "*.agekey"},
    {.name = "SOPS keys", .take = true, .holds = AGE_KEY},
    {.name = "SOPS keys", .take = true, .holds = "BEGIN PGP PRIVATE KEY"},
    // What sources are read with.
    {.name = "cluster registrations", .take = true, .label = ARGOCD_SECRET_TYPE "=cluster"},
    {.name = "repository credentials", .take = true, .label = ARGOCD_SECRET_TYPE},
    {.name = "repository credentials",
     .take = true,
     .namespace = "flux-system",
     .object = "flux-system"},
    {.name = "secrets of Argo CD", .take = true, .namespace = "argocd", .object = "argocd-secret"},
    {.name = "repository credentials",
     .take = true,
     .kind = "ConfigMap",
     .namespace = ARGOCD_NAMESPACE,
     .object = ARGOCD_KNOWN_HOSTS},
    {.name = "repository credentials",
     .take = true,
     .kind = "ConfigMap",
     .namespace = ARGOCD_NAMESPACE,
     .object = ARGOCD_TLS_CERTS},
    {.name = "repository credentials",
     .take = true,
     .kind = "ConfigMap",
     .namespace = ARGOCD_NAMESPACE,
     .object = "argocd-gpg-keys-cm"},
    // What takes long, or an authority's goodwill, to get again.
    {.name = "TLS", .take = true, .type = "kubernetes.io/tls"},
    {.name = "registry credentials", .take = true, .type = "kubernetes.io/dockerconfigjson"},
    {.name = "registry credentials", .take = true, .type = "kubernetes.io/dockercfg"},
    {.name = "ssh keys", .take = true, .type = "kubernetes.io/ssh-auth"},
};

const struct secret_rule *secret_rules_default(size_t *n)
{
    *n = ARRAY_LEN(defaults);
    return defaults;
}

static bool meets(const char *pattern, const char *text)
{
    return !pattern || (text && glob_match(GLOB_PATH, pattern, text));
}

static bool has_label(const json_t *object, const char *label)
{
    if (!label)
        return true;
    const char *eq = strchr(label, '=');
    CLEANUP(str_freep) char *key = eq ? str_ndup(label, (size_t)(eq - label)) : str_dup(label);
    const char *value = json_label(object, key);
    return value && (!eq || !strcmp(value, eq + 1));
}

static bool has_data_key(const json_t *object, const char *pattern)
{
    const char *key;
    json_t *v;
    json_object_foreach(json_object_get(object, "data"), key, v)
    {
        if (meets(pattern, key))
            return true;
    }
    return !pattern;
}

// Calls fn with each value of a Secret, decoded and NUL-terminated, until it says true.
static bool any_value(const json_t *secret, bool (*fn)(const char *p, size_t len, const void *ctx),
                      const void *ctx)
{
    const char *key;
    json_t *v;
    bool found = false;
    json_object_foreach(json_object_get(secret, "data"), key, v)
    {
        struct buf b = {0};
        const char *text = json_string_value(v);
        found = text && base64_decode(text, strlen(text), &b) && b.len && fn(b.p, b.len, ctx);
        buf_wipe(&b);
        if (found)
            break;
    }
    return found;
}

static bool has_text(const char *p, size_t len, const void *ctx)
{
    return memmem(p, len, ctx, strlen(ctx)) != NULL;
}

const struct secret_rule *secret_rule_for(const struct secret_rule *rules, size_t n,
                                          const json_t *object)
{
    const char *kind = json_dot_str(object, "kind");
    for (size_t i = 0; i < n; i++) {
        const struct secret_rule *r = &rules[i];
        if (str_eq(r->kind ? r->kind : "Secret", kind) &&
            meets(r->namespace, json_dot_str(object, "metadata.namespace")) &&
            meets(r->object, json_dot_str(object, "metadata.name")) &&
            (!r->type || str_eq(r->type, json_dot_str(object, "type"))) &&
            has_label(object, r->label) && has_data_key(object, r->data_key) &&
            (!r->holds || any_value(object, has_text, r->holds)))
            return r;
    }
    return NULL;
}

// ---- what others name ----
static const struct {
    const char *group, *kind; // kind NULL: any of the group
    const char *rule;
} namers[] = {
    {"cert-manager.io", "Issuer", "issuers of cert-manager"},
    {"cert-manager.io", "ClusterIssuer", "issuers of cert-manager"},
    {"external-secrets.io", "SecretStore", "roots of external-secrets"},
    {"external-secrets.io", "ClusterSecretStore", "roots of external-secrets"},
    {"external-secrets.io", "ExternalSecret", "values that would be made anew"},
    {"generators.external-secrets.io", NULL, "roots of external-secrets"},
    {"source.toolkit.fluxcd.io", NULL, "repository credentials"},
    {"image.toolkit.fluxcd.io", NULL, "repository credentials"},
    {"kustomize.toolkit.fluxcd.io", "Kustomization", "SOPS keys"},
    {"helm.toolkit.fluxcd.io", "HelmRelease", "cluster registrations"},
};

static const char *namer_rule(const char *group, const char *kind)
{
    for (size_t i = 0; i < ARRAY_LEN(namers); i++)
        if (str_eq(namers[i].group, group) && (!namers[i].kind || str_eq(namers[i].kind, kind)))
            return namers[i].rule;
    return NULL;
}

bool secret_roots_are_named_by(const char *group, const char *kind)
{
    return namer_rule(group, kind) != NULL;
}

static void add_root(struct secret_roots *r, const char *ns, const char *name, const char *rule)
{
    *vec_push(&r->v) = (struct secret_root){str_dup_or_null(ns), str_dup(name), rule};
}

static bool ends_with(const char *s, const char *suffix)
{
    size_t n = strlen(s);
    size_t k = strlen(suffix);
    return n >= k && !strcasecmp(s + n - k, suffix);
}

// Every "…SecretRef" with a name in it, at whatever depth, and "secretName". The many providers'
// fields all follow this, and one too many does no harm.
static void find_refs(struct secret_roots *r, const json_t *v, const char *ns, const char *rule,
                      bool in_ref)
{
    const char *key;
    size_t i;
    json_t *x;
    if (json_is_array(v)) {
        json_array_foreach((json_t *)v, i, x)
        {
            find_refs(r, x, ns, rule, in_ref);
        }
        return;
    }
    const char *name = json_dot_str(v, "name");
    const char *own = json_dot_str(v, "namespace");
    if (in_ref && name)
        add_root(r, own ? own : ns, name, rule);
    json_object_foreach((json_t *)v, key, x)
    {
        if (json_is_string(x) && !strcmp(key, "secretName"))
            add_root(r, ns, json_string_value(x), rule);
        else
            find_refs(r, x, ns, rule, in_ref || ends_with(key, "secretRef"));
    }
}

static bool has_generator(const json_t *list)
{
    size_t i;
    json_t *x;
    json_array_foreach((json_t *)list, i, x)
    {
        if (json_dot(x, "sourceRef.generatorRef"))
            return true;
    }
    return false;
}

// Would the operator make another value than the one that is there, or has it let go of it?
static bool is_made_once(const json_t *external_secret)
{
    static const char *const loose[] = {"Orphan", "Merge", "CreateOrMerge"};
    const json_t *spec = json_object_get(external_secret, "spec");
    const char *policy = json_dot_str(spec, "target.creationPolicy");
    for (size_t i = 0; i < ARRAY_LEN(loose); i++)
        if (str_eq(policy, loose[i]))
            return true;
    return str_eq(json_dot_str(spec, "refreshPolicy"), "CreatedOnce") ||
           has_generator(json_object_get(spec, "data")) ||
           has_generator(json_object_get(spec, "dataFrom"));
}

void secret_roots_add(struct secret_roots *r, const json_t *object)
{
    struct object_id id = {0};
    char *version = NULL;
    struct err err = {0};
    if (!object_id_of(object, &id, &version, &err))
        err_clear(&err);
    const char *rule = namer_rule(id.group, id.kind);
    if (rule && !strcmp(id.kind, "ExternalSecret")) {
        const char *target = json_dot_str(object, "spec.target.name");
        if (is_made_once(object))
            add_root(r, id.namespace, target ? target : id.name, rule);
    } else if (rule) {
        find_refs(r, json_object_get(object, "spec"), id.namespace, rule, false);
    }
    object_id_clear(&id);
    free(version);
}

const char *secret_roots_find(const struct secret_roots *r, const char *ns, const char *name)
{
    for (size_t i = 0; i < r->v.len; i++)
        if (!strcmp(r->v.v[i].name, name) &&
            (!r->v.v[i].namespace || str_eq(r->v.v[i].namespace, ns)))
            return r->v.v[i].rule;
    return NULL;
}

void secret_roots_clear(struct secret_roots *r)
{
    for (size_t i = 0; i < r->v.len; i++) {
        free(r->v.v[i].namespace);
        free(r->v.v[i].name);
    }
    vec_clear(&r->v);
}

// ---- what does not come back ----
void capture_strip(json_t *doc)
{
    static const char *const meta[] = {"uid", "resourceVersion", "generation", "creationTimestamp",
                                       "deletionTimestamp", "deletionGracePeriodSeconds",
                                       "selfLink", "managedFields",
                                       // A dead owner: the collector would delete what came back.
                                       "ownerReferences", "finalizers"};
    json_t *m = json_object_get(doc, "metadata");
    json_t *notes = json_object_get(m, "annotations");
    for (size_t i = 0; i < ARRAY_LEN(meta); i++)
        json_object_del(m, meta[i]);
    if (json_object_get(m, "name"))
        json_object_del(m, "generateName");
    json_object_del(notes, "kubectl.kubernetes.io/last-applied-configuration");
    if (notes && !json_object_size(notes))
        json_object_del(m, "annotations");
    json_object_del(doc, "status");
}

// ---- what can be guessed ----
static int no_passphrase(char *buf, int size, int is_write, void *ctx)
{
    (void)buf;
    (void)size;
    (void)is_write;
    (void)ctx;
    return -1; // an encrypted key does not parse, and nobody is asked
}

static bool has_pem_key(const char *p, size_t len)
{
    if (!memmem(p, len, "PRIVATE KEY-----", 16) || len > INT32_MAX)
        return false;
    BIO *b = BIO_new_mem_buf(p, (int)len);
    EVP_PKEY *key = b ? PEM_read_bio_PrivateKey(b, NULL, no_passphrase, NULL) : NULL;
    bool ok = key != NULL;
    EVP_PKEY_free(key);
    BIO_free(b);
    ERR_clear_error();
    return ok;
}

static bool has_age_key(const char *p, size_t len)
{
    const char *at = memmem(p, len, AGE_KEY, strlen(AGE_KEY));
    if (!at || (size_t)(p + len - at) < AGE_TEXT_CHARS)
        return false;
    char text[AGE_TEXT_CHARS + 1];
    struct age_identity id;
    struct err err = {0};
    memcpy(text, at, AGE_TEXT_CHARS);
    text[AGE_TEXT_CHARS] = 0;
    bool ok = age_identity_parse(text, &id, &err);
    err_clear(&err);
    crypto_wipe(text, sizeof(text));
    crypto_wipe(&id, sizeof(id));
    return ok;
}

static bool has_key(const char *p, size_t len, const void *ctx)
{
    (void)ctx;
    return has_pem_key(p, len) || has_age_key(p, len);
}

char secret_blob_kind(const json_t *secret)
{
    return any_value(secret, has_key, NULL) ? 'k' : 's';
}
