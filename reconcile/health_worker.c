// SPDX-License-Identifier: Apache-2.0
//
// The process in which a user's scripts run (base/worker.h). A script that did not answer three
// times is not run any more, so that one loop in a script cannot hold up a run for ever.
#include <string.h>

#include "reconcile/health_int.h"

#define MAX_FAILURES 3
#define MAX_REQUEST (64U << 20)
#define MAX_REPLY (80U << 10)

struct request {
    uint32_t script; // the object's canonical JSON follows
};

struct reply {
    uint32_t status, is_error; // the message follows
};

// ---- in the child ----
static bool serve(void *ctx, const char *request, size_t len, struct buf *out)
{
    const struct health_custom *c = ctx;
    struct request q;
    struct health_result r = {0};
    struct err err = {0};
    CLEANUP(json_freep) json_t *obj = NULL;
    if (len < sizeof(q))
        return false;
    memcpy(&q, request, sizeof(q));
    if (q.script >= c->scripts.len)
        return false;
    if (canon_read(request + sizeof(q), len - sizeof(q), &obj, &err))
        health_lua_run(&c->scripts.v[q.script], obj, &r);
    else
        health_error(&r, "%s", err.msg);
    err_clear(&err);
    struct reply a = {r.status, r.is_error};
    buf_append(out, &a, sizeof(a));
    buf_str(out, r.message);
    health_result_clear(&r);
    return true;
}

// ---- in the parent ----
void health_worker_stop(struct health_custom *c)
{
    worker_free(c->worker);
    c->worker = NULL;
}

static enum worker_outcome ask(struct health_custom *c, size_t script, const json_t *obj,
                               struct health_result *r)
{
    const struct worker_opts o = {.serve = serve,
                                  .ctx = c,
                                  .max_request = MAX_REQUEST,
                                  .max_reply = MAX_REPLY,
                                  .cpu_ms = HEALTH_SCRIPT_MS};
    const struct request q = {(uint32_t)script};
    struct reply a;
    struct buf request CLEANUP(buf_clear) = {0};
    struct buf reply CLEANUP(buf_clear) = {0};
    if (!c->worker)
        c->worker = worker_new(&o);
    buf_append(&request, &q, sizeof(q));
    canon_write(obj, &request);
    enum worker_outcome got = worker_ask(c->worker, &request, &reply);
    if (got != WORKER_DONE)
        return got;
    if (reply.len < sizeof(a))
        return WORKER_GONE;
    memcpy(&a, reply.p, sizeof(a));
    if (a.status > HEALTH_UNKNOWN)
        return WORKER_GONE;
    health_set(r, (enum health)a.status, "%s", reply.p + sizeof(a));
    r->is_error = a.is_error;
    return WORKER_DONE;
}

void health_worker_run(struct health_custom *c, size_t script, const json_t *obj,
                       struct health_result *r)
{
    struct health_script *s = &c->scripts.v[script];
    if (s->failures >= MAX_FAILURES) {
        health_error(r, "the script was out of time too often");
        return;
    }
    enum worker_outcome got = ask(c, script, obj, r);
    if (got != WORKER_DONE)
        health_error(r, got == WORKER_LATE ? HEALTH_OUT_OF_TIME : "the script cannot be run");
    s->failures += got != WORKER_DONE || (r->is_error && !strcmp(r->message, HEALTH_OUT_OF_TIME));
}
