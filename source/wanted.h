// SPDX-License-Identifier: Apache-2.0
//
// What has to come from elsewhere, once per run: the refs of a repository, a commit, an index, a
// chart, an unpacked tree. Whoever prepares an application asks for what it needs; what is not
// there yet begins to come, and the application is prepared again when it has. So the code that
// renders reads straight on, while everything comes side by side.
//
// Life: part of the object it belongs to; wanted_wait starts it at the first question, the object
// calls wanted_settle once, wanted_reset makes it new.
#ifndef SOURCE_WANTED_H
#define SOURCE_WANTED_H

#include "source/source.h"

struct wanted_then {
    void (*fn)(void *ctx);
    void *ctx;
};

struct wanted {
    void (*start)(struct wanted *n);
    char *(*tell)(const struct wanted *n); // what it is, for who waited too long; owned
    bool is_started, is_settled;
    struct err err; // set: it cannot be had
    VEC(struct wanted_then) then;
};

// The needs of the application that is being prepared which are not settled; borrowed.
struct waits {
    VEC(struct wanted *) v;
};

// True when it is there. Else false, with its own error, or with one that nobody reads while it is
// among the waits.
MUST_CHECK bool wanted_wait(struct wanted *n, struct waits *w, struct err *err);
// Calls fn once it is settled: at once if it is. Starts it.
void wanted_then(struct wanted *n, void (*fn)(void *ctx), void *ctx);
void wanted_settle(struct wanted *n, struct err *err); // takes the error; a set one means it failed
void wanted_reset(struct wanted *n);                   // settled, to be started again
void wanted_clear(struct wanted *n);
bool wanted_is_open(const struct wanted *n); // begun, and not over
bool waits_over(const struct waits *w);
void waits_tell(const struct waits *w, struct strv *out); // what has not come, each once

#endif
