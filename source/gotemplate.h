// SPDX-License-Identifier: Apache-2.0
//
// Go templates of ApplicationSets, rendered by the program that charts are rendered by: helm's
// engine is Go's with the functions Argo CD has, and it is bounded like every child. A batch is
// what a set asks for at once; all batches that are asked for at the same time go into one
// throw-away chart, in which each text is a file of its own, so that none can end inside another,
// and parameters are data. What came is kept in the cache by its content: it depends on nothing
// else.
//
// Life: gotemplates_new with the source; gotemplates_render whenever a set is expanded, which may
// have to wait; gotemplates_renew between two loads; gotemplates_free. Private to source.
#ifndef SOURCE_GOTEMPLATE_H
#define SOURCE_GOTEMPLATE_H

#include "gitops/gitops.h"
#include "source/context.h"

struct gotemplates *gotemplates_new(struct source_ctx *c);
void gotemplates_free(struct gotemplates *g);
void gotemplates_renew(struct gotemplates *g); // lets go of what is not being rendered

// As go_render of struct appset_io.
MUST_CHECK bool gotemplates_render(struct gotemplates *g, const struct go_batch *b, json_t **out,
                                   size_t *bad, struct err *err);

// What helm said, as the words that a person needs; owned. And which text it is about, or which
// driver and what line of it: -1 where it does not say.
struct go_place {
    long text, driver, line;
};
char *gotemplate_error(const char *said, struct go_place *at);

#endif
