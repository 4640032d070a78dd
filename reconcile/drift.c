// SPDX-License-Identifier: Apache-2.0
#include "reconcile/drift.h"

#include <stdlib.h>
#include <string.h>

#define MAX_MANAGERS 64 // of one object; what more there are is not looked at
#define MAX_VALUE 1024
#define MAX_DEPTH 100
#define ITEM_KEYS 8 // names that tell the items of a list apart

// Of the server's making.
static const char *const metadata_made[] = {
    "resourceVersion",   "generation", "managedFields",     "uid",
    "creationTimestamp", "selfLink",   "deletionTimestamp", "deletionGracePeriodSeconds"};

struct owner {
    const char *manager, *time;
    bool is_ours;
};

struct drift {
    const struct drift_opts *o;
    json_t *out;
    size_t total;
    bool is_secret;
    struct owner owners[MAX_MANAGERS];
    size_t n_owners;
    int last; // the one of others that wrote last; -1: none
};

// Where in both documents we are. fields: what each manager owns there; NULL: nothing, `whole`:
// all of it.
struct place {
    struct buf *pointer;
    const json_t *live_marks, *want_marks;
    const json_t *fields[MAX_MANAGERS];
    int depth;
};

static const json_t whole_set = {.type = JSON_NULL, .refcount = (size_t)-1};

// ---- who ----
static void read_owners(struct drift *d, const json_t *live, struct place *p)
{
    size_t i;
    json_t *m;
    d->last = -1;
    json_array_foreach(json_dot(live, "metadata.managedFields"), i, m)
    {
        if (d->n_owners >= MAX_MANAGERS)
            break;
        if (!strcmp(json_dot_text(m, "subresource"), "status"))
            continue;
        struct owner *w = &d->owners[d->n_owners];
        *w = (struct owner){.manager = json_dot_text(m, "manager"),
                            .time = json_dot_text(m, "time")};
        w->is_ours = str_eq(w->manager, d->o->manager);
        // Both in RFC 3339 and UTC, to the second: text tells which is later.
        if (!w->is_ours && (d->last < 0 || strcmp(w->time, d->owners[d->last].time) >= 0))
            d->last = (int)d->n_owners;
        p->fields[d->n_owners++] = json_object_get(m, "fieldsV1");
    }
}

// The owner of a place, another than us if there is one, the latest of them; -1: nobody.
static int owner_of(const struct drift *d, const struct place *p)
{
    int best = -1;
    for (size_t i = 0; i < d->n_owners; i++) {
        const struct owner *w = &d->owners[i];
        if (!p->fields[i])
            continue;
        const struct owner *b = best < 0 ? NULL : &d->owners[best];
        if (!b || (b->is_ours && !w->is_ours) ||
            (b->is_ours == w->is_ours && strcmp(w->time, b->time) > 0))
            best = (int)i;
    }
    return best;
}

// ---- telling ----
// The value as it is told; *cut: only its beginning. Owned.
static json_t *shown(const json_t *v, bool *cut)
{
    struct buf b CLEANUP(buf_clear) = {0};
    canon_write(v, &b);
    if (b.len <= MAX_VALUE)
        return json_deep_copy(v);
    size_t n = MAX_VALUE;
    while (n && ((unsigned char)b.p[n] & 0xc0) == 0x80)
        n--;
    *cut = true;
    return json_stringn(b.p, n);
}

static void tell(struct drift *d, const struct place *p, const char *op, const json_t *want,
                 const json_t *live)
{
    bool cut = false;
    int who = live ? owner_of(d, p) : -1;
    if (d->total++ >= DRIFT_MAX)
        return;
    json_t *v = json_pack("{s:s, s:s}", "path", p->pointer->p ? p->pointer->p : "", "op", op);
    if (want && !d->is_secret)
        json_object_set_new(v, "from", shown(want, &cut));
    if (live && !d->is_secret)
        json_object_set_new(v, "to", shown(live, &cut));
    if (cut)
        json_object_set_new(v, "cut", json_true());
    who = who >= 0 ? who : d->last;
    if (who >= 0) {
        json_object_set_new(v, "manager", json_string(d->owners[who].manager));
        if (*d->owners[who].time)
            json_object_set_new(v, "time", json_string(d->owners[who].time));
    }
    json_array_append_new(d->out, v);
}

// ---- going down ----
static const json_t *below(const json_t *marks, const char *key)
{
    return json_is_object(marks) ? json_object_get(marks, key) : NULL;
}

static void compare(struct drift *d, const json_t *live, const json_t *want, const struct place *p);

// What each manager owns of a field, or of a list's item.
static void descend(const struct drift *d, const struct place *p, const char *field,
                    const json_t *item, size_t index, struct place *out)
{
    CLEANUP(str_freep) char *key = field ? str_printf("f:%s", field) : NULL;
    for (size_t i = 0; i < d->n_owners; i++) {
        const json_t *set = p->fields[i];
        const char *element;
        json_t *sub;
        out->fields[i] = NULL;
        if (set && (set == &whole_set || fields_is_leaf(set))) {
            // A map or list owned whole; "." alone is only that it is there.
            out->fields[i] = json_object_get(set, ".") ? NULL : &whole_set;
        } else if (set && key) {
            out->fields[i] = json_object_get(set, key);
        } else if (set) {
            json_object_foreach((json_t *)set, element, sub)
            {
                if (item && fields_is_item(item, index, element))
                    out->fields[i] = sub;
            }
        }
    }
}

static bool is_passed_over(const struct place *p, const char *key)
{
    if (p->depth == 0)
        return !strcmp(key, "status");
    if (p->depth != 1 || strcmp(p->pointer->p, "/metadata") != 0)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(metadata_made); i++)
        if (!strcmp(key, metadata_made[i]))
            return true;
    return false;
}

static bool step_in(struct drift *d, const struct place *p, const char *key, const json_t *item,
                    size_t index, struct place *out)
{
    *out = (struct place){.pointer = p->pointer,
                          .live_marks = below(p->live_marks, key),
                          .want_marks = below(p->want_marks, key),
                          .depth = p->depth + 1};
    if (json_is_true(out->live_marks) || json_is_true(out->want_marks) || p->depth >= MAX_DEPTH)
        return false;
    descend(d, p, item ? NULL : key, item, index, out);
    return true;
}

static void compare_field(struct drift *d, const struct place *p, const char *key,
                          const json_t *live, const json_t *want)
{
    struct place in;
    size_t len = p->pointer->len;
    if (is_passed_over(p, key) || json_equal(live, want) || !step_in(d, p, key, NULL, 0, &in))
        return;
    json_pointer_add(p->pointer, key);
    compare(d, live, want, &in);
    p->pointer->len = len;
    p->pointer->p[len] = '\0';
}

static void compare_maps(struct drift *d, const json_t *live, const json_t *want,
                         const struct place *p)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)want, key, v)
    {
        compare_field(d, p, key, json_object_get(live, key), v);
    }
    json_object_foreach((json_t *)live, key, v)
    {
        if (!json_object_get(want, key))
            compare_field(d, p, key, v, NULL);
    }
}

// ---- lists ----
// An item of a list, where it stands in it.
struct item {
    const json_t *v;
    size_t index;
    bool is_taken;
};
typedef VEC(struct item) items;

// Those that are not ignored.
static void list_items(const json_t *list, const json_t *marks, items *out)
{
    size_t i;
    json_t *v;
    json_array_foreach(list, i, v)
    {
        CLEANUP(str_freep) char *key = str_printf("%zu", i);
        if (!json_is_true(below(marks, key)))
            *vec_push(out) = (struct item){v, i, false};
    }
}

// The names of the keys that managers tell the items apart by; none: there are no such keys.
static size_t item_keys(const struct drift *d, const struct place *p, json_t **keys)
{
    for (size_t i = 0; i < d->n_owners; i++) {
        const char *element;
        json_t *sub;
        if (!p->fields[i] || p->fields[i] == &whole_set)
            continue;
        json_object_foreach((json_t *)p->fields[i], element, sub)
        {
            if (!str_starts(element, "k:"))
                continue;
            *keys = json_loads(element + 2, 0, NULL);
            if (json_is_object(*keys) && json_object_size(*keys) <= ITEM_KEYS)
                return json_object_size(*keys);
            json_decref(*keys);
            *keys = NULL;
        }
    }
    return 0;
}

static bool is_same_item(const json_t *a, const json_t *b, const json_t *keys)
{
    const char *k;
    json_t *v;
    json_object_foreach((json_t *)keys, k, v)
    {
        const json_t *x = json_object_get(a, k);
        if (!x || !json_equal(x, json_object_get(b, k)))
            return false;
    }
    return true;
}

static void compare_item(struct drift *d, const struct place *p, const struct item *live,
                         const struct item *want)
{
    struct place in;
    size_t len = p->pointer->len;
    size_t index = live ? live->index : want->index;
    const json_t *a = live ? live->v : NULL;
    const json_t *b = want ? want->v : NULL;
    CLEANUP(str_freep) char *key = str_printf("%zu", index);
    if (json_equal(a, b) || !step_in(d, p, key, a ? a : b, index, &in))
        return;
    in.want_marks = NULL;
    if (want) {
        CLEANUP(str_freep) char *other = str_printf("%zu", want->index);
        in.want_marks = below(p->want_marks, other);
    }
    json_pointer_add(p->pointer, key);
    compare(d, a, b, &in);
    p->pointer->len = len;
    p->pointer->p[len] = '\0';
}

static void compare_keyed(struct drift *d, items *live, items *want, const json_t *keys,
                          const struct place *p)
{
    for (size_t i = 0; i < want->len; i++) {
        struct item *found = NULL;
        for (size_t k = 0; k < live->len && !found; k++)
            if (!live->v[k].is_taken && is_same_item(live->v[k].v, want->v[i].v, keys))
                found = &live->v[k];
        if (found)
            found->is_taken = true;
        compare_item(d, p, found, &want->v[i]);
    }
    for (size_t k = 0; k < live->len; k++)
        if (!live->v[k].is_taken)
            compare_item(d, p, &live->v[k], NULL);
}

// Without keys: what is equal at both ends is left aside, the rest is compared by place.
static void compare_plain(struct drift *d, const items *live, const items *want,
                          const struct place *p)
{
    size_t head = 0;
    size_t tail = 0;
    size_t least = live->len < want->len ? live->len : want->len;
    while (head < least && json_equal(live->v[head].v, want->v[head].v))
        head++;
    while (tail < least - head &&
           json_equal(live->v[live->len - 1 - tail].v, want->v[want->len - 1 - tail].v))
        tail++;
    for (size_t i = head; i < live->len - tail || i < want->len - tail; i++)
        compare_item(d, p, i < live->len - tail ? &live->v[i] : NULL,
                     i < want->len - tail ? &want->v[i] : NULL);
}

static void compare_lists(struct drift *d, const json_t *live, const json_t *want,
                          const struct place *p)
{
    CLEANUP(json_freep) json_t *keys = NULL;
    items a = {0};
    items b = {0};
    list_items(live, p->live_marks, &a);
    list_items(want, p->want_marks, &b);
    if (item_keys(d, p, &keys))
        compare_keyed(d, &a, &b, keys, p);
    else
        compare_plain(d, &a, &b, p);
    vec_clear(&a);
    vec_clear(&b);
}

static void compare(struct drift *d, const json_t *live, const json_t *want, const struct place *p)
{
    if (json_is_object(live) && json_is_object(want))
        compare_maps(d, live, want, p);
    else if (json_is_array(live) && json_is_array(want))
        compare_lists(d, live, want, p);
    else
        tell(d, p, !live ? "remove" : !want ? "add" : "replace", want, live);
}

json_t *drift_of(const struct object_id *id, const json_t *live, const json_t *would_be,
                 const struct drift_opts *o, size_t *total)
{
    struct buf pointer CLEANUP(buf_clear) = {0};
    struct drift d = {.o = o,
                      .out = json_array(),
                      .is_secret = !strcmp(id->group, "") && !strcmp(id->kind, "Secret")};
    struct place top = {.pointer = &pointer};
    buf_reserve(&pointer, 64);
    read_owners(&d, live, &top);
    CLEANUP(json_freep) json_t *live_marks = NULL;
    CLEANUP(json_freep) json_t *want_marks = NULL;
    if (live && o->ignore) {
        top.live_marks = live_marks = ignored_marks(o->ignore, id, live, live, o->jq);
        top.want_marks = want_marks = ignored_marks(o->ignore, id, would_be, live, o->jq);
    }
    if (live)
        compare(&d, live, would_be, &top);
    else
        json_array_append_new(d.out, json_pack("{s:s, s:s}", "path", "", "op", "remove"));
    if (total)
        *total = live ? d.total : 1;
    return d.out;
}

static char *short_text(const json_t *v)
{
    struct buf b CLEANUP(buf_clear) = {0};
    canon_write(v, &b);
    return b.len <= 60 ? buf_take(&b) : str_printf("%.57s...", b.p);
}

char *drift_text(const json_t *x)
{
    const json_t *from = json_object_get(x, "from");
    const json_t *to = json_object_get(x, "to");
    CLEANUP(str_freep) char *was = from ? short_text(from) : NULL;
    CLEANUP(str_freep) char *is = to ? short_text(to) : NULL;
    const char *path = json_dot_text(x, "path");
    struct buf b CLEANUP(buf_clear) = {0};
    buf_printf(&b, "%s %s", json_dot_text(x, "op"), *path ? path : "all of it");
    if (was)
        buf_printf(&b, ": %s", was);
    if (is)
        buf_printf(&b, "%s %s", was ? ", is" : ":", is);
    if (json_dot_str(x, "manager"))
        buf_printf(&b, ", by %s", json_dot_str(x, "manager"));
    return buf_take(&b);
}

// ---- leaving out, and taking over ----
// Takes out what is marked, from the end so that places stay what they are.
static void take_out(json_t *doc, const json_t *marks)
{
    const char *key;
    json_t *sub;
    json_object_foreach((json_t *)marks, key, sub)
    {
        if (json_is_object(doc) && json_is_true(sub))
            json_object_del(doc, key);
        else if (json_is_object(doc))
            take_out(json_object_get(doc, key), sub);
    }
    for (size_t i = json_array_size(doc); i-- > 0 && json_is_object(marks);) {
        CLEANUP(str_freep) char *index = str_printf("%zu", i);
        sub = json_object_get(marks, index);
        if (json_is_true(sub))
            json_array_remove(doc, i);
        else
            take_out(json_array_get(doc, i), sub);
    }
}

void drift_leave_out(const struct object_id *id, json_t *live, json_t *would_be,
                     const struct drift_opts *o)
{
    CLEANUP(json_freep) json_t *a = ignored_marks(o->ignore, id, live, live, o->jq);
    CLEANUP(json_freep) json_t *b = ignored_marks(o->ignore, id, would_be, live, o->jq);
    take_out(live, a);
    take_out(would_be, b);
}

static void set_at(json_t *doc, const char *key, json_t *value)
{
    long long i;
    if (json_is_object(doc)) {
        json_object_set(doc, key, value);
    } else if (json_is_array(doc) && str_to_int(key, 0, UINT32_MAX, &i)) {
        if ((size_t)i < json_array_size(doc))
            json_array_set(doc, (size_t)i, value);
    }
}

static json_t *child(const json_t *doc, const char *key)
{
    long long i;
    if (json_is_array(doc))
        return str_to_int(key, 0, UINT32_MAX, &i) ? json_array_get(doc, (size_t)i) : NULL;
    return json_object_get(doc, key);
}

static size_t count_named(const json_t *list, const char *name)
{
    size_t i;
    json_t *v;
    size_t n = 0;
    json_array_foreach(list, i, v) n += str_eq(json_dot_str(v, "name"), name);
    return n;
}

// Is all the same that tells two items apart: what is no map or list, and not ignored?
static bool is_alike(const json_t *a, const json_t *b, const json_t *marks)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)a, key, v)
    {
        bool tells = !json_is_object(v) && !json_is_array(v) && !json_is_true(below(marks, key));
        if (tells && !json_equal(v, json_object_get(b, key)))
            return false;
    }
    return true;
}

// What stands in the live document for a child of ours: an item of a list by its name, if it has
// one, as others may stand before it. A name that is there twice (subjects, volumeMounts) needs the
// other keys; NULL when they do not tell either.
static json_t *partner(const json_t *doc, const json_t *live, const char *key, const json_t *marks)
{
    const json_t *ours = child(doc, key);
    const char *name = json_is_array(doc) ? json_dot_str(ours, "name") : NULL;
    json_t *found = NULL;
    size_t i;
    json_t *v;
    if (!name)
        return child(live, key);
    bool is_one = count_named(doc, name) <= 1 && count_named(live, name) <= 1;
    json_array_foreach(live, i, v)
    {
        if (!str_eq(json_dot_str(v, "name"), name) || (!is_one && !is_alike(ours, v, marks)))
            continue;
        if (found)
            return NULL;
        found = v;
    }
    return found;
}

static void take_live(json_t *doc, const json_t *live, const json_t *marks)
{
    const char *key;
    json_t *sub;
    json_object_foreach((json_t *)marks, key, sub)
    {
        json_t *theirs = partner(doc, live, key, sub);
        if (!theirs && json_is_array(doc))
            continue; // an item that is not known to be there stays as Git has it
        if (!json_is_true(sub))
            take_live(child(doc, key), theirs, sub);
        else if (theirs)
            set_at(doc, key, theirs);
        else if (json_is_object(doc))
            json_object_del(doc, key);
    }
}

void drift_respect(const struct object_id *id, json_t *desired, const json_t *live,
                   const struct drift_opts *o)
{
    CLEANUP(json_freep) json_t *marks = ignored_marks(o->ignore, id, desired, live, o->jq);
    CLEANUP(json_freep) json_t *copy = json_deep_copy(live);
    take_live(desired, copy, marks);
}
