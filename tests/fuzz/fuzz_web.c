// SPDX-License-Identifier: Apache-2.0
//
// What the server takes apart by itself: the first byte says which form, the rest is it. A target;
// a header's token; an event's id; a delivery of each host, its first line being the event, its
// second a signature.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "web/web_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool has_control(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return true;
    return false;
}

static void target(const char *text, size_t len)
{
    struct uri u;
    struct err err = {0};
    bool is_path;
    const char *allow;
    (void)len;
    if (uri_parse(text, &u, &err)) {
        for (size_t i = 0; i < u.n; i++)
            if (!*u.seg[i] || has_control(u.seg[i]) || !strcmp(u.seg[i], ".."))
                abort();
        for (size_t i = 0; i < u.params; i++)
            if (has_control(u.param[i].key) || has_control(u.param[i].value))
                abort();
        web_route(&u, &allow, len & 1, &is_path);
    } else if (err.kind != ERR_INVALID || u.n || u.params) {
        abort();
    }
    err_clear(&err);
    uri_clear(&u);
}

static void header(const char *text, size_t len)
{
    const char *token = NULL;
    size_t n = 0;
    if (web_bearer(text, &token, &n) && (!n || token < text || token + n > text + len))
        abort();
}

static void event_id(const char *text, size_t len)
{
    uint64_t seq = 0;
    (void)len;
    if (web_event_id(text, "0123456789abcdef", &seq) && seq > INT64_MAX)
        abort();
}

static char *line_of(const char **at, size_t *len)
{
    const char *end = memchr(*at, '\n', *len);
    size_t n = end ? (size_t)(end - *at) : *len;
    char *line = str_ndup(*at, n);
    *at += n + !!end;
    *len -= n + !!end;
    return line;
}

static void delivery(enum push_host h, const char *content_type, const char *text, size_t len)
{
    CLEANUP(str_freep) char *event = line_of(&text, &len);
    CLEANUP(str_freep) char *signature = line_of(&text, &len);
    struct push_from f = {.github_event = h == PUSH_GITHUB || h == PUSH_GITEA ? event : NULL,
                          .gitea_event = h == PUSH_GITEA ? event : NULL,
                          .gitlab_event = h == PUSH_GITLAB ? event : NULL,
                          .hub_signature = signature,
                          .gitea_signature = signature,
                          .gitlab_token = signature,
                          .content_type = content_type};
    struct strv secrets = {0};
    struct push_read r;
    struct err err = {0};
    bool is_push = false;
    strv_push(&secrets, "s3cret");
    push_is_signed(&f, text, len, &secrets);
    strv_clear(&secrets);
    bool ok = push_parse(&f, text, len, &r, &is_push, &err);
    if (!ok && (err.kind != ERR_INVALID || is_push || r.doc))
        abort();
    if (is_push && (!r.push.repos.len || !str_starts(r.push.ref, "refs/") ||
                    (r.push.has_paths != (r.push.paths.len > 0))))
        abort();
    push_read_clear(&r);
    err_clear(&err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    CLEANUP(str_freep) char *text = mem_dup(data + 1, size - 1);
    size_t len = size - 1;
    switch (data[0] % 8) {
    case 0:
        target(text, len);
        break;
    case 1:
        header(text, len);
        break;
    case 2:
        event_id(text, len);
        break;
    case 3:
        delivery(PUSH_GITHUB, "application/x-www-form-urlencoded", text, len);
        break;
    default:
        delivery((enum push_host)(data[0] % 4), "application/json", text, len);
        break;
    }
    return 0;
}
