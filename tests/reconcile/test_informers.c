// SPDX-License-Identifier: Apache-2.0
//
// What informers make of the documents that lists, watches and runs bring, in whichever order.
#include "tests/test.h"

#include "kube/kube_int.h"
#include "reconcile/run_int.h"

#define MAX_TOLD 32

struct world {
    struct loop *loop;
    struct kubeconfig config;
    struct kube *kube;
    struct informers *inf;
    struct informer_kind *kind;
    char told[MAX_TOLD][64];
    size_t n_told;
    // What a run answers, if one is on.
    enum informer_claim claim;
    struct sha256 wrote;
};

static void on_change(void *ctx, const struct object_id *id, const char *app,
                      enum informer_change c)
{
    static const char *const words[] = {"drift", "still", "gone", "health", "unrecorded"};
    struct world *w = ctx;
    assert_true(w->n_told < MAX_TOLD);
    snprintf(w->told[w->n_told++], sizeof(w->told[0]), "%s %s %s", words[c], app, id->name);
}

static void told(struct world *w, const char *what)
{
    struct buf b CLEANUP(buf_clear) = {0};
    for (size_t i = 0; i < w->n_told; i++)
        buf_printf(&b, "%s%s", i ? ", " : "", w->told[i]);
    assert_string_equal(b.p ? b.p : "", what);
    w->n_told = 0;
}

static struct world *new_world(void)
{
    static const struct kind_info deployments = {
        (char *)"apps", (char *)"v1", (char *)"Deployment", (char *)"deployments", true, true, true,
        true,           true};
    struct world *w = mem_alloc(sizeof(*w));
    w->loop = loop_new(NULL);
    w->config.server = (char *)"http://127.0.0.1:1";
    struct kube_opts ko = {.user_agent = "test"};
    w->kube = kube_new(w->loop, &w->config, &ko);
    struct informers_opts io = {.changed = on_change, .ctx = w};
    w->inf = informers_new(w->loop, w->kube, &io);
    w->kind = informers_kind_new(w->inf, &deployments);
    w->kind->is_read = w->inf->inventory.is_read = true; // as after a first list
    return w;
}

static void end(struct world *w)
{
    informers_free(w->inf);
    kube_free(w->kube);
    loop_free(w->loop);
    free(w);
}

// A Deployment of application a: its value is ours, its ready replicas are the controller's.
static json_t *deployment(const char *name, const char *uid, int version, int value, bool is_ready)
{
    return json_pack(
        "{s:s, s:s, s:{s:s, s:s, s:s, s:o, s:i, s:{s:o}, s:[{s:s, s:s, s:s, s:{s:{s:{}}}}]},"
        " s:{s:i}, s:{s:i, s:i, s:i, s:i, s:i}}",
        "apiVersion", "apps/v1", "kind", "Deployment", "metadata", "name", name, "namespace", "ns",
        "uid", uid, "resourceVersion", json_sprintf("%d", version), "generation", 1, "annotations",
        TRACKING_ANNOTATION, json_sprintf("a:apps/Deployment:ns/%s", name), "managedFields",
        "manager", "regrow", "operation", "Apply", "apiVersion", "apps/v1", "fieldsV1", "f:spec",
        "f:replicas", "spec", "replicas", value, "status", "observedGeneration", 1, "replicas",
        value, "updatedReplicas", value, "readyReplicas", is_ready ? value : 0, "availableReplicas",
        is_ready ? value : 0);
}

static void bring(struct world *w, enum kube_event ev, json_t *doc_take, int64_t list_ms)
{
    struct object_id id = {0};
    CLEANUP(str_freep) char *version = NULL;
    struct err err = {0};
    bool stale;
    assert_true(object_id_of(doc_take, &id, &version, &err));
    if (ev == KUBE_DELETED)
        kept_deleted(w->kind, &id, doc_take, &stale);
    else
        kept_item(w->kind, &id, ev, doc_take, list_ms, &stale);
    object_id_clear(&id);
    json_decref(doc_take);
}

static void modified(struct world *w, const char *uid, int version, int value, bool is_ready)
{
    bring(w, KUBE_MODIFIED, deployment("d", uid, version, value, is_ready), 0);
}

static json_t *map_doc(const char *what, const char *app, int version, const char *lines)
{
    CLEANUP(str_freep) char *name = *app ? inventory_map_name(app, 0) : str_dup("intent");
    return json_pack(
        "{s:s, s:s, s:{s:s, s:s, s:o, s:{s:s}}, s:{s:o}}", "apiVersion", "v1", "kind", "ConfigMap",
        "metadata", "name", name, "namespace", REGROW_NAMESPACE, "resourceVersion",
        json_sprintf("%d", version), "labels", INVENTORY_LABEL, what, "data", "records",
        json_sprintf(INVENTORY_HEADER "\t%s\tprune\t{\"cascade\": true}\n%s", app, lines));
}

static char *line_of(const char *name, const char *uid, int value, const char *app)
{
    CLEANUP(json_freep) json_t *doc = deployment(name, uid, 1, value, true);
    struct sha256 p;
    assert_true(projection_of(doc, "regrow", &p));
    CLEANUP(str_freep) char *hex = hex_encode(p.b, sizeof(p.b));
    return str_printf("apps\tDeployment\tv1\tns\t%s\t%s\t%s\t%s\t\t%s\n", name, uid, hex, hex, app);
}

static void recorded(struct world *w, const char *app, int version, const char *uid, int value)
{
    CLEANUP(str_freep) char *line = line_of("d", uid, value, "");
    CLEANUP(json_freep) json_t *doc = map_doc("app", app, version, line);
    maps_item(w->inf, KUBE_ITEM, doc, 1);
}

static const struct object_id the_d = {(char *)"apps", (char *)"Deployment", (char *)"ns",
                                       (char *)"d"};

static void drift(void **s)
{
    (void)s;
    struct world *w = new_world();
    recorded(w, "a", 5, "u", 2);
    modified(w, "u", 10, 2, true);
    told(w, "");
    modified(w, "u", 11, 2, false);
    told(w, "health a d");
    modified(w, "u", 12, 3, false);
    told(w, "drift a d");
    modified(w, "u", 13, 3, false); // what another has taken is not seen: it may be as it was
    told(w, "still a d");
    modified(w, "u", 12, 2, true); // older than what is known
    told(w, "");
    modified(w, "u", 14, 2, true);
    told(w, "health a d");
    modified(w, "other", 15, 2, true); // deleted and made again by somebody
    told(w, "drift a d");
    bring(w, KUBE_DELETED, deployment("d", "u", 14, 2, true), 0); // of the one before
    told(w, "");
    bring(w, KUBE_DELETED, deployment("d", "other", 16, 2, true), 0);
    told(w, "gone a d");
    assert_non_null(informers_record(w->inf, &the_d));
    assert_null(informers_fact(w->inf, &the_d));
    end(w);
}

static void unrecorded(void **s)
{
    (void)s;
    struct world *w = new_world();
    modified(w, "u", 10, 2, true);
    told(w, "unrecorded a d");
    json_t *doc = deployment("other", "o", 11, 2, true);
    json_object_del(json_object_get(doc, "metadata"), "annotations");
    bring(w, KUBE_ADDED, doc, 0);
    told(w, "");
    struct object_id other = the_d;
    other.name = (char *)"other";
    assert_true(informers_exists(w->inf, &other)); // and nothing else is known of it
    assert_null(informers_fact(w->inf, &other));
    end(w);
}

// The stream is slower than the answers to a run's own writes.
static void own_writes(void **s)
{
    (void)s;
    struct world *w = new_world();
    recorded(w, "a", 5, "u", 2);
    modified(w, "u", 10, 2, true);
    CLEANUP(json_freep) json_t *reply = deployment("d", "u", 20, 4, true);
    recorded(w, "a", 21, "u", 4);
    informers_wrote(w->inf, reply);
    modified(w, "u", 15, 3, true);
    modified(w, "u", 20, 4, true);
    told(w, "");
    assert_int_equal(informers_stats(w->inf).stale, 2);
    informers_deleted(w->inf, &the_d, "u");
    modified(w, "u", 22, 4, true); // on its way out, and out by now
    assert_false(informers_exists(w->inf, &the_d));
    told(w, "");
    modified(w, "next", 24, 4, true);
    assert_true(informers_exists(w->inf, &the_d));
    bring(w, KUBE_DELETED, deployment("d", "u", 23, 4, true), 0);
    assert_true(informers_exists(w->inf, &the_d));
    told(w, "drift a d");
    informers_deleted(w->inf, &the_d, "u"); // another one stands in its place
    assert_true(informers_exists(w->inf, &the_d));
    end(w);
}

static enum informer_claim on_claim(void *ctx, const struct object_id *id,
                                    const struct sha256 **projection)
{
    struct world *w = ctx;
    *projection = &w->wrote;
    return strcmp(id->name, "d") ? CLAIM_NOT : w->claim;
}

static void run_begins(struct world *w, enum informer_claim claim)
{
    const struct informers_listener l = {.claim = on_claim, .ctx = w};
    w->claim = claim;
    informers_listen(w->inf, &l);
}

// While a run is about an object nothing is told of it that the run will see to.
static void during_a_run(void **s)
{
    (void)s;
    struct world *w = new_world();
    recorded(w, "a", 5, "u", 2);
    modified(w, "u", 10, 2, true);
    run_begins(w, CLAIM_BUSY);
    modified(w, "u", 11, 3, true);
    bring(w, KUBE_ADDED, deployment("e", "e", 12, 3, true), 0); // of somebody else
    told(w, "unrecorded a e");
    modified(w, "u", 13, 2, true); // as it was: by whomever
    informers_listen(w->inf, NULL);
    told(w, "");
    run_begins(w, CLAIM_BUSY);
    modified(w, "u", 14, 3, true);
    told(w, "");
    informers_listen(w->inf, NULL); // it has not
    told(w, "drift a d");
    CLEANUP(json_freep) json_t *doc = deployment("d", "u", 1, 4, true);
    run_begins(w, CLAIM_WROTE);
    assert_true(projection_of(doc, "regrow", &w->wrote));
    modified(w, "u", 15, 4, true);
    told(w, ""); // its record comes at the end
    modified(w, "u", 16, 5, true);
    told(w, "drift a d"); // at once: the run may take long
    recorded(w, "a", 17, "u", 4);
    informers_listen(w->inf, NULL);
    told(w, "");
    end(w);
}

// Nothing is forgotten before a new list is complete, nor what was written since it was begun.
static void lists(void **s)
{
    (void)s;
    struct world *w = new_world();
    recorded(w, "a", 5, "u", 2);
    modified(w, "u", 10, 2, true);
    bring(w, KUBE_ADDED, deployment("e", "e", 11, 3, true), 0);
    w->n_told = 0;
    int64_t began = clock_mono_ms();
    w->kind->list++;
    bring(w, KUBE_ITEM, deployment("e", "e", 11, 3, true), began);
    assert_true(informers_exists(w->inf, &the_d));
    w->kind->list++; // broken off, and begun anew
    bring(w, KUBE_ITEM, deployment("e", "e", 11, 3, true), began);
    told(w, "");
    kept_sweep(w->kind, began, false);
    told(w, "gone a d");
    assert_false(informers_exists(w->inf, &the_d));
    // A server that has come back with an older state.
    w->kind->list++;
    bring(w, KUBE_ITEM, deployment("d", "u", 4, 2, true), began);
    kept_sweep(w->kind, began, false);
    told(w, "");
    assert_true(informers_exists(w->inf, &the_d));
    struct object_id e = the_d;
    e.name = (char *)"e";
    assert_false(informers_exists(w->inf, &e));
    // Written while the list was under way.
    CLEANUP(json_freep) json_t *reply = deployment("e", "e2", 30, 3, true);
    informers_wrote(w->inf, reply);
    w->kind->list++;
    bring(w, KUBE_ITEM, deployment("d", "u", 4, 2, true), began);
    bring(w, KUBE_ITEM, deployment("e", "e", 11, 9, true), began);
    kept_sweep(w->kind, began, false);
    assert_true(informers_exists(w->inf, &e));
    assert_string_equal(informers_fact(w->inf, &e)->uid, "e2");
    end(w);
}

static void count(void *ctx, const struct record *r, const struct live_fact *fact, bool is_unknown)
{
    int *n = ctx;
    n[0]++;
    n[1] += fact != NULL;
    n[2] += is_unknown;
    n[3] += r->is_intent;
}

static void has(struct world *w, const char *app, int records, int facts, int unknown, int intents)
{
    int n[4] = {0};
    informers_each_record(w->inf, app, count, n);
    assert_int_equal(n[0], records);
    assert_int_equal(n[1], facts);
    assert_int_equal(n[2], unknown);
    assert_int_equal(n[3], intents);
}

static void others(struct world *w, int records)
{
    int n[4] = {0};
    maps_each_other(w->inf, NULL, count, n);
    assert_int_equal(n[0], records);
}

static void inventory(void **s)
{
    (void)s;
    struct world *w = new_world();
    CLEANUP(str_freep) char *line = line_of("d", "", 2, "a");
    CLEANUP(json_freep) json_t *intent = map_doc("intent", "", 3, line);
    maps_item(w->inf, KUBE_ITEM, intent, 1);
    has(w, "a", 1, 0, 0, 1);
    others(w, 1);
    assert_null(informers_record(w->inf, &the_d)); // it is only meant
    recorded(w, "a", 5, "u", 2);
    has(w, "a", 1, 0, 0, 0);
    others(w, 0);
    modified(w, "u", 10, 2, true);
    has(w, NULL, 1, 1, 0, 0);
    w->kind->is_unknown = true;
    has(w, NULL, 1, 0, 1, 0);
    assert_null(informers_fact(w->inf, &the_d));
    w->kind->is_unknown = false;
    CLEANUP(json_freep) json_t *note = informers_note(w->inf, "a");
    assert_true(json_dot_bool(note, "cascade", false));
    // Application b has it too: whose mark it carries counts.
    recorded(w, "b", 6, "u", 2);
    assert_string_equal(informers_record(w->inf, &the_d)->app, "a");
    has(w, "b", 0, 0, 0, 0);
    // An older text does not come back.
    CLEANUP(json_freep) json_t *old = map_doc("app", "a", 4, "");
    maps_item(w->inf, KUBE_MODIFIED, old, 0);
    has(w, "a", 1, 1, 0, 0);
    told(w, "");
    // A run takes it out of the text: it is not ours any more, and nothing is wrong.
    CLEANUP(json_freep) json_t *less = map_doc("app", "a", 7, "");
    maps_wrote(w->inf, less);
    has(w, "b", 1, 1, 0, 0); // that is what b says
    CLEANUP(json_freep) json_t *none = map_doc("app", "b", 7, "");
    maps_wrote(w->inf, none);
    others(w, 1); // but for what an earlier run meant to make
    CLEANUP(json_freep) json_t *meant = map_doc("intent", "", 8, "");
    maps_wrote(w->inf, meant);
    others(w, 0);
    assert_null(informers_record(w->inf, &the_d));
    assert_int_equal(informers_stats(w->inf).records, 0);
    told(w, "");
    recorded(w, "a", 8, "u", 2);
    CLEANUP(json_freep) json_t *gone = map_doc("app", "a", 9, "");
    maps_item(w->inf, KUBE_DELETED, gone, 0); // by hand
    told(w, "unrecorded a d");
    assert_true(informers_exists(w->inf, &the_d));
    end(w);
}

// Two ConfigMaps name one object; whoever is last takes it along.
static void named_twice(void **s)
{
    (void)s;
    struct world *w = new_world();
    CLEANUP(str_freep) char *line = line_of("d", "u", 2, "");
    CLEANUP(str_freep) char *twice = str_printf("%s%s", line, line);
    CLEANUP(json_freep) json_t *a = map_doc("app", "a", 5, line);
    CLEANUP(json_freep) json_t *b = map_doc("app", "b", 6, twice);
    CLEANUP(json_freep) json_t *no_a = map_doc("app", "a", 7, "");
    CLEANUP(json_freep) json_t *no_b = map_doc("app", "b", 8, "");
    maps_item(w->inf, KUBE_ITEM, a, 1);
    maps_item(w->inf, KUBE_ITEM, b, 1);
    modified(w, "u", 10, 2, true);
    bring(w, KUBE_DELETED, deployment("d", "u", 11, 2, true), 0);
    told(w, "gone b d");
    maps_item(w->inf, KUBE_MODIFIED, no_b, 0);
    has(w, "b", 0, 0, 0, 0);
    has(w, "a", 1, 0, 0, 0);
    assert_non_null(inf_find(w->inf, &the_d));
    maps_item(w->inf, KUBE_MODIFIED, no_a, 0);
    assert_null(inf_find(w->inf, &the_d));
    assert_int_equal(informers_stats(w->inf).records, 0);
    told(w, "");
    end(w);
}

// It has moved, and could not be written: what the new application's ConfigMap says of it counts
// once the old one's has let go, whichever came first.
static void moved(void **s)
{
    (void)s;
    struct world *w = new_world();
    CLEANUP(json_freep) json_t *no_a = map_doc("app", "a", 8, "");
    CLEANUP(json_freep) json_t *no_b = map_doc("app", "b", 10, "");
    recorded(w, "a", 5, "u", 2);
    modified(w, "u", 10, 2, true);
    recorded(w, "b", 6, "u", 2);
    recorded(w, "b", 7, "u", 3); // read again: the last counts
    assert_string_equal(informers_record(w->inf, &the_d)->app, "a");
    assert_int_equal(informers_stats(w->inf).records, 1);
    maps_wrote(w->inf, no_a);
    const struct record *r = informers_record(w->inf, &the_d);
    assert_string_equal(r->app, "b");
    assert_string_equal(r->uid, "u");
    assert_false(sha256_eq(&r->projection, &informers_fact(w->inf, &the_d)->projection));
    assert_int_equal(informers_stats(w->inf).records, 1);
    recorded(w, "a", 9, "u", 2); // back again, and its mark says so
    assert_string_equal(informers_record(w->inf, &the_d)->app, "a");
    maps_wrote(w->inf, no_b);
    assert_string_equal(informers_record(w->inf, &the_d)->app, "a");
    assert_int_equal(informers_stats(w->inf).records, 1);
    end(w);
}

// What a run has deleted, and whose deletion a watch that was cut did not tell: nothing of it
// stays.
static void deletion_missed(void **s)
{
    (void)s;
    struct world *w = new_world();
    recorded(w, "a", 5, "u", 2);
    modified(w, "u", 10, 2, true);
    informers_deleted(w->inf, &the_d, "u");
    CLEANUP(json_freep) json_t *none = map_doc("app", "a", 6, "");
    maps_wrote(w->inf, none);
    assert_non_null(inf_find(w->inf, &the_d)); // an older word of it may still come
    w->kind->list++;
    kept_sweep(w->kind, clock_mono_ms() + 1, false);
    assert_null(inf_find(w->inf, &the_d));
    told(w, "");
    end(w);
}

static void notes(void **s)
{
    (void)s;
    struct world *w = new_world();
    CLEANUP(json_freep)
    json_t *meant = map_doc("intent", "", 3, INVENTORY_NOTE "\ta\t{\"cascade\": true}\n");
    CLEANUP(json_freep)
    json_t *other = map_doc("intent", "", 4, INVENTORY_NOTE "\tb\t{\"cascade\": true}\n");
    maps_wrote(w->inf, meant);
    json_t *note = informers_note(w->inf, "a");
    assert_true(json_dot_bool(note, "cascade", false));
    json_decref(note);
    maps_wrote(w->inf, other); // another run's
    assert_null(informers_note(w->inf, "a"));
    note = informers_note(w->inf, "b");
    assert_non_null(note);
    json_decref(note);
    end(w);
}

// A kind that could be read at last: what is missing there was lost meanwhile.
static void late_kind(void **s)
{
    (void)s;
    struct world *w = new_world();
    recorded(w, "a", 5, "u", 2);
    w->kind->is_unknown = true;
    w->kind->list++;
    kept_sweep(w->kind, clock_mono_ms(), true);
    told(w, "gone a d");
    end(w);
}

static bool is_name(const void *ctx, const struct object_id *id)
{
    return !strcmp(id->name, ctx);
}

static void bad_is(const struct world *w, bool is_bad)
{
    assert_int_equal(informers_any_bad(w->inf, is_name, "d"), is_bad);
    assert_false(informers_any_bad(w->inf, is_name, "other")); // the caller says which ones count
}

// What is recorded and missing, unhealthy or not known is bad, with or without a record of it.
static void any_bad(void **s)
{
    (void)s;
    struct world *w = new_world();
    bad_is(w, false); // nothing is kept
    modified(w, "u", 10, 2, true);
    bad_is(w, false);
    modified(w, "u", 11, 2, false);
    bad_is(w, true);
    recorded(w, "a", 5, "u", 2);
    bad_is(w, true);
    modified(w, "u", 12, 2, true);
    bad_is(w, false);
    w->kind->is_unknown = true;
    bad_is(w, true);
    w->kind->is_unknown = false;
    w->kind->is_read = false;
    bad_is(w, true);
    w->kind->is_read = true;
    bring(w, KUBE_DELETED, deployment("d", "u", 13, 2, true), 0);
    bad_is(w, true);
    end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drift),      cmocka_unit_test(unrecorded),
        cmocka_unit_test(own_writes), cmocka_unit_test(during_a_run),
        cmocka_unit_test(lists),      cmocka_unit_test(inventory),
        cmocka_unit_test(late_kind),  cmocka_unit_test(named_twice),
        cmocka_unit_test(moved),      cmocka_unit_test(deletion_missed),
        cmocka_unit_test(notes),      cmocka_unit_test(any_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
