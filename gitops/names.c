// SPDX-License-Identifier: Apache-2.0
#include "gitops/names.h"

#include <ctype.h>
#include <string.h>

#include "gitops/json.h"

#define MAX_LABEL 63
#define MAX_SUBDOMAIN 253
#define MAX_ANNOTATIONS (256U << 10) // bytes of all keys and values

static bool is_lower(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alnum(char c)
{
    return is_lower(c) || (c >= 'A' && c <= 'Z');
}

bool name_is_label(const char *s, size_t len)
{
    if (!len || len > MAX_LABEL || !is_lower(s[0]) || !is_lower(s[len - 1]))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!is_lower(s[i]) && s[i] != '-')
            return false;
    return true;
}

bool name_is_subdomain(const char *s, size_t len)
{
    if (!len || len > MAX_SUBDOMAIN)
        return false;
    for (size_t at = 0; at <= len;) {
        size_t n = 0;
        while (at + n < len && s[at + n] != '.')
            n++;
        // Unlike a label that stands alone, one of these may be of any length.
        if (!n || !is_lower(s[at]) || !is_lower(s[at + n - 1]))
            return false;
        for (size_t i = at; i < at + n; i++)
            if (!is_lower(s[i]) && s[i] != '-')
                return false;
        at += n + 1;
    }
    return true;
}

// "App_name.1"
static bool is_word(const char *s, size_t len)
{
    if (!len || len > MAX_LABEL || !is_alnum(s[0]) || !is_alnum(s[len - 1]))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!is_alnum(s[i]) && s[i] != '-' && s[i] != '_' && s[i] != '.')
            return false;
    return true;
}

bool name_is_key(const char *s, size_t len)
{
    const char *slash = memchr(s, '/', len);
    size_t prefix = slash ? (size_t)(slash - s) : 0;
    if (!slash)
        return is_word(s, len);
    return name_is_subdomain(s, prefix) && is_word(slash + 1, len - prefix - 1);
}

bool name_is_label_value(const char *s, size_t len)
{
    return !len || is_word(s, len);
}

// ---- documents ----
// Others are less strict (roles may be "system:x"), or nobody here knows their rule.
static const struct {
    const char *group, *kinds;
    bool is_label;
} strict[] = {
    {"", " Namespace Service ", true},
    {"",
     " ConfigMap Secret ServiceAccount Pod PersistentVolume PersistentVolumeClaim LimitRange "
     "ReplicationController ResourceQuota Endpoints ",
     false},
    {"apps", " Deployment StatefulSet DaemonSet ReplicaSet ", false},
    {"batch", " Job CronJob ", false},
    {"networking.k8s.io", " Ingress IngressClass NetworkPolicy ", false},
    {"policy", " PodDisruptionBudget ", false},
    {"autoscaling", " HorizontalPodAutoscaler ", false},
    {"storage.k8s.io", " StorageClass ", false},
    {"scheduling.k8s.io", " PriorityClass ", false},
    {"apiextensions.k8s.io", " CustomResourceDefinition ", false},
    {"argoproj.io", " Application ApplicationSet AppProject ", false},
};

static bool is_among(const char *kinds, const char *kind)
{
    CLEANUP(str_freep) char *word = str_printf(" %s ", kind);
    return strstr(kinds, word) != NULL;
}

bool name_check(const json_t *doc, const char *group, const char *kind, struct err *err)
{
    const json_t *name = json_dot(doc, "metadata.name");
    const char *s = json_string_value(name);
    size_t len = json_string_length(name);
    for (size_t i = 0; s && i < ARRAY_LEN(strict); i++) {
        if (strcmp(strict[i].group, group) != 0 || !is_among(strict[i].kinds, kind))
            continue;
        if (strict[i].is_label && !name_is_label(s, len))
            return err_set(err, ERR_INVALID,
                           "\"%.80s\" is no name for it: lower-case letters, digits and - "
                           "between them, at most %d",
                           s, MAX_LABEL);
        if (!strict[i].is_label && !name_is_subdomain(s, len))
            return err_set(err, ERR_INVALID,
                           "\"%.80s\" is no name for it: lower-case letters, digits, and - "
                           "and . between them, at most %d",
                           s, MAX_SUBDOMAIN);
    }
    return true;
}

static bool check_keys(const json_t *meta, const char *field, size_t *bytes, struct err *err)
{
    const char *key;
    json_t *v;
    json_object_foreach(json_object_get(meta, field), key, v)
    {
        // The prefix of an annotation's key may have capitals.
        CLEANUP(str_freep) char *lower = str_dup(key);
        for (char *p = lower; *p && *field == 'a'; p++)
            *p = (char)tolower((unsigned char)*p);
        if (!name_is_key(lower, strlen(lower)))
            return err_set(err, ERR_INVALID,
                           "metadata.%s: \"%.80s\" is no key: letters, digits and -_. between "
                           "them, at most %d, behind a domain and / or without",
                           field, key, MAX_LABEL);
        *bytes += strlen(key) + json_string_length(v);
        if (*field == 'l' && !name_is_label_value(json_string_value(v), json_string_length(v)))
            return err_set(err, ERR_INVALID,
                           "metadata.labels.%.80s: \"%.80s\" is no value of a label: letters, "
                           "digits and -_. between them, at most %d",
                           key, json_string_value(v), MAX_LABEL);
    }
    return true;
}

bool name_check_metadata(const json_t *meta, struct err *err)
{
    size_t bytes = 0;
    if (!check_keys(meta, "labels", &bytes, err))
        return false;
    bytes = 0;
    if (!check_keys(meta, "annotations", &bytes, err))
        return false;
    if (bytes > MAX_ANNOTATIONS)
        return err_set(err, ERR_INVALID, "metadata.annotations have %zu bytes, more than %u", bytes,
                       MAX_ANNOTATIONS);
    return true;
}
