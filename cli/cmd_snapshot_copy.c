// SPDX-License-Identifier: Apache-2.0
//
// snapshot copy: from one repository into another, in the order of their numbers.
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/snapshot_open.h"

struct copying {
    struct cli *c;
    struct snap from, to;
    char *work;
    VEC(const struct entry *) wanted; // ascending
    VEC(uint64_t) harmed;
    json_t *copied, *passed, *left; // for the answer
};

static void copying_clear(struct copying *x)
{
    snap_close(&x->from);
    snap_close(&x->to);
    free(x->work);
    vec_clear(&x->wanted);
    vec_clear(&x->harmed);
    json_decref(x->copied);
    json_decref(x->passed);
    json_decref(x->left);
}

// ---- which ----

static int by_seq(const void *a, const void *b)
{
    const struct entry *x = *(const struct entry *const *)a;
    const struct entry *y = *(const struct entry *const *)b;
    return (x->seq > y->seq) - (x->seq < y->seq);
}

static bool choose(struct copying *x, struct err *err)
{
    const struct strv *args = &x->c->o.args;
    const struct log *l = &x->from.log;
    for (size_t i = 0; i < args->len; i++) {
        const struct entry *e = NULL;
        if (!snap_find(&x->from, args->v[i], &e, err))
            return false;
        *vec_push(&x->wanted) = e;
    }
    for (size_t i = 0; !args->len && i < l->v.len; i++)
        if (l->v.v[i].kind == ENTRY_SNAPSHOT && !l->v.v[i].is_void &&
            log_standing(l, &l->v.v[i]) == STANDING_LIVE)
            *vec_push(&x->wanted) = &l->v.v[i];
    if (!x->wanted.len)
        return err_set(err, ERR_NOT_FOUND, "chain %s has no snapshot to copy", x->from.chain);
    qsort(x->wanted.v, x->wanted.len, sizeof(*x->wanted.v), by_seq);
    return true;
}

// With the key, before anything is copied: what is not whole is not handed on.
static bool prove(struct copying *x, struct err *err)
{
    struct age_identities ids = {0};
    for (size_t i = 0; i < x->from.unlocked.v.len; i++)
        *vec_push(&ids.v) = x->from.unlocked.v.v[i].identity;
    bool all = x->c->o.args.len == 0;
    bool ok = true;
    for (size_t i = 0; ok && i < (all ? 1 : x->wanted.len); i++) {
        struct verify_opts o = {
            .identities = &ids, .only_seq = all ? 0 : x->wanted.v[i]->seq, .is_restore = true};
        struct verify_result v = {0};
        ok = repo_verify(&x->from.repo, &x->from.log, &o, &v, err);
        for (size_t k = 0; ok && k < v.harmed.len; k++)
            *vec_push(&x->harmed) = v.harmed.v[k];
        for (size_t k = 0; ok && k < v.problems.len; k++)
            cli_warn(x->c, v.problems.v[k]);
        verify_result_clear(&v);
    }
    age_identities_clear(&ids);
    return ok;
}

static bool is_harmed(const struct copying *x, uint64_t seq)
{
    for (size_t i = 0; i < x->harmed.len; i++)
        if (x->harmed.v[i] == seq)
            return true;
    return false;
}

// ---- one after another ----

static void warn_of_lock(struct copying *x, const struct entry *made)
{
    CLEANUP(str_freep)
    char *problem = create_lock_problem(&x->to.repo, x->to.chain, made, x->c->o.to.retain_ms);
    if (problem)
        cli_warn(x->c, problem);
}

static bool copy_one(struct copying *x, const struct entry *e, struct err *err)
{
    const struct age_identity *id = NULL;
    CLEANUP(reader_freep) struct reader *r = NULL;
    struct entry made = {0};
    struct strv doubts CLEANUP(strv_clear) = {0};
    struct copy_opts o = {
        .job = &x->to.key, .index_cache = x->to.index_cache, .work = x->work, .doubts = &doubts};
    if (!snap_identity(&x->from, e, &id, err) ||
        !reader_open(&x->from.repo, x->from.chain, e, id, &r, err) ||
        !snapshot_copy(r, e, &x->to.repo, &o, &made, err))
        return err_wrap(err, "snapshot %llu", (unsigned long long)e->seq);
    json_array_append_new(x->copied, json_pack("{s:I, s:I, s:s, s:I}", "seq", (json_int_t)e->seq,
                                               "as", (json_int_t)made.seq, "state",
                                               made.snapshot.is_good ? "good" : "suspect", "added",
                                               (json_int_t)made.snapshot.bytes.added));
    event_emit(&x->c->events, "snapshot.copied", "{s:I, s:I, s:I}", "seq", (json_int_t)e->seq, "as",
               (json_int_t)made.seq, "added", (json_int_t)made.snapshot.bytes.added);
    warn_of_lock(x, &made);
    entry_clear(&made);
    return true;
}

static bool copy_wanted(struct copying *x, struct err *err)
{
    for (size_t i = 0; i < x->wanted.len; i++) {
        const struct entry *e = x->wanted.v[i];
        bool is_there = false;
        if (x->to.has_log)
            log_clear(&x->to.log);
        x->to.has_log = false;
        if (!snap_log(&x->to, err))
            return false;
        bool may = copy_check(&x->to.log, e, &is_there, err);
        bool harmed = is_harmed(x, e->seq);
        if (!may && !harmed)
            return err_hint(err, "Copy into a chain of its own: regrow snapshot key add --role "
                                 "writer --chain NAME makes its job there.");
        err_clear(err); // one that is left out is older than what was copied since
        if (is_there)
            json_array_append_new(x->passed, json_integer((json_int_t)e->seq));
        else if (harmed)
            json_array_append_new(x->left, json_integer((json_int_t)e->seq));
        else if (!copy_one(x, e, err))
            return false;
    }
    return true;
}

// ---- the answer ----

static void print_text(const struct copying *x)
{
    size_t i;
    json_t *v;
    struct buf b CLEANUP(buf_clear) = {0};
    size_t left = json_array_size(x->left);
    if (!x->c->o.quiet)
        json_array_foreach(x->copied, i, v)
        {
            CLEANUP(str_freep) char *added = size_text((uint64_t)json_dot_int(v, "added", 0));
            printf("  %lld → %lld   %s   %s added\n", json_dot_int(v, "seq", 0),
                   json_dot_int(v, "as", 0), json_dot_str(v, "state"), added);
        }
    buf_printf(&b, "%zu snapshot%s of %s copied to chain %s of %s", json_array_size(x->copied),
               json_array_size(x->copied) == 1 ? "" : "s", x->from.chain, x->to.chain,
               x->to.repo.store->url);
    if (json_array_size(x->passed))
        buf_printf(&b, ", %zu there before", json_array_size(x->passed));
    if (left)
        buf_printf(&b, ", %zu damaged and left out   (exit" NBSP "10)", left);
    printf("%s ", state_symbol(x->c, left ? NODE_FAILED : NODE_READY));
    print_wrapped(stdout, b.p, 2, 2);
    if (left)
        printf("  next: regrow snapshot verify says what is wrong with them\n");
}

static void say(struct copying *x)
{
    if (!wants_doc(x->c)) {
        print_text(x);
        return;
    }
    CLEANUP(json_freep) json_t *doc = snap_doc("snapshot-copy", &x->from);
    CLEANUP(str_freep) char *pin = snap_pin_text(&x->to.repo.trust.pin);
    json_object_set_new(doc, "to",
                        json_pack("{s:s, s:s, s:s}", "repository", x->to.repo.store->url, "pin",
                                  pin, "chain", x->to.chain));
    json_object_set(doc, "copied", x->copied);
    json_object_set(doc, "alreadyThere", x->passed);
    json_object_set(doc, "damaged", x->left);
    print_doc(x->c, doc);
}

static bool open_both(struct copying *x, struct err *err)
{
    struct cli *c = x->c;
    struct snap_want read = {.read = READ_MUST, .chain = true};
    struct snap_want write = {.key = true, .kind = CREDENTIAL_JOB, .new_chain = true};
    c->o.to.retain_ms = c->o.snap.retain_ms; // of what is written
    if (str_is_empty(c->o.to.repo) || str_is_empty(c->o.to.key)) {
        err_set(err, ERR_USAGE, "where to? --to and --to-key are wanted");
        return err_hint(err, "--to-key is a job's credential of the other repository, which "
                             "regrow snapshot key add --role writer makes.");
    }
    return snap_open(c, &c->o.snap, &read, &x->from, err) && snap_log(&x->from, err) &&
           (snap_open(c, &c->o.to, &write, &x->to, err) || err_wrap(err, "--to")) &&
           dir_make(x->to.index_cache, 0700, err);
}

int cmd_snapshot_copy(struct cli *c, struct err *err)
{
    struct copying x CLEANUP(copying_clear) = {
        .c = c, .copied = json_array(), .passed = json_array(), .left = json_array()};
    CLEANUP(str_freep) char *cache = cli_cache_dir(c);
    struct progress *p CLEANUP(progress_freep) = progress_new(c);
    x.work = path_join(cache, "snapshot-work");
    bool ok = open_both(&x, err) && choose(&x, err) && prove(&x, err) && copy_wanted(&x, err);
    progress_end(p);
    if (!ok) {
        snap_hint_lock(&c->o.snap, err);
        if (json_array_size(x.copied) && !err->hint)
            err_hint(err, "What was copied stays; the same command goes on.");
        return 0;
    }
    say(&x);
    return json_array_size(x.left) ? err_exit_code(ERR_PARTIAL) : 0;
}
