// SPDX-License-Identifier: Apache-2.0
//
// How applications are, by a run that only looks: what `status` prints once and `status --watch`
// draws again and again. A status keeps texts of its own, so that it outlives the run.
#ifndef CLI_STATUS_H
#define CLI_STATUS_H

#include "cli/cli.h"

struct app_status {
    char *name;
    char *key; // its tracking name, which no other has
    size_t total, ready;
    size_t missing, differing, not_comparable, pruning, awaiting;
    bool is_shown; // the root, when it only holds applications, is not
    bool is_good, is_synced, is_healthy;
    bool is_known;             // it could be read
    bool is_bad;               // not merely on its way
    const char *health, *sync; // Argo CD's words
    char *revision, *problem;  // or NULL
    char *waits_for;           // as documents have it; "": nothing
    char *chain;               // for a person, of one that is not good; "": nothing
};

struct status {
    struct app_status *apps;
    size_t n, n_shown, n_good, n_healthy, n_synced;
    size_t n_leaving;  // objects of applications that left Git, which are to go
    char *one_leaving; // of them; NULL when there are none
    char *root;        // "platform @ 3f9c2e1 (main)"
    enum hand_over then;
};

// After run_resolve_checks.
void status_read(struct status *st, const struct session *s, const struct run *r);
void status_clear(struct status *st);
bool status_is_good(const struct status *st);
char *status_head(const struct status *st);     // the answer, in one line; owned
char *status_sync(const struct app_status *a);  // "OutOfSync: 1 missing, 2 differ"; owned
char *status_leaving(const struct status *st);  // owned; NULL: nothing is to go
json_t *status_row(const struct app_status *a); // as in documents and events; owned
enum node_state status_looks(const struct app_status *a);

// ---- watching.c ----
// status --watch: until it is told to stop, or the time is up. The exit code is that of the last
// look, as status has it.
int status_watch(struct cli *c, struct err *err);
// status -o ndjson: a look, as --watch tells its first.
void status_tell(const struct event_sink *events, const struct status *st, json_t *told);
// The lines for a screen, without frame_end.
struct frame;
void status_draw(const struct cli *c, struct frame *f, const struct status *st, const char *foot,
                 int rows, int cols);

#endif
