// SPDX-License-Identifier: Apache-2.0
//
// A store in memory for the unit tests of the room: create-if-absent, lists with sizes, a clock
// that stands until it is moved, and faults on purpose. It can do wrong whatever a real store can.
//
// Life: memstore_new, any store_* function, store_free. A hook sees every call before it is done
// and says how it goes; inside the hook the store works without faults, so that a hook can also be
// the other writer that was faster.
#ifndef TESTS_SNAPSHOT_MEMSTORE_H
#define TESTS_SNAPSHOT_MEMSTORE_H

#include "snapshot/store.h"

#define MEMSTORE_START_MS INT64_C(1767225600000) // 2026-01-01T00:00:00Z

enum memstore_op { MEM_CREATE, MEM_GET, MEM_LIST, MEM_REMOVE, MEM_NOW, MEM_RETAIN, MEM_OPS };
enum memstore_fault {
    MEM_FINE,
    MEM_FAIL,      // nothing is done; UNAVAILABLE
    MEM_LOSE,      // done, but the answer is lost; UNAVAILABLE
    MEM_DIE,       // a power cut before the call: this and every later one is UNAVAILABLE
    MEM_DIE_AFTER, // a power cut after it
    MEM_SHORT,     // create: half the bytes stay, then UNAVAILABLE; get, list: half, as if all
    MEM_FLIP,      // one bit is wrong: in what create stores, in what get gives
    MEM_STALE,     // get, list: as if the newest file were not there yet
    MEM_OVERWRITE, // create: the condition is ignored
    MEM_CONTRARY,  // create: the condition is inverted: only what exists is overwritten
    MEM_PRETEND,   // create, remove: says that it is done, and does nothing
};
struct memstore_call {
    enum memstore_op op;
    unsigned n;       // 1 for the first call since memstore_new or memstore_hook
    const char *name; // or prefix; "" for the clock
};
typedef enum memstore_fault (*memstore_fn)(void *ctx, const struct memstore_call *call);

struct store *memstore_new(void);
struct store *memstore_clone(const struct store *s); // files and clock; no hook, not dead
// NULL: no faults. Counts from here on, and brings a dead store back.
void memstore_hook(struct store *s, memstore_fn fn, void *ctx);
// The nth call from now on, whatever it is, goes that way; the others are fine.
void memstore_fault_at(struct store *s, unsigned n, enum memstore_fault fault);
// Since the last hook; MEM_OPS: all.
unsigned memstore_calls(const struct store *s, enum memstore_op op);

// What the store is by nature. Default: atomic, sizes, no retention.
void memstore_be(struct store *s, bool atomic, bool gives_sizes, bool has_retention);
void memstore_set_now(struct store *s, int64_t unix_ms);
void memstore_advance(struct store *s, int64_t ms);
void memstore_age(struct store *s, int64_t ms); // everything was stored so much earlier

// Behind the store's back: no hook, no rules, no clock.
void memstore_put(struct store *s, const char *name, const void *p, size_t len);
void memstore_drop(struct store *s, const char *name);
const struct buf *memstore_file(const struct store *s, const char *name); // NULL: absent
size_t memstore_count(const struct store *s, const char *prefix);
int64_t memstore_retained_ms(const struct store *s, const char *name); // 0: not

#endif
