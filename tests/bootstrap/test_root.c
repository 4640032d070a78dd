// SPDX-License-Identifier: Apache-2.0
#include "tests/test.h"

#include "bootstrap/bootstrap.h"

static void remembered(void **state)
{
    static const struct {
        const char *root, *revision, *want;
    } cases[] = {
        {"https://git.example.com/p.git//apps?ref=main", NULL,
         "https://git.example.com/p.git//apps?ref=main"},
        {"https://git.example.com/p.git//apps?ref=main", "v2",
         "https://git.example.com/p.git//apps?ref=v2"},
        {"https://git.example.com/p.git", "v2", "https://git.example.com/p.git?ref=v2"},
        {"https://me:secret@git.example.com/p.git//apps", NULL,
         "https://git.example.com/p.git//apps"},
        {"https://secret@git.example.com:8443/p.git", NULL, "https://git.example.com:8443/p.git"},
        {"https://me:se@cret@git.example.com/p@1.git", NULL, "https://git.example.com/p@1.git"},
        {"ssh://git:secret@git.example.com:22/p.git", NULL, "ssh://git@git.example.com:22/p.git"},
        {"ssh://git@git.example.com/p.git", NULL, "ssh://git@git.example.com/p.git"},
        {"git@git.example.com:team/p.git", "v1", "git@git.example.com:team/p.git?ref=v1"},
        {"https://git.example.com/a@b.git", NULL, "https://git.example.com/a@b.git"},
        {"/no/such/folder", NULL, "/no/such/folder"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(str_freep) char *have = root_text(cases[i].root, cases[i].revision);
        assert_string_equal(have, cases[i].want);
    }
}

static void folder(void **state)
{
    (void)state;
    CLEANUP(str_freep) char *have = root_text("/usr/../usr/bin/.", NULL);
    CLEANUP(str_freep) char *real = realpath("/usr/bin", NULL);
    assert_string_equal(have, real);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(remembered), cmocka_unit_test(folder)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
