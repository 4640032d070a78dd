// SPDX-License-Identifier: Apache-2.0
//
//   fleet.c          sessions come and go
//   fleet_secrets.c  which clusters there are
//   fleet_load.c     what they hold; documents
//
// What the controller of a hub and its fleet ask of each other. A fleet that is NULL answers as one
// without clusters.
#ifndef RECONCILE_FLEET_INT_H
#define RECONCILE_FLEET_INT_H

#include "base/clock.h"
#include "base/vec.h"
#include "reconcile/controller_int.h"
#include "reconcile/fleet.h"
#include "reconcile/shards.h"
#include "reconcile/spoke.h"
#include "source/source.h"

#define FLEET_HUB "https://kubernetes.default.svc"
#define FLEET_WATCH_MS 10000 // before Secrets are watched again

// A cluster that a Secret registers.
struct member {
    struct fleet *fleet;
    char *secret_name; // of its Secret
    char *key, *name, *server, *records;
    char *secret; // as JSON
    struct sha256 hash;
    bool is_listed, is_going, is_in_fleet, is_done;
    struct spoke *spoke;
    bool is_stopping, is_over, must_restart, has_said, is_fed;
    int64_t started_ms;
    struct source_cluster src;
    struct kinds *next_kinds; // those of `src` may be in use
    char *next_version;
    bool is_dirty, is_hard;
    json_t *pins; // name -> [revision, ...]
    unsigned pin_number;
    json_t *apps; // "namespace/name" of its Applications -> tracking name
    json_t *sent; // "namespace/name" -> resourceVersion that it was given
    json_t *docs; // tracking name -> document
    json_t *said; // {state, message, version, ...}
    int64_t since_unix_s;
};

struct fleet {
    struct controller *c;
    struct fleet_opts o;
    char *holder;
    struct shards *shards;
    VEC(struct member *) v;
    struct kube_watch *watch;
    struct loop_timer *step;
    int64_t watch_due_ms;
    int out_fd;
    unsigned serial;     // of sessions: no two are the same holder
    size_t max_sessions; // as many as there may be files for
    bool is_synced, is_on, is_loading, has_news, is_told, is_ending;
    bool is_left_told;           // what --prune-left names, and none of our clusters has
    json_t *argocd, *argocd_old; // what the sources go by, and went by
    json_t *listed;              // name -> true: clusters that the list has named so far
};

struct fleet *fleet_new(struct controller *c, const struct fleet_opts *o);
void fleet_free(struct fleet *f); // sessions end, what is ours is given back

// Has there been a cluster Secret since the controller began?
bool fleet_is_on(const struct fleet *f);
// Is a cluster registered that this application names? True as well where nobody can tell yet.
bool fleet_registers(const struct fleet *f, const struct application *a);
// Is the hub's own cluster ours to keep? And when it was given up.
bool fleet_has_hub(const struct fleet *f);
void fleet_let_hub_go(struct fleet *f);

void fleet_renew(struct fleet *f, struct source_now *now); // before a load
void fleet_loaded(struct fleet *f);                        // after it
void fleet_forget_told(struct fleet *f); // the sources are new ones: the next load is told all
bool fleet_owes(const struct fleet *f);  // is a session to be given its state?
// Reads what goes to those clusters and hands it over. False when the loop is to stop.
MUST_CHECK bool fleet_load(struct fleet *f, struct err *err);
// An Application object; doc NULL: it is gone.
void fleet_application(struct fleet *f, const char *ns, const char *name, json_t *doc);

// Of all that we keep or, by their Application objects, others do: documents as of
// controller_applications, appended.
void fleet_applications(struct fleet *f, json_t *list);
json_t *fleet_app(struct fleet *f, const char *name); // owned; NULL: none of that name

// ---- fleet.c ----
void member_free(struct member *m);
void member_say(struct member *m, const char *state, const char *message);
// Is it one of another, that is not going?
bool fleet_has_key(const struct fleet *f, const char *key, const struct member *but);

// ---- fleet_secrets.c ----
void fleet_watch(struct fleet *f);
bool fleet_is_cluster(const json_t *secret);

#endif
