// SPDX-License-Identifier: Apache-2.0
//
// ApplicationSets without Go templates, by the cases of tests/gitops/cases/appset (appset_case.h).
#include "tests/gitops/appset_case.h"

static void one(const json_t *c, const char *name)
{
    struct appset_io io = {.git_files = appset_git_files,
                           .git_read = appset_git_read,
                           .clusters = appset_clusters,
                           .ctx = (void *)c};
    appset_case(c, name, &io);
}

static void cases(void **s)
{
    (void)s;
    cases_each("gitops/cases/appset", one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(cases)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
