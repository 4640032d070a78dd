// SPDX-License-Identifier: Apache-2.0
//
// Private to gitops: what the files of ApplicationSets share. A parameter set is a JSON object;
// its values are text, but for elementsYaml, which may bring anything; with goTemplate it is a tree
// of anything. TEMPLATE_KEY holds the generator's own template.
//
//   appset.c           generators to parameter sets
//   appset_git.c       the git generator
//   appset_params.c    values as Go prints them, flattening, {{key}} in texts and trees
//   appset_go.c        Go templates, gathered and filled
//   appset_template.c  parameter sets to Applications, templatePatch
#ifndef GITOPS_APPSET_INT_H
#define GITOPS_APPSET_INT_H

#include "gitops/appset.h"
#include "gitops/gotext.h"

#define TEMPLATE_KEY "\x01template"

struct set_reader {
    const char *name; // of the ApplicationSet
    const struct appset_io *io;
    struct strv *warnings;
    bool is_go; // goTemplate
    enum go_missing missing;
};

bool appset_refuse(const struct set_reader *r, const char *what, struct err *err);
// Something failed because it has not come yet: it is asked for what comes after it all the same,
// and *all is false; set_waits ends the set then. False: it is wrong.
bool set_goes_on(const struct set_reader *r, bool *all, struct err *err);
bool set_waits(struct err *err);
// Appends a set (taken); INVALID when there are too many.
bool sets_push(const struct set_reader *r, json_t *sets, json_t *set, struct err *err);
// Appends the parameter sets of one entry of spec.generators.
bool generate(struct set_reader *r, const json_t *g, json_t *sets, struct err *err);
bool gen_git(struct set_reader *r, const json_t *g, json_t *sets, struct err *err);

// A value as Go's %v prints it: 3, 1e+07, true, <nil>, [a b], map[k:v]. Owned.
char *value_text(const json_t *v);
// Leaves of a tree under dotted keys, as text.
void flatten_into(json_t *set, const char *prefix, const json_t *v);
// A generator's "values": each is filled with the set as it was before, so that none of them can
// use another.
void add_values(json_t *set, const json_t *values);
// Replaces {{ key }} by the set's value; keys that are unknown or no text stay as they are. Owned.
char *params_fill(const char *text, const json_t *set);
// The same over every string of a tree, map keys included. Owned.
json_t *template_fill(const json_t *tpl, const json_t *set);
// Lower case, [-a-z0-9.] only, at most 253, no '-' or '.' at the ends. Owned.
char *name_normalize(const char *s);

// ---- appset_go.c ----
MUST_CHECK bool go_options(struct set_reader *r, const json_t *spec, struct err *err);
// Begin with go_params for each set, ask for texts with it, run once, take the answers by the
// number of the set. A place is told with errors.
struct go_filler;
struct go_filler *go_filler_new(const struct set_reader *r);
void go_filler_free(struct go_filler *f);
void go_filler_freep(struct go_filler **f);
void go_params(struct go_filler *f, const json_t *params);
MUST_CHECK bool go_ask(struct go_filler *f, const char *where, const char *text, struct err *err);
MUST_CHECK bool go_ask_tree(struct go_filler *f, const char *where, const json_t *v,
                            struct err *err);
MUST_CHECK bool go_run(struct go_filler *f, struct err *err);
const char *go_text(const struct go_filler *f, size_t set, const char *text); // borrowed
json_t *go_tree(const struct go_filler *f, size_t set, const json_t *v);      // owned
// A generator's "values" for the sets from `first` on.
MUST_CHECK bool go_values(const struct set_reader *r, const char *kind, const json_t *values,
                          json_t *sets, size_t first, struct err *err);
// A matrix's second generator with each set of the first: as many generators.
MUST_CHECK bool go_second(const struct set_reader *r, const json_t *g, const json_t *first,
                          json_t *out, struct err *err);

#endif
