// SPDX-License-Identifier: Apache-2.0
//
// The repository of snapshots: is it the one that is meant, does what is given open it, what is the
// newest good snapshot, and does the store still keep what it promised when it was made? Stores
// block, so a thread of its own waits for them.
#include "cli/doctoring.h"
#include "cli/snapshot_open.h"

#define OLD_MS (48LL * 3600 * 1000)

static bool is_key_given(const struct snapshot_options *o)
{
    return o->identities.len || o->passphrase_file || getenv("REGROW_PASSPHRASE");
}

static void look_at_key(struct checks *x, const struct snap *s)
{
    if (s->unlocked.v.len)
        checks_add(x, "key", CHECK_OK, NULL, "opens the repository");
    else if (s->has_key)
        checks_add(x, "key", CHECK_OK, NULL,
                   "a %s's: signs, and opens nothing; whether one does was not looked at",
                   s->key.chain ? "job" : "key holder");
    else
        checks_add(
            x, "key", CHECK_SKIPPED, NULL,
            "none is given (-i, --passphrase-file, --key): whether one opens it is not known");
}

static void look_at_last(struct checks *x, struct snap *s)
{
    struct err err = {0};
    int64_t now = 0;
    if (!snap_log(s, &err)) {
        checks_fail(x, "last good", &err);
        return;
    }
    const struct entry *e = log_latest_good(&s->log);
    if (!e) {
        checks_add(x, "last good", CHECK_WARN,
                   "regrow snapshot create, and regrow snapshot list for why others are not",
                   "there is no good snapshot of %s", s->chain);
        return;
    }
    int64_t at = e->stored_at_ms ? e->stored_at_ms : e->time_unix_s * 1000;
    if (!store_now(s->repo.store, &now, &err)) {
        err_clear(&err); // the probe says what is wrong with it
        now = clock_unix_ms();
    }
    CLEANUP(str_freep) char *age = age_text((now - at) / 1000);
    bool is_old = now - at > OLD_MS;
    checks_add(x, "last good", is_old ? CHECK_WARN : CHECK_OK,
               is_old ? "Look whether the job that makes snapshots still runs." : NULL,
               "snapshot %llu of %s, %s old", (unsigned long long)e->seq, s->chain, age);
}

// The same races as when it was made. Whoever may not delete leaves what they wrote to the pruner.
static void look_at_store(struct checks *x, struct cli *c, struct snap *s)
{
    struct store_opts so = snap_store_opts(c, &c->o.snap);
    struct err err = {0};
    int64_t now = 0;
    if (!repo_probe_again(&s->repo, &so, &err)) {
        if (!err.hint)
            err_hint(&err, "It must be writable, and let one writer win a name. Until then take no "
                           "snapshot, and prune nothing.");
        checks_fail(x, "store", &err);
        return;
    }
    if (s->repo.store->ops->traits.may_create_atomic)
        checks_add(x, "store", CHECK_OK, NULL, "%s",
                   s->repo.marker.atomic_create ? "it can be written to, and one writer wins a name"
                                                : "it can be written to");
    else
        checks_add(x, "store", CHECK_SKIPPED, NULL,
                   "whether it may be written to shows with the next snapshot");
    if (!store_now(s->repo.store, &now, &err)) {
        checks_fail(x, "store clock", &err);
        return;
    }
    int64_t apart = (now - clock_unix_ms()) / 1000;
    bool far = apart > 60 || apart < -60;
    checks_add(x, "store clock", far ? CHECK_WARN : CHECK_OK,
               far ? "Set the clocks: ages of snapshots are by that of the store." : NULL,
               "%lld s from that of this machine", (long long)(apart < 0 ? -apart : apart));
}

// Is there still a way to open it?
static void look_at_slots(struct checks *x, struct snap *s)
{
    const struct trust_epoch *e = trust_open_epoch(trust_now(&s->repo.trust));
    size_t all = 0;
    size_t whole = e ? repo_slots_whole(&s->repo, e->n, &all) : 0;
    if (!all)
        return;
    const char *next = "Put keys/ back from another copy of the repository.";
    checks_add(x, "slots",
               !whole        ? CHECK_FAIL
               : whole < all ? CHECK_WARN
                             : CHECK_OK,
               whole == all ? NULL : next, "%zu of %zu way%s to open it %s whole", whole, all,
               all == 1 ? "" : "s", whole == 1 ? "is" : "are");
}

// The one that is named, or the only one there is.
static bool find_chain(struct checks *x, struct snap *s)
{
    struct strv all = {0};
    struct err err = {0};
    if (s->chain)
        return true;
    if (!repo_chains(&s->repo, &all, &err))
        checks_fail(x, "last good", &err);
    else if (!all.len)
        checks_add(x, "last good", CHECK_WARN, "regrow snapshot create makes one.",
                   "there is no snapshot yet");
    else if (all.len > 1)
        checks_add(x, "last good", CHECK_SKIPPED, NULL, "there are %zu chains: --chain says which",
                   all.len);
    else
        s->chain = str_dup(all.v[0]);
    strv_clear(&all);
    return s->chain != NULL;
}

static void look(struct doctor *d)
{
    struct cli *c = &d->aside;
    struct snap s CLEANUP(snap_close) = {0};
    struct snap_want want = {.read = is_key_given(&c->o.snap) ? READ_MUST : READ_NOTHING,
                             .new_chain = true};
    struct err err = {0};
    d->repo.began_ms = clock_mono_ms();
    if (!snap_open(c, &c->o.snap, &want, &s, &err)) {
        const char *name = !s.repo.store            ? "repository"
                           : err.kind == ERR_DENIED ? "key"
                           : !s.is_pinned           ? "pin"
                                                    : "repository";
        checks_fail(&d->repo, name, &err);
        checks_add(&d->repo, "snapshots", CHECK_SKIPPED, NULL,
                   "what is in the repository was not looked at");
    } else {
        checks_add(&d->repo, "repository", CHECK_OK, NULL, "%s, and it is the one of the pin",
                   s.repo.store->url);
        look_at_key(&d->repo, &s);
        look_at_slots(&d->repo, &s);
        if (find_chain(&d->repo, &s))
            look_at_last(&d->repo, &s);
    }
    if (s.repo.store)
        look_at_store(&d->repo, c, &s);
}

static void *run(void *ctx)
{
    look(ctx);
    return NULL;
}

void doctor_repo_start(struct doctor *d)
{
    if (str_is_empty(d->c->o.snap.repo)) {
        checks_add(&d->checks, "repository", CHECK_SKIPPED, NULL,
                   "no repository of snapshots is named (--repo)");
        return;
    }
    d->aside = *d->c;
    d->aside.o.owned = (struct strv){0};
    d->aside.events = (struct event_sink){0};
    d->aside.loop = loop_new(&d->stop);
    loop_set_deadline(d->aside.loop, clock_mono_ms() + d->each_ms);
    d->is_aside = pthread_create(&d->thread, NULL, run, d) == 0;
    if (!d->is_aside)
        run(d);
}

void doctor_repo_end(struct doctor *d)
{
    if (d->is_aside)
        pthread_join(d->thread, NULL);
    for (size_t i = 0; i < d->repo.v.len; i++)
        *vec_push(&d->checks.v) = d->repo.v.v[i];
    vec_clear(&d->repo.v);
    if (d->aside.loop)
        loop_free(d->aside.loop);
    strv_clear(&d->aside.o.owned);
}
