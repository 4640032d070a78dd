// SPDX-License-Identifier: Apache-2.0
//
// A small pool of threads for work that blocks: Git packs, hashing, compression. `work` runs on a
// pool thread and touches only what its ctx owns; `done` runs later on the loop's thread.
// pool_free waits for running work, drops what has not begun (its `done` is called with
// cancelled = true) and joins the threads.
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include "base/loop.h"

struct pool;

typedef void (*pool_work_fn)(void *ctx);
typedef void (*pool_done_fn)(void *ctx, bool cancelled);

struct pool *pool_new(struct loop *l, unsigned threads);
void pool_free(struct pool *p);
void pool_submit(struct pool *p, pool_work_fn work, pool_done_fn done, void *ctx);

#endif
