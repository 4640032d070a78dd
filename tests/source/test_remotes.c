// SPDX-License-Identifier: Apache-2.0
//
// Remote bases of kustomize, taken apart.
#include "source/remotes.h"

#include "tests/test.h"

static const struct {
    const char *text, *url, *ref;
    bool is_file;
} cases[] = {
    {"github.com/o/r//deploy?ref=v1", "https://github.com/o/r", "v1", false},
    {"github.com/o/r/deploy/x?ref=v1", "https://github.com/o/r", "v1", false},
    {"https://github.com/o/r//deploy/?timeout=90s&ref=abc", "https://github.com/o/r", "abc", false},
    {"https://github.com/o/r", "https://github.com/o/r", "", false},
    {"https://git.example.com/a/b/c.git/deploy?version=v2", "https://git.example.com/a/b/c.git",
     "v2", false},
    {"https://git.example.com/a/b/c.git", "https://git.example.com/a/b/c.git", "", false},
    {"git::https://git.example.com/a/b/c.git//x.yaml?ref=m", "https://git.example.com/a/b/c.git",
     "m", false},
    {"git@github.com:o/r.git//deploy?ref=v1", "git@github.com:o/r.git", "v1", false},
    {"git@github.com:o/r//deploy", "git@github.com:o/r", "", false},
    {"ssh://git@h:22/o/r.git/x?ref=v1", "ssh://git@h:22/o/r.git", "v1", false},
    {"https://h/releases/install.yaml", "https://h/releases/install.yaml", "", true},
    {"https://h/releases/install.yaml?token=x", "https://h/releases/install.yaml?token=x", "",
     true},
};

static void parsed(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct remote r;
        remote_parse(cases[i].text, &r);
        if (strcmp(r.url, cases[i].url) != 0 || strcmp(r.ref, cases[i].ref) != 0 ||
            r.is_file != cases[i].is_file)
            fail_msg("%s: %s %s", cases[i].text, r.url, r.ref);
        remote_clear(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(parsed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
