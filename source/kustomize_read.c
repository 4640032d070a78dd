// SPDX-License-Identifier: Apache-2.0
#include "source/kustomize_read.h"

#include <string.h>

#include "base/attr.h"
#include "gitops/gitops.h"

#define MAX_LIST_DEPTH 20 // of lists of generators within lists

// The fields that are looked at; what else there is may have any name.
static const char *const top_fields[] = {"resources",
                                         "bases",
                                         "components",
                                         "crds",
                                         "generators",
                                         "transformers",
                                         "validators",
                                         "configurations",
                                         "helmGlobals",
                                         "helmCharts",
                                         "helmChartInflationGenerator",
                                         NULL};
static const char *const chart_fields[] = {"chartHome", "name", "repo", "version", NULL};
static const char *const old_chart_fields[] = {"chartHome", "chartName", "chartRepoUrl",
                                               "chartVersion", NULL};

// One character of a name as Go folds it; moves on.
static char folded(const char **s)
{
    static const char kelvin[] = "\xe2\x84\xaa";
    static const char long_s[] = "\xc5\xbf";
    if (str_starts(*s, kelvin)) {
        *s += strlen(kelvin);
        return 'k';
    }
    if (str_starts(*s, long_s)) {
        *s += strlen(long_s);
        return 's';
    }
    char c = *(*s)++;
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool folds_to(const char *key, const char *field)
{
    while (*key && *field)
        if (folded(&key) != folded(&field))
            return false;
    return !*key && !*field;
}

static bool check_field(const char *key, const json_t *v, const char *field, const char *name,
                        struct err *err)
{
    if (strcmp(key, field) != 0)
        return err_set(err, ERR_INVALID, "%s: the field \"%.100s\" is written \"%s\"", name, key,
                       field);
    return !json_is_string(v) || strlen(json_string_value(v)) == json_string_length(v) ||
           err_set(err, ERR_INVALID, "%s: %s holds a zero byte", name, field);
}

static bool check_fields(const json_t *o, const char *const *fields, const char *name,
                         struct err *err)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)o, key, v)
    {
        for (const char *const *f = fields; *f; f++)
            if (folds_to(key, *f) && !check_field(key, v, *f, name, err))
                return false;
    }
    return true;
}

static bool check_each(const json_t *list, const char *const *fields, const char *name,
                       struct err *err)
{
    size_t i;
    json_t *x;
    json_array_foreach(list, i, x)
    {
        if (!check_fields(x, fields, name, err))
            return false;
    }
    return true;
}

bool kustomization_read(const char *text, size_t len, const char *name, json_t **out,
                        struct err *err)
{
    struct yaml_docs docs = {0};
    struct yaml_opts o = {.name = name, .warn_only = true};
    if (!yaml_read(text, len, &o, &docs, err))
        return false;
    json_t *k = docs.docs.len ? json_incref(docs.docs.v[0].value) : NULL;
    yaml_docs_clear(&docs);
    *out = k;
    if (check_fields(k, top_fields, name, err) &&
        check_fields(json_object_get(k, "helmGlobals"), chart_fields, name, err) &&
        check_each(json_object_get(k, "helmCharts"), chart_fields, name, err) &&
        check_each(json_object_get(k, "helmChartInflationGenerator"), old_chart_fields, name, err))
        return true;
    *out = NULL;
    json_decref(k);
    return false;
}

const char *kustomization_chart_home(const json_t *k)
{
    const json_t *globals = json_object_get(k, "helmGlobals");
    const char *home = NULL;
    size_t i;
    json_t *c;
    if (json_is_object(globals))
        return json_dot_str(globals, "chartHome");
    json_array_foreach(json_object_get(k, "helmChartInflationGenerator"), i, c)
    {
        const char *own = json_dot_str(c, "chartHome");
        if (!str_is_empty(own)) // the last one is that of all
            home = own;
    }
    return home;
}

// Kustomize takes a list apart by the name of its kind, as it stands in the text; here all that has
// items is one.
static bool take_generators(const json_t *g, const char *name, unsigned depth, json_t *out,
                            struct err *err)
{
    size_t i;
    json_t *x;
    if (depth > MAX_LIST_DEPTH)
        return err_set(err, ERR_INVALID, "%s: lists within lists, more than %d deep", name,
                       MAX_LIST_DEPTH);
    json_array_foreach(json_object_get(g, "items"), i, x)
    {
        if (!take_generators(x, name, depth + 1, out, err))
            return false;
    }
    if (!str_eq(json_dot_str(g, "kind"), "HelmChartInflationGenerator"))
        return true;
    json_array_append(out, (json_t *)g);
    return check_fields(g, chart_fields, name, err);
}

bool generators_read(const char *text, size_t len, const char *name, json_t **out, struct err *err)
{
    struct yaml_docs docs = {0};
    // Kustomize merges otherwise than we do, and refuses a field that is there twice as well.
    struct yaml_opts o = {.name = name, .no_merge = true};
    if (!yaml_read(text, len, &o, &docs, err))
        return false;
    *out = json_array();
    bool ok = true;
    for (size_t i = 0; ok && i < docs.docs.len; i++)
        ok = take_generators(docs.docs.v[i].value, name, 0, *out, err);
    yaml_docs_clear(&docs);
    if (!ok) {
        json_decref(*out);
        *out = NULL;
    }
    return ok;
}
