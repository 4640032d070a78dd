// SPDX-License-Identifier: Apache-2.0
#include "restore/zero.h"

#include <stdlib.h>
#include <string.h>

// One object on its way: asked for, then perhaps written.
struct item {
    struct zero_run *run;
    const struct object_id *id;
    const char *body;
    size_t body_len;
    const char *manager;
    char *path;
    bool is_namespace;
};

struct zero_run {
    struct kube *k;
    struct loop *l;
    const struct kinds *served;
    struct zero_result *out;
    size_t open;
    struct err err; // the first
};

static void on_written(void *ctx, const struct kube_reply *r)
{
    struct item *it = ctx;
    struct zero_run *z = it->run;
    CLEANUP(str_freep) char *name = object_name(it->id);
    z->open--;
    if (r->cls == KUBE_OK)
        *(it->is_namespace ? &z->out->namespaces : &z->out->written) += 1;
    else if (!err_is_set(&z->err))
        (void)kube_reply_err(r, &z->err, name);
}

static void write_item(struct item *it)
{
    struct kube_apply_opts o = {.manager = it->manager, .patience_ms = KUBE_PATIENCE_MS};
    it->run->open++;
    kube_apply(it->run->k, it->path, it->body, it->body_len, &o, on_written, it);
}

// Made by an earlier restore, and touched by nobody since?
static bool is_untouched(const json_t *live)
{
    const json_t *managers = json_dot(live, "metadata.managedFields");
    size_t i;
    json_t *f;
    json_array_foreach(managers, i, f)
    {
        if (!str_eq(json_dot_str(f, "manager"), ZERO_MANAGER))
            return false;
    }
    return json_array_size(managers) > 0;
}

static bool is_made_by_restore(const json_t *live)
{
    size_t i;
    json_t *f;
    json_array_foreach(json_dot(live, "metadata.managedFields"), i, f)
    {
        if (str_eq(json_dot_str(f, "manager"), ZERO_MANAGER))
            return true;
    }
    return false;
}

// Has `live` all that `want` says?
static bool holds(const json_t *live, const json_t *want)
{
    const char *key;
    json_t *v;
    if (!json_is_object(want))
        return json_equal((json_t *)live, (json_t *)want);
    json_object_foreach((json_t *)want, key, v)
    {
        const json_t *have = json_object_get(live, key);
        if (!have || !holds(have, v))
            return false;
    }
    return true;
}

static void on_there(struct item *it, const struct kube_reply *r)
{
    struct zero_run *z = it->run;
    CLEANUP(json_freep) json_t *live = NULL;
    CLEANUP(json_freep) json_t *want = NULL;
    struct err err = {0};
    if (!canon_read(r->body, r->body_len, &live, &err) ||
        !canon_read(it->body, it->body_len, &want, &err)) {
        err_clear(&err); // its message may quote
        if (!err_is_set(&z->err))
            err_set(&z->err, ERR_INTERNAL, "an answer of the API server is no document");
    } else if (holds(live, want)) {
        z->out->unchanged++;
    } else if (is_untouched(live)) {
        write_item(it);
    } else if (is_made_by_restore(live)) {
        z->out->unchanged++; // and others have gone on with it
    } else {
        strv_push_take(&z->out->kept, object_name(it->id));
    }
}

static void on_asked(void *ctx, const struct kube_reply *r)
{
    struct item *it = ctx;
    struct zero_run *z = it->run;
    CLEANUP(str_freep) char *name = object_name(it->id);
    z->open--;
    if (err_is_set(&z->err))
        return;
    if (r->cls == KUBE_ABSENT)
        write_item(it);
    else if (r->cls != KUBE_OK)
        (void)kube_reply_err(r, &z->err, name);
    else if (!it->is_namespace)
        on_there(it, r);
}

static void ask(struct item *it)
{
    struct kube_call get = {.method = "GET", .path = it->path, .patience_ms = KUBE_PATIENCE_MS};
    it->run->open++;
    kube_send(it->run->k, &get, on_asked, it);
}

static bool wait_all(struct zero_run *z, struct err *err)
{
    while (z->open) {
        if (loop_stopping(z->l)) {
            kube_cancel_all(z->k); // callbacks point into this frame
            while (z->open)
                loop_run_once(z->l, 100);
            err_clear(&z->err);
            return err_set(err, ERR_CANCELLED, "interrupted");
        }
        loop_run_once(z->l, 200);
    }
    if (!err_is_set(&z->err))
        return true;
    err_move(err, &z->err);
    return err_wrap(err, "secret-zero");
}

static char *path_of(const struct kinds *served, const struct object_id *id, const char *version)
{
    const struct kind_info *k = kinds_find(served, id->group, version, id->kind);
    return k && k->is_served ? kind_path(k, id->namespace, id->name) : NULL;
}

// ---- their namespaces ----
struct space {
    struct object_id id;
    char *body;
    const char *manager;
};
typedef VEC(struct space) spaces;

// As an application has it, if one does: it is written once, and by its own manager.
static void add_space(spaces *all, const struct desired *d, const char *ns)
{
    for (size_t i = 0; i < all->len; i++)
        if (!strcmp(all->v[i].id.name, ns))
            return;
    struct object_id id = {(char *)"", (char *)"Namespace", NULL, (char *)ns};
    const struct object *o = desired_find(d, &id);
    CLEANUP(json_freep)
    json_t *doc = json_pack("{s:s, s:s, s:{s:s}}", "apiVersion", "v1", "kind", "Namespace",
                            "metadata", "name", ns);
    struct buf b = {0};
    canon_write(doc, &b);
    *vec_push(all) = (struct space){.id = object_id_dup(&id),
                                    .body = o ? str_dup(o->body) : str_dup(b.p),
                                    .manager = o ? "regrow" : ZERO_MANAGER};
    buf_clear(&b);
}

static bool write_spaces(struct zero_run *z, const struct desired *d, const struct frozen *f,
                         struct err *err)
{
    spaces all = {0};
    for (size_t i = 0; i < f->zero.len; i++)
        if (f->zero.v[i].id.namespace)
            add_space(&all, d, f->zero.v[i].id.namespace);
    struct item *items = mem_alloc((all.len + 1) * sizeof(*items));
    for (size_t i = 0; i < all.len; i++) {
        struct space *s = &all.v[i];
        items[i] = (struct item){z, &s->id, s->body, strlen(s->body), s->manager, NULL, true};
        items[i].path = path_of(z->served, &s->id, "v1");
        if (items[i].path)
            ask(&items[i]);
    }
    bool ok = wait_all(z, err);
    for (size_t i = 0; i < all.len; i++) {
        free(items[i].path);
        object_id_clear(&all.v[i].id);
        free(all.v[i].body);
    }
    free(items);
    vec_clear(&all);
    return ok;
}

static bool write_objects(struct zero_run *z, const struct frozen *f, struct err *err)
{
    struct item *items = mem_alloc((f->zero.len + 1) * sizeof(*items));
    for (size_t i = 0; i < f->zero.len; i++) {
        const struct zero_object *x = &f->zero.v[i];
        items[i] = (struct item){z, &x->id, x->body, x->body_len, ZERO_MANAGER, NULL, false};
        items[i].path = path_of(z->served, &x->id, x->version);
        if (items[i].path)
            ask(&items[i]);
        else
            strv_push_take(&z->out->kept, object_name(&x->id));
    }
    bool ok = wait_all(z, err);
    for (size_t i = 0; i < f->zero.len; i++)
        free(items[i].path);
    free(items);
    return ok;
}

bool zero_write(struct kube *k, struct loop *l, const struct kinds *served, const struct desired *d,
                const struct frozen *f, struct zero_result *out, struct err *err)
{
    struct zero_run z = {.k = k, .l = l, .served = served, .out = out};
    *out = (struct zero_result){0};
    return write_spaces(&z, d, f, err) && write_objects(&z, f, err);
}

void zero_result_clear(struct zero_result *r)
{
    strv_clear(&r->kept);
    *r = (struct zero_result){0};
}
