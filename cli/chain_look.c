// SPDX-License-Identifier: Apache-2.0
//
// The old cluster comes back: a repository of snapshots knows whether another one has taken its
// place. Nothing else that both can see does.
#include "cli/outcome.h"
#include "cli/snapshot_open.h"
#include "restore/restore.h"

// What was restored from this chain, and nobody has written to it since, is the new one.
static bool is_successor(const struct snap *s, const struct target *t, const struct entry *newest)
{
    CLEANUP(str_freep) char *repository = hex_encode(s->repo.marker.repo, REPO_ID_BYTES);
    return str_eq(t->chain, s->chain) && str_eq(t->repository, repository) &&
           t->head >= newest->seq;
}

static bool refuse(const struct snap *s, const struct session *x, const struct entry *newest,
                   const char *option, struct err *err)
{
    CLEANUP(str_freep)
    char *at =
        snap_time_text(newest->stored_at_ms ? newest->stored_at_ms : newest->time_unix_s * 1000);
    err_set(err, ERR_CONFLICT,
            "another cluster has taken the place of %s: snapshot %llu of %s, the newest, of %s, is "
            "of the cluster with uid %s",
            kubeconfig_context(x->config), (unsigned long long)newest->seq, s->chain, at,
            newest->snapshot.cluster);
    return err_hint(err,
                    "Nothing was written. End one of the two. If this one shall stay: regrow "
                    "snapshot create --adopt-chain, once, here. With no %s nobody looks.",
                    option);
}

static bool is_of_another(const struct log *l, const char *uid)
{
    const struct entry *newest = log_newest_snapshot(l);
    return newest && newest->snapshot.cluster && !str_eq(newest->snapshot.cluster, uid);
}

static bool was_in(const struct log *l, const char *uid)
{
    for (size_t i = 0; i < l->v.len; i++)
        if (l->v.v[i].kind == ENTRY_SNAPSHOT && str_eq(l->v.v[i].snapshot.cluster, uid))
            return true;
    return false;
}

static bool read_whole(struct snap *s, struct err *err)
{
    struct log_opts o = {0};
    log_clear(&s->log);
    s->has_log = log_read(&s->repo, s->chain, &o, &s->log, err);
    return s->has_log;
}

static bool look(struct cli *c, const struct snapshot_options *given, const struct session *x,
                 struct snap *s, bool *is_other, struct err *err)
{
    struct snap_want want = {.read = READ_NOTHING, .chain = true, .new_chain = true};
    struct log_opts o = {.only_head = true};
    struct target t = {0};
    *is_other = false;
    if (!snap_open(c, given, &want, s, err))
        return false;
    s->has_log = log_read(&s->repo, s->chain, &o, &s->log, err);
    if (!s->has_log)
        return false;
    const char *uid = kube_cluster_uid(x->kube);
    if (!uid || !is_of_another(&s->log, uid))
        return true;
    // Rare enough to read all of it: one that took a lost cluster's place from Git, and has made no
    // snapshot yet, never was in this chain.
    if (!read_whole(s, err) || !was_in(&s->log, uid) || !is_of_another(&s->log, uid))
        return !err_is_set(err);
    bool ok = target_remember(x->kube, &t, err);
    *is_other = ok && !is_successor(s, &t, log_newest_snapshot(&s->log));
    target_clear(&t);
    return ok;
}

bool chain_look(struct cli *c, const struct session *x, struct err *err)
{
    struct snapshot_options given = c->o.snap;
    struct snap s CLEANUP(snap_close) = {0};
    struct err unseen = {0};
    bool is_other = false;
    const char *to = c->o.reconcile.snapshot_to;
    if (to)
        given.repo = (char *)to;
    // A fresh cluster has not come back; and what a store says without a pin, which the key of a
    // job has, is not believed.
    if (!given.repo || (!given.trust && !(to && given.key)) || !x->remembered)
        return true;
    if (given.adopt_chain) // a person has decided
        return true;
    if (look(c, &given, x, &s, &is_other, &unseen))
        return !is_other ||
               refuse(&s, x, log_newest_snapshot(&s.log), to ? "--snapshot-to" : "--repo", err);
    if (loop_stopping(c->loop)) {
        err_move(err, &unseen);
        return false;
    }
    // A cluster must come up without its backups.
    CLEANUP(str_freep)
    char *text = str_printf("whether another cluster has taken the place of this one is not known: "
                            "%s",
                            unseen.msg);
    event_emit(&c->events, "run.warning", "{s:s}", "message", text);
    err_clear(&unseen);
    return true;
}
