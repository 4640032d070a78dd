// SPDX-License-Identifier: Apache-2.0
//
// Which revision of each application was last healthy: what regrow's note in the cluster says
// (gitops/healthy.h), or the status of Application objects, where Argo CD reconciles. Where nobody
// could be asked, or nobody knows, there is no list: unknown is not empty. Older snapshots know.
#include <stdlib.h>
#include <string.h>

#include "snapshot/capture_int.h"

#define OURS "regrow-system" // the controllerNamespace that regrow writes into a status

struct finding {
    struct capture *c;
    json_t *note;      // of the ConfigMap, by keys; NULL: there is none
    json_t *statuses;  // "namespace/name" -> {"revision", "foreign"}
    bool is_elsewhere; // somebody else reconciles
    json_t *rows;      // what is known
};

// What may be in the list, at most: of one blob, with room to spare.
#define MAX_LIST_BYTES (BLOB_MAX_BYTES / 2)

static bool read_note(struct finding *f, struct err *err)
{
    CLEANUP(json_freep) json_t *doc = NULL;
    struct strv odd = {0};
    const struct desired *d = f->c->d;
    CLEANUP(str_freep) char *root = healthy_key(d->apps.v[0]->tracking_name);
    if (!kube_read(f->c->o->kube, HEALTHY_PATH, KUBE_PATIENCE_MS,
                   "read which revisions are healthy", &doc, NULL, err))
        return false;
    if (doc)
        f->note = healthy_read(doc, root, &odd);
    for (size_t i = 0; i < odd.len; i++)
        capture_warn(f->c, "%s", odd.v[i]);
    strv_clear(&odd);
    return true;
}

static const char *noted(const struct finding *f, const struct application *a)
{
    CLEANUP(str_freep) char *key = healthy_key(a->tracking_name);
    return json_string_value(json_object_get(f->note, key));
}

static bool is_current(const struct finding *f, unsigned app, const char *revision)
{
    const struct desired *d = f->c->d;
    if (!revision)
        return false;
    return app ? healthy_is_current(d->apps.v[app], revision) : str_eq(revision, d->root_commit);
}

// Then nobody can know of a newer one.
static bool note_says_all(const struct finding *f)
{
    for (unsigned i = 0; i < f->c->d->apps.len; i++)
        if (!is_current(f, i, noted(f, f->c->d->apps.v[i])))
            return false;
    return true;
}

// ---- Application objects ----

// Keeps one object: "namespace/name" -> what its status says.
static void keep_status(struct listing *l, json_t *doc)
{
    const char *ns = json_dot_str(doc, "metadata.namespace");
    const char *name = json_dot_str(doc, "metadata.name");
    bool is_ours = str_eq(json_dot_str(doc, "status.controllerNamespace"), OURS);
    bool is_told = json_dot(doc, "status.sync") != NULL;
    if (!ns || !name || !is_told)
        return;
    if (!json_array_size(l->kept))
        json_array_append_new(l->kept, json_object());
    CLEANUP(str_freep) char *key = str_printf("%s/%s", ns, name);
    CLEANUP(str_freep) char *revision = healthy_of_status(doc);
    json_object_set_new(json_array_get(l->kept, 0), key,
                        json_pack("{s:s*, s:b}", "revision", revision, "foreign", !is_ours));
}

static const json_t *status_of(const struct finding *f, const struct application *a)
{
    CLEANUP(str_freep)
    char *key = str_printf("%s/%s", a->namespace ? a->namespace : ARGOCD_NAMESPACE, a->name);
    return a->doc ? json_object_get(f->statuses, key) : NULL;
}

static bool read_statuses(struct finding *f, struct err *err)
{
    struct listings all = {0};
    struct capture *c = f->c;
    listing_start(&all, c, "argoproj.io", "Application", NULL, keep_status);
    bool ok = listings_finish(&all, c, err);
    for (size_t i = 0; ok && i < all.v.len; i++) {
        struct listing *l = all.v.v[i];
        if (err_is_set(&l->err))
            capture_warn(c, "%s: which revisions are healthy is not all known", l->err.msg);
        f->statuses = json_incref(json_array_get(l->kept, 0));
    }
    listings_clear(&all);
    for (size_t i = 1; i < c->d->apps.len; i++)
        f->is_elsewhere |= json_is_true(json_object_get(status_of(f, c->d->apps.v[i]), "foreign"));
    return ok;
}

// ---- together ----

// All of what Git says now is in sync and healthy: so is the commit.
static const char *settled_commit(const struct finding *f)
{
    const struct desired *d = f->c->d;
    size_t n = 0;
    for (unsigned i = 1; i < d->apps.len; i++) {
        const json_t *status = status_of(f, d->apps.v[i]);
        if (!json_is_true(json_object_get(status, "foreign")) ||
            !is_current(f, i, json_dot_str(status, "revision")))
            return NULL;
        n++;
    }
    return n && d->root_commit && healthy_is_commit(d->root_commit) ? d->root_commit : NULL;
}

static const char *revision_of(const struct finding *f, unsigned app)
{
    const struct application *a = f->c->d->apps.v[app];
    const char *said = json_dot_str(status_of(f, a), "revision");
    const char *note = f->is_elsewhere ? NULL : noted(f, a); // of before the other one took over
    if (!app && f->is_elsewhere)
        return settled_commit(f);
    return note ? note : said;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(json_dot_text(*(json_t *const *)a, "name"),
                  json_dot_text(*(json_t *const *)b, "name"));
}

static void collect(struct finding *f)
{
    const struct desired *d = f->c->d;
    VEC(json_t *) v = {0};
    size_t bytes = 0;
    for (unsigned i = 0; i < d->apps.len; i++) {
        const char *revision = revision_of(f, i);
        CLEANUP(str_freep) char *name = capture_app_name(d->apps.v[i]);
        bytes += revision ? strlen(name) + strlen(revision) + 32 : 0;
        json_t *row = revision && bytes <= MAX_LIST_BYTES
                          ? json_pack("{s:s, s:s}", "name", name, "revision", revision)
                          : NULL;
        if (row)
            *vec_push(&v) = row;
    }
    if (v.len)
        qsort(v.v, v.len, sizeof(*v.v), by_name);
    for (size_t i = 0; i < v.len; i++)
        json_array_append_new(f->rows, v.v[i]);
    vec_clear(&v);
}

static bool add_list(struct finding *f, struct err *err)
{
    struct blob_id id;
    CLEANUP(json_freep)
    json_t *v = json_pack("{s:s, s:O}", "type", "regrow healthy v1", "applications", f->rows);
    if (!capture_add(f->c, 'l', v, &id, err))
        return false;
    json_object_set_new(f->c->root, "healthy", capture_ref(&id));
    return true;
}

static bool find(struct finding *f, struct err *err)
{
    struct err why = {0};
    if (!read_note(f, &why)) {
        if (loop_stopping(f->c->o->loop)) {
            err_move(err, &why);
            return false;
        }
        capture_warn(f->c, "%s: it is unknown", why.msg);
        err_clear(&why);
        return true;
    }
    if (!note_says_all(f) && !read_statuses(f, err))
        return false;
    collect(f);
    return !json_array_size(f->rows) || add_list(f, err);
}

bool capture_healthy(struct capture *c, struct err *err)
{
    if (!c->o->kube || !c->d->apps.len)
        return true; // nobody to ask
    struct finding f = {.c = c, .rows = json_array()};
    bool ok = find(&f, err);
    json_decref(f.note);
    json_decref(f.statuses);
    json_decref(f.rows);
    return ok;
}
