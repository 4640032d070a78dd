// SPDX-License-Identifier: Apache-2.0
//
// render: the manifests in the order in which they could be applied.
#include <stdlib.h>

#include "base/vec.h"
#include "cli/cli.h"

struct ranked {
    unsigned object, depth;
};

static int cmp_ranked(const void *a, const void *b)
{
    const struct ranked *x = a;
    const struct ranked *y = b;
    return x->depth != y->depth ? (x->depth < y->depth ? -1 : 1)
                                : (x->object > y->object) - (x->object < y->object);
}

static bool is_wanted(const struct cli *c, const struct desired *d, const struct object *o)
{
    if (o->is_virtual)
        return false;
    return c->o.args.len < 2 || str_eq(d->apps.v[o->app]->name, c->o.args.v[1]);
}

static bool check_known(const struct cli *c, const struct desired *d, struct err *err)
{
    const char *only = c->o.args.len > 1 ? c->o.args.v[1] : NULL;
    if (only && desired_find_app(d, only) < 0) {
        err_set(err, ERR_NOT_FOUND, "there is no application %s", only);
        return err_hint(err, "regrow plan lists them.");
    }
    for (size_t i = 0; i < d->apps.len; i++) {
        const struct application *a = d->apps.v[i];
        if (a->state != APP_UNKNOWN || (only && !str_eq(a->name, only)))
            continue;
        err_copy(err, &a->problem);
        return err_wrap(err, "application %s", a->name);
    }
    return true;
}

static void print_yaml(const struct desired *d, const struct object *o, const json_t *doc)
{
    struct buf b CLEANUP(buf_clear) = {0};
    CLEANUP(str_freep) char *where = origin_text(&o->origin);
    CLEANUP(str_freep)
    char *head = str_printf("%s, application %s", where, d->apps.v[o->app]->name);
    CLEANUP(str_freep) char *shown = clean(head); // a line break would end the comment
    yaml_write(doc, &b);
    printf("---\n# %s\n%s", shown, b.p);
}

static void print_all(struct cli *c, const struct desired *d, const struct graph *g)
{
    VEC(struct ranked) order = {0};
    for (unsigned i = 0; i < d->objects.len; i++)
        if (is_wanted(c, d, &d->objects.v[i]))
            *vec_push(&order) = (struct ranked){i, g->nodes.v[i].depth};
    if (order.len)
        qsort(order.v, order.len, sizeof(*order.v), cmp_ranked);
    CLEANUP(json_freep)
    json_t *all = json_pack("{s:s, s:s, s:[]}", "apiVersion", "v1", "kind", "List", "items");
    for (size_t i = 0; i < order.len; i++) {
        const struct object *o = &d->objects.v[order.v[i].object];
        json_t *doc = object_doc(o);
        if (c->o.output != OUT_JSON)
            print_yaml(d, o, doc);
        json_array_append_new(json_object_get(all, "items"), doc);
        if (c->o.output != OUT_JSON)
            json_array_clear(json_object_get(all, "items"));
    }
    if (c->o.output == OUT_JSON)
        print_doc(c, all);
    vec_clear(&order);
}

int cmd_render(struct cli *c, struct err *err)
{
    struct session *s CLEANUP(session_closep) = NULL;
    struct graph *g CLEANUP(graph_freep) = NULL;
    struct graph_opts go = cli_graph_opts(c);
    if (!cli_session(c, 0, c->o.use_cluster, &s, err) || !check_known(c, s->desired, err) ||
        !graph_build(s->desired, NULL, &go, &g, err))
        return 0;
    print_all(c, s->desired, g);
    return 0;
}
