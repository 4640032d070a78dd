// SPDX-License-Identifier: Apache-2.0
//
// Manifests and Secrets of each step, and the list of steps that restore.sh goes through.
#include <stdlib.h>
#include <string.h>

#include "gitops/gitops.h"
#include "snapshot/export_int.h"
#include "snapshot/lists.h"

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_dot_str(o, key);
    return s ? s : "";
}

static bool is_secret(const json_t *row)
{
    return json_is_true(json_object_get(row, "secret"));
}

// ---- what is waited for, and how kubectl is asked ----
static const struct {
    const char *group, *kind, *how;
    bool is_workload; // waited for at the end, if nobody did before
} waits[] = {
    {"apiextensions.k8s.io", "CustomResourceDefinition", "Established", false},
    {"apiregistration.k8s.io", "APIService", "Available", false},
    {"apps", "Deployment", "rollout", true},
    {"apps", "StatefulSet", "rollout", true},
    {"apps", "DaemonSet", "rollout", true},
    {"batch", "Job", "Complete", true},
    {"", "Pod", "Ready", true},
    {"cert-manager.io", "Certificate", "Ready", true},
    {"cert-manager.io", "Issuer", "Ready", true},
    {"cert-manager.io", "ClusterIssuer", "Ready", true},
    {"external-secrets.io", "SecretStore", "Ready", true},
    {"external-secrets.io", "ClusterSecretStore", "Ready", true},
    {"external-secrets.io", "ExternalSecret", "Ready", true},
};

// In a line of words a name is one word. All kinds of the table have such names.
static bool is_word(const char *s)
{
    return *s && strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:_-") ==
                     strlen(s);
}

// "NAMESPACE Kind.version.group/name", or NULL.
static char *target_of(const json_t *row)
{
    const char *group = text_of(row, "group");
    const char *ns = text_of(row, "namespace");
    const char *version = text_of(row, "version");
    const char *kind = text_of(row, "kind");
    const char *name = text_of(row, "name");
    if (!is_word(kind) || !is_word(name) || (*ns && !is_word(ns)) || (*group && !is_word(group)) ||
        (*group && !is_word(version)))
        return NULL;
    return str_printf("%s %s%s%s%s%s/%s", *ns ? ns : "-", kind, *group ? "." : "",
                      *group ? version : "", *group ? "." : "", group, name);
}

static void add_wait(struct export *x, const struct export_object *o, bool is_hard, bool at_end)
{
    CLEANUP(str_freep) char *target = target_of(o->row);
    for (size_t i = 0; target && i < ARRAY_LEN(waits); i++)
        if (str_eq(waits[i].group, text_of(o->row, "group")) &&
            str_eq(waits[i].kind, text_of(o->row, "kind")) && (!at_end || waits[i].is_workload))
            buf_printf(&x->steps, "wait %s %s %s\n", is_hard ? "must" : "may", waits[i].how,
                       target);
}

// ---- Secrets ----

static bool add_line(void *ctx, const json_t *line, const char *text, size_t len, struct err *err)
{
    struct export *x = ctx;
    (void)text;
    (void)len;
    const char *from = json_dot_str(line, "from");
    json_t *object = json_object_get(line, "object");
    struct object_id id = {0};
    char *version = NULL;
    if (!from || !object_id_of(object, &id, &version, err))
        return err_is_set(err) ? false : err_set(err, ERR_CORRUPT, "a Secret from nowhere");
    CLEANUP(str_freep) char *key = object_key(&id);
    object_id_clear(&id);
    free(version);
    json_t *forms = json_object_get(x->secrets, key);
    if (!forms) {
        forms = json_object();
        json_object_set_new(x->secrets, key, forms);
    }
    if (!json_object_get(forms, from))
        json_object_set(forms, from, object);
    return true;
}

static bool read_secrets(struct export *x, struct err *err)
{
    return list_each_secret(x->rd, x->root, add_line, x, err) || err_wrap(err, "Secrets");
}

// As an application renders it, with what the cluster really had in it: what a rule took live would
// not be made again as it was. Owned; NULL: it is in no pool.
static json_t *secret_doc(const struct export *x, const char *key)
{
    const json_t *forms = json_object_get(x->secrets, key);
    const json_t *live = json_object_get(forms, "live");
    json_t *desired = json_object_get(forms, "desired");
    if (!live || !desired)
        return json_deep_copy(live ? live : desired);
    json_t *doc = json_deep_copy(desired);
    json_t *data = json_object_get(live, "data");
    if (data)
        json_object_set(doc, "data", data);
    return doc;
}

// ---- a step ----

struct step {
    struct buf manifests, secrets;
};

static void step_clear(struct step *s)
{
    buf_clear(&s->manifests);
    buf_wipe(&s->secrets);
}

static void add_doc(struct buf *to, const struct export_object *o, const json_t *doc)
{
    struct buf head CLEANUP(buf_clear) = {0};
    const json_t *origin = json_object_get(o->row, "origin");
    buf_printf(&head, "%s", o->app ? o->app : text_of(o->row, "rule"));
    if (*text_of(origin, "file"))
        buf_printf(&head, ", %s:%lld", text_of(origin, "file"), json_dot_int(origin, "line", 0));
    if (*text_of(o->source, "url"))
        buf_printf(&head, " in %s", text_of(o->source, "url"));
    for (size_t i = 0; i < head.len; i++) // a line break would end the comment
        if ((unsigned char)head.p[i] < 0x20 || head.p[i] == 0x7F)
            head.p[i] = '?';
    buf_printf(to, "---\n# %s\n", head.p);
    yaml_write(doc, to);
}

static bool read_object(struct export *x, const json_t *row, json_t **out, struct err *err)
{
    struct blob_id id;
    const char *hex = json_dot_str(row, "blob");
    return ((hex && blob_id_parse(hex, &id)) ||
            err_set(err, ERR_CORRUPT, "an object without content")) &&
           reader_json(x->rd, &id, 'o', out, err);
}

static bool add_object(struct export *x, struct step *s, struct export_object *o, struct err *err)
{
    CLEANUP(json_freep) json_t *doc = NULL;
    if (!is_secret(o->row)) {
        if (!read_object(x, o->row, &doc, err))
            return err_wrap(err, "%s", o->key);
        // kubectl knows no rollout of these.
        if (str_eq(json_dot_str(doc, "spec.updateStrategy.type"), "OnDelete"))
            o->is_unwatched = true;
        add_doc(&s->manifests, o, doc);
        x->out->objects++;
        return true;
    }
    if (x->o->without_secrets)
        return true;
    doc = secret_doc(x, o->key);
    if (doc) {
        add_doc(&s->secrets, o, doc);
        x->out->secrets++;
    } else {
        export_warn(x, "Secret %s/%s is not in the snapshot", text_of(o->row, "namespace"),
                    text_of(o->row, "name"));
    }
    return true;
}

static bool write_step(struct export *x, unsigned number, struct step *s, struct err *err)
{
    CLEANUP(str_freep) char *plain = str_printf("manifests/%04u.yaml", number);
    CLEANUP(str_freep) char *sealed = str_printf("secrets/%04u.yaml.age", number);
    struct buf age CLEANUP(buf_clear) = {0};
    x->out->steps += s->secrets.len || s->manifests.len;
    if (s->secrets.len) {
        buf_printf(&x->steps, "secrets %s\n", sealed);
        if (!age_seal(x->o->recipients, x->o->n_recipients, s->secrets.p, s->secrets.len, &age,
                      NULL, err) ||
            !export_add(x, sealed, &age, err))
            return false;
    }
    if (!s->manifests.len)
        return true;
    buf_printf(&x->steps, "apply %s\n", plain);
    return export_add(x, plain, &s->manifests, err);
}

// ---- before the first: what only the cluster had, and the namespaces it lies in ----

static bool is_there_anyway(const char *ns)
{
    return str_eq(ns, "default") || str_starts(ns, "kube-");
}

static bool add_namespace(struct export *x, const char *ns, struct buf *to, struct err *err)
{
    CLEANUP(json_freep) json_t *doc = NULL;
    CLEANUP(str_freep) char *key = str_printf("/Namespace//%s", ns);
    for (size_t i = 0; i < x->objects.len; i++) {
        const struct export_object *o = &x->objects.v[i];
        if (!o->is_sent || !str_eq(o->key, key))
            continue;
        if (!read_object(x, o->row, &doc, err))
            return false;
        add_doc(to, o, doc);
        return true;
    }
    doc = json_pack("{s:s, s:s, s:{s:s}}", "apiVersion", "v1", "kind", "Namespace", "metadata",
                    "name", ns);
    buf_str(to, "---\n");
    yaml_write(doc, to);
    return true;
}

static bool write_namespaces(struct export *x, struct err *err)
{
    struct strv names = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    size_t i;
    json_t *row;
    bool ok = true;
    json_array_foreach(x->live, i, row)
    {
        const char *ns = text_of(row, "namespace");
        bool counts = !is_secret(row) || !x->o->without_secrets;
        if (*ns && counts && !is_there_anyway(ns) && !strv_has(&names, ns))
            strv_push(&names, ns);
    }
    strv_sort(&names);
    for (size_t k = 0; ok && k < names.len; k++)
        ok = add_namespace(x, names.v[k], &b, err);
    strv_clear(&names);
    if (!ok || !b.len)
        return ok;
    buf_str(&x->steps, "apply manifests/0000-namespaces.yaml\n");
    return export_add(x, "manifests/0000-namespaces.yaml", &b, err);
}

static bool write_live(struct export *x, struct err *err)
{
    struct step s CLEANUP(step_clear) = {0};
    size_t i;
    json_t *row;
    bool ok = write_namespaces(x, err);
    json_array_foreach(x->live, i, row)
    {
        struct object_id id = {.group = (char *)text_of(row, "group"),
                               .kind = (char *)text_of(row, "kind"),
                               .namespace = (char *)json_dot_str(row, "namespace"),
                               .name = (char *)text_of(row, "name")};
        struct export_object o = {.row = row, .key = object_key(&id)};
        ok = ok && add_object(x, &s, &o, err);
        free(o.key);
    }
    return ok && write_step(x, 0, &s, err);
}

// ---- all of them ----

struct ranked {
    unsigned at, level;
    const char *key;
};

static int by_rank(const void *a, const void *b)
{
    const struct ranked *x = a;
    const struct ranked *y = b;
    if (x->level != y->level)
        return x->level < y->level ? -1 : 1;
    int c = strcmp(x->key, y->key);
    return c ? c : (x->at > y->at) - (x->at < y->at);
}

static bool write_levels(struct export *x, const struct ranked *v, size_t n, struct err *err)
{
    size_t next = 0;
    for (unsigned level = 0; level < x->order.levels; level++) {
        struct step s CLEANUP(step_clear) = {0};
        for (size_t i = 0; i < next; i++) {
            const struct export_node *node = &x->order.nodes.v[v[i].at];
            if (node->wait == level && !x->objects.v[v[i].at].is_unwatched)
                add_wait(x, &x->objects.v[v[i].at], node->is_hard, false);
        }
        for (; next < n && v[next].level == level; next++)
            if (!add_object(x, &s, &x->objects.v[v[next].at], err))
                return false;
        if (!write_step(x, level + 1, &s, err))
            return false;
    }
    return true;
}

// Hooks that go when they have succeeded.
static void add_deletions(struct export *x, const struct export_object *o)
{
    CLEANUP(str_freep) char *target = target_of(o->row);
    const json_t *list = json_object_get(o->row, "delete");
    size_t i;
    json_t *v;
    json_array_foreach(list, i, v)
    {
        if (target && str_eq(json_string_value(v), "HookSucceeded"))
            buf_printf(&x->steps, "delete %s\n", target);
    }
}

static bool write_all(struct export *x, struct err *err)
{
    struct ranked *v = mem_alloc((x->objects.len + 1) * sizeof(*v));
    size_t n = 0;
    for (unsigned i = 0; i < x->objects.len; i++)
        if (x->objects.v[i].is_sent)
            v[n++] = (struct ranked){i, x->order.nodes.v[i].level, x->objects.v[i].key};
    qsort(v, n, sizeof(*v), by_rank);
    bool ok = write_levels(x, v, n, err);
    for (size_t i = 0; ok && i < n; i++) {
        const struct export_object *o = &x->objects.v[v[i].at];
        if (x->order.nodes.v[v[i].at].wait == EXPORT_NO_WAIT && !o->is_unwatched)
            add_wait(x, o, false, true);
    }
    for (size_t i = 0; ok && i < n; i++)
        add_deletions(x, &x->objects.v[v[i].at]);
    free(v);
    return ok;
}

bool export_objects(struct export *x, struct err *err)
{
    CLEANUP(json_freep) json_t *live = NULL;
    if (!list_read(x->rd, json_object_get(x->root, "live"), "objects", &live, err))
        return false;
    x->live = json_incref(json_object_get(live, "objects"));
    return (x->o->without_secrets || read_secrets(x, err)) && write_live(x, err) &&
           write_all(x, err) && export_add(x, "steps", &x->steps, err);
}
