// SPDX-License-Identifier: Apache-2.0
#include "source/hosts.h"

#include <ctype.h>
#include <stdlib.h>

#include "base/vec.h"

#define MAX_AT_ONCE 256 // over all hosts: descriptors are finite

struct host {
    char *origin;
    unsigned at_once, running;
    unsigned failures; // in a row
    bool has_answered;
    struct err dead;
    struct turn *head, **tail;
};

struct hosts {
    struct loop_timer *pump;
    VEC(struct host *) all;
    unsigned running;
    size_t next; // who is looked at first, so that none of many starves
};

char *url_origin(const char *url)
{
    const char *sep = strstr(url, "://");
    const char *host = sep ? sep + 3 : url;
    size_t n = strcspn(host, sep ? "/?#" : ":/");
    for (size_t i = n; i > 0; i--) {
        if (host[i - 1] != '@')
            continue;
        host += i;
        n -= i;
        break;
    }
    CLEANUP(str_freep) char *name = str_ndup(host, n);
    CLEANUP(str_freep)
    char *scheme = sep ? str_ndup(url, (size_t)(sep - url)) : str_dup("ssh");
    for (char *p = name; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    for (char *p = scheme; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    const char *bracket = strrchr(name, ']');
    bool has_port = strchr(bracket ? bracket : name, ':') != NULL;
    const char *port = has_port                  ? ""
                       : str_eq(scheme, "https") ? ":443"
                       : str_eq(scheme, "http")  ? ":80"
                                                 : "";
    return str_printf("%s://%s%s", scheme, name, port);
}

static bool is_full(const struct hosts *h, const struct host *x)
{
    return x->running >= x->at_once || h->running >= MAX_AT_ONCE;
}

static struct turn *take(struct host *x)
{
    struct turn *t = x->head;
    if (t && !(x->head = t->next))
        x->tail = &x->head;
    return t;
}

static void serve(struct hosts *h, struct host *x)
{
    // What `go` starts and ends at once must not keep us here.
    for (unsigned budget = MAX_AT_ONCE; budget && x->head; budget--) {
        bool is_dead = err_is_set(&x->dead);
        if (!is_dead && is_full(h, x))
            return;
        struct turn *t = take(x);
        t->state = is_dead ? TURN_NONE : TURN_RUNS;
        if (!is_dead) {
            x->running++;
            h->running++;
        }
        t->go(t->ctx, is_dead ? &x->dead : NULL);
    }
    if (x->head)
        loop_timer_set(h->pump, 0);
}

static void on_pump(void *ctx)
{
    struct hosts *h = ctx;
    size_t n = h->all.len;
    size_t first = h->next++;
    for (size_t i = 0; i < n; i++)
        serve(h, h->all.v[(first + i) % n]);
}

struct hosts *hosts_new(struct loop *l)
{
    struct hosts *h = mem_alloc(sizeof(*h));
    h->pump = loop_timer_new(l, on_pump, h);
    return h;
}

void hosts_free(struct hosts *h)
{
    if (!h)
        return;
    for (size_t i = 0; i < h->all.len; i++) {
        free(h->all.v[i]->origin);
        err_clear(&h->all.v[i]->dead);
        free(h->all.v[i]);
    }
    vec_clear(&h->all);
    loop_timer_free(h->pump);
    free(h);
}

void hosts_renew(struct hosts *h)
{
    for (size_t i = 0; i < h->all.len; i++) {
        struct host *x = h->all.v[i];
        err_clear(&x->dead);
        x->failures = 0;
        x->has_answered = false;
    }
}

static struct host *host_at(struct hosts *h, const char *url, unsigned at_once)
{
    CLEANUP(str_freep) char *origin = url_origin(url);
    for (size_t i = 0; i < h->all.len; i++)
        if (!strcmp(h->all.v[i]->origin, origin))
            return h->all.v[i];
    struct host *x = mem_alloc(sizeof(*x));
    x->origin = TAKE(origin);
    x->at_once = at_once;
    x->tail = &x->head;
    *vec_push(&h->all) = x;
    return x;
}

void turn_ask(struct hosts *h, const char *url, unsigned at_once, struct turn *t)
{
    struct host *x = host_at(h, url, at_once);
    t->hosts = h;
    t->host = x;
    t->state = TURN_WAITS;
    t->next = NULL;
    *x->tail = t;
    x->tail = &t->next;
    loop_timer_set(h->pump, 0);
}

static void leave_queue(struct host *x, struct turn *t)
{
    struct turn **at = &x->head;
    while (*at && *at != t)
        at = &(*at)->next;
    if (!*at)
        return;
    *at = t->next;
    if (x->tail == &t->next)
        x->tail = at;
}

void turn_end(struct turn *t, const struct err *failure)
{
    struct host *x = t->host;
    if (t->state == TURN_WAITS) {
        leave_queue(x, t);
    } else if (t->state == TURN_RUNS) {
        x->running--;
        t->hosts->running--;
        x->has_answered |= !failure;
        x->failures = failure ? x->failures + 1 : 0;
        bool is_dead = failure && (!x->has_answered || x->failures >= x->at_once);
        if (is_dead && !err_is_set(&x->dead))
            err_copy(&x->dead, failure);
        loop_timer_set(t->hosts->pump, 0);
    }
    t->state = TURN_NONE;
}
