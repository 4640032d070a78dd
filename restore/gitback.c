// SPDX-License-Identifier: Apache-2.0
#include "restore/gitback.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

#define PIECE_BYTES (256U << 10)

// ---- life ----
static void repo_clear(struct gitback_repo *r)
{
    source_push_clear(&r->there);
    git_news_clear(&r->news);
    err_clear(&r->problem);
    strv_clear(&r->refused);
}

void gitback_clear(struct gitback *b)
{
    for (size_t i = 0; b->repos && i < b->places.v.len; i++)
        repo_clear(&b->repos[i]);
    free(b->repos);
    git_proof_free(b->proof);
    dir_temp_cleanup(&b->dir);
    git_places_clear(&b->places);
    histories_clear(&b->all);
    *b = (struct gitback){0};
}

// What the snapshot has of it may be nothing that can be pushed.
static void judge_history(const struct git_place *p, struct gitback_repo *r)
{
    r->state = GITBACK_NONE;
    if (!p->to)
        r->state = GITBACK_AWAY;
    else if (!p->h->is_read)
        err_set(&r->problem, ERR_NOT_FOUND, "%s was never read: the snapshot has nothing of it",
                p->h->url);
    else if (p->h->is_bundle)
        err_set(&r->problem, ERR_INVALID, "%s is of SHA-256: snapshot export has it as a bundle",
                p->h->url);
    else if (!p->h->refs.refs.len)
        err_set(&r->problem, ERR_NOT_FOUND, "%s had no refs", p->h->url);
    else
        r->state = GITBACK_AWAITED;
}

bool gitback_open(struct reader *rd, const struct strv *given, const struct loop *loop,
                  struct gitback *out, struct err *err)
{
    CLEANUP(json_freep) json_t *root = NULL;
    *out = (struct gitback){.rd = rd, .loop = loop};
    if (!reader_root(rd, &root, err) || !histories_read(rd, root, &out->all, err))
        return err_wrap(err, "read the snapshot");
    if (!git_places_find(&out->all, given, &out->places, err))
        return false;
    out->repos = mem_alloc((out->places.v.len + 1) * sizeof(*out->repos));
    for (size_t i = 0; i < out->places.v.len; i++) {
        struct gitback_repo *r = &out->repos[i];
        r->there.url = out->places.v.v[i].to;
        judge_history(&out->places.v.v[i], r);
    }
    return true;
}

// ---- the packs ----
// Indexed, which computes the name of every object, when the first of them is needed.
static bool need_proof(struct gitback *b, struct err *err)
{
    if (b->proof)
        return true;
    if (!b->dir && !dir_make_temp("regrow-git", &b->dir, err))
        return false;
    b->proof = git_proof_new(b->dir, b->loop);
    if (histories_packs(b->rd, b->proof, err))
        return true;
    git_proof_free(b->proof);
    b->proof = NULL;
    return err_wrap(err, "read the snapshot");
}

static bool leads(void *ctx, const char *id, const char *of)
{
    const struct gitback *b = ctx;
    return b->proof && git_proof_is_ancestor(b->proof, id, of);
}

// ---- looking ----
static bool is_asked(const struct gitback_repo *r)
{
    return r->state != GITBACK_AWAY && r->state != GITBACK_NONE;
}

// All hosts side by side; what belongs to no host is left out.
static bool ask(struct gitback *b, struct source *s, bool with_head, struct err *err)
{
    struct source_push *v = mem_alloc((b->places.v.len + 1) * sizeof(*v));
    size_t n = 0;
    for (size_t i = 0; i < b->places.v.len; i++) {
        if (!is_asked(&b->repos[i]))
            continue;
        v[n++] = b->repos[i].there;
        b->repos[i].there = (struct source_push){.url = v[n - 1].url};
    }
    bool ok = source_push_look(s, v, n, with_head, err);
    n = 0;
    for (size_t i = 0; i < b->places.v.len; i++)
        if (is_asked(&b->repos[i]))
            b->repos[i].there = v[n++];
    free(v);
    return ok;
}

static bool has_moved(void *ctx, const char *id, const char *of)
{
    (void)id;
    (void)of;
    *(bool *)ctx = true;
    return false;
}

// ---- a host that is ahead ----
static bool take_pack(struct gitback *b, const char *path, struct err *err)
{
    char *piece = mem_alloc(PIECE_BYTES);
    CLEANUP(str_freep) char *index = NULL;
    int fd CLEANUP(fd_closep) = open(path, O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 ? git_proof_begin(b->proof, err)
                      : err_set(err, ERR_UNAVAILABLE, "open %s: %m", path);
    for (ssize_t n = 1; ok && n > 0;) {
        n = read(fd, piece, PIECE_BYTES);
        ok = n >= 0 ? git_proof_add(b->proof, piece, (size_t)n, err)
                    : err_set(err, ERR_UNAVAILABLE, "read %s: %m", path);
    }
    free(piece);
    return ok && git_proof_end(b->proof, &index, err) && git_proof_use(b->proof, index, err);
}

// What it has that the snapshot has not: only its own history says what that leads back to.
static bool take_history(struct gitback *b, struct source *s, const char *url, struct err *err)
{
    struct source_repos repos = {0};
    CLEANUP(str_freep) char *dir = path_join(b->dir, "there");
    struct source_repos_opts o = {.dir = dir};
    bool ok = dir_make(dir, 0700, err) && source_history(s, url, &o, &repos, err);
    for (size_t i = 0; ok && i < repos.v.len; i++) {
        const struct source_repo *r = &repos.v.v[i];
        if (err_is_set(&r->problem)) {
            err_copy(err, &r->problem);
            ok = false;
        }
        for (size_t k = 0; ok && k < r->packs.len; k++)
            ok = take_pack(b, r->packs.v[k], err);
    }
    source_repos_clear(&repos);
    return ok;
}

// Is a branch in the way at a commit that nobody here knows?
static bool is_beyond(const struct gitback *b, size_t i)
{
    const struct git_refs *wanted = &b->places.v.v[i].h->refs;
    const struct git_refs *there = &b->repos[i].there.there;
    for (size_t k = 0; k < there->refs.len; k++)
        for (size_t n = 0; n < wanted->refs.len; n++)
            if (str_starts(wanted->refs.v[n].name, "refs/heads/") &&
                !strcmp(wanted->refs.v[n].name, there->refs.v[k].name) &&
                !git_proof_has(b->proof, there->refs.v[k].id))
                return true;
    return false;
}

// A host that does not show its history is as one that has another.
static bool look_beyond(struct gitback *b, size_t i, struct source *s, struct err *err)
{
    const struct history *h = b->places.v.v[i].h;
    struct gitback_repo *r = &b->repos[i];
    struct err unseen = {0};
    if (!r->news.in_the_way.len || !is_beyond(b, i))
        return true;
    bool ok = take_history(b, s, r->there.url, &unseen);
    if (!ok && unseen.kind == ERR_CANCELLED) {
        err_move(err, &unseen);
        return false;
    }
    err_clear(&unseen);
    if (!ok)
        return true;
    git_news_clear(&r->news);
    git_news_find(&h->refs, &r->there.there, h->head, leads, b, &r->news);
    return true;
}

// Only where something is at another commit the packs tell whether it leads there.
static bool compare(struct gitback *b, size_t i, struct source *s, struct err *err)
{
    const struct history *h = b->places.v.v[i].h;
    struct gitback_repo *r = &b->repos[i];
    bool moved = false;
    git_news_clear(&r->news);
    git_news_find(&h->refs, &r->there.there, h->head, has_moved, &moved, &r->news);
    if (!moved)
        return true;
    if (!need_proof(b, err))
        return false;
    git_news_clear(&r->news);
    git_news_find(&h->refs, &r->there.there, h->head, leads, b, &r->news);
    return look_beyond(b, i, s, err);
}

static bool settle(struct gitback *b, size_t i, struct source *s, struct err *err)
{
    struct gitback_repo *r = &b->repos[i];
    err_clear(&r->problem);
    if (err_is_set(&r->there.problem)) {
        err_move(&r->problem, &r->there.problem);
        r->state = GITBACK_AWAITED;
        return true;
    }
    if (!compare(b, i, s, err))
        return false;
    r->state = r->news.v.len || r->news.in_the_way.len ? GITBACK_PLANNED : GITBACK_SAME;
    return true;
}

static bool find_conflict(const struct gitback *b, struct err *err)
{
    size_t more = 0;
    for (size_t i = 0; i < b->places.v.len; i++) {
        const struct strv *way = &b->repos[i].news.in_the_way;
        if (!way->len)
            continue;
        CLEANUP(str_freep) char *shown = repo_url_shown(b->places.v.v[i].to);
        if (!err_is_set(err))
            err_set(err, ERR_CONFLICT, "%s: %s", shown, way->v[0]);
        else
            more++;
        more += way->len - 1;
    }
    if (more) {
        CLEANUP(str_freep) char *text = str_dup(err->msg);
        err_clear(err);
        err_set(err, ERR_CONFLICT, "%s, and %zu more ref%s", text, more, more == 1 ? "" : "s");
    }
    return !err_is_set(err);
}

bool gitback_look(struct gitback *b, struct source *s, struct err *err)
{
    if (!ask(b, s, true, err))
        return false;
    for (size_t i = 0; i < b->places.v.len; i++)
        if (is_asked(&b->repos[i]) && !settle(b, i, s, err))
            return false;
    return find_conflict(b, err);
}

bool gitback_is_reached(const struct gitback *b, struct err *err)
{
    for (size_t i = 0; i < b->places.v.len; i++) {
        const struct gitback_repo *r = &b->repos[i];
        bool passes = r->problem.kind == ERR_UNAVAILABLE || r->problem.kind == ERR_TIMEOUT;
        if (r->state != GITBACK_AWAITED || (err_is_set(err) && passes))
            continue;
        err_clear(err);
        err_copy(err, &r->problem);
        if (!passes)
            return false;
    }
    return !err_is_set(err);
}

// ---- pushing ----
static bool is_must(const char *ref)
{
    return str_starts(ref, "refs/heads/") || str_starts(ref, "refs/tags/");
}

// Hosts make some refs themselves, of merge requests and the like, and take them from nobody.
static bool judge_refused(struct gitback_repo *r, const struct source_pushing *x, struct err *err)
{
    for (size_t i = 0; i < x->refused.len; i++) {
        const char *line = x->refused.v[i];
        if (!is_must(line)) {
            strv_push(&r->refused, line);
            continue;
        }
        CLEANUP(str_freep) char *shown = repo_url_shown(r->there.url);
        return err_set(err, ERR_DENIED, "%s does not take %s%s%s", shown, line, x->said ? ": " : "",
                       x->said ? x->said : "");
    }
    return true;
}

static bool push_one(struct gitback *b, size_t i, struct source *s, const struct event_sink *events,
                     struct err *err)
{
    struct gitback_repo *r = &b->repos[i];
    struct strv less = {0};
    CLEANUP(str_freep) char *shown = repo_url_shown(r->there.url);
    event_emit(events, "git.started", "{s:s, s:s, s:I}", "repo", b->places.v.v[i].h->url, "to",
               shown, "refs", (json_int_t)r->news.v.len);
    int64_t began = clock_mono_ms();
    for (size_t k = 0; k < r->there.there.refs.len; k++)
        strv_push(&less, r->there.there.refs.v[k].id);
    struct source_pushing x = {
        .proof = b->proof, .dir = b->dir, .refs = r->news.v.v, .n = r->news.v.len, .less = &less};
    bool ok = source_push_send(s, &r->there, &x, err) && judge_refused(r, &x, err);
    r->objects = x.objects;
    r->bytes = x.bytes;
    r->ms = clock_mono_ms() - began;
    source_pushing_clear(&x);
    strv_clear(&less);
    return ok;
}

static bool is_refused(const struct gitback_repo *r, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < r->refused.len; i++)
        if (!strncmp(r->refused.v[i], name, n) && r->refused.v[i][n] == ' ')
            return true;
    return false;
}

// What is there now counts, whatever was said of it.
static bool confirm(struct gitback *b, size_t i, struct err *err)
{
    const struct git_place *p = &b->places.v.v[i];
    struct gitback_repo *r = &b->repos[i];
    struct git_news left = {0};
    const char *missing = NULL;
    if (err_is_set(&r->there.problem)) {
        err_move(err, &r->there.problem);
        return err_wrap(err, "look at what was pushed");
    }
    git_news_find(&p->h->refs, &r->there.there, NULL, leads, b, &left);
    if (left.in_the_way.len)
        missing = left.in_the_way.v[0];
    for (size_t k = 0; k < left.v.len && !missing; k++)
        if (!is_refused(r, left.v.v[k].name))
            missing = left.v.v[k].name;
    CLEANUP(str_freep) char *shown = repo_url_shown(p->to);
    bool ok = !missing ||
              err_set(err, ERR_UNAVAILABLE, "%s: after the push it has not: %s", shown, missing);
    git_news_clear(&left);
    r->head_wanted = p->h->head && !str_eq(r->there.head, p->h->head) ? p->h->head : NULL;
    return ok;
}

static void tell(const struct gitback *b, size_t i, const struct event_sink *events)
{
    const struct gitback_repo *r = &b->repos[i];
    CLEANUP(str_freep) char *shown = repo_url_shown(b->places.v.v[i].to);
    event_emit(events, "git.pushed", "{s:s, s:s, s:I, s:I, s:I, s:I}", "repo",
               b->places.v.v[i].h->url, "to", shown, "refs", (json_int_t)r->news.v.len, "objects",
               (json_int_t)r->objects, "bytes", (json_int_t)r->bytes, "ms", (json_int_t)r->ms);
}

// One after the other: a failure of one leaves the others to be done.
static void push_all(struct gitback *b, struct source *s, const struct event_sink *events)
{
    for (size_t i = 0; i < b->places.v.len; i++) {
        struct gitback_repo *r = &b->repos[i];
        if (r->state != GITBACK_PLANNED)
            continue;
        if (!push_one(b, i, s, events, &r->problem) && r->problem.kind == ERR_CANCELLED)
            return;
    }
}

static bool settle_push(struct gitback *b, const struct event_sink *events, struct err *err)
{
    for (size_t i = 0; i < b->places.v.len; i++) {
        struct gitback_repo *r = &b->repos[i];
        struct err e = {0};
        if (r->state != GITBACK_PLANNED && r->state != GITBACK_SAME)
            continue;
        bool was_planned = r->state == GITBACK_PLANNED;
        bool ok = confirm(b, i, &e);
        // All is there although something was said to have failed: an answer that was lost.
        if (ok)
            err_clear(&r->problem);
        else if (!err_is_set(&r->problem))
            err_copy(&r->problem, &e);
        err_clear(&e);
        if (ok && was_planned)
            tell(b, i, events);
        r->state = !ok ? GITBACK_FAILED : was_planned ? GITBACK_PUSHED : GITBACK_SAME;
        if (!ok && !err_is_set(err))
            err_copy(err, &r->problem);
    }
    return !err_is_set(err);
}

bool gitback_push(struct gitback *b, struct source *s, const struct event_sink *events,
                  struct err *err)
{
    bool any = false;
    for (size_t i = 0; i < b->places.v.len; i++)
        any |= b->repos[i].state == GITBACK_PLANNED;
    if (any && !need_proof(b, err))
        return false;
    // All that is going to be pushed is there, before the first byte of it goes out.
    for (size_t i = 0; i < b->places.v.len; i++)
        for (size_t k = 0; k < b->repos[i].news.v.len; k++)
            if (!git_proof_tip(b->proof, b->repos[i].news.v.v[k].to, err))
                return err_wrap(err, "%s: %s", b->places.v.v[i].h->url,
                                b->repos[i].news.v.v[k].name);
    push_all(b, s, events);
    return ask(b, s, true, err) && settle_push(b, events, err);
}

// ---- for those who show it ----
void gitback_count(const struct git_refs *refs, size_t *branches, size_t *tags, size_t *others)
{
    *branches = *tags = *others = 0;
    for (size_t i = 0; i < refs->refs.len; i++) {
        const char *name = refs->refs.v[i].name;
        ++*(str_starts(name, "refs/heads/")  ? branches
            : str_starts(name, "refs/tags/") ? tags
                                             : others);
    }
}

void gitback_mirrors(const struct gitback *b, struct strv *out)
{
    for (size_t i = 0; i < b->places.v.len; i++) {
        const struct git_place *p = &b->places.v.v[i];
        if (!p->from)
            continue;
        CLEANUP(str_freep) char *into = repo_url_shown(p->into);
        CLEANUP(str_freep) char *text = str_printf("%s=%s", p->from, into);
        if (!strv_has(out, text))
            strv_push(out, text);
    }
}
