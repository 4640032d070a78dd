// SPDX-License-Identifier: Apache-2.0
#include "snapshot/idmap.h"

#include <stdlib.h>
#include <string.h>

static size_t first_slot(const struct idmap *m, const struct blob_id *id)
{
    uint64_t h;
    memcpy(&h, id->b, sizeof(h));
    return (size_t)h & (m->cap - 1);
}

// The slot of the id, or the free one where it would go.
static struct idmap_slot *find(const struct idmap *m, const struct blob_id *id)
{
    size_t i = first_slot(m, id);
    while (m->slots[i].is_used && !blob_id_eq(&m->slots[i].id, id))
        i = (i + 1) & (m->cap - 1);
    return &m->slots[i];
}

static void grow(struct idmap *m)
{
    struct idmap old = *m;
    m->cap = old.cap ? old.cap * 2 : 64;
    m->slots = mem_alloc(m->cap * sizeof(*m->slots));
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].is_used)
            *find(m, &old.slots[i].id) = old.slots[i];
    free(old.slots);
}

bool idmap_set(struct idmap *m, const struct blob_id *id, uint32_t value)
{
    if ((m->len + 1) * 4 > m->cap * 3)
        grow(m);
    struct idmap_slot *s = find(m, id);
    bool is_new = !s->is_used;
    *s = (struct idmap_slot){.id = *id, .value = value, .is_used = true};
    m->len += is_new;
    return is_new;
}

bool idmap_get(const struct idmap *m, const struct blob_id *id, uint32_t *value)
{
    const struct idmap_slot *s = m->cap ? find(m, id) : NULL;
    if (!s || !s->is_used)
        return false;
    *value = s->value;
    return true;
}

bool idmap_has(const struct idmap *m, const struct blob_id *id)
{
    uint32_t ignored;
    return idmap_get(m, id, &ignored);
}

void idmap_clear(struct idmap *m)
{
    free(m->slots);
    *m = (struct idmap){0};
}
