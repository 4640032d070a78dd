// SPDX-License-Identifier: Apache-2.0
//
// regrow drill: the restore that people will run, against a cluster that is thrown away, and
// whether what came back is what the snapshot holds.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/proc.h"
#include "cli/drilling.h"

#define PROGRAM "controlplane"
#define DRILL_MS (20 * 60 * 1000LL) // where no --timeout is given: nobody watches a job
#define SHOWN_HISTORY 10

static void drilling_clear(struct drilling *x)
{
    run_free(x->run);
    session_close(x->live);
    simulated_clear(&x->simulated);
    findings_clear(&x->f);
    json_decref(x->differences);
    json_decref(x->history);
    json_decref(x->doc);
    strv_clear(&x->warnings);
    restoring_clear(&x->r);
    plane_free(x->plane); // when nobody talks to it any more
}

// ---- the control plane ----
static char *beside_us(void)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n <= 0)
        return NULL;
    self[n] = 0;
    char *slash = strrchr(self, '/');
    if (slash)
        *slash = 0;
    return path_join(self, PROGRAM);
}

// Owned; NULL: there is none.
static char *find_program(const struct cli *c)
{
    const char *given = c->o.drill.control_plane;
    char *found = proc_find(given ? given : PROGRAM);
    if (found || given)
        return found;
    CLEANUP(str_freep) char *beside = beside_us();
    CLEANUP(str_freep) char *cache = cli_cache_dir(c);
    CLEANUP(str_freep) char *cached = path_join(cache, "bin/" PROGRAM);
    found = beside ? proc_find(beside) : NULL;
    return found ? found : proc_find(cached);
}

// The warden is forked while there is nothing secret in memory, and one thread.
static bool make_plane(struct drilling *x, struct err *err)
{
    const struct options *o = &x->r.c->o;
    if (o->kubeconfig || o->context) {
        if (o->drill.control_plane)
            return err_set(err, ERR_USAGE,
                           "--control-plane starts a cluster, --kubeconfig names "
                           "one: which is meant?");
        return true;
    }
    CLEANUP(str_freep) char *program = find_program(x->r.c);
    if (program)
        return plane_new(program, &x->plane, err);
    err_set(err, ERR_NOT_FOUND, "there is no program to make a throw-away control plane with: %s",
            o->drill.control_plane ? o->drill.control_plane : PROGRAM);
    return err_hint(err,
                    "Drill in an empty cluster of yours, with --kubeconfig FILE; or name such a "
                    "program with --control-plane: scripts/setup controlplane, in regrow's "
                    "source tree, builds one.");
}

static bool start_plane(struct drilling *x, struct err *err)
{
    struct cli *c = x->r.c;
    int64_t began = clock_mono_ms();
    if (!x->plane)
        return true;
    timeline_enter(&x->r.timeline, PHASE_PLANE, began);
    event_emit(&c->events, "drill.plane", "{s:s, s:I}", "state", "starting", "ms", (json_int_t)0);
    if (!plane_start(x->plane, c->loop, err)) {
        if (err->kind == ERR_UNAVAILABLE)
            err_hint(err, "Nothing is left of it. Is another program of that name found first? "
                          "--control-plane names one.");
        return false;
    }
    x->plane_ms = clock_mono_ms() - began;
    c->o.kubeconfig = plane_kubeconfig(x->plane);
    event_emit(&c->events, "drill.plane", "{s:s, s:I}", "state", "ready", "ms",
               (json_int_t)x->plane_ms);
    return true;
}

// ---- the live cluster ----
static bool open_live(struct drilling *x, struct err *err)
{
    struct cli *c = x->r.c;
    struct session_opts o = {.kube = {.path = c->o.drill.live_kubeconfig, .loop = c->loop},
                             .use_cluster = true,
                             .wait_cluster_ms = 10000};
    if (!c->o.drill.live_kubeconfig)
        return true;
    timeline_enter(&x->r.timeline, PHASE_LIVE, clock_mono_ms());
    return session_open(c->loop, &o, &x->live, err) || err_wrap(err, "the live cluster");
}

// Two names for one cluster would compare it with itself, and restore into it.
static bool check_live(const struct drilling *x, struct err *err)
{
    const char *live = x->live ? kube_cluster_uid(x->live->kube) : NULL;
    return !live || !str_eq(live, kube_cluster_uid(x->r.s->kube)) ||
           err_set(err, ERR_CONFLICT, "--live-kubeconfig names the cluster of the drill itself");
}

// ---- who judges ----
static bool check_judge(const struct drilling *x, struct err *err)
{
    const struct cli *c = x->r.c;
    const struct snap *s = &x->r.snap;
    if (!c->o.drill.judge_key || (s->has_key && s->key.kind == CREDENTIAL_JUDGE))
        return true;
    err_set(err, ERR_DENIED, "--judge-key %s is the key of a %s", c->o.drill.judge_key,
            credential_kind_name(s->key.kind));
    return err_hint(err, "regrow snapshot key add --role judge makes one.");
}

// ---- the drill ----
static bool rehearse(struct drilling *x, struct err *err)
{
    struct cli *c = x->r.c;
    if (!make_plane(x, err) || !restoring_open(&x->r, &x->id, err) || !check_judge(x, err) ||
        !open_live(x, err) || !start_plane(x, err) || !restoring_plan(&x->r, x->id, err) ||
        !check_live(x, err))
        return false;
    loop_set_deadline(c->loop, 0); // from here the run sees to it
    return restoring_run(&x->r, &x->run, err);
}

static bool conclude(struct drilling *x, struct err *err)
{
    struct cli *c = x->r.c;
    int64_t began = clock_mono_ms();
    outcome_of(&x->o, c, x->run);
    x->o.is_alone = true;
    restoring_settle(&x->r, &x->o);
    if (!drill_find(x, err) || !drill_history(&x->r.snap, SHOWN_HISTORY, &x->history, err))
        return false;
    x->compare_ms = clock_mono_ms() - began;
    x->doc = drill_doc(x);
    if (!drill_note_verdict(x, err))
        return false;
    event_emit(&c->events, "drill.finished", "{s:s, s:I, s:I, s:I, s:I}", "verdict",
               drill_verdict_name(drill_verdict(&x->f)), "findings", (json_int_t)x->f.v.len,
               "differences", (json_int_t)json_array_size(x->differences), "compared",
               (json_int_t)x->compared, "entry", (json_int_t)x->noted);
    return true;
}

static void show(struct drilling *x)
{
    struct cli *c = x->r.c;
    for (size_t i = 0; i < x->warnings.len; i++)
        fprintf(stderr, "! %s\n", x->warnings.v[i]);
    if (wants_doc(c))
        print_doc(c, x->doc);
    else if (c->o.output == OUT_TEXT)
        drill_print(x);
}

// The history is of many drills; a file is a report of one.
static bool check_files(const struct cli *c, struct err *err)
{
    const char *report = c->o.restore.report;
    if (c->o.drill.history && (report || c->o.drill.html)) {
        err_set(err, ERR_USAGE, "--history writes no %s", report ? "--report" : "--html");
        return err_hint(err, "regrow drill without --history writes the report of its drill; "
                             "--history -o json prints those there were.");
    }
    return !report || report_check(report, err);
}

int cmd_drill(struct cli *c, struct err *err)
{
    struct drilling x CLEANUP(drilling_clear) = {
        .r = {.c = c, .is_drill = true, .settle = drill_settle}, .differences = json_array()};
    if (c->o.drill.judge_key)
        c->o.snap.key = c->o.drill.judge_key;
    if (!check_files(c, err))
        return 0;
    if (c->o.drill.history)
        return drill_print_history(c, err) ? 0 : err_exit_code(err->kind);
    if (!c->deadline_ms) {
        c->o.timeout_ms = DRILL_MS;
        c->deadline_ms = clock_mono_ms() + DRILL_MS;
        loop_set_deadline(c->loop, c->deadline_ms);
    }
    c->o.restore.yes = c->o.no_prune = true; // the target is its own, and empty
    bool ok = rehearse(&x, err) && conclude(&x, err);
    if (!ok && err->kind == ERR_CANCELLED)
        err_hint(err, "Nothing is left of it; the next drill begins anew.");
    int code = !ok ? err_exit_code(err->kind) : x.f.v.len != 0 ? err_exit_code(ERR_PARTIAL) : 0;
    drill_tell_metrics(c, ok ? &x : NULL, code, &x.warnings);
    if (!ok)
        restoring_save_failed(&x.r, x.run, err);
    if (ok && drill_write_files(&x, err))
        show(&x);
    return ok ? code : 0;
}
