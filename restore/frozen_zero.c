// SPDX-License-Identifier: Apache-2.0
//
// Secrets out of the pools, and what comes before everything else: live objects that no application
// owned, and of applications' Secrets what only the cluster had (docs/secret-zero.md). What must
// never come back is left out here too, whatever the snapshot holds.
#include <stdlib.h>
#include <string.h>

#include "restore/frozen_int.h"

#define OWN_NAMESPACE "regrow-system"

// ---- the pools ----
static bool take_secret(void *ctx, const json_t *line, const char *text, size_t len,
                        struct err *err)
{
    struct thaw *t = ctx;
    struct object_id id = {0};
    char *version = NULL;
    const char *from = json_dot_str(line, "from");
    const json_t *object = json_object_get(line, "object");
    (void)text;
    (void)len;
    if (!str_eq(from, "desired") && !str_eq(from, "live"))
        return err_set(err, ERR_CORRUPT, "a line in the pool of Secrets is of no known form");
    if (!object_id_of(object, &id, &version, err)) {
        err_clear(err); // its message may quote
        return err_set(err, ERR_CORRUPT, "a line in the pool of Secrets is no object");
    }
    CLEANUP(str_freep) char *key = object_key(&id);
    json_t *known = json_object_get(t->secrets, key);
    if (!known) {
        known = json_object();
        json_object_set_new(t->secrets, key, known);
    }
    if (!json_object_get(known, from)) { // the first list that holds it counts
        struct buf b = {0};
        canon_write(object, &b);
        json_object_set_new(known, from, json_stringn_nocheck(b.p, b.len));
        buf_wipe(&b);
    }
    object_id_clear(&id);
    free(version);
    return true;
}

bool thaw_secrets(struct thaw *t, struct err *err)
{
    return list_each_secret(t->r, t->root, take_secret, t, err);
}

void thaw_secrets_wipe(struct thaw *t)
{
    const char *key;
    const char *form;
    json_t *forms;
    json_t *text;
    json_object_foreach(t->secrets, key, forms)
    {
        json_object_foreach(forms, form, text)
        {
            crypto_wipe((char *)json_string_value(text), json_string_length(text));
        }
    }
}

// ---- what must not come back ----
// What a controller here makes for itself, or what belonged to the cluster that is gone.
static const struct never {
    const char *group, *kind;
} never[] = {
    {"acme.cert-manager.io", "Order"},
    {"acme.cert-manager.io", "Challenge"},
    {"cert-manager.io", "CertificateRequest"},
    {"coordination.k8s.io", "Lease"},
    {"discovery.k8s.io", "EndpointSlice"},
    {"", "Endpoints"},
    {"", "Event"},
    {"events.k8s.io", "Event"},
    {"", "Pod"},
    {"apps", "ReplicaSet"},
    {"argoproj.io", "AnalysisRun"},
    {"argoproj.io", "Experiment"},
};

static bool must_not_return(const struct object_id *id, const json_t *doc)
{
    size_t n = 0;
    const struct secret_rule *rules = secret_rules_default(&n);
    const struct secret_rule *rule = secret_rule_for(rules, n, doc);
    for (size_t i = 0; i < ARRAY_LEN(never); i++)
        if (!strcmp(never[i].group, id->group) && !strcmp(never[i].kind, id->kind))
            return true;
    return str_eq(id->namespace, OWN_NAMESPACE) || (rule && !rule->take);
}

// A SealedSecret refuses to write over a Secret it does not own, and makes it again anyway.
static bool is_sealed(const struct thaw *t, const struct object_id *id)
{
    struct object_id sealed = {(char *)"bitnami.com", (char *)"SealedSecret", id->namespace,
                               id->name};
    return !strcmp(id->kind, "Secret") && desired_find(t->d, &sealed) != NULL;
}

// ---- the set ----
// Takes nothing; the document is changed.
static bool add_zero(struct thaw *t, json_t *doc, const char *rule, struct err *err)
{
    struct zero_object z = {0};
    struct buf b = {0};
    capture_strip(doc);
    if (!object_id_of(doc, &z.id, &z.version, err))
        return false;
    if (must_not_return(&z.id, doc) || is_sealed(t, &z.id)) {
        object_id_clear(&z.id);
        free(z.version);
        return true;
    }
    canon_write(doc, &b);
    z.body_len = b.len;
    z.body = buf_take(&b);
    z.rule = str_dup_or_null(rule);
    *vec_push(&t->out->zero) = z;
    return true;
}

static bool live_document(struct thaw *t, const struct object_id *id, const json_t *row,
                          json_t **doc, struct err *err)
{
    *doc = NULL;
    if (!json_is_true(json_object_get(row, "secret")))
        return list_document(t->r, row, doc, err);
    CLEANUP(str_freep) char *key = object_key(id);
    const json_t *text = json_object_get(json_object_get(t->secrets, key), "live");
    return !text || canon_read(json_string_value(text), json_string_length(text), doc, err);
}

static bool add_live(struct thaw *t, const json_t *row, struct err *err)
{
    struct object_id id = thaw_id_of(row);
    struct object_id own = {0};
    char *version = NULL;
    CLEANUP(json_freep) json_t *doc = NULL;
    if (!id.kind || !id.name)
        return err_set(err, ERR_CORRUPT, "a live object without a name");
    CLEANUP(str_freep) char *name = object_name(&id);
    if (desired_find(t->d, &id))
        return true; // an application has it after all
    if (!live_document(t, &id, row, &doc, err))
        return err_wrap(err, "%s", name);
    if (!doc) {
        strv_push_take(&t->out->missing,
                       str_printf("%s (%s): its content is not in the snapshot", name,
                                  json_dot_str(row, "rule") ? json_dot_str(row, "rule") : "live"));
        return true;
    }
    bool ok = object_id_of(doc, &own, &version, err) &&
              (object_id_eq(&id, &own) ||
               err_set(err, ERR_CORRUPT, "its content is that of another object")) &&
              add_zero(t, doc, json_dot_str(row, "rule"), err);
    object_id_clear(&own);
    free(version);
    return ok || err_wrap(err, "%s", name);
}

// ---- what only the cluster had of a Secret that an application renders ----
// Members of `live` at that place which `desired` has not, or has empty.
static json_t *rest_of(const json_t *live, const json_t *desired, const char *place)
{
    const json_t *have = json_dot(live, place);
    const json_t *want = json_dot(desired, place);
    json_t *rest = json_object();
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)have, key, v)
    {
        if (!json_object_get(want, key))
            json_object_set(rest, key, v);
    }
    return rest;
}

static void set_rest(json_t *into, const char *key, json_t *rest_take)
{
    if (json_object_size(rest_take))
        json_object_set_new(into, key, rest_take);
    else
        json_decref(rest_take);
}

static bool add_rest(struct thaw *t, const json_t *desired, const json_t *live, struct err *err)
{
    json_t *data = rest_of(live, desired, "data");
    if (!json_object_size(data)) {
        json_decref(data);
        return true;
    }
    CLEANUP(json_freep)
    json_t *doc = json_pack("{s:s, s:s, s:{s:s*, s:s*}, s:o}", "apiVersion", "v1", "kind", "Secret",
                            "metadata", "name", json_dot_str(live, "metadata.name"), "namespace",
                            json_dot_str(live, "metadata.namespace"), "data", data);
    json_t *meta = json_object_get(doc, "metadata");
    const char *type = json_dot_str(desired, "type");
    type = type ? type : json_dot_str(live, "type");
    if (type)
        json_object_set_new(doc, "type", json_string(type));
    set_rest(meta, "labels", rest_of(live, desired, "metadata.labels"));
    set_rest(meta, "annotations", rest_of(live, desired, "metadata.annotations"));
    return add_zero(t, doc, NULL, err);
}

static bool read_form(const json_t *forms, const char *form, json_t **out, struct err *err)
{
    const json_t *text = json_object_get(forms, form);
    return canon_read(json_string_value(text), json_string_length(text), out, err);
}

static bool add_rests(struct thaw *t, struct err *err)
{
    const char *key;
    json_t *forms;
    json_object_foreach(t->secrets, key, forms)
    {
        CLEANUP(json_freep) json_t *desired = NULL;
        CLEANUP(json_freep) json_t *live = NULL;
        if (!json_object_get(forms, "desired") || !json_object_get(forms, "live"))
            continue;
        if (!read_form(forms, "desired", &desired, err) || !read_form(forms, "live", &live, err) ||
            !add_rest(t, desired, live, err))
            return false;
    }
    return true;
}

static int by_id(const void *a, const void *b)
{
    return object_id_cmp(&((const struct zero_object *)a)->id,
                         &((const struct zero_object *)b)->id);
}

bool thaw_zero(struct thaw *t, struct err *err)
{
    CLEANUP(json_freep) json_t *live = NULL;
    size_t i;
    json_t *row;
    if (!list_read(t->r, json_object_get(t->root, "live"), "objects", &live, err))
        return false;
    json_array_foreach(json_object_get(live, "objects"), i, row)
    {
        if (!add_live(t, row, err))
            return false;
    }
    if (!add_rests(t, err))
        return false;
    if (t->out->zero.len)
        qsort(t->out->zero.v, t->out->zero.len, sizeof(*t->out->zero.v), by_id);
    return true;
}
