// SPDX-License-Identifier: Apache-2.0
//
// Private to source: a set of Git ids, each with a number. Open addressing, twice as many slots as
// ids at least.
#ifndef SOURCE_OIDSET_H
#define SOURCE_OIDSET_H

#include <git2.h>
#include <stdbool.h>
#include <stdint.h>

struct oidset {
    git_oid *slots;
    uint32_t *with; // 0: free
    size_t cap, len;
};
// True: it was not there. with is above 0; of an id that is there it stays.
bool oidset_add(struct oidset *s, const git_oid *id, uint32_t with);
uint32_t oidset_get(const struct oidset *s, const git_oid *id); // 0: not there
// Room for cap; of what there is, what has a number of at most `most` stays.
void oidset_rebuild(struct oidset *s, size_t cap, uint32_t most);
void oidset_clear(struct oidset *s);

#endif
