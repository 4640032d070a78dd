// SPDX-License-Identifier: Apache-2.0
//
// What only the cluster has: the secret-zero set, cluster registrations, credentials of
// repositories, and the images in use. Lists only, nothing is written. A list that cannot be had
// makes the snapshot suspect and keeps what the newest one had.
#include <stdlib.h>
#include <string.h>

#include "snapshot/capture_int.h"

// ---- who names Secrets ----
static void keep_all(struct listing *l, json_t *doc)
{
    capture_strip(doc);
    json_array_append(l->kept, doc);
}

static const struct {
    const char *group, *kind;
} namers[] = {
    {"cert-manager.io", "Issuer"},
    {"cert-manager.io", "ClusterIssuer"},
    {"external-secrets.io", "SecretStore"},
    {"external-secrets.io", "ClusterSecretStore"},
    {"external-secrets.io", "ExternalSecret"},
    {"source.toolkit.fluxcd.io", "GitRepository"},
    {"source.toolkit.fluxcd.io", "HelmRepository"},
    {"source.toolkit.fluxcd.io", "OCIRepository"},
    {"source.toolkit.fluxcd.io", "Bucket"},
    {"image.toolkit.fluxcd.io", "ImageRepository"},
    {"kustomize.toolkit.fluxcd.io", "Kustomization"},
    {"helm.toolkit.fluxcd.io", "HelmRelease"},
};

static bool find_roots(struct capture *c, struct secret_roots *roots, struct err *err)
{
    struct listings all = {0};
    size_t k;
    json_t *doc;
    for (size_t i = 0; i < c->d->objects.len; i++) {
        const struct object *o = &c->d->objects.v[i];
        if (!secret_roots_are_named_by(o->id.group, o->id.kind))
            continue;
        CLEANUP(json_freep) json_t *desired = object_doc(o);
        secret_roots_add(roots, desired);
    }
    for (size_t i = 0; i < ARRAY_LEN(namers); i++)
        listing_start(&all, c, namers[i].group, namers[i].kind, NULL, keep_all);
    bool ok = listings_finish(&all, c, err);
    for (size_t i = 0; ok && i < all.v.len; i++) {
        struct listing *l = all.v.v[i];
        if (err_is_set(&l->err)) {
            capture_unknown(c, "%s: what it needs is unknown", l->err.msg);
            c->secrets_unknown = true;
        }
        json_array_foreach(l->kept, k, doc)
        {
            secret_roots_add(roots, doc);
        }
    }
    listings_clear(&all);
    return ok;
}

// ---- the set itself ----
// Keeps {"rule", "object"}.
static void take_by_rule(struct listing *l, json_t *doc)
{
    const struct capture_opts *o = l->c->o;
    const struct secret_rule *r = secret_rule_for(o->rules, o->n_rules, doc);
    const char *name = json_dot_str(doc, "metadata.name");
    const char *rule = r && r->take ? r->name : NULL;
    if (!r && name && str_eq(json_dot_str(doc, "kind"), "Secret"))
        rule = secret_roots_find(l->roots, json_dot_str(doc, "metadata.namespace"), name);
    if (!rule)
        return;
    capture_strip(doc);
    json_array_append_new(l->kept, json_pack("{s:s, s:O}", "rule", rule, "object", doc));
}

// A live object that no application owns has a row; one that is owned lies in the pool only.
static bool add_taken(struct capture *c, const json_t *taken, json_t *rows, struct err *err)
{
    const char *rule = json_dot_str(taken, "rule");
    const json_t *doc = json_object_get(taken, "object");
    struct object_id id = {0};
    char *version = NULL;
    struct blob_id blob;
    if (!object_id_of(doc, &id, &version, err))
        return false;
    bool is_secret = !strcmp(id.kind, "Secret");
    bool is_owned = desired_find(c->d, &id) != NULL;
    bool ok = true;
    CLEANUP(str_freep) char *name = object_name(&id);
    if (is_secret)
        capture_secret(c, "live", doc);
    strv_push_take(&c->report->secrets, str_printf("%s (%s)", name, rule));
    if (!is_owned) {
        json_t *row = json_object();
        json_array_append_new(rows, row);
        capture_set(row, "group", id.group);
        capture_set(row, "version", version);
        capture_set(row, "kind", id.kind);
        capture_set(row, "namespace", id.namespace);
        capture_set(row, "name", id.name);
        capture_set(row, "rule", rule);
        ok = is_secret || capture_add(c, 'o', doc, &blob, err);
        if (is_secret) {
            json_object_set_new(row, "secret", json_true());
        } else if (ok) {
            CLEANUP(json_freep) json_t *ref = capture_ref(&blob);
            json_object_update(row, ref);
        }
    }
    object_id_clear(&id);
    free(version);
    return ok;
}

static int by_object(const void *a, const void *b)
{
    static const char *const paths[] = {"object.kind", "object.metadata.namespace",
                                        "object.metadata.name"};
    int c = 0;
    for (size_t i = 0; !c && i < ARRAY_LEN(paths); i++)
        c = str_cmp(json_dot_str(*(json_t *const *)a, paths[i]),
                    json_dot_str(*(json_t *const *)b, paths[i]));
    return c;
}

// The list noted, or the one of the newest snapshot.
static bool add_live_list(struct capture *c, const json_t *rows, bool is_unknown, struct err *err)
{
    struct blob_id id;
    json_t *ref = is_unknown ? capture_kept(c, "live objects", NULL) : NULL;
    CLEANUP(json_freep)
    json_t *v = json_pack("{s:s, s:O}", "type", "regrow live v1", "objects", (json_t *)rows);
    if (!ref) {
        if (!capture_add(c, 'l', v, &id, err))
            return false;
        ref = capture_ref(&id);
        if (!is_unknown)
            writer_note_list(c->w, "live objects", &id, (uint32_t)json_array_size(rows));
    }
    json_object_set_new(c->root, "live", ref);
    return true;
}

static bool capture_set_zero(struct capture *c, const struct secret_roots *roots, struct err *err)
{
    struct listings all = {0};
    VEC(json_t *) taken = {0};
    CLEANUP(json_freep) json_t *rows = json_array();
    bool is_unknown = false;
    size_t k;
    json_t *x;
    if (!c->o->without_secrets)
        listing_start(&all, c, "", "Secret", NULL, take_by_rule);
    listing_start(&all, c, "", "ConfigMap", ARGOCD_NAMESPACE, take_by_rule);
    for (size_t i = 0; i < all.v.len; i++)
        all.v.v[i]->roots = roots;
    bool ok = listings_finish(&all, c, err);
    for (size_t i = 0; ok && i < all.v.len; i++) {
        struct listing *l = all.v.v[i];
        if (err_is_set(&l->err)) {
            capture_unknown(c, "%s", l->err.msg);
            is_unknown = c->secrets_unknown = true;
        }
        json_array_foreach(l->kept, k, x)
        {
            *vec_push(&taken) = x;
        }
    }
    if (taken.len)
        qsort(taken.v, taken.len, sizeof(*taken.v), by_object);
    for (size_t i = 0; ok && i < taken.len; i++)
        ok = add_taken(c, taken.v[i], rows, err);
    vec_clear(&taken);
    listings_clear(&all);
    return ok && add_live_list(c, rows, is_unknown, err);
}

// ---- images ----
static void note_image(json_t *images, const char *image, const char *image_id)
{
    const char *at = image_id ? strstr(image_id, "sha256:") : NULL;
    if (str_is_empty(image) || (json_object_get(images, image) && !at))
        return;
    json_t *v = at ? json_string(at) : json_null();
    if (v)
        json_object_set_new(images, image, v);
}

static void note_containers(json_t *images, const json_t *pod_spec)
{
    static const char *const lists[] = {"containers", "initContainers", "ephemeralContainers"};
    size_t k;
    json_t *x;
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        json_array_foreach(json_object_get(pod_spec, lists[i]), k, x)
        {
            note_image(images, json_dot_str(x, "image"), NULL);
        }
    }
}

// Keeps one object a list: image -> digest, or null.
static void keep_images(struct listing *l, json_t *doc)
{
    static const char *const specs[] = {"spec", "spec.template.spec",
                                        "spec.jobTemplate.spec.template.spec"};
    static const char *const statuses[] = {"containerStatuses", "initContainerStatuses",
                                           "ephemeralContainerStatuses"};
    const json_t *status = json_object_get(doc, "status");
    size_t k;
    json_t *x;
    if (!json_array_size(l->kept))
        json_array_append_new(l->kept, json_object());
    json_t *images = json_array_get(l->kept, 0);
    for (size_t i = 0; i < ARRAY_LEN(specs); i++)
        note_containers(images, json_dot(doc, specs[i]));
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
        json_array_foreach(json_object_get(status, statuses[i]), k, x)
        {
            note_image(images, json_dot_str(x, "image"), json_dot_str(x, "imageID"));
        }
    }
}

static bool add_images(struct capture *c, const json_t *all, struct err *err)
{
    struct strv names = {0};
    struct blob_id id;
    json_t *list = json_array();
    CLEANUP(json_freep)
    json_t *v = json_pack("{s:s, s:o}", "type", "regrow images v1", "images", list);
    const char *name;
    json_t *digest;
    json_object_foreach((json_t *)all, name, digest)
    {
        strv_push(&names, name);
    }
    strv_sort(&names);
    for (size_t i = 0; i < names.len; i++) {
        json_t *x = json_object();
        capture_set(x, "image", names.v[i]);
        capture_set(x, "digest", json_string_value(json_object_get(all, names.v[i])));
        json_array_append_new(list, x);
    }
    strv_clear(&names);
    if (!capture_add(c, 'l', v, &id, err))
        return false;
    json_object_set_new(c->root, "images", capture_ref(&id));
    return true;
}

// They do not depend on what the others find, and run beside them.
static void start_images(struct capture *c, struct listings *all)
{
    static const struct {
        const char *group, *kind;
    } kinds[] = {{"", "Pod"},
                 {"apps", "Deployment"},
                 {"apps", "StatefulSet"},
                 {"apps", "DaemonSet"},
                 {"batch", "CronJob"}};
    for (size_t i = 0; c->o->kube && i < ARRAY_LEN(kinds); i++)
        listing_start(all, c, kinds[i].group, kinds[i].kind, NULL, keep_images);
}

static bool capture_images(struct capture *c, struct listings *all, struct err *err)
{
    CLEANUP(json_freep) json_t *images = json_object();
    const char *name;
    json_t *digest;
    if (c->o->kube && !listings_finish(all, c, err))
        return false;
    for (size_t i = 0; i < all->v.len; i++) {
        struct listing *l = all->v.v[i];
        if (err_is_set(&l->err)) {
            capture_warn(c, "%s: the images in use are not all known", l->err.msg);
            if (!strv_has(&c->e->why, "unknown-images"))
                strv_push(&c->e->why, "unknown-images");
        }
        json_object_foreach(json_array_get(l->kept, 0), name, digest)
        {
            note_image(images, name, json_string_value(digest));
        }
    }
    return add_images(c, images, err);
}

bool capture_live(struct capture *c, struct err *err)
{
    struct secret_roots roots = {0};
    struct listings images = {0};
    start_images(c, &images);
    bool ok = (!c->o->kube || (find_roots(c, &roots, err) && capture_set_zero(c, &roots, err))) &&
              capture_images(c, &images, err);
    secret_roots_clear(&roots);
    listings_clear(&images);
    return ok;
}
