// SPDX-License-Identifier: Apache-2.0
#include "reconcile/health.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "reconcile/health_int.h"

#define HOOK_FINALIZER "argocd.argoproj.io/hook-finalizer"

static const char *const names[] = {"",        "",         "Healthy", "Suspended", "Progressing",
                                    "Missing", "Degraded", "Unknown"};

void health_result_clear(struct health_result *r)
{
    str_freep(&r->message);
}

const char *health_name(enum health h)
{
    return names[h];
}

bool health_parse(const char *name, enum health *out)
{
    for (size_t i = HEALTH_HEALTHY; i <= HEALTH_UNKNOWN; i++) {
        if (strcmp(names[i], name) != 0)
            continue;
        *out = (enum health)i;
        return true;
    }
    return false;
}

static bool is_utf8(const char *s, size_t n)
{
    CLEANUP(json_freep) json_t *v = json_stringn(s, n);
    return v != NULL;
}

static size_t sequence_len(unsigned char lead)
{
    return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

// A text that was cut within a character, or made by a script, must not break what prints it.
static void repair(char **text)
{
    struct buf b = {0};
    size_t len = strlen(*text);
    if (is_utf8(*text, len))
        return;
    for (size_t i = 0; i < len;) {
        size_t n = sequence_len((unsigned char)(*text)[i]);
        bool ok = n <= len - i && is_utf8(*text + i, n);
        if (ok)
            buf_append(&b, *text + i, n);
        else
            buf_str(&b, "\xef\xbf\xbd");
        i += ok ? n : 1;
    }
    free(*text);
    *text = buf_take(&b);
}

void health_set(struct health_result *r, enum health h, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    free(r->message);
    r->message = str_vprintf(fmt, ap);
    va_end(ap);
    repair(&r->message);
    r->status = h;
    r->is_error = false;
}

void health_error(struct health_result *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    CLEANUP(str_freep) char *text = str_vprintf(fmt, ap);
    va_end(ap);
    health_set(r, HEALTH_UNKNOWN, "%s", text);
    r->is_error = true;
}

const json_t *health_condition(const json_t *obj, const char *type)
{
    size_t i;
    json_t *c;
    json_array_foreach(json_dot(obj, "status.conditions"), i, c)
    {
        if (str_eq(json_dot_str(c, "type"), type))
            return c;
    }
    return NULL;
}

bool health_is_true(const json_t *condition)
{
    return str_eq(json_dot_str(condition, "status"), "True");
}

const char *health_str(const json_t *v, const char *dotted)
{
    const char *s = json_dot_str(v, dotted);
    return s ? s : "";
}

bool health_has(const json_t *v, const char *dotted)
{
    const json_t *x = json_dot(v, dotted);
    return x && !json_is_null(x);
}

long long health_count(const json_t *v, const char *dotted, long long fallback)
{
    long long n = json_dot_int(v, dotted, fallback);
    return n < INT32_MIN ? INT32_MIN : n > INT32_MAX ? INT32_MAX : n;
}

static bool is_held_by_hook(const json_t *obj)
{
    size_t i;
    json_t *f;
    json_array_foreach(json_dot(obj, "metadata.finalizers"), i, f)
    {
        if (str_eq(json_string_value(f), HOOK_FINALIZER))
            return true;
    }
    return false;
}

bool health_has_check(const struct health_custom *c, const char *group, const char *kind)
{
    return health_custom_has(c, group, kind) || health_rule_find(group, kind);
}

void health_of(struct health_custom *c, const json_t *obj, struct health_result *out)
{
    const char *av = health_str(obj, "apiVersion");
    const char *kind = health_str(obj, "kind");
    const char *slash = strchr(av, '/');
    CLEANUP(str_freep) char *group = slash ? str_ndup(av, (size_t)(slash - av)) : str_dup("");
    const struct health_rule *rule = health_rule_find(group, kind);
    bool leaves = health_has(obj, "metadata.deletionTimestamp") && !is_held_by_hook(obj);
    if (leaves && rule && health_rule_knows_deletion(rule))
        health_rule_apply(rule, obj, out);
    else if (leaves)
        health_set(out, HEALTH_PROGRESSING, "Pending deletion");
    else if (health_custom_apply(c, group, kind, obj, out))
        return;
    else if (rule)
        health_rule_apply(rule, obj, out);
    else
        health_set(out, HEALTH_NONE, "%s", "");
}

enum health_verdict health_verdict(const struct health_result *r, bool is_hook, bool runs_once)
{
    if (r->is_error)
        return is_hook ? HEALTH_FAILED : HEALTH_WAITS;
    switch (r->status) {
    case HEALTH_NONE:
    case HEALTH_HEALTHY:
        return HEALTH_DONE;
    case HEALTH_SUSPENDED:
        return is_hook ? HEALTH_WAITS : HEALTH_DONE;
    case HEALTH_DEGRADED:
        return is_hook || runs_once ? HEALTH_FAILED : HEALTH_WAITS;
    case HEALTH_UNKNOWN:
        return is_hook ? HEALTH_FAILED : HEALTH_WAITS;
    case HEALTH_MISSING:
    case HEALTH_BLANK:
        return is_hook ? HEALTH_DONE : HEALTH_WAITS;
    case HEALTH_PROGRESSING:
        break;
    }
    return HEALTH_WAITS;
}
