// SPDX-License-Identifier: Apache-2.0
//
// Phase, wave, hook and delete policies of a rendered object (spec argo-cd sections 2.1, 2.5, 2.6).
#include "gitops/sync_marks.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "gitops/app.h"
#include "gitops/json.h"

#define ARGO_HOOK "argocd.argoproj.io/hook"
#define ARGO_POLICY "argocd.argoproj.io/hook-delete-policy"
#define SYNC_OPTIONS "argocd.argoproj.io/sync-options"

int sync_wave_of(const json_t *doc)
{
    long long wave;
    const char *w = json_annotation(doc, "argocd.argoproj.io/sync-wave");
    if (w && str_to_int(w, INT_MIN, INT_MAX, &wave))
        return (int)wave;
    w = json_annotation(doc, "helm.sh/hook-weight");
    return w && str_to_int(w, INT_MIN, INT_MAX, &wave) ? (int)wave : 0;
}

struct word {
    const char *text;
    int value;
};

enum { MARK_IGNORE = 100, MARK_SKIP, MARK_DELETE_HOOK, MARK_CRD };

static const struct word argo_types[] = {
    {"PreSync", PHASE_PRESYNC},       {"Sync", PHASE_SYNC}, {"PostSync", PHASE_POSTSYNC},
    {"SyncFail", PHASE_SYNCFAIL},     {"Skip", MARK_SKIP},  {"PreDelete", MARK_DELETE_HOOK},
    {"PostDelete", MARK_DELETE_HOOK},
};
// Helm's delete hooks never run on a way up, and its tests and rollbacks have no counterpart.
static const struct word helm_types[] = {
    {"pre-install", PHASE_PRESYNC},   {"pre-upgrade", PHASE_PRESYNC},
    {"post-install", PHASE_POSTSYNC}, {"post-upgrade", PHASE_POSTSYNC},
    {"crd-install", MARK_CRD},        {"pre-delete", MARK_IGNORE},
    {"post-delete", MARK_IGNORE},     {"pre-rollback", MARK_IGNORE},
    {"post-rollback", MARK_IGNORE},   {"test", MARK_IGNORE},
    {"test-success", MARK_IGNORE},    {"test-failure", MARK_IGNORE},
};

// Calls for each trimmed item of a comma-separated list; the bit set of values, -1 for unknown.
struct marks {
    unsigned phases; // bit per enum phase
    bool skip, ignore, delete_hook, crd;
    size_t items, unknown;
    char *first_delete_hook;
};

static void add_mark(struct marks *m, const struct word *words, size_t n, const char *item)
{
    m->items++;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(words[i].text, item) != 0)
            continue;
        int v = words[i].value;
        if (v == MARK_SKIP)
            m->skip = true;
        else if (v == MARK_IGNORE)
            m->ignore = true;
        else if (v == MARK_CRD)
            m->crd = true;
        else if (v == MARK_DELETE_HOOK) {
            m->delete_hook = true;
            str_set(&m->first_delete_hook, item);
        } else
            m->phases |= 1U << v;
        return;
    }
    m->unknown++;
}

static void read_marks(struct marks *m, const struct word *words, size_t n, const char *list)
{
    struct strv parts = {0};
    strv_split(&parts, list, ',');
    for (size_t i = 0; i < parts.len; i++) {
        const char *s = parts.v[i] + strspn(parts.v[i], " \t\n");
        CLEANUP(str_freep) char *item = str_ndup(s, strcspn(s, " \t\n"));
        if (*item)
            add_mark(m, words, n, item);
    }
    strv_clear(&parts);
}

static unsigned delete_policies(const json_t *doc)
{
    static const struct word argo[] = {{"BeforeHookCreation", HOOK_BEFORE_CREATION},
                                       {"HookSucceeded", HOOK_SUCCEEDED},
                                       {"HookFailed", HOOK_FAILED}};
    static const struct word helm[] = {{"before-hook-creation", HOOK_BEFORE_CREATION},
                                       {"hook-succeeded", HOOK_SUCCEEDED},
                                       {"hook-failed", HOOK_FAILED}};
    const char *a = json_annotation(doc, ARGO_POLICY);
    const char *h = json_annotation(doc, "helm.sh/hook-delete-policy");
    unsigned bits = 0;
    for (size_t i = 0; i < ARRAY_LEN(argo); i++) {
        if (a && strstr(a, argo[i].text))
            bits |= (unsigned)argo[i].value;
        if (h && strstr(h, helm[i].text))
            bits |= (unsigned)helm[i].value;
    }
    return bits ? bits : HOOK_BEFORE_CREATION;
}

static enum phase first_phase(unsigned bits)
{
    for (int p = PHASE_PRESYNC; p <= PHASE_SYNCFAIL; p++)
        if (bits & 1U << p)
            return (enum phase)p;
    return PHASE_SYNC;
}

bool object_sync_marks(const json_t *doc, struct object *o, bool *skip, struct err *err)
{
    const char *argo = json_annotation(doc, ARGO_HOOK);
    const char *helm = json_annotation(doc, "helm.sh/hook");
    struct marks m = {0};
    *skip = false;
    o->phase = PHASE_SYNC;
    o->wave = sync_wave_of(doc);
    if (argo)
        read_marks(&m, argo_types, ARRAY_LEN(argo_types), argo);
    else if (helm)
        read_marks(&m, helm_types, ARRAY_LEN(helm_types), helm);
    if (m.delete_hook) {
        err_set(err, ERR_INVALID, "%s hooks are not supported by regrow", m.first_delete_hook);
        free(m.first_delete_hook);
        return false;
    }
    // Skip counts only when it stands alone; unknown or unmapped types alone: never applied.
    if (m.items && !m.phases && !m.crd) {
        *skip = true;
        return true;
    }
    if (m.phases) {
        o->is_hook = true;
        o->phase = first_phase(m.phases);
        o->hook_delete = delete_policies(doc);
    }
    return true;
}

const char *object_sync_option(const json_t *doc, const char *name, char **store)
{
    const char *list = json_annotation(doc, SYNC_OPTIONS);
    size_t n = strlen(name);
    while (list && *list) {
        list += strspn(list, " \t,");
        size_t len = strcspn(list, ",");
        if (len > n && !strncmp(list, name, n) && list[n] == '=') {
            size_t end = len;
            while (end > n + 1 && strchr(" \t", list[end - 1]))
                end--;
            free(*store);
            *store = str_ndup(list + n + 1, end - n - 1);
            return *store;
        }
        list += len;
    }
    return NULL;
}
