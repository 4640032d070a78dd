// SPDX-License-Identifier: Apache-2.0
//
// Which live Secrets are taken, by the default rules, and why; what is taken out of them; which of
// them cannot be guessed.
#include "snapshot/capture.h"

#include <openssl/pem.h>

#include "tests/test.h"

static const struct {
    const char *rule; // NULL: none
    bool take;
    const char *text;
} cases[] = {
    {"sealed-secrets keys", true,
     "kind: Secret\nmetadata: {name: sealed-secrets-keyx7, namespace: kube-system, labels: "
     "{sealedsecrets.bitnami.com/sealed-secrets-key: active}}\ntype: kubernetes.io/tls\n"},
    {"sealed-secrets keys", true,
     "kind: Secret\nmetadata: {name: old, namespace: kube-system, labels: "
     "{sealedsecrets.bitnami.com/sealed-secrets-key: compromised}}\ntype: kubernetes.io/tls\n"},
    {"sealed-secrets keys", true,
     "kind: Secret\nmetadata: {name: sealed-secrets-key, namespace: kube-system}\n"
     "type: kubernetes.io/tls\n"},
    {"SOPS keys", true,
     "kind: Secret\nmetadata: {name: decryption, namespace: flux-system}\n"
     "data: {identity.agekey: QUJD}\n"},
    // "# created\nAGE-SECRET-KEY-1QQ"
    {"SOPS keys", true,
     "kind: Secret\nmetadata: {name: helm-secrets, namespace: argocd}\n"
     "data: {key.txt: IyBjcmVhdGVkCkFHRS1TRUNSRVQtS0VZLTFRUQ==}\n"},
    {"cluster registrations", true,
     "kind: Secret\nmetadata: {name: prod, namespace: argocd, labels: "
     "{argocd.argoproj.io/secret-type: cluster}}\n"},
    {"repository credentials", true,
     "kind: Secret\nmetadata: {name: git, namespace: argocd, labels: "
     "{argocd.argoproj.io/secret-type: repo-creds}}\n"},
    {"repository credentials", true,
     "kind: ConfigMap\nmetadata: {name: argocd-ssh-known-hosts-cm, namespace: argocd}\n"},
    {NULL, false, "kind: ConfigMap\nmetadata: {name: argocd-cm, namespace: argocd}\n"},
    {"TLS", true,
     "kind: Secret\nmetadata: {name: web-tls, namespace: web}\n"
     "type: kubernetes.io/tls\n"},
    {"registry credentials", true,
     "kind: Secret\nmetadata: {name: pull, namespace: web}\n"
     "type: kubernetes.io/dockerconfigjson\n"},
    {"service account tokens", false,
     "kind: Secret\nmetadata: {name: t, namespace: web}\n"
     "type: kubernetes.io/service-account-token\n"},
    {"records of Helm", false,
     "kind: Secret\nmetadata: {name: sh.helm.release.v1.x.v1, namespace: web}\n"
     "type: helm.sh/release.v1\n"},
    {"webhook of cert-manager", false,
     "kind: Secret\nmetadata: {name: cert-manager-webhook-ca, namespace: cert-manager}\n"
     "type: kubernetes.io/tls\n"},
    {"certificates being renewed", false,
     "kind: Secret\nmetadata: {name: web-tls-abcde, namespace: web, labels: "
     "{cert-manager.io/next-private-key: 'true'}}\ntype: Opaque\n"},
    {"admission certificates", false,
     "kind: Secret\nmetadata: {name: ingress-nginx-admission, namespace: ingress}\n"
     "data: {ca: QQ==, cert: QQ==, key: QQ==}\n"},
    {NULL, false,
     "kind: Secret\nmetadata: {name: ingress-nginx-admission, namespace: ingress}\n"
     "data: {password: QQ==}\n"},
    {"regrow's own", false,
     "kind: Secret\nmetadata: {name: job, namespace: regrow-system, labels: "
     "{regrow.dev/snapshot: 'true'}}\n"},
    {"asked for", true,
     "kind: Secret\nmetadata: {name: db, namespace: web, labels: {regrow.dev/snapshot: 'true'}}\n"},
    {"asked not to", false,
     "kind: Secret\nmetadata: {name: tls, namespace: web, labels: "
     "{regrow.dev/snapshot: 'false'}}\ntype: kubernetes.io/tls\n"},
    {NULL, false,
     "kind: Secret\nmetadata: {name: db, namespace: web}\ntype: Opaque\n"
     "data: {password: aHVudGVyMg==}\n"},
};

static void decided(void **state)
{
    (void)state;
    size_t n;
    const struct secret_rule *rules = secret_rules_default(&n);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(json_freep) json_t *doc = doc_of(cases[i].text);
        const struct secret_rule *r = secret_rule_for(rules, n, doc);
        if (!str_eq(r ? r->name : NULL, cases[i].rule) || (r && r->take != cases[i].take))
            fail_msg("case %zu: %s", i, r ? r->name : "no rule");
    }
}

static const struct {
    const char *ns, *name, *rule; // of the Secret; rule NULL: nobody names it
} named[] = {
    {"web", "acme-account", "issuers of cert-manager"},
    {"web", "cloud-token", "issuers of cert-manager"},
    {"elsewhere", "acme-account", NULL},
    {"whatever", "ca-key", "issuers of cert-manager"}, // of a ClusterIssuer
    {"eso", "vault-token", "roots of external-secrets"},
    {"web", "vault-token", NULL},
    {"web", "aws", "roots of external-secrets"},
    {"web", "azure", "roots of external-secrets"},
    {"web", "generated", "values that would be made anew"},
    {"web", "once", "values that would be made anew"},
    {"web", "plain", NULL},
    {"flux-system", "ssh", "repository credentials"},
    {"flux-system", "age", "SOPS keys"},
};

static const char *const namers[] = {
    "apiVersion: cert-manager.io/v1\nkind: Issuer\nmetadata: {name: le, namespace: web}\nspec:\n"
    "  acme:\n    privateKeySecretRef: {name: acme-account}\n    solvers:\n"
    "    - dns01: {cloudflare: {apiTokenSecretRef: {name: cloud-token, key: t}}}\n",
    "apiVersion: cert-manager.io/v1\nkind: ClusterIssuer\nmetadata: {name: ca}\n"
    "spec: {ca: {secretName: ca-key}}\n",
    "apiVersion: external-secrets.io/v1\nkind: ClusterSecretStore\nmetadata: {name: v}\n"
    "spec: {provider: {vault: {auth: {tokenSecretRef: {name: vault-token, namespace: eso}}}}}\n",
    "apiVersion: external-secrets.io/v1\nkind: SecretStore\nmetadata: {name: a, namespace: web}\n"
    "spec: {provider: {aws: {auth: {secretRef: {accessKeyIDSecretRef: {name: aws, key: k}}}}}}\n",
    "apiVersion: external-secrets.io/v1\nkind: SecretStore\nmetadata: {name: z, namespace: web}\n"
    "spec: {provider: {azurekv: {authSecretRef: {clientId: {name: azure, key: k}}}}}\n",
    "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: e, namespace: web}"
    "\nspec: {target: {name: generated}, dataFrom: [{sourceRef: {generatorRef: {name: p}}}]}\n",
    "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: once, namespace: "
    "web}\nspec: {refreshPolicy: CreatedOnce}\n",
    "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: plain, namespace: "
    "web}\nspec: {data: [{secretKey: a, remoteRef: {key: b}}]}\n",
    "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: r, namespace: "
    "flux-system}\nspec: {secretRef: {name: ssh}}\n",
    "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: k, "
    "namespace: flux-system}\nspec: {decryption: {secretRef: {name: age}}}\n",
    // Names Secrets, and is none of the set's business.
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d, namespace: web}\n"
    "spec: {volumes: [{secret: {secretName: plain}}]}\n",
};

static void named_by_others(void **state)
{
    (void)state;
    struct secret_roots r = {0};
    for (size_t i = 0; i < ARRAY_LEN(namers); i++) {
        CLEANUP(json_freep) json_t *doc = doc_of(namers[i]);
        secret_roots_add(&r, doc);
    }
    for (size_t i = 0; i < ARRAY_LEN(named); i++) {
        const char *rule = secret_roots_find(&r, named[i].ns, named[i].name);
        if (!str_eq(rule, named[i].rule))
            fail_msg("%s/%s: %s", named[i].ns, named[i].name, rule ? rule : "not found");
    }
    secret_roots_clear(&r);
}

static void stripped(void **state)
{
    (void)state;
    CLEANUP(json_freep)
    json_t *doc =
        doc_of("apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\n  namespace: web\n  uid: u\n"
               "  resourceVersion: '7'\n  generation: 3\n  creationTimestamp: x\n"
               "  ownerReferences: [{uid: dead}]\n  finalizers: [f]\n  managedFields: []\n"
               "  labels: {controller.cert-manager.io/fao: 'true'}\n"
               "  annotations: {cert-manager.io/issuer-name: le,\n"
               "    kubectl.kubernetes.io/last-applied-configuration: '{}'}\n"
               "status: {x: y}\ntype: kubernetes.io/tls\n");
    capture_strip(doc);
    CLEANUP(str_freep) char *text = canon_of(doc);
    assert_string_equal(
        text, "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"annotations\":"
              "{\"cert-manager.io/issuer-name\":\"le\"},\"labels\":"
              "{\"controller.cert-manager.io/fao\":\"true\"},\"name\":\"a\",\"namespace\":\"web\"},"
              "\"type\":\"kubernetes.io/tls\"}");
}

static json_t *secret_with(const char *value, size_t len)
{
    struct buf b CLEANUP(buf_clear) = {0};
    buf_base64(&b, value, len);
    return json_pack("{s:s, s:{s:s}}", "kind", "Secret", "data", "v", b.p ? b.p : "");
}

static char kind_of(const char *value)
{
    CLEANUP(json_freep) json_t *s = secret_with(value, strlen(value));
    return secret_blob_kind(s);
}

static char *pem_of(const char *passphrase)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    BIO *b = BIO_new(BIO_s_mem());
    char *p;
    assert_true(PEM_write_bio_PrivateKey(b, key, passphrase ? EVP_aes_128_cbc() : NULL, NULL, 0,
                                         NULL, (void *)passphrase));
    long n = BIO_get_mem_data(b, &p);
    char *out = str_ndup(p, (size_t)n);
    BIO_free(b);
    EVP_PKEY_free(key);
    return out;
}

static void guessable(void **state)
{
    (void)state;
    CLEANUP(str_freep) char *key = pem_of(NULL);
    CLEANUP(str_freep) char *locked = pem_of("passphrase");
    CLEANUP(str_freep) char *both = str_printf("some text\n%s", key);
    CLEANUP(str_freep) char *half = str_ndup(key, strlen(key) / 2);
    struct age_identity id;
    char age[AGE_TEXT_CHARS + 1];
    age_identity_new(&id);
    age_identity_text(&id, age);
    CLEANUP(str_freep) char *file = str_printf("# created: today\n%s\n", age);
    assert_int_equal(kind_of(key), 'k');
    assert_int_equal(kind_of(both), 'k');
    assert_int_equal(kind_of(file), 'k');
    // Looks like a key and is none, or says nothing without its passphrase.
    assert_int_equal(kind_of(locked), 's');
    assert_int_equal(kind_of(half), 's');
    assert_int_equal(kind_of("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
                     's');
    assert_int_equal(kind_of("AGE-SECRET-KEY-1"), 's');
    assert_int_equal(kind_of("hunter2"), 's');
    assert_int_equal(kind_of(""), 's');
    CLEANUP(json_freep) json_t *none = json_pack("{s:s}", "kind", "Secret");
    assert_int_equal(secret_blob_kind(none), 's');
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(decided), cmocka_unit_test(named_by_others),
                                       cmocka_unit_test(stripped), cmocka_unit_test(guessable)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
