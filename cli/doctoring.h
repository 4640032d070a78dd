// SPDX-License-Identifier: Apache-2.0
//
// Private to cli: what doctor looks at. Each check is a line that says how it is and, where
// something is wrong, what to do. Nothing is written but the store's probes, which go again.
//
//   cmd_doctor.c     this machine, the cluster, the sources, what is permitted
//   doctor_repo.c    the repository of snapshots, by a thread of its own
//   doctor_view.c    how it is shown
#ifndef CLI_DOCTORING_H
#define CLI_DOCTORING_H

#include <pthread.h>

#include "cli/cli.h"

enum check_state { CHECK_OK, CHECK_SKIPPED, CHECK_WARN, CHECK_FAIL };
struct check {
    const char *name; // static
    enum check_state state;
    char *text;
    char *next; // what to do; NULL: nothing
    int64_t ms;
};
struct checks {
    VEC(struct check) v;
    int64_t began_ms; // of the one that is next
};
void checks_add(struct checks *x, const char *name, enum check_state state, const char *next,
                const char *fmt, ...) PRINTF_LIKE(5, 6);
// A failure, as its error says it; the error is cleared.
void checks_fail(struct checks *x, const char *name, struct err *err);
void checks_clear(struct checks *x);

struct doctor {
    struct cli *c;
    struct checks checks;
    int64_t each_ms; // what one check may take
    // The repository:
    struct cli aside; // what its thread has in place of c
    struct checks repo;
    volatile sig_atomic_t stop;
    pthread_t thread;
    bool is_aside;
};
// Begins it; and waits for it, and takes what it found.
void doctor_repo_start(struct doctor *d);
void doctor_repo_end(struct doctor *d);

json_t *doctor_doc(const struct doctor *d, int code); // owned
void doctor_print(const struct doctor *d, int code);

#endif
