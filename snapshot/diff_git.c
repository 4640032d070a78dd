// SPDX-License-Identifier: Apache-2.0
//
// Refs that moved, and the commits between. Only then are Git packs opened: those of both snapshots
// are indexed in a private folder.
#include <string.h>

#include "base/file.h"
#include "gitops/gitops.h"
#include "snapshot/diff_int.h"
#include "snapshot/lists.h"
#include "source/source.h"

struct histories {
    struct git_proof *proof;
    char *dir;
    json_t *names; // of the packs in it
};

static bool take_bytes(void *ctx, const void *p, size_t len, struct err *err)
{
    return git_proof_add(ctx, p, len, err);
}

static bool add_packs(struct histories *h, struct reader *r, struct err *err)
{
    for (size_t i = 0; i < reader_git_count(r); i++) {
        CLEANUP(str_freep) char *index = NULL;
        if (json_object_get(h->names, reader_git_name(r, i)))
            continue;
        json_object_set_new(h->names, reader_git_name(r, i), json_true());
        if (!git_proof_begin(h->proof, err) || !reader_git_pack(r, i, take_bytes, h->proof, err) ||
            !git_proof_end(h->proof, &index, err) || !git_proof_use(h->proof, index, err))
            return false;
    }
    return true;
}

static bool open_histories(struct diffing *d, struct histories *h, struct err *err)
{
    if (h->proof)
        return true;
    if (!dir_make_temp("regrow-diff", &h->dir, err))
        return false;
    h->proof = git_proof_new(h->dir, d->o->stop);
    h->names = json_object();
    return add_packs(h, d->b.r, err) && add_packs(h, d->a.r, err);
}

static void close_histories(struct histories *h)
{
    git_proof_free(h->proof);
    json_decref(h->names);
    dir_temp_cleanup(&h->dir);
}

// ---- refs ----
struct log_list {
    json_t *list;
    size_t max, n;
};

static bool add_commit(void *ctx, const char *id, int64_t time_unix_s, const char *author,
                       const char *subject)
{
    struct log_list *l = ctx;
    if (l->n++ >= l->max)
        return false;
    json_t *x = json_pack("{s:s, s:I}", "id", id, "time", (json_int_t)time_unix_s);
    json_t *by = json_string(author); // no UTF-8: left out
    json_t *text = json_string(subject);
    if (by)
        json_object_set_new(x, "author", by);
    if (text)
        json_object_set_new(x, "subject", text);
    json_array_append_new(l->list, x);
    return true;
}

static bool add_log(struct diffing *d, struct histories *h, const char *from, const char *to,
                    const char *member, json_t *ref, struct err *err)
{
    struct log_list l = {.list = json_array(), .max = d->o->max_commits};
    bool ok = git_proof_log(h->proof, from, to, add_commit, &l, err);
    if (l.n > l.max)
        json_object_set_new(ref, "more", json_true());
    if (json_array_size(l.list))
        json_object_set_new(ref, member, l.list);
    else
        json_decref(l.list);
    return ok;
}

static bool add_ref(struct diffing *d, struct histories *h, const char *name, const char *from,
                    const char *to, json_t *refs, struct err *err)
{
    json_t *ref = json_pack("{s:s, s:s*, s:s*}", "name", name, "from", from, "to", to);
    json_array_append_new(refs, ref);
    if (!from || !to)
        return true; // what it leads to, others lead to as well, or it is new as a whole
    return open_histories(d, h, err) && add_log(d, h, from, to, "commits", ref, err) &&
           add_log(d, h, to, from, "gone", ref, err);
}

// {name: id} of a repository; empty when there is none.
static bool refs_of(const struct diff_side *s, const json_t *row, json_t **out, struct err *err)
{
    CLEANUP(json_freep) json_t *repo = NULL;
    size_t i;
    json_t *ref;
    *out = json_object();
    if (row && !list_read(s->r, row, "refs", &repo, err))
        return false;
    json_array_foreach(json_object_get(repo, "refs"), i, ref)
    {
        const char *name = json_dot_str(ref, "name");
        if (name)
            json_object_set(*out, name, json_object_get(ref, "id"));
    }
    return true;
}

static bool compare_refs(struct diffing *d, struct histories *h, const json_t *a, const json_t *b,
                         json_t *out, struct err *err)
{
    const char *name;
    json_t *id;
    json_object_foreach((json_t *)a, name, id)
    {
        const char *from = json_string_value(id);
        const char *to = json_string_value(json_object_get(b, name));
        if (!str_eq(from, to) && !add_ref(d, h, name, from, to, out, err))
            return false;
    }
    json_object_foreach((json_t *)b, name, id)
    {
        if (!json_object_get(a, name) &&
            !add_ref(d, h, name, NULL, json_string_value(id), out, err))
            return false;
    }
    return true;
}

static bool compare_repository(struct diffing *d, struct histories *h, const char *url,
                               const json_t *row_a, const json_t *row_b, json_t *out,
                               struct err *err)
{
    CLEANUP(json_freep) json_t *a = NULL;
    CLEANUP(json_freep) json_t *b = NULL;
    json_t *refs = json_array();
    json_t *x = json_pack("{s:s, s:s, s:o}", "url", url, "change",
                          !row_a   ? "added"
                          : !row_b ? "removed"
                                   : "changed",
                          "refs", refs);
    bool ok = refs_of(&d->a, row_a, &a, err) && refs_of(&d->b, row_b, &b, err) &&
              compare_refs(d, h, a, b, refs, err);
    if (!row_a || !row_b || json_array_size(refs))
        json_array_append(out, x);
    json_decref(x);
    return ok;
}

// url -> row
static bool repositories_of(const struct diff_side *s, json_t **out, struct err *err)
{
    CLEANUP(json_freep) json_t *rows = NULL;
    size_t i;
    json_t *row;
    *out = json_object();
    if (!list_read_all(s->r, s->root, "git", "repositories", &rows, err))
        return false;
    json_array_foreach(rows, i, row)
    {
        const char *url = json_dot_str(row, "url");
        if (url && !json_object_get(*out, url))
            json_object_set(*out, url, row);
    }
    return true;
}

bool diff_git(struct diffing *d, struct err *err)
{
    struct histories h CLEANUP(close_histories) = {0};
    CLEANUP(json_freep) json_t *a = NULL;
    CLEANUP(json_freep) json_t *b = NULL;
    json_t *out = json_array();
    const char *url;
    json_t *row;
    json_object_set_new(d->out, "repositories", out);
    if (!repositories_of(&d->a, &a, err) || !repositories_of(&d->b, &b, err))
        return false;
    json_object_foreach(a, url, row)
    {
        const json_t *now = json_object_get(b, url);
        bool same = now && str_eq(json_dot_str(row, "blob"), json_dot_str(now, "blob"));
        if (!same && !compare_repository(d, &h, url, row, now, out, err))
            return false;
    }
    json_object_foreach(b, url, row)
    {
        if (!json_object_get(a, url) && !compare_repository(d, &h, url, NULL, row, out, err))
            return false;
    }
    return true;
}
