// SPDX-License-Identifier: Apache-2.0
//
// The bare pipelined writer that regrow is measured against: applies the items of a List (of
// "regrow render -o json") in their order, N in flight on one connection, and knows nothing
// else. Prints how many and how long.
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "kube/kube.h"

struct writer {
    struct kube *k;
    unsigned in_flight;
    size_t accepted, refused;
};

static void on_reply(void *ctx, const struct kube_reply *r)
{
    struct writer *w = ctx;
    w->in_flight--;
    if (r->cls == KUBE_OK)
        w->accepted++;
    else
        w->refused++;
}

static bool send(struct writer *w, const struct kinds *kinds, const json_t *doc)
{
    struct object_id id = {0};
    struct err err = {0};
    CLEANUP(str_freep) char *version = NULL;
    if (!object_id_of(doc, &id, &version, &err)) {
        err_clear(&err);
        return false;
    }
    const struct kind_info *k = kinds_find(kinds, id.group, version, id.kind);
    CLEANUP(str_freep) char *path = k ? kind_path(k, id.namespace, id.name) : NULL;
    struct buf body CLEANUP(buf_clear) = {0};
    canon_write(doc, &body);
    struct kube_apply_opts o = {.manager = "bench"};
    if (path) {
        w->in_flight++;
        kube_apply(w->k, path, body.p, body.len, &o, on_reply, w);
    }
    object_id_clear(&id);
    return path != NULL;
}

static bool run(const char *file, unsigned window, struct err *err)
{
    struct loop *l CLEANUP(loop_freep) = loop_new(NULL);
    struct kubeconfig *c CLEANUP(kubeconfig_freep) = NULL;
    struct kube *k CLEANUP(kube_freep) = NULL;
    struct kinds *kinds CLEANUP(kinds_freep) = kinds_new();
    struct kubeconfig_opts co = {0};
    struct kube_opts ko = {.user_agent = "bench/1"};
    struct buf b CLEANUP(buf_clear) = {0};
    CLEANUP(json_freep) json_t *docs = NULL;
    if (!file_read(file, 256U << 20, &b, err) || !canon_read(b.p, b.len, &docs, err) ||
        !kubeconfig_load(&co, &c, err))
        return false;
    k = kube_new(l, c, &ko);
    if (!kube_connect(k, 0, kinds, err))
        return false;
    struct writer w = {.k = k};
    int64_t start = clock_mono_us();
    size_t i;
    json_t *doc;
    json_array_foreach(json_object_get(docs, "items"), i, doc)
    {
        while (w.in_flight >= window)
            loop_run_once(l, 100);
        if (!send(&w, kinds, doc))
            w.refused++;
    }
    while (w.in_flight)
        loop_run_once(l, 100);
    double s = (double)(clock_mono_us() - start) / 1e6;
    printf("{\"accepted\": %zu, \"refused\": %zu, \"seconds\": %.3f, \"rate\": %.0f}\n", w.accepted,
           w.refused, s, (double)w.accepted / s);
    return true;
}

int main(int argc, char **argv)
{
    struct err err = {0};
    if (argc != 3) {
        fprintf(stderr, "usage: writer FILE WINDOW\n");
        return 2;
    }
    if (!run(argv[1], (unsigned)atoi(argv[2]), &err)) {
        fprintf(stderr, "writer: %s\n", err.msg);
        return 1;
    }
    return 0;
}
