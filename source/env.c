// SPDX-License-Identifier: Apache-2.0
//
// The build environment (spec argo-cd section 1.6), and its variables in texts, replaced as Go's
// os.Expand does: an unknown variable is empty, "$$" is a dollar, "${}" and "${" are eaten.
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "source/render.h"
#include "source/witness.h"

static void add(struct strv *out, const char *name, const char *value, size_t max)
{
    size_t n = value ? strlen(value) : 0;
    strv_push_take(out, str_printf("%s=%.*s", name, (int)(n > max ? max : n), value ? value : ""));
}

void build_env(const struct render_job *j, struct strv *out)
{
    static const size_t all = 65536;
    const struct app_source *s = j->src;
    witness_env(j->ctx);
    add(out, "ARGOCD_APP_NAME", j->app->tracking_name, all);
    add(out, "ARGOCD_APP_NAMESPACE", j->app->dest_namespace, all);
    add(out, "ARGOCD_APP_PROJECT_NAME", j->app->project, all);
    add(out, "ARGOCD_APP_REVISION", j->revision, all);
    add(out, "ARGOCD_APP_REVISION_SHORT", j->revision, 7);
    add(out, "ARGOCD_APP_REVISION_SHORT_8", j->revision, 8);
    add(out, "ARGOCD_APP_SOURCE_REPO_URL", s ? s->repo_url : NULL, all);
    add(out, "ARGOCD_APP_SOURCE_PATH", s ? s->path : j->path, all);
    add(out, "ARGOCD_APP_SOURCE_TARGET_REVISION", s ? s->target_revision : NULL, all);
}

static bool is_special(char c)
{
    return c && strchr("*#$@!?-0123456789", c);
}

// The name behind a dollar and the length of what it takes up; an empty name with a length is
// eaten, one without leaves the dollar.
static size_t name_at(const char *s, const char **name, size_t *len)
{
    *name = s;
    *len = 0;
    if (*s == '{') {
        if (is_special(s[1]) && s[2] == '}') {
            *name = s + 1;
            *len = 1;
            return 3;
        }
        const char *end = strchr(s, '}');
        if (!end || end == s + 1)
            return end ? 2 : 1;
        *name = s + 1;
        *len = (size_t)(end - s) - 1;
        return *len + 2;
    }
    if (is_special(*s)) {
        *len = 1;
        return 1;
    }
    while (isalnum((unsigned char)s[*len]) || s[*len] == '_')
        ++*len;
    return *len;
}

static void put_value(struct buf *b, const struct strv *env, const char *name, size_t len)
{
    if (len == 1 && *name == '$') {
        buf_char(b, '$');
        return;
    }
    for (size_t i = 0; i < env->len; i++)
        if (!strncmp(env->v[i], name, len) && env->v[i][len] == '=')
            buf_str(b, env->v[i] + len + 1);
}

char *env_expand(const struct strv *env, const char *text)
{
    struct buf b = {0};
    for (const char *s = text; *s; s++) {
        if (*s != '$' || !s[1]) {
            buf_char(&b, *s);
            continue;
        }
        const char *name;
        size_t len;
        size_t used = name_at(s + 1, &name, &len);
        if (!used)
            buf_char(&b, '$');
        else if (len)
            put_value(&b, env, name, len);
        s += used;
    }
    return buf_take(&b);
}

char *build_env_fill(const struct render_job *j, const char *text)
{
    if (!strchr(text, '$'))
        return str_dup(text);
    struct strv env = {0};
    build_env(j, &env);
    char *filled = env_expand(&env, text);
    strv_clear(&env);
    return filled;
}
