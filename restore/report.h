// SPDX-License-Identifier: Apache-2.0
//
// The report of a restore, of several clusters at once, or of a drill for people: one HTML file
// that needs nothing else and loads nothing, with a picture of the time line; or the picture alone.
// Pure: out of the document that restore and drill print (docs/output.md). Every member may be
// missing, of another type, or hostile: names come from clusters and repositories of others. What
// is long is cut, so that a thousand applications make a file that a browser opens at once.
#ifndef RESTORE_REPORT_H
#define RESTORE_REPORT_H

#include <jansson.h>

#include "base/err.h"
#include "base/str.h"

// Appended. INVALID when the report is no object.
MUST_CHECK bool report_html(const json_t *report, struct buf *out, struct err *err);
// The time line as an SVG file of its own.
MUST_CHECK bool report_svg(const json_t *report, struct buf *out, struct err *err);
// By the extension of path: .html, .svg or .json; durable, readable by its owner and group. USAGE
// for any other. report_check finds that before anything is done, and a folder that is not there.
MUST_CHECK bool report_write(const json_t *report, const char *path, struct err *err);
MUST_CHECK bool report_check(const char *path, struct err *err);

#endif
