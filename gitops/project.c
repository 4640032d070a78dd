// SPDX-License-Identifier: Apache-2.0
#include "gitops/project.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "gitops/glob.h"
#include "gitops/json.h"
#include "gitops/regex.h"
#include "gitops/yaml.h"

#define CONTROL_PLANE_NAMESPACE "argocd"

char *repo_url_normal(const char *url)
{
    CLEANUP(str_freep) char *s = str_dup(url + strspn(url, " \t\r\n"));
    for (char *p = s; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    size_t n = strlen(s);
    while (n && (s[n - 1] == '/' || isspace((unsigned char)s[n - 1])))
        s[--n] = 0;
    if (n > 4 && !strcmp(s + n - 4, ".git"))
        s[n - 4] = 0;
    // git@host:path is ssh://git@host/path
    const char *at = strchr(s, '@');
    const char *colon = at ? strchr(at, ':') : NULL;
    if (!strstr(s, "://") && colon && colon[1] != '/')
        return str_printf("ssh://%.*s/%s", (int)(colon - s), s, colon + 1);
    return TAKE(s);
}

char *repo_url_shown(const char *url)
{
    const char *sep = strstr(url, "://");
    const char *host = sep ? sep + 3 : url;
    size_t n = strcspn(host, "/?#");
    const char *at = memrchr(host, '@', n);
    // A user alone may be a token; that of ssh is none.
    bool is_secret = at && (memchr(host, ':', (size_t)(at - host)) || !str_starts(url, "ssh:"));
    if (!sep || !is_secret)
        return str_dup(url);
    return str_printf("%.*s%s", (int)(host - url), url, at + 1);
}

// Walks a list with negations: a matching "!x" rejects at once; one that does not match allows.
static bool list_permits(const json_t *list, const char *text,
                         bool (*matches)(const char *pattern, const char *text))
{
    bool allowed = false;
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
    {
        const char *p = json_string_value(item);
        if (!p)
            continue;
        if (*p == '!') {
            if (matches(p + 1, text))
                return false;
            allowed = true;
        } else if (matches(p, text)) {
            allowed = true;
        }
    }
    return allowed;
}

// A pattern passes through URL parsing, which escapes braces: no alternation here.
static bool repo_matches(const char *pattern, const char *url)
{
    if (!strcmp(pattern, "*"))
        return true;
    CLEANUP(str_freep) char *p = repo_url_normal(pattern);
    CLEANUP(str_freep) char *u = repo_url_normal(url);
    return glob_match(GLOB_URL, p, u);
}

static bool plain_matches(const char *pattern, const char *text)
{
    return glob_match(GLOB_GOBWAS, pattern, text);
}

// ---- destinations ----
static bool is_deny(const char *pattern)
{
    return *pattern == '!';
}

static bool field_matches(const char *pattern, const char *text)
{
    return is_deny(pattern) ? !plain_matches(pattern + 1, text) : plain_matches(pattern, text);
}

static const char *field_of(const json_t *entry, const char *key)
{
    const char *s = json_dot_str(entry, key);
    return s ? s : "";
}

// Argo CD's very order of tests: an entry that matches allows; one that does not may still deny,
// "!name" whatever the namespace, also when the cluster has no name.
static bool destination_permitted(const json_t *project, const struct cluster_ref *c,
                                  const char *ns)
{
    bool allowed = false;
    size_t i;
    json_t *d;
    json_array_foreach(json_dot(project, "spec.destinations"), i, d)
    {
        const char *name = field_of(d, "name");
        const char *server = field_of(d, "server");
        const char *space = field_of(d, "namespace");
        bool n = !str_is_empty(c->name) && field_matches(name, c->name);
        bool s = !str_is_empty(c->server) && field_matches(server, c->server);
        bool in = field_matches(space, ns);
        if ((s || n) && in)
            allowed = true;
        else if ((!n && is_deny(name)) || (!s && is_deny(server) && in))
            return false;
        else if (!in && is_deny(space) && s)
            return false;
    }
    if (allowed && json_dot_bool(project, "spec.permitOnlyProjectScopedClusters", false))
        return c->project && str_eq(c->project, json_dot_str(project, "metadata.name"));
    return allowed;
}

// ---- the application ----
static bool is_open_default(const json_t *project, const struct application *a)
{
    return !project && !strcmp(a->project, "default");
}

static bool source_namespace_ok(const json_t *project, const struct application *a)
{
    if (!strcmp(a->namespace, CONTROL_PLANE_NAMESPACE))
        return true;
    size_t i;
    json_t *p;
    json_array_foreach(json_dot(project, "spec.sourceNamespaces"), i, p)
    {
        const char *s = json_string_value(p);
        size_t n = s ? strlen(s) : 0;
        CLEANUP(str_freep)
        char *regex = n > 1 && *s == '/' && s[n - 1] == '/' ? str_ndup(s + 1, n - 2) : NULL;
        if (s && ((regex && regex_match(regex, a->namespace)) || plain_matches(s, a->namespace)))
            return true;
    }
    return false;
}

static bool is_only_star(const char *s)
{
    return s && !strcmp(s, "!*");
}

// A list of another type would be taken for none, and an entry for one that matches nothing: some
// of these permit more the less they say.
static bool check_types(const json_t *project, const struct application *a, struct err *err)
{
    static const struct {
        const char *field;
        json_type entries;
    } lists[] = {{"sourceRepos", JSON_STRING},
                 {"sourceNamespaces", JSON_STRING},
                 {"destinations", JSON_OBJECT},
                 {"clusterResourceWhitelist", JSON_OBJECT},
                 {"clusterResourceBlacklist", JSON_OBJECT},
                 {"namespaceResourceWhitelist", JSON_OBJECT},
                 {"namespaceResourceBlacklist", JSON_OBJECT},
                 {"signatureKeys", JSON_OBJECT}};
    const json_t *spec = json_object_get(project, "spec");
    const json_t *scoped = json_object_get(spec, "permitOnlyProjectScopedClusters");
    if (scoped && !json_is_null(scoped) && !json_is_boolean(scoped))
        return err_set(err, ERR_INVALID,
                       "project '%s': permitOnlyProjectScopedClusters is not true or false",
                       a->project);
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        const json_t *list = json_object_get(spec, lists[i].field);
        bool ok = !list || json_is_null(list) || json_is_array(list);
        for (size_t k = 0; ok && k < json_array_size(list); k++)
            ok = json_typeof(json_array_get(list, k)) == lists[i].entries;
        if (!ok)
            return err_set(err, ERR_INVALID, "project '%s': %s is not a list of %s", a->project,
                           lists[i].field, lists[i].entries == JSON_STRING ? "texts" : "maps");
    }
    return true;
}

// What the server refuses in a project, and what this program cannot grant.
static bool check_project(const json_t *project, const struct application *a, struct err *err)
{
    size_t i;
    json_t *x;
    bool bad = false;
    if (!check_types(project, a, err))
        return false;
    json_array_foreach(json_dot(project, "spec.sourceRepos"), i, x)
    {
        bad |= is_only_star(json_string_value(x));
    }
    json_array_foreach(json_dot(project, "spec.destinations"), i, x)
    {
        bad |= is_only_star(field_of(x, "server")) || is_only_star(field_of(x, "name")) ||
               is_only_star(field_of(x, "namespace"));
    }
    if (bad)
        return err_set(err, ERR_INVALID, "project '%s': \"!*\" permits nothing at all", a->project);
    bool is_signed = json_array_size(json_dot(project, "spec.signatureKeys")) ||
                     json_object_size(json_dot(project, "spec.sourceIntegrity"));
    for (i = 0; is_signed && i < a->sources.len; i++)
        if (a->sources.v[i].kind == APP_SOURCE_GIT)
            return err_set(err, ERR_INVALID,
                           "project '%s' wants signed commits; verifying them is not supported by "
                           "regrow",
                           a->project);
    return true;
}

bool project_permits_app(const json_t *project, const struct application *a,
                         const struct cluster_ref *cluster, struct err *err)
{
    if (is_open_default(project, a))
        return true;
    if (!project)
        return err_set(err, ERR_DENIED, "Application referencing project %s which does not exist",
                       a->project);
    if (!check_project(project, a, err))
        return false;
    if (!source_namespace_ok(project, a))
        return err_set(err, ERR_DENIED,
                       "application '%s' in namespace '%s' is not permitted to use project '%s'",
                       a->name, a->namespace, a->project);
    for (size_t i = 0; i < a->sources.len; i++) {
        const struct app_source *s = &a->sources.v[i];
        if (list_permits(json_dot(project, "spec.sourceRepos"), s->repo_url, repo_matches))
            continue;
        CLEANUP(str_freep) char *shown = repo_url_shown(s->repo_url);
        return err_set(err, ERR_DENIED, "application repo %s is not permitted in project '%s'",
                       shown, a->project);
    }
    const char *ns = a->dest_namespace ? a->dest_namespace : "";
    if (!destination_permitted(project, cluster, ns))
        return err_set(err, ERR_DENIED,
                       "application destination server '%s' and namespace '%s' do not match any "
                       "of the allowed destinations in project '%s'",
                       cluster->server ? cluster->server
                       : cluster->name ? cluster->name
                                       : "",
                       ns, a->project);
    return true;
}

// ---- its objects ----
static bool kind_in(const json_t *list, const struct object_id *id, bool with_name)
{
    size_t i;
    json_t *x;
    json_array_foreach(list, i, x)
    {
        const char *name = with_name ? field_of(x, "name") : "";
        if (glob_match(GLOB_PATH, field_of(x, "group"), id->group) &&
            glob_match(GLOB_PATH, field_of(x, "kind"), id->kind) &&
            (!*name || glob_match(GLOB_PATH, name, id->name)))
            return true;
    }
    return false;
}

// No list for namespaces: all kinds are fine; no list for the cluster: none is.
static bool kind_permitted(const json_t *project, const struct object *o)
{
    const json_t *spec = json_object_get(project, "spec");
    if (o->is_namespaced) {
        const json_t *white = json_object_get(spec, "namespaceResourceWhitelist");
        bool listed = !json_is_array(white) || kind_in(white, &o->id, false);
        return listed &&
               !kind_in(json_object_get(spec, "namespaceResourceBlacklist"), &o->id, false);
    }
    return kind_in(json_object_get(spec, "clusterResourceWhitelist"), &o->id, true) &&
           !kind_in(json_object_get(spec, "clusterResourceBlacklist"), &o->id, true);
}

bool project_permits_object(const json_t *project, const struct application *a,
                            const struct cluster_ref *cluster, const struct object *o,
                            struct err *err)
{
    if (is_open_default(project, a))
        return true;
    bool is_kind = kind_permitted(project, o);
    if (is_kind && (!o->is_namespaced || !o->id.namespace ||
                    destination_permitted(project, cluster, o->id.namespace)))
        return true;
    CLEANUP(str_freep) char *name = object_name(&o->id);
    if (!is_kind)
        return err_set(err, ERR_DENIED, "%s: resource %s:%s is not permitted in project %s", name,
                       o->id.group, o->id.kind, a->project);
    return err_set(err, ERR_DENIED, "%s: namespace %s is not permitted in project '%s'", name,
                   o->id.namespace, a->project);
}

// ---- global projects ----
static void add_lists(json_t *spec, const json_t *global)
{
    static const char *const lists[] = {"clusterResourceWhitelist",
                                        "clusterResourceBlacklist",
                                        "namespaceResourceWhitelist",
                                        "namespaceResourceBlacklist",
                                        "syncWindows",
                                        "sourceRepos",
                                        "destinations",
                                        "destinationServiceAccounts"};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        json_t *more = json_object_get(global, lists[i]);
        if (!json_array_size(more))
            continue;
        json_t *have = json_object_get(spec, lists[i]);
        if (!json_is_array(have)) {
            have = json_array();
            json_object_set_new(spec, lists[i], have);
        }
        json_array_extend(have, more);
    }
}

static const json_t *find_named(const json_t *all, const char *name)
{
    size_t i;
    json_t *p;
    json_array_foreach(all, i, p)
    {
        if (name && str_eq(json_dot_str(p, "metadata.name"), name))
            return p;
    }
    return NULL;
}

static void merge_globals(json_t **project, const json_t *settings, const json_t *all)
{
    size_t i;
    json_t *s;
    json_array_foreach(settings, i, s)
    {
        const json_t *selector = json_object_get(s, "labelSelector");
        const char *name = json_dot_str(s, "projectName");
        const json_t *global = find_named(all, name);
        if (str_eq(name, json_dot_str(*project, "metadata.name")))
            continue; // it is not its own global project
        if (!json_selector_is_valid(selector))
            return;
        if (!global || !json_selector_matches(selector, json_dot(*project, "metadata.labels")))
            continue;
        json_t *merged = json_deep_copy(*project);
        if (!json_is_object(json_object_get(merged, "spec")))
            json_object_set_new(merged, "spec", json_object());
        add_lists(json_object_get(merged, "spec"), json_object_get(global, "spec"));
        json_decref(*project);
        *project = merged;
    }
}

bool project_with_globals(json_t *project, const char *settings, const json_t *all, json_t **out,
                          struct err *err)
{
    struct yaml_docs docs = {0};
    struct yaml_opts o = {.name = "globalProjects of argocd-cm", .warn_only = true};
    *out = json_incref(project);
    if (!project || str_is_empty(settings))
        return true;
    if (!yaml_read(settings, strlen(settings), &o, &docs, err)) {
        json_decref(*out);
        *out = NULL;
        return false;
    }
    if (docs.docs.len)
        merge_globals(out, docs.docs.v[0].value, all);
    yaml_docs_clear(&docs);
    return true;
}
