// SPDX-License-Identifier: Apache-2.0
#include "snapshot/create.h"

#include <stdlib.h>

#include "base/clock.h"
#include "snapshot/capture_int.h"

#define MAX_ATTEMPTS 5

struct creation {
    struct repo *r;
    const struct create_opts *o;
    struct create_result *out;
    struct workdir work;
};

void create_result_clear(struct create_result *r)
{
    entry_clear(&r->entry);
    capture_report_clear(&r->report);
    err_clear(&r->log_problem);
    *r = (struct create_result){0};
}

static void note_last_good(struct creation *c, const struct writer *w)
{
    const struct entry *good = writer_last_good(w);
    if (!good)
        return;
    c->out->last_good.seq = good->seq;
    c->out->last_good.at_ms = good->stored_at_ms ? good->stored_at_ms : good->time_unix_s * 1000;
}

// A run that reads no cluster would leave out what only the cluster has.
static bool check_cluster(const struct creation *c, const struct writer *w, struct err *err)
{
    const struct entry *before = writer_previous(w);
    if (!before || !before->snapshot.cluster || c->o->writer.cluster || c->o->writer.adopt_chain)
        return true;
    return err_set(err, ERR_CONFLICT,
                   "the snapshots of chain %s are of the cluster with uid %s, and this run reads "
                   "none: nothing was written",
                   c->o->writer.job->chain, before->snapshot.cluster);
}

static bool check_root(const struct creation *c, const struct writer *w, struct err *err)
{
    struct blob_id list;
    uint32_t count;
    CLEANUP(str_freep) char *name = capture_app_name(c->o->capture.desired->apps.v[0]);
    if (!c->o->unread || writer_known_list(w, name, &list, &count))
        return true;
    err_copy(err, c->o->unread);
    return false;
}

// The root names everything, so equal roots are equal states: if all of it is still there.
static bool is_unchanged(const struct creation *c, const struct writer *w,
                         const struct snapshot_entry *s)
{
    const struct entry *before = writer_previous(w);
    return c->o->if_changed && before && s->is_good && before->snapshot.is_good &&
           before == writer_last_good(w) && !writer_found_damage(w) &&
           before->snapshot.epoch == c->o->writer.job->epoch &&
           str_eq(before->snapshot.cluster, s->cluster) &&
           blob_id_eq(&before->snapshot.root, &s->root);
}

// What the reader of the log knows of an entry, without its lists.
static void copy_entry(const struct entry *from, struct entry *to)
{
    *to = (struct entry){.kind = ENTRY_SNAPSHOT,
                         .seq = from->seq,
                         .hash = from->hash,
                         .time_unix_s = from->time_unix_s,
                         .stored_at_ms = from->stored_at_ms};
    to->snapshot.is_good = from->snapshot.is_good;
    to->snapshot.counts = from->snapshot.counts;
    to->snapshot.bytes = from->snapshot.bytes;
    to->snapshot.check = from->snapshot.check;
    to->snapshot.root = from->snapshot.root;
    to->snapshot.epoch = from->snapshot.epoch;
}

// A store that does not answer now will not answer the run itself either.
static void look_behind(struct creation *c, const struct writer *w)
{
    struct err err = {0};
    if (log_look(c->r, writer_log(w), &err))
        return;
    if (err.kind == ERR_CORRUPT && !err_is_set(&c->out->log_problem)) {
        err_move(&c->out->log_problem, &err);
        c->out->log_fault = c->r->fault;
    }
    err_clear(&err);
}

static void take_warnings(struct creation *c, const struct writer *w)
{
    const struct strv *said = writer_warnings(w);
    for (size_t i = 0; i < said->len; i++)
        strv_push(&c->out->report.warnings, said->v[i]);
}

char *create_lock_problem(struct repo *r, const char *chain, const struct entry *e,
                          int64_t retain_ms)
{
    struct err err = {0};
    int64_t until = 0;
    char *problem = NULL;
    if (!retain_ms)
        return NULL;
    CLEANUP(str_freep) char *name = log_name(r, chain, e->seq, &e->hash);
    if (!store_retained(r->store, name, &until, &err))
        problem = str_printf("whether what was written is locked cannot be seen: %s", err.msg);
    else if (until < clock_unix_ms() + retain_ms / 2)
        problem = str_printf("what was written is not locked in %s", r->store->url);
    err_clear(&err);
    return problem;
}

static void look_at_lock(struct creation *c)
{
    char *problem = c->out->is_unchanged ? NULL
                                         : create_lock_problem(c->r, c->o->writer.job->chain,
                                                               &c->out->entry, c->o->retain_ms);
    if (problem)
        strv_push_take(&c->out->report.warnings, problem);
}

// What nobody could open is not written, and not called good.
static bool check_slots(const struct creation *c, struct err *err)
{
    size_t all = 0;
    size_t whole = repo_slots_whole(c->r, c->o->writer.job->epoch, &all);
    if (whole || !all)
        return true;
    err_set(err, ERR_CORRUPT,
            "nobody could open what would be written: %s keys/ %s missing or damaged",
            all == 1 ? "the one slot in" : "all slots in", all == 1 ? "is" : "are");
    return err_hint(err, "Put keys/ back from another copy of the repository; else begin a new one "
                         "with regrow snapshot init, while Git and the cluster are there.");
}

// One run. *again: it failed, and another may do.
static bool attempt(struct creation *c, bool *again, struct err *err)
{
    CLEANUP(writer_freep) struct writer *w = NULL;
    struct entry e = {.kind = ENTRY_SNAPSHOT}; // so that what is left of it is freed
    struct capture_opts co = c->o->capture;
    co.work_dir = c->work.path;
    *again = false;
    if (!writer_begin(c->r, &c->o->writer, &w, err) || !check_cluster(c, w, err) ||
        !check_slots(c, err) || !check_root(c, w, err))
        return false;
    note_last_good(c, w);
    look_behind(c, w);
    bool ok = capture_run(w, &co, &e.snapshot, &c->out->report, err);
    c->out->is_unchanged = ok && is_unchanged(c, w, &e.snapshot);
    if (c->out->is_unchanged)
        copy_entry(writer_previous(w), &c->out->entry);
    else if (ok)
        ok = writer_commit(w, &e.snapshot, &c->out->entry, err);
    take_warnings(c, w);
    if (ok)
        look_at_lock(c);
    c->out->is_mended |= ok && writer_found_damage(w);
    *again = !ok && writer_needs_again(w);
    entry_clear(&e);
    return ok;
}

bool snapshot_create(struct repo *r, const struct create_opts *o, struct create_result *out,
                     struct err *err)
{
    struct creation c = {.r = r, .o = o, .out = out};
    bool again = false;
    *out = (struct create_result){0};
    if (!workdir_make(o->work, &c.work, err))
        return false;
    bool ok = attempt(&c, &again, err);
    for (int i = 1; again && i < MAX_ATTEMPTS; i++) {
        capture_report_clear(&out->report); // it is captured anew
        err_clear(err);
        ok = attempt(&c, &again, err);
    }
    workdir_remove(&c.work);
    return ok;
}
