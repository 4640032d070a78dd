// SPDX-License-Identifier: Apache-2.0
//
// LIST once in pages, then WATCH from there for ever: clean ends are normal and resumed at once, a
// compacted resourceVersion lists again (spec kubernetes-api section 5).
#include <stdlib.h>
#include <string.h>

#include "kube/kube_int.h"

#define PAGE 500
#define MAX_LISTS 12
#define MAX_LINE_BYTES (16U << 20)
#define LIST_TIMEOUT_MS 60000L
#define WATCH_SECONDS 1800

enum stage { STAGE_IDLE, STAGE_LIST, STAGE_WATCH };

struct kube_watch {
    struct transfer t;
    struct kube *k;
    struct kind_info kind; // owned strings
    struct kube_watch_opts o;
    enum stage stage;
    struct splitter split;
    struct buf line, error_body;
    char *resource_version, *continue_token;
    struct loop_timer *timer;
    int64_t backoff_ms;
    bool is_first_list, is_stopped, holds_list_slot, is_expired, was_synced;
    unsigned busy; // callbacks of ours on the stack
};

static void start_list(struct kube_watch *w);
static void start_watch(struct kube_watch *w);

size_t kube_lists_done(const struct kube *k, const char *group, const char *kind)
{
    CLEANUP(str_freep) char *key = str_printf("%s/%s", group, kind);
    return (size_t)json_integer_value(json_object_get(k->lists_done, key));
}

static void free_watch(struct kube_watch *w)
{
    transfer_clear(&w->t);
    loop_timer_free(w->timer);
    split_clear(&w->split);
    buf_clear(&w->line);
    buf_clear(&w->error_body);
    free(w->kind.group);
    free(w->kind.version);
    free(w->kind.kind);
    free(w->kind.plural);
    free((char *)w->o.namespace);
    free(w->resource_version);
    free(w->continue_token);
    free(w);
}

static void release_slot(struct kube_watch *w)
{
    if (!w->holds_list_slot)
        return;
    w->holds_list_slot = false;
    w->k->lists_in_flight--;
}

static void forget(struct kube_watch *w)
{
    struct kube *k = w->k;
    for (size_t i = 0; i < k->watches.len; i++) {
        if (k->watches.v[i] == w) {
            k->watches.v[i] = k->watches.v[--k->watches.len];
            break;
        }
    }
    release_slot(w);
}

void kube_watch_stop(struct kube_watch *w)
{
    if (w->is_stopped)
        return;
    w->is_stopped = true;
    forget(w);
    if (!w->busy)
        free_watch(w);
}

// Calls the owner; true when the watch still lives afterwards.
static bool tell(struct kube_watch *w, enum kube_event ev, json_t *doc)
{
    w->busy++;
    w->o.event(w->o.ctx, ev, doc);
    w->busy--;
    return !w->is_stopped;
}

static void end_watch(struct kube_watch *w)
{
    w->is_stopped = true;
    forget(w);
}

static void next_list(struct kube *k)
{
    for (size_t i = 0; i < k->watches.len && k->lists_in_flight < MAX_LISTS; i++)
        if (k->watches.v[i]->stage == STAGE_IDLE && !k->watches.v[i]->holds_list_slot &&
            !loop_timer_is_set(k->watches.v[i]->timer))
            start_list(k->watches.v[i]);
}

static void complete_type(const struct kube_watch *w, json_t *doc)
{
    if (!json_object_get(doc, "kind"))
        json_object_set_new(doc, "kind", json_string(w->kind.kind));
    if (!json_object_get(doc, "apiVersion")) {
        CLEANUP(str_freep)
        char *av = *w->kind.group ? str_printf("%s/%s", w->kind.group, w->kind.version)
                                  : str_dup(w->kind.version);
        json_object_set_new(doc, "apiVersion", json_string(av));
    }
    if (!w->o.with_managed_fields)
        json_object_del(json_object_get(doc, "metadata"), "managedFields");
}

static bool on_item(void *ctx, const char *p, size_t len)
{
    struct kube_watch *w = ctx;
    struct err err = {0};
    CLEANUP(json_freep) json_t *doc = NULL;
    if (!canon_read(p, len, &doc, &err) || !json_is_object(doc)) {
        err_clear(&err);
        return false;
    }
    complete_type(w, doc);
    return tell(w, KUBE_ITEM, doc);
}

static void retry_later(struct kube_watch *w)
{
    w->backoff_ms = !w->backoff_ms ? 100 : w->backoff_ms * 2 > 5000 ? 5000 : w->backoff_ms * 2;
    release_slot(w);
    w->stage = STAGE_IDLE;
    loop_timer_set(w->timer, w->backoff_ms);
}

static void on_timer(void *ctx)
{
    struct kube_watch *w = ctx;
    if (kube_is_down(w->k)) {
        loop_timer_set(w->timer, 250);
        return;
    }
    if (w->resource_version && !w->is_expired)
        start_watch(w);
    else if (w->k->lists_in_flight < MAX_LISTS)
        start_list(w);
    else
        loop_timer_set(w->timer, 50);
}

void watches_wake(struct kube *k)
{
    for (size_t i = 0; i < k->watches.len; i++)
        if (loop_timer_is_set(k->watches.v[i]->timer))
            loop_timer_set(k->watches.v[i]->timer, 0);
}

static size_t keep_error(struct kube_watch *w, const char *p, size_t len)
{
    if (w->error_body.len < 65536)
        buf_append(&w->error_body, p, len);
    return len;
}

static long http_of(struct transfer *t)
{
    long http = 0;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &http);
    return http;
}

static size_t on_list_data(struct transfer *t, const char *p, size_t len)
{
    struct kube_watch *w = (struct kube_watch *)t;
    if (http_of(t) != 200)
        return keep_error(w, p, len);
    return split_feed(&w->split, p, len) ? len : 0;
}

static void report_failure(struct kube_watch *w, int http, const char *text)
{
    struct kube_reply r = {.http = http, .retry_after_ms = -1, .reason = "", .message = ""};
    struct buf store CLEANUP(buf_clear) = {0};
    if (http) {
        buf_char(&w->error_body, 0);
        r.body = w->error_body.p;
        r.body_len = w->error_body.len - 1;
        classify(&r, w->t.content_type, &store);
    } else {
        r.cls = KUBE_LOST;
        r.message = text;
    }
    struct kube *k = w->k;
    end_watch(w);
    w->busy++;
    if (w->o.failed)
        w->o.failed(w->o.ctx, &r);
    w->busy--;
    free_watch(w);
    next_list(k);
}

static void list_page_done(struct kube_watch *w)
{
    struct err err = {0};
    CLEANUP(json_freep) json_t *head = NULL;
    if (!w->split.head.p || !canon_read(w->split.head.p, w->split.head.len, &head, &err)) {
        err_clear(&err);
        retry_later(w);
        return;
    }
    str_set(&w->resource_version, json_dot_str(head, "metadata.resourceVersion"));
    const char *token = json_dot_str(head, "metadata.continue");
    str_set(&w->continue_token, str_is_empty(token) ? NULL : token);
    transfer_clear(&w->t);
    if (w->continue_token) {
        start_list(w);
        return;
    }
    struct kube *k = w->k;
    CLEANUP(str_freep) char *key = str_printf("%s/%s", w->kind.group, w->kind.kind);
    json_object_set_new(
        k->lists_done, key,
        json_integer((json_int_t)kube_lists_done(k, w->kind.group, w->kind.kind) + 1));
    k->stats.lists++;
    release_slot(w);
    w->backoff_ms = 0;
    w->is_expired = false;
    w->was_synced = true;
    if (!tell(w, KUBE_SYNCED, NULL)) {
        free_watch(w);
    } else if (w->o.list_only) {
        w->stage = STAGE_WATCH; // nothing more comes; its owner stops it
    } else {
        start_watch(w);
    }
    next_list(k);
}

static void on_list_end(struct transfer *t, CURLcode code, long http)
{
    struct kube_watch *w = (struct kube_watch *)t;
    if (w->is_stopped) {
        free_watch(w);
        return;
    }
    if (w->split.failed) {
        report_failure(w, 0, w->split.why);
        return;
    }
    if (code != CURLE_OK) {
        kube_lost(w->k);
        transfer_clear(t);
        str_set(&w->continue_token, NULL);
        retry_later(w);
        return;
    }
    if (http == 200) {
        list_page_done(w);
        return;
    }
    // An expired continue token begins the list again; a server that is busy is asked again.
    bool again = http == 410 || http == 429 || http == 503 || http == 504 || http == 502;
    if (again && w->backoff_ms < 5000) {
        transfer_clear(t);
        str_set(&w->continue_token, NULL);
        retry_later(w);
        return;
    }
    report_failure(w, (int)http, "");
}

static void start_list(struct kube_watch *w)
{
    if (!w->holds_list_slot) {
        w->holds_list_slot = true;
        w->k->lists_in_flight++;
    }
    w->stage = STAGE_LIST;
    split_clear(&w->split);
    w->split = (struct splitter){.item = on_item, .ctx = w};
    buf_reset(&w->error_body);
    CLEANUP(str_freep) char *base = kind_path(&w->kind, w->o.namespace, NULL);
    char *token = w->continue_token ? curl_easy_escape(NULL, w->continue_token, 0) : NULL;
    CLEANUP(str_freep)
    char *path =
        str_printf("%s?limit=%d%s%s", base, PAGE, token ? "&continue=" : "", token ? token : "");
    curl_free(token);
    transfer_init(&w->t, w->k, "GET", path, NULL, NULL);
    curl_easy_setopt(w->t.easy, CURLOPT_TIMEOUT_MS, LIST_TIMEOUT_MS);
    w->t.on_data = on_list_data;
    w->t.on_end = on_list_end;
    transfer_start(&w->t, w->k->work);
}

// One line of the stream; false ends it (listed again, or stopped).
static bool on_line(struct kube_watch *w, const char *p, size_t len)
{
    struct err err = {0};
    CLEANUP(json_freep) json_t *ev = NULL;
    if (!len)
        return true;
    if (!canon_read(p, len, &ev, &err)) {
        err_clear(&err);
        return true; // a cut line: the stream is about to end
    }
    const char *type = json_dot_str(ev, "type");
    json_t *doc = json_object_get(ev, "object");
    if (!type || !json_is_object(doc))
        return true;
    if (!strcmp(type, "ERROR")) {
        w->is_expired = true;
        return false;
    }
    const char *rv = json_dot_str(doc, "metadata.resourceVersion");
    if (rv)
        str_set(&w->resource_version, rv);
    if (!strcmp(type, "BOOKMARK"))
        return true;
    complete_type(w, doc);
    return tell(w,
                !strcmp(type, "ADDED")     ? KUBE_ADDED
                : !strcmp(type, "DELETED") ? KUBE_DELETED
                                           : KUBE_MODIFIED,
                doc);
}

static size_t on_watch_data(struct transfer *t, const char *p, size_t len)
{
    struct kube_watch *w = (struct kube_watch *)t;
    size_t all = len;
    if (http_of(t) != 200)
        return keep_error(w, p, len);
    w->backoff_ms = 0;
    while (len) {
        const char *nl = memchr(p, '\n', len);
        size_t n = nl ? (size_t)(nl - p) : len;
        if (w->line.len + n > MAX_LINE_BYTES) {
            w->is_expired = true;
            return 0;
        }
        buf_append(&w->line, p, n);
        if (!nl)
            break;
        bool go_on = on_line(w, w->line.p, w->line.len);
        buf_reset(&w->line);
        if (!go_on)
            return 0;
        p = nl + 1;
        len -= n + 1;
    }
    return all;
}

static void on_watch_end(struct transfer *t, CURLcode code, long http)
{
    struct kube_watch *w = (struct kube_watch *)t;
    if (w->is_stopped) {
        free_watch(w);
        return;
    }
    transfer_clear(t);
    buf_reset(&w->line);
    if (code != CURLE_OK && !w->is_expired && code != CURLE_PARTIAL_FILE &&
        code != CURLE_HTTP2_STREAM && code != CURLE_WRITE_ERROR) {
        kube_lost(w->k);
        retry_later(w);
    } else if (http == 404) {
        struct kube *k = w->k;
        end_watch(w);
        tell(w, KUBE_GONE, NULL);
        free_watch(w);
        next_list(k);
    } else if (w->is_expired || http == 410) {
        w->is_expired = true;
        str_set(&w->continue_token, NULL);
        w->stage = STAGE_IDLE;
        loop_timer_set(w->timer, 10);
    } else if (http == 200 && code == CURLE_OK) {
        w->stage = STAGE_IDLE;
        loop_timer_set(w->timer, 5); // a normal end
    } else {
        retry_later(w);
    }
}

static void start_watch(struct kube_watch *w)
{
    w->stage = STAGE_WATCH;
    buf_reset(&w->error_body);
    CLEANUP(str_freep) char *base = kind_path(&w->kind, w->o.namespace, NULL);
    CLEANUP(str_freep)
    char *path = str_printf("%s?watch=1&allowWatchBookmarks=true&timeoutSeconds=%d"
                            "&resourceVersion=%s",
                            base, WATCH_SECONDS, w->resource_version ? w->resource_version : "");
    transfer_init(&w->t, w->k, "GET", path, NULL, NULL);
    w->t.on_data = on_watch_data;
    w->t.on_end = on_watch_end;
    transfer_start(&w->t, w->k->watch);
}

struct kube_watch *kube_watch(struct kube *k, const struct kube_watch_opts *o)
{
    struct kube_watch *w = mem_alloc(sizeof(*w));
    w->k = k;
    w->o = *o;
    w->o.namespace = str_dup_or_null(o->namespace);
    w->kind = *o->kind;
    w->kind.group = str_dup(o->kind->group);
    w->kind.version = str_dup(o->kind->version);
    w->kind.kind = str_dup(o->kind->kind);
    w->kind.plural = str_dup(o->kind->plural);
    w->timer = loop_timer_new(k->loop, on_timer, w);
    *vec_push(&k->watches) = w;
    // Never a callback before this returns: the first request is only queued here.
    if (k->lists_in_flight < MAX_LISTS)
        start_list(w);
    return w;
}
