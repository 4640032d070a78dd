// SPDX-License-Identifier: Apache-2.0
#include "restore/mapping.h"

#include <stdlib.h>
#include <string.h>

#include "restore/mapping_int.h"

static const struct {
    const char *name;
    enum map_kind kind;
} kinds[] = {{"cluster", MAP_CLUSTER},
             {"host", MAP_HOST},
             {"storageClass", MAP_STORAGE_CLASS},
             {"registry", MAP_REGISTRY}};

// ---- what is given ----
static bool bad(const char *given, const char *why, struct err *err)
{
    err_set(err, ERR_USAGE, "--map \"%.200s\": %s", given, why);
    return err_hint(err, "It is KIND=OLD=NEW, such as host=old.example.com=new.example.com or "
                         "registry=registry.old:5000=registry.new; KIND is cluster, host, "
                         "storageClass or registry.");
}

static bool is_url(const char *s)
{
    return strstr(s, "://") != NULL;
}

static void trim_slash(char *s)
{
    size_t n = strlen(s);
    while (n && s[n - 1] == '/')
        s[--n] = 0;
}

static bool parse_one(const char *given, struct mapping *m, struct err *err)
{
    const char *eq = strchr(given, '=');
    const char *second = eq ? strchr(eq + 1, '=') : NULL;
    size_t n = eq ? (size_t)(eq - given) : 0;
    size_t k = 0;
    while (k < ARRAY_LEN(kinds) &&
           (strlen(kinds[k].name) != n || strncmp(kinds[k].name, given, n) != 0))
        k++;
    if (!eq || k == ARRAY_LEN(kinds))
        return bad(given, "it names no kind of mapping", err);
    if (!second || second == eq + 1 || !second[1] || strchr(second + 1, '='))
        return bad(given, "one old and one new name are wanted", err);
    *m = (struct mapping){.kind = kinds[k].kind,
                          .text = str_dup(given),
                          .from = str_ndup(eq + 1, (size_t)(second - eq - 1)),
                          .to = str_dup(second + 1)};
    trim_slash(m->from);
    trim_slash(m->to);
    if (!*m->from || !*m->to)
        return bad(given, "one old and one new name are wanted", err);
    if (!strcmp(m->from, m->to))
        return bad(given, "OLD and NEW are the same", err);
    if (m->kind == MAP_CLUSTER && is_url(m->from) != is_url(m->to))
        return bad(given, "a server's URL becomes a URL, a name a name", err);
    if (m->kind == MAP_HOST && str_starts(m->from, "*.") != str_starts(m->to, "*."))
        return bad(given, "all hosts of a domain (*.old) go to those of another (*.new)", err);
    return true;
}

bool mappings_parse(const struct strv *given, struct mappings *out, struct err *err)
{
    *out = (struct mappings){0};
    for (size_t i = 0; i < given->len; i++) {
        struct mapping *m = vec_push(&out->v);
        if (!parse_one(given->v[i], m, err))
            return false;
        for (size_t k = 0; k < i; k++)
            if (out->v.v[k].kind == m->kind && !strcmp(out->v.v[k].from, m->from))
                return bad(given->v[i], "its old name is mapped twice", err);
    }
    return true;
}

// ---- what becomes of a value ----
// All of a host, or with "*.old" what ends in ".old".
static char *map_host(const struct mapping *m, const char *value)
{
    size_t n = strlen(m->from) - 1;
    size_t len = strlen(value);
    if (!strcasecmp(value, m->from))
        return str_dup(m->to);
    if (!str_starts(m->from, "*.") || len <= n || strcasecmp(value + len - n, m->from + 1) != 0)
        return NULL;
    return str_printf("%.*s%s", (int)(len - n), value, m->to + 1);
}

static char *map_cluster(const struct mapping *m, const char *value)
{
    size_t n = strlen(m->from);
    const char *rest = strncmp(value, m->from, n) ? NULL : value + n;
    bool same = rest && rest[strspn(rest, "/")] == 0;
    return same ? str_dup(m->to) : NULL;
}

// "nginx:1" is docker.io/library/nginx:1.
static char *full_image(const char *image)
{
    size_t n = strcspn(image, "/");
    bool has_host = image[n] && (memchr(image, '.', n) || memchr(image, ':', n) ||
                                 !strncmp(image, "localhost/", 10));
    if (!has_host)
        return str_printf("docker.io/%s%s", image[n] ? "" : "library/", image);
    if (!strncmp(image, "index.docker.io/", 16) || !strncmp(image, "registry-1.docker.io/", 21))
        return full_image(image + n + 1);
    // Before there were names of two parts on it: docker.io/nginx.
    if (!strncmp(image, "docker.io/", 10) && !strchr(image + 10, '/'))
        return str_printf("docker.io/library/%s", image + 10);
    return str_dup(image);
}

// A registry, or a path in it: "registry.old", "docker.io/library".
static char *map_registry(const struct mapping *m, const char *value)
{
    CLEANUP(str_freep) char *full = full_image(value);
    size_t n = strlen(m->from);
    if (strncmp(full, m->from, n) != 0 || full[n] != '/')
        return NULL;
    return str_printf("%s%s", m->to, full + n);
}

static char *map_value(const struct mapping *m, const char *value)
{
    switch (m->kind) {
    case MAP_CLUSTER:
        return map_cluster(m, value);
    case MAP_HOST:
        return map_host(m, value);
    case MAP_STORAGE_CLASS:
        return strcmp(m->from, value) ? NULL : str_dup(m->to);
    case MAP_REGISTRY:
        return map_registry(m, value);
    }
    return NULL;
}

// The closest one: of several that fit the one that says most of the old name.
char *mapping_new_value(const struct mappings *m, enum map_kind kind, const char *value,
                        unsigned *which)
{
    char *best = NULL;
    size_t length = 0;
    for (unsigned i = 0; i < m->v.len; i++) {
        const struct mapping *x = &m->v.v[i];
        size_t n = strlen(x->from) * 2 + !str_starts(x->from, "*."); // the host itself before all
        char *to = x->kind == kind ? map_value(x, value) : NULL;
        if (to && n > length) {
            free(best);
            best = to;
            length = n;
            *which = i;
        } else {
            free(to);
        }
    }
    if (best && !strcmp(best, value))
        str_freep(&best);
    return best;
}

void mapping_note(struct changing *c, unsigned which, const char *pointer, const char *from,
                  const char *to)
{
    *vec_push(&c->m->hits) = (struct mapping_hit){.mapping = which,
                                                  .object = c->object,
                                                  .id = object_id_dup(c->id),
                                                  .pointer = str_dup(pointer),
                                                  .from = str_dup(from),
                                                  .to = str_dup(to)};
    c->m->v.v[which].places++;
    c->is_changed = true;
}

// ---- the whole ----
// How many objects each has changed.
static void count_objects(struct mappings *m, size_t first)
{
    for (unsigned i = 0; i < m->v.len; i++)
        for (size_t k = first; k < m->hits.len; k++)
            if (m->hits.v[k].mapping == i) {
                m->v.v[i].objects++;
                break;
            }
}

bool mappings_change(struct mappings *m, const struct object_id *id, int object, json_t *doc)
{
    struct changing c = {.m = m, .id = id, .object = object, .doc = doc};
    size_t first = m->hits.len;
    mapping_fields(&c);
    count_objects(m, first);
    return c.is_changed;
}

// Reading a document costs more than looking whether it can have anything of that.
static bool may_change(const struct mappings *m, const struct object_id *id, const char *body)
{
    for (size_t i = 0; i < m->v.len; i++) {
        const struct mapping *x = &m->v.v[i];
        const char *text = x->from + (str_starts(x->from, "*.") ? 1 : 0);
        bool is_coded = x->kind == MAP_CLUSTER && !*id->group && !strcmp(id->kind, "Secret");
        bool is_default = x->kind == MAP_REGISTRY && str_starts(x->from, "docker.io");
        if (is_coded || is_default || strcasestr(body, text))
            return true;
    }
    return false;
}

static void change_zero(struct mappings *m, struct zero_object *z)
{
    struct err err = {0};
    json_t *doc = NULL;
    if (!may_change(m, &z->id, z->body) || !canon_read(z->body, z->body_len, &doc, &err)) {
        err_clear(&err); // it was written by us
        return;
    }
    if (mappings_change(m, &z->id, MAPPING_LIVE, doc)) {
        struct buf b = {0};
        canon_write(doc, &b);
        crypto_wipe(z->body, z->body_len);
        free(z->body);
        z->body_len = b.len;
        z->body = buf_take(&b);
    }
    json_decref(doc);
}

void mappings_apply(struct mappings *m, struct frozen *f)
{
    for (unsigned i = 0; m->v.len && i < f->desired->objects.len; i++) {
        struct object *o = &f->desired->objects.v[i];
        if (!may_change(m, &o->id, o->body))
            continue;
        CLEANUP(json_freep) json_t *doc = object_doc(o);
        if (mappings_change(m, &o->id, (int)i, doc))
            object_set_body(o, doc);
    }
    for (size_t i = 0; m->v.len && i < f->zero.len; i++)
        change_zero(m, &f->zero.v[i]);
}

const struct mapping *mappings_unused(const struct mappings *m)
{
    for (size_t i = 0; i < m->v.len; i++)
        if (!m->v.v[i].places)
            return &m->v.v[i];
    return NULL;
}

void mappings_clear(struct mappings *m)
{
    for (size_t i = 0; i < m->v.len; i++) {
        free(m->v.v[i].text);
        free(m->v.v[i].from);
        free(m->v.v[i].to);
    }
    for (size_t i = 0; i < m->hits.len; i++) {
        struct mapping_hit *h = &m->hits.v[i];
        object_id_clear(&h->id);
        free(h->pointer);
        free(h->from);
        free(h->to);
    }
    vec_clear(&m->v);
    vec_clear(&m->hits);
}
