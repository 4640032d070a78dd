// SPDX-License-Identifier: Apache-2.0
#include "source/source.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "source/gotemplate.h"
#include "source/load.h"
#include "source/memo.h"
#include "source/ssh.h"

struct source *source_new(struct loop *l, const struct source_opts *o)
{
    struct source *s = mem_alloc(sizeof(*s));
    struct source_ctx *c = &s->ctx;
    size_t i;
    json_t *doc;
    s->loop = l;
    s->o = *o;
    c->loop = l;
    c->o = &s->o;
    c->pool = pool_new(l, SOURCE_THREADS);
    c->creds = creds_new(o->creds, o->n_creds);
    c->hosts = hosts_new(l);
    c->helper = o->git_helpers ? helper_new(l) : NULL;
    c->charts = charts_new();
    c->templates = gotemplates_new(c);
    c->http = http_new(&(struct http_opts){.loop = l,
                                           .hosts = c->hosts,
                                           .creds = c->creds,
                                           .helper = c->helper,
                                           .ca_file = o->ca_file,
                                           .silence_ms = o->silence_ms});
    json_array_foreach((json_t *)o->argocd, i, doc)
    {
        creds_add_doc(c->creds, doc, CRED_CLUSTER);
    }
    s->given_clusters = o->clusters;
    clusters_init(&s->clusters, o->clusters, o->argocd);
    s->o.clusters = s->clusters.known;
    return s;
}

static void root_clear(struct root *r)
{
    free(r->url);
    free(r->dir);
    free(r->path);
    free(r->ref);
    free(r->origin);
    free(r->origin_normal);
    free(r->name);
    *r = (struct root){0};
}

void source_free(struct source *s)
{
    if (!s)
        return;
    struct source_ctx *c = &s->ctx;
    source_poll_cancel(s);
    // First what runs in the pool, which touches all the rest; then what waits for the network.
    pool_free(c->pool);
    probes_sweep(s, true);
    for (size_t i = 0; i < s->trees.len; i++)
        tree_free(s->trees.v[i]);
    vec_clear(&s->trees);
    for (size_t i = 0; i < c->repos.len; i++)
        gitsrc_free(c->repos.v[i]);
    vec_clear(&c->repos);
    charts_free(c->charts);
    http_free(c->http);
    helper_free(c->helper);
    gotemplates_free(c->templates); // like the helper it may turn the loop: nothing else is in it
    hosts_free(c->hosts);
    creds_free(c->creds);
    vec_clear(&c->waits.v);
    strv_clear(&c->remotes);
    memo_free(s->memo);
    clusters_clear(&s->clusters);
    root_clear(&s->root);
    strv_clear(&s->api_versions);
    free(s->global_projects);
    free(s);
}

// "platform" of https://git.example.com/team/platform.git
static char *repo_name(const char *url)
{
    CLEANUP(str_freep) char *u = str_dup(url);
    size_t n = strlen(u);
    while (n && u[n - 1] == '/')
        u[--n] = 0;
    if (str_ends(u, ".git"))
        u[n - 4] = 0;
    const char *sep = strrchr(u, '/');
    const char *colon = strrchr(u, ':');
    if (!sep || (colon && colon > sep))
        sep = colon;
    return str_dup(sep ? sep + 1 : u);
}

// The work tree stands for its own remote, so that a plan shows what is not pushed yet.
static bool is_own_remote(const struct source *s, const char *url)
{
    if (!s->root.dir || !s->root.origin)
        return false;
    CLEANUP(str_freep) char *normal = repo_url_normal(url);
    return !strcmp(normal, s->root.origin_normal);
}

struct tree *source_folder(struct source *s, const char *dir, const char *repo)
{
    for (size_t i = 0; i < s->trees.len; i++)
        if (s->trees.v[i]->disk && str_eq(s->trees.v[i]->disk->dir, dir))
            return s->trees.v[i];
    struct tree *t = tree_new(&s->ctx, NULL, dir);
    t->repo = str_dup(repo);
    *vec_push(&s->trees) = t;
    return t;
}

static struct tree *folder_tree(struct source *s)
{
    return source_folder(s, s->root.dir, path_base(s->root.dir));
}

static struct tree *commit_tree(struct source *s, const char *url, struct gitcommit *c)
{
    for (size_t i = 0; i < s->trees.len; i++)
        if (s->trees.v[i]->git == c)
            return s->trees.v[i];
    struct tree *t = tree_new(&s->ctx, c, NULL);
    t->commit = str_dup(c->id);
    t->repo = repo_name(url);
    t->revision = str_ndup(c->id, 7);
    *vec_push(&s->trees) = t;
    return t;
}

bool source_tree(struct source *s, const char *url, const char *target, const char *tag_prefix,
                 struct tree **out, struct err *err)
{
    struct gitcommit *c = NULL;
    CLEANUP(str_freep) char *name = NULL;
    if (is_own_remote(s, url)) {
        *out = folder_tree(s);
        return true;
    }
    if (!gitsrc_resolve(gitsrc_of(&s->ctx, url, s->ctx.project), target, tag_prefix, &c, &name,
                        err))
        return false;
    *out = commit_tree(s, url, c);
    return true;
}

bool source_retry_denied(struct source *s)
{
    bool any = charts_retry_denied(s->ctx.charts);
    for (size_t i = 0; i < s->ctx.repos.len; i++)
        any |= gitsrc_retry_denied(s->ctx.repos.v[i]);
    return any;
}

// ---- the root ----
static char *read_origin(const char *dir)
{
    CLEANUP(str_freep) char *config = path_join(dir, ".git/config");
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    if (!file_exists(config) || !file_read(config, 1U << 20, &b, &err)) {
        err_clear(&err);
        return NULL;
    }
    const char *section = strstr(b.p, "[remote \"origin\"]");
    const char *end = section ? strstr(section + 1, "\n[") : NULL;
    const char *url = section ? strstr(section, "url = ") : NULL;
    if (!url || (end && url > end))
        return NULL;
    return str_ndup(url + 6, strcspn(url + 6, "\r\n"));
}

static bool no_such_root(const char *text, struct err *err)
{
    size_t host = strcspn(text, "/");
    const char *dot = memchr(text, '.', host);
    err_set(err, ERR_NOT_FOUND, "folder %s does not exist", text);
    if (strstr(text, "?ref="))
        return err_hint(err, "?ref=REV is for a URL; a commit of a repository on this machine is "
                             "file:///FOLDER//PATH?ref=REV.");
    if (dot && dot > text && text[host] && !strstr(text, ".."))
        return err_hint(err, "A repository is named with its scheme: https://%s", text);
    return err_hint(err, "ROOT is a folder, a file, or URL[//path][?ref=REV].");
}

static bool parse_folder(struct source *s, const char *text, struct err *err)
{
    struct root *r = &s->root;
    CLEANUP(str_freep) char *real = realpath(text, NULL);
    if (!real)
        return no_such_root(text, err);
    if (s->o.root_revision) {
        err_set(err, ERR_USAGE, "%s is a folder: it is read as it is, in no revision", text);
        return err_hint(err, "A commit of a repository on this machine is "
                             "file:///FOLDER//PATH?ref=REV.");
    }
    CLEANUP(str_freep) char *top = str_dup(real);
    // Up to the work tree's top, so that children may name other folders of it.
    for (;;) {
        CLEANUP(str_freep) char *git = path_join(top, ".git");
        char *slash = strrchr(top, '/');
        if (file_exists(git))
            break;
        if (!slash || slash == top) {
            str_set(&top, file_is_dir(real) ? real : "");
            if (!*top)
                str_set(&top, real), *strrchr(top, '/') = 0;
            break;
        }
        *slash = 0;
    }
    r->dir = str_dup(top);
    const char *rest = real + strlen(top);
    r->path = str_dup(*rest == '/' ? rest + 1 : rest);
    r->origin = read_origin(top);
    r->origin_normal = r->origin ? repo_url_normal(r->origin) : NULL;
    r->name = str_dup(*r->path ? path_base(r->path) : path_base(top));
    return true;
}

// What looks like a URL of a repository, and is none that Git could be read from.
static bool check_url(const char *text, struct err *err)
{
    static const char *const schemes[] = {"https://", "http://", "ssh://", "file://"};
    const char *query = strchr(text, '?');
    CLEANUP(str_freep) char *shown = url_redacted(text);
    bool known = ssh_is_url(text);
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
        known |= !strncasecmp(text, schemes[i], strlen(schemes[i]));
    if (!known)
        return err_set(err, ERR_USAGE,
                       "%s: ROOT is a folder, a file, or a Git repository at https, http, ssh or "
                       "file",
                       shown);
    if (query && !str_starts(query, "?ref="))
        return err_set(err, ERR_USAGE, "%s: behind ROOT's ? only ref=REV is known", shown);
    return true;
}

static bool parse_root(struct source *s, const char *text, struct err *err)
{
    struct root *r = &s->root;
    root_clear(r);
    s->ctx.is_remote_root = false;
    bool is_url = strstr(text, "://") || ssh_is_url(text);
    if (!*text)
        return err_set(err, ERR_USAGE, "ROOT is empty: a folder, a file, or URL[//path][?ref=REV]");
    if (!is_url)
        return parse_folder(s, text, err);
    if (!check_url(text, err))
        return false;
    const char *query = strstr(text, "?ref=");
    CLEANUP(str_freep) char *base = query ? str_ndup(text, (size_t)(query - text)) : str_dup(text);
    r->ref = query ? str_dup(query + 5) : NULL;
    char *scheme = strstr(base, "://");
    char *split = strstr(scheme ? scheme + 3 : base, "//");
    CLEANUP(str_freep) char *path = NULL;
    if (split) {
        if (!path_clean(split + 2, &path))
            return err_set(err, ERR_USAGE, "%s: the path leaves the repository", text);
        *split = 0;
    }
    r->url = str_dup(base);
    s->ctx.is_remote_root = !gitsrc_local_path(r->url);
    r->path = path ? TAKE(path) : str_dup("");
    r->name = repo_name(base);
    return true;
}

bool source_root_tree(struct source *s, struct desired *d, struct tree **out, struct err *err)
{
    const char *ref = s->o.root_revision ? s->o.root_revision : s->root.ref ? s->root.ref : "";
    str_set(&d->root_name, s->root.name); // this may be called again, after a wait
    if (s->root.dir) {
        *out = folder_tree(s);
        return true;
    }
    if (!source_tree(s, s->root.url, ref, NULL, out, err))
        return false;
    str_set(&d->root_commit, (*out)->commit);
    str_set(&d->root_revision, (*out)->revision);
    str_set(&d->root_ref, *ref ? ref : NULL);
    if ((*out)->git)
        d->root_time_unix_s = (*out)->git->files.time_unix_s;
    return true;
}

bool source_stopped(const struct source *s, const struct strv *open, struct err *err)
{
    if (!loop_is_late(s->loop) || !open->len)
        return loop_stopped(s->loop, err, "reading sources");
    CLEANUP(str_freep) char *more = NULL;
    if (open->len > 1)
        more = str_printf(", and for %zu more", open->len - 1);
    return err_set(err, ERR_TIMEOUT, "timed out waiting for %s%s", open->v[0], more ? more : "");
}

bool source_wait(struct source *s, struct err *err)
{
    struct waits w = s->ctx.waits;
    bool ok = true;
    s->ctx.waits = (struct waits){0};
    while (ok && !waits_over(&w)) {
        struct strv open = {0};
        waits_tell(&w, &open);
        ok = !loop_stopping(s->loop) || source_stopped(s, &open, err);
        strv_clear(&open);
        if (ok)
            loop_run_once(s->loop, 200);
    }
    vec_clear(&w.v);
    return ok;
}

bool source_root_revision(struct source *s, const char *root, char **commit, struct err *err)
{
    struct desired *d CLEANUP(desired_freep) = desired_new();
    struct tree *t = NULL;
    if (!parse_root(s, root, err))
        return false;
    while (!source_root_tree(s, d, &t, err)) {
        if (!s->ctx.waits.v.len)
            return false;
        err_clear(err);
        if (!source_wait(s, err))
            return false;
    }
    if (t->git) {
        *commit = str_dup(t->commit);
        return true;
    }
    while (!tree_id(t, s->root.path, commit, err)) {
        if (!s->ctx.waits.v.len)
            return false;
        err_clear(err);
        if (!source_wait(s, err))
            return false;
    }
    return true;
}

// What charts may ask about: the kinds served, and those this very state will bring. Was a chart
// told anything of the served APIs that is not so, now that all CRDs are known?
static bool update_apis(struct source *s, const struct desired *d, const struct told_apis *told)
{
    struct strv now = {0};
    kinds_api_versions(d->kinds, &now);
    bool wrong = told->n_all && (told->n_all != now.len || !strv_eq(&now, &s->api_versions));
    for (size_t i = 0; i < told->answers.len; i++)
        wrong |= strv_has(&now, told->answers.v[i] + 1) != (*told->answers.v[i] == '1');
    strv_clear(&s->api_versions);
    s->api_versions = now;
    return wrong;
}

static int minor_of(const char *version)
{
    const char *dot = version ? strchr(version, '.') : NULL;
    return dot ? atoi(dot + 1) : 37;
}

void source_add_known_kinds(const struct source *s, struct kinds *k)
{
    kinds_add_builtin(k, minor_of(s->o.kube_version));
    for (size_t i = 0; s->o.known_kinds && i < kinds_count(s->o.known_kinds); i++) {
        const struct kind_info *x = kinds_get(s->o.known_kinds, i);
        kinds_add(k, x->group, x->version, x->kind, x->plural, x->is_namespaced, x->is_served);
        kinds_set_verbs(k, x->group, x->version, x->kind, x->can_patch, x->can_list);
    }
}

bool source_load_all(struct source *s, const struct desired *hub, struct desired **out,
                     struct err *err)
{
    CLEANUP(kinds_freep) struct kinds *first = kinds_new();
    source_add_known_kinds(s, first);
    strv_clear(&s->api_versions);
    kinds_api_versions(first, &s->api_versions);
    // CRDs of the state itself may change what charts render; what they then render may bring
    // others. A chart that never comes to rest is taken as it is after three rounds.
    for (int round = 0;; round++) {
        struct told_apis told = {0};
        *out = desired_new();
        source_add_known_kinds(s, (*out)->kinds);
        (*out)->last_state = s->last_state;
        (*out)->state = s->memo ? (s->last_state = ++s->state) : 0;
        bool ok = source_load_once(s, hub, out, &told, err);
        bool again = ok && update_apis(s, *out, &told);
        // What another cluster registers is not the hub's.
        if (hub)
            json_array_clear(s->clusters.found);
        else
            again |= ok && clusters_settle(&s->clusters);
        strv_clear(&told.answers);
        if (ok && !again && !hub && s->memo && !s->now.n_pins)
            memo_base_end(s->memo, *out, kinds_sum(first), s->clusters.known);
        if (!ok || !again || round == 2)
            return ok;
        desired_free(*out);
    }
}

static bool begin_root(struct source *s, const char *root, struct err *err)
{
    return parse_root(s, root, err) &&
           (!s->memo || !s->root.dir || folder_stamped(s->root.dir, &s->stamp, err));
}

static bool load_whole(struct source *s, const char *root, struct desired **out, struct err *err)
{
    struct desired *d CLEANUP(desired_freep) = NULL;
    bool ok = source_load_all(s, NULL, &d, err);
    suggest_root(s, root, d, err);
    if (!ok)
        return false;
    suggest_flux(d);
    *out = TAKE(d);
    return true;
}

bool source_load(struct source *s, const char *root, struct desired **out, struct err *err)
{
    return begin_root(s, root, err) && load_whole(s, root, out, err);
}

static bool load_or_amend(struct source *s, const char *root, struct desired **state,
                          struct source_changes *changes, struct err *err)
{
    struct source_changes unused CLEANUP(source_changes_clear) = {0};
    struct desired *next = NULL;
    bool is_amended = false;
    if (!begin_root(s, root, err) ||
        !source_amend(s, *state, changes ? changes : &unused, &is_amended, err))
        return false;
    if (is_amended)
        return true;
    if (!load_whole(s, root, &next, err))
        return false;
    if (changes)
        source_compare(*state, next, changes);
    desired_free(*state);
    *state = next;
    return true;
}

bool source_load_again(struct source *s, const char *root, struct desired **state,
                       const struct source_now *now, struct source_changes *changes,
                       struct err *err)
{
    if (!s->memo)
        s->memo = memo_new();
    source_poll_cancel(s);
    source_renew(s, now);
    memo_begin(s->memo, s->o.kube_version);
    bool ok = load_or_amend(s, root, state, changes, err);
    s->now.pins = NULL;
    s->now.n_pins = 0;
    s->now.hard = NULL;
    if (ok)
        s->ctx.good = s->ctx.load;
    memo_sweep(s->memo, ok ? *state : NULL, s->ctx.good, s->ctx.load);
    if (!ok)
        return false;
    charts_drop_indexes(&s->ctx);
    return true;
}

bool source_unread(struct source *s, const struct err *why, struct desired **out)
{
    struct err err = {0};
    if (!s->root.name)
        return false;
    struct desired *d CLEANUP(desired_freep) = desired_new();
    source_add_known_kinds(s, d->kinds);
    desired_add_app_take(d, application_new_root(s->root.name));
    d->root_name = str_dup(s->root.name);
    d->apps.v[0]->state = APP_UNKNOWN;
    err_copy(&d->apps.v[0]->problem, why);
    if (!desired_finish(d, &err)) {
        err_clear(&err);
        return false;
    }
    *out = TAKE(d);
    return true;
}
