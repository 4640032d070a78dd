// SPDX-License-Identifier: Apache-2.0
//
// spread FILE DIR: the items of a List (of "regrow render -o json") as files under DIR, one each,
// in the form snapshots keep them in. A file that is right already is left alone and one that no
// item has any more is removed, so that programs that look at times see what changed. Prints how
// many there are, and their bytes.
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "gitops/gitops.h"

#define MAX_FILE (256U << 20)

static json_t *wanted; // paths; nftw takes no context

static int remove_unwanted(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)at;
    if (type == FTW_DP)
        (void)rmdir(path); // refused where something is left in it
    else if (!json_object_get(wanted, path))
        return unlink(path);
    return 0;
}

static char *path_of(const char *dir, const json_t *doc, struct err *err)
{
    struct object_id id = {0};
    CLEANUP(str_freep) char *version = NULL;
    if (!object_id_of(doc, &id, &version, err))
        return NULL;
    char *path =
        str_printf("%s/%s/%s.%s/%s.json", dir, id.namespace && *id.namespace ? id.namespace : "_",
                   id.kind, id.group ? id.group : "", id.name);
    object_id_clear(&id);
    return path;
}

static bool write_one(const char *path, const struct buf *text, struct err *err)
{
    struct buf old CLEANUP(buf_clear) = {0};
    struct err ignored = {0};
    bool is_there = file_read(path, MAX_FILE, &old, &ignored);
    err_clear(&ignored);
    if (is_there && old.len == text->len && !memcmp(old.p, text->p, text->len))
        return true;
    CLEANUP(str_freep) char *dir = str_ndup(path, (size_t)(path_base(path) - path));
    if (!dir_make(dir, 0755, err))
        return false;
    FILE *f = fopen(path, "we");
    bool ok = f && fwrite(text->p, 1, text->len, f) == text->len;
    if (f)
        ok = fclose(f) == 0 && ok;
    return ok || err_set(err, ERR_INTERNAL, "write %s", path);
}

static bool run(const char *file, const char *dir, struct err *err)
{
    struct buf b CLEANUP(buf_clear) = {0};
    CLEANUP(json_freep) json_t *list = NULL;
    size_t i;
    size_t bytes = 0;
    json_t *doc;
    wanted = json_object();
    if (!file_read(file, MAX_FILE, &b, err) || !canon_read(b.p, b.len, &list, err) ||
        !dir_make(dir, 0755, err))
        return false;
    json_array_foreach(json_object_get(list, "items"), i, doc)
    {
        struct buf text CLEANUP(buf_clear) = {0};
        CLEANUP(str_freep) char *path = path_of(dir, doc, err);
        canon_write(doc, &text);
        buf_char(&text, '\n');
        bytes += text.len;
        if (!path || !write_one(path, &text, err))
            return false;
        json_object_set_new(wanted, path, json_true());
    }
    if (nftw(dir, remove_unwanted, 16, FTW_DEPTH | FTW_PHYS) != 0)
        return err_set(err, ERR_INTERNAL, "clean %s", dir);
    printf("{\"objects\": %zu, \"bytes\": %zu}\n", json_object_size(wanted), bytes);
    json_decref(wanted);
    return true;
}

int main(int argc, char **argv)
{
    struct err err = {0};
    if (argc != 3) {
        fprintf(stderr, "usage: spread FILE DIR\n");
        return 2;
    }
    if (!run(argv[1], argv[2], &err)) {
        fprintf(stderr, "spread: %s\n", err.msg);
        return 1;
    }
    return 0;
}
