// SPDX-License-Identifier: Apache-2.0
//
// The table of spec kubernetes-api section 4: what an answer means.
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

bool kube_may_answer_later(enum kube_class c)
{
    return c == KUBE_THROTTLED || c == KUBE_RETRY || c == KUBE_LOST;
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

// Server-side apply answers every error of type or schema with a 500 that has no reason; what the
// storage has to say of itself comes in the same form.
static const struct pattern untyped_500[] = {
    {"failed calling webhook", KUBE_GATE},
    {"failed to call webhook", KUBE_GATE},
    {"conversion webhook", KUBE_GATE},
    {"object not decodable", KUBE_GATE},
    {"request is too large", KUBE_INVALID},
    {"ResourceExhausted", KUBE_INVALID},
    {"etcdserver:", KUBE_RETRY},
    {"rpc error:", KUBE_RETRY},
    {"context deadline exceeded", KUBE_RETRY},
    {"connection refused", KUBE_RETRY},
    {"connection reset", KUBE_RETRY},
    {"unexpected EOF", KUBE_RETRY},
    {"request timed out", KUBE_RETRY},
};

// Those with a reason are the server's own trouble, apart from these.
static const struct pattern typed_500[] = {
    {"failed calling webhook", KUBE_GATE},
    {"failed to call webhook", KUBE_GATE},
    {"conversion webhook", KUBE_GATE},
    {"object not decodable", KUBE_GATE},
    {"failed to create typed patch object", KUBE_INVALID},
    {"failed to convert new object", KUBE_INVALID},
    {"illegal base64", KUBE_INVALID},
    {"duplicate entries for key", KUBE_INVALID},
    {"field not declared in schema", KUBE_INVALID},
    {"request is too large", KUBE_INVALID},
    {"ResourceExhausted", KUBE_INVALID},
};

static const struct pattern forbidden[] = {
    {"exceeded quota", KUBE_DENIED},
    {"failed quota", KUBE_DENIED},
    // A quota whose sums the controller has not filled in yet.
    {"status unknown for quota", KUBE_RETRY},
    {"violates PodSecurity", KUBE_DENIED},
    {"because it is being terminated", KUBE_NO_NAMESPACE},
    {"create not allowed while custom resource definition is terminating", KUBE_NO_KIND},
    {"error looking up service account", KUBE_MISSING_REF},
    {"no PriorityClass with name", KUBE_MISSING_REF},
    {"pod rejected: RuntimeClass", KUBE_MISSING_REF},
};

// Does this cause of a 422 say that a live field may not change? The texts differ per kind.
static bool is_immutable_cause(const json_t *cause)
{
    static const char *const texts[] = {"immutable",
                                        "may not change once set",
                                        "may not be changed in an update",
                                        "may not be modified once set",
                                        "cannot change roleRef",
                                        "field can not be changed",
                                        "updates to statefulset spec for fields other than",
                                        "updates to parameters are forbidden",
                                        "updates to provisioner are forbidden"};
    CLEANUP(str_freep) char *words = safe_reason(json_dot_str(cause, "message"));
    for (size_t i = 0; words && i < ARRAY_LEN(texts); i++)
        if (strstr(words, texts[i]))
            return true;
    return false;
}

// Sets r->field to the one that cannot be changed, when there is such.
static enum kube_class class_422(const json_t *status, const char **field)
{
    size_t i;
    json_t *c;
    json_array_foreach(json_dot(status, "details.causes"), i, c)
    {
        if (!is_immutable_cause(c))
            continue;
        *field = json_dot_str(c, "field");
        return KUBE_IMMUTABLE;
    }
    return KUBE_INVALID;
}

static bool is_reading(const struct asked *a)
{
    return !strcmp(a->method, "GET") || !strcmp(a->method, "DELETE");
}

static enum kube_class class_404(const json_t *status, const char *message, const char *body,
                                 const struct asked *a)
{
    if (!status)
        return strstr(body, "404 page not found") ? KUBE_NO_KIND : KUBE_ABSENT;
    if (strstr(message, "could not find the requested resource"))
        return KUBE_NO_KIND;
    if (is_reading(a))
        return KUBE_ABSENT; // the object itself, or the namespace and it with it
    if (str_eq(json_dot_str(status, "details.kind"), "namespaces"))
        return KUBE_NO_NAMESPACE;
    // A binding whose role does not exist, to a writer without the verb "bind".
    if (strstr(message, "role") && strstr(message, "rbac.authorization.k8s.io"))
        return KUBE_MISSING_REF;
    return KUBE_ABSENT;
}

// A quota's sums are kept with optimistic locking; who loses the race tries again. A body without
// resourceVersion and uid meets no other conflict than one of fields.
static enum kube_class class_409(const json_t *status, const struct asked *a)
{
    const json_t *cause = json_array_get(json_dot(status, "details.causes"), 0);
    if (str_eq(json_dot_str(cause, "reason"), "FieldManagerConflict"))
        return KUBE_CONFLICT;
    if (str_eq(json_dot_str(status, "details.kind"), "resourcequotas") ||
        !strcmp(a->method, "PATCH"))
        return KUBE_RETRY;
    return KUBE_CONFLICT;
}

static enum kube_class class_429(const json_t *status, const char *message)
{
    if (!status)
        return KUBE_THROTTLED;
    // Neither is flow control: a definition's conversion webhook is down, or its cache is filled.
    if (strstr(message, "conversion webhook"))
        return KUBE_GATE;
    return strstr(message, "(re)initializing") ? KUBE_RETRY : KUBE_THROTTLED;
}

// The verdict of a webhook or policy, with whatever code its author chose.
static bool is_verdict(const char *message)
{
    return (strstr(message, "admission webhook") && strstr(message, "denied the request")) ||
           (strstr(message, "AdmissionPolicy '") && strstr(message, "denied request")) ||
           (strstr(message, "AdmissionPolicy '") && strstr(message, "paramKind"));
}

static enum kube_class class_of(int http, const json_t *status, const char *message,
                                const char *body, const struct asked *a, const char **field)
{
    if (http >= 200 && http < 300)
        return KUBE_OK;
    if (is_verdict(message))
        return KUBE_DENIED;
    switch (http) {
    case 401:
        return KUBE_UNAUTHORIZED;
    case 403:
        return match(message, forbidden, ARRAY_LEN(forbidden), KUBE_DENIED);
    case 404:
        return class_404(status, message, body, a);
    case 409:
        return class_409(status, a);
    case 422:
        return class_422(status, field);
    case 429:
        return class_429(status, message);
    case 500:
        return str_is_empty(json_dot_str(status, "reason"))
                   ? match(message, untyped_500, ARRAY_LEN(untyped_500),
                           status ? KUBE_INVALID : KUBE_RETRY)
                   : match(message, typed_500, ARRAY_LEN(typed_500), KUBE_RETRY);
    case 503:
        return status ? KUBE_RETRY : KUBE_GATE;
    default:
        return http > 500 ? KUBE_RETRY : KUBE_INVALID;
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

// The texts of a reply, kept in the store; it moves while it grows, so offsets come first.
static void fill_texts(struct kube_reply *r, const json_t *status, const char *raw,
                       const char *field, const struct asked *a, struct buf *store)
{
    const json_t *cause = json_array_get(json_dot(status, "details.causes"), 0);
    const char *reason = json_dot_str(status, "reason");
    const char *cause_message = json_dot_str(cause, "message");
    struct buf safe CLEANUP(buf_clear) = {0};
    safe_text(r, status, raw, a, &safe);
    if (!field)
        field = json_dot_str(cause, "field");
    size_t at_hook = 0;
    size_t at_manager = 0;
    size_t at_reason = keep_text(store, reason ? reason : "");
    size_t at_message = keep_text(store, safe.p ? safe.p : "");
    size_t at_field = keep_text(store, field ? field : "");
    bool has_hook = quoted_after(raw, "failed calling webhook ", store, &at_hook) ||
                    quoted_after(raw, "admission webhook ", store, &at_hook);
    bool has_manager = str_eq(json_dot_str(cause, "reason"), "FieldManagerConflict") &&
                       cause_message && quoted_after(cause_message, "", store, &at_manager);
    r->reason = store->p + at_reason;
    r->message = store->p + at_message;
    r->field = field ? store->p + at_field : NULL;
    r->webhook = has_hook ? store->p + at_hook : NULL;
    r->conflict_manager = has_manager ? store->p + at_manager : NULL;
}

void classify(struct kube_reply *r, const struct asked *a, const char *content_type,
              struct buf *store)
{
    struct err err = {0};
    CLEANUP(json_freep) json_t *status = NULL;
    bool is_json = content_type && str_starts(content_type, "application/json");
    if (r->http >= 400 && is_json && !canon_read(r->body, r->body_len, &status, &err))
        err_clear(&err);
    const char *raw = json_dot_str(status, "message");
    const char *field = NULL;
    if (!raw)
        raw = r->http >= 400 ? r->body : "";
    r->cls = class_of(r->http, status, raw, r->body, a, &field);
    if (r->cls == KUBE_OK)
        return;
    long long seconds = json_dot_int(status, "details.retryAfterSeconds", -1);
    if (seconds >= 0 && seconds <= 3600 && r->retry_after_ms < 0)
        r->retry_after_ms = seconds * 1000;
    fill_texts(r, status, raw, field, a, store);
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
        return err_set(err, ERR_DENIED, "%s: the API server does not accept the credentials (%s)",
                       what, m);
    return err_set(err, kinds[r->cls], "%s: %s", what, m);
}
