// SPDX-License-Identifier: Apache-2.0
//
// The table of rules and how a row is gone through.
#include <string.h>

#include "reconcile/health_int.h"

// Short names, for the table's sake.
#define Healthy HEALTH_HEALTHY
#define Suspended HEALTH_SUSPENDED
#define Progressing HEALTH_PROGRESSING
#define Missing HEALTH_MISSING
#define Degraded HEALTH_DEGRADED
#define Unknown HEALTH_UNKNOWN

#define CLAUSES(...)                                                                               \
    (const struct health_clause[])                                                                 \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            .op = CLAUSE_END                                                                       \
        }                                                                                          \
    }
// KIND: clauses; CODE: a function, asked when none of the clauses (if any) gives an answer.
#define KIND(group, kinds, ...)                                                                    \
    {                                                                                              \
        group, kinds, NULL, NULL, CLAUSES(__VA_ARGS__)                                             \
    }
#define CODE(group, kinds, fn, ...)                                                                \
    {                                                                                              \
        group, kinds, NULL, fn, CLAUSES(__VA_ARGS__)                                               \
    }
#define KUBE(group, kinds, versions, ...)                                                          \
    {                                                                                              \
        group, kinds, versions, NULL, CLAUSES(__VA_ARGS__)                                         \
    }
#define KUBE_CODE(group, kinds, versions, fn)                                                      \
    {                                                                                              \
        group, kinds, versions, fn, CLAUSES({0})                                                   \
    }
#define NOTHING                                                                                    \
    {                                                                                              \
        0                                                                                          \
    }

#define IF(when, status, message)                                                                  \
    {                                                                                              \
        CLAUSE_IF, false, NULL, when, status, message                                              \
    }
#define ELSE(status, message) IF("", status, message)
// Goes over status.conditions; OR and LATER belong to the same pass. LAST and LATER are weak.
#define EACH(when, status, message)                                                                \
    {                                                                                              \
        CLAUSE_EACH, false, NULL, when, status, message                                            \
    }
#define EACH_OF(list, when, status, message)                                                       \
    {                                                                                              \
        CLAUSE_EACH, false, list, when, status, message                                            \
    }
#define LAST(when, status, message)                                                                \
    {                                                                                              \
        CLAUSE_EACH, true, NULL, when, status, message                                             \
    }
#define OR(when, status, message)                                                                  \
    {                                                                                              \
        CLAUSE_OR, false, NULL, when, status, message                                              \
    }
#define LATER(when, status, message)                                                               \
    {                                                                                              \
        CLAUSE_OR, true, NULL, when, status, message                                               \
    }

static const struct health_rule rules[] = {
#include "reconcile/health_rules.inc"
#include "reconcile/health_rules_apps.inc"
#include "reconcile/health_rules_platform.inc"
};

const struct health_rule *health_rule_at(size_t i)
{
    return i < ARRAY_LEN(rules) ? &rules[i] : NULL;
}

static bool is_group(const char *pattern, const char *group)
{
    return str_starts(pattern, "*.") ? str_ends(group, pattern + 1) : !strcmp(pattern, group);
}

static bool is_kind(const char *list, const char *kind)
{
    size_t n = strlen(kind);
    if (!strcmp(list, "*"))
        return true;
    for (const char *p = list; n && (p = strstr(p, kind)); p += n)
        if ((p == list || p[-1] == ',') && (!p[n] || p[n] == ','))
            return true;
    return false;
}

const struct health_rule *health_rule_find(const char *group, const char *kind)
{
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        if (is_group(rules[i].group, group) && is_kind(rules[i].kinds, kind))
            return &rules[i];
    return NULL;
}

bool health_rule_knows_deletion(const struct health_rule *rule)
{
    return rule->clauses->op == CLAUSE_IF &&
           str_starts(rule->clauses->when, ".metadata.deletionTimestamp");
}

// An answer that stands so far.
struct answer {
    const struct health_clause *clause;
    struct health_scope scope;
};

// The pass that begins at c over its list; *c is left at what follows it.
static struct answer go_over_list(const struct health_clause **c, const json_t *obj,
                                  const char **fault)
{
    const struct health_clause *first = *c;
    const struct health_clause *end = first + 1;
    const char *path = first->list;
    const json_t *list = health_list(obj, path, path ? strlen(path) : 0);
    struct answer a = {0};
    if (health_list_is_wrong(obj, path, path ? strlen(path) : 0))
        *fault = "what should be a list is none";
    while (end->op == CLAUSE_OR)
        end++;
    *c = end;
    for (size_t i = 0; i < health_list_len(list); i++) {
        for (const struct health_clause *x = first; x < end; x++) {
            struct health_scope s = {obj, health_list_at(list, i), i + 1, fault};
            if (json_is_null(s.item) || !health_when(&s, x->when))
                continue;
            a = (struct answer){x, s};
            if (!x->is_weak)
                return a;
            break;
        }
    }
    return a;
}

static struct answer find_answer(const struct health_rule *rule, const json_t *obj,
                                 const char **fault)
{
    for (const struct health_clause *c = rule->clauses; c->op != CLAUSE_END;) {
        struct answer a = {c, {.obj = obj, .fault = fault}};
        if (c->op == CLAUSE_EACH)
            a = go_over_list(&c, obj, fault);
        else if (!health_when(&a.scope, c++->when))
            a.clause = NULL;
        if (a.clause)
            return a;
    }
    return (struct answer){0};
}

static bool is_known_version(const struct health_rule *rule, const json_t *obj)
{
    const char *av = health_str(obj, "apiVersion");
    const char *slash = strchr(av, '/');
    return !rule->versions || is_kind(rule->versions, slash ? slash + 1 : av);
}

const struct health_clause *health_rule_trace(const struct health_rule *rule, const json_t *obj,
                                              struct health_result *r)
{
    const char *fault = NULL;
    struct answer a = find_answer(rule, obj, &fault);
    if (fault) {
        health_error(r, "%s", fault);
    } else if (a.clause) {
        struct buf b CLEANUP(buf_clear) = {0};
        health_text(&a.scope, a.clause->message, &b);
        health_set(r, a.clause->status, "%s", b.len ? b.p : "");
    } else if (rule->fn) {
        rule->fn(obj, r);
    } else {
        health_set(r, HEALTH_BLANK, "%s", "");
    }
    return a.clause;
}

void health_rule_apply(const struct health_rule *rule, const json_t *obj, struct health_result *r)
{
    const char *av = health_str(obj, "apiVersion");
    const char *kind = health_str(obj, "kind");
    if (is_known_version(rule, obj)) {
        const char *slash = strchr(av, '/');
        CLEANUP(str_freep) char *group = str_ndup(av, slash ? (size_t)(slash - av) : 0);
        if (health_types_fit(group, kind, obj, r))
            health_rule_trace(rule, obj, r);
        return;
    }
    bool is_hpa = !strcmp(kind, "HorizontalPodAutoscaler");
    health_error(r, "unsupported %s GVK: %s%s, Kind=%s", is_hpa ? "HPA" : kind,
                 strchr(av, '/') ? "" : "/", av, kind);
}
