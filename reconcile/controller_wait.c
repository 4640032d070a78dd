// SPDX-License-Identifier: Apache-2.0
//
// A turn that waits long says for what, each of its applications by itself: after some seconds, and
// then ever more rarely.
#include <stdlib.h>

#include "reconcile/controller_int.h"

#define FIRST_MS 5000
#define LOOK_MS 2000
#define RARELY_MS 600000
#define MAX_TOLD 20 // applications at a time

void waiting_over(struct tracked *t)
{
    str_set(&t->waits, NULL);
    t->waits_since_ms = t->waits_next_ms = 0;
}

int64_t waiting_again_ms(int64_t waited_ms)
{
    if (waited_ms < FIRST_MS)
        return FIRST_MS - waited_ms;
    return waited_ms < RARELY_MS ? waited_ms : RARELY_MS;
}

static bool tell(struct controller *c, struct tracked *t, const char *what, int64_t now_ms,
                 bool may_tell)
{
    if (!t->waits_since_ms) {
        t->waits_since_ms = c->turn_ms;
        t->waits_next_ms = c->turn_ms + FIRST_MS;
    }
    if (!str_eq(t->waits, what)) {
        str_set(&t->waits, what);
        report_news(c, t->name);
    }
    if (!may_tell || now_ms < t->waits_next_ms)
        return false;
    int64_t waited = now_ms - t->waits_since_ms;
    t->waits_next_ms = now_ms + waiting_again_ms(waited);
    event_emit(c->o.events, "turn.waiting", "{s:s, s:s, s:I}", "app", t->name, "message", what,
               "ms", (json_int_t)waited);
    return true;
}

static void look(struct controller *c)
{
    const struct desired *d = run_desired(c->run);
    int64_t now = clock_mono_ms();
    unsigned told = 0;
    for (unsigned i = 0; i < d->apps.len; i++) {
        struct tracked *t = tracked_find(c, d->apps.v[i]->tracking_name);
        struct app_view v;
        if (!t)
            continue;
        run_app(c->run, i, &v);
        bool is_over = v.state == NODE_READY || v.state == NODE_FAILED || v.state == NODE_BLOCKED ||
                       v.state == NODE_SKIPPED;
        if (!is_over && v.applied < v.total && !str_is_empty(v.waits_for))
            told += tell(c, t, v.waits_for, now, told < MAX_TOLD);
        app_view_clear(&v);
    }
}

static void on_timer(void *ctx)
{
    struct controller *c = ctx;
    if (!c->is_executing)
        return;
    look(c);
    loop_timer_set(c->waiting, LOOK_MS);
}

void waiting_begin(struct controller *c)
{
    if (!c->waiting)
        c->waiting = loop_timer_new(c->loop, on_timer, c);
    c->is_executing = true;
    // A turn that follows one that made way goes on waiting for the same.
    loop_timer_set(c->waiting, FIRST_MS / 2);
}

void waiting_end(struct controller *c)
{
    c->is_executing = false;
    loop_timer_stop(c->waiting);
}
