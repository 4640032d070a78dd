// SPDX-License-Identifier: Apache-2.0
//
// A case of an ApplicationSet: the "set"'s spec, the "files" of its one repository, registered
// "clusters", and what must come out: "apps" (names, a "!" after one that cannot be used), "docs"
// (what the Applications must hold, in order), an "error" or a "warning".
#ifndef TESTS_GITOPS_APPSET_CASE_H
#define TESTS_GITOPS_APPSET_CASE_H

#include "tests/cases.h"

// ctx is the case.
static inline bool appset_git_files(void *ctx, const char *url, const char *rev, struct strv *paths,
                                    struct err *err)
{
    const json_t *c = ctx;
    const char *path;
    json_t *text;
    const char *want = json_dot_str(c, "revision");
    if (want && !str_eq(want, rev))
        return err_set(err, ERR_NOT_FOUND, "revision %s of %s does not exist", rev, url);
    json_object_foreach(json_object_get(c, "files"), path, text)
    {
        strv_push(paths, path);
    }
    strv_sort(paths);
    return true;
}

static inline bool appset_git_read(void *ctx, const char *url, const char *rev, const char *path,
                                   struct buf *out, struct err *err)
{
    const json_t *text = json_object_get(json_object_get((json_t *)ctx, "files"), path);
    (void)url;
    (void)rev;
    if (!json_is_string(text))
        return err_set(err, ERR_NOT_FOUND, "%s does not exist", path);
    buf_str(out, json_string_value(text));
    return true;
}

static inline json_t *appset_clusters(void *ctx)
{
    json_t *list = json_object_get((json_t *)ctx, "clusters");
    return list ? json_deep_copy(list) : json_array();
}

static inline void appset_check_names(const json_t *c, const char *name,
                                      const struct appset_result *r)
{
    const char *want = json_dot_str(c, "apps");
    struct buf b CLEANUP(buf_clear) = {0};
    buf_str(&b, "");
    for (size_t i = 0; i < r->apps.len; i++) {
        const char *app = json_dot_str(r->apps.v[i].doc, "metadata.name");
        buf_printf(&b, "%s%s%s", i ? " " : "", app ? app : "", r->apps.v[i].problem ? "!" : "");
    }
    if (want && strcmp(want, b.p ? b.p : "") != 0)
        fail_msg("%s: \"%s\"; wanted \"%s\"", name, b.p ? b.p : "", want);
}

static inline void appset_check_docs(const json_t *c, const char *name,
                                     const struct appset_result *r)
{
    const json_t *want = json_object_get(c, "docs");
    size_t i;
    json_t *w;
    if (want && json_array_size(want) != r->apps.len)
        fail_msg("%s: %zu applications; wanted %zu", name, r->apps.len, json_array_size(want));
    json_array_foreach(want, i, w)
    {
        if (json_contains(r->apps.v[i].doc, w))
            continue;
        CLEANUP(str_freep) char *have = canon_of(r->apps.v[i].doc);
        CLEANUP(str_freep) char *text = canon_of(w);
        fail_msg("%s: %s does not hold %s", name, have, text);
    }
}

static inline json_t *appset_case_doc(const json_t *c)
{
    return json_pack("{s:s, s:s, s:{s:s, s:s}, s:O}", "apiVersion", "argoproj.io/v1alpha1", "kind",
                     "ApplicationSet", "metadata", "name", "set", "namespace", "argocd", "spec",
                     json_object_get(c, "set"));
}

// io asks what it asks of the functions above, as a rule.
static inline void appset_case(const json_t *c, const char *name, const struct appset_io *io)
{
    CLEANUP(json_freep) json_t *doc = appset_case_doc(c);
    assert_non_null(doc);
    struct appset_result r = {0};
    struct err err = {0};
    bool ok = appset_expand(doc, io, &r, &err);
    if (!cases_error(c, name, ok, &err)) {
        appset_check_names(c, name, &r);
        appset_check_docs(c, name, &r);
        cases_warning(c, name, &r.warnings);
        if (r.is_preserved != json_dot_bool(c, "preserved", false))
            fail_msg("%s: preserved %d", name, r.is_preserved);
    }
    appset_result_clear(&r);
}

#endif
