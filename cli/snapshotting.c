// SPDX-License-Identifier: Apache-2.0
#include "cli/snapshotting.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/proc.h"
#include "web/web.h"

#define LOOK_MS 2000 // between two looks at whether all is settled
#define INTERVAL_MS 300000
#define RETRY_FIRST_MS 10000
#define RETRY_LONGEST_MS 1800000
#define TAKES_MS 1800000         // one takes no longer, or it is cut
#define FAREWELL_MS 5000         // for the end of one that is cut
#define CUT_MS 30000             // after what it gives itself
#define MAX_OUT_BYTES (8U << 20) // a document, with the names of all Secrets that were taken
#define MAX_DATA_BYTES (4ULL << 30)
#define MAX_MESSAGE 500

extern char **environ;

struct snapshotting {
    struct cli *c;
    struct controller *controller;
    const char *root;
    const struct event_sink *events;
    struct proc *child; // NULL: none is under way
    struct loop_timer *timer;
    struct sha256 wanted, done; // revisions: of the child, and of what needs none any more
    char *commit;               // of the child's
    bool has_done;
    unsigned failures; // in a row
    int64_t not_before_ms, began_ms;
    int64_t last_good_unix_s; // a snapshot was good then, or still held; 0: not that we know
    unsigned long long seq;   // of it
    char *problem;            // of the last one; NULL: it was good
    unsigned long ends[SNAPSHOT_FAILED + 1];
};

// ---- what became of it ----

void snapshot_outcome_clear(struct snapshot_outcome *o)
{
    free(o->message);
    free(o->hint);
    *o = (struct snapshot_outcome){0};
}

static char *short_text(const char *s)
{
    CLEANUP(str_freep) char *line = clean(s ? s : "");
    return fit(line, MAX_MESSAGE);
}

static json_t *last_object(const struct buf *text)
{
    const char *end = text->p ? text->p + text->len : NULL;
    while (end && end > text->p && (end[-1] == '\n' || end[-1] == ' '))
        end--;
    const char *at = end ? memrchr(text->p, '\n', (size_t)(end - text->p)) : NULL;
    at = at ? at + 1 : text->p;
    json_t *v = end ? json_loadb(at, (size_t)(end - at), JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (json_is_object(v))
        return v;
    json_decref(v);
    return NULL;
}

static char *reasons(const json_t *doc)
{
    const json_t *why = json_object_get(doc, "why");
    const json_t *warnings = json_object_get(doc, "warnings");
    const char *first = json_string_value(json_array_get(warnings, 0));
    struct buf b CLEANUP(buf_clear) = {0};
    buf_printf(&b, "snapshot %lld is suspect", json_dot_int(doc, "seq", 0));
    for (size_t i = 0; i < json_array_size(why); i++)
        if (json_is_string(json_array_get(why, i)))
            buf_printf(&b, "%s %s", i ? "," : ":", json_string_value(json_array_get(why, i)));
    if (first)
        buf_printf(&b, "; %s", first);
    return short_text(b.p);
}

static void failed_outcome(int exit_code, const struct buf *err_text, struct snapshot_outcome *o)
{
    CLEANUP(json_freep) json_t *e = last_object(err_text);
    CLEANUP(str_freep) char *plain = str_printf("snapshot create ended with %d", exit_code);
    const char *message = json_dot_str(e, "message");
    const char *hint = json_dot_str(e, "hint");
    o->end = SNAPSHOT_FAILED;
    o->message = short_text(message ? message : plain);
    o->hint = hint ? short_text(hint) : NULL;
}

void snapshot_outcome_read(int exit_code, const struct buf *out, const struct buf *err_text,
                           struct snapshot_outcome *o)
{
    *o = (struct snapshot_outcome){0};
    CLEANUP(json_freep)
    json_t *doc = out->len ? json_loadb(out->p, out->len, JSON_REJECT_DUPLICATES, NULL) : NULL;
    long long seq = json_dot_int(doc, "seq", 0);
    bool is_suspect = exit_code == err_exit_code(ERR_PARTIAL);
    if ((exit_code != 0 && !is_suspect) || seq < 1) {
        failed_outcome(exit_code, err_text, o);
        return;
    }
    o->seq = (unsigned long long)seq;
    o->is_partial = json_dot_int(doc, "counts.unknown", 0) > 0;
    o->end = is_suspect                            ? SNAPSHOT_SUSPECT
             : json_dot_bool(doc, "changed", true) ? SNAPSHOT_TAKEN
                                                   : SNAPSHOT_SAME;
    if (is_suspect) {
        o->message = reasons(doc);
        o->hint = str_dup("regrow snapshot create shows all of it; what is meant a judge can "
                          "promote (regrow snapshot judge).");
    }
}

int64_t snapshot_retry_ms(unsigned failures, int64_t interval_ms)
{
    int64_t ms = RETRY_FIRST_MS;
    for (unsigned i = 1; i < failures && ms < RETRY_LONGEST_MS; i++)
        ms *= 2;
    if (ms > RETRY_LONGEST_MS)
        ms = RETRY_LONGEST_MS;
    return ms > interval_ms || failures < 2 ? ms : interval_ms;
}

static int64_t interval_ms(const struct snapshotting *s)
{
    int64_t given = s->c->o.reconcile.snapshot_interval_ms;
    return given ? given : INTERVAL_MS;
}

static void went_well(struct snapshotting *s, const struct snapshot_outcome *o)
{
    s->failures = 0;
    s->done = s->wanted;
    s->has_done = true;
    s->last_good_unix_s = clock_unix_ms() / 1000;
    s->seq = o->seq;
    str_set(&s->problem, NULL);
    event_emit(s->events, "snapshot.taken", "{s:I, s:b, s:s*, s:I}", "seq", (json_int_t)o->seq,
               "changed", o->end == SNAPSHOT_TAKEN, "commit", s->commit, "ms", (json_int_t)o->ms);
}

static void went_wrong(struct snapshotting *s, const struct snapshot_outcome *o)
{
    // Suspect and all of it read: it would be so again, until Git says something else.
    bool is_final = o->end == SNAPSHOT_SUSPECT && !o->is_partial;
    int64_t retry = snapshot_retry_ms(++s->failures, interval_ms(s));
    int64_t at = clock_mono_ms() + retry;
    if (is_final) {
        s->done = s->wanted;
        s->has_done = true;
    } else {
        s->not_before_ms = at;
    }
    str_set(&s->problem, o->message);
    event_emit(s->events, "snapshot.failed", "{s:s, s:s, s:s*, s:I, s:I}", "message", o->message,
               "hint", o->hint ? o->hint : "", "commit", s->commit, "tries",
               (json_int_t)s->failures, "retryInMs", (json_int_t)(is_final ? -1 : retry));
}

static void on_done(void *ctx, struct proc_result *r, struct err *err)
{
    struct snapshotting *s = ctx;
    struct snapshot_outcome o = {0};
    s->child = NULL;
    if (err->kind == ERR_CANCELLED || !s->timer)
        return; // we end, and it with us
    if (err_is_set(err)) {
        o.end = SNAPSHOT_FAILED;
        o.message = str_printf("snapshot create: %s", err->msg);
    } else {
        snapshot_outcome_read(r->exit_code, &r->out, &r->err_text, &o);
    }
    o.ms = clock_mono_ms() - s->began_ms;
    s->ends[o.end]++;
    if (o.end == SNAPSHOT_TAKEN || o.end == SNAPSHOT_SAME)
        went_well(s, &o);
    else
        went_wrong(s, &o);
    snapshot_outcome_clear(&o);
    loop_timer_set(s->timer, LOOK_MS);
}

// ---- the child ----

static const char *own_program(char *buf, size_t size)
{
    ssize_t n = readlink("/proc/self/exe", buf, size - 1);
    if (n <= 0)
        return "/proc/self/exe";
    buf[n] = '\0';
    return access(buf, X_OK) == 0 ? buf : "/proc/self/exe"; // replaced by a newer one
}

// What it is called with: our own options as far as it has them. What is in the environment and in
// the configuration file it reads itself, so nothing secret is among the words.
static void words_of(const struct snapshotting *s, const char *program, struct strv *out)
{
    const struct cli *c = s->c;
    const char *const first[] = {program, "snapshot", "create"};
    for (size_t i = 0; i < ARRAY_LEN(first); i++)
        strv_push(out, first[i]);
    options_shared(c->cmd, command_find("snapshot create"), c->argc, (const char *const *)c->argv,
                   out);
    strv_push_take(out, str_printf("--repo=%s", c->o.reconcile.snapshot_to));
    strv_push_take(out, str_printf("--timeout=%ds", TAKES_MS / 1000));
    const char *const last[] = {"--if-changed", "--use-cluster", "--output=json", "--no-color"};
    for (size_t i = 0; i < ARRAY_LEN(last); i++)
        strv_push(out, last[i]);
}

// Ours, and the root: its URL may hold a password, which is nothing for a command line.
static void env_of(const struct snapshotting *s, struct strv *out)
{
    for (char **e = environ; *e; e++)
        if (!str_starts(*e, "REGROW_ROOT="))
            strv_push(out, *e);
    strv_push_take(out, str_printf("REGROW_ROOT=%s", s->root));
}

static const char **terminated(const struct strv *v)
{
    const char **out = mem_alloc((v->len + 1) * sizeof(*out));
    for (size_t i = 0; i < v->len; i++)
        out[i] = v->v[i];
    return out;
}

static void begin(struct snapshotting *s)
{
    char program[4096];
    struct strv words = {0};
    struct strv env = {0};
    words_of(s, own_program(program, sizeof(program)), &words);
    env_of(s, &env);
    const char **argv = terminated(&words);
    const char **envp = terminated(&env);
    str_set(&s->commit, controller_commit(s->controller));
    s->began_ms = clock_mono_ms();
    s->not_before_ms = s->began_ms + interval_ms(s);
    s->child = proc_start(s->c->loop,
                          &(struct proc_opts){.argv = argv,
                                              .env = envp,
                                              .max_out_bytes = MAX_OUT_BYTES,
                                              .max_data_bytes = MAX_DATA_BYTES,
                                              .timeout_ms = TAKES_MS + CUT_MS},
                          on_done, s);
    free(argv);
    free(envp);
    strv_clear(&words);
    strv_clear(&env);
}

static bool is_wanted(struct snapshotting *s)
{
    // The child reads which revision was last healthy: it is noted before.
    return controller_is_settled(s->controller, s->has_done ? &s->done : NULL, &s->wanted) &&
           controller_has_noted(s->controller, &s->wanted);
}

// A newer revision takes the place of one that still waits for its time.
static void on_look(void *ctx)
{
    struct snapshotting *s = ctx;
    int64_t wait = s->not_before_ms - clock_mono_ms();
    if (s->child)
        return; // its end looks again
    if (wait <= 0 && is_wanted(s))
        begin(s);
    else
        loop_timer_set(s->timer, wait > LOOK_MS ? wait : LOOK_MS);
}

// ---- life ----

struct snapshotting *snapshotting_new(struct cli *c, struct controller *k, const char *root,
                                      const struct event_sink *events)
{
    struct snapshotting *s = mem_alloc(sizeof(*s));
    s->c = c;
    s->controller = k;
    s->root = root;
    s->events = events;
    s->timer = loop_timer_new(c->loop, on_look, s);
    loop_timer_set(s->timer, LOOK_MS);
    return s;
}

static void cut(struct snapshotting *s)
{
    int64_t end = clock_mono_ms() + FAREWELL_MS;
    loop_timer_stop(s->timer); // no other one begins
    if (s->child)
        proc_cancel(s->child);
    while (s->child && clock_mono_ms() < end) // a round takes no time while there are events
        loop_run_once(s->c->loop, 50);
}

void snapshotting_free(struct snapshotting *s)
{
    if (!s)
        return;
    cut(s);
    loop_timer_free(s->timer);
    s->timer = NULL;
    if (s->child)
        return; // its end, whenever it comes, is told to what is left of us
    free(s->problem);
    free(s->commit);
    free(s);
}

bool snapshotting_finish(struct snapshotting *s, struct err *err)
{
    if (!s->child) {
        s->wanted = (struct sha256){0}; // stays so when it cannot be told what there is
        if (is_wanted(s))
            begin(s);
    }
    int64_t end = s->c->deadline_ms ? s->c->deadline_ms : INT64_MAX;
    while (s->child && !loop_stopping(s->c->loop) && clock_mono_ms() < end)
        loop_run_once(s->c->loop, 1000);
    if (s->child && !loop_stopping(s->c->loop))
        return err_set(err, ERR_TIMEOUT, "timed out taking a snapshot");
    if (s->child)
        return loop_stopped(s->c->loop, err, "taking a snapshot");
    if (s->problem)
        return err_set(err, ERR_PARTIAL, "no good snapshot: %s", s->problem);
    return (s->has_done && sha256_eq(&s->wanted, &s->done)) ||
           err_set(err, ERR_PARTIAL,
                   "not settled: no snapshot was taken, since not all is as Git says and healthy");
}

// ---- what is told of it ----

void snapshotting_metrics(const struct snapshotting *s, struct buf *out)
{
    static const char *const names[] = {[SNAPSHOT_TAKEN] = "taken",
                                        [SNAPSHOT_SAME] = "unchanged",
                                        [SNAPSHOT_SUSPECT] = "suspect",
                                        [SNAPSHOT_FAILED] = "failed"};
    web_metric_family(out, "regrow_snapshots_total");
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        prom_sample(out, "regrow_snapshots_total", (double)s->ends[i], "result", names[i], NULL);
    if (s->last_good_unix_s)
        web_metric(out, "regrow_snapshots_last_good_timestamp_seconds",
                   (double)s->last_good_unix_s);
}

json_t *snapshotting_doc(const struct snapshotting *s)
{
    json_t *doc =
        json_pack("{s:s, s:b}", "repo", s->c->o.reconcile.snapshot_to, "running", s->child != NULL);
    if (s->last_good_unix_s) {
        CLEANUP(str_freep) char *at = clock_rfc3339(s->last_good_unix_s);
        json_object_set_new(doc, "seq", json_integer((json_int_t)s->seq));
        json_object_set_new(doc, "lastGood", json_string(at));
    }
    if (s->problem)
        json_object_set_new(doc, "problem", json_string(s->problem));
    return doc;
}
