// SPDX-License-Identifier: Apache-2.0
//
// The one error type. A fallible function returns bool, takes `struct err *err` last (never NULL),
// leaves it alone on success and sets it exactly once on failure. `kind` says what can be done
// about it and decides the exit code; nobody ever looks at the text. `msg` is one line without a
// full stop, built from the inside out: each layer wraps what only it knows in front. `hint` is
// one sentence on the way out for a person, set by the command layer.
//
//     struct err err = {0};                       // "no error"
//     if (!file_read(path, MAX, &text, &err))
//         return err_wrap(&err, "read values");   // always false
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdarg.h>
#include <stdbool.h>

#include "base/attr.h"

enum err_kind {
    ERR_NONE = 0,
    ERR_USAGE,       // the command line
    ERR_INVALID,     // manifest, repository or configuration
    ERR_NOT_FOUND,   // named thing does not exist
    ERR_DENIED,      // refused by authentication, permission or policy
    ERR_CONFLICT,    // another writer or field owner
    ERR_UNAVAILABLE, // network, server: may work later
    ERR_TIMEOUT,     // waited long enough
    ERR_CORRUPT,     // bytes are not what they must be
    ERR_PARTIAL,     // finished, but part of it failed
    ERR_INTERNAL,    // ours
    ERR_CANCELLED,   // stopped by the caller
};

struct err {
    enum err_kind kind;
    char *msg;  // owned; NULL when kind is ERR_NONE
    char *hint; // owned; may be NULL
    int errnum; // what the system said, where it was that; 0: it was not
};

// Sets an empty error. Always returns false. A second set on a set error is a programming mistake.
bool err_set(struct err *err, enum err_kind kind, const char *fmt, ...) PRINTF_LIKE(3, 4);

// Sets an error from an errno value captured by the caller in the statement after the failure.
// ENOENT becomes NOT_FOUND, EACCES and EPERM DENIED, time-outs TIMEOUT, network errnos UNAVAILABLE.
bool err_set_errno(struct err *err, int errnum, const char *fmt, ...) PRINTF_LIKE(3, 4);

// Puts "text: " in front of the message. Always returns false.
bool err_wrap(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

// Sets or replaces the hint. Always returns false.
bool err_hint(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

void err_clear(struct err *err);
// Moves src into dst (which must be empty); src is empty after it.
void err_move(struct err *dst, struct err *src);
// A copy of src's kind, message and hint in dst (which must be empty).
void err_copy(struct err *dst, const struct err *src);

bool err_is_set(const struct err *err);
// The documented exit code of a kind (docs/exit-codes.md), 0 for ERR_NONE.
int err_exit_code(enum err_kind kind);
// The kind's stable name: "invalid", "not_found", ...
const char *err_kind_name(enum err_kind kind);

#endif
