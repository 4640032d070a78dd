// SPDX-License-Identifier: Apache-2.0
//
// Secrets that would stay closed: the keys are in the snapshot, so that it is tried.
#include <stdlib.h>
#include <string.h>

#include "restore/findings.h"
#include "restore/sealed.h"

#define SEALING_LABEL "sealedsecrets.bitnami.com/sealed-secrets-key"
#define SEALING_NAME "sealed-secrets-key"
#define AGE_KEY "AGE-SECRET-KEY-1"
#define AGE_KEY_CHARS 74
#define MAX_AGE_KEYS 1000
#define SHOWN_VALUES 5

// What is there to open with.
struct openers {
    const struct frozen *f;
    struct sealed_keys sealing;
    struct strv age; // recipients of the age keys
    json_t *secrets; // "ns/name": every Secret that comes back, or that an object makes
};

static char *place(const char *ns, const char *name)
{
    return str_printf("%s/%s", ns ? ns : "", name ? name : "");
}

// ---- what a Secret holds ----
static void find_age_keys(struct openers *x, const char *p, size_t len)
{
    const char *end = p + len;
    for (const char *at = p; at && x->age.len < MAX_AGE_KEYS; at++) {
        at = memmem(at, (size_t)(end - at), AGE_KEY, strlen(AGE_KEY));
        if (!at)
            return;
        char text[AGE_KEY_CHARS + 1] = "";
        struct age_identity id = {0};
        struct err err = {0};
        size_t n = (size_t)(end - at) < AGE_KEY_CHARS ? (size_t)(end - at) : AGE_KEY_CHARS;
        memcpy(text, at, n);
        if (age_identity_parse(text, &id, &err))
            strv_push_take(&x->age, age_recipient_text(id.public));
        err_clear(&err);
        crypto_wipe(text, sizeof(text));
        crypto_wipe(&id, sizeof(id));
    }
}

static void add_secret(struct openers *x, const json_t *doc)
{
    const char *name = json_dot_str(doc, "metadata.name");
    CLEANUP(str_freep) char *key = place(json_dot_str(doc, "metadata.namespace"), name);
    const char *member;
    json_t *v;
    json_object_set_new(x->secrets, key, json_true());
    if (json_label(doc, SEALING_LABEL) || (name && str_starts(name, SEALING_NAME)))
        sealed_keys_add(&x->sealing, doc);
    json_object_foreach(json_object_get(doc, "data"), member, v)
    {
        struct buf b = {0};
        const char *text = json_string_value(v);
        if (text && base64_decode(text, strlen(text), &b) && b.p)
            find_age_keys(x, b.p, b.len);
        buf_wipe(&b);
    }
}

// ---- what other objects make ----
static void add_made(struct openers *x, const struct object *o)
{
    static const struct {
        const char *group, *kind, *path; // path NULL: the object's own name
    } makers[] = {{"bitnami.com", "SealedSecret", NULL},
                  {"external-secrets.io", "ExternalSecret", "spec.target.name"},
                  {"cert-manager.io", "Certificate", "spec.secretName"}};
    for (size_t i = 0; i < ARRAY_LEN(makers); i++) {
        if (strcmp(makers[i].group, o->id.group) != 0 || strcmp(makers[i].kind, o->id.kind) != 0)
            continue;
        CLEANUP(json_freep) json_t *doc = object_doc(o);
        const char *named = makers[i].path ? json_dot_str(doc, makers[i].path) : NULL;
        CLEANUP(str_freep) char *key = place(o->id.namespace, named ? named : o->id.name);
        json_object_set_new(x->secrets, key, json_true());
    }
}

static void gather(struct openers *x)
{
    const struct desired *d = x->f->desired;
    for (size_t i = 0; i < x->f->zero.len; i++) {
        const struct zero_object *z = &x->f->zero.v[i];
        json_t *doc = NULL;
        struct err err = {0};
        if (!strcmp(z->id.kind, "Secret") && canon_read(z->body, z->body_len, &doc, &err))
            add_secret(x, doc);
        err_clear(&err); // its message may quote
        json_decref(doc);
    }
    for (size_t i = 0; i < d->objects.len; i++) {
        const struct object *o = &d->objects.v[i];
        add_made(x, o);
        if (strcmp(o->id.kind, "Secret") != 0 || *o->id.group)
            continue;
        CLEANUP(json_freep) json_t *doc = object_doc(o);
        add_secret(x, doc);
    }
}

// ---- what is to be opened ----
static void add(struct openers *x, const struct object *o, const char *text, struct findings *out)
{
    CLEANUP(str_freep) char *name = object_name(&o->id);
    findings_add(out, FINDING_SECRET, name, x->f->desired->apps.v[o->app]->name, text);
}

static void try_sealed(struct openers *x, const struct object *o, const json_t *doc,
                       struct findings *out)
{
    struct strv closed = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    sealed_unopened(&x->sealing, doc, &closed);
    if (closed.len && !x->sealing.v.len)
        buf_str(&b, "no sealed-secrets key is in the snapshot");
    else if (closed.len)
        buf_printf(&b, "none of the %zu sealed-secrets key%s in the snapshot opens ",
                   x->sealing.v.len, x->sealing.v.len == 1 ? "" : "s");
    for (size_t i = 0; x->sealing.v.len && i < closed.len && i < SHOWN_VALUES; i++)
        buf_printf(&b, "%s%s", i ? ", " : "", closed.v[i]);
    if (x->sealing.v.len && closed.len > SHOWN_VALUES)
        buf_printf(&b, " and %zu more", closed.len - SHOWN_VALUES);
    if (closed.len)
        add(x, o, b.p, out);
    strv_clear(&closed);
}

// Encrypted to age keys alone: others (a cloud's, PGP) are not ours to try.
static void try_sops(struct openers *x, const struct object *o, const json_t *doc,
                     struct findings *out)
{
    const json_t *age = json_dot(doc, "sops.age");
    static const char *const elsewhere[] = {"sops.kms", "sops.gcp_kms", "sops.azure_kv",
                                            "sops.hc_vault", "sops.pgp"};
    size_t i;
    json_t *v;
    for (size_t k = 0; k < ARRAY_LEN(elsewhere); k++)
        if (json_array_size(json_dot(doc, elsewhere[k])))
            return;
    json_array_foreach(age, i, v)
    {
        const char *recipient = json_dot_str(v, "recipient");
        if (recipient && strv_has(&x->age, recipient))
            return;
    }
    if (json_array_size(age))
        add(x, o, "no age key in the snapshot is one that SOPS encrypted it to", out);
}

static void need_secret(struct openers *x, const struct object *o, const char *ns, const char *name,
                        const char *what, struct findings *out)
{
    CLEANUP(str_freep) char *key = place(ns, name);
    CLEANUP(str_freep)
    char *text = str_printf("%s are in Secret %s, which is not in the snapshot", what, key);
    if (ns && !json_object_get(x->secrets, key))
        add(x, o, text, out);
}

static void try_store(struct openers *x, const struct object *o, const json_t *doc,
                      struct findings *out)
{
    struct secret_roots roots = {0};
    secret_roots_add(&roots, doc);
    for (size_t i = 0; i < roots.v.len; i++)
        need_secret(x, o, roots.v.v[i].namespace, roots.v.v[i].name, "its credentials", out);
    secret_roots_clear(&roots);
}

static void try_kustomization(struct openers *x, const struct object *o, const json_t *doc,
                              struct findings *out)
{
    const char *name = json_dot_str(doc, "spec.decryption.secretRef.name");
    if (name)
        need_secret(x, o, o->id.namespace, name, "its decryption keys", out);
}

static const struct {
    const char *group, *kind;
    void (*look)(struct openers *x, const struct object *o, const json_t *doc,
                 struct findings *out);
} tries[] = {
    {"bitnami.com", "SealedSecret", try_sealed},
    {"external-secrets.io", "SecretStore", try_store},
    {"external-secrets.io", "ClusterSecretStore", try_store},
    {"kustomize.toolkit.fluxcd.io", "Kustomization", try_kustomization},
};

void findings_of_secrets(const struct frozen *f, struct findings *out)
{
    struct openers x = {.f = f, .secrets = json_object()};
    gather(&x);
    for (size_t i = 0; i < f->desired->objects.len; i++) {
        const struct object *o = &f->desired->objects.v[i];
        if (memmem(o->body, o->body_len, "\"sops\"", strlen("\"sops\""))) {
            CLEANUP(json_freep) json_t *doc = object_doc(o);
            try_sops(&x, o, doc, out);
        }
        for (size_t k = 0; k < ARRAY_LEN(tries); k++) {
            if (strcmp(tries[k].group, o->id.group) != 0 || strcmp(tries[k].kind, o->id.kind) != 0)
                continue;
            CLEANUP(json_freep) json_t *doc = object_doc(o);
            tries[k].look(&x, o, doc, out);
        }
    }
    sealed_keys_clear(&x.sealing);
    strv_clear(&x.age);
    json_decref(x.secrets);
}
