// SPDX-License-Identifier: Apache-2.0
#include "tests/test.h"

// What is left of a document, as canonical JSON, or "ERROR: message".
static char *normal_of(const char *yaml)
{
    CLEANUP(json_freep) json_t *doc = doc_of(yaml);
    struct err err = {0};
    if (object_normalize(doc, &err))
        return canon_of(doc);
    assert_int_equal(err.kind, ERR_INVALID);
    char *text = str_printf("ERROR: %s", err.msg);
    err_clear(&err);
    return text;
}

static void check(const char *yaml, const char *want)
{
    CLEANUP(str_freep) char *got = normal_of(yaml);
    assert_string_equal(got, want);
}

static void server_made_fields(void **s)
{
    (void)s;
    check(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  uid: x\n  resourceVersion: '1'\n"
        "  generation: 2\n  creationTimestamp: null\n  managedFields: []\n  selfLink: /x\n"
        "  ownerReferences: [{name: b}]\n  deletionTimestamp: '2026-01-01T00:00:00Z'\n"
        "  annotations: {}\n  labels: {}\nstatus: {a: 1}\n",
        "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\"}}");
    check("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n"
          "  annotations: {kubectl.kubernetes.io/last-applied-configuration: '{}'}\n",
          "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\"}}");
}

static void nulls_go_and_empties_stay(void **s)
{
    (void)s;
    check("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n"
          "spec: {nodeName: null, volumes: [{name: v, emptyDir: {}, secret: null}]}\n",
          "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\"},"
          "\"spec\":{\"volumes\":[{\"emptyDir\":{},\"name\":\"v\"}]}}");
    check("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a}\n"
          "spec: {podSelector: {}, ingress: [{}]}\n",
          "{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"NetworkPolicy\",\"metadata\":{"
          "\"name\":\"a\"},\"spec\":{\"ingress\":[{}],\"podSelector\":{}}}");
}

static void templates(void **s)
{
    (void)s;
    check("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec:\n  template:\n"
          "    metadata: {creationTimestamp: null, annotations: {}, labels: {a: b}}\n",
          "{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"a\"},"
          "\"spec\":{\"template\":{\"metadata\":{\"labels\":{\"a\":\"b\"}}}}}");
    check("apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: a}\nspec:\n  jobTemplate:\n"
          "    spec:\n      template:\n        metadata: {annotations: {}, labels: {}}\n",
          "{\"apiVersion\":\"batch/v1\",\"kind\":\"CronJob\",\"metadata\":{\"name\":\"a\"},"
          "\"spec\":{\"jobTemplate\":{\"spec\":{\"template\":{\"metadata\":{}}}}}}");
}

static void string_data(void **s)
{
    (void)s;
    check("apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {a: eA==, b: eA==}\n"
          "stringData: {b: hello, c: ''}\n",
          "{\"apiVersion\":\"v1\",\"data\":{\"a\":\"eA==\",\"b\":\"aGVsbG8=\",\"c\":\"\"},"
          "\"kind\":\"Secret\",\"metadata\":{\"name\":\"a\"}}");
    check("apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {}\n",
          "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"a\"}}");
    check("apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {b: 1}\n",
          "ERROR: stringData.b is not text");
    // Somebody else's Secret keeps its field.
    check("apiVersion: example.org/v1\nkind: Secret\nmetadata: {name: a}\nstringData: {b: c}\n",
          "{\"apiVersion\":\"example.org/v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"a\"},"
          "\"stringData\":{\"b\":\"c\"}}");
}

static void fields_of_controllers(void **s)
{
    (void)s;
    check("apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: a}\n"
          "aggregationRule: {clusterRoleSelectors: [{}]}\nrules: [{verbs: [get]}]\n",
          "{\"aggregationRule\":{\"clusterRoleSelectors\":[{}]},"
          "\"apiVersion\":\"rbac.authorization.k8s.io/v1\",\"kind\":\"ClusterRole\","
          "\"metadata\":{\"name\":\"a\"}}");
    check(
        "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\n"
        "metadata: {name: a}\nwebhooks: [{name: a, clientConfig: {caBundle: ''}},"
        " {name: b, clientConfig: {caBundle: QQ==}}, {name: c, clientConfig: {caBundle: null}}]\n",
        "{\"apiVersion\":\"admissionregistration.k8s.io/v1\","
        "\"kind\":\"ValidatingWebhookConfiguration\",\"metadata\":{\"name\":\"a\"},"
        "\"webhooks\":[{\"clientConfig\":{},\"name\":\"a\"},"
        "{\"clientConfig\":{\"caBundle\":\"QQ==\"},\"name\":\"b\"},"
        "{\"clientConfig\":{},\"name\":\"c\"}]}");
    check("apiVersion: apiregistration.k8s.io/v1\nkind: APIService\nmetadata: {name: a}\n"
          "spec: {caBundle: '', group: g}\n",
          "{\"apiVersion\":\"apiregistration.k8s.io/v1\",\"kind\":\"APIService\","
          "\"metadata\":{\"name\":\"a\"},\"spec\":{\"group\":\"g\"}}");
    check("apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n"
          "metadata: {name: a}\n"
          "spec: {conversion: {webhook: {clientConfig: {caBundle: '', url: u}}}}\n",
          "{\"apiVersion\":\"apiextensions.k8s.io/v1\",\"kind\":\"CustomResourceDefinition\","
          "\"metadata\":{\"name\":\"a\"},\"spec\":{\"conversion\":{\"webhook\":{\"clientConfig\":"
          "{\"url\":\"u\"}}}}}");
    check("apiVersion: example.org/v1\nkind: Store\nmetadata: {name: a}\nspec: {caBundle: ''}\n",
          "{\"apiVersion\":\"example.org/v1\",\"kind\":\"Store\",\"metadata\":{\"name\":\"a\"},"
          "\"spec\":{\"caBundle\":\"\"}}");
}

#define POD(spec) "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [" spec "]}\n"
#define DEPLOY(spec)                                                                               \
    "kind: Deployment\nmetadata: {name: a}\nspec: {template: {spec: {containers: [" spec "]}}}\n"

static void duplicates_in_keyed_lists(void **s)
{
    (void)s;
    const char *env = "{name: c, env: [{name: A, value: x}, {name: B}, {name: A}]}";
    CLEANUP(str_freep) char *builtin = str_printf("apiVersion: apps/v1\n" DEPLOY("%s"), env);
    CLEANUP(str_freep) char *custom = str_printf("apiVersion: example.org/v1\n" DEPLOY("%s"), env);
    const char *want = "ERROR: container c has name \"A\" twice in env, which server-side apply "
                       "refuses";
    check(builtin, want);
    CLEANUP(str_freep) char *taken = normal_of(custom);
    assert_false(str_starts(taken, "ERROR"));
    check(POD("{name: c, ports: [{containerPort: 80}, {containerPort: 80, protocol: TCP}]}"),
          "ERROR: container c has containerPort \"80\" twice in ports, which server-side apply "
          "refuses");
    CLEANUP(str_freep)
    char *udp = normal_of(
        POD("{name: c, ports: [{containerPort: 80}, {containerPort: 80, protocol: UDP}]}"));
    assert_false(str_starts(udp, "ERROR"));
    check(POD("{name: c, volumeMounts: [{mountPath: /a}, {mountPath: /a}]}"),
          "ERROR: container c has mountPath \"/a\" twice in volumeMounts, which server-side apply "
          "refuses");
    check(POD("{name: c}, {name: c}"), "ERROR: the pod has name \"c\" twice in containers, which "
                                       "server-side apply refuses");
    check("apiVersion: v1\nkind: Service\nmetadata: {name: a}\n"
          "spec: {ports: [{port: 80, name: a}, {port: 80, name: b}]}\n",
          "ERROR: the Service has port \"80\" twice in ports, which server-side apply refuses");
    CLEANUP(str_freep)
    char *dns = normal_of("apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: "
                          "[{port: 53, protocol: TCP}, {port: 53, protocol: UDP}]}\n");
    assert_false(str_starts(dns, "ERROR"));
}

static void what_is_no_text(void **s)
{
    (void)s;
    check("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {port: 8080}\n",
          "ERROR: data.port is not text; put it in quotes");
    check("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {on: 'x', b: yes}}\n",
          "ERROR: labels.b is not text; put it in quotes");
    check("apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: a}\n"
          "spec: {template: {metadata: {annotations: {a: 1}}}}\n",
          "ERROR: annotations.a is not text; put it in quotes");
}

static void what_is_no_object(void **s)
{
    (void)s;
    check("[1]", "ERROR: not a Kubernetes object");
    check("kind: X", "ERROR: not a Kubernetes object");
    struct buf b CLEANUP(buf_clear) = {0};
    buf_str(&b, "apiVersion: v1\nkind: X\nmetadata: {name: a}\nspec:\n  ? \"");
    for (int i = 0; i < 1025; i++)
        buf_char(&b, 'k');
    buf_str(&b, "\"\n  : 1\n");
    check(b.p, "ERROR: a map key is longer than 1024 bytes");
}

static void twice_is_once(void **s)
{
    (void)s;
    CLEANUP(json_freep)
    json_t *doc = doc_of("apiVersion: v1\nkind: Secret\nmetadata: {name: a, uid: b}\n"
                         "stringData: {a: b}\nstatus: {}\n");
    struct err err = {0};
    assert_true(object_normalize(doc, &err));
    CLEANUP(str_freep) char *once = canon_of(doc);
    assert_true(object_normalize(doc, &err));
    CLEANUP(str_freep) char *twice = canon_of(doc);
    assert_string_equal(once, twice);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(server_made_fields),
        cmocka_unit_test(nulls_go_and_empties_stay),
        cmocka_unit_test(templates),
        cmocka_unit_test(string_data),
        cmocka_unit_test(fields_of_controllers),
        cmocka_unit_test(duplicates_in_keyed_lists),
        cmocka_unit_test(what_is_no_text),
        cmocka_unit_test(what_is_no_object),
        cmocka_unit_test(twice_is_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
