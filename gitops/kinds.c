// SPDX-License-Identifier: Apache-2.0
#include "gitops/kinds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/vec.h"
#include "gitops/json.h"

#define OLDEST_MINOR 31
#define NEWEST_MINOR 37

// flags: N namespaced, P can be patched, L can be listed.
static const struct {
    const char *group, *version, *kind, *plural, *short_names, *flags;
    int from, to;
} builtin[] = {
#include "gitops/kinds_builtin.inc"
};

struct kinds {
    VEC(struct kind_info *) all;
    // A hash table by group and kind: the first one's place in `all`, from 1, and who follows each.
    // It is asked several times of every object, whatever has changed.
    unsigned *slots;
    size_t n_slots; // a power of two
    VEC(unsigned) next;
    uint64_t sum;
};

struct kinds *kinds_new(void)
{
    struct kinds *k = mem_alloc(sizeof(*k));
    k->sum = 14695981039346656037U; // FNV-1a
    return k;
}

static void sum_up(struct kinds *k, const char *word)
{
    if (!word)
        word = "";
    do
        k->sum = (k->sum ^ (unsigned char)*word) * 1099511628211U;
    while (*word++);
}

static void sum_up_all(struct kinds *k, const char *group, const char *version, const char *kind,
                       char what, bool a, bool b)
{
    const char flags[] = {what, a ? 'y' : 'n', b ? 'y' : 'n', 0};
    sum_up(k, group);
    sum_up(k, version);
    sum_up(k, kind);
    sum_up(k, flags);
}

uint64_t kinds_sum(const struct kinds *k)
{
    return k->sum ? k->sum : 1;
}

static void info_free(struct kind_info *i)
{
    free(i->group);
    free(i->version);
    free(i->kind);
    free(i->plural);
    free(i);
}

void kinds_free(struct kinds *k)
{
    if (!k)
        return;
    for (size_t i = 0; i < k->all.len; i++)
        info_free(k->all.v[i]);
    vec_clear(&k->all);
    vec_clear(&k->next);
    free(k->slots);
    free(k);
}

static size_t slot_of(const struct kinds *k, const char *group, const char *kind)
{
    size_t h = 14695981039346656037U; // FNV-1a
    for (; *group; group++)
        h = (h ^ (unsigned char)*group) * 1099511628211U;
    h = (h ^ '/') * 1099511628211U;
    for (; *kind; kind++)
        h = (h ^ (unsigned char)*kind) * 1099511628211U;
    return (h ^ h >> 32) & (k->n_slots - 1);
}

// Where it is, or where it would go.
static unsigned *find_slot(const struct kinds *k, const char *group, const char *kind)
{
    size_t i = slot_of(k, group, kind);
    while (k->slots[i]) {
        const struct kind_info *x = k->all.v[k->slots[i] - 1];
        if (!strcmp(x->kind, kind) && !strcmp(x->group, group))
            break;
        i = (i + 1) & (k->n_slots - 1);
    }
    return &k->slots[i];
}

// The place of the first in `all`, from 1; 0: there is none.
static unsigned first_of(const struct kinds *k, const char *group, const char *kind)
{
    return k->n_slots && group && kind ? *find_slot(k, group, kind) : 0;
}

static unsigned after(const struct kinds *k, unsigned at)
{
    return k->next.v[at - 1];
}

static void grow(struct kinds *k)
{
    k->n_slots = k->n_slots ? 2 * k->n_slots : 256;
    free(k->slots);
    k->slots = mem_alloc(k->n_slots * sizeof(*k->slots));
    for (unsigned i = 0; i < k->all.len; i++) {
        unsigned *slot = find_slot(k, k->all.v[i]->group, k->all.v[i]->kind);
        if (!*slot)
            *slot = i + 1;
    }
}

// Behind those of its group and kind; it is the last of `all`.
static void enlist(struct kinds *k, const struct kind_info *x)
{
    unsigned *at = NULL;
    *vec_push(&k->next) = 0;
    if (2 * k->all.len > k->n_slots)
        grow(k);
    at = find_slot(k, x->group, x->kind);
    while (*at && *at != k->all.len)
        at = &k->next.v[*at - 1];
    *at = (unsigned)k->all.len;
}

static struct kind_info *find_exact(const struct kinds *k, const char *group, const char *version,
                                    const char *kind)
{
    for (unsigned at = first_of(k, group, kind); at; at = after(k, at))
        if (!strcmp(k->all.v[at - 1]->version, version))
            return k->all.v[at - 1];
    return NULL;
}

static struct kind_info *add(struct kinds *k, const char *group, const char *version,
                             const char *kind, const char *plural)
{
    struct kind_info *x = find_exact(k, group, version, kind);
    if (x) {
        str_set(&x->plural, plural);
        return x;
    }
    x = mem_alloc(sizeof(*x));
    x->group = str_dup(group);
    x->version = str_dup(version);
    x->kind = str_dup(kind);
    x->plural = str_dup(plural);
    x->can_patch = x->can_list = true;
    *vec_push(&k->all) = x;
    enlist(k, x);
    return x;
}

struct kinds *kinds_dup(const struct kinds *k)
{
    struct kinds *out = kinds_new();
    for (size_t i = 0; k && i < k->all.len; i++) {
        const struct kind_info *x = k->all.v[i];
        struct kind_info *y = add(out, x->group, x->version, x->kind, x->plural);
        y->is_namespaced = x->is_namespaced;
        y->is_served = x->is_served;
        y->is_builtin = x->is_builtin;
        y->can_patch = x->can_patch;
        y->can_list = x->can_list;
    }
    out->sum = k ? k->sum : out->sum;
    return out;
}

void kinds_add_builtin(struct kinds *k, int minor)
{
    if (minor < OLDEST_MINOR)
        minor = OLDEST_MINOR;
    if (minor > NEWEST_MINOR)
        minor = NEWEST_MINOR;
    sum_up(k, (const char[]){'b', (char)minor, 0});
    for (size_t i = 0; i < ARRAY_LEN(builtin); i++) {
        if (minor < builtin[i].from || minor > builtin[i].to)
            continue;
        struct kind_info *x =
            add(k, builtin[i].group, builtin[i].version, builtin[i].kind, builtin[i].plural);
        x->is_namespaced = strchr(builtin[i].flags, 'N') != NULL;
        x->can_patch = strchr(builtin[i].flags, 'P') != NULL;
        x->can_list = strchr(builtin[i].flags, 'L') != NULL;
        x->is_builtin = true;
    }
}

void kinds_add(struct kinds *k, const char *group, const char *version, const char *kind,
               const char *plural, bool is_namespaced, bool is_served)
{
    struct kind_info *x = add(k, group, version, kind, plural);
    sum_up_all(k, group, version, kind, 'k', is_namespaced, is_served);
    sum_up(k, plural);
    x->is_namespaced = is_namespaced;
    x->is_served = x->is_served || is_served;
}

void kinds_set_verbs(struct kinds *k, const char *group, const char *version, const char *kind,
                     bool can_patch, bool can_list)
{
    struct kind_info *x = find_exact(k, group, version, kind);
    if (!x)
        return;
    sum_up_all(k, group, version, kind, 'v', can_patch, can_list);
    x->can_patch = can_patch;
    x->can_list = can_list;
}

void kinds_add_crd(struct kinds *k, const json_t *crd)
{
    const char *group = json_dot_str(crd, "spec.group");
    const char *kind = json_dot_str(crd, "spec.names.kind");
    const char *plural = json_dot_str(crd, "spec.names.plural");
    const char *scope = json_dot_str(crd, "spec.scope");
    if (str_is_empty(group) || str_is_empty(kind) || str_is_empty(plural))
        return;
    size_t i;
    json_t *v;
    json_array_foreach(json_dot(crd, "spec.versions"), i, v)
    {
        const char *name = json_dot_str(v, "name");
        if (!str_is_empty(name) && json_dot_bool(v, "served", true))
            kinds_add(k, group, name, kind, plural, str_eq(scope, "Namespaced"), false);
    }
}

void kinds_set_served(struct kinds *k, const char *group, const char *kind, bool is_served)
{
    sum_up_all(k, group, "", kind, 's', is_served, is_served);
    for (unsigned at = first_of(k, group, kind); at; at = after(k, at))
        k->all.v[at - 1]->is_served = is_served;
}

// v2 before v1 before v1beta2 before v1beta1 before v1alpha1.
static long version_rank(const char *v)
{
    int major = 0;
    int minor = 0;
    if (sscanf(v, "v%dbeta%d", &major, &minor) == 2)
        return 1000000L + major * 1000L + minor;
    if (sscanf(v, "v%dalpha%d", &major, &minor) == 2)
        return major * 1000L + minor;
    if (sscanf(v, "v%d", &major) == 1)
        return 2000000L + major * 1000L;
    return -1;
}

static const struct kind_info *better(const struct kind_info *a, const struct kind_info *b)
{
    if (!a || (b->is_served && !a->is_served))
        return b;
    if (a->is_served && !b->is_served)
        return a;
    return version_rank(b->version) > version_rank(a->version) ? b : a;
}

const struct kind_info *kinds_find(const struct kinds *k, const char *group, const char *version,
                                   const char *kind)
{
    if (version)
        return find_exact(k, group, version, kind);
    const struct kind_info *best = NULL;
    for (unsigned at = first_of(k, group, kind); at; at = after(k, at))
        best = better(best, k->all.v[at - 1]);
    return best;
}

// Is `name` one of the names between commas?
static bool is_one_of(const char *names, const char *name)
{
    const size_t n = strlen(name);
    while (n && *names) {
        size_t len = strcspn(names, ",");
        if (len == n && !strncasecmp(names, name, n))
            return true;
        names += len + (names[len] == ',');
    }
    return false;
}

static const char *kind_of_short_name(const char *name, const char **group)
{
    for (size_t i = 0; i < ARRAY_LEN(builtin); i++) {
        if (is_one_of(builtin[i].short_names, name)) {
            *group = builtin[i].group;
            return builtin[i].kind;
        }
    }
    return NULL;
}

const struct kind_info *kinds_find_name(const struct kinds *k, const char *name)
{
    const char *short_group = NULL;
    const char *short_kind = kind_of_short_name(name, &short_group);
    if (short_kind) {
        const struct kind_info *x = kinds_find(k, short_group, NULL, short_kind);
        if (x)
            return x;
    }
    const char *dot = strchr(name, '.');
    size_t n = dot ? (size_t)(dot - name) : strlen(name);
    const struct kind_info *best = NULL;
    for (size_t i = 0; i < k->all.len; i++) {
        const struct kind_info *x = k->all.v[i];
        bool same = (strlen(x->kind) == n && !strncasecmp(x->kind, name, n)) ||
                    (strlen(x->plural) == n && !strncasecmp(x->plural, name, n));
        if (!same || (dot && strcasecmp(dot + 1, x->group) != 0))
            continue;
        // Of the same name in several groups the built-in one is meant.
        if (best && best->is_builtin && !x->is_builtin && strcmp(best->group, x->group) != 0)
            continue;
        best = better(best, x);
    }
    return best;
}

size_t kinds_count(const struct kinds *k)
{
    return k->all.len;
}

const struct kind_info *kinds_get(const struct kinds *k, size_t i)
{
    return k->all.v[i];
}

static void append_segment(struct buf *b, const char *s)
{
    buf_char(b, '/');
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     strchr("-._~:@", c);
        if (plain)
            buf_char(b, (char)c);
        else
            buf_printf(b, "%%%02X", c);
    }
}

char *kind_path(const struct kind_info *k, const char *ns, const char *name)
{
    struct buf b = {0};
    buf_str(&b, *k->group ? "/apis" : "/api");
    if (*k->group)
        append_segment(&b, k->group);
    append_segment(&b, k->version);
    if (k->is_namespaced && !str_is_empty(ns)) {
        buf_str(&b, "/namespaces");
        append_segment(&b, ns);
    }
    append_segment(&b, k->plural);
    if (!str_is_empty(name))
        append_segment(&b, name);
    return buf_take(&b);
}

void kinds_api_versions(const struct kinds *k, struct strv *out)
{
    for (size_t i = 0; i < k->all.len; i++) {
        const struct kind_info *x = k->all.v[i];
        CLEANUP(str_freep)
        char *gv = *x->group ? str_printf("%s/%s", x->group, x->version) : str_dup(x->version);
        strv_push(out, gv);
        strv_push_take(out, str_printf("%s/%s", gv, x->kind));
    }
    strv_sort(out);
    size_t kept = 0;
    for (size_t i = 0; i < out->len; i++) {
        if (kept && !strcmp(out->v[kept - 1], out->v[i]))
            free(out->v[i]);
        else
            out->v[kept++] = out->v[i];
    }
    out->len = kept;
}
