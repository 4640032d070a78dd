// SPDX-License-Identifier: Apache-2.0
//
// restore --wait-for-cluster: what can be said of the snapshot before there is a cluster is said
// while it comes up, and what is wrong with what was asked for ends the wait before it begins.
#include "cli/restoring.h"

static bool check_asked(const struct restoring *x, const struct desired *d, struct err *err)
{
    const struct options *o = &x->c->o;
    for (size_t i = 0; i < o->apps.len; i++)
        if (desired_find_app(d, o->apps.v[i]) < 0)
            return err_set(err, ERR_NOT_FOUND, "there is no application %s", o->apps.v[i]);
    for (size_t i = 0; i < o->restore.namespaces.len; i++)
        if (!desired_has_namespace(d, o->restore.namespaces.v[i]))
            return err_set(err, ERR_NOT_FOUND, "there is nothing in namespace %s",
                           o->restore.namespaces.v[i]);
    return true;
}

static void tell(const struct restoring *x, const struct frozen *f)
{
    size_t apps = 0;
    for (size_t i = 1; i < f->desired->apps.len; i++)
        apps += f->desired->apps.v[i]->state != APP_OTHER_CLUSTER;
    event_emit(&x->c->events, "restore.read", "{s:I, s:I, s:I, s:I, s:I}", "seq",
               (json_int_t)x->e->seq, "applications", (json_int_t)apps, "objects",
               (json_int_t)f->desired->objects.len, "first", (json_int_t)f->zero.len, "missing",
               (json_int_t)f->missing.len);
    if (x->c->events.emit || x->c->o.quiet)
        return;
    CLEANUP(str_freep)
    char *text =
        str_printf("snapshot %llu is whole, and read: %zu application%s, %zu object%s, %zu "
                   "keys and credentials before them; now the cluster",
                   (unsigned long long)x->e->seq, apps, apps == 1 ? "" : "s",
                   f->desired->objects.len, f->desired->objects.len == 1 ? "" : "s", f->zero.len);
    fprintf(stderr, "  ");
    print_wrapped(stderr, text, 2, 2);
}

bool restoring_read_ahead(struct restoring *x, const struct age_identity *id, struct err *err)
{
    CLEANUP(reader_freep) struct reader *r = NULL;
    CLEANUP(json_freep) json_t *cluster = NULL;
    struct frozen f CLEANUP(frozen_clear) = {0};
    struct frozen_opts o = {0};
    const char *name = restoring_cluster(x);
    if (!x->c->o.wait_ms || x->is_drill)
        return true;
    bool ok = reader_open(&x->snap.repo, x->snap.chain, x->e, id, &r, err) &&
              (!name || frozen_cluster(r, name, &cluster, err));
    o.cluster = cluster;
    if (!ok || !frozen_read(r, &o, &f, err))
        return err_wrap(err, "snapshot %llu", (unsigned long long)x->e->seq);
    if (!x->c->o.restore.rerender && !check_asked(x, f.desired, err))
        return false;
    tell(x, &f);
    return true;
}
