// SPDX-License-Identifier: Apache-2.0
#include "gitops/revision.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void git_refs_clear(struct git_refs *r)
{
    for (size_t i = 0; i < r->refs.len; i++) {
        free(r->refs.v[i].name);
        free(r->refs.v[i].id);
        free(r->refs.v[i].symref);
    }
    vec_clear(&r->refs);
}

static bool is_hex(const char *s, size_t min, size_t max)
{
    size_t n = strspn(s, "0123456789abcdefABCDEF");
    return !s[n] && n >= min && n <= max;
}

static const char *short_name(const char *ref)
{
    static const char *const prefixes[] = {"refs/heads/", "refs/tags/", "refs/remotes/"};
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
        if (str_starts(ref, prefixes[i]))
            return ref + strlen(prefixes[i]);
    return ref;
}

static const struct git_ref *find_ref(const struct git_refs *refs, const char *name)
{
    for (size_t i = 0; i < refs->refs.len; i++) {
        const struct git_ref *r = &refs->refs.v[i];
        if (!strcmp(r->name, name) || !strcmp(short_name(r->name), name))
            return r;
    }
    return NULL;
}

// The tag with the highest version that satisfies the constraint, over prefixed tags if given.
static const struct git_ref *best_tag(const struct git_refs *refs, const char *prefix,
                                      const char *constraint)
{
    const struct git_ref *best = NULL;
    const char *best_version = NULL;
    for (size_t i = 0; i < refs->refs.len; i++) {
        const struct git_ref *r = &refs->refs.v[i];
        if (!str_starts(r->name, "refs/tags/"))
            continue;
        const char *v = r->name + strlen("refs/tags/");
        if (prefix && !str_starts(v, prefix))
            continue;
        v += prefix ? strlen(prefix) : 0;
        if (!semver_satisfies(v, constraint))
            continue;
        if (!best || semver_cmp(v, best_version) > 0) {
            best = r;
            best_version = v;
        }
    }
    return best;
}

static bool found(const struct git_refs *refs, const struct git_ref *r, char **id, char **name)
{
    for (int i = 0; i < 5 && r->symref && !r->id; i++) {
        const struct git_ref *next = find_ref(refs, r->symref);
        if (!next)
            break;
        r = next;
    }
    *id = str_dup_or_null(r->id);
    *name = str_dup(r->symref ? short_name(r->symref) : short_name(r->name));
    return *id != NULL;
}

bool revision_resolve_git(const char *target, const char *tag_prefix, const struct git_refs *refs,
                          char **id, char **name, struct err *err)
{
    const char *t = str_is_empty(target) ? "HEAD" : target;
    *name = NULL;
    if (is_hex(t, 40, 40)) {
        *id = str_dup(t);
        return true;
    }
    const struct git_ref *r = NULL;
    if (semver_is_constraint(t))
        r = best_tag(refs, tag_prefix, t);
    if (!r && !str_is_empty(tag_prefix) && semver_is_version(t)) {
        CLEANUP(str_freep) char *tag = str_printf("%s%s", tag_prefix, t);
        r = find_ref(refs, tag);
    }
    if (!r)
        r = find_ref(refs, t);
    if (r && found(refs, r, id, name))
        return true;
    if (is_hex(t, 7, 39)) {
        for (size_t i = 0; i < refs->refs.len; i++) {
            if (refs->refs.v[i].id && !strncasecmp(refs->refs.v[i].id, t, strlen(t))) {
                *id = str_dup(refs->refs.v[i].id);
                return true;
            }
        }
        return err_set(err, ERR_NOT_FOUND,
                       "revision \"%.80s\" is neither a branch nor a tag, and a shortened commit "
                       "id is found only when a ref points at it",
                       t);
    }
    return err_set(err, ERR_NOT_FOUND, "revision \"%.80s\" does not exist", t);
}

bool revision_resolve_versions(const char *target, const struct strv *versions, const char **out,
                               struct err *err)
{
    const char *t = str_is_empty(target) ? "*" : target;
    const char *best = NULL;
    const char *newest = NULL;
    for (size_t i = 0; i < versions->len; i++) {
        const char *v = versions->v[i];
        if (!strcmp(v, t)) {
            *out = v;
            return true;
        }
        if (!newest || semver_cmp(v, newest) > 0)
            newest = v;
        // "1.2.3" finds "v1.2.3" as well; a plain version is its own constraint.
        if (semver_satisfies(v, t) && (!best || semver_cmp(v, best) > 0))
            best = v;
    }
    if (best) {
        *out = best;
        return true;
    }
    return err_set(err, ERR_NOT_FOUND, "no version satisfies \"%.80s\"%s%s", t,
                   newest ? "; the newest is " : "", newest ? newest : "");
}
