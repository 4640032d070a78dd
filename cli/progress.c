// SPDX-License-Identifier: Apache-2.0
//
// What a bootstrap shows while it runs: a live view on a terminal (redrawn in place, never more
// lines than it has), plain lines elsewhere. Both are drawn from events and views of the run.
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli.h"

#define REDRAW_MS 120
#define BAR_WIDTH 30

struct progress {
    struct cli *c;
    const struct run *run;
    char *title;
    bool is_live;
    struct loop_timer *timer;
    int drawn; // lines on the screen that are ours
    int64_t start_ms;
};

static void emit_line(struct progress *p, const json_t *e)
{
    const char *type = json_dot_str(e, "type");
    const char *app = json_dot_str(e, "app");
    const char *message = json_dot_str(e, "message");
    CLEANUP(str_freep) char *at = clock_duration_text(clock_mono_ms() - p->start_ms);
    if (!type || p->c->o.quiet)
        return;
    if (!strcmp(type, "app.ready") && !json_dot_int(e, "objects", 0))
        return; // the root, when it only holds applications
    if (!strcmp(type, "app.ready"))
        printf("%7s  ✓ %s  %lld objects\n", at, app, json_dot_int(e, "objects", 0));
    else if (!strcmp(type, "app.failed"))
        printf("%7s  ✗ %s: %s\n", at, app, message ? message : "");
    else if (!strcmp(type, "object.failed"))
        printf("%7s  ✗ %s: %s %s: %s\n", at, app, json_dot_str(e, "kind"), json_dot_str(e, "name"),
               message ? message : "");
    else if (!strcmp(type, "gate.open"))
        printf("%7s  %s answers\n", at, json_dot_str(e, "webhook"));
    else if (!strcmp(type, "kube.down"))
        printf("%7s  ! the API server does not answer; waiting for it\n", at);
    else if (!strcmp(type, "kube.up"))
        printf("%7s  the API server is back\n", at);
    else if (!strcmp(type, "run.warning"))
        printf("%7s  ! %s\n", at, message ? message : "");
    else if (!strcmp(type, "object.pruned"))
        printf("%7s  deleted %s %s\n", at, json_dot_str(e, "kind"), json_dot_str(e, "name"));
    else if (p->c->o.verbose && !strcmp(type, "object.applied"))
        printf("%7s  %s %s %s\n", at, json_dot_str(e, "action"), json_dot_str(e, "kind"),
               json_dot_str(e, "name"));
}

static void on_event(void *ctx, const json_t *e)
{
    struct progress *p = ctx;
    if (!p->is_live)
        emit_line(p, e);
}

static void screen_size(int *rows, int *cols)
{
    struct winsize w;
    *rows = 24;
    *cols = 80;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 20 && w.ws_row > 3) {
        *rows = w.ws_row;
        *cols = w.ws_col;
    }
}

static void clear_drawn(struct progress *p)
{
    if (p->drawn)
        printf("\033[%dA\r\033[J", p->drawn);
    p->drawn = 0;
}

static void put_line(struct progress *p, const char *text, int cols)
{
    CLEANUP(str_freep) char *line = fit(text, cols - 1);
    printf("%s\n", line);
    p->drawn++;
}

struct totals {
    size_t objects, done, apps, healthy;
};

static char *header(const struct progress *p, const struct totals *t)
{
    struct buf bar CLEANUP(buf_clear) = {0};
    int64_t ms = clock_mono_ms() - p->start_ms;
    size_t full = t->objects ? BAR_WIDTH * t->done / t->objects : 0;
    for (size_t i = 0; i < BAR_WIDTH; i++)
        buf_str(&bar, i < full ? "█" : "░");
    CLEANUP(str_freep) char *now = clock_duration_text(ms);
    CLEANUP(str_freep) char *left = NULL;
    // An estimate from the pace so far says nothing in the first seconds.
    if (t->done > t->objects / 10 && ms > 2000 && t->done < t->objects)
        left = clock_duration_text(ms * (int64_t)(t->objects - t->done) / (int64_t)t->done);
    double rate = ms > 0 ? (double)t->done * 1000 / (double)ms : 0;
    return str_printf("%s  ▕%s▏ %zu/%zu   %zu of %zu healthy   %s   %.0f/s%s%s%s", p->title, bar.p,
                      t->done, t->objects, t->healthy, t->apps, now, rate, left ? "   about " : "",
                      left ? left : "", left ? " left" : "");
}

static char *app_line(const struct progress *p, unsigned app, const struct app_view *v, int spin)
{
    static const char *const spinner[] = {"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"};
    const char *symbol = v->state == NODE_READY    ? "✓"
                         : v->state == NODE_FAILED ? "✗"
                         : v->started_ms           ? spinner[spin % 10]
                                                   : "·";
    const char *name = run_desired(p->run)->apps.v[app]->name;
    CLEANUP(str_freep) char *shown = fit(name, 28);
    int pad = 28 - display_width(shown);
    CLEANUP(str_freep)
    char *count = v->total ? str_printf("%zu/%zu", v->ready, v->total) : str_dup("");
    CLEANUP(str_freep)
    char *time = v->ready_ms && v->started_ms ? clock_duration_text(v->ready_ms - v->started_ms)
                                              : str_dup("");
    const char *what = *v->problem ? v->problem : v->waits_for;
    return str_printf("  %s %s%*s %9s   %s%s%s", symbol, shown, pad, "", count, time,
                      *what && !v->ready_ms && !*v->problem && !v->started_ms ? "waits for " : "",
                      what);
}

// Failed first, then at work, then done last; what merely waits comes at the end.
static int line_rank(const struct app_view *v)
{
    return v->state == NODE_FAILED ? 0 : v->state == NODE_READY ? 2 : v->started_ms ? 1 : 3;
}

static void draw(struct progress *p)
{
    int rows;
    int cols;
    struct totals t = {0};
    const struct desired *d = run_desired(p->run);
    screen_size(&rows, &cols);
    clear_drawn(p);
    struct app_view *views = mem_alloc((d->apps.len + 1) * sizeof(*views));
    for (unsigned i = 0; i < d->apps.len; i++) {
        run_app(p->run, i, &views[i]);
        t.objects += views[i].total;
        t.done += views[i].ready;
        if (i == 0 && !views[i].total)
            continue;
        t.apps++;
        t.healthy += views[i].state == NODE_READY;
    }
    CLEANUP(str_freep) char *head = header(p, &t);
    put_line(p, head, cols);
    int spin = (int)(clock_mono_ms() / REDRAW_MS);
    for (int rank = 0; rank < 4; rank++) {
        for (unsigned i = 0; i < d->apps.len && p->drawn < rows - 2; i++) {
            if (line_rank(&views[i]) != rank || (i == 0 && !views[i].total))
                continue;
            CLEANUP(str_freep) char *line = app_line(p, i, &views[i], spin);
            put_line(p, line, cols);
        }
    }
    for (unsigned i = 0; i < d->apps.len; i++)
        app_view_clear(&views[i]);
    free(views);
    fflush(stdout);
}

static void on_timer(void *ctx)
{
    struct progress *p = ctx;
    draw(p);
    loop_timer_set(p->timer, REDRAW_MS);
}

struct progress *progress_new(struct cli *c)
{
    struct progress *p = mem_alloc(sizeof(*p));
    p->c = c;
    p->start_ms = clock_mono_ms();
    const char *term = getenv("TERM");
    p->is_live = c->o.output == OUT_TEXT && isatty(STDOUT_FILENO) && !c->o.no_progress &&
                 !c->o.quiet && !(term && !strcmp(term, "dumb"));
    if (c->o.output == OUT_TEXT)
        c->events = (struct event_sink){on_event, p};
    return p;
}

void progress_attach(struct progress *p, const struct run *r, const char *title)
{
    p->run = r;
    str_set(&p->title, title);
    if (!p->is_live)
        return;
    p->timer = loop_timer_new(p->c->loop, on_timer, p);
    loop_timer_set(p->timer, 0);
}

void progress_end(struct progress *p)
{
    if (p->timer)
        clear_drawn(p);
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
    free(p->title);
    free(p);
}
