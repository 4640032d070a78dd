// SPDX-License-Identifier: Apache-2.0
//
// What comes before everything else, out of a snapshot made by hand: live objects that no
// application owns, what only the cluster had of a Secret; never what must not come back. And lists
// that a writer's key in the wrong hands could leave.
#include "restore/frozen.h"

#include "tests/snapshot/snapkit.h"
#include "tests/test.h"

struct made {
    struct repo repo;
    struct writer *w;
    struct credential job;
    struct entry entry;
};

static void begin(struct made *m)
{
    struct err err = {0};
    *m = (struct made){.job = snap_kit_job("writer")};
    struct writer_opts o = {.job = &m->job};
    log_kit_open(log_kit_store(true), &m->repo);
    if (!writer_begin(&m->repo, &o, &m->w, &err))
        fail_msg("%s", err.msg);
}

// Its name as a reference; owned.
static char *add(struct made *m, char kind, const char *text)
{
    char hex[33];
    struct blob_id id = writer_add(m->w, kind, text, strlen(text));
    blob_id_hex(&id, hex);
    return str_dup(hex);
}

static void commit(struct made *m, const char *root)
{
    struct err err = {0};
    struct entry e = {.kind = ENTRY_SNAPSHOT};
    e.snapshot.root = writer_add(m->w, 'r', root, strlen(root));
    e.snapshot.is_good = true;
    if (!writer_commit(m->w, &e.snapshot, &m->entry, &err))
        fail_msg("%s", err.msg);
    entry_clear(&e);
}

static bool thaw(struct made *m, struct frozen *out, struct err *err)
{
    struct age_identity id = kit_identity(1);
    struct frozen_opts o = {.minor = 37};
    struct reader *r = NULL;
    bool ok = reader_open(&m->repo, PROD, &m->entry, &id, &r, err) && frozen_read(r, &o, out, err);
    reader_free(r);
    return ok;
}

static void end(struct made *m)
{
    writer_free(m->w);
    entry_clear(&m->entry);
    credential_clear(&m->job);
    repo_close(&m->repo);
}

#define LINE(from, ns, name, more)                                                                 \
    "{\"from\":\"" from "\",\"object\":{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{"  \
    "\"name\":\"" name "\",\"namespace\":\"" ns "\"" more "}}\n"
#define ROW(kind, ns, name, more)                                                                  \
    "{\"version\":\"v1\",\"kind\":\"" kind "\",\"namespace\":\"" ns "\",\"name\":\"" name          \
    "\"" more "}"
#define SECRET_ROW(ns, name, rule) ROW("Secret", ns, name, ",\"secret\":true,\"rule\":\"" rule "\"")

static const char pool[] = LINE(
    "desired", "web", "part",
    ",\"labels\":{\"a\":\"git\"}},\"data\":{\"both\":\"Z2l0\",\"git\":\"Z2l0\"}")
    LINE(
        "live", "web", "part",
        ",\"labels\":{\"a\":\"live\",\"b\":\"live\"}},\"type\":\"Opaque\",\"data\":{\"both\":\"bGl2"
        "ZQ==\",\"only\":\"bGl2ZQ==\"}") LINE("desired", "web", "whole",
                                              "},\"data\":{\"a\":\"Z2l0\"}")
        LINE("live", "web", "whole", "},\"data\":{\"a\":\"bGl2ZQ==\"}")
            LINE("live", "kube-system", "key",
                 ",\"uid\":\"1\",\"ownerReferences\":[{\"uid\":\"2\"}],\"finalizers\":[\"x\"]},"
                 "\"data\":{"
                 "\"k\":\"aHVudGVyMg==\"}") LINE("live", "web", "unsealed",
                                                 "},\"data\":{\"k\":\"eA==\"}")
                LINE("live", "regrow-system", "writer", "},\"data\":{\"k\":\"eA==\"}") LINE(
                    "live", "web", "token",
                    "},\"type\":\"kubernetes.io/service-account-token\",\"data\":{\"k\":\"eA==\"}");

static void make(struct made *m)
{
    begin(m);
    CLEANUP(str_freep) char *secrets = add(m, 's', pool);
    CLEANUP(str_freep)
    char *map = add(m, 'o',
                    "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{"
                    "\"name\":\"hosts\",\"namespace\":\"argocd\",\"uid\":\"3\"}}\n");
    CLEANUP(str_freep)
    char *sealed = add(m, 'o',
                       "{\"apiVersion\":\"bitnami.com/v1alpha1\",\"kind\":\"SealedSecret\","
                       "\"metadata\":{\"name\":\"unsealed\",\"namespace\":\"web\"}}\n");
    CLEANUP(str_freep)
    char *rows = str_printf(
        "{\"name\":\"root\",\"objects\":[%s,%s,{\"group\":\"bitnami.com\",\"version\":\"v1alpha1\","
        "\"kind\":\"SealedSecret\",\"namespace\":\"web\",\"name\":\"unsealed\",\"blob\":\"%s\"},%s]"
        ","
        "\"sources\":[]}\n",
        ROW("Secret", "web", "part", ",\"secret\":true"),
        ROW("Secret", "web", "whole", ",\"secret\":true"), sealed,
        ROW("Secret", "web", "absent", ",\"secret\":true"));
    CLEANUP(str_freep) char *app = add(m, 'l', rows);
    CLEANUP(str_freep)
    char *list = str_printf("{\"applications\":[{\"name\":\"root\",\"blob\":\"%s\"}]}\n", app);
    CLEANUP(str_freep) char *shard = add(m, 'l', list);
    CLEANUP(str_freep) char *blobs = str_printf("{\"blobs\":[\"%s\"]}\n", secrets);
    CLEANUP(str_freep) char *pools = add(m, 'l', blobs);
    CLEANUP(str_freep)
    char *live_text = str_printf(
        "{\"objects\":[%s,%s,%s,%s,%s,{\"version\":\"v1\",\"kind\":\"ConfigMap\",\"namespace\":"
        "\"argocd\",\"name\":\"hosts\",\"rule\":\"host keys\",\"blob\":\"%s\"}]}\n",
        SECRET_ROW("kube-system", "key", "sealed-secrets keys"),
        SECRET_ROW("web", "unsealed", "TLS"), SECRET_ROW("regrow-system", "writer", "x"),
        SECRET_ROW("web", "token", "x"), SECRET_ROW("web", "lost", "TLS"), map);
    CLEANUP(str_freep) char *live = add(m, 'l', live_text);
    CLEANUP(str_freep)
    char *root =
        str_printf("{\"type\":\"regrow root v1\",\"name\":\"root\",\"shards\":{\"blobs\":[\"%s\"]}"
                   ",\"secrets\":[{\"blob\":\"%s\"}],\"live\":{\"blob\":\"%s\"}}\n",
                   shard, pools, live);
    commit(m, root);
}

// Rows of a live list as an older or another writer may have left them: what a controller here
// makes for itself, or what belonged to the cluster that is gone, is left out all the same.
static void what_must_not_return(void **state)
{
    static const struct {
        const char *api, *group, *version, *kind;
        bool returns;
    } rows[] = {
        {"acme.cert-manager.io/v1", "acme.cert-manager.io", "v1", "Order", false},
        {"acme.cert-manager.io/v1", "acme.cert-manager.io", "v1", "Challenge", false},
        {"cert-manager.io/v1", "cert-manager.io", "v1", "CertificateRequest", false},
        {"coordination.k8s.io/v1", "coordination.k8s.io", "v1", "Lease", false},
        {"discovery.k8s.io/v1", "discovery.k8s.io", "v1", "EndpointSlice", false},
        {"v1", "", "v1", "Endpoints", false},
        {"v1", "", "v1", "Event", false},
        {"events.k8s.io/v1", "events.k8s.io", "v1", "Event", false},
        {"v1", "", "v1", "Pod", false},
        {"apps/v1", "apps", "v1", "ReplicaSet", false},
        {"argoproj.io/v1alpha1", "argoproj.io", "v1alpha1", "AnalysisRun", false},
        {"argoproj.io/v1alpha1", "argoproj.io", "v1alpha1", "Experiment", false},
        // Their neighbours do come back.
        {"cert-manager.io/v1", "cert-manager.io", "v1", "Certificate", true},
        {"acme.example.com/v1", "acme.example.com", "v1", "Order", true},
        {"v1", "", "v1", "ConfigMap", true},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct made m;
        struct frozen f = {0};
        struct err err = {0};
        begin(&m);
        CLEANUP(str_freep)
        char *text =
            str_printf("{\"apiVersion\":\"%s\",\"kind\":\"%s\",\"metadata\":{\"name\":"
                       "\"x\",\"namespace\":\"web\",\"ownerReferences\":[{\"uid\":\"2\"}]}}\n",
                       rows[i].api, rows[i].kind);
        CLEANUP(str_freep) char *blob = add(&m, 'o', text);
        CLEANUP(str_freep)
        char *list =
            str_printf("{\"objects\":[{\"group\":\"%s\",\"version\":\"%s\",\"kind\":\"%s\","
                       "\"namespace\":\"web\",\"name\":\"x\",\"rule\":\"by hand\",\"blob\":"
                       "\"%s\"}]}\n",
                       rows[i].group, rows[i].version, rows[i].kind, blob);
        CLEANUP(str_freep) char *live = add(&m, 'l', list);
        CLEANUP(str_freep) char *app = add(&m, 'l', "{\"name\":\"root\",\"objects\":[]}\n");
        CLEANUP(str_freep)
        char *apps = str_printf("{\"applications\":[{\"name\":\"root\",\"blob\":\"%s\"}]}\n", app);
        CLEANUP(str_freep) char *shard = add(&m, 'l', apps);
        CLEANUP(str_freep)
        char *root = str_printf("{\"type\":\"regrow root v1\",\"name\":\"root\",\"shards\":{"
                                "\"blobs\":[\"%s\"]},\"live\":{\"blob\":\"%s\"}}\n",
                                shard, live);
        commit(&m, root);
        if (!thaw(&m, &f, &err))
            fail_msg("%s %s: %s", rows[i].api, rows[i].kind, err.msg);
        if (f.zero.len != rows[i].returns)
            fail_msg("%s %s: %zu", rows[i].api, rows[i].kind, f.zero.len);
        if (f.zero.len)
            assert_null(strstr(f.zero.v[0].body, "ownerReferences"));
        assert_int_equal(f.missing.len, 0);
        frozen_clear(&f);
        end(&m);
    }
}

static const struct zero_object *find(const struct frozen *f, const char *name)
{
    for (size_t i = 0; i < f->zero.len; i++)
        if (!strcmp(f->zero.v[i].id.name, name))
            return &f->zero.v[i];
    return NULL;
}

static void first_of_all(void **state)
{
    (void)state;
    struct made m;
    struct frozen f = {0};
    struct err err = {0};
    make(&m);
    if (!thaw(&m, &f, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(f.zero.len, 3);
    const struct zero_object *key = find(&f, "key");
    assert_string_equal(key->rule, "sealed-secrets keys");
    assert_string_equal(
        key->body, "{\"apiVersion\":\"v1\",\"data\":{\"k\":\"aHVudGVyMg==\"},\"kind\":\"Secret\","
                   "\"metadata\":{\"name\":\"key\",\"namespace\":\"kube-system\"}}");
    assert_null(strstr(find(&f, "hosts")->body, "uid"));
    const struct zero_object *part = find(&f, "part");
    assert_null(part->rule);
    assert_string_equal(
        part->body, "{\"apiVersion\":\"v1\",\"data\":{\"only\":\"bGl2ZQ==\"},\"kind\":\"Secret\","
                    "\"metadata\":{\"labels\":{\"b\":\"live\"},\"name\":\"part\",\"namespace\":"
                    "\"web\"},\"type\":\"Opaque\"}");
    assert_null(find(&f, "unsealed"));
    assert_null(find(&f, "writer"));
    assert_null(find(&f, "token"));
    frozen_clear(&f);
    end(&m);
}

static void what_is_missing_is_named(void **state)
{
    (void)state;
    struct made m;
    struct frozen f = {0};
    struct err err = {0};
    make(&m);
    if (!thaw(&m, &f, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(f.missing.len, 2);
    assert_non_null(strstr(f.missing.v[0], "Secret web/absent"));
    assert_non_null(strstr(f.missing.v[1], "Secret web/lost"));
    assert_int_equal(f.desired->objects.len, 3);
    frozen_clear(&f);
    end(&m);
}

// A snapshot of one application's list (%s: the id of an object) and the root over it.
static bool hostile(const char *app, const char *object, struct err *err)
{
    struct made m;
    struct frozen f = {0};
    begin(&m);
    CLEANUP(str_freep) char *o = add(&m, 'o', object);
    CLEANUP(str_freep) char *text = str_dup(app);
    char *at = strstr(text, "%s");
    CLEANUP(str_freep)
    char *filled = at ? (*at = 0, str_printf("%s%s%s", text, o, at + 2)) : str_dup(text);
    CLEANUP(str_freep) char *l = add(&m, 'l', filled);
    CLEANUP(str_freep)
    char *shard_text = str_printf("{\"applications\":[{\"name\":\"root\",\"blob\":\"%s\"}]}\n", l);
    CLEANUP(str_freep) char *shard = add(&m, 'l', shard_text);
    CLEANUP(str_freep)
    char *root =
        str_printf("{\"type\":\"regrow root v1\",\"shards\":{\"blobs\":[\"%s\"]}}\n", shard);
    commit(&m, root);
    bool ok = thaw(&m, &f, err);
    if (ok)
        frozen_clear(&f);
    end(&m);
    return ok;
}

static void nothing_is_believed(void **state)
{
    static const char map[] =
        "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":"
        "\"x\",\"namespace\":\"y\"}}\n";
    static const char job[] =
        "{\"apiVersion\":\"batch/v1\",\"kind\":\"Job\",\"metadata\":{\"name\":\"x\",\"namespace\":"
        "\"y\",\"annotations\":{\"argocd.argoproj.io/hook\":\"PreDelete\"}}}\n";
    static const struct {
        const char *app, *object;
        enum err_kind kind; // ERR_NONE: it is read
    } cases[] = {
        {"{\"objects\":[]}\n", map, ERR_NONE},
        {"{\"objects\":[" ROW("ConfigMap", "y", "x", ",\"blob\":\"%s\"") "]}\n", map, ERR_NONE},
        {"{\"objects\":[" ROW("ConfigMap", "y", "x",
                              ",\"blob\":\"%s\",\"origin\":{\"source\":-5,\"line\":-1},\"phase\":7,"
                              "\"wave\":\"a\",\"delete\":{}") "]}\n",
         map, ERR_NONE},
        {"[]\n", map, ERR_NONE},
        {"{\"objects\":[{}]}\n", map, ERR_CORRUPT},
        {"{\"objects\":[" ROW("ConfigMap", "y", "other", ",\"blob\":\"%s\"") "]}\n", map,
         ERR_CORRUPT},
        {"{\"objects\":[" ROW("ConfigMap", "y", "x", "") "]}\n", map, ERR_CORRUPT},
        {"{\"objects\":[" ROW("ConfigMap", "y", "x", ",\"blob\":\"zz\"") "]}\n", map, ERR_CORRUPT},
        {"{\"document\":{},\"objects\":[]}\n", map, ERR_CORRUPT}, // no root
        {"{\"objects\":[{\"group\":\"batch\",\"version\":\"v1\",\"kind\":\"Job\",\"namespace\":"
         "\"y\","
         "\"name\":\"x\",\"blob\":\"%s\"}]}\n",
         job, ERR_INVALID},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        bool ok = hostile(cases[i].app, cases[i].object, &err);
        if (ok != (cases[i].kind == ERR_NONE) || err.kind != cases[i].kind)
            fail_msg("case %zu: %s", i, ok ? "was read" : err.msg);
        err_clear(&err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_of_all),
        cmocka_unit_test(what_is_missing_is_named),
        cmocka_unit_test(what_must_not_return),
        cmocka_unit_test(nothing_is_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
