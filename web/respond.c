// SPDX-License-Identifier: Apache-2.0
#include "web/web_int.h"

#include <stdlib.h>
#include <string.h>

#define TYPE_JSON "application/json"

// For whatever a browser may do with an answer. The page is the only one it may show as one.
static void secure(const struct ask *a, struct MHD_Response *r)
{
    static const struct {
        const char *name, *value;
    } rows[] = {
        {"Content-Security-Policy",
         "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
         "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
        {"X-Content-Type-Options", "nosniff"},
        {"X-Frame-Options", "DENY"},
        {"Referrer-Policy", "no-referrer"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
        {"Cross-Origin-Opener-Policy", "same-origin"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        MHD_add_response_header(r, rows[i].name, rows[i].value);
    if (!MHD_get_response_header(r, "Cache-Control"))
        MHD_add_response_header(r, "Cache-Control", "no-store");
    if (a->conn->front->cert)
        MHD_add_response_header(r, "Strict-Transport-Security", "max-age=31536000");
    if (a->conn->front->end_at)
        MHD_add_response_header(r, "Connection", "close");
}

// By the route's own path, so that who asks for anything cannot make a metric of it.
static void web_count(struct web_server *w, const struct ask *a, unsigned status)
{
    char code[16];
    const char *path = a->route ? a->route->path : "other";
    json_t *of = json_object_get(w->codes, path);
    if (!of) {
        of = json_object();
        json_object_set_new(w->codes, path, of);
    }
    snprintf(code, sizeof(code), "%u", status);
    json_object_set_new(of, code, json_integer(json_integer_value(json_object_get(of, code)) + 1));
}

void web_respond_with(struct ask *a, unsigned status, struct MHD_Response *r)
{
    secure(a, r);
    a->answered = MHD_queue_response(a->conn->mhd, status, r) == MHD_YES;
    MHD_destroy_response(r);
    web_count(a->w, a, status);
}

void web_respond(struct ask *a, unsigned status, const char *type, struct buf *body)
{
    size_t len = body->len;
    char *p = buf_take(body);
    struct MHD_Response *r = MHD_create_response_from_buffer(len, p, MHD_RESPMEM_MUST_FREE);
    MHD_add_response_header(r, "Content-Type", type);
    web_respond_with(a, status, r);
}

void web_respond_static(struct ask *a, const char *type, const char *p, size_t len)
{
    // Never written to: what libmicrohttpd calls persistent.
    struct MHD_Response *r =
        MHD_create_response_from_buffer(len, (void *)(uintptr_t)p, MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(r, "Content-Type", type);
    MHD_add_response_header(r, "Cache-Control", "no-cache");
    web_respond_with(a, 200, r);
}

void web_respond_json(struct ask *a, unsigned status, json_t *doc)
{
    struct buf b CLEANUP(buf_clear) = {0};
    char *text = json_dumps(doc, JSON_COMPACT);
    buf_str(&b, text ? text : "{}");
    buf_char(&b, '\n');
    free(text);
    json_decref(doc);
    web_respond(a, status, TYPE_JSON, &b);
}

void web_respond_error(struct ask *a, unsigned status, const char *kind, const char *message,
                       const char *header, const char *value)
{
    struct buf b CLEANUP(buf_clear) = {0};
    json_t *doc = json_pack("{s:s, s:s}", "error", kind, "message", message);
    char *text = json_dumps(doc, JSON_COMPACT);
    buf_str(&b, text ? text : "{}");
    buf_char(&b, '\n');
    free(text);
    json_decref(doc);
    size_t len = b.len;
    struct MHD_Response *r =
        MHD_create_response_from_buffer(len, buf_take(&b), MHD_RESPMEM_MUST_FREE);
    MHD_add_response_header(r, "Content-Type", TYPE_JSON);
    if (header)
        MHD_add_response_header(r, header, value);
    web_respond_with(a, status, r);
}
