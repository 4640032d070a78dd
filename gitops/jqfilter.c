// SPDX-License-Identifier: Apache-2.0
#include "gitops/jqfilter.h"

#include <jq.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "base/worker.h"
#include "gitops/canon.h"
#include "gitops/json.h"

#define LIMIT_MS 1000 // as Argo CD
#define MAX_FAILURES 3
#define MAX_REQUEST (64U << 20)
#define MAX_REPLY (4U << 20)
#define MAX_DATA (512U << 20)
#define MAX_COMPILED 64 // in the process; each is a megabyte

struct compiled {
    char *expr;
    jq_state *jq;
    char *fault; // NULL: it is one
};

struct jq_filters {
    struct worker *worker;
    json_t *known; // expression -> null, or what is wrong with it
    json_t *late;  // expression -> how often it did not answer
    // In the process:
    VEC(struct compiled) compiled;
};

// ---- in the process ----
// The last word of the library on an expression, on one line.
static void on_message(void *ctx, jv msg)
{
    struct compiled *c = ctx;
    jv text = jq_format_error(msg);
    if (jv_get_kind(text) == JV_KIND_STRING && !c->fault) {
        const char *s = jv_string_value(text);
        s += str_starts(s, "jq: error: ") ? strlen("jq: error: ") : 0;
        const char *advice = strstr(s, " (Unix shell quoting");
        c->fault = str_ndup(s, advice ? (size_t)(advice - s) : strcspn(s, "\n"));
    }
    jv_free(text);
}

// `input` and `debug` have nothing to read or to tell. The library does not set these itself.
static jv no_input(jq_state *jq, void *ctx)
{
    (void)jq;
    (void)ctx;
    return jv_invalid();
}

static void no_debug(void *ctx, jv v)
{
    (void)ctx;
    jv_free(v);
}

static void forget_all(struct jq_filters *f)
{
    for (size_t i = 0; i < f->compiled.len; i++) {
        struct compiled *c = &f->compiled.v[i];
        jq_teardown(&c->jq);
        free(c->expr);
        free(c->fault);
    }
    vec_clear(&f->compiled);
}

// A jq_state costs some 40 ms to make: they are kept.
static struct compiled *compile(struct jq_filters *f, const char *expr)
{
    for (size_t i = 0; i < f->compiled.len; i++)
        if (!strcmp(f->compiled.v[i].expr, expr))
            return &f->compiled.v[i];
    if (f->compiled.len >= MAX_COMPILED)
        forget_all(f);
    struct compiled c = {.expr = str_dup(expr), .jq = jq_init()};
    CLEANUP(str_freep) char *program = str_printf("path(%s)", expr);
    if (c.jq) {
        jq_set_input_cb(c.jq, no_input, NULL);
        jq_set_debug_cb(c.jq, no_debug, NULL);
        jq_set_error_cb(c.jq, on_message, &c);
        if (jq_compile(c.jq, program)) {
            str_freep(&c.fault); // warnings
        } else if (!c.fault) {
            c.fault = str_dup("it is no jq expression");
        }
        jq_set_error_cb(c.jq, NULL, NULL);
    } else {
        c.fault = str_dup("the jq library does not start");
    }
    struct compiled *kept = vec_push(&f->compiled);
    *kept = c;
    return kept;
}

static void say(struct buf *out, enum err_kind kind, const char *text)
{
    CLEANUP(json_freep) json_t *v = json_pack("{s:i, s:s}", "kind", (int)kind, "error", text);
    buf_reset(out);
    canon_write(v, out);
}

// The paths, as JSON, behind each other.
static void find(jq_state *jq, jv doc, struct buf *out)
{
    size_t n = 0;
    jv v;
    buf_str(out, "{\"paths\":[");
    jq_start(jq, doc, 0);
    for (v = jq_next(jq); jv_is_valid(v); v = jq_next(jq), n++) {
        bool is_path = jv_get_kind(v) == JV_KIND_ARRAY;
        jv text = jv_dump_string(v, 0);
        buf_printf(out, "%s%s", n ? "," : "", jv_string_value(text));
        jv_free(text);
        if (!is_path || n >= JQ_MAX_PATHS || out->len > MAX_REPLY / 2) {
            say(out, ERR_INVALID, is_path ? "it names too many places" : "it names no places");
            return;
        }
    }
    bool failed = jv_invalid_has_msg(jv_copy(v));
    jv_free(v);
    buf_str(out, "]}");
    if (failed)
        say(out, ERR_NOT_FOUND, "it cannot be followed in the document");
}

// A request is the expression, a NUL, and the document; no document: only whether it can be read.
static bool serve(void *ctx, const char *request, size_t len, struct buf *reply)
{
    struct jq_filters *f = ctx;
    size_t n = strnlen(request, len);
    if (n == len)
        return false;
    struct compiled *c = compile(f, request);
    if (c->fault) {
        say(reply, ERR_INVALID, c->fault);
        return true;
    }
    if (len == n + 1) {
        buf_str(reply, "{}");
        return true;
    }
    jv doc = jv_parse_sized(request + n + 1, (int)(len - n - 1));
    if (jv_is_valid(doc)) {
        find(c->jq, doc, reply);
    } else {
        jv_free(doc);
        say(reply, ERR_NOT_FOUND, "jq cannot read the document");
    }
    return true;
}

// ---- here ----
struct jq_filters *jq_filters_new(void)
{
    struct jq_filters *f = mem_alloc(sizeof(*f));
    const struct worker_opts o = {.serve = serve,
                                  .ctx = f,
                                  .max_request = MAX_REQUEST,
                                  .max_reply = MAX_REPLY,
                                  .cpu_ms = LIMIT_MS,
                                  .is_sealed = true,
                                  .max_data_bytes = MAX_DATA};
    f->worker = worker_new(&o);
    f->known = json_object();
    f->late = json_object();
    return f;
}

void jq_filters_free(struct jq_filters *f)
{
    if (!f)
        return;
    worker_free(f->worker);
    json_decref(f->known);
    json_decref(f->late);
    free(f);
}

static bool answered(const struct buf *reply, json_t **out, struct err *err)
{
    CLEANUP(json_freep) json_t *v = NULL;
    if (!canon_read(reply->p, reply->len, &v, err))
        return err_wrap(err, "jq");
    if (json_dot_str(v, "error"))
        return err_set(err, (enum err_kind)json_dot_int(v, "kind", ERR_INTERNAL), "%s",
                       json_dot_str(v, "error"));
    *out = TAKE(v);
    return true;
}

static bool ask(struct jq_filters *f, const char *expr, const json_t *doc, json_t **out,
                struct err *err)
{
    struct buf request CLEANUP(buf_clear) = {0};
    struct buf reply CLEANUP(buf_clear) = {0};
    long long late = json_integer_value(json_object_get(f->late, expr));
    if (strlen(expr) > JQ_MAX_TEXT)
        return err_set(err, ERR_INVALID, "it has more than %d characters", JQ_MAX_TEXT);
    if (late >= MAX_FAILURES)
        return err_set(err, ERR_TIMEOUT, "it was out of time too often");
    buf_append(&request, expr, strlen(expr) + 1);
    if (doc)
        canon_write(doc, &request);
    enum worker_outcome got = worker_ask(f->worker, &request, &reply);
    if (got == WORKER_DONE)
        return answered(&reply, out, err);
    json_object_set_new(f->late, expr, json_integer(late + 1));
    if (got == WORKER_LATE)
        return err_set(err, ERR_TIMEOUT, "it did not end within a second");
    return err_set(err, ERR_INVALID, "it ended the jq library, or took too much memory");
}

bool jq_filter_paths(struct jq_filters *f, const char *expr, const json_t *doc, json_t **out,
                     struct err *err)
{
    CLEANUP(json_freep) json_t *v = NULL;
    if (!ask(f, expr, doc, &v, err))
        return false;
    *out = json_incref(json_object_get(v, "paths"));
    return *out || err_set(err, ERR_INTERNAL, "jq: no paths");
}

bool jq_filter_check(struct jq_filters *f, const char *expr, struct err *err)
{
    CLEANUP(json_freep) json_t *v = NULL;
    const json_t *known = json_object_get(f->known, expr);
    if (json_is_string(known))
        return err_set(err, ERR_INVALID, "%s", json_string_value(known));
    if (known)
        return true;
    bool ok = ask(f, expr, NULL, &v, err);
    if (ok || err->kind == ERR_INVALID)
        json_object_set_new(f->known, expr, ok ? json_null() : json_string(err->msg));
    return ok;
}
