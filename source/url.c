// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "source/http.h"

char *url_redacted(const char *url)
{
    return repo_url_shown(url);
}

char *url_shown(const char *url)
{
    static const char *const questions[] = {
        "/info/refs?service=git-upload-pack", "/git-upload-pack",
        "/info/refs?service=git-receive-pack", "/git-receive-pack"};
    char *u = url_redacted(url);
    for (size_t i = 0; i < ARRAY_LEN(questions); i++)
        if (str_ends(u, questions[i]))
            u[strlen(u) - strlen(questions[i])] = 0;
    return u;
}

bool url_same_host(const char *a, const char *b)
{
    CLEANUP(str_freep) char *x = url_origin(a);
    CLEANUP(str_freep) char *y = url_origin(b);
    return !strcmp(x, y);
}

static bool covers(const char *prefix, const char *url)
{
    size_t n = strlen(prefix);
    if (strncmp(prefix, url, n) != 0)
        return false;
    return !url[n] || url[n] == '/' || url[n] == '.' || (n && prefix[n - 1] == '/');
}

static bool leaves(const char *rest)
{
    for (const char *at = strstr(rest, ".."); at; at = strstr(at + 1, ".."))
        if ((at == rest || at[-1] == '/') && (!at[2] || at[2] == '/'))
            return true;
    return false;
}

char *source_mirror_url(const struct source_opts *o, const char *url)
{
    const struct source_mirror *best = NULL;
    for (size_t i = 0; i < o->n_mirrors; i++)
        if (covers(o->mirrors[i].from, url) &&
            (!best || strlen(o->mirrors[i].from) > strlen(best->from)))
            best = &o->mirrors[i];
    if (!best)
        return str_dup(url);
    const char *rest = url + strlen(best->from);
    if (leaves(rest)) // the mirror
        return str_dup(url);
    // A repository is the same with and without its ending, but a folder is not.
    return str_printf("%s%s", best->to, strcmp(rest, ".git") != 0 ? rest : "");
}
