// SPDX-License-Identifier: Apache-2.0
#include "source/gitignore.h"

#include <stdlib.h>

#include "source/gitrepo.h"

struct gitignore {
    git_repository *repo;
    git_index *index;
};

struct gitignore *gitignore_new(const char *dir)
{
    struct gitignore *g = mem_alloc(sizeof(*g));
    gitrepo_init();
    if (git_repository_open_ext(&g->repo, dir, GIT_REPOSITORY_OPEN_NO_SEARCH, NULL) == 0 &&
        git_repository_index(&g->index, g->repo) == 0)
        return g;
    gitignore_free(g);
    return NULL;
}

void gitignore_free(struct gitignore *g)
{
    if (!g)
        return;
    git_index_free(g->index);
    git_repository_free(g->repo);
    free(g);
}

bool gitignore_has(const struct gitignore *g, const char *path)
{
    int ignored = 0;
    return g && git_ignore_path_is_ignored(&ignored, g->repo, path) == 0 && ignored &&
           !git_index_get_bypath(g->index, path, 0);
}
