// SPDX-License-Identifier: Apache-2.0
#include "source/gitmodules.h"

#include "tests/test.h"

static void assert_url(const char *text, const char *path, const char *want)
{
    struct gitmodules m = {0};
    struct err err = {0};
    if (!gitmodules_read(text, strlen(text), &m, &err))
        fail_msg("%s", err.msg);
    const char *url = gitmodules_url(&m, path);
    if (!str_eq(url, want))
        fail_msg("%s: %s, wanted %s", text, url ? url : "none", want ? want : "none");
    gitmodules_clear(&m);
}

static void reads_what_git_writes(void **s)
{
    (void)s;
    assert_url("[submodule \"a\"]\n\tpath = a/b\n\turl = ../x.git\n", "a/b", "../x.git");
    assert_url("[submodule \"a\"]\r\n path=a\r\n URL = https://h/x ; note\r\n", "a", "https://h/x");
    assert_url("[submodule \"a\"] path = a\n url = \"https://h/x#y\" # note\n", "a",
               "https://h/x#y");
    assert_url("[submodule \"a\"]\npath = a\nurl = https://h/\\\nx\n", "a", "https://h/x");
    assert_url("[submodule \"q\\\"]\"]\npath = \"a b\"\nurl = u\nbranch\n", "a b", "u");
    assert_url("[submodule \"a\"]\npath = a\nurl = 1\n[core]\nurl = 2\n[submodule \"a\"]\nurl = 3",
               "a", "3");
    assert_url("[include]\n path = /etc/passwd\n[submodule \"a\"]\npath=./a/\nurl=u\n", "a", "u");
    assert_url("; nothing\n# here\n\n", "a", NULL);
    assert_url("[submodule \"a\"]\npath = ../a\nurl = u\n", "a", NULL);
    assert_url("[submodule]\npath = a\nurl = u\n", "a", NULL);
}

static void refuses_what_git_refuses(void **s)
{
    (void)s;
    static const char *const texts[] = {
        "[submodule \"a\n",
        "[submodule \"a\"\n",
        "= x\n",
        "[submodule \"a\"]\npath x\n",
        "[submodule \"a\"]\npath = \"x\n",
        "[submodule \"a\"]\npath = x\\q\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct gitmodules m = {0};
        struct err err = {0};
        if (gitmodules_read(texts[i], strlen(texts[i]), &m, &err))
            fail_msg("%s", texts[i]);
        assert_int_equal(err.kind, ERR_INVALID);
        err_clear(&err);
        gitmodules_clear(&m);
    }
}

static void resolves_urls(void **s)
{
    (void)s;
    static const struct {
        const char *parent, *url, *want; // NULL: refused
    } rows[] = {
        {"https://h/org/r.git", "../x.git", "https://h/org/x.git"},
        {"https://h/org/r.git", "./x", "https://h/org/r.git/x"},
        {"https://h/org/r/", "../../x", "https://h/x"},
        {"https://h/org/r", "../../../x", NULL},
        {"https://h", "../x", NULL},
        {"git@h:org/r.git", "../x", "git@h:org/x"},
        {"git@h:org/r.git", "../../x", "git@h:x"},
        {"git@h:r.git", "../../x", NULL},
        {"ssh://git@h:22/org/r", "../x", "ssh://git@h:22/org/x"},
        {"/srv/r", "../x", "/srv/x"},
        {"file:///srv/r", "../x", "file:///srv/x"},
        {"https://h/org/r", "https://other/x", "https://other/x"},
        {"https://h/org/r", "git@other:x", "git@other:x"},
        {"https://h/org/r", "/etc/passwd", NULL},
        {"https://h/org/r", "file:///etc", NULL},
        {"https://h/org/r", "ext::sh -c x", NULL},
        {"https://h/org/r", "-oProxyCommand=x@h:y", NULL},
        {"https://h/org/r", "git://h/x", NULL},
        {"https://h/org/r", "https://h/a\nb", NULL},
        {"https://h/org/r", "x", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = {0};
        CLEANUP(str_freep) char *out = NULL;
        bool ok = gitmodules_resolve(rows[i].parent, rows[i].url, &out, &err);
        if (ok != (rows[i].want != NULL) || (ok && strcmp(out, rows[i].want) != 0))
            fail_msg("%s %s: %s", rows[i].parent, rows[i].url, ok ? out : err.msg);
        err_clear(&err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_git_writes),
        cmocka_unit_test(refuses_what_git_refuses),
        cmocka_unit_test(resolves_urls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
