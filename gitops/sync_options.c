// SPDX-License-Identifier: Apache-2.0
//
// Sync options, of an application and of one object (spec argo-cd section 1.10): what each does
// here is in docs/sync-options.md.
#include <stdlib.h>
#include <string.h>

#include "gitops/app.h"
#include "gitops/json.h"

#define SYNC_OPTIONS "argocd.argoproj.io/sync-options"

enum { ON_APP = 1, ON_OBJECT = 2, ON_BOTH = ON_APP | ON_OBJECT };

static const struct known_option {
    const char *name, *values;
    unsigned where;
} known_options[] = {
    {"ApplyOutOfSyncOnly", " true false ", ON_APP},
    {"ClientSideApplyMigration", " true false ", ON_APP},
    {"CreateNamespace", " true false ", ON_APP},
    {"Delete", " true false confirm ", ON_BOTH},
    {"FailOnSharedResource", " true false ", ON_APP},
    {"Force", " true false ", ON_BOTH},
    {"Prune", " true false confirm ", ON_BOTH},
    {"PruneLast", " true false ", ON_BOTH},
    {"PrunePropagationPolicy", " foreground background orphan ", ON_APP},
    {"Replace", " true false ", ON_BOTH},
    {"RespectIgnoreDifferences", " true false ", ON_APP},
    {"ServerSideApply", " true false ", ON_BOTH},
    {"SkipDryRunOnMissingResource", " true false ", ON_BOTH},
    {"Validate", " true false ", ON_BOTH},
};

static const struct known_option *find_option(const char *text, size_t name_len)
{
    for (size_t i = 0; i < ARRAY_LEN(known_options); i++)
        if (strlen(known_options[i].name) == name_len &&
            !strncmp(known_options[i].name, text, name_len))
            return &known_options[i];
    return NULL;
}

// What is wrong with one option, or NULL; owned.
static char *fault_of(const char *text, unsigned where)
{
    size_t n = strcspn(text, "=");
    const struct known_option *o = find_option(text, n);
    CLEANUP(str_freep) char *value = str_printf(" %s ", text[n] ? text + n + 1 : "");
    if (!o)
        return str_printf("the sync option %.80s is not known and was passed over", text);
    if (!strstr(o->values, value))
        return str_printf("the sync option %.80s has no such value and was passed over", text);
    if (!(o->where & where))
        return str_printf("the sync option %.80s means something only on %s", text,
                          where == ON_APP ? "an object" : "an application");
    return NULL;
}

static void note_fault(const char *text, unsigned where, struct strv *out)
{
    CLEANUP(str_freep) char *fault = *text ? fault_of(text, where) : NULL;
    if (fault && !strv_has(out, fault))
        strv_push(out, fault);
}

void sync_options_unknown(const json_t *list, struct strv *out)
{
    size_t i;
    json_t *o;
    json_array_foreach(list, i, o)
    {
        if (json_is_string(o))
            note_fault(json_string_value(o), ON_APP, out);
    }
}

const char *sync_option(const json_t *list, const char *name)
{
    size_t n = strlen(name);
    const char *value = NULL;
    size_t i;
    json_t *o;
    json_array_foreach(list, i, o)
    {
        const char *s = json_string_value(o);
        if (s && !strncmp(s, name, n) && s[n] == '=')
            value = s + n + 1;
    }
    return value;
}

// ---- of one object ----
static void object_options(const json_t *doc, struct strv *out)
{
    const char *list = json_annotation(doc, SYNC_OPTIONS);
    while (list && *list) {
        list += strspn(list, " \t\r\n,");
        size_t n = strcspn(list, ",");
        size_t end = n;
        while (end && strchr(" \t\r\n", list[end - 1]))
            end--;
        if (end)
            strv_push_take(out, str_ndup(list, end));
        list += n;
    }
}

const char *object_sync_option(const json_t *doc, const char *name, char **store)
{
    struct strv all = {0};
    size_t n = strlen(name);
    const char *value = NULL;
    object_options(doc, &all);
    for (size_t i = 0; i < all.len && !value; i++)
        if (!strncmp(all.v[i], name, n) && all.v[i][n] == '=')
            value = all.v[i] + n + 1;
    free(*store);
    *store = str_dup_or_null(value);
    strv_clear(&all);
    return *store;
}

unsigned object_deletion_marks(const json_t *doc)
{
    static const struct {
        const char *option, *value;
        unsigned mark;
    } rows[] = {{"Prune", "false", DELETION_PRUNE_OFF},
                {"Prune", "true", DELETION_PRUNE_ASKED},
                {"Prune", "confirm", DELETION_PRUNE_CONFIRM},
                {"Delete", "false", DELETION_DELETE_OFF},
                {"Delete", "confirm", DELETION_DELETE_CONFIRM}};
    CLEANUP(str_freep) char *store = NULL;
    unsigned marks = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (str_eq(object_sync_option(doc, rows[i].option, &store), rows[i].value))
            marks |= rows[i].mark;
    if (str_eq(json_annotation(doc, "helm.sh/resource-policy"), "keep"))
        marks |= DELETION_KEEP;
    return marks;
}

unsigned object_sync_options(const json_t *doc, unsigned app, struct strv *faults)
{
    static const struct {
        const char *text;
        unsigned bit;
    } bits[] = {{"Replace=true", SYNC_REPLACE},
                {"Force=true", SYNC_FORCE},
                {"Validate=false", SYNC_NO_VALIDATE},
                {"ServerSideApply=true", SYNC_SERVER_SIDE}};
    struct strv all = {0};
    unsigned out = app;
    object_options(doc, &all);
    if (strv_has(&all, "ServerSideApply=false"))
        out &= ~(unsigned)SYNC_SERVER_SIDE;
    for (size_t i = 0; i < all.len; i++) {
        for (size_t k = 0; k < ARRAY_LEN(bits); k++)
            out |= !strcmp(all.v[i], bits[k].text) ? bits[k].bit : 0;
        if (faults)
            note_fault(all.v[i], ON_OBJECT, faults);
    }
    strv_clear(&all);
    return out;
}
