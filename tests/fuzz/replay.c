// SPDX-License-Identifier: Apache-2.0
//
// A plain main for a fuzz target: goes through the files of tests/fuzz/corpus/NAME (or the files
// and folders given), so that everything a fuzzer ever found is tried without clang.
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

#define MAX_INPUT_BYTES (16U << 20) // no fuzzer keeps anything near it

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int is_file(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static bool try_file(const char *path, struct err *err)
{
    struct buf b CLEANUP(buf_clear) = {0};
    if (!file_read(path, MAX_INPUT_BYTES, &b, err))
        return false;
    // A copy of exactly its size, so that a read behind the end is seen.
    uint8_t *exact = mem_realloc(NULL, b.len, 1);
    if (b.len)
        memcpy(exact, b.p, b.len);
    LLVMFuzzerTestOneInput(exact, b.len);
    free(exact);
    return true;
}

static bool try_path(const char *path, size_t *tried, struct err *err)
{
    if (!file_is_dir(path)) {
        ++*tried;
        return try_file(path, err);
    }
    struct dirent **names = NULL;
    int n = scandir(path, &names, is_file, alphasort);
    bool ok = true;
    for (int i = 0; i < n; i++) {
        CLEANUP(str_freep) char *file = path_join(path, names[i]->d_name);
        free(names[i]);
        ++*tried;
        ok = ok && try_file(file, err);
    }
    free(names);
    return ok;
}

int main(int argc, char **argv)
{
    const char *name = path_base(argv[0]);
    if (str_starts(name, "fuzz_"))
        name += strlen("fuzz_");
    CLEANUP(str_freep) char *corpus = path_join("tests/fuzz/corpus", name);
    struct err err = {0};
    size_t tried = 0;
    bool ok = true;
    if (argc < 2)
        ok = try_path(corpus, &tried, &err);
    for (int i = 1; ok && i < argc; i++)
        ok = try_path(argv[i], &tried, &err);
    if (!ok)
        fprintf(stderr, "%s\n", err.msg);
    err_clear(&err);
    printf("# %zu passed, %d failed\n", tried - !ok, !ok);
    return !ok;
}
