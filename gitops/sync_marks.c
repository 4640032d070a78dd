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
#define HELM_HOOK "helm.sh/hook"
#define HELM_POLICY "helm.sh/hook-delete-policy"

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

enum { MARK_SKIP = 100, MARK_DELETE };

static const struct word argo_types[] = {
    {"PreSync", PHASE_PRESYNC},   {"Sync", PHASE_SYNC}, {"PostSync", PHASE_POSTSYNC},
    {"SyncFail", PHASE_SYNCFAIL}, {"Skip", MARK_SKIP},  {"PreDelete", MARK_DELETE},
    {"PostDelete", MARK_DELETE},
};
// Tests, rollbacks and whatever else there is have no counterpart.
static const struct word helm_types[] = {
    {"pre-install", PHASE_PRESYNC},   {"pre-upgrade", PHASE_PRESYNC},
    {"post-install", PHASE_POSTSYNC}, {"post-upgrade", PHASE_POSTSYNC},
    {"pre-delete", MARK_DELETE},      {"post-delete", MARK_DELETE},
};

// What the items of one annotation say.
struct marks {
    unsigned phases;           // bit per enum phase
    size_t known;              // items that are types, each counted once
    const struct word *delete; // the first type for deletion, or NULL
};

static void csv_items(struct strv *out, const char *list)
{
    struct strv parts = {0};
    if (list)
        strv_split(&parts, list, ',');
    for (size_t i = 0; i < parts.len; i++) {
        const char *s = parts.v[i] + strspn(parts.v[i], " \t\r\n");
        size_t n = strlen(s);
        while (n && strchr(" \t\r\n", s[n - 1]))
            n--;
        CLEANUP(str_freep) char *item = str_ndup(s, n);
        if (n && !strv_has(out, item))
            strv_push(out, item);
    }
    strv_clear(&parts);
}

static const struct word *find_word(const struct word *words, size_t n, const char *item)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(words[i].text, item))
            return &words[i];
    return NULL;
}

static void read_marks(struct marks *m, const struct word *words, size_t n, const char *list)
{
    struct strv items = {0};
    csv_items(&items, list);
    for (size_t i = 0; i < items.len; i++) {
        const struct word *w = find_word(words, n, items.v[i]);
        if (!w)
            continue;
        m->known++;
        if (w->value == MARK_DELETE)
            m->delete = m->delete ? m->delete : w;
        else if (w->value != MARK_SKIP)
            m->phases |= 1U << w->value;
    }
    strv_clear(&items);
}

static unsigned policies_in(const char *list, const struct word *words, size_t n)
{
    struct strv items = {0};
    unsigned bits = 0;
    csv_items(&items, list);
    for (size_t i = 0; i < items.len; i++) {
        const struct word *w = find_word(words, n, items.v[i]);
        bits |= w ? (unsigned)w->value : 0;
    }
    strv_clear(&items);
    return bits;
}

// Argo CD's and Helm's together; none that is known means the first of these.
static unsigned delete_policies(const json_t *doc)
{
    static const struct word argo[] = {{"BeforeHookCreation", HOOK_BEFORE_CREATION},
                                       {"HookSucceeded", HOOK_SUCCEEDED},
                                       {"HookFailed", HOOK_FAILED}};
    static const struct word helm[] = {{"before-hook-creation", HOOK_BEFORE_CREATION},
                                       {"hook-succeeded", HOOK_SUCCEEDED},
                                       {"hook-failed", HOOK_FAILED}};
    unsigned bits = policies_in(json_annotation(doc, ARGO_POLICY), argo, ARRAY_LEN(argo)) |
                    policies_in(json_annotation(doc, HELM_POLICY), helm, ARRAY_LEN(helm));
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
    const char *helm = json_annotation(doc, HELM_HOOK);
    struct marks m = {0};
    *skip = false;
    o->phase = PHASE_SYNC;
    o->phases = 1U << PHASE_SYNC;
    o->wave = sync_wave_of(doc);
    // "crd-install" alone is Helm's old way to write a CRD that is no hook.
    if (!argo && (!helm || !strcmp(helm, "crd-install")))
        return true;
    read_marks(&m, argo_types, ARRAY_LEN(argo_types), argo);
    if (m.delete)
        return err_set(err, ERR_INVALID, "%s hooks are not supported by regrow", m.delete->text);
    // Helm's annotation counts only where Argo CD's says nothing.
    if (!m.known)
        read_marks(&m, helm_types, ARRAY_LEN(helm_types), helm);
    // Skip counts only when it stands alone; without a type that is known it is never applied.
    *skip = !m.phases;
    if (!m.phases)
        return true;
    o->is_hook = true;
    o->phases = m.phases;
    o->phase = first_phase(m.phases);
    o->hook_delete = delete_policies(doc);
    return true;
}

const char *object_unknown_hook(const json_t *doc)
{
    struct marks m = {0};
    const char *argo = json_annotation(doc, ARGO_HOOK);
    if (!argo)
        return NULL;
    read_marks(&m, argo_types, ARRAY_LEN(argo_types), argo);
    read_marks(&m, helm_types, ARRAY_LEN(helm_types), json_annotation(doc, HELM_HOOK));
    return m.known ? NULL : argo;
}

const char *object_helm_delete_hook(const json_t *doc)
{
    struct marks m = {0};
    if (!json_annotation(doc, ARGO_HOOK))
        read_marks(&m, helm_types, ARRAY_LEN(helm_types), json_annotation(doc, HELM_HOOK));
    return m.delete ? m.delete->text : NULL;
}
