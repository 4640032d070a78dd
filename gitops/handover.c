// SPDX-License-Identifier: Apache-2.0
#include "gitops/handover.h"

#include <stdlib.h>
#include <string.h>

#include "gitops/canon.h"
#include "gitops/json.h"

#define INSTALLATION_ANNOTATION "argocd.argoproj.io/installation-id"
#define INSTANCE_LABEL "app.kubernetes.io/instance"
#define LABEL_MAX 63
#define ANNOTATIONS_MAX 262144 // bytes of all keys and values of one object
#define FLUX_GROUP "kustomize.toolkit.fluxcd.io"
#define FLUX_NAMESPACE "flux-system"
#define FLUX_ROOT "flux-system" // as `flux bootstrap` calls it

static const struct {
    const char *name, *title, *manager;
} successors[] = {
    [THEN_REGROW] = {"regrow", "regrow", "regrow"},
    [THEN_ARGOCD] = {"argocd", "Argo CD", "argocd-controller"},
    [THEN_FLUX] = {"flux", "Flux", "kustomize-controller"},
    [THEN_NONE] = {"none", "nobody", "regrow"},
};

bool hand_over_parse(const char *name, enum hand_over *out)
{
    for (size_t i = 0; name && i < ARRAY_LEN(successors); i++) {
        if (strcmp(name, successors[i].name) != 0)
            continue;
        *out = (enum hand_over)i;
        return true;
    }
    return false;
}

const char *hand_over_name(enum hand_over then)
{
    return successors[then].name;
}

const char *hand_over_title(enum hand_over then)
{
    return successors[then].title;
}

const char *hand_over_manager(enum hand_over then)
{
    return successors[then].manager;
}

bool hand_over_is_away(enum hand_over then)
{
    return then == THEN_ARGOCD || then == THEN_FLUX;
}

bool hand_over_was(const char *manager, const char *now)
{
    for (size_t i = 0; i < ARRAY_LEN(successors); i++)
        if (str_eq(manager, successors[i].manager))
            return !str_eq(manager, now);
    return false;
}

// ---- marks ----
static json_t *map_at(json_t *doc, const char *map)
{
    json_t *meta = json_object_get(doc, "metadata");
    json_t *m = json_object_get(meta, map);
    if (!json_is_object(m)) {
        m = json_object();
        json_object_set_new(meta, map, m);
    }
    return m;
}

static void set_label(json_t *doc, const char *key, const char *value)
{
    json_object_set_new(map_at(doc, "labels"), key, json_string(value));
}

static void drop_if_empty(json_t *doc, const char *map)
{
    json_t *meta = json_object_get(doc, "metadata");
    json_t *m = json_object_get(meta, map);
    if (m && !json_object_size(m))
        json_object_del(meta, map);
}

static bool is_definition(const struct object *o)
{
    return !strcmp(o->id.kind, "CustomResourceDefinition");
}

static void mark_argocd(const struct hand_over_opts *o, const struct application *a,
                        const struct object *x, json_t *doc)
{
    const char *how =
        json_string_value(json_object_get(o->settings, "application.resourceTrackingMethod"));
    const char *key =
        json_string_value(json_object_get(o->settings, "application.instanceLabelKey"));
    const char *installed = json_string_value(json_object_get(o->settings, "installationID"));
    json_t *annotations = map_at(doc, "annotations");
    json_object_del(annotations, OWNER_ANNOTATION);
    if (is_definition(x) || x->is_made) // Argo CD marks neither
        return;
    bool both = str_eq(how, "annotation+label");
    if (str_eq(how, "label") || both) {
        CLEANUP(str_freep)
        char *value = both ? str_ndup(a->tracking_name, LABEL_MAX) : str_dup(a->tracking_name);
        set_label(doc, str_is_empty(key) ? INSTANCE_LABEL : key, value);
    }
    if (str_eq(how, "label"))
        json_object_del(annotations, TRACKING_ANNOTATION);
    else if (!str_is_empty(installed))
        json_object_set_new(annotations, INSTALLATION_ANNOTATION, json_string(installed));
}

// ---- which Kustomization ----
// "./clusters/prod/" -> "clusters/prod"; owned.
static char *plain_path(const char *path)
{
    while (*path == '/' || (*path == '.' && (path[1] == '/' || !path[1])))
        path++;
    size_t n = strlen(path);
    while (n && path[n - 1] == '/')
        n--;
    return str_ndup(path, n);
}

// The path inside the repository; of a folder all of it.
static char *root_path(const char *root)
{
    const char *scheme = root ? strstr(root, "://") : NULL;
    const char *inside = scheme ? strstr(scheme + 3, "//") : root;
    CLEANUP(str_freep) char *path = inside ? str_ndup(inside, strcspn(inside, "?")) : str_dup("");
    return plain_path(path);
}

static bool is_path(const char *is, const char *want, bool is_folder)
{
    size_t n = strlen(is);
    size_t m = strlen(want);
    if (!is_folder || n <= m)
        return !strcmp(is, want);
    return m && is[n - m - 1] == '/' && !strcmp(is + n - m, want);
}

struct flux_owner {
    char *name, *namespace;
};

static void owner_clear(struct flux_owner *o)
{
    free(o->name);
    free(o->namespace);
}

// What reads the same path is the owner: a Kustomization that is desired itself. Else it is called
// as the application is.
static struct flux_owner owner_of(const struct desired *d, unsigned app, const char *root)
{
    const struct application *a = d->apps.v[app];
    const char *own = a->sources.len ? a->sources.v[0].path : "";
    CLEANUP(str_freep) char *path = app ? plain_path(own) : root_path(root);
    bool is_folder = !app && root && !strstr(root, "://");
    struct flux_owner found = {NULL, NULL};
    size_t n = 0;
    for (size_t i = 0; i < d->objects.len && *path; i++) {
        const struct object *o = &d->objects.v[i];
        if (strcmp(o->id.group, FLUX_GROUP) != 0 || strcmp(o->id.kind, "Kustomization") != 0)
            continue;
        CLEANUP(json_freep) json_t *doc = object_doc(o);
        CLEANUP(str_freep) char *want = plain_path(json_dot_text(doc, "spec.path"));
        if (!is_path(path, want, is_folder) || n++)
            continue;
        found.name = str_dup(o->id.name);
        found.namespace = str_dup(o->id.namespace ? o->id.namespace : FLUX_NAMESPACE);
    }
    if (n == 1)
        return found;
    owner_clear(&found);
    return (struct flux_owner){str_dup(app ? a->name : FLUX_ROOT), str_dup(FLUX_NAMESPACE)};
}

static void mark_flux(const struct flux_owner *owner, const struct object *x, json_t *doc)
{
    json_t *annotations = map_at(doc, "annotations");
    json_object_del(annotations, OWNER_ANNOTATION);
    json_object_del(annotations, TRACKING_ANNOTATION);
    if (x->is_made || x->is_hook) // nothing of Flux's would make it, nor is it to delete it
        return;
    set_label(doc, FLUX_GROUP "/name", owner->name);
    set_label(doc, FLUX_GROUP "/namespace", owner->namespace);
}

// ---- what was applied last ----
static bool is_server_side(const struct application *a, const json_t *doc)
{
    CLEANUP(str_freep) char *store = NULL;
    const char *own = object_sync_option(doc, "ServerSideApply", &store);
    const json_t *list = json_dot(a->doc, "spec.syncPolicy.syncOptions");
    return str_eq(own ? own : sync_option(list, "ServerSideApply"), "true");
}

// As Go's encoder writes text: kubectl compares it byte for byte.
static char *go_json(const json_t *doc)
{
    struct buf plain CLEANUP(buf_clear) = {0};
    struct buf out = {0};
    canon_write(doc, &plain);
    for (size_t i = 0; i < plain.len; i++) {
        unsigned char c = (unsigned char)plain.p[i];
        if (c == '<' || c == '>' || c == '&')
            buf_printf(&out, "\\u%04x", c);
        else if (c == 0xe2 && i + 2 < plain.len && (unsigned char)plain.p[i + 1] == 0x80 &&
                 ((unsigned char)plain.p[i + 2] & 0xfe) == 0xa8)
            buf_printf(&out, "\\u20%02x", (unsigned char)plain.p[i += 2] - 0x80);
        else
            buf_char(&out, (char)c);
    }
    buf_char(&out, '\n');
    return buf_take(&out);
}

static size_t annotations_size(const json_t *doc)
{
    const char *key;
    json_t *v;
    size_t n = 0;
    json_object_foreach(json_dot(doc, "metadata.annotations"), key, v)
    {
        n += strlen(key) + json_string_length(v);
    }
    return n;
}

// False: it is too large to be remembered, which is so for kubectl as well.
static bool remember_applied(json_t *doc)
{
    json_t *annotations = map_at(doc, "annotations");
    json_object_del(annotations, LAST_APPLIED_ANNOTATION);
    CLEANUP(str_freep) char *text = go_json(doc);
    if (annotations_size(doc) + strlen(LAST_APPLIED_ANNOTATION) + strlen(text) > ANNOTATIONS_MAX)
        return false;
    json_object_set_new(annotations, LAST_APPLIED_ANNOTATION, json_string(text));
    return true;
}

// ---- all of them ----
static void hand_over_one(struct desired *d, const struct hand_over_opts *o,
                          const struct flux_owner *owner, struct object *x, size_t *large)
{
    const struct application *a = d->apps.v[x->app];
    CLEANUP(json_freep) json_t *doc = object_doc(x);
    if (o->then == THEN_ARGOCD) {
        mark_argocd(o, a, x, doc);
        if (!x->is_hook && !x->is_made && !is_server_side(a, doc))
            *large += !remember_applied(doc);
    } else {
        mark_flux(owner, x, doc);
    }
    drop_if_empty(doc, "annotations");
    object_set_body(x, doc);
}

void desired_hand_over(struct desired *d, const struct hand_over_opts *o)
{
    if (!hand_over_is_away(o->then))
        return;
    size_t large = 0;
    struct flux_owner *owners = mem_alloc((d->apps.len + 1) * sizeof(*owners));
    for (unsigned i = 0; o->then == THEN_FLUX && i < d->apps.len; i++)
        owners[i] = owner_of(d, i, o->root);
    for (size_t i = 0; i < d->objects.len; i++)
        if (!d->objects.v[i].is_virtual && d->objects.v[i].body)
            hand_over_one(d, o, &owners[d->objects.v[i].app], &d->objects.v[i], &large);
    for (size_t i = 0; i < d->apps.len; i++)
        owner_clear(&owners[i]);
    free(owners);
    if (large)
        strv_push_take(&d->warnings,
                       str_printf("%zu object%s too large for the annotation that Argo CD compares "
                                  "with: a field that leaves Git will stay there, unless the sync "
                                  "option ServerSideApply=true is given",
                                  large, large == 1 ? " is" : "s are"));
}

json_t *hand_over_settings(const struct desired *d)
{
    struct object_id id = {(char *)"", (char *)"ConfigMap", (char *)"argocd", (char *)"argocd-cm"};
    const struct object *o = desired_find(d, &id);
    CLEANUP(json_freep) json_t *doc = o ? object_doc(o) : NULL;
    const json_t *data = json_object_get(doc, "data");
    return data ? json_deep_copy(data) : NULL;
}

char *hand_over_root(const struct desired *d, const struct hand_over_opts *o)
{
    bool any = false;
    for (size_t i = 0; i < d->objects.len && !any; i++)
        any = d->objects.v[i].app == 0 && !d->objects.v[i].is_virtual;
    if (!any || !hand_over_is_away(o->then))
        return NULL;
    struct flux_owner f = {NULL, NULL};
    if (o->then == THEN_FLUX)
        f = owner_of(d, 0, o->root);
    bool flux = o->then == THEN_FLUX;
    const struct application *root = d->apps.v[0];
    struct object_id id = {(char *)(flux ? FLUX_GROUP : "argoproj.io"),
                           (char *)(flux ? "Kustomization" : "Application"),
                           flux ? f.namespace : root->namespace,
                           flux ? f.name : root->tracking_name};
    char *out = desired_find(d, &id) ? NULL : str_printf("%s %s", id.kind, id.name);
    owner_clear(&f);
    return out;
}
