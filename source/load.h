// SPDX-License-Identifier: Apache-2.0
//
// Private to source: the loader's state.
//
//   source.c   the room's face: options, the root, repositories
//   load.c     applications to any depth, level by level
//   judge.c    which of them projects permit
//   spokes.c   what goes to a hub's other clusters
//   prepare.c  an application's sources, and what it waits for
//   collect.c  rendered documents to objects; settle.c takes them into the desired state
//   fixed.c    what names stood for, to be read so again
//   renew.c    before another load; memo.c: what need not be read again; again.c: what has changed
//   amend.c    a load after which little is another; memo_base.c: of what that begins
//   suggest.c  where to begin, when a root holds no Application
#ifndef SOURCE_LOAD_H
#define SOURCE_LOAD_H

#include "source/clusters.h"
#include "source/render.h"
#include "source/witness.h"

struct root {
    char *url;  // NULL for a folder
    char *dir;  // work tree of a folder
    char *path; // inside it
    char *ref;
    char *origin; // URL of the folder's remote "origin" as it is written, or NULL
    char *origin_normal;
    char *name;
};

struct source {
    struct loop *loop;
    struct source_opts o;
    struct source_ctx ctx;
    VEC(struct tree *) trees;
    struct root root;
    struct strv api_versions;
    struct clusters clusters; // o.clusters is its list
    char *global_projects;    // of the root's argocd-cm, after it was loaded; or NULL
    // From one load to the next:
    const json_t *given_clusters;
    struct source_now now;
    bool has_polled;           // since the last load
    struct memo *memo;         // what applications yielded; NULL: nobody asks again
    unsigned state;            // how many states were read (desired.h)
    unsigned last_state;       // of those, the one whose objects the memo has
    struct folder_stamp stamp; // of the root's folder, before it was read
    struct poll *poll;         // that is open, or NULL
    VEC(struct probe *) left;  // of polls that were cancelled; they end by themselves
};

// ---- poll.c ----
void probes_sweep(struct source *s, bool all); // frees those that have ended
char *source_url_key(const char *url);         // "git.example.com/team/repo"; owned

// Before another load.
void source_renew(struct source *s, const struct source_now *now);
// What was noted of desired objects since, credentials and clusters, is as it was then.
void source_forget_desired(struct source *s);

// The tree a repository has at a revision; kept for the run. May have to be waited for.
MUST_CHECK bool source_tree(struct source *s, const char *url, const char *target,
                            const char *tag_prefix, struct tree **out, struct err *err);
MUST_CHECK bool source_root_tree(struct source *s, struct desired *d, struct tree **out,
                                 struct err *err);

// A folder as a tree; kept for the run.
struct tree *source_folder(struct source *s, const char *dir, const char *repo);
// Runs the loop until what is waited for has come. False when the loop is to stop.
MUST_CHECK bool source_wait(struct source *s, struct err *err);
// The loop is stopping while these are waited for: the error that says so. Always false.
bool source_stopped(const struct source *s, const struct strv *open, struct err *err);
// There are more credentials now: what was denied is asked for again. True if anything was.
bool source_retry_denied(struct source *s);

// What charts were told of the served APIs: it may turn out otherwise once all CRDs are known.
struct told_apis {
    struct strv answers; // "1" or "0" and the API, each once
    size_t n_all;        // length of the list given to a chart that was told all; 0: none was
};

// How far an application is.
enum app_turn {
    TURN_WAITING, // not read yet, perhaps for its project
    TURN_PUT_OFF, // it was read, but its project does not permit what it holds: once more at the
                  // end
    TURN_DONE,
};

struct yielded;

struct loading {
    struct source *s;
    struct desired *d;
    json_t *names;      // application names seen -> index
    json_t *namespaces; // names of the Namespaces collected so far -> true
    struct told_apis told;
    struct kinds *kinds;         // the cluster's, the built-in ones, and CRDs of directories so far
    bool has_new_kinds;          // api_versions lacks some of these
    VEC(enum app_turn) turns;    // per application
    VEC(struct yielded *) known; // per application: what it yields as before, or NULL
    bool is_last_call;           // what is not permitted now never will be
    char *global_projects;       // of argocd-cm, or NULL
    json_t *virtual_projects;
    json_t *root_keys;            // of the root's objects: their keys and places -> true; at need
    json_t *root_kinds;           // their kinds -> true
    unsigned root_letters;        // that these begin with: a bit each
    const struct tree *root_tree; // what the root was read from
    unsigned served;              // which of Argo CD's kinds the cluster has: a bit for each
    bool is_stopped;              // err is set, and all of it is over
};

// One application of the level that is being read.
struct app_jobs {
    unsigned app;
    bool was_deferred; // a chart lets the directories that are there go first
    enum { APP_PREPARING, APP_RENDERING, APP_READING, APP_READY } stage;
    struct waits waits; // while preparing, or reading what its ApplicationSets ask for
    struct render_job *jobs;
    size_t n;
    struct ref_tree *refs;
    size_t n_refs;
    struct err err;
    bool is_collected;
    struct witness seen;   // what it is made of
    struct sha256 apis;    // of the APIs its charts are told, if they are told all
    struct yielded *known; // it yields what it yielded before; nothing is rendered
    bool is_unlike;        // it does not after all
};
// Until every one of them is ready. False: the loop is to stop.
MUST_CHECK bool load_run(struct loading *l, struct app_jobs *all, size_t n, struct err *err);
void load_tell_rendered(struct loading *l, const struct app_jobs *j);
unsigned source_served_kinds(const struct source *s); // of Argo CD's: loading.served
// From the beginning: the stage is the next one, or there is something to wait for.
void app_jobs_prepare(struct loading *l, struct app_jobs *j);
bool app_jobs_wait(struct loading *l, struct app_jobs *j); // takes the waits; are there any?
void app_jobs_clear(struct app_jobs *j);

// Kinds known without reading anything: built in, and served by the cluster.
void source_add_known_kinds(const struct source *s, struct kinds *k);
// One pass over everything, into the empty desired state at *out. *told is the caller's to clear.
// hub: its applications that go to the cluster which is meant are begun with, in place of the root.
MUST_CHECK bool source_load_once(struct source *s, const struct desired *hub, struct desired **out,
                                 struct told_apis *told, struct err *err);
// As many passes as it takes. *out is set on failure too, and then the caller's to free.
MUST_CHECK bool source_load_all(struct source *s, const struct desired *hub, struct desired **out,
                                struct err *err);
// ---- spokes.c ----
void load_seed(struct loading *l, const struct desired *hub);
void load_settle(struct loading *l); // what was read for its children alone is another's

// Turns what an application's jobs rendered into objects, projects and child applications. On
// failure the application becomes unknown, or is put off.
void collect_app(struct loading *l, struct app_jobs *j);
// Begins to bring what ApplicationSets among the documents read; what is missing is in the waits.
void collect_needs(struct loading *l, const struct render_job *jobs, size_t n_jobs);
// Objects whose kind was not known when they were read: its CRD may have come later.
void collect_finish(struct loading *l);
void app_unknown(struct loading *l, unsigned app, struct err *err);

// ---- suggest.c ----
// A root that could not be read (err is set) or holds no Application: where else to begin, as a
// hint or a warning. `root` is as it was given.
void suggest_root(struct source *s, const char *root, struct desired *d, struct err *err);
void suggest_flux(struct desired *d); // warns that what Flux's objects name is not read

// ---- judge.c ----
bool is_other_cluster(const struct loading *l, const struct application *a);
// May its objects be of the cluster that is meant? Of a spoke what stays on the hub is not.
bool is_for_target(const struct loading *l, const struct application *a);
struct cluster_ref cluster_of(const struct loading *l, const struct application *a);
bool judge_app(struct loading *l, const struct application *a, struct err *err);
bool judge_objects(struct loading *l, const struct application *a, struct object *o, size_t n,
                   struct err *err);
void projects_changed(struct loading *l);

#endif
