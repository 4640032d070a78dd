// SPDX-License-Identifier: Apache-2.0
#include "source/render.h"
#include "tests/test.h"

static void expanded(void **s)
{
    (void)s;
    static const char *const cases[][2] = {
        {"", ""},
        {"plain", "plain"},
        {"$A", "x"},
        {"${A}", "x"},
        {"-$A-$AB-${A}B", "-x-yz-xB"},
        {"$A.$AB", "x.yz"},
        {"$NONE-${NONE}", "-"}, // unknown is empty
        {"$$A", "$A"},
        {"$${A}", "${A}"},
        {"${$}", "$"},
        {"$", "$"},
        {"a$", "a$"},
        {"$ A", "$ A"}, // no name: the dollar stays
        {"$-x", "x"},   // a special variable, which is empty
        {"$1", ""},
        {"${}b", "b"},
        {"${A", "A"}, // "${" is eaten
        {"$EMPTY|", "|"},
    };
    struct strv env = {0};
    strv_push(&env, "A=x");
    strv_push(&env, "AB=yz");
    strv_push(&env, "EMPTY=");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(str_freep) char *out = env_expand(&env, cases[i][0]);
        if (strcmp(out, cases[i][1]) != 0)
            fail_msg("\"%s\" gives \"%s\"", cases[i][0], out);
    }
    strv_clear(&env);
}

static void variables(void **s)
{
    (void)s;
    struct application *a CLEANUP(application_freep) = application_new_unknown("web", "team");
    a->dest_namespace = str_dup("prod");
    struct app_source src = {
        .repo_url = (char *)"https://h/r", .path = (char *)"p/q", .target_revision = (char *)"v1"};
    struct render_job j = {.app = a,
                           .src = &src,
                           .path = (char *)"p/q",
                           .revision = (char *)"0123456789abcdef0123456789abcdef01234567"};
    CLEANUP(str_freep)
    char *all = build_env_fill(
        &j, "$ARGOCD_APP_NAME $ARGOCD_APP_NAMESPACE $ARGOCD_APP_PROJECT_NAME "
            "$ARGOCD_APP_REVISION_SHORT $ARGOCD_APP_REVISION_SHORT_8 $ARGOCD_APP_REVISION "
            "$ARGOCD_APP_SOURCE_REPO_URL $ARGOCD_APP_SOURCE_PATH "
            "$ARGOCD_APP_SOURCE_TARGET_REVISION");
    assert_string_equal(all, "team_web prod default 0123456 01234567 "
                             "0123456789abcdef0123456789abcdef01234567 https://h/r p/q v1");
    j.revision = NULL; // a folder has none
    CLEANUP(str_freep) char *none = build_env_fill(&j, "[$ARGOCD_APP_REVISION_SHORT]");
    assert_string_equal(none, "[]");
}

static void utf16(void **s)
{
    (void)s;
    static const struct {
        const char *in;
        size_t len;
        const char *out;
    } cases[] = {
        {"a: b", 4, "a: b"},
        {"\xff\xfe"
         "a\0\xe4\0\xac\x20",
         8, "a\xc3\xa4\xe2\x82\xac"},
        {"\xfe\xff"
         "\0a\0\xe4\x20\xac",
         8, "a\xc3\xa4\xe2\x82\xac"},
        {"\xff\xfe\x3d\xd8\x00\xde", 6, "\xf0\x9f\x98\x80"},
        {"\xff\xfe\x3d\xd8"
         "a\0",
         6,
         "\xef\xbf\xbd"
         "a"},
        {"\xff\xfe\x00\xde", 4, "\xef\xbf\xbd"},
        {"\xff\xfe"
         "a\0b",
         5, "a"},
        {"\xff\xfe", 2, ""},
        {"", 0, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf b CLEANUP(buf_clear) = {0};
        buf_append(&b, cases[i].in, cases[i].len);
        text_from_utf16(&b);
        assert_string_equal(b.p ? b.p : "", cases[i].out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(expanded), cmocka_unit_test(variables),
                                       cmocka_unit_test(utf16)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
