// SPDX-License-Identifier: Apache-2.0
//
// ignoreDifferences of argocd-cm (spec argo-cd sections 4.4, 5): a key for each kind, or a map of
// all of them; they count like rules of every application.
#include <string.h>

#include "gitops/ignored.h"
#include "gitops/json.h"
#include "gitops/yaml.h"

#define KEY "resource.customizations"
#define SPLIT KEY ".ignoreDifferences."
#define MAX_RULES 2000

static void fault(struct strv *faults, const char *key, const char *what)
{
    if (faults)
        strv_push_take(faults, str_printf("argocd-cm, %.120s: %s; it was passed over", key, what));
}

// The first document of a text; NULL: none that can be read. Owned.
static json_t *read_text(const char *key, const char *text, struct strv *faults)
{
    struct yaml_docs docs = {0};
    struct yaml_opts o = {.name = key, .warn_only = true};
    struct err err = {0};
    json_t *v = NULL;
    if (!yaml_read(text, strlen(text), &o, &docs, &err))
        fault(faults, key, err.msg);
    else if (docs.docs.len)
        v = json_incref(docs.docs.v[0].value);
    err_clear(&err);
    yaml_docs_clear(&docs);
    return v;
}

// `separator` stands between group and kind; without it the kind is one of the core group.
static void add_rule(json_t *rules, const char *key, const char *of, char separator,
                     const json_t *what, struct strv *faults)
{
    static const char *const lists[] = {"jsonPointers", "jqPathExpressions",
                                        "managedFieldsManagers"};
    const char *at = strchr(of, separator);
    CLEANUP(str_freep) char *group = at ? str_ndup(of, (size_t)(at - of)) : str_dup("");
    const char *kind = at ? at + 1 : of;
    bool is_all = separator == '_' && !strcmp(of, "all");
    CLEANUP(json_freep)
    json_t *rule =
        json_pack("{s:s, s:s}", "group", is_all ? "*" : group, "kind", is_all ? "*" : kind);
    if (!json_is_object(what)) {
        fault(faults, key, "it is not a map");
        return;
    }
    if (!*kind || strchr(kind, separator)) {
        fault(faults, key, "it names no kind");
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        json_t *list = json_object_get(what, lists[i]);
        if (json_is_array(list))
            json_object_set(rule, lists[i], list);
        else if (list && !json_is_null(list))
            fault(faults, key, "it holds something else than lists");
    }
    if (json_object_size(rule) > 2 && json_array_size(rules) < MAX_RULES)
        json_array_append(rules, rule);
}

static void read_map(json_t *rules, const char *text, struct strv *faults)
{
    CLEANUP(json_freep) json_t *map = str_is_empty(text) ? NULL : read_text(KEY, text, faults);
    const char *of;
    json_t *entry;
    json_object_foreach(map, of, entry)
    {
        const char *inner = json_string_value(json_object_get(entry, "ignoreDifferences"));
        CLEANUP(json_freep) json_t *what = inner ? read_text(of, inner, faults) : NULL;
        if (what)
            add_rule(rules, of, of, '/', what, faults);
    }
}

json_t *ignored_system(const json_t *config_map, struct strv *faults)
{
    const json_t *data = json_object_get(config_map, "data");
    CLEANUP(json_freep) json_t *rules = json_array();
    const char *key;
    json_t *v;
    read_map(rules, json_string_value(json_object_get(data, KEY)), faults);
    json_object_foreach((json_t *)data, key, v)
    {
        if (!str_starts(key, SPLIT))
            continue;
        const char *text = json_string_value(v);
        CLEANUP(json_freep) json_t *what = text ? read_text(key, text, faults) : NULL;
        if (what)
            add_rule(rules, key, key + strlen(SPLIT), '_', what, faults);
    }
    if (faults)
        ignored_faults(rules, faults);
    return json_array_size(rules) ? json_incref(rules) : NULL;
}
