// SPDX-License-Identifier: Apache-2.0
//
// What somebody who stole a job's credential, and the whole store, can have:
//
//   tool_writeonly URL KEY [GUESS...]
//
// Tries every 32 bytes the credential holds as an identity on every pack and every slot, the
// passphrase way too; opens the index boxes with K as a job does. "opened FILE" a line for
// each file that opened; "ids N" blobs known by id; "known GUESS" for each guess (KIND then the
// content, such as 'o{"a":1}') whose id is among them, with a line end and without.
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "snapshot/idmap.h"
#include "snapshot/repo.h"
#include "tests/test.h"

struct thief {
    struct credential job;
    struct repo repo;
    struct age_identities ids;
    struct chain_keys keys;
};

static void must(bool ok, struct err *err)
{
    if (ok)
        return;
    fprintf(stderr, "%s\n", err->msg);
    exit(1);
}

static void add_identity(struct thief *t, const uint8_t secret[KEY_BYTES])
{
    age_identity_from_raw(secret, vec_push(&t->ids.v));
}

static void try_files(struct thief *t, const char *prefix)
{
    struct store_items items = {0};
    struct err err = {0};
    CLEANUP(str_freep) char *k = hex_encode(t->job.k, KEY_BYTES);
    const char *const passphrases[] = {NULL, k};
    must(store_list(t->repo.store, prefix, &items, &err), &err);
    for (size_t i = 0; i < items.v.len; i++) {
        struct buf bytes CLEANUP(buf_clear) = {0};
        bool found;
        must(
            store_get(t->repo.store, items.v.v[i].name, STORE_MAX_FILE_BYTES, &bytes, &found, &err),
            &err);
        for (size_t p = 0; p < ARRAY_LEN(passphrases); p++) {
            struct buf out CLEANUP(buf_clear) = {0};
            struct age_keys keys = {.identities = &t->ids, .passphrase = passphrases[p]};
            if (age_open(&keys, bytes.p, bytes.len, STORE_MAX_FILE_BYTES, &out, &err))
                printf("opened %s\n", items.v.v[i].name);
            err_clear(&err);
        }
    }
    printf("tried %zu of %s\n", items.v.len, prefix);
    store_items_clear(&items);
}

static void guess(struct thief *t, const struct idmap *ids, const char *text)
{
    struct blob_namer *namer = blob_namer_new(t->keys.id_key);
    CLEANUP(str_freep) char *line = str_printf("%s\n", text + 1);
    struct blob_id a = blob_name(namer, *text, text + 1, strlen(text + 1));
    struct blob_id b = blob_name(namer, *text, line, strlen(line));
    if (idmap_has(ids, &a) || idmap_has(ids, &b))
        printf("known %s\n", text);
    blob_namer_free(namer);
}

int main(int argc, char **argv)
{
    struct thief t = {0};
    struct err err = {0};
    struct log l = {0};
    struct log_opts lo = {0};
    struct idmap ids = {0};
    if (argc < 3)
        return 2;
    struct store_opts so = {.url = argv[1]};
    must(credential_load(argv[2], &t.job, &err) && repo_open(&so, &t.job.pin, &t.repo, &err), &err);
    add_identity(&t, t.job.k);
    add_identity(&t, t.job.recipient);
    add_identity(&t, t.job.signer.seed);
    CLEANUP(str_freep) char *packs = str_printf("chains/%s/packs/", t.job.chain);
    try_files(&t, packs);
    try_files(&t, "keys/");
    chain_keys_from_k(t.job.k, &t.keys);
    must(log_read(&t.repo, t.job.chain, &lo, &l, &err), &err);
    for (size_t i = 0; i < l.v.len; i++) {
        struct batches b = {0};
        if (l.v.v[i].kind != ENTRY_SNAPSHOT)
            continue;
        must(batches_read(&t.repo, t.job.chain, &l.v.v[i], &t.keys, &b, &err), &err);
        for (size_t k = 0; k < b.v.len; k++)
            for (size_t r = 0; r < b.v.v[k].records.len; r++)
                idmap_set(&ids, &b.v.v[k].records.v[r].id, 0);
        batches_clear(&b);
    }
    printf("ids %zu\n", ids.len);
    for (int i = 3; i < argc; i++)
        guess(&t, &ids, argv[i]);
    idmap_clear(&ids);
    log_clear(&l);
    age_identities_clear(&t.ids);
    repo_close(&t.repo);
    credential_clear(&t.job);
    return 0;
}
