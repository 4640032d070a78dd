// SPDX-License-Identifier: Apache-2.0
//
// What a push says and is told, pure: the request for git-receive-pack up to its pack, and the
// report that comes back (protocol v0, which is the only one there is for it).
#ifndef SOURCE_PUSHWIRE_H
#define SOURCE_PUSHWIRE_H

#include "source/gitwire.h"

// One ref that is to name something else: from "" (it is not there) or an id, to an id. The server
// refuses what is not as `from` says.
void push_request_add(struct buf *out, const struct git_greeting *g, const char *ref,
                      const char *from, const char *to);
void push_request_end(struct buf *out); // the pack follows

// The report, fed as it comes.
struct push_report {
    bool has_bands;      // as asked for: the greeting's
    struct strv refused; // "REF WHY"
    size_t taken;        // refs
    char *unpack;        // "ok", or why the pack was refused; NULL: nothing was said
    struct buf said;     // what the server says to people: its last lines
    // Private:
    struct buf pending, inner;
};
MUST_CHECK bool push_report_feed(struct push_report *r, const char *p, size_t len, struct err *err);
void push_report_clear(struct push_report *r);

#endif
