// SPDX-License-Identifier: Apache-2.0
//
// What everything that fetches shares within one run. Private to source.
//
// Network goes through the loop (http.h, ssh.h), work that costs CPU or disk through the pool;
// what is asked for and has not come stands in `waits` (wanted.h).
#ifndef SOURCE_CONTEXT_H
#define SOURCE_CONTEXT_H

#include "base/pool.h"
#include "source/http.h"
#include "source/wanted.h"

#define SOURCE_THREADS 2
#define OFFLINE_HINT "Run it once without --offline, or name a copy with --mirror."

struct charts;
struct gitsrc;
struct gotemplates;
struct witness;

struct source_ctx {
    struct loop *loop;
    const struct source_opts *o;
    struct pool *pool;
    struct creds *creds;
    struct hosts *hosts;
    struct helper *helper; // NULL: not asked
    struct http *http;
    struct charts *charts;
    struct gotemplates *templates;
    VEC(struct gitsrc *) repos;
    struct strv remotes; // what kustomizations name elsewhere
    // Of the application that is being prepared:
    const char *project;
    bool pass_credentials; // a chart's archive may be asked for with those of its repository
    struct waits waits;
    struct witness *witness; // what it reads is noted here; NULL: nobody asks (witness.h)
    bool is_remote_root;     // then nothing in it names repositories of this machine
    unsigned load;           // how many there have been
    unsigned good;           // the last that came to its end
};

#endif
