// SPDX-License-Identifier: Apache-2.0
//
// Rendering again for the target's Kubernetes (--rerender), from the sources in the snapshot and
// nothing else; and for one cluster of a hub (--cluster).
#include <stdlib.h>
#include <string.h>

#include "cli/restoring.h"

#define SHOWN_OBJECTS 6

const char *restoring_cluster(const struct restoring *x)
{
    const struct strv *v = &x->c->o.restore.clusters;
    return v->len ? v->v[0] : NULL;
}

static bool hint(struct err *err)
{
    return err_hint(err, "Nothing was written. To render again takes helm and kustomize on the "
                         "PATH, and every source in the snapshot; without --rerender the manifests "
                         "are restored as they were, where the snapshot has them.");
}

// " from REPOSITORY, path a", for each source that its problem does not name itself. Owned.
static char *from_where(const struct application *a)
{
    struct buf b = {0};
    for (size_t i = 0; i < a->sources.len; i++) {
        const struct app_source *src = &a->sources.v[i];
        CLEANUP(str_freep) char *shown = url_shown(src->repo_url);
        if (a->problem.msg && strstr(a->problem.msg, shown))
            continue;
        buf_printf(&b, "%s%s", b.len ? " and " : " from ", shown);
        if (src->chart || *src->path)
            buf_printf(&b, ", %s %s", src->chart ? "chart" : "path",
                       src->chart ? src->chart : src->path);
    }
    return b.p ? b.p : str_dup("");
}

// One that cannot be rendered now, and could be when it was frozen, would be missing.
static bool check_apps(const struct restoring *x, struct err *err)
{
    const struct desired *was = x->frozen.desired;
    const struct desired *now = x->s->desired;
    for (size_t i = 0; i < now->apps.len; i++) {
        const struct application *a = now->apps.v[i];
        int before = desired_find_app(was, a->name);
        enum app_state then = before < 0 ? APP_KNOWN : was->apps.v[before]->state;
        if (a->state == APP_OTHER_CLUSTER && then == APP_KNOWN && !restoring_cluster(x)) {
            err_set(err, ERR_INVALID, "application %s names the cluster that is gone by its server",
                    a->name);
            return hint(err);
        }
        if (a->state != APP_UNKNOWN || then == APP_UNKNOWN)
            continue;
        CLEANUP(str_freep) char *from = from_where(a);
        err_set(err, ERR_INVALID, "application %s cannot be rendered again%s: %s", a->name, from,
                a->problem.msg ? a->problem.msg : "nothing of it was read");
        return hint(err);
    }
    return true;
}

// ---- one cluster of a hub ----
// The server of a registered cluster; a destination may name it by either. Owned, or NULL.
static char *server_of(const json_t *clusters, const char *name)
{
    size_t i;
    json_t *doc;
    if (strstr(name, "://"))
        return str_dup(name);
    json_array_foreach((json_t *)clusters, i, doc)
    {
        struct buf known CLEANUP(buf_clear) = {0};
        struct buf server CLEANUP(buf_clear) = {0};
        const char *coded = json_dot_str(doc, "data.name");
        const char *where = json_dot_str(doc, "data.server");
        if (coded && where && base64_decode(coded, strlen(coded), &known) && known.len &&
            !strcmp(known.p, name) && base64_decode(where, strlen(where), &server) && server.len)
            return str_dup(server.p);
    }
    return NULL;
}

// Nothing of the hub itself comes along: neither its keys nor what it lacks.
static void forget_hub(struct frozen *f)
{
    for (size_t i = 0; i < f->zero.len; i++)
        zero_object_clear(&f->zero.v[i]);
    f->zero.len = 0;
    strv_clear(&f->missing);
    strv_clear(&f->stale);
}

static bool take_cluster(struct restoring *x, const char *name, struct err *err)
{
    struct desired *d = x->s->desired;
    size_t n = 0;
    for (size_t i = 1; i < d->apps.len; i++) {
        size_t objects = desired_app_objects(d, (unsigned)i);
        if (!objects && d->apps.v[i]->state == APP_KNOWN)
            d->apps.v[i]->state = APP_OTHER_CLUSTER; // read for its children
        n += objects > 0;
    }
    forget_hub(&x->frozen);
    if (n)
        return true;
    err_set(err, ERR_NOT_FOUND, "no application of the snapshot goes to cluster %s", name);
    return err_hint(err, "It is the name or the server in destinations of Applications; regrow "
                         "snapshot show tells those there are.");
}

bool restoring_take_cluster(struct restoring *x, struct reader *r, struct err *err)
{
    const char *name = restoring_cluster(x);
    x->is_anew = x->c->o.restore.rerender;
    if (!name || x->is_anew)
        return true;
    if (!frozen_cluster(r, name, &x->cluster, err))
        return false;
    x->is_anew = !x->cluster; // a snapshot of before hubs froze for others, or nobody's name
    return true;
}

static bool load(struct restoring *x, const struct frozen_sources *s, struct err *err)
{
    const struct desired *was = x->frozen.desired;
    const char *cluster = restoring_cluster(x);
    CLEANUP(str_freep) char *server = cluster ? server_of(s->clusters, cluster) : NULL;
    struct source_opts o = {
        .cache_dir = s->cache_dir,
        .root_revision = x->frozen.root_folder ? NULL : was->root_commit,
        .mirrors = s->mirrors.v,
        .n_mirrors = s->mirrors.len,
        .argocd = s->clusters,
        .offline = true,
        .is_spoke = cluster != NULL,
        .cluster_name = cluster,
        .cluster_server = server,
        .jobs = (unsigned)x->c->o.jobs,
        .render_ms = x->c->o.render_timeout_ms,
    };
    x->s->desired = NULL;
    bool ok = session_load(x->s, s->root, &o, err);
    // What it was grown from is not where that lies for the moment.
    str_set(&x->s->root, x->frozen.root);
    if (ok)
        return true;
    err_wrap(err, "render again");
    return err->hint ? false : hint(err);
}

bool restoring_rerender(struct restoring *x, struct reader *r, struct err *err)
{
    if (!x->is_anew)
        return true;
    struct event_sink events = x->c->events;
    bool ok = frozen_sources_make(r, &x->frozen, x->c->loop, &x->sources, err);
    x->c->events.emit = NULL; // of a loading that is nobody's news
    ok = ok && load(x, &x->sources, err) && check_apps(x, err) &&
         (!restoring_cluster(x) || take_cluster(x, restoring_cluster(x), err));
    x->c->events = events;
    if (!ok)
        return false;
    if (!restoring_cluster(x)) // the hub's manifests are another cluster's
        rendered_anew_of(x->frozen.desired, x->s->desired, &x->anew);
    desired_free(x->frozen.desired);
    x->frozen.desired = x->s->desired;
    return true;
}

static void print_names(const struct restoring *x, const char *what, const struct strv *names)
{
    struct buf b CLEANUP(buf_clear) = {0};
    size_t shown = x->c->o.verbose || names->len <= SHOWN_OBJECTS ? names->len : SHOWN_OBJECTS;
    if (!names->len)
        return;
    buf_printf(&b, "%s (%zu): ", what, names->len);
    for (size_t i = 0; i < shown; i++)
        buf_printf(&b, "%s%s", i ? ", " : "", names->v[i]);
    if (shown < names->len)
        buf_printf(&b, " and %zu more (-v)", names->len - shown);
    printf("    ");
    print_wrapped(stdout, b.p, 4, 6);
}

static void print_cluster(const struct restoring *x)
{
    const char *version = json_dot_str(x->cluster, "kubernetes");
    bool is_hubs = str_eq(json_dot_str(x->cluster, "of"), "hub");
    CLEANUP(str_freep)
    char *text =
        x->cluster ? str_printf("Only what goes to cluster %s, as it was rendered for Kubernetes "
                                "%s%s; nothing of the hub itself",
                                restoring_cluster(x), version ? version : "unknown",
                                is_hubs ? ", the hub's: nobody could ask that cluster" : "")
                   : str_printf("Only what goes to cluster %s, rendered for Kubernetes %s; nothing "
                                "of the hub itself",
                                restoring_cluster(x), kube_version(x->s->kube));
    printf("  ");
    print_wrapped(stdout, text, 2, 4);
}

json_t *restoring_cluster_doc(const struct restoring *x)
{
    const char *version = json_dot_str(x->cluster, "kubernetes");
    return json_pack("{s:s, s:b, s:s*, s:s*}", "name", restoring_cluster(x), "frozen",
                     x->cluster != NULL, "kubernetes", version ? version : kube_version(x->s->kube),
                     "of", json_dot_str(x->cluster, "of"));
}

void restoring_print_rerender(const struct restoring *x)
{
    const struct rendered_anew *a = &x->anew;
    size_t n = a->changed.len + a->added.len + a->removed.len;
    if (restoring_cluster(x)) {
        print_cluster(x);
        return;
    }
    if (!x->is_anew)
        return;
    CLEANUP(str_freep)
    char *text =
        str_printf("Rendered again for Kubernetes %s, from %zu repositor%s and %zu chart%s "
                   "of the snapshot: %zu object%s other than frozen",
                   kube_version(x->s->kube), x->sources.repositories,
                   x->sources.repositories == 1 ? "y" : "ies", x->sources.charts,
                   x->sources.charts == 1 ? "" : "s", n, n == 1 ? "" : "s");
    printf("  ");
    print_wrapped(stdout, text, 2, 4);
    print_names(x, "changed", &a->changed);
    print_names(x, "new", &a->added);
    print_names(x, "gone", &a->removed);
    print_names(x, "came out otherwise, and stay as they were", &a->kept);
}

json_t *restoring_rerender_doc(const struct restoring *x)
{
    const struct rendered_anew *a = &x->anew;
    return json_pack("{s:o, s:o, s:o, s:o}", "changed", print_texts(&a->changed), "added",
                     print_texts(&a->added), "removed", print_texts(&a->removed), "kept",
                     print_texts(&a->kept));
}
