// SPDX-License-Identifier: Apache-2.0
#include "web/web_int.h"

#include <stdlib.h>
#include <string.h>

static void not_there(struct ask *a)
{
    web_respond_error(a, 404, "not-found", "there is no such application", NULL, NULL);
}

// A replica that only stands by knows nothing; another connection may reach the one that leads.
static void respond_doc(struct ask *a, json_t *doc)
{
    if (doc)
        web_respond_json(a, 200, doc);
    else
        web_respond_error(a, 503, "unavailable", "this replica stands by; another one leads",
                          "Connection", "close");
}

static bool matches(const json_t *app, const struct uri *u)
{
    for (size_t i = 0; i < u->params; i++)
        if (!str_eq(json_dot_text(app, u->param[i].key), u->param[i].value))
            return false;
    return true;
}

static bool may_ask_for(const char *const *known, size_t n, struct ask *a)
{
    for (size_t i = 0; i < a->uri.params; i++) {
        bool is_known = false;
        for (size_t k = 0; k < n; k++)
            is_known |= str_eq(a->uri.param[i].key, known[k]);
        if (!is_known) {
            web_respond_error(a, 400, "invalid", "this path does not know that parameter", NULL,
                              NULL);
            return false;
        }
    }
    return true;
}

void api_applications(struct ask *a)
{
    static const char *const known[] = {"cluster", "health", "namespace", "project", "sync"};
    const struct web_hooks *h = a->w->o.hooks;
    if (!may_ask_for(known, ARRAY_LEN(known), a))
        return;
    json_t *doc = h->applications(h->ctx);
    json_t *apps = json_object_get(doc, "applications");
    for (size_t i = json_array_size(apps); a->uri.params && i-- > 0;)
        if (!matches(json_array_get(apps, i), &a->uri))
            json_array_remove(apps, i);
    respond_doc(a, doc);
}

void api_application(struct ask *a)
{
    const struct web_hooks *h = a->w->o.hooks;
    if (!may_ask_for(NULL, 0, a))
        return;
    json_t *doc = h->application(h->ctx, a->uri.seg[3]);
    CLEANUP(json_freep) json_t *fleet = doc ? NULL : h->fleet(h->ctx);
    if (doc || !fleet)
        respond_doc(a, doc);
    else
        not_there(a);
}

void api_fleet(struct ask *a)
{
    const struct web_hooks *h = a->w->o.hooks;
    if (may_ask_for(NULL, 0, a))
        respond_doc(a, h->fleet(h->ctx));
}

// ---- acts ----

static json_t *args_of(struct ask *a)
{
    const char *type = web_header(a, "Content-Type");
    if (!a->body.len)
        return json_object();
    if (!type || strncasecmp(type, "application/json", strlen("application/json")) != 0) {
        web_respond_error(a, 415, "invalid", "the body is to be application/json", NULL, NULL);
        return NULL;
    }
    json_t *args = json_loadb(a->body.p, a->body.len, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(args))
        return args;
    json_decref(args);
    web_respond_error(a, 400, "invalid", "the body is not a JSON object", NULL, NULL);
    return NULL;
}

static void respond_err(struct ask *a, const struct err *err)
{
    static const struct {
        enum err_kind kind;
        unsigned status;
    } rows[] = {
        {ERR_USAGE, 400},    {ERR_INVALID, 400},     {ERR_NOT_FOUND, 404}, {ERR_DENIED, 403},
        {ERR_CONFLICT, 409}, {ERR_UNAVAILABLE, 503}, {ERR_TIMEOUT, 504},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].kind == err->kind) {
            web_respond_error(a, rows[i].status, err_kind_name(err->kind), err->msg, NULL, NULL);
            return;
        }
    web_respond_error(a, 500, "internal", "this could not be done", NULL, NULL);
}

void api_act(struct ask *a)
{
    const struct web_hooks *h = a->w->o.hooks;
    struct err err = {0};
    if (!may_ask_for(NULL, 0, a))
        return;
    json_t *args = args_of(a);
    if (!args)
        return;
    if (h->act(h->ctx, a->uri.seg[3], a->uri.seg[4], args, a->user, &err))
        web_respond_json(a, 202, json_pack("{s:b}", "accepted", 1));
    else
        respond_err(a, &err);
    err_clear(&err);
    json_decref(args);
}

// ---- health ----

static void respond_line(struct ask *a, unsigned status, const char *text)
{
    struct buf b CLEANUP(buf_clear) = {0};
    buf_printf(&b, "%s\n", text);
    web_respond(a, status, "text/plain; charset=utf-8", &b);
}

// The loop turns, or nobody would be here.
void api_healthz(struct ask *a)
{
    respond_line(a, 200, "ok");
}

void api_readyz(struct ask *a)
{
    const struct web_hooks *h = a->w->o.hooks;
    CLEANUP(str_freep) char *why = NULL;
    if (h->ready(h->ctx, &why))
        respond_line(a, 200, "ok");
    else
        respond_line(a, 503, why ? why : "not ready");
}
