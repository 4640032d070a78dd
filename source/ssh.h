// SPDX-License-Identifier: Apache-2.0
//
// git-upload-pack and git-receive-pack over the ssh program: one exchange, in the loop. The whole
// question is sent at once (protocol v0 allows it), the answer is handed on as it comes.
#ifndef SOURCE_SSH_H
#define SOURCE_SSH_H

#include "source/creds.h"
#include "source/hosts.h"

struct ssh_request { // lent for the call but for the credential
    const char *url;
    const char *service;            // "git-upload-pack"
    const struct source_cred *cred; // may be NULL: the user's own keys
    const char *known_hosts_file;   // this file alone; NULL: the user's own, and known_hosts
    const char *known_hosts;        // text, may be NULL
    const void *in;
    size_t in_len;
    int in_fd; // > 0: in its place a file, which is not asked for a second time
    size_t max_bytes;
    int64_t silence_ms;                                    // 0: 30 s
    bool (*on_data)(void *ctx, const char *p, size_t len); // false: it is enough
    void *data_ctx;
};

// err: the connection, the host's key, or the other side's last words. Lent for the call.
typedef void (*ssh_done_fn)(void *ctx, struct err *err);

struct ssh_call;
struct ssh_call *ssh_start(struct loop *l, struct hosts *h, const struct ssh_request *q,
                           ssh_done_fn done, void *ctx);
// `done` does not come any more; the program is killed, and its end waited for on the loop.
void ssh_cancel(struct ssh_call *s);

bool ssh_is_url(const char *url);

#endif
