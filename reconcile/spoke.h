// SPDX-License-Identifier: Apache-2.0
//
// The session of one of a hub's other clusters: a thread with a loop, a connection and a controller
// of its own. It shares nothing with anybody but one mailbox in each direction, under a lock that
// is held for as long as it takes to move a pointer: a cluster that hangs, refuses or is slow holds
// up its own thread. What goes in or out is a copy.
//
// Life: spoke_start, spoke_give_* at any time, spoke_drain whenever out_fd (an eventfd of the
// owner's, for all its spokes) is written to, spoke_stop, spoke_drain until SPOKE_OVER came,
// spoke_free, which joins the thread. All of it by one thread, the owner's.
#ifndef RECONCILE_SPOKE_H
#define RECONCILE_SPOKE_H

#include "gitops/gitops.h"
#include "reconcile/run.h"

struct spoke_opts {
    const char *name;
    const char *secret;     // the Secret that registers it, as JSON
    const char *records;    // namespace of Lease and inventory there; NULL: REGROW_NAMESPACE
    const char *holder;     // in the Lease there
    const char *server;     // display
    const char *hub_uid;    // of the cluster of the hub; NULL: not known
    struct run_opts run;    // what it points at is lent for the spoke's life, and not written
    int64_t first_delay_ms; // before the first try
    int out_fd;
};

enum spoke_note_kind {
    SPOKE_EVENT,   // doc: an event of docs/events.md, with `cluster`
    SPOKE_STATE,   // doc: {state, message?, version?, uid?, ...}
    SPOKE_KINDS,   // kinds, and doc: the version; it wants what it should hold
    SPOKE_REPORT,  // doc: {namespace, name, app, status?, taken?, doc}
    SPOKE_REFRESH, // doc: true: hard
    SPOKE_PINS,    // doc: name -> [revision, ...]; number
    SPOKE_OVER,    // the thread has nothing left to do
};
struct spoke_note {
    enum spoke_note_kind kind;
    json_t *doc;
    struct kinds *kinds;
    unsigned number;
};
void spoke_note_clear(struct spoke_note *n);

struct spoke;
// NULL: no thread could be had.
struct spoke *spoke_start(const struct spoke_opts *o);
void spoke_stop(struct spoke *s); // returns at once
void spoke_free(struct spoke *s); // waits for the thread

// What it should hold, and the number of the pins it was read with; or (d NULL) why that is not
// known. Both taken; the newest counts.
void spoke_give_state(struct spoke *s, struct desired *d, unsigned pins, struct err *problem);
// An Application object as it is now, taken; NULL: it is gone.
void spoke_give_application(struct spoke *s, const char *ns, const char *name, json_t *doc);

// Takes what it has said: fn is called for each, and may keep what is in it by clearing the field.
void spoke_drain(struct spoke *s, void (*fn)(void *ctx, struct spoke_note *n), void *ctx);

#endif
