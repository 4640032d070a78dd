// SPDX-License-Identifier: Apache-2.0
#include "gitops/object.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "gitops/canon.h"
#include "gitops/json.h"
#include "gitops/names.h"

void object_id_clear(struct object_id *id)
{
    str_freep(&id->group);
    str_freep(&id->kind);
    str_freep(&id->namespace);
    str_freep(&id->name);
}

struct object_id object_id_dup(const struct object_id *id)
{
    return (struct object_id){str_dup_or_null(id->group), str_dup_or_null(id->kind),
                              str_dup_or_null(id->namespace), str_dup_or_null(id->name)};
}

int object_id_cmp(const struct object_id *a, const struct object_id *b)
{
    int c = str_cmp(a->group, b->group);
    if (!c)
        c = str_cmp(a->kind, b->kind);
    if (!c)
        c = str_cmp(a->namespace, b->namespace);
    return c ? c : str_cmp(a->name, b->name);
}

bool object_id_eq(const struct object_id *a, const struct object_id *b)
{
    return object_id_cmp(a, b) == 0;
}

// One path segment of the API: no slash, no control characters, not "." or "..".
static bool is_segment(const char *s, size_t len)
{
    if (!*s || len > 253 || strlen(s) != len || !strcmp(s, ".") || !strcmp(s, ".."))
        return false;
    for (; *s; s++)
        if (*s == '/' || *s == '%' || (unsigned char)*s <= ' ')
            return false;
    return true;
}

static bool split_api_version(const char *av, char **group, char **version)
{
    const char *slash = strchr(av, '/');
    const char *v = slash ? slash + 1 : av;
    if (!*v || strchr(v, '/') || (slash && slash == av))
        return false;
    *group = slash ? str_ndup(av, (size_t)(slash - av)) : str_dup("");
    *version = str_dup(v);
    return is_segment(v, strlen(v)) && (!**group || name_is_subdomain(*group, strlen(*group)));
}

static bool is_kind_name(const json_t *kind)
{
    const char *s = json_string_value(kind);
    size_t len = json_string_length(kind);
    bool ok = len <= 63 && isalpha((unsigned char)*s);
    for (size_t i = 0; ok && i < len; i++)
        ok = isalnum((unsigned char)s[i]) || s[i] == '-';
    return ok;
}

// Else the text that is shown looks as if nothing were wrong with it.
static const char *nul_words(const json_t *text)
{
    bool has = strlen(json_string_value(text)) != json_string_length(text);
    return has ? " and a NUL character" : "";
}

bool object_id_of(const json_t *doc, struct object_id *out, char **version, struct err *err)
{
    const char *av = json_dot_str(doc, "apiVersion");
    const char *kind = json_dot_str(doc, "kind");
    const char *name = json_dot_str(doc, "metadata.name");
    const json_t *ns = json_dot(doc, "metadata.namespace");
    const json_t *named = json_dot(doc, "metadata.name");
    if (!json_is_object(doc))
        return err_set(err, ERR_INVALID, "not a Kubernetes object");
    if (str_is_empty(av))
        return err_set(err, ERR_INVALID, "apiVersion is not set");
    if (str_is_empty(kind))
        return err_set(err, ERR_INVALID, "kind is not set");
    if (named && !json_is_null(named) && !json_is_string(named)) // "y" is true, 1e3 is a number
        return err_set(err, ERR_INVALID, "%.80s: metadata.name is not text; put it in quotes",
                       kind);
    if (str_is_empty(name))
        return err_set(err, ERR_INVALID, "%.80s has no metadata.name", kind);
    if (!is_kind_name(json_object_get(doc, "kind")))
        return err_set(err, ERR_INVALID, "\"%.80s\" is no kind", kind);
    if (!is_segment(name, json_string_length(named)))
        return err_set(err, ERR_INVALID, "%.80s has an impossible name: \"%.80s\"%s", kind, name,
                       nul_words(named));
    if (ns && !json_is_null(ns) && !json_is_string(ns))
        return err_set(err, ERR_INVALID,
                       "%.80s %.80s: metadata.namespace is not text; put it in quotes", kind, name);
    const char *n = json_string_value(ns);
    if (n && json_string_length(ns) && !name_is_label(n, json_string_length(ns)))
        return err_set(err, ERR_INVALID, "%.80s %.80s has an impossible namespace: \"%.80s\"%s",
                       kind, name, n, nul_words(ns));
    struct object_id id = {0};
    char *v = NULL;
    if (!split_api_version(av, &id.group, &v)) {
        object_id_clear(&id);
        free(v);
        return err_set(err, ERR_INVALID, "%.80s %.80s: apiVersion \"%.80s\" is malformed", kind,
                       name, av);
    }
    id.kind = str_dup(kind);
    id.name = str_dup(name);
    id.namespace = str_is_empty(n) ? NULL : str_dup(n);
    *out = id;
    *version = v;
    return true;
}

bool object_is_list(const json_t *doc)
{
    const char *kind = json_dot_str(doc, "kind");
    const json_t *items = json_object_get(doc, "items");
    if (!kind || !str_ends(kind, "List"))
        return false;
    // "items: null" is how programs write an empty list.
    return json_is_array(items) || (json_is_null(items) && !json_object_get(doc, "spec") &&
                                    !json_object_get(doc, "status"));
}

char *object_name(const struct object_id *id)
{
    if (id->namespace)
        return str_printf("%s %s/%s", id->kind, id->namespace, id->name);
    return str_printf("%s %s", id->kind, id->name);
}

char *object_key(const struct object_id *id)
{
    return str_printf("%s/%s/%s/%s", id->group ? id->group : "", id->kind,
                      id->namespace ? id->namespace : "", id->name);
}

char *origin_text(const struct origin *o)
{
    struct buf b = {0};
    if (o->file && o->line)
        buf_printf(&b, "%s:%u", o->file, o->line);
    else if (o->file)
        buf_str(&b, o->file);
    if (o->repo)
        buf_printf(&b, "%s%s", b.len ? " in " : "", o->repo);
    if (o->revision)
        buf_printf(&b, " @ %s", o->revision);
    return buf_take(&b);
}

// ---- a revision: a text and how many have it ----
struct counted {
    unsigned n;
    char text[];
};

static struct counted *counted_of(char *text)
{
    return (struct counted *)(text - offsetof(struct counted, text));
}

static void drop_revision(struct origin *o)
{
    struct counted *c = o->revision ? counted_of(o->revision) : NULL;
    if (c && --c->n == 0)
        free(c);
    o->revision = NULL;
}

void origin_set_revision(struct origin *o, const char *revision)
{
    size_t size = revision ? strlen(revision) + 1 : 0;
    struct counted *c = size ? mem_alloc(sizeof(*c) + size) : NULL;
    if (c) {
        c->n = 1;
        memcpy(c->text, revision, size);
    }
    drop_revision(o);
    o->revision = c ? c->text : NULL;
}

void origin_share_revision(struct origin *o, const struct origin *other)
{
    char *text = other->revision;
    if (text)
        counted_of(text)->n++;
    drop_revision(o);
    o->revision = text;
}

void origin_renew_revision(struct origin *o, const char *revision)
{
    if (str_eq(o->revision, revision))
        return;
    if (o->revision && revision && strlen(o->revision) == strlen(revision))
        memcpy(o->revision, revision, strlen(revision));
    else
        origin_set_revision(o, revision);
}

static struct origin without_revision(const struct origin *o)
{
    return (struct origin){str_dup_or_null(o->repo), NULL, str_dup_or_null(o->file), o->line,
                           o->source};
}

struct origin origin_dup(const struct origin *o)
{
    struct origin copy = without_revision(o);
    origin_set_revision(&copy, o->revision);
    return copy;
}

struct origin origin_share(const struct origin *o)
{
    struct origin copy = without_revision(o);
    origin_share_revision(&copy, o);
    return copy;
}

void origin_clear(struct origin *o)
{
    str_freep(&o->repo);
    drop_revision(o);
    str_freep(&o->file);
}

struct object object_share(struct object *o)
{
    if (!o->shares) {
        o->shares = mem_alloc(sizeof(*o->shares));
        o->shares->n = 1;
    }
    o->shares->n++;
    struct object copy = *o;
    copy.origin.revision = NULL;
    origin_share_revision(&copy.origin, &o->origin);
    return copy;
}

void object_own(struct object *o)
{
    struct object_shares *shares = o->shares;
    if (!shares)
        return;
    o->shares = NULL;
    if (--shares->n == 0) { // the others are gone
        free(shares);
        return;
    }
    o->id = object_id_dup(&o->id);
    o->version = str_dup_or_null(o->version);
    o->origin.repo = str_dup_or_null(o->origin.repo);
    o->origin.file = str_dup_or_null(o->origin.file);
    o->body = o->body ? str_ndup(o->body, o->body_len) : NULL;
}

void object_set_body(struct object *o, const json_t *doc)
{
    struct buf b = {0};
    object_own(o);
    canon_write(doc, &b);
    free(o->body);
    o->body_len = b.len;
    o->body = buf_take(&b);
    o->hash = sha256_of(o->body, o->body_len);
}

static json_t *read_body(const char *p, size_t len)
{
    struct err err = {0};
    json_t *doc = NULL;
    if (!p || !canon_read(p, len, &doc, &err)) {
        err_clear(&err);
        return json_object();
    }
    return doc;
}

json_t *object_doc(const struct object *o)
{
    return read_body(o->body, o->body_len);
}

json_t *object_outline(const struct object *o)
{
    static const struct canon_skip schemas[] = {{"openAPIV3Schema", 0}, {NULL, 0}};
    struct buf b CLEANUP(buf_clear) = {0};
    if (!o->body || strcmp(o->id.kind, "CustomResourceDefinition") != 0)
        return object_doc(o);
    canon_without(o->body, o->body_len, schemas, &b);
    return read_body(b.p, b.len);
}

void object_clear(struct object *o)
{
    if (o->shares && --o->shares->n) {
        drop_revision(&o->origin);
        *o = (struct object){0};
        return;
    }
    free(o->shares);
    o->shares = NULL;
    object_id_clear(&o->id);
    str_freep(&o->version);
    origin_clear(&o->origin);
    str_freep(&o->body);
}
