// SPDX-License-Identifier: Apache-2.0
//
// What applications yielded when they were read, kept from one load to the next, with all that it
// was made of: the Application document, what was looked at in which tree, charts, what charts were
// told of the served APIs, the scopes of kinds. Where all of that is as it was, an application
// yields the same, and nothing is read, rendered or parsed. Projects are asked again, and so is
// everything that depends on what other applications yield: a load with a memo differs from one
// without in nothing but what it costs. Private to source.
//
// Life: memo_find while an application is prepared; memo_fits when its turn to be collected has
// come; memo_keep for what was read; memo_sweep after the load. An application may have yielded
// several things: charts are told otherwise in another round of one load.
#ifndef SOURCE_MEMO_H
#define SOURCE_MEMO_H

#include "source/collect.h"
#include "source/witness.h"

struct memo;
struct yielded;

struct memo *memo_new(void);
void memo_free(struct memo *m);
// Before a load: what charts are told of the cluster's version is in all they render.
void memo_begin(struct memo *m, const char *kube_version);

// What the application yielded, its sources being those that are prepared. NULL: it is to be read,
// or has to wait for what its ApplicationSets ask. *has_tool: it is rendered by a program.
struct yielded *memo_find(struct loading *l, struct app_jobs *j, bool *has_tool);
// The same, of those alone whose charts would be told the same now: what was just found, or
// another.
struct yielded *memo_told(struct loading *l, struct app_jobs *j, struct yielded *found);
// Are its objects of the scopes they were of? Its definitions are added to those that are known.
bool memo_fits(struct loading *l, struct yielded *y);
// Is that so, too, once all kinds are known (kinds_sum), and nothing has to be changed for it? It
// was found out if all of its objects, so many, were looked at, and holds as long as that sum.
bool memo_is_settled(const struct yielded *y, uint64_t sum);
void memo_settled(struct yielded *y, uint64_t sum, size_t n_seen);
void memo_note_crds(struct loading *l, const struct yielded *y); // of its plain directories
void memo_tell(struct loading *l, const struct yielded *y);      // what its charts were told
// Fills a yield of the application that has nothing yet.
void memo_yield(const struct yielded *known, struct yield *y);
// What was read and has not been settled yet.
void memo_keep(struct yield *y, struct app_jobs *j);
// The Namespace that was made for it, as its Application stands at `where`; false: none was.
void memo_keep_made(struct yielded *kept, struct object *o);
bool memo_made(const struct yielded *known, const struct origin *where, struct object *out);
// Lets go of what the load did not use; an application that is unknown now keeps its own.
void memo_sweep(struct memo *m, const struct desired *d, unsigned load);
struct sha256 list_hash(const struct strv *list);
size_t memo_count(const struct memo *m);

// ---- again.c ----
void source_compare(const struct desired *previous, const struct desired *d,
                    struct source_changes *out);

#endif
