// SPDX-License-Identifier: Apache-2.0
#include "restore/target.h"

#include <stdlib.h>
#include <string.h>

#include "reconcile/reconcile.h"
#include "restore/zero.h"

#define MAX_EXAMPLES 5
#define NOTE_PATH "/api/v1/namespaces/" REGROW_NAMESPACE "/configmaps/" TARGET_NOTE_MAP

// Namespaces of a cluster nobody has used yet: Kubernetes' own, and those that providers and small
// distributions make. What runs in them is theirs, too.
static const char *const fresh[] = {
    "kube-*", "gke-*", "gmp-*", "aks-*", "amazon-*", "local-path-storage", REGROW_NAMESPACE};

static bool is_fresh(const char *ns)
{
    for (size_t i = 0; i < ARRAY_LEN(fresh); i++) {
        size_t n = strlen(fresh[i]);
        if (fresh[i][n - 1] == '*' ? !strncmp(fresh[i], ns, n - 1) : !strcmp(fresh[i], ns))
            return true;
    }
    return false;
}

static bool is_ours(const json_t *doc)
{
    size_t i;
    json_t *f;
    json_array_foreach(json_dot(doc, "metadata.managedFields"), i, f)
    {
        const char *manager = json_dot_str(f, "manager");
        if (str_eq(manager, "regrow") || str_eq(manager, ZERO_MANAGER))
            return true;
    }
    return false;
}

// ---- lists ----
// One of a kind, on its way.
struct look {
    struct target *t;
    struct kube_watch *watch; // NULL: it has ended
    bool is_over;
    struct err err;
};

static void on_item(struct look *l, const json_t *doc)
{
    const char *kind = json_dot_str(doc, "kind");
    const char *name = json_dot_str(doc, "metadata.name");
    const char *ns = json_dot_str(doc, "metadata.namespace");
    bool is_namespace = str_eq(kind, "Namespace");
    if (!kind || !name || is_fresh(ns ? ns : name) || is_ours(doc) ||
        (is_namespace && !strcmp(name, "default")))
        return;
    l->t->foreign++;
    if (l->t->examples.len < MAX_EXAMPLES)
        strv_push_take(&l->t->examples,
                       str_printf("%s %s%s%s", kind, ns ? ns : "", ns ? "/" : "", name));
}

static void on_event(void *ctx, enum kube_event ev, json_t *doc)
{
    struct look *l = ctx;
    switch (ev) {
    case KUBE_ITEM:
        on_item(l, doc);
        return;
    case KUBE_GONE:
        l->watch = NULL;
        l->is_over = true;
        return;
    case KUBE_SYNCED:
        l->is_over = true;
        return;
    case KUBE_RESTARTED: // one counted twice does not change what is decided
    case KUBE_ADDED:
    case KUBE_MODIFIED:
    case KUBE_DELETED:
        return;
    }
}

static void on_failed(void *ctx, const struct kube_reply *r)
{
    struct look *l = ctx;
    l->watch = NULL;
    l->is_over = true;
    (void)kube_reply_err(r, &l->err, "look what is in the cluster");
}

static void start(struct look *l, struct kube *k, const struct kind_info *kind)
{
    struct kube_watch_opts o = {.kind = kind,
                                .with_managed_fields = true,
                                .list_only = true,
                                .event = on_event,
                                .failed = on_failed,
                                .ctx = l};
    l->is_over = !kind || !kind->is_served;
    if (!l->is_over)
        l->watch = kube_watch(k, &o);
}

static bool wait_for(struct look *looks, size_t n, struct loop *loop, struct err *err)
{
    for (size_t i = 0; i < n;) {
        if (loop_stopping(loop))
            return err_set(err, ERR_CANCELLED, "interrupted while looking at the cluster");
        if (looks[i].is_over)
            i++;
        else
            loop_run_once(loop, 200);
    }
    for (size_t i = 0; i < n; i++) {
        if (!err_is_set(&looks[i].err))
            continue;
        err_move(err, &looks[i].err);
        return false;
    }
    return true;
}

static bool list_all(struct kube *k, struct loop *loop, const struct kinds *served,
                     struct target *out, struct err *err)
{
    static const struct {
        const char *group, *kind;
    } kinds[] = {{"", "Namespace"},     {"apps", "Deployment"}, {"apps", "StatefulSet"},
                 {"apps", "DaemonSet"}, {"batch", "Job"},       {"batch", "CronJob"}};
    struct look looks[ARRAY_LEN(kinds)] = {0};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        looks[i].t = out;
        start(&looks[i], k, kinds_find(served, kinds[i].group, NULL, kinds[i].kind));
    }
    bool ok = wait_for(looks, ARRAY_LEN(kinds), loop, err);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (looks[i].watch)
            kube_watch_stop(looks[i].watch);
        err_clear(&looks[i].err);
    }
    return ok;
}

// ---- the note ----
static bool read_note(struct kube *k, struct target *out, struct err *err)
{
    CLEANUP(json_freep) json_t *doc = NULL;
    long long seq = 0, head = 0;
    if (!kube_read(k, NOTE_PATH, KUBE_PATIENCE_MS, "read what this cluster was restored from", &doc,
                   NULL, err))
        return false;
    const char *chain = json_dot_str(doc, "data.chain");
    const char *text = json_dot_str(doc, "data.snapshot");
    if (chain && text && str_to_int(text, 1, ENTRY_MAX_SEQ, &seq)) {
        out->chain = str_dup(chain);
        out->repository = str_dup_or_null(json_dot_str(doc, "data.repository"));
        out->root = str_dup_or_null(json_dot_str(doc, "data.root"));
        out->cluster = str_dup_or_null(json_dot_str(doc, "data.cluster"));
        out->is_adopting = str_eq(json_dot_str(doc, "data.adopting"), "true");
        out->seq = (unsigned long long)seq;
        text = json_dot_str(doc, "data.head");
        if (text && str_to_int(text, 1, ENTRY_MAX_SEQ, &head))
            out->head = (unsigned long long)head;
    }
    return true;
}

bool target_remember(struct kube *k, struct target *out, struct err *err)
{
    *out = (struct target){0};
    return read_note(k, out, err);
}

bool target_look(struct kube *k, struct loop *l, const struct kinds *served, struct target *out,
                 struct err *err)
{
    *out = (struct target){0};
    return read_note(k, out, err) && list_all(k, l, served, out, err);
}

void target_clear(struct target *t)
{
    strv_clear(&t->examples);
    free(t->chain);
    free(t->repository);
    free(t->root);
    free(t->cluster);
    *t = (struct target){0};
}

bool target_note(struct kube *k, const struct target *seen, const struct target_note *n,
                 struct err *err)
{
    if (str_eq(seen->chain, n->chain) && seen->seq == n->seq && seen->head == n->head &&
        str_eq(seen->repository, n->repository) && str_eq(seen->root, n->root) &&
        str_eq(seen->cluster, n->cluster) && seen->is_adopting == n->is_adopting)
        return true;
    CLEANUP(str_freep) char *seq = str_printf("%llu", n->seq);
    CLEANUP(str_freep) char *head = str_printf("%llu", n->head);
    CLEANUP(json_freep)
    json_t *doc = json_pack("{s:s, s:s, s:{s:s, s:s}, s:{s:s, s:s, s:s, s:s, s:s*, s:s*, s:s*}}",
                            "apiVersion", "v1", "kind", "ConfigMap", "metadata", "name",
                            TARGET_NOTE_MAP, "namespace", REGROW_NAMESPACE, "data", "chain",
                            n->chain, "snapshot", seq, "head", head, "repository", n->repository,
                            "root", n->root, "cluster", n->cluster, "adopting",
                            n->is_adopting      ? "true"
                            : seen->is_adopting ? "false"
                                                : NULL);
    struct buf body CLEANUP(buf_clear) = {0};
    struct kube_reply reply;
    struct buf store CLEANUP(buf_clear) = {0};
    canon_write(doc, &body);
    struct kube_call put = {.method = "PATCH",
                            .path = NOTE_PATH "?fieldManager=regrow&force=true",
                            .body = body.p,
                            .body_len = body.len,
                            .content_type = "application/apply-patch+yaml",
                            .patience_ms = KUBE_PATIENCE_MS,
                            .is_idempotent = true};
    kube_send_wait(k, &put, &reply, &store);
    return reply.cls == KUBE_OK || kube_reply_err(&reply, err, "note what is restored");
}
