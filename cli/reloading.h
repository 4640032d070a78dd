// SPDX-License-Identifier: Apache-2.0
//
// A controller's configuration as it is now: read again at SIGHUP and when a file of it has
// changed. What may change while it runs does, what may not is named, and what is wrong changes
// nothing.
//
// Life: reloading_hold at the very beginning, reloading_new before the controller (v->controller is
// there when the loop runs), reloading_free after it: it lends what sources are read with.
#ifndef CLI_RELOADING_H
#define CLI_RELOADING_H

#include "cli/serving.h"

void reloading_hold(void); // SIGHUP no longer ends the process

struct reloading;
// All is lent for its life. v->own is where events go when the log's format changes.
struct reloading *reloading_new(struct cli *c, struct session *s, struct serving *v,
                                const struct event_sink *as_text, const struct event_sink *as_json);
void reloading_free(struct reloading *r);
CLEANUP_FN(struct reloading, reloading_free, reloading_freep);

// Which options differ between two of the same command, by their table: those that may change while
// it runs, and those that take a restart. Added to the lists.
void reloading_compare(const struct command *cmd, const struct options *before,
                       const struct options *now, struct strv *live, struct strv *restart);

#endif
