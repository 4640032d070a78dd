// SPDX-License-Identifier: Apache-2.0
//
// LIST once in pages, then WATCH from there for ever: clean ends are normal and resumed at once, a
// compacted resourceVersion lists again (spec kubernetes-api section 5).
#include <stdlib.h>
#include <string.h>

#include "kube/kube_int.h"

#define PAGE 500
#define SELECTED "&labelSelector="
#define MAX_LISTS 12
#define MAX_LINE_BYTES (16U << 20)
#define LIST_TIMEOUT_MS 60000L
#define WATCH_SECONDS 1800
// Bookmarks come once a minute: a net under the ping, for the connections it did not take.
#define SILENT_SECONDS 150L
#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 5000
// How long a list is asked for again when the server is busy, starting, or converts in vain.
#define BUSY_MS 60000
#define UNCONVERTED_MS 3000
#define UNKNOWN_MS 10000
// A watch that ends sooner, with nothing said, is not begun again at once.
#define SHORT_WATCH_MS 1000

enum stage { STAGE_IDLE, STAGE_LIST, STAGE_LISTED, STAGE_WATCH };

struct kube_watch {
    struct transfer t;
    struct kube *k;
    struct kind_info kind; // owned strings
    struct kube_watch_opts o;
    enum stage stage;
    struct splitter split;
    struct buf line, error_body;
    char *resource_version; // of the finished list or the last event
    char *list_version, *continue_token;
    struct loop_timer *timer;
    int64_t backoff_ms, asked_ms, began_ms;
    int64_t list_ms; // when the list under way, or the last one, was begun
    bool is_stopped, holds_list_slot;
    bool is_listed;   // there is a resource_version to watch from
    bool has_items;   // of a list that is not finished
    bool has_events;  // of the watch that runs
    bool was_refused; // its credential was, once
    unsigned outage;  // of the server, at the time of the list
    unsigned busy;    // callbacks of ours on the stack
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
    free(w->list_version);
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

// Parses an item, or an event around one, without what its owner does not want.
static bool read_doc(const struct kube_watch *w, const char *p, size_t len, bool is_event,
                     json_t **out, struct err *err)
{
    bool is_light = is_event && w->o.light_changes;
    bool is_crd = !strcmp(w->kind.kind, "CustomResourceDefinition");
    const struct canon_skip skip[] = {{"managedFields", is_event ? 3 : 2},
                                      {is_crd && is_light ? "openAPIV3Schema" : NULL, 0},
                                      {NULL, 0}};
    struct buf b CLEANUP(buf_clear) = {0};
    if (w->o.with_managed_fields && !is_light)
        return canon_read(p, len, out, err);
    canon_without(p, len, skip, &b);
    return canon_read(b.p ? b.p : "", b.len, out, err);
}

static bool on_item(void *ctx, const char *p, size_t len)
{
    struct kube_watch *w = ctx;
    struct err err = {0};
    CLEANUP(json_freep) json_t *doc = NULL;
    if (!read_doc(w, p, len, false, &doc, &err) || !json_is_object(doc)) {
        err_clear(&err);
        return false;
    }
    complete_type(w, doc);
    w->has_items = true;
    return tell(w, KUBE_ITEM, doc);
}

static void retry_later(struct kube_watch *w, int64_t at_least_ms)
{
    w->backoff_ms = !w->backoff_ms                       ? BACKOFF_MIN_MS
                    : w->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS
                                                         : w->backoff_ms * 2;
    release_slot(w);
    w->stage = STAGE_IDLE;
    loop_timer_set(w->timer, at_least_ms > w->backoff_ms ? at_least_ms : w->backoff_ms);
}

// The list begins anew; its owner forgets what it has been told of it. False: it stopped us.
static bool list_again(struct kube_watch *w)
{
    w->is_listed = false;
    str_set(&w->continue_token, NULL);
    if (!w->has_items)
        return true;
    w->has_items = false;
    return tell(w, KUBE_RESTARTED, NULL);
}

static void on_timer(void *ctx)
{
    struct kube_watch *w = ctx;
    struct kube *k = w->k;
    if (kube_is_down(k) || !auth_is_ready(k)) {
        loop_timer_set(w->timer, 250); // woken when the server is back
        return;
    }
    // A server that was gone may have come back with an older state: its versions mean nothing.
    if (w->outage != k->outages)
        w->is_listed = false;
    if (w->is_listed)
        start_watch(w);
    else if (k->lists_in_flight < MAX_LISTS || w->holds_list_slot)
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

static size_t on_list_data(struct transfer *t, const char *p, size_t len)
{
    struct kube_watch *w = (struct kube_watch *)t;
    if (transfer_http(t) != 200)
        return keep_error(w, p, len);
    return split_feed(&w->split, p, len) ? len : 0;
}

// What the refusal amounts to; its texts live in *store.
static struct kube_reply refusal(struct kube_watch *w, int http, struct buf *store)
{
    static const struct asked asked = {.method = "GET"};
    struct kube_reply r = {
        .http = http, .retry_after_ms = w->t.retry_after_ms, .reason = "", .message = ""};
    buf_char(&w->error_body, 0);
    r.body = w->error_body.p;
    r.body_len = w->error_body.len - 1;
    classify(&r, &asked, w->t.content_type, store);
    return r;
}

static void report_failure(struct kube_watch *w, const struct kube_reply *r)
{
    struct kube *k = w->k;
    end_watch(w);
    w->busy++;
    if (w->o.failed)
        w->o.failed(w->o.ctx, r);
    w->busy--;
    free_watch(w);
    next_list(k);
}

// A list that is none; one that a proxy has cut is asked for once more.
static void unreadable(struct kube_watch *w)
{
    if (!w->split.failed && clock_mono_ms() - w->asked_ms < BUSY_MS) {
        transfer_clear(&w->t);
        if (list_again(w))
            retry_later(w, 0);
        else
            free_watch(w);
        return;
    }
    struct kube_reply r = {.cls = KUBE_INVALID,
                           .retry_after_ms = -1,
                           .reason = "",
                           .message = w->split.why ? w->split.why : "it is not a list"};
    report_failure(w, &r);
}

static void list_done(struct kube_watch *w)
{
    struct kube *k = w->k;
    CLEANUP(str_freep) char *key = str_printf("%s/%s", w->kind.group, w->kind.kind);
    json_object_set_new(
        k->lists_done, key,
        json_integer((json_int_t)kube_lists_done(k, w->kind.group, w->kind.kind) + 1));
    k->stats.lists++;
    release_slot(w);
    str_set(&w->resource_version, w->list_version);
    w->backoff_ms = w->asked_ms = 0;
    w->has_items = w->was_refused = false;
    w->is_listed = true;
    if (!tell(w, KUBE_SYNCED, NULL))
        free_watch(w);
    else if (w->o.list_only)
        w->stage = STAGE_LISTED; // nothing more comes; its owner stops it
    else
        start_watch(w);
    next_list(k);
}

static void list_page_done(struct kube_watch *w)
{
    struct err err = {0};
    CLEANUP(json_freep) json_t *head = NULL;
    if (w->split.depth || !w->split.head.p ||
        !canon_read(w->split.head.p, w->split.head.len, &head, &err) ||
        !json_dot_str(head, "metadata.resourceVersion")) {
        err_clear(&err);
        unreadable(w);
        return;
    }
    auth_accepted(w->k, w->t.generation);
    str_set(&w->list_version, json_dot_str(head, "metadata.resourceVersion"));
    const char *token = json_dot_str(head, "metadata.continue");
    str_set(&w->continue_token, str_is_empty(token) ? NULL : token);
    transfer_clear(&w->t);
    if (w->continue_token)
        start_list(w);
    else
        list_done(w);
}

// A refusal that another credential, another moment or another server state may undo.
static bool is_worth_asking_again(struct kube_watch *w, const struct kube_reply *r)
{
    if (r->http == 410 || kube_disbelieves(w->k, r->http))
        return true;
    int64_t waited = clock_mono_ms() - w->asked_ms;
    switch (r->cls) {
    case KUBE_THROTTLED:
        return true;
    case KUBE_RETRY:
        return waited < BUSY_MS;
    case KUBE_GATE:
        return waited < UNCONVERTED_MS;
    case KUBE_NO_KIND:
    case KUBE_ABSENT:
        return w->o.is_expected && waited < UNKNOWN_MS;
    case KUBE_UNAUTHORIZED:
        if (w->was_refused || !auth_refused(w->k, w->t.generation))
            return false;
        w->was_refused = true;
        return true;
    default:
        return false;
    }
}

static void on_list_end(struct transfer *t, CURLcode code, long http)
{
    struct kube_watch *w = (struct kube_watch *)t;
    struct buf store CLEANUP(buf_clear) = {0};
    struct kube_reply r = {.http = 410, .retry_after_ms = -1};
    if (w->is_stopped) {
        free_watch(w);
        return;
    }
    if (w->split.failed) {
        unreadable(w);
        return;
    }
    if (code == CURLE_OK && http == 200) {
        list_page_done(w);
        return;
    }
    kube_failed(w->k, code);
    if (code == CURLE_OK)
        r = refusal(w, (int)http, &store);
    if (code == CURLE_OK && !is_worth_asking_again(w, &r)) {
        report_failure(w, &r);
        return;
    }
    transfer_clear(t);
    if (list_again(w))
        retry_later(w, r.retry_after_ms);
    else
        free_watch(w);
}

static void start_list(struct kube_watch *w)
{
    if (!w->holds_list_slot) {
        w->holds_list_slot = true;
        w->k->lists_in_flight++;
    }
    if (!w->asked_ms)
        w->asked_ms = clock_mono_ms();
    if (!w->continue_token)
        w->list_ms = clock_mono_ms();
    w->stage = STAGE_LIST;
    w->outage = w->k->outages;
    split_clear(&w->split);
    w->split = (struct splitter){.item = on_item, .ctx = w};
    buf_reset(&w->error_body);
    CLEANUP(str_freep) char *base = kind_path(&w->kind, w->o.namespace, NULL);
    char *token = w->continue_token ? curl_easy_escape(NULL, w->continue_token, 0) : NULL;
    CLEANUP(str_freep)
    char *path =
        str_printf("%s?limit=%d%s%s%s%s", base, PAGE, w->o.labels ? SELECTED : "",
                   w->o.labels ? w->o.labels : "", token ? "&continue=" : "", token ? token : "");
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
    if (!read_doc(w, p, len, true, &ev, &err)) {
        err_clear(&err);
        return true; // a cut line: the stream is about to end
    }
    const char *type = json_dot_str(ev, "type");
    json_t *doc = json_object_get(ev, "object");
    if (!type || !json_is_object(doc))
        return true;
    if (!strcmp(type, "ERROR")) {
        w->is_listed = false;
        return false;
    }
    const char *rv = json_dot_str(doc, "metadata.resourceVersion");
    if (rv)
        str_set(&w->resource_version, rv);
    w->has_events = true;
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
    if (transfer_http(t) != 200)
        return keep_error(w, p, len);
    w->backoff_ms = 0;
    while (len) {
        const char *nl = memchr(p, '\n', len);
        size_t n = nl ? (size_t)(nl - p) : len;
        if (w->line.len + n > MAX_LINE_BYTES) {
            w->is_listed = false;
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

static void watch_gone(struct kube_watch *w)
{
    struct kube *k = w->k;
    end_watch(w);
    tell(w, KUBE_GONE, NULL);
    free_watch(w);
    next_list(k);
}

// Resumes from the last version, at once unless it ended as soon as it had begun.
static void resume(struct kube_watch *w)
{
    bool was_short = !w->has_events && clock_mono_ms() - w->began_ms < SHORT_WATCH_MS;
    if (was_short) {
        retry_later(w, 0);
        return;
    }
    w->stage = STAGE_IDLE;
    loop_timer_set(w->timer, 5);
}

static void on_watch_end(struct transfer *t, CURLcode code, long http)
{
    struct kube_watch *w = (struct kube_watch *)t;
    if (w->is_stopped) {
        free_watch(w);
        return;
    }
    int64_t retry_after_ms = t->retry_after_ms;
    unsigned generation = t->generation;
    transfer_clear(t);
    buf_reset(&w->line);
    kube_failed(w->k, code); // one that we ended ourselves is no failure
    if (code == CURLE_OK && http == 404 && !kube_disbelieves(w->k, http) && !w->o.is_expected) {
        watch_gone(w);
    } else if (code == CURLE_OK && http == 404) {
        w->is_listed = false; // whether it is gone shows when it is listed
        retry_later(w, 0);
    } else if (!w->is_listed || http == 410) {
        w->is_listed = false;
        w->stage = STAGE_IDLE;
        loop_timer_set(w->timer, 10);
    } else if (http == 200) {
        auth_accepted(w->k, generation);
        resume(w);
    } else {
        if (http == 401)
            auth_refused(w->k, generation);
        retry_later(w, retry_after_ms);
    }
}

static void start_watch(struct kube_watch *w)
{
    w->stage = STAGE_WATCH;
    w->has_events = false;
    w->began_ms = clock_mono_ms();
    buf_reset(&w->error_body);
    CLEANUP(str_freep) char *base = kind_path(&w->kind, w->o.namespace, NULL);
    CLEANUP(str_freep)
    char *path = str_printf("%s?watch=1&allowWatchBookmarks=true&timeoutSeconds=%d"
                            "&resourceVersion=%s%s%s",
                            base, WATCH_SECONDS, w->resource_version ? w->resource_version : "",
                            w->o.labels ? SELECTED : "", w->o.labels ? w->o.labels : "");
    transfer_init(&w->t, w->k, "GET", path, NULL, NULL);
    curl_easy_setopt(w->t.easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(w->t.easy, CURLOPT_LOW_SPEED_TIME, SILENT_SECONDS);
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

void watches_tidy(struct kube *k)
{
    for (size_t i = 0; i < k->watches.len; i++)
        if (!k->watches.v[i]->line.len) // it is between two lines
            buf_clear(&k->watches.v[i]->line);
}

int64_t kube_watch_list_ms(const struct kube_watch *w)
{
    return w->list_ms;
}

void kube_watch_follow(struct kube_watch *w)
{
    w->o.list_only = false;
    if (w->stage == STAGE_LISTED) {
        w->stage = STAGE_IDLE;
        loop_timer_set(w->timer, 0);
    }
}
