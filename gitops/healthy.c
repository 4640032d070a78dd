// SPDX-License-Identifier: Apache-2.0
#include "gitops/healthy.h"

#include <ctype.h>
#include <string.h>

#include "gitops/json.h"

#define MAX_KEY 253
#define MAX_ODD 5 // lines about what cannot be believed

char *healthy_key(const char *tracking_name)
{
    char *key = str_ndup(tracking_name, MAX_KEY);
    for (char *p = key; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("-._", *p))
            *p = '-';
    return key;
}

bool healthy_is_revision(const char *s)
{
    size_t n = strspn(s, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._+:,-");
    return n <= HEALTHY_MAX_REVISION && !s[n] && strspn(s, ",") < n;
}

bool healthy_is_commit(const char *s)
{
    size_t n = strspn(s, "0123456789abcdef");
    return !s[n] && (n == 40 || n == 64);
}

char *healthy_revision(const struct strv *revisions)
{
    struct buf b CLEANUP(buf_clear) = {0};
    for (size_t i = 0; i < revisions->len; i++)
        buf_printf(&b, "%s%s", i ? "," : "", revisions->v[i]);
    return b.p && healthy_is_revision(b.p) ? buf_take(&b) : NULL;
}

// True: it had room.
static bool add(json_t *all, size_t *bytes, const char *name, const char *revision)
{
    CLEANUP(str_freep) char *key = healthy_key(name);
    size_t n = strlen(key) + strlen(revision);
    if (*bytes + n > HEALTHY_MAX_BYTES)
        return false;
    *bytes += n;
    json_object_set_new(all, key, json_string(revision));
    return true;
}

json_t *healthy_of_all(const struct desired *d, size_t *left_out)
{
    json_t *all = json_object();
    size_t bytes = 0;
    *left_out = 0;
    if (d->apps.len && d->root_commit && healthy_is_commit(d->root_commit))
        add(all, &bytes, d->apps.v[0]->tracking_name, d->root_commit);
    for (size_t i = 1; i < d->apps.len; i++) {
        const struct application *a = d->apps.v[i];
        CLEANUP(str_freep)
        char *revision =
            a->state == APP_KNOWN && !a->is_passing ? healthy_revision(&a->revisions) : NULL;
        *left_out += revision && !add(all, &bytes, a->tracking_name, revision);
    }
    return all;
}

static void note_odd(struct strv *odd, const char *key)
{
    CLEANUP(str_freep) char *shown = healthy_key(key); // it may hold anything
    if (odd->len < MAX_ODD)
        strv_push_take(odd, str_printf("ConfigMap regrow-system/" HEALTHY_MAP
                                       ": what stands at %.60s is no revision and does not count",
                                       shown));
}

json_t *healthy_read(const json_t *config_map, const char *root_key, struct strv *odd)
{
    json_t *all = json_object();
    const char *key;
    json_t *v;
    json_object_foreach(json_object_get((json_t *)config_map, "data"), key, v)
    {
        const char *s = json_string_value(v);
        bool is_root = str_eq(key, root_key);
        if (s && (is_root ? healthy_is_commit(s) : healthy_is_revision(s)))
            json_object_set(all, key, v);
        else
            note_odd(odd, key);
    }
    return all;
}

json_t *healthy_patch(const json_t *is, const json_t *wanted)
{
    json_t *patch = json_object();
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)is, key, v)
    {
        if (!json_object_get(wanted, key))
            json_object_set_new(patch, key, json_null());
    }
    json_object_foreach((json_t *)wanted, key, v)
    {
        if (!json_equal(v, json_object_get(is, key)))
            json_object_set(patch, key, v);
    }
    if (json_object_size(patch))
        return patch;
    json_decref(patch);
    return NULL;
}

char *healthy_of_status(const json_t *application)
{
    const json_t *sync = json_dot(application, "status.sync");
    const json_t *list = json_object_get(sync, "revisions");
    const char *one = json_dot_str(sync, "revision");
    struct strv revisions = {0};
    size_t i;
    json_t *v;
    if (!str_eq(json_dot_str(sync, "status"), "Synced") ||
        !str_eq(json_dot_str(application, "status.health.status"), "Healthy"))
        return NULL;
    if (!json_array_size(list) && one)
        strv_push(&revisions, one);
    json_array_foreach(list, i, v)
    {
        const char *s = json_string_value(v);
        strv_push(&revisions, s ? s : "");
    }
    char *out = healthy_revision(&revisions);
    strv_clear(&revisions);
    return out;
}

bool healthy_is_current(const struct application *a, const char *revision)
{
    const char *at = revision;
    for (size_t i = 0; i < a->revisions.len && i < a->sources.len; i++) {
        size_t n = at ? strcspn(at, ",") : 0;
        const char *want = a->revisions.v[i];
        bool is_git = a->sources.v[i].kind == APP_SOURCE_GIT;
        if (is_git && *want && (n != strlen(want) || strncmp(at, want, n) != 0))
            return false;
        at = at && at[n] ? at + n + 1 : NULL;
    }
    return true;
}
