// SPDX-License-Identifier: Apache-2.0
//
// restore: may this cluster be written to? What regrow has made of it before is known by the note
// that a restore leaves, else by its root and the uid that snapshots are of.
#include "cli/restoring.h"

// Has this chain a snapshot of it? Of a chain that was made without looking at a cluster nobody
// knows.
enum of_chain { NOT_OF_CHAIN, MAYBE_OF_CHAIN, OF_CHAIN };
static enum of_chain is_of_chain(const struct restoring *x)
{
    const char *uid = kube_cluster_uid(x->s->kube);
    bool any = false;
    for (size_t i = 0; i < x->snap.log.v.len; i++) {
        const struct entry *e = &x->snap.log.v.v[i];
        const char *of = e->kind == ENTRY_SNAPSHOT && !e->is_void ? e->snapshot.cluster : NULL;
        if (of && str_eq(of, uid))
            return OF_CHAIN;
        any |= of != NULL;
    }
    return any ? NOT_OF_CHAIN : MAYBE_OF_CHAIN;
}

// Or of the one that this is a copy of.
static bool is_of_repository(const struct restoring *x)
{
    const uint8_t *id = x->snap.repo.marker.repo;
    CLEANUP(str_freep) char *own = hex_encode(id, sizeof(x->snap.repo.marker.repo));
    const char *noted = x->target.repository; // earlier notes did not have it
    const char *origin = x->e->snapshot.origin;
    return !noted || str_eq(noted, own) || (origin && str_starts(origin, noted));
}

// It was restored from this chain, as the same cluster of it.
static bool is_noted(const struct restoring *x)
{
    return str_eq(x->target.chain, x->snap.chain) && is_of_repository(x) &&
           (x->target.cluster ? str_eq(x->target.cluster, restoring_cluster(x))
                              : !restoring_cluster(x));
}

static bool is_known_target(const struct restoring *x)
{
    bool same_root = x->s->remembered && !session_is_new_root(x->s) && !restoring_cluster(x);
    enum of_chain of = is_of_chain(x);
    return is_noted(x) ||
           (same_root && (of == OF_CHAIN || (of == MAYBE_OF_CHAIN && !x->target.chain)));
}

// Why not, of one that regrow has made something of; false: it has not.
static bool tell_other(const struct restoring *x, struct err *err)
{
    const char *name = kubeconfig_context(x->s->config);
    const char *as = x->target.cluster;
    const char *wanted = restoring_cluster(x);
    if (x->s->remembered && session_is_new_root(x->s))
        return !err_set(err, ERR_CONFLICT, "cluster %s was grown from %s, the snapshot is of %s",
                        name, x->s->remembered, x->s->root);
    if (x->target.chain && !str_eq(x->target.chain, x->snap.chain))
        return !err_set(err, ERR_CONFLICT,
                        "cluster %s was restored from snapshot %llu of %s, this one is of %s", name,
                        x->target.seq, x->target.chain, x->snap.chain);
    if (x->target.chain && !is_of_repository(x))
        return !err_set(err, ERR_CONFLICT,
                        "cluster %s was restored from snapshot %llu of %s in another repository",
                        name, x->target.seq, x->target.chain);
    if (x->target.chain && !str_eq(as, wanted))
        return !err_set(err, ERR_CONFLICT, "cluster %s was restored as %s%s, this is %s%s", name,
                        as ? "cluster " : "the hub", as ? as : "", wanted ? "cluster " : "the hub",
                        wanted ? wanted : "");
    if (!x->s->remembered)
        return false;
    return !err_set(err, ERR_CONFLICT,
                    "cluster %s was grown from %s too, and no snapshot of %s is of this cluster",
                    name, x->s->remembered, x->snap.chain);
}

// A drill writes to nothing that anybody may still want: not even to what it restored itself.
static bool refuse_used(struct restoring *x, struct err *err)
{
    const char *name = kubeconfig_context(x->s->config);
    const char *uid = kube_cluster_uid(x->s->kube);
    if (str_eq(uid, x->frozen.cluster))
        err_set(err, ERR_CONFLICT, "cluster %s is the very one that the snapshot is of", name);
    else if (x->target.chain || x->s->remembered)
        err_set(err, ERR_CONFLICT, "cluster %s is not empty: it was %s %s", name,
                x->target.chain ? "restored from a snapshot of" : "grown from",
                x->target.chain ? x->target.chain : x->s->remembered);
    else if (x->target.foreign)
        err_set(err, ERR_CONFLICT,
                "cluster %s is not empty: it has %zu namespace%s or workloads, "
                "such as %s",
                name, x->target.foreign, x->target.foreign == 1 ? "" : "s",
                x->target.examples.v[0]);
    else
        return true;
    return err_hint(err, "Nothing was written. A drill wants an empty cluster that is thrown away "
                         "afterwards; without --kubeconfig it starts one of its own.");
}

bool restoring_check_target(struct restoring *x, struct err *err)
{
    const char *name = kubeconfig_context(x->s->config);
    if (x->is_drill)
        return refuse_used(x, err);
    bool is_known = is_known_target(x);
    x->is_adopting = is_known ? x->target.is_adopting : x->c->o.restore.adopt;
    if (x->is_adopting)
        x->c->o.no_prune = true; // what it has besides is others'
    if (is_known || x->is_adopting)
        return true;
    if (!tell_other(x, err) && !x->target.foreign)
        return true;
    if (!err_is_set(err))
        err_set(err, ERR_CONFLICT,
                "cluster %s is not empty: %zu namespace%s or workloads that regrow did not make, "
                "such as %s",
                name, x->target.foreign, x->target.foreign == 1 ? "" : "s",
                x->target.examples.v[0]);
    return err_hint(err, "Nothing was written. Check --kubeconfig and --context. If this is the "
                         "cluster you mean, --adopt restores into it and leaves alone what it has "
                         "besides.");
}

// What an adopted cluster had is forgotten before anything is made of it: what nobody remembers
// nobody deletes. Cut in between, the next run does it again. A part says nothing of the rest.
bool restoring_note_target(struct restoring *x, struct target_note *note, struct err *err)
{
    note->is_adopting = x->is_adopting && !x->c->o.restore.is_part;
    if (!target_note(x->s->kube, &x->target, note, err))
        return false;
    if (!note->is_adopting)
        return true;
    struct target noted = {.is_adopting = true};
    note->is_adopting = false;
    return inventory_forget_all(x->s->kube, err) && target_note(x->s->kube, &noted, note, err);
}
