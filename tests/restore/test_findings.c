// SPDX-License-Identifier: Apache-2.0
//
// What can be known to be wrong with a snapshot from it alone: secrets that stay closed, tried with
// the very keys; kinds that nobody defines. And what a control plane without containers leaves out.
#include "restore/findings.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "restore/sealed.h"
#include "restore/simulated.h"
#include "snapshot/snapshot.h"
#include "tests/test.h"

// ---- sealing, as kubeseal does ----
static EVP_PKEY *new_key(void)
{
    EVP_PKEY *k = EVP_RSA_gen(2048);
    assert_non_null(k);
    return k;
}

static void wrap(EVP_PKEY *k, const char *label, const unsigned char session[32], struct buf *out)
{
    unsigned char rsa[512];
    size_t n = sizeof(rsa);
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(k, NULL);
    assert_true(EVP_PKEY_encrypt_init(c) > 0);
    assert_true(EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_OAEP_PADDING) > 0);
    assert_true(EVP_PKEY_CTX_set_rsa_oaep_md(c, EVP_sha256()) > 0);
    assert_true(EVP_PKEY_CTX_set_rsa_mgf1_md(c, EVP_sha256()) > 0);
    if (*label)
        assert_true(EVP_PKEY_CTX_set0_rsa_oaep_label(c, OPENSSL_strdup(label), (int)strlen(label)) >
                    0);
    assert_true(EVP_PKEY_encrypt(c, rsa, &n, session, 32) > 0);
    EVP_PKEY_CTX_free(c);
    buf_char(out, (char)(n >> 8));
    buf_char(out, (char)(n & 255));
    buf_append(out, rsa, n);
}

static char *seal(EVP_PKEY *k, const char *label, const char *plain)
{
    static const unsigned char iv[12];
    unsigned char session[32] = "a session key, used only once...";
    unsigned char body[256];
    unsigned char tag[16];
    int n = 0;
    int rest = 0;
    struct buf b CLEANUP(buf_clear) = {0};
    struct buf text = {0};
    wrap(k, label, session, &b);
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    assert_true(EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, session, iv) > 0);
    assert_true(EVP_EncryptUpdate(c, body, &n, (const unsigned char *)plain, (int)strlen(plain)) >
                0);
    assert_true(EVP_EncryptFinal_ex(c, body + n, &rest) > 0);
    assert_true(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, 16, tag) > 0);
    EVP_CIPHER_CTX_free(c);
    buf_append(&b, body, (size_t)n);
    buf_append(&b, tag, sizeof(tag));
    buf_base64(&text, b.p, b.len);
    return buf_take(&text);
}

static json_t *key_secret(EVP_PKEY *k)
{
    char *pem = NULL;
    struct buf b CLEANUP(buf_clear) = {0};
    BIO *bio = BIO_new(BIO_s_mem());
    assert_true(PEM_write_bio_PrivateKey(bio, k, NULL, NULL, 0, NULL, NULL));
    long n = BIO_get_mem_data(bio, &pem);
    buf_base64(&b, pem, (size_t)n);
    BIO_free(bio);
    return json_pack("{s:s, s:s, s:{s:s, s:s, s:{s:s}}, s:{s:s}}", "apiVersion", "v1", "kind",
                     "Secret", "metadata", "name", "sealing", "namespace", "kube-system", "labels",
                     "sealedsecrets.bitnami.com/sealed-secrets-key", "active", "data", "tls.key",
                     b.p);
}

static json_t *sealed(const char *scope, const char *value)
{
    json_t *v =
        json_pack("{s:s, s:s, s:{s:s, s:s, s:{}}, s:{s:{s:s}}}", "apiVersion",
                  "bitnami.com/v1alpha1", "kind", "SealedSecret", "metadata", "name", "db",
                  "namespace", "web", "annotations", "spec", "encryptedData", "password", value);
    if (scope)
        json_object_set_new(json_dot(v, "metadata.annotations"), scope, json_string("true"));
    return v;
}

// How many values stay closed.
static size_t closed(EVP_PKEY *k, const char *label, const char *scope)
{
    struct sealed_keys keys = {0};
    struct strv out = {0};
    CLEANUP(str_freep) char *value = seal(k, label, "hunter2");
    CLEANUP(json_freep) json_t *secret = key_secret(k);
    CLEANUP(json_freep) json_t *doc = sealed(scope, value);
    sealed_keys_add(&keys, secret);
    assert_int_equal(keys.v.len, 1);
    sealed_unopened(&keys, doc, &out);
    size_t n = out.len;
    strv_clear(&out);
    sealed_keys_clear(&keys);
    return n;
}

static void opens(void **state)
{
    (void)state;
    EVP_PKEY *k = new_key();
    assert_int_equal(closed(k, "web/db", NULL), 0);
    assert_int_equal(closed(k, "web", "sealedsecrets.bitnami.com/namespace-wide"), 0);
    assert_int_equal(closed(k, "", "sealedsecrets.bitnami.com/cluster-wide"), 0);
    // Of another name, or of another scope than it says.
    assert_int_equal(closed(k, "web/other", NULL), 1);
    assert_int_equal(closed(k, "web", NULL), 1);
    assert_int_equal(closed(k, "web/db", "sealedsecrets.bitnami.com/cluster-wide"), 1);
    EVP_PKEY_free(k);
}

static void other_keys_and_rubbish(void **state)
{
    (void)state;
    EVP_PKEY *k = new_key();
    EVP_PKEY *other = new_key();
    struct sealed_keys keys = {0};
    CLEANUP(str_freep) char *good = seal(k, "web/db", "hunter2");
    CLEANUP(str_freep) char *harmed = str_dup(good);
    CLEANUP(json_freep) json_t *wrong = key_secret(other);
    CLEANUP(json_freep) json_t *right = key_secret(k);
    harmed[strlen(harmed) / 2] = harmed[strlen(harmed) / 2] == 'A' ? 'B' : 'A';
    const char *const values[] = {"", "AAA=", "AAAA", "AgA=", "not base64!", "//8A", harmed};
    sealed_keys_add(&keys, wrong);
    for (size_t i = 0; i <= ARRAY_LEN(values); i++) {
        struct strv out = {0};
        CLEANUP(json_freep) json_t *doc = sealed(NULL, i < ARRAY_LEN(values) ? values[i] : good);
        if (i == ARRAY_LEN(values))
            sealed_keys_add(&keys, right); // the older one is tried as well
        sealed_unopened(&keys, doc, &out);
        assert_int_equal(out.len, i < ARRAY_LEN(values));
        strv_clear(&out);
    }
    CLEANUP(json_freep) json_t *none = doc_of("{kind: Secret, data: {tls.key: bm8ga2V5}}");
    sealed_keys_add(&keys, none);
    assert_int_equal(keys.v.len, 2);
    sealed_keys_clear(&keys);
    EVP_PKEY_free(k);
    EVP_PKEY_free(other);
}

// ---- a whole state ----
static void add_doc(struct desired *d, json_t *doc)
{
    struct err err = {0};
    struct object o = {.is_namespaced = true};
    if (!object_id_of(doc, &o.id, &o.version, &err))
        fail_msg("%s", err.msg);
    if (!strcmp(o.id.kind, "CustomResourceDefinition"))
        kinds_add_crd(d->kinds, doc);
    object_set_body(&o, doc);
    desired_add_object_take(d, &o);
}

static struct frozen frozen_of(const char *const *texts, size_t n)
{
    struct err err = {0};
    struct frozen f = {.desired = desired_new()};
    desired_add_app_take(f.desired, application_new_root("root"));
    kinds_add_builtin(f.desired->kinds, 37);
    for (size_t i = 0; i < n; i++) {
        CLEANUP(json_freep) json_t *doc = doc_of(texts[i]);
        add_doc(f.desired, doc);
    }
    assert_true(desired_finish(f.desired, &err));
    return f;
}

static void add_zero(struct frozen *f, const json_t *doc)
{
    struct err err = {0};
    struct buf b = {0};
    struct zero_object z = {0};
    assert_true(object_id_of(doc, &z.id, &z.version, &err));
    canon_write(doc, &b);
    z.body_len = b.len;
    z.body = buf_take(&b);
    *vec_push(&f->zero) = z;
}

// "KIND OBJECT" of each, a line each.
static char *said(const struct findings *f)
{
    struct buf b = {0};
    for (size_t i = 0; i < f->v.len; i++)
        buf_printf(&b, "%s%s %s", i ? "\n" : "", finding_kind_name(f->v.v[i].kind),
                   f->v.v[i].object ? f->v.v[i].object : "-");
    return b.p ? buf_take(&b) : str_dup("");
}

static void expect_secrets(const struct frozen *f, const char *want)
{
    struct findings out = {0};
    findings_of_secrets(f, &out);
    CLEANUP(str_freep) char *text = said(&out);
    assert_string_equal(text, want);
    findings_clear(&out);
}

static const char store[] =
    "apiVersion: external-secrets.io/v1\nkind: SecretStore\nmetadata: {name: vault, namespace: "
    "web}\nspec: {provider: {vault: {auth: {tokenSecretRef: {name: root, key: token}}}}}\n";

static void stores(void **state)
{
    (void)state;
    const char *const alone[] = {store};
    const char *const given[] = {
        store, "apiVersion: v1\nkind: Secret\nmetadata: {name: root, namespace: web}\n"};
    const char *const made[] = {store, "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\n"
                                       "metadata: {name: x, namespace: web}\nspec: {target: {name: "
                                       "root}}\n"};
    struct frozen f = frozen_of(alone, 1);
    expect_secrets(&f, "secret-not-decryptable SecretStore web/vault");
    CLEANUP(json_freep)
    json_t *root = doc_of("{apiVersion: v1, kind: Secret, metadata: {name: root, namespace: web}}");
    add_zero(&f, root);
    expect_secrets(&f, "");
    frozen_clear(&f);
    f = frozen_of(given, 2);
    expect_secrets(&f, "");
    frozen_clear(&f);
    f = frozen_of(made, 2);
    expect_secrets(&f, "");
    frozen_clear(&f);
}

static void sealed_ones(void **state)
{
    (void)state;
    EVP_PKEY *k = new_key();
    CLEANUP(str_freep) char *value = seal(k, "web/db", "hunter2");
    CLEANUP(json_freep) json_t *doc = sealed(NULL, value);
    CLEANUP(json_freep) json_t *key = key_secret(k);
    struct err err = {0};
    struct frozen f = frozen_of(NULL, 0);
    add_doc(f.desired, doc);
    assert_true(desired_finish(f.desired, &err));
    expect_secrets(&f, "secret-not-decryptable SealedSecret web/db");
    add_zero(&f, key);
    expect_secrets(&f, "");
    frozen_clear(&f);
    EVP_PKEY_free(k);
}

static void sops(void **state)
{
    (void)state;
    struct age_identity id;
    char text[AGE_TEXT_CHARS + 1];
    age_identity_new(&id);
    age_identity_text(&id, text);
    CLEANUP(str_freep) char *recipient = age_recipient_text(id.public);
    CLEANUP(str_freep)
    char *yaml = str_printf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: web}\n"
                            "sops: {age: [{recipient: %s}]}\n",
                            recipient);
    CLEANUP(str_freep) char *keys = str_printf("# made today\n%s\n", text);
    struct buf b CLEANUP(buf_clear) = {0};
    const char *const texts[] = {yaml};
    struct frozen f = frozen_of(texts, 1);
    expect_secrets(&f, "secret-not-decryptable ConfigMap web/c");
    buf_base64(&b, keys, strlen(keys));
    CLEANUP(json_freep)
    json_t *secret =
        json_pack("{s:s, s:s, s:{s:s, s:s}, s:{s:s}}", "apiVersion", "v1", "kind", "Secret",
                  "metadata", "name", "sops", "namespace", "flux", "data", "age.agekey", b.p);
    add_zero(&f, secret);
    expect_secrets(&f, "");
    frozen_clear(&f);
}

// ---- kinds and a control plane without containers ----
static const char *const operators[] = {
    "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: "
    "as.x.io}\nspec: {group: x.io, scope: Namespaced, names: {kind: A, plural: as}, conversion: "
    "{strategy: Webhook, webhook: {clientConfig: {url: https://x}}}, versions: [{name: v1, served: "
    "true, storage: true}]}\n",
    "apiVersion: x.io/v1\nkind: A\nmetadata: {name: a, namespace: web}\n",
    "apiVersion: nobody.io/v1\nkind: B\nmetadata: {name: b, namespace: web}\n",
    "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\nmetadata: "
    "{name: w}\n",
    "apiVersion: apiregistration.k8s.io/v1\nkind: APIService\nmetadata: {name: v1.m.io}\n",
    "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: i, namespace: web}\n",
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d, namespace: web}\n",
};

static const struct object *of_kind(const struct desired *d, const char *kind)
{
    for (size_t i = 0; i < d->objects.len; i++)
        if (!strcmp(d->objects.v[i].id.kind, kind))
            return &d->objects.v[i];
    fail_msg("no %s", kind);
    return NULL;
}

static void simulated(void **state)
{
    (void)state;
    struct frozen f = frozen_of(operators, ARRAY_LEN(operators));
    const struct desired *d = f.desired;
    struct api_changes changes = {0};
    struct findings found = {0};
    struct simulated s = {0};
    *vec_push(&changes.v) =
        (struct api_change){.object = (unsigned)(of_kind(d, "B") - d->objects.v),
                            .fate = API_AWAITED,
                            .from = str_dup("v1")};
    findings_of_apis(d, &changes, &found);
    CLEANUP(str_freep) char *text = said(&found);
    assert_string_equal(text, "missing-crd B web/b");
    simulated_settle(f.desired, &changes, &s);
    assert_true(of_kind(d, "B")->is_virtual);
    assert_true(of_kind(d, "ValidatingWebhookConfiguration")->is_virtual);
    assert_true(of_kind(d, "APIService")->is_virtual);
    assert_false(of_kind(d, "A")->is_virtual);
    assert_false(of_kind(d, "Deployment")->is_virtual);
    assert_null(strstr(of_kind(d, "CustomResourceDefinition")->body, "Webhook"));
    strv_sort(&s.ready);
    assert_int_equal(s.ready.len, 2);
    assert_string_equal(s.ready.v[0], "A.x.io=applied");
    assert_string_equal(s.ready.v[1], "Ingress.networking.k8s.io=applied");
    assert_int_equal(s.webhooks + s.api_services + s.conversions + s.undefined, 4);
    assert_int_equal(s.told.len, 4);
    simulated_clear(&s);
    findings_clear(&found);
    api_changes_clear(&changes);
    frozen_clear(&f);
}

static void names(void **state)
{
    (void)state;
    assert_string_equal(finding_kind_name(FINDING_MISSING_CHART), "missing-chart");
    for (int k = 0; k <= FINDING_LIVE_DIFFERENT; k++)
        assert_non_null(finding_kind_name((enum finding_kind)k));
    assert_true(finding_blames_snapshot(FINDING_DIFFERENT));
    assert_false(finding_blames_snapshot(FINDING_UNHEALTHY));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens),  cmocka_unit_test(other_keys_and_rubbish),
        cmocka_unit_test(stores), cmocka_unit_test(sealed_ones),
        cmocka_unit_test(sops),   cmocka_unit_test(simulated),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
