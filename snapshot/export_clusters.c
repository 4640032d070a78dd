// SPDX-License-Identifier: Apache-2.0
//
// What goes to a hub's other clusters: for each a folder with steps, manifests and Secrets as the
// hub's own cluster has them at the top, so that restore.sh brings back one of them. What only such
// a cluster had is in no snapshot of the hub, so there is no step 0.
#include <string.h>

#include "gitops/gitops.h"
#include "snapshot/export_int.h"
#include "snapshot/lists.h"

const char *export_cluster_name(const json_t *cluster)
{
    return *json_dot_text(cluster, "name") ? json_dot_text(cluster, "name")
                                           : json_dot_text(cluster, "server");
}

// "https://west.example.com:6443" -> "west.example.com_6443"
static char *folder_of(const json_t *row, json_t *taken)
{
    const char *name = export_cluster_name(row);
    const char *host = strstr(name, "://");
    CLEANUP(str_freep) char *text = str_dup(host ? host + 3 : name);
    for (char *p = text; *p; p++)
        if (*p == '/' || *p == ':')
            *p = '_';
    return export_short_name(text, "", taken);
}

// Of a line in which it is told, or looked for.
static bool is_plain(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7F)
            return false;
    return true;
}

static bool note_name(void *ctx, const json_t *row, struct err *err)
{
    const struct export *x = ctx;
    (void)err;
    if (json_object_get(row, "blob"))
        json_object_set_new(x->elsewhere, json_dot_text(row, "name"), json_true());
    return true;
}

static bool find_one(struct export *x, const json_t *row, json_t *taken, struct err *err)
{
    static const char *const members[] = {"name", "server"};
    CLEANUP(json_freep) json_t *list = NULL;
    const char *name = export_cluster_name(row);
    if (!is_plain(json_dot_text(row, "name")) || !is_plain(json_dot_text(row, "server")))
        return err_set(err, ERR_CORRUPT, "a cluster whose name or server is not one line");
    if (!list_open(x->rd, row, &list, err))
        return err_wrap(err, "cluster %s", name);
    if (!list) {
        export_warn(x, "what goes to cluster %s was never read: nothing of it is here", name);
        return true;
    }
    if (json_is_true(json_object_get(row, "stale")))
        export_warn(
            x,
            "what goes to cluster %s could not be read when the snapshot was made: it is as "
            "it was before",
            name);
    CLEANUP(str_freep) char *folder = folder_of(row, taken);
    json_t *o = json_pack("{s:s, s:O}", "folder", folder, "list", list);
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        if (json_object_get(row, members[i]))
            json_object_set(o, members[i], json_object_get(row, members[i]));
    json_array_append_new(x->clusters, o);
    return list_each_app_ever(x->rd, list, note_name, x, err) || err_wrap(err, "cluster %s", name);
}

bool export_clusters_find(struct export *x, struct err *err)
{
    CLEANUP(json_freep) json_t *rows = NULL;
    CLEANUP(json_freep) json_t *taken = json_object();
    size_t i;
    json_t *row;
    json_object_set_new(taken, "index", json_true());
    x->clusters = json_array();
    x->elsewhere = json_object();
    if (!list_clusters(x->rd, x->root, &rows, err))
        return false;
    json_array_foreach(rows, i, row)
    {
        if (!find_one(x, row, taken, err))
            return false;
    }
    x->out->clusters = json_array_size(x->clusters);
    return true;
}

void export_clusters_text(const struct export *x, struct buf *out)
{
    size_t i;
    json_t *c;
    if (!json_array_size(x->clusters))
        return;
    buf_str(out,
            "It is a hub's. What goes to each of its other clusters lies apart, and comes back "
            "into each for\nitself, with `kubectl` pointing at that one:\n\n");
    json_array_foreach(x->clusters, i, c)
    {
        const char *kubernetes = json_dot_text(json_object_get(c, "list"), "kubernetes");
        buf_printf(out, "    sh restore.sh objects -i KEY --cluster %s%s%s\n",
                   json_dot_text(c, "folder"), *kubernetes ? "   # Kubernetes " : "", kubernetes);
    }
    buf_str(out, "\nWithout `--cluster` it is what goes to the hub's own. `sh restore.sh clusters` "
                 "tells their names and\nservers.\n\n");
}

// "FOLDER SERVER NAME" each; "-" where it has none.
static bool add_index(struct export *x, struct err *err)
{
    struct buf b CLEANUP(buf_clear) = {0};
    size_t i;
    json_t *c;
    json_array_foreach(x->clusters, i, c)
    {
        const char *name = json_dot_text(c, "name");
        const char *server = json_dot_text(c, "server");
        bool is_word = *server && !strchr(server, ' ');
        buf_printf(&b, "%s %s %s\n", json_dot_text(c, "folder"), is_word ? server : "-",
                   *name ? name : "-");
    }
    return !b.len || export_tar_add(x->tar, "clusters/index", b.p, b.len, err);
}

static bool add_cluster(struct export *x, const json_t *c, struct err *err)
{
    CLEANUP(str_freep) char *folder = str_printf("clusters/%s/", json_dot_text(c, "folder"));
    struct export part CLEANUP(export_part_clear) = {.r = x->r,
                                                     .rd = x->rd,
                                                     .o = x->o,
                                                     .out = x->out,
                                                     .tar = x->tar,
                                                     .cluster = export_cluster_name(c),
                                                     .folder = folder,
                                                     .root =
                                                         json_incref(json_object_get(c, "list")),
                                                     .defined = json_object(),
                                                     .secrets = json_object()};
    return (export_apps(&part, err) && export_objects(&part, err)) ||
           err_wrap(err, "cluster %s", part.cluster);
}

bool export_clusters(struct export *x, struct err *err)
{
    size_t i;
    json_t *c;
    json_array_foreach(x->clusters, i, c)
    {
        if (!add_cluster(x, c, err))
            return false;
    }
    return add_index(x, err);
}
