// SPDX-License-Identifier: Apache-2.0
#include "source/gitmodules.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#include "base/file.h"
#include "source/ssh.h"

#define MAX_MODULES 1000
#define MAX_VALUE 4096

struct reader {
    const char *p, *end;
    unsigned line;
    struct gitmodules *out;
    struct gitmodule *at; // the submodule whose section this is; NULL in any other
};

void gitmodules_clear(struct gitmodules *m)
{
    for (size_t i = 0; i < m->v.len; i++) {
        free(m->v.v[i].name);
        free(m->v.v[i].path);
        free(m->v.v[i].url);
    }
    vec_clear(&m->v);
}

static bool bad(const struct reader *r, const char *what, struct err *err)
{
    return err_set(err, ERR_INVALID, ".gitmodules:%u: %s", r->line, what);
}

static void skip_blanks(struct reader *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\r'))
        r->p++;
}

static void skip_line(struct reader *r)
{
    while (r->p < r->end && *r->p != '\n')
        r->p++;
}

static struct gitmodule *module_named(struct reader *r, const char *name)
{
    for (size_t i = 0; i < r->out->v.len; i++)
        if (!strcmp(r->out->v.v[i].name, name))
            return &r->out->v.v[i];
    if (r->out->v.len >= MAX_MODULES)
        return NULL;
    struct gitmodule *m = vec_push(&r->out->v);
    m->name = str_dup(name);
    return m;
}

// [submodule "name"]
static bool read_section(struct reader *r, struct err *err)
{
    struct buf name CLEANUP(buf_clear) = {0};
    const char *word = ++r->p;
    while (r->p < r->end && (isalnum((unsigned char)*r->p) || *r->p == '.' || *r->p == '-'))
        r->p++;
    bool ours = r->p - word == 9 && !strncasecmp(word, "submodule", 9);
    r->at = NULL;
    skip_blanks(r);
    bool quoted = r->p < r->end && *r->p == '"';
    if (quoted) {
        for (r->p++; r->p < r->end && *r->p != '"'; r->p++) {
            if (*r->p == '\\')
                r->p++;
            if (r->p >= r->end || *r->p == '\n' || !*r->p || name.len > MAX_VALUE)
                return bad(r, "a name without end", err);
            buf_char(&name, *r->p);
        }
        if (r->p < r->end)
            r->p++;
    }
    if (r->p >= r->end || *r->p != ']')
        return bad(r, "a section without end", err);
    r->p++;
    if (!ours || !quoted)
        return true;
    r->at = module_named(r, name.p ? name.p : "");
    return r->at != NULL || bad(r, "too many submodules", err);
}

// A backslash and what follows it; a line end there goes on with the value.
static bool read_escape(struct reader *r, struct buf *out, struct err *err)
{
    static const char from[] = "nt\"\\b";
    static const char to[] = "\n\t\"\\\b";
    if (++r->p >= r->end)
        return bad(r, "a backslash at the end", err);
    if (*r->p == '\r' && r->p + 1 < r->end && r->p[1] == '\n')
        r->p++;
    if (*r->p == '\n') {
        r->line++;
        return true;
    }
    const char *at = *r->p ? strchr(from, *r->p) : NULL;
    if (!at)
        return bad(r, "an escape that is not known", err);
    buf_char(out, to[at - from]);
    return true;
}

static bool read_value(struct reader *r, struct buf *out, struct err *err)
{
    bool quoted = false;
    size_t keep = 0; // blanks at the end go, unless they are quoted
    skip_blanks(r);
    for (; r->p < r->end && *r->p != '\n'; r->p++) {
        char c = *r->p;
        if (out->len > MAX_VALUE || !c)
            return bad(r, "a value that is too long, or binary", err);
        if (!quoted && (c == '#' || c == ';')) {
            skip_line(r);
            break;
        }
        if (c == '"') {
            quoted = !quoted;
            keep = out->len;
        } else if (c == '\\') {
            if (!read_escape(r, out, err))
                return false;
            keep = out->len;
        } else {
            buf_char(out, c);
            if (quoted || !isspace((unsigned char)c))
                keep = out->len;
        }
    }
    if (quoted)
        return bad(r, "a quote without end", err);
    if (out->p) {
        out->len = keep;
        out->p[keep] = 0;
    }
    return true;
}

static bool read_key(struct reader *r, struct err *err)
{
    const char *key = r->p;
    struct buf value CLEANUP(buf_clear) = {0};
    while (r->p < r->end && (isalnum((unsigned char)*r->p) || *r->p == '-'))
        r->p++;
    size_t n = (size_t)(r->p - key);
    if (!n)
        return bad(r, "neither a section nor a key", err);
    skip_blanks(r);
    if (r->p < r->end && *r->p == '=') {
        r->p++;
        if (!read_value(r, &value, err))
            return false;
    } else if (r->p < r->end && *r->p != '\n' && *r->p != '#' && *r->p != ';') {
        return bad(r, "a key without a value", err);
    }
    char **slot = !r->at                                   ? NULL
                  : n == 4 && !strncasecmp(key, "path", 4) ? &r->at->path
                  : n == 3 && !strncasecmp(key, "url", 3)  ? &r->at->url
                                                           : NULL;
    if (slot)
        str_set(slot, value.p ? value.p : "");
    return true;
}

bool gitmodules_read(const char *text, size_t len, struct gitmodules *out, struct err *err)
{
    struct reader r = {.p = text, .end = text + len, .line = 1, .out = out};
    while (r.p < r.end) {
        skip_blanks(&r);
        if (r.p >= r.end)
            break;
        bool ok = true;
        if (*r.p == '\n') {
            r.p++;
            r.line++;
        } else if (*r.p == '#' || *r.p == ';') {
            skip_line(&r);
        } else if (*r.p == '[') {
            ok = read_section(&r, err);
        } else {
            ok = read_key(&r, err);
        }
        if (!ok)
            return false;
    }
    return true;
}

const char *gitmodules_url(const struct gitmodules *m, const char *path)
{
    const char *url = NULL;
    for (size_t i = 0; i < m->v.len; i++) {
        const struct gitmodule *x = &m->v.v[i];
        CLEANUP(str_freep) char *clean = NULL;
        if (x->path && x->url && *x->url && path_clean(x->path, &clean) && !strcmp(clean, path))
            url = x->url;
    }
    return url;
}

// Where the path begins: behind the host, or behind the colon of user@host:path.
static size_t path_begin(const char *url)
{
    const char *sep = strstr(url, "://");
    if (sep)
        return (size_t)(sep + 3 - url) + strcspn(sep + 3, "/");
    return ssh_is_url(url) ? strcspn(url, ":") + 1 : 0;
}

static bool resolve_relative(const char *parent, const char *url, char **out, struct err *err)
{
    CLEANUP(str_freep) char *base = str_dup(parent);
    size_t first = path_begin(base);
    size_t n = strlen(base);
    while (n > first && base[n - 1] == '/')
        base[--n] = 0;
    while (str_starts(url, "./") || str_starts(url, "../")) {
        bool up = url[1] == '.';
        url += up ? 3 : 2;
        if (!up)
            continue;
        if (n <= first)
            return err_set(err, ERR_INVALID, "its URL leaves the host");
        while (n > first && base[n - 1] != '/')
            n--;
        while (n > first && base[n - 1] == '/')
            n--;
        base[n] = 0;
    }
    bool colon = n && base[n - 1] == ':';
    *out = str_printf("%s%s%s", base, colon ? "" : "/", url);
    return true;
}

bool gitmodules_resolve(const char *parent, const char *url, char **out, struct err *err)
{
    for (const char *p = url; *p; p++)
        if (iscntrl((unsigned char)*p))
            return err_set(err, ERR_INVALID, "its URL holds control characters");
    if (str_starts(url, "./") || str_starts(url, "../"))
        return resolve_relative(parent, url, out, err);
    if (*url != '-' &&
        (str_starts(url, "https://") || str_starts(url, "http://") || ssh_is_url(url))) {
        *out = str_dup(url);
        return true;
    }
    return err_set(err, ERR_INVALID, "its URL is neither https, http, ssh nor relative");
}
