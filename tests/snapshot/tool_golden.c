// SPDX-License-Identifier: Apache-2.0
//
// Writes a golden repository: tool_golden DIR puts its files below DIR, and beside it DIR.json with
// what test_golden.c must find. Keys are those of trustkit.h, content that of smallrepo.h. A golden
// repository is made once for a version of the format, and read for ever.
//
// tool_golden DIR left-out: a judge called snapshot 2 bad, another was written, and a checkpoint
// leaves the verdict out, as a thief with the pruner's key may.
//
// tool_golden DIR FLAG...: with those read flags.
#include <stdio.h>

#include "base/file.h"
#include "tests/snapshot/smallrepo.h"

static bool write_file(const char *dir, const struct store *st, const char *name, struct err *err)
{
    const struct buf *b = memstore_file(st, name);
    CLEANUP(str_freep) char *path = path_join(dir, name);
    CLEANUP(str_freep) char *folder = str_ndup(path, (size_t)(path_base(path) - path - 1));
    return dir_make(folder, 0777, err) && file_replace(path, b->p, b->len, 0644, err);
}

static bool write_all(const char *dir, struct store *st, struct err *err)
{
    struct store_items items CLEANUP(store_items_clear) = {0};
    bool ok = store_list(st, "", &items, err);
    for (size_t i = 0; ok && i < items.v.len; i++)
        ok = write_file(dir, st, items.v.v[i].name, err);
    return ok;
}

static void leave_out(struct store *st)
{
    struct repo r;
    struct log l = {.checkpoint = -1};
    log_kit_open(st, &r);
    log_kit_read(&r, &l);
    const struct entry first = *log_find(&l, 1);
    const struct entry second = *log_find(&l, 2);
    const struct entry drilled = *log_find(&l, 3);
    struct entry e = kit_verdict(&second, VERDICT_BAD);
    log_kit_append(&r, &l, &e); // 5
    e = kit_snapshot(false);
    e.snapshot.root = first.snapshot.root;
    e.snapshot.objects = first.snapshot.objects;
    e.snapshot.git = first.snapshot.git;
    e.snapshot.has_git = true;
    log_kit_append(&r, &l, &e); // 6
    e = kit_checkpoint();
    kit_keep(&e, &second);
    kit_keep(&e, &drilled);
    kit_keep(&e, &l.v.v[l.v.len - 1]);
    log_kit_append(&r, &l, &e);
    for (uint64_t seq = 1; seq < 6; seq++)
        if (seq != 2 && seq != 3)
            log_kit_drop(&r, seq);
    log_clear(&l);
    r.store = NULL; // lent
    repo_close(&r);
}

static bool write_facts(const char *dir, struct store *st, bool left_out, struct err *err)
{
    struct sha256 sum;
    struct sha256 pin = kit_pin(st);
    struct age_identity id = kit_identity(1);
    if (!small_repo_read(memstore_clone(st), &pin, &id, false, &sum, err))
        return false;
    CLEANUP(str_freep) char *pin_hex = hex_encode(pin.b, sizeof(pin.b));
    CLEANUP(str_freep) char *sum_hex = hex_encode(sum.b, sizeof(sum.b));
    CLEANUP(str_freep)
    char *text = str_printf("{\"pin\":\"%s\",\"sum\":\"%s\",\"doubted\":%s}\n", pin_hex, sum_hex,
                            left_out ? "2" : "null");
    CLEANUP(str_freep) char *path = str_printf("%s.json", dir);
    return file_replace(path, text, strlen(text), 0644, err);
}

int main(int argc, char **argv)
{
    struct err err = {0};
    bool left_out = argc == 3 && str_eq(argv[2], "left-out");
    if (argc < 2) {
        fprintf(stderr, "usage: tool_golden DIR [left-out | FLAG...]\n");
        return 2;
    }
    CLEANUP(store_freep)
    struct store *st = argc == 2 || left_out
                           ? small_repo(true)
                           : small_repo_flags((const char *const *)argv + 2, (size_t)argc - 2);
    if (left_out)
        leave_out(st);
    bool ok = !file_exists(argv[1]) || err_set(&err, ERR_CONFLICT, "%s is there already", argv[1]);
    ok = ok && write_all(argv[1], st, &err) && write_facts(argv[1], st, left_out, &err);
    if (!ok)
        fprintf(stderr, "%s\n", err.msg);
    err_clear(&err);
    return !ok;
}
