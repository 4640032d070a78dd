// SPDX-License-Identifier: Apache-2.0
//
// Private to the informers and to the runs that read from them.
//
//   informers.c        life, kinds and their watches, what a run hands back
//   informers_kept.c  objects of a kind: what is kept of each, and what a change amounts to
//   informers_maps.c   the inventory: records, intents, notes, by ConfigMap
#ifndef RECONCILE_INFORMERS_INT_H
#define RECONCILE_INFORMERS_INT_H

#include "base/vec.h"
#include "reconcile/health.h"
#include "reconcile/informers.h"

struct map;
struct informer_kind;

// What an intent says of an object; texts are interned.
struct intent {
    struct map *map;
    const char *version, *app;
    bool is_hook, is_made;
};

// What a second ConfigMap says of an object that has moved: it counts when the first names it no
// more.
struct second {
    struct map *map;
    struct record record; // as in struct mine
};

// What is kept of an object that is ours, or may be. Identities are borrowed from the entry;
// version, app and mark are interned, the other texts owned.
struct mine {
    struct live_fact fact;
    struct record record;
    struct map *map; // the ConfigMap the record is in; NULL: it has none
    struct second *second;
    struct intent *intent;
    unsigned long long version; // resourceVersion; 0: unknown, or no number
    int64_t written_ms;         // when a run wrote it last
    unsigned named;             // how often ConfigMaps name it, with or without success
    bool has_fact;
    bool is_touched; // somebody did something to it while a run was about it
    bool was_ready;  // as it was told
    enum health told;
};

// One object that is there, or recorded.
struct entry {
    char *ns; // interned; NULL: it is of the cluster
    struct mine *mine;
    unsigned seen; // in which list
    bool exists, is_terminating;
    char name[];
};

struct informer_kind {
    struct informers *owner;
    struct kind_info info;
    struct kube_watch *watch; // NULL: there is none now
    struct loop_timer *timer; // until it is tried again
    int64_t backoff_ms;
    VEC(struct entry *) all; // by namespace and name
    unsigned list;           // number of the list whose items are seen now
    bool is_read;            // or found to be unreadable
    bool is_unknown;
    struct err problem; // why
};

// What a run says of an object: whether and how it is about it.
enum informer_claim {
    CLAIM_NOT,   // it is not: the record counts
    CLAIM_BUSY,  // it is going to write or delete it, or is doing so
    CLAIM_WROTE, // it has written it: *projection is what was answered
};

// A run, while it lives. Events come after what they say is stored.
struct informers_listener {
    enum informer_claim (*claim)(void *ctx, const struct object_id *id,
                                 const struct sha256 **projection);
    bool (*wants)(void *ctx, const struct object_id *id); // is a fact to be kept of it?
    void (*event)(void *ctx, const struct object_id *id, enum kube_event ev, json_t *doc);
    void *ctx;
};

struct informers {
    struct loop *loop;
    struct kube *kube;
    struct informers_opts opts;
    struct informers_listener listener; // all NULL: no run is on
    VEC(struct informer_kind *) kinds;
    struct informer_kind inventory; // ConfigMaps of regrow-system, those of the inventory
    VEC(struct map *) maps;         // by name
    json_t *words;                  // interned: the keys
    json_t *namespaces;             // name -> its labels, as text
    json_t *webhooks;               // key -> configuration
    struct kinds *served;           // by definitions that are established
    json_t *slices;                 // "namespace/slice" -> "namespace/service", where one is ready
    struct health_custom *checks;
    struct sha256 checks_hash;
    json_t *settings; // argocd-cm as it is in the cluster; NULL: there is none
    VEC(struct health_custom *) old_checks; // a run may still use them
    VEC(struct mine *) touched;
    struct informers_stats stats;
};

const char *inf_word(struct informers *f, const char *s); // interned; NULL stays NULL
const char *inf_manager(const struct informers *f);
unsigned long long inf_version(const json_t *doc); // 0: no number

// ---- informers.c ----
void informers_listen(struct informers *f, const struct informers_listener *l); // NULL: it ends
// Begins to watch a kind, once. is_expected: something of it was just written.
struct informer_kind *informers_want(struct informers *f, const struct kind_info *k,
                                     bool is_expected);
struct informer_kind *informers_kind(const struct informers *f, const char *group,
                                     const char *kind);
struct informer_kind *informers_kind_new(struct informers *f, const struct kind_info *info);
void informers_want_inventory(struct informers *f);
// A run wrote it, and this is the answer; or deleted it, and it is gone.
void informers_wrote(struct informers *f, json_t *doc);
void informers_deleted(struct informers *f, const struct object_id *id, const char *uid);
// Somebody asked for it: not all is known of it yet.
void informers_read(struct informers *f, json_t *doc);
// Lists every kind anew; what is known stays until then.
void informers_relist(struct informers *f);
void informers_tell(struct informers *f, const struct mine *m, const char *app,
                    enum informer_change c);
// Labels of a live Namespace; owned, NULL: there is none.
json_t *informers_namespace_labels(const struct informers *f, const char *name);

// ---- informers_kept.c ----
struct entry *kept_find(const struct informer_kind *k, const char *ns, const char *name);
struct entry *kept_get(struct informer_kind *k, const char *ns,
                       const char *name); // made if need be
struct entry *inf_find(const struct informers *f, const struct object_id *id);
struct mine *kept_mine(struct informer_kind *k, struct entry *e); // made if need be
void kept_item(struct informer_kind *k, const struct object_id *id, enum kube_event ev, json_t *doc,
               int64_t list_ms, bool *is_stale);
void kept_deleted(struct informer_kind *k, const struct object_id *id, const json_t *doc,
                  bool *is_stale);
void kept_gone(struct informer_kind *k, struct entry *e, bool is_ours);
// What the list did not have is gone; was_unknown: whether it is there is only known now.
void kept_sweep(struct informer_kind *k, int64_t list_ms, bool was_unknown);
void kept_drop_if_empty(struct informer_kind *k, struct entry *e);
void kept_touched(struct informers *f); // the run has ended
void kept_free(struct informer_kind *k);
size_t kept_bytes(const struct informer_kind *k);

// ---- informers_maps.c ----
struct map {
    char *name;
    const char *app;    // interned; "" in intents
    struct sha256 hash; // of its text
    char *note;         // NULL: none
    json_t *notes;      // of an intent: application -> note
    unsigned long long version;
    int64_t written_ms;
    unsigned seen;
    bool is_intent, exists;
    VEC(struct entry *) entries; // that have a record or an intent of it
    size_t open;                 // of its intents: whose objects have no record
};
void maps_item(struct informers *f, enum kube_event ev, const json_t *doc, int64_t list_ms);
void maps_wrote(struct informers *f, const json_t *doc);
void maps_deleted(struct informers *f, const char *name);
void maps_sweep(struct informers *f, int64_t list_ms);
void maps_free(struct informers *f);
void mine_drop_second(struct mine *m);
const char *maps_intent_note(const struct informers *f, const char *app); // NULL: none
// Records of applications that `known` has not, and intents whose objects have no record. known
// NULL: these alone.
void maps_each_other(const struct informers *f, const struct desired *known,
                     void (*fn)(void *ctx, const struct record *r, const struct live_fact *fact,
                                bool is_unknown),
                     void *ctx);
// NULL: there is none of that name.
const struct map *maps_find(const struct informers *f, const char *name);

#endif
