// SPDX-License-Identifier: Apache-2.0
//
// sync, refresh, rollback, suspend, resume, history: what people ask of the controller for one
// application, and how they follow what comes of it.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/asking.h"

#define LOOK_MS 500
#define TAKEN_MS 60000 // a controller that is there takes a request within seconds

// ---- following ----
struct following {
    struct asking *a;
    const char *what; // "sync"
    enum control_progress (*progress)(const struct asking *a);
    char *said;
};

static enum control_progress operation_progress(const struct asking *a)
{
    return control_operation_progress(a->doc, a->status);
}

// It is over when it has an end, whichever: to end it was what was asked for.
static enum control_progress end_progress(const struct asking *a)
{
    enum control_progress p = control_operation_progress(a->doc, a->status);
    bool is_asked = json_object_get(a->ns ? NULL : a->doc, "status") ||
                    str_eq(json_dot_str(a->status, "operationState.phase"), "Terminating");
    if (is_asked)
        return CONTROL_WAITING;
    return p == CONTROL_FAILED ? CONTROL_SUCCEEDED : p;
}

static enum control_progress approval_progress(const struct asking *a)
{
    // Through the ConfigMap nothing is told of one that was never asked for anything.
    bool is_over = a->is_gone || (!a->ns && !a->status);
    return is_over ? CONTROL_SUCCEEDED : control_operation_progress(a->doc, a->status);
}

static enum control_progress refresh_progress(const struct asking *a)
{
    return control_is_refreshed(a->doc) ? CONTROL_SUCCEEDED : CONTROL_WAITING;
}

// A line when there is something new to say.
static void say(struct following *f, enum control_progress p)
{
    const struct cli *c = f->a->c;
    const char *message = json_dot_text(f->a->status, "operationState.message");
    CLEANUP(str_freep)
    char *line = p == CONTROL_WAITING
                     ? str_printf("%s: waiting for the controller", f->a->name)
                     : str_printf("%s: %s%s%s", f->a->name,
                                  json_dot_text(f->a->status, "operationState.phase"),
                                  *message ? ": " : "", message);
    if (c->o.quiet || c->o.output != OUT_TEXT || str_eq(line, f->said))
        return;
    print_wrapped(stderr, line, 0, 2);
    str_set(&f->said, line);
}

// False: it is not waited for any longer.
static bool goes_on(const struct following *f, enum control_progress p, struct err *err)
{
    const struct cli *c = f->a->c;
    int64_t now = clock_mono_ms();
    if (loop_stopping(c->loop))
        return loop_stopped(c->loop, err, "waiting for the controller");
    if (!c->deadline_ms && p == CONTROL_WAITING && now - f->a->asked_ms > TAKEN_MS) {
        err_set(err, ERR_TIMEOUT, "no controller has taken the request within a minute; it stays");
        return err_hint(err, "is regrow reconcile running? --no-wait does not wait for it");
    }
    return true;
}

static bool follow(struct following *f, enum control_progress *end, struct err *err)
{
    bool ok = true;
    *end = CONTROL_WAITING;
    while (ok && *end != CONTROL_SUCCEEDED && *end != CONTROL_FAILED) {
        ok = asking_look(f->a, err);
        if (!ok)
            break;
        *end = f->progress(f->a);
        say(f, *end);
        if (*end == CONTROL_SUCCEEDED || *end == CONTROL_FAILED)
            break;
        ok = goes_on(f, *end, err);
        if (ok)
            loop_run_once(f->a->c->loop, LOOK_MS);
    }
    str_freep(&f->said);
    if (!ok && loop_is_late(f->a->c->loop)) {
        err_clear(err);
        err_set(err, ERR_TIMEOUT, "%s of %s is not done yet: the controller goes on with it",
                f->what, f->a->name);
        return err_hint(err,
                        "regrow why %s shows what it waits for; a longer --timeout waits for its "
                        "end.",
                        f->a->name);
    }
    return ok;
}

// ---- telling ----
static void print_answer(const struct asking *a, const char *what, bool is_done,
                         enum control_progress end)
{
    static const char *const words[] = {"asked", "running", "succeeded", "failed"};
    const json_t *state = json_object_get(a->status, "operationState");
    CLEANUP(json_freep) json_t *v = doc_new("request", NULL);
    bool is_operation = is_done && strcmp(what, "refresh") != 0;
    json_object_update_new(v, json_pack("{s:s, s:s*, s:s, s:s, s:s, s:s*, s:s*}", "application",
                                        a->name, "namespace", a->ns, "request", what, "through",
                                        a->ns ? "Application" : "ConfigMap", "state", words[end],
                                        "phase", is_operation ? json_dot_str(state, "phase") : NULL,
                                        "message",
                                        is_operation ? json_dot_str(state, "message") : NULL));
    const json_t *resources = json_dot(state, "syncResult.resources");
    if (is_operation && json_dot_bool(state, "operation.sync.dryRun", false) && resources)
        json_object_set_new(v, "resources", json_deep_copy(resources));
    print_doc(a->c, v);
}

// What a dry run would do, object by object.
static void print_results(const struct asking *a)
{
    const json_t *state = json_object_get(a->status, "operationState");
    size_t i;
    json_t *v;
    if (!json_dot_bool(state, "operation.sync.dryRun", false))
        return;
    json_array_foreach(json_dot(state, "syncResult.resources"), i, v)
    {
        const char *ns = json_dot_text(v, "namespace");
        const char *message = json_dot_text(v, "message");
        bool is_bad = !strcmp(json_dot_text(v, "status"), "SyncFailed");
        if (str_starts(message, "unchanged") || strstr(message, " unchanged"))
            continue;
        CLEANUP(str_freep)
        char *text = str_printf("%s%s%s", *ns ? ns : "", *ns ? ": " : "", message);
        printf("  %s ", state_symbol(a->c, is_bad ? NODE_FAILED : NODE_APPLIED));
        print_wrapped(stdout, text, 4, 6);
    }
}

static void print_end(const struct asking *a, const char *what)
{
    CLEANUP(str_freep) char *time = clock_duration_text(clock_mono_ms() - a->asked_ms);
    const char *revision = json_dot_text(a->status, "operationState.syncResult.revision");
    const char *message = json_dot_text(a->status, "operationState.message");
    bool is_operation = strcmp(what, "refresh") != 0;
    CLEANUP(str_freep)
    char *text = str_printf("%s: %s done in %s%s%.10s%s%s", a->name, what, time,
                            is_operation && *revision ? ", at " : "", is_operation ? revision : "",
                            is_operation && *message ? ": " : "", is_operation ? message : "");
    printf("%s ", state_symbol(a->c, NODE_READY));
    print_wrapped(stdout, text, 2, 2);
    if (!strcmp(what, "sync"))
        print_results(a);
}

// Asks, waits if that is wanted, and says what came of it. The exit code.
static int ask(struct asking *a, const char *what, const json_t *patch,
               enum control_progress (*progress)(const struct asking *a), struct err *err)
{
    struct following f = {.a = a, .what = what, .progress = progress};
    enum control_progress end = CONTROL_WAITING;
    bool waits = progress && asking_waits(a->c);
    if (!asking_send(a, patch, err) || (waits && !follow(&f, &end, err)))
        return 0;
    if (wants_doc(a->c)) {
        print_answer(a, what, waits, progress ? end : CONTROL_SUCCEEDED);
    } else if (end == CONTROL_FAILED) {
        err_set(err, ERR_PARTIAL, "%s of %s failed: %s", what, a->name,
                json_dot_text(a->status, "operationState.message"));
        err_hint(err, "regrow why %s shows what it waits for", a->name);
        return 0;
    } else if (waits) {
        print_end(a, what);
    } else if (!a->c->o.quiet) {
        printf("%s: %s%s\n", a->name, progress ? "asked for" : what,
               a->is_new ? "; nothing of that name was ever applied here, and only the controller "
                           "knows whether Git has it"
                         : "");
    }
    return end == CONTROL_FAILED ? err_exit_code(ERR_PARTIAL) : 0;
}

// ---- the commands ----
static json_t *texts_of(const char *list)
{
    struct strv parts = {0};
    strv_split(&parts, list, ',');
    json_t *v = print_texts(&parts);
    strv_clear(&parts);
    return v;
}

static bool add_resources(const struct cli *c, json_t *sync, struct err *err)
{
    json_t *list = json_array();
    json_object_set(sync, "resources", list);
    json_decref(list);
    for (size_t i = 0; i < c->o.control.resources.len; i++) {
        json_t *one = NULL;
        if (!control_resource(c->o.control.resources.v[i], &one, err)) {
            json_decref(one);
            return false;
        }
        json_array_append_new(list, one);
    }
    if (!json_array_size(list))
        json_object_del(sync, "resources");
    return true;
}

// .operation as Argo CD's CLI writes it.
static bool sync_operation(const struct cli *c, json_t **out, struct err *err)
{
    CLEANUP(json_freep) json_t *sync = json_object();
    const char *revision = c->o.root_revision;
    if (!add_resources(c, sync, err))
        return false;
    if (revision && strchr(revision, ','))
        json_object_set_new(sync, "revisions", texts_of(revision));
    else if (revision)
        json_object_set_new(sync, "revision", json_string(revision));
    if (c->o.control.prune)
        json_object_set_new(sync, "prune", json_true());
    if (c->o.snap.dry_run)
        json_object_set_new(sync, "dryRun", json_true());
    json_t *options = print_texts(&c->o.control.sync_options);
    if (c->o.force_conflicts)
        json_array_append_new(options, json_string("ServerSideApply=true"));
    if (json_array_size(options))
        json_object_set(sync, "syncOptions", options);
    json_decref(options);
    json_object_set_new(sync, "syncStrategy", json_pack("{s:{}}", "hook"));
    *out = json_pack("{s:O}", "sync", sync);
    return true;
}

static json_t *operation_patch(struct asking *a, json_t *operation_take)
{
    CLEANUP(str_freep) char *user = asking_user(a);
    json_object_set_new(operation_take, "initiatedBy", json_pack("{s:s}", "username", user));
    return json_pack("{s:o}", "operation", operation_take);
}

// One at a time: what was asked before would be lost.
static bool is_free(const struct asking *a, struct err *err)
{
    if (!json_is_object(json_object_get(a->doc, "operation")))
        return true;
    err_set(err, ERR_CONFLICT, "%s is asked for another sync, which was not taken yet", a->name);
    return err_hint(err, "Wait for it (is regrow reconcile running?), or take %s.",
                    a->ns ? ".operation out of the Application"
                          : "its key out of ConfigMap regrow-system/control");
}

// No earlier than that from which it waits, by whichever clock.
static int approve(struct asking *a, struct err *err)
{
    const char *since = json_dot_str(a->status, "regrow.awaitsApproval.since");
    int64_t since_ms = since ? clock_parse_rfc3339_ms(since) : -1;
    int64_t now = clock_unix_ms() / 1000;
    CLEANUP(json_freep)
    json_t *patch = control_ask_approval(since_ms / 1000 > now ? since_ms / 1000 : now);
    return ask(a, "approval", patch, approval_progress, err);
}

static int end_operation(struct asking *a, struct err *err)
{
    const char *phase = json_dot_text(a->status, "operationState.phase");
    CLEANUP(json_freep) json_t *patch = control_ask_end();
    if (strcmp(phase, "Running") != 0 && strcmp(phase, "Terminating") != 0) {
        err_set(err, ERR_NOT_FOUND, "%s has no operation that is on", a->name);
        return 0;
    }
    return ask(a, "end", patch, end_progress, err);
}

static bool check_sync_options(const struct cli *c, struct err *err)
{
    const struct control_options *o = &c->o.control;
    bool is_sync = o->prune || o->resources.len || o->sync_options.len || c->o.root_revision ||
                   c->o.snap.dry_run || c->o.force_conflicts;
    return (o->approve + o->terminate + is_sync <= 1) ||
           err_set(err, ERR_USAGE, "--approve and --terminate go with nothing else");
}

int cmd_sync(struct cli *c, struct err *err)
{
    struct asking a CLEANUP(asking_close) = {0};
    json_t *operation = NULL;
    if (!check_sync_options(c, err))
        return 0;
    if (c->o.control.approve || c->o.control.terminate) {
        if (!asking_open(c, &a, err))
            return 0;
        return c->o.control.approve ? approve(&a, err) : end_operation(&a, err);
    }
    if (!sync_operation(c, &operation, err))
        return 0;
    CLEANUP(json_freep) json_t *wanted = operation;
    if (!asking_open(c, &a, err) || !is_free(&a, err))
        return 0;
    CLEANUP(json_freep) json_t *patch = operation_patch(&a, json_incref(wanted));
    return ask(&a, "sync", patch, operation_progress, err);
}

int cmd_refresh(struct cli *c, struct err *err)
{
    struct asking a CLEANUP(asking_close) = {0};
    CLEANUP(json_freep)
    json_t *patch = control_ask_refresh(c->o.control.hard ? REFRESH_HARD : REFRESH_NORMAL);
    return asking_open(c, &a, err) ? ask(&a, "refresh", patch, refresh_progress, err) : 0;
}

int cmd_suspend(struct cli *c, struct err *err)
{
    struct asking a CLEANUP(asking_close) = {0};
    CLEANUP(json_freep) json_t *patch = control_ask_suspend(true);
    return asking_open(c, &a, err) ? ask(&a, "suspended", patch, NULL, err) : 0;
}

int cmd_resume(struct cli *c, struct err *err)
{
    struct asking a CLEANUP(asking_close) = {0};
    CLEANUP(json_freep) json_t *patch = control_ask_suspend(false);
    return asking_open(c, &a, err) ? ask(&a, "resumed", patch, NULL, err) : 0;
}

// History is kept in the Application object's status only.
static json_t *history_holder(const struct asking *a)
{
    json_t *v = json_object();
    json_object_set(v, "spec", json_object_get(a->ns ? a->doc : NULL, "spec"));
    json_object_set(v, "status", a->status);
    return v;
}

int cmd_rollback(struct cli *c, struct err *err)
{
    struct asking a CLEANUP(asking_close) = {0};
    json_t *operation = NULL;
    const char *id = c->o.args.len > 1 ? c->o.args.v[1] : NULL;
    long long number = 0;
    if (id && !str_to_int(id, 0, INT64_MAX, &number)) {
        err_set(err, ERR_USAGE, "\"%.80s\": the number of an entry of the history is wanted", id);
        err_hint(err, "regrow history %.100s lists them.", c->o.args.v[0]);
        return 0;
    }
    if (!asking_open(c, &a, err) || !is_free(&a, err))
        return 0;
    CLEANUP(json_freep) json_t *holder = history_holder(&a);
    struct app_control now;
    if (!control_read(a.doc, &now, err))
        return 0;
    bool is_suspended = now.is_suspended || c->o.control.suspend;
    app_control_clear(&now);
    if (!control_rollback(holder, id, is_suspended, &operation, err)) {
        if (err->kind == ERR_INVALID)
            err_hint(err, "--suspend holds it until regrow resume %s", a.name);
        else
            err_hint(err, "regrow history %s lists what there is", a.name);
        return 0;
    }
    CLEANUP(json_freep) json_t *patch = operation_patch(&a, operation);
    CLEANUP(json_freep) json_t *suspend = control_ask_suspend(true);
    if (c->o.control.suspend)
        json_merge_patch(patch, suspend);
    return ask(&a, "rollback", patch, operation_progress, err);
}

// ---- history ----
static char *revision_words(const json_t *entry)
{
    struct buf b = {0};
    size_t i;
    json_t *v;
    buf_printf(&b, "%.10s", json_dot_text(entry, "revision"));
    json_array_foreach(json_object_get(entry, "revisions"), i, v)
    {
        buf_printf(&b, "%s%.10s", i ? ", " : "", json_string_value(v) ? json_string_value(v) : "");
    }
    return buf_take(&b);
}

static void print_history(const struct asking *a, const json_t *list)
{
    struct table *t CLEANUP(table_freep) = table_new(a->c, true, 0);
    size_t i;
    json_t *v;
    table_column(t, "ID", TABLE_RIGHT);
    table_column(t, "DEPLOYED", 0);
    table_column(t, "REVISION", 0);
    table_column(t, "BY", TABLE_WRAP);
    json_array_foreach(list, i, v)
    {
        size_t row = table_row(t, -1);
        CLEANUP(str_freep) char *id = str_printf("%lld", json_dot_int(v, "id", 0));
        CLEANUP(str_freep) char *revision = revision_words(v);
        const char *user = json_dot_text(v, "initiatedBy.username");
        table_cell(t, row, 0, NULL, id);
        table_cell(t, row, 1, NULL, json_dot_text(v, "deployedAt"));
        table_cell(t, row, 2, NULL, revision);
        table_cell(t, row, 3, NULL, *user ? user : "automated");
    }
    table_print(t);
}

int cmd_history(struct cli *c, struct err *err)
{
    struct asking a CLEANUP(asking_close) = {0};
    if (!asking_open(c, &a, err))
        return 0;
    const json_t *list = json_object_get(a.status, "history");
    if (wants_doc(c)) {
        CLEANUP(json_freep) json_t *v = doc_new("history", NULL);
        json_object_set_new(v, "application", json_string(a.name));
        json_object_set_new(v, "history", list ? json_deep_copy(list) : json_array());
        print_doc(c, v);
    } else if (!json_array_size(list)) {
        printf("%s: nothing was deployed by a controller yet\n", a.name);
    } else {
        print_history(&a, list);
    }
    return 0;
}
