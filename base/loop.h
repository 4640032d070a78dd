// SPDX-License-Identifier: Apache-2.0
//
// The event loop: one thread, epoll, timers. Everything asynchronous in regrow (HTTP, child
// processes, watches, the server) lives in one loop; a blocking piece of work goes to a
// `struct pool` (base/pool.h) whose completions come back here.
//
// Life: loop_new, loop_fd_set / loop_timer_new by the rooms, loop_run_once until the owner's own
// condition holds, loop_free. Callbacks may add and remove descriptors and timers freely,
// themselves included. `stop` is the process's stop flag (set by a signal handler): loop_run_once
// returns early when it becomes non-zero; whoever runs the loop looks at loop_stopping(). The same
// at the deadline of what is being done, while one is set: loop_stopped() tells which it was.
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <signal.h>
#include <stdint.h>

#include "base/err.h"

struct loop;
struct loop_timer;

typedef void (*loop_fd_fn)(void *ctx, uint32_t epoll_events);
typedef void (*loop_timer_fn)(void *ctx);

struct loop *loop_new(const volatile sig_atomic_t *stop); // stop may be NULL
void loop_free(struct loop *l);
CLEANUP_FN(struct loop, loop_free, loop_freep);

bool loop_stopping(const struct loop *l); // by any thread
// What ends whoever found the loop stopping: CANCELLED, "interrupted while DOING", or TIMEOUT,
// "timed out while DOING". Always false.
bool loop_stopped(const struct loop *l, struct err *err, const char *doing);
// From this moment (clock_mono_ms) the loop is stopping; 0: it is not. Set by the loop's thread.
void loop_set_deadline(struct loop *l, int64_t at_ms);
bool loop_is_late(const struct loop *l); // past its deadline, and not interrupted

// Watches fd for EPOLLIN/EPOLLOUT..., replacing an earlier registration of the same fd.
void loop_fd_set(struct loop *l, int fd, uint32_t epoll_events, loop_fd_fn fn, void *ctx);
void loop_fd_del(struct loop *l, int fd); // unknown fd is fine

// A one-shot timer, not armed yet. Freed by its owner, at the latest before loop_free.
struct loop_timer *loop_timer_new(struct loop *l, loop_timer_fn fn, void *ctx);
void loop_timer_free(struct loop_timer *t); // NULL is fine
void loop_timer_set(struct loop_timer *t, int64_t delay_ms);
void loop_timer_stop(struct loop_timer *t);
bool loop_timer_is_set(const struct loop_timer *t);

// Waits for events up to max_wait_ms (-1: until something happens) and runs their callbacks. It may
// return with nothing done: the owner's condition decides, not the number of rounds.
void loop_run_once(struct loop *l, int64_t max_wait_ms);

#endif
