// SPDX-License-Identifier: Apache-2.0
//
// Capture alone against a cluster, for end-to-end tests: two snapshots into a store in memory, and
// what the second holds as a JSON text in OUT: "state", "why", "counts", "added", "warnings",
// "secrets" (lines of the pool; what tests put there), "live", "images", "versions".
//
//   tool_capture CACHE FOLDER ROOT OUT    of the cluster $KUBECONFIG names
#include <string.h>

#include "snapshot/capture.h"
#include "snapshot/reader.h"
#include "tests/snapshot/snapkit.h"
#include "tests/test.h"

struct run {
    struct loop *loop;
    struct kube *kube;
    struct kinds *kinds;
    const struct desired *desired;
    struct source *source;
    const char *root, *work;
    struct repo repo;
    struct capture_report report;
};

static struct entry snapshot(struct run *r)
{
    struct err err = {0};
    struct credential job = snap_kit_job("writer");
    struct entry e = {.kind = ENTRY_SNAPSHOT};
    struct entry out = {0};
    CLEANUP(writer_freep) struct writer *w = NULL;
    struct writer_opts wo = {.job = &job, .cluster = kube_cluster_uid(r->kube)};
    struct capture_opts o = {.loop = r->loop,
                             .desired = r->desired,
                             .source = r->source,
                             .kube = r->kube,
                             .kinds = r->kinds,
                             .root = r->root,
                             .work_dir = r->work};
    o.rules = secret_rules_default(&o.n_rules);
    capture_report_clear(&r->report);
    if (!writer_begin(&r->repo, &wo, &w, &err) ||
        !capture_run(w, &o, &e.snapshot, &r->report, &err) ||
        !writer_commit(w, &e.snapshot, &out, &err))
        fail_msg("%s", err.msg);
    entry_clear(&e);
    credential_clear(&job);
    return out;
}

static json_t *list_at(struct reader *r, const json_t *ref)
{
    struct err err = {0};
    struct blob_id id;
    json_t *v = NULL;
    const char *hex = json_dot_str(ref, "blob");
    if (!hex)
        return json_null();
    if (!blob_id_parse(hex, &id) || !reader_json(r, &id, 'l', &v, &err))
        fail_msg("%s", err.msg);
    return v;
}

static json_t *pool_lines(struct reader *r, const json_t *root)
{
    struct err err = {0};
    struct buf text CLEANUP(buf_clear) = {0};
    json_t *out = json_array();
    size_t i;
    json_t *hex;
    CLEANUP(json_freep)
    json_t *pool = list_at(r, json_array_get(json_object_get(root, "secrets"), 0));
    json_array_foreach(json_object_get(pool, "blobs"), i, hex)
    {
        struct blob_id id;
        if (!blob_id_parse(json_string_value(hex), &id) || !reader_blob(r, &id, NULL, &text, &err))
            fail_msg("%s", err.msg);
    }
    for (char *at = text.p; at && *at;) {
        size_t n = strcspn(at, "\n");
        json_t *v = NULL;
        if (!canon_read(at, n, &v, &err))
            fail_msg("%s", err.msg);
        json_array_append_new(out, v);
        at += n + (at[n] == '\n');
    }
    return out;
}

static json_t *strings(const struct strv *v)
{
    json_t *out = json_array();
    for (size_t i = 0; i < v->len; i++)
        json_array_append_new(out, json_string(v->v[i]));
    return out;
}

static void print(struct run *r, const struct entry *e, const char *path)
{
    struct err err = {0};
    struct age_identity id = kit_identity(1);
    CLEANUP(reader_freep) struct reader *rd = NULL;
    CLEANUP(json_freep) json_t *root = NULL;
    const struct snapshot_entry *s = &e->snapshot;
    if (!reader_open(&r->repo, PROD, e, &id, &rd, &err) || !reader_root(rd, &root, &err))
        fail_msg("%s", err.msg);
    CLEANUP(json_freep)
    json_t *v =
        json_pack("{s:s, s:o, s:I, s:o, s:o, s:o, s:o, s:o}", "state",
                  s->is_good ? "good" : "suspect", "why", strings(&s->why), "added",
                  (json_int_t)s->bytes.added, "warnings", strings(&r->report.warnings), "secrets",
                  pool_lines(rd, root), "live", list_at(rd, json_object_get(root, "live")),
                  "images", list_at(rd, json_object_get(root, "images")), "versions",
                  list_at(rd, json_object_get(root, "versions")));
    json_object_set_new(v, "counts",
                        json_pack("{s:I, s:I, s:I, s:I}", "unknown", (json_int_t)s->counts.unknown,
                                  "secrets", (json_int_t)s->counts.secrets, "objects",
                                  (json_int_t)s->counts.objects, "apps",
                                  (json_int_t)s->counts.apps));
    json_object_set_new(v, "ms", json_integer((json_int_t)r->report.ms));
    assert_int_equal(json_dump_file(v, path, JSON_SORT_KEYS | JSON_INDENT(1)), 0);
}

static void both(void **state)
{
    const char *const *argv = *state;
    struct err err = {0};
    struct kubeconfig_opts ko = {0};
    CLEANUP(kubeconfig_freep) struct kubeconfig *config = NULL;
    struct run r = {.loop = loop_new(NULL), .kinds = kinds_new(), .root = argv[3], .work = argv[2]};
    struct kube_opts opts = {.user_agent = "regrow/test", .field_manager = "regrow"};
    if (!kubeconfig_load(&ko, &config, &err))
        fail_msg("%s", err.msg);
    r.kube = kube_new(r.loop, config, &opts);
    if (!kube_connect(r.kube, 10000, r.kinds, &err))
        fail_msg("%s", err.msg);
    struct source_opts so = {.cache_dir = argv[1],
                             .kube_version = kube_version(r.kube) + 1,
                             .known_kinds = r.kinds,
                             .cluster_server = kubeconfig_server(config)};
    struct desired *d = NULL;
    r.source = source_new(r.loop, &so);
    if (!source_load(r.source, r.root, &d, &err))
        fail_msg("%s", err.msg);
    r.desired = d;
    log_kit_open(log_kit_store(true), &r.repo);
    struct entry first = snapshot(&r);
    struct entry second = snapshot(&r);
    print(&r, &second, argv[4]);
    entry_clear(&first);
    entry_clear(&second);
    repo_close(&r.repo);
    capture_report_clear(&r.report);
    desired_free(d);
    source_free(r.source);
    kube_free(r.kube);
    kinds_free(r.kinds);
    loop_free(r.loop);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_prestate(both, argv)};
    return argc < 5 ? 2 : cmocka_run_group_tests_name("tool", tests, NULL, NULL);
}
