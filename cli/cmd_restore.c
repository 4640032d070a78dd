// SPDX-License-Identifier: Apache-2.0
//
// regrow restore: verify, plan, ask, secret-zero, then the run of a bootstrap.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/restoring.h"

#define MAX_ANSWER 300

void restoring_clear(struct restoring *x)
{
    struct desired *d = x->s ? x->s->desired : NULL;
    if (d && d == x->frozen.desired)
        x->frozen.desired = NULL; // the session's
    frozen_clear(&x->frozen);
    api_changes_clear(&x->apis);
    strv_clear(&x->unread_apis);
    mappings_clear(&x->maps);
    partial_clear(&x->part);
    strv_clear(&x->changes);
    strv_clear(&x->deletes);
    err_clear(&x->breaker);
    target_clear(&x->target);
    json_decref(x->volumes);
    json_decref(x->images);
    timeline_clear(&x->timeline);
    zero_result_clear(&x->zero);
    verify_result_clear(&x->verified);
    gitback_clear(&x->git);
    json_decref(x->git_argocd);
    reader_free(x->git_reader);
    session_close(x->s);
    rendered_anew_clear(&x->anew);
    json_decref(x->cluster);
    frozen_sources_clear(&x->sources); // after the session, which may read there
    snap_close(&x->snap);
}

// ---- which snapshot ----
static bool parse_time(const char *text, int64_t *unix_s, struct err *err)
{
    // "2026-11-23", "2026-11-23 02:00" and "2026-11-23T02:00:00" are of UTC.
    static const char rest[] = "0000-00-00T00:00:00Z";
    CLEANUP(str_freep) char *full = str_dup(text);
    size_t n = strlen(text);
    if (n < sizeof(rest) - 1 && (n == 10 || n == 16 || n == 19)) {
        free(full);
        full = str_printf("%s%s", text, rest + n);
    }
    if (n > 10 && full[10] == ' ')
        full[10] = 'T';
    int64_t ms = clock_parse_rfc3339_ms(full);
    *unix_s = ms / 1000;
    return ms >= 0 ||
           err_set(err, ERR_USAGE,
                   "--at \"%.40s\": a time such as 2026-11-23, \"2026-11-23 02:00\" (UTC) "
                   "or RFC 3339 is wanted",
                   text);
}

static bool find_at(struct restoring *x, const char *text, struct err *err)
{
    int64_t at = 0;
    if (!parse_time(text, &at, err))
        return false;
    x->e = which_at(&x->snap.log, at);
    if (x->e)
        return true;
    err_set(err, ERR_NOT_FOUND, "there is no good snapshot of %s from %s or before", x->snap.chain,
            text);
    return err_hint(err, "regrow snapshot list shows those there are.");
}

// Which is wanted of those that are gone through, the newest first.
struct wanted {
    const char *revision; // NULL: one that was healthy
    int64_t until_s;      // taken then, or before
    json_t *healthy;      // commits that this snapshot or a newer one knows to have been healthy
};

static bool is_of_revision(struct restoring *x, const struct entry *e, struct wanted *w, bool *out,
                           struct err *err)
{
    const struct age_identity *id = NULL;
    CLEANUP(reader_freep) struct reader *r = NULL;
    CLEANUP(str_freep) char *exact = NULL;
    CLEANUP(str_freep) char *healthy = NULL;
    *out = false;
    if (!snap_identity(&x->snap, e, &id, err)) {
        err_clear(err); // of an epoch that nothing given opens: not this one
        return true;
    }
    if (!reader_open(&x->snap.repo, x->snap.chain, e, id, &r, err) ||
        !(w->revision ? which_revision(r, &exact, err) : which_healthy(r, &exact, &healthy, err)))
        return err_wrap(err, "snapshot %llu", (unsigned long long)e->seq);
    if (healthy)
        json_object_set_new(w->healthy, healthy, json_true());
    *out =
        exact && log_goodness(&x->snap.log, e) >= SNAP_GOOD &&
        (w->revision ? str_starts(exact, w->revision) : json_object_get(w->healthy, exact) != NULL);
    return true;
}

// A suspect one is not restored, and may know what was healthy all the same.
static const struct entry *next_below(const struct restoring *x, const struct wanted *w,
                                      uint64_t below)
{
    const struct log *l = &x->snap.log;
    const struct entry *next = NULL;
    for (size_t i = 0; i < l->v.len; i++) {
        const struct entry *e = &l->v.v[i];
        enum goodness is = log_goodness(l, e);
        bool may_tell = is >= SNAP_GOOD || (!w->revision && is == SNAP_SUSPECT);
        if (e->kind == ENTRY_SNAPSHOT && e->seq < below && (!next || e->seq > next->seq) &&
            log_standing(l, e) == STANDING_LIVE && may_tell && entry_taken_s(e) <= w->until_s)
            next = e;
    }
    return next;
}

static bool find_wanted(struct restoring *x, struct wanted *w, struct err *err)
{
    const struct entry *e = next_below(x, w, UINT64_MAX);
    bool found = false;
    x->e = NULL;
    for (; e && !found; e = next_below(x, w, e->seq)) {
        if (!is_of_revision(x, e, w, &found, err))
            return false;
        x->e = found ? e : NULL;
    }
    return true;
}

static bool find_revision(struct restoring *x, const char *revision, struct err *err)
{
    struct wanted w = {.revision = revision, .until_s = INT64_MAX};
    if (strlen(revision) < 4)
        return err_set(err, ERR_USAGE, "--revision \"%s\": four digits at least", revision);
    if (!find_wanted(x, &w, err))
        return false;
    if (x->e)
        return true;
    err_set(err, ERR_NOT_FOUND, "no good snapshot of %s is of revision %.64s", x->snap.chain,
            revision);
    return err_hint(err, "regrow snapshot show SEQ says which revision one is of.");
}

// at NULL: of all times.
static bool find_healthy(struct restoring *x, const char *at, struct err *err)
{
    CLEANUP(json_freep) json_t *known = json_object();
    struct wanted w = {.until_s = INT64_MAX, .healthy = known};
    if ((at && !parse_time(at, &w.until_s, err)) || !find_wanted(x, &w, err))
        return false;
    if (x->e)
        return true;
    err_set(err, ERR_NOT_FOUND,
            json_object_size(known)
                ? "no good snapshot of %s is of a revision at which all was healthy"
                : "no snapshot of %s knows a revision at which all was healthy",
            x->snap.chain);
    return err_hint(err, "regrow snapshot list shows those there are, snapshot show SEQ what one "
                         "knows.");
}

static bool refuse_bad(const struct restoring *x, struct err *err)
{
    enum goodness g = log_goodness(&x->snap.log, x->e);
    struct buf why CLEANUP(buf_clear) = {0};
    if (g >= SNAP_GOOD || x->c->o.restore.allow_suspect)
        return true;
    for (size_t i = 0; i < x->e->snapshot.why.len; i++)
        buf_printf(&why, "%s%s", i ? ", " : ": ", x->e->snapshot.why.v[i]);
    err_set(err, ERR_DENIED, "snapshot %llu is %s%s", (unsigned long long)x->e->seq,
            goodness_name(g), why.p ? why.p : "");
    return err_hint(err, "regrow restore latest takes the newest good one. If this very one is "
                         "meant: --allow-suspect.");
}

static bool choose(struct restoring *x, struct err *err)
{
    const struct options *o = &x->c->o;
    const char *named = o->args.len ? o->args.v[0] : NULL;
    bool is_healthy = str_eq(o->root_revision, "healthy"); // which may be of before a time
    if ((named != NULL) + (o->restore.at != NULL) + (o->root_revision && !is_healthy) > 1 ||
        (named && is_healthy))
        return err_set(err, ERR_USAGE, "one of SNAPSHOT, --at and --revision says which is meant");
    if (is_healthy)
        return find_healthy(x, o->restore.at, err);
    if (o->restore.at)
        return find_at(x, o->restore.at, err);
    if (o->root_revision)
        return find_revision(x, o->root_revision, err);
    return snap_find(&x->snap, named ? named : "latest", &x->e, err) && refuse_bad(x, err);
}

// ---- verify ----
static bool is_proved(const struct restoring *x, struct err *err)
{
    const struct verify_result *v = &x->verified;
    unsigned long long seq = x->e->seq;
    if (!v->problems.len && v->level == VERIFY_CONTENT && !v->unopened.len)
        return true;
    if (!v->problems.len)
        return err_set(err, ERR_DENIED, "nothing that was given opens snapshot %llu", seq);
    CLEANUP(str_freep)
    char *more =
        v->problems.len > 1 ? str_printf(", and %zu more", v->problems.len - 1) : str_dup("");
    CLEANUP(str_freep) char *front = str_printf("snapshot %llu: ", seq);
    const char *what = v->problems.v[0];
    err_set(err, ERR_CORRUPT, "snapshot %llu is damaged: %s%s", seq,
            what + (str_starts(what, front) ? strlen(front) : 0), more);
    return err_hint(err, "Nothing was written. Use another copy of the repository, or an earlier "
                         "snapshot; regrow snapshot verify names every file.");
}

static bool verify(struct restoring *x, const struct age_identity *id, struct err *err)
{
    struct age_identities ids CLEANUP(age_identities_clear) = {0};
    int64_t began = clock_mono_ms();
    *vec_push(&ids.v) = *id;
    struct verify_opts o = {.identities = &ids, .only_seq = x->e->seq, .is_restore = true};
    if (!repo_verify(&x->snap.repo, &x->snap.log, &o, &x->verified, err) || !is_proved(x, err))
        return false;
    x->verify_ms = clock_mono_ms() - began;
    event_emit(&x->c->events, "restore.verified", "{s:I, s:s, s:s, s:I, s:I, s:I}", "seq",
               (json_int_t)x->e->seq, "chain", x->snap.chain, "state",
               goodness_name(log_goodness(&x->snap.log, x->e)), "files",
               (json_int_t)x->verified.files, "bytes", (json_int_t)x->verified.stored_bytes, "ms",
               (json_int_t)x->verify_ms);
    return true;
}

// ---- the plan ----
static bool check_rights(struct restoring *x, struct err *err)
{
    struct strv missing = {0};
    VEC(struct object_id) zero = {0}; // keys and credentials: borrowed
    for (size_t i = 0; i < x->frozen.zero.len; i++)
        *vec_push(&zero) = x->frozen.zero.v[i].id;
    struct rights_more more = {zero.v, zero.len};
    bool ok = rights_check(x->s->kube, x->c->loop, x->s->desired, NULL, &more, &missing, NULL, err);
    vec_clear(&zero);
    if (ok && missing.len) {
        struct buf b CLEANUP(buf_clear) = {0};
        for (size_t i = 0; i < missing.len && i < 3; i++)
            buf_printf(&b, "%s%s", i ? ", " : "", missing.v[i]);
        ok = err_set(err, ERR_DENIED, "it is not permitted to %s%s", b.p,
                     missing.len > 3 ? " and more" : "");
        err_hint(err, "Nothing was written. A restore needs the rights of a cluster's admin.");
    }
    strv_clear(&missing);
    return ok;
}

// A cycle of what people declared: coming back is worth more than declared order.
static bool prepare_look(struct restoring *x, struct run **run, struct err *err)
{
    struct err again = {0};
    if (cli_run(x->c, x->s, true, run, err))
        return true;
    if (err->kind != ERR_INVALID || x->c->o.break_declared)
        return false;
    run_free(*run);
    *run = NULL;
    x->c->o.break_declared = x->is_order_broken = true;
    if (cli_run(x->c, x->s, true, run, &again)) {
        err_clear(err);
        return true;
    }
    err_clear(&again); // what was wrong at first is
    return false;
}

static void name_items(struct restoring *x, const struct run *r)
{
    const struct plan *p = run_plan(r);
    for (size_t i = 0; i < p->items.len; i++) {
        const char *app;
        enum action a = p->items.v[i].action;
        bool is_change = a == ACTION_CHANGE || a == ACTION_REPLACE || a == ACTION_RECREATE;
        if (is_change || a == ACTION_PRUNE)
            strv_push_take(is_change ? &x->changes : &x->deletes,
                           object_name(run_item_id(r, i, &app)));
    }
}

// What this run would say of applications is not news yet: they only come.
static bool compare(struct restoring *x, struct err *err)
{
    struct run *run CLEANUP(run_freep) = NULL;
    struct event_sink events = x->c->events;
    x->c->events.emit = NULL;
    bool ok = prepare_look(x, &run, err) && run_resolve_checks(run, err);
    x->c->events = events;
    if (!ok)
        return false;
    if (!restoring_take_part(x, run, err))
        return false;
    memcpy(x->counts, run_plan(run)->counts, sizeof(x->counts));
    err_copy(&x->breaker, &run_plan(run)->breaker);
    name_items(x, run);
    return true;
}

static bool read_snapshot(struct restoring *x, const struct age_identity *id, struct err *err)
{
    CLEANUP(reader_freep) struct reader *r = NULL;
    struct frozen_opts o = {.served = x->s->kinds,
                            .minor = kube_minor(x->s->kube),
                            .server = kubeconfig_server(x->s->config)};
    if (!reader_open(&x->snap.repo, x->snap.chain, x->e, id, &r, err) ||
        !restoring_take_cluster(x, r, err))
        return err_wrap(err, "snapshot %llu", (unsigned long long)x->e->seq);
    o.cluster = x->cluster;
    if (!frozen_read(r, &o, &x->frozen, err))
        return err_wrap(err, "snapshot %llu", (unsigned long long)x->e->seq);
    x->s->desired = x->frozen.desired;
    x->s->root = str_dup(x->frozen.root);
    return restoring_rerender(x, r, err);
}

// Only an older one knows less.
static bool settle_fields(struct restoring *x, struct err *err)
{
    return restoring_source_minor(x) <= kube_minor(x->s->kube) ||
           fields_settle(x->s->kube, x->c->loop, x->s->desired, &x->apis, &x->unread_apis, err);
}

bool restoring_plan(struct restoring *x, const struct age_identity *id, struct err *err)
{
    int64_t began = clock_mono_ms();
    timeline_enter(&x->timeline, "target", began);
    if (!restoring_read_ahead(x, id, err) || !cli_cluster(x->c, &x->s, err))
        return false;
    timeline_enter(&x->timeline, "plan", clock_mono_ms());
    if (!read_snapshot(x, id, err) || !restoring_map(x, err) ||
        !target_look(x->s->kube, x->c->loop, x->s->kinds, &x->target, err) ||
        !restoring_check_target(x, err))
        return false;
    apis_settle(x->s->desired, x->s->kinds, kube_minor(x->s->kube), &x->apis);
    if (!settle_fields(x, err))
        return false;
    if (x->settle)
        x->settle(x);
    if (!compare(x, err) || !check_rights(x, err))
        return false;
    x->volumes = json_array();
    awaited_volumes(x->s->desired, &x->part, x->volumes);
    x->plan_ms = clock_mono_ms() - began;
    event_emit(&x->c->events, "restore.planned", "{s:I, s:I, s:I, s:I, s:I, s:I}", "create",
               (json_int_t)x->counts[ACTION_CREATE], "change", (json_int_t)x->counts[ACTION_CHANGE],
               "unchanged", (json_int_t)x->counts[ACTION_NONE], "prune",
               (json_int_t)x->counts[ACTION_PRUNE], "first", (json_int_t)x->frozen.zero.len, "ms",
               (json_int_t)x->plan_ms);
    return true;
}

// ---- a person's word ----
static bool ask(struct restoring *x, const char *question, const char *want, const char *hint,
                struct err *err)
{
    char line[MAX_ANSWER];
    int64_t began = clock_mono_ms();
    timeline_enter(&x->timeline, PHASE_CONFIRM, began);
    CLEANUP(str_freep) char *shown = clean(want);
    printf("Type %s, %s, to go on: ", question, shown);
    fflush(stdout);
    loop_set_deadline(x->c->loop, 0); // a person may take their time
    ssize_t n = read(STDIN_FILENO, line, sizeof(line) - 1);
    if (n < 0 || loop_stopping(x->c->loop))
        return err_set(err, ERR_CANCELLED, "interrupted; nothing was written");
    line[n] = 0;
    line[strcspn(line, "\r\n")] = 0;
    x->c->deadline_ms += x->c->deadline_ms ? clock_mono_ms() - began : 0;
    loop_set_deadline(x->c->loop, x->c->deadline_ms);
    if (str_eq(line, want))
        return true;
    err_set(err, ERR_USAGE, "what was typed is not %s; nothing was written", want);
    return err_hint(err, "%s", hint);
}

static bool is_anybody_there(const struct restoring *x, const char *what, const char *name,
                             struct err *err)
{
    if (x->c->o.output == OUT_TEXT && isatty(STDIN_FILENO))
        return true;
    err_set(err, ERR_USAGE, "nobody is there to confirm that %s is the %s that is meant", name,
            what);
    return err_hint(err, "--yes goes on without asking; --dry-run only shows the plan.");
}

static bool confirm(struct restoring *x, struct err *err)
{
    const char *name = kubeconfig_context(x->s->config);
    return x->c->o.restore.yes ||
           (is_anybody_there(x, "cluster", name, err) &&
            ask(x, "the target's name", name,
                "Nothing was written. Run it again; --context and --kubeconfig say which cluster.",
                err));
}

// Without a cluster: the host that is pushed to. Where nothing is to be pushed nobody is asked.
static bool confirm_git(struct restoring *x, struct err *err)
{
    CLEANUP(str_freep) char *host = restore_git_host(x);
    return x->c->o.restore.yes || !host ||
           (is_anybody_there(x, "Git host", host, err) &&
            ask(x, "the Git host's name", host,
                "Nothing was pushed. Run it again; --push-git says where to.", err));
}

// ---- the run ----
static unsigned long long newest_seq(const struct restoring *x)
{
    const struct entry *newest = log_newest_snapshot(&x->snap.log);
    return newest && newest->seq > x->e->seq ? newest->seq : x->e->seq;
}

// Holding the Lease, before anything else: what is restored, so that the next run knows it again;
// then keys and credentials.
static bool first(void *ctx, struct err *err)
{
    struct restoring *x = ctx;
    CLEANUP(str_freep)
    char *repository = hex_encode(x->snap.repo.marker.repo, sizeof(x->snap.repo.marker.repo));
    struct target_note note = {.chain = x->snap.chain,
                               .seq = x->e->seq,
                               .head = restoring_other_writer(x) ? x->target.head : newest_seq(x),
                               .repository = repository,
                               .root = x->s->root,
                               .cluster = restoring_cluster(x)};
    if (!restoring_note_target(x, &note, err) ||
        !zero_write(x->s->kube, x->c->loop, x->s->kinds, x->s->desired, &x->frozen, &x->zero, err))
        return false;
    timeline_enter(&x->timeline, "apply", clock_mono_ms());
    event_emit(&x->c->events, "restore.first", "{s:I, s:I, s:I, s:I}", "written",
               (json_int_t)x->zero.written, "namespaces", (json_int_t)x->zero.namespaces,
               "unchanged", (json_int_t)x->zero.unchanged, "kept", (json_int_t)x->zero.kept.len);
    return true;
}

bool restoring_run(struct restoring *x, struct run **run, struct err *err)
{
    struct progress *p CLEANUP(progress_freep) = progress_new(x->c);
    timeline_enter(&x->timeline, "secret-zero", clock_mono_ms());
    bool ok = cli_run_first(x->c, x->s, false, first, x, run, err);
    if (!ok)
        return false;
    x->is_running = true;
    progress_attach(p, *run, kubeconfig_context(x->s->config));
    loop_set_deadline(x->c->loop, 0); // from here the run sees to it: what waits is told
    ok = run_execute(*run, err);
    progress_end(p);
    if (!ok)
        outcome_explain(*run, err);
    return ok;
}

// The cluster is up, or as far as it comes; what did not come in time is given no more of it.
static int finish(struct restoring *x, const struct run *run, struct err *err)
{
    struct outcome o;
    outcome_of(&o, x->c, run);
    o.is_alone = true;
    bool is_lost = x->frozen.missing.len && !x->c->o.restore.is_part;
    if (!o.code && (is_lost || api_changes_count(&x->apis, API_DROPPED) ||
                    api_changes_count(&x->apis, API_TRIMMED)))
        o.code = err_exit_code(ERR_PARTIAL);
    if (!x->c->o.restore.is_part && !x->c->o.restore.maps.len && !x->c->o.restore.rerender)
        outcome_note_healthy(&o, x->s); // else it is not what that commit says
    // What only waits may wait for Git, or for a person. The host is outside of the cluster, or is
    // waited for.
    bool can_push =
        !o.code || o.code == err_exit_code(ERR_PARTIAL) || o.code == err_exit_code(ERR_TIMEOUT);
    restoring_settle(x, &o);
    x->is_put_off = x->has_git && !can_push;
    if (x->has_git && can_push)
        (void)!restore_git_push(x, err); // the error is told after what was done
    CLEANUP(json_freep) json_t *doc = restoring_doc(x, &o);
    struct err unsaved = {0};
    bool saved = restoring_save(x, doc, &unsaved);
    x->has_report = saved && x->c->o.restore.report;
    if (!saved && !err_is_set(err))
        err_move(err, &unsaved);
    err_clear(&unsaved);
    if (wants_doc(x->c))
        print_doc(x->c, doc);
    else if (x->c->o.output == OUT_TEXT)
        restoring_print_end(x, &o, doc);
    return saved ? o.code : 0;
}

bool restoring_open(struct restoring *x, const struct age_identity **id, struct err *err)
{
    struct snap_want want = {.read = READ_MUST, .chain = true};
    timeline_enter(&x->timeline, "verify", clock_mono_ms());
    return snap_open(x->c, &x->c->o.snap, &want, &x->snap, err) && snap_log(&x->snap, err) &&
           choose(x, err) && snap_identity(&x->snap, x->e, id, err) && verify(x, *id, err);
}

// ---- the command ----
// What would do nothing without a cluster, and be thought to have done something.
static bool check_git_only(const struct options *o, struct err *err)
{
    const struct restore_options *r = &o->restore;
    const struct {
        bool is_given;
        const char *option;
    } all[] = {{r->report != NULL, "--report"},
               {o->apps.len > 0, "--app"},
               {r->namespaces.len > 0, "--namespace"},
               {r->maps.len > 0, "--map"},
               {r->clusters.len > 0, "--cluster"},
               {o->expect_cluster != NULL, "--expect-cluster"},
               {r->adopt, "--adopt"},
               {r->rerender, "--rerender"},
               {o->wait_ms != 0, "--wait-for-cluster"}};
    for (size_t i = 0; r->git_only && i < ARRAY_LEN(all); i++)
        if (all[i].is_given)
            return err_set(err, ERR_USAGE, "%s is about a cluster, and --git-only has none",
                           all[i].option);
    return true;
}

static bool check_options(struct cli *c, struct err *err)
{
    const struct restore_options *o = &c->o.restore;
    if (o->git_only && !o->push_git.len)
        return err_set(err, ERR_USAGE, "--git-only: --push-git says where to");
    if (o->wait_git_ms && !o->push_git.len)
        return err_set(err, ERR_USAGE, "--wait-git: --push-git says for whom");
    return !o->report || report_check(o->report, err);
}

// Without a cluster the snapshot is read for its root alone.
static bool read_root(struct restoring *x, const struct age_identity *id, struct err *err)
{
    CLEANUP(reader_freep) struct reader *r = NULL;
    struct frozen_opts o = {0};
    if (!reader_open(&x->snap.repo, x->snap.chain, x->e, id, &r, err) ||
        !frozen_read(r, &o, &x->frozen, err))
        return err_wrap(err, "snapshot %llu", (unsigned long long)x->e->seq);
    return true;
}

static bool prepare(struct restoring *x, const struct age_identity *id, struct err *err)
{
    x->has_git = x->c->o.restore.push_git.len > 0;
    if (x->c->o.restore.git_only ? !read_root(x, id, err) : !restoring_plan(x, id, err))
        return false;
    return !x->has_git || (restore_git_open(x, id, err) && restore_git_look(x, err));
}

static int show_only(struct restoring *x, struct err *err)
{
    struct err unsaved = {0};
    timeline_end(&x->timeline, clock_mono_ms());
    CLEANUP(json_freep) json_t *doc = restoring_doc(x, NULL);
    if (wants_doc(x->c))
        print_doc(x->c, doc);
    if (!restoring_save(x, doc, &unsaved) && !err_is_set(err))
        err_move(err, &unsaved);
    err_clear(&unsaved);
    return err_exit_code(err->kind);
}

static int only_git(struct restoring *x, struct err *err)
{
    (void)!restore_git_push(x, err); // the error is told after what was done
    if (x->c->o.output == OUT_TEXT)
        restoring_print_git_end(x);
    return show_only(x, err);
}

static int restore(struct restoring *x, struct run **run, struct err *err)
{
    const struct options *o = &x->c->o;
    const struct age_identity *id = NULL;
    if (!restoring_open(x, &id, err) || !prepare(x, id, err))
        return 0;
    if (o->output == OUT_TEXT && !(o->quiet && o->restore.yes))
        restoring_print_plan(x);
    if (err_is_set(&x->breaker))
        err_copy(err, &x->breaker); // seen, and gone no further
    if (o->snap.dry_run)
        return show_only(x, err);
    if (o->restore.git_only)
        return confirm_git(x, err) ? only_git(x, err) : 0;
    if (err_is_set(err) || !confirm(x, err) || !restoring_run(x, run, err))
        return 0;
    return finish(x, *run, err);
}

int cmd_restore(struct cli *c, struct err *err)
{
    struct restoring x CLEANUP(restoring_clear) = {.c = c};
    struct run *run CLEANUP(run_freep) = NULL;
    if (!check_git_only(&c->o, err))
        return 0;
    if (restoring_is_fleet(c))
        return restoring_fleet(c, err);
    restoring_choose_part(&x);
    if (!check_options(c, err) || !restoring_read_maps(&x, err))
        return 0;
    int code = restore(&x, &run, err);
    if (err_is_set(err))
        restoring_save_failed(&x, run, err);
    return code;
}
