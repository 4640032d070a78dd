// SPDX-License-Identifier: Apache-2.0
//
// Cases as data: every file of a folder is a YAML list of maps, each a case with a name.
#ifndef TESTS_CASES_H
#define TESTS_CASES_H

#include <dirent.h>
#include <stdio.h>

#include "base/file.h"
#include "tests/test.h"

static inline int cases_is_file(const struct dirent *e)
{
    return str_ends(e->d_name, ".yaml");
}

// Calls fn for each case of tests/FOLDER; a folder without cases fails the test.
static inline void cases_each(const char *folder, void (*fn)(const json_t *c, const char *name))
{
    CLEANUP(str_freep) char *dir = path_join("tests", folder);
    struct dirent **names = NULL;
    int n = scandir(dir, &names, cases_is_file, alphasort);
    size_t tried = 0;
    for (int i = 0; i < n; i++) {
        CLEANUP(str_freep) char *path = path_join(dir, names[i]->d_name);
        struct buf text CLEANUP(buf_clear) = {0};
        struct err err = {0};
        free(names[i]);
        if (!file_read(path, 16U << 20, &text, &err))
            fail_msg("%s", err.msg);
        CLEANUP(json_freep) json_t *list = doc_of(text.p);
        for (size_t k = 0; k < json_array_size(list); k++, tried++) {
            const json_t *c = json_array_get(list, k);
            const char *what = json_dot_str(c, "name");
            CLEANUP(str_freep)
            char *name = str_printf("%s: %s", path_base(path), what ? what : "(no name)");
            fn(c, name);
        }
    }
    free(names);
    printf("# %zu cases of %s\n", tried, folder);
    if (!tried)
        fail_msg("no cases in %s", dir);
}

// Is everything of `want` in `have`? Lists are compared whole.
static inline bool json_contains(const json_t *have, const json_t *want)
{
    const char *key;
    json_t *v;
    if (!json_is_object(want))
        return have && json_equal((json_t *)have, (json_t *)want);
    json_object_foreach((json_t *)want, key, v)
    {
        const json_t *x = json_object_get(have, key);
        if (json_is_null(v) ? x && !json_is_null(x) : !x || !json_contains(x, v))
            return false;
    }
    return true;
}

// The error a case wants: fails the test when what happened is something else. True when the case
// wanted an error and got it.
static inline bool cases_error(const json_t *c, const char *name, bool ok, struct err *err)
{
    const char *want = json_dot_str(c, "error");
    if (ok && want)
        fail_msg("%s: no error; wanted \"%s\"", name, want);
    if (!ok && (!want || !strstr(err->msg, want)))
        fail_msg("%s: error \"%s\"; wanted \"%s\"", name, err->msg, want ? want : "none");
    err_clear(err);
    return !ok;
}

// Does one of the warnings hold the words of the case's "warning"? Without any, there must be none.
static inline void cases_warning(const json_t *c, const char *name, const struct strv *warnings)
{
    const char *want = json_dot_str(c, "warning");
    bool found = !want && !warnings->len;
    for (size_t i = 0; want && i < warnings->len; i++)
        found |= strstr(warnings->v[i], want) != NULL;
    if (!found)
        fail_msg("%s: warnings: %s; wanted %s", name, warnings->len ? warnings->v[0] : "none",
                 want ? want : "none");
}

#endif
