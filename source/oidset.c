// SPDX-License-Identifier: Apache-2.0
#include "source/oidset.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

static size_t slot_of(const struct oidset *s, const git_oid *id)
{
    size_t at;
    memcpy(&at, id->id, sizeof(at));
    for (at &= s->cap - 1; s->with[at]; at = (at + 1) & (s->cap - 1))
        if (git_oid_equal(&s->slots[at], id))
            break;
    return at;
}

void oidset_rebuild(struct oidset *s, size_t cap, uint32_t most)
{
    struct oidset old = *s;
    *s = (struct oidset){.slots = mem_realloc(NULL, cap, sizeof(*s->slots)),
                         .with = mem_alloc(cap * sizeof(*s->with)),
                         .cap = cap};
    for (size_t i = 0; i < old.cap; i++) {
        if (!old.with[i] || old.with[i] > most)
            continue;
        size_t at = slot_of(s, &old.slots[i]);
        s->slots[at] = old.slots[i];
        s->with[at] = old.with[i];
        s->len++;
    }
    free(old.slots);
    free(old.with);
}

bool oidset_add(struct oidset *s, const git_oid *id, uint32_t with)
{
    if (s->len * 2 >= s->cap)
        oidset_rebuild(s, s->cap ? s->cap * 2 : 1024, UINT32_MAX);
    size_t at = slot_of(s, id);
    if (s->with[at])
        return false;
    s->slots[at] = *id;
    s->with[at] = with;
    s->len++;
    return true;
}

uint32_t oidset_get(const struct oidset *s, const git_oid *id)
{
    return s->cap ? s->with[slot_of(s, id)] : 0;
}

void oidset_clear(struct oidset *s)
{
    free(s->slots);
    free(s->with);
    *s = (struct oidset){0};
}
