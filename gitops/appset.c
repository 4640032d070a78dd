// SPDX-License-Identifier: Apache-2.0
//
// Generators to parameter sets (spec argo-cd section 6.2).
#include "gitops/appset.h"

#include <stdlib.h>
#include <string.h>

#include "gitops/appset_int.h"
#include "gitops/json.h"
#include "gitops/yaml.h"

#define MAX_SETS 10000
#define MAX_NESTING 2 // a matrix or merge within a matrix or merge
#define IN_CLUSTER_NAME "in-cluster"
#define IN_CLUSTER_SERVER "https://kubernetes.default.svc"

bool appset_refuse(const struct set_reader *r, const char *what, struct err *err)
{
    return err_set(err, ERR_INVALID, "ApplicationSet %s: %s", r->name, what);
}

bool set_goes_on(const struct set_reader *r, bool *all, struct err *err)
{
    if (!r->io->is_waiting || !r->io->is_waiting(r->io->ctx))
        return false;
    err_clear(err);
    *all = false;
    return true;
}

bool set_waits(struct err *err)
{
    return err_set(err, ERR_UNAVAILABLE, "something that it asks for has not come yet");
}

bool sets_push(const struct set_reader *r, json_t *sets, json_t *set, struct err *err)
{
    if (json_array_size(sets) >= MAX_SETS) {
        json_decref(set);
        return appset_refuse(r, "more than 10000 parameter sets", err);
    }
    json_array_append_new(sets, set);
    return true;
}

// ---- list ----
static bool not_text(const struct set_reader *r, const char *key, struct err *err)
{
    CLEANUP(str_freep) char *what = str_printf("list element: %.80s is not text", key);
    return appset_refuse(r, what, err);
}

// "values" of an element are taken as they are; only those of a generator are templates.
static bool add_element_values(const struct set_reader *r, const json_t *values, json_t *set,
                               struct err *err)
{
    const char *key;
    json_t *v;
    if (!json_is_object(values))
        return not_text(r, "values", err);
    json_object_foreach((json_t *)values, key, v)
    {
        CLEANUP(str_freep) char *name = str_printf("values.%s", key);
        if (!json_is_string(v))
            return not_text(r, name, err);
        json_object_set(set, name, v);
    }
    return true;
}

static bool add_element(const struct set_reader *r, const json_t *e, json_t *set, struct err *err)
{
    const char *key;
    json_t *v;
    if (!json_is_object(e))
        return appset_refuse(r, "list element: not a map", err);
    json_object_foreach((json_t *)e, key, v)
    {
        if (!strcmp(key, "values")) {
            if (!add_element_values(r, v, set, err))
                return false;
        } else if (json_is_string(v)) {
            json_object_set(set, key, v);
        } else {
            return not_text(r, key, err);
        }
    }
    return true;
}

// elementsYaml: a list in a text, which a matrix may have filled in. Its elements are taken as
// they are; values that are no text can be selected by, but stand in no template.
static bool gen_list_yaml(struct set_reader *r, const char *text, json_t *sets, struct err *err)
{
    struct yaml_docs docs = {0};
    struct yaml_opts o = {.name = "elementsYaml"};
    if (!yaml_read(text, strlen(text), &o, &docs, err))
        return err_wrap(err, "ApplicationSet %s", r->name);
    const json_t *list = docs.docs.len ? docs.docs.v[0].value : NULL;
    bool ok = !list || json_is_array(list) || appset_refuse(r, "elementsYaml: not a list", err);
    for (size_t i = 0; ok && i < json_array_size(list); i++) {
        const json_t *e = json_array_get(list, i);
        ok = json_is_object(e) ? sets_push(r, sets, json_deep_copy(e), err)
                               : appset_refuse(r, "elementsYaml: an element is not a map", err);
    }
    yaml_docs_clear(&docs);
    return ok;
}

static bool gen_list(struct set_reader *r, const json_t *g, json_t *sets, struct err *err)
{
    size_t i;
    json_t *e;
    json_array_foreach(json_object_get(g, "elements"), i, e)
    {
        json_t *set = r->is_go && json_is_object(e) ? json_deep_copy(e) : json_object();
        if ((!r->is_go || !json_is_object(e)) && !add_element(r, e, set, err)) {
            json_decref(set);
            return false;
        }
        if (!sets_push(r, sets, set, err))
            return false;
    }
    const char *text = json_dot_str(g, "elementsYaml");
    return str_is_empty(text) || gen_list_yaml(r, text, sets, err);
}

// ---- clusters ----
static void add_prefixed(json_t *set, const char *prefix, const json_t *map)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)map, key, v)
    {
        CLEANUP(str_freep) char *name = str_printf("%s%s", prefix, key);
        json_object_set(set, name, v);
    }
}

// With Go templates: maps under metadata, as far as there is anything.
static void add_metadata(json_t *set, const json_t *cluster)
{
    static const char *const names[] = {"annotations", "labels"};
    json_t *meta = json_object();
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        json_t *map = json_object_get(cluster, names[i]);
        if (json_object_size(map))
            json_object_set(meta, names[i], map);
    }
    json_object_set_new(set, "metadata", meta);
}

static json_t *cluster_set(const struct set_reader *r, const json_t *g, const char *name,
                           const char *server, const json_t *cluster)
{
    const char *project = json_dot_str(cluster, "project");
    CLEANUP(str_freep) char *normal = name_normalize(name);
    json_t *set = json_pack("{s:s, s:s, s:s, s:s}", "name", name, "nameNormalized", normal,
                            "server", server, "project", project ? project : "");
    if (r->is_go) {
        if (cluster)
            add_metadata(set, cluster);
        return set; // values are filled for all at once
    }
    add_prefixed(set, "metadata.labels.", json_object_get(cluster, "labels"));
    add_prefixed(set, "metadata.annotations.", json_object_get(cluster, "annotations"));
    add_values(set, json_object_get(g, "values"));
    return set;
}

// The cluster Argo CD runs in is added when nothing registers it and no selector is given: it has
// no labels to select it by.
static bool add_clusters(struct set_reader *r, const json_t *g, json_t *sets, struct err *err)
{
    const json_t *selector = json_object_get(g, "selector");
    bool selects = json_object_size(json_object_get(selector, "matchLabels")) > 0 ||
                   json_array_size(json_object_get(selector, "matchExpressions")) > 0;
    if (!json_selector_is_valid(selector))
        return appset_refuse(r, "clusters: malformed selector", err);
    CLEANUP(json_freep) json_t *all = r->io->clusters ? r->io->clusters(r->io->ctx) : NULL;
    bool is_registered = false;
    size_t i;
    json_t *c;
    json_array_foreach(all, i, c)
    {
        const char *name = json_dot_str(c, "name");
        const char *server = json_dot_str(c, "server");
        is_registered |= str_eq(server, IN_CLUSTER_SERVER);
        if (selects && !json_selector_matches(selector, json_object_get(c, "labels")))
            continue;
        if (!sets_push(r, sets, cluster_set(r, g, name ? name : "", server ? server : "", c), err))
            return false;
    }
    return selects || is_registered ||
           sets_push(r, sets, cluster_set(r, g, IN_CLUSTER_NAME, IN_CLUSTER_SERVER, NULL), err);
}

static bool gen_clusters(struct set_reader *r, const json_t *g, json_t *sets, struct err *err)
{
    bool flat = json_dot_bool(g, "flatList", false);
    if (flat && !r->is_go)
        return appset_refuse(r, "clusters: flatList needs goTemplate", err);
    if (!r->is_go)
        return add_clusters(r, g, sets, err);
    json_t *own = flat ? json_array() : json_incref(sets);
    size_t first = json_array_size(own);
    bool ok = add_clusters(r, g, own, err) &&
              go_values(r, "clusters", json_object_get(g, "values"), own, first, err) &&
              (!flat || sets_push(r, sets, json_pack("{s:O}", "clusters", own), err));
    json_decref(own);
    return ok;
}

// ---- matrix ----
static bool generate_nested(struct set_reader *r, const json_t *g, json_t *sets, unsigned depth,
                            struct err *err);

// Both sets as one, all values as text; a key that both have must have one value. Of trees the
// first one's counts.
static bool combine(struct set_reader *r, const json_t *a, const json_t *b, json_t *sets,
                    struct err *err)
{
    json_t *set = r->is_go ? json_deep_copy((json_t *)b) : json_object();
    if (r->is_go) {
        json_merge(set, a);
        return sets_push(r, sets, set, err);
    }
    const json_t *const both[] = {a, b};
    for (size_t i = 0; i < ARRAY_LEN(both); i++) {
        const char *key;
        json_t *v;
        json_object_foreach((json_t *)both[i], key, v)
        {
            CLEANUP(str_freep) char *text = value_text(v);
            const char *have = json_string_value(json_object_get(set, key));
            if (have && strcmp(have, text) != 0) {
                CLEANUP(str_freep)
                char *what = str_printf("matrix: found duplicate key %.80s with different value, "
                                        "a: %.80s, b: %.80s",
                                        key, have, text);
                json_decref(set);
                return appset_refuse(r, what, err);
            }
            json_object_set_new(set, key, json_string(text));
        }
    }
    return sets_push(r, sets, set, err);
}

// The second generator, which may use the parameters of the first: one for each set of these.
static bool fill_second(struct set_reader *r, const json_t *g, const json_t *first, json_t *out,
                        struct err *err)
{
    size_t i;
    json_t *a;
    if (r->is_go)
        return go_second(r, g, first, out, err);
    json_array_foreach(first, i, a)
    {
        json_array_append_new(out, template_fill(g, a));
    }
    return true;
}

static bool multiply(struct set_reader *r, const json_t *a, const json_t *g, json_t *sets,
                     unsigned depth, struct err *err)
{
    CLEANUP(json_freep) json_t *second = json_array();
    size_t i;
    json_t *b;
    if (!generate_nested(r, g, second, depth, err))
        return false;
    json_array_foreach(second, i, b)
    {
        if (!combine(r, a, b, sets, err))
            return false;
    }
    return true;
}

static bool gen_matrix(struct set_reader *r, const json_t *g, json_t *sets, unsigned depth,
                       struct err *err)
{
    const json_t *kids = json_object_get(g, "generators");
    if (json_array_size(kids) != 2)
        return appset_refuse(r, "matrix needs exactly two generators", err);
    CLEANUP(json_freep) json_t *first = json_array();
    CLEANUP(json_freep) json_t *filled = json_array();
    if (!generate_nested(r, json_array_get(kids, 0), first, depth, err) ||
        !fill_second(r, json_array_get(kids, 1), first, filled, err))
        return false;
    size_t i;
    json_t *a;
    bool all = true;
    json_array_foreach(first, i, a)
    {
        if (!multiply(r, a, json_array_get(filled, i), sets, depth, err) &&
            !set_goes_on(r, &all, err))
            return false;
    }
    return all || set_waits(err);
}

// ---- merge ----
static char *merge_key(const json_t *keys, const json_t *set)
{
    struct buf b = {0};
    size_t i;
    json_t *k;
    json_array_foreach(keys, i, k)
    {
        const json_t *v = json_object_get(set, json_string_value(k));
        char *text = v ? json_dumps(v, JSON_ENCODE_ANY | JSON_SORT_KEYS) : NULL;
        buf_printf(&b, "%s;", text ? text : "");
        free(text);
    }
    return buf_take(&b);
}

// A set that lacks a key of mergeKeys has "nothing" there, which equals only another's nothing.
static bool merge_one(struct set_reader *r, const json_t *keys, const json_t *kid, json_t *base,
                      bool is_base, unsigned depth, struct err *err)
{
    CLEANUP(json_freep) json_t *sets = json_array();
    CLEANUP(json_freep) json_t *seen = json_object();
    if (!generate_nested(r, kid, sets, depth, err))
        return false;
    size_t i;
    json_t *set;
    json_array_foreach(sets, i, set)
    {
        CLEANUP(str_freep) char *key = merge_key(keys, set);
        if (json_object_get(seen, key))
            return appset_refuse(
                r, "merge: two parameter sets of one generator have equal mergeKeys", err);
        json_object_set_new(seen, key, json_true());
        json_t *known = json_object_get(base, key);
        if (is_base)
            json_object_set(base, key, set);
        else if (known && r->is_go)
            json_merge(known, set);
        else if (known)
            json_object_update(known, set);
    }
    return true;
}

static bool gen_merge(struct set_reader *r, const json_t *g, json_t *sets, unsigned depth,
                      struct err *err)
{
    const json_t *kids = json_object_get(g, "generators");
    const json_t *keys = json_object_get(g, "mergeKeys");
    if (json_array_size(kids) < 2)
        return appset_refuse(r, "merge needs at least two generators", err);
    if (!json_array_size(keys))
        return appset_refuse(r, "merge needs mergeKeys", err);
    CLEANUP(json_freep) json_t *base = json_object();
    size_t i;
    json_t *kid;
    json_array_foreach(kids, i, kid)
    {
        if (!merge_one(r, keys, kid, base, i == 0, depth, err))
            return false;
    }
    const char *key;
    json_t *set;
    json_object_foreach(base, key, set)
    {
        if (!sets_push(r, sets, json_incref(set), err))
            return false;
    }
    return true;
}

// ---- any ----
enum kind { GEN_LIST, GEN_CLUSTERS, GEN_GIT, GEN_MATRIX, GEN_MERGE, N_KINDS };
static const char *const kind_names[] = {"list", "clusters", "git", "matrix", "merge"};

static bool refuse_unknown(struct set_reader *r, const json_t *g, struct err *err)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)g, key, v)
    {
        bool known = !strcmp(key, "selector");
        for (size_t i = 0; i < N_KINDS; i++)
            known |= !strcmp(key, kind_names[i]);
        if (!known) {
            CLEANUP(str_freep)
            char *what = str_printf("the %.60s generator is not supported by regrow", key);
            return appset_refuse(r, what, err) ||
                   err_hint(err, "Write its Applications out, or leave this set to Argo CD.");
        }
    }
    return true;
}

// The post-filter every generator may carry: a label selector over the flattened parameters.
static void filter(json_t *sets, const json_t *selector)
{
    for (size_t i = json_array_size(sets); i > 0; i--) {
        CLEANUP(json_freep) json_t *flat = json_object();
        flatten_into(flat, "", json_array_get(sets, i - 1));
        if (!json_selector_matches(selector, flat))
            json_array_remove(sets, i - 1);
    }
}

// How many kinds one entry of a list of generators names.
static unsigned count_kinds(const json_t *g)
{
    unsigned n = 0;
    for (size_t i = 0; i < N_KINDS; i++)
        n += json_is_object(json_object_get(g, kind_names[i]));
    return n;
}

static bool check_generator(struct set_reader *r, const json_t *g, struct err *err)
{
    if (!json_is_object(g))
        return appset_refuse(r, "a generator is not a map", err);
    if (!refuse_unknown(r, g, err))
        return false;
    if (!count_kinds(g))
        return appset_refuse(r, "a generator is empty", err);
    return json_selector_is_valid(json_object_get(g, "selector")) ||
           appset_refuse(r, "malformed selector of a generator", err);
}

static bool gen_kind(struct set_reader *r, enum kind kind, const json_t *x, json_t *sets,
                     unsigned depth, struct err *err)
{
    switch (kind) {
    case GEN_LIST:
        return gen_list(r, x, sets, err);
    case GEN_CLUSTERS:
        return gen_clusters(r, x, sets, err);
    case GEN_GIT:
        return gen_git(r, x, sets, err);
    case GEN_MATRIX:
        return gen_matrix(r, x, sets, depth, err);
    case GEN_MERGE:
        return gen_merge(r, x, sets, depth, err);
    case N_KINDS:
        break;
    }
    return true;
}

// A generator inside another: exactly one kind; its own template does not count.
static bool generate_nested(struct set_reader *r, const json_t *g, json_t *sets, unsigned depth,
                            struct err *err)
{
    if (!check_generator(r, g, err))
        return false;
    if (count_kinds(g) > 1)
        return appset_refuse(r, "a generator inside another names more than one kind", err);
    for (size_t i = 0; i < N_KINDS; i++) {
        const json_t *x = json_object_get(g, kind_names[i]);
        if (!json_is_object(x))
            continue;
        if (i >= GEN_MATRIX && depth + 1 >= MAX_NESTING)
            return appset_refuse(r, "matrix and merge can be nested once", err);
        if (!gen_kind(r, (enum kind)i, x, sets, depth + 1, err))
            return false;
    }
    if (json_is_object(json_object_get(g, "selector")))
        filter(sets, json_object_get(g, "selector"));
    return true;
}

bool generate(struct set_reader *r, const json_t *g, json_t *sets, struct err *err)
{
    if (!check_generator(r, g, err))
        return false;
    for (size_t k = 0; k < N_KINDS; k++) {
        const json_t *x = json_object_get(g, kind_names[k]);
        CLEANUP(json_freep) json_t *own = json_array();
        if (!json_is_object(x))
            continue;
        if (!gen_kind(r, (enum kind)k, x, own, 0, err))
            return false;
        if (json_is_object(json_object_get(g, "selector")))
            filter(own, json_object_get(g, "selector"));
        size_t i;
        json_t *set;
        json_array_foreach(own, i, set)
        {
            if (json_object_size(json_object_get(x, "template")))
                json_object_set(set, TEMPLATE_KEY, json_object_get(x, "template"));
            if (!sets_push(r, sets, json_incref(set), err))
                return false;
        }
    }
    return true;
}
