// SPDX-License-Identifier: Apache-2.0
//
// The time line as a picture: phases, the critical path, a bar for each application. Text widths
// are estimated, since no font is known here; what would not fit is left to the tooltip.
#include <stdlib.h>
#include <string.h>

#include "restore/report_int.h"

#define MAX_ROWS 60   // applications with a bar of their own: those that took longest
#define MAX_STEPS 100 // of the critical path
#define MAX_PHASES 24
#define BOLD_PX 7.2    // of bold text
#define CHAR_PX 6.0    // of 11 and 12 pixel text, on average
#define LANE 22        // height of the bands on top
#define MAX_TIP 300    // characters
#define SHORT_NOTE 8   // characters
#define SHORT_LABEL 12 // characters; cut to fewer it says nothing
#define SHORT_NAME 26  // characters of an application's name beside its bar

struct row {
    const json_t *app;
    long long from, ms;
    bool has_bar, is_healthy;
};

struct picture {
    struct buf body;
    const json_t *report;
    bool is_narrow;
    int width, left; // the plot is between left and width
    int y;           // how far it is drawn
    int grid_top;
    long long total; // milliseconds
    struct row *rows;
    size_t n_rows, n_more;
};

// ---- scale ----
static void see(struct picture *p, const json_t *list)
{
    size_t i;
    json_t *v;
    json_array_foreach(list, i, v)
    {
        long long from = report_ms(v, "from_ms");
        long long ms = report_ms(v, "ms");
        bool is_counted = json_object_get(v, "counted") != json_false();
        if (from >= 0 && ms >= 0 && is_counted && from + ms > p->total)
            p->total = from + ms;
    }
}

static double at(const struct picture *p, long long ms)
{
    double x = p->left + (double)ms * (p->width - p->left) / (double)p->total;
    return x < p->width ? x : p->width;
}

// (Whatever the locale is, a point.)
static void number(struct buf *b, double v)
{
    long long tenths = (long long)(v * 10 + 0.5);
    buf_printf(b, "%lld.%lld", tenths / 10, tenths % 10);
}

static void rect(struct buf *b, const char *class, double from, double to, double y, double height)
{
    buf_printf(b, "<rect class=\"%s\" x=\"", class);
    number(b, from);
    buf_str(b, "\" y=\"");
    number(b, y);
    buf_str(b, "\" width=\"");
    number(b, to - from > 1.5 ? to - from : 1.5);
    buf_str(b, "\" height=\"");
    number(b, height);
    buf_str(b, "\" rx=\"2\"/>");
}

static void line(struct buf *b, const char *class, double x, double from, double to)
{
    buf_printf(b, "<path class=\"%s\" d=\"M", class);
    number(b, x);
    buf_char(b, ' ');
    number(b, from);
    buf_char(b, 'V');
    number(b, to);
    buf_str(b, "\"/>");
}

static void text(struct buf *b, const char *class, const char *anchor, double x, double y,
                 const char *s, size_t max)
{
    buf_printf(b, "<text class=\"%s\" text-anchor=\"%s\" x=\"", class, anchor);
    number(b, x);
    buf_str(b, "\" y=\"");
    number(b, y);
    buf_str(b, "\">");
    report_text(b, s, max);
    buf_str(b, "</text>");
}

static double width_of(const char *s)
{
    return (double)report_length(s) * CHAR_PX;
}

static void tip(struct buf *b, const char *s)
{
    buf_str(b, "<title>");
    report_text(b, s, MAX_TIP);
    buf_str(b, "</title>");
}

// ---- the axis ----
static long long step_of(const struct picture *p)
{
    static const long long steps[] = {
        100,    200,    500,    1000,   2000,    5000,    10000,   15000,    30000,    60000,
        120000, 300000, 600000, 900000, 1800000, 3600000, 7200000, 21600000, 43200000, 86400000};
    long long most = p->is_narrow ? 4 : 9;
    for (size_t i = 0; i < ARRAY_LEN(steps); i++)
        if (p->total / steps[i] <= most)
            return steps[i];
    return p->total / most + 1;
}

static char *tick_text(long long ms)
{
    if (ms % 1000)
        return str_printf("%lld.%lld s", ms / 1000, ms / 100 % 10);
    if (ms < 60000 || ms % 60000)
        return ms < 60000 ? str_printf("%lld s", ms / 1000)
                          : str_printf("%lld:%02lld", ms / 60000, ms / 1000 % 60);
    return ms % 3600000 ? str_printf("%lld min", ms / 60000) : str_printf("%lld h", ms / 3600000);
}

static void draw_axis(struct picture *p)
{
    long long step = step_of(p);
    p->y += 12;
    for (long long ms = 0; ms <= p->total; ms += step) {
        CLEANUP(str_freep) char *label = tick_text(ms);
        double x = at(p, ms);
        bool is_last = x + width_of(label) / 2 > p->width;
        text(&p->body, "soft small", is_last ? "end" : ms ? "middle" : "start", x, p->y, label, 20);
    }
    p->y += 8;
    p->grid_top = p->y;
}

// Behind everything else, so into a buffer of its own.
static void draw_grid(const struct picture *p, struct buf *b, int bottom)
{
    long long step = step_of(p);
    for (long long ms = 0; ms <= p->total; ms += step)
        line(b, "grid", at(p, ms), p->grid_top, bottom);
}

static void lane_name(struct picture *p, const char *name)
{
    if (p->is_narrow) {
        p->y += 16;
        text(&p->body, "soft small", "start", 0, p->y - 5, name, 40);
    } else {
        text(&p->body, "soft", "start", 0, p->y + LANE - 7, name, 40);
    }
}

// A segment with its label in it, where that fits.
static void segment(struct picture *p, const char *class, long long from, long long ms,
                    const char *label, const char *told)
{
    double x = at(p, from);
    double end = at(p, from + ms);
    buf_str(&p->body, "<g>");
    tip(&p->body, told);
    rect(&p->body, class, x, end - 1, p->y, LANE - 4);
    double room = (end - x - 10) / BOLD_PX;
    if ((double)report_length(label) <= room || room >= SHORT_LABEL)
        text(&p->body, "on", "start", x + 5, p->y + LANE - 9, label, (size_t)room);
    buf_str(&p->body, "</g>");
}

// "CRD x" where room is dear; owned.
static char *short_label(const char *label)
{
    static const char crd[] = "CustomResourceDefinition ";
    return str_starts(label, crd) ? str_printf("CRD %s", label + strlen(crd)) : str_dup(label);
}

// ---- phases and critical path ----
// A phase has the same colour in every report.
static const char *color_of(const char *phase)
{
    static const char *const known[] = {"verify",      "target", "plan",
                                        "secret-zero", "apply",  "healthy"};
    // While nothing could be written it was waited for what had been.
    if (!strcmp(phase, "waiting"))
        phase = "healthy";
    static const char *const classes[] = {"p0", "p1", "p2", "p3", "p4", "p5", "p6"};
    size_t i = 0;
    while (i < ARRAY_LEN(known) && strcmp(known[i], phase) != 0)
        i++;
    return classes[i];
}

static void draw_phases(struct picture *p)
{
    const json_t *list = json_object_get(p->report, "phases");
    size_t i;
    json_t *v;
    if (!json_array_size(list))
        return;
    lane_name(p, "phases");
    json_array_foreach(list, i, v)
    {
        long long from = report_ms(v, "from_ms");
        long long ms = report_ms(v, "ms");
        if (i == MAX_PHASES || from < 0 || ms < 0)
            break;
        CLEANUP(str_freep) char *took = report_duration(ms);
        CLEANUP(str_freep) char *told = str_printf("%s: %s", report_str(v, "name"), took);
        if (json_object_get(v, "counted") == json_false())
            line(&p->body, "asked", at(p, from), p->y - 2, p->y + LANE - 2);
        else
            segment(p, color_of(report_str(v, "name")), from, ms, report_str(v, "name"), told);
    }
    p->y += LANE;
}

static void draw_path(struct picture *p)
{
    const json_t *list = json_object_get(p->report, "critical_path");
    size_t i;
    json_t *v;
    if (!json_array_size(list))
        return;
    lane_name(p, "critical path");
    json_array_foreach(list, i, v)
    {
        long long from = report_ms(v, "from_ms");
        long long ms = report_ms(v, "ms");
        if (i == MAX_STEPS || from < 0 || ms < 0)
            break;
        CLEANUP(str_freep) char *took = report_duration(ms);
        CLEANUP(str_freep) char *told = str_printf("%s: %s", report_str(v, "node"), took);
        CLEANUP(str_freep) char *label = short_label(report_str(v, "node"));
        segment(p, "path", from, ms, label, told);
    }
    p->y += LANE;
}

// ---- applications ----
// What is not healthy first.
static int by_length(const void *a, const void *b)
{
    const struct row *x = a;
    const struct row *y = b;
    if (x->is_healthy != y->is_healthy)
        return x->is_healthy ? 1 : -1;
    return x->ms != y->ms ? (x->ms > y->ms ? -1 : 1) : x->from < y->from ? -1 : x->from > y->from;
}

static int by_start(const void *a, const void *b)
{
    const struct row *x = a;
    const struct row *y = b;
    return x->from != y->from ? (x->from < y->from ? -1 : 1) : x->ms < y->ms ? -1 : x->ms > y->ms;
}

static void choose_rows(struct picture *p)
{
    const json_t *list = json_object_get(p->report, "applications");
    size_t i;
    json_t *v;
    p->rows = mem_alloc((json_array_size(list) + 1) * sizeof(*p->rows));
    json_array_foreach(list, i, v)
    {
        struct row r = {.app = v,
                        .from = report_ms(v, "from_ms"),
                        .ms = report_ms(v, "ms"),
                        .is_healthy = !strcmp(report_str(v, "state"), "healthy")};
        r.has_bar = r.from >= 0 && r.ms >= 0;
        if (!r.has_bar) // it never began: below all others
            r.from = p->total;
        if (r.has_bar || !r.is_healthy)
            p->rows[p->n_rows++] = r;
    }
    if (p->n_rows > MAX_ROWS) {
        qsort(p->rows, p->n_rows, sizeof(*p->rows), by_length);
        p->n_more = p->n_rows - MAX_ROWS;
        p->n_rows = MAX_ROWS;
    }
    qsort(p->rows, p->n_rows, sizeof(*p->rows), by_start);
}

struct look {
    const char *class, *symbol;
};

static struct look look_of(const char *state)
{
    static const struct {
        const char *state;
        struct look look;
    } looks[] = {{"healthy", {"good", ""}},
                 {"failed", {"bad", "✗ "}},
                 {"waiting", {"wait", "· "}},
                 {"blocked", {"none", "· "}}};
    for (size_t i = 0; i < ARRAY_LEN(looks); i++)
        if (!strcmp(looks[i].state, state))
            return looks[i].look;
    return (struct look){"none", "? "};
}

// "4.1 s · webhook x until 2.3 s" for a tooltip, without the time for the picture.
static char *note_of(const struct row *r, bool is_tip)
{
    CLEANUP(str_freep) char *took = report_duration(r->ms);
    const char *for_what = report_str(r->app, "waited_for");
    long long until = report_ms(r->app, "waited_until_ms");
    bool is_healthy = !strcmp(report_str(r->app, "state"), "healthy");
    if (!is_healthy) {
        const char *why = report_str(r->app, "problem");
        why = *why ? why : report_str(r->app, "waits_for");
        return str_printf("%s%s%s", report_str(r->app, "state"), *why ? ": " : "", why);
    }
    if (!*for_what || until < 0)
        return TAKE(took);
    CLEANUP(str_freep) char *label = short_label(for_what);
    if (!is_tip)
        return str_printf("%s · after %s", took, label);
    CLEANUP(str_freep) char *when = report_duration(until);
    return str_printf("%s, waited for %s until %s", took, for_what, when);
}

// Where a bar begins to be solid: what something held up before is pale.
static double held_until(const struct picture *p, const struct row *r)
{
    long long until = report_ms(r->app, "waited_until_ms");
    double end = at(p, r->from + r->ms);
    double held = until > r->from ? at(p, until) : at(p, r->from);
    return held < end ? held : end;
}

// On the pale part of a bar or on the solid one, whichever is longer; cut to it.
static void note_on(struct picture *p, const struct row *r, const char *note)
{
    double x = at(p, r->from);
    double held = held_until(p, r);
    double pale = (held - x - 12) / CHAR_PX;
    double solid = (at(p, r->from + r->ms) - held - 12) / BOLD_PX;
    if (pale >= solid && pale >= SHORT_NOTE)
        text(&p->body, "small", "start", x + 6, p->y + 13, note, (size_t)pale);
    else if (solid >= SHORT_NOTE)
        text(&p->body, "on", "start", held + 6, p->y + 13, note, (size_t)solid);
}

// Right of the bar, left of it, or on it: where there is room.
static void draw_note(struct picture *p, const struct row *r, const char *note)
{
    double x = r->has_bar ? at(p, r->from) : p->left;
    double end = r->has_bar ? at(p, r->from + r->ms) : p->left;
    double y = p->y + 13;
    double right = (p->width - end - 6) / CHAR_PX;
    double len = (double)report_length(note);
    if (len <= right || !r->has_bar)
        text(&p->body, "soft small", "start", end + 6, y, note, (size_t)right);
    else if (len * CHAR_PX + 6 <= x - p->left)
        text(&p->body, "soft small", "end", x - 6, y, note, 200);
    else if (right > (end - x) / BOLD_PX && right >= SHORT_NOTE)
        text(&p->body, "soft small", "start", end + 6, y, note, (size_t)right);
    else
        note_on(p, r, note);
}

static void draw_bar(struct picture *p, const struct row *r, const char *class, double height)
{
    if (!r->has_bar)
        return;
    double x = at(p, r->from);
    double end = at(p, r->from + r->ms);
    double held = held_until(p, r);
    if (held - x > 1) {
        CLEANUP(str_freep) char *both = str_printf("%s held", class);
        rect(&p->body, both, x, held, p->y, height);
    }
    rect(&p->body, class, held, end, p->y, height);
    const json_t *path = json_object_get(p->report, "critical_path");
    const char *name = report_str(r->app, "name");
    for (size_t i = 0; i < json_array_size(path) && i < MAX_STEPS; i++) {
        const json_t *s = json_array_get(path, i);
        long long from = report_ms(s, "from_ms");
        long long ms = report_ms(s, "ms");
        if (from >= 0 && ms >= 0 && !strcmp(report_str(s, "application"), name))
            rect(&p->body, "path", at(p, from), at(p, from + ms), p->y + height - 3, 4);
    }
}

static void draw_row(struct picture *p, const struct row *r)
{
    const char *name = report_str(r->app, "name");
    struct look look = look_of(report_str(r->app, "state"));
    CLEANUP(str_freep) char *label = str_printf("%s%s", look.symbol, name);
    CLEANUP(str_freep) char *note = note_of(r, false);
    CLEANUP(str_freep) char *more = note_of(r, true);
    CLEANUP(str_freep) char *told = str_printf("%s: %s", name, more);
    buf_str(&p->body, "<g>");
    tip(&p->body, told);
    if (p->is_narrow) {
        size_t room = (size_t)(p->width / CHAR_PX);
        size_t named = report_length(label) < SHORT_NAME ? report_length(label) : SHORT_NAME;
        text(&p->body, "strong", "start", 0, p->y + 11, label, SHORT_NAME);
        text(&p->body, "soft small", "end", p->width, p->y + 11, note, room - named - 6);
        p->y += 16;
        draw_bar(p, r, look.class, 9);
        p->y += 17;
    } else {
        text(&p->body, "", "start", 0, p->y + 13, label, SHORT_NAME);
        draw_bar(p, r, look.class, 17);
        draw_note(p, r, note);
        p->y += 21;
    }
    buf_str(&p->body, "</g>\n");
}

static void draw_rows(struct picture *p)
{
    p->y += p->n_rows ? 6 : 0;
    for (size_t i = 0; i < p->n_rows; i++)
        draw_row(p, &p->rows[i]);
    if (!p->n_more)
        return;
    CLEANUP(str_freep)
    char *more = str_printf("and %zu more applications, none of which took longer", p->n_more);
    text(&p->body, "soft", "start", 0, p->y + 13, more, 100);
    p->y += 21;
}

// ---- what the colours mean ----
static void legend(struct picture *p, double *x, const char *class, const char *name)
{
    double w = 16 + width_of(name) + 16;
    if (*x > 0 && *x + w > p->width) {
        *x = 0;
        p->y += 18;
    }
    rect(&p->body, class, *x, *x + 10, p->y - 9, 10);
    text(&p->body, "soft small", "start", *x + 15, p->y, name, 60);
    *x += w;
}

static void draw_legend(struct picture *p)
{
    double x = 0;
    size_t i;
    json_t *v;
    p->y += 22;
    json_array_foreach(json_object_get(p->report, "phases"), i, v)
    {
        if (i == MAX_PHASES)
            break;
        bool is_counted = json_object_get(v, "counted") != json_false();
        CLEANUP(str_freep) char *took = report_duration(report_ms(v, "ms"));
        CLEANUP(str_freep)
        char *name =
            str_printf("%s %s%s", report_str(v, "name"), took, is_counted ? "" : ", not counted");
        legend(p, &x, is_counted ? color_of(report_str(v, "name")) : "none", name);
    }
    if (json_array_size(json_object_get(p->report, "critical_path")))
        legend(p, &x, "path", "critical path");
    bool is_held = false;
    for (i = 0; i < p->n_rows; i++)
        is_held = is_held || report_ms(p->rows[i].app, "waited_until_ms") > p->rows[i].from;
    if (is_held)
        legend(p, &x, "good held", "held up by another");
    p->y += 8;
}

// ---- the whole ----
static void draw_head(struct picture *p)
{
    CLEANUP(str_freep) char *took = report_duration(p->total);
    const char *chain = report_str(p->report, "chain");
    long long seq = report_ms(p->report, "snapshot.seq");
    CLEANUP(str_freep)
    char *head = seq >= 0 ? str_printf("%s back from snapshot %lld in %s",
                                       *chain ? chain : "cluster", seq, took)
                          : str_printf("%s back in %s", *chain ? chain : "cluster", took);
    text(&p->body, "head", "start", 0, 16, head, 80);
    p->y = 32;
}

static void describe(const struct picture *p, struct buf *b, const char *id)
{
    CLEANUP(str_freep) char *took = report_duration(p->total);
    const json_t *phases = json_object_get(p->report, "phases");
    buf_printf(b, "<title id=\"%s-title\">Time line: %s</title><desc id=\"%s-desc\">", id, took,
               id);
    for (size_t i = 0; i < json_array_size(phases) && i < MAX_PHASES; i++) {
        const json_t *v = json_array_get(phases, i);
        CLEANUP(str_freep) char *ms = report_duration(report_ms(v, "ms"));
        report_text(b, report_str(v, "name"), 40);
        buf_printf(b, " %s, ", ms);
    }
    buf_printf(b, "%zu applications.</desc>\n", p->n_rows + p->n_more);
}

static void assemble(const struct picture *p, struct buf *b, enum report_shape shape, unsigned nth,
                     int bottom)
{
    static const char *const ids[] = {"time", "time-narrow", "time"};
    static const char *const classes[] = {"time wide", "time narrow", "time"};
    CLEANUP(str_freep)
    char *id = nth > 1 ? str_printf("%s-%u", ids[shape], nth) : str_dup(ids[shape]);
    int margin = shape == SHAPE_ALONE ? 20 : 0;
    buf_printf(b, "<svg class=\"%s\" role=\"img\" aria-labelledby=\"%s-title %s-desc\"",
               classes[shape], id, id);
    if (shape == SHAPE_ALONE)
        buf_printf(b, " xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\"",
                   p->width + 2 * margin, p->y + 2 * margin);
    buf_printf(b, " viewBox=\"%d %d %d %d\">\n", -margin, -margin, p->width + 2 * margin,
               p->y + 2 * margin);
    describe(p, b, id);
    if (shape == SHAPE_ALONE) {
        buf_str(b, "<style>");
        buf_append(b, regrow_report_svg_css,
                   (size_t)(regrow_report_svg_css_end - regrow_report_svg_css));
        buf_printf(b,
                   "</style>\n<rect class=\"page\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" "
                   "rx=\"8\"/>\n",
                   -margin, -margin, p->width + 2 * margin, p->y + 2 * margin);
    }
    draw_grid(p, b, bottom);
    buf_append(b, p->body.p ? p->body.p : "", p->body.len);
    buf_str(b, "</svg>\n");
}

void report_picture(struct buf *b, const json_t *report, enum report_shape shape, unsigned nth)
{
    bool is_narrow = shape == SHAPE_NARROW;
    struct picture p = {.report = report,
                        .is_narrow = is_narrow,
                        .width = is_narrow ? 380 : 960,
                        .left = is_narrow ? 0 : 180};
    see(&p, json_object_get(report, "phases"));
    see(&p, json_object_get(report, "applications"));
    see(&p, json_object_get(report, "critical_path"));
    if (!p.total)
        return;
    choose_rows(&p);
    if (shape == SHAPE_ALONE)
        draw_head(&p);
    draw_axis(&p);
    draw_phases(&p);
    draw_path(&p);
    draw_rows(&p);
    int bottom = p.y;
    draw_legend(&p);
    assemble(&p, b, shape, nth, bottom);
    buf_clear(&p.body);
    free(p.rows);
}
