// SPDX-License-Identifier: Apache-2.0
#include "web/web_int.h"

#include <string.h>

#define APP "/api/v1/applications/*"
#define ACT_BYTES (64U << 10)

static const struct route routes[] = {
    {.path = "/", .answer = page_answer_root},
    {.path = "/status.css", .answer = page_answer_css},
    {.path = "/status.js", .answer = page_answer_js},
    {.path = "/healthz", .answer = api_healthz},
    {.path = "/readyz", .answer = api_readyz},
    {.path = "/metrics", .verb = "get", .is_non_resource = true, .answer = figures_answer},
    {.path = "/api/v1/applications", .verb = "list", .answer = api_applications},
    {.path = APP, .verb = "get", .answer = api_application},
    {.path = APP "/refresh", true, "update", .body_bytes = ACT_BYTES, .answer = api_act},
    {.path = APP "/sync", true, "update", .body_bytes = ACT_BYTES, .answer = api_act},
    {.path = APP "/suspend", true, "update", .body_bytes = ACT_BYTES, .answer = api_act},
    {.path = APP "/resume", true, "update", .body_bytes = ACT_BYTES, .answer = api_act},
    {.path = "/api/v1/fleet", .verb = "list", .answer = api_fleet},
    {.path = "/api/v1/events", .verb = "list", .answer = streams_answer},
    {.path = "/api/webhook", true, .body_bytes = PUSH_MAX_BYTES, .answer = push_answer},
};

static bool is_at(const char *path, const struct uri *u)
{
    for (size_t i = 0; i < u->n; i++) {
        const char *seg = ++path;
        size_t len = strcspn(seg, "/");
        path = seg + len;
        bool is_any = len == 1 && *seg == '*';
        if (!len || (!is_any && (strlen(u->seg[i]) != len || strncmp(seg, u->seg[i], len) != 0)))
            return false;
        if (!*path && i + 1 < u->n)
            return false;
    }
    return !u->n ? !path[1] : !*path;
}

const struct route *web_route(const struct uri *u, const char **allow, bool is_post, bool *is_path)
{
    *is_path = false;
    for (size_t i = 0; i < ARRAY_LEN(routes); i++)
        if (is_at(routes[i].path, u)) {
            *is_path = true;
            *allow = routes[i].is_post ? "POST" : "GET, HEAD";
            return routes[i].is_post == is_post ? &routes[i] : NULL;
        }
    return NULL;
}
