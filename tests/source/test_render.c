// SPDX-License-Identifier: Apache-2.0
#include "source/render.h"
#include "tests/test.h"

static void said_by_children(void **s)
{
    (void)s;
    static const char *const cases[][2] = {
        {"", "it failed without a word"},
        {"\n\n", "it failed without a word"},
        {"first\nsecond\n", "first"},
        {"Error: no such chart\n", "no such chart"},
        {"warning: old\nError: broken\n\nUse --debug flag to render out invalid YAML\n", "broken"},
        {"Error: values don't meet the specifications of the schema(s):\nweb:\n"
         "- at '': missing property 'policy'\n\n",
         "values don't meet the specifications of the schema(s): web: - at '': missing property "
         "'policy'"},
        // as charts refuse values that do not go together
        {"Error: execution error at (web/templates/NOTES.txt:1:4): \n\nVALUES VALIDATION:\n\n"
         "  auth: a password is needed\n\nUse --debug flag to render out invalid YAML\n",
         "execution error at (web/templates/NOTES.txt:1:4):  VALUES VALIDATION: auth: a password "
         "is needed"},
        {"Error: accumulating resources: accumulation err='accumulating resources from 'x.yaml': "
         "evalsymlink failure on '/tmp/regrow-render.x1/base/x.yaml' : lstat "
         "/tmp/regrow-render.x1/base/x.yaml: no such file or directory': must build at directory: "
         "not a valid directory\n",
         "base/x.yaml does not exist, but a kustomization names it"},
        {"Error: accumulating resources: merging from generator: id resid.ResId{} exists\n",
         "accumulating resources: merging from generator: id resid.ResId{} exists"},
        {"Error: in '/tmp/regrow-render.x1/base/a.yaml': no such file\n",
         "in 'base/a.yaml': no such file"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(str_freep) char *got = render_error_text(cases[i][0]);
        assert_string_equal(got, cases[i][1]);
    }
    CLEANUP(str_freep) char *none = render_error_text(NULL);
    assert_string_equal(none, "it failed without a word");
}

static void stays_short(void **s)
{
    (void)s;
    struct buf b CLEANUP(buf_clear) = {0};
    buf_str(&b, "Error: ");
    for (int i = 0; i < 5000; i++)
        buf_str(&b, i % 10 ? "x" : "\n");
    CLEANUP(str_freep) char *got = render_error_text(b.p);
    assert_true(strlen(got) <= 1000);
}

// What a tool that is killed leaves behind goes with its folder.
static void keeps_to_its_folder(void **s)
{
    (void)s;
    struct strv env = {0};
    render_env("/work", &env);
    size_t found = 0;
    for (size_t i = 0; env.v[i]; i++)
        found += !strcmp(env.v[i], "TMPDIR=/work") || !strcmp(env.v[i], "HOME=/work");
    assert_int_equal(found, 2);
    strv_clear(&env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(said_by_children),
        cmocka_unit_test(stays_short),
        cmocka_unit_test(keeps_to_its_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
