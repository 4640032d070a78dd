// SPDX-License-Identifier: Apache-2.0
//
// Whose turn it is. Exchanges with one host are bounded in number, so that a server is not
// overrun. A host that fails before anything succeeded there, or many times in a row, is not asked
// again in this run: what waits for it fails with the same error at once. No host waits for
// another.
#ifndef SOURCE_HOSTS_H
#define SOURCE_HOSTS_H

#include "base/loop.h"

struct hosts;
struct host;

struct hosts *hosts_new(struct loop *l);
void hosts_free(struct hosts *h);  // no turn is taken or waited for any more
void hosts_renew(struct hosts *h); // another run: whoever failed is asked again

// A place in the queue, inside the object that waits. `go` is called once, from the loop: begin
// (dead NULL), or fail with a copy of `dead`, in which case the turn is over already.
struct turn {
    void (*go)(void *ctx, const struct err *dead);
    void *ctx;
    // Private to hosts.c:
    struct hosts *hosts;
    struct host *host;
    struct turn *next;
    enum { TURN_NONE, TURN_WAITS, TURN_RUNS } state;
};

#define HOSTS_HTTP_AT_ONCE 16
#define HOSTS_SSH_AT_ONCE 4 // sshd drops unauthenticated connections beyond ten

// url decides the host (scheme, name and port); at_once is how many may run towards it.
void turn_ask(struct hosts *h, const char *url, unsigned at_once, struct turn *t);
// The turn is over, or not wanted any more. failure: the host was not there, or fell silent; NULL
// when it answered, whatever it said.
void turn_end(struct turn *t, const struct err *failure);

// "https://host:port" of a URL, in lower case and with the port written out where it is the
// scheme's own; "ssh://host" for user@host:path. Owned.
char *url_origin(const char *url);

#endif
