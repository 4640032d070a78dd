// SPDX-License-Identifier: Apache-2.0
#include "restore/report.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "restore/report_int.h"

#define MAX_NAME 120
#define MAX_TEXT 300

#define INCLUDE(symbol, file)                                                                      \
    __asm__(".pushsection .rodata\n"                                                               \
            ".global " #symbol "\n" #symbol ":\n"                                                  \
            ".incbin \"" file "\"\n"                                                               \
            ".global " #symbol "_end\n" #symbol "_end:\n"                                          \
            ".byte 0\n"                                                                            \
            ".popsection\n")
INCLUDE(regrow_report_css, "restore/report.css");
INCLUDE(regrow_report_svg_css, "restore/report_svg.css");
extern const char regrow_report_css[], regrow_report_css_end[];

static bool is_drill(const json_t *report)
{
    return !strcmp(report_str(report, "kind"), "drill");
}

bool report_is_good(const json_t *report)
{
    if (json_object_get(report, "error"))
        return false;
    if (*report_str(report, "verdict"))
        return !strcmp(report_str(report, "verdict"), "drilled");
    return !json_dot_int(report, "result.exitCode", 0);
}

const char *report_verdict(const json_t *report)
{
    bool good = report_is_good(report);
    if (json_object_get(report, "error"))
        return is_drill(report) ? "The drill broke off" : "The restore broke off";
    if (is_drill(report))
        return good ? "The drill passed" : "The drill did not pass";
    if (!json_object_get(report, "result"))
        return "Nothing was written";
    return good ? "Everything is back and healthy" : "Part of it is not as it was";
}

// ---- head ----
// As HTML.
static void title_of(struct buf *b, const json_t *report)
{
    if (report_is_fleet(report)) {
        buf_printf(b, "Restore of %zu clusters",
                   json_array_size(json_object_get(report, "clusters")));
        return;
    }
    buf_str(b, is_drill(report) ? "Drill of " : "Restore of ");
    report_text(b, report_str(report, "chain"), MAX_NAME);
}

// Nothing is loaded, nothing runs: only this very style is let in.
static void head(struct buf *b, const char *title)
{
    struct buf css CLEANUP(buf_clear) = {0};
    buf_append(&css, regrow_report_svg_css,
               (size_t)(regrow_report_svg_css_end - regrow_report_svg_css));
    buf_append(&css, regrow_report_css, (size_t)(regrow_report_css_end - regrow_report_css));
    struct sha256 hash = sha256_of(css.p, css.len);
    buf_str(b, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
               "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
               "style-src 'sha256-");
    buf_base64(b, hash.b, sizeof(hash.b));
    buf_printf(b,
               "'; base-uri 'none'; form-action 'none'\">\n"
               "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
               "<meta name=\"color-scheme\" content=\"light dark\">\n"
               "<meta name=\"referrer\" content=\"no-referrer\">\n<title>%s</title>\n"
               "<style>",
               title);
    buf_append(b, css.p, css.len);
    buf_str(b, "</style>\n</head>\n<body>\n");
}

// "Snapshot 118 of prod, taken 2026-11-23T02:00:00Z, into new (Kubernetes v1.37.2)". The control
// plane of a drill has a context of some name, which is nobody's cluster.
static void about(struct buf *b, const json_t *report)
{
    long long seq = report_ms(report, "snapshot.seq");
    bool is_own = json_is_true(json_object_get(json_object_get(report, "controlPlane"), "own"));
    const struct {
        const char *before, *at, *after;
        bool is_time;
    } parts[] = {{" of ", "chain", "", false},
                 {", taken ", "snapshot.taken", "", true},
                 {is_own ? ", into a control plane of its own" : ", into ",
                  is_own ? "" : "cluster.context", "", false},
                 {" (Kubernetes ", "cluster.version", ")", false},
                 {", begun ", "began", "", true}};
    buf_str(b, "<p class=\"soft\">Snapshot");
    if (seq >= 0)
        buf_printf(b, " %lld", seq);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        const char *s = report_str(report, parts[i].at);
        if (*parts[i].at && !*s)
            continue;
        buf_str(b, parts[i].before);
        if (parts[i].is_time)
            report_time(b, s);
        else
            report_text(b, s, MAX_NAME);
        buf_str(b, parts[i].after);
    }
    buf_str(b, "</p>\n");
}

static void figure(struct buf *b, const char *name, const char *value, const char *more)
{
    buf_printf(b, "<div><dt>%s</dt><dd>%s<small>%s</small></dd></div>\n", name, value, more);
}

// Of a drill only what passed: its findings may be of what belongs to no application.
static bool is_all_there(const json_t *report)
{
    if (is_drill(report) && !report_is_good(report))
        return false;
    return !json_object_get(report, "error") && report_ms(report, "result.applications.healthy") ==
                                                    report_ms(report, "result.applications.total");
}

static void figures(struct buf *b, const json_t *report)
{
    long long rto = report_ms(report, "rto_ms");
    long long rpo = report_ms(report, "rpo_seconds");
    long long commit = report_ms(report, "commit_age_seconds");
    long long apps = report_ms(report, "result.applications.total");
    long long written = report_ms(report, "result.objects.written");
    long long compared = report_ms(report, "compared");
    size_t differ = json_array_size(json_object_get(report, "differences"));
    CLEANUP(str_freep) char *took = report_duration(rto > 0 ? rto : 0);
    CLEANUP(str_freep) char *age = report_age(rpo > 0 ? rpo : 0);
    CLEANUP(str_freep) char *old = report_age(commit > 0 ? commit : 0);
    CLEANUP(str_freep)
    char *of_commit = commit >= 0 ? str_printf("its commit was %s old", old) : str_dup("");
    CLEANUP(str_freep)
    char *healthy =
        str_printf("%lld of %lld", report_ms(report, "result.applications.healthy"), apps);
    CLEANUP(str_freep) char *objects = str_printf("%lld", written);
    CLEANUP(str_freep) char *found = str_printf("%lld", compared);
    CLEANUP(str_freep)
    char *others = str_printf("written, %lld rejected, %lld as they were",
                              report_ms(report, "result.objects.rejected"),
                              report_ms(report, "result.objects.unchanged"));
    buf_str(b, "<dl class=\"sum\">\n");
    if (rto >= 0)
        figure(b, "RTO", took,
               is_all_there(report) ? "until all of it was there"
               : is_drill(report)   ? "until it ended"
                                    : "and not all of it was there");
    if (rpo >= 0)
        figure(b, "RPO", age, of_commit);
    if (apps >= 0)
        figure(b, "Applications", healthy, "healthy");
    if (written >= 0)
        figure(b, "Objects", objects, others);
    if (compared >= 0)
        figure(b, "Compared", found, differ ? "objects; what differs is below" : "none differs");
    buf_str(b, "</dl>\n");
}

static void error(struct buf *b, const json_t *report)
{
    if (!json_object_get(report, "error"))
        return;
    buf_str(b, "<p class=\"verdict bad\">");
    report_text(b, report_str(report, "error.message"), MAX_TEXT);
    buf_str(b, "</p>\n<p>");
    report_text(b, report_str(report, "error.hint"), MAX_TEXT);
    buf_str(b, "</p>\n");
}

static void picture(struct buf *b, const json_t *report, unsigned nth)
{
    struct buf wide CLEANUP(buf_clear) = {0};
    report_picture(&wide, report, SHAPE_WIDE, nth);
    if (!wide.len)
        return;
    buf_str(b, "<h2>Where the time went</h2>\n");
    buf_append(b, wide.p, wide.len);
    report_picture(b, report, SHAPE_NARROW, nth);
}

void report_body(struct buf *b, const json_t *report, unsigned nth)
{
    bool good = report_is_good(report);
    buf_printf(b, "<p class=\"verdict %s\">%s %s</p>\n", good ? "good" : "bad", good ? "✓" : "✗",
               report_verdict(report));
    about(b, report);
    error(b, report);
    figures(b, report);
    picture(b, report, nth);
    report_table(b, report);
    report_path(b, report);
    report_drill(b, report);
    report_notes(b, report);
}

bool report_html(const json_t *report, struct buf *out, struct err *err)
{
    if (!json_is_object(report))
        return err_set(err, ERR_INVALID, "the report is no JSON object");
    struct buf title CLEANUP(buf_clear) = {0};
    title_of(&title, report);
    head(out, title.p);
    buf_printf(out, "<main>\n<h1>%s</h1>\n", title.p);
    if (report_is_fleet(report))
        report_fleet(out, report);
    else
        report_body(out, report, 1);
    buf_str(out, "</main>\n<footer>Written by regrow. The JSON document of the same run has all of "
                 "it, and more.</footer>\n</body>\n</html>\n");
    return true;
}

bool report_svg(const json_t *report, struct buf *out, struct err *err)
{
    if (!json_is_object(report))
        return err_set(err, ERR_INVALID, "the report is no JSON object");
    size_t before = out->len;
    report_picture(out, report, SHAPE_ALONE, 1);
    return out->len > before || err_set(err, ERR_INVALID, "the report has no time line");
}

// ---- files ----
static bool as_json(const json_t *report, struct buf *out, struct err *err)
{
    char *text = json_dumps(report, JSON_INDENT(2));
    if (!text)
        return err_set(err, ERR_INTERNAL, "the report cannot be written as JSON");
    buf_str(out, text);
    buf_char(out, '\n');
    free(text);
    return true;
}

static const struct {
    const char *extension;
    bool (*make)(const json_t *report, struct buf *out, struct err *err);
} formats[] = {{".html", report_html}, {".svg", report_svg}, {".json", as_json}};

static bool check_name(const char *path, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(formats); i++)
        if (str_ends(path, formats[i].extension))
            return true;
    return err_set(err, ERR_USAGE,
                   "--report %.200s: a name that ends in .html, .json or .svg is "
                   "wanted",
                   path);
}

bool report_check(const char *path, struct err *err)
{
    const char *slash = strrchr(path, '/');
    CLEANUP(str_freep)
    char *dir = slash ? str_ndup(path, (size_t)(slash - path) + 1) : str_dup(".");
    if (!check_name(path, err))
        return false;
    if (file_is_dir(dir) && !access(dir, W_OK | X_OK))
        return true;
    return err_set(err, ERR_USAGE, "--report %.200s: its folder is not there, or not writable",
                   path);
}

bool report_write(const json_t *report, const char *path, struct err *err)
{
    struct buf b CLEANUP(buf_clear) = {0};
    if (!check_name(path, err))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(formats); i++)
        if (str_ends(path, formats[i].extension))
            return formats[i].make(report, &b, err) && file_replace(path, b.p, b.len, 0640, err);
    return true;
}
