// SPDX-License-Identifier: Apache-2.0
#include "gitops/project.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "gitops/glob.h"
#include "gitops/json.h"

#define IN_CLUSTER_SERVER "https://kubernetes.default.svc"

char *repo_url_normal(const char *url)
{
    CLEANUP(str_freep) char *s = str_dup(url);
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

static bool repo_matches(const char *pattern, const char *url)
{
    if (!strcmp(pattern, "*"))
        return true;
    CLEANUP(str_freep) char *p = repo_url_normal(pattern);
    CLEANUP(str_freep) char *u = repo_url_normal(url);
    return glob_match(GLOB_GOBWAS_SLASH, p, u);
}

static bool plain_matches(const char *pattern, const char *text)
{
    return glob_match(GLOB_GOBWAS, pattern, text);
}

// One field of a destination entry: 1 allowed, 0 no match, -1 denied by a matching negation.
static int field_verdict(const char *pattern, const char *text)
{
    if (!pattern)
        return 0;
    const char *t = text ? text : "";
    if (*pattern == '!')
        return plain_matches(pattern + 1, t) ? -1 : 1;
    return plain_matches(pattern, t) ? 1 : 0;
}

static bool destination_permitted(const json_t *project, const struct application *a,
                                  const char *ns)
{
    const char *server = a->dest_server ? a->dest_server : a->dest_name ? NULL : IN_CLUSTER_SERVER;
    const char *name = a->dest_name                        ? a->dest_name
                       : str_eq(server, IN_CLUSTER_SERVER) ? "in-cluster"
                                                           : NULL;
    bool allowed = false;
    size_t i;
    json_t *d;
    json_array_foreach(json_dot(project, "spec.destinations"), i, d)
    {
        int s = server ? field_verdict(json_dot_str(d, "server"), server) : 0;
        if (!server && str_eq(json_dot_str(d, "server"), "*"))
            s = 1;
        int c = field_verdict(json_dot_str(d, "name"), name);
        int n = field_verdict(json_dot_str(d, "namespace"), ns);
        if ((s > 0 || c > 0) && n > 0)
            allowed = true;
        else if ((s > 0 && n < 0) || c < 0 || (s < 0 && n > 0))
            return false;
    }
    return allowed;
}

static bool is_open_default(const json_t *project, const struct application *a)
{
    return !project && !strcmp(a->project, "default");
}

static bool source_namespace_ok(const json_t *project, const struct application *a)
{
    if (!strcmp(a->namespace, "argocd"))
        return true;
    size_t i;
    json_t *p;
    json_array_foreach(json_dot(project, "spec.sourceNamespaces"), i, p)
    {
        const char *s = json_string_value(p);
        if (s && plain_matches(s, a->namespace))
            return true;
    }
    return false;
}

bool project_permits_app(const json_t *project, const struct application *a, struct err *err)
{
    if (is_open_default(project, a))
        return true;
    if (!project)
        return err_set(err, ERR_DENIED, "Application referencing project %s which does not exist",
                       a->project);
    if (!source_namespace_ok(project, a))
        return err_set(err, ERR_DENIED,
                       "application '%s' in namespace '%s' is not permitted to use project '%s'",
                       a->name, a->namespace, a->project);
    for (size_t i = 0; i < a->sources.len; i++) {
        const struct app_source *s = &a->sources.v[i];
        if (!list_permits(json_dot(project, "spec.sourceRepos"), s->repo_url, repo_matches))
            return err_set(err, ERR_DENIED, "application repo %s is not permitted in project '%s'",
                           s->repo_url, a->project);
    }
    const char *ns = a->dest_namespace ? a->dest_namespace : "";
    if (!destination_permitted(project, a, ns))
        return err_set(err, ERR_DENIED,
                       "application destination server '%s' and namespace '%s' do not match any "
                       "of the allowed destinations in project '%s'",
                       a->dest_server ? a->dest_server
                       : a->dest_name ? a->dest_name
                                      : IN_CLUSTER_SERVER,
                       ns, a->project);
    return true;
}

static bool kind_in(const json_t *list, const struct object_id *id)
{
    size_t i;
    json_t *x;
    json_array_foreach(list, i, x)
    {
        const char *group = json_dot_str(x, "group");
        const char *kind = json_dot_str(x, "kind");
        const char *name = json_dot_str(x, "name");
        if (glob_match(GLOB_PATH, group ? group : "", id->group) && kind &&
            glob_match(GLOB_PATH, kind, id->kind) &&
            (str_is_empty(name) || glob_match(GLOB_PATH, name, id->name)))
            return true;
    }
    return false;
}

static bool kind_permitted(const json_t *project, const struct object *o)
{
    const json_t *spec = json_object_get(project, "spec");
    if (o->is_namespaced) {
        const json_t *white = json_object_get(spec, "namespaceResourceWhitelist");
        bool listed = !json_is_array(white) || kind_in(white, &o->id);
        return listed && !kind_in(json_object_get(spec, "namespaceResourceBlacklist"), &o->id);
    }
    return kind_in(json_object_get(spec, "clusterResourceWhitelist"), &o->id) &&
           !kind_in(json_object_get(spec, "clusterResourceBlacklist"), &o->id);
}

bool project_permits_object(const json_t *project, const struct application *a,
                            const struct object *o, struct err *err)
{
    if (is_open_default(project, a))
        return true;
    CLEANUP(str_freep) char *name = object_name(&o->id);
    if (!kind_permitted(project, o))
        return err_set(err, ERR_DENIED, "%s: resource %s:%s is not permitted in project %s", name,
                       o->id.group, o->id.kind, a->project);
    if (o->is_namespaced && o->id.namespace && !destination_permitted(project, a, o->id.namespace))
        return err_set(err, ERR_DENIED, "%s: namespace %s is not permitted in project '%s'", name,
                       o->id.namespace, a->project);
    return true;
}
