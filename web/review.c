// SPDX-License-Identifier: Apache-2.0
//
// Who asks (TokenReview), and whether they may (SubjectAccessReview). One request asks both, one
// after the other; requests that ask the same wait for the same answer, which counts for a short
// while. Neither tokens nor what they stand for is kept: a review is known by a hash.
#include "web/web_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define MAX_KNOWN 512 // reviews whose answer still counts
#define MAX_ASKED 32  // reviews under way: strangers do not get to flood the API server
#define MAX_TOKEN (12U << 10)
#define ASK_MS 10000
#define FAILED_MS 1000
#define SHORTEST_MS 1000 // whoever waited for an answer must still find it
#define TOLD_MS 60000

#define TOKEN_PATH "/apis/authentication.k8s.io/v1/tokenreviews"
#define ACCESS_PATH "/apis/authorization.k8s.io/v1/subjectaccessreviews"

enum kind { KIND_TOKEN, KIND_ACCESS };
enum verdict { V_ASKED, V_YES, V_NO, V_FAILED };

struct review {
    struct reviews *all;
    struct sha256 key;
    enum kind kind;
    enum verdict verdict;
    json_t *user; // of a token that is known
    int64_t until;
    struct kube_request *request;
};

struct reviews {
    struct web_server *w;
    VEC(struct review *) v;
    size_t asked;
    int64_t told_at;
    bool is_ending;
};

// ---- the header ----

static bool is_token_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("-._~+/=", c));
}

bool web_bearer(const char *header, const char **token, size_t *len)
{
    if (!header || strncasecmp(header, "Bearer ", 7) != 0)
        return false;
    header += 7 + strspn(header + 7, " ");
    size_t n = 0;
    while (n <= MAX_TOKEN && is_token_char(header[n]))
        n++;
    if (!n || n > MAX_TOKEN || header[n + strspn(header + n, " ")])
        return false;
    *token = header;
    *len = n;
    return true;
}

// ---- what is known ----

static void review_free(struct review *r)
{
    if (!r)
        return;
    if (r->request) {
        r->all->asked--;
        kube_cancel(TAKE(r->request));
    }
    json_decref(r->user);
    free(r);
}

static void drop(struct reviews *all, size_t i)
{
    review_free(all->v.v[i]);
    all->v.v[i] = all->v.v[--all->v.len];
}

static struct review *find(struct reviews *all, const struct sha256 *key)
{
    int64_t now = clock_mono_ms();
    for (size_t i = 0; i < all->v.len; i++) {
        struct review *r = all->v.v[i];
        if (!sha256_eq(&r->key, key))
            continue;
        if (r->verdict == V_ASKED || r->until > now)
            return r;
        drop(all, i);
        return NULL;
    }
    return NULL;
}

// Room for one more: what no longer counts goes, or what soonest will not.
static bool make_room(struct reviews *all)
{
    if (all->asked >= MAX_ASKED)
        return false;
    if (all->v.len < MAX_KNOWN)
        return true;
    size_t first = all->v.len;
    for (size_t i = 0; i < all->v.len; i++)
        if (all->v.v[i]->verdict != V_ASKED &&
            (first == all->v.len || all->v.v[i]->until < all->v.v[first]->until))
            first = i;
    if (first == all->v.len)
        return false;
    drop(all, first);
    return true;
}

// ---- answers ----

static enum verdict verdict_of(struct review *r, const struct kube_reply *reply, int64_t *for_ms)
{
    const struct web_limits *l = &r->all->w->limits;
    *for_ms = FAILED_MS;
    if (reply->cls != KUBE_OK)
        return V_FAILED;
    json_t *doc = json_loadb(reply->body, reply->body_len, 0, NULL);
    const char *field = r->kind == KIND_TOKEN ? "status.authenticated" : "status.allowed";
    json_t *user = json_dot(doc, "status.user");
    bool yes = json_dot_bool(doc, field, false);
    bool is_whole = json_dot(doc, "status") && !(r->kind == KIND_TOKEN && yes &&
                                                 str_is_empty(json_dot_text(user, "username")));
    if (is_whole && yes && r->kind == KIND_TOKEN)
        r->user = json_incref(user);
    json_decref(doc);
    if (!is_whole)
        return V_FAILED;
    *for_ms = yes ? l->allowed_ms : l->denied_ms;
    return yes ? V_YES : V_NO;
}

// Each of those who wait either goes on, to the next review, or may answer.
static void wake(struct reviews *all, const struct sha256 *key)
{
    for (struct front *f = all->w->fronts; f; f = f->next)
        for (struct conn *c = f->conns; c; c = c->next) {
            struct ask *a = c->ask;
            if (!a || !a->is_suspended || a->stream || !sha256_eq(&a->waits, key))
                continue;
            a->standing = reviews_stand(all, a);
            if (a->standing != STAND_ASKED)
                web_resume(a);
        }
}

// Once a minute, not once a request.
static void tell(struct reviews *all, const struct kube_reply *reply)
{
    int64_t now = clock_mono_ms();
    if (all->told_at && now - all->told_at < TOLD_MS)
        return;
    all->told_at = now;
    event_emit(all->w->o.events, "web.unable", "{s:s}", "message",
               reply->http ? reply->message : "the API server does not answer");
}

static void on_reply(void *ctx, const struct kube_reply *reply)
{
    struct review *r = ctx;
    struct reviews *all = r->all;
    if (reply->cls == KUBE_CANCELLED && !r->request)
        return; // by review_free
    int64_t for_ms;
    struct sha256 key = r->key;
    r->request = NULL;
    all->asked--;
    r->verdict = verdict_of(r, reply, &for_ms);
    r->until = clock_mono_ms() + (for_ms < SHORTEST_MS ? SHORTEST_MS : for_ms);
    all->w->counts.reviews[r->kind][r->verdict - V_YES]++;
    if (r->verdict == V_FAILED)
        tell(all, reply);
    wake(all, &key);
}

// ---- questions ----

static struct review *send_review(struct reviews *all, enum kind kind, const struct sha256 *key,
                                  json_t *body)
{
    if (!make_room(all)) {
        json_decref(body);
        return NULL;
    }
    char *text = json_dumps(body, JSON_COMPACT);
    json_decref(body);
    struct review *r = mem_alloc(sizeof(*r));
    r->all = all;
    r->key = *key;
    r->kind = kind;
    *vec_push(&all->v) = r;
    struct kube_call call = {.method = "POST",
                             .path = kind == KIND_TOKEN ? TOKEN_PATH : ACCESS_PATH,
                             .body = text,
                             .body_len = strlen(text),
                             .timeout_ms = ASK_MS,
                             .is_idempotent = true};
    all->asked++;
    r->request = kube_send(all->w->o.kube, &call, on_reply, r);
    explicit_bzero(text, strlen(text));
    free(text);
    return r;
}

static struct review *of_token(struct reviews *all, const char *token, size_t len)
{
    struct sha256_ctx *c = sha256_begin();
    sha256_add_str(c, "token");
    sha256_add(c, token, len);
    struct sha256 key = sha256_end(c);
    struct review *r = find(all, &key);
    if (r)
        return r;
    return send_review(all, KIND_TOKEN, &key,
                       json_pack("{s:s, s:s, s:{s:s%}}", "apiVersion", "authentication.k8s.io/v1",
                                 "kind", "TokenReview", "spec", "token", token, len));
}

static json_t *attributes(const struct ask *a)
{
    const char *name = a->uri.n > 3 ? a->uri.seg[3] : NULL; // /api/v1/applications/NAME
    if (a->route->is_non_resource)
        return json_pack("{s:{s:s, s:s}}", "nonResourceAttributes", "path", a->route->path, "verb",
                         a->route->verb);
    return json_pack("{s:{s:s, s:s, s:s, s:s*, s:s*}}", "resourceAttributes", "group",
                     "argoproj.io", "resource", "applications", "verb", a->route->verb, "name",
                     name, "namespace", a->w->o.namespace);
}

static struct review *of_access(struct reviews *all, const struct ask *a, const json_t *user)
{
    json_t *spec = attributes(a);
    json_object_set(spec, "user", json_object_get(user, "username"));
    static const char *const more[] = {"uid", "groups", "extra"};
    for (size_t i = 0; i < ARRAY_LEN(more); i++)
        if (json_object_get(user, more[i]))
            json_object_set(spec, more[i], json_object_get(user, more[i]));
    char *text = json_dumps(spec, JSON_COMPACT | JSON_SORT_KEYS);
    struct sha256 key = sha256_of(text, strlen(text));
    free(text);
    struct review *r = find(all, &key);
    if (r) {
        json_decref(spec);
        return r;
    }
    return send_review(all, KIND_ACCESS, &key,
                       json_pack("{s:s, s:s, s:o}", "apiVersion", "authorization.k8s.io/v1", "kind",
                                 "SubjectAccessReview", "spec", spec));
}

static enum standing wait_for(struct ask *a, const struct review *r)
{
    a->waits = r->key;
    return STAND_ASKED;
}

enum standing reviews_stand(struct reviews *all, struct ask *a)
{
    const char *token;
    size_t len;
    if (!a->route->verb)
        return STAND_OK;
    if (a->w->o.auth == WEB_AUTH_NONE) {
        str_set(&a->user, "anonymous");
        return STAND_OK;
    }
    if (!web_bearer(web_header(a, "Authorization"), &token, &len))
        return STAND_NO_TOKEN;
    const struct review *t = all->is_ending ? NULL : of_token(all, token, len);
    if (!t || t->verdict == V_FAILED)
        return STAND_NONE;
    if (t->verdict == V_ASKED)
        return wait_for(a, t);
    if (t->verdict == V_NO)
        return STAND_BAD_TOKEN;
    str_set(&a->user, json_dot_text(t->user, "username"));
    // What follows may make room, so the token's review is not looked at again.
    json_t *user = json_incref(t->user);
    const struct review *r = of_access(all, a, user);
    json_decref(user);
    if (!r || r->verdict == V_FAILED)
        return STAND_NONE;
    if (r->verdict == V_ASKED)
        return wait_for(a, r);
    return r->verdict == V_YES ? STAND_OK : STAND_DENIED;
}

struct reviews *reviews_new(struct web_server *w)
{
    struct reviews *all = mem_alloc(sizeof(*all));
    all->w = w;
    return all;
}

void reviews_free(struct reviews *all)
{
    if (!all)
        return;
    all->is_ending = true;
    for (size_t i = 0; i < all->v.len; i++)
        review_free(all->v.v[i]);
    vec_clear(&all->v);
    free(all);
}
