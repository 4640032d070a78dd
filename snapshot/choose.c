// SPDX-License-Identifier: Apache-2.0
//
// Which batches a new snapshot stands on (docs/repository-format.md section 9, step 5). Pure.
#include "snapshot/writer.h"

#define OBJECT_BATCHES 16 // as many remaining are reduced to the largest …
#define OBJECT_KEEP 8
#define GIT_BATCHES 8 // as many are reduced to the oldest …
#define GIT_KEEP 4

static size_t remaining(const struct batch_use *b, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        kept += !b[i].is_drop;
    return kept;
}

static void drop_smallest(struct batch_use *b, size_t n)
{
    struct batch_use *least = NULL;
    for (size_t i = 0; i < n; i++)
        if (!b[i].is_drop && (!least || b[i].bytes < least->bytes))
            least = &b[i];
    if (least)
        least->is_drop = true;
}

static void choose_objects(struct batch_use *b, size_t n)
{
    // Little of it is needed: what is needed is written again, smaller than what is dragged along.
    for (size_t i = 0; i < n; i++)
        if (b[i].needed * 4 < b[i].bytes)
            b[i].is_drop = true;
    if (remaining(b, n) < OBJECT_BATCHES)
        return;
    while (remaining(b, n) > OBJECT_KEEP)
        drop_smallest(b, n);
}

static void choose_git(struct batch_use *b, size_t n)
{
    if (remaining(b, n) < GIT_BATCHES)
        return;
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (b[i].is_drop)
            continue;
        if (kept == GIT_KEEP)
            b[i].is_drop = true;
        else
            kept++;
    }
}

void choose_batches(struct batch_use *b, size_t n, bool is_git, bool may_drop)
{
    if (!may_drop)
        return; // what is damaged is dropped already
    if (is_git)
        choose_git(b, n);
    else
        choose_objects(b, n);
}
