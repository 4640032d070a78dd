// SPDX-License-Identifier: Apache-2.0
#include "gitops/revision.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_REF_NAME 1000 // a line of the protocol holds 65,000

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

// As Git shortens a ref: "main" of refs/heads/main, "pull/1/head" of refs/pull/1/head.
static const char *short_name(const char *ref)
{
    static const char *const kinds[] = {"heads/", "tags/", "remotes/"};
    if (!str_starts(ref, "refs/"))
        return ref;
    const char *rest = ref + strlen("refs/");
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (str_starts(rest, kinds[i]))
            return rest + strlen(kinds[i]);
    return rest;
}

// The first ref of that short or full name; a symbolic one only when there is no other.
static const struct git_ref *find_ref(const struct git_refs *refs, const char *name)
{
    const struct git_ref *symbolic = NULL;
    for (size_t i = 0; i < refs->refs.len; i++) {
        const struct git_ref *r = &refs->refs.v[i];
        if (strcmp(r->name, name) != 0 && strcmp(short_name(r->name), name) != 0)
            continue;
        if (!r->symref)
            return r;
        symbolic = r;
    }
    return symbolic;
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

// The name that is looked up: a version with the prefix of its tags, the best tag of a constraint,
// else what is written. Whatever has that name counts, in the order of the list.
static char *name_to_find(const char *target, const char *tag_prefix, const struct git_refs *refs)
{
    if (!str_is_empty(tag_prefix) && semver_is_version(target))
        return str_printf("%s%s", tag_prefix, target);
    const struct git_ref *tag =
        semver_is_constraint(target) ? best_tag(refs, tag_prefix, target) : NULL;
    return str_dup(tag ? short_name(tag->name) : target);
}

static bool find_by_start(const struct git_refs *refs, const char *start, char **id)
{
    for (size_t i = 0; i < refs->refs.len; i++) {
        if (refs->refs.v[i].id && !strncasecmp(refs->refs.v[i].id, start, strlen(start))) {
            *id = str_dup(refs->refs.v[i].id);
            return true;
        }
    }
    return false;
}

bool revision_is_id(const char *target)
{
    return is_hex(target, 40, 40);
}

bool revision_is_unlisted(const char *target)
{
    size_t n = strlen(target);
    if (n > MAX_REF_NAME || !strchr(target, '/') || str_starts(target, "refs/heads/") ||
        str_starts(target, "refs/tags/") || strstr(target, ".."))
        return false;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)target[i] <= ' ' || strchr("\x7f~^:?*[\\", target[i]))
            return false;
    return true;
}

bool revision_resolve_git(const char *target, const char *tag_prefix, const struct git_refs *refs,
                          char **id, char **name, struct err *err)
{
    const char *t = str_is_empty(target) ? "HEAD" : target;
    *name = NULL;
    if (revision_is_id(t)) {
        *id = str_dup(t);
        for (char *c = *id; *c; c++)
            *c = (char)tolower((unsigned char)*c);
        return true;
    }
    CLEANUP(str_freep) char *wanted = name_to_find(t, tag_prefix, refs);
    const struct git_ref *r = find_ref(refs, wanted);
    if (r && found(refs, r, id, name))
        return true;
    if (strcmp(wanted, t) != 0)
        return err_set(err, ERR_NOT_FOUND,
                       "revision \"%.80s\" does not exist: there is no \"%.80s\"", t, wanted);
    if (!is_hex(t, 7, 39))
        return err_set(err, ERR_NOT_FOUND, "revision \"%.80s\" does not exist", t);
    return find_by_start(refs, t, id) ||
           err_set(err, ERR_NOT_FOUND,
                   "revision \"%.80s\" is neither a branch nor a tag, and a shortened commit "
                   "id is found only when a ref points at it",
                   t);
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
