// SPDX-License-Identifier: Apache-2.0
//
// Private to snapshot: one export on its way.
//
//   export.c          the whole, what a person reads first, checksums
//   export_apps.c     applications, their objects and the edges between them
//   export_order.c    from edges to steps (pure)
//   export_objects.c  manifests and Secrets of each step, the script's list of steps
//   export_clusters.c a hub's other clusters, each by the three above
//   export_sources.c  Git bundles, charts, artifacts
//   export_lists.c    what `snapshot import` needs besides (export_form.h)
//   export_tar.c      the file
//   restore.sh restore.md   what goes into every export as it is (export_text.c)
#ifndef SNAPSHOT_EXPORT_INT_H
#define SNAPSHOT_EXPORT_INT_H

#include "snapshot/export.h"
#include "snapshot/export_form.h"
#include "snapshot/idmap.h"

// ---- export_tar.c ----
struct export_tar;
// top: the folder everything in it lies in. No name is there before export_tar_end.
MUST_CHECK bool export_tar_new(const char *file, const char *top, int64_t mtime_unix_s,
                               bool replace, struct export_tar **out, struct err *err);
void export_tar_free(struct export_tar *t); // what is not ended leaves nothing
CLEANUP_FN(struct export_tar, export_tar_free, export_tar_freep);
MUST_CHECK bool export_tar_add(struct export_tar *t, const char *name, const void *p, size_t len,
                               struct err *err);
// A file in pieces: exactly size bytes. An executable one can be run where it lies.
MUST_CHECK bool export_tar_begin(struct export_tar *t, const char *name, uint64_t size,
                                 bool executable, struct err *err);
MUST_CHECK bool export_tar_data(struct export_tar *t, const void *p, size_t len, struct err *err);
MUST_CHECK bool export_tar_done(struct export_tar *t, struct err *err);
// A file in a file, from its beginning.
MUST_CHECK bool export_tar_file(struct export_tar *t, int fd, const char *name, struct err *err);
// Of all files so far, as sha256sum prints them.
const struct buf *export_tar_sums(const struct export_tar *t);
MUST_CHECK bool export_tar_end(struct export_tar *t, uint64_t *bytes, struct err *err);

// ---- export_order.c ----
struct export_node {
    bool is_step;   // something is sent for it; else it only stands between others
    unsigned level; // of its step; of what is none: the first in which it can be given
    unsigned wait;  // before that step it must be ready; EXPORT_NO_WAIT: nobody asks
    bool is_hard;   // … and that somebody needs, not only likes
};
#define EXPORT_NO_WAIT 0xFFFFFFFFU
struct export_edge {
    unsigned from, to; // from waits for to
    bool ready, hard;
};
struct export_order {
    VEC(struct export_node) nodes;
    VEC(struct export_edge) edges;
    unsigned levels;
};
void export_order_clear(struct export_order *o);
// Levels from 0: what a step waits for lies in earlier ones. What is in a cycle comes last.
void export_order_find(struct export_order *o);

// ---- one export ----
struct export_object {
    json_t *row;
    const char *app; // borrowed from apps
    char *key;
    const json_t *source; // what its origin names, or NULL
    bool is_sent, is_unwatched;
};
// Or the part of one that is a hub's other cluster: repository, options, result and file are those
// of the whole, the rest is its own.
struct export
{
    struct repo *r;
    struct reader *rd;
    const struct export_opts *o;
    struct export_result *out;
    struct export_tar *tar;
    char *work;
    const char *cluster; // of a part; NULL: this is the whole, with the hub's own cluster
    const char *folder;  // of a part, with a / at its end
    json_t *root;        // of a part its list
    json_t *contents;
    json_t *clusters;                  // {"name", "server", "kubernetes", "folder", "list"} each
    json_t *elsewhere;                 // names of applications that go to one of these
    json_t *apps;                      // name -> {"list", "stale"}
    json_t *defined;                   // "group/kind" of every definition among the objects
    json_t *secrets;                   // key -> {"desired", "live"}
    json_t *live;                      // rows of what only the cluster had
    VEC(struct export_object) objects; // the first nodes of order
    struct export_order order;
    struct buf steps;    // lines for restore.sh
    struct idmap pieces; // of files that are in it: nothing else is known of them
};
MUST_CHECK bool export_apps(struct export *x, struct err *err);
MUST_CHECK bool export_objects(struct export *x, struct err *err);
MUST_CHECK bool export_sources(struct export *x, struct err *err);
MUST_CHECK bool export_clusters_find(struct export *x, struct err *err); // which there are
MUST_CHECK bool export_clusters(struct export *x, struct err *err);
// What people are told of them first, if there are any.
void export_clusters_text(const struct export *x, struct buf *out);
const char *export_cluster_name(const json_t *cluster);          // as people know it
MUST_CHECK bool export_lists(struct export *x, struct err *err); // after the sources
// A file; of a part in its folder.
MUST_CHECK bool export_add(struct export *x, const char *name, const struct buf *b,
                           struct err *err);
void export_part_clear(struct export *x); // what is a part's own
// A name for a file or folder, of the end of a text; taken: those that were given out. Owned.
char *export_short_name(const char *text, const char *suffix, json_t *taken);
void export_warn(struct export *x, const char *fmt, ...) PRINTF_LIKE(2, 3);

// ---- export_text.c ----
struct export_text {
    const char *p;
    size_t len;
};
struct export_text export_restore_sh(void), export_restore_md(void);

#endif
