// SPDX-License-Identifier: Apache-2.0
//
// Who of several replicas keeps which cluster of a fleet: a Lease on the hub for each cluster, and
// one for each replica by which the others know that it lives. The rule (docs/fleet.md): nobody has
// more than clusters divided by living replicas, rounded up; who has less takes what nobody has,
// and who has more gives the rest back. Whose Lease has not moved for as long as it says is no
// more: by the clock of whoever looks, so that clocks need not agree.
//
// Life: shards_new, shards_add and shards_drop as clusters come and go, shards_free, which gives
// everything back. Everything is asynchronous; `changed` is called from the loop.
#ifndef RECONCILE_SHARDS_H
#define RECONCILE_SHARDS_H

#include "kube/kube.h"

enum shard_state {
    SHARD_OTHERS,  // somebody else's, or nobody's
    SHARD_OURS,    // may be kept
    SHARD_LEAVING, // held until shards_let_go: what is under way comes to its end first
};

struct shards_opts {
    const struct kind_info *kind; // of Lease; copied
    const char *holder;
    int duration_s;             // of the Leases; 0: 15
    void (*changed)(void *ctx); // the state of a shard is another
    void *ctx;
};

struct shards;
struct shards *shards_new(struct loop *l, struct kube *k, const struct shards_opts *o);
// Waits a few seconds for what is given back to be taken note of.
void shards_end(struct shards *s); // nothing more is taken; before shards_free
void shards_free(struct shards *s);

// key: what makes it this cluster; name and server are for people. Known ones are fine.
void shards_add(struct shards *s, const char *key, const char *name, const char *server);
// It is no cluster of this fleet any more: its Lease goes, when it has been let go.
void shards_drop(struct shards *s, const char *key);
enum shard_state shards_state(const struct shards *s, const char *key);
void shards_let_go(struct shards *s, const char *key); // nothing when it is not ours
// What is told of it in its Lease: text by text; taken. Goes out with the next renewal.
void shards_note(struct shards *s, const char *key, json_t *note);
// Who has it: NULL nobody, or nobody that lives. And what that one told. Borrowed until the loop
// runs.
const char *shards_holder(const struct shards *s, const char *key);
const json_t *shards_noted(const struct shards *s, const char *key);
size_t shards_replicas(const struct shards *s); // that live, ourselves included

// "cluster-1f0c…", the Lease of that key; owned.
char *shard_lease_name(const char *key);
#define SHARD_LABEL "regrow.dev/fleet" // "cluster" or "replica"
#define SHARD_NOTE "regrow.dev/"       // annotations: cluster, server, and what is noted
// So many a replica may have at most.
size_t shard_quota(size_t clusters, size_t replicas);

#endif
