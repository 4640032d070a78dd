// SPDX-License-Identifier: Apache-2.0
//
// Private to cli: what plan prints, gathered once. cmd_plan.c shows it as text, plan_doc.c as
// JSON, YAML and DOT.
#ifndef CLI_PLANNING_H
#define CLI_PLANNING_H

#include "cli/cli.h"

struct planning {
    struct cli *c;
    const struct session *s;
    const struct desired *d;
    const struct graph *g;
    struct run *run;    // with a cluster; else NULL
    bool *chosen;       // by --app: nodes of these applications, and what they depend on
    size_t *objects;    // real ones of each application
    size_t *crds;       // of these the definitions
    struct strv *waits; // of each application: what something of it waits for elsewhere
    struct strv chain;  // the longest one, first to last
    struct strv warnings;
    unsigned steps;  // real nodes on the deepest chain
    const char *sum; // of the plan file that was written, or NULL
};

void planning_fill(struct planning *p);
bool planning_shows(const struct planning *p, unsigned app); // is anything of it chosen?
void planning_clear(struct planning *p);
bool planning_has_changes(const struct planning *p);

void print_plan_doc(const struct planning *p);
void print_plan_dot(const struct planning *p);

#endif
