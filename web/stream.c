// SPDX-License-Identifier: Apache-2.0
//
// Server-sent events. What happened last is kept once, in a ring bounded by bytes; a follower is a
// place in it and owns no memory that grows. Whoever reads so slowly that the ring has gone on over
// his place is let go. An id is "BOOT-SEQ": one of another process, or too old, gets "reset" first,
// which means: read the documents anew.
#include "web/web_int.h"

#include <inttypes.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define MAX_EVENT_BYTES (16U << 10)
#define MAX_TYPE 64
#define BLOCK_BYTES 4096

struct line {
    uint64_t seq;
    char *text; // as it goes out
    size_t len;
};

struct streams {
    struct web_server *w;
    char boot[17];
    VEC(struct line) lines; // oldest first, from `from` on
    size_t from, bytes;
    uint64_t last; // number of the newest
    struct stream *first;
    size_t n;
    struct loop_timer *beat;
};

struct stream {
    struct streams *all;
    struct stream *next;
    struct ask *ask;
    uint64_t seq;  // the line being sent, or the next one
    size_t offset; // bytes of it that went out
    char *head;    // what comes before any line
    size_t head_len;
    bool is_beat_due;
    int64_t end_at;
};

// ---- ids ----

bool web_event_id(const char *header, const char *boot, uint64_t *seq)
{
    size_t n = strlen(boot);
    long long v;
    if (!header || strlen(header) > n + 20 || strncmp(header, boot, n) != 0 || header[n] != '-' ||
        !str_to_int(header + n + 1, 0, INT64_MAX, &v))
        return false;
    *seq = (uint64_t)v;
    return true;
}

// ---- the ring ----

static uint64_t oldest(const struct streams *s)
{
    return s->from < s->lines.len ? s->lines.v[s->from].seq : s->last + 1;
}

static void forget(struct streams *s, size_t most)
{
    while (s->from < s->lines.len && s->bytes > most) {
        struct line *l = &s->lines.v[s->from++];
        s->bytes -= l->len;
        free(l->text);
        l->text = NULL;
    }
    if (s->from > 64 && s->from * 2 > s->lines.len) {
        s->lines.len -= s->from;
        memmove(s->lines.v, s->lines.v + s->from, s->lines.len * sizeof(*s->lines.v));
        s->from = 0;
    }
}

static bool is_plain(const char *type)
{
    size_t n = strlen(type);
    return n && n <= MAX_TYPE &&
           strspn(type, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") == n;
}

static void wake(struct streams *s)
{
    for (struct stream *t = s->first; t; t = t->next)
        web_resume(t->ask);
}

// JSON in one line has neither line ends nor anything else that would end a field.
void streams_emit(void *ctx, const json_t *event)
{
    struct streams *s = ctx;
    const char *type = json_dot_text(event, "type");
    if (!is_plain(type))
        return;
    char *data = json_dumps(event, JSON_COMPACT);
    if (!data)
        return;
    struct line l = {.seq = ++s->last};
    struct buf b = {0};
    buf_printf(&b, "id: %s-%" PRIu64 "\nevent: %s\ndata: ", s->boot, l.seq, type);
    if (strlen(data) <= MAX_EVENT_BYTES)
        buf_str(&b, data);
    else
        buf_printf(&b, "{\"type\":\"%s\",\"fields_lost\":true}", type);
    buf_str(&b, "\n\n");
    free(data);
    l.len = b.len;
    l.text = buf_take(&b);
    s->bytes += l.len;
    *vec_push(&s->lines) = l;
    forget(s, s->w->limits.replay_bytes);
    wake(s);
}

// ---- a follower ----

static size_t give(char *to, size_t room, const char *from, size_t len, size_t *offset)
{
    size_t n = len - *offset < room ? len - *offset : room;
    memcpy(to, from + *offset, n);
    *offset += n;
    return n;
}

// As many bytes of lines as there is room for.
static size_t give_lines(struct stream *t, char *to, size_t room)
{
    struct streams *s = t->all;
    size_t n = 0;
    while (n < room && t->seq <= s->last) {
        struct line *l = &s->lines.v[s->from + (size_t)(t->seq - oldest(s))];
        n += give(to + n, room - n, l->text, l->len, &t->offset);
        if (t->offset == l->len) {
            t->seq++;
            t->offset = 0;
        }
    }
    return n;
}

static ssize_t on_read(void *ctx, uint64_t pos, char *to, size_t room)
{
    struct stream *t = ctx;
    struct streams *s = t->all;
    int64_t now = clock_mono_ms();
    int64_t drained = t->ask->conn->front->end_at;
    size_t n = 0;
    (void)pos;
    if (s->w->is_ending || t->ask->conn->is_cut)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (t->head) {
        n = give(to, room, t->head, t->head_len, &t->offset);
        if (t->offset == t->head_len) {
            str_set(&t->head, NULL);
            t->offset = 0;
        }
        return (ssize_t)n;
    }
    if (t->seq < oldest(s)) {
        s->w->counts.dropped++;
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    // Not in the middle of one: at an end it goes on behind its last id.
    if (!t->offset && (now >= t->end_at || (drained && t->seq > s->last)))
        return MHD_CONTENT_READER_END_OF_STREAM;
    n = give_lines(t, to, room);
    if (!n && t->is_beat_due && room >= 3)
        memcpy(to, ":\n\n", n = 3);
    t->is_beat_due = false;
    if (!n)
        web_suspend(t->ask);
    return (ssize_t)n;
}

static void on_beat(void *ctx)
{
    struct streams *s = ctx;
    for (struct stream *t = s->first; t; t = t->next)
        t->is_beat_due = true;
    wake(s);
    if (s->first)
        loop_timer_set(s->beat, s->w->limits.heartbeat_ms);
}

void streams_end(struct stream *t)
{
    struct streams *s = t->all;
    for (struct stream **at = &s->first; *at; at = &(*at)->next)
        if (*at == t) {
            *at = t->next;
            break;
        }
    s->n--;
    t->ask->stream = NULL;
    free(t->head);
    free(t);
}

static struct stream *begin(struct streams *s, struct ask *a)
{
    struct stream *t = mem_alloc(sizeof(*t));
    uint64_t seq = 0;
    const char *last = web_header(a, "Last-Event-ID");
    bool is_known = web_event_id(last, s->boot, &seq) && seq + 1 >= oldest(s) && seq <= s->last;
    t->all = s;
    t->ask = a;
    t->seq = is_known ? seq + 1 : s->last + 1;
    t->end_at = clock_mono_ms() + s->w->limits.stream_ms;
    t->head = is_known || !last
                  ? str_dup("retry: 2000\n\n")
                  : str_printf("retry: 2000\nid: %s-%" PRIu64 "\nevent: reset\ndata: {}\n\n",
                               s->boot, s->last);
    t->head_len = strlen(t->head);
    t->next = s->first;
    s->first = t;
    s->n++;
    a->stream = t;
    a->conn->deadline = t->end_at + s->w->limits.answer_ms;
    if (!loop_timer_is_set(s->beat))
        loop_timer_set(s->beat, s->w->limits.heartbeat_ms);
    return t;
}

void streams_answer(struct ask *a)
{
    struct streams *s = a->w->streams;
    if (s->n >= a->w->limits.streams) {
        web_respond_error(a, 503, "unavailable", "as many follow the events as may", "Retry-After",
                          "10");
        return;
    }
    struct MHD_Response *r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES,
                                                               on_read, begin(s, a), NULL);
    MHD_add_response_header(r, "Content-Type", "text/event-stream");
    MHD_add_response_header(r, "X-Accel-Buffering", "no");
    web_respond_with(a, 200, r);
}

// ---- life ----

struct streams *streams_new(struct web_server *w)
{
    struct streams *s = mem_alloc(sizeof(*s));
    unsigned char id[8] = {0};
    (void)!RAND_bytes(id, sizeof(id));
    CLEANUP(str_freep) char *hex = hex_encode(id, sizeof(id));
    memcpy(s->boot, hex, sizeof(s->boot));
    s->w = w;
    s->beat = loop_timer_new(w->loop, on_beat, s);
    return s;
}

void streams_free(struct streams *s)
{
    if (!s)
        return;
    forget(s, 0);
    vec_clear(&s->lines);
    loop_timer_free(s->beat);
    free(s);
}

size_t streams_count(const struct streams *s)
{
    return s->n;
}
