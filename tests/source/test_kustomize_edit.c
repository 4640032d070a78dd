// SPDX-License-Identifier: Apache-2.0
//
// An application's kustomize options, by the cases of tests/source/cases/kustomize: what is written
// into the kustomization "before" must be "after", or an "error". Where kustomize is on the PATH
// the very commands Argo CD runs are run too, and must give the same.
#include "source/kustomize_edit.h"

#include "base/file.h"
#include "tests/cases.h"

static bool has_kustomize;

static char *fill(void *ctx, const char *text)
{
    (void)ctx;
    return !strcmp(text, "$VAR") ? str_dup("filled") : str_dup(text);
}

static bool has_component(void *ctx, const char *path)
{
    (void)ctx;
    return str_starts(path, "here");
}

// ---- the commands themselves ----
static void quote(struct buf *b, const char *s)
{
    buf_str(b, " '");
    for (; *s; s++)
        if (*s == '\'')
            buf_str(b, "'\\''");
        else
            buf_char(b, *s);
    buf_char(b, '\'');
}

static void command(struct buf *b, const char *what)
{
    buf_printf(b, " && kustomize edit %s", what);
}

static void add_map(struct buf *b, const json_t *o, const char *key, const char *what, bool filled)
{
    const char *k;
    json_t *v;
    if (!json_object_size(json_object_get(o, key)))
        return;
    command(b, what);
    json_object_foreach(json_object_get(o, key), k, v)
    {
        CLEANUP(str_freep)
        char *text = filled ? fill(NULL, json_string_value(v)) : str_dup(json_string_value(v));
        CLEANUP(str_freep) char *pair = str_printf("%s:%s", k, text);
        quote(b, pair);
    }
}

static bool on(const json_t *o, const char *key)
{
    return json_dot_bool(o, key, false);
}

static void add_lists(struct buf *b, const json_t *o)
{
    size_t i;
    json_t *x;
    const json_t *images = json_object_get(o, "images");
    const json_t *replicas = json_object_get(o, "replicas");
    if (json_array_size(images))
        command(b, "set image");
    json_array_foreach(images, i, x)
    {
        CLEANUP(str_freep) char *text = fill(NULL, json_string_value(x));
        quote(b, text);
    }
    if (json_array_size(replicas))
        command(b, "set replicas");
    json_array_foreach(replicas, i, x)
    {
        const json_t *count = json_object_get(x, "count");
        CLEANUP(str_freep)
        char *text =
            json_is_string(count)
                ? str_printf("%s=%s", json_dot_str(x, "name"), json_string_value(count))
                : str_printf("%s=%lld", json_dot_str(x, "name"), json_integer_value(count));
        quote(b, text);
    }
}

static void add_components(struct buf *b, const json_t *o)
{
    size_t i;
    json_t *x;
    bool any = false;
    json_array_foreach(json_object_get(o, "components"), i, x)
    {
        if (on(o, "ignoreMissingComponents") && !has_component(NULL, json_string_value(x)))
            continue;
        if (!any)
            command(b, "add component");
        any = true;
        quote(b, json_string_value(x));
    }
}

static char *script_of(const char *dir, const json_t *o)
{
    struct buf b = {0};
    buf_str(&b, "cd");
    quote(&b, dir);
    buf_str(&b, " && mkdir -p here here2 && echo 'kind: Component' >here/kustomization.yaml && cp "
                "here/kustomization.yaml here2");
    if (json_dot_str(o, "namePrefix")) {
        command(&b, "set nameprefix --");
        quote(&b, json_dot_str(o, "namePrefix"));
    }
    if (json_dot_str(o, "nameSuffix")) {
        command(&b, "set namesuffix --");
        quote(&b, json_dot_str(o, "nameSuffix"));
    }
    add_lists(&b, o);
    CLEANUP(str_freep)
    char *label = str_printf("add label%s%s%s", on(o, "forceCommonLabels") ? " --force" : "",
                             on(o, "labelWithoutSelector") ? " --without-selector" : "",
                             on(o, "labelIncludeTemplates") ? " --include-templates" : "");
    add_map(&b, o, "commonLabels", label, true);
    add_map(&b, o, "commonAnnotations",
            on(o, "forceCommonAnnotations") ? "add annotation --force" : "add annotation",
            on(o, "commonAnnotationsEnvsubst"));
    if (json_dot_str(o, "namespace")) {
        command(&b, "set namespace --");
        quote(&b, json_dot_str(o, "namespace"));
    }
    add_components(&b, o);
    buf_str(&b, " >/dev/null 2>&1");
    return buf_take(&b);
}

static json_t *plain(const json_t *k)
{
    json_t *copy = json_deep_copy(k);
    json_object_del(copy, "apiVersion");
    json_object_del(copy, "kind");
    return copy;
}

static void compare(const json_t *c, const char *name, bool ok, const json_t *ours)
{
    CLEANUP(dir_temp_cleanup) char *dir = NULL;
    struct buf text CLEANUP(buf_clear) = {0};
    struct buf after CLEANUP(buf_clear) = {0};
    struct err err = {0};
    if (!dir_make_temp("regrow-edit", &dir, &err))
        fail_msg("%s", err.msg);
    CLEANUP(str_freep) char *file = path_join(dir, "kustomization.yaml");
    CLEANUP(str_freep) char *script = script_of(dir, json_object_get(c, "options"));
    yaml_write(json_object_get(c, "before"), &text);
    if (!file_replace(file, text.p, text.len, 0600, &err))
        fail_msg("%s", err.msg);
    bool theirs = system(script) == 0;
    if (theirs != ok)
        fail_msg("%s: kustomize says %s", name, theirs ? "yes" : "no");
    if (!ok)
        return;
    if (!file_read(file, 1U << 20, &after, &err))
        fail_msg("%s", err.msg);
    CLEANUP(json_freep) json_t *read = doc_of(after.p);
    CLEANUP(json_freep) json_t *a = plain(read);
    CLEANUP(json_freep) json_t *b = plain(ours);
    CLEANUP(str_freep) char *ta = canon_of(a);
    CLEANUP(str_freep) char *tb = canon_of(b);
    if (strcmp(ta, tb) != 0)
        fail_msg("%s: kustomize writes %s, we %s", name, ta, tb);
}

static void one(const json_t *c, const char *name)
{
    CLEANUP(json_freep) json_t *k = json_deep_copy(json_object_get(c, "before"));
    struct kustomize_edit e = {fill, has_component, NULL};
    struct err err = {0};
    bool ok = kustomize_edit(k, json_object_get(c, "options"), &e, &err);
    if (!cases_error(c, name, ok, &err)) {
        CLEANUP(str_freep) char *have = canon_of(k);
        CLEANUP(str_freep) char *want = canon_of(json_object_get(c, "after"));
        if (strcmp(have, want) != 0)
            fail_msg("%s: %s; wanted %s", name, have, want);
    }
    if (has_kustomize && !json_dot_bool(c, "differs", false))
        compare(c, name, ok, k);
}

static void cases(void **s)
{
    (void)s;
    has_kustomize = system("kustomize version >/dev/null 2>&1") == 0;
    printf("# kustomize itself %s\n", has_kustomize ? "agrees" : "is not here");
    cases_each("source/cases/kustomize", one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(cases)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
