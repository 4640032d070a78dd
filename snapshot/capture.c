// SPDX-License-Identifier: Apache-2.0
//
// What a snapshot holds, taken together: applications, sources, Git, Secrets, the cluster; then
// the root over all of it, and the gate (docs/repository-format.md section 7).
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "snapshot/capture_int.h"
#include "snapshot/programs.h"

bool capture_add(struct capture *c, char kind, const json_t *v, struct blob_id *id, struct err *err)
{
    struct buf b CLEANUP(buf_clear) = {0};
    canon_write(v, &b);
    buf_char(&b, '\n');
    if (b.len > BLOB_MAX_BYTES)
        return err_set(err, ERR_INVALID, "its description is longer than %u MiB",
                       BLOB_MAX_BYTES >> 20);
    *id = writer_add(c->w, kind, b.p, b.len);
    return true;
}

json_t *capture_id(const struct blob_id *id)
{
    char hex[33];
    blob_id_hex(id, hex);
    return json_string(hex);
}

json_t *capture_ref(const struct blob_id *id)
{
    return json_pack("{s:o}", "blob", capture_id(id));
}

static char *full_name(const struct capture *c, const char *name)
{
    return c->scope ? str_printf("%s: %s", c->scope, name) : str_dup(name);
}

void capture_note(struct capture *c, const char *name, const struct blob_id *list, uint32_t count)
{
    CLEANUP(str_freep) char *full = full_name(c, name);
    writer_note_list(c->w, full, list, count);
}

bool capture_known(const struct capture *c, const char *name, struct blob_id *list, uint32_t *count)
{
    CLEANUP(str_freep) char *full = full_name(c, name);
    return writer_known_list(c->w, full, list, count);
}

json_t *capture_kept(struct capture *c, const char *name, uint32_t *count)
{
    struct blob_id id;
    uint32_t n = 0;
    if (!capture_known(c, name, &id, &n))
        return NULL;
    if (count)
        *count = n;
    json_t *ref = capture_ref(&id);
    json_object_set_new(ref, "stale", json_true());
    return ref;
}

uint64_t capture_whole(struct capture *c, const char *name, const char *member,
                       const struct blob_id *list, uint64_t count)
{
    uint32_t before = 0;
    if (!c->apps_unknown) {
        capture_note(c, name, list, (uint32_t)count);
        return count;
    }
    json_t *kept = capture_kept(c, name, &before);
    if (kept)
        json_object_set_new(c->root, member, kept);
    return before > count ? before : count;
}

void capture_warn(struct capture *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    strv_push_take(&c->report->warnings, str_vprintf(fmt, ap));
    va_end(ap);
}

void capture_unknown(struct capture *c, const char *fmt, ...)
{
    va_list ap;
    c->e->counts.unknown++;
    va_start(ap, fmt);
    strv_push_take(&c->report->warnings, str_vprintf(fmt, ap));
    va_end(ap);
}

void capture_set(json_t *o, const char *key, const char *value)
{
    json_t *text = str_is_empty(value) ? NULL : json_string(value);
    if (text)
        json_object_set_new(o, key, text);
}

char *capture_app_name(const struct application *a)
{
    char *name = str_dup(a->tracking_name);
    for (char *p = name; *p; p++)
        if (*p == ' ')
            *p = '-'; // of the root's folder; names with blanks are those of other lists
    return name;
}

void capture_report_clear(struct capture_report *r)
{
    strv_clear(&r->warnings);
    strv_clear(&r->secrets);
    json_decref(r->clusters);
    *r = (struct capture_report){0};
}

// ---- the graph: as a bootstrap on an empty cluster would make it ----
void capture_order(struct capture *c)
{
    struct graph_opts opts = {0};
    struct err err = {0};
    if (graph_build(c->d, NULL, &opts, &c->graph, &err))
        return;
    // A cycle of what people declared: restoring is worth more than declared order.
    struct err again = {0};
    opts.break_declared = true;
    bool ok = graph_build(c->d, NULL, &opts, &c->graph, &again);
    capture_warn(c, ok ? "the order: %s; declared edges were dropped" : "there is no order: %s",
                 err.msg);
    if (!ok)
        strv_push(&c->e->why, "no-order");
    err_clear(&err);
    err_clear(&again);
}

// ---- versions ----
static void add_program(const struct capture *c, json_t *versions, const char *const *argv)
{
    CLEANUP(str_freep) char *version = program_version(argv, c->o->cache);
    capture_set(versions, argv[0], version);
}

static int by_kind(const void *a, const void *b)
{
    const struct kind_info *x = *(const struct kind_info *const *)a;
    const struct kind_info *y = *(const struct kind_info *const *)b;
    int c = strcmp(x->group, y->group);
    if (!c)
        c = strcmp(x->version, y->version);
    return c ? c : strcmp(x->kind, y->kind);
}

static json_t *served_apis(const struct kinds *kinds)
{
    VEC(const struct kind_info *) v = {0};
    json_t *out = json_array();
    for (size_t i = 0; kinds && i < kinds_count(kinds); i++)
        if (kinds_get(kinds, i)->is_served)
            *vec_push(&v) = kinds_get(kinds, i);
    if (v.len)
        qsort(v.v, v.len, sizeof(*v.v), by_kind);
    for (size_t i = 0; i < v.len; i++) {
        json_t *k = json_object();
        capture_set(k, "group", v.v[i]->group);
        capture_set(k, "version", v.v[i]->version);
        capture_set(k, "kind", v.v[i]->kind);
        capture_set(k, "plural", v.v[i]->plural);
        json_object_set_new(k, "namespaced", json_boolean(v.v[i]->is_namespaced));
        json_array_append_new(out, k);
    }
    vec_clear(&v);
    return out;
}

static bool add_versions(struct capture *c, struct err *err)
{
    static const char *const helm[] = {"helm", "version", "--short", NULL};
    static const char *const kustomize[] = {"kustomize", "version", NULL};
    struct blob_id id;
    CLEANUP(json_freep)
    json_t *v =
        json_pack("{s:s, s:s}", "type", "regrow versions v1", "tool", "regrow " REGROW_VERSION);
    add_program(c, v, helm);
    add_program(c, v, kustomize);
    if (c->o->kube) {
        json_t *cluster = json_object();
        capture_set(v, "kubernetes", kube_version(c->o->kube));
        capture_set(cluster, "uid", kube_cluster_uid(c->o->kube));
        capture_set(cluster, "server", c->o->server);
        json_object_set_new(v, "cluster", cluster);
        json_object_set_new(v, "apis", served_apis(c->o->kinds));
    }
    if (!capture_add(c, 'l', v, &id, err))
        return false;
    json_object_set_new(c->root, "versions", capture_ref(&id));
    return true;
}

// ---- the whole ----
// Of what nobody could find: as much as there was when all was known.
static void at_least_known(struct capture *c)
{
    const struct entry *known = c->apps_unknown ? writer_last_known(c->w) : NULL;
    if (known && known->snapshot.counts.objects > c->e->counts.objects)
        c->e->counts.objects = known->snapshot.counts.objects;
}

static bool capture_all(struct capture *c, struct err *err)
{
    capture_order(c);
    json_object_set_new(c->root, "type", json_string("regrow root v1"));
    capture_set(c->root, "name", c->d->root_name);
    if (!capture_apps(c, err) || !capture_clusters(c, err))
        return false;
    at_least_known(c);
    return capture_sources(c, err) && capture_git(c, err) && capture_live(c, err) &&
           capture_pool(c, err) && add_versions(c, err) && capture_healthy(c, err) &&
           capture_add(c, 'r', c->root, &c->e->root, err);
}

// An application that was emptied stays a question until somebody has answered it: the next
// snapshot sees it empty as it was, and must not be good for that.
static void carry_emptied(struct capture *c)
{
    const struct entry *before = writer_previous(c->w);
    const struct entry *good = writer_yardstick(c->w);
    if (before && good && before != good &&
        strv_has(&before->snapshot.why, "emptied-application") &&
        c->e->counts.objects < good->snapshot.counts.objects)
        strv_push(&c->emptied, "(as in the snapshot before)");
}

// Whoever read the sources may know why there is nothing.
static void tell_empty(struct capture *c)
{
    const struct strv *said = &c->d->warnings;
    if (!strv_has(&c->e->why, "empty"))
        return;
    if (!said->len)
        capture_warn(c, "there is no object in ROOT");
    for (size_t i = 0; i < said->len; i++)
        strv_push(&c->report->warnings, said->v[i]);
}

void capture_clear(struct capture *c)
{
    graph_free(c->graph);
    free(c->edges);
    free(c->first_edge);
    free(c->position);
    for (size_t i = 0; i < c->sources.len; i++) {
        free(c->sources.v[i].key);
        source_item_clear(&c->sources.v[i].item);
    }
    vec_clear(&c->sources);
    for (size_t i = 0; i < c->secrets.len; i++) {
        crypto_wipe(c->secrets.v[i].text, c->secrets.v[i].len);
        free(c->secrets.v[i].text);
    }
    vec_clear(&c->secrets);
    json_decref(c->source_of);
    json_decref(c->secret_ids);
    json_decref(c->root);
    strv_clear(&c->emptied);
}

bool capture_run(struct writer *w, const struct capture_opts *o, struct snapshot_entry *out,
                 struct capture_report *report, struct err *err)
{
    int64_t began = clock_mono_ms();
    struct capture c = {.w = w,
                        .o = o,
                        .d = o->desired,
                        .e = out,
                        .report = report,
                        .source_of = json_object(),
                        .secret_ids = json_object(),
                        .root = json_object()};
    const char *uid = o->kube ? kube_cluster_uid(o->kube) : NULL;
    out->cluster = str_dup_or_null(uid);
    bool ok = capture_all(&c, err);
    if (ok) {
        carry_emptied(&c);
        const struct entry *good = writer_yardstick(w);
        capture_judge(out, good ? &good->snapshot : NULL, &o->bounds, &c.emptied);
        tell_empty(&c);
    }
    capture_clear(&c);
    report->ms = clock_mono_ms() - began;
    if (ok)
        event_emit(o->events, "snapshot.captured", "{s:I, s:I, s:I, s:I, s:I}", "apps",
                   (json_int_t)out->counts.apps, "objects", (json_int_t)out->counts.objects, "refs",
                   (json_int_t)out->counts.refs, "unknown", (json_int_t)out->counts.unknown, "ms",
                   (json_int_t)report->ms);
    return ok;
}
