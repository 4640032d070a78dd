// SPDX-License-Identifier: Apache-2.0
//
// Private to snapshot: one capture on its way.
//
//   capture.c        the order of things, the root
//   capture_apps.c   applications, their rows, shards
//   capture_graph.c  edges of an application
//   capture_clusters.c  what goes to a hub's other clusters
//   capture_git.c    sources and Git repositories
//   capture_live.c   what only the cluster has
//   capture_healthy.c  which revisions were last healthy
//   capture_list.c   lists of the cluster
//   capture_pool.c   Secrets to blobs
//   secret_rules.c   which live Secrets (pure)     judge.c   good or suspect (pure)
#ifndef SNAPSHOT_CAPTURE_INT_H
#define SNAPSHOT_CAPTURE_INT_H

#include "snapshot/capture.h"

// A source as it is named in the lists: the first four members are its name.
struct used_source {
    char *key; // "source KIND URL CHART TARGET"
    struct source_item item;
};

struct secret_line {
    char *text; // wiped
    size_t len;
    char kind;
};

struct capture {
    struct writer *w;
    const struct capture_opts *o;
    const struct desired *d;
    struct snapshot_entry *e;
    struct capture_report *report;
    const char *scope; // names of a hub's other cluster begin so; NULL: it is of the target itself
    const struct desired *hub; // then that of the hub, else NULL
    uint64_t clusters_secrets; // in all other clusters
    struct graph *graph;       // NULL: there is no order
    unsigned *edges;           // by whose they are …
    size_t *first_edge;        // … and where those of an application begin
    unsigned *position;        // of every object in the rows of its application
    VEC(struct used_source) sources;
    json_t *source_of; // what an application says of a source -> position in sources
    VEC(struct secret_line) secrets;
    json_t *secret_ids; // object_key of every Secret that is taken
    bool secrets_unknown;
    bool apps_unknown;
    struct strv emptied;
    json_t *root;
};

// Canonical bytes and a line end. INVALID when they are too long for a blob.
MUST_CHECK bool capture_add(struct capture *c, char kind, const json_t *v, struct blob_id *id,
                            struct err *err);
// An id as text, as in "blobs"; and {"blob": id}. Owned.
json_t *capture_id(const struct blob_id *id);
json_t *capture_ref(const struct blob_id *id);
// The same of the list that had this name in the newest snapshot, stale; NULL: there was none.
json_t *capture_kept(struct capture *c, const char *name, uint32_t *count);
// A list under its name, and what is known by that: names of other clusters are no names of ours.
void capture_note(struct capture *c, const char *name, const struct blob_id *list, uint32_t count);
bool capture_known(const struct capture *c, const char *name, struct blob_id *list,
                   uint32_t *count);
// A list of all there is of something: noted under its name. While an application is unknown nobody
// knows all, for its children and what they use are not found: then the one of the newest snapshot
// that knew stands in the root beside it, as `member`. The larger count.
uint64_t capture_whole(struct capture *c, const char *name, const char *member,
                       const struct blob_id *list, uint64_t count);
void capture_warn(struct capture *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
// One more source that could not be read.
void capture_unknown(struct capture *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
// Sets a member unless the text is empty, or no UTF-8.
void capture_set(json_t *o, const char *key, const char *value);
// What an application is called in names: without blanks.
char *capture_app_name(const struct application *a);

// ---- capture_list.c ----
// One LIST on its way; what is kept of it goes when it begins anew.
struct listing {
    struct capture *c;
    const struct secret_roots *roots;
    void (*item)(struct listing *l, json_t *doc);
    struct kube_watch *watch;
    char *what; // for people
    bool is_over;
    struct err err;
    json_t *kept; // what item has taken
};
struct listings {
    VEC(struct listing *) v;
};
// A kind that is not served has no objects. ns NULL: all of them. item keeps what it wants of each.
void listing_start(struct listings *all, struct capture *c, const char *group, const char *kind,
                   const char *ns, void (*item)(struct listing *l, json_t *doc));
// Waits until all have ended; one that failed has its err set.
MUST_CHECK bool listings_finish(struct listings *all, struct capture *c, struct err *err);
void listings_clear(struct listings *all);

// The order of what there is, for capture_graph.
void capture_order(struct capture *c);
void capture_clear(struct capture *c);

// ---- the parts, in this order; each sets its members of the root ----
MUST_CHECK bool capture_apps(struct capture *c, struct err *err);
MUST_CHECK bool capture_clusters(struct capture *c, struct err *err);
MUST_CHECK bool capture_sources(struct capture *c, struct err *err);
MUST_CHECK bool capture_git(struct capture *c, struct err *err);
MUST_CHECK bool capture_live(struct capture *c, struct err *err);
MUST_CHECK bool capture_pool(struct capture *c, struct err *err);
MUST_CHECK bool capture_healthy(struct capture *c, struct err *err);

// The edges whose left end an application owns.
MUST_CHECK bool capture_graph(struct capture *c, unsigned app, struct blob_id *id, struct err *err);
// The position in c->sources of a source of an application (NULL: the root's).
size_t capture_source_of(struct capture *c, const struct application *a,
                         const struct app_source *src);
// What another cluster's applications use is used.
void capture_take_sources(struct capture *c, struct capture *from);
// Takes a Secret over into the pool: "desired" or "live".
void capture_secret(struct capture *c, const char *from, const json_t *object);

#endif
