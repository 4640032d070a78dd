// SPDX-License-Identifier: Apache-2.0
//
// What kustomizations name elsewhere. Kustomize fetches it by itself; for a snapshot it is fetched
// once more, by us, so that what a rendering was made of can be kept.
#include "source/remotes.h"

#include <stdlib.h>
#include <string.h>

#include "source/chart.h"
#include "source/load.h"

#define MAX_FILE_BYTES (16U << 20)

static bool is_web(const char *s)
{
    return str_starts(s, "https://") || str_starts(s, "http://");
}

void remote_clear(struct remote *r)
{
    free(r->url);
    free(r->ref);
    *r = (struct remote){0};
}

// "ref=v1&timeout=90s"
static char *query_ref(const char *query)
{
    struct strv parts = {0};
    char *ref = NULL;
    strv_split(&parts, query, '&');
    for (size_t i = 0; i < parts.len; i++) {
        const char *p = parts.v[i];
        if (str_starts(p, "ref=") || str_starts(p, "version="))
            str_set(&ref, strchr(p, '=') + 1);
    }
    strv_clear(&parts);
    return ref ? ref : str_dup("");
}

// Where the path of the repository ends in a URL without its query.
static size_t repo_end(const char *url)
{
    const char *scheme = strstr(url, "://");
    const char *host = scheme ? scheme + 3 : url;
    const char *git = strstr(host, ".git/");
    const char *split = strstr(host, "//");
    if (git)
        return (size_t)(git - url) + 4;
    if (str_ends(url, ".git"))
        return strlen(url);
    if (split)
        return (size_t)(split - url);
    // Without a mark: HOST/OWNER/NAME/PATH, as the large hosts have it.
    const char *at = host + strcspn(host, "/:");
    for (int i = 0; i < 2 && *at; i++)
        at = at + 1 + strcspn(at + 1, "/");
    return (size_t)(at - url);
}

void remote_parse(const char *text, struct remote *out)
{
    const char *at = str_starts(text, "git::") ? text + 5 : text;
    const char *query = strchr(at, '?');
    CLEANUP(str_freep) char *plain = query ? str_ndup(at, (size_t)(query - at)) : str_dup(at);
    bool is_yaml = str_ends(plain, ".yaml") || str_ends(plain, ".yml") || str_ends(plain, ".json");
    *out = (struct remote){0};
    if (is_web(at) && at == text && is_yaml && !strstr(plain, ".git/")) {
        out->is_file = true;
        out->url = str_dup(text);
        out->ref = str_dup("");
        return;
    }
    bool bare = !strstr(plain, "://") && !strchr(plain, '@');
    out->url = str_printf("%s%.*s", bare ? "https://" : "", (int)repo_end(plain), plain);
    out->ref = query_ref(query ? query + 1 : "");
}

// One try: false while something has not come. What cannot be had is said by its item.
static void ask(struct source *s, const char *text)
{
    struct remote r;
    struct err err = {0};
    struct gitcommit *commit = NULL;
    CLEANUP(str_freep) char *name = NULL;
    struct buf b CLEANUP(buf_clear) = {0};
    remote_parse(text, &r);
    bool ok = r.is_file ? url_fetch(&s->ctx, r.url, MAX_FILE_BYTES, &b, &err)
                        : gitsrc_resolve(gitsrc_of(&s->ctx, r.url, NULL), r.ref, NULL, &commit,
                                         &name, &err);
    (void)ok;
    err_clear(&err);
    remote_clear(&r);
}

// What goes to another cluster is rendered when that one is restored; what it takes is kept.
static void ask_for(struct source *s, const struct application *a)
{
    s->ctx.project = a->project;
    for (size_t i = 0; i < a->sources.len; i++) {
        const struct app_source *src = &a->sources.v[i];
        struct tree *t = NULL;
        struct chart chart = {0};
        struct err err = {0};
        bool ok = src->kind == APP_SOURCE_GIT ? source_tree(s, src->repo_url, src->target_revision,
                                                            src->tag_prefix, &t, &err)
                                              : chart_fetch(&s->ctx, src->repo_url, src->chart,
                                                            src->target_revision, &chart, &err);
        (void)ok;
        err_clear(&err);
        chart_clear(&chart);
    }
}

bool source_fetch_remotes(struct source *s, const struct desired *d, struct err *err)
{
    for (;;) {
        s->ctx.project = NULL;
        for (size_t i = 0; i < s->ctx.remotes.len; i++)
            ask(s, s->ctx.remotes.v[i]);
        for (size_t i = 0; i < d->apps.len; i++)
            if (d->apps.v[i]->state == APP_OTHER_CLUSTER)
                ask_for(s, d->apps.v[i]);
        if (!s->ctx.waits.v.len)
            return true;
        if (!source_wait(s, err))
            return false;
    }
}

bool remote_revision(struct source *s, const struct remote *r, char **revision, struct err *err)
{
    struct gitcommit *commit = NULL;
    CLEANUP(str_freep) char *name = NULL;
    s->ctx.project = NULL;
    if (gitsrc_resolve(gitsrc_of(&s->ctx, r->url, NULL), r->ref, NULL, &commit, &name, err)) {
        *revision = str_dup(commit->id);
        return true;
    }
    vec_clear(&s->ctx.waits.v);
    return false;
}
