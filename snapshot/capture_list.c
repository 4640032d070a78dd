// SPDX-License-Identifier: Apache-2.0
//
// Lists of what the cluster has, several at a time.
#include <stdlib.h>

#include "snapshot/capture_int.h"

static void on_event(void *ctx, enum kube_event ev, json_t *doc)
{
    struct listing *l = ctx;
    switch (ev) {
    case KUBE_ITEM:
        l->item(l, doc);
        return;
    case KUBE_RESTARTED:
        json_array_clear(l->kept);
        return;
    case KUBE_GONE:
        l->watch = NULL;
        l->is_over = true;
        return;
    case KUBE_SYNCED:
        l->is_over = true;
        return;
    case KUBE_ADDED:
    case KUBE_MODIFIED:
    case KUBE_DELETED:
        return; // it does not watch
    }
}

static void on_failed(void *ctx, const struct kube_reply *r)
{
    struct listing *l = ctx;
    l->watch = NULL;
    l->is_over = true;
    (void)kube_reply_err(r, &l->err, l->what);
}

// A kind that is not served has no objects.
void listing_start(struct listings *all, struct capture *c, const char *group, const char *kind,
                   const char *ns, void (*item)(struct listing *l, json_t *doc))
{
    const struct kind_info *k = kinds_find(c->o->kinds, group, NULL, kind);
    if (!k || !k->is_served || !k->can_list)
        return;
    struct listing *l = mem_alloc(sizeof(*l));
    *l = (struct listing){
        .c = c, .item = item, .what = str_printf("list %s", kind), .kept = json_array()};
    struct kube_watch_opts o = {.kind = k,
                                .namespace = ns,
                                .list_only = true,
                                .event = on_event,
                                .failed = on_failed,
                                .ctx = l};
    *vec_push(&all->v) = l;
    l->watch = kube_watch(c->o->kube, &o);
}

bool listings_finish(struct listings *all, struct capture *c, struct err *err)
{
    for (size_t i = 0; i < all->v.len;) {
        if (loop_stopping(c->o->loop))
            return loop_stopped(c->o->loop, err, "reading the cluster");
        if (all->v.v[i]->is_over)
            i++;
        else
            loop_run_once(c->o->loop, 200);
    }
    return true;
}

void listings_clear(struct listings *all)
{
    for (size_t i = 0; i < all->v.len; i++) {
        struct listing *l = all->v.v[i];
        if (l->watch)
            kube_watch_stop(l->watch);
        json_decref(l->kept);
        err_clear(&l->err);
        free(l->what);
        free(l);
    }
    vec_clear(&all->v);
}
