// SPDX-License-Identifier: Apache-2.0
//
// status --watch: a run that only looks, over watches, whenever one of them says that something has
// moved; drawn in place on a terminal, a line for each change elsewhere, or an event. What is shown
// is a copy (struct status), so that it stands while the next look is under way.
#include <stdlib.h>
#include <string.h>

#include "cli/frame.h"
#include "cli/status.h"

#define SETTLE_MS 150 // what comes together is looked at together
#define SHARE 8       // a look rests so many times what it took: no busy cluster keeps us busy
#define REST_MAX_MS 5000
#define AGAIN_MS 2000   // after a look that failed
#define POLL_MS 180000  // between two looks at the sources
#define APPLIED_MS 2000 // between two that somebody else's writes bring about
#define NAME_MAX 28
#define NAME_MAX_NARROW 14
#define PROBLEMS_MAX 5 // lines below the table
#define ANSWER_MAX 3   // lines of it, at most
#define RELOAD_MS 5000 // after sources that could not be read

struct watching {
    struct cli *c;
    struct session *s;
    const char *root;
    struct informers *informers;
    struct loop_timer *look, *poll, *draw;
    struct event_sink to; // where events go: printed, or nowhere
    struct frame frame;
    struct status now; // as it was when it was looked at last
    json_t *told;      // application -> its row, as it was told last
    char *told_head;
    char *problem; // why there is no newer look; NULL: there is
    bool has_now, is_due, is_live, is_down, must_load;
    bool poll_is_near; // somebody has applied something
    bool is_loading;   // no poll is begun while sources are read
    bool is_unread;    // the last load failed
    int64_t began_ms, cost_ms, changed_ms, polled_ms;
};

// ---- one look, as events ----

static bool is_new(json_t *told, const char *name, const json_t *row)
{
    if (json_equal(json_object_get(told, name), row))
        return false;
    json_object_set(told, name, (json_t *)row);
    return true;
}

static void tell_row(const struct event_sink *events, const struct app_status *a)
{
    event_emit(events, "status.app",
               "{s:s, s:b, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s*, s:s*, s:s}", "app",
               a->key, "good", (int)a->is_good, "health", a->health, "sync", a->sync, "objects",
               (json_int_t)a->total, "ready", (json_int_t)a->ready, "missing",
               (json_int_t)a->missing, "differing", (json_int_t)a->differing, "notComparable",
               (json_int_t)a->not_comparable, "pruning", (json_int_t)a->pruning, "awaiting",
               (json_int_t)a->awaiting, "revision", a->revision, "problem", a->problem, "waitsFor",
               a->waits_for ? a->waits_for : "");
}

static void tell_gone(const struct event_sink *events, const struct status *st, json_t *told)
{
    CLEANUP(json_freep) json_t *there = json_object();
    const char *name;
    json_t *v;
    void *next;
    for (size_t i = 0; i < st->n; i++)
        if (st->apps[i].is_shown)
            json_object_set_new(there, st->apps[i].key, json_true());
    json_object_foreach_safe(told, next, name, v)
    {
        if (!*name || json_object_get(there, name)) // "": the summary
            continue;
        event_emit(events, "status.gone", "{s:s}", "app", name);
        json_object_del(told, name);
    }
}

void status_tell(const struct event_sink *events, const struct status *st, json_t *told)
{
    for (size_t i = 0; i < st->n; i++) {
        CLEANUP(json_freep) json_t *row = status_row(&st->apps[i]);
        if (st->apps[i].is_shown && is_new(told, st->apps[i].key, row))
            tell_row(events, &st->apps[i]);
    }
    tell_gone(events, st, told);
    CLEANUP(str_freep) char *head = status_head(st);
    CLEANUP(json_freep) json_t *sum = json_pack("[s, I]", head, (json_int_t)st->n_leaving);
    if (is_new(told, "", sum))
        event_emit(events, "status.summary", "{s:b, s:s, s:I, s:I, s:I, s:I}", "good",
                   (int)status_is_good(st), "root", st->root, "apps", (json_int_t)st->n_shown,
                   "healthy", (json_int_t)st->n_healthy, "synced", (json_int_t)st->n_synced,
                   "leaving", (json_int_t)st->n_leaving);
}

// ---- as lines ----

static void print_at(const struct watching *w, enum node_state looks, const char *text)
{
    CLEANUP(str_freep) char *at = clock_rfc3339(clock_unix_ms() / 1000); // 2026-11-24T09:00:00Z
    printf("%.8s %s ", at + 11, state_symbol(w->c, looks));
    print_wrapped(stdout, text, 11, 11);
}

static char *row_words(const struct app_status *a)
{
    CLEANUP(str_freep) char *sync = status_sync(a);
    const char *why = a->problem ? a->problem : a->chain;
    return str_printf("%s: %s, %zu/%zu, %s%s%s", a->name, a->health, a->ready, a->total, sync,
                      *why ? "; " : "", why);
}

static void print_changes(struct watching *w)
{
    const struct status *st = &w->now;
    for (size_t i = 0; i < st->n && !w->c->o.quiet; i++) {
        CLEANUP(json_freep) json_t *row = status_row(&st->apps[i]);
        if (!st->apps[i].is_shown || !is_new(w->told, st->apps[i].key, row))
            continue;
        CLEANUP(str_freep) char *text = row_words(&st->apps[i]);
        print_at(w, status_looks(&st->apps[i]), text);
    }
    CLEANUP(str_freep) char *head = status_head(st);
    if (!str_eq(w->told_head, head))
        print_at(w, status_is_good(st) ? NODE_READY : NODE_FAILED, head);
    str_set(&w->told_head, head);
}

// ---- in place ----

struct columns {
    int name, health, count;
    bool is_narrow;
};

static struct columns columns_of(const struct status *st, int cols)
{
    struct columns k = {.health = 11, .is_narrow = cols < NARROW}; // "Progressing"
    int most = k.is_narrow ? NAME_MAX_NARROW : NAME_MAX;
    for (size_t i = 0; i < st->n; i++) {
        char count[48];
        int w = display_width(st->apps[i].name);
        if (!st->apps[i].is_shown)
            continue;
        int n = snprintf(count, sizeof(count), "%zu/%zu", st->apps[i].total, st->apps[i].total);
        k.name = w > k.name ? w : k.name;
        k.count = n > k.count ? n : k.count;
    }
    k.name = k.name > most ? most : k.name;
    return k;
}

// Where there is no room for both, the word that matters.
static char *row_state(const struct app_status *a, const struct columns *k)
{
    if (k->is_narrow)
        return str_dup(a->is_healthy && !a->is_synced ? a->sync : a->health);
    CLEANUP(str_freep) char *sync = status_sync(a);
    return str_printf("%-*s  %s", k->health, a->health, sync);
}

static void draw_row(const struct cli *c, struct frame *f, const struct columns *k,
                     const struct app_status *a)
{
    const char *color = a->is_good ? "green" : a->is_bad ? "red" : "cyan";
    const char *symbol = a->is_good ? "✓" : a->is_bad ? "✗" : "…";
    CLEANUP(str_freep) char *head = str_printf("  %s%s%s ", paint(c, color), symbol, paint(c, ""));
    CLEANUP(str_freep) char *clean_name = clean(a->name);
    CLEANUP(str_freep) char *name = fit(clean_name, k->name);
    CLEANUP(str_freep)
    char *count = a->is_known ? str_printf("%zu/%zu", a->ready, a->total) : str_dup("?");
    CLEANUP(str_freep) char *state = row_state(a, k);
    CLEANUP(str_freep)
    char *text = str_printf("%s%*s  %*s  %s", name, k->name - display_width(name), "", k->count,
                            count, state);
    frame_line(f, head, 4, text);
}

// Lines below: what is wrong comes last, where the eye is.
static size_t draw_problems(const struct cli *c, struct frame *f, const struct status *st,
                            size_t room, bool is_counting)
{
    size_t n = 0;
    for (size_t i = 0; i < st->n && n < room; i++) {
        const struct app_status *a = &st->apps[i];
        if (!a->is_shown || a->is_good || (!a->problem && !*a->chain))
            continue;
        n++;
        if (is_counting)
            continue;
        CLEANUP(str_freep)
        char *text = str_printf("%s: %s%s", a->name, a->problem ? "" : "waits for ",
                                a->problem ? a->problem : a->chain);
        CLEANUP(str_freep)
        char *head = str_printf("  %s ", state_symbol(c, a->problem ? NODE_FAILED : NODE_WAITING));
        frame_line(f, head, 4, text);
    }
    CLEANUP(str_freep) char *leaving = n < room ? status_leaving(st) : NULL;
    if (leaving && !is_counting) {
        CLEANUP(str_freep) char *head = str_printf("  %s ", state_symbol(c, NODE_WAITING));
        frame_line(f, head, 4, leaving);
    }
    return n + (leaving != NULL);
}

// Of more than there is room for those stay that are not good; all keep their order.
static void draw_rows(const struct cli *c, struct frame *f, const struct status *st, size_t room,
                      int cols)
{
    struct columns k = columns_of(st, cols);
    size_t bad = st->n_shown - st->n_good;
    bool all = st->n_shown <= room;
    size_t lines = all ? room : room - 1; // the last one counts the others
    size_t bad_room = bad < lines ? bad : lines;
    size_t good_room = all ? st->n_good : lines - bad_room;
    size_t left_good = 0;
    size_t left_bad = 0;
    for (size_t i = 0; i < st->n; i++) {
        const struct app_status *a = &st->apps[i];
        size_t *place = a->is_good ? &good_room : &bad_room;
        if (!a->is_shown)
            continue;
        if (*place) {
            --*place;
            draw_row(c, f, &k, a);
        } else {
            left_good += a->is_good;
            left_bad += !a->is_good;
        }
    }
    if (all)
        return;
    CLEANUP(str_freep)
    char *more = left_bad ? str_printf("and %zu more: %zu of them not as they should be",
                                       left_good + left_bad, left_bad)
                          : str_printf("and %zu more, healthy and in sync", left_good);
    frame_line(f, "    ", 4, more);
}

// The answer, whole.
static size_t draw_answer(const struct cli *c, struct frame *f, const struct status *st, int cols)
{
    CLEANUP(str_freep) char *answer = status_head(st);
    CLEANUP(str_freep) char *text = clean(answer);
    CLEANUP(str_freep) char *lines = wrap_text(text, cols - 3);
    CLEANUP(str_freep)
    char *head = str_printf("%s ", state_symbol(c, status_is_good(st) ? NODE_READY : NODE_FAILED));
    size_t n = 0;
    for (char *at = lines; *at && n < ANSWER_MAX; n++) {
        size_t len = strcspn(at, "\n");
        bool more = at[len] != 0;
        at[len] = 0;
        frame_line(f, n ? "  " : head, 2, at);
        at += len + more;
    }
    return n;
}

void status_draw(const struct cli *c, struct frame *f, const struct status *st, const char *foot,
                 int rows, int cols)
{
    frame_begin(f, cols);
    // The answer, the foot, and the line where the cursor stands.
    int left = rows - (int)draw_answer(c, f, st, cols) - 2;
    size_t room = left < 1 ? 1 : left > FRAME_MAX_ROWS - 10 ? FRAME_MAX_ROWS - 10 : (size_t)left;
    size_t most = room / 3 < PROBLEMS_MAX ? room / 3 : PROBLEMS_MAX;
    size_t below = draw_problems(c, f, st, most, true);
    draw_rows(c, f, st, room - below, cols);
    draw_problems(c, f, st, most, false);
    frame_line(f, paint(c, "dim"), 0, foot);
    buf_str(&f->text, paint(c, ""));
}

static char *foot_of(const struct watching *w)
{
    const char *context = kubeconfig_context(w->s->config);
    if (w->is_down)
        return str_printf("%s does not answer: this is what was seen before", context);
    if (w->problem)
        return str_printf("not the latest: %s", w->problem);
    CLEANUP(str_freep) char *age = age_text((clock_mono_ms() - w->changed_ms) / 1000);
    return str_printf("watching %s, changed %s ago; Ctrl-C ends it", context, age);
}

static void draw(struct watching *w)
{
    int rows;
    int cols;
    screen_size(stdout, &rows, &cols);
    if (!cols || !w->is_live)
        return;
    if (w->has_now) {
        CLEANUP(str_freep) char *foot = foot_of(w);
        status_draw(w->c, &w->frame, &w->now, foot, rows, cols);
        frame_end(&w->frame);
        return;
    }
    CLEANUP(str_freep) char *took = clock_duration_text(clock_mono_ms() - w->began_ms);
    CLEANUP(str_freep)
    char *text = str_printf(
        "%s   %s", w->s && w->s->desired ? "reading the cluster" : "connecting, reading the root",
        took);
    CLEANUP(str_freep)
    char *head = str_printf("%s%s%s ", paint(w->c, "cyan"), frame_spinner(), paint(w->c, ""));
    frame_begin(&w->frame, cols);
    frame_line(&w->frame, head, 2, text);
    frame_end(&w->frame);
}

static void on_draw(void *ctx)
{
    struct watching *w = ctx;
    draw(w);
    loop_timer_set(w->draw, w->has_now ? 1000 : FRAME_MS);
}

// ---- what is heard ----

static void say(struct watching *w, enum node_state looks, const char *text)
{
    if (w->c->o.output != OUT_TEXT)
        return;
    if (w->is_live)
        frame_erase(&w->frame);
    print_at(w, looks, text);
    draw(w);
}

static void on_event(void *ctx, const json_t *e)
{
    struct watching *w = ctx;
    const char *type = json_dot_text(e, "type");
    if (!strcmp(type, "kube.down") || !strcmp(type, "kube.up"))
        w->is_down = !strcmp(type, "kube.down");
    if (!strcmp(type, "kube.up") && w->has_now)
        w->is_due = true;
    if (w->to.emit)
        w->to.emit(w->to.ctx, e);
    if (!strcmp(type, "kube.down") && !w->is_live)
        say(w, NODE_FAILED, "the API server does not answer");
    else if (!strcmp(type, "kube.up") && !w->is_live)
        say(w, NODE_READY, "the API server answers again");
    else if (!strcmp(type, "kube.awaited")) {
        CLEANUP(str_freep) char *text = awaited_words(e);
        say(w, NODE_APPLIED, text);
    } else if (!strcmp(type, "run.warning") && w->c->o.verbose) {
        say(w, NODE_APPLIED, json_dot_text(e, "message"));
    }
}

static int64_t poll_ms(const struct watching *w)
{
    int64_t ms = w->c->o.reconcile.poll_ms ? w->c->o.reconcile.poll_ms : POLL_MS;
    return ms - ms / 10 + arc4random_uniform((uint32_t)(ms / 5) + 1);
}

static void look_in(struct watching *w, int64_t ms)
{
    if (!loop_timer_is_set(w->look))
        loop_timer_set(w->look, ms);
}

static void on_moved(void *ctx, bool is_record)
{
    struct watching *w = ctx;
    int64_t rest = w->cost_ms * SHARE;
    rest = rest > REST_MAX_MS ? REST_MAX_MS : rest;
    look_in(w, rest > SETTLE_MS ? rest : SETTLE_MS);
    // Somebody applies, so Git may say something else: it is not left to the next poll.
    int64_t soonest = w->polled_ms + APPLIED_MS - clock_mono_ms();
    if (!is_record || !w->has_now || w->poll_is_near)
        return;
    if (w->is_loading) { // its end sees to it
        w->poll_is_near = true;
        return;
    }
    w->poll_is_near = true;
    loop_timer_set(w->poll, soonest > 0 ? soonest : 0);
}

static void on_look(void *ctx)
{
    struct watching *w = ctx;
    w->is_due = true;
}

static void on_polled(void *ctx, const struct source_polled *p)
{
    struct watching *w = ctx;
    for (size_t i = 0; i < p->v.len; i++)
        w->must_load |= p->v.v[i].news != SOURCE_SAME;
}

static void on_poll(void *ctx)
{
    struct watching *w = ctx;
    bool was_near = w->poll_is_near;
    w->polled_ms = clock_mono_ms();
    w->poll_is_near = false;
    loop_timer_set(w->poll, poll_ms(w));
    w->must_load |= w->is_unread;
    bool is_on = !w->must_load && source_poll(w->s->source, NULL, on_polled, w);
    if (is_on || w->must_load || !was_near || w->c->o.offline)
        return;
    // The one that is open may have asked before: another one follows it.
    w->poll_is_near = true;
    loop_timer_set(w->poll, APPLIED_MS);
}

// ---- looking ----

static void show(struct watching *w)
{
    if (w->c->o.output == OUT_NDJSON)
        status_tell(&w->to, &w->now, w->told);
    else if (w->is_live)
        draw(w);
    else
        print_changes(w);
}

static bool is_same(const struct status *a, const struct status *b)
{
    bool same = a->n == b->n && str_eq(a->root, b->root) && a->n_leaving == b->n_leaving;
    for (size_t i = 0; same && i < a->n; i++) {
        CLEANUP(json_freep) json_t *x = status_row(&a->apps[i]);
        CLEANUP(json_freep) json_t *y = status_row(&b->apps[i]);
        same = json_equal(x, y);
    }
    return same;
}

static bool look(struct watching *w, struct err *err)
{
    CLEANUP(run_freep) struct run *r = NULL;
    struct run_opts o;
    struct status st;
    int64_t began = clock_mono_ms();
    w->is_due = false;
    if (!cli_run_opts(w->c, w->s, &o, err))
        return false;
    o.read_only = o.policy.is_read = true;
    o.events = NULL; // what is news is told from what comes of it
    o.informers = w->informers;
    r = run_new(w->c->loop, w->s->kube, w->s->desired, &o);
    if (!run_prepare(r, err) || !run_resolve_checks(r, err))
        return false;
    status_read(&st, w->s, r);
    if (!w->has_now || !is_same(&st, &w->now))
        w->changed_ms = clock_mono_ms();
    status_clear(&w->now);
    w->now = st;
    w->has_now = true;
    if (!w->is_unread && w->problem) { // the summary once more: it holds again
        str_set(&w->problem, NULL);
        json_object_del(w->told, "");
        str_set(&w->told_head, NULL);
    }
    w->cost_ms = clock_mono_ms() - began;
    show(w);
    return true;
}

// What was seen before stays what is shown; a cluster or a host that is gone is tried again.
static bool may_go_on(struct watching *w, struct err *err)
{
    bool may = w->has_now && (err->kind == ERR_UNAVAILABLE || err->kind == ERR_TIMEOUT ||
                              err->kind == ERR_DENIED || err->kind == ERR_NOT_FOUND ||
                              err->kind == ERR_INVALID || err->kind == ERR_CORRUPT);
    if (!may || loop_stopping(w->c->loop))
        return false;
    bool is_news = !str_eq(w->problem, err->msg);
    str_set(&w->problem, err->msg);
    if (is_news)
        event_emit(&w->to, "status.stale", "{s:s}", "message", err->msg);
    if (is_news && !w->is_live)
        say(w, NODE_FAILED, err->msg);
    err_clear(err);
    draw(w);
    return true;
}

static bool load(struct watching *w, struct err *err)
{
    bool polled = w->s->desired && !w->is_unread;
    w->must_load = false;
    w->polled_ms = clock_mono_ms();
    loop_timer_stop(w->poll);
    w->poll_is_near = false;
    w->is_loading = true;
    w->is_unread = !session_load_again(w->s, w->root, polled, err);
    w->is_loading = false;
    loop_timer_set(w->poll, w->is_unread ? RELOAD_MS : w->poll_is_near ? APPLIED_MS : poll_ms(w));
    w->is_due |= !w->is_unread;
    return !w->is_unread;
}

static bool follow(struct watching *w, struct err *err)
{
    w->must_load = true;
    // Where nobody reads any more it ends; that it was not written whole is told then.
    while (!loop_stopping(w->c->loop) && !ferror(stdout)) {
        if (w->must_load && !load(w, err) && !may_go_on(w, err))
            return false;
        if (!w->is_due || w->is_down) {
            if (!w->must_load)
                loop_run_once(w->c->loop, -1);
        } else if (!look(w, err)) {
            if (!may_go_on(w, err))
                return false;
            look_in(w, AGAIN_MS);
        }
    }
    return true;
}

// ---- life ----

static void watching_clear(struct watching *w)
{
    loop_timer_free(w->draw);
    if (w->s && w->s->source)
        source_poll_cancel(w->s->source);
    loop_timer_free(w->poll);
    informers_free(w->informers);
    loop_timer_free(w->look); // informers arm it
    session_close(w->s);      // it may turn the loop once more
    status_clear(&w->now);
    frame_clear(&w->frame);
    json_decref(w->told);
    free(w->told_head);
    free(w->problem);
}

static bool begin(struct watching *w, struct source_opts *sources, char **root, struct err *err)
{
    struct cli *c = w->c;
    struct run_opts run;
    if (!cli_cluster(c, &w->s, err) || !cli_run_opts(c, w->s, &run, err))
        return false;
    *root = cli_root(c, 0, w->s, err);
    if (!*root || !cli_source_opts(c, *root, sources, err))
        return false;
    session_sources(w->s, *root, sources);
    w->root = *root;
    struct informers_opts o = {.manager = run.manager,
                               .ready = run.ready,
                               .n_ready = run.n_ready,
                               .events = &c->events,
                               .moved = on_moved,
                               .ctx = w};
    w->informers = informers_new(c->loop, w->s->kube, &o);
    return true;
}

int status_watch(struct cli *c, struct err *err)
{
    struct watching w CLEANUP(watching_clear) = {.c = c, .to = c->events};
    CLEANUP(str_freep) char *root = NULL;
    struct source_opts sources;
    if (wants_doc(c)) {
        err_set(err, ERR_USAGE, "--watch goes on, so there is no one document of it");
        err_hint(err, "-o ndjson prints an event for each change.");
        return 0;
    }
    w.told = json_object();
    w.began_ms = clock_mono_ms();
    w.is_live = frame_is_live(c);
    w.look = loop_timer_new(c->loop, on_look, &w);
    w.poll = loop_timer_new(c->loop, on_poll, &w);
    w.draw = loop_timer_new(c->loop, on_draw, &w);
    if (w.is_live)
        loop_timer_set(w.draw, FRAME_MS);
    c->events = (struct event_sink){on_event, &w};
    bool ok = begin(&w, &sources, &root, err) && follow(&w, err);
    c->events = w.to;
    if (w.is_live && !w.has_now) {
        frame_erase(&w.frame);
        fflush(stdout); // before what goes to stderr
    }
    if (!w.has_now)
        return !ok ? 0 : loop_stopped(c->loop, err, "reading the cluster");
    // To be told to stop is no failure of a watch.
    if (loop_stopping(c->loop))
        err_clear(err);
    else if (!ok)
        return 0;
    return status_is_good(&w.now) ? 0 : err_exit_code(ERR_PARTIAL);
}
