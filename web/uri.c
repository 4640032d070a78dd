// SPDX-License-Identifier: Apache-2.0
#include "web/uri.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static int hex_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool is_utf8(const char *s)
{
    json_t *j = json_string(s);
    json_decref(j);
    return j != NULL;
}

static bool is_control(unsigned char c, bool has_lines)
{
    if (has_lines && (c == '\n' || c == '\r' || c == '\t'))
        return false;
    return c < 0x20 || c == 0x7f;
}

char *uri_decode(const char *s, size_t len, bool has_plus, bool has_lines)
{
    CLEANUP(str_freep) char *out = mem_alloc(len + 1);
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        char c = s[i];
        if (c == '%') {
            if (len - i < 3 || hex_of(s[i + 1]) < 0 || hex_of(s[i + 2]) < 0)
                return NULL;
            c = (char)(hex_of(s[i + 1]) << 4 | hex_of(s[i + 2]));
            i += 2;
        } else if (c == '+' && has_plus) {
            c = ' ';
        }
        if (is_control((unsigned char)c, has_lines))
            return NULL;
        out[n++] = c;
    }
    return is_utf8(out) ? TAKE(out) : NULL;
}

// RFC 9112 asks a server to take the absolute form as well.
static const char *skip_authority(const char *raw)
{
    for (size_t i = 0; i < 2; i++) {
        const char *scheme = i ? "https://" : "http://";
        if (!strncmp(raw, scheme, strlen(scheme))) {
            const char *path = raw + strlen(scheme);
            path += strcspn(path, "/?#");
            return *path == '/' ? path : NULL;
        }
    }
    return *raw == '/' ? raw : NULL;
}

static bool add_segment(struct uri *u, const char *s, size_t len)
{
    if (!len || u->n == URI_MAX_SEGMENTS)
        return false;
    char *text = uri_decode(s, len, false, false);
    if (!text)
        return false;
    u->seg[u->n++] = text;
    return strcmp(text, ".") != 0 && strcmp(text, "..") != 0;
}

static bool read_path(struct uri *u, const char *s, size_t len)
{
    for (size_t at = 1; at < len;) {
        const char *end = memchr(s + at, '/', len - at);
        size_t n = end ? (size_t)(end - s) - at : len - at;
        if (!add_segment(u, s + at, n))
            return false;
        at += n + 1;
        if (end && at == len)
            return false; // a slash at the end names something else
    }
    return true;
}

static bool read_query(struct uri *u, const char *s)
{
    while (*s) {
        size_t len = strcspn(s, "&");
        const char *eq = memchr(s, '=', len);
        size_t key = eq ? (size_t)(eq - s) : len;
        if (len) {
            if (u->params == URI_MAX_PARAMS)
                return false;
            char **k = &u->param[u->params].key;
            char **v = &u->param[u->params++].value;
            *k = uri_decode(s, key, true, false);
            *v = uri_decode(eq ? eq + 1 : s, eq ? len - key - 1 : 0, true, false);
            if (!*k || !*v)
                return false;
        }
        s += len;
        s += *s == '&';
    }
    return true;
}

bool uri_parse(const char *raw, struct uri *out, struct err *err)
{
    *out = (struct uri){0};
    const char *path = strnlen(raw, URI_MAX_BYTES + 1) > URI_MAX_BYTES ? NULL : skip_authority(raw);
    if (path) {
        size_t len = strcspn(path, "?");
        if (!strchr(path, '#') && read_path(out, path, len) &&
            (!path[len] || read_query(out, path + len + 1)))
            return true;
    }
    uri_clear(out);
    return err_set(err, ERR_INVALID, "malformed request target");
}

void uri_clear(struct uri *u)
{
    for (size_t i = 0; i < u->n; i++)
        free(u->seg[i]);
    for (size_t i = 0; i < u->params; i++) {
        free(u->param[i].key);
        free(u->param[i].value);
    }
    *u = (struct uri){0};
}
