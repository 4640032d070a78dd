// SPDX-License-Identifier: Apache-2.0
#include "source/wanted.h"

#include <assert.h>
#include <stdlib.h>

static void start(struct wanted *n)
{
    if (n->is_started)
        return;
    n->is_started = true;
    n->start(n);
}

bool wanted_wait(struct wanted *n, struct waits *w, struct err *err)
{
    start(n);
    if (!n->is_settled) {
        *vec_push(&w->v) = n;
        return err_set(err, ERR_UNAVAILABLE, "it has not come yet");
    }
    if (!err_is_set(&n->err))
        return true;
    err_copy(err, &n->err);
    return false;
}

void wanted_then(struct wanted *n, void (*fn)(void *ctx), void *ctx)
{
    start(n);
    if (n->is_settled) {
        fn(ctx);
        return;
    }
    struct wanted_then *t = vec_push(&n->then);
    t->fn = fn;
    t->ctx = ctx;
}

void wanted_settle(struct wanted *n, struct err *err)
{
    assert(n->is_started && !n->is_settled);
    if (err_is_set(err))
        err_move(&n->err, err);
    n->is_settled = true;
    // What is told may ask for this need again: the list is over before it begins.
    struct wanted_then *v = n->then.v;
    size_t len = n->then.len;
    n->then.v = NULL;
    n->then.len = n->then.cap = 0;
    for (size_t i = 0; i < len; i++)
        v[i].fn(v[i].ctx);
    free(v);
}

void wanted_reset(struct wanted *n)
{
    assert(n->is_settled);
    err_clear(&n->err);
    n->is_started = n->is_settled = false;
}

void wanted_clear(struct wanted *n)
{
    err_clear(&n->err);
    vec_clear(&n->then);
}

bool wanted_is_open(const struct wanted *n)
{
    return n->is_started && !n->is_settled;
}

bool waits_over(const struct waits *w)
{
    for (size_t i = 0; i < w->v.len; i++)
        if (!w->v.v[i]->is_settled)
            return false;
    return true;
}

void waits_tell(const struct waits *w, struct strv *out)
{
    for (size_t i = 0; i < w->v.len; i++) {
        const struct wanted *n = w->v.v[i];
        CLEANUP(str_freep) char *text = n->is_settled ? NULL : n->tell(n);
        if (text && !strv_has(out, text))
            strv_push(out, text);
    }
}
