// SPDX-License-Identifier: Apache-2.0
//
// jq expressions over documents, by the jq library: which places of a document one names, as
// del(EXPR) would take them out. The library cannot be interrupted, so it runs in a process of its
// own (base/worker.h) with no environment and no files, a second for each expression, and bounds on
// memory and answer. One that ran out of time three times is not run any more.
#ifndef GITOPS_JQFILTER_H
#define GITOPS_JQFILTER_H

#include <jansson.h>

#include "base/err.h"

#define JQ_MAX_PATHS 20000 // that one expression may name in a document
#define JQ_MAX_TEXT 10000  // of an expression

struct jq_filters;
struct jq_filters *jq_filters_new(void); // no process yet
void jq_filters_free(struct jq_filters *f);
CLEANUP_FN(struct jq_filters, jq_filters_free, jq_filters_freep);

// An array of paths, each an array of keys, indices (negative: from the end) and slices
// {"start", "end"}; owned. INVALID: it is no expression, or not of places, or names too many;
// TIMEOUT; NOT_FOUND: it cannot be followed in this document, as when it goes through something
// that is not there, and del(EXPR) would be an error.
MUST_CHECK bool jq_filter_paths(struct jq_filters *f, const char *expr, const json_t *doc,
                                json_t **out, struct err *err);
// Can it be read at all? INVALID says why not. Asked once for each text.
MUST_CHECK bool jq_filter_check(struct jq_filters *f, const char *expr, struct err *err);

#endif
