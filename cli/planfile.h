// SPDX-License-Identifier: Apache-2.0
//
// Private to cli: a plan as a file (docs/plan-files.md), written by plan --out and carried out by
// bootstrap --plan.
#ifndef CLI_PLANFILE_H
#define CLI_PLANFILE_H

#include "cli/planning.h"

// Writes what is planned to c->o.plan_out, whole or not at all. *sum is what names it; owned.
MUST_CHECK bool planfile_save(const struct planning *p, char **sum, struct err *err);

// A plan that is to be carried out.
struct planfile {
    json_t *doc;  // NULL: none is given
    json_t *seen; // what would be done, as it was found before anything was written
    struct source_revisions fixed;
};
// Reads c->o.plan_file, if there is one: its root, cluster, options and revisions become those of
// `c`, which lends them. USAGE: the command line says something else.
MUST_CHECK bool planfile_open(struct cli *c, struct planfile *out, struct err *err);
// Is what would be done now what was planned? Before anything is written, by a run of its own.
// CONFLICT, after what has changed was told.
MUST_CHECK bool planfile_check(struct cli *c, struct session *s, struct planfile *f,
                               struct err *err);
// The same of the run that will do it, which holds the Lease.
MUST_CHECK bool planfile_check_run(struct cli *c, struct session *s, const struct planfile *f,
                                   struct run *r, struct err *err);
void planfile_clear(struct planfile *f);

// What both sides put together. Owned.
json_t *planfile_doc(const struct cli *c, const struct session *s, const struct run *r);

#endif
