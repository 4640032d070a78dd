// SPDX-License-Identifier: Apache-2.0
//
// The report of several clusters that were restored at once: a table of all, then the report of
// each.
#include <string.h>

#include "restore/report_int.h"

#define MAX_NAME 120
#define MAX_TEXT 300
#define MAX_TABLE 1000
#define MAX_BYTES (8U << 20) // then those that follow stand in the table alone

bool report_is_fleet(const json_t *report)
{
    return !strcmp(report_str(report, "kind"), "restore-fleet");
}

static bool is_good(const json_t *member)
{
    return json_dot_bool(member, "begun", false) && !json_dot_int(member, "exitCode", 0);
}

static const json_t *document_of(const json_t *member)
{
    const json_t *doc = json_object_get(member, "document");
    return json_is_object(doc) ? doc : NULL;
}

static const char *verdict_of(const json_t *member)
{
    if (!json_dot_bool(member, "begun", false))
        return "Not begun";
    if (*report_str(member, "problem"))
        return report_str(member, "problem");
    return document_of(member) ? report_verdict(document_of(member)) : "It said nothing";
}

// ---- all of them ----
static void cell(struct buf *b, const char *text)
{
    buf_str(b, "<td class=\"n\">");
    report_text(b, text, MAX_NAME);
    buf_str(b, "</td>");
}

static void row(struct buf *b, const json_t *member)
{
    const json_t *doc = document_of(member);
    long long healthy = report_ms(doc, "result.applications.healthy");
    long long ms = report_ms(member, "ms");
    long long rpo = report_ms(doc, "rpo_seconds");
    CLEANUP(str_freep)
    char *apps = healthy >= 0 ? str_printf("%lld of %lld", healthy,
                                           report_ms(doc, "result.applications.total"))
                              : str_dup("");
    CLEANUP(str_freep) char *took = ms > 0 ? report_duration(ms) : str_dup("");
    CLEANUP(str_freep) char *age = rpo >= 0 ? report_age(rpo) : str_dup("");
    buf_str(b, "<tr><td>");
    report_text(b, report_str(member, "cluster"), MAX_NAME);
    buf_printf(b, "</td><td class=\"%s\">", is_good(member) ? "good" : "bad");
    report_text(b, verdict_of(member), MAX_TEXT);
    buf_str(b, "</td>");
    cell(b, apps);
    cell(b, took);
    cell(b, age);
    buf_str(b, "</tr>\n");
}

static void table(struct buf *b, const json_t *list)
{
    size_t i;
    json_t *member;
    buf_str(b, "<div class=\"scroll\"><table><thead><tr><th>cluster</th><th>outcome</th>"
               "<th class=\"n\">healthy</th><th class=\"n\">takes</th><th class=\"n\">RPO</th>"
               "</tr></thead><tbody>\n");
    json_array_foreach(list, i, member)
    {
        if (i == MAX_TABLE)
            break;
        row(b, member);
    }
    buf_str(b, "</tbody></table></div>\n");
    if (json_array_size(list) > MAX_TABLE)
        buf_printf(b, "<p class=\"soft\">and %zu more</p>\n", json_array_size(list) - MAX_TABLE);
}

static void about(struct buf *b, const json_t *report)
{
    size_t good = 0;
    size_t i;
    json_t *member;
    const json_t *list = json_object_get(report, "clusters");
    json_array_foreach(list, i, member) good += is_good(member);
    bool all = good == json_array_size(list);
    CLEANUP(str_freep) char *took = report_duration(report_ms(report, "ms"));
    buf_printf(b, "<p class=\"verdict %s\">%s %zu of %zu as they should be</p>\n<p class=\"soft\">",
               all ? "good" : "bad", all ? "✓" : "✗", good, json_array_size(list));
    buf_printf(b, "In %s, at most %lld at a time, begun ", took, report_ms(report, "parallel"));
    report_time(b, report_str(report, "began"));
    buf_str(b, "</p>\n");
}

// ---- each ----
static void part(struct buf *b, const json_t *member, unsigned nth)
{
    buf_str(b, "<section>\n<h1>Cluster ");
    report_text(b, report_str(member, "cluster"), MAX_NAME);
    buf_str(b, "</h1>\n");
    if (document_of(member)) {
        report_body(b, document_of(member), nth);
    } else {
        buf_str(b, "<p class=\"verdict bad\">✗ ");
        report_text(b, verdict_of(member), MAX_TEXT);
        buf_str(b, "</p>\n");
    }
    buf_str(b, "</section>\n");
}

void report_fleet(struct buf *b, const json_t *report)
{
    size_t i;
    json_t *member;
    const json_t *list = json_object_get(report, "clusters");
    about(b, report);
    table(b, list);
    json_array_foreach(list, i, member)
    {
        if (b->len > MAX_BYTES)
            break;
        part(b, member, (unsigned)i + 1);
    }
    if (i < json_array_size(list))
        buf_printf(b, "<p class=\"soft\">%zu more have reports of their own</p>\n",
                   json_array_size(list) - i);
}
