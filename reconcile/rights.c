// SPDX-License-Identifier: Apache-2.0
#include "reconcile/rights.h"

#include <stdlib.h>
#include <string.h>

#define MAX_QUESTIONS 2000
#define RBAC "rbac.authorization.k8s.io"

struct question {
    struct asking *all;
    const char *group, *resource, *verb, *namespace; // namespace NULL: all of them
    const char *name;                                // NULL: of any
    bool is_allowed;
};
struct asking {
    struct kube *k;
    struct loop *l;
    VEC(struct question) v;
    size_t open;
    struct err err;
};

static void on_answer(void *ctx, const struct kube_reply *r)
{
    struct question *q = ctx;
    struct asking *a = q->all;
    CLEANUP(json_freep) json_t *doc = NULL;
    struct err bad = {0};
    a->open--;
    if (r->cls == KUBE_OK && canon_read(r->body, r->body_len, &doc, &bad))
        q->is_allowed = json_dot_bool(doc, "status.allowed", false);
    else if (!err_is_set(&a->err) && r->cls != KUBE_OK)
        (void)kube_reply_err(r, &a->err, "ask what is permitted");
    err_clear(&bad);
}

static void ask(struct question *q)
{
    CLEANUP(json_freep)
    json_t *doc = json_pack("{s:s, s:s, s:{s:{s:s, s:s, s:s, s:s*, s:s*}}}", "apiVersion",
                            "authorization.k8s.io/v1", "kind", "SelfSubjectAccessReview", "spec",
                            "resourceAttributes", "group", q->group, "resource", q->resource,
                            "verb", q->verb, "namespace", q->namespace, "name", q->name);
    struct buf body CLEANUP(buf_clear) = {0};
    canon_write(doc, &body);
    struct kube_call post = {.method = "POST",
                             .path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                             .body = body.p,
                             .body_len = body.len,
                             .patience_ms = KUBE_PATIENCE_MS,
                             .is_idempotent = true};
    q->all->open++;
    kube_send(q->all->k, &post, on_answer, q);
}

static bool ask_all(struct asking *a, struct err *err)
{
    for (size_t i = 0; i < a->v.len; i++) {
        a->v.v[i].all = a;
        ask(&a->v.v[i]);
    }
    while (a->open) {
        if (loop_stopping(a->l)) {
            kube_cancel_all(a->k); // answers point into this list
            while (a->open)
                loop_run_once(a->l, 100);
            err_clear(&a->err);
            return err_set(err, ERR_CANCELLED, "interrupted");
        }
        loop_run_once(a->l, 200);
    }
    if (!err_is_set(&a->err))
        return true;
    err_move(err, &a->err);
    return false;
}

static void add(struct asking *a, const char *group, const char *resource, const char *verb,
                const char *namespace)
{
    for (size_t i = 0; i < a->v.len; i++) {
        const struct question *q = &a->v.v[i];
        if (!strcmp(q->group, group) && !strcmp(q->resource, resource) && !strcmp(q->verb, verb) &&
            str_eq(q->namespace, namespace))
            return;
    }
    if (a->v.len < MAX_QUESTIONS)
        *vec_push(&a->v) = (struct question){
            .group = group, .resource = resource, .verb = verb, .namespace = namespace};
}

static bool may_all(struct asking *a, bool *out, struct err *err)
{
    add(a, "*", "*", "*", NULL);
    bool ok = ask_all(a, err);
    *out = ok && a->v.v[0].is_allowed;
    a->v.len = 0;
    return ok;
}

static const struct kind_info *kind_of(const struct desired *d, const struct object *o)
{
    return o->is_virtual ? NULL : kinds_find(d->kinds, o->id.group, NULL, o->id.kind);
}

// What a plan deletes: an object of that kind and namespace; NULL: it does not.
static const struct kind_info *deleted(const struct desired *d, const struct run *r, size_t item,
                                       const struct object_id **id)
{
    const char *app;
    enum action a = run_plan(r)->items.v[item].action;
    *id = run_item_id(r, item, &app);
    bool is = a == ACTION_PRUNE || a == ACTION_RECREATE;
    return is ? kinds_find(d->kinds, (*id)->group, NULL, (*id)->kind) : NULL;
}

// Was not all allowed of this kind?
static bool is_denied(const struct asking *asked, const struct kind_info *k)
{
    for (size_t n = 0; n < asked->v.len; n++)
        if (!asked->v.v[n].is_allowed && !strcmp(asked->v.v[n].group, k->group) &&
            !strcmp(asked->v.v[n].resource, k->plural))
            return true;
    return false;
}

static void add_deleted(struct asking *a, const struct desired *d, const struct run *r,
                        const struct asking *denied)
{
    const struct object_id *id;
    for (size_t i = 0; r && i < run_plan(r)->items.len; i++) {
        const struct kind_info *k = deleted(d, r, i, &id);
        if (k && (!denied || is_denied(denied, k)))
            add(a, k->group, k->plural, denied ? "delete" : "*", denied ? id->namespace : NULL);
    }
}

// What a run needs for itself: its namespace, which it makes when it is not there, and the Lease.
static void add_own(struct asking *a)
{
    static const char *const lease[] = {"get", "create", "update"};
    struct kube_call get = {.method = "GET",
                            .path = "/api/v1/namespaces/" REGROW_NAMESPACE,
                            .patience_ms = KUBE_PATIENCE_MS};
    struct kube_reply r;
    struct buf store CLEANUP(buf_clear) = {0};
    kube_send_wait(a->k, &get, &r, &store);
    add(a, "", "namespaces", "get", NULL);
    a->v.v[a->v.len - 1].name = REGROW_NAMESPACE;
    if (r.cls == KUBE_ABSENT || r.cls == KUBE_NO_NAMESPACE) {
        add(a, "", "namespaces", "create", NULL);
        add(a, "", "namespaces", "patch", NULL);
    }
    for (size_t i = 0; i < ARRAY_LEN(lease); i++)
        add(a, "coordination.k8s.io", "leases", lease[i], REGROW_NAMESPACE);
}

// What a binding binds.
static const char *bound(const struct object *o)
{
    CLEANUP(json_freep) json_t *doc = NULL;
    struct err err = {0};
    if (!canon_read(o->body, o->body_len, &doc, &err))
        err_clear(&err); // it is ours, and was read before
    return str_eq(json_dot_str(doc, "roleRef.kind"), "Role") ? "roles" : "clusterroles";
}

// Who writes a role must hold what it grants, or may escalate; who binds one, or may bind.
static void add_grants(struct asking *a, const struct desired *d)
{
    for (size_t i = 0; i < d->objects.len; i++) {
        const struct object *o = &d->objects.v[i];
        const char *kind = o->id.kind;
        if (strcmp(o->id.group, RBAC) != 0)
            continue;
        if (!strcmp(kind, "Role"))
            add(a, RBAC, "roles", "escalate", o->id.namespace);
        else if (!strcmp(kind, "ClusterRole"))
            add(a, RBAC, "clusterroles", "escalate", NULL);
        else if (!strcmp(kind, "RoleBinding") || !strcmp(kind, "ClusterRoleBinding"))
            add(a, RBAC, bound(o), "bind", o->id.namespace);
    }
}

static void add_kinds(struct asking *a, const struct desired *d, const struct rights_more *more)
{
    add(a, "", "configmaps", "*", NULL); // the inventory
    for (size_t i = 0; i < d->objects.len; i++) {
        const struct kind_info *k = kind_of(d, &d->objects.v[i]);
        if (k)
            add(a, k->group, k->plural, "*", NULL);
    }
    for (size_t i = 0; more && i < more->n; i++) {
        const struct kind_info *k = kinds_find(d->kinds, more->v[i].group, NULL, more->v[i].kind);
        if (k)
            add(a, k->group, k->plural, "*", NULL);
    }
}

// What makes one, where not all is allowed of its kind.
static void add_writes(struct asking *a, const struct kind_info *k, const char *namespace,
                       const struct asking *denied)
{
    if (!k || !is_denied(denied, k))
        return;
    add(a, k->group, k->plural, "create", namespace);
    add(a, k->group, k->plural, "patch", namespace);
}

// Every verb of the kinds that not all is allowed of; writes by namespace where there is one.
static void add_verbs(struct asking *a, const struct desired *d, const struct rights_more *more,
                      const struct asking *denied)
{
    static const char *const everywhere[] = {"list", "watch"};
    for (size_t i = 0; i < denied->v.len; i++) {
        const struct question *q = &denied->v.v[i];
        if (!q->is_allowed && !*q->group && !strcmp(q->resource, "configmaps")) {
            add(a, q->group, q->resource, "create", REGROW_NAMESPACE);
            add(a, q->group, q->resource, "patch", REGROW_NAMESPACE);
        }
        for (size_t k = 0; !q->is_allowed && k < ARRAY_LEN(everywhere); k++)
            add(a, q->group, q->resource, everywhere[k], NULL);
    }
    for (size_t i = 0; i < d->objects.len; i++) {
        const struct object *o = &d->objects.v[i];
        add_writes(a, kind_of(d, o), o->id.namespace, denied);
    }
    for (size_t i = 0; more && i < more->n; i++)
        add_writes(a, kinds_find(d->kinds, more->v[i].group, NULL, more->v[i].kind),
                   more->v[i].namespace, denied);
}

static void tell(const struct asking *a, struct strv *out)
{
    for (size_t i = 0; i < a->v.len; i++) {
        const struct question *q = &a->v.v[i];
        if (!q->is_allowed)
            strv_push_take(out,
                           str_printf("%s %s%s%s%s%s%s%s", q->verb, q->resource,
                                      *q->group ? "." : "", q->group, q->name ? "/" : "",
                                      q->name ? q->name : "", q->namespace ? " in namespace " : "",
                                      q->namespace ? q->namespace : ""));
    }
}

bool rights_check(struct kube *k, struct loop *l, const struct desired *d, const struct run *r,
                  const struct rights_more *more, struct strv *out, struct strv *grants,
                  struct err *err)
{
    struct asking kinds = {.k = k, .l = l};
    struct asking verbs = {.k = k, .l = l};
    struct asking roles = {.k = k, .l = l};
    bool all = false;
    bool ok = may_all(&kinds, &all, err);
    if (ok && !all) {
        add_kinds(&kinds, d, more);
        add_deleted(&kinds, d, r, NULL);
        ok = ask_all(&kinds, err);
        if (ok) {
            add_own(&verbs);
            add_verbs(&verbs, d, more, &kinds);
            add_deleted(&verbs, d, r, &kinds);
            if (grants)
                add_grants(&roles, d);
        }
        ok = ok && ask_all(&verbs, err) && ask_all(&roles, err);
        if (ok)
            tell(&verbs, out);
        if (ok && grants)
            tell(&roles, grants);
    }
    vec_clear(&kinds.v);
    vec_clear(&verbs.v);
    vec_clear(&roles.v);
    return ok;
}
