// SPDX-License-Identifier: Apache-2.0
//
// Sources that could not be read, looked at again: what answers for one may be among what is grown.
// While the run goes on ever more rarely, and once more when all else is done, for a little while
// after the last that came up. What a look finds is a reason to load again, and no more than that.
#include <stdlib.h>

#include "base/clock.h"
#include "bootstrap/bootstrap.h"

#define FIRST_MS 1000
#define RARELY_MS 15000
#define NEAR_MS 500
// What is ready is reached when a proxy, a balancer or a name server has heard of it.
#define REACHED_MS 10000

struct unread {
    struct session *s;
    const struct run *run;
    struct loop_timer *look;
    int64_t pause_ms, began_ms; // the last look
    struct strv urls;           // of what had never been read; after the first look of this state
    bool has_looked, is_looking, is_awaiting;
    bool is_over; // there is nothing that a look could find
    bool is_away; // a host of these was not there, or silent
    bool has_come;
};

bool unread_has_come(void *ctx)
{
    const struct unread *u = ctx;
    return u->has_come;
}

static void look_in(struct unread *u, int64_t ms)
{
    if (!u->is_over && !u->has_come && !u->is_looking)
        loop_timer_set(u->look, ms);
}

// What was read once and is not now is no news: a load has had it.
static void note(struct unread *u, const struct source_seen *x)
{
    if (x->from)
        return;
    if (x->news == SOURCE_UNREAD) {
        if (!strv_has(&u->urls, x->url))
            strv_push(&u->urls, x->url);
        u->is_away |= x->problem.kind == ERR_UNAVAILABLE || x->problem.kind == ERR_TIMEOUT;
        return;
    }
    u->has_come = true;
    event_emit(u->s->events, "source.readable", "{s:s}", "url", x->url);
}

static void on_looked(void *ctx, const struct source_polled *p)
{
    struct unread *u = ctx;
    u->is_looking = false;
    u->has_looked = true;
    u->is_away = false;
    strv_clear(&u->urls);
    for (size_t i = 0; i < p->v.len; i++)
        note(u, &p->v.v[i]);
    u->is_over = !u->urls.len;
    look_in(u, u->is_awaiting ? NEAR_MS : u->pause_ms);
    u->pause_ms = u->pause_ms * 2 > RARELY_MS ? RARELY_MS : u->pause_ms * 2;
}

// The first look of a state finds out what is unread, the others are about that alone.
static void on_look(void *ctx)
{
    struct unread *u = ctx;
    u->began_ms = clock_mono_ms();
    u->is_looking = source_poll(u->s->source, u->has_looked ? &u->urls : NULL, on_looked, u);
    u->is_over |= !u->is_looking;
}

void unread_begin(struct session *s)
{
    s->unread = mem_alloc(sizeof(*s->unread));
    s->unread->s = s;
    s->unread->look = loop_timer_new(s->loop, on_look, s->unread);
}

void unread_free(struct unread *u)
{
    if (!u)
        return;
    source_poll_cancel(u->s->source);
    loop_timer_free(u->look);
    strv_clear(&u->urls);
    free(u);
}

static bool is_any_unknown(const struct run *r)
{
    const struct desired *d = run_desired(r);
    for (size_t i = 0; i < d->apps.len; i++)
        if (d->apps.v[i]->state == APP_UNKNOWN &&
            run_part(r, run_graph(r)->app_end[i]) != PART_NONE)
            return true;
    return false;
}

void unread_follow(struct unread *u, const struct run *r)
{
    u->run = r;
    u->pause_ms = FIRST_MS;
    u->has_looked = u->is_awaiting = u->has_come = false;
    u->is_over = !is_any_unknown(r);
    look_in(u, FIRST_MS);
}

// When the last object came up that this run has written, or that was not ready before; 0: none.
static int64_t last_up_ms(const struct run *r)
{
    int64_t last = 0;
    for (unsigned i = 0; i < run_desired(r)->objects.len; i++) {
        struct node_view v;
        run_node(r, i, &v);
        if ((v.sent_ms || v.ready_ms > v.applied_ms) && v.ready_ms > last)
            last = v.ready_ms;
    }
    return last;
}

static void tell(const struct unread *u)
{
    CLEANUP(json_freep) json_t *urls = json_array();
    for (size_t i = 0; i < u->urls.len; i++)
        json_array_append_new(urls, json_string(u->urls.v[i]));
    event_emit(u->s->events, "source.awaited", "{s:O, s:i}", "urls", urls, "wait_ms", REACHED_MS);
}

bool unread_await(struct unread *u, int64_t deadline_ms)
{
    int64_t up = last_up_ms(u->run);
    int64_t end = up ? up + REACHED_MS : 0;
    bool is_told = false;
    if (deadline_ms && end > deadline_ms)
        end = deadline_ms;
    u->is_awaiting = true;
    look_in(u, 0);
    while (!u->has_come && !u->is_over && clock_mono_ms() < end && !loop_stopping(u->s->loop)) {
        bool has_seen = u->began_ms >= up && !u->is_looking;
        if (has_seen && !u->is_away)
            break; // it answers, and has not what is asked for
        if (has_seen && !is_told)
            tell(u);
        is_told |= has_seen;
        loop_run_once(u->s->loop, NEAR_MS);
    }
    loop_timer_stop(u->look);
    source_poll_cancel(u->s->source);
    u->is_looking = false;
    bool has_time = !deadline_ms || clock_mono_ms() < deadline_ms;
    return u->has_come && has_time && !loop_stopping(u->s->loop);
}
