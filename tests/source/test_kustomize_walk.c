// SPDX-License-Identifier: Apache-2.0
//
// What kustomize will read is what we have seen: whatever it takes for a folder or a chart outside
// of the tree is refused, however that is written. Each case is kustomize's own reading, tried with
// the program.
#include "source/kustomize_walk.h"

#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/test.h"

#define GENERATOR                                                                                  \
    "{apiVersion: builtin, kind: HelmChartInflationGenerator, metadata: {name: x}, name: app"

static char *dir;

static void put(const char *name, const char *text, size_t len)
{
    CLEANUP(str_freep) char *path = path_join(dir, name);
    CLEANUP(str_freep) char *folder = str_ndup(path, (size_t)(strrchr(path, '/') - path));
    struct err err = {0};
    if (!dir_make(folder, 0700, &err) || !file_put(path, text, len, 0600, &err))
        fail_msg("%s", err.msg);
}

static void put_text(const char *name, const char *text)
{
    put(name, text, strlen(text));
}

static void fresh(void)
{
    struct err err = {0};
    assert_true(dir_remove(dir, &err) && dir_make(dir, 0700, &err));
    put_text("base/kustomization.yaml", "resources: []\n");
}

// Walks apps/a; owned: what is wrong, or the charts as "DIR HOME NAME;", or "".
static char *walked(void)
{
    struct source_ctx ctx = {0};
    char path[] = "apps/a";
    struct render_job j = {.ctx = &ctx, .tree = tree_new(&ctx, NULL, dir), .path = path};
    struct kustomize_walk w = {0};
    struct buf out = {0};
    struct err err = {0};
    buf_str(&out, "");
    if (!kustomize_walk(&j, NULL, &w, &err))
        buf_str(&out, err.msg);
    else
        for (size_t i = 0; i < w.charts.len; i++)
            buf_printf(&out, "%s %s %s;", w.charts.v[i].dir, w.charts.v[i].home,
                       w.charts.v[i].name);
    err_clear(&err);
    kustomize_walk_clear(&w);
    strv_clear(&ctx.remotes);
    tree_free(j.tree);
    return buf_take(&out);
}

static void is_walked(const char *kustomization, const char *want)
{
    put_text("apps/a/kustomization.yaml", kustomization);
    CLEANUP(str_freep) char *got = walked();
    if (want[0] == '~' ? !strstr(got, want + 1) : strcmp(got, want) != 0)
        fail_msg("%s: %s", kustomization, got);
}

static void folders_outside(void **s)
{
    (void)s;
    static const char leaves[] = "~which leaves the folder";
    fresh();
    is_walked("resources: [../../base]\n", "");
    is_walked("resources: [../../../out]\n", leaves);
    is_walked("components: [../../../out]\n", leaves);
    is_walked("Resources: [../../../out]\n", "~the field \"Resources\" is written \"resources\"");
    is_walked("BASES: [../../../out]\n", "~is written \"bases\"");
    is_walked("re\xc5\xbfources: [../../../out]\n", "~is written \"resources\"");
    is_walked("!!binary UmVzb3VyY2Vz: [../../../out]\n", "~is written \"resources\"");
    // what only looks remote, or like an object
    is_walked("resources: ['x.git//../../../../out']\n", leaves);
    is_walked("resources: ['a?ref=b/../../../../out']\n", leaves);
    is_walked("resources: ['a://../../../../../out']\n", leaves);
    is_walked("resources: [\"a\\n/../../../../out\"]\n", leaves);
    is_walked("transformers: [\"kind: A\\nb: c/../../../../out\"]\n", leaves);
    is_walked("resources: [\"a\\0/../../../../out\"]\n", "~a zero byte");
    is_walked("resources: ['https://h/a/b//c?ref=d', 'git@h:a/b']\n", "");
}

// By way of a folder inside, from where it goes on.
static void folders_by_way(void **s)
{
    (void)s;
    fresh();
    put_text("apps/b/kustomization.yaml", "resources: [../../../out]\n");
    is_walked("resources: ['x.git//../../b']\n", "~\"apps/b\" names ../../../out");
    is_walked("resources: [\"a\\n/../../b\"]\n", "~\"apps/b\" names ../../../out");
    // ".." begins where a link leads
    put_text("top/kustomization.yaml", "resources: [../../out]\n");
    CLEANUP(str_freep) char *link = path_join(dir, "apps/a/link");
    assert_int_equal(symlink("../../top", link), 0);
    is_walked("resources: [link]\n", "~\"top\" names ../../out");
    put_text("top/kustomization.yaml", "resources: [../base]\n");
    is_walked("resources: [link]\n", "");
}

static void what_cannot_be_read(void **s)
{
    (void)s;
    fresh();
    is_walked("resources: [a\n", "~apps/a/kustomization.yaml:");
    is_walked("generators: [g.yaml]\n", "");
    put_text("apps/a/g.yaml", "a: [b\n");
    is_walked("generators: [g.yaml]\n", "~apps/a/g.yaml:");
    is_walked("generators: ['a: [b']\n", "~a generator:");
    is_walked("resources: [g.yaml]\n", ""); // an object is kustomize's to read
    CLEANUP(str_freep) char *big = mem_alloc(KUSTOMIZE_MAX_FILE + 100);
    memset(big, '#', KUSTOMIZE_MAX_FILE + 100);
    put("apps/a/g.yaml", big, KUSTOMIZE_MAX_FILE + 100);
    is_walked("generators: [g.yaml]\n", "~larger than");
    put("apps/a/kustomization.yaml", big, KUSTOMIZE_MAX_FILE + 100);
    CLEANUP(str_freep) char *got = walked();
    assert_non_null(strstr(got, "larger than"));
}

// A folder of the first name is none of the second's business to kustomize.
static void another_name(void **s)
{
    (void)s;
    fresh();
    put_text("apps/a/kustomization.yaml/x", "");
    put_text("apps/a/Kustomization", "resources: [../../../out]\n");
    CLEANUP(str_freep) char *got = walked();
    assert_true(*got);
}

static void charts(void **s)
{
    (void)s;
    fresh();
    is_walked("helmCharts: [{name: x}]\n", "apps/a charts x;");
    is_walked("helmGlobals: {chartHome: h}\nhelmCharts: [{name: x}]\n", "apps/a h x;");
    is_walked("helmGlobals: {ChartHome: h}\nhelmCharts: [{name: x}]\n",
              "~is written \"chartHome\"");
    is_walked("helmglobals: {chartHome: h}\nhelmCharts: [{name: x}]\n",
              "~is written \"helmGlobals\"");
    is_walked("helmCharts: [{Name: x}]\n", "~is written \"name\"");
    is_walked("helmGlobals: {chartHome: \"h\\0i\"}\nhelmCharts: [{name: x}]\n", "~a zero byte");
    // The older form: one home for all, which the newer one overrides.
    is_walked("helmChartInflationGenerator: [{chartName: x, chartHome: h}, {chartName: z}]\n",
              "apps/a h x;apps/a h z;");
    is_walked("helmGlobals: {chartHome: /out}\nhelmChartInflationGenerator: [{chartName: x, "
              "chartHome: h}]\n",
              "apps/a /out x;");
    is_walked("helmGlobals: {}\nhelmChartInflationGenerator: [{chartName: x, chartHome: h}]\n",
              "apps/a charts x;");
    is_walked("helmChartInflationGenerator: [{ChartHome: /out, chartName: x}]\n",
              "~is written \"chartHome\"");
}

static void generators(void **s)
{
    (void)s;
    static const struct {
        const char *text, *want;
    } cases[] = {
        {GENERATOR ", chartHome: /out}", "apps/a /out app;"},
        {GENERATOR ", ChartHome: /out}", "~is written \"chartHome\""},
        {GENERATOR ", chartHome: h, chartHome: /out}", "~apps/a/g.yaml:"},
        {GENERATOR ", chartHome: !!binary L291dA==}", "apps/a /out app;"},
        // of several merges another wins than with us
        {GENERATOR ", <<: {chartHome: h}}", "~a merge key"},
        {"x: &a {chartHome: /out}\n!!merge y: *a\nchartHome: h\n", "~a merge key"},
        {"x: 1\ny: {\"<<\": {}}\n", "~a merge key"},
        // the name of a chart is one of a folder, which no other field stands for
        {"{kind: HelmChartInflationGenerator, chartName: x, name: ../out/app}",
         "apps/a charts ../out/app;"},
        {"kind: FooList\nitems: [" GENERATOR ", chartHome: /out}]", "apps/a /out app;"},
        {"kind: !!binary List\nitems: [" GENERATOR ", chartHome: /out}]", "apps/a /out app;"},
        {"kind: AList\nitems: [{kind: BList, items: [" GENERATOR ", chartHome: /out}]}]",
         "apps/a /out app;"},
        {"a: b\n---\n" GENERATOR ", chartHome: /out}", "apps/a /out app;"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        fresh();
        put_text("apps/a/g.yaml", cases[i].text);
        is_walked("generators: [g.yaml]\n", cases[i].want);
    }
    is_walked("generators: ['" GENERATOR ", chartHome: /out}']\n", "apps/a /out app;");
    is_walked("generators: [\"kind: HelmChartInflationGenerator\\nname: app\\nrepo: https://h\"]\n",
              "apps/a charts app;");
}

static int setup(void **s)
{
    (void)s;
    struct err err = {0};
    return dir_make_temp("test-kustomize", &dir, &err) ? 0 : -1;
}

static int teardown(void **s)
{
    (void)s;
    dir_temp_cleanup(&dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folders_outside),
        cmocka_unit_test(folders_by_way),
        cmocka_unit_test(what_cannot_be_read),
        cmocka_unit_test(another_name),
        cmocka_unit_test(charts),
        cmocka_unit_test(generators),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
