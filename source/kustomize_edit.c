// SPDX-License-Identifier: Apache-2.0
#include "source/kustomize_edit.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "gitops/gitops.h"

static json_t *list_of(json_t *k, const char *key)
{
    json_t *l = json_object_get(k, key);
    if (!json_is_array(l)) {
        l = json_array();
        json_object_set_new(k, key, l);
    }
    return l;
}

static json_t *map_of(json_t *k, const char *key)
{
    json_t *m = json_object_get(k, key);
    if (!json_is_object(m)) {
        m = json_object();
        json_object_set_new(k, key, m);
    }
    return m;
}

static json_t *find_named(const json_t *list, const char *name)
{
    size_t i;
    json_t *x;
    json_array_foreach(list, i, x)
    {
        if (str_eq(json_dot_str(x, "name"), name))
            return x;
    }
    return NULL;
}

static int cmp_name(const void *a, const void *b)
{
    return str_cmp(json_dot_str(*(json_t *const *)a, "name"),
                   json_dot_str(*(json_t *const *)b, "name"));
}

// The entries of two lists by name, the new ones over the old.
static void merge_named(json_t *k, const char *key, json_t *fresh)
{
    json_t *old = json_object_get(k, key);
    VEC(json_t *) all = {0};
    size_t i;
    json_t *x;
    json_array_foreach(fresh, i, x)
    {
        *vec_push(&all) = json_incref(x);
    }
    json_array_foreach(old, i, x)
    {
        if (!find_named(fresh, json_dot_str(x, "name")))
            *vec_push(&all) = json_incref(x);
    }
    if (all.len)
        qsort(all.v, all.len, sizeof(*all.v), cmp_name);
    json_t *list = json_array();
    for (i = 0; i < all.len; i++)
        json_array_append_new(list, all.v[i]);
    vec_clear(&all);
    json_object_set_new(k, key, list);
}

// ---- images ----
static bool is_tag(const char *s)
{
    if (!strcmp(s, "*"))
        return true;
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && !strchr("._-", *s))
            return false;
    return true;
}

static void set_if(json_t *image, const char *key, const char *value)
{
    if (!str_is_empty(value))
        json_object_set_new(image, key, json_string(value));
}

// "name=new:tag@digest", the tag or digest or both left out; without "=" the name stays.
static json_t *parse_image(const char *text)
{
    const char *eq = strchr(text, '=');
    CLEANUP(str_freep) char *rest = str_dup(eq ? eq + 1 : text);
    const char *digest = NULL;
    const char *tag = NULL;
    char *at = strchr(rest, '@');
    if (at) {
        *at = 0;
        digest = at + 1;
    }
    char *colon = strrchr(rest, ':');
    if (colon && is_tag(colon + 1)) {
        *colon = 0;
        tag = colon + 1;
    }
    // A name alone says nothing, unless it is a new one.
    if (!digest && !tag && (str_is_empty(rest) || !eq))
        return NULL;
    json_t *image = json_object();
    CLEANUP(str_freep) char *name = eq && eq > text ? str_ndup(text, (size_t)(eq - text)) : NULL;
    json_object_set_new(image, "name", json_string(name ? name : rest));
    if (name)
        set_if(image, "newName", rest);
    set_if(image, "newTag", tag);
    set_if(image, "digest", digest);
    return image;
}

// A star keeps what the kustomization says there.
static void keep_starred(json_t *image, const json_t *old)
{
    static const char *const keys[] = {"newName", "newTag", "digest"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (!str_eq(json_dot_str(image, keys[i]), "*"))
            continue;
        json_object_del(image, keys[i]);
        set_if(image, keys[i], json_dot_str(old, keys[i]));
    }
}

static bool edit_images(json_t *k, const json_t *images, const struct kustomize_edit *e,
                        struct err *err)
{
    CLEANUP(json_freep) json_t *fresh = json_array();
    size_t i;
    json_t *x;
    json_array_foreach(images, i, x)
    {
        CLEANUP(str_freep)
        char *text = e->fill(e->ctx, json_string_value(x) ? json_string_value(x) : "");
        json_t *image = parse_image(text);
        if (!image)
            return err_set(err, ERR_INVALID,
                           "invalid format of image \"%.120s\": neither a new name, a tag nor a "
                           "digest",
                           text);
        const char *name = json_dot_str(image, "name");
        keep_starred(image, find_named(json_object_get(k, "images"), name));
        json_t *twice = find_named(fresh, name);
        if (twice) {
            json_object_clear(twice);
            json_object_update(twice, image);
            json_decref(image);
        } else {
            json_array_append_new(fresh, image);
        }
    }
    if (json_array_size(fresh))
        merge_named(k, "images", fresh);
    return true;
}

static bool edit_replicas(json_t *k, const json_t *replicas, struct err *err)
{
    CLEANUP(json_freep) json_t *fresh = json_array();
    size_t i;
    json_t *x;
    json_array_foreach(replicas, i, x)
    {
        const char *name = json_dot_str(x, "name");
        const json_t *count = json_object_get(x, "count");
        long long n = json_integer_value(count);
        bool ok = json_is_integer(count) ||
                  (json_is_string(count) &&
                   str_to_int(json_string_value(count), INT32_MIN, INT32_MAX, &n));
        if (!name || !ok)
            return err_set(err, ERR_INVALID, "replicas: a name and a number are wanted");
        json_array_append_new(fresh, json_pack("{s:s, s:I}", "name", name, "count", (json_int_t)n));
    }
    if (json_array_size(fresh))
        merge_named(k, "replicas", fresh);
    return true;
}

// ---- labels and annotations ----
static bool add_pairs(json_t *into, const json_t *pairs, const char *what, bool force, bool fill,
                      const struct kustomize_edit *e, struct err *err)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)pairs, key, v)
    {
        const char *s = json_string_value(v) ? json_string_value(v) : "";
        CLEANUP(str_freep) char *text = fill ? e->fill(e->ctx, s) : str_dup(s);
        if (json_object_get(into, key) && !force)
            return err_set(err, ERR_INVALID,
                           "%s %.120s already in kustomization file; forceCommon%c%ss would "
                           "override it",
                           what, key, toupper((unsigned char)*what), what + 1);
        json_object_set_new(into, key, json_string(text));
    }
    return true;
}

static bool flag(const json_t *v, const char *key)
{
    return json_dot_bool(v, key, false);
}

// Labels without selectors go to the first entry of "labels" of the same sort.
static json_t *pairs_of(json_t *k, bool with_templates)
{
    json_t *labels = list_of(k, "labels");
    size_t i;
    json_t *x;
    json_array_foreach(labels, i, x)
    {
        if (json_is_object(x) && !flag(x, "includeSelectors") &&
            flag(x, "includeTemplates") == with_templates)
            return map_of(x, "pairs");
    }
    json_t *entry = json_object();
    if (with_templates)
        json_object_set_new(entry, "includeTemplates", json_true());
    json_array_append_new(labels, entry);
    return map_of(entry, "pairs");
}

static bool edit_labels(json_t *k, const json_t *o, const struct kustomize_edit *e, struct err *err)
{
    const json_t *labels = json_object_get(o, "commonLabels");
    bool without = flag(o, "labelWithoutSelector");
    bool templates = flag(o, "labelIncludeTemplates");
    if (!json_object_size(labels))
        return true;
    if (templates && !without)
        return err_set(err, ERR_INVALID,
                       "labelIncludeTemplates works only with labelWithoutSelector");
    json_t *into = without ? pairs_of(k, templates) : map_of(k, "commonLabels");
    return add_pairs(into, labels, "label", flag(o, "forceCommonLabels"), true, e, err);
}

static bool edit_annotations(json_t *k, const json_t *o, const struct kustomize_edit *e,
                             struct err *err)
{
    const json_t *annotations = json_object_get(o, "commonAnnotations");
    if (!json_object_size(annotations))
        return true;
    return add_pairs(map_of(k, "commonAnnotations"), annotations, "annotation",
                     flag(o, "forceCommonAnnotations"), flag(o, "commonAnnotationsEnvsubst"), e,
                     err);
}

// ---- what is appended ----
static void edit_components(json_t *k, const json_t *o, const struct kustomize_edit *e)
{
    bool may_miss = flag(o, "ignoreMissingComponents");
    size_t i;
    json_t *x;
    json_array_foreach(json_object_get(o, "components"), i, x)
    {
        const char *path = json_string_value(x);
        if (!path || (may_miss && !e->has_component(e->ctx, path)))
            continue;
        json_t *list = list_of(k, "components");
        bool known = false;
        for (size_t n = 0; n < json_array_size(list); n++)
            known |= json_equal(json_array_get(list, n), x);
        if (!known)
            json_array_append(list, x);
    }
}

bool kustomize_edit(json_t *k, const json_t *o, const struct kustomize_edit *e, struct err *err)
{
    static const char *const names[] = {"namePrefix", "nameSuffix"};
    size_t i;
    json_t *x;
    for (i = 0; i < ARRAY_LEN(names); i++)
        if (!str_is_empty(json_dot_str(o, names[i])))
            json_object_set(k, names[i], json_object_get(o, names[i]));
    if (!edit_images(k, json_object_get(o, "images"), e, err) ||
        !edit_replicas(k, json_object_get(o, "replicas"), err) || !edit_labels(k, o, e, err) ||
        !edit_annotations(k, o, e, err))
        return false;
    if (!str_is_empty(json_dot_str(o, "namespace")))
        json_object_set(k, "namespace", json_object_get(o, "namespace"));
    json_array_foreach(json_object_get(o, "patches"), i, x)
    {
        json_array_append_new(list_of(k, "patches"), json_deep_copy(x));
    }
    edit_components(k, o, e);
    return true;
}
