// SPDX-License-Identifier: Apache-2.0
//
// AppProject rules, by the cases of tests/gitops/cases/project. A case has the "project"'s spec
// (absent: the project does not exist), an application of it ("app": its spec, its "namespace"),
// the "cluster" its destination stands for, and either an "error" or "objects" that are permitted
// and objects that are "denied". "globals" and "others" stand for argocd-cm and its projects.
#include "tests/cases.h"

static struct application *app_of(const json_t *c, const char *name)
{
    CLEANUP(json_freep)
    json_t *spec = json_pack("{s:s, s:{s:s, s:s}, s:{s:s, s:s}}", "project", "team", "source",
                             "repoURL", "https://h/team/app", "path", "p", "destination", "server",
                             "https://kubernetes.default.svc", "namespace", "team-a");
    json_object_update(spec, json_object_get(c, "app"));
    const char *ns = json_dot_str(c, "namespace");
    CLEANUP(json_freep)
    json_t *doc = json_pack("{s:s, s:s, s:{s:s, s:s}, s:O}", "apiVersion", "argoproj.io/v1alpha1",
                            "kind", "Application", "metadata", "name", "a", "namespace",
                            ns ? ns : "argocd", "spec", spec);
    struct origin where = {0};
    struct application *a = NULL;
    struct err err = {0};
    if (!application_parse(doc, &where, &a, &err))
        fail_msg("%s: %s", name, err.msg);
    return a;
}

// The project as the case writes it, with what global projects add; NULL when there is none.
static json_t *project_of(const json_t *c, const char *name)
{
    json_t *spec = json_object_get(c, "project");
    if (!spec)
        return NULL;
    CLEANUP(json_freep)
    json_t *own = json_pack("{s:{s:s, s:O*}, s:O}", "metadata", "name", "team", "labels",
                            json_object_get(c, "labels"), "spec", spec);
    CLEANUP(json_freep) json_t *all = json_array();
    const char *key;
    json_t *v;
    json_array_append(all, own);
    json_object_foreach(json_object_get(c, "others"), key, v)
    {
        json_array_append_new(all, json_pack("{s:{s:s}, s:O}", "metadata", "name", key, "spec", v));
    }
    json_t *out = NULL;
    struct err err = {0};
    if (!project_with_globals(own, json_dot_str(c, "globals"), all, &out, &err))
        fail_msg("%s: %s", name, err.msg);
    return out;
}

static void check_objects(const json_t *c, const char *key, bool want, const json_t *project,
                          const struct application *a, const struct cluster_ref *cluster,
                          const char *name)
{
    size_t i;
    json_t *x;
    json_array_foreach(json_object_get(c, key), i, x)
    {
        const char *text = json_string_value(x); // group/Kind/namespace/name
        struct strv f = {0};
        struct err err = {0};
        strv_split(&f, text, '/');
        assert_int_equal(f.len, 4);
        struct object o = {.id = {f.v[0], f.v[1], *f.v[2] ? f.v[2] : NULL, f.v[3]},
                           .is_namespaced = *f.v[2] != 0};
        bool ok = project_permits_object(project, a, cluster, &o, &err);
        if (ok != want)
            fail_msg("%s: %s is %s", name, text, ok ? "permitted" : err.msg);
        if (!ok)
            assert_int_equal(err.kind, ERR_DENIED);
        err_clear(&err);
        strv_clear(&f);
    }
}

static void one(const json_t *c, const char *name)
{
    struct application *a CLEANUP(application_freep) = app_of(c, name);
    CLEANUP(json_freep) json_t *project = project_of(c, name);
    const json_t *k = json_object_get(c, "cluster");
    struct cluster_ref cluster = {"https://kubernetes.default.svc", "in-cluster", NULL};
    struct err err = {0};
    if (k)
        cluster = (struct cluster_ref){json_dot_str(k, "server"), json_dot_str(k, "name"),
                                       json_dot_str(k, "project")};
    if (!cases_error(c, name, project_permits_app(project, a, &cluster, &err), &err)) {
        check_objects(c, "objects", true, project, a, &cluster, name);
        check_objects(c, "denied", false, project, a, &cluster, name);
    }
}

static void cases(void **s)
{
    (void)s;
    cases_each("gitops/cases/project", one);
}

static void urls(void **s)
{
    (void)s;
    static const char *const same[][2] = {
        {"https://H/Team/App.git", "https://h/team/app"},
        {"git@host:a/b.git", "ssh://git@host/a/b"},
        {"https://h/a/", "https://h/a"},
        {" https://h/a", "https://h/a"},
    };
    for (size_t i = 0; i < ARRAY_LEN(same); i++) {
        CLEANUP(str_freep) char *x = repo_url_normal(same[i][0]);
        CLEANUP(str_freep) char *y = repo_url_normal(same[i][1]);
        assert_string_equal(x, y);
    }
    CLEANUP(str_freep) char *https = repo_url_normal("https://host/a/b");
    CLEANUP(str_freep) char *ssh = repo_url_normal("git@host:a/b");
    assert_string_not_equal(https, ssh);
}

static void regexes(void **s)
{
    (void)s;
    static const struct {
        const char *pattern, *text;
        bool yes;
    } c[] = {
        {"team", "my-team-x", true},
        {"^team-[a-z]+$", "team-ab", true},
        {"^team-[a-z]+$", "team-1", false},
        {"^(?:a|b)\\d{1,3}$", "b12", true},
        {"^\\w+\\.x$", "ab.x", true},
        {"^\\w+\\.x$", "abcx", false},
        {"^[]a]$", "]", true},
        {"^[\\d-]+$", "1-2", true},
        {"(?!a)b", "b", false},  // look-ahead: not understood, so no permission
        {"(a)\\1", "aa", false}, // nor are back-references,
        {"a+?", "a", false},     // lazy repetition,
        {"a{1000}", "a", false}, // and what would cost too much
        {"(", "(", false},
        {"[a", "a", false},
        {"", "anything", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(c); i++)
        if (regex_match(c[i].pattern, c[i].text) != c[i].yes)
            fail_msg("%s against %s", c[i].pattern, c[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(cases), cmocka_unit_test(urls),
                                       cmocka_unit_test(regexes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
