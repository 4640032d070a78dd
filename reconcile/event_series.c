// SPDX-License-Identifier: Apache-2.0
#include "reconcile/event_series.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"

static void told_clear(struct event_told *t)
{
    free(t->text);
    free(t->name);
}

void event_series_clear(struct event_series *s)
{
    for (size_t i = 0; i < s->v.len; i++)
        told_clear(&s->v.v[i]);
    vec_clear(&s->v);
}

static bool may_tell(struct event_series *s, int64_t now_ms)
{
    if (!s->refilled_ms)
        s->tokens = EVENT_BURST;
    else
        s->tokens += (double)(now_ms - s->refilled_ms) / EVENT_REFILL_MS;
    s->tokens = s->tokens > EVENT_BURST ? EVENT_BURST : s->tokens;
    s->refilled_ms = now_ms;
    if (s->tokens < 1)
        return false;
    s->tokens--;
    return true;
}

static struct event_told *find(struct event_series *s, const char *text, int64_t now_ms)
{
    for (size_t i = 0; i < s->v.len; i++)
        if (!strcmp(s->v.v[i].text, text) && now_ms - s->v.v[i].at_ms < EVENT_SAME_MS)
            return &s->v.v[i];
    return NULL;
}

static struct event_told *remember(struct event_series *s, const char *object, const char *text)
{
    if (s->v.len >= EVENTS_REMEMBERED) {
        told_clear(&s->v.v[0]);
        memmove(&s->v.v[0], &s->v.v[1], (s->v.len - 1) * sizeof(*s->v.v));
        s->v.len--;
    }
    struct event_told *t = vec_push(&s->v);
    // A name of an object: that of the application is one, and this is no longer than it may be.
    *t = (struct event_told){.text = str_dup(text),
                             .name = str_printf("%.200s.%llx", object, (long long)clock_unix_us()),
                             .first_unix_s = clock_unix_ms() / 1000};
    return t;
}

const struct event_told *event_series_add(struct event_series *s, const char *object,
                                          const char *text, int64_t now_ms)
{
    if (!may_tell(s, now_ms))
        return NULL;
    struct event_told *t = find(s, text, now_ms);
    t = t ? t : remember(s, object, text);
    t->count++;
    t->at_ms = now_ms;
    return t;
}
