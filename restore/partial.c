// SPDX-License-Identifier: Apache-2.0
#include "restore/partial.h"

#include <stdlib.h>
#include <string.h>

static bool is_created(const struct run *r, unsigned object)
{
    struct node_view v;
    run_node(r, object, &v);
    return !strcmp(v.action, action_name(ACTION_CREATE));
}

static void find_objects(const struct run *r, const struct desired *d, struct partial *p)
{
    p->parts = mem_alloc(d->objects.len + 1);
    for (unsigned i = 0; i < d->objects.len; i++) {
        p->parts[i] = (unsigned char)run_part(r, i);
        if (d->objects.v[i].is_virtual)
            continue;
        p->chosen += p->parts[i] == PART_CHOSEN;
        p->needed += p->parts[i] == PART_NEEDED;
        if (p->parts[i] == PART_NEEDED && is_created(r, i))
            *vec_push(&p->absent) = i;
    }
}

// ---- keys and credentials ----
struct taking {
    const struct run *run;
    const struct desired *d;
    const struct partial *p;
    json_t *spaces; // namespaces that something is written to
    bool has_sealed;
};

// Is it written by this run: asked for, or needed and not there?
static bool is_written(const struct partial *p, unsigned object)
{
    if (p->parts[object] != PART_NEEDED)
        return p->parts[object] == PART_CHOSEN;
    for (size_t i = 0; i < p->absent.len; i++)
        if (p->absent.v[i] == object)
            return true;
    return false;
}

static void look_at_written(struct taking *t)
{
    for (unsigned i = 0; i < t->d->objects.len; i++) {
        const struct object_id *id = &t->d->objects.v[i].id;
        if (!is_written(t->p, i))
            continue;
        if (id->namespace)
            json_object_set_new(t->spaces, id->namespace, json_true());
        t->has_sealed |= !strcmp(id->kind, "SealedSecret");
    }
}

static bool is_external(const struct taking *t, const struct object_id *id)
{
    const struct graph *g = run_graph(t->run);
    for (unsigned i = 0; i < g->nodes.len; i++)
        if (g->nodes.v[i].kind == NODE_EXTERNAL && run_part(t->run, i) != PART_NONE &&
            object_id_eq(&g->nodes.v[i].ext, id))
            return true;
    return false;
}

// Issuers and stores of the whole cluster name Secrets in namespaces of others.
static bool is_named_by_store(const struct taking *t, const char *name)
{
    CLEANUP(str_freep) char *quoted = str_printf("\"%s\"", name);
    for (unsigned i = 0; i < t->d->objects.len; i++) {
        const struct object *o = &t->d->objects.v[i];
        if (!o->id.namespace && is_written(t->p, i) &&
            (str_ends(o->id.kind, "Issuer") || str_ends(o->id.kind, "SecretStore")) &&
            strstr(o->body, quoted))
            return true;
    }
    return false;
}

static bool is_taken(const struct taking *t, const struct zero_object *z)
{
    const struct object *own = desired_find(t->d, &z->id);
    if (own)
        return is_written(t->p, (unsigned)(own - t->d->objects.v));
    if (z->id.namespace && json_object_get(t->spaces, z->id.namespace))
        return true;
    if (t->has_sealed && str_eq(z->rule, "sealed-secrets keys"))
        return true;
    return is_external(t, &z->id) || is_named_by_store(t, z->id.name);
}

static void take_zero(struct taking *t, struct frozen *f)
{
    size_t kept = 0;
    for (size_t i = 0; i < f->zero.len; i++) {
        if (is_taken(t, &f->zero.v[i]))
            f->zero.v[kept++] = f->zero.v[i];
        else
            zero_object_clear(&f->zero.v[i]);
    }
    f->zero.len = kept;
}

static bool is_zero(const struct frozen *f, const struct object_id *id)
{
    for (size_t i = 0; i < f->zero.len; i++)
        if (object_id_eq(&f->zero.v[i].id, id))
            return true;
    return false;
}

static void find_awaited(const struct run *r, const struct frozen *f, struct partial *p)
{
    const struct graph *g = run_graph(r);
    for (unsigned i = 0; i < g->nodes.len; i++)
        if (g->nodes.v[i].kind == NODE_EXTERNAL && run_part(r, i) != PART_NONE &&
            !is_zero(f, &g->nodes.v[i].ext))
            strv_push(&p->awaited, g->nodes.v[i].label);
}

void partial_of(const struct run *r, struct frozen *f, struct partial *out)
{
    struct taking t = {.run = r, .d = f->desired, .p = out, .spaces = json_object()};
    *out = (struct partial){0};
    find_objects(r, f->desired, out);
    look_at_written(&t);
    take_zero(&t, f);
    json_decref(t.spaces);
    find_awaited(r, f, out);
}

bool partial_has(const struct partial *p, unsigned object)
{
    return !p->parts || p->parts[object] != PART_NONE;
}

void partial_clear(struct partial *p)
{
    free(p->parts);
    vec_clear(&p->absent);
    strv_clear(&p->awaited);
    *p = (struct partial){0};
}
