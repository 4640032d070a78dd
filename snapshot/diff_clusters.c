// SPDX-License-Identifier: Apache-2.0
//
// A hub's other clusters: each has lists of the same shape as the root's.
#include "gitops/gitops.h"
#include "snapshot/diff_int.h"
#include "snapshot/lists.h"

static char *key_of(const json_t *row)
{
    return list_cluster_scope(json_dot_str(row, "server"), json_dot_str(row, "name"));
}

// key -> row
static bool clusters_of(const struct diff_side *s, json_t **out, struct err *err)
{
    CLEANUP(json_freep) json_t *rows = NULL;
    size_t i;
    json_t *row;
    *out = json_object();
    if (!list_clusters(s->r, s->root, &rows, err))
        return false;
    json_array_foreach(rows, i, row)
    {
        CLEANUP(str_freep) char *key = key_of(row);
        json_object_set(*out, key, row);
    }
    return true;
}

static json_t *describe(const json_t *row_a, const json_t *row_b)
{
    static const char *const members[] = {"name", "server"};
    const json_t *row = row_b ? row_b : row_a;
    json_t *x = json_pack("{s:s}", "change", !row_a ? "added" : !row_b ? "removed" : "changed");
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        if (json_object_get(row, members[i]))
            json_object_set(x, members[i], json_object_get(row, members[i]));
    if (json_is_true(json_object_get(row_b, "stale")))
        json_object_set_new(x, "stale", json_true());
    return x;
}

// What was rendered for another Kubernetes need not differ: it is told all the same.
static void add_version(const json_t *a, const json_t *b, json_t *x)
{
    const char *from = json_dot_str(a, "kubernetes");
    const char *to = json_dot_str(b, "kubernetes");
    if (a && b && !str_eq(from, to))
        json_object_set_new(x, "kubernetes", json_pack("{s:s*, s:s*}", "from", from, "to", to));
}

static bool compare_lists(struct diffing *one, json_t *x, struct err *err)
{
    add_version(one->a.root, one->b.root, x);
    return diff_applications(one, err) && diff_pool(one, err);
}

// Where one was never read, nobody knows what was added or removed.
static bool compare_cluster(struct diffing *d, const json_t *row_a, const json_t *row_b,
                            json_t *out, struct err *err)
{
    CLEANUP(json_freep) json_t *a = NULL;
    CLEANUP(json_freep) json_t *b = NULL;
    CLEANUP(json_freep) json_t *x = describe(row_a, row_b);
    if (!list_open(d->a.r, row_a, &a, err) || !list_open(d->b.r, row_b, &b, err))
        return false;
    struct diffing one = {
        .a = {d->a.r, a}, .b = {d->b.r, b}, .o = d->o, .is_other = true, .out = x};
    if ((row_a && !a) || (row_b && !b))
        json_object_set_new(x, "unread", json_true());
    else if (!compare_lists(&one, x, err))
        return false;
    if (!row_a || !row_b || json_object_get(x, "unread") || json_object_get(x, "kubernetes") ||
        json_array_size(json_object_get(x, "applications")) ||
        json_array_size(json_object_get(x, "secrets")))
        json_array_append(out, x);
    return true;
}

bool diff_clusters(struct diffing *d, struct err *err)
{
    CLEANUP(json_freep) json_t *a = NULL;
    CLEANUP(json_freep) json_t *b = NULL;
    json_t *out = json_array();
    const char *key;
    json_t *row;
    json_object_set_new(d->out, "clusters", out);
    if (!clusters_of(&d->a, &a, err) || !clusters_of(&d->b, &b, err))
        return false;
    json_object_foreach(a, key, row)
    {
        const json_t *now = json_object_get(b, key);
        bool same = now && str_eq(json_dot_str(row, "blob"), json_dot_str(now, "blob"));
        if (!same && !compare_cluster(d, row, now, out, err))
            return err_wrap(err, "%s", key);
    }
    json_object_foreach(b, key, row)
    {
        if (!json_object_get(a, key) && !compare_cluster(d, NULL, row, out, err))
            return err_wrap(err, "%s", key);
    }
    return true;
}
