// SPDX-License-Identifier: Apache-2.0
#include "source/links.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"

// The kernel gives up after 40 links, Go's library after 255.
#define MAX_HOPS 255
// Names on the way, with all that links put in, and bytes of what is still to go: more is a trap.
#define MAX_STEPS 1000
#define MAX_REST 65536

enum outcome { LINKS_END, LINKS_OUT, LINKS_CIRCLE, LINKS_TRAP, LINKS_UNREAD };

struct link {
    struct buf path, text;
};

struct way {
    const struct links *l;
    struct buf at;           // where it has led: clean, no link in it
    struct buf rest;         // what is still to be gone
    struct link first, last; // the link of the path itself that is followed, and the last one
    size_t behind;           // what of the path comes behind the first
    unsigned hops, steps;
};

static void way_clear(struct way *w)
{
    buf_clear(&w->at);
    buf_clear(&w->rest);
    buf_clear(&w->first.path);
    buf_clear(&w->first.text);
    buf_clear(&w->last.path);
    buf_clear(&w->last.text);
}

static void set(struct buf *b, const char *s)
{
    buf_reset(b);
    buf_str(b, s);
}

// Back to the folder above; false at the top.
static bool go_up(struct buf *at)
{
    if (!at->len)
        return false;
    const char *slash = strrchr(at->p, '/');
    at->len = slash ? (size_t)(slash - at->p) : 0;
    at->p[at->len] = 0;
    return true;
}

static void note(struct link *k, const char *path, const struct buf *text)
{
    set(&k->path, path);
    buf_reset(&k->text);
    buf_append(&k->text, text->p ? text->p : "", text->len);
}

// The text of a link goes before the rest.
static enum outcome follow(struct way *w, const char *path, const struct buf *text,
                           const char *rest)
{
    size_t behind = strlen(rest);
    note(&w->last, path, text);
    // Within the text of another there is more behind it than behind that one.
    if (!w->hops || behind <= w->behind) {
        note(&w->first, path, text);
        w->behind = behind;
    }
    if (!text->len || text->p[0] == '/' || strlen(text->p) != text->len)
        return LINKS_OUT;
    if (++w->hops > MAX_HOPS)
        return LINKS_CIRCLE;
    if (text->len + behind > MAX_REST)
        return LINKS_TRAP;
    CLEANUP(str_freep) char *next = str_printf("%s/%s", text->p, rest);
    set(&w->rest, next);
    return LINKS_END;
}

// One name of the rest; *more is false at the end of it.
static enum outcome step(struct way *w, bool *more, struct err *err)
{
    const char *p = w->rest.p + strspn(w->rest.p, "/");
    size_t n = strcspn(p, "/");
    bool is_link = false;
    *more = n > 0;
    if (!n)
        return LINKS_END;
    if (++w->steps > MAX_STEPS)
        return LINKS_TRAP;
    CLEANUP(str_freep) char *name = str_ndup(p, n);
    CLEANUP(str_freep) char *rest = str_dup(p + n);
    if (!strcmp(name, "..") && !go_up(&w->at))
        return LINKS_OUT;
    if (!strcmp(name, ".") || !strcmp(name, "..")) {
        set(&w->rest, rest);
        return LINKS_END;
    }
    CLEANUP(str_freep) char *path = path_join(w->at.p, name);
    struct buf text CLEANUP(buf_clear) = {0};
    if (!w->l->read(w->l->ctx, path, &is_link, &text, err))
        return LINKS_UNREAD;
    if (!is_link) {
        set(&w->at, path);
        set(&w->rest, rest);
        return LINKS_END;
    }
    return follow(w, path, &text, rest);
}

static enum outcome walk(struct way *w, const char *path, struct err *err)
{
    bool more = true;
    set(&w->at, "");
    set(&w->rest, path);
    while (more) {
        enum outcome o = step(w, &more, err);
        if (o != LINKS_END)
            return o;
    }
    return LINKS_END;
}

static bool leaves(const struct way *w, const char *path, struct err *err)
{
    const struct link *k = &w->first;
    const struct link *last = &w->last;
    if (!k->path.len)
        return err_set(err, ERR_INVALID, "path \"%s\" leaves the %s", path, w->l->whole);
    CLEANUP(str_freep) char *through = NULL;
    if (strcmp(k->path.p, last->path.p) != 0)
        through = str_printf(" through %s, which leads to \"%.200s\"", last->path.p, last->text.p);
    return err_set(err, ERR_INVALID, "%s is a link that leaves the %s: it leads to \"%.200s\"%s",
                   k->path.p, w->l->whole, k->text.p, through ? through : "");
}

static bool explain(enum outcome o, const struct way *w, const char *path, struct err *err)
{
    switch (o) {
    case LINKS_END:
        return true;
    case LINKS_OUT:
        return leaves(w, path, err);
    case LINKS_CIRCLE:
    case LINKS_TRAP:
        return err_set(err, ERR_INVALID, "%s: too many links", path);
    case LINKS_UNREAD: // it is said already
        break;
    }
    return false;
}

bool links_resolve(const struct links *l, const char *path, char **out, struct err *err)
{
    struct way w CLEANUP(way_clear) = {.l = l};
    if (!explain(walk(&w, path, err), &w, path, err))
        return false;
    *out = buf_take(&w.at);
    return true;
}

bool links_stay(const struct links *l, const char *path, struct err *err)
{
    struct way w CLEANUP(way_clear) = {.l = l};
    enum outcome o = walk(&w, path, err);
    return o == LINKS_CIRCLE || explain(o, &w, path, err); // nobody follows so many
}
