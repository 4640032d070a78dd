// SPDX-License-Identifier: Apache-2.0
#include "base/pool.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/vec.h"

struct job {
    pool_work_fn work;
    pool_done_fn done;
    void *ctx;
    struct job *next;
};

struct queue {
    struct job *head, **tail;
};

struct pool {
    struct loop *loop;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct queue todo, finished;
    bool closing;
    int event_fd;
    unsigned n_threads;
    pthread_t *threads;
};

static void put(struct queue *q, struct job *j)
{
    j->next = NULL;
    *q->tail = j;
    q->tail = &j->next;
}

static struct job *take(struct queue *q)
{
    struct job *j = q->head;
    if (j && !(q->head = j->next))
        q->tail = &q->head;
    return j;
}

static void put_finished(struct pool *p, struct job *j)
{
    put(&p->finished, j);
    uint64_t one = 1;
    ssize_t n = write(p->event_fd, &one, sizeof(one));
    (void)n; // an eventfd only refuses when its counter is full, and then it is readable
}

static void *run_thread(void *arg)
{
    struct pool *p = arg;
    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (!p->closing && !p->todo.head)
            pthread_cond_wait(&p->more, &p->lock);
        if (p->closing)
            break;
        struct job *j = take(&p->todo);
        pthread_mutex_unlock(&p->lock);
        j->work(j->ctx);
        pthread_mutex_lock(&p->lock);
        put_finished(p, j);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

static void deliver(struct pool *p, struct queue *q, bool cancelled)
{
    for (;;) {
        pthread_mutex_lock(&p->lock);
        struct job *j = take(q);
        pthread_mutex_unlock(&p->lock);
        if (!j)
            return;
        j->done(j->ctx, cancelled);
        free(j);
    }
}

static void on_finished(void *ctx, uint32_t events)
{
    struct pool *p = ctx;
    (void)events;
    uint64_t n;
    if (read(p->event_fd, &n, sizeof(n)) > 0)
        deliver(p, &p->finished, false);
}

struct pool *pool_new(struct loop *l, unsigned threads)
{
    struct pool *p = mem_alloc(sizeof(*p));
    p->loop = l;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->more, NULL);
    p->todo.tail = &p->todo.head;
    p->finished.tail = &p->finished.head;
    p->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert(p->event_fd >= 0);
    loop_fd_set(l, p->event_fd, EPOLLIN, on_finished, p);
    p->threads = mem_alloc(threads * sizeof(*p->threads));
    // Signals are for the loop's thread, which they wake.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (unsigned i = 0; i < threads; i++)
        if (pthread_create(&p->threads[p->n_threads], NULL, run_thread, p) == 0)
            p->n_threads++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return p;
}

void pool_submit(struct pool *p, pool_work_fn work, pool_done_fn done, void *ctx)
{
    struct job *j = mem_alloc(sizeof(*j));
    j->work = work;
    j->done = done;
    j->ctx = ctx;
    bool is_inline = !p->n_threads && !p->closing;
    if (is_inline) // no thread could be had: the caller's own has to do
        work(ctx);
    pthread_mutex_lock(&p->lock);
    if (is_inline) {
        put_finished(p, j);
        pthread_mutex_unlock(&p->lock);
        return;
    }
    put(&p->todo, j);
    pthread_cond_signal(&p->more);
    pthread_mutex_unlock(&p->lock);
}

void pool_free(struct pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->closing = true;
    pthread_cond_broadcast(&p->more);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->n_threads; i++)
        pthread_join(p->threads[i], NULL);
    deliver(p, &p->finished, false);
    deliver(p, &p->todo, true);
    loop_fd_del(p->loop, p->event_fd);
    close(p->event_fd);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->more);
    free(p->threads);
    free(p);
}
