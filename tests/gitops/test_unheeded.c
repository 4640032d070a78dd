// SPDX-License-Identifier: Apache-2.0
#include "tests/test.h"

#include "gitops/unheeded.h"

// The document, and what each sentence must hold, in their order.
static const struct {
    const char *doc, *words[4];
} apps[] =
    {
        {"{metadata: {name: a}, spec: {project: p, source: {}, destination: {server: s}, info: "
         "[{name: "
         "n, value: v}], revisionHistoryLimit: 3, ignoreDifferences: [], syncPolicy: {automated: "
         "{prune: true, selfHeal: true, allowEmpty: false, enabled: true}, retry: {limit: 3}}}}",
         {NULL}},
        {"{spec: {syncPolcy: {}, destination: {nameSpace: x}}}",
         {"spec.syncPolcy is not known", "spec.destination.nameSpace is not known"}},
        {"{spec: {syncPolicy: {automated: {prun: true}, syncoptions: [x]}}}",
         {"spec.syncPolicy.syncoptions is not known",
          "spec.syncPolicy.automated.prun is not known"}},
        {"{metadata: {annotations: {argocd.argoproj.io/skip-reconcile: 'true'}}}",
         {"skip-reconcile is not heeded"}},
        {"{metadata: {annotations: {argocd.argoproj.io/skip-reconcile: 'false'}}}", {NULL}},
        {"{spec: {syncPolicy: {managedNamespaceMetadata: {labels: {a: b}}}}}",
         {"managedNamespaceMetadata means nothing"}},
        {"{spec: {syncPolicy: {syncOptions: [CreateNamespace=true], managedNamespaceMetadata: "
         "{labels: "
         "{a: b}}}}}",
         {NULL}},
        {"{}", {NULL}},
        {"[]", {NULL}},
},
  projects[] = {
      {"{metadata: {name: p}, spec: {description: d, roles: [{name: r}], orphanedResources: {warn: "
       "true}, syncWindows: [], sourceRepos: ['*']}}",
       {NULL}},
      {"{metadata: {name: p}, spec: {syncWindows: [{kind: deny, schedule: '* * * * *', duration: "
       "1h}]}}",
       {"project p: its sync windows are not heeded"}},
      {"{metadata: {name: p}, spec: {destinationServiceAccounts: [{server: s}], sourceRepo: [x]}}",
       {"project p: the field spec.sourceRepo is not known",
        "project p: destinationServiceAccounts are not heeded"}},
};

static const struct {
    const char *doc, *words[4];
} settings[] = {
    {"{data: {kustomize.buildOptions: ' --enable-helm ', application.resourceTrackingMethod: "
     "annotation, resource.exclusions: x, resource.customizations.health.x_Y: s}}",
     {NULL}},
    {"{data: {kustomize.buildOptions: --enable-helm --load-restrictor LoadRestrictionsNone, "
     "application.resourceTrackingMethod: label, "
     "resource.customizations.ignoreDifferences.apps_Deployment: x, "
     "resource.compareoptions: 'ignoreResourceStatusField: none'}}",
     {"kustomize.buildOptions are not heeded", "a status is never compared", "by annotation"}},
    {"{data: {resource.compareoptions: 'ignoreAggregatedRoles: true'}}", {NULL}},
    {"{}", {NULL}},
};

static void check(const char *text, const char *const words[4],
                  void (*find)(const json_t *doc, struct strv *out))
{
    CLEANUP(json_freep) json_t *doc = doc_of(text);
    struct strv out = {0};
    size_t n = 0;
    find(doc, &out);
    while (n < 4 && words[n])
        n++;
    if (out.len != n)
        fail_msg("%s: %zu sentences, \"%s\"", text, out.len, out.len ? out.v[0] : "");
    for (size_t i = 0; i < n; i++)
        if (!strstr(out.v[i], words[i]))
            fail_msg("%s: \"%s\"", text, out.v[i]);
    strv_clear(&out);
}

static void told(void **s)
{
    (void)s;
    for (size_t i = 0; i < ARRAY_LEN(apps); i++)
        check(apps[i].doc, apps[i].words, unheeded_app);
    for (size_t i = 0; i < ARRAY_LEN(projects); i++)
        check(projects[i].doc, projects[i].words, unheeded_project);
    for (size_t i = 0; i < ARRAY_LEN(settings); i++)
        check(settings[i].doc, settings[i].words, unheeded_settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(told)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
