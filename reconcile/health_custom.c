// SPDX-License-Identifier: Apache-2.0
//
// A user's own checks, read from argocd-cm as Argo CD reads them (spec argo-cd 4.4).
#include <stdlib.h>
#include <string.h>

#include "reconcile/health_int.h"

#define KEY "resource.customizations"
#define MAX_SCRIPTS 4096

static struct health_script *script_for(struct health_custom *c, const char *key)
{
    for (size_t i = 0; i < c->scripts.len; i++)
        if (!strcmp(c->scripts.v[i].key, key))
            return &c->scripts.v[i];
    struct health_script *s = vec_push(&c->scripts);
    s->key = str_dup(key);
    return s;
}

static bool read_entry(struct health_custom *c, const char *key, const json_t *entry,
                       struct err *err)
{
    const json_t *lua = json_object_get(entry, "health.lua");
    const json_t *open = json_object_get(entry, "health.lua.useOpenLibs");
    struct health_script *s = script_for(c, key);
    if ((lua && !json_is_string(lua)) || (open && !json_is_boolean(open)))
        return err_set(err, ERR_INVALID, "%s: health.lua of %s is not a text", KEY, key);
    str_set(&s->text, json_string_value(lua));
    s->open_libs = json_is_true(open);
    return true;
}

// The map: "group/Kind", with wildcards, to its entry.
static bool read_map(struct health_custom *c, const char *text, struct err *err)
{
    struct yaml_docs docs = {0};
    struct yaml_opts o = {.name = KEY, .warn_only = true};
    if (str_is_empty(text))
        return true;
    if (!yaml_read(text, strlen(text), &o, &docs, err))
        return false;
    const char *key;
    json_t *entry;
    bool ok = docs.docs.len == 0 || json_is_object(docs.docs.v[0].value) ||
              err_set(err, ERR_INVALID, "%s is not a map", KEY);
    for (size_t i = 0; ok && i < docs.docs.len && i < 1; i++)
        json_object_foreach(docs.docs.v[i].value, key, entry)
        {
            ok = ok && read_entry(c, key, entry, err);
        }
    yaml_docs_clear(&docs);
    return ok;
}

// "group_Kind" and "Kind" to "group/Kind" and "Kind"; "all" means every kind with a group.
static bool script_key(const char *name, char **out, struct err *err)
{
    const char *bar = strchr(name, '_');
    if (!*name || (bar && strchr(bar + 1, '_')))
        return err_set(err, ERR_INVALID, "%s: \"%s\" is not <group>_<Kind>", KEY, name);
    *out = !strcmp(name, "all") ? str_dup("*/*")
           : bar                ? str_printf("%.*s/%s", (int)(bar - name), name, bar + 1)
                                : str_dup(name);
    return true;
}

// The words Go takes for a bool.
static bool read_bool(const char *s, bool *out)
{
    static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True"};
    static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        *out = !strcmp(s, yes[i]);
        if (*out || !strcmp(s, no[i]))
            return true;
    }
    return false;
}

// resource.customizations.<what>.<name>; others than health are other people's.
static bool read_split_key(struct health_custom *c, const char *key, const char *value,
                           struct err *err)
{
    const char *what = key + strlen(KEY ".");
    bool is_libs = str_starts(what, "useOpenLibs.");
    CLEANUP(str_freep) char *name = NULL;
    if (!is_libs && !str_starts(what, "health."))
        return true;
    if (!script_key(strchr(what, '.') + 1, &name, err))
        return false;
    struct health_script *s = script_for(c, name);
    if (!is_libs)
        str_set(&s->text, value);
    else if (!read_bool(value, &s->open_libs))
        return err_set(err, ERR_INVALID, "%s: \"%s\" is neither true nor false", key, value);
    return true;
}

static bool read_config(struct health_custom *c, const json_t *data, struct err *err)
{
    const char *key;
    json_t *v;
    if (!read_map(c, json_string_value(json_object_get(data, KEY)), err))
        return false;
    json_object_foreach((json_t *)data, key, v)
    {
        if (!str_starts(key, KEY "."))
            continue;
        if (!json_is_string(v))
            return err_set(err, ERR_INVALID, "%s is not a text", key);
        if (!read_split_key(c, key, json_string_value(v), err))
            return false;
        if (c->scripts.len > MAX_SCRIPTS)
            return err_set(err, ERR_INVALID, "more than %d health scripts", MAX_SCRIPTS);
    }
    return true;
}

static size_t literals(const char *pattern)
{
    size_t n = 0;
    for (; *pattern; pattern++)
        n += !strchr("*?[]{}", *pattern);
    return n;
}

// Those that say more come first, where Argo CD takes any that fits.
static int by_precision(const void *a, const void *b)
{
    const struct health_script *x = a;
    const struct health_script *y = b;
    size_t n = literals(x->key);
    size_t m = literals(y->key);
    return n != m ? (n < m) - (n > m) : strcmp(x->key, y->key);
}

static void drop_empty(struct health_custom *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->scripts.len; i++) {
        if (!str_is_empty(c->scripts.v[i].text)) {
            c->scripts.v[n++] = c->scripts.v[i];
            continue;
        }
        free(c->scripts.v[i].key);
        free(c->scripts.v[i].text);
    }
    c->scripts.len = n;
}

bool health_custom_new(const json_t *config_map, struct health_custom **out, struct err *err)
{
    CLEANUP(health_custom_freep) struct health_custom *c = mem_alloc(sizeof(*c));
    *out = NULL;
    if (!read_config(c, json_object_get(config_map, "data"), err))
        return false;
    drop_empty(c);
    if (c->scripts.len) {
        qsort(c->scripts.v, c->scripts.len, sizeof(*c->scripts.v), by_precision);
        *out = TAKE(c);
    }
    return true;
}

void health_custom_free(struct health_custom *c)
{
    if (!c)
        return;
    health_worker_stop(c);
    for (size_t i = 0; i < c->scripts.len; i++) {
        free(c->scripts.v[i].key);
        free(c->scripts.v[i].text);
    }
    vec_clear(&c->scripts);
    free(c);
}

bool health_custom_is_config(const json_t *doc)
{
    return !strcmp(health_str(doc, "kind"), "ConfigMap") &&
           !strcmp(health_str(doc, "metadata.name"), "argocd-cm") &&
           !strcmp(health_str(doc, "metadata.namespace"), "argocd") &&
           str_eq(json_label(doc, "app.kubernetes.io/part-of"), "argocd");
}

void health_custom_skip_applications(struct health_custom *c)
{
    if (c)
        c->skips_applications = true;
}

// The script for a kind: named exactly, or by the wildcard that says most. -1: none.
static ssize_t find_script(const struct health_custom *c, const char *group, const char *kind)
{
    CLEANUP(str_freep)
    char *key = *group ? str_printf("%s/%s", group, kind) : str_dup(kind);
    if (!c || (c->skips_applications && !strcmp(key, "argoproj.io/Application")))
        return -1;
    for (size_t i = 0; i < c->scripts.len; i++)
        if (!strcmp(c->scripts.v[i].key, key))
            return (ssize_t)i;
    for (size_t i = 0; i < c->scripts.len; i++)
        if (glob_match(GLOB_GOBWAS, c->scripts.v[i].key, key))
            return (ssize_t)i;
    return -1;
}

bool health_custom_has(const struct health_custom *c, const char *group, const char *kind)
{
    return find_script(c, group, kind) >= 0;
}

bool health_custom_apply(struct health_custom *c, const char *group, const char *kind,
                         const json_t *obj, struct health_result *r)
{
    ssize_t i = find_script(c, group, kind);
    if (i < 0)
        return false;
    health_worker_run(c, (size_t)i, obj, r);
    return true;
}
