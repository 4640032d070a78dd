// SPDX-License-Identifier: Apache-2.0
//
// reconcile: the controller, in the foreground. What happens is a line each, or an event.
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/outcome.h"
#include "cli/reloading.h"
#include "cli/serving.h"

#define SHOWN_CHANGES 5 // of one object

// ---- what is printed of events ----

static const char *text_at(const json_t *event, const char *key)
{
    return json_dot_text(event, key);
}

static char *object_of(const json_t *event)
{
    struct object_id id = {(char *)text_at(event, "group"), (char *)text_at(event, "kind"),
                           (char *)json_dot_str(event, "namespace"),
                           (char *)text_at(event, "name")};
    return object_name(&id);
}

static char *apps_of(const json_t *event)
{
    const json_t *apps = json_object_get(event, "apps");
    size_t n = json_array_size(apps);
    if (n == 1)
        return str_dup(json_string_value(json_array_get(apps, 0)));
    return str_printf("%zu applications", n);
}

static void line_source(const json_t *e, struct buf *b)
{
    const char *commit = json_dot_str(e, "commit");
    long long n = json_dot_int(e, "apps", 0);
    buf_printf(b, "%s", text_at(e, "root"));
    if (commit)
        buf_printf(b, " @ %.7s", commit);
    buf_printf(b, ": %lld application%s", n, n == 1 ? "" : "s");
}

static void line_unreadable(const json_t *e, struct buf *b)
{
    buf_printf(b, "%s. All stays as it is. %s", text_at(e, "message"), text_at(e, "hint"));
}

static void line_waiting(const json_t *e, struct buf *b)
{
    buf_printf(b, "standing by: %s", text_at(e, "message"));
}

static void line_turn(const json_t *e, struct buf *b)
{
    CLEANUP(str_freep) char *apps = apps_of(e);
    buf_printf(b, "looking at %s", apps);
}

static void line_waits(const json_t *e, struct buf *b)
{
    CLEANUP(str_freep) char *since = clock_duration_text(json_dot_int(e, "ms", 0));
    buf_printf(b, "%s waits for %s, since %s", text_at(e, "app"), text_at(e, "message"), since);
}

static void line_done(const json_t *e, struct buf *b)
{
    buf_printf(b, "%s is as Git says", text_at(e, "app"));
    if (*text_at(e, "health"))
        buf_printf(b, ", %s", text_at(e, "health"));
}

static void line_failed(const json_t *e, struct buf *b)
{
    long long retry = json_dot_int(e, "retryInMs", 0);
    CLEANUP(str_freep) char *after = clock_duration_text(retry < 0 ? 0 : retry);
    buf_printf(b, "%s: %s", text_at(e, "app"), text_at(e, "message"));
    if (retry < 0)
        buf_str(b, " (is tried again when something changes)");
    else
        buf_printf(b, " (try %lld; again in %s)", json_dot_int(e, "tries", 0), after);
}

static void line_failed_request(const json_t *e, struct buf *b)
{
    buf_printf(b, "what was asked for %s over HTTP was not: %s", text_at(e, "app"),
               text_at(e, "message"));
}

static void line_held(const json_t *e, struct buf *b)
{
    buf_printf(b, "%s waits: %s", text_at(e, "app"), text_at(e, "message"));
}

static void line_drifted(const json_t *e, struct buf *b)
{
    CLEANUP(str_freep) char *object = object_of(e);
    const json_t *changes = json_object_get(e, "changes");
    bool gone = json_dot_bool(e, "gone", false);
    buf_printf(b, "%s of %s was %s by others", object, text_at(e, "app"),
               gone ? "deleted" : "changed");
    for (size_t i = 0; i < json_array_size(changes) && i < SHOWN_CHANGES; i++) {
        CLEANUP(str_freep) char *text = drift_text(json_array_get(changes, i));
        buf_printf(b, "%s %s", i ? ";" : ":", text);
    }
    if (json_array_size(changes) > SHOWN_CHANGES)
        buf_printf(b, "; and %zu more", json_array_size(changes) - SHOWN_CHANGES);
    if (!json_dot_bool(e, "heals", false))
        buf_str(b, " (stays: selfHeal is off)");
}

static void line_healed(const json_t *e, struct buf *b)
{
    CLEANUP(str_freep) char *object = object_of(e);
    CLEANUP(str_freep) char *took = clock_duration_text(json_dot_int(e, "ms", 0));
    buf_printf(b, "%s is as Git says again, after %s", object, took);
}

static void line_pruned(const json_t *e, struct buf *b)
{
    CLEANUP(str_freep) char *object = object_of(e);
    buf_printf(b, "%s of %s was deleted: Git has it no more", object, text_at(e, "app"));
}

static void line_message(const json_t *e, struct buf *b)
{
    buf_printf(b, "%s", text_at(e, "message"));
    if (*text_at(e, "hint"))
        buf_printf(b, ". %s", text_at(e, "hint"));
}

static void line_unknown(const json_t *e, struct buf *b)
{
    buf_printf(b, "%s could not be read and stays as it is: %s", text_at(e, "app"),
               text_at(e, "message"));
}

static void line_snapshot(const json_t *e, struct buf *b)
{
    long long seq = json_dot_int(e, "seq", 0);
    const char *commit = json_dot_str(e, "commit");
    if (json_dot_bool(e, "changed", true))
        buf_printf(b, "snapshot %lld was taken", seq);
    else
        buf_printf(b, "snapshot %lld says it all", seq);
    if (commit)
        buf_printf(b, " of %.7s", commit);
}

static void line_no_snapshot(const json_t *e, struct buf *b)
{
    long long retry = json_dot_int(e, "retryInMs", 0);
    CLEANUP(str_freep) char *after = clock_duration_text(retry < 0 ? 0 : retry);
    buf_printf(b, "no good snapshot: %s", text_at(e, "message"));
    if (retry >= 0)
        buf_printf(b, " (try %lld; again in %s)", json_dot_int(e, "tries", 0), after);
}

static void line_awaited(const json_t *e, struct buf *b)
{
    long long n = json_dot_int(e, "objects", 0);
    buf_printf(b, "%s: the deletion of %s", text_at(e, "app"), text_at(e, "first"));
    if (n > 1)
        buf_printf(b, " and %lld more", n - 1);
    buf_printf(b, " waits for a confirmation: regrow sync %s --approve", text_at(e, "app"));
}

static void line_tried(const json_t *e, struct buf *b)
{
    buf_printf(b, "%s: %s", text_at(e, "app"), text_at(e, "message"));
}

static void line_reloaded(const json_t *e, struct buf *b)
{
    const json_t *changed = json_object_get(e, "changed");
    const json_t *restart = json_object_get(e, "needsRestart");
    buf_str(b, "the configuration was read again");
    for (size_t i = 0; i < json_array_size(changed); i++)
        buf_printf(b, "%s %s", i ? "," : ":", json_string_value(json_array_get(changed, i)));
    for (size_t i = 0; i < json_array_size(restart); i++)
        buf_printf(b, "%s %s", i ? "," : "; only a restart takes",
                   json_string_value(json_array_get(restart, i)));
}

static void line_refused(const json_t *e, struct buf *b)
{
    buf_printf(b, "the configuration stays as it was: %s", text_at(e, "message"));
}

static void line_server(const json_t *e, struct buf *b)
{
    bool down = !strcmp(text_at(e, "type"), "kube.down");
    buf_str(b, down ? "the API server does not answer" : "the API server answers again");
}

static const struct {
    const char *type;
    enum node_state looks;
    bool is_detail; // with --verbose only
    void (*line)(const json_t *event, struct buf *b);
} lines[] = {
    {"source.changed", NODE_READY, false, line_source},
    {"source.unreadable", NODE_FAILED, false, line_unreadable},
    {"lease.waiting", NODE_APPLIED, false, line_waiting},
    {"turn.started", NODE_APPLIED, true, line_turn},
    {"turn.waiting", NODE_APPLIED, false, line_waits},
    {"sync.done", NODE_READY, false, line_done},
    {"sync.failed", NODE_FAILED, false, line_failed},
    {"request.failed", NODE_FAILED, false, line_failed_request},
    {"sync.held", NODE_APPLIED, false, line_held},
    {"sync.tried", NODE_APPLIED, false, line_tried},
    {"prune.awaited", NODE_APPLIED, false, line_awaited},
    {"object.drifted", NODE_APPLIED, false, line_drifted},
    {"object.healed", NODE_READY, false, line_healed},
    {"object.pruned", NODE_READY, false, line_pruned},
    {"app.unknown", NODE_FAILED, false, line_unknown},
    {"app.left", NODE_APPLIED, false, line_unknown},
    {"breaker.tripped", NODE_FAILED, false, line_message},
    {"run.warning", NODE_APPLIED, false, line_message},
    {"snapshot.taken", NODE_READY, false, line_snapshot},
    {"snapshot.failed", NODE_FAILED, false, line_no_snapshot},
    {"config.reloaded", NODE_READY, false, line_reloaded},
    {"config.refused", NODE_FAILED, false, line_refused},
    {"kube.down", NODE_FAILED, false, line_server},
    {"kube.up", NODE_READY, false, line_server},
};

static void print_line(void *ctx, const json_t *event)
{
    const struct cli *c = ctx;
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        if (strcmp(lines[i].type, text_at(event, "type")) != 0)
            continue;
        if ((lines[i].is_detail && !c->o.verbose) || (c->o.quiet && lines[i].looks != NODE_FAILED))
            return;
        struct buf b CLEANUP(buf_clear) = {0};
        const char *at = text_at(event, "at"); // 2026-11-24T09:00:00.123456Z
        lines[i].line(event, &b);
        printf("%.8s %s ", strlen(at) > 19 ? at + 11 : "", state_symbol(c, lines[i].looks));
        print_wrapped(stdout, b.p, 11, 11);
        return;
    }
}

static void print_json(void *ctx, const json_t *event)
{
    (void)ctx;
    char *text = json_dumps(event, JSON_COMPACT);
    if (text)
        printf("%s\n", text);
    free(text);
}

// ---- the command ----

// Events go to whoever follows them over HTTP as well.
static void fan_out(void *ctx, const json_t *event)
{
    const struct serving *v = ctx;
    const struct event_sink *web = v->web ? web_server_sink(v->web) : NULL;
    v->own.emit(v->own.ctx, event);
    if (web)
        web->emit(web->ctx, event);
}

static bool keep(struct cli *c, struct session *s, const char *root, struct serving *v,
                 struct err *err)
{
    struct run_opts run;
    struct fleet_opts fleet = {0};
    if (!cli_run_opts(c, s, &run, err))
        return false;
    struct controller_opts o = {.kinds = s->kinds,
                                .sources = &s->source_opts,
                                .root = root,
                                .run = &run,
                                .poll_ms = c->o.reconcile.poll_ms,
                                .once = c->o.reconcile.once,
                                .deadline_ms = c->deadline_ms,
                                .fleet = &fleet,
                                .events = &c->events};
    const struct event_sink text = {print_line, c};
    const struct event_sink json = {print_json, c};
    struct reloading *reloading CLEANUP(reloading_freep) = reloading_new(c, s, v, &text, &json);
    struct controller *k CLEANUP(controller_freep) = controller_new(c->loop, s->kube, &o);
    v->controller = k;
    loop_set_deadline(c->loop, 0); // from here on it sees to it: what is done is recorded
    struct snapshotting *snapshots CLEANUP(snapshotting_freep) = NULL;
    if (c->o.reconcile.snapshot_to)
        v->snapshots = snapshots = snapshotting_new(c, k, root, &c->events);
    bool ok = (!c->o.reconcile.listen || serving_begin(c, s, v, err)) && controller_run(k, err) &&
              (!snapshots || !c->o.reconcile.once || snapshotting_finish(snapshots, err));
    // Who asks for one round counts on it.
    if (ok && c->o.reconcile.once && loop_stopping(c->loop))
        ok = err_set(err, ERR_CANCELLED, "interrupted before all was done");
    web_server_free(v->web);
    v->web = NULL;
    v->snapshots = NULL;
    return ok;
}

// Two that put back what the other has changed would never end.
static bool refuse_handed(const struct session *s, struct err *err)
{
    if (!hand_over_is_away(s->then))
        return true;
    err_set(err, ERR_CONFLICT, "this cluster was handed over to %s, which reconciles it",
            hand_over_title(s->then));
    return err_hint(err, "When that is stopped, regrow bootstrap --then=regrow takes it back.");
}

int cmd_reconcile(struct cli *c, struct err *err)
{
    struct session *s CLEANUP(session_closep) = NULL;
    struct source_opts sources;
    struct serving v = {.own = c->events};
    reloading_hold();
    if (c->o.timeout_ms && !c->o.reconcile.once) {
        err_set(err, ERR_USAGE,
                "--timeout is for --once: a controller goes on until it is stopped");
        return 0;
    }
    if (c->o.reconcile.snapshot_to && !c->o.snap.key) {
        err_set(err, ERR_USAGE, "--snapshot-to needs --key: the credential of a job");
        err_hint(err, "regrow snapshot key add --role writer --chain NAME --out FILE makes one.");
        return 0;
    }
    if (!serving_check(c, err))
        return 0;
    if (c->o.reconcile.log_format)
        c->o.output = strcmp(c->o.reconcile.log_format, "json") ? OUT_TEXT : OUT_NDJSON;
    v.own = c->o.output == OUT_TEXT ? (struct event_sink){print_line, c}
                                    : (struct event_sink){print_json, c};
    c->events = (struct event_sink){fan_out, &v};
    if (!cli_cluster(c, &s, err) || !refuse_handed(s, err) || !chain_look(c, s, err))
        return 0;
    CLEANUP(str_freep) char *root = cli_root(c, 0, s, err);
    if (!root || !cli_source_opts(c, root, &sources, err))
        return 0;
    sources.counts = &v.sources;
    session_sources(s, root, &sources);
    keep(c, s, root, &v, err);
    c->events = v.own;
    return 0;
}
