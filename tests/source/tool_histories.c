// SPDX-License-Identifier: Apache-2.0
//
// Whole histories alone, for end-to-end tests.
//
//   tool_histories CACHE FOLDER ROOT [KNOWN...]   every repository that ROOT's revision asks about,
//                                                 whole; FOLDER takes packs of what is new. KNOWN
//                                                 are ids of commits that are kept already.
//
// A line each: "head NAME", "ref ID NAME", "pack FILE", "problem TEXT". Environment: KNOWN_HOSTS
// and SSH_KEY, files for ssh; SSH_URL, below which the key is for; LOAD, set: ROOT is
// read as a run would, and what it fetched besides is "item KIND URL TARGET REVISION".
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source/source.h"

struct known {
    char **ids;
    int n;
};

static bool is_known(void *ctx, const char *id)
{
    const struct known *k = ctx;
    for (int i = 0; i < k->n; i++)
        if (!strcmp(k->ids[i], id))
            return true;
    return false;
}

static void print_repo(const struct source_repo *r)
{
    if (err_is_set(&r->problem))
        printf("problem %s\n", r->problem.msg);
    if (r->head)
        printf("head %s\n", r->head);
    for (size_t i = 0; i < r->refs.refs.len; i++)
        printf("ref %s %s\n", r->refs.refs.v[i].id, r->refs.refs.v[i].name);
    for (size_t i = 0; i < r->packs.len; i++)
        printf("pack %s\n", r->packs.v[i]);
}

int main(int argc, char **argv)
{
    struct err err = {0};
    if (argc < 4)
        return 2;
    struct loop *loop = loop_new(NULL);
    struct source_cred cred = {
        .rank = CRED_ENV, .url = getenv("SSH_URL"), .ssh_key_file = getenv("SSH_KEY")};
    struct source_opts o = {.cache_dir = argv[1], .known_hosts = getenv("KNOWN_HOSTS")};
    if (cred.ssh_key_file) {
        o.creds = &cred;
        o.n_creds = 1;
    }
    struct source *s = source_new(loop, &o);
    struct known known = {argv + 4, argc - 4};
    struct source_repos_opts ro = {.is_known = is_known, .ctx = &known, .dir = argv[2]};
    struct source_repos repos = {0};
    struct source_item item = {0};
    CLEANUP(str_freep) char *commit = NULL;
    CLEANUP(desired_freep) struct desired *d = NULL;
    if (!source_root_revision(s, argv[3], &commit, &err)) {
        printf("problem %s\n", err.msg);
        err_clear(&err);
    }
    if (getenv("LOAD") &&
        (!source_load(s, argv[3], &d, &err) || !source_fetch_remotes(s, d, &err))) {
        printf("problem %s\n", err.msg);
        err_clear(&err);
    }
    for (size_t at = 0; source_item_next(s, &at, &item); source_item_clear(&item))
        printf("item %s %s %s %s%s\n", item.kind, item.url, item.target,
               item.revision ? item.revision
               : item.digest ? item.digest
                             : "none",
               err_is_set(&item.problem) ? " problem" : "");
    bool ok = source_repos(s, &ro, &repos, &err);
    for (size_t i = 0; ok && i < repos.v.len; i++)
        print_repo(&repos.v.v[i]);
    source_repos_clear(&repos);
    source_free(s);
    loop_free(loop);
    err_clear(&err);
    return !ok;
}
