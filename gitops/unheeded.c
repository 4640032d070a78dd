// SPDX-License-Identifier: Apache-2.0
#include "gitops/unheeded.h"

#include <string.h>

#include "gitops/json.h"

// The fields there are, by the map they stand in; sources have their own list (app.c).
static const struct known {
    const char *map, *fields;
} app_fields[] =
    {
        {"spec",
         " project source sources sourceHydrator destination syncPolicy ignoreDifferences info "
         "revisionHistoryLimit "},
        {"spec.destination", " server name namespace "},
        {"spec.syncPolicy", " automated syncOptions retry managedNamespaceMetadata "},
        {"spec.syncPolicy.automated", " prune selfHeal allowEmpty enabled "},
        {"spec.syncPolicy.managedNamespaceMetadata", " labels annotations "},
},
  project_fields[] = {
      {"spec", " sourceRepos destinations description roles clusterResourceWhitelist "
               "clusterResourceBlacklist namespaceResourceWhitelist namespaceResourceBlacklist "
               "orphanedResources syncWindows signatureKeys sourceIntegrity sourceNamespaces "
               "permitOnlyProjectScopedClusters destinationServiceAccounts "},
};

static void unknown_fields(const json_t *doc, const struct known *k, size_t n, struct strv *out)
{
    for (size_t i = 0; i < n; i++) {
        const char *key;
        json_t *v;
        json_object_foreach(json_dot(doc, k[i].map), key, v)
        {
            CLEANUP(str_freep) char *word = str_printf(" %s ", key);
            if (!strstr(k[i].fields, word))
                strv_push_take(out, str_printf("the field %s.%.80s is not known and was passed "
                                               "over",
                                               k[i].map, key));
        }
    }
}

void unheeded_app(const json_t *doc, struct strv *out)
{
    unknown_fields(doc, app_fields, ARRAY_LEN(app_fields), out);
    if (str_eq(json_annotation(doc, "argocd.argoproj.io/skip-reconcile"), "true"))
        strv_push(out, "skip-reconcile is not heeded: it is reconciled all the same");
    if (json_dot(doc, "spec.syncPolicy.managedNamespaceMetadata")) {
        size_t i;
        json_t *o;
        bool makes_one = false;
        json_array_foreach(json_dot(doc, "spec.syncPolicy.syncOptions"), i, o)
        {
            makes_one |= str_eq(json_string_value(o), "CreateNamespace=true");
        }
        if (!makes_one)
            strv_push(out, "managedNamespaceMetadata means nothing without CreateNamespace=true");
    }
}

void unheeded_project(const json_t *doc, struct strv *out)
{
    static const struct {
        const char *field, *text;
    } lists[] = {
        {"spec.syncWindows", "its sync windows are not heeded but by reconcile: what is applied by "
                             "hand is applied now"},
        {"spec.destinationServiceAccounts", "destinationServiceAccounts are not heeded: all is "
                                            "applied as the user that regrow runs as"},
    };
    const char *name = json_dot_str(doc, "metadata.name");
    struct strv found = {0};
    unknown_fields(doc, project_fields, ARRAY_LEN(project_fields), &found);
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        if (json_array_size(json_dot(doc, lists[i].field)))
            strv_push(&found, lists[i].text);
    for (size_t i = 0; i < found.len; i++)
        strv_push_take(out, str_printf("project %s: %s", name ? name : "?", found.v[i]));
    strv_clear(&found);
}

// Options of kustomize but the one that is always given.
static bool has_build_options(const char *text)
{
    struct strv words = {0};
    bool any = false;
    strv_split(&words, text, ' ');
    for (size_t i = 0; i < words.len; i++)
        any |= *words.v[i] && strcmp(words.v[i], "--enable-helm") != 0;
    strv_clear(&words);
    return any;
}

void unheeded_settings(const json_t *doc, struct strv *out)
{
    const json_t *data = json_object_get(doc, "data");
    const char *options = json_string_value(json_object_get(data, "kustomize.buildOptions"));
    const char *tracking =
        json_string_value(json_object_get(data, "application.resourceTrackingMethod"));
    const char *compare = json_string_value(json_object_get(data, "resource.compareoptions"));
    if (options && has_build_options(options))
        strv_push(out, "argocd-cm: kustomize.buildOptions are not heeded, but for --enable-helm");
    if (compare && (strstr(compare, "ignoreResourceStatusField: none") ||
                    strstr(compare, "ignoreResourceStatusField: crd") ||
                    strstr(compare, "ignoreResourceStatusField: off")))
        strv_push(out, "argocd-cm: a status is never compared, whatever "
                       "ignoreResourceStatusField says: none is ever sent");
    if (str_eq(tracking, "label"))
        strv_push(out, "argocd-cm: objects are marked by annotation, not by label");
}
