// SPDX-License-Identifier: Apache-2.0
//
// The sections of the page below the picture.
#include <stdlib.h>
#include <string.h>

#include "restore/awaited.h"
#include "restore/report_int.h"

#define MAX_TEXT 300 // characters of a message
#define MAX_NAME 120 // of a name
#define MAX_COMMAND 600
#define MAX_VALUE 200  // of a value that differs
#define MAX_LINES 200  // of a list; what is more is in the JSON document
#define MAX_TABLE 1000 // applications in words
#define MAX_STEPS 60   // of the critical path
#define MAX_CHANGES 20 // of one object
#define MAX_HISTORY 60 // drills, the newest

static void more(struct buf *b, size_t all, size_t shown)
{
    if (all > shown)
        buf_printf(b, "<p class=\"soft\">and %zu more</p>\n", all - shown);
}

static size_t shown_of(const json_t *list, size_t max)
{
    size_t n = json_array_size(list);
    return n < max ? n : max;
}

static void cell(struct buf *b, const char *class, const char *s, size_t max)
{
    buf_printf(b, "<td%s%s%s>", *class ? " class=\"" : "", class, *class ? "\"" : "");
    report_text(b, s, max);
    buf_str(b, "</td>");
}

static void duration_cell(struct buf *b, long long ms)
{
    CLEANUP(str_freep) char *s = ms >= 0 ? report_duration(ms) : str_dup("");
    cell(b, "n", s, MAX_NAME);
}

// ---- the critical path ----
void report_path(struct buf *b, const json_t *report)
{
    const json_t *list = json_object_get(report, "critical_path");
    size_t n = shown_of(list, MAX_STEPS);
    if (!n)
        return;
    buf_str(b, "<h2>What decided how long it took</h2>\n<ol class=\"path\">\n");
    for (size_t i = 0; i < n; i++) {
        const json_t *s = json_array_get(list, i);
        long long ms = report_ms(s, "ms");
        CLEANUP(str_freep) char *took = report_duration(ms > 0 ? ms : 0);
        buf_printf(b, "<li><span class=\"ms\">%s</span><span>", took);
        report_text(b, report_str(s, "node"), MAX_TEXT);
        if (*report_str(s, "application")) {
            buf_str(b, " <span class=\"soft\">");
            report_text(b, report_str(s, "application"), MAX_NAME);
            buf_str(b, "</span>");
        }
        buf_str(b, "</span></li>\n");
    }
    buf_str(b, "</ol>\n");
    more(b, json_array_size(list), n);
}

// ---- missing, awaited, next ----
// What a message says beyond the name that stands above it.
static const char *without_name(const char *message, const char *name)
{
    size_t n = strlen(name);
    return n && str_starts(message, name) && str_starts(message + n, ": ") ? message + n + 2
                                                                           : message;
}

static void note(struct buf *b, const json_t *v)
{
    const char *object = report_str(v, "object");
    const char *app = report_str(v, "application");
    const char *message = report_str(v, "message");
    if (json_is_string(v))
        message = json_string_value(v);
    else if (!*message)
        message = awaited_text(report_str(v, "kind"));
    buf_str(b, "<li>");
    if (*object) {
        buf_str(b, "<b>");
        report_text(b, object, MAX_NAME);
        buf_str(b, "</b>");
    }
    if (*app) {
        buf_printf(b, "%s<span class=\"soft\">", *object ? " of " : "");
        report_text(b, app, MAX_NAME);
        buf_str(b, "</span>");
    }
    buf_str(b, *object || *app ? "<div>" : "");
    report_text(b, without_name(message, *object ? object : app), MAX_TEXT);
    buf_str(b, *object || *app ? "</div></li>\n" : "</li>\n");
}

static void notes(struct buf *b, const json_t *list, const char *title)
{
    size_t n = shown_of(list, MAX_LINES);
    if (!n)
        return;
    buf_printf(b, "<h2>%s</h2>\n<ul>\n", title);
    for (size_t i = 0; i < n; i++)
        note(b, json_array_get(list, i));
    buf_str(b, "</ul>\n");
    more(b, json_array_size(list), n);
}

static void steps(struct buf *b, const json_t *list)
{
    size_t n = shown_of(list, MAX_LINES);
    if (!n)
        return;
    buf_str(b, "<h2>What to do next</h2>\n<ol>\n");
    for (size_t i = 0; i < n; i++) {
        const json_t *s = json_array_get(list, i);
        const char *command = report_str(s, "command");
        buf_str(b, "<li>");
        report_text(b, json_is_string(s) ? json_string_value(s) : report_str(s, "text"), MAX_TEXT);
        if (*command) {
            buf_str(b, "<code class=\"run\">");
            report_text(b, command, MAX_COMMAND);
            buf_str(b, "</code>");
        }
        buf_str(b, "</li>\n");
    }
    buf_str(b, "</ol>\n");
}

void report_notes(struct buf *b, const json_t *report)
{
    notes(b, json_object_get(report, "missing"), "What did not come back, or not as it was");
    notes(b, json_object_get(report, "awaited"), "What is for others to do");
    steps(b, json_object_get(report, "next_steps"));
}

// ---- of a drill ----
static void value(struct buf *b, const json_t *v)
{
    if (!v) {
        buf_str(b, "<td class=\"soft\">absent</td>");
        return;
    }
    char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
    buf_str(b, "<td><code>");
    report_text(b, text ? text : "", MAX_VALUE);
    buf_str(b, "</code></td>");
    free(text);
}

static void difference(struct buf *b, const json_t *d)
{
    const json_t *changes = json_object_get(d, "changes");
    size_t n = shown_of(changes, MAX_CHANGES);
    buf_str(b, "<details><summary>");
    report_text(b, report_str(d, "object"), MAX_NAME);
    buf_str(b, " ");
    report_text(b, report_str(d, "kind"), MAX_NAME);
    if (*report_str(d, "against")) {
        buf_str(b, ", against ");
        report_text(b, report_str(d, "against"), MAX_NAME);
    }
    buf_str(b, "</summary>\n");
    if (n)
        buf_str(b, "<div class=\"scroll\"><table><thead><tr><th>field</th><th>expected</th>"
                   "<th>found</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < n; i++) {
        const json_t *c = json_array_get(changes, i);
        buf_str(b, "<tr>");
        cell(b, "", report_str(c, "pointer"), MAX_VALUE);
        value(b, json_object_get(c, "expected"));
        value(b, json_object_get(c, "found"));
        buf_str(b, "</tr>\n");
    }
    if (n)
        buf_str(b, "</tbody></table></div>");
    more(b, json_array_size(changes), n);
    buf_str(b, "</details>\n");
}

static void differences(struct buf *b, const json_t *list)
{
    size_t n = shown_of(list, MAX_LINES);
    if (!n)
        return;
    buf_printf(b, "<h2>What differs</h2>\n<p class=\"soft\">%zu object%s</p>\n",
               json_array_size(list), json_array_size(list) == 1 ? "" : "s");
    for (size_t i = 0; i < n; i++)
        difference(b, json_array_get(list, i));
    more(b, json_array_size(list), n);
}

static bool has_passed(const json_t *drill)
{
    return !strcmp(report_str(drill, "verdict"), "drilled");
}

// RTO of one drill after the other, oldest first.
static void trend(struct buf *b, const json_t *list, size_t first)
{
    enum { W = 460, H = 70, X = 10, Y = 14 };
    size_t n = json_array_size(list) - first;
    long long most = 1;
    for (size_t i = 0; i < n; i++) {
        long long ms = report_ms(json_array_get(list, first + i), "rto_ms");
        most = ms > most ? ms : most;
    }
    if (n < 2)
        return;
    CLEANUP(str_freep) char *top = report_duration(most);
    struct buf run CLEANUP(buf_clear) = {0};
    struct buf dots CLEANUP(buf_clear) = {0};
    for (size_t i = 0; i < n; i++) {
        const json_t *d = json_array_get(list, first + i);
        long long ms = report_ms(d, "rto_ms");
        long long x = X + (long long)(i * W / (n - 1));
        long long y = Y + H - (ms > 0 ? ms * H / most : 0);
        if (ms >= 0)
            buf_printf(&run, "%s%lld %lld", run.len ? "L" : "M", x, y);
        buf_printf(&dots, "<circle class=\"%s\" cx=\"%lld\" cy=\"%lld\" r=\"4\"/>",
                   has_passed(d) ? "good" : "bad", x, y);
    }
    buf_printf(b,
               "<svg class=\"trend\" viewBox=\"0 0 480 92\" role=\"img\" "
               "aria-label=\"RTO of the last %zu drills, at most %s\">"
               "<path class=\"grid\" d=\"M0 %dH480M0 %dH480\"/>"
               "<text x=\"480\" y=\"10\" text-anchor=\"end\">%s</text>"
               "<path class=\"run\" d=\"%s\"/>%s</svg>\n",
               n, top, Y, Y + H, top, run.p ? run.p : "", dots.p);
}

static void history(struct buf *b, const json_t *list)
{
    size_t n = json_array_size(list);
    size_t first = n > MAX_HISTORY ? n - MAX_HISTORY : 0;
    if (!n)
        return;
    buf_str(b, "<h2>Drills before</h2>\n");
    trend(b, list, first);
    buf_str(b, "<div class=\"scroll\"><table><thead><tr><th>when</th><th class=\"n\">snapshot</th>"
               "<th>verdict</th><th class=\"n\">RTO</th><th class=\"n\">RPO</th>"
               "<th class=\"n\">findings</th></tr></thead><tbody>\n");
    for (size_t i = n; i-- > first;) { // newest first
        const json_t *d = json_array_get(list, i);
        const json_t *found = json_object_get(d, "findings");
        long long rpo = report_ms(d, "rpo_seconds");
        long long findings =
            json_is_array(found) ? (long long)json_array_size(found) : report_ms(d, "findings");
        CLEANUP(str_freep) char *seq = str_printf("%lld", report_ms(d, "snapshot"));
        CLEANUP(str_freep) char *age = rpo >= 0 ? report_age(rpo) : str_dup("");
        CLEANUP(str_freep) char *count = str_printf("%lld", findings > 0 ? findings : 0);
        buf_str(b, "<tr>");
        buf_str(b, "<td>");
        report_time(b, report_str(d, "time"));
        buf_str(b, "</td>");
        cell(b, "n", seq, MAX_NAME);
        cell(b, has_passed(d) ? "good" : "bad", report_str(d, "verdict"), MAX_NAME);
        duration_cell(b, report_ms(d, "rto_ms"));
        cell(b, "n", age, MAX_NAME);
        cell(b, "n", count, MAX_NAME);
        buf_str(b, "</tr>\n");
    }
    buf_str(b, "</tbody></table></div>\n");
    more(b, n, n - first);
}

void report_drill(struct buf *b, const json_t *report)
{
    notes(b, json_object_get(report, "findings"), "What the drill found");
    differences(b, json_object_get(report, "differences"));
    notes(b, json_object_get(json_object_get(report, "controlPlane"), "notShown"),
          "What it cannot show, for no container runs in its control plane");
    history(b, json_object_get(report, "history"));
}

// ---- the picture in words ----
static void app_row(struct buf *b, const json_t *a)
{
    const char *state = report_str(a, "state");
    const char *why = report_str(a, "problem");
    why = *why ? why : report_str(a, "waits_for");
    why = *why ? why : report_str(a, "waited_for");
    buf_str(b, "<tr>");
    cell(b, "", report_str(a, "name"), MAX_NAME);
    cell(b, !strcmp(state, "failed") ? "bad" : "", state, MAX_NAME);
    duration_cell(b, report_ms(a, "from_ms"));
    duration_cell(b, report_ms(a, "ms"));
    cell(b, "", why, MAX_NAME);
    buf_str(b, "</tr>\n");
}

void report_table(struct buf *b, const json_t *report)
{
    const json_t *phases = json_object_get(report, "phases");
    const json_t *apps = json_object_get(report, "applications");
    size_t n_phases = shown_of(phases, MAX_LINES);
    size_t n = shown_of(apps, MAX_TABLE);
    if (!n && !n_phases)
        return;
    buf_str(b, "<details><summary>The same as a table</summary>\n<div class=\"scroll\">"
               "<table><thead><tr><th>phase</th><th class=\"n\">begins at</th>"
               "<th class=\"n\">takes</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < n_phases; i++) {
        const json_t *p = json_array_get(phases, i);
        buf_str(b, "<tr>");
        cell(b, "", report_str(p, "name"), MAX_NAME);
        duration_cell(b, report_ms(p, "from_ms"));
        duration_cell(b, report_ms(p, "ms"));
        buf_str(b, "</tr>\n");
    }
    buf_str(b, "</tbody></table>\n<table><thead><tr><th>application</th><th>state</th>"
               "<th class=\"n\">begins at</th><th class=\"n\">takes</th>"
               "<th>waited for</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < n; i++)
        app_row(b, json_array_get(apps, i));
    buf_str(b, "</tbody></table></div>\n");
    more(b, json_array_size(apps), n);
    buf_str(b, "</details>\n");
}
