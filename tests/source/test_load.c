// SPDX-License-Identifier: Apache-2.0
//
// The loader, by the cases of tests/source/cases/load. A case has "files" (path: text) that are
// written to a folder of their own, whose folder "root" is read. What comes out is either an
// "error" or "apps", by name: its "parent", the "objects" it owns, in the order of their names, a
// "problem" that makes it unknown, a "warning". "bodies" are objects and what they must hold. A
// "warning" of the case itself is about the whole, and a "hint" belongs to the error.
// The folder stands for its remote https://h/repo, so that Applications can name it.
#include "base/file.h"
#include "base/loop.h"
#include "source/source.h"
#include "tests/cases.h"

static void write_files(const json_t *files, const char *dir)
{
    const char *path;
    json_t *text;
    struct err err = {0};
    CLEANUP(json_freep) json_t *all = json_copy((json_t *)files);
    json_object_set_new(all, ".git/config",
                        json_string("[remote \"origin\"]\n\turl = https://h/repo\n"));
    json_object_foreach(all, path, text)
    {
        CLEANUP(str_freep) char *full = path_join(dir, path);
        CLEANUP(str_freep) char *folder = str_ndup(full, (size_t)(strrchr(full, '/') - full));
        if (!dir_make(folder, 0700, &err) ||
            !file_replace(full, json_string_value(text), json_string_length(text), 0600, &err))
            fail_msg("%s", err.msg);
    }
}

static int cmp_text(const void *a, const void *b)
{
    return strcmp(json_string_value(*(json_t *const *)a), json_string_value(*(json_t *const *)b));
}

static json_t *objects_of(const struct desired *d, unsigned app)
{
    VEC(json_t *) names = {0};
    for (size_t i = 0; i < d->objects.len; i++) {
        const struct object *o = &d->objects.v[i];
        CLEANUP(str_freep) char *name = object_name(&o->id);
        if (o->app == app)
            *vec_push(&names) = json_string(name);
    }
    if (names.len)
        qsort(names.v, names.len, sizeof(*names.v), cmp_text);
    json_t *list = json_array();
    for (size_t i = 0; i < names.len; i++)
        json_array_append_new(list, names.v[i]);
    vec_clear(&names);
    return list;
}

static void check_app(const json_t *want, const struct desired *d, unsigned app, const char *name)
{
    const struct application *a = d->apps.v[app];
    const char *parent = json_dot_str(want, "parent");
    const char *problem = json_dot_str(want, "problem");
    const json_t *objects = json_object_get(want, "objects");
    if (parent && (a->parent < 0 || strcmp(d->apps.v[a->parent]->name, parent) != 0))
        fail_msg("%s: the parent of %s is %s", name, a->name,
                 a->parent < 0 ? "none" : d->apps.v[a->parent]->name);
    if (problem ? a->state != APP_UNKNOWN || !strstr(a->problem.msg, problem)
                : a->state == APP_UNKNOWN)
        fail_msg("%s: %s: %s; wanted %s", name, a->name,
                 a->state == APP_UNKNOWN ? a->problem.msg : "fine", problem ? problem : "fine");
    if (json_dot_bool(want, "elsewhere", false) != (a->state == APP_OTHER_CLUSTER))
        fail_msg("%s: %s: is it of another cluster?", name, a->name);
    if (objects) {
        CLEANUP(json_freep) json_t *have = objects_of(d, app);
        CLEANUP(str_freep) char *text = json_dumps(have, 0);
        if (!json_equal(have, (json_t *)objects))
            fail_msg("%s: %s has %s", name, a->name, text);
    }
    if (json_object_get(want, "warning"))
        cases_warning(want, name, &a->warnings);
}

static void check_bodies(const json_t *bodies, const struct desired *d, const char *name)
{
    const char *what;
    json_t *want;
    json_object_foreach((json_t *)bodies, what, want)
    {
        bool found = false;
        for (size_t i = 0; !found && i < d->objects.len; i++) {
            CLEANUP(str_freep) char *o = object_name(&d->objects.v[i].id);
            CLEANUP(json_freep) json_t *doc = object_doc(&d->objects.v[i]);
            found = !strcmp(o, what) && json_contains(doc, want);
            if (!found && !strcmp(o, what))
                fail_msg("%s: %s is %s", name, what, d->objects.v[i].body);
        }
        if (!found)
            fail_msg("%s: there is no %s", name, what);
    }
}

static void check_desired(const json_t *c, const struct desired *d, const char *name)
{
    const json_t *apps = json_object_get(c, "apps");
    const char *key;
    json_t *want;
    json_object_foreach((json_t *)apps, key, want)
    {
        int at = desired_find_app(d, key);
        if (at < 0)
            fail_msg("%s: there is no application %s", name, key);
        check_app(want, d, (unsigned)at, name);
    }
    if (apps && json_object_size(apps) != d->apps.len)
        for (size_t i = 0; i < d->apps.len; i++)
            if (!json_object_get(apps, d->apps.v[i]->name))
                fail_msg("%s: application %s was not expected: %s", name, d->apps.v[i]->name,
                         d->apps.v[i]->problem.msg ? d->apps.v[i]->problem.msg : "fine");
    check_bodies(json_object_get(c, "bodies"), d, name);
}

// The case's folder is called otherwise in every run.
static void forget_folder(char *text, const char *dir)
{
    size_t n = strlen(dir) + 1;
    for (char *at = text; at && (at = strstr(at, dir));)
        memmove(at, at + n, strlen(at + n) + 1);
}

static void check_hint(const json_t *c, const char *name, const char *dir, struct err *err)
{
    const char *want = json_dot_str(c, "hint");
    if (!json_object_get(c, "hint"))
        return;
    forget_folder(err->hint, dir);
    if (want ? !err->hint || !strstr(err->hint, want) : err->hint != NULL)
        fail_msg("%s: hint \"%s\"; wanted \"%s\"", name, err->hint ? err->hint : "none",
                 want ? want : "none");
}

static void one(const json_t *c, const char *name)
{
    CLEANUP(dir_temp_cleanup) char *dir = NULL;
    struct err err = {0};
    struct loop *loop CLEANUP(loop_freep) = loop_new(NULL);
    struct event_sink events = {0};
    if (!dir_make_temp("regrow-load", &dir, &err))
        fail_msg("%s", err.msg);
    write_files(json_object_get(c, "files"), dir);
    CLEANUP(str_freep) char *root = path_join(dir, "root");
    CLEANUP(str_freep) char *cache = path_join(dir, ".cache");
    struct source_opts o = {.cache_dir = cache,
                            .kube_version = "1.37.0",
                            .clusters = json_object_get(c, "clusters"),
                            .cluster_name = json_dot_str(c, "cluster"),
                            .events = &events};
    struct source *s CLEANUP(source_freep) = source_new(loop, &o);
    struct desired *d CLEANUP(desired_freep) = NULL;
    bool ok = source_load(s, root, &d, &err);
    check_hint(c, name, dir, &err);
    if (cases_error(c, name, ok, &err))
        return;
    for (size_t i = 0; i < d->warnings.len; i++)
        forget_folder(d->warnings.v[i], dir);
    if (json_object_get(c, "warning"))
        cases_warning(c, name, &d->warnings);
    check_desired(c, d, name);
}

static void cases(void **s)
{
    (void)s;
    cases_each("source/cases/load", one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(cases)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
