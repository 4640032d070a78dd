// SPDX-License-Identifier: Apache-2.0
//
// Private to gitops: what generators (appset.c) and templates (appset_template.c) share. A
// parameter set is a flat JSON object of strings; TEMPLATE_KEY holds a generator's own template.
#ifndef GITOPS_APPSET_INT_H
#define GITOPS_APPSET_INT_H

#include "gitops/appset.h"

#define TEMPLATE_KEY "\x01template"

struct set_reader {
    const char *name; // of the ApplicationSet
    const struct appset_io *io;
};

// Appends the parameter sets of one generator.
bool generate(struct set_reader *r, const json_t *g, json_t *sets, unsigned depth, struct err *err);
// Replaces {{ key }} by the set's value; unknown keys stay as they are. Owned.
char *params_fill(const char *text, const json_t *set);
// The same over every string of a tree, map keys included. Owned.
json_t *template_fill(const json_t *tpl, const json_t *set);
// Lower case, [-a-z0-9.] only, at most 253, no '-' or '.' at the ends. Owned.
char *name_normalize(const char *s);

#endif
