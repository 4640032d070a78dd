// SPDX-License-Identifier: Apache-2.0
//
// What a mapping makes of documents: which fields, which values, and what it leaves alone.
#include "restore/mapping.h"

#include <string.h>

#include "tests/test.h"

// Single quotes stand for double ones in the documents.
static const struct {
    const char *name, *maps; // separated by blanks
    const char *doc, *want;  // want NULL: unchanged
    const char *pointers;    // of the changes, separated by blanks
} cases[] = {
    {"an Ingress, and what is not the whole host", "host=a.old=a.new",
     "{'apiVersion':'networking.k8s.io/"
     "v1','kind':'Ingress','metadata':{'name':'x','annotations':{'note':'a.old'}},"
     "'spec':{'rules':[{'host':'a.old'},{'host':'b.a.old'},{'host':'a.old.com'}],'tls':[{'hosts':['"
     "z','a.old']}]}}",
     "{'apiVersion':'networking.k8s.io/"
     "v1','kind':'Ingress','metadata':{'name':'x','annotations':{'note':'a.old'}},"
     "'spec':{'rules':[{'host':'a.new'},{'host':'b.a.old'},{'host':'a.old.com'}],'tls':[{'hosts':['"
     "z','a.new']}]}}",
     "/spec/rules/0/host /spec/tls/0/hosts/1"},
    {"a whole domain; the host itself before it",
     "host=*.old.com=*.new.org host=a.old.com=b.example.com",
     "{'apiVersion':'gateway.networking.k8s.io/"
     "v1','kind':'HTTPRoute','metadata':{'name':'x'},'spec':{'hostnames':['a.old.com','c.d.old.com'"
     ",'*.old.com','old.com']}}",
     "{'apiVersion':'gateway.networking.k8s.io/"
     "v1','kind':'HTTPRoute','metadata':{'name':'x'},'spec':{'hostnames':['b.example.com','c.d.new."
     "org','*.new.org','old.com']}}",
     "/spec/hostnames/0 /spec/hostnames/1 /spec/hostnames/2"},
    {"two hosts change places", "host=a=b host=b=a",
     "{'apiVersion':'cert-manager.io/"
     "v1','kind':'Certificate','metadata':{'name':'x'},'spec':{'dnsNames':['a','b'],'commonName':'"
     "A'}}",
     "{'apiVersion':'cert-manager.io/"
     "v1','kind':'Certificate','metadata':{'name':'x'},'spec':{'dnsNames':['b','a'],'commonName':'"
     "b'}}",
     "/spec/dnsNames/0 /spec/dnsNames/1 /spec/commonName"},
    {"a Gateway and its TLSRoute by group alone", "host=a=b",
     "{'apiVersion':'gateway.networking.k8s.io/"
     "v1','kind':'Gateway','metadata':{'name':'x'},'spec':{'listeners':[{'hostname':'a'},{'name':'"
     "a'}]}}",
     "{'apiVersion':'gateway.networking.k8s.io/"
     "v1','kind':'Gateway','metadata':{'name':'x'},'spec':{'listeners':[{'hostname':'b'},{'name':'"
     "a'}]}}",
     "/spec/listeners/0/hostname"},
    {"a rule of Traefik: whole hosts in quotes, in calls of Host", "host=a.old=a.new",
     "{'apiVersion':'traefik.io/"
     "v1alpha1','kind':'IngressRoute','metadata':{'name':'x'},'spec':{'routes':[{'match':'Host(`a."
     "old`, `b.a.old`) && (PathPrefix(`a.old`) || HostSNI(`a.old`)) && HostRegexp(`a.old`)'}]}}",
     "{'apiVersion':'traefik.io/"
     "v1alpha1','kind':'IngressRoute','metadata':{'name':'x'},'spec':{'routes':[{'match':'Host(`a."
     "new`, `b.a.old`) && (PathPrefix(`a.old`) || HostSNI(`a.new`)) && HostRegexp(`a.old`)'}]}}",
     "/spec/routes/0/match"},
    {"a rule that does not end", "host=a.old=a.new",
     "{'apiVersion':'traefik.io/"
     "v1alpha1','kind':'IngressRouteTCP','metadata':{'name':'x'},'spec':{'routes':[{'match':'"
     "HostSNI(`a.old'}]}}",
     NULL, ""},
    {"host names of external-dns, of any kind", "host=a=b",
     "{'apiVersion':'v1','kind':'Service','metadata':{'annotations':{'external-dns.alpha."
     "kubernetes.io/hostname':'a, c,a'},'name':'x'}}",
     "{'apiVersion':'v1','kind':'Service','metadata':{'annotations':{'external-dns.alpha."
     "kubernetes.io/hostname':'b, c,b'},'name':'x'}}",
     "/metadata/annotations/external-dns.alpha.kubernetes.io~1hostname"},
    {"data is left alone", "host=a=b storageClass=a=b registry=a=b cluster=a=b",
     "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'x'},'data':{'host':'a','image':'a/"
     "x'}}",
     NULL, ""},
    {"and Secrets", "host=a=b cluster=a=b",
     "{'apiVersion':'v1','kind':'Secret','metadata':{'name':'x'},'data':{'server':'YQ==','name':'"
     "YQ=='}}",
     NULL, ""},
    {"storage classes", "storageClass=gp2=gp3",
     "{'apiVersion':'apps/"
     "v1','kind':'StatefulSet','metadata':{'name':'x'},'spec':{'volumeClaimTemplates':[{'spec':{'"
     "storageClassName':'gp2'}},{'spec':{'storageClassName':'gp22'}}],"
     "'template':{'spec':{'volumes':[{'ephemeral':{'volumeClaimTemplate':{'spec':{'"
     "storageClassName':'gp2'}}}}]}}}}",
     "{'apiVersion':'apps/"
     "v1','kind':'StatefulSet','metadata':{'name':'x'},'spec':{'volumeClaimTemplates':[{'spec':{'"
     "storageClassName':'gp3'}},{'spec':{'storageClassName':'gp22'}}],"
     "'template':{'spec':{'volumes':[{'ephemeral':{'volumeClaimTemplate':{'spec':{'"
     "storageClassName':'gp3'}}}}]}}}}",
     "/spec/volumeClaimTemplates/0/spec/storageClassName "
     "/spec/template/spec/volumes/0/ephemeral/volumeClaimTemplate/spec/storageClassName"},
    {"a claim", "storageClass=gp2=gp3",
     "{'apiVersion':'v1','kind':'PersistentVolumeClaim','metadata':{'name':'x'},'spec':{'"
     "storageClassName':'gp2'}}",
     "{'apiVersion':'v1','kind':'PersistentVolumeClaim','metadata':{'name':'x'},'spec':{'"
     "storageClassName':'gp3'}}",
     "/spec/storageClassName"},
    {"images of all containers, in all their writings",
     "registry=docker.io=m:5000/hub registry=r.old:5000=r.new",
     "{'apiVersion':'batch/"
     "v1','kind':'CronJob','metadata':{'name':'x'},'spec':{'jobTemplate':{'spec':{'template':{'"
     "spec':{'initContainers':[{'image':'nginx'},{'image':'library/nginx:1'}],"
     "'containers':[{'image':'bitnami/redis@sha256:0'},{'image':'docker.io/"
     "nginx:2'},{'image':'r.old:5000/a/b:1'},{'image':'r.old:5001/a'},{'image':'r.old/"
     "a'},{'image':'index.docker.io/x/y'},{'image':'localhost/x'}],"
     "'ephemeralContainers':[{'image':'busybox:1'}]}}}}}}",
     "{'apiVersion':'batch/"
     "v1','kind':'CronJob','metadata':{'name':'x'},'spec':{'jobTemplate':{'spec':{'template':{'"
     "spec':{'initContainers':[{'image':'m:5000/hub/library/nginx'},{'image':'m:5000/hub/library/"
     "nginx:1'}],"
     "'containers':[{'image':'m:5000/hub/bitnami/redis@sha256:0'},{'image':'m:5000/hub/library/"
     "nginx:2'},{'image':'r.new/a/b:1'},{'image':'r.old:5001/a'},{'image':'r.old/"
     "a'},{'image':'m:5000/hub/x/y'},{'image':'localhost/x'}],"
     "'ephemeralContainers':[{'image':'m:5000/hub/library/busybox:1'}]}}}}}}",
     NULL},
    {"a path of a registry before the registry",
     "registry=ghcr.io=m/g registry=ghcr.io/acme=m/acme",
     "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'x'},'spec':{'containers':[{'image':'ghcr."
     "io/acme/x:1'},{'image':'ghcr.io/acmes/x:1'}]}}",
     "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'x'},'spec':{'containers':[{'image':'m/"
     "acme/x:1'},{'image':'m/g/acmes/x:1'}]}}",
     "/spec/containers/0/image /spec/containers/1/image"},
    {"clusters by server and by name", "cluster=https://old:6443/=https://new cluster=a=b",
     "{'apiVersion':'argoproj.io/"
     "v1alpha1','kind':'AppProject','metadata':{'name':'a'},'spec':{'destinations':[{'server':'"
     "https://old:6443/'},{'name':'a','namespace':'a'},{'server':'https://old:64430'}]}}",
     "{'apiVersion':'argoproj.io/"
     "v1alpha1','kind':'AppProject','metadata':{'name':'a'},'spec':{'destinations':[{'server':'"
     "https://new'},{'name':'b','namespace':'a'},{'server':'https://old:64430'}]}}",
     "/spec/destinations/0/server /spec/destinations/1/name"},
    {"an Application's destination, not its project", "cluster=a=b",
     "{'apiVersion':'argoproj.io/"
     "v1alpha1','kind':'Application','metadata':{'name':'a'},'spec':{'destination':{'name':'a','"
     "namespace':'a'},'project':'a'}}",
     "{'apiVersion':'argoproj.io/"
     "v1alpha1','kind':'Application','metadata':{'name':'a'},'spec':{'destination':{'name':'b','"
     "namespace':'a'},'project':'a'}}",
     "/spec/destination/name"},
    {"a registered cluster, and nothing else of its Secret",
     "cluster=https://old=https://new cluster=a=b",
     "{'apiVersion':'v1','kind':'Secret','metadata':{'name':'a','labels':{'argocd.argoproj.io/"
     "secret-type':'cluster'}},'data':{'server':'aHR0cHM6Ly9vbGQ=','name':'YQ==','config':'YQ=='}}",
     "{'apiVersion':'v1','kind':'Secret','metadata':{'name':'a','labels':{'argocd.argoproj.io/"
     "secret-type':'cluster'}},'data':{'server':'aHR0cHM6Ly9uZXc=','name':'Yg==','config':'YQ=='}}",
     "/data/server /data/name"},
    {"fields that are not what they should be", "host=a=b",
     "{'apiVersion':'networking.k8s.io/"
     "v1','kind':'Ingress','metadata':{'name':'x'},'spec':{'rules':{'host':'a'},'tls':['a',{'hosts'"
     ":'a'},null]}}",
     NULL, ""},
};

static json_t *document(const char *text)
{
    CLEANUP(str_freep) char *json = str_dup(text);
    for (char *p = json; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    json_t *doc = json_loads(json, 0, NULL);
    assert_non_null(doc);
    return doc;
}

static void check_pointers(const char *name, const struct mappings *m, const char *want)
{
    struct buf b CLEANUP(buf_clear) = {0};
    for (size_t i = 0; want && i < m->hits.len; i++)
        buf_printf(&b, "%s%s", i ? " " : "", m->hits.v[i].pointer);
    if (want && strcmp(want, b.p ? b.p : "") != 0)
        fail_msg("%s: %s", name, b.p);
}

static void documents(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct strv given = {0};
        struct mappings m;
        struct err err = {0};
        struct object_id id = {0};
        char *version = NULL;
        CLEANUP(json_freep) json_t *doc = document(cases[i].doc);
        CLEANUP(json_freep)
        json_t *want = document(cases[i].want ? cases[i].want : cases[i].doc);
        strv_split(&given, cases[i].maps, ' ');
        if (!mappings_parse(&given, &m, &err) || !object_id_of(doc, &id, &version, &err))
            fail_msg("%s: %s", cases[i].name, err.msg);
        bool changed = mappings_change(&m, &id, 0, doc);
        if (!json_equal(doc, want)) {
            CLEANUP(str_freep) char *got = json_dumps(doc, JSON_COMPACT);
            fail_msg("%s: %s", cases[i].name, got);
        }
        assert_int_equal(changed, cases[i].want != NULL);
        check_pointers(cases[i].name, &m, cases[i].pointers);
        object_id_clear(&id);
        free(version);
        mappings_clear(&m);
        strv_clear(&given);
    }
}

static void what_is_no_mapping(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "host",
                                      "host=",
                                      "host=a",
                                      "host=a=",
                                      "host==b",
                                      "host=a=b=c",
                                      "hosts=a=b",
                                      "=a=b",
                                      "cluster=https://a=b",
                                      "cluster=a=https://b",
                                      "host=*.a=b",
                                      "host=a=*.b",
                                      "registry=/=b",
                                      "host=a=a",
                                      "registry=a/=a",
                                      "host=a=b host=a=c"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct strv given = {0};
        struct mappings m;
        struct err err = {0};
        strv_split(&given, bad[i], ' ');
        assert_false(mappings_parse(&given, &m, &err));
        assert_int_equal(err.kind, ERR_USAGE);
        err_clear(&err);
        mappings_clear(&m);
        strv_clear(&given);
    }
}

static void counts(void **state)
{
    (void)state;
    struct strv given = {0};
    struct mappings m;
    struct err err = {0};
    struct object_id id = {(char *)"", (char *)"Pod", (char *)"n", (char *)"x"};
    CLEANUP(json_freep)
    json_t *doc = document("{'spec':{'containers':[{'image':'a.b/x'},{'image':'a.b/y'}]}}");
    strv_push(&given, "registry=a.b=c");
    strv_push(&given, "registry=d.e=f");
    assert_true(mappings_parse(&given, &m, &err));
    assert_true(mappings_change(&m, &id, 7, doc));
    assert_int_equal(m.v.v[0].places, 2);
    assert_int_equal(m.v.v[0].objects, 1);
    assert_int_equal(m.hits.v[1].object, 7);
    assert_string_equal(m.hits.v[1].from, "a.b/y");
    assert_string_equal(m.hits.v[1].to, "c/y");
    assert_ptr_equal(mappings_unused(&m), &m.v.v[1]);
    mappings_clear(&m);
    strv_clear(&given);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents),
        cmocka_unit_test(what_is_no_mapping),
        cmocka_unit_test(counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
