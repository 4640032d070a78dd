// SPDX-License-Identifier: Apache-2.0
#include "source/source.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "source/gitnet.h"
#include "source/http.h"
#include "source/load.h"

struct source *source_new(struct loop *l, const struct source_opts *o)
{
    struct source *s = mem_alloc(sizeof(*s));
    s->loop = l;
    s->o = *o;
    s->ctx = (struct source_ctx){.loop = l, .o = &s->o, .indexes = json_object()};
    return s;
}

static void root_clear(struct root *r)
{
    free(r->url);
    free(r->dir);
    free(r->path);
    free(r->ref);
    free(r->origin);
    free(r->name);
    *r = (struct root){0};
}

void source_free(struct source *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->trees.len; i++)
        tree_free(s->trees.v[i]);
    vec_clear(&s->trees);
    for (size_t i = 0; i < s->repos.len; i++) {
        gitsrc_free(s->repos.v[i]->git);
        free(s->repos.v[i]->url);
        err_clear(&s->repos.v[i]->problem);
        free(s->repos.v[i]);
    }
    vec_clear(&s->repos);
    root_clear(&s->root);
    strv_clear(&s->api_versions);
    json_decref(s->ctx.indexes);
    free(s);
}

struct repo *source_repo(struct source *s, const char *url)
{
    CLEANUP(str_freep) char *normal = repo_url_normal(url);
    for (size_t i = 0; i < s->repos.len; i++) {
        CLEANUP(str_freep) char *other = repo_url_normal(s->repos.v[i]->url);
        if (!strcmp(other, normal))
            return s->repos.v[i];
    }
    struct repo *r = mem_alloc(sizeof(*r));
    CLEANUP(str_freep) char *at = source_mirror_url(&s->o, url);
    struct gitsrc_opts o = {.loop = s->loop,
                            .cache_dir = s->o.cache_dir,
                            .url = at,
                            .cred = source_cred_for(&s->o, url),
                            .known_hosts = s->o.known_hosts,
                            .ca_file = s->o.ca_file,
                            .offline = s->o.offline,
                            .events = s->o.events};
    r->url = str_dup(url);
    if (!gitsrc_open(&o, &r->git, &r->problem))
        r->git = NULL;
    *vec_push(&s->repos) = r;
    return r;
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
    return !strcmp(normal, s->root.origin);
}

static struct tree *folder_tree(struct source *s)
{
    for (size_t i = 0; i < s->trees.len; i++)
        if (!s->trees.v[i]->git && str_eq(s->trees.v[i]->dir, s->root.dir))
            return s->trees.v[i];
    struct tree *t = mem_alloc(sizeof(*t));
    t->dir = str_dup(s->root.dir);
    t->repo = str_dup(path_base(s->root.dir));
    *vec_push(&s->trees) = t;
    return t;
}

bool source_tree(struct source *s, const char *url, const char *target, const char *tag_prefix,
                 struct tree **out, struct err *err)
{
    if (is_own_remote(s, url)) {
        *out = folder_tree(s);
        return true;
    }
    struct repo *r = source_repo(s, url);
    if (!r->git) {
        err_copy(err, &r->problem);
        return false;
    }
    CLEANUP(str_freep) char *commit = NULL;
    CLEANUP(str_freep) char *name = NULL;
    if (err_is_set(&r->problem)) {
        err_copy(err, &r->problem); // asked once; a dead host is not waited for again
        return false;
    }
    if (!gitsrc_resolve(r->git, target, tag_prefix, &commit, &name, err)) {
        if (err->kind == ERR_UNAVAILABLE || err->kind == ERR_TIMEOUT || err->kind == ERR_DENIED)
            err_copy(&r->problem, err);
        return false;
    }
    for (size_t i = 0; i < s->trees.len; i++) {
        if (s->trees.v[i]->git == r->git && str_eq(s->trees.v[i]->commit, commit)) {
            *out = s->trees.v[i];
            return true;
        }
    }
    struct tree *t = mem_alloc(sizeof(*t));
    t->git = r->git;
    t->commit = TAKE(commit);
    t->repo = repo_name(url);
    t->revision = str_ndup(t->commit, 7);
    *vec_push(&s->trees) = t;
    *out = t;
    return true;
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
    CLEANUP(str_freep) char *u = str_ndup(url + 6, strcspn(url + 6, "\r\n"));
    return repo_url_normal(u);
}

static bool parse_folder(struct source *s, const char *text, struct err *err)
{
    struct root *r = &s->root;
    CLEANUP(str_freep) char *real = realpath(text, NULL);
    if (!real)
        return err_set(err, ERR_NOT_FOUND, "folder %s does not exist", text);
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
    r->name = str_dup(*r->path ? path_base(r->path) : path_base(top));
    return true;
}

static bool parse_root(struct source *s, const char *text, struct err *err)
{
    struct root *r = &s->root;
    root_clear(r);
    bool is_url = strstr(text, "://") || gitnet_is_ssh(text);
    if (!is_url)
        return parse_folder(s, text, err);
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
    r->path = path ? TAKE(path) : str_dup("");
    r->name = repo_name(base);
    return true;
}

bool source_root_tree(struct source *s, struct desired *d, struct tree **out, struct err *err)
{
    const char *ref = s->o.root_revision ? s->o.root_revision : s->root.ref ? s->root.ref : "";
    d->root_name = str_dup(s->root.name);
    if (s->root.dir) {
        *out = folder_tree(s);
        return true;
    }
    if (!source_tree(s, s->root.url, ref, NULL, out, err))
        return false;
    d->root_commit = str_dup_or_null((*out)->commit);
    d->root_revision = str_dup_or_null((*out)->revision);
    d->root_ref = *ref ? str_dup(ref) : NULL;
    if ((*out)->git)
        d->root_time_unix_s = gitsrc_commit_time((*out)->git, (*out)->commit);
    return true;
}

bool source_root_revision(struct source *s, const char *root, char **commit, struct err *err)
{
    struct desired *d CLEANUP(desired_freep) = desired_new();
    struct tree *t = NULL;
    if (!parse_root(s, root, err) || !source_root_tree(s, d, &t, err))
        return false;
    if (t->git)
        *commit = str_dup(t->commit);
    else if (!tree_id(t, s->root.path, commit, err))
        return false;
    return true;
}

// What charts may ask about: the kinds served, and those this very state will bring.
static bool update_apis(struct source *s, const struct desired *d)
{
    struct strv now = {0};
    kinds_api_versions(d->kinds, &now);
    bool same = now.len == s->api_versions.len;
    for (size_t i = 0; same && i < now.len; i++)
        same = !strcmp(now.v[i], s->api_versions.v[i]);
    strv_clear(&s->api_versions);
    s->api_versions = now;
    return !same;
}

static int minor_of(const char *version)
{
    const char *dot = version ? strchr(version, '.') : NULL;
    return dot ? atoi(dot + 1) : 37;
}

static void add_known_kinds(const struct source *s, struct kinds *k)
{
    kinds_add_builtin(k, minor_of(s->o.kube_version));
    for (size_t i = 0; s->o.known_kinds && i < kinds_count(s->o.known_kinds); i++) {
        const struct kind_info *x = kinds_get(s->o.known_kinds, i);
        kinds_add(k, x->group, x->version, x->kind, x->plural, x->is_namespaced, x->is_served);
        kinds_set_verbs(k, x->group, x->version, x->kind, x->can_patch, x->can_list);
    }
}

bool source_load(struct source *s, const char *root, struct desired **out, struct err *err)
{
    if (!parse_root(s, root, err))
        return false;
    CLEANUP(kinds_freep) struct kinds *first = kinds_new();
    add_known_kinds(s, first);
    strv_clear(&s->api_versions);
    kinds_api_versions(first, &s->api_versions);
    // CRDs of the state itself may change what charts render; what they then render may bring
    // others. A chart that never comes to rest is taken as it is after three rounds.
    for (int round = 0;; round++) {
        struct desired *d = desired_new();
        bool uses_apis = false;
        add_known_kinds(s, d->kinds);
        if (!source_load_once(s, &d, &uses_apis, err)) {
            desired_free(d);
            return false;
        }
        if (!uses_apis || round == 2 || !update_apis(s, d)) {
            *out = d;
            return true;
        }
        desired_free(d);
    }
}
