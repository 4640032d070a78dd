// SPDX-License-Identifier: Apache-2.0
//
// Pure: where repositories go, and what is to be done there.
#include <stdlib.h>
#include <string.h>

#include "restore/gitback.h"

#define SHOWN 5
#define SHORT_ID 7

// ---- where to ----
static bool covers(const char *prefix, const char *url)
{
    size_t n = strlen(prefix);
    return !strncmp(prefix, url, n) &&
           (!url[n] || url[n] == '/' || !strcmp(url + n, ".git") || (n && prefix[n - 1] == '/'));
}

static size_t without_git(const char *url)
{
    size_t n = strlen(url);
    return n > 4 && !strcmp(url + n - 4, ".git") ? n - 4 : n;
}

static void go(struct git_place *p, const char *from, const char *into)
{
    const char *rest = p->h->url + strlen(from);
    free(p->to);
    free(p->from);
    free(p->into);
    // Named by itself a repository is the same with and without its ending.
    p->to = str_printf("%s%s", into, strcmp(rest, ".git") != 0 ? rest : "");
    bool same = !strcmp(p->to, p->h->url);
    size_t n = !*rest || !strcmp(rest, ".git") ? without_git(from) : strlen(from);
    p->from = same ? NULL : str_ndup(from, n);
    p->into = same ? NULL : str_dup(into);
}

static void list_repositories(const struct histories *all, struct buf *out)
{
    for (size_t i = 0; i < all->v.len && i < SHOWN; i++)
        buf_printf(out, "%s%s", i ? ", " : "", all->v.v[i].url);
    if (all->v.len > SHOWN)
        buf_printf(out, " and %zu more", all->v.len - SHOWN);
}

static bool none_of(const struct histories *all, const char *what, struct err *err)
{
    struct buf b CLEANUP(buf_clear) = {0};
    list_repositories(all, &b);
    CLEANUP(str_freep) char *shown = repo_url_shown(what);
    err_set(err, ERR_USAGE, "--push-git %s: no repository of the snapshot has a URL that begins so",
            shown);
    return err_hint(err, "The snapshot has %s.", b.p);
}

static bool place_pair(const struct histories *all, const char *text, const char *eq,
                       struct git_places *out, size_t *won, struct err *err)
{
    CLEANUP(str_freep) char *from = str_ndup(text, (size_t)(eq - text));
    bool any = false;
    if (!*from || !eq[1])
        return err_set(err, ERR_USAGE, "--push-git %s: OLD=NEW or URL is wanted", text);
    for (size_t i = 0; i < all->v.len; i++) {
        if (!covers(from, all->v.v[i].url))
            continue;
        any = true;
        if (out->v.v[i].to && strlen(from) <= won[i])
            continue;
        won[i] = strlen(from);
        go(&out->v.v[i], from, eq + 1);
    }
    return any || none_of(all, from, err);
}

static bool place_url(const struct histories *all, const char *url, struct git_places *out,
                      size_t *won, struct err *err)
{
    bool any = false;
    for (size_t i = 0; i < all->v.len; i++) {
        if (!covers(url, all->v.v[i].url))
            continue;
        any = true;
        if (out->v.v[i].to && strlen(url) <= won[i])
            continue;
        won[i] = strlen(url);
        go(&out->v.v[i], all->v.v[i].url, all->v.v[i].url);
    }
    if (any)
        return true;
    if (all->v.len == 1) {
        go(&out->v.v[0], all->v.v[0].url, url);
        return true;
    }
    struct buf b CLEANUP(buf_clear) = {0};
    list_repositories(all, &b);
    CLEANUP(str_freep) char *shown = repo_url_shown(url);
    err_set(err, ERR_USAGE, "--push-git %s: the snapshot has %zu repositories: which goes there?",
            shown, all->v.len);
    return err_hint(err, "Say --push-git OLD=NEW, for each or for what their URLs begin with: %s.",
                    b.p);
}

// Two in one place would be one in the other's way.
static bool all_apart(const struct git_places *p, struct err *err)
{
    CLEANUP(json_freep) json_t *seen = json_object();
    for (size_t i = 0; i < p->v.len; i++) {
        if (!p->v.v[i].to)
            continue;
        CLEANUP(str_freep) char *normal = repo_url_normal(p->v.v[i].to);
        CLEANUP(str_freep) char *shown = repo_url_shown(p->v.v[i].to);
        const char *other = json_string_value(json_object_get(seen, normal));
        if (other)
            return err_set(err, ERR_USAGE, "--push-git: %s and %s would both go to %s", other,
                           p->v.v[i].h->url, shown);
        json_object_set_new(seen, normal, json_string(p->v.v[i].h->url));
    }
    return true;
}

// A "=" may stand in a URL behind its "?"; OLD has none.
static const char *equals(const char *text)
{
    size_t n = strcspn(text, "=?");
    return text[n] == '=' ? text + n : NULL;
}

bool git_places_find(const struct histories *all, const struct strv *given, struct git_places *out,
                     struct err *err)
{
    size_t *won = mem_alloc((all->v.len + 1) * sizeof(*won));
    bool ok = all->v.len || err_set(err, ERR_NOT_FOUND, "the snapshot has no Git repository");
    for (size_t i = 0; i < all->v.len; i++)
        vec_push(&out->v)->h = &all->v.v[i];
    for (size_t i = 0; ok && i < given->len; i++) {
        const char *eq = equals(given->v[i]);
        ok = eq ? place_pair(all, given->v[i], eq, out, won, err)
                : place_url(all, given->v[i], out, won, err);
    }
    free(won);
    return ok && all_apart(out, err);
}

void git_places_clear(struct git_places *p)
{
    for (size_t i = 0; i < p->v.len; i++) {
        free(p->v.v[i].to);
        free(p->v.v[i].from);
        free(p->v.v[i].into);
    }
    vec_clear(&p->v);
}

// ---- what is to be done there ----
static void add(struct git_news *n, const struct git_ref *r, const char *from, const char *head)
{
    *vec_push(&n->v) = (struct source_push_ref){.name = r->name, .to = r->id, .from = from};
    // Hosts take the branch that comes first for the default one.
    if (head && !strcmp(r->name, head)) {
        struct source_push_ref first = n->v.v[0];
        n->v.v[0] = n->v.v[n->v.len - 1];
        n->v.v[n->v.len - 1] = first;
    }
}

void git_news_find(const struct git_refs *wanted, const struct git_refs *there, const char *head,
                   bool (*leads)(void *ctx, const char *id, const char *of), void *ctx,
                   struct git_news *out)
{
    CLEANUP(json_freep) json_t *at = json_object(); // name -> index, of what is there
    size_t known = 0;
    *out = (struct git_news){0};
    for (size_t i = 0; i < there->refs.len; i++)
        json_object_set_new(at, there->refs.v[i].name, json_integer((json_int_t)i));
    for (size_t i = 0; i < wanted->refs.len; i++) {
        const struct git_ref *r = &wanted->refs.v[i];
        const json_t *found = json_object_get(at, r->name);
        const char *id = found ? there->refs.v[json_integer_value(found)].id : "";
        known += found != NULL;
        if (!strcmp(id, r->id)) {
            out->same++;
        } else if (!found) {
            out->create++;
            add(out, r, "", head);
        } else if (!str_starts(r->name, "refs/tags/") && leads(ctx, id, r->id)) {
            out->forward++;
            add(out, r, id, head);
        } else if (!str_starts(r->name, "refs/tags/") && leads(ctx, r->id, id)) {
            out->ahead++;
        } else {
            strv_push_take(&out->in_the_way, str_printf("%s is at %.*s, and was %.*s", r->name,
                                                        SHORT_ID, id, SHORT_ID, r->id));
        }
    }
    out->besides = there->refs.len - known;
}

void git_news_clear(struct git_news *n)
{
    vec_clear(&n->v);
    strv_clear(&n->in_the_way);
    *n = (struct git_news){0};
}
