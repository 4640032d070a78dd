// SPDX-License-Identifier: Apache-2.0
//
// Private to the report: text that is safe in HTML, numbers that are safe to draw.
#ifndef RESTORE_REPORT_INT_H
#define RESTORE_REPORT_INT_H

#include "gitops/gitops.h"
#include "restore/report.h"

#define REPORT_MAX_MS (1000LL * 3600 * 24 * 365) // a longer time is no time

// ---- report_text.c ----
// Escaped for HTML and SVG, within quotes too; at most `max` characters, then an ellipsis. What is
// no UTF-8, or would be obeyed and not shown, becomes U+FFFD.
void report_text(struct buf *b, const char *s, size_t max);
// The string at a dotted path, "" when there is none.
const char *report_str(const json_t *v, const char *dotted);
// The number at a dotted path, bounded to 0 and REPORT_MAX_MS; -1 when there is none.
long long report_ms(const json_t *v, const char *dotted);
size_t report_length(const char *s); // characters
// "0.4 s", "12 s", "5 min 03 s", "1 h 02 min"; owned.
char *report_duration(long long ms);
// "45 s", "12 min", "5 h", "3 d"; owned.
char *report_age(long long seconds);
void report_time(struct buf *b, const char *rfc3339); // "2026-11-23 02:00 UTC"

// ---- report_svg.c ----
enum report_shape { SHAPE_WIDE, SHAPE_NARROW, SHAPE_ALONE };
// The time line; nothing when the report has no phase and no application. nth: of the page, from 1.
void report_picture(struct buf *b, const json_t *report, enum report_shape shape, unsigned nth);
extern const char regrow_report_svg_css[], regrow_report_svg_css_end[];

// ---- report.c ----
bool report_is_good(const json_t *report);
const char *report_verdict(const json_t *report);
// All of a page below its heading.
void report_body(struct buf *b, const json_t *report, unsigned nth);

// ---- report_fleet.c ----
// Several clusters, each with a document of its own: what is said of all, then each.
bool report_is_fleet(const json_t *report);
void report_fleet(struct buf *b, const json_t *report);

// ---- report_parts.c ----
// Sections of the page, each nothing when the report has nothing of it.
void report_path(struct buf *b, const json_t *report);
void report_notes(struct buf *b, const json_t *report); // missing, awaited, next steps
void report_drill(struct buf *b, const json_t *report); // findings, differences, limits, history
void report_table(struct buf *b, const json_t *report); // the picture in words

#endif
