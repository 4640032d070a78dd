// SPDX-License-Identifier: Apache-2.0
#include "base/loop.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/vec.h"

#define LONGEST_WAIT_MS 500
#define STOPPING_WAIT_MS 10 // the owner winds down: it looks at its condition often

struct watch {
    int fd;
    uint32_t events;
    loop_fd_fn fn;
    void *ctx;
    unsigned generation; // tells a reused descriptor from the one an event was meant for
};

struct loop_timer {
    struct loop *loop;
    loop_timer_fn fn;
    void *ctx;
    int64_t at;
    size_t heap_index; // 1-based; 0: not armed
};

struct loop {
    int epoll;
    const volatile sig_atomic_t *stop;
    _Atomic int64_t deadline; // 0: none
    int64_t now;
    unsigned generation;
    VEC(struct watch) watches; // by descriptor
    VEC(struct loop_timer *) heap;
};

struct loop *loop_new(const volatile sig_atomic_t *stop)
{
    struct loop *l = mem_alloc(sizeof(*l));
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    assert(l->epoll >= 0);
    l->stop = stop;
    l->now = clock_mono_ms();
    return l;
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    close(l->epoll);
    vec_clear(&l->watches);
    vec_clear(&l->heap);
    free(l);
}

static bool is_interrupted(const struct loop *l)
{
    return l->stop && __atomic_load_n(l->stop, __ATOMIC_RELAXED); // perhaps by another thread
}

bool loop_is_late(const struct loop *l)
{
    return l->deadline && clock_mono_ms() >= l->deadline && !is_interrupted(l);
}

bool loop_stopping(const struct loop *l)
{
    return is_interrupted(l) || loop_is_late(l);
}

bool loop_stopped(const struct loop *l, struct err *err, const char *doing)
{
    return loop_is_late(l) ? err_set(err, ERR_TIMEOUT, "timed out while %s", doing)
                           : err_set(err, ERR_CANCELLED, "interrupted while %s", doing);
}

void loop_set_deadline(struct loop *l, int64_t at_ms)
{
    l->deadline = at_ms;
}

static struct watch *watch_at(struct loop *l, int fd)
{
    while (l->watches.len <= (size_t)fd)
        *vec_push(&l->watches) = (struct watch){.fd = -1};
    return &l->watches.v[fd];
}

void loop_fd_set(struct loop *l, int fd, uint32_t epoll_events, loop_fd_fn fn, void *ctx)
{
    assert(fd >= 0);
    struct watch *w = watch_at(l, fd);
    bool is_new = w->fd < 0;
    // What this round has already collected for the earlier owner must not reach the new one.
    if (is_new || w->fn != fn || w->ctx != ctx)
        w->generation = ++l->generation;
    w->fd = fd;
    w->events = epoll_events;
    w->fn = fn;
    w->ctx = ctx;
    struct epoll_event ev = {.events = epoll_events,
                             .data.u64 = (uint64_t)w->generation << 32 | (uint32_t)fd};
    // A descriptor that was closed and opened again has left the set by itself, and one that was
    // never removed may still be in it.
    int first = is_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    int second = is_new ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    bool ok = epoll_ctl(l->epoll, first, fd, &ev) == 0 || epoll_ctl(l->epoll, second, fd, &ev) == 0;
    assert(ok); // a closed descriptor, or a plain file, would be waited for in vain
}

void loop_fd_del(struct loop *l, int fd)
{
    if (fd < 0 || (size_t)fd >= l->watches.len || l->watches.v[fd].fd < 0)
        return;
    l->watches.v[fd].fd = -1;
    epoll_ctl(l->epoll, EPOLL_CTL_DEL, fd, NULL);
}

static void place(struct loop *l, size_t i, struct loop_timer *t)
{
    l->heap.v[i] = t;
    t->heap_index = i + 1;
}

static void sift_up(struct loop *l, size_t i)
{
    struct loop_timer *t = l->heap.v[i];
    while (i > 0 && l->heap.v[(i - 1) / 2]->at > t->at) {
        place(l, i, l->heap.v[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    place(l, i, t);
}

static void sift_down(struct loop *l, size_t i)
{
    struct loop_timer *t = l->heap.v[i];
    for (;;) {
        size_t c = 2 * i + 1;
        if (c >= l->heap.len)
            break;
        if (c + 1 < l->heap.len && l->heap.v[c + 1]->at < l->heap.v[c]->at)
            c++;
        if (l->heap.v[c]->at >= t->at)
            break;
        place(l, i, l->heap.v[c]);
        i = c;
    }
    place(l, i, t);
}

struct loop_timer *loop_timer_new(struct loop *l, loop_timer_fn fn, void *ctx)
{
    struct loop_timer *t = mem_alloc(sizeof(*t));
    t->loop = l;
    t->fn = fn;
    t->ctx = ctx;
    return t;
}

void loop_timer_stop(struct loop_timer *t)
{
    if (!t->heap_index)
        return;
    struct loop *l = t->loop;
    size_t i = t->heap_index - 1;
    t->heap_index = 0;
    struct loop_timer *last = l->heap.v[--l->heap.len];
    if (last == t)
        return;
    place(l, i, last);
    sift_down(l, i);
    sift_up(l, last->heap_index - 1);
}

void loop_timer_free(struct loop_timer *t)
{
    if (!t)
        return;
    loop_timer_stop(t);
    free(t);
}

void loop_timer_set(struct loop_timer *t, int64_t delay_ms)
{
    loop_timer_stop(t);
    t->at = clock_mono_ms() + (delay_ms > 0 ? delay_ms : 0);
    *vec_push(&t->loop->heap) = t;
    t->heap_index = t->loop->heap.len;
    sift_up(t->loop, t->heap_index - 1);
}

bool loop_timer_is_set(const struct loop_timer *t)
{
    return t->heap_index != 0;
}

static int wait_ms(const struct loop *l, int64_t max_wait_ms)
{
    // A signal between looking at the stop flag and falling asleep is seen after LONGEST_WAIT_MS.
    int64_t wait = max_wait_ms;
    if (loop_stopping(l)) {
        if (wait < 0 || wait > STOPPING_WAIT_MS)
            wait = STOPPING_WAIT_MS;
    } else if (l->deadline) {
        int64_t left = l->deadline - clock_mono_ms();
        if (wait < 0 || left < wait)
            wait = left > 0 ? left : 0;
    }
    if (l->heap.len) {
        int64_t left = l->heap.v[0]->at - clock_mono_ms();
        if (left < 0)
            left = 0;
        if (wait < 0 || left < wait)
            wait = left;
    }
    if (wait < 0 || wait > LONGEST_WAIT_MS)
        wait = LONGEST_WAIT_MS;
    return (int)wait;
}

static void run_timers(struct loop *l)
{
    // Only what was due when the round began, so that a timer that arms itself at once cannot
    // keep the loop here.
    for (size_t budget = l->heap.len; budget && l->heap.len && l->heap.v[0]->at <= l->now;
         budget--) {
        struct loop_timer *t = l->heap.v[0];
        loop_timer_stop(t);
        t->fn(t->ctx);
    }
}

void loop_run_once(struct loop *l, int64_t max_wait_ms)
{
    struct epoll_event ev[64];
    int n = epoll_wait(l->epoll, ev, ARRAY_LEN(ev), wait_ms(l, max_wait_ms));
    l->now = clock_mono_ms();
    for (int i = 0; i < n; i++) {
        uint32_t fd = (uint32_t)ev[i].data.u64;
        unsigned generation = (unsigned)(ev[i].data.u64 >> 32);
        struct watch *w = &l->watches.v[fd];
        if (w->fd >= 0 && w->generation == generation)
            w->fn(w->ctx, ev[i].events);
    }
    run_timers(l);
}
