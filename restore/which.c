// SPDX-License-Identifier: Apache-2.0
#include "restore/which.h"

#include <string.h>

#include "base/file.h"
#include "gitops/gitops.h"
#include "source/source.h"

#define MAX_GIT_BYTES (64U << 20) // that are indexed to know the date of one commit: two seconds

// A copy counts with the time of its original: copies may stand in another order.
static bool is_later(const struct entry *a, const struct entry *b)
{
    int64_t ta = entry_taken_s(a), tb = entry_taken_s(b);
    return ta != tb ? ta > tb : a->seq > b->seq;
}

const struct entry *which_at(const struct log *l, int64_t unix_s)
{
    const struct entry *found = NULL;
    for (size_t i = 0; i < l->v.len; i++) {
        const struct entry *e = &l->v.v[i];
        if (e->kind == ENTRY_SNAPSHOT && entry_taken_s(e) <= unix_s &&
            log_standing(l, e) == STANDING_LIVE && log_goodness(l, e) >= SNAP_GOOD &&
            (!found || is_later(e, found)))
            found = e;
    }
    return found;
}

// The root's own list, opened alone: lists of others need not be read for it.
struct finding {
    struct reader *r;
    char *name;    // of the root, as lists have it
    json_t *found; // its list
};

static bool take_root(void *ctx, const json_t *row, struct err *err)
{
    struct finding *f = ctx;
    CLEANUP(json_freep) json_t *list = NULL;
    const char *name = json_dot_str(row, "name");
    bool may_be = str_eq(name, f->name) ||
                  (name && str_starts(name, "root_") && str_eq(name + strlen("root_"), f->name));
    if (f->found || !may_be)
        return true;
    if (!list_open(f->r, row, &list, err))
        return false;
    if (list && !json_object_get(list, "parent") && !json_object_get(list, "document"))
        f->found = TAKE(list);
    return true;
}

static bool same(const json_t *a, const json_t *b)
{
    static const char *const keys[] = {"kind", "url", "chart", "target"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (!str_eq(json_dot_str(a, keys[i]), json_dot_str(b, keys[i])))
            return false;
    return true;
}

static bool revision_of(struct reader *r, const json_t *root, const json_t *source, char **out,
                        struct err *err)
{
    CLEANUP(json_freep) json_t *rows = NULL;
    size_t i;
    json_t *row;
    if (!list_read_all(r, root, "sources", "sources", &rows, err))
        return false;
    json_array_foreach(rows, i, row)
    {
        CLEANUP(json_freep) json_t *v = NULL;
        if (!same(row, source))
            continue;
        if (!list_open(r, row, &v, err))
            return false;
        *out = str_dup_or_null(json_dot_str(v, "revision"));
        return true;
    }
    return true;
}

static bool healthy_of(struct reader *r, const json_t *root, const char *name, char **out,
                       struct err *err)
{
    CLEANUP(json_freep) json_t *all = NULL;
    if (!snapshot_healthy(r, root, &all, err))
        return false;
    const char *commit = json_string_value(json_object_get(all, name));
    *out = commit && healthy_is_commit(commit) ? str_dup(commit) : NULL;
    return true;
}

static bool look(struct reader *r, char **revision, char **healthy, struct err *err)
{
    CLEANUP(json_freep) json_t *root = NULL;
    *revision = NULL;
    if (!reader_root(r, &root, err))
        return false;
    const char *name = json_dot_str(root, "name");
    struct finding f = {.r = r, .name = str_dup(name ? name : "")};
    for (char *p = f.name; *p; p++)
        if (*p == ' ')
            *p = '-';
    bool ok = list_each_app(r, json_dot(root, "shards.blobs"), take_root, &f, err);
    if (ok && f.found)
        ok = revision_of(r, root, json_array_get(json_object_get(f.found, "sources"), 0), revision,
                         err);
    if (ok && f.found && healthy)
        ok = healthy_of(r, root, json_dot_text(f.found, "name"), healthy, err);
    json_decref(f.found);
    str_freep(&f.name);
    return ok;
}

bool which_revision(struct reader *r, char **out, struct err *err)
{
    return look(r, out, NULL, err);
}

bool which_healthy(struct reader *r, char **revision, char **healthy, struct err *err)
{
    *healthy = NULL;
    return look(r, revision, healthy, err);
}

// ---- the age of a commit ----
struct packs {
    struct git_proof *proof;
    size_t bytes;
    bool is_too_much;
};

static bool take_bytes(void *ctx, const void *p, size_t len, struct err *err)
{
    struct packs *x = ctx;
    x->bytes += len;
    x->is_too_much = x->bytes > MAX_GIT_BYTES;
    if (x->is_too_much)
        return err_set(err, ERR_CANCELLED, "more Git history than is opened for a date");
    return git_proof_add(x->proof, p, len, err);
}

static bool take_time(void *ctx, const char *id, int64_t time_unix_s, const char *author,
                      const char *subject)
{
    (void)id;
    (void)author;
    (void)subject;
    *(int64_t *)ctx = time_unix_s;
    return false; // the first is the commit itself
}

static bool take_packs(struct packs *x, struct reader *r, struct err *err)
{
    for (size_t i = 0; i < reader_git_count(r); i++) {
        CLEANUP(str_freep) char *index = NULL;
        if (!git_proof_begin(x->proof, err) || !reader_git_pack(r, i, take_bytes, x, err) ||
            !git_proof_end(x->proof, &index, err) || !git_proof_use(x->proof, index, err))
            return false;
    }
    return true;
}

bool which_commit_time(struct reader *r, const char *commit, int64_t *unix_s, struct err *err)
{
    CLEANUP(dir_temp_cleanup) char *dir = NULL;
    struct packs x = {0};
    *unix_s = 0;
    if (!dir_make_temp("regrow-restore", &dir, err))
        return false;
    x.proof = git_proof_new(dir, NULL);
    bool ok =
        take_packs(&x, r, err) && git_proof_log(x.proof, NULL, commit, take_time, unix_s, err);
    git_proof_free(x.proof);
    if (ok || !x.is_too_much)
        return ok;
    err_clear(err);
    return true;
}
