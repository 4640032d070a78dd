// SPDX-License-Identifier: Apache-2.0
//
// A push scanner over the JSON of a LIST: hands out each element of the top-level "items" as its
// last byte arrives, so that no list is ever held or parsed as a whole.
#include <string.h>

#include "kube/kube_int.h"

#define MAX_ITEM_BYTES (8U << 20)
#define MAX_HEAD_BYTES (1U << 20)
#define MAX_DEPTH 512

void split_clear(struct splitter *s)
{
    buf_clear(&s->head);
    buf_clear(&s->item_bytes);
    buf_clear(&s->key);
}

static bool fail(struct splitter *s, const char *why)
{
    s->failed = true;
    s->why = why;
    return false;
}

static bool keep(struct splitter *s, char c)
{
    if (s->in_items && s->depth >= 2) {
        if (s->item_bytes.len >= MAX_ITEM_BYTES)
            return fail(s, "an item is larger than 8 MiB");
        buf_char(&s->item_bytes, c);
        return true;
    }
    if (s->head.len >= MAX_HEAD_BYTES)
        return fail(s, "the list's own fields are larger than 1 MiB");
    buf_char(&s->head, c);
    return true;
}

static bool close_item(struct splitter *s)
{
    bool ok = s->item(s->ctx, s->item_bytes.p, s->item_bytes.len);
    buf_reset(&s->item_bytes);
    return ok || fail(s, "an item could not be read");
}

static bool in_string(struct splitter *s, char c)
{
    if (s->escaped) {
        s->escaped = false;
    } else if (c == '\\') {
        s->escaped = true;
    } else if (c == '"') {
        s->in_string = false;
        if (s->depth == 1)
            s->saw_key = true;
    }
    if (s->depth == 1 && s->in_string && s->key.len < 64)
        buf_char(&s->key, c);
    return keep(s, c);
}

static bool open_bracket(struct splitter *s, char c)
{
    if (++s->depth > MAX_DEPTH)
        return fail(s, "nested too deep");
    if (s->depth == 2 && c == '[' && s->expect_items) {
        // The bracket itself belongs to the head; what follows are items.
        buf_char(&s->head, c);
        s->in_items = true;
        s->expect_items = false;
        return true;
    }
    return keep(s, c);
}

static bool close_bracket(struct splitter *s, char c)
{
    if (s->depth == 0)
        return fail(s, "unbalanced brackets");
    if (s->in_items && s->depth == 2) {
        s->in_items = false;
        s->depth--;
        buf_char(&s->head, c);
        return true;
    }
    if (!keep(s, c))
        return false;
    s->depth--;
    return !s->in_items || s->depth != 2 || close_item(s);
}

static bool feed_one(struct splitter *s, char c)
{
    if (s->in_string)
        return in_string(s, c);
    switch (c) {
    case '"':
        if (s->in_items && s->depth == 2)
            return fail(s, "an item is not a map");
        s->in_string = true;
        if (s->depth == 1)
            buf_reset(&s->key);
        return keep(s, c);
    case '{':
    case '[':
        return open_bracket(s, c);
    case '}':
    case ']':
        return close_bracket(s, c);
    case ':':
        if (s->depth == 1 && s->saw_key)
            s->expect_items = s->key.len == 5 && !memcmp(s->key.p, "items", 5);
        s->saw_key = false;
        return keep(s, c);
    case ',':
        if (s->depth == 1)
            s->expect_items = false;
        if (s->in_items && s->depth == 2)
            return true;
        return keep(s, c);
    default:
        if (s->in_items && s->depth == 2) {
            bool blank = c == ' ' || c == '\n' || c == '\t' || c == '\r';
            return blank || fail(s, "an item is not a map");
        }
        return keep(s, c);
    }
}

// Inside an item most bytes are neither quotes nor brackets: they are copied in one go.
static size_t plain_run(const struct splitter *s, const char *p, size_t len)
{
    if (!s->in_items || s->depth < 3 || s->escaped)
        return 0;
    size_t n = 0;
    if (s->in_string)
        while (n < len && p[n] != '"' && p[n] != '\\')
            n++;
    else
        while (n < len && p[n] != '"' && p[n] != '{' && p[n] != '}' && p[n] != '[' && p[n] != ']')
            n++;
    return n;
}

bool split_feed(struct splitter *s, const char *p, size_t len)
{
    if (s->failed)
        return false;
    for (size_t i = 0; i < len;) {
        size_t n = plain_run(s, p + i, len - i);
        if (n) {
            if (s->item_bytes.len + n > MAX_ITEM_BYTES)
                return fail(s, "an item is larger than 8 MiB");
            buf_append(&s->item_bytes, p + i, n);
            i += n;
            continue;
        }
        if (!feed_one(s, p[i]))
            return false;
        i++;
    }
    return true;
}
