// SPDX-License-Identifier: Apache-2.0
//
// The table of spec kubernetes-api section 4: what an answer means and what may be printed of it.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube/kube_int.h"

const char *kube_class_name(enum kube_class c)
{
    static const char *const names[] = {
        "ok",           "absent",      "kind not served",   "namespace missing",
        "invalid",      "immutable",   "conflict",          "denied",
        "unauthorized", "gate closed", "missing reference", "throttled",
        "try again",    "no answer",   "cancelled"};
    return names[c];
}

struct pattern {
    const char *text;
    enum kube_class cls;
};

static enum kube_class match(const char *text, const struct pattern *p, size_t n,
                             enum kube_class otherwise)
{
    for (size_t i = 0; i < n; i++)
        if (strstr(text, p[i].text))
            return p[i].cls;
    return otherwise;
}

static const struct pattern untyped_500[] = {
    {"failed calling webhook", KUBE_GATE},
    {"failed to call webhook", KUBE_GATE},
    {"conversion webhook", KUBE_GATE},
    {"object not decodable", KUBE_GATE},
    {"failed to create typed patch object", KUBE_INVALID},
    {"failed to convert new object", KUBE_INVALID},
    {"failed to create manager for existing fields", KUBE_INVALID},
    {"illegal base64", KUBE_INVALID},
    {"duplicate entries for key", KUBE_INVALID},
    {"request is too large", KUBE_INVALID},
    {"ResourceExhausted", KUBE_INVALID},
};

static const struct pattern forbidden[] = {
    {"denied the request", KUBE_DENIED},
    {"exceeded quota", KUBE_DENIED},
    {"failed quota", KUBE_DENIED},
    {"violates PodSecurity", KUBE_DENIED},
    {"because it is being terminated", KUBE_NO_NAMESPACE},
    {"create not allowed while custom resource definition is terminating", KUBE_NO_KIND},
    {"error looking up service account", KUBE_MISSING_REF},
    {"no PriorityClass with name", KUBE_MISSING_REF},
    {"RuntimeClass", KUBE_MISSING_REF},
};

// Which cause of a 422 says that a live field may not change.
static bool is_immutable_text(const char *s)
{
    return strstr(s, "field is immutable") || strstr(s, "may not change once set") ||
           strstr(s, "is immutable after creation") ||
           strstr(s, "may not be changed in an update") ||
           strstr(s, "updates to statefulset spec for fields other than") ||
           strstr(s, "cannot change roleRef") || strstr(s, "field can not be changed") ||
           strstr(s, "updates to parameters are forbidden") ||
           strstr(s, "updates to provisioner are forbidden") ||
           strstr(s, "may not be modified once set");
}

static enum kube_class class_422(const json_t *status, const char *message)
{
    if (strstr(message, "ValidatingAdmissionPolicy"))
        return KUBE_DENIED;
    size_t i;
    json_t *c;
    json_array_foreach(json_dot(status, "details.causes"), i, c)
    {
        const char *m = json_dot_str(c, "message");
        if (m && is_immutable_text(m))
            return KUBE_IMMUTABLE;
    }
    return is_immutable_text(message) ? KUBE_IMMUTABLE : KUBE_INVALID;
}

static enum kube_class class_404(const json_t *status, const char *message, const char *body)
{
    if (!status)
        return strstr(body, "404 page not found") ? KUBE_NO_KIND : KUBE_ABSENT;
    if (str_eq(json_dot_str(status, "details.kind"), "namespaces"))
        return KUBE_NO_NAMESPACE;
    if (strstr(message, "could not find the requested resource"))
        return KUBE_NO_KIND;
    if (strstr(message, "role") && strstr(message, "not found") &&
        strstr(message, "rbac.authorization.k8s.io"))
        return KUBE_MISSING_REF;
    return KUBE_ABSENT;
}

static enum kube_class class_of(int http, const json_t *status, const char *message,
                                const char *body)
{
    if (http >= 200 && http < 300)
        return KUBE_OK;
    if (strstr(message, "denied the request") && strstr(message, "admission webhook"))
        return KUBE_DENIED;
    switch (http) {
    case 401:
        return KUBE_UNAUTHORIZED;
    case 403:
        return match(message, forbidden, ARRAY_LEN(forbidden), KUBE_DENIED);
    case 404:
        return class_404(status, message, body);
    case 409:
        return KUBE_CONFLICT;
    case 422:
        return class_422(status, message);
    case 429:
        if (!status)
            return KUBE_THROTTLED;
        if (strstr(message, "conversion webhook"))
            return KUBE_GATE;
        return strstr(message, "(re)initializing") ? KUBE_RETRY : KUBE_THROTTLED;
    case 500:
        return match(message, untyped_500, ARRAY_LEN(untyped_500), KUBE_RETRY);
    case 503:
        return status ? KUBE_RETRY : KUBE_GATE;
    case 502:
    case 504:
        return KUBE_RETRY;
    default:
        return http >= 500 ? KUBE_RETRY : KUBE_INVALID;
    }
}

// The name between the first pair of quotes after `before`; appended to store, its offset in *at.
static bool quoted_after(const char *text, const char *before, struct buf *store, size_t *at)
{
    const char *s = strstr(text, before);
    const char *open = s ? strchr(s + strlen(before), '"') : NULL;
    const char *close = open ? strchr(open + 1, '"') : NULL;
    if (!close)
        return false;
    *at = store->len;
    buf_append(store, open + 1, (size_t)(close - open - 1));
    buf_char(store, 0);
    return true;
}

static size_t keep_text(struct buf *store, const char *s)
{
    size_t at = store->len;
    buf_append(store, s, strlen(s) + 1);
    return at;
}

// What follows the value in 'Invalid value: "x": words', or the kind in "Forbidden: words".
static const char *reason_words(const char *m)
{
    const char *found = NULL;
    for (const char *s = m; s && (s = strstr(s, "\": ")); s += 3)
        found = s + 3;
    if (found)
        return found;
    const char *colon = m ? strstr(m, ": ") : NULL;
    return colon ? colon + 2 : m;
}

// Server messages repeat object content (pod templates with values, PVC diffs): of a 422 only the
// fields and short reasons are passed on.
static void safe_message(int http, const json_t *status, const char *message, struct buf *out)
{
    const json_t *causes = json_dot(status, "details.causes");
    if (http != 422 || !json_array_size(causes)) {
        buf_printf(out, "%.600s", message);
        for (size_t i = 0; i < out->len; i++)
            if (out->p[i] == '\n')
                out->p[i] = ' ';
        return;
    }
    size_t i;
    json_t *c;
    json_array_foreach(causes, i, c)
    {
        const char *field = json_dot_str(c, "field");
        const char *m = json_dot_str(c, "message");
        const char *reason = json_dot_str(c, "reason");
        const char *words = reason_words(m);
        if (i == 5)
            break;
        buf_printf(out, "%s%s: %.120s", i ? "; " : "", field ? field : "?",
                   words && strlen(words) < 120 ? words
                   : reason                     ? reason
                                                : "invalid");
    }
}

void classify(struct kube_reply *r, const char *content_type, struct buf *store)
{
    struct err err = {0};
    CLEANUP(json_freep) json_t *status = NULL;
    bool is_json = content_type && str_starts(content_type, "application/json");
    if (r->http >= 400 && is_json && !canon_read(r->body, r->body_len, &status, &err))
        err_clear(&err);
    const char *raw = json_dot_str(status, "message");
    if (!raw)
        raw = r->http >= 400 ? r->body : "";
    r->cls = class_of(r->http, status, raw, r->body);
    if (r->cls == KUBE_OK)
        return;
    const char *reason = json_dot_str(status, "reason");
    size_t at_reason = keep_text(store, reason ? reason : "");
    size_t at_message = store->len;
    struct buf safe CLEANUP(buf_clear) = {0};
    safe_message(r->http, status, raw, &safe);
    keep_text(store, safe.p ? safe.p : "");
    size_t at_hook = 0;
    bool has_hook = quoted_after(raw, "failed calling webhook ", store, &at_hook) ||
                    quoted_after(raw, "admission webhook ", store, &at_hook);
    const json_t *cause = json_array_get(json_dot(status, "details.causes"), 0);
    const char *field = json_dot_str(cause, "field");
    const char *cause_message = json_dot_str(cause, "message");
    size_t at_field = field ? keep_text(store, field) : 0;
    size_t at_manager = 0;
    bool has_manager = str_eq(json_dot_str(cause, "reason"), "FieldManagerConflict") &&
                       cause_message && quoted_after(cause_message, "", store, &at_manager);
    long long seconds = json_dot_int(status, "details.retryAfterSeconds", -1);
    if (seconds >= 0 && r->retry_after_ms < 0)
        r->retry_after_ms = seconds * 1000;
    // The store no longer grows: offsets become pointers.
    r->reason = store->p + at_reason;
    r->message = store->p + at_message;
    r->webhook = has_hook ? store->p + at_hook : NULL;
    r->field = field ? store->p + at_field : NULL;
    r->conflict_manager = has_manager ? store->p + at_manager : NULL;
}

bool kube_reply_err(const struct kube_reply *r, struct err *err, const char *what)
{
    static const enum err_kind kinds[] = {
        [KUBE_OK] = ERR_INTERNAL,           [KUBE_ABSENT] = ERR_NOT_FOUND,
        [KUBE_NO_KIND] = ERR_NOT_FOUND,     [KUBE_NO_NAMESPACE] = ERR_NOT_FOUND,
        [KUBE_INVALID] = ERR_INVALID,       [KUBE_IMMUTABLE] = ERR_INVALID,
        [KUBE_CONFLICT] = ERR_CONFLICT,     [KUBE_DENIED] = ERR_DENIED,
        [KUBE_UNAUTHORIZED] = ERR_DENIED,   [KUBE_GATE] = ERR_UNAVAILABLE,
        [KUBE_MISSING_REF] = ERR_NOT_FOUND, [KUBE_THROTTLED] = ERR_UNAVAILABLE,
        [KUBE_RETRY] = ERR_UNAVAILABLE,     [KUBE_LOST] = ERR_UNAVAILABLE,
        [KUBE_CANCELLED] = ERR_CANCELLED};
    const char *m = r->message && *r->message ? r->message : kube_class_name(r->cls);
    if (r->cls == KUBE_UNAUTHORIZED)
        return err_set(err, ERR_DENIED, "%s: the API server does not accept the credentials", what);
    return err_set(err, kinds[r->cls], "%s: %s", what, m);
}
