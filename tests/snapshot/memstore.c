// SPDX-License-Identifier: Apache-2.0
#include "tests/snapshot/memstore.h"

#include <assert.h>
#include <stdlib.h>

struct file {
    char *name;
    struct buf bytes;
    int64_t stored_at_ms;
    int64_t retained_ms;
    unsigned age; // higher: made later
};
struct memstore {
    struct store base;
    struct store_ops ops;
    VEC(struct file) files; // in no order
    int64_t now_ms;
    unsigned made;
    bool gives_sizes;
    bool is_dead;
    bool in_hook;
    memstore_fn fn;
    void *ctx;
    unsigned calls[MEM_OPS];
    unsigned fault_at; // 0: none
    enum memstore_fault fault;
};

static struct memstore *self(const struct store *s)
{
    return (struct memstore *)s;
}

static struct file *find(const struct memstore *m, const char *name)
{
    for (size_t i = 0; i < m->files.len; i++)
        if (!strcmp(m->files.v[i].name, name))
            return &m->files.v[i];
    return NULL;
}

static void drop(struct memstore *m, struct file *f)
{
    free(f->name);
    buf_clear(&f->bytes);
    *f = m->files.v[--m->files.len];
}

static struct file *put(struct memstore *m, const char *name, const void *p, size_t len)
{
    struct file *f = find(m, name);
    if (!f) {
        f = vec_push(&m->files);
        f->name = str_dup(name);
    }
    buf_reset(&f->bytes);
    buf_append(&f->bytes, p, len);
    f->stored_at_ms = m->now_ms;
    f->age = ++m->made;
    return f;
}

static const struct file *newest(const struct memstore *m, const char *prefix)
{
    const struct file *best = NULL;
    for (size_t i = 0; i < m->files.len; i++)
        if (str_starts(m->files.v[i].name, prefix) && (!best || m->files.v[i].age > best->age))
            best = &m->files.v[i];
    return best;
}

static unsigned total(const struct memstore *m)
{
    unsigned n = 0;
    for (unsigned op = 0; op < MEM_OPS; op++)
        n += m->calls[op];
    return n;
}

static bool gone(struct err *err)
{
    return err_set(err, ERR_UNAVAILABLE, "the store does not answer");
}

// How this call goes. False: it has failed already.
static bool ask(struct memstore *m, enum memstore_op op, const char *name, enum memstore_fault *how,
                struct err *err)
{
    *how = MEM_FINE;
    if (m->in_hook)
        return true;
    m->calls[op]++;
    if (m->is_dead)
        return gone(err);
    struct memstore_call call = {.op = op, .n = total(m), .name = name};
    if (m->fn) {
        m->in_hook = true;
        *how = m->fn(m->ctx, &call);
        m->in_hook = false;
    } else if (m->fault_at == call.n) {
        *how = m->fault;
    }
    m->is_dead |= *how == MEM_DIE || *how == MEM_DIE_AFTER;
    return (*how != MEM_FAIL && *how != MEM_DIE) || gone(err);
}

// What is said in the end of a call that was done.
static bool answer(enum memstore_fault how, struct err *err)
{
    return (how != MEM_LOSE && how != MEM_DIE_AFTER) || gone(err);
}

static void flip(struct buf *b, size_t from)
{
    if (b->len > from)
        b->p[from + (b->len - from) / 2] ^= 1;
}

static bool mem_create(struct store *s, const char *name, const void *p, size_t len,
                       const struct strv *needs, bool *made, struct err *err)
{
    (void)needs;
    struct memstore *m = self(s);
    enum memstore_fault how;
    bool existed = find(m, name) != NULL;
    if (!ask(m, MEM_CREATE, name, &how, err))
        return false;
    if (m->ops.traits.may_create_atomic)
        existed = find(m, name) != NULL; // the hook may have been faster
    *made = (existed == (how == MEM_CONTRARY)) || how == MEM_OVERWRITE;
    if (!*made || how == MEM_PRETEND)
        return answer(how, err);
    struct file *f = put(m, name, p, how == MEM_SHORT ? len / 2 : len);
    if (how == MEM_SHORT)
        return gone(err);
    if (how == MEM_FLIP)
        flip(&f->bytes, 0);
    return answer(how, err);
}

static bool mem_get(struct store *s, const char *name, size_t max_bytes, struct buf *out,
                    bool *found, struct err *err)
{
    struct memstore *m = self(s);
    enum memstore_fault how;
    if (!ask(m, MEM_GET, name, &how, err))
        return false;
    const struct file *f = find(m, name);
    *found = f && !(how == MEM_STALE && f == newest(m, ""));
    if (!*found)
        return answer(how, err);
    if (f->bytes.len > max_bytes)
        return err_set(err, ERR_CORRUPT, "larger than %zu bytes", max_bytes);
    size_t from = out->len;
    buf_append(out, f->bytes.p, how == MEM_SHORT ? f->bytes.len / 2 : f->bytes.len);
    if (how == MEM_FLIP)
        flip(out, from);
    return answer(how, err);
}

static bool mem_list(struct store *s, const char *prefix, struct store_items *out, struct err *err)
{
    struct memstore *m = self(s);
    enum memstore_fault how;
    if (!ask(m, MEM_LIST, prefix, &how, err))
        return false;
    const struct file *hidden = how == MEM_STALE ? newest(m, prefix) : NULL;
    for (size_t i = 0; i < m->files.len; i++) {
        const struct file *f = &m->files.v[i];
        if (!str_starts(f->name, prefix) || f == hidden)
            continue;
        struct store_item *it = vec_push(&out->v);
        it->name = str_dup(f->name);
        it->size = m->gives_sizes ? f->bytes.len : 0;
        it->stored_at_ms = f->stored_at_ms;
    }
    for (size_t keep = out->v.len / 2; how == MEM_SHORT && out->v.len > keep;)
        free(out->v.v[--out->v.len].name);
    return answer(how, err);
}

static bool mem_remove(struct store *s, const char *name, struct err *err)
{
    struct memstore *m = self(s);
    enum memstore_fault how;
    if (!ask(m, MEM_REMOVE, name, &how, err))
        return false;
    struct file *f = find(m, name);
    if (f && f->retained_ms > m->now_ms)
        return err_set(err, ERR_DENIED, "retained");
    if (f && how != MEM_PRETEND)
        drop(m, f);
    return answer(how, err);
}

static bool mem_now(struct store *s, int64_t *unix_ms, struct err *err)
{
    struct memstore *m = self(s);
    enum memstore_fault how;
    if (!ask(m, MEM_NOW, "", &how, err))
        return false;
    *unix_ms = m->now_ms;
    return answer(how, err);
}

static bool mem_retain(struct store *s, const char *name, int64_t until_unix_ms, struct err *err)
{
    struct memstore *m = self(s);
    enum memstore_fault how;
    if (!ask(m, MEM_RETAIN, name, &how, err))
        return false;
    struct file *f = find(m, name);
    if (!f)
        return err_set(err, ERR_NOT_FOUND, "not there");
    if (until_unix_ms > f->retained_ms)
        f->retained_ms = until_unix_ms;
    return answer(how, err);
}

static void mem_free(struct store *s)
{
    struct memstore *m = self(s);
    while (m->files.len)
        drop(m, &m->files.v[0]);
    vec_clear(&m->files);
    free(m->base.url);
    free(m);
}

void memstore_be(struct store *s, bool atomic, bool gives_sizes, bool has_retention)
{
    struct memstore *m = self(s);
    m->gives_sizes = gives_sizes;
    m->ops.traits.may_create_atomic = atomic;
    m->ops.traits.has_retention = has_retention;
    m->ops.retain = has_retention ? mem_retain : NULL;
}

struct store *memstore_new(void)
{
    struct memstore *m = mem_alloc(sizeof(*m));
    m->ops = (struct store_ops){
        .traits = {.kind = "memory"},
        .create = mem_create,
        .get = mem_get,
        .list = mem_list,
        .remove = mem_remove,
        .now = mem_now,
        .free = mem_free,
    };
    m->base.ops = &m->ops;
    m->base.url = str_dup("memory");
    m->now_ms = MEMSTORE_START_MS;
    memstore_be(&m->base, true, true, false);
    return &m->base;
}

struct store *memstore_clone(const struct store *s)
{
    const struct memstore *from = self(s);
    struct store *copy = memstore_new();
    struct memstore *m = self(copy);
    memstore_be(copy, from->ops.traits.may_create_atomic, from->gives_sizes,
                from->ops.traits.has_retention);
    for (size_t i = 0; i < from->files.len; i++) {
        const struct file *f = &from->files.v[i];
        struct file *g = put(m, f->name, f->bytes.p, f->bytes.len);
        g->stored_at_ms = f->stored_at_ms;
        g->retained_ms = f->retained_ms;
        g->age = f->age;
    }
    m->made = from->made;
    m->now_ms = from->now_ms;
    return copy;
}

void memstore_hook(struct store *s, memstore_fn fn, void *ctx)
{
    struct memstore *m = self(s);
    m->fn = fn;
    m->ctx = ctx;
    m->fault_at = 0;
    m->is_dead = false;
    memset(m->calls, 0, sizeof(m->calls));
}

void memstore_fault_at(struct store *s, unsigned n, enum memstore_fault fault)
{
    assert(n > 0);
    memstore_hook(s, NULL, NULL);
    self(s)->fault_at = n;
    self(s)->fault = fault;
}

unsigned memstore_calls(const struct store *s, enum memstore_op op)
{
    return op == MEM_OPS ? total(self(s)) : self(s)->calls[op];
}

void memstore_set_now(struct store *s, int64_t unix_ms)
{
    self(s)->now_ms = unix_ms;
}

void memstore_advance(struct store *s, int64_t ms)
{
    self(s)->now_ms += ms;
}

void memstore_age(struct store *s, int64_t ms)
{
    for (size_t i = 0; i < self(s)->files.len; i++)
        self(s)->files.v[i].stored_at_ms -= ms;
}

void memstore_put(struct store *s, const char *name, const void *p, size_t len)
{
    put(self(s), name, p, len);
}

void memstore_drop(struct store *s, const char *name)
{
    struct file *f = find(self(s), name);
    if (f)
        drop(self(s), f);
}

const struct buf *memstore_file(const struct store *s, const char *name)
{
    const struct file *f = find(self(s), name);
    return f ? &f->bytes : NULL;
}

size_t memstore_count(const struct store *s, const char *prefix)
{
    size_t n = 0;
    for (size_t i = 0; i < self(s)->files.len; i++)
        n += str_starts(self(s)->files.v[i].name, prefix);
    return n;
}

int64_t memstore_retained_ms(const struct store *s, const char *name)
{
    const struct file *f = find(self(s), name);
    return f ? f->retained_ms : 0;
}
