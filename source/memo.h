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
// Of an application of one Git source, now in this tree, and of no program that was told anything:
// does it yield this as before? False: it is to be asked in the other way.
bool memo_is_unchanged(struct loading *l, const struct application *a, struct yielded *y,
                       struct tree *t);
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
void memo_keep_made_of(struct yielded *kept, struct yielded *had);
bool memo_made(const struct yielded *known, const struct origin *where, struct object *out);
// Lets go of what this load did not use, nor the last one that went well; an application that is
// unknown now keeps its own. d NULL: this load did not go well.
void memo_sweep(struct memo *m, const struct desired *d, unsigned good, unsigned load);
struct sha256 list_hash(const struct strv *list);
size_t memo_count(const struct memo *m);

// ---- memo_base.c: the last state that was read to its end, application by application ----
void memo_base_begin(struct memo *m); // another is read: there is none until it has ended
void memo_base_take(struct memo *m, unsigned app, struct yielded *y); // NULL: it is not kept
void memo_base_creds(struct memo *m, unsigned app); // it has credentials or clusters for others
void memo_base_kinds(struct memo *m, unsigned app); // it has a definition
// kinds: the sum of all that was known before it; clusters: those that it went by.
void memo_base_end(struct memo *m, const struct desired *d, uint64_t kinds, json_t *clusters);
// Is it this one, and can it be amended? What its applications yielded is kept, and none of them
// had to leave to another what that would leave to it again.
bool memo_base_is(const struct memo *m, const struct desired *d, uint64_t kinds);
bool memo_base_same_clusters(const struct memo *m, const json_t *clusters);
struct yielded *memo_base_of(const struct memo *m, size_t app); // NULL: it was not read
const unsigned *memo_base_with_creds(const struct memo *m, size_t *n);
// Objects and nothing else: no application, project, definition or setting.
bool memo_is_plain(const struct yielded *y);
// Do they yield the same, and from the same places? Then what was made of one is good for the
// other.
bool memo_same_yield(const struct yielded *a, const struct yielded *b);
bool memo_has_definitions(const struct yielded *y);
const struct strv *memo_warnings(const struct yielded *y);

// ---- amend.c ----
// *d, the last state, becomes the new one in place, if all that changed are objects that only their
// own applications have a say in; *is_amended: it did, else nothing of it is another. False: the
// loop is to stop.
MUST_CHECK bool source_amend(struct source *s, struct desired *d, struct source_changes *changes,
                             bool *is_amended, struct err *err);

// ---- again.c ----
void source_note_change(struct source_changes *c, const struct application *a,
                        enum source_change_kind kind);
bool source_same_object(const struct object *a, const struct object *b);

#endif
