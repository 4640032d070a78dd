// SPDX-License-Identifier: Apache-2.0
//
// A process of its own for work that cannot be interrupted from within, or is not trusted: a copy
// of this one, forked when it is first needed, asked over a socket pair, killed when it does not
// answer in time, and forked again. Nothing of the parent's files is open in it.
//
// An answer is waited for by the clock of the child's own processor time, because a busy machine is
// no fault of the work's, and by the wall's, in case it sleeps for ever.
#ifndef BASE_WORKER_H
#define BASE_WORKER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/str.h"

struct worker;
struct worker_opts {
    // Answers one request, in the child; false ends it. ctx is what it was when the child was made.
    bool (*serve)(void *ctx, const char *request, size_t len, struct buf *reply);
    void *ctx;
    size_t max_request, max_reply;
    int64_t cpu_ms; // for one request
    // No environment, no standard error, and no file can be opened: for what may ask for them.
    bool is_sealed;
    size_t max_data_bytes; // 0: as the parent
};
struct worker *worker_new(const struct worker_opts *o);
void worker_free(struct worker *w);
CLEANUP_FN(struct worker, worker_free, worker_freep);

enum worker_outcome {
    WORKER_DONE,
    WORKER_LATE, // it was killed for it
    WORKER_GONE, // it ended, wrote too much, or could not be started; tried twice
};
enum worker_outcome worker_ask(struct worker *w, const struct buf *request, struct buf *reply);
pid_t worker_pid(const struct worker *w); // 0: there is none just now

#endif
