// SPDX-License-Identifier: Apache-2.0
//
// How a run ended, for people and for programs: what bootstrap and restore share.
#ifndef CLI_OUTCOME_H
#define CLI_OUTCOME_H

#include "cli/cli.h"

struct outcome {
    struct cli *c;
    const struct run *r;
    struct run_summary sum;
    int code;
    void (*below)(const void *ctx); // prints what stands right below the verdict, or NULL
    const void *below_ctx;
    const struct session *s; // who goes on afterwards is said of it; NULL: it is not
    bool is_alone; // Git cannot be counted on: commands that read the root are not recommended
    // Private to outcome.c:
    int name_width;      // of the applications that are listed
    const char *first;   // application with a problem
    char *next;          // what to do about it
    size_t listed, more; // applications with problems
};

void outcome_of(struct outcome *x, struct cli *c, const struct run *r);
// What runs of the same command did before this one belongs to it: `before` is the sum of theirs,
// but for ms, which is the time until this one began.
void outcome_sum(struct run_summary *sum, const struct run_summary *of);
void outcome_count(struct outcome *x, const struct run_summary *before);
// Verdict, warnings, and the critical path or what is wrong.
void outcome_print(struct outcome *x);
// exitCode, ms, timedOut, then, applications, objects, criticalPath, problems, warnings.
void outcome_add(const struct outcome *x, json_t *out);
// Where all ended well, the cluster is told at which revisions (gitops/healthy.h). That it cannot
// be is a warning.
void outcome_note_healthy(const struct outcome *x, const struct session *s);
// A run that was interrupted, or ended as a whole: how far it came, and that nothing is lost.
void outcome_explain(const struct run *r, struct err *err);

// ---- chain_look.c ----
// Where a repository is configured (--repo, or --snapshot-to), with its pin or key: a cluster that
// was grown before is not to be written to while the newest snapshot is of another one, which has
// taken its place (CONFLICT). A repository that cannot be read is a warning.
MUST_CHECK bool chain_look(struct cli *c, const struct session *s, struct err *err);

#endif
