// SPDX-License-Identifier: Apache-2.0
//
// Which batches a new snapshot stands on (docs/repository-format.md section 9, step 5). Pure. What
// goes is written again as far as it is needed, so that a snapshot stands on few batches, and an
// object is written again only when what it lies with has grown by a part: both are logarithms of
// how many snapshots there are.
#include <stdlib.h>

#include "base/str.h"
#include "snapshot/writer.h"

#define LITTLE 8       // less than such a part of a batch is needed: it goes
#define MERGE_LEAST 12 // of so many batches, or more, one is made …
#define MERGE_SHARE 4  // … when the others have at least so many times what the largest has
#define MERGE_HARD 32  // so many: of half of them one is made, whatever they have

struct candidate {
    size_t at;
    uint64_t bytes;
};

// As many from the end as may go together; the first stays.
static void merge(struct batch_use *b, const struct candidate *c, size_t n)
{
    uint64_t sum = 0;
    uint64_t largest = 0;
    size_t from = n;
    for (size_t i = n; i-- > 1;) {
        sum += c[i].bytes;
        largest = c[i].bytes > largest ? c[i].bytes : largest;
        if (n - i >= MERGE_LEAST && sum - largest >= MERGE_SHARE * largest)
            from = i;
    }
    if (from == n && n >= MERGE_HARD)
        from = n / 2;
    for (size_t i = from; i < n; i++)
        b[c[i].at].is_drop = true;
}

static int by_size(const void *a, const void *b)
{
    const struct candidate *x = a;
    const struct candidate *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return x->at < y->at ? -1 : x->at > y->at;
}

void choose_batches(struct batch_use *b, size_t n, bool is_git, bool may_drop)
{
    struct candidate *c = mem_alloc((n + 1) * sizeof(*c));
    size_t left = 0;
    // Little of it is needed: what is needed is written again, smaller than what is dragged along.
    for (size_t i = 0; i < n && may_drop && !is_git; i++)
        if (b[i].needed * LITTLE < b[i].bytes)
            b[i].is_drop = true;
    for (size_t i = 0; i < n; i++)
        if (!b[i].is_drop)
            c[left++] = (struct candidate){i, is_git ? b[i].bytes : b[i].needed};
    // Of Git the newest go, since each stands on those before it; the oldest has the packs as they
    // came. Of objects it is those that are little needed.
    if (!is_git)
        qsort(c, left, sizeof(*c), by_size);
    if (may_drop)
        merge(b, c, left);
    free(c);
}
