// SPDX-License-Identifier: Apache-2.0
//
// What a bootstrap shows while it runs: a live view on a terminal (redrawn in place, never more
// lines than it has, lines keep their order), plain lines elsewhere. Both are drawn from events and
// views of the run.
#include <stdlib.h>
#include <string.h>

#include "cli/frame.h"

#define BAR_MAX 30
#define BAR_MIN 8
#define NAME_MAX_WIDTH 28
#define ETA_AFTER_MS 2000
#define MAX_URLS 3

struct progress {
    struct cli *c;
    const struct run *run;
    char *title, *phase;
    bool is_live;
    struct loop_timer *timer;
    struct frame frame;
    int64_t start_ms;
    size_t rendered;
    uint64_t stored, reread; // bytes of a snapshot
    int64_t run_ms;          // when the run began
    size_t done_then;        // objects that were healthy by then
    json_t *told;            // plain lines on applications, which another run repeats -> true
};

// ---- plain lines ----
struct line_kind {
    const char *type, *mark;
};

static const struct line_kind kinds[] = {
    {"app.ready", "✓"},         {"app.failed", "✗"},     {"app.blocked", "·"},
    {"object.failed", "✗"},     {"gate.open", " "},      {"kube.down", "!"},
    {"kube.awaited", "!"},      {"kube.up", " "},        {"run.warning", "!"},
    {"run.started", " "},       {"root.recalled", " "},  {"object.pruned", " "},
    {"snapshot.captured", " "}, {"source.awaited", " "}, {"source.readable", " "}};

static char *object_of(const json_t *e)
{
    const char *ns = json_dot_str(e, "namespace");
    return str_printf("%s %s%s%s", json_dot_str(e, "kind"), ns ? ns : "", ns ? "/" : "",
                      json_dot_str(e, "name"));
}

static char *started_words(const struct progress *p)
{
    const struct desired *d = run_desired(p->run);
    size_t objects = 0;
    size_t apps = 0;
    for (size_t i = 0; i < d->objects.len; i++)
        objects += !d->objects.v[i].is_virtual;
    for (size_t i = 1; i < d->apps.len; i++)
        apps += d->apps.v[i]->state != APP_OTHER_CLUSTER;
    return str_printf("%zu application%s, %zu objects for %s", apps, apps == 1 ? "" : "s", objects,
                      p->title);
}

static char *awaited_urls(const json_t *e)
{
    struct buf b = {0};
    CLEANUP(str_freep) char *most = clock_duration_text(json_dot_int(e, "wait_ms", 0));
    json_t *urls = json_object_get(e, "urls");
    size_t n = json_array_size(urls);
    for (size_t i = 0; i < n && i < MAX_URLS; i++)
        buf_printf(&b, "%s%s", i ? ", " : "", json_string_value(json_array_get(urls, i)));
    if (n > MAX_URLS)
        buf_printf(&b, " and %zu more", n - MAX_URLS);
    buf_printf(&b, ": asked again for up to %s, for what came up may answer for it", most);
    return buf_take(&b);
}

static char *words_of(const struct progress *p, const char *type, const json_t *e)
{
    const char *app = json_dot_str(e, "app");
    const char *message = json_dot_str(e, "message");
    long long objects = json_dot_int(e, "objects", 0);
    if (!strcmp(type, "app.ready"))
        return str_printf("%s   %lld object%s", app, objects, objects == 1 ? "" : "s");
    if (!strcmp(type, "app.failed"))
        return str_printf("%s: %s", app, message ? message : "failed");
    if (!strcmp(type, "app.blocked"))
        return str_printf("%s is blocked", app);
    if (!strcmp(type, "gate.open"))
        return str_printf("%s answers", json_dot_str(e, "webhook"));
    if (!strcmp(type, "kube.down"))
        return str_dup("the API server does not answer; waiting for it");
    if (!strcmp(type, "kube.awaited"))
        return awaited_words(e);
    if (!strcmp(type, "kube.up"))
        return str_dup("the API server is back");
    if (!strcmp(type, "run.warning"))
        return str_dup(message ? message : "");
    if (!strcmp(type, "root.recalled"))
        return str_printf("root: %s (remembered)", json_dot_str(e, "root"));
    if (!strcmp(type, "run.started"))
        return started_words(p);
    if (!strcmp(type, "source.awaited"))
        return awaited_urls(e);
    if (!strcmp(type, "source.readable"))
        return str_printf("%s can be read now: going on with it", json_dot_str(e, "url"));
    if (!strcmp(type, "snapshot.captured"))
        return str_printf("%s: %lld object%s",
                          json_dot_int(e, "unknown", 0) ? "what could be read was read"
                                                        : "everything was read",
                          objects, objects == 1 ? "" : "s");
    CLEANUP(str_freep) char *object = object_of(e);
    if (!strcmp(type, "object.failed"))
        return str_printf("%s: %s: %s", app, object, message ? message : "failed");
    if (!strcmp(type, "object.pruned"))
        return str_printf("deleted %s", object);
    return str_printf("%s %s", json_dot_str(e, "action"), object);
}

static bool is_told(struct progress *p, const char *words)
{
    if (!p->told)
        p->told = json_object();
    bool is = json_object_get(p->told, words);
    json_object_set_new(p->told, words, json_true());
    return is;
}

static void plain_line(struct progress *p, const char *type, const json_t *e)
{
    const char *mark = NULL;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (!strcmp(kinds[i].type, type))
            mark = kinds[i].mark;
    if (!mark && p->c->o.verbose && !strcmp(type, "object.applied"))
        mark = " ";
    // The root, when it only holds applications, is no news.
    if (!mark || (str_starts(type, "app.") && json_dot_int(e, "objects", 1) == 0))
        return;
    CLEANUP(str_freep) char *at = clock_duration_text(clock_mono_ms() - p->start_ms);
    CLEANUP(str_freep) char *words = words_of(p, type, e);
    if (str_starts(type, "app.") && is_told(p, words))
        return;
    printf("%7s  %s ", at, mark);
    print_wrapped(stdout, words, 11, 11);
}

// ---- the live view ----
static void draw_phase(struct progress *p, int cols)
{
    CLEANUP(str_freep) char *took = clock_duration_text(clock_mono_ms() - p->start_ms);
    CLEANUP(str_freep)
    char *head = str_printf("%s%s%s ", paint(p->c, "cyan"), frame_spinner(), paint(p->c, ""));
    CLEANUP(str_freep) char *text = str_printf("%s   %s", p->phase, took);
    frame_begin(&p->frame, cols);
    frame_line(&p->frame, head, 2, text);
    frame_end(&p->frame);
}

struct totals {
    size_t objects, done, apps, healthy;
    int name_width, count_width;
};

static int digits(size_t n)
{
    int d = 1;
    while (n /= 10)
        d++;
    return d;
}

static char *bar_of(const struct totals *t, int width)
{
    struct buf b = {0};
    size_t full = t->objects ? (size_t)width * t->done / t->objects : 0;
    buf_str(&b, "▕");
    for (int i = 0; i < width; i++)
        buf_str(&b, (size_t)i < full ? "█" : "░");
    buf_str(&b, "▏");
    return buf_take(&b);
}

// Every number has its place from the beginning, so that nothing moves when it grows.
static void draw_header(struct progress *p, const struct totals *t)
{
    int64_t ms = clock_mono_ms() - p->start_ms;
    CLEANUP(str_freep) char *title = fit(p->title, 20);
    CLEANUP(str_freep) char *now = clock_duration_text(ms);
    CLEANUP(str_freep) char *left = NULL;
    // An estimate from the pace so far says nothing in the first seconds.
    int64_t run_ms = clock_mono_ms() - p->run_ms;
    size_t fresh = t->done - p->done_then;
    size_t open = t->objects - t->done;
    if (t->done > p->done_then && open && fresh > open / 10 && run_ms > ETA_AFTER_MS)
        left = clock_duration_text(run_ms * (int64_t)open / (int64_t)fresh);
    CLEANUP(str_freep)
    char *tail = str_printf(" %*zu/%zu   %*zu of %zu healthy   %6s", digits(t->objects), t->done,
                            t->objects, digits(t->apps), t->healthy, t->apps, now);
    CLEANUP(str_freep) char *eta = str_printf("   about %s left", left ? left : "");
    // The longest an estimate usually is; its room stays kept while there is none.
    int room = p->frame.cols - 1 - display_width(title) - 4 - display_width(tail);
    bool has_eta = room - 20 >= BAR_MIN;
    int width = room - (has_eta ? 20 : 0);
    width = width > BAR_MAX ? BAR_MAX : width;
    CLEANUP(str_freep) char *bar = width >= BAR_MIN ? bar_of(t, width) : str_dup("");
    CLEANUP(str_freep)
    char *line = str_printf("%s  %s%s%s", title, bar, tail, has_eta && left ? eta : "");
    frame_line(&p->frame, "", 0, line);
}

// What an application waits for now: the last link of its chain, in a few words.
static char *link_words(const struct progress *p, unsigned app, unsigned node, bool has_started)
{
    const struct graph *g = run_graph(p->run);
    struct node_view v;
    run_node(p->run, node, &v);
    const struct desired *d = run_desired(p->run);
    CLEANUP(str_freep) char *words = node_words(g, d, node);
    // What is another application's is waited for, whatever its state.
    bool other = g->nodes.v[node].kind == NODE_OBJECT && g->nodes.v[node].app != app;
    CLEANUP(str_freep)
    char *name = other ? str_printf("%s (%s)", words, d->apps.v[g->nodes.v[node].app]->name)
                       : str_dup(words);
    const char *message = *v.message ? v.message : NULL;
    if (g->nodes.v[node].kind == NODE_WEBHOOK && v.tries)
        return str_printf("dry run through %s (tried %u×%s%s)", name, v.tries, message ? ": " : "",
                          v.message);
    if (!other && (v.state == NODE_QUEUED || v.state == NODE_IN_FLIGHT))
        return message ? str_printf("%s: %s", name, message) : str_printf("sending %s", name);
    if (!other && v.state == NODE_APPLIED && has_started)
        return str_printf("%s%s%s", name, message ? ": " : " is not ready yet", v.message);
    return str_printf("waits for %s%s%s", name, message ? ": " : "", v.message);
}

static char *doing(const struct progress *p, unsigned app, const struct app_view *v)
{
    if (*v->problem)
        return str_dup(v->problem);
    if (v->state == NODE_READY)
        return v->started_ms ? clock_duration_text(v->ready_ms - v->started_ms) : str_dup("");
    struct chain_link *chain = NULL;
    size_t n = run_why(p->run, run_graph(p->run)->app_end[app], &chain);
    unsigned last = chain[n - 1].node;
    free(chain);
    return n > 1 ? link_words(p, app, last, v->started_ms) : str_dup("");
}

static void draw_app(struct progress *p, const struct totals *t, unsigned app,
                     const struct app_view *v)
{
    const char *color = v->state == NODE_READY    ? "green"
                        : v->state == NODE_FAILED ? "red"
                        : v->started_ms           ? "cyan"
                                                  : "";
    const char *symbol = v->state == NODE_READY    ? "✓"
                         : v->state == NODE_FAILED ? "✗"
                         : v->started_ms           ? frame_spinner()
                                                   : "·";
    CLEANUP(str_freep)
    char *head = str_printf("  %s%s%s ", *color ? paint(p->c, color) : "", symbol,
                            *color ? paint(p->c, "") : "");
    CLEANUP(str_freep) char *name = fit(run_desired(p->run)->apps.v[app]->name, t->name_width);
    CLEANUP(str_freep)
    char *count = v->total ? str_printf("%zu/%zu", v->ready, v->total) : str_dup("");
    CLEANUP(str_freep) char *what = doing(p, app, v);
    CLEANUP(str_freep)
    char *text = str_printf("%s%*s  %*s  %s", name, t->name_width - display_width(name), "",
                            t->count_width, count, what);
    frame_line(&p->frame, head, 4, text);
}

struct shown {
    unsigned app;
    int rank;      // what is left out last comes first
    int64_t order; // where it stands: by its start, then by its place in the tree
};

static int cmp_rank(const void *a, const void *b)
{
    const struct shown *x = a;
    const struct shown *y = b;
    if (x->rank != y->rank)
        return x->rank - y->rank;
    // Of the finished ones the latest are news.
    if (x->rank == 3)
        return (x->order < y->order) - (x->order > y->order);
    return (x->order > y->order) - (x->order < y->order);
}

static int cmp_order(const void *a, const void *b)
{
    const struct shown *x = a;
    const struct shown *y = b;
    if (x->order != y->order)
        return x->order < y->order ? -1 : 1;
    return (x->app > y->app) - (x->app < y->app);
}

static void draw_apps(struct progress *p, const struct totals *t, const struct app_view *views,
                      struct shown *list, size_t n, int rows)
{
    size_t room = rows > 4 ? (size_t)rows - 3 : 1;
    size_t left_out[4] = {0};
    size_t kept = n;
    if (n > room) {
        qsort(list, n, sizeof(*list), cmp_rank);
        kept = room;
        for (size_t i = kept; i < n; i++)
            left_out[list[i].rank]++;
        qsort(list, kept, sizeof(*list), cmp_order);
    } else {
        qsort(list, n, sizeof(*list), cmp_order);
    }
    for (size_t i = 0; i < kept; i++)
        draw_app(p, t, list[i].app, &views[list[i].app]);
    if (kept == n)
        return;
    CLEANUP(str_freep)
    char *more = str_printf("and %zu more: %zu healthy, %zu at work, %zu waiting", n - kept,
                            left_out[3], left_out[0] + left_out[1], left_out[2]);
    frame_line(&p->frame, "    ", 4, more);
}

static void draw_run(struct progress *p, int rows, int cols)
{
    const struct desired *d = run_desired(p->run);
    struct totals t = {0};
    size_t n = 0;
    struct app_view *views = mem_alloc((d->apps.len + 1) * sizeof(*views));
    struct shown *list = mem_alloc((d->apps.len + 1) * sizeof(*list));
    for (unsigned i = 0; i < d->apps.len; i++) {
        struct app_view *v = &views[i];
        run_app(p->run, i, v);
        t.objects += v->total;
        t.done += v->ready;
        if ((i == 0 && !v->total) || v->state == NODE_SKIPPED)
            continue;
        int w = display_width(d->apps.v[i]->name);
        int cw = 2 * digits(v->total) + 1;
        t.name_width = w > t.name_width ? w : t.name_width;
        t.count_width = cw > t.count_width ? cw : t.count_width;
        t.apps++;
        t.healthy += v->state == NODE_READY;
        list[n++] = (struct shown){
            .app = i,
            .rank = v->state == NODE_FAILED  ? 0
                    : v->state == NODE_READY ? 3
                    : v->started_ms          ? 1
                                             : 2,
            .order = v->started_ms ? v->started_ms : INT64_MAX,
        };
    }
    t.name_width = t.name_width > NAME_MAX_WIDTH ? NAME_MAX_WIDTH : t.name_width;
    frame_begin(&p->frame, cols);
    draw_header(p, &t);
    draw_apps(p, &t, views, list, n, rows);
    frame_end(&p->frame);
    for (unsigned i = 0; i < d->apps.len; i++)
        app_view_clear(&views[i]);
    free(views);
    free(list);
}

static void draw(struct progress *p)
{
    int rows;
    int cols;
    screen_size(stdout, &rows, &cols);
    if (!cols)
        return;
    if (p->run)
        draw_run(p, rows < FRAME_MAX_ROWS ? rows : FRAME_MAX_ROWS, cols);
    else
        draw_phase(p, cols);
}

// ---- what happens before the run: a phase, not a view ----
static void note_import(struct progress *p, const json_t *e)
{
    long long of = json_dot_int(e, "of", 0);
    CLEANUP(str_freep) char *size = size_text((uint64_t)json_dot_int(e, "bytes", 0));
    CLEANUP(str_freep) char *all = size_text((uint64_t)of);
    str_freep(&p->phase);
    p->phase = str_printf("reading the export: %s of %s", size, all);
}

static void note_sending(struct progress *p, const json_t *e)
{
    CLEANUP(str_freep) char *size = size_text((uint64_t)json_dot_int(e, "bytes", 0));
    CLEANUP(str_freep) char *all = size_text((uint64_t)json_dot_int(e, "of", 0));
    str_freep(&p->phase);
    p->phase = str_printf("pushing to %s: %s of %s", json_dot_str(e, "to"), size, all);
}

static void note_phase(struct progress *p, const char *type, const json_t *e)
{
    if (!strcmp(type, "source.fetched")) {
        str_freep(&p->phase);
        p->phase = str_printf("read %s", json_dot_str(e, "repo"));
    } else if (!strcmp(type, "app.rendered")) {
        str_freep(&p->phase);
        p->phase = str_printf("rendering applications: %zu", ++p->rendered);
    } else if (!strcmp(type, "source.history")) {
        str_freep(&p->phase);
        p->phase = str_printf("read the history of %s", json_dot_str(e, "repo"));
    } else if (!strcmp(type, "snapshot.reread")) {
        CLEANUP(str_freep)
        char *size = size_text(p->reread += (uint64_t)json_dot_int(e, "bytes", 0));
        str_freep(&p->phase);
        p->phase = str_printf("reading what is stored: %s", size);
    } else if (!strcmp(type, "snapshot.captured")) {
        str_set(&p->phase, "writing what is new");
    } else if (!strcmp(type, "snapshot.stored")) {
        CLEANUP(str_freep)
        char *size = size_text(p->stored += (uint64_t)json_dot_int(e, "bytes", 0));
        str_freep(&p->phase);
        p->phase = str_printf("writing what is new: %s", size);
    } else if (!strcmp(type, "import.read")) {
        note_import(p, e);
    } else if (!strcmp(type, "git.awaited")) {
        str_freep(&p->phase);
        p->phase = str_printf("waiting for %s", json_dot_str(e, "to"));
    } else if (!strcmp(type, "git.started")) {
        str_freep(&p->phase);
        p->phase = str_printf("packing for %s", json_dot_str(e, "to"));
    } else if (!strcmp(type, "git.sending")) {
        note_sending(p, e);
    } else if (!strcmp(type, "lease.acquired")) {
        str_set(&p->phase, "reading the cluster");
    } else {
        return;
    }
    // The loop may be held up by a fetch: drawn now, or not at all.
    if (clock_mono_ms() - p->frame.drawn_ms > FRAME_MS)
        draw(p);
}

// What must not vanish with the view stays above it.
static void keep_line(struct progress *p, const char *type, const json_t *e)
{
    frame_erase(&p->frame);
    plain_line(p, type, e);
    draw(p);
}

static bool is_kept(const char *type)
{
    return !strcmp(type, "run.warning") || !strcmp(type, "kube.down") || !strcmp(type, "kube.up") ||
           !strcmp(type, "kube.awaited") || !strcmp(type, "root.recalled") ||
           !strcmp(type, "source.awaited") || !strcmp(type, "source.readable");
}

static void on_event(void *ctx, const json_t *e)
{
    struct progress *p = ctx;
    const char *type = json_dot_str(e, "type");
    if (!type || p->c->o.quiet)
        return;
    if (!p->is_live)
        plain_line(p, type, e);
    else if (is_kept(type))
        keep_line(p, type, e);
    else if (!p->run)
        note_phase(p, type, e);
}

static void on_timer(void *ctx)
{
    struct progress *p = ctx;
    draw(p);
    loop_timer_set(p->timer, FRAME_MS);
}

struct progress *progress_new(struct cli *c)
{
    struct progress *p = mem_alloc(sizeof(*p));
    p->c = c;
    p->start_ms = clock_mono_ms();
    p->phase = str_dup("connecting to the cluster, reading the root");
    p->is_live = frame_is_live(c);
    if (c->o.output == OUT_TEXT)
        c->events = (struct event_sink){on_event, p};
    if (p->is_live) {
        p->timer = loop_timer_new(c->loop, on_timer, p);
        loop_timer_set(p->timer, FRAME_MS);
    }
    return p;
}

void progress_say(struct progress *p, const char *phase)
{
    str_set(&p->phase, phase);
}

void progress_attach(struct progress *p, const struct run *r, const char *title)
{
    p->run = r;
    p->run_ms = clock_mono_ms();
    p->done_then = 0;
    str_set(&p->title, title);
    for (unsigned i = 0; i < run_desired(r)->apps.len; i++) {
        struct app_view v;
        run_app(r, i, &v);
        p->done_then += v.ready;
        app_view_clear(&v);
    }
}

void progress_detach(struct progress *p)
{
    p->run = NULL;
}

void progress_end(struct progress *p)
{
    if (p->timer)
        frame_erase(&p->frame);
    loop_timer_free(p->timer);
    p->timer = NULL;
    fflush(stdout);
}

void progress_free(struct progress *p)
{
    if (!p)
        return;
    progress_end(p);
    if (p->c->o.output == OUT_TEXT)
        p->c->events = (struct event_sink){0};
    frame_clear(&p->frame);
    json_decref(p->told);
    free(p->title);
    free(p->phase);
    free(p);
}
